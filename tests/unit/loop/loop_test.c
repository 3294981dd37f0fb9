/* SPDX-License-Identifier: MIT */
/* Goal: connections in memory begin, are refused, end and fail as on every transport, and leave
 * nothing behind. Method: two transports in one program, whose datagrams the test carries, delays,
 * repeats or forges. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "loop_pair.h"

static struct pair pair;

static int set_up(void **state)
{
    (void)state;
    pair_init(&pair);
    pair_open(&pair);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pair_close(&pair);
    return 0;
}

static const struct conn_info *info_of(const struct transport_conn *c)
{
    static struct conn_info info;
    loop_transport.conn_info(c, &info);
    return &info;
}

static void test_open_and_accept_bring_both_sides_up(void **state)
{
    (void)state;
    struct transport_conn *c = pair_dial(&pair, NULL);
    assert_int_equal(c->state, CONN_CONNECTING);
    assert_null(loop_transport.conn_peer_key(c));
    assert_string_equal(loop_transport.conn_network(c), "");
    assert_int_equal(pair_cross(&pair, &pair.a), 1);
    assert_int_equal(pair.b.up, 1);
    assert_int_equal(pair.a.up, 0);
    assert_int_equal(info_of(pair.b.conn)->rtt_us, 0);
    assert_int_equal(pair_cross(&pair, &pair.b), 1);
    assert_int_equal(pair.a.up, 1);
    assert_ptr_equal(pair.a.conn, c);
    assert_int_equal(info_of(c)->rtt_us, 2 * LATENCY_US);
    pair_settle(&pair);
    assert_int_equal(info_of(pair.b.conn)->rtt_us, 2 * LATENCY_US);
    assert_memory_equal(loop_transport.conn_peer_key(c), peer_id_key(&pair.b.key.id), 32);
    assert_memory_equal(loop_transport.conn_peer_key(pair.b.conn), peer_id_key(&pair.a.key.id), 32);
    assert_int_equal(c->role, CONN_DIALLER);
    assert_int_equal(pair.b.conn->role, CONN_LISTENER);
    assert_true(endpoint_equal(&info_of(c)->remote, &pair.b.at));
    assert_int_equal(pair.a.metrics.value[METRIC_HANDSHAKES_DONE], 1);
    assert_int_equal(pair.b.metrics.value[METRIC_CONNECTIONS_OPEN], 1);
}

static void test_network_names_reach_the_other_side(void **state)
{
    (void)state;
    pair.a.env.network = "red";
    pair.b.env.network = "blue";
    pair_connect(&pair);
    assert_string_equal(loop_transport.conn_network(pair.a.conn), "blue");
    assert_string_equal(loop_transport.conn_network(pair.b.conn), "red");
}

static void test_grants_that_differ_are_kept(void **state)
{
    (void)state;
    pair.b.limits.value[LIMIT_STREAM_WINDOW_FIRST] = 5000;
    pair.b.limits.value[LIMIT_CONNECTION_WINDOW_FIRST] = 7000;
    pair.b.limits.value[LIMIT_STREAMS_BIDI] = 3;
    pair.b.limits.value[LIMIT_STREAMS_UNI] = 2;
    pair_connect(&pair);
    assert_null(pair.a.conn->streams); /* made at the first stream */
    assert_int_equal(loop_transport.conn_streams(pair.a.conn), 0);
    assert_int_equal(loop_transport.conn_streams(pair.b.conn), 0);
    const struct conn_streams *st = pair.a.conn->streams;
    assert_int_equal(st->send_credit, 7000);
    assert_int_equal(st->stream_credit_bidi_local, 5000);
    assert_int_equal(st->open_max[0], 3);
    assert_int_equal(st->open_max[1], 2);
    assert_int_equal(pair.b.conn->streams->open_max[0], 256);
}

static void test_a_refusal_answers_the_open_with_its_reason(void **state)
{
    (void)state;
    pair_dial(&pair, NULL);
    pair.b.free_ended = false;
    pair_cross(&pair, &pair.a);
    side_hang_up(&pair.b, WEIR_REASON_NETWORK, "not from here", pair.now_us);
    loop_transport.conn_free(pair.b.conn);
    assert_int_equal(pair_cross(&pair, &pair.b), 1);
    assert_int_equal(pair.a.up, 0);
    assert_int_equal(pair.a.ended, 1);
    assert_int_equal(pair.a.end.by, CONN_END_REMOTE);
    assert_int_equal(pair.a.end.error, WEIR_E_REFUSED);
    assert_int_equal(pair.a.end.reason, WEIR_REASON_NETWORK);
    assert_memory_equal(pair.a.end.text, "not from here", 13);
    pair_settle(&pair);
}

