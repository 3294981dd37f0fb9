/* SPDX-License-Identifier: MIT */
/* Goal: streams over the in-memory transport behave as over any other: credit, half-close, resets,
 * limits, urgency, MORE. Method: two transports in one program; the test is both applications. */
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

static struct stream *open_stream(struct side *s, bool one_way)
{
    int error = 0;
    struct stream *stream = streams_open_local(s->conn, one_way, 3, &error);
    assert_int_equal(error, 0);
    assert_non_null(stream);
    return stream;
}

static int64_t say(struct stream *s, const char *text, bool more, bool fin)
{
    return stream_write(s, text, strlen(text), more, fin, pair.now_us);
}

static void test_open_body_and_end_are_one_datagram(void **state)
{
    char text[16];
    (void)state;
    pair_connect(&pair);
    struct stream *s = open_stream(&pair.a, false);
    assert_int_equal(say(s, "echo", true, false), 4);
    assert_int_equal(say(s, "body", false, true), 4);
    assert_int_equal(pair_cross(&pair, &pair.a), 0); /* not before the turn */
    loop_transport.on_turn(pair.a.t, pair.now_us);
    assert_int_equal(pair_cross(&pair, &pair.a), 1);
    assert_int_equal(pair.b.opened_count, 1);
    struct stream *r = pair.b.opened[0];
    assert_int_equal(r->id, s->id);
    assert_int_equal(stream_read(r, text, sizeof text, pair.now_us), 8);
    assert_memory_equal(text, "echobody", 8);
    assert_int_equal(stream_read(r, text, sizeof text, pair.now_us), WEIR_E_END);
    /* Half-closed: the other lane goes on. */
    assert_int_equal(say(s, "x", false, false), WEIR_E_FINISHED);
    assert_int_equal(say(r, "answer", false, true), 6);
    pair_turn(&pair);
    assert_int_equal(stream_read(s, text, sizeof text, pair.now_us), 6);
    assert_memory_equal(text, "answer", 6);
    assert_int_equal(pair.b.over, 1);
    side_look(&pair.a);
    assert_int_equal(pair.a.over, 1);
}

static void test_more_holds_until_it_is_not_said_or_flushed(void **state)
{
    (void)state;
    pair_connect(&pair);
    struct stream *s = open_stream(&pair.a, false);
    say(s, "one ", true, false);
    pair_turn(&pair);
    pair_turn(&pair);
    assert_int_equal(pair.crossed, 0);
    say(s, "two", false, false);
    pair_turn(&pair);
    assert_int_equal(pair.crossed, 1);
    assert_int_equal(receive_lane_readable(&pair.b.opened[0]->in), 7);
    say(s, "three", true, false);
    pair_turn(&pair);
    assert_int_equal(pair.crossed, 1);
    struct stream *other = open_stream(&pair.a, false);
    say(other, "held", true, false);
    stream_release(s, pair.now_us); /* a flush, as node does it */
    loop_transport.conn_flush(pair.a.conn, pair.now_us);
    pair_settle(&pair);
    assert_int_equal(pair.crossed, 2);
    assert_int_equal(receive_lane_readable(&pair.b.opened[0]->in), 12);
    assert_int_equal(pair.b.opened_count, 1); /* the other stream is still held */
}

static void test_a_hundred_small_writes_are_one_datagram(void **state)
{
    (void)state;
    pair_connect(&pair);
    struct stream *s = open_stream(&pair.a, true);
    for (int i = 0; i < 100; i++) assert_int_equal(say(s, "ten bytes.", false, false), 10);
    pair_turn(&pair);
    assert_int_equal(pair.crossed, 1);
    assert_int_equal(receive_lane_readable(&pair.b.opened[0]->in), 1000);
    assert_false(pair.b.opened[0]->has_out);
}

static void small_windows(uint64_t bytes)
{
    struct side *sides[2] = {&pair.a, &pair.b};
    for (int i = 0; i < 2; i++) {
        sides[i]->limits.value[LIMIT_STREAM_WINDOW_FIRST] = bytes;
        sides[i]->limits.value[LIMIT_CONNECTION_WINDOW_FIRST] = bytes;
        sides[i]->env.windows_grow_off = true;
    }
}

static uint8_t pattern(uint64_t offset, unsigned side)
{
    return (uint8_t)(offset * 7 + offset / 251 + side);
}

/* Push what the lane takes, of total bytes. */
static void push(struct stream *s, uint64_t *done, uint64_t total, unsigned side)
{
    uint8_t bytes[3000];
    while (*done < total) {
        size_t len = total - *done < sizeof bytes ? (size_t)(total - *done) : sizeof bytes;
        for (size_t i = 0; i < len; i++) bytes[i] = pattern(*done + i, side);
        int64_t taken = stream_write(s, bytes, len, true, *done + len == total, pair.now_us);
        assert_true(taken >= 0);
        *done += (uint64_t)taken;
        if ((size_t)taken < len) return;
    }
}

