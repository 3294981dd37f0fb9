/* SPDX-License-Identifier: MIT */
/* Goal: one seed, one trace, on every machine and with every compiler. Method: a scenario with some
 * of everything is run and its hash compared: with a second run, with another seed, and with a
 * value that is written down here.
 *
 * The frozen values change with every change of what nodes send or when. Then take the printed
 * ones, after a look at whether the change was meant to do that; that two compilers agree is what
 * counts. */
#include "base/rng.h"
#include "sim/rig.h"

enum { NODES = 6, DIALS = 8, ACTIONS = 120 };

#define FROZEN_PACKET UINT64_C(0xa729a607d55b4d19)
#define FROZEN_MESSAGE UINT64_C(0x4bc595c2a4dbd6a5)

struct busy {
    struct sim sim;
    struct rng rng;
    uint64_t connections[64], owner[64]; /**< that are up, and at which node */
    uint32_t count;
    uint64_t read;
};

static uint32_t draw(struct busy *b, uint32_t below)
{
    return (uint32_t)rng_below(&b->rng, below);
}

static void on_busy_event(struct busy *b, const weir_event *event)
{
    weir_node *node = b->sim.nodes[event->node];
    uint8_t buffer[2000];
    int64_t count;
    uint32_t i;

    if (event->kind == WEIR_EVENT_CONNECTED && b->count < 64) {
        b->connections[b->count] = event->object;
        b->owner[b->count++] = event->node;
    }
    for (i = 0; event->kind == WEIR_EVENT_CONNECTION_CLOSED && i < b->count; i++) {
        if (b->connections[i] != event->object || b->owner[i] != event->node) continue;
        b->connections[i] = b->connections[--b->count];
        b->owner[i] = b->owner[b->count];
    }
    if (event->kind != WEIR_EVENT_READABLE) return;
    while ((count = weir_stream_read(node, event->object, buffer, sizeof buffer)) > 0) {
        b->read += (uint64_t)count;
        /* Echo, as far as there is room. */
        (void)weir_stream_write(node, event->object, buffer, (uint32_t)count / 2, 0);
    }
    if (count == WEIR_E_END) (void)weir_stream_finish(node, event->object);
}

/* One thing that an application might do. */
static void act(struct busy *b)
{
    static const uint8_t data[9000];
    uint32_t what = draw(b, 20), at = b->count == 0 ? 0 : draw(b, b->count);
    weir_node *node = b->sim.nodes[b->owner[at]];
    weir_stream_options options = {.size = sizeof options, .urgency_plus1 = 1 + draw(b, 8)};
    int64_t stream;

    if (b->count == 0 || what == 0) {
        uint32_t from = 1 + draw(b, NODES), to = 1 + draw(b, NODES - 1);

        (void)sim_dial(&b->sim, from, to >= from ? to + 1 : to);
        return;
    }
    if (what == 1) {
        (void)weir_connection_close(node, b->connections[at], what, "enough");
        return;
    }
    if (what % 3 == 0) options.flags = WEIR_ONE_WAY;
    stream = weir_stream_open(node, b->connections[at], what == 2 ? "not/served" : SIM_PROTOCOL,
                              &options);
    if (stream < 0) return;
    (void)weir_stream_write(node, (uint64_t)stream, data, draw(b, sizeof data),
                            what < 14 ? WEIR_FIN : 0);
    if (what == 18) (void)weir_stream_reset(node, (uint64_t)stream, 18);
    if (what == 19) (void)weir_stream_stop(node, (uint64_t)stream, 19);
}

static uint64_t run(uint64_t seed, uint32_t fidelity, uint64_t *read)
{
    weir_link_options link = {
        .size = sizeof link,
        .loss_ppm = 30000,
        .jitter_us = 4 * RIG_MS,
        .bandwidth_bps = 20000000,
        .duplicate_ppm = 10000,
        .reorder_ppm = 10000,
        .reorder_us = 7 * RIG_MS,
        .corrupt_ppm = 5000,
    };
    static struct busy b;
    weir_event event;
    uint64_t hash;
    uint32_t i;

    b.count = 0;
    b.read = 0;
    rng_init(&b.rng, seed, "busy", 0);
    sim_open(&b.sim, seed, fidelity, NODES, NULL);
    sim_link(&b.sim, &link);
    for (i = 0; i < DIALS; i++)
        (void)sim_dial(&b.sim, 1 + i % NODES, 1 + (i + 1 + i / NODES) % NODES);
    for (i = 0; i < ACTIONS; i++) {
        uint64_t until_us = sim_now(&b.sim) + 1 + draw(&b, 100 * 1000);

        while (sim_next(&b.sim, &event, until_us)) on_busy_event(&b, &event);
        act(&b);
    }
    assert_int_equal(weir_node_drain(b.sim.nodes[1], 7, SIM_SECOND), 0);
    while (sim_next(&b.sim, &event, sim_now(&b.sim) + 60 * SIM_SECOND)) on_busy_event(&b, &event);
    /* It was a run worth the name. */
    assert_true(b.sim.seen[WEIR_EVENT_CONNECTED] >= DIALS);
    assert_true(b.sim.seen[WEIR_EVENT_CONNECTION_CLOSED] > 0);
    assert_true(b.sim.seen[WEIR_EVENT_STREAM] > ACTIONS / 4);
    assert_true(b.sim.seen[WEIR_EVENT_STREAM_RESET] > 0);
    assert_true(b.sim.seen[WEIR_EVENT_STREAM_STOPPED] > 0);
    assert_true(b.read > 100000);
    *read = b.read;
    hash = weir_world_hash(b.sim.world);
    sim_close(&b.sim);
    return hash;
}

static void check(uint32_t fidelity, uint64_t frozen)
{
    uint64_t read[3], first = run(4242, fidelity, &read[0]);

    print_message("  seed 4242: %#llx, %llu bytes read\n", (unsigned long long)first,
                  (unsigned long long)read[0]);
    assert_true(first == run(4242, fidelity, &read[1]));
    assert_true(read[0] == read[1]);
    assert_true(first != run(4243, fidelity, &read[2]));
    if (first != frozen) fail_msg("the trace is not %#llx any more", (unsigned long long)frozen);
}

static void test_the_same_seed_gives_the_same_trace_of_packets(void **state)
{
    (void)state;
    check(WEIR_FIDELITY_PACKET, FROZEN_PACKET);
}

static void test_the_same_seed_gives_the_same_trace_of_messages(void **state)
{
    (void)state;
    check(WEIR_FIDELITY_MESSAGE, FROZEN_MESSAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_seed_gives_the_same_trace_of_packets),
        cmocka_unit_test(test_the_same_seed_gives_the_same_trace_of_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
