/* SPDX-License-Identifier: MIT */
/* Goal: a fetch survives any allocation that fails, waits for the peer's stream limit, sends its
 * request through the smallest credit, and gives everything back. Method: two nodes over the fake
 * network; the server answers by hand; the counting allocator must end at 0 (net_free). */
#include "unit/node/fake.h"
#include "base/bytes.h"
#include "crypto/blake2b.h"

enum { PART = 1024, PARTS = 12, TOTAL = PART * PARTS - 100, ALLOCATIONS_MAX = 3000, ROUNDS = 300 };

struct outcome {
    uint32_t read, told, closed;
    int error;
};

static void serve(struct fake_net *net, const weir_event *e)
{
    static const uint8_t bytes[PART + 1]; /* RESPONSE_OK, and the thing is all zeros */
    struct node *node = net->nodes[1];
    uint8_t head[64];
    if (e->kind != WEIR_EVENT_READABLE || e->error != WEIR_E_END) return;
    int64_t n = call_read(net, node, e->object, head, sizeof head);
    struct reader r = reader_of(head, n > 0 ? (size_t)n : 0);
    uint64_t offset = reader_varint(&r), len = reader_varint(&r);
    if (r.failed) return;
    assert_true(offset + len <= TOTAL && len <= PART);
    (void)call_stream(net, node, NODE_CALL_STREAM_WRITE, e->object, WEIR_FIN, bytes,
                      (size_t)len + 1);
}

static void take(struct fake_net *net, uint64_t fetch, const weir_event *e, struct outcome *o)
{
    uint8_t part[PART];
    uint64_t offset;
    struct node_call call = {.kind = NODE_CALL_FETCH_READ,
                             .object = fetch,
                             .out = part,
                             .cap = sizeof part,
                             .number_out = &offset};
    if (e->object != fetch) return;
    assert_int_equal(o->closed, 0);
    if (e->kind == WEIR_EVENT_FETCH_PART) {
        o->told++;
        while (net_input(net, net->nodes[0], NODE_INPUT_CALL, &call) > 0) o->read++;
    } else {
        assert_int_equal(e->kind, WEIR_EVENT_FETCH_CLOSED);
        o->closed++;
        o->error = e->error;
    }
}

static void play(struct fake_net *net, uint64_t fetch, struct outcome *o)
{
    weir_event events[16];
    for (unsigned round = 0; round < ROUNDS && o->closed == 0; round++) {
        net_run(net, 50000);
        for (uint32_t i = 0; i < 2; i++) {
            (void)net_input(net, net->nodes[i], NODE_INPUT_TURN, NULL);
            net_settle(net);
            uint32_t count = node_next_events(net->nodes[i], events, 16);
            for (uint32_t j = 0; j < count; j++) {
                if (i == 1)
                    serve(net, &events[j]);
                else
                    take(net, fetch, &events[j], o);
            }
        }
    }
}

static int64_t open_fetch(struct fake_net *net, uint64_t connection, const void *data, uint32_t len)
{
    uint8_t hashes[PARTS * 32];
    static const uint8_t zeros[PART];
    weir_fetch_options options = {.size = sizeof options,
                                  .part_bytes = PART,
                                  .total_bytes = TOTAL,
                                  .data = data,
                                  .data_len = len,
                                  .hashes = hashes};
    for (uint32_t i = 0; i < PARTS; i++)
        blake2b(zeros, i < PARTS - 1 ? PART : PART - 100, hashes + 32 * i);
    int64_t fetch = call_text(net, net->nodes[0], NODE_CALL_FETCH_OPEN, 0, "part", &options);
    if (fetch > 0)
        (void)call_simple(net, net->nodes[0], NODE_CALL_FETCH_ADD, (uint64_t)fetch, 0, connection);
    return fetch;
}

static void begin(struct fake_net *net, uint64_t handles[2])
{
    (void)net_add(net, NULL);
    (void)net_add(net, NULL);
    net_pair(net, handles);
    assert_int_equal(call_text(net, net->nodes[1], NODE_CALL_SERVE, 0, "part", NULL), 0);
}

static void test_every_allocation_may_fail(void **state)
{
    static struct fake_net net;
    uint64_t handles[2], n = 0, whole = 0;
    bool failed = true;
    (void)state;
    while (failed) {
        struct outcome o = {0};
        assert_true(++n < ALLOCATIONS_MAX);
        net_init(&net);
        begin(&net, handles);
        net.counter.fail_at = n;
        int64_t fetch = open_fetch(&net, handles[0], "x", 1);
        assert_true(fetch > 0 || fetch == WEIR_E_MEMORY);
        if (fetch > 0) {
            play(&net, (uint64_t)fetch, &o);
            /* It ends: whole, or because the allocation cost the peer or the add. */
            if (o.closed == 1 && o.error == 0) assert_int_equal(o.read, PARTS);
            whole += o.closed == 1 && o.error == 0 ? 1 : 0;
        }
        failed = net.counter.fail_at == 0;
        net_free(&net);
    }
    /* What fails once is tried again: next to all of them come whole. */
    assert_true(n > 50 && whole * 10 > n * 8);
}

static void test_a_fetch_waits_for_the_peers_stream_limit(void **state)
{
    static struct fake_net net;
    uint64_t handles[2];
    struct outcome o = {0};
    (void)state;
    net_init(&net);
    net.limits.value[LIMIT_STREAMS_BIDI] = 2;
    begin(&net, handles);
    int64_t fetch = open_fetch(&net, handles[0], "x", 1);
    assert_true(fetch > 0);
    play(&net, (uint64_t)fetch, &o);
    assert_int_equal(o.closed, 1);
    assert_int_equal(o.error, 0);
    assert_int_equal(o.read, PARTS);
    assert_int_equal(net.metrics.value[METRIC_FETCH_PARTS_DONE], PARTS);
    assert_int_equal(net.metrics.value[METRIC_FETCH_PARTS_RETRIED], 0);
    net_free(&net);
}

static void test_a_request_goes_through_the_smallest_credit(void **state)
{
    static struct fake_net net;
    static const uint8_t data[1024];
    weir_event events[16];
    uint64_t handles[2];
    (void)state;
    net_init(&net);
    net.limits.value[LIMIT_STREAM_WINDOW_FIRST] = net.limits.value[LIMIT_STREAM_WINDOW] = 64;
    begin(&net, handles);
    int64_t fetch = open_fetch(&net, handles[0], data, sizeof data);
    assert_true(fetch > 0);
    uint64_t came = 0;
    for (unsigned round = 0; round < 200; round++) {
        net_run(&net, 1000);
        (void)net_input(&net, net.nodes[1], NODE_INPUT_TURN, NULL);
        net_settle(&net);
        uint32_t count = node_next_events(net.nodes[1], events, 16);
        for (uint32_t j = 0; j < count; j++) {
            uint8_t bytes[64];
            int64_t n;
            if (events[j].kind != WEIR_EVENT_READABLE) continue;
            while ((n = call_read(&net, net.nodes[1], events[j].object, bytes, 64)) > 0)
                came += (uint64_t)n;
        }
    }
    /* Eight parts in flight; offset and length are one to two bytes each. */
    assert_in_range(came, 8 * (1024 + 3), 8 * (1024 + 4));
    assert_int_equal(call_simple(&net, net.nodes[0], NODE_CALL_FETCH_CANCEL, (uint64_t)fetch, 0, 0),
                     0);
    net_free(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_a_fetch_waits_for_the_peers_stream_limit),
        cmocka_unit_test(test_a_request_goes_through_the_smallest_credit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
