/* SPDX-License-Identifier: MIT */
/* Views as scripts see them. Loops go over a copy of the numbers and leave out who has gone by
 * then, so a loop may change the view, and may wait. What a call looks at is charged. */
#include "sandbox.h"
#include "view.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum { CALL_INSTRUCTIONS = 4, PEERS_PER_INSTRUCTION = 8, RANK_INSTRUCTIONS = 8, LIST_MAX = 4096 };

struct view *view_test(lua_State *L, int index)
{
    struct view_object *object = luaL_testudata(L, index, "view");

    return object ? object->view : NULL;
}

struct view *view_check(lua_State *L, int index)
{
    struct view_object *object = luaL_checkudata(L, index, "view");

    if (!object->view) luaL_error(L, "the view's script has ended");
    return object->view;
}

/* The view at 1, with the cost of looking through it. */
static struct view *charged(lua_State *L)
{
    struct view *v = view_check(L, 1);

    vm_charge(L, CALL_INSTRUCTIONS + v->count / PEERS_PER_INSTRUCTION);
    return v;
}

static weir_lua *lua_of(const struct view *v)
{
    return v->in->script->lua;
}

/* ---- in and out */

/* 0: no rule */
static int check_rule(lua_State *L, int index)
{
    static const char *const rules[] = {"random", "oldest", "worst", NULL};

    return lua_isnoneornil(L, index) ? 0 : sandbox_option(L, index, NULL, rules) + 1;
}

static int refused(lua_State *L, const char *sentence)
{
    lua_pushboolean(L, 0);
    lua_pushstring(L, sentence);
    return 2;
}

/* The peer at 2 comes in, now that nothing is missing. */
static int add_now(lua_State *L, struct view *v)
{
    uint32_t peer = peers_get(L, 2), victim = PEER_NONE;
    int rule = check_rule(L, 3);

    if (peer == PEER_NONE) return refused(L, "that peer was forgotten");
    if (view_has(v, peer)) {
        if (v->is_linked) link_up(v->in, peer);
        lua_pushboolean(L, 1);
        return 1;
    }
    if (v->count == v->cap) {
        if (rule == 0) return refused(L, "the view is full");
        vm_charge(L, (uint64_t)v->count * RANK_INSTRUCTIONS);
        victim = view_victim(v, (enum view_rule)(rule - 1));
        if (victim == PEER_NONE) return refused(L, "the view is full, and all in it are protected");
        peers_hold(lua_of(v), victim);
        view_remove(v, victim);
    }
    if (!view_append(v, peer, PEER_NONE)) {
        peers_release(lua_of(v), victim);
        return luaL_error(L, "no memory for a view");
    }
    if (v->is_linked) link_up(v->in, peer);
    if (victim == PEER_NONE) {
        lua_pushboolean(L, 1);
        return 1;
    }
    peers_push(L, lua_of(v), victim);
    peers_release(lua_of(v), victim);
    return 1;
}

static int add_connected(lua_State *L, int status, lua_KContext context)
{
    struct dial_result result;
    struct view *v;

    (void)status;
    dial_result(context, &result);
    v = view_check(L, 1);
    if (result.connection == 0) return dial_fail(L, &result);
    retry_success(v->in);
    if (place_connection(v->in->place, peers_get(L, 2)) == 0)
        return task_fail(L, "the connection ended at once", "closed");
    return add_now(L, v);
}

static int view_add(lua_State *L)
{
    struct view *v = charged(L);
    uint32_t peer = peers_check(L, 2);
    int rule = check_rule(L, 3);
    const struct place *place = v->in->place;

    lua_settop(L, 3);
    if (peer == place->me) return refused(L, "a view never has this node itself");
    if (peer == PEER_NONE) return refused(L, "that peer was forgotten");
    if (!v->is_linked || place_connection(v->in->place, peer)) return add_now(L, v);
    if (v->count == v->cap && rule == 0 && !view_has(v, peer))
        return refused(L, "the view is full");
    return dial_in_task(L, v->in->place, peer, NULL, false, add_connected);
}

