/* SPDX-License-Identifier: MIT */
/* Goal: the limits that follow from two knobs fit each other for any value of the knobs, and the
 * table is whole. Method: budgets from nothing to the largest, powers of two and the
 * numbers next to them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/budget.h"
#include "limits/limits.h"
#include <string.h>

#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1024) * KIB)

static void check_fit(uint64_t memory_bytes, uint64_t peers_max)
{
    struct limits limits;
    const uint64_t *v = limits.value;

    limits_derive(&limits, memory_bytes, peers_max);
    if (memory_bytes != 0) assert_int_equal(v[LIMIT_NODE_MEMORY], memory_bytes);
    if (peers_max != 0) assert_int_equal(v[LIMIT_PEERS], peers_max);
    assert_true(v[LIMIT_PEERS] >= 1);
    assert_true(v[LIMIT_PEER_MEMORY] <= v[LIMIT_NODE_MEMORY]);
    /* What a peer may be granted is a part of what it may hold. */
    assert_true(v[LIMIT_CONNECTION_WINDOW] <= v[LIMIT_PEER_MEMORY] / 2);
    assert_true(v[LIMIT_STREAM_WINDOW] <= v[LIMIT_CONNECTION_WINDOW]);
    assert_true(v[LIMIT_STREAM_SEND] <= v[LIMIT_PEER_MEMORY] / 2);
    assert_true(v[LIMIT_CONNECTION_WINDOW_FIRST] <= v[LIMIT_CONNECTION_WINDOW]);
    assert_true(v[LIMIT_STREAM_WINDOW_FIRST] <= v[LIMIT_STREAM_WINDOW]);
    assert_true(v[LIMIT_STREAM_WINDOW_FIRST] <= v[LIMIT_CONNECTION_WINDOW_FIRST]);
    for (unsigned i = 1; i < LIMIT_COUNT; i++) {
        if (memory_bytes >= 4) assert_true(v[i] > 0);
        if (limit_info(i)->value != 0 && i != LIMIT_CONNECTION_WINDOW_FIRST &&
            i != LIMIT_STREAM_WINDOW_FIRST)
            assert_int_equal(v[i], limit_info(i)->value);
    }
}

static void test_limits_of_any_budget_fit_each_other(void **state)
{
    static const uint64_t peers[] = {0, 1, 5, 1 << 20};

    (void)state;
    for (size_t p = 0; p < sizeof peers / sizeof peers[0]; p++) {
        check_fit(0, peers[p]);
        for (unsigned bit = 0; bit < 64; bit++) {
            uint64_t power = UINT64_C(1) << bit;

            check_fit(power, peers[p]);
            check_fit(power + 1, peers[p]);
            check_fit(power - 1 == 0 ? 1 : power - 1, peers[p]);
        }
        check_fit(UINT64_MAX, peers[p]);
    }
}

static void test_the_defaults_are_those_that_the_comment_promises(void **state)
{
    struct limits limits;
    const uint64_t *v = limits.value;

    (void)state;
    limits_derive(&limits, 0, 0);
    assert_int_equal(v[LIMIT_NODE_MEMORY], 256 * MIB);
    assert_int_equal(v[LIMIT_PEER_MEMORY], 16 * MIB);
    assert_int_equal(v[LIMIT_PEERS], 4096);
    assert_int_equal(v[LIMIT_CONNECTION_WINDOW], 8 * MIB);
    assert_int_equal(v[LIMIT_STREAM_WINDOW], 4 * MIB);
    assert_int_equal(v[LIMIT_STREAM_SEND], 4 * MIB);
    assert_int_equal(v[LIMIT_STREAM_WINDOW_FIRST], 128 * KIB);
}

static void test_a_small_budget_shrinks_the_first_windows(void **state)
{
    struct limits limits;
    const uint64_t *v = limits.value;

    (void)state;
    limits_derive(&limits, 256 * KIB, 0); /* the least that weir.h takes */
    assert_int_equal(v[LIMIT_PEER_MEMORY], 64 * KIB);
    assert_int_equal(v[LIMIT_PEERS], 8);
    assert_int_equal(v[LIMIT_CONNECTION_WINDOW_FIRST], 32 * KIB);
    assert_int_equal(v[LIMIT_STREAM_WINDOW_FIRST], 16 * KIB);
    limits_derive(&limits, 32 * KIB, 0);
    assert_int_equal(v[LIMIT_PEER_MEMORY], 32 * KIB); /* never more than the node has */
}

static void test_every_row_of_the_table_is_whole(void **state)
{
    (void)state;
    for (unsigned i = 1; i < LIMIT_COUNT; i++) {
        const struct limit_info *row = limit_info(i);

        assert_int_equal(strspn(row->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(row->name));
        assert_in_range(strlen(row->name), 4, 31); /* weir_error.limit_name */
        assert_true(strlen(row->unit) > 0 && strlen(row->why) > 8);
        assert_in_range(row->scope, LIMIT_SCOPE_NODE, LIMIT_SCOPE_STREAM);
        assert_int_equal(limit_find(row->name), i); /* so no name is there twice */
    }
    assert_int_equal(limit_find("no_such_limit"), LIMIT_NONE);
    assert_int_equal(limit_find(""), LIMIT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits_of_any_budget_fit_each_other),
        cmocka_unit_test(test_the_defaults_are_those_that_the_comment_promises),
        cmocka_unit_test(test_a_small_budget_shrinks_the_first_windows),
        cmocka_unit_test(test_every_row_of_the_table_is_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
