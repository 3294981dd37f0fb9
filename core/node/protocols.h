/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_PROTOCOLS_H
#define WEIR_NODE_PROTOCOLS_H
#include "node/state.h"

/** A protocol's name: served, or used by streams, or both. Charged to the node's budget. */
struct protocol {
    uint64_t user;
    uint32_t refs;   /**< streams */
    uint32_t number; /**< stream.node_protocol; from 1 */
    uint8_t urgency;
    bool served;
    uint8_t len;
    char name[]; /**< len bytes, no 0 */
};

/** @return the protocol if it is served, else NULL */
struct protocol *protocols_served(const struct node *node, const char *name, size_t len);
/** The protocol of that name, made if need be. @return NULL with *error */
struct protocol *protocols_intern(struct node *node, const char *name, size_t len, int *error);
/** A stream uses it. @return its number */
uint32_t protocols_hold(struct protocol *p);
/** A stream no longer does; 0 is allowed. Names that nothing uses go. */
void protocols_release(struct node *node, uint32_t number);
/** Forget a name that protocols_intern made and that nothing holds. */
void protocols_sweep(struct node *node, struct protocol *p);
/** @return NULL for 0 */
const struct protocol *protocols_at(const struct node *node, uint32_t number);
void protocols_free(struct node *node);

int64_t protocols_on_serve(struct node *node, const struct node_call *call);
int64_t protocols_on_unserve(struct node *node, const struct node_call *call);
#endif
