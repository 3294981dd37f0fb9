/* SPDX-License-Identifier: MIT */
/* Facts about streams. A stream that the peer opened is node's until its protocol name has come and
 * is served; streams of other names, and of node's built-in protocols, never become the
 * application's. */
#include "node/streams.h"
#include "base/assert.h"
#include "node/conns.h"
#include "node/drain.h"
#include "node/events.h"
#include "node/exchanges.h"
#include "node/feeds.h"
#include "node/local.h"
#include "node/observed.h"
#include "node/owner.h"
#include "node/protocols.h"
#include "node/stream_head.h"

uint32_t streams_end_reason(const struct stream *s)
{
    uint32_t amount;
    if (local_end_amount(s, &amount)) return amount;
    if (s->has_in && s->in.was_reset) return s->in.reset_code;
    if (s->has_out && s->out.stopped) return s->out.stop_code;
    if (s->has_out && s->out.reset_code != 0) return s->out.reset_code;
    return s->has_in && s->in.stopped ? s->in.stop_code : WEIR_REASON_NONE;
}

void streams_drop(struct node *node, struct stream *s)
{
    struct transport_conn *c = s->conn;
    if (s->handle != 0) handle_remove(&node->handles, s->handle);
    protocols_release(node, s->node_protocol);
    list_remove(&s->dirty_link);
    if (local_is(s)) local_forget(node, s);
    streams_remove(s);
    conns_check_loser(node, c);
}

void streams_refuse(struct node *node, struct stream *s, uint32_t reason)
{
    s->node_flags = STREAM_HIDDEN;
    if (s->has_out) (void)stream_reset(s, reason, node->now_us);
    if (s->has_in) (void)stream_stop(s, reason, node->now_us);
    /* Node's own word waits for no turn of the application. */
    s->conn->transport->ops->conn_flush(s->conn, node->now_us);
}

/* The stream becomes the application's. */
static void surface(struct node *node, struct stream *s, struct protocol *p, size_t header_len)
{
    struct transport_conn *c = s->conn;
    s->handle = handle_add(&node->handles, HANDLE_STREAM, s);
    if (s->handle == 0) {
        streams_refuse(node, s, WEIR_REASON_LIMIT);
        return;
    }
    s->node_protocol = protocols_hold(p);
    s->user = p->user;
    s->node_flags = STREAM_TELL_OPENED;
    node->streams_open++;
    (void)stream_set_urgency(s, p->urgency, node->now_us);
    (void)stream_consume(s, header_len, node->now_us);
    if ((c->node_flags & CONN_TOLD) == 0) events_tell_connected(node, c);
}

static void on_header(struct node *node, struct stream *s)
{
    struct stream_head head;
    enum stream_head_result result =
        stream_head_read(s, node->env.limits->value[LIMIT_PROTOCOL_NAME], &head);
    if (result == STREAM_HEAD_WAIT) return;
    if (result == STREAM_HEAD_BAD) {
        metric_inc(node->env.metrics, METRIC_STREAMS_REFUSED);
        streams_refuse(node, s, WEIR_REASON_PROTOCOL_NAME);
        return;
    }
    if (observed_is_name(node, head.name, head.name_len)) {
        s->node_flags = STREAM_HIDDEN;
        observed_answer(node, s);
        return;
    }
    struct protocol *p = protocols_served(node, head.name, head.name_len);
    if (p == NULL || drain_is_on(node)) {
        metric_inc(node->env.metrics, METRIC_STREAMS_REFUSED);
        streams_refuse(node, s, p == NULL ? WEIR_REASON_PROTOCOL_NOT_SERVED : WEIR_REASON_DRAINING);
        return;
    }
    if (p->kinds == PROTOCOL_FEED) {
        feeds_on_opened(node, s, p, head.len);
    } else if ((p->kinds & WEIR_KIND_STREAM) != 0) {
        surface(node, s, p, head.len);
    } else {
        exchanges_on_opened(node, s, p, head.len);
    }
}

static void settle_one(struct node *node, struct stream *s)
{
    if ((s->pending & STREAM_PENDING_OPENED) != 0) {
        s->pending = (uint8_t)(s->pending & ~STREAM_PENDING_OPENED);
        s->node_flags |= STREAM_HEADER;
    }
    if ((s->node_flags & STREAM_HEADER) != 0 && s->conn->state == CONN_UP) on_header(node, s);
    if ((s->node_flags & STREAM_OWNED) != 0) {
        owners_on_stream(node, s);
        return;
    }
    if ((s->node_flags & (STREAM_HIDDEN | STREAM_HEADER)) != 0) {
        if ((s->node_flags & STREAM_ASKING) != 0) observed_on_answer(node, s);
        if ((s->pending & STREAM_PENDING_OVER) != 0) streams_drop(node, s);
        return;
    }
    if ((s->node_flags & STREAM_GONE) == 0 && events_stream_has_facts(s))
        events_queue_stream(node, s);
}

void streams_settle(struct node *node, struct transport_conn *c)
{
    struct stream *s;
    while ((s = streams_next_dirty(c)) != NULL) settle_one(node, s);
}
