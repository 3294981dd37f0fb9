/* SPDX-License-Identifier: MIT */
/* Goal: a dial races addresses as RFC 8305 says and gives one answer with a report. Method: routes
 * of the fake network answer, swallow or refuse; time is virtual, so attempts are counted at exact
 * moments. */
#include "unit/node/fake.h"
#include "node/dial.h"

struct scene {
    struct fake_net net;
    struct node *a, *b;
    weir_event events[16];
    char report[2048];
};

static int setup(void **state)
{
    static struct scene s;
    memset(&s, 0, sizeof s);
    net_init(&s.net);
    s.a = net_add(&s.net, NULL);
    s.b = net_add(&s.net, NULL);
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;
    net_free(&s->net);
    return 0;
}

static void route(struct scene *s, const char *address, uint32_t mode, uint64_t delay_us)
{
    struct endpoint e;
    assert_int_equal(endpoint_parse(&e, address, strlen(address)), 0);
    net_route(&s->net, e, mode, 1, delay_us);
}

static uint64_t dial(struct scene *s, const char *text)
{
    int64_t handle = call_text(&s->net, s->a, NODE_CALL_DIAL, 0, text, NULL);
    assert_true(handle > 0);
    return (uint64_t)handle;
}

static void invitation(char *out, size_t cap, const struct peer_id *peer, const char *where)
{
    char id[PEER_ID_TEXT_SIZE];
    (void)peer_id_format(peer, id);
    (void)snprintf(out, cap, "weir:%s@%s", id, where);
}

static void test_ipv4_gets_its_turn_250_ms_after_a_silent_ipv6(void **state)
{
    struct scene *s = *state;
    route(s, "[2600::1]:7", ROUTE_BLACKHOLE, 0);
    route(s, "8.8.8.8:7", ROUTE_UP, 20000);
    uint64_t c = dial(s, "8.8.8.8:7,[2600::1]:7");
    assert_int_equal(s->net.dials, 1);
    net_run(&s->net, 249999);
    assert_int_equal(s->net.dials, 1);
    net_run(&s->net, 1);
    assert_int_equal(s->net.dials, 2);
    assert_int_equal(net_poll(&s->net, s->a, s->events, 16), 0);
    net_run(&s->net, 20000);
    assert_int_equal(net_poll(&s->net, s->a, s->events, 16), 2);
    assert_int_equal(s->events[0].kind, WEIR_EVENT_CONNECTED);
    assert_int_equal(s->events[0].object, c);
    assert_true(node_connection_report(s->a, c, s->report, sizeof s->report) > 0);
    assert_non_null(strstr(s->report, "8.8.8.8:7: connected after 20 ms"));
    assert_non_null(strstr(s->report, "[2600::1]:7: was slower after 270 ms"));
    assert_int_equal(node_connection_report(s->a, c, s->report, 10), 9);
    assert_int_equal(strlen(s->report), 9);
    /* The loser is gone: one connection is left on our side. */
    assert_true(s->net.transports[0]->conns.next->next == &s->net.transports[0]->conns);
}

static void test_a_failed_attempt_makes_room_at_once_and_families_take_turns(void **state)
{
    struct scene *s = *state;
    route(s, "[2600::1]:7", ROUTE_UNREACHABLE, 5000);
    route(s, "[2600::2]:7", ROUTE_BLACKHOLE, 0);
    route(s, "8.8.8.8:7", ROUTE_BLACKHOLE, 0);
    (void)dial(s, "[2600::1]:7,[2600::2]:7,8.8.8.8:7");
    net_run(&s->net, 4999);
    assert_int_equal(s->net.dials, 1);
    net_run(&s->net, 1);
    assert_int_equal(s->net.dials, 2);
    struct fake_conn *last = list_entry(s->net.transports[0]->conns.prev, struct fake_conn, link);
    assert_int_equal(last->remote_address.family, ENDPOINT_IP4);
}

