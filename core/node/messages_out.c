/* SPDX-License-Identifier: MIT */
/* What leaves: messages and requests.
 *
 * The fast path opens the stream and writes head, body and end at once, and looks first whether the
 * peer's streams, the stream's credit and the connection's credit take all of it. What does not fit
 * waits whole in the queue of its connection: more urgent first, in order within an urgency. So as
 * a rule nothing is half sent, and what waits can still be dropped or merged.
 *
 * Two exceptions, in which the rest waits behind its own stream: our memory gives less than it
 * seemed to have, and a message that is large against the connection's credit, for which the peer
 * might never grant enough at once (it grants when half a window was consumed).
 *
 * A message that left has no record of its own: its stream belongs to struct exchanges. */
#include "base/bytes.h"
#include "node/conns.h"
#include "node/drain.h"
#include "node/exchange.h"
#include "node/stream_head.h"
#include <string.h>

static int fail_too_long(struct node *node, const struct transport_conn *c, enum limit name,
                         enum limit_side side, uint64_t len, uint64_t max)
{
    const struct peer_id peer = conns_peer(c);
    const struct limit_record limit = {
        .scope = LIMIT_SCOPE_STREAM, .name = (uint16_t)name, .side = side, .used = len, .max = max};
    return errors_fail(node, WEIR_E_ARGUMENT, &limit, &peer,
                       side == LIMIT_SIDE_LOCAL
                           ? "too long to be sent at once: ask in parts, or use WEIR_MORE"
                           : "longer than the streams of this peer take at once");
}

int messages_out_check(struct node *node, const struct node_call *call, bool one_way,
                       struct transport_conn **out)
{
    struct dial *dial;
    int error;
    uint64_t longest = node->env.limits->value[LIMIT_MESSAGE_BYTES];
    struct transport_conn *c = *out = conns_get(node, call->object, &dial, &error);
    if (error != 0) return error;
    if (c == NULL || c->state != CONN_UP) return WEIR_E_NOT_CONNECTED;
    if (drain_is_on(node))
        return errors_fail(node, WEIR_E_DRAINING, NULL, NULL,
                           "the node is draining: send and ask no more");
    if (!stream_head_is_name(call->key, call->key_len,
                             node->env.limits->value[LIMIT_PROTOCOL_NAME]))
        return errors_fail(
            node, WEIR_E_NAME, NULL, NULL,
            "a protocol's name has 1 to 128 printable ASCII characters and no space");
    if (call->len > longest)
        return fail_too_long(node, c, LIMIT_MESSAGE_BYTES, LIMIT_SIDE_LOCAL, call->len, longest);
    outbox_prepare(c);
    if (c->streams == NULL) return WEIR_E_MEMORY;
    uint64_t credit =
        one_way ? c->streams->stream_credit_uni : c->streams->stream_credit_bidi_local;
    uint64_t total = varint_size(call->key_len) + call->key_len + call->len;
    if (total > credit)
        return fail_too_long(node, c, LIMIT_STREAM_WINDOW, LIMIT_SIDE_REMOTE, total, credit);
    return 0;
}

/* The stream took only a part: the rest waits behind it. */
static int64_t keep_rest(struct node *node, struct exchange *x, const uint8_t *rest, size_t len)
{
    int error;
    x->tail = outbox_tail_make(node, len, &error);
    if (x->tail == NULL) return error;
    memcpy(x->tail->bytes, rest, len);
    return 0;
}

static int64_t keep_rest_of_message(struct node *node, struct stream *s, const uint8_t *rest,
                                    size_t len)
{
    int error;
    struct exchange *x = exchange_begin(node, MESSAGE_OUT, s->conn, NULL, &error);
    if (x != NULL) error = (int)keep_rest(node, x, rest, len);
    if (error == 0) {
        exchange_take(x, s);
        return 1;
    }
    if (x != NULL) exchange_forget(node, x);
    owner_drop_stream(node, s, WEIR_REASON_CANCELLED);
    return error;
}

