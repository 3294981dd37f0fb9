/* SPDX-License-Identifier: MIT */
/* Goal: ids, limits and lives of the streams of a connection, by RFC 9000 sections 2, 3 and 4.6,
 * and that no failed allocation leaves anything behind. Method: frames named by hand to one fake
 * connection; tables of ids and directions; one scenario in which each allocation fails in turn. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "fake.h"

enum { NOW = 1000000 };
static const uint8_t bytes[4096];

static void open_role(struct fake *f, enum conn_role role)
{
    fake_init(f, role, 0);
    f->limits.value[LIMIT_STREAMS_BIDI] = 8;
    f->limits.value[LIMIT_STREAMS_UNI] = 4;
    assert_int_equal(fake_up(f, &f->limits), 0);
}

static struct stream *open_local(struct fake *f, bool one_way)
{
    int error;

    return streams_open_local(&f->c, one_way, 3, &error);
}

static int on_frame(struct fake *f, uint64_t id, bool for_receive)
{
    struct stream *s = (struct stream *)(void *)f;
    int result = streams_on_frame(&f->c, id, for_receive, NOW, &s);

    assert_int_equal(s != NULL, result == STREAMS_FOUND);
    assert_true(s == NULL || s->id == id);
    return result;
}

static void test_grants_are_ours_to_give_and_the_peers_to_use(void **state)
{
    struct fake f;
    struct streams_grants own = {.connection_bytes = 1000, .bidi_count = 3, .uni_count = 2};
    struct streams_grants peer = {.connection_bytes = 2000,
                                  .bidi_local_bytes = 11,
                                  .bidi_remote_bytes = 22,
                                  .uni_bytes = 33,
                                  .bidi_count = 1,
                                  .uni_count = 1};

    (void)state;
    fake_init(&f, CONN_DIALLER, 0);
    assert_int_equal(streams_open(&f.c, &own, &peer), 0);
    f.c.state = CONN_UP;
    assert_int_equal(f.c.streams->send_credit, 2000);
    assert_int_equal(f.c.streams->receive_limit, 1000);
    assert_int_equal(open_local(&f, false)->out.credit, 22); /* to the peer it is a remote one */
    assert_int_equal(open_local(&f, true)->out.credit, 33);
    assert_int_equal(fake_remote(&f, 1)->out.credit, 11);
    assert_null(open_local(&f, false));
    assert_int_equal(on_frame(&f, 4 * 2 + 1, true), STREAMS_FOUND);
    assert_int_equal(on_frame(&f, 4 * 3 + 1, true), STREAMS_LIMIT_ERROR);
    assert_int_equal(on_frame(&f, 4 * 2 + 3, true), STREAMS_LIMIT_ERROR);
    fake_close(&f);
}

static void test_ids_carry_role_and_direction(void **state)
{
    static const struct {
        enum conn_role role;
        bool one_way;
        uint64_t first;
    } cases[] = {{CONN_DIALLER, false, 0},
                 {CONN_LISTENER, false, 1},
                 {CONN_DIALLER, true, 2},
                 {CONN_LISTENER, true, 3}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fake f;

        open_role(&f, cases[i].role);
        for (uint64_t n = 0; n < 3; n++) {
            struct stream *s = open_local(&f, cases[i].one_way);

            assert_int_equal(s->id, cases[i].first + 4 * n);
            assert_true(s->is_local && s->has_out);
            assert_int_equal(s->has_in, !cases[i].one_way);
            assert_ptr_equal(streams_get(&f.c, s->id), s);
        }
        assert_int_equal(f.metrics.value[METRIC_STREAMS_OPENED_LOCAL], 3);
        assert_int_equal(f.c.streams->count, 3);
        fake_close(&f);
    }
}

/* RFC 9000 19.4, 19.5, 19.8, 19.10, 19.13: frames on the wrong direction, or on a stream of ours
 * that does not exist. Ids of a dialler: it opened 0 and 2. */
