/* SPDX-License-Identifier: MIT */
/* BBR version 3 (draft-ietf-ccwg-bbr): a window and a rate from a model of the path.
 *
 * The model is two numbers: the rate at which the path delivers (the largest delivery rate of the
 * last two probing cycles) and its round trip when no queue stands (the smallest of 10 s). Their
 * product is what the pipe holds. Sending at that rate with about so much in flight fills the
 * path and leaves the queue empty; a loss by itself means nothing. Since the path changes, the
 * controller keeps testing it, in cycles of 2 to 3 seconds: refill the pipe for a round, send a
 * quarter faster until the rate stops growing or too much is lost, drain, cruise; and every 5 s it
 * halves what is in flight for 200 ms to see the round trip without its own queue.
 *
 * What loss and marks do say is bounded: while probing, more than 2 % of loss (or a mark) sets
 * inflight_long to what was in flight then; otherwise they pull rate_short and inflight_short
 * down to what is being delivered, until the next probe.
 *
 * Where this differs from the draft, and why:
 *   - outside of probes, less than 2 % of loss in a round does not pull the short-term bounds down.
 *     With 1 % of random loss each round has some; the draft's rule then gives up one or two
 *     percent of the rate per round, which is half of it over the 63 rounds between two probes.
 *   - all of a round's losses are needed to leave the start: 6 gaps and 2 % in one round trip.
 *   - the window is not cut to one packet by a PTO, only by persistent congestion.
 *
 * Everything is in whole numbers: rates in bytes per second up to 10^11, gains in hundredths, so
 * products with a round trip in microseconds stay below 2^63 (round trips count up to 60 s).
 * When to probe is random, from a seed given at opening. */
#include "quic/bbr.h"
#include "base/assert.h"

#define BBR_SECOND_US 1000000u
#define BBR_RTT_MAX_US 60000000u
#define BBR_MARGIN 99u /* pace 1 % below the rate, so that a queue that stands drains */
#define BBR_QUANTUM_PER_SECOND 500u
#define BBR_QUANTUM_MAX 65536u

static uint64_t bbr_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t bbr_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t bbr_minimum(const struct congestion *c)
{
    return (uint64_t)BBR_WINDOW_MIN_DATAGRAMS * c->datagram_bytes;
}

uint64_t bbr_rate_max(const struct bbr *b)
{
    return bbr_max(b->rate_max[0], b->rate_max[1]);
}

uint64_t bbr_pipe(const struct congestion *c, uint64_t rate, uint32_t gain)
{
    uint64_t rtt_us = c->of.bbr->min_rtt_us;

    if (rtt_us == BBR_NONE || rate == 0) {
        return congestion_initial_window(c->datagram_bytes) * gain / 100;
    }
    WEIR_ASSERT(rate <= DELIVERY_RATE_MAX);
    return rate * bbr_min(rtt_us, BBR_RTT_MAX_US) / BBR_SECOND_US * gain / 100;
}

/* A burst that leaves at once, and one that waits for its ack, must fit beside a full pipe. */
static uint64_t bbr_quantize(const struct congestion *c, uint64_t bytes)
{
    uint64_t quantum = bbr_min(c->pacing_bytes_per_s / BBR_QUANTUM_PER_SECOND, BBR_QUANTUM_MAX);

    bytes = bbr_max(bytes, quantum);
    bytes = bbr_max(bytes, bbr_minimum(c));
    return c->of.bbr->state == BBR_UP ? bytes + 2 * (uint64_t)c->datagram_bytes : bytes;
}

uint64_t bbr_inflight(const struct congestion *c, uint64_t rate, uint32_t gain)
{
    return bbr_quantize(c, bbr_pipe(c, rate, gain));
}

uint64_t bbr_target(const struct congestion *c)
{
    return bbr_min(bbr_pipe(c, c->of.bbr->rate, 100), c->window_bytes);
}

uint64_t bbr_headroom(const struct congestion *c)
{
    uint64_t bound = c->of.bbr->inflight_long, room;

    if (bound == BBR_NONE) {
        return BBR_NONE;
    }
    room = bbr_max(bound * BBR_HEADROOM / 100, c->datagram_bytes);
    return bbr_max(bound > room ? bound - room : 0, bbr_minimum(c));
}

bool bbr_is_window_limited(const struct bbr *b)
{
    return b->limited_now || b->limited_before;
}

void bbr_pace(struct congestion *c, uint32_t gain)
{
    struct bbr *b = c->of.bbr;
    uint64_t rate = b->rate / 100 * gain / 100 * BBR_MARGIN;

    if (b->rate == 0) {
        return;
    }
    rate = bbr_max(rate, 1);
    /* While the pipe is not full, a low sample must not slow the search for it down. */
    if (b->full_reached || rate > c->pacing_bytes_per_s) {
        c->pacing_bytes_per_s = rate;
    }
}

