/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_CONNECTION_H
#define WEIR_QUIC_CONNECTION_H
#include "base/heap.h"
#include "crypto/protect.h"
#include "quic/ack.h"
#include "quic/congestion.h"
#include "quic/endpoint.h"
#include "quic/frame.h"
#include "quic/handshake.h"
#include "quic/loss.h"
#include "quic/pacer.h"
#include "quic/packet.h"
#include "quic/params.h"
#include "quic/token.h"
#include "transport/lane.h"
#include "transport/stream.h"

/* One connection of the UDP transport, cut by concern:
 *
 *     connection.c       make, free, getters          conn_in.c       packets in
 *     conn_handshake.c   levels, candidates, keys     conn_frames.c   what frames mean
 *     conn_out.c         packets out                  conn_loss.c     what became of packets
 *     conn_timers.c      when to do what              conn_close.c    how it ends
 *     conn_ids.c         the peer's connection ids    endpoint.c      many connections on one node
 *
 * Everything here is pure: time and datagrams are arguments, memory comes from env->mem. */

enum quic_phase {
    QUIC_HANDSHAKING,
    QUIC_UP,                   /**< keys of both directions; the application may speak */
    QUIC_CLOSING,              /**< we closed: answer with the same close, seldom */
    QUIC_DRAINING,             /**< the peer closed, or it timed out: silence */
};

enum {
    QUIC_EARLY_MAX = 8,
    FIRST_KEY_MAX = ENDPOINT_KEY_BYTES + 2 * (1 + CID_MAX) + 32,
    QUIC_CANDIDATES_MAX = 3,   /**< wire.md 5.5 */
    QUIC_CRYPTO_GAPS_MAX = 16,
    QUIC_REMOTE_CIDS_MAX = 4,
    QUIC_BURST_SEGMENTS_MAX = 64, /**< UDP_SEGMENT takes no more */
};

/** Somebody who answered our first message: the server, or whoever saw it pass. A server has one:
 *  its client. */
struct candidate {
    struct cid scid;
    struct handshake *handshake;
    struct receive_lane in[2]; /**< CRYPTO of Initial and Handshake */
    struct protect_keys read, write; /**< Handshake level */
    struct ack_state acks;     /**< of its Handshake packets; taken over when it is adopted */
    uint64_t largest[2];       /**< packet number of its Initial and Handshake packets;
                                *   PACKET_NUMBER_NONE: none */
    uint64_t sample_us;        /**< round trip measured by its ACK of our Initial; 0: none */
    uint32_t order;            /**< of the client's candidates: the lowest is the oldest */
    bool has_keys;
};

/** What exists only until the handshake is confirmed. */
struct conn_handshake {
    struct handshake *first;   /**< client: the state after message 1, from which candidates are
                                *   forked */
    struct candidate *candidates[QUIC_CANDIDATES_MAX];
    struct candidate *adopted; /**< one of them, or NULL */
    struct send_lane out[2];   /**< CRYPTO to send at Initial and Handshake */
    struct protect_keys initial_read, initial_write;
    struct cid original_dcid;  /**< the client's first DCID */
    struct cid retry_scid;
    uint8_t token[TOKEN_SIZE_MAX + 64];
    uint16_t token_len;
    uint8_t first_key[FIRST_KEY_MAX]; /**< listener: how retransmissions of message 1 find this
                                       *   connection */
    uint8_t first_key_len;
    uint8_t early_count;       /**< 1-RTT packets that came before message 3, sealed */
    struct {
        uint8_t *bytes;
        uint16_t len;
        uint8_t ecn;
    } early[QUIC_EARLY_MAX];
    uint64_t refused_us;       /**< when to believe an unauthenticated close, or that the peer is
                                *   another; 0: none came */
    uint64_t refused_code;
    uint32_t candidates_made;
    bool has_initial, has_retry;
};

struct remote_cid {
    struct cid cid;
    uint64_t sequence;
    uint8_t token[TOKEN_RESET_LEN];
    bool used, has_token;
};

