/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TEST_SIM_HARNESS_H
#define WEIR_TEST_SIM_HARNESS_H
/* A world for scenario tests, through weir.h alone: make nodes, connect two, move checked bytes.
 *
 * Time is virtual. What cannot fail in a sane test fails it at once (fail_msg); what a scenario may
 * well prevent, such as a connection or a transfer, is a return value. Nodes are named by their
 * number, from 1. */
#include "weir.h"
#include <stdbool.h>

enum { SIM_NODES_MAX = 64, SIM_EVENTS = 64 };
#define SIM_PROTOCOL "test/bytes/1"
#define SIM_SECOND UINT64_C(1000000)

struct sim {
    weir_world *world;
    weir_node *nodes[SIM_NODES_MAX + 1]; /**< by number; [0] is NULL */
    uint32_t count;
    weir_event events[SIM_EVENTS]; /**< taken from the world, not yet handed out */
    uint32_t events_count, events_next;
    uint64_t seen[WEIR_EVENT_FETCH_CLOSED + 1]; /**< events handed out, by kind */
};

/** A world with `count` nodes that serve SIM_PROTOCOL. options NULL: defaults. */
void sim_open(struct sim *sim, uint64_t seed, uint32_t fidelity, uint32_t count,
              const weir_node_options *options);
void sim_close(struct sim *sim);
/** Set how datagrams travel between all nodes. */
void sim_link(struct sim *sim, const weir_link_options *options);
uint64_t sim_now(const struct sim *sim);

/** The next event of any node, running the world as far as needed.
 *  @return false when until_us was reached first */
bool sim_next(struct sim *sim, weir_event *event, uint64_t until_us);
/** The next event of this kind; others before it are dropped.
 *  @param node    0: of any node
 *  @param object  0: about any object
 *  @return        false when until_us was reached first */
bool sim_wait(struct sim *sim, uint32_t kind, uint64_t node, uint64_t object, weir_event *event,
              uint64_t until_us);
/** Run on and drop every event. */
void sim_settle(struct sim *sim, uint64_t until_us);

/** Dial node b from node a by its listening address. @return the connection's handle at a */
uint64_t sim_dial(struct sim *sim, uint32_t a, uint32_t b);
/** Dial and wait until both ends are up.
 *  @param ends  the handles: [0] at a, [1] at b
 *  @return      false when the dial failed or until_us was reached */
bool sim_connect(struct sim *sim, uint32_t a, uint32_t b, uint64_t ends[2], uint64_t until_us);

/** One stream full of checked bytes, from its opener to the other side. */
struct sim_transfer {
    uint32_t from, to;         /**< nodes */
    uint64_t connection;       /**< at `from` */
    uint64_t connection_in;    /**< at `to`; 0: whichever brings the next stream */
    uint64_t bytes;            /**< how many to move */
    uint64_t stream_out, stream_in; /**< 0: not there yet */
    uint64_t written, read;
    uint64_t start_us, end_us; /**< end_us: when the reader saw the end; 0: not yet */
    bool is_broken;            /**< stream or connection ended early */
};
/** Open a one-way stream and write what can be written. Set from, to, connection and bytes before.
 *  The bytes depend on their place alone. */
void sim_transfer_start(struct sim *sim, struct sim_transfer *transfer);
/** Let a transfer act upon an event. Several may run side by side, each over a connection of its
 *  own, when connection_in tells them apart. @return whether the event was about this transfer */
bool sim_transfer_on_event(struct sim *sim, struct sim_transfer *transfer,
                           const weir_event *event);
bool sim_transfer_is_over(const struct sim_transfer *transfer);
/** Move bytes over a connection, every one checked.
 *  @return the virtual time that it took, or 0: it broke or until_us was reached */
uint64_t sim_move(struct sim *sim, uint32_t from, uint32_t to, uint64_t connection, uint64_t bytes,
                  uint64_t until_us);
#endif
