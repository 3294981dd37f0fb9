/* SPDX-License-Identifier: MIT */
/* How much disorder is patience due to (RFC 9002, section 6.1).
 *
 * Three numbers and an eighth of a round trip are the patience of a path that keeps the order.
 * On one that does not (links bonded per packet, radio that repeats frames) they call half of
 * the traffic lost. So each packet that arrives after it was given up raises both thresholds to
 * what would have waited for it: at most LOSS_REORDER_PACKETS_MAX numbers and five of the smallest
 * round trips more. The numbers get twice the distance: at twice the rate the same delay lets twice
 * as many overtake. Packets that come late without having been given up show that the disorder goes
 * on.
 * Every 16 round trips the thresholds fall half of the way back, but not below the disorder that
 * was seen meanwhile.
 *
 * What a peer gains by lying about the order is that its own losses are repaired later, by no
 * more than that bound. The cursor of loss_detect.c is unaffected: it stops at the first packet
 * that is neither acknowledged nor given up, whatever the thresholds are. */
#include "base/assert.h"
#include "quic/loss.h"

#define LOSS_REORDER_PERIOD_ROUNDS 16u

void loss_reorder_init(struct loss *loss, uint64_t now_us)
{
    loss->reorder = (struct loss_reorder){
        .packets = LOSS_PACKET_THRESHOLD, .eighths = LOSS_REORDER_EIGHTHS_MIN, .since_us = now_us};
}

static uint32_t loss_reorder_clamp(uint64_t value, uint32_t low, uint32_t high)
{
    return value < low ? low : value > high ? high : (uint32_t)value;
}

/* The eighths of the smallest round trip with which rtt_patience_us outlasts age_us. */
static uint32_t loss_reorder_eighths(const struct rtt *rtt, uint64_t age_us)
{
    uint64_t longer_us = rtt->smoothed_us > rtt->latest_us ? rtt->smoothed_us : rtt->latest_us;
    uint64_t least_us = rtt_is_sampled(rtt) ? rtt->min_us : longer_us;
    uint64_t eighths = 0;

    WEIR_ASSERT(least_us > 0);
    if (age_us > longer_us) {
        age_us -= longer_us;
        eighths = age_us > UINT64_MAX / 16 ? UINT32_MAX : age_us * 8 / least_us + 1;
    }
    return loss_reorder_clamp(eighths, LOSS_REORDER_EIGHTHS_MIN, LOSS_REORDER_EIGHTHS_MAX);
}

void loss_reorder_on_late(struct loss *loss, const struct loss_space *s, uint64_t number,
                          const struct sent_packet *packet)
{
    struct loss_reorder *r = &loss->reorder;
    uint64_t distance = s->largest_acked - number;
    uint32_t packets =
        loss_reorder_clamp(2 * distance + 1, LOSS_PACKET_THRESHOLD, LOSS_REORDER_PACKETS_MAX);
    uint32_t eighths = loss_reorder_eighths(loss->rtt, loss->ack.now_us - packet->time_us);

    WEIR_ASSERT(number < s->largest_acked);
    r->seen_packets = packets > r->seen_packets ? packets : r->seen_packets;
    r->seen_eighths = eighths > r->seen_eighths ? eighths : r->seen_eighths;
    if ((packet->flags & SENT_LOST) != 0) {
        r->packets = packets > r->packets ? packets : r->packets;
        r->eighths = eighths > r->eighths ? eighths : r->eighths;
    }
}

/* Half of the way back to low, but not below what was seen, and never up. */
static uint32_t loss_reorder_fall(uint32_t value, uint32_t seen, uint32_t low)
{
    uint32_t half = low + (value - low) / 2;
    uint32_t fallen = half > seen ? half : seen;

    return fallen < value ? fallen : value;
}

void loss_reorder_decay(struct loss *loss, uint64_t now_us)
{
    struct loss_reorder *r = &loss->reorder;

    if (now_us - r->since_us < LOSS_REORDER_PERIOD_ROUNDS * loss->rtt->smoothed_us) {
        return;
    }
    r->packets = loss_reorder_fall(r->packets, r->seen_packets, LOSS_PACKET_THRESHOLD);
    r->eighths = loss_reorder_fall(r->eighths, r->seen_eighths, LOSS_REORDER_EIGHTHS_MIN);
    r->seen_packets = 0;
    r->seen_eighths = 0;
    r->since_us = now_us;
}
