/* SPDX-License-Identifier: MIT */
/* Goal: a peer that is authenticated and hostile is told so with the right code, or costs no
 * more than the limits say. Method: a connected pair; frames with bad contents are resealed with
 * the real keys (reseal.h) and given to one side; floods are counted in what they make the
 * victim hold and send. */
#include "reseal.h"

enum { LIVES = -1 };

/* Frames that a hostile dialler (or listener) writes; the victim is the other side. */
struct script {
    const char *name;
    int from, code;
    void (*write)(struct pair *p, struct writer *w);
};

static struct pair *connected(void)
{
    struct pair *p = pair_new(NULL, NULL);
    pair_connect(p);
    pair_run(p, 2000000);
    assert_true(reseal_side(p, 0)->confirmed);
    return p;
}

static void give(struct pair *p, int from, struct writer *w)
{
    reseal_give(p, from, PACKET_SHORT, w->start, writer_len(w));
}

static void expect(struct pair *p, int victim, int code, const char *name)
{
    const struct connection *c = reseal_only(p, victim);
    int got = c->phase == QUIC_UP ? LIVES : (int)c->close_code;
    if (got != code) fail_msg("%s: outcome %d instead of %d", name, got, code);
    if (code == LIVES) return;
    /* And the hostile side can read why. */
    pair_send(p, victim);
    pair_run(p, 100000);
    assert_int_equal(p->side[1 - victim].end_by, CONN_END_REMOTE);
    assert_int_equal(p->side[1 - victim].end_reason, REASON_TRANSPORT(code));
    assert_int_equal(p->side[victim].end_error, WEIR_E_PROTOCOL);
    assert_int_equal(p->side[victim].metrics.value[METRIC_PROTOCOL_VIOLATIONS], 1);
}

#define STREAM_FIRST 131072u /* limits.def: stream_window_first */
#define CONNECTION_FIRST 262144u

static void stream(struct writer *w, uint64_t id, uint64_t offset, size_t len, bool fin)
{
    static const uint8_t bytes[1000];
    assert_true(frame_write_stream(w, id, offset, bytes, len, fin, true));
}
static void ack(struct writer *w, uint64_t from, uint64_t to)
{
    struct range range = {from, to + 1};
    assert_true(frame_write_ack(w, &range, 1, 1, 0, NULL));
}

