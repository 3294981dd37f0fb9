/* SPDX-License-Identifier: MIT */
/* Goal: what weir.h says of connections and peers holds between nodes: ends with their reasons, up
 * and down, holds, access, double dials, the observed address, drain, the book, dials of several
 * addresses. Method: small worlds; each test acts on one node and looks at the events and answers
 * of all. */
#include "sim/rig.h"
#include <stdio.h>
#include <string.h>

static const weir_node_options quiet = {.size = sizeof quiet, .observed_off = 1};

static weir_peer_id peer_of(struct sim *sim, uint32_t node)
{
    weir_peer_id peer;

    assert_int_equal(weir_node_peer(sim->nodes[node], &peer), 0);
    return peer;
}

static void address_of(struct sim *sim, uint32_t node, char text[WEIR_ADDRESS_TEXT_MAX])
{
    assert_true(weir_node_address(sim->nodes[node], 0, text, WEIR_ADDRESS_TEXT_MAX) > 0);
}

static void test_a_close_is_read_with_its_reason_and_text(void **state)
{
    weir_connection_info info;
    const weir_event *event;
    static struct rig_log log;
    uint64_t ends[2], stream;
    struct sim sim;

    (void)state;
    rig_pair(&sim, 1, NULL, ends);
    stream = rig_stream(&sim, 1, ends[0], SIM_PROTOCOL, 0);
    rig_write(&sim, 1, stream, "x", 1, 0);
    rig_gather(&sim, &log, SIM_SECOND);
    assert_int_equal(weir_connection_close(sim.nodes[1], ends[0], 0x10000000, NULL),
                     WEIR_E_ARGUMENT);
    assert_int_equal(weir_connection_close(sim.nodes[1], ends[0], 42, "had enough"), 0);
    assert_int_equal(weir_connection_close(sim.nodes[1], ends[0], 43, "again"), 0);
    rig_connection_info(&sim, 1, ends[0], &info);
    assert_int_equal(info.state, 2);
    assert_int_equal(info.closed_by, 1);
    assert_int_equal(info.reason, 42);
    /* At the other side: look before the poll after the event. */
    for (;;) {
        weir_event e;

        assert_true(sim_next(&sim, &e, sim_now(&sim) + SIM_SECOND));
        log.event[log.count++] = e;
        if (e.kind == WEIR_EVENT_CONNECTION_CLOSED && e.node == 2) break;
    }
    rig_connection_info(&sim, 2, ends[1], &info);
    assert_int_equal(info.state, 2);
    assert_int_equal(info.closed_by, 2);
    assert_int_equal(info.reason, 42);
    assert_int_equal(info.error, WEIR_E_PEER_CLOSED);
    assert_string_equal(info.closed_text, "had enough");
    event = rig_must(&log, WEIR_EVENT_CONNECTION_CLOSED, 2, ends[1]);
    assert_int_equal(event->amount, 42);
    assert_int_equal(event->error, WEIR_E_PEER_CLOSED);
    event = rig_must(&log, WEIR_EVENT_CONNECTION_CLOSED, 1, ends[0]);
    assert_int_equal(event->amount, 42);
    assert_int_equal(event->error, 0);
    /* Its stream ended with it, before it. */
    event = rig_must(&log, WEIR_EVENT_STREAM_CLOSED, 1, stream);
    assert_int_equal(event->amount, WEIR_REASON_CONNECTION);
    assert_true(event < rig_must(&log, WEIR_EVENT_CONNECTION_CLOSED, 1, ends[0]));
    rig_gather(&sim, &log, SIM_SECOND);
    assert_int_equal(rig_count(&log, WEIR_EVENT_CONNECTION_CLOSED, 0, 0), 0);
    sim_close(&sim);
}

