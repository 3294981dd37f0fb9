/* SPDX-License-Identifier: MIT */
/* What the application is told, and when.
 *
 * Facts stay where they arise: in the pending bits of streams and connections. The queues hold
 * objects, not events, so a slow application costs no memory and level facts fold by themselves.
 * Four queues, each in the order of occurrence:
 *
 *   started   connections that are up, moved, may open streams again, were observed
 *   (dials)   dials that failed, in dial.c
 *   streams   streams with facts; all of one at once: opened, readable, writable, reset, stopped,
 *             closed
 *   ended     connections that ended
 *
 * A connection in `started` is not looked at by node until it was told, so no stream is told before
 * its connection. The end of a connection waits until every stream that was queued before it is
 * told: node_index then is the place of the queue at that moment. Links are those of the
 * transport's own lists, which node took the objects off; as long as an object is in one of node's
 * queues, new facts only add bits to it.
 *
 * What was told to have ended moves to gone_* and goes at the next turn. */
#include "node/events.h"
#include "base/assert.h"
#include "node/conns.h"
#include "node/dial.h"
#include "node/drain.h"
#include "node/local.h"
#include "node/owner.h"
#include "node/streams.h"

struct sink {
    const struct node *node;
    weir_event *events;
    uint32_t cap, count;
};

static bool is_full(const struct sink *sink)
{
    return sink->count == sink->cap;
}

static void emit(struct sink *sink, uint32_t kind, int error, uint64_t object, uint64_t parent,
                 uint64_t user, uint64_t amount)
{
    weir_event *e = &sink->events[sink->count++];
    WEIR_ASSERT(sink->count <= sink->cap);
    *e = (weir_event){.kind = kind,
                      .error = error,
                      .object = object,
                      .parent = parent,
                      .user = user,
                      .amount = amount,
                      .time_us = sink->node->now_us,
                      .node = sink->node->number};
}

void events_queue_started(struct node *node, struct transport_conn *c)
{
    if ((c->node_flags & CONN_REGISTERED) == 0) return;
    list_remove(&c->ready_link);
    list_push_back(&node->started, &c->ready_link);
}

void events_tell_connected(struct node *node, struct transport_conn *c)
{
    if ((c->node_flags & CONN_TELL_CONNECTED) != 0) return;
    c->node_flags |= CONN_TOLD | CONN_TELL_CONNECTED;
    events_queue_started(node, c);
}

void events_queue_end(struct node *node, struct transport_conn *c)
{
    c->node_index = node->queue_pushed;
    list_remove(&c->ready_link);
    list_push_back(&node->ended, &c->ready_link);
}

bool events_is_end_known(const struct stream *s)
{
    if (!s->has_in || s->in.was_reset || s->in.stopped) return false;
    return s->in.state == RECEIVE_OVER ||
           (s->in.state == RECEIVE_SIZED && s->in.contiguous == s->in.final_size);
}

static bool is_readable(const struct stream *s)
{
    if (!s->has_in || s->in.was_reset || s->in.stopped) return false;
    if ((s->pending & STREAM_PENDING_READABLE) != 0 && receive_lane_readable(&s->in) > 0)
        return true;
    return events_is_end_known(s) && (s->node_flags & STREAM_TOLD_END) == 0;
}

static bool is_writable(const struct stream *s)
{
    return (s->pending & STREAM_PENDING_WRITABLE) != 0 && s->out.state == SEND_OPEN;
}

bool events_stream_has_facts(const struct stream *s)
{
    const unsigned told = STREAM_PENDING_RESET | STREAM_PENDING_STOPPED | STREAM_PENDING_OVER |
                          STREAM_PENDING_DATAGRAM;
    if ((s->node_flags & STREAM_TELL_OPENED) != 0 || (s->pending & told) != 0) return true;
    return is_readable(s) || is_writable(s);
}

void events_queue_stream(struct node *node, struct stream *s)
{
    list_remove(&s->dirty_link);
    list_push_back(&node->streams, &s->dirty_link);
    node->queue_pushed++;
}

static struct stream *pop_stream(struct node *node)
{
    struct stream *s = list_first(&node->streams, struct stream, dirty_link);
    list_remove(&s->dirty_link);
    node->queue_popped++;
    return s;
}

