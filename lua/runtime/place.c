/* SPDX-License-Identifier: MIT */
/* Nodes, and the way of an event to whom it concerns.
 *
 * A runtime serves one node of the real world, place 0, or the nodes of one world. Which of them a
 * node is, is found out here, and nobody above asks: a script cannot tell. */
#include "instance.h"
#include "lines.h"
#include "peers.h"
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct place *place_find(const weir_lua *lua, uint64_t number)
{
    return number < lua->place_count ? lua->places[number] : NULL;
}

uint64_t place_now(const struct place *place)
{
    return weir_node_now(place->node);
}

uint64_t places_now(const weir_lua *lua)
{
    for (uint32_t i = 0; i < lua->place_count; i++)
        if (lua->places[i]) return place_now(lua->places[i]);
    return 0;
}

weir_lua *runtime_of(lua_State *L)
{
    const struct script *script = vm_user(vm_of(L));

    return script->lua;
}

/* splitmix64: the i-th number of a sequence is a function of its key and i. */
uint64_t random_next(uint64_t *sequence)
{
    uint64_t z = *sequence += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t random_below(uint64_t *sequence, uint64_t n)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % n, value;

    do value = random_next(sequence);
    while (value >= limit);
    return value % n;
}

/* ---- places */

/* A world's clock begins at a second; a script that could see it would know where it is. */
static const uint64_t clock_most_us = 1000 * UINT64_C(3600000000);

static uint64_t key_of(const weir_lua *lua, weir_node *node, uint64_t number)
{
    uint64_t digest[WEIR_HASH_BYTES / 8];
    weir_peer_id id;
    weir_hash hash;

    weir_hash_init(&hash);
    if (weir_node_peer(node, &id) == 0) weir_hash_update(&hash, id.bytes, id.len);
    /* The keys of a world come from its seed, and are all that is random in it. */
    if (number == 0) weir_hash_update(&hash, &lua->entropy, sizeof lua->entropy);
    weir_hash_final(&hash, digest);
    return digest[0];
}

static bool make_room(weir_lua *lua, uint64_t number)
{
    struct place **places;
    uint64_t count = lua->place_count ? lua->place_count : 1;

    if (number < lua->place_count) return true;
    while (count <= number) count *= 2;
    if (count > UINT32_MAX) return false;
    places = realloc(lua->places, count * sizeof *places);
    if (!places) return false;
    memset(places + lua->place_count, 0, (count - lua->place_count) * sizeof *places);
    lua->places = places;
    lua->place_count = (uint32_t)count;
    return true;
}

static bool is_other_world(const weir_lua *lua, uint64_t number, weir_node *node)
{
    for (uint32_t i = 0; i < lua->place_count; i++) {
        const struct place *p = lua->places[i];
        if (p && (p->number == 0) != (number == 0)) return true;
    }
    return number < lua->place_count && lua->places[number] && lua->places[number]->node != node;
}

int32_t place_open(weir_lua *lua, weir_node *node, struct place **out, weir_error *error)
{
    struct place *place;
    uint64_t number = weir_node_number(node), random;

    if (weir_node_now(node) == 0)
        return error_fill(error, WEIR_E_CLOSED, "the node is closed, or no node");
    if (is_other_world(lua, number, node))
        return error_fill(error, WEIR_E_STATE,
                          "a runtime serves one node, or the nodes of one world");
    *out = place_find(lua, number);
    if (*out) return 0;
    place = calloc(1, sizeof *place);
    if (!place || !make_room(lua, number)) {
        free(place);
        return error_fill(error, WEIR_E_MEMORY, "no memory for another node");
    }
    place->lua = lua;
    place->node = node;
    place->number = number;
    place->random = random = key_of(lua, node, number);
    place->clock_us = random_below(&random, clock_most_us + 1);
    list_init(&place->instances);
    if (place_peers_open(place) < 0) {
        free(place);
        return error_fill(error, WEIR_E_MEMORY, "no memory for the peers of a node");
    }
    lua->places[number] = *out = place;
    return 0;
}

void place_close(struct place *place)
{
    place->lua->places[place->number] = NULL;
    place_peers_close(place);
    free(place);
}

/* ---- events */

static bool is_about_connections(uint32_t kind)
{
    switch (kind) {
    case WEIR_EVENT_CONNECTED:
    case WEIR_EVENT_CONNECTION_CLOSED:
    case WEIR_EVENT_PEER_UP:
    case WEIR_EVENT_PEER_DOWN:
    case WEIR_EVENT_SENDABLE:
    case WEIR_EVENT_OPENABLE:
    case WEIR_EVENT_MOVED: return true;
    default: return false;
    }
}

/* @return whether the event was a script's, and is done with */
static bool give(weir_lua *lua, const weir_event *event)
{
    struct place *place = place_find(lua, event->node);
    bool is_ours = false;
    struct waiter *w = waiter_find(lua, event->user, &is_ours);

    if (!place) return is_ours;
    if (w)
        w->on_event(w, event);
    else if (is_about_connections(event->kind))
        place_on_event(place, event);
    else if (event->kind == WEIR_EVENT_DRAINED)
        place->draining = true;
    return is_ours;
}

uint32_t place_dispatch(weir_lua *lua, weir_event *events, uint32_t count)
{
    uint32_t stay = 0;

    for (uint32_t i = 0; i < count; i++) {
        timers_run(lua, events[i].time_us);
        lua->now_us = events[i].time_us;
        if (!give(lua, &events[i])) events[stay++] = events[i];
        tasks_run_ready(lua);
    }
    return stay;
}
