/* SPDX-License-Identifier: MIT */
/* Handlers under way.
 *
 * A task is a coroutine. It runs until it ends or waits; while it runs no other does, whatever it
 * causes: what is resumed or cancelled meanwhile is put into lua->ready and run when the event has
 * been dealt with. So no C function below Lua ever sees another handler change things under it.
 *
 * Outside of a resumption a Lua function of C may not raise: there would be nobody to catch it. So
 * threads are made by task_protected, and arguments are made by the task itself (`begin`), where an
 * error is the script's and its memory and instructions are counted.
 *
 * A waiting task costs a thread (some 1.2 KiB, of which its stack is 700 bytes) and nothing else in
 * Lua; what it waits for is in C. */
#include "instance.h"
#include "lines.h"
#include "response.h"
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CALL_SLOT = 1,
    FIRST_RESULT = 2,
    LARGE_BYTES = 16 * 1024 /* a run that took more may have left a large stack */
};

/* ---- building */

int task_protected(struct script *script, struct vm_owner *owner, lua_CFunction function,
                   void *context)
{
    struct vm_owner *before = vm_owner_enter(script->vm, owner);
    lua_State *L = vm_main(script->vm);
    int status = LUA_ERRMEM;

    if (lua_checkstack(L, 4)) {
        lua_pushcfunction(L, function);
        lua_pushlightuserdata(L, context);
        status = lua_pcall(L, 1, 0, 0);
        if (status != LUA_OK) lua_pop(L, 1);
    }
    vm_owner_enter(script->vm, before);
    return status;
}

struct opening {
    struct task *task;
    const struct task_call *call;
    int arguments; /* -1: there is no such method */
};

static int finish(lua_State *L, int status, lua_KContext context)
{
    struct task *t = (struct task *)context;

    (void)status;
    if (t->on_return) t->on_return(t, L, FIRST_RESULT);
    return 0;
}

/* The first function of a task that task_start made. Stack: the call, or nil when the arguments are
 * there already; the function; arguments. */
static int begin(lua_State *L)
{
    struct task *t = runtime_of(L)->current;
    const struct task_call *call = lua_touserdata(L, CALL_SLOT);

    if (call) {
        int count = 0;
        luaL_checkstack(L, 8, NULL);
        instance_push(t->instance, L);
        if (call->push) count = call->push(L, call->context);
        if (count < 0) return 0;
    }
    lua_callk(L, lua_gettop(L) - 2, LUA_MULTRET, (lua_KContext)t, finish);
    return finish(L, LUA_OK, (lua_KContext)t);
}

static int open_thread(lua_State *L)
{
    struct opening *o = lua_touserdata(L, 1);
    struct task *t = o->task;
    struct vm *vm = t->instance->script->vm;
    struct vm_owner *owner;

    if (o->call) {
        if (o->call->method) {
            o->arguments = -1;
            if (!instance_method(t->instance, L, o->call->method)) return 0;
        } else
            lua_rawgeti(L, LUA_REGISTRYINDEX, o->call->function);
    }
    if (!spare_take(t)) {
        t->co = lua_newthread(L);
        owner = vm_owner_enter(vm, NULL); /* the registry grows for all */
        t->ref = luaL_ref(L, LUA_REGISTRYINDEX);
        vm_owner_enter(vm, owner);
    }
    if (!o->call) return 0;
    lua_pushcfunction(t->co, begin);
    lua_pushlightuserdata(t->co, (void *)(uintptr_t)o->call);
    lua_xmove(L, t->co, 1);
    o->arguments = 2;
    if (!t->instance->script->lua->current) return 0;
    /* It will run later, when the context of push is gone. */
    lua_pushnil(t->co);
    lua_replace(t->co, 2);
    instance_push(t->instance, t->co);
    if (o->call->push) {
        int count = o->call->push(t->co, o->call->context);
        if (count < 0) {
            o->arguments = -1;
            return 0;
        }
        o->arguments += count;
    }
    o->arguments++;
    return 0;
}

static void on_event(struct waiter *w, const weir_event *event)
{
    struct task *t = list_entry(w, struct task, waiter);

    if (!t->waiting || event->object != t->object || list_is_linked(&t->ready)) return;
    t->event = *event;
    task_resume(t, 0);
}

static struct task *open_with(struct instance *in, const struct task_call *call, int *arguments)
{
    weir_lua *lua = in->script->lua;
    struct opening o = {.call = call};
    struct task *t;

