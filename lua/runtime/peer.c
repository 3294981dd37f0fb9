/* SPDX-License-Identifier: MIT */
/* Peers as scripts see them, and the words that begin and end connections. A peer is a light
 * userdata: all of a state's have one metatable, which is this class. */
#include "peers.h"
#include "sandbox.h"
#include "vm.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>

enum { CALL_INSTRUCTIONS = 8, TEXT_INSTRUCTIONS = 40, SHORT_LENGTH = 8, DROP_TEXT_MAX = 120 };

/* ---- waiting for a connection */

/* Lives while the task waits; k, or the cancelling, ends it. */
struct dial_task {
    struct dial_wait wait;
    struct task *task;
    bool waits, done;
    struct dial_result result;
};

static void on_answer(struct dial_wait *w, uint64_t connection, int32_t error, const char *text)
{
    struct dial_task *d = list_entry(w, struct dial_task, wait);

    d->done = true;
    d->result.connection = error == 0 ? connection : 0;
    d->result.error = error;
    snprintf(d->result.text, sizeof d->result.text, "%s", text ? text : "");
    if (d->waits) task_resume(d->task, 0);
}

static void on_cancel(struct task *t)
{
    struct dial_task *d = t->wait;

    dial_wait_cancel(&d->wait);
    free(d);
}

int dial_in_task(lua_State *L, struct place *place, uint32_t peer, const char *address,
                 bool is_explicit, lua_KFunction k)
{
    struct task *t = task_check(L);
    struct dial_task *d;

    task_check_may_wait(L);
    d = calloc(1, sizeof *d);
    if (!d) return luaL_error(L, "no memory for a dial");
    d->task = t;
    d->wait.on_answer = on_answer;
    t->wait = d;
    if (address)
        place_dial_address(place, address, &d->wait);
    else
        place_dial(place, peer, is_explicit, &d->wait);
    if (d->done) return k(L, LUA_OK, (lua_KContext)d);
    d->waits = true;
    return task_wait(L, on_cancel, (lua_KContext)d, k);
}

void dial_result(lua_KContext context, struct dial_result *out)
{
    struct dial_task *d = (struct dial_task *)context;

    *out = d->result;
    free(d);
}

int dial_fail(lua_State *L, const struct dial_result *result)
{
    int count = task_fail_code(L, NULL, result->error, 0);

    if (result->text[0]) {
        lua_pushstring(L, result->text);
        lua_replace(L, -3);
    }
    return count;
}

/* ---- words */

static struct instance *here(lua_State *L)
{
    return task_check(L)->instance;
}

static int word_me(lua_State *L)
{
    struct instance *in = here(L);

    vm_charge(L, CALL_INSTRUCTIONS);
    peers_push(L, in->script->lua, in->place->me);
    return 1;
}

static int connected(lua_State *L, int status, lua_KContext context)
{
    struct instance *in = here(L);
    struct dial_result result;
    uint32_t peer;

    (void)status;
    dial_result(context, &result);
    if (result.connection == 0) return dial_fail(L, &result);
    retry_success(in);
    peer = place_peer_of(in->place, result.connection);
    if (peer == PEER_NONE) return task_fail_code(L, NULL, WEIR_E_NOT_CONNECTED, 0);
    peers_push(L, in->script->lua, peer);
    return 1;
}

static int word_connect(lua_State *L)
{
    struct instance *in = here(L);
    size_t len;
    const char *address = luaL_checklstring(L, 1, &len);

    vm_charge(L, TEXT_INSTRUCTIONS + len);
    luaL_argcheck(L, strlen(address) == len, 1, "an address has no zero bytes");
    return dial_in_task(L, in->place, PEER_NONE, address, true, connected);
}

static int word_drop(lua_State *L)
{
    struct instance *in = here(L);
    uint32_t peer = peers_check(L, 1);
    const char *text = luaL_optstring(L, 2, "");
    uint64_t connection = place_connection(in->place, peer);
    char cut[DROP_TEXT_MAX + 1];

    vm_charge(L, TEXT_INSTRUCTIONS);
    snprintf(cut, sizeof cut, "%s", text);
    if (connection) weir_connection_close(in->place->node, connection, 0, cut);
    return 0;
}

/* ---- methods */

/* Its text. @return NULL: it was forgotten */
static const char *text_of(lua_State *L, uint32_t peer, char text[WEIR_PEER_TEXT_MAX])
{
    const weir_peer_id *id = peers_id(runtime_of(L), peer);

    vm_charge(L, TEXT_INSTRUCTIONS);
    if (!id || weir_peer_format(id, text, WEIR_PEER_TEXT_MAX) < 0) return NULL;
    return text;
}

