/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_FUZZ_WIRE_H
#define WEIR_TESTS_FUZZ_WIRE_H
/* Two transports, UDP if nothing else is said, without anything around them, for fuzz targets: what
 * one sends reaches the other at once or after a step of virtual time, every byte is counted, and
 * at the end nothing may be left. */
#include "base/assert.h"
#include "quic/connection.h"
#include "quic/quic.h"
#include <string.h>

enum { WIRE_QUEUE_MAX = 64, WIRE_BYTES_MAX = 16384 };

struct wire_side {
    struct transport *transport;
    struct transport_env env;
    struct budget budget;
    struct metrics metrics;
    struct log log;
    struct key_pair key;
    struct endpoint address;
    struct transport_conn *conn; /* the newest that node heard of */
};
struct wire {
    const struct transport_ops *ops;
    struct mem_counter counter;
    struct limits limits;
    struct entropy entropy;
    struct wire_side side[2];
    uint64_t now_us, random;
    struct {
        uint8_t bytes[WIRE_BYTES_MAX];
        size_t len;
        int to;
    } queue[WIRE_QUEUE_MAX];
    size_t queued;
};

static inline void wire_fill(void *context, void *out, size_t len)
{
    struct wire *w = context;
    uint8_t *bytes = out;
    for (size_t i = 0; i < len; i++) {
        w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        bytes[i] = (uint8_t)(w->random >> 33);
    }
}

static inline void wire_open_with(struct wire *w, const struct transport_ops *ops)
{
    static const uint8_t hash_key[16] = {1};
    memset(w, 0, sizeof *w);
    w->ops = ops;
    WEIR_ASSERT(secret_init() == 0);
    mem_counter_init(&w->counter, mem_system());
    limits_derive(&w->limits, 4 << 20, 4);
    w->now_us = 1000000;
    w->entropy = (struct entropy){wire_fill, w};
    for (int i = 0; i < 2; i++) {
        struct wire_side *s = &w->side[i];
        uint8_t seed[32];
        memset(seed, 'A' + i, sizeof seed);
        key_pair_from_seed(&s->key, seed);
        budget_init(&s->budget, NULL, LIMIT_SCOPE_NODE, LIMIT_NODE_MEMORY,
                    w->limits.value[LIMIT_NODE_MEMORY], s);
        log_init(&s->log, &w->counter.mem, 4, LOG_ERROR);
        s->address = (ops->family_mask & 1) != 0 ? endpoint_ip4(10, 0, 0, (uint8_t)(i + 1), 4000)
                                                 : endpoint_memory((uint64_t)i + 1);
        s->env = (struct transport_env){.mem = &w->counter.mem,
                                        .budget = &s->budget,
                                        .metrics = &s->metrics,
                                        .log = &s->log,
                                        .limits = &w->limits,
                                        .entropy = &w->entropy,
                                        .key = &s->key,
                                        .hash_key = hash_key,
                                        .network = ""};
        WEIR_ASSERT(w->ops->open(&s->env, &s->transport) == 0);
    }
}

static inline void wire_open(struct wire *w)
{
    wire_open_with(w, &quic_transport);
}

static inline void wire_close(struct wire *w)
{
    for (int i = 0; i < 2; i++) {
        w->ops->close(w->side[i].transport);
        log_free(&w->side[i].log);
        WEIR_ASSERT(w->side[i].budget.used == 0);
    }
    WEIR_ASSERT(w->counter.live_bytes == 0);
}

/* As node does: streams that are over go, ended connections are freed; readable bytes are read. */
static inline void wire_node(struct wire *w, int i)
{
    struct transport_conn *c;
    while ((c = transport_next_ready(w->side[i].transport)) != NULL) {
        struct stream *s;
        uint8_t pending = c->pending, bytes[512];
        c->pending = 0;
        if ((pending & CONN_PENDING_UP) != 0)
            w->side[i].conn = c;
        while ((s = streams_next_dirty(c)) != NULL) {
            uint8_t what = s->pending;
            s->pending = 0;
            if ((what & STREAM_PENDING_READABLE) != 0 && s->id % 8 < 4)
                while (stream_read(s, bytes, sizeof bytes, w->now_us) > 0)
                    continue;
            if ((what & STREAM_PENDING_OVER) != 0)
                streams_remove(s);
        }
        if ((pending & CONN_PENDING_ENDED) == 0)
            continue;
        if (w->side[i].conn == c)
            w->side[i].conn = NULL;
        w->ops->conn_free(c);
    }
}

static inline void wire_send(struct wire *w, int i)
{
    static uint8_t buffer[16384];
    struct datagram_out out = {.data = buffer, .cap = sizeof buffer};
    for (int n = 0; n < 1000 && w->ops->next_datagram(w->side[i].transport, &out, w->now_us);
         n++) {
        WEIR_ASSERT(out.len > 0 && out.len <= out.cap && out.segment > 0);
        for (size_t at = 0; at < out.len && w->queued < WIRE_QUEUE_MAX; at += out.segment) {
            size_t len = out.len - at < out.segment ? out.len - at : out.segment;
            WEIR_ASSERT(len <= WIRE_BYTES_MAX);
            memcpy(w->queue[w->queued].bytes, buffer + at, len);
            w->queue[w->queued].len = len;
            w->queue[w->queued++].to = 1 - i;
        }
        WEIR_ASSERT(n < 999);
    }
    wire_node(w, i);
}

