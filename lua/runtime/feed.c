/* SPDX-License-Identifier: MIT */
/* What a script publishes. The core keeps one slot per key and subscriber; here values become
 * CBOR. */
#include "cbor.h"
#include "instance.h"
#include "peers.h"
#include "sandbox.h"
#include "stream_state.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS_MAX = 4096, ITEM_MAX = 16384, KEY_MAX = 64, SUBSCRIBERS = 1024, COST = 20 };

static const char *const kinds[] = {"state", "sum", "drop-oldest", NULL};
static const struct entry_key keys[] = {
    {"kind", ENTRY_CHOICE, true, 0, 0, 0, kinds, "to say what a follower that is slow gets"},
    {"keys", ENTRY_COUNT, true, 1, KEYS_MAX, 0, NULL,
     "so that a follower that is slow costs no more"},
    {"bytes", ENTRY_BYTES, true, 1, ITEM_MAX, 0, NULL, "the longest value"},
    {"subscribers", ENTRY_COUNT, false, 1, 1 << 20, SUBSCRIBERS, NULL, NULL},
    {"urgency", ENTRY_COUNT, false, 0, 7, 3, NULL, "0 goes first"},
    {NULL, 0, false, 0, 0, 0, NULL, NULL}};

struct feed_object {
    const struct script *script; /* of the same state */
    uint32_t index;
};

static int begin(struct instance *in, struct entry *e, weir_error *error)
{
    weir_feed_options options = {.size = sizeof options};
    uint64_t *state = calloc(1, sizeof *state);
    char name[136];
    int64_t handle;

    if (!state) return error_fill(error, WEIR_E_MEMORY, "no memory for a feed");
    options.kind = (uint32_t)entry_get(e, "kind") + WEIR_FEED_STATE;
    options.keys_max = (uint32_t)entry_get(e, "keys");
    options.item_max_bytes = (uint32_t)entry_get(e, "bytes");
    options.subscribers_max = (uint32_t)entry_get(e, "subscribers");
    options.urgency_plus1 = (uint32_t)entry_get(e, "urgency") + 1;
    handle = weir_feed_open(in->place->node, entry_wire_name(e, name), &options);
    if (handle > 0) {
        *state = (uint64_t)handle;
        in->states[e->index] = state;
        return 0;
    }
    free(state);
    error_fill(error, (int32_t)handle, "the feed %s: %s", name, weir_strerror((int32_t)handle));
    weir_last_error(in->place->node, error);
    return (int)handle;
}

static void end(struct instance *in, struct entry *e)
{
    uint64_t *state = in->states[e->index];

    weir_feed_close(in->place->node, *state, 0);
    free(state);
    in->states[e->index] = NULL;
}

static void field(lua_State *L, struct instance *in, struct entry *e)
{
    struct feed_object *object = lua_newuserdatauv(L, sizeof *object, 0);

    object->script = in->script;
    object->index = e->index;
    luaL_setmetatable(L, "feed");
}

const struct entry_ops feed_ops = {
    .word = "feed", .keys = keys, .begin = begin, .end = end, .field = field};

/* ---- in Lua */

struct published {
    struct instance *in;
    struct entry *entry;
    uint64_t handle;
};

static struct published check(lua_State *L)
{
    const struct feed_object *object = luaL_checkudata(L, 1, "feed");
    struct published p = {.in = instance_for(L, object->script)};

    vm_charge(L, COST);
    p.entry = object->script->entries[object->index];
    p.handle = *(uint64_t *)p.in->states[object->index];
    return p;
}

static struct published check_kind(lua_State *L, uint64_t kind, const char *method)
{
    struct published p = check(L);

    if (entry_get(p.entry, "kind") != kind)
        luaL_error(L, "%s is a feed of kind \"%s\": it has no %s", p.entry->name,
                   kinds[entry_get(p.entry, "kind")], method);
    return p;
}

static const char *check_key(lua_State *L, uint32_t *len)
{
    size_t size;
    const char *key;

    luaL_checktype(L, 2, LUA_TSTRING);
    key = lua_tolstring(L, 2, &size);
    luaL_argcheck(L, size >= 1 && size <= KEY_MAX, 2, "a key has 1 to 64 bytes");
    *len = (uint32_t)size;
    return key;
}

static int told(lua_State *L, const struct published *p, int64_t followers)
{
    if (followers < 0) return task_fail_code(L, p->in->place->node, (int32_t)followers, 0);
    lua_pushinteger(L, (lua_Integer)followers);
    return 1;
}

/* Publish the value at an index. */
static int publish(lua_State *L, const struct published *p, const char *key, uint32_t key_len,
                   int index)
{
    uint8_t *data = p->in->script->lua->scratch;
    struct peer_wire wire = {.place = p->in->place};
    struct cbor_peers peers;
    char error[200];
    int64_t len;

    peers_wire(&wire, &peers);
    len = cbor_encode(L, index, &peers, data, entry_get(p->entry, "bytes"), error, sizeof error);
    if (len < 0 && strncmp(error, "longer than", 11) == 0) return task_fail(L, error, "limit");
    if (len < 0) return luaL_error(L, "%s: %s", p->entry->name, error);
    return told(
        L, p, weir_feed_publish(p->in->place->node, p->handle, key, key_len, data, (uint32_t)len));
}

static int feed_set(lua_State *L)
{
    struct published p = check_kind(L, 0, "set");
    uint32_t len;
    const char *key = check_key(L, &len);

    lua_settop(L, 3);
    if (!lua_isnil(L, 3)) return publish(L, &p, key, len, 3);
    return told(L, &p, weir_feed_publish(p.in->place->node, p.handle, key, len, NULL, 0));
}

static int feed_add(lua_State *L)
{
    struct published p = check_kind(L, 1, "add");
    uint32_t len;
    const char *key = check_key(L, &len);

    return told(L, &p,
                weir_feed_add(p.in->place->node, p.handle, key, len, luaL_checkinteger(L, 3)));
}

static int feed_push(lua_State *L)
{
    struct published p = check_kind(L, 2, "push");

    luaL_checkany(L, 2);
    lua_settop(L, 2);
    luaL_argcheck(L, !lua_isnil(L, 2), 2, "a value, not nil");
    return publish(L, &p, NULL, 0, 2);
}

static int count(lua_State *L, bool is_missed)
{
    struct published p = check(L);
    weir_feed_info info = {.size = sizeof info};

    weir_feed_get_info(p.in->place->node, p.handle, &info);
    lua_pushinteger(L, (lua_Integer)(is_missed ? info.missed : info.subscribers));
    return 1;
}

static int feed_followers(lua_State *L)
{
    return count(L, false);
}

static int feed_missed(lua_State *L)
{
    return count(L, true);
}

void words_feed(lua_State *L)
{
    static const luaL_Reg methods[] = {{"set", feed_set},       {"add", feed_add},
                                       {"push", feed_push},     {"followers", feed_followers},
                                       {"missed", feed_missed}, {NULL, NULL}};

    sandbox_class(L, "feed", methods, NULL);
    follow_class(L);
    lua_pushcfunction(L, follow_word);
    sandbox_set(L, "follow");
}