static void pull(struct stream *s, uint64_t *done, unsigned side)
{
    uint8_t bytes[700];
    int64_t count;
    while ((count = stream_read(s, bytes, sizeof bytes, pair.now_us)) > 0) {
        for (int64_t i = 0; i < count; i++) {
            assert_int_equal(bytes[i], pattern(*done + (uint64_t)i, side));
        }
        *done += (uint64_t)count;
    }
}

static void test_two_sides_that_push_and_read_with_small_windows_never_deadlock(void **state)
{
    const uint64_t total = 300000;
    uint64_t pushed[2] = {0}, pulled[2] = {0};
    (void)state;
    small_windows(4096);
    pair_connect(&pair);
    struct stream *s = open_stream(&pair.a, false), *r = NULL;
    unsigned rounds = 0;
    while (pulled[0] < total || pulled[1] < total) {
        assert_true(rounds++ < 1000);
        push(s, &pushed[0], total, 0);
        if (r != NULL && pushed[1] < total) push(r, &pushed[1], total, 1);
        pair_turn(&pair);
        if (r == NULL) r = pair.b.opened[0];
        if (pulled[0] < total) pull(r, &pulled[0], 0);
        if (pulled[1] < total) pull(s, &pulled[1], 1);
        assert_true(pair.a.budget.used < 32768 && pair.b.budget.used < 32768);
    }
    pair_turn(&pair);
    assert_int_equal(pair.a.over, 1);
    assert_int_equal(pair.b.over, 1);
}

static void test_a_reader_that_does_not_consume_stops_the_writer(void **state)
{
    uint64_t pushed = 0, pulled = 0;
    (void)state;
    small_windows(4096);
    pair_connect(&pair);
    struct stream *s = open_stream(&pair.a, true);
    for (int i = 0; i < 20; i++) {
        push(s, &pushed, 100000, 0);
        pair_turn(&pair);
    }
    assert_int_equal(pushed, 4096);
    assert_int_equal(s->blocked.why, BLOCKED_STREAM_CREDIT);
    assert_int_equal(s->blocked.on, BLOCKED_ON_PEER);
    assert_int_equal(pair.a.writable, 0);
    pull(pair.b.opened[0], &pulled, 0);
    pair_settle(&pair);
    assert_int_equal(pair.a.writable, 1);
    assert_int_equal(s->blocked.why, BLOCKED_NOT);
    assert_true(stream_writable(s) >= 2048);
}

static void test_a_reset_carries_its_code_and_drops_what_waits(void **state)
{
    char text[8];
    (void)state;
    pair_connect(&pair);
    struct stream *s = open_stream(&pair.a, false);
    say(s, "gone", false, false);
    pair_turn(&pair);
    say(s, "never sent", false, false);
    assert_int_equal(stream_reset(s, 41, pair.now_us), 0);
    pair_settle(&pair);
    assert_int_equal(pair.b.resets, 1);
    assert_int_equal(pair.b.reset_code, 41);
    struct stream *r = pair.b.opened[0];
    assert_int_equal(stream_read(r, text, sizeof text, pair.now_us), WEIR_E_RESET);
    /* The other lane is as it was. */
    assert_int_equal(say(r, "still", false, true), 5);
    pair_turn(&pair);
    assert_int_equal(pair.b.over, 1);
    assert_int_equal(stream_read(s, text, sizeof text, pair.now_us), 5);
    side_look(&pair.a);
    assert_int_equal(pair.a.over, 1);
}

static void test_a_reset_before_anything_was_said_still_reaches_the_peer(void **state)
{
    (void)state;
    pair_connect(&pair);
    struct stream *s = open_stream(&pair.a, true);
    say(s, "unsaid", false, false);
    stream_reset(s, 3, pair.now_us);
    pair_settle(&pair);
    assert_int_equal(pair.b.reset_code, 3);
    assert_int_equal(pair.a.over, 1);
    assert_int_equal(pair.b.over, 1);
}

static void test_a_stop_is_answered_by_a_reset_with_its_code(void **state)
{
    (void)state;
    pair_connect(&pair);
    struct stream *s = open_stream(&pair.a, true);
    say(s, "unwanted", false, false);
    pair_turn(&pair);
    assert_int_equal(stream_stop(pair.b.opened[0], 17, pair.now_us), 0);
    pair_settle(&pair);
    assert_int_equal(pair.a.stops, 1);
    assert_int_equal(pair.a.stop_code, 17);
    assert_int_equal(pair.a.over, 1);
    assert_int_equal(pair.b.over, 1);
    /* What was dropped is credit again. */
    assert_int_equal(pair.b.conn->streams->receive_used, pair.b.conn->streams->receive_consumed);
}

