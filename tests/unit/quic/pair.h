/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_UNIT_QUIC_PAIR_H
#define WEIR_TESTS_UNIT_QUIC_PAIR_H
/* Two UDP transports on one virtual clock, with a wire between them that a test can tap: for the
 * transport alone, without node or world. Datagrams take delay_us; `filter` may drop, change, hold
 * back or double each one. */
#include "base/budget.h"
#include "base/rng.h"
#include "crypto/secret.h"
#include "quic/quic.h"
#include "transport/stream.h"
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { PAIR_FLIGHT_MAX = 65536 };
struct pair_datagram {
    uint64_t at_us, sequence;
    int to;
    uint8_t ecn;
    struct endpoint from;
    size_t len;
    uint8_t *bytes;
};
struct pair_side {
    struct transport *transport;
    struct transport_env env;
    struct budget budget;
    struct metrics metrics;
    struct log log;
    struct limits limits;
    struct key_pair key;
    struct entropy entropy;
    struct endpoint address; /* where others see it; a test may change it, as a NAT does */
    struct endpoint inside;  /* where it sees itself */
    struct transport_conn *conn; /* the newest that came up */
    bool up, ended, freed;
    uint64_t moves; /* CONN_PENDING_MOVED */
    uint64_t datagrams, bytes;
    uint64_t largest;   /* bytes of the largest datagram sent */
    uint64_t ups, ends; /* how many connections came up, ended */
    int end_error;      /* of the last that ended */
    uint32_t end_reason;
    uint8_t end_by;
};
struct pair {
    struct mem_counter counter;
    struct pair_side side[2];
    uint64_t now_us, delay_us, sequence, entropy_counter;
    struct pair_datagram *flight;
    size_t flight_count, flight_capacity;
    uint8_t hash_key[16];
    /* @return false: drop. It may change the bytes and set extra_us. n counts datagrams of that
     * side from 0 */
    bool (*filter)(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len);
    void *context;
    uint64_t extra_us; /* what the filter adds to delay_us for this datagram */
    uint8_t ecn;       /* its mark, which the filter may change */
    struct endpoint to, from; /* its addresses; the filter may change from */
    const struct datagram_out *out; /* the run that it is part of */
    bool routed;       /* what is sent to an address that the other side does not have is lost */
    bool sweep;        /* as node does: remove streams that are over, free connections that ended */
    struct rng rng;
    uint64_t steps;
};

static inline void pair_fill(void *context, void *out, size_t len)
{
    struct pair *p = context;
    uint8_t *bytes = out;
    for (size_t i = 0; i < len; i++) {
        p->entropy_counter =
            p->entropy_counter * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        bytes[i] = (uint8_t)(p->entropy_counter >> 33);
    }
}

static inline void pair_open_transport(struct pair *p, int i)
{
    assert_int_equal(quic_transport.open(&p->side[i].env, &p->side[i].transport), 0);
}

static inline void pair_open_side(struct pair *p, int i, const struct limits *limits)
{
    struct pair_side *s = &p->side[i];
    uint8_t seed[32];
    memset(seed, 'A' + i, sizeof seed);
    key_pair_from_seed(&s->key, seed);
    if (limits != NULL)
        s->limits = *limits;
    else
        limits_derive(&s->limits, 0, 0);
    budget_init(&s->budget, NULL, LIMIT_SCOPE_NODE, LIMIT_NODE_MEMORY,
                s->limits.value[LIMIT_NODE_MEMORY], s);
    log_init(&s->log, &p->counter.mem, 64, LOG_DEBUG);
    s->entropy = (struct entropy){pair_fill, p};
    s->address = s->inside = endpoint_ip4(10, 0, 0, (uint8_t)(i + 1), 4000);
    s->env = (struct transport_env){.mem = &p->counter.mem,
                                    .budget = &s->budget,
                                    .metrics = &s->metrics,
                                    .log = &s->log,
                                    .limits = &s->limits,
                                    .entropy = &s->entropy,
                                    .key = &s->key,
                                    .hash_key = p->hash_key,
                                    .network = ""};
    pair_open_transport(p, i);
}

static inline struct pair *pair_new(const struct limits *client, const struct limits *server)
{
    struct pair *p = calloc(1, sizeof *p);
    assert_non_null(p);
    assert_int_equal(secret_init(), 0);
    mem_counter_init(&p->counter, mem_system());
    p->now_us = 1000000;
    p->delay_us = 10000;
    p->entropy_counter = 42;
    rng_init(&p->rng, 1, "wire", 0);
    memcpy(p->hash_key, "0123456789abcdef", 16);
    pair_open_side(p, 0, client);
    pair_open_side(p, 1, server);
    return p;
}

