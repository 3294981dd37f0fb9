/* SPDX-License-Identifier: MIT */
/* Messages and requests: birth, end, and the calls. What they are is in exchange.h. */
#include "base/assert.h"
#include "node/exchange.h"
#include "node/protocols.h"

static void on_stream(struct node *node, struct owner *o, struct stream *s, unsigned facts)
{
    struct exchange *x = exchange_of(o);
    switch (x->kind) {
    case REQUEST_OUT: exchange_ask_on_stream(node, x, s, facts); break;
    case MESSAGE_OUT: messages_out_on_stream(node, x, s, facts); break;
    default: exchange_in_on_stream(node, x, s, facts);
    }
    WEIR_ASSERT((facts & STREAM_PENDING_OVER) == 0 || x->stream == NULL);
}

static bool is_request(const struct exchange *x)
{
    return x->kind == REQUEST_IN || x->kind == REQUEST_OUT;
}

/* What is counted as long as it is not over. */
static void uncounted(struct node *node, struct exchange *x)
{
    outbox_forget(node, x);
    exchange_uncount(x);
    if (is_request(x)) metric_dec(node->env.metrics, METRIC_REQUESTS_OPEN);
    if (exchanges_of(node) == NULL) return; /* the node closes */
    exchanges_of(node)->open--;
    if (x->kind == REQUEST_OUT) exchanges_of(node)->asked--;
}

static void release(struct node *node, struct owner *o)
{
    struct exchange *x = exchange_of(o);
    if (!x->over) uncounted(node, x);
    if (x->protocol != NULL) protocols_release(node, x->protocol->number);
    if (x->text != NULL) state_release(node, x->text, x->text_len + 1);
    if (!x->over) exchange_body_free(node, x);
    state_release(node, x, sizeof *x);
}

/* Streams that run out by themselves. */
static void rest_on_stream(struct node *node, struct owner *o, struct stream *s, unsigned facts)
{
    (void)o;
    if ((facts & STREAM_PENDING_OVER) == 0) return;
    exchanges_of(node)->open--;
    if (s->has_in || (s->out.reset_code == 0 && !s->out.stopped)) return;
    /* A message that the peer did not want, or that its connection did not deliver. */
    metric_inc(node->env.metrics,
               s->conn->state == CONN_UP ? METRIC_MESSAGES_FAILED : METRIC_MESSAGES_DROPPED_SEND);
}

static void rest_on_time(struct node *node, struct owner *o)
{
    (void)o;
    outbox_retry(node);
}

static void rest_release(struct node *node, struct owner *o)
{
    struct exchanges *all = exchanges_of(node);
    WEIR_ASSERT(o == &all->rest);
    struct list *starved = &all->starved;
    while (!list_is_empty(starved)) list_remove(starved->next);
    if (all->last != NULL) protocols_release(node, all->last->number);
    node->extras->exchanges = NULL;
    state_release(node, all, sizeof *all);
}

struct exchanges *exchanges_make(struct node *node)
{
    static const struct owner_ops ops = {
        .on_stream = rest_on_stream, .on_time = rest_on_time, .release = rest_release};
    int error;
    if (exchanges_of(node) != NULL) return exchanges_of(node);
    struct node_extras *extras = state_extras_make(node);
    if (extras == NULL) return NULL;
    struct exchanges *all = state_alloc(node, sizeof *all, &error);
    if (all == NULL) return NULL;
    list_init(&all->starved);
    if (owner_begin(node, &all->rest, &ops, 0) != 0) {
        state_release(node, all, sizeof *all);
        return NULL;
    }
    extras->exchanges = all;
    return all;
}

uint32_t exchanges_asked(const struct node *node)
{
    return exchanges_of(node) == NULL ? 0 : exchanges_of(node)->asked;
}

bool exchanges_are_open(const struct node *node)
{
    return exchanges_of(node) != NULL && exchanges_of(node)->open > 0;
}

void exchanges_keep(struct node *node, struct stream *s)
{
    owner_take_stream(&exchanges_of(node)->rest, s);
    exchanges_of(node)->open++;
}

