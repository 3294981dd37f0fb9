/* SPDX-License-Identifier: MIT */
/* What the application answers to a request of a peer. */
#include "node/conns.h"
#include "node/exchange.h"
#include "node/response_head.h"
#include "node/streams.h"
#include <string.h>

enum { SMALL_BYTES = 1024 /* up to which a response and its head are one write */ };

/* A request of a peer that can still be answered. */
static struct exchange *get(struct node *node, uint64_t handle, int *error)
{
    struct exchange *x = exchange_get(node, handle, error);
    if (x == NULL) return NULL;
    if (x->kind != REQUEST_IN) {
        *error = WEIR_E_KIND;
    } else if (x->finished || x->owes_end) {
        *error = WEIR_E_FINISHED;
    } else if (x->over) {
        *error = x->error == WEIR_E_NOT_CONNECTED ? WEIR_E_NOT_CONNECTED : WEIR_E_STOPPED;
    }
    return *error == 0 ? x : NULL;
}

static int fail_too_long(struct node *node, const struct exchange *x, size_t len)
{
    const struct peer_id peer = conns_peer(x->conn);
    const struct limit_record limit = {.scope = LIMIT_SCOPE_PROTOCOL,
                                       .side = LIMIT_SIDE_LOCAL,
                                       .used = x->bytes_out + len,
                                       .max = x->out_max};
    return errors_fail(node, WEIR_E_LIMIT, &limit, &peer,
                       "the response is longer than response_max_bytes of its protocol");
}

/* @return bytes of the application taken; the head leaves with the first of them */
static int64_t put(struct node *node, struct exchange *x, const void *data, size_t len, bool more)
{
    uint8_t first[1 + SMALL_BYTES];
    struct stream *s = x->stream;
    if (x->answered) return stream_write(s, data, len, more, !more, node->now_us);
    bool is_small = len <= SMALL_BYTES;
    first[0] = RESPONSE_OK;
    if (is_small && len > 0) memcpy(first + 1, data, len);
    int64_t taken = stream_write(s, first, is_small ? 1 + len : 1, more || !is_small,
                                 is_small && !more, node->now_us);
    if (taken <= 0) return taken;
    x->answered = true;
    x->answered_us = node->now_us;
    return is_small ? taken - 1 : stream_write(s, data, len, more, !more, node->now_us);
}

static void look_at_end(struct node *node, struct exchange *x)
{
    x->finished = x->stream->out.state != SEND_OPEN;
    if (x->finished) {
        /* What is not read of the request nobody will read. */
        exchange_uncount(x);
        (void)stream_stop(x->stream, WEIR_REASON_NONE, node->now_us);
    }
    exchange_look(node, x);
}

void exchange_put_end(struct node *node, struct exchange *x)
{
    struct stream *s = x->stream;
    int64_t taken = put(node, x, NULL, 0, false);
    /* Stopped is told by the stream; without memory the writer is not told again. */
    if (taken == WEIR_E_MEMORY) exchange_fail(node, x, WEIR_E_MEMORY, WEIR_REASON_LIMIT);
    if (taken < 0) return;
    x->owes_end = !x->answered;
    look_at_end(node, x);
    owner_let_go(node, s);
}

int64_t exchange_on_respond(struct node *node, const struct node_call *call)
{
    int error;
    bool more = (call->flags & WEIR_MORE) != 0;
    struct exchange *x = get(node, call->object, &error);
    if (x == NULL) return error;
    if (call->len > x->out_max - x->bytes_out) return fail_too_long(node, x, call->len);
    x->tell = (uint8_t)(x->tell & ~TELL_WRITABLE);
    int64_t taken = put(node, x, call->data, call->len, more);
    if (taken < 0) return taken;
    x->bytes_out += (uint64_t)taken;
    /* All 0 bytes were taken, so the application will not come again for the head. */
    x->owes_end = call->len == 0 && !more && !x->answered;
    look_at_end(node, x);
    return taken;
}

void exchange_put_refusal(struct node *node, struct stream *s, uint32_t reason, uint64_t retry_us,
                          const char *text, size_t text_len)
{
    uint8_t bytes[RESPONSE_HEAD_MAX];
    size_t len = response_head_write(bytes, reason, retry_us, text, text_len);
    int64_t taken = -1;
    if (exchanges_make(node) != NULL)
        taken = stream_write(s, bytes, len, false, true, node->now_us);
    if (taken != (int64_t)len) {
        s->node_data = NULL;
        streams_refuse(node, s, reason);
        return;
    }
    (void)stream_stop(s, reason, node->now_us);
    exchanges_keep(node, s);
}

int64_t exchange_on_refuse(struct node *node, const struct node_call *call)
{
    int error;
    struct exchange *x = get(node, call->object, &error);
    if (x == NULL) return error == WEIR_E_FINISHED ? WEIR_E_STATE : error;
    if (x->answered) return WEIR_E_STATE;
    if (call->flags == WEIR_REASON_OVERLOAD)
        metric_inc(node->env.metrics, METRIC_REQUESTS_BUSY_SENT);
    exchange_put_refusal(node, x->stream, call->flags, call->number, call->data, call->len);
    x->stream = NULL;
    exchange_over(node, x, 0, call->flags);
    return 0;
}