static void test_a_close_gives_both_sides_reason_and_text(void **state)
{
    char text[200];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    pair_connect(&pair);
    side_hang_up(&pair.a, 77, text, pair.now_us);
    assert_int_equal(pair.a.end.by, CONN_END_LOCAL);
    assert_int_equal(pair.a.end.error, 0);
    assert_int_equal(pair.a.end.reason, 77);
    pair_settle(&pair);
    assert_int_equal(pair.b.end.by, CONN_END_REMOTE);
    assert_int_equal(pair.b.end.error, WEIR_E_PEER_CLOSED);
    assert_int_equal(pair.b.end.reason, 77);
    assert_int_equal(pair.b.end.text_len, 120); /* cut */
    assert_int_equal(pair.crossed, 1);          /* nothing answers it */
    assert_int_equal(pair.b.metrics.value[METRIC_CONNECTIONS_CLOSED_REMOTE], 1);
    assert_int_equal(pair.b.counter.live_blocks, 1); /* the transport */
}

static void test_both_sides_may_close_at_once(void **state)
{
    (void)state;
    pair_connect(&pair);
    side_hang_up(&pair.a, 1, NULL, pair.now_us);
    side_hang_up(&pair.b, 2, NULL, pair.now_us);
    pair_settle(&pair);
    assert_int_equal(pair.a.ended, 1);
    assert_int_equal(pair.b.ended, 1);
    assert_int_equal(pair.a.end.reason, 1);
    assert_int_equal(pair.b.end.reason, 2);
}

static void test_close_is_idempotent_and_an_ended_record_waits_for_node(void **state)
{
    (void)state;
    pair_connect(&pair);
    pair.a.free_ended = false;
    side_hang_up(&pair.a, 5, NULL, pair.now_us);
    side_hang_up(&pair.a, 6, NULL, pair.now_us);
    pair_settle(&pair);
    assert_int_equal(pair.a.conn->state, CONN_OVER);
    assert_int_equal(pair.a.conn->end->reason, 5);
    loop_transport.conn_free(pair.a.conn);
    assert_int_equal(pair.b.end.reason, 5);
}

static void test_closing_a_dial_that_never_left_says_nothing(void **state)
{
    (void)state;
    pair.a.conn = pair_dial(&pair, NULL);
    side_hang_up(&pair.a, WEIR_REASON_CANCELLED, NULL, pair.now_us);
    assert_int_equal(pair_cross(&pair, &pair.a), 0);
    assert_int_equal(pair.a.ended, 1);
}

static void test_closing_a_dial_under_way_tells_whoever_accepts_it(void **state)
{
    (void)state;
    for (int freed = 0; freed < 2; freed++) {
        pair.a.conn = pair_dial(&pair, NULL);
        pair.a.free_ended = freed != 0;
        pair_cross(&pair, &pair.a);
        struct transport_conn *c = pair.a.conn;
        side_hang_up(&pair.a, WEIR_REASON_CANCELLED, "too late", pair.now_us);
        pair_settle(&pair);
        assert_int_equal(pair.b.ended, (unsigned)freed + 1);
        assert_int_equal(pair.b.end.reason, WEIR_REASON_CANCELLED);
        assert_int_equal(pair.b.end.text_len, 8);
        assert_int_equal(pair.a.up, 0);
        if (!pair.a.free_ended) loop_transport.conn_free(c);
    }
}

static void test_an_unanswered_dial_ends_at_the_deadline(void **state)
{
    struct datagram_out out;
    (void)state;
    assert_true(loop_transport.deadline(pair.a.t) == UINT64_MAX);
    pair_dial(&pair, NULL);
    pair_dial(&pair, NULL);
    assert_true(loop_transport.deadline(pair.a.t) == UINT64_MAX);
    while (pair_take(&pair, &pair.a, &out) > 0) continue; /* lost */
    uint64_t deadline = loop_transport.deadline(pair.a.t);
    assert_int_equal(deadline, START_US + pair.a.limits.value[LIMIT_HANDSHAKE_TIME]);
    loop_transport.on_deadline(pair.a.t, deadline - 1);
    side_look(&pair.a);
    assert_int_equal(pair.a.ended, 0);
    loop_transport.on_deadline(pair.a.t, deadline);
    side_look(&pair.a);
    assert_int_equal(pair.a.ended, 2);
    assert_int_equal(pair.a.end.by, CONN_END_TIMEOUT);
    assert_int_equal(pair.a.end.error, WEIR_E_TIMEOUT);
    assert_int_equal(pair.a.end.reason, WEIR_REASON_UNREACHABLE);
    assert_true(loop_transport.deadline(pair.a.t) == UINT64_MAX);
}

