/* SPDX-License-Identifier: MIT */
/* Goal: a window leaves over a round trip, in bursts of bounded size. Method: virtual
 * microseconds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/pacer.h"

static void test_rate_and_burst(void **state)
{
    static const struct {
        uint64_t window, smoothed_us;
        bool slow_start;
        uint32_t datagram;
        uint64_t rate, burst;
    } rows[] = {
        {12000, 100000, false, 1200, 150000, 12000}, /* slow: 10 datagrams */
        {12000, 100000, true, 1200, 240000, 12000},
        {1200000, 100000, false, 1200, 15000000, 30000},       /* 2 ms worth */
        {100000000, 10000, false, 1200, 12500000000u, 307200}, /* 256 datagrams */
        {1u << 30, 0, true, 1200, 100000000000u, 307200},      /* the cap; no division by 0 */
        {2400, 4000000000u, false, 1200, 1, 12000},            /* never 0 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pacer p;

        pacer_init(&p, 0, rows[i].window, rows[i].smoothed_us, rows[i].datagram);
        pacer_set_rate(&p, 0, rows[i].window, rows[i].smoothed_us, rows[i].slow_start,
                       rows[i].datagram);
        assert_int_equal(p.rate_bytes_per_s, rows[i].rate);
        assert_int_equal(p.burst_bytes, rows[i].burst);
    }
}

static void test_first_burst_leaves_at_once_then_the_rate_holds(void **state)
{
    struct pacer p;
    uint64_t now_us = 0, sent = 0, previous_us = 0;

    (void)state;
    pacer_init(&p, 0, 120000, 100000, 1200);
    pacer_set_rate(&p, 0, 120000, 100000, false, 1200); /* 1.5 MB/s: 800 us per datagram */
    assert_int_equal(pacer_budget_bytes(&p, 0), 12000);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(pacer_next_time(&p, 0, 1200), 0);
        pacer_on_sent(&p, 0, 1200);
    }
    assert_int_equal(pacer_budget_bytes(&p, 0), 0);
    for (int i = 0; i < 1000; i++) {
        now_us = pacer_next_time(&p, now_us, 1200);
        assert_int_equal(now_us - previous_us, 800);
        assert_true(pacer_budget_bytes(&p, now_us) >= 1200);
        pacer_on_sent(&p, now_us, 1200);
        previous_us = now_us;
        sent += 1200;
    }
    assert_int_equal(sent * 1000000 / now_us, 1500000);
}

static void test_no_byte_is_lost_to_rounding(void **state)
{
    struct pacer p;
    uint64_t sent = 0;

    (void)state;
    pacer_init(&p, 0, 12000, 333000, 1200);
    pacer_set_rate(&p, 0, 12000, 333000, false, 1200); /* 45,045 bytes/s: 0.045 per us */
    pacer_on_sent(&p, 0, 12000);
    for (uint64_t now_us = 1; now_us <= 10000000; now_us += 7) {
        uint64_t budget = pacer_budget_bytes(&p, now_us);

        pacer_on_sent(&p, now_us, budget);
        sent += budget;
    }
    assert_in_range(sent, 450449, 450450);
}

static void test_idle_fills_one_bucket_and_no_more(void **state)
{
    struct pacer p;

    (void)state;
    pacer_init(&p, 0, 1200000, 100000, 1200);
    pacer_set_rate(&p, 0, 1200000, 100000, false, 1200);
    pacer_on_sent(&p, 0, 1000000);
    assert_int_equal(pacer_budget_bytes(&p, 0), 0);
    assert_int_equal(pacer_budget_bytes(&p, 3600000000u), 30000);
    assert_int_equal(pacer_budget_bytes(&p, UINT64_MAX), 30000);
}

static void test_a_wish_larger_than_the_bucket_waits_for_a_full_bucket(void **state)
{
    struct pacer p;

    (void)state;
    pacer_init(&p, 0, 1200000, 100000, 1200);
    pacer_set_rate(&p, 0, 1200000, 100000, false, 1200);
    pacer_on_sent(&p, 0, 30000);
    assert_int_equal(pacer_next_time(&p, 0, 1000000), 2000);
    assert_int_equal(pacer_next_time(&p, 2000, 1000000), 2000);
}

static void test_a_clock_that_stands_still_or_goes_back_earns_nothing(void **state)
{
    struct pacer p;

    (void)state;
    pacer_init(&p, 5000, 1200000, 100000, 1200);
    pacer_on_sent(&p, 5000, 1000000);
    assert_int_equal(pacer_budget_bytes(&p, 5000), 0);
    assert_int_equal(pacer_budget_bytes(&p, 4000), 0);
    assert_int_equal(pacer_budget_bytes(&p, 5100), 2400);
}

static void test_a_smaller_bucket_takes_tokens_away(void **state)
{
    struct pacer p;

    (void)state;
    pacer_init(&p, 0, 100000000, 10000, 1200);
    assert_int_equal(pacer_budget_bytes(&p, 0), 307200);
    pacer_set_rate(&p, 0, 12000, 100000, false, 1200);
    assert_int_equal(pacer_budget_bytes(&p, 0), 12000);
}

static void test_a_controllers_own_rate_is_taken_as_it_is(void **state)
{
    struct pacer p;

    (void)state;
    pacer_init(&p, 0, 120000, 100000, 1200);
    pacer_set_own_rate(&p, 0, 15000000, 1200);
    assert_int_equal(p.rate_bytes_per_s, 15000000);
    assert_int_equal(p.burst_bytes, 30000);
    pacer_set_own_rate(&p, 0, 0, 1200);
    assert_int_equal(p.rate_bytes_per_s, 1);
    pacer_set_own_rate(&p, 0, UINT64_MAX, 1200);
    assert_int_equal(p.rate_bytes_per_s, 100000000000u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate_and_burst),
        cmocka_unit_test(test_first_burst_leaves_at_once_then_the_rate_holds),
        cmocka_unit_test(test_no_byte_is_lost_to_rounding),
        cmocka_unit_test(test_idle_fills_one_bucket_and_no_more),
        cmocka_unit_test(test_a_wish_larger_than_the_bucket_waits_for_a_full_bucket),
        cmocka_unit_test(test_a_clock_that_stands_still_or_goes_back_earns_nothing),
        cmocka_unit_test(test_a_smaller_bucket_takes_tokens_away),
        cmocka_unit_test(test_a_controllers_own_rate_is_taken_as_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
