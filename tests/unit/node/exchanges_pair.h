/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TEST_NODE_EXCHANGES_PAIR_H
#define WEIR_TEST_NODE_EXCHANGES_PAIR_H
/* Two nodes over the fake network that send messages and ask: short forms of the calls, and what
 * each application hears. Shared by exchanges_*_test.c; one pair per program. */
#include "unit/node/fake.h"

enum { SECOND = 1000000, EVENTS = 128 };

struct pair {
    struct fake_net net;
    struct node *a, *b;
    uint64_t conn[2];
    weir_event events[EVENTS];
    uint32_t count;
};
static struct pair p;

static inline void begin(const weir_serve_options *served)
{
    net_init(&p.net);
    p.a = net_add(&p.net, NULL);
    p.b = net_add(&p.net, NULL);
    if (served != NULL)
        assert_int_equal(call_text(&p.net, p.b, NODE_CALL_SERVE, 0, "talk", served), 0);
    net_pair(&p.net, p.conn);
}

static inline weir_serve_options serving(uint32_t kinds)
{
    return (weir_serve_options){.size = sizeof(weir_serve_options),
                                .kinds = kinds,
                                .user = 77,
                                .overflow =
                                    kinds == WEIR_KIND_REQUEST ? 0 : WEIR_OVERFLOW_DROP_NEW};
}

static inline int setup(void **state)
{
    weir_serve_options both = serving(WEIR_KIND_MESSAGE | WEIR_KIND_REQUEST);
    (void)state;
    memset(&p, 0, sizeof p);
    begin(&both);
    return 0;
}

static inline int setup_unserved(void **state)
{
    (void)state;
    memset(&p, 0, sizeof p);
    begin(NULL);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    net_free(&p.net);
    /* Whatever happened, nothing is counted as open any more. */
    assert_int_equal(p.net.metrics.value[METRIC_REQUESTS_OPEN], 0);
    return 0;
}

static inline void serve(const weir_serve_options *options)
{
    assert_int_equal(call_text(&p.net, p.b, NODE_CALL_SERVE, 0, "talk", options), 0);
}

static inline uint64_t metric(enum metric m)
{
    return p.net.metrics.value[m];
}

static inline int64_t send_bytes(const void *data, size_t len, const weir_message_options *options)
{
    weir_message_options whole = {.size = sizeof whole};
    struct node_call call = {.kind = NODE_CALL_MESSAGE_SEND,
                             .object = p.conn[0],
                             .key = "talk",
                             .key_len = 4,
                             .data = data,
                             .len = len,
                             .options = options == NULL ? &whole : options};
    return net_input(&p.net, p.a, NODE_INPUT_CALL, &call);
}
static inline int64_t send_text(const char *text, const weir_message_options *options)
{
    return send_bytes(text, strlen(text), options);
}

static inline int64_t ask_bytes(const void *data, size_t len, const weir_request_options *options)
{
    weir_request_options whole = {.size = sizeof whole, .user = 5};
    struct node_call call = {.kind = NODE_CALL_REQUEST_SEND,
                             .object = p.conn[0],
                             .key = "talk",
                             .key_len = 4,
                             .data = data,
                             .len = len,
                             .options = options == NULL ? &whole : options};
    return net_input(&p.net, p.a, NODE_INPUT_CALL, &call);
}
static inline uint64_t ask(const char *text, const weir_request_options *options)
{
    int64_t handle = ask_bytes(text, strlen(text), options);
    assert_true(handle > 0);
    return (uint64_t)handle;
}

static inline int64_t respond(uint64_t request, const char *text, uint32_t flags)
{
    return call_stream(&p.net, p.b, NODE_CALL_REQUEST_RESPOND, request, flags, text, strlen(text));
}

