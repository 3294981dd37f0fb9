/* SPDX-License-Identifier: MIT */
/* Goal: every byte arrives once, in order, unchanged, whatever the way does to datagrams, and the
 * connection lives on. Method: checked bytes over one link with a fault; bounds in virtual time. */
#include "sim/survive.h"

#define LIMIT_US (7200 * SIM_SECOND)

/* Move bytes over a connection that is made through the same faults. @return the time of the
 * transfer; 0: it failed, which was told with its seed */
static uint64_t move(uint64_t seed, const weir_link_options *link, const struct rule_extra *extra,
                     uint64_t bytes)
{
    struct survive_pair pair;
    uint64_t took_us = 0;
    bool is_up;

    survive_open(&pair, seed, NULL);
    survive_link(&pair, 0, 0, link, extra);
    is_up = survive_connect(&pair, LIMIT_US);
    if (is_up) took_us = survive_move(&pair, 1, bytes, LIMIT_US);
    if (took_us == 0) {
        print_error("seed %llu: %s at %.1f s\n", (unsigned long long)seed,
                    is_up ? "the transfer broke" : "no connection",
                    (double)sim_now(&pair.sim) / 1e6);
    }
    survive_close(&pair);
    return took_us;
}

/* The longest of several transfers, and how many failed. */
struct longest {
    uint64_t us, seed;
    uint32_t count, failed;
};

static void note(struct longest *longest, uint64_t seed, uint64_t took_us)
{
    longest->count++;
    longest->failed += took_us == 0;
    if (took_us <= longest->us) return;
    longest->us = took_us;
    longest->seed = seed;
}

static void tell(const struct longest *longest, uint64_t bytes)
{
    survive_worst("%u broke; %.1f s, %.1f KiB/s (seed %llu)", longest->failed,
                  (double)longest->us / 1e6,
                  longest->us == 0 ? 0.0 : (double)bytes / 1024 / ((double)longest->us / 1e6),
                  (unsigned long long)longest->seed);
    if (longest->failed > 0) fail_msg("%u of %u broke", longest->failed, longest->count);
}

static void bursts(void)
{
    static const uint32_t lengths[] = {8, 5, 2};
    uint64_t bytes = survive_pick(1, 10) * SURVIVE_MIB, seed;
    struct longest longest = {.us = 0};
    uint32_t i, each = survive_pick(1, 10);

    for (i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (seed = 300 + i * 100; seed < 300 + i * 100 + each; seed++) {
            /* L * p / (1 + L * p) is a fifth. */
            weir_link_options link = {
                .size = sizeof link, .burst_ppm = 250000 / lengths[i], .burst_length = lengths[i]};

            note(&longest, seed, move(seed, &link, NULL, bytes));
        }
    }
    survive_tried("%u times %llu MiB, 20 %% lost in bursts of 2, 5 or 8", longest.count,
                  (unsigned long long)(bytes / SURVIVE_MIB));
    tell(&longest, bytes);
}

static void corruption(void)
{
    weir_link_options link = {.size = sizeof link, .corrupt_ppm = 500000, .corrupt_bytes_max = 8};
    struct longest longest = {.us = 0};
    uint64_t seed;

    for (seed = 400; seed < 400 + survive_pick(3, 100); seed++)
        note(&longest, seed, move(seed, &link, NULL, SURVIVE_MIB));
    survive_tried("%u handshakes and transfers of 1 MiB, 1 to 8 bytes wrong in 50 %% of datagrams",
                  longest.count);
    tell(&longest, SURVIVE_MIB);
}

static uint64_t move_reordered(uint64_t seed, uint32_t share_ppm, uint64_t by_us, uint64_t bytes)
{
    weir_link_options link = {.size = sizeof link,
                              .bandwidth_bps = 20000000,
                              .reorder_ppm = share_ppm,
                              .reorder_us = by_us};

    return move(seed, &link, NULL, bytes);
}

static void reordering(void)
{
    static const uint64_t by_us[] = {SURVIVE_RTT_US / 2, SURVIVE_RTT_US, 2 * SURVIVE_RTT_US,
                                     3 * SURVIVE_RTT_US};
    /* Long enough for the beginning, when the disorder is not known yet, to weigh little. */
    uint64_t bytes = 16 * SURVIVE_MIB, clean_us = move_reordered(500, 0, 0, bytes);
    uint64_t least = 100, worst_us = 0, seed;
    uint32_t i, count = 0;

    assert_true(clean_us > 0);
    for (i = 0; i < sizeof by_us / sizeof by_us[0]; i++) {
        for (seed = 501; seed < 501 + survive_pick(1, 10); seed++, count++) {
            uint64_t took_us = move_reordered(seed, 500000, by_us[i], bytes);
            uint64_t share = took_us == 0 ? 0 : clean_us * 100 / took_us;

            if (share >= least) continue;
            least = share;
            worst_us = by_us[i];
        }
    }
    survive_tried("%u times %llu MiB at 20 Mbit/s, half of the datagrams late by 1/2 to 3 round "
                  "trips",
                  count, (unsigned long long)(bytes / SURVIVE_MIB));
    survive_worst("%llu %% of the clean goodput (late by %llu ms)", (unsigned long long)least,
                  (unsigned long long)(worst_us / 1000));
    assert_in_range(least, 60, 100);
}

/* Whoever waits for bytes behind a NAT has nothing to send when the one datagram that would have
 * shown its new address is lost: it holds its peer, so that keep-alives are sent. */
