/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "sim/harness.h"
#include <string.h>

enum { SIM_CHUNK = 16384 };

static void check(int64_t result, const char *what)
{
    if (result >= 0) return;
    fail_msg("%s: %s (%s)", what, weir_error_name((int32_t)result), weir_strerror((int32_t)result));
}

void sim_open(struct sim *sim, uint64_t seed, uint32_t fidelity, uint32_t count,
              const weir_node_options *options)
{
    weir_world_options world = {.size = sizeof world, .fidelity = fidelity, .seed = seed};
    uint32_t i;

    assert_in_range(count, 1, SIM_NODES_MAX);
    memset(sim, 0, sizeof *sim);
    check(weir_world_create(&world, &sim->world, NULL), "weir_world_create");
    for (i = 1; i <= count; i++) {
        check(weir_world_add_node(sim->world, options, &sim->nodes[i], NULL), "add_node");
        check(weir_node_serve(sim->nodes[i], SIM_PROTOCOL, NULL), "weir_node_serve");
    }
    sim->count = count;
}

void sim_close(struct sim *sim)
{
    check(weir_world_free(sim->world), "weir_world_free");
    memset(sim, 0, sizeof *sim);
}

void sim_link(struct sim *sim, const weir_link_options *options)
{
    check(weir_world_link(sim->world, 0, 0, options), "weir_world_link");
}

uint64_t sim_now(const struct sim *sim)
{
    return weir_world_now(sim->world);
}

bool sim_next(struct sim *sim, weir_event *event, uint64_t until_us)
{
    while (sim->events_next == sim->events_count) {
        int32_t result = weir_world_run(sim->world, until_us);
        int64_t count;

        check(result, "weir_world_run");
        if (result == 0) return false;
        count = weir_world_poll(sim->world, 0, sim->events, SIM_EVENTS);
        check(count, "weir_world_poll");
        sim->events_count = (uint32_t)count;
        sim->events_next = 0;
    }
    *event = sim->events[sim->events_next++];
    assert_in_range(event->kind, 1, WEIR_EVENT_FETCH_CLOSED);
    assert_in_range(event->node, 1, sim->count);
    sim->seen[event->kind]++;
    return true;
}

bool sim_wait(struct sim *sim, uint32_t kind, uint64_t node, uint64_t object, weir_event *event,
              uint64_t until_us)
{
    while (sim_next(sim, event, until_us)) {
        if (event->kind == kind && (node == 0 || event->node == node) &&
            (object == 0 || event->object == object)) {
            return true;
        }
    }
    return false;
}

void sim_settle(struct sim *sim, uint64_t until_us)
{
    weir_event event;

    while (sim_next(sim, &event, until_us)) continue;
}

uint64_t sim_dial(struct sim *sim, uint32_t a, uint32_t b)
{
    char address[WEIR_ADDRESS_TEXT_MAX];
    int64_t handle;

    check(weir_node_address(sim->nodes[b], 0, address, sizeof address), "weir_node_address");
    handle = weir_node_dial(sim->nodes[a], address, NULL);
    check(handle, "weir_node_dial");
    return (uint64_t)handle;
}

bool sim_connect(struct sim *sim, uint32_t a, uint32_t b, uint64_t ends[2], uint64_t until_us)
{
    uint64_t dialled = sim_dial(sim, a, b);
    weir_event event;

    ends[0] = ends[1] = 0;
    while (ends[0] == 0 || ends[1] == 0) {
        if (!sim_next(sim, &event, until_us)) return false;
        if (event.node == a && event.object == dialled) {
            if (event.kind == WEIR_EVENT_CONNECTION_CLOSED) return false;
            if (event.kind == WEIR_EVENT_CONNECTED) ends[0] = dialled;
        } else if (event.node == b && event.kind == WEIR_EVENT_CONNECTED && event.amount == 0) {
            ends[1] = event.object;
        }
    }
    return true;
}

