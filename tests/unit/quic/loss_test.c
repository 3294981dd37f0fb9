/* SPDX-License-Identifier: MIT */
/* Goal: what is acked or lost is said once and at the right moment, and costs no memory.
 * Method: scenarios in virtual microseconds with a log of what the engine reports. Timers stand
 * in loss_timer_test.c, consequences for the window in loss_window_test.c, random traffic
 * against a plain model in loss_model_test.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "loss_fixture.h"
#include "weir.h"

static void test_acked_packets_are_reported_once_with_their_frames(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    send_many(&f, 3, START, 0);
    assert_int_equal(f.loss.in_flight_bytes, 3600);
    assert_true(ack(&f, LOSS_APPLICATION, START + 100 * MS, 0, 1));
    assert_int_equal(f.event_count, 2);
    check_event(&f, 0, LOSS_FATE_ACKED, 0);
    check_event(&f, 1, LOSS_FATE_ACKED, 1);
    assert_int_equal(f.loss.in_flight_bytes, 1200);
    assert_false(ack(&f, LOSS_APPLICATION, START + 101 * MS, 0, 1));
    assert_int_equal(f.event_count, 0);
    assert_true(ack(&f, LOSS_APPLICATION, START + 102 * MS, 0, 2));
    assert_int_equal(f.event_count, 1);
    assert_int_equal(f.loss.in_flight_bytes, 0);
    assert_int_equal(loss_deadline(&f.loss), LOSS_NEVER);
    fixture_close(&f);
}

static void test_three_packets_older_is_lost_two_is_not(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    send_many(&f, 5, START, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 100 * MS, 2, 2);
    assert_int_equal(f.event_count, 1);
    (void)ack(&f, LOSS_APPLICATION, START + 101 * MS, 3, 3);
    assert_int_equal(f.event_count, 2);
    check_event(&f, 1, LOSS_FATE_LOST, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 102 * MS, 4, 4);
    assert_int_equal(f.event_count, 2);
    check_event(&f, 1, LOSS_FATE_LOST, 1);
    assert_int_equal(f.loss.in_flight_bytes, 0);
    assert_int_equal(f.loss.lost_packets, 2);
    assert_int_equal(f.loss.lost_bytes, 2400);
    assert_int_equal(f.congestion.events, 1);
    fixture_close(&f);
}

static void test_later_packets_are_never_lost_by_an_older_ack(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    send_many(&f, 10, START, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 5000 * MS, 0, 0);
    assert_int_equal(f.event_count, 1);
    assert_int_equal(f.loss.in_flight_bytes, 9 * 1200);
    fixture_close(&f);
}

static void test_an_ack_of_what_was_never_sent_is_an_error(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    assert_int_equal(loss_on_ack_begin(&f.loss, LOSS_APPLICATION, 0, 0, START), WEIR_E_PROTOCOL);
    send_many(&f, 2, START, 0);
    assert_int_equal(loss_on_ack_begin(&f.loss, LOSS_APPLICATION, 2, 0, START), WEIR_E_PROTOCOL);
    assert_int_equal(loss_on_ack_begin(&f.loss, LOSS_APPLICATION, UINT64_MAX, 0, START),
                     WEIR_E_PROTOCOL);
    assert_int_equal(loss_skip_number(&f.loss, NULL), 0);
    send_many(&f, 1, START, 0);
    assert_int_equal(loss_on_ack_begin(&f.loss, LOSS_APPLICATION, 3, 0, START), 0);
    assert_int_equal(loss_on_ack_range(&f.loss, 3, 3), 0);
    assert_int_equal(loss_on_ack_range(&f.loss, 0, 2), WEIR_E_PROTOCOL);
    assert_int_equal(loss_on_ack_range(&f.loss, 1, 0), WEIR_E_PROTOCOL);
    assert_int_equal(loss_on_ack_range(&f.loss, 0, 4), WEIR_E_PROTOCOL);
    assert_true(loss_on_ack_end(&f.loss));
    assert_int_equal(f.loss.acked_packets, 1);
    fixture_close(&f);
}

static void test_many_skips_are_still_caught_by_their_slots(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    for (int i = 0; i < 8; i++) {
        send_many(&f, 1, START, 0);
        assert_int_equal(loss_skip_number(&f.loss, NULL), 0);
    }
    assert_int_equal(loss_on_ack_begin(&f.loss, LOSS_APPLICATION, 2, 0, START), 0);
    assert_int_equal(loss_on_ack_range(&f.loss, 0, 2), WEIR_E_PROTOCOL);
    (void)loss_on_ack_end(&f.loss);
    fixture_close(&f);
}

static void test_no_sample_without_the_largest_or_without_ack_eliciting(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, false);
    send_many(&f, 2, START, 0);
    (void)send_packet(&f, LOSS_APPLICATION, START, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 10 * MS, 2, 2);
    assert_false(rtt_is_sampled(&f.rtt));
    /* 2 is the largest again, but not newly acked. */
    (void)ack(&f, LOSS_APPLICATION, START + 20 * MS, 1, 2);
    assert_false(rtt_is_sampled(&f.rtt));
    send_many(&f, 1, START + 20 * MS, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 65 * MS, 3, 3);
    assert_int_equal(f.rtt.latest_us, 45 * MS);
    /* The largest is ack-only, but a newly acked one was not: its time counts. */
    send_many(&f, 1, START + 100 * MS, 0);
    (void)send_packet(&f, LOSS_APPLICATION, START + 101 * MS, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 131 * MS, 4, 5);
    assert_int_equal(f.rtt.latest_us, 30 * MS);
    fixture_close(&f);
}

