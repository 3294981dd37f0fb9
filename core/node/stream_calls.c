/* SPDX-License-Identifier: MIT */
/* The application's calls on streams. */
#include "base/assert.h"
#include "base/bytes.h"
#include "node/conns.h"
#include "node/drain.h"
#include "node/events.h"
#include "node/exchanges.h"
#include "node/local.h"
#include "node/protocols.h"
#include "node/stream_head.h"
#include "node/streams.h"
#include <string.h>

/* A name that the peer's streams never hold, or a budget: which one is asked for more than it has.
 */
static int fail_no_budget(struct node *node, const struct transport_conn *c,
                          const struct peer_id *peer, bool one_way, size_t name_len)
{
    struct conn_streams *st = c->streams;
    uint64_t credit = one_way ? st->stream_credit_uni : st->stream_credit_bidi_local;
    uint64_t need = varint_size(name_len) + name_len, room = budget_room(&st->budget);
    struct limit_record limit = {.scope = LIMIT_SCOPE_STREAM,
                                 .name = LIMIT_STREAM_WINDOW,
                                 .side = LIMIT_SIDE_REMOTE,
                                 .used = need,
                                 .max = credit};
    if (need > credit)
        return errors_fail(node, WEIR_E_BUDGET, &limit, peer,
                           "the peer's streams are too small for a protocol's name of that length");
    bool charged = budget_charge(&st->budget, room + 1, &limit);
    WEIR_ASSERT(!charged);
    return errors_fail(node, WEIR_E_BUDGET, &limit, peer,
                       "no budget for another stream: close some, or raise memory_bytes");
}

static int fail_no_stream(struct node *node, const struct transport_conn *c, bool one_way,
                          size_t name_len, int error)
{
    const struct peer_id peer = conns_peer(c);
    const struct conn_streams *st = c->streams;
    unsigned type = one_way ? 1 : 0;
    struct limit_record limit;
    if (error == WEIR_E_BUDGET && st != NULL)
        return fail_no_budget(node, c, &peer, one_way, name_len);
    if (error != WEIR_E_LIMIT || st == NULL) return error;
    if (st->next_local[type] < st->open_max[type]) {
        limit = (struct limit_record){.scope = LIMIT_SCOPE_CONNECTION,
                                      .name = LIMIT_CONNECTION_WINDOW,
                                      .side = LIMIT_SIDE_REMOTE,
                                      .used = st->send_used,
                                      .max = st->send_credit};
        return errors_fail(node, error, &limit, &peer,
                           "the peer takes no more bytes now, not even a protocol's name: wait for "
                           "WEIR_EVENT_OPENABLE");
    }
    limit = (struct limit_record){.scope = LIMIT_SCOPE_CONNECTION,
                                  .name = one_way ? LIMIT_STREAMS_UNI : LIMIT_STREAMS_BIDI,
                                  .side = LIMIT_SIDE_REMOTE,
                                  .used = st->next_local[type],
                                  .max = st->open_max[type]};
    return errors_fail(node, error, &limit, &peer,
                       "the peer allows no more streams now: wait for WEIR_EVENT_OPENABLE");
}

static int check_open(struct node *node, const struct node_call *call, struct transport_conn **out)
{
    const weir_stream_options *options = call->options;
    struct dial *dial;
    int error;
    *out = conns_get(node, call->object, &dial, &error);
    if (error != 0) return error;
    if (*out == NULL || (*out)->state != CONN_UP) return WEIR_E_NOT_CONNECTED;
    if (drain_is_on(node))
        return errors_fail(node, WEIR_E_DRAINING, NULL, NULL, "the node is draining: open no more");
    if (options != NULL &&
        (options->urgency_plus1 > SCHED_URGENCIES || (options->flags & ~WEIR_ONE_WAY) != 0))
        return WEIR_E_ARGUMENT;
    if (!stream_head_is_name(call->data, call->len, node->env.limits->value[LIMIT_PROTOCOL_NAME]))
        return errors_fail(
            node, WEIR_E_NAME, NULL, NULL,
            "a protocol's name has 1 to 128 printable ASCII characters and no space");
    return 0;
}

int64_t streams_on_open(struct node *node, const struct node_call *call)
{
    const weir_stream_options *options = call->options;
    struct transport_conn *c;
    int error = check_open(node, call, &c);
    if (error != 0) return error;
    bool one_way = options != NULL && (options->flags & WEIR_ONE_WAY) != 0;
    uint8_t urgency =
        options == NULL || options->urgency_plus1 == 0 ? 3 : (uint8_t)(options->urgency_plus1 - 1);
    struct protocol *p = protocols_intern(node, call->data, call->len, &error);
    if (p == NULL) return error;
    /* The handle first: once the stream exists, nothing may fail. */
    uint64_t handle = handle_add(&node->handles, HANDLE_STREAM, p);
    struct stream *s = NULL;
    error = WEIR_E_MEMORY;
    if (handle != 0)
        s = stream_head_open(c, call->data, call->len, one_way, urgency, node->now_us, &error);
    if (s == NULL) {
        if (handle != 0) handle_remove(&node->handles, handle);
        protocols_sweep(node, p);
        exchanges_on_open_failed(c);
        return fail_no_stream(node, c, one_way, call->len, error);
    }
    state_handle_move(node, handle, s);
    s->handle = handle;
    s->user = options == NULL ? 0 : options->user;
    s->node_protocol = protocols_hold(p);
    node->streams_open++;
    return (int64_t)handle;
}

