/* SPDX-License-Identifier: MIT */
#include "sim/rig.h"
#include "api/node_options.h"
#include "loop/loop.h"
#include "quic/quic.h"
#include <string.h>

static void check(int64_t result, const char *what)
{
    if (result >= 0) return;
    fail_msg("%s: %s (%s)", what, weir_error_name((int32_t)result), weir_strerror((int32_t)result));
}

struct world *rig_world(const struct sim *sim)
{
    return (struct world *)(uintptr_t)sim->world;
}

void rig_open(struct sim *sim, const struct mem *mem, uint64_t seed, uint32_t fidelity)
{
    static const struct transport_ops *const packets[] = {&quic_transport};
    static const struct transport_ops *const messages[] = {&loop_transport};
    struct world_config config = {
        .mem = mem,
        .seed = seed,
        .fidelity = fidelity,
        .transports = fidelity == WEIR_FIDELITY_MESSAGE ? messages : packets,
        .transport_count = 1,
    };
    struct world *world;

    memset(sim, 0, sizeof *sim);
    assert_int_equal(secret_init(), 0);
    check(world_open(&config, &world), "world_open");
    sim->world = (weir_world *)world;
}

weir_node *rig_add(struct sim *sim, const weir_node_options *options, const struct mem *mem)
{
    struct node_options taken;
    struct node *made;
    weir_node *node;

    check(node_options_take(&taken, options, NULL), "node_options_take");
    taken.config.mem = mem;
    check(world_add_node(rig_world(sim), &taken.config, &made), "world_add_node");
    node_options_wipe(&taken);
    node = (weir_node *)made;
    check(weir_node_serve(node, SIM_PROTOCOL, NULL), "weir_node_serve");
    if (++sim->count <= SIM_NODES_MAX) sim->nodes[sim->count] = node;
    return node;
}

void rig_pair(struct sim *sim, uint64_t seed, const weir_node_options *options, uint64_t ends[2])
{
    weir_node_options o = {.size = sizeof o};

    if (options != NULL) o = *options;
    o.observed_off = 1;
    sim_open(sim, seed, WEIR_FIDELITY_PACKET, 2, &o);
    assert_true(sim_connect(sim, 1, 2, ends, sim_now(sim) + SIM_SECOND));
    sim_settle(sim, sim_now(sim) + SIM_SECOND);
}

static void on_record(void *context, const struct network_record *record)
{
    struct rig_tap *tap = context;

    if (record->from > SIM_NODES_MAX) return;
    if (record->verdict != VERDICT_DELIVERED) {
        tap->lost[record->from]++;
        return;
    }
    tap->delivered[record->from]++;
    tap->last_bytes[record->from] = record->len;
}

void rig_watch(struct sim *sim, struct rig_tap *tap)
{
    struct network *network = &rig_world(sim)->network;

    memset(tap, 0, sizeof *tap);
    network->tap = on_record;
    network->tap_context = tap;
}

void rig_gather(struct sim *sim, struct rig_log *log, uint64_t span_us)
{
    uint64_t until_us = sim_now(sim) + span_us;

    log->count = 0;
    while (log->count < RIG_EVENTS_MAX && sim_next(sim, &log->event[log->count], until_us)) {
        log->count++;
    }
    assert_true(log->count < RIG_EVENTS_MAX);
}

static bool fits(const weir_event *e, uint32_t kind, uint64_t node, uint64_t object)
{
    return e->kind == kind && (node == 0 || e->node == node) &&
           (object == 0 || e->object == object);
}

const weir_event *rig_find(const struct rig_log *log, uint32_t kind, uint64_t node, uint64_t object)
{
    uint32_t i;

    for (i = 0; i < log->count; i++) {
        if (fits(&log->event[i], kind, node, object)) return &log->event[i];
    }
    return NULL;
}

const weir_event *rig_must(const struct rig_log *log, uint32_t kind, uint64_t node, uint64_t object)
{
    const weir_event *event = rig_find(log, kind, node, object);
    uint32_t i;

    if (event != NULL) return event;
    for (i = 0; i < log->count; i++) {
        const weir_event *e = &log->event[i];
        print_error("at %llu node %u: kind %u object %llx error %d amount %llx\n",
                    (unsigned long long)e->time_us, (unsigned)e->node, e->kind,
                    (unsigned long long)e->object, e->error, (unsigned long long)e->amount);
    }
    fail_msg("no event of kind %u at node %u about %llx", kind, (unsigned)node,
             (unsigned long long)object);
    return NULL;
}

uint32_t rig_count(const struct rig_log *log, uint32_t kind, uint64_t node, uint64_t object)
{
    uint32_t i, count = 0;

    for (i = 0; i < log->count; i++) count += fits(&log->event[i], kind, node, object);
    return count;
}

uint64_t rig_stream(struct sim *sim, uint32_t node, uint64_t connection, const char *protocol,
                    uint32_t flags)
{
    weir_stream_options options = {.size = sizeof options, .flags = flags};
    int64_t stream = weir_stream_open(sim->nodes[node], connection, protocol, &options);

    check(stream, "weir_stream_open");
    assert_true(stream > 0);
    return (uint64_t)stream;
}

void rig_write(struct sim *sim, uint32_t node, uint64_t stream, const void *data, uint32_t len,
               uint32_t flags)
{
    int64_t taken = weir_stream_write(sim->nodes[node], stream, data, len, flags);

    check(taken, "weir_stream_write");
    assert_int_equal(taken, len);
}

void rig_expect(struct sim *sim, uint32_t node, uint64_t stream, const char *text)
{
    char got[256] = "";
    int64_t count = weir_stream_read(sim->nodes[node], stream, got, sizeof got - 1);

    check(count, "weir_stream_read");
    assert_string_equal(got, text);
    assert_int_equal(count, strlen(text));
}

uint64_t rig_drop(struct sim *sim, uint32_t node, uint64_t stream)
{
    static uint8_t buffer[16384];
    uint64_t all = 0;
    int64_t count;

    while ((count = weir_stream_read(sim->nodes[node], stream, buffer, sizeof buffer)) > 0) {
        all += (uint64_t)count;
    }
    if (count != WEIR_E_END) check(count, "weir_stream_read");
    return all;
}

void rig_stream_info(struct sim *sim, uint32_t node, uint64_t stream, weir_stream_info *info)
{
    memset(info, 0, sizeof *info);
    info->size = sizeof *info;
    check(weir_stream_get_info(sim->nodes[node], stream, info), "weir_stream_get_info");
}

void rig_connection_info(struct sim *sim, uint32_t node, uint64_t connection,
                         weir_connection_info *info)
{
    memset(info, 0, sizeof *info);
    info->size = sizeof *info;
    check(weir_connection_get_info(sim->nodes[node], connection, info), "weir_connection_get_info");
}
