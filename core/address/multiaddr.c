/* SPDX-License-Identifier: MIT */
/* Multiaddr: one table of components, two spellings of each, one grammar.
 *
 * Text and bytes are read component by component into the same `struct value`, and `take` alone
 * decides whether it may stand there. So the two forms cannot disagree about what is a valid
 * address. Everything read is made canonical (lower-case names, IPv4 out of mapped IPv6, p2p
 * for ipfs), so equal addresses have equal bytes: the address book compares bytes. */
#include "address/multiaddr.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/varint.h"
#include "weir.h"
#include <stdio.h>
#include <string.h>

enum { SIZE_PREFIXED = -1 };
static const struct part {
    const char *name;
    uint32_t code;
    int8_t size; /* of the value in bytes, or SIZE_PREFIXED */
} parts[] = {
    {"ip4", MULTIADDR_CODE_IP4, 4},
    {"ip6", MULTIADDR_CODE_IP6, 16},
    {"ip6zone", MULTIADDR_CODE_IP6ZONE, SIZE_PREFIXED},
    {"udp", MULTIADDR_CODE_UDP, 2},
    {"tcp", MULTIADDR_CODE_TCP, 2},
    {"dns", MULTIADDR_CODE_DNS, SIZE_PREFIXED},
    {"dns4", MULTIADDR_CODE_DNS4, SIZE_PREFIXED},
    {"dns6", MULTIADDR_CODE_DNS6, SIZE_PREFIXED},
    {"p2p", MULTIADDR_CODE_P2P, SIZE_PREFIXED},
    {"ipfs", MULTIADDR_CODE_P2P, SIZE_PREFIXED}, /* its old name */
    {"quic-v1", MULTIADDR_CODE_QUIC_V1, 0},
    {"memory", MULTIADDR_CODE_MEMORY, 8},
    {"weir", MULTIADDR_CODE_WEIR, 0},
};
enum { PARTS = sizeof parts / sizeof parts[0] };

struct value {
    struct endpoint endpoint; /* ip4, ip6, memory; and the port of udp, tcp */
    uint32_t zone;
    const char *name;
    size_t name_len;
    struct peer_id peer;
};

struct parse {
    struct multiaddr m;
    uint32_t zone; /* from ip6zone, until ip6 takes it */
    int result;
    const char *sentence;
};

static bool refuse(struct parse *p, int result, const char *sentence)
{
    p->result = result;
    p->sentence = sentence;
    return false;
}

static bool take_host(struct parse *p, enum multiaddr_host host)
{
    const struct multiaddr *m = &p->m;
    if (m->host != MULTIADDR_HOST_NONE || m->has_peer) {
        return refuse(p, WEIR_E_ADDRESS, "a host can only stand at the start");
    }
    p->m.host = (uint8_t)host;
    return true;
}

static bool take_endpoint(struct parse *p, const struct endpoint *e)
{
    struct endpoint with_zone = *e;
    if (p->zone != 0) {
        with_zone = endpoint_ip6(e->bytes, 0, p->zone);
        if (e->family != ENDPOINT_IP6 || with_zone.scope_id == 0) {
            return refuse(p, WEIR_E_ADDRESS, "only a link-local IPv6 address has a zone");
        }
        p->zone = 0;
    }
    if (!take_host(p, MULTIADDR_HOST_ENDPOINT)) return false;
    p->m.endpoint = with_zone;
    if (e->family == ENDPOINT_MEMORY) p->m.kind = ADDRESS_MEMORY;
    return true;
}

static bool take_name(struct parse *p, enum multiaddr_host host, const struct value *v)
{
    if (!take_host(p, host)) return false;
    struct address_error error;
    int result = multiaddr_set_name(&p->m, host, v->name, v->name_len, &error);
    return result == WEIR_OK || refuse(p, result, error.sentence);
}

static bool take_port(struct parse *p, enum multiaddr_port port, uint16_t number)
{
    struct multiaddr *m = &p->m;
    bool fits = m->host != MULTIADDR_HOST_NONE && m->kind == ADDRESS_OTHER && !m->has_peer &&
                m->port == MULTIADDR_PORT_NONE;
    if (!fits) return refuse(p, WEIR_E_ADDRESS, "a port can only stand after a host");
    m->port = (uint8_t)port;
    m->endpoint.port = number;
    if (port == MULTIADDR_PORT_TCP) m->kind = ADDRESS_TCP_LIBP2P;
    return true;
}

static bool take_transport(struct parse *p, enum address_kind kind)
{
    struct multiaddr *m = &p->m;
    bool fits = m->port == MULTIADDR_PORT_UDP && m->kind == ADDRESS_OTHER && !m->has_peer;
    if (!fits) return refuse(p, WEIR_E_ADDRESS, "weir and quic-v1 can only stand after a UDP port");
    m->kind = (uint8_t)kind;
    return true;
}

static bool take_peer(struct parse *p, const struct peer_id *peer)
{
    if (p->m.has_peer) return refuse(p, WEIR_E_ADDRESS, "the peer is named twice");
    p->m.has_peer = true;
    p->m.peer = *peer;
    return true;
}

