/* SPDX-License-Identifier: MIT */
#include "address/special.h"
#include <string.h>

enum {
    S = SPECIAL_SOURCE,
    D = SPECIAL_DESTINATION,
    F = SPECIAL_FORWARDABLE,
    G = SPECIAL_GLOBAL,
    P = SPECIAL_BY_PROTOCOL,
    ADDED = SPECIAL_ADDED,
    LOCAL = S | D | F, /* forwarded, but only inside somebody's network */
    PUBLIC = S | D | F | G,
};
#define ROW4(a, b, c, d, bits, class, flags, name, rfc)                                            \
    {                                                                                              \
        ENDPOINT_IP4, bits, ADDRESS_CLASS_##class, flags, {a, b, c, d}, name, rfc                  \
    }
/* The first four of eight groups. */
#define ROW6(g0, g1, g2, g3, bits, class, flags, name, rfc)                                        \
    {                                                                                              \
        ENDPOINT_IP6, bits, ADDRESS_CLASS_##class, flags,                                          \
            {GROUP(g0), GROUP(g1), GROUP(g2), GROUP(g3)}, name, rfc                                \
    }
/* One address, of which only the first two groups and the last are not zero. */
#define ROW128(g0, g1, g7, class, flags, name, rfc)                                                \
    {                                                                                              \
        ENDPOINT_IP6, 128, ADDRESS_CLASS_##class, flags,                                           \
            {GROUP(g0), GROUP(g1), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, GROUP(g7)}, name, rfc             \
    }
#define GROUP(group) (uint8_t)((group) >> 8), (uint8_t)((group)&0xff)

/* iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry; the class is
 * ours. */
