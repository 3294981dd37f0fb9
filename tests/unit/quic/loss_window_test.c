/* SPDX-License-Identifier: MIT */
/* Goal: losses have the right consequences for the window: persistent congestion (RFC 9002,
 * 7.6), spurious losses taken back, probes of the path MTU ignored. Method: scenarios in
 * virtual microseconds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "loss_fixture.h"

static void test_persistent_congestion_by_table(void **state)
{
    /* Packets 0..n-1 are sent at START + the column (ms); `acks` are acked one by one, in
     * separate frames, 100 ms after the last was sent. The duration is 3 * (100 + 200 + 25) =
     * 975 ms with srtt 100 and rttvar 50; the samples that the acks give are kept out by an
     * estimate that is written back. */
    static const struct {
        const char *name;
        uint32_t count;
        uint32_t sent_ms[8];
        uint32_t ack_count;
        uint32_t acks[3];
        bool expected;
    } rows[] = {
        {"span long enough", 6, {1, 2, 977, 978, 979, 980}, 1, {5}, true},
        {"span exactly the duration", 6, {1, 2, 976, 977, 978, 979}, 1, {5}, false},
        {"an ack between", 7, {1, 2, 500, 1100, 1101, 1102, 1103}, 2, {2, 6}, false},
        {"an ack between, later frame", 7, {1, 2, 500, 1100, 1101, 1102, 1103}, 1, {6}, true},
        {"an ack after both", 7, {1, 1100, 1101, 1102, 1103, 1104, 1105}, 2, {5, 6}, true},
        {"sent at the first sample", 6, {0, 2, 977, 978, 979, 980}, 1, {5}, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture f;
        uint64_t now_us = START + (rows[i].sent_ms[rows[i].count - 1] + 100) * MS;
        bool persistent;

        fixture_open_confirmed(&f);
        congestion_set_app_limited(&f.congestion, true);
        for (uint32_t n = 0; n < rows[i].count; n++) {
            (void)send_packet(&f, LOSS_APPLICATION, START + rows[i].sent_ms[n] * MS,
                              SENT_ACK_ELICITING);
        }
        for (uint32_t a = 0; a < rows[i].ack_count; a++) {
            f.rtt.smoothed_us = 100 * MS;
            f.rtt.variance_us = 66667;
            (void)ack(&f, LOSS_APPLICATION, now_us, rows[i].acks[a], rows[i].acks[a]);
        }
        persistent = f.congestion.persistent_events == 1;
        if (persistent != rows[i].expected) {
            fail_msg("%s", rows[i].name);
        }
        assert_int_equal(f.loss.persistent_total, persistent ? 1 : 0);
        if (persistent) {
            assert_int_equal(f.congestion.window_bytes, 2400);
            assert_true(f.rtt.min_restart || rows[i].ack_count > 1);
        }
        fixture_close(&f);
    }
}

static void test_a_run_of_losses_goes_on_over_several_acks(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    send_many(&f, 1, START + 1 * MS, 0);
    send_many(&f, 5, START + 2001 * MS, 1 * MS);
    (void)ack(&f, LOSS_APPLICATION, START + 2050 * MS, 3, 3);
    check_event(&f, 1, LOSS_FATE_LOST, 0);
    assert_int_equal(f.event_count, 2);
    assert_int_equal(f.loss.persistent_total, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 2051 * MS, 4, 4);
    check_event(&f, 1, LOSS_FATE_LOST, 1);
    assert_int_equal(f.loss.persistent_total, 1);
    fixture_close(&f);
}

static void test_a_late_ack_inside_a_run_ends_it(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    send_many(&f, 3, START + 1 * MS, 100 * MS);
    send_many(&f, 4, START + 900 * MS, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 210 * MS, 2, 2);
    assert_int_equal(f.loss.spaces[LOSS_APPLICATION].run_first_us, START + 1 * MS);
    (void)ack(&f, LOSS_APPLICATION, START + 215 * MS, 0, 0);
    check_event(&f, 0, LOSS_FATE_SPURIOUS, 0);
    assert_int_equal(f.loss.spaces[LOSS_APPLICATION].run_first_us, LOSS_NEVER);
    fixture_close(&f);
}

static void test_an_ack_in_another_space_prevents_persistent_congestion(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    send_many(&f, 1, START + 1 * MS, 0);
    (void)send_packet(&f, LOSS_HANDSHAKE, START + 500 * MS, SENT_ACK_ELICITING);
    send_many(&f, 5, START + 3000 * MS, 0);
    (void)ack(&f, LOSS_HANDSHAKE, START + 600 * MS, 0, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 3100 * MS, 5, 5);
    assert_int_equal(f.loss.lost_packets, 3);
    assert_int_equal(f.loss.persistent_total, 0);
    fixture_close(&f);
}

