/* SPDX-License-Identifier: MIT */
#ifndef WEIR_SIM_NETWORK_H
#define WEIR_SIM_NETWORK_H
#include "base/heap.h"
#include "sim/binding.h"
#include "transport/datagram.h"

/* The simulated network: addresses, links, datagrams in flight, in the order of time. It knows
 * nodes by number only. Memory is taken for links that are used and for datagrams in flight,
 * never for pairs of nodes. */

/** An address at which a node receives. */
struct place {
    struct endpoint endpoint;
    uint32_t number;           /**< the node */
    uint32_t socket;           /**< its own number for it */
    struct place *next;        /**< the owner's */
};

/** A datagram on its way. */
struct flight {
    struct heap_item heap;     /**< by arrival */
    struct link *link;
    struct endpoint source;    /**< as the receiver sees it */
    struct endpoint destination; /**< as the sender wrote it */
    uint8_t ecn;
    uint32_t len;
    uint8_t data[];
};

/** What a tap is shown: each datagram when it is dropped or delivered. */
struct network_record {
    uint64_t time_us;
    uint32_t from, to;         /**< nodes; 0: none */
    enum verdict verdict;
    struct endpoint source, destination;
    const uint8_t *data;       /**< as delivered; as sent for what was dropped on the way */
    size_t len;
};

struct network {
    const struct mem *mem;
    uint64_t seed;
    bool is_reliable;          /**< message fidelity: losses become delay */
    uint8_t hash_key[16];
    struct rules rules;
    struct bindings bindings;
    struct map places, links;
    struct heap flights;
    struct flight *current;    /**< the one that network_next gave last */
    uint64_t sequence;         /**< of network_order */
    uint64_t hash;             /**< of the trace so far */
    uint64_t count[VERDICT_COUNT]; /**< datagrams by verdict */
    uint64_t duplicated, corrupted; /**< copies made, datagrams and copies changed */
    uint64_t replayed;         /**< late copies made */
    /** For tests that look at packets: called for every record, must not change the network.
     * NULL: none. */
    void (*tap)(void *context, const struct network_record *record);
    void *tap_context;
};
void network_init(struct network *network, const struct mem *mem, uint64_t seed, bool is_reliable);
void network_free(struct network *network);

/** Give an address to a node.
 *  @param number  1 to RULE_NODES_MAX (asserted)
 *  @return 0 and *place; WEIR_E_ADDRESS_IN_USE, WEIR_E_MEMORY
 *  @owner  the network's, until network_detach or network_free */
int network_attach(struct network *network, const struct endpoint *endpoint, uint32_t number,
                   uint32_t socket, struct place **place);
/** What is on its way to it is dropped on arrival. */
void network_detach(struct network *network, struct place *place);
bool network_is_free(const struct network *network, const struct endpoint *endpoint);

/** Send datagrams now: one, or a run that is split at out->segment. Only remote, ecn, data, len
 *  and segment are used.
 *  @param from    the sending node; 0: a stranger that no node number stands for
 *  @param source  its address */
void network_send(struct network *network, uint32_t from, const struct endpoint *source,
                  const struct datagram_out *out, uint64_t now_us);

/** The next arrival, or NULL: its time and, for equal times, its order (see network_order). */
const struct heap_item *network_first(const struct network *network);
/** Take the next arrival if it is due.
 *  @param in      filled; data may be changed in place and is valid until the next network_next
 *  @param number  set to the receiving node
 *  @return        false when nothing is due, or the arrival led nowhere (dropped and traced) */
bool network_next(struct network *network, uint64_t now_us, struct datagram_in *in,
                  uint32_t *number);

/** A place in the order of what happens at one time: by node, then by sequence. Each call gives
 *  the next one. */
uint64_t network_order(struct network *network, uint32_t number);
/** Behind everything that network_order gives for that node. */
uint64_t network_order_last(uint32_t number);
#endif
