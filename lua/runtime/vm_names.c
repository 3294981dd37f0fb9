/* SPDX-License-Identifier: MIT */
/* Two of Lua's metamethods are not for scripts as they are.
 *
 * __mode makes a table weak, and a weak table shows when the collector ran. __call may name another
 * table with __call, and a row of n such costs n * n / 2 moves wherever anything is called: by an
 * instruction, a sort, a `close` variable on the way out of an error. Refusing both in setmetatable
 * is not enough: a metatable can be changed later, or hold the field by way of rawset.
 *
 * Lua looks both up by two strings that it made when the state began, and never by their text: a
 * short string exists once. So before the first script is compiled the bytes of these two are
 * changed. A script that writes "__mode" gets another string, which means nothing to Lua. What C
 * code put under the old names before that keeps working. For __call setmetatable writes the
 * function under Lua's own name (vm_push_call), when there is one: so a table is callable from then
 * on, by a function only. The bytes are random and pairs passes over the key, so no script can name
 * it. */
#include "vm_internal.h"
#include <string.h>

static const char call_key;

/* The name's own bytes, as they lie in the state. */
static char *bytes_of(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    return (char *)(uintptr_t)lua_tostring(L, -1);
}

void vm_names_hide(struct vm *vm)
{
    uint64_t bits = (uint64_t)(uintptr_t)vm * 0x9e3779b97f4a7c15u ^ vm->phase;
    char *names[2];

    if (vm->call_name) return;
    names[0] = vm->mode_bytes;
    names[1] = vm->call_bytes;
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 6; k++) {
            bits = bits * 6364136223846793005u + 1442695040888963407u;
            names[i][k] = (char)(0x80 | bits >> 57);
        }
    vm->call_name = vm->call_bytes;
}

void vm_names_open(struct vm *vm, lua_State *L)
{
    vm->mode_bytes = bytes_of(L, "__mode");
    vm->call_bytes = bytes_of(L, "__call");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &call_key);
    lua_pop(L, 1);
}

void vm_push_call(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &call_key);
}

bool vm_is_call(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TSTRING && lua_tostring(L, index) == vm_of(L)->call_name;
}
