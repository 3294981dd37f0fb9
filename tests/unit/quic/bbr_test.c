/* SPDX-License-Identifier: MIT */
/* Goal: BBR uses a path that loses at random, leaves its queue alone, shares, stops probing when it
 * hurts, and takes back what was no loss. Method: the link model (link_model.h), where the
 * engine, its pacer and the controller send over a bottleneck in virtual time; single steps on a
 * controller by hand. CUBIC runs beside it where that tells something. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "link_model.h"
#include "quic/bbr.h"
#include "weir.h"

#define BULK (UINT64_MAX / 2)

static struct link l;

static void open_link(uint64_t seed, uint64_t mbit, uint64_t rtt_ms, uint64_t queue_percent)
{
    link_open(&l, seed);
    l.rate = mbit * 125000;
    l.delay_us = rtt_ms * 500;
    l.back_us = rtt_ms * 500;
    l.queue_bytes = l.rate * rtt_ms / 1000 * queue_percent / 100;
    l.reorder_us = 1;
}

/* Goodput over the link's rate, in thousandths, from one moment to the next. */
static uint64_t run_permille(uint64_t seconds)
{
    uint64_t before = 0, after = 0;

    for (uint32_t i = 0; i < l.flow_count; i++) {
        before += l.flows[i].acked_bytes;
    }
    (void)link_run(&l, seconds * LINK_SECOND, false);
    for (uint32_t i = 0; i < l.flow_count; i++) {
        after += l.flows[i].acked_bytes;
    }
    return (after - before) * 1000 / (l.rate * seconds);
}

static void test_one_percent_of_random_loss_does_not_slow_it_down(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        open_link(seed, 100, 30, 100);
        l.loss_ppm = 10000;
        (void)link_add(&l, &congestion_bbr, 0, BULK);
        assert_true(run_permille(10) >= 850);
        link_close(&l);
    }
    open_link(1, 100, 30, 100);
    l.loss_ppm = 10000;
    (void)link_add(&l, &congestion_cubic, 0, BULK);
    assert_true(run_permille(10) < 200); /* the link does what it is meant to do */
    link_close(&l);
}

static void test_queues_of_all_sizes_are_left_almost_empty(void **state)
{
    static const uint64_t percent[] = {25, 100, 800};

    (void)state;
    for (size_t i = 0; i < sizeof percent / sizeof percent[0]; i++) {
        open_link(1, 50, 40, percent[i]);
        (void)link_add(&l, &congestion_bbr, 0, BULK);
        (void)run_permille(4); /* the start may fill it */
        l.queue_area = l.queue_samples = l.queue_peak = l.dropped = l.sent = 0;
        assert_true(run_permille(12) >= 930);
        /* On average below a fifth of what the pipe holds; probes may double it for a moment. */
        assert_true(l.queue_area / l.queue_samples < l.rate / 25 / 5);
        assert_true(l.queue_peak <= l.rate / 25 * 5 / 4);
        assert_true(l.dropped * 200 < l.sent);
        link_close(&l);
    }
}

static void check_sharing(const struct congestion_ops *ops, uint64_t fairness_ppm)
{
    uint64_t from[LINK_FLOWS];

    open_link(1, 10, 30, 100);
    for (uint64_t i = 0; i < 5; i++) {
        (void)link_add(&l, ops, i * 200000, BULK);
    }
    assert_true(run_permille(10) > 900);
    for (uint32_t i = 0; i < l.flow_count; i++) {
        from[i] = l.flows[i].acked_bytes;
    }
    assert_true(run_permille(30) > 900);
    assert_true(link_fairness_ppm(&l, from) >= fairness_ppm);
    link_close(&l);
}

static void test_five_flows_share_a_link(void **state)
{
    (void)state;
    check_sharing(&congestion_cubic, 950000);
    check_sharing(&congestion_bbr, 950000);
}

static void test_a_flow_of_cubic_beside_it_keeps_a_share(void **state)
{
    (void)state;
    open_link(1, 20, 40, 200);
    (void)link_add(&l, &congestion_bbr, 0, BULK);
    (void)link_add(&l, &congestion_cubic, 100000, BULK);
    (void)run_permille(30);
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(l.flows[i].acked_bytes * 100 / (l.rate * 30) >= 15);
    }
    link_close(&l);
}

