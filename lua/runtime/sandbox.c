/* SPDX-License-Identifier: MIT */
/* What scripts see, and cannot change.
 *
 * A read-only table is three: an empty proxy, which scripts hold; its metatable, which they cannot
 * reach; and the real table behind __index. Reading a name that exists stays within Lua's own
 * lookup. The environment is such a proxy, and so is every library.
 *
 * A name that is not there is a mistake, so it raises, with the nearest name. Keys of other types
 * give nil: ipairs looks one element too far. */
#include "sandbox.h"
#include "suggest.h"
#include "vm.h"
#include <lauxlib.h>
#include <string.h>

static const char real_key;        /* in a proxy's metatable: the real table */
static const char proxy_key;       /* in the registry: the environment ... */
static const char environment_key; /* ... and the real one */

bool sandbox_thaw(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) return false;
    lua_rawgetp(L, -1, &real_key);
    if (lua_type(L, -1) == LUA_TTABLE) {
        lua_remove(L, -2);
        return true;
    }
    lua_pop(L, 2);
    return false;
}

/* The order in which a table gives its keys depends on where it lies in memory, so of equally near
 * names the first by alphabet wins. */
static void nearest(lua_State *L, int index, struct suggest *best)
{
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        vm_charge(L, 20);
        if (lua_type(L, -1) == LUA_TSTRING) {
            struct suggest one = {.wanted = best->wanted};

            suggest_add(&one, lua_tostring(L, -1));
            if (one.best[0] &&
                (!best->best[0] || one.distance < best->distance ||
                 (one.distance == best->distance && strcmp(one.best, best->best) < 0)))
                *best = one;
        }
    }
}

const char *sandbox_instead(const char *key)
{
    static const struct {
        const char *key, *instead;
    } libraries[] = {
        {"os", ": now() is the clock, env(name) the environment"},
        {"io", ": file(path, mode) opens a file, input() is standard input"},
        {"require", ": use(name) loads another script"},
        {"package", ": use(name) loads another script"},
        {"dofile", ": use(name) loads another script"},
        {"loadfile", ": use(name) loads another script"},
    };

    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
        if (strcmp(libraries[i].key, key) == 0) return libraries[i].instead;
    return NULL;
}

int sandbox_option(lua_State *L, int index, const char *fallback, const char *const *choices)
{
    const char *given = fallback ? luaL_optstring(L, index, fallback) : luaL_checkstring(L, index);
    luaL_Buffer list;

    for (int i = 0; choices[i]; i++)
        if (strcmp(choices[i], given) == 0) return i;
    luaL_buffinit(L, &list);
    for (int i = 0; choices[i]; i++) {
        luaL_addstring(&list, i > 0 ? ", '" : "'");
        luaL_addstring(&list, choices[i]);
        luaL_addchar(&list, '\'');
    }
    luaL_pushresult(&list);
    lua_pushfstring(L, "'%s' is none of %s", given, lua_tostring(L, -1));
    return luaL_argerror(L, index, lua_tostring(L, -1));
}

int sandbox_missing(lua_State *L, int index, const char *key, const char *what)
{
    struct suggest best = {.wanted = key};
    char hint[128];

    index = lua_absindex(L, index);
    luaL_checkstack(L, 4, NULL);
    lua_pushvalue(L, index);
    if (sandbox_thaw(L, index)) lua_replace(L, -2);
    if (lua_type(L, -1) == LUA_TTABLE) nearest(L, lua_gettop(L), &best);
    suggest_text(&best, hint, sizeof hint);
    if (what) return luaL_error(L, "%s has no '%s'%s", what, key, hint);
    if (sandbox_instead(key))
        return luaL_error(L, "'%s': no such name%s", key, sandbox_instead(key));
    return luaL_error(L, "'%s': no such name%s", key, hint);
}

/* __index of a real table, reached when a name is not in it. Upvalue: what it is called, or nil. */
static int missing(lua_State *L)
{
    if (lua_type(L, 2) != LUA_TSTRING) return 0;
    return sandbox_missing(L, 1, lua_tostring(L, 2), lua_tostring(L, lua_upvalueindex(1)));
}

/* __newindex of a proxy. */
static int write_refused(lua_State *L)
{
    const char *what = lua_tostring(L, lua_upvalueindex(1));

    if (what) return luaL_error(L, "%s is read-only", what);
    return luaL_error(L, "this table is read-only");
}

static int write_global_refused(lua_State *L)
{
    struct suggest best = {0};
    const char *key = sandbox_text(L, 2, NULL);
    char hint[128];

    sandbox_thaw(L, 1);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL)
        return luaL_error(L, "'%s' cannot be changed: what every script has is read-only", key);
    lua_pop(L, 1);
    best.wanted = key;
    nearest(L, lua_gettop(L), &best);
    suggest_text(&best, hint, sizeof hint);
    return luaL_error(L, "'%s' is not declared: there are no global variables, write 'local %s'%s",
                      key, key, hint);
}

static int length(lua_State *L)
{
    vm_charge(L, 1);
    if (!sandbox_thaw(L, 1)) return luaL_error(L, "not a read-only table");
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, -1));
    return 1;
}

/* The metatable under which the table on top raises for a missing name. */
static void raise_when_missing(lua_State *L, const char *what)
{
    if (lua_getmetatable(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    lua_createtable(L, 0, 2);
    lua_pushstring(L, what);
    lua_pushcclosure(L, missing, 1);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

/* Push a proxy of the table on top, and its metatable. */
static void push_proxy(lua_State *L, lua_CFunction write, const char *what)
{
    lua_newtable(L);
    lua_createtable(L, 0, 6);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushvalue(L, -3);
    lua_rawsetp(L, -2, &real_key);
    lua_pushstring(L, what);
    lua_pushcclosure(L, write, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, length);
    lua_setfield(L, -2, "__len");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

void sandbox_freeze(lua_State *L, int index, const char *what)
{
    luaL_checkstack(L, 6, NULL);
    lua_pushvalue(L, index);
    if (what) raise_when_missing(L, what);
    push_proxy(L, write_refused, what);
    lua_remove(L, -2);
}

void sandbox_class(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *meta)
{
    luaL_newmetatable(L, name);
    lua_newtable(L);
    if (methods) luaL_setfuncs(L, methods, 0);
    raise_when_missing(L, name);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    if (meta) luaL_setfuncs(L, meta, 0);
    lua_pop(L, 1);
}

void sandbox_push(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &proxy_key);
}

void sandbox_set(lua_State *L, const char *name)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &environment_key);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, name);
    lua_pop(L, 2);
}

static void add_library(lua_State *L, const char *name, int (*open)(lua_State *))
{
    lua_pushcfunction(L, open);
    lua_call(L, 0, 1);
    sandbox_freeze(L, -1, name);
    sandbox_set(L, name);
    lua_pop(L, 1);
}

void sandbox_open(lua_State *L)
{
    /* For vm_error, which cannot make it. */
    lua_pushliteral(L, "message");
    lua_rawsetp(L, LUA_REGISTRYINDEX, vm_of(L));

    lua_newtable(L);
    raise_when_missing(L, NULL);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &environment_key);
    push_proxy(L, write_global_refused, NULL);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &proxy_key);
    lua_setfield(L, -2, "_G");
    lib_base_open(L);
    lua_pop(L, 1);

    add_library(L, "coroutine", lib_coroutine_open);
    add_library(L, "string", lib_string_open);
    add_library(L, "table", lib_table_open);
    add_library(L, "math", lib_math_open);
    add_library(L, "utf8", lib_utf8_open);
}
