/* SPDX-License-Identifier: MIT */
/* The address book.
 *
 * Whoever fills the book decides whom we dial, so each way of filling it has a bound that its
 * author cannot move: a source has a quota for what it tells about others, a peer has a bounded
 * list, the book has a bounded number of peers, and room is made only at the cost of what is no
 * better proven. Strangers compete with strangers (as in "Eclipse Attacks on Bitcoin's
 * Peer-to-Peer Network", Heilman et al. 2015).
 *
 * An address is kept in its binary form without the peer: about 10 bytes instead of 350. Each
 * step costs a map look-up and a walk over one peer's list, which is bounded; expiry is a heap.
 * Memory comes through an adapter that charges the budget, so that the tables' own growth is
 * charged too. */
#include "address/book.h"
#include "address/book_shelf.h"
#include "base/assert.h"
#include "weir.h"
#include <string.h>

enum { EVICTIONS_PER_ADD = 4 };

static uint32_t or_default(uint32_t given, uint32_t standard)
{
    return given != 0 ? given : standard;
}

void book_init(struct book *book, const struct mem *mem, struct budget *budget,
               const uint8_t *hash_key, const struct book_limits *limits)
{
    struct book_limits l = {0};
    if (limits != NULL) l = *limits;
    memset(book, 0, sizeof *book);
    book->mem = (struct mem){book_shelf_resize, book};
    book->below = mem;
    book->budget = budget;
    book->limits.addresses_max = or_default(l.addresses_max, 16);
    book->limits.heard_max = or_default(l.heard_max, 64);
    book->limits.peers_max = or_default(l.peers_max, 4096);
    if (book->limits.addresses_max > BOOK_ADDRESSES_MAX) {
        book->limits.addresses_max = BOOK_ADDRESSES_MAX;
    }
    map_init(&book->peers, &book->mem, hash_key, book_shelf_peer_key);
    map_init(&book->sources, &book->mem, hash_key, book_shelf_source_key);
    heap_init(&book->expiry, &book->mem);
    for (int i = 0; i <= ADDRESS_CONFIGURED; i++) list_init(&book->levels[i]);
}

void book_free(struct book *book)
{
    while (!list_is_empty(&book->levels[BOOK_LEVEL_ALL])) {
        book_shelf_remove_peer(book,
                               list_first(&book->levels[BOOK_LEVEL_ALL], struct book_peer, all));
    }
    WEIR_ASSERT(book->addresses == 0 && book->heard == 0 && book->configured == 0);
    map_free(&book->peers);
    map_free(&book->sources);
    heap_free(&book->expiry);
}

/* The bytes under which an address is kept. @return their length, or an error */
static int entry_bytes(const struct peer_id *id, const struct multiaddr *address,
                       uint8_t out[MULTIADDR_BYTES_MAX])
{
    if (address->has_peer && !peer_id_equal(&address->peer, id)) return WEIR_E_PEER_ID;
    struct multiaddr place = *address;
    place.has_peer = false;
    return multiaddr_encode(&place, out, MULTIADDR_BYTES_MAX);
}

static uint32_t heard_here(const struct book_peer *peer, uint64_t source)
{
    uint32_t count = 0;
    for (struct list *l = peer->entries.next; l != &peer->entries; l = l->next) {
        const struct book_entry *entry = list_entry(l, struct book_entry, link);
        if (entry->provenance == ADDRESS_HEARD && entry->source == source) count++;
    }
    return count;
}

static bool may_displace(const struct book_peer *peer, const struct book_entry *old,
                         const struct book_wanted *w)
{
    if (old->provenance != (uint8_t)w->provenance) return old->provenance < (uint8_t)w->provenance;
    if (w->provenance == ADDRESS_CONFIGURED) return false;
    if (w->provenance != ADDRESS_HEARD || old->failures > 0 || old->source == w->source)
        return true;
    /* Otherwise the last to speak would own the list. */
    return heard_here(peer, old->source) > heard_here(peer, w->source) + 1;
}

