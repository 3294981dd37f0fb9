/* SPDX-License-Identifier: MIT */
/* The in-memory transport: its operations.
 *
 * Everything that is the same on every transport is core/transport's: streams, lanes, credit,
 * urgency. What is left is little, and that is the point: a transport without cryptography, loss
 * and congestion is this folder, so the interface is proved by it, and a world of a hundred
 * thousand nodes can be carried by it.
 *
 * The network below delivers every datagram once and in order (core/sim, message fidelity), so a
 * byte counts as acknowledged once it is in a datagram: what the far side must have room for is
 * bounded by credit, which it gives as its application consumes. A partial datagram leaves when
 * the application comes back to poll; bytes held by WEIR_MORE stay until the turn in which they
 * are no longer held. There is no timer but the one of a dial: a death is told by the world. */
#include "loop/loop.h"
#include "base/assert.h"
#include "loop/loop_conn.h"
#include <string.h>

static struct loop *loop_of(const struct transport *t)
{
    return (struct loop *)(uintptr_t)t;
}

static struct loop_conn *conn_of(const struct transport_conn *c)
{
    return (struct loop_conn *)(uintptr_t)c;
}

static int op_open(const struct transport_env *env, struct transport **out)
{
    struct loop *t = mem_alloc(env->mem, sizeof *t);
    *out = NULL;
    if (t == NULL) return WEIR_E_MEMORY;
    transport_init(&t->base, &loop_transport, env);
    for (unsigned i = 0; i < LOOP_LISTS; i++) list_init(&t->lists[i]);
    *out = &t->base;
    return 0;
}

static void op_close(struct transport *base)
{
    struct loop *t = loop_of(base);
    const struct mem *mem = base->env->mem;
    struct loop_conn *c;
    struct loop_answer *answer;
    for (unsigned i = 0; i < LOOP_LISTS; i++) {
        while ((c = list_first(&t->lists[i], struct loop_conn, link)) != NULL) {
            if (c->conn.state == CONN_UP) metric_dec(base->env->metrics, METRIC_CONNECTIONS_OPEN);
            loop_conn_destroy(c);
        }
    }
    while ((answer = t->answers) != NULL) {
        t->answers = answer->next;
        mem_free(mem, answer, sizeof *answer);
    }
    loop_table_free(t);
    mem_free(mem, t, sizeof *t);
}

/* When the oldest dial is given up. */
static uint64_t op_deadline(const struct transport *base)
{
    const struct loop *t = loop_of(base);
    const struct loop_conn *c = list_first(&t->lists[LOOP_DIALLING], struct loop_conn, link);
    if (c == NULL) return UINT64_MAX;
    uint64_t wait = base->env->limits->value[LIMIT_HANDSHAKE_TIME];
    return wait > UINT64_MAX - c->time_us ? UINT64_MAX : c->time_us + wait;
}

static void op_on_deadline(struct transport *base, uint64_t now_us)
{
    struct loop *t = loop_of(base);
    while (op_deadline(base) <= now_us) {
        struct loop_conn *c = list_first(&t->lists[LOOP_DIALLING], struct loop_conn, link);
        loop_conn_end(c, CONN_END_TIMEOUT, WEIR_E_TIMEOUT, WEIR_REASON_UNREACHABLE, NULL, 0,
                      now_us);
        loop_conn_drop(c);
    }
}

static void turn_list(struct list *list)
{
    for (struct list *link = list->next; link != list;) {
        struct loop_conn *c = list_entry(link, struct loop_conn, link);
        link = link->next;
        if (c->conn.state != CONN_UP) continue;
        streams_on_turn(&c->conn);
        loop_conn_place(c);
    }
}

static void op_on_turn(struct transport *base, uint64_t now_us)
{
    struct loop *t = loop_of(base);
    (void)now_us;
    turn_list(&t->lists[LOOP_SENDING]);
    turn_list(&t->lists[LOOP_ACTIVE]);
}

static int op_dial(struct transport *base, const struct transport_dial *dial, uint64_t now_us,
                   struct transport_conn **out)
{
    (void)now_us;
    *out = NULL;
    if (dial->remote.family != ENDPOINT_MEMORY) return WEIR_E_UNREACHABLE;
    const uint8_t *expected = peer_id_key(&dial->expected);
    if (dial->expected.len != 0 && expected == NULL)
        return WEIR_E_IDENTITY; /* nobody in memory has an id without a key */
    uint64_t remote = endpoint_memory_number(&dial->remote);
    struct loop_conn *c = loop_conn_make(loop_of(base), CONN_DIALLER, remote, dial->socket);
    if (c == NULL) return WEIR_E_MEMORY;
    if (expected != NULL) {
        memcpy(c->peer_key, expected, sizeof c->peer_key);
        c->flags |= LOOP_EXPECTS;
    }
    c->flags |= LOOP_OPEN;
    loop_conn_place(c);
    metric_inc(base->env->metrics, METRIC_HANDSHAKES_STARTED_DIAL);
    *out = &c->conn;
    return 0;
}

