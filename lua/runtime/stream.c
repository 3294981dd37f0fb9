/* SPDX-License-Identifier: MIT */
/* Streams in Lua: what stands behind them, who waits, when they end. The methods are in
 * stream_read.c, stream_write.c and stream_copy.c, what a script serves and opens in
 * stream_serve.c, files and children in local.c. */
#include "stream_state.h"
#include "lines.h"
#include "peers.h"
#include "sandbox.h"
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOOK_LEAST = 16, /* streams that may be open before somebody looks who is gone */
    LOOK_FIRST_US = 1000000,
    LOOK_LAST_US = 60000000,
    COLLECT_GAP_US = 100000,
    INSTRUCTIONS_PER_KB = 4, /* of a collection */
    TURN_SHARE = 4,          /* of the budget of a resumption, for one turn */
    FIT_LEAST = 4096
};
static char streams_key, weak_key;

static const struct {
    enum stream_slot slot;
    uint32_t kinds[4];
} wakes[] = {
    {STREAM_READS, {WEIR_EVENT_READABLE, WEIR_EVENT_STREAM_RESET, WEIR_EVENT_STREAM_CLOSED, 0}},
    {STREAM_WRITES, {WEIR_EVENT_WRITABLE, WEIR_EVENT_STREAM_STOPPED, WEIR_EVENT_STREAM_CLOSED, 0}},
    {STREAM_RECEIVES, {WEIR_EVENT_DATAGRAM, WEIR_EVENT_STREAM_RESET, WEIR_EVENT_STREAM_CLOSED, 0}},
    {STREAM_ENDS, {WEIR_EVENT_STREAM_CLOSED, 0, 0, 0}},
    {STREAM_OPENS, {WEIR_EVENT_STREAM, WEIR_EVENT_STREAM_CLOSED, 0, 0}}};

struct streams *streams_of(lua_State *L)
{
    struct streams *all;

    luaL_checkstack(L, 2, NULL);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &streams_key);
    all = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return all;
}

static weir_node *node_of(const struct stream_state *s)
{
    return s->instance->place->node;
}

/* ---- waiting */

void stream_leave(struct task *t)
{
    struct stream_state *s = t->wait, *both[2] = {s, s ? s->other : NULL};

    for (int i = 0; i < 2; i++)
        for (int slot = 0; both[i] && slot < STREAM_SLOTS; slot++)
            if (both[i]->waits[slot] == t) both[i]->waits[slot] = NULL;
    if (s) s->other = NULL;
    t->wait = NULL;
}

void stream_enter(lua_State *L, struct stream_state *s, enum stream_slot slot)
{
    struct task *t = task_check(L);

    if (s->waits[slot] && s->waits[slot] != t)
        luaL_error(L, "another handler waits for the same thing on this stream");
    s->waits[slot] = t;
}

int stream_wait(lua_State *L, struct stream_state *s, enum stream_slot slot, lua_KContext context,
                lua_KFunction k)
{
    task_check_may_wait(L);
    stream_enter(L, s, slot);
    task_check(L)->wait = s;
    return task_wait(L, stream_leave, context, k);
}

bool turn_is_over(lua_State *L)
{
    return vm_used(vm_of(L)) > runtime_of(L)->options.instructions / TURN_SHARE && vm_may_wait(L);
}

uint32_t stream_fit(lua_State *L, uint32_t most)
{
    const struct vm_owner *owner = &task_check(L)->instance->owner;
    uint64_t room = owner->bytes_max > owner->bytes ? (owner->bytes_max - owner->bytes) / 2 : 0;

    if (owner->bytes_max == 0 || most <= FIT_LEAST) return most;
    if (room < FIT_LEAST) room = FIT_LEAST;
    return most < room ? most : (uint32_t)room;
}

/* What runs then may end the stream: it is looked up anew each time. */
static void wake(weir_lua *lua, uint64_t tag, enum stream_slot slot)
{
    struct waiter *w = waiter_find(lua, tag, NULL);
    struct task *t = w ? list_entry(w, struct stream_state, waiter)->waits[slot] : NULL;

    if (!t) return;
    stream_leave(t);
    task_resume(t, 0);
}

static void wake_all(struct stream_state *s)
{
    weir_lua *lua = s->instance->script->lua;
    uint64_t tag = s->waiter.tag;

    for (int slot = 0; slot < STREAM_SLOTS; slot++) wake(lua, tag, (enum stream_slot)slot);
}

