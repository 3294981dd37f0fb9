/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TEST_NODE_FAKE_TRANSPORT_H
#define WEIR_TEST_NODE_FAKE_TRANSPORT_H
/* A network in which nodes can be tested without a real transport: a virtual clock, routes that
 * answer after a delay, refuse or swallow, and a transport that moves lanes by hand, in pieces of
 * any size. Header only, so that each test is one program. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "base/rng.h"
#include "node/node.h"
#include "transport/stream.h"

enum { FAKE_NODES = 12, FAKE_ROUTES = 24, FAKE_LOOKUPS = 8 };
enum route_mode { ROUTE_UP = 1, ROUTE_BLACKHOLE, ROUTE_UNREACHABLE, ROUTE_SILENT };

struct fake_net;
struct fake_conn {
    struct transport_conn base;
    struct list link;
    struct fake_conn *remote;
    struct endpoint remote_address;
    struct peer_id peer, expected;
    const struct fake_route *route;
    uint64_t due_us;
    bool held;
};
struct fake_transport {
    struct transport base;
    struct fake_net *net;
    struct list conns;
    uint32_t index;
};
struct fake_route {
    struct endpoint endpoint;
    uint32_t mode, node;
    uint64_t delay_us;
};
struct fake_lookup {
    char name[64];
    uint64_t token;
    bool cancelled;
};
struct fake_net {
    uint64_t now_us;
    struct mem_counter counter;
    struct metrics metrics;
    struct log log;
    struct limits limits;
    struct node *nodes[FAKE_NODES];
    struct fake_transport *transports[FAKE_NODES];
    struct key_pair keys[FAKE_NODES];
    struct rng rng[FAKE_NODES];
    uint32_t count, route_count, lookup_count, piece_bytes, dials, listens;
    struct fake_route routes[FAKE_ROUTES];
    struct fake_lookup lookups[FAKE_LOOKUPS];
    const char *networks[FAKE_NODES];
    bool no_streams; /* connections get no table of streams: what an idle memory transport costs */
    int listen_error;
};
/* The node that is being opened: transports have no other way to know. */
static struct fake_net *fake_opening;

static inline struct fake_conn *fake_of(const struct transport_conn *c)
{
    return (struct fake_conn *)(uintptr_t)c;
}

static inline int fake_open(const struct transport_env *env, struct transport **out);

static inline void fake_release(struct fake_conn *c)
{
    const struct mem *mem = c->base.transport->env->mem;
    if (c->remote != NULL) c->remote->remote = NULL;
    list_remove(&c->link);
    conn_release(&c->base);
    mem_free(mem, c, sizeof *c);
}

static inline void fake_close(struct transport *base)
{
    struct fake_transport *t = (struct fake_transport *)(void *)base;
    while (!list_is_empty(&t->conns)) fake_release(list_first(&t->conns, struct fake_conn, link));
    t->net->transports[t->index] = NULL;
    mem_free(base->env->mem, t, sizeof *t);
}

static inline struct fake_conn *fake_conn_make(struct fake_transport *t, enum conn_role role)
{
    struct fake_conn *c = mem_alloc(t->base.env->mem, sizeof *c);
    if (c == NULL) return NULL;
    conn_init(&c->base, &t->base, role);
    c->due_us = UINT64_MAX;
    list_push_back(&t->conns, &c->link);
    return c;
}

static inline int fake_dial(struct transport *base, const struct transport_dial *dial,
                            uint64_t now_us, struct transport_conn **out)
{
    struct fake_transport *t = (struct fake_transport *)(void *)base;
    struct fake_conn *c = fake_conn_make(t, CONN_DIALLER);
    if (c == NULL) return WEIR_E_MEMORY;
    t->net->dials++;
    c->remote_address = dial->remote;
    c->expected = dial->expected;
    for (uint32_t i = 0; i < t->net->route_count; i++) {
        if (!endpoint_equal(&t->net->routes[i].endpoint, &dial->remote)) continue;
        c->route = &t->net->routes[i];
        if (c->route->mode != ROUTE_BLACKHOLE) c->due_us = now_us + c->route->delay_us;
    }
    *out = &c->base;
    return 0;
}

static inline bool fake_streams_open(struct fake_conn *c)
{
    struct streams_grants grants;
    if (((struct fake_transport *)(void *)c->base.transport)->net->no_streams) return true;
    streams_own_grants(c->base.transport->env->limits, &grants);
    return streams_open(&c->base, &grants, &grants) == 0;
}

/* A dial's handshake is over: both sides are up, or the dialler hears why not. */
static inline void fake_arrive(struct fake_transport *t, struct fake_conn *c, uint64_t now_us)
{
    struct fake_net *net = t->net;
    struct fake_transport *to = c->route->mode == ROUTE_UP ? net->transports[c->route->node] : NULL;
    c->due_us = UINT64_MAX;
    if (c->route->mode == ROUTE_SILENT) {
        (void)conn_ended(&c->base, CONN_END_TIMEOUT, WEIR_E_TIMEOUT, WEIR_REASON_UNREACHABLE, NULL,
                         0, now_us);
        return;
    }
    if (to == NULL) {
        (void)conn_ended(&c->base, CONN_END_HANDSHAKE, WEIR_E_UNREACHABLE, WEIR_REASON_UNREACHABLE,
                         NULL, 0, now_us);
        return;
    }
    c->peer = net->keys[to->index].id;
    if (c->expected.len > 0 && !peer_id_equal(&c->expected, &c->peer)) {
        (void)conn_ended(&c->base, CONN_END_HANDSHAKE, WEIR_E_IDENTITY, WEIR_REASON_IDENTITY, NULL,
                         0, now_us);
        return;
    }
    struct fake_conn *r = fake_conn_make(to, CONN_LISTENER);
    if (r == NULL || !fake_streams_open(r) || !fake_streams_open(c)) {
        if (r != NULL) fake_release(r);
        (void)conn_ended(&c->base, CONN_END_TIMEOUT, WEIR_E_TIMEOUT, WEIR_REASON_IDLE, NULL, 0,
                         now_us);
        return;
    }
    c->remote = r;
    r->remote = c;
    r->peer = net->keys[t->index].id;
    r->remote_address = c->remote_address.family == ENDPOINT_MEMORY
                            ? endpoint_memory(t->index)
                            : endpoint_ip4(127, 0, 0, 1, (uint16_t)(5000 + t->index));
    c->base.state = r->base.state = CONN_UP;
    conn_mark(&c->base, CONN_PENDING_UP);
    conn_mark(&r->base, CONN_PENDING_UP);
}

