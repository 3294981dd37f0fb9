/* SPDX-License-Identifier: MIT */
/* Goal: what comes before and around the end of a handshake, in any order and from anybody, neither
 * stays in memory nor moves a state. Method: the dialler's side is held back and played by hand:
 * with its real keys (reseal.h), or with those that anybody on the path has (forge.h). */
#include "attack.h"
#include "unit/quic/forge.h"

static bool hold_dialler(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    (void)p;
    (void)bytes;
    (void)len;
    return from == 1 || n == 0; /* message 3 never leaves by itself */
}

/* The listener waits for message 3, of which the dialler has the keys. */
static struct pair *half_open(void)
{
    struct pair *p = pair_new(NULL, NULL);
    p->filter = hold_dialler;
    (void)pair_dial(p);
    pair_run(p, 3 * p->delay_us);
    assert_int_equal(reseal_only(p, 1)->phase, QUIC_HANDSHAKING);
    assert_non_null(reseal_only(p, 0)->hs->adopted);
    p->counter.peak_bytes = p->counter.live_bytes;
    return p;
}

/* CVE-2024-1765 (quiche), GO-2023-2045 (Go crypto/tls). */
static void test_crypto_after_the_handshake_closes_and_holds_nothing(void **state)
{
    static const uint64_t offsets[] = {0, 1, 2000, 1 << 20, VARINT_MAX - 1000};
    (void)state;
    for (int by = 0; by < 2; by++) {
        for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
            struct attack a = attack_on(pair_new(NULL, NULL), by);
            static const uint8_t bytes[1000];
            uint8_t payload[1200];
            struct writer w = writer_of(payload, sizeof payload);
            assert_true(frame_write_crypto(&w, offsets[i], bytes, sizeof bytes));
            attack_give(&a, &w);
            attack_expect_closed(&a, QUIC_PROTOCOL_VIOLATION);
            attack_expect_peak(&a, 32768);
            attack_end(&a);
        }
    }
}

/* GHSA-9q54-f358-3fqf (s2n-quic), xquic 2026: one packet of 1200 bytes cost megabytes. */
static void test_crypto_in_fragments_and_far_away_costs_little(void **state)
{
    (void)state;
    for (uint64_t step = 2; step <= 64; step *= 2) {
        struct pair *p = half_open();
        uint64_t live = p->counter.live_bytes;
        static const uint8_t x = 'x';
        for (uint64_t at = 1; at < 2050;) {
            uint8_t payload[1200];
            struct writer w = writer_of(payload, sizeof payload);
            for (; at < 2050 && writer_room(&w) > 8; at += step) frame_write_crypto(&w, at, &x, 1);
            reseal_give(p, 0, PACKET_HANDSHAKE, payload, writer_len(&w));
        }
        assert_int_equal(reseal_only(p, 1)->phase, QUIC_HANDSHAKING);
        assert_true(p->counter.peak_bytes - live < 16384);
        pair_free(p);
    }
    struct pair *p = half_open();
    uint64_t live = p->counter.live_bytes;
    static const uint8_t bytes[1000];
    uint8_t payload[1200];
    struct writer w = writer_of(payload, sizeof payload);
    frame_write_crypto(&w, UINT64_C(9400000), bytes, sizeof bytes);
    reseal_give(p, 0, PACKET_HANDSHAKE, payload, writer_len(&w));
    assert_int_equal(reseal_only(p, 1)->close_code, QUIC_CRYPTO_BUFFER_EXCEEDED);
    assert_true(p->counter.peak_bytes - live < 16384);
    pair_free(p);
}

