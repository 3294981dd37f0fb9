/* SPDX-License-Identifier: MIT */
/* The string library of scripts: Lua 5.4's without dump, each function paid for by what it does.
 *
 * Prices, in instructions (about 5 ns each): what is copied or compared costs one for
 * VM_BYTES_PER_INSTRUCTION bytes, what is looked at byte by byte one for BYTES_LOOKED_AT, a step of
 * the matcher one (pattern.c). They are charged before the work, or in pieces while it goes on.
 * Case and classes are ASCII's whatever the locale of the process is. Only pack, unpack and
 * packsize are Lua's own, called after they are paid.
 *
 * Strings have a metatable of ours: methods come from the library's table, which scripts cannot
 * reach for writing, and the arithmetic on numerals that 5.4 does by metamethods is done here. */
#include "runtime/pattern.h"
#include "runtime/sandbox.h"
#include "runtime/vm.h"
#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <stdbool.h>
#include <string.h>

enum { BYTES_LOOKED_AT = 4 };

/* An end position: at most len, 0 when it is before the string. */
static size_t end_of(lua_Integer at, size_t len)
{
    if (at > (lua_Integer)len) return len;
    if (at >= 0) return (size_t)at;
    if (at < -(lua_Integer)len) return 0;
    return len + (size_t)at + 1;
}

static int string_len(lua_State *L)
{
    size_t len;

    luaL_checklstring(L, 1, &len);
    lua_pushinteger(L, (lua_Integer)len);
    return 1;
}

static int string_sub(lua_State *L)
{
    size_t len;
    const char *s = luaL_checklstring(L, 1, &len);
    size_t start = lib_start_of(lib_integer(L, 2), len);
    size_t end = end_of(lib_integer_or(L, 3, -1), len);

    if (start > end) {
        lua_pushliteral(L, "");
        return 1;
    }
    lib_charge_copy(L, end - start + 1);
    lua_pushlstring(L, s + start - 1, end - start + 1);
    return 1;
}

static int string_byte(lua_State *L)
{
    size_t len, start, end;
    const unsigned char *s = (const unsigned char *)luaL_checklstring(L, 1, &len);
    lua_Integer first = lib_integer_or(L, 2, 1);

    start = lib_start_of(first, len);
    end = end_of(lib_integer_or(L, 3, first), len);
    if (start > end) return 0;
    if (end - start >= INT_MAX) return luaL_error(L, "string slice too long");
    if (end - start >= VM_HOOK_INSTRUCTIONS) vm_charge(L, end - start);
    luaL_checkstack(L, (int)(end - start + 1), "string slice too long");
    for (size_t i = start; i <= end; i++) lua_pushinteger(L, s[i - 1]);
    return (int)(end - start + 1);
}

static int string_char(lua_State *L)
{
    int count = lua_gettop(L);
    luaL_Buffer out;
    char *data = luaL_buffinitsize(L, &out, (size_t)count);

    if (count >= VM_HOOK_INSTRUCTIONS) vm_charge(L, (uint64_t)count);
    for (int i = 1; i <= count; i++) {
        lua_Unsigned c = (lua_Unsigned)lib_integer(L, i);

        luaL_argcheck(L, c <= UCHAR_MAX, i, "value out of range");
        data[i - 1] = (char)(unsigned char)c;
    }
    luaL_pushresultsize(&out, (size_t)count);
    return 1;
}

static char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static char to_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

static int change_case(lua_State *L, char (*change)(char c))
{
    size_t len;
    const char *s = luaL_checklstring(L, 1, &len);
    luaL_Buffer out;
    char *data;

    vm_charge(L, 1 + len / BYTES_LOOKED_AT);
    data = luaL_buffinitsize(L, &out, len);
    for (size_t i = 0; i < len; i++) data[i] = change(s[i]);
    luaL_pushresultsize(&out, len);
    return 1;
}

static int string_lower(lua_State *L)
{
    return change_case(L, to_lower);
}

static int string_upper(lua_State *L)
{
    return change_case(L, to_upper);
}

static int string_reverse(lua_State *L)
{
    size_t len;
    const char *s = luaL_checklstring(L, 1, &len);
    luaL_Buffer out;
    char *data;

    vm_charge(L, 1 + len / BYTES_LOOKED_AT);
    data = luaL_buffinitsize(L, &out, len);
    for (size_t i = 0; i < len; i++) data[i] = s[len - 1 - i];
    luaL_pushresultsize(&out, len);
    return 1;
}

/* A result that the state could never hold is refused before any work, by an error that the script
 * can catch; one that its budget does not pay stops it. */
