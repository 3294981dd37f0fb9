/* SPDX-License-Identifier: MIT */
/* Goal: how a connection rests, stays alive, and ends; and what leaves when. Method: a connected
 * pair, its datagrams counted, opened and held back; virtual time. */
#include "flow.h"
#include "reseal.h"

struct wire {
    bool dark[2];        /* datagrams of that side are lost */
    uint64_t hold_us;    /* the dialler's Handshake datagrams come so much later */
    bool drop_handshake; /* or never */
};

static bool pass(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    const struct wire *w = p->context;
    (void)len;
    if (from == 0 && n > 0 && (bytes[0] & 0xf0) == 0xe0) {
        p->extra_us = w->hold_us;
        if (w->drop_handshake) return false;
    }
    return !w->dark[from];
}

static struct pair *wired(struct wire *w)
{
    struct pair *p = pair_new(NULL, NULL);
    memset(w, 0, sizeof *w);
    p->filter = pass;
    p->context = w;
    return p;
}

static struct pair *connected(struct wire *w)
{
    struct pair *p = wired(w);
    pair_connect(p);
    pair_run(p, 3000000);
    assert_true(reseal_side(p, 0)->confirmed);
    return p;
}

static struct stream *opened(struct pair *p, int i)
{
    int error;
    struct stream *s = streams_open_local(p->side[i].conn, false, 3, &error);
    assert_non_null(s);
    return s;
}

static void test_a_hundred_small_writes_and_one_turn_make_one_datagram(void **state)
{
    (void)state;
    struct wire w;
    struct pair *p = connected(&w);
    struct stream *s = opened(p, 0);
    uint64_t before = p->side[0].datagrams;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(stream_write(s, "0123456789", 10, false, i == 99, p->now_us), 10);
        pair_send(
            p, 0); /* asked without a turn of the application, it keeps the partial packet back */
    }
    assert_int_equal(p->side[0].datagrams, before);
    pair_turn(p);
    assert_int_equal(p->side[0].datagrams - before, 1);
    pair_run(p, 100000);
    struct stream *r = streams_get(p->side[1].conn, s->id);
    assert_int_equal(r->in.contiguous, 1000);
    assert_int_equal(r->in.final_size, 1000);
    pair_free(p);
}

static void test_more_holds_the_partial_packet_back_and_only_that(void **state)
{
    (void)state;
    struct wire w;
    struct pair *p = connected(&w);
    struct stream *s = opened(p, 0);
    uint8_t bytes[3000] = {0};
    uint64_t before = p->side[0].datagrams;
    assert_int_equal(stream_write(s, bytes, 500, true, false, p->now_us), 500);
    pair_run(p, 5000000); /* no timer flushes */
    assert_int_equal(p->side[0].datagrams, before);
    assert_int_equal(stream_write(s, bytes, 3000, true, false, p->now_us), 3000);
    pair_turn(p);
    assert_int_equal(p->side[0].datagrams - before, 3500 / 1200); /* the full ones */
    pair_run(p, 5000000);
    struct stream *r = streams_get(p->side[1].conn, s->id);
    assert_in_range(r->in.contiguous, 2 * 1100, 2 * 1200);
    assert_int_equal(stream_write(s, bytes, 1, false, false, p->now_us), 1);
    pair_turn(p);
    pair_run(p, 100000);
    assert_int_equal(r->in.contiguous, 3501);
    pair_free(p);
}

static void test_flush_lets_go_at_once(void **state)
{
    (void)state;
    struct wire w;
    struct pair *p = connected(&w);
    struct stream *s = opened(p, 0);
    uint64_t before = p->side[0].datagrams;
    assert_int_equal(stream_write(s, "x", 1, true, false, p->now_us), 1);
    pair_turn(p);
    assert_int_equal(p->side[0].datagrams, before);
    stream_release(s, p->now_us);
    quic_transport.conn_flush(p->side[0].conn, p->now_us);
    pair_send(p, 0);
    assert_int_equal(p->side[0].datagrams - before, 1);
    pair_free(p);
}

