/* SPDX-License-Identifier: MIT */
/* Messages and requests that peers open.
 *
 * A peer decides how many come, how long they are and how slowly, so everything is bounded while it
 * arrives: bytes are counted by the highest offset seen, a lane that is full and has no end can
 * never become whole, and a queue counts from the opening of a stream, not from its last byte. A
 * queue is that of one connection and protocol, and that of one protocol over all peers; several
 * connections of one peer count for themselves (limit connections_per_peer). */
#include "base/assert.h"
#include "node/events.h"
#include "node/exchange.h"
#include "node/streams.h"

/* Where a peer's messages and requests of one protocol are counted. @return NULL without memory */
static struct waiting *waiting_of(struct node *node, struct transport_conn *c,
                                  const struct protocol *p)
{
    int error;
    struct conn_rare *rare = state_rare(node, c);
    struct waiting *unused = NULL;
    if (rare == NULL) return NULL;
    for (struct waiting *w = rare->waiting; w != NULL; w = w->next) {
        if (w->protocol == p) return w;
        if (w->count == 0) unused = w;
    }
    if (unused == NULL) {
        unused = state_alloc(node, sizeof *unused, &error);
        if (unused == NULL) return NULL;
        list_init(&unused->messages);
        unused->next = rare->waiting;
        rare->waiting = unused;
    }
    unused->protocol = p;
    return unused;
}

static void count(struct exchange *x, struct waiting *w)
{
    x->waiting = w;
    x->is_counted = true;
    w->count++;
    x->protocol->rules->waiting++;
    if (x->kind != MESSAGE_IN) return;
    list_push_back(&x->protocol->rules->messages, &x->link);
    list_push_back(&w->messages, &x->peer_link);
}

/* Its connection is over, so the peer has no queue any more. */
static void uncount_peer(struct exchange *x)
{
    if (x->waiting == NULL) return;
    WEIR_ASSERT(x->waiting->count > 0);
    x->waiting->count--;
    x->waiting = NULL;
    list_remove(&x->peer_link);
}

void exchange_uncount(struct exchange *x)
{
    uncount_peer(x);
    if (!x->is_counted) return;
    WEIR_ASSERT(x->protocol->rules->waiting > 0);
    x->protocol->rules->waiting--;
    x->is_counted = false;
    list_remove(&x->link);
}

static void drop_oldest(struct node *node, struct exchange *x)
{
    metric_inc(node->env.metrics, METRIC_MESSAGES_DROPPED_RECEIVE);
    exchange_drop_stream(node, x, WEIR_REASON_OVERLOAD);
    exchange_forget(node, x);
}

/* Whether one more may come in. If not, the stream is answered. */
static bool make_room(struct node *node, struct stream *s, const struct exchange_rules *rules,
                      const struct waiting *w)
{
    bool peer_is_full = w->count >= rules->queue_per_peer;
    if (!peer_is_full && rules->waiting < rules->queue_max) return true;
    if (s->has_out) {
        metric_inc(node->env.metrics, METRIC_REQUESTS_BUSY_SENT);
        exchange_put_refusal(node, s, WEIR_REASON_OVERLOAD, rules->retry_us, NULL, 0);
        if (s->node_data != NULL) owner_let_go(node, s);
        return false;
    }
    const struct list *queue = peer_is_full ? &w->messages : &rules->messages;
    if (rules->overflow == WEIR_OVERFLOW_DROP_OLD && !list_is_empty(queue)) {
        drop_oldest(node, peer_is_full ? list_first(queue, struct exchange, peer_link)
                                       : list_first(queue, struct exchange, link));
        return true;
    }
    metric_inc(node->env.metrics, METRIC_MESSAGES_DROPPED_RECEIVE);
    streams_refuse(node, s, WEIR_REASON_OVERLOAD);
    return false;
}

static uint64_t until(uint64_t now_us, uint64_t span_us)
{
    return span_us > UINT64_MAX - now_us ? UINT64_MAX : now_us + span_us;
}

static void set_rules(struct node *node, struct exchange *x, size_t head_len)
{
    const struct protocol *p = x->protocol;
    const struct exchange_rules *rules = p->rules;
    x->user = rules->user;
    x->prefix = x->skip = (uint32_t)head_len;
    x->in_max = x->kind == MESSAGE_IN ? rules->message_max_bytes : rules->request_max_bytes;
    x->out_max = rules->response_max_bytes;
    x->chunked = x->kind == REQUEST_IN && rules->request_chunked;
    x->deadline_us = until(node->now_us, rules->deadline_us);
    x->progress_us = rules->progress_us;
    x->progress_bytes = rules->progress_bytes;
}

/* @return false without memory */
static bool begin(struct node *node, struct stream *s, struct protocol *p, size_t head_len,
                  struct waiting *w)
{
    int error;
    struct exchange *x =
        exchange_begin(node, s->has_out ? REQUEST_IN : MESSAGE_IN, s->conn, p, &error);
    if (x == NULL) return false;
    set_rules(node, x, head_len);
    if (!exchange_arm(node, x)) {
        exchange_forget(node, x);
        return false;
    }
    count(x, w);
    exchange_take(x, s);
    exchange_look(node, x);
    if (x->chunked) {
        (void)stream_consume(s, x->skip, node->now_us);
        x->skip = 0;
        exchange_tell(node, x, TELL_BEGIN);
    }
    return true;
}

