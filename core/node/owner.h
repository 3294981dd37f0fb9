/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_OWNER_H
#define WEIR_NODE_OWNER_H
#include "base/heap.h"
#include "node/state.h"

/* What node builds out of streams: messages, requests, feeds, fetches.
 *
 * An owner is such a thing. It owns streams (STREAM_OWNED, stream.node_data), of which the
 * application hears nothing; it may have a timer; it has events of its own, which are told in the
 * order in which owners became ready, after the connections that came up and before anything that
 * ends, so that the end of a request is told before that of its connection. After its last event an
 * owner stays readable until the next turn and is then freed.
 *
 * Owners are charged to the node's budget by whoever makes them. All that they do happens inside
 * node_input. */

struct owner;

struct owner_ops {
    /** A stream has facts (bits of enum stream_pending, taken off it). With STREAM_PENDING_OVER it
     *  is the last call for this stream, which is dropped on return: forget it, and do not call
     *  owner_drop_stream. Take in what arrived: READABLE comes again only for new bytes. */
    void (*on_stream)(struct node *node, struct owner *o, struct stream *s, unsigned facts);
    /** Its timer fired; it is unset. */
    void (*on_time)(struct node *node, struct owner *o);
    /** @return true and *event filled (time_us and node are filled by the caller), or false:
     *  nothing more to tell. NULL for owners that tell nothing */
    bool (*next_event)(struct node *node, struct owner *o, weir_event *event);
    /** Free it. Its streams were let go (owner_end), or the node is closing and they are gone. */
    void (*release)(struct node *node, struct owner *o);
};

/** The first member of whatever is an owner. Zero it, then owner_begin. */
struct owner {
    const struct owner_ops *ops;
    struct list link;          /**< in owners->all, or in owners->gone */
    struct list ready_link;    /**< in owners->ready: it has events */
    struct heap_item timer;
    uint64_t handle;           /**< 0: the application has none */
    bool ended;                /**< owner_end was called */
};

/** Put a zeroed owner in, with a handle of this kind if it is not 0. @return 0 or WEIR_E_MEMORY */
int owner_begin(struct node *node, struct owner *o, const struct owner_ops *ops, unsigned kind);
/** It is over. Its streams must have been dropped. With no events to tell it is freed at the next
 *  turn (without a handle already when this input is done: what a remote makes and ends waits for
 *  no turn of the application); a ready one once its events are told. Its handle goes stale then.
 *  Idempotent. */
void owner_end(struct node *node, struct owner *o);
/** The handle goes stale now: the application gave it up. */
void owner_forget_handle(struct node *node, struct owner *o);
/** It has events. */
void owner_ready(struct node *node, struct owner *o);
/** Nothing to tell after all. */
void owner_not_ready(struct owner *o);
/** Set its timer; UINT64_MAX unsets it. A time that has come fires at the next deadline. Without
 *  memory for the heap the timer is not set: @return false */
bool owner_set_timer(struct node *node, struct owner *o, uint64_t when_us);

/** The stream is o's from now on. */
void owner_take_stream(struct owner *o, struct stream *s);
/** o wants no more of the stream: reset and stopped with this reason if it is not over, and hidden
 *  until it is gone. Not for a stream that on_stream said is over. */
void owner_drop_stream(struct node *node, struct stream *s, uint32_t reason);
/** What an owner wrote outside a call of the application waits for no turn of it: let it go. */
void owner_let_go(struct node *node, struct stream *s);

/* For node.c, streams.c and events.c. */
void owners_on_stream(struct node *node, struct stream *s);
void owners_on_deadline(struct node *node);
uint64_t owners_deadline(const struct node *node);
bool owners_have_events(const struct node *node);
/** @return false when none is left */
bool owners_next_event(struct node *node, weir_event *event);
void owners_on_turn(struct node *node);
/** An input was dealt with: owners that ended and have no handle are freed. */
void owners_on_settled(struct node *node);
void owners_free(struct node *node);
#endif
