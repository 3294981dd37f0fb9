/* SPDX-License-Identifier: MIT */
/* Datagrams in. Whatever bytes arrive, the worst that they do is to end the connection that they
 * name: a world may corrupt what it carries, and nothing here is authenticated. */
#include "base/assert.h"
#include "loop/loop_conn.h"
#include <string.h>

/* Transport errors of RFC 9000 section 20.1, and our own for what memory does not allow. */
enum fault {
    FAULT_NONE = 0,
    FAULT_FLOW = 0x3,
    FAULT_STREAM_LIMIT = 0x4,
    FAULT_STREAM_STATE = 0x5,
    FAULT_FINAL_SIZE = 0x6,
    FAULT_ENCODING = 0x7,
    FAULT_VIOLATION = 0xa,
    FAULT_MEMORY = -1
};

static void answer(struct loop *t, const struct datagram_in *in, const struct message_header *head,
                   enum message_type type, uint32_t code)
{
    const struct mem *mem = t->base.env->mem;
    struct loop_answer **end = &t->answers;
    unsigned count = 0;
    for (; *end != NULL; end = &(*end)->next) count++;
    if (count >= LOOP_ANSWERS_MAX || head->from == 0) return;
    struct loop_answer *a = mem_alloc(mem, sizeof *a);
    if (a == NULL) return;
    a->remote = endpoint_memory_number(&in->remote);
    a->socket = in->socket;
    a->to = head->from;
    a->from = head->to;
    a->type = (uint8_t)type;
    a->code = code;
    a->next = NULL;
    *end = a;
}

static void fail(struct loop_conn *c, enum fault fault, uint64_t now_us)
{
    if (fault == FAULT_MEMORY) {
        /* Delivery is reliable, so what cannot be kept now will not come again. */
        loop_conn_fail(c, CONN_END_LOCAL, WEIR_E_BUDGET, WEIR_REASON_LIMIT,
                       "no memory or budget for what the peer sent", now_us);
        return;
    }
    loop_conn_fail(c, CONN_END_LOCAL, WEIR_E_PROTOCOL, REASON_TRANSPORT(fault),
                   reason_sentence(REASON_TRANSPORT(fault)), now_us);
}

static enum fault fault_of(int receive_result)
{
    switch (receive_result) {
    case RECEIVE_OK: return FAULT_NONE;
    case RECEIVE_FLOW_ERROR: return FAULT_FLOW;
    case RECEIVE_SIZE_ERROR: return FAULT_FINAL_SIZE;
    default: return FAULT_MEMORY;
    }
}

static enum fault on_stream(struct loop_conn *c, const struct message *m, uint64_t now_us)
{
    bool for_receive = m->type != MESSAGE_STREAM_CREDIT && m->type != MESSAGE_STOP;
    struct stream *s;
    switch (streams_on_frame(&c->conn, m->stream, for_receive, now_us, &s)) {
    case STREAMS_FOUND: break;
    case STREAMS_GONE: return FAULT_NONE;
    case STREAMS_LIMIT_ERROR: return FAULT_STREAM_LIMIT;
    case STREAMS_NO_MEMORY: return FAULT_MEMORY;
    default: return FAULT_STREAM_STATE;
    }
    switch (m->type) {
    case MESSAGE_DATA:
    case MESSAGE_DATA_END:
        return fault_of(
            streams_on_data(s, m->offset, m->bytes, m->len, m->type == MESSAGE_DATA_END));
    case MESSAGE_RESET: return fault_of(streams_on_reset(s, m->code, m->limit));
    case MESSAGE_STOP: streams_on_stop(s, m->code, now_us); return FAULT_NONE;
    default: streams_on_stream_credit(s, m->limit, now_us); return FAULT_NONE;
    }
}

static enum fault on_ready(struct loop_conn *c, uint64_t now_us)
{
    if (c->conn.role != CONN_LISTENER || (c->flags & (LOOP_HAS_RTT | LOOP_ACCEPT)) != 0)
        return FAULT_VIOLATION;
    c->time_us = now_us > c->time_us ? now_us - c->time_us : 1;
    c->flags |= LOOP_HAS_RTT;
    return FAULT_NONE;
}

