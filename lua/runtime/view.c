/* SPDX-License-Identifier: MIT */
/* The sets behind views.
 *
 * A view never holds more than its cap, never this node, nobody twice. Who was only heard of
 * carries who told: one source supplies at most per_source of a view, beyond that its own earlier
 * ones go for its new ones; and what a source tells displaces only what was heard as well, never a
 * peer that the script put there itself. Protected peers never step down. All choices are the
 * instance's randomness and its order of coming. */
#include "view.h"
#include <assert.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 4 };

uint32_t view_find(const struct view *v, uint32_t peer)
{
    uint32_t i = 0;

    while (i < v->count && v->list[i].peer != peer) i++;
    return i;
}

static bool make_room(struct view *v)
{
    uint32_t capacity = v->capacity ? 2 * v->capacity : FIRST_CAPACITY;
    struct view_peer *list;

    if (v->count < v->capacity) return true;
    if (capacity > v->cap) capacity = v->cap;
    list = realloc(v->list, capacity * sizeof *list);
    if (!list) return false;
    v->in->script->lua->info.native_bytes += (capacity - v->capacity) * sizeof *list;
    v->list = list;
    v->capacity = capacity;
    return true;
}

bool view_append(struct view *v, uint32_t peer, uint32_t source)
{
    weir_lua *lua = v->in->script->lua;

    assert(v->count < v->cap && peer != PEER_NONE && !view_has(v, peer));
    if (!make_room(v)) return false;
    peers_hold(lua, peer);
    peers_hold(lua, source);
    v->list[v->count++] =
        (struct view_peer){.peer = peer, .source = source, .since_us = place_now(v->in->place)};
    return true;
}

/* Out, and nothing else. */
static void take_out(struct view *v, uint32_t at)
{
    weir_lua *lua = v->in->script->lua;
    struct view_peer gone = v->list[at];

    v->count--;
    memmove(&v->list[at], &v->list[at + 1], (v->count - at) * sizeof *v->list);
    peers_release(lua, gone.source);
    peers_release(lua, gone.peer);
}

bool view_remove(struct view *v, uint32_t peer)
{
    uint32_t at = view_find(v, peer);

    if (at == v->count) return false;
    peers_hold(v->in->script->lua, peer);
    take_out(v, at);
    if (v->is_linked && !views_have(v->in, peer)) link_drop(v->in, peer);
    peers_release(v->in->script->lua, peer);
    return true;
}

/* ---- choosing */

void view_shuffle(struct instance *in, uint32_t *numbers, uint32_t n, uint32_t count)
{
    for (uint32_t i = 0; i < n; i++) numbers[i] = i;
    for (uint32_t i = 0; i < count && i + 1 < n; i++) {
        uint32_t j = i + (uint32_t)random_below(&in->random, n - i), taken = numbers[i];
        numbers[i] = numbers[j];
        numbers[j] = taken;
    }
}

bool view_is_better(struct instance *in, enum view_rank rank, uint32_t a, uint32_t b)
{
    uint64_t first, second;

    if (rank == RANK_SCORE) return peer_score(in, a) > peer_score(in, b);
    /* Not measured is 0, and so the farthest. */
    first = peer_rtt(in, a) - 1;
    second = peer_rtt(in, b) - 1;
    return first < second;
}

/* One of those for which `may` holds, evenly. */
static uint32_t pick_among(struct view *v,
                           bool (*may)(struct view *v, const struct view_peer *p, uint32_t context),
                           uint32_t context)
{
    uint32_t count = 0;
    uint64_t chosen;

    for (uint32_t i = 0; i < v->count; i++) count += may(v, &v->list[i], context);
    if (count == 0) return PEER_NONE;
    chosen = random_below(&v->in->random, count);
    for (uint32_t i = 0; i < v->count; i++)
        if (may(v, &v->list[i], context) && chosen-- == 0) return v->list[i].peer;
    return PEER_NONE;
}

static bool is_free(struct view *v, const struct view_peer *p, uint32_t context)
{
    (void)context;
    return !peer_is_protected(v->in, p->peer);
}

uint32_t view_victim(struct view *v, enum view_rule rule)
{
    uint32_t victim = PEER_NONE;

    if (rule == VIEW_RANDOM) return pick_among(v, is_free, 0);
    for (uint32_t i = 0; i < v->count; i++) {
        uint32_t peer = v->list[i].peer;
        if (!is_free(v, &v->list[i], 0)) continue;
        if (rule == VIEW_OLDEST) return peer;
        if (victim == PEER_NONE || view_is_better(v->in, RANK_SCORE, victim, peer)) victim = peer;
    }
    return victim;
}

/* ---- hearsay */

static bool is_heard(struct view *v, const struct view_peer *p, uint32_t context)
{
    return p->source != PEER_NONE && is_free(v, p, context);
}

static uint32_t supplied_by(const struct view *v, uint32_t via)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < v->count; i++) count += v->list[i].source == via;
    return count;
}

/* The oldest that a source supplied. */
static uint32_t oldest_of(struct view *v, uint32_t via)
{
    for (uint32_t i = 0; i < v->count; i++)
        if (v->list[i].source == via && is_free(v, &v->list[i], 0)) return v->list[i].peer;
    return PEER_NONE;
}

