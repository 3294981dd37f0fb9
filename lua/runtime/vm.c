/* SPDX-License-Identifier: MIT */
/* Running scripts within their budget.
 *
 * A hook looks at every coroutine after about VM_HOOK_INSTRUCTIONS, and C functions that take time
 * charge for it. Once the budget of a resumption is used up, `stop` is set and an error is raised
 * that nothing swallows: whatever catches errors on behalf of scripts (pcall, coroutine.resume,
 * ...) asks vm_pass_stop and raises it again, and the hook now looks before every instruction, so
 * that the `close` handlers on the way out end at once.
 *
 * Lua leaves hooks off in a coroutine that an error out of a hook has killed. Such a coroutine must
 * never run again, not even its `close` handlers: vm_resume and vm_reset_inner leave it alone. For
 * the same reason any other dead coroutine is closed at once: only stopped ones are left. */
#include "vm_internal.h"
#include "sandbox.h"
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CLOSES_MAX = 32,
    VALUES_FREE = 256, /* more arguments cost, in the square: so do the chains that add them */
};

static const char stop_mark;

struct vm *vm_of(lua_State *L)
{
    void *context = NULL;

    lua_getallocf(L, &context);
    return context;
}

/* As printf, after what is in text already. */
static void append(char *text, const char *format, ...)
{
    size_t len = strlen(text);
    va_list list;

    va_start(list, format);
    vsnprintf(text + len, VM_ERROR_BYTES - len, format, list);
    va_end(list);
}

/* Like luaL_traceback, but it makes no Lua string and needs no memory, so it works in a state that
 * has none left. */
static void trace(struct vm *vm, lua_State *L)
{
    lua_Debug at;
    int level;

    vm->trace[0] = 0;
    for (level = 0; level < VM_TRACE_LEVELS && lua_getstack(L, level, &at); level++) {
        if (!lua_getinfo(L, "Sln", &at)) break;
        append(vm->trace, "\n    %s:", at.short_src);
        if (at.currentline > 0) append(vm->trace, "%d:", at.currentline);
        if (at.what[0] == 'm')
            append(vm->trace, " in the file itself");
        else if (at.name)
            append(vm->trace, " in %s '%s'", at.namewhat[0] ? at.namewhat : "function", at.name);
        else if (at.what[0] == 'L')
            append(vm->trace, " in the function of line %d", at.linedefined);
    }
    if (level == VM_TRACE_LEVELS && lua_getstack(L, level, &at)) append(vm->trace, "\n    ...");
}

static _Noreturn void raise_stop(lua_State *L)
{
    struct vm *vm = vm_of(L);

    if (!vm->traced) {
        vm->traced = true;
        trace(vm, L);
    }
    vm_hook_set(vm, L);
    lua_pushlightuserdata(L, (void *)(uintptr_t)&stop_mark);
    lua_error(L);
    abort();
}

void vm_stop_soon(struct vm *vm, enum vm_stop why)
{
    if (vm->stop != VM_RUNS || !vm->active) return;
    vm->stop = why;
    vm_hook_set(vm, vm->running);
}

void vm_pass_stop(lua_State *L)
{
    struct vm *vm = vm_of(L);

    if (vm->active && vm->stop != VM_RUNS) raise_stop(L);
}

void vm_charge(lua_State *L, uint64_t instructions)
{
    struct vm *vm = vm_of(L);

    uint64_t values = (uint64_t)lua_gettop(L);

    if (!vm->active) return;
    vm_spend(vm, instructions);
    if (values > VALUES_FREE) vm_spend(vm, values * values / VALUES_FREE);
    if (vm->used > vm->budget && vm->stop == VM_RUNS) vm->stop = VM_STOP_INSTRUCTIONS;
    if (vm->stop != VM_RUNS) raise_stop(L);
}

