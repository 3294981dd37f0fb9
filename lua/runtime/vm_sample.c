/* SPDX-License-Identifier: MIT */
/* Instructions that cost more than one.
 *
 * Counting instructions bounds time only if one instruction takes bounded time. A few of Lua's do
 * not: comparing two long strings, a remainder of floats far apart, finding a field behind a chain
 * of __index, walking a table's collisions (vm_table.c), moving a long list of arguments. They
 * allocate nothing and no C function of ours runs. So each time the hook looks, it reads which
 * instruction is about to run and what that will cost, and charges as if all of the interval had
 * been like it. A sample of one in about a hundred is right on average, and whoever uses up a
 * budget is sampled often.
 *
 * The instruction is read through the head of Lua 5.4's CallInfo, which the lua_Debug of a hook
 * points to. That is private to Lua, so a probe runs first in every state: when it does not see
 * what it must see, nothing is sampled. What one instruction may cost is bounded elsewhere: the
 * length of strings by the memory cap, of chains of __index by Lua (2000), of __call by
 * vm_names.c. */
#include "vm_internal.h"
#include <lauxlib.h>
#include <math.h>
#include <string.h>

/* Lua 5.4's numbers of instructions. */
enum {
    OP_GETTABUP = 11,
    OP_GETTABLE,
    OP_GETI,
    OP_GETFIELD,
    OP_SETTABUP,
    OP_SETTABLE,
    OP_SETI,
    OP_SETFIELD,
    OP_SELF = 20,
    OP_MODK = 25,
    OP_MOD = 37,
    OP_MMBIN = 46,
    OP_MMBINI,
    OP_MMBINK,
    OP_UNM,
    OP_BNOT,
    OP_LEN = 52,
    OP_CONCAT,
    OP_TBC = 55,
    OP_EQ = 57,
    OP_LT,
    OP_LE,
    OP_LTI = 62,
    OP_LEI,
    OP_GTI,
    OP_GEI,
    OP_CALL = 68,
    OP_TAILCALL,
    OP_RETURN,
    OP_TFORCALL = 76,
    OP_SETLIST = 78,
    OP_VARARG = 80,
    OP_VARARGPREP,
};

enum {
    STRING_BYTES_FREE = 256, /* compared within one instruction's time */
    STRING_BYTES_PER_INSTRUCTION = 64,
    CHAIN_FREE = 4, /* links of __index; a class and its parents have no more */
    LINK_INSTRUCTIONS = 4,
    VALUES_FREE = 64, /* arguments and results moved at once */
    VALUES_PER_INSTRUCTION = 4,
    CHAIN_MAX = 20000,
    VARARGS_MAX = 1 << 20,
    KEY_NAME = -1,
};

struct call_head { /* the first members of CallInfo */
    void *function, *top;
    struct call_head *previous, *next;
    const uint32_t *next_instruction;
};

static uint32_t instruction_at(const lua_Debug *at)
{
    struct call_head head;

    memcpy(&head, at->i_ci, sizeof head);
    return head.next_instruction[-1];
}

static uint64_t compare_cost(lua_State *L, lua_Debug *at, int a, int b)
{
    uint64_t cost = 0;
    size_t first, second;

    if (!lua_getlocal(L, at, a + 1)) return 0;
    if (lua_type(L, -1) == LUA_TSTRING && (first = lua_rawlen(L, -1)) > STRING_BYTES_FREE &&
        lua_getlocal(L, at, b + 1)) {
        second = lua_type(L, -1) == LUA_TSTRING ? lua_rawlen(L, -1) : 0;
        cost = (first < second ? first : second) / STRING_BYTES_PER_INSTRUCTION;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return cost;
}

/* The remainder of floats takes time by the difference of their exponents. */
static uint64_t mod_cost(lua_State *L, lua_Debug *at, int a)
{
    uint64_t cost = 0;
    double value;
    int exponent;

    if (!lua_getlocal(L, at, a + 1)) return 0;
    if (lua_type(L, -1) == LUA_TNUMBER && !lua_isinteger(L, -1)) {
        value = fabs(lua_tonumber(L, -1));
        if (value > 1 && value < HUGE_VAL) {
            frexp(value, &exponent);
            cost = (uint64_t)(exponent + 1074) / 8;
        }
    }
    lua_pop(L, 1);
    return cost;
}

uint64_t vm_sample_path(lua_State *L, const char *event)
{
    int key = lua_gettop(L) - 1;
    uint64_t links = 0, cost = 0;

    for (;; links++) {
        cost += vm_table_find(L, -1, key);
        if (links == CHAIN_MAX || !lua_getmetatable(L, -1)) break;
        lua_pushstring(L, event);
        cost += vm_table_find(L, -2, -1);
        lua_rawget(L, -2);
        lua_replace(L, -3);
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TTABLE && lua_type(L, -1) != LUA_TUSERDATA) break;
    }
    lua_settop(L, key - 1);
    return links > CHAIN_FREE ? cost + (links - CHAIN_FREE) * LINK_INSTRUCTIONS : cost;
}

