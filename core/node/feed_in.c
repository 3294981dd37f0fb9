/* SPDX-License-Identifier: MIT */
/* Subscriptions.
 *
 * Items stay in the stream's receive lane until the application reads them: credit is what holds a
 * publisher back, and a reader that stands still costs no more than a window. Of the bytes only the
 * first frame is ever looked at. No frame is longer than half of the first window, so one that is
 * not complete can always be completed. */
#include "base/bytes.h"
#include "node/conns.h"
#include "node/drain.h"
#include "node/errors.h"
#include "node/events.h"
#include "node/feed.h"
#include "node/peers.h"
#include "node/stream_head.h"
#include <string.h>

enum { URGENCY = 3, KIND_SIZE_MAX = 8 };

enum state { NOTHING, ITEM, END, BROKEN };

/* Longest value to be believed. */
static uint64_t item_max(const struct node *node)
{
    const uint64_t *limits = node->env.limits->value;
    uint64_t half = limits[LIMIT_STREAM_WINDOW_FIRST] / 2;
    uint64_t most = half > FEED_HEAD_MAX ? half - FEED_HEAD_MAX : 0;
    return limits[LIMIT_FEED_ITEM] < most ? limits[LIMIT_FEED_ITEM] : most;
}

static size_t copy_front(const struct stream *s, uint8_t *out, size_t cap)
{
    uint64_t readable = receive_lane_readable(&s->in);
    size_t len = readable < cap ? (size_t)readable : cap;
    if (len > 0) ring_read(&s->in.ring, s->in.ring.base, out, len);
    return len;
}

/* Nothing, or less than a whole thing: what that means. */
static enum state at_rest(const struct stream *s)
{
    if (!events_is_end_known(s)) return NOTHING;
    return receive_lane_readable(&s->in) == 0 ? END : BROKEN;
}

static enum state read_kind(struct node *node, struct subscription *sub)
{
    uint8_t bytes[KIND_SIZE_MAX];
    struct reader r = reader_of(bytes, copy_front(sub->stream, bytes, sizeof bytes));
    size_t len = reader_left(&r);
    uint64_t kind = reader_varint(&r);
    if (r.failed) return at_rest(sub->stream);
    if (!feed_wire_is_kind(kind)) return BROKEN;
    sub->kind = (uint32_t)kind;
    (void)stream_consume(sub->stream, len - reader_left(&r), node->now_us);
    return NOTHING;
}

/* What is in front. */
static enum state look(struct node *node, struct subscription *sub, struct feed_frame *frame)
{
    uint8_t bytes[FEED_HEAD_MAX];
    if (sub->kind == 0) {
        enum state state = read_kind(node, sub);
        if (sub->kind == 0) return state;
    }
    size_t len = copy_front(sub->stream, bytes, sizeof bytes);
    enum feed_wire_result result = feed_wire_read(sub->kind, bytes, len, item_max(node), frame);
    if (result == FEED_WIRE_BAD) return BROKEN;
    if (result == FEED_WIRE_WAIT) return at_rest(sub->stream);
    uint64_t whole = frame->head_len + frame->value_len;
    return receive_lane_readable(&sub->stream->in) >= whole ? ITEM : at_rest(sub->stream);
}

/* It is over, and the application is to hear it. The stream, if there still is one, goes by itself.
 */
static void close_with(struct node *node, struct subscription *sub, int error, uint32_t reason)
{
    if (sub->is_closed) return;
    sub->is_closed = true;
    sub->error = error;
    sub->reason = reason;
    sub->tell_items = false;
    if (sub->stream != NULL) {
        sub->stream->node_data = NULL;
        sub->stream->node_flags = STREAM_HIDDEN;
        sub->stream = NULL;
    }
    owner_ready(node, &sub->owner);
}

static void fail_format(struct node *node, struct subscription *sub)
{
    metric_inc(node->env.metrics, METRIC_FEED_REFUSED);
    owner_drop_stream(node, sub->stream, WEIR_REASON_FORMAT);
    sub->stream = NULL;
    close_with(node, sub, WEIR_E_PROTOCOL, WEIR_REASON_FORMAT);
}

static void act(struct node *node, struct subscription *sub, enum state state)
{
    switch (state) {
    case NOTHING: break;
    case ITEM:
        if (sub->is_told) break;
        sub->is_told = sub->tell_items = true;
        owner_ready(node, &sub->owner);
        break;
    case END: close_with(node, sub, 0, WEIR_REASON_NONE); break;
    case BROKEN: fail_format(node, sub); break;
    }
}

static void on_reset(struct node *node, struct subscription *sub, const struct stream *s)
{
    const struct transport_conn *c = s->conn;
    if (c->state == CONN_UP) {
        close_with(node, sub, WEIR_E_RESET, s->in.reset_code);
        return;
    }
    uint32_t reason = c->end == NULL ? s->in.reset_code : c->end->reason;
    close_with(node, sub, WEIR_E_NOT_CONNECTED, reason);
}

static void on_stream(struct node *node, struct owner *o, struct stream *s, unsigned facts)
{
    struct subscription *sub = (struct subscription *)(void *)o;
    struct feed_frame frame;
    bool is_over = (facts & STREAM_PENDING_OVER) != 0;
    /* What came whole and was not read goes with its connection. */
    bool is_lost = is_over && s->conn->state != CONN_UP && receive_lane_readable(&s->in) > 0;
    if (s->in.was_reset || is_lost) {
        if (is_over) sub->stream = NULL;
        on_reset(node, sub, s);
        return;
    }
    /* Over, and nothing was lost: everything was read. */
    enum state state = is_over ? END : look(node, sub, &frame);
    if (is_over) sub->stream = NULL;
    act(node, sub, state);
}

