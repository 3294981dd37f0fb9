/* SPDX-License-Identifier: MIT */
/* Our requests and their responses.
 *
 * The response is whatever comes on the stream; that the peer wants no more of the request (its
 * STOP_SENDING) is no answer, since it may answer before it has read everything. A response that is
 * not chunked waits in the lane until its end is known. */
#include "node/events.h"
#include "node/exchange.h"
#include "node/protocols.h"
#include "node/response_head.h"
#include <string.h>

enum { DEADLINE_US = 30000000, PROGRESS_US = 10000000 };

/* What a reset of the response means to the asker. */
static int error_of(uint32_t reason)
{
    switch (reason) {
    case WEIR_REASON_PROTOCOL_NOT_SERVED:
    case WEIR_REASON_KIND: return WEIR_E_UNSUPPORTED;
    case WEIR_REASON_TOO_LARGE: return WEIR_E_LIMIT;
    case WEIR_REASON_DEADLINE:
    case WEIR_REASON_TOO_SLOW: return WEIR_E_TIMEOUT;
    case WEIR_REASON_OVERLOAD:
    case WEIR_REASON_LIMIT:
    case WEIR_REASON_DRAINING:
    case WEIR_REASON_REFUSED: return WEIR_E_REFUSED;
    case WEIR_REASON_FORMAT:
    case WEIR_REASON_PROTOCOL_NAME: return WEIR_E_PROTOCOL;
    default: return WEIR_E_RESET;
    }
}

void exchange_complete(struct node *node, struct exchange *x)
{
    exchange_let_run(node, x);
    exchange_over(node, x, 0, WEIR_REASON_NONE);
}

static void keep_text(struct node *node, struct exchange *x, const char *text, size_t len)
{
    int error;
    if (len == 0) return;
    x->text = state_alloc(node, len + 1, &error);
    if (x->text == NULL) return; /* the refusal itself is not lost */
    memcpy(x->text, text, len);
    x->text_len = (uint32_t)len;
}

static void on_refusal(struct node *node, struct exchange *x, struct stream *s,
                       const struct response_refusal *refusal)
{
    bool busy = refusal->reason == WEIR_REASON_OVERLOAD;
    metric_inc(node->env.metrics, busy ? METRIC_REQUESTS_BUSY_RECEIVED : METRIC_REQUESTS_REFUSED);
    x->retry_us = refusal->retry_us;
    keep_text(node, x, refusal->text, refusal->text_len);
    if (x->stream != NULL) {
        (void)stream_consume(s, receive_lane_readable(&s->in), node->now_us);
        exchange_let_run(node, x);
    }
    exchange_over(node, x, WEIR_E_REFUSED, refusal->reason);
}

static void on_ok(struct node *node, struct exchange *x, struct stream *s)
{
    x->answered = true;
    x->answered_us = node->now_us;
    x->prefix = x->skip = 1;
    if (!x->chunked) return;
    (void)stream_consume(s, x->skip, node->now_us);
    x->skip = 0;
    exchange_tell(node, x, TELL_BEGIN);
}

/* @return whether the response has begun and is to be looked at */
static bool read_head(struct node *node, struct exchange *x, struct stream *s, bool is_end)
{
    uint8_t bytes[RESPONSE_HEAD_MAX + 1];
    struct response_refusal refusal;
    uint64_t readable = receive_lane_readable(&s->in);
    size_t len = readable < sizeof bytes ? (size_t)readable : sizeof bytes;
    if (len > 0) ring_read(&s->in.ring, s->in.ring.base, bytes, len);
    switch (response_head_read(bytes, len, is_end, &refusal)) {
    case RESPONSE_HEAD_OK: on_ok(node, x, s); return true;
    case RESPONSE_HEAD_REFUSED: on_refusal(node, x, s, &refusal); return false;
    case RESPONSE_HEAD_BAD:
        exchange_fail(node, x, WEIR_E_PROTOCOL, WEIR_REASON_FORMAT);
        return false;
    default: return false;
    }
}

static void on_whole(struct node *node, struct exchange *x)
{
    x->whole = true;
    exchange_look(node, x);
    (void)exchange_arm(node, x);
    if (!x->chunked) exchange_tell(node, x, TELL_BEGIN);
}

/* Bytes came, or the end. */
static void take_in(struct node *node, struct exchange *x, struct stream *s, unsigned facts)
{
    bool is_end = events_is_end_known(s);
    if (!x->answered && !read_head(node, x, s, is_end)) return;
    x->bytes_in = s->in.highest - x->prefix;
    if (x->bytes_in > x->in_max) {
        exchange_fail(node, x, WEIR_E_LIMIT, WEIR_REASON_TOO_LARGE);
        return;
    }
    bool was_whole = x->whole; /* then the application may be looking at it where it is */
    if (is_end && !x->whole) on_whole(node, x);
    if (!was_whole && !x->chunked && x->stream != NULL) exchange_body_relieve(node, x);
    if (!x->chunked) return;
    if (x->whole && receive_lane_readable(&s->in) == 0) {
        exchange_complete(node, x);
    } else if ((facts & STREAM_PENDING_READABLE) != 0) {
        exchange_tell(node, x, TELL_READABLE);
    }
}

