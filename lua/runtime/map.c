/* SPDX-License-Identifier: MIT */
/* map { cap }: values by peer. The order is in C, the values are in one table of Lua's, by the
 * number of the peer, which the map holds. What is set is new, also when it takes another value's
 * place. */
#include "sandbox.h"
#include "view.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum { CALL_INSTRUCTIONS = 4, PEERS_PER_INSTRUCTION = 16, FIRST_CAPACITY = 4 };

struct map {
    struct instance *in;
    uint32_t *peers; /* in the order in which they were set */
    uint32_t count, capacity, cap;
    int object; /* registry reference; its user value is the table */
};
struct map_object {
    struct map *map; /* NULL: its instance ended */
};

static struct map *map_check(lua_State *L, int index)
{
    struct map_object *object = luaL_checkudata(L, index, "map");

    if (!object->map) luaL_error(L, "the map's script has ended");
    vm_charge(L, CALL_INSTRUCTIONS + object->map->count / PEERS_PER_INSTRUCTION);
    return object->map;
}

static uint32_t find(const struct map *m, uint32_t peer)
{
    uint32_t i = 0;

    while (i < m->count && m->peers[i] != peer) i++;
    return i;
}

static int map_get(lua_State *L)
{
    const struct map *m = map_check(L, 1);
    uint32_t peer = peers_check(L, 2);

    lua_settop(L, 2);
    lua_pushnil(L);
    if (peer == PEER_NONE || find(m, peer) == m->count) return 1;
    lua_getiuservalue(L, 1, 1);
    lua_rawgeti(L, -1, (lua_Integer)peer);
    return 1;
}

/* Out; its value too. The table is at index `values`. */
static void take_out(lua_State *L, struct map *m, uint32_t at, int values)
{
    uint32_t peer = m->peers[at];

    lua_pushnil(L);
    lua_rawseti(L, values, (lua_Integer)peer);
    m->count--;
    memmove(&m->peers[at], &m->peers[at + 1], (m->count - at) * sizeof *m->peers);
    peers_release(m->in->script->lua, peer);
}

static bool make_room(struct map *m)
{
    uint32_t capacity = m->capacity ? 2 * m->capacity : FIRST_CAPACITY;
    uint32_t *peers;

    if (m->count < m->capacity) return true;
    if (capacity > m->cap) capacity = m->cap;
    peers = realloc(m->peers, capacity * sizeof *peers);
    if (!peers) return false;
    m->in->script->lua->info.native_bytes += (capacity - m->capacity) * sizeof *peers;
    m->peers = peers;
    m->capacity = capacity;
    return true;
}

static int map_set(lua_State *L)
{
    struct map *m = map_check(L, 1);
    uint32_t peer = peers_check(L, 2), at = find(m, peer);

    luaL_checkany(L, 3);
    lua_settop(L, 3);
    lua_getiuservalue(L, 1, 1);
    if (peer == PEER_NONE) return 0;
    if (lua_isnil(L, 3)) {
        if (at < m->count) take_out(L, m, at, 4);
        return 0;
    }
    if (at == m->count) {
        if (m->count == m->cap) take_out(L, m, 0, 4);
        if (!make_room(m)) return luaL_error(L, "no memory for a map");
    }
    lua_pushvalue(L, 3);
    lua_rawseti(L, 4, (lua_Integer)peer);
    if (at < m->count) {
        memmove(&m->peers[at], &m->peers[at + 1], (m->count - at - 1) * sizeof *m->peers);
        m->peers[m->count - 1] = peer;
        return 0;
    }
    m->peers[m->count++] = peer;
    peers_hold(m->in->script->lua, peer);
    return 0;
}

struct walk {
    uint32_t at, count;
    uint32_t peers[];
};

/* Upvalues: the map, the walk. */
static int walk_next(lua_State *L)
{
    struct map *m = map_check(L, lua_upvalueindex(1));
    struct walk *walk = lua_touserdata(L, lua_upvalueindex(2));

    while (walk->at < walk->count) {
        uint32_t peer = walk->peers[walk->at++];
        vm_charge(L, 1 + m->count / PEERS_PER_INSTRUCTION);
        if (find(m, peer) == m->count) continue;
        peers_push(L, m->in->script->lua, peer);
        lua_getiuservalue(L, lua_upvalueindex(1), 1);
        lua_rawgeti(L, -1, (lua_Integer)peer);
        lua_remove(L, -2);
        return 2;
    }
    lua_pushnil(L);
    return 1;
}

static int map_each(lua_State *L)
{
    const struct map *m = map_check(L, 1);
    struct walk *walk;

    lua_settop(L, 1);
    walk = lua_newuserdatauv(L, sizeof *walk + m->count * sizeof walk->peers[0], 0);
    walk->at = 0;
    walk->count = m->count;
    if (m->count) memcpy(walk->peers, m->peers, m->count * sizeof *m->peers);
    lua_pushcclosure(L, walk_next, 2);
    return 1;
}

/* ---- the kind of entry */

static const struct entry_key keys[] = {
    {.name = "cap",
     .type = ENTRY_COUNT,
     .required = true,
     .least = 1,
     .most = VIEW_CAP_MAX,
     .why = "so that strangers cannot fill it without end"},
    {.name = NULL},
};

static int begin(struct instance *in, struct entry *e, weir_error *error)
{
    struct map *m = calloc(1, sizeof *m);

    if (!m) return error_fill(error, WEIR_E_MEMORY, "no memory for the map %s", e->name);
    m->in = in;
    m->cap = (uint32_t)entry_get(e, "cap");
    m->object = LUA_NOREF;
    in->states[e->index] = m;
    in->script->lua->info.native_bytes += sizeof *m;
    return 0;
}

static void end(struct instance *in, struct entry *e)
{
    struct map *m = in->states[e->index];
    weir_lua *lua = in->script->lua;
    lua_State *L = vm_main(in->script->vm);

    if (!m) return;
    for (uint32_t i = 0; i < m->count; i++) peers_release(lua, m->peers[i]);
    if (m->object != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, m->object);
        ((struct map_object *)lua_touserdata(L, -1))->map = NULL;
        lua_pop(L, 1);
        luaL_unref(L, LUA_REGISTRYINDEX, m->object);
    }
    lua->info.native_bytes -= sizeof *m + m->capacity * sizeof *m->peers;
    in->states[e->index] = NULL;
    free(m->peers);
    free(m);
}

static void field(lua_State *L, struct instance *in, struct entry *e)
{
    struct map *m = in->states[e->index];
    struct map_object *object;
    struct vm_owner *owner;

    if (m->object != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, m->object);
        return;
    }
    object = lua_newuserdatauv(L, sizeof *object, 1);
    object->map = m;
    luaL_setmetatable(L, "map");
    lua_newtable(L);
    lua_setiuservalue(L, -2, 1);
    owner = vm_owner_enter(in->script->vm, NULL); /* the registry grows for all */
    lua_pushvalue(L, -1);
    m->object = luaL_ref(L, LUA_REGISTRYINDEX);
    vm_owner_enter(in->script->vm, owner);
}

void map_words(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"get", map_get}, {"set", map_set}, {"each", map_each}, {NULL, NULL}};

    sandbox_class(L, "map", methods, NULL);
}

const struct entry_ops map_ops = {
    .word = "map", .keys = keys, .begin = begin, .end = end, .field = field};
