/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_DECLARE_H
#define WEIR_LUA_DECLARE_H
#include "entry.h"

/* What a declaration is in Lua, between script.c, declare.c and load.c. */
#define ENTRY_CLASS "entry"
#define OBJECT_CLASS "protocol"

/** What message {...} gives, and later P.name. */
struct entry_value {
    const struct entry_ops *ops;
    struct script *script;     /**< NULL: declared, but in no protocol or game yet */
    uint32_t index;
    int line;                  /**< of the file */
    uint64_t values[ENTRY_KEYS_MAX];
};
/** What protocol and game give: P. */
struct object_value {
    struct script *script;
};

/** The classes behind both. */
void words_script(lua_State *L);
/** Push P, make its methods table and the metatable of self; for declare.c. */
void script_make_object(lua_State *L, struct script *script);
/** A name that P or self may have: an entry, a method, every. For what is said of others. */
struct suggest;
void script_suggest(lua_State *L, const struct script *script, struct suggest *s);
/** A reload took: what stands for `from` in Lua stands for `to` now. */
void script_move_values(lua_State *L, struct script *from, struct script *to);
#endif