static void ack_one_too_many(struct pair *p, struct writer *w)
{
    ack(w, 0, loss_next_number(&reseal_side(p, 1)->loss, LOSS_APPLICATION));
}
static void ack_far_too_many(struct pair *p, struct writer *w)
{
    (void)p;
    ack(w, VARINT_MAX, VARINT_MAX);
}
static void ack_all(struct pair *p, struct writer *w)
{
    ack(w, 0, loss_next_number(&reseal_side(p, 1)->loss, LOSS_APPLICATION) - 1);
}
static void ack_twice(struct pair *p, struct writer *w)
{
    ack_all(p, w);
    ack_all(p, w);
}
static void crypto(struct pair *p, struct writer *w)
{
    (void)p;
    frame_write_crypto(w, 1000000, (const uint8_t *)"x", 1);
}
static void at_stream_credit(struct pair *p, struct writer *w)
{
    (void)p;
    stream(w, 0, STREAM_FIRST - 1, 1, false);
}
static void over_stream_credit(struct pair *p, struct writer *w)
{
    (void)p;
    stream(w, 0, STREAM_FIRST, 1, false);
}
static void fin_over_stream_credit(struct pair *p, struct writer *w)
{
    (void)p;
    stream(w, 0, STREAM_FIRST + 1, 0, true);
}
static void reset_over_stream_credit(struct pair *p, struct writer *w)
{
    (void)p;
    frame_write_reset_stream(w, 0, 0, STREAM_FIRST + 1);
}
static void at_connection_credit(struct pair *p, struct writer *w)
{
    (void)p;
    stream(w, 0, STREAM_FIRST - 1, 1, false);
    stream(w, 4, STREAM_FIRST - 2, 1, false); /* one byte came on stream 2 */
}
static void over_connection_credit(struct pair *p, struct writer *w)
{
    at_connection_credit(p, w);
    stream(w, 8, 0, 1, false);
}
static void far_over_connection_credit(struct pair *p, struct writer *w)
{
    (void)p;
    for (uint64_t id = 0; id < 12; id += 4) stream(w, id, STREAM_FIRST - 1, 1, false);
}
static void last_stream(struct pair *p, struct writer *w)
{
    (void)p;
    stream(w, 255 * 4, 0, 1, false);
}
static void one_stream_too_many(struct pair *p, struct writer *w)
{
    (void)p;
    stream(w, 256 * 4, 0, 1, false);
}
static void one_uni_too_many(struct pair *p, struct writer *w)
{
    (void)p;
    stream(w, 256 * 4 + 2, 0, 1, false);
}
static void stream_id_at_the_end(struct pair *p, struct writer *w)
{
    (void)p;
    stream(w, VARINT_MAX - 3, 0, 1, false);
}
static void offset_past_the_end(struct pair *p, struct writer *w)
{
    (void)p;
    writer_u8(w, 0x0e);
    writer_varint(w, 0);
    writer_varint(w, VARINT_MAX);
    writer_varint(w, 1);
    writer_u8(w, 'x');
}
static void bytes_after_fin(struct pair *p, struct writer *w)
{
    (void)p;
    stream(w, 0, 0, 5, true);
    stream(w, 0, 5, 1, false);
}
static void fin_moves(struct pair *p, struct writer *w)
{
    (void)p;
    stream(w, 0, 0, 5, true);
    stream(w, 0, 0, 4, true);
}
static void fin_below_what_came(struct pair *p, struct writer *w)
{
    (void)p;
    stream(w, 0, 100, 5, false);
    stream(w, 0, 50, 5, true);
}
static void reset_changes_the_size(struct pair *p, struct writer *w)
{
    (void)p;
    stream(w, 0, 0, 5, true);
    frame_write_reset_stream(w, 0, 0, 6);
}
static void reset_below_what_came(struct pair *p, struct writer *w)
{
    (void)p;
    stream(w, 0, 0, 5, false);
    frame_write_reset_stream(w, 0, 0, 4);
}
static void two_resets_differ(struct pair *p, struct writer *w)
{
    (void)p;
    frame_write_reset_stream(w, 0, 0, 4);
    frame_write_reset_stream(w, 0, 0, 5);
}
static void fin_and_reset_repeated(struct pair *p, struct writer *w)
{
    (void)p;
    for (int i = 0; i < 2; i++) {
        stream(w, 0, 0, 5, true);
        frame_write_reset_stream(w, 0, 0, 5);
        frame_write_reset_stream(w, 2, 0, 5);
    }
}
static void stop_of_unopened(struct pair *p, struct writer *w)
{
    (void)p;
    frame_write_stop_sending(w, 1, 0);
}
static void stop_of_their_uni(struct pair *p, struct writer *w)
{
    (void)p;
    frame_write_stop_sending(w, 2, 0);
}
static void reset_of_our_uni(struct pair *p, struct writer *w)
{
    (void)p;
    frame_write_reset_stream(w, 3, 0, 0);
}
static void data_on_our_uni(struct pair *p, struct writer *w)
{
    (void)p;
    stream(w, 3, 0, 1, false);
}
static void data_on_unopened(struct pair *p, struct writer *w)
{
    (void)p;
    stream(w, 1, 0, 1, false);
}
static void credit_for_unopened(struct pair *p, struct writer *w)
{
    (void)p;
    frame_write_max_stream_data(w, 1, 100);
}
static void credit_for_their_uni(struct pair *p, struct writer *w)
{
    (void)p;
    frame_write_max_stream_data(w, 2, 100);
}
static void blocked_on_our_uni(struct pair *p, struct writer *w)
{
    (void)p;
    frame_write_stream_data_blocked(w, 3, 100);
}
static void streams_past_the_end(struct pair *p, struct writer *w)
{
    (void)p;
    writer_u8(w, 0x12);
    writer_varint(w, (UINT64_C(1) << 60) + 1);
}
static void streams_at_the_end(struct pair *p, struct writer *w)
{
    (void)p;
    frame_write_max_streams(w, true, UINT64_C(1) << 60);
    frame_write_max_data(w, VARINT_MAX);
}
static void smaller_limits(struct pair *p, struct writer *w)
{
    (void)p;
    frame_write_max_data(w, 0);
    frame_write_max_streams(w, false, 0);
}
static struct cid numbered(uint8_t n)
{
    struct cid cid = {.len = 8, .bytes = {n, 1, 2, 3, 4, 5, 6, 7}};
    return cid;
}
/* The dialler has issued sequences 0 to 3 by itself: all that the victim keeps. */
static void new_id(struct writer *w, uint64_t sequence, uint64_t prior, uint8_t n)
{
    uint8_t token[16] = {n};
    struct cid cid = numbered(n);
    assert_true(frame_write_new_connection_id(w, sequence, prior, &cid, token));
}
static void one_more_id(struct pair *p, struct writer *w)
{
    (void)p;
    new_id(w, 4, 1, 1);
    new_id(w, 4, 1, 1);
}
static void too_many_ids(struct pair *p, struct writer *w)
{
    (void)p;
    new_id(w, 4, 0, 1);
}
static void same_sequence_other_id(struct pair *p, struct writer *w)
{
    (void)p;
    new_id(w, 4, 1, 1);
    new_id(w, 4, 1, 2);
}
static void same_id_other_sequence(struct pair *p, struct writer *w)
{
    (void)p;
    new_id(w, 4, 1, 1);
    new_id(w, 5, 2, 1);
}
static void retires_more_than_it_gives(struct pair *p, struct writer *w)
{
    (void)p;
    writer_u8(w, 0x18);
    writer_u8(w, 1);
    writer_u8(w, 2);
    writer_u8(w, 8);
    for (int i = 0; i < 24; i++) writer_u8(w, 0);
}
static void id_without_bytes(struct pair *p, struct writer *w)
{
    (void)p;
    writer_u8(w, 0x18);
    writer_u8(w, 1);
    writer_u8(w, 0);
    writer_u8(w, 0);
    for (int i = 0; i < 16; i++) writer_u8(w, 0);
}
static void retire_before_it_was_told(struct pair *p, struct writer *w)
{
    frame_write_retire_connection_id(w, 1);
    frame_write_retire_connection_id(w, reseal_only(p, 1)->local_next);
}
static void retire_twice(struct pair *p, struct writer *w)
{
    (void)p;
    for (uint64_t n = 0; n < 6; n++) frame_write_retire_connection_id(w, 1 + n % 3);
}
static void acks_often(struct pair *p, struct writer *w)
{
    (void)p;
    frame_write_ack_frequency(w, &(struct frame_ack_frequency){0, 1, 999, 1});
}
static void acks_very_late(struct pair *p, struct writer *w)
{
    (void)p;
    frame_write_ack_frequency(w, &(struct frame_ack_frequency){0, 1, 16384000, 1});
}
static void ack_skipped(struct pair *p, struct writer *w)
{
    struct connection *c = reseal_side(p, 1);
    uint64_t skipped = loss_next_number(&c->loss, LOSS_APPLICATION);
    assert_int_equal(loss_skip_number(&c->loss, NULL), 0);
    ack(w, skipped - 1, skipped);
}
static void datagram_without_a_stream(struct pair *p, struct writer *w)
{
    (void)p;
    assert_true(frame_write_datagram(w, NULL, 0, true));
}
static void datagram_of_no_stream(struct pair *p, struct writer *w)
{
    static const uint8_t bytes[] = {0x7f, 0xff, 1, 2, 3};
    (void)p;
    assert_true(frame_write_datagram(w, bytes, sizeof bytes, true));
}
static void cut_off(struct pair *p, struct writer *w)
{
    (void)p;
    writer_u8(w, 0x04);
    writer_u8(w, 0xc0);
}

