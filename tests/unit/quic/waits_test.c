/* SPDX-License-Identifier: MIT */
/* Goal: nothing waits for what never comes, and nothing costs more the more of it there is. Method:
 * a pair with tiny windows, without memory for records, or with many connections; after one input,
 * or after a stretch of virtual time, what had to move has moved. */
#include "flow.h"
#include "reseal.h"

static struct pair *connected_with(uint64_t stream, uint64_t connection)
{
    struct limits limits;
    limits_derive(&limits, 0, 0);
    limits.value[LIMIT_STREAM_WINDOW_FIRST] = limits.value[LIMIT_STREAM_WINDOW] = stream;
    limits.value[LIMIT_CONNECTION_WINDOW_FIRST] = limits.value[LIMIT_CONNECTION_WINDOW] =
        connection;
    struct pair *p = pair_new(&limits, &limits);
    pair_connect(p);
    pair_run(p, 2000000);
    assert_true(reseal_side(p, 0)->confirmed);
    return p;
}

static struct stream *opened(struct pair *p, int side)
{
    int error;
    struct stream *s = streams_open_local(p->side[side].conn, false, 3, &error);
    assert_non_null(s);
    return s;
}

static uint64_t arrived(struct pair *p, uint64_t id)
{
    const struct stream *s = streams_get(p->side[1].conn, id);
    return s == NULL ? 0 : s->in.contiguous;
}

static const uint8_t bytes[8192];

/* All credit is used by bytes that are held and do not fill a packet: if they stayed, nothing would
 * ever be consumed, and no credit would come. */
static void test_held_bytes_leave_when_the_writer_finds_no_room(void **state)
{
    (void)state;
    struct pair *p = connected_with(1024, 4096);
    struct stream *s = opened(p, 0);
    assert_int_equal(stream_write(s, bytes, 1024, true, false, p->now_us), 1024);
    pair_run(p, 100000);
    assert_int_equal(arrived(p, s->id), 0);
    assert_int_equal(stream_write(s, bytes, 1, true, false, p->now_us), 0);
    pair_run(p, 100000);
    assert_int_equal(arrived(p, s->id), 1024);
    pair_free(p);
}

static void test_held_bytes_leave_after_an_empty_write(void **state)
{
    (void)state;
    struct pair *p = connected_with(65536, 65536);
    struct stream *s = opened(p, 0);
    assert_int_equal(stream_write(s, bytes, 100, true, false, p->now_us), 100);
    pair_run(p, 100000);
    assert_int_equal(arrived(p, s->id), 0);
    assert_int_equal(stream_write(s, NULL, 0, false, false, p->now_us), 0);
    pair_run(p, 100000);
    assert_int_equal(arrived(p, s->id), 100);
    pair_free(p);
}

/* Writers that always say MORE, through windows smaller than a packet. */
static void test_writers_that_always_hold_never_stand_still(void **state)
{
    (void)state;
    for (uint64_t window = 256; window <= 4096; window *= 2) {
        struct pair *p = connected_with(window, window);
        struct stream *s = opened(p, 0);
        uint64_t id = s->id, written = 0, read = 0, total = 65536;
        for (unsigned turn = 0; turn < 20000 && read < total; turn++) {
            uint8_t out[4096];
            int64_t n = 0;
            /* One write for each turn, so that what is held outlives the turn in which it came. */
            size_t want = total - written < 100 ? (size_t)(total - written) : 100;
            if (want > 0) n = stream_write(s, bytes, want, true, false, p->now_us);
            if (n > 0) written += (uint64_t)n;
            if (written == total)
                assert_true(stream_write(s, NULL, 0, false, false, p->now_us) == 0);
            pair_run(p, 25000);
            struct stream *far = streams_get(p->side[1].conn, id);
            while (far != NULL && (n = stream_read(far, out, sizeof out, p->now_us)) > 0)
                read += (uint64_t)n;
        }
        if (read != total)
            fail_msg("window %llu: %llu bytes read", (unsigned long long)window,
                     (unsigned long long)read);
        pair_free(p);
    }
}

static void test_a_held_stream_without_bytes_does_not_hold_up_others(void **state)
{
    (void)state;
    struct pair *p = connected_with(65536, 262144);
    struct stream *first = opened(p, 0), *second = opened(p, 0);
    /* Together they fill a packet, in which the first gets rid of all that it has. */
    assert_int_equal(stream_write(first, bytes, 500, true, false, p->now_us), 500);
    assert_int_equal(stream_write(second, bytes, 1000, true, false, p->now_us), 1000);
    pair_run(p, 100000);
    assert_int_equal(arrived(p, first->id), 500);
    uint64_t before = arrived(p, second->id);
    assert_in_range(before, 500, 999);
    assert_int_equal(stream_write(second, bytes, 6000, true, false, p->now_us), 6000);
    pair_run(p, 100000);
    /* All but less than a packet. */
    assert_in_range(arrived(p, second->id), 7000 - 1200, 7000);
    pair_free(p);
}

