/* SPDX-License-Identifier: MIT */
/* The math library of scripts: Lua 5.4's functions, all of constant cost; but random is the
 * state's (vm_random_next), so that a run can be repeated, and there is no randomseed. */
#include "runtime/pattern.h"
#include "runtime/sandbox.h"
#include "runtime/vm.h"
#include <lauxlib.h>
#include <lualib.h>

enum { DRAWS_MAX = 64 };

/* A number from 0 to most, all equally likely: draws that are too large under the mask are dropped,
 * less than every second one. A source that never gives a small one is met by a modulo, whose bias
 * then is the least of it. */
static lua_Unsigned draw(struct vm *vm, lua_Unsigned most)
{
    lua_Unsigned mask = most, value = 0;

    for (unsigned shift = 1; shift < 64; shift *= 2) mask |= mask >> shift;
    for (unsigned i = 0; i < DRAWS_MAX; i++) {
        value = vm_random_next(vm) & mask;
        if (value <= most) return value;
    }
    return value % (most + 1);
}

static int math_random(lua_State *L)
{
    struct vm *vm = vm_of(L);
    lua_Integer low = 1, high;
    int count = lua_gettop(L);

    if (count == 0) {
        /* The 53 high bits, as many as a double holds. */
        lua_pushnumber(L, (lua_Number)(vm_random_next(vm) >> 11) * 0x1p-53);
        return 1;
    }
    if (count > 2) return luaL_error(L, "wrong number of arguments");
    high = lib_integer(L, count);
    if (count == 2) low = lib_integer(L, 1);
    if (count == 1 && high == 0) {
        lua_pushinteger(L, (lua_Integer)vm_random_next(vm));
        return 1;
    }
    luaL_argcheck(L, low <= high, count, "interval is empty");
    lua_pushinteger(
        L, (lua_Integer)((lua_Unsigned)low + draw(vm, (lua_Unsigned)high - (lua_Unsigned)low)));
    return 1;
}

/* Lua's own function, the upvalue, once numerals among its arguments are paid for. */
static int paid(lua_State *L)
{
    for (int i = lua_gettop(L); i > 0; i--) lib_charge_numeral(L, i);
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

int lib_math_open(lua_State *L)
{
    static const char *const taken[] = {
        "abs",  "acos", "asin", "atan", "ceil",       "cos",  "deg",        "exp",  "floor",
        "fmod", "huge", "log",  "max",  "maxinteger", "min",  "mininteger", "modf", "pi",
        "rad",  "sin",  "sqrt", "tan",  "tointeger",  "type", "ult"};

    lua_newtable(L);
    lua_pushcfunction(L, luaopen_math);
    lua_call(L, 0, 1);
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        if (lua_getfield(L, -1, taken[i]) == LUA_TFUNCTION) lua_pushcclosure(L, paid, 1);
        lua_setfield(L, -3, taken[i]);
    }
    lua_pop(L, 1);
    lua_pushcfunction(L, math_random);
    lua_setfield(L, -2, "random");
    return 1;
}
