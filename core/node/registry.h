/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_REGISTRY_H
#define WEIR_NODE_REGISTRY_H
#include "node/state.h"

/* Which connections a peer has. One of them is primary: the one to use. The others hang behind it
 * by conn_rare.next while double dials merge. A node with few connections finds the primary by
 * looking at its handles; from REGISTRY_SCAN_MAX on it keeps a map. */

enum { REGISTRY_SCAN_MAX = 8, REGISTRY_SCAN_HANDLES = 64 };

/** The primary connection of a peer, or NULL. */
struct transport_conn *registry_find(const struct node *node, const struct peer_id *peer);
/** The same for the peer of a connection that is or was up. */
struct transport_conn *registry_primary(const struct node *node, const struct transport_conn *c);
/** The connection after c of the same peer, primary first; NULL at the end. */
struct transport_conn *registry_next(const struct transport_conn *c);
uint32_t registry_count(const struct node *node, const struct peer_id *peer);
/** Add a connection that is up: primary if it is the first of its peer. It has its handle. @return
 * 0 or WEIR_E_MEMORY */
int registry_add(struct node *node, struct transport_conn *c);
/** Make c, which is in, the one to use. */
void registry_prefer(struct node *node, struct transport_conn *c);
/** Take an ended one out. @return the peer's primary connection now, or NULL: it was the last */
struct transport_conn *registry_remove(struct node *node, struct transport_conn *c);
void registry_free(struct node *node);
#endif