static void on_event(struct waiter *w, const weir_event *event)
{
    struct stream_state *s = list_entry(w, struct stream_state, waiter);
    weir_lua *lua = s->instance->script->lua;
    uint64_t tag = s->waiter.tag;

    if (event->object != s->handle) return;
    if (event->kind == WEIR_EVENT_STREAM) {
        s->is_open = true;
        /* Whoever waits for it reads a file; standard input has no size. */
        if (s->waits[STREAM_OPENS] && s->has_in) s->size = event->amount;
    }
    if (event->kind == WEIR_EVENT_STREAM_CLOSED) {
        s->is_over = true;
        s->error = event->error;
        if (s->is_child && event->error == 0)
            s->amount = event->amount;
        else
            s->reason = (uint32_t)event->amount;
        timer_unset(lua, &s->timer);
    }
    for (size_t i = 0; i < sizeof wakes / sizeof wakes[0]; i++)
        for (int k = 0; wakes[i].kinds[k]; k++)
            if (wakes[i].kinds[k] == event->kind) wake(lua, tag, wakes[i].slot);
}

/* ---- their end */

void stream_give_up(weir_node *node, uint64_t handle, uint32_t reason)
{
    weir_stream_reset(node, handle, reason);
    weir_stream_stop(node, handle, reason);
}

void stream_end_well(struct stream_state *s)
{
    if (s->is_over || s->handle == 0) return;
    if (s->has_out && !s->was_reset) weir_stream_finish(node_of(s), s->handle);
    if (s->has_in) weir_stream_stop(node_of(s), s->handle, 0);
}

void stream_free(struct stream_state *s)
{
    weir_lua *lua = s->instance->script->lua;
    lua_State *L = vm_main(s->instance->script->vm);

    timer_unset(lua, &s->timer);
    for (int slot = 0; slot < STREAM_SLOTS; slot++) {
        struct task *t = s->waits[slot];
        if (!t) continue;
        stream_leave(t);
        task_resume(t, 0);
    }
    waiter_remove(lua, &s->waiter);
    if (lua_checkstack(L, 3)) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &weak_key);
        lua_pushnil(L);
        lua_rawsetp(L, -2, s);
        lua_pop(L, 1);
    }
    s->streams->count--;
    list_remove(&s->link);
    free(s->held);
    free(s);
}

void streams_end(struct instance *in)
{
    lua_State *L = vm_main(in->script->vm);
    struct streams *all;
    struct list *l;

    if (!lua_checkstack(L, 3)) return;
    all = streams_of(L);
    for (l = all ? all->all.next : NULL; l && l != &all->all;) {
        struct stream_state *s = list_entry(l, struct stream_state, link);
        l = l->next;
        if (s->instance != in) continue;
        if (!s->is_over && s->handle) {
            /* What a script wrote to a file before it ended belongs there. */
            if (!s->entry && !s->is_child)
                stream_end_well(s);
            else
                stream_give_up(in->place->node, s->handle, WEIR_REASON_CANCELLED);
        }
        stream_free(s);
    }
}

/* ---- who is gone */

/* Free the states of those that the collector took. */
static void sweep(lua_State *L, struct streams *all)
{
    struct list *l = all->all.next;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &weak_key);
    while (l != &all->all) {
        struct stream_state *s = list_entry(l, struct stream_state, link);
        bool is_gone;
        l = l->next;
        is_gone = lua_rawgetp(L, -1, s) == LUA_TNIL;
        lua_pop(L, 1);
        if (!is_gone || s->server) continue;
        stream_end_well(s);
        stream_free(s);
    }
    lua_pop(L, 1);
}

/* Before one more: full collections come only after twice as many as were left by the last. */
static void make_room(lua_State *L, struct streams *all)
{
    if (all->count < all->look_at) return;
    sweep(L, all);
    if (all->count * 2 > all->look_at) {
        vm_charge(L, (uint64_t)lua_gc(L, LUA_GCCOUNT) * INSTRUCTIONS_PER_KB);
        lua_gc(L, LUA_GCCOLLECT);
        sweep(L, all);
    }
    all->look_at = all->count * 2 > LOOK_LEAST ? all->count * 2 : LOOK_LEAST;
}

