/* SPDX-License-Identifier: MIT */
/* An answer in pieces. Reading it gives the peer credit, so a reader that is slow stops the writer;
 * writing waits while the reader's window is shut. What Lua holds is a tag: once the request is
 * over the tag finds nobody, whenever the collector comes. */
#include "response.h"
#include "peers.h"
#include "sandbox.h"
#include "stream_state.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_BYTES = 16384 /* fits an instance of 64 KiB a few times */,
    BYTES_PER_INSTRUCTION = 64,
    COPIED_PER_INSTRUCTION = 1024 /* without passing through Lua */
};

struct response {
    struct waiter waiter;
    struct list link; /* in task->responses */
    struct instance *instance;
    struct task *reader; /* that waits */
    uint64_t request;
    int32_t error; /* why it ended early */
    uint32_t reason;
    bool is_over, is_whole;
};
struct tagged {
    uint64_t tag;
};

/* ---- the reader's side */

static void on_event(struct waiter *w, const weir_event *event)
{
    struct response *r = list_entry(w, struct response, waiter);

    if (event->object != r->request) return;
    if (event->kind == WEIR_EVENT_REQUEST_CLOSED || event->kind == WEIR_EVENT_RESPONSE) {
        r->is_over = true;
        r->error = event->error;
        r->reason = (uint32_t)event->amount;
    }
    if (r->reader && r->reader->waiting) task_resume(r->reader, 0);
}

int response_push(lua_State *L, struct task *t, struct instance *in, struct entry *e)
{
    struct tagged *object = lua_newuserdatauv(L, sizeof *object, 0);
    struct response *r = calloc(1, sizeof *r);

    (void)e;
    object->tag = 0;
    luaL_setmetatable(L, "response");
    if (!r || waiter_add(in->script->lua, &r->waiter) == 0) {
        free(r);
        weir_request_cancel(in->place->node, t->object, WEIR_REASON_CANCELLED);
        return task_fail(L, "no memory to read the answer", "limit");
    }
    r->waiter.on_event = on_event;
    r->instance = in;
    r->request = t->object;
    object->tag = r->waiter.tag;
    list_push(&t->responses, &r->link);
    weir_stream_set_user(in->place->node, r->request, r->waiter.tag);
    return 1;
}

static void end_response(struct response *r)
{
    if (!r->is_over)
        weir_request_cancel(r->instance->place->node, r->request, WEIR_REASON_CANCELLED);
    waiter_remove(r->instance->script->lua, &r->waiter);
    list_remove(&r->link);
    free(r);
}

void responses_end(struct task *t)
{
    struct response *r;

    while ((r = list_first(&t->responses, struct response, link)) != NULL) end_response(r);
}

/* NULL: it was cancelled, or ended with the handler that asked. */
static struct response *response_at(lua_State *L, int index)
{
    const struct tagged *object = luaL_checkudata(L, index, "response");
    struct waiter *w = waiter_find(runtime_of(L), object->tag, NULL);

    return w ? list_entry(w, struct response, waiter) : NULL;
}

static void on_cancel_read(struct task *t)
{
    struct response *r = t->wait;

    r->reader = NULL;
}

/* What a read that gave nothing means. @return values pushed; 0: wait */
static int read_failed(lua_State *L, struct response *r, int64_t result)
{
    if (result == WEIR_E_END || (result == WEIR_E_STALE && r->is_over && r->error == 0)) {
        r->is_whole = r->is_over = true;
        return task_fail(L, "the answer ended", "end");
    }
    if (r->is_over) return task_fail_code(L, NULL, r->error ? r->error : WEIR_E_RESET, r->reason);
    if (result == 0) return 0;
    /* The event that says why follows. */
    if (result == WEIR_E_RESET) return 0;
    return task_fail_code(L, r->instance->place->node, (int32_t)result, 0);
}

