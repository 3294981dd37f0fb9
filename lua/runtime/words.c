/* SPDX-License-Identifier: MIT */
/* The words that belong to nothing else: log, now, quit, args, hash, encode. */
#include "cbor.h"
#include "instance.h"
#include "lines.h"
#include "peers.h"
#include "sandbox.h"
#include <lauxlib.h>
#include <string.h>

enum { HASH_BYTES_PER_INSTRUCTION = 8, ENCODED_MAX = 64 * 1024, LOG_TEXT_MAX = 2000 };

/* ---- log */

/* Upvalue: the level. */
static int log_line(lua_State *L)
{
    weir_lua *lua = runtime_of(L);
    struct task *t = lua->current;
    const char *text = sandbox_text(L, 1, NULL);

    vm_charge(L, 50);
    runtime_logf(lua, t ? t->instance->place : NULL, t ? t->instance->script : lua->loading,
                 (uint32_t)lua_tointeger(L, lua_upvalueindex(1)), "%.*s", (int)LOG_TEXT_MAX, text);
    return 0;
}

static void open_log(lua_State *L)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};

    lua_newtable(L);
    for (int i = 0; i < 4; i++) {
        lua_pushinteger(L, i + 1);
        lua_pushcclosure(L, log_line, 1);
        lua_setfield(L, -2, names[i]);
    }
    sandbox_freeze(L, -1, "log");
    sandbox_set(L, "log");
}

/* ---- now, quit, args */

static int word_now(lua_State *L)
{
    const struct place *place = task_check(L)->instance->place;

    lua_pushinteger(L, (lua_Integer)(place_now(place) + place->clock_us));
    return 1;
}

static int word_quit(lua_State *L)
{
    lua_Integer code = luaL_optinteger(L, 1, 0);
    weir_lua *lua = task_check(L)->instance->script->lua;

    luaL_argcheck(L, code >= 0 && code <= 255, 1, "an exit code is 0 to 255");
    if (lua->info.is_over) return 0;
    lua->info.is_over = 1;
    lua->info.exit_code = (int32_t)code;
    return 0;
}

/* Those of the instance that asks: in a world each node may have others. */
static struct instance *with_arguments(lua_State *L)
{
    struct task *t = runtime_of(L)->current;
    struct instance *in = t ? t->instance : NULL;

    while (in && in->user) in = in->user;
    return in;
}

static int args_index(lua_State *L)
{
    const struct instance *in = with_arguments(L);
    lua_Integer i = lua_isinteger(L, 2) ? lua_tointeger(L, 2) : 0;

    if (!in || i < 1 || i > (lua_Integer)in->argument_count) return 0;
    lua_pushstring(L, in->arguments[i - 1]);
    return 1;
}

static int args_length(lua_State *L)
{
    const struct instance *in = with_arguments(L);

    lua_pushinteger(L, in ? (lua_Integer)in->argument_count : 0);
    return 1;
}

static int args_newindex(lua_State *L)
{
    return luaL_error(L, "args is read-only");
}

static void open_args(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__index", args_index},
                                    {"__newindex", args_newindex},
                                    {"__len", args_length},
                                    {NULL, NULL}};

    sandbox_class(L, "args", NULL, meta);
    lua_newuserdatauv(L, 0, 0);
    luaL_setmetatable(L, "args");
    sandbox_set(L, "args");
}

/* ---- hash */

static void update(lua_State *L, weir_hash *hash, int index)
{
    size_t len;
    const char *data = luaL_checklstring(L, index, &len);

    vm_charge(L, 20 + len / HASH_BYTES_PER_INSTRUCTION);
    weir_hash_update(hash, data, len);
}

static int push_digest(lua_State *L, weir_hash *hash)
{
    char digest[WEIR_HASH_BYTES];

    if (weir_hash_final(hash, digest) < 0) return luaL_error(L, "this hasher was used up by done");
    lua_pushlstring(L, digest, sizeof digest);
    return 1;
}

static int word_hash(lua_State *L)
{
    weir_hash hash;

    weir_hash_init(&hash);
    update(L, &hash, 1);
    return push_digest(L, &hash);
}

static int word_hasher(lua_State *L)
{
    weir_hash_init(lua_newuserdatauv(L, sizeof(weir_hash), 0));
    luaL_setmetatable(L, "hasher");
    return 1;
}

static int hasher_add(lua_State *L)
{
    update(L, luaL_checkudata(L, 1, "hasher"), 2);
    lua_settop(L, 1);
    return 1;
}

static int hasher_done(lua_State *L)
{
    return push_digest(L, luaL_checkudata(L, 1, "hasher"));
}

static int word_hex(lua_State *L)
{
    static const char digits[] = "0123456789abcdef";
    size_t len;
    const char *data = luaL_checklstring(L, 1, &len);
    luaL_Buffer b;
    char *out;

    vm_charge(L, 4 + len / 4);
    out = luaL_buffinitsize(L, &b, 2 * len);
    for (size_t i = 0; i < len; i++) {
        *out++ = digits[(unsigned char)data[i] >> 4];
        *out++ = digits[data[i] & 15];
    }
    luaL_pushresultsize(&b, 2 * len);
    return 1;
}

/* ---- encode, decode */

/* Peers travel only between nodes; at load time there are none. */
static const struct cbor_peers *peers_now(lua_State *L, struct peer_wire *wire,
                                          struct cbor_peers *peers)
{
    struct task *t = runtime_of(L)->current;

    memset(peers, 0, sizeof *peers);
    if (!t) return peers;
    *wire = (struct peer_wire){.place = t->instance->place, .from = t->instance->place->me};
    peers_wire(wire, peers);
    return peers;
}

static int word_encode(lua_State *L)
{
    uint8_t *out = runtime_of(L)->scratch;
    lua_Integer most = luaL_optinteger(L, 2, ENCODED_MAX);
    struct cbor_peers peers;
    struct peer_wire wire;
    char error[200];
    int64_t len;

    luaL_checkany(L, 1);
    luaL_argcheck(L, most >= 1 && most <= ENCODED_MAX, 2, "1 to 64*KB");
    vm_charge(L, 20);
    len = cbor_encode(L, 1, peers_now(L, &wire, &peers), out, (size_t)most, error, sizeof error);
    if (len < 0) {
        lua_pushnil(L);
        lua_pushstring(L, error);
        return 2;
    }
    lua_pushlstring(L, (const char *)out, (size_t)len);
    return 1;
}

static int word_decode(lua_State *L)
{
    size_t len;
    const char *data = luaL_checklstring(L, 1, &len);
    struct cbor_peers peers;
    struct peer_wire wire;
    char error[200];

    vm_charge(L, 20);
    if (cbor_decode(L, (const uint8_t *)data, len, peers_now(L, &wire, &peers), error,
                    sizeof error))
        return 1;
    lua_pushnil(L);
    lua_pushstring(L, error);
    return 2;
}

void words_base(lua_State *L)
{
    static const luaL_Reg hasher[] = {{"add", hasher_add}, {"done", hasher_done}, {NULL, NULL}};
    static const luaL_Reg words[] = {{"now", word_now},       {"quit", word_quit},
                                     {"hash", word_hash},     {"hasher", word_hasher},
                                     {"hex", word_hex},       {"encode", word_encode},
                                     {"decode", word_decode}, {NULL, NULL}};

    sandbox_class(L, "hasher", hasher, NULL);
    for (const luaL_Reg *w = words; w->name; w++) {
        lua_pushcfunction(L, w->func);
        sandbox_set(L, w->name);
    }
    open_log(L);
    open_args(L);
}
