/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_HEAP_H
#define WEIR_LUA_HEAP_H
#include <stdbool.h>
#include <stdint.h>

/** What will be due, the earliest first; of equal times the smaller place, then the smaller
 *  sequence, so that a run repeats itself. Items are inside what they time. */
struct heap_item {
    uint64_t when_us, place, sequence;
    uint32_t at;               /**< its slot + 1; 0: in no heap */
};
struct heap {
    struct heap_item **items;
    uint32_t count, capacity;
};
void heap_free(struct heap *heap);
/** Put it in, or where it belongs after its fields changed. @return false without memory */
bool heap_put(struct heap *heap, struct heap_item *item);
void heap_take(struct heap *heap, struct heap_item *item);
struct heap_item *heap_first(const struct heap *heap);
#endif
