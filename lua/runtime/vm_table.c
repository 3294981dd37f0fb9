/* SPDX-License-Identifier: MIT */
/* What a table costs beyond its instruction.
 *
 * Lua finds a key by walking a chain of nodes. For strings the hash has a secret seed, but integers
 * are hashed by a remainder, so a script can make thousands of keys fall into one chain: then one
 * access walks thousands of nodes, a walk over the table costs their square, and so does making the
 * table larger, in one instruction that nothing can stop.
 *
 * So chains are measured: the table is read as Lua 5.4 has it in memory, and what is charged is the
 * length of the chain that is about to be walked. Tables of up to NODES_FREE nodes, and chains of
 * up to LINKS_FREE, cost nothing, so scripts whose keys are not made to collide never pay.
 *
 * Larger hash parts are seen by the allocator, before the keys move into them. The table that grows
 * must then be in the hands of whoever runs: in its registers, arguments or upvalues, or behind one
 * of those as __newindex. It is full, or it has the size that is asked for. What moving its keys
 * will cost is computed from them; more than what is left of the budget is refused.
 *
 * The layout is private to Lua. vm_table_test looks in each new state whether it is what is
 * expected; else nothing is read, and large hash parts cost their square. */
#include "vm_internal.h"
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    NODES_FREE_BITS = 6,
    LINKS_FREE = 16,
    LINKS_PER_INSTRUCTION = 2,
    SLOTS_PER_INSTRUCTION = 4, /* looked at one after another */
    NODES_PER_INSTRUCTION = 8, /* of what grows: they are looked at once more */
    GUESSES = 4,
    CANDIDATES_FREE = 300, /* registers, upvalues */
    CANDIDATES_MAX = 20000,
    /* Lua's tags, with their variant; COLLECTABLE may be added. */
    TAG_FALSE = 0x01,
    TAG_TRUE = 0x11,
    TAG_POINTER = 0x02,
    TAG_INTEGER = 0x03,
    TAG_FLOAT = 0x13,
    TAG_SHORT = 0x04,
    TAG_LONG = 0x14,
    TAG_TABLE = 0x05,
    TAG_LUA_FUNCTION = 0x06,
    TAG_C_FUNCTION = 0x16,
    TAG_C_CLOSURE = 0x26,
    TAG_DEAD = 0x0b,
    TAG_MASK = 0x3f,
    COLLECTABLE = 0x40,
    ARRAY_IS_NOT_ALIMIT = 0x80,
};

union value {
    const void *pointer;
    lua_Integer integer;
    lua_Number number;
};

struct cell { /* TValue */
    union value value;
    uint8_t tag;
};

struct node {
    union value value;
    uint8_t tag, key_tag;
    int32_t next;
    union value key;
};

struct table {
    const void *link;
    uint8_t tag, marked, flags, size_bits;
    uint32_t alimit;
    const struct cell *array;
    const struct node *nodes, *last_free;
    const struct table *metatable;
};

struct string {
    const void *link;
    uint8_t tag, marked, extra, short_len;
    uint32_t hash;
};

struct function {
    const void *link;
    uint8_t tag, marked, upvalues_count;
    const void *gray, *code;
    const void *upvalues[]; /* of a C function struct cell, one after another */
};

struct upvalue {
    const void *link;
    uint8_t tag, marked, is_tbc;
    const struct cell *cell;
};

struct frame { /* CallInfo */
    const struct cell *function;
};

static bool is_empty(const struct node *node)
{
    return (node->tag & 15) == 0;
}

static uint32_t size_of(const struct table *t)
{
    return (uint32_t)1 << t->size_bits;
}

static uint32_t array_size(const struct table *t)
{
    uint32_t size = t->alimit;

    if ((t->flags & ARRAY_IS_NOT_ALIMIT) == 0 || (size & (size - 1)) == 0) return size;
    for (unsigned shift = 1; shift < 32; shift *= 2) size |= size >> shift;
    return size + 1;
}

static uint32_t hash_float(double number)
{
    int exponent;
    double scaled = frexp(number, &exponent) * -(double)INT_MIN;
    uint32_t bits;

    if (!(scaled >= -9223372036854775808.0 && scaled < 9223372036854775808.0)) return 0;
    bits = (uint32_t)exponent + (uint32_t)(int64_t)scaled;
    return bits <= INT_MAX ? bits : ~bits;
}

