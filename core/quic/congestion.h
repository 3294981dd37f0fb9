/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_CONGESTION_H
#define WEIR_QUIC_CONGESTION_H
#include "base/budget.h"
#include "base/mem.h"
#include "quic/delivery.h"
#include "quic/hystart.h"
#include "quic/pacer.h"
#include "quic/rtt.h"
#include <stdbool.h>
#include <stdint.h>

/** A congestion controller of one path: who decides how many bytes may be in flight.
 *
 *  The common part (congestion.c) keeps the recovery period, so that a controller sees one
 *  reduction per round (RFC 9002, 7.3.2); the controller behind `ops` decides growth and
 *  reduction. Losses are given before the acks of the same ACK frame. All numbers are bytes of
 *  UDP payload and microseconds. A controller that models the path (BBR) is also told of each
 *  lost packet and finds a delivery-rate sample in `delivery`. */

#define CONGESTION_WINDOW_MAX (1u << 30)  /**< 8.5 Gbit/s at 1 s; keeps products in 64 bits */

struct congestion;

/** What one ACK frame acknowledged. */
struct congestion_ack {
    uint64_t now_us;
    uint64_t sent_us;          /**< when the newest of the newly acked packets was sent */
    uint64_t bytes;            /**< in-flight bytes newly acked, of packets sent after the current
                                    recovery began */
    uint64_t bytes_all;        /**< in-flight bytes newly acked */
    uint64_t in_flight_bytes;  /**< left after this ACK */
    const struct rtt *rtt;     /**< already updated */
    bool rtt_sampled;          /**< this ACK gave a sample: rtt->latest_us is fresh */
};

/** One lost packet. */
struct congestion_lost {
    uint64_t now_us, number, bytes;
    const struct delivery_packet *packet;  /**< its delivery state; NULL: none was kept */
    bool app_limited;
};

struct congestion_ops {
    const char *name;
    uint32_t state_bytes;      /**< memory of its own, so that idle connections with another
                                    controller do not carry it; 0: none */
    bool models_path;          /**< it gets all acks, decides the window in slow start and recovery
                                    too, and wants delivery-rate samples */
    void (*init)(struct congestion *c, uint64_t now_us, uint64_t seed);
    /** @param in_flight_bytes before this packet; 0 ends an idle period. NULL allowed */
    void (*on_sent)(struct congestion *c, uint64_t now_us, uint64_t bytes,
                    uint64_t in_flight_bytes);
    /** Not called for acks of packets that were sent before the current recovery began, unless
     *  models_path. */
    void (*on_acked)(struct congestion *c, const struct congestion_ack *ack);
    /** A new congestion event: reduce window_bytes, set threshold_bytes. */
    void (*on_event)(struct congestion *c, uint64_t now_us);
    /** One lost packet, before the event that it may begin; not for PMTU probes. NULL allowed */
    void (*on_lost)(struct congestion *c, const struct congestion_lost *lost);
    /** A router marked packets (ECN-CE), once per round. NULL: as a loss */
    void (*on_mark)(struct congestion *c, uint64_t now_us);
    /** window_bytes is the minimum window already. */
    void (*on_persistent)(struct congestion *c);
    /** The last event turned out to be wrong: put the controller's own state back. NULL allowed */
    void (*on_spurious)(struct congestion *c);
};
extern const struct congestion_ops congestion_newreno;
extern const struct congestion_ops congestion_cubic;
extern const struct congestion_ops congestion_bbr;

struct bbr;

struct newreno {
    uint64_t remainder;        /**< acked bytes × datagram not yet turned into window */
};
/** See cubic.c for the curve and the units. */
struct cubic_stage {
    uint64_t max_bytes;        /**< W_max */
    uint64_t prior_bytes;      /**< cwnd_prior: window before the last reduction */
    uint64_t estimate_bytes;   /**< W_est, what Reno would have */
    uint64_t estimate_remainder, growth_remainder;
    uint64_t k_ms;             /**< K */
    uint64_t epoch_us;         /**< start of this stage, moved on by idle and app-limited time */
    uint64_t accounted_us;     /**< up to when epoch_us was corrected */
    bool valid;                /**< the stage has begun */
    bool after_event;          /**< it follows a reduction, not a slow start that ended by itself */
};
struct cubic {
    struct cubic_stage now, undo;
};

