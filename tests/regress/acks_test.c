/* SPDX-License-Identifier: MIT */
/* Goal: acknowledgements, whether too many, too few or of nothing, neither widen a window nor pile
 * anything up. Method: a peer with the real keys (attack.h) acknowledges what it likes; windows,
 * closes, bytes held and datagrams sent are bounded. */
#include "attack.h"

static struct loss_space *space(const struct attack *a)
{
    return &attack_victim(a)->loss.spaces[LOSS_APPLICATION];
}

/* CVE-2025-4821, CVE-2025-4820 (quiche). */
static void test_an_ack_of_what_was_never_sent_closes_and_widens_nothing(void **state)
{
    static const uint64_t ahead[] = {0, 1, 1000, UINT64_C(1) << 31, UINT64_C(1) << 61};
    (void)state;
    for (size_t i = 0; i < sizeof ahead / sizeof ahead[0]; i++) {
        struct attack a = attack_new();
        (void)attack_feed(&a);
        (void)attack_drain(&a);
        uint64_t window = attack_victim(&a)->congestion.window_bytes;
        uint8_t payload[64];
        struct writer w = writer_of(payload, sizeof payload);
        attack_ack(&w, 0, attack_next_number(&a) + ahead[i]);
        attack_give(&a, &w);
        attack_expect_closed(&a, QUIC_PROTOCOL_VIOLATION);
        assert_true(attack_victim(&a)->congestion.window_bytes <= window);
        attack_expect_peak(&a, 4 * 65536);
        attack_end(&a);
    }
}

static void test_an_ack_of_a_skipped_number_closes(void **state)
{
    (void)state;
    for (unsigned around = 0; around < 3; around++) {
        struct attack a = attack_new();
        uint64_t skipped = attack_next_number(&a);
        assert_int_equal(loss_skip_number(&attack_victim(&a)->loss, NULL), 0);
        (void)attack_feed(&a);
        (void)attack_drain(&a);
        assert_true(attack_next_number(&a) > skipped + 2);
        uint8_t payload[64];
        struct writer w = writer_of(payload, sizeof payload);
        attack_ack(&w, skipped - (around == 1), skipped + (around == 2));
        attack_give(&a, &w);
        attack_expect_closed(&a, QUIC_PROTOCOL_VIOLATION);
        attack_end(&a);
    }
}

/* RFC 9000 21.4: who acknowledges everything, received or not, is caught the sooner the more it
 * could gain: before it was sent three windows. */
static void test_an_optimistic_ack_is_caught_within_a_few_windows(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 5; seed++) {
        struct attack a = attack_new();
        a.look = false;
        a.p->entropy_counter += seed * 77;
        struct stream *s = attack_feed(&a);
        uint64_t most = 0;
        for (unsigned i = 0; i < 4000 && attack_is_up(&a); i++) {
            static const uint8_t zeros[65536];
            uint8_t payload[64];
            struct writer w = writer_of(payload, sizeof payload);
            attack_ack(&w, 0, attack_next_number(&a) - 1);
            frame_write_max_data(&w, UINT64_C(1) << 40);
            frame_write_max_stream_data(&w, s->id, UINT64_C(1) << 40);
            attack_give(&a, &w);
            if (!attack_is_up(&a)) break;
            uint64_t window = attack_victim(&a)->congestion.window_bytes;
            if (window > most) most = window;
            (void)stream_write(s, zeros, sizeof zeros, false, false, a.p->now_us);
            quic_transport.on_turn(a.p->side[1].transport, a.p->now_us);
            (void)attack_pass(&a, 5000);
        }
        attack_expect_closed(&a, QUIC_PROTOCOL_VIOLATION);
        assert_true(attack_metric(&a, METRIC_NUMBERS_SKIPPED) >= 1);
        /* 512 packets, or three windows. */
        assert_true(a.bytes < 1472 * 600 + 3 * most);
        attack_end(&a);
    }
}

