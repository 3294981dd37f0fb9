/* SPDX-License-Identifier: MIT */
#ifndef WEIR_ADDRESS_SPECIAL_H
#define WEIR_ADDRESS_SPECIAL_H
#include "address/endpoint.h"

/** IANA's special-purpose address registries (RFC 6890), and what weir makes of them.
 *
 *  A peer is told addresses by strangers. Without these tables a stranger could make it knock
 *  at 127.0.0.1, at the router of its home, or at a multicast group; and it would tell others
 *  addresses that mean nothing to them. */
enum address_class {
    ADDRESS_CLASS_GLOBAL = 0,  /**< also every in-memory endpoint: its world is its internet */
    ADDRESS_CLASS_SHARED,      /**< behind a carrier's NAT, RFC 6598 */
    ADDRESS_CLASS_PRIVATE,
    ADDRESS_CLASS_LINK_LOCAL,
    ADDRESS_CLASS_LOOPBACK,
    ADDRESS_CLASS_TRANSLATED,  /**< an IPv4 address in IPv6 clothes (NAT64, 6to4, Teredo) */
    ADDRESS_CLASS_DOCUMENTATION,
    ADDRESS_CLASS_MULTICAST,
    ADDRESS_CLASS_RESERVED,    /**< broadcast, discard, protocol assignments, unassigned space */
    ADDRESS_CLASS_UNSPECIFIED,
};
/** How we came to know an address; more is better proven. */
enum address_provenance {
    ADDRESS_HEARD = 1,         /**< a third party told us */
    ADDRESS_CLAIMED,           /**< the peer itself says so */
    ADDRESS_OBSERVED,          /**< we, or several peers, saw packets from there */
    ADDRESS_DIALLED_BACK,      /**< it was dialled and the right key answered */
    ADDRESS_CONFIGURED,        /**< the operator or the application said so */
};
/** The registries' columns. */
enum special_flags {
    SPECIAL_SOURCE = 1,        /**< valid as a source address */
    SPECIAL_DESTINATION = 2,
    SPECIAL_FORWARDABLE = 4,
    SPECIAL_GLOBAL = 8,        /**< globally reachable */
    SPECIAL_BY_PROTOCOL = 16,  /**< reserved by protocol: everybody must treat it specially */
    SPECIAL_ADDED = 32,        /**< not in the two registries: multicast and unassigned space */
};
struct special_row {
    uint8_t family;            /**< enum endpoint_family */
    uint8_t bits;              /**< length of the prefix */
    uint8_t class;             /**< enum address_class */
    uint8_t flags;             /**< enum special_flags */
    uint8_t prefix[16];
    const char *name;          /**< the registry's */
    const char *rfc;
};

/** The most specific row that holds e; NULL: an ordinary global address (or an in-memory one). */
const struct special_row *special_of(const struct endpoint *e);
/** All rows, for tests and `weir doctor`. */
const struct special_row *special_rows(size_t *count);
/** The class that counts for policy: an IPv4 address inside a NAT64 or 6to4 address that is not
 *  global itself gives its own class (RFC 6052 section 3.1), or a stranger could reach 10.0.0.1
 *  through the translator. */
enum address_class endpoint_class(const struct endpoint *e);
/** "global", "loopback", "documentation" ... */
const char *address_class_name(enum address_class c);
/** "heard", "claimed" ... */
const char *address_provenance_name(enum address_provenance p);

/** Whether e may be told to a peer that we reach at `to` (NULL: unknown, so only global
 *  addresses).
 *
 *  Global addresses to everybody; shared, private and loopback ones only to a peer that is
 *  itself at least that near (a private address to a peer at a private, link-local or loopback
 *  one); link-local never, because the zone means nothing elsewhere. */
bool special_may_gossip(const struct endpoint *e, const struct endpoint *to);
/** Whether e may be dialled.
 *
 *  Never: port 0, unspecified, documentation, multicast, reserved. An address that was heard or
 *  claimed, and is not global, only when its source was itself reached at an address at least
 *  that near, and never a link-local one.
 *  @param source  where the peer that told us is reached; NULL: unknown
 *  @param why     may be NULL; on false a fixed sentence */
bool special_may_dial(const struct endpoint *e, enum address_provenance provenance,
                      const struct endpoint *source, const char **why);
#endif
