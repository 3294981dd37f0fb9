/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_EMBEDDED_H
#define WEIR_LUA_EMBEDDED_H
#include <stddef.h>

/* The Lua files that the library carries: lua/api.lua, and those of lua/weir, lua/protocols,
 * lua/games and lua/cli. The table is written by the build tool embed.c. */

struct embedded {
    const char *name;          /**< below lua/: "games/hyparview.lua", "api.lua" */
    const char *text;          /**< with a 0 behind it that len does not count */
    size_t len;
};

/** @return the file of this name, or NULL */
const struct embedded *embedded_find(const char *name);
/** The files by name in the order of their bytes. @return NULL from index = their number on */
const struct embedded *embedded_at(size_t index);
#endif
