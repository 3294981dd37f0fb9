/* SPDX-License-Identifier: MIT */
/* Goal: messages and requests are whole or not at all, and each side hears its part in
 * order, once. Method: two nodes over the
 * fake network, whose lanes move only when the test says so (exchanges_pair.h). */
#include "unit/node/exchanges_pair.h"

static void test_a_message_arrives_whole_and_its_handle_is_stale_once_read(void **state)
{
    (void)state;
    assert_int_equal(send_text("hello", NULL), 1);
    assert_int_equal(poll_node(p.b), 0); /* a has not come back to poll */
    to_b(1);
    expect_event(0, WEIR_EVENT_MESSAGE, 0, 0, 5);
    assert_int_equal(p.events[0].parent, p.conn[1]);
    assert_int_equal(p.events[0].user, 77);
    uint64_t m = p.events[0].object;
    assert_int_equal(info_of(p.b, m).kind, WEIR_KIND_MESSAGE);
    assert_string_equal(info_of(p.b, m).protocol, "talk");
    assert_int_equal(read_whole(p.b, m, NULL, 0), WEIR_E_SPACE);
    expect_whole(p.b, m, "hello");
    assert_int_equal(read_whole(p.b, m, NULL, 0), WEIR_E_STALE);
    assert_int_equal(metric(METRIC_MESSAGES_SENT), 1);
    assert_int_equal(metric(METRIC_MESSAGES_RECEIVED), 1);
    to_a(0);
}

static void test_an_empty_message_is_a_message(void **state)
{
    (void)state;
    assert_int_equal(send_text("", NULL), 1);
    to_b(1);
    expect_event(0, WEIR_EVENT_MESSAGE, 0, 0, 0);
    assert_int_equal(read_whole(p.b, p.events[0].object, NULL, 0), 0);
    assert_int_equal(read_whole(p.b, p.events[0].object, NULL, 0), WEIR_E_STALE);
}

static void test_a_message_can_be_looked_at_before_it_is_read(void **state)
{
    const void *view = NULL;
    (void)state;
    assert_int_equal(send_text("look", NULL), 1);
    to_b(1);
    struct node_call call = {.kind = NODE_CALL_STREAM_PEEK,
                             .object = p.events[0].object,
                             .out = &view,
                             .cap = sizeof view};
    assert_int_equal(net_input(&p.net, p.b, NODE_INPUT_CALL, &call), 4);
    assert_memory_equal(view, "look", 4);
    expect_whole(p.b, p.events[0].object, "look");
}

static void test_what_is_too_long_or_has_no_name_is_not_sent(void **state)
{
    static uint8_t bytes[16385];
    weir_error error;
    (void)state;
    assert_int_equal(send_bytes(bytes, sizeof bytes, NULL), WEIR_E_ARGUMENT);
    error = *node_error(p.a);
    assert_string_equal(error.limit_name, "message_bytes");
    assert_int_equal(error.limit_max, 16384);
    assert_int_equal(ask_bytes(bytes, sizeof bytes, NULL), WEIR_E_ARGUMENT);
    struct node_call call = {.kind = NODE_CALL_MESSAGE_SEND,
                             .object = p.conn[0],
                             .key = "a b",
                             .key_len = 3,
                             .options = &(weir_message_options){.size = 8}};
    assert_int_equal(net_input(&p.net, p.a, NODE_INPUT_CALL, &call), WEIR_E_NAME);
    assert_int_equal(send_bytes(bytes, 16384, NULL), 1);
    to_b(1);
    expect_event(0, WEIR_EVENT_MESSAGE, 0, 0, 16384);
}

