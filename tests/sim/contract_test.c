/* SPDX-License-Identifier: MIT */
/* Goal: sentences of weir.h that no other test holds on to: what a closed connection still answers,
 * holds and access rules over time, the list of peers in any size, limits and budgets with their
 * facts. Method: one small world per sentence, through weir.h. */
#include "sim/rig.h"
#include <stdio.h>
#include <string.h>

static const weir_node_options quiet = {.size = sizeof quiet, .observed_off = 1};
static struct rig_log seen;

static weir_peer_id peer_of(struct sim *sim, uint32_t node)
{
    weir_peer_id peer;

    assert_int_equal(weir_node_peer(sim->nodes[node], &peer), 0);
    return peer;
}

static weir_error facts_of(struct sim *sim, uint32_t node)
{
    weir_error facts = {.size = sizeof facts};

    assert_int_equal(weir_last_error(sim->nodes[node], &facts), 0);
    return facts;
}

static void test_what_was_closed_answers_until_the_next_turn(void **state)
{
    weir_connection_info info = {.size = sizeof info};
    weir_stream_info stream_info = {.size = sizeof stream_info};
    const void *data;
    struct sim sim;
    uint64_t ends[2], stream;
    char byte;

    (void)state;
    rig_pair(&sim, 1, NULL, ends);
    stream = rig_stream(&sim, 1, ends[0], SIM_PROTOCOL, 0);
    rig_write(&sim, 1, stream, "x", 1, 0);
    assert_int_equal(weir_connection_close(sim.nodes[1], ends[0], 4, NULL), 0);
    assert_int_equal(weir_stream_open(sim.nodes[1], ends[0], SIM_PROTOCOL, NULL),
                     WEIR_E_NOT_CONNECTED);
    assert_int_equal(weir_stream_write(sim.nodes[1], stream, "x", 1, 0), WEIR_E_NOT_CONNECTED);
    assert_int_equal(weir_stream_finish(sim.nodes[1], stream), 0);
    assert_int_equal(weir_stream_reset(sim.nodes[1], stream, 1), 0);
    assert_int_equal(weir_stream_stop(sim.nodes[1], stream, 1), 0);
    assert_int_equal(weir_stream_flush(sim.nodes[1], stream), 0);
    rig_gather(&sim, &seen, 0);
    assert_int_equal(rig_must(&seen, WEIR_EVENT_STREAM_CLOSED, 1, stream)->amount,
                     WEIR_REASON_CONNECTION);
    /* rig_gather has run the world once more: everything of it is gone. */
    assert_int_equal(weir_connection_get_info(sim.nodes[1], ends[0], &info), WEIR_E_STALE);
    assert_int_equal(weir_stream_get_info(sim.nodes[1], stream, &stream_info), WEIR_E_STALE);
    assert_int_equal(weir_stream_peek(sim.nodes[1], stream, &data), WEIR_E_STALE);
    assert_int_equal(weir_stream_read(sim.nodes[1], stream, &byte, 1), WEIR_E_STALE);
    assert_int_equal(weir_connection_close(sim.nodes[1], ends[0], 4, NULL), WEIR_E_STALE);
    sim_close(&sim);
}

static void test_a_small_array_keeps_the_object_until_its_last_event_was_told(void **state)
{
    weir_connection_info info = {.size = sizeof info};
    weir_event event = {0};
    struct sim sim;
    uint64_t ends[2];
    uint32_t kinds[8], count = 0;

    (void)state;
    rig_pair(&sim, 1, NULL, ends);
    (void)rig_stream(&sim, 1, ends[0], SIM_PROTOCOL, 0);
    assert_int_equal(weir_connection_close(sim.nodes[1], ends[0], 4, NULL), 0);
    while (weir_world_run(sim.world, sim_now(&sim)) == 1) {
        assert_int_equal(weir_connection_get_info(sim.nodes[1], ends[0], &info), 0);
        assert_int_equal(weir_world_poll(sim.world, 0, &event, 1), 1);
        assert_true(count < 8);
        kinds[count++] = event.kind;
    }
    assert_int_equal(count, 3);
    assert_int_equal(kinds[0], WEIR_EVENT_STREAM_CLOSED);
    assert_int_equal(kinds[1], WEIR_EVENT_CONNECTION_CLOSED);
    assert_int_equal(kinds[2], WEIR_EVENT_PEER_DOWN);
    assert_int_equal(weir_connection_get_info(sim.nodes[1], ends[0], &info), WEIR_E_STALE);
    sim_close(&sim);
}