struct congestion {
    const struct congestion_ops *ops;
    uint64_t window_bytes;
    uint64_t threshold_bytes;  /**< ssthresh; UINT64_MAX until the first reduction */
    uint64_t recovery_us;      /**< when the last recovery began; valid when recovered */
    uint64_t undo_window_bytes, undo_threshold_bytes;
    uint32_t datagram_bytes;   /**< max_datagram_size */
    bool recovered;            /**< there was a congestion event */
    uint64_t pacing_bytes_per_s; /**< the controller's own rate; 0: it follows the window */
    struct delivery *delivery; /**< where samples are taken; NULL: not wanted */
    bool undo_valid;
    bool undo_hold;            /**< the next event keeps the state saved before the last one */
    bool app_limited;          /**< see congestion_set_app_limited */
    uint64_t events, persistent_events, spurious_events, mark_events;
    struct hystart hystart;
    union {
        struct newreno newreno;
        struct cubic cubic;
        struct bbr *bbr;       /**< allocated, see congestion_open */
    } of;
};
/** For controllers without memory of their own. */
void congestion_init(struct congestion *c, const struct congestion_ops *ops,
                     uint32_t datagram_bytes);
/** Any controller.
 *  @param seed   of the controller's random decisions (when BBR probes)
 *  @return       0; WEIR_E_BUDGET (*limit is filled, may be NULL), WEIR_E_MEMORY: *c needs no
 *                congestion_close */
int congestion_open(struct congestion *c, const struct congestion_ops *ops,
                    uint32_t datagram_bytes, const struct mem *mem, struct budget *budget,
                    uint64_t seed, uint64_t now_us, struct limit_record *limit);
/** Give the controller's memory back; same mem and budget as opened with. Twice is harmless. */
void congestion_close(struct congestion *c, const struct mem *mem, struct budget *budget);
/** A new path (RFC 9000, 9.4): as after opening; memory and the counts of events stay. */
void congestion_reset(struct congestion *c, uint32_t datagram_bytes, uint64_t now_us);
/** min(10 datagrams, max(14720, 2 datagrams)) (RFC 9002, 7.2). */
uint64_t congestion_initial_window(uint32_t datagram_bytes);
uint64_t congestion_minimum_window(const struct congestion *c);
bool congestion_is_slow_start(const struct congestion *c);
/** Whether a packet sent then belongs to a round that was already punished. */
bool congestion_is_in_recovery(const struct congestion *c, uint64_t sent_us);
/** To be said at the end of each sending turn: true when it ended because there was nothing to
 *  send although window and pacer would have allowed more; false when window or pacer stopped
 *  it. While true, acks do not grow the window. */
void congestion_set_app_limited(struct congestion *c, bool app_limited);
void congestion_on_sent(struct congestion *c, uint64_t now_us, uint64_t bytes,
                        uint64_t in_flight_bytes);
void congestion_on_acked(struct congestion *c, const struct congestion_ack *ack);
/** Loss, or ECN-CE. @param sent_us when the newest packet concerned was sent. @return true when
 *  it began a recovery */
bool congestion_on_event(struct congestion *c, uint64_t sent_us, uint64_t now_us);
/** Back on a path that was left a moment ago: what was in flight there has no fate any more, so the
 *  window is found anew, quickly up to where it was. */
void congestion_return(struct congestion *c, uint64_t now_us);
/** One lost packet; before congestion_on_event. */
void congestion_on_lost(struct congestion *c, const struct congestion_lost *lost);
/** ECN-CE on a packet sent then: one reduction per round as for loss (RFC 9002, 7.1; RFC 9438),
 *  which no spurious loss takes back. @return true when it began a recovery */
bool congestion_on_mark(struct congestion *c, uint64_t sent_us, uint64_t now_us);
void congestion_on_persistent(struct congestion *c);
/** All packets whose loss began the current recovery arrived after all: take the reduction back
 *  if that is more. */
void congestion_on_spurious(struct congestion *c);
/** A window that was never reduced nor used restarts at the new initial window; a smaller
 *  datagram does too (7.2). */
void congestion_on_datagram_size(struct congestion *c, uint32_t datagram_bytes);
/** Give the pacer its rate: the controller's own, or from window and round trip. Call it when
 *  either may have changed: after an ACK, a loss, a PTO, a reset, and after the first packet that
 *  leaves when nothing was in flight. */
void congestion_pace(const struct congestion *c, struct pacer *p, uint64_t now_us,
                     uint64_t smoothed_us);
#endif