static void test_losses_that_all_arrive_late_give_the_window_back(void **state)
{
    struct fixture f;
    uint64_t window_bytes;

    (void)state;
    fixture_open_confirmed(&f);
    congestion_set_app_limited(&f.congestion, true);
    send_many(&f, 5, START + 1, 0);
    window_bytes = f.congestion.window_bytes;
    (void)ack(&f, LOSS_APPLICATION, START + 100 * MS, 4, 4);
    assert_int_equal(f.event_count, 3);
    assert_int_equal(f.congestion.window_bytes, window_bytes / 2);
    (void)ack(&f, LOSS_APPLICATION, START + 101 * MS, 0, 0);
    check_event(&f, 0, LOSS_FATE_SPURIOUS, 0);
    assert_int_equal(f.congestion.window_bytes, window_bytes / 2);
    (void)ack(&f, LOSS_APPLICATION, START + 102 * MS, 0, 4);
    assert_int_equal(f.congestion.window_bytes, window_bytes);
    assert_int_equal(f.congestion.threshold_bytes, UINT64_MAX);
    assert_int_equal(f.loss.spurious_packets, 2);
    assert_int_equal(f.loss.in_flight_bytes, 0);
    fixture_close(&f);
}

static void test_the_window_stays_small_while_one_loss_of_the_episode_is_real(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    congestion_set_app_limited(&f.congestion, true);
    send_many(&f, 7, START + 1, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 100 * MS, 4, 4);
    assert_int_equal(f.loss.lost_packets, 2);
    (void)ack(&f, LOSS_APPLICATION, START + 101 * MS, 6, 6);
    assert_int_equal(f.loss.lost_packets, 4);
    assert_int_equal(f.congestion.events, 1);
    (void)ack(&f, LOSS_APPLICATION, START + 102 * MS, 2, 3);
    (void)ack(&f, LOSS_APPLICATION, START + 103 * MS, 1, 1);
    assert_int_equal(f.congestion.spurious_events, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 104 * MS, 0, 0);
    assert_int_equal(f.congestion.spurious_events, 1);
    fixture_close(&f);
}

static void test_late_arrivals_of_an_older_episode_do_not_excuse_this_one(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    congestion_set_app_limited(&f.congestion, true);
    send_many(&f, 6, START + 1, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 100 * MS, 3, 5);
    f.loss.episode_merged = 8; /* no more are judged together */
    send_many(&f, 6, START + 101 * MS, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 200 * MS, 9, 11);
    assert_int_equal(f.congestion.events, 2);
    assert_int_equal(f.loss.episode_lost, 3);
    (void)ack(&f, LOSS_APPLICATION, START + 201 * MS, 0, 2);
    assert_int_equal(f.loss.spurious_packets, 3);
    assert_int_equal(f.congestion.spurious_events, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 202 * MS, 6, 8);
    assert_int_equal(f.congestion.spurious_events, 1);
    fixture_close(&f);
}

static void test_lost_packets_are_forgotten_after_one_to_two_ptos(void **state)
{
    struct fixture f;
    struct loss_space *s = &f.loss.spaces[LOSS_APPLICATION];

    (void)state;
    fixture_open_confirmed(&f);
    send_many(&f, 4, START, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 100 * MS, 3, 3);
    assert_int_equal(s->sent.base, 0);
    for (uint32_t i = 1; i <= 20; i++) {
        uint64_t now_us = START + (100 + i * 40) * MS;
        uint64_t n = send_packet(&f, LOSS_APPLICATION, now_us - 30 * MS, SENT_ACK_ELICITING);

        (void)ack(&f, LOSS_APPLICATION, now_us, n, n);
        /* 130 ms is half a PTO at least. */
        assert_true(i > 3 || s->sent.base == 0);
    }
    assert_true(s->sent.base > 4);
    fixture_close(&f);
}

static void test_a_lost_mtu_probe_is_no_congestion(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    (void)send_packet(&f, LOSS_APPLICATION, START, SENT_ACK_ELICITING | SENT_PMTU_PROBE);
    send_many(&f, 3, START, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 100 * MS, 1, 3);
    check_event(&f, 3, LOSS_FATE_LOST, 0);
    assert_int_equal(f.congestion.events, 0);
    assert_int_equal(f.loss.in_flight_bytes, 0);
    fixture_close(&f);
}

static void test_window_room(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    assert_int_equal(loss_window_room(&f.loss), 12000);
    send_many(&f, 9, START, 0);
    assert_int_equal(loss_window_room(&f.loss), 1200);
    send_many(&f, 3, START, 0);
    assert_int_equal(loss_window_room(&f.loss), 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_persistent_congestion_by_table),
        cmocka_unit_test(test_a_run_of_losses_goes_on_over_several_acks),
        cmocka_unit_test(test_a_late_ack_inside_a_run_ends_it),
        cmocka_unit_test(test_an_ack_in_another_space_prevents_persistent_congestion),
        cmocka_unit_test(test_losses_that_all_arrive_late_give_the_window_back),
        cmocka_unit_test(test_the_window_stays_small_while_one_loss_of_the_episode_is_real),
        cmocka_unit_test(test_late_arrivals_of_an_older_episode_do_not_excuse_this_one),
        cmocka_unit_test(test_lost_packets_are_forgotten_after_one_to_two_ptos),
        cmocka_unit_test(test_a_lost_mtu_probe_is_no_congestion),
        cmocka_unit_test(test_window_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
