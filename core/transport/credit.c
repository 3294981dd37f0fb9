/* SPDX-License-Identifier: MIT */
/* Flow control both ways (RFC 9000 section 4), and what waits for it.
 *
 * A receiver grants `consumed + window` and tells it anew once half of the window is used, so that
 * a sender that keeps up never stops for want of news. A window that was used up within two round
 * trips is too small for the path and is doubled, within one it is made four times as large, inside
 * its limit and only while the budget has room for it: memory decides, not the peer. What one
 * stream learned of the path holds for the next: a stream that turns out to carry more than a
 * little gets the largest window of its siblings at once. All streams together are bounded by the
 * connection's credit. */
#include "transport/stream.h"

static const struct transport_env *env_of(const struct transport_conn *c)
{
    return c->transport->env;
}

uint64_t streams_count_max(const struct limits *limits, bool one_way)
{
    uint64_t most = limits->value[one_way ? LIMIT_STREAMS_UNI : LIMIT_STREAMS_BIDI];
    uint64_t holds =
        limits->value[LIMIT_PEER_MEMORY] / STREAM_SHARES * STREAM_SHARES_REMOTE / STREAM_COST_BYTES;
    if (holds == 0) holds = 1;
    return most < holds ? most : holds;
}

void streams_own_grants(const struct limits *limits, struct streams_grants *out)
{
    const uint64_t *v = limits->value;
    out->connection_bytes = v[LIMIT_CONNECTION_WINDOW_FIRST];
    out->bidi_local_bytes = out->bidi_remote_bytes = out->uni_bytes = v[LIMIT_STREAM_WINDOW_FIRST];
    out->bidi_count = streams_count_max(limits, false);
    out->uni_count = streams_count_max(limits, true);
}

static uint64_t grow(const struct transport_conn *c, uint64_t window, uint64_t max,
                     uint64_t last_us, uint64_t rtt_us, uint64_t now_us)
{
    if (c->streams->grow_off || window >= max || last_us == 0) return window;
    if (rtt_us == 0 || now_us - last_us > 2 * rtt_us) return window;
    uint64_t room = budget_room(&c->streams->budget);
    uint64_t most = now_us - last_us > rtt_us ? 2 * window : 4 * window;
    for (uint64_t wider = most; wider > window; wider /= 2) {
        uint64_t next = wider > max ? max : wider;
        if (room >= 2 * next) return next;
    }
    return window;
}

static void update_stream(struct stream *s, uint64_t rtt_us, uint64_t now_us)
{
    struct receive_lane *in = &s->in;
    if (!s->has_in || in->state != RECEIVE_OPEN || in->stopped) return;
    struct conn_streams *st = s->conn->streams;
    uint64_t consumed = in->ring.base;
    bool behind =
        in->window_bytes < st->stream_window && budget_room(&st->budget) >= 2 * st->stream_window;
    if (in->limit - consumed > (behind ? in->window_bytes / 4 * 3 : in->window_bytes / 2)) return;
    in->window_bytes =
        grow(s->conn, in->window_bytes, env_of(s->conn)->limits->value[LIMIT_STREAM_WINDOW],
             in->grant_time_us, rtt_us, now_us);
    if (behind && in->window_bytes < st->stream_window) in->window_bytes = st->stream_window;
    if (in->window_bytes > st->stream_window) st->stream_window = in->window_bytes;
    if (consumed + in->window_bytes <= in->limit) return;
    in->limit = consumed + in->window_bytes;
    in->grant_time_us = now_us;
    in->credit_pending = true;
    stream_schedule(s);
}

void streams_update_credit(struct stream *s, uint64_t rtt_us, uint64_t now_us)
{
    struct transport_conn *c = s->conn;
    struct conn_streams *st = c->streams;
    update_stream(s, rtt_us, now_us);
    if (st->receive_limit - st->receive_consumed > st->receive_window / 2) return;
    st->receive_window =
        grow(c, st->receive_window, env_of(c)->limits->value[LIMIT_CONNECTION_WINDOW],
             st->grant_time_us, rtt_us, now_us);
    if (st->receive_consumed + st->receive_window <= st->receive_limit) return;
    st->receive_limit = st->receive_consumed + st->receive_window;
    st->grant_time_us = now_us;
    st->credit_pending = true;
}

void streams_on_stream_credit(struct stream *s, uint64_t limit, uint64_t now_us)
{
    if (limit <= s->out.credit) return; /* RFC 9000 4.1: limits never shrink */
    s->out.credit = limit;
    stream_check_writable(s, now_us);
}

void streams_recheck(struct transport_conn *c, uint64_t now_us)
{
    struct conn_streams *st = c->streams;
    if (st == NULL || list_is_empty(&st->blocked)) return;
    if (lane_send_room(&st->budget, NULL) < LANE_PRESSURE_BYTES) streams_trim(c);
    /* Only those that wait are looked at: the peer decides how often this runs, and how many
     * streams there are. */
    for (struct list *link = st->blocked.next; link != &st->blocked;) {
        struct stream *s = list_entry(link, struct stream, blocked_link);
        link = link->next;
        stream_check_writable(s, now_us);
    }
}

void streams_on_connection_credit(struct transport_conn *c, uint64_t limit, uint64_t now_us)
{
    if (limit <= c->streams->send_credit) return;
    c->streams->send_credit = limit;
    streams_recheck(c, now_us);
    /* An open that found no credit for its name. */
    if (c->streams->open_blocked[0] || c->streams->open_blocked[1]) {
        c->streams->open_blocked[0] = c->streams->open_blocked[1] = false;
        conn_mark(c, CONN_PENDING_OPEN_ROOM);
    }
}

void streams_on_count_credit(struct transport_conn *c, bool one_way, uint64_t count)
{
    unsigned type = one_way ? 1 : 0;
    struct conn_streams *st = c->streams;
    if (count <= st->open_max[type]) return;
    st->open_max[type] = count;
    if (!st->open_blocked[type]) return;
    st->open_blocked[type] = false;
    conn_mark(c, CONN_PENDING_OPEN_ROOM);
}

void streams_on_turn(struct transport_conn *c)
{
    struct conn_streams *st = c->streams;
    if (st == NULL) return;
    for (struct list *link = st->touched.next; link != &st->touched;) {
        struct stream *s = list_entry(link, struct stream, touched_link);
        link = link->next;
        if (s->out.hold) continue; /* WEIR_MORE: only whole packets of it leave */
        send_lane_release(&s->out);
        list_remove(&s->touched_link);
        stream_schedule(s);
    }
}

bool streams_want_send(const struct transport_conn *c)
{
    const struct conn_streams *st = c->streams;
    if (st == NULL) return false;
    return st->sched.waiting != 0 || st->credit_pending || st->accept_pending[0] ||
           st->accept_pending[1] || streams_has_datagram(c);
}

void streams_trim(struct transport_conn *c)
{
    struct conn_streams *st = c->streams;
    uint32_t cursor = 0;
    struct stream *s;
    if (st == NULL) return;
    while ((s = map_next(&st->by_id, &cursor)) != NULL) {
        if (s->out.ring.base == s->out.written)
            ring_release(&s->out.ring, env_of(c)->mem, &st->budget);
        if (s->in.ring.base == s->in.contiguous && s->in.gaps_above.count == 0)
            ring_release(&s->in.ring, env_of(c)->mem, &st->budget);
    }
}
