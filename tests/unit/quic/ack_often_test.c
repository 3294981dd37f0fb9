/* SPDX-License-Identifier: MIT */
/* Goal: ACKs come as often as the sender of data asks and never seldom enough to starve it, and
 * numbers that are skipped on purpose cost neither memory nor late packets. Method: the examples of
 * draft-ietf-quic-ack-frequency, tables of requests, and long rows of packets with virtual time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "quic/ack.h"
#include "quic/error.h"
#include "weir.h"

#include <string.h>

enum { DELAY_US = 25000, MIN_US = 1000 };

static void receive(struct ack_state *ack, uint64_t pn, uint64_t now_us)
{
    assert_false(ack_is_duplicate(ack, pn));
    assert_int_equal(ack_on_packet(ack, mem_system(), pn, true, now_us, ACK_ECN_NONE), 0);
}

static int ask(struct ack_state *ack, uint64_t sequence, uint64_t threshold, uint64_t max_delay_us,
               uint64_t reordering)
{
    struct frame_ack_frequency frequency = {sequence, threshold, max_delay_us, reordering};
    return ack_set_frequency(ack, &frequency, MIN_US);
}

/* Receives packets first to first + count - 1 in order. @return how many of them were due an ACK,
 * which is sent */
static unsigned acks_for(struct ack_state *ack, uint64_t first, unsigned count, uint64_t now_us)
{
    unsigned acks = 0;
    for (unsigned i = 0; i < count; i++) {
        receive(ack, first + i, now_us);
        if (!ack_should_send(ack, now_us)) continue;
        ack_on_ack_sent(ack);
        acks++;
    }
    return acks;
}

static void test_nothing_changes_while_nothing_is_asked(void **state)
{
    struct ack_state ack;
    (void)state;
    ack_init(&ack, DELAY_US);
    assert_int_equal(acks_for(&ack, 0, 100, 0), 50);
    receive(&ack, 100, 7);
    assert_int_equal(ack_deadline(&ack), 7 + DELAY_US);
    ack_free(&ack, mem_system());
}

static void test_one_more_than_the_threshold_calls_for_an_ack(void **state)
{
    static const struct {
        uint64_t threshold, packets;
    } rows[] = {{0, 1}, {1, 2}, {9, 10}, {63, 64}, {64, 64}, {UINT64_C(1) << 61, 64}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ack_state ack;
        ack_init(&ack, DELAY_US);
        assert_int_equal(ask(&ack, 0, rows[i].threshold, DELAY_US, 1), 0);
        assert_int_equal(acks_for(&ack, 0, 640, 0), 640 / rows[i].packets);
        ack_free(&ack, mem_system());
    }
}

static void test_the_delay_is_what_was_asked_within_bounds(void **state)
{
    static const struct {
        uint64_t delay_us;
        int error;
    } rows[] = {
        {0, QUIC_PROTOCOL_VIOLATION},
        {MIN_US - 1, QUIC_PROTOCOL_VIOLATION},
        {MIN_US, 0},
        {100000, 0},
        {16383999, 0},
        {16384000, QUIC_PROTOCOL_VIOLATION},
        {VARINT_MAX, QUIC_PROTOCOL_VIOLATION},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ack_state ack, before;
        ack_init(&ack, DELAY_US);
        before = ack;
        assert_int_equal(ask(&ack, 5, 9, rows[i].delay_us, 0), rows[i].error);
        if (rows[i].error != 0) assert_memory_equal(&ack, &before, sizeof ack);
        receive(&ack, 0, 50);
        assert_int_equal(ack_deadline(&ack),
                         50 + (rows[i].error != 0 ? DELAY_US : rows[i].delay_us));
        ack_free(&ack, mem_system());
    }
}

static void test_what_waits_is_not_delayed_further(void **state)
{
    struct ack_state ack;
    (void)state;
    ack_init(&ack, DELAY_US);
    receive(&ack, 0, 0);
    assert_int_equal(ask(&ack, 0, 9, 500000, 1), 0);
    receive(&ack, 1, 10);
    assert_int_equal(ack_deadline(&ack), DELAY_US);
    ack_on_ack_sent(&ack);
    receive(&ack, 2, 100);
    assert_int_equal(ack_deadline(&ack), 100 + 500000);
    assert_int_equal(ask(&ack, 1, 9, MIN_US, 1), 0);
    receive(&ack, 3, 200);
    assert_int_equal(ack_deadline(&ack), 200 + MIN_US);
    ack_free(&ack, mem_system());
}

