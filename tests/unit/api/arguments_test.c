/* SPDX-License-Identifier: MIT */
/* Goal: wrong arguments give the named error and nothing else happens. Method: a table of every
 * function that takes a node, each called with no node, a closed one, handles that are stale,
 * forged or of another kind; and tables of pointers that are missing and numbers out of range. A
 * test compares the table with weir.h, so that a new function cannot be forgotten. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "api_world.h"

enum handle_kind { NO_HANDLE, CONNECTION, STREAM };

struct call {
    const char *name;
    int64_t (*run)(weir_node *node, uint64_t handle);
    enum handle_kind handle;
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
CALL(do_network, weir_network_access(node, "net", WEIR_ACCESS_ACCEPT))
CALL(do_log_level, weir_node_log_level(node, 2))
WITH(do_log, weir_log_line line, weir_node_log(node, &line, 1))

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
    {"weir_stream_write", do_write, STREAM, 0, 0},
    {"weir_stream_flush", do_flush, STREAM, 0, 0},
    {"weir_stream_peek", do_peek, STREAM, 0, 0},
    {"weir_stream_consume", do_consume, STREAM, 0, 0},
    {"weir_stream_read", do_read, STREAM, 0, 0},
    {"weir_datagram_send", do_datagram_send, STREAM, 0, 0},
    {"weir_datagram_read", do_datagram_read, STREAM, 0, 0},
    {"weir_stream_finish", do_finish, STREAM, 0, 0},
    {"weir_stream_reset", do_reset, STREAM, 0, 0},
    {"weir_stream_stop", do_stop, STREAM, 0, 0},
    {"weir_stream_set_urgency", do_urgency, STREAM, 0, 0},
    {"weir_stream_set_user", do_stream_user, STREAM, 0, 0},
    {"weir_stream_get_info", do_stream_info, STREAM, 0, 0},
    {"weir_peer_list", do_peer_list, NO_HANDLE, 0, 0},
    {"weir_peer_get_info", do_peer_info, NO_HANDLE, 0, 0},
    {"weir_peer_hold", do_hold, NO_HANDLE, 0, 0},
    {"weir_peer_release", do_release, NO_HANDLE, 0, 0},
    {"weir_peer_dial", do_peer_dial, NO_HANDLE, 0, 0},
    {"weir_peer_add_address", do_add_address, NO_HANDLE, 0, 0},
    {"weir_peer_address", do_peer_address, NO_HANDLE, 0, 0},
    {"weir_peer_access", do_access, NO_HANDLE, 0, 0},
    {"weir_network_access", do_network, NO_HANDLE, 0, 0},
    {"weir_node_log_level", do_log_level, NO_HANDLE, 0, 0},
    {"weir_node_log", do_log, NO_HANDLE, 0, 0},
};
enum { CALLS = sizeof calls / sizeof calls[0] };

static void expect(const char *name, const char *with, int64_t got, int64_t wanted)
{
    if (got == wanted) return;
    fail_msg("%s with %s gave %lld (%s), not %lld (%s)", name, with, (long long)got,
             weir_error_name((int32_t)got), (long long)wanted, weir_error_name((int32_t)wanted));
}

static struct api_world world;

static int set_up(void **state)
{
    (void)state;
    api_world_open(&world, WEIR_FIDELITY_PACKET);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    api_world_close(&world);
    return 0;
}

static int64_t wanted_of(int64_t in_table, int64_t usual)
{
    return in_table == 0 ? usual : in_table == 1 ? 0 : in_table;
}

static void test_no_node_is_an_error_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < CALLS; i++) {
        expect(calls[i].name, "no node", calls[i].run(NULL, world.stream),
               wanted_of(calls[i].null, WEIR_E_NULL));
    }
    expect("weir_node_free", "no node", weir_node_free(NULL), WEIR_E_NULL);
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
            uint64_t handle = calls[i].handle == STREAM ? world.stream : world.connection;
            expect(calls[i].name, "a closed node", calls[i].run(tombstones[n], handle),
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

static void test_handles_of_another_kind_and_forged_ones_are_told_apart(void **state)
{
    (void)state;
    for (int i = 0; i < CALLS; i++) {
        if (calls[i].handle == NO_HANDLE) continue;
        uint64_t right = calls[i].handle == STREAM ? world.stream : world.connection;
        uint64_t other = calls[i].handle == STREAM ? world.connection : world.stream;
        const uint64_t stale[] = {0, right + 1, right ^ UINT64_C(1) << 30, UINT64_MAX,
                                  right | UINT64_C(1) << 60};
        expect(calls[i].name, "a handle of another kind", calls[i].run(world.a, other),
               WEIR_E_KIND);
        for (int j = 0; j < 5; j++) {
            expect(calls[i].name, "a forged handle", calls[i].run(world.a, stale[j]), WEIR_E_STALE);
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
    api_world_run(&world, 1000000);
    assert_int_equal(weir_connection_close(world.a, 0, 0, NULL), WEIR_E_STALE); /* a turn */
    api_world_run(&world, 1000000);
    for (int i = 0; i < CALLS; i++) {
        if (calls[i].handle == NO_HANDLE) continue;
        uint64_t handle = calls[i].handle == STREAM ? world.stream : world.connection;
        expect(calls[i].name, "a stale handle", calls[i].run(world.a, handle), WEIR_E_STALE);
    }
}

