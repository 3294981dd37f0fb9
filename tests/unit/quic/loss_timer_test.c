/* SPDX-License-Identifier: MIT */
/* Goal: the timers are those of RFC 9002 (6.1.2, 6.2, A.8) with the caps of docs/wire.md 9.
 * Method: a table of situations with deadlines computed by hand, and scenarios in virtual
 * microseconds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "loss_fixture.h"

static void test_a_packet_is_lost_by_time_when_the_timer_says(void **state)
{
    struct fixture f;
    struct loss_action action;
    uint64_t due_us;

    (void)state;
    fixture_open_confirmed(&f);
    send_many(&f, 2, START, 10 * MS);
    (void)ack(&f, LOSS_APPLICATION, START + 110 * MS, 1, 1);
    assert_int_equal(f.event_count, 1);
    /* 9/8 of 100 ms after packet 0 was sent. */
    due_us = START + 112500;
    assert_int_equal(loss_deadline(&f.loss), due_us);
    action = loss_on_deadline(&f.loss, due_us - 1);
    assert_int_equal(action.kind, LOSS_NOTHING);
    action = loss_on_deadline(&f.loss, due_us);
    assert_int_equal(action.kind, LOSS_FOUND);
    assert_int_equal(action.space, LOSS_APPLICATION);
    check_event(&f, 1, LOSS_FATE_LOST, 0);
    assert_int_equal(f.loss.pto_count, 0);
    assert_int_equal(loss_deadline(&f.loss), LOSS_NEVER);
    fixture_close(&f);
}

