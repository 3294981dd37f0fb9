/* SPDX-License-Identifier: MIT */
/* Goal: a pointer that is missing and a number out of its range give the named error and nothing
 * else happens. Method: tables of calls of every function, each with one wrong argument, and a look
 * at the objects afterwards. Handles and nodes that are wrong: arguments_test.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "api_world.h"

static struct api_world world;
static char text[WEIR_ADDRESS_TEXT_MAX];
static uint64_t value;

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

struct answer {
    const char *name;
    int64_t got, wanted;
};

static void expect_all(const char *with, const struct answer *answers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        api_expect(answers[i].name, with, answers[i].got, answers[i].wanted);
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
        NULLED("world_file", weir_world_file(NULL, 1, "f", "x", 1)),
        NULLED("world_file path", weir_world_file(w, 1, NULL, "x", 1)),
        NULLED("world_file data", weir_world_file(w, 1, "f", NULL, 1)),
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
        NULLED("limit_info", weir_node_limit_get_info(a, 0, NULL)),
        NULLED("hear peer", weir_peer_hear(a, NULL, "192.0.2.1:1", &peer)),
        NULLED("hear text", weir_peer_hear(a, &peer, NULL, &peer)),
        NULLED("hear from", weir_peer_hear(a, &peer, "192.0.2.1:1", NULL)),
    };
    EXPECT_ALL("a missing pointer", table);
    assert_int_equal(weir_stream_write(a, s, NULL, 0, 0), 0);
    assert_int_equal(weir_node_log(a, NULL, 0), 0);
}

static void test_missing_pointers_of_messages_and_feeds_are_named(void **state)
{
    weir_node *a = world.a;
    uint64_t c = world.connection, request = world.object[API_REQUEST];
    uint64_t feed = world.object[API_FEED], subscription = world.object[API_SUBSCRIPTION];
    weir_feed_item item = {.size = sizeof item};
    (void)state;
    const struct answer table[] = {
        NULLED("message_send name", weir_message_send(a, c, NULL, "x", 1, NULL)),
        NULLED("message_send data", weir_message_send(a, c, "ask", NULL, 1, NULL)),
        NULLED("message_read", weir_message_read(a, request, NULL, 1)),
        NULLED("request_send name", weir_request_send(a, c, NULL, "x", 1, NULL)),
        NULLED("request_send data", weir_request_send(a, c, "ask", NULL, 1, NULL)),
        NULLED("respond", weir_request_respond(world.b, world.remote_request, NULL, 1, 0)),
        NULLED("request_info", weir_request_get_info(a, request, NULL)),
        NULLED("feed_open", weir_feed_open(a, NULL, NULL)),
        NULLED("publish key", weir_feed_publish(a, feed, NULL, 1, "x", 1)),
        NULLED("publish data", weir_feed_publish(a, feed, "k", 1, NULL, 1)),
        NULLED("add key", weir_feed_add(a, feed, NULL, 1, 1)),
        NULLED("subscribe", weir_feed_subscribe(a, c, NULL, 0)),
        NULLED("feed_read item", weir_feed_read(a, subscription, NULL, text, sizeof text)),
        NULLED("feed_read data", weir_feed_read(a, subscription, &item, NULL, 1)),
        NULLED("feed_info", weir_feed_get_info(a, feed, NULL)),
    };
    EXPECT_ALL("a missing pointer", table);
    /* Nothing to send is nothing missing. */
    assert_int_equal(weir_message_send(a, c, "ask", NULL, 0, NULL), 1);
    assert_int_equal(weir_request_respond(world.b, world.remote_request, NULL, 0, WEIR_MORE), 0);
}

static void test_missing_pointers_of_fetches_and_files_are_named(void **state)
{
    weir_node *a = world.a;
    uint64_t fetch = world.object[API_FETCH];
    const weir_fetch_options dataless = {.size = sizeof dataless, .total_bytes = 1, .data_len = 1};
    const char *const nothing[] = {NULL};
    (void)state;
    const struct answer table[] = {
        NULLED("fetch_open name", weir_fetch_open(a, NULL, &dataless)),
        NULLED("fetch_open options", weir_fetch_open(a, "part", NULL)),
        NULLED("fetch_open data", weir_fetch_open(a, "part", &dataless)),
        NULLED("fetch_read offset", weir_fetch_read(a, fetch, NULL, text, sizeof text)),
        NULLED("fetch_read data", weir_fetch_read(a, fetch, &value, NULL, 1)),
        NULLED("fetch_info", weir_fetch_get_info(a, fetch, NULL)),
        NULLED("file", weir_file_open(a, NULL, WEIR_FILE_READ, 0, 0)),
        NULLED("child", weir_child_open(a, NULL, 0)),
        NULLED("child without a program", weir_child_open(a, nothing, 0)),
        NULLED("unix", weir_unix_open(a, NULL, 0)),
    };
    EXPECT_ALL("a missing pointer", table);
}

