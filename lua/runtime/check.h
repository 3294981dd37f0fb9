/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_CHECK_H
#define WEIR_LUA_CHECK_H
#include <lua.h>
#include <stdbool.h>

/* Finding, when a script is loaded, what would otherwise fail when it first runs: names that do not
 * exist. The compiled function is dumped (lua_dump) and its instructions are read, so what is
 * checked is what will run. */

/** Whether `key` exists in what `table` names; called for every constant string key by which a
 *  function, or one inside it, indexes an upvalue. `table` is the upvalue's name: "_ENV" for
 *  globals, else a local variable of an enclosing function that holds an object (P, G).
 *  @param is_write  the script assigns to it
 *  @return NULL: fine, or not known; else the end of a sentence, for example "no such name (did you
 *          mean 'ask'?)" */
typedef const char *(*check_name)(void *context, const char *table, const char *key,
                                  bool is_write);

/** Check the Lua function on top of the stack, and all functions inside it.
 *  @param message  room for the first problem: "file.lua:12: 'aks': no such name (did you mean
 *                  'ask'?)"
 *  @return true: nothing was found */
bool check_function(lua_State *L, check_name name, void *context, char *message, size_t cap);
#endif