/* A message of a connection that is up, but for CLOSE. */
static enum fault on_up(struct loop_conn *c, const struct message *m, uint64_t now_us)
{
    switch (m->type) {
    case MESSAGE_OPEN:
    case MESSAGE_ACCEPT:
    case MESSAGE_REFUSE: return FAULT_VIOLATION;
    case MESSAGE_READY: return on_ready(c, now_us);
    default: break;
    }
    if (loop_conn_streams(c) != 0) return FAULT_MEMORY;
    switch (m->type) {
    case MESSAGE_CONNECTION_CREDIT: streams_on_connection_credit(&c->conn, m->limit, now_us); break;
    case MESSAGE_COUNT_BIDI: streams_on_count_credit(&c->conn, false, m->limit); break;
    case MESSAGE_COUNT_UNI: streams_on_count_credit(&c->conn, true, m->limit); break;
    case MESSAGE_DATAGRAM: streams_on_datagram(&c->conn, m->stream, m->bytes, m->len); break;
    default: return on_stream(c, m, now_us);
    }
    return FAULT_NONE;
}

/* The peer refused, closed, or knows nothing of the connection. */
static void on_end(struct loop_conn *c, const struct message *m, uint64_t now_us)
{
    bool is_reset = m->code == WEIR_REASON_STATELESS_RESET;
    bool is_refusal = m->type == MESSAGE_REFUSE || m->code == WEIR_REASON_REFUSED ||
                      m->code == WEIR_REASON_NETWORK || m->code == WEIR_REASON_FULL;
    loop_conn_end(c, is_reset ? CONN_END_RESET : CONN_END_REMOTE,
                  is_refusal ? WEIR_E_REFUSED : WEIR_E_PEER_CLOSED, m->code, m->bytes, m->len,
                  now_us);
    loop_conn_drop(c);
}

static void on_accept(struct loop_conn *c, const struct message *m, uint64_t now_us)
{
    const struct peer_id *own = &c->conn.transport->env->key->id, *peer = &m->hello.peer;
    if ((c->flags & LOOP_WAITS) != 0) {
        c->flags &= (uint16_t)~LOOP_WAITS;
        c->flags |= LOOP_END;
        loop_conn_place(c);
        return;
    }
    bool is_other = (c->flags & LOOP_EXPECTS) != 0 &&
                    memcmp(c->peer_key, peer_id_key(peer), sizeof c->peer_key) != 0;
    if (is_other || peer_id_equal(peer, own)) {
        loop_conn_know(c, peer);
        loop_conn_fail(c, CONN_END_HANDSHAKE, WEIR_E_IDENTITY, WEIR_REASON_IDENTITY,
                       reason_sentence(WEIR_REASON_IDENTITY), now_us);
        return;
    }
    if (loop_conn_up(c, &m->hello) != 0) {
        loop_conn_fail(c, CONN_END_LOCAL, WEIR_E_MEMORY, WEIR_REASON_LIMIT,
                       "no memory for a connection", now_us);
        return;
    }
    c->time_us = now_us > c->time_us ? now_us - c->time_us : 1;
    c->flags |= LOOP_HAS_RTT | LOOP_READY;
    loop_conn_place(c);
}

/* @return the new connection, or NULL (the dialler was told) */
static struct loop_conn *on_open(struct loop *t, const struct datagram_in *in,
                                 const struct message_header *head, const struct message *m)
{
    const struct transport_env *env = t->base.env;
    metric_inc(env->metrics, METRIC_HANDSHAKES_STARTED_ACCEPT);
    if (peer_id_equal(&m->hello.peer, &env->key->id)) {
        answer(t, in, head, MESSAGE_REFUSE, WEIR_REASON_IDENTITY);
        metric_inc(env->metrics, METRIC_HANDSHAKES_FAILED);
        return NULL;
    }
    struct loop_conn *c =
        loop_conn_make(t, CONN_LISTENER, endpoint_memory_number(&in->remote), in->socket);
    if (c != NULL && loop_conn_up(c, &m->hello) == 0) {
        c->remote_number = head->from;
        c->flags |= LOOP_ACCEPT;
        loop_conn_place(c);
        return c;
    }
    if (c != NULL) loop_conn_discard(c);
    answer(t, in, head, MESSAGE_REFUSE, WEIR_REASON_OVERLOAD);
    metric_inc(env->metrics, METRIC_HANDSHAKES_FAILED);
    return NULL;
}

