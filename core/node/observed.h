/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_OBSERVED_H
#define WEIR_NODE_OBSERVED_H
#include "node/state.h"

/* "weir/observed/1": how does the peer see us? The asker opens a stream and finishes its lane at
 * once; the answer is the address and port that the other side sees, as text of at most 64 bytes
 * ("192.0.2.1:4001", "[2001:db8::1]:4001"), and the end. What a peer says about us is a claim of
 * that peer and no more. */

bool observed_is_name(const struct node *node, const char *name, size_t len);
/** Ask the peer of a connection that we dialled, unless that is off or has no sense. Failing is
 * silent. */
void observed_ask(struct node *node, struct transport_conn *c);
/** The peer asks on s. */
void observed_answer(struct node *node, struct stream *s);
/** Something happened on a stream on which we asked. */
void observed_on_answer(struct node *node, struct stream *s);
#endif