/* Where the chain of a key begins. @return false: this is no key, or its hash is not known yet */
static bool position(uint32_t size, uint8_t tag, union value key, uint32_t *at)
{
    const struct string *string = key.pointer;
    uint32_t odd = (size - 1) | 1;

    switch (tag & TAG_MASK) {
    case TAG_INTEGER: *at = (uint32_t)((uint64_t)key.integer % odd); return true;
    case TAG_FLOAT: *at = hash_float(key.number) % odd; return true;
    case TAG_LONG:
        if (!string->extra) return false;
        /* fall through */
    case TAG_SHORT: *at = string->hash & (size - 1); return true;
    case TAG_FALSE: *at = 0; return true;
    case TAG_TRUE: *at = 1 & (size - 1); return true;
    case TAG_DEAD: return false;
    default: *at = (uint32_t)(uintptr_t)key.pointer % odd; return (tag & 15) != 0;
    }
}

static uint64_t links_from(const struct table *t, uint32_t at)
{
    const struct node *node = &t->nodes[at];
    uint64_t links = 1;

    for (; node->next != 0; node += node->next) links++;
    return links;
}

static uint64_t price(uint64_t links)
{
    return links > LINKS_FREE ? (links - LINKS_FREE) / LINKS_PER_INSTRUCTION : 0;
}

static const struct table *table_at(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TTABLE ? lua_topointer(L, index) : NULL;
}

static bool key_at(lua_State *L, int index, uint8_t *tag, union value *key)
{
    int is_integer;

    switch (lua_type(L, index)) {
    case LUA_TNIL:
    case LUA_TNONE: return false;
    case LUA_TBOOLEAN: *tag = lua_toboolean(L, index) ? TAG_TRUE : TAG_FALSE; return true;
    case LUA_TNUMBER:
        *tag = TAG_INTEGER;
        key->integer = lua_tointegerx(L, index, &is_integer);
        if (is_integer) return true;
        *tag = TAG_FLOAT;
        key->number = lua_tonumber(L, index);
        return true;
    case LUA_TSTRING:
        key->pointer = lua_topointer(L, index);
        *tag = ((const struct string *)key->pointer)->tag;
        return true;
    default:
        *tag = TAG_POINTER;
        key->pointer = lua_topointer(L, index);
        return true;
    }
}

uint64_t vm_table_find(lua_State *L, int table, int key)
{
    struct vm *vm = vm_of(L);
    const struct table *t = vm->can_see ? table_at(L, table) : NULL;
    uint64_t links = 0;
    union value value = {0};
    uint32_t at;
    uint8_t tag;

    if (!t || t->size_bits <= NODES_FREE_BITS) return 0;
    if (key_at(L, key, &tag, &value)) {
        if (tag == TAG_INTEGER && (uint64_t)value.integer - 1 < array_size(t)) return 0;
        return position(size_of(t), tag, value, &at) ? price(links_from(t, at)) : 0;
    }
    /* A key that is not at hand: what one costs on average. */
    for (uint32_t i = 0; i < GUESSES; i++)
        links += links_from(t, (uint32_t)(vm->phase >> (8 * i + 8)) & (size_of(t) - 1));
    return price(links / GUESSES);
}

bool vm_table_is_plain(lua_State *L, int index)
{
    const struct table *t = table_at(L, index);

    if (!t || !vm_of(L)->can_see) return false;
    return !t->metatable && t->size_bits <= NODES_FREE_BITS;
}

/* How long the walks to all keys are together, if the hash part had this size. The excess only. */
static uint64_t walks(const struct table *t, uint32_t size, bool dead_too)
{
    uint32_t *counts = calloc(size, sizeof *counts), at;
    uint64_t links = 0, keys = 0;

    if (!counts) return UINT64_MAX;
    for (uint32_t i = 0; i < size_of(t); i++) {
        const struct node *node = &t->nodes[i];

        if (is_empty(node) && !dead_too) continue;
        if (!position(size, node->key_tag, node->key, &at)) continue;
        links += ++counts[at];
        keys++;
    }
    free(counts);
    return links > LINKS_FREE / 2 * keys ? links / LINKS_PER_INSTRUCTION : 0;
}