/* A reader looked: what it found out needs not be told, what it did not see yet does. */
static int64_t after_read(struct node *node, struct stream *s, int64_t result)
{
    if (result == WEIR_E_END) s->node_flags |= STREAM_TOLD_END;
    if (!events_is_end_known(s) ||
        (s->node_flags & (STREAM_TOLD_END | STREAM_GONE | STREAM_OWNED)) != 0)
        return result;
    /* The end came after READABLE was told: tell it, now that the bytes before it are read. */
    if (receive_lane_readable(&s->in) == 0 && !list_is_linked(&s->dirty_link))
        events_queue_stream(node, s);
    return result;
}

static int64_t peek(struct node *node, struct stream *s, const struct node_call *call)
{
    const uint8_t *data;
    int64_t result = stream_peek(s, &data);
    const void *view = data;
    memcpy(call->out, &view, sizeof view);
    return after_read(node, s, result);
}

static int64_t write_bytes(struct node *node, struct stream *s, const struct node_call *call)
{
    bool more = (call->flags & WEIR_MORE) != 0, fin = (call->flags & WEIR_FIN) != 0;
    s->pending = (uint8_t)(s->pending & ~STREAM_PENDING_WRITABLE);
    return stream_write(s, call->data, call->len, more, fin, node->now_us);
}

static int64_t flush(struct node *node, struct stream *s)
{
    if (!s->has_out || s->conn->state != CONN_UP) return 0;
    stream_release(s, node->now_us);
    s->conn->transport->ops->conn_flush(s->conn, node->now_us);
    return 0;
}

static int64_t datagram_send(struct node *node, struct stream *s, const struct node_call *call)
{
    struct limit_record limit;
    const struct peer_id peer = conns_peer(s->conn);
    int error = stream_datagram_send(s, call->data, call->len, node->now_us, &limit);
    if (error == WEIR_E_LIMIT)
        return errors_fail(node, error, &limit, &peer,
                           "so many datagrams wait to leave already: send fewer, or use a stream");
    if (error == WEIR_E_ARGUMENT)
        return errors_fail(node, error, NULL, &peer,
                           "the datagram is longer than the path carries: look at datagram_max of "
                           "weir_connection_info, or use a stream");
    if (error == WEIR_E_UNSUPPORTED)
        return errors_fail(node, error, NULL, &peer, "the peer takes no unreliable datagrams");
    return error;
}

static int64_t do_call(struct node *node, struct stream *s, const struct node_call *call)
{
    switch (call->kind) {
    case NODE_CALL_STREAM_WRITE: return write_bytes(node, s, call);
    case NODE_CALL_STREAM_FLUSH: return flush(node, s);
    case NODE_CALL_STREAM_PEEK: return peek(node, s, call);
    case NODE_CALL_STREAM_CONSUME:
        if (call->number == 0) return 0; /* it is no reading */
        return after_read(node, s, stream_consume(s, call->number, node->now_us));
    case NODE_CALL_STREAM_READ:
        return after_read(node, s, stream_read(s, call->out, call->cap, node->now_us));
    case NODE_CALL_STREAM_RESET:
        if (local_is(s)) local_on_reset(node, s, call->flags);
        return stream_reset(s, call->flags, node->now_us);
    case NODE_CALL_STREAM_STOP: return stream_stop(s, call->flags, node->now_us);
    case NODE_CALL_STREAM_SET_URGENCY:
        if (call->flags >= SCHED_URGENCIES) return WEIR_E_ARGUMENT;
        return stream_set_urgency(s, (uint8_t)call->flags, node->now_us);
    case NODE_CALL_STREAM_SET_USER: s->user = call->number; return 0;
    case NODE_CALL_DATAGRAM_SEND: return datagram_send(node, s, call);
    case NODE_CALL_DATAGRAM_READ: return stream_datagram_read(s, call->out, call->cap);
    default: return WEIR_E_ARGUMENT;
    }
}

int64_t streams_on_call(struct node *node, const struct node_call *call)
{
    int error;
    bool is_owned = handle_kind(call->object) == HANDLE_REQUEST;
    int64_t result;
    if (is_owned && exchanges_take_call(node, call, &result)) return result;
    struct stream *s = is_owned ? exchanges_stream(node, call->object, call->kind, &error)
                                : handle_get(&node->handles, call->object, HANDLE_STREAM, &error);
    if (s == NULL) return error;
    result = do_call(node, s, call);
    if (is_owned) exchanges_after_call(node, call->object);
    return result;
}
