/* SPDX-License-Identifier: MIT */
/* Goal: which connections stay: double dials, policy, limits, drain; and what is built on them:
 * holds, the observed address. Method: nodes over the fake network; the dials of both sides arrive
 * in both orders. */
#include "unit/node/fake.h"

struct scene {
    struct fake_net net;
    weir_event events[32];
    uint64_t conn[2];
};

static int setup(void **state)
{
    static struct scene s;
    memset(&s, 0, sizeof s);
    net_init(&s.net);
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;
    net_free(&s->net);
    return 0;
}

static uint32_t conns_up(const struct scene *s, uint32_t node)
{
    const struct fake_transport *t = s->net.transports[node];
    uint32_t count = 0;
    for (const struct list *link = t->conns.next; link != &t->conns; link = link->next)
        count += list_entry(link, struct fake_conn, link)->base.state == CONN_UP ? 1u : 0u;
    return count;
}

/* Both nodes dial; the dial of `first` comes up earlier. The connection of the smaller id must stay
 * on both sides. */
static void merge_in_order(struct scene *s, uint32_t first)
{
    uint32_t small = peer_id_compare(&s->net.keys[0].id, &s->net.keys[1].id) < 0 ? 0 : 1;
    uint64_t dial[2];
    s->net.routes[1 - first].delay_us = 1000; /* the way to the other node */
    s->net.routes[first].delay_us = 3000;
    for (uint32_t i = 0; i < 2; i++) dial[i] = dial_memory(&s->net, s->net.nodes[i], 1 - i);
    net_run(&s->net, 5000);
    /* A side to which the loser's end comes with its beginning has nothing to merge. */
    assert_in_range(s->net.metrics.value[METRIC_CONNECTIONS_MERGED], 1, 2);
    assert_int_equal(conns_up(s, 0), 1);
    assert_int_equal(conns_up(s, 1), 1);
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t total = 0, n, connected = 0, up = 0, closed = 0;
        uint64_t survivor = 0, last = 0;
        while ((n = net_poll(&s->net, s->net.nodes[i], s->events, 1)) > 0) {
            total += n;
            connected += count_kind(s->events, n, WEIR_EVENT_CONNECTED);
            up += count_kind(s->events, n, WEIR_EVENT_PEER_UP);
            if (s->events[0].kind == WEIR_EVENT_CONNECTED) survivor = s->events[0].object;
            if (s->events[0].kind != WEIR_EVENT_CONNECTION_CLOSED) continue;
            closed++;
            last = s->events[0].object;
            assert_int_equal(s->events[0].error, 0);
            assert_int_equal(s->events[0].amount, WEIR_REASON_DUPLICATE);
        }
        assert_int_equal(up, 1);
        assert_true(connected >= 1 && closed <= 1 && total >= 2);
        weir_peer_info info;
        assert_int_equal(node_peer_info(s->net.nodes[i], &s->net.keys[1 - i].id, &info), 0);
        assert_int_equal(info.connections, 1);
        assert_int_equal(info.is_dialled, i == small ? 1 : 0);
        /* The dial of the smaller id's node is the survivor; the other's handle was closed as a
         * duplicate. */
        if (i == small) {
            assert_int_equal(info.connection, dial[i]);
        } else {
            assert_int_equal(last, dial[i]);
            assert_int_equal(info.connection, survivor);
        }
    }
}

static void test_a_double_dial_keeps_the_connection_of_the_smaller_id(void **state)
{
    struct scene *s = *state;
    (void)net_add(&s->net, NULL);
    (void)net_add(&s->net, NULL);
    merge_in_order(s, 0);
}

static void test_a_double_dial_is_decided_alike_in_the_other_order(void **state)
{
    struct scene *s = *state;
    (void)net_add(&s->net, NULL);
    (void)net_add(&s->net, NULL);
    merge_in_order(s, 1);
}

