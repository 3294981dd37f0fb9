/* SPDX-License-Identifier: MIT */
/* Goal: what belongs to another path, to an ECN mark, to a skipped number or to a probe of the path
 * MTU is told apart from loss and delivery on this path. Method: scenarios in virtual
 * microseconds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "loss_fixture.h"
#include "weir.h"

/* Packets 0 to 9 on the old path, then a change to another pair of round trip and window. */
struct two {
    struct fixture f;
    struct rtt rtt;
    struct congestion congestion;
};

static void open_two(struct two *t)
{
    fixture_open_confirmed(&t->f);
    send_many(&t->f, 10, START, 1 * MS);
    rtt_init(&t->rtt);
    congestion_init(&t->congestion, &congestion_cubic, 1200);
    loss_on_path_change(&t->f.loss, &t->rtt, &t->congestion, START + 20 * MS);
}

static void test_a_new_path_starts_with_nothing_in_flight(void **state)
{
    struct two t;

    (void)state;
    open_two(&t);
    assert_int_equal(t.f.loss.in_flight_bytes, 0);
    assert_int_equal(loss_window_room(&t.f.loss), 12000);
    send_many(&t.f, 2, START + 21 * MS, 0);
    assert_int_equal(t.f.loss.in_flight_bytes, 2400);
    /* What is on the old path is still waited for. */
    assert_true(loss_deadline(&t.f.loss) < START + 2000 * MS);
    fixture_close(&t.f);
}

static void test_acks_of_the_old_path_are_reported_and_change_nothing(void **state)
{
    struct two t;

    (void)state;
    open_two(&t);
    assert_true(ack(&t.f, LOSS_APPLICATION, START + 100 * MS, 0, 9));
    assert_int_equal(t.f.event_count, 10);
    check_event(&t.f, 9, LOSS_FATE_ACKED, 9);
    assert_false(rtt_is_sampled(&t.rtt));
    assert_int_equal(t.congestion.window_bytes, 12000);
    assert_int_equal(t.f.congestion.window_bytes, 12000);
    assert_int_equal(t.f.loss.in_flight_bytes, 0);
    assert_int_equal(t.f.loss.spaces[LOSS_APPLICATION].eliciting_in_flight, 0);
    assert_false(loss_on_ecn_ce(&t.f.loss, LOSS_APPLICATION, START + 100 * MS));
    fixture_close(&t.f);
}

static void test_losses_of_the_old_path_are_reported_and_no_congestion(void **state)
{
    struct two t;
    uint64_t n;

    (void)state;
    open_two(&t);
    n = send_packet(&t.f, LOSS_APPLICATION, START + 21 * MS, SENT_ACK_ELICITING);
    congestion_set_app_limited(&t.congestion, true);
    (void)ack(&t.f, LOSS_APPLICATION, START + 90 * MS, n, n);
    check_event(&t.f, 1, LOSS_FATE_LOST, 0);
    assert_int_equal(t.f.event_count, 11);
    assert_int_equal(t.congestion.events, 0);
    assert_int_equal(t.rtt.latest_us, 69 * MS);
    assert_int_equal(t.f.loss.in_flight_bytes, 0);
    /* Late arrivals excuse nothing here, and say nothing about this path's order. */
    (void)ack(&t.f, LOSS_APPLICATION, START + 95 * MS, 0, 5);
    assert_int_equal(t.congestion.spurious_events, 0);
    assert_int_equal(t.f.loss.spurious_packets, 6);
    assert_int_equal(t.f.loss.reorder.packets, LOSS_PACKET_THRESHOLD);
    fixture_close(&t.f);
}

static void test_an_ack_over_both_paths_credits_only_the_new_one(void **state)
{
    struct two t;

    (void)state;
    open_two(&t);
    send_many(&t.f, 10, START + 30 * MS, 0);
    (void)ack(&t.f, LOSS_APPLICATION, START + 130 * MS, 5, 14);
    assert_int_equal(t.congestion.window_bytes, 12000 + 5 * 1200);
    assert_int_equal(t.rtt.latest_us, 100 * MS);
    assert_int_equal(t.f.loss.in_flight_bytes, 5 * 1200);
    fixture_close(&t.f);
}

static void test_the_same_pair_may_be_reset_in_place(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    send_many(&f, 10, START, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 100 * MS, 5, 9);
    assert_int_equal(f.congestion.events, 1);
    rtt_reset(&f.rtt);
    congestion_reset(&f.congestion, 1200, START + 110 * MS);
    loss_on_path_change(&f.loss, &f.rtt, &f.congestion, START + 110 * MS);
    (void)ack(&f, LOSS_APPLICATION, START + 120 * MS, 0, 9);
    assert_int_equal(f.congestion.window_bytes, 12000);
    assert_int_equal(f.congestion.spurious_events, 0);
    assert_int_equal(f.congestion.events, 1); /* totals go on */
    assert_false(rtt_is_sampled(&f.rtt));
    fixture_close(&f);
}

