/* SPDX-License-Identifier: MIT */
/* The bytes of what is read whole.
 *
 * They wait in the lane, where they arrived, and cost no copy. But what waits gives the peer no
 * credit, and the credit of a connection is shared: a few long responses at once could each have a
 * part of it and none the rest. So where much of a connection's credit is unread, or a lane is
 * full, what came is moved out into memory of the exchange, inside its bound, and gives credit:
 * what is whole too, for who does not read it may be waiting for an answer that needs that credit.
 * The last byte stays, so that the stream, and with it the place in the queue, goes on until it is
 * read. A connection that ends moves what it has delivered whole in the same way.
 *
 * What a peer opened costs its connection's share of the memory here as it did in the lane. */
#include "base/assert.h"
#include "base/charged.h"
#include "node/exchange.h"
#include <string.h>

enum { BODY_FIRST = 4096, CREDIT_PARTS = 4 /* one part of the window may wait unread */ };

uint64_t exchange_body_len(const struct exchange *x)
{
    uint64_t readable = x->stream == NULL ? 0 : receive_lane_readable(&x->stream->in);
    return x->body_len + (readable > x->skip ? readable - x->skip : 0);
}

static struct budget *budget_of(struct node *node, const struct exchange *x)
{
    bool is_ours = x->kind == REQUEST_OUT || x->is_kept;
    return is_ours ? &node->budget : &x->conn->streams->budget;
}

static bool reserve(struct node *node, struct exchange *x, uint64_t need)
{
    uint64_t cap = x->body_cap == 0 ? BODY_FIRST : x->body_cap;
    if (need <= x->body_cap) return true;
    while (cap < need) cap *= 2;
    if (x->whole) cap = need; /* no more comes */
    uint8_t *body = charged_alloc(node->env.mem, budget_of(node, x), (size_t)cap);
    if (body == NULL) return false;
    if (x->body_len > 0) memcpy(body, x->body, x->body_len);
    exchange_body_free(node, x);
    x->body = body;
    x->body_cap = (uint32_t)cap;
    return true;
}

void exchange_body_free(struct node *node, struct exchange *x)
{
    if (x->body == NULL) return;
    charged_free(node->env.mem, budget_of(node, x), x->body, x->body_cap);
    x->body = NULL;
    x->body_cap = 0;
}

static bool is_pressed(const struct exchange *x)
{
    const struct conn_streams *st = x->stream->conn->streams;
    const struct receive_lane *in = &x->stream->in;
    return st->receive_used - st->receive_consumed > st->receive_window / CREDIT_PARTS ||
           in->contiguous >= in->limit;
}

void exchange_body_relieve(struct node *node, struct exchange *x)
{
    struct stream *s = x->stream;
    uint64_t readable = receive_lane_readable(&s->in);
    if (!is_pressed(x) || readable <= x->skip + 1) return;
    uint32_t len = (uint32_t)(readable - x->skip - 1);
    if (!reserve(node, x, (uint64_t)x->body_len + len)) return; /* it waits where it is */
    ring_read(&s->in.ring, s->in.ring.base + x->skip, x->body + x->body_len, len);
    x->body_len += len;
    (void)stream_consume(s, x->skip + len, node->now_us);
    x->skip = 0;
}

/* Its connection goes: from now on it costs the node. */
static void become_ours(struct node *node, struct exchange *x)
{
    budget_refund(budget_of(node, x), x->body_cap);
    x->is_kept = true;
    bool charged = budget_charge(budget_of(node, x), x->body_cap, NULL);
    WEIR_ASSERT(charged); /* the connection's share is a part of the node's */
}

bool exchange_body_keep(struct node *node, struct exchange *x, const struct stream *s)
{
    uint64_t readable = receive_lane_readable(&s->in);
    if (x->chunked || !x->whole || s->in.was_reset || readable < x->skip) return false;
    uint32_t len = (uint32_t)(readable - x->skip);
    become_ours(node, x);
    if (len > 0 && !reserve(node, x, (uint64_t)x->body_len + len)) {
        exchange_body_free(node, x);
        x->is_kept = false;
        return false;
    }
    if (len > 0) ring_read(&s->in.ring, s->in.ring.base + x->skip, x->body + x->body_len, len);
    x->body_len += len;
    x->skip = 0;
    x->conn = NULL;
    return true;
}

void exchange_body_read(const struct exchange *x, uint8_t *out)
{
    uint64_t rest = exchange_body_len(x) - x->body_len;
    if (x->body_len > 0) memcpy(out, x->body, x->body_len);
    if (rest == 0) return;
    const struct ring *ring = &x->stream->in.ring;
    ring_read(ring, ring->base + x->skip, out + x->body_len, (size_t)rest);
}

int64_t exchange_body_view(struct node *node, struct exchange *x, const uint8_t **data)
{
    uint64_t rest = exchange_body_len(x) - x->body_len;
    if (x->body_len + rest == 0) return 0;
    const struct ring *ring = x->stream == NULL ? NULL : &x->stream->in.ring;
    if (x->body_len == 0) return (int64_t)ring_view(ring, ring->base + x->skip, (size_t)rest, data);
    /* What waits in the lane is shown behind the rest, and stays where it is. */
    if (!reserve(node, x, x->body_len + rest)) return WEIR_E_MEMORY;
    if (rest > 0) ring_read(ring, ring->base + x->skip, x->body + x->body_len, (size_t)rest);
    *data = x->body;
    return (int64_t)(x->body_len + rest);
}
