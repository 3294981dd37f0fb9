/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TEST_SIM_TALK_H
#define WEIR_TEST_SIM_TALK_H
/* Short forms for tests of messages and requests between nodes of a world, over rig.h. */
#include "sim/rig.h"
#include <string.h>

#define TALK "test/talk/1"

static inline void talk_serve(struct sim *sim, uint32_t node, const weir_serve_options *options)
{
    int32_t result = weir_node_serve(sim->nodes[node], TALK, options);
    if (result != 0) fail_msg("weir_node_serve: %s", weir_error_name(result));
}

/** Two nodes that are connected; node 2 serves. @param ends the handles at node 1 and node 2 */
static inline void talk_open(struct sim *sim, uint32_t fidelity, uint64_t seed,
                             const weir_serve_options *served, uint64_t ends[2])
{
    weir_node_options options = {.size = sizeof options, .observed_off = 1};
    sim_open(sim, seed, fidelity, 2, &options);
    if (served != NULL) talk_serve(sim, 2, served);
    assert_true(sim_connect(sim, 1, 2, ends, sim_now(sim) + SIM_SECOND));
    sim_settle(sim, sim_now(sim) + SIM_SECOND);
}

/** A counter of the world, by its name in docs/metrics.md. */
static inline uint64_t talk_metric(const struct sim *sim, const char *name)
{
    const char *found;
    uint64_t value;
    for (uint32_t i = 0; weir_node_metric(sim->nodes[1], i, &found, &value) == 0; i++) {
        if (strcmp(found, name) == 0) return value;
    }
    fail_msg("no metric %s", name);
    return 0;
}

static inline uint8_t talk_byte(uint64_t which, uint64_t place)
{
    return (uint8_t)((which * 131 + place * UINT64_C(0x9e3779b97f4a7c15)) >> 24);
}

static inline void talk_fill(uint8_t *out, uint64_t which, uint64_t from, uint64_t len)
{
    for (uint64_t i = 0; i < len; i++) out[i] = talk_byte(which, from + i);
}

static inline void talk_check(const uint8_t *bytes, uint64_t which, uint64_t from, uint64_t len)
{
    for (uint64_t i = 0; i < len; i++) {
        if (bytes[i] != talk_byte(which, from + i))
            fail_msg("byte %llu of %llu is wrong", (unsigned long long)(from + i),
                     (unsigned long long)which);
    }
}

static inline int64_t talk_ask(struct sim *sim, uint64_t connection, const void *data, uint32_t len,
                               const weir_request_options *options)
{
    return weir_request_send(sim->nodes[1], connection, TALK, data, len, options);
}

/** Read a request whole and answer with the same bytes. */
static inline void talk_echo(struct sim *sim, const weir_event *event)
{
    static uint8_t bytes[131072];
    int64_t len =
        weir_message_read(sim->nodes[event->node], event->object, bytes, sizeof bytes);
    assert_true(len >= 0);
    assert_int_equal(
        weir_request_respond(sim->nodes[event->node], event->object, bytes, (uint32_t)len, 0), len);
}

static inline weir_request_info talk_info(struct sim *sim, uint32_t node, uint64_t object)
{
    weir_request_info info = {.size = sizeof info};
    assert_int_equal(weir_request_get_info(sim->nodes[node], object, &info), 0);
    return info;
}
#endif
