/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TEST_SIM_RIG_H
#define WEIR_TEST_SIM_RIG_H
/* What the scenario tests need beside harness.h: a tap on the wire, events gathered over a span of
 * time, nodes whose memory is counted. Where weir.h has no window (the wire, the allocator), it
 * looks behind the ABI. What a call returns is checked here; a refusal fails the test. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/mem.h"
#include "sim/harness.h"
#include "sim/world.h"

enum { RIG_EVENTS_MAX = 512 };
#define RIG_MS UINT64_C(1000)
#define RIG_DELAY_US (10 * RIG_MS) /**< one way, where no link was set */

/** Events in the order in which they were polled. */
struct rig_log {
    weir_event event[RIG_EVENTS_MAX];
    uint32_t count;
};

/** Datagrams that were delivered or lost, by sender. */
struct rig_tap {
    uint64_t delivered[SIM_NODES_MAX + 1], lost[SIM_NODES_MAX + 1];
    uint64_t last_bytes[SIM_NODES_MAX + 1]; /**< length of the newest one delivered */
};

/** The world behind the ABI's pointer. */
struct world *rig_world(const struct sim *sim);
/** An empty world over an allocator, for rig_add; sim_close frees it. */
void rig_open(struct sim *sim, const struct mem *mem, uint64_t seed, uint32_t fidelity);
/** Add a node that serves SIM_PROTOCOL. Nodes beyond SIM_NODES_MAX are not kept in sim->nodes.
 *  @param mem  NULL: the world's */
weir_node *rig_add(struct sim *sim, const weir_node_options *options, const struct mem *mem);
/** Two nodes with the same options, connected, and a second later. Neither asks how it is seen, so
 *  that the wire is silent. @param ends the handles at node 1 and node 2 */
void rig_pair(struct sim *sim, uint64_t seed, const weir_node_options *options, uint64_t ends[2]);
/** Watch the wire from now on. */
void rig_watch(struct sim *sim, struct rig_tap *tap);

/** Run on for so long, and keep all events. */
void rig_gather(struct sim *sim, struct rig_log *log, uint64_t span_us);
/** The first event of this kind; node 0, object 0: any. @return NULL: there is none */
const weir_event *rig_find(const struct rig_log *log, uint32_t kind, uint64_t node,
                           uint64_t object);
/** The same, but it must be there. */
const weir_event *rig_must(const struct rig_log *log, uint32_t kind, uint64_t node,
                           uint64_t object);
uint32_t rig_count(const struct rig_log *log, uint32_t kind, uint64_t node, uint64_t object);

/** Open a stream. @param flags 0 or WEIR_ONE_WAY */
uint64_t rig_stream(struct sim *sim, uint32_t node, uint64_t connection, const char *protocol,
                    uint32_t flags);
/** Write bytes that must all be taken. */
void rig_write(struct sim *sim, uint32_t node, uint64_t stream, const void *data, uint32_t len,
               uint32_t flags);
/** Read what there is, and require that it is this text. */
void rig_expect(struct sim *sim, uint32_t node, uint64_t stream, const char *text);
/** Read and throw away. @return bytes read */
uint64_t rig_drop(struct sim *sim, uint32_t node, uint64_t stream);
void rig_stream_info(struct sim *sim, uint32_t node, uint64_t stream, weir_stream_info *info);
void rig_connection_info(struct sim *sim, uint32_t node, uint64_t connection,
                         weir_connection_info *info);
#endif
