/* SPDX-License-Identifier: MIT */
/* Goal: a dial has one answer that says what happened, whatever is dialled and whatever else is
 * done meanwhile; and however two nodes dial each other, one connection stays and no byte is lost.
 * Method: small worlds; names and links are made slow, lossy or dead, and every event is looked
 * at. */
#include "sim/rig.h"
#include <stdio.h>
#include <string.h>

static const weir_node_options quiet = {.size = sizeof quiet, .observed_off = 1};
static struct rig_log seen;

static void address_of(struct sim *sim, uint32_t node, char text[WEIR_ADDRESS_TEXT_MAX])
{
    assert_true(weir_node_address(sim->nodes[node], 0, text, WEIR_ADDRESS_TEXT_MAX) > 0);
}

static uint64_t dial_text(struct sim *sim, uint32_t node, const char *text, uint64_t timeout_us)
{
    weir_dial_options options = {.size = sizeof options, .timeout_us = timeout_us, .user = 77};
    int64_t handle = weir_node_dial(sim->nodes[node], text, &options);

    if (handle <= 0) fail_msg("dialling %s: %s", text, weir_error_name((int32_t)handle));
    return (uint64_t)handle;
}

/* The call refuses, and says so in a sentence with this in it. */
static void refuse_text(struct sim *sim, const char *text, int32_t error, const char *words)
{
    weir_error facts = {.size = sizeof facts};

    assert_int_equal(weir_node_dial(sim->nodes[1], text, NULL), error);
    assert_int_equal(weir_last_error(sim->nodes[1], &facts), 0);
    assert_int_equal(facts.code, error);
    if (strstr(facts.detail, words) == NULL) fail_msg("%s: %s", text, facts.detail);
}

/* Run until the dial has failed. @return its answer; the handle is readable until the next run */
static weir_event wait_failed(struct sim *sim, uint64_t handle, uint64_t span_us)
{
    weir_event event;

    assert_true(
        sim_wait(sim, WEIR_EVENT_CONNECTION_CLOSED, 1, handle, &event, sim_now(sim) + span_us));
    assert_int_equal(event.user, 77);
    return event;
}

static void expect_report(struct sim *sim, uint64_t handle, const char *words)
{
    char text[1024];

    assert_true(weir_connection_report(sim->nodes[1], handle, text, sizeof text) > 0);
    if (strstr(text, words) == NULL) fail_msg("the report says: %s", text);
}

static void test_a_peer_dialled_twice_at_once_gives_two_answers_and_one_connection(void **state)
{
    weir_peer_info info = {.size = sizeof info};
    char text[WEIR_ADDRESS_TEXT_MAX];
    struct sim sim;
    weir_peer_id peer;
    uint64_t first, second, seed;

    (void)state;
    for (seed = 1; seed <= 6; seed++) {
        sim_open(&sim, seed, WEIR_FIDELITY_PACKET, 2, &quiet);
        address_of(&sim, 2, text);
        assert_int_equal(weir_node_peer(sim.nodes[2], &peer), 0);
        first = dial_text(&sim, 1, text, 0);
        second = dial_text(&sim, 1, text, 0);
        assert_int_not_equal(first, second);
        rig_gather(&sim, &seen, 5 * SIM_SECOND);
        assert_int_equal(weir_peer_get_info(sim.nodes[1], &peer, &info), 0);
        assert_int_equal(info.connections, 1);
        assert_true(info.connection == first || info.connection == second);
        second = info.connection == first ? second : first;
        /* Both were answered: the loser's by the survivor, and then by its own end. */
        assert_int_equal(rig_count(&seen, WEIR_EVENT_CONNECTED, 1, second), 0);
        assert_true(rig_count(&seen, WEIR_EVENT_CONNECTED, 1, info.connection) >= 1);
        assert_int_equal(rig_count(&seen, WEIR_EVENT_CONNECTION_CLOSED, 1, 0), 1);
        assert_int_equal(rig_must(&seen, WEIR_EVENT_CONNECTION_CLOSED, 1, second)->error, 0);
        assert_int_equal(rig_must(&seen, WEIR_EVENT_CONNECTION_CLOSED, 1, second)->amount,
                         WEIR_REASON_DUPLICATE);
        assert_int_equal(rig_count(&seen, WEIR_EVENT_PEER_UP, 0, 0), 2);
        assert_int_equal(rig_count(&seen, WEIR_EVENT_PEER_DOWN, 0, 0), 0);
        assert_true(sim_move(&sim, 1, 2, info.connection, 5000, sim_now(&sim) + SIM_SECOND) > 0);
        sim_close(&sim);
    }
}

