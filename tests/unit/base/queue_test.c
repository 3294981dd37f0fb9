/* SPDX-License-Identifier: MIT */
/* Goal: each policy does what it says when the queue is full, order is kept, every refusal is
 * counted, and the budget is charged for slots. Method: one test per policy; random pushes and
 * pops against an array; failures one by one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/queue.h"
#include "base/rng.h"
#include "weir.h"
#include <string.h>

static void push_all(struct queue *q, uint32_t from, uint32_t to)
{
    uint32_t i;

    for (i = from; i < to; i++) assert_int_equal(queue_push(q, &i, NULL), 1);
}

static void pop_all(struct queue *q, uint32_t from, uint32_t to)
{
    uint32_t i, item;

    for (i = from; i < to; i++) {
        assert_true(queue_pop(q, &item));
        assert_int_equal(item, i);
    }
}

static void test_blocked_is_zero_and_the_item_is_not_taken(void **state)
{
    struct queue q;
    uint32_t item = 99;

    (void)state;
    queue_init(&q, mem_system(), NULL, sizeof item, 3, QUEUE_BLOCK, NULL);
    assert_false(queue_pop(&q, &item));
    push_all(&q, 0, 3);
    assert_int_equal(queue_push(&q, &item, NULL), 0);
    assert_int_equal(q.blocked, 1);
    assert_int_equal(q.dropped, 0);
    pop_all(&q, 0, 1);
    push_all(&q, 3, 4);
    pop_all(&q, 1, 4);
    assert_false(queue_pop(&q, &item));
    assert_int_equal(q.accepted, 4);
    queue_free(&q);
}

static void test_newest_is_dropped_and_counted(void **state)
{
    struct queue q;
    uint32_t item = 99;

    (void)state;
    queue_init(&q, mem_system(), NULL, sizeof item, 3, QUEUE_DROP_NEW, NULL);
    push_all(&q, 0, 3);
    assert_int_equal(queue_push(&q, &item, NULL), 0);
    assert_int_equal(queue_push(&q, &item, NULL), 0);
    assert_int_equal(q.dropped, 2);
    assert_int_equal(q.accepted, 3);
    assert_int_equal(q.blocked, 0);
    pop_all(&q, 0, 3);
    assert_int_equal(q.count, 0);
    queue_free(&q);
}

static void test_oldest_is_dropped_and_counted(void **state)
{
    struct queue q;

    (void)state;
    queue_init(&q, mem_system(), NULL, sizeof(uint32_t), 3, QUEUE_DROP_OLD, NULL);
    push_all(&q, 0, 8);
    assert_int_equal(q.dropped, 5);
    assert_int_equal(q.accepted, 8);
    assert_int_equal(q.count, 3);
    pop_all(&q, 5, 8);
    queue_free(&q);
}

struct pair {
    uint32_t key, sum;
};

static bool pair_merge(void *queued, const void *item)
{
    struct pair *into = queued;
    const struct pair *from = item;

    if (into->key != from->key) return false;
    into->sum += from->sum;
    return true;
}

static void test_equal_items_are_merged_and_others_dropped_when_full(void **state)
{
    static const struct pair in[] = {{1, 10}, {2, 20}, {1, 5}, {3, 1}, {2, 2}};
    static const struct pair out[] = {{1, 15}, {2, 22}};
    struct queue q;
    struct pair pair;
    unsigned i;

    (void)state;
    queue_init(&q, mem_system(), NULL, sizeof pair, 2, QUEUE_MERGE, pair_merge);
    for (i = 0; i < 5; i++) assert_int_equal(queue_push(&q, &in[i], NULL), i == 3 ? 0 : 1);
    assert_int_equal(q.merged, 2);
    assert_int_equal(q.accepted, 2);
    assert_int_equal(q.dropped, 1);
    for (i = 0; i < 2; i++) {
        assert_true(queue_pop(&q, &pair));
        assert_memory_equal(&pair, &out[i], sizeof pair);
    }
    /* What was popped is not merged into any more. */
    assert_int_equal(queue_push(&q, &in[0], NULL), 1);
    assert_int_equal(q.accepted, 3);
    queue_free(&q);
}

