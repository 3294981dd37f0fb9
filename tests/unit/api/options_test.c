/* SPDX-License-Identifier: MIT */
/* Goal: structs of callers older and newer than this library are understood, impossible ones are
 * refused, and nothing is written or read beyond a caller's size. Method: each call that takes a
 * struct, with structs of many sizes in a buffer whose edge is watched; each option at both ends
 * of its range and one step beyond. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>
#include "api_world.h"

static struct api_world world;

static int set_up(void **state)
{
    (void)state;
    api_world_open(&world, WEIR_FIDELITY_MESSAGE);
    api_world_fill(&world);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    api_world_close(&world);
    return 0;
}

static int64_t in_create(const void *o)
{
    weir_node *node;
    int32_t result = weir_node_create(o, &node, NULL);
    if (result == 0) assert_int_equal(weir_node_free(node), 0);
    return result;
}

static int64_t in_world(const void *o)
{
    weir_world *made;
    int32_t result = weir_world_create(o, &made, NULL);
    if (result == 0) assert_int_equal(weir_world_free(made), 0);
    return result;
}

static int64_t in_add_node(const void *o)
{
    weir_node *node;
    return weir_world_add_node(world.world, o, &node, NULL);
}

static int64_t in_serve(const void *o)
{
    int32_t result = weir_node_serve(world.a, "sized", o);
    if (result == 0) assert_int_equal(weir_node_unserve(world.a, "sized"), 0);
    return result;
}

static int64_t in_dial(const void *o)
{
    int64_t result = weir_node_dial(world.b, "/memory/77", o);
    return result > 0 ? 0 : result;
}

static int64_t in_peer_dial(const void *o)
{
    int64_t result = weir_peer_dial(world.a, &world.peer_b, o);
    return result > 0 ? 0 : result;
}

static int64_t in_open(const void *o)
{
    int64_t result = weir_stream_open(world.a, world.connection, "echo", o);
    return result > 0 ? 0 : result;
}

static int64_t in_link(const void *o)
{
    return weir_world_link(world.world, 0, 0, o);
}

static int64_t in_message(const void *o)
{
    int64_t result = weir_message_send(world.a, world.connection, "ask", "x", 1, o);
    return result > 0 ? 0 : result;
}

static int64_t in_request(const void *o)
{
    int64_t result = weir_request_send(world.a, world.connection, "ask", "x", 1, o);
    return result > 0 ? weir_request_cancel(world.a, (uint64_t)result, 1) : result;
}

static int64_t in_feed(const void *o)
{
    int64_t result = weir_feed_open(world.a, "sized", o);
    return result > 0 ? weir_feed_close(world.a, (uint64_t)result, 0) : result;
}

static int64_t in_fetch(const void *o)
{
    int64_t result = weir_fetch_open(world.a, "sized", o);
    return result > 0 ? weir_fetch_cancel(world.a, (uint64_t)result) : result;
}

/* What must be given, for structs of which zero is no default. */
static const weir_feed_options least_feed = {.kind = WEIR_FEED_SUM, .keys_max = 1};
static const weir_fetch_options least_fetch = {.total_bytes = 1};
enum { LEAST_BYTES = 16 };

static const struct {
    const char *name;
    int64_t (*run)(const void *options);
    uint32_t size;
    const void *least; /* NULL: nothing, else LEAST_BYTES */
} ins[] = {
    {"weir_node_options", in_create, sizeof(weir_node_options), NULL},
    {"weir_node_options of a world", in_add_node, sizeof(weir_node_options), NULL},
    {"weir_world_options", in_world, sizeof(weir_world_options), NULL},
    {"weir_serve_options", in_serve, sizeof(weir_serve_options), NULL},
    {"weir_dial_options", in_dial, sizeof(weir_dial_options), NULL},
    {"weir_dial_options of a peer", in_peer_dial, sizeof(weir_dial_options), NULL},
    {"weir_stream_options", in_open, sizeof(weir_stream_options), NULL},
    {"weir_link_options", in_link, sizeof(weir_link_options), NULL},
    {"weir_message_options", in_message, sizeof(weir_message_options), NULL},
    {"weir_request_options", in_request, sizeof(weir_request_options), NULL},
    {"weir_feed_options", in_feed, sizeof(weir_feed_options), &least_feed},
    {"weir_fetch_options", in_fetch, sizeof(weir_fetch_options), &least_fetch},
};

