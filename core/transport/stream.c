/* SPDX-License-Identifier: MIT */
/* The calls that node makes on a stream: write, read, reset, stop. What transports make of frames
 * is in streams.c. */
#include "transport/stream.h"
#include "base/assert.h"
#include <string.h>

enum {
    WAKE_BYTES =
        4096 /* less room in the budget is not worth waking a writer while its buffer drains */
};

enum { SMALL_LANE_BYTES = 4096 }; /* what a lane may hold and still use the reserve */

static const struct transport_env *env_of(const struct stream *s)
{
    return s->conn->transport->env;
}

static struct metrics *metrics_of(const struct stream *s)
{
    return env_of(s)->metrics;
}

static void changed(struct stream *s, unsigned what, uint64_t now_us)
{
    s->conn->transport->ops->stream_changed(s, what, now_us);
}

void stream_mark(struct stream *s, unsigned pending)
{
    s->pending = (uint8_t)(s->pending | pending);
    if (!list_is_linked(&s->dirty_link)) list_push_back(&s->conn->streams->dirty, &s->dirty_link);
    conn_mark(s->conn, CONN_PENDING_STREAMS);
}

void stream_schedule(struct stream *s)
{
    bool control = s->out.reset_pending || s->in.stop_pending || s->in.credit_pending;
    if (control || (s->has_out && send_lane_has(&s->out, false)))
        sched_add(&s->conn->streams->sched, &s->ready_link, s->urgency);
}

static void unblock(struct stream *s, uint64_t now_us)
{
    if (s->blocked.why == BLOCKED_NOT) return;
    metric_add(metrics_of(s), METRIC_STALL_TIME, now_us - s->blocked.since_us);
    memset(&s->blocked, 0, sizeof s->blocked);
    list_remove(&s->blocked_link);
}

static void set_why(struct stream *s, enum blocked_why why)
{
    struct conn_streams *st = s->conn->streams;
    s->blocked.why = (uint8_t)why;
    s->blocked.on = why == BLOCKED_BUDGET ? BLOCKED_ON_US : BLOCKED_ON_PEER;
    if (why != BLOCKED_BUDGET) return;
    uint64_t room = lane_send_room(&st->budget, NULL);
    if (!list_is_linked(&st->starved_link)) {
        list_push_back(&s->conn->transport->starved, &st->starved_link);
        st->starved_room = room;
    } else if (room < st->starved_room) {
        st->starved_room = room;
    }
}

static void block(struct stream *s, enum blocked_why why, uint64_t wanted, uint64_t now_us)
{
    static const enum metric counters[] = {
        [BLOCKED_STREAM_CREDIT] = METRIC_STALLS_STREAM_CREDIT,
        [BLOCKED_CONNECTION_CREDIT] = METRIC_STALLS_CONNECTION_CREDIT,
        [BLOCKED_BUDGET] = METRIC_STALLS_BUDGET,
        [BLOCKED_SEND_LIMIT] = METRIC_STALLS_BUDGET,
    };
    if (s->blocked.why == BLOCKED_NOT) {
        s->blocked.since_us = now_us;
        list_push_back(&s->conn->streams->blocked, &s->blocked_link);
        metric_inc(metrics_of(s), counters[why]);
    }
    set_why(s, why);
    s->blocked.whole = false;
    s->blocked.wanted = wanted > UINT32_MAX ? UINT32_MAX : (uint32_t)wanted;
    s->out.hold = false; /* a writer that waits says nothing more soon: hold nothing back */
}

static uint64_t held_of(const struct stream *s)
{
    return s->out.written - s->out.ring.base;
}

/* Bulk leaves an eighth of the peer's first window, at most 32 KiB, to lanes that hold next to
 * nothing: else a transfer that was already queued would keep a new stream's name, or an urgent
 * message, waiting for the far side to consume. */
uint64_t streams_connection_room(const struct conn_streams *st, uint64_t held)
{
    uint64_t room = st->send_credit > st->send_used ? st->send_credit - st->send_used : 0;
    uint64_t reserve = st->send_window / 8 < 32768 ? st->send_window / 8 : 32768;
    uint64_t open = room > reserve ? room - reserve : 0;
    uint64_t small = held < SMALL_LANE_BYTES ? SMALL_LANE_BYTES - held : 0;
    if (small > room) small = room;
    return open > small ? open : small;
}