enum { CROWD = 40 };

static void test_one_deadline_serves_every_connection_that_is_due(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    struct transport_conn *crowd[CROWD];
    struct datagram_out out = {.cap = 65536};
    static uint8_t buffer[65536];
    out.data = buffer;
    for (int i = 0; i < CROWD; i++) crowd[i] = pair_dial(p);
    pair_run(p, 5000000);
    assert_int_equal(p->side[1].ups, CROWD);
    for (int i = 0; i < CROWD; i++) {
        int error;
        struct stream *s = streams_open_local(crowd[i], false, 3, &error);
        assert_int_equal(stream_write(s, "x", 1, false, false, p->now_us), 1);
    }
    quic_transport.on_turn(p->side[0].transport, p->now_us);
    pair_send(p, 0);
    assert_int_equal(p->flight_count, CROWD);
    for (size_t i = 0; i < p->flight_count; i++) pair_deliver(p, &p->flight[i]);
    pair_lose(p);
    while (quic_transport.next_datagram(p->side[1].transport, &out, p->now_us)) {
    }
    /* One acknowledgement each, all at the same moment. */
    p->now_us += 25000;
    assert_true(quic_transport.deadline(p->side[1].transport) <= p->now_us);
    quic_transport.on_deadline(p->side[1].transport, p->now_us);
    unsigned datagrams = 0;
    while (quic_transport.next_datagram(p->side[1].transport, &out, p->now_us)) datagrams++;
    assert_int_equal(datagrams, CROWD);
    assert_true(quic_transport.deadline(p->side[1].transport) > p->now_us);
    pair_free(p);
}

static bool drop_dialler(struct pair *p, int from, uint64_t n, uint8_t *data, size_t len)
{
    (void)p;
    (void)n;
    (void)data;
    (void)len;
    return from != 0;
}

struct first {
    size_t len;
    uint8_t bytes[1500];
};

enum { MANY = 60, MORE = 30 };

/* A probe may be all for which there are records; what finds no record there must not travel, as
 * nobody would know that it was lost. */
static void test_no_frame_travels_without_a_record(void **state)
{
    (void)state;
    struct pair *p = connected_with(65536, 262144);
    static struct flow flows[MANY + MORE];
    struct budget *budget = &p->side[0].budget;
    uint64_t max = budget->max;
    p->filter = drop_dialler;
    for (int i = 0; i < MANY; i++) flow_open(p, &flows[i], 0, 10);
    for (int i = 0; i < MANY; i++) flow_write(p, &flows[i]);
    pair_turn(p);
    for (int i = MANY; i < MANY + MORE; i++) flow_open(p, &flows[i], 0, 10);
    for (int i = MANY; i < MANY + MORE; i++) flow_write(p, &flows[i]);
    budget->max = budget->used;
    pair_run(p, 3000000);
    assert_true(reseal_side(p, 0)->loss.pto_total > 0);
    budget->max = max;
    p->filter = NULL;
    (void)flow_run(p, flows, MANY + MORE, 20000000);
    for (int i = 0; i < MANY + MORE; i++) flow_expect_whole(&flows[i]);
    pair_run(p, 1000000);
    for (int i = 0; i < MANY + MORE; i++)
        assert_int_equal(streams_get(p->side[0].conn, flows[i].id)->out.state, SEND_OVER);
    pair_free(p);
}

/* Node removes streams that the application never hears of; no turn of it follows. */
static void test_a_stream_limit_that_rose_is_told_without_a_turn(void **state)
{
    (void)state;
    struct limits limits;
    limits_derive(&limits, 0, 0);
    limits.value[LIMIT_STREAMS_BIDI] = 1;
    struct pair *p = pair_new(&limits, &limits);
    pair_connect(p);
    pair_run(p, 2000000);
    struct stream *s = opened(p, 0);
    uint64_t id = s->id;
    int error;
    assert_int_equal(stream_reset(s, 1, p->now_us), 0);
    assert_int_equal(stream_stop(s, 1, p->now_us), 0);
    pair_run(p, 3000000);
    struct stream *far = streams_get(p->side[1].conn, id);
    assert_non_null(far);
    assert_int_equal(far->in.state, RECEIVE_OVER);
    assert_int_equal(far->out.state, SEND_OVER);
    pair_sweep_streams(p->side[1].conn);
    assert_null(streams_get(p->side[1].conn, id));
    assert_null(streams_open_local(p->side[0].conn, false, 3, &error));
    pair_send(p, 1);
    while (p->flight_count > 0) (void)pair_step(p, p->now_us + 20000);
    assert_non_null(streams_open_local(p->side[0].conn, false, 3, &error));
    pair_free(p);
}