struct answer {
    const char *name;
    int64_t got, wanted;
};

static void expect_all(const char *with, const struct answer *answers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        expect(answers[i].name, with, answers[i].got, answers[i].wanted);
    }
}
#define EXPECT_ALL(with, table) expect_all(with, table, sizeof table / sizeof table[0])
#define NULLED(name, call)                                                                         \
    {                                                                                              \
        name, call, WEIR_E_NULL                                                                    \
    }

static void test_missing_pointers_of_calls_without_a_node_are_named(void **state)
{
    weir_peer_id peer = world.peer_b;
    weir_hash hash;
    uint8_t key[WEIR_KEY_BYTES];
    weir_world *w = world.world;
    weir_node *made;
    (void)state;
    assert_int_equal(weir_hash_init(&hash), 0);
    assert_int_equal(weir_key_generate(key, NULL), 0);
    const struct answer table[] = {
        NULLED("key_generate", weir_key_generate(NULL, NULL)),
        NULLED("key_load path", weir_key_load(NULL, key, NULL)),
        NULLED("key_load key", weir_key_load("/tmp/nothing", NULL, NULL)),
        NULLED("key_save path", weir_key_save(NULL, key, NULL)),
        NULLED("key_save key", weir_key_save("/tmp/nothing", NULL, NULL)),
        NULLED("key_peer key", weir_key_peer(NULL, &peer)),
        NULLED("key_peer peer", weir_key_peer(key, NULL)),
        NULLED("peer_parse text", weir_peer_parse(NULL, &peer)),
        NULLED("peer_parse peer", weir_peer_parse("x", NULL)),
        NULLED("peer_format peer", weir_peer_format(NULL, text, sizeof text)),
        NULLED("peer_format text", weir_peer_format(&peer, NULL, sizeof text)),
        NULLED("address text", weir_address_normalize(NULL, text, sizeof text, NULL)),
        NULLED("address out", weir_address_normalize("[::1]:1", NULL, 0, NULL)),
        NULLED("node_create node", weir_node_create(NULL, NULL, NULL)),
        NULLED("hash_init", weir_hash_init(NULL)),
        NULLED("hash_update", weir_hash_update(NULL, "x", 1)),
        NULLED("hash_update data", weir_hash_update(&hash, NULL, 1)),
        NULLED("hash_final", weir_hash_final(NULL, key)),
        NULLED("hash_final digest", weir_hash_final(&hash, NULL)),
        NULLED("world_create", weir_world_create(NULL, NULL, NULL)),
        NULLED("world_free", weir_world_free(NULL)),
        NULLED("add_node world", weir_world_add_node(NULL, NULL, &made, NULL)),
        NULLED("add_node node", weir_world_add_node(w, NULL, NULL, NULL)),
        NULLED("world_link", weir_world_link(NULL, 0, 0, NULL)),
        NULLED("world_run", weir_world_run(NULL, 0)),
        NULLED("world_poll", weir_world_poll(NULL, 0, NULL, 0)),
        NULLED("world_poll events", weir_world_poll(w, 0, NULL, 1)),
    };
    EXPECT_ALL("a missing pointer", table);
    assert_int_equal(weir_world_now(NULL), 0);
    assert_int_equal(weir_world_hash(NULL), 0);
    /* Nothing to add is nothing missing. */
    assert_int_equal(weir_hash_update(&hash, NULL, 0), 0);
    assert_int_equal(weir_world_poll(w, 0, NULL, 0), 0);
}

