/* SPDX-License-Identifier: MIT */
/* Goal: the application hears what happened, in order, once, and ends last. Method: two nodes over
 * the fake network, whose lanes move only when the test says so. */
#include "unit/node/fake.h"

struct pair {
    struct fake_net net;
    struct node *a, *b;
    uint64_t conn[2];
    weir_event events[32];
};

static int setup(void **state)
{
    static struct pair p;
    const weir_serve_options options = {.size = sizeof options, .user = 77, .urgency_plus1 = 3};
    memset(&p, 0, sizeof p);
    net_init(&p.net);
    p.a = net_add(&p.net, NULL);
    p.b = net_add(&p.net, NULL);
    assert_int_equal(call_text(&p.net, p.b, NODE_CALL_SERVE, 0, "echo", &options), 0);
    net_pair(&p.net, p.conn);
    *state = &p;
    return 0;
}

static int teardown(void **state)
{
    struct pair *p = *state;
    net_free(&p->net);
    return 0;
}

static uint64_t open_stream(struct pair *p, const char *text, uint32_t flags)
{
    int64_t s = call_text(&p->net, p->a, NODE_CALL_STREAM_OPEN, p->conn[0], "echo", NULL);
    assert_true(s > 0);
    assert_int_equal(
        call_stream(&p->net, p->a, NODE_CALL_STREAM_WRITE, (uint64_t)s, flags, text, strlen(text)),
        strlen(text));
    return (uint64_t)s;
}

static void test_a_connection_is_told_to_both_sides_before_its_peer(void **state)
{
    struct fake_net net;
    weir_event e[4];
    (void)state;
    net_init(&net);
    struct node *a = net_add(&net, NULL), *b = net_add(&net, NULL);
    node_set_number(b, 5);
    uint64_t dial = dial_memory(&net, a, 1);
    assert_int_equal(net_poll(&net, a, e, 4), 0);
    net_run(&net, 1000);
    assert_int_equal(net_poll(&net, a, e, 4), 2);
    assert_int_equal(e[0].kind, WEIR_EVENT_CONNECTED);
    assert_int_equal(e[0].object, dial);
    assert_int_equal(e[0].amount, 1);
    assert_int_equal(e[1].kind, WEIR_EVENT_PEER_UP);
    assert_int_equal(e[1].object, dial);
    assert_int_equal(net_poll(&net, b, e, 1), 1);
    assert_int_equal(e[0].kind, WEIR_EVENT_CONNECTED);
    assert_int_equal(e[0].amount, 0);
    assert_int_equal(e[0].node, 5);
    assert_int_equal(net_poll(&net, b, e, 1), 1);
    assert_int_equal(e[0].kind, WEIR_EVENT_PEER_UP);
    assert_int_equal(net_poll(&net, b, e, 1), 0);
    net_free(&net);
}

static void test_open_body_and_end_arrive_as_stream_readable_and_nothing_more(void **state)
{
    struct pair *p = *state;
    char text[16];
    uint64_t s = open_stream(p, "hello", WEIR_FIN);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 32), 0); /* a has not come back to poll */
    assert_int_equal(net_poll(&p->net, p->a, p->events, 32), 0);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 32), 2);
    assert_int_equal(p->events[0].kind, WEIR_EVENT_STREAM);
    assert_int_equal(p->events[0].parent, p->conn[1]);
    assert_int_equal(p->events[0].user, 77);
    assert_int_equal(p->events[1].kind, WEIR_EVENT_READABLE);
    assert_int_equal(p->events[1].amount, 5);
    assert_int_equal(p->events[1].error, WEIR_E_END);
    uint64_t far = p->events[0].object;
    assert_int_equal(net_poll(&p->net, p->b, p->events, 32), 0);
    assert_int_equal(call_read(&p->net, p->b, far, text, sizeof text), 5);
    assert_memory_equal(text, "hello", 5);
    assert_int_equal(call_read(&p->net, p->b, far, text, sizeof text), WEIR_E_END);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 32), 0);
    weir_stream_info info;
    assert_int_equal(node_stream_info(p->b, far, &info), 0);
    assert_string_equal(info.protocol, "echo");
    assert_int_equal(info.urgency, 2);
    assert_int_equal(info.is_local, 0);
    assert_int_equal(node_stream_info(p->a, s, &info), 0);
    assert_string_equal(info.protocol, "echo");
    assert_int_equal(info.write_state, 3);
}

