/* SPDX-License-Identifier: MIT */
/* Goal: wrong arguments give the named error and nothing else happens. Method: a table of every
 * function that takes a node, each called with no node, a closed one, handles that are stale,
 * forged or of another kind. A test compares the table with weir.h, so that a new function cannot
 * be forgotten. Pointers that are missing and numbers out of range: ranges_test.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "api_world.h"

/* Kinds that a call takes, as a set; the first is the one that it is about. */
#define OF(kind) (1u << (kind))
#define NO_HANDLE OF(API_NONE)
#define CONNECTION OF(API_CONNECTION)
#define STREAM OF(API_STREAM)
#define BYTES (OF(API_STREAM) | OF(API_REQUEST)) /* stream calls that serve a request too */
#define REQUEST OF(API_REQUEST)
#define FEED OF(API_FEED)
#define SUBSCRIPTION OF(API_SUBSCRIPTION)
#define EITHER_FEED (OF(API_FEED) | OF(API_SUBSCRIPTION))
#define FETCH OF(API_FETCH)

struct call {
    const char *name;
    int64_t (*run)(weir_node *node, uint64_t handle);
    unsigned kinds;
    /* What it answers for a closed node and for no node. 0: WEIR_E_CLOSED and WEIR_E_NULL; 1: 0. */
    int64_t closed, null;
};

static weir_peer_id some_peer(void)
{
    weir_peer_id peer;
    uint8_t key[WEIR_KEY_BYTES];
    assert_int_equal(weir_key_generate(key, NULL), 0);
    assert_int_equal(weir_key_peer(key, &peer), 0);
    return peer;
}

static struct api_world world;
static char text[WEIR_ADDRESS_TEXT_MAX];
static uint64_t value;

#define CALL(name, expression)                                                                     \
    static int64_t name(weir_node *node, uint64_t handle)                                          \
    {                                                                                              \
        (void)handle;                                                                              \
        return (int64_t)(expression);                                                              \
    }
#define WITH(name, declaration, expression)                                                        \
    static int64_t name(weir_node *node, uint64_t handle)                                          \
    {                                                                                              \
        declaration;                                                                               \
        (void)handle;                                                                              \
        return (int64_t)(expression);                                                              \
    }
CALL(do_close, weir_node_close(node))
CALL(do_listen, weir_node_listen(node, "127.0.0.1:0"))
CALL(do_address, weir_node_address(node, 0, text, sizeof text))
CALL(do_invitation, weir_node_invitation(node, 0, text, sizeof text))
CALL(do_serve, weir_node_serve(node, "chat", NULL))
CALL(do_unserve, weir_node_unserve(node, "chat"))
CALL(do_drain, weir_node_drain(node, 0, 0))
WITH(do_poll, weir_event event, weir_node_poll(node, &event, 1, 0))
CALL(do_fd, weir_node_fd(node))
CALL(do_deadline, weir_node_deadline(node))
CALL(do_wake, weir_node_wake(node))
CALL(do_network_changed, weir_node_network_changed(node))
CALL(do_now, weir_node_now(node))
CALL(do_number, weir_node_number(node))
WITH(do_peer, weir_peer_id peer, weir_node_peer(node, &peer))
WITH(do_error, weir_error error = {.size = sizeof error}, weir_last_error(node, &error))
WITH(do_statistics, weir_node_statistics s = {.size = sizeof s}, weir_node_get_statistics(node, &s))
CALL(do_metric, weir_node_metric(node, 0, NULL, &value))
CALL(do_limit, weir_node_limit(node, 0, NULL, &value))
CALL(do_dial, weir_node_dial(node, "127.0.0.1:4001", NULL))
WITH(do_connection_info, weir_connection_info i = {.size = sizeof i},
     weir_connection_get_info(node, handle, &i))