static void test_a_node_does_not_connect_to_itself(void **state)
{
    char text[WEIR_ADDRESS_TEXT_MAX];
    struct sim sim;
    weir_peer_id peer;
    weir_event event;
    uint64_t handle;

    (void)state;
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 1, NULL);
    address_of(&sim, 1, text);
    refuse_text(&sim, text, WEIR_E_PEER_ID, "this node's own");
    assert_int_equal(weir_node_peer(sim.nodes[1], &peer), 0);
    assert_int_equal(weir_peer_dial(sim.nodes[1], &peer, NULL), WEIR_E_PEER_ID);
    /* Without an id it is found out when the peer says who it is. */
    handle = dial_text(&sim, 1, "10.0.0.1:4001", 0);
    event = wait_failed(&sim, handle, 5 * SIM_SECOND);
    assert_int_equal(event.error, WEIR_E_IDENTITY);
    expect_report(&sim, handle, "that is the node itself");
    rig_gather(&sim, &seen, 40 * SIM_SECOND);
    assert_int_equal(seen.count, 0);
    assert_int_equal(weir_peer_list(sim.nodes[1], NULL, 0), 0);
    sim_close(&sim);
}

static void test_a_refused_peer_is_not_dialled_under_any_address(void **state)
{
    char text[WEIR_ADDRESS_TEXT_MAX];
    struct sim sim;
    weir_peer_id peer;
    weir_event event;
    uint64_t handle;

    (void)state;
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 2, &quiet);
    address_of(&sim, 2, text);
    assert_int_equal(weir_node_peer(sim.nodes[2], &peer), 0);
    /* A dial that is under way ends at once. */
    handle = dial_text(&sim, 1, text, 0);
    assert_int_equal(weir_peer_access(sim.nodes[1], &peer, WEIR_ACCESS_REFUSE), 0);
    event = wait_failed(&sim, handle, 0);
    assert_int_equal(event.error, WEIR_E_REFUSED);
    assert_int_equal(event.amount, WEIR_REASON_REFUSED);
    refuse_text(&sim, text, WEIR_E_REFUSED, "weir_peer_access lets it in");
    assert_int_equal(weir_peer_dial(sim.nodes[1], &peer, NULL), WEIR_E_REFUSED);
    handle = dial_text(&sim, 1, "10.0.0.2:4001", 0);
    event = wait_failed(&sim, handle, SIM_SECOND);
    assert_int_equal(event.error, WEIR_E_REFUSED);
    assert_int_equal(event.amount, WEIR_REASON_REFUSED);
    sim_close(&sim);
}