static const struct script scripts[] = {
    {"ack of the next number", 0, QUIC_PROTOCOL_VIOLATION, ack_one_too_many},
    {"ack of the largest number", 0, QUIC_PROTOCOL_VIOLATION, ack_far_too_many},
    {"ack of everything", 0, LIVES, ack_all},
    {"the same ack twice", 0, LIVES, ack_twice},
    {"crypto", 0, QUIC_PROTOCOL_VIOLATION, crypto},
    {"up to the stream's credit", 0, LIVES, at_stream_credit},
    {"one byte over it", 0, QUIC_FLOW_CONTROL, over_stream_credit},
    {"a FIN over it", 0, QUIC_FLOW_CONTROL, fin_over_stream_credit},
    {"a reset over it", 0, QUIC_FLOW_CONTROL, reset_over_stream_credit},
    {"up to the connection's credit", 0, LIVES, at_connection_credit},
    {"one byte over it", 0, QUIC_FLOW_CONTROL, over_connection_credit},
    {"far over it", 0, QUIC_FLOW_CONTROL, far_over_connection_credit},
    {"the last stream", 0, LIVES, last_stream},
    {"one stream too many", 0, QUIC_STREAM_LIMIT, one_stream_too_many},
    {"one one-way stream too many", 0, QUIC_STREAM_LIMIT, one_uni_too_many},
    {"the largest stream id", 0, QUIC_STREAM_LIMIT, stream_id_at_the_end},
    {"an offset past 2^62", 0, QUIC_FRAME_ENCODING, offset_past_the_end},
    {"bytes after FIN", 0, QUIC_FINAL_SIZE, bytes_after_fin},
    {"FIN moves", 0, QUIC_FINAL_SIZE, fin_moves},
    {"FIN below what came", 0, QUIC_FINAL_SIZE, fin_below_what_came},
    {"reset with another size than FIN", 0, QUIC_FINAL_SIZE, reset_changes_the_size},
    {"reset below what came", 0, QUIC_FINAL_SIZE, reset_below_what_came},
    {"two resets that differ", 0, QUIC_FINAL_SIZE, two_resets_differ},
    {"FIN and resets repeated", 0, LIVES, fin_and_reset_repeated},
    {"stop of a stream that we have not opened", 0, QUIC_STREAM_STATE, stop_of_unopened},
    {"stop of their own one-way stream", 0, QUIC_STREAM_STATE, stop_of_their_uni},
    {"reset of our one-way stream", 0, QUIC_STREAM_STATE, reset_of_our_uni},
    {"data on our one-way stream", 0, QUIC_STREAM_STATE, data_on_our_uni},
    {"data on a stream that we have not opened", 0, QUIC_STREAM_STATE, data_on_unopened},
    {"credit for a stream that we have not opened", 0, QUIC_STREAM_STATE, credit_for_unopened},
    {"credit for their own one-way stream", 0, QUIC_STREAM_STATE, credit_for_their_uni},
    {"blocked on our one-way stream", 0, QUIC_STREAM_STATE, blocked_on_our_uni},
    {"stream count over 2^60", 0, QUIC_FRAME_ENCODING, streams_past_the_end},
    {"the largest limits", 0, LIVES, streams_at_the_end},
    {"smaller limits", 0, LIVES, smaller_limits},
    {"one more connection id, twice", 0, LIVES, one_more_id},
    {"too many connection ids", 0, QUIC_CONNECTION_ID_LIMIT, too_many_ids},
    {"same sequence, other id", 0, QUIC_PROTOCOL_VIOLATION, same_sequence_other_id},
    {"same id, other sequence", 0, QUIC_PROTOCOL_VIOLATION, same_id_other_sequence},
    {"retires more than it gives", 0, QUIC_FRAME_ENCODING, retires_more_than_it_gives},
    {"an id without bytes", 0, QUIC_FRAME_ENCODING, id_without_bytes},
    {"an id given back before it was told", 0, QUIC_PROTOCOL_VIOLATION, retire_before_it_was_told},
    {"three ids given back, twice", 0, LIVES, retire_twice},
    {"ACKs more often than we can", 0, QUIC_PROTOCOL_VIOLATION, acks_often},
    {"ACKs later than anybody may", 0, QUIC_PROTOCOL_VIOLATION, acks_very_late},
    {"an ack of a number that was left out", 0, QUIC_PROTOCOL_VIOLATION, ack_skipped},
    {"a datagram without a stream", 0, QUIC_FRAME_ENCODING, datagram_without_a_stream},
    {"a datagram of a stream that is not there", 0, LIVES, datagram_of_no_stream},
    {"a frame that is cut off", 0, QUIC_FRAME_ENCODING, cut_off},
};

