/* SPDX-License-Identifier: MIT */
/* Runtimes of scripts, for the commands: weir_lua.h, and three looks behind it that the tests and
 * the prompt need. */
#include "command.h"
#include "instance.h"
#include "peers.h"
#include "view.h"
#include <stdlib.h>
#include <string.h>

#define RUNTIME "weir.runtime"
enum { EVENTS_MAX = 64, MODULES_MAX = 16, ARGUMENTS_MAX = 256, VIEW_MAX = 4096 };

struct command_runtime {
    weir_lua *lua;       /**< NULL: closed */
    lua_Integer pending; /**< calls of call that wait */
};

static struct command_runtime *check(lua_State *L)
{
    struct command_runtime *r = luaL_checkudata(L, 1, RUNTIME);

    luaL_argcheck(L, r->lua != NULL, 1, "the runtime was closed");
    return r;
}

static const char *get_text(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    return luaL_optstring(L, -1, NULL); /* stays on the stack, so it stays valid */
}

static int word_runtime(lua_State *L)
{
    weir_lua_options options = {.size = sizeof options};
    weir_error error = {.size = sizeof error};
    const char *modules[MODULES_MAX + 1] = {NULL};
    struct command_runtime *r;
    int32_t code;

    luaL_checktype(L, 1, LUA_TTABLE);
    options.allow = (uint32_t)command_number(L, 1, "allow", 0);
    options.memory_bytes = command_number(L, 1, "memory", 0);
    options.log_lines = (uint32_t)command_number(L, 1, "lines", 0);
    options.files = get_text(L, "files");
    if (lua_getfield(L, 1, "modules") == LUA_TTABLE) {
        int list = lua_gettop(L);
        luaL_checkstack(L, MODULES_MAX, NULL);
        for (int i = 0; i < MODULES_MAX && lua_rawgeti(L, list, i + 1) == LUA_TSTRING; i++)
            modules[i] = lua_tostring(L, -1);
        options.modules = modules;
    }
    r = lua_newuserdatauv(L, sizeof *r, 1);
    *r = (struct command_runtime){NULL, 0};
    luaL_setmetatable(L, RUNTIME);
    lua_newtable(L);
    lua_setiuservalue(L, -2, 1);
    code = weir_lua_create(&options, &r->lua, &error);
    return code < 0 ? command_fail(L, code, &error) : 1;
}

static int runtime_close(lua_State *L)
{
    struct command_runtime *r = luaL_checkudata(L, 1, RUNTIME);

    if (r->lua) weir_lua_free(r->lua);
    r->lua = NULL;
    return 0;
}

