/* SPDX-License-Identifier: MIT */
/* The functions without a library's name. Where they differ from Lua's: what catches errors lets
 * the stop pass; the handler of xpcall runs when the failed function has been unwound, like any
 * other code of the script; load takes text only; nothing tells an address; finalizers and weak
 * tables, which would show when the collector runs, are refused; __call is a function, and is read
 * when setmetatable is called, as __gc is in Lua. */
#include "sandbox.h"
#include "vm.h"
#include <lauxlib.h>
#include <ctype.h>
#include <limits.h>
#include <string.h>

enum {
    CATCH_INSTRUCTIONS = 10,
    LOAD_INSTRUCTIONS_PER_BYTE = 8,
    LINE_BYTES_MAX = 2000,
    VALUES_PER_INSTRUCTION = 4,
};

const char *sandbox_text(lua_State *L, int index, size_t *len)
{
    index = lua_absindex(L, index);
    vm_charge_event(L, index, "__tostring");
    if (luaL_getmetafield(L, index, "__tostring") != LUA_TNIL) {
        vm_charge_call(L, -1);
        lua_pushvalue(L, index);
        lua_call(L, 1, 1);
        if (!lua_isstring(L, -1)) luaL_error(L, "'__tostring' must return a string");
        return lua_tolstring(L, -1, len);
    }
    switch (lua_type(L, index)) {
    case LUA_TNIL:
    case LUA_TBOOLEAN:
    case LUA_TNUMBER:
    case LUA_TSTRING: return luaL_tolstring(L, index, len);
    default: break;
    }
    vm_charge_event(L, index, "__name");
    if (luaL_getmetafield(L, index, "__name") != LUA_TSTRING)
        lua_pushstring(L, luaL_typename(L, index));
    return lua_tolstring(L, -1, len);
}

static int base_tostring(lua_State *L)
{
    luaL_checkany(L, 1);
    vm_charge(L, 4);
    lua_settop(L, 1);
    sandbox_text(L, 1, NULL);
    return 1;
}