static void test_a_losing_connection_stays_until_its_streams_are_over(void **state)
{
    struct scene *s = *state;
    (void)net_add(&s->net, NULL);
    (void)net_add(&s->net, NULL);
    uint32_t big = peer_id_compare(&s->net.keys[0].id, &s->net.keys[1].id) < 0 ? 1 : 0;
    struct node *loser = s->net.nodes[big], *winner = s->net.nodes[1 - big];
    assert_int_equal(call_text(&s->net, winner, NODE_CALL_SERVE, 0, "echo", NULL), 0);
    uint64_t c = dial_memory(&s->net, loser, 1 - big);
    net_run(&s->net, 2000);
    assert_int_equal(net_poll(&s->net, loser, s->events, 32), 2);
    int64_t stream = call_text(&s->net, loser, NODE_CALL_STREAM_OPEN, c, "echo", NULL);
    assert_int_equal(
        call_stream(&s->net, loser, NODE_CALL_STREAM_WRITE, (uint64_t)stream, 0, "x", 1), 1);
    assert_int_equal(net_poll(&s->net, loser, s->events, 32), 0);
    uint32_t n = net_poll(&s->net, winner, s->events, 32);
    n += net_poll(&s->net, winner, s->events + n, 32 - n);
    assert_int_equal(n, 4);
    uint64_t far = s->events[2].object;
    (void)dial_memory(&s->net, winner, big);
    net_run(&s->net, 2000);
    assert_int_equal(conns_up(s, 0), 2);
    /* The stream goes on, and when it is over its connection follows. */
    assert_int_equal(
        call_stream(&s->net, loser, NODE_CALL_STREAM_WRITE, (uint64_t)stream, WEIR_FIN, "y", 1), 1);
    char text[4];
    while (net_poll(&s->net, loser, s->events, 32) > 0) {
    }
    assert_int_equal(call_read(&s->net, winner, far, text, 4), 2);
    assert_int_equal(call_stream(&s->net, winner, NODE_CALL_STREAM_WRITE, far, WEIR_FIN, NULL, 0),
                     0);
    for (int i = 0; i < 4; i++) {
        while (net_poll(&s->net, winner, s->events, 32) > 0) {
        }
        n = net_poll(&s->net, loser, s->events, 32);
        for (uint32_t k = 0; k < n; k++) {
            if (s->events[k].kind == WEIR_EVENT_READABLE)
                (void)call_read(&s->net, loser, (uint64_t)stream, text, 4);
        }
    }
    assert_int_equal(conns_up(s, 0), 1);
    assert_int_equal(conns_up(s, 1), 1);
}

static void test_policy_turns_peers_away_before_any_event(void **state)
{
    struct scene *s = *state;
    struct node *a = net_add(&s->net, NULL);
    struct node_config config = net_config(&s->net);
    config.refuse_unknown = true;
    struct node *b = net_add(&s->net, &config);
    uint64_t c = dial_memory(&s->net, a, 1);
    net_run(&s->net, 2000);
    assert_int_equal(net_poll(&s->net, b, s->events, 32), 0);
    uint32_t n = 0, k;
    while ((k = net_poll(&s->net, a, s->events + n, 32 - n)) > 0) n += k;
    assert_true(n >= 1);
    bool closed = false;
    for (uint32_t i = 0; i < n; i++) {
        if (s->events[i].kind != WEIR_EVENT_CONNECTION_CLOSED) continue;
        closed = true;
        assert_int_equal(s->events[i].object, c);
        assert_int_equal(s->events[i].error, WEIR_E_REFUSED);
        assert_int_equal(s->events[i].amount, WEIR_REASON_REFUSED);
    }
    assert_true(closed);
    assert_int_equal(s->net.metrics.value[METRIC_CONNECTIONS_REFUSED], 1);
    assert_int_equal(
        call_peer(&s->net, b, NODE_CALL_PEER_ACCESS, &s->net.keys[0].id, WEIR_ACCESS_ACCEPT), 0);
    (void)dial_memory(&s->net, a, 1);
    net_run(&s->net, 2000);
    assert_int_equal(net_poll(&s->net, b, s->events, 32), 2);
    /* Refusing takes effect at once, on what is up and on dials. */
    assert_int_equal(
        call_peer(&s->net, b, NODE_CALL_PEER_ACCESS, &s->net.keys[0].id, WEIR_ACCESS_REFUSE), 0);
    n = net_poll(&s->net, b, s->events, 32);
    assert_int_equal(n, 2);
    assert_int_equal(s->events[0].amount, WEIR_REASON_REFUSED);
    assert_int_equal(s->events[1].kind, WEIR_EVENT_PEER_DOWN);
    assert_int_equal(call_peer(&s->net, b, NODE_CALL_PEER_DIAL, &s->net.keys[0].id, 0),
                     WEIR_E_REFUSED);
    assert_int_equal(call_peer(&s->net, b, NODE_CALL_PEER_ACCESS, &s->net.keys[0].id, 3),
                     WEIR_E_ARGUMENT);
}