uint64_t vm_table_walk(lua_State *L, int table)
{
    struct vm *vm = vm_of(L);
    const struct table *t = table_at(L, table);
    uint64_t cost;

    if (!t) return 0;
    if (!vm->can_see) return vm->current->bytes / 256;
    cost = ((uint64_t)size_of(t) + array_size(t)) / SLOTS_PER_INSTRUCTION;
    if (t->size_bits > NODES_FREE_BITS) {
        uint64_t more = walks(t, size_of(t), true);

        cost = more < UINT64_MAX - cost ? cost + more : more;
    }
    return cost;
}

/* Whether there is a value at i; adds up what was walked. */
static bool find_integer(const struct table *t, uint64_t i, uint64_t *links)
{
    const struct node *node = &t->nodes[i % ((size_of(t) - 1) | 1)];

    if (i - 1 < array_size(t)) return (t->array[i - 1].tag & 15) != 0;
    for (;; node += node->next) {
        ++*links;
        if ((node->key_tag & TAG_MASK) == TAG_INTEGER && (uint64_t)node->key.integer == i)
            return !is_empty(node);
        if (node->next == 0) return false;
    }
}

/* As Lua's luaH_getn, whose steps these are. */
uint64_t vm_table_length(lua_State *L, int table)
{
    const struct table *t = vm_of(L)->can_see ? table_at(L, table) : NULL;
    uint64_t low, high, links = 0;

    if (!t || t->size_bits <= NODES_FREE_BITS) return 0;
    low = array_size(t);
    if (low > 0 && (t->array[low - 1].tag & 15) == 0) return 0;
    for (high = low + 1; find_integer(t, high, &links); high *= 2) {
        low = high;
        if (high > INT64_MAX / 2) return price(links);
    }
    while (high - low > 1) {
        uint64_t middle = (low + high) / 2;

        if (find_integer(t, middle, &links))
            low = middle;
        else
            high = middle;
    }
    return price(links);
}

/* The table behind __newindex, as Lua would go on to. */
static const struct table *behind(const struct vm *vm, const struct table *t)
{
    const struct table *meta = t->metatable;
    const struct node *node;

    if (!meta) return NULL;
    node = &meta->nodes[((const struct string *)vm->newindex)->hash & (size_of(meta) - 1)];
    for (;; node += node->next) {
        if (node->key.pointer == vm->newindex && (node->key_tag & TAG_MASK) == TAG_SHORT)
            return (node->tag & TAG_MASK) == TAG_TABLE ? node->value.pointer : NULL;
        if (node->next == 0) return NULL;
    }
}

struct growth {
    struct vm *vm;
    uint32_t size;
    uint64_t cost, looked, seen, left;
};

/* If this value is a table that may be growing to the size. */
static void consider(struct growth *growth, const struct cell *cell)
{
    const struct table *t = cell->value.pointer;

    if (cell->tag != (TAG_TABLE | COLLECTABLE)) return;
    for (; t && growth->seen <= CANDIDATES_MAX; t = behind(growth->vm, t)) {
        bool is_full = t->last_free == t->nodes;
        uint64_t more;

        growth->seen++;
        if (t->size_bits + 1 < NODES_FREE_BITS || !(is_full || size_of(t) == growth->size))
            continue;
        growth->looked += (growth->size + size_of(t)) / NODES_PER_INSTRUCTION;
        if (growth->cost > growth->left || growth->looked > growth->left) return;
        more = walks(t, growth->size, false);
        if (more > growth->cost) growth->cost = more;
    }
}

static void consider_upvalues(struct growth *growth, const struct cell *cell)
{
    const struct function *function = cell->value.pointer;

    if (cell->tag == (TAG_LUA_FUNCTION | COLLECTABLE)) {
        for (unsigned i = 0; i < function->upvalues_count; i++) {
            const struct upvalue *upvalue = function->upvalues[i];

            if (upvalue) consider(growth, upvalue->cell);
        }
    } else if (cell->tag == (TAG_C_CLOSURE | COLLECTABLE)) {
        const struct cell *cells = (const void *)function->upvalues;

        for (unsigned i = 0; i < function->upvalues_count; i++) consider(growth, &cells[i]);
    }
}

