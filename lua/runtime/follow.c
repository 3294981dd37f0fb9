/* SPDX-License-Identifier: MIT */
/* Following a peer's feed. The subscription belongs to the task that asked for it, and ends with
 * it, or when its loop is left. What is not read waits at the publisher's, merged: a follower
 * that does something else between two items costs nobody anything. */
#include "cbor.h"
#include "instance.h"
#include "peers.h"
#include "sandbox.h"
#include "stream_state.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum { COST = 20 };

struct follower {
    struct waiter waiter;
    struct guard guard;
    struct instance *in;
    struct entry *entry;
    struct task *task; /* that waits for an item */
    uint64_t handle;
    uint32_t peer;
    bool is_over;
};
struct follow_object {
    uint64_t tag;
};

static struct follower *find(lua_State *L, int index)
{
    const struct follow_object *object = lua_touserdata(L, index);
    struct waiter *w = waiter_find(runtime_of(L), object->tag, NULL);

    return w ? list_entry(w, struct follower, waiter) : NULL;
}

static void release(struct guard *g)
{
    struct follower *f = list_entry(g, struct follower, guard);

    if (!f->is_over) weir_feed_close(f->in->place->node, f->handle, 0);
    waiter_remove(f->in->script->lua, &f->waiter);
    guard_remove(g);
    free(f);
}

static void on_event(struct waiter *w, const weir_event *event)
{
    struct follower *f = list_entry(w, struct follower, waiter);
    struct task *t = f->task;

    if (event->object != f->handle) return;
    if (event->kind == WEIR_EVENT_FEED_CLOSED) f->is_over = true;
    f->task = NULL;
    if (t) task_resume(t, 0);
}

static void on_cancel(struct task *t)
{
    struct waiter *w = waiter_find(t->instance->script->lua, t->object, NULL);

    if (w) list_entry(w, struct follower, waiter)->task = NULL;
}

/* ---- items */

/* Push key, value and missed. @return false: it is malformed */
static bool push_item(lua_State *L, struct follower *f, const weir_feed_item *item, size_t len)
{
    const uint8_t *data = f->in->script->lua->scratch;
    struct peer_wire wire = {.place = f->in->place, .from = f->peer};
    struct cbor_peers peers;
    char error[200];

    if (item->kind == WEIR_FEED_DROP_OLDEST)
        lua_pushboolean(L, 1);
    else
        lua_pushlstring(L, (const char *)item->key, item->key_len);
    if (item->is_removed)
        lua_pushnil(L);
    else if (item->kind == WEIR_FEED_SUM)
        lua_pushinteger(L, (lua_Integer)item->sum);
    else {
        peers_wire(&wire, &peers);
        if (len > entry_get(f->entry, "bytes") ||
            !cbor_decode(L, data, len, &peers, error, sizeof error)) {
            f->in->script->lua->info.dropped++;
            lua_pop(L, 1);
            return false;
        }
    }
    lua_pushinteger(L, item->missed > LUA_MAXINTEGER ? LUA_MAXINTEGER : (lua_Integer)item->missed);
    return true;
}

static void on_turn(struct timer *timer)
{
    struct task *t = list_entry(timer, struct task, timer);

    on_cancel(t);
    task_resume(t, 0);
}

/* Stack: the object. */
static int next_on(lua_State *L, int status, lua_KContext context)
{
    struct follower *f = find(L, 1);
    struct task *t = task_check(L);
    weir_feed_item item = {.size = sizeof item};
    int64_t len;

    (void)status;
    (void)context;
    while (f) {
        if (turn_is_over(L)) {
            t->timer.on_time = on_turn;
            timer_set(&t->timer, f->in->place, place_now(f->in->place) + 1);
            f->task = t;
            t->object = f->waiter.tag;
            return task_wait(L, on_cancel, 0, next_on);
        }
        vm_charge(L, COST);
        len = weir_feed_read(f->in->place->node, f->handle, &item, f->in->script->lua->scratch,
                             SCRATCH_BYTES);
        if (len >= 0 && !push_item(L, f, &item, (size_t)len)) continue;
        if (len >= 0) return 3;
        if (len == WEIR_E_NOT_FOUND && !f->is_over) {
            task_check_may_wait(L);
            f->task = t;
            t->object = f->waiter.tag;
            return task_wait(L, on_cancel, 0, next_on);
        }
        release(&f->guard);
        f = NULL;
    }
    lua_pushnil(L);
    return 1;
}

/* The iterator. Upvalue: the object. */
static int next_item(lua_State *L)
{
    const struct follower *f;

    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    f = find(L, 1);
    if (f && f->task) return luaL_error(L, "another handler waits for the next value");
    return next_on(L, LUA_OK, 0);
}

/* The loop was left. */
static int close_loop(lua_State *L)
{
    struct follower *f = find(L, 1);

    if (f && !f->task) release(&f->guard);
    return 0;
}

/* ---- follow */

/* Stack: peer, entry. */
static int subscribe(lua_State *L, uint64_t connection)
{
    struct task *t = task_check(L);
    struct entry *e = script_check_entry(L, 2, NULL);
    struct instance *in = t->instance;
    struct follow_object *object = lua_newuserdatauv(L, sizeof *object, 0);
    struct follower *f;
    char name[136];
    int64_t handle;

    object->tag = 0;
    luaL_setmetatable(L, "following");
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, next_item, 1);
    f = calloc(1, sizeof *f);
    if (!f || waiter_add(in->script->lua, &f->waiter) == 0) {
        free(f);
        return task_fail(L, "no memory to follow", "limit");
    }
    handle =
        weir_feed_subscribe(in->place->node, connection, entry_wire_name(e, name), f->waiter.tag);
    if (handle < 0) {
        waiter_remove(in->script->lua, &f->waiter);
        free(f);
        return task_fail_code(L, in->place->node, (int32_t)handle, 0);
    }
    f->waiter.on_event = on_event;
    f->in = in;
    f->entry = e;
    f->handle = (uint64_t)handle;
    f->peer = peers_get(L, 1);
    object->tag = f->waiter.tag;
    guard_add(L, t, &f->guard, release);
    /* For a loop: the iterator, nothing, nothing, and what is closed when it is left. */
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushvalue(L, -4);
    return 4;
}

static int connected(lua_State *L, int status, lua_KContext context)
{
    struct dial_result result;

    (void)status;
    dial_result(context, &result);
    lua_settop(L, 2);
    return result.connection ? subscribe(L, result.connection) : dial_fail(L, &result);
}

int follow_word(lua_State *L)
{
    static const char *const kinds[] = {"feed", NULL};
    struct place *place = task_check(L)->instance->place;
    uint32_t peer = peers_check(L, 1);
    uint64_t connection;

    lua_settop(L, 2);
    script_check_entry(L, 2, kinds);
    if (peer == PEER_NONE) return task_fail(L, "the peer was forgotten", "unreachable");
    connection = place_connection(place, peer);
    if (connection) return subscribe(L, connection);
    return dial_in_task(L, place, peer, NULL, false, connected);
}

void follow_class(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__close", close_loop}, {NULL, NULL}};

    sandbox_class(L, "following", NULL, meta);
}