static void test_what_cannot_be_dialled_is_told_at_the_call(void **state)
{
    char text[2 * WEIR_ADDRESS_TEXT_MAX + 1], two[WEIR_ADDRESS_TEXT_MAX], many[700] = "10.0.0.1:1";
    char id[WEIR_PEER_TEXT_MAX];
    weir_error facts = {.size = sizeof facts};
    struct sim sim;
    weir_peer_id peer;
    uint32_t i;

    (void)state;
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 3, &quiet);
    address_of(&sim, 2, text);
    address_of(&sim, 3, two);
    (void)snprintf(text + strlen(text), sizeof two + 1, ",%s", two);
    refuse_text(&sim, text, WEIR_E_PEER_ID, "belong to one peer");
    refuse_text(&sim, "", WEIR_E_ADDRESS, "at byte 0");
    refuse_text(&sim, ",", WEIR_E_ADDRESS, "at byte 0");
    refuse_text(&sim, "10.0.0.2:4001,", WEIR_E_ADDRESS, "at byte 0");
    refuse_text(&sim, "10.0.0.2", WEIR_E_ADDRESS, "port");
    refuse_text(&sim, "10.0.0.2:0", WEIR_E_ADDRESS, "port");
    refuse_text(&sim, "10.0.0.2:65536", WEIR_E_ADDRESS, "port");
    refuse_text(&sim, "fe80::1:4001", WEIR_E_ADDRESS, "bracket");
    refuse_text(&sim, "weir:nobody@10.0.0.2:4001", WEIR_E_PEER_ID, "");
    refuse_text(&sim, "/ip4/10.0.0.2/tcp/80", WEIR_E_ADDRESS, "transport");
    for (i = 2; i <= 17; i++)
        (void)snprintf(many + strlen(many), sizeof many - strlen(many), ",10.0.0.%u:1", i);
    refuse_text(&sim, many, WEIR_E_LIMIT, "16 addresses");
    assert_int_equal(weir_last_error(sim.nodes[1], &facts), 0);
    assert_string_equal(facts.limit_name, "dial_addresses");
    assert_int_equal(facts.limit_used, 16);
    assert_int_equal(facts.limit_max, 16);
    assert_int_equal(facts.limit_scope, 1);
    assert_int_equal(facts.limit_side, 1);
    /* Twice the same counts once. */
    *strrchr(many, ',') = 0;
    (void)snprintf(many + strlen(many), sizeof many - strlen(many), ",10.0.0.2:1 , 10.0.0.3:1");
    (void)dial_text(&sim, 1, many, 0);
    assert_int_equal(weir_node_peer(sim.nodes[2], &peer), 0);
    assert_true(weir_peer_format(&peer, id, sizeof id) > 0);
    (void)snprintf(text, sizeof text, "weir:%s", id);
    refuse_text(&sim, text, WEIR_E_NOT_FOUND, "weir_peer_add_address");
    assert_int_equal(weir_last_error(sim.nodes[1], &facts), 0);
    assert_memory_equal(&facts.peer, &peer, sizeof peer);
    sim_close(&sim);
}

static void test_a_link_local_address_keeps_its_zone(void **state)
{
    struct sim sim;
    weir_event event;
    uint64_t handle;

    (void)state;
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 1, &quiet);
    handle = dial_text(&sim, 1, "[fe80::1%3]:4001", SIM_SECOND);
    event = wait_failed(&sim, handle, 2 * SIM_SECOND);
    assert_int_equal(event.error, WEIR_E_TIMEOUT);
    expect_report(&sim, handle, "[fe80::1%3]:4001: no answer after 1000 ms");
    sim_close(&sim);
}

/* Nothing gets there, until the way opens: for a dial that says nothing of time (60 s, and 30 s for
 * an attempt), and for one whose time ends before. */
static void test_a_dial_goes_on_when_its_attempts_gave_up(void **state)
{
    weir_link_options dark = {.size = sizeof dark, .blackhole_end_us = 1};
    weir_connection_info info = {.size = sizeof info};
    weir_node_statistics statistics = {.size = sizeof statistics};
    struct sim sim;
    weir_event event;
    uint64_t handle, start_us;

    (void)state;
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 2, &quiet);
    start_us = sim_now(&sim);
    dark.blackhole_end_us = start_us + 35 * SIM_SECOND;
    sim_link(&sim, &dark);
    handle = dial_text(&sim, 1, "10.0.0.2:4001", 34 * SIM_SECOND);
    event = wait_failed(&sim, handle, 40 * SIM_SECOND);
    assert_int_equal(event.error, WEIR_E_TIMEOUT);
    assert_int_equal(event.time_us - start_us, 34 * SIM_SECOND);
    expect_report(&sim, handle, "10.0.0.2:4001: no answer after 4000 ms, round 2");
    start_us = sim_now(&sim);
    dark.blackhole_end_us = start_us + 35 * SIM_SECOND;
    sim_link(&sim, &dark);
    handle = dial_text(&sim, 1, "10.0.0.2:4001,10.0.0.3:4001", 0);
    assert_true(
        sim_wait(&sim, WEIR_EVENT_CONNECTED, 1, handle, &event, start_us + 60 * SIM_SECOND));
    assert_in_range(event.time_us, start_us + 35 * SIM_SECOND, start_us + 39 * SIM_SECOND);
    expect_report(&sim, handle, ", round 2\n10.0.0.3:4001: was slower after ");
    assert_int_equal(weir_connection_get_info(sim.nodes[1], handle, &info), 0);
    assert_int_equal(info.state, 1);
    /* The attempts that gave up are gone on both sides. */
    sim_settle(&sim, sim_now(&sim) + 10 * SIM_SECOND);
    assert_int_equal(weir_node_get_statistics(sim.nodes[1], &statistics), 0);
    assert_int_equal(statistics.connections_open, 2);
    sim_close(&sim);
}

