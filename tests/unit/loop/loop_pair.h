/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_LOOP_LOOP_PAIR_H
#define TESTS_UNIT_LOOP_LOOP_PAIR_H
/* Two in-memory transports and what node would do with them: facts are fetched and noted, streams
 * that are over are removed. Datagrams are carried by hand; each crossing takes LATENCY_US. */
#include "base/rng.h"
#include "loop/loop_conn.h"
#include <string.h>

enum { LATENCY_US = 5000, START_US = 1000000, DATAGRAM_CAP = 65536, STREAMS_SEEN_MAX = 64 };

struct side {
    struct mem_counter counter;
    struct budget budget;
    struct metrics metrics;
    struct log log;
    struct limits limits;
    struct key_pair key;
    uint8_t hash_key[16];
    struct transport_env env;
    struct transport *t;
    struct endpoint at;
    struct transport_conn *conn;             /* the last one that node heard of */
    struct stream *opened[STREAMS_SEEN_MAX]; /* by the peer */
    unsigned up, ended, opened_count, over, room, resets, stops, writable;
    uint32_t reset_code, stop_code;
    struct conn_end end;
    bool free_ended; /* conn_free as soon as the end was seen */
};
struct pair {
    struct side a, b;
    uint64_t now_us;
    unsigned crossed; /* datagrams */
    uint8_t bytes[DATAGRAM_CAP];
};

static inline void side_init(struct side *s, uint8_t number)
{
    uint8_t seed[32] = {number, 7, 7};
    memset(s, 0, sizeof *s);
    mem_counter_init(&s->counter, mem_system());
    limits_derive(&s->limits, 0, 0);
    budget_init(&s->budget, NULL, LIMIT_SCOPE_NODE, LIMIT_NODE_MEMORY,
                s->limits.value[LIMIT_NODE_MEMORY], s);
    log_init(&s->log, &s->counter.mem, 16, LOG_ERROR);
    key_pair_from_seed(&s->key, seed);
    memset(s->hash_key, number, sizeof s->hash_key);
    s->at = endpoint_memory(number);
    s->env = (struct transport_env){.mem = &s->counter.mem,
                                    .budget = &s->budget,
                                    .metrics = &s->metrics,
                                    .log = &s->log,
                                    .limits = &s->limits,
                                    .key = &s->key,
                                    .hash_key = s->hash_key,
                                    .network = ""};
}

static inline void side_open(struct side *s)
{
    assert_int_equal(loop_transport.open(&s->env, &s->t), 0);
}

/* Nothing may be left: no byte, no charge. */
static inline void side_close(struct side *s)
{
    loop_transport.close(s->t);
    log_free(&s->log);
    assert_int_equal(s->counter.live_bytes, 0);
    assert_int_equal(s->counter.live_blocks, 0);
    assert_int_equal(s->metrics.value[METRIC_CONNECTIONS_OPEN], 0);
    assert_int_equal(s->metrics.value[METRIC_STREAMS_OPEN], 0);
    budget_end(&s->budget);
}

static inline void side_stream(struct side *s, struct stream *stream)
{
    unsigned facts = stream->pending;
    stream->pending = 0;
    if ((facts & STREAM_PENDING_OPENED) != 0 && s->opened_count < STREAMS_SEEN_MAX)
        s->opened[s->opened_count++] = stream;
    if ((facts & STREAM_PENDING_WRITABLE) != 0)
        s->writable++;
    if ((facts & STREAM_PENDING_RESET) != 0) {
        s->resets++;
        s->reset_code = stream->in.reset_code;
    }
    if ((facts & STREAM_PENDING_STOPPED) != 0) {
        s->stops++;
        s->stop_code = stream->out.stop_code;
    }
    if ((facts & STREAM_PENDING_OVER) != 0) {
        s->over++;
        streams_remove(stream);
    }
}