static void test_networks_are_kept_apart_unless_a_rule_lets_them_in(void **state)
{
    struct scene *s = *state;
    struct node_config config = net_config(&s->net);
    config.network = "blue";
    struct node *a = net_add(&s->net, &config);
    config = net_config(&s->net);
    config.network = "red";
    struct node *b = net_add(&s->net, &config);
    (void)dial_memory(&s->net, a, 1);
    net_run(&s->net, 2000);
    assert_int_equal(net_poll(&s->net, b, s->events, 32), 0);
    assert_int_equal(net_poll(&s->net, a, s->events, 32), 1);
    assert_int_equal(s->events[0].kind, WEIR_EVENT_CONNECTION_CLOSED);
    assert_int_equal(s->events[0].amount, WEIR_REASON_NETWORK);
    struct node_call call = {
        .kind = NODE_CALL_NETWORK_ACCESS, .data = "red", .len = 3, .flags = WEIR_ACCESS_ACCEPT};
    assert_int_equal(net_input(&s->net, a, NODE_INPUT_CALL, &call), 0);
    call.data = "blue", call.len = 4;
    assert_int_equal(net_input(&s->net, b, NODE_INPUT_CALL, &call), 0);
    (void)dial_memory(&s->net, a, 1);
    net_run(&s->net, 2000);
    assert_int_equal(net_poll(&s->net, b, s->events, 32), 2);
    call.flags = WEIR_ACCESS_DEFAULT;
    assert_int_equal(net_input(&s->net, b, NODE_INPUT_CALL, &call), 0);
    assert_int_equal(net_poll(&s->net, b, s->events, 32), 2);
    assert_int_equal(s->events[0].amount, WEIR_REASON_NETWORK);
    static char long_name[66];
    memset(long_name, 'x', 65);
    assert_int_equal(call_text(&s->net, b, NODE_CALL_NETWORK_ACCESS, 0, long_name, NULL),
                     WEIR_E_NAME);
}

static void test_a_full_node_refuses_the_next_peer(void **state)
{
    struct scene *s = *state;
    s->net.limits.value[LIMIT_PEERS] = 1;
    struct node *a = net_add(&s->net, NULL);
    struct node *b = net_add(&s->net, NULL), *c = net_add(&s->net, NULL);
    (void)dial_memory(&s->net, b, 0);
    net_run(&s->net, 2000);
    (void)dial_memory(&s->net, c, 0);
    net_run(&s->net, 2000);
    assert_int_equal(net_poll(&s->net, a, s->events, 32), 2);
    assert_int_equal(net_poll(&s->net, a, s->events, 32), 0);
    assert_int_equal(node_peers_connected(a), 1);
    uint32_t n = net_poll(&s->net, c, s->events, 32);
    n += net_poll(&s->net, c, s->events + n, 32 - n);
    assert_true(n >= 1);
    assert_int_equal(s->events[n - 1].amount, WEIR_REASON_FULL);
}

static void test_many_peers_are_found_by_their_id_and_listed(void **state)
{
    struct scene *s = *state;
    struct node *hub = net_add(&s->net, NULL);
    weir_peer_info info;
    for (uint32_t i = 1; i < FAKE_NODES; i++) (void)dial_memory(&s->net, net_add(&s->net, NULL), 0);
    net_run(&s->net, 2000);
    assert_int_equal(node_peers_connected(hub), FAKE_NODES - 1);
    struct peer_id nobody = s->net.keys[1].id;
    nobody.bytes[37] ^= 1;
    assert_int_equal(call_peer(&s->net, hub, NODE_CALL_PEER_HOLD, &nobody, 0), 0);
    struct node_peer_cursor cursor = {0};
    uint32_t seen = 0;
    while (node_peer_next(hub, &cursor, &info)) seen++;
    assert_int_equal(seen, FAKE_NODES);
    assert_int_equal(info.holds, 1);
    assert_int_equal(info.connections, 0);
    for (uint32_t i = 1; i < FAKE_NODES; i++) {
        assert_int_equal(node_peer_info(hub, &s->net.keys[i].id, &info), 0);
        assert_int_equal(info.connections, 1);
        assert_true(info.up_since_us <= s->net.now_us && info.up_since_us + 8192 > s->net.now_us);
        assert_int_equal(
            call_simple(&s->net, hub, NODE_CALL_CONNECTION_CLOSE, info.connection, 0, 0), 0);
        assert_int_equal(node_peer_info(hub, &s->net.keys[i].id, &info), WEIR_E_NOT_FOUND);
    }
    while (net_poll(&s->net, hub, s->events, 32) > 0) {
    }
    assert_int_equal(node_peers_connected(hub), 0);
}