static int peer_id(lua_State *L)
{
    char text[WEIR_PEER_TEXT_MAX];

    if (!text_of(L, peers_check(L, 1), text))
        return task_fail(L, "that peer was forgotten", "absent");
    lua_pushstring(L, text);
    return 1;
}

static int peer_short(lua_State *L)
{
    char text[WEIR_PEER_TEXT_MAX];
    size_t len;

    if (!text_of(L, peers_check(L, 1), text)) {
        lua_pushliteral(L, "forgotten");
        return 1;
    }
    len = strlen(text);
    lua_pushstring(L, len > SHORT_LENGTH ? text + len - SHORT_LENGTH : text);
    return 1;
}

static int peer_is_up(lua_State *L)
{
    uint32_t peer = peers_check(L, 1);

    vm_charge(L, CALL_INSTRUCTIONS);
    lua_pushboolean(L, place_connection(here(L)->place, peer) != 0);
    return 1;
}

uint64_t peer_rtt(struct instance *in, uint32_t peer)
{
    uint64_t connection = place_connection(in->place, peer);
    weir_connection_info info = {.size = offsetof(weir_connection_info, rtt_min_us)};

    if (connection == 0) return 0;
    if (weir_connection_get_info(in->place->node, connection, &info) != 0) return 0;
    return info.rtt_us;
}

static int peer_rtt_get(lua_State *L)
{
    uint64_t rtt_us;

    vm_charge(L, CALL_INSTRUCTIONS);
    rtt_us = peer_rtt(here(L), peers_check(L, 1));
    if (rtt_us == 0)
        lua_pushnil(L);
    else
        lua_pushinteger(L, (lua_Integer)rtt_us);
    return 1;
}

static int peer_credit(lua_State *L)
{
    uint32_t peer = peers_check(L, 1);

    vm_charge(L, CALL_INSTRUCTIONS);
    peer_add_score(here(L), peer, luaL_optinteger(L, 2, 1));
    return 0;
}

static int peer_blame(lua_State *L)
{
    uint32_t peer = peers_check(L, 1);
    const char *why = luaL_optstring(L, 2, "");

    vm_charge(L, CALL_INSTRUCTIONS);
    peer_add_score(here(L), peer,
                   strcmp(why, "busy") == 0      ? 0
                   : strcmp(why, "corrupt") == 0 ? -100
                                                 : -1);
    return 0;
}

static int peer_score_get(lua_State *L)
{
    uint32_t peer = peers_check(L, 1);

    vm_charge(L, CALL_INSTRUCTIONS);
    lua_pushinteger(L, peer_score(here(L), peer));
    return 1;
}

static const char *check_name(lua_State *L, int index)
{
    size_t len;
    const char *name = luaL_checklstring(L, index, &len);

    luaL_argcheck(L, len > 0 && len < 32 && strlen(name) == len, index,
                  "a name of 1 to 31 bytes: the reason for which it is protected");
    return name;
}

static int peer_protect_set(lua_State *L)
{
    uint32_t peer = peers_check(L, 1);

    vm_charge(L, CALL_INSTRUCTIONS);
    lua_pushboolean(L, peer_protect(here(L), peer, check_name(L, 2), true));
    return 1;
}

static int peer_release(lua_State *L)
{
    uint32_t peer = peers_check(L, 1);

    vm_charge(L, CALL_INSTRUCTIONS);
    peer_protect(here(L), peer, check_name(L, 2), false);
    return 0;
}

void words_peer(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"id", peer_id},           {"short", peer_short},
        {"is_up", peer_is_up},     {"rtt", peer_rtt_get},
        {"credit", peer_credit},   {"blame", peer_blame},
        {"score", peer_score_get}, {"protect", peer_protect_set},
        {"release", peer_release}, {NULL, NULL},
    };
    static const luaL_Reg meta[] = {{"__tostring", peer_short}, {NULL, NULL}};

    sandbox_class(L, "peer", methods, meta);
    lua_pushlightuserdata(L, NULL);
    luaL_setmetatable(L, "peer");
    lua_pop(L, 1);
    lua_pushcfunction(L, word_me);
    sandbox_set(L, "me");
    lua_pushcfunction(L, word_connect);
    sandbox_set(L, "connect");
    lua_pushcfunction(L, word_drop);
    sandbox_set(L, "drop");
}