static int view_offer_word(lua_State *L)
{
    struct view *v = charged(L);
    uint32_t peer = peers_check(L, 2), via = PEER_NONE;

    if (v->is_linked) return luaL_error(L, "what was heard is no link: offer is for other views");
    if (!lua_isnoneornil(L, 3)) {
        via = peers_check(L, 3);
        /* Nobody knows any more whose quota it is. */
        if (via == PEER_NONE) peer = PEER_NONE;
    }
    vm_charge(L, v->count / PEERS_PER_INSTRUCTION);
    lua_pushboolean(L, view_offer(v, peer, via));
    return 1;
}

static int view_remove_word(lua_State *L)
{
    struct view *v = charged(L);

    lua_pushboolean(L, view_remove(v, peers_check(L, 2)));
    return 1;
}

/* ---- looking */

static int view_has_word(lua_State *L)
{
    struct view *v = charged(L);

    lua_pushboolean(L, view_has(v, peers_check(L, 2)));
    return 1;
}

static int view_room(lua_State *L)
{
    struct view *v = view_check(L, 1);

    vm_charge(L, CALL_INSTRUCTIONS);
    lua_pushboolean(L, v->count < v->cap);
    return 1;
}

static int view_length(lua_State *L)
{
    struct view *v = view_check(L, 1);

    vm_charge(L, CALL_INSTRUCTIONS);
    lua_pushinteger(L, (lua_Integer)v->count);
    return 1;
}

/* Whether the value at index, a peer or a list of them, has this one. */
static bool is_among(lua_State *L, int index, uint32_t peer)
{
    bool is = false;
    lua_Integer count;

    if (lua_type(L, index) != LUA_TTABLE) return peers_get(L, index) == peer;
    count = (lua_Integer)lua_rawlen(L, index);
    for (lua_Integer i = 1; i <= count && !is; i++) {
        lua_rawgeti(L, index, i);
        is = peers_get(L, -1) == peer;
        lua_pop(L, 1);
    }
    return is;
}

static void check_but(lua_State *L, int index)
{
    lua_settop(L, index);
    if (lua_isnil(L, index)) return;
    luaL_checktype(L, index, LUA_TTABLE);
    vm_charge_walk(L, index);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        if (lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), "but") != 0)
            luaL_argerror(L, index, "only { but = peer or list } stands here");
    lua_getfield(L, index, "but");
    lua_replace(L, index);
}

static int view_pick(lua_State *L)
{
    struct view *v = charged(L);
    uint32_t chosen = PEER_NONE, count = 0;

    check_but(L, 2);
    if (lua_istable(L, 2)) vm_charge(L, v->count * (uint64_t)lua_rawlen(L, 2));
    /* One pass: the n-th that may be chosen takes the place with one chance in n. */
    for (uint32_t i = 0; i < v->count; i++) {
        uint32_t peer = v->list[i].peer;
        if (!lua_isnil(L, 2) && is_among(L, 2, peer)) continue;
        if (random_below(&v->in->random, ++count) == 0) chosen = peer;
    }
    peers_push(L, lua_of(v), chosen);
    return 1;
}

/* In Lua's memory, so that nothing is lost when a later call raises. */
static uint32_t *new_numbers(lua_State *L, uint32_t count)
{
    return lua_newuserdatauv(L, (count ? count : 1) * sizeof(uint32_t), 0);
}

