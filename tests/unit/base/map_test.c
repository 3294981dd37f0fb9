/* SPDX-License-Identifier: MIT */
/* Goal: the map finds what is inside, only that, at every load; it grows, shrinks and fails
 * cleanly. Method: keys that all have one home (searched for with the known hash key), 100,000
 * inserts, and random adding and removing compared with an array. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/hash.h"
#include "base/map.h"
#include "base/rng.h"
#include <stdlib.h>
#include <string.h>

static const uint8_t hash_key[16] = {7, 1, 8, 2, 8, 1, 8, 2, 8, 4, 5, 9, 0, 4, 5, 2};

struct entry {
    uint32_t number; /* the key */
    bool mark;       /**< inside, gone or seen: each test says */
};

static const void *number_of(const void *value, size_t *len)
{
    *len = sizeof(uint32_t);
    return &((const struct entry *)value)->number;
}

static void *get(const struct map *map, uint32_t number)
{
    return map_get(map, &number, sizeof number);
}

static void *take(struct map *map, uint32_t number)
{
    return map_remove(map, &number, sizeof number);
}

static void test_empty_map_allocates_nothing_and_finds_nothing(void **state)
{
    struct mem_counter counter;
    struct map map;
    uint32_t cursor = 0;

    (void)state;
    mem_counter_init(&counter, mem_system());
    map_init(&map, &counter.mem, hash_key, number_of);
    assert_null(get(&map, 1));
    assert_null(take(&map, 1));
    assert_null(map_next(&map, &cursor));
    assert_int_equal(map_bytes(&map), 0);
    assert_int_equal(counter.calls, 0);
    map_free(&map);
}

static void test_added_values_are_found_and_a_second_key_is_refused(void **state)
{
    struct entry a = {1, false}, b = {2, false}, a_again = {1, false};
    struct map map;

    (void)state;
    map_init(&map, mem_system(), hash_key, number_of);
    assert_true(map_add(&map, &a));
    assert_true(map_add(&map, &b));
    assert_false(map_add(&map, &a_again));
    assert_ptr_equal(get(&map, 1), &a);
    assert_ptr_equal(get(&map, 2), &b);
    assert_null(get(&map, 3));
    assert_int_equal(map.count, 2);
    assert_ptr_equal(take(&map, 1), &a);
    assert_null(get(&map, 1));
    assert_null(take(&map, 1));
    assert_true(map_add(&map, &a_again));
    assert_ptr_equal(get(&map, 1), &a_again);
    map_free(&map);
    assert_int_equal(map.count, 0);
    assert_null(get(&map, 2));
}

struct text {
    const char *bytes;
    size_t len;
};

static const void *text_of(const void *value, size_t *len)
{
    *len = ((const struct text *)value)->len;
    return ((const struct text *)value)->bytes;
}

static void test_keys_are_compared_in_full_length(void **state)
{
    struct text texts[] = {{NULL, 0}, {"\0", 1}, {"\0\0", 2}, {"a", 1}, {"ab", 2}, {"a\0", 2}};
    struct map map;
    size_t i;

    (void)state;
    map_init(&map, mem_system(), hash_key, text_of);
    for (i = 0; i < 6; i++) assert_true(map_add(&map, &texts[i]));
    for (i = 0; i < 6; i++) {
        assert_ptr_equal(map_get(&map, texts[i].bytes, texts[i].len), &texts[i]);
    }
    assert_null(map_get(&map, "abc", 3));
    assert_ptr_equal(map_remove(&map, NULL, 0), &texts[0]);
    assert_null(map_get(&map, "", 0));
    map_free(&map);
}