static void test_forgetting_a_space_after_a_path_change_keeps_the_sum(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, true);
    (void)send_packet(&f, LOSS_INITIAL, START, SENT_ACK_ELICITING);
    (void)send_packet(&f, LOSS_HANDSHAKE, START, SENT_ACK_ELICITING);
    loss_on_path_change(&f.loss, &f.rtt, &f.congestion, START + 1);
    (void)send_packet(&f, LOSS_HANDSHAKE, START + 2, SENT_ACK_ELICITING);
    loss_discard_space(&f.loss, LOSS_INITIAL, START + 3);
    assert_int_equal(f.loss.in_flight_bytes, 1200);
    (void)ack(&f, LOSS_HANDSHAKE, START + 4, 0, 1);
    assert_int_equal(f.loss.in_flight_bytes, 0);
    fixture_close(&f);
}

static void test_marked_packets_are_counted_when_acked_and_when_lost(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    for (uint64_t i = 0; i < 8; i++) {
        (void)send_packet(&f, LOSS_APPLICATION, START,
                          SENT_ACK_ELICITING | (i % 2 == 0 ? (uint32_t)SENT_ECT0 : 0u));
    }
    (void)ack(&f, LOSS_APPLICATION, START + 100 * MS, 5, 7);
    assert_int_equal(f.loss.ack.marked, 1);
    assert_int_equal(f.loss.lost_marked, 3);
    /* One that arrives after all is newly acknowledged then. */
    (void)ack(&f, LOSS_APPLICATION, START + 101 * MS, 4, 7);
    assert_int_equal(f.loss.ack.marked, 1);
    (void)ack(&f, LOSS_APPLICATION, START + 102 * MS, 4, 7);
    assert_int_equal(f.loss.ack.marked, 0);
    fixture_close(&f);
}

static void test_marks_reduce_once_per_round_and_are_never_taken_back(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    congestion_set_app_limited(&f.congestion, true);
    send_many(&f, 8, START, 1 * MS);
    (void)ack(&f, LOSS_APPLICATION, START + 100 * MS, 0, 0);
    assert_true(loss_on_ecn_ce(&f.loss, LOSS_APPLICATION, START + 100 * MS));
    assert_int_equal(f.congestion.window_bytes, 6000);
    (void)ack(&f, LOSS_APPLICATION, START + 101 * MS, 0, 1);
    assert_false(loss_on_ecn_ce(&f.loss, LOSS_APPLICATION, START + 101 * MS));
    assert_int_equal(f.congestion.window_bytes, 6000);
    /* Losses of the same round that were none do not unsay the mark. */
    (void)ack(&f, LOSS_APPLICATION, START + 102 * MS, 6, 7);
    assert_int_equal(f.loss.lost_packets, 3);
    (void)ack(&f, LOSS_APPLICATION, START + 103 * MS, 0, 7);
    assert_int_equal(f.congestion.window_bytes, 6000);
    assert_int_equal(f.congestion.mark_events, 1);
    /* The next round may be reduced again. */
    send_many(&f, 1, START + 104 * MS, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 204 * MS, 8, 8);
    assert_true(loss_on_ecn_ce(&f.loss, LOSS_APPLICATION, START + 204 * MS));
    assert_int_equal(f.congestion.window_bytes, 3000);
    fixture_close(&f);
}

static void test_a_skipped_number_overtakes_nobody(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    send_many(&f, 1, START, 0);
    assert_int_equal(loss_skip_number(&f.loss, NULL), 0);
    send_many(&f, 3, START, 0);
    /* 3 numbers later, but only the second packet sent after it. */
    (void)ack(&f, LOSS_APPLICATION, START + 100 * MS, 2, 3);
    assert_int_equal(f.loss.lost_packets, 0);
    (void)ack(&f, LOSS_APPLICATION, START + 101 * MS, 4, 4);
    assert_int_equal(f.loss.lost_packets, 1);
    fixture_close(&f);
}

static void test_skips_come_once_in_one_to_a_few_windows(void **state)
{
    static const struct {
        uint64_t window_packets, least, most;
    } rows[] = {{10, 10, 266}, {100, 100, 356}, {1000, 1000, 2000}, {8000, 8000, 16000}};
    struct rng rng;

    (void)state;
    rng_init(&rng, 1, "skip", 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture f;
        uint64_t last = 0, skips = 0, gaps[3] = {0};

        fixture_open_confirmed(&f);
        f.congestion.window_bytes = rows[i].window_packets * 1200;
        for (uint64_t turn = 0; skips < 20; turn++) {
            uint64_t n = loss_next_number(&f.loss, LOSS_APPLICATION);

            if (loss_skip_due(&f.loss)) {
                assert_int_equal(loss_skip(&f.loss, rng_u64(&rng), NULL), 0);
                if (loss_next_number(&f.loss, LOSS_APPLICATION) == n + 1) {
                    assert_in_range(n - last, rows[i].least, rows[i].most + 1);
                    gaps[(n - last) % 3]++;
                    last = n;
                    skips++;
                }
                assert_false(loss_skip_due(&f.loss));
            }
            n = send_packet(&f, LOSS_APPLICATION, START + turn, SENT_ACK_ELICITING);
            f.congestion.window_bytes = rows[i].window_packets * 1200;
            (void)ack(&f, LOSS_APPLICATION, START + turn, n, n);
        }
        assert_true(gaps[0] < 20 && gaps[1] < 20 && gaps[2] < 20);
        assert_int_equal(f.loss.lost_packets, 0);
        fixture_close(&f);
    }
}