/* What limits a write, smallest first; the budget is asked by lane_fits. */
static uint64_t writable(const struct stream *s, enum blocked_why *why)
{
    uint64_t send_max = env_of(s)->limits->value[LIMIT_STREAM_SEND];
    uint64_t room = s->out.credit > s->out.written ? s->out.credit - s->out.written : 0;
    uint64_t connection = streams_connection_room(s->conn->streams, held_of(s));
    uint64_t limit = send_max > held_of(s) ? send_max - held_of(s) : 0;
    *why = BLOCKED_STREAM_CREDIT;
    if (connection < room) {
        room = connection;
        *why = BLOCKED_CONNECTION_CREDIT;
    }
    if (limit < room) {
        room = limit;
        *why = BLOCKED_SEND_LIMIT;
    }
    return room;
}

/* Bytes for which the lane has or may get a buffer. Rings double (ring.h), so half a doubling's
 * worth of budget is worth nothing. */
static uint64_t lane_fits(const struct stream *s, struct budget **tight)
{
    enum { RING_FIRST = 512, RING_LAST = 1 << 30 };
    uint64_t room = lane_send_room(&s->conn->streams->budget, tight);
    uint64_t capacity = s->out.ring.capacity, next = capacity == 0 ? RING_FIRST : 2 * capacity;
    for (; next <= RING_LAST && next - s->out.ring.capacity <= room; next *= 2) capacity = next;
    return capacity - held_of(s);
}

static uint64_t room_now(const struct stream *s, enum blocked_why *why)
{
    uint64_t room = writable(s, why), fits = lane_fits(s, NULL);
    if (fits >= room) return room;
    *why = BLOCKED_BUDGET;
    return fits;
}

static bool is_open(const struct stream *s)
{
    return s->has_out && s->out.state == SEND_OPEN && s->conn->state == CONN_UP;
}

uint64_t stream_writable(const struct stream *s)
{
    enum blocked_why why;
    return is_open(s) ? room_now(s, &why) : 0;
}

static int write_state(const struct stream *s)
{
    if (!s->has_out) return WEIR_E_ONE_WAY;
    if (s->conn->state != CONN_UP) return WEIR_E_NOT_CONNECTED;
    if (s->out.stopped) return WEIR_E_STOPPED;
    return s->out.state == SEND_OPEN ? 0 : WEIR_E_FINISHED;
}

static void refuse(struct stream *s, struct budget *tight)
{
    tight->refusals++;
    metric_inc(metrics_of(s), METRIC_LIMIT_REACHED);
    s->refusal = (struct limit_record){.scope = tight->scope,
                                       .name = tight->name,
                                       .side = LIMIT_SIDE_LOCAL,
                                       .used = tight->used,
                                       .max = tight->max,
                                       .owner = tight->owner};
}

/* Place up to take bytes: what the budget lets the lane hold.
 * @return bytes placed, or WEIR_E_MEMORY */
static int64_t place(struct stream *s, const void *data, uint64_t take, bool *refused)
{
    struct budget *budget = &s->conn->streams->budget, *tight = NULL;
    *refused = false;
    if (take > s->out.ring.capacity - held_of(s)) {
        uint64_t fits = lane_fits(s, &tight);
        if (fits < take) {
            streams_trim(s->conn); /* buffers of lanes that rest */
            fits = lane_fits(s, &tight);
        }
        if (fits < take) {
            *refused = true;
            refuse(s, tight);
            take = fits;
        }
    }
    if (take == 0) return 0;
    int error = send_lane_append(&s->out, data, (size_t)take, env_of(s)->mem, budget, NULL);
    WEIR_ASSERT(error != WEIR_E_BUDGET);
    return error != 0 ? error : (int64_t)take;
}

