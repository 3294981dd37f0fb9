/* SPDX-License-Identifier: MIT */
/* Goal: the calls that read from a stream say what is true, once; and no way in which a lane ends
 * leaks a byte of connection credit. Method: one fake connection whose peer is played by hand; a
 * table of the ends of a lane. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "fake.h"

enum { NOW = 1000000 };

/* What happens to a receive lane, in one line: d data up to that offset, e the one byte before it
 * (behind a gap), f data up to it and FIN, F FIN alone, r read so many, s stop, R reset with that
 * final size. */
struct act {
    char what;
    uint16_t n;
};
static const struct {
    const char *name;
    struct act acts[8];
} ends[] = {
    {"read", {{'d', 500}, {'r', 200}, {'f', 600}, {'r', 400}}},
    {"read, FIN alone", {{'d', 500}, {'r', 500}, {'f', 500}}},
    {"FIN alone first", {{'f', 0}}},
    {"stop, FIN", {{'d', 500}, {'r', 100}, {'s', 0}, {'d', 700}, {'f', 800}}},
    {"stop behind a gap, FIN", {{'d', 100}, {'e', 300}, {'s', 0}, {'e', 400}, {'f', 800}}},
    {"stop when the size is known", {{'d', 500}, {'f', 900}, {'r', 100}, {'s', 0}}},
    {"stop when the size is known behind a gap", {{'e', 500}, {'F', 900}, {'s', 0}, {'d', 400}}},
    {"reset", {{'d', 500}, {'R', 500}}},
    {"reset beyond", {{'d', 500}, {'r', 100}, {'R', 800}}},
    {"reset before anything", {{'R', 800}}},
    {"reset twice", {{'d', 500}, {'R', 800}, {'R', 800}}},
    {"reset behind a gap", {{'d', 100}, {'e', 600}, {'R', 800}}},
    {"reset after the size", {{'d', 100}, {'e', 600}, {'F', 700}, {'R', 700}}},
    {"reset, late data", {{'d', 100}, {'R', 800}, {'d', 300}, {'e', 700}, {'f', 800}}},
    {"reset after stop", {{'d', 500}, {'s', 0}, {'R', 800}}},
    {"reset after stop and data", {{'d', 500}, {'s', 0}, {'e', 700}, {'R', 800}}},
    {"stop after reset", {{'d', 500}, {'R', 800}, {'s', 0}}},
    {"stop twice", {{'d', 500}, {'s', 0}, {'s', 0}, {'f', 600}}},
    {"reset after everything, read", {{'d', 500}, {'f', 600}, {'R', 600}, {'r', 600}}},
    {"reset after the end", {{'d', 500}, {'f', 600}, {'r', 600}, {'R', 600}}},
    {"stop after everything", {{'d', 500}, {'f', 600}, {'s', 0}, {'R', 600}}},
    {"data after the end", {{'d', 500}, {'f', 600}, {'r', 600}, {'d', 600}, {'f', 600}}},
};

static void act(struct stream *s, const struct act *a)
{
    uint8_t out[2000];
    uint64_t from = s->in.contiguous < a->n ? s->in.contiguous : 0;

    switch (a->what) {
    case 'd': assert_int_equal(fake_data(s, from, a->n - from, false), RECEIVE_OK); break;
    case 'e': assert_int_equal(fake_data(s, a->n - 1u, 1, false), RECEIVE_OK); break;
    case 'f': assert_int_equal(fake_data(s, from, a->n - from, true), RECEIVE_OK); break;
    case 'F': assert_int_equal(fake_data(s, a->n, 0, true), RECEIVE_OK); break;
    case 'r': assert_int_equal(stream_read(s, out, a->n, NOW), a->n); break;
    case 's': assert_int_equal(stream_stop(s, 1, NOW), 0); break;
    default: assert_int_equal(streams_on_reset(s, 2, a->n), RECEIVE_OK);
    }
}

static void test_no_end_of_a_lane_leaks_connection_credit(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        struct fake f;
        struct stream *s;

        open_with(&f, 0, 100000, 100000);
        s = fake_remote(&f, 3);
        for (const struct act *a = ends[i].acts; a->what != 0; a++) {
            assert_int_not_equal(s->pending & STREAM_PENDING_OPENED, 0);
            act(s, a);
            assert_true(f.c.streams->receive_consumed <= f.c.streams->receive_used);
        }
        if (f.c.streams->receive_consumed != f.c.streams->receive_used)
            fail_msg("%s: credit leaks", ends[i].name);
        if (s->in.state != RECEIVE_OVER || (s->pending & STREAM_PENDING_OVER) == 0)
            fail_msg("%s: the lane is not over", ends[i].name);
        assert_int_equal(f.c.streams->receive_used, s->in.highest);
        assert_int_equal(f.c.streams->budget.used, sizeof(struct conn_streams) + STREAM_COST_BYTES);
        fake_close(&f);
    }
}