struct exchange *exchange_begin(struct node *node, enum exchange_kind kind,
                                struct transport_conn *c, struct protocol *p, int *error)
{
    static const struct owner_ops ops = {.on_stream = on_stream,
                                         .on_time = exchange_on_time,
                                         .next_event = exchange_next_event,
                                         .release = release};
    *error = WEIR_E_MEMORY;
    if (exchanges_make(node) == NULL) return NULL;
    struct exchange *x = state_alloc(node, sizeof *x, error);
    if (x == NULL) return NULL;
    *error = owner_begin(node, &x->owner, &ops, kind == MESSAGE_OUT ? 0 : HANDLE_REQUEST);
    if (*error != 0) {
        state_release(node, x, sizeof *x);
        return NULL;
    }
    x->kind = (uint8_t)kind;
    x->conn = c;
    x->parent = c->handle;
    x->begun_us = node->now_us;
    x->deadline_us = x->progress_us = UINT64_MAX;
    if (p != NULL) (void)protocols_hold(p);
    x->protocol = p;
    exchanges_of(node)->open++;
    if (kind == REQUEST_OUT) exchanges_of(node)->asked++;
    if (is_request(x)) metric_inc(node->env.metrics, METRIC_REQUESTS_OPEN);
    return x;
}

void exchange_take(struct exchange *x, struct stream *s)
{
    owner_take_stream(&x->owner, s);
    x->stream = s;
}

void exchange_drop_stream(struct node *node, struct exchange *x, uint32_t reason)
{
    struct stream *s = x->stream;
    x->stream = NULL;
    if (s != NULL) owner_drop_stream(node, s, reason);
}

void exchange_let_run(struct node *node, struct exchange *x)
{
    struct stream *s = x->stream;
    if (s == NULL) return;
    if (s->has_out && s->out.state == SEND_OPEN) {
        /* What its application did not finish is of no use any more. */
        exchange_drop_stream(node, x, WEIR_REASON_CANCELLED);
        return;
    }
    x->stream = NULL;
    s->node_data = NULL;
    s->node_flags = STREAM_HIDDEN;
}

static void end(struct node *node, struct exchange *x, int error, uint32_t reason, unsigned tell)
{
    WEIR_ASSERT(x->stream == NULL && !x->over);
    uncounted(node, x);
    exchange_body_free(node, x); /* nobody reads it any more, and it may be the connection's */
    x->over = true;
    x->error = error;
    x->reason = reason;
    x->conn = NULL;
    x->tell = (uint8_t)tell;
    if (tell != 0) {
        owner_ready(node, &x->owner);
    } else {
        /* Nobody will hear of it, so it waits for nobody's turn. */
        owner_not_ready(&x->owner);
        owner_forget_handle(node, &x->owner);
    }
    owner_end(node, &x->owner);
}

/* What is still to be told of an exchange that is over. */
static unsigned last_words(const struct exchange *x, int error)
{
    if (x->kind == REQUEST_IN) return x->told ? TELL_CLOSED : 0;
    if (x->kind != REQUEST_OUT) return 0;
    if (error != 0) return x->told ? TELL_CLOSED : TELL_BEGIN;
    return (x->told ? 0u : TELL_BEGIN) | (x->told_end ? 0u : TELL_READABLE) | TELL_CLOSED;
}

void exchange_over(struct node *node, struct exchange *x, int error, uint32_t reason)
{
    end(node, x, error, reason, last_words(x, error));
}

void exchange_forget(struct node *node, struct exchange *x)
{
    if (!x->over) {
        end(node, x, 0, WEIR_REASON_NONE, 0);
        return;
    }
    /* It ended with something to tell, and now there is nobody to tell it to. */
    owner_forget_handle(node, &x->owner);
    owner_not_ready(&x->owner);
    x->owner.ended = false;
    owner_end(node, &x->owner);
}