static void test_handles_of_what_is_gone_are_stale_and_of_another_kind_are_told(void **state)
{
    weir_connection_info info = {.size = sizeof info};
    static struct rig_log log;
    uint64_t ends[2], stream;
    struct sim sim;

    (void)state;
    rig_pair(&sim, 2, NULL, ends);
    stream = rig_stream(&sim, 1, ends[0], SIM_PROTOCOL, 0);
    assert_int_equal(weir_connection_close(sim.nodes[1], stream, 0, NULL), WEIR_E_KIND);
    assert_int_equal(weir_stream_write(sim.nodes[1], ends[0], "x", 1, 0), WEIR_E_KIND);
    assert_int_equal(weir_stream_write(sim.nodes[1], 0, "x", 1, 0), WEIR_E_STALE);
    assert_int_equal(weir_stream_write(sim.nodes[1], stream + (1 << 20), "x", 1, 0), WEIR_E_STALE);
    assert_int_equal(weir_connection_close(sim.nodes[1], ends[0], 0, NULL), 0);
    assert_int_equal(weir_stream_write(sim.nodes[1], stream, "x", 1, 0), WEIR_E_NOT_CONNECTED);
    assert_int_equal(weir_stream_open(sim.nodes[1], ends[0], SIM_PROTOCOL, NULL),
                     WEIR_E_NOT_CONNECTED);
    rig_gather(&sim, &log, SIM_SECOND);
    assert_int_equal(weir_stream_write(sim.nodes[1], stream, "x", 1, 0), WEIR_E_STALE);
    assert_int_equal(weir_stream_open(sim.nodes[1], ends[0], SIM_PROTOCOL, NULL), WEIR_E_STALE);
    assert_int_equal(weir_connection_close(sim.nodes[1], ends[0], 0, NULL), WEIR_E_STALE);
    assert_int_equal(weir_connection_get_info(sim.nodes[2], ends[1], &info), WEIR_E_STALE);
    /* A new connection gets another handle. */
    assert_true(sim_connect(&sim, 1, 2, ends, sim_now(&sim) + SIM_SECOND));
    assert_int_equal(weir_stream_write(sim.nodes[1], stream, "x", 1, 0), WEIR_E_STALE);
    sim_close(&sim);
}

static void test_peers_go_up_and_down_once(void **state)
{
    weir_peer_info info = {.size = sizeof info};
    static struct rig_log log;
    struct sim sim;
    weir_peer_id peer;
    uint64_t connection;

    (void)state;
    sim_open(&sim, 3, WEIR_FIDELITY_PACKET, 2, &quiet);
    peer = peer_of(&sim, 2);
    assert_int_equal(weir_peer_get_info(sim.nodes[1], &peer, &info), WEIR_E_NOT_FOUND);
    connection = sim_dial(&sim, 1, 2);
    rig_gather(&sim, &log, SIM_SECOND);
    assert_int_equal(rig_count(&log, WEIR_EVENT_PEER_UP, 1, connection), 1);
    assert_int_equal(rig_must(&log, WEIR_EVENT_PEER_UP, 1, 0)->amount, 1);
    assert_int_equal(rig_count(&log, WEIR_EVENT_PEER_UP, 2, 0), 1);
    assert_int_equal(rig_must(&log, WEIR_EVENT_PEER_UP, 2, 0)->amount, 0);
    assert_int_equal(weir_peer_get_info(sim.nodes[1], &peer, &info), 0);
    assert_int_equal(info.connections, 1);
    assert_int_equal(info.connection, connection);
    assert_int_equal(info.is_dialled, 1);
    assert_in_range(info.rtt_us, 2 * RIG_DELAY_US, 3 * RIG_DELAY_US);
    assert_true(info.up_since_us > 0);
    assert_int_equal(weir_peer_list(sim.nodes[2], NULL, 0), 1);
    /* A dial to a connected peer gives what is there. */
    assert_int_equal(sim_dial(&sim, 1, 2), connection);
    rig_gather(&sim, &log, SIM_SECOND);
    assert_int_equal(rig_count(&log, WEIR_EVENT_CONNECTED, 1, connection), 1);
    assert_int_equal(rig_count(&log, WEIR_EVENT_PEER_UP, 0, 0), 0);
    assert_int_equal(weir_connection_close(sim.nodes[1], connection, 5, NULL), 0);
    rig_gather(&sim, &log, SIM_SECOND);
    assert_int_equal(rig_count(&log, WEIR_EVENT_PEER_DOWN, 1, 0), 1);
    assert_int_equal(rig_count(&log, WEIR_EVENT_PEER_DOWN, 2, 0), 1);
    assert_int_equal(rig_must(&log, WEIR_EVENT_PEER_DOWN, 2, 0)->amount, 5);
    assert_int_equal(weir_peer_list(sim.nodes[2], NULL, 0), 0);
    sim_close(&sim);
}