    if (in->task_count >= lua->options.tasks_max) {
        lua->info.dropped++;
        fail_log(in, "too many handlers wait already: one more was not begun");
        return NULL;
    }
    t = o.task = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->instance = in;
    t->ref = LUA_NOREF;
    t->waiter.on_event = on_event;
    list_init(&t->responses);
    if (task_protected(in->script, &in->owner, open_thread, &o) != LUA_OK) {
        luaL_unref(vm_main(in->script->vm), LUA_REGISTRYINDEX, t->ref);
        free(t);
        lua->info.errors++;
        lua->info.stopped++;
        in->script->errors++;
        fail_log(in, "a handler was not begun: the instance has no memory left for it");
        return NULL;
    }
    if (call && o.arguments < 0) {
        luaL_unref(vm_main(in->script->vm), LUA_REGISTRYINDEX, t->ref);
        free(t);
        return NULL;
    }
    list_push(&in->tasks, &t->link);
    in->task_count++;
    if (arguments) *arguments = o.arguments;
    return t;
}

struct task *task_open(struct instance *in)
{
    return open_with(in, NULL, NULL);
}

struct task *task_start(struct instance *in, const struct task_call *call, bool *began)
{
    int arguments = 0;
    struct task *t = open_with(in, call, &arguments);

    if (began) *began = t != NULL;
    if (!t) return NULL;
    t->on_return = call->on_return;
    t->on_end = call->on_end;
    t->context = call->end_context;
    t->number = call->number;
    return task_resume(t, arguments) ? t : NULL;
}

/* ---- running */

static void enter(struct task *t)
{
    struct instance *in = t->instance;

    in->script->lua->current = t;
    vm_owner_enter(in->script->vm, &in->owner);
    vm_set_random(in->script->vm, instance_random, in);
    in->budget_messages = in->script->event_messages;
}

static void leave(struct task *t)
{
    struct vm *vm = t->instance->script->vm;

    vm_set_random(vm, NULL, NULL);
    vm_owner_enter(vm, NULL);
    t->instance->script->lua->current = NULL;
}

static void end(struct task *t, enum task_end how, int results)
{
    struct instance *in = t->instance;
    weir_lua *lua = in->script->lua;

    timer_unset(lua, &t->timer);
    waiter_remove(lua, &t->waiter);
    list_remove(&t->link);
    list_remove(&t->ready);
    in->task_count--;
    responses_end(t);
    if (t->on_end) t->on_end(t, how, results);
    if (how != TASK_DONE || !spare_keep(t)) {
        /* Until the collector comes it keeps no more of its stack than it must. */
        if (how == TASK_DONE) lua_resetthread(t->co);
        luaL_unref(vm_main(in->script->vm), LUA_REGISTRYINDEX, t->ref);
    }
    free(t);
}

static void fail(struct task *t, const char *text)
{
    static const char below[] = "\n    [C]:"; /* begin, of which the script knows nothing */
    struct instance *in = t->instance;
    bool is_stop = vm_stopped(in->script->vm) != VM_RUNS;
    char own[2048];
    size_t len = strlen(text);

    if (len >= sizeof below && strcmp(text + len + 1 - sizeof below, below) == 0)
        len -= sizeof below - 1;
    snprintf(own, sizeof own, "%.*s", (int)len, text);
    in->script->errors++;
    in->script->lua->info.errors++;
    if (is_stop) in->script->lua->info.stopped++;
    fail_log(in, own);
    end(t, is_stop ? TASK_STOPPED : TASK_FAILED, 0);
}

static bool run(struct task *t, int arguments)
{
    struct vm *vm = t->instance->script->vm;
    const struct vm_owner *owner = &t->instance->owner;
    uint64_t bytes = owner->bytes;
    int results = 0, status;

    timer_unset(t->instance->script->lua, &t->timer);
    t->waiting = false;
    t->on_cancel = NULL;
    enter(t);
    status = vm_resume(vm, t->co, arguments, &results);
    leave(t);
    if (owner->bytes > bytes + LARGE_BYTES) t->is_large = true;
    if (status == LUA_YIELD && t->waiting) return true;
    if (status == LUA_OK)
        end(t, TASK_DONE, results);
    else if (status == LUA_YIELD)
        fail(t, "a handler yielded by itself: nobody would resume it");
    else
        fail(t, vm_error(vm));
    return false;
}

bool task_resume(struct task *t, int arguments)
{
    weir_lua *lua = t->instance->script->lua;

    if (lua->current == NULL) return run(t, arguments);
    if (!list_is_linked(&t->ready)) {
        t->ready_arguments = arguments;
        list_push(&lua->ready, &t->ready);
    }
    return true;
}

