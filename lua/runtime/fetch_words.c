/* SPDX-License-Identifier: MIT */
/* What fetch { ... } is asked for. */
#include "cbor.h"
#include "fetch_state.h"
#include "sandbox.h"
#include "suggest.h"
#include "view.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"from",   "range", "what", "size",     "part",
                                    "hashes", "have",  "into", "progress", NULL};
static const uint64_t size_max = 1ull << 40;

static void check_names(lua_State *L)
{
    struct suggest s = {0};
    char hint[96];

    vm_charge_walk(L, 1);
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "a number";
        int i = 0;
        while (names[i] && strcmp(names[i], key) != 0) i++;
        if (names[i]) continue;
        s.wanted = key;
        for (i = 0; names[i]; i++) suggest_add(&s, names[i]);
        luaL_error(L, "fetch: there is no '%s'%s", key, suggest_text(&s, hint, sizeof hint));
    }
}

static uint64_t get_number(lua_State *L, const char *name, uint64_t least, uint64_t most,
                           uint64_t fallback)
{
    lua_Integer value;
    int is_integer;

    if (lua_getfield(L, 1, name) == LUA_TNIL && fallback != WEIR_NONE) {
        lua_pop(L, 1);
        return fallback;
    }
    value = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || value < 0 || (uint64_t)value < least || (uint64_t)value > most)
        luaL_error(L, "fetch: '%s' is a number of bytes, %I to %I", name, (LUAI_UACINT)least,
                   (LUAI_UACINT)most);
    lua_pop(L, 1);
    return (uint64_t)value;
}

static void read_sizes(lua_State *L, struct fetch *f)
{
    static const char *const kinds[] = {"range", NULL};
    uint64_t part;

    lua_getfield(L, 1, "range");
    lua_replace(L, FETCH_PROGRESS);
    f->entry = script_check_entry(L, FETCH_PROGRESS, kinds);
    part = entry_get(f->entry, "part");
    f->size = get_number(L, "size", 0, size_max, WEIR_NONE);
    f->part_bytes = (uint32_t)get_number(L, "part", 1024, part, part < 1 << 20 ? part : 1 << 20);
    f->parts = (f->size + f->part_bytes - 1) / f->part_bytes;
    if (f->parts > FETCH_PARTS_MAX)
        luaL_error(L, "fetch: more than %d parts: ask for larger ones", (int)FETCH_PARTS_MAX);
    f->part = malloc(f->part_bytes);
    if (!f->part) luaL_error(L, "no memory for a part");
}

static void read_what(lua_State *L, struct fetch *f)
{
    struct peer_wire wire = {.place = f->in->place};
    struct cbor_peers peers;
    char error[200];
    int64_t len = 0;

    peers_wire(&wire, &peers);
    if (lua_getfield(L, 1, "what") != LUA_TNIL)
        len = cbor_encode(L, lua_gettop(L), &peers, f->what, entry_get(f->entry, "bytes"), error,
                          sizeof error);
    if (len < 0) luaL_error(L, "fetch: what: %s", error);
    f->what_len = (uint32_t)len;
    lua_pop(L, 1);
}

static void read_hashes(lua_State *L, struct fetch *f)
{
    size_t len = 0;
    const char *hashes;

    if (lua_getfield(L, 1, "hashes") != LUA_TNIL) {
        hashes = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
        if (!hashes || len != f->parts * WEIR_HASH_BYTES)
            luaL_error(L, "fetch: hashes are %d bytes for each of %I parts, joined",
                       (int)WEIR_HASH_BYTES, (LUAI_UACINT)f->parts);
        f->hashes = malloc(len + 1);
        if (!f->hashes) luaL_error(L, "no memory for hashes");
        memcpy(f->hashes, hashes, len);
    }
    lua_pop(L, 1);
}

