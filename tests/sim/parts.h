/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TEST_SIM_PARTS_H
#define WEIR_TEST_SIM_PARTS_H
/* A world for tests of fetches: node 1 fetches, the others serve parts of one thing, each in its
 * own way. They serve a plain protocol and speak the response of a request by hand, so that one
 * that answers wrongly needs nothing of the engine. Time is virtual. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/bytes.h"
#include "sim/world.h"
#include "weir.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    PARTS_SERVERS = 4,         /* nodes 2 to 5 */
    PARTS_ANSWERS = 512,
    PARTS_PATTERN = (1 << 20) + 7, /* the thing repeats, but not at a power of two */
    PARTS_HEAD = 200,
    PARTS_MOST = 4096
};
#define PARTS_PROTOCOL "test/part/1"
#define PARTS_SECOND UINT64_C(1000000)

enum parts_mode {
    PARTS_GOOD,
    PARTS_SILENT,              /* takes the request and says nothing */
    PARTS_STALL,               /* good until stall_after bytes, then silent */
    PARTS_ENDLESS,             /* the right bytes, and more for ever */
    PARTS_SHORT,               /* ends after half */
    PARTS_WRONG,               /* one byte is not right */
    PARTS_DRIP,                /* a byte per second */
    PARTS_BUSY,                /* refuses as busy, with hint_us */
    PARTS_REFUSE,              /* refuses with reason 7 */
    PARTS_GARBAGE,             /* a status that does not exist */
    PARTS_TORN,                /* a refusal without an end */
    PARTS_EMPTY,               /* ends without a byte */
    PARTS_RESET,
    PARTS_STOP                 /* wants no request, and says nothing */
};

struct parts_answer {
    uint64_t stream;           /* 0: free */
    uint64_t offset, len, sent; /* sent: of the response, its status included */
    uint8_t head[64];
    uint32_t head_len;
    bool is_begun, is_over;
};

struct parts_server {
    enum parts_mode mode;
    uint64_t hint_us, stall_after;
    uint64_t requests, sent;
    uint64_t connection;       /* at the client */
    struct parts_answer answers[PARTS_ANSWERS];
};

struct parts {
    weir_world *world;
    weir_node *nodes[PARTS_SERVERS + 2];
    struct parts_server server[PARTS_SERVERS]; /* of node i + 2 */
    uint32_t servers;
    uint8_t *pattern, *hashes, *buffer;
    uint64_t total, fetch;
    uint32_t part_bytes, parts;
    uint8_t got[PARTS_MOST];   /* how often each part was read */
    uint32_t read, told, closed; /* parts read; events */
    uint32_t reads_max;        /* of one event; 0: all */
    int32_t error;
    uint32_t reason;
    uint64_t closed_us, drip_us;
    bool is_resting;           /* the client does not read */
    bool is_checked;           /* what is read must be right */
};

static inline uint64_t parts_now(const struct parts *p) { return weir_world_now(p->world); }

static inline void parts_must(int64_t result, const char *what)
{
    if (result >= 0) return;
    fail_msg("%s: %s", what, weir_error_name((int32_t)result));
}

static inline void parts_content(const struct parts *p, uint64_t place, uint8_t *out, size_t len)
{
    while (len > 0) {
        size_t at = (size_t)(place % PARTS_PATTERN), n = PARTS_PATTERN - at;
        if (n > len) n = len;
        memcpy(out, p->pattern + at, n);
        place += n, out += n, len -= n;
    }
}

static inline uint32_t parts_len(const struct parts *p, uint32_t part)
{
    uint64_t left = p->total - (uint64_t)part * p->part_bytes;
    return left < p->part_bytes ? (uint32_t)left : p->part_bytes;
}

static inline void parts_make_thing(struct parts *p)
{
    uint64_t seed = 1;
    p->pattern = malloc(PARTS_PATTERN);
    p->hashes = malloc((size_t)p->parts * WEIR_HASH_BYTES);
    p->buffer = malloc(p->part_bytes);
    assert_true(p->pattern != NULL && p->hashes != NULL && p->buffer != NULL);
    for (uint32_t i = 0; i < PARTS_PATTERN; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        p->pattern[i] = (uint8_t)(seed >> 56);
    }
    for (uint32_t i = 0; i < p->parts; i++) {
        weir_hash hash;
        parts_content(p, (uint64_t)i * p->part_bytes, p->buffer, parts_len(p, i));
        parts_must(weir_hash_init(&hash), "hash");
        parts_must(weir_hash_update(&hash, p->buffer, parts_len(p, i)), "hash");
        parts_must(weir_hash_final(&hash, p->hashes + (size_t)i * WEIR_HASH_BYTES), "hash");
    }
}