static void test_capacity_doubles_at_three_quarters(void **state)
{
    static const struct {
        uint32_t count, capacity;
    } steps[] = {{0, 0}, {1, 8}, {6, 8}, {7, 16}, {12, 16}, {13, 32}, {24, 32}, {25, 64}};
    struct entry entries[25] = {{0, false}};
    struct map map;
    uint32_t i, step = 0;

    (void)state;
    map_init(&map, mem_system(), hash_key, number_of);
    for (i = 0; i <= 25; i++) {
        if (steps[step].count == i) {
            assert_int_equal(map.capacity, steps[step].capacity);
            assert_int_equal(map_bytes(&map), steps[step].capacity * 16);
            step++;
        }
        if (i == 25) break;
        entries[i].number = i;
        assert_true(map_add(&map, &entries[i]));
    }
    /* 64 slots: 8 values are an eighth and stay, 7 are below. */
    for (i = 0; i < 17; i++) assert_non_null(take(&map, i));
    assert_int_equal(map.capacity, 64);
    assert_non_null(take(&map, 17));
    assert_int_equal(map.capacity, 32);
    for (i = 18; i < 25; i++) assert_ptr_equal(get(&map, i), &entries[i]);
    for (i = 18; i < 25; i++) assert_non_null(take(&map, i));
    assert_int_equal(map.count, 0);
    assert_int_equal(map.capacity, 8);
    map_free(&map);
}

/* Keys whose home is the last slot of any table up to 256 slots: every run wraps around the end. */
static void find_hostile(struct entry *entries, uint32_t count)
{
    uint32_t number = 0, found = 0;

    while (found < count) {
        if ((hash_sip13(hash_key, &number, sizeof number) & 255) == 255) {
            entries[found].number = number;
            entries[found++].mark = false;
        }
        number++;
    }
}

static void test_keys_of_one_home_are_told_apart(void **state)
{
    enum { COUNT = 96 };
    struct entry entries[COUNT + 1];
    struct map map;
    uint32_t i, gone;

    (void)state;
    find_hostile(entries, COUNT + 1);
    map_init(&map, mem_system(), hash_key, number_of);
    for (i = 0; i < COUNT; i++) assert_true(map_add(&map, &entries[i]));
    assert_int_equal(map.capacity, 128);
    assert_null(get(&map, entries[COUNT].number));
    /* Out of the middle, then from the front: each removal closes its gap. */
    for (gone = 0; gone < COUNT; gone++) {
        uint32_t at = (gone * 35 + 40) % COUNT;

        assert_ptr_equal(take(&map, entries[at].number), &entries[at]);
        entries[at].mark = true; /* gone */
        for (i = 0; i < COUNT; i++) {
            struct entry *expected = entries[i].mark ? NULL : &entries[i];

            assert_ptr_equal(get(&map, entries[i].number), expected);
        }
    }
    assert_int_equal(map.count, 0);
    map_free(&map);
}

static void test_equal_hashes_of_different_keys_are_told_apart(void **state)
{
    struct entry a = {1, false};
    uint32_t other = 2, home;
    struct map map;

    (void)state;
    /* No two keys with one 64-bit hash are known, so a's slot is moved to where 2 would lie. */
    map_init(&map, mem_system(), hash_key, number_of);
    assert_true(map_add(&map, &a));
    memset(map.slots, 0, map_bytes(&map));
    home = (uint32_t)(hash_sip13(hash_key, &other, sizeof other) & (map.capacity - 1));
    map.slots[home].hash = hash_sip13(hash_key, &other, sizeof other);
    map.slots[home].value = &a;
    assert_null(get(&map, other));
    assert_null(take(&map, other));
    map_free(&map);
}

static void test_hundred_thousand_are_added_and_removed(void **state)
{
    enum { COUNT = 100000 };
    struct entry *entries = calloc(COUNT, sizeof *entries), *entry;
    struct mem_counter counter;
    struct map map;
    uint32_t i, cursor = 0, seen = 0;

    (void)state;
    assert_non_null(entries);
    mem_counter_init(&counter, mem_system());
    map_init(&map, &counter.mem, hash_key, number_of);
    for (i = 0; i < COUNT; i++) {
        entries[i].number = i;
        assert_true(map_add(&map, &entries[i]));
        /* Removal during load: every third one leaves again at once, and the one before is still
         * there. */
        if (i % 3 == 2) {
            assert_ptr_equal(take(&map, i), &entries[i]);
            assert_ptr_equal(get(&map, i - 1), &entries[i - 1]);
        }
    }
    assert_int_equal(map.count, COUNT - COUNT / 3);
    assert_true(counter.live_bytes == map_bytes(&map));
    while ((entry = map_next(&map, &cursor)) != NULL) {
        assert_false(entry->mark);
        entry->mark = true;
        seen++;
    }
    assert_int_equal(seen, map.count);
    for (i = 0; i < COUNT; i++) {
        assert_int_equal(entries[i].mark, i % 3 != 2);
        assert_ptr_equal(take(&map, i), i % 3 != 2 ? &entries[i] : NULL);
    }
    assert_int_equal(map.count, 0);
    assert_int_equal(map.capacity, 8);
    map_free(&map);
    assert_int_equal(counter.live_bytes, 0);
    free(entries);
}

