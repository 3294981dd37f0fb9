/* SPDX-License-Identifier: MIT */
/* Goal: a path's size is found with few probes, a black hole is left soon and congestion never
 * taken for one, and nothing goes below the floor. Method: a model path that carries up to so many
 * bytes, for every such size, and stories of losses in virtual time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "quic/pmtu.h"

#define SECOND_US UINT64_C(1000000)
enum { FLOOR = 1200, ETHERNET = 1472 };

static void enabled(struct pmtu *p, uint32_t start_bytes, uint32_t ceiling_bytes)
{
    pmtu_init(p, FLOOR, start_bytes, ceiling_bytes);
    pmtu_enable(p);
}

/* Probe until the search rests, over a path that carries most bytes. @return probes sent */
static unsigned search(struct pmtu *p, uint32_t most, uint64_t now_us)
{
    unsigned probes = 0;
    for (uint32_t bytes; (bytes = pmtu_probe_bytes(p, now_us)) != 0; probes++) {
        assert_true(bytes > pmtu_bytes(p) && bytes <= p->ceiling_bytes);
        pmtu_on_probe_sent(p, bytes);
        assert_int_equal(pmtu_probe_bytes(p, now_us), 0); /* one at a time */
        if (bytes <= most) {
            assert_true(pmtu_on_probe_acked(p, bytes, now_us));
        } else {
            pmtu_on_probe_lost(p, bytes, now_us);
        }
        assert_true(pmtu_bytes(p) <= most);
        assert_true(probes < 100);
    }
    return probes;
}

static void lose_probes(struct pmtu *p, unsigned count, uint64_t now_us)
{
    for (unsigned i = 0; i < count; i++) {
        uint32_t bytes = pmtu_probe_bytes(p, now_us);
        pmtu_on_probe_sent(p, bytes);
        pmtu_on_probe_lost(p, bytes, now_us);
    }
}

static void test_it_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct pmtu) <= 64);
}

static void test_nothing_is_probed_before_it_is_worth_it(void **state)
{
    struct pmtu p;
    (void)state;
    pmtu_init(&p, FLOOR, FLOOR, ETHERNET);
    assert_false(pmtu_is_enabled(&p));
    assert_int_equal(pmtu_probe_bytes(&p, 0), 0);
    assert_int_equal(pmtu_probe_bytes(&p, UINT64_MAX), 0);
    assert_int_equal(pmtu_bytes(&p), FLOOR);
    pmtu_enable(&p);
    assert_true(pmtu_is_enabled(&p));
    assert_int_equal(pmtu_probe_bytes(&p, 0), ETHERNET);
    pmtu_on_probe_sent(&p, ETHERNET);
    pmtu_enable(&p); /* no second search beside the first */
    assert_int_equal(pmtu_probe_bytes(&p, 0), 0);
}

static void test_one_probe_finds_ethernet(void **state)
{
    struct pmtu p;
    (void)state;
    enabled(&p, FLOOR, ETHERNET);
    assert_int_equal(search(&p, ETHERNET, 5), 1);
    assert_int_equal(pmtu_bytes(&p), ETHERNET);
    /* At the ceiling there is nothing to raise, ever. */
    assert_int_equal(pmtu_probe_bytes(&p, 100 * PMTU_RAISE_US), 0);
}

static void test_every_path_is_found_within_a_step(void **state)
{
    static const uint32_t ceilings[] = {1200, 1201, 1219, 1220, 1452, 1472, 1501, 8972, 65527};
    (void)state;
    for (size_t i = 0; i < sizeof ceilings / sizeof ceilings[0]; i++) {
        for (uint32_t most = FLOOR; most <= ceilings[i]; most += most < 1600 ? 1 : 97) {
            struct pmtu p;
            enabled(&p, FLOOR, ceilings[i]);
            unsigned probes = search(&p, most, 0);
            assert_true(pmtu_bytes(&p) <= most);
            /* The ceiling itself is tried whatever it gains; else a step is the precision. */
            assert_true(most - pmtu_bytes(&p) < PMTU_STEP_BYTES);
            assert_true(probes <= (ceilings[i] > 1500 ? 48 : 18));
        }
    }
}