/* CVE-2025-54939 (lsquic, "QUIC-LEAK"). */
static void test_coalesced_packets_with_other_ids_leave_nothing(void **state)
{
    enum { DATAGRAMS = 5000 };
    (void)state;
    struct pair *p = half_open();
    struct connection *c = reseal_only(p, 1), *from = reseal_only(p, 0);
    uint64_t live = p->counter.live_bytes, calls = p->counter.calls;
    for (unsigned i = 0; i < DATAGRAMS; i++) {
        uint8_t out[1400];
        rng_fill(&p->rng, out, sizeof out);
        struct writer w = writer_of(out, sizeof out);
        for (unsigned n = 0; n < 8; n++) {
            struct cid other = n == 0 ? from->remote_cid : forge_cid(p);
            size_t at = writer_len(&w);
            enum packet_type type = n % 2 == 0 ? PACKET_HANDSHAKE : PACKET_INITIAL;
            size_t header = packet_write_long(&w, type, PACKET_VERSION, &other, &from->local_cid,
                                              NULL, 0, i, 4);
            assert_true(header > 0);
            packet_finish_long(out + at, header, 4, 80);
            writer_zero(&w, 80 + PACKET_TAG_LEN);
            assert_false(w.full);
        }
        /* And a short one at the end, for an id that nobody has. */
        out[writer_len(&w)] = 0x40;
        pair_inject(p, 1, &p->side[0].address, out, sizeof out);
    }
    assert_int_equal(c->hs->early_count, 0);
    assert_true(p->counter.peak_bytes - live < 4096);
    assert_true(p->counter.calls - calls < 100);
    /* The handshake still comes to its end. */
    p->filter = NULL;
    pair_run(p, 5000000);
    assert_true(pair_agrees(p));
    pair_free(p);
}

/* Early 1-RTT packets are kept sealed: a few, and charged. */
static void test_packets_before_their_keys_are_kept_by_count(void **state)
{
    (void)state;
    struct pair *p = half_open();
    uint64_t live = p->counter.live_bytes;
    for (unsigned i = 0; i < 5000; i++) {
        uint8_t out[1400];
        rng_fill(&p->rng, out, sizeof out);
        out[0] = 0x40;
        memcpy(out + 1, reseal_only(p, 0)->remote_cid.bytes, CID_LOCAL_LEN);
        pair_inject(p, 1, &p->side[0].address, out, sizeof out);
    }
    assert_int_equal(reseal_only(p, 1)->hs->early_count, QUIC_EARLY_MAX);
    assert_true(p->counter.peak_bytes - live <= QUIC_EARLY_MAX * 1400 + 1024);
    p->filter = NULL;
    pair_run(p, 5000000);
    assert_true(pair_agrees(p));
    pair_free(p);
}

/* GHSA-xh5m-8qqp-c5x7 (msquic): Version Negotiation reached a server's connection. */
static void test_version_negotiation_towards_a_server_is_dropped(void **state)
{
    (void)state;
    struct pair *p = half_open();
    struct connection *c = reseal_only(p, 1), *from = reseal_only(p, 0);
    uint64_t calls = p->counter.calls, sent = p->side[1].datagrams;
    for (unsigned i = 0; i < 1000; i++) {
        uint8_t out[1300] = {0};
        struct writer w = writer_of(out, sizeof out);
        struct cid to = i % 2 == 0 ? from->remote_cid : forge_cid(p);
        assert_true(packet_write_version_negotiation(&w, to.bytes, to.len, from->local_cid.bytes,
                                                     from->local_cid.len, i) > 0);
        pair_inject(p, 1, &p->side[0].address, out, i % 4 < 2 ? writer_len(&w) : sizeof out);
    }
    pair_send(p, 1);
    assert_int_equal(p->side[1].datagrams, sent);
    assert_int_equal(p->counter.calls, calls);
    assert_int_equal(c->phase, QUIC_HANDSHAKING);
    pair_free(p);
}

