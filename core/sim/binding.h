/* SPDX-License-Identifier: MIT */
#ifndef WEIR_SIM_BINDING_H
#define WEIR_SIM_BINDING_H
#include "address/endpoint.h"
#include "sim/link.h"

/** How the receiver of a link sees one address of the sender: the entry of a NAT.
 *
 *  The first binding is the address itself. With a rule that rebinds, the first datagram sent
 *  after the interval gets a new address and port; the old one then leads nowhere, as after a
 *  NAT forgot it. A silent sender keeps its binding. */
struct binding {
    struct endpoint seen;      /**< what the receiver sees, and replies to */
    struct endpoint real;
    uint64_t rebind_us;        /**< from then on a datagram gets a new address */
    uint64_t every_us;         /**< the interval that rebind_us was made from */
    uint64_t count;            /**< how often it changed */
    struct binding *next;      /**< of the same link */
};
struct bindings {
    const struct mem *mem;
    struct map by_seen;        /**< those that changed */
    uint64_t seed;
};
void bindings_init(struct bindings *bindings, const struct mem *mem, const uint8_t *hash_key,
                   uint64_t seed);
void bindings_free(struct bindings *bindings);
/** The address as which the link's receiver sees `real` now. When there is no memory for a new
 *  one, the old one stays. */
struct endpoint binding_pass(struct bindings *bindings, struct link *link,
                             const struct endpoint *real, uint64_t now_us);
/** The address behind one that a receiver saw, or NULL. */
const struct endpoint *binding_real(const struct bindings *bindings, const struct endpoint *seen);
/** Whether the link's receiver sees `real` as another address now, so that `real` itself no
 *  longer answers to it. */
bool binding_hides(const struct link *link, const struct endpoint *real);
/** Free all bindings of a link. */
void binding_forget(struct bindings *bindings, struct link *link);
#endif