static void test_what_a_call_failed_of_is_not_overwritten_by_what_else_fails(void **state)
{
    weir_dial_options options = {.size = sizeof options, .timeout_us = SIM_SECOND};
    struct sim sim;

    (void)state;
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 1, &quiet);
    assert_true(weir_node_dial(sim.nodes[1], "10.0.0.9:1", &options) > 0);
    assert_int_equal(weir_stream_flush(sim.nodes[1], 99), WEIR_E_STALE);
    assert_int_equal(facts_of(&sim, 1).code, WEIR_E_STALE);
    /* A dial that failed has its facts there too, until the next call that fails. */
    sim_settle(&sim, sim_now(&sim) + 2 * SIM_SECOND);
    assert_int_equal(facts_of(&sim, 1).code, WEIR_E_TIMEOUT);
    assert_string_equal(facts_of(&sim, 1).detail, "the dial failed: 10.0.0.9:1: no answer: "
                                                  "check that it runs and that UDP gets there");
    sim_close(&sim);
}

static void test_a_hold_outlives_the_connection(void **state)
{
    weir_peer_info info = {.size = sizeof info};
    struct sim sim;
    weir_peer_id second;
    uint64_t ends[2];

    (void)state;
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 2, &quiet);
    second = peer_of(&sim, 2);
    assert_int_equal(weir_peer_release(sim.nodes[1], &second), WEIR_E_STATE);
    /* Before there is a connection, and twice. */
    assert_int_equal(weir_peer_hold(sim.nodes[1], &second), 0);
    assert_int_equal(weir_peer_hold(sim.nodes[1], &second), 0);
    assert_true(sim_connect(&sim, 1, 2, ends, sim_now(&sim) + SIM_SECOND));
    rig_gather(&sim, &seen, 100 * SIM_SECOND);
    assert_int_equal(rig_count(&seen, WEIR_EVENT_CONNECTION_CLOSED, 0, 0), 0);
    assert_int_equal(weir_connection_close(sim.nodes[2], ends[1], 0, NULL), 0);
    sim_settle(&sim, sim_now(&sim) + SIM_SECOND);
    assert_int_equal(weir_peer_get_info(sim.nodes[1], &second, &info), 0);
    assert_int_equal(info.connections, 0);
    assert_int_equal(info.holds, 2);
    assert_int_equal(info.up_since_us, 0);
    /* The next one is held from its first moment. */
    assert_true(sim_connect(&sim, 1, 2, ends, sim_now(&sim) + SIM_SECOND));
    assert_int_equal(weir_peer_release(sim.nodes[1], &second), 0);
    rig_gather(&sim, &seen, 100 * SIM_SECOND);
    assert_int_equal(rig_count(&seen, WEIR_EVENT_CONNECTION_CLOSED, 0, 0), 0);
    assert_int_equal(weir_peer_release(sim.nodes[1], &second), 0);
    assert_int_equal(weir_peer_release(sim.nodes[1], &second), WEIR_E_STATE);
    rig_gather(&sim, &seen, 100 * SIM_SECOND);
    assert_int_equal(rig_count(&seen, WEIR_EVENT_CONNECTION_CLOSED, 0, 0), 2);
    assert_int_equal(rig_must(&seen, WEIR_EVENT_CONNECTION_CLOSED, 1, ends[0])->amount,
                     WEIR_REASON_IDLE);
    sim_close(&sim);
}

