/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_PEERS_H
#define WEIR_LUA_PEERS_H
#include "runtime.h"

/* Peers, and how a place reaches them.
 *
 * A peer is a number into one table of the runtime: its id, and at most three addresses that were
 * heard. In Lua it is a light userdata that carries number and generation, so a peer costs a script
 * nothing; one that the table forgot is answered with nil, "forgotten". What refers to a peer for
 * long (views, links, connections) holds it; the rest goes oldest first when the table is full.
 *
 * Dialling is the place's: one dial per peer at a time, whoever asks; failures back off (full
 * jitter, 1 s doubling to 5 min, forgotten after a success); all retries of an instance are paced
 * from one budget (10 at once, refilled by a tenth of the successes and one per 10 s). */

enum { PEERS_LIVE_MAX = 16384, PEER_ADDRESSES_MAX = 3, PEER_NONE = 0 };

struct peer_table *peers_open(void);
void peers_close(struct peer_table *peers);
uint64_t peers_count(const struct peer_table *peers);
/** The number of a peer, 1 or more, made if need be. @return PEER_NONE: no room, no memory */
uint32_t peers_intern(weir_lua *lua, const weir_peer_id *id);
/** Its id; NULL: forgotten. */
const weir_peer_id *peers_id(const weir_lua *lua, uint32_t peer);
void peers_hold(weir_lua *lua, uint32_t peer);
void peers_release(weir_lua *lua, uint32_t peer);
/** Remember an address that `from` told of it. Bounded; bad ones are dropped. */
void peers_heard(weir_lua *lua, uint32_t peer, const char *address, size_t len, uint32_t from);
/** Tell the place's book what was heard of it, before a dial. */
void peers_hear(struct place *place, uint32_t peer);

/* In Lua. */
void peers_push(lua_State *L, weir_lua *lua, uint32_t peer); /**< PEER_NONE: nil */
/** The peer at an index; PEER_NONE if it is none, or was forgotten. */
uint32_t peers_get(lua_State *L, int index);
/** Raises "peer expected, got ...". PEER_NONE: it is one that was forgotten; all that takes a peer
 *  here takes PEER_NONE too, as one that nobody can reach. */
uint32_t peers_check(lua_State *L, int index);
/** The callbacks with which cbor.c lets peers in (as heard from `from`) and out. */
struct cbor_peers;
struct peer_wire {
    struct place *place;
    uint32_t from;
};
void peers_wire(struct peer_wire *wire, struct cbor_peers *out);

/* Of a place. */
int place_peers_open(struct place *place);
void place_peers_close(struct place *place);
/** The connection to use; 0: none is up. */
uint64_t place_connection(struct place *place, uint32_t peer);
/** Who is at the other end of a connection. PEER_NONE: unknown */
uint32_t place_peer_of(struct place *place, uint64_t connection);
/** Events of connections (those without a tag): CONNECTED, CONNECTION_CLOSED, PEER_UP, PEER_DOWN,
 *  SENDABLE, OPENABLE, MOVED. Also told to the links of games and to who waits for room. */
void place_on_event(struct place *place, const weir_event *event);
/** Somebody waits for a connection to a peer, or for room on one. Zero it, set on_answer. */
struct dial_wait {
    struct list link;
    /** error 0: connection is up; else why not, with a sentence */
    void (*on_answer)(struct dial_wait *w, uint64_t connection, int32_t error, const char *text);
};
/** Dial a peer through the book and what was heard of it. Answers at once when it is connected.
 *  @param is_explicit  somebody asked by name: no backoff */
void place_dial(struct place *place, uint32_t peer, bool is_explicit, struct dial_wait *w);
/** Dial an address. on_answer also when it is an error at once. */
void place_dial_address(struct place *place, const char *address, struct dial_wait *w);
/** Wait for SENDABLE or OPENABLE on a connection; error when it ends. */
void place_wait_room(struct place *place, uint64_t connection, struct dial_wait *w);
void dial_wait_cancel(struct dial_wait *w);
/** For C functions of Lua: wait in the task that runs until a peer (PEER_NONE: an address) is
 *  connected; then k is called, with a context that dial_result takes the outcome from. Raises when
 *  the task may not wait here. The last thing that a function does. */
int dial_in_task(lua_State *L, struct place *place, uint32_t peer, const char *address,
                 bool is_explicit, lua_KFunction k);
struct dial_result {
    uint64_t connection;       /**< 0: it failed */
    int32_t error;
    char text[200];
};
void dial_result(lua_KContext context, struct dial_result *out);
/** Leave nil, sentence, name. @return 3 */
int dial_fail(lua_State *L, const struct dial_result *result);

/* What games know of peers. Scores: one per peer and script, halved every half-life of the
 * declaration (default 10 min). */
int64_t peer_score(struct instance *in, uint32_t peer);
void peer_add_score(struct instance *in, uint32_t peer, int64_t amount);
/** Whether some name protects it. */
bool peer_is_protected(struct instance *in, uint32_t peer);
/** Whether the quota of the name had room. @param on  false: no longer; always true */
bool peer_protect(struct instance *in, uint32_t peer, const char *name, bool on);
/** Forget all of it, when the instance ends. */
void peer_scores_end(struct instance *in);
/** The smoothed round trip; 0: not measured. */
uint64_t peer_rtt(struct instance *in, uint32_t peer);

/* Retries: one budget per instance, tries.c. */
enum { RETRIES_BURST = 10 };
/** Take one, if there is one. @return 0: taken; else microseconds until there is one */
uint64_t retry_take(struct instance *in);
/** A tenth back: somebody answered. */
void retry_success(struct instance *in);
/** How long to wait before try n (from 0): full jitter, 250 ms doubling to 30 s; 0 for the first.
 * */
uint64_t retry_jitter(struct instance *in, uint32_t n);
/** For C functions of Lua: wait in the task that runs, at least 1 ms, then k. */
int retry_sleep(lua_State *L, uint64_t wait_us, lua_KContext context, lua_KFunction k);

/* Links: a game on both sides holds the connection. link.c. A link is told to the other side by a
 * message of the runtime's own, so it costs no stream; the end of the connection ends it. */
/** Begin or keep a link. @return false: no connection */
bool link_up(struct instance *in, uint32_t peer);
/** Give it up; the other side's `down` says "dropped". */
void link_drop(struct instance *in, uint32_t peer);
bool link_is_up(struct instance *in, uint32_t peer);
/** The peer's runtime told: 1 up, 0 dropped. From server.c, which also sends it: server_tell_link.
 * */
void link_on_told(struct instance *in, uint32_t peer, bool is_up, uint64_t sequence);
/** The last connection to the peer ended, or another took its place, for the place's games. */
void link_on_peer_down(struct place *place, uint32_t peer, uint32_t reason);
void link_on_peer_moved(struct place *place, uint32_t peer);
/** Links that are up or under decision. */
uint32_t links_count(const struct instance *in);
void links_end(struct instance *in);
#endif