/* In vm_call: `close` variables of a waiting task. */
static int reset(lua_State *L)
{
    struct task *t = lua_touserdata(L, 1);

    vm_reset_inner(L, t->co);
    return 0;
}

static void end_cancelled(struct task *t)
{
    struct vm *vm = t->instance->script->vm;
    lua_State *L = vm_main(vm);

    if (lua_status(t->co) == LUA_YIELD && lua_checkstack(L, 4)) {
        t->waiting = false;
        enter(t);
        lua_pushcfunction(L, reset);
        lua_pushlightuserdata(L, t);
        if (vm_call(vm, 1, 0) != LUA_OK) fail_log(t->instance, vm_error(vm));
        leave(t);
    }
    end(t, TASK_CANCELLED, 0);
}

void task_cancel(struct task *t)
{
    weir_lua *lua = t->instance->script->lua;

    if (t == lua->current || t->is_cancelled) return;
    t->is_cancelled = true;
    if (t->on_cancel) t->on_cancel(t);
    t->on_cancel = NULL;
    timer_unset(lua, &t->timer);
    waiter_remove(lua, &t->waiter);
    if (lua->current == NULL)
        end_cancelled(t);
    else if (!list_is_linked(&t->ready))
        list_push(&lua->ready, &t->ready);
}

void tasks_run_ready(weir_lua *lua)
{
    struct task *t;

    while ((t = list_first(&lua->ready, struct task, ready)) != NULL) {
        list_remove(&t->ready);
        if (t->is_cancelled)
            end_cancelled(t);
        else
            run(t, t->ready_arguments);
    }
}

void tasks_run_tired(weir_lua *lua)
{
    struct list now;
    struct task *t;

    list_init(&now);
    while ((t = list_first(&lua->tired, struct task, ready)) != NULL) {
        list_remove(&t->ready);
        list_push(&now, &t->ready);
    }
    while ((t = list_first(&now, struct task, ready)) != NULL) {
        list_remove(&t->ready);
        if (t->is_cancelled)
            end_cancelled(t);
        else
            run(t, 0);
        tasks_run_ready(lua);
    }
}

/* ---- waiting */

/* What the C function that runs is called. */
static const char *word(lua_State *L)
{
    lua_Debug at;

    if (!lua_getstack(L, 0, &at) || !lua_getinfo(L, "n", &at) || !at.name) return "this";
    return at.name;
}

struct task *task_check(lua_State *L)
{
    weir_lua *lua = runtime_of(L);

    if (!lua->current)
        luaL_error(L, "%s works in handlers (start, messages, timers), not while the file loads",
                   word(L));
    return lua->current;
}

void task_check_may_wait(lua_State *L)
{
    if (vm_may_wait(L)) return;
    if (vm_is_inner(L))
        luaL_error(L, "%s waits: call it in the handler itself, not inside a coroutine of your own",
                   word(L));
    luaL_error(L,
               "%s waits: it cannot be called inside a metamethod, an iterator of C, or a "
               "`close` handler",
               word(L));
}

int task_wait(lua_State *L, void (*on_cancel)(struct task *t), lua_KContext context,
              lua_KFunction k)
{
    struct task *t = task_check(L);

    task_check_may_wait(L);
    t->on_cancel = on_cancel;
    t->waiting = true;
    return lua_yieldk(L, 0, context, k);
}

int task_wait_event(lua_State *L, void (*on_cancel)(struct task *t), lua_KContext context,
                    lua_KFunction k)
{
    return task_wait(L, on_cancel, context, k);
}

static int give(lua_State *L, int status, lua_KContext results)
{
    (void)L;
    (void)status;
    return (int)results;
}

int task_give(lua_State *L, int results)
{
    struct task *t = task_check(L);
    weir_lua *lua = t->instance->script->lua;

    if (vm_used(t->instance->script->vm) < lua->options.instructions / 2 || !vm_may_wait(L))
        return results;
    return task_turn(L, NULL, results, give);
}

int task_turn(lua_State *L, void (*on_cancel)(struct task *t), lua_KContext context,
              lua_KFunction k)
{
    struct task *t = task_check(L);

    task_check_may_wait(L);
    list_push(&t->instance->script->lua->tired, &t->ready);
    return task_wait(L, on_cancel, context, k);
}

uint64_t task_tag(struct task *t)
{
    return waiter_add(t->instance->script->lua, &t->waiter);
}

bool task_may_send(struct task *t)
{
    if (t->instance->budget_messages == 0) return false;
    t->instance->budget_messages--;
    return true;
}
