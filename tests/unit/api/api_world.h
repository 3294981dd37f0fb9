/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_API_API_WORLD_H
#define TESTS_UNIT_API_API_WORLD_H
/* A world of two nodes with one connection, through weir.h alone. */
#include "weir.h"
#include <string.h>

/* What a handle may be of. */
enum api_kind {
    API_NONE,
    API_CONNECTION,
    API_STREAM,
    API_REQUEST,
    API_FEED,
    API_SUBSCRIPTION,
    API_FETCH,
    API_KINDS
};

struct api_world {
    weir_world *world;
    weir_node *a, *b;
    uint64_t connection;    /* of a, dialled */
    uint64_t stream;        /* of a, opened to b's "echo", one byte was written */
    uint64_t remote_stream; /* the same, of b */
    /* After api_world_fill: one of a's of each kind, the above among them; the request is asked and
     * not answered. And the same request of b, and b's feed that a subscribed to. */
    uint64_t object[API_KINDS], remote_request, remote_feed;
    weir_peer_id peer_a, peer_b;
    uint64_t last_closed; /* the reason of the last CONNECTION_CLOSED */
};

/* Run until nothing happens any more, or the time is reached, taking events. */
static inline void api_world_run(struct api_world *w, uint64_t span_us)
{
    weir_event events[16];
    uint64_t until = weir_world_now(w->world) + span_us;
    int32_t more;
    do {
        int64_t count;
        more = weir_world_run(w->world, until);
        assert_true(more >= 0);
        while ((count = weir_world_poll(w->world, 0, events, 16)) > 0) {
            for (int64_t i = 0; i < count; i++) {
                if (events[i].kind == WEIR_EVENT_STREAM)
                    w->remote_stream = events[i].object;
                if (events[i].kind == WEIR_EVENT_REQUEST) w->remote_request = events[i].object;
                if (events[i].kind == WEIR_EVENT_CONNECTION_CLOSED)
                    w->last_closed = events[i].amount;
            }
        }
        assert_true(count == 0);
    } while (more == 1);
}

static inline void api_world_open(struct api_world *w, uint32_t fidelity)
{
    weir_world_options options = {.size = sizeof options, .fidelity = fidelity, .seed = 11};
    char address[WEIR_ADDRESS_TEXT_MAX];
    memset(w, 0, sizeof *w);
    assert_int_equal(weir_world_create(&options, &w->world, NULL), 0);
    assert_int_equal(weir_world_add_node(w->world, NULL, &w->a, NULL), 0);
    assert_int_equal(weir_world_add_node(w->world, NULL, &w->b, NULL), 0);
    assert_int_equal(weir_node_peer(w->a, &w->peer_a), 0);
    assert_int_equal(weir_node_peer(w->b, &w->peer_b), 0);
    assert_int_equal(weir_node_serve(w->b, "echo", NULL), 0);
    assert_true(weir_node_address(w->b, 0, address, sizeof address) > 0);
    int64_t connection = weir_node_dial(w->a, address, NULL);
    assert_true(connection > 0);
    w->connection = (uint64_t)connection;
    api_world_run(w, 1000000);
    int64_t stream = weir_stream_open(w->a, w->connection, "echo", NULL);
    assert_true(stream > 0);
    w->stream = (uint64_t)stream;
    assert_int_equal(weir_stream_write(w->a, w->stream, "x", 1, 0), 1);
    api_world_run(w, 1000000);
    assert_true(w->remote_stream != 0);
}

/* A handle that a call gave. */
static inline uint64_t api_handle(int64_t result)
{
    if (result <= 0) fail_msg("no handle but %s", weir_error_name((int32_t)result));
    return (uint64_t)result;
}

/* Open one of everything else. b serves "ask" for messages and requests and publishes "news"; a
 * publishes "mine", of 2 keys and 16 bytes, and fetches 4 KiB in parts of 1 KiB from nobody. */
static inline void api_world_fill(struct api_world *w)
{
    const weir_serve_options serve = {.size = sizeof serve,
                                      .kinds = WEIR_KIND_MESSAGE | WEIR_KIND_REQUEST,
                                      .overflow = WEIR_OVERFLOW_DROP_NEW,
                                      .deadline_us = WEIR_NONE};
    const weir_request_options ask = {.size = sizeof ask, .deadline_us = WEIR_NONE};
    const weir_feed_options feed = {
        .size = sizeof feed, .kind = WEIR_FEED_STATE, .keys_max = 2, .item_max_bytes = 16};
    const weir_fetch_options fetch = {
        .size = sizeof fetch, .part_bytes = 1024, .total_bytes = 4096};
    assert_int_equal(weir_node_serve(w->b, "ask", &serve), 0);
    w->remote_feed = api_handle(weir_feed_open(w->b, "news", &feed));
    w->object[API_CONNECTION] = w->connection;
    w->object[API_STREAM] = w->stream;
    w->object[API_REQUEST] =
        api_handle(weir_request_send(w->a, w->connection, "ask", "hi", 2, &ask));
    w->object[API_FEED] = api_handle(weir_feed_open(w->a, "mine", &feed));
    w->object[API_SUBSCRIPTION] =
        api_handle(weir_feed_subscribe(w->a, w->connection, "news", 5));
    w->object[API_FETCH] = api_handle(weir_fetch_open(w->a, "part", &fetch));
    api_world_run(w, 1000000);
    assert_true(w->remote_request != 0);
}

static inline void api_expect(const char *name, const char *with, int64_t got, int64_t wanted)
{
    if (got == wanted) return;
    fail_msg("%s with %s gave %lld (%s), not %lld (%s)", name, with, (long long)got,
             weir_error_name((int32_t)got), (long long)wanted, weir_error_name((int32_t)wanted));
}

static inline void api_world_close(struct api_world *w)
{
    assert_int_equal(weir_world_free(w->world), 0);
}
#endif
