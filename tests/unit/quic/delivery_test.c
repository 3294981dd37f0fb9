/* SPDX-License-Identifier: MIT */
/* Goal: a delivery-rate sample is what the path did, whatever the acks or the application do.
 * Method: flights by hand in virtual microseconds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/delivery.h"

#define MS 1000u

struct flight {
    struct delivery d;
    struct delivery_packet packets[64];
    uint64_t sent_us[64], in_flight, count;
    bool limited[64];
};

static void send(struct flight *f, uint64_t now_us)
{
    delivery_on_sent(&f->d, &f->packets[f->count], now_us, 1000, f->in_flight);
    f->limited[f->count] = f->d.app_limited_bytes != 0;
    f->sent_us[f->count++] = now_us;
    f->in_flight += 1000;
}

static void ack(struct flight *f, uint64_t now_us, uint64_t first, uint64_t last, uint64_t min_us)
{
    delivery_begin(&f->d);
    for (uint64_t n = first; n <= last; n++) {
        delivery_on_acked(&f->d, &f->packets[n], n, f->sent_us[n], 1000, f->limited[n], now_us);
        f->in_flight -= 1000;
    }
    delivery_end(&f->d, min_us);
}

/* 20 packets, one per ms: the first 10 are acked one per ms, 100 ms later. */
static void begin(struct flight *f)
{
    *f = (struct flight){.count = 0};
    delivery_init(&f->d);
    for (uint64_t i = 0; i < 20; i++) {
        send(f, 1000 * MS + i * MS);
    }
    for (uint64_t i = 0; i < 10; i++) {
        ack(f, 1100 * MS + i * MS, i, i, 0);
    }
}

static void test_steady_acks_show_the_rate(void **state)
{
    struct flight f;

    (void)state;
    begin(&f);
    /* Sent at 1110, when 10 were delivered; when it is acked at 1210, so are 10 more. */
    send(&f, 1110 * MS);
    for (uint64_t i = 10; i < 20; i++) {
        ack(&f, 1110 * MS + i * MS, i, i, 0);
    }
    ack(&f, 1210 * MS, 20, 20, 100 * MS);
    assert_true(f.d.sample.any);
    assert_int_equal(f.d.sample.delivered_bytes, 11000);
    assert_int_equal(f.d.sample.prior_delivered_bytes, 10000);
    assert_int_equal(f.d.sample.bytes_per_s, 11000u * 1000 / 101);
}

static void test_acks_that_were_held_up_do_not_show_more_than_was_sent(void **state)
{
    struct flight f;

    (void)state;
    begin(&f);
    /* All of the rest at once: 10 packets that were sent over 10 ms, acked in no time. */
    ack(&f, 1119 * MS, 10, 19, 100 * MS);
    assert_int_equal(f.d.sample.number, 19);
    assert_int_equal(f.d.sample.delivered_bytes, 20000);
    assert_int_equal(f.d.sample.bytes_per_s, 20000u * 1000 / 119);
}

static void test_a_burst_does_not_show_more_than_arrived(void **state)
{
    struct flight f = {.count = 0};

    (void)state;
    delivery_init(&f.d);
    for (uint64_t i = 0; i < 10; i++) {
        send(&f, 1000 * MS);
    }
    ack(&f, 1100 * MS, 0, 4, 100 * MS);
    assert_int_equal(f.d.sample.bytes_per_s, 50000);
    ack(&f, 1150 * MS, 5, 9, 100 * MS);
    assert_int_equal(f.d.sample.bytes_per_s, 10000u * 1000 / 150);
}

static void test_an_interval_below_the_round_trip_is_no_sample(void **state)
{
    struct flight f = {.count = 0};

    (void)state;
    delivery_init(&f.d);
    send(&f, 1000 * MS);
    ack(&f, 1090 * MS, 0, 0, 100 * MS);
    assert_true(f.d.sample.any);
    assert_int_equal(f.d.sample.bytes_per_s, 0);
}

