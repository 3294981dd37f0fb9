/* SPDX-License-Identifier: MIT */
/* Goal: the calls that send on a stream: what a write takes, why it waits and that it is always
 * told; MORE; reset. Method: one fake connection whose peer is played by hand; a table for credit
 * and limits. What is read is in stream_read_test.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "fake.h"

enum { KIB = 1024, NOW = 1000000 };
static const uint8_t bytes[1 << 20];

/* Everything of the lane leaves and is acknowledged up to `upto`. */
static void send_all(struct stream *s)
{
    uint64_t offset, len;
    bool fin;

    while (send_lane_next(&s->out, true, UINT64_MAX, &offset, &len, &fin))
        (void)send_lane_on_sent(&s->out, offset, len, fin, s->conn->transport->env->mem);
}

static void ack_upto(struct stream *s, uint64_t upto)
{
    streams_on_acked(s, s->out.ring.base, upto - s->out.ring.base, false, NOW);
}

static void test_a_write_takes_the_least_of_credit_and_limits(void **state)
{
    static const struct {
        uint64_t stream, connection, send, taken;
        uint8_t why;
        enum metric counter;
    } cases[] = {
        {1000, 5000, 5000, 1000, BLOCKED_STREAM_CREDIT, METRIC_STALLS_STREAM_CREDIT},
        {5000, 1000, 5000, 1000, BLOCKED_CONNECTION_CREDIT, METRIC_STALLS_CONNECTION_CREDIT},
        {5000, 5000, 1000, 1000, BLOCKED_SEND_LIMIT, METRIC_STALLS_BUDGET},
        {0, 5000, 5000, 0, BLOCKED_STREAM_CREDIT, METRIC_STALLS_STREAM_CREDIT},
        {5000, 0, 5000, 0, BLOCKED_CONNECTION_CREDIT, METRIC_STALLS_CONNECTION_CREDIT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fake f;
        struct stream *s;

        open_with(&f, 0, cases[i].stream, cases[i].connection);
        f.limits.value[LIMIT_STREAM_SEND] = cases[i].send;
        s = open_stream(&f, false);
        assert_int_equal(stream_writable(s), cases[i].taken);
        assert_int_equal(stream_write(s, bytes, 3000, false, false, NOW), cases[i].taken);
        assert_int_equal(s->blocked.why, cases[i].why);
        assert_int_equal(s->blocked.on, BLOCKED_ON_PEER);
        assert_int_equal(s->blocked.wanted, 3000 - cases[i].taken);
        assert_int_equal(s->blocked.since_us, NOW);
        assert_int_equal(f.metrics.value[cases[i].counter], 1);
        assert_int_equal(f.c.streams->send_used, cases[i].taken);
        assert_int_equal(stream_writable(s), 0);
        fake_close(&f);
    }
}

static void test_what_fits_does_not_wait(void **state)
{
    struct fake f;
    struct stream *s;

    (void)state;
    open_with(&f, 0, 1000, 1000);
    s = open_stream(&f, false);
    assert_int_equal(stream_write(s, bytes, 1000, false, true, NOW), 1000);
    assert_int_equal(s->blocked.why, BLOCKED_NOT);
    assert_int_equal(s->out.state, SEND_FINISHED);
    assert_int_equal(stream_write(s, bytes, 1, false, false, NOW), WEIR_E_FINISHED);
    assert_int_equal(f.what, STREAM_OPENED | STREAM_WROTE);
    fake_close(&f);
}

static void test_writable_comes_exactly_once_after_a_blocked_write(void **state)
{
    struct fake f;
    struct stream *s;

    (void)state;
    open_with(&f, 0, 1000, 100000);
    s = open_stream(&f, false);
    assert_int_equal(stream_write(s, bytes, 3000, false, true, NOW), 1000);
    assert_int_equal(s->out.state, SEND_OPEN); /* the FIN was not taken */
    assert_int_equal(fake_facts(s), 0);
    streams_on_stream_credit(s, 1000, NOW + 5); /* no news */
    assert_int_equal(fake_facts(s), 0);
    streams_on_stream_credit(s, 1001, NOW + 5);
    assert_int_equal(fake_facts(s), STREAM_PENDING_WRITABLE);
    assert_int_equal(f.metrics.value[METRIC_STALL_TIME], 5);
    streams_on_stream_credit(s, 9000, NOW + 6);
    streams_recheck(&f.c, NOW + 6);
    assert_int_equal(fake_facts(s), 0);
    assert_true(list_is_empty(&f.c.streams->blocked));
    fake_close(&f);
}

static void test_a_new_write_takes_an_untold_writable_back(void **state)
{
    struct fake f;
    struct stream *s;

    (void)state;
    open_with(&f, 0, 1000, 100000);
    s = open_stream(&f, false);
    assert_int_equal(stream_write(s, bytes, 3000, false, false, NOW), 1000);
    streams_on_stream_credit(s, 2000, NOW);
    assert_int_equal(s->pending, STREAM_PENDING_WRITABLE);
    assert_int_equal(stream_write(s, bytes, 3000, false, false, NOW), 1000);
    assert_int_equal(fake_facts(s), 0);
    streams_on_stream_credit(s, 3000, NOW);
    assert_int_equal(fake_facts(s), STREAM_PENDING_WRITABLE);
    fake_close(&f);
}

static void test_who_tries_again_in_vain_has_waited_since_the_first_time(void **state)
{
    struct fake f;
    struct stream *s;

    (void)state;
    open_with(&f, 0, 1000, 100000);
    s = open_stream(&f, false);
    assert_int_equal(stream_write(s, bytes, 3000, false, false, NOW), 1000);
    for (uint64_t i = 1; i < 4; i++)
        assert_int_equal(stream_write(s, bytes, 2000, false, false, NOW + i), 0);
    assert_int_equal(s->blocked.since_us, NOW);
    assert_int_equal(f.metrics.value[METRIC_STALLS_STREAM_CREDIT], 1);
    /* An empty write asks for nothing, so it ends no wait either. */
    assert_int_equal(stream_write(s, NULL, 0, true, false, NOW + 5), 0);
    assert_int_equal(s->blocked.why, BLOCKED_STREAM_CREDIT);
    assert_false(s->out.hold);
    streams_on_stream_credit(s, 1500, NOW + 9);
    assert_int_equal(fake_facts(s), STREAM_PENDING_WRITABLE);
    assert_int_equal(f.metrics.value[METRIC_STALL_TIME], 9);
    fake_close(&f);
}

/* Two reasons at once: the one that is recorded goes away first, and the other must still wake. */
static void test_a_writer_is_woken_when_credit_came_before_the_acknowledgement(void **state)
{
    struct fake f;
    struct stream *s;

    (void)state;
    open_with(&f, 0, 1000, 100000);
    f.limits.value[LIMIT_STREAM_SEND] = 1000;
    s = open_stream(&f, false);
    assert_int_equal(stream_write(s, bytes, 3000, false, false, NOW), 1000);
    assert_int_equal(s->blocked.why, BLOCKED_STREAM_CREDIT);
    send_all(s);
    streams_on_stream_credit(s, 5000, NOW);
    assert_int_equal(fake_facts(s), 0); /* the send limit is used up */
    assert_int_equal(s->blocked.why, BLOCKED_SEND_LIMIT);
    ack_upto(s, 200);
    assert_int_equal(fake_facts(s), 0); /* not for every packet */
    ack_upto(s, 250);
    assert_int_equal(fake_facts(s), STREAM_PENDING_WRITABLE);
    fake_close(&f);
}

static void test_a_writer_is_woken_when_credit_came_before_the_budget(void **state)
{
    struct fake f;
    struct stream *s;

    (void)state;
    open_with(&f, 0, 1024, 100000);
    s = open_stream(&f, false);
    assert_int_equal(stream_write(s, bytes, 3000, false, false, NOW), 1024);
    f.budget.max = f.budget.used;
    streams_on_stream_credit(s, 5000, NOW);
    assert_int_equal(fake_facts(s), 0);
    assert_int_equal(s->blocked.why, BLOCKED_BUDGET);
    assert_int_equal(s->blocked.on, BLOCKED_ON_US);
    f.budget.max = 1 << 20;
    transport_recheck(&f.t, NOW);
    assert_int_equal(fake_facts(s), STREAM_PENDING_WRITABLE);
    fake_close(&f);
}

static void test_a_refused_budget_blocks_and_recheck_wakes(void **state)
{
    struct fake f;
    struct stream *s;

    (void)state;
    open_with(&f, 0, 100000, 100000);
    s = open_stream(&f, false);
    f.budget.max = f.budget.used;
    assert_int_equal(stream_write(s, bytes, 3000, false, false, NOW), 0);
    assert_int_equal(s->blocked.why, BLOCKED_BUDGET);
    assert_int_equal(s->blocked.on, BLOCKED_ON_US);
    assert_int_equal(s->refusal.scope, LIMIT_SCOPE_NODE);
    assert_int_equal(s->refusal.name, LIMIT_NODE_MEMORY);
    assert_int_equal(s->refusal.used, f.budget.used);
    assert_int_equal(s->refusal.max, f.budget.max);
    assert_int_equal(f.metrics.value[METRIC_STALLS_BUDGET], 1);
    assert_int_equal(f.metrics.value[METRIC_LIMIT_REACHED], 1);
    for (int i = 0; i < 3; i++) {
        transport_recheck(&f.t, NOW); /* nothing was freed: it goes on waiting */
        assert_int_equal(fake_facts(s), 0);
    }
    f.budget.max = 1 << 20;
    transport_recheck(&f.t, NOW);
    assert_int_equal(fake_facts(s), STREAM_PENDING_WRITABLE);
    transport_recheck(&f.t, NOW);
    assert_int_equal(fake_facts(s), 0);
    assert_true(list_is_empty(&f.t.starved));
    assert_int_equal(stream_write(s, bytes, 3000, false, false, NOW), 3000);
    fake_close(&f);
}

/* Buffers double: what is promised must be what a write gets, or a writer is woken in
 * vain for ever. */
static void test_a_large_write_takes_what_was_promised_inside_any_budget(void **state)
{
    (void)state;
    for (uint64_t spare = 0; spare < 40 * KIB; spare += 333) {
        struct fake f;
        struct stream *s;
        uint64_t promised;

        open_with(&f, 0, 1 << 20, 1 << 20);
        s = open_stream(&f, false);
        if (spare % 2 == 1) assert_int_equal(stream_write(s, bytes, 700, false, false, NOW), 700);
        f.budget.max = f.budget.used + spare;
        promised = stream_writable(s);
        assert_true(promised <= spare + 1024);
        assert_int_equal(stream_write(s, bytes, 1 << 20, false, false, NOW), promised);
        assert_int_equal(s->blocked.why, BLOCKED_BUDGET);
        assert_int_equal(stream_writable(s), 0);
        f.budget.max = 1 << 30;
        fake_close(&f);
    }
}

/* Inside weir reading never waits for writing: full of bytes to send, there is room to receive. */
static void test_writers_leave_a_share_of_the_budget_to_what_arrives(void **state)
{
    struct fake f;
    struct stream *s[8], *in;

    (void)state;
    open_with(&f, 256 * KIB, 1 << 20, 1 << 20);
    f.limits.value[LIMIT_STREAM_SEND] = 1 << 20;
    for (int i = 0; i < 8; i++) {
        s[i] = open_stream(&f, false);
        assert_true(stream_write(s[i], bytes, 1 << 20, false, false, NOW) < 1 << 20);
    }
    assert_int_equal(s[7]->blocked.why, BLOCKED_BUDGET);
    assert_int_equal(s[7]->refusal.name, LIMIT_PEER_MEMORY);
    assert_true(budget_room(&f.c.streams->budget) >= 12 * KIB);
    in = fake_remote(&f, 1);
    assert_int_equal(fake_data(in, 0, 8 * KIB, false), RECEIVE_OK);
    fake_close(&f);
}

static void test_buffers_of_resting_lanes_make_room_for_a_writer(void **state)
{
    struct fake f;
    struct stream *a, *b;

    (void)state;
    open_with(&f, 0, 1 << 20, 1 << 22);
    a = open_stream(&f, false);
    b = open_stream(&f, false);
    assert_int_equal(stream_write(a, bytes, 64 * KIB, false, false, NOW), 64 * KIB);
    send_all(a);
    ack_upto(a, 64 * KIB);
    assert_int_equal(a->out.ring.capacity, 64 * KIB); /* kept: memory is plenty */
    f.budget.max = f.budget.used;
    assert_int_equal(stream_write(b, bytes, 3000, false, false, NOW), 3000);
    assert_int_equal(a->out.ring.capacity, 0);
    fake_close(&f);
}

static void test_more_holds_until_the_writer_says_otherwise(void **state)
{
    struct fake f;
    struct stream *s;

    (void)state;
    open_with(&f, 0, 1 << 20, 1 << 20);
    s = open_stream(&f, false);
    assert_int_equal(stream_write(s, bytes, 100, true, false, NOW), 100);
    streams_on_turn(&f.c);
    assert_false(streams_want_send(&f.c));
    assert_int_equal(send_lane_waiting(&s->out, true), 100);
    assert_int_equal(stream_write(s, bytes, 100, false, false, NOW), 100);
    assert_false(streams_want_send(&f.c)); /* before the turn nothing partial leaves */
    streams_on_turn(&f.c);
    assert_true(streams_want_send(&f.c));
    assert_int_equal(send_lane_waiting(&s->out, false), 200);
    fake_close(&f);
}

static void test_more_is_let_go_by_fin_flush_an_empty_write_and_a_wait(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        struct fake f;
        struct stream *s;

        open_with(&f, 0, 1000, 1000);
        s = open_stream(&f, false);
        assert_int_equal(stream_write(s, bytes, 100, true, false, NOW), 100);
        if (way == 0) assert_int_equal(stream_write(s, NULL, 0, true, true, NOW), 0);
        if (way == 1) stream_release(s, NOW);
        if (way == 2) assert_int_equal(stream_write(s, NULL, 0, false, false, NOW), 0);
        if (way == 3) {
            assert_int_equal(stream_write(s, bytes, 900, true, false, NOW), 900);
            assert_true(s->out.hold);
            assert_int_equal(stream_write(s, bytes, 1, true, false, NOW), 0);
        }
        assert_false(s->out.hold);
        streams_on_turn(&f.c);
        assert_true(streams_want_send(&f.c));
        assert_int_equal(send_lane_waiting(&s->out, false), way == 3 ? 1000 : 100);
        assert_true(list_is_empty(&f.c.streams->touched));
        fake_close(&f);
    }
}