static void test_data_may_follow_after_one_round_trip(void **state)
{
    (void)state;
    struct wire w;
    struct pair *p = wired(&w);
    uint64_t start = p->now_us;
    (void)pair_dial(p);
    while (!p->side[0].up) assert_true(pair_step(p, start + 1000000));
    struct stream *s = opened(p, 0);
    (void)stream_write(s, "first", 5, false, true, p->now_us);
    pair_turn(p);
    while (!p->side[1].up) assert_true(pair_step(p, start + 1000000));
    pair_run(p, 100);
    assert_int_equal(p->now_us - start, 3 * p->delay_us + 100);
    struct stream *r = streams_get(p->side[1].conn, s->id);
    assert_non_null(r);
    assert_int_equal(r->in.contiguous, 5);
    pair_free(p);
}

static void test_message_3_and_the_first_data_share_a_datagram(void **state)
{
    (void)state;
    struct wire w;
    struct pair *p = wired(&w);
    (void)pair_dial(p);
    while (p->flight_count > 0 && p->flight[0].to == 1)
        assert_true(pair_step(p, p->now_us + 1000000));
    /* The answer arrives, and the application writes before the next datagram is asked for. */
    assert_int_equal(p->flight_count, 1);
    p->now_us = p->flight[0].at_us;
    pair_deliver(p, &p->flight[0]);
    pair_lose(p);
    assert_true(p->side[0].up);
    struct stream *s = opened(p, 0);
    assert_int_equal(stream_write(s, "first", 5, false, true, p->now_us), 5);
    uint64_t before = p->side[0].datagrams;
    pair_turn(p);
    assert_int_equal(p->side[0].datagrams - before, 1);
    pair_run(p, p->delay_us + 1);
    assert_int_equal(streams_get(p->side[1].conn, s->id)->in.contiguous, 5);
    pair_free(p);
}

static void test_packets_before_message_3_are_kept_sealed_and_used(void **state)
{
    (void)state;
    struct wire w;
    struct pair *p = wired(&w);
    struct flow f[12];
    w.hold_us = 30000;
    (void)pair_dial(p);
    while (!p->side[0].up) assert_true(pair_step(p, p->now_us + 1000000));
    pair_turn(p);
    for (size_t i = 0; i < 12; i++) { /* a datagram each */
        flow_open(p, &f[i], 0, 20);
        flow_write(p, &f[i]);
        pair_turn(p);
    }
    uint64_t held = p->side[1].budget.used;
    pair_run(p, p->delay_us + 1000);
    assert_false(p->side[1].up);
    assert_int_equal(reseal_only(p, 1)->hs->early_count, QUIC_EARLY_MAX);
    assert_int_equal(p->side[1].metrics.value[METRIC_DROPPED_NO_KEYS], 12 - QUIC_EARLY_MAX);
    assert_true(p->side[1].budget.used > held);
    pair_run(p, 30000);
    assert_true(p->side[1].up);
    for (size_t i = 0; i < 12; i++) flow_read(p, &f[i]);
    for (size_t i = 0; i < QUIC_EARLY_MAX; i++) flow_expect_whole(&f[i]);
    assert_int_equal(p->side[1].conn->streams->count, QUIC_EARLY_MAX);
    (void)flow_run(p, f, 12, 5000000);
    for (size_t i = 0; i < 12; i++) flow_expect_whole(&f[i]);
    pair_free(p);
}

static void test_early_packets_of_a_dial_that_dies_are_given_back(void **state)
{
    (void)state;
    struct wire w;
    struct pair *p = wired(&w);
    w.drop_handshake = true;
    (void)pair_dial(p);
    while (!p->side[0].up) assert_true(pair_step(p, p->now_us + 1000000));
    for (int i = 0; i < 3; i++) {
        (void)stream_write(opened(p, 0), "x", 1, false, false, p->now_us);
        pair_turn(p);
    }
    pair_run(p, 100000);
    assert_true(reseal_only(p, 1)->hs->early_count > 0);
    w.dark[0] = true;
    pair_run(p, 40000000);
    assert_int_equal(endpoint_of(p->side[1].transport)->connections, 0);
    assert_int_equal(p->side[1].budget.used, 0);
    pair_free(p);
}