static void test_a_hold_keeps_a_connection_and_without_one_it_idles_out(void **state)
{
    static struct rig_log log;
    struct sim sim;
    weir_peer_id peer;
    uint64_t ends[2], start_us;
    const weir_event *event;

    (void)state;
    rig_pair(&sim, 4, NULL, ends);
    peer = peer_of(&sim, 2);
    assert_int_equal(weir_peer_release(sim.nodes[1], &peer), WEIR_E_STATE);
    assert_int_equal(weir_peer_hold(sim.nodes[1], &peer), 0);
    assert_int_equal(weir_peer_hold(sim.nodes[1], &peer), 0);
    rig_gather(&sim, &log, 600 * SIM_SECOND);
    assert_int_equal(weir_peer_release(sim.nodes[1], &peer), 0);
    rig_gather(&sim, &log, 600 * SIM_SECOND);
    assert_int_equal(log.count, 0);
    assert_int_equal(sim_move(&sim, 1, 2, ends[0], 10, sim_now(&sim) + SIM_SECOND), RIG_DELAY_US);
    sim_settle(&sim, sim_now(&sim) + SIM_SECOND);
    assert_int_equal(weir_peer_release(sim.nodes[1], &peer), 0);
    start_us = sim_now(&sim);
    rig_gather(&sim, &log, 600 * SIM_SECOND);
    event = rig_must(&log, WEIR_EVENT_CONNECTION_CLOSED, 1, ends[0]);
    assert_in_range(event->time_us - start_us, 15 * SIM_SECOND, 31 * SIM_SECOND);
    assert_int_equal(event->amount, WEIR_REASON_IDLE);
    (void)rig_must(&log, WEIR_EVENT_CONNECTION_CLOSED, 2, ends[1]);
    sim_close(&sim);
}

static void test_a_held_connection_sends_a_keep_alive_every_12_s_and_no_more(void **state)
{
    static struct rig_log log;
    struct rig_tap tap;
    struct sim sim;
    weir_peer_id peer;
    uint64_t ends[2];

    (void)state;
    rig_pair(&sim, 5, NULL, ends);
    peer = peer_of(&sim, 2);
    assert_int_equal(weir_peer_hold(sim.nodes[1], &peer), 0);
    rig_watch(&sim, &tap);
    rig_gather(&sim, &log, 600 * SIM_SECOND);
    assert_in_range(tap.delivered[1], 45, 55);
    assert_in_range(tap.delivered[2], 45, 55);
    sim_close(&sim);
}

static void expect_refused(struct sim *sim, uint32_t reason)
{
    static struct rig_log log;
    uint64_t connection = sim_dial(sim, 1, 2);
    const weir_event *event;

    rig_gather(sim, &log, SIM_SECOND);
    event = rig_must(&log, WEIR_EVENT_CONNECTION_CLOSED, 1, connection);
    assert_int_equal(event->amount, reason);
    assert_true(event->error == WEIR_E_REFUSED || event->error == WEIR_E_PEER_CLOSED);
    assert_int_equal(rig_count(&log, WEIR_EVENT_CONNECTED, 2, 0), 0);
    assert_int_equal(rig_count(&log, WEIR_EVENT_PEER_UP, 2, 0), 0);
}

static void test_a_peer_is_refused_by_its_id(void **state)
{
    static struct rig_log log;
    struct sim sim;
    char address[WEIR_ADDRESS_TEXT_MAX];
    weir_peer_id first, second;
    uint64_t ends[2];

    (void)state;
    sim_open(&sim, 6, WEIR_FIDELITY_PACKET, 2, &quiet);
    first = peer_of(&sim, 1);
    second = peer_of(&sim, 2);
    assert_int_equal(weir_peer_access(sim.nodes[2], &first, WEIR_ACCESS_REFUSE), 0);
    expect_refused(&sim, WEIR_REASON_REFUSED);
    assert_int_equal(weir_peer_access(sim.nodes[2], &first, WEIR_ACCESS_DEFAULT), 0);
    assert_true(sim_connect(&sim, 1, 2, ends, sim_now(&sim) + SIM_SECOND));
    /* A rule ends what is up. */
    assert_int_equal(weir_peer_access(sim.nodes[2], &first, WEIR_ACCESS_REFUSE), 0);
    rig_gather(&sim, &log, SIM_SECOND);
    assert_int_equal(rig_must(&log, WEIR_EVENT_CONNECTION_CLOSED, 1, ends[0])->amount,
                     WEIR_REASON_REFUSED);
    (void)rig_must(&log, WEIR_EVENT_CONNECTION_CLOSED, 2, ends[1]);
    /* And dials to it fail here. */
    assert_int_equal(weir_peer_access(sim.nodes[1], &second, WEIR_ACCESS_REFUSE), 0);
    sim_settle(&sim, sim_now(&sim) + SIM_SECOND);
    address_of(&sim, 2, address);
    assert_int_equal(weir_node_dial(sim.nodes[1], address, NULL), WEIR_E_REFUSED);
    sim_close(&sim);
}