static void test_the_stream_limit_is_told_and_slides(void **state)
{
    int error;
    (void)state;
    pair.b.limits.value[LIMIT_STREAMS_UNI] = 4;
    pair_connect(&pair);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 4; i++) say(open_stream(&pair.a, true), "m", false, true);
        assert_null(streams_open_local(pair.a.conn, true, 3, &error));
        assert_int_equal(error, WEIR_E_LIMIT);
        pair_turn(&pair);
        assert_int_equal(pair.a.room, (unsigned)round);
        for (int i = 0; i < 4; i++) {
            char c;
            assert_int_equal(stream_read(pair.b.opened[i], &c, 1, pair.now_us), 1);
        }
        pair.b.opened_count = 0;
        side_look(&pair.b);
        pair_settle(&pair);
        assert_int_equal(pair.a.room, (unsigned)round + 1);
    }
    assert_int_equal(pair.b.over, 20);
}

static void test_a_connection_that_ends_ends_its_streams_on_both_sides(void **state)
{
    char text[8];
    (void)state;
    pair.a.free_ended = pair.b.free_ended = false;
    pair_connect(&pair);
    struct stream *s = open_stream(&pair.a, false);
    say(s, "hello", false, false);
    pair_turn(&pair);
    struct stream *r = pair.b.opened[0];
    struct transport_conn *a = pair.a.conn, *b = pair.b.conn;
    loop_transport.conn_close(a, 9, NULL, 0, pair.now_us);
    assert_int_equal(stream_write(s, "x", 1, false, false, pair.now_us), WEIR_E_NOT_CONNECTED);
    assert_int_equal(stream_read(s, text, sizeof text, pair.now_us), WEIR_E_RESET);
    pair_settle(&pair);
    assert_int_equal(pair.a.over, 1);
    assert_int_equal(pair.b.over, 1);
    (void)r;
    loop_transport.conn_free(a);
    loop_transport.conn_free(b);
}

static void test_an_urgent_message_passes_a_bulk_transfer(void **state)
{
    static uint8_t bulk[131072];
    struct datagram_out out;
    (void)state;
    pair_connect(&pair);
    struct stream *slow = open_stream(&pair.a, true), *fast = open_stream(&pair.a, true);
    assert_int_equal(stream_write(slow, bulk, sizeof bulk, false, false, pair.now_us), sizeof bulk);
    say(fast, "now!", false, true);
    stream_set_urgency(fast, 0, pair.now_us);
    loop_transport.on_turn(pair.a.t, pair.now_us);
    size_t len = pair_take(&pair, &pair.a, &out);
    assert_memory_equal(pair.bytes + MESSAGE_HEADER_BYTES + 4, "now!", 4);
    assert_true(len > LOOP_DATAGRAM_MAX - 100); /* and the rest is bulk */
}

static void test_an_idle_stream_holds_no_buffer(void **state)
{
    char text[600];
    (void)state;
    uint64_t idle = 0;
    memset(text, 'z', sizeof text);
    pair_connect(&pair);
    struct stream *s = open_stream(&pair.a, false);
    for (size_t len = 1; len <= sizeof text; len += sizeof text - 1) {
        stream_write(s, text, len, false, false, pair.now_us);
        pair_turn(&pair);
        assert_int_equal(s->out.ring.capacity, 0);
        assert_int_equal(stream_read(pair.b.opened[0], text, sizeof text, pair.now_us), len);
        pair_turn(&pair);
        assert_int_equal(pair.b.opened[0]->in.ring.capacity, 0);
        if (len == 1) idle = pair.b.budget.used;
        assert_int_equal(idle, sizeof(struct loop_conn) + sizeof(struct conn_streams) +
                                   STREAM_COST_BYTES);
        assert_int_equal(pair.b.budget.used, idle); /* the bytes cost nothing any more */
    }
}

struct forged {
    const char *what;
    uint8_t type;
    uint64_t stream, offset, len, limit;
    uint32_t code;
};

static size_t forge(uint8_t *bytes, const struct loop_conn *c, const struct forged *f)
{
    struct writer w = writer_of(bytes, 4096);
    loop_message_write_header(&w, c->number, c->remote_number);
    switch (f->type) {
    case MESSAGE_DATA:
    case MESSAGE_DATA_END:
        loop_message_write_data(&w, f->stream, f->offset, f->len, f->type == MESSAGE_DATA_END);
        writer_zero(&w, (size_t)f->len);
        break;
    case MESSAGE_RESET: loop_message_write_reset(&w, f->stream, 1, f->limit); break;
    case MESSAGE_STOP: loop_message_write_stop(&w, f->stream, 1); break;
    default: loop_message_write_limit(&w, f->type, f->stream, f->limit); break;
    }
    assert_false(w.full);
    return writer_len(&w);
}

