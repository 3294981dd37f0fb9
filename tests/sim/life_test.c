/* SPDX-License-Identifier: MIT */
/* Goal: what weir.h says of a node's end and of a world: drains in every state, totals that never
 * go back, worlds of no node, of closed ones, and such as are freed in the middle of things.
 * Method: one small world per sentence, through weir.h. */
#include "sim/rig.h"

static const weir_node_options quiet = {.size = sizeof quiet, .observed_off = 1};
static struct rig_log seen;

static void test_a_drain_of_an_idle_node_is_complete_at_once_and_told_once(void **state)
{
    struct sim sim;

    (void)state;
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 1, &quiet);
    assert_int_equal(weir_node_drain(sim.nodes[1], 0x20000000, 0), WEIR_E_ARGUMENT);
    assert_int_equal(weir_node_drain(sim.nodes[1], WEIR_REASON_DRAINING, SIM_SECOND), 0);
    rig_gather(&sim, &seen, 5 * SIM_SECOND);
    assert_int_equal(seen.count, 1);
    assert_int_equal(rig_must(&seen, WEIR_EVENT_DRAINED, 1, 0)->object, 0);
    assert_int_equal(weir_node_drain(sim.nodes[1], 0, 0), 0);
    rig_gather(&sim, &seen, 5 * SIM_SECOND);
    assert_int_equal(seen.count, 0);
    assert_int_equal(weir_node_listen(sim.nodes[1], "10.0.0.1:5000"), WEIR_E_DRAINING);
    sim_close(&sim);
}

static void test_a_draining_node_refuses_who_comes_and_keeps_what_is_open(void **state)
{
    struct sim sim;
    uint64_t ends[2], other[2], stream;

    (void)state;
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 3, &quiet);
    assert_true(sim_connect(&sim, 1, 2, ends, sim_now(&sim) + SIM_SECOND));
    stream = rig_stream(&sim, 1, ends[0], SIM_PROTOCOL, 0);
    rig_write(&sim, 1, stream, "x", 1, 0);
    sim_settle(&sim, sim_now(&sim) + SIM_SECOND);
    assert_int_equal(weir_node_drain(sim.nodes[2], 55, WEIR_NONE), 0);
    assert_int_equal(weir_stream_open(sim.nodes[2], ends[1], SIM_PROTOCOL, NULL), WEIR_E_DRAINING);
    /* New streams are refused, new connections too. */
    (void)rig_stream(&sim, 1, ends[0], SIM_PROTOCOL, 0);
    rig_gather(&sim, &seen, SIM_SECOND);
    assert_int_equal(seen.event[0].kind, WEIR_EVENT_STREAM_RESET);
    assert_int_equal(seen.event[0].amount, WEIR_REASON_DRAINING);
    assert_false(sim_connect(&sim, 3, 2, other, sim_now(&sim) + 5 * SIM_SECOND));
    rig_write(&sim, 1, stream, "y", 1, 0);
    rig_gather(&sim, &seen, SIM_SECOND);
    assert_int_equal(rig_count(&seen, WEIR_EVENT_READABLE, 2, 0), 0); /* one was told already */
    assert_int_equal(rig_count(&seen, WEIR_EVENT_DRAINED, 2, 0), 0);
    /* A shorter deadline wins, a longer one does not. */
    assert_int_equal(weir_node_drain(sim.nodes[2], 56, 3 * SIM_SECOND), 0);
    assert_int_equal(weir_node_drain(sim.nodes[2], 57, 900 * SIM_SECOND), 0);
    rig_gather(&sim, &seen, 2 * SIM_SECOND);
    assert_int_equal(seen.count, 0);
    rig_gather(&sim, &seen, 2 * SIM_SECOND);
    assert_int_equal(rig_must(&seen, WEIR_EVENT_CONNECTION_CLOSED, 1, ends[0])->amount, 55);
    assert_int_equal(rig_must(&seen, WEIR_EVENT_CONNECTION_CLOSED, 2, ends[1])->amount, 55);
    assert_int_equal(rig_count(&seen, WEIR_EVENT_DRAINED, 2, 0), 1);
    sim_close(&sim);
}