/* RFC 9000 21.9 (ACK-range flooding): every second number, in many frames of many packets. */
static void test_floods_of_ack_ranges_allocate_nothing(void **state)
{
    enum { PACKETS = 500 };
    (void)state;
    struct attack a = attack_new();
    a.look = false;
    /* Two windows of packets, all of them acknowledged in turn, so that each range is known. */
    for (unsigned i = 0; i < 4; i++) {
        (void)attack_feed(&a);
        (void)attack_pass(&a, 20000);
    }
    uint64_t numbers = attack_next_number(&a), first = space(&a)->sent.base;
    attack_begin(&a);
    for (unsigned i = 0; i < PACKETS; i++) {
        uint8_t payload[1300];
        struct writer w = writer_of(payload, sizeof payload);
        struct range ranges[300];
        uint32_t count = 0;
        for (uint64_t n = first + i % 2; n < numbers && count < 300; n += 2) {
            const struct sent_packet *sent = sent_get(&space(&a)->sent, n);
            if (sent != NULL && (sent->flags & SENT_UNSENT) != 0) continue;
            ranges[count++] = (struct range){n, n + 1};
        }
        assert_true(count > 5);
        while (writer_room(&w) > 3 * count + 20)
            assert_true(frame_write_ack(&w, ranges, count, 300, 0, NULL));
        attack_give(&a, &w);
        (void)attack_drain(&a);
    }
    assert_true(attack_is_up(&a));
    attack_expect_peak(&a, 65536);
    assert_true(attack_calls(&a) < PACKETS);
    assert_true(a.datagrams < PACKETS);
    attack_expect_alive(&a);
    attack_end(&a);
}

/* CVE-2026-63075 (OpenSSL): records of packets that nobody has to acknowledge. */
static void test_acks_that_are_never_acknowledged_keep_bounded_records(void **state)
{
    enum { PACKETS = 60000 };
    (void)state;
    for (int withheld = 0; withheld < 2; withheld++) {
        struct attack a = attack_new();
        a.look = false;
        /* A packet that the peer ought to acknowledge and does not holds all later records. */
        if (withheld != 0) (void)attack_feed(&a);
        (void)attack_drain(&a);
        attack_begin(&a);
        for (unsigned i = 0; i < PACKETS; i++) {
            uint8_t payload[64];
            struct writer w = writer_of(payload, sizeof payload);
            uint64_t last = attack_next_number(&a) - 1;
            const struct sent_packet *sent = sent_get(&space(&a)->sent, last);
            frame_write_ping(&w);
            if (withheld == 0 && i % 50 == 0 && sent != NULL && (sent->flags & SENT_UNSENT) == 0)
                attack_ack(&w, last, last);
            attack_give(&a, &w);
            (void)attack_drain(&a);
            if (i % 1000 == 0) (void)attack_pass(&a, 50000);
        }
        assert_true(a.datagrams <= PACKETS);
        assert_true(attack_is_up(&a));
        attack_expect_peak(&a, withheld != 0 ? ATTACK_RECORDS_BYTES : 131072);
        assert_true(space(&a)->sent.next - space(&a)->sent.base <= 16384);
        attack_end(&a);
    }
}

/* CVE-2024-26190 (msquic): a small piece per event, for as long as the connection lives. */
static void test_many_small_events_leave_memory_as_it_was(void **state)
{
    enum { EVENTS = 30000 };
    (void)state;
    struct attack a = attack_new();
    uint64_t early = 0;
    a.look = false;
    for (unsigned i = 0; i < EVENTS; i++) {
        uint8_t payload[200], data[8] = {(uint8_t)i};
        struct writer w = writer_of(payload, sizeof payload);
        uint64_t last = attack_next_number(&a) - 1;
        const struct sent_packet *sent = sent_get(&space(&a)->sent, last);
        if (sent != NULL && (sent->flags & SENT_UNSENT) == 0) attack_ack(&w, last, last);
        frame_write_path_challenge(&w, data);
        frame_write_max_data(&w, 1000000 + i);
        frame_write_max_streams(&w, i % 2 != 0, 300 + i);
        frame_write_data_blocked(&w, i);
        frame_write_ack_frequency(&w, &(struct frame_ack_frequency){i, i % 9, 25000, 3});
        attack_give(&a, &w);
        (void)attack_pass(&a, 1000 + i % 3000);
        if (i == EVENTS / 10) early = a.p->counter.live_bytes;
    }
    assert_true(a.p->counter.live_bytes <= early + 1024);
    attack_expect_peak(&a, 65536);
    attack_expect_alive(&a);
    attack_end(&a);
}

/* The other way: what we remember of a peer that sends ACK-only packets under every second
 * number. */