static void test_random_changes_agree_with_an_array(void **state)
{
    enum { COUNT = 300, STEPS = 60000 };
    struct entry entries[COUNT];
    struct map map;
    struct rng rng;
    uint32_t i, count = 0;

    (void)state;
    rng_init(&rng, 1, "map_test", 0);
    /* Half of the keys are hostile. */
    find_hostile(entries, COUNT / 2);
    for (i = COUNT / 2; i < COUNT; i++) entries[i] = (struct entry){UINT32_MAX - i, false};
    map_init(&map, mem_system(), hash_key, number_of);
    for (i = 0; i < STEPS; i++) {
        /* The population swings between nearly all and nearly none. */
        bool adds = rng_below(&rng, 100) < (i / 3000 % 2 == 0 ? 80u : 20u);
        struct entry *entry = &entries[rng_below(&rng, COUNT)];

        if (adds) {
            assert_int_equal(map_add(&map, entry), !entry->mark);
            count += entry->mark ? 0 : 1;
            entry->mark = true;
        } else {
            assert_ptr_equal(take(&map, entry->number), entry->mark ? entry : NULL);
            count -= entry->mark ? 1 : 0;
            entry->mark = false;
        }
        entry = &entries[rng_below(&rng, COUNT)];
        assert_ptr_equal(get(&map, entry->number), entry->mark ? entry : NULL);
        assert_int_equal(map.count, count);
        assert_true(map.count <= map.capacity / 4 * 3);
    }
    map_free(&map);
}

static void test_failed_growth_changes_nothing(void **state)
{
    struct entry entries[8];
    struct mem_counter counter;
    struct map map;
    uint32_t i;

    (void)state;
    for (i = 0; i < 8; i++) entries[i] = (struct entry){i, false};
    mem_counter_init(&counter, mem_system());
    map_init(&map, &counter.mem, hash_key, number_of);
    counter.fail_at = 1;
    assert_false(map_add(&map, &entries[0]));
    assert_int_equal(map.capacity, 0);
    assert_null(get(&map, 0));
    for (i = 0; i < 6; i++) assert_true(map_add(&map, &entries[i]));
    counter.fail_at = 1;
    assert_false(map_add(&map, &entries[6]));
    assert_int_equal(map.count, 6);
    assert_int_equal(map.capacity, 8);
    assert_null(get(&map, 6));
    for (i = 0; i < 6; i++) assert_ptr_equal(get(&map, i), &entries[i]);
    assert_true(map_add(&map, &entries[6]));
    /* Removing to one of 16 asks for a smaller table; without memory the larger one stays and is
     * right. */
    for (i = 0; i < 5; i++) assert_non_null(take(&map, i));
    assert_int_equal(map.capacity, 16);
    counter.fail_at = 1;
    assert_ptr_equal(take(&map, 5), &entries[5]);
    assert_int_equal(counter.fail_at, 0);
    assert_int_equal(map.capacity, 16);
    assert_ptr_equal(get(&map, 6), &entries[6]);
    map_free(&map);
    assert_int_equal(counter.live_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_map_allocates_nothing_and_finds_nothing),
        cmocka_unit_test(test_added_values_are_found_and_a_second_key_is_refused),
        cmocka_unit_test(test_keys_are_compared_in_full_length),
        cmocka_unit_test(test_capacity_doubles_at_three_quarters),
        cmocka_unit_test(test_keys_of_one_home_are_told_apart),
        cmocka_unit_test(test_equal_hashes_of_different_keys_are_told_apart),
        cmocka_unit_test(test_hundred_thousand_are_added_and_removed),
        cmocka_unit_test(test_random_changes_agree_with_an_array),
        cmocka_unit_test(test_failed_growth_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
