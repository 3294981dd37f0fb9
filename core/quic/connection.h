/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_CONNECTION_H
#define WEIR_QUIC_CONNECTION_H
#include "base/heap.h"
#include "crypto/protect.h"
#include "quic/ack.h"
#include "quic/congestion.h"
#include "quic/ecn.h"
#include "quic/endpoint.h"
#include "quic/frame.h"
#include "quic/handshake.h"
#include "quic/key_phase.h"
#include "quic/loss.h"
#include "quic/packet.h"
#include "quic/params.h"
#include "quic/path.h"
#include "quic/token.h"
#include "transport/lane.h"
#include "transport/stream.h"

/* One connection of the UDP transport, cut by concern:
 *
 *     connection.c       make, free, getters          conn_in.c       packets in
 *     conn_handshake.c   levels, candidates, keys     conn_frames.c   what frames mean
 *     conn_out.c         what leaves, and when        conn_loss.c     what became of packets
 *     conn_build.c       one packet                   conn_put.c      frames into a packet
 *     conn_timers.c      when to do what              conn_close.c    how it ends
 *     conn_ids.c         connection ids               conn_path.c     from one path to another
 *     conn_probe.c       what the path carries        endpoint.c      many connections on one node
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
    QUIC_REMOTE_CIDS_MAX = 4,  /**< slots; the limit is LIMIT_CONNECTION_IDS */
    QUIC_LOCAL_CIDS_MAX = 4,
    CONN_MIN_ACK_DELAY_US = 1000, /**< we acknowledge no more often when the peer asks for more */
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
    uint8_t first[HANDSHAKE_FIRST_LEN]; /**< client: what it has from this server at Initial */
    bool has_first;            /**< all of first came in one frame */
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
    uint8_t suite;             /**< enum aead_suite of 1-RTT packets, once agreed */
    bool has_initial, has_retry;
};

/** One of our ids, in the endpoint's map. */
struct local_cid {
    struct connection *owner;
    uint64_t sequence;
    uint8_t bytes[CID_LOCAL_LEN];
    bool used;
    bool to_tell;              /**< NEW_CONNECTION_ID is to be sent (again) */
    bool told;                 /**< it was sent once: the peer may retire it */
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
    bool confirmed;
    bool has_read, has_write;  /**< 1-RTT keys */
    bool done_pending;         /**< HANDSHAKE_DONE is to be sent (again) */
    bool ping_pending;
    bool has_challenge;        /**< a PATH_CHALLENGE stood in the packet that is being processed */
    bool has_asked;            /**< we sent a PATH_CHALLENGE once */
    bool ids_to_tell;          /**< one of local_cids has to_tell */
    uint8_t challenge[PATH_CHALLENGE_LEN];
    bool eliciting_since_receive; /**< the idle timer restarts at the first eliciting packet after a
                                   *   receive */
    bool blocked_amplification;
    bool rested;               /**< idle memory was given back */
    uint8_t probes[3];         /**< PTO probes to send per space */
    uint64_t probe_from[3];    /**< number from which the next probe looks for what to repeat */

    struct cid local_cid;      /**< our first: SCID of the handshake */
    struct cid remote_cid;     /**< the peer's that is in use */
    struct local_cid local_cids[QUIC_LOCAL_CIDS_MAX];
    uint64_t local_next;       /**< sequence of the next id of ours */
    uint64_t peer_id_limit;    /**< how many the peer keeps */
    struct remote_cid remote_cids[QUIC_REMOTE_CIDS_MAX];
    uint64_t retire_below;
    uint64_t remote_next;      /**< one above the highest sequence of the peer that came */
    uint64_t remote_seen;      /**< bit i: remote_next - 1 - i came */
    uint64_t retire_queue[2 * QUIC_REMOTE_CIDS_MAX];
    uint8_t retire_count;

    struct path path;          /**< in use */
    struct path_memory *fallback; /**< the one before, until this one has answered; or NULL */
    struct path *probe;        /**< a place from which only probing frames came; or NULL */
    uint64_t moves;
    const struct datagram_in *in; /**< that is being processed, or NULL */
    size_t in_bytes;           /**< its length */
    uint64_t in_id;            /**< sequence of our id that it came to */
    uint8_t in_phase;          /**< enum key_phase_which of the packet that is being processed */
    bool probing_only;         /**< it has held nothing but probing frames so far */
    uint32_t datagram_bytes;   /**< pmtu_bytes */
    uint64_t peer_datagram_max; /**< its max_udp_payload_size; 0: not known yet */
    struct peer_id expected;   /**< dialled; len 0: anybody */
    struct peer_id peer;
    char *network;             /**< the peer's network name, or NULL for none */
    uint8_t network_len;

    struct conn_handshake *hs; /**< NULL once confirmed */
    struct key_phase keys;     /**< 1-RTT */
    struct ack_state acks[2];  /**< Initial (server) or adopted Handshake: [0] Initial, [1]
                                *   Handshake */
    struct ack_state ack_app;
    uint64_t largest[3];       /**< largest packet number received per space; PACKET_NUMBER_NONE */
    struct rtt rtt;
    struct congestion congestion;
    struct pacer pacer;
    struct pmtu pmtu;
    struct ecn ecn;
    struct loss loss;
    struct frame_ack_frequency frequency; /**< asked of the peer last; sequence: of the next
                                               frame */
    uint64_t peer_min_ack_us;  /**< PARAMS_ABSENT: the peer takes no ACK_FREQUENCY */
    uint64_t datagram_frame_max; /**< the peer's; 0: it takes no DATAGRAM frames */
    uint64_t key_updates;
    bool frequency_pending, frequency_asked;
    bool resized;              /**< the path MTU changed while packets were settled */
    uint8_t peer_ack_exponent;
    uint64_t peer_idle_us;
    uint64_t max_data;         /**< the largest MAX_DATA of the packet that is being processed */

