/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_SERVER_H
#define WEIR_LUA_SERVER_H
#include "unread.h"
#include "entry.h"

/* The messages and requests of one script share one name on the wire, "echo/1". The bytes of a
 * message or request are the CBOR array [name, value], with no value for nil; those of an answer
 * are its value, and none for nil; those of an answer in pieces are raw. What an instance serves
 * under its name is its server.
 *
 * At most script->serve handlers wait at once, and script->per_peer of them for one peer: requests
 * beyond that are refused as busy, messages wait unread in the core's queue. */

enum {
    SERVER_HEAD_BYTES = 48,    /**< the array's head and the name: at most 1 + 2 + 39 */
    SERVER_BYTES_MAX = 16 * 1024 - SERVER_HEAD_BYTES, /**< of a message or request */
    SERVER_ANSWER_MAX = 128 * 1024,
    SERVER_SERVE_MAX = 4096,
    SERVER_REASON_REFUSED = 1, /**< the script said refuse */
    SERVER_REASON_UNKNOWN = 2  /**< no request has that name */
};
/** The values of a message's `full`, by their order in message.c. */
enum { MESSAGE_FULL_DROP_NEW, MESSAGE_FULL_DROP_OLD, MESSAGE_FULL_BLOCK };


/** Serve the name of a script that has messages or requests, is a game or has views (whose links
 *  are told by messages), with bounds that fit all entries. @return 0 or WEIR_E_* with *error
 * filled */
int32_t server_begin(struct instance *in, weir_error *error);
void server_end(struct instance *in);
/** A request that is served ... */
struct served {
    struct waiter waiter;      /**< for its events */
    struct list link;          /**< in server->served */
    struct server *server;
    struct entry *entry;
    struct task *task;         /**< its handler; NULL: it ended */
    uint64_t request;          /**< handle */
    struct task *writer;       /**< that waits in out:write or out:copy; NULL: none */
    uint64_t copying;          /**< out:copy: the stream, whose events come here meanwhile ... */
    uint64_t copying_tag;      /**< ... and the tag of whom it belongs to */
    uint64_t sent;             /**< of an answer in pieces */
    uint8_t *answer;           /**< of a whole answer: what was not taken yet */
    uint32_t answer_len, answer_sent;
    uint32_t peer;
    bool is_over;              /**< the asker has no use for an answer any more */
    bool is_answered;          /**< refused, or handed over whole */
};
struct server {
    struct waiter waiter;      /**< for what comes in */
    struct instance *in;
    struct list served;
    struct peer_counts *counts; /**< handlers at once, by peer */
    struct unread *unread;     /**< messages for which there was no handler yet; NULL: never any */
    uint32_t unread_per_peer;  /**< what the core keeps of one peer */
    bool has_links;            /**< messages that tell of links are taken */
    bool is_idle;              /**< the name could not be served */
};

/** Encode [name, value] of the entry, with the value at index, into lua->scratch.
 *  @return the length; -1: its sentence is in error, and *is_long says whether it is too long */
int64_t server_encode(lua_State *L, struct instance *in, struct entry *e, int index, char *error,
                      size_t error_cap, bool *is_long);
/** Decode a value that a peer sent, and push it. Nothing at all is nil.
 *  @return false with a sentence in error, and nothing pushed */
bool server_decode(lua_State *L, struct instance *in, uint32_t from, const uint8_t *data,
                   size_t len, char *error, size_t error_cap);

/** A link begins or ends: sends what link_on_told of the peer's runtime gets.
 *  @return as weir_message_send */
int32_t server_tell_link(struct instance *in, uint64_t connection, bool is_up, uint64_t sequence);

/** A place for a handler, of this peer. @return false: all are taken */
bool server_enter(struct server *s, uint32_t peer);
/** It is free again; messages that waited are taken. */
void server_leave(struct server *s, uint32_t peer);

/* message.c and request.c: what came in. `data` is the encoded value. */
void message_arrived(struct server *s, struct entry *e, uint32_t peer, const uint8_t *data,
                     size_t len);
void request_arrived(struct server *s, struct entry *e, uint32_t peer, uint64_t request,
                     const uint8_t *data, size_t len);
void request_end_all(struct server *s);
#endif
