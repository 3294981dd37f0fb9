/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_API_API_WORLD_H
#define TESTS_UNIT_API_API_WORLD_H
/* A world of two nodes with one connection, through weir.h alone. */
#include "weir.h"
#include <string.h>

struct api_world {
    weir_world *world;
    weir_node *a, *b;
    uint64_t connection;    /* of a, dialled */
    uint64_t stream;        /* of a, opened to b's "echo", one byte was written */
    uint64_t remote_stream; /* the same, of b */
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

static inline void api_world_close(struct api_world *w)
{
    assert_int_equal(weir_world_free(w->world), 0);
}
#endif
