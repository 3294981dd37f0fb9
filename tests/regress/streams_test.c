/* SPDX-License-Identifier: MIT */
/* Goal: streams cost what the limits say, however they are opened, torn or starved. Method: a peer
 * with the real keys (attack.h) opens, tears and resets as fast as credit allows; bytes held,
 * frames answered and allocator calls per stream are bounded. */
#include "attack.h"

static uint64_t limit(const struct attack *a, enum limit name)
{
    return a->p->side[1 - a->by].limits.value[name];
}

static void stream(struct writer *w, uint64_t id, uint64_t offset, size_t len, bool fin)
{
    static const uint8_t bytes[1200];
    assert_true(frame_write_stream(w, id, offset, bytes, len, fin, true));
}

static struct conn_streams *streams(const struct attack *a)
{
    return attack_victim(a)->base.streams;
}

/* CVE-2026-25800 (quinn), mvfst, CVE-2026-44433 (quicly): fragments with gaps pin memory. */
static void test_tiny_fragments_with_gaps_pin_no_more_than_the_peers_share(void **state)
{
    (void)state;
    struct attack a = attack_new();
    a.look = false;
    uint64_t window = limit(&a, LIMIT_CONNECTION_WINDOW_FIRST), taken = 0;
    /* As many streams as the connection's credit has room for 2 KiB of each, every second byte. */
    for (uint64_t ordinal = 0; ordinal < window / 2048 && attack_is_up(&a); ordinal++) {
        for (uint64_t at = 0; at < 2048 && attack_is_up(&a); taken++) {
            uint8_t payload[1200];
            struct writer w = writer_of(payload, sizeof payload);
            for (; at < 2048 && writer_room(&w) > 16; at += 2)
                stream(&w, ordinal << 2, at, 1, false);
            attack_give(&a, &w);
            (void)attack_drain(&a);
        }
    }
    assert_true(attack_is_up(&a));
    assert_true(taken > 500);
    attack_expect_peak(&a, limit(&a, LIMIT_PEER_MEMORY));
    assert_true(streams(&a)->budget.used <= limit(&a, LIMIT_PEER_MEMORY));
    attack_expect_alive(&a);
    attack_end(&a);
}

static void test_gaps_beyond_the_limit_are_refused_and_counted(void **state)
{
    (void)state;
    struct attack a = attack_new();
    uint64_t gaps = limit(&a, LIMIT_STREAM_GAPS);
    for (uint64_t at = 1; at < 6 * gaps;) {
        uint8_t payload[1200];
        struct writer w = writer_of(payload, sizeof payload);
        for (; at < 6 * gaps && writer_room(&w) > 16; at += 2) stream(&w, 0, at, 1, false);
        attack_give(&a, &w);
        (void)attack_drain(&a);
    }
    assert_true(attack_metric(&a, METRIC_GAPS_REFUSED) > 0);
    assert_true(streams_get(&attack_victim(&a)->base, 0)->in.gaps_above.count <= gaps);
    attack_expect_peak(&a, 3 * gaps * sizeof(struct range) + 131072);
    attack_end(&a);
}

/* One byte at the far end of each stream's credit, of as many streams as may be open. */
static void test_single_far_bytes_pin_no_more_than_the_connections_credit(void **state)
{
    (void)state;
    struct attack a = attack_new();
    uint64_t window = limit(&a, LIMIT_CONNECTION_WINDOW_FIRST);
    uint64_t first = limit(&a, LIMIT_STREAM_WINDOW_FIRST);
    for (uint64_t n = 0; n < window / first; n++) {
        uint8_t payload[64];
        struct writer w = writer_of(payload, sizeof payload);
        stream(&w, n << 2, first - 1, 1, false);
        attack_give(&a, &w);
    }
    assert_true(attack_is_up(&a));
    attack_expect_peak(&a, 2 * window);
    uint8_t payload[64];
    struct writer w = writer_of(payload, sizeof payload);
    stream(&w, (window / first) << 2, 0, 1, false);
    attack_give(&a, &w);
    attack_expect_closed(&a, QUIC_FLOW_CONTROL);
    attack_end(&a);
}

enum { OPENED = 100000, OPENED_PER_PACKET = 100 };

static void open_and_reset(struct writer *w, uint64_t id)
{
    stream(w, id, 0, 1, false);
    assert_true(frame_write_reset_stream(w, id, 5, 1));
    if ((id & 2) == 0) assert_true(frame_write_stop_sending(w, id, 5));
}

