/* SPDX-License-Identifier: MIT */
/* BBR's picture of the path: rounds, rates, round trips, and the bounds that loss teaches.
 *
 * A round is counted in packets: it ends when something sent after its start is acknowledged.
 * Loss has rounds of its own, begun anew by the first loss, so that one whole round trip of
 * consequences is seen before it is judged.
 *
 * The long-term memory is rate_max (two probing cycles) and inflight_long; only probes change
 * them. The short-term memory, rate_short and inflight_short, follows what is delivered when a
 * round loses too much, at most by BBR_BETA per round, and is forgotten when the next probe
 * begins: it makes room for somebody else for a moment, and does not believe that he stays. */
#include "base/assert.h"
#include "quic/bbr.h"

#define BBR_SECOND_US 1000000u
#define BBR_EXTRA_TIME_MAX_US 60000000u

static uint64_t bbr_model_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

bool bbr_is_too_much(uint64_t lost_bytes, uint64_t in_flight_bytes)
{
    return lost_bytes > in_flight_bytes / BBR_LOSS_DIVISOR;
}

void bbr_reset_congestion(struct bbr *b)
{
    b->loss_in_round = false;
    b->mark_in_round = false;
    b->rate_latest = 0;
    b->inflight_latest = 0;
    b->lost_gaps = 0;
}

void bbr_reset_short(struct bbr *b)
{
    b->rate_short = BBR_NONE;
    b->inflight_short = BBR_NONE;
}

void bbr_reset_full(struct bbr *b)
{
    b->rate_full = 0;
    b->full_rounds = 0;
    b->full_now = false;
}

void bbr_start_round(struct bbr *b)
{
    b->round_bytes = b->delivery.delivered_bytes;
}

void bbr_note_loss(struct congestion *c)
{
    struct bbr *b = c->of.bbr;

    if (b->loss_in_round) {
        return;
    }
    b->loss_in_round = true;
    b->loss_round_bytes = b->delivery.delivered_bytes;
    b->undo_state = BBR_CRUISE;
    b->undo_rate_short = b->rate_short;
    b->undo_inflight_short = b->inflight_short;
    b->undo_inflight_long = b->inflight_long;
}

void bbr_advance_rate_max(struct bbr *b)
{
    if (b->rate_max[1] != 0) {
        b->rate_max[0] = b->rate_max[1];
        b->rate_max[1] = 0;
    }
}

static void bbr_count_round(struct bbr *b, const struct delivery_sample *s)
{
    b->round_start = s->any && s->prior_delivered_bytes >= b->round_bytes;
    if (!b->round_start) {
        return;
    }
    bbr_start_round(b);
    b->rounds++;
    b->probe_rounds++;
    b->limited_before = b->limited_now;
    b->limited_now = false;
}

static void bbr_learn_rate(struct bbr *b, const struct delivery_sample *s)
{
    if (s->bytes_per_s > 0 && (s->bytes_per_s >= bbr_rate_max(b) || !s->app_limited)) {
        b->rate_max[1] = bbr_model_max(b->rate_max[1], s->bytes_per_s);
    }
}

/* A round with losses outside of a probe has ended. */
static void bbr_lower(struct congestion *c)
{
    struct bbr *b = c->of.bbr;

    if (b->rate_short == BBR_NONE) {
        b->rate_short = bbr_rate_max(b);
    }
    if (b->inflight_short == BBR_NONE) {
        b->inflight_short = c->window_bytes;
    }
    b->rate_short = bbr_model_max(b->rate_latest, b->rate_short / 100 * BBR_BETA);
    b->inflight_short = bbr_model_max(b->inflight_latest, b->inflight_short / 100 * BBR_BETA);
}

static void bbr_judge_round(struct congestion *c)
{
    struct bbr *b = c->of.bbr;
    uint64_t lost = b->delivery.lost_bytes - b->loss_from_lost;
    uint64_t delivered = b->delivery.delivered_bytes - b->loss_from_delivered;
    bool probing = b->state == BBR_STARTUP || b->state == BBR_REFILL || b->state == BBR_UP;

    if (!probing && b->loss_in_round &&
        (b->mark_in_round || bbr_is_too_much(lost, lost + delivered))) {
        bbr_lower(c);
    }
    b->marked_rounds = b->mark_in_round ? b->marked_rounds + 1 : 0;
}

