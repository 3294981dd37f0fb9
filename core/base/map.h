/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BASE_MAP_H
#define WEIR_BASE_MAP_H
#include "base/mem.h"
#include <stdbool.h>

/** A keyed hash map from byte strings to pointers: open addressing, linear probing, SipHash-1-3,
 *  backward-shift deletion (no tombstones, so a remote that opens and closes cannot slow look-ups
 *  down).
 *
 *  The map stores pointers; the key lives inside the value and is found by key_of. 16 bytes per
 *  slot; nothing is allocated until the first insert, capacity doubles from 8 at 3/4 load and
 *  shrinks again below 1/8. Iteration order depends on the hash key: never let a decision depend on
 *  it. */
struct map_slot {
    uint64_t hash;
    void *value;               /**< NULL: empty */
};
struct map {
    const struct mem *mem;
    const uint8_t *hash_key;   /**< 16 bytes, outlives the map */
    const void *(*key_of)(const void *value, size_t *len);
    struct map_slot *slots;
    uint32_t capacity, count;
};
void map_init(struct map *map, const struct mem *mem, const uint8_t *hash_key,
              const void *(*key_of)(const void *value, size_t *len));
/** Frees the slots, not the values. */
void map_free(struct map *map);
void *map_get(const struct map *map, const void *key, size_t len);
/** @return false when there is no memory or the key exists already */
bool map_add(struct map *map, void *value);
/** @return the value that was removed, or NULL */
void *map_remove(struct map *map, const void *key, size_t len);
/** Walk in slot order: cursor starts at 0. @return the next value or NULL at the end. Do not change
 *  the map meanwhile. */
void *map_next(const struct map *map, uint32_t *cursor);
/** Bytes that the slots take. */
size_t map_bytes(const struct map *map);
#endif
