/* SPDX-License-Identifier: MIT */
/* What every controller shares: slow start, and one reduction per round trip.
 *
 *  A congestion event opens a recovery period that lasts until a packet sent after it is
 *  acknowledged. Losses of packets sent before its start are the same event seen again and
 *  change nothing; acks of such packets do not grow the window. The state before the reduction
 *  is kept until the next event: if every packet whose loss caused it arrives after all, the
 *  path only reordered or stalled, and the reduction is taken back.
 *
 *  Growth needs proof that the window was the limit. The proof is the connection's word about
 *  its last sending turn (congestion_set_app_limited), not a flag on each packet: when a packet
 *  of a burst is built, nobody knows yet whether the burst will end at the window. */
#include "quic/congestion.h"
#include "base/assert.h"
#include "weir.h"

#define CONGESTION_INITIAL_DATAGRAMS 10u
#define CONGESTION_INITIAL_BYTES 14720u
#define CONGESTION_MINIMUM_DATAGRAMS 2u

uint64_t congestion_initial_window(uint32_t datagram_bytes)
{
    uint64_t floor_bytes = (uint64_t)CONGESTION_MINIMUM_DATAGRAMS * datagram_bytes;
    uint64_t cap_bytes =
        floor_bytes > CONGESTION_INITIAL_BYTES ? floor_bytes : CONGESTION_INITIAL_BYTES;
    uint64_t window_bytes = (uint64_t)CONGESTION_INITIAL_DATAGRAMS * datagram_bytes;

    return window_bytes < cap_bytes ? window_bytes : cap_bytes;
}

uint64_t congestion_minimum_window(const struct congestion *c)
{
    return (uint64_t)CONGESTION_MINIMUM_DATAGRAMS * c->datagram_bytes;
}

static void congestion_clear(struct congestion *c, const struct congestion_ops *ops,
                             uint32_t datagram_bytes)
{
    WEIR_ASSERT(datagram_bytes > 0 && datagram_bytes <= UINT16_MAX);
    *c = (struct congestion){.ops = ops,
                             .datagram_bytes = datagram_bytes,
                             .window_bytes = congestion_initial_window(datagram_bytes),
                             .threshold_bytes = UINT64_MAX};
    hystart_init(&c->hystart);
}

void congestion_init(struct congestion *c, const struct congestion_ops *ops,
                     uint32_t datagram_bytes)
{
    WEIR_ASSERT(ops->state_bytes == 0);
    congestion_clear(c, ops, datagram_bytes);
    ops->init(c, 0, 0);
}

int congestion_open(struct congestion *c, const struct congestion_ops *ops, uint32_t datagram_bytes,
                    const struct mem *mem, struct budget *budget, uint64_t seed, uint64_t now_us,
                    struct limit_record *limit)
{
    congestion_clear(c, ops, datagram_bytes);
    if (ops->state_bytes > 0) {
        if (budget != NULL && !budget_charge(budget, ops->state_bytes, limit)) {
            return WEIR_E_BUDGET;
        }
        c->of.bbr = mem_alloc(mem, ops->state_bytes);
        if (c->of.bbr == NULL) {
            if (budget != NULL) {
                budget_refund(budget, ops->state_bytes);
            }
            return WEIR_E_MEMORY;
        }
    }
    ops->init(c, now_us, seed);
    return 0;
}

void congestion_close(struct congestion *c, const struct mem *mem, struct budget *budget)
{
    if (c->ops == NULL || c->ops->state_bytes == 0 || c->of.bbr == NULL) {
        return;
    }
    mem_free(mem, c->of.bbr, c->ops->state_bytes);
    if (budget != NULL) {
        budget_refund(budget, c->ops->state_bytes);
    }
    c->of.bbr = NULL;
    c->delivery = NULL;
}

void congestion_reset(struct congestion *c, uint32_t datagram_bytes, uint64_t now_us)
{
    struct congestion old = *c;

    congestion_clear(c, old.ops, datagram_bytes);
    c->events = old.events;
    c->persistent_events = old.persistent_events;
    c->spurious_events = old.spurious_events;
    c->mark_events = old.mark_events;
    if (c->ops->state_bytes > 0) {
        c->of.bbr = old.of.bbr;
    }
    /* Some number that differs from reset to reset; probing must not be predictable by rule. */
    c->ops->init(c, now_us, now_us ^ old.window_bytes);
}

bool congestion_is_slow_start(const struct congestion *c)
{
    return c->window_bytes < c->threshold_bytes;
}

bool congestion_is_in_recovery(const struct congestion *c, uint64_t sent_us)
{
    return c->recovered && sent_us <= c->recovery_us;
}

void congestion_set_app_limited(struct congestion *c, bool app_limited)
{
    c->app_limited = app_limited;
}

void congestion_on_sent(struct congestion *c, uint64_t now_us, uint64_t bytes,
                        uint64_t in_flight_bytes)
{
    if (c->delivery != NULL && c->app_limited) {
        delivery_on_app_limited(c->delivery, in_flight_bytes);
    }
    if (c->ops->on_sent != NULL) {
        c->ops->on_sent(c, now_us, bytes, in_flight_bytes);
    }
}

static void congestion_grow_slow_start(struct congestion *c, const struct congestion_ack *ack)
{
    bool first = c->hystart.phase != HYSTART_DONE;
    uint64_t bytes = c->app_limited ? 0 : ack->bytes;
    uint64_t sample_us = ack->rtt_sampled ? ack->rtt->latest_us : 0;

    c->window_bytes += hystart_on_ack(&c->hystart, ack->now_us, ack->sent_us, sample_us, bytes);
    if (first && c->hystart.phase == HYSTART_DONE) {
        c->threshold_bytes = c->window_bytes;
    }
}