static void test_the_search_ends_when_less_than_a_step_is_left(void **state)
{
    struct pmtu p;
    (void)state;
    enabled(&p, ETHERNET - 1 - PMTU_STEP_BYTES, ETHERNET);
    lose_probes(&p, PMTU_TRIES_MAX, 0);
    assert_int_equal(pmtu_probe_bytes(&p, 0), ETHERNET - 1 - PMTU_STEP_BYTES / 2);
    enabled(&p, ETHERNET - PMTU_STEP_BYTES, ETHERNET);
    lose_probes(&p, PMTU_TRIES_MAX, 0);
    assert_int_equal(pmtu_probe_bytes(&p, 0), 0);
}

static void test_a_size_is_too_large_after_three_losses_and_not_before(void **state)
{
    struct pmtu p;
    (void)state;
    enabled(&p, FLOOR, ETHERNET);
    lose_probes(&p, PMTU_TRIES_MAX - 1, 0);
    assert_int_equal(pmtu_probe_bytes(&p, 0), ETHERNET);
    lose_probes(&p, 1, 0);
    uint32_t next = pmtu_probe_bytes(&p, 0);
    assert_int_equal(next, FLOOR + (ETHERNET - 1 - FLOOR + 1) / 2);
    /* Each size has its own count. */
    lose_probes(&p, PMTU_TRIES_MAX - 1, 0);
    assert_int_equal(pmtu_probe_bytes(&p, 0), next);
    pmtu_on_probe_sent(&p, next);
    assert_true(pmtu_on_probe_acked(&p, next, 0));
    uint32_t larger = pmtu_probe_bytes(&p, 0);
    assert_true(larger > next);
    lose_probes(&p, PMTU_TRIES_MAX - 1, 0);
    assert_int_equal(pmtu_probe_bytes(&p, 0), larger);
}

static void test_beyond_ethernet_its_size_comes_second(void **state)
{
    struct pmtu p;
    (void)state;
    enabled(&p, FLOOR, 8972);
    assert_int_equal(pmtu_probe_bytes(&p, 0), 8972);
    lose_probes(&p, PMTU_TRIES_MAX, 0);
    assert_int_equal(pmtu_probe_bytes(&p, 0), 1452);
}

static void test_a_path_is_searched_again_after_ten_minutes(void **state)
{
    struct pmtu p;
    (void)state;
    enabled(&p, FLOOR, ETHERNET);
    (void)search(&p, 1300, 7 * SECOND_US);
    assert_true(pmtu_bytes(&p) > 1280 && pmtu_bytes(&p) <= 1300);
    assert_int_equal(pmtu_probe_bytes(&p, 7 * SECOND_US + PMTU_RAISE_US - 1), 0);
    assert_int_equal(pmtu_probe_bytes(&p, 7 * SECOND_US + PMTU_RAISE_US), ETHERNET);
    assert_int_equal(search(&p, ETHERNET, 7 * SECOND_US + PMTU_RAISE_US), 1);
    assert_int_equal(pmtu_bytes(&p), ETHERNET);
}

static void test_late_word_of_a_probe(void **state)
{
    struct pmtu p;
    (void)state;
    enabled(&p, FLOOR, ETHERNET);
    lose_probes(&p, PMTU_TRIES_MAX, 0);
    uint32_t middle = pmtu_probe_bytes(&p, 0);
    pmtu_on_probe_sent(&p, middle);
    /* The loss of one that is not awaited says nothing, not even three times. */
    for (unsigned i = 0; i < PMTU_TRIES_MAX; i++) pmtu_on_probe_lost(&p, ETHERNET, 0);
    assert_int_equal(p.probe_bytes, middle);
    /* One that was given up arrived after all. */
    assert_true(pmtu_on_probe_acked(&p, ETHERNET, 0));
    assert_int_equal(pmtu_bytes(&p), ETHERNET);
    /* And then the smaller one, which lowers nothing. */
    assert_false(pmtu_on_probe_acked(&p, middle, 0));
    assert_int_equal(pmtu_bytes(&p), ETHERNET);
    assert_int_equal(pmtu_probe_bytes(&p, 0), 0);
}

