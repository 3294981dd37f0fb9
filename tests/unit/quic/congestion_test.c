/* SPDX-License-Identifier: MIT */
/* Goal: what both controllers share (slow start, one reduction per round, undo, limits) and
 * NewReno itself. Method: acks and events by hand, the shared rules for each controller in
 * turn. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/congestion.h"

#define MS 1000u

static const struct congestion_ops *const controllers[] = {&congestion_newreno, &congestion_cubic};
#define CONTROLLERS (sizeof controllers / sizeof controllers[0])

static void ack(struct congestion *c, uint64_t now_us, uint64_t sent_us, uint64_t bytes)
{
    struct rtt rtt;
    struct congestion_ack a = {.now_us = now_us,
                               .sent_us = sent_us,
                               .bytes = bytes,
                               .bytes_all = bytes,
                               .in_flight_bytes = c->window_bytes, /* all of it is in use */
                               .rtt = &rtt,
                               .rtt_sampled = true};

    rtt_init(&rtt);
    rtt_on_sample(&rtt, now_us, 50 * MS, 0, true, 0);
    congestion_on_acked(c, &a);
}

static void test_a_window_of_which_less_than_half_is_used_does_not_grow(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONTROLLERS; i++) {
        struct congestion c;
        struct rtt rtt;
        rtt_init(&rtt);
        rtt_on_sample(&rtt, 100 * MS, 50 * MS, 0, true, 0);
        congestion_init(&c, controllers[i], 1200);
        uint64_t window = c.window_bytes;
        struct congestion_ack a = {.now_us = 100 * MS,
                                   .sent_us = 50 * MS,
                                   .bytes = 1200,
                                   .bytes_all = 1200,
                                   .in_flight_bytes = window / 2 - 1201,
                                   .rtt = &rtt,
                                   .rtt_sampled = true};
        congestion_on_acked(&c, &a);
        assert_int_equal(c.window_bytes, window);
        a.in_flight_bytes = window / 2;
        congestion_on_acked(&c, &a);
        assert_true(c.window_bytes > window);
    }
}

static void test_initial_window_by_table(void **state)
{
    static const struct {
        uint32_t datagram;
        uint64_t initial, minimum;
    } rows[] = {{1200, 12000, 2400}, {1452, 14520, 2904},  {1472, 14720, 2944},
                {1500, 14720, 3000}, {9000, 18000, 18000}, {65527, 131054, 131054}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct congestion c;

        congestion_init(&c, &congestion_cubic, rows[i].datagram);
        assert_int_equal(c.window_bytes, rows[i].initial);
        assert_int_equal(congestion_minimum_window(&c), rows[i].minimum);
        assert_true(congestion_is_slow_start(&c));
    }
}

static void test_slow_start_grows_by_what_was_acked(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONTROLLERS; i++) {
        struct congestion c;

        congestion_init(&c, controllers[i], 1200);
        for (uint64_t n = 0; n < 10; n++) {
            ack(&c, 100 * MS + n, n, 1200);
        }
        assert_int_equal(c.window_bytes, 24000);
        congestion_set_app_limited(&c, true);
        ack(&c, 200 * MS, 20, 1200);
        assert_int_equal(c.window_bytes, 24000);
        congestion_set_app_limited(&c, false);
        ack(&c, 200 * MS, 21, 1200);
        assert_int_equal(c.window_bytes, 25200);
    }
}

static void test_one_reduction_per_round(void **state)
{
    static const uint64_t reduced[] = {6000, 8400};

    (void)state;
    for (size_t i = 0; i < CONTROLLERS; i++) {
        struct congestion c;

        congestion_init(&c, controllers[i], 1200);
        assert_true(congestion_on_event(&c, 10 * MS, 100 * MS));
        assert_int_equal(c.window_bytes, reduced[i]);
        assert_int_equal(c.threshold_bytes, reduced[i]);
        assert_false(congestion_is_slow_start(&c));
        assert_false(congestion_on_event(&c, 20 * MS, 110 * MS));
        assert_false(congestion_on_event(&c, 100 * MS, 110 * MS));
        assert_int_equal(c.window_bytes, reduced[i]);
        /* Acks of what was sent before do not grow it. */
        ack(&c, 120 * MS, 100 * MS, 100000);
        assert_int_equal(c.window_bytes, reduced[i]);
        assert_true(congestion_is_in_recovery(&c, 100 * MS));
        assert_false(congestion_is_in_recovery(&c, 100 * MS + 1));
        assert_true(congestion_on_event(&c, 100 * MS + 1, 200 * MS));
        assert_int_equal(c.events, 2);
    }
}