static void test_only_the_latest_request_counts(void **state)
{
    struct ack_state ack;
    (void)state;
    ack_init(&ack, DELAY_US);
    assert_int_equal(ask(&ack, 3, 9, DELAY_US, 1), 0);
    assert_int_equal(ask(&ack, 3, 1, DELAY_US, 1), 0); /* a repetition */
    assert_int_equal(ask(&ack, 2, 1, DELAY_US, 1), 0); /* reordered */
    assert_int_equal(ack.threshold, 9);
    assert_int_equal(ask(&ack, 4, 1, DELAY_US, 1), 0);
    assert_int_equal(ack.threshold, 1);
    assert_int_equal(ask(&ack, VARINT_MAX, 5, DELAY_US, 1), 0);
    assert_int_equal(ask(&ack, 5, 1, DELAY_US, 1), 0);
    assert_int_equal(ack.threshold, 5);
    /* An old frame may still be wrong. */
    assert_int_equal(ask(&ack, 0, 1, 0, 1), QUIC_PROTOCOL_VIOLATION);
    ack_free(&ack, mem_system());
}

static void test_immediate_ack_is_for_its_own_packet(void **state)
{
    struct ack_state ack;
    (void)state;
    ack_init(&ack, DELAY_US);
    assert_int_equal(ask(&ack, 0, 20, DELAY_US, 0), 0);
    receive(&ack, 0, 0);
    assert_false(ack_should_send(&ack, 0));
    ack_on_immediate(&ack);
    assert_false(ack_should_send(&ack, 0)); /* not before its packet is recorded */
    receive(&ack, 1, 0);
    assert_true(ack_should_send(&ack, 0));
    ack_on_ack_sent(&ack);
    receive(&ack, 2, 0);
    assert_false(ack_should_send(&ack, 0));
    ack_free(&ack, mem_system());
}

/* The draft's two examples, and the edges: packets in order of arrival, * where an ACK is due. */
static void test_reordering_is_told_when_it_has_gone_far_enough(void **state)
{
    static const struct {
        uint64_t reordering;
        struct {
            uint8_t pn, due;
        } row[12];
        size_t count;
    } rows[] = {
        {3, {{0, 0}, {1, 0}, {3, 0}, {4, 0}, {5, 1}, {8, 0}, {9, 1}, {10, 1}}, 8},
        {5, {{0, 0}, {1, 0}, {3, 0}, {5, 0}, {6, 0}, {7, 1}, {8, 0}, {9, 1}}, 8},
        {1, {{0, 0}, {1, 0}, {3, 1}, {4, 0}, {2, 1}, {5, 0}}, 6},
        {0, {{0, 0}, {9, 0}, {3, 0}, {20, 0}, {1, 0}}, 5},
        {2, {{0, 0}, {2, 0}, {1, 0}, {3, 0}, {4, 0}, {5, 0}}, 6}, /* filled in time */
        {4, {{0, 0}, {100, 1}, {101, 1}, {102, 1}, {103, 1}, {104, 0}, {50, 0}}, 7},
        {UINT64_C(1) << 61, {{0, 0}, {9, 0}, {90, 0}}, 3},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ack_state ack;
        ack_init(&ack, DELAY_US);
        assert_int_equal(ask(&ack, 0, 63, DELAY_US, rows[i].reordering), 0);
        for (size_t j = 0; j < rows[i].count; j++) {
            receive(&ack, rows[i].row[j].pn, 0);
            bool due = ack_should_send(&ack, 0);
            if (due != (rows[i].row[j].due != 0)) {
                print_message("row %zu, packet %u\n", i, rows[i].row[j].pn);
            }
            assert_int_equal(due, rows[i].row[j].due);
            if (due) ack_on_ack_sent(&ack);
        }
        ack_free(&ack, mem_system());
    }
}

