/* SPDX-License-Identifier: MIT */
/* Goal: no packet is accepted twice, the peer hears of each in time, and memory stays bounded
 * whatever the peer sends. Method: small stories with virtual time, a random model in which every
 * number is known, allocations that fail. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "quic/ack.h"
#include "quic/frame.h"
#include "weir.h"

#include <string.h>

enum { DELAY_US = 25000 };

static void receive(struct ack_state *ack, uint64_t pn, uint64_t now_us)
{
    assert_false(ack_is_duplicate(ack, pn));
    assert_int_equal(ack_on_packet(ack, mem_system(), pn, true, now_us, ACK_ECN_NONE), 0);
    assert_true(ack_is_duplicate(ack, pn));
}

/* Writes the ACK and reads it back. */
static struct frame_ack report(const struct ack_state *ack, uint8_t *out, size_t cap,
                               uint64_t now_us, unsigned exponent)
{
    struct writer w = writer_of(out, cap);
    struct frame f;
    uint64_t largest = 0;
    assert_true(ack_write(ack, &w, now_us, exponent, &largest));
    struct reader r = reader_of(out, writer_len(&w));
    assert_int_equal(frame_read(&r, &f), 0);
    assert_int_equal(reader_left(&r), 0);
    assert_true(f.type == FRAME_ACK || f.type == FRAME_ACK_ECN);
    assert_int_equal(f.u.ack.largest, largest);
    return f.u.ack;
}

static bool reports(const struct ack_state *ack, uint64_t pn)
{
    uint8_t out[256];
    struct frame_ack frame = report(ack, out, sizeof out, 0, 0);
    struct frame_ack_cursor cursor;
    uint64_t start, end;
    frame_ack_begin(&cursor, &frame);
    while (frame_ack_next(&cursor, &start, &end)) {
        if (pn >= start && pn < end) return true;
    }
    return false;
}

static void test_nothing_is_allocated_or_written_before_the_first_packet(void **state)
{
    struct mem_counter counter;
    struct ack_state ack;
    uint8_t out[64];
    struct writer w = writer_of(out, sizeof out);
    uint64_t largest;
    (void)state;
    mem_counter_init(&counter, mem_system());
    ack_init(&ack, DELAY_US);
    assert_int_equal(counter.calls, 0);
    assert_false(ack_write(&ack, &w, 0, 3, &largest));
    assert_int_equal(writer_len(&w), 0);
    assert_true(ack_deadline(&ack) == ACK_NEVER);
    assert_false(ack_should_send(&ack, UINT64_MAX));
    assert_false(ack_is_pending(&ack));
    assert_false(ack_is_duplicate(&ack, 0));
    assert_int_equal(ack_on_packet(&ack, &counter.mem, 0, true, 0, ACK_ECN_NONE), 0);
    assert_int_equal(counter.live_blocks, 1);
    ack_free(&ack, &counter.mem);
    assert_int_equal(counter.live_bytes, 0);
}

static void test_the_first_packet_waits_and_the_second_does_not(void **state)
{
    struct ack_state ack;
    (void)state;
    ack_init(&ack, DELAY_US);
    receive(&ack, 0, 1000);
    assert_int_equal(ack_deadline(&ack), 1000 + DELAY_US);
    assert_true(ack_is_pending(&ack));
    assert_false(ack_should_send(&ack, 1000 + DELAY_US - 1));
    assert_true(ack_should_send(&ack, 1000 + DELAY_US));
    receive(&ack, 1, 2000);
    assert_true(ack_should_send(&ack, 2000));
    ack_on_ack_sent(&ack);
    assert_false(ack_should_send(&ack, UINT64_MAX));
    assert_false(ack_is_pending(&ack));
    receive(&ack, 2, 3000);
    assert_int_equal(ack_deadline(&ack), 3000 + DELAY_US);
    ack_free(&ack, mem_system());
}

static void test_initial_and_handshake_are_acknowledged_at_once(void **state)
{
    struct ack_state ack;
    (void)state;
    ack_init(&ack, 0);
    receive(&ack, 0, 500);
    assert_true(ack_should_send(&ack, 500));
    ack_free(&ack, mem_system());
}