static void test_writes_say_why_they_cannot(void **state)
{
    struct fake f;
    struct stream *s, *in;

    (void)state;
    open_with(&f, 0, 1000, 10000);
    in = fake_remote(&f, 3);
    assert_int_equal(stream_write(in, bytes, 1, false, false, NOW), WEIR_E_ONE_WAY);
    assert_int_equal(stream_reset(in, 1, NOW), WEIR_E_ONE_WAY);
    s = open_stream(&f, true);
    assert_int_equal(stream_read(s, NULL, 0, NOW), WEIR_E_ONE_WAY);
    assert_int_equal(stream_consume(s, 0, NOW), WEIR_E_ONE_WAY);
    assert_int_equal(stream_stop(s, 1, NOW), WEIR_E_ONE_WAY);
    assert_int_equal(stream_reset(s, 1, NOW), 0);
    assert_int_equal(stream_reset(s, 1, NOW), 0);
    assert_int_equal(stream_write(s, bytes, 1, false, false, NOW), WEIR_E_FINISHED);
    s = open_stream(&f, true);
    streams_on_stop(s, 44, NOW);
    assert_int_equal(s->out.reset_code, 44);
    assert_int_equal(stream_write(s, bytes, 1, false, false, NOW), WEIR_E_STOPPED);
    s = open_stream(&f, false);
    f.mem.fail_at = 1;
    assert_int_equal(stream_write(s, bytes, 1, false, false, NOW), WEIR_E_MEMORY);
    assert_int_equal(f.c.streams->send_used, 0);
    f.c.state = CONN_CLOSING;
    assert_int_equal(stream_write(s, bytes, 1, false, false, NOW), WEIR_E_NOT_CONNECTED);
    assert_int_equal(stream_writable(s), 0);
    fake_close(&f);
}

