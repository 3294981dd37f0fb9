/* SPDX-License-Identifier: MIT */
/* Coroutines that scripts make for themselves, for example as iterators: Lua 5.4's library, but
 * that the stop of a resumption passes through, that a coroutine which failed is closed at once,
 * and that nobody gets hold of the coroutine that a handler runs in: it is the scheduler's. */
#include "sandbox.h"
#include "vm.h"
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

enum { CREATE_INSTRUCTIONS = 40, SWITCH_INSTRUCTIONS = 10 };

static lua_State *coroutine_at(lua_State *L, int index)
{
    lua_State *co = lua_tothread(L, index);

    luaL_argexpected(L, co, index, "coroutine");
    return co;
}

static const char *status_of(lua_State *L, lua_State *co)
{
    lua_Debug at;

    if (L == co) return "running";
    if (lua_status(co) == LUA_YIELD) return "suspended";
    if (lua_status(co) != LUA_OK) return "dead";
    if (lua_getstack(co, 0, &at)) return "normal";
    return lua_gettop(co) == 0 ? "dead" : "suspended";
}

/* Resume with the arguments on top. @return results, on top of L; -1: the error is */
static int resume(lua_State *L, lua_State *co, int arguments)
{
    int status, results;

    vm_charge(L, SWITCH_INSTRUCTIONS + (uint64_t)arguments / 4);
    if (strcmp(status_of(L, co), "suspended") != 0) {
        bool dead = status_of(L, co)[0] == 'd';

        lua_pushfstring(L, "cannot resume %s coroutine", dead ? "dead" : "non-suspended");
        return -1;
    }
    if (!lua_checkstack(co, arguments + 1)) {
        lua_pushliteral(L, "too many arguments to resume");
        return -1;
    }
    lua_xmove(L, co, arguments);
    status = vm_resume_inner(L, co, arguments, &results);
    if (status == LUA_OK || status == LUA_YIELD) {
        if (!lua_checkstack(L, results + 1)) {
            lua_pop(co, results);
            lua_pushliteral(L, "too many results to resume");
            return -1;
        }
        vm_charge(L, (uint64_t)results / 4);
        lua_xmove(co, L, results);
        return results;
    }
    lua_xmove(co, L, 1);
    return -1;
}

static int coroutine_resume(lua_State *L)
{
    lua_State *co = coroutine_at(L, 1);
    int results = resume(L, co, lua_gettop(L) - 1);

    lua_pushboolean(L, results >= 0);
    if (results < 0) results = 1;
    lua_insert(L, -(results + 1));
    return results + 1;
}

static int wrapped(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    int results = resume(L, co, lua_gettop(L));

    if (results >= 0) return results;
    if (lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int coroutine_create(lua_State *L)
{
    lua_State *co;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    vm_charge(L, CREATE_INSTRUCTIONS);
    co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    return 1;
}

static int coroutine_wrap(lua_State *L)
{
    coroutine_create(L);
    lua_pushcclosure(L, wrapped, 1);
    return 1;
}

static int coroutine_yield(lua_State *L)
{
    vm_charge(L, SWITCH_INSTRUCTIONS);
    if (!vm_is_inner(L)) return luaL_error(L, "coroutine.yield outside a coroutine of your own");
    return lua_yield(L, lua_gettop(L));
}

static int coroutine_status(lua_State *L)
{
    lua_pushstring(L, status_of(L, coroutine_at(L, 1)));
    return 1;
}

static int coroutine_isyieldable(lua_State *L)
{
    lua_State *co = lua_isnoneornil(L, 1) ? L : coroutine_at(L, 1);

    lua_pushboolean(L, vm_is_inner(co) && lua_isyieldable(co));
    return 1;
}

static int coroutine_running(lua_State *L)
{
    if (vm_is_inner(L))
        lua_pushthread(L);
    else
        lua_pushnil(L);
    lua_pushboolean(L, !vm_is_inner(L));
    return 2;
}

static int coroutine_close(lua_State *L)
{
    lua_State *co = coroutine_at(L, 1);
    const char *status = status_of(L, co);

    vm_charge(L, SWITCH_INSTRUCTIONS);
    if (status[0] == 'r' || status[0] == 'n')
        return luaL_error(L, "cannot close a %s coroutine", status);
    if (vm_reset_inner(L, co) == LUA_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushboolean(L, 0);
    lua_xmove(co, L, 1);
    return 2;
}

int lib_coroutine_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"close", coroutine_close},
                                         {"create", coroutine_create},
                                         {"isyieldable", coroutine_isyieldable},
                                         {"resume", coroutine_resume},
                                         {"running", coroutine_running},
                                         {"status", coroutine_status},
                                         {"wrap", coroutine_wrap},
                                         {"yield", coroutine_yield},
                                         {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