static void test_when_all_fail_one_answer_names_the_most_telling_error(void **state)
{
    struct scene *s = *state;
    char text[256];
    route(s, "8.8.8.8:7", ROUTE_UNREACHABLE, 1000);
    route(s, "8.8.4.4:7", ROUTE_UP, 1000);
    /* The first is unreachable, the second is another peer than the address says. */
    invitation(text, sizeof text, &s->net.keys[0].id, "8.8.8.8:7");
    struct peer_id stranger = s->net.keys[1].id;
    stranger.bytes[37] ^= 1;
    char first[120], second[120];
    invitation(first, sizeof first, &stranger, "8.8.8.8:7");
    invitation(second, sizeof second, &stranger, "8.8.4.4:7");
    (void)snprintf(text, sizeof text, "%s,%s", first, second);
    uint64_t c = dial(s, text);
    net_run(&s->net, 10000);
    assert_int_equal(net_poll(&s->net, s->a, s->events, 16), 1);
    assert_int_equal(s->events[0].kind, WEIR_EVENT_CONNECTION_CLOSED);
    assert_int_equal(s->events[0].object, c);
    assert_int_equal(s->events[0].error, WEIR_E_IDENTITY);
    assert_int_equal(s->events[0].amount, WEIR_REASON_IDENTITY);
    assert_true(node_connection_report(s->a, c, s->report, sizeof s->report) > 0);
    char wanted[PEER_ID_TEXT_SIZE], found[PEER_ID_TEXT_SIZE];
    (void)peer_id_format(&stranger, wanted);
    (void)peer_id_format(&s->net.keys[1].id, found);
    assert_non_null(strstr(s->report, wanted));
    assert_non_null(strstr(s->report, found));
    assert_non_null(
        strstr(s->report, "8.8.8.8:7: the network has no way there (unreachable) after 1 ms"));
    weir_connection_info info;
    assert_int_equal(node_connection_info(s->a, c, &info), 0);
    assert_int_equal(info.state, 2);
    assert_int_equal(info.error, WEIR_E_IDENTITY);
    assert_int_equal(net_poll(&s->net, s->a, s->events, 16), 0);
    assert_int_equal(node_connection_info(s->a, c, &info), WEIR_E_STALE);
    assert_int_equal(s->net.metrics.value[METRIC_DIALS_FAILED], 1);
}

static void test_the_deadline_ends_a_dial_and_parallel_attempts_are_bounded(void **state)
{
    struct scene *s = *state;
    const weir_dial_options options = {.size = sizeof options, .timeout_us = 5000000, .user = 9};
    for (int i = 1; i <= 6; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "8.8.8.%d:7", i);
        route(s, text, ROUTE_BLACKHOLE, 0);
    }
    int64_t c = call_text(&s->net, s->a, NODE_CALL_DIAL, 0,
                          "8.8.8.1:7,8.8.8.2:7,8.8.8.3:7,8.8.8.4:7,8.8.8.5:7,8.8.8.6:7", &options);
    assert_true(c > 0);
    net_run(&s->net, 4999999);
    assert_int_equal(s->net.dials, 4);
    assert_int_equal(net_poll(&s->net, s->a, s->events, 16), 0);
    net_run(&s->net, 1);
    assert_int_equal(net_poll(&s->net, s->a, s->events, 16), 1);
    assert_int_equal(s->events[0].error, WEIR_E_TIMEOUT);
    assert_int_equal(s->events[0].amount, WEIR_REASON_UNREACHABLE);
    assert_int_equal(s->events[0].user, 9);
    (void)node_connection_report(s->a, (uint64_t)c, s->report, sizeof s->report);
    assert_non_null(strstr(s->report, "8.8.8.1:7: no answer after 5000 ms"));
    assert_non_null(strstr(s->report, "8.8.8.6:7: not tried"));
    assert_true(list_is_empty(&s->net.transports[0]->conns));
    assert_int_equal(node_deadline(s->a), UINT64_MAX);
}

