/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_EXCHANGE_H
#define WEIR_NODE_EXCHANGE_H
#include "node/exchanges.h"

/* One message or request, of either side. Private to exchanges.c and its neighbours:
 *
 *   exchanges.c        calls, birth and end
 *   exchange_rules.c   what weir_node_serve says
 *   exchange_time.c    deadline and least progress
 *   exchange_events.c  what the application hears and may ask
 *   exchange_in.c      what peers open: bounds and queues
 *   exchange_body.c    bytes that are read whole
 *   exchange_answer.c  what the application answers
 *   exchange_ask.c     our requests and their responses
 *   messages_out.c     what leaves at once
 *   outbox.c           what waits for room
 *   response_head.c    how a response begins
 *
 * An exchange is one allocation. What is read whole stays in the lane of its stream until then, so
 * the only copy is that into the application's buffer (but see exchange_body.c). An exchange is
 * over once; from then on it has neither stream nor connection and only waits until its last event
 * is told. */

enum exchange_kind { MESSAGE_IN, MESSAGE_OUT, REQUEST_IN, REQUEST_OUT };

/** What the application is still to hear, in this order. */
enum exchange_tell {
    TELL_BEGIN = 1, /**< MESSAGE, REQUEST or RESPONSE */
    TELL_READABLE = 2,
    TELL_WRITABLE = 4,
    TELL_CLOSED = 8
};

/** Bytes of ours that wait for room: the stream's head, if it is not open yet, and the body. */
struct tail {
    uint32_t len, done;
    uint8_t bytes[];
};

/** How many of one protocol a peer has here: messages not read, requests not answered. Linked from
 *  conn_rare.waiting; one whose count is 0 serves another protocol next. */
struct waiting {
    struct waiting *next;
    const struct protocol *protocol;
    uint32_t count;
    struct list messages; /**< oldest first, by peer_link */
};

struct exchange {
    struct owner owner;
    struct transport_conn *conn; /**< NULL once over */
    struct stream *stream;       /**< NULL: waits for room, or over */
    struct protocol *protocol;   /**< held; NULL: a message of ours */
    struct waiting *waiting;     /**< where its peer is counted; NULL: nowhere (any more) */
    struct outbox *outbox;       /**< where it waits; NULL: nowhere */
    struct list link;            /**< in the outbox, or in rules->messages */
    struct list peer_link;       /**< in waiting->messages */
    struct tail *tail;           /**< charged */
    uint8_t *body;               /**< moved out of the lane; charged (exchange_body.c), body_cap */
    char *text;                  /**< what a refusing peer said; charged, text_len + 1 */
    uint64_t parent, user;
    uint64_t key;                /**< of WEIR_OVERFLOW_MERGE */
    uint64_t in_max, out_max;    /**< bytes without heads; out_max: served */
    uint64_t bytes_in, bytes_out;
    uint64_t begun_us, answered_us, deadline_us; /**< UINT64_MAX: none */
    uint64_t progress_us;        /**< UINT64_MAX: no least progress */
    uint64_t window_us;          /**< since when progress is counted; 0: not yet */
    uint64_t paused_us;          /**< since when it is not the peer's turn */
    uint64_t window_moved;       /**< bytes that had moved then */
    uint64_t retry_us;
    uint32_t progress_bytes;
    uint32_t prefix;             /**< head bytes at the begin of the peer's lane */
    uint32_t skip;               /**< of them, those not consumed */
    uint32_t reason;
    int error;
    uint32_t body_len, body_cap;
    uint32_t text_len;
    uint32_t head_out;           /**< asker: bytes of the stream's head */
    uint8_t kind, tell, urgency;
    bool chunked;                /**< the peer's bytes are read with the stream calls */
    bool more;                   /**< asker: the application finishes the request itself */
    bool key_set;
    bool whole;                  /**< all bytes of the peer are there */
    bool is_kept;                /**< and its connection ended before they were read: they are in
                                  *   body, and there is no stream */
    bool is_counted;             /**< in rules->waiting */
    bool is_read;                /**< weir_message_read took them */
    bool answered;               /**< the response began: it was sent, or it came */
    bool finished;               /**< served: the end of the response is in the lane */
    bool owes_end;               /**< served: an empty response found no room, and leaves later */
    bool told;                   /**< TELL_BEGIN was */
    bool told_end;               /**< the application knows the end of the peer's bytes */
    bool wants_write;            /**< a write found bytes of ours still waiting */
    bool is_demanding;           /**< it is the peer's turn: progress is asked for */
    bool over;
};

/** What a node has once there was an exchange. */
struct exchanges {
    struct owner rest;        /**< owns streams that run out by themselves: messages that left,
                               *   refusals. Its timer wakes outboxes that wait for memory */
    struct list starved;      /**< outboxes */
    struct protocol *last;    /**< held: the protocol last asked, not to be made each time */
    uint32_t open;            /**< exchanges, and streams of rest: what a drain waits for */
    uint32_t asked;           /**< our requests that are not over */
};

/* exchanges.c */
static inline struct exchanges *exchanges_of(const struct node *node)
{
    return node->extras == NULL ? NULL : node->extras->exchanges;
}
/** @return NULL without memory */
struct exchanges *exchanges_make(struct node *node);
static inline struct exchange *exchange_of(struct owner *o) { return (struct exchange *)o; }
/** A new exchange on a connection, counted, without stream; protocol may be NULL. @return NULL with
 *  *error */
struct exchange *exchange_begin(struct node *node, enum exchange_kind kind,
                                struct transport_conn *c, struct protocol *p, int *error);