CALL(do_report, weir_connection_report(node, handle, text, sizeof text))
CALL(do_observed, weir_connection_observed(node, handle, text, sizeof text))
CALL(do_connection_close, weir_connection_close(node, handle, 0, NULL))
CALL(do_connection_user, weir_connection_set_user(node, handle, 1))
CALL(do_open, weir_stream_open(node, handle, "echo", NULL))
CALL(do_write, weir_stream_write(node, handle, "x", 1, 0))
CALL(do_flush, weir_stream_flush(node, handle))
WITH(do_peek, const void *data, weir_stream_peek(node, handle, &data))
CALL(do_consume, weir_stream_consume(node, handle, 0))
CALL(do_read, weir_stream_read(node, handle, text, sizeof text))
CALL(do_datagram_send, weir_datagram_send(node, handle, "x", 1))
CALL(do_datagram_read, weir_datagram_read(node, handle, text, sizeof text))
CALL(do_finish, weir_stream_finish(node, handle))
CALL(do_reset, weir_stream_reset(node, handle, 0))
CALL(do_stop, weir_stream_stop(node, handle, 0))
CALL(do_urgency, weir_stream_set_urgency(node, handle, 0))
CALL(do_stream_user, weir_stream_set_user(node, handle, 1))
WITH(do_stream_info, weir_stream_info i = {.size = sizeof i},
     weir_stream_get_info(node, handle, &i))
CALL(do_peer_list, weir_peer_list(node, NULL, 0))
WITH(do_peer_info, weir_peer_id peer = some_peer();
     weir_peer_info i = {.size = sizeof i}, weir_peer_get_info(node, &peer, &i))
WITH(do_hold, weir_peer_id peer = some_peer(), weir_peer_hold(node, &peer))
WITH(do_release, weir_peer_id peer = some_peer(), weir_peer_release(node, &peer))
WITH(do_peer_dial, weir_peer_id peer = some_peer(), weir_peer_dial(node, &peer, NULL))
WITH(do_add_address, weir_peer_id peer = some_peer(),
     weir_peer_add_address(node, &peer, "127.0.0.1:4001"))
WITH(do_peer_address, weir_peer_id peer = some_peer(),
     weir_peer_address(node, &peer, 0, text, sizeof text))
WITH(do_access, weir_peer_id peer = some_peer(), weir_peer_access(node, &peer, WEIR_ACCESS_ACCEPT))
WITH(do_hear, weir_peer_id peer = some_peer(), weir_peer_hear(node, &peer, "192.0.2.1:4001", &peer))
CALL(do_network, weir_network_access(node, "net", WEIR_ACCESS_ACCEPT))
CALL(do_log_level, weir_node_log_level(node, 2))
WITH(do_log, weir_log_line line, weir_node_log(node, &line, 1))
WITH(do_limit_info, weir_limit_info i = {.size = sizeof i}, weir_node_limit_get_info(node, 0, &i))
CALL(do_message_send, weir_message_send(node, handle, "ask", "x", 1, NULL))
CALL(do_message_read, weir_message_read(node, handle, text, sizeof text))
CALL(do_request_send, weir_request_send(node, handle, "ask", "x", 1, NULL))
CALL(do_respond, weir_request_respond(node, handle, "x", 1, 0))
CALL(do_refuse, weir_request_refuse(node, handle, 1, 0, "no"))
CALL(do_cancel, weir_request_cancel(node, handle, 1))
WITH(do_request_info, weir_request_info i = {.size = sizeof i},
     weir_request_get_info(node, handle, &i))
WITH(do_feed_open, weir_feed_options o = {.size = sizeof o}; o.kind = WEIR_FEED_SUM;
     o.keys_max = 1, weir_feed_open(node, "fed", &o))
CALL(do_publish, weir_feed_publish(node, handle, "k", 1, "v", 1))
CALL(do_add, weir_feed_add(node, handle, "k", 1, 1))
CALL(do_feed_close, weir_feed_close(node, handle, 0))
CALL(do_subscribe, weir_feed_subscribe(node, handle, "news", 0))
WITH(do_feed_read, weir_feed_item i = {.size = sizeof i},
     weir_feed_read(node, handle, &i, text, sizeof text))
WITH(do_feed_info, weir_feed_info i = {.size = sizeof i}, weir_feed_get_info(node, handle, &i))
WITH(do_fetch_open, weir_fetch_options o = {.size = sizeof o};
     o.total_bytes = 1, weir_fetch_open(node, "part", &o))