static void test_a_node_may_be_closed_while_it_drains(void **state)
{
    struct sim sim;
    uint64_t ends[2];

    (void)state;
    rig_pair(&sim, 1, NULL, ends);
    (void)rig_stream(&sim, 1, ends[0], SIM_PROTOCOL, 0);
    assert_int_equal(weir_node_drain(sim.nodes[1], 0, 10 * SIM_SECOND), 0);
    sim_settle(&sim, sim_now(&sim) + SIM_SECOND);
    assert_int_equal(weir_node_close(sim.nodes[1]), 0);
    assert_int_equal(weir_node_drain(sim.nodes[1], 0, 0), WEIR_E_CLOSED);
    rig_gather(&sim, &seen, 20 * SIM_SECOND);
    assert_int_equal(rig_must(&seen, WEIR_EVENT_CONNECTION_CLOSED, 2, ends[1])->amount,
                     WEIR_REASON_GOING_AWAY);
    assert_int_equal(rig_count(&seen, WEIR_EVENT_DRAINED, 0, 0), 0);
    sim_close(&sim);
}

/* Those that count up: every field but the ones that say how much there is now. */
static void check_totals(struct sim *sim, weir_node_statistics *last)
{
    weir_node_statistics now = {.size = sizeof now};
    const uint64_t *before = &last->bytes_sent, *after = &now.bytes_sent;
    size_t i, count = (sizeof now - offsetof(weir_node_statistics, bytes_sent)) / sizeof *after;

    assert_int_equal(weir_node_get_statistics(sim->nodes[1], &now), 0);
    for (i = 0; i < count; i++) {
        size_t at = offsetof(weir_node_statistics, bytes_sent) + i * sizeof *after;

        if (at == offsetof(weir_node_statistics, connections_open) ||
            at == offsetof(weir_node_statistics, streams_open) ||
            at == offsetof(weir_node_statistics, peers_connected) ||
            at == offsetof(weir_node_statistics, memory_bytes))
            continue;
        assert_true(after[i] >= before[i]);
    }
    *last = now;
}

static void test_totals_never_go_back(void **state)
{
    weir_link_options link = {.size = sizeof link, .loss_ppm = 100000};
    weir_node_statistics last = {.size = sizeof last};
    struct sim sim;
    uint64_t ends[2];
    uint32_t round;

    (void)state;
    sim_open(&sim, 3, WEIR_FIDELITY_PACKET, 2, &quiet);
    sim_link(&sim, &link);
    for (round = 0; round < 5; round++) {
        assert_true(sim_connect(&sim, 1, 2, ends, sim_now(&sim) + 20 * SIM_SECOND));
        check_totals(&sim, &last);
        assert_int_equal(last.peers_connected, 1);
        assert_true(sim_move(&sim, 1, 2, ends[0], 100000, sim_now(&sim) + 60 * SIM_SECOND) > 0);
        check_totals(&sim, &last);
        assert_int_equal(weir_connection_close(sim.nodes[1], ends[0], 0, NULL), 0);
        sim_settle(&sim, sim_now(&sim) + 60 * SIM_SECOND);
        check_totals(&sim, &last);
        assert_int_equal(last.peers_connected, 0);
        assert_int_equal(last.connections_open, 0);
        assert_int_equal(last.streams_open, 0);
    }
    assert_int_equal(last.stream_bytes_read, last.stream_bytes_written);
    assert_true(last.stream_bytes_read >= 500000);
    assert_true(last.packets_lost > 0);
    assert_int_equal(last.handshakes_completed, 10);
    sim_close(&sim);
}

static void test_a_world_without_nodes_is_a_clock(void **state)
{
    weir_link_options link = {.size = sizeof link};
    weir_world_options options = {.size = sizeof options, .start_us = 5};
    weir_world *world;
    weir_event event;

    (void)state;
    assert_int_equal(weir_world_create(&options, &world, NULL), 0);
    assert_int_equal(weir_world_now(world), 5);
    assert_int_equal(weir_world_run(world, 100), 0);
    assert_int_equal(weir_world_now(world), 100);
    /* The past is over: the clock does not go back. */
    assert_int_equal(weir_world_run(world, 50), 0);
    assert_int_equal(weir_world_run(world, 0), 0);
    assert_int_equal(weir_world_now(world), 100);
    assert_int_equal(weir_world_run(world, WEIR_NONE), 0);
    assert_int_equal(weir_world_now(world), 100);
    assert_int_equal(weir_world_poll(world, 0, &event, 1), 0);
    assert_int_equal(weir_world_poll(world, 0, NULL, 0), 0);
    assert_int_equal(weir_world_poll(world, 0, NULL, 1), WEIR_E_NULL);
    assert_int_equal(weir_world_poll(world, 1, &event, 1), WEIR_E_ARGUMENT);
    assert_int_equal(weir_world_link(world, 0, 0, &link), 0);
    assert_int_equal(weir_world_link(world, 0, 1, &link), WEIR_E_ARGUMENT);
    assert_int_equal(weir_world_free(world), 0);
}

