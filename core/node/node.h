/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_NODE_H
#define WEIR_NODE_NODE_H
#include "base/mem.h"
#include "identity/key_pair.h"
#include "node/driver.h"
#include "observe/metrics.h"
#include "transport/transport.h"
#include "weir.h"

/* A node: this process's peer, as an engine. The ABI's opaque weir_node is this struct, by a cast
 * in api.
 *
 * Everything that can change it enters through node_input: a call of the application, a datagram, a
 * deadline, a turn of the application, an answer of the driver. So a run is a list of inputs, and a
 * recorded list replays to the same outputs. Outputs are fetched: node_next_datagram,
 * node_deadline, node_next_events. */

enum node_input_kind {
    NODE_INPUT_DATAGRAM = 1,   /**< datagram */
    NODE_INPUT_DEADLINE,       /**< time reached node_deadline */
    NODE_INPUT_TURN,           /**< the application came back to poll: object handles of told ends
                                *   go stale, writes leave */
    NODE_INPUT_RESOLVED,       /**< resolved */
    NODE_INPUT_CALL,           /**< call */
    NODE_INPUT_LOCAL           /**< local: what happened to a file, child or Unix socket */
};

/** Calls of the ABI that change a node. Arguments are in struct node_call, by the names of weir.h.
 */
enum node_call_kind {
    NODE_CALL_LISTEN = 1, NODE_CALL_SERVE, NODE_CALL_UNSERVE, NODE_CALL_DIAL, NODE_CALL_PEER_DIAL,
    NODE_CALL_DRAIN,
    NODE_CALL_CONNECTION_CLOSE, NODE_CALL_CONNECTION_SET_USER,
    NODE_CALL_STREAM_OPEN, NODE_CALL_STREAM_WRITE, NODE_CALL_STREAM_FLUSH, NODE_CALL_STREAM_PEEK,
    NODE_CALL_STREAM_CONSUME, NODE_CALL_STREAM_READ, NODE_CALL_STREAM_RESET, NODE_CALL_STREAM_STOP,
    NODE_CALL_STREAM_SET_URGENCY, NODE_CALL_STREAM_SET_USER,
    NODE_CALL_DATAGRAM_SEND, NODE_CALL_DATAGRAM_READ,
    NODE_CALL_PEER_ADD_ADDRESS, NODE_CALL_PEER_HOLD, NODE_CALL_PEER_RELEASE, NODE_CALL_PEER_ACCESS,
    NODE_CALL_NETWORK_ACCESS, NODE_CALL_LOG_LEVEL, NODE_CALL_NETWORK_CHANGED, NODE_CALL_PEER_HEAR,
    NODE_CALL_MESSAGE_SEND, NODE_CALL_MESSAGE_READ,
    NODE_CALL_REQUEST_SEND, NODE_CALL_REQUEST_RESPOND, NODE_CALL_REQUEST_REFUSE,
    NODE_CALL_REQUEST_CANCEL,
    NODE_CALL_FEED_OPEN, NODE_CALL_FEED_PUBLISH, NODE_CALL_FEED_ADD, NODE_CALL_FEED_CLOSE,
    NODE_CALL_FEED_SUBSCRIBE, NODE_CALL_FEED_READ,
    NODE_CALL_FETCH_OPEN, NODE_CALL_FETCH_ADD, NODE_CALL_FETCH_READ, NODE_CALL_FETCH_REJECT,
    NODE_CALL_FETCH_CANCEL,
    NODE_CALL_LOCAL_OPEN
};
/** What NODE_CALL_LOCAL_OPEN opens: node_call.flags has WEIR_FILE_* << 8 beside it. */
enum node_local_kind { NODE_LOCAL_FILE = 1, NODE_LOCAL_CHILD, NODE_LOCAL_UNIX };
/** What NODE_INPUT_LOCAL says. */
enum node_local_fact {
    NODE_LOCAL_OPENED = 1,     /**< amount: the file's size, or 0 */
    NODE_LOCAL_DATA,           /**< data, len: bytes that were read, no more than node_local_credit
                                *   said */
    NODE_LOCAL_END,            /**< nothing more can be read; of a file only CLOSED says it */
    NODE_LOCAL_WROTE,          /**< amount: so many bytes of the outgoing lane were written; error
                                *   not 0: the other side takes no more */
    NODE_LOCAL_CLOSED          /**< the last: error 0 or WEIR_E_*; amount: a child's exit code */
};
struct node_call {
    uint32_t kind;             /**< enum node_call_kind */
    uint32_t flags;            /**< WEIR_MORE | WEIR_FIN; or a small number: reason, urgency,
                                *   access, level */
    uint64_t object;           /**< handle */
    uint64_t number;           /**< amount, user tag */
    const void *data;          /**< bytes or text in */
    size_t len;
    void *out;                 /**< result buffer */
    size_t cap;
    const void *options;       /**< the call's options struct, whole (api has checked and completed
                                *   it) */
    const struct peer_id *peer;
    const struct peer_id *from;
    const void *key;           /**< of a feed */
    size_t key_len;
    uint64_t *number_out;      /**< a second result */
};

struct node_input {
    uint32_t kind;             /**< enum node_input_kind */
    uint64_t now_us;           /**< never goes back */
    const struct datagram_in *datagram;
    const struct node_call *call;
    struct {
        uint64_t token;
        int error;             /**< 0, or WEIR_E_HOST_UNKNOWN, WEIR_E_TIMEOUT ... */
        uint32_t count;
        const struct endpoint *addresses; /**< port 0; in the system's order */
        bool ip6_first;        /**< which family the answer for came first */
    } resolved;
    struct {
        uint32_t fact;         /**< enum node_local_fact */
        int error;
        uint64_t token;        /**< as the driver was given it */
        uint64_t amount;
        const void *data;
        size_t len;
    } local;
};