/* A struct of that size on the heap, so that the sanitizer sees a byte too many. */
static int64_t try_in(unsigned which, uint32_t size, uint32_t allocated, bool last_set)
{
    uint8_t *options = calloc(1, allocated);
    if (ins[which].least != NULL && allocated >= LEAST_BYTES)
        memcpy(options, ins[which].least, LEAST_BYTES);
    memcpy(options, &size, sizeof size);
    if (last_set) options[allocated - 1] = 1;
    int64_t result = ins[which].run(options);
    free(options);
    return result;
}

static void expect(const char *name, uint32_t size, int64_t got, int64_t wanted)
{
    if (got != wanted) {
        fail_msg("%s of %u bytes gave %s, not %s", name, size, weir_error_name((int32_t)got),
                 weir_error_name((int32_t)wanted));
    }
}

static void test_options_of_every_size_are_judged(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof ins / sizeof ins[0]; i++) {
        const char *name = ins[i].name;
        uint32_t size = ins[i].size;
        assert_int_equal(size % 8, 0);
        static const uint32_t impossible[] = {0, 1, 4, 7, 12, 4104, UINT32_MAX, 0xfffffff8u};
        for (unsigned j = 0; j < sizeof impossible / sizeof impossible[0]; j++) {
            expect(name, impossible[j], try_in(i, impossible[j], 8, false), WEIR_E_SIZE);
        }
        expect(name, size - 1, try_in(i, size - 1, size, false), WEIR_E_SIZE);
        for (uint32_t shorter = 8; shorter <= size; shorter += 8) {
            bool is_enough = ins[i].least == NULL || shorter >= LEAST_BYTES;
            expect(name, shorter, try_in(i, shorter, shorter, false),
                   is_enough ? 0 : WEIR_E_ARGUMENT);
        }
        expect(name, size + 8, try_in(i, size + 8, size + 8, false), 0);
        expect(name, 4096, try_in(i, 4096, 4096, false), 0);
        expect(name, size + 8, try_in(i, size + 8, size + 8, true), WEIR_E_UNKNOWN_OPTION);
        expect(name, 4096, try_in(i, 4096, 4096, true), WEIR_E_UNKNOWN_OPTION);
    }
    assert_int_equal(in_create(NULL), 0);
    assert_int_equal(in_open(NULL), 0);
    assert_int_equal(in_message(NULL), 0);
    assert_int_equal(in_request(NULL), 0);
    assert_int_equal(in_feed(NULL), WEIR_E_ARGUMENT);
    assert_int_equal(in_fetch(NULL), WEIR_E_NULL);
}

static int64_t out_error(void *o)
{
    return weir_last_error(world.a, o);
}
static int64_t out_statistics(void *o)
{
    return weir_node_get_statistics(world.a, o);
}
static int64_t out_connection(void *o)
{
    return weir_connection_get_info(world.a, world.connection, o);
}
static int64_t out_stream(void *o)
{
    return weir_stream_get_info(world.a, world.stream, o);
}
static int64_t out_peer(void *o)
{
    return weir_peer_get_info(world.a, &world.peer_b, o);
}
static int64_t out_peers(void *o)
{
    return weir_peer_list(world.a, o, 1) - 1;
}