/* Stack: the response, how many bytes. */
static int read_on(lua_State *L, int status, lua_KContext context)
{
    struct response *r = response_at(L, 1);
    uint32_t most = (uint32_t)lua_tointeger(L, 2);
    struct task *t = task_check(L);
    weir_node *node;
    const void *data;
    int64_t len;
    int count;

    (void)status;
    (void)context;
    if (!r) return task_fail(L, "the answer is given up", "closed");
    r->reader = NULL;
    if (r->is_whole) return task_fail(L, "the answer ended", "end");
    node = r->instance->place->node;
    len = weir_stream_peek(node, r->request, &data);
    if (len > 0) {
        most = stream_fit(L, most);
        if (len > most) len = most;
        vm_charge(L, (uint64_t)len / BYTES_PER_INSTRUCTION);
        /* Only then it is consumed: nothing is lost when there is no memory for it. */
        lua_pushlstring(L, data, (size_t)len);
        weir_stream_consume(node, r->request, (uint64_t)len);
        return task_give(L, 1);
    }
    count = read_failed(L, r, len);
    if (count > 0) return count;
    task_check_may_wait(L);
    r->reader = t;
    t->wait = r;
    return task_wait(L, on_cancel_read, 0, read_on);
}

static lua_Integer check_most(lua_State *L, int index)
{
    lua_Integer most = luaL_optinteger(L, index, CHUNK_BYTES);

    luaL_argcheck(L, most >= 1, index, "a number of bytes");
    return most < SCRATCH_BYTES ? most : SCRATCH_BYTES;
}

static int response_read(lua_State *L)
{
    struct response *r = response_at(L, 1);
    lua_Integer most = check_most(L, 2);

    task_check(L);
    if (r && r->reader) return luaL_error(L, "read: another handler reads this answer");
    lua_settop(L, 1);
    lua_pushinteger(L, most);
    return read_on(L, LUA_OK, 0);
}

static int step(lua_State *L)
{
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, lua_upvalueindex(2));
    return response_read(L);
}

static int response_chunks(lua_State *L)
{
    lua_Integer most = check_most(L, 2);

    response_at(L, 1);
    lua_pushvalue(L, 1);
    lua_pushinteger(L, most);
    lua_pushcclosure(L, step, 2);
    return 1;
}

static int response_ended(lua_State *L)
{
    const struct response *r = response_at(L, 1);

    lua_pushboolean(L, r && r->is_whole);
    return 1;
}

static int response_cancel(lua_State *L)
{
    struct response *r = response_at(L, 1);

    if (!r) return 0;
    if (r->reader) return luaL_error(L, "cancel: another handler reads this answer");
    end_response(r);
    return 0;
}

/* ---- the writer's side */

void out_push(lua_State *L, struct served *r)
{
    struct tagged *object = lua_newuserdatauv(L, sizeof *object, 0);

    object->tag = r->waiter.tag;
    luaL_setmetatable(L, "out");
}

static struct served *out_at(lua_State *L, int index)
{
    const struct tagged *object = luaL_checkudata(L, index, "out");
    struct waiter *w = waiter_find(runtime_of(L), object->tag, NULL);
    struct served *r = w ? list_entry(w, struct served, waiter) : NULL;

    return r && !r->is_over ? r : NULL;
}

static struct served *out_begin(lua_State *L)
{
    struct served *r = out_at(L, 1);

    task_check(L);
    if (r && (r->writer || r->copying)) luaL_error(L, "another handler writes this answer");
    return r;
}

static void stop_copying(struct served *r)
{
    if (r->copying) weir_stream_set_user(r->server->in->place->node, r->copying, r->copying_tag);
    r->copying = 0;
}

static void on_cancel_write(struct task *t)
{
    struct served *r = t->wait;

    r->writer = NULL;
    stop_copying(r);
}

static int wait_to_write(lua_State *L, struct served *r, lua_KContext context, lua_KFunction k)
{
    struct task *t = task_check(L);

    task_check_may_wait(L);
    r->writer = t;
    t->wait = r;
    return task_wait(L, on_cancel_write, context, k);
}

