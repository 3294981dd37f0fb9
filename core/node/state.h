/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_STATE_H
#define WEIR_NODE_STATE_H
#include "base/handle.h"
#include "base/map.h"
#include "node/errors.h"
#include "node/node.h"
#include "transport/stream.h"

/* What a node holds. Private to core/node.
 *
 * A node of a large world may cost very little, so what only some nodes need hangs behind a pointer
 * that is NULL until it is used, and a connection is its transport's one allocation: node's part of
 * it is a handful of fields.
 *
 * Handles of kind 1 are connections. Their object is a struct transport_conn, or, while a dial is
 * under way or failed, the struct dial with the lowest bit of the pointer set: one handle from the
 * call of dial to the last event, whichever attempt wins. Handles of kind 2 are streams; those
 * above are owners (owner.h). */

enum {
    HANDLE_CONNECTION = 1,
    HANDLE_STREAM,
    HANDLE_REQUEST,     /**< a message or request, of either side */
    HANDLE_FEED,
    HANDLE_SUBSCRIPTION,
    HANDLE_FETCH
};

/** transport_conn.node_flags. */
enum conn_flags {
    CONN_TOLD = 1,           /**< the application knows the handle: the end must be told too */
    CONN_TELL_CONNECTED = 2, /**< waits in node->started */
    CONN_TELL_PEER_UP = 4,
    CONN_TELL_PEER_DOWN = 8, /**< the last one of its peer */
    CONN_LOSER = 16,         /**< lost a merge: goes when its streams are over */
    CONN_ATTEMPT =
        32, /**< of a dial: node_data is the struct dial (NULL: cancelled), node_index its target */
    CONN_REGISTERED = 64, /**< in the registry */
    CONN_PRIMARY = 128    /**< the one to use for its peer */
};

/** In transport_conn.pending, beside the transport's own: node has dealt with
 *  CONN_PENDING_OPEN_ROOM and the application is to hear of it. */
enum { CONN_TELL_OPENABLE = 128 };

/** stream.node_flags. */
enum stream_flags {
    STREAM_HEADER = 1, /**< opened by the peer, its protocol name is not complete */
    STREAM_HIDDEN = 2, /**< node's own: refused, or a built-in protocol */
    STREAM_ASKING = 4, /**< hidden: we asked how the peer sees us */
    STREAM_TELL_OPENED = 8,
    STREAM_TOLD_END = 16, /**< the application knows that the peer finished */
    STREAM_GONE = 32,     /**< its end was told; in node->gone_streams */
    STREAM_OWNED = 64     /**< node_data is the struct owner (owner.h) */
};

/** What few connections have. node_data of a connection that is no attempt. */
struct conn_rare {
    struct transport_conn *next; /**< another connection of the same peer */
    struct endpoint observed;    /**< how the peer sees us; family NONE: it has not said */
    bool tell_observed;
    uint32_t report_len;
    char *report; /**< what the dial met; charged */
    struct outbox *outbox;   /**< messages and requests that wait for credit: exchanges */
    struct waiting *waiting; /**< how many of the peer wait here, by protocol: exchanges */
    bool tell_sendable;
};

struct dialer;
struct drain;
struct exchanges;
struct fetch;
struct listeners;
struct local;
struct outbox;
struct owners;
struct peers;
struct protocols;
struct waiting;

/** What few nodes have. Made when the first of it is needed, and kept. */
struct node_extras {
    weir_error *error;   /**< the facts of the last error */
    struct map *by_peer; /**< primary connections; NULL while there are few */
    struct peers *peers;
    struct drain *drain;
    struct exchanges *exchanges; /**< messages and requests: what counts them */
    struct owners *owners; /**< messages, requests, feeds, fetches */
    struct fetch *fetches; /**< a list */
    struct local *local;   /**< files, children, Unix sockets */
};

struct node {
    struct transport_env env;
    struct entropy entropy;
    struct key_pair key;
    struct budget budget;
    struct handle_table handles;
    uint8_t hash_key[16];
    const struct node_driver *driver;
    void *driver_context;
    uint64_t now_us;

    /* The queues of events: events.c. */
    struct list started; /**< connections, by ready_link: up, moved, openable, observed */
    struct list streams; /**< streams with facts to tell, by dirty_link */
    struct list ended;   /**< connections whose end is to be told, by ready_link */
    struct list gone_streams, gone_conns; /**< told; they go at the next turn */
    uint32_t queue_pushed, queue_popped;  /**< of streams: counts that wrap */

    uint32_t connections, peers_up, streams_open;
    uint32_t number;    /**< in a world: which node; else 0 */
    int32_t error_code; /**< of the last failed call */
    uint8_t transport_count, transport_next;
    bool closed : 1, refuse_unknown : 1, observed_off : 1;
    bool error_noted : 1; /**< the call under way has its facts */
    bool error_kept : 1;  /**< a call failed: what else fails in the same input is not its matter */
    bool own_metrics : 1, own_log : 1, own_limits : 1;

    struct listeners *listeners;
    struct protocols *protocols;
    struct dialer *dialer;
    struct node_extras *extras; /**< by state_extras */
    struct transport *transports[];
};

/** The extras to read: never NULL, all NULL inside while nothing of it was needed. */
const struct node_extras *state_extras(const struct node *node);
/** The extras to change; NULL without memory. */
struct node_extras *state_extras_make(struct node *node);
/** Whether the object of a connection's handle is a dial. */
static inline bool state_is_dial(const void *object) { return ((uintptr_t)object & 1) != 0; }
/** Zeroed memory, charged to the node's budget. @return NULL with *error WEIR_E_BUDGET (facts
 * noted) or WEIR_E_MEMORY */
void *state_alloc(struct node *node, size_t size, int *error);
void state_release(struct node *node, void *block, size_t size);
/** The transport that serves an endpoint's family, or NULL. */
struct transport *state_transport(const struct node *node, uint8_t family);
/** Give a handle another object of the same kind. */
void state_handle_move(struct node *node, uint64_t handle, void *object);
/** The rare part of a connection, made if need be; NULL without memory. */
struct conn_rare *state_rare(struct node *node, struct transport_conn *c);
void state_rare_release(struct node *node, struct transport_conn *c);
#endif