/* Lower provenance first, then what fails, then the oldest (the list's order). */
static struct book_entry *worst_entry(const struct book_peer *peer, const struct book_wanted *w)
{
    struct book_entry *worst = NULL;
    for (struct list *l = peer->entries.next; l != &peer->entries; l = l->next) {
        struct book_entry *entry = list_entry(l, struct book_entry, link);
        if (!may_displace(peer, entry, w)) continue;
        bool worse = worst == NULL || entry->provenance < worst->provenance ||
                     (entry->provenance == worst->provenance && entry->failures > worst->failures);
        if (worse) worst = entry;
    }
    return worst;
}

static int refuse(uint64_t *counter, struct limit_record *limit, enum limit_scope scope,
                  uint64_t used, uint64_t max)
{
    (*counter)++;
    if (limit != NULL) {
        *limit = (struct limit_record){
            .scope = (uint16_t)scope, .side = LIMIT_SIDE_LOCAL, .used = used, .max = max};
    }
    return WEIR_E_LIMIT;
}

static uint32_t counted_peers(const struct book *book)
{
    return book->peers.count - book->configured;
}

/* The quotas, before anything changes. */
static int check_quotas(struct book *book, const struct book_peer *peer,
                        const struct book_wanted *w, struct limit_record *limit)
{
    const struct book_limits *max = &book->limits;
    if (w->provenance == ADDRESS_HEARD) {
        const struct book_source *source = map_get(&book->sources, &w->source, sizeof w->source);
        if (source != NULL && source->heard >= max->heard_max) {
            return refuse(&book->counts.refused_source, limit, LIMIT_SCOPE_PEER, source->heard,
                          max->heard_max);
        }
    }
    if (peer != NULL) {
        if (peer->count < max->addresses_max || worst_entry(peer, w) != NULL) return WEIR_OK;
        return refuse(&book->counts.refused_peer, limit, LIMIT_SCOPE_PEER, peer->count,
                      max->addresses_max);
    }
    bool full = counted_peers(book) >= max->peers_max;
    if (w->provenance == ADDRESS_CONFIGURED || !full ||
        book_shelf_least_proven(book, w->provenance, w->id) != NULL) {
        return WEIR_OK;
    }
    return refuse(&book->counts.refused_peers, limit, LIMIT_SCOPE_NODE, counted_peers(book),
                  max->peers_max);
}

/* When the budget refuses, peers that are less proven give up theirs; never the one that is
 * added to. */
static struct book_entry *insert_in_budget(struct book *book, const struct book_wanted *w)
{
    for (int tries = 0;; tries++) {
        book->refused = false;
        struct book_entry *entry = book_shelf_insert(book, w);
        if (entry != NULL || !book->refused || tries == EVICTIONS_PER_ADD) return entry;
        struct book_peer *victim = book_shelf_least_proven(book, w->provenance - 1u, w->id);
        if (victim == NULL) return NULL;
        book_shelf_remove_peer(book, victim);
        book->counts.evicted_peers++;
    }
}

static void evict_above_limit(struct book *book, const struct book_peer *newest, unsigned level)
{
    if (level == ADDRESS_CONFIGURED) return;
    while (counted_peers(book) > book->limits.peers_max) {
        struct book_peer *victim = book_shelf_least_proven(book, level, &newest->id);
        if (victim == NULL) return;
        book_shelf_remove_peer(book, victim);
        book->counts.evicted_peers++;
    }
}

/* What a failed allocation is called: the budget said no, or the allocator did. */
static int memory_error(struct book *book, struct limit_record *limit)
{
    book->counts.refused_memory++;
    if (!book->refused) return WEIR_E_MEMORY;
    if (limit != NULL) *limit = book->refusal;
    return WEIR_E_BUDGET;
}