static void test_unknown_peers_are_refused_when_asked_for(void **state)
{
    weir_node_options options = quiet;
    struct sim sim;
    weir_peer_id first;
    uint64_t ends[2];

    (void)state;
    options.refuse_unknown = 1;
    sim_open(&sim, 7, WEIR_FIDELITY_PACKET, 2, &options);
    first = peer_of(&sim, 1);
    expect_refused(&sim, WEIR_REASON_REFUSED);
    assert_int_equal(weir_peer_access(sim.nodes[2], &first, WEIR_ACCESS_ACCEPT), 0);
    assert_true(sim_connect(&sim, 1, 2, ends, sim_now(&sim) + SIM_SECOND));
    sim_close(&sim);
}

static void test_networks_do_not_mix_unless_accepted(void **state)
{
    weir_node_options red = quiet, blue = quiet;
    weir_connection_info info;
    struct sim sim;
    uint64_t ends[2];

    (void)state;
    red.network = "red";
    blue.network = "blue";
    rig_open(&sim, mem_system(), 8, WEIR_FIDELITY_PACKET);
    (void)rig_add(&sim, &red, NULL);
    (void)rig_add(&sim, &blue, NULL);
    expect_refused(&sim, WEIR_REASON_NETWORK);
    assert_int_equal(weir_network_access(sim.nodes[2], "red", WEIR_ACCESS_ACCEPT), 0);
    expect_refused(&sim, WEIR_REASON_NETWORK);
    assert_int_equal(weir_network_access(sim.nodes[1], "blue", WEIR_ACCESS_ACCEPT), 0);
    assert_true(sim_connect(&sim, 1, 2, ends, sim_now(&sim) + SIM_SECOND));
    rig_connection_info(&sim, 1, ends[0], &info);
    assert_string_equal(info.network, "blue");
    rig_connection_info(&sim, 2, ends[1], &info);
    assert_string_equal(info.network, "red");
    sim_close(&sim);
}

static void double_dial(uint64_t seed, uint64_t later_us)
{
    static struct rig_log log;
    weir_peer_info info = {.size = sizeof info};
    weir_peer_id peers[3];
    struct sim sim;
    uint64_t used[3];
    uint32_t node;

    sim_open(&sim, seed, WEIR_FIDELITY_PACKET, 2, &quiet);
    peers[1] = peer_of(&sim, 1);
    peers[2] = peer_of(&sim, 2);
    (void)sim_dial(&sim, 1, 2);
    if (later_us > 0) sim_settle(&sim, sim_now(&sim) + later_us);
    (void)sim_dial(&sim, 2, 1);
    rig_gather(&sim, &log, 2 * SIM_SECOND);
    for (node = 1; node <= 2; node++) {
        assert_int_equal(weir_peer_get_info(sim.nodes[node], &peers[3 - node], &info), 0);
        assert_int_equal(info.connections, 1);
        used[node] = info.connection;
        assert_true(rig_count(&log, WEIR_EVENT_CONNECTED, node, used[node]) > 0 || later_us > 0);
        assert_int_equal(rig_count(&log, WEIR_EVENT_PEER_DOWN, node, 0), 0);
    }
    /* It is one and the same. */
    assert_true(sim_move(&sim, 1, 2, used[1], 100, sim_now(&sim) + SIM_SECOND) > 0);
    assert_true(sim_move(&sim, 2, 1, used[2], 100, sim_now(&sim) + SIM_SECOND) > 0);
    assert_int_equal(weir_connection_close(sim.nodes[1], used[1], 9, NULL), 0);
    rig_gather(&sim, &log, SIM_SECOND);
    assert_int_equal(rig_must(&log, WEIR_EVENT_PEER_DOWN, 2, 0)->amount, 9);
    assert_int_equal(rig_must(&log, WEIR_EVENT_CONNECTION_CLOSED, 2, used[2])->amount, 9);
    sim_close(&sim);
}

