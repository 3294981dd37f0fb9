/* SPDX-License-Identifier: MIT */
/* Goal: the record of sent packets is exact, bounded, charged, and allocates nothing per
 * packet. Method: drive it directly, with a counting allocator and a budget. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/sent.h"
#include "weir.h"

struct fixture {
    struct mem_counter counter;
    struct budget budget;
    struct sent sent;
};

static void fixture_open(struct fixture *f, uint64_t budget_bytes, uint32_t packets_max)
{
    mem_counter_init(&f->counter, mem_system());
    budget_init(&f->budget, NULL, LIMIT_SCOPE_CONNECTION, 3, budget_bytes, f);
    sent_init(&f->sent, &f->counter.mem, &f->budget, packets_max);
}

static void fixture_close(struct fixture *f)
{
    sent_free(&f->sent);
    assert_int_equal(f->counter.live_bytes, 0);
    assert_int_equal(f->budget.used, 0);
    budget_end(&f->budget);
}

static uint64_t send_packet(struct fixture *f, uint64_t now_us, uint32_t frames, uint32_t flags)
{
    assert_int_equal(sent_begin(&f->sent, NULL), 0);
    for (uint32_t i = 0; i < frames; i++) {
        struct sent_frame frame = {
            .kind = SENT_STREAM, .id = i, .offset = f->sent.next * 1000 + i, .len = i};

        assert_true(sent_add_frame(&f->sent, &frame));
    }
    return sent_commit(&f->sent, now_us, 1200, flags);
}

static void check_frames(struct fixture *f, uint64_t number, uint32_t frames)
{
    const struct sent_packet *packet = sent_get(&f->sent, number);

    assert_non_null(packet);
    assert_int_equal(packet->frame_count, frames);
    for (uint32_t i = 0; i < frames; i++) {
        assert_int_equal(sent_frame_get(&f->sent, packet, i)->offset, number * 1000 + i);
        assert_int_equal(sent_frame_get(&f->sent, packet, i)->id, i);
    }
}

static void test_no_memory_before_the_first_packet(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, UINT64_MAX, 0);
    assert_int_equal(f.counter.calls, 0);
    assert_int_equal(f.sent.packets_max, SENT_PACKETS_MAX);
    assert_null(sent_get(&f.sent, 0));
    (void)send_packet(&f, 5, 1, SENT_ACK_ELICITING);
    assert_true(f.counter.live_bytes > 0);
    assert_true(f.counter.live_bytes <= 4096);
    assert_int_equal(f.budget.used, f.counter.live_bytes);
    fixture_close(&f);
}

static void test_packets_and_frames_survive_growth_and_wrapping(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, UINT64_MAX, 0);
    /* Running indices that wrap while frames are kept. */
    f.sent.frame_base = f.sent.frame_next = UINT32_MAX - 100;
    for (uint64_t n = 0; n < 1000; n++) {
        assert_int_equal(send_packet(&f, n * 10, (uint32_t)(n % 7), SENT_ACK_ELICITING), n);
    }
    for (uint64_t n = 0; n < 1000; n++) {
        check_frames(&f, n, (uint32_t)(n % 7));
        assert_int_equal(sent_get(&f.sent, n)->time_us, n * 10);
        assert_int_equal(sent_get(&f.sent, n)->size, 1200);
    }
    for (uint64_t n = 0; n < 600; n++) {
        sent_mark_acked(&f.sent, n, 599);
    }
    sent_drop_settled(&f.sent, 0);
    assert_int_equal(f.sent.base, 600);
    assert_null(sent_get(&f.sent, 599));
    check_frames(&f, 600, 600 % 7);
    fixture_close(&f);
}

static void test_ack_only_packets_keep_no_frames_and_no_slot_of_their_own(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, UINT64_MAX, 0);
    assert_int_equal(send_packet(&f, 1, 1, 0), 0);
    assert_int_equal(f.sent.base, 1);
    assert_int_equal(send_packet(&f, 2, 2, SENT_ACK_ELICITING), 1);
    assert_int_equal(send_packet(&f, 3, 1, 0), 2);
    assert_int_equal(f.sent.base, 1);
    assert_int_equal(sent_get(&f.sent, 2)->frame_count, 0);
    assert_int_equal(f.sent.frame_next - f.sent.frame_base, 2);
    sent_mark_acked(&f.sent, 1, 1);
    sent_drop_settled(&f.sent, 0);
    assert_int_equal(f.sent.base, 3);
    assert_int_equal(f.sent.frame_next, f.sent.frame_base);
    fixture_close(&f);
}

static void test_ack_eliciting_means_in_flight(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, UINT64_MAX, 0);
    (void)send_packet(&f, 1, 1, SENT_ACK_ELICITING);
    assert_int_equal(sent_get(&f.sent, 0)->flags, SENT_ACK_ELICITING | SENT_IN_FLIGHT);
    fixture_close(&f);
}

