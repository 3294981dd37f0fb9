/* SPDX-License-Identifier: MIT */
/* Worlds, for the commands. */
#include "command.h"
#include <stdio.h>

#define WORLD "weir.world"

struct command_world *command_world_check(lua_State *L, int index)
{
    struct command_world *w = luaL_checkudata(L, index, WORLD);

    luaL_argcheck(L, w->world != NULL, index, "the world was closed");
    return w;
}

static int word_world(lua_State *L)
{
    weir_error error = {.size = sizeof error};
    weir_world_options options = {.size = sizeof options};
    struct command_world *w;
    int32_t code;

    luaL_checktype(L, 1, LUA_TTABLE);
    options.seed = command_number(L, 1, "seed", 1);
    options.fidelity = command_flag(L, 1, "packets") ? WEIR_FIDELITY_PACKET : WEIR_FIDELITY_MESSAGE;
    w = lua_newuserdatauv(L, sizeof *w, 0);
    *w = (struct command_world){NULL, 0};
    luaL_setmetatable(L, WORLD);
    code = weir_world_create(&options, &w->world, &error);
    return code < 0 ? command_fail(L, code, &error) : 1;
}

static int world_close(lua_State *L)
{
    struct command_world *w = luaL_checkudata(L, 1, WORLD);

    if (w->world) weir_world_free(w->world);
    w->world = NULL;
    return 0;
}

/* world:add(): another node, and its number, counted from 1. */
static int world_add(lua_State *L)
{
    struct command_world *w = command_world_check(L, 1);
    weir_error error = {.size = sizeof error};
    weir_node *node;
    int32_t code = weir_world_add_node(w->world, NULL, &node, &error);

    if (code < 0) return command_fail(L, code, &error);
    lua_pushvalue(L, 1);
    command_node_push(L, node, false);
    lua_pushinteger(L, (lua_Integer)++w->nodes);
    return 2;
}

/* world:link(a, b, { latency, jitter, loss_ppm, bandwidth, dark }): 0 for all. dark: nothing passes
 * for so long from now on. */
static int world_link(lua_State *L)
{
    struct command_world *w = command_world_check(L, 1);
    uint64_t a = (uint64_t)luaL_checkinteger(L, 2), b = (uint64_t)luaL_checkinteger(L, 3);
    uint64_t now_us = weir_world_now(w->world), dark_us;
    weir_link_options options = {.size = sizeof options};
    int32_t code;

    luaL_checktype(L, 4, LUA_TTABLE);
    options.delay_us_plus1 = command_number(L, 4, "latency", UINT64_MAX) + 1;
    options.jitter_us = command_number(L, 4, "jitter", 0);
    options.loss_ppm = (uint32_t)command_number(L, 4, "loss_ppm", 0);
    options.bandwidth_bps = command_number(L, 4, "bandwidth", 0);
    dark_us = command_number(L, 4, "dark", 0);
    if (dark_us > 0) {
        options.blackhole_start_us = now_us;
        options.blackhole_end_us = dark_us < INT64_MAX - now_us ? now_us + dark_us : INT64_MAX;
    }
    code = weir_world_link(w->world, a, b, &options);
    if (code < 0) return command_fail(L, code, NULL);
    lua_pushboolean(L, true);
    return 1;
}

static int world_file(lua_State *L)
{
    struct command_world *w = command_world_check(L, 1);
    uint64_t node = (uint64_t)luaL_checkinteger(L, 2);
    const char *path = luaL_checkstring(L, 3);
    size_t len;
    const char *data = luaL_checklstring(L, 4, &len);
    int32_t code = weir_world_file(w->world, node, path, data, len);

    if (code < 0) return command_fail(L, code, NULL);
    lua_pushboolean(L, true);
    return 1;
}

static int world_now(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)weir_world_now(command_world_check(L, 1)->world));
    return 1;
}

static int world_hash(lua_State *L)
{
    char text[20];
    uint64_t hash = weir_world_hash(command_world_check(L, 1)->world);

    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    lua_pushstring(L, text);
    return 1;
}

void command_world_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"add", world_add},   {"link", world_link},
                                       {"file", world_file}, {"now", world_now},
                                       {"hash", world_hash}, {NULL, NULL}};

    command_class(L, WORLD, methods, world_close);
    lua_pushcfunction(L, word_world);
    lua_setfield(L, -2, "world");
}