static void test_a_run_into_the_past_lets_go_what_was_written(void **state)
{
    struct sim sim;
    uint64_t ends[2], stream, start_us;
    static struct rig_tap tap;

    (void)state;
    rig_pair(&sim, 1, NULL, ends);
    start_us = sim_now(&sim);
    stream = rig_stream(&sim, 1, ends[0], SIM_PROTOCOL, 0);
    rig_write(&sim, 1, stream, "x", 1, 0);
    rig_watch(&sim, &tap);
    assert_int_equal(weir_world_run(sim.world, 1), 0);
    assert_int_equal(sim_now(&sim), start_us);
    rig_gather(&sim, &seen, RIG_DELAY_US);
    assert_int_equal(rig_must(&seen, WEIR_EVENT_STREAM, 2, 0)->time_us, start_us + RIG_DELAY_US);
    sim_close(&sim);
}

static void test_nodes_are_closed_inside_a_world_and_the_rest_goes_on(void **state)
{
    struct sim sim;
    uint64_t ends[2], other[2];
    weir_node *late;

    (void)state;
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 3, &quiet);
    assert_true(sim_connect(&sim, 1, 2, ends, sim_now(&sim) + SIM_SECOND));
    assert_true(sim_connect(&sim, 3, 2, other, sim_now(&sim) + SIM_SECOND));
    assert_int_equal(weir_node_free(sim.nodes[1]), WEIR_E_STATE);
    assert_int_equal(weir_node_close(sim.nodes[1]), 0);
    assert_int_equal(weir_node_close(sim.nodes[1]), 0);
    assert_int_equal(weir_node_free(sim.nodes[1]), WEIR_E_STATE);
    assert_int_equal(weir_node_now(sim.nodes[1]), 0);
    assert_int_equal(weir_node_wake(sim.nodes[1]), WEIR_E_CLOSED);
    rig_gather(&sim, &seen, SIM_SECOND);
    assert_int_equal(rig_must(&seen, WEIR_EVENT_CONNECTION_CLOSED, 2, ends[1])->amount,
                     WEIR_REASON_GOING_AWAY);
    assert_int_equal(rig_count(&seen, WEIR_EVENT_CONNECTION_CLOSED, 1, 0), 0);
    assert_true(sim_move(&sim, 3, 2, other[0], 10000, sim_now(&sim) + SIM_SECOND) > 0);
    /* Its number is not given again; nobody answers at its address. */
    assert_int_equal(weir_world_add_node(sim.world, NULL, &late, NULL), 0);
    assert_false(sim_connect(&sim, 2, 3, ends, sim_now(&sim)));
    assert_int_equal(weir_node_close(sim.nodes[2]), 0);
    assert_int_equal(weir_node_close(sim.nodes[3]), 0);
    assert_int_equal(weir_node_close(late), 0);
    assert_int_equal(weir_world_run(sim.world, sim_now(&sim) + 100 * SIM_SECOND), 0);
    sim_close(&sim);
}

static void test_a_world_is_freed_in_the_middle_of_things(void **state)
{
    weir_stream_options one_way = {.size = sizeof one_way, .flags = WEIR_ONE_WAY};
    static const uint8_t bytes[50000];
    struct sim sim;
    uint64_t ends[2], stream;

    (void)state;
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 3, NULL);
    assert_true(sim_connect(&sim, 1, 2, ends, sim_now(&sim) + SIM_SECOND));
    stream = (uint64_t)weir_stream_open(sim.nodes[1], ends[0], SIM_PROTOCOL, &one_way);
    assert_true(weir_stream_write(sim.nodes[1], stream, bytes, sizeof bytes, 0) > 0);
    (void)sim_dial(&sim, 3, 2);
    assert_true(weir_node_dial(sim.nodes[3], "n1:4001,nobody:1", NULL) > 0);
    (void)weir_world_run(sim.world, sim_now(&sim) + 25 * RIG_MS);
    assert_int_equal(weir_connection_close(sim.nodes[2], ends[1], 0, NULL), 0);
    sim_close(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_drain_of_an_idle_node_is_complete_at_once_and_told_once),
        cmocka_unit_test(test_a_draining_node_refuses_who_comes_and_keeps_what_is_open),
        cmocka_unit_test(test_a_node_may_be_closed_while_it_drains),
        cmocka_unit_test(test_totals_never_go_back),
        cmocka_unit_test(test_a_world_without_nodes_is_a_clock),
        cmocka_unit_test(test_a_run_into_the_past_lets_go_what_was_written),
        cmocka_unit_test(test_nodes_are_closed_inside_a_world_and_the_rest_goes_on),
        cmocka_unit_test(test_a_world_is_freed_in_the_middle_of_things),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
