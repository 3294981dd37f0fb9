/* SPDX-License-Identifier: MIT */
/* Calls of the application, as inputs. How each fills struct node_call (options may be NULL:
 * defaults; api has completed them to their full size):
 *
 *   LISTEN, UNSERVE                     data, len: text
 *   SERVE, DIAL                         data, len: text; options
 *   PEER_DIAL                           peer; options
 *   DRAIN                               flags: reason; number: timeout_us
 *   CONNECTION_CLOSE                    object; flags: reason; data, len: text (NULL: none)
 *   CONNECTION_SET_USER, STREAM_SET_USER object; number: user
 *   STREAM_OPEN                         object: connection; data, len: protocol; options
 *   STREAM_WRITE                        object; data, len; flags: WEIR_MORE, WEIR_FIN
 *   STREAM_FLUSH                        object
 *   STREAM_PEEK                         object; out: a const void *, which is set
 *   STREAM_CONSUME                      object; number: bytes
 *   STREAM_READ                         object; out, cap
 *   STREAM_RESET, STREAM_STOP           object; flags: reason
 *   STREAM_SET_URGENCY                  object; flags: urgency
 *   DATAGRAM_SEND                       object: stream; data, len
 *   DATAGRAM_READ                       object: stream; out, cap
 *   PEER_ADD_ADDRESS                    peer; data, len: text
 *   PEER_HOLD, PEER_RELEASE             peer
 *   PEER_ACCESS                         peer; flags: access
 *   NETWORK_ACCESS                      data, len: name; flags: access
 *   LOG_LEVEL                           flags: level
 *   NETWORK_CHANGED                     nothing
 *   PEER_HEAR                           peer; data, len: text; from
 *   MESSAGE_SEND                        object: connection; key, key_len: protocol; data, len;
 *                                       options
 *   MESSAGE_READ                        object; out, cap
 *   REQUEST_SEND                        as MESSAGE_SEND
 *   REQUEST_RESPOND                     object; data, len; flags
 *   REQUEST_REFUSE                      object; flags: reason; number: retry_us; data, len: text
 *   REQUEST_CANCEL                      object; flags: reason
 *   FEED_OPEN                           data, len: name; options
 *   FEED_PUBLISH                        object; key, key_len; data, len (data NULL: remove)
 *   FEED_ADD                            object; key, key_len; number: the amount as two's
 *                                       complement
 *   FEED_CLOSE                          object; flags: reason
 *   FEED_SUBSCRIBE                      object: connection; data, len: name; number: user
 *   FEED_READ                           object; out, cap; options: a whole weir_feed_item to fill
 *   FETCH_OPEN                          data, len: protocol; options
 *   FETCH_ADD                           object; number: connection
 *   FETCH_READ                          object; out, cap; number_out: offset
 *   FETCH_REJECT                        object; number: offset
 *   FETCH_CANCEL                        object
 *   LOCAL_OPEN                          flags: enum node_local_kind | WEIR_FILE_* << 8; number:
 *                                       user; data, len: a path, or for a child its arguments, each
 *                                       with its zero byte; number_out: the offset in the file */
#include "node/calls.h"
#include "node/conns.h"
#include "node/dial.h"
#include "node/drain.h"
#include "node/errors.h"
#include "node/exchanges.h"
#include "node/feeds.h"
#include "node/fetches.h"
#include "node/listen.h"
#include "node/local.h"
#include "node/peers.h"
#include "node/protocols.h"
#include "node/streams.h"

static int64_t set_log_level(struct node *node, uint32_t level)
{
    if (level > LOG_TRACE) return WEIR_E_ARGUMENT;
    node->env.log->level = (enum log_level)level;
    return 0;
}

static int64_t network_changed(struct node *node)
{
    for (uint32_t i = 0; i < node->transport_count; i++)
        node->transports[i]->ops->network_changed(node->transports[i], node->now_us);
    return 0;
}

static int64_t dispatch_owners(struct node *node, const struct node_call *call)
{
    switch (call->kind) {
    case NODE_CALL_MESSAGE_SEND:
    case NODE_CALL_MESSAGE_READ:
    case NODE_CALL_REQUEST_SEND:
    case NODE_CALL_REQUEST_RESPOND:
    case NODE_CALL_REQUEST_REFUSE:
    case NODE_CALL_REQUEST_CANCEL: return exchanges_on_call(node, call);
    case NODE_CALL_FEED_OPEN:
    case NODE_CALL_FEED_PUBLISH:
    case NODE_CALL_FEED_ADD:
    case NODE_CALL_FEED_CLOSE:
    case NODE_CALL_FEED_SUBSCRIBE:
    case NODE_CALL_FEED_READ: return feeds_on_call(node, call);
    case NODE_CALL_FETCH_OPEN:
    case NODE_CALL_FETCH_ADD:
    case NODE_CALL_FETCH_READ:
    case NODE_CALL_FETCH_REJECT:
    case NODE_CALL_FETCH_CANCEL: return fetches_on_call(node, call);
    case NODE_CALL_LOCAL_OPEN: return local_on_open(node, call);
    default: return WEIR_E_ARGUMENT;
    }
}

static int64_t dispatch(struct node *node, const struct node_call *call)
{
    switch (call->kind) {
    case NODE_CALL_LISTEN: return listen_on_call(node, call);
    case NODE_CALL_SERVE: return protocols_on_serve(node, call);
    case NODE_CALL_UNSERVE: return protocols_on_unserve(node, call);
    case NODE_CALL_DIAL:
    case NODE_CALL_PEER_DIAL: return dial_on_call(node, call);
    case NODE_CALL_DRAIN: return drain_on_call(node, call);
    case NODE_CALL_CONNECTION_CLOSE: return conns_on_close(node, call);
    case NODE_CALL_CONNECTION_SET_USER: return conns_on_set_user(node, call);
    case NODE_CALL_STREAM_OPEN: return streams_on_open(node, call);
    case NODE_CALL_STREAM_WRITE:
    case NODE_CALL_STREAM_FLUSH:
    case NODE_CALL_STREAM_PEEK:
    case NODE_CALL_STREAM_CONSUME:
    case NODE_CALL_STREAM_READ:
    case NODE_CALL_STREAM_RESET:
    case NODE_CALL_STREAM_STOP:
    case NODE_CALL_STREAM_SET_URGENCY:
    case NODE_CALL_STREAM_SET_USER:
    case NODE_CALL_DATAGRAM_SEND:
    case NODE_CALL_DATAGRAM_READ: return streams_on_call(node, call);
    case NODE_CALL_PEER_ADD_ADDRESS:
    case NODE_CALL_PEER_HOLD:
    case NODE_CALL_PEER_RELEASE:
    case NODE_CALL_PEER_ACCESS:
    case NODE_CALL_PEER_HEAR:
    case NODE_CALL_NETWORK_ACCESS: return peers_on_call(node, call);
    case NODE_CALL_LOG_LEVEL: return set_log_level(node, call->flags);
    case NODE_CALL_NETWORK_CHANGED: return network_changed(node);
    default: return dispatch_owners(node, call);
    }
}

int64_t calls_do(struct node *node, const struct node_call *call)
{
    errors_begin(node);
    int64_t result = dispatch(node, call);
    if (result < 0) errors_note(node, (int)result);
    return result;
}