static void test_a_dial_whose_time_is_over_while_a_name_is_looked_up_says_so(void **state)
{
    struct endpoint there = world_address(2, ENDPOINT_IP4, 0);
    struct sim sim;
    weir_event event;
    uint64_t handle, start_us;

    (void)state;
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 2, &quiet);
    assert_int_equal(world_add_name(rig_world(&sim), "slow.example", &there, 1, 9 * SIM_SECOND), 0);
    start_us = sim_now(&sim);
    handle = dial_text(&sim, 1, "slow.example:4001", SIM_SECOND);
    event = wait_failed(&sim, handle, 5 * SIM_SECOND);
    assert_int_equal(event.time_us - start_us, SIM_SECOND);
    assert_int_equal(event.error, WEIR_E_TIMEOUT);
    expect_report(&sim, handle, "slow.example: no answer");
    /* The answer that comes later is nobody's. */
    rig_gather(&sim, &seen, 20 * SIM_SECOND);
    assert_int_equal(seen.count, 0);
    assert_int_equal(weir_connection_close(sim.nodes[1], handle, 0, NULL), WEIR_E_STALE);
    /* With time enough it is dialled. */
    handle = dial_text(&sim, 1, "slow.example:4001", 20 * SIM_SECOND);
    assert_true(
        sim_wait(&sim, WEIR_EVENT_CONNECTED, 1, handle, &event, sim_now(&sim) + 12 * SIM_SECOND));
    sim_close(&sim);
}

/* Close the dial so long after it began. */
static void close_dial(const char *text, uint64_t after_us)
{
    struct endpoint there = world_address(2, ENDPOINT_IP4, 0);
    weir_connection_info info = {.size = sizeof info};
    struct sim sim;
    uint64_t handle;

    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 2, &quiet);
    assert_int_equal(world_add_name(rig_world(&sim), "slow", &there, 1, SIM_SECOND), 0);
    handle = dial_text(&sim, 1, text, 0);
    sim_settle(&sim, sim_now(&sim) + after_us);
    assert_int_equal(weir_connection_get_info(sim.nodes[1], handle, &info), 0);
    assert_int_equal(info.state, 0);
    assert_int_equal(weir_stream_open(sim.nodes[1], handle, SIM_PROTOCOL, NULL),
                     WEIR_E_NOT_CONNECTED);
    assert_int_equal(weir_connection_close(sim.nodes[1], handle, 5, "never mind"), 0);
    assert_int_equal(weir_connection_close(sim.nodes[1], handle, 6, NULL), 0);
    assert_int_equal(weir_connection_get_info(sim.nodes[1], handle, &info), 0);
    assert_int_equal(info.state, 2);
    assert_int_equal(info.reason, 5);
    assert_int_equal(info.closed_by, 1);
    rig_gather(&sim, &seen, 60 * SIM_SECOND);
    assert_int_equal(rig_count(&seen, WEIR_EVENT_CONNECTION_CLOSED, 1, 0), 1);
    assert_int_equal(rig_must(&seen, WEIR_EVENT_CONNECTION_CLOSED, 1, handle)->error, 0);
    assert_int_equal(rig_must(&seen, WEIR_EVENT_CONNECTION_CLOSED, 1, handle)->amount, 5);
    assert_int_equal(rig_count(&seen, WEIR_EVENT_CONNECTED, 1, 0), 0);
    /* The other side may have seen it come; then it saw it go. */
    assert_int_equal(rig_count(&seen, WEIR_EVENT_CONNECTED, 2, 0),
                     rig_count(&seen, WEIR_EVENT_CONNECTION_CLOSED, 2, 0));
    sim_close(&sim);
}

static void test_a_dial_may_be_closed_at_any_time(void **state)
{
    uint64_t after_us;

    (void)state;
    close_dial("slow:4001", 10 * RIG_MS);
    for (after_us = 0; after_us <= 19 * RIG_MS; after_us += RIG_MS)
        close_dial("10.0.0.2:4001", after_us);
    close_dial("10.0.0.99:4001,10.0.0.98:4001,slow:1", 700 * RIG_MS);
}