/* What the application's turn does: events are drained, streams that are over go. */
static void drain_events(struct attack *a)
{
    pair_sweep_streams(&attack_victim(a)->base);
    quic_transport.on_turn(a->p->side[1 - a->by].transport, a->p->now_us);
}

/* As many as the victim lets it open, in a packet that also acknowledges what came last. */
static void open_all_it_may(struct attack *a, unsigned type, uint64_t *next)
{
    uint8_t payload[1200];
    struct writer w = writer_of(payload, sizeof payload);
    uint64_t last = attack_next_number(a) - 1;
    const struct sent_packet *sent =
        sent_get(&attack_victim(a)->loss.spaces[LOSS_APPLICATION].sent, last);
    if (sent != NULL && (sent->flags & SENT_UNSENT) == 0) attack_ack(&w, last, last);
    for (; writer_room(&w) > 40 && *next < streams(a)->accept_max[type]; ++*next)
        open_and_reset(&w, *next << 2 | (uint64_t)type << 1);
    frame_write_ping(&w);
    attack_give(a, &w);
}

/* CVE-2023-44487 (HTTP/2 rapid reset): an application that takes every event at once, and a peer
 * that has its resets acknowledged at once. What bounds it is a rate, and the limit of streams is
 * its burst. */
static void test_rapid_resets_have_a_rate_and_pile_up_nothing(void **state)
{
    enum { SECONDS = 20, PER_SECOND = 1000 };
    (void)state;
    for (unsigned uni = 0; uni < 2; uni++) {
        struct attack a = attack_new();
        uint64_t next = 0, rate = limit(&a, LIMIT_STREAM_CANCELS);
        uint64_t places = limit(&a, uni != 0 ? LIMIT_STREAMS_UNI : LIMIT_STREAMS_BIDI);
        a.look = false;
        for (unsigned i = 0; i < SECONDS * PER_SECOND; i++) {
            open_all_it_may(&a, uni, &next);
            assert_true(attack_is_up(&a));
            drain_events(&a);
            (void)attack_pass(&a, 1000000 / PER_SECOND);
            drain_events(&a);
        }
        assert_in_range(next, rate * SECONDS / 2, rate * (SECONDS + 1) + places + places / 2);
        assert_true(attack_metric(&a, METRIC_STREAMS_CANCELS_HELD) > 0);
        assert_true(streams(&a)->count <= places);
        attack_expect_peak(&a, 1 << 20);
        /* A stream costs a record, a lane and little else; MAX_STREAMS comes for many at once. */
        assert_true(attack_calls(&a) < 10 * next);
        assert_true(a.datagrams < 2 * a.given);
        attack_expect_alive(&a);
        attack_end(&a);
    }
}

static void test_rapid_resets_stop_when_the_application_does_not_take_them(void **state)
{
    (void)state;
    struct attack a = attack_new();
    uint64_t next = 0;
    while (attack_is_up(&a) && next < OPENED) {
        uint8_t payload[1200];
        struct writer w = writer_of(payload, sizeof payload);
        for (; writer_room(&w) > 40; next++) open_and_reset(&w, next << 2);
        attack_give(&a, &w);
        if (attack_is_up(&a)) (void)attack_pass(&a, 1000);
    }
    attack_expect_closed(&a, QUIC_STREAM_LIMIT);
    assert_true(next < limit(&a, LIMIT_STREAMS_BIDI) + OPENED_PER_PACKET);
    attack_expect_peak(&a, limit(&a, LIMIT_STREAMS_BIDI) * 2048);
    attack_end(&a);
}

/* RFC 9000 21.6: streams opened up to the limit, and nothing on them. */
static void test_stream_commitment_costs_records_within_the_peers_share(void **state)
{
    (void)state;
    struct attack a = attack_new();
    a.look = false;
    for (uint64_t type = 0; type < 2; type++) {
        uint8_t payload[64];
        struct writer w = writer_of(payload, sizeof payload);
        stream(&w, (streams(&a)->accept_max[type] - 1) << 2 | type << 1, 0, 1, false);
        attack_give(&a, &w); /* it opens all below */
    }
    assert_int_equal(streams(&a)->count,
                     limit(&a, LIMIT_STREAMS_BIDI) + limit(&a, LIMIT_STREAMS_UNI));
    uint64_t held = attack_peak(&a);
    /* An hour of keeping it alive costs nothing more. */
    for (unsigned i = 0; i < 360; i++) {
        uint8_t payload[64];
        struct writer w = writer_of(payload, sizeof payload);
        frame_write_ping(&w);
        attack_give(&a, &w);
        (void)attack_pass(&a, 10000000);
    }
    assert_true(attack_is_up(&a));
    attack_expect_peak(&a, held + 65536);
    attack_expect_peak(&a, limit(&a, LIMIT_PEER_MEMORY) / 4);
    attack_end(&a);
}