static void look(struct stream_state *s)
{
    struct streams *all = s->streams;
    struct instance *in = s->instance;
    lua_State *L = vm_main(in->script->vm);
    uint64_t now = place_now(in->place), tag = s->waiter.tag;
    weir_lua *lua = in->script->lua;

    if (!lua_checkstack(L, 4)) return;
    if (now >= all->collected_us + COLLECT_GAP_US) lua_gc(L, LUA_GCCOLLECT);
    all->collected_us = now;
    sweep(L, all);
    if (!waiter_find(lua, tag, NULL)) return;
    /* Nobody runs who could drop it: it would only keep the program awake. */
    if (in->task_count == 0) return;
    s->look_us = s->look_us * 2 < LOOK_LAST_US ? s->look_us * 2 : LOOK_LAST_US;
    timer_set(&s->timer, in->place, now + s->look_us);
}

/* ---- time */

static uint64_t moved(const struct stream_state *s)
{
    weir_stream_info info = {.size = sizeof info};

    if (weir_stream_get_info(node_of(s), s->handle, &info) != 0) return s->seen;
    return info.bytes_read + info.bytes_readable + info.bytes_written + info.bytes_acknowledged;
}

static void on_time(struct timer *timer)
{
    struct stream_state *s = list_entry(timer, struct stream_state, timer);
    uint64_t now = place_now(s->instance->place), bytes, idle, within;

    if (!s->entry) {
        look(s);
        return;
    }
    idle = entry_get(s->entry, "idle");
    within = entry_get(s->entry, "within");
    bytes = moved(s);
    if (bytes != s->seen) s->moved_us = now;
    s->seen = bytes;
    if (now - s->moved_us < idle && (within == 0 || now - s->begun_us < within)) {
        uint64_t next = now + idle / 4 + 1;
        if (within && next > s->begun_us + within) next = s->begun_us + within;
        timer_set(&s->timer, s->instance->place, next);
        return;
    }
    s->is_late = true;
    if (s->server) s->instance->script->lua->info.dropped++;
    stream_give_up(node_of(s), s->handle,
                   now - s->moved_us < idle ? WEIR_REASON_DEADLINE : WEIR_REASON_TOO_SLOW);
    wake_all(s);
}

void stream_began(struct stream_state *s, uint64_t handle)
{
    struct place *place = s->instance->place;
    uint64_t now = place_now(place);

    s->handle = handle;
    s->begun_us = s->moved_us = now;
    s->look_us = LOOK_FIRST_US;
    s->timer.on_time = on_time;
    timer_set(&s->timer, place,
              now + (s->entry ? entry_get(s->entry, "idle") / 4 + 1 : LOOK_FIRST_US));
}

/* ---- in Lua */

struct stream_state *stream_new(lua_State *L, struct instance *in)
{
    struct streams *all = streams_of(L);
    struct stream_object *object;
    struct stream_state *s;
    struct vm_owner *owner;

    luaL_checkstack(L, 6, NULL);
    make_room(L, all);
    object = lua_newuserdatauv(L, sizeof *object, 0);
    memset(object, 0, sizeof *object);
    object->place = in->place->number;
    luaL_setmetatable(L, STREAM_CLASS);
    s = calloc(1, sizeof *s);
    if (!s || waiter_add(in->script->lua, &s->waiter) == 0) {
        free(s);
        luaL_error(L, "no memory for a stream");
        return NULL;
    }
    s->waiter.on_event = on_event;
    s->streams = all;
    s->instance = in;
    s->size = WEIR_NONE;
    s->has_in = s->has_out = true;
    list_push(&all->all, &s->link);
    all->count++;
    object->tag = s->waiter.tag;
    object->state = s;
    owner = vm_owner_enter(in->script->vm, NULL);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &weak_key);
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, s);
    lua_pop(L, 1);
    vm_owner_enter(in->script->vm, owner);
    return s;
}

struct stream_object *stream_check(lua_State *L, int index)
{
    struct stream_object *object = luaL_checkudata(L, index, STREAM_CLASS);
    weir_lua *lua = runtime_of(L);
    struct waiter *w = waiter_find(lua, object->tag, NULL);
    struct stream_state *s = w ? list_entry(w, struct stream_state, waiter) : NULL;

    if (!place_find(lua, object->place)) luaL_error(L, "the node of this stream is gone");
    object->state = s;
    object->handle = s && !s->is_over ? s->handle : 0;
    return object;
}