void vm_charge_call(lua_State *L, int index)
{
    uint64_t cost = 1;

    if (lua_type(L, index) != LUA_TFUNCTION && lua_checkstack(L, 4) && lua_getmetatable(L, index)) {
        vm_push_call(L);
        cost += vm_table_find(L, -2, -1);
        lua_pop(L, 2);
    }
    vm_charge(L, cost);
}

void vm_charge_event(lua_State *L, int index, const char *event)
{
    uint64_t cost = 0;

    if (!lua_checkstack(L, 4) || !lua_getmetatable(L, index)) return;
    if (!vm_table_is_plain(L, -1)) {
        lua_pushstring(L, event);
        cost = vm_table_find(L, -2, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    if (cost) vm_charge(L, cost);
}

void vm_charge_key(lua_State *L, int table, int key, const char *event)
{
    uint64_t cost;

    if (vm_table_is_plain(L, table) || !lua_checkstack(L, 6)) return;
    if (event) {
        table = lua_absindex(L, table);
        lua_pushvalue(L, key);
        lua_pushvalue(L, table);
        cost = vm_sample_path(L, event);
    } else {
        cost = vm_table_find(L, table, key);
    }
    if (cost) vm_charge(L, cost);
}

void vm_charge_index(lua_State *L, int table, lua_Integer key, const char *event)
{
    if (vm_table_is_plain(L, table) || !lua_checkstack(L, 6)) return;
    table = lua_absindex(L, table);
    lua_pushinteger(L, key);
    vm_charge_key(L, table, lua_gettop(L), event);
    lua_pop(L, 1);
}

void vm_charge_walk(lua_State *L, int table)
{
    vm_charge(L, vm_table_walk(L, table));
}

void vm_charge_length(lua_State *L, int index)
{
    uint64_t cost = vm_table_length(L, index);

    vm_charge_event(L, index, "__len");
    if (cost) vm_charge(L, cost);
}

void vm_spend(struct vm *vm, uint64_t instructions)
{
    if (!vm->active) return;
    if (vm->used <= vm->budget && instructions > vm->budget - vm->used)
        vm->used = vm->budget + 1;
    else if (vm->used <= vm->budget)
        vm->used += instructions;
}

static void hook(lua_State *L, lua_Debug *at)
{
    struct vm *vm = vm_of(L);
    int interval = lua_gethookcount(L);

    if (!vm->active) return;
    vm_spend(vm, (uint64_t)interval);
    if (vm->stop != VM_RUNS) raise_stop(L);
    if (vm->can_sample) {
        uint64_t cost = vm_sample(L, at);

        vm_spend(vm, cost < vm->budget ? cost * (uint64_t)interval : cost);
    }
    if (vm->used > vm->budget) {
        vm->stop = VM_STOP_INSTRUCTIONS;
        raise_stop(L);
    }
    /* Now and then another interval, so that no loop can hide its dear instructions between looks.
     * Not each time: it costs a walk over all frames. */
    vm->phase = vm->phase * 6364136223846793005u + 1442695040888963407u;
    if (vm->phase >> 61 == 0 && interval > 1) vm_hook_set(vm, L);
}

void vm_hook_set(struct vm *vm, lua_State *L)
{
    static const int primes[4] = {89, 97, 101, 107};
    int interval = primes[vm->phase >> 58 & 3];

    if (vm->active && (vm->stop != VM_RUNS || vm->deep)) interval = 1;
    lua_sethook(L, hook, LUA_MASKCOUNT, interval);
}

static int on_panic(lua_State *L)
{
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "not a text";

    fprintf(stderr, "weir: a Lua error outside of any protection: %s\n", text);
    return 0;
}

static int open_sandbox(lua_State *L)
{
    vm_names_open(vm_of(L), L);
    sandbox_open(L);
    return 0;
}

struct vm *vm_open(const struct vm_options *options)
{
    struct vm *vm = calloc(1, sizeof *vm);

    if (!vm) return NULL;
    vm->budget = options->instructions ? options->instructions : 1000000;
    vm->random_state = options->seed;
    vm->phase = options->seed ^ 0x9e3779b97f4a7c15u;
    if (!vm_memory_init(vm, options) || !(vm->main = lua_newstate(vm_allocate, vm))) {
        vm_close(vm);
        return NULL;
    }
    lua_atpanic(vm->main, on_panic);
    vm->running = vm->main;
    vm->can_sample = vm_sample_test(vm);
    vm_table_test(vm);
    vm_hook_set(vm, vm->main);
    lua_pushcfunction(vm->main, open_sandbox);
    if (lua_pcall(vm->main, 0, 0, 0) != LUA_OK) {
        vm_close(vm);
        return NULL;
    }
    return vm;
}

void vm_close(struct vm *vm)
{
    if (!vm) return;
    vm->current = &vm->own;
    if (vm->main) lua_close(vm->main);
    vm_memory_free(vm);
    free(vm);
}

lua_State *vm_main(struct vm *vm)
{
    return vm->main;
}

void *vm_user(const struct vm *vm)
{
    return vm->user;
}

void vm_set_user(struct vm *vm, void *user)
{
    vm->user = user;
}

void vm_set_memory(struct vm *vm, uint64_t bytes)
{
    vm->bytes_max = vm->own.bytes_max = bytes;
}

void vm_get_statistics(const struct vm *vm, struct vm_statistics *out)
{
    *out = vm->statistics;
    out->bytes_max = vm->bytes_max;
    out->instructions = vm->total + (vm->active ? vm->used : 0);
}

int vm_load(struct vm *vm, lua_State *L, const char *text, size_t len, const char *name)
{
    int status;

    vm_names_hide(vm);
    if (len > VM_SOURCE_BYTES_MAX) {
        lua_pushliteral(L, "the script is longer than 1 MiB");
        return LUA_ERRSYNTAX;
    }
    status = luaL_loadbufferx(L, text, len, name, "t");
    if (status == LUA_OK) {
        sandbox_push(L);
        if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
    }
    return status;
}

static void begin(struct vm *vm, lua_State *L)
{
    vm->active = true;
    vm->stop = VM_RUNS;
    vm->traced = vm->deep = false;
    vm->used = 0;
    vm->refusals = vm->collections = 0;
    vm->closes = 0;
    vm->refused.nsize = 0;
    vm->error[0] = vm->trace[0] = 0;
    vm->running = L;
    vm->statistics.resumptions++;
    vm_hook_set(vm, L);
}

/* The text of an error object, without running anything. */
static void describe(struct vm *vm, lua_State *L)
{
    const char *text = NULL;
    int top = lua_gettop(L);

    if (vm->stop == VM_STOP_INSTRUCTIONS) {
        append(vm->error,
               "stopped: it used up its %llu instructions: it has so many until it waits or ends",
               (unsigned long long)vm->budget);
        return;
    }
    if (vm->stop == VM_STOP_MEMORY) {
        append(vm->error, "stopped: it needs more memory than the %llu bytes that it may use",
               (unsigned long long)vm->current->bytes_max);
        return;
    }
    if (lua_type(L, -1) == LUA_TTABLE && lua_checkstack(L, 2)) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, vm); /* "message", made when the state was */
        lua_rawget(L, -2);
    }
    if (lua_type(L, -1) == LUA_TSTRING) text = lua_tostring(L, -1);
    if (text)
        append(vm->error, "%.1500s", text);
    else if (lua_isinteger(L, top))
        append(vm->error, "%lld", (long long)lua_tointeger(L, top));
    else if (lua_type(L, top) == LUA_TNUMBER)
        append(vm->error, "%.14g", lua_tonumber(L, top));
    else
        append(vm->error, "an error that is a %s", luaL_typename(L, top));
    lua_settop(L, top);
}