static int add_new(struct book *book, struct book_peer *peer, const struct book_wanted *w,
                   struct limit_record *limit)
{
    int error = check_quotas(book, peer, w, limit);
    if (error < 0) return error;
    bool peer_full = peer != NULL && peer->count >= book->limits.addresses_max;
    struct book_entry *victim = peer_full ? worst_entry(peer, w) : NULL;
    struct book_entry *entry = insert_in_budget(book, w);
    if (entry == NULL) return memory_error(book, limit);
    if (victim != NULL) {
        book_shelf_take_out(book, victim);
        book->counts.displaced++;
    }
    book_shelf_settle(book, entry->peer);
    if (peer == NULL) evict_above_limit(book, entry->peer, w->provenance);
    book->counts.added++;
    return 1;
}

/* Better proven brings its own expiry; equally proven can only prolong. */
static int refresh(struct book *book, struct book_entry *entry, const struct book_wanted *w,
                   struct limit_record *limit)
{
    unsigned provenance = w->provenance;
    if (provenance < entry->provenance) return 0;
    bool better = provenance > entry->provenance;
    book->refused = false;
    if (better || w->expires_us > entry->expires_us) {
        if (!book_shelf_set_expiry(book, entry, w->expires_us)) return memory_error(book, limit);
    }
    if (better) {
        book_shelf_forget_origin(book, entry);
        entry->provenance = (uint8_t)provenance;
        book_shelf_settle(book, entry->peer);
    }
    book->counts.refreshed++;
    return 0;
}

int book_add(struct book *book, const struct peer_id *peer, const struct multiaddr *address,
             enum address_provenance provenance, uint64_t source, uint64_t now_us,
             uint64_t expires_us, struct limit_record *limit)
{
    if (limit != NULL) memset(limit, 0, sizeof *limit);
    if (provenance < ADDRESS_HEARD || provenance > ADDRESS_CONFIGURED) return WEIR_E_ARGUMENT;
    if (expires_us <= now_us) return WEIR_E_ARGUMENT;
    if (peer->len == 0) return WEIR_E_PEER_ID;
    if (address->host == MULTIADDR_HOST_NONE) return WEIR_E_ADDRESS;
    struct book_wanted w = {.id = peer,
                            .provenance = provenance,
                            .source = source,
                            .now_us = now_us,
                            .expires_us = expires_us};
    int len = entry_bytes(peer, address, w.bytes);
    if (len < 0) return len;
    w.len = (size_t)len;
    struct book_peer *known = book_shelf_peer(book, peer);
    struct book_entry *entry = known != NULL ? book_shelf_entry(known, w.bytes, w.len) : NULL;
    return entry != NULL ? refresh(book, entry, &w, limit) : add_new(book, known, &w, limit);
}

static struct book_entry *look_up(const struct book *book, const struct peer_id *id,
                                  const struct multiaddr *address)
{
    uint8_t bytes[MULTIADDR_BYTES_MAX];
    const struct book_peer *peer = book_shelf_peer(book, id);
    if (peer == NULL) return NULL;
    int len = entry_bytes(id, address, bytes);
    return len < 0 ? NULL : book_shelf_entry(peer, bytes, (size_t)len);
}

int book_remove(struct book *book, const struct peer_id *peer, const struct multiaddr *address)
{
    struct book_entry *entry = look_up(book, peer, address);
    if (entry == NULL) return WEIR_E_NOT_FOUND;
    book_shelf_remove(book, entry);
    return WEIR_OK;
}

int book_remove_peer(struct book *book, const struct peer_id *peer)
{
    struct book_peer *known = book_shelf_peer(book, peer);
    if (known == NULL) return WEIR_E_NOT_FOUND;
    book_shelf_remove_peer(book, known);
    return WEIR_OK;
}

static bool is_better(const struct book_entry *a, const struct book_entry *b)
{
    bool a_fails = a->failures >= BOOK_FAILING, b_fails = b->failures >= BOOK_FAILING;
    if (a_fails != b_fails) return b_fails;
    if (a->provenance != b->provenance) return a->provenance > b->provenance;
    if (a->success_us != b->success_us) return a->success_us > b->success_us;
    if (a->failures != b->failures) return a->failures < b->failures;
    return a->expiry.order < b->expiry.order;
}