/** It owns this stream from now on. */
void exchange_take(struct exchange *x, struct stream *s);
/** Behind a handle of the application. @return NULL with *error */
struct exchange *exchange_get(const struct node *node, uint64_t handle, int *error);
/** The application shall hear this. */
void exchange_tell(struct node *node, struct exchange *x, unsigned what);
/** It is over, and its stream is dropped or gone. error 0 is a clean end. What is to be told is
 *  told. */
void exchange_over(struct node *node, struct exchange *x, int error, uint32_t reason);
/** The same, and nobody hears of it: the handle is stale at once. */
void exchange_forget(struct node *node, struct exchange *x);
/** Drop its stream, if there is one, with this reason. */
void exchange_drop_stream(struct node *node, struct exchange *x, uint32_t reason);
/** Give it up, or take note that the peer did: counts it and drops the stream. */
void exchange_fail(struct node *node, struct exchange *x, int error, uint32_t reason);
/** Its stream has nothing more to do but to be delivered: it goes on without an owner. A request
 *  that was not finished is cancelled. */
void exchange_let_run(struct node *node, struct exchange *x);
/** The stream runs out by itself, and a drain waits for it. There is a struct exchanges. */
void exchanges_keep(struct node *node, struct stream *s);

/* exchange_time.c */
/** Its time begins, or what it waits for changed: deadline and least progress. @return false
 *  without memory */
bool exchange_arm(struct node *node, struct exchange *x);
/** Whose turn it is may have changed. */
void exchange_look(struct node *node, struct exchange *x);
void exchange_on_time(struct node *node, struct owner *o);

/* exchange_body.c: of exchanges that are not chunked. */
/** Bytes that are there, without heads. */
uint64_t exchange_body_len(const struct exchange *x);
/** Bytes came: move them out of the lane if they are in the way. There is a stream. */
void exchange_body_relieve(struct node *node, struct exchange *x);
/** Copy all. */
void exchange_body_read(const struct exchange *x, uint8_t *out);
/** Its stream is gone with its connection, which delivered all of it: keep what was not read.
 *  @return false: there is nothing to keep, or no memory */
bool exchange_body_keep(struct node *node, struct exchange *x, const struct stream *s);
/** Look at the first contiguous piece. @return its length or WEIR_E_MEMORY */
int64_t exchange_body_view(struct node *node, struct exchange *x, const uint8_t **data);
void exchange_body_free(struct node *node, struct exchange *x);

/* exchange_events.c */
bool exchange_next_event(struct node *node, struct owner *o, weir_event *event);

/* exchange_in.c, exchange_ask.c, messages_out.c: facts of a stream of this kind. */
void exchange_in_on_stream(struct node *node, struct exchange *x, struct stream *s, unsigned facts);
void exchange_ask_on_stream(struct node *node, struct exchange *x, struct stream *s,
                            unsigned facts);
void messages_out_on_stream(struct node *node, struct exchange *x, struct stream *s,
                            unsigned facts);

/* exchange_in.c */
void exchanges_free_waiting(struct node *node, struct transport_conn *c);
/** No longer counted as waiting for the application. */
void exchange_uncount(struct exchange *x);

/* exchange_answer.c */
/** Answer a stream with a refusal and let it run out; reset it if there is no room for that. */
void exchange_put_refusal(struct node *node, struct stream *s, uint32_t reason, uint64_t retry_us,
                          const char *text, size_t text_len);
int64_t exchange_on_respond(struct node *node, const struct node_call *call);
int64_t exchange_on_refuse(struct node *node, const struct node_call *call);
/** There is room for the empty response that it owes. */
void exchange_put_end(struct node *node, struct exchange *x);

/* exchange_ask.c */
int64_t exchange_on_ask(struct node *node, const struct node_call *call);
/** The response was read to its end. */
void exchange_complete(struct node *node, struct exchange *x);

/* messages_out.c */
int64_t messages_out_on_send(struct node *node, const struct node_call *call);
/** What is known of a protocol and body that are to go: checks shared by messages and requests.
 *  @return 0 and *out the connection, or WEIR_E_* */
int messages_out_check(struct node *node, const struct node_call *call, bool one_way,
                       struct transport_conn **out);
/** Send a request now, or put it into the queue. @return 0 or WEIR_E_*: nothing was done */
int messages_out_request(struct node *node, struct exchange *x, const struct node_call *call);
/** Write on at what waited. */
void messages_out_push(struct node *node, struct exchange *x);

/* outbox.c */
/** The connection has its table of streams, if that can be. */
void outbox_prepare(struct transport_conn *c);
/** Whether a connection's queue has room for one more; when not, SENDABLE is owed if tell says so.
 */
bool outbox_has_room(struct node *node, struct transport_conn *c, bool tell);
/** Whether so many bytes on a new stream may leave now, before what waits. type: 0 two-way, 1
 *  one-way */
bool outbox_may_leave(struct transport_conn *c, unsigned type, uint64_t total);
/** A message waits, or its policy takes effect. @return as weir_message_send */
int64_t outbox_wait_message(struct node *node, struct transport_conn *c,
                            const struct node_call *call, uint8_t urgency);
/** A request waits. @return 0 or WEIR_E_* */
int outbox_wait_request(struct node *node, struct exchange *x, const struct node_call *call);
/** It waits no longer: take it out of the queue and free what it kept. */
void outbox_forget(struct node *node, struct exchange *x);
/** Our own memory may have room again. */
void outbox_retry(struct node *node);
/** Room for bytes that wait. @return NULL with *error */
struct tail *outbox_tail_make(struct node *node, size_t len, int *error);
void outbox_tail_free(struct node *node, struct exchange *x);
#endif