CALL(do_fetch_add, weir_fetch_add(node, handle, world.connection))
CALL(do_fetch_read, weir_fetch_read(node, handle, &value, text, sizeof text))
CALL(do_reject, weir_fetch_reject(node, handle, 0))
WITH(do_fetch_info, weir_fetch_info i = {.size = sizeof i}, weir_fetch_get_info(node, handle, &i))
CALL(do_fetch_cancel, weir_fetch_cancel(node, handle))
CALL(do_file, weir_file_open(node, "file", WEIR_FILE_READ, 0, 0))
WITH(do_child, const char *const arguments[2] = {"true"}, weir_child_open(node, arguments, 0))
CALL(do_unix, weir_unix_open(node, "socket", 0))

#define NEVER ((int64_t)WEIR_NONE)
static const struct call calls[] = {
    {"weir_node_close", do_close, NO_HANDLE, 1, 0},
    {"weir_node_listen", do_listen, NO_HANDLE, 0, 0},
    {"weir_node_address", do_address, NO_HANDLE, 0, 0},
    {"weir_node_invitation", do_invitation, NO_HANDLE, 0, 0},
    {"weir_node_serve", do_serve, NO_HANDLE, 0, 0},
    {"weir_node_unserve", do_unserve, NO_HANDLE, 0, 0},
    {"weir_node_drain", do_drain, NO_HANDLE, 0, 0},
    {"weir_node_poll", do_poll, NO_HANDLE, 0, 0},
    {"weir_node_fd", do_fd, NO_HANDLE, 0, 0},
    {"weir_node_deadline", do_deadline, NO_HANDLE, NEVER, NEVER},
    {"weir_node_wake", do_wake, NO_HANDLE, 0, 0},
    {"weir_node_network_changed", do_network_changed, NO_HANDLE, 0, 0},
    {"weir_node_now", do_now, NO_HANDLE, 1, 1},
    {"weir_node_number", do_number, NO_HANDLE, 1, 1},
    {"weir_node_peer", do_peer, NO_HANDLE, 0, 0},
    {"weir_last_error", do_error, NO_HANDLE, 1, 0},
    {"weir_node_get_statistics", do_statistics, NO_HANDLE, 0, 0},
    {"weir_node_metric", do_metric, NO_HANDLE, 0, 0},
    {"weir_node_limit", do_limit, NO_HANDLE, 0, 0},
    {"weir_node_dial", do_dial, NO_HANDLE, 0, 0},
    {"weir_connection_get_info", do_connection_info, CONNECTION, 0, 0},
    {"weir_connection_report", do_report, CONNECTION, 0, 0},
    {"weir_connection_observed", do_observed, CONNECTION, 0, 0},
    {"weir_connection_close", do_connection_close, CONNECTION, 0, 0},
    {"weir_connection_set_user", do_connection_user, CONNECTION, 0, 0},
    {"weir_stream_open", do_open, CONNECTION, 0, 0},
    {"weir_stream_write", do_write, BYTES, 0, 0},
    {"weir_stream_flush", do_flush, BYTES, 0, 0},
    {"weir_stream_peek", do_peek, BYTES, 0, 0},
    {"weir_stream_consume", do_consume, BYTES, 0, 0},
    {"weir_stream_read", do_read, BYTES, 0, 0},
    {"weir_datagram_send", do_datagram_send, STREAM, 0, 0},
    {"weir_datagram_read", do_datagram_read, STREAM, 0, 0},
    {"weir_stream_finish", do_finish, BYTES, 0, 0},
    {"weir_stream_reset", do_reset, STREAM, 0, 0},
    {"weir_stream_stop", do_stop, STREAM, 0, 0},
    {"weir_stream_set_urgency", do_urgency, BYTES, 0, 0},
    {"weir_stream_set_user", do_stream_user, BYTES, 0, 0},
    {"weir_stream_get_info", do_stream_info, STREAM, 0, 0},
    {"weir_peer_list", do_peer_list, NO_HANDLE, 0, 0},
    {"weir_peer_get_info", do_peer_info, NO_HANDLE, 0, 0},
    {"weir_peer_hold", do_hold, NO_HANDLE, 0, 0},
    {"weir_peer_release", do_release, NO_HANDLE, 0, 0},
    {"weir_peer_dial", do_peer_dial, NO_HANDLE, 0, 0},
    {"weir_peer_add_address", do_add_address, NO_HANDLE, 0, 0},
    {"weir_peer_address", do_peer_address, NO_HANDLE, 0, 0},
    {"weir_peer_access", do_access, NO_HANDLE, 0, 0},
    {"weir_peer_hear", do_hear, NO_HANDLE, 0, 0},
    {"weir_network_access", do_network, NO_HANDLE, 0, 0},
    {"weir_node_log_level", do_log_level, NO_HANDLE, 0, 0},
    {"weir_node_log", do_log, NO_HANDLE, 0, 0},
    {"weir_node_limit_get_info", do_limit_info, NO_HANDLE, 0, 0},
    {"weir_message_send", do_message_send, CONNECTION, 0, 0},
    {"weir_message_read", do_message_read, REQUEST, 0, 0},
    {"weir_request_send", do_request_send, CONNECTION, 0, 0},
    {"weir_request_respond", do_respond, REQUEST, 0, 0},
    {"weir_request_refuse", do_refuse, REQUEST, 0, 0},
    {"weir_request_cancel", do_cancel, REQUEST, 0, 0},
    {"weir_request_get_info", do_request_info, REQUEST, 0, 0},
    {"weir_feed_open", do_feed_open, NO_HANDLE, 0, 0},
    {"weir_feed_publish", do_publish, FEED, 0, 0},
    {"weir_feed_add", do_add, FEED, 0, 0},
    {"weir_feed_close", do_feed_close, EITHER_FEED, 0, 0},
    {"weir_feed_subscribe", do_subscribe, CONNECTION, 0, 0},
    {"weir_feed_read", do_feed_read, SUBSCRIPTION, 0, 0},
    {"weir_feed_get_info", do_feed_info, EITHER_FEED, 0, 0},
    {"weir_fetch_open", do_fetch_open, NO_HANDLE, 0, 0},
    {"weir_fetch_add", do_fetch_add, FETCH, 0, 0},
    {"weir_fetch_read", do_fetch_read, FETCH, 0, 0},
    {"weir_fetch_reject", do_reject, FETCH, 0, 0},
    {"weir_fetch_get_info", do_fetch_info, FETCH, 0, 0},
    {"weir_fetch_cancel", do_fetch_cancel, FETCH, 0, 0},
    {"weir_file_open", do_file, NO_HANDLE, 0, 0},
    {"weir_child_open", do_child, NO_HANDLE, 0, 0},
    {"weir_unix_open", do_unix, NO_HANDLE, 0, 0},
};
enum { CALLS = sizeof calls / sizeof calls[0] };