static bool take_zone(struct parse *p, uint32_t zone)
{
    if (p->m.host != MULTIADDR_HOST_NONE || p->m.has_peer) {
        return refuse(p, WEIR_E_ADDRESS, "a host can only stand at the start");
    }
    p->zone = zone;
    return true;
}

/* The grammar: [host [port [transport]]] [p2p]. */
static bool take(struct parse *p, uint32_t code, const struct value *v)
{
    if (p->zone != 0 && code != MULTIADDR_CODE_IP6) {
        return refuse(p, WEIR_E_ADDRESS, "ip6 must follow ip6zone");
    }
    switch (code) {
    case MULTIADDR_CODE_IP4:
    case MULTIADDR_CODE_IP6:
    case MULTIADDR_CODE_MEMORY: return take_endpoint(p, &v->endpoint);
    case MULTIADDR_CODE_IP6ZONE: return take_zone(p, v->zone);
    case MULTIADDR_CODE_DNS: return take_name(p, MULTIADDR_HOST_DNS, v);
    case MULTIADDR_CODE_DNS4: return take_name(p, MULTIADDR_HOST_DNS4, v);
    case MULTIADDR_CODE_DNS6: return take_name(p, MULTIADDR_HOST_DNS6, v);
    case MULTIADDR_CODE_UDP: return take_port(p, MULTIADDR_PORT_UDP, v->endpoint.port);
    case MULTIADDR_CODE_TCP: return take_port(p, MULTIADDR_PORT_TCP, v->endpoint.port);
    case MULTIADDR_CODE_WEIR: return take_transport(p, ADDRESS_UDP);
    case MULTIADDR_CODE_QUIC_V1: return take_transport(p, ADDRESS_QUIC_V1);
    default: WEIR_ASSERT(code == MULTIADDR_CODE_P2P); return take_peer(p, &v->peer);
    }
}

/* A zone is a decimal number that endpoint_parse_host would print: read by way of a link-local
 * address. */
static bool read_zone(struct parse *p, uint32_t *zone, const char *text, size_t len)
{
    char host[32] = "fe80::%";
    struct endpoint e;
    if (len > 10) return refuse(p, WEIR_E_ADDRESS, "a zone must be the number of an interface");
    if (len > 0) memcpy(host + 7, text, len);
    if (endpoint_parse_host(&e, host, 7 + len) < 0) {
        return refuse(p, WEIR_E_ADDRESS, "a zone must be the number of an interface");
    }
    *zone = e.scope_id;
    return true;
}

static bool read_ip_text(struct parse *p, uint32_t code, struct value *v, const char *text,
                         size_t len)
{
    bool colon = len > 0 && memchr(text, ':', len) != NULL;
    bool percent = len > 0 && memchr(text, '%', len) != NULL;
    bool good = endpoint_parse_host(&v->endpoint, text, len) == WEIR_OK && !percent &&
                colon == (code == MULTIADDR_CODE_IP6);
    if (good) return true;
    return refuse(p, WEIR_E_ADDRESS,
                  code == MULTIADDR_CODE_IP4 ? "not an IPv4 address" : "not an IPv6 address");
}

static bool read_number_text(struct parse *p, struct value *v, const char *text, size_t len)
{
    char whole[ENDPOINT_TEXT_MAX] = "/memory/";
    if (len > 0 && len <= 20) {
        memcpy(whole + 8, text, len);
        if (endpoint_parse(&v->endpoint, whole, 8 + len) == WEIR_OK) return true;
    }
    return refuse(p, WEIR_E_ADDRESS, "memory takes a decimal number of 64 bits");
}

static bool read_text(struct parse *p, const struct part *part, struct value *v, const char *text,
                      size_t len)
{
    switch (part->code) {
    case MULTIADDR_CODE_IP4:
    case MULTIADDR_CODE_IP6: return read_ip_text(p, part->code, v, text, len);
    case MULTIADDR_CODE_MEMORY: return read_number_text(p, v, text, len);
    case MULTIADDR_CODE_IP6ZONE: return read_zone(p, &v->zone, text, len);
    case MULTIADDR_CODE_UDP:
    case MULTIADDR_CODE_TCP:
        if (endpoint_parse_port(&v->endpoint.port, text, len) == WEIR_OK) return true;
        return refuse(p, WEIR_E_ADDRESS, "a port is a number from 0 to 65535");
    case MULTIADDR_CODE_P2P:
        if (peer_id_parse(&v->peer, text, len) == WEIR_OK) return true;
        return refuse(p, WEIR_E_PEER_ID, "not a peer id");
    default:
        v->name = text;
        v->name_len = len;
        return true;
    }
}