static int digit_of(char c)
{
    if (isdigit((unsigned char)c)) return c - '0';
    return isalpha((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : INT_MAX;
}

/* A numeral in a base, with Lua's freedoms: blanks around it, one minus. */
static bool parse(const char *s, const char *end, int base, lua_Integer *out)
{
    lua_Unsigned value = 0;
    bool minus = false;

    while (s < end && strchr(" \f\n\r\t\v", *s) && *s) s++;
    while (end > s && strchr(" \f\n\r\t\v", end[-1]) && end[-1]) end--;
    if (s < end && (*s == '-' || *s == '+')) minus = *s++ == '-';
    if (s == end) return false;
    for (; s < end; s++) {
        int digit = digit_of(*s);

        if (digit >= base) return false;
        value = value * (lua_Unsigned)base + (lua_Unsigned)digit;
    }
    *out = (lua_Integer)(minus ? 0u - value : value);
    return true;
}

static int base_tonumber(lua_State *L)
{
    lua_Integer base, value;
    const char *s;
    size_t len;

    luaL_checkany(L, 1);
    vm_charge(L, 4 + (lua_type(L, 1) == LUA_TSTRING ? lua_rawlen(L, 1) / 4 : 0));
    if (lua_isnoneornil(L, 2)) {
        if (lua_type(L, 1) == LUA_TNUMBER) {
            lua_settop(L, 1);
            return 1;
        }
        s = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &len) : NULL;
        if (!s || lua_stringtonumber(L, s) != len + 1) lua_pushnil(L);
        return 1;
    }
    base = luaL_checkinteger(L, 2);
    luaL_checktype(L, 1, LUA_TSTRING);
    luaL_argcheck(L, base >= 2 && base <= 36, 2, "base out of range");
    s = lua_tolstring(L, 1, &len);
    if (parse(s, s + len, (int)base, &value))
        lua_pushinteger(L, value);
    else
        lua_pushnil(L);
    return 1;
}

static int base_type(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushstring(L, luaL_typename(L, 1));
    return 1;
}

static int base_assert(lua_State *L)
{
    vm_charge(L, 1);
    if (lua_toboolean(L, 1)) return lua_gettop(L);
    luaL_checkany(L, 1);
    lua_remove(L, 1);
    lua_pushliteral(L, "assertion failed!");
    lua_settop(L, 1);
    return lua_error(L);
}

static int base_error(lua_State *L)
{
    int level = (int)luaL_optinteger(L, 2, 1);

    vm_charge(L, CATCH_INSTRUCTIONS);
    lua_settop(L, 1);
    if (lua_type(L, 1) == LUA_TSTRING && level > 0) {
        luaL_where(L, level);
        lua_insert(L, 1);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int caught(lua_State *L, int status, lua_KContext extra)
{
    vm_pass_stop(L);
    if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - (int)extra;
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

static int base_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    vm_charge(L, CATCH_INSTRUCTIONS);
    vm_charge_call(L, 1);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    return caught(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, caught), 0);
}

/* Stack: function, handler, true, then what the handler returned, or why it failed. */
static int handled(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    vm_pass_stop(L);
    lua_pushboolean(L, 0);
    lua_insert(L, 4);
    return lua_gettop(L) - 3;
}

/* Stack: function, handler, true, then results or the error. */
static int tried(lua_State *L, int status, lua_KContext context)
{
    (void)context;
    vm_pass_stop(L);
    if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - 2;
    vm_charge(L, CATCH_INSTRUCTIONS);
    lua_pushvalue(L, 2);
    lua_insert(L, 4);
    return handled(L, lua_pcallk(L, 1, LUA_MULTRET, 0, 0, handled), 0);
}

static int base_xpcall(lua_State *L)
{
    int arguments = lua_gettop(L) - 2;

    luaL_checktype(L, 2, LUA_TFUNCTION);
    vm_charge(L, CATCH_INSTRUCTIONS);
    vm_charge_call(L, 1);
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2);
    return tried(L, lua_pcallk(L, arguments, LUA_MULTRET, 0, 0, tried), 0);
}

static int base_select(lua_State *L)
{
    int count = lua_gettop(L);
    lua_Integer at;

    vm_charge(L, 1 + (uint64_t)count / VALUES_PER_INSTRUCTION);
    if (lua_type(L, 1) == LUA_TSTRING && strcmp(lua_tostring(L, 1), "#") == 0) {
        lua_pushinteger(L, count - 1);
        return 1;
    }
    at = luaL_checkinteger(L, 1);
    if (at < 0) at += count;
    luaL_argcheck(L, at >= 1, 1, "index out of range");
    return at > count ? 0 : count - (int)at;
}

static int base_rawequal(lua_State *L)
{
    luaL_checkany(L, 1);
    luaL_checkany(L, 2);
    if (lua_type(L, 1) == LUA_TSTRING && lua_type(L, 2) == LUA_TSTRING)
        vm_charge(L, lua_rawlen(L, 1) / 64);
    lua_pushboolean(L, lua_rawequal(L, 1, 2));
    return 1;
}

static int base_rawget(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    if (sandbox_thaw(L, 1)) lua_replace(L, 1);
    vm_charge_key(L, 1, 2, NULL);
    lua_rawget(L, 1);
    return 1;
}

static int base_rawlen(lua_State *L)
{
    int type = lua_type(L, 1);

    luaL_argexpected(L, type == LUA_TTABLE || type == LUA_TSTRING, 1, "table or string");
    if (sandbox_thaw(L, 1)) lua_replace(L, 1);
    vm_charge_length(L, 1);
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, 1));
    return 1;
}

static int base_rawset(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    luaL_checkany(L, 3);
    lua_settop(L, 3);
    if (sandbox_thaw(L, 1)) return luaL_error(L, "this table is read-only");
    vm_charge_key(L, 1, 2, NULL);
    lua_rawset(L, 1);
    return 1;
}

static int base_getmetatable(lua_State *L)
{
    luaL_checkany(L, 1);
    vm_charge_event(L, 1, "__metatable");
    if (!lua_getmetatable(L, 1)) {
        lua_pushnil(L);
        return 1;
    }
    luaL_getmetafield(L, 1, "__metatable");
    return 1;
}

static void refuse_field(lua_State *L, const char *name, const char *why)
{
    lua_pushstring(L, name);
    vm_charge_key(L, 2, lua_gettop(L), NULL);
    if (lua_rawget(L, 2) != LUA_TNIL) luaL_error(L, "%s is not allowed: %s", name, why);
    lua_pop(L, 1);
}

/* The table at 2 makes others callable by what it has under "__call" now (vm_names.c). */
static void set_call(lua_State *L)
{
    lua_pushliteral(L, "__call");
    vm_charge_key(L, 2, lua_gettop(L), NULL);
    switch (lua_rawget(L, 2)) {
    case LUA_TNIL:
    case LUA_TFUNCTION: break;
    default: luaL_error(L, "__call must be a function, not a %s", luaL_typename(L, -1));
    }
    vm_push_call(L);
    vm_charge_key(L, 2, lua_gettop(L), NULL);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, 2) != LUA_TNIL || !lua_isnil(L, -3)) {
        lua_pop(L, 1);
        lua_pushvalue(L, -2);
        lua_rawset(L, 2);
    }
}