static int set_up(void **state)
{
    (void)state;
    api_world_open(&world, WEIR_FIDELITY_PACKET);
    api_world_fill(&world);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    api_world_close(&world);
    return 0;
}

/* The object of a's that a call is about. */
static uint64_t right_of(const struct call *call)
{
    unsigned kind = API_NONE;
    while ((call->kinds & OF(kind)) == 0) kind++;
    return world.object[kind];
}

static int64_t wanted_of(int64_t in_table, int64_t usual)
{
    return in_table == 0 ? usual : in_table == 1 ? 0 : in_table;
}

static void test_no_node_is_an_error_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < CALLS; i++) {
        api_expect(calls[i].name, "no node", calls[i].run(NULL, right_of(&calls[i])),
                   wanted_of(calls[i].null, WEIR_E_NULL));
    }
    api_expect("weir_node_free", "no node", weir_node_free(NULL), WEIR_E_NULL);
}

static void test_a_closed_node_answers_closed_until_it_is_freed(void **state)
{
    weir_node_options options = {.size = sizeof options};
    weir_error error = {.size = sizeof error};
    weir_node *node;
    (void)state;
    assert_int_equal(weir_node_create(&options, &node, NULL), 0);
    assert_int_equal(weir_node_listen(node, "127.0.0.1:0"), 0);
    assert_int_equal(weir_node_close(node), 0);
    weir_node *tombstones[] = {node, world.a};
    assert_int_equal(weir_node_close(world.a), 0);
    for (int n = 0; n < 2; n++) {
        for (int i = 0; i < CALLS; i++) {
            api_expect(calls[i].name, "a closed node",
                       calls[i].run(tombstones[n], right_of(&calls[i])),
                       wanted_of(calls[i].closed, WEIR_E_CLOSED));
        }
        assert_int_equal(weir_last_error(tombstones[n], &error), 0);
        assert_int_equal(error.code, WEIR_E_CLOSED);
        assert_string_equal(error.detail, weir_strerror(WEIR_E_CLOSED));
    }
    assert_int_equal(weir_node_free(node), 0);
}

