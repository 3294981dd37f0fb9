/* SPDX-License-Identifier: MIT */
/* Goal: a node survives any allocation that fails, gives everything back, and costs little when it
 * rests. Method: one scenario is run again and again while the n-th allocation returns NULL, for
 * every n that it makes; the counting allocator must end at 0 (net_free). */
#include "unit/node/fake.h"
#include "node/state.h"

enum { ALLOCATIONS_MAX = 2000, IDLE_CONNECTIONS = 5, NODE_PART_BYTES = 544 };

static void read_all(struct fake_net *net, struct node *node, const weir_event *events,
                     uint32_t count)
{
    char text[64];
    for (uint32_t i = 0; i < count; i++) {
        if (events[i].kind != WEIR_EVENT_READABLE) continue;
        while (call_read(net, node, events[i].object, text, sizeof text) > 0) {
        }
        (void)call_stream(net, node, NODE_CALL_STREAM_WRITE, events[i].object, WEIR_FIN, "ok", 2);
    }
}

/* Nothing here may assume that a call succeeds. @return whether both nodes could be made */
static bool scenario(struct fake_net *net)
{
    weir_event events[16];
    for (uint32_t i = 0; i < 2; i++) {
        struct node_config config = net_config(net);
        config.network = "net";
        config.observed_off = false;
        config.shared_limits = NULL;
        if (i == 1) config.metrics = NULL, config.log = NULL;
        net->networks[i] = "net";
        if (node_open(&config, &net->nodes[i]) != 0) return false;
        net->count++;
    }
    struct node *a = net->nodes[0], *b = net->nodes[1];
    net_route(net, endpoint_memory(1), ROUTE_UP, 1, 1000);
    net_route(net, endpoint_memory(0), ROUTE_UP, 0, 1000);
    net_route(net, endpoint_ip4(8, 8, 8, 8, 7), ROUTE_UP, 1, 2000);
    (void)call_text(net, b, NODE_CALL_LISTEN, 0, "127.0.0.1:1", NULL);
    (void)call_text(net, b, NODE_CALL_SERVE, 0, "echo", NULL);
    (void)call_peer(net, a, NODE_CALL_PEER_HOLD, &net->keys[1].id, 0);
    (void)call_text(net, a, NODE_CALL_NETWORK_ACCESS, 0, "other", NULL);
    (void)call_text(net, a, NODE_CALL_DIAL, 0, "8.8.8.8:7,example.org:7,/memory/1", NULL);
    (void)call_text(net, b, NODE_CALL_DIAL, 0, "/memory/0", NULL);
    net_run(net, 5000);
    weir_peer_info peer;
    if (node_peer_info(a, &net->keys[1].id, &peer) == 0 && peer.connection != 0) {
        int64_t s = call_text(net, a, NODE_CALL_STREAM_OPEN, peer.connection, "echo", NULL);
        if (s > 0)
            (void)call_stream(net, a, NODE_CALL_STREAM_WRITE, (uint64_t)s, WEIR_FIN, "body", 4);
        (void)call_text(net, a, NODE_CALL_STREAM_OPEN, peer.connection, "unknown", NULL);
    }
    for (int round = 0; round < 6; round++) {
        for (uint32_t i = 0; i < 2; i++) {
            (void)net_input(net, net->nodes[i], NODE_INPUT_TURN, NULL);
            net_settle(net);
            uint32_t count = node_next_events(net->nodes[i], events, 16);
            read_all(net, net->nodes[i], events, count);
        }
    }
    (void)node_error(a);
    (void)call_simple(net, a, NODE_CALL_DRAIN, 0, 1, 0);
    net_run(net, 1000);
    (void)node_next_events(a, events, 16);
    return true;
}

static void test_every_allocation_may_fail(void **state)
{
    static struct fake_net net;
    uint64_t n = 0;
    bool failed = true;
    (void)state;
    while (failed) {
        n++;
        assert_true(n < ALLOCATIONS_MAX);
        net_init(&net);
        net.counter.fail_at = n;
        (void)scenario(&net);
        failed = net.counter.fail_at == 0;
        net.counter.fail_at = 0;
        net_free(&net);
    }
    assert_true(n > 40); /* the scenario does allocate */
}

static void test_a_tiny_budget_refuses_and_leaks_nothing(void **state)
{
    static struct fake_net net;
    (void)state;
    for (uint64_t bytes = 0; bytes < 16384; bytes += 256) {
        net_init(&net);
        net.limits.value[LIMIT_NODE_MEMORY] = bytes;
        (void)scenario(&net);
        net_free(&net);
    }
}

static void test_a_resting_node_with_five_connections_is_small(void **state)
{
    static struct fake_net net;
    weir_event events[16];
    (void)state;
    net_init(&net);
    net.no_streams = true;
    struct node *hub = net_add(&net, NULL);
    for (uint32_t i = 1; i <= IDLE_CONNECTIONS; i++) {
        struct node *other = net_add(&net, NULL);
        if (i % 2 == 0) {
            (void)dial_memory(&net, other, 0);
        } else {
            (void)dial_memory(&net, hub, i);
        }
    }
    net_run(&net, 2000);
    for (uint32_t i = 0; i < net.count; i++) {
        while (net_poll(&net, net.nodes[i], events, 16) > 0) {
        }
        (void)net_poll(&net, net.nodes[i], events, 16);
    }
    assert_int_equal(node_peers_connected(hub), IDLE_CONNECTIONS);
    uint64_t live = net.counter.live_bytes;
    node_close(hub);
    for (uint32_t i = 1; i < net.count; i++)
        assert_int_equal(node_peers_connected(net.nodes[i]), 1);
    uint64_t freed = live - net.counter.live_bytes;
    /* What is node's: all but the transport's record and its connections. */
    uint64_t own = freed - sizeof(struct fake_transport) -
                   IDLE_CONNECTIONS * sizeof(struct fake_conn) + sizeof(struct node) +
                   sizeof(struct transport *);
    print_message("node's own part with %d idle connections: %llu bytes, of them struct node %zu\n",
                  IDLE_CONNECTIONS, (unsigned long long)own, sizeof(struct node));
    assert_true(own <= NODE_PART_BYTES);
    net_free(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_a_tiny_budget_refuses_and_leaks_nothing),
        cmocka_unit_test(test_a_resting_node_with_five_connections_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