/* The byte at a place: neighbours differ, and so do places that are 2^8 or 2^16 apart. */
static uint8_t byte_at(uint64_t place)
{
    return (uint8_t)((place * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

static void write_more(struct sim *sim, struct sim_transfer *t)
{
    uint8_t chunk[SIM_CHUNK];

    while (t->written < t->bytes) {
        uint64_t left = t->bytes - t->written;
        uint32_t i, len = left < SIM_CHUNK ? (uint32_t)left : SIM_CHUNK;
        int64_t taken;

        for (i = 0; i < len; i++) chunk[i] = byte_at(t->written + i);
        taken = weir_stream_write(sim->nodes[t->from], t->stream_out, chunk, len,
                                  len == left ? WEIR_FIN : 0);
        if (taken < 0) {
            t->is_broken = true;
            return;
        }
        assert_true((uint64_t)taken <= len);
        t->written += (uint64_t)taken;
        if (taken < len) return;
    }
}

static void read_more(struct sim *sim, struct sim_transfer *t)
{
    uint8_t chunk[SIM_CHUNK];
    int64_t count, i;

    while ((count = weir_stream_read(sim->nodes[t->to], t->stream_in, chunk, sizeof chunk)) > 0) {
        for (i = 0; i < count; i++) {
            if (chunk[i] == byte_at(t->read + (uint64_t)i)) continue;
            fail_msg("byte %llu of the stream is wrong",
                     (unsigned long long)t->read + (unsigned long long)i);
        }
        t->read += (uint64_t)count;
    }
    if (count == WEIR_E_END) {
        assert_int_equal(t->read, t->bytes);
        t->end_us = sim_now(sim);
    } else if (count < 0) {
        t->is_broken = true;
    }
}

void sim_transfer_start(struct sim *sim, struct sim_transfer *t)
{
    weir_stream_options options = {.size = sizeof options, .flags = WEIR_ONE_WAY};
    int64_t stream = weir_stream_open(sim->nodes[t->from], t->connection, SIM_PROTOCOL, &options);

    check(stream, "weir_stream_open");
    t->stream_out = (uint64_t)stream;
    t->start_us = sim_now(sim);
    if (t->bytes == 0) check(weir_stream_finish(sim->nodes[t->from], t->stream_out), "finish");
    write_more(sim, t);
}

static bool on_reader_event(struct sim *sim, struct sim_transfer *t, const weir_event *event)
{
    if (event->kind == WEIR_EVENT_STREAM && t->stream_in == 0 &&
        (t->connection_in == 0 || event->parent == t->connection_in)) {
        t->stream_in = event->object;
        read_more(sim, t);
        return true;
    }
    if (t->stream_in == 0 || event->object != t->stream_in) return false;
    if (event->kind == WEIR_EVENT_READABLE && t->end_us == 0) read_more(sim, t);
    if (event->kind == WEIR_EVENT_STREAM_RESET) t->is_broken = true;
    if (event->kind == WEIR_EVENT_STREAM_CLOSED && t->end_us == 0) t->is_broken = true;
    return true;
}

bool sim_transfer_on_event(struct sim *sim, struct sim_transfer *t, const weir_event *event)
{
    if (event->node == t->to && on_reader_event(sim, t, event)) return true;
    if (event->node != t->from) return false;
    if (event->kind == WEIR_EVENT_CONNECTION_CLOSED && event->object == t->connection) {
        t->is_broken = t->end_us == 0;
        return true;
    }
    if (event->object != t->stream_out) return false;
    if (event->kind == WEIR_EVENT_WRITABLE) write_more(sim, t);
    if (event->kind == WEIR_EVENT_STREAM_STOPPED) t->is_broken = t->end_us == 0;
    return true;
}

bool sim_transfer_is_over(const struct sim_transfer *t)
{
    return t->end_us != 0 || t->is_broken;
}

uint64_t sim_move(struct sim *sim, uint32_t from, uint32_t to, uint64_t connection, uint64_t bytes,
                  uint64_t until_us)
{
    struct sim_transfer t = {.from = from, .to = to, .connection = connection, .bytes = bytes};
    weir_event event;

    sim_transfer_start(sim, &t);
    while (!sim_transfer_is_over(&t)) {
        if (!sim_next(sim, &event, until_us)) return 0;
        (void)sim_transfer_on_event(sim, &t, &event);
    }
    return t.is_broken ? 0 : t.end_us - t.start_us;
}
