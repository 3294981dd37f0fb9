/* SPDX-License-Identifier: MIT */
/* Goal: urgent goes first, every urgency keeps its floor, and within one urgency streams share by
 * bytes. Method: links without streams; bytes counted per link over many packets. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/rng.h"
#include "transport/sched.h"
#include <string.h>

enum { LINKS_MAX = 50 };
struct bed {
    struct sched sched;
    struct list links[LINKS_MAX];
    uint64_t sent[LINKS_MAX];
};

static void bed_open(struct bed *bed)
{
    memset(bed, 0, sizeof *bed);
    sched_init(&bed->sched);
}

static unsigned index_of(const struct bed *bed, const struct list *link)
{
    return (unsigned)(link - bed->links);
}

/* One piece of the next link. @return its index */
static unsigned send_piece(struct bed *bed, uint32_t bytes)
{
    uint8_t urgency;
    struct list *link = sched_next(&bed->sched, &urgency);

    assert_non_null(link);
    sched_sent(&bed->sched, link, urgency, bytes);
    bed->sent[index_of(bed, link)] += bytes;
    return index_of(bed, link);
}

static void test_nothing_is_next_when_nothing_waits(void **state)
{
    struct bed bed;
    uint8_t urgency;

    (void)state;
    bed_open(&bed);
    assert_null(sched_next(&bed.sched, &urgency));
    sched_add(&bed.sched, &bed.links[0], 7);
    assert_ptr_equal(sched_next(&bed.sched, &urgency), &bed.links[0]);
    assert_int_equal(urgency, 7);
    sched_remove(&bed.sched, &bed.links[0], 7);
    sched_remove(&bed.sched, &bed.links[0], 7);
    assert_null(sched_next(&bed.sched, &urgency));
}

static void test_the_most_urgent_goes_first_and_a_new_one_passes(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed);
    sched_add(&bed.sched, &bed.links[0], 5);
    sched_add(&bed.sched, &bed.links[1], 3);
    assert_int_equal(send_piece(&bed, 100), 1);
    sched_add(&bed.sched, &bed.links[2], 0);
    assert_int_equal(send_piece(&bed, 100), 2);
    sched_remove(&bed.sched, &bed.links[2], 0);
    assert_int_equal(send_piece(&bed, 100), 1);
}

static void test_adding_twice_keeps_the_place(void **state)
{
    struct bed bed;
    uint8_t urgency;

    (void)state;
    bed_open(&bed);
    sched_add(&bed.sched, &bed.links[0], 3);
    sched_add(&bed.sched, &bed.links[1], 3);
    sched_add(&bed.sched, &bed.links[0], 3);
    assert_ptr_equal(sched_next(&bed.sched, &urgency), &bed.links[0]);
    sched_remove(&bed.sched, &bed.links[0], 3);
    assert_ptr_equal(sched_next(&bed.sched, &urgency), &bed.links[1]);
}

static void test_a_starved_urgency_gets_one_byte_in_33(void **state)
{
    static const struct {
        uint32_t urgent_bytes, other_bytes;
    } cases[] = {{1200, 1200}, {1200, 100}, {100, 1200}, {37, 1100}, {1, 1}, {1160, 1160}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (uint8_t low = 1; low < SCHED_URGENCIES; low++) {
            struct bed bed;
            uint64_t total = 0;

            bed_open(&bed);
            sched_add(&bed.sched, &bed.links[0], 0);
            sched_add(&bed.sched, &bed.links[1], low);
            while (total < 2000000) {
                uint8_t urgency;
                bool urgent = sched_next(&bed.sched, &urgency) == &bed.links[0];

                (void)send_piece(&bed, urgent ? cases[i].urgent_bytes : cases[i].other_bytes);
                total = bed.sent[0] + bed.sent[1];
                if (cases[i].urgent_bytes == 1 && total == 100000) break;
            }
            assert_true((bed.sent[1] + 2 * SCHED_TURN_BYTES) * (SCHED_FLOOR_SHARE + 1) >= total);
            /* A floor, not a share of its own: rounding up tiny pieces must not turn it over. */
            if (cases[i].urgent_bytes >= 100) assert_true(bed.sent[1] <= total / 20);
        }
    }
}

