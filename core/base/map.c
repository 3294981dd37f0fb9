/* SPDX-License-Identifier: MIT */
/* Linear probing with backward-shift deletion.
 *
 * Invariant: between the home of a value (hash modulo capacity) and the slot where it lies there
 * is no empty slot. A look-up may therefore stop at the first empty slot. Deletion restores the
 * invariant by moving later values of the run back instead of leaving a tombstone, so that the
 * cost of a look-up depends on what is inside and never on what has been. At least a quarter of
 * the slots is empty, so every probe ends. */
#include "base/map.h"
#include "base/assert.h"
#include "base/hash.h"
#include <string.h>

enum { MAP_CAPACITY_MIN = 8 };
#define MAP_CAPACITY_MAX (UINT32_C(1) << 31)

void map_init(struct map *map, const struct mem *mem, const uint8_t *hash_key,
              const void *(*key_of)(const void *value, size_t *len))
{
    memset(map, 0, sizeof *map);
    map->mem = mem;
    map->hash_key = hash_key;
    map->key_of = key_of;
}

size_t map_bytes(const struct map *map)
{
    return (size_t)map->capacity * sizeof *map->slots;
}

void map_free(struct map *map)
{
    mem_free(map->mem, map->slots, map_bytes(map));
    map->slots = NULL;
    map->capacity = map->count = 0;
}

static bool key_is(const struct map *map, const void *value, const void *key, size_t len)
{
    size_t other_len = 0;
    const void *other = map->key_of(value, &other_len);

    if (other_len != len) return false;
    return len == 0 || memcmp(other, key, len) == 0;
}

/* The slot that holds the key, or the empty one where it would go; capacity > 0. */
static uint32_t map_find(const struct map *map, uint64_t hash, const void *key, size_t len)
{
    uint32_t mask = map->capacity - 1;
    uint32_t i = (uint32_t)hash & mask;

    while (map->slots[i].value != NULL) {
        if (map->slots[i].hash == hash && key_is(map, map->slots[i].value, key, len)) break;
        i = (i + 1) & mask;
    }
    return i;
}

void *map_get(const struct map *map, const void *key, size_t len)
{
    if (map->count == 0) return NULL;
    return map->slots[map_find(map, hash_sip13(map->hash_key, key, len), key, len)].value;
}

static bool map_rehash(struct map *map, uint32_t capacity)
{
    struct map_slot *slots;
    uint32_t mask = capacity - 1, i, to;

    WEIR_ASSERT(map->count < capacity);
    slots = mem_alloc(map->mem, (size_t)capacity * sizeof *slots);
    if (slots == NULL) return false;
    for (i = 0; i < map->capacity; i++) {
        if (map->slots[i].value == NULL) continue;
        to = (uint32_t)map->slots[i].hash & mask;
        while (slots[to].value != NULL) to = (to + 1) & mask;
        slots[to] = map->slots[i];
    }
    mem_free(map->mem, map->slots, map_bytes(map));
    map->slots = slots;
    map->capacity = capacity;
    return true;
}

bool map_add(struct map *map, void *value)
{
    size_t len = 0;
    const void *key;
    uint64_t hash;
    uint32_t i = 0;

    WEIR_ASSERT(value != NULL);
    key = map->key_of(value, &len);
    hash = hash_sip13(map->hash_key, key, len);
    if (map->capacity > 0) {
        i = map_find(map, hash, key, len);
        if (map->slots[i].value != NULL) return false;
    }
    if (map->count >= map->capacity / 4 * 3) {
        uint32_t capacity = map->capacity == 0 ? MAP_CAPACITY_MIN : map->capacity * 2;

        if (map->capacity == MAP_CAPACITY_MAX || !map_rehash(map, capacity)) return false;
        i = map_find(map, hash, key, len);
    }
    map->slots[i].hash = hash;
    map->slots[i].value = value;
    map->count++;
    return true;
}

/* Empty slot i and close the gap. */
static void map_shift(struct map *map, uint32_t i)
{
    uint32_t mask = map->capacity - 1, next = i;

    for (;;) {
        next = (next + 1) & mask;
        if (map->slots[next].value == NULL) break;
        /* What lies at its home or between its home and the gap stays: moved back it would be
         * before its home. */
        if (((next - (uint32_t)map->slots[next].hash) & mask) < ((next - i) & mask)) continue;
        map->slots[i] = map->slots[next];
        i = next;
    }
    map->slots[i].hash = 0;
    map->slots[i].value = NULL;
}

void *map_remove(struct map *map, const void *key, size_t len)
{
    uint32_t i;
    void *value;

    if (map->count == 0) return NULL;
    i = map_find(map, hash_sip13(map->hash_key, key, len), key, len);
    value = map->slots[i].value;
    if (value == NULL) return NULL;
    map_shift(map, i);
    map->count--;
    /* Shrinking is a courtesy: without memory for the smaller table the larger one stays. */
    if (map->capacity > MAP_CAPACITY_MIN && map->count < map->capacity / 8) {
        (void)map_rehash(map, map->capacity / 2);
    }
    return value;
}

void *map_next(const struct map *map, uint32_t *cursor)
{
    while (*cursor < map->capacity) {
        void *value = map->slots[(*cursor)++].value;

        if (value != NULL) return value;
    }
    return NULL;
}