static void test_a_node_of_a_world_is_the_worlds(void **state)
{
    weir_event event;
    (void)state;
    assert_int_equal(weir_node_free(world.a), WEIR_E_STATE);
    assert_int_equal(weir_node_poll(world.a, &event, 1, 0), WEIR_E_STATE);
    assert_int_equal(weir_node_fd(world.a), WEIR_E_STATE);
    assert_int_equal(weir_node_close(world.a), 0);
    assert_int_equal(weir_node_free(world.a), WEIR_E_STATE);
    /* The other side hears of it. */
    api_world_run(&world, 1000000);
    assert_int_equal(world.last_closed, WEIR_REASON_GOING_AWAY);
}

static void test_handles_of_another_kind_are_told_apart(void **state)
{
    (void)state;
    for (int i = 0; i < CALLS; i++) {
        if (calls[i].kinds == NO_HANDLE) continue;
        for (unsigned kind = API_NONE + 1; kind < API_KINDS; kind++) {
            if ((calls[i].kinds & OF(kind)) != 0) continue;
            api_expect(calls[i].name, "a handle of another kind",
                       calls[i].run(world.a, world.object[kind]), WEIR_E_KIND);
        }
    }
    /* The second handle of a call is looked at too. */
    for (unsigned kind = API_CONNECTION + 1; kind < API_KINDS; kind++) {
        api_expect("weir_fetch_add", "no connection",
                   weir_fetch_add(world.a, world.object[API_FETCH], world.object[kind]),
                   WEIR_E_KIND);
    }
    assert_int_equal(weir_fetch_add(world.a, world.object[API_FETCH], 0), WEIR_E_STALE);
    /* A request of ours is not answered by us, nor one of the peer's written. */
    assert_int_equal(weir_request_respond(world.a, world.object[API_REQUEST], "x", 1, 0),
                     WEIR_E_KIND);
    assert_int_equal(weir_request_refuse(world.a, world.object[API_REQUEST], 1, 0, NULL),
                     WEIR_E_KIND);
    assert_int_equal(weir_stream_write(world.b, world.remote_request, "x", 1, 0), WEIR_E_KIND);
}

static void test_forged_handles_are_stale(void **state)
{
    (void)state;
    for (int i = 0; i < CALLS; i++) {
        if (calls[i].kinds == NO_HANDLE) continue;
        uint64_t right = right_of(&calls[i]);
        const uint64_t stale[] = {0, right + 1000, right ^ UINT64_C(1) << 30, UINT64_MAX,
                                  right | UINT64_C(1) << 60};
        for (int j = 0; j < 5; j++) {
            api_expect(calls[i].name, "a forged handle", calls[i].run(world.a, stale[j]),
                       WEIR_E_STALE);
        }
        weir_error error = {.size = sizeof error};
        assert_int_equal(weir_last_error(world.a, &error), 0);
        assert_int_equal(error.code, WEIR_E_STALE);
        assert_true(error.detail[0] != '\0');
    }
}