uint64_t vm_table_grow(struct vm *vm, size_t bytes)
{
    struct growth growth = {.vm = vm,
                            .size = (uint32_t)(bytes / sizeof(struct node)),
                            .left = vm->budget + 1 - vm->used};
    const struct cell *function;
    lua_Debug at;

    if (bytes % sizeof(struct node) != 0 || growth.size <= (1u << NODES_FREE_BITS)) return 0;
    if ((growth.size & (growth.size - 1)) != 0 || bytes / sizeof(struct node) > UINT32_MAX)
        return 0;
    if (!vm->can_see) return (uint64_t)growth.size / 64 * (growth.size / 64);
    if (!lua_getstack(vm->running, 0, &at)) return 0;
    function = ((const struct frame *)(const void *)at.i_ci)->function;
    consider_upvalues(&growth, function);
    for (int i = 1, top = lua_gettop(vm->running); i <= top; i++) consider(&growth, &function[i]);
    if (growth.seen > CANDIDATES_MAX) return UINT64_MAX;
    if (growth.seen > CANDIDATES_FREE) growth.looked += growth.seen / SLOTS_PER_INSTRUCTION;
    return growth.cost < UINT64_MAX - growth.looked ? growth.cost + growth.looked : UINT64_MAX;
}

/* Whether each key of the table at index lies in the chain where it is expected. */
static bool keys_are_found(const struct table *t, uint32_t expected)
{
    uint32_t found = 0, at;

    for (uint32_t i = 0; i < size_of(t); i++) {
        const struct node *node = &t->nodes[i], *other;

        if (is_empty(node)) continue;
        if (!position(size_of(t), node->key_tag, node->key, &at) || at >= size_of(t)) return false;
        for (other = &t->nodes[at]; other != node; other += other->next)
            if (other->next == 0) return false;
        found++;
    }
    return found == expected;
}

/* Arguments: a table of 64 nodes that are all in use, one with a metatable, that metatable. The
 * last upvalue is the metatable too. */
static int look(lua_State *L)
{
    struct vm *vm = vm_of(L);
    const struct table *t = lua_topointer(L, 1), *second = lua_topointer(L, 2);
    struct growth growth = {.vm = vm, .size = 64};
    const struct cell *function;
    lua_Debug at;

    if (t->size_bits != 6 || t->alimit != 0 || !keys_are_found(t, 64)) return 0;
    if (second->metatable != lua_topointer(L, 3) || second->alimit != 4 || second->size_bits != 0)
        return 0;
    lua_pushliteral(L, "__newindex");
    vm->newindex = lua_topointer(L, -1);
    if (behind(vm, second) != t || behind(vm, t) || !lua_getstack(L, 0, &at)) return 0;
    function = ((const struct frame *)(const void *)at.i_ci)->function;
    if (function->tag != (TAG_C_CLOSURE | COLLECTABLE)) return 0;
    for (int i = 1; i <= 3; i++)
        if (function[i].value.pointer != lua_topointer(L, i)) return 0;
    consider_upvalues(&growth, function);
    lua_pushboolean(L, growth.seen == 1);
    return 1;
}

static int prepare(lua_State *L)
{
    lua_createtable(L, 0, 64);
    for (int i = 0; i < 32; i++) {
        lua_pushboolean(L, 1);
        lua_rawseti(L, 1, i * (lua_Integer)630 - 63);
        lua_pushnumber(L, i * 1e100 + 0.25);
        lua_pushboolean(L, 1);
        if (i < 28)
            lua_rawset(L, 1);
        else
            lua_pop(L, 2);
    }
    lua_pushboolean(L, 1);
    lua_setfield(L, 1, "short");
    lua_pushliteral(L, "a string that is longer than forty bytes and has its own hash");
    lua_pushboolean(L, 1);
    lua_rawset(L, 1);
    lua_pushboolean(L, 1);
    lua_rawsetp(L, 1, vm_of(L));
    lua_pushvalue(L, 1);
    lua_pushboolean(L, 1);
    lua_rawset(L, 1);
    lua_createtable(L, 4, 0);
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, 1);
    lua_setfield(L, 3, "__newindex");
    lua_pushvalue(L, 3);
    lua_setmetatable(L, 2);
    lua_pushvalue(L, 3);
    lua_pushcclosure(L, look, 1);
    lua_insert(L, 1);
    lua_call(L, 3, 1);
    return 1;
}

bool vm_table_test(struct vm *vm)
{
    lua_State *L = vm->main;

    vm->can_see = false;
    if (sizeof(void *) != 8 || sizeof(struct node) != 24 || LUA_VERSION_NUM != 504) return false;
    lua_pushcfunction(L, prepare);
    if (lua_pcall(L, 0, 1, 0) == LUA_OK) vm->can_see = lua_toboolean(L, -1);
    lua_settop(L, 0);
    return vm->can_see;
}
