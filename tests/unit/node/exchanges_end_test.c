/* SPDX-License-Identifier: MIT */
/* Goal: deadlines, least progress, drains and the end of a connection or node end what is
 * under way once, and nothing else; what is larger than a window comes in pieces. Method: two nodes
 * over the fake network, whose lanes move only when the test says so (exchanges_pair.h). */
#include "unit/node/exchanges_pair.h"

static void test_an_answer_that_comes_late_comes_not_at_all(void **state)
{
    weir_serve_options o = serving(WEIR_KIND_REQUEST);
    (void)state;
    o.deadline_us = 3 * SECOND;
    serve(&o);
    uint64_t asked = ask("x", NULL);
    to_b(1);
    uint64_t served = p.events[0].object;
    assert_int_equal(info_of(p.b, served).deadline_us, p.net.now_us + 3 * SECOND);
    net_run(&p.net, 3 * SECOND);
    assert_int_equal(poll_node(p.b), 1);
    expect_event(0, WEIR_EVENT_REQUEST_CLOSED, WEIR_E_TIMEOUT, served, WEIR_REASON_DEADLINE);
    assert_int_equal(respond(served, "x", 0), WEIR_E_STOPPED);
    to_a(1);
    expect_event(0, WEIR_EVENT_RESPONSE, WEIR_E_TIMEOUT, asked, WEIR_REASON_DEADLINE);
    assert_int_equal(metric(METRIC_REQUESTS_TIMED_OUT), 2);
    assert_int_equal(metric(METRIC_STREAMS_OPEN), 0);
}

static void test_an_asker_waits_as_long_as_it_said(void **state)
{
    weir_request_options o = {.size = sizeof o, .deadline_us = 2 * SECOND};
    (void)state;
    uint64_t asked = ask("x", &o);
    to_b(1);
    uint64_t served = p.events[0].object;
    net_run(&p.net, 2 * SECOND);
    assert_int_equal(poll_node(p.a), 1);
    expect_event(0, WEIR_EVENT_RESPONSE, WEIR_E_TIMEOUT, asked, WEIR_REASON_DEADLINE);
    to_b(1);
    expect_event(0, WEIR_EVENT_REQUEST_CLOSED, WEIR_E_STOPPED, served, WEIR_REASON_DEADLINE);
}

static void test_a_peer_is_too_slow_only_while_it_is_its_turn(void **state)
{
    weir_serve_options o = serving(WEIR_KIND_REQUEST);
    weir_request_options more = {.size = sizeof more,
                                 .flags = WEIR_MORE | WEIR_CHUNKED,
                                 .deadline_us = WEIR_NONE,
                                 .progress_us = 2 * SECOND};
    char got[8];
    (void)state;
    o.request_chunked = 1;
    o.deadline_us = WEIR_NONE;
    o.progress_us = SECOND;
    serve(&o);
    uint64_t asked = ask("abcd", &more);
    flush(p.a, asked);
    to_b(2);
    uint64_t served = p.events[0].object;
    /* Bytes wait for the application: no blame. */
    net_run(&p.net, 20 * SECOND);
    assert_int_equal(poll_node(p.b), 0);
    assert_int_equal(call_read(&p.net, p.b, served, got, sizeof got), 4);
    assert_int_equal(respond(served, "r", WEIR_MORE), 1);
    flush(p.b, served);
    to_a(2);
    assert_int_equal(call_read(&p.net, p.a, asked, got, sizeof got), 1);
    /* Now it is the asker's turn, and nothing comes. */
    net_run(&p.net, SECOND);
    assert_int_equal(poll_node(p.b), 1);
    expect_event(0, WEIR_EVENT_REQUEST_CLOSED, WEIR_E_TIMEOUT, served, WEIR_REASON_TOO_SLOW);
    to_a(1);
    expect_event(0, WEIR_EVENT_REQUEST_CLOSED, WEIR_E_TIMEOUT, asked, WEIR_REASON_TOO_SLOW);
    assert_int_equal(metric(METRIC_REQUESTS_TOO_SLOW), 2);
}

