/* SPDX-License-Identifier: MIT */
/* Goal: every fault of a link does what weir.h says of it, in the right measure, and no setting
 * shifts the draws of another. Method: one link alone, thousands of datagrams, shares compared with
 * bounds of five standard deviations (the seeds are fixed, so a test passes always or never). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "sim/link.h"
#include <string.h>

enum { MANY = 20000 };
static const uint8_t hash_key[16] = {1, 2, 3};

/* One link from node 1 to node 2 under one rule. */
struct setup {
    struct rules rules;
    struct link link;
};

static void setup_open(struct setup *s, const weir_link_options *options)
{
    memset(s, 0, sizeof *s);
    rules_init(&s->rules, mem_system(), hash_key);
    assert_int_equal(rules_set(&s->rules, 1, 2, options), 0);
    s->link.pair[0] = 1;
    s->link.pair[1] = 2;
    link_refresh(&s->link, &s->rules);
}

static void setup_change(struct setup *s, const weir_link_options *options)
{
    assert_int_equal(rules_set(&s->rules, 1, 2, options), 0);
    link_refresh(&s->link, &s->rules);
}

static struct link_fate pass(struct setup *s, uint64_t seed, size_t len, uint64_t now_us)
{
    struct link_fate fate;

    link_pass(&s->link, seed, len, now_us, &fate);
    return fate;
}

static void test_without_a_rule_a_datagram_takes_ten_milliseconds(void **state)
{
    struct rules rules;
    struct link link = {.pair = {1, 2}};
    struct link_fate fate;

    (void)state;
    rules_init(&rules, mem_system(), hash_key);
    link_refresh(&link, &rules);
    link_pass(&link, 1, 1200, 5000, &fate);
    assert_int_equal(fate.verdict, VERDICT_DELIVERED);
    assert_int_equal(fate.arrival_us, 15000);
    assert_false(fate.is_duplicated);
    rules_free(&rules);
}

static void test_a_delay_of_nothing_can_be_asked_for(void **state)
{
    weir_link_options options = {.size = sizeof options, .delay_us_plus1 = 1};
    struct setup s;

    (void)state;
    setup_open(&s, &options);
    assert_int_equal(pass(&s, 1, 1200, 5000).arrival_us, 5000);
    rules_free(&s.rules);
}

static void test_jitter_is_uniform_and_keeps_the_order(void **state)
{
    weir_link_options options = {.size = sizeof options, .delay_us_plus1 = 1001, .jitter_us = 1000};
    uint64_t last_us = 0, sum_us = 0, now_us, most_us = 0;
    struct setup s;
    uint32_t i;

    (void)state;
    setup_open(&s, &options);
    /* Far apart, so that the order never holds one back: the mean is the uniform one's. */
    for (i = 0; i < MANY; i++) {
        uint64_t way_us;

        now_us = (uint64_t)i * 5000;
        way_us = pass(&s, 7, 100, now_us).arrival_us - now_us;
        assert_in_range(way_us, 1000, 2000);
        sum_us += way_us;
        if (way_us > most_us) most_us = way_us;
    }
    assert_in_range(sum_us / MANY, 1490, 1510);
    assert_in_range(most_us, 1990, 2000);
    /* Close together: jitter alone never reorders. */
    for (i = 0; i < MANY; i++) {
        uint64_t arrival_us;

        now_us = UINT64_C(1000000000) + i;
        arrival_us = pass(&s, 7, 100, now_us).arrival_us;
        assert_true(arrival_us >= last_us);
        last_us = arrival_us;
    }
    rules_free(&s.rules);
}

static void test_loss_comes_in_the_share_that_was_asked_for(void **state)
{
    static const uint32_t shares[] = {0, 20000, 300000, 500000, 1000000};
    size_t k;

    (void)state;
    for (k = 0; k < sizeof shares / sizeof shares[0]; k++) {
        weir_link_options options = {.size = sizeof options, .loss_ppm = shares[k]};
        uint64_t lost = 0, wanted = (uint64_t)shares[k] * MANY / 1000000;
        struct setup s;
        uint32_t i;

        setup_open(&s, &options);
        for (i = 0; i < MANY; i++) {
            lost += pass(&s, 3, 100, i).verdict == VERDICT_LOST_RANDOM ? 1 : 0;
        }
        if (shares[k] == 0 || shares[k] == 1000000) {
            assert_int_equal(lost, wanted);
        } else {
            /* Five deviations of a fair binomial: 5 * sqrt(20000 / 4). */
            assert_in_range(lost, wanted - 354, wanted + 354);
        }
        rules_free(&s.rules);
    }
}

