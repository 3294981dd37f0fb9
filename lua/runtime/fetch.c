/* SPDX-License-Identifier: MIT */
/* fetch { ... }: something large, in parts, from several peers at once. The core asks and verifies;
 * here each part is handed to the script's function or written to its place in a file, one after
 * another, before the next is taken: a slow disk slows the peers down, and nothing grows.
 *
 * A file is written in place, each part where it belongs. With `have`, what the file has beyond the
 * size, and where parts are said to be here already, stays; without, the file is emptied when the
 * first part is there, so that nothing of an older one is left behind the new. */
#include "fetch_state.h"
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PRINT_US = 1000000, CALL_US = 200000, PART_COST = 200, LINE_BYTES = 120 };

static weir_node *node_of(const struct fetch *f)
{
    return f->in->place->node;
}

/* ---- its life */

void fetch_release(struct guard *g)
{
    struct fetch *f = list_entry(g, struct fetch, guard);

    for (uint32_t i = 0; i < f->peer_count; i++) dial_wait_cancel(&f->peers[i].wait);
    if (f->handle && !f->is_closed) weir_fetch_cancel(node_of(f), f->handle);
    if (f->file) weir_stream_reset(node_of(f), f->file, 0);
    waiter_remove(f->in->script->lua, &f->waiter);
    guard_remove(g);
    free(f->have);
    free(f->hashes);
    free(f->part);
    free(f);
}

static void wake(struct fetch *f)
{
    if (!f->is_waiting) return;
    f->is_waiting = false;
    task_resume(f->guard.task, 0);
}

static void on_event(struct waiter *w, const weir_event *event)
{
    struct fetch *f = list_entry(w, struct fetch, waiter);

    if (event->object == f->handle && event->kind == WEIR_EVENT_FETCH_CLOSED) {
        f->is_closed = true;
        f->error = event->error;
        f->reason = (uint32_t)event->amount;
    } else if (f->file && event->object == f->file && event->kind == WEIR_EVENT_STREAM_CLOSED) {
        f->is_file_over = true;
        f->file_error = event->error;
    } else if (event->object != f->handle && event->object != f->file)
        return;
    wake(f);
}

static void on_time(struct timer *timer)
{
    struct task *t = list_entry(timer, struct task, timer);

    wake(t->wait);
}

static void on_cancel(struct task *t)
{
    struct fetch *f = t->wait;

    f->is_waiting = false;
}

static int fetch_on(lua_State *L, int status, lua_KContext context);

static int wait_again(lua_State *L, struct fetch *f, bool is_turn)
{
    struct task *t = f->guard.task;

    task_check_may_wait(L);
    t->wait = f;
    f->is_waiting = true;
    if (f->prints || is_turn) {
        t->timer.on_time = on_time;
        timer_set(&t->timer, f->in->place,
                  is_turn ? place_now(f->in->place) + 1 : f->told_us + PRINT_US);
    }
    return task_wait(L, on_cancel, (lua_KContext)f, fetch_on);
}

static int give_up(lua_State *L, struct fetch *f, int32_t error, uint32_t reason, const char *text)
{
    char sentence[sizeof f->dial_text];

    snprintf(sentence, sizeof sentence, "%s", text);
    fetch_release(&f->guard);
    task_fail_code(L, NULL, error, reason);
    if (!sentence[0]) return 3;
    lua_pushstring(L, sentence);
    lua_replace(L, -3);
    return 3;
}

/* ---- peers */

static void add(struct fetch *f, struct fetch_peer *p)
{
    int32_t code = weir_fetch_add(node_of(f), f->handle, p->connection);

    if (code == 0 || code == WEIR_E_EXISTS) f->added++;
}

static void on_answer(struct dial_wait *w, uint64_t connection, int32_t error, const char *text)
{
    struct fetch_peer *p = list_entry(w, struct fetch_peer, wait);
    struct fetch *f = p->fetch;

    f->dials--;
    p->connection = connection;
    if (connection)
        add(f, p);
    else
        snprintf(f->dial_text, sizeof f->dial_text, "%s",
                 text && text[0] ? text : weir_strerror(error));
    wake(f);
}

