/* SPDX-License-Identifier: MIT */
/* Goal: the UDP transport as a whole, two of them on a wire in virtual time. Method: pair.h; each
 * test looks at what node would see and at the datagrams that crossed. */
#include "pair.h"

static void test_two_transports_connect_in_one_round_trip(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    uint64_t start = p->now_us;
    (void)pair_dial(p);
    while (!p->side[0].up) assert_true(pair_step(p, start + 1000000));
    assert_int_equal(p->now_us - start, 2 * p->delay_us);
    assert_true(pair_knows(p->side[0].conn, &p->side[1].key.id));
    pair_run(p, 1000000);
    assert_true(p->side[1].up);
    assert_true(pair_knows(p->side[1].conn, &p->side[0].key.id));
    assert_int_equal(p->side[0].metrics.value[METRIC_HANDSHAKES_DONE], 1);
    assert_int_equal(p->side[1].metrics.value[METRIC_HANDSHAKES_DONE], 1);
    pair_free(p);
}

static struct stream *remote_stream(struct pair *p, int i, uint64_t id)
{
    return streams_get(p->side[i].conn, id);
}

static void test_bytes_cross_and_end(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    int error;
    char got[64];
    pair_connect(p);
    struct stream *s = streams_open_local(p->side[0].conn, false, 3, &error);
    assert_non_null(s);
    assert_int_equal(stream_write(s, "hello", 5, false, true, p->now_us), 5);
    uint64_t before = p->side[0].datagrams;
    pair_turn(p);
    assert_int_equal(p->side[0].datagrams - before, 1); /* open, body and FIN in one datagram */
    pair_run(p, 1000000);
    struct stream *r = remote_stream(p, 1, s->id);
    assert_non_null(r);
    assert_int_equal(stream_read(r, got, sizeof got, p->now_us), 5);
    assert_memory_equal(got, "hello", 5);
    assert_int_equal(stream_read(r, got, sizeof got, p->now_us), WEIR_E_END);
    assert_int_equal(s->out.state, SEND_OVER);
    pair_free(p);
}

static uint64_t pump(struct pair *p, uint64_t total, uint64_t limit_us)
{
    static uint8_t chunk[65536];
    int error;
    uint64_t written = 0, read = 0, start = p->now_us;
    struct stream *s = streams_open_local(p->side[0].conn, false, 3, &error);
    assert_non_null(s);
    uint64_t id = s->id;
    while (read < total && p->now_us - start < limit_us) {
        while (written < total) {
            size_t want = total - written < sizeof chunk ? (size_t)(total - written) : sizeof chunk;
            for (size_t i = 0; i < want; i++) chunk[i] = (uint8_t)((written + i) * 31 >> 3);
            int64_t n = stream_write(s, chunk, want, false, written + want == total, p->now_us);
            assert_true(n >= 0);
            written += (uint64_t)n;
            if ((size_t)n < want) break;
        }
        pair_turn(p);
        (void)pair_step(p, p->now_us + 1000000);
        struct stream *r = remote_stream(p, 1, id);
        int64_t n;
        while (r != NULL && (n = stream_read(r, chunk, sizeof chunk, p->now_us)) > 0) {
            for (int64_t i = 0; i < n; i++)
                assert_int_equal(chunk[i], (uint8_t)((read + (uint64_t)i) * 31 >> 3));
            read += (uint64_t)n;
        }
    }
    assert_int_equal(read, total);
    return p->now_us - start;
}

static void test_a_megabyte_crosses_without_loss(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    pair_connect(p);
    uint64_t us = pump(p, 1 << 20, 60000000);
    assert_in_range(us, 20000, 2000000);
    assert_int_equal(p->side[0].metrics.value[METRIC_PACKETS_LOST], 0);
    pair_free(p);
}

static bool drop_some(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    (void)from;
    (void)n;
    (void)bytes;
    (void)len;
    uint8_t r;
    uint64_t keep = p->entropy_counter;
    pair_fill(p, &r, 1);
    (void)keep;
    return r % 10 != 0;
}

static void test_a_megabyte_crosses_ten_percent_loss(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    pair_connect(p);
    p->filter = drop_some;
    (void)pump(p, 1 << 20, 600000000);
    assert_true(p->side[0].metrics.value[METRIC_PACKETS_LOST] > 0);
    pair_free(p);
}

static void test_a_close_is_read_by_the_other_side(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    pair_connect(p);
    quic_transport.conn_close(p->side[0].conn, 77, "bye", 3, p->now_us);
    pair_run(p, 1000000);
    assert_true(p->side[1].ended);
    assert_int_equal(p->side[1].conn->end->by, CONN_END_REMOTE);
    assert_int_equal(p->side[1].conn->end->reason, 77);
    assert_memory_equal(p->side[1].conn->end->text, "bye", 3);
    assert_int_equal(p->side[0].conn->end->by, CONN_END_LOCAL);
    pair_free(p);
}

static void test_idle_connections_time_out(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    pair_connect(p);
    pair_run(p, 29000000);
    assert_false(p->side[0].ended);
    pair_run(p, 3000000);
    assert_true(p->side[0].ended && p->side[1].ended);
    assert_int_equal(p->side[0].conn->end->by, CONN_END_TIMEOUT);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_transports_connect_in_one_round_trip),
        cmocka_unit_test(test_bytes_cross_and_end),
        cmocka_unit_test(test_a_megabyte_crosses_without_loss),
        cmocka_unit_test(test_a_megabyte_crosses_ten_percent_loss),
        cmocka_unit_test(test_a_close_is_read_by_the_other_side),
        cmocka_unit_test(test_idle_connections_time_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
