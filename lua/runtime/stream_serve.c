/* SPDX-License-Identifier: MIT */
/* Streams that peers open, and those that a script opens to peers. One that a peer opened is its
 * handler's: when that returns, this side finishes and wants no more; when it fails, both lanes are
 * given up with the reason. */
#include "instance.h"
#include "peers.h"
#include "stream_state.h"
#include <lauxlib.h>
#include <stdlib.h>

enum { OPEN_INSTRUCTIONS = 50, DATAGRAM_MAX = 1400 };

static const struct entry_key keys[] = {
    {"idle", ENTRY_TIME, true, 1000, 3600000000u, 0, NULL,
     "so that a peer that says nothing is given up"},
    {"within", ENTRY_TIME, false, 1000, 86400000000u, 0, NULL, NULL},
    {"urgency", ENTRY_COUNT, false, 0, 7, 3, NULL, "0 goes first"},
    {"datagram", ENTRY_BYTES, false, 1, DATAGRAM_MAX, 0, NULL, "what a packet carries"},
    {NULL, 0, false, 0, 0, 0, NULL, NULL}};

struct stream_server {
    struct waiter waiter;
    struct list visits;
    struct instance *in;
    struct entry *entry;
    uint32_t count; /* visits */
};
/* A stream of a peer, while its handler runs. */
struct visit {
    struct list link;
    struct stream_server *server;
    uint64_t handle;
    uint64_t tag; /* of its state; 0: there is none yet */
    uint32_t peer;
};

/* ---- streams of peers */

static bool has_room(const struct stream_server *server, uint32_t peer)
{
    uint32_t same = 0;

    if (server->count >= server->in->script->serve) return false;
    for (const struct list *l = server->visits.next; l != &server->visits; l = l->next)
        same += list_entry(l, const struct visit, link)->peer == peer;
    return same < server->in->script->per_peer;
}

static void end_visit(struct visit *v)
{
    v->server->count--;
    list_remove(&v->link);
    free(v);
}

static void on_end(struct task *t, enum task_end end, int results)
{
    struct visit *v = t->context;
    weir_node *node = t->instance->place->node;
    struct waiter *w = waiter_find(t->instance->script->lua, v->tag, NULL);
    struct stream_state *s = w ? list_entry(w, struct stream_state, waiter) : NULL;

    (void)results;
    if (end == TASK_DONE && s)
        stream_end_well(s);
    else if (!s || !s->is_over)
        stream_give_up(node, v->handle,
                       end == TASK_STOPPED  ? WEIR_REASON_SCRIPT_LIMIT
                       : end == TASK_FAILED ? WEIR_REASON_SCRIPT
                                            : WEIR_REASON_CANCELLED);
    if (s) stream_free(s);
    end_visit(v);
}

static int push(lua_State *co, void *context)
{
    struct visit *v = context;
    struct instance *in = v->server->in;
    struct stream_state *s;

    peers_push(co, in->script->lua, v->peer);
    s = stream_new(co, in);
    s->server = v->server;
    s->entry = v->server->entry;
    s->peer = v->peer;
    v->tag = s->waiter.tag;
    stream_began(s, v->handle);
    weir_stream_set_user(in->place->node, v->handle, v->tag);
    return 2;
}

static void on_stream(struct waiter *w, const weir_event *event)
{
    struct stream_server *server = list_entry(w, struct stream_server, waiter);
    struct instance *in = server->in;
    struct task_call call = {.method = server->entry->name, .push = push, .on_end = on_end};
    uint32_t peer = place_peer_of(in->place, event->parent);
    struct visit *v;
    bool began;

    if (event->kind != WEIR_EVENT_STREAM) return;
    v = !in->stopping && peer != PEER_NONE && has_room(server, peer) ? calloc(1, sizeof *v) : NULL;
    if (!v) {
        in->script->lua->info.dropped++;
        stream_give_up(in->place->node, event->object, WEIR_REASON_OVERLOAD);
        return;
    }
    v->server = server;
    v->handle = event->object;
    v->peer = peer;
    list_push(&server->visits, &v->link);
    server->count++;
    in->script->lua->info.streams_in++;
    call.context = call.end_context = v;
    task_start(in, &call, &began);
    if (began) return;
    stream_give_up(in->place->node, event->object, WEIR_REASON_OVERLOAD);
    end_visit(v);
}

static int begin(struct instance *in, struct entry *e, weir_error *error)
{
    weir_serve_options options = {.size = sizeof options, .kinds = WEIR_KIND_STREAM};
    struct stream_server *server = calloc(1, sizeof *server);
    char name[136];
    int32_t code;

    if (!server || waiter_add(in->script->lua, &server->waiter) == 0) {
        free(server);
        return error_fill(error, WEIR_E_MEMORY, "no memory to serve %s", entry_wire_name(e, name));
    }
    server->waiter.on_event = on_stream;
    server->in = in;
    server->entry = e;
    list_init(&server->visits);
    options.user = server->waiter.tag;
    options.urgency_plus1 = (uint32_t)entry_get(e, "urgency") + 1;
    code = weir_node_serve(in->place->node, entry_wire_name(e, name), &options);
    if (code == 0) {
        in->states[e->index] = server;
        return 0;
    }
    error_fill(error, code, "%s cannot be served: %s", name, weir_strerror(code));
    weir_last_error(in->place->node, error);
    waiter_remove(in->script->lua, &server->waiter);
    free(server);
    return code;
}

