/* SPDX-License-Identifier: MIT */
#include "base/heap.h"
#include "base/assert.h"
#include <string.h>

/* Four children per node: half the levels of a binary heap, and the children share a cache line. */
enum { HEAP_WIDTH = 4, HEAP_CAPACITY_FIRST = 16 };

void heap_init(struct heap *heap, const struct mem *mem)
{
    memset(heap, 0, sizeof *heap);
    heap->mem = mem;
}

void heap_free(struct heap *heap)
{
    mem_free(heap->mem, heap->items, heap->capacity * sizeof(struct heap_item *));
    heap->items = NULL;
    heap->count = heap->capacity = 0;
}

bool heap_contains(const struct heap_item *item)
{
    return item->index != 0;
}

struct heap_item *heap_first(const struct heap *heap)
{
    return heap->count > 0 ? heap->items[0] : NULL;
}

static bool is_before(const struct heap_item *a, const struct heap_item *b)
{
    return a->when != b->when ? a->when < b->when : a->order < b->order;
}

static void place(struct heap *heap, struct heap_item *item, uint32_t at)
{
    heap->items[at] = item;
    item->index = at + 1;
}

static void sift_up(struct heap *heap, struct heap_item *item, uint32_t at)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / HEAP_WIDTH;

        if (!is_before(item, heap->items[parent])) break;
        place(heap, heap->items[parent], at);
        at = parent;
    }
    place(heap, item, at);
}

static void sift_down(struct heap *heap, struct heap_item *item, uint32_t at)
{
    for (;;) {
        /* 64 bits: the children of a place near the end would overflow 32. */
        uint64_t child = (uint64_t)at * HEAP_WIDTH + 1, last = child + HEAP_WIDTH;
        uint32_t best;

        if (child >= heap->count) break;
        best = (uint32_t)child;
        for (child++; child < last && child < heap->count; child++) {
            if (is_before(heap->items[child], heap->items[best])) best = (uint32_t)child;
        }
        if (!is_before(heap->items[best], item)) break;
        place(heap, heap->items[best], at);
        at = best;
    }
    place(heap, item, at);
}

/* The item at this place may have become smaller or larger. */
static void sift(struct heap *heap, struct heap_item *item, uint32_t at)
{
    if (at > 0 && is_before(item, heap->items[(at - 1) / HEAP_WIDTH])) {
        sift_up(heap, item, at);
    } else {
        sift_down(heap, item, at);
    }
}

static bool heap_grow(struct heap *heap)
{
    uint32_t capacity = heap->capacity == 0 ? HEAP_CAPACITY_FIRST : heap->capacity * 2;
    struct heap_item **items;

    if (capacity < heap->capacity) return false;
    items = mem_resize(heap->mem, heap->items, heap->capacity * sizeof *items,
                       capacity * sizeof *items);
    if (items == NULL) return false;
    heap->items = items;
    heap->capacity = capacity;
    return true;
}

bool heap_set(struct heap *heap, struct heap_item *item, uint64_t when)
{
    if (item->index != 0) {
        WEIR_ASSERT(item->index <= heap->count);
        WEIR_ASSERT(heap->items[item->index - 1] == item);
        item->when = when;
        sift(heap, item, item->index - 1);
        return true;
    }
    if (heap->count == heap->capacity && !heap_grow(heap)) return false;
    item->when = when;
    heap->count++;
    sift_up(heap, item, heap->count - 1);
    return true;
}

void heap_remove(struct heap *heap, struct heap_item *item)
{
    uint32_t at;
    struct heap_item *last;

    if (item->index == 0) return;
    WEIR_ASSERT(item->index <= heap->count);
    WEIR_ASSERT(heap->items[item->index - 1] == item);
    at = item->index - 1;
    item->index = 0;
    heap->count--;
    last = heap->items[heap->count];
    if (last != item) sift(heap, last, at);
}