static void test_at_gives_items_by_age(void **state)
{
    struct queue q;
    uint32_t i;

    (void)state;
    queue_init(&q, mem_system(), NULL, sizeof i, 8, QUEUE_BLOCK, NULL);
    assert_null(queue_at(&q, 0));
    push_all(&q, 0, 8);
    pop_all(&q, 0, 5);
    push_all(&q, 8, 12);
    for (i = 0; i < 7; i++) assert_int_equal(*(uint32_t *)queue_at(&q, i), 5 + i);
    assert_null(queue_at(&q, 7));
    assert_null(queue_at(&q, UINT32_MAX));
    queue_free(&q);
}

static void test_budget_is_charged_for_slots_and_given_back(void **state)
{
    struct mem_counter counter;
    struct budget budget;
    struct queue q;

    (void)state;
    mem_counter_init(&counter, mem_system());
    budget_init(&budget, NULL, LIMIT_SCOPE_CONNECTION, 1, UINT64_MAX, NULL);
    queue_init(&q, &counter.mem, &budget, sizeof(uint32_t), 100, QUEUE_BLOCK, NULL);
    assert_int_equal(budget.used, 0);
    push_all(&q, 0, 1);
    assert_int_equal(budget.used, 8 * 4);
    push_all(&q, 1, 9);
    assert_int_equal(budget.used, 16 * 4);
    push_all(&q, 9, 100);
    assert_int_equal(budget.used, 100 * 4);
    assert_int_equal(counter.live_bytes, 100 * 4);
    pop_all(&q, 0, 99);
    assert_int_equal(budget.used, 100 * 4);
    /* Empty: what the burst took is given back, the first slots stay for the next single item. */
    pop_all(&q, 99, 100);
    assert_int_equal(budget.used, 0);
    assert_int_equal(counter.live_bytes, 0);
    push_all(&q, 0, 8);
    pop_all(&q, 0, 8);
    assert_int_equal(budget.used, 8 * 4);
    queue_free(&q);
    assert_int_equal(budget.used, 0);
    assert_int_equal(counter.live_bytes, 0);
    queue_free(&q);
    budget_end(&budget);
}

static void test_refused_budget_is_an_error_with_its_facts(void **state)
{
    static const enum queue_policy policies[] = {QUEUE_BLOCK, QUEUE_DROP_NEW};
    unsigned i;

    (void)state;
    for (i = 0; i < 2; i++) {
        struct limit_record limit;
        struct budget budget;
        struct queue q;
        uint32_t item = 8;

        budget_init(&budget, NULL, LIMIT_SCOPE_CONNECTION, 5, 63, "owner");
        queue_init(&q, mem_system(), &budget, sizeof item, 100, policies[i], NULL);
        push_all(&q, 0, 8);
        assert_int_equal(queue_push(&q, &item, &limit), WEIR_E_BUDGET);
        assert_int_equal(limit.name, 5);
        assert_int_equal(limit.used, 32);
        assert_int_equal(limit.max, 63);
        assert_int_equal(q.count, 8);
        assert_int_equal(q.accepted, 8);
        budget.max = 64;
        push_all(&q, 8, 9);
        pop_all(&q, 0, 9);
        queue_free(&q);
        budget_end(&budget);
    }
}

