/* SPDX-License-Identifier: MIT */
/* Random calls on what is built out of streams: messages, requests, feeds, fetches, files. */
#include "sim/spin.h"
#include "base/bytes.h"

static const uint8_t zeros[BYTES_MAX];
static uint8_t room[BYTES_MAX];

static const char *some_talk(struct spinner *s)
{
    static const char *const names[] = {"talk",   "talk",  "talk", "talk",       "talk",
                                        "feed 1", "feed1", "",     SIM_PROTOCOL, "nothing"};

    return names[below(s, 10)];
}

static uint32_t some_len(struct spinner *s)
{
    return below(s, 6) == 0 ? below(s, BYTES_MAX) : below(s, 60);
}

static uint64_t some_span(struct spinner *s)
{
    uint32_t roll = below(s, 4);

    return roll == 0 ? WEIR_NONE : roll == 1 ? 1 + below(s, 5000000) : 0;
}

static void serve(struct spinner *s, uint32_t i)
{
    weir_serve_options o = {.size = sizeof o,
                            .kinds = WEIR_KIND_MESSAGE | WEIR_KIND_REQUEST,
                            .overflow = WEIR_OVERFLOW_DROP_NEW + below(s, 2),
                            .deadline_us = some_span(s),
                            .progress_us = some_span(s),
                            .request_chunked = below(s, 2),
                            .queue_per_peer = below(s, 8),
                            .queue_max = below(s, 12),
                            .response_max_bytes = below(s, 3) == 0 ? 10000 : 0};

    if (below(s, 10) == 0) o.kinds = below(s, 9);
    if (below(s, 10) == 0) o.overflow = below(s, 6);
    (void)ALLOW(weir_node_serve(s->sim.nodes[i], some_talk(s), &o), WEIR_E_NAME, WEIR_E_EXISTS,
                WEIR_E_ARGUMENT, WEIR_E_STATE, WEIR_E_BUDGET);
}

/* Messages and requests. */

/* Now and then more than the queue takes: SENDABLE follows. */
static void call_message(struct spinner *s, uint32_t i)
{
    weir_message_options o = {.size = sizeof o,
                              .urgency_plus1 = below(s, 9),
                              .overflow = below(s, 5),
                              .key = below(s, 3)};
    uint64_t h = some_handle(s, i, CONNECTION);
    const char *name = some_talk(s);
    uint32_t times = below(s, 12) == 0 ? 80 : 1;

    while (times-- > 0) {
        int64_t taken =
            ALLOW(weir_message_send(s->sim.nodes[i], h, name, zeros, some_len(s), &o), GONE,
                  WEIR_E_NOT_CONNECTED, WEIR_E_ARGUMENT, WEIR_E_NAME, WEIR_E_BUDGET);

        assert_true(taken <= 1);
    }
}

static void call_ask(struct spinner *s, uint32_t i)
{
    weir_request_options o = {.size = sizeof o,
                              .urgency_plus1 = below(s, 9),
                              .flags = below(s, 3) == 0 ? WEIR_MORE : 0,
                              .deadline_us = some_span(s),
                              .progress_us = some_span(s)};
    uint64_t h = some_handle(s, i, CONNECTION);
    struct thing *t;
    int64_t handle;

    if (below(s, 2) == 0) o.flags |= WEIR_CHUNKED;
    if (below(s, 30) == 0) o.flags = rng_u32(&s->rng);
    if (below(s, 4) == 0) o.response_max_bytes = below(s, 6000);
    handle =
        ALLOW(weir_request_send(s->sim.nodes[i], h, some_talk(s), zeros, some_len(s), &o), GONE,
              WEIR_E_NOT_CONNECTED, WEIR_E_ARGUMENT, WEIR_E_NAME, WEIR_E_LIMIT, WEIR_E_BUDGET);
    t = thing_note(s, i, handle, REQUEST, h);
    if (t == NULL) return;
    t->is_local = true;
    t->is_chunked = (o.flags & WEIR_CHUNKED) != 0;
}

/* As an application that serves a fetch would: the range that was asked for, if it is one. */
static uint32_t length_asked(int64_t count)
{
    struct reader r = reader_of(room, count < 0 ? 0 : (size_t)count);
    uint64_t len;

    (void)reader_varint(&r);
    len = reader_varint(&r);
    return r.failed || len > BYTES_MAX ? 3 : (uint32_t)len;
}

