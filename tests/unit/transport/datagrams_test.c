/* SPDX-License-Identifier: MIT */
/* Goal: unreliable datagrams belong to their stream, wait in bounded queues and are told once.
 * Method: two fakes (fake.h) without a wire; what one queues is handed to the other by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "fake.h"
#include <stdio.h>

static uint32_t longest = 100;

static uint32_t fake_datagram_max(const struct transport_conn *c)
{
    (void)c;
    return longest;
}

static void open_pair(struct fake *a, struct fake *b)
{
    longest = 100;
    fake_init(a, CONN_DIALLER, 0);
    fake_init(b, CONN_LISTENER, 0);
    a->ops.datagram_max = b->ops.datagram_max = fake_datagram_max;
    assert_int_equal(fake_up(a, &b->limits), 0);
    assert_int_equal(fake_up(b, &a->limits), 0);
}

/* A stream whose opening has left: before, its datagrams wait. */
static struct stream *told_stream(struct fake *f, bool one_way)
{
    struct stream *s = open_stream(f, one_way);
    s->is_opened = true;
    return s;
}

static int send_to(struct stream *s, const char *text)
{
    struct limit_record limit;
    return stream_datagram_send(s, text, strlen(text), 1, &limit);
}

/* Carry what waits over. */
static unsigned carry(struct fake *from, struct fake *to)
{
    struct datagram_item *item;
    unsigned n = 0;
    while ((item = streams_next_datagram(&from->c, longest)) != NULL) {
        streams_on_datagram(&to->c, item->stream, item->bytes, item->len);
        streams_datagram_sent(&from->c, item);
        n++;
    }
    return n;
}

static void expect_text(struct stream *s, const char *text)
{
    char out[128];
    assert_int_equal(stream_datagram_read(s, out, sizeof out), strlen(text));
    assert_memory_equal(out, text, strlen(text));
}

static void test_datagrams_come_whole_and_in_order_to_their_stream(void **state)
{
    struct fake a, b;
    (void)state;
    open_pair(&a, &b);
    struct stream *one = told_stream(&a, false), *two = told_stream(&a, false);
    assert_int_equal(send_to(one, "first of one"), 0);
    assert_int_equal(send_to(two, "first of two"), 0);
    assert_int_equal(send_to(one, ""), 0);
    assert_int_equal(send_to(one, "third of one"), 0);
    assert_true((a.what & STREAM_WROTE) != 0);
    struct stream *one_b = fake_remote(&b, one->id), *two_b = fake_remote(&b, two->id);
    assert_int_equal(carry(&a, &b), 4);
    assert_int_equal(stream_datagrams_waiting(one_b), 3);
    assert_int_equal(stream_datagrams_waiting(two_b), 1);
    expect_text(one_b, "first of one");
    expect_text(one_b, "");
    expect_text(two_b, "first of two");
    expect_text(one_b, "third of one");
    assert_int_equal(stream_datagram_read(one_b, NULL, 0), WEIR_E_NOT_FOUND);
    fake_close(&a);
    fake_close(&b);
}

static void test_a_datagram_waits_for_its_streams_opening_and_holds_up_no_other(void **state)
{
    struct fake a, b;
    (void)state;
    open_pair(&a, &b);
    struct stream *untold = open_stream(&a, false), *told = told_stream(&a, false);
    assert_int_equal(send_to(untold, "too early"), 0);
    assert_int_equal(send_to(told, "in time"), 0);
    struct datagram_item *item = streams_next_datagram(&a.c, longest);
    assert_non_null(item);
    assert_int_equal(item->stream, told->id);
    streams_datagram_sent(&a.c, item);
    assert_null(streams_next_datagram(&a.c, longest));
    untold->is_opened = true;
    item = streams_next_datagram(&a.c, longest);
    assert_non_null(item);
    assert_int_equal(item->stream, untold->id);
    fake_close(&a);
    fake_close(&b);
}

