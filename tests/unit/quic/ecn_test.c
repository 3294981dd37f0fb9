/* SPDX-License-Identifier: MIT */
/* Goal: marks are used where they work and nowhere else, and a lying peer can only switch them off.
 * Method: a table of what an ACK may say against what was sent, and stories of paths that mark,
 * wipe and swallow. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "quic/ecn.h"

enum { PTO_US = 300000 };

/* Sends packets as it is told. @return how many were marked */
static unsigned send(struct ecn *e, unsigned packets, uint64_t now_us)
{
    unsigned marked = 0;
    for (unsigned i = 0; i < packets; i++) {
        if (ecn_mark(e, now_us) != ACK_ECN_ECT0) continue;
        ecn_on_sent(e, 1, now_us, PTO_US);
        marked++;
    }
    return marked;
}

static enum ecn_result acked(struct ecn *e, uint64_t newly, uint64_t ect0, uint64_t ce)
{
    return ecn_on_ack(e, true, newly, true, ect0, 0, ce);
}

/* A path that has proven itself with ten marked packets. */
static void capable(struct ecn *e)
{
    ecn_init(e, true);
    assert_int_equal(send(e, 20, 0), ECN_TEST_PACKETS);
    assert_int_equal(acked(e, ECN_TEST_PACKETS, ECN_TEST_PACKETS, 0), ECN_OK);
    assert_int_equal(e->state, ECN_CAPABLE);
}

static void test_it_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct ecn) <= 64);
}

static void test_a_host_that_cannot_mark_never_does(void **state)
{
    struct ecn e;
    (void)state;
    ecn_init(&e, false);
    assert_int_equal(send(&e, 20, 0), 0);
    assert_int_equal(ecn_on_ack(&e, true, 0, true, 0, 0, 0), ECN_OK);
    ecn_on_pto(&e, 9);
    assert_int_equal(send(&e, 20, 0), 0);
    ecn_restart(&e, true);
    assert_int_equal(send(&e, 1, 0), 1);
}

static void test_ten_packets_are_a_test(void **state)
{
    struct ecn e;
    (void)state;
    ecn_init(&e, true);
    assert_int_equal(send(&e, 9, 0), 9);
    assert_int_equal(e.state, ECN_TESTING);
    assert_int_equal(send(&e, 9, 0), 1);
    assert_int_equal(e.state, ECN_UNKNOWN);
    assert_int_equal(e.sent, 10);
    /* One of them, counted, is proof. */
    assert_int_equal(acked(&e, 1, 1, 0), ECN_OK);
    assert_int_equal(e.state, ECN_CAPABLE);
    assert_int_equal(send(&e, 100, 0), 100);
}

static void test_three_probe_timeouts_end_the_test(void **state)
{
    struct ecn e;
    (void)state;
    ecn_init(&e, true);
    assert_int_equal(send(&e, 2, 1000), 2);
    assert_int_equal(send(&e, 1, 1000 + ECN_TEST_PTOS * PTO_US - 1), 1);
    assert_int_equal(send(&e, 1, 1000 + ECN_TEST_PTOS * PTO_US), 0);
    assert_int_equal(e.state, ECN_UNKNOWN);
    /* A path that is quiet at first has not begun its test. */
    ecn_init(&e, true);
    assert_int_equal(send(&e, 3, 100 * PTO_US), 3);
}

static void test_proof_during_the_test_is_kept(void **state)
{
    struct ecn e;
    (void)state;
    ecn_init(&e, true);
    assert_int_equal(send(&e, 3, 0), 3);
    assert_int_equal(acked(&e, 3, 3, 0), ECN_OK);
    assert_int_equal(e.state, ECN_TESTING);
    assert_int_equal(send(&e, 30, 0), 30);
    assert_int_equal(e.state, ECN_CAPABLE);
}