static void test_each_violation_closes_with_its_code(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        struct pair *p = connected();
        uint8_t payload[1200];
        struct writer w = writer_of(payload, sizeof payload);
        int error;
        /* So that both have sent 1-RTT packets; listener's stream 1 stays unopened. */
        struct stream *s = streams_open_local(p->side[0].conn, true, 3, &error);
        assert_int_equal(stream_write(s, "x", 1, false, false, p->now_us), 1);
        pair_run(p, 200000);
        quic_transport.conn_hold(p->side[1].conn, true, p->now_us);
        scripts[i].write(p, &w);
        give(p, scripts[i].from, &w);
        expect(p, 1 - scripts[i].from, scripts[i].code, scripts[i].name);
        pair_free(p);
    }
}

struct seen {
    uint64_t path_responses, retires, max_data, datagrams;
};

static void note(void *context, const struct frame *f)
{
    struct seen *s = context;
    s->path_responses += f->type == FRAME_PATH_RESPONSE;
    s->retires += f->type == FRAME_RETIRE_CONNECTION_ID;
    s->max_data += f->type == FRAME_MAX_DATA;
}

static bool watch_listener(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    struct seen *s = p->context;
    (void)n;
    if (from == 0) return true;
    s->datagrams++;
    reseal_open(p, 0, bytes, len, note, s);
    return false; /* the flooder acknowledges nothing */
}

