/* SPDX-License-Identifier: MIT */
/* The utf8 library of scripts: Lua 5.4's, one instruction for each byte that is looked at. Our own,
 * since a string of continuation bytes makes Lua's walk it at each step. */
#include "runtime/pattern.h"
#include "runtime/sandbox.h"
#include "runtime/vm.h"
#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>

#define INVALID "invalid UTF-8 code"

enum { CODE_MAX = 0x10ffff };

/* Position as scripts give it: negative ones count from the end, 0 for those before the string. */
static lua_Integer position(lua_Integer at, size_t len)
{
    if (at >= 0) return at;
    return at < -(lua_Integer)len ? 0 : (lua_Integer)len + at + 1;
}

static bool continues(const char *s)
{
    return ((unsigned char)*s & 0xc0) == 0x80;
}

/* Decode one character; s ends with a zero byte.
 * @return what follows it, or NULL: not one, or a surrogate or too large when strict */
static const char *decode(const char *s, uint32_t *code, bool strict)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000, 0x200000, 0x4000000};
    unsigned char first = (unsigned char)*s;
    uint32_t value = first;
    unsigned more = 0;

    if (first >= 0x80) {
        if (first < 0xc0 || first >= 0xfe) return NULL;
        while (first & (0x40u >> more)) more++;
        value = first & (0x3fu >> more);
        for (unsigned i = 1; i <= more; i++) {
            if (!continues(s + i)) return NULL;
            value = value << 6 | ((unsigned char)s[i] & 0x3f);
        }
        if (value < least[more]) return NULL;
    }
    if (strict && (value > CODE_MAX || (value >= 0xd800 && value <= 0xdfff))) return NULL;
    *code = value;
    return s + more + 1;
}

static int utf8_len(lua_State *L)
{
    size_t len;
    const char *s = luaL_checklstring(L, 1, &len);
    lua_Integer at = position(lib_integer_or(L, 2, 1), len), count = 0;
    lua_Integer last = position(lib_integer_or(L, 3, -1), len);
    bool strict = !lua_toboolean(L, 4);

    luaL_argcheck(L, at >= 1 && at - 1 <= (lua_Integer)len, 2, "initial position out of bounds");
    luaL_argcheck(L, last <= (lua_Integer)len, 3, "final position out of bounds");
    if (last >= at) vm_charge(L, (uint64_t)(last - at) + 1);
    for (at--; at < last; count++) {
        uint32_t code;
        const char *next = decode(s + at, &code, strict);

        if (next == NULL) {
            luaL_pushfail(L);
            lua_pushinteger(L, at + 1);
            return 2;
        }
        at = next - s;
    }
    lua_pushinteger(L, count);
    return 1;
}

static int utf8_codepoint(lua_State *L)
{
    size_t len;
    const char *s = luaL_checklstring(L, 1, &len), *end;
    lua_Integer at = position(lib_integer_or(L, 2, 1), len);
    lua_Integer last = position(lib_integer_or(L, 3, at), len);
    bool strict = !lua_toboolean(L, 4);
    int count = 0;

    luaL_argcheck(L, at >= 1, 2, "out of bounds");
    luaL_argcheck(L, last <= (lua_Integer)len, 3, "out of bounds");
    if (at > last) return 0;
    if (last - at >= INT_MAX) return luaL_error(L, "string slice too long");
    vm_charge(L, (uint64_t)(last - at) + 1);
    luaL_checkstack(L, (int)(last - at) + 1, "string slice too long");
    end = s + last;
    for (s += at - 1; s < end; count++) {
        uint32_t code;

        s = decode(s, &code, strict);
        if (s == NULL) return luaL_error(L, INVALID);
        lua_pushinteger(L, code);
    }
    return count;
}

static void add_code(luaL_Buffer *out, uint32_t code)
{
    char bytes[6];
    int at = sizeof bytes;
    uint32_t first_max = 0x3f; /* what the first byte still has room for */

    if (code < 0x80) {
        luaL_addchar(out, (char)code);
        return;
    }
    do {
        bytes[--at] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
        first_max >>= 1;
    } while (code > first_max);
    bytes[--at] = (char)((~first_max << 1 | code) & 0xff);
    luaL_addlstring(out, bytes + at, sizeof bytes - (size_t)at);
}