static void test_the_peers_limit_lowers_everything_but_the_floor(void **state)
{
    struct pmtu p;
    (void)state;
    enabled(&p, 1452, 1472);
    pmtu_set_ceiling(&p, 65527); /* never raises */
    assert_int_equal(p.ceiling_bytes, 1472);
    pmtu_set_ceiling(&p, 1460);
    assert_int_equal(pmtu_probe_bytes(&p, 0), 1460);
    pmtu_on_probe_sent(&p, 1460);
    pmtu_set_ceiling(&p, 1400);
    assert_int_equal(pmtu_bytes(&p), 1400);
    assert_false(pmtu_on_probe_acked(&p, 1460, 0));
    assert_int_equal(pmtu_bytes(&p), 1400);
    assert_int_equal(pmtu_probe_bytes(&p, 0), 0);
    pmtu_set_ceiling(&p, 0);
    assert_int_equal(pmtu_bytes(&p), FLOOR);
    assert_int_equal(pmtu_probe_bytes(&p, 0), 0);
    assert_int_equal(pmtu_probe_bytes(&p, 100 * PMTU_RAISE_US), 0);
    /* A probe on its way is forgotten with the sizes above the ceiling. */
    enabled(&p, FLOOR, ETHERNET);
    pmtu_on_probe_sent(&p, pmtu_probe_bytes(&p, 0));
    pmtu_set_ceiling(&p, 1300);
    pmtu_on_probe_lost(&p, ETHERNET, 0);
    assert_int_equal(pmtu_probe_bytes(&p, 0), 1300);
}

static void test_a_black_hole_is_left_at_the_fourth_burst(void **state)
{
    struct pmtu p;
    (void)state;
    enabled(&p, FLOOR, ETHERNET);
    (void)search(&p, ETHERNET, 0);
    for (uint64_t burst = 1; burst <= PMTU_BURSTS_MAX; burst++) {
        for (unsigned i = 0; i < 50; i++) {
            assert_false(pmtu_on_packet_lost(&p, ETHERNET, burst * 100));
        }
        pmtu_on_packet_acked(&p, FLOOR);        /* small ones pass */
        pmtu_on_packet_acked(&p, ETHERNET - 1); /* so do those that are not as large */
    }
    assert_int_equal(pmtu_bytes(&p), ETHERNET);
    assert_true(pmtu_on_packet_lost(&p, ETHERNET, 1000));
    assert_int_equal(pmtu_bytes(&p), FLOOR);
    /* The rest of the burst is no news. */
    assert_false(pmtu_on_packet_lost(&p, ETHERNET, 1000));
    assert_false(pmtu_on_packet_lost(&p, ETHERNET, 2000));
    /* A probe that had passed before cannot lift it while it rests. */
    assert_false(pmtu_on_probe_acked(&p, ETHERNET, 2000));
    assert_int_equal(pmtu_bytes(&p), FLOOR);
    assert_int_equal(pmtu_probe_bytes(&p, 1000 + PMTU_COOL_US - 1), 0);
    assert_int_equal(search(&p, 1400, 1000 + PMTU_COOL_US) > 0, 1);
    assert_true(pmtu_bytes(&p) > 1400 - PMTU_STEP_BYTES);
}

static void test_large_packets_that_arrive_clear_the_suspicion(void **state)
{
    struct pmtu p;
    (void)state;
    enabled(&p, FLOOR, ETHERNET);
    (void)search(&p, ETHERNET, 0);
    for (uint64_t now_us = 1; now_us < 1000; now_us++) {
        assert_false(pmtu_on_packet_lost(&p, ETHERNET, now_us));
        if (now_us % PMTU_BURSTS_MAX == 0) pmtu_on_packet_acked(&p, ETHERNET);
    }
    /* The smallest of the lost ones is what must arrive. */
    pmtu_on_packet_acked(&p, ETHERNET);
    for (uint64_t now_us = 2000; now_us < 2000 + PMTU_BURSTS_MAX; now_us++) {
        assert_false(pmtu_on_packet_lost(&p, now_us == 2001 ? 1300 : ETHERNET, now_us));
        pmtu_on_packet_acked(&p, 1299);
    }
    assert_int_equal(p.bursts, PMTU_BURSTS_MAX);
    pmtu_on_packet_acked(&p, 1300);
    assert_int_equal(p.bursts, 0);
}

static void test_bursts_that_hit_small_packets_too_are_congestion(void **state)
{
    struct pmtu p;
    (void)state;
    enabled(&p, FLOOR, ETHERNET);
    (void)search(&p, ETHERNET, 0);
    for (uint64_t now_us = 1; now_us < 100; now_us++) {
        bool small_first = (now_us & 1) != 0;
        pmtu_on_packet_acked(&p, 40);
        if (small_first) assert_false(pmtu_on_packet_lost(&p, 80, now_us));
        assert_false(pmtu_on_packet_lost(&p, ETHERNET, now_us));
        assert_false(pmtu_on_packet_lost(&p, ETHERNET, now_us));
        if (!small_first) assert_false(pmtu_on_packet_lost(&p, FLOOR, now_us));
        assert_int_equal(p.bursts, 0);
    }
    assert_int_equal(pmtu_bytes(&p), ETHERNET);
    /* A black hole right after it is found all the same. */
    for (uint64_t now_us = 100; now_us < 100 + PMTU_BURSTS_MAX; now_us++) {
        pmtu_on_packet_acked(&p, FLOOR);
        assert_false(pmtu_on_packet_lost(&p, ETHERNET, now_us));
    }
    pmtu_on_packet_acked(&p, FLOOR);
    assert_true(pmtu_on_packet_lost(&p, ETHERNET, 200));
}