static void test_pto_by_table(void **state)
{
    /* long: one table */
    /* Packets are sent at START + the column (ms), 0: none. Without a sample a PTO is 997 ms. */
    static const struct {
        const char *name;
        bool client, handshake_keys, confirmed, blocked, handshake_ack;
        uint32_t sent_ms[LOSS_SPACES], backoff;
        uint64_t expected_ms; /* after START; 0: never */
        enum loss_space_name space;
        uint32_t probes;
    } rows[] = {
        {"client Initial", true, false, false, false, false, {10, 0, 0}, 0, 1007, LOSS_INITIAL, 2},
        {"server nothing", false, true, false, false, false, {0, 0, 0}, 0, 0, LOSS_INITIAL, 0},
        {"client nothing: Initial",
         true,
         false,
         false,
         false,
         false,
         {0, 0, 0},
         0,
         997,
         LOSS_INITIAL,
         1},
        {"client nothing: Handshake",
         true,
         true,
         false,
         false,
         false,
         {0, 0, 0},
         0,
         997,
         LOSS_HANDSHAKE,
         1},
        {"client nothing, confirmed",
         true,
         true,
         true,
         false,
         false,
         {0, 0, 0},
         0,
         0,
         LOSS_INITIAL,
         0},
        {"client nothing, Handshake acked",
         true,
         true,
         false,
         false,
         true,
         {0, 0, 0},
         0,
         0,
         LOSS_INITIAL,
         0},
        {"earliest space",
         false,
         true,
         false,
         false,
         false,
         {30, 20, 0},
         0,
         1017,
         LOSS_HANDSHAKE,
         2},
        {"application before confirmation",
         false,
         true,
         false,
         false,
         false,
         {0, 0, 10},
         0,
         0,
         LOSS_APPLICATION,
         0},
        {"client application before validation still asks",
         true,
         true,
         false,
         false,
         false,
         {0, 0, 10},
         0,
         1007,
         LOSS_HANDSHAKE,
         1},
        {"application has the ack delay",
         false,
         true,
         true,
         false,
         false,
         {0, 0, 10},
         0,
         1032,
         LOSS_APPLICATION,
         2},
        {"blocked server", false, true, false, true, false, {10, 10, 0}, 0, 0, LOSS_INITIAL, 0},
        {"backoff 1", true, false, false, false, false, {10, 0, 0}, 1, 10 + 1994, LOSS_INITIAL, 2},
        {"backoff 2 is capped",
         true,
         false,
         false,
         false,
         false,
         {10, 0, 0},
         2,
         3010,
         LOSS_INITIAL,
         2},
        {"backoff 40 is capped",
         true,
         false,
         false,
         false,
         false,
         {10, 0, 0},
         40,
         3010,
         LOSS_INITIAL,
         2},
        {"confirmed backoff 1",
         true,
         true,
         true,
         false,
         false,
         {0, 0, 10},
         1,
         10 + 2 * 1022,
         LOSS_APPLICATION,
         2},
        {"confirmed backoff 3 is capped",
         true,
         true,
         true,
         false,
         false,
         {0, 0, 10},
         3,
         3010, /* nothing of the Application space was acknowledged yet */
         LOSS_APPLICATION,
         2},
        {"confirmed backoff 40",
         true,
         true,
         true,
         false,
         false,
         {0, 0, 10},
         40,
         3010,
         LOSS_APPLICATION,
         2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture f;
        struct loss_action action;
        uint64_t due_us = rows[i].expected_ms == 0 ? LOSS_NEVER : START + rows[i].expected_ms * MS;

        fixture_open(&f, rows[i].client);
        f.loss.confirmed = rows[i].confirmed;
        f.loss.handshake_acked = rows[i].handshake_ack;
        f.loss.pto_count = rows[i].backoff;
        if (rows[i].handshake_keys) {
            loss_set_handshake_keys(&f.loss);
        }
        loss_set_blocked(&f.loss, rows[i].blocked);
        for (uint32_t s = 0; s < LOSS_SPACES; s++) {
            if (rows[i].sent_ms[s] != 0) {
                (void)send_packet(&f, (enum loss_space_name)s, START + rows[i].sent_ms[s] * MS,
                                  SENT_ACK_ELICITING);
            }
        }
        if (loss_deadline(&f.loss) != due_us) {
            fail_msg("%s: %llu", rows[i].name, (unsigned long long)loss_deadline(&f.loss));
        }
        assert_int_equal(loss_on_deadline(&f.loss, START).kind, LOSS_NOTHING);
        if (due_us != LOSS_NEVER) {
            assert_int_equal(loss_on_deadline(&f.loss, due_us - 1).kind, LOSS_NOTHING);
            action = loss_on_deadline(&f.loss, due_us);
            assert_int_equal(action.kind, LOSS_PROBE);
            assert_int_equal(action.space, rows[i].space);
            assert_int_equal(action.probes, rows[i].probes);
            assert_int_equal(f.loss.pto_count, rows[i].backoff + 1);
        }
        assert_int_equal(f.event_count, 0);
        fixture_close(&f);
    }
}

static void test_a_probe_that_cannot_leave_does_not_make_the_timer_spin(void **state)
{
    struct fixture f;
    uint64_t due_us;

    (void)state;
    fixture_open(&f, true);
    (void)send_packet(&f, LOSS_INITIAL, START, SENT_ACK_ELICITING);
    due_us = START + 100000 * MS;
    assert_int_equal(loss_on_deadline(&f.loss, due_us).kind, LOSS_PROBE);
    assert_int_equal(loss_on_deadline(&f.loss, due_us).kind, LOSS_NOTHING);
    assert_int_equal(loss_deadline(&f.loss), due_us + 2 * 997 * MS);
    fixture_close(&f);
    /* The same with nothing in flight: the anti-deadlock probe. */
    fixture_open(&f, true);
    assert_int_equal(loss_on_deadline(&f.loss, due_us).kind, LOSS_PROBE);
    assert_int_equal(loss_on_deadline(&f.loss, due_us).kind, LOSS_NOTHING);
    assert_int_equal(loss_deadline(&f.loss), due_us + 2 * 997 * MS);
    fixture_close(&f);
}

static void test_an_unblocked_server_with_a_past_deadline_fires_at_once(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, false);
    (void)send_packet(&f, LOSS_INITIAL, START, SENT_ACK_ELICITING);
    loss_set_blocked(&f.loss, true);
    assert_int_equal(loss_on_deadline(&f.loss, START + 5000 * MS).kind, LOSS_NOTHING);
    loss_set_blocked(&f.loss, false);
    assert_int_equal(loss_deadline(&f.loss), START + 997 * MS);
    assert_int_equal(loss_on_deadline(&f.loss, START + 5000 * MS).kind, LOSS_PROBE);
    fixture_close(&f);
}

