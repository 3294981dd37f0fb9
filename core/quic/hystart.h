/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_HYSTART_H
#define WEIR_QUIC_HYSTART_H
#include <stdbool.h>
#include <stdint.h>

/** HyStart++ (RFC 9406), the variant for paced senders: see hystart.c. */
enum hystart_phase { HYSTART_SLOW_START = 0, HYSTART_CONSERVATIVE, HYSTART_DONE };
struct hystart {
    uint64_t round_us;           /**< the round ends when a packet sent at or after this is acked */
    uint64_t last_min_us;        /**< minimum of the previous round; UINT64_MAX: none */
    uint64_t current_min_us;     /**< minimum of this round; UINT64_MAX: no sample */
    uint64_t baseline_us;        /**< minimum at the entry to conservative slow start */
    uint32_t samples;
    uint32_t conservative_rounds;
    uint64_t remainder;          /**< acked bytes that the division by 4 left over */
    enum hystart_phase phase;
    bool started;
};
void hystart_init(struct hystart *h);
/** Slow start ended by a loss, or this is not the first one: no more HyStart. */
void hystart_end(struct hystart *h);
/** One ACK in slow start.
 *  @param sent_us    when its newest packet was sent
 *  @param sample_us  round-trip sample of this ACK; 0: none
 *  @param bytes      newly acked
 *  @return           bytes by which the window grows; phase is HYSTART_DONE when avoidance
 *                    begins */
uint64_t hystart_on_ack(struct hystart *h, uint64_t now_us, uint64_t sent_us, uint64_t sample_us,
                        uint64_t bytes);
#endif
