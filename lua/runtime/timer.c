/* SPDX-License-Identifier: MIT */
/* Time, for scripts.
 *
 * Nodes that do the same thing at the same interval fall into step (Floyd and Jacobson, 1994), and
 * then the network sees bursts. So `every` begins at a random part of its interval, and each firing
 * is due half to one and a half of it after the last was due: not after it was done, which would
 * couple the load to the period. Only a script that says why may have none of it.
 *
 * Many timers of one instant must not keep the node from its events. When those of one pass have
 * used up PASS_RESUMPTIONS budgets, the others are due again after the node was polled; in a world
 * that happens before its time goes on. The cut counts instructions and reads no clock, so a run
 * repeats itself. */
#include "instance.h"
#include "lines.h"
#include "sandbox.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_US = 1000, REASON_MAX = 200, PASS_RESUMPTIONS = 10 };
static const uint64_t interval_max_us = 366ull * 24 * 3600 * 1000000;

bool timer_set(struct timer *t, struct place *place, uint64_t when_us)
{
    weir_lua *lua = place->lua;

    t->place = place;
    t->item.when_us = when_us;
    t->item.place = place->number;
    t->item.sequence = ++lua->timer_sequence;
    return heap_put(&lua->timers, &t->item);
}

void timer_unset(weir_lua *lua, struct timer *t)
{
    heap_take(&lua->timers, &t->item);
}

/* Instructions of all scripts so far. */
static uint64_t used(const weir_lua *lua)
{
    struct vm_statistics s;
    uint64_t sum = 0;

    for (uint32_t i = 0; i < lua->script_count; i++) {
        vm_get_statistics(lua->scripts[i]->vm, &s);
        sum += s.instructions;
    }
    return sum;
}

void timers_begin(weir_lua *lua)
{
    lua->timers_stop = used(lua) + (uint64_t)PASS_RESUMPTIONS * lua->options.instructions;
}

bool timers_due(const weir_lua *lua, uint64_t at_us)
{
    const struct heap_item *first = heap_first(&lua->timers);

    return first && first->when_us <= at_us;
}

void timers_run(weir_lua *lua, uint64_t until_us)
{
    /* This ends, since what is set meanwhile is due at least half a millisecond later. */
    while (timers_due(lua, until_us) && used(lua) < lua->timers_stop) {
        struct heap_item *item = heap_first(&lua->timers);
        struct timer *t = list_entry(item, struct timer, item);
        heap_take(&lua->timers, item);
        lua->now_us = item->when_us;
        t->on_time(t);
        tasks_run_ready(lua);
    }
}

/* ---- every, after */

struct script_timer {
    struct timer timer;
    struct waiter waiter; /* its tag is what the object in Lua has */
    struct list link;     /* in instance->timers */
    struct instance *instance;
    struct task *task; /* the firing that still waits */
    int function;      /* registry reference */
    uint64_t interval_us, due_us;
    bool is_once, is_steady, is_declared, told;
};

static void free_timer(struct script_timer *t)
{
    struct instance *in = t->instance;

    timer_unset(in->script->lua, &t->timer);
    waiter_remove(in->script->lua, &t->waiter);
    list_remove(&t->link);
    in->timer_count--;
    if (!t->is_declared) luaL_unref(vm_main(in->script->vm), LUA_REGISTRYINDEX, t->function);
    free(t);
}

static void on_end(struct task *task, enum task_end end, int results)
{
    struct waiter *w = waiter_find(task->instance->script->lua, task->number, NULL);

    (void)end;
    (void)results;
    if (w) list_entry(w, struct script_timer, waiter)->task = NULL;
}

static uint64_t next_interval(struct script_timer *t)
{
    if (t->is_steady) return t->interval_us;
    return t->interval_us / 2 + random_below(&t->instance->random, t->interval_us + 1);
}

/* After a pause (a machine that slept) it does not catch up. */
static void set_next(struct script_timer *t)
{
    uint64_t now = place_now(t->instance->place);

    t->due_us += next_interval(t);
    if (t->due_us + t->interval_us < now) t->due_us = now + next_interval(t);
    if (!timer_set(&t->timer, t->instance->place, t->due_us))
        fail_log(t->instance, "a timer ends: there is no memory to set it again");
}

static void on_time(struct timer *timer)
{
    struct script_timer *t = list_entry(timer, struct script_timer, timer);
    struct instance *in = t->instance;
    struct task_call call = {.function = t->function};
    struct waiter *w;
    struct task *task;

    if (t->is_once) {
        /* Gone before it runs: its function may set another, or cancel this one. */
        t->is_declared = true;
        free_timer(t);
        task_start(in, &call, NULL);
        luaL_unref(vm_main(in->script->vm), LUA_REGISTRYINDEX, call.function);
        return;
    }
    set_next(t);
    if (t->task) {
        in->script->lua->info.dropped++;
        if (!t->told)
            runtime_log(in->script->lua, in->place, in->script, 2,
                        "a timer was due again while its function still waits: that firing, and "
                        "others like it, were left out");
        t->told = true;
        return;
    }
    call.on_end = on_end;
    call.number = t->waiter.tag;
    task = task_start(in, &call, NULL);
    /* It may have cancelled its timer. */
    w = waiter_find(in->script->lua, call.number, NULL);
    if (w) t->task = task;
}