/* Acks that come in lumps (radio, offloading receivers) look like an idle path between two lumps;
 * so much more has to be in flight. */
static void bbr_learn_lumps(struct congestion *c, const struct congestion_ack *ack)
{
    struct bbr *b = c->of.bbr;
    uint64_t elapsed_us = ack->now_us - b->extra_us, expected, extra;

    elapsed_us = elapsed_us < BBR_EXTRA_TIME_MAX_US ? elapsed_us : BBR_EXTRA_TIME_MAX_US;
    expected = b->rate * elapsed_us / BBR_SECOND_US;
    if (b->extra_delivered <= expected) {
        b->extra_delivered = 0;
        b->extra_us = ack->now_us;
        expected = 0;
    }
    b->extra_delivered += ack->bytes_all;
    extra = b->extra_delivered > expected ? b->extra_delivered - expected : 0;
    extra = extra < c->window_bytes ? extra : c->window_bytes;
    if (b->rounds - b->extra_round >= (b->full_reached ? BBR_EXTRA_ROUNDS : 1)) {
        b->extra_round = b->rounds;
        b->extra[0] = b->full_reached ? b->extra[1] : 0;
        b->extra[1] = 0;
    }
    b->extra[1] = bbr_model_max(b->extra[1], extra);
}

/* Three rounds in which the rate grew by less than a quarter: the pipe is full. */
static void bbr_check_full(struct bbr *b, const struct delivery_sample *s)
{
    if (b->full_now || !b->round_start || s->app_limited || s->bytes_per_s == 0) {
        return;
    }
    if (s->bytes_per_s >= b->rate_full + b->rate_full / 4) {
        bbr_reset_full(b);
        b->rate_full = s->bytes_per_s;
        return;
    }
    b->full_rounds++;
    b->full_now = b->full_rounds >= BBR_FULL_ROUNDS;
    b->full_reached |= b->full_now;
}

void bbr_learn(struct congestion *c, const struct congestion_ack *ack)
{
    struct bbr *b = c->of.bbr;
    const struct delivery_sample *s = &b->delivery.sample;

    b->loss_round_start = false;
    bbr_count_round(b, s);
    if (s->any) {
        b->rate_latest = bbr_model_max(b->rate_latest, s->bytes_per_s);
        b->inflight_latest = bbr_model_max(b->inflight_latest, s->delivered_bytes);
        b->loss_round_start = s->prior_delivered_bytes >= b->loss_round_bytes;
        bbr_learn_rate(b, s);
    }
    if (b->loss_round_start) {
        b->loss_round_bytes = b->delivery.delivered_bytes;
        bbr_judge_round(c);
    }
    bbr_learn_lumps(c, ack);
    bbr_check_full(b, s);
}

void bbr_advance(struct bbr *b)
{
    const struct delivery_sample *s = &b->delivery.sample;

    if (b->loss_round_start) {
        b->rate_latest = s->bytes_per_s;
        b->inflight_latest = s->delivered_bytes;
        b->loss_in_round = false;
        b->mark_in_round = false;
        b->lost_gaps = 0;
        b->loss_from_delivered = b->delivery.delivered_bytes;
        b->loss_from_lost = b->delivery.lost_bytes;
    }
    b->rate = bbr_rate_max(b) < b->rate_short ? bbr_rate_max(b) : b->rate_short;
}

void bbr_learn_rtt(struct congestion *c, const struct congestion_ack *ack)
{
    struct bbr *b = c->of.bbr;
    uint64_t sample_us = ack->rtt_sampled ? ack->rtt->latest_us : BBR_NONE;

    b->probe_rtt_expired = ack->now_us > b->probe_rtt_at_us + BBR_PROBE_RTT_US;
    if (sample_us != BBR_NONE && (sample_us < b->probe_rtt_us || b->probe_rtt_expired)) {
        b->probe_rtt_us = sample_us;
        b->probe_rtt_at_us = ack->now_us;
    }
    if (b->probe_rtt_us < b->min_rtt_us || ack->now_us > b->min_rtt_at_us + BBR_MIN_RTT_US) {
        b->min_rtt_us = b->probe_rtt_us;
        b->min_rtt_at_us = b->probe_rtt_at_us;
    }
}
