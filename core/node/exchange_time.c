/* SPDX-License-Identifier: MIT */
/* An exchange has one timer for two things: its deadline, and the least progress of the peer.
 *
 * Progress is asked for only while it is the peer's turn to send or to take; what the application
 * takes for itself is added to the window, so that neither is blamed for the other. The timer is
 * not moved when turns change: it fires at least once in progress_us and then finds out when to
 * fire next, so a byte that moves costs nothing here. */
#include "node/exchange.h"

/* Until when something is due at all. */
static bool has_deadline(const struct exchange *x)
{
    return x->kind == REQUEST_IN || (x->kind != MESSAGE_OUT && !x->whole);
}

static bool is_peers_turn(const struct exchange *x)
{
    const struct stream *s = x->stream;
    if (s == NULL || x->kind == MESSAGE_OUT) return false;
    bool is_read = !x->chunked || receive_lane_readable(&s->in) == 0;
    bool sends = !x->whole && is_read && !s->in.stopped;
    if (x->kind == REQUEST_OUT) return sends && x->answered;
    if (!x->whole || x->kind == MESSAGE_IN) return sends;
    return s->out.state == SEND_FINISHED || s->blocked.on == BLOCKED_ON_PEER;
}

/* What came and, where that counts, what was taken. A request that is served is one after the
 * other: first it comes, then its response is taken. */
static uint64_t moved(const struct exchange *x)
{
    const struct stream *s = x->stream;
    if (s == NULL) return 0;
    if (x->kind == REQUEST_OUT) return s->in.highest + s->out.ring.base;
    return x->whole ? s->out.ring.base : s->in.highest;
}

void exchange_look(struct node *node, struct exchange *x)
{
    bool turn = is_peers_turn(x);
    if (turn == x->is_demanding) return;
    x->is_demanding = turn;
    if (!turn) {
        x->paused_us = node->now_us;
    } else if (x->window_us == 0) {
        x->window_us = node->now_us;
        x->window_moved = moved(x);
    } else {
        x->window_us += node->now_us - x->paused_us;
    }
}

static uint64_t after(uint64_t now_us, uint64_t span_us)
{
    return span_us > UINT64_MAX - now_us ? UINT64_MAX : now_us + span_us;
}

bool exchange_arm(struct node *node, struct exchange *x)
{
    uint64_t from = x->is_demanding ? x->window_us : node->now_us;
    uint64_t when = after(from, x->progress_us);
    if (!has_deadline(x)) {
        /* Only the application is waited for, or nobody. */
        if (!x->is_demanding) when = UINT64_MAX;
    } else if (x->deadline_us < when) {
        when = x->deadline_us;
    }
    return owner_set_timer(node, &x->owner, when <= node->now_us ? node->now_us + 1 : when);
}

static bool is_too_slow(struct node *node, struct exchange *x)
{
    bool was = x->is_demanding;
    exchange_look(node, x);
    if (!was || !x->is_demanding || x->progress_us > node->now_us - x->window_us) return false;
    if (moved(x) - x->window_moved < x->progress_bytes) return true;
    x->window_us = node->now_us;
    x->window_moved = moved(x);
    return false;
}

void exchange_on_time(struct node *node, struct owner *o)
{
    struct exchange *x = exchange_of(o);
    if (has_deadline(x) && node->now_us >= x->deadline_us) {
        exchange_fail(node, x, WEIR_E_TIMEOUT, WEIR_REASON_DEADLINE);
    } else if (is_too_slow(node, x)) {
        exchange_fail(node, x, WEIR_E_TIMEOUT, WEIR_REASON_TOO_SLOW);
    } else if (!exchange_arm(node, x)) {
        exchange_fail(node, x, WEIR_E_MEMORY, WEIR_REASON_LIMIT);
    }
}