static void test_an_idle_connection_costs_at_most_sixteen_kibibytes(void **state)
{
    (void)state;
    struct wire w;
    struct pair *p = wired(&w);
    uint64_t before = p->counter.live_bytes;
    pair_connect(p);
    struct flow f[2];
    flow_open(p, &f[0], 0, 1 << 20);
    flow_open(p, &f[1], 1, 1 << 20);
    (void)flow_run(p, f, 2, 60000000);
    flow_expect_whole(&f[0]);
    pair_run(p, 3000000);
    struct conn_info info[2];
    for (int i = 0; i < 2; i++) {
        assert_null(reseal_side(p, i)->hs);
        assert_true(reseal_side(p, i)->rested);
        quic_transport.conn_info(p->side[i].conn, &info[i]);
        assert_in_range(info[i].memory_bytes, sizeof(struct connection), 12288);
    }
    /* Both sides and all their tables; and what they say of themselves is nearly that. */
    uint64_t both = p->counter.live_bytes - before;
    assert_in_range(both, 1, 2 * 12288);
    assert_in_range(info[0].memory_bytes + info[1].memory_bytes, both / 2, both + 1024);
    pair_free(p);
}

static void test_an_idle_connection_times_out_on_both_sides_without_a_word(void **state)
{
    (void)state;
    struct wire w;
    struct pair *p = connected(&w);
    uint64_t sent[2] = {p->side[0].datagrams, p->side[1].datagrams};
    p->sweep = true;
    pair_run(p, 40000000);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(p->side[i].ends, 1);
        assert_int_equal(p->side[i].end_reason, WEIR_REASON_IDLE);
        assert_int_equal(p->side[i].end_error, WEIR_E_TIMEOUT);
        assert_int_equal(p->side[i].end_by, CONN_END_TIMEOUT);
        assert_int_equal(p->side[i].datagrams, sent[i]);
        assert_int_equal(endpoint_of(p->side[i].transport)->connections, 0);
    }
    pair_free(p);
}

static void test_the_smaller_idle_timeout_of_both_holds(void **state)
{
    (void)state;
    struct limits brief;
    limits_derive(&brief, 0, 0);
    brief.value[LIMIT_IDLE_TIMEOUT] = 5000000;
    for (int i = 0; i < 2; i++) {
        struct pair *p = i == 0 ? pair_new(&brief, NULL) : pair_new(NULL, &brief);
        pair_connect(p);
        pair_run(p, 4500000);
        assert_false(p->side[0].ended || p->side[1].ended);
        pair_run(p, 1000000);
        assert_true(p->side[0].ended && p->side[1].ended);
        pair_free(p);
    }
}

static void test_a_held_connection_stays_for_the_price_of_a_ping_now_and_then(void **state)
{
    (void)state;
    for (int holder = 0; holder < 2; holder++) {
        struct wire w;
        struct pair *p = connected(&w);
        quic_transport.conn_hold(p->side[holder].conn, true, p->now_us);
        uint64_t before = p->side[0].datagrams + p->side[1].datagrams;
        pair_run(p, UINT64_C(600000000));
        assert_false(p->side[0].ended || p->side[1].ended);
        assert_in_range(p->side[0].datagrams + p->side[1].datagrams - before, 98, 104);
        quic_transport.conn_hold(p->side[holder].conn, false, p->now_us);
        pair_run(p, 50000000);
        assert_true(p->side[0].ended && p->side[1].ended);
        pair_free(p);
    }
}

