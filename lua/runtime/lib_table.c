/* SPDX-License-Identifier: MIT */
/* The table library of scripts: Lua 5.4's, with metamethods respected, and paid for before the
 * work: an element that moves costs one instruction, whatever __len says that there are.
 *
 * sort is our own, a stable merge sort over a copy. Lua's picks pivots by the clock and the
 * address of a variable, so that equal elements could come out in another order in another run.
 * A copy means that a comparison function which fails, or which changes the table, leaves nothing
 * half sorted; and that n log2 n comparisons are the worst case, too. Whether the function
 * contradicts itself is looked at once, at the end: neighbours that are the wrong way round mean
 * that it does. */
#include "runtime/pattern.h"
#include "runtime/sandbox.h"
#include "runtime/vm.h"
#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>

enum {
    UNPACK_MAX = 1000,
    STEP_COST = 4, /* of one comparison in sort and one element moved, measured */
    READS = 1,     /* what an operation does with its table */
    WRITES = 2,
    MEASURES = 4
};

static bool has_field(lua_State *L, int metatable, const char *name)
{
    bool has;

    lua_pushstring(L, name);
    has = lua_rawget(L, metatable) != LUA_TNIL;
    lua_pop(L, 1);
    return has;
}

/* A table, or what stands in for one by its metamethods. */
static void check_table(lua_State *L, int index, int what)
{
    int metatable;
    bool fine;

    if (lua_type(L, index) == LUA_TTABLE) return;
    if (!lua_getmetatable(L, index)) luaL_checktype(L, index, LUA_TTABLE);
    metatable = lua_gettop(L);
    fine = ((what & READS) == 0 || has_field(L, metatable, "__index")) &&
           ((what & WRITES) == 0 || has_field(L, metatable, "__newindex")) &&
           ((what & MEASURES) == 0 || has_field(L, metatable, "__len"));
    if (!fine) luaL_checktype(L, index, LUA_TTABLE);
    lua_pop(L, 1);
}

static lua_Integer length(lua_State *L, int index)
{
    vm_charge_length(L, index);
    return luaL_len(L, index);
}

static lua_Integer measure(lua_State *L, int index, int what)
{
    check_table(L, index, what | MEASURES);
    return length(L, index);
}

static int get(lua_State *L, int index, lua_Integer key)
{
    vm_charge_index(L, index, key, "__index");
    return lua_geti(L, index, key);
}

/* Set it to the value on top, which is popped. */
static void set(lua_State *L, int index, lua_Integer key)
{
    vm_charge_index(L, index, key, "__newindex");
    lua_seti(L, index, key);
}

/* The number of steps from first to last, both included, neither of which needs to make sense. */
static uint64_t distance(lua_Integer first, lua_Integer last)
{
    return first > last ? 0 : (uint64_t)last - (uint64_t)first;
}

static int table_insert(lua_State *L)
{
    lua_Integer end = (lua_Integer)((lua_Unsigned)measure(L, 1, READS | WRITES) + 1u), at = end;

    switch (lua_gettop(L)) {
    case 2: break;
    case 3:
        at = lib_integer(L, 2);
        luaL_argcheck(L, (lua_Unsigned)at - 1u < (lua_Unsigned)end, 2, "position out of bounds");
        vm_charge(L, distance(at, end));
        for (lua_Integer i = end; i > at; i--) {
            get(L, 1, i - 1);
            set(L, 1, i);
        }
        break;
    default: return luaL_error(L, "wrong number of arguments to 'insert'");
    }
    set(L, 1, at);
    return 0;
}

static int table_remove(lua_State *L)
{
    lua_Integer size = measure(L, 1, READS | WRITES);
    lua_Integer at = lib_integer_or(L, 2, size);

    luaL_argcheck(L, at == size || (lua_Unsigned)at - 1u <= (lua_Unsigned)size, 2,
                  "position out of bounds");
    get(L, 1, at);
    vm_charge(L, 1 + distance(at, size));
    for (; at < size; at++) {
        get(L, 1, at + 1);
        set(L, 1, at);
    }
    lua_pushnil(L);
    set(L, 1, at);
    return 1;
}

static int table_move(lua_State *L)
{
    lua_Integer first = lib_integer(L, 2), last = lib_integer(L, 3);
    lua_Integer to = lib_integer(L, 4), count;
    int target = lua_isnoneornil(L, 5) ? 1 : 5;
    bool forwards;

    check_table(L, 1, READS);
    check_table(L, target, WRITES);
    if (last >= first) {
        luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3,
                      "too many elements to move");
        count = last - first + 1;
        luaL_argcheck(L, to <= LUA_MAXINTEGER - count + 1, 4, "destination wrap around");
        vm_charge(L, (uint64_t)count);
        /* Backwards only where the ranges overlap and the source would be overwritten. */
        vm_charge_event(L, 1, "__eq");
        vm_charge_event(L, target, "__eq");
        forwards =
            to > last || to <= first || (target != 1 && !lua_compare(L, 1, target, LUA_OPEQ));
        for (lua_Integer i = 0; i < count; i++) {
            lua_Integer step = forwards ? i : count - 1 - i;

            get(L, 1, first + step);
            set(L, target, to + step);
        }
    }
    lua_pushvalue(L, target);
    return 1;
}

static void add_element(lua_State *L, luaL_Buffer *out, lua_Integer index)
{
    get(L, 1, index);
    if (!lua_isstring(L, -1)) {
        luaL_error(L, "invalid value (%s) at index %I in table for 'concat'", luaL_typename(L, -1),
                   (LUAI_UACINT)index);
    }
    lib_charge_number(L, -1);
    vm_charge(L, 2 + lua_rawlen(L, -1) / VM_BYTES_PER_INSTRUCTION);
    luaL_addvalue(out);
}

