/* SPDX-License-Identifier: MIT */
/* Multiaddr: making, comparing and writing the parsed form, and what a DNS name may look like. */
#include "address/multiaddr.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/varint.h"
#include "weir.h"
#include <stdio.h>
#include <string.h>

struct multiaddr multiaddr_of(const struct endpoint *endpoint)
{
    struct multiaddr m = {0};
    if (endpoint->family == ENDPOINT_NONE) return m;
    m.host = MULTIADDR_HOST_ENDPOINT;
    m.endpoint = *endpoint;
    m.kind = ADDRESS_MEMORY;
    if (endpoint->family != ENDPOINT_MEMORY) {
        m.kind = ADDRESS_UDP;
        m.port = MULTIADDR_PORT_UDP;
    }
    return m;
}

bool multiaddr_equal(const struct multiaddr *a, const struct multiaddr *b)
{
    if (a->kind != b->kind || a->host != b->host || a->port != b->port) return false;
    if (a->has_peer != b->has_peer || (a->has_peer && !peer_id_equal(&a->peer, &b->peer)))
        return false;
    return endpoint_equal(&a->endpoint, &b->endpoint) && a->name_len == b->name_len &&
           memcmp(a->name, b->name, a->name_len) == 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What inet_aton would take for a number: decimal digits, or 0x with anything hexadecimal
 * behind it. A resolver that sees such a name may answer with an address of its own making. */
static bool is_number(const char *label, size_t len)
{
    bool hex = len >= 2 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X');
    for (size_t i = hex ? 2 : 0; i < len; i++) {
        char lower = (char)(label[i] | 0x20);
        if (!is_digit(label[i]) && !(hex && lower >= 'a' && lower <= 'f')) return false;
    }
    return true;
}

/* RFC 1123 section 2.1. @return NULL or what is wrong */
static const char *label_error(const char *label, size_t len)
{
    if (len == 0) return "an empty label in a name";
    if (len > 63) return "a label of a name is longer than 63 bytes";
    for (size_t i = 0; i < len; i++) {
        if (!is_letter(label[i]) && !is_digit(label[i]) && label[i] != '-') {
            return "a name has letters, digits, hyphens and dots only";
        }
    }
    if (label[0] == '-' || label[len - 1] == '-')
        return "a label of a name begins or ends with a hyphen";
    return NULL;
}

/* @param at  set to the label that is wrong. @return NULL or what is wrong */
static const char *name_error(const char *name, size_t len, size_t *at)
{
    *at = 0;
    if (len == 0) return "an empty name";
    if (len > MULTIADDR_NAME_MAX) return "a name is longer than 253 bytes";
    for (;;) {
        size_t end = *at;
        while (end < len && name[end] != '.') end++;
        const char *sentence = label_error(name + *at, end - *at);
        if (sentence != NULL) return sentence;
        if (end < len) {
            *at = end + 1;
            continue;
        }
        return is_number(name + *at, end - *at) ? "neither an IPv4 address nor a name" : NULL;
    }
}

int multiaddr_set_name(struct multiaddr *m, enum multiaddr_host host, const char *name, size_t len,
                       struct address_error *error)
{
    size_t at;
    if (len > 1 && name[len - 1] == '.') len--;
    const char *sentence = name_error(name, len, &at);
    if (sentence != NULL) {
        if (error != NULL) *error = (struct address_error){(uint32_t)at, sentence};
        return WEIR_E_ADDRESS;
    }
    m->host = (uint8_t)host;
    m->name_len = (uint8_t)len;
    memset(m->name, 0, sizeof m->name);
    for (size_t i = 0; i < len; i++) {
        bool upper = name[i] >= 'A' && name[i] <= 'Z';
        m->name[i] = upper ? (char)(name[i] | 0x20) : name[i];
    }
    return WEIR_OK;
}

static void put(struct writer *w, const char *text)
{
    writer_bytes(w, text, strlen(text));
}

static void put_number(struct writer *w, uint64_t number)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    put(w, digits);
}

static const char *name_word(const struct multiaddr *m)
{
    if (m->host == MULTIADDR_HOST_DNS4) return "/dns4/";
    return m->host == MULTIADDR_HOST_DNS6 ? "/dns6/" : "/dns/";
}

static void put_endpoint(struct writer *w, const struct endpoint *e)
{
    struct endpoint without_scope = *e;
    char host[ENDPOINT_TEXT_MAX];
    if (e->scope_id != 0) {
        put(w, "/ip6zone/");
        put_number(w, e->scope_id);
        without_scope.scope_id = 0;
    }
    if (e->family == ENDPOINT_IP4) put(w, "/ip4/");
    if (e->family == ENDPOINT_IP6) put(w, "/ip6/");
    endpoint_format_host(&without_scope, host, sizeof host);
    put(w, host);
}