static void test_a_world_that_begins_at_time_zero_is_not_in_recovery(void **state)
{
    struct congestion c;

    (void)state;
    congestion_init(&c, &congestion_newreno, 1200);
    assert_false(congestion_is_in_recovery(&c, 0));
    ack(&c, 0, 0, 1200);
    assert_int_equal(c.window_bytes, 13200);
    assert_true(congestion_on_event(&c, 0, 0));
    assert_true(congestion_is_in_recovery(&c, 0));
}

static void test_the_window_never_falls_below_two_datagrams(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONTROLLERS; i++) {
        struct congestion c;

        congestion_init(&c, controllers[i], 1200);
        for (uint64_t n = 1; n < 50; n++) {
            assert_true(congestion_on_event(&c, n * 10, n * 10 + 1));
        }
        assert_int_equal(c.window_bytes, 2400);
    }
}

static void test_the_window_has_an_upper_bound(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONTROLLERS; i++) {
        struct congestion c;

        congestion_init(&c, controllers[i], 65527);
        for (uint64_t n = 0; n < 60; n++) {
            ack(&c, n * 50 * MS + 1, n * 50 * MS, c.window_bytes);
        }
        assert_int_equal(c.window_bytes, CONGESTION_WINDOW_MAX);
        (void)congestion_on_event(&c, 3000 * MS, 3001 * MS);
        for (uint64_t n = 0; n < 2000; n++) {
            ack(&c, (3100 + n * 50) * MS, (3050 + n * 50) * MS, c.window_bytes);
            assert_true(c.window_bytes <= CONGESTION_WINDOW_MAX);
        }
    }
}

static void test_persistent_congestion_starts_over_from_two_datagrams(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONTROLLERS; i++) {
        struct congestion c;

        congestion_init(&c, controllers[i], 1200);
        ack(&c, 50 * MS, 1, 120000);
        (void)congestion_on_event(&c, 60 * MS, 100 * MS);
        congestion_on_persistent(&c);
        assert_int_equal(c.window_bytes, 2400);
        assert_true(congestion_is_slow_start(&c));
        /* The next ack grows it, even of a packet sent before. */
        ack(&c, 110 * MS, 90 * MS, 1200);
        assert_int_equal(c.window_bytes, 3600);
        congestion_on_spurious(&c);
        assert_int_equal(c.window_bytes, 3600);
    }
}

static void test_a_spurious_event_is_taken_back_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONTROLLERS; i++) {
        struct congestion c;

        congestion_init(&c, controllers[i], 1200);
        congestion_on_spurious(&c);
        assert_int_equal(c.spurious_events, 0);
        ack(&c, 50 * MS, 1, 120000);
        (void)congestion_on_event(&c, 60 * MS, 100 * MS);
        congestion_on_spurious(&c);
        assert_int_equal(c.window_bytes, 132000);
        assert_int_equal(c.threshold_bytes, UINT64_MAX);
        assert_int_equal(c.spurious_events, 1);
        congestion_on_spurious(&c);
        assert_int_equal(c.spurious_events, 1);
        assert_true(congestion_on_event(&c, 70 * MS, 110 * MS));
    }
}

