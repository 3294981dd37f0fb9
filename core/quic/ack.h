/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_ACK_H
#define WEIR_QUIC_ACK_H
#include "base/bytes.h"
#include "base/ranges.h"
#include "quic/frame.h"

/** Which packets of one packet number space arrived, and when to say so (RFC 9000 section 13.2;
 *  how often, the peer may ask: draft-ietf-quic-ack-frequency). See ack.c. */

enum ack_ecn {
    ACK_ECN_NONE = 0,
    ACK_ECN_ECT1 = 1,
    ACK_ECN_ECT0 = 2,
    ACK_ECN_CE = 3
}; /**< the IP header's two bits */
enum {
    ACK_RANGES_MAX =
        64, /**< remembered; the lowest is forgotten, and everything below it counts as seen */
    ACK_RANGES_SENT_MAX = 64, /**< reported in one ACK: all, or what comes late under heavy
                                   reordering would never be told */
    ACK_RANGES_FEW = 16, /**< room from the first packet on, if ACKs may wait; more is made only for
                            gaps of the last few round trips */
    ACK_THRESHOLD_MAX = 63 /**< packets that wait at most, whatever the peer asks for */
};
#define ACK_DELAY_END_US UINT64_C(16384000) /**< 2^14 ms: a max_ack_delay from here is invalid */
#define ACK_NEVER UINT64_MAX

struct ack_state {
    struct ranges ranges; /**< received; nothing is allocated before the first packet */
    uint64_t floor;       /**< every number below counts as received */
    uint64_t report_from; /**< the peer knows what arrived below; repeating it would be waste */
    uint64_t marks[4];    /**< ends of what had arrived, a round trip or more apart; [0] oldest */
    uint64_t late_pn;    /**< lowest number that came out of order and may be unknown to the peer */
    uint64_t late_until; /**< the largest when it came: an ACK with a larger one has reported it */
    uint64_t largest, largest_us; /**< valid when ranges.count > 0 */
    uint64_t largest_eliciting;   /**< valid when has_eliciting */
    uint64_t deadline_us;         /**< ACK_NEVER: nothing waits */
    uint64_t max_ack_delay_us;    /**< 0: acknowledge at once (Initial, Handshake) */
    uint64_t ect0, ect1, ce;
    uint64_t told;              /**< one above the largest of the last ACK that was sent; 0: none */
    uint64_t frequency_next;    /**< lowest sequence of ACK_FREQUENCY that is news; 0: none came */
    uint64_t reordering;        /**< as struct frame_ack_frequency; 1 unless asked */
    uint32_t eliciting_waiting; /**< ack-eliciting packets since the last ACK that was sent */
    uint32_t threshold;         /**< that may wait; 1 unless asked */
    bool has_eliciting;
    bool immediate; /**< the packet that is being processed asks for an ACK at once */
    bool last_ce;   /**< the last ack-eliciting packet was marked CE */
};
/** @param max_ack_delay_us  what we promised in our parameters; 0 for Initial and Handshake */
void ack_init(struct ack_state *state, uint64_t max_ack_delay_us);
void ack_free(struct ack_state *state, const struct mem *mem);
/** The connection rests: give back what is not used. The next packet takes it again. */
void ack_trim(struct ack_state *state, const struct mem *mem);
/** Whether pn was received before or is too old to tell: drop the packet. Ask after opening,
 *  before the frames. */
bool ack_is_duplicate(const struct ack_state *state, uint64_t pn);
/** Record an authenticated packet that is no duplicate (asserted), after its frames were
 *  processed.
 *
 *  Decides when to acknowledge: at once for the second ack-eliciting packet, for one out of
 *  order or after a gap, for one marked CE, after ack_on_immediate, and always when
 *  max_ack_delay_us is 0; else within max_ack_delay_us. Once ack_set_frequency was called: at
 *  once for the packet after threshold others, for order as reordering says, for the first marked
 *  CE after one that was not.
 *
 *  Allocates at the first packet, and again only when more than ACK_RANGES_FEW gaps are younger
 *  than about three round trips.
 *  @return  0, or WEIR_E_MEMORY: nothing was recorded, the packet will not be acknowledged */
int ack_on_packet(struct ack_state *state, const struct mem *mem, uint64_t pn, bool eliciting,
                  uint64_t now_us, enum ack_ecn ecn);
/** When an ACK must be sent: a time that has come (or 0) means now; ACK_NEVER when nothing
 *  waits. */
uint64_t ack_deadline(const struct ack_state *state);
/** Whether an ACK is due, alone in a packet if need be. */
bool ack_should_send(const struct ack_state *state, uint64_t now_us);
/** Whether a packet that leaves anyway should carry an ACK: something ack-eliciting arrived since
 *  the last one. */
bool ack_is_pending(const struct ack_state *state);
/** Write an ACK frame (type 03 once any mark was counted): the largest always, then as many
 *  ranges as fit, at most ACK_RANGES_SENT_MAX. Changes nothing in the state; call
 *  ack_on_ack_sent when the packet leaves.
 *
 *  @param exponent  our ack_delay_exponent; in Initial and Handshake the peer does not look at
 *                   the delay
 *  @param largest   what to give to ack_on_ack_acked when the peer acknowledges this packet
 *  @return  false: nothing received yet, or it does not fit; nothing written */
bool ack_write(const struct ack_state *state, struct writer *w, uint64_t now_us, unsigned exponent,
               uint64_t *largest);
void ack_on_ack_sent(struct ack_state *state);
/** The peer acknowledged a packet of ours that held an ACK of that largest: what it reported need
 *  not be repeated (RFC 9000 13.2.4). It stays known, so that a packet which is late by more than a
 *  round trip is still told from a duplicate. */
void ack_on_ack_acked(struct ack_state *state, uint64_t largest);

/* How often: the receiver of data. */
/** An ACK_FREQUENCY frame came (Application space only). A frame that is not the latest changes
 *  nothing; a threshold above ACK_THRESHOLD_MAX counts as that. What already waits is not
 *  delayed further.
 *  @param min_ack_delay_us  what we announced
 *  @return  QUIC_NO_ERROR; QUIC_PROTOCOL_VIOLATION: asks for a delay below min_ack_delay_us or from
 *           2^14 ms on (nothing changed) */
int ack_set_frequency(struct ack_state *state, const struct frame_ack_frequency *frequency,
                      uint64_t min_ack_delay_us);
/** An IMMEDIATE_ACK frame came: the ack_on_packet of the packet that holds it makes the ACK due. */
void ack_on_immediate(struct ack_state *state);

/* How often: the sender of data. */
/** What to ask for, sequence apart: an ACK for each eighth of the window's packets, 2 to 32; a
 *  delay of a quarter of the round trip, 1 to 25 ms, and not less than the peer can; order as loss
 *  detection counts it (RFC 9002 6.1.1). Pure.
 *
 *  Until the frame that says so is acknowledged, PTO uses the larger of the old and new delay.
 *  @param peer_min_us  the peer's min_ack_delay */
struct frame_ack_frequency ack_frequency_wanted(uint64_t window_bytes, uint32_t datagram_bytes,
                                                uint64_t smoothed_us, uint64_t peer_min_us);
/** Whether the wish differs so much from what was asked for last that another frame is worth it:
 *  packets per ACK or delay at least double or half. asked NULL: nothing was, RFC 9000's two
 *  packets and 25 ms hold. */
bool ack_frequency_is_news(const struct frame_ack_frequency *wanted,
                           const struct frame_ack_frequency *asked);
#endif
