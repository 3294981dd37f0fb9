/* SPDX-License-Identifier: MIT */
/* Goal: a connection outlives the address of either side, and the application sees no more of it
 * than one event per move. Method: nodes in a world whose links change the sender's address, or
 * that say that their network changed, in the midst of checked transfers. */
#include "sim/rig.h"
#include <string.h>

#define MIB (UINT64_C(1) << 20)

static void open_pair(struct sim *sim, uint32_t fidelity, uint64_t ends[2])
{
    sim_open(sim, 11, fidelity, 2, NULL);
    assert_true(sim_connect(sim, 1, 2, ends, 60 * SIM_SECOND));
    sim_settle(sim, sim_now(sim) + SIM_SECOND);
    sim->seen[WEIR_EVENT_MOVED] = 0;
}

static uint64_t moves(struct sim *sim, uint32_t node, uint64_t connection)
{
    weir_connection_info info = {.size = sizeof info};
    rig_connection_info(sim, node, connection, &info);
    return info.moves;
}

static void test_a_nat_that_forgets_every_second_costs_no_byte(void **state)
{
    (void)state;
    for (uint32_t from = 1; from <= 2; from++) {
        struct sim sim;
        uint64_t ends[2];
        open_pair(&sim, WEIR_FIDELITY_PACKET, ends);
        weir_link_options link = {.size = sizeof link,
                                  .bandwidth_bps = 20000000,
                                  .rebind_every_us = SIM_SECOND,
                                  .one_way = 1};
        weir_link_options back = {.size = sizeof back, .bandwidth_bps = 20000000, .one_way = 1};
        assert_int_equal(weir_world_link(sim.world, 1, 2, &link), 0);
        assert_int_equal(weir_world_link(sim.world, 2, 1, &back), 0);
        uint64_t us = sim_move(&sim, from, 3 - from, ends[from - 1], 10 * MIB,
                               sim_now(&sim) + 120 * SIM_SECOND);
        assert_in_range(us, SIM_SECOND, 30 * SIM_SECOND);
        sim_settle(&sim, sim_now(&sim) + 100 * RIG_MS);
        /* Only the side that saw another address tells of it, once each time. */
        assert_int_equal(moves(&sim, 1, ends[0]), 0);
        assert_true(moves(&sim, 2, ends[1]) >= us / SIM_SECOND - 1);
        assert_int_equal(sim.seen[WEIR_EVENT_MOVED], moves(&sim, 2, ends[1]));
        assert_int_equal(sim.seen[WEIR_EVENT_CONNECTION_CLOSED], 0);
        sim_close(&sim);
    }
}

static void test_a_node_that_says_so_takes_another_way_in_the_midst_of_a_transfer(void **state)
{
    (void)state;
    for (uint32_t fidelity = 0; fidelity < 2; fidelity++) {
        for (uint32_t node = 1; node <= 2; node++) {
            struct sim sim;
            uint64_t ends[2];
            weir_event event;
            open_pair(&sim, fidelity, ends);
            weir_link_options link = {.size = sizeof link, .bandwidth_bps = 20000000};
            sim_link(&sim, &link);
            struct sim_transfer t = {.from = 1, .to = 2, .connection = ends[0], .bytes = 5 * MIB};
            sim_transfer_start(&sim, &t);
            uint64_t next = sim_now(&sim) + 300 * RIG_MS, changes = 0;
            while (!sim_transfer_is_over(&t) && sim_now(&sim) < 100 * SIM_SECOND) {
                if (sim_next(&sim, &event, next)) {
                    (void)sim_transfer_on_event(&sim, &t, &event);
                } else {
                    assert_int_equal(weir_node_network_changed(sim.nodes[node]), 0);
                    changes++;
                    next = sim_now(&sim) + 300 * RIG_MS;
                }
            }
            assert_false(t.is_broken);
            assert_int_equal(t.read, t.bytes);
            assert_true(changes > 2);
            sim_settle(&sim, sim_now(&sim) + SIM_SECOND);
            /* In memory there are no ways to choose from. */
            uint64_t moved = fidelity == WEIR_FIDELITY_PACKET ? changes : 0;
            assert_int_equal(moves(&sim, node, ends[node - 1]), moved);
            assert_int_equal(sim.seen[WEIR_EVENT_MOVED], moved);
            sim_close(&sim);
        }
    }
}

static void test_streams_and_handles_are_the_same_after_a_move(void **state)
{
    (void)state;
    struct sim sim;
    uint64_t ends[2];
    weir_event event;
    open_pair(&sim, WEIR_FIDELITY_PACKET, ends);
    uint64_t stream = rig_stream(&sim, 1, ends[0], SIM_PROTOCOL, 0);
    rig_write(&sim, 1, stream, "before", 6, 0);
    assert_true(sim_wait(&sim, WEIR_EVENT_STREAM, 2, 0, &event, sim_now(&sim) + SIM_SECOND));
    uint64_t far = event.object;
    sim_settle(&sim, sim_now(&sim) + SIM_SECOND);
    rig_expect(&sim, 2, far, "before");
    weir_link_options link = {.size = sizeof link, .rebind_every_us = 3600 * SIM_SECOND};
    assert_int_equal(weir_world_link(sim.world, 1, 2, &link), 0);
    for (int i = 0; i < 3; i++) {
        link.rebind_every_us = (uint64_t)(1 + i) * 100 * RIG_MS;
        assert_int_equal(weir_world_link(sim.world, 1, 2, &link), 0);
        rig_write(&sim, 1, stream, "on", 2, 0);
        sim_settle(&sim, sim_now(&sim) + SIM_SECOND);
        rig_expect(&sim, 2, far, "on");
        rig_write(&sim, 2, far, "back", 4, 0);
        sim_settle(&sim, sim_now(&sim) + SIM_SECOND);
        rig_expect(&sim, 1, stream, "back");
    }
    assert_int_equal(sim.seen[WEIR_EVENT_CONNECTION_CLOSED], 0);
    sim_close(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_nat_that_forgets_every_second_costs_no_byte),
        cmocka_unit_test(test_a_node_that_says_so_takes_another_way_in_the_midst_of_a_transfer),
        cmocka_unit_test(test_streams_and_handles_are_the_same_after_a_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