static void test_a_packet_that_comes_late_is_counted_but_gives_no_sample(void **state)
{
    struct flight f;

    (void)state;
    begin(&f);
    ack(&f, 1115 * MS, 15, 15, 0);
    assert_true(f.d.sample.any);
    ack(&f, 1116 * MS, 12, 12, 0);
    assert_false(f.d.sample.any);
    assert_int_equal(f.d.sample.bytes_per_s, 0);
    assert_int_equal(f.d.delivered_bytes, 12000);
}

static void test_the_applications_rate_is_marked_until_its_flight_is_delivered(void **state)
{
    struct flight f;

    (void)state;
    begin(&f);
    delivery_on_app_limited(&f.d, f.in_flight);
    assert_int_equal(f.d.app_limited_bytes, 20000);
    send(&f, 1115 * MS);
    ack(&f, 1119 * MS, 10, 19, 0);
    assert_false(f.d.sample.app_limited); /* they had left before */
    assert_int_equal(f.d.app_limited_bytes, 20000);
    ack(&f, 1215 * MS, 20, 20, 0);
    assert_true(f.d.sample.app_limited);
    assert_int_equal(f.d.app_limited_bytes, 0);
    send(&f, 1216 * MS);
    ack(&f, 1316 * MS, 21, 21, 0);
    assert_false(f.d.sample.app_limited);
}

static void test_losses_since_the_packet_was_sent_are_in_its_sample(void **state)
{
    struct flight f;

    (void)state;
    begin(&f);
    delivery_on_lost(&f.d, 1000);
    send(&f, 1112 * MS);
    delivery_begin(&f.d);
    delivery_on_acked(&f.d, &f.packets[19], 19, f.sent_us[19], 1000, false, 1119 * MS);
    delivery_on_lost(&f.d, 2000);
    delivery_end(&f.d, 0);
    assert_int_equal(f.d.sample.lost_bytes, 3000);
    assert_int_equal(f.d.sample.in_flight_bytes, 20000);
    ack(&f, 1212 * MS, 20, 20, 0);
    assert_int_equal(f.d.sample.lost_bytes, 2000);
}

static void test_idle_time_does_not_count(void **state)
{
    struct flight f = {.count = 0};

    (void)state;
    delivery_init(&f.d);
    send(&f, 1000 * MS);
    ack(&f, 1100 * MS, 0, 0, 0);
    send(&f, 60000 * MS);
    ack(&f, 60100 * MS, 1, 1, 0);
    assert_int_equal(f.d.sample.bytes_per_s, 10000);
}

static void test_totals_may_pass_32_bits(void **state)
{
    struct flight f = {.count = 0};

    (void)state;
    delivery_init(&f.d);
    f.d.delivered_bytes = UINT64_C(0x1fffffff0);
    f.d.lost_bytes = UINT64_C(0x2fffffff0);
    send(&f, 1000 * MS);
    send(&f, 1000 * MS);
    delivery_on_lost(&f.d, 5000);
    ack(&f, 1100 * MS, 0, 1, 0);
    assert_int_equal(f.d.sample.delivered_bytes, 2000);
    assert_int_equal(f.d.sample.lost_bytes, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steady_acks_show_the_rate),
        cmocka_unit_test(test_acks_that_were_held_up_do_not_show_more_than_was_sent),
        cmocka_unit_test(test_a_burst_does_not_show_more_than_arrived),
        cmocka_unit_test(test_an_interval_below_the_round_trip_is_no_sample),
        cmocka_unit_test(test_a_packet_that_comes_late_is_counted_but_gives_no_sample),
        cmocka_unit_test(test_the_applications_rate_is_marked_until_its_flight_is_delivered),
        cmocka_unit_test(test_losses_since_the_packet_was_sent_are_in_its_sample),
        cmocka_unit_test(test_idle_time_does_not_count),
        cmocka_unit_test(test_totals_may_pass_32_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