static void test_access_takes_effect_at_once(void **state)
{
    weir_node_options options = quiet;
    struct sim sim;
    weir_peer_id first, third;
    uint64_t ends[2], other[2];

    (void)state;
    options.refuse_unknown = 1;
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 3, &options);
    first = peer_of(&sim, 1);
    third = peer_of(&sim, 3);
    assert_int_equal(weir_peer_access(sim.nodes[2], &first, WEIR_ACCESS_ACCEPT), 0);
    assert_int_equal(weir_peer_access(sim.nodes[3], &first, 3), WEIR_E_ARGUMENT);
    assert_true(sim_connect(&sim, 1, 2, ends, sim_now(&sim) + SIM_SECOND));
    assert_int_equal(weir_peer_access(sim.nodes[3], &first, WEIR_ACCESS_ACCEPT), 0);
    assert_true(sim_connect(&sim, 1, 3, other, sim_now(&sim) + SIM_SECOND));
    /* What we dialled needs no rule; what we let in by a rule goes with it. */
    assert_int_equal(weir_peer_access(sim.nodes[1], &third, WEIR_ACCESS_ACCEPT), 0);
    assert_int_equal(weir_peer_access(sim.nodes[1], &third, WEIR_ACCESS_DEFAULT), 0);
    assert_int_equal(weir_peer_access(sim.nodes[2], &first, WEIR_ACCESS_DEFAULT), 0);
    rig_gather(&sim, &seen, SIM_SECOND);
    assert_int_equal(rig_count(&seen, WEIR_EVENT_CONNECTION_CLOSED, 0, 0), 2);
    assert_int_equal(rig_must(&seen, WEIR_EVENT_CONNECTION_CLOSED, 2, ends[1])->amount,
                     WEIR_REASON_REFUSED);
    assert_int_equal(rig_must(&seen, WEIR_EVENT_CONNECTION_CLOSED, 1, ends[0])->amount,
                     WEIR_REASON_REFUSED);
    sim_close(&sim);
}

static void test_a_network_is_refused_and_accepted_while_connected(void **state)
{
    char name[80];
    struct sim sim;
    uint64_t ends[2];
    uint32_t i;

    (void)state;
    rig_pair(&sim, 1, NULL, ends);
    memset(name, 'n', sizeof name);
    name[65] = 0;
    assert_int_equal(weir_network_access(sim.nodes[1], name, WEIR_ACCESS_ACCEPT), WEIR_E_NAME);
    name[64] = 0;
    assert_int_equal(weir_network_access(sim.nodes[1], name, WEIR_ACCESS_ACCEPT), 0);
    assert_int_equal(weir_network_access(sim.nodes[1], "", 7), WEIR_E_ARGUMENT);
    assert_int_equal(weir_network_access(sim.nodes[1], "", WEIR_ACCESS_REFUSE), 0);
    rig_gather(&sim, &seen, SIM_SECOND);
    assert_int_equal(rig_must(&seen, WEIR_EVENT_CONNECTION_CLOSED, 1, ends[0])->amount,
                     WEIR_REASON_NETWORK);
    assert_int_equal(rig_must(&seen, WEIR_EVENT_CONNECTION_CLOSED, 2, ends[1])->amount,
                     WEIR_REASON_NETWORK);
    assert_false(sim_connect(&sim, 1, 2, ends, sim_now(&sim) + SIM_SECOND));
    sim_settle(&sim, sim_now(&sim) + SIM_SECOND);
    assert_int_equal(weir_network_access(sim.nodes[1], "", WEIR_ACCESS_DEFAULT), 0);
    assert_true(sim_connect(&sim, 1, 2, ends, sim_now(&sim) + SIM_SECOND));
    /* Rules are bounded, and the facts say so. One is there already. */
    for (i = 1; i < 64; i++) {
        (void)snprintf(name, sizeof name, "net%u", i);
        assert_int_equal(weir_network_access(sim.nodes[1], name, WEIR_ACCESS_ACCEPT), 0);
    }
    assert_int_equal(weir_network_access(sim.nodes[1], "more", WEIR_ACCESS_ACCEPT), WEIR_E_LIMIT);
    assert_int_equal(facts_of(&sim, 1).limit_used, 64);
    assert_int_equal(facts_of(&sim, 1).limit_max, 64);
    assert_int_equal(facts_of(&sim, 1).limit_side, 1);
    sim_close(&sim);
}

