/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_CONNS_H
#define WEIR_NODE_CONNS_H
#include "node/state.h"

struct dial;

/** What a connection handle stands for. @return the connection, or NULL and either *dial or *error
 */
struct transport_conn *conns_get(const struct node *node, uint64_t handle, struct dial **dial,
                                 int *error);
/** Walk connections that have a handle, ended ones included; *cursor starts at 0. */
struct transport_conn *conns_next(const struct node *node, uint32_t *cursor);
/** The peer's id; len 0 until it is known. */
struct peer_id conns_peer(const struct transport_conn *c);
/** WEIR_E_* of a connection that ended; 0 for an end that this side or a merge wanted. */
int conns_end_error(const struct transport_conn *c);
/** When it came up, to about a millisecond; right for connections that are up for less than 50
 * days. */
uint64_t conns_up_since(const struct node *node, const struct transport_conn *c);

/** A transport has facts about a connection. */
void conns_settle(struct node *node, struct transport_conn *c);
/** Close it, if it still is open. */
void conns_close(struct node *node, struct transport_conn *c, uint32_t reason, const char *text,
                 size_t len);
/** A connection that lost a merge goes once nothing that the application sees is on it; called when
 * that may be. */
void conns_check_loser(struct node *node, struct transport_conn *c);
/** Its end was told: forget it. */
void conns_drop(struct node *node, struct transport_conn *c);

int64_t conns_on_close(struct node *node, const struct node_call *call);
int64_t conns_on_set_user(struct node *node, const struct node_call *call);
#endif
