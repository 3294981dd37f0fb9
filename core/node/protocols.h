/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_PROTOCOLS_H
#define WEIR_NODE_PROTOCOLS_H
#include "node/state.h"

/** A protocol's name: served, or used by streams, or both. Charged to the node's budget. */
struct protocol {
    union {
        uint64_t user;                /**< of streams */
        struct exchange_rules *rules; /**< of messages and requests; charged */
        struct owner *feed;           /**< the feed of this name */
    };
    uint32_t refs;   /**< streams */
    uint32_t number; /**< stream.node_protocol; from 1 */
    uint8_t urgency : 4, kinds : 4; /**< WEIR_KIND_*, or PROTOCOL_FEED: which of the three it is */
    bool served;
    uint8_t len;
    char name[]; /**< len bytes, no 0 */
};
enum { PROTOCOL_FEED = 8 };
/** The rules of messages and requests, or NULL. */
static inline struct exchange_rules *protocol_rules(const struct protocol *p)
{
    return (p->kinds & (WEIR_KIND_MESSAGE | WEIR_KIND_REQUEST)) != 0 ? p->rules : NULL;
}

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

/** Serve a name as a feed. @return the protocol, or NULL with *error and facts noted */
struct protocol *protocols_serve_feed(struct node *node, const char *name, size_t len,
                                      struct owner *feed, int *error);
/** No longer. */
void protocols_unserve_feed(struct node *node, struct protocol *p);
int64_t protocols_on_serve(struct node *node, const struct node_call *call);
int64_t protocols_on_unserve(struct node *node, const struct node_call *call);
#endif