static void test_dials_from_both_sides_become_one_connection(void **state)
{
    uint64_t i;

    (void)state;
    /* Either side may have the smaller id, and the second dial may begin at any time of the first.
     */
    for (i = 0; i < 10; i++) double_dial(20 + i, 0);
    for (i = 0; i < 10; i++) double_dial(20 + i, 5 * RIG_MS);
    for (i = 0; i < 10; i++) double_dial(20 + i, 15 * RIG_MS);
    for (i = 0; i < 10; i++) double_dial(20 + i, 25 * RIG_MS);
}

static void test_a_dialler_learns_how_it_is_seen(void **state)
{
    static struct rig_log log;
    char text[WEIR_ADDRESS_TEXT_MAX], local[WEIR_ADDRESS_TEXT_MAX];
    weir_connection_info info;
    const weir_event *event;
    struct sim sim;
    uint64_t ends[2], start_us;

    (void)state;
    sim_open(&sim, 9, WEIR_FIDELITY_PACKET, 2, NULL);
    start_us = sim_now(&sim);
    assert_true(sim_connect(&sim, 1, 2, ends, sim_now(&sim) + SIM_SECOND));
    assert_int_equal(weir_connection_observed(sim.nodes[1], ends[0], text, sizeof text),
                     WEIR_E_NOT_FOUND);
    rig_gather(&sim, &log, SIM_SECOND);
    event = rig_must(&log, WEIR_EVENT_OBSERVED, 1, ends[0]);
    /* The question leaves with the dialler's first turn, and the answer waits for nobody's. */
    assert_int_equal(event->time_us - start_us, 4 * RIG_DELAY_US);
    assert_true(weir_connection_observed(sim.nodes[1], ends[0], text, sizeof text) > 0);
    rig_connection_info(&sim, 2, ends[1], &info);
    assert_true(weir_address_normalize(text, local, sizeof local, NULL) > 0);
    assert_string_equal(local, info.remote);
    /* Nothing of it is the application's. */
    assert_int_equal(rig_count(&log, WEIR_EVENT_STREAM, 0, 0), 0);
    assert_int_equal(rig_count(&log, WEIR_EVENT_READABLE, 0, 0), 0);
    assert_int_equal(rig_count(&log, WEIR_EVENT_STREAM_CLOSED, 0, 0), 0);
    sim_close(&sim);
}

static void test_a_drain_lets_streams_finish_and_then_closes(void **state)
{
    static struct rig_log log;
    struct sim sim;
    uint64_t ends[2], stream, there;
    char address[WEIR_ADDRESS_TEXT_MAX];
    const weir_event *event;

    (void)state;
    rig_pair(&sim, 10, NULL, ends);
    stream = rig_stream(&sim, 1, ends[0], SIM_PROTOCOL, 0);
    rig_write(&sim, 1, stream, "one", 3, 0);
    rig_gather(&sim, &log, 100 * RIG_MS);
    there = rig_must(&log, WEIR_EVENT_STREAM, 2, 0)->object;
    assert_int_equal(weir_node_drain(sim.nodes[2], 55, 20 * SIM_SECOND), 0);
    address_of(&sim, 1, address);
    assert_int_equal(weir_node_dial(sim.nodes[2], address, NULL), WEIR_E_DRAINING);
    assert_int_equal(weir_stream_open(sim.nodes[2], ends[1], SIM_PROTOCOL, NULL), WEIR_E_DRAINING);
    rig_write(&sim, 1, stream, "two", 3, WEIR_FIN);
    rig_gather(&sim, &log, 5 * SIM_SECOND);
    assert_int_equal(rig_count(&log, WEIR_EVENT_DRAINED, 0, 0), 0);
    rig_expect(&sim, 2, there, "onetwo");
    rig_write(&sim, 2, there, "bye", 3, WEIR_FIN);
    rig_gather(&sim, &log, RIG_DELAY_US);
    rig_expect(&sim, 1, stream, "bye");
    rig_gather(&sim, &log, SIM_SECOND);
    event = rig_must(&log, WEIR_EVENT_CONNECTION_CLOSED, 1, ends[0]);
    assert_int_equal(event->amount, 55);
    (void)rig_must(&log, WEIR_EVENT_DRAINED, 2, 0);
    /* New connections are refused. */
    (void)sim_dial(&sim, 1, 2);
    rig_gather(&sim, &log, SIM_SECOND);
    assert_int_equal(rig_must(&log, WEIR_EVENT_CONNECTION_CLOSED, 1, 0)->amount,
                     WEIR_REASON_DRAINING);
    sim_close(&sim);
}