static void end(struct vm *vm, int status)
{
    char *at;

    if (status != LUA_OK && status != LUA_YIELD) {
        append(vm->error, "%s", vm->trace);
        for (at = vm->error; *at; at++)
            if (((unsigned char)*at < 32 && *at != '\n') || *at == 127)
                *at = *at == '\t' ? ' ' : '?';
        vm->statistics.errors++;
        vm->statistics.stops_instructions += vm->stop == VM_STOP_INSTRUCTIONS;
        vm->statistics.stops_memory += vm->stop == VM_STOP_MEMORY;
    }
    vm->active = false;
    vm->total += vm->used;
    vm->running = vm->main;
    vm->task = NULL;
    vm_hook_set(vm, vm->main);
}

int vm_resume(struct vm *vm, lua_State *co, int arguments, int *results)
{
    int status;

    begin(vm, co);
    vm->task = co;
    status = lua_resume(co, vm->main, arguments, results);
    if (status != LUA_OK && status != LUA_YIELD) {
        if (!vm->traced) trace(vm, co);
        describe(vm, co);
        vm->traced = true;
        if (vm->stop == VM_RUNS) lua_resetthread(co);
    }
    end(vm, status);
    return status;
}

/* Where an error was raised in vm_call: the only moment at which its frames are still there. */
static int on_error(lua_State *L)
{
    struct vm *vm = vm_of(L);

    if (!vm->traced) trace(vm, L);
    return 1;
}