static void test_what_does_not_fit_the_peers_streams_is_refused_with_its_limit(void **state)
{
    static uint8_t bytes[2000];
    weir_serve_options both = serving(WEIR_KIND_MESSAGE);
    (void)state;
    net_free(&p.net);
    memset(&p, 0, sizeof p);
    net_init(&p.net);
    p.net.limits.value[LIMIT_STREAM_WINDOW_FIRST] = 1024;
    p.a = net_add(&p.net, NULL);
    p.b = net_add(&p.net, NULL);
    serve(&both);
    net_pair(&p.net, p.conn);
    assert_int_equal(send_bytes(bytes, sizeof bytes, NULL), WEIR_E_ARGUMENT);
    assert_int_equal(node_error(p.a)->limit_max, 1024);
    assert_int_equal(node_error(p.a)->limit_used, 2005);
    assert_int_equal(node_error(p.a)->limit_side, 2);
    assert_int_equal(send_bytes(bytes, 1019, NULL), 1);
    to_b(1);
    expect_event(0, WEIR_EVENT_MESSAGE, 0, 0, 1019);
}

static void test_a_request_is_answered_and_each_side_hears_its_part(void **state)
{
    (void)state;
    uint64_t asked = ask("ping", NULL);
    assert_int_equal(info_of(p.a, asked).state, 2);
    to_b(1);
    expect_event(0, WEIR_EVENT_REQUEST, 0, 0, 4);
    uint64_t served = p.events[0].object;
    assert_int_equal(p.events[0].parent, p.conn[1]);
    assert_int_equal(p.events[0].user, 77);
    expect_whole(p.b, served, "ping");
    assert_int_equal(read_whole(p.b, served, NULL, 0), WEIR_E_STATE);
    assert_int_equal(respond(served, "pong", 0), 4);
    assert_int_equal(respond(served, "more", 0), WEIR_E_FINISHED);
    to_a(1);
    expect_event(0, WEIR_EVENT_RESPONSE, 0, asked, 4);
    assert_int_equal(p.events[0].user, 5);
    assert_int_equal(p.events[0].parent, p.conn[0]);
    assert_int_equal(info_of(p.a, asked).state, 3);
    expect_whole(p.a, asked, "pong");
    assert_int_equal(read_whole(p.a, asked, NULL, 0), WEIR_E_STALE);
    to_b(1);
    expect_event(0, WEIR_EVENT_REQUEST_CLOSED, 0, served, 0);
    assert_int_equal(info_of(p.b, served).state, 4);
    to_b(0);
    weir_request_info info = {.size = sizeof info};
    assert_int_equal(node_request_info(p.b, served, &info), WEIR_E_STALE);
    to_a(0);
    assert_int_equal(metric(METRIC_REQUESTS_ASKED), 1);
    assert_int_equal(metric(METRIC_REQUESTS_SERVED), 1);
    assert_int_equal(metric(METRIC_STREAMS_OPEN), 0);
}

static void test_requests_and_responses_may_be_empty(void **state)
{
    (void)state;
    uint64_t asked = ask("", NULL);
    to_b(1);
    expect_event(0, WEIR_EVENT_REQUEST, 0, 0, 0);
    assert_int_equal(respond(p.events[0].object, "", 0), 0);
    to_a(1);
    expect_event(0, WEIR_EVENT_RESPONSE, 0, asked, 0);
    assert_int_equal(read_whole(p.a, asked, NULL, 0), 0);
    to_b(1);
    expect_event(0, WEIR_EVENT_REQUEST_CLOSED, 0, 0, 0);
    assert_int_equal(metric(METRIC_STREAMS_OPEN), 0);
}

/* The end comes alone, when all bytes are there already. */
static void test_a_request_in_pieces_is_whole_with_its_end(void **state)
{
    weir_request_options o = {.size = sizeof o, .flags = WEIR_MORE};
    (void)state;
    uint64_t asked = ask("one ", &o);
    assert_int_equal(call_stream(&p.net, p.a, NODE_CALL_STREAM_WRITE, asked, 0, "two", 3), 3);
    to_b(0);
    assert_int_equal(info_of(p.a, asked).bytes_out, 7);
    assert_int_equal(call_stream(&p.net, p.a, NODE_CALL_STREAM_WRITE, asked, WEIR_FIN, NULL, 0), 0);
    to_b(1);
    expect_event(0, WEIR_EVENT_REQUEST, 0, 0, 7);
    uint64_t served = p.events[0].object;
    expect_whole(p.b, served, "one two");
    assert_int_equal(respond(served, "un", WEIR_MORE), 2);
    to_a(0);
    assert_int_equal(respond(served, "", 0), 0);
    to_a(1);
    expect_event(0, WEIR_EVENT_RESPONSE, 0, asked, 2);
    expect_whole(p.a, asked, "un");
    assert_int_equal(call_stream(&p.net, p.a, NODE_CALL_STREAM_WRITE, asked, 0, "x", 1),
                     WEIR_E_STALE);
}