static const struct special_row rows[] = {
    ROW4(0, 0, 0, 0, 8, RESERVED, S | P, "This network", "RFC 791"),
    ROW4(0, 0, 0, 0, 32, UNSPECIFIED, S | P, "This host on this network", "RFC 1122"),
    ROW4(10, 0, 0, 0, 8, PRIVATE, LOCAL, "Private-Use", "RFC 1918"),
    ROW4(100, 64, 0, 0, 10, SHARED, LOCAL, "Shared Address Space", "RFC 6598"),
    ROW4(127, 0, 0, 0, 8, LOOPBACK, P, "Loopback", "RFC 1122"),
    ROW4(169, 254, 0, 0, 16, LINK_LOCAL, S | D | P, "Link Local", "RFC 3927"),
    ROW4(172, 16, 0, 0, 12, PRIVATE, LOCAL, "Private-Use", "RFC 1918"),
    ROW4(192, 0, 0, 0, 24, RESERVED, 0, "IETF Protocol Assignments", "RFC 6890"),
    ROW4(192, 0, 0, 0, 29, RESERVED, LOCAL, "IPv4 Service Continuity Prefix", "RFC 7335"),
    ROW4(192, 0, 0, 8, 32, RESERVED, S, "IPv4 dummy address", "RFC 7600"),
    ROW4(192, 0, 0, 9, 32, GLOBAL, PUBLIC, "Port Control Protocol Anycast", "RFC 7723"),
    ROW4(192, 0, 0, 10, 32, GLOBAL, PUBLIC, "Traversal Using Relays around NAT Anycast",
         "RFC 8155"),
    ROW4(192, 0, 0, 170, 32, RESERVED, P, "NAT64/DNS64 Discovery", "RFC 8880"),
    ROW4(192, 0, 0, 171, 32, RESERVED, P, "NAT64/DNS64 Discovery", "RFC 8880"),
    ROW4(192, 0, 2, 0, 24, DOCUMENTATION, 0, "Documentation (TEST-NET-1)", "RFC 5737"),
    ROW4(192, 31, 196, 0, 24, GLOBAL, PUBLIC, "AS112-v4", "RFC 7535"),
    ROW4(192, 52, 193, 0, 24, GLOBAL, PUBLIC, "AMT", "RFC 7450"),
    ROW4(192, 88, 99, 0, 24, RESERVED, 0, "Deprecated (6to4 Relay Anycast)", "RFC 7526"),
    ROW4(192, 88, 99, 2, 32, RESERVED, LOCAL, "6a44-relay anycast address", "RFC 6751"),
    ROW4(192, 168, 0, 0, 16, PRIVATE, LOCAL, "Private-Use", "RFC 1918"),
    ROW4(192, 175, 48, 0, 24, GLOBAL, PUBLIC, "Direct Delegation AS112 Service", "RFC 7534"),
    /* Laboratories and some tunnels use it as private space, and it must be possible to dial
     * there. */
    ROW4(198, 18, 0, 0, 15, PRIVATE, LOCAL, "Benchmarking", "RFC 2544"),
    ROW4(198, 51, 100, 0, 24, DOCUMENTATION, 0, "Documentation (TEST-NET-2)", "RFC 5737"),
    ROW4(203, 0, 113, 0, 24, DOCUMENTATION, 0, "Documentation (TEST-NET-3)", "RFC 5737"),
    ROW4(224, 0, 0, 0, 4, MULTICAST, D | ADDED, "Multicast", "RFC 5771"),
    ROW4(240, 0, 0, 0, 4, RESERVED, P, "Reserved", "RFC 1112"),
    ROW4(255, 255, 255, 255, 32, RESERVED, D | P, "Limited Broadcast", "RFC 919"),

    ROW6(0, 0, 0, 0, 128, UNSPECIFIED, S | P, "Unspecified Address", "RFC 4291"),
    ROW128(0, 0, 1, LOOPBACK, P, "Loopback Address", "RFC 4291"),
    {ENDPOINT_IP6,
     96,
     ADDRESS_CLASS_TRANSLATED,
     P,
     {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff},
     "IPv4-mapped Address",
     "RFC 4291"},
    ROW6(0x64, 0xff9b, 0, 0, 96, TRANSLATED, PUBLIC, "IPv4-IPv6 Translat.", "RFC 6052"),
    ROW6(0x64, 0xff9b, 1, 0, 48, TRANSLATED, LOCAL, "IPv4-IPv6 Translat.", "RFC 8215"),
    ROW6(0x100, 0, 0, 0, 64, RESERVED, LOCAL, "Discard-Only Address Block", "RFC 6666"),
    ROW6(0x100, 0, 0, 1, 64, RESERVED, S, "Dummy IPv6 Prefix", "RFC 9780"),
    ROW6(0x2001, 0, 0, 0, 23, RESERVED, 0, "IETF Protocol Assignments", "RFC 2928"),
    ROW6(0x2001, 0, 0, 0, 32, TRANSLATED, LOCAL, "TEREDO", "RFC 4380"),
    ROW128(0x2001, 1, 1, GLOBAL, PUBLIC, "Port Control Protocol Anycast", "RFC 7723"),
    ROW128(0x2001, 1, 2, GLOBAL, PUBLIC, "Traversal Using Relays around NAT Anycast", "RFC 8155"),
    ROW128(0x2001, 1, 3, GLOBAL, PUBLIC, "DNS-SD Service Registration Protocol Anycast",
           "RFC 9665"),
    ROW6(0x2001, 2, 0, 0, 48, PRIVATE, LOCAL, "Benchmarking", "RFC 5180"),
    ROW6(0x2001, 3, 0, 0, 32, GLOBAL, PUBLIC, "AMT", "RFC 7450"),
    ROW6(0x2001, 4, 0x112, 0, 48, GLOBAL, PUBLIC, "AS112-v6", "RFC 7535"),
    ROW6(0x2001, 0x10, 0, 0, 28, RESERVED, 0, "Deprecated (previously ORCHID)", "RFC 4843"),
    ROW6(0x2001, 0x20, 0, 0, 28, GLOBAL, PUBLIC, "ORCHIDv2", "RFC 7343"),
    ROW6(0x2001, 0x30, 0, 0, 28, GLOBAL, PUBLIC, "Drone Remote ID Protocol Entity Tags",
         "RFC 9374"),
    ROW6(0x2001, 0xdb8, 0, 0, 32, DOCUMENTATION, 0, "Documentation", "RFC 3849"),
    ROW6(0x2002, 0, 0, 0, 16, TRANSLATED, LOCAL, "6to4", "RFC 3056"),
    ROW6(0x2620, 0x4f, 0x8000, 0, 48, GLOBAL, PUBLIC, "Direct Delegation AS112 Service",
         "RFC 7534"),
    ROW6(0x3fff, 0, 0, 0, 20, DOCUMENTATION, 0, "Documentation", "RFC 9637"),
    ROW6(0x5f00, 0, 0, 0, 16, RESERVED, LOCAL, "Segment Routing (SRv6) SIDs", "RFC 9602"),
    ROW6(0xfc00, 0, 0, 0, 7, PRIVATE, LOCAL, "Unique-Local", "RFC 4193"),
    ROW6(0xfe80, 0, 0, 0, 10, LINK_LOCAL, S | D | P, "Link-Local Unicast", "RFC 4291"),
    /* From the IPv6 address space registry: only 2000::/3 is assigned as global unicast. */
    ROW6(0, 0, 0, 0, 3, RESERVED, ADDED, "Reserved by IETF", "RFC 4291"),
    /* Overlay networks (Yggdrasil) live here, and are private space for their users. */
    ROW6(0x200, 0, 0, 0, 7, PRIVATE, ADDED, "Reserved by IETF, formerly NSAP", "RFC 4048"),
    ROW6(0x4000, 0, 0, 0, 2, RESERVED, ADDED, "Reserved by IETF", "RFC 4291"),
    ROW6(0x8000, 0, 0, 0, 1, RESERVED, ADDED, "Reserved by IETF", "RFC 4291"),
    ROW6(0xfec0, 0, 0, 0, 10, PRIVATE, ADDED, "Deprecated (Site-Local Unicast)", "RFC 3879"),
    ROW6(0xff00, 0, 0, 0, 8, MULTICAST, D | ADDED, "Multicast", "RFC 4291"),
};
enum { ROWS = sizeof rows / sizeof rows[0] };

const struct special_row *special_rows(size_t *count)
{
    *count = ROWS;
    return rows;
}