/* ROUTE_SILENT: the attempt itself gives up, long before the dial. */
static void test_silent_addresses_are_raced_again_until_one_answers(void **state)
{
    struct scene *s = *state;
    route(s, "[2600::1]:7", ROUTE_SILENT, 1000000);
    route(s, "8.8.8.8:7", ROUTE_SILENT, 1000000);
    uint64_t c = dial(s, "8.8.8.8:7,[2600::1]:7");
    net_run(&s->net, 1249999);
    assert_int_equal(s->net.dials, 2);
    net_run(&s->net, 1);
    assert_int_equal(s->net.dials, 3);
    s->net.routes[s->net.route_count - 1].mode = ROUTE_UP;
    s->net.routes[s->net.route_count - 1].delay_us = 20000;
    assert_true(node_connection_report(s->a, c, s->report, sizeof s->report) > 0);
    assert_non_null(strstr(s->report, "8.8.8.8:7: no answer (unreachable) after 1000 ms\n"));
    assert_non_null(strstr(s->report, "[2600::1]:7: no answer yet after 0 ms, round 2"));
    net_run(&s->net, 249999);
    assert_int_equal(s->net.dials, 3);
    net_run(&s->net, 1);
    assert_int_equal(s->net.dials, 4);
    net_run(&s->net, 20000);
    assert_int_equal(net_poll(&s->net, s->a, s->events, 16), 2);
    assert_int_equal(s->events[0].kind, WEIR_EVENT_CONNECTED);
    assert_int_equal(s->events[0].object, c);
    assert_true(node_connection_report(s->a, c, s->report, sizeof s->report) > 0);
    assert_non_null(strstr(s->report, "8.8.8.8:7: connected after 20 ms, round 2"));
    assert_non_null(strstr(s->report, "[2600::1]:7: was slower after 270 ms, round 2"));
}

static void test_the_deadline_ends_the_last_round(void **state)
{
    struct scene *s = *state;
    const weir_dial_options options = {.size = sizeof options, .timeout_us = 2500000};
    route(s, "8.8.8.8:7", ROUTE_SILENT, 1000000);
    int64_t c = call_text(&s->net, s->a, NODE_CALL_DIAL, 0, "8.8.8.8:7", &options);
    net_run(&s->net, 2499999);
    assert_int_equal(s->net.dials, 3);
    assert_int_equal(net_poll(&s->net, s->a, s->events, 16), 0);
    net_run(&s->net, 1);
    assert_int_equal(net_poll(&s->net, s->a, s->events, 16), 1);
    assert_int_equal(s->events[0].object, c);
    assert_int_equal(s->events[0].error, WEIR_E_TIMEOUT);
    (void)node_connection_report(s->a, (uint64_t)c, s->report, sizeof s->report);
    assert_string_equal(s->report, "8.8.8.8:7: no answer after 500 ms, round 3");
    assert_true(list_is_empty(&s->net.transports[0]->conns));
}

static void test_what_cannot_get_better_is_not_tried_again(void **state)
{
    static const struct {
        uint32_t modes[2];
        uint64_t delays_us[2];
        bool is_stranger;
        uint32_t dials; /* within 2.4 s */
        int error;
    } rows[] = {
        {{ROUTE_SILENT, ROUTE_SILENT}, {1000000, 1000000}, false, 4, 0},
        /* The way may come back with the other one. */
        {{ROUTE_SILENT, ROUTE_UNREACHABLE}, {1000000, 1000}, false, 6, 0},
        {{ROUTE_SILENT, ROUTE_UP}, {1000000, 1000}, true, 2, WEIR_E_IDENTITY},
        {{ROUTE_UNREACHABLE, ROUTE_UNREACHABLE}, {600000, 1000}, false, 2, WEIR_E_UNREACHABLE},
        /* What fails at once would fail at once again. */
        {{ROUTE_SILENT, ROUTE_SILENT}, {1000, 1000}, false, 2, WEIR_E_TIMEOUT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)teardown(state);
        (void)setup(state);
        struct scene *s = *state;
        struct peer_id peer = s->net.keys[1].id;
        char first[120], second[120], text[256];
        if (rows[i].is_stranger) peer.bytes[37] ^= 1;
        route(s, "8.8.8.8:7", rows[i].modes[0], rows[i].delays_us[0]);
        route(s, "8.8.4.4:7", rows[i].modes[1], rows[i].delays_us[1]);
        invitation(first, sizeof first, &peer, "8.8.8.8:7");
        invitation(second, sizeof second, &peer, "8.8.4.4:7");
        (void)snprintf(text, sizeof text, "%s,%s", first, second);
        (void)dial(s, text);
        net_run(&s->net, 2400000);
        if (s->net.dials != rows[i].dials) fail_msg("row %zu: %u dials", i, s->net.dials);
        int64_t count = net_poll(&s->net, s->a, s->events, 16);
        assert_int_equal(count, rows[i].error == 0 ? 0 : 1);
        if (count == 1) assert_int_equal(s->events[0].error, rows[i].error);
    }
}

