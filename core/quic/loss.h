/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_LOSS_H
#define WEIR_QUIC_LOSS_H
#include "quic/congestion.h"
#include "quic/rtt.h"
#include "quic/sent.h"

/** Loss recovery of one connection over its three packet number spaces (RFC 9002): see loss.c. */
enum loss_space_name { LOSS_INITIAL = 0, LOSS_HANDSHAKE, LOSS_APPLICATION, LOSS_SPACES };

enum loss_fate {
    LOSS_FATE_ACKED = 1,
    LOSS_FATE_LOST,
    LOSS_FATE_SPURIOUS,        /**< was reported lost before; it arrived after all */
};

#define LOSS_NEVER UINT64_MAX
#define LOSS_PTO_UNCONFIRMED_MAX_US 3000000u  /**< cap until confirmation (docs/wire.md 9;
                                                   deviates from RFC 9002) */
#define LOSS_PTO_MAX_US 1000000u              /**< cap afterwards, on paths of ordinary length: see
                                                   loss_timer.c; deviates too */
#define LOSS_PACKET_THRESHOLD 3u          /**< kPacketThreshold; raised by reordering */
#define LOSS_REORDER_PACKETS_MAX 4096u    /**< a quarter of the default window of numbers */
#define LOSS_REORDER_EIGHTHS_MIN 1u       /**< kTimeThreshold is 9/8 */
#define LOSS_REORDER_EIGHTHS_MAX 41u      /**< five of the smallest round trips more: three, and an
                                               acknowledgement that is late as well */

/** What the path's disorder asks of loss detection: see loss_reorder.c. */
struct loss_reorder {
    uint32_t packets, eighths;           /**< a packet is lost so many numbers, or one round trip
                                              and so many eighths of the smallest, behind an
                                              acknowledged one */
    uint32_t seen_packets, seen_eighths; /**< the largest of this period; 0: none */
    uint64_t since_us;                   /**< when the period began */
};

struct loss_space {
    struct sent sent;
    uint64_t largest_acked;    /**< UINT64_MAX: none; also what packet number encoding wants */
    uint64_t cursor;           /**< all numbers below are acked, lost, skipped or ack-only */
    uint64_t loss_time_us;     /**< when the packet at the cursor will count as lost; LOSS_NEVER */
    uint64_t eliciting_us;     /**< when the last ack-eliciting packet was sent, or its PTO fired */
    uint64_t acked_sent_us;    /**< send time of the newest acked packet; 0: none */
    uint64_t eliciting_in_flight; /**< packets */
    uint64_t in_flight_bytes;
    uint64_t run_first_us, run_last_us; /**< losses in a row, for persistent congestion; run_first
                                             LOSS_NEVER: none */
    uint64_t path_first;       /**< packets below were sent on another path: they are neither in
                                    flight nor congestion nor a sample on this one */
    uint64_t forget_below, forget_us;   /**< lost packets below are forgotten at forget_us */
    bool discarded;
};

struct loss {
    /** Told once for each packet with frames that was acked, lost, or acked after having been
     *  lost. Read frames with sent_frame_get; call nothing of loss or sent that changes it. May
     *  be NULL. */
    void (*on_packet)(void *context, enum loss_space_name space, uint64_t number,
                      const struct sent *sent, const struct sent_packet *packet,
                      enum loss_fate fate);
    void *context;
    struct rtt *rtt;                /**< the current path's */
    struct congestion *congestion;  /**< the current path's; NULL: none */
    struct loss_space spaces[LOSS_SPACES];
    uint64_t in_flight_bytes;
    uint64_t max_ack_delay_us;      /**< the peer's, for the Application space */
    uint64_t event_us;              /**< last send, ack or discard: base of the anti-deadlock PTO */
    uint32_t pto_count;
    bool client, confirmed, handshake_keys, handshake_acked, blocked;
    struct {
        uint64_t now_us, ack_delay_us, largest;
        uint64_t bytes, bytes_all, sent_us, largest_sent_us;
        uint64_t spurious;
        uint64_t marked;            /**< newly acked packets with SENT_ECT0, of this path */
        enum loss_space_name space;
        bool open, largest_new, eliciting, any;
        bool current;               /**< one of the newly acked was sent on this path; sent_us is
                                         the newest of those */
    } ack;                          /**< of the last ACK frame; complete after loss_on_ack_end */
    struct loss_reorder reorder;
    uint64_t skip_at;               /**< the next number to skip, in Application; 0: not drawn */
    uint64_t episode_lost, episode_spurious; /**< lost in this recovery, and those of them that
                                                  arrived after all */
    uint64_t episode_after_us;               /**< the recovery before it; its packets are not
                                                  counted; valid by flag */
    bool episode_bounded;
    uint32_t episode_merged;                 /**< events that were added to the first of the
                                                  episode because its losses began to arrive */
    /* totals */
    uint64_t lost_marked;           /**< lost packets with SENT_ECT0 */
    uint64_t acked_packets, lost_packets, lost_bytes, spurious_packets, pto_total, persistent_total;
};