static void test_readable_comes_again_only_after_the_application_acted(void **state)
{
    struct pair *p = *state;
    char text[4];
    uint64_t s = open_stream(p, "aaaa", 0);
    (void)net_poll(&p->net, p->a, p->events, 32);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 32), 2);
    uint64_t far = p->events[0].object;
    (void)call_stream(&p->net, p->a, NODE_CALL_STREAM_WRITE, s, 0, "bbbb", 4);
    (void)net_poll(&p->net, p->a, p->events, 32);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 32), 0);
    assert_int_equal(call_read(&p->net, p->b, far, text, 4), 4);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 32), 1);
    assert_int_equal(p->events[0].kind, WEIR_EVENT_READABLE);
    assert_int_equal(p->events[0].amount, 4);
    assert_int_equal(p->events[0].error, 0);
    /* The end comes while READABLE is told and not acted upon: it is told once the bytes are read.
     */
    (void)call_stream(&p->net, p->a, NODE_CALL_STREAM_WRITE, s, WEIR_FIN, NULL, 0);
    (void)net_poll(&p->net, p->a, p->events, 32);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 32), 0);
    assert_int_equal(call_read(&p->net, p->b, far, text, 4), 4);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 32), 1);
    assert_int_equal(p->events[0].kind, WEIR_EVENT_READABLE);
    assert_int_equal(p->events[0].amount, 0);
    assert_int_equal(p->events[0].error, WEIR_E_END);
}

static void test_facts_that_the_application_made_untrue_are_not_told(void **state)
{
    struct pair *p = *state;
    char text[8];
    uint64_t s = open_stream(p, "aaaa", 0);
    (void)net_poll(&p->net, p->a, p->events, 32);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 1), 1);
    uint64_t far = p->events[0].object;
    assert_int_equal(call_read(&p->net, p->b, far, text, 8), 4);
    assert_false(node_has_events(p->b));
    assert_int_equal(net_poll(&p->net, p->b, p->events, 32), 0);
    assert_int_equal(call_stream(&p->net, p->a, NODE_CALL_STREAM_RESET, s, 9, NULL, 0), 0);
}

static void test_a_write_that_took_less_is_followed_by_one_writable(void **state)
{
    struct pair *p = *state;
    static uint8_t bulk[1 << 20];
    uint64_t s = open_stream(p, "x", 0);
    int64_t taken = call_stream(&p->net, p->a, NODE_CALL_STREAM_WRITE, s, 0, bulk, sizeof bulk);
    assert_true(taken > 0 && taken < (int64_t)sizeof bulk);
    assert_int_equal(call_stream(&p->net, p->a, NODE_CALL_STREAM_WRITE, s, 0, bulk, 100), 0);
    weir_stream_info info;
    assert_int_equal(node_stream_info(p->a, s, &info), 0);
    assert_int_not_equal(info.blocked_by, 0);
    assert_int_equal(net_poll(&p->net, p->a, p->events, 32), 0);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 32), 2);
    uint64_t far = p->events[0].object;
    int64_t got = 0, n;
    while ((n = call_read(&p->net, p->b, far, bulk, sizeof bulk)) > 0) got += n;
    assert_int_equal(got, taken + 1);
    assert_int_equal(n, 0);
    net_settle(&p->net);
    assert_int_equal(net_poll(&p->net, p->a, p->events, 32), 1);
    assert_int_equal(p->events[0].kind, WEIR_EVENT_WRITABLE);
    assert_int_equal(p->events[0].object, s);
    assert_true(p->events[0].amount > 0);
    assert_int_equal(net_poll(&p->net, p->a, p->events, 32), 0);
}