static void end(struct instance *in, struct entry *e)
{
    struct stream_server *server = in->states[e->index];
    char name[136];

    weir_node_unserve(in->place->node, entry_wire_name(e, name));
    waiter_remove(in->script->lua, &server->waiter);
    free(server);
    in->states[e->index] = NULL;
}

const struct entry_ops stream_ops = {
    .word = "stream", .keys = keys, .needs_method = true, .begin = begin, .end = end};

/* ---- open */

struct room_wait {
    struct dial_wait wait;
    struct task *task;
    uint64_t connection;
    int32_t error;
    bool is_answered, is_late;
};

static void on_room(struct dial_wait *w, uint64_t connection, int32_t error, const char *text)
{
    struct room_wait *r = list_entry(w, struct room_wait, wait);

    (void)text;
    (void)connection;
    r->error = error;
    r->is_answered = true;
    if (r->task->waiting) task_resume(r->task, 0);
}

static void on_late(struct timer *timer)
{
    struct task *t = list_entry(timer, struct task, timer);
    struct room_wait *r = t->wait;

    dial_wait_cancel(&r->wait);
    r->is_late = true;
    task_resume(t, 0);
}

static void on_cancel(struct task *t)
{
    struct room_wait *r = t->wait;

    dial_wait_cancel(&r->wait);
    free(r);
    t->wait = NULL;
}

static int open_on(lua_State *L, uint64_t connection);

static int room_on(lua_State *L, int status, lua_KContext context)
{
    struct task *t = task_check(L);
    struct room_wait r = *(struct room_wait *)t->wait;

    (void)status;
    (void)context;
    free(t->wait);
    t->wait = NULL;
    if (r.is_late) return task_fail(L, "the peer takes no more streams now", "busy");
    if (r.error < 0) return task_fail_code(L, NULL, r.error, 0);
    return open_on(L, r.connection);
}

/* The peer allows no more streams: it will, or not within the time that the entry calls idle. */
static int wait_for_room(lua_State *L, const struct entry *e, uint64_t connection)
{
    struct task *t = task_check(L);
    struct place *place = t->instance->place;
    struct room_wait *r;

    task_check_may_wait(L);
    r = calloc(1, sizeof *r);
    if (!r) return task_fail(L, "no memory to wait", "limit");
    r->wait.on_answer = on_room;
    r->task = t;
    r->connection = connection;
    t->wait = r;
    place_wait_room(place, connection, &r->wait);
    if (r->is_answered) return room_on(L, LUA_OK, 0);
    t->timer.on_time = on_late;
    timer_set(&t->timer, place, place_now(place) + entry_get(e, "idle"));
    return task_wait(L, on_cancel, 0, room_on);
}

/* Stack: peer, entry, urgency or nil. */
static int open_on(lua_State *L, uint64_t connection)
{
    struct task *t = task_check(L);
    struct entry *e = script_check_entry(L, 2, NULL);
    weir_node *node = t->instance->place->node;
    weir_stream_options options = {.size = sizeof options};
    struct stream_state *s = stream_new(L, t->instance);
    char name[136];
    int64_t handle;

    options.urgency_plus1 =
        (uint32_t)luaL_optinteger(L, 3, (lua_Integer)entry_get(e, "urgency")) + 1;
    options.user = s->waiter.tag;
    handle = weir_stream_open(node, connection, entry_wire_name(e, name), &options);
    if (handle > 0) {
        s->entry = e;
        s->peer = peers_get(L, 1);
        stream_began(s, (uint64_t)handle);
        return 1;
    }
    stream_free(s);
    lua_settop(L, 3);
    if (handle == WEIR_E_LIMIT) return wait_for_room(L, e, connection);
    return task_fail_code(L, node, (int32_t)handle, 0);
}

static int connected(lua_State *L, int status, lua_KContext context)
{
    struct dial_result result;

    (void)status;
    dial_result(context, &result);
    lua_settop(L, 3);
    if (result.connection == 0) return dial_fail(L, &result);
    return open_on(L, result.connection);
}

int stream_word_open(lua_State *L)
{
    static const char *const kinds[] = {"stream", NULL};
    struct task *t = task_check(L);
    struct place *place = t->instance->place;
    uint32_t peer = peers_check(L, 1);
    lua_Integer urgency;
    uint64_t connection;

    lua_settop(L, 3);
    script_check_entry(L, 2, kinds);
    urgency = luaL_optinteger(L, 3, 3);
    luaL_argcheck(L, urgency >= 0 && urgency <= 7, 3, "0 (first) to 7");
    vm_charge(L, OPEN_INSTRUCTIONS);
    if (peer == PEER_NONE) return task_fail(L, "the peer was forgotten", "unreachable");
    connection = place_connection(place, peer);
    if (connection) return open_on(L, connection);
    return dial_in_task(L, place, peer, NULL, false, connected);
}