static void test_an_answer_after_the_deadline_finds_nobody_and_ends_there(void **state)
{
    (void)state;
    pair_dial(&pair, NULL);
    pair_cross(&pair, &pair.a);
    loop_transport.on_deadline(pair.a.t, UINT64_MAX - 1);
    side_look(&pair.a);
    pair_settle(&pair);
    assert_int_equal(pair.b.ended, 1);
    assert_int_equal(pair.b.end.by, CONN_END_RESET);
    assert_int_equal(pair.b.end.reason, WEIR_REASON_STATELESS_RESET);
}

static void test_an_unexpected_peer_is_an_identity_error_on_both_sides(void **state)
{
    (void)state;
    pair_dial(&pair, &pair.a.key.id); /* not b's */
    pair_settle(&pair);
    assert_int_equal(pair.a.up, 0);
    assert_int_equal(pair.a.end.error, WEIR_E_IDENTITY);
    assert_int_equal(pair.a.end.by, CONN_END_HANDSHAKE);
    assert_int_equal(pair.b.end.reason, WEIR_REASON_IDENTITY);
    pair_dial(&pair, &pair.b.key.id);
    pair_settle(&pair);
    assert_int_equal(pair.a.up, 1);
}

static void test_a_node_does_not_connect_to_itself(void **state)
{
    (void)state;
    pair.b.key = pair.a.key;
    pair_dial(&pair, NULL);
    pair_settle(&pair);
    assert_int_equal(pair.b.up, 0);
    assert_int_equal(pair.a.ended, 1);
    assert_int_equal(pair.a.end.error, WEIR_E_REFUSED);
    assert_int_equal(pair.a.end.reason, WEIR_REASON_IDENTITY);
}

static void test_no_other_family_is_dialled(void **state)
{
    struct transport_dial dial = {.remote = endpoint_ip4(127, 0, 0, 1, 4001)};
    struct transport_conn *c;
    (void)state;
    assert_int_equal(loop_transport.dial(pair.a.t, &dial, 0, &c), WEIR_E_UNREACHABLE);
    assert_null(c);
}

static void test_a_repeated_open_leaves_one_connection(void **state)
{
    struct datagram_out out;
    uint8_t copy[512];
    (void)state;
    pair_dial(&pair, NULL);
    size_t len = pair_take(&pair, &pair.a, &out);
    memcpy(copy, pair.bytes, len);
    pair_give(&pair, &pair.a, &pair.b, pair.bytes, len);
    pair_give(&pair, &pair.a, &pair.b, copy, len);
    assert_int_equal(pair.b.up, 2);
    pair_settle(&pair);
    assert_int_equal(pair.a.up, 1);
    assert_int_equal(pair.a.ended, 0);
    assert_int_equal(pair.b.ended, 1);
    assert_int_equal(pair.b.end.reason, WEIR_REASON_STATELESS_RESET);
    assert_int_equal(pair.b.metrics.value[METRIC_CONNECTIONS_OPEN], 1);
}

static size_t forge(uint8_t *bytes, uint32_t to, uint32_t from, enum message_type type)
{
    struct writer w = writer_of(bytes, 512);
    loop_message_write_header(&w, to, from);
    if (type == MESSAGE_CLOSE || type == MESSAGE_REFUSE) {
        loop_message_write_end(&w, type, 1, NULL, 0);
    } else {
        loop_message_write_limit(&w, type, 0, 1);
    }
    return writer_len(&w);
}