    uint64_t now_us;           /**< of the input that is being processed, for callbacks */
    uint64_t opened_us, received_us, idle_base_us, pace_us, close_us, eliciting_us;
    uint64_t unanswered_us;    /**< since when ack-eliciting packets are in flight and none of them
                                    was acknowledged; counts while some are */
    uint64_t stalled_us;       /**< when to try again: no memory or budget for the record of a
                                *   packet; 0: not stalled */
    uint64_t bytes_in, bytes_out, packets_in, packets_out;

    /* closing */
    uint64_t close_numbers[3]; /**< next packet number per space: the loss records are gone */
    uint64_t close_code;       /**< on the wire */
    uint64_t close_frame_type;
    bool close_application, close_send;
    uint8_t close_text_len;
    char *close_text;          /**< close_text_len bytes, or NULL */
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
/** Congestion control, pacer, path MTU and ECN of a path of which nothing is known. */
void connection_capacity_init(struct connection *c, uint64_t now_us);

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
/** Fill out with one datagram, or a run of equal ones. @return false: nothing to send now */
bool conn_out_datagrams(struct connection *c, struct datagram_out *out, uint64_t now_us);
/** The client's address is not proven: say whether its budget stops us. After every datagram, even
 *  one of which nothing opened: a PTO that is past then fires at once (RFC 9002 6.2.2.1). */
void conn_out_check_blocked(struct connection *c);
/** Whether conn_out_datagrams might give something, timers apart. */
bool conn_out_wants(struct connection *c, uint64_t now_us);

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
/** Our first id. @return false without memory */
bool conn_ids_open(struct connection *c);
/** Take all ids of ours out of the endpoint's map. */
void conn_ids_close(struct connection *c);
/** Give the peer as many ids as it keeps. */
void conn_ids_supply(struct connection *c);
/** The next id that the peer is to be told; NULL: none. */
struct local_cid *conn_ids_next_told(struct connection *c);
/** The packet that told it is lost. */
void conn_ids_untold(struct connection *c, uint64_t sequence);
/** Tell the peer (again) that an id of its is not used any more. */
void conn_ids_retire(struct connection *c, uint64_t sequence);
int conn_ids_on_new(struct connection *c, const struct frame_new_connection_id *f);
int conn_ids_on_retire(struct connection *c, uint64_t sequence);
/** An id of the peer that no path uses; if there is none, the one of the path in use. */
uint64_t conn_ids_fresh(const struct connection *c);
/** Send to this id of the peer from now on. */
void conn_ids_use(struct connection *c, uint64_t sequence);
const struct cid *conn_ids_of_path(struct connection *c, const struct path *p);
/** No path uses it any more: give it back. */
void conn_ids_leave(struct connection *c, uint64_t sequence);
/** Whether these are a stateless reset token of a connection id that we use. Constant time per id.
 */
bool conn_ids_is_reset(const struct connection *c, const uint8_t *last16);
/** The peer's reset token for the id in use, or NULL. */
const uint8_t *conn_ids_reset_token(const struct connection *c);

/* conn_path.c */
/** A datagram arrived, nothing of it is known yet: sets in, in_bytes, and what the address may be
 *  sent. in_id is the caller's. */
void conn_path_arrived(struct connection *c, const struct datagram_in *in, size_t len);
void conn_path_on_challenge(struct connection *c, const uint8_t data[PATH_CHALLENGE_LEN]);
/** @return 0 or a transport error code */
int conn_path_on_response(struct connection *c, const uint8_t data[PATH_CHALLENGE_LEN]);
/** An authenticated 1-RTT packet was processed: answer a challenge, follow the peer.
 *  @param is_newest     it has the highest number so far
 *  @param probing_only  RFC 9000 9.1: it held nothing but probing frames */
void conn_path_after_packet(struct connection *c, bool is_newest, bool probing_only);
/** The challenge left. @param is_small its datagram had less than 1200 bytes */
void conn_path_asked(struct connection *c, struct path *p, const uint8_t data[PATH_CHALLENGE_LEN],
                     bool is_small);
/** A path beside the one in use to which something is to be sent; NULL: none. */
struct path *conn_path_aside(struct connection *c);
uint64_t conn_path_deadline(const struct connection *c);
void conn_path_on_deadline(struct connection *c);
void conn_path_network_changed(struct connection *c);
/** The probing place has its answer: forget it, and give its id back. */
void conn_path_forget_probe(struct connection *c);
/** Several probe timeouts in a row. */
void conn_path_unheard(struct connection *c);
void conn_path_free(struct connection *c);

/* conn_probe.c */
/** What a datagram may hold changed, or may have: tell congestion control, lose what no longer
 *  fits. */
void conn_path_resized(struct connection *c);
/** Whether a probe of the path MTU is due. @return its size, 0: none */
uint32_t conn_probe_bytes(struct connection *c, uint64_t now_us);
/** A packet's fate concerns path MTU and ECN. */
void conn_probe_on_packet(struct connection *c, uint64_t number, const struct sent_packet *packet,
                          enum loss_fate fate);
void conn_probe_on_pto(struct connection *c, uint64_t now_us);
/** An ACK frame of the Application space was taken. */
void conn_probe_on_ack(struct connection *c, const struct frame_ack *ack, bool raised,
                       uint64_t now_us);
#endif
