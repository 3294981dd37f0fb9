/* SPDX-License-Identifier: MIT */
/* Goal: what waits is bounded on both sides and leaves in order; what does not fit is
 * dropped, merged, refused or told as its policy says. Method: two nodes over the
 * fake network, whose lanes move only when the test says so (exchanges_pair.h). */
#include "unit/node/exchanges_pair.h"

static void test_what_waits_leaves_in_order_and_urgent_ones_first(void **state)
{
    weir_message_options urgent = {.size = sizeof urgent, .urgency_plus1 = 1};
    (void)state;
    few_streams(1, WEIR_KIND_MESSAGE, 64);
    assert_int_equal(send_text("1", NULL), 1);
    assert_int_equal(send_text("2", NULL), 1);
    assert_int_equal(send_text("3", NULL), 1);
    assert_int_equal(send_text("u", &urgent), 1);
    assert_int_equal(send_text("v", &urgent), 1);
    assert_string_equal(letters(), "1uv23");
    assert_int_equal(metric(METRIC_MESSAGES_SENT), 5);
    /* That the transport had room again was the queue's matter alone. */
    assert_int_equal(openable, 0);
    assert_int_equal(metric(METRIC_STREAMS_OPEN), 0);
}

static void test_a_full_queue_does_what_its_policy_says(void **state)
{
    static const struct {
        weir_message_options o;
        int64_t expected;
        const char *letters;
        uint32_t sendable, dropped;
    } cases[] = {
        {{.overflow = 0}, 0, "1abc", 1, 0},
        {{.overflow = WEIR_OVERFLOW_BLOCK}, 0, "1abc", 1, 0},
        {{.overflow = WEIR_OVERFLOW_DROP_NEW}, 0, "1abc", 0, 1},
        {{.overflow = WEIR_OVERFLOW_DROP_OLD}, 1, "1bcN", 0, 1},
        {{.overflow = WEIR_OVERFLOW_MERGE, .key = 2}, 1, "1aNc", 0, 1},
        {{.overflow = WEIR_OVERFLOW_MERGE, .key = 9}, 0, "1abc", 0, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        weir_message_options keyed = {.size = sizeof keyed, .overflow = WEIR_OVERFLOW_MERGE};
        few_streams(1, WEIR_KIND_MESSAGE, 3);
        assert_int_equal(send_text("1", NULL), 1);
        for (keyed.key = 1; keyed.key <= 3; keyed.key++) {
            char text[2] = {(char)('a' + keyed.key - 1), 0};
            assert_int_equal(send_text(text, &keyed), 1);
        }
        assert_int_equal(send_text("N", &cases[i].o), cases[i].expected);
        assert_int_equal(metric(METRIC_MESSAGES_DROPPED_SEND), cases[i].dropped);
        assert_string_equal(letters(), cases[i].letters);
        assert_int_equal(sendable, cases[i].sendable);
    }
}

static void test_requests_wait_for_streams_too_and_are_bounded(void **state)
{
    char got[8];
    (void)state;
    few_streams(1, WEIR_KIND_REQUEST, 2);
    uint64_t asked[3] = {ask("1", NULL), ask("2", NULL), ask("3", NULL)};
    assert_int_equal(info_of(p.a, asked[1]).state, 0);
    assert_int_equal(ask_bytes("4", 1, NULL), 0);
    assert_int_equal(cancel(p.a, asked[1], 1), 0);
    assert_int_equal(poll_node(p.a), 1);
    expect_event(0, WEIR_EVENT_SENDABLE, 0, p.conn[0], 0);
    to_b(1);
    assert_int_equal(respond(p.events[0].object, "one", 0), 3);
    to_a(1);
    expect_event(0, WEIR_EVENT_RESPONSE, 0, asked[0], 3);
    assert_int_equal(read_whole(p.a, asked[0], got, sizeof got), 3);
    to_b(2); /* the first is closed, and the third comes */
    expect_event(1, WEIR_EVENT_REQUEST, 0, 0, 1);
    assert_int_equal(read_whole(p.b, p.events[1].object, got, sizeof got), 1);
    assert_int_equal(got[0], '3');
}

static void test_a_request_that_waits_has_its_deadline(void **state)
{
    weir_request_options o = {.size = sizeof o, .deadline_us = 5 * SECOND};
    (void)state;
    few_streams(1, WEIR_KIND_REQUEST, 2);
    (void)ask("1", NULL);
    uint64_t asked = ask("2", &o);
    net_run(&p.net, 4 * SECOND);
    assert_int_equal(poll_node(p.a), 0);
    net_run(&p.net, 2 * SECOND);
    assert_int_equal(poll_node(p.a), 1);
    expect_event(0, WEIR_EVENT_RESPONSE, WEIR_E_TIMEOUT, asked, WEIR_REASON_DEADLINE);
}

static void test_a_body_written_while_the_request_waits_is_asked_for_again(void **state)
{
    weir_request_options o = {.size = sizeof o, .flags = WEIR_MORE};
    (void)state;
    few_streams(1, WEIR_KIND_REQUEST, 2);
    uint64_t first = ask("1", NULL), second = ask("2", &o);
    assert_int_equal(call_stream(&p.net, p.a, NODE_CALL_STREAM_WRITE, second, WEIR_FIN, "xyz", 3),
                     0);
    assert_int_equal(cancel(p.a, first, 1), 0);
    net_settle(&p.net);
    assert_int_equal(poll_node(p.a), 1);
    expect_event(0, WEIR_EVENT_WRITABLE, 0, second, p.events[0].amount);
    assert_int_equal(call_stream(&p.net, p.a, NODE_CALL_STREAM_WRITE, second, WEIR_FIN, "xyz", 3),
                     3);
    to_b(1);
    expect_event(0, WEIR_EVENT_REQUEST, 0, 0, 4);
}

static void test_too_many_requests_under_way_are_an_error_with_its_limit(void **state)
{
    (void)state;
    p.net.limits.value[LIMIT_REQUESTS_OUT] = 2;
    uint64_t first = ask("1", NULL);
    (void)ask("2", NULL);
    assert_int_equal(ask_bytes("3", 1, NULL), WEIR_E_LIMIT);
    assert_string_equal(node_error(p.a)->limit_name, "requests_out");
    assert_int_equal(cancel(p.a, first, 1), 0);
    assert_true(ask_bytes("3", 1, NULL) > 0);
}

static void test_unread_messages_beyond_the_queue_are_dropped_as_the_rules_say(void **state)
{
    static const struct {
        uint32_t overflow, per_peer, all;
        const char *letters;
    } cases[] = {
        {WEIR_OVERFLOW_DROP_NEW, 2, 100, "ab"},
        {WEIR_OVERFLOW_DROP_OLD, 2, 100, "de"},
        {WEIR_OVERFLOW_DROP_NEW, 100, 3, "abc"},
        {WEIR_OVERFLOW_DROP_OLD, 100, 3, "cde"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        weir_serve_options o = serving(WEIR_KIND_MESSAGE);
        o.overflow = cases[i].overflow;
        o.queue_per_peer = cases[i].per_peer;
        o.queue_max = cases[i].all;
        serve(&o);
        uint64_t before = metric(METRIC_MESSAGES_DROPPED_RECEIVE);
        for (char c = 'a'; c <= 'e'; c++) {
            char text[2] = {c, 0};
            assert_int_equal(send_text(text, NULL), 1);
        }
        assert_string_equal(letters(), cases[i].letters);
        assert_int_equal(metric(METRIC_MESSAGES_DROPPED_RECEIVE) - before,
                         5 - strlen(cases[i].letters));
        /* What was read makes room. */
        assert_int_equal(send_text("z", NULL), 1);
        assert_string_equal(letters(), "z");
        assert_int_equal(call_text(&p.net, p.b, NODE_CALL_UNSERVE, 0, "talk", NULL), 0);
    }
    assert_int_equal(metric(METRIC_STREAMS_OPEN), 0);
}

static void test_a_told_message_that_gives_way_to_a_newer_one_is_stale(void **state)
{
    weir_serve_options o = serving(WEIR_KIND_MESSAGE);
    (void)state;
    o.overflow = WEIR_OVERFLOW_DROP_OLD;
    o.queue_per_peer = 1;
    serve(&o);
    assert_int_equal(send_text("1", NULL), 1);
    to_b(1);
    uint64_t first = p.events[0].object;
    assert_int_equal(send_text("2", NULL), 1);
    to_b(1);
    assert_int_equal(read_whole(p.b, first, NULL, 0), WEIR_E_STALE);
    expect_whole(p.b, p.events[0].object, "2");
}

static void test_requests_beyond_the_queue_are_busy_with_a_hint(void **state)
{
    weir_serve_options o = serving(WEIR_KIND_REQUEST);
    (void)state;
    o.queue_per_peer = 2;
    o.retry_us = 123456;
    serve(&o);
    (void)ask("1", NULL);
    (void)ask("2", NULL);
    uint64_t third = ask("3", NULL);
    to_b(2);
    to_a(1);
    expect_event(0, WEIR_EVENT_RESPONSE, WEIR_E_REFUSED, third, WEIR_REASON_OVERLOAD);
    assert_int_equal(info_of(p.a, third).retry_us, 123456);
    assert_int_equal(metric(METRIC_REQUESTS_BUSY_SENT), 1);
    assert_int_equal(metric(METRIC_REQUESTS_BUSY_RECEIVED), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HERE(test_what_waits_leaves_in_order_and_urgent_ones_first),
        HERE(test_a_full_queue_does_what_its_policy_says),
        HERE(test_requests_wait_for_streams_too_and_are_bounded),
        HERE(test_a_request_that_waits_has_its_deadline),
        HERE(test_a_body_written_while_the_request_waits_is_asked_for_again),
        HERE(test_too_many_requests_under_way_are_an_error_with_its_limit),
        BARE(test_unread_messages_beyond_the_queue_are_dropped_as_the_rules_say),
        BARE(test_a_told_message_that_gives_way_to_a_newer_one_is_stale),
        BARE(test_requests_beyond_the_queue_are_busy_with_a_hint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
