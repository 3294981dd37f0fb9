/* SPDX-License-Identifier: MIT */
/* Walking a table in an order that everybody can predict: 1 to the last index before the first gap,
 * then booleans, numbers and strings, each by value (strings by bytes, false before true). Lua's
 * own order follows hashes that are seeded when the program starts. Keys of other types would
 * follow addresses, so they raise.
 *
 * pairs takes a snapshot of the keys behind the array part and sorts it (heapsort: no second
 * buffer, no bad case), so the body may change fields, also to nil. What it removes is skipped.
 * next has no snapshot: it looks at all keys every time, in no memory, and is charged for it, so a
 * loop over next is for small tables and `next(t) == nil` for any. */
#include "sandbox.h"
#include "vm.h"
#include <lauxlib.h>
#include <string.h>

enum { KEYS_PER_CHARGE = 64, STRING_BYTES_PER_INSTRUCTION = 16 };

struct key {
    enum { KEY_BOOLEAN, KEY_INTEGER, KEY_FLOAT, KEY_STRING } type;
    int index; /* in the unsorted list */
    union {
        lua_Integer integer;
        lua_Number number;
        struct {
            const char *text;
            size_t len;
        } string;
    } as;
};

/* The key at the index of the stack. A string must stay where it is while the key is used. */
static struct key key_at(lua_State *L, int index)
{
    struct key key = {.type = KEY_BOOLEAN};

    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN: key.as.integer = lua_toboolean(L, index); break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index)) {
            key.type = KEY_INTEGER;
            key.as.integer = lua_tointeger(L, index);
        } else {
            key.type = KEY_FLOAT;
            key.as.number = lua_tonumber(L, index);
        }
        break;
    case LUA_TSTRING:
        key.type = KEY_STRING;
        key.as.string.text = lua_tolstring(L, index, &key.as.string.len);
        break;
    default:
        luaL_error(L,
                   "a table with a %s as a key has no order that would be the same in another run: "
                   "use strings or numbers as keys, or keep a list",
                   luaL_typename(L, index));
    }
    return key;
}

/* Floats that are keys have no integer value (Lua makes those integers), and are no NaN. */
static bool integer_before_float(lua_Integer a, lua_Number b)
{
    if (b >= 9223372036854775808.0) return true;
    if (b < -9223372036854775808.0) return false;
    /* b has a fraction: a < b exactly if a <= floor(b), and truncation is floor or floor + 1. */
    return b > 0 ? a <= (lua_Integer)b : a < (lua_Integer)b;
}

static bool string_before(const struct key *a, const struct key *b)
{
    size_t len = a->as.string.len < b->as.string.len ? a->as.string.len : b->as.string.len;
    int order = memcmp(a->as.string.text, b->as.string.text, len);

    return order ? order < 0 : a->as.string.len < b->as.string.len;
}

static bool before(const struct key *a, const struct key *b)
{
    static const int rank[] = {0, 1, 1, 2};

    if (rank[a->type] != rank[b->type]) return rank[a->type] < rank[b->type];
    if (a->type == KEY_STRING) return string_before(a, b);
    if (a->type == KEY_FLOAT && b->type == KEY_FLOAT) return a->as.number < b->as.number;
    if (a->type == KEY_FLOAT) return !integer_before_float(b->as.integer, a->as.number);
    if (b->type == KEY_FLOAT) return integer_before_float(a->as.integer, b->as.number);
    return a->as.integer < b->as.integer;
}

static void sink(struct key *keys, int at, int count)
{
    struct key moved = keys[at];
    int child;

    while ((child = 2 * at + 1) < count) {
        if (child + 1 < count && before(&keys[child], &keys[child + 1])) child++;
        if (!before(&moved, &keys[child])) break;
        keys[at] = keys[child];
        at = child;
    }
    keys[at] = moved;
}

static void sort(struct key *keys, int count)
{
    int i;

    for (i = count / 2 - 1; i >= 0; i--) sink(keys, i, count);
    for (i = count - 1; i > 0; i--) {
        struct key last = keys[i];

        keys[i] = keys[0];
        keys[0] = last;
        sink(keys, 0, i);
    }
}

/* The last index before the first gap. */
static lua_Integer sequence(lua_State *L, int table)
{
    lua_Integer n = 0;

    while (vm_charge_index(L, table, n + 1, NULL), lua_rawgeti(L, table, n + 1) != LUA_TNIL) {
        lua_pop(L, 1);
        if (++n % KEYS_PER_CHARGE == 0) vm_charge(L, KEYS_PER_CHARGE);
    }
    lua_pop(L, 1);
    return n;
}

static bool in_sequence(lua_State *L, int index, lua_Integer last)
{
    lua_Integer i = lua_isinteger(L, index) ? lua_tointeger(L, index) : 0;

    return i >= 1 && i <= last;
}

/* Count the keys behind the sequence, and what comparing them may cost. */
static int rest_count(lua_State *L, int table, lua_Integer last, uint64_t *cost)
{
    uint64_t seen = 0;
    int count = 0;

    *cost = 0;
    lua_pushnil(L);
    while (lua_next(L, table)) {
        lua_pop(L, 1);
        if (++seen % KEYS_PER_CHARGE == 0) vm_charge(L, 2 * KEYS_PER_CHARGE);
        if (in_sequence(L, -1, last) || vm_is_call(L, -1)) continue;
        count++;
        *cost += 4;
        if (lua_type(L, -1) == LUA_TSTRING)
            *cost += lua_rawlen(L, -1) / STRING_BYTES_PER_INSTRUCTION;
    }
    return count;
}