static bool row_holds(const struct special_row *row, const struct endpoint *e)
{
    if (row->family != e->family) return false;
    size_t whole = row->bits / 8;
    if (memcmp(row->prefix, e->bytes, whole) != 0) return false;
    unsigned rest = row->bits % 8;
    if (rest == 0) return true;
    return (row->prefix[whole] ^ e->bytes[whole]) >> (8 - rest) == 0;
}

const struct special_row *special_of(const struct endpoint *e)
{
    const struct special_row *best = NULL;
    for (size_t i = 0; i < ROWS; i++) {
        if (best != NULL && rows[i].bits <= best->bits) continue;
        if (row_holds(&rows[i], e)) best = &rows[i];
    }
    return best;
}

/* The class of the IPv4 address inside, if it is worse than being translated. */
static enum address_class translated_class(const struct endpoint *e)
{
    bool six_to_four = e->bytes[0] == 0x20 && e->bytes[1] == 0x02;
    bool nat64 = e->bytes[1] == 0x64 && e->bytes[5] == 0;
    if (!six_to_four && !nat64) return ADDRESS_CLASS_TRANSLATED;
    const uint8_t *b = e->bytes + (six_to_four ? 2 : 12);
    struct endpoint inside = endpoint_ip4(b[0], b[1], b[2], b[3], e->port);
    enum address_class class = endpoint_class(&inside);
    return class == ADDRESS_CLASS_GLOBAL ? ADDRESS_CLASS_TRANSLATED : class;
}

enum address_class endpoint_class(const struct endpoint *e)
{
    if (e->family == ENDPOINT_NONE) return ADDRESS_CLASS_UNSPECIFIED;
    const struct special_row *row = special_of(e);
    if (row == NULL) return ADDRESS_CLASS_GLOBAL;
    if (row->class == ADDRESS_CLASS_TRANSLATED) return translated_class(e);
    return (enum address_class)row->class;
}

const char *address_class_name(enum address_class c)
{
    switch (c) {
    case ADDRESS_CLASS_GLOBAL: return "global";
    case ADDRESS_CLASS_SHARED: return "shared";
    case ADDRESS_CLASS_PRIVATE: return "private";
    case ADDRESS_CLASS_LINK_LOCAL: return "link-local";
    case ADDRESS_CLASS_LOOPBACK: return "loopback";
    case ADDRESS_CLASS_TRANSLATED: return "translated";
    case ADDRESS_CLASS_DOCUMENTATION: return "documentation";
    case ADDRESS_CLASS_MULTICAST: return "multicast";
    case ADDRESS_CLASS_RESERVED: return "reserved";
    case ADDRESS_CLASS_UNSPECIFIED: return "unspecified";
    default: return "unknown";
    }
}

const char *address_provenance_name(enum address_provenance p)
{
    switch (p) {
    case ADDRESS_HEARD: return "heard";
    case ADDRESS_CLAIMED: return "claimed";
    case ADDRESS_OBSERVED: return "observed";
    case ADDRESS_DIALLED_BACK: return "dialled back";
    case ADDRESS_CONFIGURED: return "configured";
    default: return "unknown";
    }
}

/* The classes from GLOBAL to LOOPBACK are declared from far to near. */
static bool is_near(enum address_class c)
{
    return c <= ADDRESS_CLASS_LOOPBACK;
}

/* Whether a peer at `other` lives where an address of class c means the same as it does for us. */
static bool shares_view(enum address_class c, const struct endpoint *other)
{
    if (c == ADDRESS_CLASS_GLOBAL) return true;
    if (c == ADDRESS_CLASS_LINK_LOCAL || !is_near(c) || other == NULL) return false;
    enum address_class near = endpoint_class(other);
    return is_near(near) && near >= c;
}

static bool lacks_port(const struct endpoint *e)
{
    return e->port == 0 && e->family != ENDPOINT_MEMORY;
}

bool special_may_gossip(const struct endpoint *e, const struct endpoint *to)
{
    return !lacks_port(e) && shares_view(endpoint_class(e), to);
}

static const char *dial_refusal(const struct endpoint *e, enum address_provenance provenance,
                                const struct endpoint *source)
{
    enum address_class class = endpoint_class(e);
    if (lacks_port(e)) return "port 0 cannot be dialled";
    switch (class) {
    case ADDRESS_CLASS_UNSPECIFIED: return "an unspecified address is nobody's";
    case ADDRESS_CLASS_DOCUMENTATION: return "the address is reserved for documentation";
    case ADDRESS_CLASS_MULTICAST: return "a multicast address is not one peer's";
    case ADDRESS_CLASS_RESERVED: return "the address is in a reserved range";
    default: break;
    }
    bool told = provenance <= ADDRESS_CLAIMED;
    if (!told || shares_view(class, source)) return NULL;
    return "the address means something else where it was told";
}

bool special_may_dial(const struct endpoint *e, enum address_provenance provenance,
                      const struct endpoint *source, const char **why)
{
    const char *sentence = dial_refusal(e, provenance, source);
    if (why != NULL) *why = sentence;
    return sentence == NULL;
}