static void test_a_path_that_swallows_marks_fails(void **state)
{
    struct ecn e;
    (void)state;
    ecn_init(&e, true);
    (void)send(&e, 20, 0);
    for (unsigned i = 0; i < ECN_TEST_PACKETS - 1; i++) assert_int_equal(ecn_on_lost(&e), ECN_OK);
    assert_int_equal(ecn_on_lost(&e), ECN_HAS_FAILED);
    assert_int_equal(ecn_on_lost(&e), ECN_OK); /* said once */
    assert_int_equal(send(&e, 10, 0), 0);
    /* Shorter tests too, once they are over. */
    ecn_init(&e, true);
    (void)send(&e, 2, 0);
    assert_int_equal(ecn_on_lost(&e), ECN_OK);
    assert_int_equal(ecn_on_lost(&e), ECN_OK); /* eight more may yet come */
    assert_int_equal(send(&e, 1, ECN_TEST_PTOS * PTO_US), 0);
    assert_int_equal(e.state, ECN_FAILED);
    /* All ten lost before the next packet asks for its mark. */
    ecn_init(&e, true);
    (void)send(&e, ECN_TEST_PACKETS, 0);
    for (unsigned i = 1; i < ECN_TEST_PACKETS; i++) (void)ecn_on_lost(&e);
    assert_int_equal(ecn_on_lost(&e), ECN_HAS_FAILED);
}

static void test_losses_that_were_none_do_not_outweigh_one_that_came(void **state)
{
    struct ecn e;
    (void)state;
    ecn_init(&e, true);
    (void)send(&e, ECN_TEST_PACKETS, 0);
    assert_int_equal(ecn_on_lost(&e), ECN_OK);
    assert_int_equal(acked(&e, 1, 1, 0), ECN_OK); /* the lost one came late */
    for (unsigned i = 1; i < ECN_TEST_PACKETS; i++) assert_int_equal(ecn_on_lost(&e), ECN_OK);
    assert_int_equal(send(&e, 5, 0), 5);
    assert_int_equal(e.state, ECN_CAPABLE);
}

static void test_one_that_came_through_is_no_swallowing(void **state)
{
    struct ecn e;
    (void)state;
    ecn_init(&e, true);
    (void)send(&e, 20, 0);
    for (unsigned i = 1; i < ECN_TEST_PACKETS; i++) assert_int_equal(ecn_on_lost(&e), ECN_OK);
    assert_int_equal(acked(&e, 1, 1, 0), ECN_OK);
    assert_int_equal(e.state, ECN_CAPABLE);
    for (unsigned i = 0; i < 50; i++) assert_int_equal(ecn_on_lost(&e), ECN_OK);
    assert_int_equal(e.state, ECN_CAPABLE);
}

/* After capable(): 10 sent and counted; 10 more are sent, then this ACK comes. */
static const struct {
    const char *what;
    bool raised;
    uint64_t newly;
    bool has_counts;
    uint64_t ect0, ect1, ce;
    enum ecn_result result;
} rows[] = {
    {"all arrived", true, 10, true, 20, 0, 0, ECN_OK},
    {"some arrived", true, 4, true, 14, 0, 0, ECN_OK},
    {"more arrived than are acknowledged here", true, 1, true, 20, 0, 0, ECN_OK},
    {"one was marked CE", true, 10, true, 19, 0, 1, ECN_CE_INCREASED},
    {"all were marked CE", true, 10, true, 10, 0, 10, ECN_CE_INCREASED},
    {"nothing marked is new, same counts", true, 0, true, 10, 0, 0, ECN_OK},
    {"nothing marked is new, no counts", true, 0, false, 0, 0, 0, ECN_OK},
    {"counts are missing", true, 1, false, 0, 0, 0, ECN_HAS_FAILED},
    {"a mark was wiped", true, 10, true, 19, 0, 0, ECN_HAS_FAILED},
    {"all marks were wiped", true, 10, true, 10, 0, 0, ECN_HAS_FAILED},
    {"ECT(0) fell", true, 0, true, 9, 0, 0, ECN_HAS_FAILED},
    {"ECT(0) fell and CE covers it", true, 1, true, 9, 0, 2, ECN_HAS_FAILED},
    {"more than was sent", true, 10, true, 21, 0, 0, ECN_HAS_FAILED},
    {"more than was sent, with CE", true, 10, true, 20, 0, 1, ECN_HAS_FAILED},
    {"CE beyond all", true, 10, true, 10, 0, VARINT_MAX, ECN_HAS_FAILED},
    {"both beyond all", true, 10, true, VARINT_MAX, 0, VARINT_MAX, ECN_HAS_FAILED},
    {"ECT(1) out of nothing", true, 10, true, 20, 1, 0, ECN_HAS_FAILED},
    {"ECT(0) turned into ECT(1)", true, 10, true, 10, 10, 0, ECN_HAS_FAILED},
    {"reordered: counts fell", false, 1, true, 3, 0, 0, ECN_OK},
    {"reordered: counts are missing", false, 1, false, 0, 0, 0, ECN_OK},
    {"reordered: CE", false, 1, true, 10, 0, 1, ECN_OK},
};