static void test_both_sides_of_a_one_way_stream_may_send_until_its_writer_resets_it(void **state)
{
    struct fake a, b;
    (void)state;
    open_pair(&a, &b);
    struct stream *s = told_stream(&a, true), *r = fake_remote(&b, s->id);
    assert_int_equal(send_to(s, "there"), 0);
    assert_int_equal(send_to(r, "and back"), 0);
    assert_int_equal(carry(&a, &b) + carry(&b, &a), 2);
    expect_text(r, "there");
    expect_text(s, "and back");
    assert_int_equal(stream_reset(s, 1, 1), 0);
    assert_int_equal(send_to(s, "late"), WEIR_E_NOT_CONNECTED);
    fake_close(&a);
    fake_close(&b);
}

static void test_no_more_wait_to_leave_than_the_limit_says(void **state)
{
    struct fake a, b;
    struct limit_record limit;
    (void)state;
    open_pair(&a, &b);
    struct stream *s = told_stream(&a, false);
    for (unsigned i = 0; i < 64; i++) assert_int_equal(send_to(s, "x"), 0);
    assert_int_equal(stream_datagram_send(s, "x", 1, 1, &limit), WEIR_E_LIMIT);
    assert_int_equal(limit.name, LIMIT_DATAGRAMS_OUT);
    assert_int_equal(limit.max, 64);
    assert_int_equal(a.metrics.value[METRIC_DATAGRAM_FRAMES_REFUSED], 1);
    assert_int_equal(carry(&a, &b), 64);
    assert_int_equal(b.metrics.value[METRIC_DATAGRAM_FRAMES_DROPPED], 64); /* it knows no stream */
    assert_int_equal(send_to(s, "x"), 0);
    fake_close(&a);
    fake_close(&b);
}

static void test_the_oldest_goes_when_nobody_reads(void **state)
{
    struct fake a, b;
    char text[8];
    (void)state;
    open_pair(&a, &b);
    struct stream *s = told_stream(&a, false), *r = fake_remote(&b, s->id);
    for (int i = 0; i < 200; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        assert_int_equal(send_to(s, text), 0);
        assert_int_equal(carry(&a, &b), 1);
    }
    assert_int_equal(stream_datagrams_waiting(r), 64);
    assert_int_equal(b.metrics.value[METRIC_DATAGRAM_FRAMES_DROPPED], 136);
    for (int i = 136; i < 200; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        expect_text(r, text);
    }
    assert_int_equal(stream_datagrams_waiting(r), 0);
    fake_close(&a);
    fake_close(&b);
}

static void test_the_application_is_told_once_until_it_reads(void **state)
{
    struct fake a, b;
    (void)state;
    open_pair(&a, &b);
    struct stream *s = told_stream(&a, false), *r = fake_remote(&b, s->id);
    (void)fake_facts(r);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(send_to(s, "x"), 0);
        (void)carry(&a, &b);
        assert_int_equal((fake_facts(r) & STREAM_PENDING_DATAGRAM) != 0, i == 0);
    }
    expect_text(r, "x");
    assert_true((fake_facts(r) & STREAM_PENDING_DATAGRAM) != 0); /* more wait */
    expect_text(r, "x");
    expect_text(r, "x");
    assert_false((fake_facts(r) & STREAM_PENDING_DATAGRAM) != 0);
    assert_int_equal(send_to(s, "x"), 0);
    (void)carry(&a, &b);
    assert_true((fake_facts(r) & STREAM_PENDING_DATAGRAM) != 0);
    fake_close(&a);
    fake_close(&b);
}

static void test_one_that_is_longer_than_the_buffer_stays(void **state)
{
    struct fake a, b;
    char out[4];
    (void)state;
    open_pair(&a, &b);
    struct stream *s = told_stream(&a, false), *r = fake_remote(&b, s->id);
    assert_int_equal(send_to(s, "12345"), 0);
    (void)carry(&a, &b);
    assert_int_equal(stream_datagram_read(r, out, sizeof out), WEIR_E_SPACE);
    assert_int_equal(stream_datagram_read(r, out, 0), WEIR_E_SPACE);
    expect_text(r, "12345");
    fake_close(&a);
    fake_close(&b);
}