static void test_cancel_uses_no_number_and_no_frames(void **state)
{
    struct fixture f;
    struct sent_frame frame = {.kind = SENT_PING};

    (void)state;
    fixture_open(&f, UINT64_MAX, 0);
    assert_int_equal(sent_begin(&f.sent, NULL), 0);
    assert_true(sent_add_frame(&f.sent, &frame));
    sent_cancel(&f.sent);
    assert_int_equal(f.sent.next, 0);
    assert_int_equal(send_packet(&f, 1, 3, SENT_ACK_ELICITING), 0);
    check_frames(&f, 0, 3);
    fixture_close(&f);
}

static void test_a_packet_takes_a_bounded_number_of_frames(void **state)
{
    struct fixture f;
    struct sent_frame frame = {.kind = SENT_PING};

    (void)state;
    fixture_open(&f, UINT64_MAX, 0);
    assert_int_equal(sent_begin(&f.sent, NULL), 0);
    for (uint32_t i = 0; i < SENT_PACKET_FRAMES_MAX; i++) {
        assert_true(sent_add_frame(&f.sent, &frame));
    }
    assert_false(sent_add_frame(&f.sent, &frame));
    (void)sent_commit(&f.sent, 0, 100, SENT_ACK_ELICITING);
    assert_int_equal(sent_get(&f.sent, 0)->frame_count, SENT_PACKET_FRAMES_MAX);
    fixture_close(&f);
}

static void test_skipped_numbers_are_recognised_after_their_slot_is_gone(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, UINT64_MAX, 0);
    assert_false(sent_covers_unsent(&f.sent, 0, UINT64_MAX));
    (void)send_packet(&f, 1, 1, SENT_ACK_ELICITING);
    assert_int_equal(sent_skip(&f.sent, NULL), 0);
    (void)send_packet(&f, 1, 1, SENT_ACK_ELICITING);
    assert_int_equal(f.sent.next, 3);
    assert_int_equal(sent_get(&f.sent, 1)->flags, SENT_UNSENT);
    sent_mark_acked(&f.sent, 0, 0);
    sent_drop_settled(&f.sent, 0);
    assert_int_equal(f.sent.base, 2);
    assert_true(sent_covers_unsent(&f.sent, 0, 2));
    assert_true(sent_covers_unsent(&f.sent, 1, 1));
    assert_false(sent_covers_unsent(&f.sent, 2, 2));
    assert_false(sent_covers_unsent(&f.sent, 0, 0));
    fixture_close(&f);
}

static void test_lost_packets_stay_until_forgotten(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, UINT64_MAX, 0);
    for (int i = 0; i < 4; i++) {
        (void)send_packet(&f, 1, 1, SENT_ACK_ELICITING);
    }
    sent_get(&f.sent, 0)->flags |= SENT_LOST;
    sent_get(&f.sent, 1)->flags |= SENT_LOST;
    sent_drop_settled(&f.sent, 0);
    assert_int_equal(f.sent.base, 0);
    sent_drop_settled(&f.sent, 1);
    assert_int_equal(f.sent.base, 1);
    sent_drop_settled(&f.sent, UINT64_MAX);
    assert_int_equal(f.sent.base, 2);
    fixture_close(&f);
}

static void test_a_full_window_refuses_but_lets_probes_through(void **state)
{
    struct fixture f;
    struct limit_record limit = {0};
    uint32_t ordinary = 256 - SENT_RESERVE;

    (void)state;
    fixture_open(&f, UINT64_MAX, 300);
    assert_int_equal(f.sent.packets_max, 256);
    for (uint32_t i = 0; i < ordinary; i++) {
        (void)send_packet(&f, 1, 1, SENT_ACK_ELICITING);
    }
    assert_int_equal(sent_begin(&f.sent, &limit), WEIR_E_LIMIT);
    assert_int_equal(limit.used, ordinary);
    assert_int_equal(limit.max, ordinary);
    assert_int_equal(limit.scope, LIMIT_SCOPE_CONNECTION);
    assert_int_equal(limit.side, LIMIT_SIDE_LOCAL);
    assert_int_equal(sent_skip(&f.sent, NULL), WEIR_E_LIMIT);
    sent_allow_probes(&f.sent, 2);
    (void)send_packet(&f, 2, 1, SENT_ACK_ELICITING);
    (void)send_packet(&f, 2, 1, SENT_ACK_ELICITING);
    assert_int_equal(sent_begin(&f.sent, NULL), WEIR_E_LIMIT);
    /* Whatever is granted, the window ends. */
    sent_allow_probes(&f.sent, 1000000);
    for (uint32_t i = ordinary + 2; i < 256; i++) {
        (void)send_packet(&f, 3, 1, SENT_ACK_ELICITING);
    }
    assert_int_equal(sent_begin(&f.sent, NULL), WEIR_E_LIMIT);
    /* Lost ones that are kept for their own sake give way. */
    sent_allow_probes(&f.sent, 0);
    for (uint64_t n = 0; n <= SENT_RESERVE; n++) {
        sent_get(&f.sent, n)->flags |= SENT_LOST;
    }
    (void)send_packet(&f, 4, 1, SENT_ACK_ELICITING);
    assert_int_equal(f.sent.base, SENT_RESERVE + 1);
    fixture_close(&f);
}