/* An access by the key in a register; KEY_NAME: by a name, which the instruction has elsewhere. */
static uint64_t access_cost(lua_State *L, lua_Debug *at, int table, int key, const char *event)
{
    if (key == KEY_NAME)
        lua_pushnil(L);
    else if (!lua_getlocal(L, at, key + 1))
        return 0;
    if (!lua_getlocal(L, at, table + 1)) {
        lua_pop(L, 1);
        return 0;
    }
    return vm_sample_path(L, event);
}

static uint64_t number_cost(lua_State *L, lua_Debug *at, int table, int key, const char *event)
{
    lua_pushinteger(L, key);
    if (!lua_getlocal(L, at, table + 1)) {
        lua_pop(L, 1);
        return 0;
    }
    return vm_sample_path(L, event);
}

/* An access to an upvalue by a name. */
static uint64_t upvalue_cost(lua_State *L, lua_Debug *at, int upvalue, const char *event)
{
    uint64_t cost = 0;

    lua_getinfo(L, "f", at);
    lua_pushnil(L);
    if (lua_getupvalue(L, -2, upvalue + 1))
        cost = vm_sample_path(L, event);
    else
        lua_pop(L, 1);
    lua_pop(L, 1);
    return cost;
}

static uint64_t length_cost(lua_State *L, lua_Debug *at, int a)
{
    uint64_t cost;

    if (!lua_getlocal(L, at, a + 1)) return 0;
    cost = vm_table_length(L, -1);
    lua_pop(L, 1);
    return cost;
}

/* Arguments in flight lie above the frame's own registers, of which there are at most 255. */
static uint64_t values_cost(lua_State *L)
{
    uint64_t values = (uint64_t)lua_gettop(L);

    return values > 255 + VALUES_FREE ? values / VALUES_PER_INSTRUCTION : 0;
}

/* What finding the metamethod of a register's value takes; NULL: that of a call. */
static uint64_t operator_cost(lua_State *L, lua_Debug *at, int a, const char *event)
{
    uint64_t cost = 0;

    if (!lua_getlocal(L, at, a + 1)) return 0;
    if (lua_getmetatable(L, -1)) {
        if (event)
            lua_pushstring(L, event);
        else
            vm_push_call(L);
        cost = vm_table_find(L, -2, -1);
        lua_pop(L, 2);
    }
    lua_pop(L, 1);
    return cost;
}

static uint64_t call_cost(lua_State *L, lua_Debug *at, int a)
{
    return values_cost(L) + operator_cost(L, at, a, NULL);
}

static uint64_t binary_cost(lua_State *L, lua_Debug *at, int a, int b, int event)
{
    /* Lua's numbers of metamethods, from 6 on. */
    static const char *const events[] = {"__add",  "__sub",  "__mul", "__mod",  "__pow", "__div",
                                         "__idiv", "__band", "__bor", "__bxor", "__shl", "__shr"};

    if (event < 6 || event > 17) return 0;
    return operator_cost(L, at, a, events[event - 6]) + operator_cost(L, at, b, events[event - 6]);
}

static uint64_t order_cost(lua_State *L, lua_Debug *at, int a, int b, const char *event)
{
    return compare_cost(L, at, a, b) + operator_cost(L, at, a, event) +
           operator_cost(L, at, b, event);
}