/* What is on the wire is lost. */
static inline void pair_lose(struct pair *p)
{
    for (size_t i = 0; i < p->flight_count; i++)
        free(p->flight[i].bytes);
    p->flight_count = 0;
}

static inline void pair_free(struct pair *p)
{
    for (int i = 0; i < 2; i++) {
        quic_transport.close(p->side[i].transport);
        log_free(&p->side[i].log);
        assert_int_equal(p->side[i].budget.used, 0);
    }
    pair_lose(p);
    free(p->flight);
    assert_int_equal(p->counter.live_bytes, 0);
    free(p);
}

static inline void pair_sweep_streams(struct transport_conn *c)
{
    struct stream *s;
    while ((s = streams_next_dirty(c)) != NULL) {
        uint8_t pending = s->pending;
        s->pending = 0;
        if ((pending & STREAM_PENDING_OVER) != 0)
            streams_remove(s);
    }
}

static inline void pair_end(struct pair *p, int i, struct transport_conn *c)
{
    struct pair_side *s = &p->side[i];
    s->ended = true;
    s->ends++;
    s->end_error = c->end != NULL ? c->end->error : 0;
    s->end_reason = c->end != NULL ? c->end->reason : 0;
    s->end_by = c->end != NULL ? c->end->by : 0;
    if (!p->sweep)
        return;
    if (s->conn == c)
        s->conn = NULL;
    quic_transport.conn_free(c);
}

/* What node would do with connections that have something to tell. */
static inline void pair_ready(struct pair *p, int i)
{
    struct transport_conn *c;
    while ((c = transport_next_ready(p->side[i].transport)) != NULL) {
        uint8_t pending = c->pending;
        c->pending = 0;
        if ((pending & CONN_PENDING_MOVED) != 0)
            p->side[i].moves++;
        if ((pending & CONN_PENDING_UP) != 0) {
            p->side[i].conn = c;
            p->side[i].up = true;
            p->side[i].ups++;
        }
        if (p->sweep)
            pair_sweep_streams(c);
        if ((pending & CONN_PENDING_ENDED) != 0)
            pair_end(p, i, c);
    }
}

/* Put a datagram on the wire to a side, to arrive at at_us. */
static inline void pair_post(struct pair *p, int to, const struct endpoint *from,
                             const uint8_t *bytes, size_t len, uint64_t at_us)
{
    assert_true(p->flight_count < PAIR_FLIGHT_MAX);
    if (p->flight_count == p->flight_capacity) {
        p->flight_capacity = p->flight_capacity == 0 ? 64 : 2 * p->flight_capacity;
        p->flight = realloc(p->flight, p->flight_capacity * sizeof *p->flight);
        assert_non_null(p->flight);
    }
    struct pair_datagram *d = &p->flight[p->flight_count++];
    d->bytes = malloc(len + 1);
    assert_non_null(d->bytes);
    if (len > 0)
        memcpy(d->bytes, bytes, len);
    d->len = len;
    d->to = to;
    d->ecn = p->ecn;
    d->from = *from;
    d->at_us = at_us;
    d->sequence = p->sequence++;
}

static inline void pair_send_one(struct pair *p, int i, const struct datagram_out *out,
                                 uint8_t *bytes, size_t len)
{
    struct pair_side *s = &p->side[i];
    uint64_t n = s->datagrams++;
    s->bytes += len;
    if (len > s->largest)
        s->largest = len;
    p->extra_us = 0;
    p->out = out;
    p->ecn = out->ecn;
    p->to = out->remote;
    p->from = s->address;
    if ((p->filter == NULL || p->filter(p, i, n, bytes, len)) &&
        (!p->routed || endpoint_equal(&p->to, &p->side[1 - i].address)))
        pair_post(p, 1 - i, &p->from, bytes, len, p->now_us + p->delay_us + p->extra_us);
    p->ecn = 0;
}

static inline void pair_send(struct pair *p, int i)
{
    static uint8_t buffer[65536];
    struct datagram_out out;
    memset(&out, 0, sizeof out);
    out.data = buffer;
    out.cap = sizeof buffer;
    while (quic_transport.next_datagram(p->side[i].transport, &out, p->now_us)) {
        for (size_t at = 0; at < out.len; at += out.segment) {
            size_t len = out.len - at < out.segment ? out.len - at : out.segment;
            pair_send_one(p, i, &out, buffer + at, len);
        }
    }
    pair_ready(p, i);
}