static int64_t out_limit(void *o)
{
    return weir_node_limit_get_info(world.a, 0, o);
}
static int64_t out_request(void *o)
{
    return weir_request_get_info(world.a, world.object[API_REQUEST], o);
}
static int64_t out_feed(void *o)
{
    return weir_feed_get_info(world.a, world.object[API_FEED], o);
}
static int64_t out_subscription(void *o)
{
    return weir_feed_get_info(world.a, world.object[API_SUBSCRIPTION], o);
}
static int64_t out_fetch(void *o)
{
    return weir_fetch_get_info(world.a, world.object[API_FETCH], o);
}

/* Each reads the next item, which is made for it unless one waits. */
static int64_t out_item(void *o)
{
    weir_feed_info info = {.size = sizeof info};
    assert_int_equal(weir_feed_get_info(world.b, world.remote_feed, &info), 0);
    weir_feed_info read = {.size = sizeof read};
    assert_int_equal(out_subscription(&read), 0);
    if (info.published == read.published) {
        assert_int_equal(weir_feed_publish(world.b, world.remote_feed, "key", 3, "", 0), 1);
        api_world_run(&world, 100000);
    }
    return weir_feed_read(world.a, world.object[API_SUBSCRIPTION], o, NULL, 0);
}

static const struct {
    const char *name;
    int64_t (*run)(void *out);
    uint32_t size;
} outs[] = {
    {"weir_error", out_error, sizeof(weir_error)},
    {"weir_node_statistics", out_statistics, sizeof(weir_node_statistics)},
    {"weir_connection_info", out_connection, sizeof(weir_connection_info)},
    {"weir_stream_info", out_stream, sizeof(weir_stream_info)},
    {"weir_peer_info", out_peer, sizeof(weir_peer_info)},
    {"weir_peer_info in a list", out_peers, sizeof(weir_peer_info)},
    {"weir_limit_info", out_limit, sizeof(weir_limit_info)},
    {"weir_request_info", out_request, sizeof(weir_request_info)},
    {"weir_feed_info", out_feed, sizeof(weir_feed_info)},
    {"weir_feed_info of a subscription", out_subscription, sizeof(weir_feed_info)},
    {"weir_feed_item", out_item, sizeof(weir_feed_item)},
    {"weir_fetch_info", out_fetch, sizeof(weir_fetch_info)},
};

static void test_out_structs_are_filled_up_to_their_size(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof outs / sizeof outs[0]; i++) {
        uint32_t whole = outs[i].size;
        uint8_t *reference = calloc(1, whole);
        memcpy(reference, &whole, sizeof whole);
        expect(outs[i].name, whole, outs[i].run(reference), 0);
        for (uint32_t size = 8; size <= whole + 64; size += 8) {
            uint8_t *out = malloc(size);
            memset(out, 0xee, size);
            memcpy(out, &size, sizeof size);
            expect(outs[i].name, size, outs[i].run(out), 0);
            assert_memory_equal(out, &size, sizeof size);
            uint32_t both = size < whole ? size : whole;
            assert_memory_equal(out + 4, reference + 4, both - 4);
            for (uint32_t j = whole; j < size; j++) assert_int_equal(out[j], 0);
            free(out);
        }
        free(reference);
        static const uint32_t impossible[] = {0, 4, 12, UINT32_MAX};
        for (unsigned j = 0; j < 4; j++) {
            uint32_t out[2] = {impossible[j], 0xeeeeeeee};
            int64_t result = outs[i].run(out);
            expect(outs[i].name, impossible[j], outs[i].run == out_peers ? result + 1 : result,
                   WEIR_E_SIZE);
            assert_int_equal(out[1], 0xeeeeeeee);
        }
    }
}