void events_prune(struct node *node)
{
    struct stream *s;
    while ((s = list_first(&node->streams, struct stream, dirty_link)) != NULL &&
           !events_stream_has_facts(s)) {
        (void)pop_stream(node);
        s->pending = 0;
    }
}

static bool take(uint8_t *bits, unsigned bit)
{
    bool was = (*bits & bit) != 0;
    *bits = (uint8_t)(*bits & ~bit);
    return was;
}

/* @return false when the array is full and facts are left */
static bool tell_started(struct sink *sink, struct transport_conn *c)
{
    struct conn_rare *rare = (c->node_flags & CONN_ATTEMPT) != 0 ? NULL : c->node_data;
    uint64_t dialled = c->role == CONN_DIALLER ? 1 : 0;
    if (!is_full(sink) && take(&c->node_flags, CONN_TELL_CONNECTED))
        emit(sink, WEIR_EVENT_CONNECTED, 0, c->handle, 0, c->user, dialled);
    if (!is_full(sink) && take(&c->node_flags, CONN_TELL_PEER_UP))
        emit(sink, WEIR_EVENT_PEER_UP, 0, c->handle, 0, c->user, dialled);
    if (!is_full(sink) && take(&c->pending, CONN_PENDING_MOVED))
        emit(sink, WEIR_EVENT_MOVED, 0, c->handle, 0, c->user, 0);
    if (!is_full(sink) && take(&c->pending, CONN_TELL_OPENABLE))
        emit(sink, WEIR_EVENT_OPENABLE, 0, c->handle, 0, c->user, 0);
    if (!is_full(sink) && rare != NULL && rare->tell_observed) {
        rare->tell_observed = false;
        emit(sink, WEIR_EVENT_OBSERVED, 0, c->handle, 0, c->user, 0);
    }
    if (!is_full(sink) && rare != NULL && rare->tell_sendable) {
        rare->tell_sendable = false;
        emit(sink, WEIR_EVENT_SENDABLE, 0, c->handle, 0, c->user, 0);
    }
    if ((c->node_flags & (CONN_TELL_CONNECTED | CONN_TELL_PEER_UP)) != 0) return false;
    if ((c->pending & (CONN_PENDING_MOVED | CONN_TELL_OPENABLE)) != 0) return false;
    return rare == NULL || !(rare->tell_observed || rare->tell_sendable);
}

static void tell_readable(struct sink *sink, struct stream *s)
{
    bool is_end = events_is_end_known(s);
    (void)take(&s->pending, STREAM_PENDING_READABLE);
    s->told_readable = true;
    if (is_end) s->node_flags |= STREAM_TOLD_END;
    emit(sink, WEIR_EVENT_READABLE, is_end ? WEIR_E_END : 0, s->handle, s->conn->handle, s->user,
         receive_lane_readable(&s->in));
}

/* @return false when the array is full and facts are left */
static bool tell_stream(struct sink *sink, struct stream *s)
{
    uint64_t parent = s->conn->handle;
    if (!is_full(sink) && take(&s->node_flags, STREAM_TELL_OPENED))
        emit(sink, WEIR_EVENT_STREAM, 0, s->handle, parent, s->user,
             parent == 0 ? local_size(s) : 0);
    if (!is_full(sink) && is_readable(s)) tell_readable(sink, s);
    if (!is_full(sink) && take(&s->pending, STREAM_PENDING_DATAGRAM))
        emit(sink, WEIR_EVENT_DATAGRAM, 0, s->handle, parent, s->user, stream_datagrams_waiting(s));
    if (!is_full(sink) && is_writable(s)) {
        (void)take(&s->pending, STREAM_PENDING_WRITABLE);
        emit(sink, WEIR_EVENT_WRITABLE, 0, s->handle, parent, s->user, stream_writable(s));
    }
    if (!is_full(sink) && take(&s->pending, STREAM_PENDING_RESET))
        emit(sink, WEIR_EVENT_STREAM_RESET, WEIR_E_RESET, s->handle, parent, s->user,
             s->in.reset_code);
    if (!is_full(sink) && take(&s->pending, STREAM_PENDING_STOPPED))
        emit(sink, WEIR_EVENT_STREAM_STOPPED, WEIR_E_STOPPED, s->handle, parent, s->user,
             s->out.stop_code);
    if (!is_full(sink) && take(&s->pending, STREAM_PENDING_OVER)) {
        emit(sink, WEIR_EVENT_STREAM_CLOSED, local_end_error(s), s->handle, parent, s->user,
             streams_end_reason(s));
        s->node_flags |= STREAM_GONE;
    }
    return !events_stream_has_facts(s);
}

