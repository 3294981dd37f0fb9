/* SPDX-License-Identifier: MIT */
/* Goal: no allocation that fails crashes or leaks, and the calls and events stay true: a dial still
 * has one answer, an end comes once. Method: a whole scenario of two nodes in the packet world
 * (connect, streams both ways, peers, a drain, closes) with an allocator that counts; then again
 * and again, each time with another allocation failing once. */
#include "api/node_options.h"
#include "loop/loop.h"
#include "quic/quic.h"
#include "sim/rig.h"
#include <string.h>

enum { NODES = 2, ANSWERS_MAX = 64, BYTES = 30000, ASKED = 6, STREAMS = 3 };
#define TALK "test/talk/1"

struct play {
    struct world *world;
    weir_world *abi;
    weir_node *nodes[NODES + 1];
    uint64_t connection[NODES + 1]; /* the newest one that is up */
    uint64_t stream[NODES + 1];     /* the newest one that the peer opened */
    uint64_t closed[ANSWERS_MAX];   /* connections that ended, of both nodes */
    uint32_t closed_count;
    uint64_t read_bytes, drained;
    uint64_t messages, asked, answered, echoed;
};

/* Memory may be short; nothing else may be wrong. */
static int64_t may_fail(int64_t result)
{
    if (result == WEIR_E_INTERNAL || result == WEIR_E_KIND || result == WEIR_E_ARGUMENT)
        fail_msg("a call answers %s", weir_error_name((int32_t)result));
    return result;
}

/* Messages are read, requests are echoed. */
static void take_talk(struct play *p, const weir_event *e)
{
    static uint8_t bytes[BYTES];
    weir_node *n = p->nodes[e->node];
    int64_t len;

    if (e->kind == WEIR_EVENT_RESPONSE) p->answered++;
    if (e->kind == WEIR_EVENT_RESPONSE && e->error != 0) return;
    if (e->kind == WEIR_EVENT_SENDABLE || e->kind == WEIR_EVENT_REQUEST_CLOSED) return;
    len = may_fail(weir_message_read(n, e->object, bytes, sizeof bytes));
    if (len < 0) return;
    if (e->kind == WEIR_EVENT_MESSAGE) p->messages++;
    if (e->kind == WEIR_EVENT_RESPONSE) p->echoed++;
    if (e->kind == WEIR_EVENT_REQUEST)
        (void)may_fail(weir_request_respond(n, e->object, bytes, (uint32_t)len, 0));
}

static void take(struct play *p, const weir_event *e)
{
    static uint8_t bytes[4096];
    uint64_t key = e->object << 2 | e->node;
    uint32_t i;
    int64_t count;

    assert_in_range(e->node, 1, NODES);
    if (e->kind == WEIR_EVENT_CONNECTED) p->connection[e->node] = e->object;
    if (e->kind == WEIR_EVENT_STREAM) p->stream[e->node] = e->object;
    if (e->kind == WEIR_EVENT_DRAINED) p->drained++;
    if (e->kind >= WEIR_EVENT_MESSAGE && e->kind <= WEIR_EVENT_REQUEST_CLOSED) take_talk(p, e);
    if (e->kind == WEIR_EVENT_CONNECTION_CLOSED) {
        for (i = 0; i < p->closed_count; i++) assert_true(p->closed[i] != key);
        assert_true(p->closed_count < ANSWERS_MAX);
        p->closed[p->closed_count++] = key;
    }
    if (e->kind != WEIR_EVENT_READABLE) return;
    while ((count = weir_stream_read(p->nodes[e->node], e->object, bytes, sizeof bytes)) > 0) {
        p->read_bytes += (uint64_t)count;
    }
    if (count == WEIR_E_END) (void)may_fail(weir_stream_finish(p->nodes[e->node], e->object));
}

static void run(struct play *p, uint64_t span_us)
{
    uint64_t until_us = weir_world_now(p->abi) + span_us;
    weir_event events[8];
    int64_t i, count;

    while (weir_world_run(p->abi, until_us) == 1) {
        count = weir_world_poll(p->abi, 0, events, 8);
        assert_true(count >= 0);
        for (i = 0; i < count; i++) take(p, &events[i]);
    }
}

