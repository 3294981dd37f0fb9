/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_FETCHES_H
#define WEIR_NODE_FETCHES_H
#include "node/owner.h"

/** The connection is over or may open streams again: what a fetch asks of it is planned anew. Its
 *  streams have ended already. */
void fetches_on_end(struct node *node, struct transport_conn *c);
void fetches_on_room(struct node *node, struct transport_conn *c);
/** The node drains from now on: what is under way is given up. */
void fetches_on_drain(struct node *node);
/** Every NODE_CALL_FETCH_*. */
int64_t fetches_on_call(struct node *node, const struct node_call *call);
#endif
