/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_SCRIPT_STATE_H
#define WEIR_TESTS_SCRIPT_STATE_H
#include "runtime/runtime.h"
#include "runtime/sandbox.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* The inside of a loaded script's state, for tests that compare it with what is promised. */
struct script_state {
    weir_lua *lua;
    lua_State *L;
};

static inline void script_state_open(struct script_state *s)
{
    static const char text[] = "local P = protocol 'table/1' { serve = 1 }\nreturn P\n";
    weir_error error = {.size = sizeof error};
    if (weir_lua_create(NULL, &s->lua, &error) != 0) abort();
    if (weir_lua_load(s->lua, "table.lua", text, sizeof text - 1, &error) < 0) abort();
    s->L = vm_main(s->lua->scripts[0]->vm);
}

static inline void script_state_close(struct script_state *s)
{
    (void)weir_lua_free(s->lua);
}

/* Leaves the table whose keys are the words. */
static inline void script_state_words(struct script_state *s)
{
    sandbox_push(s->L);
    if (!sandbox_thaw(s->L, -1)) abort();
    lua_remove(s->L, -2);
}

/* Leaves the table of methods of a class. */
static inline void script_state_methods(struct script_state *s, const char *class)
{
    luaL_getmetatable(s->L, class);
    lua_getfield(s->L, -1, "__index");
    lua_remove(s->L, -2);
    /* A class that has values too looks its methods up in its upvalue. */
    if (!lua_isfunction(s->L, -1)) return;
    if (lua_getupvalue(s->L, -1, 1) == NULL) abort();
    lua_remove(s->L, -2);
}
#endif
