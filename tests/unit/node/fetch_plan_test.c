/* SPDX-License-Identifier: MIT */
/* Goal: the plan of a fetch asks the right peer for the right part, and its counts and estimates
 * hold whatever happens. Method: a plan alone, time as a number; peers are played by the test. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/rng.h"
#include "node/fetch.h"
#include <string.h>

enum { PARTS = 40, PART = 10000, SLOTS = 8, MS = 1000, SECOND = 1000000, RTT = 20 * MS };

struct scene {
    struct fetch_plan plan;
    struct fetch_slot slots[SLOTS];
    uint8_t state[PARTS], blame[PARTS];
    uint64_t now_us;
};

static struct scene *scene(uint32_t peers)
{
    static struct scene s;
    memset(&s, 0, sizeof s);
    s.now_us = SECOND;
    s.plan = (struct fetch_plan){.total_bytes = PARTS * PART - 1,
                                 .progress_limit_us = 5 * SECOND,
                                 .progress_limit_bytes = 1,
                                 .part_bytes = PART,
                                 .parts = PARTS,
                                 .wanted = PARTS,
                                 .slots_max = SLOTS,
                                 .state = s.state,
                                 .blame = s.blame,
                                 .slots = s.slots};
    for (uint32_t i = 0; i < peers; i++)
        assert_int_equal(fetch_plan_add_peer(&s.plan, i + 1, RTT, FETCH_PEERS_MAX, s.now_us), i);
    return &s;
}

/* Ask for all that can be asked. @return how many parts */
static uint32_t ask(struct scene *s)
{
    struct fetch_choice choice;
    uint32_t count = 0;
    fetch_plan_look(&s->plan, s->now_us);
    while (fetch_plan_next(&s->plan, s->now_us, &choice)) {
        (void)fetch_plan_asked(&s->plan, &choice, s->now_us);
        assert_true(++count <= SLOTS);
    }
    return count;
}

/* The slot in which a peer has its lowest part; NULL: it has none. */
static struct fetch_slot *slot_of(struct scene *s, uint8_t peer)
{
    struct fetch_slot *lowest = NULL;
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct fetch_slot *slot = &s->slots[i];
        if (slot->state != SLOT_ASKED || slot->peer != peer) continue;
        if (lowest == NULL || slot->part < lowest->part) lowest = slot;
    }
    return lowest;
}

/* A part comes whole: others that were asked for it are beaten, the application reads it. */
static void bring(struct scene *s, struct fetch_slot *slot)
{
    assert_non_null(slot);
    (void)fetch_plan_arrived(&s->plan, slot, slot->len - slot->got, s->now_us);
    fetch_plan_verified(&s->plan, slot, s->now_us);
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct fetch_slot *other = &s->slots[i];
        if (other->state == SLOT_ASKED && other->part == slot->part)
            fetch_plan_beaten(&s->plan, other, s->now_us);
    }
    fetch_plan_read(&s->plan, slot);
}

static uint32_t asked(const struct scene *s, uint8_t peer)
{
    return s->plan.peers[peer].asked;
}

static void test_the_lowest_parts_are_spread_evenly_over_new_peers(void **state)
{
    (void)state;
    struct scene *s = scene(3);
    assert_int_equal(ask(s), SLOTS);
    for (uint32_t i = 0; i < SLOTS; i++) assert_int_equal(s->state[i], PART_ASKED);
    assert_int_equal(s->state[SLOTS], PART_WANTED);
    assert_int_equal(s->plan.first_wanted, SLOTS);
    for (uint8_t i = 0; i < 3; i++) assert_in_range(asked(s, i), 2, 3);
    assert_int_equal(fetch_plan_part_len(&s->plan, PARTS - 1), PART - 1);
}

static void test_a_fast_peer_gets_a_larger_share(void **state)
{
    (void)state;
    struct scene *s = scene(2);
    s->plan.peers[0].rate = 7000000;
    s->plan.peers[1].rate = 1000000;
    assert_int_equal(ask(s), SLOTS);
    assert_in_range(asked(s, 0), 6, 7);
    assert_in_range(asked(s, 1), 1, 2);
}