/* Push the snapshot: the keys behind the sequence in their order. */
static void push_rest(lua_State *L, int table, lua_Integer last, int count, uint64_t cost)
{
    struct key *keys;
    int i = 0, rounds = 1, unsorted;

    while (count >> rounds) rounds++;
    vm_charge(L, cost * (uint64_t)rounds);
    lua_createtable(L, count, 0);
    lua_createtable(L, count, 0);
    unsorted = lua_gettop(L);
    keys = lua_newuserdatauv(L, (size_t)count * sizeof *keys, 0);
    lua_pushnil(L);
    while (lua_next(L, table)) {
        lua_pop(L, 1);
        if (in_sequence(L, -1, last) || vm_is_call(L, -1)) continue;
        keys[i] = key_at(L, -1);
        keys[i].index = i + 1;
        i++;
        lua_pushvalue(L, -1);
        lua_rawseti(L, unsorted, i);
    }
    sort(keys, count);
    for (i = 0; i < count; i++) {
        lua_rawgeti(L, unsorted, keys[i].index);
        lua_rawseti(L, unsorted - 1, i + 1);
    }
    lua_settop(L, unsorted - 1);
}

/* Upvalues: the table, the last of the sequence, the snapshot or nil, how many were given. */
static int step(lua_State *L)
{
    lua_Integer last = lua_tointeger(L, lua_upvalueindex(2));
    lua_Integer at = lua_tointeger(L, lua_upvalueindex(4));
    uint64_t skipped = 0;

    vm_charge(L, 2);
    for (;;) {
        if (++skipped % KEYS_PER_CHARGE == 0) vm_charge(L, KEYS_PER_CHARGE);
        lua_settop(L, 0);
        at++;
        if (at <= last)
            lua_pushinteger(L, at);
        else if (lua_isnil(L, lua_upvalueindex(3)) ||
                 lua_rawgeti(L, lua_upvalueindex(3), at - last) == LUA_TNIL)
            break;
        vm_charge_key(L, lua_upvalueindex(1), 1, NULL);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL) continue;
        lua_pushinteger(L, at);
        lua_replace(L, lua_upvalueindex(4));
        return 2;
    }
    lua_pushnil(L);
    return 1;
}

static int pairs_continue(lua_State *L, int status, lua_KContext context)
{
    (void)L;
    (void)status;
    (void)context;
    return 3;
}

int sandbox_pairs(lua_State *L)
{
    lua_Integer last;
    uint64_t cost;
    int count;

    luaL_checkany(L, 1);
    vm_charge(L, 10);
    vm_charge_event(L, 1, "__pairs");
    if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
        vm_charge_call(L, -1);
        lua_pushvalue(L, 1);
        lua_callk(L, 1, 3, 0, pairs_continue);
        return 3;
    }
    if (luaL_testudata(L, 1, "view") || luaL_testudata(L, 1, "map"))
        return luaL_argerror(L, 1, "table expected: a view or a map is walked by its each()");
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (sandbox_thaw(L, 1)) lua_replace(L, 1);
    vm_charge_walk(L, 1);
    last = sequence(L, 1);
    count = rest_count(L, 1, last, &cost);
    lua_pushvalue(L, 1);
    lua_pushinteger(L, last);
    if (count)
        push_rest(L, 1, last, count, cost);
    else
        lua_pushnil(L);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, step, 4);
    return 1;
}

/* Push the least of the keys behind the sequence that come after `given` (NULL: of all), and its
 * value. */
static int push_least(lua_State *L, lua_Integer last, const struct key *given)
{
    struct key least = {0};
    bool found = false;
    uint64_t seen = 0;

    vm_charge_walk(L, 1);

    lua_settop(L, 2);
    lua_pushnil(L); /* 3: the least so far */
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        struct key key;

        lua_pop(L, 1);
        if (++seen % KEYS_PER_CHARGE == 0) vm_charge(L, 4 * KEYS_PER_CHARGE);
        if (in_sequence(L, -1, last) || vm_is_call(L, -1)) continue;
        key = key_at(L, -1);
        if (key.type == KEY_STRING) vm_charge(L, key.as.string.len / STRING_BYTES_PER_INSTRUCTION);
        if ((given && !before(given, &key)) || (found && !before(&key, &least))) continue;
        found = true;
        least = key;
        lua_pushvalue(L, -1);
        lua_replace(L, 3);
    }
    if (!found) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushvalue(L, 3);
    lua_pushvalue(L, 3);
    lua_rawget(L, 1);
    return 2;
}

int sandbox_next(lua_State *L)
{
    lua_Integer last, at = 0;
    struct key given;

    luaL_checktype(L, 1, LUA_TTABLE);
    vm_charge(L, 4);
    lua_settop(L, 2);
    if (sandbox_thaw(L, 1)) lua_replace(L, 1);
    if (lua_isnil(L, 2)) {
        lua_pushinteger(L, 1);
        if (lua_rawgeti(L, 1, 1) != LUA_TNIL) return 2;
        return push_least(L, 0, NULL);
    }
    last = sequence(L, 1);
    if (in_sequence(L, 2, last)) {
        at = lua_tointeger(L, 2);
        if (at == last) return push_least(L, last, NULL);
        lua_pushinteger(L, at + 1);
        lua_rawgeti(L, 1, at + 1);
        return 2;
    }
    given = key_at(L, 2);
    return push_least(L, last, &given);
}
