/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_BBR_H
#define WEIR_QUIC_BBR_H
#include "base/rng.h"
#include "quic/congestion.h"

/** BBR version 3 (draft-ietf-ccwg-bbr): see bbr.c. Others use only congestion_bbr; this header is
 *  for the three files of the controller and their tests. Gains are in hundredths. */

#define BBR_NONE UINT64_MAX        /**< no bound; no sample */
#define BBR_STARTUP_PACING 277u    /**< 4 ln 2 */
#define BBR_DRAIN_PACING 50u
#define BBR_DOWN_PACING 90u
#define BBR_UP_PACING 125u
#define BBR_WINDOW_GAIN 200u
#define BBR_UP_WINDOW_GAIN 225u
#define BBR_PROBE_RTT_GAIN 50u
#define BBR_BETA 70u               /**< as CUBIC */
#define BBR_HEADROOM 15u           /**< of the bound, left to others while cruising */
#define BBR_LOSS_DIVISOR 50u       /**< 2 % of loss is too much */
#define BBR_STARTUP_LOSSES 6u      /**< gaps in one round that end the start */
#define BBR_STARTUP_MARKED_ROUNDS 2u
#define BBR_FULL_ROUNDS 3u
#define BBR_DRAIN_ROUNDS 3u
#define BBR_WINDOW_MIN_DATAGRAMS 4u
#define BBR_RENO_ROUNDS_MAX 63u
#define BBR_EXTRA_ROUNDS 5u        /**< per half of the filter: it remembers 5 to 10 rounds */
#define BBR_MIN_RTT_US 10000000u   /**< how long a smallest round trip is believed */
#define BBR_PROBE_RTT_US 5000000u  /**< how long until it is measured again */
#define BBR_PROBE_RTT_TIME_US 200000u
#define BBR_PROBE_WAIT_US 2000000u /**< to 1 s more */

enum bbr_state {
    BBR_STARTUP = 0,
    BBR_DRAIN,
    BBR_DOWN,
    BBR_CRUISE,
    BBR_REFILL,
    BBR_UP,
    BBR_PROBE_RTT,
};
enum bbr_acks {
    BBR_ACKS_QUIET = 0,            /**< no packet of a probe is in flight */
    BBR_ACKS_REFILLING,
    BBR_ACKS_STARTING,             /**< a probe was sent, its acks are not here yet */
    BBR_ACKS_FEEDBACK,
    BBR_ACKS_STOPPING,             /**< the probe ended, its last acks come in */
};

/** The state of one path: about 700 bytes, allocated by congestion_open. */
struct bbr {
    struct delivery delivery;
    struct rng rng;
    enum bbr_state state, undo_state;  /**< undo_state: what a loss ended; BBR_CRUISE: nothing */
    enum bbr_acks acks;
    uint32_t pacing_gain, window_gain;
    /* bandwidth, bytes per second */
    uint64_t rate_max[2];          /**< of the last probing cycle and of this one */
    uint64_t rate;                 /**< what the model believes now */
    uint64_t rate_short;           /**< bound from recent losses; BBR_NONE */
    uint64_t rate_latest;          /**< the largest of this round */
    uint64_t rate_full;            /**< the rate that has to be beaten by a quarter */
    uint32_t full_rounds;
    /* bytes in flight */
    uint64_t inflight_long, inflight_short; /**< bounds; BBR_NONE */
    uint64_t inflight_latest;      /**< the most delivered over one round trip, in this round */
    uint64_t inflight_max;         /**< what the window aims at */
    uint64_t prior_window;         /**< before the round trip was probed */
    /* rounds */
    uint64_t round_bytes, rounds, loss_round_bytes;
    uint64_t loss_from_delivered, loss_from_lost; /**< totals at the start of the loss round */
    uint64_t drain_round, probe_rounds;
    uint64_t lost_number;          /**< the last lost packet, to tell gaps */
    uint32_t lost_gaps, marked_rounds;
    /* round trips */
    uint64_t min_rtt_us, min_rtt_at_us, probe_rtt_us, probe_rtt_at_us;
    uint64_t probe_rtt_done_us;    /**< 0: not yet low enough */
    /* the cycle */
    uint64_t cycle_us, wait_us;
    uint64_t up_acked, up_step;    /**< up_step BBR_NONE: inflight_long does not grow */
    uint32_t up_rounds;
    /* acks that come in lumps */
    uint64_t extra_us, extra_delivered, extra[2], extra_round;
    /* as before the losses of this round */
    uint64_t undo_rate_short, undo_inflight_short, undo_inflight_long;
    bool round_start, loss_round_start, loss_in_round, mark_in_round;
    bool full_reached, full_now, probe_sample, probe_rtt_round, probe_rtt_expired;
    bool too_high, cautious;       /**< the last probe lost too much; it was kept short */
    bool idle_restart, limited_now, limited_before, seen_rtt;
};

/* bbr.c: sizes. */
uint64_t bbr_minimum(const struct congestion *c);
uint64_t bbr_rate_max(const struct bbr *b);
/** Bytes of the pipe at the model's rate × gain. */
uint64_t bbr_pipe(const struct congestion *c, uint64_t rate, uint32_t gain);
/** The same with room for bursts and a few packets at least. */
uint64_t bbr_inflight(const struct congestion *c, uint64_t rate, uint32_t gain);
uint64_t bbr_target(const struct congestion *c);
/** The long-term bound with headroom; BBR_NONE. */
uint64_t bbr_headroom(const struct congestion *c);
bool bbr_is_window_limited(const struct bbr *b);
void bbr_pace(struct congestion *c, uint32_t gain);
void bbr_set_state(struct congestion *c, enum bbr_state state);

/* bbr_model.c: what the path seems to take. */
void bbr_reset_congestion(struct bbr *b);
void bbr_reset_short(struct bbr *b);
void bbr_reset_full(struct bbr *b);
void bbr_start_round(struct bbr *b);
void bbr_note_loss(struct congestion *c);
/** Before the state machine runs. */
void bbr_learn(struct congestion *c, const struct congestion_ack *ack);
/** After it. */
void bbr_advance(struct bbr *b);
void bbr_learn_rtt(struct congestion *c, const struct congestion_ack *ack);
void bbr_advance_rate_max(struct bbr *b);
/** More than 2 % of what was in flight is lost. */
bool bbr_is_too_much(uint64_t lost_bytes, uint64_t in_flight_bytes);

/* bbr_cycle.c: what to do next. */
void bbr_enter_startup(struct congestion *c);
void bbr_check_start(struct congestion *c, const struct congestion_ack *ack);
void bbr_cycle(struct congestion *c, const struct congestion_ack *ack);
void bbr_check_probe_rtt(struct congestion *c, const struct congestion_ack *ack);
void bbr_end_probe_rtt(struct congestion *c, uint64_t now_us);
void bbr_start_refill(struct congestion *c);
/** A probe put too much in flight. */
void bbr_on_too_high(struct congestion *c, uint64_t in_flight_bytes, bool app_limited,
                     uint64_t now_us);
uint64_t bbr_probe_rtt_window(const struct congestion *c);
#endif