static void test_datagram_size_changes(void **state)
{
    struct congestion c;

    (void)state;
    congestion_init(&c, &congestion_newreno, 1200);
    congestion_on_datagram_size(&c, 1452);
    assert_int_equal(c.window_bytes, 14520);
    ack(&c, 50 * MS, 1, 10000);
    congestion_on_datagram_size(&c, 1472);
    assert_int_equal(c.window_bytes, 24520);
    congestion_on_datagram_size(&c, 1200);
    assert_int_equal(c.window_bytes, 12000);
    (void)congestion_on_event(&c, 2, 100);
    (void)congestion_on_event(&c, 200, 300);
    assert_int_equal(c.window_bytes, 3000);
    congestion_on_datagram_size(&c, 9000);
    assert_int_equal(c.window_bytes, 18000);
}

static void test_a_larger_datagram_keeps_what_a_false_alarm_took(void **state)
{
    struct congestion c;

    (void)state;
    for (uint32_t bytes = 1200; bytes <= 1472; bytes += 272) {
        congestion_init(&c, &congestion_newreno, 1300);
        (void)congestion_on_event(&c, 2, 100);
        congestion_on_datagram_size(&c, bytes);
        congestion_on_spurious(&c);
        /* A smaller one is another path. */
        assert_int_equal(c.spurious_events, bytes > 1300 ? 1 : 0);
        assert_int_equal(c.window_bytes, bytes > 1300 ? 13000 : 6500);
    }
}

static void test_newreno_gains_one_datagram_per_window(void **state)
{
    struct congestion c;
    uint64_t now_us = 1000 * MS;

    (void)state;
    congestion_init(&c, &congestion_newreno, 1200);
    ack(&c, 50 * MS, 1, 108000);
    assert_int_equal(c.window_bytes, 120000);
    (void)congestion_on_event(&c, 60 * MS, 100 * MS);
    assert_int_equal(c.window_bytes, 60000);
    for (uint64_t round = 1; round <= 50; round++) {
        uint64_t acked = 0, window = c.window_bytes;

        for (; acked < window; acked += 1200) {
            now_us++;
            ack(&c, now_us, now_us - 50 * MS, 1200);
        }
        /* Acks of a growing window are worth a little less: 49 to 50 datagrams in 50 rounds. */
        assert_in_range(c.window_bytes, 60000 + round * 1170, 60000 + round * 1230);
    }
    congestion_set_app_limited(&c, true);
    now_us = c.window_bytes;
    ack(&c, 5000 * MS, 4000 * MS, 100000);
    assert_int_equal(c.window_bytes, now_us);
}

static void test_hystart_hands_over_to_avoidance(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONTROLLERS; i++) {
        struct congestion c;
        uint64_t window;

        congestion_init(&c, controllers[i], 1200);
        c.hystart.phase = HYSTART_CONSERVATIVE;
        c.hystart.started = true;
        c.hystart.conservative_rounds = 4;
        ack(&c, 50 * MS, 1, 12000);
        assert_int_equal(c.hystart.phase, HYSTART_DONE);
        assert_int_equal(c.window_bytes, 15000);
        assert_int_equal(c.threshold_bytes, 15000);
        window = c.window_bytes;
        ack(&c, 60 * MS, 2, 1200);
        assert_in_range(c.window_bytes, window, window + 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_initial_window_by_table),
        cmocka_unit_test(test_a_window_of_which_less_than_half_is_used_does_not_grow),
        cmocka_unit_test(test_slow_start_grows_by_what_was_acked),
        cmocka_unit_test(test_one_reduction_per_round),
        cmocka_unit_test(test_a_world_that_begins_at_time_zero_is_not_in_recovery),
        cmocka_unit_test(test_the_window_never_falls_below_two_datagrams),
        cmocka_unit_test(test_the_window_has_an_upper_bound),
        cmocka_unit_test(test_persistent_congestion_starts_over_from_two_datagrams),
        cmocka_unit_test(test_a_spurious_event_is_taken_back_once),
        cmocka_unit_test(test_datagram_size_changes),
        cmocka_unit_test(test_a_larger_datagram_keeps_what_a_false_alarm_took),
        cmocka_unit_test(test_newreno_gains_one_datagram_per_window),
        cmocka_unit_test(test_hystart_hands_over_to_avoidance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