/* Which of the counters of failed requests a reason belongs to. */
static enum metric counter_of(const struct exchange *x, uint32_t reason)
{
    bool asked = x->kind == REQUEST_OUT;
    switch (reason) {
    case WEIR_REASON_DEADLINE: return METRIC_REQUESTS_TIMED_OUT;
    case WEIR_REASON_TOO_SLOW: return METRIC_REQUESTS_TOO_SLOW;
    case WEIR_REASON_TOO_LARGE: return METRIC_REQUESTS_TOO_LARGE;
    case WEIR_REASON_OVERLOAD:
        return asked ? METRIC_REQUESTS_BUSY_RECEIVED : METRIC_REQUESTS_CANCELLED;
    case WEIR_REASON_CONNECTION:
    case WEIR_REASON_FORMAT:
    case WEIR_REASON_PROTOCOL_NAME: return METRIC_REQUESTS_BROKEN;
    case WEIR_REASON_PROTOCOL_NOT_SERVED:
    case WEIR_REASON_KIND:
    case WEIR_REASON_LIMIT:
    case WEIR_REASON_DRAINING:
    case WEIR_REASON_REFUSED: return METRIC_REQUESTS_REFUSED;
    default: return METRIC_REQUESTS_CANCELLED;
    }
}

void exchange_fail(struct node *node, struct exchange *x, int error, uint32_t reason)
{
    if (is_request(x)) {
        metric_inc(node->env.metrics, counter_of(x, reason));
    } else if (x->kind == MESSAGE_OUT && reason == WEIR_REASON_CONNECTION) {
        metric_inc(node->env.metrics, METRIC_MESSAGES_DROPPED_SEND);
    } else {
        metric_inc(node->env.metrics, METRIC_MESSAGES_FAILED);
    }
    exchange_drop_stream(node, x, reason);
    exchange_over(node, x, error, reason);
}

void exchange_tell(struct node *node, struct exchange *x, unsigned what)
{
    x->tell = (uint8_t)(x->tell | what);
    owner_ready(node, &x->owner);
}

struct exchange *exchange_get(const struct node *node, uint64_t handle, int *error)
{
    return handle_get(&node->handles, handle, HANDLE_REQUEST, error);
}

/* Whether its bytes are read whole, and can be now. */
static int check_read(const struct exchange *x)
{
    if (x->over) return x->error != 0 ? x->error : WEIR_E_STATE;
    bool is_there = x->stream != NULL || x->is_kept;
    return x->chunked || x->is_read || !x->whole || !is_there ? WEIR_E_STATE : 0;
}

static int64_t read_whole(struct node *node, const struct node_call *call)
{
    int error;
    struct exchange *x = exchange_get(node, call->object, &error);
    if (x == NULL) return error;
    error = check_read(x);
    if (error != 0) return error;
    struct stream *s = x->stream;
    uint64_t len = exchange_body_len(x);
    if (len > call->cap) return WEIR_E_SPACE;
    if (len > 0) exchange_body_read(x, call->out);
    if (s != NULL) (void)stream_consume(s, receive_lane_readable(&s->in), node->now_us);
    x->skip = 0;
    x->is_read = true;
    exchange_body_free(node, x);
    x->body_len = 0;
    if (x->kind == REQUEST_IN) return (int64_t)len;
    exchange_let_run(node, x);
    exchange_forget(node, x);
    return (int64_t)len;
}

static int64_t cancel(struct node *node, const struct node_call *call)
{
    int error;
    struct exchange *x = exchange_get(node, call->object, &error);
    if (x == NULL) return error;
    if (!x->over && is_request(x)) metric_inc(node->env.metrics, METRIC_REQUESTS_CANCELLED);
    exchange_drop_stream(node, x, call->flags);
    exchange_forget(node, x);
    return 0;
}

int64_t exchanges_on_call(struct node *node, const struct node_call *call)
{
    switch (call->kind) {
    case NODE_CALL_MESSAGE_SEND: return messages_out_on_send(node, call);
    case NODE_CALL_MESSAGE_READ: return read_whole(node, call);
    case NODE_CALL_REQUEST_SEND: return exchange_on_ask(node, call);
    case NODE_CALL_REQUEST_RESPOND: return exchange_on_respond(node, call);
    case NODE_CALL_REQUEST_REFUSE: return exchange_on_refuse(node, call);
    case NODE_CALL_REQUEST_CANCEL: return cancel(node, call);
    default: return WEIR_E_ARGUMENT;
    }
}