struct connection {
    struct transport_conn base; /**< first: node knows only this */
    struct endpoint_state *owner;
    struct heap_item timer;
    struct list send_link;      /**< in owner->sendable: it may have something to send */
    struct list touched_link;   /**< in owner->touched: the application did something since its last
                                 *   turn */
    struct list all_link;
    uint8_t reset_token[TOKEN_RESET_LEN]; /**< the peer's, as registered with the endpoint */
    bool has_reset_token;
    uint8_t phase;
    bool is_known;             /**< node has seen it */
    bool freed_by_node;
    bool held;
    bool is_stranger;          /**< a verified answer came from another peer than the one dialled */
    bool validated;            /**< server: the client's address answered */
    bool confirmed;
    bool has_read, has_write;  /**< 1-RTT keys */
    bool done_pending;         /**< HANDSHAKE_DONE is to be sent (again) */
    bool ping_pending;
    bool path_response_pending;
    uint8_t path_response[8];
    bool eliciting_since_receive; /**< the idle timer restarts at the first eliciting packet after a
                                   *   receive */
    bool blocked_amplification;
    bool rested;               /**< idle memory was given back */
    uint8_t probes[3];         /**< PTO probes to send per space */
    uint64_t probe_from[3];    /**< number from which the next probe looks for what to repeat */

    struct cid local_cid;      /**< ours: in the peer's packets as DCID */
    struct cid remote_cid;     /**< the peer's */
    struct remote_cid remote_cids[QUIC_REMOTE_CIDS_MAX];
    uint64_t retire_below;
    uint64_t retire_queue[2 * QUIC_REMOTE_CIDS_MAX];
    uint8_t retire_count;

    struct endpoint local, remote;
    uint32_t socket;
    uint32_t datagram_bytes;
    struct peer_id expected;   /**< dialled; len 0: anybody */
    struct peer_id peer;
    char *network;             /**< the peer's network name, or NULL for none */
    uint8_t network_len;

    struct conn_handshake *hs; /**< NULL once confirmed */
    struct protect_keys read, write; /**< 1-RTT */
    struct ack_state acks[2];  /**< Initial (server) or adopted Handshake: [0] Initial, [1]
                                *   Handshake */
    struct ack_state ack_app;
    uint64_t largest[3];       /**< largest packet number received per space; PACKET_NUMBER_NONE */
    struct rtt rtt;
    struct congestion congestion;
    struct pacer pacer;
    struct loss loss;
    uint8_t peer_ack_exponent;
    uint64_t peer_idle_us;
    uint64_t max_data;         /**< the largest MAX_DATA of the packet that is being processed */

    uint64_t now_us;           /**< of the input that is being processed, for callbacks */
    uint64_t opened_us, received_us, idle_base_us, pace_us, close_us, eliciting_us;
    uint64_t stalled_us;       /**< when to try again: no memory or budget for the record of a
                                *   packet; 0: not stalled */
    uint64_t bytes_in, bytes_out, packets_in, packets_out;
    uint64_t open_failures;    /**< wire.md 4.4 */

    /* closing */
    uint64_t close_numbers[3]; /**< next packet number per space: the loss records are gone */
    uint64_t close_code;       /**< on the wire */
    uint64_t close_frame_type;
    bool close_application, close_send;
    uint8_t close_text_len;
    char close_text[120];
    uint32_t close_received, close_next; /**< answer at packet 1, 2, 4, 8 ... */
};

static inline struct connection *connection_of(struct transport_conn *c)
{
    return (struct connection *)(void *)c;
}
static inline const struct transport_env *connection_env(const struct connection *c)
{
    return c->base.transport->env;
}
static inline bool connection_is_client(const struct connection *c)
{
    return c->base.role == CONN_DIALLER;
}

/* connection.c */
/** A client's: makes message 1. @return NULL when there is no memory */
struct connection *connection_dial(struct endpoint_state *owner, const struct transport_dial *dial,
                                   uint64_t now_us);
/** What the endpoint learned from a first Initial that it opened. */
struct connection_accept {
    const struct datagram_in *in;
    struct cid dcid, scid;             /**< of the Initial */
    struct cid original_dcid;          /**< from the token after Retry, else dcid */
    bool retried;
    struct protect_keys read, write;   /**< Initial keys */
};
struct connection *connection_accept(struct endpoint_state *owner,
                                     const struct connection_accept *accept, uint64_t now_us);
/** Free at once. */
void connection_destroy(struct connection *c);
void connection_info(const struct transport_conn *base, struct conn_info *out);
/** Something changed: look at timers and at whether there is something to send. */
void connection_refresh(struct connection *c, uint64_t now_us);
/** The same after it was asked for datagrams; sent: it gave some. */
void connection_settle(struct connection *c, bool sent, uint64_t now_us);

/* conn_in.c */
/** One datagram for this connection. data is changed in place. */
void conn_in_datagram(struct connection *c, const struct datagram_in *in, uint8_t *data,
                      size_t len, uint64_t now_us);
/** An Initial of a client whose payload the endpoint has opened already. */
void conn_in_initial(struct connection *c, uint64_t number, uint8_t *payload, size_t len,
                     uint8_t ecn, uint64_t now_us);
/** Open packets that came before their keys. */
void conn_in_early(struct connection *c, uint64_t now_us);

