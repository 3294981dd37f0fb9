/* SPDX-License-Identifier: MIT */
/* Values by name, as CBOR bytes in C, in the order of their names. */
#include "store_state.h"
#include "cbor.h"
#include "instance.h"
#include "peers.h"
#include "sandbox.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum { COST = 20, KEYS_MOST = 65536, BYTES_MOST = 16 << 20, FIRST_SLOTS = 16 };

static const struct entry_key keys[] = {{"bytes", ENTRY_BYTES, true, 64, BYTES_MOST, 0, NULL,
                                         "the most that all names and values take"},
                                        {NULL, 0, false, 0, 0, 0, NULL, NULL}};

struct store_object {
    const struct script *script; /* of the same state */
    uint32_t index;
};

/* ---- values in order */

/* The place of a key, or where it belongs. */
static bool find(const struct store *s, const char *key, uint32_t len, uint32_t *at)
{
    uint32_t low = 0, high = s->count;

    while (low < high) {
        uint32_t middle = (low + high) / 2, other = s->items[middle]->key_len;
        int order = memcmp(s->items[middle]->bytes, key, other < len ? other : len);
        if (order == 0 && other == len) {
            *at = middle;
            return true;
        }
        if (order < 0 || (order == 0 && other < len))
            low = middle + 1;
        else
            high = middle;
    }
    *at = low;
    return false;
}

static uint64_t cost(uint64_t key_len, uint64_t len)
{
    return STORE_ITEM_BYTES + key_len + len;
}

static void take_out(struct store *s, uint32_t at)
{
    s->used -= cost(s->items[at]->key_len, s->items[at]->len);
    free(s->items[at]);
    s->count--;
    memmove(s->items + at, s->items + at + 1, (s->count - at) * sizeof s->items[0]);
}

static bool make_slot(struct store *s)
{
    uint32_t capacity = s->capacity ? s->capacity * 2 : FIRST_SLOTS;
    struct store_item **items;

    if (s->count < s->capacity) return true;
    items = realloc(s->items, capacity * sizeof *items);
    if (!items) return false;
    s->items = items;
    s->capacity = capacity;
    return true;
}

int32_t store_put(struct store *s, const char *key, uint32_t key_len, const uint8_t *data,
                  uint32_t len)
{
    struct store_item *item;
    uint32_t at;
    bool is_there = find(s, key, key_len, &at);
    uint64_t after = s->used + cost(key_len, len);

    if (is_there) after -= cost(key_len, s->items[at]->len);
    if (after > entry_get(s->entry, "bytes") || (!is_there && s->count == KEYS_MOST))
        return WEIR_E_LIMIT;
    item = malloc(sizeof *item + key_len + len);
    if (!item || (!is_there && !make_slot(s))) {
        free(item);
        return WEIR_E_MEMORY;
    }
    item->key_len = key_len;
    item->len = len;
    memcpy(item->bytes, key, key_len);
    if (len > 0) memcpy(item->bytes + key_len, data, len);
    s->used = after;
    if (is_there) {
        free(s->items[at]);
        s->items[at] = item;
        return 0;
    }
    memmove(s->items + at + 1, s->items + at, (s->count - at) * sizeof s->items[0]);
    s->items[at] = item;
    s->count++;
    return 0;
}

void store_clear(struct store *s)
{
    for (uint32_t i = 0; i < s->count; i++) free(s->items[i]);
    s->count = 0;
    s->used = 0;
}

/* ---- its life */

static int begin(struct instance *in, struct entry *e, weir_error *error)
{
    struct store *s = calloc(1, sizeof *s);

    if (!s) return error_fill(error, WEIR_E_MEMORY, "no memory for a store");
    s->in = in;
    s->entry = e;
    list_init(&s->waits);
    in->states[e->index] = s;
    store_load(s);
    return 0;
}

static void end(struct instance *in, struct entry *e)
{
    struct store *s = in->states[e->index];

    store_save_last(s);
    store_clear(s);
    free(s->items);
    free(s);
    in->states[e->index] = NULL;
}

static void field(lua_State *L, struct instance *in, struct entry *e)
{
    struct store_object *object = lua_newuserdatauv(L, sizeof *object, 0);

    object->script = in->script;
    object->index = e->index;
    luaL_setmetatable(L, "store");
}

const struct entry_ops store_ops = {
    .word = "store", .keys = keys, .begin = begin, .end = end, .field = field};

/* ---- in Lua */