static void test_a_response_that_stops_in_the_middle_is_given_up(void **state)
{
    weir_request_options o = {
        .size = sizeof o, .deadline_us = WEIR_NONE, .progress_us = SECOND, .progress_bytes = 10};
    (void)state;
    uint64_t asked = ask("x", &o);
    to_b(1);
    uint64_t served = p.events[0].object;
    net_run(&p.net, 5 * SECOND); /* the server thinks: that is allowed */
    assert_int_equal(poll_node(p.a), 0);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(respond(served, "12345678901", WEIR_MORE), 11);
        flush(p.b, served);
        net_run(&p.net, SECOND - 1000);
        assert_int_equal(poll_node(p.a), 0);
    }
    net_run(&p.net, 3 * SECOND);
    assert_int_equal(poll_node(p.a), 1);
    expect_event(0, WEIR_EVENT_RESPONSE, WEIR_E_TIMEOUT, asked, WEIR_REASON_TOO_SLOW);
}

static void test_unread_whole_things_wait_without_a_deadline_and_without_a_spin(void **state)
{
    (void)state;
    uint64_t asked = ask("x", NULL);
    assert_int_equal(send_text("m", NULL), 1);
    to_b(2);
    uint64_t m = p.events[p.events[0].kind == WEIR_EVENT_MESSAGE ? 0 : 1].object;
    assert_int_equal(
        respond(p.events[p.events[0].kind == WEIR_EVENT_MESSAGE ? 1 : 0].object, "y", 0), 1);
    to_a(1);
    to_b(1);
    assert_true(net_deadline(&p.net) > p.net.now_us + 3600 * (uint64_t)SECOND);
    expect_whole(p.b, m, "m");
    expect_whole(p.a, asked, "y");
}

static void test_a_connection_that_ends_ends_what_is_on_it(void **state)
{
    (void)state;
    uint64_t asked = ask("x", NULL);
    assert_int_equal(send_text("m", NULL), 1);
    to_b(2);
    uint64_t served = p.events[p.events[0].kind == WEIR_EVENT_REQUEST ? 0 : 1].object;
    uint64_t m = p.events[p.events[0].kind == WEIR_EVENT_REQUEST ? 1 : 0].object;
    struct node_call call = {.kind = NODE_CALL_CONNECTION_CLOSE, .object = p.conn[0], .flags = 3};
    assert_int_equal(net_input(&p.net, p.a, NODE_INPUT_CALL, &call), 0);
    to_a(3);
    expect_event(0, WEIR_EVENT_RESPONSE, WEIR_E_NOT_CONNECTED, asked, WEIR_REASON_CONNECTION);
    expect_event(1, WEIR_EVENT_CONNECTION_CLOSED, 0, p.conn[0], 3);
    assert_int_equal(send_text("m", NULL), WEIR_E_NOT_CONNECTED);
    assert_int_equal(ask_bytes("x", 1, NULL), WEIR_E_NOT_CONNECTED);
    to_b(3);
    expect_event(0, WEIR_EVENT_REQUEST_CLOSED, WEIR_E_NOT_CONNECTED, served,
                 WEIR_REASON_CONNECTION);
    expect_event(1, WEIR_EVENT_CONNECTION_CLOSED, WEIR_E_PEER_CLOSED, p.conn[1], 3);
    to_b(0);
    expect_whole(p.b, m, "m"); /* it had come whole */
    assert_int_equal(read_whole(p.b, m, NULL, 0), WEIR_E_STALE);
    to_a(0);
    assert_int_equal(send_text("m", NULL), WEIR_E_STALE);
}

static void test_what_waits_for_room_ends_with_its_connection(void **state)
{
    (void)state;
    few_streams(1, WEIR_KIND_MESSAGE | WEIR_KIND_REQUEST, 64);
    assert_int_equal(send_text("1", NULL), 1);
    assert_int_equal(send_text("2", NULL), 1);
    (void)ask("3", NULL);
    uint64_t waits = ask("4", NULL);
    struct node_call call = {.kind = NODE_CALL_CONNECTION_CLOSE, .object = p.conn[0]};
    assert_int_equal(net_input(&p.net, p.a, NODE_INPUT_CALL, &call), 0);
    to_a(4);
    expect_event(1, WEIR_EVENT_RESPONSE, WEIR_E_NOT_CONNECTED, waits, WEIR_REASON_CONNECTION);
    assert_int_equal(metric(METRIC_MESSAGES_DROPPED_SEND), 2);
}

