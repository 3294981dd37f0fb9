/* SPDX-License-Identifier: MIT */
#include "address/address.h"
#include "weir.h"
#include <string.h>

static const char scheme[] = "weir:";
enum { SCHEME_LEN = sizeof scheme - 1 };

/* What is being read: text from `from` to `len`; offsets in errors count from the start of text. */
struct input {
    const char *text;
    size_t from, len;
    uint16_t default_port;
    bool listen;
    struct address_error error;
};

static int refuse(struct input *in, int result, size_t offset, const char *sentence)
{
    in->error = (struct address_error){(uint32_t)offset, sentence};
    return result;
}

static bool all_digits(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
    }
    return len > 0;
}

static size_t count_colons(const char *text, size_t len, size_t *last)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] != ':') continue;
        *last = i;
        count++;
    }
    return count;
}

/* The port in [from, len), or the default when there is no colon at `from`. */
static int read_port(struct input *in, struct multiaddr *out, size_t from)
{
    uint16_t port = in->default_port;
    if (from == in->len) {
        if (port == 0) return refuse(in, WEIR_E_ADDRESS, from, "the port is missing");
    } else if (in->text[from] != ':') {
        return refuse(in, WEIR_E_ADDRESS, from, "only a colon and a port can follow");
    } else if (endpoint_parse_port(&port, in->text + from + 1, in->len - from - 1) < 0) {
        return refuse(in, WEIR_E_ADDRESS, from + 1, "a port is a number from 0 to 65535");
    }
    if (port == 0 && !in->listen) {
        return refuse(in, WEIR_E_ADDRESS, from + 1, "port 0 cannot be dialled");
    }
    out->endpoint.port = port;
    out->port = MULTIADDR_PORT_UDP;
    out->kind = ADDRESS_UDP;
    return WEIR_OK;
}

static int read_brackets(struct input *in, struct multiaddr *out)
{
    const char *text = in->text + in->from;
    const char *close = memchr(text, ']', in->len - in->from);
    if (close == NULL) return refuse(in, WEIR_E_ADDRESS, in->from, "the bracket is not closed");
    size_t host_len = (size_t)(close - text) - 1;
    bool colon = memchr(text + 1, ':', host_len) != NULL;
    if (!colon || endpoint_parse_host(&out->endpoint, text + 1, host_len) < 0) {
        return refuse(in, WEIR_E_ADDRESS, in->from + 1, "not an IPv6 address");
    }
    out->host = MULTIADDR_HOST_ENDPOINT;
    return read_port(in, out, in->from + host_len + 2);
}

/* Every address of both families. The host falls back to 0.0.0.0 where there is no IPv6. */
static int read_any(struct input *in, struct multiaddr *out, size_t from)
{
    if (!in->listen) {
        return refuse(in, WEIR_E_ADDRESS, in->from,
                      "a port alone says where to listen, not whom to dial");
    }
    uint16_t port;
    if (endpoint_parse_port(&port, in->text + from, in->len - from) < 0) {
        return refuse(in, WEIR_E_ADDRESS, from, "a port is a number from 0 to 65535");
    }
    static const uint8_t zero[16];
    struct endpoint any = endpoint_ip6(zero, port, 0);
    *out = multiaddr_of(&any);
    return WEIR_OK;
}

static int read_host(struct input *in, struct multiaddr *out, size_t host_len)
{
    const char *host = in->text + in->from;
    struct address_error error;
    if (endpoint_parse_host(&out->endpoint, host, host_len) == WEIR_OK) {
        out->host = MULTIADDR_HOST_ENDPOINT;
        return WEIR_OK;
    }
    if (multiaddr_set_name(out, MULTIADDR_HOST_DNS, host, host_len, &error) == WEIR_OK)
        return WEIR_OK;
    return refuse(in, WEIR_E_ADDRESS, in->from + error.offset, error.sentence);
}

static int read_host_and_port(struct input *in, struct multiaddr *out)
{
    const char *text = in->text + in->from;
    size_t len = in->len - in->from, colon = len;
    size_t colons = count_colons(text, len, &colon);
    if (colons > 1) {
        struct endpoint e;
        bool ip6 = endpoint_parse_host(&e, text, len) == WEIR_OK;
        return refuse(in, WEIR_E_ADDRESS, in->from,
                      ip6 ? "an IPv6 address is written in brackets" : "more than one colon");
    }
    if (colons == 1 && colon == 0) return read_any(in, out, in->from + 1);
    if (colons == 0 && all_digits(text, len)) return read_any(in, out, in->from);
    int result = read_host(in, out, colon);
    return result < 0 ? result : read_port(in, out, in->from + colon);
}

static int read_multiaddr(struct input *in, struct multiaddr *out)
{
    struct address_error error;
    int result = multiaddr_parse(out, in->text + in->from, in->len - in->from, &error);
    if (result < 0) return refuse(in, result, in->from + error.offset, error.sentence);
    if (!in->listen && out->port != MULTIADDR_PORT_NONE && out->endpoint.port == 0) {
        return refuse(in, WEIR_E_ADDRESS, in->from, "port 0 cannot be dialled");
    }
    return WEIR_OK;
}

