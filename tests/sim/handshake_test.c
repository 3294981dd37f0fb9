/* SPDX-License-Identifier: MIT */
/* Goal: two peers connect whatever is lost, within the time of a dial. Method: a fresh world for
 * each handshake; random loss with a cap on losses in a row, and every pattern of the first
 * datagrams of each side. */
#include "sim/rig.h"
#include <stdlib.h>

enum { HANDSHAKES = 1000, PATTERNS = 256 };
#define DIAL_US (60 * SIM_SECOND)

/* Repeated messages make the first round trip look long, and so the next probe late (RFC 9002
 * 6.2.1): that must not look like a dead connection here. */
static const weir_node_options quiet = {
    .size = sizeof quiet, .observed_off = 1, .idle_timeout_us = 300 * SIM_SECOND};

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void print_times(const char *what, uint64_t *took_us, size_t count)
{
    qsort(took_us, count, sizeof *took_us, compare);
    print_message("  %s: p50 %llu ms, p99 %llu ms, longest %llu ms\n", what,
                  (unsigned long long)(took_us[count / 2] / 1000),
                  (unsigned long long)(took_us[count * 99 / 100] / 1000),
                  (unsigned long long)(took_us[count - 1] / 1000));
}

/* @return how long until both ends were up; the connection then carries a byte back */
static uint64_t connect_once(uint64_t seed, const weir_link_options *there,
                             const weir_link_options *back)
{
    uint64_t ends[2], start_us, took_us;
    struct sim sim;

    sim_open(&sim, seed, WEIR_FIDELITY_PACKET, 2, &quiet);
    start_us = sim_now(&sim);
    assert_int_equal(weir_world_link(sim.world, 1, 2, there), 0);
    if (back != NULL) assert_int_equal(weir_world_link(sim.world, 2, 1, back), 0);
    if (!sim_connect(&sim, 1, 2, ends, start_us + DIAL_US)) {
        fail_msg("seed %llu, patterns %llx and %llx: no connection", (unsigned long long)seed,
                 (unsigned long long)there->drop_pattern,
                 (unsigned long long)(back == NULL ? 0 : back->drop_pattern));
    }
    took_us = sim_now(&sim) - start_us;
    assert_true(sim_move(&sim, 2, 1, ends[1], 1, sim_now(&sim) + 200 * SIM_SECOND) > 0);
    sim_close(&sim);
    return took_us;
}

static void test_1000_handshakes_pass_30_percent_loss(void **state)
{
    weir_link_options link = {.size = sizeof link, .loss_ppm = 300000, .loss_burst_max = 3};
    static uint64_t took_us[HANDSHAKES];
    uint32_t i;

    (void)state;
    for (i = 0; i < HANDSHAKES; i++) took_us[i] = connect_once(1000 + i, &link, NULL);
    print_times("30 % loss", took_us, HANDSHAKES);
    assert_in_range(took_us[0], 3 * RIG_DELAY_US, 3 * RIG_DELAY_US);
    assert_in_range(took_us[HANDSHAKES / 2], 3 * RIG_DELAY_US, 3 * SIM_SECOND);
    assert_in_range(took_us[HANDSHAKES * 99 / 100], SIM_SECOND, 30 * SIM_SECOND);
}

static void run_patterns(const char *what, uint32_t there_bits, uint32_t back_bits)
{
    static uint64_t took_us[PATTERNS];
    uint32_t i;

    for (i = 0; i < PATTERNS; i++) {
        weir_link_options there = {.size = sizeof there, .one_way = 1};
        weir_link_options back = {.size = sizeof back, .one_way = 1};

        there.drop_pattern = i & ((1u << there_bits) - 1);
        back.drop_pattern = there_bits == 8 ? 0 : i >> (8 - back_bits);
        took_us[i] = connect_once(5000 + i, &there, &back);
        if (i == 0) assert_int_equal(took_us[0], 3 * RIG_DELAY_US);
    }
    print_times(what, took_us, PATTERNS);
}

static void test_every_pattern_of_the_diallers_first_8_datagrams(void **state)
{
    (void)state;
    run_patterns("dialler's 8", 8, 0);
}

static void test_every_pattern_of_the_listeners_first_8_datagrams(void **state)
{
    (void)state;
    run_patterns("listener's 8", 0, 8);
}

static void test_every_pattern_of_the_first_4_datagrams_of_both(void **state)
{
    (void)state;
    run_patterns("4 of each", 4, 4);
}

static void test_many_diallers_share_one_listener(void **state)
{
    weir_link_options link = {.size = sizeof link, .loss_ppm = 300000, .loss_burst_max = 3};
    uint32_t i, up = 0;
    weir_event event;
    struct sim sim;

    (void)state;
    sim_open(&sim, 77, WEIR_FIDELITY_PACKET, SIM_NODES_MAX, &quiet);
    sim_link(&sim, &link);
    for (i = 2; i <= SIM_NODES_MAX; i++) (void)sim_dial(&sim, i, 1);
    while (up < SIM_NODES_MAX - 1 && sim_next(&sim, &event, sim_now(&sim) + DIAL_US)) {
        assert_int_not_equal(event.kind, WEIR_EVENT_CONNECTION_CLOSED);
        if (event.kind == WEIR_EVENT_CONNECTED && event.node == 1) up++;
    }
    assert_int_equal(up, SIM_NODES_MAX - 1);
    assert_int_equal(weir_peer_list(sim.nodes[1], NULL, 0), SIM_NODES_MAX - 1);
    sim_close(&sim);
}

static void test_a_dial_that_nobody_answers_ends_when_its_time_is_over(void **state)
{
    weir_link_options link = {.size = sizeof link, .loss_ppm = 1000000};
    weir_dial_options dial = {.size = sizeof dial, .timeout_us = 7 * SIM_SECOND};
    uint64_t start_us;
    int64_t connection;
    char address[WEIR_ADDRESS_TEXT_MAX];
    weir_event event;
    struct sim sim;

    (void)state;
    sim_open(&sim, 78, WEIR_FIDELITY_PACKET, 2, &quiet);
    sim_link(&sim, &link);
    assert_true(weir_node_address(sim.nodes[2], 0, address, sizeof address) > 0);
    start_us = sim_now(&sim);
    connection = weir_node_dial(sim.nodes[1], address, &dial);
    assert_true(connection > 0);
    assert_true(sim_next(&sim, &event, start_us + DIAL_US));
    assert_int_equal(event.kind, WEIR_EVENT_CONNECTION_CLOSED);
    assert_int_equal(event.object, connection);
    assert_int_equal(event.error, WEIR_E_TIMEOUT);
    assert_int_equal(event.amount, WEIR_REASON_UNREACHABLE);
    assert_int_equal(sim_now(&sim) - start_us, 7 * SIM_SECOND);
    assert_false(sim_next(&sim, &event, sim_now(&sim) + DIAL_US));
    sim_close(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_1000_handshakes_pass_30_percent_loss),
        cmocka_unit_test(test_every_pattern_of_the_diallers_first_8_datagrams),
        cmocka_unit_test(test_every_pattern_of_the_listeners_first_8_datagrams),
        cmocka_unit_test(test_every_pattern_of_the_first_4_datagrams_of_both),
        cmocka_unit_test(test_many_diallers_share_one_listener),
        cmocka_unit_test(test_a_dial_that_nobody_answers_ends_when_its_time_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