static int base_setmetatable(lua_State *L)
{
    int type = lua_type(L, 2);

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    vm_charge(L, 2);
    lua_settop(L, 2);
    vm_charge_event(L, 1, "__metatable");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return luaL_error(L, "cannot change a protected metatable");
    if (type == LUA_TTABLE) {
        /* As a metatable a proxy is empty, and useless. */
        if (sandbox_thaw(L, 2)) return luaL_error(L, "a read-only table cannot be a metatable");
        refuse_field(L, "__gc",
                     "when it would run depends on the collector, so two runs would "
                     "differ; use a 'close' variable");
        refuse_field(L, "__mode",
                     "when an entry of a weak table goes depends on the collector, so "
                     "two runs would differ; remove entries yourself");
        set_call(L);
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

static int ipairs_step(lua_State *L)
{
    lua_Integer i = luaL_checkinteger(L, 2);

    vm_charge(L, 1);
    i = (lua_Integer)((lua_Unsigned)i + 1);
    lua_pushinteger(L, i);
    vm_charge_key(L, 1, lua_gettop(L), "__index");
    return lua_geti(L, 1, i) == LUA_TNIL ? 1 : 2;
}

static int base_ipairs(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushcfunction(L, ipairs_step);
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 0);
    return 3;
}

static int base_load(lua_State *L)
{
    const char *text, *mode = luaL_optstring(L, 3, "t");
    bool has_environment = !lua_isnoneornil(L, 4);
    char own_name[80];
    const char *name;
    size_t len;

    if (lua_type(L, 1) != LUA_TSTRING)
        return luaL_error(L, "load takes a string, not a %s", luaL_typename(L, 1));
    text = lua_tolstring(L, 1, &len);
    name = luaL_optstring(L, 2, "=(load)");
    vm_charge(L, CATCH_INSTRUCTIONS);
    if (has_environment) luaL_checktype(L, 4, LUA_TTABLE);
    if (len > VM_LOAD_BYTES_MAX) {
        lua_pushnil(L);
        lua_pushfstring(L, "load takes at most %d bytes", (int)VM_LOAD_BYTES_MAX);
        return 2;
    }
    if (!strchr(mode, 't')) {
        lua_pushnil(L);
        lua_pushliteral(L, "load takes text only");
        return 2;
    }
    vm_charge(L, len * LOAD_INSTRUCTIONS_PER_BYTE);
    /* Only the start of a name is ever shown. */
    strncpy(own_name, name, sizeof own_name - 1);
    own_name[sizeof own_name - 1] = 0;
    if (luaL_loadbufferx(L, text, len, own_name, "t") != LUA_OK) {
        vm_pass_stop(L);
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    if (has_environment)
        lua_pushvalue(L, 4);
    else
        sandbox_push(L);
    if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
    return 1;
}

static int base_print(lua_State *L)
{
    char line[LINE_BYTES_MAX];
    int count = lua_gettop(L);
    size_t used = 0;

    for (int i = 1; i <= count; i++) {
        size_t len;
        const char *text = sandbox_text(L, i, &len);

        vm_charge(L, 4);
        if (i > 1 && used < sizeof line) line[used++] = '\t';
        if (len > sizeof line - used) len = sizeof line - used;
        memcpy(line + used, text, len);
        used += len;
        lua_pop(L, 1);
    }
    vm_charge(L, used / 4);
    vm_print_line(L, line, used);
    return 0;
}

void lib_base_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"assert", base_assert},
                                         {"error", base_error},
                                         {"getmetatable", base_getmetatable},
                                         {"ipairs", base_ipairs},
                                         {"load", base_load},
                                         {"next", sandbox_next},
                                         {"pairs", sandbox_pairs},
                                         {"pcall", base_pcall},
                                         {"print", base_print},
                                         {"rawequal", base_rawequal},
                                         {"rawget", base_rawget},
                                         {"rawlen", base_rawlen},
                                         {"rawset", base_rawset},
                                         {"select", base_select},
                                         {"setmetatable", base_setmetatable},
                                         {"tonumber", base_tonumber},
                                         {"tostring", base_tostring},
                                         {"type", base_type},
                                         {"xpcall", base_xpcall},
                                         {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
    lua_pushliteral(L, "Lua 5.4");
    lua_setfield(L, -2, "_VERSION");
}
