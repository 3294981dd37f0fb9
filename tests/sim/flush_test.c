/* SPDX-License-Identifier: MIT */
/* Goal: the application owns the flush. One round trip before the dialler's first data, one packet
 * for what fits, and no timer that lets go. Method: two nodes, a tap that counts the datagrams that
 * crossed. */
#include "sim/rig.h"
#include <string.h>

/* A connection that stays up for hours without a word. */
static const weir_node_options patient = {
    .size = sizeof patient,
    .idle_timeout_us = 10000 * SIM_SECOND,
    .keep_alive_us = WEIR_NONE,
};

static void test_dialler_may_send_after_one_round_trip(void **state)
{
    weir_node_options options = {.size = sizeof options, .observed_off = 1};
    uint64_t start_us, connection, stream;
    weir_event event;
    struct sim sim;

    (void)state;
    sim_open(&sim, 1, WEIR_FIDELITY_PACKET, 2, &options);
    start_us = sim_now(&sim);
    connection = sim_dial(&sim, 1, 2);
    assert_true(sim_next(&sim, &event, start_us + SIM_SECOND));
    assert_int_equal(event.kind, WEIR_EVENT_CONNECTED);
    assert_int_equal(event.node, 1);
    assert_int_equal(event.object, connection);
    assert_int_equal(event.amount, 1);
    assert_int_equal(sim_now(&sim) - start_us, 2 * RIG_DELAY_US);
    stream = rig_stream(&sim, 1, connection, SIM_PROTOCOL, 0);
    rig_write(&sim, 1, stream, "first", 5, WEIR_FIN);
    assert_true(sim_wait(&sim, WEIR_EVENT_STREAM, 2, 0, &event, start_us + SIM_SECOND));
    assert_int_equal(sim_now(&sim) - start_us, 3 * RIG_DELAY_US);
    rig_expect(&sim, 2, event.object, "first");
    sim_close(&sim);
}

static void test_request_that_fits_leaves_in_one_packet(void **state)
{
    static const char body[900] = {'x'};
    struct rig_tap tap;
    struct rig_log log;
    uint64_t ends[2], stream;
    const weir_event *event;
    struct sim sim;

    (void)state;
    rig_pair(&sim, 2, NULL, ends);
    rig_watch(&sim, &tap);
    stream = rig_stream(&sim, 1, ends[0], SIM_PROTOCOL, 0);
    rig_write(&sim, 1, stream, body, sizeof body, WEIR_FIN);
    rig_gather(&sim, &log, RIG_DELAY_US);
    assert_int_equal(tap.delivered[1], 1);
    assert_in_range(tap.last_bytes[1], sizeof body + sizeof SIM_PROTOCOL, 1200);
    event = rig_must(&log, WEIR_EVENT_READABLE, 2, 0);
    assert_int_equal(event->amount, sizeof body);
    assert_int_equal(event->error, WEIR_E_END);
    assert_int_equal(rig_drop(&sim, 2, event->object), sizeof body);
    sim_close(&sim);
}

/* Three calls, one packet: the body may come in pieces, and the FIN alone. */
static void test_finish_joins_what_was_written_in_the_same_turn(void **state)
{
    struct rig_tap tap;
    struct rig_log log;
    uint64_t ends[2], stream;
    struct sim sim;

    (void)state;
    rig_pair(&sim, 3, NULL, ends);
    rig_watch(&sim, &tap);
    stream = rig_stream(&sim, 1, ends[0], SIM_PROTOCOL, WEIR_ONE_WAY);
    rig_write(&sim, 1, stream, "ab", 2, WEIR_MORE);
    rig_write(&sim, 1, stream, "cd", 2, 0);
    assert_int_equal(weir_stream_finish(sim.nodes[1], stream), 0);
    rig_gather(&sim, &log, RIG_DELAY_US);
    assert_int_equal(tap.delivered[1], 1);
    assert_int_equal(rig_must(&log, WEIR_EVENT_READABLE, 2, 0)->error, WEIR_E_END);
    rig_expect(&sim, 2, rig_must(&log, WEIR_EVENT_STREAM, 2, 0)->object, "abcd");
    sim_close(&sim);
}

static void test_100_small_writes_and_one_poll_make_one_packet(void **state)
{
    struct rig_tap tap;
    struct rig_log log;
    uint64_t ends[2], streams[5];
    struct sim sim;
    uint32_t i;

    (void)state;
    rig_pair(&sim, 4, NULL, ends);
    for (i = 0; i < 5; i++) streams[i] = rig_stream(&sim, 1, ends[0], SIM_PROTOCOL, 0);
    rig_gather(&sim, &log, SIM_SECOND);
    rig_watch(&sim, &tap);
    for (i = 0; i < 100; i++) rig_write(&sim, 1, streams[0], "0123456789", 10, 0);
    rig_gather(&sim, &log, RIG_DELAY_US);
    assert_int_equal(tap.delivered[1], 1);
    assert_int_equal(rig_must(&log, WEIR_EVENT_READABLE, 2, 0)->amount, 1000);
    rig_gather(&sim, &log, SIM_SECOND);
    assert_int_equal(tap.delivered[1], 1);
    /* Several streams share it too. */
    for (i = 0; i < 100; i++) rig_write(&sim, 1, streams[i % 5], "01234567", 8, 0);
    rig_gather(&sim, &log, RIG_DELAY_US);
    assert_int_equal(tap.delivered[1], 2);
    sim_close(&sim);
}

