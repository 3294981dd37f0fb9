/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_RTT_H
#define WEIR_QUIC_RTT_H
#include <stdbool.h>
#include <stdint.h>

/** The round-trip time of one path (RFC 9002, section 5), in whole microseconds. */
struct rtt {
    uint64_t latest_us;        /**< last raw sample; 0 before the first */
    uint64_t min_us;           /**< smallest raw sample since the start or the last restart */
    uint64_t smoothed_us;
    uint64_t variance_us;
    uint64_t first_sample_us;  /**< when the first sample was taken; UINT64_MAX: none */
    bool min_restart;          /**< the next sample becomes min_us */
};

#define RTT_INITIAL_US 333000u           /**< RFC 9002, 6.2.2 */
#define RTT_INITIAL_VARIANCE_US 166000u  /**< half of it; the sheet's rounding */
#define RTT_GRANULARITY_US 1000u         /**< kGranularity */

void rtt_init(struct rtt *rtt);
/** Take one sample. The order of the updates is that of RFC 9002, A.7: variance from the old
 *  smoothed value.
 *
 *  @param now_us            when the ACK arrived
 *  @param latest_us         now - time sent; 0 counts as 1
 *  @param ack_delay_us      as reported, already scaled; give 0 for Initial
 *  @param confirmed         the handshake is confirmed: the delay is capped at max_ack_delay_us */
void rtt_on_sample(struct rtt *rtt, uint64_t now_us, uint64_t latest_us, uint64_t ack_delay_us,
                   bool confirmed, uint64_t max_ack_delay_us);
/** smoothed + max(4 variance, 1 ms) + max_ack_delay: one PTO without backoff (0 for Initial and
 *  Handshake). */
uint64_t rtt_pto_us(const struct rtt *rtt, uint64_t max_ack_delay_us);
/** max(9/8 max(smoothed, latest), 1 ms): how much later than a packet sent after it may one be
 *  acknowledged (6.1.2). */
uint64_t rtt_loss_delay_us(const struct rtt *rtt);
/** The same with so many eighths of the smallest round trip on top, if that is longer: what a queue
 *  adds to a round trip makes nobody later. rtt_loss_delay_us is 1. */
uint64_t rtt_patience_us(const struct rtt *rtt, uint32_t eighths);
/** The address of the peer changed: nothing is known of the path any more (RFC 9000, 9.4). */
void rtt_reset(struct rtt *rtt);
/** The next sample becomes the minimum (5.2: after persistent congestion). */
void rtt_restart_min(struct rtt *rtt);
/** Whether a sample was ever taken. */
bool rtt_is_sampled(const struct rtt *rtt);
#endif