/* @return whether the connection takes further messages; if not, it may be gone */
static bool on_message(struct loop_conn *c, const struct message_header *head,
                       const struct message *m, uint64_t now_us)
{
    bool waits = c->conn.state == CONN_CONNECTING || (c->flags & LOOP_WAITS) != 0;
    if (m->type == MESSAGE_CLOSE || (m->type == MESSAGE_REFUSE && waits)) {
        on_end(c, m, now_us);
        return false;
    }
    if (c->conn.state >= CONN_CLOSING && !waits) return false; /* our own end is about to leave */
    if (waits) {
        c->remote_number = head->from;
        if (m->type == MESSAGE_ACCEPT)
            on_accept(c, m, now_us);
        else
            fail(c, FAULT_VIOLATION, now_us);
        return c->conn.state == CONN_UP;
    }
    enum fault fault = on_up(c, m, now_us);
    if (fault == FAULT_NONE) return true;
    fail(c, fault, now_us);
    return false;
}

static void on_messages(struct loop_conn *c, const struct message_header *head, struct reader *r,
                        uint64_t now_us)
{
    struct message m;
    while (reader_left(r) > 0) {
        if (!loop_message_read(r, &m)) {
            if (c->conn.state < CONN_CLOSING) fail(c, FAULT_ENCODING, now_us);
            return;
        }
        if (!on_message(c, head, &m, now_us)) return;
    }
    /* Credit may have become due, or a stop has to be answered. */
    loop_conn_place(c);
}

static struct loop_conn *find(const struct loop *t, uint64_t remote,
                              const struct message_header *head)
{
    struct loop_conn *c = loop_table_find(t, remote, head->to);
    bool is_other = c != NULL && c->remote_number != 0 && c->remote_number != head->from;
    return is_other ? NULL : c;
}

static void on_datagram(struct loop *t, const struct datagram_in *in, const uint8_t *data,
                        size_t len, uint64_t now_us)
{
    struct metrics *metrics = t->base.env->metrics;
    struct reader r = reader_of(data, len);
    struct message_header head;
    struct message first;
    metric_inc(metrics, METRIC_DATAGRAMS_RECEIVED);
    metric_add(metrics, METRIC_BYTES_RECEIVED, len);
    if (!loop_message_read_header(&r, &head)) {
        metric_inc(metrics, METRIC_DROPPED_MALFORMED);
        return;
    }
    struct reader look = r;
    struct loop_conn *c = find(t, endpoint_memory_number(&in->remote), &head);
    bool is_whole = loop_message_read(&look, &first);
    bool is_end = first.type == MESSAGE_CLOSE || first.type == MESSAGE_REFUSE;
    if (c == NULL && head.to == 0 && is_whole && first.type == MESSAGE_OPEN && head.from != 0) {
        c = on_open(t, in, &head, &first);
        if (c == NULL) return;
        r = look;
    } else if (c == NULL) {
        metric_inc(metrics, METRIC_DROPPED_UNKNOWN);
        /* An end is never answered, or two transports could do so for ever. */
        if (is_whole && !is_end) answer(t, in, &head, MESSAGE_CLOSE, WEIR_REASON_STATELESS_RESET);
        return;
    } else if (head.from == 0 && !is_end) {
        metric_inc(metrics, METRIC_DROPPED_MALFORMED);
        return;
    }
    metric_inc(metrics, METRIC_PACKETS_RECEIVED);
    on_messages(c, &head, &r, now_us);
}

void loop_receive(struct transport *base, const struct datagram_in *in, uint64_t now_us)
{
    size_t step = in->segment != 0 ? in->segment : in->len, at = 0;
    if (in->remote.family != ENDPOINT_MEMORY) {
        metric_inc(base->env->metrics, METRIC_DROPPED_MALFORMED);
        return;
    }
    do {
        size_t len = in->len - at < step ? in->len - at : step;
        on_datagram((struct loop *)(void *)base, in, in->data + at, len, now_us);
        at += len;
    } while (at < in->len);
}