struct stream_state *stream_state_at(lua_State *L, int index)
{
    task_check(L);
    return stream_check(L, index)->state;
}

/* nil, sentence, name for a lane that the other side gave up. */
static int fail_reset(lua_State *L, uint32_t reason)
{
    char text[120];

    if (reason < 0x10000000u)
        return task_fail(L, reason ? "the other side gave the stream up" : "the stream is closed",
                         reason ? "reset" : "closed");
    task_fail_code(L, NULL, WEIR_E_RESET, reason);
    if (strcmp(lua_tostring(L, -1), "closed") != 0) return 3;
    lua_pop(L, 3);
    snprintf(text, sizeof text, "the stream was given up (%s)", weir_reason_name(reason));
    return task_fail(L, text, "reset");
}

int stream_fail(lua_State *L, struct stream_state *s, int64_t error)
{
    weir_stream_info info = {.size = sizeof info};

    if (!s) return task_fail(L, "the stream ended with its handler", "closed");
    if (s->is_late) return task_fail(L, "nothing came or went for too long", "timeout");
    if (error == WEIR_E_ONE_WAY)
        return luaL_error(L,
                          "this stream has no lane in that direction: a file is read or written");
    if (s->was_reset) return task_fail(L, "the stream was reset here", "closed");
    if (error == WEIR_E_FINISHED) return luaL_error(L, "the stream is finished already");
    if (error == WEIR_E_END) return task_fail(L, "the other side finished", "end");
    if (s->is_over && s->error < 0) return task_fail_code(L, NULL, s->error, s->reason);
    if (s->is_over) return fail_reset(L, s->reason);
    if (weir_stream_get_info(node_of(s), s->handle, &info) != 0) {
        /* Its last event went to out:copy. */
        s->is_over = true;
        timer_unset(s->instance->script->lua, &s->timer);
        return fail_reset(L, 0);
    }
    if (error == WEIR_E_RESET) return fail_reset(L, info.read_reason ? info.read_reason : 1);
    if (error == WEIR_E_STOPPED) return fail_reset(L, info.write_reason ? info.write_reason : 1);
    return task_fail_code(L, node_of(s), (int32_t)error, 0);
}

/* size and peer; everything else is a method. Upvalue: their table. */
static int stream_index(lua_State *L)
{
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    const struct stream_state *s;

    if (strcmp(key, "size") != 0 && strcmp(key, "peer") != 0) {
        luaL_checkudata(L, 1, STREAM_CLASS);
        lua_pushvalue(L, 2);
        lua_gettable(L, lua_upvalueindex(1));
        return 1;
    }
    s = stream_check(L, 1)->state;
    if (s && key[0] == 's' && s->size != WEIR_NONE)
        lua_pushinteger(L, (lua_Integer)s->size);
    else if (s && key[0] == 'p' && s->peer != PEER_NONE)
        peers_push(L, runtime_of(L), s->peer);
    else
        lua_pushnil(L);
    return 1;
}

static void make_tables(lua_State *L)
{
    struct streams *all = lua_newuserdatauv(L, sizeof *all, 0);

    memset(all, 0, sizeof *all);
    list_init(&all->all);
    list_init(&all->guards);
    all->look_at = LOOK_LEAST;
    lua_rawsetp(L, LUA_REGISTRYINDEX, &streams_key);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &weak_key);
}

void words_stream(lua_State *L)
{
    static const luaL_Reg methods[] = {{"read", stream_method_read},
                                       {"read_exactly", stream_method_read_exactly},
                                       {"read_line", stream_method_read_line},
                                       {"lines", stream_method_lines},
                                       {"chunks", stream_method_chunks},
                                       {"receive", stream_method_receive},
                                       {"write", stream_method_write},
                                       {"flush", stream_method_flush},
                                       {"finish", stream_method_finish},
                                       {"reset", stream_method_reset},
                                       {"urgency", stream_method_urgency},
                                       {"send", stream_method_send},
                                       {"wait", stream_method_wait},
                                       {"copy", stream_method_copy},
                                       {NULL, NULL}};

    make_tables(L);
    sandbox_class(L, STREAM_CLASS, methods, NULL);
    luaL_getmetatable(L, STREAM_CLASS);
    lua_getfield(L, -1, "__index");
    lua_pushcclosure(L, stream_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_pushcfunction(L, stream_word_open);
    sandbox_set(L, "open");
}
