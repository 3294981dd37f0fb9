/* SPDX-License-Identifier: MIT */
/* Pacing: a window that leaves at line speed once per round trip overflows the first small queue
 *  on the way.
 *
 *  The bucket fills at 1.25 × window / smoothed RTT (a quarter more than needed, so that pacing
 *  is never what keeps the window from being used; twice in slow start, where the window doubles
 *  per round). Its size, 2 ms worth but 10 to 256 datagrams, is the largest burst: enough for
 *  one GSO batch and for a timer that wakes late, no more than an initial window on slow paths.
 *  Being paced counts as using the window (RFC 9002, 7.8). Idle time fills the bucket once,
 *  never more, so a window kept over an idle period cannot leave as one burst. */
#include "quic/pacer.h"

#define PACER_SECOND_US 1000000u
#define PACER_RATE_MAX 100000000000u /**< 800 Gbit/s; keeps products in 64 bits */
#define PACER_BURST_PER_SECOND 500u  /**< 2 ms */
#define PACER_BURST_MIN_DATAGRAMS 10u
#define PACER_BURST_MAX_DATAGRAMS 256u

static uint64_t pacer_clamp(uint64_t value, uint64_t low, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static void pacer_refill(struct pacer *p, uint64_t now_us)
{
    uint64_t elapsed_us = now_us > p->updated_us ? now_us - p->updated_us : 0;
    uint64_t earned;

    if (elapsed_us == 0) {
        return;
    }
    p->updated_us = now_us;
    if (elapsed_us >= PACER_SECOND_US && p->rate_bytes_per_s >= p->burst_bytes) {
        p->tokens_bytes = p->burst_bytes;
        p->remainder = 0;
        return;
    }
    /* A rate below one bucket per second is slower than any real path; longer waits than 1000 s
     *  fill it too. */
    elapsed_us = pacer_clamp(elapsed_us, 0, 1000u * (uint64_t)PACER_SECOND_US);
    earned = p->rate_bytes_per_s * elapsed_us + p->remainder;
    p->tokens_bytes += earned / PACER_SECOND_US;
    p->remainder = earned % PACER_SECOND_US;
    if (p->tokens_bytes >= p->burst_bytes) {
        p->tokens_bytes = p->burst_bytes;
        p->remainder = 0;
    }
}

void pacer_set_own_rate(struct pacer *p, uint64_t now_us, uint64_t rate_bytes_per_s,
                        uint32_t datagram_bytes)
{
    pacer_refill(p, now_us);
    p->rate_bytes_per_s = pacer_clamp(rate_bytes_per_s, 1, PACER_RATE_MAX);
    p->burst_bytes = pacer_clamp(p->rate_bytes_per_s / PACER_BURST_PER_SECOND,
                                 (uint64_t)PACER_BURST_MIN_DATAGRAMS * datagram_bytes,
                                 (uint64_t)PACER_BURST_MAX_DATAGRAMS * datagram_bytes);
    if (p->tokens_bytes > p->burst_bytes) {
        p->tokens_bytes = p->burst_bytes;
    }
}

void pacer_set_rate(struct pacer *p, uint64_t now_us, uint64_t window_bytes, uint64_t smoothed_us,
                    bool slow_start, uint32_t datagram_bytes)
{
    uint64_t scaled = slow_start ? window_bytes * 2 : window_bytes + window_bytes / 4;

    smoothed_us = smoothed_us == 0 ? 1 : smoothed_us;
    pacer_set_own_rate(p, now_us, scaled * PACER_SECOND_US / smoothed_us, datagram_bytes);
}

void pacer_init(struct pacer *p, uint64_t now_us, uint64_t window_bytes, uint64_t smoothed_us,
                uint32_t datagram_bytes)
{
    *p = (struct pacer){.updated_us = now_us};
    pacer_set_rate(p, now_us, window_bytes, smoothed_us, true, datagram_bytes);
    p->tokens_bytes = p->burst_bytes;
}

uint64_t pacer_budget_bytes(struct pacer *p, uint64_t now_us)
{
    pacer_refill(p, now_us);
    return p->tokens_bytes;
}

uint64_t pacer_next_time(struct pacer *p, uint64_t now_us, uint64_t bytes)
{
    uint64_t missing;

    pacer_refill(p, now_us);
    bytes = pacer_clamp(bytes, 0, p->burst_bytes);
    if (p->tokens_bytes >= bytes) {
        return now_us;
    }
    missing = (bytes - p->tokens_bytes) * PACER_SECOND_US - p->remainder;
    return now_us + (missing + p->rate_bytes_per_s - 1) / p->rate_bytes_per_s;
}

void pacer_on_sent(struct pacer *p, uint64_t now_us, uint64_t bytes)
{
    pacer_refill(p, now_us);
    p->tokens_bytes = p->tokens_bytes > bytes ? p->tokens_bytes - bytes : 0;
}
