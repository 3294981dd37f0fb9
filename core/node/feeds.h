/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_FEEDS_H
#define WEIR_NODE_FEEDS_H
#include "node/owner.h"
#include "node/protocols.h"

/** A peer opened a stream of a feed's name; its head of head_len bytes is not consumed. Takes the
 *  stream or refuses it. */
void feeds_on_opened(struct node *node, struct stream *s, struct protocol *p, size_t head_len);
/** The node drains: every feed finishes its subscribers' streams, so that none keeps it from
 *  closing. */
void feeds_on_drain(struct node *node);
/** Every NODE_CALL_FEED_*. */
int64_t feeds_on_call(struct node *node, const struct node_call *call);
#endif