/* What weir_node_limit_get_info says is what weir_node_limit says, and more. */
static void test_limits_say_where_they_come_from(void **state)
{
    weir_limit_info info = {.size = sizeof info};
    weir_node_statistics totals = {.size = sizeof totals};
    const char *name;
    uint64_t value;
    uint32_t i, counted = 0;
    (void)state;
    assert_int_equal(weir_node_get_statistics(world.a, &totals), 0);
    for (i = 0; weir_node_limit(world.a, i, &name, &value) == 0; i++) {
        assert_int_equal(weir_node_limit_get_info(world.a, i, &info), 0);
        assert_string_equal(info.name, name);
        assert_true(info.value == value);
        assert_in_range(info.scope, 1, 5);
        assert_true(info.unit[0] != '\0' && info.why[0] != '\0');
        /* Nothing was cut. */
        assert_true(strlen(info.unit) < sizeof info.unit - 1);
        assert_true(strlen(info.why) < sizeof info.why - 1);
        if (info.used == WEIR_NONE) continue;
        counted++;
        assert_true(info.used <= info.value);
        if (strcmp(name, "node_memory") == 0) assert_true(info.used == totals.memory_bytes);
        if (strcmp(name, "peers") == 0) assert_int_equal(info.used, 1);
        if (strcmp(name, "requests_out") == 0) assert_int_equal(info.used, 1);
    }
    assert_int_equal(weir_node_limit_get_info(world.a, i, &info), WEIR_E_NOT_FOUND);
    assert_true(counted >= 4);
}

static void test_a_list_lies_as_far_apart_as_the_caller_compiled_it(void **state)
{
    uint64_t elements[3][4]; /* 32 bytes each: an older weir_peer_info */
    uint32_t size = sizeof elements[0];
    weir_peer_id other;
    uint8_t key[WEIR_KEY_BYTES];
    (void)state;
    assert_int_equal(weir_key_generate(key, NULL), 0);
    assert_int_equal(weir_key_peer(key, &other), 0);
    assert_int_equal(weir_peer_hold(world.a, &other), 0);
    memset(elements, 0xee, sizeof elements);
    memcpy(elements, &size, sizeof size);
    assert_int_equal(weir_peer_list(world.a, (weir_peer_info *)(void *)elements, 3), 2);
    uint32_t holds = 0, connections = 0;
    for (int i = 0; i < 2; i++) {
        uint32_t words[8];
        memcpy(words, elements[i], sizeof words);
        assert_int_equal(words[0], size);
        connections += words[1];
        holds += words[2];
    }
    assert_int_equal(connections, 1);
    assert_int_equal(holds, 1);
    assert_int_equal(elements[2][0], UINT64_C(0xeeeeeeeeeeeeeeee));
    assert_int_equal(weir_peer_list(world.a, (weir_peer_info *)(void *)elements, 1), 2);
    assert_int_equal(weir_peer_list(world.a, NULL, 0), 2);
}

static void test_an_error_struct_of_impossible_size_stops_the_call(void **state)
{
    weir_error error = {.size = 5};
    uint8_t key[WEIR_KEY_BYTES] = {0}, zero[WEIR_KEY_BYTES] = {0};
    weir_node *node = NULL;
    (void)state;
    assert_int_equal(weir_key_generate(key, &error), WEIR_E_SIZE);
    assert_memory_equal(key, zero, sizeof key);
    assert_int_equal(weir_node_create(NULL, &node, &error), WEIR_E_SIZE);
    assert_null(node);
    error.size = 8; /* the code alone */
    error.reason = 77;
    assert_int_equal(weir_key_load("/nowhere/at/all", key, &error), WEIR_E_NOT_FOUND);
    assert_int_equal(error.code, WEIR_E_NOT_FOUND);
    assert_int_equal(error.reason, 77);
}

#define FIELD(field)                                                                               \
    offsetof(weir_node_options, field), sizeof(((weir_node_options *)0)->field), #field