static void test_a_drain_waits_for_what_is_under_way_and_takes_nothing_new(void **state)
{
    (void)state;
    uint64_t asked = ask("x", NULL);
    to_b(1);
    uint64_t served = p.events[0].object;
    assert_int_equal(call_simple(&p.net, p.a, NODE_CALL_DRAIN, 0, 4, 20 * SECOND), 0);
    assert_int_equal(ask_bytes("y", 1, NULL), WEIR_E_DRAINING);
    assert_int_equal(send_text("y", NULL), WEIR_E_DRAINING);
    net_run(&p.net, SECOND);
    assert_int_equal(poll_node(p.a), 0);
    assert_int_equal(respond(served, "answer", 0), 6);
    to_a(1);
    expect_event(0, WEIR_EVENT_RESPONSE, 0, asked, 6);
    net_run(&p.net, SECOND);
    assert_int_equal(poll_node(p.a), 0);
    expect_whole(p.a, asked, "answer"); /* not lost, however late it is read */
    net_run(&p.net, SECOND);
    assert_int_equal(poll_node(p.a), 3);
    expect_event(0, WEIR_EVENT_CONNECTION_CLOSED, 0, p.conn[0], 4);
    assert_int_equal(p.events[2].kind, WEIR_EVENT_DRAINED);
}

static void test_a_drain_waits_for_messages_that_were_taken(void **state)
{
    (void)state;
    few_streams(1, WEIR_KIND_MESSAGE, 64);
    assert_int_equal(send_text("1", NULL), 1);
    assert_int_equal(send_text("2", NULL), 1);
    assert_int_equal(call_simple(&p.net, p.a, NODE_CALL_DRAIN, 0, 4, 20 * SECOND), 0);
    to_b(1);
    uint64_t m = p.events[0].object;
    net_run(&p.net, 10 * SECOND);
    assert_int_equal(poll_node(p.a), 0);
    assert_int_equal(metric(METRIC_MESSAGES_SENT), 1);
    expect_whole(p.b, m, "1");
    net_run(&p.net, SECOND);
    assert_int_equal(poll_node(p.a), 3);
    expect_event(0, WEIR_EVENT_CONNECTION_CLOSED, 0, p.conn[0], 4);
    assert_int_equal(metric(METRIC_MESSAGES_SENT), 2);
    assert_int_equal(metric(METRIC_MESSAGES_DROPPED_SEND), 0);
}

static void test_a_draining_server_finishes_what_it_has_and_refuses_the_rest(void **state)
{
    (void)state;
    uint64_t first = ask("x", NULL);
    to_b(1);
    uint64_t served = p.events[0].object;
    assert_int_equal(call_simple(&p.net, p.b, NODE_CALL_DRAIN, 0, 4, 20 * SECOND), 0);
    uint64_t second = ask("y", NULL);
    to_b(0);
    to_a(1);
    expect_event(0, WEIR_EVENT_RESPONSE, WEIR_E_REFUSED, second, WEIR_REASON_DRAINING);
    assert_int_equal(respond(served, "ok", 0), 2);
    (void)net_input(&p.net, p.b, NODE_INPUT_TURN, NULL);
    for (unsigned i = 0; i < 3; i++)
        fake_pump_conn(&p.net, list_first(&p.net.transports[1]->conns, struct fake_conn, link));
    (void)net_input(&p.net, p.a, NODE_INPUT_DEADLINE, NULL);
    assert_int_equal(node_next_events(p.a, p.events, EVENTS), 1);
    p.count = 1;
    expect_event(0, WEIR_EVENT_RESPONSE, 0, first, 2);
}