static void test_what_was_forgotten_is_not_missing(void **state)
{
    struct ack_state ack;
    (void)state;
    ack_init(&ack, DELAY_US);
    ack.floor = 10;
    assert_int_equal(ask(&ack, 0, 63, DELAY_US, 5), 0);
    for (uint64_t pn = 10; pn < 18; pn++) receive(&ack, pn, 0);
    assert_false(ack_should_send(&ack, 0));
    ack_free(&ack, mem_system());
}

static void test_one_ack_of_ours_is_one_round_trip(void **state)
{
    struct ack_state ack;
    (void)state;
    ack_init(&ack, DELAY_US);
    for (uint64_t pn = 0; pn < 4; pn++) {
        receive(&ack, pn, 0);
        /* Told again and again by packets that all left in one round trip. */
        for (unsigned i = 0; i < 10; i++) ack_on_ack_acked(&ack, pn);
        assert_int_equal(ack.marks[0], pn < 3 ? 0 : 1);
    }
    ack_free(&ack, mem_system());
}

static void test_of_a_row_of_marks_the_first_is_told_at_once(void **state)
{
    static const uint8_t marks[] = {0, 1, 1, 1, 0, 1};
    (void)state;
    for (int asked = 0; asked < 2; asked++) {
        struct ack_state ack;
        ack_init(&ack, DELAY_US);
        if (asked) assert_int_equal(ask(&ack, 0, 63, DELAY_US, 1), 0);
        for (unsigned i = 0; i < sizeof marks; i++) {
            enum ack_ecn ecn = marks[i] ? ACK_ECN_CE : ACK_ECN_ECT0;
            bool first = marks[i] && (i == 0 || !marks[i - 1]);
            ack_on_ack_sent(&ack);
            assert_int_equal(ack_on_packet(&ack, mem_system(), i, true, 0, ecn), 0);
            assert_int_equal(ack_should_send(&ack, 0), asked ? first : marks[i]);
        }
        ack_free(&ack, mem_system());
    }
}

static void test_the_wish_follows_window_and_round_trip(void **state)
{
    static const struct {
        uint64_t window_bytes, smoothed_us, peer_min_us, packets, delay_us;
    } rows[] = {
        {12000, 40000, 0, 2, 10000}, /* a first window: as ever */
        {24 * 1200, 40000, 0, 3, 10000},   {80 * 1200, 40000, 0, 10, 10000},
        {256 * 1200, 40000, 0, 32, 10000}, {UINT64_C(1) << 40, 40000, 0, 32, 10000},
        {0, 40000, 0, 2, 10000},           {96000, 0, 0, 10, 1000}, /* loopback */
        {96000, 3999, 0, 10, 1000},        {96000, 100000, 0, 10, 25000},
        {96000, 10000000, 0, 10, 25000},   {96000, 4000, 5000, 10, 5000}, /* what the peer can */
        {96000, 400000, 50000, 10, 50000},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct frame_ack_frequency wanted = ack_frequency_wanted(
            rows[i].window_bytes, 1200, rows[i].smoothed_us, rows[i].peer_min_us);
        assert_int_equal(wanted.threshold + 1, rows[i].packets);
        assert_int_equal(wanted.max_delay_us, rows[i].delay_us);
        assert_int_equal(wanted.reordering, 3);
        /* The receiver that is asked takes it. */
        struct ack_state ack;
        ack_init(&ack, DELAY_US);
        assert_int_equal(ack_set_frequency(&ack, &wanted, rows[i].peer_min_us), 0);
    }
}