static void test_acks_alone_are_never_acknowledged_alone(void **state)
{
    struct ack_state ack;
    (void)state;
    ack_init(&ack, 0);
    for (uint64_t pn = 0; pn < 20; pn += 2) {
        assert_int_equal(ack_on_packet(&ack, mem_system(), pn, false, pn, ACK_ECN_CE), 0);
        assert_false(ack_should_send(&ack, UINT64_MAX));
        assert_false(ack_is_pending(&ack));
    }
    assert_true(reports(&ack, 18));
    ack_free(&ack, mem_system());
}

static void test_gaps_late_packets_and_marks_are_told_at_once(void **state)
{
    static const struct {
        const char *what;
        uint64_t first, second;
        enum ack_ecn ecn;
        bool now;
    } rows[] = {
        {"in order", 5, 6, ACK_ECN_NONE, false},
        {"a gap", 5, 7, ACK_ECN_NONE, true},
        {"late", 5, 4, ACK_ECN_NONE, true},
        {"marked CE", 5, 6, ACK_ECN_CE, true},
        {"ECT(0) is no congestion", 5, 6, ACK_ECN_ECT0, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ack_state ack;
        ack_init(&ack, DELAY_US);
        receive(&ack, rows[i].first, 100);
        ack_on_ack_sent(&ack);
        assert_int_equal(ack_on_packet(&ack, mem_system(), rows[i].second, true, 200, rows[i].ecn),
                         0);
        if (ack_should_send(&ack, 200) != rows[i].now) print_message("%s\n", rows[i].what);
        assert_int_equal(ack_should_send(&ack, 200), rows[i].now);
        ack_free(&ack, mem_system());
    }
}

static void test_an_old_gap_does_not_make_every_ack_immediate(void **state)
{
    struct ack_state ack;
    (void)state;
    ack_init(&ack, DELAY_US);
    receive(&ack, 0, 0);
    receive(&ack, 5, 0);
    ack_on_ack_sent(&ack);
    receive(&ack, 6, 10);
    assert_false(ack_should_send(&ack, 10));
    ack_free(&ack, mem_system());
}

static void test_a_quiet_packet_between_is_no_gap(void **state)
{
    struct ack_state ack;
    (void)state;
    ack_init(&ack, DELAY_US);
    receive(&ack, 0, 0);
    ack_on_ack_sent(&ack);
    assert_int_equal(ack_on_packet(&ack, mem_system(), 1, false, 5, ACK_ECN_NONE), 0);
    receive(&ack, 2, 10);
    assert_false(ack_should_send(&ack, 10));
    ack_free(&ack, mem_system());
}

static void test_the_delay_counts_from_the_largest(void **state)
{
    struct ack_state ack;
    uint8_t out[64];
    (void)state;
    ack_init(&ack, DELAY_US);
    receive(&ack, 7, 1000);
    receive(&ack, 3, 5000);
    assert_int_equal(report(&ack, out, sizeof out, 9000, 3).delay, 1000);
    assert_int_equal(report(&ack, out, sizeof out, 9000, 0).delay, 8000);
    assert_int_equal(report(&ack, out, sizeof out, 1000, 0).delay, 0);
    assert_int_equal(report(&ack, out, sizeof out, 900, 0).delay, 0); /* a clock cannot go below */
    ack_free(&ack, mem_system());
}

static void test_marks_are_counted_per_kind(void **state)
{
    struct ack_state ack;
    uint8_t out[64];
    (void)state;
    ack_init(&ack, DELAY_US);
    receive(&ack, 0, 0);
    assert_false(report(&ack, out, sizeof out, 0, 0).has_ecn);
    assert_int_equal(ack_on_packet(&ack, mem_system(), 1, true, 0, ACK_ECN_ECT0), 0);
    assert_int_equal(ack_on_packet(&ack, mem_system(), 2, true, 0, ACK_ECN_ECT0), 0);
    assert_int_equal(ack_on_packet(&ack, mem_system(), 3, true, 0, ACK_ECN_ECT1), 0);
    assert_int_equal(ack_on_packet(&ack, mem_system(), 4, false, 0, ACK_ECN_CE), 0);
    struct frame_ack frame = report(&ack, out, sizeof out, 0, 0);
    assert_true(frame.has_ecn);
    assert_int_equal(frame.ect0, 2);
    assert_int_equal(frame.ect1, 1);
    assert_int_equal(frame.ce, 1);
    ack_free(&ack, mem_system());
}

static void test_what_the_peer_knows_is_not_repeated(void **state)
{
    struct ack_state ack;
    (void)state;
    ack_init(&ack, DELAY_US);
    receive(&ack, 0, 0);
    receive(&ack, 2, 0);
    receive(&ack, 4, 0);
    assert_true(reports(&ack, 0));
    ack_on_ack_sent(&ack);
    ack_on_ack_acked(&ack, 2);
    assert_false(reports(&ack, 0));
    assert_false(reports(&ack, 2));
    assert_true(reports(&ack, 4));
    ack_on_ack_acked(&ack, 4);
    assert_true(reports(&ack, 4)); /* the largest always */
    assert_true(ack_is_duplicate(&ack, 0));
    assert_true(ack_is_duplicate(&ack, 2));
    assert_false(ack_is_duplicate(&ack, 1)); /* late by a round trip, yet welcome */
    ack_free(&ack, mem_system());
}

static void test_a_late_packet_is_reported_after_its_range_was_settled(void **state)
{
    struct ack_state ack;
    (void)state;
    ack_init(&ack, DELAY_US);
    receive(&ack, 0, 0);
    receive(&ack, 9, 0);
    ack_on_ack_acked(&ack, 9);
    receive(&ack, 3, 100);
    assert_true(ack_should_send(&ack, 100));
    assert_true(reports(&ack, 3));
    /* An ACK with largest 9 may have left before 3 came, so it settles nothing of it. */
    ack_on_ack_acked(&ack, 9);
    assert_true(reports(&ack, 3));
    receive(&ack, 10, 200);
    ack_on_ack_acked(&ack, 10);
    assert_false(reports(&ack, 3));
    assert_true(reports(&ack, 10));
    ack_free(&ack, mem_system());
}

static void test_memory_is_bounded_by_64_ranges(void **state)
{
    struct mem_counter counter;
    struct ack_state ack;
    uint8_t out[512];
    (void)state;
    mem_counter_init(&counter, mem_system());
    ack_init(&ack, DELAY_US);
    for (uint64_t pn = 0; pn < 100000; pn += 2) {
        assert_int_equal(ack_on_packet(&ack, &counter.mem, pn, true, pn, ACK_ECN_NONE), 0);
    }
    assert_int_equal(ack.ranges.count, ACK_RANGES_MAX);
    assert_true(counter.peak_bytes <= ACK_RANGES_MAX * sizeof(struct range) * 2);
    assert_int_equal(report(&ack, out, sizeof out, 0, 0).range_count, ACK_RANGES_SENT_MAX - 1);
    /* Forgotten ones count as seen, whether they came or not. */
    uint64_t lowest = ack.ranges.items[0].start;
    assert_int_equal(lowest, 100000 - 2 * ACK_RANGES_MAX);
    assert_true(ack_is_duplicate(&ack, lowest - 2));
    assert_true(ack_is_duplicate(&ack, 0));
    assert_false(ack_is_duplicate(&ack, lowest + 1));
    ack_free(&ack, &counter.mem);
    assert_int_equal(counter.live_bytes, 0);
}

static void test_a_packet_below_a_full_set_is_taken_once(void **state)
{
    struct ack_state ack;
    (void)state;
    ack_init(&ack, DELAY_US);
    for (uint64_t i = 0; i < ACK_RANGES_MAX; i++) receive(&ack, 1000 + 2 * i, 0);
    receive(&ack, 500, 0);
    assert_int_equal(ack.ranges.count, ACK_RANGES_MAX);
    assert_true(ack_is_duplicate(&ack, 499));
    assert_false(ack_is_duplicate(&ack, 501));
    receive(&ack, 999, 0); /* touches the lowest: no new range */
    assert_true(reports(&ack, 1126));
    ack_free(&ack, mem_system());
}

static void test_a_failed_allocation_records_nothing(void **state)
{
    struct mem_counter counter;
    struct ack_state ack;
    (void)state;
    mem_counter_init(&counter, mem_system());
    ack_init(&ack, 0);
    counter.fail_at = 1;
    assert_int_equal(ack_on_packet(&ack, &counter.mem, 4, true, 0, ACK_ECN_CE), WEIR_E_MEMORY);
    assert_false(ack_is_duplicate(&ack, 4));
    assert_false(ack_is_pending(&ack));
    assert_int_equal(ack.ce, 0);
    assert_true(ack_deadline(&ack) == ACK_NEVER);
    assert_int_equal(ack_on_packet(&ack, &counter.mem, 4, true, 0, ACK_ECN_CE), 0);
    ack_free(&ack, &counter.mem);
    assert_int_equal(counter.live_bytes, 0);
}

static void test_an_ack_that_does_not_fit_writes_nothing(void **state)
{
    struct ack_state ack;
    uint8_t out[8];
    uint64_t largest = 99;
    (void)state;
    ack_init(&ack, 0);
    receive(&ack, 3, 0);
    struct writer w = writer_of(out, 4);
    assert_false(ack_write(&ack, &w, 0, 0, &largest));
    assert_int_equal(writer_len(&w), 0);
    assert_false(w.full);
    w = writer_of(out, 5);
    assert_true(ack_write(&ack, &w, 0, 0, &largest));
    assert_int_equal(largest, 3);
    assert_int_equal(writer_len(&w), 5);
    ack_free(&ack, mem_system());
}

/* Random arrivals against a table of all numbers: nothing twice, nothing invented. */
static void test_a_random_story_agrees_with_a_table(void **state)
{
    enum { NUMBERS = 4000 };
    static bool seen[NUMBERS];
    struct rng rng;
    struct ack_state ack;
    uint64_t next = 0;
    (void)state;
    rng_init(&rng, 11, "ack", 0);
    ack_init(&ack, DELAY_US);
    while (next < NUMBERS - 1) {
        uint64_t back = rng_below(&rng, 8) == 0 ? rng_below(&rng, 200) : 0;
        uint64_t pn = back > next ? 0 : next - back;
        if (rng_below(&rng, 10) == 0) next++; /* lost, or late */
        if (back == 0) next++;
        if (ack_is_duplicate(&ack, pn)) {
            assert_true(seen[pn] || pn < ack.floor);
            continue;
        }
        assert_false(seen[pn]);
        seen[pn] = true;
        assert_int_equal(ack_on_packet(&ack, mem_system(), pn, true, next, ACK_ECN_NONE), 0);
        uint8_t out[512];
        struct frame_ack frame = report(&ack, out, sizeof out, next, 3);
        struct frame_ack_cursor cursor;
        uint64_t start, end;
        frame_ack_begin(&cursor, &frame);
        while (frame_ack_next(&cursor, &start, &end)) {
            for (uint64_t n = start; n < end; n++) assert_true(seen[n]);
        }
        if (rng_below(&rng, 4) == 0) ack_on_ack_acked(&ack, frame.largest - rng_below(&rng, 2));
    }
    ack_free(&ack, mem_system());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_allocated_or_written_before_the_first_packet),
        cmocka_unit_test(test_the_first_packet_waits_and_the_second_does_not),
        cmocka_unit_test(test_initial_and_handshake_are_acknowledged_at_once),
        cmocka_unit_test(test_acks_alone_are_never_acknowledged_alone),
        cmocka_unit_test(test_gaps_late_packets_and_marks_are_told_at_once),
        cmocka_unit_test(test_an_old_gap_does_not_make_every_ack_immediate),
        cmocka_unit_test(test_a_quiet_packet_between_is_no_gap),
        cmocka_unit_test(test_the_delay_counts_from_the_largest),
        cmocka_unit_test(test_marks_are_counted_per_kind),
        cmocka_unit_test(test_what_the_peer_knows_is_not_repeated),
        cmocka_unit_test(test_a_late_packet_is_reported_after_its_range_was_settled),
        cmocka_unit_test(test_memory_is_bounded_by_64_ranges),
        cmocka_unit_test(test_a_packet_below_a_full_set_is_taken_once),
        cmocka_unit_test(test_a_failed_allocation_records_nothing),
        cmocka_unit_test(test_an_ack_that_does_not_fit_writes_nothing),
        cmocka_unit_test(test_a_random_story_agrees_with_a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
