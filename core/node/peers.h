/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_PEERS_H
#define WEIR_NODE_PEERS_H
#include "node/state.h"

struct book;
struct multiaddr;

/* What the application said about peers: holds, access, addresses; and about networks. A record
 * exists only while it says something. */

/** Policy by id. With refuse_unknown only accepted peers may connect; a peer that we dialled is let
 * in unless it is refused, since the application asked for it. */
bool peers_may_connect(const struct node *node, const struct peer_id *peer, bool dialled);
/** Policy by network name: the node's own, unless a rule says otherwise. */
bool peers_network_may_connect(const struct node *node, const char *network);
bool peers_is_refused(const struct node *node, const struct peer_id *peer);
/** Tell the transport whether the connection is held. */
void peers_apply_hold(struct node *node, struct transport_conn *c);
void peers_free(struct node *node);

/** The address book, or NULL while it is not used. */
struct book *peers_book(const struct node *node);
/** A peer was reached at an address (over a network): remember it. */
void peers_note_success(struct node *node, const struct peer_id *peer,
                        const struct multiaddr *address);
void peers_note_failure(struct node *node, const struct peer_id *peer,
                        const struct multiaddr *address);

/** Keep the connection to a peer up for something of node's own, or no longer. Counted, as
 *  weir_peer_hold. @return 0 or WEIR_E_* */
int peers_keep(struct node *node, const struct peer_id *peer, bool keep);

/** Every NODE_CALL_PEER_* but DIAL, and NETWORK_ACCESS. */
int64_t peers_on_call(struct node *node, const struct node_call *call);
#endif
