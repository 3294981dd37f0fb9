/* SPDX-License-Identifier: MIT */
/* Goal: unreliable datagrams in packets (RFC 9221, docs/wire.md 12.7): whole or not at all, never
 * before their stream, taking turns with stream bytes, as long as the path carries and no longer.
 * Method: pairs on a wire that drops by choice or by size, with bulk beside. */
#include "moves.h"

enum { MIB = 1 << 20 };

static struct stream *open_on(struct pair *p, int i)
{
    int error;
    struct stream *s = streams_open_local(p->side[i].conn, false, 3, &error);
    assert_non_null(s);
    return s;
}

static struct stream *far(struct pair *p, int i, uint64_t id)
{
    return streams_get(p->side[i].conn, id);
}

static int give(struct pair *p, struct stream *s, const void *data, size_t len)
{
    struct limit_record limit;
    return stream_datagram_send(s, data, len, p->now_us, &limit);
}

/* A stream that both sides know. */
static struct stream *known(struct pair *p, int i)
{
    struct stream *s = open_on(p, i);
    assert_int_equal(stream_write(s, "head", 4, false, false, p->now_us), 4);
    pair_run(p, 500000);
    assert_non_null(far(p, 1 - i, s->id));
    return s;
}

static uint32_t longest(struct pair *p, int i)
{
    return quic_transport.datagram_max(p->side[i].conn);
}

static void test_one_that_is_sent_with_the_opening_of_its_stream_comes_behind_it(void **state)
{
    (void)state;
    for (unsigned size = 0; size < 3; size++) {
        struct moves m;
        struct pair *p = moves_pair(&m);
        struct stream *s = open_on(p, 0);
        static uint8_t bytes[60000];
        size_t len = size == 0 ? 4 : size == 1 ? 1100 : sizeof bytes;
        /* The datagram is queued first, and the stream's bytes may fill the packet. */
        assert_int_equal(give(p, s, "datagram", 8), 0);
        assert_true(stream_write(s, bytes, len, false, false, p->now_us) > 0);
        pair_run(p, 500000);
        uint8_t out[16];
        assert_int_equal(stream_datagram_read(far(p, 1, s->id), out, sizeof out), 8);
        assert_int_equal(moves_metric(p, 1, METRIC_DATAGRAM_FRAMES_DROPPED), 0);
        pair_free(p);
    }
}

static void test_the_longest_arrives_at_every_size_of_datagrams(void **state)
{
    (void)state;
    static uint8_t bytes[1500], out[1500];
    for (int grown = 0; grown < 2; grown++) {
        for (int busy = 0; busy < 2; busy++) {
            struct moves m;
            struct flow f[2];
            struct pair *p = moves_pair(&m);
            if (grown) {
                flow_open(p, &f[0], 0, 2 * MIB);
                (void)flow_run(p, &f[0], 1, 60000000);
                assert_true(reseal_side(p, 0)->datagram_bytes > 1400);
            }
            struct stream *s = known(p, 0);
            uint32_t most = longest(p, 0);
            assert_in_range(most, reseal_side(p, 0)->datagram_bytes - 60,
                            reseal_side(p, 0)->datagram_bytes - 25);
            memset(bytes, 0x5a, sizeof bytes);
            assert_int_equal(give(p, s, bytes, most + 1), WEIR_E_ARGUMENT);
            /* Busy: both have bulk, so that each packet has an acknowledgement. */
            for (int i = 0; i < 2 && busy; i++) flow_open(p, &f[i], i, 400 * MIB);
            if (busy) (void)flow_run(p, f, 2, 100000);
            for (unsigned i = 0; i < 4; i++) {
                assert_int_equal(give(p, s, bytes, most), 0);
                if (busy)
                    (void)flow_run(p, f, 2, 30000);
                else
                    pair_run(p, 100000);
                assert_int_equal(stream_datagram_read(far(p, 1, s->id), out, sizeof out), most);
                assert_memory_equal(out, bytes, most);
            }
            pair_free(p);
        }
    }
}

static void test_neither_streams_nor_datagrams_starve_the_other(void **state)
{
    (void)state;
    static uint8_t bytes[1500], out[1500];
    for (unsigned len = 0; len < 3; len++) {
        for (int back = 0; back < 2; back++) {
            struct moves m;
            struct flow f[2];
            struct pair *p = moves_pair(&m);
            struct stream *s = known(p, 0);
            size_t size = len == 0 ? 10 : len == 1 ? 600 : longest(p, 0);
            uint64_t sent = 0, came = 0, end = p->now_us + 400000;
            for (int i = 0; i <= back; i++) flow_open(p, &f[i], i, 400 * MIB);
            while (p->now_us < end) {
                while (give(p, s, bytes, size) == 0) sent++;
                (void)flow_run(p, f, 1 + (size_t)back, 1000);
                while (stream_datagram_read(far(p, 1, s->id), out, sizeof out) >= 0) came++;
            }
            /* Each of both has at least an eighth of the bytes that it could have. */
            assert_true(came > 300);
            assert_true(f[0].read > MIB);
            if (len == 2) assert_true(came * size > f[0].read / 8);
            assert_true(sent - moves_metric(p, 0, METRIC_DATAGRAM_FRAMES_SENT) <= 64);
            assert_int_equal(moves_metric(p, 0, METRIC_DATAGRAM_FRAMES_LOST), 0);
            pair_free(p);
        }
    }
}