static void test_a_new_request_is_worth_a_frame_when_it_doubles_or_halves(void **state)
{
    static const struct {
        uint64_t wanted, wanted_us, asked, asked_us;
        bool news;
    } rows[] = {
        {9, 10000, 9, 10000, false}, {18, 10000, 9, 10000, false}, {19, 10000, 9, 10000, true},
        {5, 10000, 9, 10000, false}, {4, 10000, 9, 10000, true},   {9, 19999, 9, 10000, false},
        {9, 20000, 9, 10000, true},  {9, 5001, 9, 10000, false},   {9, 5000, 9, 10000, true},
        {0, 10000, 0, 10000, false}, {1, 10000, 0, 10000, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct frame_ack_frequency wanted = {0, rows[i].wanted, rows[i].wanted_us, 3};
        struct frame_ack_frequency asked = {7, rows[i].asked, rows[i].asked_us, 1};
        assert_int_equal(ack_frequency_is_news(&wanted, &asked), rows[i].news);
    }
    struct frame_ack_frequency usual = {0, 1, 25000, 3}, fast = {0, 1, 12500, 3};
    struct frame_ack_frequency few = {0, 3, 25000, 3};
    assert_false(ack_frequency_is_news(&usual, NULL));
    assert_true(ack_frequency_is_news(&fast, NULL));
    assert_true(ack_frequency_is_news(&few, NULL));
}

/* A sender that skips a number now and then, and whose ACKs of our ACKs come lag packets later. */
struct skipper {
    struct mem_counter counter;
    struct ack_state ack;
    uint64_t next, acks[1024];
    unsigned count, lag;
};

static void skipper_init(struct skipper *s, unsigned lag)
{
    memset(s, 0, sizeof *s);
    mem_counter_init(&s->counter, mem_system());
    ack_init(&s->ack, DELAY_US);
    s->lag = lag;
}

static void skipper_packet(struct skipper *s, uint64_t pn)
{
    assert_false(ack_is_duplicate(&s->ack, pn));
    assert_int_equal(ack_on_packet(&s->ack, &s->counter.mem, pn, true, pn, ACK_ECN_NONE), 0);
    assert_true(ack_is_duplicate(&s->ack, pn));
    s->acks[s->count % 1024] = s->ack.largest;
    ack_on_ack_sent(&s->ack);
    if (s->count >= s->lag) ack_on_ack_acked(&s->ack, s->acks[(s->count - s->lag) % 1024]);
    s->count++;
}

static void test_skipped_numbers_allocate_once(void **state)
{
    enum { PACKETS = 100000, SKIP = 50, LAG = 100 };
    static struct skipper s;
    (void)state;
    skipper_init(&s, LAG);
    for (uint64_t pn = 0; pn < PACKETS; pn++) {
        if (pn % SKIP == SKIP - 1) continue;
        uint64_t floor = s.ack.floor;
        skipper_packet(&s, pn);
        assert_true(s.ack.floor >= floor);
        assert_true(s.ack.ranges.count <= ACK_RANGES_FEW);
        /* What is late by three round trips is no duplicate, nor was it told as received. */
        uint64_t late = pn > 3 * LAG ? pn - 3 * LAG : 0;
        assert_true(s.ack.floor <= late);
    }
    assert_int_equal(s.counter.calls, 1);
    assert_true(s.ack.floor > PACKETS - (ACK_RANGES_FEW + 2) * SKIP); /* and it does rise */
    ack_free(&s.ack, &s.counter.mem);
    assert_int_equal(s.counter.live_bytes, 0);
}

static void test_many_gaps_in_a_round_trip_take_more_room_before_late_packets_suffer(void **state)
{
    enum { PACKETS = 20000, SKIP = 25, LAG = 200 };
    static struct skipper s;
    uint64_t calls = 0;
    (void)state;
    skipper_init(&s, LAG);
    for (uint64_t pn = 0; pn < PACKETS; pn++) {
        if (pn % SKIP == SKIP - 1) continue;
        skipper_packet(&s, pn);
        assert_true(s.ack.floor <= (pn > 3 * LAG ? pn - 3 * LAG : 0));
        if (pn == PACKETS / 2) calls = s.counter.calls;
    }
    assert_true(s.ack.ranges.count > ACK_RANGES_FEW && s.ack.ranges.count <= ACK_RANGES_MAX);
    assert_true(calls <= 3);
    assert_int_equal(s.counter.calls, calls); /* none in the steady state */
    ack_free(&s.ack, &s.counter.mem);
}

static void test_gaps_are_kept_while_nobody_acknowledges_our_acks(void **state)
{
    static struct skipper s;
    (void)state;
    skipper_init(&s, 1 << 30);
    for (uint64_t pn = 0; pn < 2 * ACK_RANGES_MAX; pn += 2) skipper_packet(&s, pn);
    assert_int_equal(s.ack.floor, 0);
    assert_int_equal(s.ack.ranges.count, ACK_RANGES_MAX);
    assert_true(s.counter.calls <= 3);
    /* Beyond that the bound decides. */
    for (uint64_t pn = 2 * ACK_RANGES_MAX; pn < 5000; pn += 2) skipper_packet(&s, pn);
    assert_int_equal(s.ack.ranges.count, ACK_RANGES_MAX);
    assert_true(s.counter.calls <= 3);
    ack_free(&s.ack, &s.counter.mem);
}

static void test_a_late_packet_is_recorded_even_when_its_range_would_go(void **state)
{
    static struct skipper s;
    (void)state;
    skipper_init(&s, 1 << 30);
    for (uint64_t pn = 0; pn < 2 * ACK_RANGES_FEW; pn += 2) skipper_packet(&s, pn);
    /* The set is full. Four round trips later all below 30 may go with the next packet. */
    for (uint64_t pn = 2 * ACK_RANGES_FEW - 1; pn < 2 * ACK_RANGES_FEW + 3; pn++) {
        skipper_packet(&s, pn);
        ack_on_ack_acked(&s.ack, pn);
    }
    assert_int_equal(s.ack.ranges.count, ACK_RANGES_FEW);
    assert_int_equal(s.ack.floor, 0);
    skipper_packet(&s, 3);
    assert_int_equal(s.ack.floor, 3);
    assert_true(ranges_contains(&s.ack.ranges, 3));
    /* And it stays until the peer has heard of it. */
    for (uint64_t pn = 40; s.ack.ranges.count < ACK_RANGES_FEW + 2; pn += 2) {
        skipper_packet(&s, pn);
        assert_true(ranges_contains(&s.ack.ranges, 3));
    }
    uint8_t out[128];
    struct writer w = writer_of(out, sizeof out);
    uint64_t largest;
    assert_true(s.ack.report_from <= 3);
    assert_true(ack_write(&s.ack, &w, 0, 3, &largest));
    ack_free(&s.ack, &s.counter.mem);
}

static void test_the_first_allocation_may_fail(void **state)
{
    struct mem_counter counter;
    struct ack_state ack;
    (void)state;
    mem_counter_init(&counter, mem_system());
    ack_init(&ack, DELAY_US);
    counter.fail_at = 1;
    assert_int_equal(ack_on_packet(&ack, &counter.mem, 4, true, 0, ACK_ECN_CE), WEIR_E_MEMORY);
    assert_false(ack_is_duplicate(&ack, 4));
    assert_false(ack_is_pending(&ack));
    assert_int_equal(ack_on_packet(&ack, &counter.mem, 4, true, 0, ACK_ECN_CE), 0);
    assert_int_equal(counter.live_bytes, ACK_RANGES_FEW * sizeof(struct range));
    ack_free(&ack, &counter.mem);
    assert_int_equal(counter.live_bytes, 0);
    /* The handshake's spaces start small. */
    ack_init(&ack, 0);
    assert_int_equal(ack_on_packet(&ack, &counter.mem, 4, true, 0, ACK_ECN_NONE), 0);
    assert_true(counter.live_bytes < ACK_RANGES_FEW * sizeof(struct range));
    ack_free(&ack, &counter.mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_changes_while_nothing_is_asked),
        cmocka_unit_test(test_one_more_than_the_threshold_calls_for_an_ack),
        cmocka_unit_test(test_the_delay_is_what_was_asked_within_bounds),
        cmocka_unit_test(test_what_waits_is_not_delayed_further),
        cmocka_unit_test(test_only_the_latest_request_counts),
        cmocka_unit_test(test_immediate_ack_is_for_its_own_packet),
        cmocka_unit_test(test_reordering_is_told_when_it_has_gone_far_enough),
        cmocka_unit_test(test_what_was_forgotten_is_not_missing),
        cmocka_unit_test(test_one_ack_of_ours_is_one_round_trip),
        cmocka_unit_test(test_of_a_row_of_marks_the_first_is_told_at_once),
        cmocka_unit_test(test_the_wish_follows_window_and_round_trip),
        cmocka_unit_test(test_a_new_request_is_worth_a_frame_when_it_doubles_or_halves),
        cmocka_unit_test(test_skipped_numbers_allocate_once),
        cmocka_unit_test(test_many_gaps_in_a_round_trip_take_more_room_before_late_packets_suffer),
        cmocka_unit_test(test_gaps_are_kept_while_nobody_acknowledges_our_acks),
        cmocka_unit_test(test_a_late_packet_is_recorded_even_when_its_range_would_go),
        cmocka_unit_test(test_the_first_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
