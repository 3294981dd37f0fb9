/* SPDX-License-Identifier: MIT */
/* Goal: no mixture of faults breaks what is promised: bytes are exact always (safety), and once the
 * faults end everything completes (liveness). Method: Monte Carlo. A seed draws a link from those
 * that QUIC's interoperability tests use (15 ms, 10 Mbit/s, 25 packets of queue), faults for each
 * direction, and a nemesis that changes them while both peers send: holes both ways and one way,
 * a line that falls to 1 Mbit/s, another set of faults, calm. Then the link heals. The same seed
 * gives the same trace; WEIR_SEED=n runs one seed alone. */
#include "base/rng.h"
#include "sim/survive.h"
#include <stdlib.h>
#include <string.h>

#define HEAL_US (180 * SIM_SECOND)

/* What holds in one direction. */
struct way {
    weir_link_options link;
    struct rule_extra extra;
};

struct monte {
    uint64_t seed;
    struct survive_pair pair;
    struct rng rng;
    struct way ways[2];           /* from node 1, from node 2 */
    struct sim_transfer moves[2]; /* the same */
    uint64_t completed, bytes;
    bool is_healing;
};

/* What one seed came to. */
struct outcome {
    uint64_t hash, heal_us, completed, bytes;
};

static uint64_t pick(struct rng *rng, const uint64_t *values, uint64_t count)
{
    return values[rng_below(rng, count)];
}

static bool toss(struct rng *rng, uint32_t percent)
{
    return rng_chance_ppm(rng, percent * 10000);
}

/* One draw up to max, or 0 in most cases. */
static uint32_t maybe(struct rng *rng, uint64_t max)
{
    return toss(rng, 35) ? (uint32_t)(1 + rng_below(rng, max)) : 0;
}

/* The line itself: what stays when the faults end. */
static void draw_line(struct monte *m)
{
    static const uint64_t delays_us[] = {1000, 15000, 15000, 15000, 50000, 150000, 300000};
    static const uint64_t rates_bps[] = {0, 1000000, 10000000, 10000000, 10000000, 100000000};
    uint64_t delay_us = pick(&m->rng, delays_us, 7),
             queue_bytes = toss(&m->rng, 60) ? 25 * 1500 : 0;
    uint32_t i;

    for (i = 0; i < 2; i++) {
        memset(&m->ways[i], 0, sizeof m->ways[i]);
        m->ways[i].link = (weir_link_options){.size = sizeof m->ways[i].link,
                                              .one_way = 1,
                                              .delay_us_plus1 = delay_us + 1,
                                              .bandwidth_bps = pick(&m->rng, rates_bps, 6),
                                              .queue_bytes = queue_bytes};
    }
}

static void draw_faults(struct monte *m, struct way *way)
{
    static const uint64_t payloads[] = {0, 0, 1200, 1300};
    uint64_t rtt_us = 2 * (way->link.delay_us_plus1 - 1);

    way->link.loss_ppm = maybe(&m->rng, 100000);
    way->link.burst_ppm = maybe(&m->rng, 5000);
    way->link.burst_length = 1 + (uint32_t)rng_below(&m->rng, 8);
    way->link.jitter_us = maybe(&m->rng, rtt_us);
    way->link.duplicate_ppm = maybe(&m->rng, 300000);
    way->link.reorder_ppm = maybe(&m->rng, 300000);
    way->link.reorder_us = 1 + rng_below(&m->rng, rtt_us);
    way->link.corrupt_ppm = maybe(&m->rng, 30000);
    way->link.corrupt_bytes_max = 1 + (uint32_t)rng_below(&m->rng, 8);
    way->extra.replay_ppm = maybe(&m->rng, 200000);
    way->extra.replay_us = 60 * SIM_SECOND;
    way->extra.mark_bytes = maybe(&m->rng, 30000);
    way->extra.ecn_bleach = toss(&m->rng, 20);
    way->extra.payload_max_bytes = (uint32_t)pick(&m->rng, payloads, 4);
}

static void apply(struct monte *m)
{
    survive_link(&m->pair, 1, 2, &m->ways[0].link, &m->ways[0].extra);
    survive_link(&m->pair, 2, 1, &m->ways[1].link, &m->ways[1].extra);
}

static void start_move(struct monte *m, uint32_t i)
{
    m->moves[i] = (struct sim_transfer){.from = 1 + i,
                                        .to = 2 - i,
                                        .connection = m->pair.ends[i],
                                        .connection_in = m->pair.ends[1 - i],
                                        .bytes = 1 + rng_below(&m->rng, 512 << 10)};
    sim_transfer_start(&m->pair.sim, &m->moves[i]);
}

static void check_move(struct monte *m, uint32_t i)
{
    if (m->moves[i].is_broken) {
        fail_msg("seed %llu: the transfer from node %u broke at %llu ms",
                 (unsigned long long)m->seed, 1 + i,
                 (unsigned long long)(sim_now(&m->pair.sim) / 1000));
    }
    if (m->moves[i].end_us == 0 || m->moves[i].stream_out == 0) return;
    m->completed++;
    m->bytes += m->moves[i].bytes;
    m->moves[i].stream_out = 0;
    if (!m->is_healing) start_move(m, i);
}

