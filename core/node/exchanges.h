/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_EXCHANGES_H
#define WEIR_NODE_EXCHANGES_H
#include "node/owner.h"
#include "node/protocols.h"

/* Messages and requests (weir.h). On the wire (docs/wire.md): a message is a one-way stream: its
 * protocol's name and its bytes. A request is a stream: name and bytes to FIN; the response begins
 * with a status (below) and its bytes go to FIN. */

enum {
    RESPONSE_OK = 0,      /**< the bytes follow */
    RESPONSE_REFUSED = 1, /**< varint reason, varint retry_us, then text to FIN */
    RESPONSE_HEAD_MAX = 1 + 8 + 8 + 120
};

/** What weir_node_serve said, completed with the defaults. */
struct exchange_rules {
    uint64_t response_max_bytes, deadline_us, progress_us, retry_us;
    uint32_t message_max_bytes, request_max_bytes, queue_per_peer, queue_max, progress_bytes;
    uint64_t user;        /**< the protocol's tag */
    uint8_t overflow;
    bool request_chunked;
    /* Not rules, and kept when the protocol is served anew: */
    uint32_t waiting;     /**< messages not read and requests not answered, of all peers */
    struct list messages; /**< of them, the messages, oldest first */
};

/** Check serve options and fill the rules. @return 0 or WEIR_E_ARGUMENT with facts */
int exchanges_rules(struct node *node, const weir_serve_options *options,
                    struct exchange_rules *rules);
/** The peer opened a stream of a protocol that serves messages or requests; its head of head_len
 *  bytes is not consumed. Takes the stream or refuses it. */
void exchanges_on_opened(struct node *node, struct stream *s, struct protocol *p, size_t head_len);
/** Requests of this node that are not over. */
uint32_t exchanges_asked(const struct node *node);
/** Whether a drain has to wait: messages and requests that are not over, or not delivered. */
bool exchanges_are_open(const struct node *node);
/** Whether something waits to leave on this connection. */
bool exchanges_wait(const struct transport_conn *c);
/** The application could not open a stream: it is to hear when it can. */
void exchanges_on_open_failed(struct transport_conn *c);
/** Room was noted. @return whether the queue alone had asked for it, and the application needs not
 *  hear of it */
bool exchanges_hush_room(struct transport_conn *c);
/** The connection takes streams or bytes again: send what waits. */
void exchanges_on_room(struct node *node, struct transport_conn *c);
/** The connection is over: what waits for it fails. Its streams have ended already. */
void exchanges_on_end(struct node *node, struct transport_conn *c);
/** Free what waits, when the node closes. */
void exchanges_free_conn(struct node *node, struct transport_conn *c);
/** A stream call with a request's or message's handle that is none of the stream's.
 *  @return whether it was, and *result */
bool exchanges_take_call(struct node *node, const struct node_call *call, int64_t *result);
/** The stream behind a request's or message's handle, for the other stream calls. @return NULL with
 *  *error 0 (it has none yet: 0 bytes now) or WEIR_E_* */
struct stream *exchanges_stream(struct node *node, uint64_t handle, uint32_t call_kind, int *error);
/** A stream call of the application changed it: look at it again. */
void exchanges_after_call(struct node *node, uint64_t handle);
/** Every NODE_CALL_MESSAGE_* and NODE_CALL_REQUEST_*. */
int64_t exchanges_on_call(struct node *node, const struct node_call *call);
#endif