static struct store *check(lua_State *L)
{
    const struct store_object *object = luaL_checkudata(L, 1, "store");
    struct instance *in = instance_for(L, object->script);

    vm_charge(L, COST);
    return in->states[object->index];
}

static const char *check_key(lua_State *L, uint32_t *len)
{
    const char *key;
    size_t size;

    luaL_checktype(L, 2, LUA_TSTRING);
    key = lua_tolstring(L, 2, &size);
    luaL_argcheck(L, size >= 1 && size <= STORE_KEY_MAX, 2, "a name has 1 to 64 bytes");
    *len = (uint32_t)size;
    return key;
}

static void on_cancel(struct task *t)
{
    struct store_wait *w = t->wait;

    list_remove(&w->link);
    free(w);
    t->wait = NULL;
}

/* What is on the disk is not here yet. */
static int wait_for_load(lua_State *L, struct store *s, lua_KFunction k)
{
    struct task *t = task_check(L);
    struct store_wait *w;

    task_check_may_wait(L);
    w = calloc(1, sizeof *w);
    if (!w) return luaL_error(L, "no memory to wait for the store");
    w->task = t;
    list_push(&s->waits, &w->link);
    t->wait = w;
    return task_wait(L, on_cancel, 0, k);
}

static int get_on(lua_State *L, int status, lua_KContext context)
{
    struct store *s = check(L);
    struct peer_wire wire = {.place = s->in->place, .from = s->in->place->me};
    struct cbor_peers peers;
    const struct store_item *item;
    uint32_t len, at;
    const char *key = check_key(L, &len);
    char error[200];

    (void)status;
    (void)context;
    if (s->is_loading) return wait_for_load(L, s, get_on);
    lua_pushnil(L);
    if (!find(s, key, len, &at)) return 1;
    item = s->items[at];
    peers_wire(&wire, &peers);
    if (cbor_decode(L, item->bytes + item->key_len, item->len, &peers, error, sizeof error))
        return 1;
    return task_fail(L, error, "format");
}

static int store_get(lua_State *L)
{
    lua_settop(L, 2);
    return get_on(L, LUA_OK, 0);
}

static int set_on(lua_State *L, int status, lua_KContext context)
{
    struct store *s = check(L);
    uint8_t *data = s->in->script->lua->scratch;
    struct peer_wire wire = {.place = s->in->place};
    struct cbor_peers peers;
    uint32_t key_len, at;
    const char *key = check_key(L, &key_len);
    uint64_t room = entry_get(s->entry, "bytes");
    char error[200];
    int64_t len = 0;
    int32_t code = 0;

    (void)status;
    (void)context;
    if (s->is_loading) return wait_for_load(L, s, set_on);
    if (room > SCRATCH_BYTES) room = SCRATCH_BYTES;
    peers_wire(&wire, &peers);
    if (!lua_isnil(L, 3)) {
        len = cbor_encode(L, 3, &peers, data, room, error, sizeof error);
        if (len < 0 && strncmp(error, "longer than", 11) != 0)
            return luaL_error(L, "%s: %s", s->entry->name, error);
        code = len < 0 ? WEIR_E_LIMIT : store_put(s, key, key_len, data, (uint32_t)len);
        /* What moved to make room. */
        vm_charge(L, s->count / 64);
    } else if (find(s, key, key_len, &at))
        take_out(s, at);
    if (code == WEIR_E_LIMIT) return task_fail(L, "the store has no room for it", "limit");
    if (code < 0) return task_fail_code(L, NULL, code, 0);
    store_changed(s);
    lua_pushboolean(L, 1);
    return 1;
}

static int store_set(lua_State *L)
{
    lua_settop(L, 3);
    return set_on(L, LUA_OK, 0);
}

static int keys_on(lua_State *L, int status, lua_KContext context)
{
    struct store *s = check(L);

    (void)status;
    (void)context;
    if (s->is_loading) return wait_for_load(L, s, keys_on);
    vm_charge(L, s->count);
    lua_createtable(L, (int)s->count, 0);
    for (uint32_t i = 0; i < s->count; i++) {
        lua_pushlstring(L, (const char *)s->items[i]->bytes, s->items[i]->key_len);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int store_keys(lua_State *L)
{
    lua_settop(L, 1);
    return keys_on(L, LUA_OK, 0);
}

void store_class(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"get", store_get}, {"set", store_set}, {"keys", store_keys}, {NULL, NULL}};

    sandbox_class(L, "store", methods, NULL);
}
