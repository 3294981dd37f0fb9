/* SPDX-License-Identifier: MIT */
#include "send.h"
#include "lines.h"
#include "server.h"
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEND_INSTRUCTIONS = 50, SLOTS = 4 };

/* One that waits. A C function that waits does not return, so nothing of this may be held when `go`
 * is called. */
struct waiting {
    struct sending what;
    struct dial_wait dial;
    struct task *task;
    uint64_t connection; /* of the answer ... */
    int32_t error;
    bool is_answered, is_late;
    char text[160];
    uint8_t bytes[];
};

static void on_answer(struct dial_wait *w, uint64_t connection, int32_t error, const char *text)
{
    struct waiting *s = list_entry(w, struct waiting, dial);

    s->is_answered = true;
    s->connection = connection;
    s->error = error;
    snprintf(s->text, sizeof s->text, "%s", text ? text : "");
    if (s->task->waiting) task_resume(s->task, 0);
}

static void on_late(struct timer *timer)
{
    struct task *t = list_entry(timer, struct task, timer);
    struct waiting *s = t->wait;

    dial_wait_cancel(&s->dial);
    s->is_answered = s->is_late = true;
    task_resume(t, 0);
}

static void on_cancel(struct task *t)
{
    struct waiting *s = t->wait;

    dial_wait_cancel(&s->dial);
    free(s);
    t->wait = NULL;
}

int send_failed(lua_State *L, const struct sending *s)
{
    if (s->gives_false) {
        lua_pushboolean(L, 0);
        lua_replace(L, -4);
    }
    return 3;
}

static int fail(lua_State *L, struct task *t)
{
    struct waiting *s = t->wait;
    struct sending what = s->what;
    int32_t error = s->error == WEIR_E_NOT_FOUND ? WEIR_E_UNREACHABLE : s->error;
    bool is_late = s->is_late, had_connection = s->connection != 0;
    char text[sizeof s->text];

    memcpy(text, s->text, sizeof text);
    free(s);
    t->wait = NULL;
    if (is_late) {
        task_fail(L,
                  had_connection ? "there was no room for it in time"
                                 : "there was no connection in time",
                  "timeout");
        return send_failed(L, &what);
    }
    task_fail_code(L, NULL, error, 0);
    if (text[0]) {
        lua_pushstring(L, text);
        lua_replace(L, -3);
    }
    return send_failed(L, &what);
}

static int try(lua_State *L, const struct sending *what, uint64_t connection);

static int go_on(lua_State *L, int status, lua_KContext context)
{
    struct task *t = task_check(L);
    struct waiting *s = t->wait;
    struct sending what = s->what;
    uint64_t connection = s->connection;

    (void)status;
    (void)context;
    lua_settop(L, SLOTS);
    if (s->is_late || s->error < 0) return fail(L, t);
    memcpy(what.instance->script->lua->scratch, s->bytes, what.len);
    free(s);
    t->wait = NULL;
    return try(L, &what, connection);
}

/* Keep what is in scratch, and wait: for room on a connection, or without one for one. */
static int keep(lua_State *L, const struct sending *what, uint64_t connection)
{
    struct instance *in = what->instance;
    struct task *t = task_check(L);
    struct waiting *s;

    task_check_may_wait(L);
    s = calloc(1, sizeof *s + what->len);
    if (!s) {
        task_fail(L, "no memory to wait", "limit");
        return send_failed(L, what);
    }
    s->what = *what;
    s->task = t;
    s->dial.on_answer = on_answer;
    memcpy(s->bytes, in->script->lua->scratch, what->len);
    t->wait = s;
    if (connection) {
        s->connection = connection;
        place_wait_room(in->place, connection, &s->dial);
    } else
        place_dial(in->place, what->peer, false, &s->dial);
    if (s->is_answered) return go_on(L, LUA_OK, 0);
    t->timer.on_time = on_late;
    if (what->until_us != WEIR_NONE) timer_set(&t->timer, in->place, what->until_us);
    return task_wait(L, on_cancel, 0, go_on);
}

static int try(lua_State *L, const struct sending *what, uint64_t connection)
{
    int result = what->go(L, what, connection, what->instance->script->lua->scratch);

    return result == SEND_NO_ROOM ? keep(L, what, connection) : result;
}

static int refuse(lua_State *L, const struct sending *what, const char *sentence, const char *name)
{
    task_fail(L, sentence, name);
    return send_failed(L, what);
}

int send_begin(lua_State *L, struct instance *in, struct entry *e, uint64_t within_us, send_go go,
               bool gives_false)
{
    struct sending what = {.instance = in,
                           .entry = e,
                           .go = go,
                           .gives_false = gives_false,
                           .peer = peers_check(L, 1)};
    uint64_t connection;
    char error[200];
    bool is_long;
    int64_t len;

    vm_charge(L, SEND_INSTRUCTIONS);
    if (what.peer == PEER_NONE) return refuse(L, &what, "the peer was forgotten", "unreachable");
    len = server_encode(L, in, e, 3, error, sizeof error, &is_long);
    if (len < 0 && is_long) return refuse(L, &what, error, "limit");
    if (len < 0) return luaL_error(L, "%s: %s", e->name, error);
    if (!task_may_send(task_check(L)))
        return refuse(L, &what, "one event has caused as many messages as it may", "limit");
    what.len = (size_t)len;
    what.until_us = within_us == WEIR_NONE ? WEIR_NONE : place_now(in->place) + within_us;
    connection = place_connection(in->place, what.peer);
    return connection ? try(L, &what, connection) : keep(L, &what, 0);
}
