/* SPDX-License-Identifier: MIT */
/* Goal: a path that does not keep the order is waited for, within bounds, and one that keeps it
 * again is waited for as before. Method: scenarios by hand, and the link model with half of the
 * packets delayed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "link_model.h"
#include "loss_fixture.h"

static void test_a_spurious_loss_raises_the_number_and_the_time(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    send_many(&f, 9, START, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 100 * MS, 6, 8);
    assert_int_equal(f.loss.lost_packets, 6);
    assert_int_equal(loss_on_ack_begin(&f.loss, LOSS_APPLICATION, 8, 0, START + 150 * MS), 0);
    assert_int_equal(loss_on_ack_range(&f.loss, 6, 8), 0);
    assert_int_equal(loss_on_ack_range(&f.loss, 2, 2), 0);
    (void)loss_on_ack_end(&f.loss);
    assert_int_equal(f.loss.reorder.packets, 13); /* twice the distance */
    assert_int_equal(f.loss.reorder.eighths, 5);  /* 150 of 100 ms, and not a moment less */
    /* The same disorder again costs nothing. */
    send_many(&f, 7, START + 1000 * MS, 0);
    f.loss.lost_packets = 0;
    (void)ack(&f, LOSS_APPLICATION, START + 1100 * MS, 15, 15);
    assert_int_equal(f.loss.lost_packets, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 1150 * MS, 9, 15);
    assert_int_equal(f.loss.lost_packets, 0);
    fixture_close(&f);
}

static void test_patience_is_bounded(void **state)
{
    static struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    f.loss.on_packet = NULL;
    send_many(&f, 6000, START, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 100 * MS, 5999, 5999);
    (void)ack(&f, LOSS_APPLICATION, START + 60000 * MS, 0, 0);
    assert_int_equal(f.loss.reorder.packets, LOSS_REORDER_PACKETS_MAX);
    assert_int_equal(f.loss.reorder.eighths, LOSS_REORDER_EIGHTHS_MAX);
    fixture_close(&f);
}

static void test_patience_falls_when_the_order_is_kept(void **state)
{
    struct fixture f;
    uint32_t last = 67;

    (void)state;
    fixture_open_confirmed(&f);
    f.loss.reorder.packets = last;
    f.loss.reorder.eighths = LOSS_REORDER_EIGHTHS_MAX;
    for (uint64_t i = 1; i <= 160; i++) {
        uint64_t n = send_packet(&f, LOSS_APPLICATION, START + i * 100 * MS, SENT_ACK_ELICITING);

        (void)ack(&f, LOSS_APPLICATION, START + (i + 1) * 100 * MS, n, n);
        assert_true(f.loss.reorder.packets <= last);
        last = f.loss.reorder.packets;
    }
    assert_int_equal(last, LOSS_PACKET_THRESHOLD);
    assert_int_equal(f.loss.reorder.eighths, LOSS_REORDER_EIGHTHS_MIN);
    fixture_close(&f);
}

static void test_patience_stays_while_packets_keep_coming_late(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    f.loss.reorder.packets = 40;
    f.loss.reorder.eighths = 9;
    for (uint64_t i = 1; i <= 100; i++) {
        uint64_t at_us = START + i * 200 * MS, n = loss_next_number(&f.loss, LOSS_APPLICATION);

        send_many(&f, 11, at_us, 0);
        (void)ack(&f, LOSS_APPLICATION, at_us + 100 * MS, n + 1, n + 10);
        (void)ack(&f, LOSS_APPLICATION, at_us + 140 * MS, n, n + 10);
    }
    assert_int_equal(f.loss.lost_packets, 0);
    assert_int_equal(f.loss.reorder.packets, 21);
    assert_in_range(f.loss.reorder.eighths, 4, 5);
    fixture_close(&f);
}

static void test_events_that_follow_each_other_in_disorder_are_taken_back_together(void **state)
{
    struct fixture f;
    uint64_t window_bytes;

    (void)state;
    fixture_open_confirmed(&f);
    congestion_set_app_limited(&f.congestion, true);
    window_bytes = f.congestion.window_bytes;
    send_many(&f, 6, START, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 100 * MS, 5, 5); /* 0, 1, 2 are given up */
    send_many(&f, 8, START + 101 * MS, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 120 * MS, 2, 5); /* 2 arrives, 0 and 1 are out */
    assert_int_equal(f.congestion.events, 1);
    (void)ack(&f, LOSS_APPLICATION, START + 201 * MS, 13, 13); /* more are given up */
    assert_int_equal(f.congestion.events, 2);
    assert_true(f.congestion.window_bytes < window_bytes / 2);
    (void)ack(&f, LOSS_APPLICATION, START + 205 * MS, 6, 13);
    assert_true(f.congestion.window_bytes < window_bytes / 2);
    (void)ack(&f, LOSS_APPLICATION, START + 206 * MS, 0, 13);
    assert_int_equal(f.congestion.window_bytes, window_bytes);
    fixture_close(&f);
}

