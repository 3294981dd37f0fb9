/* SPDX-License-Identifier: MIT */
#include "base/queue.h"
#include "base/assert.h"
#include "weir.h"
#include <string.h>

/* Slots that an empty queue keeps: a queue that carries one item at a time must not allocate for
 * each. */
enum { QUEUE_SLOTS_FIRST = 8 };

void queue_init(struct queue *q, const struct mem *mem, struct budget *budget, uint32_t item_size,
                uint32_t count_max, enum queue_policy policy,
                bool (*merge)(void *queued, const void *item))
{
    WEIR_ASSERT(item_size > 0);
    WEIR_ASSERT(count_max > 0);
    WEIR_ASSERT((policy == QUEUE_MERGE) == (merge != NULL));
    memset(q, 0, sizeof *q);
    q->mem = mem;
    q->budget = budget;
    q->item_size = item_size;
    q->count_max = count_max;
    q->policy = policy;
    q->merge = merge;
}

static size_t slots_bytes(const struct queue *q, uint32_t slots)
{
    return (size_t)slots * q->item_size;
}

static void queue_release(struct queue *q)
{
    if (q->capacity == 0) return;
    mem_free(q->mem, q->items, slots_bytes(q, q->capacity));
    budget_refund(q->budget, slots_bytes(q, q->capacity));
    q->items = NULL;
    q->capacity = q->first = 0;
}

void queue_free(struct queue *q)
{
    queue_release(q);
    q->count = 0;
}

/* The slot of the i-th oldest item; 64 bits, as first + i may pass 32. */
static uint8_t *slot_at(const struct queue *q, uint32_t i)
{
    uint64_t slot = (uint64_t)q->first + i;

    if (slot >= q->capacity) slot -= q->capacity;
    return q->items + (size_t)slot * q->item_size;
}

void *queue_at(const struct queue *q, uint32_t i)
{
    return i < q->count ? slot_at(q, i) : NULL;
}

static int queue_grow(struct queue *q, struct limit_record *limit)
{
    uint32_t growth = q->capacity == 0 ? QUEUE_SLOTS_FIRST : q->capacity;
    uint32_t capacity, older;
    uint8_t *items;

    if (growth > q->count_max - q->capacity) growth = q->count_max - q->capacity;
    capacity = q->capacity + growth;
    if (!budget_charge(q->budget, slots_bytes(q, growth), limit)) return WEIR_E_BUDGET;
    items = mem_alloc(q->mem, slots_bytes(q, capacity));
    if (items == NULL) {
        budget_refund(q->budget, slots_bytes(q, growth));
        return WEIR_E_MEMORY;
    }
    if (q->capacity > 0) {
        /* Full when it grows: the oldest run from first to the end, then the ones before first. */
        older = q->capacity - q->first;
        memcpy(items, q->items + slots_bytes(q, q->first), slots_bytes(q, older));
        memcpy(items + slots_bytes(q, older), q->items, slots_bytes(q, q->first));
        mem_free(q->mem, q->items, slots_bytes(q, q->capacity));
    }
    q->items = items;
    q->capacity = capacity;
    q->first = 0;
    return 0;
}

static void drop_first(struct queue *q)
{
    q->first = q->first + 1 < q->capacity ? q->first + 1 : 0;
    q->count--;
}

static bool merged_into_queued(struct queue *q, const void *item)
{
    uint32_t i;

    for (i = 0; i < q->count; i++) {
        if (!q->merge(slot_at(q, i), item)) continue;
        q->merged++;
        return true;
    }
    return false;
}

/* @return whether there is place now */
static bool make_place(struct queue *q)
{
    if (q->count < q->count_max) return true;
    if (q->policy == QUEUE_BLOCK) {
        q->blocked++;
        return false;
    }
    q->dropped++;
    if (q->policy != QUEUE_DROP_OLD) return false;
    drop_first(q);
    return true;
}

int queue_push(struct queue *q, const void *item, struct limit_record *limit)
{
    int status;

    if (q->policy == QUEUE_MERGE && merged_into_queued(q, item)) return 1;
    if (!make_place(q)) return 0;
    if (q->count == q->capacity) {
        status = queue_grow(q, limit);
        /* A refused budget is a full queue for this policy, as long as there is something to
         * drop. */
        if (status == WEIR_E_BUDGET && q->policy == QUEUE_DROP_OLD && q->count > 0) {
            q->dropped++;
            drop_first(q);
            status = 0;
        }
        if (status != 0) return status;
    }
    q->count++;
    memcpy(slot_at(q, q->count - 1), item, q->item_size);
    q->accepted++;
    return 1;
}

bool queue_pop(struct queue *q, void *item)
{
    if (q->count == 0) return false;
    memcpy(item, slot_at(q, 0), q->item_size);
    drop_first(q);
    /* What a burst took is given back when it is over. */
    if (q->count == 0 && q->capacity > QUEUE_SLOTS_FIRST) queue_release(q);
    return true;
}