/* Nodes outlive the runtimes that serve them. */
static void keep(lua_State *L, int index)
{
    lua_getiuservalue(L, 1, 1);
    lua_pushvalue(L, index);
    lua_pushboolean(L, true);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

static int runtime_load(lua_State *L)
{
    struct command_runtime *r = check(L);
    weir_error error = {.size = sizeof error};
    const char *name = luaL_checkstring(L, 2);
    size_t len;
    const char *text = luaL_checklstring(L, 3, &len);
    int64_t script = weir_lua_load(r->lua, name, text, len, &error);

    if (script < 0) return command_fail(L, (int32_t)script, &error);
    lua_pushinteger(L, script);
    return 1;
}

/* runtime:attach(node, script, { argument ... }) */
static int runtime_attach(lua_State *L)
{
    struct command_runtime *r = check(L);
    weir_node *node = command_node_check(L, 2);
    int64_t script = (int64_t)luaL_checkinteger(L, 3);
    weir_error error = {.size = sizeof error};
    const char *arguments[ARGUMENTS_MAX];
    uint32_t count = 0;
    int32_t code;

    luaL_checktype(L, 4, LUA_TTABLE);
    luaL_checkstack(L, ARGUMENTS_MAX + 8, NULL);
    keep(L, 2);
    while (count < ARGUMENTS_MAX && lua_rawgeti(L, 4, (lua_Integer)count + 1) == LUA_TSTRING)
        arguments[count++] = lua_tostring(L, -1);
    code = weir_lua_attach(r->lua, node, script, arguments, count, &error);
    if (code < 0) return command_fail(L, code, &error);
    lua_pushboolean(L, true);
    return 1;
}

static int runtime_detach(lua_State *L)
{
    struct command_runtime *r = check(L);

    lua_pushboolean(L, weir_lua_detach(r->lua, command_node_check(L, 2)) == 0);
    return 1;
}

static int runtime_poll(lua_State *L)
{
    struct command_runtime *r = check(L);
    weir_node *node = command_node_check(L, 2);
    int64_t timeout_us = (int64_t)luaL_checkinteger(L, 3);
    weir_event events[EVENTS_MAX];
    int64_t count = weir_lua_poll(r->lua, node, events, EVENTS_MAX, timeout_us);

    if (count < 0) return command_fail_node(L, (int32_t)count, node);
    command_push_events(L, events, count);
    return 1;
}

/* runtime:run(world, until): whether the time was reached; false: a script called quit. */
static int runtime_run(lua_State *L)
{
    struct command_runtime *r = check(L);
    struct command_world *w = command_world_check(L, 2);
    int32_t code = weir_lua_run(r->lua, w->world, (uint64_t)luaL_checkinteger(L, 3));

    if (code < 0) return command_fail(L, code, NULL);
    lua_pushboolean(L, code == 0);
    return 1;
}

/* runtime:go_on(): what a script of a world ended by quit is that script's affair. */
static int runtime_go_on(lua_State *L)
{
    check(L)->lua->info.is_over = 0;
    return 0;
}

/* How long the scripts can wait from now on, in microseconds; nil: for ever. */
static int runtime_wait(lua_State *L)
{
    struct command_runtime *r = check(L);
    uint64_t deadline = weir_lua_deadline(r->lua), now = weir_node_now(command_node_check(L, 2));

    if (deadline == WEIR_NONE) return 0;
    lua_pushinteger(L, deadline > now ? (lua_Integer)(deadline - now) : 0);
    return 1;
}

static int runtime_lines(lua_State *L)
{
    struct command_runtime *r = check(L);
    weir_lua_line line;
    lua_Integer count = 0;

    lua_newtable(L);
    while (weir_lua_next_line(r->lua, &line) == 1) {
        lua_createtable(L, 0, 5);
        command_set(L, "level", line.level);
        command_set(L, "node", line.node);
        command_set(L, "time", line.time_us);
        command_set(L, "script", line.script);
        lua_pushlstring(L, line.text, line.length);
        lua_setfield(L, -2, "text");
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

static int runtime_info(lua_State *L)
{
    struct command_runtime *r = check(L);
    weir_lua_info i = {.size = sizeof i};

    weir_lua_get_info(r->lua, &i);
    lua_newtable(L);
    command_set(L, "tasks", i.tasks);
    command_set(L, "memory", i.memory_bytes);
    command_set(L, "memory_peak", i.memory_peak_bytes);
    command_set(L, "native", i.native_bytes);
    command_set(L, "instances", i.instances);
    command_set(L, "instructions", i.instructions);
    command_set(L, "resumptions", i.resumptions);
    command_set(L, "errors", i.errors);
    command_set(L, "stopped", i.stopped);
    command_set(L, "messages", i.messages_out);
    command_set(L, "requests", i.requests_out);
    command_set(L, "dropped", i.dropped);
    command_set(L, "lines_dropped", i.lines_dropped);
    lua_pushboolean(L, i.is_over != 0);
    lua_setfield(L, -2, "is_over");
    lua_pushinteger(L, i.exit_code);
    lua_setfield(L, -2, "exit_code");
    lua_pushboolean(L, i.idle != 0);
    lua_setfield(L, -2, "idle");
    return 1;
}

/* ---- behind weir_lua.h */

static struct place *find_place(const weir_lua *lua, const weir_node *node)
{
    for (uint32_t i = 0; i < lua->place_count; i++)
        if (lua->places[i] && lua->places[i]->node == node) return lua->places[i];
    return NULL;
}

static struct instance *find_instance(lua_State *L, struct command_runtime *r)
{
    struct place *place = find_place(r->lua, command_node_check(L, 2));
    lua_Integer script = luaL_checkinteger(L, 3);

    if (!place || script < 1 || script > (lua_Integer)r->lua->script_count) return NULL;
    return instance_at(place, r->lua->scripts[script - 1]);
}

static int push_text(lua_State *co, void *context)
{
    lua_pushstring(co, context);
    return 1;
}

static void on_call_end(struct task *t, enum task_end how, int results)
{
    struct command_runtime *r = t->context;

    (void)how;
    (void)results;
    r->pending--;
}

/* runtime:call(node, script, method, text): starts the method as a handler. @return whether it
 * waits; nil: it could not begin. runtime:pending() says how many wait. */
static int runtime_call(lua_State *L)
{
    struct command_runtime *r = check(L);
    struct instance *in = find_instance(L, r);
    struct task_call call = {.method = luaL_checkstring(L, 4),
                             .push = push_text,
                             .context = (void *)(uintptr_t)luaL_checkstring(L, 5),
                             .on_end = on_call_end,
                             .end_context = r};
    bool began = false;
    struct task *t;

    if (!in) return 0;
    r->pending++;
    t = task_start(in, &call, &began);
    if (!began) r->pending--;
    tasks_run_ready(r->lua);
    if (!began) return 0;
    lua_pushboolean(L, t != NULL);
    return 1;
}

static int runtime_pending(lua_State *L)
{
    lua_pushinteger(L, check(L)->pending);
    return 1;
}

static uint64_t number_of(const weir_lua *lua, uint32_t peer)
{
    for (uint32_t i = 0; i < lua->place_count; i++)
        if (lua->places[i] && lua->places[i]->me == peer) return i;
    return 0;
}

/* runtime:view(node, script, name, seen): the nodes in a view, as numbers (0: gone); nil: no such
 * view there. seen: a table that keeps what was found out, for calls that follow at once. */
static int runtime_view(lua_State *L)
{
    struct command_runtime *r = check(L);
    struct instance *in = find_instance(L, r);
    uint32_t peers[VIEW_MAX];
    int32_t count;

    if (!in) return 0;
    luaL_checktype(L, 5, LUA_TTABLE);
    count = view_peers(in, luaL_checkstring(L, 4), peers, VIEW_MAX);
    if (count < 0) return 0;
    lua_createtable(L, (int)count, 0);
    for (int32_t i = 0; i < count && i < VIEW_MAX; i++) {
        if (lua_rawgeti(L, 5, peers[i]) == LUA_TNIL) {
            lua_pop(L, 1);
            lua_pushinteger(L, (lua_Integer)number_of(r->lua, peers[i]));
            lua_pushvalue(L, -1);
            lua_rawseti(L, 5, peers[i]);
        }
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

void command_script_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"load", runtime_load},
                                       {"attach", runtime_attach},
                                       {"detach", runtime_detach},
                                       {"poll", runtime_poll},
                                       {"run", runtime_run},
                                       {"go_on", runtime_go_on},
                                       {"wait", runtime_wait},
                                       {"lines", runtime_lines},
                                       {"info", runtime_info},
                                       {"call", runtime_call},
                                       {"pending", runtime_pending},
                                       {"view", runtime_view},
                                       {NULL, NULL}};

    command_class(L, RUNTIME, methods, runtime_close);
    lua_pushcfunction(L, word_runtime);
    lua_setfield(L, -2, "runtime");
}