static void test_a_stopped_lane_is_not_over_before_its_size_is_known(void **state)
{
    struct fake f;
    struct stream *s;

    (void)state;
    open_with(&f, 0, 100000, 100000);
    s = fake_remote(&f, 3);
    assert_int_equal(fake_data(s, 0, 500, false), RECEIVE_OK);
    assert_int_equal(stream_stop(s, 1, NOW), 0);
    assert_int_equal(fake_facts(s) & STREAM_PENDING_OVER, 0);
    assert_true(list_is_linked(&s->ready_link)); /* STOP_SENDING waits */
    assert_int_equal(stream_read(s, NULL, 0, NOW), WEIR_E_STOPPED);
    fake_close(&f);
}

static void test_readable_is_told_once_until_acted_upon(void **state)
{
    struct fake f;
    struct stream *s;
    uint8_t out[100];

    (void)state;
    open_with(&f, 0, 100000, 100000);
    s = fake_remote(&f, 1);
    assert_int_equal(fake_data(s, 100, 100, false), RECEIVE_OK);
    assert_int_equal(fake_facts(s), STREAM_PENDING_OPENED); /* behind a gap: nothing to read */
    assert_int_equal(stream_read(s, out, 100, NOW), 0);
    assert_int_equal(fake_data(s, 0, 100, false), RECEIVE_OK);
    assert_int_equal(fake_facts(s), STREAM_PENDING_READABLE);
    assert_int_equal(fake_data(s, 200, 100, false), RECEIVE_OK);
    assert_int_equal(fake_facts(s), 0);
    assert_int_equal(stream_read(s, out, 100, NOW), 100);
    assert_int_equal(fake_facts(s), STREAM_PENDING_READABLE); /* 200 are left */
    assert_int_equal(stream_consume(s, 201, NOW), WEIR_E_ARGUMENT);
    assert_int_equal(stream_consume(s, 200, NOW), 0);
    assert_int_equal(fake_facts(s), 0);
    assert_int_equal(fake_data(s, 300, 0, true), RECEIVE_OK); /* the end is a fact of its own */
    assert_int_equal(fake_facts(s), STREAM_PENDING_READABLE);
    assert_int_equal(stream_read(s, out, 100, NOW), WEIR_E_END);
    fake_close(&f);
}

static void test_peek_shows_what_read_will_give(void **state)
{
    static const uint8_t text[] = "into a wrapped ring";
    struct fake f;
    struct stream *s;
    const uint8_t *view;
    uint8_t out[600];

    (void)state;
    open_with(&f, 0, 100000, 100000);
    s = fake_remote(&f, 1);
    assert_int_equal(stream_peek(s, &view), 0);
    assert_null(view);
    assert_int_equal(fake_data(s, 0, 500, false), RECEIVE_OK);
    assert_int_equal(stream_read(s, out, 490, NOW), 490);
    assert_int_equal(streams_on_data(s, 500, text, sizeof text, true), RECEIVE_OK);
    assert_int_equal(stream_peek(s, &view), 22); /* as far as it is in one piece */
    assert_int_equal(stream_consume(s, 22, NOW), 0);
    assert_int_equal(stream_peek(s, &view), sizeof text - 12);
    assert_memory_equal(view, text + 12, sizeof text - 12);
    assert_int_equal(stream_consume(s, sizeof text - 12, NOW), 0);
    assert_int_equal(stream_peek(s, &view), WEIR_E_END);
    fake_close(&f);
}

static void test_a_reset_lane_says_so_and_its_bytes_are_gone(void **state)
{
    struct fake f;
    struct stream *s;
    uint8_t out[10] = {0};

    (void)state;
    open_with(&f, 0, 100000, 100000);
    s = fake_remote(&f, 1);
    assert_int_equal(fake_data(s, 0, 500, false), RECEIVE_OK);
    assert_int_equal(streams_on_reset(s, 99, 500), RECEIVE_OK);
    assert_int_equal(fake_facts(s), STREAM_PENDING_OPENED | STREAM_PENDING_RESET);
    assert_int_equal(s->in.reset_code, 99);
    assert_int_equal(stream_read(s, out, 10, NOW), WEIR_E_RESET);
    assert_int_equal(stream_write(s, out, 10, false, true, NOW), 10); /* the other lane lives */
    fake_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_end_of_a_lane_leaks_connection_credit),
        cmocka_unit_test(test_a_stopped_lane_is_not_over_before_its_size_is_known),
        cmocka_unit_test(test_readable_is_told_once_until_acted_upon),
        cmocka_unit_test(test_peek_shows_what_read_will_give),
        cmocka_unit_test(test_a_reset_lane_says_so_and_its_bytes_are_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