void fetch_dial(struct fetch *f, uint32_t peer)
{
    struct fetch_peer *p;

    if (peer == PEER_NONE || peer == f->in->place->me || f->peer_count == FETCH_PEERS) return;
    for (uint32_t i = 0; i < f->peer_count; i++)
        if (f->peers[i].peer == peer) return;
    p = &f->peers[f->peer_count++];
    p->fetch = f;
    p->peer = peer;
    p->connection = place_connection(f->in->place, peer);
    if (p->connection) {
        add(f, p);
        return;
    }
    f->dials++;
    p->wait.on_answer = on_answer;
    place_dial(f->in->place, peer, false, &p->wait);
}

/* ---- the core's fetch */

int32_t fetch_open(struct fetch *f)
{
    weir_fetch_options options = {.size = sizeof options};
    char name[136];
    int64_t handle;

    options.part_bytes = f->part_bytes;
    options.total_bytes = f->size;
    options.data = f->what;
    options.data_len = f->what_len;
    options.hashes = f->hashes;
    options.have = f->have;
    options.user = f->waiter.tag;
    handle = weir_fetch_open(node_of(f), entry_wire_name(f->entry, name), &options);
    if (handle < 0) return (int32_t)handle;
    f->handle = (uint64_t)handle;
    return 0;
}

/* ---- parts */

void fetch_part_done(struct fetch *f)
{
    f->done += f->part_len;
    f->part_len = 0;
    f->is_writing = false;
}

enum { STEP_WAIT, STEP_DONE };

static int32_t open_file(struct fetch *f)
{
    uint32_t flags = f->keeps_file ? WEIR_FILE_WRITE | WEIR_FILE_KEEP : WEIR_FILE_WRITE;
    int64_t result =
        weir_file_open(node_of(f), f->path, flags, f->keeps_file ? f->offset : 0, f->waiter.tag);

    if (result < 0) return (int32_t)result;
    f->file = (uint64_t)result;
    f->written = 0;
    f->is_file_finished = false;
    return 0;
}

/* Go on with writing a part to the file. @return STEP_*, or why not */
static int32_t write_part(struct fetch *f)
{
    int64_t result;
    uint32_t len;

    if (f->is_file_over) {
        bool was_emptied = !f->keeps_file && f->is_file_finished;
        f->file = 0;
        f->is_file_over = false;
        if (f->file_error < 0) return f->file_error;
        /* It may only end when everything was taken. */
        if (!f->is_file_finished) return WEIR_E_IO;
        f->keeps_file = true;
        if (!was_emptied || f->part_len == 0) return STEP_DONE;
    }
    if (!f->file && (result = open_file(f)) < 0) return (int32_t)result;
    if (f->is_file_finished) return STEP_WAIT;
    len = f->keeps_file ? f->part_len : 0;
    result =
        weir_stream_write(node_of(f), f->file, f->part + f->written, len - f->written, WEIR_FIN);
    if (result < 0 && result != WEIR_E_STOPPED) return (int32_t)result;
    if (result > 0) f->written += (uint32_t)result;
    f->is_file_finished = f->written == len;
    return STEP_WAIT;
}

/* What the script's function gave is on top: false says that the part is wrong. */
static void part_taken(lua_State *L, struct fetch *f)
{
    if (lua_isboolean(L, -1) && !lua_toboolean(L, -1)) {
        weir_fetch_reject(node_of(f), f->handle, f->offset);
        f->part_len = 0;
    }
    lua_settop(L, FETCH_STACK);
    fetch_part_done(f);
}

static int after_into(lua_State *L, int status, lua_KContext context)
{
    part_taken(L, (struct fetch *)context);
    return fetch_on(L, status, context);
}