static void test_frames_on_the_wrong_direction_are_state_errors(void **state)
{
    static const struct {
        uint64_t id;
        bool for_receive;
        int result;
    } cases[] = {
        {0, true, STREAMS_FOUND},
        {0, false, STREAMS_FOUND},
        {1, true, STREAMS_FOUND},
        {1, false, STREAMS_FOUND},
        {2, true, STREAMS_STATE_ERROR},
        {2, false, STREAMS_FOUND},
        {3, true, STREAMS_FOUND},
        {3, false, STREAMS_STATE_ERROR},
        {4, true, STREAMS_STATE_ERROR},
        {4, false, STREAMS_STATE_ERROR},
        {6, true, STREAMS_STATE_ERROR},
        {6, false, STREAMS_STATE_ERROR},
        {5, false, STREAMS_FOUND},
        {7, false, STREAMS_STATE_ERROR},
        {4 * 8 + 1, true, STREAMS_LIMIT_ERROR},
        {4 * 4 + 3, true, STREAMS_LIMIT_ERROR},
        {VARINT_MAX, true, STREAMS_LIMIT_ERROR},
        {VARINT_MAX - 2, true, STREAMS_LIMIT_ERROR},
    };
    struct fake f;

    (void)state;
    open_role(&f, CONN_DIALLER);
    assert_non_null(open_local(&f, false));
    assert_non_null(open_local(&f, true));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(on_frame(&f, cases[i].id, cases[i].for_receive), cases[i].result);
    fake_close(&f);
}

static void test_a_high_id_opens_all_lower_ones_of_its_type(void **state)
{
    struct fake f;
    struct stream *s;
    uint64_t expected = 1;

    (void)state;
    open_role(&f, CONN_DIALLER);
    assert_int_equal(on_frame(&f, 4 * 5 + 1, true), STREAMS_FOUND);
    assert_int_equal(f.c.streams->count, 6);
    assert_int_equal(f.metrics.value[METRIC_STREAMS_OPENED_REMOTE], 6);
    while ((s = streams_next_dirty(&f.c)) != NULL) {
        assert_int_equal(s->id, expected); /* told in their order */
        assert_int_equal(s->pending, STREAM_PENDING_OPENED);
        expected += 4;
    }
    assert_int_equal(expected, 4 * 6 + 1);
    assert_null(streams_get(&f.c, 3));
    assert_int_equal(on_frame(&f, 1, true), STREAMS_FOUND);
    assert_int_equal(f.c.streams->count, 6);
    assert_int_equal(f.c.pending & CONN_PENDING_STREAMS, CONN_PENDING_STREAMS);
    fake_close(&f);
}

static void finish(struct stream *s)
{
    assert_int_equal(streams_on_reset(s, 1, 0), RECEIVE_OK);
    if (s->has_out) {
        assert_int_equal(stream_reset(s, 1, NOW), 0);
        streams_on_reset_acked(s);
    }
    assert_int_not_equal(fake_facts(s) & STREAM_PENDING_OVER, 0);
    streams_remove(s);
}

static void test_frames_for_finished_streams_are_late_not_wrong(void **state)
{
    struct fake f;
    struct stream *s;

    (void)state;
    open_role(&f, CONN_DIALLER);
    finish(fake_remote(&f, 5));
    assert_int_equal(on_frame(&f, 5, true), STREAMS_GONE);
    assert_int_equal(on_frame(&f, 5, false), STREAMS_GONE);
    assert_int_equal(on_frame(&f, 1, true), STREAMS_FOUND); /* the lower one lives */
    s = open_local(&f, false);
    finish(s);
    assert_int_equal(on_frame(&f, 0, true), STREAMS_GONE);
    assert_int_equal(on_frame(&f, 4, true), STREAMS_STATE_ERROR);
    fake_close(&f);
}

static void test_the_stream_limit_slides_with_what_is_over_in_steps(void **state)
{
    struct fake f;

    (void)state;
    open_role(&f, CONN_DIALLER);
    for (uint64_t i = 0; i < 100; i++) {
        uint64_t told = f.c.streams->accept_max[0];

        assert_true(told >= i + 7 && told <= i + 8); /* never more than 8 open, never stuck */
        finish(fake_remote(&f, 4 * i + 1));
        assert_int_equal(f.c.streams->accept_pending[0], f.c.streams->accept_max[0] != told);
        f.c.streams->accept_pending[0] = false;
    }
    assert_int_equal(f.c.streams->accept_max[1], 4);
    assert_false(f.c.streams->accept_pending[1]);
    fake_close(&f);
}

static void test_a_limit_of_one_stream_slides_too(void **state)
{
    struct fake f;

    (void)state;
    fake_init(&f, CONN_LISTENER, 0);
    f.limits.value[LIMIT_STREAMS_UNI] = 1;
    assert_int_equal(fake_up(&f, &f.limits), 0);
    for (uint64_t i = 0; i < 5; i++) {
        assert_int_equal(on_frame(&f, 4 * (i + 1) + 2, true), STREAMS_LIMIT_ERROR);
        finish(fake_remote(&f, 4 * i + 2));
    }
    fake_close(&f);
}

