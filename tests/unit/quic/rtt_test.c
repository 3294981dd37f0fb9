/* SPDX-License-Identifier: MIT */
/* Goal: the round-trip estimate follows RFC 9002, section 5 and A.7. Method: samples computed
 * by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/rtt.h"

static void test_start_values_are_those_of_the_rfc(void **state)
{
    struct rtt rtt;

    (void)state;
    rtt_init(&rtt);
    assert_int_equal(rtt.smoothed_us, 333000);
    assert_int_equal(rtt.variance_us, 166000);
    assert_false(rtt_is_sampled(&rtt));
    assert_int_equal(rtt_pto_us(&rtt, 0), 333000 + 4 * 166000);
    assert_int_equal(rtt_pto_us(&rtt, 25000), 333000 + 4 * 166000 + 25000);
}

static void test_samples_by_hand(void **state)
{
    static const struct {
        uint64_t latest_us, delay_us;
        bool confirmed;
        uint64_t min_us, variance_us, smoothed_us;
    } rows[] = {
        /* First: smoothed = sample, variance = half, the delay is not looked at. */
        {100000, 20000, true, 100000, 50000, 100000},
        /* 140 - 20 = 120 ms: variance (150000 + 20000) / 4, smoothed (700000 + 120000) / 8. */
        {140000, 20000, true, 100000, 42500, 102500},
        /* The delay is capped at 25 ms: adjusted 135 ms; |102500 - 135000| = 32500. */
        {160000, 90000, true, 100000, 40000, 106562},
        /* Before confirmation it is not: 160 - 50 = 110 ms; |106562 - 110000| = 3438. */
        {160000, 50000, false, 100000, 30859, 106991},
        /* 105 - 20 would be below the minimum: the sample stays whole; |106991 - 105000| = 1991. */
        {105000, 20000, true, 100000, 23642, 106742},
        /* A new minimum is raw; |106742 - 80000| = 26742. */
        {80000, 10000, true, 80000, 24417, 103399},
    };
    struct rtt rtt;

    (void)state;
    rtt_init(&rtt);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rtt_on_sample(&rtt, 7 + i, rows[i].latest_us, rows[i].delay_us, rows[i].confirmed, 25000);
        assert_int_equal(rtt.latest_us, rows[i].latest_us);
        assert_int_equal(rtt.min_us, rows[i].min_us);
        assert_int_equal(rtt.variance_us, rows[i].variance_us);
        assert_int_equal(rtt.smoothed_us, rows[i].smoothed_us);
    }
    assert_int_equal(rtt.first_sample_us, 7);
}

static void test_delay_of_exactly_the_rest_above_the_minimum_is_taken(void **state)
{
    struct rtt rtt;

    (void)state;
    rtt_init(&rtt);
    rtt_on_sample(&rtt, 0, 100000, 0, true, 25000);
    rtt_on_sample(&rtt, 1, 120000, 20000, true, 25000);
    assert_int_equal(rtt.smoothed_us, 100000);
    rtt_init(&rtt);
    rtt_on_sample(&rtt, 0, 100000, 0, true, 25000);
    rtt_on_sample(&rtt, 1, 119999, 20000, true, 25000);
    assert_int_equal(rtt.smoothed_us, (700000 + 119999) / 8);
}

static void test_pto_and_loss_delay_have_a_granularity(void **state)
{
    struct rtt rtt;

    (void)state;
    rtt_init(&rtt);
    rtt_on_sample(&rtt, 0, 0, 0, true, 0);
    assert_int_equal(rtt.latest_us, 1);
    assert_int_equal(rtt.smoothed_us, 1);
    assert_int_equal(rtt_loss_delay_us(&rtt), 1000);
    assert_int_equal(rtt_pto_us(&rtt, 0), 1001);
}

static void test_loss_delay_takes_the_larger_of_smoothed_and_latest(void **state)
{
    struct rtt rtt;

    (void)state;
    rtt_init(&rtt);
    rtt_on_sample(&rtt, 0, 80000, 0, true, 0);
    assert_int_equal(rtt_loss_delay_us(&rtt), 90000);
    rtt_on_sample(&rtt, 1, 160000, 0, true, 0);
    assert_int_equal(rtt.smoothed_us, 90000);
    assert_int_equal(rtt_loss_delay_us(&rtt), 180000);
    rtt_on_sample(&rtt, 2, 10000, 0, true, 0);
    assert_int_equal(rtt.smoothed_us, 80000);
    assert_int_equal(rtt_loss_delay_us(&rtt), 90000);
}

static void test_minimum_restarts_with_the_next_sample_only(void **state)
{
    struct rtt rtt;

    (void)state;
    rtt_init(&rtt);
    rtt_on_sample(&rtt, 0, 50000, 0, true, 0);
    rtt_restart_min(&rtt);
    assert_int_equal(rtt.min_us, 50000);
    rtt_on_sample(&rtt, 1, 200000, 0, true, 0);
    assert_int_equal(rtt.min_us, 200000);
    rtt_on_sample(&rtt, 2, 300000, 0, true, 0);
    assert_int_equal(rtt.min_us, 200000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_values_are_those_of_the_rfc),
        cmocka_unit_test(test_samples_by_hand),
        cmocka_unit_test(test_delay_of_exactly_the_rest_above_the_minimum_is_taken),
        cmocka_unit_test(test_pto_and_loss_delay_have_a_granularity),
        cmocka_unit_test(test_loss_delay_takes_the_larger_of_smoothed_and_latest),
        cmocka_unit_test(test_minimum_restarts_with_the_next_sample_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