static void test_no_more_are_lost_in_a_row_than_the_cap(void **state)
{
    weir_link_options options = {.size = sizeof options, .loss_ppm = 700000, .loss_burst_max = 3};
    uint32_t i, row = 0, longest = 0, lost = 0;
    struct setup s;

    (void)state;
    setup_open(&s, &options);
    for (i = 0; i < MANY; i++) {
        row = pass(&s, 5, 100, i).verdict == VERDICT_DELIVERED ? 0 : row + 1;
        if (row > longest) longest = row;
        lost += row > 0 ? 1 : 0;
    }
    assert_int_equal(longest, 3);
    /* The cap starts anew after each that passes. Mean losses between two that pass: 0.7 + 0.49 +
     * 0.343 = 1.533, so a share of 1.533 / 2.533 = 0.605. */
    assert_in_range(lost, MANY * 59 / 100, MANY * 62 / 100);
    rules_free(&s.rules);
}

static void test_the_drop_pattern_is_exact_and_begins_when_it_is_set(void **state)
{
    weir_link_options options = {.size = sizeof options,
                                 .drop_pattern = UINT64_C(0x8000000000000005)};
    struct setup s;
    uint32_t i, round;

    (void)state;
    setup_open(&s, &options);
    for (round = 0; round < 2; round++) {
        for (i = 0; i < 200; i++) {
            bool is_lost = i == 0 || i == 2 || i == 63;

            assert_int_equal(pass(&s, 1, 100, i).verdict,
                             is_lost ? VERDICT_LOST_PATTERN : VERDICT_DELIVERED);
        }
        setup_change(&s, &options);
    }
    rules_free(&s.rules);
}

static void test_a_rule_for_others_does_not_restart_the_pattern(void **state)
{
    weir_link_options options = {.size = sizeof options, .drop_pattern = 1};
    struct setup s;

    (void)state;
    setup_open(&s, &options);
    assert_int_equal(pass(&s, 1, 100, 0).verdict, VERDICT_LOST_PATTERN);
    assert_int_equal(rules_set(&s.rules, 3, 4, &options), 0);
    link_refresh(&s.link, &s.rules);
    assert_int_equal(pass(&s, 1, 100, 0).verdict, VERDICT_DELIVERED);
    rules_free(&s.rules);
}

static void test_bursts_have_their_length_and_their_share(void **state)
{
    weir_link_options options = {.size = sizeof options, .burst_ppm = 10000, .burst_length = 8};
    uint32_t i, row = 0, bursts = 0;
    struct setup s;

    (void)state;
    setup_open(&s, &options);
    for (i = 0; i < MANY; i++) {
        if (pass(&s, 5, 100, i).verdict == VERDICT_LOST_BURST) {
            row++;
            continue;
        }
        /* A burst may follow another at once. */
        assert_int_equal(row % 8, 0);
        bursts += row / 8;
        row = 0;
    }
    /* One per 100 datagrams that are outside a burst: 20000 / 108 = 185, deviation about 13. */
    assert_in_range(bursts, 185 - 65, 185 + 65);
    rules_free(&s.rules);
}

static void test_a_blackhole_takes_all_from_its_start_to_before_its_end(void **state)
{
    weir_link_options options = {
        .size = sizeof options, .blackhole_start_us = 100, .blackhole_end_us = 200};
    static const struct {
        uint64_t now_us;
        enum verdict verdict;
    } cases[] = {{99, VERDICT_DELIVERED},
                 {100, VERDICT_LOST_BLACKHOLE},
                 {199, VERDICT_LOST_BLACKHOLE},
                 {200, VERDICT_DELIVERED}};
    struct setup s;
    size_t i;

    (void)state;
    setup_open(&s, &options);
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(pass(&s, 1, 100, cases[i].now_us).verdict, cases[i].verdict);
    }
    rules_free(&s.rules);
}