static void test_every_rule_of_validation(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ecn e;
        capable(&e);
        assert_int_equal(send(&e, 10, 0), 10);
        enum ecn_result result = ecn_on_ack(&e, rows[i].raised, rows[i].newly, rows[i].has_counts,
                                            rows[i].ect0, rows[i].ect1, rows[i].ce);
        if (result != rows[i].result) print_message("%s: %d\n", rows[i].what, result);
        assert_int_equal(result, rows[i].result);
        bool failed = rows[i].result == ECN_HAS_FAILED;
        assert_int_equal(e.state, failed ? ECN_FAILED : ECN_CAPABLE);
        assert_int_equal(send(&e, 5, 0), failed ? 0 : 5);
        /* Failure is said once. */
        if (failed) assert_int_equal(ecn_on_ack(&e, true, 1, false, 0, 0, 0), ECN_OK);
    }
}

static void test_counts_fall_below_the_last_ce(void **state)
{
    struct ecn e;
    (void)state;
    capable(&e);
    (void)send(&e, 10, 0);
    assert_int_equal(acked(&e, 5, 13, 2), ECN_CE_INCREASED);
    assert_int_equal(acked(&e, 2, 15, 2), ECN_OK); /* the same CE is no new event */
    assert_int_equal(acked(&e, 1, 17, 1), ECN_HAS_FAILED);
}

static void test_a_reordered_report_is_covered_by_the_next(void **state)
{
    struct ecn e;
    (void)state;
    capable(&e);
    (void)send(&e, 10, 0);
    assert_int_equal(ecn_on_ack(&e, false, 3, true, 13, 0, 0), ECN_OK);
    assert_int_equal(acked(&e, 4, 17, 1), ECN_CE_INCREASED);
    assert_int_equal(acked(&e, 0, 17, 1), ECN_OK);
}

static void test_another_path_is_tested_anew_and_counts_go_on(void **state)
{
    struct ecn e;
    (void)state;
    capable(&e);
    ecn_restart(&e, true);
    assert_int_equal(send(&e, 20, 0), ECN_TEST_PACKETS);
    assert_int_equal(e.state, ECN_UNKNOWN);
    /* A packet of the old path, counted: no proof of the new one, and no breach. */
    assert_int_equal(acked(&e, 0, 11, 0), ECN_OK);
    assert_int_equal(e.state, ECN_UNKNOWN);
    assert_int_equal(acked(&e, 2, 13, 0), ECN_OK);
    assert_int_equal(e.state, ECN_CAPABLE);
    /* A path that failed does not speak for the next; what it counted since is no news there. */
    capable(&e);
    (void)send(&e, 10, 0);
    assert_int_equal(acked(&e, 9, 18, 0), ECN_HAS_FAILED);
    assert_int_equal(acked(&e, 0, 18, 2), ECN_OK);
    ecn_restart(&e, true);
    (void)send(&e, 20, 0);
    assert_int_equal(acked(&e, 10, 28, 2), ECN_OK);
    assert_int_equal(e.state, ECN_CAPABLE);
}

