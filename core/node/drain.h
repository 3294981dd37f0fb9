/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_DRAIN_H
#define WEIR_NODE_DRAIN_H
#include "node/state.h"

/* Ending in good order: no new work, open streams go on; when the last one is over, or at the
 * deadline, connections close with the reason; when their ends are told, WEIR_EVENT_DRAINED. */

bool drain_is_on(const struct node *node);
/** UINT64_MAX: none. */
uint64_t drain_deadline(const struct node *node);
/** After each input: close connections if it is time. */
void drain_settle(struct node *node);
bool drain_has_event(const struct node *node);
/** @return true once, when the drain is complete */
bool drain_take_event(struct node *node);
int64_t drain_on_call(struct node *node, const struct node_call *call);
void drain_free(struct node *node);
#endif
