/* SPDX-License-Identifier: MIT */
#include "heap.h"
#include <stdlib.h>

enum { FIRST_CAPACITY = 64 };

static bool before(const struct heap_item *a, const struct heap_item *b)
{
    if (a->when_us != b->when_us) return a->when_us < b->when_us;
    if (a->place != b->place) return a->place < b->place;
    return a->sequence < b->sequence;
}

static void put_at(struct heap *heap, uint32_t at, struct heap_item *item)
{
    heap->items[at] = item;
    item->at = at + 1;
}

static void rise(struct heap *heap, uint32_t at, struct heap_item *item)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / 2;
        if (!before(item, heap->items[parent])) break;
        put_at(heap, at, heap->items[parent]);
        at = parent;
    }
    put_at(heap, at, item);
}

static void sink(struct heap *heap, uint32_t at, struct heap_item *item)
{
    uint32_t child;

    while ((child = 2 * at + 1) < heap->count) {
        if (child + 1 < heap->count && before(heap->items[child + 1], heap->items[child])) child++;
        if (!before(heap->items[child], item)) break;
        put_at(heap, at, heap->items[child]);
        at = child;
    }
    put_at(heap, at, item);
}

/* Where it belongs, from where it is. */
static void settle(struct heap *heap, uint32_t at, struct heap_item *item)
{
    if (at > 0 && before(item, heap->items[(at - 1) / 2]))
        rise(heap, at, item);
    else
        sink(heap, at, item);
}

void heap_free(struct heap *heap)
{
    free(heap->items);
    *heap = (struct heap){0};
}

bool heap_put(struct heap *heap, struct heap_item *item)
{
    if (item->at > 0) {
        settle(heap, item->at - 1, item);
        return true;
    }
    if (heap->count == heap->capacity) {
        uint32_t capacity = heap->capacity ? heap->capacity * 2 : FIRST_CAPACITY;
        struct heap_item **items = realloc(heap->items, capacity * sizeof *items);
        if (!items) return false;
        heap->items = items;
        heap->capacity = capacity;
    }
    rise(heap, heap->count++, item);
    return true;
}

void heap_take(struct heap *heap, struct heap_item *item)
{
    struct heap_item *last;
    uint32_t at = item->at;

    if (at == 0) return;
    item->at = 0;
    last = heap->items[--heap->count];
    if (last != item) settle(heap, at - 1, last);
}

struct heap_item *heap_first(const struct heap *heap)
{
    return heap->count ? heap->items[0] : NULL;
}