static void test_ack_only_packets_with_gaps_are_remembered_in_64_ranges(void **state)
{
    enum { PACKETS = 30000 };
    (void)state;
    struct attack a = attack_new();
    for (unsigned i = 0; i < PACKETS; i++) {
        uint8_t payload[64];
        struct writer w = writer_of(payload, sizeof payload);
        attack_ack(&w, 0, 0);
        a.number++;
        attack_give(&a, &w);
        (void)attack_pass(&a, 100);
    }
    assert_true(attack_victim(&a)->ack_app.ranges.count <= ACK_RANGES_MAX);
    assert_true(a.datagrams <= 4);
    attack_expect_peak(&a, 4096);
    attack_expect_alive(&a);
    attack_end(&a);
}

static void frequency(struct writer *w, uint64_t sequence, uint64_t threshold, uint64_t delay_us)
{
    assert_true(frame_write_ack_frequency(
        w, &(struct frame_ack_frequency){sequence, threshold, delay_us, 0}));
}

/* draft-ietf-quic-ack-frequency, security considerations. */
static void test_ack_frequency_cannot_ask_for_more_or_less_than_is_sane(void **state)
{
    static const struct {
        uint64_t threshold, delay_us;
        uint64_t code;                  /* 0: lives */
        uint64_t acks_least, acks_most; /* for 6400 packets in 64 ms */
    } rows[] = {{VARINT_MAX, 25000, 0, 100, 110},
                {0, 25000, 0, 6400, 6400},
                {1, 25000, 0, 3200, 3200},
                {VARINT_MAX, 1000, 0, 100, 130},
                {63, 0, QUIC_PROTOCOL_VIOLATION, 0, 0},
                {63, 999, QUIC_PROTOCOL_VIOLATION, 0, 0},
                {63, 16384000, QUIC_PROTOCOL_VIOLATION, 0, 0},
                {63, VARINT_MAX, QUIC_PROTOCOL_VIOLATION, 0, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct attack a = attack_new();
        uint8_t payload[64];
        struct writer w = writer_of(payload, sizeof payload);
        frequency(&w, 0, rows[i].threshold, rows[i].delay_us);
        attack_give(&a, &w);
        if (rows[i].code != 0) {
            attack_expect_closed(&a, rows[i].code);
            attack_end(&a);
            continue;
        }
        (void)attack_pass(&a, 100000);
        attack_begin(&a);
        for (unsigned n = 0; n < 6400; n++) {
            w = writer_of(payload, sizeof payload);
            frame_write_ping(&w);
            attack_give(&a, &w);
            (void)attack_pass(&a, 10);
        }
        assert_in_range(a.frames[FRAME_ACK] + a.frames[FRAME_ACK_ECN], rows[i].acks_least,
                        rows[i].acks_most);
        attack_expect_peak(&a, ATTACK_RECORDS_BYTES);
        attack_end(&a);
    }
}

static void test_floods_of_ack_requests_cost_one_ack_per_packet(void **state)
{
    enum { PACKETS = 2000 };
    (void)state;
    struct attack a = attack_new();
    uint64_t sequence = 0;
    for (unsigned i = 0; i < PACKETS; i++) {
        uint8_t payload[1200];
        struct writer w = writer_of(payload, sizeof payload);
        for (unsigned n = 0; n < 80; n++) {
            frequency(&w, sequence++, n, 1000 + n);
            frame_write_immediate_ack(&w);
        }
        attack_give(&a, &w);
        (void)attack_pass(&a, 100);
    }
    assert_in_range(a.frames[FRAME_ACK] + a.frames[FRAME_ACK_ECN], PACKETS / 2, PACKETS);
    assert_true(a.datagrams <= PACKETS + 4);
    attack_expect_peak(&a, ATTACK_RECORDS_BYTES);
    attack_expect_alive(&a);
    attack_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_ack_of_what_was_never_sent_closes_and_widens_nothing),
        cmocka_unit_test(test_an_ack_of_a_skipped_number_closes),
        cmocka_unit_test(test_an_optimistic_ack_is_caught_within_a_few_windows),
        cmocka_unit_test(test_floods_of_ack_ranges_allocate_nothing),
        cmocka_unit_test(test_acks_that_are_never_acknowledged_keep_bounded_records),
        cmocka_unit_test(test_many_small_events_leave_memory_as_it_was),
        cmocka_unit_test(test_ack_only_packets_with_gaps_are_remembered_in_64_ranges),
        cmocka_unit_test(test_ack_frequency_cannot_ask_for_more_or_less_than_is_sane),
        cmocka_unit_test(test_floods_of_ack_requests_cost_one_ack_per_packet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
