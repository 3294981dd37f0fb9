/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_TRANSPORT_FAKE_H
#define WEIR_TESTS_TRANSPORT_FAKE_H
/* A transport with one connection and no wire: ops->stream_changed writes down what it is told and
 * gives credit as a real one does. Two of them are joined by fake_move, which carries what waits
 * from one to the other without loss. Include after cmocka.h. */
#include "base/bytes.h"
#include "base/rng.h"
#include "transport/stream.h"
#include "weir.h"
#include <string.h>

enum { FAKE_RTT_US = 10000, FAKE_PIECE_MAX = 1200 };

struct fake {
    struct transport t;        /* first: stream_changed finds the rest */
    struct transport_conn c;
    struct transport_env env;
    struct transport_ops ops;
    struct mem_counter mem;
    struct budget budget;
    struct metrics metrics;
    struct limits limits;
    uint32_t changes;          /* how often stream_changed was called */
    unsigned what;             /* everything that it was told */
    uint64_t moved_bytes;      /* stream bytes that fake_move took from here */
    uint8_t hash_key[16];
};

static inline void fake_changed(struct stream *s, unsigned what, uint64_t now_us)
{
    struct fake *f = (struct fake *)(void *)s->conn->transport;

    f->changes++;
    f->what |= what;
    if ((what & STREAM_CONSUMED) != 0 && now_us != 0)
        streams_update_credit(s, FAKE_RTT_US, now_us);
}

/* Limits may be changed between fake_init and fake_up. */
static inline void fake_init(struct fake *f, enum conn_role role, uint64_t memory_bytes)
{
    memset(f, 0, sizeof *f);
    mem_counter_init(&f->mem, mem_system());
    limits_derive(&f->limits, memory_bytes, 0);
    budget_init(&f->budget, NULL, LIMIT_SCOPE_NODE, LIMIT_NODE_MEMORY,
                f->limits.value[LIMIT_NODE_MEMORY], f);
    f->env.mem = &f->mem.mem;
    f->env.budget = &f->budget;
    f->env.metrics = &f->metrics;
    f->env.limits = &f->limits;
    f->env.hash_key = f->hash_key;
    f->env.network = "";
    f->ops.name = "fake";
    f->ops.stream_changed = fake_changed;
    transport_init(&f->t, &f->ops, &f->env);
    conn_init(&f->c, &f->t, role);
}

static inline int fake_up(struct fake *f, const struct limits *peer_limits)
{
    struct streams_grants own, peer;
    int error;

    streams_own_grants(&f->limits, &own);
    streams_own_grants(peer_limits, &peer);
    error = streams_open(&f->c, &own, &peer);
    if (error == 0)
        f->c.state = CONN_UP;
    return error;
}

static inline void fake_window(struct fake *f, uint64_t stream, uint64_t connection)
{
    f->limits.value[LIMIT_STREAM_WINDOW_FIRST] = f->limits.value[LIMIT_STREAM_WINDOW] = stream;
    f->limits.value[LIMIT_CONNECTION_WINDOW_FIRST] = connection;
    f->limits.value[LIMIT_CONNECTION_WINDOW] = connection;
}

/* The end of every test: nothing may be charged or allocated any more. */
static inline void fake_close(struct fake *f)
{
    conn_release(&f->c);
    assert_int_equal(f->budget.used, 0);
    budget_end(&f->budget);
    assert_int_equal(f->mem.live_bytes, 0);
    assert_int_equal(f->mem.live_blocks, 0);
    assert_int_equal(f->metrics.value[METRIC_STREAMS_OPEN], 0);
}

/* A connection whose peer grants so much. */
static inline void open_with(struct fake *f, uint64_t memory, uint64_t stream, uint64_t connection)
{
    struct limits peer;

    fake_init(f, CONN_DIALLER, memory);
    peer = f->limits;
    peer.value[LIMIT_STREAM_WINDOW_FIRST] = stream;
    peer.value[LIMIT_CONNECTION_WINDOW_FIRST] = connection;
    assert_int_equal(fake_up(f, &peer), 0);
}

static inline struct stream *open_stream(struct fake *f, bool one_way)
{
    int error = 1;
    struct stream *s = streams_open_local(&f->c, one_way, 3, &error);

    assert_non_null(s);
    assert_int_equal(error, 0);
    return s;
}

/* Takes the stream's facts as node does. @return enum stream_pending bits */
static inline unsigned fake_facts(struct stream *s)
{
    unsigned facts = s->pending;

    s->pending = 0;
    list_remove(&s->dirty_link);
    if ((facts & STREAM_PENDING_READABLE) != 0)
        s->told_readable = true;
    return facts;
}