static int utf8_char(lua_State *L)
{
    int count = lua_gettop(L);
    luaL_Buffer out;

    vm_charge(L, 1 + (uint64_t)count);
    luaL_buffinit(L, &out);
    for (int i = 1; i <= count; i++) {
        lua_Unsigned code = (lua_Unsigned)lib_integer(L, i);

        luaL_argcheck(L, code <= 0x7fffffff, i, "value out of range");
        add_code(&out, (uint32_t)code);
    }
    luaL_pushresult(&out);
    return 1;
}

/* Step from `at` to the start of the character before or after it, paying for each byte. */
static lua_Integer skip(lua_State *L, const char *s, lua_Integer at, lua_Integer by,
                        unsigned *unpaid)
{
    do {
        at += by;
        if (++*unpaid >= VM_HOOK_INSTRUCTIONS) {
            *unpaid = 0;
            vm_charge(L, VM_HOOK_INSTRUCTIONS);
        }
    } while (at > 0 && continues(s + at));
    return at;
}

static int utf8_offset(lua_State *L)
{
    size_t size;
    const char *s = luaL_checklstring(L, 1, &size);
    lua_Integer len = (lua_Integer)size, count = lib_integer(L, 2);
    lua_Integer at = position(lib_integer_or(L, 3, count >= 0 ? 1 : len + 1), size) - 1;
    unsigned unpaid = 0;

    luaL_argcheck(L, 0 <= at && at <= len, 3, "position out of bounds");
    if (count == 0) {
        if (at > 0 && continues(s + at)) at = skip(L, s, at, -1, &unpaid);
    } else {
        if (continues(s + at)) return luaL_error(L, "initial position is a continuation byte");
        if (count > 0) count--;
        for (; count > 0 && at < len; count--) at = skip(L, s, at, 1, &unpaid);
        for (; count < 0 && at > 0; count++) at = skip(L, s, at, -1, &unpaid);
    }
    if (count == 0) {
        lua_pushinteger(L, at + 1);
    } else {
        luaL_pushfail(L);
    }
    return 1;
}

static int next_code(lua_State *L, bool strict)
{
    size_t size;
    const char *s = luaL_checklstring(L, 1, &size), *next;
    lua_Unsigned len = size, at = (lua_Unsigned)lua_tointeger(L, 2);
    uint32_t code;
    unsigned unpaid = 0;

    /* The control variable is the position of the last character, from 1. */
    if (at < len && continues(s + at)) {
        at = (lua_Unsigned)skip(L, s, (lua_Integer)at, 1, &unpaid);
    }
    if (at >= len) return 0;
    next = decode(s + at, &code, strict);
    if (next == NULL || continues(next)) return luaL_error(L, INVALID);
    lua_pushinteger(L, (lua_Integer)at + 1);
    lua_pushinteger(L, code);
    return 2;
}

static int next_strict(lua_State *L)
{
    return next_code(L, true);
}

static int next_lax(lua_State *L)
{
    return next_code(L, false);
}

static int utf8_codes(lua_State *L)
{
    bool lax = lua_toboolean(L, 2);

    luaL_argcheck(L, !continues(luaL_checkstring(L, 1)), 1, INVALID);
    lua_pushcfunction(L, lax ? next_lax : next_strict);
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 0);
    return 3;
}

int lib_utf8_open(lua_State *L)
{
    static const char pattern[] = "[\0-\x7f\xc2-\xfd][\x80-\xbf]*";
    static const luaL_Reg functions[] = {{"char", utf8_char},     {"codepoint", utf8_codepoint},
                                         {"codes", utf8_codes},   {"len", utf8_len},
                                         {"offset", utf8_offset}, {NULL, NULL}};

    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    lua_pushlstring(L, pattern, sizeof pattern - 1);
    lua_setfield(L, -2, "charpattern");
    return 1;
}
