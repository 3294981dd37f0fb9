/* SPDX-License-Identifier: MIT */
/* HyStart++ (RFC 9406): leave the first slow start when the round trip grows, before the queue
 *  overflows.
 *
 *  A round lasts until a packet sent after its start is acknowledged. When at least 8 samples of
 *  a round are all longer than the previous round's minimum by an eighth of it (4 to 16 ms),
 *  slow start turns conservative: a quarter of the growth. If the delay falls below what it was
 *  at that moment, it was jitter and slow start resumes; after 5 rounds it was a queue, and
 *  avoidance begins at the window reached. Rounds are told by send time instead of packet
 *  number, so that the three number spaces need not be compared. Packets are paced here, so
 *  growth per ACK has no limit L. */
#include "quic/hystart.h"

#define HYSTART_MIN_THRESHOLD_US 4000u
#define HYSTART_MAX_THRESHOLD_US 16000u
#define HYSTART_DIVISOR 8u
#define HYSTART_SAMPLES 8u
#define HYSTART_GROWTH_DIVISOR 4u
#define HYSTART_ROUNDS 5u

void hystart_init(struct hystart *h)
{
    *h = (struct hystart){
        .last_min_us = UINT64_MAX, .current_min_us = UINT64_MAX, .baseline_us = UINT64_MAX};
}

void hystart_end(struct hystart *h)
{
    h->phase = HYSTART_DONE;
}

static void hystart_begin_round(struct hystart *h, uint64_t now_us)
{
    h->round_us = now_us;
    h->last_min_us = h->current_min_us;
    h->current_min_us = UINT64_MAX;
    h->samples = 0;
}

static void hystart_on_round(struct hystart *h, uint64_t now_us, uint64_t sent_us)
{
    if (!h->started) {
        h->started = true;
        h->round_us = now_us;
        return;
    }
    if (sent_us < h->round_us) {
        return;
    }
    hystart_begin_round(h, now_us);
    if (h->phase == HYSTART_CONSERVATIVE && ++h->conservative_rounds >= HYSTART_ROUNDS) {
        h->phase = HYSTART_DONE;
    }
}

static void hystart_judge(struct hystart *h)
{
    uint64_t threshold_us;

    if (h->samples < HYSTART_SAMPLES) {
        return;
    }
    if (h->phase == HYSTART_CONSERVATIVE) {
        if (h->current_min_us < h->baseline_us) {
            h->baseline_us = UINT64_MAX;
            h->phase = HYSTART_SLOW_START;
        }
        return;
    }
    if (h->last_min_us == UINT64_MAX) {
        return;
    }
    threshold_us = h->last_min_us / HYSTART_DIVISOR;
    threshold_us = threshold_us < HYSTART_MIN_THRESHOLD_US   ? HYSTART_MIN_THRESHOLD_US
                   : threshold_us > HYSTART_MAX_THRESHOLD_US ? HYSTART_MAX_THRESHOLD_US
                                                             : threshold_us;
    if (h->current_min_us >= h->last_min_us + threshold_us) {
        h->baseline_us = h->current_min_us;
        h->conservative_rounds = 0;
        h->phase = HYSTART_CONSERVATIVE;
    }
}

uint64_t hystart_on_ack(struct hystart *h, uint64_t now_us, uint64_t sent_us, uint64_t sample_us,
                        uint64_t bytes)
{
    uint64_t scaled;

    if (h->phase == HYSTART_DONE) {
        return bytes;
    }
    hystart_on_round(h, now_us, sent_us);
    if (sample_us != 0) {
        h->samples++;
        h->current_min_us = sample_us < h->current_min_us ? sample_us : h->current_min_us;
    }
    if (h->phase != HYSTART_DONE) {
        hystart_judge(h);
    }
    if (h->phase == HYSTART_SLOW_START) {
        return bytes;
    }
    scaled = bytes + h->remainder;
    h->remainder = scaled % HYSTART_GROWTH_DIVISOR;
    return scaled / HYSTART_GROWTH_DIVISOR;
}
