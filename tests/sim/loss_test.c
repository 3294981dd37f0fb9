/* SPDX-License-Identifier: MIT */
/* Goal: every byte arrives, in order, whatever the way does to datagrams, and at a sensible speed.
 * Method: one stream of checked bytes over one link with a fault; bounds in virtual time, which is
 * the same in every run. */
#include "sim/rig.h"

#define MIB (UINT64_C(1) << 20)

static uint64_t move(uint64_t seed, const weir_link_options *link, uint64_t bytes,
                     uint64_t limit_us)
{
    uint64_t ends[2], took_us;
    struct sim sim;

    sim_open(&sim, seed, WEIR_FIDELITY_PACKET, 2, NULL);
    sim_link(&sim, link);
    assert_true(sim_connect(&sim, 1, 2, ends, sim_now(&sim) + 60 * SIM_SECOND));
    took_us = sim_move(&sim, 1, 2, ends[0], bytes, sim_now(&sim) + limit_us);
    print_message("  %llu KiB in %llu ms, %llu KiB/s\n", (unsigned long long)(bytes >> 10),
                  (unsigned long long)(took_us / 1000),
                  (unsigned long long)(took_us == 0 ? 0 : bytes * 1000000 / took_us >> 10));
    sim_close(&sim);
    return took_us;
}

static void test_10_mib_pass_a_clean_link(void **state)
{
    weir_link_options link = {.size = sizeof link, .bandwidth_bps = 100000000};

    (void)state;
    /* 0.84 s at the speed of the link. */
    assert_in_range(move(1, &link, 10 * MIB, 600 * SIM_SECOND), 840 * RIG_MS, 2 * SIM_SECOND);
}

static void test_10_mib_pass_2_percent_loss(void **state)
{
    weir_link_options link = {.size = sizeof link, .loss_ppm = 20000};

    (void)state;
    assert_in_range(move(2, &link, 10 * MIB, 600 * SIM_SECOND), 1, 60 * SIM_SECOND);
}

static void test_10_mib_pass_10_percent_loss(void **state)
{
    weir_link_options link = {.size = sizeof link, .loss_ppm = 100000};

    (void)state;
    assert_in_range(move(3, &link, 10 * MIB, 3600 * SIM_SECOND), 1, 300 * SIM_SECOND);
}

static void test_bursts_of_loss_are_repaired(void **state)
{
    weir_link_options link = {.size = sizeof link, .burst_ppm = 2000, .burst_length = 20};

    (void)state;
    assert_in_range(move(4, &link, 2 * MIB, 600 * SIM_SECOND), 1, 60 * SIM_SECOND);
}

static void test_a_round_trip_of_1500_ms_is_no_obstacle(void **state)
{
    weir_link_options link = {.size = sizeof link, .delay_us_plus1 = 750 * RIG_MS + 1};

    (void)state;
    /* Ten packets double seven times until 1 MiB is sent; spurious probes may cost some. */
    assert_in_range(move(5, &link, MIB, 600 * SIM_SECOND), 5 * SIM_SECOND, 30 * SIM_SECOND);
}

static void test_a_blackhole_of_2_s_is_survived(void **state)
{
    weir_link_options link = {.size = sizeof link, .bandwidth_bps = 10000000};
    uint64_t clean_us, took_us;

    (void)state;
    clean_us = move(6, &link, 2 * MIB, 600 * SIM_SECOND);
    /* The world's clock starts at 1 s. */
    link.blackhole_start_us = 1500 * RIG_MS;
    link.blackhole_end_us = link.blackhole_start_us + 2 * SIM_SECOND;
    took_us = move(6, &link, 2 * MIB, 600 * SIM_SECOND);
    /* Probes go out at doubled intervals, so the way is found open at the latest as long after its
     * end as it was closed. */
    assert_in_range(took_us, clean_us + 2 * SIM_SECOND, clean_us + 5 * SIM_SECOND);
}

static void test_20_percent_duplication_costs_nothing(void **state)
{
    weir_link_options link = {.size = sizeof link, .bandwidth_bps = 20000000};
    uint64_t clean_us, took_us;

    (void)state;
    clean_us = move(7, &link, 5 * MIB, 600 * SIM_SECOND);
    link.duplicate_ppm = 200000;
    took_us = move(7, &link, 5 * MIB, 600 * SIM_SECOND);
    assert_in_range(took_us, clean_us / 2, clean_us + clean_us / 10);
}

static void test_reordering_by_one_round_trip_is_put_right(void **state)
{
    weir_link_options link = {
        .size = sizeof link, .reorder_ppm = 50000, .reorder_us = 2 * RIG_DELAY_US};

    (void)state;
    /* To the sender what comes a round trip late is lost: 5 % at least must be possible. */
    assert_in_range(move(8, &link, 5 * MIB, 600 * SIM_SECOND), 1, 120 * SIM_SECOND);
}

static void test_jitter_is_no_loss(void **state)
{
    weir_link_options link = {
        .size = sizeof link, .jitter_us = 15 * RIG_MS, .bandwidth_bps = 20000000};

    (void)state;
    assert_in_range(move(9, &link, 5 * MIB, 600 * SIM_SECOND), 2 * SIM_SECOND, 8 * SIM_SECOND);
}

static void test_2_percent_corruption_is_never_delivered(void **state)
{
    weir_link_options link = {.size = sizeof link, .corrupt_ppm = 20000, .corrupt_bytes_max = 4};

    (void)state;
    assert_in_range(move(10, &link, 5 * MIB, 600 * SIM_SECOND), 1, 60 * SIM_SECOND);
}

static void test_all_faults_together(void **state)
{
    weir_link_options link = {
        .size = sizeof link,
        .loss_ppm = 10000,
        .jitter_us = 5 * RIG_MS,
        .bandwidth_bps = 20000000,
        .duplicate_ppm = 50000,
        .reorder_ppm = 10000,
        .reorder_us = 5 * RIG_MS,
        .corrupt_ppm = 10000,
        .corrupt_bytes_max = 4,
    };
    uint64_t seed;

    (void)state;
    for (seed = 11; seed < 16; seed++) {
        assert_in_range(move(seed, &link, MIB, 600 * SIM_SECOND), 1, 60 * SIM_SECOND);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_10_mib_pass_a_clean_link),
        cmocka_unit_test(test_10_mib_pass_2_percent_loss),
        cmocka_unit_test(test_10_mib_pass_10_percent_loss),
        cmocka_unit_test(test_bursts_of_loss_are_repaired),
        cmocka_unit_test(test_a_round_trip_of_1500_ms_is_no_obstacle),
        cmocka_unit_test(test_a_blackhole_of_2_s_is_survived),
        cmocka_unit_test(test_20_percent_duplication_costs_nothing),
        cmocka_unit_test(test_reordering_by_one_round_trip_is_put_right),
        cmocka_unit_test(test_jitter_is_no_loss),
        cmocka_unit_test(test_2_percent_corruption_is_never_delivered),
        cmocka_unit_test(test_all_faults_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