int64_t messages_out_on_send(struct node *node, const struct node_call *call)
{
    const weir_message_options *options = call->options;
    uint8_t urgency = options->urgency_plus1 == 0 ? 3 : (uint8_t)(options->urgency_plus1 - 1);
    struct transport_conn *c;
    int error = messages_out_check(node, call, true, &c);
    if (error != 0) return error;
    if (exchanges_make(node) == NULL) return WEIR_E_MEMORY;
    uint64_t total = varint_size(call->key_len) + call->key_len + call->len;
    if (!outbox_may_leave(c, 1, total)) return outbox_wait_message(node, c, call, urgency);
    struct stream *s =
        stream_head_open(c, call->key, call->key_len, true, urgency, node->now_us, &error);
    if (s == NULL)
        return error == WEIR_E_MEMORY ? error : outbox_wait_message(node, c, call, urgency);
    int64_t taken = stream_write(s, call->data, call->len, false, true, node->now_us);
    if (taken >= 0 && (size_t)taken < call->len)
        return keep_rest_of_message(node, s, (const uint8_t *)call->data + taken,
                                    call->len - (size_t)taken);
    if (taken < 0) {
        owner_drop_stream(node, s, WEIR_REASON_CANCELLED);
        return taken;
    }
    exchanges_keep(node, s);
    metric_inc(node->env.metrics, METRIC_MESSAGES_SENT);
    return 1;
}

int messages_out_request(struct node *node, struct exchange *x, const struct node_call *call)
{
    struct transport_conn *c = x->conn;
    struct stream *s = NULL;
    int error = 0;
    x->head_out = (uint32_t)(varint_size(call->key_len) + call->key_len);
    x->bytes_out = call->len;
    if (outbox_may_leave(c, 0, x->head_out + call->len))
        s = stream_head_open(c, call->key, call->key_len, false, x->urgency, node->now_us, &error);
    if (error == WEIR_E_MEMORY) return error;
    if (s == NULL) {
        return outbox_wait_request(node, x, call);
    }
    exchange_take(x, s);
    int64_t taken = stream_write(s, call->data, call->len, x->more, !x->more, node->now_us);
    if (taken < 0) return (int)taken;
    size_t left = call->len - (size_t)taken;
    if (left == 0) return 0;
    return (int)keep_rest(node, x, (const uint8_t *)call->data + taken, left);
}

/* The body was written to the end. */
static void sent(struct node *node, struct exchange *x)
{
    outbox_tail_free(node, x);
    if (x->kind == REQUEST_OUT) {
        if (x->wants_write) exchange_tell(node, x, TELL_WRITABLE);
        return;
    }
    struct stream *s = x->stream;
    metric_inc(node->env.metrics, METRIC_MESSAGES_SENT);
    x->stream = NULL;
    exchanges_keep(node, s);
    exchange_over(node, x, 0, WEIR_REASON_NONE);
}

void messages_out_push(struct node *node, struct exchange *x)
{
    struct tail *tail = x->tail;
    struct stream *s = x->stream;
    int64_t taken = stream_write(s, tail->bytes + tail->done, tail->len - tail->done, x->more,
                                 !x->more, node->now_us);
    if (taken < 0) {
        /* Stopped is told by the stream; without memory the writer is not told again. */
        if (taken == WEIR_E_MEMORY) exchange_fail(node, x, WEIR_E_MEMORY, WEIR_REASON_LIMIT);
        return;
    }
    tail->done += (uint32_t)taken;
    if (tail->done == tail->len) sent(node, x);
    owner_let_go(node, s);
}

void messages_out_on_stream(struct node *node, struct exchange *x, struct stream *s, unsigned facts)
{
    bool is_gone = (facts & STREAM_PENDING_OVER) != 0;
    if (is_gone) x->stream = NULL;
    if (is_gone || s->out.stopped) {
        bool lost = s->conn->state != CONN_UP;
        exchange_fail(node, x, WEIR_E_STOPPED, lost ? WEIR_REASON_CONNECTION : s->out.stop_code);
    } else if ((facts & STREAM_PENDING_WRITABLE) != 0) {
        messages_out_push(node, x);
    }
}