/* The first round trip turns the initial window into a rate. */
static void bbr_pace_first(struct congestion *c, const struct congestion_ack *ack)
{
    struct bbr *b = c->of.bbr;

    if (b->seen_rtt || !rtt_is_sampled(ack->rtt)) {
        return;
    }
    b->seen_rtt = true;
    c->pacing_bytes_per_s = bbr_max(
        c->window_bytes * BBR_SECOND_US / ack->rtt->smoothed_us * BBR_STARTUP_PACING / 100, 1);
}

void bbr_set_state(struct congestion *c, enum bbr_state state)
{
    static const struct {
        uint32_t pacing, window;
    } gains[] = {
        [BBR_STARTUP] = {BBR_STARTUP_PACING, BBR_WINDOW_GAIN},
        [BBR_DRAIN] = {BBR_DRAIN_PACING, BBR_WINDOW_GAIN},
        [BBR_DOWN] = {BBR_DOWN_PACING, BBR_WINDOW_GAIN},
        [BBR_CRUISE] = {100, BBR_WINDOW_GAIN},
        [BBR_REFILL] = {100, BBR_WINDOW_GAIN},
        [BBR_UP] = {BBR_UP_PACING, BBR_UP_WINDOW_GAIN},
        [BBR_PROBE_RTT] = {100, BBR_PROBE_RTT_GAIN},
    };
    struct bbr *b = c->of.bbr;

    b->state = state;
    b->pacing_gain = gains[state].pacing;
    b->window_gain = gains[state].window;
    /* What the others call slow start: the search for the pipe's size. */
    c->threshold_bytes = state == BBR_STARTUP ? UINT64_MAX : 0;
}

/* What the state allows beyond the model: bounds that losses have taught. */
static uint64_t bbr_bound(const struct congestion *c)
{
    const struct bbr *b = c->of.bbr;
    uint64_t bound = BBR_NONE;

    if (b->state == BBR_DOWN || b->state == BBR_REFILL || b->state == BBR_UP) {
        bound = b->inflight_long;
    } else if (b->state == BBR_PROBE_RTT || b->state == BBR_CRUISE) {
        bound = bbr_headroom(c);
    }
    return bbr_max(bbr_min(bound, b->inflight_short), bbr_minimum(c));
}

static void bbr_set_window(struct congestion *c, uint64_t acked_bytes)
{
    struct bbr *b = c->of.bbr;
    uint64_t initial_bytes = congestion_initial_window(c->datagram_bytes);

    b->inflight_max =
        bbr_quantize(c, bbr_pipe(c, b->rate, b->window_gain) + bbr_max(b->extra[0], b->extra[1]));
    if (b->full_reached) {
        c->window_bytes = bbr_min(c->window_bytes + acked_bytes, b->inflight_max);
    } else if (c->window_bytes < b->inflight_max || b->delivery.delivered_bytes < initial_bytes) {
        c->window_bytes += acked_bytes;
    }
    c->window_bytes = bbr_max(c->window_bytes, bbr_minimum(c));
    if (b->state == BBR_PROBE_RTT) {
        c->window_bytes = bbr_min(c->window_bytes, bbr_probe_rtt_window(c));
    }
    c->window_bytes = bbr_min(c->window_bytes, bbr_bound(c));
}

static void bbr_init(struct congestion *c, uint64_t now_us, uint64_t seed)
{
    struct bbr *b = c->of.bbr;

    *b = (struct bbr){.undo_state = BBR_CRUISE,
                      .rate_short = BBR_NONE,
                      .inflight_long = BBR_NONE,
                      .inflight_short = BBR_NONE,
                      .undo_rate_short = BBR_NONE,
                      .undo_inflight_short = BBR_NONE,
                      .undo_inflight_long = BBR_NONE,
                      .min_rtt_us = BBR_NONE,
                      .min_rtt_at_us = now_us,
                      .probe_rtt_us = BBR_NONE,
                      .probe_rtt_at_us = now_us,
                      .lost_number = BBR_NONE,
                      .up_step = BBR_NONE,
                      .extra_us = now_us};
    rng_init(&b->rng, seed, "bbr", 0);
    delivery_init(&b->delivery);
    c->delivery = &b->delivery;
    c->pacing_bytes_per_s = 0;
    bbr_enter_startup(c);
}

static void bbr_on_sent(struct congestion *c, uint64_t now_us, uint64_t bytes,
                        uint64_t in_flight_bytes)
{
    struct bbr *b = c->of.bbr;

    if (in_flight_bytes + bytes + c->datagram_bytes > c->window_bytes) {
        b->limited_now = true;
    }
    if (in_flight_bytes > 0 || b->delivery.app_limited_bytes == 0) {
        return;
    }
    /* After an idle period: the window stays, the pipe is refilled at its own rate. */
    b->idle_restart = true;
    b->extra_us = now_us;
    b->extra_delivered = 0;
    if (b->state == BBR_PROBE_RTT) {
        bbr_end_probe_rtt(c, now_us);
    } else if (b->state != BBR_STARTUP && b->state != BBR_DRAIN) {
        bbr_pace(c, 100);
    }
}