static void test_what_belongs_to_no_connection_is_answered_but_never_an_end(void **state)
{
    struct datagram_out out;
    uint8_t bytes[512];
    (void)state;
    for (unsigned i = 0; i < 2 * LOOP_ANSWERS_MAX; i++) {
        size_t len = forge(bytes, 99, 1000 + i, MESSAGE_CONNECTION_CREDIT);
        pair_give(&pair, &pair.a, &pair.b, bytes, len);
    }
    for (unsigned i = 0; i < LOOP_ANSWERS_MAX; i++)
        assert_true(pair_take(&pair, &pair.b, &out) > 0);
    assert_int_equal(pair_take(&pair, &pair.b, &out), 0); /* no more than that at a time */
    assert_int_equal(pair.b.metrics.value[METRIC_DROPPED_UNKNOWN], 2 * LOOP_ANSWERS_MAX);
    pair_give(&pair, &pair.a, &pair.b, bytes, forge(bytes, 99, 1, MESSAGE_CLOSE));
    pair_give(&pair, &pair.a, &pair.b, bytes, forge(bytes, 99, 1, MESSAGE_REFUSE));
    pair_give(&pair, &pair.a, &pair.b, bytes, forge(bytes, 0, 1, MESSAGE_READY));
    assert_int_equal(pair_take(&pair, &pair.b, &out) > 0, 1); /* READY alone deserves one */
    assert_int_equal(pair_take(&pair, &pair.b, &out), 0);
    pair_give(&pair, &pair.a, &pair.b, bytes, 0);
    pair_give(&pair, &pair.a, &pair.b, bytes, 5);
    assert_int_equal(pair.b.metrics.value[METRIC_DROPPED_MALFORMED], 2);
}

/* Another endpoint cannot speak for a connection. */
static void test_the_number_of_another_endpoint_is_unknown(void **state)
{
    struct side stranger;
    uint8_t bytes[512];
    (void)state;
    side_init(&stranger, 3);
    pair_connect(&pair);
    const struct loop_conn *c = (const struct loop_conn *)(const void *)pair.b.conn;
    size_t len = forge(bytes, c->number, c->remote_number, MESSAGE_CLOSE);
    pair_give(&pair, &stranger, &pair.b, bytes, len);
    assert_int_equal(pair.b.ended, 0);
    len = forge(bytes, c->number, c->remote_number + 1, MESSAGE_CLOSE);
    pair_give(&pair, &pair.a, &pair.b, bytes, len);
    assert_int_equal(pair.b.ended, 0);
    len = forge(bytes, c->number, c->remote_number, MESSAGE_CLOSE);
    pair_give(&pair, &pair.a, &pair.b, bytes, len);
    assert_int_equal(pair.b.ended, 1);
    budget_end(&stranger.budget);
}

static void test_messages_out_of_state_end_the_connection(void **state)
{
    static const enum message_type wrong[] = {MESSAGE_READY, MESSAGE_REFUSE, MESSAGE_TYPES};
    uint8_t bytes[512];
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        pair.a.up = pair.b.up = 0;
        pair_connect(&pair);
        const struct loop_conn *c = (const struct loop_conn *)(const void *)pair.b.conn;
        /* The first READY came already. */
        size_t len = forge(bytes, c->number, c->remote_number, wrong[i]);
        pair_give(&pair, &pair.a, &pair.b, bytes, len);
        uint32_t code = wrong[i] == MESSAGE_TYPES ? 0x7 : 0xa;
        assert_int_equal(pair.b.ended, i + 1);
        assert_int_equal(pair.b.end.error, WEIR_E_PROTOCOL);
        assert_int_equal(pair.b.end.reason, REASON_TRANSPORT(code));
        pair_settle(&pair);
        assert_int_equal(pair.a.end.reason, REASON_TRANSPORT(code));
        assert_int_equal(pair.a.end.error, WEIR_E_PEER_CLOSED);
    }
    assert_int_equal(pair.b.metrics.value[METRIC_PROTOCOL_VIOLATIONS], 3);
}

static void test_numbers_wrap_and_skip_those_in_use(void **state)
{
    (void)state;
    struct loop *t = (struct loop *)(void *)pair.a.t;
    const struct loop_conn *first = (const void *)pair_dial(&pair, NULL);
    assert_int_equal(first->number, 1);
    t->number_last = UINT32_MAX - 1;
    const struct loop_conn *second = (const void *)pair_dial(&pair, NULL);
    assert_int_equal(second->number, UINT32_MAX);
    const struct loop_conn *third = (const void *)pair_dial(&pair, NULL);
    assert_int_equal(third->number, 2); /* 0 is nobody, 1 is the first */
}