/* CVE-2025-59530 (quic-go). */
static void test_handshake_done_before_its_time_confirms_once_or_violates(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    p->filter = hold_dialler;
    (void)pair_dial(p);
    pair_run(p, 3 * p->delay_us);
    struct connection *c = reseal_only(p, 0);
    assert_int_equal(c->phase, QUIC_UP);
    assert_false(c->confirmed);
    /* In a Handshake packet of the listener, who has forgotten nothing yet. */
    uint8_t payload[64], out[1500];
    struct writer w = writer_of(payload, sizeof payload);
    frame_write_handshake_done(&w);
    size_t len = reseal_packet(reseal_only(p, 1), PACKET_HANDSHAKE, payload, writer_len(&w), 0,
                               p->now_us, out, sizeof out);
    pair_inject(p, 0, &p->side[1].address, out, len);
    assert_int_equal(c->close_code, QUIC_PROTOCOL_VIOLATION);
    pair_free(p);
    /* Again and again in 1-RTT packets: once confirmed, it changes nothing. */
    struct attack a = attack_on(pair_new(NULL, NULL), 1);
    for (unsigned i = 0; i < 1000; i++) {
        w = writer_of(payload, sizeof payload);
        for (unsigned n = 0; n < 40; n++) frame_write_handshake_done(&w);
        attack_give(&a, &w);
        (void)attack_pass(&a, 1000);
    }
    attack_expect_peak(&a, 131072);
    attack_expect_alive(&a);
    attack_end(&a);
}

/* CVE-2023-46239 (quic-go), CVE-2023-42805 (quinn): an ACK, and unknown frames, in the packet that
 * completes the handshake. */
static void test_an_ack_in_the_completing_packet_is_harmless(void **state)
{
    (void)state;
    for (unsigned variant = 0; variant < 3; variant++) {
        struct pair *p = half_open();
        const uint8_t *data;
        uint8_t payload[2000];
        struct writer w = writer_of(payload, sizeof payload);
        size_t len = noise_handshake.bytes(reseal_only(p, 0)->hs->adopted->handshake,
                                           HANDSHAKE_HANDSHAKE, &data);
        if (variant == 0) attack_ack(&w, 0, 0);
        assert_true(frame_write_crypto(&w, 0, data, len));
        for (unsigned n = 0; n < 20; n++) attack_ack(&w, 0, variant == 1 ? 0 : VARINT_MAX);
        if (variant == 2) writer_varint(&w, 0x4052);
        reseal_give(p, 0, PACKET_HANDSHAKE, payload, writer_len(&w));
        assert_true(p->side[1].up);
        assert_int_equal(reseal_only(p, 1)->phase, QUIC_UP);
        assert_null(reseal_only(p, 1)->hs);
        pair_free(p);
    }
}

/* CVE-2024-45311 (quinn). Retry from anybody, twice, late, and towards a server. */
static bool answer_with_retries(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    struct forge_first f;
    if (from != 0 || n > 3 || (bytes[0] & 0xf0) != 0xc0) return from != 0;
    forge_read_first(bytes, len, &f);
    for (unsigned i = 0; i < 100; i++) {
        uint8_t out[200];
        struct writer w = writer_of(out, sizeof out);
        struct cid scid = i % 10 == 0 ? f.dcid : forge_cid(p);
        size_t made = packet_write_retry(&w, &f.scid, &scid, (const uint8_t *)"token", 5, &f.dcid);
        if (i % 3 == 1) out[made - 1] ^= 1;
        pair_post(p, 0, &p->side[1].address, out, made, p->now_us + 1 + i);
        pair_post(p, 1, &p->side[0].address, out, made, p->now_us + 1 + i);
    }
    return false;
}

static void test_retries_are_followed_once_and_never_by_a_server(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    p->filter = answer_with_retries;
    (void)pair_dial(p);
    uint64_t live = p->counter.live_bytes;
    p->counter.peak_bytes = live;
    pair_run(p, 3000000);
    assert_true(reseal_only(p, 0)->hs->has_retry);
    assert_in_range(p->side[0].datagrams, 2, 12); /* one more for the Retry, the rest are PTOs */
    assert_int_equal(p->side[1].datagrams, 0);
    assert_true(p->counter.peak_bytes - live < 16384);
    pair_run(p, 60000000);
    assert_true(p->side[0].ended);
    pair_free(p);
    /* Late, and to a server's own id. */
    p = half_open();
    struct connection *c = reseal_only(p, 0);
    struct cid before = c->remote_cid;
    for (int to = 0; to < 2; to++) {
        uint8_t out[200];
        struct writer w = writer_of(out, sizeof out);
        struct cid scid = forge_cid(p);
        size_t made = packet_write_retry(&w, to == 0 ? &c->local_cid : &c->remote_cid, &scid,
                                         (const uint8_t *)"token", 5, &c->hs->original_dcid);
        pair_inject(p, to, &p->side[1 - to].address, out, made);
    }
    assert_true(cid_equal(&before, &c->remote_cid));
    p->filter = NULL;
    pair_run(p, 5000000);
    assert_true(pair_agrees(p));
    pair_free(p);
}