static void test_a_held_connection_to_a_dead_peer_ends_in_the_idle_timeout(void **state)
{
    (void)state;
    struct wire w;
    struct pair *p = connected(&w);
    struct flow f;
    p->side[0].limits.value[LIMIT_KEEP_ALIVE] = 1000000;
    quic_transport.conn_hold(p->side[0].conn, true, p->now_us);
    flow_open(p, &f, 0, 1 << 30);
    (void)flow_run(p, &f, 1, 30000);
    assert_true(loss_window_room(&reseal_side(p, 0)->loss) < 1200);
    w.dark[0] = w.dark[1] = true; /* with a full window: there is no room for a keep-alive */
    uint64_t steps = 0, start = p->now_us;
    pair_run(p, 1000000);
    while (!p->side[0].ended && pair_step(p, start + 60000000)) steps++;
    assert_true(p->side[0].ended);
    assert_int_equal(p->side[0].end_reason, WEIR_REASON_IDLE);
    assert_in_range(p->now_us - start, 29000000, 33000000);
    assert_true(steps < 300);
    pair_free(p);
}

static void test_a_closed_side_answers_packets_1_2_4_8_and_then_forgets(void **state)
{
    (void)state;
    struct wire w;
    struct pair *p = connected(&w);
    p->sweep = true;
    struct connection *closer = reseal_side(p, 0);
    w.dark[0] = true; /* the other side hears nothing */
    quic_transport.conn_close(p->side[0].conn, 5, "enough", 6, p->now_us);
    pair_send(p, 0);
    uint64_t first = p->side[0].datagrams;
    static const bool answered[] = {1, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0};
    for (size_t i = 0; i < sizeof answered; i++) {
        uint8_t ping[4] = {1};
        uint64_t before = p->side[0].datagrams;
        reseal_give(p, 1, PACKET_SHORT, ping, sizeof ping);
        pair_send(p, 0);
        assert_int_equal(p->side[0].datagrams - before, answered[i]);
    }
    assert_int_equal(p->side[0].datagrams - first, 5);
    assert_int_equal(endpoint_of(p->side[0].transport)->connections, 1);
    uint64_t pto = rtt_pto_us(&closer->rtt, closer->loss.max_ack_delay_us);
    pair_run(p, 3 * pto + 1);
    assert_int_equal(endpoint_of(p->side[0].transport)->connections, 0);
    assert_false(p->side[1].ended); /* it was told nothing */
    pair_free(p);
}

static void test_a_lost_close_is_said_again_when_the_peer_speaks(void **state)
{
    (void)state;
    struct wire w;
    struct pair *p = connected(&w);
    p->sweep = true;
    w.dark[0] = true;
    quic_transport.conn_close(p->side[0].conn, 5, "enough", 6, p->now_us);
    pair_send(p, 0);
    w.dark[0] = false;
    (void)stream_write(opened(p, 1), "hello?", 6, false, false, p->now_us);
    pair_turn(p);
    pair_run(p, 2 * p->delay_us + 1);
    assert_true(p->side[1].ended);
    assert_int_equal(p->side[1].end_reason, 5);
    assert_int_equal(p->side[1].end_by, CONN_END_REMOTE);
    pair_free(p);
}

static void test_a_side_that_was_told_is_silent(void **state)
{
    (void)state;
    struct wire w;
    struct pair *p = connected(&w);
    struct connection *closer = reseal_side(p, 0);
    (void)stream_write(opened(p, 1), "unfinished", 10, true, false, p->now_us);
    quic_transport.conn_close(p->side[0].conn, 5, NULL, 0, p->now_us);
    pair_run(p, p->delay_us + 1);
    assert_true(p->side[1].ended);
    assert_int_equal(reseal_only(p, 1)->phase, QUIC_DRAINING);
    uint64_t before = p->side[1].datagrams;
    closer->close_send = true; /* again and again */
    connection_refresh(closer, p->now_us);
    pair_run(p, 20000000);
    assert_int_equal(p->side[1].datagrams, before);
    pair_free(p);
}