static void test_what_became_too_long_is_dropped_and_does_not_stop_the_others(void **state)
{
    struct fake a, b;
    char text[101];
    (void)state;
    memset(text, 'x', 100);
    text[100] = 0;
    open_pair(&a, &b);
    struct stream *s = told_stream(&a, false);
    (void)fake_remote(&b, s->id);
    assert_int_equal(send_to(s, text), 0);
    assert_int_equal(send_to(s, "short"), 0);
    longest = 101;
    assert_int_equal(stream_datagram_send(s, text, 101, 1, &(struct limit_record){0}), 0);
    assert_int_equal(stream_datagram_send(s, text, 102, 1, &(struct limit_record){0}),
                     WEIR_E_ARGUMENT);
    assert_null(streams_next_datagram(&a.c, 99)); /* it waits for an empty packet */
    longest = 50;
    assert_int_equal(streams_next_datagram(&a.c, 50)->len, 5);
    assert_int_equal(carry(&a, &b), 1);
    assert_int_equal(a.metrics.value[METRIC_DATAGRAM_FRAMES_DROPPED], 2);
    longest = 0;
    assert_int_equal(send_to(s, ""), WEIR_E_UNSUPPORTED);
    fake_close(&a);
    fake_close(&b);
}

static void test_they_go_with_their_stream_and_with_their_connection(void **state)
{
    struct fake a, b;
    (void)state;
    open_pair(&a, &b);
    struct stream *gone = told_stream(&a, false), *stays = told_stream(&a, false);
    struct stream *gone_b = fake_remote(&b, gone->id), *stays_b = fake_remote(&b, stays->id);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(send_to(gone, "g"), 0);
        assert_int_equal(send_to(stays, "s"), 0);
    }
    (void)carry(&a, &b);
    assert_int_equal(send_to(gone, "g"), 0);
    assert_int_equal(send_to(stays, "s"), 0);
    uint64_t id = gone->id;
    streams_remove(gone);
    streams_remove(gone_b);
    assert_int_equal(b.c.streams->datagrams_in.count, 5);
    assert_int_equal(a.c.streams->datagrams_out.count, 1);
    expect_text(stays_b, "s");
    streams_on_datagram(&b.c, id, (const uint8_t *)"late", 4);
    assert_int_equal(b.c.streams->datagrams_in.count, 4);
    streams_end(&a.c);
    assert_int_equal(a.c.streams->datagrams_out.count, 0);
    fake_close(&a);
    fake_close(&b);
}

static void test_without_memory_or_budget_they_are_refused_or_dropped(void **state)
{
    struct fake a, b;
    (void)state;
    open_pair(&a, &b);
    struct stream *s = told_stream(&a, false), *r = fake_remote(&b, s->id);
    a.mem.fail_at = 1;
    assert_int_equal(send_to(s, "x"), WEIR_E_MEMORY);
    uint64_t max = a.budget.max;
    a.budget.max = a.budget.used;
    assert_int_equal(send_to(s, "x"), WEIR_E_BUDGET);
    a.budget.max = max;
    assert_int_equal(a.c.streams->datagrams_out.count, 0);
    b.mem.fail_at = 1;
    streams_on_datagram(&b.c, s->id, (const uint8_t *)"x", 1);
    assert_int_equal(b.metrics.value[METRIC_DATAGRAM_FRAMES_DROPPED], 1);
    assert_int_equal(stream_datagrams_waiting(r), 0);
    assert_false((fake_facts(r) & STREAM_PENDING_DATAGRAM) != 0);
    fake_close(&a);
    fake_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_datagrams_come_whole_and_in_order_to_their_stream),
        cmocka_unit_test(test_a_datagram_waits_for_its_streams_opening_and_holds_up_no_other),
        cmocka_unit_test(test_both_sides_of_a_one_way_stream_may_send_until_its_writer_resets_it),
        cmocka_unit_test(test_no_more_wait_to_leave_than_the_limit_says),
        cmocka_unit_test(test_the_oldest_goes_when_nobody_reads),
        cmocka_unit_test(test_the_application_is_told_once_until_it_reads),
        cmocka_unit_test(test_one_that_is_longer_than_the_buffer_stays),
        cmocka_unit_test(test_what_became_too_long_is_dropped_and_does_not_stop_the_others),
        cmocka_unit_test(test_they_go_with_their_stream_and_with_their_connection),
        cmocka_unit_test(test_without_memory_or_budget_they_are_refused_or_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