/* Rapid reset, CVE-2023-44487. */
static void test_streams_that_the_peer_resets_give_their_places_back_at_a_rate(void **state)
{
    struct fake f;
    struct stream *s;
    uint64_t opened = 0;

    (void)state;
    fake_init(&f, CONN_DIALLER, 0);
    f.limits.value[LIMIT_STREAMS_UNI] = 4;
    f.limits.value[LIMIT_STREAM_CANCELS] = 100;
    assert_int_equal(fake_up(&f, &f.limits), 0);
    streams_pace_cancels(&f.c, NOW);
    assert_int_equal(streams_deadline(&f.c), UINT64_MAX);
    while (streams_on_frame(&f.c, 4 * opened + 3, true, NOW, &s) == STREAMS_FOUND) {
        opened++;
        assert_int_equal(streams_on_reset(s, 9, 0), RECEIVE_OK);
        streams_remove(s);
        assert_true(opened < 1000);
    }
    assert_in_range(opened, 100, 104); /* a second's worth, and what may be open */
    assert_in_range(f.c.streams->cancels_held[1], 1, 4);
    /* Time brings places back, no more than the rate. */
    uint64_t due = streams_deadline(&f.c), before = f.c.streams->accept_max[1];
    assert_in_range(due, NOW + 1, NOW + 1000000);
    streams_on_time(&f.c, due);
    assert_int_equal(f.c.streams->cancels_held[1], 0);
    assert_in_range(f.c.streams->accept_max[1], before + 1, before + 4);
    assert_true(f.c.streams->accept_pending[1]);
    assert_int_equal(streams_deadline(&f.c), UINT64_MAX);
    /* Streams that end in good order never wait. */
    f.c.streams->cancel_tokens = 0;
    for (uint64_t i = opened; i < opened + 20; i++) {
        s = fake_remote(&f, 4 * i + 3);
        assert_int_equal(fake_data(s, 0, 0, true), RECEIVE_OK);
        assert_int_not_equal(fake_facts(s) & STREAM_PENDING_OVER, 0);
        streams_remove(s);
    }
    assert_int_equal(f.c.streams->cancels_held[1], 0);
    fake_close(&f);
}

static void test_an_open_that_had_to_wait_is_told_when_there_is_room(void **state)
{
    struct fake f;
    int error;

    (void)state;
    open_role(&f, CONN_DIALLER);
    streams_on_count_credit(&f.c, true, 3); /* smaller: ignored (RFC 9000 4.6) */
    for (int i = 0; i < 4; i++) assert_non_null(open_local(&f, true));
    streams_on_count_credit(&f.c, true, 4);
    assert_int_equal(f.c.pending & CONN_PENDING_OPEN_ROOM, 0);
    assert_null(streams_open_local(&f.c, true, 3, &error));
    assert_int_equal(error, WEIR_E_LIMIT);
    assert_int_equal(f.metrics.value[METRIC_STALLS_STREAMS_LIMIT], 1);
    streams_on_count_credit(&f.c, false, 100); /* of the other type */
    assert_int_equal(f.c.pending & CONN_PENDING_OPEN_ROOM, 0);
    streams_on_count_credit(&f.c, true, 5);
    assert_int_equal(f.c.pending & CONN_PENDING_OPEN_ROOM, CONN_PENDING_OPEN_ROOM);
    assert_non_null(open_local(&f, true));
    f.c.pending = 0;
    streams_on_count_credit(&f.c, true, 6); /* nobody waits */
    assert_int_equal(f.c.pending, 0);
    f.c.state = CONN_CLOSING;
    assert_null(streams_open_local(&f.c, true, 3, &error));
    assert_int_equal(error, WEIR_E_NOT_CONNECTED);
    fake_close(&f);
}

static int put_off(struct transport_conn *c)
{
    struct fake *f = (struct fake *)(void *)c->transport;

    return fake_up(f, &f->limits);
}

static void test_a_transport_may_put_the_table_off_until_the_first_open(void **state)
{
    struct fake f;
    int error = 1;

    (void)state;
    fake_init(&f, CONN_DIALLER, 0);
    f.c.state = CONN_UP;
    assert_null(streams_open_local(&f.c, false, 3, &error)); /* it never makes one */
    assert_int_equal(error, WEIR_E_NOT_CONNECTED);
    assert_null(streams_get(&f.c, 0));
    assert_null(streams_next_dirty(&f.c));
    assert_false(streams_want_send(&f.c));
    streams_on_turn(&f.c);
    streams_trim(&f.c);
    f.ops.conn_streams = put_off;
    f.mem.fail_at = 1;
    assert_null(streams_open_local(&f.c, false, 3, &error));
    assert_int_equal(error, WEIR_E_MEMORY);
    assert_non_null(streams_open_local(&f.c, false, 3, &error));
    assert_int_equal(error, 0);
    fake_close(&f);
}

