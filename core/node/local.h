/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_LOCAL_H
#define WEIR_NODE_LOCAL_H
#include "node/state.h"

/* Local streams: files, children, Unix sockets (weir.h), with the lanes, credit and budget of
 * streams to peers. The driver reads and writes; what it may read is credit that the application
 * gave by consuming, what it has to write are the bytes of the outgoing lane. */

/** Local streams of this node that are open. */
uint32_t local_open_count(const struct node *node);
/** What is told with the event that says that a local stream is open: a file's size. */
uint64_t local_size(const struct stream *s);
/** NODE_CALL_LOCAL_OPEN. */
int64_t local_on_open(struct node *node, const struct node_call *call);
/** NODE_INPUT_LOCAL. @return 0, or WEIR_E_BUDGET: bytes that were not taken */
int64_t local_on_input(struct node *node, const struct node_input *in);
/** The application came back: what it wrote may be written. */
void local_on_turn(struct node *node);
/** After each input: tell the driver which local streams have bytes or credit now. */
void local_settle(struct node *node);
/** Give all up, with this reason. */
void local_end_all(struct node *node, uint32_t reason);
void local_free(struct node *node);

/** Whether a stream is one of these. */
bool local_is(const struct stream *s);
/** The application resets it: a child dies of that. Before stream_reset. */
void local_on_reset(struct node *node, struct stream *s, uint32_t reason);
/** Why a stream ended: WEIR_E_*; 0 of all others. */
int local_end_error(const struct stream *s);
/** Whether its end has an amount of its own, a child's exit code. */
bool local_end_amount(const struct stream *s, uint32_t *amount);
/** A stream goes. */
void local_forget(struct node *node, struct stream *s);
#endif