static void resolved(struct scene *s, uint32_t lookup, int error, const struct endpoint *addresses,
                     uint32_t count, bool ip6_first)
{
    struct node_input in = {.kind = NODE_INPUT_RESOLVED, .now_us = s->net.now_us};
    in.resolved.token = s->net.lookups[lookup].token;
    in.resolved.error = error;
    in.resolved.addresses = addresses;
    in.resolved.count = count;
    in.resolved.ip6_first = ip6_first;
    assert_int_equal(node_input(s->a, &in), 0);
}

static void test_names_are_looked_up_and_their_answers_dialled_with_the_port(void **state)
{
    struct scene *s = *state;
    const struct endpoint v4 = endpoint_ip4(8, 8, 8, 8, 0);
    route(s, "8.8.8.8:4001", ROUTE_UP, 1000);
    uint64_t c = dial(s, "example.org:4001");
    assert_int_equal(s->net.lookup_count, 1);
    assert_string_equal(s->net.lookups[0].name, "example.org");
    assert_int_equal(s->net.dials, 0);
    resolved(s, 0, 0, &v4, 1, false);
    assert_int_equal(s->net.dials, 1);
    resolved(s, 0, 0, &v4, 1, false); /* a second answer to the same question is ignored */
    assert_int_equal(s->net.dials, 1);
    net_run(&s->net, 1000);
    assert_int_equal(net_poll(&s->net, s->a, s->events, 16), 2);
    assert_int_equal(s->events[0].object, c);
    resolved(s, 0, 0, &v4, 1, false); /* the dial is gone */
    assert_int_equal(s->net.dials, 1);
}

static void test_ipv4_waits_50_ms_for_an_ipv6_answer_that_is_due(void **state)
{
    struct scene *s = *state;
    const struct endpoint v4 = endpoint_ip4(8, 8, 8, 8, 0);
    (void)dial(s, "/dns4/example.org/udp/7/weir,/dns6/example.org/udp/7/weir");
    assert_int_equal(s->net.lookup_count, 2);
    resolved(s, 0, 0, &v4, 1, false);
    net_run(&s->net, 49999);
    assert_int_equal(s->net.dials, 0);
    net_run(&s->net, 1);
    assert_int_equal(s->net.dials, 1);
}

static void test_an_unknown_name_is_the_answer_and_says_so(void **state)
{
    struct scene *s = *state;
    uint64_t c = dial(s, "nowhere.example:7");
    resolved(s, 0, WEIR_E_HOST_UNKNOWN, NULL, 0, false);
    assert_int_equal(net_poll(&s->net, s->a, s->events, 16), 1);
    assert_int_equal(s->events[0].object, c);
    assert_int_equal(s->events[0].error, WEIR_E_HOST_UNKNOWN);
    (void)node_connection_report(s->a, c, s->report, sizeof s->report);
    assert_string_equal(s->report, "nowhere.example: the name has no address");
}

