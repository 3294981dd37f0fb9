/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BASE_HEAP_H
#define WEIR_BASE_HEAP_H
#include "base/mem.h"
#include <stdbool.h>
/** Intrusive 4-ary timer heap. Equal times come out in the order of `order` (smaller first), then
 *  of nothing else: give each item its own order where a trace must be repeatable. */
struct heap_item {
    uint64_t when;             /**< microseconds, or any key */
    uint64_t order;
    uint32_t index;            /**< place + 1; 0: not in a heap. Zero the item before first use. */
};
struct heap {
    const struct mem *mem;
    struct heap_item **items;
    uint32_t count, capacity;
};
void heap_init(struct heap *heap, const struct mem *mem);
void heap_free(struct heap *heap);
/** Insert, or move an item that is inside. @return false when there is no memory (then nothing
 *  changed) */
bool heap_set(struct heap *heap, struct heap_item *item, uint64_t when);
/** An item that is not inside is allowed. */
void heap_remove(struct heap *heap, struct heap_item *item);
struct heap_item *heap_first(const struct heap *heap); /**< or NULL */
bool heap_contains(const struct heap_item *item);
#endif