static void test_missing_pointers_of_a_nodes_calls_are_named(void **state)
{
    weir_node *a = world.a;
    uint64_t c = world.connection, s = world.stream;
    weir_peer_id peer = world.peer_b;
    weir_peer_info peer_info = {.size = sizeof peer_info};
    (void)state;
    const struct answer table[] = {
        NULLED("listen", weir_node_listen(a, NULL)),
        NULLED("node_address", weir_node_address(a, 0, NULL, 0)),
        NULLED("node_invitation", weir_node_invitation(a, 0, NULL, 0)),
        NULLED("serve", weir_node_serve(a, NULL, NULL)),
        NULLED("unserve", weir_node_unserve(a, NULL)),
        NULLED("node_poll", weir_node_poll(a, NULL, 1, 0)),
        NULLED("peer", weir_node_peer(a, NULL)),
        NULLED("last_error", weir_last_error(a, NULL)),
        NULLED("statistics", weir_node_get_statistics(a, NULL)),
        NULLED("metric", weir_node_metric(a, 0, NULL, NULL)),
        NULLED("limit", weir_node_limit(a, 0, NULL, NULL)),
        NULLED("dial", weir_node_dial(a, NULL, NULL)),
        NULLED("connection_info", weir_connection_get_info(a, c, NULL)),
        NULLED("report", weir_connection_report(a, c, NULL, 9)),
        NULLED("observed", weir_connection_observed(a, c, NULL, 9)),
        NULLED("open", weir_stream_open(a, c, NULL, NULL)),
        NULLED("write", weir_stream_write(a, s, NULL, 1, 0)),
        NULLED("peek", weir_stream_peek(a, s, NULL)),
        NULLED("read", weir_stream_read(a, s, NULL, 1)),
        NULLED("datagram_send", weir_datagram_send(a, s, NULL, 1)),
        NULLED("datagram_read", weir_datagram_read(a, s, NULL, 1)),
        NULLED("stream_info", weir_stream_get_info(a, s, NULL)),
        NULLED("peer_list", weir_peer_list(a, NULL, 1)),
        NULLED("peer_info peer", weir_peer_get_info(a, NULL, &peer_info)),
        NULLED("peer_info info", weir_peer_get_info(a, &peer, NULL)),
        NULLED("hold", weir_peer_hold(a, NULL)),
        NULLED("release", weir_peer_release(a, NULL)),
        NULLED("peer_dial", weir_peer_dial(a, NULL, NULL)),
        NULLED("add_address peer", weir_peer_add_address(a, NULL, "[::1]:1")),
        NULLED("add_address text", weir_peer_add_address(a, &peer, NULL)),
        NULLED("peer_address peer", weir_peer_address(a, NULL, 0, text, sizeof text)),
        NULLED("peer_address text", weir_peer_address(a, &peer, 0, NULL, 9)),
        NULLED("peer_access", weir_peer_access(a, NULL, 0)),
        NULLED("network_access", weir_network_access(a, NULL, 0)),
        NULLED("log", weir_node_log(a, NULL, 1)),
    };
    EXPECT_ALL("a missing pointer", table);
    assert_int_equal(weir_stream_write(a, s, NULL, 0, 0), 0);
    assert_int_equal(weir_node_log(a, NULL, 0), 0);
}