static inline void wire_give(struct wire *w, int to, const uint8_t *bytes, size_t len)
{
    static uint8_t copy[65536];
    WEIR_ASSERT(len <= sizeof copy);
    if (len > 0)
        memcpy(copy, bytes, len);
    struct datagram_in in = {
        .local = w->side[to].address, .remote = w->side[1 - to].address, .data = copy, .len = len};
    w->ops->on_datagram(w->side[to].transport, &in, w->now_us);
    wire_node(w, to);
}

/* Deliver what is on the way, and what that causes, for some rounds. */
static inline void wire_pump(struct wire *w, unsigned rounds)
{
    for (unsigned r = 0; r < rounds; r++) {
        for (int i = 0; i < 2; i++) {
            w->ops->on_turn(w->side[i].transport, w->now_us);
            wire_send(w, i);
        }
        size_t count = w->queued;
        if (count == 0)
            return;
        w->now_us += 1000;
        for (size_t n = 0; n < count; n++)
            wire_give(w, w->queue[n].to, w->queue[n].bytes, w->queue[n].len);
        memmove(w->queue, w->queue + count, (w->queued - count) * sizeof w->queue[0]);
        w->queued -= count;
    }
}

static inline void wire_lose(struct wire *w)
{
    w->queued = 0;
}

/* Time passes; timers fire. A timer that stands still would be found here. */
static inline void wire_wait(struct wire *w, uint64_t us)
{
    uint64_t until = w->now_us + us;
    for (unsigned n = 0;; n++) {
        uint64_t due = UINT64_MAX;
        WEIR_ASSERT(n < 20000);
        for (int i = 0; i < 2; i++) {
            uint64_t at = w->ops->deadline(w->side[i].transport);
            if (at < due)
                due = at;
        }
        if (due > until)
            break;
        if (due > w->now_us)
            w->now_us = due;
        for (int i = 0; i < 2; i++) {
            w->ops->on_deadline(w->side[i].transport, w->now_us);
            wire_send(w, i);
        }
    }
    w->now_us = until;
}

static inline void wire_dial(struct wire *w)
{
    struct transport_dial dial = {.remote = w->side[1].address, .expected = w->side[1].key.id};
    WEIR_ASSERT(w->ops->dial(w->side[0].transport, &dial, w->now_us, &w->side[0].conn) == 0);
    wire_send(w, 0);
}

/* The first connection of a side, or NULL. */
static inline struct connection *wire_connection(struct wire *w, int i)
{
    return list_first(&endpoint_of(w->side[i].transport)->all, struct connection, all_link);
}

/* Seal a payload with the keys of one side's connection, under a number that it will not use
 * itself. @return bytes, 0: it has no such keys, or it does not fit */
static inline size_t wire_seal(struct connection *from, enum packet_type type, uint64_t number,
                               const uint8_t *payload, size_t len, uint8_t *out, size_t cap)
{
    const struct conn_handshake *hs = from->hs;
    const struct protect_keys *keys = &from->keys.write;
    if (from->phase > QUIC_UP)
        return 0;
    if (type == PACKET_SHORT && !from->has_write)
        return 0;
    if (type == PACKET_INITIAL) {
        if (hs == NULL || !hs->has_initial)
            return 0;
        keys = &hs->initial_write;
    }
    if (type == PACKET_HANDSHAKE) {
        if (hs == NULL || hs->adopted == NULL || !hs->adopted->has_keys)
            return 0;
        keys = &hs->adopted->write;
    }
    struct writer w = writer_of(out, cap);
    size_t header = type == PACKET_SHORT
                        ? packet_write_short(&w, &from->remote_cid, false, false, number, 4)
                        : packet_write_long(&w, type, PACKET_VERSION, &from->remote_cid,
                                            &from->local_cid, NULL, 0, number, 4);
    size_t pad = type == PACKET_INITIAL ? PACKET_DATAGRAM_MIN : header + PACKET_TAG_LEN + 4,
           all = len;
    if (header + all + PACKET_TAG_LEN < pad)
        all = pad - header - PACKET_TAG_LEN;
    if (header == 0 || header + all + PACKET_TAG_LEN > cap)
        return 0;
    if (len > 0)
        memcpy(out + header, payload, len);
    memset(out + header + len, 0, all - len);
    if (type != PACKET_SHORT)
        packet_finish_long(out, header, 4, all);
    struct protect_cipher cipher;
    protect_cipher_init(&cipher, keys);
    size_t total = packet_seal(&cipher, out, header, number, 4, all);
    protect_cipher_end(&cipher);
    return total;
}
#endif