static void call_answer(struct spinner *s, uint32_t i, uint64_t h)
{
    weir_node *n = s->sim.nodes[i];
    const struct thing *t = thing_find(s, i, h);
    uint32_t cap = below(s, 8) == 0 ? below(s, 100) : sizeof room, len, flags = 0;
    int64_t count = ALLOW(weir_message_read(n, h, room, cap), GONE, WEIR_E_SPACE, WEIR_E_STATE,
                          WEIR_E_TIMEOUT, WEIR_E_NOT_CONNECTED, WEIR_E_REFUSED, WEIR_E_LIMIT,
                          WEIR_E_PROTOCOL, WEIR_E_UNSUPPORTED, WEIR_E_RESET, WEIR_E_STOPPED);

    assert_true(count <= (int64_t)cap);
    if (count >= 0 && t != NULL && (t->kind == MESSAGE || t->is_local)) {
        thing_drop(s, i, h);
        assert_int_equal(weir_message_read(n, h, room, cap), WEIR_E_STALE);
        return;
    }
    len = length_asked(count);
    if (below(s, 4) == 0) flags = WEIR_MORE;
    if (below(s, 4) == 0) len = some_len(s);
    count = ALLOW(weir_request_respond(n, h, zeros, len, flags), GONE, WEIR_E_LIMIT, WEIR_E_STOPPED,
                  WEIR_E_FINISHED, WEIR_E_NOT_CONNECTED);
    assert_true(count <= (int64_t)len);
}

/* The bytes of a request, by the calls of streams. */
static void call_bytes(struct spinner *s, uint32_t i, uint64_t h)
{
    weir_node *n = s->sim.nodes[i];
    const void *data;
    uint32_t cap = below(s, sizeof room);
    int64_t count;

    switch (below(s, 5)) {
    case 0:
        count =
            ALLOW(weir_stream_read(n, h, room, cap), GONE, WEIR_E_ONE_WAY, WEIR_E_END, WEIR_E_STATE,
                  WEIR_E_RESET, WEIR_E_STOPPED, WEIR_E_TIMEOUT, WEIR_E_NOT_CONNECTED,
                  WEIR_E_REFUSED, WEIR_E_LIMIT, WEIR_E_PROTOCOL, WEIR_E_UNSUPPORTED);
        assert_true(count <= (int64_t)cap);
        break;
    case 1:
        count = ALLOW(weir_stream_peek(n, h, &data), GONE, WEIR_E_ONE_WAY, WEIR_E_END, WEIR_E_STATE,
                      WEIR_E_RESET, WEIR_E_STOPPED, WEIR_E_TIMEOUT, WEIR_E_NOT_CONNECTED,
                      WEIR_E_REFUSED, WEIR_E_LIMIT, WEIR_E_PROTOCOL, WEIR_E_UNSUPPORTED);
        if (count > 0) memcpy(room, data, (size_t)count < sizeof room ? (size_t)count : 1);
        break;
    case 2: (void)weir_stream_consume(n, h, below(s, 3) == 0 ? rng_u64(&s->rng) : 1); break;
    case 3: (void)ALLOW(weir_stream_set_user(n, h, h), GONE); break;
    default:
        count = ALLOW(weir_stream_write(n, h, zeros, cap, below(s, 3) == 0 ? WEIR_FIN : 0), GONE,
                      WEIR_E_ONE_WAY, WEIR_E_FINISHED, WEIR_E_STOPPED, WEIR_E_NOT_CONNECTED);
        assert_true(count <= (int64_t)cap);
    }
}

static void call_request(struct spinner *s, uint32_t i)
{
    weir_node *n = s->sim.nodes[i];
    weir_request_info info = {.size = sizeof info};
    uint64_t h = some_handle(s, i, below(s, 3) == 0 ? MESSAGE : REQUEST);

    switch (below(s, 12)) {
    case 0:
        (void)ALLOW(weir_request_refuse(n, h, some_reason(s), below(s, 1000), "spun"), GONE,
                    WEIR_E_ARGUMENT, WEIR_E_STATE, WEIR_E_STOPPED, WEIR_E_NOT_CONNECTED);
        break;
    case 1:
        if (ALLOW(weir_request_cancel(n, h, some_reason(s)), GONE, WEIR_E_ARGUMENT) == 0)
            thing_drop(s, i, h);
        break;
    case 2:
        (void)ALLOW(weir_request_get_info(n, h, &info), GONE);
        assert_true(info.state <= 4);
        break;
    case 3:
    case 4:
    case 5: call_bytes(s, i, h); break;
    default: call_answer(s, i, h);
    }
}

/* Feeds. */

