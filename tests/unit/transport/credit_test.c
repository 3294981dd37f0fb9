/* SPDX-License-Identifier: MIT */
/* Goal: credit is given when half of it is used, windows grow only when they are too small and
 * memory allows, and two sides that push and read never stand still. Method: a fake connection
 * whose clock is a parameter; two of them joined by hand with windows of 4 KiB. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "fake.h"

enum { KIB = 1024, NOW = 1000000, RTT = FAKE_RTT_US };
static const uint8_t bytes[1 << 16];

static void consume(struct stream *s, uint64_t n, uint64_t now_us)
{
    assert_int_equal(stream_consume(s, n, now_us), 0);
}

static void test_credit_is_given_when_half_is_used_and_not_before(void **state)
{
    struct fake f;
    struct stream *s;

    (void)state;
    fake_init(&f, CONN_DIALLER, 0);
    fake_window(&f, 1000, 4000);
    assert_int_equal(fake_up(&f, &f.limits), 0);
    s = fake_remote(&f, 1);
    assert_int_equal(fake_data(s, 0, 1000, false), RECEIVE_OK);
    assert_int_equal(s->in.limit, 1000); /* arriving is not enough: it must be consumed */
    consume(s, 499, NOW);
    assert_false(s->in.credit_pending);
    assert_false(list_is_linked(&s->ready_link));
    consume(s, 1, NOW);
    assert_true(s->in.credit_pending);
    assert_true(list_is_linked(&s->ready_link));
    assert_int_equal(s->in.limit, 1500);
    assert_false(f.c.streams->credit_pending);
    assert_int_equal(fake_data(s, 1000, 500, false), RECEIVE_OK);
    consume(s, 1000, NOW);
    assert_int_equal(s->in.limit, 2500);
    assert_int_equal(fake_data(s, 1500, 500, false), RECEIVE_OK);
    consume(s, 499, NOW);
    assert_false(f.c.streams->credit_pending);
    consume(s, 1, NOW);
    assert_true(f.c.streams->credit_pending); /* 2000 of 4000 */
    assert_int_equal(f.c.streams->receive_limit, 6000);
    assert_true(streams_want_send(&f.c));
    fake_close(&f);
}

static void test_a_lane_whose_end_is_known_gets_no_credit(void **state)
{
    struct fake f;
    struct stream *s;

    (void)state;
    fake_init(&f, CONN_DIALLER, 0);
    fake_window(&f, 1000, 4000);
    assert_int_equal(fake_up(&f, &f.limits), 0);
    s = fake_remote(&f, 1);
    assert_int_equal(fake_data(s, 0, 900, true), RECEIVE_OK);
    consume(s, 800, NOW);
    assert_false(s->in.credit_pending);
    s = fake_remote(&f, 5);
    assert_int_equal(fake_data(s, 0, 900, false), RECEIVE_OK);
    assert_int_equal(stream_stop(s, 1, NOW), 0);
    assert_false(s->in.credit_pending);
    assert_int_equal(s->in.limit, 1000);
    fake_close(&f);
}

/* The second grant of a window comes `after_us` behind the first. */
static void test_windows_grow_only_when_used_up_within_two_round_trips(void **state)
{
    static const struct {
        uint64_t after_us, max, budget;
        bool off;
        uint64_t window;
    } cases[] = {
        {1, 1 << 20, 1 << 20, false, 4000},
        {RTT, 1 << 20, 1 << 20, false, 4000},
        {RTT + 1, 1 << 20, 1 << 20, false, 2000},
        {2 * RTT, 1 << 20, 1 << 20, false, 2000},
        {2 * RTT + 1, 1 << 20, 1 << 20, false, 1000}, /* slow enough */
        {1, 3500, 1 << 20, false, 3500},              /* the limit */
        {RTT + 1, 1500, 1 << 20, false, 1500},
        {1, 1000, 1 << 20, false, 1000},
        {1, 1 << 20, 3999, false, 1000}, /* memory decides */
        {1, 1 << 20, 4000, false, 2000},
        {1, 1 << 20, 7999, false, 2000},
        {1, 1 << 20, 8000, false, 4000},
        {1, 1 << 20, 1 << 20, true, 1000}, /* switched off */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fake f;
        struct stream *s;

        fake_init(&f, CONN_DIALLER, 0);
        fake_window(&f, 1000, 1 << 20);
        f.env.windows_grow_off = cases[i].off;
        assert_int_equal(fake_up(&f, &f.limits), 0);
        f.limits.value[LIMIT_STREAM_WINDOW] = cases[i].max;
        s = fake_remote(&f, 1);
        assert_int_equal(fake_data(s, 0, 500, false), RECEIVE_OK);
        consume(s, 500, NOW);
        assert_int_equal(s->in.window_bytes, 1000); /* the first grant says nothing of the path */
        assert_int_equal(fake_data(s, 500, 500, false), RECEIVE_OK);
        receive_lane_consume(&s->in, 500, f.env.mem, &f.c.streams->budget);
        streams_trim(&f.c);
        f.budget.max = f.budget.used + cases[i].budget;
        streams_update_credit(s, RTT, NOW + cases[i].after_us);
        assert_int_equal(s->in.window_bytes, cases[i].window);
        assert_int_equal(s->in.limit, 1000 + cases[i].window);
        fake_close(&f);
    }
}

