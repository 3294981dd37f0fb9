/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_BENCH_SIMULATED_H
#define WEIR_TESTS_BENCH_SIMULATED_H
/* A packet world for benchmarks: virtual time, one seed, one result. Nodes are named from 1. */
#include "bench.h"
#include "weir.h"

#define SCENE_SECOND UINT64_C(1000000)
#define SCENE_MS UINT64_C(1000)
enum { SCENE_NODES_MAX = 8, SCENE_EVENTS = 64 };

struct scene {
    weir_world *world;
    weir_node *node[SCENE_NODES_MAX + 1];
    unsigned count;
    weir_event events[SCENE_EVENTS];
    unsigned events_count, events_next;
};

/** @return false when these options do not exist in this weir (a congestion control of later) */
bool scene_open(struct scene *s, uint64_t seed, unsigned count, const weir_node_options *options);
void scene_close(struct scene *s);
uint64_t scene_now(const struct scene *s);
/** How data travels from a to b, and what it acknowledges back: loss and bandwidth hold in both
 *  directions.
 *  @param queue_bytes  0: one bandwidth-delay product */
void scene_link(struct scene *s, unsigned a, unsigned b, uint64_t bandwidth_bps, uint64_t rtt_us,
                uint64_t queue_bytes, uint32_t loss_ppm);
/** All nodes but the last send to the last through one line with one queue; back there is no limit.
 *  The ABI has no such link: this is the one place that looks behind it. */
void scene_share(struct scene *s, uint64_t bandwidth_bps, uint64_t rtt_us, uint64_t queue_bytes);
/** The next event of any node. @return false: until_us was reached first */
bool scene_next(struct scene *s, weir_event *e, uint64_t until_us);
/** Connect a to b and wait for both ends. @return the handle at a */
uint64_t scene_connect(struct scene *s, unsigned a, unsigned b);

/** One stream of bytes from a node to another. */
struct scene_flow {
    unsigned from, to;
    uint64_t connection;       /**< at from */
    uint64_t left;             /**< bytes still to write; WEIR_NONE: without end */
    bool is_kept;              /**< the stream stays open after them */
    uint64_t out, in;          /**< the stream's handles; in 0: it has not arrived */
    uint64_t read;             /**< bytes that the reader took */
    uint64_t start_us, end_us; /**< end_us: when the last of so many were taken; 0: not yet */
    uint64_t wanted;           /**< read at the end; WEIR_NONE: there is none */
};
/** Open its stream and write what can be written. Only from, to, connection, left and is_kept are
 *  set. */
void scene_flow_start(struct scene *s, struct scene_flow *f);
/** Write so many more, after those before were all taken, and take the time again. */
void scene_flow_more(struct scene *s, struct scene_flow *f, uint64_t bytes);
/** Let it act upon an event. A stream that arrives is taken to be this flow's when it comes from
 *  the same pair and none has come yet. @return whether the event was about it */
bool scene_flow_on_event(struct scene *s, struct scene_flow *f, const weir_event *e);
#endif