int64_t stream_write(struct stream *s, const void *data, size_t len, bool more, bool fin,
                     uint64_t now_us)
{
    int error = write_state(s);
    if (error != 0) return error;
    struct conn_streams *st = s->conn->streams;
    enum blocked_why why;
    bool refused, was_held = s->out.hold;
    uint64_t room = writable(s, &why);
    int64_t taken = place(s, data, len < room ? len : room, &refused);
    if (taken < 0) return taken;
    st->send_used += (uint64_t)taken;
    metric_add(env_of(s)->metrics, METRIC_STREAM_BYTES_WRITTEN, (uint64_t)taken);
    if (len == 0 && !fin) {
        /* Says only that more follows, or that nothing does. */
        s->out.hold = more && s->blocked.why == BLOCKED_NOT;
        if (was_held && !s->out.hold) changed(s, STREAM_WROTE, now_us);
        return 0;
    }
    s->out.hold = more && !fin;
    s->pending = (uint8_t)(s->pending & ~STREAM_PENDING_WRITABLE); /* acted upon */
    /* Who gets nothing again has waited since the first time. */
    if (taken > 0 || len == 0) unblock(s, now_us);
    if ((uint64_t)taken < len) {
        block(s, refused ? BLOCKED_BUDGET : why, len - (uint64_t)taken, now_us);
    } else if (fin) {
        s->out.state = SEND_FINISHED;
    }
    if ((taken > 0 || fin) && !list_is_linked(&s->touched_link))
        list_push_back(&st->touched, &s->touched_link);
    /* Bytes that were held and are not any more leave at this turn: they may be all the credit that
     * there is, and then none comes before they were consumed. */
    if (taken > 0 || fin || was_held) changed(s, STREAM_WROTE, now_us);
    return taken;
}

void stream_await(struct stream *s, size_t len, uint64_t now_us)
{
    enum blocked_why why;
    if (!is_open(s)) return;
    if (room_now(s, &why) >= len) {
        s->tell_acked = true;
        return;
    }
    block(s, why, len, now_us);
    s->blocked.whole = true;
}

void stream_release(struct stream *s, uint64_t now_us)
{
    if (!s->has_out || s->conn->state != CONN_UP) return;
    send_lane_release(&s->out);
    list_remove(&s->touched_link);
    stream_schedule(s);
    changed(s, STREAM_WROTE, now_us);
}

/* What a read answers when there are no bytes. */
static int64_t read_state(const struct stream *s)
{
    if (!s->has_in) return WEIR_E_ONE_WAY;
    if (s->in.was_reset) return WEIR_E_RESET;
    if (s->in.stopped) return WEIR_E_STOPPED;
    if (s->in.state == RECEIVE_OVER || receive_lane_at_end(&s->in)) return WEIR_E_END;
    return s->conn->state == CONN_UP ? 0 : WEIR_E_NOT_CONNECTED;
}

int64_t stream_peek(struct stream *s, const uint8_t **data)
{
    *data = NULL;
    uint64_t readable = s->has_in ? receive_lane_readable(&s->in) : 0;
    s->told_readable = false;
    if (readable == 0) return read_state(s);
    return (int64_t)ring_view(&s->in.ring, s->in.ring.base, (size_t)readable, data);
}

static void consumed(struct stream *s, uint64_t n, uint64_t now_us)
{
    struct conn_streams *st = s->conn->streams;
    receive_lane_consume(&s->in, n, env_of(s)->mem, &st->budget);
    st->receive_consumed += n;
    metric_add(metrics_of(s), METRIC_STREAM_BYTES_READ, n);
    if (receive_lane_at_end(&s->in)) stream_receive_over(s);
    changed(s, STREAM_CONSUMED, now_us);
    stream_check_over(s);
}

void stream_receive_over(struct stream *s)
{
    s->in.state = RECEIVE_OVER;
    receive_lane_free(&s->in, env_of(s)->mem, &s->conn->streams->budget);
}

static void tell_rest(struct stream *s)
{
    s->told_readable = false;
    if (receive_lane_readable(&s->in) > 0) stream_mark(s, STREAM_PENDING_READABLE);
}