/* What one stream learned of the path holds for the next that carries more than a little. */
static void test_a_stream_gets_the_window_of_its_siblings(void **state)
{
    struct fake f;
    struct stream *first, *second;

    (void)state;
    fake_init(&f, CONN_DIALLER, 0);
    fake_window(&f, 1000, 1 << 20);
    assert_int_equal(fake_up(&f, &f.limits), 0);
    f.limits.value[LIMIT_STREAM_WINDOW] = 64000;
    first = fake_remote(&f, 1);
    assert_int_equal(fake_data(first, 0, 500, false), RECEIVE_OK);
    consume(first, 500, NOW);
    assert_int_equal(fake_data(first, 500, 500, false), RECEIVE_OK);
    consume(first, 500, NOW + 1);
    assert_int_equal(first->in.window_bytes, 4000);
    second = fake_remote(&f, 5);
    assert_int_equal(fake_data(second, 0, 250, false), RECEIVE_OK);
    consume(second, 249, NOW + 2);
    assert_int_equal(second->in.window_bytes, 1000); /* it may be small */
    consume(second, 1, NOW + 2);
    assert_int_equal(second->in.window_bytes, 4000);
    assert_int_equal(second->in.limit, 4250);
    fake_close(&f);
}

static void test_the_connections_window_grows_by_the_same_rule(void **state)
{
    struct fake f;
    struct stream *s;
    uint64_t now = NOW, at = 0;

    (void)state;
    fake_init(&f, CONN_DIALLER, 0);
    fake_window(&f, 1 << 20, 1000);
    f.limits.value[LIMIT_CONNECTION_WINDOW] = 5000;
    assert_int_equal(fake_up(&f, &f.limits), 0);
    s = fake_remote(&f, 1);
    for (int i = 0; i < 6; i++) {
        uint64_t window = f.c.streams->receive_window;

        assert_int_equal(fake_data(s, at, window / 2, false), RECEIVE_OK);
        at += window / 2;
        consume(s, window / 2, now += RTT);
        assert_true(f.c.streams->receive_window <= 4 * window);
    }
    assert_int_equal(f.c.streams->receive_window, 5000);
    assert_int_equal(f.c.streams->receive_limit, at + 5000);
    fake_close(&f);
}

static void test_limits_of_the_peer_never_shrink(void **state)
{
    struct fake f;
    struct stream *s;
    int error;

    (void)state;
    fake_init(&f, CONN_DIALLER, 0);
    fake_window(&f, 1000, 2000);
    assert_int_equal(fake_up(&f, &f.limits), 0);
    s = streams_open_local(&f.c, false, 3, &error);
    streams_on_stream_credit(s, 999, NOW);
    assert_int_equal(s->out.credit, 1000);
    streams_on_connection_credit(&f.c, 1999, NOW);
    assert_int_equal(f.c.streams->send_credit, 2000);
    streams_on_connection_credit(&f.c, 2001, NOW);
    assert_int_equal(f.c.streams->send_credit, 2001);
    fake_close(&f);
}

