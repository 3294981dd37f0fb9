/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_REGRESS_ATTACK_H
#define WEIR_TESTS_REGRESS_ATTACK_H
/* A peer that has the real keys and no scruples. It seals what it likes from any address under
 * numbers of its own; its own engine sends nothing, hears nothing and keeps nothing, so that what
 * grows in the counted allocator is the victim's. Bounds are bytes of that allocator, and counts:
 * datagrams, frames, allocator calls, steps. */
#include "unit/quic/reseal.h"

/* A peer that acknowledges nothing makes us keep a record of each packet, up to sent_packets of
 * limits.def: 16384 of 24 bytes and of some frames, and half as much again while the ring grows. */
enum { ATTACK_RECORDS_BYTES = 2 << 20 };

struct attack {
    struct pair *p;
    int by;               /**< the attacking side; the other one is the victim */
    struct endpoint from; /**< where its datagrams seem to come from */
    struct cid to;        /**< the victim's id that they go to */
    uint64_t number;      /**< of its next packet */
    uint8_t first_bits;   /**< set in the first byte before it is sealed: the key phase */
    const struct protect_keys *keys; /**< NULL: the real ones */
    /* what the victim sent since attack_begin */
    bool look;            /**< open what comes and count its frames */
    struct endpoint watched;
    uint64_t datagrams, bytes, watched_bytes, watched_datagrams, largest;
    uint64_t frames[0x100];
    uint64_t given, given_bytes;
    /* as it was at attack_begin */
    uint64_t live, calls;
};

static inline struct connection *attack_victim(const struct attack *a)
{
    return reseal_only(a->p, 1 - a->by);
}
static inline uint64_t attack_metric(const struct attack *a, enum metric m)
{
    return a->p->side[1 - a->by].metrics.value[m];
}

static inline bool attack_is_up(const struct attack *a)
{
    return attack_victim(a)->phase == QUIC_UP;
}

/* From here on everything is counted. */
static inline void attack_begin(struct attack *a)
{
    struct mem_counter *counter = &a->p->counter;
    a->datagrams = a->bytes = a->watched_bytes = a->watched_datagrams = a->largest = 0;
    a->given = a->given_bytes = 0;
    memset(a->frames, 0, sizeof a->frames);
    a->live = counter->peak_bytes = counter->live_bytes;
    a->calls = counter->calls;
}
/* The most that was held at any time, over what was held before. */
static inline uint64_t attack_peak(const struct attack *a)
{
    return a->p->counter.peak_bytes - a->live;
}
static inline void attack_expect_peak(const struct attack *a, uint64_t bound)
{
    if (attack_peak(a) >= bound)
        fail_msg("held %llu bytes, %llu are allowed", (unsigned long long)attack_peak(a),
                 (unsigned long long)bound);
}
static inline uint64_t attack_calls(const struct attack *a)
{
    return a->p->counter.calls - a->calls;
}

/* A pair that is confirmed and quiet, one side of which turns hostile. */
static inline struct attack attack_on(struct pair *p, int by)
{
    struct attack a = {.p = p, .by = by, .look = true};
    pair_connect(p);
    pair_run(p, 2000000);
    assert_true(reseal_side(p, 0)->confirmed && reseal_side(p, 1)->confirmed);
    a.from = p->side[by].address;
    a.to = reseal_only(p, by)->remote_cid;
    a.number = loss_next_number(&reseal_only(p, by)->loss, LOSS_APPLICATION);
    attack_begin(&a);
    return a;
}
static inline struct attack attack_new(void)
{
    return attack_on(pair_new(NULL, NULL), 0);
}

/* @return bytes of a 1-RTT packet with this payload under the attack's next number */
static inline size_t attack_seal(struct attack *a, const uint8_t *payload, size_t len, uint8_t *out,
                                 size_t cap)
{
    struct connection *c = reseal_only(a->p, a->by);
    struct writer w = writer_of(out, cap);
    size_t header = packet_write_short(&w, &a->to, false, false, a->number, 4);
    assert_true(header > 0 && header + len + PACKET_TAG_LEN <= cap);
    if (len > 0)
        memcpy(out + header, payload, len);
    out[0] |= a->first_bits;
    struct protect_cipher cipher;
    protect_cipher_init(&cipher, a->keys != NULL ? a->keys : &c->keys.write);
    size_t total = packet_seal(&cipher, out, header, a->number++, 4, len);
    protect_cipher_end(&cipher);
    return total;
}

