/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TRANSPORT_TRANSPORT_H
#define WEIR_TRANSPORT_TRANSPORT_H
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/secret.h"
#include "identity/key_pair.h"
#include "identity/peer_id.h"
#include "limits/limits.h"
#include "observe/metrics.h"
#include "transport/datagram.h"
#include "transport/reason.h"
#include <stdbool.h>

/* What a transport is.
 *
 * Node speaks to every transport through struct transport_ops and to its streams through stream.h;
 * it never learns which one it has. A transport is an engine: inputs (on_*), commands, getters and
 * outputs (next_*), and nothing else (docs/style.md). It owns its connections; each begins
 * with a struct transport_conn, in which a few fields belong to node, so that a connection is one
 * allocation. Everything that node must look at is put on the transport's ready list and fetched
 * with next_ready: the transport never calls upwards. */

struct transport;
struct transport_conn;
struct conn_streams;
struct stream;

enum conn_role { CONN_DIALLER = 0, CONN_LISTENER = 1 };
enum conn_state {
    CONN_CONNECTING,           /**< no identity yet: no streams */
    CONN_UP,
    CONN_CLOSING,              /**< closed by either side; streams are gone; the transport may still
                                    answer for it */
    CONN_OVER                  /**< node must call conn_free once it has told the application */
};
/** Facts that node has not looked at yet. */
enum conn_pending {
    CONN_PENDING_UP = 1,       /**< the peer is known, streams may be opened */
    CONN_PENDING_ENDED = 2,    /**< state became CLOSING or OVER: end says why */
    CONN_PENDING_STREAMS = 4,  /**< streams on the dirty list */
    CONN_PENDING_OPEN_ROOM = 8,/**< the peer's stream limit rose after an open had failed */
    CONN_PENDING_MOVED = 16    /**< the peer was heard from another address, and answered there */
};
enum conn_end_by {
    CONN_END_LOCAL = 1,
    CONN_END_REMOTE,
    CONN_END_TIMEOUT,
    CONN_END_RESET,
    CONN_END_HANDSHAKE
};

/** Why a connection ended. Allocated only then. */
struct conn_end {
    uint8_t by;                /**< enum conn_end_by */
    int error;                 /**< WEIR_E_* for this side */
    uint32_t reason;           /**< WEIR_REASON_* */
    uint8_t text_len;
    char text[120];            /**< what the closer said; from a peer it is untrusted text */
};

struct transport_conn {
    struct transport *transport;
    struct list ready_link;    /**< in transport->ready */
    struct conn_streams *streams; /**< NULL until a stream exists or the credit is known */
    struct conn_end *end;      /**< not NULL once the connection has ended */
    uint8_t role, state, pending;
    uint8_t node_flags;        /**< node's */
    uint32_t node_index;       /**< node's */
    uint64_t handle;           /**< node's: the public handle */
    uint64_t user;             /**< node's: the application's tag */
    void *node_data;           /**< node's */
};

struct conn_info {
    struct endpoint local, remote;
    uint64_t rtt_us, rtt_min_us, rtt_variance_us;
    uint64_t bytes_sent, bytes_received, packets_sent, packets_received, packets_lost;
    uint64_t window_bytes, in_flight_bytes;
    uint64_t pto_count, congestion_events;
    uint64_t spurious_losses;  /**< packets given up that arrived after all */
    uint64_t moves;            /**< paths validated after the first */
    uint64_t key_updates;      /**< of either side */
    uint32_t datagram_bytes;   /**< what one UDP datagram may hold */
    uint8_t suite;             /**< enum aead_suite of 1-RTT packets; 0: no encryption */
    bool ecn;                  /**< the path carries ECN marks */
    uint64_t memory_bytes;     /**< what the connection costs now, buffers included */
};

/** What node hands to a transport for its whole life. Pointers outlive the transport. */
struct transport_env {
    const struct mem *mem;
    struct budget *budget;     /**< the node's */
    struct metrics *metrics;
    struct log *log;
    const struct limits *limits;
    const struct entropy *entropy;
    const struct key_pair *key;
    const uint8_t *hash_key;   /**< 16 secret bytes for keyed maps */
    const char *network;       /**< the name that this node announces; "" for none */
    uint32_t datagram_bytes;   /**< UDP payload to use, fixed; 0: 1200 at first (1452 on loopback),
                                    then what path MTU discovery finds */
    uint8_t congestion;        /**< 0 CUBIC, 1 NewReno, 2 BBR */
    uint8_t suites;            /**< bit per enum aead_suite that is offered; 0: ChaCha20-Poly1305
                                    alone. The host knows what the machine does fast */
    bool ecn_off;              /**< mark nothing */
    bool datagrams_off;        /**< take no unreliable datagrams */
    bool windows_grow_off;     /**< windows stay at their first size */
};

