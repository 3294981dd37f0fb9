/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_EVENTS_H
#define WEIR_NODE_EVENTS_H
#include "node/state.h"

/** The application shall hear that the connection is up (again, when a dial found it). */
void events_tell_connected(struct node *node, struct transport_conn *c);
/** The connection has a fact of the started kind: see events.c. Nothing happens once its end is
 * queued. */
void events_queue_started(struct node *node, struct transport_conn *c);
/** The connection ended, all its streams are in the queue or told. */
void events_queue_end(struct node *node, struct transport_conn *c);
/** The stream, which the application knows, has something to tell. */
void events_queue_stream(struct node *node, struct stream *s);
/** Whether it has. */
bool events_stream_has_facts(const struct stream *s);
/** All bytes of the peer's lane arrived, and its end. */
bool events_is_end_known(const struct stream *s);
/** Drop streams at the head of the queue whose facts the application has made untrue. */
void events_prune(struct node *node);
/** The application came back: what was told to have ended goes. */
void events_on_turn(struct node *node);
#endif