static void test_handles_of_what_has_ended_are_stale(void **state)
{
    (void)state;
    assert_int_equal(weir_connection_close(world.a, world.connection, 0, NULL), 0);
    /* Until its end is told and a poll has passed, the object can be read. */
    weir_connection_info info = {.size = sizeof info};
    assert_int_equal(weir_connection_get_info(world.a, world.connection, &info), 0);
    assert_int_equal(info.state, 2);
    /* These are not of the connection: they go when they are given up, at once. */
    assert_int_equal(weir_feed_close(world.a, world.object[API_FEED], 0), 0);
    assert_int_equal(weir_feed_close(world.a, world.object[API_FEED], 0), WEIR_E_STALE);
    assert_int_equal(weir_fetch_cancel(world.a, world.object[API_FETCH]), 0);
    assert_int_equal(weir_fetch_cancel(world.a, world.object[API_FETCH]), WEIR_E_STALE);
    api_world_run(&world, 1000000);
    assert_int_equal(weir_connection_close(world.a, 0, 0, NULL), WEIR_E_STALE); /* a turn */
    api_world_run(&world, 1000000);
    for (int i = 0; i < CALLS; i++) {
        for (unsigned kind = API_NONE + 1; kind < API_KINDS; kind++) {
            if (calls[i].kinds == NO_HANDLE) continue;
            api_expect(calls[i].name, "a stale handle", calls[i].run(world.a, world.object[kind]),
                       WEIR_E_STALE);
        }
    }
}

static void test_a_request_that_is_cancelled_is_stale_at_once(void **state)
{
    (void)state;
    assert_int_equal(weir_request_cancel(world.a, world.object[API_REQUEST], 1), 0);
    for (int i = 0; i < CALLS; i++) {
        if ((calls[i].kinds & REQUEST) == 0) continue;
        api_expect(calls[i].name, "a cancelled request",
                   calls[i].run(world.a, world.object[API_REQUEST]), WEIR_E_STALE);
    }
}

static void test_finish_reset_and_stop_may_be_repeated(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(weir_stream_finish(world.a, world.stream), 0);
        assert_int_equal(weir_stream_stop(world.a, world.stream, 1), 0);
    }
    assert_int_equal(weir_stream_write(world.a, world.stream, "x", 1, 0), WEIR_E_FINISHED);
    assert_int_equal(weir_stream_reset(world.b, world.remote_stream, 2), 0);
    assert_int_equal(weir_stream_finish(world.b, world.remote_stream), 0);
    assert_int_equal(weir_stream_reset(world.b, world.remote_stream, 2), 0);
}

/* Every function of the header whose first parameter is a node stands in the table. */
static void test_the_table_has_every_function_of_the_header(void **state)
{
    static char header[1 << 17];
    unsigned found = 0;
    (void)state;
    FILE *file = fopen(WEIR_SOURCE "/core/include/weir.h", "r");
    assert_non_null(file);
    size_t len = fread(header, 1, sizeof header - 1, file);
    (void)fclose(file);
    header[len] = '\0';
    for (char *at = header; (at = strstr(at, "\nWEIR_API ")) != NULL; at++) {
        char *open = strchr(at, '('), name[64] = "";
        if (strncmp(open, "(weir_node *node", 16) != 0) continue;
        char *start = open;
        while (start[-1] == '_' || (start[-1] >= 'a' && start[-1] <= 'z')) start--;
        memcpy(name, start, (size_t)(open - start));
        if (strcmp(name, "weir_node_free") == 0) continue;
        int i = 0;
        while (i < CALLS && strcmp(calls[i].name, name) != 0) i++;
        if (i == CALLS) fail_msg("%s is not in the table", name);
        found++;
    }
    assert_int_equal(found, CALLS);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_no_node_is_an_error_of_its_own),
        CASE(test_a_closed_node_answers_closed_until_it_is_freed),
        CASE(test_a_node_of_a_world_is_the_worlds),
        CASE(test_handles_of_another_kind_are_told_apart),
        CASE(test_forged_handles_are_stale),
        CASE(test_handles_of_what_has_ended_are_stale),
        CASE(test_a_request_that_is_cancelled_is_stale_at_once),
        CASE(test_finish_reset_and_stop_may_be_repeated),
        cmocka_unit_test(test_the_table_has_every_function_of_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