static uint64_t vararg_cost(lua_State *L, lua_Debug *at)
{
    int low = 0, high = VALUES_FREE;

    /* How many there are is found by asking for them by number. */
    while (high < VARARGS_MAX && lua_getlocal(L, at, -high)) {
        lua_pop(L, 1);
        low = high;
        high *= 2;
    }
    while (low && high - low > low / 8) {
        int middle = low + (high - low) / 2;

        if (lua_getlocal(L, at, -middle)) {
            lua_pop(L, 1);
            low = middle;
        } else {
            high = middle;
        }
    }
    return (uint64_t)low / VALUES_PER_INSTRUCTION;
}

uint64_t vm_sample(lua_State *L, lua_Debug *at)
{
    /* long: one switch */
    uint32_t code = instruction_at(at);
    int a = code >> 7 & 255, b = code >> 16 & 255, c = (int)(code >> 24);

    switch (code & 127) {
    case OP_EQ: return order_cost(L, at, a, b, "__eq");
    case OP_LT: return order_cost(L, at, a, b, "__lt");
    case OP_LE: return order_cost(L, at, a, b, "__le");
    case OP_LTI:
    case OP_GTI: return operator_cost(L, at, a, "__lt");
    case OP_LEI:
    case OP_GEI: return operator_cost(L, at, a, "__le");
    case OP_MMBIN: return binary_cost(L, at, a, b, c);
    case OP_MMBINI:
    case OP_MMBINK: return binary_cost(L, at, a, a, c);
    case OP_UNM: return operator_cost(L, at, b, "__unm");
    case OP_BNOT: return operator_cost(L, at, b, "__bnot");
    case OP_LEN: return operator_cost(L, at, b, "__len") + length_cost(L, at, b);
    case OP_CONCAT:
        return operator_cost(L, at, a + b - 1, "__concat") +
               operator_cost(L, at, a + b - 2, "__concat");
    case OP_MOD:
    case OP_MODK: return mod_cost(L, at, b);
    case OP_GETTABUP: return upvalue_cost(L, at, b, "__index");
    case OP_GETTABLE: return access_cost(L, at, b, c, "__index");
    case OP_GETI: return number_cost(L, at, b, c, "__index");
    case OP_GETFIELD:
    case OP_SELF: return access_cost(L, at, b, KEY_NAME, "__index");
    case OP_SETTABUP: return upvalue_cost(L, at, a, "__newindex");
    case OP_SETTABLE: return access_cost(L, at, a, b, "__newindex");
    case OP_SETI: return number_cost(L, at, a, b, "__newindex");
    case OP_SETFIELD: return access_cost(L, at, a, KEY_NAME, "__newindex");
    case OP_TBC: return 2 * operator_cost(L, at, a, "__close");
    case OP_CALL:
    case OP_TAILCALL: return call_cost(L, at, a);
    case OP_TFORCALL: return call_cost(L, at, a);
    case OP_RETURN:
    case OP_SETLIST: return values_cost(L);
    case OP_VARARG: return vararg_cost(L, at);
    default: return 0;
    }
}

static void probe(lua_State *L, lua_Debug *at)
{
    uint32_t code = instruction_at(at);
    struct vm *vm = vm_of(L);

    /* a < b, with a and b in registers 0 and 1. */
    if ((code & 127) == OP_LT && (code >> 7 & 255) == 0 && (code >> 16 & 255) == 1)
        vm->can_sample = true;
}

bool vm_sample_test(struct vm *vm)
{
#if LUA_VERSION_NUM == 504
    static const char text[] = "local a, b = ... return a < b";
    lua_State *L = vm->main;

    vm->can_sample = false;
    if (lua_version(L) != 504 || luaL_loadbufferx(L, text, strlen(text), "=probe", "t") != LUA_OK) {
        lua_settop(L, 0);
        return false;
    }
    lua_sethook(L, probe, LUA_MASKCOUNT, 1);
    lua_pushinteger(L, 1);
    lua_pushinteger(L, 2);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) vm->can_sample = false;
    lua_sethook(L, NULL, 0, 0);
    lua_settop(L, 0);
    return vm->can_sample;
#else
    (void)probe;
    (void)vm;
    return false;
#endif
}
