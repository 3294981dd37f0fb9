/* SPDX-License-Identifier: MIT */
/* Goal: bytes arrive whole, in order and once over bad networks; memory stays inside the budgets
 * and is not allocated per packet. Method: flow.h over pair.h with filters for loss, delay,
 * blackholes, copies and reordering, in virtual time. */
#include "flow.h"
#include "quic/connection.h"

enum { MIB = 1 << 20 };

struct net {
    unsigned percent;      /* lost */
    unsigned copy_percent; /* arrive twice */
    uint64_t reorder_us;   /* each is held back by up to this */
    uint64_t dark_from_us, dark_until_us;
};

static bool disturb(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    const struct net *net = p->context;
    (void)n;
    if (p->now_us >= net->dark_from_us && p->now_us < net->dark_until_us) return false;
    if (rng_below(&p->rng, 100) < net->percent) return false;
    if (net->reorder_us > 0) p->extra_us = rng_below(&p->rng, net->reorder_us);
    if (rng_below(&p->rng, 100) < net->copy_percent)
        pair_post(p, 1 - from, &p->side[from].address, bytes, len,
                  p->now_us + p->delay_us + rng_below(&p->rng, 4 * p->delay_us));
    return true;
}

static struct pair *disturbed(struct net *net)
{
    struct pair *p = pair_new(NULL, NULL);
    pair_connect(p);
    p->filter = disturb;
    p->context = net;
    return p;
}

/* One flow of bytes each way at once. @return microseconds */
static uint64_t both_ways(struct pair *p, uint64_t bytes, uint64_t limit_us)
{
    struct flow f[2];
    flow_open(p, &f[0], 0, bytes);
    flow_open(p, &f[1], 1, bytes);
    uint64_t us = flow_run(p, f, 2, limit_us);
    flow_expect_whole(&f[0]);
    flow_expect_whole(&f[1]);
    return us;
}

static void test_ten_mebibytes_cross_two_percent_loss(void **state)
{
    (void)state;
    struct net net = {.percent = 2};
    struct pair *p = disturbed(&net);
    struct flow f;
    flow_open(p, &f, 0, 10 * MIB);
    uint64_t us = flow_run(p, &f, 1, 600000000);
    flow_expect_whole(&f);
    /* Two percent of loss at 20 ms: some 10 packets per round trip, 20 s or so; far from stuck. */
    assert_true(us < 60000000);
    assert_true(f.longest_gap_us < 3000000);
    pair_free(p);
}

static void test_ten_mebibytes_cross_ten_percent_loss(void **state)
{
    (void)state;
    struct net net = {.percent = 10};
    struct pair *p = disturbed(&net);
    struct flow f;
    flow_open(p, &f, 1, 10 * MIB);
    uint64_t us = flow_run(p, &f, 1, 900000000);
    flow_expect_whole(&f);
    assert_true(us < 180000000);
    pair_free(p);
}

static void test_both_directions_at_once_cross_loss(void **state)
{
    (void)state;
    struct net net = {.percent = 5};
    struct pair *p = disturbed(&net);
    (void)both_ways(p, 2 * MIB, 600000000);
    pair_free(p);
}

static void test_both_directions_cross_a_round_trip_of_a_second_and_a_half(void **state)
{
    (void)state;
    struct net net = {.percent = 0};
    struct pair *p = pair_new(NULL, NULL);
    p->delay_us = 750000;
    p->filter = disturb;
    p->context = &net;
    pair_connect(p);
    uint64_t us = both_ways(p, 10 * MIB, 600000000);
    assert_true(us < 90000000);
    assert_int_equal(p->side[0].metrics.value[METRIC_PACKETS_LOST], 0);
    assert_int_equal(p->side[1].metrics.value[METRIC_PACKETS_LOST], 0);
    pair_free(p);
}

static void test_a_blackhole_of_two_seconds_is_survived(void **state)
{
    (void)state;
    struct net net = {.percent = 0};
    struct pair *p = disturbed(&net);
    struct flow f;
    flow_open(p, &f, 0, 10 * MIB);
    (void)flow_run(p, &f, 1, 200000);
    assert_true(f.read > 0 && !f.at_end);
    net.dark_from_us = p->now_us;
    net.dark_until_us = p->now_us + 2000000;
    (void)flow_run(p, &f, 1, 2000000);
    uint64_t before = f.read;
    /* It resumes within the last probe interval, which is no longer than the darkness was, and a
     * round trip. */
    (void)flow_run(p, &f, 1, 2000000 + 4 * p->delay_us);
    assert_true(f.read > before);
    (void)flow_run(p, &f, 1, 60000000);
    flow_expect_whole(&f);
    pair_free(p);
}