static int string_rep(lua_State *L)
{
    size_t len, separator_len, unit, total, done;
    const char *s = luaL_checklstring(L, 1, &len);
    lua_Integer count = lib_integer(L, 2);
    const char *separator = luaL_optlstring(L, 3, "", &separator_len);
    struct vm_statistics statistics;
    luaL_Buffer out;
    char *data;

    unit = len + separator_len;
    if (count <= 0 || unit == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    vm_get_statistics(vm_of(L), &statistics);
    if (unit > statistics.bytes_max / (lua_Unsigned)count) {
        return luaL_error(L, "resulting string too large");
    }
    total = unit * (size_t)count - separator_len;
    vm_charge(L, 1 + total / VM_BYTES_PER_INSTRUCTION);
    data = luaL_buffinitsize(L, &out, total + separator_len);
    memcpy(data, s, len);
    memcpy(data + len, separator, separator_len);
    for (done = unit; done < total; done += unit) {
        unit = done < total - done ? done : total - done;
        memcpy(data + done, data, unit);
    }
    luaL_pushresultsize(&out, total);
    return 1;
}

/* The padding that "c1000000" makes out of nothing, in bytes; other options are of the size of
 * their values. */
static uint64_t fixed_bytes(const char *format, size_t len)
{
    uint64_t total = 0, bytes = 0;
    bool fixed = false;

    for (size_t i = 0; i < len; i++) {
        if (fixed && format[i] >= '0' && format[i] <= '9' && bytes < INT_MAX) {
            bytes = bytes * 10 + (uint64_t)(format[i] - '0');
        } else {
            total += bytes;
            bytes = 0;
            fixed = format[i] == 'c';
        }
    }
    return total + bytes;
}

/* pack, unpack, packsize: Lua's own function is the upvalue. */
static int packing(lua_State *L)
{
    size_t len;
    const char *format = luaL_checklstring(L, 1, &len);
    bool pack = lua_toboolean(L, lua_upvalueindex(2));
    uint64_t bytes = 0;
    int arguments = lua_gettop(L), results;

    vm_charge(L, 1 + len);
    if (pack) {
        bytes = fixed_bytes(format, len) * VM_BYTES_PER_INSTRUCTION / BYTES_LOOKED_AT;
        for (int i = 2; i <= arguments; i++) {
            if (lua_type(L, i) == LUA_TSTRING) bytes += lua_rawlen(L, i);
        }
        vm_charge(L, bytes / VM_BYTES_PER_INSTRUCTION);
        bytes = 0;
    }
    results = lua_tocfunction(L, lua_upvalueindex(1))(L);
    for (int i = 1; i <= results && !pack; i++) {
        if (lua_type(L, -i) == LUA_TSTRING) bytes += lua_rawlen(L, -i);
    }
    if (bytes > 0) vm_charge(L, bytes / VM_BYTES_PER_INSTRUCTION);
    return results;
}

/* Push the number that the value at index is, or is a numeral of. */
static bool push_number(lua_State *L, int index)
{
    size_t len;
    const char *s;

    if (lua_type(L, index) == LUA_TNUMBER) {
        lua_pushvalue(L, index);
        return true;
    }
    s = lua_tolstring(L, index, &len);
    if (s == NULL) return false;
    lib_charge_numeral(L, index);
    return lua_stringtonumber(L, s) == len + 1;
}

/* Arithmetic with a string: with the numbers if both are, else by the other one's metamethod.
 * Upvalues: lua_arith's operator, the metamethod's name. */
static int arithmetic(lua_State *L)
{
    const char *event = lua_tostring(L, lua_upvalueindex(2));

    if (push_number(L, 1) && push_number(L, 2)) {
        lua_arith(L, (int)lua_tointeger(L, lua_upvalueindex(1)));
        return 1;
    }
    lua_settop(L, 2);
    vm_charge_event(L, 2, event);
    if (lua_type(L, 2) == LUA_TSTRING || luaL_getmetafield(L, 2, event) == LUA_TNIL) {
        return luaL_error(L, "attempt to perform arithmetic on a %s value with a %s value (%s)",
                          luaL_typename(L, 1), luaL_typename(L, 2), event + 2);
    }
    vm_charge_call(L, -1);
    lua_insert(L, 1);
    lua_call(L, 2, 1);
    return 1;
}

/* The metatable of all strings, whose methods are the table on top. */
static void open_metatable(lua_State *L)
{
    static const struct {
        const char *event;
        int operator;
    } events[] = {{"__add", LUA_OPADD},   {"__sub", LUA_OPSUB}, {"__mul", LUA_OPMUL},
                  {"__mod", LUA_OPMOD},   {"__pow", LUA_OPPOW}, {"__div", LUA_OPDIV},
                  {"__idiv", LUA_OPIDIV}, {"__unm", LUA_OPUNM}};

    lua_pushliteral(L, "");
    lua_createtable(L, 0, 10);
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        lua_pushinteger(L, events[i].operator);
        lua_pushstring(L, events[i].event);
        lua_pushcclosure(L, arithmetic, 2);
        lua_setfield(L, -2, events[i].event);
    }
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    /* Methods are looked up in the library's own table, which is found by no name: what scripts
     * know as `string` is a read-only stand-in. */
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

int lib_string_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"byte", string_byte},       {"char", string_char},
                                         {"find", lib_find},          {"format", lib_format},
                                         {"gmatch", lib_gmatch},      {"gsub", lib_gsub},
                                         {"len", string_len},         {"lower", string_lower},
                                         {"match", lib_match},        {"rep", string_rep},
                                         {"reverse", string_reverse}, {"sub", string_sub},
                                         {"upper", string_upper},     {NULL, NULL}};
    static const char *const packers[] = {"pack", "unpack", "packsize"};

    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    /* This sets a metatable of strings too: open_metatable replaces it. */
    lua_pushcfunction(L, luaopen_string);
    lua_call(L, 0, 1);
    for (size_t i = 0; i < sizeof packers / sizeof packers[0]; i++) {
        lua_getfield(L, -1, packers[i]);
        lua_pushboolean(L, i == 0);
        lua_pushcclosure(L, packing, 2);
        lua_setfield(L, -3, packers[i]);
    }
    lua_pop(L, 1);
    open_metatable(L);
    return 1;
}