static int view_sample(lua_State *L)
{
    struct view *v = charged(L);
    lua_Integer want = luaL_checkinteger(L, 2), at;
    uint32_t *numbers, count = v->count;

    lua_settop(L, 3);
    luaL_argcheck(L, want >= 0, 2, "a number of peers");
    if (want > count) want = count;
    if (lua_isnil(L, 3)) {
        lua_createtable(L, (int)want, 0);
        lua_replace(L, 3);
    }
    luaL_checktype(L, 3, LUA_TTABLE);
    at = (lua_Integer)lua_rawlen(L, 3);
    luaL_argcheck(L, at <= LIST_MAX, 3, "a list of at most 4096");
    vm_charge(L, (uint64_t)want * (2 + (uint64_t)at / PEERS_PER_INSTRUCTION));
    numbers = new_numbers(L, count);
    view_shuffle(v->in, numbers, count, count);
    for (uint32_t i = 0; want > 0 && i < count; i++) {
        uint32_t peer = v->list[numbers[i]].peer;
        if (is_among(L, 3, peer)) continue;
        peers_push(L, lua_of(v), peer);
        lua_rawseti(L, 3, ++at);
        want--;
    }
    lua_settop(L, 3);
    return 1;
}

static int view_oldest(lua_State *L)
{
    struct view *v = view_check(L, 1);

    vm_charge(L, CALL_INSTRUCTIONS);
    peers_push(L, lua_of(v), v->count ? v->list[0].peer : PEER_NONE);
    return 1;
}

static int view_best(lua_State *L)
{
    static const char *const words[] = {"rtt", "score", NULL};
    struct view *v = charged(L);
    enum view_rank rank = sandbox_option(L, 2, NULL, words) == 0 ? RANK_RTT : RANK_SCORE;
    uint32_t best = v->count ? v->list[0].peer : PEER_NONE;

    vm_charge(L, (uint64_t)v->count * RANK_INSTRUCTIONS);
    for (uint32_t i = 1; i < v->count; i++)
        if (view_is_better(v->in, rank, v->list[i].peer, best)) best = v->list[i].peer;
    peers_push(L, lua_of(v), best);
    return 1;
}

static int view_age(lua_State *L)
{
    struct view *v = charged(L);
    uint32_t at = view_find(v, peers_check(L, 2));

    if (at == v->count)
        lua_pushnil(L);
    else
        lua_pushinteger(L, (lua_Integer)(place_now(v->in->place) - v->list[at].since_us));
    return 1;
}

/* ---- loops */

struct walk {
    uint32_t at, count, but;
    uint32_t peers[];
};

/* Upvalues: the view, the walk. */
static int walk_next(lua_State *L)
{
    struct view *v = view_check(L, lua_upvalueindex(1));
    struct walk *walk = lua_touserdata(L, lua_upvalueindex(2));

    while (walk->at < walk->count) {
        uint32_t peer = walk->peers[walk->at++];
        vm_charge(L, 1 + v->count / PEERS_PER_INSTRUCTION);
        if (peer == walk->but || !view_has(v, peer)) continue;
        peers_push(L, lua_of(v), peer);
        return 1;
    }
    lua_pushnil(L);
    return 1;
}

static int walk_begin(lua_State *L, struct view *v, uint32_t but)
{
    struct walk *walk;

    lua_settop(L, 1);
    walk = lua_newuserdatauv(L, sizeof *walk + v->count * sizeof walk->peers[0], 0);
    walk->at = 0;
    walk->but = but;
    walk->count = v->count;
    for (uint32_t i = 0; i < v->count; i++) walk->peers[i] = v->list[i].peer;
    lua_pushcclosure(L, walk_next, 2);
    return 1;
}

static int view_each(lua_State *L)
{
    return walk_begin(L, charged(L), PEER_NONE);
}

static int view_but(lua_State *L)
{
    struct view *v = charged(L);

    return walk_begin(L, v, peers_check(L, 2));
}

void view_words(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"add", view_add},
        {"offer", view_offer_word},
        {"remove", view_remove_word},
        {"has", view_has_word},
        {"room", view_room},
        {"pick", view_pick},
        {"sample", view_sample},
        {"oldest", view_oldest},
        {"best", view_best},
        {"each", view_each},
        {"but", view_but},
        {"age", view_age},
        {"refill", view_refill},
        {NULL, NULL},
    };
    static const luaL_Reg meta[] = {{"__len", view_length}, {NULL, NULL}};

    sandbox_class(L, "view", methods, meta);
    lua_pushcfunction(L, tries_word);
    sandbox_set(L, "tries");
}