/* The servers. */

static inline struct parts_answer *parts_answer_of(struct parts_server *s, uint64_t stream)
{
    struct parts_answer *unused = NULL;
    for (unsigned i = 0; i < PARTS_ANSWERS; i++) {
        if (s->answers[i].stream == stream) return &s->answers[i];
        if (s->answers[i].stream == 0 && unused == NULL) unused = &s->answers[i];
    }
    assert_non_null(unused);
    *unused = (struct parts_answer){.stream = stream};
    return unused;
}

static inline void parts_say(weir_node *node, struct parts_answer *a, const void *data,
                             uint32_t len, uint32_t flags)
{
    (void)weir_stream_write(node, a->stream, data, len, flags);
    a->is_over = (flags & WEIR_FIN) != 0;
}

/* RESPONSE_REFUSED */
static inline void parts_refuse(weir_node *node, struct parts_answer *a, uint64_t reason,
                                uint64_t hint_us)
{
    uint8_t bytes[PARTS_HEAD];
    struct writer w = writer_of(bytes, sizeof bytes);
    writer_u8(&w, 1);
    writer_varint(&w, reason);
    writer_varint(&w, hint_us);
    writer_bytes(&w, "not now", 7);
    parts_say(node, a, bytes, (uint32_t)writer_len(&w), WEIR_FIN);
}

/* The bytes of a response from `sent` on. @return how many are there */
static inline uint32_t parts_piece(const struct parts *p, const struct parts_server *s,
                                   const struct parts_answer *a, uint8_t *out, uint32_t cap,
                                   bool *last)
{
    uint64_t end = 1 + (s->mode == PARTS_SHORT ? a->len / 2 : a->len), n = cap;
    if (s->mode == PARTS_ENDLESS) end = UINT64_MAX;
    if (n > end - a->sent) n = end - a->sent;
    if (s->mode == PARTS_STALL) {
        uint64_t left = s->stall_after > s->sent ? s->stall_after - s->sent : 0;
        if (n > left) n = left;
    }
    if (s->mode == PARTS_DRIP && n > 1) n = 1;
    *last = a->sent + n == end;
    if (n == 0) return 0;
    uint32_t head = a->sent == 0 ? 1 : 0;
    if (head == 1) out[0] = 0;
    parts_content(p, a->offset + a->sent + head - 1, out + head, n - head);
    if (s->mode == PARTS_WRONG && a->sent + n > a->len / 2) out[n - 1] ^= 1;
    return (uint32_t)n;
}

static inline void parts_pump(struct parts *p, uint32_t i, struct parts_answer *a)
{
    static uint8_t bytes[65536];
    struct parts_server *s = &p->server[i];
    bool last = false;
    while (!a->is_over) {
        uint32_t n = parts_piece(p, s, a, bytes, sizeof bytes, &last);
        if (n == 0 && !last) return;
        int64_t taken =
            weir_stream_write(p->nodes[i + 2], a->stream, bytes, n, last ? WEIR_FIN : 0);
        if (taken < 0) {
            a->is_over = true;
            return;
        }
        a->sent += (uint64_t)taken;
        s->sent += (uint64_t)taken;
        if (taken < n || s->mode == PARTS_DRIP) return;
        a->is_over = last;
    }
}