/** @param rtt, congestion   of the path; exchanged by loss_on_path_change (migration)
 *  @param packets_max       see sent_init */
void loss_init(struct loss *loss, const struct mem *mem, struct budget *budget, bool client,
               struct rtt *rtt, struct congestion *congestion, uint32_t packets_max,
               uint64_t now_us);
void loss_free(struct loss *loss);

/* Facts that the connection reports. */
/** Handshake confirmed: the Application PTO is armed, the 3 s cap and the anti-deadlock timer
 *  end. */
void loss_set_confirmed(struct loss *loss, uint64_t now_us);
/** Client: Handshake keys exist, so anti-deadlock probes are Handshake packets. */
void loss_set_handshake_keys(struct loss *loss);
/** Server: at its amplification limit, nothing can be sent; no PTO until false. Say it after
 *  every datagram. */
void loss_set_blocked(struct loss *loss, bool blocked);
/** From the peer's transport parameters; 25 ms until then. */
void loss_set_max_ack_delay(struct loss *loss, uint64_t max_ack_delay_us);
/** Keys are gone: the space's packets leave the flight unreported, its memory is given back,
 *  backoff restarts. */
void loss_discard_space(struct loss *loss, enum loss_space_name space, uint64_t now_us);
/** Retry: what was sent in Initial is forgotten unreported, numbers continue, backoff restarts. */
void loss_on_retry(struct loss *loss, uint64_t now_us);

/** Packets take another path from now on (RFC 9000, 9.4): those sent before leave the flight of
 *  the window, give no sample, and neither reduce nor grow the new window; they are still
 *  reported. The backoff and the thresholds for reordering start afresh.
 *  @param rtt, congestion   of the new path: other ones, or the same after rtt_reset and
 *                           congestion_reset. Give the pacer its rate afterwards. */
void loss_on_path_change(struct loss *loss, struct rtt *rtt, struct congestion *congestion,
                         uint64_t now_us);

/* Sending: begin, frames, then sent or cancel. */
/** Number of the next packet of the space. */
uint64_t loss_next_number(const struct loss *loss, enum loss_space_name space);
/** As sent_begin. */
int loss_packet_begin(struct loss *loss, enum loss_space_name space, struct limit_record *limit);
/** As sent_add_frame. */
bool loss_packet_frame(struct loss *loss, enum loss_space_name space,
                       const struct sent_frame *frame);
/** It left. @param size UDP payload bytes it accounts for; flags: enum sent_flag. @return its
 *  number */
uint64_t loss_packet_sent(struct loss *loss, enum loss_space_name space, uint64_t now_us,
                          uint32_t size, uint32_t flags);
void loss_packet_cancel(struct loss *loss, enum loss_space_name space);
/** Skip a number, to catch a peer that acknowledges what it did not get. Application only. */
int loss_skip_number(struct loss *loss, struct limit_record *limit);
/** Whether the moment to skip has come; ask before each Application packet. */
bool loss_skip_due(const struct loss *loss);
/** Skip when due, and draw the next place: at least one window of packets later, so that no ACK
 *  holds many gaps, and on average 0.5 to 1.5 windows after that, but up to 256 packets while the
 *  window is small (RFC 9000, 21.4: who acknowledges blindly is caught the sooner the more it
 *  could gain). The first call only draws.
 *  @param random   64 unpredictable bits
 *  @return         as sent_skip; the next place is drawn in any case */