static void test_a_drain_ends_at_its_deadline(void **state)
{
    static struct rig_log log;
    struct sim sim;
    uint64_t ends[2], start_us;
    const weir_event *event;

    (void)state;
    rig_pair(&sim, 11, NULL, ends);
    rig_write(&sim, 1, rig_stream(&sim, 1, ends[0], SIM_PROTOCOL, 0), "x", 1, 0);
    rig_gather(&sim, &log, 100 * RIG_MS);
    start_us = sim_now(&sim);
    assert_int_equal(weir_node_drain(sim.nodes[2], 55, 20 * SIM_SECOND), 0);
    assert_int_equal(weir_node_drain(sim.nodes[2], 55, 3 * SIM_SECOND), 0);
    rig_gather(&sim, &log, 10 * SIM_SECOND);
    event = rig_must(&log, WEIR_EVENT_DRAINED, 2, 0);
    assert_in_range(event->time_us - start_us, 3 * SIM_SECOND, 3 * SIM_SECOND + RIG_MS);
    assert_int_equal(rig_must(&log, WEIR_EVENT_CONNECTION_CLOSED, 1, ends[0])->amount, 55);
    sim_close(&sim);
}

static void test_a_peer_is_dialled_through_the_book(void **state)
{
    static struct rig_log log;
    char address[WEIR_ADDRESS_TEXT_MAX], got[WEIR_ADDRESS_TEXT_MAX];
    struct sim sim;
    weir_peer_id peer;
    int64_t connection;

    (void)state;
    sim_open(&sim, 12, WEIR_FIDELITY_PACKET, 2, &quiet);
    peer = peer_of(&sim, 2);
    assert_int_equal(weir_peer_dial(sim.nodes[1], &peer, NULL), WEIR_E_NOT_FOUND);
    address_of(&sim, 2, address);
    assert_int_equal(weir_peer_add_address(sim.nodes[1], &peer, "nonsense//"), WEIR_E_ADDRESS);
    assert_int_equal(weir_peer_add_address(sim.nodes[1], &peer, address), 0);
    assert_true(weir_peer_address(sim.nodes[1], &peer, 0, got, sizeof got) > 0);
    assert_non_null(strstr(got, "10.0.0.2"));
    assert_int_equal(weir_peer_address(sim.nodes[1], &peer, 1, got, sizeof got), WEIR_E_NOT_FOUND);
    connection = weir_peer_dial(sim.nodes[1], &peer, NULL);
    assert_true(connection > 0);
    rig_gather(&sim, &log, SIM_SECOND);
    (void)rig_must(&log, WEIR_EVENT_CONNECTED, 1, (uint64_t)connection);
    sim_close(&sim);
}

static void test_somebody_else_at_the_address_is_told(void **state)
{
    static struct rig_log log;
    char address[WEIR_ADDRESS_TEXT_MAX], text[1024], third[WEIR_PEER_TEXT_MAX];
    struct sim sim;
    weir_peer_id peer;
    int64_t connection;
    const weir_event *event;
    weir_event e;

    (void)state;
    sim_open(&sim, 13, WEIR_FIDELITY_PACKET, 3, &quiet);
    peer = peer_of(&sim, 3);
    assert_true(weir_peer_format(&peer, third, sizeof third) > 0);
    (void)snprintf(address, sizeof address, "weir:%s@10.0.0.2:4001", third);
    connection = weir_node_dial(sim.nodes[1], address, NULL);
    assert_true(connection > 0);
    log.count = 0;
    do {
        assert_true(sim_next(&sim, &e, sim_now(&sim) + 60 * SIM_SECOND));
        log.event[log.count++] = e;
    } while (e.kind != WEIR_EVENT_CONNECTION_CLOSED);
    event = rig_must(&log, WEIR_EVENT_CONNECTION_CLOSED, 1, (uint64_t)connection);
    assert_int_equal(event->error, WEIR_E_IDENTITY);
    assert_int_equal(event->amount, WEIR_REASON_IDENTITY);
    assert_true(weir_connection_report(sim.nodes[1], (uint64_t)connection, text, sizeof text) > 0);
    assert_non_null(strstr(text, third));
    sim_settle(&sim, sim_now(&sim) + SIM_SECOND);
    assert_int_equal(weir_peer_list(sim.nodes[2], NULL, 0), 0);
    sim_close(&sim);
}

