/* SPDX-License-Identifier: MIT */
/* Goal: memory is zeroed, counted to the byte and fails exactly when told. Method: small blocks
 * through a counter over the system allocator, with the expected figures written out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/mem.h"
#include <string.h>

static void test_alloc_gives_zeroed_bytes(void **state)
{
    /* A dirty block of the same size first, so that the allocator likely gives it again. */
    uint8_t *block = mem_resize(mem_system(), NULL, 0, 64);
    size_t i;

    (void)state;
    assert_non_null(block);
    memset(block, 0xa5, 64);
    mem_free(mem_system(), block, 64);
    block = mem_alloc(mem_system(), 64);
    assert_non_null(block);
    for (i = 0; i < 64; i++) assert_int_equal(block[i], 0);
    mem_free(mem_system(), block, 64);
}

static void test_resize_keeps_the_bytes_that_fit(void **state)
{
    char *block = mem_alloc(mem_system(), 4);

    (void)state;
    assert_non_null(block);
    memcpy(block, "abcd", 4);
    block = mem_resize(mem_system(), block, 4, 5000);
    assert_non_null(block);
    assert_memory_equal(block, "abcd", 4);
    block = mem_resize(mem_system(), block, 5000, 2);
    assert_non_null(block);
    assert_memory_equal(block, "ab", 2);
    assert_null(mem_resize(mem_system(), block, 2, 0));
}

static void test_free_of_null_does_nothing(void **state)
{
    struct mem_counter counter;

    (void)state;
    mem_counter_init(&counter, mem_system());
    mem_free(&counter.mem, NULL, 0);
    mem_free(&counter.mem, NULL, 10);
    assert_int_equal(counter.live_bytes, 0);
    assert_int_equal(counter.calls, 0);
}

static void test_counter_follows_live_peak_blocks_and_calls(void **state)
{
    struct mem_counter counter;
    void *a, *b;

    (void)state;
    mem_counter_init(&counter, mem_system());
    a = mem_alloc(&counter.mem, 100);
    b = mem_alloc(&counter.mem, 50);
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(counter.live_bytes, 150);
    assert_int_equal(counter.live_blocks, 2);
    a = mem_resize(&counter.mem, a, 100, 300);
    assert_int_equal(counter.live_bytes, 350);
    assert_int_equal(counter.live_blocks, 2);
    a = mem_resize(&counter.mem, a, 300, 10);
    assert_int_equal(counter.live_bytes, 60);
    mem_free(&counter.mem, b, 50);
    assert_int_equal(counter.live_bytes, 10);
    mem_free(&counter.mem, a, 10);
    assert_int_equal(counter.live_bytes, 0);
    assert_int_equal(counter.live_blocks, 0);
    assert_int_equal(counter.peak_bytes, 350);
    /* Freeing is not counted: calls is how many places there are to fail. */
    assert_int_equal(counter.calls, 4);
}

static void test_counter_fails_the_chosen_call_once(void **state)
{
    struct mem_counter counter;
    void *a, *b;

    (void)state;
    mem_counter_init(&counter, mem_system());
    counter.fail_at = 2;
    a = mem_alloc(&counter.mem, 8);
    assert_non_null(a);
    assert_null(mem_alloc(&counter.mem, 8));
    assert_int_equal(counter.live_bytes, 8);
    assert_int_equal(counter.live_blocks, 1);
    b = mem_alloc(&counter.mem, 8);
    assert_non_null(b);
    mem_free(&counter.mem, a, 8);
    mem_free(&counter.mem, b, 8);
    assert_int_equal(counter.live_bytes, 0);
}

static void test_failed_resize_leaves_the_old_block_valid(void **state)
{
    struct mem_counter counter;
    char *block;

    (void)state;
    mem_counter_init(&counter, mem_system());
    block = mem_alloc(&counter.mem, 3);
    assert_non_null(block);
    memcpy(block, "old", 3);
    counter.fail_at = 1;
    assert_null(mem_resize(&counter.mem, block, 3, 4096));
    assert_memory_equal(block, "old", 3);
    assert_int_equal(counter.live_bytes, 3);
    assert_int_equal(counter.peak_bytes, 3);
    mem_free(&counter.mem, block, 3);
    assert_int_equal(counter.live_bytes, 0);
}

static void test_freeing_does_not_use_up_the_failure(void **state)
{
    struct mem_counter counter;
    void *block;

    (void)state;
    mem_counter_init(&counter, mem_system());
    block = mem_alloc(&counter.mem, 8);
    counter.fail_at = 1;
    mem_free(&counter.mem, block, 8);
    assert_int_equal(counter.fail_at, 1);
    assert_null(mem_alloc(&counter.mem, 8));
    assert_int_equal(counter.fail_at, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc_gives_zeroed_bytes),
        cmocka_unit_test(test_resize_keeps_the_bytes_that_fit),
        cmocka_unit_test(test_free_of_null_does_nothing),
        cmocka_unit_test(test_counter_follows_live_peak_blocks_and_calls),
        cmocka_unit_test(test_counter_fails_the_chosen_call_once),
        cmocka_unit_test(test_failed_resize_leaves_the_old_block_valid),
        cmocka_unit_test(test_freeing_does_not_use_up_the_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