static bool start(struct script_timer *t)
{
    struct instance *in = t->instance;
    uint64_t now = place_now(in->place), wait;

    if (t->is_once) {
        uint64_t tenth = t->interval_us / 10;
        wait = t->interval_us - tenth + random_below(&in->random, 2 * tenth + 1);
    } else
        wait = t->is_steady ? t->interval_us : random_below(&in->random, t->interval_us);
    t->due_us = now + wait;
    t->timer.on_time = on_time;
    list_push(&in->timers, &t->link);
    in->timer_count++;
    return waiter_add(in->script->lua, &t->waiter) != 0 &&
           timer_set(&t->timer, in->place, t->due_us);
}

bool timers_start(struct instance *in)
{
    for (uint32_t i = 0; i < in->script->timer_count; i++) {
        const struct timer_spec *spec = &in->script->timers[i];
        struct script_timer *t = calloc(1, sizeof *t);
        if (!t) return false;
        t->instance = in;
        t->function = spec->function;
        t->interval_us = spec->interval_us;
        t->is_steady = spec->is_steady;
        t->is_declared = true;
        if (!start(t)) return false;
    }
    return true;
}

void timers_end(struct instance *in, bool only_declared)
{
    struct list *l = in->timers.next;

    while (l != &in->timers) {
        struct script_timer *t = list_entry(l, struct script_timer, link);
        l = l->next;
        if (t->is_declared || !only_declared) free_timer(t);
    }
}

/* ---- in Lua */

struct timer_object {
    uint64_t tag;
};

/* A time in microseconds: integers, and numbers that came out of 0.5*sec. */
static uint64_t check_time(lua_State *L, int index)
{
    lua_Number n = luaL_checknumber(L, index);

    luaL_argcheck(L, n >= LEAST_US && n <= (lua_Number)interval_max_us, index,
                  "a time of at least 1 ms, as in 10*sec");
    return (uint64_t)n;
}

/* { steady = "why" } at an index, or nothing. */
static bool check_steady(lua_State *L, int index)
{
    size_t len = 0;

    if (lua_isnoneornil(L, index)) return false;
    luaL_checktype(L, index, LUA_TTABLE);
    vm_charge_walk(L, index);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), "steady") != 0)
            luaL_argerror(L, index, "only { steady = \"why\" } stands here");
        if (lua_type(L, -1) == LUA_TSTRING) len = lua_rawlen(L, -1);
    }
    luaL_argcheck(L, len > 0 && len <= REASON_MAX, index,
                  "steady needs its reason, a text: nodes that fire in step make bursts");
    return true;
}

static int new_timer(lua_State *L, struct instance *in, int function, bool is_once)
{
    uint64_t interval = check_time(L, function - 1);
    bool is_steady = !is_once && check_steady(L, function + 1);
    weir_lua *lua = in->script->lua;
    struct timer_object *object;
    struct script_timer *t;
    struct vm_owner *owner;
    int ref;

    luaL_checktype(L, function, LUA_TFUNCTION);
    vm_charge(L, 20);
    if (in->timer_count >= lua->options.timers_max)
        return luaL_error(L, "too many timers: %d are set already, cancel some or set fewer",
                          (int)lua->options.timers_max);
    object = lua_newuserdatauv(L, sizeof *object, 0);
    object->tag = 0;
    luaL_setmetatable(L, "timer");
    owner = vm_owner_enter(in->script->vm, NULL);
    lua_pushvalue(L, function);
    ref = luaL_ref(L, LUA_REGISTRYINDEX);
    vm_owner_enter(in->script->vm, owner);
    t = calloc(1, sizeof *t);
    if (!t) return luaL_error(L, "no memory for a timer");
    t->instance = in;
    t->function = ref;
    t->interval_us = interval;
    t->is_once = is_once;
    t->is_steady = is_steady;
    if (!start(t)) {
        free_timer(t);
        return luaL_error(L, "no memory for a timer");
    }
    object->tag = t->waiter.tag;
    return 1;
}

int timer_every(lua_State *L, struct instance *in)
{
    return new_timer(L, in, 3, false);
}

int timer_declare(lua_State *L, struct script *script)
{
    struct timer_spec *specs, spec = {.interval_us = check_time(L, 2)};

    luaL_checktype(L, 3, LUA_TFUNCTION);
    spec.is_steady = check_steady(L, 4);
    if (script->timer_count >= script->lua->options.timers_max)
        return luaL_error(L, "too many timers");
    specs = realloc(script->timers, (script->timer_count + 1) * sizeof *specs);
    if (!specs) return luaL_error(L, "no memory for a timer");
    script->timers = specs;
    lua_pushvalue(L, 3);
    spec.function = luaL_ref(L, LUA_REGISTRYINDEX);
    specs[script->timer_count++] = spec;
    return 0;
}

static int word_after(lua_State *L)
{
    return new_timer(L, task_check(L)->instance, 2, true);
}

static int timer_cancel(lua_State *L)
{
    struct timer_object *object = luaL_checkudata(L, 1, "timer");
    weir_lua *lua = runtime_of(L);
    struct waiter *w = waiter_find(lua, object->tag, NULL);

    object->tag = 0;
    if (w) free_timer(list_entry(w, struct script_timer, waiter));
    return 0;
}

void words_timer(lua_State *L)
{
    static const luaL_Reg methods[] = {{"cancel", timer_cancel}, {NULL, NULL}};

    sandbox_class(L, "timer", methods, NULL);
    lua_pushcfunction(L, word_after);
    sandbox_set(L, "after");
}
