/* SPDX-License-Identifier: MIT */
/* Goal: a handle names one object once; stale, forged and wrong-kind handles are told apart and
 * never resolved. Method: small tables, all single-bit changes of a good handle, reuse up to the
 * last generation. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/handle.h"
#include "weir.h"

enum { CONNECTION = 1, STREAM = 2, LAST_KIND = 31 };

static int error_of(const struct handle_table *table, uint64_t handle, unsigned kind)
{
    int error = 12345;
    void *object = handle_get(table, handle, kind, &error);

    assert_int_equal(object == NULL, error != 0);
    return error;
}

static void test_handle_has_kind_generation_and_slot(void **state)
{
    struct handle_table table;
    int a, b;
    uint64_t first, second;

    (void)state;
    handle_table_init(&table, mem_system(), 100);
    first = handle_add(&table, CONNECTION, &a);
    second = handle_add(&table, LAST_KIND, &b);
    assert_true(first == (UINT64_C(1) << 48 | 1 << 24 | 0));
    assert_true(second == (UINT64_C(31) << 48 | 1 << 24 | 1));
    assert_true(second < UINT64_C(1) << 53);
    assert_int_equal(handle_kind(first), CONNECTION);
    assert_int_equal(handle_kind(second), LAST_KIND);
    assert_int_equal(handle_kind(0), 0);
    assert_int_equal(handle_kind(UINT64_MAX), 0);
    handle_table_free(&table);
}

static void test_get_gives_the_object_and_tells_errors_apart(void **state)
{
    struct handle_table table;
    int a, b, error = 1;
    uint64_t connection, stream;

    (void)state;
    handle_table_init(&table, mem_system(), 100);
    assert_int_equal(error_of(&table, UINT64_C(1) << 48 | 1 << 24, CONNECTION), WEIR_E_STALE);
    connection = handle_add(&table, CONNECTION, &a);
    stream = handle_add(&table, STREAM, &b);
    assert_ptr_equal(handle_get(&table, connection, CONNECTION, &error), &a);
    assert_int_equal(error, 0);
    assert_ptr_equal(handle_get(&table, stream, STREAM, &error), &b);
    assert_int_equal(error_of(&table, connection, STREAM), WEIR_E_KIND);
    assert_int_equal(error_of(&table, stream, CONNECTION), WEIR_E_KIND);
    assert_int_equal(error_of(&table, 0, CONNECTION), WEIR_E_STALE);
    handle_remove(&table, connection);
    assert_int_equal(error_of(&table, connection, CONNECTION), WEIR_E_STALE);
    assert_int_equal(error_of(&table, stream, STREAM), 0);
    handle_table_free(&table);
}

static void test_no_changed_bit_goes_unnoticed(void **state)
{
    struct handle_table table;
    int a;
    uint64_t handle;
    unsigned bit, kind;

    (void)state;
    handle_table_init(&table, mem_system(), 100);
    handle = handle_add(&table, STREAM, &a);
    for (bit = 0; bit < 64; bit++) {
        uint64_t forged = handle ^ UINT64_C(1) << bit;

        for (kind = 1; kind <= LAST_KIND; kind++) {
            assert_int_equal(error_of(&table, forged, kind), WEIR_E_STALE);
        }
        handle_remove(&table, forged);
        assert_int_equal(error_of(&table, handle, STREAM), 0);
    }
    handle_table_free(&table);
}

static void test_removing_twice_does_not_free_the_next_object(void **state)
{
    struct handle_table table;
    int a, b;
    uint64_t first, second;

    (void)state;
    handle_table_init(&table, mem_system(), 1);
    first = handle_add(&table, STREAM, &a);
    handle_remove(&table, first);
    second = handle_add(&table, STREAM, &b);
    assert_true(first != second);
    handle_remove(&table, first);
    handle_remove(&table, 0);
    assert_ptr_equal(handle_get(&table, second, STREAM, NULL), &b);
    assert_int_equal(error_of(&table, first, STREAM), WEIR_E_STALE);
    handle_table_free(&table);
}

static void test_table_grows_to_its_limit_and_then_refuses(void **state)
{
    enum { SLOTS = 37 };
    struct handle_table table;
    struct mem_counter counter;
    int objects[SLOTS];
    uint64_t handles[SLOTS];
    uint32_t i;

    (void)state;
    mem_counter_init(&counter, mem_system());
    handle_table_init(&table, &counter.mem, SLOTS);
    assert_int_equal(counter.calls, 0);
    for (i = 0; i < SLOTS; i++) {
        handles[i] = handle_add(&table, STREAM, &objects[i]);
        assert_true(handles[i] != 0);
    }
    assert_true(handle_add(&table, STREAM, &objects[0]) == 0);
    assert_int_equal(counter.live_bytes, SLOTS * sizeof(struct handle_slot));
    for (i = 0; i < SLOTS; i++) {
        assert_ptr_equal(handle_get(&table, handles[i], STREAM, NULL), &objects[i]);
    }
    handle_remove(&table, handles[20]);
    assert_true(handle_add(&table, STREAM, &objects[20]) != 0);
    assert_true(handle_add(&table, STREAM, &objects[0]) == 0);
    handle_table_free(&table);
    assert_int_equal(counter.live_bytes, 0);
}

static void test_free_slots_are_reused_oldest_first(void **state)
{
    struct handle_table table;
    int object;
    uint64_t handles[4];
    unsigned i;
    static const unsigned order[4] = {2, 0, 3, 1};

    (void)state;
    handle_table_init(&table, mem_system(), 4);
    for (i = 0; i < 4; i++) handles[i] = handle_add(&table, STREAM, &object);
    for (i = 0; i < 4; i++) handle_remove(&table, handles[order[i]]);
    for (i = 0; i < 4; i++) {
        assert_int_equal(handle_add(&table, STREAM, &object) & 0xffffff, order[i]);
    }
    handle_table_free(&table);
}

static void test_slot_without_generations_is_retired(void **state)
{
    struct handle_table table;
    int object;
    uint64_t handle;
    uint32_t cursor;

    (void)state;
    handle_table_init(&table, mem_system(), 1);
    handle_remove(&table, handle_add(&table, STREAM, &object));
    assert_int_equal(table.slots[0].generation, 2);
    table.slots[0].generation = 0xfffffe;
    handle = handle_add(&table, STREAM, &object);
    handle_remove(&table, handle);
    handle = handle_add(&table, STREAM, &object);
    assert_int_equal(handle >> 24 & 0xffffff, 0xffffff);
    assert_ptr_equal(handle_get(&table, handle, STREAM, NULL), &object);
    handle_remove(&table, handle);
    assert_int_equal(error_of(&table, handle, STREAM), WEIR_E_STALE);
    assert_true(handle_add(&table, STREAM, &object) == 0);
    cursor = 0;
    assert_null(handle_next(&table, 0, &cursor, NULL));
    handle_table_free(&table);
}

static void test_walk_meets_each_object_of_a_kind_once(void **state)
{
    struct handle_table table;
    int objects[6];
    uint64_t handles[6], handle = 0;
    uint32_t cursor = 0, i, streams = 0, all = 0;
    void *object;

    (void)state;
    handle_table_init(&table, mem_system(), 100);
    assert_null(handle_next(&table, 0, &cursor, &handle));
    for (i = 0; i < 6; i++) {
        handles[i] = handle_add(&table, i % 2 == 0 ? STREAM : CONNECTION, &objects[i]);
    }
    handle_remove(&table, handles[2]);
    cursor = 0;
    while ((object = handle_next(&table, STREAM, &cursor, &handle)) != NULL) {
        assert_ptr_equal(handle_get(&table, handle, STREAM, NULL), object);
        assert_ptr_not_equal(object, &objects[2]);
        streams++;
        /* Closing what was met is allowed while walking. */
        handle_remove(&table, handle);
    }
    assert_int_equal(streams, 2);
    for (cursor = 0; handle_next(&table, 0, &cursor, NULL) != NULL; all++) continue;
    assert_int_equal(all, 3);
    handle_table_free(&table);
}