static void copy_out(const struct book_entry *entry, struct book_address *out)
{
    memset(out, 0, sizeof *out);
    int error = multiaddr_decode(&out->address, entry->bytes, entry->len, NULL);
    WEIR_ASSERT(error == WEIR_OK);
    out->address.has_peer = true;
    out->address.peer = entry->peer->id;
    out->provenance = entry->provenance;
    out->failures = entry->failures;
    out->source = entry->source;
    out->added_us = entry->added_us;
    out->expires_us = entry->expires_us;
    out->success_us = entry->success_us;
    out->failure_us = entry->failure_us;
}

uint32_t book_get(const struct book *book, const struct peer_id *id, uint64_t now_us,
                  struct book_address *out, uint32_t cap)
{
    const struct book_entry *sorted[BOOK_ADDRESSES_MAX];
    uint32_t count = 0;
    const struct book_peer *peer = book_shelf_peer(book, id);
    if (peer == NULL) return 0;
    for (struct list *l = peer->entries.next; l != &peer->entries; l = l->next) {
        const struct book_entry *entry = list_entry(l, struct book_entry, link);
        if (entry->expires_us <= now_us) continue;
        uint32_t at = count++;
        WEIR_ASSERT(at < BOOK_ADDRESSES_MAX);
        for (; at > 0 && is_better(entry, sorted[at - 1]); at--) sorted[at] = sorted[at - 1];
        sorted[at] = entry;
    }
    if (count > cap) count = cap;
    for (uint32_t i = 0; i < count; i++) copy_out(sorted[i], &out[i]);
    return count;
}

void book_on_success(struct book *book, const struct peer_id *peer, const struct multiaddr *address,
                     uint64_t now_us, uint64_t expires_us)
{
    struct book_entry *entry = look_up(book, peer, address);
    if (entry == NULL) return;
    entry->success_us = now_us;
    entry->failures = 0;
    /* It is in the heap unless it never expires, so this needs no memory. */
    if (expires_us > entry->expires_us) book_shelf_set_expiry(book, entry, expires_us);
    if (entry->provenance >= ADDRESS_DIALLED_BACK) return;
    book_shelf_forget_origin(book, entry);
    entry->provenance = ADDRESS_DIALLED_BACK;
    book_shelf_settle(book, entry->peer);
}

void book_on_failure(struct book *book, const struct peer_id *peer, const struct multiaddr *address,
                     uint64_t now_us)
{
    struct book_entry *entry = look_up(book, peer, address);
    if (entry == NULL) return;
    entry->failure_us = now_us;
    if (entry->failures < UINT32_MAX) entry->failures++;
}

uint32_t book_expire(struct book *book, uint64_t now_us, uint32_t max)
{
    uint32_t count = 0;
    while (count < max && book_deadline(book) <= now_us) {
        struct heap_item *item = heap_first(&book->expiry);
        if (item == NULL) break;
        book_shelf_remove(book, list_entry(item, struct book_entry, expiry));
        count++;
    }
    book->counts.expired += count;
    return count;
}

uint64_t book_deadline(const struct book *book)
{
    const struct heap_item *item = heap_first(&book->expiry);
    return item != NULL ? item->when : BOOK_NEVER;
}

uint32_t book_peer_count(const struct book *book)
{
    return book->peers.count;
}

bool book_next(const struct book *book, const struct book_peer **cursor, struct peer_id *out)
{
    const struct list *all = &book->levels[BOOK_LEVEL_ALL];
    const struct list *at = *cursor != NULL ? (*cursor)->all.next : all->next;
    if (at == all) return false;
    *cursor = list_entry(at, const struct book_peer, all);
    *out = (*cursor)->id;
    return true;
}