static inline int64_t read_whole(struct node *node, uint64_t object, void *out, size_t cap)
{
    struct node_call call = {
        .kind = NODE_CALL_MESSAGE_READ, .object = object, .out = out, .cap = cap};
    return net_input(&p.net, node, NODE_INPUT_CALL, &call);
}
static inline void expect_whole(struct node *node, uint64_t object, const char *text)
{
    char got[256] = "";
    assert_int_equal(read_whole(node, object, got, sizeof got - 1), strlen(text));
    assert_string_equal(got, text);
}

/* Bytes that WEIR_MORE holds back leave. */
static inline void flush(struct node *node, uint64_t request)
{
    assert_int_equal(call_simple(&p.net, node, NODE_CALL_STREAM_FLUSH, request, 0, 0), 0);
}

static inline int64_t cancel(struct node *node, uint64_t object, uint32_t reason)
{
    return call_simple(&p.net, node, NODE_CALL_REQUEST_CANCEL, object, reason, 0);
}

static inline uint32_t poll_node(struct node *node)
{
    p.count = net_poll(&p.net, node, p.events, EVENTS);
    return p.count;
}

/* What a wrote arrives at b, whose application hears so many events. */
static inline void to_b(uint32_t events)
{
    (void)net_input(&p.net, p.a, NODE_INPUT_TURN, NULL);
    net_settle(&p.net);
    assert_int_equal(poll_node(p.b), events);
}
static inline void to_a(uint32_t events)
{
    (void)net_input(&p.net, p.b, NODE_INPUT_TURN, NULL);
    net_settle(&p.net);
    assert_int_equal(poll_node(p.a), events);
}

static inline void expect_event(uint32_t i, uint32_t kind, int error, uint64_t object,
                                uint64_t amount)
{
    assert_true(i < p.count);
    const weir_event *e = &p.events[i];
    if (e->kind != kind || e->error != error || (object != 0 && e->object != object) ||
        e->amount != amount)
        fail_msg("event %u: kind %u error %d amount %llx", (unsigned)i, (unsigned)e->kind, e->error,
                 (unsigned long long)e->amount);
}

static inline weir_request_info info_of(struct node *node, uint64_t object)
{
    weir_request_info info = {.size = sizeof info};
    assert_int_equal(node_request_info(node, object, &info), 0);
    return info;
}

/* So few streams that the next message has to wait. */
static inline void few_streams(uint64_t count, uint32_t kinds, uint64_t waiting)
{
    weir_serve_options o = serving(kinds);
    net_free(&p.net);
    memset(&p, 0, sizeof p);
    net_init(&p.net);
    p.net.limits.value[LIMIT_STREAMS_UNI] = count;
    p.net.limits.value[LIMIT_STREAMS_BIDI] = count;
    p.net.limits.value[LIMIT_MESSAGES_OUT] = waiting;
    p.a = net_add(&p.net, NULL);
    p.b = net_add(&p.net, NULL);
    serve(&o);
    net_pair(&p.net, p.conn);
}

static uint32_t sendable, openable; /* events of a that letters() saw */

/* Both applications come back again and again, and b reads every message: their first letters. */
static inline const char *letters(void)
{
    static char got[EVENTS + 1];
    static char body[16384];
    uint32_t n = 0;
    bool more = true;
    sendable = openable = 0;
    for (unsigned round = 0; more; round++) {
        assert_true(round < 100);
        more = poll_node(p.a) > 0;
        sendable += count_kind(p.events, p.count, WEIR_EVENT_SENDABLE);
        openable += count_kind(p.events, p.count, WEIR_EVENT_OPENABLE);
        more = poll_node(p.b) > 0 || more;
        for (uint32_t i = 0; i < p.count; i++) {
            if (p.events[i].kind != WEIR_EVENT_MESSAGE) continue;
            assert_true(read_whole(p.b, p.events[i].object, body, sizeof body) >= 0);
            got[n++] = body[0];
        }
    }
    got[n] = 0;
    return got;
}

/** A test of a pair of which b serves messages and requests, or nothing yet. */
#define HERE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define BARE(name) cmocka_unit_test_setup_teardown(name, setup_unserved, teardown)
#endif