static void test_five_blackholes_of_eight_seconds_are_survived(void **state)
{
    (void)state;
    struct net net = {.percent = 0};
    struct pair *p = disturbed(&net);
    struct flow f;
    flow_open(p, &f, 0, 10 * MIB);
    for (int i = 0; i < 5; i++) {
        net.dark_from_us = p->now_us;
        net.dark_until_us = p->now_us + 8000000;
        (void)flow_run(p, &f, 1, 8000000);
        uint64_t before = f.read;
        (void)flow_run(p, &f, 1, 8000000 + 4 * p->delay_us);
        assert_true(f.at_end || f.read > before);
    }
    (void)flow_run(p, &f, 1, 60000000);
    flow_expect_whole(&f);
    pair_free(p);
}

static void test_copies_and_reordering_by_a_round_trip_deliver_once(void **state)
{
    (void)state;
    struct net net = {.copy_percent = 20, .reorder_us = 20000};
    struct pair *p = disturbed(&net);
    (void)both_ways(p, 4 * MIB, 300000000);
    assert_true(p->side[1].metrics.value[METRIC_PACKETS_DUPLICATE] > 100);
    pair_free(p);
}

static void test_everything_bad_at_once_is_survived(void **state)
{
    (void)state;
    struct net net = {.percent = 20, .copy_percent = 30, .reorder_us = 60000};
    struct pair *p = disturbed(&net);
    (void)both_ways(p, MIB, 600000000);
    pair_free(p);
}

static void test_many_streams_share_a_lossy_connection(void **state)
{
    (void)state;
    struct net net = {.percent = 3};
    struct pair *p = disturbed(&net);
    struct flow f[40];
    for (size_t i = 0; i < 40; i++) flow_open(p, &f[i], (int)(i % 2), 60000 + i);
    (void)flow_run(p, f, 40, 300000000);
    for (size_t i = 0; i < 40; i++) flow_expect_whole(&f[i]);
    pair_free(p);
}

static void test_streams_beyond_the_limit_follow_as_others_end(void **state)
{
    (void)state;
    struct net net = {.percent = 2};
    struct pair *p = disturbed(&net);
    struct flow f[100];
    p->sweep = true;
    for (unsigned round = 0; round < 12; round++) { /* 1200 streams, 256 at a time at most */
        for (size_t i = 0; i < 100; i++) flow_open(p, &f[i], 0, 100 + i);
        (void)flow_run(p, f, 100, 60000000);
        for (size_t i = 0; i < 100; i++) flow_expect_whole(&f[i]);
        /* Finish the listener's lanes too, so that the streams are over. */
        for (size_t i = 0; i < 100; i++) {
            struct stream *s = streams_get(p->side[1].conn, f[i].id);
            if (s != NULL) (void)stream_write(s, NULL, 0, false, true, p->now_us);
        }
        uint64_t until = p->now_us + 10000000;
        uint8_t byte;
        while (p->now_us < until &&
               p->side[0].conn->streams->count + p->side[1].conn->streams->count > 0) {
            for (size_t i = 0; i < 100; i++) {
                struct stream *s = streams_get(p->side[0].conn, f[i].id);
                if (s != NULL) (void)stream_read(s, &byte, 1, p->now_us);
            }
            pair_turn(p);
            (void)pair_step(p, until);
        }
        pair_run(p, 1000000); /* the new limit arrives */
        assert_int_equal(p->side[0].conn->streams->count, 0);
        assert_int_equal(p->side[1].conn->streams->count, 0);
    }
    pair_free(p);
}

static void test_a_steady_flow_allocates_nothing(void **state)
{
    (void)state;
    struct net net = {.percent = 0};
    struct pair *p = disturbed(&net);
    struct flow f[2];
    flow_open(p, &f[0], 0, 40 * MIB);
    flow_open(p, &f[1], 1, 40 * MIB);
    while (f[0].read < 20 * MIB || f[1].read < 20 * MIB) (void)flow_run(p, f, 2, 10000);
    uint64_t calls = p->counter.calls, datagrams = p->side[0].datagrams;
    while (f[0].read < 36 * MIB) (void)flow_run(p, f, 2, 10000);
    assert_int_equal(p->counter.calls - calls, 0);
    assert_true(p->side[0].datagrams - datagrams > 10000);
    (void)flow_run(p, f, 2, 60000000);
    flow_expect_whole(&f[0]);
    flow_expect_whole(&f[1]);
    pair_free(p);
}

static void test_a_steady_flow_under_loss_allocates_nearly_nothing(void **state)
{
    (void)state;
    struct net net = {.percent = 2};
    struct pair *p = disturbed(&net);
    struct flow f;
    flow_open(p, &f, 0, 10 * MIB);
    while (f.read < 5 * MIB) (void)flow_run(p, &f, 1, 10000);
    uint64_t calls = p->counter.calls;
    (void)flow_run(p, &f, 1, 600000000);
    flow_expect_whole(&f);
    /* A table of ranges may still double once when a burst is worse than all before. */
    assert_in_range(p->counter.calls - calls, 0, 8);
    pair_free(p);
}