static inline void attack_inject(struct attack *a, const uint8_t *bytes, size_t len)
{
    a->given++;
    a->given_bytes += len;
    pair_inject(a->p, 1 - a->by, &a->from, bytes, len);
}

static inline void attack_give(struct attack *a, struct writer *w)
{
    uint8_t out[2048];
    size_t len = attack_seal(a, w->start, writer_len(w), out, sizeof out);
    attack_inject(a, out, len);
}

static inline void attack_note(void *context, const struct frame *f)
{
    struct attack *a = context;
    a->frames[f->type & 0xff]++;
}

/* What the victim has to send leaves now, is counted, and reaches nobody. @return datagrams */
static inline uint64_t attack_drain(struct attack *a)
{
    static uint8_t buffer[65536];
    struct pair *p = a->p;
    int victim = 1 - a->by;
    uint64_t before = a->datagrams;
    struct datagram_out out = {.data = buffer, .cap = sizeof buffer};
    while (quic_transport.next_datagram(p->side[victim].transport, &out, p->now_us)) {
        for (size_t at = 0; at < out.len; at += out.segment) {
            size_t len = out.len - at < out.segment ? out.len - at : out.segment;
            bool watched = endpoint_equal(&out.remote, &a->watched);
            a->datagrams++;
            a->bytes += len;
            a->watched_datagrams += watched;
            a->watched_bytes += watched ? len : 0;
            if (len > a->largest)
                a->largest = len;
            if (!a->look)
                continue;
            struct connection *c = reseal_only(p, a->by);
            if (attack_is_up(a)) /* so that its short packet numbers are understood */
                c->largest[2] = loss_next_number(&attack_victim(a)->loss, LOSS_APPLICATION) - 1;
            reseal_open(p, a->by, buffer + at, len, attack_note, a);
        }
    }
    pair_ready(p, victim);
    return a->datagrams - before;
}

/* Time passes for the victim alone. @return how often its timer fired */
static inline uint64_t attack_pass(struct attack *a, uint64_t us)
{
    struct pair *p = a->p;
    struct transport *t = p->side[1 - a->by].transport;
    uint64_t until = p->now_us + us, fired = 0;
    (void)attack_drain(a);
    for (uint64_t at; (at = quic_transport.deadline(t)) <= until; fired++) {
        if (at > p->now_us)
            p->now_us = at;
        quic_transport.on_deadline(t, p->now_us);
        (void)attack_drain(a);
        assert_true(fired < 1000000);
    }
    p->now_us = until;
    return fired;
}

/* One ACK frame for what the victim sent, [first, last]. */
static inline void attack_ack(struct writer *w, uint64_t first, uint64_t last)
{
    struct range range = {first, last + 1};
    assert_true(frame_write_ack(w, &range, 1, 1, 0, NULL));
}
static inline uint64_t attack_next_number(const struct attack *a)
{
    return loss_next_number(&attack_victim(a)->loss, LOSS_APPLICATION);
}

/* A stream of the victim's that always has bytes to send. */
static inline struct stream *attack_feed(const struct attack *a)
{
    static const uint8_t zeros[65536];
    int error;
    struct stream *s = streams_open_local(&attack_victim(a)->base, false, 3, &error);
    assert_non_null(s);
    (void)stream_write(s, zeros, sizeof zeros, false, false, a->p->now_us);
    quic_transport.on_turn(a->p->side[1 - a->by].transport, a->p->now_us);
    return s;
}

/* The victim is as good as before: an honest round trip from the attacker's place. */
static inline void attack_expect_alive(struct attack *a)
{
    uint8_t payload[8];
    struct writer w = writer_of(payload, sizeof payload);
    uint64_t acks = a->frames[FRAME_ACK] + a->frames[FRAME_ACK_ECN];
    bool look = a->look;
    a->look = true;
    assert_true(attack_is_up(a));
    frame_write_ping(&w);
    attack_give(a, &w);
    (void)attack_pass(a, 100000);
    assert_true(a->frames[FRAME_ACK] + a->frames[FRAME_ACK_ECN] > acks);
    a->look = look;
}

static inline void attack_expect_closed(const struct attack *a, uint64_t code)
{
    const struct connection *c = attack_victim(a);
    assert_int_equal(c->phase, QUIC_CLOSING);
    assert_int_equal(c->close_code, code);
}

static inline void attack_end(struct attack *a)
{
    pair_free(a->p);
}
#endif
