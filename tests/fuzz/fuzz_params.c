/* SPDX-License-Identifier: MIT */
/* Goal: any bytes are transport parameters or an error, in both roles; what was read is written and
 * read again as the same. */
#include "base/assert.h"
#include "fuzz/fuzz.h"
#include "quic/params.h"

#include <string.h>

static void check(const uint8_t *data, size_t size, bool from_server)
{
    struct params first, second;
    uint8_t out[PARAMS_SIZE_MAX];
    struct writer w = writer_of(out, sizeof out);
    int error = params_decode(data, size, from_server, &first);
    WEIR_ASSERT(error == QUIC_NO_ERROR || error == QUIC_TRANSPORT_PARAMETER);
    if (error != QUIC_NO_ERROR) return;
    WEIR_ASSERT(first.active_connection_id_limit >= 2 && (first.suites & 1) != 0);
    WEIR_ASSERT(first.min_ack_delay_us == PARAMS_ABSENT ||
                first.min_ack_delay_us <= first.max_ack_delay_ms * 1000);
    for (int aes = 0; aes < 2; aes++) {
        uint8_t suite = params_suite_choose(&first, aes);
        WEIR_ASSERT(suite == AEAD_CHACHA20_POLY1305 || (aes && (first.suites & 2) != 0));
        bool bad = params_suite_check(&first, aes) != QUIC_NO_ERROR;
        WEIR_ASSERT(bad == (first.suite != 1 && (first.suite != 2 || !aes)));
    }
    size_t len = params_encode(&w, &first, from_server, size * UINT64_C(0x9e3779b97f4a7c15));
    WEIR_ASSERT(len > 0);
    WEIR_ASSERT(params_decode(out, len, from_server, &second) == QUIC_NO_ERROR);
    WEIR_ASSERT(memcmp(&first, &second, sizeof first) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(data, size, false);
    check(data, size, true);
    return 0;
}