static void test_reset_stop_and_close_come_in_this_order_with_their_reasons(void **state)
{
    struct pair *p = *state;
    uint64_t s = open_stream(p, "x", 0);
    (void)net_poll(&p->net, p->a, p->events, 32);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 32), 2);
    uint64_t far = p->events[0].object;
    assert_int_equal(call_stream(&p->net, p->a, NODE_CALL_STREAM_RESET, s, 41, NULL, 0), 0);
    assert_int_equal(call_stream(&p->net, p->a, NODE_CALL_STREAM_STOP, s, 42, NULL, 0), 0);
    net_settle(&p->net);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 32), 3);
    assert_int_equal(p->events[0].kind, WEIR_EVENT_STREAM_RESET);
    assert_int_equal(p->events[0].error, WEIR_E_RESET);
    assert_int_equal(p->events[0].amount, 41);
    assert_int_equal(p->events[1].kind, WEIR_EVENT_STREAM_STOPPED);
    assert_int_equal(p->events[1].amount, 42);
    assert_int_equal(p->events[2].kind, WEIR_EVENT_STREAM_CLOSED);
    assert_int_equal(p->events[2].amount, 41);
    weir_stream_info info;
    assert_int_equal(node_stream_info(p->b, far, &info), 0); /* readable until the next poll */
    assert_int_equal(info.read_reason, 41);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 32), 0);
    assert_int_equal(node_stream_info(p->b, far, &info), WEIR_E_STALE);
    assert_int_equal(call_stream(&p->net, p->b, NODE_CALL_STREAM_WRITE, far, 0, "x", 1),
                     WEIR_E_STALE);
}

static void test_streams_close_before_their_connection_and_the_peer_goes_last(void **state)
{
    struct pair *p = *state;
    weir_connection_info info;
    uint64_t s1 = open_stream(p, "x", 0), s2 = open_stream(p, "y", 0);
    (void)net_poll(&p->net, p->a, p->events, 32);
    assert_int_equal(net_poll(&p->net, p->b, p->events, 1), 1); /* the rest waits: back-pressure */
    struct node_call close = {.kind = NODE_CALL_CONNECTION_CLOSE,
                              .object = p->conn[0],
                              .flags = 9,
                              .data = "bye",
                              .len = 3};
    assert_int_equal(net_input(&p->net, p->a, NODE_INPUT_CALL, &close), 0);
    assert_int_equal(net_input(&p->net, p->a, NODE_INPUT_CALL, &close), 0);
    net_settle(&p->net);
    assert_int_equal(net_poll(&p->net, p->a, p->events, 32), 4);
    assert_int_equal(count_kind(p->events, 2, WEIR_EVENT_STREAM_CLOSED), 2);
    assert_true((p->events[0].object == s1 && p->events[1].object == s2) ||
                (p->events[0].object == s2 && p->events[1].object == s1));
    assert_int_equal(p->events[0].amount, WEIR_REASON_CONNECTION);
    assert_int_equal(p->events[2].kind, WEIR_EVENT_CONNECTION_CLOSED);
    assert_int_equal(p->events[2].error, 0);
    assert_int_equal(p->events[2].amount, 9);
    assert_int_equal(p->events[3].kind, WEIR_EVENT_PEER_DOWN);
    assert_int_equal(node_connection_info(p->a, p->conn[0], &info), 0);
    assert_int_equal(info.state, 2);
    assert_int_equal(info.closed_by, 1);
    uint32_t total = 0, closed = 0;
    uint32_t kinds[16];
    for (uint32_t n; (n = net_poll(&p->net, p->b, p->events, 1)) > 0; total++) {
        kinds[total] = p->events[0].kind;
        closed += kinds[total] == WEIR_EVENT_STREAM_CLOSED ? 1u : 0u;
        if (kinds[total] == WEIR_EVENT_CONNECTION_CLOSED) {
            assert_int_equal(p->events[0].error, WEIR_E_PEER_CLOSED);
            assert_int_equal(node_connection_info(p->b, p->conn[1], &info), 0);
            assert_string_equal(info.closed_text, "bye");
            assert_int_equal(info.closed_by, 2);
        }
    }
    assert_int_equal(closed, 2);
    assert_int_equal(kinds[total - 2], WEIR_EVENT_CONNECTION_CLOSED);
    assert_int_equal(kinds[total - 1], WEIR_EVENT_PEER_DOWN);
    assert_int_equal(node_connection_info(p->b, p->conn[1], &info), WEIR_E_STALE);
}

