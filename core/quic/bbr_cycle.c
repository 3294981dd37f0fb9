/* SPDX-License-Identifier: MIT */
/* BBR's states: start, drain, and then for ever down, cruise, refill, up, with a look at the bare
 * round trip every 5 s.
 *
 * Up ends by one of three: the rate no longer grows, too much is lost, or, when the last probe
 * lost too much, as soon as that level is reached again: then the probe is cautious, and only
 * when its whole feedback was clean does the next one go further, at once.
 *
 * How long to cruise is drawn between 2 and 3 s, so that flows do not probe in step, and is cut
 * short after as many rounds as Reno would need to win a loss back (63 at most), so that Reno and
 * CUBIC beside it keep their share. */
#include "base/assert.h"
#include "quic/bbr.h"

static bool bbr_is_cycling(const struct bbr *b)
{
    return b->state == BBR_DOWN || b->state == BBR_CRUISE || b->state == BBR_REFILL ||
           b->state == BBR_UP;
}

void bbr_enter_startup(struct congestion *c)
{
    bbr_set_state(c, BBR_STARTUP);
}

static void bbr_enter_drain(struct congestion *c)
{
    bbr_set_state(c, BBR_DRAIN);
    c->of.bbr->drain_round = c->of.bbr->rounds;
}

static void bbr_start_down(struct congestion *c, uint64_t now_us)
{
    struct bbr *b = c->of.bbr;

    bbr_reset_congestion(b);
    b->up_step = BBR_NONE;
    b->probe_rounds = rng_below(&b->rng, 2);
    b->wait_us = BBR_PROBE_WAIT_US + rng_below(&b->rng, BBR_PROBE_WAIT_US / 2);
    b->cycle_us = now_us;
    b->acks = BBR_ACKS_STOPPING;
    bbr_start_round(b);
    bbr_set_state(c, BBR_DOWN);
}

void bbr_start_refill(struct congestion *c)
{
    struct bbr *b = c->of.bbr;

    bbr_reset_short(b);
    b->up_rounds = 0;
    b->up_acked = 0;
    b->cautious = false;
    b->acks = BBR_ACKS_REFILLING;
    bbr_start_round(b);
    bbr_set_state(c, BBR_REFILL);
}

/* inflight_long grows by 1, 2, 4 ... datagrams per round. */
static void bbr_raise_slope(struct congestion *c)
{
    struct bbr *b = c->of.bbr;
    uint64_t step = c->window_bytes >> b->up_rounds;

    b->up_rounds = b->up_rounds < 30 ? b->up_rounds + 1 : 30;
    b->up_step = step > c->datagram_bytes ? step : c->datagram_bytes;
}

static void bbr_start_up(struct congestion *c)
{
    struct bbr *b = c->of.bbr;

    b->probe_sample = true;
    b->acks = BBR_ACKS_STARTING;
    bbr_start_round(b);
    bbr_reset_full(b);
    b->rate_full = b->delivery.sample.bytes_per_s;
    bbr_set_state(c, BBR_UP);
    bbr_raise_slope(c);
}

void bbr_on_too_high(struct congestion *c, uint64_t in_flight_bytes, bool app_limited,
                     uint64_t now_us)
{
    struct bbr *b = c->of.bbr;
    uint64_t floor_bytes = bbr_target(c) * BBR_BETA / 100;

    b->too_high = true;
    b->probe_sample = false;
    if (!app_limited) {
        b->inflight_long = in_flight_bytes > floor_bytes ? in_flight_bytes : floor_bytes;
    }
    if (b->state == BBR_UP) {
        b->undo_state = BBR_UP;
        bbr_start_down(c, now_us);
    }
}

/* The start ends by a full pipe, by loss, or by marks in two rounds. */
static void bbr_check_start_loss(struct congestion *c)
{
    struct bbr *b = c->of.bbr;
    const struct delivery_sample *s = &b->delivery.sample;
    uint64_t pipe_bytes;
    bool lossy = b->lost_gaps >= BBR_STARTUP_LOSSES && b->loss_in_round &&
                 bbr_is_too_much(s->lost_bytes, s->in_flight_bytes);

    if (b->state != BBR_STARTUP || !b->loss_round_start ||
        (!lossy && b->marked_rounds < BBR_STARTUP_MARKED_ROUNDS)) {
        return;
    }
    pipe_bytes = bbr_pipe(c, bbr_rate_max(b), 100);
    b->undo_state = BBR_STARTUP;
    b->full_reached = true;
    b->inflight_long = pipe_bytes > b->inflight_latest ? pipe_bytes : b->inflight_latest;
}

void bbr_check_start(struct congestion *c, const struct congestion_ack *ack)
{
    struct bbr *b = c->of.bbr;

    bbr_check_start_loss(c);
    if (b->state == BBR_STARTUP && b->full_reached) {
        bbr_enter_drain(c);
    }
    if (b->state == BBR_DRAIN && (ack->in_flight_bytes <= bbr_inflight(c, bbr_rate_max(b), 100) ||
                                  b->rounds > b->drain_round + BBR_DRAIN_ROUNDS)) {
        bbr_start_down(c, ack->now_us);
    }
}

static void bbr_grow_long(struct congestion *c, const struct congestion_ack *ack)
{
    struct bbr *b = c->of.bbr;
    uint64_t steps;

    if (!bbr_is_window_limited(b) || c->window_bytes < b->inflight_long) {
        return;
    }
    WEIR_ASSERT(b->up_step > 0);
    b->up_acked += ack->bytes_all;
    steps = b->up_acked / b->up_step;
    b->up_acked -= steps * b->up_step;
    b->inflight_long += steps * c->datagram_bytes;
    if (b->round_start) {
        bbr_raise_slope(c);
    }
}