static bool open_world(struct play *p, const struct mem *mem, uint32_t fidelity)
{
    static const struct transport_ops *const packets[] = {&quic_transport};
    static const struct transport_ops *const messages[] = {&loop_transport};
    /* So few streams that something has to wait for them. */
    weir_node_options options = {.size = sizeof options, .streams_max = STREAMS};
    struct world_config config = {
        .mem = mem, .seed = 5, .fidelity = fidelity, .transport_count = 1};
    uint32_t i;

    config.transports = fidelity == WEIR_FIDELITY_MESSAGE ? messages : packets;
    if (world_open(&config, &p->world) != 0) return false;
    p->abi = (weir_world *)p->world;
    for (i = 1; i <= NODES; i++) {
        if (may_fail(weir_world_add_node(p->abi, &options, &p->nodes[i], NULL)) != 0) return false;
        (void)may_fail(weir_node_serve(p->nodes[i], SIM_PROTOCOL, NULL));
    }
    return true;
}

static bool is_answered(const struct play *p, uint32_t node, uint64_t handle)
{
    uint32_t i, answers = 0;

    for (i = 0; i < p->closed_count; i++) answers += p->closed[i] == (handle << 2 | node);
    return answers == 1 || p->connection[node] == handle;
}

/* Whatever the memory did, a dial that was begun has its answer. */
static void dial(struct play *p, uint32_t from, uint32_t to)
{
    char address[WEIR_ADDRESS_TEXT_MAX];
    int64_t handle;
    uint32_t i;

    if (weir_node_address(p->nodes[to], 0, address, sizeof address) < 0) return;
    handle = may_fail(weir_node_dial(p->nodes[from], address, NULL));
    run(p, SIM_SECOND);
    if (handle <= 0) return;
    for (i = 0; i < 70 && !is_answered(p, from, (uint64_t)handle); i++) run(p, SIM_SECOND);
    assert_true(is_answered(p, from, (uint64_t)handle));
}

static void use_streams(struct play *p)
{
    static const uint8_t bytes[BYTES];
    weir_stream_options one_way = {.size = sizeof one_way, .flags = WEIR_ONE_WAY};
    uint32_t from;

    for (from = 1; from <= NODES; from++) {
        uint64_t c = p->connection[from];
        int64_t both, one, third;

        if (c == 0) continue;
        both = may_fail(weir_stream_open(p->nodes[from], c, SIM_PROTOCOL, NULL));
        one = may_fail(weir_stream_open(p->nodes[from], c, SIM_PROTOCOL, &one_way));
        third = may_fail(weir_stream_open(p->nodes[from], c, "not/served", NULL));
        if (both > 0) {
            (void)may_fail(weir_stream_write(p->nodes[from], (uint64_t)both, bytes, BYTES, 0));
            (void)may_fail(weir_stream_finish(p->nodes[from], (uint64_t)both));
        }
        if (one > 0) {
            (void)may_fail(weir_stream_write(p->nodes[from], (uint64_t)one, "x", 1, 0));
            (void)may_fail(weir_stream_flush(p->nodes[from], (uint64_t)one));
            (void)may_fail(weir_stream_reset(p->nodes[from], (uint64_t)one, 7));
        }
        if (third > 0)
            (void)may_fail(weir_stream_write(p->nodes[from], (uint64_t)third, "x", 1, 0));
        run(p, SIM_SECOND);
        if (p->stream[NODES + 1 - from] != 0)
            (void)weir_stream_stop(p->nodes[NODES + 1 - from], p->stream[NODES + 1 - from], 8);
        run(p, SIM_SECOND);
    }
}

/* Whatever the memory did, a request that was taken has one answer. */
static void use_requests(struct play *p)
{
    static const uint8_t bytes[BYTES];
    weir_request_options options = {.size = sizeof options, .deadline_us = 3 * SIM_SECOND};
    weir_serve_options served = {.size = sizeof served,
                                 .kinds = WEIR_KIND_MESSAGE | WEIR_KIND_REQUEST,
                                 .overflow = WEIR_OVERFLOW_DROP_OLD,
                                 .queue_per_peer = 2};
    uint64_t c = p->connection[1];
    uint32_t i;

    (void)may_fail(weir_node_serve(p->nodes[2], TALK, &served));
    if (c == 0) return;
    for (i = 0; i < ASKED; i++) {
        if (may_fail(weir_request_send(p->nodes[1], c, TALK, bytes, 100, &options)) > 0) p->asked++;
        (void)may_fail(weir_message_send(p->nodes[1], c, TALK, bytes, 10000, NULL));
    }
    run(p, 5 * SIM_SECOND);
    assert_int_equal(p->answered, p->asked);
}

