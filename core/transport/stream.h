/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TRANSPORT_STREAM_H
#define WEIR_TRANSPORT_STREAM_H
#include "base/map.h"
#include "transport/datagram_queue.h"
#include "transport/lane.h"
#include "transport/sched.h"
#include "transport/transport.h"

/* The streams of one connection: ids, limits, credit, urgency, and the calls that node makes. The
 * same on every transport. Ids are RFC 9000's (section 2.1): bit 0 the opener's role, bit 1
 * one-way. */

enum stream_change {
    STREAM_WROTE = 1,          /**< bytes, or a FIN, were appended */
    STREAM_CONSUMED = 2,       /**< bytes were consumed: credit may be due */
    STREAM_RESET_SENT = 4,
    STREAM_STOP_SENT = 8,
    STREAM_URGENCY = 16,
    STREAM_OPENED = 32
};
enum stream_pending {
    STREAM_PENDING_OPENED = 1, /**< the peer opened it */
    STREAM_PENDING_READABLE = 2,
    STREAM_PENDING_WRITABLE = 4,
    STREAM_PENDING_RESET = 8,
    STREAM_PENDING_STOPPED = 16,
    STREAM_PENDING_OVER = 32,  /**< both lanes are over: node tells the application and
                                    then calls streams_remove */
    STREAM_PENDING_DATAGRAM = 64 /**< a datagram of it waits to be read */
};
/** Why a writer waits: kept from the first moment, shown by weir_stream_info. */
enum blocked_why {
    BLOCKED_NOT,
    BLOCKED_STREAM_CREDIT,
    BLOCKED_CONNECTION_CREDIT,
    BLOCKED_BUDGET,
    BLOCKED_SEND_LIMIT
};
enum blocked_on { BLOCKED_ON_NOBODY, BLOCKED_ON_PEER, BLOCKED_ON_US };
struct blocked {
    uint8_t why, on;
    bool whole;                /**< stream_await: less than wanted is not worth telling */
    uint32_t wanted;           /**< bytes that the write could not place */
    uint64_t since_us;
};

struct stream {
    uint64_t id;
    struct transport_conn *conn;
    struct list ready_link;    /**< in the scheduler */
    struct list dirty_link;    /**< in streams->dirty */
    struct list touched_link;  /**< in streams->touched: it has bytes that are not released */
    struct list blocked_link;  /**< in streams->blocked: its writer waits */
    struct send_lane out;
    struct receive_lane in;
    struct blocked blocked;
    struct limit_record refusal; /**< which budget, when blocked.why is BLOCKED_BUDGET */
    uint8_t urgency;           /**< 0 first to 7 */
    bool has_out, has_in, is_local;
    uint8_t pending;           /**< enum stream_pending */
    bool told_readable;        /**< the application was told and has not acted since */
    bool is_opened;            /**< known to the peer or announced by it */
    uint8_t node_flags;        /**< node's */
    uint32_t node_protocol;    /**< node's */
    bool tell_acked;           /**< stream_await: the next acknowledgement is to be told */
    uint64_t handle, user;     /**< node's */
    void *node_data;           /**< node's */
};

/** Credit of a whole connection, both ways. Exists from the moment the peer's parameters are
 *  known. */
struct conn_streams {
    struct transport_conn *conn;
    struct map by_id;
    struct stream *last_found; /**< of streams_get; NULL: none */
    struct sched sched;
    struct list dirty;         /**< streams with pending facts for node */
    struct list touched;       /**< streams with unreleased bytes: written since the last turn, or
                                    held by MORE */
    struct list blocked;       /**< streams whose writer waits, longest first */
    struct list starved_link;  /**< in transport->starved: a writer waits for a budget */
    uint64_t starved_room;     /**< the least room that did not help one of those writers */
    struct budget budget;      /**< the connection's, child of the node's */
    uint64_t send_window; /**< the peer's first MAX_DATA: what the reserve is a part of */
    uint64_t send_credit, send_used;       /**< the peer's MAX_DATA; bytes taken for it */
    uint64_t receive_limit, receive_used;  /**< our MAX_DATA; sum of highest offsets */
    uint64_t receive_consumed, receive_window, grant_time_us;
    uint64_t stream_window;    /**< the largest that a stream of this connection has grown to */
    /** the peer's first limits: for streams that we open bidi, that it opens, that we open uni */
    uint64_t stream_credit_bidi_local, stream_credit_bidi_remote, stream_credit_uni;
    uint64_t next_local[2];    /**< ordinal of the next stream that we open, [bidi, uni] */
    uint64_t next_remote[2];   /**< lowest ordinal that the peer has not opened */
    uint64_t open_max[2];      /**< how many we may open in all (the peer's MAX_STREAMS) */
    uint64_t accept_max[2];    /**< how many it may open in all (ours) */
    uint64_t accept_over[2];   /**< streams of the peer that are over: the limit slides with them */
    uint32_t count, local_count; /**< streams; those of them that we opened */
    struct datagram_queue datagrams_out, datagrams_in; /**< RFC 9221 */
    bool datagrams_last;       /**< the last packet with a choice took datagrams: now the streams */
    bool grow_off;             /**< windows stay at their first size */
    bool credit_pending, accept_pending[2]; /**< limits to be told (again) */
    bool open_blocked[2];      /**< an open failed for want of room */
    bool paces_cancels;        /**< the next four are in use */
    uint32_t cancel_tokens;    /**< streams that the peer may reset before their places wait */
    uint32_t cancels_held[2];  /**< places that wait */
    uint64_t cancel_us;        /**< up to when tokens were counted */
};