static void congestion_model_acked(struct congestion *c, const struct congestion_ack *ack)
{
    if (ack->bytes_all == 0) {
        return;
    }
    c->ops->on_acked(c, ack);
    if (c->window_bytes > CONGESTION_WINDOW_MAX) {
        c->window_bytes = CONGESTION_WINDOW_MAX;
    }
}

void congestion_on_acked(struct congestion *c, const struct congestion_ack *ack)
{
    if (c->ops->models_path) {
        congestion_model_acked(c, ack);
        return;
    }
    if (ack->bytes == 0 || congestion_is_in_recovery(c, ack->sent_us)) {
        return;
    }
    /* RFC 9002 7.8: less than half of the window was in use, whatever the sender said of its last
     * turn: flow control or the application was the limit, and a window that nobody needed has not
     * been tried. */
    bool said = c->app_limited;
    if (2 * (ack->in_flight_bytes + ack->bytes_all) < c->window_bytes) {
        c->app_limited = true;
    }
    if (congestion_is_slow_start(c)) {
        congestion_grow_slow_start(c, ack);
    } else {
        c->ops->on_acked(c, ack);
    }
    c->app_limited = said;
    if (c->window_bytes > CONGESTION_WINDOW_MAX) {
        c->window_bytes = CONGESTION_WINDOW_MAX;
    }
}

bool congestion_on_event(struct congestion *c, uint64_t sent_us, uint64_t now_us)
{
    if (congestion_is_in_recovery(c, sent_us)) {
        return false;
    }
    c->undo_hold = c->undo_hold && c->undo_valid;
    if (!c->undo_hold) {
        c->undo_window_bytes = c->window_bytes;
        c->undo_threshold_bytes = c->threshold_bytes;
    }
    c->undo_valid = true;
    c->recovered = true;
    c->recovery_us = now_us;
    c->events++;
    hystart_end(&c->hystart);
    c->ops->on_event(c, now_us);
    WEIR_ASSERT(c->window_bytes >= congestion_minimum_window(c));
    return true;
}

void congestion_return(struct congestion *c, uint64_t now_us)
{
    uint64_t window_bytes = c->window_bytes,
             first_bytes = congestion_initial_window(c->datagram_bytes);

    congestion_reset(c, c->datagram_bytes, now_us);
    if (!c->ops->models_path && window_bytes > first_bytes) {
        c->threshold_bytes = window_bytes;
    }
}

void congestion_on_lost(struct congestion *c, const struct congestion_lost *lost)
{
    if (c->ops->on_lost != NULL) {
        c->ops->on_lost(c, lost);
    }
}

bool congestion_on_mark(struct congestion *c, uint64_t sent_us, uint64_t now_us)
{
    bool began;

    c->undo_hold = false;
    if (c->ops->on_mark == NULL) {
        began = congestion_on_event(c, sent_us, now_us);
    } else {
        began = !congestion_is_in_recovery(c, sent_us);
        if (began) {
            c->recovered = true;
            c->recovery_us = now_us;
            c->events++;
            c->ops->on_mark(c, now_us);
        }
    }
    /* A mark is a router's word. That a loss of the same round was none does not unsay it. */
    c->undo_valid = false;
    c->mark_events += began;
    return began;
}

void congestion_on_persistent(struct congestion *c)
{
    c->persistent_events++;
    c->window_bytes = congestion_minimum_window(c);
    /* RFC 9002 B.8: recovery ends, so that the window can grow with the next ack. */
    c->recovered = false;
    c->undo_valid = false;
    hystart_end(&c->hystart);
    c->ops->on_persistent(c);
}

void congestion_on_spurious(struct congestion *c)
{
    if (!c->undo_valid) {
        return;
    }
    c->undo_valid = false;
    c->recovered = false;
    c->spurious_events++;
    if (c->ops->models_path) {
        c->ops->on_spurious(c);
        return;
    }
    if (c->window_bytes >= c->undo_window_bytes) {
        return;
    }
    c->window_bytes = c->undo_window_bytes;
    c->threshold_bytes = c->undo_threshold_bytes;
    if (c->ops->on_spurious != NULL) {
        c->ops->on_spurious(c);
    }
}

void congestion_on_datagram_size(struct congestion *c, uint32_t datagram_bytes)
{
    bool untouched = c->window_bytes == congestion_initial_window(c->datagram_bytes) &&
                     c->threshold_bytes == UINT64_MAX;
    bool smaller = datagram_bytes < c->datagram_bytes;

    WEIR_ASSERT(datagram_bytes > 0 && datagram_bytes <= UINT16_MAX);
    c->datagram_bytes = datagram_bytes;
    /* RFC 9002 7.2: a path that turned out narrower is a new path as far as the window is
     *  concerned. One that carries more is the same: what a false alarm took is still given
     *  back. */
    c->undo_valid = c->undo_valid && !smaller;
    if (untouched || (smaller && c->window_bytes > congestion_initial_window(datagram_bytes))) {
        c->window_bytes = congestion_initial_window(datagram_bytes);
    }
    if (c->window_bytes < congestion_minimum_window(c)) {
        c->window_bytes = congestion_minimum_window(c);
    }
}

void congestion_pace(const struct congestion *c, struct pacer *p, uint64_t now_us,
                     uint64_t smoothed_us)
{
    if (c->pacing_bytes_per_s > 0) {
        pacer_set_own_rate(p, now_us, c->pacing_bytes_per_s, c->datagram_bytes);
    } else {
        pacer_set_rate(p, now_us, c->window_bytes, smoothed_us, congestion_is_slow_start(c),
                       c->datagram_bytes);
    }
}