static void test_a_chunked_request_is_read_as_it_comes(void **state)
{
    weir_serve_options o = serving(WEIR_KIND_REQUEST);
    weir_request_options more = {.size = sizeof more, .flags = WEIR_MORE};
    char got[16];
    (void)state;
    o.request_chunked = 1;
    o.request_max_bytes = 1 << 20;
    serve(&o);
    uint64_t asked = ask("abc", &more);
    flush(p.a, asked);
    to_b(2);
    expect_event(0, WEIR_EVENT_REQUEST, 0, 0, 3);
    uint64_t served = p.events[0].object;
    expect_event(1, WEIR_EVENT_READABLE, 0, served, 3);
    assert_int_equal(read_whole(p.b, served, got, sizeof got), WEIR_E_STATE);
    assert_int_equal(call_read(&p.net, p.b, served, got, sizeof got), 3);
    assert_int_equal(call_read(&p.net, p.b, served, got, sizeof got), 0);
    (void)call_stream(&p.net, p.a, NODE_CALL_STREAM_WRITE, asked, WEIR_FIN, "d", 1);
    to_b(1);
    expect_event(0, WEIR_EVENT_READABLE, WEIR_E_END, served, 1);
    assert_int_equal(call_read(&p.net, p.b, served, got, sizeof got), 1);
    assert_int_equal(call_read(&p.net, p.b, served, got, sizeof got), WEIR_E_END);
    assert_int_equal(respond(served, "ok", 0), 2);
    to_a(1);
    expect_whole(p.a, asked, "ok");
    to_b(1);
    expect_event(0, WEIR_EVENT_REQUEST_CLOSED, 0, served, 0);
}

static void test_the_end_of_a_chunked_request_that_comes_late_is_told_after_the_read(void **state)
{
    weir_serve_options o = serving(WEIR_KIND_REQUEST);
    weir_request_options more = {.size = sizeof more, .flags = WEIR_MORE};
    char got[16];
    (void)state;
    o.request_chunked = 1;
    serve(&o);
    uint64_t asked = ask("abc", &more);
    flush(p.a, asked);
    to_b(2);
    uint64_t served = p.events[0].object;
    (void)call_stream(&p.net, p.a, NODE_CALL_STREAM_WRITE, asked, WEIR_FIN, NULL, 0);
    to_b(0);
    assert_int_equal(call_read(&p.net, p.b, served, got, sizeof got), 3);
    to_b(1);
    expect_event(0, WEIR_EVENT_READABLE, WEIR_E_END, served, 0);
    to_b(0);
}

