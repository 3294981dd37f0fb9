/* SPDX-License-Identifier: MIT */
/* Text and bytes of endpoints.
 *
 * The parsers are our own because the C library's are too kind or too poor for input that
 * strangers send: inet_aton takes "1", "0x7f.1" and octal, so that a filter and a socket may
 * read the same text as two addresses; inet_pton knows no ports, brackets or zones. What is
 * accepted here is the one spelling of RFC 4291 section 2.2 and plain dotted decimal; what is
 * printed is the one spelling of RFC 5952. */
#include "address/endpoint.h"
#include "weir.h"
#include <stdio.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static const uint8_t nat64_prefix[12] = {0, 0x64, 0xff, 0x9b};
static const char memory_word[] = "/memory/";
enum { MEMORY_WORD_LEN = sizeof memory_word - 1, NO_GAP = 99 };

struct endpoint endpoint_ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
    return (struct endpoint){.family = ENDPOINT_IP4, .port = port, .bytes = {a, b, c, d}};
}

/* RFC 4007: only these exist once per link. Interface-local and link-local multicast count too. */
static bool has_scope(const uint8_t bytes[16])
{
    if (bytes[0] == 0xfe) return (bytes[1] & 0xc0) == 0x80;
    unsigned scope = bytes[1] & 0x0f;
    return bytes[0] == 0xff && (scope == 1 || scope == 2);
}

struct endpoint endpoint_ip6(const uint8_t bytes[16], uint16_t port, uint32_t scope_id)
{
    if (memcmp(bytes, mapped_prefix, sizeof mapped_prefix) == 0) {
        return endpoint_ip4(bytes[12], bytes[13], bytes[14], bytes[15], port);
    }
    struct endpoint e = {.family = ENDPOINT_IP6, .port = port};
    memcpy(e.bytes, bytes, 16);
    if (has_scope(bytes)) e.scope_id = scope_id;
    return e;
}

struct endpoint endpoint_memory(uint64_t number)
{
    struct endpoint e = {.family = ENDPOINT_MEMORY};
    for (int i = 7; i >= 0; i--, number >>= 8) e.bytes[i] = (uint8_t)number;
    return e;
}

uint64_t endpoint_memory_number(const struct endpoint *e)
{
    if (e->family != ENDPOINT_MEMORY) return 0;
    uint64_t number = 0;
    for (int i = 0; i < 8; i++) number = number << 8 | e->bytes[i];
    return number;
}

bool endpoint_same_host(const struct endpoint *a, const struct endpoint *b)
{
    return a->family == b->family && a->scope_id == b->scope_id &&
           memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    return a->port == b->port && endpoint_same_host(a, b);
}

bool endpoint_is_unspecified(const struct endpoint *e)
{
    static const uint8_t zero[16];
    return (e->family == ENDPOINT_IP4 || e->family == ENDPOINT_IP6) &&
           memcmp(e->bytes, zero, sizeof zero) == 0;
}

/* A decimal number with at least one digit, no leading zero, at most max. Takes all of [text,
 * text+len). */
