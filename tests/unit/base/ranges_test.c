/* SPDX-License-Identifier: MIT */
/* Goal: the set holds exactly the numbers that were added and not taken, in as few ranges as
 * possible, and never more than allowed. Method: tables for the edges, then random operations
 * against an array of flags. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/ranges.h"
#include "base/rng.h"
#include "weir.h"
#include <string.h>

#define MEM mem_system()

static void check(const struct ranges *set, const struct range *expected, uint32_t count)
{
    uint32_t i;

    assert_int_equal(set->count, count);
    for (i = 0; i < count; i++) {
        assert_int_equal(set->items[i].start, expected[i].start);
        assert_int_equal(set->items[i].end, expected[i].end);
    }
}

static void three_init(struct ranges *set, const struct mem *mem, uint32_t count_max)
{
    ranges_init(set, count_max);
    assert_int_equal(ranges_add(set, 10, 20, mem), 0);
    assert_int_equal(ranges_add(set, 30, 40, mem), 0);
    assert_int_equal(ranges_add(set, 50, 60, mem), 0);
}

static void test_adding_merges_what_overlaps_or_touches(void **state)
{
    static const struct {
        uint64_t start, end;
        uint32_t count;
        struct range expected[4];
    } cases[] = {
        {1, 5, 4, {{1, 5}, {10, 20}, {30, 40}, {50, 60}}},
        {1, 9, 4, {{1, 9}, {10, 20}, {30, 40}, {50, 60}}},
        {1, 10, 3, {{1, 20}, {30, 40}, {50, 60}}},
        {15, 16, 3, {{10, 20}, {30, 40}, {50, 60}}},
        {10, 20, 3, {{10, 20}, {30, 40}, {50, 60}}},
        {20, 21, 3, {{10, 21}, {30, 40}, {50, 60}}},
        {21, 29, 4, {{10, 20}, {21, 29}, {30, 40}, {50, 60}}},
        {20, 30, 2, {{10, 40}, {50, 60}}},
        {15, 55, 1, {{10, 60}}},
        {0, UINT64_MAX, 1, {{0, UINT64_MAX}}},
        {60, 70, 3, {{10, 20}, {30, 40}, {50, 70}}},
        {61, 70, 4, {{10, 20}, {30, 40}, {50, 60}, {61, 70}}},
        {25, 50, 2, {{10, 20}, {25, 60}}},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ranges set;

        three_init(&set, MEM, 10);
        assert_int_equal(ranges_add(&set, cases[i].start, cases[i].end, MEM), 0);
        check(&set, cases[i].expected, cases[i].count);
        ranges_free(&set, MEM);
    }
}

static void test_removing_cuts_splits_and_deletes(void **state)
{
    static const struct {
        uint64_t start, end;
        uint32_t count;
        struct range expected[4];
    } cases[] = {
        {0, 10, 3, {{10, 20}, {30, 40}, {50, 60}}},
        {20, 30, 3, {{10, 20}, {30, 40}, {50, 60}}},
        {60, UINT64_MAX, 3, {{10, 20}, {30, 40}, {50, 60}}},
        {0, 11, 3, {{11, 20}, {30, 40}, {50, 60}}},
        {19, 30, 3, {{10, 19}, {30, 40}, {50, 60}}},
        {30, 40, 2, {{10, 20}, {50, 60}}},
        {31, 39, 4, {{10, 20}, {30, 31}, {39, 40}, {50, 60}}},
        {30, 39, 3, {{10, 20}, {39, 40}, {50, 60}}},
        {31, 40, 3, {{10, 20}, {30, 31}, {50, 60}}},
        {15, 55, 2, {{10, 15}, {55, 60}}},
        {10, 60, 0, {{0, 0}}},
        {0, UINT64_MAX, 0, {{0, 0}}},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ranges set;

        three_init(&set, MEM, 10);
        assert_int_equal(ranges_remove(&set, cases[i].start, cases[i].end, MEM), 0);
        check(&set, cases[i].expected, cases[i].count);
        ranges_free(&set, MEM);
    }
}

static void test_dropping_below_cuts_the_one_that_straddles(void **state)
{
    static const struct {
        uint64_t below;
        uint32_t count;
        struct range expected[3];
    } cases[] = {
        {0, 3, {{10, 20}, {30, 40}, {50, 60}}},
        {10, 3, {{10, 20}, {30, 40}, {50, 60}}},
        {11, 3, {{11, 20}, {30, 40}, {50, 60}}},
        {20, 2, {{30, 40}, {50, 60}}},
        {25, 2, {{30, 40}, {50, 60}}},
        {59, 1, {{59, 60}}},
        {60, 0, {{0, 0}}},
        {UINT64_MAX, 0, {{0, 0}}},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ranges set;

        three_init(&set, MEM, 3);
        ranges_drop_below(&set, cases[i].below);
        check(&set, cases[i].expected, cases[i].count);
        ranges_free(&set, MEM);
    }
}

static void test_look_ups_answer_at_the_edges(void **state)
{
    struct ranges set;

    (void)state;
    three_init(&set, MEM, 3);
    assert_false(ranges_contains(&set, 9));
    assert_true(ranges_contains(&set, 10));
    assert_true(ranges_contains(&set, 19));
    assert_false(ranges_contains(&set, 20));
    assert_false(ranges_contains(&set, UINT64_MAX));
    assert_true(ranges_covers(&set, 30, 40));
    assert_true(ranges_covers(&set, 35, 36));
    assert_false(ranges_covers(&set, 30, 41));
    assert_false(ranges_covers(&set, 29, 31));
    assert_false(ranges_covers(&set, 10, 40));
    assert_int_equal(ranges_at_or_above(&set, 0)->start, 10);
    assert_int_equal(ranges_at_or_above(&set, 19)->start, 10);
    assert_int_equal(ranges_at_or_above(&set, 20)->start, 30);
    assert_int_equal(ranges_at_or_above(&set, 59)->start, 50);
    assert_null(ranges_at_or_above(&set, 60));
    assert_int_equal(ranges_total(&set), 30);
    ranges_drop_first(&set);
    assert_int_equal(ranges_at_or_above(&set, 0)->start, 30);
    ranges_clear(&set, MEM);
    assert_int_equal(set.count, 0);
    assert_null(set.items);
    assert_null(ranges_at_or_above(&set, 0));
    assert_int_equal(ranges_total(&set), 0);
    ranges_drop_first(&set);
    ranges_drop_below(&set, 5);
    assert_int_equal(ranges_remove(&set, 0, 5, MEM), 0);
    assert_int_equal(ranges_add(&set, 1, 2, MEM), 0);
    ranges_free(&set, MEM);
}

static void test_one_range_too_many_is_refused_and_changes_nothing(void **state)
{
    static const struct range three[] = {{10, 20}, {30, 40}, {50, 60}};
    static const struct range merged[] = {{10, 40}, {50, 60}};
    struct ranges set;

    (void)state;
    three_init(&set, MEM, 3);
    assert_int_equal(ranges_add(&set, 5, 6, MEM), WEIR_E_LIMIT);
    assert_int_equal(ranges_add(&set, 25, 26, MEM), WEIR_E_LIMIT);
    assert_int_equal(ranges_add(&set, 70, 80, MEM), WEIR_E_LIMIT);
    assert_int_equal(ranges_remove(&set, 35, 36, MEM), WEIR_E_LIMIT);
    check(&set, three, 3);
    /* What does not need another range still works at the limit. */
    assert_int_equal(ranges_remove(&set, 30, 36, MEM), 0);
    assert_int_equal(ranges_add(&set, 20, 36, MEM), 0);
    check(&set, merged, 2);
    assert_int_equal(ranges_add(&set, 70, 80, MEM), 0);
    ranges_free(&set, MEM);
    ranges_init(&set, 0);
    assert_int_equal(ranges_add(&set, 1, 2, MEM), WEIR_E_LIMIT);
    assert_null(set.items);
}