static void test_special_ranges_are_refused_with_their_name(void **state)
{
    struct scene *s = *state;
    uint64_t c = dial(s, "192.0.2.1:7,224.0.0.1:7");
    assert_int_equal(s->net.dials, 0);
    assert_int_equal(net_poll(&s->net, s->a, s->events, 16), 1);
    assert_int_equal(s->events[0].error, WEIR_E_ADDRESS);
    (void)node_connection_report(s->a, c, s->report, sizeof s->report);
    assert_non_null(strstr(s->report, "TEST-NET-1"));
    assert_non_null(strstr(s->report, "224.0.0.1:7: "));
}

static void test_bad_text_two_peers_and_oneself_are_refused_at_the_call(void **state)
{
    struct scene *s = *state;
    char one[120], two[120], both[256];
    assert_int_equal(call_text(&s->net, s->a, NODE_CALL_DIAL, 0, "", NULL), WEIR_E_ADDRESS);
    assert_int_equal(call_text(&s->net, s->a, NODE_CALL_DIAL, 0, "8.8.8.8:7,", NULL),
                     WEIR_E_ADDRESS);
    assert_int_equal(call_text(&s->net, s->a, NODE_CALL_DIAL, 0, "8.8.8.8:99999", NULL),
                     WEIR_E_ADDRESS);
    assert_true(node_error(s->a)->detail[0] != 0);
    assert_int_equal(call_text(&s->net, s->a, NODE_CALL_DIAL, 0, "/ip4/8.8.8.8/tcp/7", NULL),
                     WEIR_E_ADDRESS);
    invitation(one, sizeof one, &s->net.keys[1].id, "8.8.8.8:7");
    struct peer_id other = s->net.keys[1].id;
    other.bytes[37] ^= 1;
    invitation(two, sizeof two, &other, "8.8.8.8:7");
    (void)snprintf(both, sizeof both, "%s,%s", one, two);
    assert_int_equal(call_text(&s->net, s->a, NODE_CALL_DIAL, 0, both, NULL), WEIR_E_PEER_ID);
    invitation(one, sizeof one, &s->net.keys[0].id, "8.8.8.8:7");
    assert_int_equal(call_text(&s->net, s->a, NODE_CALL_DIAL, 0, one, NULL), WEIR_E_PEER_ID);
    assert_int_equal(call_peer(&s->net, s->a, NODE_CALL_PEER_DIAL, &s->net.keys[1].id, 0),
                     WEIR_E_NOT_FOUND);
    /* Oneself without an id is found out when the peer is known. */
    uint64_t c = dial_memory(&s->net, s->a, 0);
    net_run(&s->net, 2000);
    assert_int_equal(net_poll(&s->net, s->a, s->events, 16), 1);
    assert_int_equal(s->events[0].object, c);
    assert_int_equal(s->events[0].error, WEIR_E_REFUSED);
    (void)node_connection_report(s->a, c, s->report, sizeof s->report);
    assert_non_null(strstr(s->report, "the node itself"));
}

static void test_a_known_connection_answers_a_second_dial(void **state)
{
    struct scene *s = *state;
    uint64_t handles[2];
    char text[120];
    net_pair(&s->net, handles);
    invitation(text, sizeof text, &s->net.keys[1].id, "8.8.8.8:7");
    assert_int_equal(dial(s, text), handles[0]);
    assert_int_equal(s->net.dials, 1);
    assert_int_equal(net_poll(&s->net, s->a, s->events, 16), 1);
    assert_int_equal(s->events[0].kind, WEIR_EVENT_CONNECTED);
    assert_int_equal(s->events[0].object, handles[0]);
}

static void test_closing_the_handle_cancels_the_dial(void **state)
{
    struct scene *s = *state;
    route(s, "8.8.8.8:7", ROUTE_BLACKHOLE, 0);
    uint64_t c = dial(s, "8.8.8.8:7,example.org:7");
    assert_int_equal(call_text(&s->net, s->a, NODE_CALL_STREAM_OPEN, c, "echo", NULL),
                     WEIR_E_NOT_CONNECTED);
    assert_int_equal(call_simple(&s->net, s->a, NODE_CALL_CONNECTION_CLOSE, c, 12, 0), 0);
    assert_true(s->net.lookups[0].cancelled);
    assert_int_equal(net_poll(&s->net, s->a, s->events, 16), 1);
    assert_int_equal(s->events[0].error, 0);
    assert_int_equal(s->events[0].amount, 12);
    assert_int_equal(call_simple(&s->net, s->a, NODE_CALL_CONNECTION_CLOSE, c, 12, 0), 0);
    assert_int_equal(net_poll(&s->net, s->a, s->events, 16), 0);
}