int64_t stream_consume(struct stream *s, uint64_t n, uint64_t now_us)
{
    if (!s->has_in) return WEIR_E_ONE_WAY;
    if (n > receive_lane_readable(&s->in)) return WEIR_E_ARGUMENT;
    if (n > 0) consumed(s, n, now_us);
    tell_rest(s);
    return 0;
}

int64_t stream_read(struct stream *s, void *out, size_t cap, uint64_t now_us)
{
    uint64_t n = s->has_in ? receive_lane_readable(&s->in) : 0;
    if (n == 0) {
        s->told_readable = false;
        return read_state(s);
    }
    if (n > cap) n = cap;
    ring_read(&s->in.ring, s->in.ring.base, out, (size_t)n);
    if (n > 0) consumed(s, n, now_us);
    tell_rest(s);
    return (int64_t)n;
}

int stream_reset(struct stream *s, uint32_t code, uint64_t now_us)
{
    if (!s->has_out) return WEIR_E_ONE_WAY;
    struct conn_streams *st = s->conn->streams;
    if (!send_lane_reset(&s->out, code, env_of(s)->mem, &st->budget)) return 0;
    /* The final size is what was sent (RFC 9000 4.5): the rest never counts at the peer, so its
     * credit comes back. */
    st->send_used -= s->out.written - s->out.sent;
    metric_inc(metrics_of(s), METRIC_STREAMS_RESET_LOCAL);
    unblock(s, now_us);
    list_remove(&s->touched_link);
    stream_schedule(s);
    changed(s, STREAM_RESET_SENT, now_us);
    streams_recheck(s->conn, now_us);
    return 0;
}

int stream_stop(struct stream *s, uint32_t code, uint64_t now_us)
{
    if (!s->has_in) return WEIR_E_ONE_WAY;
    struct conn_streams *st = s->conn->streams;
    if (s->in.stopped || s->in.state >= RECEIVE_RESET) return 0;
    st->receive_consumed += receive_lane_stop(&s->in, code, env_of(s)->mem, &st->budget);
    if (s->in.state == RECEIVE_SIZED) s->in.state = RECEIVE_OVER;
    stream_schedule(s);
    changed(s, STREAM_STOP_SENT | STREAM_CONSUMED, now_us);
    stream_check_over(s);
    return 0;
}

int stream_set_urgency(struct stream *s, uint8_t urgency, uint64_t now_us)
{
    if (urgency >= SCHED_URGENCIES) return WEIR_E_ARGUMENT;
    bool queued = list_is_linked(&s->ready_link);
    if (queued) sched_remove(&s->conn->streams->sched, &s->ready_link, s->urgency);
    s->urgency = urgency;
    if (queued) sched_add(&s->conn->streams->sched, &s->ready_link, urgency);
    changed(s, STREAM_URGENCY, now_us);
    return 0;
}

void stream_check_writable(struct stream *s, uint64_t now_us)
{
    if (s->blocked.why == BLOCKED_NOT || !is_open(s)) return;
    enum blocked_why why;
    uint64_t room = room_now(s, &why), enough = 1;
    /* Credit comes in steps that the peer chose: any of it is worth a turn. Our own buffer drains
     * by the packet, so wait for a good part of it, as long as there is something left to drain. */
    if (s->blocked.whole) {
        enough = s->blocked.wanted;
    } else if (why >= BLOCKED_BUDGET && held_of(s) > 0) {
        enough =
            why == BLOCKED_BUDGET ? WAKE_BYTES : env_of(s)->limits->value[LIMIT_STREAM_SEND] / 4;
        if (s->blocked.wanted < enough) enough = s->blocked.wanted;
    }
    if (room == 0 || room < enough) {
        set_why(s, why); /* what it waits for now may be another thing than at first */
        return;
    }
    unblock(s, now_us);
    stream_mark(s, STREAM_PENDING_WRITABLE);
}

void stream_check_over(struct stream *s)
{
    bool out_over = !s->has_out || s->out.state == SEND_OVER;
    bool in_over = !s->has_in || s->in.state == RECEIVE_OVER;
    if (out_over && in_over) stream_mark(s, STREAM_PENDING_OVER);
}

void stream_forget_block(struct stream *s, uint64_t now_us)
{
    unblock(s, now_us);
}