static void test_ack_delay_is_ignored_in_initial_and_capped_once_confirmed(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, true);
    rtt_on_sample(&f.rtt, 0, 100 * MS, 0, false, 0);
    (void)send_packet(&f, LOSS_INITIAL, START, SENT_ACK_ELICITING);
    assert_int_equal(loss_on_ack_begin(&f.loss, LOSS_INITIAL, 0, 80 * MS, START + 180 * MS), 0);
    assert_int_equal(loss_on_ack_range(&f.loss, 0, 0), 0);
    assert_true(loss_on_ack_end(&f.loss));
    assert_int_equal(f.rtt.smoothed_us, 110 * MS);
    loss_set_confirmed(&f.loss, START);
    send_many(&f, 1, START, 0);
    assert_int_equal(loss_on_ack_begin(&f.loss, LOSS_APPLICATION, 0, 80 * MS, START + 200 * MS), 0);
    assert_int_equal(loss_on_ack_range(&f.loss, 0, 0), 0);
    assert_true(loss_on_ack_end(&f.loss));
    assert_int_equal(f.rtt.smoothed_us, (7 * 110 * MS + 175 * MS) / 8);
    fixture_close(&f);
}

static void test_trim_gives_memory_back_when_only_lost_packets_are_kept(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    send_many(&f, 4, START, 0);
    loss_trim(&f.loss);
    assert_true(f.counter.live_bytes > 0);
    (void)ack(&f, LOSS_APPLICATION, START + 100 * MS, 1, 3);
    (void)loss_on_deadline(&f.loss, START + 200 * MS);
    assert_true(f.counter.live_bytes > 0);
    loss_trim(&f.loss);
    assert_int_equal(f.counter.live_bytes, 0);
    send_many(&f, 1, START + 300 * MS, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 400 * MS, 4, 4);
    assert_int_equal(f.event_count, 1);
    fixture_close(&f);
}

static void test_no_memory_is_said_before_anything_is_sent(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    f.counter.fail_at = 1;
    assert_int_equal(loss_packet_begin(&f.loss, LOSS_APPLICATION, NULL), WEIR_E_MEMORY);
    assert_int_equal(loss_next_number(&f.loss, LOSS_APPLICATION), 0);
    assert_int_equal(f.loss.in_flight_bytes, 0);
    f.counter.fail_at = 1;
    assert_int_equal(loss_skip_number(&f.loss, NULL), WEIR_E_MEMORY);
    send_many(&f, 1, START, 0);
    fixture_close(&f);
}

static void test_hundred_thousand_packets_allocate_nothing(void **state)
{
    struct fixture f;
    uint64_t calls = 0, now_us = START;

    (void)state;
    fixture_open_confirmed(&f);
    f.loss.on_packet = NULL;
    for (uint64_t n = 0; n < 102000; n++) {
        uint64_t largest = n - 100, hundred = largest / 100 * 100;

        (void)send_packet(&f, LOSS_APPLICATION, now_us, SENT_ACK_ELICITING);
        now_us += 1000;
        /* Numbers that 100 divides are lost; each ACK repeats the last two stretches between
         * them. */
        if (n >= 300 && largest % 2 == 1) {
            assert_int_equal(loss_on_ack_begin(&f.loss, LOSS_APPLICATION, largest, 0, now_us), 0);
            assert_int_equal(loss_on_ack_range(&f.loss, hundred + 1, largest), 0);
            assert_int_equal(loss_on_ack_range(&f.loss, hundred - 99, hundred - 1), 0);
            assert_true(loss_on_ack_end(&f.loss));
        }
        if (n == 2000) {
            calls = f.counter.calls;
        }
    }
    assert_int_equal(f.counter.calls, calls);
    assert_true(f.loss.lost_packets >= 1010);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acked_packets_are_reported_once_with_their_frames),
        cmocka_unit_test(test_three_packets_older_is_lost_two_is_not),
        cmocka_unit_test(test_later_packets_are_never_lost_by_an_older_ack),
        cmocka_unit_test(test_an_ack_of_what_was_never_sent_is_an_error),
        cmocka_unit_test(test_many_skips_are_still_caught_by_their_slots),
        cmocka_unit_test(test_no_sample_without_the_largest_or_without_ack_eliciting),
        cmocka_unit_test(test_ack_delay_is_ignored_in_initial_and_capped_once_confirmed),
        cmocka_unit_test(test_trim_gives_memory_back_when_only_lost_packets_are_kept),
        cmocka_unit_test(test_no_memory_is_said_before_anything_is_sent),
        cmocka_unit_test(test_hundred_thousand_packets_allocate_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