static int read_place(struct input *in, struct multiaddr *out)
{
    if (in->from == in->len) return refuse(in, WEIR_E_ADDRESS, in->from, "an empty address");
    if (in->text[in->from] == '/') return read_multiaddr(in, out);
    if (in->text[in->from] == '[') return read_brackets(in, out);
    return read_host_and_port(in, out);
}

static int read_invitation(struct input *in, struct multiaddr *out)
{
    const char *id = in->text + SCHEME_LEN;
    const char *at = memchr(id, '@', in->len - SCHEME_LEN);
    size_t id_len = at != NULL ? (size_t)(at - id) : in->len - SCHEME_LEN;
    struct peer_id peer;
    if (in->listen) {
        return refuse(in, WEIR_E_ADDRESS, 0,
                      "an invitation says whom to dial, not where to listen");
    }
    if (peer_id_parse(&peer, id, id_len) < 0) {
        return refuse(in, WEIR_E_PEER_ID, SCHEME_LEN, "not a peer id");
    }
    if (at != NULL) {
        in->from = SCHEME_LEN + id_len + 1;
        int result = read_place(in, out);
        if (result < 0) return result;
        if (out->has_peer) return refuse(in, WEIR_E_ADDRESS, in->from, "the peer is named twice");
    }
    out->has_peer = true;
    out->peer = peer;
    return WEIR_OK;
}

/* "weir:7777" is a machine with the name weir, as container networks have them: no peer id is a
 * short number. */
static bool is_invitation(const char *text, size_t len)
{
    if (len < SCHEME_LEN || memcmp(text, scheme, SCHEME_LEN) != 0) return false;
    return len - SCHEME_LEN > 5 || !all_digits(text + SCHEME_LEN, len - SCHEME_LEN);
}

int address_parse(struct multiaddr *out, const char *text, size_t len, uint16_t default_port,
                  unsigned flags, struct address_error *error)
{
    struct input in = {.text = text, .len = len, .default_port = default_port};
    struct multiaddr m = {0};
    in.listen = (flags & ADDRESS_LISTEN) != 0;
    int result;
    if (len > MULTIADDR_BYTES_MAX) {
        result = refuse(&in, WEIR_E_ADDRESS, MULTIADDR_BYTES_MAX, "longer than 512 bytes");
    } else {
        result = is_invitation(text, len) ? read_invitation(&in, &m) : read_place(&in, &m);
    }
    if (result < 0) memset(&m, 0, sizeof m);
    if (result < 0 && error != NULL) *error = in.error;
    *out = m;
    return result;
}

/* "host:port" where that says it all, else the multiaddr. */
static int format_place(const struct multiaddr *m, char *out, size_t cap)
{
    if (m->kind != ADDRESS_UDP || m->host == MULTIADDR_HOST_DNS4 ||
        m->host == MULTIADDR_HOST_DNS6) {
        return multiaddr_format(m, out, cap);
    }
    if (m->host == MULTIADDR_HOST_ENDPOINT) return endpoint_format(&m->endpoint, out, cap);
    struct endpoint port = endpoint_ip4(0, 0, 0, 0, m->endpoint.port);
    char text[ENDPOINT_TEXT_MAX];
    endpoint_format(&port, text, sizeof text);
    const char *colon = strchr(text, ':');
    size_t colon_len = strlen(colon);
    if (m->name_len + colon_len >= cap) {
        if (cap > 0) out[0] = 0;
        return WEIR_E_SPACE;
    }
    memcpy(out, m->name, m->name_len);
    memcpy(out + m->name_len, colon, colon_len + 1);
    return (int)(m->name_len + colon_len);
}

int address_format_invitation(const struct peer_id *peer, const struct multiaddr *m, char *out,
                              size_t cap)
{
    struct multiaddr place = *m;
    char id[PEER_ID_TEXT_SIZE];
    place.has_peer = false;
    bool has_place = place.host != MULTIADDR_HOST_NONE;
    size_t id_len = peer_id_format(peer, id);
    size_t head = SCHEME_LEN + id_len + (has_place ? 1 : 0);
    if (cap > 0) out[0] = 0;
    if (id_len == 0) return WEIR_E_PEER_ID;
    if (head >= cap) return WEIR_E_SPACE;
    int tail = has_place ? format_place(&place, out + head, cap - head) : 0;
    if (tail < 0) {
        out[0] = 0;
        return tail;
    }
    memcpy(out, scheme, SCHEME_LEN);
    memcpy(out + SCHEME_LEN, id, id_len);
    if (has_place) out[head - 1] = '@';
    out[head + (size_t)tail] = 0;
    return (int)head + tail;
}

int address_format(const struct multiaddr *m, char *out, size_t cap)
{
    if (!m->has_peer) return format_place(m, out, cap);
    return address_format_invitation(&m->peer, m, out, cap);
}
