/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_UNIT_QUIC_MOVES_H
#define WEIR_TESTS_UNIT_QUIC_MOVES_H
/* A pair whose sides change their addresses: what is sent to an address that nobody has is lost,
 * what each side sent where is counted, and the frames of chosen datagrams are looked into. */
#include "flow.h"
#include "reseal.h"

enum { MOVES_PLACES = 16 };

/* What was sent to one address and came from it. */
struct moves_place {
    struct endpoint address;
    uint64_t to_bytes, from_bytes; /* to: sent there; from: arrived from there at the other side */
    uint64_t to_datagrams, to_small; /* small: under 1200 bytes */
    uint64_t challenges, responses, pings, whole_responses;
    uint64_t asked_us[16];           /* when the first challenges left */
};

struct moves {
    struct pair *p;
    struct moves_place places[MOVES_PLACES];
    unsigned count;
    unsigned percent;            /* lost */
    uint64_t reorder_us;
    uint64_t dark_from_us, dark_until_us;
    bool mute[2];                /* nothing of that side arrives */
    bool deaf;                   /* nothing that is sent to `deaf_address` arrives */
    bool look;                   /* open what is sent and count its path frames */
    struct endpoint deaf_address;
    bool (*more)(struct moves *m, int from, uint8_t *bytes, size_t len);
    /* of the datagram that is looked into */
    struct moves_place *at;
    size_t len;
};

static inline struct moves_place *moves_place(struct moves *m, const struct endpoint *address)
{
    for (unsigned i = 0; i < m->count; i++) {
        if (endpoint_equal(&m->places[i].address, address))
            return &m->places[i];
    }
    assert_true(m->count < MOVES_PLACES);
    m->places[m->count].address = *address;
    return &m->places[m->count++];
}

static inline void moves_frame(void *context, const struct frame *f)
{
    struct moves *m = context;
    struct moves_place *at = m->at;
    if (f->type == FRAME_PATH_CHALLENGE) {
        if (at->challenges < 16)
            at->asked_us[at->challenges] = m->p->now_us;
        at->challenges++;
    }
    at->pings += f->type == FRAME_PING;
    if (f->type == FRAME_PATH_RESPONSE) {
        at->responses++;
        at->whole_responses += m->len >= 1200;
    }
}

static inline bool moves_filter(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    struct moves *m = p->context;
    (void)n;
    m->at = moves_place(m, &p->to);
    m->len = len;
    m->at->to_bytes += len;
    m->at->to_datagrams++;
    m->at->to_small += len < 1200;
    if (m->look)
        reseal_open(p, 1 - from, bytes, len, moves_frame, m);
    if (m->mute[from] || (m->deaf && endpoint_equal(&p->to, &m->deaf_address)))
        return false;
    if (p->now_us >= m->dark_from_us && p->now_us < m->dark_until_us)
        return false;
    if (rng_below(&p->rng, 100) < m->percent)
        return false;
    if (m->reorder_us > 0)
        p->extra_us = rng_below(&p->rng, m->reorder_us);
    if (m->more != NULL && !m->more(m, from, bytes, len))
        return false;
    moves_place(m, &p->from)->from_bytes += len;
    return true;
}

/* A confirmed pair that is quiet. */
static inline struct pair *moves_pair(struct moves *m)
{
    struct pair *p = pair_new(NULL, NULL);
    memset(m, 0, sizeof *m);
    m->p = p;
    pair_connect(p);
    pair_run(p, 2000000);
    assert_true(reseal_side(p, 0)->confirmed && reseal_side(p, 1)->confirmed);
    p->filter = moves_filter;
    p->context = m;
    p->routed = true;
    return p;
}

/* The side has another address from now on. It does not know, unless it is told. */
static inline struct endpoint moves_to(struct pair *p, int i, uint8_t host, uint16_t port)
{
    struct endpoint before = p->side[i].address;
    p->side[i].address = endpoint_ip4(10, 0, (uint8_t)(1 + i), host, port);
    return before;
}
static inline void moves_to_port(struct pair *p, int i, uint16_t port)
{
    p->side[i].address.port = port;
}

/* It has another address and knows. */
static inline void moves_told(struct pair *p, int i, uint8_t host)
{
    (void)moves_to(p, i, host, 4000);
    p->side[i].inside = p->side[i].address;
    quic_transport.network_changed(p->side[i].transport, p->now_us);
    pair_send(p, i);
}

/* A side says something that is to be acknowledged. */
static inline void moves_ping(struct pair *p, int i)
{
    struct connection *c = reseal_side(p, i);
    c->ping_pending = true;
    connection_refresh(c, p->now_us);
    pair_send(p, i);
}

static inline uint64_t moves_metric(struct pair *p, int i, enum metric m)
{
    return p->side[i].metrics.value[m];
}

/* Neither side keeps anything of a move that is over. */
static inline void moves_expect_settled(struct pair *p)
{
    for (int i = 0; i < 2; i++) {
        const struct connection *c = reseal_side(p, i);
        assert_int_equal(c->phase, QUIC_UP);
        assert_null(c->fallback);
        assert_false(c->path.asks);
        assert_true(c->path.validated);
        assert_true(endpoint_equal(&c->path.remote, &p->side[1 - i].address));
        assert_int_equal(c->retire_count, 0);
        assert_false(c->ids_to_tell);
    }
}

/* Each side has as many live ids as the other keeps, and the maps hold exactly those. */
static inline void moves_expect_ids(struct pair *p)
{
    for (int i = 0; i < 2; i++) {
        const struct connection *c = reseal_side(p, i), *peer = reseal_side(p, 1 - i);
        unsigned local = 0, known = 0;
        for (unsigned k = 0; k < QUIC_LOCAL_CIDS_MAX; k++) local += c->local_cids[k].used;
        for (unsigned k = 0; k < QUIC_REMOTE_CIDS_MAX; k++) known += peer->remote_cids[k].used;
        assert_int_equal(local, 4);
        assert_int_equal(known, 4);
        assert_int_equal(endpoint_of(p->side[i].transport)->by_cid.count, 4);
    }
}
#endif