static void test_eight_losses_in_a_row_fit_into_thirty_seconds(void **state)
{
    struct fixture f;
    uint64_t now_us = START;

    (void)state;
    fixture_open(&f, true);
    (void)send_packet(&f, LOSS_INITIAL, now_us, SENT_ACK_ELICITING);
    for (int i = 0; i < 8; i++) {
        now_us = loss_deadline(&f.loss);
        assert_int_equal(loss_on_deadline(&f.loss, now_us).kind, LOSS_PROBE);
        (void)send_packet(&f, LOSS_INITIAL, now_us, SENT_ACK_ELICITING);
    }
    assert_int_equal(now_us - START, (997 + 1994 + 6 * 3000) * MS);
    assert_int_equal(f.loss.pto_total, 8);
    fixture_close(&f);
}

static void test_backoff_ends_by_an_ack_except_at_a_client_not_yet_sure_of_the_server(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, true);
    (void)send_packet(&f, LOSS_INITIAL, START, SENT_ACK_ELICITING);
    f.loss.pto_count = 3;
    (void)ack(&f, LOSS_INITIAL, START + 50 * MS, 0, 0);
    assert_int_equal(f.loss.pto_count, 3);
    loss_set_handshake_keys(&f.loss);
    (void)send_packet(&f, LOSS_HANDSHAKE, START + 50 * MS, SENT_ACK_ELICITING);
    (void)ack(&f, LOSS_HANDSHAKE, START + 100 * MS, 0, 0);
    assert_int_equal(f.loss.pto_count, 0);
    fixture_close(&f);
    fixture_open(&f, false);
    (void)send_packet(&f, LOSS_INITIAL, START, SENT_ACK_ELICITING);
    f.loss.pto_count = 3;
    (void)ack(&f, LOSS_INITIAL, START + 50 * MS, 0, 0);
    assert_int_equal(f.loss.pto_count, 0);
    fixture_close(&f);
}

static void test_each_ack_eliciting_packet_restarts_the_pto(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    send_many(&f, 1, START, 0);
    /* 100 + 4 * 50 + 25 ms. */
    assert_int_equal(loss_deadline(&f.loss), START + 325 * MS);
    send_many(&f, 1, START + 40 * MS, 0);
    assert_int_equal(loss_deadline(&f.loss), START + 365 * MS);
    (void)send_packet(&f, LOSS_APPLICATION, START + 80 * MS, 0);
    assert_int_equal(loss_deadline(&f.loss), START + 365 * MS);
    (void)send_packet(&f, LOSS_APPLICATION, START + 90 * MS, SENT_IN_FLIGHT);
    assert_int_equal(loss_deadline(&f.loss), START + 365 * MS);
    fixture_close(&f);
}

static void test_padding_alone_does_not_arm_the_pto(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    (void)send_packet(&f, LOSS_APPLICATION, START, SENT_IN_FLIGHT);
    assert_int_equal(f.loss.in_flight_bytes, 1200);
    assert_int_equal(loss_deadline(&f.loss), LOSS_NEVER);
    fixture_close(&f);
}

static void test_discarding_a_space_takes_its_bytes_out_of_flight(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, true);
    (void)send_packet(&f, LOSS_INITIAL, START, SENT_ACK_ELICITING);
    (void)send_packet(&f, LOSS_INITIAL, START, SENT_ACK_ELICITING);
    (void)send_packet(&f, LOSS_HANDSHAKE, START + 20 * MS, SENT_ACK_ELICITING);
    f.loss.pto_count = 2;
    loss_discard_space(&f.loss, LOSS_INITIAL, START + 30 * MS);
    loss_discard_space(&f.loss, LOSS_INITIAL, START + 30 * MS);
    assert_int_equal(f.event_count, 0);
    assert_int_equal(f.loss.in_flight_bytes, 1200);
    assert_int_equal(f.loss.pto_count, 0);
    assert_int_equal(loss_deadline(&f.loss), START + 1017 * MS);
    assert_null(f.loss.spaces[LOSS_INITIAL].sent.packets);
    fixture_close(&f);
}