static void test_connection_credit_wakes_every_writer_that_waits_for_it(void **state)
{
    struct fake f;
    struct stream *s[3];
    int error;

    (void)state;
    fake_init(&f, CONN_DIALLER, 0);
    fake_window(&f, 1000, 1000);
    assert_int_equal(fake_up(&f, &f.limits), 0);
    for (int i = 0; i < 3; i++) {
        s[i] = streams_open_local(&f.c, false, 3, &error);
        assert_int_equal(stream_write(s[i], bytes, 1000, false, false, NOW), i == 0 ? 1000 : 0);
    }
    assert_int_equal(s[1]->blocked.why, BLOCKED_CONNECTION_CREDIT);
    assert_int_equal(s[2]->blocked.why, BLOCKED_CONNECTION_CREDIT);
    streams_on_connection_credit(&f.c, 1100, NOW);
    assert_int_equal(fake_facts(s[0]), 0);
    assert_int_equal(fake_facts(s[1]), STREAM_PENDING_WRITABLE);
    assert_int_equal(fake_facts(s[2]), STREAM_PENDING_WRITABLE);
    fake_close(&f);
}

static void test_trim_gives_back_what_is_empty_and_nothing_else(void **state)
{
    struct fake f;
    struct stream *a, *b;

    (void)state;
    fake_init(&f, CONN_DIALLER, 0);
    assert_int_equal(fake_up(&f, &f.limits), 0);
    a = fake_remote(&f, 1);
    b = fake_remote(&f, 5);
    assert_int_equal(fake_data(a, 0, 1000, false), RECEIVE_OK);
    assert_int_equal(fake_data(b, 0, 1000, false), RECEIVE_OK);
    consume(a, 1000, NOW);
    consume(b, 999, NOW);
    assert_int_equal(stream_write(a, bytes, 2000, false, false, NOW), 2000);
    assert_int_equal(f.c.streams->budget.used,
                     sizeof(struct conn_streams) + 2 * STREAM_COST_BYTES + 1024 + 1024 + 2048);
    streams_trim(&f.c);
    assert_int_equal(f.c.streams->budget.used,
                     sizeof(struct conn_streams) + 2 * STREAM_COST_BYTES + 1024 + 2048);
    assert_int_equal(receive_lane_readable(&b->in), 1);
    fake_close(&f);
}

/* One side of a pair that writes as much as it can on one stream and reads the other. */
struct side {
    struct fake f;
    struct stream *out;
    uint64_t written, read;
};

static void side_open(struct side *side, enum conn_role role, uint64_t window)
{
    fake_init(&side->f, role, 256 * KIB);
    fake_window(&side->f, window, window);
    side->f.env.windows_grow_off = true;
    assert_int_equal(fake_up(&side->f, &side->f.limits), 0);
    side->out = NULL;
    side->written = side->read = 0;
}

static void push(struct side *side, uint64_t total, uint64_t now_us)
{
    int error;
    int64_t n;

    if (side->out == NULL) side->out = streams_open_local(&side->f.c, true, 3, &error);
    if (side->written == total) return;
    n = stream_write(side->out, bytes, total - side->written < 5000 ? total - side->written : 5000,
                     false, false, now_us);
    assert_true(n >= 0);
    side->written += (uint64_t)n;
}

static void pull(struct side *side, uint64_t id, uint64_t now_us)
{
    struct stream *s = streams_get(&side->f.c, id);
    uint8_t out[700];
    int64_t n;

    if (s == NULL) return;
    while ((n = stream_read(s, out, sizeof out, now_us)) > 0) side->read += (uint64_t)n;
}

static void test_two_sides_that_push_and_read_never_stand_still(void **state)
{
    static const uint64_t windows[] = {1, 7, 512, 4 * KIB, 5000};

    (void)state;
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        const uint64_t total = 40 * windows[i];
        struct side a, b;
        uint64_t now = NOW;

        side_open(&a, CONN_DIALLER, windows[i]);
        side_open(&b, CONN_LISTENER, windows[i]);
        while (a.read < total || b.read < total) {
            uint64_t before = a.read + b.read;

            for (int turn = 0; turn < 3; turn++) { /* both write before either reads */
                push(&a, total, ++now);
                push(&b, total, now);
                fake_settle(&a.f, &b.f, now);
                pull(&a, 3, now);
                pull(&b, 2, now);
            }
            assert_true(a.read + b.read > before);
        }
        assert_int_equal(a.read, total);
        assert_int_equal(b.read, total);
        fake_close(&a.f);
        fake_close(&b.f);
    }
}