static void test_dials_and_their_addresses_are_bounded(void **state)
{
    struct scene *s = *state;
    char text[512] = "8.8.8.1:7";
    for (int i = 2; i <= 17; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), ",8.8.8.%d:7", i);
    assert_int_equal(call_text(&s->net, s->a, NODE_CALL_DIAL, 0, text, NULL), WEIR_E_LIMIT);
    s->net.limits.value[LIMIT_DIALS] = 2;
    route(s, "8.8.8.8:7", ROUTE_BLACKHOLE, 0);
    (void)dial(s, "8.8.8.8:7");
    (void)dial(s, "8.8.8.8:7");
    assert_int_equal(call_text(&s->net, s->a, NODE_CALL_DIAL, 0, "8.8.8.8:7", NULL), WEIR_E_LIMIT);
    assert_string_equal(node_error(s->a)->limit_name, "dials");
}

static void test_the_book_dials_by_peer_and_learns_from_success(void **state)
{
    struct scene *s = *state;
    weir_peer_info info;
    char text[WEIR_ADDRESS_TEXT_MAX];
    struct node_call add = {.kind = NODE_CALL_PEER_ADD_ADDRESS,
                            .peer = &s->net.keys[1].id,
                            .data = "8.8.8.8:7",
                            .len = 9};
    route(s, "8.8.8.8:7", ROUTE_UP, 1000);
    assert_int_equal(net_input(&s->net, s->a, NODE_INPUT_CALL, &add), 0);
    assert_true(node_peer_address(s->a, &s->net.keys[1].id, 0, text, sizeof text) > 0);
    assert_non_null(strstr(text, "/ip4/8.8.8.8/udp/7/weir"));
    assert_int_equal(node_peer_address(s->a, &s->net.keys[1].id, 1, text, sizeof text),
                     WEIR_E_NOT_FOUND);
    int64_t c = call_peer(&s->net, s->a, NODE_CALL_PEER_DIAL, &s->net.keys[1].id, 0);
    assert_true(c > 0);
    net_run(&s->net, 1000);
    assert_int_equal(net_poll(&s->net, s->a, s->events, 16), 2);
    assert_int_equal(node_peer_info(s->a, &s->net.keys[1].id, &info), 0);
    assert_int_equal(info.connection, c);
    assert_int_equal(info.connections, 1);
    assert_int_equal(info.addresses, 1);
    assert_int_equal(info.is_dialled, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(test_ipv4_gets_its_turn_250_ms_after_a_silent_ipv6),
        T(test_a_failed_attempt_makes_room_at_once_and_families_take_turns),
        T(test_when_all_fail_one_answer_names_the_most_telling_error),
        T(test_the_deadline_ends_a_dial_and_parallel_attempts_are_bounded),
        T(test_silent_addresses_are_raced_again_until_one_answers),
        T(test_the_deadline_ends_the_last_round),
        T(test_what_cannot_get_better_is_not_tried_again),
        T(test_names_are_looked_up_and_their_answers_dialled_with_the_port),
        T(test_ipv4_waits_50_ms_for_an_ipv6_answer_that_is_due),
        T(test_an_unknown_name_is_the_answer_and_says_so),
        T(test_special_ranges_are_refused_with_their_name),
        T(test_bad_text_two_peers_and_oneself_are_refused_at_the_call),
        T(test_a_known_connection_answers_a_second_dial),
        T(test_closing_the_handle_cancels_the_dial),
        T(test_dials_and_their_addresses_are_bounded),
        T(test_the_book_dials_by_peer_and_learns_from_success),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
