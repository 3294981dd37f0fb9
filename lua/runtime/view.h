/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_VIEW_H
#define WEIR_LUA_VIEW_H
#include "entry.h"
#include "peers.h"

/* Views: bounded sets of peers, in C, so that a peer in a view costs 24 bytes and no Lua memory.
 * view.c holds the sets, view_words.c what scripts see of them, refill.c their workers. */

enum { VIEW_CAP_MAX = 4096 };

struct view_peer {
    uint32_t peer;
    uint32_t source;           /**< who told of it; PEER_NONE: nobody had to */
    uint64_t since_us;
};
struct refill;
struct view {
    struct instance *in;
    struct view_peer *list;    /**< in the order of their coming */
    uint32_t count, capacity, cap, per_source;
    bool is_linked;
    int object;                /**< registry reference: what self.NAME is; or LUA_NOREF */
    struct refill *refill;     /**< its worker; NULL: none */
};
/** In Lua: a full userdata of the class "view". */
struct view_object {
    struct view *view;         /**< NULL: its instance ended */
};

/** The place of a peer in the list; count: it is not in. */
uint32_t view_find(const struct view *v, uint32_t peer);
static inline bool view_has(const struct view *v, uint32_t peer)
{
    return view_find(v, peer) < v->count;
}
/** Put it last. Links are the caller's. It is not in, it is not this node, and there is room.
 *  @return false without memory */
bool view_append(struct view *v, uint32_t peer, uint32_t source);
/** Take it out; the link of a linked view goes with it, unless another one needs it.
 *  @return false: it was not in */
bool view_remove(struct view *v, uint32_t peer);
/** Who steps down by a rule: VIEW_RANDOM ... PEER_NONE: all are protected */
enum view_rule { VIEW_RANDOM, VIEW_OLDEST, VIEW_WORST };
uint32_t view_victim(struct view *v, enum view_rule rule);
/** Heard of, through `via` (PEER_NONE: by itself). @return whether it came in */
bool view_offer(struct view *v, uint32_t peer, uint32_t via);
/** By what a peer is better than another. */
enum view_rank { RANK_RANDOM, RANK_RTT, RANK_SCORE, RANK_OLDEST };
/** Whether a comes before b, by rank (RTT or SCORE). */
bool view_is_better(struct instance *in, enum view_rank rank, uint32_t a, uint32_t b);
/** Count numbers below n, all different, at random, into the front of `numbers`, which has n. */
void view_shuffle(struct instance *in, uint32_t *numbers, uint32_t n, uint32_t count);

/** The view at an index. Raises when it is none, or its instance ended. */
struct view *view_check(lua_State *L, int index);
/** The view at an index, or NULL. */
struct view *view_test(lua_State *L, int index);
/** Push what self.NAME is. */
void view_push(lua_State *L, struct view *v);
/** The methods, for words_view. */
void view_words(lua_State *L);
void map_words(lua_State *L);
int view_refill(lua_State *L);
int tries_word(lua_State *L);
/** Its view ends. */
void refill_end(struct view *v);

/* Of an instance. */
/** The first linked view with room, or the first one; NULL: it has none. */
struct view *views_linked(struct instance *in, bool *has_room);
/** Out of every linked view, without a word to the other side: the link is gone. */
void views_forget(struct instance *in, uint32_t peer);
/** Whether a linked view has it. */
bool views_have(const struct instance *in, uint32_t peer);
/** The cap of the largest linked view, or, without one, of the largest. */
uint32_t views_cap(const struct instance *in);
/** For tests: the peers of a view by its name, in order. @return how many; -1: no such view */
int32_t view_peers(const struct instance *in, const char *name, uint32_t *peers, uint32_t cap);
#endif