static bool read_bytes(struct parse *p, const struct part *part, struct value *v, const uint8_t *b,
                       size_t len)
{
    switch (part->code) {
    case MULTIADDR_CODE_IP4: v->endpoint = endpoint_ip4(b[0], b[1], b[2], b[3], 0); return true;
    case MULTIADDR_CODE_IP6: v->endpoint = endpoint_ip6(b, 0, 0); return true;
    case MULTIADDR_CODE_MEMORY: {
        uint64_t number = 0;
        for (int i = 0; i < 8; i++) number = number << 8 | b[i];
        v->endpoint = endpoint_memory(number);
        return true;
    }
    case MULTIADDR_CODE_IP6ZONE: return read_zone(p, &v->zone, (const char *)b, len);
    case MULTIADDR_CODE_UDP:
    case MULTIADDR_CODE_TCP: v->endpoint.port = (uint16_t)(b[0] << 8 | b[1]); return true;
    case MULTIADDR_CODE_P2P:
        if (peer_id_from_bytes(&v->peer, b, len) == WEIR_OK) return true;
        return refuse(p, WEIR_E_PEER_ID, "not a peer id");
    default:
        v->name = (const char *)b;
        v->name_len = len;
        return true;
    }
}

static int finish(struct parse *p, bool good, size_t offset, struct multiaddr *out,
                  struct address_error *error)
{
    if (good && p->zone != 0) good = refuse(p, WEIR_E_ADDRESS, "ip6 must follow ip6zone");
    if (good) {
        *out = p->m;
        return WEIR_OK;
    }
    memset(out, 0, sizeof *out);
    if (error != NULL) *error = (struct address_error){(uint32_t)offset, p->sentence};
    return p->result;
}

static const struct part *part_by_name(const char *text, size_t len)
{
    for (size_t i = 0; i < PARTS; i++) {
        if (strlen(parts[i].name) == len && memcmp(parts[i].name, text, len) == 0) return &parts[i];
    }
    return NULL;
}

static size_t word_end(const char *text, size_t len, size_t at)
{
    while (at < len && text[at] != '/') at++;
    return at;
}

/* One "/name" or "/name/value" at *at, which moves behind it, or to what is wrong. */
static bool parse_part(struct parse *p, const char *text, size_t len, size_t *at)
{
    if (text[*at] != '/') return refuse(p, WEIR_E_ADDRESS, "a multiaddr begins with a slash");
    size_t start = *at + 1, end = word_end(text, len, start);
    const struct part *part = part_by_name(text + start, end - start);
    if (part == NULL) {
        *at = start < len ? start : *at;
        return refuse(p, WEIR_E_ADDRESS,
                      end == start ? "an empty component" : "a component that weir does not know");
    }
    struct value v = {0};
    size_t value_end = end;
    if (part->size != 0) {
        if (end == len) return refuse(p, WEIR_E_ADDRESS, "the component's value is missing");
        size_t value = end + 1;
        value_end = word_end(text, len, value);
        if (!read_text(p, part, &v, text + value, value_end - value)) {
            *at = value;
            return false;
        }
    }
    if (!take(p, part->code, &v)) return false;
    *at = value_end;
    return true;
}

int multiaddr_parse(struct multiaddr *out, const char *text, size_t len,
                    struct address_error *error)
{
    struct parse p = {.result = WEIR_OK};
    size_t at = 0;
    bool good = true;
    if (len == 0) good = refuse(&p, WEIR_E_ADDRESS, "an empty address");
    if (len > MULTIADDR_BYTES_MAX) good = refuse(&p, WEIR_E_ADDRESS, "longer than 512 bytes");
    while (good && at < len) good = parse_part(&p, text, len, &at);
    return finish(&p, good, at, out, error);
}

static const struct part *part_by_code(uint64_t code)
{
    for (size_t i = 0; i < PARTS; i++) {
        if (parts[i].code == code) return &parts[i];
    }
    return NULL;
}

static bool decode_part(struct parse *p, struct reader *r)
{
    uint64_t code = uvarint_read(r);
    if (r->failed) return refuse(p, WEIR_E_ADDRESS, "a component's code is cut off or not minimal");
    const struct part *part = part_by_code(code);
    if (part == NULL) return refuse(p, WEIR_E_ADDRESS, "a component that weir does not know");
    uint64_t size = part->size == SIZE_PREFIXED ? uvarint_read(r) : (uint64_t)part->size;
    const uint8_t *bytes = reader_bytes(r, size);
    if (r->failed) return refuse(p, WEIR_E_ADDRESS, "a component's value is cut off");
    struct value v = {0};
    if (size > 0 || part->size == SIZE_PREFIXED) {
        if (!read_bytes(p, part, &v, bytes, (size_t)size)) return false;
    }
    return take(p, part->code, &v);
}

int multiaddr_decode(struct multiaddr *out, const void *bytes, size_t len,
                     struct address_error *error)
{
    struct parse p = {.result = WEIR_OK};
    size_t at = 0;
    bool good = true;
    if (len == 0) good = refuse(&p, WEIR_E_ADDRESS, "an empty address");
    if (len > MULTIADDR_BYTES_MAX) good = refuse(&p, WEIR_E_ADDRESS, "longer than 512 bytes");
    struct reader r = reader_of(bytes, good ? len : 0);
    while (good && reader_left(&r) > 0) {
        at = len - reader_left(&r);
        good = decode_part(&p, &r);
    }
    if (good) at = len;
    return finish(&p, good, at, out, error);
}