static void test_bandwidth_is_exact_over_many_datagrams(void **state)
{
    /* 1200 bytes at 7 Mbit/s take 1371.43 us: parts of a microsecond must add up. */
    weir_link_options options = {.size = sizeof options,
                                 .delay_us_plus1 = 1,
                                 .bandwidth_bps = 7000000,
                                 .queue_bytes = UINT64_C(1) << 30};
    uint64_t arrival_us = 0;
    struct setup s;
    uint32_t i;

    (void)state;
    setup_open(&s, &options);
    for (i = 0; i < 7000; i++) arrival_us = pass(&s, 1, 1200, 0).arrival_us;
    assert_int_equal(arrival_us, 9600000);
    /* Idle time is not saved up. */
    assert_int_equal(pass(&s, 1, 1200, 20000000).arrival_us, 20001371);
    rules_free(&s.rules);
}

static void test_a_full_queue_drops_the_newest(void **state)
{
    weir_link_options options = {
        .size = sizeof options, .bandwidth_bps = 8000000, .queue_bytes = 5000};
    struct setup s;
    uint32_t i;

    (void)state;
    setup_open(&s, &options);
    for (i = 0; i < 5; i++) assert_int_equal(pass(&s, 1, 1000, 0).verdict, VERDICT_DELIVERED);
    assert_int_equal(pass(&s, 1, 1000, 0).verdict, VERDICT_LOST_QUEUE);
    /* 8 Mbit/s is one byte per microsecond. */
    assert_int_equal(pass(&s, 1, 1000, 999).verdict, VERDICT_LOST_QUEUE);
    assert_int_equal(pass(&s, 1, 1000, 1000).verdict, VERDICT_DELIVERED);
    /* Larger than the whole queue, but nothing is before it. */
    assert_int_equal(pass(&s, 1, 9000, 100000).verdict, VERDICT_DELIVERED);
    rules_free(&s.rules);
}

static void test_a_link_without_bandwidth_limit_holds_a_bounded_amount(void **state)
{
    weir_link_options options = {.size = sizeof options};
    struct setup s;

    (void)state;
    setup_open(&s, &options);
    s.link.flight_bytes = (64 << 20) - 1000;
    assert_int_equal(pass(&s, 1, 1001, 0).verdict, VERDICT_LOST_QUEUE);
    assert_int_equal(pass(&s, 1, 1000, 0).verdict, VERDICT_DELIVERED);
    rules_free(&s.rules);
}

static void test_a_reordered_datagram_is_overtaken_and_delays_nobody(void **state)
{
    weir_link_options options = {
        .size = sizeof options, .delay_us_plus1 = 1001, .reorder_ppm = 250000, .reorder_us = 700};
    uint32_t i, held = 0;
    struct setup s;

    (void)state;
    setup_open(&s, &options);
    for (i = 0; i < MANY; i++) {
        uint64_t way_us = pass(&s, 9, 100, i).arrival_us - i;

        if (way_us == 1700) {
            held++;
        } else {
            assert_int_equal(way_us, 1000);
        }
    }
    assert_in_range(held, MANY / 4 - 310, MANY / 4 + 310);
    rules_free(&s.rules);
}

static void test_a_duplicate_follows_its_original(void **state)
{
    weir_link_options options = {.size = sizeof options, .duplicate_ppm = 200000, .jitter_us = 300};
    uint32_t i, doubled = 0;
    struct setup s;

    (void)state;
    setup_open(&s, &options);
    for (i = 0; i < MANY; i++) {
        struct link_fate fate = pass(&s, 9, 100, i);

        if (!fate.is_duplicated) continue;
        doubled++;
        assert_true(fate.copy_arrival_us >= fate.arrival_us);
    }
    assert_in_range(doubled, MANY / 5 - 283, MANY / 5 + 283);
    rules_free(&s.rules);
}

