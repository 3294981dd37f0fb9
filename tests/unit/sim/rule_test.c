/* SPDX-License-Identifier: MIT */
/* Goal: of the rules that fit a pair the newest holds, wrong settings are refused whole, and rules
 * take no memory beyond one per pair. Method: a table of rules, asked for pairs one by one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "sim/rule.h"
#include <string.h>

static const uint8_t hash_key[16] = {9};

static void set_delay(struct rules *rules, uint32_t a, uint32_t b, uint64_t delay_us,
                      uint32_t one_way)
{
    weir_link_options options = {
        .size = sizeof options, .delay_us_plus1 = delay_us + 1, .one_way = one_way};

    assert_int_equal(rules_set(rules, a, b, &options), 0);
}

static void test_the_newest_rule_that_fits_holds(void **state)
{
    struct rules rules;

    (void)state;
    rules_init(&rules, mem_system(), hash_key);
    assert_int_equal(rules_find(&rules, 1, 2)->delay_us, 10000);
    set_delay(&rules, 1, 2, 11, 0);
    set_delay(&rules, 0, 3, 12, 0);
    assert_int_equal(rules_find(&rules, 1, 2)->delay_us, 11);
    assert_int_equal(rules_find(&rules, 2, 1)->delay_us, 11);
    assert_int_equal(rules_find(&rules, 3, 7)->delay_us, 12);
    assert_int_equal(rules_find(&rules, 7, 3)->delay_us, 12);
    assert_int_equal(rules_find(&rules, 7, 8)->delay_us, 10000);
    set_delay(&rules, 0, 0, 13, 0);
    assert_int_equal(rules_find(&rules, 1, 2)->delay_us, 13);
    assert_int_equal(rules_find(&rules, 3, 7)->delay_us, 13);
    assert_int_equal(rules_find(&rules, 7, 8)->delay_us, 13);
    set_delay(&rules, 2, 1, 14, 1);
    assert_int_equal(rules_find(&rules, 2, 1)->delay_us, 14);
    assert_int_equal(rules_find(&rules, 1, 2)->delay_us, 13);
    rules_free(&rules);
}

static void test_settings_out_of_range_are_refused(void **state)
{
    weir_link_options bad[9];
    struct rules rules;
    size_t i;

    (void)state;
    memset(bad, 0, sizeof bad);
    bad[0].loss_ppm = 1000001;
    bad[1].burst_ppm = UINT32_MAX;
    bad[2].duplicate_ppm = 1000001;
    bad[3].corrupt_ppm = 1000001;
    bad[4].reorder_ppm = 1000001;
    bad[5].delay_us_plus1 = UINT64_MAX;
    bad[6].bandwidth_bps = UINT64_MAX;
    bad[7].queue_bytes = UINT64_MAX;
    bad[8].blackhole_start_us = 2;
    bad[8].blackhole_end_us = 1;
    rules_init(&rules, mem_system(), hash_key);
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(rules_set(&rules, 1, 2, &bad[i]), WEIR_E_ARGUMENT);
    }
    assert_int_equal(rules_find(&rules, 1, 2)->sequence, 0);
    rules_free(&rules);
}

static void test_the_queue_is_one_round_trip_of_bandwidth_but_not_small(void **state)
{
    weir_link_options options = {
        .size = sizeof options, .bandwidth_bps = 100000000, .delay_us_plus1 = 50001};
    struct rules rules;

    (void)state;
    rules_init(&rules, mem_system(), hash_key);
    assert_int_equal(rules_set(&rules, 1, 2, &options), 0);
    assert_int_equal(rules_find(&rules, 1, 2)->queue_bytes, 1250000);
    options.bandwidth_bps = 1000;
    assert_int_equal(rules_set(&rules, 1, 2, &options), 0);
    assert_int_equal(rules_find(&rules, 1, 2)->queue_bytes, 65536);
    options.queue_bytes = 1;
    assert_int_equal(rules_set(&rules, 1, 2, &options), 0);
    assert_int_equal(rules_find(&rules, 1, 2)->queue_bytes, 1);
    rules_free(&rules);
}

static void test_setting_a_pair_again_takes_no_memory(void **state)
{
    struct mem_counter counter;
    struct rules rules;
    uint64_t live;
    uint32_t i;

    (void)state;
    mem_counter_init(&counter, mem_system());
    rules_init(&rules, &counter.mem, hash_key);
    set_delay(&rules, 1, 2, 1, 0);
    live = counter.live_bytes;
    for (i = 0; i < 1000; i++) set_delay(&rules, 1, 2, i, 0);
    assert_int_equal(counter.live_bytes, live);
    rules_free(&rules);
    assert_int_equal(counter.live_bytes, 0);
}

static void test_when_memory_fails_nothing_changed(void **state)
{
    weir_link_options options = {.size = sizeof options, .delay_us_plus1 = 5};
    struct mem_counter counter;
    uint64_t at;

    (void)state;
    for (at = 1; at <= 3; at++) {
        struct rules rules;

        mem_counter_init(&counter, mem_system());
        rules_init(&rules, &counter.mem, hash_key);
        counter.fail_at = at;
        assert_int_equal(rules_set(&rules, 1, 2, &options), WEIR_E_MEMORY);
        assert_int_equal(rules_find(&rules, 1, 2)->delay_us, 10000);
        assert_int_equal(rules_find(&rules, 2, 1)->delay_us, 10000);
        assert_int_equal(rules_set(&rules, 1, 2, &options), 0);
        assert_int_equal(rules_find(&rules, 2, 1)->delay_us, 4);
        rules_free(&rules);
        assert_int_equal(counter.live_bytes, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_newest_rule_that_fits_holds),
        cmocka_unit_test(test_settings_out_of_range_are_refused),
        cmocka_unit_test(test_the_queue_is_one_round_trip_of_bandwidth_but_not_small),
        cmocka_unit_test(test_setting_a_pair_again_takes_no_memory),
        cmocka_unit_test(test_when_memory_fails_nothing_changed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