static void bbr_on_acked(struct congestion *c, const struct congestion_ack *ack)
{
    struct bbr *b = c->of.bbr;

    bbr_pace_first(c, ack);
    bbr_learn(c, ack);
    bbr_check_start(c, ack);
    bbr_cycle(c, ack);
    bbr_learn_rtt(c, ack);
    bbr_check_probe_rtt(c, ack);
    bbr_advance(b);
    bbr_pace(c, b->pacing_gain);
    bbr_set_window(c, ack->bytes_all);
}

/* A recovery begins; what it was is known from the packets already (bbr_on_lost). */
static void bbr_on_event(struct congestion *c, uint64_t now_us)
{
    (void)c;
    (void)now_us;
}

/* At what in-flight before or within this packet did losses reach 2 %? With l lost and f in flight
 * before it and x bytes more of both, (l + x) / (f + x) = 1 / 50. */
static uint64_t bbr_inflight_at_loss(const struct congestion_lost *lost, uint64_t lost_bytes)
{
    uint64_t before =
        lost->packet->in_flight_bytes - bbr_min(lost->packet->in_flight_bytes, lost->bytes);
    uint64_t lost_before = lost_bytes - bbr_min(lost_bytes, lost->bytes);
    uint64_t allowed = before / BBR_LOSS_DIVISOR;

    return before + (allowed > lost_before
                         ? (allowed - lost_before) * BBR_LOSS_DIVISOR / (BBR_LOSS_DIVISOR - 1)
                         : 0);
}

static void bbr_on_lost(struct congestion *c, const struct congestion_lost *lost)
{
    struct bbr *b = c->of.bbr;
    uint64_t lost_bytes;

    bbr_note_loss(c);
    if (b->lost_number == BBR_NONE || lost->number != b->lost_number + 1) {
        b->lost_gaps++;
    }
    b->lost_number = lost->number;
    if (!b->probe_sample || lost->packet == NULL) {
        return;
    }
    lost_bytes = (uint32_t)((uint32_t)b->delivery.lost_bytes - lost->packet->lost);
    if (bbr_is_too_much(lost_bytes, lost->packet->in_flight_bytes)) {
        bbr_on_too_high(c, bbr_inflight_at_loss(lost, lost_bytes), lost->app_limited, lost->now_us);
    }
}

static void bbr_on_mark(struct congestion *c, uint64_t now_us)
{
    struct bbr *b = c->of.bbr;
    const struct delivery_sample *s = &b->delivery.sample;

    bbr_note_loss(c);
    b->mark_in_round = true;
    if (b->probe_sample && s->any) {
        bbr_on_too_high(c, s->in_flight_bytes, s->app_limited, now_us);
    }
}

static void bbr_on_persistent(struct congestion *c)
{
    struct bbr *b = c->of.bbr;

    /* The window climbs back by what is acknowledged, up to the model. */
    b->prior_window = 0;
    b->undo_state = BBR_CRUISE;
}

static void bbr_on_spurious(struct congestion *c)
{
    struct bbr *b = c->of.bbr;

    b->loss_in_round = false;
    bbr_reset_full(b);
    b->rate_short = bbr_max(b->rate_short, b->undo_rate_short);
    b->inflight_short = bbr_max(b->inflight_short, b->undo_inflight_short);
    b->inflight_long = bbr_max(b->inflight_long, b->undo_inflight_long);
    c->window_bytes = bbr_max(c->window_bytes, bbr_min(c->undo_window_bytes, bbr_bound(c)));
    if (b->undo_state == BBR_STARTUP && b->state != BBR_STARTUP) {
        b->full_reached = false;
        if (b->state != BBR_PROBE_RTT) {
            bbr_enter_startup(c);
        }
    } else if (b->undo_state == BBR_UP && b->state != BBR_UP && b->state != BBR_PROBE_RTT) {
        bbr_start_refill(c);
    }
    b->undo_state = BBR_CRUISE;
}

const struct congestion_ops congestion_bbr = {
    .name = "bbr",
    .state_bytes = sizeof(struct bbr),
    .models_path = true,
    .init = bbr_init,
    .on_sent = bbr_on_sent,
    .on_acked = bbr_on_acked,
    .on_event = bbr_on_event,
    .on_lost = bbr_on_lost,
    .on_mark = bbr_on_mark,
    .on_persistent = bbr_on_persistent,
    .on_spurious = bbr_on_spurious,
};