static void test_all_seven_floors_hold_at_once_and_the_urgent_keeps_most(void **state)
{
    struct bed bed;
    uint64_t total = 0;

    (void)state;
    bed_open(&bed);
    for (uint8_t u = 0; u < SCHED_URGENCIES; u++) sched_add(&bed.sched, &bed.links[u], u);
    for (int i = 0; i < 20000; i++) {
        (void)send_piece(&bed, 1200);
        total += 1200;
    }
    for (unsigned u = 1; u < SCHED_URGENCIES; u++)
        assert_true((bed.sent[u] + 2 * SCHED_TURN_BYTES) * 40 >= total);
    assert_true(bed.sent[0] * 10 >= total * 7);
}

static void test_a_long_wait_never_becomes_a_burst(void **state)
{
    struct bed bed;
    unsigned burst = 0;

    (void)state;
    bed_open(&bed);
    sched_add(&bed.sched, &bed.links[0], 0);
    sched_add(&bed.sched, &bed.links[1], 7);
    for (int i = 0; i < 5000; i++) {
        burst = send_piece(&bed, 600) == 1 ? burst + 1 : 0;
        assert_true(burst <= 4); /* 2 * SCHED_TURN_BYTES */
    }
}

static void test_who_left_is_owed_nothing_when_it_returns(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed);
    sched_add(&bed.sched, &bed.links[0], 0);
    sched_add(&bed.sched, &bed.links[1], 4);
    for (int i = 0; i < 31; i++) assert_int_equal(send_piece(&bed, 1200), 0);
    sched_remove(&bed.sched, &bed.links[1], 4);
    sched_add(&bed.sched, &bed.links[1], 4);
    for (int i = 0; i < 31; i++) assert_int_equal(send_piece(&bed, 1200), 0);
}

/* Pieces of random sizes up to a datagram, seven links: no link gets a tenth more than another. */
static void test_one_urgency_shares_by_bytes(void **state)
{
    struct bed bed;
    struct rng rng;
    uint64_t least = UINT64_MAX, most = 0;

    (void)state;
    bed_open(&bed);
    rng_init(&rng, 1, "sched", 0);
    for (unsigned i = 0; i < 7; i++) sched_add(&bed.sched, &bed.links[i], 3);
    for (int i = 0; i < 70000; i++)
        (void)send_piece(&bed, 1 + (uint32_t)rng_below(&rng, SCHED_TURN_BYTES));
    for (unsigned i = 0; i < 7; i++) {
        least = bed.sent[i] < least ? bed.sent[i] : least;
        most = bed.sent[i] > most ? bed.sent[i] : most;
    }
    assert_true(most * 10 < least * 11);
}

static void test_fifty_bulk_streams_take_turns_of_one_datagram(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed);
    for (unsigned i = 0; i < LINKS_MAX; i++) sched_add(&bed.sched, &bed.links[i], 3);
    for (unsigned i = 0; i < 3 * LINKS_MAX; i++)
        assert_int_equal(send_piece(&bed, SCHED_TURN_BYTES), i % LINKS_MAX);
}