/* GHSA-fr44-546p-7xcp (msquic), CVE-2026-31812 (quinn), CVE-2026-40170 (ngtcp2). */
static void test_transport_parameters_that_are_wrong_twice_or_long_are_refused(void **state)
{
    static const struct {
        const char *name;
        uint64_t id, value;
        unsigned times;
        int result;
    } rows[] = {
        {"an idle timeout twice", 0x01, 5, 2, QUIC_TRANSPORT_PARAMETER},
        {"a payload size of 0", 0x03, 0, 1, QUIC_TRANSPORT_PARAMETER},
        {"a payload size of 1", 0x03, 1, 1, QUIC_TRANSPORT_PARAMETER},
        {"a payload size of 1199", 0x03, 1199, 1, QUIC_TRANSPORT_PARAMETER},
        {"a payload size of 1200", 0x03, 1200, 1, QUIC_NO_ERROR},
        {"streams over 2^60", 0x08, (UINT64_C(1) << 60) + 1, 1, QUIC_TRANSPORT_PARAMETER},
        {"an exponent of 21", 0x0a, 21, 1, QUIC_TRANSPORT_PARAMETER},
        {"a delay of 2^14 ms", 0x0b, 1 << 14, 1, QUIC_TRANSPORT_PARAMETER},
        {"an id limit of 1", 0x0e, 1, 1, QUIC_TRANSPORT_PARAMETER},
        {"the largest of everything", 0x04, VARINT_MAX, 1, QUIC_NO_ERROR},
        {"an id limit of 2^62 - 1", 0x0e, VARINT_MAX, 1, QUIC_NO_ERROR},
        {"an unknown one, a hundred times", 0x1f5b, 3, 100, QUIC_NO_ERROR},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t bytes[1024];
        struct params params;
        struct writer w = writer_of(bytes, sizeof bytes);
        for (unsigned n = 0; n < rows[i].times; n++) {
            writer_varint(&w, rows[i].id);
            writer_varint(&w, varint_size(rows[i].value));
            writer_varint(&w, rows[i].value);
        }
        int got = params_decode(bytes, writer_len(&w), false, &params);
        if (got != rows[i].result) fail_msg("%s: %d", rows[i].name, got);
    }
    /* One value that claims to be longer than all that came, and one that fills the whole. */
    uint8_t bytes[1024] = {0x40, 0x7f, 0x43, 0xfc};
    struct params params;
    assert_int_equal(params_decode(bytes, 1023, false, &params), QUIC_TRANSPORT_PARAMETER);
    assert_int_equal(params_decode(bytes, 1024, false, &params), QUIC_NO_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crypto_after_the_handshake_closes_and_holds_nothing),
        cmocka_unit_test(test_crypto_in_fragments_and_far_away_costs_little),
        cmocka_unit_test(test_coalesced_packets_with_other_ids_leave_nothing),
        cmocka_unit_test(test_packets_before_their_keys_are_kept_by_count),
        cmocka_unit_test(test_version_negotiation_towards_a_server_is_dropped),
        cmocka_unit_test(test_handshake_done_before_its_time_confirms_once_or_violates),
        cmocka_unit_test(test_an_ack_in_the_completing_packet_is_harmless),
        cmocka_unit_test(test_retries_are_followed_once_and_never_by_a_server),
        cmocka_unit_test(test_transport_parameters_that_are_wrong_twice_or_long_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
