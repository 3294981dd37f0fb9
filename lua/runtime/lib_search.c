/* SPDX-License-Identifier: MIT */
/* string.find, match, gmatch and gsub: what is done with the matcher of pattern.c. */
#include "runtime/pattern.h"
#include "runtime/vm.h"
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

/* Copies below this are cheaper than charging for them. */
enum { COPY_FREE_BYTES = 256 };

void lib_charge_copy(lua_State *L, size_t len)
{
    if (len >= COPY_FREE_BYTES) vm_charge(L, len / VM_BYTES_PER_INSTRUCTION);
}

enum { INTEGER_COST = 10, FLOAT_COST = 80 };

/* A numeral may begin with a million blanks. */
void lib_charge_numeral(lua_State *L, int argument)
{
    if (lua_type(L, argument) == LUA_TSTRING) vm_charge(L, 1 + lua_rawlen(L, argument));
}

void lib_charge_number(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TNUMBER) return;
    vm_charge(L, lua_isinteger(L, index) ? INTEGER_COST : FLOAT_COST);
}

lua_Integer lib_integer(lua_State *L, int argument)
{
    lib_charge_numeral(L, argument);
    return luaL_checkinteger(L, argument);
}

lua_Integer lib_integer_or(lua_State *L, int argument, lua_Integer otherwise)
{
    return lua_isnoneornil(L, argument) ? otherwise : lib_integer(L, argument);
}

size_t lib_start_of(lua_Integer at, size_t len)
{
    if (at > 0) return (size_t)at;
    if (at == 0 || at < -(lua_Integer)len) return 1;
    return len + (size_t)at + 1;
}

/* Where needle is in hay from `at` on, byte for byte. */
static size_t find_plain(lua_State *L, const char *hay, size_t hay_len, size_t at,
                         const char *needle, size_t needle_len)
{
    const char *found;
    size_t from, unpaid = 0;

    if (needle_len == 0) return at;
    while (hay_len - at >= needle_len) {
        found = memchr(hay + at, needle[0], hay_len - at - needle_len + 1);
        from = at;
        at = found == NULL ? hay_len : (size_t)(found - hay);
        /* A comparison may look at the whole needle for each place where its first byte is. */
        unpaid += 1 + (at - from + needle_len) / VM_BYTES_PER_INSTRUCTION;
        if (unpaid >= VM_HOOK_INSTRUCTIONS) vm_charge(L, unpaid), unpaid = 0;
        if (found == NULL || memcmp(found, needle, needle_len) == 0) break;
        at++;
    }
    if (unpaid > 0) vm_charge(L, unpaid);
    return hay_len - at >= needle_len ? at : PATTERN_NONE;
}

static bool has_specials(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '\0' && strchr("^$*+?.([%-", text[i]) != NULL) return true;
    }
    return false;
}

/* string.find of plain text. */
static int found_plain(lua_State *L, size_t at, size_t len)
{
    if (at == PATTERN_NONE) {
        luaL_pushfail(L);
        return 1;
    }
    lua_pushinteger(L, (lua_Integer)at + 1);
    lua_pushinteger(L, (lua_Integer)(at + len));
    return 2;
}

static int search(lua_State *L, bool find)
{
    size_t len, text_len, at, end;
    const char *s = luaL_checklstring(L, 1, &len);
    const char *text = luaL_checklstring(L, 2, &text_len);
    bool anchored = text_len > 0 && text[0] == '^';
    struct pattern p;
    int pushed = 0;

    at = lib_start_of(lib_integer_or(L, 3, 1), len) - 1;
    if (at > len) {
        luaL_pushfail(L);
        return 1;
    }
    lib_charge_copy(L, text_len);
    if (find && (lua_toboolean(L, 4) || !has_specials(text, text_len))) {
        return found_plain(L, find_plain(L, s, len, at, text, text_len), text_len);
    }
    pattern_init(&p, L, s, len, text + anchored, text_len - anchored);
    do {
        end = pattern_match(&p, at);
    } while (end == PATTERN_NONE && at++ < len && !anchored);
    if (end == PATTERN_NONE) {
        luaL_pushfail(L);
        pushed = 1;
    } else if (find) {
        lua_pushinteger(L, (lua_Integer)at + 1);
        lua_pushinteger(L, (lua_Integer)end);
        pushed = 2 + pattern_push_all(&p, PATTERN_NONE, 0);
    } else {
        pushed = pattern_push_all(&p, at, end);
    }
    pattern_pay(&p);
    return pushed;
}

int lib_find(lua_State *L)
{
    return search(L, true);
}

int lib_match(lua_State *L)
{
    return search(L, false);
}

/* The iterator of gmatch. Upvalues: subject, pattern, offset to go on from, end of the last match
 * or -1: an empty match does not follow another match at its end. */