static void test_an_event_before_the_last_could_be_judged_is_taken_back_with_it(void **state)
{
    struct fixture f;
    uint64_t window_bytes;

    (void)state;
    fixture_open_confirmed(&f);
    congestion_set_app_limited(&f.congestion, true);
    window_bytes = f.congestion.window_bytes;
    send_many(&f, 6, START, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 100 * MS, 5, 5); /* 0, 1, 2 are given up */
    send_many(&f, 8, START + 101 * MS, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 201 * MS, 13, 13); /* more are; none has come yet */
    assert_int_equal(f.congestion.events, 2);
    (void)ack(&f, LOSS_APPLICATION, START + 260 * MS, 0, 4);
    assert_true(f.congestion.window_bytes < window_bytes);
    (void)ack(&f, LOSS_APPLICATION, START + 270 * MS, 6, 12);
    assert_int_equal(f.congestion.window_bytes, window_bytes);
    assert_int_equal(f.congestion.threshold_bytes, UINT64_MAX);
    fixture_close(&f);
}

static void test_a_queue_makes_nobody_later(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    send_many(&f, 9, START, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 100 * MS, 6, 8);
    (void)ack(&f, LOSS_APPLICATION, START + 150 * MS, 2, 8);
    assert_int_equal(rtt_patience_us(&f.rtt, f.loss.reorder.eighths), 162500);
    f.rtt.smoothed_us = f.rtt.latest_us = 200 * MS;
    assert_int_equal(rtt_patience_us(&f.rtt, f.loss.reorder.eighths), 262500);
    fixture_close(&f);
}

static struct link l;

static void test_half_of_the_packets_late_by_up_to_three_round_trips(void **state)
{
    static const struct congestion_ops *const ops[] = {&congestion_newreno, &congestion_cubic,
                                                       &congestion_bbr};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        link_open(&l, 1);
        l.rate = 2500000;
        l.delay_us = l.back_us = 25000;
        l.queue_bytes = l.rate / 20;
        l.reorder_ppm = 500000;
        l.reorder_us = 150000;
        struct link_flow *f = link_add(&l, ops[i], 0, UINT64_MAX / 2);
        (void)link_run(&l, 15 * LINK_SECOND, false);
        assert_true(f->acked_bytes * 100 / (l.rate * 15) >= 60);
        /* What was given up wrongly is not worth speaking of. */
        assert_true(f->loss.spurious_packets * 100 < l.sent);
        link_close(&l);
    }
}

static void test_skipped_numbers_do_not_change_a_transfer(void **state)
{
    uint64_t bytes[2];

    (void)state;
    for (int skips = 0; skips < 2; skips++) {
        link_open(&l, 1);
        l.rate = 2500000;
        l.delay_us = l.back_us = 25000;
        l.queue_bytes = l.rate / 20;
        l.reorder_us = 1;
        struct link_flow *f = link_add(&l, &congestion_cubic, 0, 10u << 20);
        f->skips = skips == 1;
        assert_true(link_run(&l, 30 * LINK_SECOND, true));
        bytes[skips] = l.now_us;
        assert_int_equal(f->loss.spurious_packets, 0);
        assert_int_equal(f->loss.spaces[LOSS_APPLICATION].sent.skips > 5, skips == 1);
        link_close(&l);
    }
    assert_in_range(bytes[1], bytes[0] * 95 / 100, bytes[0] * 105 / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_spurious_loss_raises_the_number_and_the_time),
        cmocka_unit_test(test_patience_is_bounded),
        cmocka_unit_test(test_patience_falls_when_the_order_is_kept),
        cmocka_unit_test(test_patience_stays_while_packets_keep_coming_late),
        cmocka_unit_test(test_events_that_follow_each_other_in_disorder_are_taken_back_together),
        cmocka_unit_test(test_an_event_before_the_last_could_be_judged_is_taken_back_with_it),
        cmocka_unit_test(test_a_queue_makes_nobody_later),
        cmocka_unit_test(test_half_of_the_packets_late_by_up_to_three_round_trips),
        cmocka_unit_test(test_skipped_numbers_do_not_change_a_transfer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