static inline struct stream *fake_remote(struct fake *f, uint64_t id)
{
    struct stream *s;

    assert_int_equal(streams_on_frame(&f->c, id, true, 1, &s), STREAMS_FOUND);
    return s;
}

static inline int fake_data(struct stream *s, uint64_t offset, size_t len, bool fin)
{
    static const uint8_t zeros[1 << 16];

    assert_true(len <= sizeof zeros);
    return streams_on_data(s, offset, zeros, len, fin);
}

static inline void fake_move_control(struct stream *s, struct fake *to, uint64_t now_us)
{
    struct stream *other;

    if (s->out.reset_pending) {
        s->out.reset_pending = false;
        if (streams_on_frame(&to->c, s->id, true, now_us, &other) == STREAMS_FOUND) {
            assert_int_equal(streams_on_reset(other, s->out.reset_code, s->out.sent), RECEIVE_OK);
            streams_update_credit(other, FAKE_RTT_US, now_us);
        }
        streams_on_reset_acked(s);
    }
    if (s->in.stop_pending) {
        s->in.stop_pending = false;
        if (streams_on_frame(&to->c, s->id, false, now_us, &other) == STREAMS_FOUND)
            streams_on_stop(other, s->in.stop_code, now_us);
    }
    if (s->in.credit_pending) {
        s->in.credit_pending = false;
        if (streams_on_frame(&to->c, s->id, false, now_us, &other) == STREAMS_FOUND)
            streams_on_stream_credit(other, s->in.limit, now_us);
    }
}

/* @return bytes that went over, 0 when the stream has nothing */
static inline uint64_t fake_move_data(struct fake *from, struct stream *s, struct fake *to,
                                      uint64_t now_us)
{
    uint8_t piece[FAKE_PIECE_MAX];
    uint64_t offset, len;
    struct stream *other;
    bool fin;

    if (!s->has_out || !send_lane_next(&s->out, false, sizeof piece, &offset, &len, &fin))
        return 0;
    ring_read(&s->out.ring, offset, piece, (size_t)len);
    (void)send_lane_on_sent(&s->out, offset, len, fin, from->env.mem);
    from->moved_bytes += len;
    if (streams_on_frame(&to->c, s->id, true, now_us, &other) == STREAMS_FOUND) {
        int result = streams_on_data(other, offset, piece, (size_t)len, fin);

        assert_true(result == RECEIVE_OK || result == RECEIVE_DROP);
        if (result == RECEIVE_DROP) {
            streams_on_lost(s, offset, len, fin);
            return len;
        }
        if (other->in.stopped)
            streams_update_credit(other, FAKE_RTT_US, now_us);
    }
    streams_on_acked(s, offset, len, fin, now_us);
    return len;
}

static inline bool fake_waits(const struct stream *s)
{
    return s->out.reset_pending || s->in.stop_pending || s->in.credit_pending ||
           (s->has_out && send_lane_has(&s->out, false));
}

/* At most pieces of what waits in `from` reach `to` and are acknowledged at once. */
static inline void fake_move(struct fake *from, struct fake *to, unsigned pieces, uint64_t now_us)
{
    struct conn_streams *st = from->c.streams;
    struct list *link;
    uint8_t urgency;

    if (st->credit_pending)
        streams_on_connection_credit(&to->c, st->receive_limit, now_us);
    for (unsigned type = 0; type < 2; type++) {
        if (st->accept_pending[type])
            streams_on_count_credit(&to->c, type != 0, st->accept_max[type]);
    }
    st->credit_pending = st->accept_pending[0] = st->accept_pending[1] = false;
    while (pieces-- > 0 && (link = sched_next(&st->sched, &urgency)) != NULL) {
        struct stream *s = list_entry(link, struct stream, ready_link);

        fake_move_control(s, to, now_us);
        sched_sent(&st->sched, link, urgency,
                   (uint32_t)fake_move_data(from, s, to, now_us));
        if (!fake_waits(s))
            sched_remove(&st->sched, link, urgency);
    }
}

/* Everything that may leave leaves, both ways, in at most 20 rounds. For a side that has no memory
 * for what comes: it is not acknowledged, so it waits again at once. */
static inline void fake_settle_starved(struct fake *a, struct fake *b, uint64_t now_us)
{
    streams_on_turn(&a->c);
    streams_on_turn(&b->c);
    for (int i = 0; i < 20 && (streams_want_send(&a->c) || streams_want_send(&b->c)); i++) {
        fake_move(a, b, 100, now_us);
        fake_move(b, a, 100, now_us);
    }
}

/* The same, and nothing may be left that waits. */
static inline void fake_settle(struct fake *a, struct fake *b, uint64_t now_us)
{
    fake_settle_starved(a, b, now_us);
    assert_false(streams_want_send(&a->c) || streams_want_send(&b->c));
}
#endif
