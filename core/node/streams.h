/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_STREAMS_H
#define WEIR_NODE_STREAMS_H
#include "node/state.h"

/** Streams of a connection have facts: read headers, serve built-in protocols, queue the rest for
 * the application. */
void streams_settle(struct node *node, struct transport_conn *c);
/** Forget a stream that is over: handle, name, transport's part. */
void streams_drop(struct node *node, struct stream *s);
/** The application will never see this stream: reset it, stop it, and remove it when it is over. */
void streams_refuse(struct node *node, struct stream *s, uint32_t reason);
/** Why a stream ended: the peer's word first; 0 for a clean end. */
uint32_t streams_end_reason(const struct stream *s);

/* The calls, in stream_calls.c. */
int64_t streams_on_open(struct node *node, const struct node_call *call);
/** Every NODE_CALL_STREAM_* but OPEN. */
int64_t streams_on_call(struct node *node, const struct node_call *call);
#endif
