/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BASE_BUDGET_H
#define WEIR_BASE_BUDGET_H
#include <stdbool.h>
#include <stdint.h>

/** The charge-and-refund tree and the limit record.
 *
 *  Every byte held on behalf of a peer is charged to a leaf, and so to each of its ancestors: node,
 *  peer, connection, protocol, stream. A charge that any of them refuses changes none of them and
 *  says which one refused. Invariant: a parent's `used` is at least the sum of its children's; at
 *  the end of life every `used` is 0 (asserted by budget_end). No allocation happens here: a budget
 *  is a struct inside its owner. */

enum limit_scope {
    LIMIT_SCOPE_NODE = 1,
    LIMIT_SCOPE_PEER,
    LIMIT_SCOPE_CONNECTION,
    LIMIT_SCOPE_PROTOCOL,
    LIMIT_SCOPE_STREAM
};
enum limit_side { LIMIT_SIDE_LOCAL = 1, LIMIT_SIDE_REMOTE };

/** Which limit was reached: the facts behind WEIR_E_BUDGET, WEIR_E_LIMIT and every refusal. */
struct limit_record {
    uint16_t scope;            /**< enum limit_scope */
    uint16_t name;             /**< index into limits.def; 0: not a limit */
    uint32_t side;             /**< enum limit_side: whose limit it is */
    uint64_t used, max;        /**< at the moment of refusal */
    uint64_t since_us;         /**< when this scope was first refused without being relieved; 0
                                    unknown */
    const void *owner;         /**< the budget's owner (a peer, a connection): the caller turns it
                                    into an id */
};

struct budget {
    struct budget *parent;     /**< NULL: the root */
    uint64_t used, max, peak;  /**< max UINT64_MAX: no limit of its own */
    uint64_t refusals;         /**< charges that this scope refused */
    const void *owner;
    uint16_t scope, name;
    uint32_t children;         /**< live children, for budget_end */
};
void budget_init(struct budget *b, struct budget *parent, enum limit_scope scope, uint16_t name,
                 uint64_t max, const void *owner);
/** @param limit filled on refusal when not NULL. @return true when charged to b and all its
 *  ancestors */
bool budget_charge(struct budget *b, uint64_t amount, struct limit_record *limit);
/** Refunding more than was charged is our bug (asserted). */
void budget_refund(struct budget *b, uint64_t amount);
/** What could be charged right now: the smallest room of b and its ancestors. */
uint64_t budget_room(const struct budget *b);
/** Asserts that nothing is charged and no child lives; unlinks from the parent. */
void budget_end(struct budget *b);
#endif