static void test_a_reader_that_does_not_consume_stops_the_sender(void **state)
{
    (void)state;
    struct net net = {.percent = 1};
    struct pair *p = disturbed(&net);
    struct flow f;
    flow_open(p, &f, 0, 10 * MIB);
    f.paused = true;
    (void)flow_run(p, &f, 1, 5000000);
    uint64_t written = f.written, sent = p->side[0].datagrams;
    assert_int_equal(written, p->side[1].limits.value[LIMIT_STREAM_WINDOW_FIRST]);
    assert_true(p->side[1].budget.used < 2 * written + 16384);
    assert_true(p->side[0].budget.used < 2 * written + 65536);
    struct stream *s = streams_get(p->side[0].conn, f.id);
    assert_int_equal(s->blocked.why, BLOCKED_STREAM_CREDIT);
    assert_int_equal(s->blocked.on, BLOCKED_ON_PEER);
    (void)flow_run(p, &f, 1, 20000000);
    assert_int_equal(f.written, written);
    assert_int_equal(p->side[0].datagrams, sent); /* nobody asks again and again */
    f.paused = false;
    (void)flow_run(p, &f, 1, 60000000);
    flow_expect_whole(&f);
    pair_free(p);
}

static void test_the_budget_of_a_small_node_holds_whatever_flows(void **state)
{
    (void)state;
    struct limits small;
    limits_derive(&small, 1 * MIB, 4);
    struct net net = {.percent = 3, .reorder_us = 20000};
    struct pair *p = pair_new(&small, &small);
    pair_connect(p);
    p->filter = disturb;
    p->context = &net;
    struct flow f[16];
    for (size_t i = 0; i < 16; i++) {
        flow_open(p, &f[i], (int)(i % 2), 300000);
        f[i].paused = i % 4 < 2;
    }
    (void)flow_run(p, f, 16, 30000000);
    for (size_t i = 0; i < 16; i++) f[i].paused = false;
    (void)flow_run(p, f, 16, 300000000);
    for (size_t i = 0; i < 16; i++) flow_expect_whole(&f[i]);
    for (int i = 0; i < 2; i++) assert_true(p->side[i].budget.peak <= MIB);
    pair_free(p);
}

static void test_both_push_through_windows_of_four_kibibytes(void **state)
{
    (void)state;
    struct limits tight;
    limits_derive(&tight, 0, 0);
    tight.value[LIMIT_STREAM_WINDOW_FIRST] = tight.value[LIMIT_STREAM_WINDOW] = 4096;
    tight.value[LIMIT_CONNECTION_WINDOW_FIRST] = tight.value[LIMIT_CONNECTION_WINDOW] = 4096;
    struct net net = {.percent = 2};
    struct pair *p = pair_new(&tight, &tight);
    pair_connect(p);
    p->filter = disturb;
    p->context = &net;
    (void)both_ways(p, 200000, 300000000);
    pair_free(p);
}

static void test_a_node_without_room_waits_quietly_and_goes_on(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++) {
        struct net net = {.percent = 0};
        struct pair *p = disturbed(&net);
        struct flow f;
        flow_open(p, &f, 0, MIB);
        (void)flow_run(p, &f, 1, 1000);
        /* It rests, and its records are given back. Then there is not a byte for new ones, while
         * keep-alives come that are to be acknowledged, or are to be sent. */
        struct budget *b = &p->side[side].budget;
        uint64_t max = b->max;
        pair_run(p, 3000000);
        for (int i = 0; i < 2; i++) quic_transport.conn_hold(p->side[i].conn, true, p->now_us);
        b->max = b->used;
        uint64_t steps = 0, until = p->now_us + 20000000;
        flow_write(p, &f);
        pair_turn(p);
        while (p->now_us < until && pair_step(p, until)) steps++;
        assert_in_range(steps, 20, 2000);
        b->max = max;
        transport_recheck(p->side[side].transport, p->now_us);
        (void)flow_run(p, &f, 1, 60000000);
        flow_expect_whole(&f);
        pair_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ten_mebibytes_cross_two_percent_loss),
        cmocka_unit_test(test_ten_mebibytes_cross_ten_percent_loss),
        cmocka_unit_test(test_both_directions_at_once_cross_loss),
        cmocka_unit_test(test_both_directions_cross_a_round_trip_of_a_second_and_a_half),
        cmocka_unit_test(test_a_blackhole_of_two_seconds_is_survived),
        cmocka_unit_test(test_five_blackholes_of_eight_seconds_are_survived),
        cmocka_unit_test(test_copies_and_reordering_by_a_round_trip_deliver_once),
        cmocka_unit_test(test_everything_bad_at_once_is_survived),
        cmocka_unit_test(test_many_streams_share_a_lossy_connection),
        cmocka_unit_test(test_streams_beyond_the_limit_follow_as_others_end),
        cmocka_unit_test(test_a_steady_flow_allocates_nothing),
        cmocka_unit_test(test_a_steady_flow_under_loss_allocates_nearly_nothing),
        cmocka_unit_test(test_a_reader_that_does_not_consume_stops_the_sender),
        cmocka_unit_test(test_the_budget_of_a_small_node_holds_whatever_flows),
        cmocka_unit_test(test_both_push_through_windows_of_four_kibibytes),
        cmocka_unit_test(test_a_node_without_room_waits_quietly_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