static void test_on_a_fast_path_a_turn_lasts_a_quarter_of_a_millisecond(void **state)
{
    static const struct {
        uint64_t bytes_per_s;
        unsigned pieces; /* of SCHED_TURN_BYTES */
    } rows[] = {
        {0, 1},
        {4800000, 1},    /* 38 Mbit/s */
        {48000000, 10},  /* 384 Mbit/s: 12,000 bytes */
        {1000000000, 14} /* no more than 16 KiB */
    };

    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        struct bed bed;

        bed_open(&bed);
        sched_set_rate(&bed.sched, rows[r].bytes_per_s);
        for (unsigned i = 0; i < LINKS_MAX; i++) sched_add(&bed.sched, &bed.links[i], 3);
        for (unsigned i = 0; i < 3 * rows[r].pieces * LINKS_MAX; i++)
            assert_int_equal(send_piece(&bed, SCHED_TURN_BYTES), i / rows[r].pieces % LINKS_MAX);
    }
}

/* A turn belongs to its urgency: what a floor sends in between is not charged to it. */
static void test_a_passing_urgency_does_not_use_up_anothers_turn(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed);
    sched_add(&bed.sched, &bed.links[0], 3);
    sched_add(&bed.sched, &bed.links[1], 3);
    assert_int_equal(send_piece(&bed, 700), 0);
    sched_add(&bed.sched, &bed.links[2], 0);
    assert_int_equal(send_piece(&bed, 700), 2);
    sched_remove(&bed.sched, &bed.links[2], 0);
    assert_int_equal(send_piece(&bed, 700), 0);
    assert_int_equal(send_piece(&bed, 700), 1);
}

static void test_removing_the_head_gives_the_next_a_whole_turn(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed);
    for (unsigned i = 0; i < 3; i++) sched_add(&bed.sched, &bed.links[i], 3);
    assert_int_equal(send_piece(&bed, 1100), 0);
    sched_remove(&bed.sched, &bed.links[0], 3);
    assert_int_equal(send_piece(&bed, 1100), 1);
    assert_int_equal(send_piece(&bed, 1100), 1);
    assert_int_equal(send_piece(&bed, 1100), 2);
    /* One that is removed in the middle of a turn that is not its own changes nothing. */
    sched_add(&bed.sched, &bed.links[0], 3);
    sched_remove(&bed.sched, &bed.links[1], 3);
    assert_int_equal(send_piece(&bed, 1100), 2);
    assert_int_equal(send_piece(&bed, 1100), 0);
}

static void test_a_link_may_be_removed_before_its_bytes_are_counted(void **state)
{
    struct bed bed;
    uint8_t urgency;

    (void)state;
    bed_open(&bed);
    sched_add(&bed.sched, &bed.links[0], 3);
    sched_add(&bed.sched, &bed.links[1], 3);
    sched_remove(&bed.sched, &bed.links[0], 3);
    sched_sent(&bed.sched, &bed.links[0], 3, 5000);
    assert_false(list_is_linked(&bed.links[0]));
    assert_ptr_equal(sched_next(&bed.sched, &urgency), &bed.links[1]);
    sched_remove(&bed.sched, &bed.links[1], 3);
    assert_int_equal(bed.sched.waiting, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_next_when_nothing_waits),
        cmocka_unit_test(test_the_most_urgent_goes_first_and_a_new_one_passes),
        cmocka_unit_test(test_adding_twice_keeps_the_place),
        cmocka_unit_test(test_a_starved_urgency_gets_one_byte_in_33),
        cmocka_unit_test(test_all_seven_floors_hold_at_once_and_the_urgent_keeps_most),
        cmocka_unit_test(test_a_long_wait_never_becomes_a_burst),
        cmocka_unit_test(test_who_left_is_owed_nothing_when_it_returns),
        cmocka_unit_test(test_one_urgency_shares_by_bytes),
        cmocka_unit_test(test_fifty_bulk_streams_take_turns_of_one_datagram),
        cmocka_unit_test(test_on_a_fast_path_a_turn_lasts_a_quarter_of_a_millisecond),
        cmocka_unit_test(test_a_passing_urgency_does_not_use_up_anothers_turn),
        cmocka_unit_test(test_removing_the_head_gives_the_next_a_whole_turn),
        cmocka_unit_test(test_a_link_may_be_removed_before_its_bytes_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