static inline void fake_on_datagram(struct transport *t, const struct datagram_in *in,
                                    uint64_t now_us)
{
    (void)t, (void)in, (void)now_us;
}

static inline void fake_on_deadline(struct transport *base, uint64_t now_us)
{
    struct fake_transport *t = (struct fake_transport *)(void *)base;
    for (struct list *link = t->conns.next; link != &t->conns; link = link->next) {
        struct fake_conn *c = list_entry(link, struct fake_conn, link);
        if (c->due_us <= now_us && c->base.state == CONN_CONNECTING) fake_arrive(t, c, now_us);
    }
}

static inline uint64_t fake_deadline(const struct transport *base)
{
    const struct fake_transport *t = (const struct fake_transport *)(const void *)base;
    uint64_t when = UINT64_MAX;
    for (struct list *link = t->conns.next; link != &t->conns; link = link->next) {
        const struct fake_conn *c = list_entry(link, struct fake_conn, link);
        if (c->base.state == CONN_CONNECTING && c->due_us < when) when = c->due_us;
    }
    return when;
}

static inline void fake_on_turn(struct transport *base, uint64_t now_us)
{
    struct fake_transport *t = (struct fake_transport *)(void *)base;
    (void)now_us;
    for (struct list *link = t->conns.next; link != &t->conns; link = link->next) {
        struct fake_conn *c = list_entry(link, struct fake_conn, link);
        if (c->base.streams != NULL) streams_on_turn(&c->base);
    }
}

static inline void fake_conn_close(struct transport_conn *base, uint32_t reason, const char *text,
                                   size_t len, uint64_t now_us)
{
    struct fake_conn *c = fake_of(base);
    bool refused = reason == WEIR_REASON_REFUSED || reason == WEIR_REASON_NETWORK ||
                   reason == WEIR_REASON_FULL;
    if (!conn_ended(base, CONN_END_LOCAL, 0, reason, text, len, now_us) || c->remote == NULL)
        return;
    (void)conn_ended(&c->remote->base, CONN_END_REMOTE,
                     refused ? WEIR_E_REFUSED : WEIR_E_PEER_CLOSED, reason, text, len, now_us);
}

static inline void fake_conn_free(struct transport_conn *c) { fake_release(fake_of(c)); }

static inline void fake_conn_hold(struct transport_conn *c, bool held, uint64_t now_us)
{
    (void)now_us;
    fake_of(c)->held = held;
}

static inline void fake_conn_flush(struct transport_conn *c, uint64_t now_us)
{
    (void)c, (void)now_us;
}

static inline void fake_stream_changed(struct stream *s, unsigned what, uint64_t now_us)
{
    if ((what & STREAM_CONSUMED) != 0 && s->conn->state == CONN_UP)
        streams_update_credit(s, 1000, now_us);
}

static inline void fake_conn_info(const struct transport_conn *c, struct conn_info *out)
{
    out->remote = fake_of(c)->remote_address;
    out->rtt_us = 1000;
}

static inline const uint8_t *fake_conn_peer_key(const struct transport_conn *c)
{
    return peer_id_key(&fake_of(c)->peer);
}

static inline const char *fake_conn_network(const struct transport_conn *c)
{
    const struct fake_transport *t = (const struct fake_transport *)(const void *)c->transport;
    for (uint32_t i = 0; i < t->net->count; i++) {
        if (peer_id_equal(&t->net->keys[i].id, &fake_of(c)->peer)) return t->net->networks[i];
    }
    return "";
}

static inline bool fake_next_datagram(struct transport *t, struct datagram_out *out,
                                      uint64_t now_us)
{
    (void)t, (void)out, (void)now_us;
    return false;
}

static const struct transport_ops fake_ops = {.name = "fake",
                                              .family_mask = 3,
                                              .open = fake_open,
                                              .close = fake_close,
                                              .on_datagram = fake_on_datagram,
                                              .on_deadline = fake_on_deadline,
                                              .on_turn = fake_on_turn,
                                              .dial = fake_dial,
                                              .conn_close = fake_conn_close,
                                              .conn_free = fake_conn_free,
                                              .conn_hold = fake_conn_hold,
                                              .conn_flush = fake_conn_flush,
                                              .stream_changed = fake_stream_changed,
                                              .deadline = fake_deadline,
                                              .conn_info = fake_conn_info,
                                              .conn_peer_key = fake_conn_peer_key,
                                              .conn_network = fake_conn_network,
                                              .next_datagram = fake_next_datagram};

static inline int fake_open(const struct transport_env *env, struct transport **out)
{
    struct fake_transport *t = mem_alloc(env->mem, sizeof *t);
    if (t == NULL) return WEIR_E_MEMORY;
    transport_init(&t->base, &fake_ops, env);
    list_init(&t->conns);
    t->net = fake_opening;
    t->index = t->net->count;
    t->net->transports[t->index] = t;
    *out = &t->base;
    return 0;
}
#endif