int loss_skip(struct loss *loss, uint64_t random, struct limit_record *limit);
/** Bytes that the window lets leave now; 0 when full. Probes need not ask. */
uint64_t loss_window_room(const struct loss *loss);

/* An ACK frame: begin, its ranges from the highest down, end. Validate the frame's arithmetic
 * before. */
/** @param ack_delay_us  scaled by the peer's exponent. @return 0; WEIR_E_PROTOCOL largest was
 *                       never sent, unchanged */
int loss_on_ack_begin(struct loss *loss, enum loss_space_name space, uint64_t largest,
                      uint64_t ack_delay_us, uint64_t now_us);
/** Both inclusive, first <= last <= largest; packets newly acked are reported.
 *  @return 0; WEIR_E_PROTOCOL: holds a number that was never sent, nothing of this range was
 *          taken. The connection is to be closed; loss_on_ack_end is still called. */
int loss_on_ack_range(struct loss *loss, uint64_t first, uint64_t last);
/** RTT sample, losses (reported), congestion, timers. @return newly acked packets were there */
bool loss_on_ack_end(struct loss *loss);
/** The validated count of CE marks rose with the last ACK frame: one reduction per round
 *  (RFC 9002, 7.1). After loss_on_ack_end. @return true when it began a recovery */
bool loss_on_ecn_ce(struct loss *loss, enum loss_space_name space, uint64_t now_us);

/* Time. */
/** The next moment at which loss_on_deadline has something to do; may be in the past;
 *  LOSS_NEVER: none. */
uint64_t loss_deadline(const struct loss *loss);
enum loss_action_kind { LOSS_NOTHING = 0, LOSS_FOUND, LOSS_PROBE };
struct loss_action {
    enum loss_action_kind kind;  /**< FOUND: packets were reported lost; PROBE: send probes */
    enum loss_space_name space;
    uint32_t probes;             /**< ack-eliciting packets to send in that space, window or not:
                                      new data, else old (see loss_oldest), else PING */
};
/** Call when loss_deadline is not after now (a call too early does nothing). */
struct loss_action loss_on_deadline(struct loss *loss, uint64_t now_us);
/** The oldest packet in flight that has frames and is not settled: what a probe repeats. NULL:
 *  none.
 *  @param number   where the search begins (0), then the found one's number */
const struct sent_packet *loss_oldest(struct loss *loss, enum loss_space_name space,
                                      uint64_t *number);
/** Give memory back: call when idle. Forgets lost packets early. */
void loss_trim(struct loss *loss);

/** Internal to the loss files: find and report what is lost by now in a space, tell
 *  the congestion controller, and drop what is settled. @return whether something was lost */
bool loss_detect(struct loss *loss, enum loss_space_name space, uint64_t now_us);
/** Internal: a packet that was acked or lost no longer counts against the window. */
void loss_leave_flight(struct loss *loss, struct loss_space *s, uint64_t number,
                       const struct sent_packet *packet);
/** Internal: loss_reorder.c. on_late: a packet below the largest acked one of an earlier frame is
 *  acknowledged; before it is marked so. */
void loss_reorder_init(struct loss *loss, uint64_t now_us);
void loss_reorder_on_late(struct loss *loss, const struct loss_space *s, uint64_t number,
                          const struct sent_packet *packet);
void loss_reorder_decay(struct loss *loss, uint64_t now_us);
/** Internal: the current path's delivery totals; NULL: nobody wants them. */
struct delivery *loss_delivery(const struct loss *loss);
/** Internal: on_packet, for packets with frames. */
void loss_report(struct loss *loss, enum loss_space_name space, uint64_t number,
                 const struct sent_packet *packet, enum loss_fate fate);
/** Internal: the server proved that it can receive us, so nobody waits for a probe (RFC 9002,
 *  A.8). */
bool loss_is_peer_validated(const struct loss *loss);
#endif
