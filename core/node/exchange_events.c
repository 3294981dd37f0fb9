/* SPDX-License-Identifier: MIT */
/* What the application hears of messages and requests, and what it may ask about them: their
 * events, the streams behind their handles, and what is known of them. */
#include "base/assert.h"
#include "node/events.h"
#include "node/exchange.h"
#include <string.h>

static bool take(struct exchange *x, unsigned what)
{
    bool was = (x->tell & what) != 0;
    x->tell = (uint8_t)(x->tell & ~what);
    return was;
}

static void tell_begin(struct node *node, struct exchange *x, weir_event *event)
{
    struct metrics *metrics = node->env.metrics;
    event->amount = x->bytes_in;
    x->told = true;
    if (x->kind == MESSAGE_IN) {
        event->kind = WEIR_EVENT_MESSAGE;
        metric_inc(metrics, METRIC_MESSAGES_RECEIVED);
    } else if (x->kind == REQUEST_IN) {
        event->kind = WEIR_EVENT_REQUEST;
        metric_inc(metrics, METRIC_REQUESTS_SERVED);
    } else {
        event->kind = WEIR_EVENT_RESPONSE;
        event->error = x->error;
        if (x->error != 0) event->amount = x->reason;
    }
}

/* @return false when the application has made it untrue */
static bool tell_readable(struct exchange *x, weir_event *event)
{
    struct stream *s = x->stream;
    event->kind = WEIR_EVENT_READABLE;
    bool is_end = s != NULL ? events_is_end_known(s) : x->error == 0;
    event->amount = s != NULL ? receive_lane_readable(&s->in) : 0;
    if (event->amount == 0 && (!is_end || x->told_end)) return false;
    if (is_end) event->error = WEIR_E_END;
    if (is_end) x->told_end = true;
    if (s != NULL) s->told_readable = true;
    return true;
}

static bool tell_writable(const struct exchange *x, weir_event *event)
{
    const struct stream *s = x->stream;
    if (s == NULL || s->out.state != SEND_OPEN) return false;
    event->kind = WEIR_EVENT_WRITABLE;
    event->amount = stream_writable(s);
    return true;
}

bool exchange_next_event(struct node *node, struct owner *o, weir_event *event)
{
    struct exchange *x = exchange_of(o);
    event->parent = x->parent;
    event->user = x->user;
    if (take(x, TELL_BEGIN)) {
        tell_begin(node, x, event);
        return true;
    }
    if (take(x, TELL_READABLE) && tell_readable(x, event)) return true;
    if (take(x, TELL_WRITABLE) && tell_writable(x, event)) return true;
    if (!take(x, TELL_CLOSED)) return false;
    event->kind = WEIR_EVENT_REQUEST_CLOSED;
    event->error = x->error;
    event->amount = x->reason;
    return true;
}

/* What a call on the bytes of one that is over, or that has no stream, answers. */
static int read_error(const struct exchange *x)
{
    if (!x->over) return x->is_read ? WEIR_E_END : 0;
    return x->error == 0 ? WEIR_E_END : x->error;
}

static struct stream *to_read(const struct exchange *x, int *error)
{
    *error = read_error(x);
    if (*error != 0) return NULL;
    /* What is whole is taken by weir_message_read. */
    if (!x->chunked) *error = WEIR_E_STATE;
    if (!x->chunked || (x->kind == REQUEST_OUT && !x->answered)) return NULL;
    return x->stream;
}

static int64_t peek_whole(struct node *node, struct exchange *x, const struct node_call *call)
{
    const uint8_t *data = NULL;
    int64_t len = read_error(x);
    if (len == 0 && x->whole && (x->stream != NULL || x->is_kept)) {
        len = exchange_body_view(node, x, &data);
        if (len == 0) len = WEIR_E_END;
    }
    const void *view = data;
    memcpy(call->out, &view, sizeof view);
    return len;
}