static void test_a_fifth_lost_in_bursts_still_lets_data_through(void **state)
{
    static const struct congestion_ops *const ops[] = {&congestion_newreno, &congestion_cubic,
                                                       &congestion_bbr};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        open_link(1, 20, 50, 100);
        l.burst_ppm = 50000;
        l.burst_length = 5;
        struct link_flow *f = link_add(&l, ops[i], 0, BULK);
        for (int part = 0; part < 6; part++) {
            uint64_t before = f->acked_bytes;

            (void)run_permille(10);
            assert_true(f->acked_bytes > before + 200000);
        }
        link_close(&l);
    }
}

static void test_marks_keep_the_queue_short_without_loss(void **state)
{
    static const struct congestion_ops *const ops[] = {&congestion_cubic, &congestion_bbr};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        open_link(1, 50, 40, 400);
        l.mark_bytes = 60000;
        struct link_flow *f = link_add(&l, ops[i], 0, BULK);
        assert_true(run_permille(15) >= 800);
        assert_true(f->congestion.mark_events > 1);
        assert_int_equal(l.dropped, 0);
        link_close(&l);
    }
}

static void test_a_faster_or_slower_link_is_found(void **state)
{
    (void)state;
    open_link(1, 20, 40, 100);
    struct link_flow *f = link_add(&l, &congestion_bbr, 0, BULK);
    assert_true(run_permille(6) > 850);
    l.rate *= 5;
    l.queue_bytes *= 5;
    (void)run_permille(10);
    assert_true(run_permille(5) > 850);
    l.rate /= 10;
    l.queue_bytes /= 10;
    (void)run_permille(10);
    assert_true(run_permille(5) > 850);
    assert_in_range(f->congestion.pacing_bytes_per_s, l.rate / 2, l.rate * 3 / 2);
    link_close(&l);
}

static void test_the_bare_round_trip_is_looked_at_every_five_seconds(void **state)
{
    uint64_t looks = 0, last_us = 0;
    bool was = false;

    (void)state;
    open_link(1, 20, 40, 400);
    struct link_flow *f = link_add(&l, &congestion_bbr, 0, BULK);
    for (uint32_t i = 0; i < 3000; i++) {
        (void)link_run(&l, 10000, false);
        bool is = f->congestion.of.bbr->state == BBR_PROBE_RTT;
        if (is && !was) {
            assert_true(looks == 0 || l.now_us - last_us > 4900000);
            looks++;
            last_us = l.now_us;
        }
        /* Half a pipe is all that may be in flight while it looks. */
        if (is && was && f->congestion.of.bbr->probe_rtt_done_us != 0) {
            assert_true(f->congestion.window_bytes <= l.rate / 25 * 3 / 4);
        }
        was = is;
    }
    assert_in_range(looks, 4, 6);
    assert_in_range(f->congestion.of.bbr->min_rtt_us, 40000, 42000);
    link_close(&l);
}

static void test_an_application_that_sends_little_does_not_lower_the_estimate(void **state)
{
    (void)state;
    open_link(1, 50, 40, 100);
    struct link_flow *f = link_add(&l, &congestion_bbr, 0, 16u << 20);
    assert_true(link_run(&l, 20 * LINK_SECOND, true));
    uint64_t rate = bbr_rate_max(f->congestion.of.bbr);
    assert_in_range(rate, l.rate * 9 / 10, l.rate * 11 / 10);
    for (uint32_t i = 0; i < 200; i++) {
        (void)link_run(&l, 100000, false);
        link_write(&l, 0, 2400);
    }
    assert_true(bbr_rate_max(f->congestion.of.bbr) >= rate * 9 / 10);
    link_close(&l);
}

static void test_the_same_seed_gives_the_same_run(void **state)
{
    uint64_t sums[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        open_link(9, 50, 40, 100);
        l.loss_ppm = 5000;
        struct link_flow *f = link_add(&l, &congestion_bbr, 0, BULK);
        (void)run_permille(6);
        sums[i] = f->acked_bytes * 31 + f->congestion.window_bytes;
        link_close(&l);
    }
    assert_int_equal(sums[0], sums[1]);
}