/* What node does after every input. */
static inline void side_look(struct side *s)
{
    struct transport_conn *c;
    struct stream *stream;
    while ((c = transport_next_ready(s->t)) != NULL) {
        unsigned facts = c->pending;
        c->pending = 0;
        s->conn = c;
        if ((facts & CONN_PENDING_UP) != 0)
            s->up++;
        if ((facts & CONN_PENDING_OPEN_ROOM) != 0)
            s->room++;
        while ((stream = streams_next_dirty(c)) != NULL)
            side_stream(s, stream);
        if ((facts & CONN_PENDING_ENDED) == 0)
            continue;
        s->ended++;
        memset(&s->end, 0, sizeof s->end);
        if (c->end != NULL)
            s->end = *c->end;
        if (s->free_ended) {
            loop_transport.conn_free(c);
            s->conn = NULL;
        }
    }
}

static inline void pair_init(struct pair *p)
{
    memset(p, 0, sizeof *p);
    side_init(&p->a, 1);
    side_init(&p->b, 2);
    p->a.free_ended = p->b.free_ended = true;
    p->now_us = START_US;
}

static inline void pair_open(struct pair *p)
{
    side_open(&p->a);
    side_open(&p->b);
}

static inline void pair_close(struct pair *p)
{
    side_close(&p->a);
    side_close(&p->b);
}

/* The next datagram of a side, in p->bytes. @return its length, 0: none */
static inline size_t pair_take(struct pair *p, struct side *from, struct datagram_out *out)
{
    *out = (struct datagram_out){.data = p->bytes, .cap = sizeof p->bytes};
    if (!loop_transport.next_datagram(from->t, out, p->now_us))
        return 0;
    assert_int_equal(out->len, out->segment);
    assert_true(out->len > 0 && out->len <= LOOP_DATAGRAM_MAX);
    return out->len;
}

static inline void pair_give(struct pair *p, const struct side *from, struct side *to,
                             uint8_t *data, size_t len)
{
    struct datagram_in in = {
        .local = to->at, .remote = from->at, .socket = 9, .data = data, .len = len};
    loop_transport.on_datagram(to->t, &in, p->now_us);
    side_look(to);
}

/* Everything that one side has to say crosses. @return datagrams */
static inline unsigned pair_cross(struct pair *p, struct side *from)
{
    struct side *to = from == &p->a ? &p->b : &p->a;
    struct datagram_out out;
    size_t lens[256], len;
    uint8_t *copies[256];
    unsigned count = 0;
    while (count < 256 && (len = pair_take(p, from, &out)) > 0) {
        assert_true(endpoint_equal(&out.remote, &to->at));
        copies[count] = malloc(len);
        memcpy(copies[count], p->bytes, len);
        lens[count++] = len;
    }
    side_look(from);
    p->now_us += LATENCY_US;
    for (unsigned i = 0; i < count; i++) {
        pair_give(p, from, to, copies[i], lens[i]);
        free(copies[i]);
    }
    p->crossed += count;
    return count;
}

/* To and fro until both are silent. */
static inline void pair_settle(struct pair *p)
{
    for (int i = 0; i < 10000; i++) {
        unsigned count = pair_cross(p, &p->a);
        count += pair_cross(p, &p->b);
        if (count == 0)
            return;
    }
    fail_msg("the two sides never fall silent");
}

/* Both applications come back to poll. */
static inline void pair_turn(struct pair *p)
{
    loop_transport.on_turn(p->a.t, p->now_us);
    loop_transport.on_turn(p->b.t, p->now_us);
    pair_settle(p);
}

static inline struct transport_conn *pair_dial(struct pair *p, const struct peer_id *expected)
{
    struct transport_dial dial = {.remote = p->b.at, .socket = 3};
    struct transport_conn *c = NULL;
    if (expected != NULL)
        dial.expected = *expected;
    assert_int_equal(loop_transport.dial(p->a.t, &dial, p->now_us, &c), 0);
    return c;
}

/* A connection that is up on both sides. */
static inline void pair_connect(struct pair *p)
{
    pair_dial(p, NULL);
    pair_settle(p);
    assert_int_equal(p->a.up, 1);
    assert_int_equal(p->b.up, 1);
    p->crossed = 0;
}

static inline void side_hang_up(struct side *s, uint32_t reason, const char *text, uint64_t now_us)
{
    loop_transport.conn_close(s->conn, reason, text, text == NULL ? 0 : strlen(text), now_us);
    side_look(s);
}
#endif