static void test_an_ack_of_a_skipped_number_is_a_violation(void **state)
{
    struct fixture f;
    uint64_t skipped = UINT64_MAX;

    (void)state;
    fixture_open_confirmed(&f);
    for (uint64_t i = 0; i < 1000 && skipped == UINT64_MAX; i++) {
        uint64_t n = loss_next_number(&f.loss, LOSS_APPLICATION);

        assert_int_equal(loss_skip(&f.loss, 12345, NULL), 0);
        if (loss_next_number(&f.loss, LOSS_APPLICATION) != n) {
            skipped = n;
        }
        (void)send_packet(&f, LOSS_APPLICATION, START, SENT_ACK_ELICITING);
    }
    assert_int_not_equal(skipped, UINT64_MAX);
    assert_int_equal(loss_on_ack_begin(&f.loss, LOSS_APPLICATION, skipped + 1, 0, START + 1), 0);
    assert_int_equal(loss_on_ack_range(&f.loss, skipped, skipped + 1), WEIR_E_PROTOCOL);
    (void)loss_on_ack_end(&f.loss);
    fixture_close(&f);
}

static uint32_t probe_flags[4];

static void note_flags(void *context, enum loss_space_name space, uint64_t number,
                       const struct sent *sent, const struct sent_packet *packet,
                       enum loss_fate fate)
{
    (void)context;
    (void)space;
    (void)number;
    assert_int_equal(sent_frame_get(sent, packet, 0)->kind, SENT_STREAM);
    probe_flags[fate] = packet->flags;
}

static void test_a_probe_of_the_path_mtu_is_reported_with_its_flag(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open_confirmed(&f);
    f.loss.on_packet = note_flags;
    for (int acked = 0; acked < 2; acked++) {
        uint64_t n =
            send_packet(&f, LOSS_APPLICATION, START + 1, SENT_ACK_ELICITING | SENT_PMTU_PROBE);

        probe_flags[LOSS_FATE_ACKED] = probe_flags[LOSS_FATE_LOST] = 0;
        if (acked == 0) {
            f.loss.on_packet = NULL;
            send_many(&f, 3, START + 1, 0);
            assert_int_equal(loss_on_ack_begin(&f.loss, LOSS_APPLICATION, n + 3, 0, START + 9), 0);
            assert_int_equal(loss_on_ack_range(&f.loss, n + 1, n + 3), 0);
            f.loss.on_packet = note_flags;
            (void)loss_on_ack_end(&f.loss);
            assert_true((probe_flags[LOSS_FATE_LOST] & SENT_PMTU_PROBE) != 0);
            assert_int_equal(f.congestion.events, 0);
        } else {
            assert_int_equal(loss_on_ack_begin(&f.loss, LOSS_APPLICATION, n, 0, START + 99), 0);
            assert_int_equal(loss_on_ack_range(&f.loss, n, n), 0);
            (void)loss_on_ack_end(&f.loss);
            assert_true((probe_flags[LOSS_FATE_ACKED] & SENT_PMTU_PROBE) != 0);
        }
    }
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_path_starts_with_nothing_in_flight),
        cmocka_unit_test(test_acks_of_the_old_path_are_reported_and_change_nothing),
        cmocka_unit_test(test_losses_of_the_old_path_are_reported_and_no_congestion),
        cmocka_unit_test(test_an_ack_over_both_paths_credits_only_the_new_one),
        cmocka_unit_test(test_the_same_pair_may_be_reset_in_place),
        cmocka_unit_test(test_forgetting_a_space_after_a_path_change_keeps_the_sum),
        cmocka_unit_test(test_marked_packets_are_counted_when_acked_and_when_lost),
        cmocka_unit_test(test_marks_reduce_once_per_round_and_are_never_taken_back),
        cmocka_unit_test(test_a_skipped_number_overtakes_nobody),
        cmocka_unit_test(test_skips_come_once_in_one_to_a_few_windows),
        cmocka_unit_test(test_an_ack_of_a_skipped_number_is_a_violation),
        cmocka_unit_test(test_a_probe_of_the_path_mtu_is_reported_with_its_flag),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