void exchanges_on_opened(struct node *node, struct stream *s, struct protocol *p, size_t head_len)
{
    unsigned kind = s->has_out ? WEIR_KIND_REQUEST : WEIR_KIND_MESSAGE;
    if ((p->kinds & kind) == 0) {
        metric_inc(node->env.metrics, METRIC_STREAMS_REFUSED);
        streams_refuse(node, s, WEIR_REASON_KIND);
        return;
    }
    struct waiting *w = waiting_of(node, s->conn, p);
    if (w != NULL && !make_room(node, s, p->rules, w)) return;
    if (w == NULL || !begin(node, s, p, head_len, w)) {
        metric_inc(node->env.metrics, METRIC_STREAMS_REFUSED);
        streams_refuse(node, s, WEIR_REASON_LIMIT);
        return;
    }
    if (s->has_out) (void)stream_set_urgency(s, p->urgency, node->now_us);
    if ((s->conn->node_flags & CONN_TOLD) == 0) events_tell_connected(node, s->conn);
}

/* What was not delivered to its end, and why. @return 0: nothing is wrong */
static int broken(const struct exchange *x, const struct stream *s, bool is_gone, uint32_t *reason)
{
    *reason = WEIR_REASON_NONE;
    if (s->has_out && s->out.stopped) {
        *reason = s->out.stop_code;
        return WEIR_E_STOPPED;
    }
    if (is_gone && x->finished && s->out.reset_code == 0) return 0;
    if (is_gone && s->conn->state != CONN_UP) {
        *reason = WEIR_REASON_CONNECTION;
        return WEIR_E_NOT_CONNECTED;
    }
    if (!s->in.was_reset) return 0;
    *reason = s->in.reset_code;
    return x->kind == MESSAGE_IN ? WEIR_E_RESET : WEIR_E_STOPPED;
}

static void on_whole(struct node *node, struct exchange *x)
{
    x->whole = true;
    x->window_us = 0; /* whoever's turn comes next begins anew */
    x->is_demanding = false;
    if (!x->chunked) exchange_tell(node, x, TELL_BEGIN);
    if (x->kind == MESSAGE_IN) (void)exchange_arm(node, x);
}

/* Bytes came, or the end. */
static void take_in(struct node *node, struct exchange *x, const struct stream *s, unsigned facts)
{
    if (x->finished || s->in.stopped) return;
    x->bytes_in = s->in.highest - x->prefix;
    bool is_end = events_is_end_known(s);
    if (x->bytes_in > x->in_max) {
        exchange_fail(node, x, WEIR_E_LIMIT, WEIR_REASON_TOO_LARGE);
        return;
    }
    bool was_whole = x->whole; /* then the application may be looking at it where it is */
    if (is_end && !x->whole) on_whole(node, x);
    if (!was_whole && !x->chunked && x->stream != NULL) exchange_body_relieve(node, x);
    if (x->chunked && (facts & STREAM_PENDING_READABLE) != 0) exchange_tell(node, x, TELL_READABLE);
}

/* A message that came whole outlives its connection. @return whether it does */
static bool keep(struct node *node, struct exchange *x, const struct stream *s, unsigned facts)
{
    if (x->kind != MESSAGE_IN || s->conn->state == CONN_UP || s->in.was_reset) return false;
    x->stream = NULL;
    take_in(node, x, s, facts);
    if (x->over) return true;
    if (!exchange_body_keep(node, x, s)) return false;
    uncount_peer(x);
    return true;
}

static void on_writable(struct node *node, struct exchange *x)
{
    if (x->owes_end) {
        exchange_put_end(node, x);
    } else {
        exchange_tell(node, x, TELL_WRITABLE);
    }
}

void exchange_in_on_stream(struct node *node, struct exchange *x, struct stream *s, unsigned facts)
{
    bool is_gone = (facts & STREAM_PENDING_OVER) != 0;
    uint32_t reason;
    if (is_gone && keep(node, x, s, facts)) return;
    int error = broken(x, s, is_gone, &reason);
    if (is_gone) x->stream = NULL;
    if (error != 0) {
        exchange_fail(node, x, error, reason);
    } else if (is_gone) {
        exchange_over(node, x, 0, WEIR_REASON_NONE);
    } else {
        if ((facts & STREAM_PENDING_WRITABLE) != 0) on_writable(node, x);
        if (!x->over) take_in(node, x, s, facts);
        if (!x->over) exchange_look(node, x);
    }
}

static struct conn_rare *rare_of(const struct transport_conn *c)
{
    return (c->node_flags & CONN_ATTEMPT) != 0 ? NULL : c->node_data;
}

void exchanges_free_waiting(struct node *node, struct transport_conn *c)
{
    struct conn_rare *rare = rare_of(c);
    while (rare != NULL && rare->waiting != NULL) {
        struct waiting *w = rare->waiting;
        WEIR_ASSERT(w->count == 0);
        rare->waiting = w->next;
        state_release(node, w, sizeof *w);
    }
}