static void test_a_chunked_response_is_told_read_and_closed_in_this_order(void **state)
{
    weir_request_options o = {.size = sizeof o, .flags = WEIR_CHUNKED, .user = 6};
    char got[16];
    (void)state;
    uint64_t asked = ask("x", &o);
    to_b(1);
    uint64_t served = p.events[0].object;
    assert_int_equal(respond(served, "ab", WEIR_MORE), 2);
    flush(p.b, served);
    to_a(2);
    expect_event(0, WEIR_EVENT_RESPONSE, 0, asked, 2);
    expect_event(1, WEIR_EVENT_READABLE, 0, asked, 2);
    assert_int_equal(read_whole(p.a, asked, got, sizeof got), WEIR_E_STATE);
    assert_int_equal(call_read(&p.net, p.a, asked, got, sizeof got), 2);
    assert_int_equal(respond(served, "c", 0), 1);
    to_a(1);
    expect_event(0, WEIR_EVENT_READABLE, WEIR_E_END, asked, 1);
    assert_int_equal(call_read(&p.net, p.a, asked, got, sizeof got), 1);
    assert_int_equal(call_read(&p.net, p.a, asked, got, sizeof got), WEIR_E_END);
    to_a(1);
    expect_event(0, WEIR_EVENT_REQUEST_CLOSED, 0, asked, 0);
    assert_int_equal(p.events[0].user, 6);
    assert_int_equal(call_read(&p.net, p.a, asked, got, sizeof got), WEIR_E_END);
    to_a(0);
    assert_int_equal(call_read(&p.net, p.a, asked, got, sizeof got), WEIR_E_STALE);
}

static void test_an_empty_chunked_response_has_its_end_and_its_close(void **state)
{
    weir_request_options o = {.size = sizeof o, .flags = WEIR_CHUNKED};
    (void)state;
    uint64_t asked = ask("x", &o);
    to_b(1);
    assert_int_equal(respond(p.events[0].object, "", 0), 0);
    to_a(3);
    expect_event(0, WEIR_EVENT_RESPONSE, 0, asked, 0);
    expect_event(1, WEIR_EVENT_READABLE, WEIR_E_END, asked, 0);
    expect_event(2, WEIR_EVENT_REQUEST_CLOSED, 0, asked, 0);
}

static void test_a_refusal_brings_its_reason_hint_and_text(void **state)
{
    (void)state;
    uint64_t asked = ask("x", NULL);
    to_b(1);
    uint64_t served = p.events[0].object;
    struct node_call call = {.kind = NODE_CALL_REQUEST_REFUSE,
                             .object = served,
                             .flags = 9,
                             .number = 250000,
                             .data = "not today",
                             .len = 9};
    assert_int_equal(net_input(&p.net, p.b, NODE_INPUT_CALL, &call), 0);
    to_b(1);
    expect_event(0, WEIR_EVENT_REQUEST_CLOSED, 0, served, 9);
    to_a(1);
    expect_event(0, WEIR_EVENT_RESPONSE, WEIR_E_REFUSED, asked, 9);
    weir_request_info info = info_of(p.a, asked);
    assert_int_equal(info.retry_us, 250000);
    assert_string_equal(info.text, "not today");
    assert_int_equal(info.error, WEIR_E_REFUSED);
    assert_int_equal(read_whole(p.a, asked, NULL, 0), WEIR_E_REFUSED);
    to_a(0);
    assert_int_equal(cancel(p.a, asked, 1), WEIR_E_STALE);
    assert_int_equal(metric(METRIC_REQUESTS_REFUSED), 1);
    assert_int_equal(metric(METRIC_STREAMS_OPEN), 0);
}

static void test_refusing_what_has_begun_is_an_error(void **state)
{
    (void)state;
    (void)ask("x", NULL);
    to_b(1);
    uint64_t served = p.events[0].object;
    assert_int_equal(respond(served, "a", WEIR_MORE), 1);
    assert_int_equal(call_simple(&p.net, p.b, NODE_CALL_REQUEST_REFUSE, served, 9, 0),
                     WEIR_E_STATE);
}

