/* SPDX-License-Identifier: MIT */
#ifndef WEIR_ADDRESS_BOOK_SHELF_H
#define WEIR_ADDRESS_BOOK_SHELF_H
#include "address/book.h"

/** How the address book keeps its entries; book.c decides which. Included by book.c only.
 *
 *  peers (map and list) -> entries (list of one peer) -> source (map, counts what it told).
 *  Each peer stands in the list of its best provenance; each entry that expires stands in the
 *  heap. */
enum { BOOK_LEVEL_ALL = 0 };   /**< levels[0] holds every peer */

struct book_source {
    uint64_t id;
    uint32_t heard;            /* entries */
};

struct book_entry {
    struct heap_item expiry;   /* order: the sequence number of the entry */
    struct list link;          /* in book_peer.entries, oldest first */
    struct book_peer *peer;
    struct book_source *origin; /* counted there; NULL unless heard */
    uint64_t source, added_us, expires_us, success_us, failure_us;
    uint32_t failures;
    uint16_t len;
    uint8_t provenance;
    uint8_t bytes[];           /* multiaddr without p2p */
};

struct book_peer {
    struct peer_id id;
    struct list all, level_link;
    struct list entries;
    uint32_t count;
    uint8_t level;             /* best provenance of its entries; 0: in no level yet */
};

/** What book_add was asked for. */
struct book_wanted {
    const struct peer_id *id;
    uint8_t bytes[MULTIADDR_BYTES_MAX];
    size_t len;
    enum address_provenance provenance;
    uint64_t source, now_us, expires_us;
};

/** mem.resize of the book: charges what grows, refunds what shrinks; sets refused when the
 *  budget says no. */
void *book_shelf_resize(void *context, void *old, size_t old_size, size_t new_size);
const void *book_shelf_peer_key(const void *value, size_t *len);
const void *book_shelf_source_key(const void *value, size_t *len);
/** @return the peer or NULL */
struct book_peer *book_shelf_peer(const struct book *book, const struct peer_id *id);
/** By its bytes, or NULL. */
struct book_entry *book_shelf_entry(const struct book_peer *peer, const uint8_t *bytes, size_t len);
/** All or nothing. @return the entry, its peer not yet settled, or NULL: no memory or no budget */
struct book_entry *book_shelf_insert(struct book *book, const struct book_wanted *w);
/** Put the peer into the list of its best provenance. A change of level puts it behind those
 *  that are there. */
void book_shelf_settle(struct book *book, struct book_peer *peer);
/** @return false without memory; cannot fail for an entry that expired before and shall expire
 *           later */
bool book_shelf_set_expiry(struct book *book, struct book_entry *entry, uint64_t expires_us);
/** It no longer counts for the source that told us. */
void book_shelf_forget_origin(struct book *book, struct book_entry *entry);
/** Remove and free the entry; the caller settles or drops the peer. */
void book_shelf_take_out(struct book *book, struct book_entry *entry);
/** Remove and free the entry, and its peer when it was the last. */
void book_shelf_remove(struct book *book, struct book_entry *entry);
void book_shelf_remove_peer(struct book *book, struct book_peer *peer);
/** The oldest peer of the lowest level that is at most `level`, other than `except`; or NULL. */
struct book_peer *book_shelf_least_proven(const struct book *book, unsigned level,
                                          const struct peer_id *except);
#endif
