/* SPDX-License-Identifier: MIT */
/* Datagrams out: one connection each, the connections in turns. */
#include "base/assert.h"
#include "loop/loop_conn.h"
#include <string.h>

enum {
    /* What a stream may need besides its bytes (a reset, a stop, credit, data's head), and room
     * for so many bytes that they are worth a head. */
    STREAM_ROOM_BYTES = 2 * MESSAGE_DATA_BYTES + 2 * MESSAGE_LIMIT_BYTES + 64,
    CREDIT_ROOM_BYTES = 3 * MESSAGE_LIMIT_BYTES,
    DATAGRAM_MIN = 512 /* a driver gives more; less would not hold an OPEN */
};

static void write_hello(struct loop_conn *c, struct writer *w, enum message_type type,
                        uint64_t now_us)
{
    const struct transport_env *env = c->conn.transport->env;
    struct message_hello hello = {.peer = env->key->id};
    size_t len = strlen(env->network);
    WEIR_ASSERT(len <= MESSAGE_NETWORK_MAX);
    memcpy(hello.network, env->network, len);
    streams_own_grants(env->limits, &hello.grants);
    loop_message_write_hello(w, type, &hello);
    c->time_us = now_us;
}

static void write_end(const struct loop_conn *c, struct writer *w)
{
    /* Without memory for the facts of the end there is only one that can be told. */
    const struct conn_end *end = c->conn.end;
    bool refuses = (c->flags & LOOP_REFUSES) != 0;
    loop_message_write_end(w, refuses ? MESSAGE_REFUSE : MESSAGE_CLOSE,
                           end != NULL ? end->reason : WEIR_REASON_LIMIT,
                           end != NULL ? end->text : NULL, end != NULL ? end->text_len : 0);
}

static void write_credit(struct conn_streams *st, struct writer *w)
{
    if (st->credit_pending) {
        loop_message_write_limit(w, MESSAGE_CONNECTION_CREDIT, 0, st->receive_limit);
    }
    if (st->accept_pending[0]) {
        loop_message_write_limit(w, MESSAGE_COUNT_BIDI, 0, st->accept_max[0]);
    }
    if (st->accept_pending[1]) {
        loop_message_write_limit(w, MESSAGE_COUNT_UNI, 0, st->accept_max[1]);
    }
    st->credit_pending = st->accept_pending[0] = st->accept_pending[1] = false;
}

/* The messages of a stream that carry no data. */
static void write_control(struct stream *s, struct writer *w)
{
    if (s->in.stop_pending) {
        s->in.stop_pending = false;
        loop_message_write_stop(w, s->id, s->in.stop_code);
    }
    if (s->in.credit_pending) {
        s->in.credit_pending = false;
        if (s->in.state == RECEIVE_OPEN) {
            loop_message_write_limit(w, MESSAGE_STREAM_CREDIT, s->id, s->in.limit);
        }
    }
    if (s->out.reset_pending) {
        s->out.reset_pending = false;
        loop_message_write_reset(w, s->id, s->out.reset_code, s->out.sent);
        streams_on_reset_acked(s);
    }
}

static void write_data(struct stream *s, struct writer *w, uint64_t now_us)
{
    const struct mem *mem = s->conn->transport->env->mem;
    uint64_t offset, len, room = writer_room(w) - MESSAGE_DATA_BYTES;
    bool fin;
    if (!s->has_out || !send_lane_next(&s->out, false, room, &offset, &len, &fin)) return;
    loop_message_write_data(w, s->id, offset, len, fin);
    WEIR_ASSERT(writer_room(w) >= len);
    ring_read(&s->out.ring, offset, w->at, (size_t)len);
    w->at += len;
    (void)send_lane_on_sent(&s->out, offset, len, fin, mem);
    streams_on_acked(s, offset, len, fin, now_us);
}

static bool has_more(const struct stream *s)
{
    return s->out.reset_pending || s->in.stop_pending || s->in.credit_pending ||
           (s->has_out && send_lane_has(&s->out, false));
}