/** What a node is made from. Pointers are copied or, where said, outlive the node. */
struct node_config {
    const struct mem *mem;             /**< outlives the node */
    struct entropy entropy;
    const struct key_pair *key;        /**< copied */
    struct limits limits;
    const char *network;               /**< "" for none; copied */
    const struct transport_ops *const *transports; /**< outlives the node */
    uint32_t transport_count;
    const struct node_driver *driver;  /**< outlives the node */
    void *driver_context;
    struct metrics *metrics;           /**< NULL: the node has its own; else shared (a world's) */
    struct log *log;                   /**< the same */
    uint32_t log_level;
    uint32_t datagram_bytes;           /**< fixed; 0: what the path carries */
    uint8_t congestion;                /**< struct transport_env's, as are the next three */
    uint8_t suites;
    bool ecn_off, datagrams_off;
    bool refuse_unknown;               /**< accept only peers with access; what the application
                                        *   dials is let in */
    bool windows_grow_off;             /**< windows stay at their first size */
    bool observed_off;                 /**< neither serve nor ask weir/observed/1 */
    const struct limits *shared_limits; /**< not NULL: used instead of limits, outlives the node (a
                                         *   world's) */
};

/** @return 0 and *out, or WEIR_E_MEMORY */
int node_open(const struct node_config *config, struct node **out);
/** Free everything inside, without a word to the peers (drain first, or let the closes leave). What
 *  stays is a shell on which node_is_closed is true: the tombstone of weir_node_close. Idempotent.
 */
void node_close(struct node *node);
bool node_is_closed(const struct node *node);
/** Close, then free the shell. */
void node_free(struct node *node);
/** Close every connection with this reason now: the last datagrams wait in node_next_datagram. */
void node_close_connections(struct node *node, uint32_t reason, uint64_t now_us);

/** The one way in. How each call fills struct node_call: NODE_CALL_* in node/calls.c. @return what
 *  the call returns (a handle, a count, 0 or WEIR_E_*); 0 for other inputs, but WEIR_E_BUDGET for
 *  NODE_LOCAL_DATA that finds no room: the driver gives it again after local_wants */
int64_t node_input(struct node *node, const struct node_input *in);
/** @return true and out filled when there is a datagram to send */
bool node_next_datagram(struct node *node, struct datagram_out *out, uint64_t now_us);
/** When NODE_INPUT_DEADLINE is due; UINT64_MAX: never. */
uint64_t node_deadline(const struct node *node);
/** Write up to cap events. Level facts once until acted upon, ends once and last. @return how many
 */
uint32_t node_next_events(struct node *node, weir_event *events, uint32_t cap);
/** Whether node_next_events would give any. */
bool node_has_events(const struct node *node);

/* For the drivers and api. */
void *node_driver_context(const struct node *node);
const struct node_driver *node_driver_of(const struct node *node);
struct metrics *node_metrics(struct node *node);
struct log *node_log(struct node *node);
weir_error *node_error(struct node *node);     /**< the last error with its facts (detail "": it had
                                                *   none); NULL without memory */
uint64_t node_number(const struct node *node); /**< in a world: which node; else 0 */
void node_set_number(struct node *node, uint32_t number);
bool node_is_drained(const struct node *node); /**< a drain was asked for and nothing is left to do
                                                */
/** Bytes charged to the node's budget. */
uint64_t node_memory_used(const struct node *node);
const struct limits *node_limits(const struct node *node);
const struct peer_id *node_peer(const struct node *node);
uint32_t node_peers_connected(const struct node *node);
/** What of a limit of the node is used; UINT64_MAX: not counted. @param limit  enum limit */
uint64_t node_limit_used(const struct node *node, unsigned limit);

/* What a driver may do for a local stream now; token: as local_open got it. */
/** Bytes of the outgoing lane that wait to be written, in one piece. Valid until the next input.
 *  @param fin  nothing comes after them: then the file is to be finished, the lane closed
 *  @return how many, 0: none; WEIR_E_RESET: the lane was given up; WEIR_E_STALE: unknown */
int64_t node_local_peek(const struct node *node, uint64_t token, const uint8_t **data, bool *fin);
/** Bytes that the driver may read now. For bytes that are given at once there is room.
 *  @return how many, 0: none until local_wants; WEIR_E_STOPPED: nobody reads; WEIR_E_STALE */
int64_t node_local_credit(struct node *node, uint64_t token);

/* Getters behind the ABI's: they change nothing that is seen, so they need no input. Structs are
 * filled whole, `size` apart; texts end with a 0. Return values are those of weir.h. */
int node_address(const struct node *node, uint32_t i, char *text, uint32_t cap);
int node_connection_info(struct node *node, uint64_t connection, weir_connection_info *info);
int node_connection_report(struct node *node, uint64_t connection, char *text, uint32_t cap);
int node_connection_observed(struct node *node, uint64_t connection, char *text, uint32_t cap);
int node_stream_info(struct node *node, uint64_t stream, weir_stream_info *info);
int node_request_info(struct node *node, uint64_t request, weir_request_info *info);
int node_feed_info(struct node *node, uint64_t feed, weir_feed_info *info);
int node_fetch_info(struct node *node, uint64_t fetch, weir_fetch_info *info);
int node_peer_info(struct node *node, const struct peer_id *peer, weir_peer_info *info);
int node_peer_address(struct node *node, const struct peer_id *peer, uint32_t i, char *text,
                      uint32_t cap);
/** Walk the peers that are connected, held or have a rule; zero the cursor first. @return false at
 *  the end */
struct node_peer_cursor {
    uint32_t place;
    bool records;
};
bool node_peer_next(struct node *node, struct node_peer_cursor *cursor, weir_peer_info *info);
#endif