bool exchanges_take_call(struct node *node, const struct node_call *call, int64_t *result)
{
    int error;
    struct exchange *x = exchange_get(node, call->object, &error);
    *result = error;
    if (x == NULL) return true;
    if (call->kind == NODE_CALL_STREAM_SET_USER) {
        x->user = call->number;
        return true;
    }
    if (call->kind != NODE_CALL_STREAM_PEEK || x->chunked) return false;
    *result = peek_whole(node, x, call);
    return true;
}

static struct stream *to_write(struct exchange *x, int *error)
{
    if (x->kind != REQUEST_OUT) {
        *error = WEIR_E_KIND;
        return NULL;
    }
    if (x->over) *error = x->error == 0 ? WEIR_E_FINISHED : WEIR_E_STOPPED;
    if (x->error == WEIR_E_NOT_CONNECTED) *error = WEIR_E_NOT_CONNECTED;
    if (*error != 0) return NULL;
    if (!x->more) {
        *error = WEIR_E_FINISHED;
        return NULL;
    }
    if (x->stream != NULL && x->tail == NULL) return x->stream;
    x->wants_write = true;
    return NULL;
}

struct stream *exchanges_stream(struct node *node, uint64_t handle, uint32_t call_kind, int *error)
{
    struct exchange *x = exchange_get(node, handle, error);
    if (x == NULL) return NULL;
    switch (call_kind) {
    case NODE_CALL_STREAM_WRITE: return to_write(x, error);
    case NODE_CALL_STREAM_PEEK:
    case NODE_CALL_STREAM_READ:
    case NODE_CALL_STREAM_CONSUME: return to_read(x, error);
    case NODE_CALL_STREAM_FLUSH:
    case NODE_CALL_STREAM_SET_URGENCY: return x->stream;
    default: *error = WEIR_E_KIND; return NULL;
    }
}

void exchanges_after_call(struct node *node, uint64_t handle)
{
    int error;
    struct exchange *x = exchange_get(node, handle, &error);
    if (x == NULL || x->stream == NULL) return;
    struct stream *s = x->stream;
    if ((s->node_flags & STREAM_TOLD_END) != 0) x->told_end = true;
    if (x->kind == REQUEST_OUT && x->chunked && x->whole && receive_lane_readable(&s->in) == 0) {
        exchange_complete(node, x);
        return;
    }
    /* The end came after READABLE was told: tell it, now that the bytes before it are read. */
    if (x->chunked && !x->told_end && events_is_end_known(s) && receive_lane_readable(&s->in) == 0)
        exchange_tell(node, x, TELL_READABLE);
    exchange_look(node, x);
}

static uint32_t state_of(const struct exchange *x)
{
    if (x->over) return 4;
    if (x->answered) return 3;
    if (x->outbox != NULL) return 0;
    if (x->kind == REQUEST_OUT) {
        bool out = x->stream != NULL && x->tail == NULL && x->stream->out.state != SEND_OPEN;
        return out ? 2 : 1;
    }
    return x->whole ? 2 : 1;
}

static void put_protocol(const struct exchange *x, weir_request_info *info)
{
    if (x->protocol == NULL) return;
    memcpy(info->protocol, x->protocol->name, x->protocol->len);
    info->protocol[x->protocol->len] = 0;
}

int node_request_info(struct node *node, uint64_t request, weir_request_info *info)
{
    int error;
    const struct exchange *x = exchange_get(node, request, &error);
    if (x == NULL) return error;
    info->is_local = x->kind == REQUEST_OUT;
    info->kind = x->kind == MESSAGE_IN ? WEIR_KIND_MESSAGE : WEIR_KIND_REQUEST;
    info->state = state_of(x);
    info->error = x->error;
    info->reason = x->reason;
    info->retry_us = x->retry_us;
    info->connection = x->parent;
    info->user = x->user;
    info->bytes_in = x->bytes_in;
    info->bytes_out = x->bytes_out;
    if (x->kind == REQUEST_OUT && x->more && x->stream != NULL)
        info->bytes_out = x->stream->out.written - x->head_out;
    info->begun_us = x->begun_us;
    info->answered_us = x->answered_us;
    info->deadline_us = x->deadline_us;
    if (x->text != NULL) memcpy(info->text, x->text, x->text_len + 1);
    put_protocol(x, info);
    return 0;
}