static void test_retry_forgets_but_numbers_continue(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, true);
    (void)send_packet(&f, LOSS_INITIAL, START, SENT_ACK_ELICITING);
    loss_on_retry(&f.loss, START + 40 * MS);
    assert_int_equal(f.loss.in_flight_bytes, 0);
    assert_int_equal(f.event_count, 0);
    assert_int_equal(send_packet(&f, LOSS_INITIAL, START + 40 * MS, SENT_ACK_ELICITING), 1);
    (void)ack(&f, LOSS_INITIAL, START + 90 * MS, 1, 1);
    assert_int_equal(f.event_count, 1);
    assert_int_equal(f.loss.in_flight_bytes, 0);
    fixture_close(&f);
}

static void test_oldest_walks_over_what_is_unsettled(void **state)
{
    struct fixture f;
    uint64_t number = 0;

    (void)state;
    fixture_open_confirmed(&f);
    assert_null(loss_oldest(&f.loss, LOSS_APPLICATION, &number));
    send_many(&f, 2, START, 0);
    (void)send_packet(&f, LOSS_APPLICATION, START, 0);
    send_many(&f, 3, START, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 100 * MS, 3, 3);
    /* 0 is lost; 1 waits; 2 is ack-only; 3 is acked. */
    assert_non_null(loss_oldest(&f.loss, LOSS_APPLICATION, &number));
    assert_int_equal(number, 1);
    number++;
    assert_non_null(loss_oldest(&f.loss, LOSS_APPLICATION, &number));
    assert_int_equal(number, 4);
    number = 6;
    assert_null(loss_oldest(&f.loss, LOSS_APPLICATION, &number));
    fixture_close(&f);
}

static void test_a_full_window_in_a_blackhole_can_still_be_probed(void **state)
{
    struct fixture f;
    uint32_t sent = 0;
    uint64_t due_us = START;

    (void)state;
    fixture_open_confirmed(&f);
    while (loss_packet_begin(&f.loss, LOSS_APPLICATION, NULL) == 0) {
        loss_packet_cancel(&f.loss, LOSS_APPLICATION);
        send_many(&f, 1, START, 0);
        sent++;
    }
    assert_int_equal(sent, SENT_PACKETS_MAX - SENT_RESERVE);
    for (int i = 0; i < 10; i++) {
        due_us = loss_deadline(&f.loss);
        assert_int_equal(loss_on_deadline(&f.loss, due_us).kind, LOSS_PROBE);
        send_many(&f, 2, due_us, 0);
    }
    f.loss.on_packet = NULL;
    (void)ack(&f, LOSS_APPLICATION, due_us + 200 * MS, sent + 19, sent + 19);
    /* The other of the last two probes is too young to be lost. */
    assert_int_equal(f.loss.lost_packets, sent + 18);
    assert_int_equal(f.loss.spaces[LOSS_APPLICATION].sent.probes, 0);
    assert_int_equal(loss_packet_begin(&f.loss, LOSS_APPLICATION, NULL), 0);
    loss_packet_cancel(&f.loss, LOSS_APPLICATION);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_packet_is_lost_by_time_when_the_timer_says),
        cmocka_unit_test(test_pto_by_table),
        cmocka_unit_test(test_a_probe_that_cannot_leave_does_not_make_the_timer_spin),
        cmocka_unit_test(test_an_unblocked_server_with_a_past_deadline_fires_at_once),
        cmocka_unit_test(test_eight_losses_in_a_row_fit_into_thirty_seconds),
        cmocka_unit_test(test_backoff_ends_by_an_ack_except_at_a_client_not_yet_sure_of_the_server),
        cmocka_unit_test(test_each_ack_eliciting_packet_restarts_the_pto),
        cmocka_unit_test(test_padding_alone_does_not_arm_the_pto),
        cmocka_unit_test(test_discarding_a_space_takes_its_bytes_out_of_flight),
        cmocka_unit_test(test_retry_forgets_but_numbers_continue),
        cmocka_unit_test(test_oldest_walks_over_what_is_unsettled),
        cmocka_unit_test(test_a_full_window_in_a_blackhole_can_still_be_probed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
