/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_LUA_WORLDS_H
#define WEIR_TESTS_LUA_WORLDS_H
#include "runtime/instance.h"
#include "runtime/peers.h"
#include "runtime/view.h"
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A simulated world with one script on all of its nodes, and what a test needs to look into it:
 * lines that were printed, views, methods called from outside. */
enum { WORLDS_NODES_MAX = 1024, WORLDS_PEERS_MAX = 64 };
static const uint64_t worlds_second_us = 1000000;

struct worlds {
    weir_world *world;
    weir_lua *lua;
    int64_t script;
    uint32_t count;
    weir_node *nodes[WORLDS_NODES_MAX + 1];
    uint32_t peers[WORLDS_NODES_MAX + 1]; /* their own, once a script runs there; held */
    bool is_dead[WORLDS_NODES_MAX + 1];
    char lines[4096];          /* "1 up out\n2 up in\n": node, text, in the order of time */
    uint32_t failures;         /* lines of level 1 */
};

static inline void worlds_open_as(struct worlds *w, uint32_t count, uint64_t seed,
                                  const char *text, uint32_t fidelity, uint32_t loss_ppm)
{
    weir_world_options options = {.size = sizeof options, .fidelity = fidelity};
    weir_link_options link = {.size = sizeof link, .delay_us_plus1 = 10001, .jitter_us = 2000};
    weir_error error = {.size = sizeof error};

    memset(w, 0, sizeof *w);
    options.seed = seed;
    assert_int_equal(weir_world_create(&options, &w->world, NULL), 0);
    assert_int_equal(weir_lua_create(NULL, &w->lua, NULL), 0);
    w->script = weir_lua_load(w->lua, "game.lua", text, strlen(text), &error);
    if (w->script < 0) print_error("%s\n", error.detail);
    assert_true(w->script > 0);
    for (w->count = 0; w->count < count;) {
        assert_int_equal(weir_world_add_node(w->world, NULL, &w->nodes[++w->count], NULL), 0);
    }
    link.loss_ppm = loss_ppm;
    assert_int_equal(weir_world_link(w->world, 0, 0, &link), 0);
}

static inline void worlds_open(struct worlds *w, uint32_t count, uint64_t seed, const char *text)
{
    worlds_open_as(w, count, seed, text, WEIR_FIDELITY_MESSAGE, 0);
}

/* The address of a node, as an invitation has it; valid until the next call. */
static inline const char *worlds_address(struct worlds *w, uint32_t node)
{
    static char text[WEIR_ADDRESS_TEXT_MAX];

    assert_true(weir_node_address(w->nodes[node], 0, text, sizeof text) > 0);
    return text;
}

static inline void worlds_attach(struct worlds *w, uint32_t node, const char *const *arguments,
                                 uint32_t count)
{
    weir_error error = {.size = sizeof error};
    int32_t code = weir_lua_attach(w->lua, w->nodes[node], w->script, arguments, count, &error);

    if (code < 0) print_error("%s\n", error.detail);
    assert_int_equal(code, 0);
    if (w->peers[node] != PEER_NONE) return;
    w->peers[node] = place_find(w->lua, node)->me;
    peers_hold(w->lua, w->peers[node]);
}

static inline void worlds_lines(struct worlds *w)
{
    static weir_lua_line line;

    while (weir_lua_next_line(w->lua, &line) == 1) {
        size_t len = strlen(w->lines);
        snprintf(w->lines + len, sizeof w->lines - len, "%u %s\n", (unsigned)line.node, line.text);
        if (line.level != 1) continue;
        w->failures++;
        print_error("node %u at %llu: %s\n", (unsigned)line.node,
                    (unsigned long long)line.time_us, line.text);
    }
}

static inline void worlds_run(struct worlds *w, uint64_t for_us)
{
    assert_int_equal(weir_lua_run(w->lua, w->world, weir_world_now(w->world) + for_us), 0);
    worlds_lines(w);
}

static inline struct instance *worlds_instance(struct worlds *w, uint32_t node)
{
    struct place *place = place_find(w->lua, node);
    struct instance *in = place ? instance_at(place, w->lua->scripts[w->script - 1]) : NULL;

    assert_non_null(in);
    return in;
}

static inline uint32_t worlds_peer(struct worlds *w, uint32_t node)
{
    weir_peer_id id;

    assert_int_equal(weir_node_peer(w->nodes[node], &id), 0);
    return peers_intern(w->lua, &id);
}

struct worlds_call {
    struct worlds *w;
    uint32_t peer;
    const char *text;
};

static inline int worlds_push(lua_State *L, void *context)
{
    struct worlds_call *call = context;

    if (call->peer != PEER_NONE)
        peers_push(L, call->w->lua, call->peer);
    else
        lua_pushnil(L);
    lua_pushstring(L, call->text);
    return 2;
}

/* Call a method on a node, with another node's peer (0: nil) and a text. */
static inline void worlds_call(struct worlds *w, uint32_t node, const char *method, uint32_t other,
                               const char *text)
{
    struct worlds_call call = {w, other ? worlds_peer(w, other) : PEER_NONE, text};

    instance_call(worlds_instance(w, node), method, worlds_push, &call);
    tasks_run_ready(w->lua);
    worlds_lines(w);
}

/* The node whose peer it is; 0: none. */
static inline uint32_t worlds_node_of(struct worlds *w, uint32_t peer)
{
    for (uint32_t i = 1; i <= w->count; i++)
        if (w->peers[i] == peer) return i;
    return 0;
}

/* The nodes in a view. */
static inline uint32_t worlds_view(struct worlds *w, uint32_t node, const char *name,
                                   uint32_t nodes[WORLDS_PEERS_MAX])
{
    int32_t count = view_peers(worlds_instance(w, node), name, nodes, WORLDS_PEERS_MAX);

    assert_in_range(count, 0, WORLDS_PEERS_MAX);
    for (int32_t i = 0; i < count; i++) nodes[i] = worlds_node_of(w, nodes[i]);
    return (uint32_t)count;
}

static inline bool worlds_has(struct worlds *w, uint32_t node, const char *name, uint32_t other)
{
    uint32_t nodes[WORLDS_PEERS_MAX], count = worlds_view(w, node, name, nodes);

    for (uint32_t i = 0; i < count; i++)
        if (nodes[i] == other) return true;
    return false;
}

/* A node dies: what its script and its peers have of it is for them to find out. */
static inline void worlds_kill(struct worlds *w, uint32_t node)
{
    assert_int_equal(weir_node_close(w->nodes[node]), 0);
    weir_lua_detach(w->lua, w->nodes[node]);
    w->is_dead[node] = true;
}

static inline void worlds_close(struct worlds *w)
{
    weir_lua_free(w->lua);
    weir_world_free(w->world);
}

/* A file of the tree; to be freed. */
static inline char *worlds_file(const char *path)
{
    char whole[512];
    FILE *file;
    char *text = calloc(1, 1 << 16);

    snprintf(whole, sizeof whole, "%s/%s", WEIR_SOURCE, path);
    file = fopen(whole, "rb");
    assert_non_null(text);
    assert_non_null(file);
    assert_true(fread(text, 1, (1 << 16) - 1, file) > 0);
    fclose(file);
    return text;
}
#endif