static void op_conn_close(struct transport_conn *conn, uint32_t reason, const char *text,
                          size_t text_len, uint64_t now_us)
{
    struct loop_conn *c = conn_of(conn);
    bool was_connecting = conn->state == CONN_CONNECTING;
    if (conn->state >= CONN_CLOSING) return;
    loop_conn_end(c, CONN_END_LOCAL, 0, reason, text, text_len, now_us);
    if ((c->flags & LOOP_OPEN) != 0) {
        c->flags &= (uint16_t)~LOOP_OPEN;
        loop_conn_drop(c); /* nobody has heard of it */
        return;
    }
    if (was_connecting) {
        c->flags |= LOOP_WAITS;
    } else {
        if ((c->flags & LOOP_ACCEPT) != 0) c->flags |= LOOP_REFUSES;
        c->flags &= (uint16_t) ~(LOOP_ACCEPT | LOOP_READY);
        c->flags |= LOOP_END;
    }
    loop_conn_place(c);
}

static void op_conn_free(struct transport_conn *conn)
{
    struct loop_conn *c = conn_of(conn);
    struct conn_end *end = conn->end;
    WEIR_ASSERT(conn->state == CONN_OVER);
    if ((c->flags & LOOP_LISTED) == 0) {
        loop_conn_destroy(c);
        return;
    }
    /* The last message has not left: what it says stays, the rest goes. */
    conn->end = NULL;
    conn_release(conn);
    conn->end = end;
    c->flags |= LOOP_FREED;
}

static void op_conn_hold(struct transport_conn *conn, bool held, uint64_t now_us)
{
    /* Nothing forgets an idle connection in memory, so nothing has to be kept alive. */
    (void)conn;
    (void)held;
    (void)now_us;
}

static void op_conn_flush(struct transport_conn *conn, uint64_t now_us)
{
    /* Node has released the bytes that are to leave; what others hold with MORE stays. */
    (void)now_us;
    loop_conn_place(conn_of(conn));
}

static uint64_t rtt_of(const struct loop_conn *c)
{
    /* A listener learns it with READY; until then time_us is the time of its ACCEPT. */
    return (c->flags & LOOP_HAS_RTT) != 0 ? c->time_us : 0;
}

static void op_stream_changed(struct stream *s, unsigned what, uint64_t now_us)
{
    struct loop_conn *c = conn_of(s->conn);
    if (c->conn.state != CONN_UP) return;
    if ((what & STREAM_CONSUMED) != 0) {
        /* Without a time it is a stream that goes: it gets no credit any more. */
        if (now_us != 0) streams_update_credit(s, rtt_of(c), now_us);
        /* A world has room for very many streams because those without bytes hold no buffer. */
        if (s->in.ring.base == s->in.contiguous && s->in.gaps_above.count == 0)
            ring_release(&s->in.ring, s->conn->transport->env->mem, &s->conn->streams->budget);
    }
    loop_conn_place(c);
}

static int op_conn_streams(struct transport_conn *conn)
{
    return loop_conn_streams(conn_of(conn));
}

static void op_conn_info(const struct transport_conn *conn, struct conn_info *out)
{
    const struct loop_conn *c = conn_of(conn);
    memset(out, 0, sizeof *out);
    out->remote = endpoint_memory(c->remote);
    out->rtt_us = out->rtt_min_us = rtt_of(c);
    out->datagram_bytes = LOOP_DATAGRAM_MAX;
    out->memory_bytes = sizeof *c + (loop_table_facts(c) != NULL ? sizeof(struct loop_facts) : 0);
    if (conn->streams != NULL) {
        /* Counters of its own would be a tenth of a connection: what streams carry tells enough. */
        out->bytes_sent = conn->streams->send_used;
        out->bytes_received = conn->streams->receive_used;
        out->memory_bytes += conn->streams->budget.used;
    }
}

static const uint8_t *op_conn_peer_key(const struct transport_conn *conn)
{
    const struct loop_conn *c = conn_of(conn);
    return (c->flags & LOOP_KNOWN) != 0 ? c->peer_key : NULL;
}

static const char *op_conn_network(const struct transport_conn *conn)
{
    const struct loop_conn *c = conn_of(conn);
    if ((c->flags & LOOP_KNOWN) == 0) return "";
    const struct loop_facts *facts = loop_table_facts(c);
    return facts != NULL ? facts->network : conn->transport->env->network;
}

/* Memory has no network that could change. */
static void op_network_changed(struct transport *base, uint64_t now_us)
{
    (void)base;
    (void)now_us;
}

static uint32_t op_datagram_max(const struct transport_conn *base)
{
    return base->transport->env->datagrams_off ? 0 : MESSAGE_DATAGRAM_MAX;
}

const struct transport_ops loop_transport = {
    .name = "memory",
    .family_mask = 2,
    .open = op_open,
    .close = op_close,
    .on_datagram = loop_receive,
    .on_deadline = op_on_deadline,
    .on_turn = op_on_turn,
    .dial = op_dial,
    .conn_close = op_conn_close,
    .conn_free = op_conn_free,
    .conn_streams = op_conn_streams,
    .conn_hold = op_conn_hold,
    .conn_flush = op_conn_flush,
    .network_changed = op_network_changed,
    .stream_changed = op_stream_changed,
    .deadline = op_deadline,
    .conn_info = op_conn_info,
    .conn_peer_key = op_conn_peer_key,
    .datagram_max = op_datagram_max,
    .conn_network = op_conn_network,
    .next_datagram = loop_send,
};