/* Each poll in between is a flush: the application decides. */
static void test_each_poll_lets_go_what_was_written_before_it(void **state)
{
    struct rig_tap tap;
    struct rig_log log;
    uint64_t ends[2], stream;
    struct sim sim;
    uint32_t i;

    (void)state;
    rig_pair(&sim, 5, NULL, ends);
    stream = rig_stream(&sim, 1, ends[0], SIM_PROTOCOL, 0);
    rig_write(&sim, 1, stream, "0", 1, 0);
    rig_gather(&sim, &log, SIM_SECOND);
    rig_watch(&sim, &tap);
    for (i = 0; i < 5; i++) {
        rig_write(&sim, 1, stream, "1", 1, 0);
        rig_gather(&sim, &log, RIG_MS);
    }
    rig_gather(&sim, &log, RIG_DELAY_US);
    assert_int_equal(tap.delivered[1], 5);
    sim_close(&sim);
}

static void test_more_holds_a_partial_packet_and_flush_lets_go(void **state)
{
    static const char big[3000] = {'b'};
    struct rig_tap tap;
    struct rig_log log;
    uint64_t ends[2], stream, there;
    struct sim sim;

    (void)state;
    rig_pair(&sim, 6, &patient, ends);
    stream = rig_stream(&sim, 1, ends[0], SIM_PROTOCOL, 0);
    rig_watch(&sim, &tap);
    rig_write(&sim, 1, stream, "held", 4, WEIR_MORE);
    rig_gather(&sim, &log, SIM_SECOND);
    assert_int_equal(tap.delivered[1], 0);
    assert_int_equal(weir_stream_flush(sim.nodes[1], stream), 0);
    rig_gather(&sim, &log, SIM_SECOND);
    assert_int_equal(tap.delivered[1], 1);
    there = rig_must(&log, WEIR_EVENT_STREAM, 2, 0)->object;
    rig_expect(&sim, 2, there, "held");

    /* Full packets do not wait for the rest. */
    rig_watch(&sim, &tap);
    rig_write(&sim, 1, stream, big, sizeof big, WEIR_MORE);
    rig_gather(&sim, &log, RIG_DELAY_US);
    assert_int_equal(tap.delivered[1], 2);
    assert_in_range(rig_drop(&sim, 2, there), 2000, 2400);
    rig_gather(&sim, &log, SIM_SECOND);
    assert_int_equal(rig_drop(&sim, 2, there), 0);
    /* A write without MORE ends the holding. */
    rig_write(&sim, 1, stream, "!", 1, 0);
    rig_gather(&sim, &log, SIM_SECOND);
    assert_in_range(rig_drop(&sim, 2, there), 600, 1001);
    sim_close(&sim);
}

static void test_no_timer_ever_flushes(void **state)
{
    struct rig_tap tap;
    struct rig_log log;
    uint64_t ends[2], streams[3];
    struct sim sim;
    uint32_t i;

    (void)state;
    rig_pair(&sim, 7, &patient, ends);
    for (i = 0; i < 3; i++) streams[i] = rig_stream(&sim, 1, ends[0], SIM_PROTOCOL, 0);
    rig_watch(&sim, &tap);
    for (i = 0; i < 3; i++) rig_write(&sim, 1, streams[i], "held", 4, WEIR_MORE);
    /* Every second the application comes back to poll: that is no flush either. */
    for (i = 0; i < 60; i++) rig_gather(&sim, &log, SIM_SECOND);
    rig_gather(&sim, &log, 3600 * SIM_SECOND);
    assert_int_equal(tap.delivered[1], 0);
    assert_int_equal(tap.delivered[2], 0);
    assert_int_equal(weir_stream_flush(sim.nodes[1], streams[1]), 0);
    rig_gather(&sim, &log, SIM_SECOND);
    assert_int_equal(tap.delivered[1], 1);
    assert_int_equal(rig_count(&log, WEIR_EVENT_STREAM, 2, 0), 1);
    sim_close(&sim);
}

/* Losses are repaired without the application, and what it holds stays held. */
static void test_repair_of_a_loss_does_not_let_go_what_is_held(void **state)
{
    weir_link_options lossy = {.size = sizeof lossy, .drop_pattern = 1};
    struct rig_log log;
    uint64_t ends[2], stream, there;
    struct sim sim;

    (void)state;
    rig_pair(&sim, 8, &patient, ends);
    stream = rig_stream(&sim, 1, ends[0], SIM_PROTOCOL, 0);
    assert_int_equal(weir_world_link(sim.world, 1, 2, &lossy), 0);
    rig_write(&sim, 1, stream, "sent", 4, 0);
    rig_gather(&sim, &log, RIG_MS);
    rig_write(&sim, 1, stream, "held", 4, WEIR_MORE);
    rig_gather(&sim, &log, 10 * SIM_SECOND);
    there = rig_must(&log, WEIR_EVENT_STREAM, 2, 0)->object;
    rig_expect(&sim, 2, there, "sent");
    sim_close(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialler_may_send_after_one_round_trip),
        cmocka_unit_test(test_request_that_fits_leaves_in_one_packet),
        cmocka_unit_test(test_finish_joins_what_was_written_in_the_same_turn),
        cmocka_unit_test(test_100_small_writes_and_one_poll_make_one_packet),
        cmocka_unit_test(test_each_poll_lets_go_what_was_written_before_it),
        cmocka_unit_test(test_more_holds_a_partial_packet_and_flush_lets_go),
        cmocka_unit_test(test_no_timer_ever_flushes),
        cmocka_unit_test(test_repair_of_a_loss_does_not_let_go_what_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