/* conn_frames.c */
/** @return 0, CONN_DROP, or a transport error code (the connection is to be closed with it) */
enum { CONN_DROP = -1 };
int conn_frames_process(struct connection *c, enum packet_type type, const uint8_t *payload,
                        size_t len, struct candidate *from, bool *eliciting, uint64_t *frame_type,
                        uint64_t now_us);

/* conn_handshake.c */
int conn_handshake_open_client(struct connection *c);
int conn_handshake_open_server(struct connection *c, const struct connection_accept *accept);
void conn_handshake_free(struct connection *c);
/** A client's candidate for a server's SCID: found or made, in place of the oldest if there are too
 *  many. NULL: no memory. */
struct candidate *conn_handshake_candidate(struct connection *c, const struct cid *scid);
void conn_handshake_drop(struct connection *c, struct candidate *candidate);
/** Whether anybody has answered a client's first message. */
bool conn_handshake_is_answered(const struct connection *c);
/** CRYPTO bytes. @return 0, CONN_DROP or a transport error code */
int conn_handshake_crypto(struct connection *c, struct candidate *from, enum handshake_level level,
                          const struct frame_crypto *f, uint64_t now_us);
void conn_handshake_retry(struct connection *c, const uint8_t *packet,
                          const struct packet_header *header, uint64_t now_us);
void conn_handshake_confirm(struct connection *c, uint64_t now_us);
/** Derive both directions' Initial keys. */
void conn_handshake_initial_keys(const struct cid *dcid, bool client, struct protect_keys *read,
                                 struct protect_keys *write);
void conn_handshake_discard_initial(struct connection *c, uint64_t now_us);

/* conn_out.c */
/** Fill out with one datagram, or a run of equal ones. @return bytes, 0: nothing to send now */
size_t conn_out_datagrams(struct connection *c, uint8_t *data, size_t cap, size_t *segment,
                          uint64_t now_us);
/** The client's address is not proven: say whether its budget stops us. After every datagram, even
 *  one of which nothing opened: a PTO that is past then fires at once (RFC 9002 6.2.2.1). */
void conn_out_check_blocked(struct connection *c);
/** Whether conn_out_datagrams might give something, timers apart. */
bool conn_out_wants(const struct connection *c, uint64_t now_us);

/* conn_loss.c */
void conn_loss_on_packet(void *context, enum loss_space_name space, uint64_t number,
                         const struct sent *sent, const struct sent_packet *packet,
                         enum loss_fate fate);
/** Queue a packet's frames again. */
void conn_loss_requeue(struct connection *c, enum loss_space_name space, const struct sent *sent,
                       const struct sent_packet *packet);
/** An ACK frame. @return 0 or a transport error code */
int conn_loss_on_ack(struct connection *c, enum loss_space_name space, const struct frame_ack *ack,
                     uint64_t now_us);
/** Window or round trip changed: tell the pacer. */
void conn_loss_repace(struct connection *c, uint64_t now_us);

/* conn_timers.c */
uint64_t conn_timers_deadline(const struct connection *c);
void conn_timers_on_deadline(struct connection *c, uint64_t now_us);
void conn_timers_received(struct connection *c, uint64_t now_us);

/* conn_close.c */
void conn_close_application(struct connection *c, uint32_t reason, const char *text,
                            size_t text_len, uint64_t now_us);
void conn_close_transport(struct connection *c, uint64_t code, uint64_t frame_type,
                          const char *text, uint64_t now_us);
/** The peer closed. */
void conn_close_on_frame(struct connection *c, enum packet_type type, const struct frame_close *f,
                         uint64_t now_us);
/** End without a word on the wire. */
void conn_close_silent(struct connection *c, enum conn_end_by by, int error, uint32_t reason,
                       const char *text, uint64_t now_us);
/** Write the closing datagram. @return bytes */
size_t conn_close_write(struct connection *c, uint8_t *data, size_t cap, uint64_t now_us);
/** A packet came while closing: maybe answer. */
void conn_close_received(struct connection *c);

/* conn_ids.c */
/** Tell the peer (again) that an id of its is not used any more. */
void conn_ids_retire(struct connection *c, uint64_t sequence);
int conn_ids_on_new(struct connection *c, const struct frame_new_connection_id *f);
int conn_ids_on_retire(struct connection *c, uint64_t sequence);
/** Whether these are a stateless reset token of a connection id that we use. Constant time per id.
 */
bool conn_ids_is_reset(const struct connection *c, const uint8_t *last16);
/** The peer's reset token for the id in use, or NULL. */
const uint8_t *conn_ids_reset_token(const struct connection *c);
#endif