static void on_writable(struct node *node, struct exchange *x)
{
    if (x->tail != NULL) {
        messages_out_push(node, x);
    } else if (x->more) {
        exchange_tell(node, x, TELL_WRITABLE);
    }
}

void exchange_ask_on_stream(struct node *node, struct exchange *x, struct stream *s, unsigned facts)
{
    bool is_gone = (facts & STREAM_PENDING_OVER) != 0;
    bool is_lost = is_gone && s->conn->state != CONN_UP;
    if (is_gone) x->stream = NULL;
    if (s->in.was_reset && !is_lost) {
        exchange_fail(node, x, error_of(s->in.reset_code), s->in.reset_code);
        return;
    }
    if ((facts & STREAM_PENDING_WRITABLE) != 0 && !is_gone) on_writable(node, x);
    if (!s->in.was_reset && !x->over) take_in(node, x, s, facts);
    if (x->over) return;
    if (is_gone) {
        if (exchange_body_keep(node, x, s)) return;
        exchange_fail(node, x, WEIR_E_NOT_CONNECTED, WEIR_REASON_CONNECTION);
    } else {
        exchange_look(node, x);
    }
}

static uint64_t until(uint64_t now_us, uint64_t span_us)
{
    return span_us > UINT64_MAX - now_us ? UINT64_MAX : now_us + span_us;
}

static void set_options(struct node *node, struct exchange *x, const weir_request_options *o)
{
    x->user = o->user;
    x->urgency = o->urgency_plus1 == 0 ? 3 : (uint8_t)(o->urgency_plus1 - 1);
    x->chunked = (o->flags & WEIR_CHUNKED) != 0;
    x->more = (o->flags & WEIR_MORE) != 0;
    x->in_max = o->response_max_bytes;
    if (x->in_max == 0) x->in_max = node->env.limits->value[LIMIT_STREAM_WINDOW_FIRST];
    x->deadline_us = until(node->now_us, o->deadline_us == 0 ? DEADLINE_US : o->deadline_us);
    x->progress_us = o->progress_us == 0 ? PROGRESS_US : o->progress_us;
    x->progress_bytes = o->progress_bytes == 0 ? 1 : o->progress_bytes;
}

static int check_options(struct node *node, const weir_request_options *o)
{
    uint64_t window = node->env.limits->value[LIMIT_STREAM_WINDOW_FIRST];
    uint64_t asked = exchanges_of(node) == NULL ? 0 : exchanges_of(node)->asked;
    struct limit_record limit = {.scope = LIMIT_SCOPE_STREAM,
                                 .name = LIMIT_STREAM_WINDOW_FIRST,
                                 .side = LIMIT_SIDE_LOCAL,
                                 .used = o->response_max_bytes,
                                 .max = window};
    if (o->response_max_bytes > window && (o->flags & WEIR_CHUNKED) == 0)
        return errors_fail(node, WEIR_E_ARGUMENT, &limit, NULL,
                           "response_max_bytes is more than a stream's first window: ask with "
                           "WEIR_CHUNKED");
    if (asked < node->env.limits->value[LIMIT_REQUESTS_OUT]) return 0;
    limit = (struct limit_record){.scope = LIMIT_SCOPE_NODE,
                                  .name = LIMIT_REQUESTS_OUT,
                                  .side = LIMIT_SIDE_LOCAL,
                                  .used = asked,
                                  .max = node->env.limits->value[LIMIT_REQUESTS_OUT]};
    return errors_fail(node, WEIR_E_LIMIT, &limit, NULL,
                       "so many requests are not answered already: wait for responses");
}

/* The name of the last request stays known, so that asking again allocates no protocol. */
static void remember(struct node *node, struct protocol *p)
{
    struct protocol *last = exchanges_of(node)->last;
    if (last == p) return;
    (void)protocols_hold(p);
    exchanges_of(node)->last = p;
    if (last != NULL) protocols_release(node, last->number);
}

static struct exchange *begin(struct node *node, const struct node_call *call,
                              struct transport_conn *c, int *error)
{
    struct protocol *p = protocols_intern(node, call->key, call->key_len, error);
    if (p == NULL) return NULL;
    struct exchange *x = exchange_begin(node, REQUEST_OUT, c, p, error);
    if (x == NULL) {
        protocols_sweep(node, p);
        return NULL;
    }
    set_options(node, x, call->options);
    if (exchange_arm(node, x)) return x;
    exchange_forget(node, x);
    *error = WEIR_E_MEMORY;
    return NULL;
}

int64_t exchange_on_ask(struct node *node, const struct node_call *call)
{
    struct transport_conn *c;
    int error = messages_out_check(node, call, false, &c);
    if (error == 0) error = check_options(node, call->options);
    if (error != 0) return error;
    if (!outbox_has_room(node, c, true)) return 0;
    struct exchange *x = begin(node, call, c, &error);
    if (x == NULL) return error;
    error = messages_out_request(node, x, call);
    if (error != 0) {
        exchange_drop_stream(node, x, WEIR_REASON_CANCELLED);
        exchange_forget(node, x);
        return error;
    }
    remember(node, x->protocol);
    metric_inc(node->env.metrics, METRIC_REQUESTS_ASKED);
    return (int64_t)x->owner.handle;
}