static bool drop_listener(struct pair *p, int from, uint64_t n, uint8_t *data, size_t len)
{
    struct first *first = p->context;
    (void)n;
    if (from == 0 && first->len == 0) {
        memcpy(first->bytes, data, len);
        first->len = len;
    }
    return from == 0;
}

/* RFC 9000 8.1, RFC 9002 6.2.2.1: each datagram counts, and a probe that is due leaves at once. */
static void test_a_repeated_first_datagram_unblocks_the_listener(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    static struct first first;
    memset(&first, 0, sizeof first);
    p->filter = drop_listener;
    p->context = &first;
    (void)pair_dial(p);
    (void)pair_step(p, p->now_us + 20000);
    pair_lose(p);
    /* The dialler falls silent, the listener spends all that it may. */
    struct connection *c = reseal_only(p, 1);
    while (!c->blocked_amplification) {
        p->now_us = quic_transport.deadline(p->side[1].transport);
        quic_transport.on_deadline(p->side[1].transport, p->now_us);
        pair_send(p, 1);
        assert_true(p->now_us < 20000000);
    }
    uint64_t sent = p->side[1].datagrams;
    p->now_us += 5000000;
    pair_inject(p, 1, &p->side[0].address, first.bytes, first.len);
    assert_false(c->blocked_amplification);
    assert_true(quic_transport.deadline(p->side[1].transport) <= p->now_us);
    quic_transport.on_deadline(p->side[1].transport, p->now_us);
    pair_send(p, 1);
    assert_true(p->side[1].datagrams > sent);
    assert_true(c->bytes_out <= 3 * c->bytes_in);
    pair_free(p);
}

struct response {
    uint64_t responses, smallest;
    size_t len;
};

static void note_response(void *context, const struct frame *f)
{
    struct response *a = context;
    if (f->type != FRAME_PATH_RESPONSE) return;
    a->responses++;
    if (a->len < a->smallest) a->smallest = a->len;
}

static bool watch_answer(struct pair *p, int from, uint64_t n, uint8_t *data, size_t len)
{
    struct response *a = p->context;
    (void)n;
    if (from == 0) return true;
    a->len = len;
    reseal_open(p, 0, data, len, note_response, a);
    return true;
}

/* RFC 9000 8.2.2. */
static void test_a_path_response_fills_its_datagram(void **state)
{
    (void)state;
    struct pair *p = connected_with(65536, 65536);
    struct response a = {.smallest = UINT64_MAX};
    uint8_t payload[9] = {FRAME_PATH_CHALLENGE, 1, 2, 3, 4, 5, 6, 7, 8};
    p->filter = watch_answer;
    p->context = &a;
    reseal_give(p, 0, PACKET_SHORT, payload, sizeof payload);
    pair_send(p, 1);
    assert_int_equal(a.responses, 1);
    assert_int_equal(a.smallest, PACKET_DATAGRAM_MIN);
    pair_free(p);
}

/* A peer that acknowledges late by hours makes a round trip of hours. What it left behind must not
 * stay as long. */
static void test_a_feigned_round_trip_keeps_nothing_alive(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        struct pair *p = connected_with(65536, 65536);
        struct connection *c = reseal_side(p, 1);
        uint64_t hour_us = UINT64_C(3600000000);
        p->sweep = true;
        c->rtt.smoothed_us = hour_us;
        c->rtt.variance_us = hour_us / 2;
        p->filter = drop_dialler;
        if (way == 0) quic_transport.conn_close(p->side[1].conn, 7, NULL, 0, p->now_us);
        if (way == 1) {
            uint8_t payload[] = {FRAME_CLOSE, 0, 0, 0};
            reseal_give(p, 0, PACKET_SHORT, payload, sizeof payload);
        }
        pair_run(p, way == 2 ? 200000000 : 11000000);
        assert_true(p->side[1].ended);
        assert_int_equal(endpoint_of(p->side[1].transport)->connections, 0);
        pair_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_held_bytes_leave_when_the_writer_finds_no_room),
        cmocka_unit_test(test_held_bytes_leave_after_an_empty_write),
        cmocka_unit_test(test_writers_that_always_hold_never_stand_still),
        cmocka_unit_test(test_a_held_stream_without_bytes_does_not_hold_up_others),
        cmocka_unit_test(test_one_deadline_serves_every_connection_that_is_due),
        cmocka_unit_test(test_no_frame_travels_without_a_record),
        cmocka_unit_test(test_a_stream_limit_that_rose_is_told_without_a_turn),
        cmocka_unit_test(test_a_repeated_first_datagram_unblocks_the_listener),
        cmocka_unit_test(test_a_path_response_fills_its_datagram),
        cmocka_unit_test(test_a_feigned_round_trip_keeps_nothing_alive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