/* @return a state was entered */
static bool bbr_adapt_long(struct congestion *c, const struct congestion_ack *ack)
{
    struct bbr *b = c->of.bbr;
    const struct delivery_sample *s = &b->delivery.sample;

    if (b->acks == BBR_ACKS_STARTING && b->round_start) {
        b->acks = BBR_ACKS_FEEDBACK;
    }
    if (b->acks == BBR_ACKS_STOPPING && b->round_start) {
        b->probe_sample = false;
        b->acks = BBR_ACKS_QUIET;
        if (bbr_is_cycling(b) && !s->app_limited) {
            bbr_advance_rate_max(b);
        }
        if (bbr_is_cycling(b) && b->cautious && !b->too_high) {
            bbr_start_refill(c);
            return true;
        }
    }
    if (s->any && b->inflight_long != BBR_NONE &&
        !bbr_is_too_much(s->lost_bytes, s->in_flight_bytes)) {
        if (s->in_flight_bytes > b->inflight_long) {
            b->inflight_long = s->in_flight_bytes;
        }
        if (b->state == BBR_UP) {
            bbr_grow_long(c, ack);
        }
    }
    return false;
}

static bool bbr_is_time_to_probe(const struct congestion *c, uint64_t now_us)
{
    const struct bbr *b = c->of.bbr;
    uint64_t rounds = bbr_target(c) / c->datagram_bytes;

    rounds = rounds < BBR_RENO_ROUNDS_MAX ? rounds : BBR_RENO_ROUNDS_MAX;
    return now_us > b->cycle_us + b->wait_us || b->probe_rounds >= rounds;
}

static bool bbr_is_time_to_cruise(const struct congestion *c, uint64_t in_flight_bytes)
{
    return in_flight_bytes <= bbr_headroom(c) &&
           in_flight_bytes <= bbr_inflight(c, bbr_rate_max(c->of.bbr), 100);
}

static bool bbr_is_time_to_go_down(struct congestion *c, uint64_t in_flight_bytes)
{
    struct bbr *b = c->of.bbr;

    if (b->too_high && in_flight_bytes >= b->inflight_long) {
        b->cautious = true;
        return true;
    }
    if (bbr_is_window_limited(b) && c->window_bytes >= b->inflight_long) {
        /* The bound, not the path, keeps the rate where it is. */
        bbr_reset_full(b);
        b->rate_full = b->delivery.sample.bytes_per_s;
        return false;
    }
    return b->full_now;
}

void bbr_cycle(struct congestion *c, const struct congestion_ack *ack)
{
    struct bbr *b = c->of.bbr;

    if (!b->full_reached || bbr_adapt_long(c, ack) || !bbr_is_cycling(b)) {
        return;
    }
    switch (b->state) {
    case BBR_DOWN:
        if (bbr_is_time_to_probe(c, ack->now_us)) {
            bbr_start_refill(c);
        } else if (bbr_is_time_to_cruise(c, ack->in_flight_bytes)) {
            bbr_set_state(c, BBR_CRUISE);
        }
        break;
    case BBR_CRUISE:
        if (bbr_is_time_to_probe(c, ack->now_us)) {
            bbr_start_refill(c);
        }
        break;
    case BBR_REFILL:
        if (b->round_start) {
            bbr_start_up(c);
        }
        break;
    default:
        if (bbr_is_time_to_go_down(c, ack->in_flight_bytes)) {
            b->too_high = false;
            bbr_start_down(c, ack->now_us);
        }
        break;
    }
}

uint64_t bbr_probe_rtt_window(const struct congestion *c)
{
    uint64_t bytes = bbr_pipe(c, c->of.bbr->rate, BBR_PROBE_RTT_GAIN);

    return bytes > bbr_minimum(c) ? bytes : bbr_minimum(c);
}

void bbr_end_probe_rtt(struct congestion *c, uint64_t now_us)
{
    struct bbr *b = c->of.bbr;

    if (b->probe_rtt_done_us == 0 || now_us <= b->probe_rtt_done_us) {
        return;
    }
    b->probe_rtt_at_us = now_us;
    c->window_bytes = c->window_bytes > b->prior_window ? c->window_bytes : b->prior_window;
    bbr_reset_short(b);
    if (b->full_reached) {
        bbr_start_down(c, now_us);
        bbr_set_state(c, BBR_CRUISE);
    } else {
        bbr_enter_startup(c);
    }
}

void bbr_check_probe_rtt(struct congestion *c, const struct congestion_ack *ack)
{
    struct bbr *b = c->of.bbr;

    if (b->state != BBR_PROBE_RTT && b->probe_rtt_expired && !b->idle_restart) {
        bbr_set_state(c, BBR_PROBE_RTT);
        b->prior_window = c->window_bytes;
        b->probe_rtt_done_us = 0;
        b->acks = BBR_ACKS_STOPPING;
        bbr_start_round(b);
    }
    if (b->state == BBR_PROBE_RTT) {
        /* The rates of this time are our own doing. */
        delivery_on_app_limited(&b->delivery, ack->in_flight_bytes);
        if (b->probe_rtt_done_us != 0) {
            b->probe_rtt_round |= b->round_start;
            if (b->probe_rtt_round) {
                bbr_end_probe_rtt(c, ack->now_us);
            }
        } else if (ack->in_flight_bytes <= bbr_probe_rtt_window(c)) {
            b->probe_rtt_done_us = ack->now_us + BBR_PROBE_RTT_TIME_US;
            b->probe_rtt_round = false;
            bbr_start_round(b);
        }
    }
    if (b->delivery.sample.delivered_bytes > 0) {
        b->idle_restart = false;
    }
}