static inline void pair_deliver(struct pair *p, const struct pair_datagram *d)
{
    struct datagram_in in = {.local = p->side[d->to].inside,
                             .remote = d->from,
                             .ecn = d->ecn,
                             .data = d->bytes,
                             .len = d->len};
    quic_transport.on_datagram(p->side[d->to].transport, &in, p->now_us);
    pair_ready(p, d->to);
}

static inline void pair_turn(struct pair *p)
{
    for (int i = 0; i < 2; i++) {
        quic_transport.on_turn(p->side[i].transport, p->now_us);
        pair_send(p, i);
    }
}

/* One step of virtual time, at most to `until`. @return false when it was reached */
static inline bool pair_step(struct pair *p, uint64_t until)
{
    uint64_t at = until, before = p->now_us;
    size_t next = SIZE_MAX;
    for (size_t i = 0; i < p->flight_count; i++) {
        const struct pair_datagram *d = &p->flight[i];
        if (next == SIZE_MAX
                ? d->at_us > at
                : d->at_us > p->flight[next].at_us ||
                      (d->at_us == p->flight[next].at_us && d->sequence > p->flight[next].sequence))
            continue;
        next = i;
        at = d->at_us;
    }
    int timer = -1;
    for (int i = 0; i < 2; i++) {
        uint64_t due = quic_transport.deadline(p->side[i].transport);
        if (due < at) {
            at = due;
            timer = i;
        }
    }
    if (timer < 0 && next == SIZE_MAX) {
        p->now_us = until;
        return false;
    }
    if (at > p->now_us)
        p->now_us = at;
    if (timer >= 0) {
        quic_transport.on_deadline(p->side[timer].transport, p->now_us);
    } else {
        struct pair_datagram d = p->flight[next];
        p->flight[next] = p->flight[--p->flight_count];
        pair_deliver(p, &d);
        free(d.bytes);
    }
    for (int i = 0; i < 2; i++)
        pair_send(p, i);
    /* A timer that fires without end would stand still in virtual time and spin in the real one. */
    p->steps = p->now_us == before ? p->steps + 1 : 0;
    assert_true(p->steps < 100000);
    return true;
}

static inline void pair_run(struct pair *p, uint64_t us)
{
    uint64_t until = p->now_us + us;
    pair_turn(p);
    while (p->now_us < until && pair_step(p, until)) {
    }
}

/* Bytes arrive at a side now, from any address. */
static inline void pair_inject(struct pair *p, int to, const struct endpoint *from,
                               const uint8_t *bytes, size_t len)
{
    struct pair_datagram d = {.to = to, .from = *from, .len = len, .bytes = malloc(len + 1)};
    assert_non_null(d.bytes);
    if (len > 0)
        memcpy(d.bytes, bytes, len);
    pair_deliver(p, &d);
    free(d.bytes);
}

/* The node of a side restarts: everything but its key and address is new. */
static inline void pair_restart(struct pair *p, int i)
{
    quic_transport.close(p->side[i].transport);
    p->side[i].conn = NULL;
    p->side[i].up = false;
    pair_open_transport(p, i);
}

/* Whether the connection's peer is that one. */
static inline bool pair_knows(const struct transport_conn *c, const struct peer_id *peer)
{
    const uint8_t *key = quic_transport.conn_peer_key(c);
    return key != NULL && memcmp(key, peer_id_key(peer), 32) == 0;
}

/* Whether both sides hold the keys of the same connection. */
static inline bool pair_agrees(struct pair *p)
{
    return p->side[0].up && p->side[1].up && pair_knows(p->side[0].conn, &p->side[1].key.id) &&
           pair_knows(p->side[1].conn, &p->side[0].key.id);
}

static inline struct transport_conn *pair_dial(struct pair *p)
{
    struct transport_dial dial = {.remote = p->side[1].address, .expected = p->side[1].key.id};
    struct transport_conn *c = NULL;
    assert_int_equal(quic_transport.dial(p->side[0].transport, &dial, p->now_us, &c), 0);
    p->side[0].conn = c;
    pair_send(p, 0);
    return c;
}

static inline void pair_connect(struct pair *p)
{
    (void)pair_dial(p);
    uint64_t until = p->now_us + 60000000;
    while (!(p->side[0].up && p->side[1].up) && p->now_us < until && pair_step(p, until)) {
    }
    assert_true(p->side[0].up && p->side[1].up);
}
#endif