static bool end_is_ready(const struct node *node)
{
    const struct transport_conn *c = list_first(&node->ended, struct transport_conn, ready_link);
    return c != NULL && (int32_t)(node->queue_popped - c->node_index) >= 0;
}

/* @return false when the array is full and facts are left */
static bool tell_end(struct sink *sink, struct transport_conn *c)
{
    uint32_t reason = c->end == NULL ? WEIR_REASON_NONE : c->end->reason;
    if (!is_full(sink) && take(&c->node_flags, CONN_TOLD))
        emit(sink, WEIR_EVENT_CONNECTION_CLOSED, conns_end_error(c), c->handle, 0, c->user, reason);
    if (!is_full(sink) && take(&c->node_flags, CONN_TELL_PEER_DOWN))
        emit(sink, WEIR_EVENT_PEER_DOWN, 0, c->handle, 0, c->user, reason);
    return (c->node_flags & (CONN_TOLD | CONN_TELL_PEER_DOWN)) == 0;
}

static void fill_started(struct node *node, struct sink *sink)
{
    struct transport_conn *c;
    while (!is_full(sink) &&
           (c = list_first(&node->started, struct transport_conn, ready_link)) != NULL) {
        if (!tell_started(sink, c)) return;
        list_remove(&c->ready_link);
        /* What came meanwhile is looked at with the next input. */
        if (c->pending != 0) conn_mark(c, 0);
    }
}

static void fill_ended(struct node *node, struct sink *sink)
{
    while (!is_full(sink) && end_is_ready(node)) {
        struct transport_conn *c = list_first(&node->ended, struct transport_conn, ready_link);
        if (!tell_end(sink, c)) return;
        list_remove(&c->ready_link);
        list_push_back(&node->gone_conns, &c->ready_link);
    }
}

static void fill_streams(struct node *node, struct sink *sink)
{
    events_prune(node);
    while (!is_full(sink) && !list_is_empty(&node->streams)) {
        struct stream *s = list_first(&node->streams, struct stream, dirty_link);
        if (!tell_stream(sink, s)) return;
        (void)pop_stream(node);
        if ((s->node_flags & STREAM_GONE) != 0) {
            node->streams_open--;
            list_push_back(&node->gone_streams, &s->dirty_link);
        }
        fill_ended(node, sink);
        events_prune(node);
    }
}

uint32_t node_next_events(struct node *node, weir_event *events, uint32_t cap)
{
    struct sink sink = {.node = node, .events = events, .cap = cap};
    if (node->closed) return 0;
    fill_started(node, &sink);
    while (!is_full(&sink) && dial_next_failed(node, &sink.events[sink.count])) sink.count++;
    while (!is_full(&sink) && owners_next_event(node, &sink.events[sink.count])) sink.count++;
    fill_ended(node, &sink);
    fill_streams(node, &sink);
    fill_ended(node, &sink);
    if (!is_full(&sink) && drain_take_event(node)) emit(&sink, WEIR_EVENT_DRAINED, 0, 0, 0, 0, 0);
    metric_add(node->env.metrics, METRIC_EVENTS_DELIVERED, sink.count);
    return sink.count;
}

bool node_has_events(const struct node *node)
{
    if (node->closed) return false;
    if (!list_is_empty(&node->started) || !list_is_empty(&node->streams)) return true;
    if (owners_have_events(node)) return true;
    return end_is_ready(node) || dial_has_failed(node) || drain_has_event(node);
}

void events_on_turn(struct node *node)
{
    struct stream *s;
    struct transport_conn *c;
    while ((s = list_first(&node->gone_streams, struct stream, dirty_link)) != NULL) {
        list_remove(&s->dirty_link);
        streams_drop(node, s);
    }
    while ((c = list_first(&node->gone_conns, struct transport_conn, ready_link)) != NULL) {
        list_remove(&c->ready_link);
        conns_drop(node, c);
    }
    dial_on_turn(node);
}
