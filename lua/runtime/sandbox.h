/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_SANDBOX_H
#define WEIR_LUA_SANDBOX_H
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* What a script can name. The environment is one read-only table; reading a name that it lacks, and
 * writing any, raises with the nearest name that exists. Library tables are read-only too. Which
 * names exist is said by lua/api.lua; a test compares. */

/** Build the environment and the safe functions of Lua's own libraries; leaves nothing on the
 *  stack. Raises without memory. */
void sandbox_open(lua_State *L);
/** Put the value on top of the stack into the environment under this name, and pop it. */
void sandbox_set(lua_State *L, const char *name);
/** Push the environment: the _ENV of every chunk. */
void sandbox_push(lua_State *L);
/** Make the table at index read-only for scripts: pushes the proxy that stands for it. Reading a
 *  missing key raises "<what> has no '<key>' (did you mean '<nearest>'?)" when what is not NULL,
 *  else gives nil. pairs, ipairs, # and next work on the proxy. */
void sandbox_freeze(lua_State *L, int index, const char *what);
/** Make an object's metatable for userdata of the runtime: as luaL_newmetatable, with methods under
 *  __index (a missing name raises with the nearest one), __name, and __metatable = false. Leaves
 *  nothing. */
struct luaL_Reg;
void sandbox_class(lua_State *L, const char *name, const struct luaL_Reg *methods,
                   const struct luaL_Reg *meta);
/** What scripts have in the place of a library that they lack, as the end of a
 *  sentence (": now() is the clock"); NULL for other names. */
const char *sandbox_instead(const char *key);
/** As luaL_checkoption; what it raises names the choices. */
int sandbox_option(lua_State *L, int index, const char *fallback, const char *const *choices);
/** Raise "no '<key>' in <what>", with the nearest of the string keys of the table at index. */
int sandbox_missing(lua_State *L, int index, const char *key, const char *what);
/** Whether the value at index is a proxy that sandbox_freeze made; then pushes what it stands for:
 *  only for reading, never for scripts. */
bool sandbox_thaw(lua_State *L, int index);
/** As luaL_tolstring (pushes the text), but a value without __tostring and __name gives the name of
 *  its type, never an address. */
const char *sandbox_text(lua_State *L, int index, size_t *len);
/** pairs and next in an order that does not depend on addresses: see lib_pairs.c. */
int sandbox_pairs(lua_State *L);
int sandbox_next(lua_State *L);

/** assert, error, pcall, print and the like, into the table on top of the stack. */
void lib_base_open(lua_State *L);
/* The libraries, each in its file; each opens one table on the stack. */
int lib_coroutine_open(lua_State *L);
int lib_string_open(lua_State *L);
int lib_table_open(lua_State *L);
int lib_math_open(lua_State *L);
int lib_utf8_open(lua_State *L);
#endif
