/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_ACK_H
#define WEIR_QUIC_ACK_H
#include "base/bytes.h"
#include "base/ranges.h"

/** Which packets of one packet number space arrived, and when to say so (RFC 9000 section 13.2). */

enum ack_ecn {
    ACK_ECN_NONE = 0,
    ACK_ECN_ECT1 = 1,
    ACK_ECN_ECT0 = 2,
    ACK_ECN_CE = 3
}; /**< the IP header's two bits */
enum {
    ACK_RANGES_MAX =
        64, /**< remembered; the lowest is forgotten, and everything below it counts as seen */
    ACK_RANGES_SENT_MAX = 32 /**< reported in one ACK */
};
#define ACK_NEVER UINT64_MAX

struct ack_state {
    struct ranges ranges; /**< received; nothing is allocated before the first packet */
    uint64_t floor;       /**< every number below counts as received */
    uint64_t report_from; /**< the peer knows what arrived below; repeating it would be waste */
    uint64_t late_pn;    /**< lowest number that came out of order and may be unknown to the peer */
    uint64_t late_until; /**< the largest when it came: an ACK with a larger one has reported it */
    uint64_t largest, largest_us; /**< valid when ranges.count > 0 */
    uint64_t largest_eliciting;   /**< valid when has_eliciting */
    uint64_t deadline_us;         /**< ACK_NEVER: nothing waits */
    uint64_t max_ack_delay_us;    /**< 0: acknowledge at once (Initial, Handshake) */
    uint64_t ect0, ect1, ce;
    uint32_t eliciting_waiting; /**< ack-eliciting packets since the last ACK that was sent */
    bool has_eliciting;
};
/** @param max_ack_delay_us  what we promised in our parameters; 0 for Initial and Handshake */
void ack_init(struct ack_state *state, uint64_t max_ack_delay_us);
void ack_free(struct ack_state *state, const struct mem *mem);
/** Whether pn was received before or is too old to tell: drop the packet. Ask after opening,
 *  before the frames. */
bool ack_is_duplicate(const struct ack_state *state, uint64_t pn);
/** Record an authenticated packet that is no duplicate (asserted), after its frames were
 *  processed.
 *
 *  Decides when to acknowledge: at once for the second ack-eliciting packet, for one out of
 *  order or after a gap, for one marked CE, and always when max_ack_delay_us is 0; else within
 *  max_ack_delay_us.
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
#endif