static void test_a_drain_ends_dials(void **state)
{
    struct sim sim;
    weir_event event;
    uint64_t handle, name;

    (void)state;
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 2, &quiet);
    assert_int_equal(world_add_name(rig_world(&sim), "slow", NULL, 0, 9 * SIM_SECOND), 0);
    name = dial_text(&sim, 1, "slow:1", 0);
    handle = dial_text(&sim, 1, "10.0.0.2:4001", 0);
    sim_settle(&sim, sim_now(&sim) + 15 * RIG_MS);
    assert_int_equal(weir_node_drain(sim.nodes[1], 3, 10 * SIM_SECOND), 0);
    refuse_text(&sim, "10.0.0.2:4001", WEIR_E_DRAINING, "draining");
    rig_gather(&sim, &seen, 20 * SIM_SECOND);
    event = *rig_must(&seen, WEIR_EVENT_CONNECTION_CLOSED, 1, handle);
    assert_int_equal(event.error, WEIR_E_DRAINING);
    assert_int_equal(event.amount, WEIR_REASON_DRAINING);
    assert_int_equal(rig_must(&seen, WEIR_EVENT_CONNECTION_CLOSED, 1, name)->error,
                     WEIR_E_DRAINING);
    assert_int_equal(rig_count(&seen, WEIR_EVENT_DRAINED, 1, 0), 1);
    assert_true(rig_must(&seen, WEIR_EVENT_DRAINED, 1, 0) == &seen.event[seen.count - 1] ||
                seen.event[seen.count - 1].node == 2);
    sim_close(&sim);
}

enum { SIDES = 2, STREAM_BYTES = 3000 };
struct merge {
    struct sim sim;
    uint64_t dialled[SIDES + 1];         /* the handle of the side's own dial */
    bool is_lossy, is_opened[SIDES + 1]; /* a stream over the side's own connection */
    uint64_t stream[SIDES + 1], got[SIDES + 1];
    uint32_t answers[SIDES + 1], lost[SIDES + 1], up[SIDES + 1], down[SIDES + 1];
};

static void merge_event(struct merge *m, const weir_event *e)
{
    static uint8_t bytes[STREAM_BYTES];
    weir_node *node = m->sim.nodes[e->node];
    int64_t count;

    switch (e->kind) {
    case WEIR_EVENT_CONNECTED:
        m->answers[e->node]++;
        /* At once, on its own connection if it has one: that may be the one that loses. */
        if (m->is_opened[e->node] || m->dialled[e->node] == 0) break;
        m->is_opened[e->node] = true;
        m->stream[e->node] = rig_stream(&m->sim, (uint32_t)e->node, e->object, SIM_PROTOCOL, 0);
        rig_write(&m->sim, (uint32_t)e->node, m->stream[e->node], bytes, STREAM_BYTES, WEIR_FIN);
        break;
    case WEIR_EVENT_READABLE:
        while ((count = weir_stream_read(node, e->object, bytes, sizeof bytes)) > 0)
            m->got[e->node] += (uint64_t)count;
        if (count == WEIR_E_END) assert_int_equal(weir_stream_finish(node, e->object), 0);
        break;
    case WEIR_EVENT_STREAM_CLOSED:
        /* The side that closes the loser has read all; its last acknowledgement may not come. */
        assert_true(e->amount == 0 || e->amount == WEIR_REASON_CONNECTION);
        break;
    case WEIR_EVENT_CONNECTION_CLOSED:
        m->lost[e->node]++;
        /* The word of the side that closes may be lost: then the other side waits in vain. */
        if (e->error == WEIR_E_TIMEOUT && e->object != m->dialled[e->node] && m->is_lossy) break;
        assert_int_equal(e->error, 0);
        assert_int_equal(e->amount, WEIR_REASON_DUPLICATE);
        break;
    case WEIR_EVENT_PEER_UP: m->up[e->node]++; break;
    case WEIR_EVENT_PEER_DOWN: m->down[e->node]++; break;
    default: break;
    }
}

