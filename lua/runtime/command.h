/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_COMMAND_H
#define WEIR_LUA_COMMAND_H
#include "weir_lua.h"
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

/* The `weir` command: its commands are Lua (lua/cli), in a state of their own that is trusted, and
 * what they cannot do by themselves stands in one table, `weir`. Scripts never see this state: they
 * run in those of weir_lua.h. A failure is nil, a sentence, the name of the error ("not_found"). */

struct command_node {
    weir_node *node;           /**< NULL: closed */
    bool is_owned;             /**< false: a world's, which its user value keeps alive */
};
struct command_world {
    weir_world *world;         /**< NULL: closed */
    uint64_t nodes;
};

/** Put functions into the table on top of the stack, and make the class of their objects. */
void command_node_open(lua_State *L);
void command_script_open(lua_State *L);
void command_world_open(lua_State *L);
void command_term_open(lua_State *L);

/** Leave nil, a sentence, the error's name. error may be NULL. @return 3 */
int command_fail(lua_State *L, int32_t code, const weir_error *error);
/** The same, with the facts of the node's last failure. */
int command_fail_node(lua_State *L, int32_t code, weir_node *node);
/** Make a class: methods, and close for __gc and __close. Leaves nothing. */
void command_class(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction close);
/** A field of the table at index, which is absolute; the table may be nil. */
uint64_t command_number(lua_State *L, int index, const char *name, uint64_t otherwise);
bool command_flag(lua_State *L, int index, const char *name);
/** Set a field of the table on top. WEIR_NONE becomes nothing. */
void command_set(lua_State *L, const char *name, uint64_t value);
void command_set_text(lua_State *L, const char *name, const char *value);
/** An array of tables, one for each event: kind is a word, "connected". */
void command_push_events(lua_State *L, const weir_event *events, int64_t count);

/** The object at index. Raises when it was closed. */
weir_node *command_node_check(lua_State *L, int index);
struct command_world *command_world_check(lua_State *L, int index);
/** Push an object for a node; the value on top is popped and kept alive by it. */
void command_node_push(lua_State *L, weir_node *node, bool is_owned);
#endif