static void use_peers(struct play *p)
{
    weir_peer_info list[4] = {{.size = sizeof list[0]}};
    char text[WEIR_ADDRESS_TEXT_MAX];
    weir_peer_id peer;

    assert_int_equal(weir_node_peer(p->nodes[2], &peer), 0);
    (void)may_fail(weir_peer_hold(p->nodes[1], &peer));
    (void)may_fail(weir_peer_add_address(p->nodes[1], &peer, "n2:4001"));
    (void)may_fail(weir_network_access(p->nodes[1], "red", WEIR_ACCESS_ACCEPT));
    (void)may_fail(weir_peer_list(p->nodes[1], list, 4));
    (void)may_fail(weir_peer_address(p->nodes[1], &peer, 0, text, sizeof text));
    if (p->connection[1] != 0)
        (void)may_fail(weir_connection_close(p->nodes[1], p->connection[1], 3, "again"));
    run(p, SIM_SECOND);
    (void)may_fail(weir_peer_dial(p->nodes[1], &peer, NULL));
    run(p, SIM_SECOND);
}

static void play(const struct mem *mem, uint32_t fidelity, struct play *p)
{
    weir_error error = {.size = sizeof error};

    memset(p, 0, sizeof *p);
    if (open_world(p, mem, fidelity)) {
        dial(p, 1, 2);
        use_streams(p);
        use_requests(p);
        use_peers(p);
        /* There is a connection already, mostly. */
        dial(p, 2, 1);
        (void)weir_stream_write(p->nodes[1], 12345, "x", 1, 0);
        assert_int_equal(weir_last_error(p->nodes[1], &error), 0);
        assert_true(error.code == WEIR_E_STALE || error.code == WEIR_E_MEMORY);
        (void)may_fail(weir_node_drain(p->nodes[1], 9, SIM_SECOND));
        run(p, 5 * SIM_SECOND);
        assert_int_equal(weir_node_close(p->nodes[2]), 0);
        run(p, SIM_SECOND);
    }
    if (p->abi != NULL) assert_int_equal(weir_world_free(p->abi), 0);
}

static void fail_in_turn(uint32_t fidelity)
{
    struct mem_counter counter;
    static struct play p;
    uint64_t calls, at;

    assert_int_equal(secret_init(), 0);
    mem_counter_init(&counter, mem_system());
    play(&counter.mem, fidelity, &p);
    assert_int_equal(counter.live_bytes, 0);
    assert_int_equal(p.drained, 1);
    assert_int_equal(p.read_bytes, 2 * BYTES);
    assert_int_equal(p.asked, ASKED);
    assert_true(p.echoed > 0 && p.messages > 0);
    calls = counter.calls;
    for (at = 1; at <= calls; at++) {
        mem_counter_init(&counter, mem_system());
        counter.fail_at = at;
        play(&counter.mem, fidelity, &p);
        if (counter.live_bytes != 0)
            fail_msg("allocation %llu fails and %llu bytes are left", (unsigned long long)at,
                     (unsigned long long)counter.live_bytes);
        /* Without memory for the drain itself there is none. */
        assert_true(p.drained <= 1);
    }
    print_message("  %llu allocations failed in turn\n", (unsigned long long)calls);
}

static void test_every_allocation_of_a_world_of_packets_may_fail(void **state)
{
    (void)state;
    fail_in_turn(WEIR_FIDELITY_PACKET);
}

static void test_every_allocation_of_a_world_of_messages_may_fail(void **state)
{
    (void)state;
    fail_in_turn(WEIR_FIDELITY_MESSAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation_of_a_world_of_packets_may_fail),
        cmocka_unit_test(test_every_allocation_of_a_world_of_messages_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