static void test_the_frame_ring_is_bounded_too(void **state)
{
    struct fixture f;
    uint32_t packets = 0;

    (void)state;
    fixture_open(&f, UINT64_MAX, 256);
    while (sent_begin(&f.sent, NULL) == 0) {
        sent_cancel(&f.sent);
        (void)send_packet(&f, 1, SENT_PACKET_FRAMES_MAX, SENT_ACK_ELICITING);
        packets++;
    }
    assert_int_equal(packets, 4 * 256 / SENT_PACKET_FRAMES_MAX);
    fixture_close(&f);
}

static void test_budget_refusal_changes_nothing_and_leaves_room_for_probes(void **state)
{
    struct fixture f;
    struct limit_record limit = {0};
    uint64_t used, packets;

    (void)state;
    fixture_open(&f, 6000, 0);
    while (sent_begin(&f.sent, &limit) == 0) {
        sent_cancel(&f.sent);
        (void)send_packet(&f, 1, 2, SENT_ACK_ELICITING);
    }
    assert_int_equal(sent_begin(&f.sent, &limit), WEIR_E_BUDGET);
    assert_int_equal(limit.max, 6000);
    used = f.budget.used;
    packets = f.sent.next;
    assert_true(packets >= 16);
    assert_int_equal(f.counter.live_bytes, used);
    for (uint64_t n = 0; n < packets; n++) {
        check_frames(&f, n, 2);
    }
    sent_allow_probes(&f.sent, 2);
    (void)send_packet(&f, 2, 8, SENT_ACK_ELICITING);
    (void)send_packet(&f, 2, 8, SENT_ACK_ELICITING);
    check_frames(&f, packets + 1, 8);
    assert_int_equal(f.budget.used, used);
    fixture_close(&f);
}

static void test_failing_allocations_change_nothing(void **state)
{
    struct fixture f;

    (void)state;
    for (uint64_t fail = 1; fail <= 2; fail++) {
        fixture_open(&f, UINT64_MAX, 0);
        f.counter.fail_at = fail;
        assert_int_equal(sent_begin(&f.sent, NULL), WEIR_E_MEMORY);
        assert_int_equal(f.budget.used, f.counter.live_bytes);
        assert_int_equal(f.sent.next, 0);
        (void)send_packet(&f, 1, 5, SENT_ACK_ELICITING);
        check_frames(&f, 0, 5);
        while (f.sent.next + 5 <= f.sent.packet_capacity) {
            (void)send_packet(&f, 1, 1, SENT_ACK_ELICITING);
        }
        f.counter.fail_at = 1;
        assert_int_equal(sent_begin(&f.sent, NULL), WEIR_E_MEMORY);
        check_frames(&f, 0, 5);
        assert_int_equal(f.budget.used, f.counter.live_bytes);
        (void)send_packet(&f, 1, 1, SENT_ACK_ELICITING);
        fixture_close(&f);
    }
}

static void test_trim_gives_everything_back_only_when_empty(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, UINT64_MAX, 0);
    (void)send_packet(&f, 1, 1, SENT_ACK_ELICITING);
    sent_trim(&f.sent);
    check_frames(&f, 0, 1);
    sent_mark_acked(&f.sent, 0, 0);
    sent_drop_settled(&f.sent, 0);
    assert_true(f.counter.live_bytes > 0);
    sent_trim(&f.sent);
    assert_int_equal(f.counter.live_bytes, 0);
    assert_int_equal(f.budget.used, 0);
    assert_int_equal(send_packet(&f, 2, 3, SENT_ACK_ELICITING), 1);
    check_frames(&f, 1, 3);
    fixture_close(&f);
}

