/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_LOAD_H
#define WEIR_LUA_LOAD_H
#include "runtime.h"
#include <stddef.h>

/* Loading: compile, look for names that do not exist, run the file itself, look whether what it
 * declares is whole. Reloading does all of it beside what runs, and then exchanges the methods. */

/** A script without text. `user` NULL: with a state of its own, else as a module in that one's.
 *  @return NULL without memory */
struct script *script_new(weir_lua *lua, const char *name, struct script *user);
/** Free it; with its state, if it is its own. Its instances must have ended. */
void script_free(struct script *script);
/** Give up its references into a state that goes on. */
void script_unref(struct script *script);

/** Load text as a module of the script that is loading, inside its main chunk: for `use`. Raises
 *  what is wrong with it. Pushes what the script gets: what `protocol` or `game` gave, or nil.
 *
 *  While a script is loaded anew, a module of it whose text is the same is kept; a changed one is
 *  loaded beside the one that runs, and so are the changed ones among those that it uses.
 *  @return the module; if it is new, it was added to the modules of its user, which owns it */
struct script *load_module(lua_State *L, const char *name, const char *text, size_t len);
/** The text of a module, by the name that it has, to look whether it changed: use.c. @return NULL:
 *  it is not there any more, or is one that weir carries; else yours */
char *load_module_text(const char *name, size_t *len);
/** Load text into a script that has a state: compile, check, run. On failure the script is good for
 *  script_free only. @return 0; WEIR_E_ARGUMENT, WEIR_E_MEMORY with *error filled */
int32_t load_text(struct script *script, const char *text, size_t len, weir_error *error);
/** Give a new script its state, with every word of the API in it. @return false without memory */
bool load_open_state(struct script *script);
/** Load new text for a script that runs. @return 0; as load_text; WEIR_E_STATE what it declares has
 *  changed, and nothing else has */
int32_t load_again(struct script *script, const char *text, size_t len, weir_error *error);
/** The script of the main chunk that runs. Raises "<word> works while the file loads, not in a
 *  handler". */
struct script *load_check(lua_State *L);
#endif