static inline void parts_answer_request(struct parts *p, uint32_t i, struct parts_answer *a)
{
    static const uint8_t garbage[3] = {0x77, 0xff, 0xff}, torn[2] = {1, 0xc0};
    struct parts_server *s = &p->server[i];
    weir_node *node = p->nodes[i + 2];
    struct reader r = reader_of(a->head, a->head_len);
    a->offset = reader_varint(&r);
    a->len = reader_varint(&r);
    assert_false(r.failed);
    assert_true(a->offset + a->len <= p->total && a->len > 0);
    assert_int_equal(reader_left(&r), 5);
    assert_memory_equal(r.at, "thing", 5);
    a->is_begun = true;
    s->requests++;
    switch (s->mode) {
    case PARTS_SILENT:
    case PARTS_STOP: return;
    case PARTS_BUSY: parts_refuse(node, a, WEIR_REASON_OVERLOAD, s->hint_us); return;
    case PARTS_REFUSE: parts_refuse(node, a, 7, 0); return;
    case PARTS_GARBAGE: parts_say(node, a, garbage, sizeof garbage, 0); return;
    case PARTS_TORN: parts_say(node, a, torn, sizeof torn, WEIR_FIN); return;
    case PARTS_EMPTY: parts_say(node, a, torn, 0, WEIR_FIN); return;
    case PARTS_RESET: parts_must(weir_stream_reset(node, a->stream, 9), "reset"); return;
    default: parts_pump(p, i, a);
    }
}

static inline void parts_on_server_event(struct parts *p, uint32_t i, const weir_event *e)
{
    struct parts_server *s = &p->server[i];
    if (e->kind == WEIR_EVENT_STREAM) {
        struct parts_answer *a = parts_answer_of(s, e->object);
        if (s->mode != PARTS_STOP) return;
        a->is_begun = true;
        parts_must(weir_stream_stop(p->nodes[i + 2], e->object, 9), "stop");
    } else if (e->kind == WEIR_EVENT_READABLE) {
        struct parts_answer *a = parts_answer_of(s, e->object);
        int64_t n = weir_stream_read(p->nodes[i + 2], e->object, a->head + a->head_len,
                                     (uint32_t)(sizeof a->head - a->head_len));
        if (n > 0) a->head_len += (uint32_t)n;
        if (e->error == WEIR_E_END && !a->is_begun) parts_answer_request(p, i, a);
    } else if (e->kind == WEIR_EVENT_WRITABLE) {
        parts_pump(p, i, parts_answer_of(s, e->object));
    } else if (e->kind == WEIR_EVENT_STREAM_CLOSED) {
        parts_answer_of(s, e->object)->stream = 0;
    }
}

/* The client. */

/* @return false when none waits */
static inline bool parts_read_one(struct parts *p)
{
    static uint8_t want[1 << 20];
    uint64_t offset;
    int64_t n = weir_fetch_read(p->nodes[1], p->fetch, &offset, p->buffer, p->part_bytes);
    if (n == WEIR_E_NOT_FOUND) return false;
    parts_must(n, "weir_fetch_read");
    assert_int_equal(offset % p->part_bytes, 0);
    uint32_t part = (uint32_t)(offset / p->part_bytes);
    assert_true(part < p->parts);
    assert_int_equal(n, parts_len(p, part));
    parts_content(p, offset, want, (size_t)n);
    if (p->is_checked) assert_memory_equal(p->buffer, want, (size_t)n);
    p->got[part]++;
    p->read++;
    return true;
}

static inline void parts_read(struct parts *p)
{
    while (parts_read_one(p)) continue;
}

static inline void parts_on_client_event(struct parts *p, const weir_event *e)
{
    if (p->fetch == 0 || e->object != p->fetch) return;
    assert_int_equal(p->closed, 0); /* it is the last */
    assert_int_equal(e->user, 77);
    if (e->kind == WEIR_EVENT_FETCH_PART) {
        p->told++;
        assert_true(e->amount > 0);
        if (!p->is_resting) parts_read(p);
    } else {
        assert_int_equal(e->kind, WEIR_EVENT_FETCH_CLOSED);
        p->closed++;
        p->error = e->error;
        p->reason = (uint32_t)e->amount;
        p->closed_us = parts_now(p);
    }
}

static inline void parts_drip(struct parts *p)
{
    if (parts_now(p) < p->drip_us) return;
    p->drip_us = parts_now(p) + PARTS_SECOND;
    for (uint32_t i = 0; i < p->servers; i++) {
        for (unsigned j = 0; j < PARTS_ANSWERS && p->server[i].mode == PARTS_DRIP; j++) {
            struct parts_answer *a = &p->server[i].answers[j];
            if (a->stream != 0 && a->is_begun) parts_pump(p, i, a);
        }
    }
}