static int is_over(lua_State *L)
{
    return task_fail(L, "the peer no longer wants the answer", "closed");
}

/* Hand bytes to the core. @return how many were taken; negative: values pushed, as ~count */
static int64_t respond(lua_State *L, struct served *r, const void *data, size_t len)
{
    weir_node *node = r->server->in->place->node;
    uint64_t total = entry_get(r->entry, "total");
    int64_t taken;

    if (r->sent + len > total)
        return ~task_fail(L, "the answer is longer than the total that is declared", "limit");
    taken = weir_request_respond(node, r->request, data, (uint32_t)len, WEIR_MORE);
    if (taken < 0) return ~task_fail_code(L, node, (int32_t)taken, 0);
    r->sent += (uint64_t)taken;
    return taken;
}

/* Stack: out, bytes. context: how many went. */
static int write_on(lua_State *L, int status, lua_KContext context)
{
    struct served *r = out_at(L, 1);
    size_t len, went = (size_t)context;
    const char *data = lua_tolstring(L, 2, &len);
    int64_t taken;

    (void)status;
    if (!r) return is_over(L);
    r->writer = NULL;
    taken = respond(L, r, data + went, len - went);
    if (taken < 0) return (int)~taken;
    went += (size_t)taken;
    if (went < len) return wait_to_write(L, r, (lua_KContext)went, write_on);
    lua_pushboolean(L, 1);
    return task_give(L, 1);
}

static int out_write(lua_State *L)
{
    struct served *r = out_begin(L);
    size_t len;

    luaL_checklstring(L, 2, &len);
    lua_settop(L, 2);
    vm_charge(L, 10 + len / BYTES_PER_INSTRUCTION);
    if (r && len > entry_get(r->entry, "answer"))
        return luaL_error(L, "write: %I bytes in one piece, and %s declares at most %I",
                          (LUAI_UACINT)len, r->entry->name,
                          (LUAI_UACINT)entry_get(r->entry, "answer"));
    return write_on(L, LUA_OK, 0);
}

static int copied(lua_State *L, struct served *r, uint64_t bytes)
{
    stop_copying(r);
    lua_pushinteger(L, (lua_Integer)bytes);
    return 1;
}

/* What waits to be copied: first what a read of lines held back. */
static int64_t look(weir_node *node, const struct stream_state *from, const void **data)
{
    int64_t len;

    *data = from->held;
    if (from->held_len > 0) return from->held_len;
    len = weir_stream_peek(node, from->handle, data);
    if (len == WEIR_E_STALE && from->is_over && from->error == 0 && from->reason == 0)
        return WEIR_E_END;
    return len;
}

static void consume(weir_node *node, struct stream_state *from, int64_t bytes)
{
    if (bytes == 0) return;
    if (from->held_len > 0)
        stream_held_drop(from, (uint32_t)bytes);
    else
        weir_stream_consume(node, from->handle, (uint64_t)bytes);
}

/* Stack: out, stream, how many at most. context: how many went. */
static int copy_on(lua_State *L, int status, lua_KContext context)
{
    struct served *r = out_at(L, 1);
    struct stream_state *from = stream_state_at(L, 2);
    uint64_t most = (uint64_t)lua_tointeger(L, 3), went = (uint64_t)context;
    int64_t len, taken;
    const void *data;

    (void)status;
    if (!r) return is_over(L);
    r->writer = NULL;
    while (went < most) {
        weir_node *node = r->server->in->place->node;
        if (turn_is_over(L)) {
            task_check(L)->wait = r;
            return task_turn(L, on_cancel_write, (lua_KContext)went, copy_on);
        }
        len = from ? look(node, from, &data) : WEIR_E_STALE;
        if (len == WEIR_E_END) break;
        if (len < 0) {
            stop_copying(r);
            return stream_fail(L, from, len);
        }
        if (len == 0) return wait_to_write(L, r, (lua_KContext)went, copy_on);
        if ((uint64_t)len > most - went) len = (int64_t)(most - went);
        vm_charge(L, 10 + (uint64_t)len / COPIED_PER_INSTRUCTION);
        taken = respond(L, r, data, (size_t)len);
        if (taken < 0) {
            stop_copying(r);
            return (int)~taken;
        }
        consume(node, from, taken);
        went += (uint64_t)taken;
        if (taken < len) return wait_to_write(L, r, (lua_KContext)went, copy_on);
    }
    return copied(L, r, went);
}