static void test_calls_know_which_side_a_handle_is_of(void **state)
{
    (void)state;
    uint64_t asked = ask("x", NULL);
    assert_int_equal(call_stream(&p.net, p.a, NODE_CALL_REQUEST_RESPOND, asked, 0, "x", 1),
                     WEIR_E_KIND);
    assert_int_equal(call_simple(&p.net, p.a, NODE_CALL_STREAM_RESET, asked, 1, 0), WEIR_E_KIND);
    assert_int_equal(call_stream(&p.net, p.a, NODE_CALL_STREAM_WRITE, asked, 0, "x", 1),
                     WEIR_E_FINISHED);
    assert_int_equal(read_whole(p.a, p.conn[0], NULL, 0), WEIR_E_KIND);
    assert_int_equal(read_whole(p.a, asked, NULL, 0), WEIR_E_STATE);
    assert_int_equal(call_simple(&p.net, p.a, NODE_CALL_STREAM_SET_USER, asked, 0, 42), 0);
    assert_int_equal(info_of(p.a, asked).user, 42);
    assert_int_equal(send_text("m", NULL), 1);
    to_b(2);
    for (uint32_t i = 0; i < 2; i++) {
        uint64_t h = p.events[i].object;
        if (p.events[i].kind == WEIR_EVENT_MESSAGE) {
            assert_int_equal(respond(h, "x", 0), WEIR_E_KIND);
        } else {
            assert_int_equal(call_stream(&p.net, p.b, NODE_CALL_STREAM_WRITE, h, 0, "x", 1),
                             WEIR_E_KIND);
        }
    }
}

static void test_an_asker_that_gives_up_is_heard_by_the_server(void **state)
{
    (void)state;
    uint64_t asked = ask("x", NULL);
    to_b(1);
    uint64_t served = p.events[0].object;
    assert_int_equal(cancel(p.a, asked, 11), 0);
    assert_int_equal(cancel(p.a, asked, 11), WEIR_E_STALE);
    to_b(1);
    expect_event(0, WEIR_EVENT_REQUEST_CLOSED, WEIR_E_STOPPED, served, 11);
    assert_int_equal(respond(served, "late", 0), WEIR_E_STOPPED);
    to_a(0);
    assert_int_equal(metric(METRIC_REQUESTS_CANCELLED), 2);
    assert_int_equal(metric(METRIC_STREAMS_OPEN), 0);
}