static bool next_event(struct node *node, struct owner *o, weir_event *event)
{
    struct subscription *sub = (struct subscription *)(void *)o;
    event->parent = sub->connection;
    event->user = sub->user;
    if (sub->tell_items) {
        sub->tell_items = false;
        owner_not_ready(o);
        event->kind = WEIR_EVENT_FEED;
        event->amount = receive_lane_readable(&sub->stream->in);
        return true;
    }
    if (!sub->is_closed || o->ended) return false;
    event->kind = WEIR_EVENT_FEED_CLOSED;
    event->error = sub->error;
    event->amount = sub->reason;
    owner_not_ready(o);
    owner_end(node, o);
    return true;
}

static void release(struct node *node, struct owner *o)
{
    struct subscription *sub = list_entry(o, struct subscription, owner);
    /* Values may be far apart: the connection is kept up meanwhile. */
    (void)peers_keep(node, &sub->peer, false);
    state_release(node, sub, sizeof *sub);
}

static const struct owner_ops ops = {
    .on_stream = on_stream, .next_event = next_event, .release = release};

static int check_subscribe(struct node *node, const struct node_call *call,
                           struct transport_conn **out)
{
    struct dial *dial;
    int error;
    *out = conns_get(node, call->object, &dial, &error);
    if (error != 0) return error;
    if (*out == NULL || (*out)->state != CONN_UP) return WEIR_E_NOT_CONNECTED;
    if (drain_is_on(node))
        return errors_fail(node, WEIR_E_DRAINING, NULL, NULL, "the node is draining: open no more");
    if (!stream_head_is_name(call->data, call->len, node->env.limits->value[LIMIT_PROTOCOL_NAME]))
        return errors_fail(
            node, WEIR_E_NAME, NULL, NULL,
            "a protocol's name has 1 to 128 printable ASCII characters and no space");
    return 0;
}

static void end(struct node *node, struct subscription *sub)
{
    owner_not_ready(&sub->owner);
    owner_forget_handle(node, &sub->owner);
    owner_end(node, &sub->owner);
}

int64_t feed_in_subscribe(struct node *node, const struct node_call *call)
{
    struct transport_conn *c;
    int error = check_subscribe(node, call, &c);
    if (error != 0) return error;
    struct subscription *sub = state_alloc(node, sizeof *sub, &error);
    if (sub == NULL) return error;
    sub->connection = c->handle;
    sub->user = call->number;
    sub->peer = conns_peer(c);
    error = peers_keep(node, &sub->peer, true);
    if (error == 0) {
        error = owner_begin(node, &sub->owner, &ops, HANDLE_SUBSCRIPTION);
        if (error != 0) (void)peers_keep(node, &sub->peer, false);
    }
    if (error != 0) {
        state_release(node, sub, sizeof *sub);
        return error;
    }
    sub->stream = stream_head_open(c, call->data, call->len, false, URGENCY, node->now_us, &error);
    if (sub->stream == NULL) {
        end(node, sub);
        return error;
    }
    owner_take_stream(&sub->owner, sub->stream);
    (void)stream_write(sub->stream, NULL, 0, false, true, node->now_us);
    return (int64_t)sub->owner.handle;
}

static int64_t no_item(const struct subscription *sub)
{
    if (!sub->is_closed) return WEIR_E_NOT_FOUND;
    if (sub->error == 0) return WEIR_E_END;
    return sub->error == WEIR_E_PROTOCOL ? WEIR_E_PROTOCOL : WEIR_E_RESET;
}

static void fill(const struct subscription *sub, const struct feed_frame *frame,
                 weir_feed_item *item)
{
    item->kind = sub->kind;
    item->key_len = frame->key_len;
    item->is_removed = frame->is_removed ? 1 : 0;
    item->sum = frame->sum;
    item->missed = frame->missed;
    memcpy(item->key, frame->key, sizeof item->key);
}

/* The item is read: on to what is behind it. */
static void consume(struct node *node, struct subscription *sub, const struct feed_frame *frame)
{
    struct stream *s = sub->stream;
    sub->items++;
    sub->missed += frame->missed;
    metric_inc(node->env.metrics, METRIC_FEED_RECEIVED);
    (void)stream_consume(s, frame->head_len + frame->value_len, node->now_us);
    if (receive_lane_readable(&s->in) == 0) act(node, sub, at_rest(s));
}

int64_t feed_in_read(struct node *node, struct subscription *sub, const struct node_call *call)
{
    struct feed_frame frame;
    if (sub->is_closed) return no_item(sub);
    enum state state = look(node, sub, &frame);
    if (state != ITEM) {
        sub->is_told = false;
        if (sub->tell_items) owner_not_ready(&sub->owner);
        sub->tell_items = false;
        act(node, sub, state);
        return no_item(sub);
    }
    if (frame.value_len > call->cap) return WEIR_E_SPACE;
    fill(sub, &frame, (weir_feed_item *)(uintptr_t)call->options);
    const struct ring *ring = &sub->stream->in.ring;
    if (frame.value_len > 0)
        ring_read(ring, ring->base + frame.head_len, call->out, (size_t)frame.value_len);
    consume(node, sub, &frame);
    return (int64_t)frame.value_len;
}

void feed_in_close(struct node *node, struct subscription *sub, uint32_t reason)
{
    if (sub->stream != NULL) owner_drop_stream(node, sub->stream, reason);
    sub->stream = NULL;
    sub->is_closed = true;
    end(node, sub);
}

void feed_in_info(const struct subscription *sub, weir_feed_info *info)
{
    info->kind = sub->kind;
    info->published = sub->items;
    info->missed = sub->missed;
    info->memory_bytes = sizeof *sub;
    if (sub->stream != NULL) info->memory_bytes += sub->stream->in.ring.capacity;
}