static int out_copy(lua_State *L)
{
    struct served *r = out_begin(L);
    struct stream_state *from = stream_state_at(L, 2);
    lua_Integer most = luaL_optinteger(L, 3, LUA_MAXINTEGER);

    luaL_argcheck(L, most >= 0, 3, "a number of bytes");
    if (from && from->waits[STREAM_READS])
        return luaL_error(L, "copy: another handler reads that stream");
    lua_settop(L, 2);
    lua_pushinteger(L, most);
    task_check_may_wait(L);
    if (!r) return is_over(L);
    if (!from) return stream_fail(L, from, 0);
    r->copying = from->handle;
    r->copying_tag = from->waiter.tag;
    weir_stream_set_user(r->server->in->place->node, from->handle, r->waiter.tag);
    return copy_on(L, LUA_OK, 0);
}

/* ---- what happens to a request that is served */

bool served_hand_over(struct served *r)
{
    int64_t taken =
        weir_request_respond(r->server->in->place->node, r->request, r->answer + r->answer_sent,
                             r->answer_len - r->answer_sent, 0);

    if (taken < 0) return false;
    r->answer_sent += (uint32_t)taken;
    return r->answer_sent < r->answer_len;
}

bool served_on_event(struct served *r, const weir_event *event)
{
    if (event->object == r->request && event->kind == WEIR_EVENT_REQUEST_CLOSED) {
        r->is_over = true;
        if (!r->task) return true;
        task_cancel(r->task);
        return false;
    }
    if (event->object == r->copying && event->object != r->request) {
        struct waiter *other = waiter_find(r->server->in->script->lua, r->copying_tag, NULL);
        if (other && event->kind != WEIR_EVENT_READABLE) other->on_event(other, event);
    }
    if (!r->writer) return !r->task && event->kind == WEIR_EVENT_WRITABLE && !served_hand_over(r);
    if (r->writer->waiting) task_resume(r->writer, 0);
    return false;
}

/* ---- refusals */

static int word_refuse(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    lua_Number retry = luaL_optnumber(L, 2, 0);
    struct refusal *no;

    task_check(L);
    luaL_argcheck(L, retry >= 0 && retry < 1e15, 2, "a time, as in 5*sec");
    no = lua_newuserdatauv(L, sizeof *no, 0);
    no->retry_us = (uint64_t)retry;
    if (len > REFUSAL_TEXT_MAX) len = REFUSAL_TEXT_MAX;
    memcpy(no->text, text, len);
    no->text[len] = 0;
    luaL_setmetatable(L, REFUSAL_CLASS);
    return 1;
}

void words_response(lua_State *L)
{
    static const luaL_Reg response[] = {{"read", response_read},
                                        {"chunks", response_chunks},
                                        {"ended", response_ended},
                                        {"cancel", response_cancel},
                                        {NULL, NULL}};
    static const luaL_Reg out[] = {{"write", out_write}, {"copy", out_copy}, {NULL, NULL}};

    sandbox_class(L, "response", response, NULL);
    sandbox_class(L, "out", out, NULL);
    sandbox_class(L, REFUSAL_CLASS, NULL, NULL);
    lua_pushcfunction(L, word_refuse);
    sandbox_set(L, "refuse");
}