static int table_concat(lua_State *L)
{
    lua_Integer last = measure(L, 1, READS), i;
    size_t separator_len;
    const char *separator = luaL_optlstring(L, 2, "", &separator_len);
    luaL_Buffer out;

    i = lib_integer_or(L, 3, 1);
    last = lib_integer_or(L, 4, last);
    luaL_buffinit(L, &out);
    for (; i < last; i++) {
        add_element(L, &out, i);
        if (separator_len >= VM_BYTES_PER_INSTRUCTION) {
            vm_charge(L, separator_len / VM_BYTES_PER_INSTRUCTION);
        }
        luaL_addlstring(&out, separator, separator_len);
    }
    if (i == last) add_element(L, &out, i);
    luaL_pushresult(&out);
    return 1;
}

static int table_pack(lua_State *L)
{
    int count = lua_gettop(L);

    vm_charge(L, (uint64_t)count);
    lua_createtable(L, count, 1);
    lua_insert(L, 1);
    for (int i = count; i >= 1; i--) lua_rawseti(L, 1, i);
    lua_pushinteger(L, count);
    lua_setfield(L, 1, "n");
    return 1;
}

static int table_unpack(lua_State *L)
{
    lua_Integer first = lib_integer_or(L, 2, 1);
    lua_Integer last = lua_isnoneornil(L, 3) ? length(L, 1) : lib_integer(L, 3);
    uint64_t more = distance(first, last);

    if (first > last) return 0;
    if (more >= UNPACK_MAX || !lua_checkstack(L, (int)more + 1)) {
        return luaL_error(L, "too many results to unpack (at most %d)", UNPACK_MAX);
    }
    vm_charge(L, more + 1);
    for (uint64_t i = 0; i <= more; i++) {
        get(L, 1, (lua_Integer)((uint64_t)first + i));
    }
    return (int)more + 1;
}

/* Indices on the stack of sort. */
enum { SORTED = 1, LESS = 2, FROM = 3, TO = 4 };

/* Whether the second value on top goes before the first; pops both. */
static bool less(lua_State *L)
{
    bool is;

    if (!lua_isnil(L, LESS)) {
        lua_pushvalue(L, LESS);
        lua_rotate(L, -3, 1);
        lua_call(L, 2, 1);
        is = lua_toboolean(L, -1);
        lua_pop(L, 1);
        return is;
    }
    if (lua_type(L, -1) == LUA_TSTRING && lua_type(L, -2) == LUA_TSTRING) {
        size_t first = lua_rawlen(L, -2), second = lua_rawlen(L, -1);

        vm_charge(L, 1 + (first < second ? first : second) / VM_BYTES_PER_INSTRUCTION);
    }
    vm_charge_event(L, -1, "__lt");
    vm_charge_event(L, -2, "__lt");
    is = lua_compare(L, -2, -1, LUA_OPLT);
    lua_pop(L, 2);
    return is;
}

/* Whether element second of the table at index FROM goes before element first. */
static bool before(lua_State *L, lua_Integer second, lua_Integer first)
{
    lua_rawgeti(L, FROM, second);
    lua_rawgeti(L, FROM, first);
    return less(L);
}

/* Merge the runs [left, middle) and [middle, right) of FROM into TO. */
static void merge(lua_State *L, lua_Integer left, lua_Integer middle, lua_Integer right)
{
    lua_Integer i = left, j = middle;

    for (lua_Integer out = left; out < right; out++) {
        /* Equal elements keep their order. */
        bool second = i == middle || (j < right && before(L, j, i));

        lua_rawgeti(L, FROM, second ? j++ : i++);
        lua_rawseti(L, TO, out);
    }
}

static int table_sort(lua_State *L)
{
    lua_Integer count = measure(L, SORTED, READS | WRITES);
    unsigned rounds = 1;

    if (count < 2) return 0;
    luaL_argcheck(L, count < INT_MAX, 1, "array too big");
    if (!lua_isnoneornil(L, LESS)) luaL_checktype(L, LESS, LUA_TFUNCTION);
    lua_settop(L, LESS);
    while ((lua_Integer)1 << rounds < count) rounds++;
    vm_charge(L, (uint64_t)count * rounds * STEP_COST);
    lua_createtable(L, (int)count, 0);
    lua_createtable(L, (int)count, 0);
    for (lua_Integer i = 1; i <= count; i++) {
        get(L, SORTED, i);
        lua_rawseti(L, FROM, i);
    }
    for (lua_Integer width = 1; width < count; width *= 2) {
        for (lua_Integer left = 1; left <= count; left += 2 * width) {
            lua_Integer middle = left + width <= count ? left + width : count + 1;
            lua_Integer right = middle + width <= count ? middle + width : count + 1;

            merge(L, left, middle, right);
        }
        lua_insert(L, FROM);
    }
    for (lua_Integer i = 1; i < count; i++) {
        if (before(L, i + 1, i)) return luaL_error(L, "invalid order function for sorting");
    }
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, FROM, i);
        set(L, SORTED, i);
    }
    return 0;
}

int lib_table_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"concat", table_concat}, {"insert", table_insert},
                                         {"move", table_move},     {"pack", table_pack},
                                         {"remove", table_remove}, {"sort", table_sort},
                                         {"unpack", table_unpack}, {NULL, NULL}};

    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    return 1;
}