/* A caller whose struct is longer or shorter than ours. */
static void list_as(struct sim *sim, uint32_t size)
{
    uint8_t bytes[5 * 200];
    uint32_t i, got, up = 0;
    int32_t count;

    memset(bytes, 0xaa, sizeof bytes);
    memcpy(bytes, &size, sizeof size);
    count = weir_peer_list(sim->nodes[1], (weir_peer_info *)(void *)bytes, 3);
    assert_int_equal(count, 4);
    for (i = 0; i < 3; i++) {
        weir_peer_info info = {0};

        memcpy(&got, bytes + i * size, sizeof got);
        assert_int_equal(got, size);
        memcpy(&info, bytes + i * size, size < sizeof info ? size : sizeof info);
        up += info.connections;
    }
    assert_int_equal(up, 2);
    /* Nothing beyond the third. */
    for (i = 3 * size; i < sizeof bytes; i++) assert_int_equal(bytes[i], 0xaa);
}

static void test_peers_are_listed_in_any_size_of_struct_and_array(void **state)
{
    weir_peer_info one[4] = {{.size = sizeof one[0]}};
    struct sim sim;
    weir_peer_id third, fourth, fifth;
    uint64_t ends[2];
    uint32_t i, holds = 0, rules = 0;

    (void)state;
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 5, &quiet);
    assert_int_equal(weir_peer_list(sim.nodes[1], NULL, 0), 0);
    assert_true(sim_connect(&sim, 1, 2, ends, sim_now(&sim) + SIM_SECOND));
    assert_true(sim_connect(&sim, 1, 3, ends, sim_now(&sim) + SIM_SECOND));
    third = peer_of(&sim, 3);
    fourth = peer_of(&sim, 4);
    fifth = peer_of(&sim, 5);
    /* Connected and held counts once; an address alone is not listed, but known. */
    assert_int_equal(weir_peer_hold(sim.nodes[1], &third), 0);
    assert_int_equal(weir_peer_hold(sim.nodes[1], &fourth), 0);
    assert_int_equal(weir_peer_get_info(sim.nodes[1], &fifth, one), WEIR_E_NOT_FOUND);
    assert_int_equal(weir_peer_add_address(sim.nodes[1], &fifth, "n5:4001"), 0);
    assert_int_equal(weir_peer_get_info(sim.nodes[1], &fifth, one), 0);
    assert_int_equal(one[0].addresses, 1);
    assert_int_equal(weir_peer_list(sim.nodes[1], NULL, 0), 3);
    assert_int_equal(weir_peer_access(sim.nodes[1], &fifth, WEIR_ACCESS_ACCEPT), 0);
    assert_int_equal(weir_peer_list(sim.nodes[1], one, 4), 4);
    for (i = 0; i < 4; i++) {
        holds += one[i].holds;
        rules += one[i].access == WEIR_ACCESS_ACCEPT;
        assert_int_equal(one[i].size, sizeof one[0]);
        assert_true((one[i].connections == 0) == (one[i].up_since_us == 0));
        assert_true(one[i].connections == 0 || one[i].rtt_us >= 20 * RIG_MS);
    }
    assert_int_equal(holds, 2);
    assert_int_equal(rules, 1);
    list_as(&sim, sizeof one[0]);
    list_as(&sim, sizeof one[0] + 64);
    list_as(&sim, 16);
    assert_int_equal(weir_peer_list(sim.nodes[1], NULL, 1), WEIR_E_NULL);
    one[0].size = 12;
    assert_int_equal(weir_peer_list(sim.nodes[1], one, 1), WEIR_E_SIZE);
    sim_close(&sim);
}