enum { BYTES = 150 }; /* 50 minutes: after an hour an honest peer would follow to new keys */

/* @return how many bytes it took until the connection was over, at most BYTES */
static uint64_t one_byte_every_twenty_seconds(struct attack *a, bool acknowledges)
{
    uint64_t i = 0;
    for (; i < BYTES && attack_is_up(a); i++) {
        uint8_t payload[64];
        struct writer w = writer_of(payload, sizeof payload);
        uint64_t next = attack_next_number(a);
        stream(&w, 0, i, 1, false);
        frame_write_path_challenge(&w, (const uint8_t *)"answer!!"); /* and ask for an ACK */
        if (acknowledges && next > 0) attack_ack(&w, next - 1, next - 1);
        attack_give(a, &w);
        (void)attack_pass(a, 20000000);
    }
    return i;
}

/* RFC 9000 21.6, slowloris: one byte per many seconds. It keeps its connection, as a quiet friend
 * would; what it holds does not grow. */
static void test_one_byte_every_twenty_seconds_holds_one_stream(void **state)
{
    (void)state;
    struct attack a = attack_new();
    assert_int_equal(one_byte_every_twenty_seconds(&a, true), BYTES);
    assert_true(attack_is_up(&a));
    assert_int_equal(streams(&a)->count, 1);
    attack_expect_peak(&a, 65536);
    /* And then silence: it is over after the idle timeout. */
    (void)attack_pass(&a, limit(&a, LIMIT_IDLE_TIMEOUT) + 1000000);
    assert_true(a.p->side[1].ended);
    attack_end(&a);
}

/* CVE-2026-63075: who talks and acknowledges nothing makes us keep a record of each probe. It is
 * over after an idle timeout, whatever it says. */
static void test_who_acknowledges_nothing_is_over_after_an_idle_timeout(void **state)
{
    (void)state;
    struct attack a = attack_new();
    assert_in_range(one_byte_every_twenty_seconds(&a, false), 2, 4);
    assert_true(a.p->side[1].ended);
    assert_int_equal(a.p->side[1].end_by, CONN_END_TIMEOUT);
    attack_expect_peak(&a, 65536);
    attack_end(&a);
}

/* The reader that never reads, seen from the writer: what waits is bounded by stream_send. */
static void test_a_reader_that_never_reads_caps_the_writer(void **state)
{
    static const uint8_t zeros[65536];
    (void)state;
    struct attack a = attack_new();
    struct stream *s = attack_feed(&a);
    uint64_t written = 0;
    for (unsigned i = 0; i < 1000; i++) {
        int64_t n = stream_write(s, zeros, sizeof zeros, false, false, a.p->now_us);
        if (n > 0) written += (uint64_t)n;
        quic_transport.on_turn(a.p->side[1].transport, a.p->now_us);
        (void)attack_drain(&a);
    }
    uint64_t most = limit(&a, LIMIT_STREAM_SEND);
    assert_true(written <= (most > 131072 ? most : 131072) + sizeof zeros);
    attack_expect_peak(&a, 2 * limit(&a, LIMIT_PEER_MEMORY));
    attack_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny_fragments_with_gaps_pin_no_more_than_the_peers_share),
        cmocka_unit_test(test_gaps_beyond_the_limit_are_refused_and_counted),
        cmocka_unit_test(test_single_far_bytes_pin_no_more_than_the_connections_credit),
        cmocka_unit_test(test_rapid_resets_have_a_rate_and_pile_up_nothing),
        cmocka_unit_test(test_rapid_resets_stop_when_the_application_does_not_take_them),
        cmocka_unit_test(test_stream_commitment_costs_records_within_the_peers_share),
        cmocka_unit_test(test_one_byte_every_twenty_seconds_holds_one_stream),
        cmocka_unit_test(test_who_acknowledges_nothing_is_over_after_an_idle_timeout),
        cmocka_unit_test(test_a_reader_that_never_reads_caps_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
