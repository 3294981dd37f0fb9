/* SPDX-License-Identifier: MIT */
/* Goal: a way that goes dark, or is as long as the solar system, ends no connection, and what waits
 * goes on as soon as it can. Method: one transfer over links whose rules change while it runs; a
 * tap notes when the sender tried, which is what its probe timer was. */
#include "sim/survive.h"

#define HOLE_US (8 * SIM_SECOND)
#define HOURS_US(n) ((uint64_t)(n)*3600 * SIM_SECOND)

enum { HOLES = 5 };

/* When node 1 tried, while the way was dark. Two datagrams of one probe are one try. */
struct tries {
    uint64_t delay_us;
    uint64_t last_us; /* the newest try */
    uint64_t next_us; /* how long after it the next one is due: twice the last interval, or the same
                         when that no longer grows */
    uint64_t gap_us;
};

static void note_try(void *context, const struct network_record *record)
{
    struct tries *tries = context;
    uint64_t sent_us = record->time_us, gap_us;

    if (record->from != 1 || record->len < 100) return;
    if (record->verdict == VERDICT_DELIVERED) sent_us -= tries->delay_us;
    if (sent_us < tries->last_us + RIG_MS) return;
    gap_us = sent_us - tries->last_us;
    tries->next_us = gap_us > tries->gap_us * 3 / 2 ? 2 * gap_us : gap_us;
    tries->gap_us = gap_us;
    tries->last_us = sent_us;
}

/* Which directions are dark. */
enum dark { DARK_BOTH, DARK_THERE, DARK_BACK, DARKS };
static const char *const dark_names[DARKS] = {"both ways", "data", "acknowledgements"};

static void darken(struct survive_pair *pair, enum dark dark, uint64_t end_us)
{
    weir_link_options clear = {.size = sizeof clear, .bandwidth_bps = 10000000, .one_way = 1};
    weir_link_options hole = clear;

    hole.blackhole_start_us = sim_now(&pair->sim);
    hole.blackhole_end_us = end_us;
    survive_link(pair, 1, 2, dark == DARK_BACK ? &clear : &hole, NULL);
    survive_link(pair, 2, 1, dark == DARK_THERE ? &clear : &hole, NULL);
}

/* Run the transfer until a time. @return false when it broke */
static bool run_until(struct survive_pair *pair, struct sim_transfer *transfer, uint64_t until_us)
{
    weir_event event;

    while (!sim_transfer_is_over(transfer)) {
        if (!sim_next(&pair->sim, &event, until_us)) return true;
        (void)sim_transfer_on_event(&pair->sim, transfer, &event);
    }
    return !transfer->is_broken;
}

/* The worst resumption, as told. */
struct resumption {
    uint64_t resume_us, allowed_us;
    enum dark dark;
    bool is_too_late;
};

/* One hole in the middle of a transfer. @return false when the connection ended */
static bool one_hole(struct survive_pair *pair, struct sim_transfer *transfer, struct tries *tries,
                     enum dark dark, struct resumption *worst)
{
    uint64_t end_us = sim_now(&pair->sim) + HOLE_US, read, resume_us, allowed_us;

    darken(pair, dark, end_us);
    if (!run_until(pair, transfer, end_us)) return false;
    /* One probe timeout as it stands then and a round trip; a few datagrams' time at the
     * bottleneck. */
    allowed_us = tries->next_us + SURVIVE_RTT_US + 10 * RIG_MS;
    read = transfer->read;
    while (transfer->read == read && sim_now(&pair->sim) < end_us + 30 * SIM_SECOND) {
        if (!run_until(pair, transfer, sim_now(&pair->sim) + RIG_MS)) return false;
    }
    resume_us = sim_now(&pair->sim) - end_us;
    worst->is_too_late = worst->is_too_late || resume_us > allowed_us;
    if (resume_us > worst->resume_us) {
        worst->resume_us = resume_us;
        worst->allowed_us = allowed_us;
        worst->dark = dark;
    }
    return run_until(pair, transfer, sim_now(&pair->sim) + 2 * SIM_SECOND);
}