static void test_acked_stretches_are_skipped_in_few_steps(void **state)
{
    struct fixture f;
    uint64_t steps = 0;

    (void)state;
    fixture_open(&f, UINT64_MAX, 0);
    for (int i = 0; i < 4096; i++) {
        (void)send_packet(&f, 1, 1, SENT_ACK_ELICITING);
    }
    /* The worst order: one by one, each in a range of its own. */
    for (uint64_t n = 1; n < 4000; n++) {
        sent_mark_acked(&f.sent, n, n);
    }
    for (int i = 0; i < 16; i++) {
        assert_int_equal(sent_next_unacked(&f.sent, 1), 4000);
    }
    for (uint64_t n = 1; n < 4000; n += sent_get(&f.sent, n)->first) {
        steps++;
    }
    assert_true(steps <= 2);
    assert_int_equal(sent_next_unacked(&f.sent, 0), 0);
    assert_int_equal(sent_next_unacked(&f.sent, 3999), 4000);
    assert_int_equal(sent_next_unacked(&f.sent, 5000), 4096);
    fixture_close(&f);
}

static void test_steady_state_allocates_nothing_per_packet(void **state)
{
    struct fixture f;
    uint64_t calls = 0;

    (void)state;
    fixture_open(&f, UINT64_MAX, 0);
    for (uint64_t n = 0; n < 101000; n++) {
        (void)send_packet(&f, n, 3, SENT_ACK_ELICITING);
        if (n >= 100) {
            sent_mark_acked(&f.sent, n - 100, n - 100);
            sent_drop_settled(&f.sent, 0);
        }
        if (n == 1000) {
            calls = f.counter.calls;
        }
    }
    assert_int_equal(f.counter.calls, calls);
    fixture_close(&f);
}

/* 300 packets in a ring that grows with them, each with its own delivery state. */
static void test_delivery_state_stays_with_its_packet(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, UINT64_MAX, 0);
    assert_null(sent_delivery(&f.sent, 0));
    (void)send_packet(&f, 0, 1, SENT_ACK_ELICITING);
    assert_null(sent_delivery(&f.sent, 0)); /* nobody asked for it */
    sent_keep_delivery(&f.sent);
    for (uint64_t n = 1; n < 300; n++) {
        (void)send_packet(&f, n, 1, SENT_ACK_ELICITING);
        if (sent_delivery(&f.sent, n) != NULL) {
            sent_delivery(&f.sent, n)->delivered = (uint32_t)n;
        }
    }
    assert_null(sent_delivery(&f.sent, 300));
    for (uint64_t n = 40; n < 300; n++) {
        assert_int_equal(sent_delivery(&f.sent, n)->delivered, n);
    }
    fixture_close(&f);
}

static void test_a_failing_delivery_ring_leaves_everything_as_it_was(void **state)
{
    (void)state;
    for (uint64_t fail = 1; fail <= 2; fail++) {
        struct fixture f;
        uint32_t capacity;
        uint64_t used;

        fixture_open(&f, UINT64_MAX, 0);
        sent_keep_delivery(&f.sent);
        (void)send_packet(&f, 0, 1, SENT_ACK_ELICITING);
        capacity = f.sent.packet_capacity;
        used = f.budget.used;
        while (f.sent.next + 5 <= capacity) {
            (void)send_packet(&f, 0, 1, SENT_ACK_ELICITING);
        }
        f.counter.fail_at = fail;
        assert_int_equal(sent_begin(&f.sent, NULL), WEIR_E_MEMORY);
        assert_int_equal(f.sent.packet_capacity, capacity);
        assert_int_equal(f.budget.used, used);
        (void)send_packet(&f, 0, 1, SENT_ACK_ELICITING);
        assert_int_equal(f.sent.packet_capacity, capacity * 2);
        fixture_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_memory_before_the_first_packet),
        cmocka_unit_test(test_packets_and_frames_survive_growth_and_wrapping),
        cmocka_unit_test(test_ack_only_packets_keep_no_frames_and_no_slot_of_their_own),
        cmocka_unit_test(test_ack_eliciting_means_in_flight),
        cmocka_unit_test(test_cancel_uses_no_number_and_no_frames),
        cmocka_unit_test(test_a_packet_takes_a_bounded_number_of_frames),
        cmocka_unit_test(test_skipped_numbers_are_recognised_after_their_slot_is_gone),
        cmocka_unit_test(test_lost_packets_stay_until_forgotten),
        cmocka_unit_test(test_a_full_window_refuses_but_lets_probes_through),
        cmocka_unit_test(test_the_frame_ring_is_bounded_too),
        cmocka_unit_test(test_budget_refusal_changes_nothing_and_leaves_room_for_probes),
        cmocka_unit_test(test_failing_allocations_change_nothing),
        cmocka_unit_test(test_trim_gives_everything_back_only_when_empty),
        cmocka_unit_test(test_acked_stretches_are_skipped_in_few_steps),
        cmocka_unit_test(test_steady_state_allocates_nothing_per_packet),
        cmocka_unit_test(test_delivery_state_stays_with_its_packet),
        cmocka_unit_test(test_a_failing_delivery_ring_leaves_everything_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