static void test_a_flood_of_path_challenges_is_answered_once_per_datagram(void **state)
{
    (void)state;
    struct pair *p = connected();
    struct seen seen = {0};
    uint8_t payload[1100];
    p->filter = watch_listener;
    p->context = &seen;
    uint64_t held = p->side[1].budget.used;
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 20; i++) {
            struct writer w = writer_of(payload, sizeof payload);
            for (uint8_t n = 0; n < 100; n++) {
                uint8_t data[8] = {n, (uint8_t)i, (uint8_t)round};
                assert_true(frame_write_path_challenge(&w, data));
            }
            give(p, 0, &w);
        }
        pair_send(p, 1);
    }
    assert_int_equal(reseal_only(p, 1)->phase, QUIC_UP);
    assert_in_range(seen.path_responses, 1, 50); /* for 100,000 challenges */
    assert_true(seen.path_responses <= seen.datagrams);
    assert_true(p->side[1].budget.used - held < 8192);
    pair_free(p);
}

static void test_a_flood_of_new_connection_ids_is_bounded_and_closed(void **state)
{
    (void)state;
    for (int variant = 0; variant < 2; variant++) {
        struct pair *p = connected();
        struct seen seen = {0};
        struct connection *victim = reseal_only(p, 1);
        p->filter = watch_listener;
        p->context = &seen;
        uint64_t live = p->counter.live_bytes, given = 0;
        for (uint64_t i = 1; i <= 100000 && victim->phase == QUIC_UP; i++) {
            uint8_t payload[100], token[16] = {0};
            struct writer w = writer_of(payload, sizeof payload);
            struct cid cid = {.len = 8};
            memcpy(cid.bytes, &i, sizeof i);
            /* Each retires all before it; or each comes late, below what was retired already. */
            uint64_t sequence = variant == 0 || i == 1 ? i + (variant == 1 ? 1000000 : 3) : i;
            uint64_t prior = variant == 0 || i == 1 ? sequence : 0;
            assert_true(frame_write_new_connection_id(&w, sequence, prior, &cid, token));
            given = i;
            if (variant == 0)
                victim->remote_cid =
                    reseal_only(p, 0)->local_cid; /* only for the test's own look */
            give(p, 0, &w);
            assert_true(victim->retire_count <= 2 * QUIC_REMOTE_CIDS_MAX);
            if (i % 4 == 0)
                pair_send(
                    p, 1); /* a RETIRE leaves now and then, is never acknowledged, and comes back */
            if (i % 1000 == 0) p->now_us += 1000000;
        }
        assert_int_equal(victim->close_code, QUIC_CONNECTION_ID_LIMIT);
        assert_true(given < 100000);
        assert_true(p->counter.live_bytes < live + 65536);
        pair_free(p);
    }
}