static bool has_part(const struct multiaddr *m)
{
    return m->host != MULTIADDR_HOST_NONE || m->has_peer;
}

int multiaddr_format(const struct multiaddr *m, char *out, size_t cap)
{
    struct writer w = writer_of(out, cap > 0 ? cap - 1 : 0);
    if (cap > 0) out[0] = 0;
    if (!has_part(m)) return WEIR_E_ADDRESS;
    if (m->host == MULTIADDR_HOST_ENDPOINT) {
        put_endpoint(&w, &m->endpoint);
    } else if (m->host != MULTIADDR_HOST_NONE) {
        WEIR_ASSERT(m->name_len <= MULTIADDR_NAME_MAX);
        put(&w, name_word(m));
        writer_bytes(&w, m->name, m->name_len);
    }
    if (m->port != MULTIADDR_PORT_NONE) {
        put(&w, m->port == MULTIADDR_PORT_UDP ? "/udp/" : "/tcp/");
        put_number(&w, m->endpoint.port);
    }
    if (m->kind == ADDRESS_UDP) put(&w, "/weir");
    if (m->kind == ADDRESS_QUIC_V1) put(&w, "/quic-v1");
    if (m->has_peer) {
        char id[PEER_ID_TEXT_SIZE];
        peer_id_format(&m->peer, id);
        put(&w, "/p2p/");
        put(&w, id);
    }
    if (cap == 0 || w.full) {
        if (cap > 0) out[0] = 0;
        return WEIR_E_SPACE;
    }
    out[writer_len(&w)] = 0;
    return (int)writer_len(&w);
}

static uint64_t name_code(const struct multiaddr *m)
{
    if (m->host == MULTIADDR_HOST_DNS4) return MULTIADDR_CODE_DNS4;
    return m->host == MULTIADDR_HOST_DNS6 ? MULTIADDR_CODE_DNS6 : MULTIADDR_CODE_DNS;
}

static void encode_zone(struct writer *w, uint32_t scope_id)
{
    char digits[16];
    int len = snprintf(digits, sizeof digits, "%lu", (unsigned long)scope_id);
    uvarint_write(w, MULTIADDR_CODE_IP6ZONE);
    uvarint_write(w, (uint64_t)len);
    writer_bytes(w, digits, (size_t)len);
}

static void encode_host(struct writer *w, const struct multiaddr *m)
{
    const struct endpoint *e = &m->endpoint;
    if (m->host != MULTIADDR_HOST_ENDPOINT) {
        WEIR_ASSERT(m->name_len <= MULTIADDR_NAME_MAX);
        uvarint_write(w, name_code(m));
        uvarint_write(w, m->name_len);
        writer_bytes(w, m->name, m->name_len);
    } else if (e->family == ENDPOINT_IP4) {
        uvarint_write(w, MULTIADDR_CODE_IP4);
        writer_bytes(w, e->bytes, 4);
    } else if (e->family == ENDPOINT_MEMORY) {
        uvarint_write(w, MULTIADDR_CODE_MEMORY);
        writer_bytes(w, e->bytes, 8);
    } else {
        if (e->scope_id != 0) encode_zone(w, e->scope_id);
        uvarint_write(w, MULTIADDR_CODE_IP6);
        writer_bytes(w, e->bytes, 16);
    }
}

int multiaddr_encode(const struct multiaddr *m, void *out, size_t cap)
{
    struct writer w = writer_of(out, cap);
    if (!has_part(m)) return WEIR_E_ADDRESS;
    if (m->host != MULTIADDR_HOST_NONE) encode_host(&w, m);
    if (m->port != MULTIADDR_PORT_NONE) {
        bool udp = m->port == MULTIADDR_PORT_UDP;
        uvarint_write(&w, udp ? MULTIADDR_CODE_UDP : MULTIADDR_CODE_TCP);
        writer_u16(&w, m->endpoint.port);
    }
    if (m->kind == ADDRESS_UDP) uvarint_write(&w, MULTIADDR_CODE_WEIR);
    if (m->kind == ADDRESS_QUIC_V1) uvarint_write(&w, MULTIADDR_CODE_QUIC_V1);
    if (m->has_peer) {
        uvarint_write(&w, MULTIADDR_CODE_P2P);
        uvarint_write(&w, m->peer.len);
        writer_bytes(&w, m->peer.bytes, m->peer.len);
    }
    return w.full ? WEIR_E_SPACE : (int)writer_len(&w);
}
