/* SPDX-License-Identifier: MIT */
/* Goal: a node that leaves its network takes its connections along (RFC 9000 9.5, docs/wire.md
 * 11.5): new ids, no lost byte, whatever is dark, lost or without memory meanwhile. Method:
 * moves.h, sides that are told that their network changed. How a peer follows is in
 * path_test.c. */
#include "moves.h"

enum { MIB = 1 << 20 };

static void both_ways(struct pair *p, struct flow f[2], uint64_t bytes)
{
    for (int i = 0; i < 2; i++) flow_open(p, &f[i], i, bytes);
}

static void finish(struct pair *p, struct flow *f, size_t count)
{
    (void)flow_run(p, f, count, 120000000);
    for (size_t i = 0; i < count; i++) flow_expect_whole(&f[i]);
    pair_run(p, 3000000);
}

static void test_a_move_by_choice_takes_new_ids_on_both_sides_and_gives_the_old_ones_back(
    void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++) {
        for (int bulk = 0; bulk < 2; bulk++) {
            struct moves m;
            struct flow f[2];
            struct pair *p = moves_pair(&m);
            if (bulk) {
                both_ways(p, f, 2 * MIB);
                (void)flow_run(p, f, 2, 300000);
            }
            moves_told(p, side, 99);
            assert_int_equal(reseal_side(p, side)->path.remote_id, 1);
            if (bulk) finish(p, f, 2);
            pair_run(p, 3000000);
            for (int i = 0; i < 2; i++) {
                assert_int_equal(reseal_side(p, i)->path.remote_id, 1);
                assert_false(reseal_side(p, i)->local_cids[0].used &&
                             reseal_side(p, i)->local_cids[0].sequence == 0);
                assert_int_equal(p->side[i].moves, 1);
                assert_int_equal(moves_metric(p, i, METRIC_CONNECTION_IDS_RETIRED), 1);
            }
            moves_expect_settled(p);
            moves_expect_ids(p);
            pair_free(p);
        }
    }
}

static void test_a_quiet_peer_follows_although_the_first_words_after_a_move_are_lost(void **state)
{
    (void)state;
    for (unsigned lost = 1; lost < 6; lost++) {
        for (int side = 0; side < 2; side++) {
            struct moves m;
            struct pair *p = moves_pair(&m);
            m.dark_from_us = p->now_us;
            m.dark_until_us = p->now_us + lost * 400000;
            moves_told(p, side, 99);
            pair_run(p, 6000000);
            /* Not only was it heard: the other side sends there from now on. */
            moves_expect_settled(p);
            assert_int_equal(p->side[side].moves, 1);
            assert_int_equal(p->side[1 - side].moves, 1);
            pair_free(p);
        }
    }
}

static void test_a_dark_network_in_the_midst_of_a_move_is_outlived(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++) {
        for (int told = 0; told < 2; told++) {
            struct moves m;
            struct flow f[2];
            struct pair *p = moves_pair(&m);
            both_ways(p, f, 8 * MIB);
            (void)flow_run(p, f, 2, 150000);
            m.dark_from_us = p->now_us + p->delay_us;
            m.dark_until_us = p->now_us + 8000000;
            if (told)
                moves_told(p, side, 99);
            else
                (void)moves_to(p, side, 99, 4000);
            (void)flow_run(p, f, 2, 8000000);
            assert_false(f[0].at_end || f[1].at_end);
            uint64_t before[2] = {f[0].read, f[1].read};
            /* Within the last interval between probes, which is no longer than the darkness. */
            (void)flow_run(p, f, 2, 8000000 + 6 * p->delay_us);
            assert_true(f[0].read > before[0] && f[1].read > before[1]);
            finish(p, f, 2);
            moves_expect_settled(p);
            moves_expect_ids(p);
            pair_free(p);
        }
    }
}

static void test_moves_without_memory_are_followed_all_the_same(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth < 12; nth++) {
        for (int told = 0; told < 2; told++) {
            struct moves m;
            struct flow f[2];
            struct pair *p = moves_pair(&m);
            both_ways(p, f, 300000);
            (void)flow_run(p, f, 2, 100000);
            p->counter.fail_at = nth;
            if (told)
                moves_told(p, 0, 99);
            else
                (void)moves_to(p, 0, 99, 4000);
            finish(p, f, 2);
            p->counter.fail_at = 0;
            moves_expect_settled(p);
            assert_int_equal(p->side[1].moves, 1);
            pair_free(p);
        }
    }
}

static void test_after_a_move_the_reset_of_the_id_in_use_counts(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++) {
        struct moves m;
        struct pair *p = moves_pair(&m);
        moves_told(p, 0, 99);
        pair_run(p, 3000000);
        assert_int_equal(reseal_side(p, side)->path.remote_id, 1);
        /* Whoever restarted knows nothing but its key, and sees the id that is in use now. */
        pair_restart(p, 1 - side);
        struct flow f;
        flow_open(p, &f, side, 5000); /* long enough to be answered */
        flow_write(p, &f);
        pair_run(p, 1000000);
        assert_true(p->side[side].ended);
        assert_int_equal(p->side[side].end_reason, WEIR_REASON_STATELESS_RESET);
        pair_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_a_move_by_choice_takes_new_ids_on_both_sides_and_gives_the_old_ones_back),
        cmocka_unit_test(test_a_quiet_peer_follows_although_the_first_words_after_a_move_are_lost),
        cmocka_unit_test(test_a_dark_network_in_the_midst_of_a_move_is_outlived),
        cmocka_unit_test(test_moves_without_memory_are_followed_all_the_same),
        cmocka_unit_test(test_after_a_move_the_reset_of_the_id_in_use_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
