/* SPDX-License-Identifier: MIT */
#include "unread.h"
#include "list.h"
#include <stdlib.h>

enum { BUCKETS = 64, BUCKET_BITS = 6, COUNT_MAX = 16384 };

struct unread {
    struct list peers; /* with messages, who waits longest first */
    struct list buckets[BUCKETS];
    uint32_t count, per_peer;
    uint64_t bytes;
};

struct unread_peer {
    struct list link, bucket;
    uint32_t peer, count, first, cap;
    uint64_t *handles; /* a ring */
};

struct unread *unread_open(uint32_t per_peer)
{
    struct unread *u = calloc(1, sizeof *u);

    if (!u) return NULL;
    list_init(&u->peers);
    for (int i = 0; i < BUCKETS; i++) list_init(&u->buckets[i]);
    u->per_peer = per_peer;
    u->bytes = sizeof *u;
    return u;
}

static struct list *bucket_of(struct unread *u, uint32_t peer)
{
    return &u->buckets[(peer * 0x9e3779b1u) >> (32 - BUCKET_BITS)];
}

static struct unread_peer *find(struct unread *u, uint32_t peer)
{
    struct list *bucket = bucket_of(u, peer);

    for (struct list *at = bucket->next; at != bucket; at = at->next) {
        struct unread_peer *p = list_entry(at, struct unread_peer, bucket);
        if (p->peer == peer) return p;
    }
    return NULL;
}

static struct unread_peer *make(struct unread *u, uint32_t peer)
{
    struct unread_peer *p = calloc(1, sizeof *p);

    if (!p) return NULL;
    p->peer = peer;
    u->bytes += sizeof *p;
    list_push(&u->peers, &p->link);
    list_push(bucket_of(u, peer), &p->bucket);
    return p;
}

static void end(struct unread *u, struct unread_peer *p)
{
    u->bytes -= sizeof *p + p->cap * sizeof *p->handles;
    list_remove(&p->link);
    list_remove(&p->bucket);
    free(p->handles);
    free(p);
}

static bool grow(struct unread *u, struct unread_peer *p)
{
    uint32_t cap = p->cap ? p->cap * 2 : 8;
    uint64_t *handles;

    if (cap > u->per_peer) cap = u->per_peer;
    handles = malloc(cap * sizeof *handles);
    if (!handles) return false;
    for (uint32_t i = 0; i < p->count; i++) handles[i] = p->handles[(p->first + i) % p->cap];
    free(p->handles);
    u->bytes += (cap - p->cap) * sizeof *handles;
    p->handles = handles;
    p->cap = cap;
    p->first = 0;
    return true;
}

static uint64_t pop(struct unread *u, struct unread_peer *p)
{
    uint64_t handle = p->handles[p->first];

    p->first = (p->first + 1) % p->cap;
    p->count--;
    u->count--;
    return handle;
}

bool unread_add(struct unread *u, uint32_t peer, uint64_t handle, uint64_t *displaced)
{
    struct unread_peer *p = find(u, peer);

    *displaced = 0;
    if (!p && u->count < COUNT_MAX) p = make(u, peer);
    if (!p) return false;
    if (p->count == u->per_peer) *displaced = pop(u, p);
    if (u->count >= COUNT_MAX || (p->count == p->cap && !grow(u, p))) {
        if (p->count == 0) end(u, p);
        return false;
    }
    p->handles[(p->first + p->count) % p->cap] = handle;
    p->count++;
    u->count++;
    return true;
}

bool unread_take(struct unread *u, bool (*may)(const void *context, uint32_t peer),
                 const void *context, uint32_t *peer, uint64_t *handle)
{
    for (struct list *at = u->peers.next; at != &u->peers; at = at->next) {
        struct unread_peer *p = list_entry(at, struct unread_peer, link);
        if (!may(context, p->peer)) continue;
        *peer = p->peer;
        *handle = pop(u, p);
        list_remove(&p->link);
        list_push(&u->peers, &p->link);
        if (p->count == 0) end(u, p);
        return true;
    }
    return false;
}

uint64_t unread_bytes(const struct unread *u)
{
    return u ? u->bytes : 0;
}

void unread_close(struct unread *u)
{
    struct unread_peer *p;

    while (u && (p = list_first(&u->peers, struct unread_peer, link)) != NULL) end(u, p);
    free(u);
}
