/* SPDX-License-Identifier: MIT */
/* Goal: what rests costs little. An idle UDP connection at most 12 KiB at each side, nothing from
 * the heap per packet, a node in memory with 5 connections a few objects. Method: the nodes get an
 * allocator that counts, the world another one: so the simulator's own tables (addresses, links,
 * agenda) are told apart, and both are printed. */
#include "loop/loop_conn.h"
#include "node/state.h"
#include "sim/rig.h"

/* docs/decisions/0018: 1.5 KiB per node in memory with 5 connections. */
enum { IDLE_BYTES_MAX = 12 << 10, NODE_BYTES_MAX = 1536 };

static const weir_node_options quiet = {.size = sizeof quiet, .observed_off = 1};

/* Nodes with a counter each. */
struct counted {
    struct sim sim;
    struct mem_counter heaps[3];
    uint64_t ends[2], before[3];
};

static void open_counted(struct counted *c, const weir_node_options *options)
{
    uint32_t i;

    rig_open(&c->sim, mem_system(), 1, WEIR_FIDELITY_PACKET);
    for (i = 1; i <= 2; i++) {
        mem_counter_init(&c->heaps[i], mem_system());
        (void)rig_add(&c->sim, options, &c->heaps[i].mem);
        c->before[i] = c->heaps[i].live_bytes;
    }
    assert_true(sim_connect(&c->sim, 1, 2, c->ends, sim_now(&c->sim) + SIM_SECOND));
}

static void check_idle(struct counted *c, const char *what)
{
    uint32_t i;

    for (i = 1; i <= 2; i++) {
        uint64_t heap = c->heaps[i].live_bytes - c->before[i];
        weir_connection_info info;

        rig_connection_info(&c->sim, i, c->ends[i - 1], &info);
        print_message("  %s, node %u: %llu bytes of heap, %llu charged\n", what, i,
                      (unsigned long long)heap, (unsigned long long)info.memory_bytes);
        assert_in_range(heap, 1, IDLE_BYTES_MAX);
        assert_in_range(info.memory_bytes, 1, IDLE_BYTES_MAX);
    }
}

static void test_an_idle_connection_costs_at_most_12_kib_each_side(void **state)
{
    static struct counted c;

    (void)state;
    open_counted(&c, NULL);
    sim_settle(&c.sim, sim_now(&c.sim) + 5 * SIM_SECOND);
    check_idle(&c, "fresh");
    sim_close(&c.sim);
    assert_int_equal(c.heaps[1].live_bytes, 0);
    assert_int_equal(c.heaps[2].live_bytes, 0);
}

static void test_a_connection_gives_its_memory_back_after_a_transfer(void **state)
{
    weir_link_options link = {.size = sizeof link, .loss_ppm = 10000};
    static struct counted c;
    uint64_t peak;

    (void)state;
    open_counted(&c, NULL);
    sim_link(&c.sim, &link);
    assert_true(sim_move(&c.sim, 1, 2, c.ends[0], 4 << 20, sim_now(&c.sim) + 60 * SIM_SECOND) > 0);
    assert_true(sim_move(&c.sim, 2, 1, c.ends[1], 4 << 20, sim_now(&c.sim) + 60 * SIM_SECOND) > 0);
    peak = c.heaps[1].peak_bytes;
    sim_settle(&c.sim, sim_now(&c.sim) + 10 * SIM_SECOND);
    assert_true(peak > 4 * IDLE_BYTES_MAX);
    check_idle(&c, "after 4 MiB each way");
    sim_close(&c.sim);
}