/* Packets that overtake each other: one ACK of a small one, and a timer that gives up the large
 * ones before it, each at its own moment. */
static void test_losses_between_which_nothing_was_heard_are_one_burst(void **state)
{
    struct pmtu p;
    (void)state;
    enabled(&p, FLOOR, ETHERNET);
    (void)search(&p, ETHERNET, 0);
    pmtu_on_packet_acked(&p, 40);
    for (uint64_t now_us = 1; now_us < 1000; now_us++)
        assert_false(pmtu_on_packet_lost(&p, ETHERNET, now_us));
    assert_int_equal(p.bursts, 1);
    assert_int_equal(pmtu_bytes(&p), ETHERNET);
}

static void test_losses_at_the_floor_are_nobodys_fault(void **state)
{
    struct pmtu p;
    (void)state;
    enabled(&p, FLOOR, ETHERNET);
    for (uint64_t now_us = 1; now_us < 100; now_us++) {
        assert_false(pmtu_on_packet_lost(&p, FLOOR, now_us));
        assert_false(pmtu_on_packet_lost(&p, ETHERNET, now_us)); /* from before a fall */
        assert_false(pmtu_on_pto(&p, (uint32_t)now_us, now_us));
    }
    assert_int_equal(pmtu_bytes(&p), FLOOR);
    assert_int_equal(pmtu_probe_bytes(&p, 100), ETHERNET);
}

static void test_an_outage_costs_one_probe(void **state)
{
    struct pmtu p;
    (void)state;
    enabled(&p, FLOOR, ETHERNET);
    (void)search(&p, 1400, 0);
    uint32_t old = pmtu_bytes(&p);
    assert_false(pmtu_on_pto(&p, 1, SECOND_US));
    assert_int_equal(pmtu_bytes(&p), old);
    assert_true(pmtu_on_pto(&p, 2, 3 * SECOND_US));
    assert_int_equal(pmtu_bytes(&p), FLOOR);
    assert_false(pmtu_on_pto(&p, 3, 7 * SECOND_US));
    assert_int_equal(pmtu_probe_bytes(&p, 8 * SECOND_US), 0); /* into silence */
    pmtu_on_packet_acked(&p, 40);
    assert_int_equal(search(&p, 1400, 9 * SECOND_US), 1);
    assert_int_equal(pmtu_bytes(&p), old);
    /* Larger sizes are for the raise timer. */
    assert_int_equal(pmtu_probe_bytes(&p, 9 * SECOND_US + PMTU_RAISE_US), ETHERNET);
}

static void test_silence_twice_in_a_minute_is_a_black_hole(void **state)
{
    struct pmtu p;
    (void)state;
    enabled(&p, FLOOR, ETHERNET);
    (void)search(&p, ETHERNET, 0);
    assert_true(pmtu_on_pto(&p, 2, SECOND_US));
    pmtu_on_packet_acked(&p, 40);
    (void)search(&p, ETHERNET, 2 * SECOND_US);
    assert_int_equal(pmtu_bytes(&p), ETHERNET);
    assert_true(pmtu_on_pto(&p, 2, 30 * SECOND_US));
    pmtu_on_packet_acked(&p, 40);
    assert_int_equal(pmtu_probe_bytes(&p, 30 * SECOND_US + PMTU_COOL_US - 1), 0);
    assert_int_equal(pmtu_probe_bytes(&p, 30 * SECOND_US + PMTU_COOL_US), ETHERNET);
}

static void test_a_path_that_shrank_during_an_outage_is_searched(void **state)
{
    struct pmtu p;
    (void)state;
    enabled(&p, FLOOR, ETHERNET);
    (void)search(&p, ETHERNET, 0);
    assert_true(pmtu_on_pto(&p, 2, SECOND_US));
    pmtu_on_packet_acked(&p, 40);
    (void)search(&p, 1280, 2 * SECOND_US);
    assert_true(pmtu_bytes(&p) > 1280 - PMTU_STEP_BYTES);
}