static void test_a_close_before_confirmation_reaches_a_listener_that_has_no_keys_yet(void **state)
{
    (void)state;
    struct wire w;
    struct pair *p = wired(&w);
    p->sweep = true;
    w.drop_handshake = true;
    (void)pair_dial(p);
    while (!p->side[0].up) assert_true(pair_step(p, p->now_us + 1000000));
    pair_turn(p); /* message 3 is lost */
    w.drop_handshake = false;
    quic_transport.conn_close(p->side[0].conn, 5, "changed my mind", 15, p->now_us);
    pair_run(p, 100000);
    assert_int_equal(endpoint_of(p->side[1].transport)->half_open, 0);
    pair_run(p, 10000000);
    assert_int_equal(endpoint_of(p->side[1].transport)->connections, 0);
    assert_int_equal(endpoint_of(p->side[0].transport)->connections, 0);
    assert_false(p->side[1].up);
    pair_free(p);
}

static void test_both_may_close_at_once(void **state)
{
    (void)state;
    struct wire w;
    struct pair *p = connected(&w);
    p->sweep = true;
    quic_transport.conn_close(p->side[0].conn, 1, NULL, 0, p->now_us);
    quic_transport.conn_close(p->side[1].conn, 2, NULL, 0, p->now_us);
    quic_transport.conn_close(p->side[1].conn, 3, NULL, 0, p->now_us);
    pair_run(p, 30000000);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(p->side[i].ends, 1);
        assert_int_equal(p->side[i].end_reason, (uint32_t)(1 + i));
        assert_int_equal(endpoint_of(p->side[i].transport)->connections, 0);
    }
    assert_true(p->side[0].datagrams + p->side[1].datagrams < 20);
    pair_free(p);
}

static void test_a_dial_may_be_given_up_at_any_time(void **state)
{
    (void)state;
    for (uint64_t after = 0; after <= 50000; after += 5000) {
        struct wire w;
        struct pair *p = wired(&w);
        p->sweep = true;
        struct transport_conn *c = pair_dial(p);
        pair_run(p, after);
        quic_transport.conn_close(c, 9, "never mind", 10, p->now_us);
        pair_run(p, 60000000);
        assert_int_equal(p->side[0].ends, 1);
        assert_int_equal(endpoint_of(p->side[0].transport)->connections, 0);
        assert_int_equal(endpoint_of(p->side[1].transport)->connections, 0);
        assert_int_equal(p->side[0].budget.used, 0);
        assert_int_equal(p->side[1].budget.used, 0);
        pair_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hundred_small_writes_and_one_turn_make_one_datagram),
        cmocka_unit_test(test_more_holds_the_partial_packet_back_and_only_that),
        cmocka_unit_test(test_flush_lets_go_at_once),
        cmocka_unit_test(test_data_may_follow_after_one_round_trip),
        cmocka_unit_test(test_message_3_and_the_first_data_share_a_datagram),
        cmocka_unit_test(test_packets_before_message_3_are_kept_sealed_and_used),
        cmocka_unit_test(test_early_packets_of_a_dial_that_dies_are_given_back),
        cmocka_unit_test(test_an_idle_connection_costs_at_most_sixteen_kibibytes),
        cmocka_unit_test(test_an_idle_connection_times_out_on_both_sides_without_a_word),
        cmocka_unit_test(test_the_smaller_idle_timeout_of_both_holds),
        cmocka_unit_test(test_a_held_connection_stays_for_the_price_of_a_ping_now_and_then),
        cmocka_unit_test(test_a_held_connection_to_a_dead_peer_ends_in_the_idle_timeout),
        cmocka_unit_test(test_a_closed_side_answers_packets_1_2_4_8_and_then_forgets),
        cmocka_unit_test(test_a_lost_close_is_said_again_when_the_peer_speaks),
        cmocka_unit_test(test_a_side_that_was_told_is_silent),
        cmocka_unit_test(test_a_close_before_confirmation_reaches_a_listener_that_has_no_keys_yet),
        cmocka_unit_test(test_both_may_close_at_once),
        cmocka_unit_test(test_a_dial_may_be_given_up_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