static void test_a_server_that_gives_up_is_heard_by_the_asker(void **state)
{
    (void)state;
    static const struct {
        uint32_t reason;
        int error;
    } cases[] = {
        {11, WEIR_E_RESET},
        {WEIR_REASON_SCRIPT, WEIR_E_RESET},
        {WEIR_REASON_FORMAT, WEIR_E_PROTOCOL},
        {WEIR_REASON_TOO_LARGE, WEIR_E_LIMIT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t asked = ask("x", NULL);
        to_b(1);
        assert_int_equal(cancel(p.b, p.events[0].object, cases[i].reason), 0);
        to_a(1);
        expect_event(0, WEIR_EVENT_RESPONSE, cases[i].error, asked, cases[i].reason);
        to_b(0);
    }
}

static void test_what_is_not_served_in_this_way_is_refused_by_name(void **state)
{
    weir_serve_options o = serving(WEIR_KIND_MESSAGE);
    (void)state;
    uint64_t asked = ask("x", NULL);
    to_b(0);
    to_a(1);
    expect_event(0, WEIR_EVENT_RESPONSE, WEIR_E_UNSUPPORTED, asked,
                 WEIR_REASON_PROTOCOL_NOT_SERVED);
    serve(&o);
    asked = ask("x", NULL);
    to_b(0);
    to_a(1);
    expect_event(0, WEIR_EVENT_RESPONSE, WEIR_E_UNSUPPORTED, asked, WEIR_REASON_KIND);
    assert_int_equal(metric(METRIC_STREAMS_OPEN), 0);
}

static void test_the_rules_of_a_protocol_are_checked(void **state)
{
    static const struct {
        weir_serve_options o;
        int expected;
    } cases[] = {
        {{.kinds = WEIR_KIND_MESSAGE}, WEIR_E_ARGUMENT}, /* no overflow */
        {{.kinds = WEIR_KIND_MESSAGE, .overflow = WEIR_OVERFLOW_BLOCK}, WEIR_E_ARGUMENT},
        {{.kinds = WEIR_KIND_MESSAGE, .overflow = WEIR_OVERFLOW_MERGE}, WEIR_E_ARGUMENT},
        {{.kinds = WEIR_KIND_MESSAGE,
          .overflow = WEIR_OVERFLOW_DROP_OLD,
          .message_max_bytes = 16385},
         WEIR_E_ARGUMENT},
        {{.kinds = WEIR_KIND_REQUEST, .request_max_bytes = 131073}, WEIR_E_ARGUMENT},
        {{.kinds = WEIR_KIND_REQUEST, .request_max_bytes = 131073, .request_chunked = 1}, 0},
        {{.kinds = WEIR_KIND_REQUEST, .request_chunked = 2}, WEIR_E_ARGUMENT},
        {{.kinds = WEIR_KIND_REQUEST, .request_max_bytes = 131072}, 0},
        {{.kinds = WEIR_KIND_MESSAGE,
          .overflow = WEIR_OVERFLOW_DROP_OLD,
          .message_max_bytes = 16384},
         0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%zu", i);
        int64_t result = call_text(&p.net, p.b, NODE_CALL_SERVE, 0, name, &cases[i].o);
        if (result != cases[i].expected) fail_msg("case %zu gives %lld", i, (long long)result);
        if (result != 0) assert_true(node_error(p.b)->detail[0] != 0);
    }
}

static void test_a_response_has_a_bound_on_either_side(void **state)
{
    weir_serve_options o = serving(WEIR_KIND_REQUEST);
    weir_request_options small = {.size = sizeof small, .response_max_bytes = 3};
    (void)state;
    o.response_max_bytes = 5;
    serve(&o);
    uint64_t asked = ask("x", &small);
    to_b(1);
    uint64_t served = p.events[0].object;
    assert_int_equal(respond(served, "123456", 0), WEIR_E_LIMIT);
    assert_int_equal(respond(served, "1234", WEIR_MORE), 4);
    assert_int_equal(respond(served, "56", 0), WEIR_E_LIMIT);
    flush(p.b, served);
    assert_int_equal(respond(served, "5", 0), 1);
    to_a(1);
    expect_event(0, WEIR_EVENT_RESPONSE, WEIR_E_LIMIT, asked, WEIR_REASON_TOO_LARGE);
    assert_int_equal(metric(METRIC_REQUESTS_TOO_LARGE), 1);
    weir_request_options large = {.size = sizeof large, .response_max_bytes = 131073};
    assert_int_equal(ask_bytes("x", 1, &large), WEIR_E_ARGUMENT);
    large.flags = WEIR_CHUNKED;
    assert_true(ask_bytes("x", 1, &large) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HERE(test_a_message_arrives_whole_and_its_handle_is_stale_once_read),
        HERE(test_an_empty_message_is_a_message),
        HERE(test_a_message_can_be_looked_at_before_it_is_read),
        HERE(test_what_is_too_long_or_has_no_name_is_not_sent),
        HERE(test_what_does_not_fit_the_peers_streams_is_refused_with_its_limit),
        HERE(test_a_request_is_answered_and_each_side_hears_its_part),
        HERE(test_requests_and_responses_may_be_empty),
        HERE(test_a_request_in_pieces_is_whole_with_its_end),
        BARE(test_a_chunked_request_is_read_as_it_comes),
        BARE(test_the_end_of_a_chunked_request_that_comes_late_is_told_after_the_read),
        HERE(test_a_chunked_response_is_told_read_and_closed_in_this_order),
        HERE(test_an_empty_chunked_response_has_its_end_and_its_close),
        HERE(test_a_refusal_brings_its_reason_hint_and_text),
        HERE(test_refusing_what_has_begun_is_an_error),
        HERE(test_calls_know_which_side_a_handle_is_of),
        HERE(test_an_asker_that_gives_up_is_heard_by_the_server),
        HERE(test_a_server_that_gives_up_is_heard_by_the_asker),
        BARE(test_what_is_not_served_in_this_way_is_refused_by_name),
        BARE(test_the_rules_of_a_protocol_are_checked),
        BARE(test_a_response_has_a_bound_on_either_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