static void test_every_second_number_is_bounded_in_memory(void **state)
{
    enum { COUNT_MAX = 100 };
    struct mem_counter counter;
    struct ranges set;
    uint64_t i;

    (void)state;
    mem_counter_init(&counter, mem_system());
    ranges_init(&set, COUNT_MAX);
    for (i = 0; i < 1000; i++) {
        assert_int_equal(ranges_add(&set, 2 * i, 2 * i + 1, &counter.mem),
                         i < COUNT_MAX ? 0 : WEIR_E_LIMIT);
    }
    assert_int_equal(set.count, COUNT_MAX);
    assert_int_equal(counter.peak_bytes, COUNT_MAX * sizeof(struct range));
    ranges_free(&set, &counter.mem);
    assert_int_equal(counter.live_bytes, 0);
}

static void test_room_is_made_at_once_and_given_back(void **state)
{
    const struct range three[] = {{10, 20}, {30, 40}, {50, 60}};
    struct mem_counter counter;
    struct budget budget;
    struct ranges set;

    (void)state;
    mem_counter_init(&counter, mem_system());
    budget_init(&budget, NULL, LIMIT_SCOPE_STREAM, 0, 100 * sizeof(struct range), NULL);
    ranges_init(&set, 20);
    ranges_set_budget(&set, &budget);
    assert_int_equal(ranges_reserve(&set, 16, &counter.mem), 0);
    assert_int_equal(set.capacity, 16);
    assert_int_equal(budget.used, 16 * sizeof(struct range));
    assert_int_equal(ranges_reserve(&set, 8, &counter.mem), 0);
    assert_int_equal(set.capacity, 16);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ranges_add(&set, three[i].start, three[i].end, &counter.mem), 0);
    assert_int_equal(counter.calls, 1);
    ranges_trim(&set, &counter.mem);
    check(&set, three, 3);
    assert_int_equal(set.capacity, 3);
    assert_int_equal(budget.used, 3 * sizeof(struct range));
    counter.fail_at = 1;
    assert_int_equal(ranges_reserve(&set, 16, &counter.mem), WEIR_E_MEMORY);
    budget.max = 4 * sizeof(struct range);
    assert_int_equal(ranges_reserve(&set, 16, &counter.mem), WEIR_E_BUDGET);
    check(&set, three, 3);
    budget.max = 100 * sizeof(struct range);
    assert_int_equal(ranges_reserve(&set, 64, &counter.mem), 0);
    assert_int_equal(set.capacity, 20); /* never more than may be kept */
    ranges_drop_below(&set, 100);
    ranges_trim(&set, &counter.mem);
    assert_int_equal(counter.live_bytes, 0);
    assert_int_equal(budget.used, 0);
    budget_end(&budget);
}