/** What is charged for a stream beside its buffers: its record and its share of the table, which is
 *  between an eighth and three quarters full. The table of a connection costs its own size. */
enum { STREAM_COST_BYTES = sizeof(struct stream) + 4 * sizeof(struct map_slot) };
/** Records must leave room for the bytes of their streams, or two sides that opened many would wait
 *  for each other for ever: of what a peer may hold, its streams of each kind have an eighth, and
 *  ours to it three eighths. Bytes to send end at LANE_RECEIVE_SHARE, so each gets its part. */
enum { STREAM_SHARES = 8, STREAM_SHARES_REMOTE = 1, STREAM_SHARES_LOCAL = 3 };
/** How many streams of a kind we let the peer have open: the limit, or fewer in little memory. */
uint64_t streams_count_max(const struct limits *limits, bool one_way);

/** What each side grants at the start; from transport parameters, or from a transport's own
 *  limits. */
struct streams_grants {
    /** local: streams that the granter opens */
    uint64_t connection_bytes, bidi_local_bytes, bidi_remote_bytes, uni_bytes;
    uint64_t bidi_count, uni_count;
};
/** Our own grants from the limits. */
void streams_own_grants(const struct limits *limits, struct streams_grants *out);
/** Make conn->streams. @return 0, WEIR_E_BUDGET or WEIR_E_MEMORY */
int streams_open(struct transport_conn *c, const struct streams_grants *own,
                 const struct streams_grants *peer);
/** A stream that the peer opened and reset gives its place back at a limited rate from now on
 *  (limits.def, STREAM_CANCELS): reset at once, streams would cost their opener nothing. The
 *  transport then asks streams_deadline and calls streams_on_time. */
void streams_pace_cancels(struct transport_conn *c, uint64_t now_us);
/** When places that wait are due; UINT64_MAX: none waits. */
uint64_t streams_deadline(const struct transport_conn *c);
/** Count tokens; give back what waited. */
void streams_on_time(struct transport_conn *c, uint64_t now_us);
/** Free every stream and the table, refund everything. */
void streams_free(struct transport_conn *c);
/** The connection ended: every stream drops its buffers and becomes over (lanes that were not
 *  finished end as reset). */
void streams_end(struct transport_conn *c);

/* For node. */
/** @return the stream, or NULL with *error: WEIR_E_LIMIT (the peer's stream limit), WEIR_E_BUDGET,
 *  WEIR_E_MEMORY */
struct stream *streams_open_local(struct transport_conn *c, bool one_way, uint8_t urgency,
                                  int *error);
/** Take bytes. One that is not taken whole is answered later by STREAM_PENDING_WRITABLE, once.
 *  @return bytes taken (0: blocked, recorded), or WEIR_E_* */
int64_t stream_write(struct stream *s, const void *data, size_t len, bool more, bool fin,
                     uint64_t now_us);
/** Connection credit that a lane may take which holds so many bytes; 0 held: a new one. */
uint64_t streams_connection_room(const struct conn_streams *st, uint64_t held);
/** For who writes whole things or nothing, and keeps what is queued short: wait, without writing,
 *  until len bytes can be taken at once or, if they can be now, for the next acknowledgement. Then
 *  STREAM_PENDING_WRITABLE, once; a later write ends the first kind of wait. */
void stream_await(struct stream *s, size_t len, uint64_t now_us);
/** contiguous view; 0 blocked; WEIR_E_END, WEIR_E_RESET */
int64_t stream_peek(struct stream *s, const uint8_t **data);
int64_t stream_consume(struct stream *s, uint64_t n, uint64_t now_us);
int64_t stream_read(struct stream *s, void *out, size_t cap, uint64_t now_us);
int stream_reset(struct stream *s, uint32_t code, uint64_t now_us);
int stream_stop(struct stream *s, uint32_t code, uint64_t now_us);
int stream_set_urgency(struct stream *s, uint8_t urgency, uint64_t now_us);
/** Let held (MORE) bytes go. */
void stream_release(struct stream *s, uint64_t now_us);
/** Bytes that a write could take now. */
uint64_t stream_writable(const struct stream *s);
/** Queue an unreliable datagram: it arrives once or never, whole.
 *  @param limit  filled on WEIR_E_LIMIT
 *  @return 0; WEIR_E_LIMIT so many wait already; WEIR_E_ARGUMENT longer than datagram_max says;
 *          WEIR_E_UNSUPPORTED the peer takes none; WEIR_E_NOT_CONNECTED, also when the stream's
 *          outgoing lane was reset; WEIR_E_BUDGET, WEIR_E_MEMORY */