static void test_handles_of_another_kind_and_forged_ones_are_told_apart(void **state)
{
    struct pair *p = *state;
    uint64_t s = open_stream(p, "x", 0);
    assert_int_equal(call_stream(&p->net, p->a, NODE_CALL_STREAM_WRITE, p->conn[0], 0, "x", 1),
                     WEIR_E_KIND);
    assert_int_equal(call_text(&p->net, p->a, NODE_CALL_STREAM_OPEN, s, "echo", NULL), WEIR_E_KIND);
    assert_int_equal(call_stream(&p->net, p->a, NODE_CALL_STREAM_WRITE, 12345, 0, "x", 1),
                     WEIR_E_STALE);
    assert_int_equal(call_simple(&p->net, p->a, NODE_CALL_CONNECTION_CLOSE, 0, 0, 0), WEIR_E_STALE);
    assert_int_equal(node_error(p->a)->code, WEIR_E_STALE);
    node_close(p->a);
    assert_int_equal(call_stream(&p->net, p->a, NODE_CALL_STREAM_WRITE, s, 0, "x", 1),
                     WEIR_E_CLOSED);
    assert_true(node_is_closed(p->a));
    assert_int_equal(node_next_events(p->a, p->events, 32), 0);
}

static void test_an_open_beyond_the_peers_limit_waits_for_openable(void **state)
{
    struct pair *p = *state;
    uint32_t max = (uint32_t)p->net.limits.value[LIMIT_STREAMS_BIDI];
    for (uint32_t i = 0; i < max; i++) (void)open_stream(p, "", WEIR_FIN);
    assert_int_equal(call_text(&p->net, p->a, NODE_CALL_STREAM_OPEN, p->conn[0], "echo", NULL),
                     WEIR_E_LIMIT);
    const weir_error *error = node_error(p->a);
    assert_string_equal(error->limit_name, "streams_bidi");
    assert_int_equal(error->limit_used, max);
    assert_int_equal(error->limit_side, LIMIT_SIDE_REMOTE);
    assert_true(error->detail[0] != 0);
    (void)net_poll(&p->net, p->a, p->events, 32);
    uint32_t n, openable = 0;
    while ((n = net_poll(&p->net, p->b, p->events, 32)) > 0) {
        for (uint32_t i = 0; i < n; i++) {
            if (p->events[i].kind != WEIR_EVENT_READABLE) continue;
            assert_int_equal(call_stream(&p->net, p->b, NODE_CALL_STREAM_WRITE, p->events[i].object,
                                         WEIR_FIN, NULL, 0),
                             0);
        }
    }
    while ((n = net_poll(&p->net, p->a, p->events, 32)) > 0)
        openable += count_kind(p->events, n, WEIR_EVENT_OPENABLE);
    (void)net_poll(&p->net, p->b, p->events, 32);
    while ((n = net_poll(&p->net, p->a, p->events, 32)) > 0)
        openable += count_kind(p->events, n, WEIR_EVENT_OPENABLE);
    assert_int_equal(openable, 1);
    (void)open_stream(p, "", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_connection_is_told_to_both_sides_before_its_peer),
        cmocka_unit_test_setup_teardown(
            test_open_body_and_end_arrive_as_stream_readable_and_nothing_more, setup, teardown),
        cmocka_unit_test_setup_teardown(test_readable_comes_again_only_after_the_application_acted,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_facts_that_the_application_made_untrue_are_not_told,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_write_that_took_less_is_followed_by_one_writable,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_reset_stop_and_close_come_in_this_order_with_their_reasons, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_streams_close_before_their_connection_and_the_peer_goes_last, setup, teardown),
        cmocka_unit_test_setup_teardown(test_handles_of_another_kind_and_forged_ones_are_told_apart,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_open_beyond_the_peers_limit_waits_for_openable,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