/* Run on while peers send. @return whether both are done */
static bool run_until(struct monte *m, uint64_t until_us)
{
    weir_event event;

    while (sim_next(&m->pair.sim, &event, until_us)) {
        uint32_t i = 0;

        if (event.kind == WEIR_EVENT_CONNECTION_CLOSED) {
            fail_msg("seed %llu: the connection ended at %llu ms", (unsigned long long)m->seed,
                     (unsigned long long)(sim_now(&m->pair.sim) / 1000));
        }
        while (i < 2 && !sim_transfer_on_event(&m->pair.sim, &m->moves[i], &event)) i++;
        for (i = 0; i < 2; i++) check_move(m, i);
        if (m->moves[0].stream_out == 0 && m->moves[1].stream_out == 0) return true;
    }
    return false;
}

static void darken(struct monte *m, struct way *way, uint64_t span_us)
{
    way->link.blackhole_start_us = sim_now(&m->pair.sim);
    way->link.blackhole_end_us = way->link.blackhole_start_us + span_us;
}

/* Change something. */
static void nemesis(struct monte *m)
{
    struct way *one = &m->ways[rng_below(&m->rng, 2)];
    uint64_t span_us = 100 * RIG_MS + rng_below(&m->rng, 4 * SIM_SECOND);

    switch (rng_below(&m->rng, 6)) {
    case 0: /* A hole one way. */ darken(m, one, span_us); break;
    case 1: /* A hole. */
        darken(m, &m->ways[0], span_us);
        darken(m, &m->ways[1], span_us);
        break;
    case 2: /* The line falls to 1 Mbit/s, or comes back. */
        one->link.bandwidth_bps = one->link.bandwidth_bps == 1000000 ? 100000000 : 1000000;
        break;
    case 3:
    case 4: /* Other faults. */ draw_faults(m, one); break;
    default: /* Calm, that way. */
        one->link.loss_ppm = one->link.burst_ppm = one->link.corrupt_ppm = 0;
        one->link.reorder_ppm = 0;
        break;
    }
    apply(m);
}

static void heal(struct monte *m)
{
    uint32_t i;

    for (i = 0; i < 2; i++) {
        m->ways[i].link = (weir_link_options){.size = sizeof m->ways[i].link,
                                              .one_way = 1,
                                              .delay_us_plus1 = m->ways[i].link.delay_us_plus1,
                                              .bandwidth_bps = m->ways[i].link.bandwidth_bps};
        memset(&m->ways[i].extra, 0, sizeof m->ways[i].extra);
    }
    apply(m);
    m->is_healing = true;
}

static struct outcome run_seed(uint64_t seed)
{
    struct monte m = {.seed = seed};
    struct outcome outcome;
    uint64_t heal_us;
    uint32_t i, changes;

    rng_init(&m.rng, seed, "monte carlo", 0);
    survive_open(&m.pair, seed, NULL);
    draw_line(&m);
    for (i = 0; i < 2; i++) draw_faults(&m, &m.ways[i]);
    apply(&m);
    if (!survive_connect(&m.pair, 60 * SIM_SECOND))
        fail_msg("seed %llu: no connection", (unsigned long long)seed);
    for (i = 0; i < 2; i++) start_move(&m, i);
    changes = 5 + (uint32_t)rng_below(&m.rng, 10);
    for (i = 0; i < changes; i++) {
        (void)run_until(&m,
                        sim_now(&m.pair.sim) + 100 * RIG_MS + rng_below(&m.rng, 2 * SIM_SECOND));
        nemesis(&m);
    }
    heal_us = sim_now(&m.pair.sim);
    heal(&m);
    if (!run_until(&m, heal_us + HEAL_US)) {
        fail_msg("seed %llu: not done %llu s after the faults ended", (unsigned long long)seed,
                 (unsigned long long)(HEAL_US / SIM_SECOND));
    }
    outcome = (struct outcome){.hash = weir_world_hash(m.pair.sim.world),
                               .heal_us = sim_now(&m.pair.sim) - heal_us,
                               .completed = m.completed,
                               .bytes = m.bytes};
    survive_close(&m.pair);
    return outcome;
}

static void monte_carlo(void)
{
    const char *one = getenv("WEIR_SEED");
    uint64_t seed = one != NULL ? strtoull(one, NULL, 0) : 1, longest_us = 0, worst = 0, bytes = 0;
    uint32_t count = one != NULL ? 1 : survive_pick(20, 2000), i;

    for (i = 0; i < count; i++, seed++) {
        struct outcome outcome = run_seed(seed);

        if (i % 10 == 0) {
            struct outcome again = run_seed(seed);

            if (again.hash != outcome.hash)
                fail_msg("seed %llu has two traces", (unsigned long long)seed);
        }
        bytes += outcome.bytes;
        if (outcome.heal_us <= longest_us) continue;
        longest_us = outcome.heal_us;
        worst = seed;
    }
    survive_tried("%u seeds of changing faults, %llu MiB; every tenth twice with the same trace",
                  count, (unsigned long long)(bytes / SURVIVE_MIB));
    survive_worst("done %.1f s after the faults ended (seed %llu)", (double)longest_us / 1e6,
                  (unsigned long long)worst);
}

int main(int argc, char **argv)
{
    static const struct survive_case cases[] = {
        {"monte_carlo", monte_carlo},
    };

    return survive_main(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