static void test_steady_state_takes_nothing_from_the_heap(void **state)
{
    static uint8_t data[1000];
    static struct counted c;
    uint64_t stream, there = 0, calls[3] = {0};
    weir_event event;
    uint32_t i;

    (void)state;
    open_counted(&c, &quiet);
    stream = rig_stream(&c.sim, 1, c.ends[0], SIM_PROTOCOL, 0);
    for (i = 0; i < 2000; i++) {
        if (i == 1000) {
            calls[1] = c.heaps[1].calls;
            calls[2] = c.heaps[2].calls;
        }
        rig_write(&c.sim, 1, stream, data, sizeof data, 0);
        while (sim_next(&c.sim, &event, sim_now(&c.sim) + 5 * RIG_MS)) {
            if (event.kind == WEIR_EVENT_STREAM) there = event.object;
            if (event.kind == WEIR_EVENT_READABLE) (void)rig_drop(&c.sim, 2, there);
        }
    }
    print_message("  1000 packets: %llu and %llu calls of the allocator\n",
                  (unsigned long long)(c.heaps[1].calls - calls[1]),
                  (unsigned long long)(c.heaps[2].calls - calls[2]));
    assert_int_equal(c.heaps[1].calls - calls[1], 0);
    assert_int_equal(c.heaps[2].calls - calls[2], 0);
    sim_close(&c.sim);
}

/* Where the bytes of a node in memory are. */
static void print_parts(const weir_node *weir, uint64_t bytes, uint32_t connections)
{
    const struct node *node = (const void *)weir;
    uint64_t shell = sizeof *node + node->transport_count * sizeof node->transports[0];
    uint64_t handles = node->handles.capacity * sizeof(struct handle_slot);
    uint64_t conns = connections * sizeof(struct loop_conn);

    print_message("  of them: node %llu, transport %zu, %u handle slots %llu, %u connections %llu, "
                  "address and protocol %llu\n",
                  (unsigned long long)shell, sizeof(struct loop), node->handles.capacity,
                  (unsigned long long)handles, connections, (unsigned long long)conns,
                  (unsigned long long)(bytes - shell - sizeof(struct loop) - handles - conns));
}

static void test_a_node_in_memory_with_5_connections_is_small(void **state)
{
    enum { NODES = 1000, DIALS = 5 };
    static weir_node *nodes[NODES];
    struct mem_counter of_nodes, of_world;
    uint64_t up[2] = {0}, per_node;
    weir_event event;
    struct sim sim;
    uint32_t i, k;

    (void)state;
    mem_counter_init(&of_nodes, mem_system());
    mem_counter_init(&of_world, mem_system());
    rig_open(&sim, &of_world.mem, 3, WEIR_FIDELITY_MESSAGE);
    for (i = 0; i < NODES; i++) nodes[i] = rig_add(&sim, &quiet, &of_nodes.mem);
    print_message("  without connections: %llu bytes each\n",
                  (unsigned long long)(of_nodes.live_bytes / NODES));
    /* A ring in which every other node dials 5 of those between: each has 5 ends. */
    for (i = 0; i < NODES; i += 2) {
        for (k = 1; k <= DIALS; k++) {
            char address[WEIR_ADDRESS_TEXT_MAX];
            weir_node *to = nodes[(i + 2 * k - 1) % NODES];

            assert_true(weir_node_address(to, 0, address, sizeof address) > 0);
            assert_true(weir_node_dial(nodes[i], address, NULL) > 0);
        }
    }
    while (sim_next(&sim, &event, sim_now(&sim) + SIM_SECOND)) {
        if (event.kind == WEIR_EVENT_CONNECTED) up[event.amount]++;
    }
    assert_int_equal(up[0], NODES / 2 * DIALS);
    assert_int_equal(up[1], NODES / 2 * DIALS);
    for (i = 0; i < NODES; i++) assert_int_equal(weir_peer_list(nodes[i], NULL, 0), DIALS);
    per_node = of_nodes.live_bytes / NODES;
    print_message("  with %d connections: %llu bytes each, %llu at most; "
                  "the simulator's own: %llu\n",
                  DIALS, (unsigned long long)per_node,
                  (unsigned long long)(of_nodes.peak_bytes / NODES),
                  (unsigned long long)(of_world.live_bytes / NODES));
    print_parts(nodes[0], per_node, DIALS);
    assert_in_range(per_node, 1, NODE_BYTES_MAX);
    sim_close(&sim);
    assert_int_equal(of_nodes.live_bytes, 0);
    assert_int_equal(of_world.live_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_idle_connection_costs_at_most_12_kib_each_side),
        cmocka_unit_test(test_a_connection_gives_its_memory_back_after_a_transfer),
        cmocka_unit_test(test_steady_state_takes_nothing_from_the_heap),
        cmocka_unit_test(test_a_node_in_memory_with_5_connections_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