static void test_a_response_larger_than_a_window_comes_in_pieces(void **state)
{
    enum { BYTES = 600000 };
    static uint8_t bytes[BYTES], got[BYTES];
    weir_request_options o = {
        .size = sizeof o, .flags = WEIR_CHUNKED, .response_max_bytes = WEIR_NONE};
    uint64_t written = 0, read = 0;
    (void)state;
    for (uint32_t i = 0; i < BYTES; i++) bytes[i] = (uint8_t)(i * 7 + i / 251);
    uint64_t asked = ask("x", &o);
    to_b(1);
    uint64_t served = p.events[0].object;
    bool closed = false;
    for (unsigned round = 0; !closed; round++) {
        assert_true(round < 1000);
        while (written < BYTES) {
            int64_t n = call_stream(&p.net, p.b, NODE_CALL_REQUEST_RESPOND, served, 0,
                                    bytes + written, BYTES - written);
            assert_true(n >= 0);
            written += (uint64_t)n;
            if (n == 0) break;
        }
        (void)poll_node(p.b);
        (void)poll_node(p.a);
        for (uint32_t i = 0; i < p.count; i++) {
            if (p.events[i].kind == WEIR_EVENT_REQUEST_CLOSED) closed = true;
            if (p.events[i].kind != WEIR_EVENT_READABLE) continue;
            int64_t n = call_read(&p.net, p.a, asked, got + read, BYTES - read);
            assert_true(n >= 0 || n == WEIR_E_END);
            if (n > 0) read += (uint64_t)n;
        }
    }
    assert_int_equal(read, BYTES);
    assert_memory_equal(bytes, got, BYTES);
}

static void test_a_message_larger_than_half_the_peers_credit_goes_in_pieces(void **state)
{
    static uint8_t bytes[9000];
    weir_serve_options o = serving(WEIR_KIND_MESSAGE);
    (void)state;
    net_free(&p.net);
    memset(&p, 0, sizeof p);
    net_init(&p.net);
    p.net.limits.value[LIMIT_CONNECTION_WINDOW_FIRST] = 10000;
    p.net.limits.value[LIMIT_CONNECTION_WINDOW] = 10000;
    p.a = net_add(&p.net, NULL);
    p.b = net_add(&p.net, NULL);
    serve(&o);
    net_pair(&p.net, p.conn);
    memset(bytes, 'x', sizeof bytes);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(send_bytes(bytes, i % 2 == 0 ? 4000 : 9000, NULL), 1);
        if (strlen(letters()) != 1) fail_msg("message %u does not come", i);
    }
    assert_int_equal(metric(METRIC_MESSAGES_RECEIVED), 20);
    assert_int_equal(metric(METRIC_STREAMS_OPEN), 0);
}

static void test_a_node_that_closes_forgets_everything(void **state)
{
    (void)state;
    few_streams(1, WEIR_KIND_MESSAGE | WEIR_KIND_REQUEST, 64);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(send_text("m", NULL), 1);
        (void)ask("r", NULL);
    }
    to_b(2);
    node_close(p.b);
    node_close(p.a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BARE(test_an_answer_that_comes_late_comes_not_at_all),
        HERE(test_an_asker_waits_as_long_as_it_said),
        BARE(test_a_peer_is_too_slow_only_while_it_is_its_turn),
        HERE(test_a_response_that_stops_in_the_middle_is_given_up),
        HERE(test_unread_whole_things_wait_without_a_deadline_and_without_a_spin),
        HERE(test_a_connection_that_ends_ends_what_is_on_it),
        HERE(test_what_waits_for_room_ends_with_its_connection),
        HERE(test_a_drain_waits_for_what_is_under_way_and_takes_nothing_new),
        HERE(test_a_drain_waits_for_messages_that_were_taken),
        HERE(test_a_draining_server_finishes_what_it_has_and_refuses_the_rest),
        HERE(test_a_response_larger_than_a_window_comes_in_pieces),
        HERE(test_a_message_larger_than_half_the_peers_credit_goes_in_pieces),
        HERE(test_a_node_that_closes_forgets_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