static void test_an_outage_stops_marks_and_tests_again(void **state)
{
    struct ecn e;
    (void)state;
    capable(&e);
    assert_int_equal(send(&e, 6, 0), 6);
    ecn_on_pto(&e, 1);
    ecn_on_pto(&e, 2);
    assert_int_equal(send(&e, 1, 0), 1);
    ecn_on_pto(&e, ECN_PTO_SUSPECT);
    assert_int_equal(send(&e, 10, 0), 0);
    for (unsigned i = 0; i < 20; i++) assert_int_equal(ecn_on_lost(&e), ECN_OK);
    /* A probe without mark is acknowledged. */
    assert_int_equal(ecn_on_ack(&e, true, 0, false, 0, 0, 0), ECN_OK);
    assert_int_equal(ecn_on_lost(&e), ECN_OK); /* of those from before */
    assert_int_equal(send(&e, 20, 0), ECN_TEST_PACKETS);
    assert_int_equal(acked(&e, 10, 20, 0), ECN_OK);
    assert_int_equal(e.state, ECN_CAPABLE);
    /* An outage during the test is no swallowing. */
    ecn_init(&e, true);
    assert_int_equal(send(&e, 5, 0), 5);
    ecn_on_pto(&e, ECN_PTO_SUSPECT);
    for (unsigned i = 0; i < 5; i++) assert_int_equal(ecn_on_lost(&e), ECN_OK);
    assert_int_equal(ecn_on_ack(&e, true, 0, false, 0, 0, 0), ECN_OK);
    assert_int_equal(send(&e, 20, 0), ECN_TEST_PACKETS);
    /* Marks that are swallowed since then are found. */
    ecn_on_pto(&e, ECN_PTO_SUSPECT);
    assert_int_equal(ecn_on_ack(&e, true, 0, false, 0, 0, 0), ECN_OK);
    (void)send(&e, 20, 0);
    for (unsigned i = 1; i < ECN_TEST_PACKETS; i++) assert_int_equal(ecn_on_lost(&e), ECN_OK);
    assert_int_equal(ecn_on_lost(&e), ECN_HAS_FAILED);
}

/* Whatever a peer claims: what is marked never exceeds what an honest story would mark, and a lie
 * is never a reason to mark. */
static void test_any_claims_keep_the_totals(void **state)
{
    struct rng rng;
    (void)state;
    rng_init(&rng, 3, "ecn", 0);
    for (unsigned story = 0; story < 300; story++) {
        struct ecn e;
        bool failed = false;
        ecn_init(&e, true);
        for (unsigned i = 0; i < 200; i++) {
            unsigned marked = send(&e, (unsigned)rng_below(&rng, 5), i * 1000);
            assert_true(!failed || marked == 0);
            if (rng_below(&rng, 6) == 0) failed |= ecn_on_lost(&e) == ECN_HAS_FAILED;
            if (rng_below(&rng, 30) == 0) ecn_on_pto(&e, (uint32_t)rng_below(&rng, 5));
            if (rng_below(&rng, 3) != 0) continue;
            uint64_t ect0 = e.ect0 + rng_below(&rng, 4), ce = e.ce + rng_below(&rng, 2);
            enum ecn_result result = ecn_on_ack(&e, rng_below(&rng, 8) != 0, rng_below(&rng, 3),
                                                rng_below(&rng, 50) != 0, ect0, 0, ce);
            assert_true(!failed || result == ECN_OK);
            failed |= result == ECN_HAS_FAILED;
            assert_true(e.ect0 + e.ce <= e.sent);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_small),
        cmocka_unit_test(test_a_host_that_cannot_mark_never_does),
        cmocka_unit_test(test_ten_packets_are_a_test),
        cmocka_unit_test(test_three_probe_timeouts_end_the_test),
        cmocka_unit_test(test_proof_during_the_test_is_kept),
        cmocka_unit_test(test_a_path_that_swallows_marks_fails),
        cmocka_unit_test(test_losses_that_were_none_do_not_outweigh_one_that_came),
        cmocka_unit_test(test_one_that_came_through_is_no_swallowing),
        cmocka_unit_test(test_every_rule_of_validation),
        cmocka_unit_test(test_counts_fall_below_the_last_ce),
        cmocka_unit_test(test_a_reordered_report_is_covered_by_the_next),
        cmocka_unit_test(test_another_path_is_tested_anew_and_counts_go_on),
        cmocka_unit_test(test_an_outage_stops_marks_and_tests_again),
        cmocka_unit_test(test_any_claims_keep_the_totals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