static void test_parts_of_a_quiet_peer_are_asked_of_others_first(void **state)
{
    (void)state;
    struct scene *s = scene(2);
    s->plan.peers[0].has_answered = true;
    ask(s);
    uint32_t stuck = slot_of(s, 0)->part;
    s->now_us += 240 * MS;
    bring(s, slot_of(s, 1));
    ask(s);
    assert_int_equal(s->state[stuck], PART_ASKED);
    s->now_us += 20 * MS;
    bring(s, slot_of(s, 1));
    ask(s);
    assert_true(s->plan.peers[0].is_quiet);
    assert_int_equal(s->state[stuck], PART_DOUBLED);
    /* It speaks again: it is as good as before. */
    assert_true(fetch_plan_arrived(&s->plan, slot_of(s, 0), 1, s->now_us));
    assert_false(s->plan.peers[0].is_quiet);
    bring(s, slot_of(s, 0));
    assert_int_equal(s->state[stuck], PART_DONE);
    assert_true(ask(s) > 0);
}

static void test_a_peer_that_lost_everything_rests_and_is_tried_with_one_part(void **state)
{
    (void)state;
    struct scene *s = scene(2);
    ask(s);
    while (asked(s, 0) > 0) {
        s->now_us += 300 * MS;
        if (slot_of(s, 1) != NULL) bring(s, slot_of(s, 1));
        ask(s);
    }
    assert_true(s->plan.peers[0].on_probation);
    assert_int_equal(s->plan.peers[0].strikes, 0);
    uint64_t rested_us = s->now_us;
    while (asked(s, 0) == 0 && s->plan.wanted > 0) {
        s->now_us += 100 * MS;
        bring(s, slot_of(s, 1));
        ask(s);
    }
    assert_int_equal(asked(s, 0), 1);
    assert_in_range(s->now_us - rested_us, 1 * SECOND, 1 * SECOND + 100 * MS);
    bring(s, slot_of(s, 0));
    assert_false(s->plan.peers[0].on_probation);
}

static void test_near_the_end_only_a_clear_gain_is_asked_for_twice(void **state)
{
    (void)state;
    const struct {
        uint64_t slow, fast;
        bool doubled;
    } cases[] = {{10000, 1000000, true}, {900000, 1000000, false}, {1000, 1100, false}};
    for (unsigned i = 0; i < 3; i++) {
        struct scene *s = scene(2);
        for (uint32_t part = 0; part < PARTS - 1; part++) s->state[part] = PART_DONE;
        s->plan.done = PARTS - 1;
        s->plan.wanted = 1;
        s->plan.first_wanted = PARTS - 1;
        s->plan.peers[1].is_blocked = true;
        s->plan.peers[0].rate = cases[i].slow;
        s->plan.peers[1].rate = cases[i].fast;
        assert_int_equal(ask(s), 1);
        assert_int_equal(slot_of(s, 0)->part, PARTS - 1);
        s->plan.peers[1].is_blocked = false;
        assert_int_equal(ask(s), cases[i].doubled ? 1 : 0);
        assert_int_equal(s->state[PARTS - 1], cases[i].doubled ? PART_DOUBLED : PART_ASKED);
        assert_int_equal(ask(s), 0); /* never of a third */
    }
}

static void test_a_wrong_part_goes_to_another_peer_unless_there_is_none(void **state)
{
    (void)state;
    struct scene *s = scene(2);
    ask(s);
    struct fetch_slot *slot = slot_of(s, 0);
    uint32_t part = slot->part;
    assert_true(fetch_plan_lost(&s->plan, slot, s->now_us));
    assert_int_equal(s->plan.first_wanted, part);
    bring(s, slot_of(s, 1));
    ask(s);
    assert_int_equal(s->state[part], PART_ASKED);
    for (uint32_t i = 0; i < SLOTS; i++) {
        if (s->slots[i].part == part && s->slots[i].state == SLOT_ASKED)
            assert_int_equal(s->slots[i].peer, 1);
    }
    s = scene(1);
    ask(s);
    assert_true(fetch_plan_lost(&s->plan, slot_of(s, 0), s->now_us));
    assert_int_equal(ask(s), 1);
}

static void test_three_strikes_are_the_end_and_good_parts_forgive(void **state)
{
    (void)state;
    struct scene *s = scene(2);
    assert_false(fetch_plan_strike(&s->plan, 0, 1, s->now_us));
    assert_false(fetch_plan_strike(&s->plan, 0, 1, s->now_us));
    assert_true(fetch_plan_strike(&s->plan, 0, 1, s->now_us));
    assert_false(fetch_plan_strike(&s->plan, 1, 2, s->now_us));
    s->now_us += 60 * SECOND;
    for (unsigned i = 0; i < 8; i++) {
        ask(s);
        bring(s, slot_of(s, 1));
    }
    assert_int_equal(s->plan.peers[1].strikes, 1);
    assert_false(fetch_plan_strike(&s->plan, 1, 1, s->now_us));
}