int stream_datagram_send(struct stream *s, const void *data, size_t len, uint64_t now_us,
                         struct limit_record *limit);
/** Take the oldest datagram of this stream.
 *  @return its length (0 is a length); WEIR_E_NOT_FOUND none waits; WEIR_E_SPACE it is longer than
 *          cap and stays */
int64_t stream_datagram_read(struct stream *s, void *out, size_t cap);
/** How many of this stream wait to be read. */
uint64_t stream_datagrams_waiting(const struct stream *s);
/** The next dirty stream, taken off the list. */
struct stream *streams_next_dirty(struct transport_conn *c);
/** Node has told the application that the stream is over. */
void streams_remove(struct stream *s);

/* For transports. */
struct stream *streams_get(const struct transport_conn *c, uint64_t id);
enum streams_lookup {
    STREAMS_FOUND = 0,
    STREAMS_GONE = 1,
    STREAMS_LIMIT_ERROR = 2,
    STREAMS_STATE_ERROR = 3,
    STREAMS_NO_MEMORY = 4
};
/** A frame names a stream: find it, or create it (and all lower ones of its type) if the peer may.
 *  for_receive: the frame carries the peer's lane (STREAM, RESET_STREAM, STREAM_DATA_BLOCKED); else
 *  it is about ours. @return enum streams_lookup */
int streams_on_frame(struct transport_conn *c, uint64_t id, bool for_receive, uint64_t now_us,
                     struct stream **out);
/** enum receive_result */
int streams_on_data(struct stream *s, uint64_t offset, const uint8_t *data, size_t len, bool fin);
/** enum receive_result */
int streams_on_reset(struct stream *s, uint32_t code, uint64_t final_size);
void streams_on_stop(struct stream *s, uint32_t code, uint64_t now_us);
void streams_on_stream_credit(struct stream *s, uint64_t limit, uint64_t now_us);
void streams_on_connection_credit(struct transport_conn *c, uint64_t limit, uint64_t now_us);
void streams_on_count_credit(struct transport_conn *c, bool one_way, uint64_t count);
void streams_on_acked(struct stream *s, uint64_t offset, uint64_t len, bool fin, uint64_t now_us);
void streams_on_lost(struct stream *s, uint64_t offset, uint64_t len, bool fin);
void streams_on_reset_acked(struct stream *s);
/** A datagram for stream id came. Kept for the reader, or dropped and counted. */
void streams_on_datagram(struct transport_conn *c, uint64_t id, const uint8_t *data, size_t len);
/** The next datagram to send, if it is at most max long: the oldest whose stream the peer has been
 *  told of. NULL: none, or it needs an empty packet. */
struct datagram_item *streams_next_datagram(struct transport_conn *c, size_t max);
/** Whether there is one to send, however long. Those of streams that the peer has not been told of
 *  do not count. */
bool streams_has_datagram(const struct transport_conn *c);
/** That one went into a packet: forget it. */
void streams_datagram_sent(struct transport_conn *c, struct datagram_item *item);
/** Whether a grant is due after bytes were consumed: sets credit_pending flags and grows windows
 *  used up within two rtt. */
void streams_update_credit(struct stream *s, uint64_t rtt_us, uint64_t now_us);
/** The application's turn ended: unreleased bytes become released, except where MORE holds them. */
void streams_on_turn(struct transport_conn *c);
void stream_mark(struct stream *s, unsigned pending);
/** Mark it over when both lanes are. */
void stream_check_over(struct stream *s);
/** The receive lane was read to its end: its buffer goes. */
void stream_receive_over(struct stream *s);
/** If its writer waits and there is room now: tell. */
void stream_check_writable(struct stream *s, uint64_t now_us);
/** Nobody waits any more (reset, end). */
void stream_forget_block(struct stream *s, uint64_t now_us);
/** Put the stream where the packet builder finds it, if it has something to send. */
void stream_schedule(struct stream *s);
/** Writers of this connection that wait for what may be there now (credit, budget, room) are
 *  told. */
void streams_recheck(struct transport_conn *c, uint64_t now_us);
/** Free a stream and what belongs to it: for streams_remove alone. */
void streams_forget(struct stream *s);
/** The connection rests: empty lanes give their buffers back. */
void streams_trim(struct transport_conn *c);
/** Whether anything released waits: bytes, FINs, lane resets and stops, limits. */
bool streams_want_send(const struct transport_conn *c);
#endif