static void test_forged_stream_messages_end_the_connection_with_the_right_code(void **state)
{
    static const struct forged table[] = {
        {"beyond the stream's credit", MESSAGE_DATA, 0, 4096, 1, 0, 0x3},
        {"far beyond", MESSAGE_DATA, 0, VARINT_MAX - 1, 1, 0, 0x3},
        {"beyond the connection's credit", MESSAGE_RESET, 0, 0, 0, 4097, 0x3},
        {"a stream too many", MESSAGE_DATA, 4 * 256, 0, 1, 0, 0x4},
        {"the last stream that has an id", MESSAGE_DATA, VARINT_MAX - 3, 0, 1, 0, 0x4},
        {"data of a stream that we did not open", MESSAGE_DATA, 1, 0, 1, 0, 0x5},
        {"a stop on the peer's one-way stream", MESSAGE_STOP, 2, 0, 0, 0, 0x5},
        {"credit on the peer's one-way stream", MESSAGE_STREAM_CREDIT, 2, 0, 0, 9, 0x5},
        {"credit on a stream that we did not open", MESSAGE_STREAM_CREDIT, 1, 0, 0, 9, 0x5},
        {"a second end", MESSAGE_DATA_END, 4, 3, 1, 0, 0x6},
        {"a reset behind the end", MESSAGE_RESET, 4, 0, 0, 3, 0x6},
        {"more streams than there are ids", MESSAGE_COUNT_BIDI, 0, 0, 0, MESSAGE_COUNT_MAX + 1,
         0x7},
    };
    uint8_t bytes[4096];
    (void)state;
    small_windows(4096);
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        pair.a.up = pair.b.up = pair.b.ended = 0;
        pair_connect(&pair);
        const struct loop_conn *c = (const void *)pair.b.conn;
        /* Stream 4 has ended at 2, unread. */
        struct forged ended = {"", MESSAGE_DATA_END, 4, 0, 2, 0, 0};
        pair_give(&pair, &pair.a, &pair.b, bytes, forge(bytes, c, &ended));
        assert_int_equal(pair.b.ended, 0);
        pair_give(&pair, &pair.a, &pair.b, bytes, forge(bytes, c, &table[i]));
        if (pair.b.ended != 1 || pair.b.end.reason != REASON_TRANSPORT(table[i].code)) {
            fail_msg("%s: reason 0x%x", table[i].what, pair.b.end.reason);
        }
        assert_int_equal(pair.b.end.error, WEIR_E_PROTOCOL);
        pair_settle(&pair);
    }
}

static void test_what_the_budget_cannot_keep_ends_the_connection_with_a_limit(void **state)
{
    static uint8_t bulk[60000];
    (void)state;
    pair_connect(&pair);
    pair.b.budget.max = pair.b.budget.used + sizeof(struct stream) + 8192;
    struct stream *s = open_stream(&pair.a, true);
    stream_write(s, bulk, sizeof bulk, false, false, pair.now_us);
    pair_turn(&pair);
    assert_int_equal(pair.b.end.error, WEIR_E_BUDGET);
    assert_int_equal(pair.b.end.reason, WEIR_REASON_LIMIT);
    assert_int_equal(pair.a.end.reason, WEIR_REASON_LIMIT);
    assert_int_equal(pair.a.end.error, WEIR_E_PEER_CLOSED);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_open_body_and_end_are_one_datagram),
        CASE(test_more_holds_until_it_is_not_said_or_flushed),
        CASE(test_a_hundred_small_writes_are_one_datagram),
        CASE(test_two_sides_that_push_and_read_with_small_windows_never_deadlock),
        CASE(test_a_reader_that_does_not_consume_stops_the_writer),
        CASE(test_a_reset_carries_its_code_and_drops_what_waits),
        CASE(test_a_reset_before_anything_was_said_still_reaches_the_peer),
        CASE(test_a_stop_is_answered_by_a_reset_with_its_code),
        CASE(test_the_stream_limit_is_told_and_slides),
        CASE(test_a_connection_that_ends_ends_its_streams_on_both_sides),
        CASE(test_an_urgent_message_passes_a_bulk_transfer),
        CASE(test_an_idle_stream_holds_no_buffer),
        CASE(test_forged_stream_messages_end_the_connection_with_the_right_code),
        CASE(test_what_the_budget_cannot_keep_ends_the_connection_with_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