/* RFC 9000 4.5: the peer counts what was sent. What was only written must not stay counted here. */
static void test_a_reset_gives_the_credit_of_unsent_bytes_back_and_wakes_others(void **state)
{
    struct fake f;
    struct stream *a, *b;

    (void)state;
    open_with(&f, 0, 100000, 1000);
    a = open_stream(&f, false);
    b = open_stream(&f, false);
    assert_int_equal(stream_write(a, bytes, 1000, false, false, NOW), 1000);
    (void)send_lane_on_sent(&a->out, 0, 300, false, &f.mem.mem);
    assert_int_equal(stream_write(b, bytes, 500, false, false, NOW), 0);
    assert_int_equal(b->blocked.why, BLOCKED_CONNECTION_CREDIT);
    assert_int_equal(stream_reset(a, 7, NOW), 0);
    assert_int_equal(f.c.streams->send_used, a->out.sent);
    assert_int_equal(fake_facts(b), STREAM_PENDING_WRITABLE);
    assert_int_equal(stream_write(b, bytes, 1000, false, false, NOW), 700);
    streams_on_stop(b, 8, NOW);
    assert_int_equal(f.c.streams->send_used, 300);
    fake_close(&f);
}

static void test_urgency_moves_a_waiting_stream(void **state)
{
    struct fake f;
    struct stream *a, *b;
    uint8_t urgency;

    (void)state;
    open_with(&f, 0, 100000, 100000);
    a = open_stream(&f, false);
    b = open_stream(&f, false);
    assert_int_equal(stream_write(a, bytes, 10, false, false, NOW), 10);
    assert_int_equal(stream_write(b, bytes, 10, false, false, NOW), 10);
    streams_on_turn(&f.c);
    assert_ptr_equal(sched_next(&f.c.streams->sched, &urgency), &a->ready_link);
    assert_int_equal(stream_set_urgency(b, 0, NOW), 0);
    assert_ptr_equal(sched_next(&f.c.streams->sched, &urgency), &b->ready_link);
    assert_int_equal(urgency, 0);
    assert_int_equal(stream_set_urgency(b, 8, NOW), WEIR_E_ARGUMENT);
    assert_int_equal(b->urgency, 0);
    fake_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_write_takes_the_least_of_credit_and_limits),
        cmocka_unit_test(test_what_fits_does_not_wait),
        cmocka_unit_test(test_writable_comes_exactly_once_after_a_blocked_write),
        cmocka_unit_test(test_a_new_write_takes_an_untold_writable_back),
        cmocka_unit_test(test_who_tries_again_in_vain_has_waited_since_the_first_time),
        cmocka_unit_test(test_a_writer_is_woken_when_credit_came_before_the_acknowledgement),
        cmocka_unit_test(test_a_writer_is_woken_when_credit_came_before_the_budget),
        cmocka_unit_test(test_a_refused_budget_blocks_and_recheck_wakes),
        cmocka_unit_test(test_a_large_write_takes_what_was_promised_inside_any_budget),
        cmocka_unit_test(test_writers_leave_a_share_of_the_budget_to_what_arrives),
        cmocka_unit_test(test_buffers_of_resting_lanes_make_room_for_a_writer),
        cmocka_unit_test(test_more_holds_until_the_writer_says_otherwise),
        cmocka_unit_test(test_more_is_let_go_by_fin_flush_an_empty_write_and_a_wait),
        cmocka_unit_test(test_writes_say_why_they_cannot),
        cmocka_unit_test(test_a_reset_gives_the_credit_of_unsent_bytes_back_and_wakes_others),
        cmocka_unit_test(test_urgency_moves_a_waiting_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
