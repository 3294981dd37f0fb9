/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_PATTERN_H
#define WEIR_LUA_PATTERN_H
#include <lua.h>
#include <stddef.h>
#include <stdint.h>

/* Lua 5.4's patterns (manual, section 6.4.1), matched at a price: every step of the matcher costs
 * an instruction, so that backtracking ends with the script's budget. Character classes are those
 * of ASCII whatever the locale of the process is: a script means the same everywhere. */

enum {
    PATTERN_CAPTURES_MAX = 32,
    PATTERN_DEPTH_MAX = 200    /**< nested repetitions and captures under way */
};

#define PATTERN_NONE SIZE_MAX

/** One subject and one pattern. Both are Lua strings that stay on the stack; offsets count from 0.
 *  Fields are the matcher's own, but for those of the essay in pattern.c. */
struct pattern {
    lua_State *L;
    const char *subject, *text;
    size_t subject_len, text_len;
    unsigned captures, depth, steps;
    struct pattern_capture {
        size_t start, len;
        enum { PATTERN_OPEN, PATTERN_CLOSED, PATTERN_POSITION } kind;
    } capture[PATTERN_CAPTURES_MAX];
};

void pattern_init(struct pattern *p, lua_State *L, const char *subject, size_t subject_len,
                  const char *text, size_t text_len);
/** Match the whole pattern at exactly this offset, with captures forgotten first.
 *  @return offset of the end of the match, or PATTERN_NONE
 *  @error  raises for a malformed pattern, one that nests too deep, and a budget used up */
size_t pattern_match(struct pattern *p, size_t at);
/** Charge the steps that were not charged yet: before the function that matched returns. */
void pattern_pay(struct pattern *p);
/** Push capture number index (from 0), or the match [start, end) when there is none at 0. */
void pattern_push(struct pattern *p, unsigned index, size_t start, size_t end);
/** Push all captures; the match itself when there is none and start is not PATTERN_NONE.
 *  @return how many */
int pattern_push_all(struct pattern *p, size_t start, size_t end);

/* The parts of the string library: lib_search.c, lib_format.c. */
int lib_find(lua_State *L);
int lib_match(lua_State *L);
int lib_gmatch(lua_State *L);
int lib_gsub(lua_State *L);
int lib_format(lua_State *L);
/** Charge for copying so many bytes: nothing for a few. */
void lib_charge_copy(lua_State *L, size_t len);
/** luaL_checkinteger and luaL_optinteger, paid by the length when the argument is a numeral. */
lua_Integer lib_integer(lua_State *L, int argument);
lua_Integer lib_integer_or(lua_State *L, int argument, lua_Integer otherwise);
/** Charge for reading the argument as a number if it is a numeral. */
void lib_charge_numeral(lua_State *L, int argument);
/** Charge for writing the value at index as text if it is a number. */
void lib_charge_number(lua_State *L, int index);
/** A start position as scripts give it, from 1; 0 and positions before the string become 1. */
size_t lib_start_of(lua_Integer at, size_t len);
#endif