static void call_publish(struct spinner *s, uint32_t i)
{
    weir_feed_options o = {.size = sizeof o,
                           .kind = 1 + below(s, 3),
                           .keys_max = 1 + below(s, 5),
                           .item_max_bytes = below(s, 100)};
    static const char *const names[] = {"feed1", "feed2", "feed3", "talk"};
    weir_node *n = s->sim.nodes[i];
    uint64_t h = some_handle(s, i, FEED);
    uint32_t key_len = below(s, 4) == 0 ? 0 : 1, len = below(s, 60);

    switch (below(s, 10)) {
    case 0:
        if (below(s, 10) == 0) o.kind = below(s, 6);
        (void)thing_note(s, i,
                         ALLOW(weir_feed_open(n, names[below(s, 4)], &o), WEIR_E_EXISTS,
                               WEIR_E_ARGUMENT, WEIR_E_LIMIT, WEIR_E_STATE, WEIR_E_BUDGET),
                         FEED, 0);
        break;
    case 1:
        if (below(s, 3) == 0 &&
            ALLOW(weir_feed_close(n, h, some_reason(s)), GONE, WEIR_E_ARGUMENT) == 0)
            thing_drop(s, i, h);
        break;
    case 2:
    case 3:
    case 4:
        (void)ALLOW(weir_feed_add(n, h, &"abcdefgh"[below(s, 8)], key_len, (int64_t)len - 30), GONE,
                    WEIR_E_ARGUMENT, WEIR_E_LIMIT, WEIR_E_BUDGET);
        break;
    default:
        (void)ALLOW(weir_feed_publish(n, h, &"abcdefgh"[below(s, 8)], key_len,
                                      below(s, 5) == 0 ? NULL : zeros, below(s, 5) == 0 ? 0 : len),
                    GONE, WEIR_E_ARGUMENT, WEIR_E_LIMIT, WEIR_E_BUDGET, WEIR_E_NULL);
    }
}

static void call_subscription(struct spinner *s, uint32_t i)
{
    static const char *const names[] = {"feed1", "feed2", "feed3", "feed 3"};
    weir_feed_item item = {.size = sizeof item};
    weir_feed_info info = {.size = sizeof info};
    weir_node *n = s->sim.nodes[i];
    uint64_t h = some_handle(s, i, SUBSCRIPTION), connection = some_handle(s, i, CONNECTION);
    uint32_t cap = below(s, 4) == 0 ? below(s, 20) : sizeof room;
    int64_t handle;

    switch (below(s, 8)) {
    case 0:
    case 1:
        handle = ALLOW(weir_feed_subscribe(n, connection, names[below(s, 4)], 7),
                       WEIR_E_NOT_CONNECTED, WEIR_E_LIMIT, WEIR_E_BUDGET, WEIR_E_NAME, GONE);
        (void)thing_note(s, i, handle, SUBSCRIPTION, connection);
        break;
    case 2:
        if (below(s, 2) == 0 &&
            ALLOW(weir_feed_close(n, h, some_reason(s)), GONE, WEIR_E_ARGUMENT) == 0)
            thing_drop(s, i, h);
        break;
    case 3: (void)ALLOW(weir_feed_get_info(n, h, &info), GONE); break;
    default:
        (void)ALLOW(weir_feed_read(n, h, &item, room, cap), GONE, WEIR_E_NOT_FOUND, WEIR_E_SPACE,
                    WEIR_E_END, WEIR_E_RESET, WEIR_E_PROTOCOL, WEIR_E_NOT_CONNECTED);
        assert_true(item.key_len <= sizeof item.key);
    }
}

/* Fetches. */

static void open_fetch(struct spinner *s, uint32_t i)
{
    weir_fetch_options o = {.size = sizeof o,
                            .part_bytes = 1024,
                            .total_bytes = 1 + below(s, BYTES_MAX),
                            .parts_in_flight = below(s, 6),
                            .deadline_us = some_span(s)};

    if (below(s, 10) == 0) o.part_bytes = below(s, 2000);
    (void)thing_note(s, i,
                     ALLOW(weir_fetch_open(s->sim.nodes[i], some_talk(s), &o), WEIR_E_NAME,
                           WEIR_E_ARGUMENT, WEIR_E_LIMIT, WEIR_E_BUDGET),
                     FETCH, 0);
}