/* Each row switches settings on; jitter must be the same for every datagram that still arrives. */
static void test_other_faults_do_not_shift_the_jitter(void **state)
{
    weir_link_options base = {.size = sizeof base, .jitter_us = 1000};
    weir_link_options others[4] = {base, base, base, base};
    struct setup a, b;
    size_t k;
    uint32_t i;

    (void)state;
    others[0].loss_ppm = 400000;
    others[1].burst_ppm = 50000;
    others[1].burst_length = 4;
    others[2].duplicate_ppm = 500000;
    others[3].corrupt_ppm = 500000;
    others[3].reorder_ppm = 500000; /* Held back by 0: only the draw is made. */
    for (k = 0; k < 4; k++) {
        setup_open(&a, &base);
        setup_open(&b, &others[k]);
        for (i = 0; i < 1000; i++) {
            uint64_t now_us = (uint64_t)i * 5000;
            struct link_fate x = pass(&a, 11, 100, now_us), y = pass(&b, 11, 100, now_us);

            if (y.verdict == VERDICT_DELIVERED) assert_int_equal(x.arrival_us, y.arrival_us);
        }
        rules_free(&a.rules);
        rules_free(&b.rules);
    }
}

static void test_loss_does_not_depend_on_jitter_and_a_seed_is_a_seed(void **state)
{
    weir_link_options plain = {.size = sizeof plain, .loss_ppm = 500000};
    weir_link_options shaky = {.size = sizeof shaky, .loss_ppm = 500000, .jitter_us = 77};
    struct setup a, b, c;
    uint32_t i, different = 0;

    (void)state;
    setup_open(&a, &plain);
    setup_open(&b, &shaky);
    setup_open(&c, &plain);
    for (i = 0; i < 1000; i++) {
        enum verdict verdict = pass(&a, 1, 100, i).verdict;

        assert_int_equal(verdict, pass(&b, 1, 100, i).verdict);
        different += verdict != pass(&c, 2, 100, i).verdict ? 1 : 0;
    }
    assert_in_range(different, 400, 600);
    rules_free(&a.rules);
    rules_free(&b.rules);
    rules_free(&c.rules);
}

static void test_the_two_directions_draw_apart(void **state)
{
    weir_link_options options = {.size = sizeof options, .loss_ppm = 500000};
    struct setup s;
    struct link back = {.pair = {2, 1}};
    uint32_t i, different = 0;

    (void)state;
    setup_open(&s, &options);
    link_refresh(&back, &s.rules);
    for (i = 0; i < 1000; i++) {
        struct link_fate fate;

        link_pass(&back, 1, 100, i, &fate);
        different += fate.verdict != pass(&s, 1, 100, i).verdict ? 1 : 0;
    }
    assert_in_range(different, 400, 600);
    rules_free(&s.rules);
}

static void test_corruption_changes_one_to_n_bytes_anywhere(void **state)
{
    weir_link_options options = {
        .size = sizeof options, .corrupt_ppm = 500000, .corrupt_bytes_max = 8};
    uint32_t i, changed = 0, counts[9] = {0}, places[40] = {0};
    uint8_t original[40], data[40];
    struct setup s;
    size_t k;

    (void)state;
    memset(original, 0x5a, sizeof original);
    setup_open(&s, &options);
    for (i = 0; i < MANY; i++) {
        uint32_t count = 0;

        memcpy(data, original, sizeof data);
        if (!link_corrupt(&s.link, 1, i, 0, original, data, sizeof data)) {
            assert_memory_equal(data, original, sizeof data);
            continue;
        }
        changed++;
        for (k = 0; k < sizeof data; k++) {
            if (data[k] == original[k]) continue;
            count++;
            places[k]++;
        }
        assert_in_range(count, 1, 8);
        counts[count]++;
    }
    assert_in_range(changed, MANY / 2 - 354, MANY / 2 + 354);
    for (k = 1; k <= 8; k++) assert_true(counts[k] > 0);
    /* About 10000 * 4.5 / 40 changes at each place. */
    for (k = 0; k < sizeof places / sizeof places[0]; k++) assert_in_range(places[k], 880, 1250);
    /* More bytes than there are, and none at all. */
    options.corrupt_ppm = 1000000;
    options.corrupt_bytes_max = 1000;
    setup_change(&s, &options);
    memcpy(data, original, 2);
    assert_true(link_corrupt(&s.link, 1, 0, 0, original, data, 1));
    assert_int_not_equal(data[0], original[0]);
    assert_int_equal(data[1], original[1]);
    assert_false(link_corrupt(&s.link, 1, 0, 0, original, data, 0));
    rules_free(&s.rules);
}

