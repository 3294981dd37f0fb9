/* SPDX-License-Identifier: MIT */
/* The end of a stream, and its place under the limit of streams.
 *
 * The limit that the peer has slides with the streams of its that are over. A stream that the peer
 * opened and reset is over at once, and costs it nothing, while we made a record, perhaps told the
 * application, perhaps began to work: so such places come back at a bounded rate (a bucket of one
 * second's worth), and a peer that resets faster runs into its own limit. Streams that are finished
 * in good order do not wait. */
#include "base/assert.h"
#include "transport/stream.h"

enum { SECOND_US = 1000000 };

static uint64_t rate_of(const struct transport_conn *c)
{
    return c->transport->env->limits->value[LIMIT_STREAM_CANCELS];
}

/* The limit is told in steps, so that it costs a frame per several streams.
 * @return whether there is something to tell */
static bool slide(struct transport_conn *c, unsigned type, uint64_t places)
{
    struct conn_streams *st = c->streams;
    uint64_t limit = streams_count_max(c->transport->env->limits, type != 0);
    st->accept_over[type] += places;
    uint64_t next = st->accept_over[type] + limit;
    if (next < st->accept_max[type] + (limit + 3) / 4 || c->state != CONN_UP) return false;
    st->accept_max[type] = next;
    st->accept_pending[type] = true;
    return true;
}

void streams_pace_cancels(struct transport_conn *c, uint64_t now_us)
{
    c->streams->paces_cancels = true;
    c->streams->cancel_tokens = (uint32_t)rate_of(c);
    c->streams->cancel_us = now_us;
}

static bool holds(const struct conn_streams *st)
{
    return st->cancels_held[0] + st->cancels_held[1] > 0;
}

uint64_t streams_deadline(const struct transport_conn *c)
{
    if (c->streams == NULL || !holds(c->streams)) return UINT64_MAX;
    /* A tenth of a second's worth at a time: one frame tells many. */
    uint64_t token_us = SECOND_US / rate_of(c) + 1;
    return c->streams->cancel_us + (token_us > SECOND_US / 10 ? token_us : SECOND_US / 10);
}

void streams_on_time(struct transport_conn *c, uint64_t now_us)
{
    struct conn_streams *st = c->streams;
    if (st == NULL || !st->paces_cancels) return;
    uint64_t rate = rate_of(c), passed = now_us - st->cancel_us;
    if (passed > SECOND_US) passed = SECOND_US;
    uint64_t tokens = st->cancel_tokens + passed * rate / SECOND_US;
    if (passed * rate < SECOND_US) return; /* not one yet: keep the time */
    st->cancel_us = now_us;
    for (unsigned type = 0; type < 2; type++) {
        uint64_t back = st->cancels_held[type] < tokens ? st->cancels_held[type] : tokens;
        tokens -= back;
        st->cancels_held[type] -= (uint32_t)back;
        if (back > 0) (void)slide(c, type, back);
    }
    st->cancel_tokens = (uint32_t)(tokens < rate ? tokens : rate);
}

/* @return whether the place waits */
static bool hold_back(struct stream *s, unsigned type)
{
    struct conn_streams *st = s->conn->streams;
    if (!st->paces_cancels || !s->in.was_reset || s->conn->state != CONN_UP) return false;
    if (st->cancel_tokens > 0) {
        st->cancel_tokens--;
        return false;
    }
    st->cancels_held[type]++;
    metric_inc(s->conn->transport->env->metrics, METRIC_STREAMS_CANCELS_HELD);
    return true;
}

void streams_remove(struct stream *s)
{
    struct transport_conn *c = s->conn;
    unsigned type = (unsigned)(s->id >> 1 & 1);
    if (!s->is_local && !hold_back(s, type) && slide(c, type, 1))
        c->transport->ops->stream_changed(s, STREAM_CONSUMED, 0);
    streams_forget(s);
}