static void test_an_idle_connection_is_one_small_record(void **state)
{
    (void)state;
    pair_connect(&pair);
    assert_true(sizeof(struct loop_conn) <= 152);
    assert_true(sizeof(struct loop) <= 144);
    uint64_t before = pair.a.counter.live_bytes;
    uint64_t expected = sizeof(struct loop) + sizeof(struct loop_conn);
    if (pair.a.conn->streams != NULL) expected += sizeof(struct conn_streams);
    assert_int_equal(before, expected);
    assert_int_equal(pair.a.budget.used, sizeof(struct loop_conn));
}

static void test_a_full_budget_refuses_a_new_peer_with_overload(void **state)
{
    (void)state;
    pair.b.budget.max = sizeof(struct loop_conn) - 1;
    pair_dial(&pair, NULL);
    pair_settle(&pair);
    assert_int_equal(pair.b.up, 0);
    assert_int_equal(pair.a.end.error, WEIR_E_REFUSED);
    assert_int_equal(pair.a.end.reason, WEIR_REASON_OVERLOAD);
    assert_int_equal(pair.b.metrics.value[METRIC_LIMIT_REACHED], 1);
    pair.a.budget.max = 0;
    struct transport_dial dial = {.remote = pair.b.at};
    struct transport_conn *c;
    assert_int_equal(loop_transport.dial(pair.a.t, &dial, 0, &c), WEIR_E_MEMORY);
}

static void test_connections_send_in_turns(void **state)
{
    struct datagram_out out;
    int error;
    (void)state;
    struct transport_conn *c[2];
    static uint8_t bulk[40000];
    for (int i = 0; i < 2; i++) {
        c[i] = pair_dial(&pair, NULL);
        pair_settle(&pair);
        struct stream *s = streams_open_local(c[i], false, 3, &error);
        assert_int_equal(stream_write(s, bulk, sizeof bulk, false, false, pair.now_us),
                         sizeof bulk);
    }
    loop_transport.on_turn(pair.a.t, pair.now_us);
    for (int i = 0; i < 4; i++) {
        const struct loop_conn *its = (const void *)c[i % 2];
        struct message_header head;
        size_t len = pair_take(&pair, &pair.a, &out);
        struct reader r = reader_of(pair.bytes, len);
        assert_true(len > LOOP_DATAGRAM_MAX - 32);
        assert_true(loop_message_read_header(&r, &head));
        assert_int_equal(head.from, its->number);
    }
}

static void test_byte_counts_are_those_of_the_streams(void **state)
{
    int error;
    (void)state;
    pair_connect(&pair);
    assert_int_equal(info_of(pair.a.conn)->bytes_sent, 0);
    struct stream *s = streams_open_local(pair.a.conn, false, 3, &error);
    assert_int_equal(stream_write(s, "hello", 5, false, false, pair.now_us), 5);
    pair_turn(&pair);
    assert_int_equal(info_of(pair.a.conn)->bytes_sent, 5);
    assert_int_equal(info_of(pair.a.conn)->bytes_received, 0);
    assert_int_equal(info_of(pair.b.conn)->bytes_sent, 0);
    assert_int_equal(info_of(pair.b.conn)->bytes_received, 5);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_open_and_accept_bring_both_sides_up),
        CASE(test_network_names_reach_the_other_side),
        CASE(test_grants_that_differ_are_kept),
        CASE(test_a_refusal_answers_the_open_with_its_reason),
        CASE(test_a_close_gives_both_sides_reason_and_text),
        CASE(test_both_sides_may_close_at_once),
        CASE(test_close_is_idempotent_and_an_ended_record_waits_for_node),
        CASE(test_closing_a_dial_that_never_left_says_nothing),
        CASE(test_closing_a_dial_under_way_tells_whoever_accepts_it),
        CASE(test_an_unanswered_dial_ends_at_the_deadline),
        CASE(test_an_answer_after_the_deadline_finds_nobody_and_ends_there),
        CASE(test_an_unexpected_peer_is_an_identity_error_on_both_sides),
        CASE(test_a_node_does_not_connect_to_itself),
        CASE(test_no_other_family_is_dialled),
        CASE(test_a_repeated_open_leaves_one_connection),
        CASE(test_what_belongs_to_no_connection_is_answered_but_never_an_end),
        CASE(test_the_number_of_another_endpoint_is_unknown),
        CASE(test_messages_out_of_state_end_the_connection),
        CASE(test_numbers_wrap_and_skip_those_in_use),
        CASE(test_an_idle_connection_is_one_small_record),
        CASE(test_a_full_budget_refuses_a_new_peer_with_overload),
        CASE(test_connections_send_in_turns),
        CASE(test_byte_counts_are_those_of_the_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
