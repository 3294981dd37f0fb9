/* SPDX-License-Identifier: MIT */
/* NewReno as RFC 9002, section 7 has it: one datagram per window and round, half of it on loss.
 *  It is the simplest controller that is correct, and what CUBIC's tests are compared with. */
#include "quic/congestion.h"

static void newreno_init(struct congestion *c, uint64_t now_us, uint64_t seed)
{
    (void)now_us;
    (void)seed;
    c->of.newreno = (struct newreno){.remainder = 0};
}

static void newreno_on_acked(struct congestion *c, const struct congestion_ack *ack)
{
    uint64_t scaled;

    if (c->app_limited) {
        return;
    }
    scaled = ack->bytes * c->datagram_bytes + c->of.newreno.remainder;
    c->of.newreno.remainder = scaled % c->window_bytes;
    c->window_bytes += scaled / c->window_bytes;
}

static void newreno_on_event(struct congestion *c, uint64_t now_us)
{
    uint64_t half_bytes = c->window_bytes / 2;
    uint64_t floor_bytes = congestion_minimum_window(c);

    (void)now_us;
    c->window_bytes = half_bytes > floor_bytes ? half_bytes : floor_bytes;
    c->threshold_bytes = c->window_bytes;
    c->of.newreno.remainder = 0;
}

static void newreno_on_persistent(struct congestion *c)
{
    c->of.newreno.remainder = 0;
}

const struct congestion_ops congestion_newreno = {
    .name = "newreno",
    .init = newreno_init,
    .on_acked = newreno_on_acked,
    .on_event = newreno_on_event,
    .on_persistent = newreno_on_persistent,
};
