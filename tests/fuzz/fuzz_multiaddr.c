/* SPDX-License-Identifier: MIT */
/* Addresses in every form over any bytes. The first byte chooses the form; whatever is accepted
 * must survive being printed and read back, as text, as bytes and in the friendly form. */
#include "address/address.h"
#include "address/special.h"
#include "fuzz/fuzz.h"
#include "weir.h"
#include <stdlib.h>
#include <string.h>

static void check(bool holds)
{
    if (!holds) abort();
}

static void check_multiaddr(const struct multiaddr *m)
{
    struct multiaddr again;
    char text[ADDRESS_TEXT_MAX];
    uint8_t bytes[MULTIADDR_BYTES_MAX];
    int len = multiaddr_encode(m, bytes, sizeof bytes);
    check(len > 0 && multiaddr_decode(&again, bytes, (size_t)len, NULL) == WEIR_OK);
    check(multiaddr_equal(m, &again));
    len = multiaddr_format(m, text, sizeof text);
    check(len > 0 && multiaddr_parse(&again, text, (size_t)len, NULL) == WEIR_OK);
    check(multiaddr_equal(m, &again));
    bool port_zero = m->port != MULTIADDR_PORT_NONE && m->endpoint.port == 0;
    if (port_zero && m->has_peer) return; /* an invitation to port 0 is refused */
    len = address_format(m, text, sizeof text);
    unsigned flags = port_zero ? ADDRESS_LISTEN : 0;
    check(len > 0 && address_parse(&again, text, (size_t)len, 0, flags, NULL) == WEIR_OK);
    check(multiaddr_equal(m, &again));
}

static void check_endpoint(const struct endpoint *e)
{
    struct endpoint again;
    char text[ENDPOINT_TEXT_MAX];
    int len = endpoint_format(e, text, sizeof text);
    check(len > 0 && endpoint_parse(&again, text, (size_t)len) == WEIR_OK);
    check(endpoint_equal(e, &again));
    const char *why;
    bool may_dial = special_may_dial(e, ADDRESS_HEARD, e, &why);
    check(may_dial == (why == NULL));
    check(!may_dial || special_may_gossip(e, e));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    uint8_t form = data[0];
    const char *text = (const char *)data + 1;
    struct address_error error = {0, NULL};
    struct multiaddr m;
    struct endpoint e;
    int result = WEIR_E_ADDRESS;
    size--;
    switch (form % 5) {
    case 0: result = multiaddr_decode(&m, text, size, &error); break;
    case 1: result = multiaddr_parse(&m, text, size, &error); break;
    case 2: result = address_parse(&m, text, size, 7777, 0, &error); break;
    case 3: result = address_parse(&m, text, size, 0, ADDRESS_LISTEN, &error); break;
    default:
        if (endpoint_parse(&e, text, size) == WEIR_OK) check_endpoint(&e);
        return 0;
    }
    if (result == WEIR_OK) {
        check_multiaddr(&m);
        if (m.host == MULTIADDR_HOST_ENDPOINT) check_endpoint(&m.endpoint);
    } else {
        check(error.sentence != NULL && error.offset <= size);
    }
    return 0;
}