static bool read_decimal(uint64_t *out, const char *text, size_t len, uint64_t max)
{
    if (len == 0 || (len > 1 && text[0] == '0')) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        unsigned digit = (unsigned)(text[i] - '0');
        if (value > (max - digit) / 10) return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

static bool read_ip4(uint8_t out[4], const char *text, size_t len)
{
    size_t at = 0;
    for (int part = 0; part < 4; part++) {
        size_t end = at;
        while (end < len && text[end] != '.') end++;
        uint64_t value;
        if (!read_decimal(&value, text + at, end - at, 255)) return false;
        out[part] = (uint8_t)value;
        if ((end == len) != (part == 3)) return false;
        at = end + 1;
    }
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* At most five digits are read: four are the most that a group may have, the fifth shows that
 * there are too many. */
static size_t read_hex(unsigned *out, const char *text, size_t len)
{
    size_t n = 0;
    *out = 0;
    while (n < len && n < 5 && hex_digit(text[n]) >= 0) {
        *out = *out << 4 | (unsigned)hex_digit(text[n]);
        n++;
    }
    return n;
}

/* The bytes before the gap stay, those after it move to the end. RFC 4291: a gap is one group
 * or more. */
static bool close_gap(uint8_t out[16], size_t filled, size_t gap)
{
    if (gap == NO_GAP) return filled == 16;
    if (filled > 14) return false;
    size_t tail = filled - gap;
    memmove(out + 16 - tail, out + gap, tail);
    memset(out + gap, 0, 16 - filled);
    return true;
}

static bool read_ip6(uint8_t out[16], const char *text, size_t len)
{
    size_t at = 0, filled = 0, gap = NO_GAP;
    if (len >= 2 && text[0] == ':' && text[1] == ':') {
        gap = 0;
        at = 2;
    }
    while (at < len) {
        unsigned group;
        size_t digits = read_hex(&group, text + at, len - at);
        if (at + digits < len && text[at + digits] == '.') {
            if (filled > 12 || !read_ip4(out + filled, text + at, len - at)) return false;
            return close_gap(out, filled + 4, gap);
        }
        if (digits == 0 || digits > 4 || filled == 16) return false;
        out[filled++] = (uint8_t)(group >> 8);
        out[filled++] = (uint8_t)group;
        at += digits;
        if (at == len) break;
        if (text[at++] != ':' || at == len) return false;
        if (text[at] != ':') continue;
        if (gap != NO_GAP) return false;
        gap = filled;
        at++;
    }
    return close_gap(out, filled, gap);
}

int endpoint_parse_host(struct endpoint *out, const char *text, size_t len)
{
    memset(out, 0, sizeof *out);
    uint8_t bytes[16] = {0};
    if (len >= ENDPOINT_TEXT_MAX) return WEIR_E_ADDRESS;
    if (read_ip4(bytes, text, len)) {
        *out = endpoint_ip4(bytes[0], bytes[1], bytes[2], bytes[3], 0);
        return WEIR_OK;
    }
    const char *percent = len > 0 ? memchr(text, '%', len) : NULL;
    size_t address_len = percent != NULL ? (size_t)(percent - text) : len;
    if (!read_ip6(bytes, text, address_len)) return WEIR_E_ADDRESS;
    uint64_t scope_id = 0;
    if (percent != NULL) {
        size_t zone_len = len - address_len - 1;
        if (!read_decimal(&scope_id, percent + 1, zone_len, UINT32_MAX)) return WEIR_E_ADDRESS;
        if (scope_id == 0 || !has_scope(bytes)) return WEIR_E_ADDRESS;
    }
    *out = endpoint_ip6(bytes, 0, (uint32_t)scope_id);
    return WEIR_OK;
}

int endpoint_parse_port(uint16_t *out, const char *text, size_t len)
{
    uint64_t value;
    if (!read_decimal(&value, text, len, 65535)) return WEIR_E_ADDRESS;
    *out = (uint16_t)value;
    return WEIR_OK;
}

static int parse_memory(struct endpoint *out, const char *text, size_t len)
{
    uint64_t number;
    if (!read_decimal(&number, text, len, UINT64_MAX)) return WEIR_E_ADDRESS;
    *out = endpoint_memory(number);
    return WEIR_OK;
}

/* The last colon is before the port; brackets tell IPv6 from IPv4. */
static int parse_ip_and_port(struct endpoint *out, const char *text, size_t len)
{
    size_t colon = len;
    while (colon > 0 && text[colon - 1] != ':') colon--;
    if (colon == 0) return WEIR_E_ADDRESS;
    uint16_t port;
    if (endpoint_parse_port(&port, text + colon, len - colon) < 0) return WEIR_E_ADDRESS;
    size_t host_len = colon - 1;
    bool brackets = host_len >= 2 && text[0] == '[' && text[host_len - 1] == ']';
    struct endpoint e;
    int error = brackets ? endpoint_parse_host(&e, text + 1, host_len - 2)
                         : endpoint_parse_host(&e, text, host_len);
    if (error < 0) return error;
    /* Inside brackets a colon must stand, so "[1.2.3.4]:5" is refused; outside none may. */
    bool colons = memchr(text, ':', host_len) != NULL;
    if (colons != brackets) return WEIR_E_ADDRESS;
    *out = e;
    out->port = port;
    return WEIR_OK;
}

int endpoint_parse(struct endpoint *out, const char *text, size_t len)
{
    memset(out, 0, sizeof *out);
    if (len == 0 || len >= ENDPOINT_TEXT_MAX) return WEIR_E_ADDRESS;
    if (len > MEMORY_WORD_LEN && memcmp(text, memory_word, MEMORY_WORD_LEN) == 0) {
        return parse_memory(out, text + MEMORY_WORD_LEN, len - MEMORY_WORD_LEN);
    }
    return parse_ip_and_port(out, text, len);
}

/* RFC 5952 section 4.2: the longest run of at least two zero groups, the first of equal ones. */
static void find_zero_run(const uint8_t bytes[16], int *start, int *count)
{
    *start = -1;
    *count = 1;
    int run = 0;
    for (int i = 0; i < 8; i++) {
        run = bytes[2 * i] == 0 && bytes[2 * i + 1] == 0 ? run + 1 : 0;
        if (run <= *count) continue;
        *count = run;
        *start = i - run + 1;
    }
}

/* text has room for ENDPOINT_TEXT_MAX bytes, and the longest address takes 39. */
static size_t write_ip6(const uint8_t bytes[16], char *text)
{
    int start, count;
    size_t n = 0;
    find_zero_run(bytes, &start, &count);
    for (int i = 0; i < 8; i++) {
        if (i == start) {
            n += (size_t)snprintf(text + n, ENDPOINT_TEXT_MAX - n, "::");
            i += count - 1;
            continue;
        }
        const char *colon = i == 0 || i == start + count ? "" : ":";
        if (start < 0 && i > 0) colon = ":";
        unsigned group = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
        n += (size_t)snprintf(text + n, ENDPOINT_TEXT_MAX - n, "%s%x", colon, group);
    }
    return n;
}

static size_t write_host(const struct endpoint *e, char text[ENDPOINT_TEXT_MAX])
{
    const uint8_t *b = e->bytes;
    size_t n;
    switch (e->family) {
    case ENDPOINT_IP4:
        return (size_t)snprintf(text, ENDPOINT_TEXT_MAX, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
    case ENDPOINT_MEMORY:
        return (size_t)snprintf(text, ENDPOINT_TEXT_MAX, "%s%llu", memory_word,
                                (unsigned long long)endpoint_memory_number(e));
    case ENDPOINT_IP6: break;
    default: return (size_t)snprintf(text, ENDPOINT_TEXT_MAX, "none");
    }
    if (memcmp(b, nat64_prefix, sizeof nat64_prefix) == 0) {
        /* RFC 5952 section 5: mixed notation where a well-known prefix says that IPv4 is inside. */
        return (size_t)snprintf(text, ENDPOINT_TEXT_MAX, "64:ff9b::%u.%u.%u.%u", b[12], b[13],
                                b[14], b[15]);
    }
    n = write_ip6(b, text);
    if (e->scope_id != 0) {
        n += (size_t)snprintf(text + n, ENDPOINT_TEXT_MAX - n, "%%%lu", (unsigned long)e->scope_id);
    }
    return n;
}

static int give(const char *text, size_t len, char *out, size_t cap)
{
    if (len >= cap) {
        if (cap > 0) out[0] = 0;
        return WEIR_E_SPACE;
    }
    memcpy(out, text, len + 1);
    return (int)len;
}

int endpoint_format_host(const struct endpoint *e, char *out, size_t cap)
{
    char text[ENDPOINT_TEXT_MAX];
    size_t len = write_host(e, text);
    return give(text, len, out, cap);
}

int endpoint_format(const struct endpoint *e, char *out, size_t cap)
{
    if (e->family != ENDPOINT_IP4 && e->family != ENDPOINT_IP6) {
        return endpoint_format_host(e, out, cap);
    }
    char host[ENDPOINT_TEXT_MAX], text[ENDPOINT_TEXT_MAX + 16];
    write_host(e, host);
    int len = e->family == ENDPOINT_IP6
                  ? snprintf(text, sizeof text, "[%s]:%u", host, (unsigned)e->port)
                  : snprintf(text, sizeof text, "%s:%u", host, (unsigned)e->port);
    return give(text, (size_t)len, out, cap);
}

void endpoint_key(const struct endpoint *e, uint8_t out[ENDPOINT_KEY_BYTES])
{
    memcpy(out, e->bytes, 16);
    for (int i = 0; i < 4; i++) out[16 + i] = (uint8_t)(e->scope_id >> (24 - 8 * i));
    out[20] = (uint8_t)(e->port >> 8);
    out[21] = (uint8_t)e->port;
    out[22] = e->family;
    out[23] = 0;
}