static void test_growth_is_by_a_quarter(void **state)
{
    static const uint32_t steps[] = {4, 5, 6, 7, 8, 10, 12, 15, 18, 22};
    struct handle_table table;
    int object;
    unsigned i;

    (void)state;
    handle_table_init(&table, mem_system(), 100);
    for (i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        uint32_t used = i == 0 ? 0 : steps[i - 1];

        for (; used < steps[i]; used++) {
            assert_int_equal(handle_add(&table, STREAM, &object) & 0xffffff, used);
            assert_int_equal(table.capacity, steps[i]);
        }
    }
    handle_table_free(&table);
}

static void test_failed_growth_gives_no_handle_and_keeps_the_others(void **state)
{
    struct handle_table table;
    struct mem_counter counter;
    int object;
    uint64_t first = 0, handle = 0;
    unsigned i;

    (void)state;
    mem_counter_init(&counter, mem_system());
    handle_table_init(&table, &counter.mem, HANDLE_SLOTS_MAX);
    counter.fail_at = 1;
    assert_true(handle_add(&table, STREAM, &object) == 0);
    for (i = 0; i < 15; i++) {
        handle = handle_add(&table, STREAM, &object);
        assert_true(handle != 0);
        if (i == 0) first = handle;
    }
    assert_int_equal(table.capacity, 15);
    counter.fail_at = 1;
    assert_true(handle_add(&table, STREAM, &object) == 0);
    assert_int_equal(table.capacity, 15);
    assert_ptr_equal(handle_get(&table, first, STREAM, NULL), &object);
    assert_ptr_equal(handle_get(&table, handle, STREAM, NULL), &object);
    assert_int_equal(handle_add(&table, STREAM, &object) & 0xffffff, 15);
    handle_table_free(&table);
    assert_int_equal(counter.live_blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handle_has_kind_generation_and_slot),
        cmocka_unit_test(test_get_gives_the_object_and_tells_errors_apart),
        cmocka_unit_test(test_no_changed_bit_goes_unnoticed),
        cmocka_unit_test(test_removing_twice_does_not_free_the_next_object),
        cmocka_unit_test(test_table_grows_to_its_limit_and_then_refuses),
        cmocka_unit_test(test_free_slots_are_reused_oldest_first),
        cmocka_unit_test(test_slot_without_generations_is_retired),
        cmocka_unit_test(test_walk_meets_each_object_of_a_kind_once),
        cmocka_unit_test(test_growth_is_by_a_quarter),
        cmocka_unit_test(test_failed_growth_gives_no_handle_and_keeps_the_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
