/* SPDX-License-Identifier: MIT */
/* A tag is 16 bits that say that it is one of ours, a generation and a slot of 24 bits each, so an
 * event that was under way when its waiter left finds nobody, and not the one that came after. A
 * slot whose generations are used up is retired. */
#include "runtime.h"
#include <stdlib.h>

enum { SLOTS_MAX = 1 << 24, GENERATION_MAX = (1 << 24) - 1, FIRST_SLOTS = 64 };
static const uint64_t mark = 0x5745;

struct waiter_slot {
    struct waiter *waiter;          /* NULL: free, or retired */
    uint32_t generation, next_free; /* slot + 1; 0: none */
};
struct waiter_table {
    struct waiter_slot *slots;
    uint32_t count, capacity, free;
};

static bool grow(struct waiter_table *t)
{
    uint32_t capacity = t->capacity ? t->capacity * 2 : FIRST_SLOTS;
    struct waiter_slot *slots;

    if (capacity > SLOTS_MAX) return false;
    slots = realloc(t->slots, capacity * sizeof *slots);
    if (!slots) return false;
    t->slots = slots;
    t->capacity = capacity;
    return true;
}

uint64_t waiter_add(weir_lua *lua, struct waiter *w)
{
    struct waiter_table *t = lua->waiters;
    uint32_t slot;

    if (w->tag != 0) return w->tag;
    if (!t) {
        t = lua->waiters = calloc(1, sizeof *t);
        if (!t) return 0;
    }
    if (t->free != 0) {
        slot = t->free - 1;
        t->free = t->slots[slot].next_free;
    } else {
        if (t->count == t->capacity && !grow(t)) return 0;
        slot = t->count++;
        t->slots[slot] = (struct waiter_slot){.generation = 1};
    }
    t->slots[slot].waiter = w;
    w->tag = mark << 48 | (uint64_t)t->slots[slot].generation << 24 | slot;
    return w->tag;
}

static struct waiter_slot *find(const weir_lua *lua, uint64_t tag)
{
    struct waiter_table *t = lua->waiters;
    uint32_t slot = tag & (SLOTS_MAX - 1);

    if (!t || tag >> 48 != mark || slot >= t->count) return NULL;
    return t->slots[slot].generation == (tag >> 24 & GENERATION_MAX) ? &t->slots[slot] : NULL;
}

void waiter_remove(weir_lua *lua, struct waiter *w)
{
    struct waiter_slot *slot = find(lua, w->tag);

    w->tag = 0;
    if (!slot) return;
    slot->waiter = NULL;
    if (slot->generation == GENERATION_MAX) return;
    slot->generation++;
    slot->next_free = lua->waiters->free;
    lua->waiters->free = (uint32_t)(slot - lua->waiters->slots) + 1;
}

struct waiter *waiter_find(weir_lua *lua, uint64_t tag, bool *is_tag)
{
    struct waiter_slot *slot = find(lua, tag);

    if (is_tag) *is_tag = tag >> 48 == mark;
    return slot ? slot->waiter : NULL;
}

void waiters_free(weir_lua *lua)
{
    if (lua->waiters) free(lua->waiters->slots);
    free(lua->waiters);
    lua->waiters = NULL;
}