/* Run to this time, or until the fetch is closed. */
static inline void parts_run(struct parts *p, uint64_t until_us)
{
    weir_event events[64];
    while (parts_now(p) < until_us && p->closed == 0) {
        uint64_t step = parts_now(p) + PARTS_SECOND;
        parts_must(weir_world_run(p->world, step < until_us ? step : until_us), "run");
        int64_t n = weir_world_poll(p->world, 0, events, 64);
        parts_must(n, "poll");
        for (int64_t i = 0; i < n; i++) {
            if (events[i].node == 1) parts_on_client_event(p, &events[i]);
            else parts_on_server_event(p, (uint32_t)events[i].node - 2, &events[i]);
        }
        parts_drip(p);
    }
}

static inline void parts_connect(struct parts *p, uint32_t i)
{
    char address[WEIR_ADDRESS_TEXT_MAX];
    weir_connection_info info = {.size = sizeof info};
    parts_must(weir_node_address(p->nodes[i + 2], 0, address, sizeof address), "address");
    int64_t c = weir_node_dial(p->nodes[1], address, NULL);
    parts_must(c, "dial");
    p->server[i].connection = (uint64_t)c;
    for (unsigned tries = 0; tries < 200 && info.state != 1; tries++) {
        parts_run(p, parts_now(p) + 10000);
        parts_must(weir_connection_get_info(p->nodes[1], (uint64_t)c, &info), "info");
    }
    assert_int_equal(info.state, 1);
}

/* A world in which node 1 is connected to `servers` others. */
static inline struct parts *parts_open(uint32_t fidelity, uint32_t servers, uint64_t total,
                                       uint32_t part_bytes, const weir_node_options *options)
{
    weir_world_options o = {.size = sizeof o, .fidelity = fidelity, .seed = 5};
    struct parts *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->servers = servers;
    p->total = total;
    p->part_bytes = part_bytes;
    p->parts = (uint32_t)((total + part_bytes - 1) / part_bytes);
    p->is_checked = true;
    assert_true(p->parts <= PARTS_MOST && part_bytes <= 1 << 20);
    parts_make_thing(p);
    parts_must(weir_world_create(&o, &p->world, NULL), "world");
    for (uint32_t i = 1; i < servers + 2; i++) {
        parts_must(weir_world_add_node(p->world, i == 1 ? options : NULL, &p->nodes[i], NULL),
                   "node");
        if (i > 1) parts_must(weir_node_serve(p->nodes[i], PARTS_PROTOCOL, NULL), "serve");
    }
    for (uint32_t i = 0; i < servers; i++) parts_connect(p, i);
    return p;
}

static inline void parts_close(struct parts *p)
{
    parts_must(weir_world_free(p->world), "free");
    free(p->pattern);
    free(p->hashes);
    free(p->buffer);
    free(p);
}

/* The options of a fetch of the thing, verified. */
static inline weir_fetch_options parts_options(const struct parts *p)
{
    return (weir_fetch_options){.size = sizeof(weir_fetch_options),
                                .part_bytes = p->part_bytes,
                                .total_bytes = p->total,
                                .data = "thing",
                                .data_len = 5,
                                .hashes = p->hashes,
                                .user = 77};
}

/* Begin to fetch from all. */
static inline void parts_fetch(struct parts *p, const weir_fetch_options *options)
{
    int64_t fetch = weir_fetch_open(p->nodes[1], PARTS_PROTOCOL, options);
    parts_must(fetch, "weir_fetch_open");
    p->fetch = (uint64_t)fetch;
    for (uint32_t i = 0; i < p->servers; i++)
        parts_must(weir_fetch_add(p->nodes[1], p->fetch, p->server[i].connection), "add");
}

static inline weir_fetch_info parts_info(const struct parts *p)
{
    weir_fetch_info info = {.size = sizeof info};
    parts_must(weir_fetch_get_info(p->nodes[1], p->fetch, &info), "weir_fetch_get_info");
    return info;
}

/* Every part was read once, and the end was told. */
static inline void parts_expect_whole(const struct parts *p)
{
    assert_int_equal(p->closed, 1);
    assert_int_equal(p->error, 0);
    assert_int_equal(p->read, p->parts);
    for (uint32_t i = 0; i < p->parts; i++) assert_int_equal(p->got[i], 1);
}
#endif
