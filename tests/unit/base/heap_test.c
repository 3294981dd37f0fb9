/* SPDX-License-Identifier: MIT */
/* Goal: items leave in order of time, then of order; they can be moved and removed from
 * anywhere. Method: random operations against a linear search over all items; the heap rule is
 * checked after each. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/heap.h"
#include "base/rng.h"
#include <string.h>

static bool is_before(const struct heap_item *a, const struct heap_item *b)
{
    return a->when != b->when ? a->when < b->when : a->order < b->order;
}

static void check_heap(const struct heap *heap)
{
    uint32_t i;

    for (i = 0; i < heap->count; i++) {
        assert_int_equal(heap->items[i]->index, i + 1);
        if (i > 0) assert_false(is_before(heap->items[i], heap->items[(i - 1) / 4]));
    }
}

static void test_empty_heap_has_no_first(void **state)
{
    struct heap_item item = {0, 0, 0};
    struct heap heap;

    (void)state;
    heap_init(&heap, mem_system());
    assert_null(heap_first(&heap));
    assert_false(heap_contains(&item));
    heap_remove(&heap, &item);
    assert_null(heap_first(&heap));
    heap_free(&heap);
}

static void test_items_come_out_by_time_then_by_order(void **state)
{
    static const struct {
        uint64_t when, order;
    } in[] = {{30, 1}, {10, 9}, {20, 5}, {10, 2}, {UINT64_MAX, 0}, {0, 7}, {20, 4}, {10, 5}};
    static const unsigned out[] = {5, 3, 7, 1, 6, 2, 0, 4};
    struct heap_item items[8];
    struct heap heap;
    unsigned i;

    (void)state;
    memset(items, 0, sizeof items);
    heap_init(&heap, mem_system());
    for (i = 0; i < 8; i++) {
        items[i].order = in[i].order;
        assert_true(heap_set(&heap, &items[i], in[i].when));
        assert_true(heap_contains(&items[i]));
    }
    for (i = 0; i < 8; i++) {
        assert_ptr_equal(heap_first(&heap), &items[out[i]]);
        heap_remove(&heap, &items[out[i]]);
        assert_false(heap_contains(&items[out[i]]));
    }
    assert_null(heap_first(&heap));
    heap_free(&heap);
}

static void test_setting_again_moves_and_does_not_add(void **state)
{
    struct heap_item a = {0, 0, 0}, b = {0, 1, 0};
    struct heap heap;

    (void)state;
    heap_init(&heap, mem_system());
    assert_true(heap_set(&heap, &a, 10));
    assert_true(heap_set(&heap, &b, 20));
    assert_true(heap_set(&heap, &b, 5));
    assert_ptr_equal(heap_first(&heap), &b);
    assert_true(heap_set(&heap, &b, 50));
    assert_ptr_equal(heap_first(&heap), &a);
    assert_true(heap_set(&heap, &b, 10));
    assert_ptr_equal(heap_first(&heap), &a);
    assert_int_equal(heap.count, 2);
    assert_int_equal(b.when, 10);
    heap_free(&heap);
}

static struct heap_item *smallest(struct heap_item *items, unsigned count)
{
    struct heap_item *best = NULL;
    unsigned i;

    for (i = 0; i < count; i++) {
        if (!heap_contains(&items[i])) continue;
        if (best == NULL || is_before(&items[i], best)) best = &items[i];
    }
    return best;
}

static void test_random_operations_agree_with_a_search(void **state)
{
    enum { COUNT = 200, STEPS = 20000 };
    struct heap_item items[COUNT];
    struct heap heap;
    struct rng rng;
    unsigned step, i;

    (void)state;
    memset(items, 0, sizeof items);
    for (i = 0; i < COUNT; i++) items[i].order = i;
    rng_init(&rng, 2, "heap_test", 0);
    heap_init(&heap, mem_system());
    for (step = 0; step < STEPS; step++) {
        struct heap_item *item = &items[rng_below(&rng, COUNT)];

        switch (rng_below(&rng, 3)) {
        case 0: heap_remove(&heap, item); break;
        case 1:
            if (heap_first(&heap) != NULL) heap_remove(&heap, heap_first(&heap));
            break;
        default: assert_true(heap_set(&heap, item, rng_below(&rng, 50))); break;
        }
        if (step % 1000 < 300) assert_true(heap_set(&heap, item, rng_below(&rng, 1000)));
        assert_ptr_equal(heap_first(&heap), smallest(items, COUNT));
        if (step % 16 == 0) check_heap(&heap);
    }
    heap_free(&heap);
}

static void test_failed_growth_leaves_the_item_outside(void **state)
{
    struct heap_item items[17];
    struct mem_counter counter;
    struct heap heap;
    unsigned i;

    (void)state;
    memset(items, 0, sizeof items);
    mem_counter_init(&counter, mem_system());
    heap_init(&heap, &counter.mem);
    counter.fail_at = 1;
    assert_false(heap_set(&heap, &items[0], 1));
    assert_false(heap_contains(&items[0]));
    for (i = 0; i < 16; i++) assert_true(heap_set(&heap, &items[i], 100 - i));
    counter.fail_at = 1;
    assert_false(heap_set(&heap, &items[16], 1));
    assert_false(heap_contains(&items[16]));
    assert_int_equal(items[16].when, 0);
    assert_ptr_equal(heap_first(&heap), &items[15]);
    /* Moving needs no memory. */
    counter.fail_at = 1;
    assert_true(heap_set(&heap, &items[0], 1));
    assert_ptr_equal(heap_first(&heap), &items[0]);
    counter.fail_at = 0;
    assert_true(heap_set(&heap, &items[16], 0));
    assert_ptr_equal(heap_first(&heap), &items[16]);
    check_heap(&heap);
    heap_free(&heap);
    assert_int_equal(counter.live_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_heap_has_no_first),
        cmocka_unit_test(test_items_come_out_by_time_then_by_order),
        cmocka_unit_test(test_setting_again_moves_and_does_not_add),
        cmocka_unit_test(test_random_operations_agree_with_a_search),
        cmocka_unit_test(test_failed_growth_leaves_the_item_outside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