static void test_connection_credit_counts_over_all_streams(void **state)
{
    struct fake f;
    struct stream *a, *b;

    (void)state;
    fake_init(&f, CONN_DIALLER, 0);
    fake_window(&f, 800, 1000);
    assert_int_equal(fake_up(&f, &f.limits), 0);
    a = fake_remote(&f, 1);
    b = fake_remote(&f, 5);
    assert_int_equal(fake_data(a, 0, 800, false), RECEIVE_OK);
    assert_int_equal(fake_data(a, 0, 800, false), RECEIVE_OK); /* again: counted once */
    assert_int_equal(fake_data(b, 0, 201, false), RECEIVE_FLOW_ERROR);
    assert_int_equal(streams_on_reset(b, 1, 201), RECEIVE_FLOW_ERROR);
    assert_int_equal(fake_data(b, 100, 100, false), RECEIVE_OK);
    assert_int_equal(f.c.streams->receive_used, 1000);
    assert_int_equal(fake_data(b, 0, 100, false), RECEIVE_OK); /* fills a gap: costs nothing */
    assert_int_equal(fake_data(b, 200, 1, false), RECEIVE_FLOW_ERROR);
    assert_int_equal(fake_data(b, 0, 50, true), RECEIVE_SIZE_ERROR);
    fake_close(&f);
}

static void test_no_budget_no_stream(void **state)
{
    struct fake f;
    struct stream *s;
    int error;

    (void)state;
    open_role(&f, CONN_DIALLER);
    f.budget.max = sizeof(struct conn_streams) + 2 * STREAM_COST_BYTES;
    assert_int_equal(streams_on_frame(&f.c, 4 * 4 + 1, true, NOW, &s), STREAMS_NO_MEMORY);
    assert_int_equal(f.c.streams->next_remote[0], 2); /* the first two are there */
    assert_null(streams_open_local(&f.c, false, 3, &error));
    assert_int_equal(error, WEIR_E_BUDGET);
    assert_int_equal(f.c.streams->next_local[0], 0);
    f.budget.max = 1 << 20;
    assert_int_equal(streams_on_frame(&f.c, 4 * 4 + 1, true, NOW, &s), STREAMS_FOUND);
    assert_int_equal(f.c.streams->count, 5);
    fake_close(&f);
}

static void test_the_end_of_a_connection_ends_every_stream_once(void **state)
{
    struct fake f;
    struct stream *s, *in;
    uint8_t out[10];

    (void)state;
    open_role(&f, CONN_DIALLER);
    s = open_local(&f, false);
    assert_int_equal(stream_write(s, bytes, 1000, true, false, NOW), 1000);
    f.c.streams->send_credit = f.c.streams->send_used;
    assert_int_equal(stream_write(s, bytes, 1000, true, false, NOW), 0);
    in = fake_remote(&f, 3);
    assert_int_equal(fake_data(in, 0, 500, false), RECEIVE_OK);
    (void)fake_facts(in);
    assert_true(conn_ended(&f.c, CONN_END_REMOTE, WEIR_E_PEER_CLOSED, 42, "why", 3, NOW));
    assert_false(conn_ended(&f.c, CONN_END_LOCAL, 0, 1, NULL, 0, NOW));
    assert_int_equal(f.c.end->reason, 42);
    assert_memory_equal(f.c.end->text, "why", 3);
    assert_ptr_equal(transport_next_ready(&f.t), &f.c);
    assert_null(transport_next_ready(&f.t));
    assert_true(list_is_empty(&f.c.streams->blocked));
    assert_int_equal(f.c.streams->budget.used, sizeof(struct conn_streams) + 2 * STREAM_COST_BYTES);
    for (int i = 0; i < 2; i++) {
        s = streams_next_dirty(&f.c);
        assert_int_equal(s->pending & STREAM_PENDING_OVER, STREAM_PENDING_OVER);
        assert_int_equal(stream_read(s, out, 10, NOW), WEIR_E_RESET);
        assert_int_equal(s->in.reset_code, WEIR_REASON_CONNECTION);
        assert_int_equal(stream_reset(s, 1, NOW), s->has_out ? 0 : WEIR_E_ONE_WAY);
        assert_int_equal(stream_stop(s, 1, NOW), 0);
        streams_remove(s);
    }
    assert_null(streams_next_dirty(&f.c));
    assert_false(f.c.streams->sched.waiting);
    fake_close(&f);
}

