/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_DIAL_H
#define WEIR_NODE_DIAL_H
#include "node/state.h"

struct dial;

/** The dial behind the object of a connection handle, or NULL: it is a connection. */
struct dial *dial_of(void *object);

/* Facts from below. */
/** An attempt came up and may stay: it takes over the dial's handle and user tag; the dial is gone.
 */
void dial_on_up(struct node *node, struct transport_conn *c);
/** An attempt ended (perhaps one that was cancelled): the caller frees the connection. */
void dial_on_attempt_end(struct node *node, struct transport_conn *c);
void dial_on_resolved(struct node *node, const struct node_input *in);
void dial_on_deadline(struct node *node);
uint64_t dial_deadline(const struct node *node);

/* Commands. */
/** NODE_CALL_DIAL and NODE_CALL_PEER_DIAL. */
int64_t dial_on_call(struct node *node, const struct node_call *call);
/** The application closed the handle: the answer is CONNECTION_CLOSED with error 0. */
void dial_cancel(struct node *node, struct dial *dial, uint32_t reason);
void dial_cancel_all(struct node *node, int error, uint32_t reason);
void dial_cancel_peer(struct node *node, const struct peer_id *peer, int error, uint32_t reason);
void dial_set_user(struct dial *dial, uint64_t user);

/* Dials that failed. */
bool dial_has_failed(const struct node *node);
/** @return true and the event of the next one */
bool dial_next_failed(struct node *node, weir_event *event);
void dial_on_turn(struct node *node);
void dial_free_all(struct node *node);

/* What they met, in dial_report.c. */
void dial_fill_info(const struct dial *dial, weir_connection_info *info);
int dial_report(const struct node *node, const struct dial *dial, char *text, uint32_t cap);
int dial_report_of_conn(const struct transport_conn *c, char *text, uint32_t cap);
#endif