static void test_a_reliable_link_turns_every_loss_into_delay(void **state)
{
    weir_link_options options = {.size = sizeof options,
                                 .delay_us_plus1 = 1001,
                                 .loss_ppm = 500000,
                                 .drop_pattern = 1,
                                 .duplicate_ppm = 1000000,
                                 .blackhole_start_us = 50000000,
                                 .blackhole_end_us = 52000000};
    uint64_t sum_us = 0, now_us, last_us = 0;
    struct link_fate fate;
    struct setup s;
    uint32_t i;

    (void)state;
    setup_open(&s, &options);
    for (i = 0; i < 2000; i++) {
        now_us = (uint64_t)i * 20000;
        link_pass_reliably(&s.link, 1, 100, now_us, &fate);
        assert_int_equal(fate.verdict, VERDICT_DELIVERED);
        assert_false(fate.is_duplicated);
        assert_true(fate.arrival_us >= last_us && fate.arrival_us >= now_us + 1000);
        if (i == 0) assert_true(fate.arrival_us >= now_us + 3000);
        last_us = fate.arrival_us;
        sum_us += fate.arrival_us - now_us - 1000;
    }
    /* Half lose one round trip, a quarter a second one ...: on average one of 2000 us. */
    assert_in_range(sum_us / 2000, 1700, 2300);
    link_pass_reliably(&s.link, 1, 100, 50000000, &fate);
    assert_int_equal(fate.arrival_us, 52001000);
    rules_free(&s.rules);
}

static void test_a_reliable_link_that_loses_everything_still_delivers(void **state)
{
    weir_link_options options = {
        .size = sizeof options, .delay_us_plus1 = 1001, .loss_ppm = 1000000};
    struct link_fate fate;
    struct setup s;

    (void)state;
    setup_open(&s, &options);
    link_pass_reliably(&s.link, 1, 100, 0, &fate);
    assert_int_equal(fate.verdict, VERDICT_DELIVERED);
    assert_int_equal(fate.arrival_us, 1000 + 64 * 2000);
    rules_free(&s.rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_rule_a_datagram_takes_ten_milliseconds),
        cmocka_unit_test(test_a_delay_of_nothing_can_be_asked_for),
        cmocka_unit_test(test_jitter_is_uniform_and_keeps_the_order),
        cmocka_unit_test(test_loss_comes_in_the_share_that_was_asked_for),
        cmocka_unit_test(test_no_more_are_lost_in_a_row_than_the_cap),
        cmocka_unit_test(test_the_drop_pattern_is_exact_and_begins_when_it_is_set),
        cmocka_unit_test(test_a_rule_for_others_does_not_restart_the_pattern),
        cmocka_unit_test(test_bursts_have_their_length_and_their_share),
        cmocka_unit_test(test_a_blackhole_takes_all_from_its_start_to_before_its_end),
        cmocka_unit_test(test_bandwidth_is_exact_over_many_datagrams),
        cmocka_unit_test(test_a_full_queue_drops_the_newest),
        cmocka_unit_test(test_a_link_without_bandwidth_limit_holds_a_bounded_amount),
        cmocka_unit_test(test_a_reordered_datagram_is_overtaken_and_delays_nobody),
        cmocka_unit_test(test_a_duplicate_follows_its_original),
        cmocka_unit_test(test_other_faults_do_not_shift_the_jitter),
        cmocka_unit_test(test_loss_does_not_depend_on_jitter_and_a_seed_is_a_seed),
        cmocka_unit_test(test_the_two_directions_draw_apart),
        cmocka_unit_test(test_corruption_changes_one_to_n_bytes_anywhere),
        cmocka_unit_test(test_a_reliable_link_turns_every_loss_into_delay),
        cmocka_unit_test(test_a_reliable_link_that_loses_everything_still_delivers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
