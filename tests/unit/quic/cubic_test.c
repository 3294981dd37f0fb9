/* SPDX-License-Identifier: MIT */
/* Goal: the integer CUBIC follows RFC 9438. Method: the same rules in floating point, fed with
 * the same acks, must stay within 1 % at every ack; the curve's landmarks are checked in closed
 * form. Floating point is for tests only. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/congestion.h"

#define MS 1000u

/* The few functions of libm that are needed, so that no test links it. */
static double smaller(double a, double b)
{
    return a < b ? a : b;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double cube_root(double x)
{
    double root = larger(x, 1.0);

    for (int i = 0; x > 0 && i < 200; i++) {
        root -= (root - x / (root * root)) / 3;
    }
    return x > 0 ? root : 0;
}

struct model {
    double window, max, prior, estimate, k, segment;
};

static void model_begin(struct model *m, double window, double max, double prior, double segment)
{
    *m = (struct model){.window = window / segment,
                        .max = max / segment,
                        .prior = prior / segment,
                        .estimate = window / segment,
                        .segment = segment};
    m->k = cube_root((m->max - m->window) / 0.4);
}

static double model_at(const struct model *m, double t)
{
    return 0.4 * (t - m->k) * (t - m->k) * (t - m->k) + m->max;
}

/* Sections 4.2 to 4.5, segments and seconds. */
static void model_ack(struct model *m, double bytes, double t, double rtt)
{
    double acked = bytes / m->segment;
    double alpha = m->estimate >= m->prior ? 1.0 : 3.0 * 0.3 / 1.7;
    double target;

    m->estimate += alpha * acked / m->window;
    if (model_at(m, t) < m->estimate) {
        m->window = larger(m->window, m->estimate);
        return;
    }
    target = smaller(larger(model_at(m, t + rtt), m->window), 1.5 * m->window);
    m->window += (target - m->window) / m->window * acked;
}

static void ack(struct congestion *c, uint64_t now_us, uint64_t rtt_us, uint64_t bytes)
{
    struct rtt rtt;
    struct congestion_ack a = {.now_us = now_us,
                               .sent_us = now_us - rtt_us,
                               .bytes = bytes,
                               .bytes_all = bytes,
                               .in_flight_bytes = c->window_bytes, /* all of it is in use */
                               .rtt = &rtt,
                               .rtt_sampled = true};

    rtt_init(&rtt);
    rtt_on_sample(&rtt, now_us, rtt_us, 0, true, 0);
    congestion_on_acked(c, &a);
}

static void reduce_from(struct congestion *c, uint64_t window_bytes, uint32_t datagram,
                        uint64_t now_us)
{
    congestion_init(c, &congestion_cubic, datagram);
    c->window_bytes = window_bytes;
    assert_true(congestion_on_event(c, now_us - 1, now_us));
}

static void check_within_percent(double actual, double expected)
{
    if (larger(actual - expected, expected - actual) > 0.01 * expected) {
        fail_msg("%f is not within 1 %% of %f", actual, expected);
    }
}

static void test_the_window_follows_the_floating_point_model(void **state)
{
    static const struct {
        uint64_t window_bytes, rtt_us;
        uint32_t datagram;
        double seconds;
    } rows[] = {
        {1200 * 1000, 100 * MS, 1200, 20}, /* K is 9.1 s: concave, plateau, convex */
        {1200 * 100, 100 * MS, 1200, 30},   {1452 * 5000, 30 * MS, 1452, 25},
        {1200 * 20, 20 * MS, 1200, 20},     /* Reno-friendly */
        {1200 * 2000, 1500 * MS, 1200, 60}, /* satellite */
        {9000 * 300, 1 * MS, 9000, 8},      /* data centre */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t start_us = 7000 * MS, now_us = start_us;
        struct congestion c;
        struct model m;

        reduce_from(&c, rows[i].window_bytes, rows[i].datagram, 5000 * MS);
        assert_int_equal(c.window_bytes, rows[i].window_bytes * 7 / 10);
        model_begin(&m, (double)c.window_bytes, (double)rows[i].window_bytes,
                    (double)rows[i].window_bytes, rows[i].datagram);
        while ((double)(now_us - start_us) < rows[i].seconds * 1e6) {
            /* Two segments per ack, the window spread over the round trip. */
            uint64_t bytes = 2 * rows[i].datagram;

            ack(&c, now_us, rows[i].rtt_us, bytes);
            model_ack(&m, (double)bytes, (double)(now_us - start_us) / 1e6,
                      (double)rows[i].rtt_us / 1e6);
            check_within_percent((double)c.window_bytes, m.window * m.segment);
            now_us += 1 + rows[i].rtt_us * bytes / c.window_bytes;
        }
        /* It did grow. */
        assert_true(c.window_bytes > rows[i].window_bytes);
    }
}

static void test_k_is_the_cube_root(void **state)
{
    (void)state;
    for (uint64_t segments = 4; segments < 800000; segments = segments * 5 / 4 + 1) {
        struct congestion c;
        double k_ms;

        reduce_from(&c, segments * 1200, 1200, 1000);
        ack(&c, 2000, 500, 1);
        k_ms = (double)(c.of.cubic.now.max_bytes - segments * 1200 * 7 / 10);
        k_ms = 1000 * cube_root(k_ms / 1200 / 0.4);
        k_ms -= (double)c.of.cubic.now.k_ms;
        assert_true(larger(k_ms, -k_ms) <= 0.51);
    }
}

static void test_the_plateau_is_reached_at_k(void **state)
{
    uint64_t now_us = 7000 * MS, start_us = now_us, half;
    struct congestion c;

    (void)state;
    reduce_from(&c, 1200000, 1200, 6000 * MS);
    half = 0;
    while (now_us - start_us < 9086 * MS) {
        ack(&c, now_us, 100 * MS, 12000);
        now_us += 100 * MS * 12000 / c.window_bytes;
        if (half == 0 && now_us - start_us >= 4543 * MS) {
            half = c.window_bytes;
        }
    }
    assert_int_equal(c.of.cubic.now.k_ms, 9086);
    /* At K/2 seven eighths of the way back are done. */
    check_within_percent((double)half, 1200000 - 360000 / 8.0);
    check_within_percent((double)c.window_bytes, 1200000);
}

static void test_fast_convergence_lowers_the_plateau(void **state)
{
    struct congestion c;

    (void)state;
    reduce_from(&c, 1200000, 1200, 1000 * MS);
    assert_int_equal(c.of.cubic.now.max_bytes, 1200000);
    assert_true(congestion_on_event(&c, 1001 * MS, 1100 * MS));
    assert_int_equal(c.of.cubic.now.max_bytes, 840000 * 17 / 20);
    assert_int_equal(c.window_bytes, 588000);
    /* Above the old plateau there is none of it. */
    c.window_bytes = 900000;
    assert_true(congestion_on_event(&c, 1101 * MS, 1200 * MS));
    assert_int_equal(c.of.cubic.now.max_bytes, 900000);
}

static void test_idle_and_app_limited_time_do_not_move_the_curve(void **state)
{
    struct congestion busy, idle, limited;
    uint64_t now_us = 7000 * MS, gap_us = 60000 * MS;

    (void)state;
    reduce_from(&busy, 1200000, 1200, 6000 * MS);
    reduce_from(&idle, 1200000, 1200, 6000 * MS);
    reduce_from(&limited, 1200000, 1200, 6000 * MS);
    for (uint32_t i = 0; i < 4000; i++) {
        uint64_t shift_us = i >= 1000 ? gap_us : 0;

        now_us += 1000;
        if (i == 1000) {
            /* One sits idle and then sends again; the other trickles. */
            congestion_on_sent(&idle, now_us - 1000 + gap_us, 1200, 0);
            congestion_set_app_limited(&limited, true);
            for (uint64_t t = 0; t <= gap_us; t += 100 * MS) {
                ack(&limited, now_us - 1000 + t, 100 * MS, 1200);
            }
            congestion_set_app_limited(&limited, false);
        }
        ack(&busy, now_us, 100 * MS, 12000);
        ack(&idle, now_us + shift_us, 100 * MS, 12000);
        ack(&limited, now_us + shift_us, 100 * MS, 12000);
        assert_int_equal(idle.window_bytes, busy.window_bytes);
        assert_int_equal(limited.window_bytes, busy.window_bytes);
    }
    assert_true(busy.window_bytes > 1000000);
}

static void test_sending_while_busy_does_not_move_the_curve(void **state)
{
    struct congestion c;
    uint64_t epoch_us;

    (void)state;
    reduce_from(&c, 1200000, 1200, 1000 * MS);
    ack(&c, 2000 * MS, 100 * MS, 1200);
    epoch_us = c.of.cubic.now.epoch_us;
    congestion_on_sent(&c, 2050 * MS, 1200, 1200);
    assert_int_equal(c.of.cubic.now.epoch_us, epoch_us);
    congestion_on_sent(&c, 2050 * MS, 1200, 0);
    assert_int_equal(c.of.cubic.now.epoch_us, epoch_us + 50 * MS);
}

static void test_growth_per_ack_is_at_most_half_of_what_was_acked(void **state)
{
    struct congestion c;
    uint64_t window, now_us = 100000 * MS;

    (void)state;
    reduce_from(&c, 12000, 1200, 1000 * MS);
    ack(&c, 2000 * MS, 100 * MS, 1200);
    /* The curve is far above: the target is clamped to 1.5 windows. */
    for (int i = 0; i < 100; i++) {
        window = c.window_bytes;
        ack(&c, now_us, 100 * MS, 1200);
        assert_true(c.window_bytes - window <= 600 + 1);
        now_us += 1000;
    }
    assert_true(c.window_bytes > 8400 + 50 * 600);
}

static void test_small_acks_grow_a_large_window_as_much_as_one_large_ack(void **state)
{
    struct congestion one, many;
    uint64_t before;

    (void)state;
    reduce_from(&one, 12000000, 1200, 1000 * MS);
    ack(&one, 2000 * MS, 100 * MS, 1200);
    many = one;
    before = one.window_bytes;
    ack(&one, 2100 * MS, 100 * MS, 120000);
    for (int i = 0; i < 12000; i++) {
        ack(&many, 2100 * MS, 100 * MS, 10);
    }
    assert_true(one.window_bytes > before + 1000);
    check_within_percent((double)(many.window_bytes - before), (double)(one.window_bytes - before));
}

static void test_after_persistent_congestion_the_plateau_is_where_avoidance_begins(void **state)
{
    struct congestion c;

    (void)state;
    reduce_from(&c, 120000, 1200, 1000 * MS);
    congestion_on_persistent(&c);
    ack(&c, 2000 * MS, 100 * MS, 84000 - 2400);
    assert_int_equal(c.window_bytes, 84000);
    assert_false(congestion_is_slow_start(&c));
    ack(&c, 2100 * MS, 100 * MS, 1200);
    assert_int_equal(c.of.cubic.now.k_ms, 0);
    assert_int_equal(c.of.cubic.now.max_bytes, 84000);
}

static void test_a_spurious_event_brings_the_curve_back(void **state)
{
    struct congestion c;
    struct cubic_stage before;

    (void)state;
    reduce_from(&c, 1200000, 1200, 1000 * MS);
    ack(&c, 2000 * MS, 100 * MS, 12000);
    before = c.of.cubic.now;
    assert_true(congestion_on_event(&c, 2000 * MS, 2100 * MS));
    assert_int_not_equal(c.of.cubic.now.max_bytes, before.max_bytes);
    congestion_on_spurious(&c);
    assert_int_equal(c.of.cubic.now.max_bytes, before.max_bytes);
    assert_int_equal(c.of.cubic.now.k_ms, before.k_ms);
    assert_int_equal(c.of.cubic.now.epoch_us, before.epoch_us);
    assert_true(c.of.cubic.now.valid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_window_follows_the_floating_point_model),
        cmocka_unit_test(test_k_is_the_cube_root),
        cmocka_unit_test(test_the_plateau_is_reached_at_k),
        cmocka_unit_test(test_fast_convergence_lowers_the_plateau),
        cmocka_unit_test(test_idle_and_app_limited_time_do_not_move_the_curve),
        cmocka_unit_test(test_sending_while_busy_does_not_move_the_curve),
        cmocka_unit_test(test_growth_per_ack_is_at_most_half_of_what_was_acked),
        cmocka_unit_test(test_small_acks_grow_a_large_window_as_much_as_one_large_ack),
        cmocka_unit_test(test_after_persistent_congestion_the_plateau_is_where_avoidance_begins),
        cmocka_unit_test(test_a_spurious_event_brings_the_curve_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
