/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_LUA_HOSTILE_PEER_H
#define WEIR_TESTS_LUA_HOSTILE_PEER_H
#include "unit/lua/scripts.h"

/* A peer that speaks weir.h by hand to a script: node 2 of a world in which node 1 serves "h/1". It
 * opens, asks and tells what no script would, and remembers why each of its objects ended. */

enum { OBJECTS = 4096 };
static const uint64_t ms = 1000, second = 1000000;

static struct scripts s;
static uint64_t connection;

/* What became of the attacker's objects, by the number that it gave each as its user tag. */
static uint32_t reasons[OBJECTS], objects;
static bool is_answered[OBJECTS];
static uint64_t readable_bytes, words_back;

static inline void note(uint64_t user, uint64_t reason)
{
    if (user > 0 && user < OBJECTS && reason != 0 && reasons[user] == 0)
        reasons[user] = (uint32_t)reason;
}

static inline void on_attacker(const weir_event *event)
{
    uint8_t data[256];

    switch (event->kind) {
    case WEIR_EVENT_CONNECTED: connection = event->object; break;
    case WEIR_EVENT_RESPONSE:
        if (event->error == 0)
            is_answered[event->user % OBJECTS] = true;
        else
            note(event->user, event->amount);
        break;
    case WEIR_EVENT_STREAM_RESET:
    case WEIR_EVENT_STREAM_STOPPED:
    case WEIR_EVENT_STREAM_CLOSED:
    case WEIR_EVENT_REQUEST_CLOSED:
    case WEIR_EVENT_FEED_CLOSED: note(event->user, event->amount); break;
    case WEIR_EVENT_MESSAGE:
        words_back++;
        weir_message_read(s.nodes[2], event->object, data, sizeof data);
        break;
    case WEIR_EVENT_READABLE: readable_bytes = event->amount; break;
    default: break;
    }
}

static inline void run_until(uint64_t end)
{
    static weir_event events[64], others[64];

    for (;;) {
        uint64_t next = weir_lua_deadline(s.lua);
        int64_t count;
        uint32_t kept = 0;

        weir_world_run(s.world, next < end ? next : end);
        count = weir_world_poll(s.world, 0, events, 64);
        for (int64_t i = 0; i < count; i++)
            if (events[i].node == 2)
                on_attacker(&events[i]);
            else
                others[kept++] = events[i];
        weir_lua_events(s.lua, others, kept);
        if (count == 0 && weir_world_now(s.world) >= end && weir_lua_deadline(s.lua) > end) break;
    }
    scripts_gather(&s);
}

static inline void run_for(uint64_t us)
{
    run_until(weir_world_now(s.world) + us);
}

/* ---- the attacker's tools */

static inline uint32_t next_object(void)
{
    assert_true(objects + 1 < OBJECTS);
    return ++objects;
}

static inline uint64_t open_raw(const char *name, bool is_one_way)
{
    weir_stream_options options = {
        .size = sizeof options, .flags = is_one_way ? WEIR_ONE_WAY : 0, .user = next_object()};
    int64_t handle = weir_stream_open(s.nodes[2], connection, name, &options);

    if (handle < 0) note(options.user, WEIR_REASON_LIMIT);
    return handle > 0 ? (uint64_t)handle : 0;
}

static inline void write_raw(uint64_t stream, const void *data, uint32_t len, uint32_t flags)
{
    if (stream) weir_stream_write(s.nodes[2], stream, data, len, flags);
}

static inline void ask_raw(const char *name, const void *data, uint32_t len, uint32_t flags)
{
    weir_request_options options = {.size = sizeof options,
                                    .flags = flags,
                                    .progress_us = WEIR_NONE,
                                    .deadline_us = WEIR_NONE,
                                    .response_max_bytes = flags ? 100 << 20 : 0,
                                    .user = next_object()};

    weir_request_send(s.nodes[2], connection, name, data, len, &options);
}

static inline void tell_raw(const void *data, uint32_t len)
{
    weir_message_options options = {.size = sizeof options};

    weir_message_send(s.nodes[2], connection, "h/1", data, len, &options);
}

/* [name, value], with the value's bytes as given. */
static inline uint32_t compose(uint8_t *out, const char *name, const void *value, size_t len)
{
    size_t name_len = strlen(name);

    out[0] = len > 0 ? 0x82 : 0x81;
    out[1] = (uint8_t)(0x60 + name_len);
    memcpy(out + 2, name, name_len);
    if (len > 0) memcpy(out + 2 + name_len, value, len);
    return (uint32_t)(2 + name_len + len);
}

static inline uint32_t count_reason(uint32_t reason)
{
    uint32_t count = 0;

    for (uint32_t i = 1; i <= objects; i++) count += reasons[i] == reason;
    return count;
}

static inline uint64_t metric(const char *name)
{
    const char *found;
    uint64_t value;

    for (uint32_t i = 0; weir_node_metric(s.nodes[1], i, &found, &value) == 0; i++)
        if (strcmp(found, name) == 0) return value;
    fail_msg("there is no metric %s", name);
    return 0;
}
#endif