int vm_call(struct vm *vm, int arguments, int results)
{
    lua_State *L = vm->main;
    int function = lua_gettop(L) - arguments, status;

    begin(vm, L);
    lua_pushcfunction(L, on_error);
    lua_insert(L, function);
    status = lua_pcall(L, arguments, results, function);
    if (status != LUA_OK) {
        describe(vm, L);
        lua_pop(L, 1);
    }
    lua_remove(L, function);
    end(vm, status);
    return status;
}

int vm_resume_inner(lua_State *L, lua_State *co, int arguments, int *results)
{
    struct vm *vm = vm_of(L);
    lua_State *before = vm->running;
    int status;

    vm_pass_stop(L);
    vm->running = co;
    if (vm->deep) vm_hook_set(vm, co);
    status = lua_resume(co, L, arguments, results);
    if (status != LUA_OK && status != LUA_YIELD && vm->stop == VM_RUNS) lua_resetthread(co);
    vm->running = before;
    vm_pass_stop(L);
    return status;
}

int vm_reset_inner(lua_State *L, lua_State *co)
{
    struct vm *vm = vm_of(L);
    lua_State *before = vm->running;
    int status = LUA_OK;

    vm_pass_stop(L);
    /* A handler that closes a coroutine whose handler closes one: Lua does not count that. */
    if (vm->closes == CLOSES_MAX) luaL_error(L, "too many coroutines close each other");
    if (lua_status(co) <= LUA_YIELD) {
        vm->closes++;
        vm->running = co;
        if (vm->deep) vm_hook_set(vm, co);
        status = lua_resetthread(co);
        vm->running = before;
        vm->closes--;
    }
    vm_pass_stop(L);
    return status;
}

bool vm_may_wait(lua_State *L)
{
    return L == vm_of(L)->task && lua_isyieldable(L);
}

bool vm_is_inner(lua_State *L)
{
    struct vm *vm = vm_of(L);

    return L != vm->task && L != vm->main;
}

enum vm_stop vm_stopped(const struct vm *vm)
{
    return vm->stop;
}

const char *vm_error(const struct vm *vm)
{
    return vm->error;
}

uint64_t vm_used(const struct vm *vm)
{
    return vm->used;
}

void vm_set_print(struct vm *vm, vm_print print, void *context)
{
    vm->print = print;
    vm->print_context = context;
}

void vm_print_line(lua_State *L, const char *text, size_t len)
{
    struct vm *vm = vm_of(L);

    if (vm->print) vm->print(vm->print_context, text, len);
}

void vm_set_random(struct vm *vm, vm_random random, void *context)
{
    vm->random = random;
    vm->random_context = context;
}

uint64_t vm_random_next(struct vm *vm)
{
    uint64_t z;

    if (vm->random) return vm->random(vm->random_context);
    /* splitmix64. */
    z = vm->random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