static const struct {
    size_t offset, size;
    const char *name;
    uint64_t low, high; /* allowed; 0 is too. One below and one above are not */
} fields[] = {
    {FIELD(log_level_plus1), 1, 6},
    {FIELD(memory_bytes), 256 << 10, UINT64_C(1) << 48},
    {FIELD(peers_max), 1, 1 << 20},
    {FIELD(stream_window_bytes), 1024, 16 << 20},
    {FIELD(connection_window_bytes), 1024, 16 << 20},
    {FIELD(windows_grow_off), 1, 1},
    {FIELD(idle_timeout_us), 1000000, UINT64_C(1) << 40},
    {FIELD(keep_alive_us), 100000, UINT64_C(1) << 40},
    {FIELD(dial_timeout_us), 1, UINT64_C(1) << 40},
    {FIELD(congestion_plus1), 1, 3},
    {FIELD(refuse_unknown), 1, 1},
    {FIELD(datagram_bytes), 1200, 65000},
    {FIELD(offload_off), 1, 1},
    {FIELD(streams_max), 1, 65536},
    {FIELD(observed_off), 1, 1},
    {FIELD(cipher_plus1), 1, 2},
    {FIELD(spin_us), 1, 1000},
    {FIELD(ecn_off), 1, 1},
    {FIELD(datagrams_off), 1, 1},
    {FIELD(handshake_timeout_us), 1000000, UINT64_C(1) << 40},
};

static int64_t try_field(unsigned i, uint64_t number, weir_error *error)
{
    weir_node_options options = {.size = sizeof options};
    weir_node *node;
    uint32_t narrow = (uint32_t)number;
    if (fields[i].size == sizeof narrow)
        memcpy((uint8_t *)&options + fields[i].offset, &narrow, 4);
    else
        memcpy((uint8_t *)&options + fields[i].offset, &number, 8);
    int32_t result = weir_node_create(&options, &node, error);
    if (result == 0) assert_int_equal(weir_node_free(node), 0);
    return result;
}

static void test_node_options_hold_to_their_ranges(void **state)
{
    weir_error error = {.size = sizeof error};
    (void)state;
    for (unsigned i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        expect(fields[i].name, 0, try_field(i, 0, NULL), 0);
        expect(fields[i].name, 1, try_field(i, fields[i].low, NULL), 0);
        expect(fields[i].name, 2, try_field(i, fields[i].high, NULL), 0);
        if (fields[i].low > 1)
            expect(fields[i].name, 3, try_field(i, fields[i].low - 1, NULL), WEIR_E_ARGUMENT);
        expect(fields[i].name, 4, try_field(i, fields[i].high + 1, &error), WEIR_E_ARGUMENT);
        assert_int_equal(error.code, WEIR_E_ARGUMENT);
        assert_non_null(strstr(error.detail, fields[i].name));
    }
    weir_node_options options = {.size = sizeof options, .keep_alive_us = WEIR_NONE};
    assert_int_equal(in_create(&options), 0);
}

static uint64_t limit_of(weir_node *node, const char *wanted)
{
    const char *name;
    uint64_t value;
    for (uint32_t i = 0; weir_node_limit(node, i, &name, &value) == 0; i++) {
        if (strcmp(name, wanted) == 0) return value;
    }
    fail_msg("there is no limit %s", wanted);
    return 0;
}

static void test_options_become_limits(void **state)
{
    weir_node_options options = {.size = sizeof options,
                                 .memory_bytes = 8 << 20,
                                 .peers_max = 9,
                                 .stream_window_bytes = 1 << 20,
                                 .connection_window_bytes = 2 << 20,
                                 .idle_timeout_us = 5000000,
                                 .keep_alive_us = WEIR_NONE,
                                 .dial_timeout_us = 7000000,
                                 .streams_max = 12};
    weir_error error = {.size = sizeof error};
    weir_node *node;
    (void)state;
    assert_int_equal(weir_world_add_node(world.world, &options, &node, NULL), 0);
    assert_int_equal(limit_of(node, "node_memory"), 8 << 20);
    assert_int_equal(limit_of(node, "peer_memory"), 2 << 20);
    assert_int_equal(limit_of(node, "peers"), 9);
    assert_int_equal(limit_of(node, "stream_window_first"), 1 << 20);
    assert_int_equal(limit_of(node, "stream_window"), 1 << 20);
    assert_int_equal(limit_of(node, "connection_window_first"), 2 << 20);
    assert_int_equal(limit_of(node, "connection_window"), 2 << 20);
    assert_int_equal(limit_of(node, "idle_timeout"), 5000000);
    assert_true(limit_of(node, "keep_alive") == WEIR_NONE);
    assert_int_equal(limit_of(node, "dial_time"), 7000000);
    assert_int_equal(limit_of(node, "streams_bidi"), 12);
    assert_int_equal(limit_of(node, "streams_uni"), 12);
    /* More than a peer may hold cannot be promised. */
    options.connection_window_bytes = (2 << 20) + 1;
    assert_int_equal(weir_world_add_node(world.world, &options, &node, &error), WEIR_E_ARGUMENT);
    assert_non_null(strstr(error.detail, "connection_window_bytes"));
}