static int gmatch_next(lua_State *L)
{
    size_t len, text_len, at = (size_t)lua_tointeger(L, lua_upvalueindex(3));
    const char *s = lua_tolstring(L, lua_upvalueindex(1), &len);
    const char *text = lua_tolstring(L, lua_upvalueindex(2), &text_len);
    lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
    struct pattern p;

    pattern_init(&p, L, s, len, text, text_len);
    for (; at <= len; at++) {
        size_t end = pattern_match(&p, at);
        int pushed;

        if (end == PATTERN_NONE || (lua_Integer)end == last) continue;
        lua_pushinteger(L, (lua_Integer)end);
        lua_copy(L, -1, lua_upvalueindex(3));
        lua_copy(L, -1, lua_upvalueindex(4));
        pushed = pattern_push_all(&p, at, end);
        pattern_pay(&p);
        return pushed;
    }
    pattern_pay(&p);
    return 0;
}

int lib_gmatch(lua_State *L)
{
    size_t len, at;

    luaL_checklstring(L, 1, &len);
    luaL_checkstring(L, 2);
    at = lib_start_of(lib_integer_or(L, 3, 1), len) - 1;
    if (at > len) at = len + 1;
    lua_settop(L, 2);
    lua_pushinteger(L, (lua_Integer)at);
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, gmatch_next, 4);
    return 1;
}

/* The replacement text of gsub with its %0 to %9. */
static void add_text(struct pattern *p, luaL_Buffer *out, size_t start, size_t end)
{
    size_t len;
    const char *text = lua_tolstring(p->L, 3, &len), *percent;

    lib_charge_copy(p->L, len);
    while ((percent = memchr(text, '%', len)) != NULL) {
        char c = percent[1];

        luaL_addlstring(out, text, (size_t)(percent - text));
        if (c == '%') {
            luaL_addchar(out, '%');
        } else if (c == '0') {
            luaL_addlstring(out, p->subject + start, end - start);
        } else if (c >= '1' && c <= '9') {
            pattern_push(p, (unsigned)(c - '1'), start, end);
            luaL_addvalue(out);
        } else {
            luaL_error(p->L, "invalid use of '%%' in replacement string");
        }
        len -= (size_t)(percent + 2 - text);
        text = percent + 2;
        vm_charge(p->L, 1 + (end - start) / VM_BYTES_PER_INSTRUCTION);
    }
    luaL_addlstring(out, text, len);
}

/* What replaces the match [start, end). @return false: nothing did, it is kept */
static bool add_replacement(struct pattern *p, luaL_Buffer *out, size_t start, size_t end)
{
    lua_State *L = p->L;
    int type = lua_type(L, 3);

    if (type == LUA_TFUNCTION) {
        lua_pushvalue(L, 3);
        lua_call(L, pattern_push_all(p, start, end), 1);
    } else if (type == LUA_TTABLE) {
        pattern_push(p, 0, start, end);
        vm_charge_key(L, 3, lua_gettop(L), "__index");
        lua_gettable(L, 3);
    } else {
        add_text(p, out, start, end);
        return true;
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(out, p->subject + start, end - start);
        return false;
    }
    if (!lua_isstring(L, -1)) {
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    }
    lib_charge_number(L, -1);
    lib_charge_copy(L, lua_rawlen(L, -1));
    luaL_addvalue(out);
    return true;
}

int lib_gsub(lua_State *L)
{
    size_t len, text_len, at = 0, last = PATTERN_NONE, end;
    const char *s = luaL_checklstring(L, 1, &len);
    const char *text = luaL_checklstring(L, 2, &text_len);
    int type = lua_type(L, 3);
    lua_Integer most = lib_integer_or(L, 4, (lua_Integer)len + 1), count = 0;
    bool anchored = text_len > 0 && text[0] == '^', changed = false;
    struct pattern p;
    luaL_Buffer out;

    luaL_argexpected(L,
                     type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION ||
                         type == LUA_TTABLE,
                     3, "string/function/table");
    pattern_init(&p, L, s, len, text + anchored, text_len - anchored);
    luaL_buffinit(L, &out);
    while (count < most) {
        end = pattern_match(&p, at);
        if (end != PATTERN_NONE && end != last) {
            count++;
            changed = add_replacement(&p, &out, at, end) || changed;
            at = last = end;
        } else if (at < len) {
            luaL_addchar(&out, s[at++]);
        } else {
            break;
        }
        if (anchored) break;
    }
    pattern_pay(&p);
    if (changed) {
        lib_charge_copy(L, len - at);
        luaL_addlstring(&out, s + at, len - at);
        luaL_pushresult(&out);
    } else {
        lua_pushvalue(L, 1);
    }
    lua_pushinteger(L, count);
    return 2;
}