static void call_into(lua_State *L, struct fetch *f)
{
    lua_pushvalue(L, FETCH_INTO);
    lua_pushinteger(L, (lua_Integer)f->offset);
    lua_pushlstring(L, (const char *)f->part, f->part_len);
    lua_callk(L, 2, 1, (lua_KContext)f, after_into);
    part_taken(L, f);
}

/* ---- progress */

static void print_line(lua_State *L, const struct fetch *f)
{
    weir_fetch_info info = {.size = sizeof info};
    char text[LINE_BYTES];
    uint64_t tenth = f->done * 10 >> 20, of = f->size * 10 >> 20;

    if (weir_fetch_get_info(node_of(f), f->handle, &info) != 0) info.bytes_per_second = 0;
    snprintf(text, sizeof text, "%llu.%llu of %llu.%llu MiB, %llu MiB/s, %u %s",
             (unsigned long long)(tenth / 10), (unsigned long long)(tenth % 10),
             (unsigned long long)(of / 10), (unsigned long long)(of % 10),
             (unsigned long long)(info.bytes_per_second >> 20), (unsigned)info.peers,
             info.peers == 1 ? "peer" : "peers");
    vm_print_line(L, text, strlen(text));
}

/* Whether the script's function is to be called. */
static bool is_progress_due(struct fetch *f)
{
    uint64_t now = place_now(f->in->place), gap = f->prints ? PRINT_US : CALL_US;

    if ((!f->prints && !f->calls) || now - f->told_us < gap) return false;
    if (f->calls && f->done == f->told) return false;
    f->told_us = now;
    f->told = f->done;
    return true;
}

static void call_progress(lua_State *L, struct fetch *f)
{
    lua_pushvalue(L, FETCH_PROGRESS);
    lua_pushinteger(L, (lua_Integer)f->done);
    lua_pushinteger(L, (lua_Integer)f->size);
    lua_callk(L, 2, 0, (lua_KContext)f, fetch_on);
}

/* ---- the loop */

static int done(lua_State *L, struct fetch *f)
{
    fetch_release(&f->guard);
    lua_pushboolean(L, 1);
    return 1;
}

/* No part waits. */
static int when_idle(lua_State *L, struct fetch *f)
{
    if (f->is_closed && f->error < 0)
        return give_up(L, f, f->error, f->reason,
                       f->error == WEIR_E_UNREACHABLE ? "no peer is left that gives it" : "");
    if (f->is_closed) return done(L, f);
    if (f->added == 0 && f->dials == 0)
        return give_up(L, f, WEIR_E_UNREACHABLE, 0,
                       f->dial_text[0] ? f->dial_text : "there is no peer to fetch it from");
    return wait_again(L, f, false);
}

static int fetch_on(lua_State *L, int status, lua_KContext context)
{
    struct fetch *f = (struct fetch *)context;
    int64_t len;

    (void)status;
    lua_settop(L, FETCH_STACK);
    for (;;) {
        if (turn_is_over(L)) return wait_again(L, f, true);
        if (is_progress_due(f)) {
            if (f->prints)
                print_line(L, f);
            else
                call_progress(L, f);
        }
        if (f->is_writing) {
            len = write_part(f);
            if (len < 0) return give_up(L, f, (int32_t)len, 0, "");
            if (len == STEP_WAIT) return wait_again(L, f, false);
            fetch_part_done(f);
            if (f->size == 0) return done(L, f);
        }
        vm_charge(L, PART_COST);
        len = weir_fetch_read(node_of(f), f->handle, &f->offset, f->part, f->part_bytes);
        if (len < 0) return when_idle(L, f);
        f->part_len = (uint32_t)len;
        f->is_writing = f->is_file;
        if (!f->is_file) call_into(L, f);
    }
}

int fetch_go(lua_State *L, struct fetch *f)
{
    f->told_us = place_now(f->in->place);
    f->keeps_file = f->have != NULL;
    f->waiter.on_event = on_event;
    return fetch_on(L, LUA_OK, (lua_KContext)f);
}
