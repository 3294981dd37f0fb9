/* SPDX-License-Identifier: MIT */
/* Goal: slow start ends when the delay grows and not because of jitter (RFC 9406, section 4.3).
 * Method: rounds of acks fed by hand: each round has a number of samples of one delay. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/hystart.h"
#include <stdbool.h>

#define MS 1000u

/* A round: the first ack is for a packet sent at its start, the others for packets of the same
 * round. */
static uint64_t feed_round(struct hystart *h, uint64_t *now_us, uint32_t samples, uint64_t rtt_us)
{
    uint64_t grown = 0, sent_us = *now_us;

    *now_us += rtt_us;
    for (uint32_t i = 0; i < samples; i++) {
        grown += hystart_on_ack(h, *now_us, sent_us, rtt_us, 1200);
        /* Later acks are of packets sent before this round began to be acknowledged. */
        *now_us += 10;
        sent_us += 1;
    }
    return grown;
}

static void test_constant_delay_never_leaves_slow_start(void **state)
{
    struct hystart h;
    uint64_t now_us = 0;

    (void)state;
    hystart_init(&h);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(feed_round(&h, &now_us, 20, 50 * MS), 20 * 1200);
    }
    assert_int_equal(h.phase, HYSTART_SLOW_START);
}

static void test_thresholds_by_table(void **state)
{
    /* The threshold is an eighth of the last minimum, from 4 to 16 ms. */
    static const struct {
        uint32_t samples;
        uint64_t first_us, second_us;
        bool leaves;
    } rows[] = {
        {8, 80 * MS, 90 * MS, true},   {8, 80 * MS, 90 * MS - 1, false},
        {8, 8 * MS, 12 * MS, true},    {8, 8 * MS, 12 * MS - 1, false},
        {8, 400 * MS, 416 * MS, true}, {8, 400 * MS, 416 * MS - 1, false},
        {7, 80 * MS, 200 * MS, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hystart h;
        uint64_t now_us = 0;

        hystart_init(&h);
        (void)feed_round(&h, &now_us, 10, rows[i].first_us);
        (void)feed_round(&h, &now_us, 10, rows[i].first_us);
        (void)feed_round(&h, &now_us, rows[i].samples, rows[i].second_us);
        assert_int_equal(h.phase, rows[i].leaves ? HYSTART_CONSERVATIVE : HYSTART_SLOW_START);
    }
}

static void test_conservative_growth_is_a_quarter_and_ends_after_five_rounds(void **state)
{
    struct hystart h;
    uint64_t now_us = 0;

    (void)state;
    hystart_init(&h);
    (void)feed_round(&h, &now_us, 20, 50 * MS);
    (void)feed_round(&h, &now_us, 20, 50 * MS);
    /* The eighth sample switches. */
    assert_int_equal(feed_round(&h, &now_us, 20, 60 * MS), 7 * 1200 + 13 * 300);
    assert_int_equal(h.phase, HYSTART_CONSERVATIVE);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(feed_round(&h, &now_us, 20, 60 * MS), 20 * 300);
        assert_int_equal(h.phase, HYSTART_CONSERVATIVE);
    }
    (void)feed_round(&h, &now_us, 1, 60 * MS);
    assert_int_equal(h.phase, HYSTART_DONE);
    assert_int_equal(hystart_on_ack(&h, now_us, now_us, 60 * MS, 1200), 1200);
}

static void test_jitter_resumes_slow_start(void **state)
{
    struct hystart h;
    uint64_t now_us = 0;

    (void)state;
    hystart_init(&h);
    (void)feed_round(&h, &now_us, 20, 50 * MS);
    (void)feed_round(&h, &now_us, 20, 50 * MS);
    (void)feed_round(&h, &now_us, 20, 60 * MS);
    assert_int_equal(h.phase, HYSTART_CONSERVATIVE);
    (void)feed_round(&h, &now_us, 20, 51 * MS);
    assert_int_equal(h.phase, HYSTART_SLOW_START);
    assert_int_equal(feed_round(&h, &now_us, 20, 51 * MS), 20 * 1200);
    /* And can leave again. */
    (void)feed_round(&h, &now_us, 20, 70 * MS);
    assert_int_equal(h.phase, HYSTART_CONSERVATIVE);
}

static void test_acks_without_a_sample_count_no_sample(void **state)
{
    struct hystart h;
    uint64_t now_us = 0, sent_us;

    (void)state;
    hystart_init(&h);
    (void)feed_round(&h, &now_us, 20, 50 * MS);
    (void)feed_round(&h, &now_us, 20, 50 * MS);
    sent_us = now_us;
    now_us += 90 * MS;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(hystart_on_ack(&h, now_us + (uint64_t)i, sent_us, 0, 1200), 1200);
    }
    assert_int_equal(h.phase, HYSTART_SLOW_START);
}

static void test_division_by_four_loses_nothing(void **state)
{
    struct hystart h;
    uint64_t grown = 0;

    (void)state;
    hystart_init(&h);
    h.phase = HYSTART_CONSERVATIVE;
    h.baseline_us = 1;
    for (int i = 0; i < 400; i++) {
        grown += hystart_on_ack(&h, 10, 0, 0, 3);
    }
    assert_int_equal(grown, 300);
}

static void test_ended_means_ordinary_slow_start(void **state)
{
    struct hystart h;
    uint64_t now_us = 0;

    (void)state;
    hystart_init(&h);
    hystart_end(&h);
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(feed_round(&h, &now_us, 20, (50 + 20 * i) * MS), 20 * 1200);
    }
    assert_int_equal(h.phase, HYSTART_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constant_delay_never_leaves_slow_start),
        cmocka_unit_test(test_thresholds_by_table),
        cmocka_unit_test(test_conservative_growth_is_a_quarter_and_ends_after_five_rounds),
        cmocka_unit_test(test_jitter_resumes_slow_start),
        cmocka_unit_test(test_acks_without_a_sample_count_no_sample),
        cmocka_unit_test(test_division_by_four_loses_nothing),
        cmocka_unit_test(test_ended_means_ordinary_slow_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