static void test_numbers_out_of_range_are_named(void **state)
{
    weir_node *a = world.a;
    weir_peer_id bad = {.len = 48}, garbage = {.len = 3, .bytes = {1, 2, 3}}, nobody = {0};
    weir_event event;
    weir_limit_info limit = {.size = sizeof limit};
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
        {"file of no node", weir_world_file(world.world, 0, "f", "x", 1), WEIR_E_ARGUMENT},
        {"file of a third node", weir_world_file(world.world, 3, "f", "x", 1), WEIR_E_ARGUMENT},
        {"file without a name", weir_world_file(world.world, 1, "", "x", 1), WEIR_E_ARGUMENT},
        {"file too long", weir_world_file(world.world, 1, "f", "x", (1u << 30) + 1),
         WEIR_E_ARGUMENT},
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
        {"limit info index", weir_node_limit_get_info(a, 100000, &limit), WEIR_E_NOT_FOUND},
        {"heard peer", weir_peer_hear(a, &garbage, "192.0.2.1:1", &world.peer_b), WEIR_E_PEER_ID},
        {"heard from", weir_peer_hear(a, &world.peer_b, "192.0.2.1:1", &nobody), WEIR_E_PEER_ID},
        {"heard address", weir_peer_hear(a, &world.peer_b, "there", &world.peer_b), WEIR_E_ADDRESS},
        {"heard loopback", weir_peer_hear(a, &world.peer_b, "127.0.0.1:1", &world.peer_b),
         WEIR_E_ADDRESS},
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

static int64_t serve_with(weir_serve_options options)
{
    options.size = sizeof options;
    return weir_node_serve(world.a, "served", &options);
}

static void test_rules_of_messages_and_requests_hold_to_their_ranges(void **state)
{
    enum { MESSAGE = WEIR_KIND_MESSAGE, REQUEST = WEIR_KIND_REQUEST, NEW = WEIR_OVERFLOW_DROP_NEW };
    (void)state;
    const struct answer table[] = {
        {"kinds", serve_with((weir_serve_options){.kinds = 8}), WEIR_E_ARGUMENT},
        {"kinds together", serve_with((weir_serve_options){.kinds = 1 | REQUEST}), WEIR_E_ARGUMENT},
        {"no overflow", serve_with((weir_serve_options){.kinds = MESSAGE}), WEIR_E_ARGUMENT},
        {"blocking", serve_with((weir_serve_options){.kinds = MESSAGE, .overflow = 1}),
         WEIR_E_ARGUMENT},
        {"merging", serve_with((weir_serve_options){.kinds = MESSAGE, .overflow = 4}),
         WEIR_E_ARGUMENT},
        {"overflow of requests", serve_with((weir_serve_options){.kinds = REQUEST, .overflow = 9}),
         WEIR_E_ARGUMENT},
        {"message_max_bytes",
         serve_with(
             (weir_serve_options){.kinds = MESSAGE, .overflow = NEW, .message_max_bytes = 16385}),
         WEIR_E_ARGUMENT},
        {"request_max_bytes",
         serve_with((weir_serve_options){.kinds = REQUEST, .request_max_bytes = (128 << 10) + 1}),
         WEIR_E_ARGUMENT},
        {"request_chunked",
         serve_with((weir_serve_options){.kinds = REQUEST, .request_chunked = 2}), WEIR_E_ARGUMENT},
    };
    EXPECT_ALL("a value out of range", table);
    /* One step inside. */
    assert_int_equal(serve_with((weir_serve_options){.kinds = MESSAGE | REQUEST,
                                                     .overflow = NEW,
                                                     .message_max_bytes = 16384,
                                                     .request_max_bytes = 128 << 10}),
                     0);
    assert_int_equal(weir_node_unserve(world.a, "served"), 0);
    assert_int_equal(serve_with((weir_serve_options){.kinds = REQUEST,
                                                     .request_chunked = 1,
                                                     .request_max_bytes = UINT32_MAX,
                                                     .deadline_us = WEIR_NONE,
                                                     .progress_us = WEIR_NONE,
                                                     .retry_us = WEIR_NONE}),
                     0);
}

static int64_t send_with(const char *name, uint32_t len, weir_message_options options)
{
    static const uint8_t bytes[16385];
    options.size = sizeof options;
    return weir_message_send(world.a, world.connection, name, bytes, len, &options);
}

static int64_t ask_with(const char *name, uint32_t len, weir_request_options options)
{
    static const uint8_t bytes[16385];
    options.size = sizeof options;
    return weir_request_send(world.a, world.connection, name, bytes, len, &options);
}

static void test_messages_and_requests_out_of_range_are_named(void **state)
{
    const weir_message_options m = {0};
    const weir_request_options r = {0};
    const uint64_t window = 128 << 10, request = world.object[API_REQUEST];
    const uint64_t remote = world.remote_request;
    weir_request_info info = {.size = sizeof info};
    (void)state;
    const struct answer table[] = {
        {"message", send_with("ask", 16385, m), WEIR_E_ARGUMENT},
        {"message name", send_with("two words", 1, m), WEIR_E_NAME},
        {"message urgency", send_with("ask", 1, (weir_message_options){.urgency_plus1 = 9}),
         WEIR_E_ARGUMENT},
        {"message overflow", send_with("ask", 1, (weir_message_options){.overflow = 5}),
         WEIR_E_ARGUMENT},
        {"request", ask_with("ask", 16385, r), WEIR_E_ARGUMENT},
        {"request name", ask_with("", 1, r), WEIR_E_NAME},
        {"request urgency", ask_with("ask", 1, (weir_request_options){.urgency_plus1 = 9}),
         WEIR_E_ARGUMENT},
        {"request flags", ask_with("ask", 1, (weir_request_options){.flags = WEIR_ONE_WAY}),
         WEIR_E_ARGUMENT},
        {"response_max_bytes",
         ask_with("ask", 1, (weir_request_options){.response_max_bytes = window + 1}),
         WEIR_E_ARGUMENT},
        {"response not here", weir_message_read(world.a, request, text, 9), WEIR_E_STATE},
        {"request and no room", weir_message_read(world.b, remote, text, 1), WEIR_E_SPACE},
        {"respond flags", weir_request_respond(world.b, remote, "x", 1, WEIR_FIN), WEIR_E_ARGUMENT},
        {"refuse reason", weir_request_refuse(world.b, remote, 0x10000000u, 0, NULL),
         WEIR_E_ARGUMENT},
        {"refuse weir's reason",
         weir_request_refuse(world.b, remote, WEIR_REASON_CANCELLED, 0, NULL), WEIR_E_ARGUMENT},
        {"cancel reason", weir_request_cancel(world.a, request, WEIR_REASON_NETWORK),
         WEIR_E_ARGUMENT},
    };
    EXPECT_ALL("a value out of range", table);
    /* None of them did anything: the request waits for its answer, which still can be given. */
    assert_int_equal(weir_request_get_info(world.a, request, &info), 0);
    assert_int_equal(info.state, 2);
    assert_int_equal(weir_message_read(world.b, remote, text, 2), 2);
    assert_int_equal(weir_request_respond(world.b, remote, "yes", 3, 0), 3);
    assert_int_equal(weir_request_respond(world.b, remote, "yes", 3, 0), WEIR_E_FINISHED);
    assert_int_equal(weir_request_refuse(world.b, remote, 1, 0, NULL), WEIR_E_STATE);
    api_world_run(&world, 1000000);
    assert_int_equal(weir_message_read(world.a, request, text, 3), 3);
}

static int64_t feed_with(const char *name, weir_feed_options options)
{
    options.size = sizeof options;
    return weir_feed_open(world.a, name, &options);
}

static void test_feeds_out_of_range_are_named(void **state)
{
    static const uint8_t bytes[65];
    const weir_feed_options good = {.kind = WEIR_FEED_SUM, .keys_max = 1};
    weir_node *a = world.a;
    uint64_t feed = world.object[API_FEED];
    weir_feed_item item = {.size = sizeof item};
    weir_feed_info info = {.size = sizeof info};
    (void)state;
    const struct answer table[] = {
        {"no kind", feed_with("f", (weir_feed_options){.keys_max = 1}), WEIR_E_ARGUMENT},
        {"kind", feed_with("f", (weir_feed_options){.kind = 4, .keys_max = 1}), WEIR_E_ARGUMENT},
        {"no keys_max", feed_with("f", (weir_feed_options){.kind = 1}), WEIR_E_ARGUMENT},
        {"keys_max", feed_with("f", (weir_feed_options){.kind = 1, .keys_max = 4097}),
         WEIR_E_LIMIT},
        {"item_max_bytes",
         feed_with("f", (weir_feed_options){.kind = 1, .keys_max = 1, .item_max_bytes = 16385}),
         WEIR_E_LIMIT},
        {"feed urgency",
         feed_with("f", (weir_feed_options){.kind = 1, .keys_max = 1, .urgency_plus1 = 9}),
         WEIR_E_ARGUMENT},
        {"feed user", feed_with("f", (weir_feed_options){.kind = 1, .keys_max = 1, .user = 1}),
         WEIR_E_ARGUMENT},
        {"feed name", feed_with("", good), WEIR_E_NAME},
        {"weir's feed", feed_with("weir/f", good), WEIR_E_NAME},
        {"feed again", feed_with("mine", good), WEIR_E_EXISTS},
        {"served as a feed", weir_node_serve(a, "mine", NULL), WEIR_E_EXISTS},
        {"unserve a feed", weir_node_unserve(a, "mine"), WEIR_E_STATE},
        {"no key", weir_feed_publish(a, feed, NULL, 0, "x", 1), WEIR_E_ARGUMENT},
        {"long key", weir_feed_publish(a, feed, bytes, 65, "x", 1), WEIR_E_ARGUMENT},
        {"long value", weir_feed_publish(a, feed, "k", 1, bytes, 17), WEIR_E_ARGUMENT},
        {"sum of states", weir_feed_add(a, feed, "k", 1, 1), WEIR_E_ARGUMENT},
        {"feed reason", weir_feed_close(a, feed, 0x10000000u), WEIR_E_ARGUMENT},
        {"subscribe name", weir_feed_subscribe(a, world.connection, "two words", 0), WEIR_E_NAME},
        {"nothing to read",
         weir_feed_read(a, world.object[API_SUBSCRIPTION], &item, text, sizeof text),
         WEIR_E_NOT_FOUND},
    };
    EXPECT_ALL("a value out of range", table);
    assert_int_equal(weir_feed_get_info(a, feed, &info), 0);
    assert_int_equal(info.keys, 0);
    assert_int_equal(info.published, 0);
    /* As many keys as were asked for, and no more. */
    assert_int_equal(weir_feed_publish(a, feed, "a", 1, bytes, 16), 0);
    assert_int_equal(weir_feed_publish(a, feed, bytes, 64, "", 0), 0);
    assert_int_equal(weir_feed_publish(a, feed, "b", 1, "x", 1), WEIR_E_LIMIT);
    assert_int_equal(weir_feed_publish(a, feed, "a", 1, NULL, 0), 0);
    assert_int_equal(weir_feed_publish(a, feed, "b", 1, "x", 1), 0);
}

static int64_t fetch_with(const char *name, weir_fetch_options options)
{
    options.size = sizeof options;
    return weir_fetch_open(world.a, name, &options);
}

static void test_fetches_out_of_range_are_named(void **state)
{
    static const uint8_t bytes[1025];
    weir_node *a = world.a;
    uint64_t fetch = world.object[API_FETCH], offset;
    weir_fetch_info info = {.size = sizeof info};
    (void)state;
    const struct answer table[] = {
        {"no total_bytes", fetch_with("part", (weir_fetch_options){.part_bytes = 1024}),
         WEIR_E_ARGUMENT},
        {"too much", fetch_with("part", (weir_fetch_options){.total_bytes = UINT64_C(1) << 62}),
         WEIR_E_ARGUMENT},
        {"short parts",
         fetch_with("part", (weir_fetch_options){.total_bytes = 1, .part_bytes = 1023}),
         WEIR_E_ARGUMENT},
        {"long parts",
         fetch_with("part", (weir_fetch_options){.total_bytes = 1, .part_bytes = (16 << 20) + 1}),
         WEIR_E_ARGUMENT},
        {"many parts",
         fetch_with("part",
                    (weir_fetch_options){.total_bytes = (64 << 20) + 1, .part_bytes = 1024}),
         WEIR_E_LIMIT},
        {"data_len",
         fetch_with("part",
                    (weir_fetch_options){.total_bytes = 1, .data = bytes, .data_len = 1025}),
         WEIR_E_ARGUMENT},
        {"fetch urgency",
         fetch_with("part", (weir_fetch_options){.total_bytes = 1, .urgency_plus1 = 9}),
         WEIR_E_ARGUMENT},
        {"fetch name", fetch_with("", (weir_fetch_options){.total_bytes = 1}), WEIR_E_NAME},
        {"no part", weir_fetch_read(a, fetch, &offset, text, sizeof text), WEIR_E_NOT_FOUND},
        {"reject inside", weir_fetch_reject(a, fetch, 1), WEIR_E_ARGUMENT},
        {"reject unread", weir_fetch_reject(a, fetch, 1024), WEIR_E_ARGUMENT},
        {"reject beyond", weir_fetch_reject(a, fetch, 4096), WEIR_E_ARGUMENT},
        {"reject far", weir_fetch_reject(a, fetch, UINT64_MAX), WEIR_E_ARGUMENT},
    };
    EXPECT_ALL("a value out of range", table);
    assert_int_equal(weir_fetch_add(a, fetch, world.connection), 0);
    assert_int_equal(weir_fetch_add(a, fetch, world.connection), WEIR_E_EXISTS);
    assert_int_equal(weir_fetch_get_info(a, fetch, &info), 0);
    assert_int_equal(info.parts, 4);
    assert_int_equal(info.parts_done, 0);
    assert_int_equal(info.corrupt, 0);
}

static void test_files_out_of_range_are_named(void **state)
{
    static char path[4097], argument[16385];
    const char *const longest[] = {"program", argument, NULL}, *const nameless[] = {"", NULL};
    const char *const good[] = {"program", NULL};
    weir_node *a = world.a;
    uint32_t read = WEIR_FILE_READ, write = WEIR_FILE_WRITE, append = WEIR_FILE_APPEND;
    weir_node_statistics before = {.size = sizeof before}, after = {.size = sizeof after};
    (void)state;
    memset(path, 'p', sizeof path - 1);
    memset(argument, 'a', sizeof argument - 1);
    assert_int_equal(weir_node_get_statistics(a, &before), 0);
    const struct answer table[] = {
        {"no flags", weir_file_open(a, "f", 0, 0, 0), WEIR_E_ARGUMENT},
        {"read and write", weir_file_open(a, "f", read | write, 0, 0), WEIR_E_ARGUMENT},
        {"write and append", weir_file_open(a, "f", write | append, 0, 0), WEIR_E_ARGUMENT},
        {"new alone", weir_file_open(a, "f", WEIR_FILE_NEW, 0, 0), WEIR_E_ARGUMENT},
        {"keep alone", weir_file_open(a, "f", WEIR_FILE_KEEP, 0, 0), WEIR_E_ARGUMENT},
        {"read and keep", weir_file_open(a, "f", read | WEIR_FILE_KEEP, 0, 0), WEIR_E_ARGUMENT},
        {"read new", weir_file_open(a, "f", read | WEIR_FILE_NEW, 0, 0), WEIR_E_ARGUMENT},
        {"append new", weir_file_open(a, "f", append | WEIR_FILE_NEW, 0, 0), WEIR_E_ARGUMENT},
        {"unknown flag", weir_file_open(a, "f", read | 32, 0, 0), WEIR_E_ARGUMENT},
        {"high flag", weir_file_open(a, "f", read | 1u << 31, 0, 0), WEIR_E_ARGUMENT},
        {"no name", weir_file_open(a, "", read, 0, 0), WEIR_E_ARGUMENT},
        {"long name", weir_file_open(a, path, read, 0, 0), WEIR_E_ARGUMENT},
        {"no program", weir_child_open(a, nameless, 0), WEIR_E_ARGUMENT},
        {"long arguments", weir_child_open(a, longest, 0), WEIR_E_ARGUMENT},
        {"no socket", weir_unix_open(a, "", 0), WEIR_E_ARGUMENT},
        {"long socket", weir_unix_open(a, path, 0), WEIR_E_ARGUMENT},
        {"a child in a world", weir_child_open(a, good, 0), WEIR_E_UNSUPPORTED},
        {"a socket in a world", weir_unix_open(a, "s", 0), WEIR_E_UNSUPPORTED},
    };
    EXPECT_ALL("a value out of range", table);
    assert_int_equal(weir_node_get_statistics(a, &after), 0);
    assert_int_equal(after.streams_open, before.streams_open);
    assert_true(weir_file_open(a, "f", write | WEIR_FILE_NEW, 0, 0) > 0);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_missing_pointers_of_calls_without_a_node_are_named),
        CASE(test_missing_pointers_of_a_nodes_calls_are_named),
        CASE(test_missing_pointers_of_messages_and_feeds_are_named),
        CASE(test_missing_pointers_of_fetches_and_files_are_named),
        CASE(test_numbers_out_of_range_are_named),
        CASE(test_rules_of_messages_and_requests_hold_to_their_ranges),
        CASE(test_messages_and_requests_out_of_range_are_named),
        CASE(test_feeds_out_of_range_are_named),
        CASE(test_fetches_out_of_range_are_named),
        CASE(test_files_out_of_range_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
