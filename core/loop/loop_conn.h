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
    LOOP_RESTING, /**< nothing to do; or ended, out of the table, and node's conn_free is to come */
    LOOP_LISTS
};
enum loop_flag {
    LOOP_OPEN = 1,       /**< OPEN is to be sent */
    LOOP_ACCEPT = 2,     /**< ACCEPT is */
    LOOP_READY = 4,      /**< READY is */
    LOOP_END = 8,        /**< CLOSE is, and that is the end of the record */
    LOOP_REFUSES = 16,   /**< it is REFUSE instead, since ACCEPT never left */
    LOOP_WAITS = 32,     /**< closed while dialling: the answer's sender is to be told */
    LOOP_FREED = 64,     /**< node is done with it */
    LOOP_LISTED = 128,   /**< in the table */
    LOOP_EXPECTS = 256,  /**< peer_key is whom we dialled */
    LOOP_KNOWN = 512,    /**< peer_key is who it is */
    LOOP_HAS_RTT = 1024, /**< time_us is the round trip */
    LOOP_DIFFERS = 2048  /**< what the peer says of itself is in loop.facts */
};

/** What a peer grants and is called. Kept when that is not what we grant and are called ourselves:
 *  the nodes of a world mostly share one setting. */
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
    uint64_t time_us;     /**< of OPEN or ACCEPT; once answered, the round trip */
    uint8_t peer_key[32]; /**< Ed25519: see LOOP_KNOWN and LOOP_EXPECTS */
};
_Static_assert(sizeof(struct loop_conn) <= 152, "a world has very many of them");

/** An answer to a datagram that belongs to no connection. */
struct loop_answer {
    struct loop_answer *next;
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
    struct map *table;     /**< connections by remote and number; NULL while there are few */
    struct map *facts;     /**< of peers that differ from us; NULL while there was none */
    struct list lists[LOOP_LISTS];
    struct loop_answer *answers; /**< oldest first */
    uint32_t count;              /**< of connections in the table */
    uint32_t number_last;
};

/* loop_table.c */
/** Give it a number and put it into the table. @return false without memory */
bool loop_table_add(struct loop *t, struct loop_conn *c);
void loop_table_remove(struct loop_conn *c);
/** @return the connection in the table, or NULL */
struct loop_conn *loop_table_find(const struct loop *t, uint64_t remote, uint32_t number);
/** Nothing is in it any more. */
void loop_table_free(struct loop *t);
/** Keep what the peer says, charged to the node. @return false without memory or budget */
bool loop_table_keep_facts(struct loop_conn *c, const struct loop_facts *said);
/** @return NULL: as our own */
const struct loop_facts *loop_table_facts(const struct loop_conn *c);
void loop_table_drop_facts(struct loop_conn *c);

/** A connection in the table, charged to the node. @return NULL without memory or budget */
struct loop_conn *loop_conn_make(struct loop *t, enum conn_role role, uint64_t remote,
                                 uint32_t socket);
/** Forget one that node has never heard of. */
void loop_conn_discard(struct loop_conn *c);
/** Put it into the list that fits what is to be done. */
void loop_conn_place(struct loop_conn *c);
/** This is the peer; its id holds a key. */
void loop_conn_know(struct loop_conn *c, const struct peer_id *peer);
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