static void test_a_fall_before_the_search_was_worth_it(void **state)
{
    struct pmtu p;
    (void)state;
    pmtu_init(&p, FLOOR, 1452, 1452);
    assert_true(pmtu_on_pto(&p, 2, SECOND_US));
    assert_int_equal(pmtu_bytes(&p), FLOOR);
    assert_int_equal(pmtu_probe_bytes(&p, 2 * SECOND_US), 0);
    assert_false(pmtu_is_enabled(&p));
    pmtu_on_packet_acked(&p, 40);
    pmtu_enable(&p);
    assert_int_equal(search(&p, 1452, 2 * SECOND_US), 1);
    assert_int_equal(pmtu_bytes(&p), 1452);
    pmtu_init(&p, FLOOR, 1452, 1452);
    for (uint64_t now_us = 1; now_us <= PMTU_BURSTS_MAX; now_us++) {
        assert_false(pmtu_on_packet_lost(&p, 1452, now_us));
        pmtu_on_packet_acked(&p, 40);
    }
    assert_true(pmtu_on_packet_lost(&p, 1452, 100));
    assert_int_equal(pmtu_bytes(&p), FLOOR);
    assert_false(pmtu_is_enabled(&p));
}

/* Whatever is reported in whatever order: between floor and ceiling, and no probe out of place. */
static void test_any_story_stays_between_floor_and_ceiling(void **state)
{
    struct rng rng;
    struct pmtu p;
    uint64_t now_us = 0;
    (void)state;
    rng_init(&rng, 5, "pmtu", 0);
    enabled(&p, FLOOR, 9000);
    for (unsigned i = 0; i < 200000; i++) {
        uint32_t bytes = (uint32_t)rng_below(&rng, 9100);
        uint32_t probe = p.probe_bytes;
        now_us += rng_below(&rng, 100) == 0 ? PMTU_COOL_US : 1000;
        switch (rng_below(&rng, 9)) {
        case 0: (void)pmtu_on_probe_acked(&p, rng_below(&rng, 2) ? bytes : probe, now_us); break;
        case 1: pmtu_on_probe_lost(&p, rng_below(&rng, 2) ? bytes : probe, now_us); break;
        case 2: pmtu_on_packet_acked(&p, bytes); break;
        case 3: (void)pmtu_on_packet_lost(&p, bytes, now_us); break;
        case 4: (void)pmtu_on_pto(&p, (uint32_t)rng_below(&rng, 4), now_us); break;
        default:
            bytes = pmtu_probe_bytes(&p, now_us);
            assert_true(bytes == 0 || (bytes > pmtu_bytes(&p) && bytes <= 9000));
            if (bytes != 0) pmtu_on_probe_sent(&p, bytes);
        }
        assert_true(pmtu_bytes(&p) >= FLOOR && pmtu_bytes(&p) <= 9000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_small),
        cmocka_unit_test(test_nothing_is_probed_before_it_is_worth_it),
        cmocka_unit_test(test_one_probe_finds_ethernet),
        cmocka_unit_test(test_every_path_is_found_within_a_step),
        cmocka_unit_test(test_the_search_ends_when_less_than_a_step_is_left),
        cmocka_unit_test(test_a_size_is_too_large_after_three_losses_and_not_before),
        cmocka_unit_test(test_beyond_ethernet_its_size_comes_second),
        cmocka_unit_test(test_a_path_is_searched_again_after_ten_minutes),
        cmocka_unit_test(test_late_word_of_a_probe),
        cmocka_unit_test(test_the_peers_limit_lowers_everything_but_the_floor),
        cmocka_unit_test(test_a_black_hole_is_left_at_the_fourth_burst),
        cmocka_unit_test(test_large_packets_that_arrive_clear_the_suspicion),
        cmocka_unit_test(test_bursts_that_hit_small_packets_too_are_congestion),
        cmocka_unit_test(test_losses_between_which_nothing_was_heard_are_one_burst),
        cmocka_unit_test(test_losses_at_the_floor_are_nobodys_fault),
        cmocka_unit_test(test_an_outage_costs_one_probe),
        cmocka_unit_test(test_silence_twice_in_a_minute_is_a_black_hole),
        cmocka_unit_test(test_a_path_that_shrank_during_an_outage_is_searched),
        cmocka_unit_test(test_a_fall_before_the_search_was_worth_it),
        cmocka_unit_test(test_any_story_stays_between_floor_and_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