static void test_a_busy_peer_is_left_alone_for_a_bounded_time(void **state)
{
    (void)state;
    const struct {
        uint64_t hint_us, least_us, most_us;
    } cases[] = {{0, SECOND, SECOND},
                 {1, 100 * MS, 100 * MS},
                 {2 * SECOND, 2 * SECOND, 2 * SECOND},
                 {UINT64_C(0x3fffffffffffffff), 60 * SECOND, 60 * SECOND},
                 {UINT64_MAX, 60 * SECOND, 60 * SECOND}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scene *s = scene(1);
        fetch_plan_busy(&s->plan, 0, cases[i].hint_us, s->now_us);
        assert_int_equal(ask(s), 0);
        uint64_t wait_us = fetch_plan_deadline(&s->plan, s->now_us) - s->now_us;
        assert_in_range(wait_us, cases[i].least_us, cases[i].most_us);
        s->now_us += wait_us;
        assert_int_equal(ask(s), 1); /* one, to see whether it still is */
        bring(s, slot_of(s, 0));
        assert_int_equal(ask(s), SLOTS);
    }
    /* Busy for ever, with a hint of nothing: asked ever more rarely. */
    struct scene *s = scene(1);
    uint32_t count = 0;
    for (uint64_t begun = s->now_us; s->now_us < begun + 3600 * (uint64_t)SECOND; count++) {
        ask(s);
        while (slot_of(s, 0) != NULL) (void)fetch_plan_lost(&s->plan, slot_of(s, 0), s->now_us);
        fetch_plan_busy(&s->plan, 0, 1, s->now_us);
        s->now_us = s->plan.peers[0].busy_until_us;
    }
    assert_in_range(count, 50, 80);
}

static void test_no_progress_is_late_and_any_progress_is_not(void **state)
{
    (void)state;
    struct scene *s = scene(1);
    ask(s);
    s->now_us += 5 * SECOND - 1;
    assert_false(fetch_plan_is_late(&s->plan, 0, s->now_us));
    (void)fetch_plan_arrived(&s->plan, slot_of(s, 0), 1, s->now_us);
    s->now_us += 5 * SECOND - 1;
    assert_false(fetch_plan_is_late(&s->plan, 0, s->now_us));
    s->now_us += 1;
    assert_true(fetch_plan_is_late(&s->plan, 0, s->now_us));
}

static void test_a_quiet_peer_gives_a_slot_to_one_that_rests(void **state)
{
    (void)state;
    struct scene *s = scene(1);
    ask(s);
    s->now_us += 2 * SECOND;
    assert_int_equal(ask(s), 0);
    assert_int_equal(fetch_plan_spare(&s->plan, s->now_us), -1);
    assert_int_equal(fetch_plan_add_peer(&s->plan, 9, RTT, 2, s->now_us), 1);
    int spare = fetch_plan_spare(&s->plan, s->now_us);
    assert_true(spare >= 0);
    assert_int_equal(s->slots[spare].part, SLOTS - 1);
    (void)fetch_plan_lost(&s->plan, &s->slots[spare], s->now_us);
    ask(s);
    assert_int_equal(asked(s, 1), 1);
    assert_int_equal(slot_of(s, 1)->part, 0); /* the lowest that is stuck */
    assert_int_equal(fetch_plan_spare(&s->plan, s->now_us), -1);
    assert_int_equal(fetch_plan_add_peer(&s->plan, 10, RTT, 2, s->now_us), -1);
}

static void check(const struct scene *s)
{
    uint32_t count[5] = {0}, used = 0, of_peer[FETCH_PEERS_MAX] = {0};
    uint64_t left[FETCH_PEERS_MAX] = {0};
    uint8_t with[PARTS] = {0};
    for (uint32_t i = 0; i < PARTS; i++) {
        count[s->state[i]]++;
        if (s->state[i] == PART_WANTED) assert_true(i >= s->plan.first_wanted);
    }
    for (uint32_t i = 0; i < SLOTS; i++) {
        const struct fetch_slot *slot = &s->slots[i];
        used += slot->state == SLOT_FREE ? 0u : 1u;
        if (slot->state != SLOT_ASKED) continue;
        of_peer[slot->peer]++;
        left[slot->peer] += slot->len - slot->got;
        with[slot->part]++;
    }
    for (uint32_t i = 0; i < PARTS; i++) {
        if (s->state[i] == PART_ASKED)
            assert_int_equal(with[i], 1);
        else if (s->state[i] == PART_DOUBLED)
            assert_int_equal(with[i], 2);
        else
            assert_int_equal(with[i], 0);
    }
    assert_int_equal(used, s->plan.slots_used);
    assert_int_equal(count[PART_WANTED], s->plan.wanted);
    assert_int_equal(count[PART_DONE], s->plan.done);
    for (unsigned i = 0; i < FETCH_PEERS_MAX; i++) {
        assert_int_equal(of_peer[i], s->plan.peers[i].asked);
        assert_int_equal(left[i], s->plan.peers[i].left_bytes);
    }
    assert_true(fetch_plan_deadline(&s->plan, s->now_us) > s->now_us);
}