static void test_a_long_closing_text_is_cut(void **state)
{
    struct fake f;
    char text[300];

    (void)state;
    memset(text, 'x', sizeof text);
    open_role(&f, CONN_DIALLER);
    assert_true(conn_ended(&f.c, CONN_END_REMOTE, 0, 1, text, sizeof text, NOW));
    assert_int_equal(f.c.end->text_len, sizeof f.c.end->text);
    fake_close(&f);
}

/* A talk of two streams each way in which every step may fail for want of memory and is then done
 * again, as a transport or an application would. @return whether nothing failed */
static bool talk(uint64_t fail_at)
{
    struct fake f;
    struct stream *s = NULL, *in = NULL;
    int error;
    bool clean;

    fake_init(&f, CONN_DIALLER, 0);
    f.mem.fail_at = fail_at;
    while (fake_up(&f, &f.limits) != 0) {
    }
    while ((s = streams_open_local(&f.c, false, 3, &error)) == NULL)
        assert_int_equal(error, WEIR_E_MEMORY);
    while (streams_on_frame(&f.c, 9, true, NOW, &in) != STREAMS_FOUND) {
    }
    assert_int_equal(f.c.streams->count, 4);
    while (stream_write(s, bytes, 3000, false, true, NOW) < 0)
        assert_int_equal(s->out.state, SEND_OPEN);
    streams_on_turn(&f.c);
    for (uint64_t i = 0; i < 10; i++)
        (void)send_lane_on_sent(&s->out, 300 * i, 300, i == 9, &f.mem.mem);
    for (uint64_t i = 1; i < 10; i += 2) streams_on_acked(s, 300 * i, 300, i == 9, NOW);
    for (uint64_t i = 0; i < 10; i += 2) streams_on_lost(s, 300 * i, 300, false);
    for (;;) {
        uint64_t offset, len;
        bool fin;

        if (!send_lane_next(&s->out, false, 300, &offset, &len, &fin)) break;
        (void)send_lane_on_sent(&s->out, offset, len, fin, &f.mem.mem);
        streams_on_acked(s, offset, len, fin, NOW);
    }
    assert_int_equal(s->out.state, SEND_OVER);
    for (uint64_t i = 10; i-- > 0;) {
        while (fake_data(in, 100 * i, i % 2 == 0 ? 90 : 100, i == 9) == RECEIVE_DROP) {
        }
    }
    assert_int_equal(fake_data(in, 0, 1000, true), RECEIVE_OK);
    assert_int_equal(receive_lane_readable(&in->in), 1000);
    assert_int_equal(stream_stop(in, 1, NOW), 0);
    assert_true(conn_ended(&f.c, CONN_END_LOCAL, 0, 1, NULL, 0, NOW));
    clean = f.mem.fail_at != 0;
    f.mem.fail_at = 0;
    fake_close(&f);
    return clean;
}

static void test_no_failed_allocation_leaves_anything_behind(void **state)
{
    uint64_t n = 1;

    (void)state;
    while (!talk(n)) n++;
    assert_true(n > 10); /* it did allocate */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grants_are_ours_to_give_and_the_peers_to_use),
        cmocka_unit_test(test_ids_carry_role_and_direction),
        cmocka_unit_test(test_frames_on_the_wrong_direction_are_state_errors),
        cmocka_unit_test(test_a_high_id_opens_all_lower_ones_of_its_type),
        cmocka_unit_test(test_frames_for_finished_streams_are_late_not_wrong),
        cmocka_unit_test(test_the_stream_limit_slides_with_what_is_over_in_steps),
        cmocka_unit_test(test_a_limit_of_one_stream_slides_too),
        cmocka_unit_test(test_streams_that_the_peer_resets_give_their_places_back_at_a_rate),
        cmocka_unit_test(test_an_open_that_had_to_wait_is_told_when_there_is_room),
        cmocka_unit_test(test_a_transport_may_put_the_table_off_until_the_first_open),
        cmocka_unit_test(test_connection_credit_counts_over_all_streams),
        cmocka_unit_test(test_no_budget_no_stream),
        cmocka_unit_test(test_the_end_of_a_connection_ends_every_stream_once),
        cmocka_unit_test(test_a_long_closing_text_is_cut),
        cmocka_unit_test(test_no_failed_allocation_leaves_anything_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
