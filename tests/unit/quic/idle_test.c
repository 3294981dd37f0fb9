/* SPDX-License-Identifier: MIT */
/* Goal: a connection that was idle is as fast as one that was busy, and polite: the window is kept
 * (RFC 9002, 7.8), its first burst is paced, CUBIC's clock stands still. Method: the link model,
 * bursts of 1 MiB every 10 s at a round trip of 100 ms. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "link_model.h"

#define BURST (1u << 20)

static const struct congestion_ops *const controllers[] = {&congestion_newreno, &congestion_cubic,
                                                           &congestion_bbr};
static struct link l;

static struct link_flow *open_link(const struct congestion_ops *ops, uint64_t mbit, uint64_t bytes)
{
    link_open(&l, 1);
    l.rate = mbit * 125000;
    l.delay_us = l.back_us = 50000;
    l.queue_bytes = l.rate / 10;
    l.reorder_us = 1;
    return link_add(&l, ops, 0, bytes);
}

static uint64_t burst_us(void)
{
    uint64_t from_us = l.now_us;

    link_write(&l, 0, BURST);
    assert_true(link_run(&l, 30 * LINK_SECOND, true));
    return l.now_us - from_us;
}

static void test_a_burst_after_idling_is_as_fast_as_one_on_a_busy_connection(void **state)
{
    static const uint64_t mbit[] = {20, 100, 300};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < 3; k++) {
            struct link_flow *f = open_link(controllers[i], mbit[k], 20u << 20);
            assert_true(link_run(&l, 60 * LINK_SECOND, true));
            uint64_t busy_us = burst_us();
            uint64_t dropped = l.dropped;

            for (int n = 0; n < 4; n++) {
                uint64_t window_bytes = f->congestion.window_bytes;

                (void)link_run(&l, 10 * LINK_SECOND, false);
                assert_int_equal(f->congestion.window_bytes, window_bytes);
                f->turn_bytes_max = 0;
                uint64_t bucket_bytes = f->pacer.burst_bytes;
                uint64_t idle_us = burst_us();
                assert_true(idle_us * 10 <= busy_us * 13);
                /* The bucket, and a datagram's rounding; it may grow in between. */
                bucket_bytes =
                    f->pacer.burst_bytes > bucket_bytes ? f->pacer.burst_bytes : bucket_bytes;
                assert_true(f->turn_bytes_max <= bucket_bytes * 5 / 4 + LINK_DATAGRAM);
            }
            assert_int_equal(l.dropped, dropped);
            link_close(&l);
        }
    }
}

static void test_bursts_alone_open_the_window(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        (void)open_link(controllers[i], 100, 1);
        assert_true(link_run(&l, LINK_SECOND, true));
        uint64_t first_us = burst_us(), last_us = 0;

        for (int n = 0; n < 3; n++) {
            (void)link_run(&l, 10 * LINK_SECOND, false);
            last_us = burst_us();
        }
        assert_true(last_us * 3 < first_us);
        assert_true(last_us < 250000);
        link_close(&l);
    }
}

static void test_the_curve_of_cubic_stands_still_while_idle(void **state)
{
    (void)state;
    struct link_flow *f = open_link(&congestion_cubic, 50, 40u << 20);
    assert_true(link_run(&l, 60 * LINK_SECOND, true));
    assert_true(f->congestion.events > 0);
    uint64_t window_bytes = f->congestion.window_bytes;
    /* An hour on the curve would be the largest window there is. */
    (void)link_run(&l, 3600 * LINK_SECOND, false);
    (void)burst_us();
    assert_true(f->congestion.window_bytes < window_bytes + window_bytes / 4);
    link_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_burst_after_idling_is_as_fast_as_one_on_a_busy_connection),
        cmocka_unit_test(test_bursts_alone_open_the_window),
        cmocka_unit_test(test_the_curve_of_cubic_stands_still_while_idle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