static void test_holds_are_counted_and_told_to_the_transport(void **state)
{
    struct scene *s = *state;
    struct node *a = net_add(&s->net, NULL);
    (void)net_add(&s->net, NULL);
    const struct peer_id *peer = &s->net.keys[1].id;
    assert_int_equal(call_peer(&s->net, a, NODE_CALL_PEER_RELEASE, peer, 0), WEIR_E_STATE);
    assert_int_equal(call_peer(&s->net, a, NODE_CALL_PEER_HOLD, peer, 0), 0);
    net_pair(&s->net, s->conn);
    struct fake_conn *c = list_first(&s->net.transports[0]->conns, struct fake_conn, link);
    assert_true(c->held);
    assert_int_equal(call_peer(&s->net, a, NODE_CALL_PEER_HOLD, peer, 0), 0);
    assert_int_equal(call_peer(&s->net, a, NODE_CALL_PEER_RELEASE, peer, 0), 0);
    assert_true(c->held);
    assert_int_equal(call_peer(&s->net, a, NODE_CALL_PEER_RELEASE, peer, 0), 0);
    assert_int_equal(call_peer(&s->net, a, NODE_CALL_PEER_RELEASE, peer, 0), WEIR_E_STATE);
    assert_false(c->held);
}

static void test_a_drain_lets_streams_finish_and_then_closes(void **state)
{
    struct scene *s = *state;
    struct node *a = net_add(&s->net, NULL), *b = net_add(&s->net, NULL);
    assert_int_equal(call_text(&s->net, b, NODE_CALL_SERVE, 0, "echo", NULL), 0);
    net_pair(&s->net, s->conn);
    int64_t stream = call_text(&s->net, a, NODE_CALL_STREAM_OPEN, s->conn[0], "echo", NULL);
    assert_int_equal(call_simple(&s->net, a, NODE_CALL_DRAIN, 0, WEIR_REASON_DRAINING, 10000000),
                     0);
    assert_int_equal(call_text(&s->net, a, NODE_CALL_DIAL, 0, "/memory/1", NULL), WEIR_E_DRAINING);
    assert_int_equal(call_text(&s->net, a, NODE_CALL_STREAM_OPEN, s->conn[0], "echo", NULL),
                     WEIR_E_DRAINING);
    assert_int_equal(
        call_stream(&s->net, a, NODE_CALL_STREAM_WRITE, (uint64_t)stream, WEIR_FIN, "x", 1), 1);
    (void)net_poll(&s->net, a, s->events, 32);
    assert_false(node_is_drained(a));
    assert_int_equal(net_poll(&s->net, b, s->events, 32), 2);
    char text[4];
    uint64_t far = s->events[0].object;
    assert_int_equal(call_read(&s->net, b, far, text, 4), 1);
    assert_int_equal(call_stream(&s->net, b, NODE_CALL_STREAM_WRITE, far, WEIR_FIN, NULL, 0), 0);
    (void)net_poll(&s->net, b, s->events, 32);
    uint32_t n = 0, k, kinds[16];
    while ((k = net_poll(&s->net, a, s->events, 1)) > 0) kinds[n++] = s->events[0].kind;
    assert_true(n >= 4);
    assert_int_equal(kinds[n - 4], WEIR_EVENT_STREAM_CLOSED);
    assert_int_equal(kinds[n - 3], WEIR_EVENT_CONNECTION_CLOSED);
    assert_int_equal(kinds[n - 2], WEIR_EVENT_PEER_DOWN);
    assert_int_equal(kinds[n - 1], WEIR_EVENT_DRAINED);
    assert_true(node_is_drained(a));
    assert_int_equal(net_poll(&s->net, a, s->events, 32), 0);
}

static void test_a_drain_ends_at_its_deadline_and_a_shorter_one_wins(void **state)
{
    struct scene *s = *state;
    struct node *a = net_add(&s->net, NULL);
    (void)net_add(&s->net, NULL);
    net_pair(&s->net, s->conn);
    assert_true(call_text(&s->net, a, NODE_CALL_STREAM_OPEN, s->conn[0], "echo", NULL) > 0);
    assert_int_equal(call_simple(&s->net, a, NODE_CALL_DRAIN, 0, 3, 10000000), 0);
    assert_int_equal(call_simple(&s->net, a, NODE_CALL_DRAIN, 0, 3, 1000000), 0);
    assert_int_equal(call_simple(&s->net, a, NODE_CALL_DRAIN, 0, 3, 20000000), 0);
    net_run(&s->net, 999999);
    assert_false(node_has_events(a));
    net_run(&s->net, 1);
    uint32_t n = net_poll(&s->net, a, s->events, 32);
    assert_int_equal(s->events[n - 1].kind, WEIR_EVENT_DRAINED);
    assert_int_equal(s->events[1].amount, 3);
}