static void test_the_book_is_bounded_and_holds_a_peers_own_addresses(void **state)
{
    char text[WEIR_ADDRESS_TEXT_MAX];
    struct sim sim;
    weir_peer_id second, third;
    uint32_t i;

    (void)state;
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 3, &quiet);
    second = peer_of(&sim, 2);
    third = peer_of(&sim, 3);
    assert_true(weir_node_address(sim.nodes[2], 0, text, sizeof text) > 0);
    assert_int_equal(weir_peer_add_address(sim.nodes[1], &third, text), WEIR_E_PEER_ID);
    assert_non_null(strstr(facts_of(&sim, 1).detail, "another peer"));
    assert_int_equal(weir_peer_add_address(sim.nodes[1], &third, "nowhere"), WEIR_E_ADDRESS);
    assert_int_equal(weir_peer_address(sim.nodes[1], &third, 0, text, sizeof text),
                     WEIR_E_NOT_FOUND);
    for (i = 1; i <= 16; i++) {
        (void)snprintf(text, sizeof text, "10.0.1.%u:4001", i);
        assert_int_equal(weir_peer_add_address(sim.nodes[1], &second, text), 0);
        assert_int_equal(weir_peer_add_address(sim.nodes[1], &second, text), 0);
    }
    assert_true(weir_peer_address(sim.nodes[1], &second, 15, text, sizeof text) > 0);
    assert_int_equal(weir_peer_address(sim.nodes[1], &second, 16, text, sizeof text),
                     WEIR_E_NOT_FOUND);
    assert_int_equal(weir_peer_address(sim.nodes[1], &second, 0, text, 4), WEIR_E_SPACE);
    /* Nothing displaces what the application said. */
    assert_int_equal(weir_peer_add_address(sim.nodes[1], &second, "10.0.1.17:4001"), WEIR_E_LIMIT);
    weir_error facts = facts_of(&sim, 1);
    assert_int_equal(facts.code, WEIR_E_LIMIT);
    assert_string_equal(facts.limit_name, "book_addresses");
    assert_int_equal(facts.limit_used, 16);
    assert_int_equal(facts.limit_max, 16);
    assert_memory_equal(&facts.peer, &second, sizeof second);
    /* All of them may be dialled at once. */
    assert_true(weir_peer_dial(sim.nodes[1], &second, NULL) > 0);
    sim_close(&sim);
}

static void test_a_peer_with_little_memory_grants_few_streams(void **state)
{
    weir_node_options options = {.size = sizeof options};
    weir_stream_options one_way = {.size = sizeof one_way, .flags = WEIR_ONE_WAY};
    weir_error facts;
    struct sim sim;
    uint64_t ends[2];
    int64_t stream, count = 0;

    (void)state;
    options.memory_bytes = 256 << 10;
    options.streams_max = 4096;
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 2, &options);
    assert_true(sim_connect(&sim, 1, 2, ends, sim_now(&sim) + SIM_SECOND));
    while ((stream = weir_stream_open(sim.nodes[1], ends[0], SIM_PROTOCOL, &one_way)) > 0) count++;
    assert_int_equal(stream, WEIR_E_LIMIT);
    facts = facts_of(&sim, 1);
    assert_string_equal(facts.limit_name, "streams_uni");
    assert_int_equal(facts.limit_side, 2);
    assert_int_equal(facts.limit_max, count);
    assert_in_range(count, 1, 4095);
    sim_close(&sim);
}