static void test_numbers_out_of_range_are_named(void **state)
{
    weir_node *a = world.a;
    weir_peer_id bad = {.len = 48}, garbage = {.len = 3, .bytes = {1, 2, 3}}, nobody = {0};
    weir_event event;
    weir_stream_info before = {.size = sizeof before}, info = {.size = sizeof info};
    (void)state;
    assert_int_equal(weir_stream_get_info(a, world.stream, &before), 0);
    const struct answer table[] = {
        {"poll without room", weir_node_poll(a, &event, 0, 0), WEIR_E_ARGUMENT},
        {"close reason", weir_connection_close(a, world.connection, 0x10000000u, NULL),
         WEIR_E_ARGUMENT},
        {"reset reason", weir_stream_reset(a, world.stream, 0x10000000u), WEIR_E_ARGUMENT},
        {"stop reason", weir_stream_stop(a, world.stream, 0x10000000u), WEIR_E_ARGUMENT},
        {"drain reason", weir_node_drain(a, WEIR_REASON_TRANSPORT, 0), WEIR_E_ARGUMENT},
        {"urgency", weir_stream_set_urgency(a, world.stream, 8), WEIR_E_ARGUMENT},
        {"write flags", weir_stream_write(a, world.stream, "x", 1, 4), WEIR_E_ARGUMENT},
        {"consume", weir_stream_consume(world.b, world.remote_stream, 2), WEIR_E_ARGUMENT},
        {"log level", weir_node_log_level(a, 6), WEIR_E_ARGUMENT},
        {"access", weir_peer_access(a, &world.peer_b, 3), WEIR_E_ARGUMENT},
        {"network access", weir_network_access(a, "x", 3), WEIR_E_ARGUMENT},
        {"shard", weir_world_poll(world.world, 1, &event, 1), WEIR_E_ARGUMENT},
        {"link", weir_world_link(world.world, 3, 0, NULL), WEIR_E_ARGUMENT},
        {"long peer id", weir_peer_hold(a, &bad), WEIR_E_PEER_ID},
        {"no peer id", weir_peer_release(a, &garbage), WEIR_E_PEER_ID},
        {"nobody", weir_peer_dial(a, &nobody, NULL), WEIR_E_PEER_ID},
        {"nobody's text", weir_peer_format(&nobody, text, sizeof text), WEIR_E_PEER_ID},
        {"address index", weir_node_address(a, 99, text, sizeof text), WEIR_E_NOT_FOUND},
        {"address room", weir_node_address(a, 0, text, 3), WEIR_E_SPACE},
        {"invitation index", weir_node_invitation(a, 99, text, sizeof text), WEIR_E_NOT_FOUND},
        {"invitation room", weir_node_invitation(a, 0, text, 3), WEIR_E_SPACE},
        {"metric index", weir_node_metric(a, 100000, NULL, &value), WEIR_E_NOT_FOUND},
        {"limit index", weir_node_limit(a, 100000, NULL, &value), WEIR_E_NOT_FOUND},
        {"protocol name", weir_stream_open(a, world.connection, "two words", NULL), WEIR_E_NAME},
        {"served name", weir_node_serve(a, "", NULL), WEIR_E_NAME},
        {"reserved name", weir_node_serve(a, "weir/mine", NULL), WEIR_E_NAME},
        {"listen text", weir_node_listen(a, "here"), WEIR_E_ADDRESS},
        {"dial text", weir_node_dial(a, "", NULL), WEIR_E_ADDRESS},
        {"unserved", weir_node_unserve(a, "nothing"), WEIR_E_NOT_FOUND},
        {"not held", weir_peer_release(a, &world.peer_b), WEIR_E_STATE},
    };
    EXPECT_ALL("a value out of range", table);
    /* None of them did anything. */
    assert_int_equal(weir_stream_write(a, world.stream, "y", 1, 0), 1);
    assert_int_equal(weir_stream_get_info(a, world.stream, &info), 0);
    assert_int_equal(info.urgency, 3);
    assert_int_equal(info.write_state, 0);
    assert_int_equal(info.bytes_written, before.bytes_written + 1);
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
        CASE(test_handles_of_another_kind_and_forged_ones_are_told_apart),
        CASE(test_handles_of_what_has_ended_are_stale),
        CASE(test_missing_pointers_of_calls_without_a_node_are_named),
        CASE(test_missing_pointers_of_a_nodes_calls_are_named),
        CASE(test_numbers_out_of_range_are_named),
        CASE(test_finish_reset_and_stop_may_be_repeated),
        cmocka_unit_test(test_the_table_has_every_function_of_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