static void test_names_of_networks_are_checked(void **state)
{
    char name[66];
    weir_node_options options = {.size = sizeof options, .network = name};
    (void)state;
    memset(name, 'n', sizeof name);
    name[64] = '\0';
    assert_int_equal(in_create(&options), 0);
    name[64] = 'n';
    name[65] = '\0';
    assert_int_equal(in_create(&options), WEIR_E_NAME);
    name[3] = '\n';
    name[4] = '\0';
    assert_int_equal(in_create(&options), WEIR_E_NAME);
    name[0] = '\0';
    assert_int_equal(in_create(&options), 0);
}

static void test_a_key_whose_halves_do_not_belong_together_is_refused(void **state)
{
    uint8_t key[WEIR_KEY_BYTES];
    weir_node_options options = {.size = sizeof options, .key = key};
    weir_error error = {.size = sizeof error};
    weir_node *node;
    weir_peer_id wanted, got;
    (void)state;
    assert_int_equal(weir_key_generate(key, NULL), 0);
    assert_int_equal(weir_key_peer(key, &wanted), 0);
    assert_int_equal(weir_node_create(&options, &node, NULL), 0);
    assert_int_equal(weir_node_peer(node, &got), 0);
    assert_memory_equal(&got, &wanted, sizeof got);
    assert_int_equal(weir_node_free(node), 0);
    key[40] ^= 1;
    assert_int_equal(weir_node_create(&options, &node, &error), WEIR_E_KEY);
    assert_null(node);
    assert_int_equal(error.code, WEIR_E_KEY);
}

static void test_values_inside_call_options_are_checked(void **state)
{
    weir_stream_options open = {.size = sizeof open, .urgency_plus1 = 9};
    weir_serve_options serve = {.size = sizeof serve, .urgency_plus1 = 9};
    weir_world_options made = {.size = sizeof made, .fidelity = 2};
    weir_link_options link = {.size = sizeof link, .loss_ppm = 1000001};
    (void)state;
    assert_int_equal(in_open(&open), WEIR_E_ARGUMENT);
    open = (weir_stream_options){.size = sizeof open, .urgency_plus1 = 8, .flags = WEIR_ONE_WAY};
    assert_int_equal(in_open(&open), 0);
    open.flags = WEIR_ONE_WAY | WEIR_FIN;
    assert_int_equal(in_open(&open), WEIR_E_ARGUMENT);
    assert_int_equal(in_serve(&serve), WEIR_E_ARGUMENT);
    assert_int_equal(in_world(&made), WEIR_E_ARGUMENT);
    assert_int_equal(in_link(&link), WEIR_E_ARGUMENT);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_options_of_every_size_are_judged),
        CASE(test_out_structs_are_filled_up_to_their_size),
        CASE(test_limits_say_where_they_come_from),
        CASE(test_a_list_lies_as_far_apart_as_the_caller_compiled_it),
        CASE(test_an_error_struct_of_impossible_size_stops_the_call),
        CASE(test_node_options_hold_to_their_ranges),
        CASE(test_options_become_limits),
        CASE(test_names_of_networks_are_checked),
        CASE(test_a_key_whose_halves_do_not_belong_together_is_refused),
        CASE(test_values_inside_call_options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