static void test_a_spurious_loss_gives_bounds_and_state_back(void **state)
{
    struct mem_counter counter;
    struct congestion c;

    (void)state;
    mem_counter_init(&counter, mem_system());
    assert_int_equal(congestion_open(&c, &congestion_bbr, 1200, &counter.mem, NULL, 1, 1000, NULL),
                     0);
    struct bbr *b = c.of.bbr;
    struct delivery_packet packet = {.in_flight_bytes = 100000};
    struct congestion_lost lost = {
        .now_us = 5000000, .number = 9, .bytes = 1200, .packet = &packet};
    b->full_reached = true;
    b->rate_max[1] = b->rate = 1000000;
    b->min_rtt_us = 100000;
    b->inflight_long = 300000;
    c.window_bytes = 200000;
    bbr_set_state(&c, BBR_UP);
    b->probe_sample = true;
    /* One packet is no reason to stop; 2 % of what was in flight is. */
    delivery_on_lost(&b->delivery, 1200);
    congestion_on_lost(&c, &lost);
    assert_int_equal(b->state, BBR_UP);
    delivery_on_lost(&b->delivery, 1200);
    lost.number = 10;
    congestion_on_lost(&c, &lost);
    assert_int_equal(b->state, BBR_DOWN);
    assert_in_range(b->inflight_long, 98800, 100000);
    assert_true(congestion_on_event(&c, 4000000, 5000000));
    congestion_on_spurious(&c);
    assert_int_equal(b->inflight_long, 300000);
    assert_int_equal(b->state, BBR_REFILL);
    assert_int_equal(c.spurious_events, 1);
    congestion_close(&c, &counter.mem, NULL);
    assert_int_equal(counter.live_bytes, 0);
}

static void test_persistent_congestion_starts_from_two_datagrams(void **state)
{
    (void)state;
    open_link(1, 20, 40, 100);
    struct link_flow *f = link_add(&l, &congestion_bbr, 0, BULK);
    (void)run_permille(5);
    congestion_on_persistent(&f->congestion);
    assert_int_equal(f->congestion.window_bytes, 2400);
    (void)run_permille(2);
    assert_true(run_permille(2) > 850);
    link_close(&l);
}

static void test_memory_is_charged_given_back_and_kept_by_a_reset(void **state)
{
    struct mem_counter counter;
    struct budget budget;
    struct congestion c;
    struct limit_record limit;

    (void)state;
    mem_counter_init(&counter, mem_system());
    budget_init(&budget, NULL, LIMIT_SCOPE_CONNECTION, 0, sizeof(struct bbr), &counter);
    assert_true(sizeof(struct bbr) <= 1024);
    counter.fail_at = 1;
    assert_int_equal(congestion_open(&c, &congestion_bbr, 1200, &counter.mem, &budget, 1, 0, NULL),
                     WEIR_E_MEMORY);
    assert_int_equal(budget.used, 0);
    assert_int_equal(congestion_open(&c, &congestion_bbr, 1200, &counter.mem, &budget, 1, 0, NULL),
                     0);
    struct congestion other;
    assert_int_equal(
        congestion_open(&other, &congestion_bbr, 1200, &counter.mem, &budget, 1, 0, &limit),
        WEIR_E_BUDGET);
    assert_int_equal(
        congestion_open(&other, &congestion_cubic, 1200, &counter.mem, &budget, 1, 0, NULL), 0);
    congestion_close(&other, &counter.mem, &budget);
    c.of.bbr->rate = 5;
    c.events = 7;
    c.window_bytes = 99999;
    congestion_reset(&c, 1400, 50);
    assert_int_equal(c.of.bbr->rate, 0);
    assert_int_equal(c.window_bytes, 14000);
    assert_int_equal(c.events, 7);
    assert_true(congestion_is_slow_start(&c));
    congestion_close(&c, &counter.mem, &budget);
    congestion_close(&c, &counter.mem, &budget);
    assert_int_equal(counter.live_bytes, 0);
    assert_int_equal(budget.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_percent_of_random_loss_does_not_slow_it_down),
        cmocka_unit_test(test_queues_of_all_sizes_are_left_almost_empty),
        cmocka_unit_test(test_five_flows_share_a_link),
        cmocka_unit_test(test_a_flow_of_cubic_beside_it_keeps_a_share),
        cmocka_unit_test(test_a_fifth_lost_in_bursts_still_lets_data_through),
        cmocka_unit_test(test_marks_keep_the_queue_short_without_loss),
        cmocka_unit_test(test_a_faster_or_slower_link_is_found),
        cmocka_unit_test(test_the_bare_round_trip_is_looked_at_every_five_seconds),
        cmocka_unit_test(test_an_application_that_sends_little_does_not_lower_the_estimate),
        cmocka_unit_test(test_the_same_seed_gives_the_same_run),
        cmocka_unit_test(test_a_spurious_loss_gives_bounds_and_state_back),
        cmocka_unit_test(test_persistent_congestion_starts_from_two_datagrams),
        cmocka_unit_test(test_memory_is_charged_given_back_and_kept_by_a_reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