static void test_a_reader_that_does_not_consume_stops_the_sender(void **state)
{
    struct side a, b;
    uint64_t used;

    (void)state;
    side_open(&a, CONN_DIALLER, 4 * KIB);
    side_open(&b, CONN_LISTENER, 4 * KIB);
    for (int turn = 0; turn < 5; turn++) {
        push(&a, 1 << 20, NOW);
        fake_settle(&a.f, &b.f, NOW);
    }
    assert_int_equal(a.written, 4 * KIB);
    assert_int_equal(a.f.moved_bytes, 4 * KIB);
    assert_int_equal(a.out->blocked.why, BLOCKED_STREAM_CREDIT);
    assert_int_equal(fake_facts(a.out) & STREAM_PENDING_WRITABLE, 0);
    used = b.f.budget.used;
    assert_int_equal(used, sizeof(struct conn_streams) + STREAM_COST_BYTES + 4 * KIB);
    pull(&b, 2, NOW);
    fake_settle(&a.f, &b.f, NOW);
    assert_int_equal(fake_facts(a.out), STREAM_PENDING_WRITABLE);
    fake_close(&a.f);
    fake_close(&b.f);
}

/* Both sides' budgets are nearly used up by bytes to send. What arrives still has its share. */
static void test_two_sides_full_of_bytes_to_send_still_take_each_others(void **state)
{
    enum { STREAMS = 12 };
    struct side a, b;
    uint64_t turns = 0;

    (void)state;
    side_open(&a, CONN_DIALLER, 64 * KIB);
    side_open(&b, CONN_LISTENER, 64 * KIB);
    a.f.c.streams->send_credit = b.f.c.streams->send_credit = 1 << 24;
    a.f.c.streams->receive_limit = b.f.c.streams->receive_limit = 1 << 24;
    while (a.read < (1 << 20) || b.read < (1 << 20)) {
        assert_true(++turns < 1000);
        for (uint64_t i = 0; i < STREAMS; i++) {
            struct side *sides[] = {&a, &b};

            for (int k = 0; k < 2; k++) {
                struct fake *f = &sides[k]->f;
                uint64_t id = 4 * i + 2 + (uint64_t)k;
                struct stream *s = streams_get(&f->c, id);
                int error;

                if (s == NULL) s = streams_open_local(&f->c, true, 3, &error);
                assert_true(stream_write(s, bytes, sizeof bytes, false, false, NOW) >= 0);
            }
        }
        fake_settle_starved(&a.f, &b.f, NOW);
        for (uint64_t i = 0; i < STREAMS; i++) {
            pull(&a, 4 * i + 3, NOW);
            pull(&b, 4 * i + 2, NOW);
        }
        transport_recheck(&a.f.t, NOW);
        transport_recheck(&b.f.t, NOW);
        assert_true(a.f.budget.peak <= a.f.budget.max);
    }
    fake_close(&a.f);
    fake_close(&b.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_credit_is_given_when_half_is_used_and_not_before),
        cmocka_unit_test(test_a_lane_whose_end_is_known_gets_no_credit),
        cmocka_unit_test(test_windows_grow_only_when_used_up_within_two_round_trips),
        cmocka_unit_test(test_a_stream_gets_the_window_of_its_siblings),
        cmocka_unit_test(test_the_connections_window_grows_by_the_same_rule),
        cmocka_unit_test(test_limits_of_the_peer_never_shrink),
        cmocka_unit_test(test_connection_credit_wakes_every_writer_that_waits_for_it),
        cmocka_unit_test(test_trim_gives_back_what_is_empty_and_nothing_else),
        cmocka_unit_test(test_two_sides_that_push_and_read_never_stand_still),
        cmocka_unit_test(test_a_reader_that_does_not_consume_stops_the_sender),
        cmocka_unit_test(test_two_sides_full_of_bytes_to_send_still_take_each_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