static void test_a_budget_that_is_used_up_says_which(void **state)
{
    weir_node_options options = quiet;
    weir_stream_options one_way = {.size = sizeof one_way, .flags = WEIR_ONE_WAY};
    weir_error facts;
    struct sim sim;
    uint64_t ends[2];
    weir_peer_id second;
    int64_t stream, count = 0;

    (void)state;
    options.streams_max = 4096; /* and the peer has the memory for them, unlike the node */
    rig_open(&sim, mem_system(), 1, WEIR_FIDELITY_PACKET);
    options.memory_bytes = 256 << 10;
    (void)rig_add(&sim, &options, NULL);
    options.memory_bytes = 0;
    (void)rig_add(&sim, &options, NULL);
    second = peer_of(&sim, 2);
    assert_true(sim_connect(&sim, 1, 2, ends, sim_now(&sim) + SIM_SECOND));
    while ((stream = weir_stream_open(sim.nodes[1], ends[0], SIM_PROTOCOL, &one_way)) > 0) count++;
    assert_int_equal(stream, WEIR_E_BUDGET);
    assert_true(count > 10);
    facts = facts_of(&sim, 1);
    print_message("  after %d streams: %s %llu of %llu: %s\n", (int)count, facts.limit_name,
                  (unsigned long long)facts.limit_used, (unsigned long long)facts.limit_max,
                  facts.detail);
    assert_string_equal(facts.limit_name, "peer_memory");
    assert_int_equal(facts.limit_side, 1);
    assert_true(facts.limit_used <= facts.limit_max && facts.limit_used > facts.limit_max / 2);
    assert_memory_equal(&facts.peer, &second, sizeof second);
    sim_close(&sim);
}

static void test_names_that_the_peers_credit_cannot_hold_wait_for_it(void **state)
{
    weir_node_options options = quiet;
    weir_error facts;
    struct sim sim;
    uint64_t ends[2];
    char name[129];
    int64_t stream, count = 0;

    (void)state;
    options.connection_window_bytes = 1024;
    options.windows_grow_off = 1;
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 2, &options);
    assert_true(sim_connect(&sim, 1, 2, ends, sim_now(&sim) + SIM_SECOND));
    memset(name, 'n', 128);
    name[128] = 0;
    while ((stream = weir_stream_open(sim.nodes[1], ends[0], name, NULL)) > 0) count++;
    assert_int_equal(stream, WEIR_E_LIMIT);
    assert_int_equal(count, 7);
    facts = facts_of(&sim, 1);
    assert_string_equal(facts.limit_name, "connection_window");
    assert_int_equal(facts.limit_side, 2);
    assert_int_equal(facts.limit_max, 1024);
    assert_true(facts.limit_used > 1024 - 130 && facts.limit_used <= 1024);
    rig_gather(&sim, &seen, SIM_SECOND);
    assert_int_equal(rig_count(&seen, WEIR_EVENT_OPENABLE, 1, ends[0]), 1);
    assert_true(weir_stream_open(sim.nodes[1], ends[0], name, NULL) > 0);
    sim_close(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_closed_answers_until_the_next_turn),
        cmocka_unit_test(test_a_small_array_keeps_the_object_until_its_last_event_was_told),
        cmocka_unit_test(test_what_a_call_failed_of_is_not_overwritten_by_what_else_fails),
        cmocka_unit_test(test_a_hold_outlives_the_connection),
        cmocka_unit_test(test_access_takes_effect_at_once),
        cmocka_unit_test(test_a_network_is_refused_and_accepted_while_connected),
        cmocka_unit_test(test_peers_are_listed_in_any_size_of_struct_and_array),
        cmocka_unit_test(test_the_book_is_bounded_and_holds_a_peers_own_addresses),
        cmocka_unit_test(test_a_peer_with_little_memory_grants_few_streams),
        cmocka_unit_test(test_a_budget_that_is_used_up_says_which),
        cmocka_unit_test(test_names_that_the_peers_credit_cannot_hold_wait_for_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