struct choice {
    uint64_t drop; /* bit i: the i-th datagram of side 0 from here on is lost */
    uint64_t seen;
};
static struct choice choice;

static bool choose(struct moves *m, int from, uint8_t *bytes, size_t len)
{
    (void)m;
    (void)bytes;
    (void)len;
    if (from != 0) return true;
    uint64_t n = choice.seen++;
    return n >= 64 || (choice.drop >> n & 1) == 0;
}

static void test_they_overtake_stream_bytes_that_were_lost_and_are_never_repeated(void **state)
{
    (void)state;
    struct moves m;
    struct pair *p = moves_pair(&m);
    struct stream *s = known(p, 0), *r = far(p, 1, s->id);
    uint8_t out[16];
    (void)stream_read(r, out, sizeof out, p->now_us);
    m.more = choose;
    choice = (struct choice){.drop = 1};
    assert_int_equal(stream_write(s, "lost", 4, false, false, p->now_us), 4);
    pair_turn(p);
    assert_int_equal(give(p, s, "fast", 4), 0);
    pair_run(p, p->delay_us + 100);
    assert_int_equal(stream_read(r, out, sizeof out, p->now_us), 0);
    assert_int_equal(stream_datagram_read(r, out, sizeof out), 4);
    pair_run(p, 2000000);
    assert_int_equal(stream_read(r, out, sizeof out, p->now_us), 4);
    /* One that is lost stays lost. */
    choice = (struct choice){.drop = 1};
    assert_int_equal(give(p, s, "gone", 4), 0);
    pair_run(p, 5000000);
    assert_int_equal(stream_datagram_read(r, out, sizeof out), WEIR_E_NOT_FOUND);
    assert_int_equal(moves_metric(p, 0, METRIC_DATAGRAM_FRAMES_LOST), 1);
    assert_int_equal(moves_metric(p, 0, METRIC_DATAGRAM_FRAMES_SENT), 2);
    pair_free(p);
}

static void test_a_peer_that_takes_none_is_sent_none_and_one_that_sends_all_the_same_is_closed(
    void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    p->side[1].env.datagrams_off = true;
    pair_connect(p);
    pair_run(p, 1000000);
    struct stream *s = open_on(p, 0);
    assert_int_equal(longest(p, 0), 0);
    assert_int_equal(give(p, s, "x", 1), WEIR_E_UNSUPPORTED);
    assert_true(longest(p, 1) > 1000); /* the other way they may */
    static const uint8_t frame[] = {0x31, 2, 0, 'x'};
    reseal_give(p, 0, PACKET_SHORT, frame, sizeof frame);
    assert_int_equal(reseal_only(p, 1)->close_code, QUIC_PROTOCOL_VIOLATION);
    pair_free(p);
}

static void test_one_without_a_whole_stream_id_is_an_encoding_error(void **state)
{
    (void)state;
    static const uint8_t frames[][3] = {{0x31, 0}, {0x31, 1, 0x40}};
    for (unsigned i = 0; i < 2; i++) {
        struct pair *p = pair_new(NULL, NULL);
        pair_connect(p);
        pair_run(p, 1000000);
        reseal_give(p, 0, PACKET_SHORT, frames[i], 2 + i);
        assert_int_equal(reseal_only(p, 1)->close_code, QUIC_FRAME_ENCODING);
        pair_free(p);
    }
}

static bool only_small(struct moves *m, int from, uint8_t *bytes, size_t len)
{
    (void)m;
    (void)from;
    (void)bytes;
    return len <= 1200;
}

static void test_those_that_no_longer_fit_the_path_are_dropped_and_the_rest_goes_on(void **state)
{
    (void)state;
    static uint8_t bytes[1500], out[1500];
    struct moves m;
    struct flow f;
    struct pair *p = moves_pair(&m);
    flow_open(p, &f, 0, 2 * MIB);
    (void)flow_run(p, &f, 1, 60000000);
    struct stream *s = known(p, 0);
    uint32_t most = longest(p, 0);
    assert_true(most > 1350);
    m.more = only_small;
    uint64_t end = p->now_us + 20000000;
    while (longest(p, 0) == most && p->now_us < end) {
        (void)give(p, s, bytes, most);
        pair_run(p, 10000);
    }
    assert_true(longest(p, 0) < 1200);
    pair_run(p, 5000000);
    assert_int_equal(p->side[0].conn->streams->datagrams_out.count, 0);
    assert_int_equal(give(p, s, bytes, longest(p, 0)), 0);
    pair_run(p, 1000000);
    assert_int_equal(stream_datagram_read(far(p, 1, s->id), out, sizeof out), longest(p, 0));
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_that_is_sent_with_the_opening_of_its_stream_comes_behind_it),
        cmocka_unit_test(test_the_longest_arrives_at_every_size_of_datagrams),
        cmocka_unit_test(test_neither_streams_nor_datagrams_starve_the_other),
        cmocka_unit_test(test_they_overtake_stream_bytes_that_were_lost_and_are_never_repeated),
        cmocka_unit_test(
            test_a_peer_that_takes_none_is_sent_none_and_one_that_sends_all_the_same_is_closed),
        cmocka_unit_test(test_one_without_a_whole_stream_id_is_an_encoding_error),
        cmocka_unit_test(test_those_that_no_longer_fit_the_path_are_dropped_and_the_rest_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