static void test_failed_allocation_changes_nothing(void **state)
{
    static const struct range four[] = {{10, 20}, {30, 40}, {50, 60}, {70, 80}};
    struct mem_counter counter;
    struct ranges set;

    (void)state;
    mem_counter_init(&counter, mem_system());
    ranges_init(&set, 10);
    counter.fail_at = 1;
    assert_int_equal(ranges_add(&set, 1, 2, &counter.mem), WEIR_E_MEMORY);
    assert_int_equal(set.count, 0);
    three_init(&set, &counter.mem, 10);
    assert_int_equal(ranges_add(&set, 70, 80, &counter.mem), 0);
    counter.fail_at = 1;
    assert_int_equal(ranges_add(&set, 1, 2, &counter.mem), WEIR_E_MEMORY);
    check(&set, four, 4);
    counter.fail_at = 1;
    assert_int_equal(ranges_remove(&set, 15, 16, &counter.mem), WEIR_E_MEMORY);
    check(&set, four, 4);
    assert_int_equal(ranges_remove(&set, 15, 16, &counter.mem), 0);
    assert_int_equal(set.count, 5);
    ranges_free(&set, &counter.mem);
    assert_int_equal(counter.live_bytes, 0);
}

enum { NUMBERS = 400 };

/* What the set would have to look like: the runs of set flags. */
static uint32_t runs_of(const bool *flags, struct range *runs)
{
    uint32_t count = 0;
    unsigned i;

    for (i = 0; i < NUMBERS; i++) {
        if (!flags[i]) continue;
        if (i == 0 || !flags[i - 1]) runs[count++].start = i;
        runs[count - 1].end = i + 1;
    }
    return count;
}

static void check_model(const struct ranges *set, const bool *flags)
{
    struct range runs[NUMBERS];
    uint64_t total = 0, n, next = UINT64_MAX;

    check(set, runs, runs_of(flags, runs));
    for (n = NUMBERS; n-- > 0;) {
        const struct range *at = ranges_at_or_above(set, n);

        if (flags[n]) next = n;
        total += flags[n] ? 1 : 0;
        assert_int_equal(ranges_contains(set, n), flags[n]);
        assert_int_equal(at == NULL, next == UINT64_MAX);
        if (at != NULL) assert_int_equal(at->start > n ? at->start : n, next);
    }
    assert_int_equal(ranges_total(set), total);
}

static void test_random_operations_agree_with_flags(void **state)
{
    enum { COUNT_MAX = 20, STEPS = 10000 };
    bool flags[NUMBERS] = {false}, after[NUMBERS];
    struct range runs[NUMBERS];
    struct ranges set;
    struct rng rng;
    unsigned step, limits = 0;

    (void)state;
    rng_init(&rng, 4, "ranges_test", 0);
    ranges_init(&set, COUNT_MAX);
    for (step = 0; step < STEPS; step++) {
        uint64_t start = rng_below(&rng, NUMBERS), end = start + 1 + rng_below(&rng, 12);
        uint64_t action = rng_below(&rng, 100), n;
        int status = 0;

        if (end > NUMBERS) end = NUMBERS;
        memcpy(after, flags, sizeof flags);
        if (action == 0) {
            start = 0;
            ranges_drop_below(&set, end);
        } else if (action < 55) {
            status = ranges_add(&set, start, end, MEM);
        } else {
            status = ranges_remove(&set, start, end, MEM);
        }
        for (n = start; n < end; n++) after[n] = action >= 1 && action < 55;
        if (runs_of(after, runs) > COUNT_MAX) {
            assert_int_equal(status, WEIR_E_LIMIT);
            limits++;
        } else {
            assert_int_equal(status, 0);
            memcpy(flags, after, sizeof flags);
        }
        if (step % 4 == 0) check_model(&set, flags);
    }
    assert_true(limits > 100);
    ranges_free(&set, MEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adding_merges_what_overlaps_or_touches),
        cmocka_unit_test(test_removing_cuts_splits_and_deletes),
        cmocka_unit_test(test_dropping_below_cuts_the_one_that_straddles),
        cmocka_unit_test(test_look_ups_answer_at_the_edges),
        cmocka_unit_test(test_one_range_too_many_is_refused_and_changes_nothing),
        cmocka_unit_test(test_every_second_number_is_bounded_in_memory),
        cmocka_unit_test(test_room_is_made_at_once_and_given_back),
        cmocka_unit_test(test_failed_allocation_changes_nothing),
        cmocka_unit_test(test_random_operations_agree_with_flags),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
