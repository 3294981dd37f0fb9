/* SPDX-License-Identifier: MIT */
#include "address/book_shelf.h"
#include "base/assert.h"
#include <string.h>

void *book_shelf_resize(void *context, void *old, size_t old_size, size_t new_size)
{
    struct book *book = context;
    size_t growth = new_size > old_size ? new_size - old_size : 0;
    if (growth > 0 && book->budget != NULL &&
        !budget_charge(book->budget, growth, &book->refusal)) {
        book->refused = true;
        return NULL;
    }
    void *block = mem_resize(book->below, old, old_size, new_size);
    if (book->budget == NULL) return block;
    if (growth > 0 && block == NULL) budget_refund(book->budget, growth);
    bool shrunk = new_size < old_size && (new_size == 0 || block != NULL);
    if (shrunk) budget_refund(book->budget, old_size - new_size);
    return block;
}

const void *book_shelf_peer_key(const void *value, size_t *len)
{
    const struct book_peer *peer = value;
    *len = sizeof peer->id;
    return &peer->id;
}

const void *book_shelf_source_key(const void *value, size_t *len)
{
    const struct book_source *source = value;
    *len = sizeof source->id;
    return &source->id;
}

struct book_peer *book_shelf_peer(const struct book *book, const struct peer_id *id)
{
    return map_get(&book->peers, id, sizeof *id);
}

struct book_entry *book_shelf_entry(const struct book_peer *peer, const uint8_t *bytes, size_t len)
{
    for (struct list *l = peer->entries.next; l != &peer->entries; l = l->next) {
        struct book_entry *entry = list_entry(l, struct book_entry, link);
        if (entry->len == len && memcmp(entry->bytes, bytes, len) == 0) return entry;
    }
    return NULL;
}

static void drop_source_if_unused(struct book *book, struct book_source *source)
{
    if (source->heard > 0) return;
    map_remove(&book->sources, &source->id, sizeof source->id);
    mem_free(&book->mem, source, sizeof *source);
}

void book_shelf_forget_origin(struct book *book, struct book_entry *entry)
{
    struct book_source *source = entry->origin;
    if (source == NULL) return;
    WEIR_ASSERT(source->heard > 0 && book->heard > 0);
    entry->origin = NULL;
    source->heard--;
    book->heard--;
    drop_source_if_unused(book, source);
}

static void drop_peer(struct book *book, struct book_peer *peer)
{
    WEIR_ASSERT(peer->count == 0);
    if (peer->level == ADDRESS_CONFIGURED) book->configured--;
    list_remove(&peer->level_link);
    list_remove(&peer->all);
    map_remove(&book->peers, &peer->id, sizeof peer->id);
    mem_free(&book->mem, peer, sizeof *peer);
}

void book_shelf_settle(struct book *book, struct book_peer *peer)
{
    uint8_t best = 0;
    for (struct list *l = peer->entries.next; l != &peer->entries; l = l->next) {
        const struct book_entry *entry = list_entry(l, struct book_entry, link);
        if (entry->provenance > best) best = entry->provenance;
    }
    if (best == peer->level) return;
    if (peer->level == ADDRESS_CONFIGURED) book->configured--;
    if (best == ADDRESS_CONFIGURED) book->configured++;
    list_remove(&peer->level_link);
    list_push_back(&book->levels[best], &peer->level_link);
    peer->level = best;
}

void book_shelf_take_out(struct book *book, struct book_entry *entry)
{
    heap_remove(&book->expiry, &entry->expiry);
    list_remove(&entry->link);
    entry->peer->count--;
    book->addresses--;
    book_shelf_forget_origin(book, entry);
    mem_free(&book->mem, entry, sizeof *entry + entry->len);
}

void book_shelf_remove(struct book *book, struct book_entry *entry)
{
    struct book_peer *peer = entry->peer;
    book_shelf_take_out(book, entry);
    if (peer->count == 0) {
        drop_peer(book, peer);
    } else {
        book_shelf_settle(book, peer);
    }
}

void book_shelf_remove_peer(struct book *book, struct book_peer *peer)
{
    while (peer->count > 0)
        book_shelf_take_out(book, list_first(&peer->entries, struct book_entry, link));
    drop_peer(book, peer);
}

struct book_peer *book_shelf_least_proven(const struct book *book, unsigned level,
                                          const struct peer_id *except)
{
    for (unsigned i = ADDRESS_HEARD; i <= level; i++) {
        const struct list *all = &book->levels[i];
        for (struct list *l = all->next; l != all; l = l->next) {
            struct book_peer *peer = list_entry(l, struct book_peer, level_link);
            if (!peer_id_equal(&peer->id, except)) return peer; /* the first or the second */
        }
    }
    return NULL;
}

static struct book_peer *make_peer(struct book *book, const struct peer_id *id)
{
    struct book_peer *peer = mem_alloc(&book->mem, sizeof *peer);
    if (peer == NULL) return NULL;
    peer->id = *id;
    list_init(&peer->entries);
    if (!map_add(&book->peers, peer)) {
        mem_free(&book->mem, peer, sizeof *peer);
        return NULL;
    }
    list_push_back(&book->levels[BOOK_LEVEL_ALL], &peer->all);
    return peer;
}

static struct book_source *get_source(struct book *book, uint64_t id)
{
    struct book_source *source = map_get(&book->sources, &id, sizeof id);
    if (source != NULL) return source;
    source = mem_alloc(&book->mem, sizeof *source);
    if (source == NULL) return NULL;
    source->id = id;
    if (map_add(&book->sources, source)) return source;
    mem_free(&book->mem, source, sizeof *source);
    return NULL;
}

bool book_shelf_set_expiry(struct book *book, struct book_entry *entry, uint64_t expires_us)
{
    if (expires_us == BOOK_NEVER) {
        heap_remove(&book->expiry, &entry->expiry);
    } else if (!heap_set(&book->expiry, &entry->expiry, expires_us)) {
        return false;
    }
    entry->expires_us = expires_us;
    return true;
}

static struct book_entry *make_entry(struct book *book, const struct book_wanted *w)
{
    struct book_entry *entry = mem_alloc(&book->mem, sizeof *entry + w->len);
    if (entry == NULL) return NULL;
    memcpy(entry->bytes, w->bytes, w->len);
    entry->len = (uint16_t)w->len;
    entry->expiry.order = ++book->sequence;
    entry->provenance = (uint8_t)w->provenance;
    entry->source = w->source;
    entry->added_us = w->now_us;
    if (book_shelf_set_expiry(book, entry, w->expires_us)) return entry;
    mem_free(&book->mem, entry, sizeof *entry + w->len);
    return NULL;
}

struct book_entry *book_shelf_insert(struct book *book, const struct book_wanted *w)
{
    struct book_peer *peer = book_shelf_peer(book, w->id);
    struct book_source *source = NULL;
    struct book_entry *entry = NULL;
    if (peer == NULL) peer = make_peer(book, w->id);
    if (peer == NULL) return NULL;
    bool heard = w->provenance == ADDRESS_HEARD;
    if (heard) source = get_source(book, w->source);
    if (!heard || source != NULL) entry = make_entry(book, w);
    if (entry == NULL) {
        if (source != NULL) drop_source_if_unused(book, source);
        if (peer->count == 0) drop_peer(book, peer);
        return NULL;
    }
    entry->peer = peer;
    entry->origin = source;
    if (heard) {
        source->heard++;
        book->heard++;
    }
    list_push_back(&peer->entries, &entry->link);
    peer->count++;
    book->addresses++;
    return entry;
}
