/* SPDX-License-Identifier: MIT */
#include "quic/rtt.h"

static uint64_t rtt_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void rtt_init(struct rtt *rtt)
{
    *rtt = (struct rtt){.smoothed_us = RTT_INITIAL_US,
                        .variance_us = RTT_INITIAL_VARIANCE_US,
                        .first_sample_us = UINT64_MAX};
}

bool rtt_is_sampled(const struct rtt *rtt)
{
    return rtt->first_sample_us != UINT64_MAX;
}

void rtt_on_sample(struct rtt *rtt, uint64_t now_us, uint64_t latest_us, uint64_t ack_delay_us,
                   bool confirmed, uint64_t max_ack_delay_us)
{
    uint64_t adjusted, difference;

    /* A round trip inside one tick of the clock still took time: nobody divides by 0 below. */
    latest_us = rtt_max(latest_us, 1);
    rtt->latest_us = latest_us;
    if (!rtt_is_sampled(rtt)) {
        rtt->first_sample_us = now_us;
        rtt->min_us = latest_us;
        rtt->min_restart = false;
        rtt->smoothed_us = latest_us;
        rtt->variance_us = latest_us / 2;
        return;
    }
    if (rtt->min_restart || latest_us < rtt->min_us) {
        rtt->min_us = latest_us;
        rtt->min_restart = false;
    }
    /* RFC 9002 5.3: before confirmation the delay may hold time in which keys were missing. */
    if (confirmed && ack_delay_us > max_ack_delay_us) {
        ack_delay_us = max_ack_delay_us;
    }
    /* A delay that would bring the sample below the minimum is a lie or a clock's error. */
    adjusted = latest_us;
    if (latest_us - rtt->min_us >= ack_delay_us) {
        adjusted -= ack_delay_us;
    }
    difference =
        rtt->smoothed_us > adjusted ? rtt->smoothed_us - adjusted : adjusted - rtt->smoothed_us;
    rtt->variance_us = (3 * rtt->variance_us + difference) / 4;
    rtt->smoothed_us = rtt_max((7 * rtt->smoothed_us + adjusted) / 8, 1);
}

uint64_t rtt_pto_us(const struct rtt *rtt, uint64_t max_ack_delay_us)
{
    return rtt->smoothed_us + rtt_max(4 * rtt->variance_us, RTT_GRANULARITY_US) + max_ack_delay_us;
}

uint64_t rtt_patience_us(const struct rtt *rtt, uint32_t eighths)
{
    uint64_t longer = rtt_max(rtt->smoothed_us, rtt->latest_us);

    return rtt_max(longer + rtt_max(longer / 8, rtt->min_us * eighths / 8), RTT_GRANULARITY_US);
}

uint64_t rtt_loss_delay_us(const struct rtt *rtt)
{
    return rtt_patience_us(rtt, 1);
}

void rtt_reset(struct rtt *rtt)
{
    rtt_init(rtt);
}

void rtt_restart_min(struct rtt *rtt)
{
    rtt->min_restart = true;
}