static void test_drop_old_makes_place_when_the_budget_is_refused(void **state)
{
    struct budget budget;
    struct queue q;
    uint32_t item = 0;

    (void)state;
    budget_init(&budget, NULL, LIMIT_SCOPE_CONNECTION, 5, 31, NULL);
    queue_init(&q, mem_system(), &budget, sizeof item, 100, QUEUE_DROP_OLD, NULL);
    /* Not even the first slots: there is nothing to drop. */
    assert_int_equal(queue_push(&q, &item, NULL), WEIR_E_BUDGET);
    budget.max = 32;
    push_all(&q, 0, 20);
    assert_int_equal(q.dropped, 12);
    assert_int_equal(budget.used, 32);
    pop_all(&q, 12, 20);
    queue_free(&q);
    budget_end(&budget);
}

static void test_failed_allocation_keeps_items_and_charge(void **state)
{
    struct mem_counter counter;
    struct budget budget;
    struct queue q;
    uint32_t item = 8;

    (void)state;
    mem_counter_init(&counter, mem_system());
    budget_init(&budget, NULL, LIMIT_SCOPE_CONNECTION, 5, UINT64_MAX, NULL);
    queue_init(&q, &counter.mem, &budget, sizeof item, 100, QUEUE_DROP_OLD, NULL);
    counter.fail_at = 1;
    assert_int_equal(queue_push(&q, &item, NULL), WEIR_E_MEMORY);
    assert_int_equal(budget.used, 0);
    push_all(&q, 0, 8);
    counter.fail_at = 1;
    assert_int_equal(queue_push(&q, &item, NULL), WEIR_E_MEMORY);
    assert_int_equal(budget.used, 32);
    assert_int_equal(q.dropped, 0);
    push_all(&q, 8, 9);
    pop_all(&q, 0, 9);
    queue_free(&q);
    assert_int_equal(counter.live_bytes, 0);
    budget_end(&budget);
}

/* Items of an odd size: 3 bytes that spell the sequence number. */
static void spell(uint8_t item[3], uint64_t n)
{
    item[0] = (uint8_t)(n & 0xff);
    item[1] = (uint8_t)(n >> 8 & 0xff);
    item[2] = (uint8_t)(n % 251);
}

static void test_random_pushes_and_pops_keep_the_order(void **state)
{
    static const uint32_t maxima[] = {1, 7, 8, 9, 50, 333};
    unsigned i, step;

    (void)state;
    for (i = 0; i < sizeof maxima / sizeof maxima[0]; i++) {
        struct queue q;
        struct rng rng;
        uint64_t in = 0, out = 0;
        uint8_t item[3], expected[3];

        rng_init(&rng, 5, "queue_test", i);
        queue_init(&q, mem_system(), NULL, 3, maxima[i], QUEUE_BLOCK, NULL);
        for (step = 0; step < 5000; step++) {
            if (rng_below(&rng, 100) < (step / 1000 % 2 == 0 ? 65u : 35u)) {
                spell(item, in);
                assert_int_equal(queue_push(&q, item, NULL), in - out < maxima[i] ? 1 : 0);
                if (in - out < maxima[i]) in++;
            } else {
                spell(expected, out);
                assert_int_equal(queue_pop(&q, item), out < in);
                if (out < in) assert_memory_equal(item, expected, 3);
                if (out < in) out++;
            }
            assert_int_equal(q.count, in - out);
            assert_true(q.capacity <= maxima[i]);
        }
        assert_int_equal(q.accepted, in);
        queue_free(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocked_is_zero_and_the_item_is_not_taken),
        cmocka_unit_test(test_newest_is_dropped_and_counted),
        cmocka_unit_test(test_oldest_is_dropped_and_counted),
        cmocka_unit_test(test_equal_items_are_merged_and_others_dropped_when_full),
        cmocka_unit_test(test_at_gives_items_by_age),
        cmocka_unit_test(test_budget_is_charged_for_slots_and_given_back),
        cmocka_unit_test(test_refused_budget_is_an_error_with_its_facts),
        cmocka_unit_test(test_drop_old_makes_place_when_the_budget_is_refused),
        cmocka_unit_test(test_failed_allocation_keeps_items_and_charge),
        cmocka_unit_test(test_random_pushes_and_pops_keep_the_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