/* @return how many parts are here */
static uint64_t read_have(lua_State *L, struct fetch *f)
{
    uint64_t count = 0;
    lua_Integer n = 0;

    if (lua_getfield(L, 1, "have") == LUA_TNIL) {
        lua_pop(L, 1);
        return 0;
    }
    luaL_argcheck(L, lua_istable(L, -1), 1, "have is a list of part numbers");
    n = (lua_Integer)lua_rawlen(L, -1);
    f->have = calloc((size_t)(f->parts + 7) / 8 + 1, 1);
    if (!f->have) luaL_error(L, "no memory for the parts");
    vm_charge(L, (uint64_t)n);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_Integer part;
        lua_rawgeti(L, -1, i);
        part = lua_tointeger(L, -1);
        if (part < 1 || (uint64_t)part > f->parts)
            luaL_error(L, "fetch: have: parts are numbers from 1 to %I", (LUAI_UACINT)f->parts);
        part--;
        if (!(f->have[part / 8] >> part % 8 & 1)) {
            uint64_t left = f->size - (uint64_t)part * f->part_bytes;
            count++;
            f->done += left < f->part_bytes ? left : f->part_bytes;
        }
        f->have[part / 8] = (uint8_t)(f->have[part / 8] | 1u << part % 8);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return count;
}

static void read_functions(lua_State *L, struct fetch *f)
{
    int type = lua_getfield(L, 1, "into");

    f->is_file = type == LUA_TSTRING;
    if (!f->is_file && type != LUA_TFUNCTION)
        luaL_error(L, "fetch: into is a function(offset, bytes), or a path");
    lua_replace(L, FETCH_INTO);
    type = lua_getfield(L, 1, "progress");
    f->calls = type == LUA_TFUNCTION;
    f->prints = type == LUA_TBOOLEAN && lua_toboolean(L, -1);
    if (type != LUA_TNIL && type != LUA_TBOOLEAN && !f->calls)
        luaL_error(L, "fetch: progress is true, or a function(done, size)");
    lua_replace(L, FETCH_PROGRESS);
}

static void dial_list(lua_State *L, struct fetch *f, int index)
{
    lua_Integer n = (lua_Integer)lua_rawlen(L, index);

    for (lua_Integer i = 1; i <= n && f->peer_count < FETCH_PEERS; i++) {
        lua_rawgeti(L, index, i);
        fetch_dial(f, peers_check(L, -1));
        lua_pop(L, 1);
    }
}

static void dial_from(lua_State *L, struct fetch *f)
{
    const struct view *view;
    int from;

    lua_getfield(L, 1, "from");
    from = lua_gettop(L);
    view = view_test(L, from);
    if (view)
        for (uint32_t i = 0; i < view->count; i++) fetch_dial(f, view->list[i].peer);
    else if (lua_istable(L, from))
        dial_list(L, f, from);
    else
        fetch_dial(f, peers_check(L, from));
    lua_pop(L, 1);
}

static int word_fetch(lua_State *L)
{
    struct task *t = task_check(L);
    const char *why = NULL, *name = NULL;
    struct fetch *f;
    uint64_t have;
    int32_t code;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, FETCH_STACK);
    task_check_may_wait(L);
    check_names(L);
    f = calloc(1, sizeof *f);
    if (!f || waiter_add(t->instance->script->lua, &f->waiter) == 0) {
        free(f);
        return task_fail(L, "no memory for a fetch", "limit");
    }
    f->in = t->instance;
    guard_add(L, t, &f->guard, fetch_release);
    read_sizes(L, f);
    read_what(L, f);
    read_hashes(L, f);
    have = read_have(L, f);
    read_functions(L, f);
    if (f->is_file)
        why = local_path(f->in->script->lua, lua_tostring(L, FETCH_INTO), f->path, &name);
    if (why) {
        fetch_release(&f->guard);
        return task_fail(L, why, name);
    }
    if (have == f->parts && (f->size > 0 || !f->is_file)) {
        fetch_release(&f->guard);
        lua_pushboolean(L, 1);
        return 1;
    }
    /* Nothing makes a file, too. */
    f->is_writing = f->size == 0;
    if (f->is_writing) return fetch_go(L, f);
    code = fetch_open(f);
    if (code < 0) {
        fetch_release(&f->guard);
        return task_fail_code(L, t->instance->place->node, code, 0);
    }
    dial_from(L, f);
    return fetch_go(L, f);
}

void words_fetch(lua_State *L)
{
    lua_pushcfunction(L, word_fetch);
    sandbox_set(L, "fetch");
}