struct transport_dial {
    struct endpoint remote;
    uint32_t socket;
    struct peer_id expected;   /**< len 0: anyone */
};

struct transport_ops {
    const char *name;          /**< "udp", "memory": for people */
    uint8_t family_mask;       /**< which endpoints it can dial: bit 0 IP, bit 1 memory */

    int (*open)(const struct transport_env *env, struct transport **out);
    void (*close)(struct transport *t); /**< frees everything at once, without a word to the
                                             peers */

    /* inputs */
    void (*on_datagram)(struct transport *t, const struct datagram_in *in, uint64_t now_us);
    void (*on_deadline)(struct transport *t, uint64_t now_us);
    /** The application came back to poll: what was written until now may leave, partial packets
     *  too. */
    void (*on_turn)(struct transport *t, uint64_t now_us);

    /* commands */
    int (*dial)(struct transport *t, const struct transport_dial *dial, uint64_t now_us,
                struct transport_conn **out);
    /** Idempotent. text may be NULL; it is cut at 120 bytes. */
    void (*conn_close)(struct transport_conn *c, uint32_t reason, const char *text,
                       size_t text_len, uint64_t now_us);
    /** Node is done with an ended connection: it must not be touched again. The transport may keep
     *  state of its own for the closing period. */
    void (*conn_free)(struct transport_conn *c);
    /** Make conn->streams (streams_open) for the first stream. NULL: the transport makes them when
     *  the connection comes up. @return 0 or WEIR_E_MEMORY */
    int (*conn_streams)(struct transport_conn *c);
    /** A connection that is held gets keep-alives. */
    void (*conn_hold)(struct transport_conn *c, bool held, uint64_t now_us);
    /** Let go at once, MORE or not. */
    void (*conn_flush)(struct transport_conn *c, uint64_t now_us);
    /** This machine's addresses or routes may have changed: every connection looks for a path. */
    void (*network_changed)(struct transport *t, uint64_t now_us);
    /** The lanes of a stream changed by a call of the application; what: enum stream_change. */
    void (*stream_changed)(struct stream *s, unsigned what, uint64_t now_us);

    /* getters */
    uint64_t (*deadline)(const struct transport *t); /**< UINT64_MAX: none */
    void (*conn_info)(const struct transport_conn *c, struct conn_info *out);
    /** the peer's Ed25519 public key, 32 bytes: its id holds no more. NULL until known; valid while
     *  c is */
    const uint8_t *(*conn_peer_key)(const struct transport_conn *c);
    /** Longest unreliable datagram that can be sent now; 0: the peer takes none. */
    uint32_t (*datagram_max)(const struct transport_conn *c);
    /** the peer's announced network name */
    const char *(*conn_network)(const struct transport_conn *c);

    /* outputs */
    /** @return true and fills out when there is something to send */
    bool (*next_datagram)(struct transport *t, struct datagram_out *out, uint64_t now_us);
};

/** The head of every transport. */
struct transport {
    const struct transport_ops *ops;
    const struct transport_env *env;
    struct list ready;         /**< connections with pending facts, oldest first */
    struct list starved;       /**< conn_streams whose writers wait for a budget */
};

void transport_init(struct transport *t, const struct transport_ops *ops,
                    const struct transport_env *env);
/** Node's output: the next connection with pending facts, taken off the list; NULL when none. */
struct transport_conn *transport_next_ready(struct transport *t);

/** Memory may have been refunded: tell writers that wait for it, as far as there is room. Cheap
 *  when nobody waits. */
void transport_recheck(struct transport *t, uint64_t now_us);

void conn_init(struct transport_conn *c, struct transport *t, enum conn_role role);
/** Add facts and put the connection on the ready list. */
void conn_mark(struct transport_conn *c, unsigned pending);
/** Record why it ended (the first call wins), end all streams, mark. @return false when there was
 *  an end already */
bool conn_ended(struct transport_conn *c, enum conn_end_by by, int error, uint32_t reason,
                const void *text, size_t text_len, uint64_t now_us);
/** Frees streams and end record: for the transport, in its conn_free. */
void conn_release(struct transport_conn *c);
#endif