static void test_the_listener_tells_the_dialler_its_address(void **state)
{
    struct scene *s = *state;
    struct node_config config = net_config(&s->net);
    config.observed_off = false;
    struct node *a = net_add(&s->net, &config);
    config = net_config(&s->net);
    config.observed_off = false;
    struct node *b = net_add(&s->net, &config);
    char text[80];
    net_route(&s->net, endpoint_ip4(8, 8, 8, 8, 7), ROUTE_UP, 1, 1000);
    int64_t c = call_text(&s->net, a, NODE_CALL_DIAL, 0, "8.8.8.8:7", NULL);
    net_run(&s->net, 2000);
    assert_int_equal(net_poll(&s->net, a, s->events, 32), 2);
    assert_int_equal(node_connection_observed(a, (uint64_t)c, text, sizeof text), WEIR_E_NOT_FOUND);
    assert_int_equal(net_poll(&s->net, b, s->events, 32), 2); /* of the question nothing is seen */
    uint32_t n = 0, k;
    while ((k = net_poll(&s->net, a, s->events + n, 32 - n)) > 0) n += k;
    net_settle(&s->net);
    while ((k = net_poll(&s->net, a, s->events + n, 32 - n)) > 0) n += k;
    assert_int_equal(n, 1);
    assert_int_equal(s->events[0].kind, WEIR_EVENT_OBSERVED);
    assert_int_equal(node_connection_observed(a, (uint64_t)c, text, sizeof text),
                     strlen("127.0.0.1:5000"));
    assert_string_equal(text, "127.0.0.1:5000");
    assert_int_equal(net_poll(&s->net, b, s->events, 32), 0);
    assert_int_equal(s->net.metrics.value[METRIC_STREAMS_OPEN], 0);
}

static void test_listening_gives_addresses_and_failures_their_sentence(void **state)
{
    struct scene *s = *state;
    struct node *a = net_add(&s->net, NULL);
    char text[WEIR_ADDRESS_TEXT_MAX];
    assert_int_equal(call_text(&s->net, a, NODE_CALL_LISTEN, 0, "127.0.0.1:4001", NULL), 0);
    assert_int_equal(call_text(&s->net, a, NODE_CALL_LISTEN, 0, ":4002", NULL), 0);
    assert_true(node_address(a, 0, text, sizeof text) > 0);
    assert_non_null(strstr(text, "/ip4/127.0.0.1/udp/4001/weir/p2p/12D3"));
    assert_int_equal(node_address(a, 2, text, sizeof text), WEIR_E_NOT_FOUND);
    assert_int_equal(node_address(a, 0, text, 10), WEIR_E_SPACE);
    assert_int_equal(call_text(&s->net, a, NODE_CALL_LISTEN, 0, "example.org:1", NULL),
                     WEIR_E_ADDRESS);
    assert_int_equal(call_text(&s->net, a, NODE_CALL_LISTEN, 0, "nonsense", NULL), WEIR_E_ADDRESS);
    s->net.listen_error = WEIR_E_ADDRESS_IN_USE;
    assert_int_equal(call_text(&s->net, a, NODE_CALL_LISTEN, 0, ":4003", NULL),
                     WEIR_E_ADDRESS_IN_USE);
    assert_string_equal(node_error(a)->detail, "the port is taken");
    assert_int_equal(node_address(a, 2, text, sizeof text), WEIR_E_NOT_FOUND);
    assert_int_equal(call_text(&s->net, a, NODE_CALL_LISTEN, 0, ":4004", NULL),
                     WEIR_E_ADDRESS_IN_USE);
    s->net.listen_error = 0;
    assert_int_equal(call_text(&s->net, a, NODE_CALL_LISTEN, 0, ":4004", NULL), 0);
    node_close(a);
    assert_int_equal(s->net.listens, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(test_a_double_dial_keeps_the_connection_of_the_smaller_id),
        T(test_a_double_dial_is_decided_alike_in_the_other_order),
        T(test_a_losing_connection_stays_until_its_streams_are_over),
        T(test_policy_turns_peers_away_before_any_event),
        T(test_networks_are_kept_apart_unless_a_rule_lets_them_in),
        T(test_a_full_node_refuses_the_next_peer),
        T(test_many_peers_are_found_by_their_id_and_listed),
        T(test_holds_are_counted_and_told_to_the_transport),
        T(test_a_drain_lets_streams_finish_and_then_closes),
        T(test_a_drain_ends_at_its_deadline_and_a_shorter_one_wins),
        T(test_the_listener_tells_the_dialler_its_address),
        T(test_listening_gives_addresses_and_failures_their_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