static void merge_run(struct merge *m, uint64_t span_us)
{
    uint64_t until_us = sim_now(&m->sim) + span_us;
    weir_event event;

    while (sim_next(&m->sim, &event, until_us)) merge_event(m, &event);
}

static void merge_links(struct merge *m, uint64_t there_us, uint64_t back_us, uint32_t loss_ppm)
{
    weir_link_options link = {.size = sizeof link, .one_way = 1, .loss_ppm = loss_ppm};

    link.loss_burst_max = 3;
    link.delay_us_plus1 = there_us + 1;
    assert_int_equal(weir_world_link(m->sim.world, 1, 2, &link), 0);
    link.delay_us_plus1 = back_us + 1;
    assert_int_equal(weir_world_link(m->sim.world, 2, 1, &link), 0);
}

static void merge_play(uint64_t seed, uint64_t later_us, uint64_t there_us, uint64_t back_us,
                       uint32_t loss_ppm)
{
    static struct merge m;
    weir_peer_info info = {.size = sizeof info};
    weir_peer_id peer;
    uint32_t side, round;

    memset(&m, 0, sizeof m);
    sim_open(&m.sim, seed, WEIR_FIDELITY_PACKET, 2, &quiet);
    merge_links(&m, there_us, back_us, loss_ppm);
    m.is_lossy = loss_ppm > 0;
    m.dialled[1] = sim_dial(&m.sim, 1, 2);
    merge_run(&m, later_us);
    /* CONNECTED of the other's dial may be here already: then this one finds that connection. */
    m.dialled[2] = sim_dial(&m.sim, 2, 1);
    /* Held, so that nothing but the merge ends a connection. */
    for (side = 1; side <= SIDES; side++) {
        assert_int_equal(weir_node_peer(m.sim.nodes[3 - side], &peer), 0);
        assert_int_equal(weir_peer_hold(m.sim.nodes[side], &peer), 0);
    }
    merge_run(&m, 45 * SIM_SECOND);
    for (side = 1; side <= SIDES; side++) {
        assert_int_equal(weir_node_peer(m.sim.nodes[3 - side], &peer), 0);
        assert_int_equal(weir_peer_get_info(m.sim.nodes[side], &peer, &info), 0);
        assert_int_equal(info.connections, 1);
        assert_true(m.answers[side] >= 1);
        assert_true(m.lost[side] <= 1);
        assert_int_equal(m.up[side], 1);
        assert_int_equal(m.down[side], 0);
        /* What was written to whichever connection arrived. */
        assert_true(m.is_opened[side]);
        assert_int_equal(m.got[side], STREAM_BYTES);
        for (round = 0; round < 2; round++)
            assert_true(sim_move(&m.sim, side, 3 - side, info.connection, 2000,
                                 sim_now(&m.sim) + 5 * SIM_SECOND) > 0);
    }
    sim_close(&m.sim);
}

static void test_dials_from_both_sides_lose_no_byte(void **state)
{
    static const uint64_t later_us[] = {0, 3000, 12000, 25000, 45000, 90000};
    uint64_t seed, i;

    (void)state;
    for (seed = 1; seed <= 8; seed++) {
        for (i = 0; i < sizeof later_us / sizeof later_us[0]; i++) {
            merge_play(seed, later_us[i], 10000, 10000, 0);
            merge_play(seed, later_us[i], 40000, 5000, 0);
            merge_play(seed, later_us[i], 2000, 80000, 100000);
            merge_play(seed, later_us[i], 20000, 20000, 300000);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_peer_dialled_twice_at_once_gives_two_answers_and_one_connection),
        cmocka_unit_test(test_a_node_does_not_connect_to_itself),
        cmocka_unit_test(test_a_refused_peer_is_not_dialled_under_any_address),
        cmocka_unit_test(test_what_cannot_be_dialled_is_told_at_the_call),
        cmocka_unit_test(test_a_link_local_address_keeps_its_zone),
        cmocka_unit_test(test_a_dial_goes_on_when_its_attempts_gave_up),
        cmocka_unit_test(test_a_dial_whose_time_is_over_while_a_name_is_looked_up_says_so),
        cmocka_unit_test(test_a_dial_may_be_closed_at_any_time),
        cmocka_unit_test(test_a_drain_ends_dials),
        cmocka_unit_test(test_dials_from_both_sides_lose_no_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