static void verify(struct scene *s, struct fetch_slot *slot)
{
    (void)fetch_plan_arrived(&s->plan, slot, slot->len - slot->got, s->now_us);
    fetch_plan_verified(&s->plan, slot, s->now_us);
    for (uint32_t i = 0; i < SLOTS; i++) {
        if (s->slots[i].state == SLOT_ASKED && s->slots[i].part == slot->part)
            fetch_plan_beaten(&s->plan, &s->slots[i], s->now_us);
    }
}

static void remove_peer(struct scene *s, uint8_t peer)
{
    while (slot_of(s, peer) != NULL) (void)fetch_plan_lost(&s->plan, slot_of(s, peer), s->now_us);
    fetch_plan_remove_peer(&s->plan, peer);
}

static void act(struct scene *s, struct rng *rng)
{
    struct fetch_slot *slot = &s->slots[rng_below(rng, SLOTS)];
    uint8_t peer = (uint8_t)rng_below(rng, 5);
    bool is_there = s->plan.peers[peer].connection != 0;
    switch (rng_below(rng, 9)) {
    case 0: (void)fetch_plan_add_peer(&s->plan, rng_u64(rng) | 1, RTT, 5, s->now_us); break;
    case 1:
        if (is_there && rng_below(rng, 4) == 0) remove_peer(s, peer);
        break;
    case 2:
        if (is_there) fetch_plan_busy(&s->plan, peer, rng_below(rng, SECOND), s->now_us);
        break;
    case 3:
        if (is_there && rng_below(rng, 4) == 0 &&
            fetch_plan_strike(&s->plan, peer, 1 + (unsigned)rng_below(rng, 2), s->now_us))
            remove_peer(s, peer);
        break;
    case 4:
        if (slot->state == SLOT_ASKED) (void)fetch_plan_lost(&s->plan, slot, s->now_us);
        break;
    case 5:
        if (slot->state == SLOT_WAITING) fetch_plan_read(&s->plan, slot);
        break;
    case 6:
        if (s->state[slot->part] == PART_DONE && rng_below(rng, 8) == 0)
            (void)fetch_plan_rejected(&s->plan, slot->part);
        break;
    case 7:
        if (slot->state == SLOT_ASKED) verify(s, slot);
        break;
    default:
        if (slot->state == SLOT_ASKED && slot->len > slot->got)
            (void)fetch_plan_arrived(
                &s->plan, slot, 1 + (uint32_t)rng_below(rng, slot->len - slot->got), s->now_us);
    }
}

static void test_counts_hold_whatever_happens(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 3, "fetch plan", 0);
    for (unsigned round = 0; round < 40; round++) {
        struct scene *s = scene(2);
        for (unsigned step = 0; step < 1500; step++) {
            act(s, &rng);
            if (rng_below(&rng, 2) == 0) s->now_us += rng_below(&rng, 200 * MS);
            ask(s);
            check(s);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_lowest_parts_are_spread_evenly_over_new_peers),
        cmocka_unit_test(test_a_fast_peer_gets_a_larger_share),
        cmocka_unit_test(test_parts_of_a_quiet_peer_are_asked_of_others_first),
        cmocka_unit_test(test_a_peer_that_lost_everything_rests_and_is_tried_with_one_part),
        cmocka_unit_test(test_near_the_end_only_a_clear_gain_is_asked_for_twice),
        cmocka_unit_test(test_a_wrong_part_goes_to_another_peer_unless_there_is_none),
        cmocka_unit_test(test_three_strikes_are_the_end_and_good_parts_forgive),
        cmocka_unit_test(test_a_busy_peer_is_left_alone_for_a_bounded_time),
        cmocka_unit_test(test_no_progress_is_late_and_any_progress_is_not),
        cmocka_unit_test(test_a_quiet_peer_gives_a_slot_to_one_that_rests),
        cmocka_unit_test(test_counts_hold_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