static void call_fetch(struct spinner *s, uint32_t i)
{
    weir_fetch_info info = {.size = sizeof info};
    weir_node *n = s->sim.nodes[i];
    uint64_t h = some_handle(s, i, FETCH), offset = 0;
    uint32_t cap = below(s, 4) == 0 ? below(s, 1024) : sizeof room;

    switch (below(s, 10)) {
    case 0: open_fetch(s, i); break;
    case 1:
    case 2:
        (void)ALLOW(weir_fetch_add(n, h, some_handle(s, i, CONNECTION)), GONE, WEIR_E_NOT_CONNECTED,
                    WEIR_E_LIMIT, WEIR_E_EXISTS);
        break;
    case 3:
        if (below(s, 4) == 0 && ALLOW(weir_fetch_cancel(n, h), GONE) == 0) thing_drop(s, i, h);
        break;
    case 4:
        (void)ALLOW(weir_fetch_reject(n, h, UINT64_C(1024) * below(s, 20)), GONE, WEIR_E_ARGUMENT,
                    WEIR_E_STATE);
        break;
    case 5:
        (void)ALLOW(weir_fetch_get_info(n, h, &info), GONE);
        assert_true(info.parts_done <= info.parts && info.bytes_done <= info.total_bytes);
        break;
    default:
        (void)ALLOW(weir_fetch_read(n, h, &offset, room, cap), GONE, WEIR_E_NOT_FOUND,
                    WEIR_E_SPACE);
        assert_true(offset <= BYTES_MAX);
    }
}

/* Files: the calls of streams find them among the streams. */
static void call_file(struct spinner *s, uint32_t i)
{
    static const char *const paths[] = {"one", "two", "", "three"};
    static const uint32_t flags[] = {WEIR_FILE_READ,
                                     WEIR_FILE_READ,
                                     WEIR_FILE_WRITE,
                                     WEIR_FILE_APPEND,
                                     WEIR_FILE_WRITE | WEIR_FILE_NEW,
                                     WEIR_FILE_WRITE | WEIR_FILE_KEEP,
                                     3};
    weir_limit_info limit = {.size = sizeof limit};
    weir_node *n = s->sim.nodes[i];
    const char *path = paths[below(s, 4)], *const arguments[] = {"true", NULL};
    uint64_t offset = below(s, 3) == 0 ? below(s, 5000) : 0;

    switch (below(s, 6)) {
    case 0:
        (void)ALLOW(weir_world_file(s->sim.world, i, path, zeros, some_len(s)), WEIR_E_ARGUMENT);
        break;
    case 1:
        (void)ALLOW(weir_child_open(n, arguments, 0), WEIR_E_UNSUPPORTED, WEIR_E_BUDGET,
                    WEIR_E_LIMIT);
        (void)ALLOW(weir_unix_open(n, path, 0), WEIR_E_UNSUPPORTED, WEIR_E_ARGUMENT, WEIR_E_BUDGET,
                    WEIR_E_LIMIT);
        break;
    case 2: (void)ALLOW(weir_node_limit_get_info(n, below(s, 60), &limit), WEIR_E_NOT_FOUND); break;
    default:
        (void)thing_note(s, i,
                         ALLOW(weir_file_open(n, path, flags[below(s, 7)], offset, 9),
                               WEIR_E_ARGUMENT, WEIR_E_LIMIT, WEIR_E_BUDGET),
                         STREAM, 0);
    }
}

void built_call(struct spinner *s, uint32_t node)
{
    switch (below(s, 16)) {
    case 0:
        if (below(s, 8) == 0)
            (void)ALLOW(weir_node_unserve(s->sim.nodes[node], some_talk(s)), WEIR_E_NOT_FOUND,
                        WEIR_E_STATE);
        serve(s, node);
        break;
    case 1:
    case 2: call_message(s, node); break;
    case 3:
    case 4: call_ask(s, node); break;
    case 5:
    case 6: call_publish(s, node); break;
    case 7:
    case 8: call_subscription(s, node); break;
    case 9:
    case 10: call_fetch(s, node); break;
    case 11: call_file(s, node); break;
    default: call_request(s, node);
    }
}

void built_open(struct spinner *s)
{
    uint32_t node;

    for (node = 1; node <= NODES; node++) serve(s, node);
}

/* @return whether it is stale now */
static bool give_up(weir_node *n, const struct thing *t)
{
    switch (t->kind) {
    case MESSAGE:
    case REQUEST: return weir_request_cancel(n, t->handle, 1) == 0;
    case FEED:
    case SUBSCRIPTION: return weir_feed_close(n, t->handle, 1) == 0;
    case FETCH: return weir_fetch_cancel(n, t->handle) == 0;
    case STREAM:
        if (t->parent != 0) return false;
        (void)weir_stream_reset(n, t->handle, 1);
        (void)weir_stream_stop(n, t->handle, 1);
        return false;
    default: return false;
    }
}

void built_quieten(struct spinner *s, uint32_t node)
{
    uint32_t i;

    for (i = s->count[node]; i-- > 0;) {
        const struct thing *t = &s->things[node][i];

        if (give_up(s->sim.nodes[node], t)) thing_drop(s, node, t->handle);
    }
}