static void dark_transfer(uint64_t seed, enum dark dark, struct resumption *worst)
{
    struct sim_transfer transfer = {.from = 1, .to = 2, .bytes = 24 * SURVIVE_MIB};
    struct tries tries = {.delay_us = RIG_DELAY_US};
    struct survive_pair pair;
    uint32_t i;

    survive_open(&pair, seed, NULL);
    darken(&pair, dark, sim_now(&pair.sim));
    assert_true(survive_connect(&pair, SIM_SECOND));
    rig_world(&pair.sim)->network.tap = note_try;
    rig_world(&pair.sim)->network.tap_context = &tries;
    transfer.connection = pair.ends[0];
    sim_transfer_start(&pair.sim, &transfer);
    assert_true(run_until(&pair, &transfer, sim_now(&pair.sim) + SIM_SECOND));
    for (i = 0; i < HOLES; i++) {
        if (!one_hole(&pair, &transfer, &tries, dark, worst)) {
            fail_msg("seed %llu, hole %u (%s): the connection ended", (unsigned long long)seed,
                     i + 1, dark_names[dark]);
        }
        assert_true(transfer.end_us == 0);
    }
    if (!run_until(&pair, &transfer, sim_now(&pair.sim) + 120 * SIM_SECOND) ||
        transfer.end_us == 0) {
        fail_msg("seed %llu (%s): the rest did not arrive", (unsigned long long)seed,
                 dark_names[dark]);
    }
    survive_close(&pair);
}

static void blackholes(void)
{
    struct resumption worst = {.resume_us = 0};
    uint32_t count = survive_pick(1, 50), i;
    enum dark dark;

    for (i = 0; i < count; i++) {
        for (dark = DARK_BOTH; dark < DARKS; dark++) dark_transfer(800 + i, dark, &worst);
    }
    survive_tried("%u transfers of 24 MiB at 10 Mbit/s with five holes of 8 s each: both ways, "
                  "data only, acknowledgements only",
                  count * DARKS);
    survive_worst(
        "resumed %.2f s after the end of a hole (%s); one probe timeout as it stood and a "
        "round trip: %.2f s",
        (double)worst.resume_us / 1e6, dark_names[worst.dark], (double)worst.allowed_us / 1e6);
    assert_false(worst.is_too_late);
}

static void round_trip_of_10_s(void)
{
    weir_link_options link = {.size = sizeof link, .delay_us_plus1 = 5 * SIM_SECOND + 1};
    uint32_t count = survive_pick(1, 20), i;
    uint64_t connect_us = 0, move_us = 0;

    for (i = 0; i < count; i++) {
        struct survive_pair pair;
        uint64_t took_us;

        survive_open(&pair, 900 + i, NULL);
        sim_link(&pair.sim, &link);
        if (!survive_connect(&pair, 60 * SIM_SECOND)) fail_msg("seed %u: no connection", 900 + i);
        took_us = survive_move(&pair, 1 + i % 2, SURVIVE_MIB, HOURS_US(1));
        if (took_us == 0) {
            fail_msg("seed %u: it broke or took too long, until %llu s", 900 + i,
                     (unsigned long long)(sim_now(&pair.sim) / SIM_SECOND));
        }
        if (pair.took_us > connect_us) connect_us = pair.took_us;
        if (took_us > move_us) move_us = took_us;
        survive_close(&pair);
    }
    survive_tried("%u connections with default timers and 1 MiB, round trip 10 s", count);
    survive_worst("%.0f s to connect, %.0f s for the MiB", (double)connect_us / 1e6,
                  (double)move_us / 1e6);
}

static const weir_node_options raised = {.size = sizeof raised,
                                         .idle_timeout_us = HOURS_US(24),
                                         .dial_timeout_us = HOURS_US(24),
                                         .handshake_timeout_us = HOURS_US(24)};

static void round_trip_of_60_min(void)
{
    weir_link_options link = {.size = sizeof link, .delay_us_plus1 = HOURS_US(1) / 2 + 1};
    uint32_t count = survive_pick(1, 5), i;
    uint64_t connect_us = 0, move_us = 0;

    for (i = 0; i < count; i++) {
        struct survive_pair pair;
        uint64_t took_us;

        survive_open(&pair, 950 + i, &raised);
        sim_link(&pair.sim, &link);
        if (!survive_connect(&pair, HOURS_US(24))) fail_msg("seed %u: no connection", 950 + i);
        took_us = survive_move(&pair, 1 + i % 2, SURVIVE_MIB, HOURS_US(200));
        if (took_us == 0) {
            fail_msg("seed %u: it broke or took too long, until %llu s", 950 + i,
                     (unsigned long long)(sim_now(&pair.sim) / SIM_SECOND));
        }
        if (pair.took_us > connect_us) connect_us = pair.took_us;
        if (took_us > move_us) move_us = took_us;
        survive_close(&pair);
    }
    survive_tried("%u connections with raised timers and 1 MiB, round trip 60 min", count);
    survive_worst("%.2f h to connect, %.1f h for the MiB", (double)connect_us / 3.6e9,
                  (double)move_us / 3.6e9);
}

int main(int argc, char **argv)
{
    static const struct survive_case cases[] = {
        {"blackholes", blackholes},
        {"round_trip_of_10_s", round_trip_of_10_s},
        {"round_trip_of_60_min", round_trip_of_60_min},
    };

    return survive_main(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