static void hold_each_other(struct survive_pair *pair)
{
    weir_peer_id peer;
    uint32_t node;

    for (node = 1; node <= 2; node++) {
        assert_int_equal(weir_node_peer(pair->sim.nodes[3 - node], &peer), 0);
        assert_int_equal(weir_peer_hold(pair->sim.nodes[node], &peer), 0);
    }
}

/* A NAT before node 1 forgets it, again and again. @return as move */
static uint64_t move_rebound(uint64_t seed, uint32_t from, uint64_t bytes)
{
    weir_link_options lossy = {.size = sizeof lossy, .loss_ppm = 100000}, out = lossy;
    struct survive_pair pair;
    uint64_t took_us = 0;
    bool is_up;

    survive_open(&pair, seed, NULL);
    sim_link(&pair.sim, &lossy);
    hold_each_other(&pair);
    /* No address may change before the handshake is confirmed (RFC 9000, section 9). */
    is_up = survive_connect(&pair, LIMIT_US);
    sim_settle(&pair.sim, sim_now(&pair.sim) + 5 * SIM_SECOND);
    out.one_way = 1;
    out.rebind_every_us = 500 * RIG_MS;
    survive_link(&pair, 1, 2, &out, NULL);
    if (is_up) took_us = survive_move(&pair, from, bytes, LIMIT_US);
    if (took_us == 0) {
        print_error("seed %llu: %s, %s behind the NAT\n", (unsigned long long)seed,
                    is_up ? "the transfer broke" : "no connection", from == 1 ? "from" : "to");
    }
    survive_close(&pair);
    return took_us;
}

static void rebinding(void)
{
    uint64_t bytes = 10 * SURVIVE_MIB, seed;
    struct longest longest = {.us = 0};
    uint32_t from;

    for (seed = 600; seed < 600 + survive_pick(1, 10); seed++) {
        for (from = 1; from <= 2; from++) note(&longest, seed, move_rebound(seed, from, bytes));
    }
    survive_tried("%u times %llu MiB, half of them to the side that moves: another address and "
                  "port every 500 ms, 10 %% loss",
                  longest.count, (unsigned long long)(bytes / SURVIVE_MIB));
    tell(&longest, bytes);
}

/* What a node holds for its connection when all is quiet. */
static uint64_t memory_at_rest(struct survive_pair *pair, uint32_t node)
{
    weir_connection_info info;

    rig_connection_info(&pair->sim, node, pair->ends[node - 1], &info);
    return info.memory_bytes;
}

static void duplicate_once(uint64_t seed, uint64_t bytes, uint64_t *replayed, uint64_t *most)
{
    weir_node_options options = {.size = sizeof options, .idle_timeout_us = 600 * SIM_SECOND};
    weir_link_options link = {.size = sizeof link, .duplicate_ppm = 1000000};
    struct rule_extra extra = {.replay_ppm = 200000, .replay_us = 60 * SIM_SECOND};
    weir_node_statistics before = {.size = sizeof before}, after = before;
    struct survive_pair pair;
    uint64_t rest[2];
    uint32_t i;

    survive_open(&pair, seed, &options);
    survive_link(&pair, 0, 0, &link, &extra);
    assert_true(survive_connect(&pair, LIMIT_US));
    for (i = 1; i <= 2; i++) {
        if (survive_move(&pair, i, bytes / 2, LIMIT_US) == 0)
            fail_msg("seed %llu: it broke", (unsigned long long)seed);
    }
    sim_settle(&pair.sim, sim_now(&pair.sim) + SIM_SECOND);
    for (i = 0; i < 2; i++) rest[i] = memory_at_rest(&pair, i + 1);
    assert_int_equal(weir_node_get_statistics(pair.sim.nodes[1], &before), 0);
    /* Only old datagrams are left on the way. */
    sim_settle(&pair.sim, sim_now(&pair.sim) + 120 * SIM_SECOND);
    assert_int_equal(weir_node_get_statistics(pair.sim.nodes[1], &after), 0);
    for (i = 0; i < 2; i++) {
        uint64_t now = memory_at_rest(&pair, i + 1);

        if (now > *most) *most = now;
        assert_in_range(now, 1, rest[i]);
    }
    /* Both ends, once; no stream, connection or byte came twice. */
    assert_int_equal(after.handshakes_completed, before.handshakes_completed);
    assert_int_equal(pair.sim.seen[WEIR_EVENT_CONNECTED], 2);
    assert_int_equal(pair.sim.seen[WEIR_EVENT_STREAM], 2);
    assert_int_equal(pair.sim.seen[WEIR_EVENT_CONNECTION_CLOSED], 0);
    assert_int_equal(after.connections_open, before.connections_open);
    assert_int_equal(after.streams_open, 0);
    assert_int_equal(after.stream_bytes_read, before.stream_bytes_read);
    *replayed += rig_world(&pair.sim)->network.replayed;
    survive_close(&pair);
}

static void replays(void)
{
    uint64_t bytes = survive_pick(2, 10) * SURVIVE_MIB, replayed = 0, most = 0, seed;
    uint32_t count = survive_pick(2, 20);

    for (seed = 700; seed < 700 + count; seed++) duplicate_once(seed, bytes, &replayed, &most);
    survive_tried("%u times %llu MiB, every datagram twice, %llu of them again up to 60 s later",
                  count, (unsigned long long)(bytes / SURVIVE_MIB), (unsigned long long)replayed);
    survive_worst("nothing delivered twice, no second handshake, %llu bytes held at rest",
                  (unsigned long long)most);
}

int main(int argc, char **argv)
{
    static const struct survive_case cases[] = {
        {"bursts", bursts},       {"corruption", corruption}, {"reordering", reordering},
        {"rebinding", rebinding}, {"replays", replays},
    };

    return survive_main(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