static void write_streams(struct conn_streams *st, struct writer *w, uint64_t now_us)
{
    struct list *link;
    uint8_t urgency;
    while (writer_room(w) >= STREAM_ROOM_BYTES &&
           (link = sched_next(&st->sched, &urgency)) != NULL) {
        struct stream *s = list_entry(link, struct stream, ready_link);
        size_t before = writer_len(w);
        write_control(s, w);
        write_data(s, w, now_us);
        s->is_opened = true;
        sched_sent(&st->sched, link, urgency, (uint32_t)(writer_len(w) - before));
        if (!has_more(s)) sched_remove(&st->sched, link, urgency);
    }
}

/* Behind the streams, so that the receiver knows theirs. */
static void write_datagrams(struct loop_conn *c, struct writer *w)
{
    struct datagram_item *item;
    while (writer_room(w) >= MESSAGE_DATA_BYTES + MESSAGE_DATAGRAM_MAX &&
           (item = streams_next_datagram(&c->conn, MESSAGE_DATAGRAM_MAX)) != NULL) {
        loop_message_write_datagram(w, item->stream, item->bytes, item->len);
        streams_datagram_sent(&c->conn, item);
    }
}

/* @return false when nothing was to be said after all. The connection may be gone afterwards. */
static bool write_conn(struct loop_conn *c, struct writer *w, uint64_t now_us)
{
    size_t head;
    loop_message_write_header(w, c->remote_number, c->number);
    head = writer_len(w);
    if ((c->flags & LOOP_END) != 0) {
        write_end(c, w);
        loop_conn_drop(c);
        return true;
    }
    if ((c->flags & LOOP_OPEN) != 0) write_hello(c, w, MESSAGE_OPEN, now_us);
    if ((c->flags & LOOP_ACCEPT) != 0) write_hello(c, w, MESSAGE_ACCEPT, now_us);
    if ((c->flags & LOOP_READY) != 0) loop_message_write_limit(w, MESSAGE_READY, 0, 0);
    c->flags &= (uint16_t) ~(LOOP_OPEN | LOOP_ACCEPT | LOOP_READY);
    if (c->conn.state == CONN_UP && c->conn.streams != NULL) {
        if (writer_room(w) >= CREDIT_ROOM_BYTES) write_credit(c->conn.streams, w);
        write_streams(c->conn.streams, w, now_us);
        write_datagrams(c, w);
    }
    /* To the back, so that one busy connection does not hold up the others. */
    list_remove(&c->link);
    list_push_back(&((struct loop *)(void *)c->conn.transport)->lists[c->list], &c->link);
    loop_conn_place(c);
    return writer_len(w) > head;
}

static void address(struct datagram_out *out, uint64_t remote, uint32_t socket)
{
    memset(&out->local, 0, sizeof out->local);
    out->remote = endpoint_memory(remote);
    out->socket = socket;
    out->ecn = 0;
}

static void write_answer(struct loop *t, struct datagram_out *out, struct writer *w)
{
    struct loop_answer *answer = t->answers;
    address(out, answer->remote, answer->socket);
    loop_message_write_header(w, answer->to, answer->from);
    loop_message_write_end(w, (enum message_type)answer->type, answer->code, NULL, 0);
    t->answers = answer->next;
    mem_free(t->base.env->mem, answer, sizeof *answer);
}

bool loop_send(struct transport *base, struct datagram_out *out, uint64_t now_us)
{
    struct loop *t = (struct loop *)(void *)base;
    bool done = false;
    WEIR_ASSERT(out->cap >= DATAGRAM_MIN);
    size_t cap = out->cap < LOOP_DATAGRAM_MAX ? out->cap : LOOP_DATAGRAM_MAX;
    while (!done) {
        struct writer w = writer_of(out->data, cap);
        struct loop_conn *c = list_first(&t->lists[LOOP_SENDING], struct loop_conn, link);
        if (t->answers != NULL) {
            write_answer(t, out, &w);
            done = true;
        } else if (c != NULL) {
            address(out, c->remote, c->socket);
            done = write_conn(c, &w, now_us);
        } else {
            return false;
        }
        WEIR_ASSERT(!w.full);
        out->len = out->segment = writer_len(&w);
    }
    metric_inc(base->env->metrics, METRIC_DATAGRAMS_SENT);
    metric_inc(base->env->metrics, METRIC_PACKETS_SENT);
    metric_add(base->env->metrics, METRIC_BYTES_SENT, out->len);
    return true;
}
