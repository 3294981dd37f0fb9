/* SPDX-License-Identifier: MIT */
#ifndef WEIR_SIM_WORLD_H
#define WEIR_SIM_WORLD_H
#include "base/list.h"
#include "base/log.h"
#include "base/rng.h"
#include "node/node.h"
#include "sim/network.h"

/* A simulated world: one clock, one seed, many nodes, one network. The ABI's opaque weir_world
 * is this struct, by a cast in api.
 *
 * Calls of the application take no virtual time. world_run gives every node that the
 * application touched its turn, then goes from happening to happening (an arrival, a node's
 * deadline, the answer to a look-up), each one input of one node, until some node has an event.
 * Everything is ordered by (time, node number, sequence), and nothing looks at all nodes. */

/** What a world is made from. Pointers outlive the world. */
struct world_config {
    const struct mem *mem;     /**< for the world, and for nodes that bring none of their own */
    uint64_t seed;
    uint64_t start_us;         /**< 0: 1 s */
    uint32_t fidelity;         /**< WEIR_FIDELITY_* */
    const struct transport_ops *const *transports; /**< those that fit the fidelity */
    uint32_t transport_count;
};

enum happening_kind {
    HAPPENING_DEADLINE,        /**< of a struct world_node */
    HAPPENING_ANSWER,          /**< a struct answer */
    HAPPENING_FILE             /**< an open file of sim/files.c */
};
/** Something that happens to a node at a time of its own. */
struct happening {
    struct heap_item heap;
    uint8_t kind;              /**< enum happening_kind */
};
/** The answer to a look-up, on its way. */
struct answer {
    struct happening happening;
    struct list link;          /**< in its node's answers */
    struct world_node *node;
    uint64_t token;
    int error;
    uint32_t count;
    struct endpoint addresses[];
};
/** A name that world_add_name gave. */
struct world_name {
    struct endpoint *addresses;
    uint32_t count;
    uint64_t delay_us;
    size_t len;
    char text[256];
};

/** Limits that nodes share. */
struct world_limits {
    struct world_limits *next;
    struct limits limits;
};

/** A node's part of the world: the driver's context. */
struct world_node {
    struct happening deadline; /**< first */
    struct world *world;
    struct node *node;
    uint32_t number;           /**< from 1 */
    uint32_t socket_next;
    uint16_t port_next;
    bool is_touched, is_ready, is_closed;
    uint64_t fired_us;         /**< when its deadline was last an input */
    struct rng entropy;
    struct place *sockets;
    struct list answers;
    struct files *files;       /**< sim/files.h; NULL until there is one */
};
/** A set of nodes by number: room for all of them is made when a node is added. */
struct world_set {
    uint32_t *numbers;
    uint32_t count;
    bool is_sorted;
};

struct world {
    const struct mem *mem;
    struct world_config config;
    uint64_t now_us;
    bool is_running;           /**< inside world_run: the engine's own calls touch nothing */
    struct network network;
    struct heap agenda;        /**< happenings; each open node's deadline is always inside */
    struct world_node **nodes; /**< by number - 1 */
    uint32_t count, capacity;
    struct world_set touched;  /**< nodes that the application called since the last run */
    struct world_set ready;    /**< nodes with events for the application */
    struct map names;
    struct world_limits *limits; /**< each kind that a node was made with; mostly there is one */
    struct metrics metrics;    /**< of all nodes together */
    struct log log;            /**< the same */
    uint8_t *buffer;           /**< where nodes write what they send */
};

/** @return 0 and *out; WEIR_E_ARGUMENT fidelity; WEIR_E_MEMORY */
int world_open(const struct world_config *config, struct world **out);
/** Frees all nodes too. */
void world_free(struct world *world);

/** Add a node. It listens at once: packet fidelity 10.x.y.z:4001 (x.y.z is its number),
 *  message fidelity /memory/number.
 *  @param config  as for node_open; transports, driver, metrics, log and entropy are the
 *                 world's and not looked at; mem NULL: the world's; key NULL: from the seed
 *  @return 0 and *out; WEIR_E_LIMIT no number is left; WEIR_E_MEMORY; or what node_open and
 *          the listening said
 *  @owner  the world's; world_free frees the node */
int world_add_node(struct world *world, const struct node_config *config, struct node **out);
/** Set how datagrams travel between a and b; 0: all nodes.
 *  @return 0; WEIR_E_ARGUMENT no such node, or a setting that is out of range; WEIR_E_MEMORY */
int world_link(struct world *world, uint64_t a, uint64_t b, const weir_link_options *options);
/** The same with faults that weir_link_options does not have. */
int world_link_extra(struct world *world, uint64_t a, uint64_t b, const weir_link_options *options,
                     const struct rule_extra *extra);
/** As weir_world_file. @return also WEIR_E_LIMIT: the node has so many files */
int world_file(struct world *world, uint64_t node, const char *path, const void *data,
               uint64_t len);
/** As weir_world_run. With until_us WEIR_NONE the clock stops at the last thing that happens. */
int world_run(struct world *world, uint64_t until_us);
/** As weir_world_poll. @return events written; WEIR_E_ARGUMENT for a shard but 0 */
int64_t world_poll(struct world *world, uint32_t shard, weir_event *events, uint32_t cap);
uint64_t world_now(const struct world *world);
uint64_t world_hash(const struct world *world);

/* For tests and later floors. */
/** Give a name addresses (count 0: it is unknown); the answer comes after delay_us. Names "nN"
 *  and "nodeN" are node N's without that. @return 0; WEIR_E_NAME, WEIR_E_EXISTS, WEIR_E_MEMORY */
int world_add_name(struct world *world, const char *name, const struct endpoint *addresses,
                   uint32_t count, uint64_t delay_us);
/** Send a datagram as if from `source`: for tests that play an attacker. It travels on the links
 *  of the node that has the address, else on those of a stranger (node 0). */
void world_inject(struct world *world, const struct endpoint *source,
                  const struct endpoint *destination, const void *data, size_t len);
/** The address that a node has in this family. */
struct endpoint world_address(uint32_t number, uint8_t family, uint16_t port);

/* Between world.c and world_driver.c. */
extern const struct node_driver world_driver;
/** The application called this node: it gets a turn in the next run. */
void world_touch(struct world_node *n);
/** Collect what the node wants: datagrams, a deadline, events. */
void world_settle(struct world_node *n);
/** The node's sockets, answers and deadline leave the world. Idempotent. */
void world_leave(struct world_node *n);
/** One input of a node, now, and what comes of it. @return node_input's answer */
int64_t world_give(struct world_node *n, struct node_input *in);
enum {
    WORLD_PORT = 4001,         /**< where every node listens in packet fidelity */
    WORLD_BUFFER_BYTES = 65536 /**< the longest run of datagrams that a system would take */
};
#endif