bool view_offer(struct view *v, uint32_t peer, uint32_t via)
{
    const struct place *place = v->in->place;
    uint32_t at = view_find(v, peer), victim = PEER_NONE;
    bool is_over;

    if (peer == PEER_NONE || peer == place->me) return false;
    /* A source that is forgotten, or this node, is nobody in particular; but no peer vouches for
     * itself more than others do for it: what comes from itself is known. */
    if (via == place->me || via == peer) via = PEER_NONE;
    if (at < v->count) {
        if (via == PEER_NONE && v->list[at].source != PEER_NONE) {
            peers_release(v->in->script->lua, v->list[at].source);
            v->list[at].source = PEER_NONE;
        }
        return false;
    }
    is_over = via != PEER_NONE && supplied_by(v, via) >= v->per_source;
    if (is_over || v->count == v->cap) {
        victim = is_over ? oldest_of(v, via) : pick_among(v, is_heard, 0);
        if (victim == PEER_NONE) return false;
    }
    if (victim != PEER_NONE) view_remove(v, victim);
    return view_append(v, peer, via);
}

/* ---- an instance's views */

static struct view *next_view(const struct instance *in, uint32_t *i)
{
    while (*i < in->script->entry_count) {
        struct entry *e = in->script->entries[(*i)++];
        if (e->ops == &view_ops && in->states[e->index]) return in->states[e->index];
    }
    return NULL;
}

struct view *views_linked(struct instance *in, bool *has_room)
{
    struct view *v, *first = NULL;

    *has_room = false;
    for (uint32_t i = 0; (v = next_view(in, &i)) != NULL;) {
        if (!v->is_linked) continue;
        if (!first) first = v;
        *has_room = v->count < v->cap;
        if (*has_room) return v;
    }
    return first;
}

void views_forget(struct instance *in, uint32_t peer)
{
    struct view *v;

    for (uint32_t i = 0; (v = next_view(in, &i)) != NULL;) {
        uint32_t at = v->is_linked ? view_find(v, peer) : v->count;
        if (at < v->count) take_out(v, at);
    }
}

bool views_have(const struct instance *in, uint32_t peer)
{
    struct view *v;

    for (uint32_t i = 0; (v = next_view(in, &i)) != NULL;)
        if (v->is_linked && view_has(v, peer)) return true;
    return false;
}

uint32_t views_cap(const struct instance *in)
{
    uint32_t linked = 0, any = 0;
    struct view *v;

    for (uint32_t i = 0; (v = next_view(in, &i)) != NULL;) {
        if (v->cap > any) any = v->cap;
        if (v->is_linked && v->cap > linked) linked = v->cap;
    }
    return linked ? linked : any;
}

int32_t view_peers(const struct instance *in, const char *name, uint32_t *peers, uint32_t cap)
{
    const struct entry *e = script_entry(in->script, name);
    const struct view *v = e && e->ops == &view_ops ? in->states[e->index] : NULL;

    if (!v) return -1;
    for (uint32_t i = 0; i < v->count && i < cap; i++) peers[i] = v->list[i].peer;
    return (int32_t)v->count;
}

/* ---- the kind of entry */

static const struct entry_key keys[] = {
    {.name = "cap",
     .type = ENTRY_COUNT,
     .required = true,
     .least = 1,
     .most = VIEW_CAP_MAX,
     .why = "so that strangers cannot fill it without end"},
    {.name = "linked", .type = ENTRY_BOOL},
    {.name = "per_source", .type = ENTRY_COUNT, .least = 1, .most = VIEW_CAP_MAX},
    {.name = NULL},
};

static int begin(struct instance *in, struct entry *e, weir_error *error)
{
    struct view *v = calloc(1, sizeof *v);

    if (!v) return error_fill(error, WEIR_E_MEMORY, "no memory for the view %s", e->name);
    v->in = in;
    v->cap = (uint32_t)entry_get(e, "cap");
    v->is_linked = entry_get(e, "linked") != 0;
    v->per_source = (uint32_t)entry_get(e, "per_source");
    if (v->per_source == 0) v->per_source = v->cap / 4;
    if (v->per_source == 0) v->per_source = 1;
    v->object = LUA_NOREF;
    in->states[e->index] = v;
    in->script->lua->info.native_bytes += sizeof *v;
    return 0;
}

static void end(struct instance *in, struct entry *e)
{
    struct view *v = in->states[e->index];
    lua_State *L = vm_main(in->script->vm);

    if (!v) return;
    refill_end(v);
    while (v->count > 0) take_out(v, v->count - 1);
    if (v->object != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, v->object);
        ((struct view_object *)lua_touserdata(L, -1))->view = NULL;
        lua_pop(L, 1);
        luaL_unref(L, LUA_REGISTRYINDEX, v->object);
    }
    in->script->lua->info.native_bytes -= sizeof *v + v->capacity * sizeof *v->list;
    in->states[e->index] = NULL;
    free(v->list);
    free(v);
}

static void field(lua_State *L, struct instance *in, struct entry *e)
{
    view_push(L, in->states[e->index]);
}

void view_push(lua_State *L, struct view *v)
{
    struct view_object *object;
    struct vm_owner *owner;

    if (v->object != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, v->object);
        return;
    }
    object = lua_newuserdatauv(L, sizeof *object, 0);
    object->view = v;
    luaL_setmetatable(L, "view");
    owner = vm_owner_enter(v->in->script->vm, NULL); /* the registry grows for all */
    lua_pushvalue(L, -1);
    v->object = luaL_ref(L, LUA_REGISTRYINDEX);
    vm_owner_enter(v->in->script->vm, owner);
}

const struct entry_ops view_ops = {
    .word = "view", .keys = keys, .begin = begin, .end = end, .field = field};

void words_view(lua_State *L)
{
    view_words(L);
    map_words(L);
}