static void test_a_lost_retirement_is_said_again(void **state)
{
    (void)state;
    struct pair *p = connected();
    struct seen seen = {0};
    uint8_t payload[100];
    struct writer w = writer_of(payload, sizeof payload);
    p->filter = watch_listener;
    p->context = &seen;
    const struct connection *dialler = reseal_only(p, 0);
    uint8_t token[16] = {1};
    struct cid spare = numbered(9);
    assert_true(frame_write_new_connection_id(&w, 4, 4, &spare, token));
    give(p, 0, &w);
    struct connection *victim = reseal_only(p, 1);
    assert_true(cid_equal(&victim->remote_cid, &spare));
    assert_memory_equal(victim->reset_token, token, sizeof token);
    victim->remote_cid = dialler->local_cid; /* so that the test can read what it sends */
    pair_run(p, 2000000);
    assert_in_range(seen.retires, 4 * 2, 4 * 10); /* four ids */
    assert_int_equal(victim->phase, QUIC_UP);
    pair_free(p);
}

static void test_a_flood_of_pings_and_tiny_fragments_holds_little(void **state)
{
    (void)state;
    struct pair *p = connected();
    uint64_t held = p->side[1].budget.used, live = p->counter.live_bytes;
    for (uint64_t i = 0; i < 15000; i++) {
        uint8_t payload[64];
        struct writer w = writer_of(payload, sizeof payload);
        stream(&w, 0, 1 + 2 * (i % 60000), 1, false);
        frame_write_ping(&w);
        give(p, 0, &w);
        if (i % 100 == 0) pair_send(p, 1), pair_lose(p);
    }
    assert_int_equal(reseal_only(p, 1)->phase, QUIC_UP);
    assert_true(p->side[1].budget.used - held < 2 * STREAM_FIRST + 65536);
    /* The hostile side's own records of what it sent are in here too. */
    assert_true(p->counter.live_bytes - live < 4u << 20);
    assert_true(p->side[1].metrics.value[METRIC_GAPS_REFUSED] > 0);
    pair_free(p);
}

static void test_ack_only_packets_are_never_answered_with_ack_only_packets(void **state)
{
    (void)state;
    struct pair *p = connected();
    uint64_t before = p->side[1].datagrams;
    for (int i = 0; i < 50; i++) {
        uint8_t payload[64];
        struct writer w = writer_of(payload, sizeof payload);
        ack_all(p, &w);
        give(p, 0, &w);
        pair_run(p, 50000);
    }
    assert_int_equal(p->side[1].datagrams, before);
    pair_free(p);
}

static void test_replayed_packets_are_counted_and_change_nothing(void **state)
{
    (void)state;
    struct pair *p = connected();
    uint8_t payload[64], out[200];
    struct writer w = writer_of(payload, sizeof payload);
    stream(&w, 0, 0, 5, false);
    size_t len = reseal_packet(reseal_only(p, 0), PACKET_SHORT, payload, writer_len(&w), 0,
                               p->now_us, out, sizeof out);
    uint64_t before = p->side[1].metrics.value[METRIC_PACKETS_DUPLICATE];
    for (int i = 0; i < 10; i++) pair_inject(p, 1, &p->side[0].address, out, len);
    assert_int_equal(p->side[1].metrics.value[METRIC_PACKETS_DUPLICATE] - before, 9);
    assert_int_equal(p->side[1].conn->streams->receive_used, 5);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_violation_closes_with_its_code),
        cmocka_unit_test(test_a_flood_of_path_challenges_is_answered_once_per_datagram),
        cmocka_unit_test(test_a_flood_of_new_connection_ids_is_bounded_and_closed),
        cmocka_unit_test(test_a_lost_retirement_is_said_again),
        cmocka_unit_test(test_a_flood_of_pings_and_tiny_fragments_holds_little),
        cmocka_unit_test(test_ack_only_packets_are_never_answered_with_ack_only_packets),
        cmocka_unit_test(test_replayed_packets_are_counted_and_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
