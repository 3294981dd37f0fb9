/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LOOP_LOOP_CONN_H
#define WEIR_LOOP_LOOP_CONN_H
#include "base/map.h"
#include "loop/loop.h"
#include "loop/loop_message.h"

/** Where a connection stands. It is in exactly one list at any time. */
enum loop_list {
    LOOP_SENDING,  /**< next_datagram has something to write for it */
    LOOP_DIALLING, /**< waits for the answer to OPEN, oldest first */
    LOOP_ACTIVE,   /**< holds written bytes that the next turn may let go */
    LOOP_RESTING,  /**< nothing to do */
    LOOP_ENDED,    /**< not in the table any more: waits for node's conn_free */
    LOOP_LISTS
};
enum loop_flag {
    LOOP_OPEN = 1,     /**< OPEN is to be sent */
    LOOP_ACCEPT = 2,   /**< ACCEPT is */
    LOOP_READY = 4,    /**< READY is */
    LOOP_END = 8,      /**< CLOSE is, and that is the end of the record */
    LOOP_REFUSES = 16, /**< it is REFUSE instead, since ACCEPT never left */
    LOOP_WAITS = 32,   /**< closed while dialling: the answer's sender is to be told */
    LOOP_FREED = 64,   /**< node is done with it */
    LOOP_LISTED = 128, /**< in the table */
    LOOP_KNOWN = 256,  /**< peer is who it is, not whom we expect */
    LOOP_HAS_RTT = 512 /**< time_us is the round trip */
};

/** What a peer grants and is called, when that is not what we grant and are called ourselves: the
 *  nodes of a world mostly share one setting, and then a connection costs nothing for it. */
struct loop_facts {
    struct streams_grants grants;
    char network[MESSAGE_NETWORK_MAX + 1];
};

/** A connection. Small, because a world has very many. */
struct loop_conn {
    struct transport_conn conn; /**< first */
    uint64_t remote;            /**< the peer's memory endpoint; with number the key in the table */
    uint32_t number;            /**< ours: what the peer writes into `to` */
    uint32_t remote_number;     /**< the peer's; 0: not known yet */
    uint32_t socket;
    uint16_t flags; /**< enum loop_flag */
    uint8_t list;   /**< enum loop_list */
    struct list link;
    struct loop_facts *facts; /**< NULL: as our own */
    uint64_t time_us;         /**< of OPEN or ACCEPT; once answered, the round trip */
    uint64_t bytes_sent, bytes_received;
    struct peer_id peer; /**< until known: whom we expect (len 0: anyone) */
};
_Static_assert(sizeof(struct loop_conn) <= 192, "a world has very many of them");

/** An answer to a datagram that belongs to no connection. */
struct loop_answer {
    struct list link;
    uint64_t remote;
    uint32_t to, from, socket, code;
    uint8_t type; /**< MESSAGE_REFUSE or MESSAGE_CLOSE */
};
/** More answers than this at a time are not given: they cost more than they help. */
enum { LOOP_ANSWERS_MAX = 16 };
/** The longest datagram: long enough that headers do not count, short enough that an urgent stream
 *  does not wait long behind it on a slow link. */
enum { LOOP_DATAGRAM_MAX = 16384 };

struct loop {
    struct transport base; /**< first */
    struct map table;      /**< connections by remote and number */
    struct list lists[LOOP_LISTS];
    struct list answers;
    uint32_t answers_count, number_last;
};

/** A connection in the table, charged to the node. @return NULL without memory or budget */
struct loop_conn *loop_conn_make(struct loop *t, enum conn_role role, uint64_t remote,
                                 uint32_t socket);
/** Forget one that node has never heard of. */
void loop_conn_discard(struct loop_conn *c);
/** Put it into the list that fits what is to be done. */
void loop_conn_place(struct loop_conn *c);
/** The peer is known: streams may be opened. @return 0 or WEIR_E_MEMORY (nothing has changed) */
int loop_conn_up(struct loop_conn *c, const struct message_hello *hello);
/** Make room for streams if there is none. @return 0 or WEIR_E_MEMORY */
int loop_conn_streams(struct loop_conn *c);
/** Tell node that it ended; what the peer is told is the caller's matter. */
void loop_conn_end(struct loop_conn *c, enum conn_end_by by, int error, uint32_t reason,
                   const void *text, size_t text_len, uint64_t now_us);
/** End it because of an error of this side or a fault of the peer, and tell the peer. */
void loop_conn_fail(struct loop_conn *c, enum conn_end_by by, int error, uint32_t reason,
                    const char *text, uint64_t now_us);
/** Nothing is left to do for it: out of the table, and freed if node is done with it. */
void loop_conn_drop(struct loop_conn *c);
/** Free it whatever its state: for the transport's own end. */
void loop_conn_destroy(struct loop_conn *c);

/** transport_ops.on_datagram */
void loop_receive(struct transport *base, const struct datagram_in *in, uint64_t now_us);
/** transport_ops.next_datagram */
bool loop_send(struct transport *base, struct datagram_out *out, uint64_t now_us);
#endif
