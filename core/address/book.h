/* SPDX-License-Identifier: MIT */
#ifndef WEIR_ADDRESS_BOOK_H
#define WEIR_ADDRESS_BOOK_H
#include "address/multiaddr.h"
#include "address/special.h"
#include "base/budget.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"

/** The address book: hints about where peers are, each with provenance, source and expiry.
 *
 *  Invariants: at most addresses_max addresses per peer; at most heard_max addresses with
 *  provenance "heard" per source; at most peers_max peers, not counting configured ones; every
 *  byte is charged to the budget; nothing is allocated before the first add. What is better
 *  proven is never displaced by what is less proven, so strangers cannot flush what we know.
 *  The book keeps what it is given: callers ask special_may_dial first. */
struct book_limits {           /**< 0: the default */
    uint32_t addresses_max;    /**< per peer: 16; at most BOOK_ADDRESSES_MAX */
    uint32_t heard_max;        /**< per source: 64 */
    uint32_t peers_max;        /**< 4096 */
};
enum { BOOK_ADDRESSES_MAX = 64, BOOK_FAILING = 3 };
#define BOOK_NEVER UINT64_MAX  /**< as expires_us */

/** One address as given out. */
struct book_address {
    struct multiaddr address;  /**< has_peer is true and peer is set */
    uint8_t provenance;        /**< enum address_provenance */
    uint32_t failures;         /**< since the last success, or ever */
    uint64_t source;           /**< who told us first (hash of its peer id), 0 ourselves */
    uint64_t added_us, expires_us;
    uint64_t success_us, failure_us; /**< 0: none yet */
};
struct book_peer;
struct book_counts {           /**< since book_init */
    uint64_t added, refreshed, refused_source, refused_peer, refused_peers, refused_memory;
    uint64_t displaced, evicted_peers, expired;
};
struct book {
    struct mem mem;            /**< charges the budget; points at the book, which does not move */
    const struct mem *below;
    struct budget *budget;
    struct book_limits limits;
    struct map peers, sources;
    struct heap expiry;
    /** Peers by their best provenance, oldest first; [0]: all peers. */
    struct list levels[ADDRESS_CONFIGURED + 1];
    uint32_t configured;       /**< peers in levels[ADDRESS_CONFIGURED] */
    uint32_t addresses;
    uint64_t sequence;
    uint64_t heard;            /**< addresses with provenance "heard" */
    struct limit_record refusal; /**< of the last budget refusal */
    bool refused;
    struct book_counts counts;
};

/** Allocates nothing. budget may be NULL (uncharged); limits may be NULL (defaults). hash_key:
 *  16 bytes, outlives the book. */
void book_init(struct book *book, const struct mem *mem, struct budget *budget,
               const uint8_t *hash_key, const struct book_limits *limits);
/** Forgets all and refunds all. */
void book_free(struct book *book);

/** Add an address, or refresh it when it is known.
 *
 *  A refresh by equal or better provenance keeps the later expiry (a better one brings its
 *  own); by a lesser one it changes nothing. A full peer gives up its worst address that is no
 *  better proven than the new one: one that fails first, then the oldest; among heard ones only
 *  the newcomer's own or one of a source that has more of them here. A full book gives up its
 *  least proven, oldest peer.
 *  @param address     its peer, if any, must be `peer`; must have a host
 *  @param source      hash of the peer id that told us; counts only for ADDRESS_HEARD
 *  @param expires_us  absolute; BOOK_NEVER
 *  @param limit       may be NULL; filled on WEIR_E_BUDGET; zeroed otherwise
 *  @return  1 new, 0 refreshed or known; WEIR_E_ARGUMENT bad provenance, or expires_us is not
 *            after now_us; WEIR_E_ADDRESS no host; WEIR_E_PEER_ID another peer; WEIR_E_LIMIT a
 *            quota; WEIR_E_BUDGET; WEIR_E_MEMORY */
int book_add(struct book *book, const struct peer_id *peer, const struct multiaddr *address,
             enum address_provenance provenance, uint64_t source, uint64_t now_us,
             uint64_t expires_us, struct limit_record *limit);
/** @return 0 or WEIR_E_NOT_FOUND */
int book_remove(struct book *book, const struct peer_id *peer, const struct multiaddr *address);
int book_remove_peer(struct book *book, const struct peer_id *peer);
/** Copy out up to cap addresses of a peer that have not expired, best first: those that fail
 *  BOOK_FAILING times in a row last, then by provenance, then the most recent success, fewest
 *  failures, oldest.
 *  @return how many were copied */
uint32_t book_get(const struct book *book, const struct peer_id *peer, uint64_t now_us,
                  struct book_address *out, uint32_t cap);
/** The peer was reached there and proved its key: what was heard, claimed or observed becomes
 *  ADDRESS_DIALLED_BACK. expires_us extends its life if later; 0: leave it. Unknown addresses
 *  are ignored. */
void book_on_success(struct book *book, const struct peer_id *peer, const struct multiaddr *address,
                     uint64_t now_us, uint64_t expires_us);
void book_on_failure(struct book *book, const struct peer_id *peer, const struct multiaddr *address,
                     uint64_t now_us);
/** Forget up to max addresses whose time has come. @return how many; call again while it is max */
uint32_t book_expire(struct book *book, uint64_t now_us, uint32_t max);
/** When the next address expires, BOOK_NEVER if none does. */
uint64_t book_deadline(const struct book *book);
uint32_t book_peer_count(const struct book *book);
/** Walk the peers in the order in which they came; *cursor starts at NULL. Do not change the
 *  book meanwhile.
 *  @return false at the end */
bool book_next(const struct book *book, const struct book_peer **cursor, struct peer_id *out);
#endif