static void test_a_dial_goes_on_to_the_next_address_when_the_first_is_dead(void **state)
{
    static struct rig_log log;
    char text[1024];
    struct sim sim;
    struct endpoint addresses[3];
    uint64_t start_us;
    int64_t connection;
    const weir_event *event;

    (void)state;
    sim_open(&sim, 14, WEIR_FIDELITY_PACKET, 2, &quiet);
    addresses[0] = world_address(77, ENDPOINT_IP6, 0);
    addresses[1] = world_address(78, ENDPOINT_IP4, 0);
    addresses[2] = world_address(2, ENDPOINT_IP4, 0);
    assert_int_equal(world_add_name(rig_world(&sim), "two.test", addresses, 3, 30 * RIG_MS), 0);
    start_us = sim_now(&sim);
    connection = weir_node_dial(sim.nodes[1], "two.test:4001", NULL);
    assert_true(connection > 0);
    rig_gather(&sim, &log, 5 * SIM_SECOND);
    event = rig_must(&log, WEIR_EVENT_CONNECTED, 1, (uint64_t)connection);
    /* RFC 8305: a look-up, then an attempt each 250 ms. */
    assert_in_range(event->time_us - start_us, 30 * RIG_MS + 2 * RIG_DELAY_US, SIM_SECOND);
    assert_true(weir_connection_report(sim.nodes[1], (uint64_t)connection, text, sizeof text) > 0);
    assert_non_null(strstr(text, "10.0.0.78"));
    assert_non_null(strstr(text, "10.0.0.2"));
    assert_non_null(strstr(text, "connected"));
    /* Two addresses by hand do the same. */
    assert_int_equal(weir_connection_close(sim.nodes[1], (uint64_t)connection, 0, NULL), 0);
    sim_settle(&sim, sim_now(&sim) + SIM_SECOND);
    connection = weir_node_dial(sim.nodes[1], "10.0.0.99:4001, 10.0.0.2:4001", NULL);
    assert_true(connection > 0);
    rig_gather(&sim, &log, 2 * SIM_SECOND);
    (void)rig_must(&log, WEIR_EVENT_CONNECTED, 1, (uint64_t)connection);
    sim_close(&sim);
}

static void test_a_name_that_nobody_has_fails_with_its_own_error(void **state)
{
    static struct rig_log log;
    struct sim sim;
    int64_t connection;
    const weir_event *event;

    (void)state;
    sim_open(&sim, 15, WEIR_FIDELITY_PACKET, 1, &quiet);
    connection = weir_node_dial(sim.nodes[1], "nobody.test:4001", NULL);
    assert_true(connection > 0);
    rig_gather(&sim, &log, 60 * SIM_SECOND);
    event = rig_must(&log, WEIR_EVENT_CONNECTION_CLOSED, 1, (uint64_t)connection);
    assert_int_equal(event->error, WEIR_E_HOST_UNKNOWN);
    sim_close(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_close_is_read_with_its_reason_and_text),
        cmocka_unit_test(test_handles_of_what_is_gone_are_stale_and_of_another_kind_are_told),
        cmocka_unit_test(test_peers_go_up_and_down_once),
        cmocka_unit_test(test_a_hold_keeps_a_connection_and_without_one_it_idles_out),
        cmocka_unit_test(test_a_held_connection_sends_a_keep_alive_every_12_s_and_no_more),
        cmocka_unit_test(test_a_peer_is_refused_by_its_id),
        cmocka_unit_test(test_unknown_peers_are_refused_when_asked_for),
        cmocka_unit_test(test_networks_do_not_mix_unless_accepted),
        cmocka_unit_test(test_dials_from_both_sides_become_one_connection),
        cmocka_unit_test(test_a_dialler_learns_how_it_is_seen),
        cmocka_unit_test(test_a_drain_lets_streams_finish_and_then_closes),
        cmocka_unit_test(test_a_drain_ends_at_its_deadline),
        cmocka_unit_test(test_a_peer_is_dialled_through_the_book),
        cmocka_unit_test(test_somebody_else_at_the_address_is_told),
        cmocka_unit_test(test_a_dial_goes_on_to_the_next_address_when_the_first_is_dead),
        cmocka_unit_test(test_a_name_that_nobody_has_fails_with_its_own_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
