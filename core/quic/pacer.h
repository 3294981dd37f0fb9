/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_PACER_H
#define WEIR_QUIC_PACER_H
#include <stdbool.h>
#include <stdint.h>

/** A leaky bucket that spreads a window over a round trip (RFC 9002, 7.7): see pacer.c.
 *
 *  Packets that are not in flight (ack-only) and probes are not held back; probes are counted. */
struct pacer {
    uint64_t rate_bytes_per_s;
    uint64_t burst_bytes;      /**< size of the bucket */
    uint64_t tokens_bytes;     /**< what may leave at once */
    uint64_t remainder;        /**< byte-microseconds not yet a token, below 1,000,000 */
    uint64_t updated_us;
};
/** Starts full. */
void pacer_init(struct pacer *p, uint64_t now_us, uint64_t window_bytes, uint64_t smoothed_us,
                uint32_t datagram_bytes);
/** The window or the round trip changed: call after each ACK, loss or PTO. Rate = 1.25 (2 in
 *  slow start) × window / smoothed; burst = 2 ms of it, between 10 and 256 datagrams. */
void pacer_set_rate(struct pacer *p, uint64_t now_us, uint64_t window_bytes, uint64_t smoothed_us,
                    bool slow_start, uint32_t datagram_bytes);
/** A controller states the rate itself (BBR): no factor is applied. Burst as above. */
void pacer_set_own_rate(struct pacer *p, uint64_t now_us, uint64_t rate_bytes_per_s,
                        uint32_t datagram_bytes);
/** Bytes that may leave now, for sizing a GSO batch. */
uint64_t pacer_budget_bytes(struct pacer *p, uint64_t now_us);
/** @param bytes   what one would like to send (clamped to the bucket): one datagram, or half of
 *                 burst_bytes to wake less often
 *  @return        now_us when it may leave at once, else when */
uint64_t pacer_next_time(struct pacer *p, uint64_t now_us, uint64_t bytes);
/** Never fails: what is over budget empties the bucket. */
void pacer_on_sent(struct pacer *p, uint64_t now_us, uint64_t bytes);
#endif
