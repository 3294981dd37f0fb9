/* SPDX-License-Identifier: MIT */
/* One peer after another, not all at once.
 *
 * Retries are what keeps a broken network broken: everybody who lost a peer asks another one, at
 * the same moment, and again. So a script gets no loop of its own but this, and all tries of an
 * instance draw on one budget: ten at once, one more for every ten that succeeded and for every
 * ten seconds. In between each waits a random part of 250 ms, then of 500 ms, up to 30 s (full
 * jitter). */
#include "sandbox.h"
#include "view.h"
#include <lauxlib.h>
#include <string.h>

enum { LIST_MAX = 4096, MOST_MAX = 1000, CALL_INSTRUCTIONS = 10, DOUBLINGS = 7 };
/* In millionths of a try, so that a microsecond is a tenth of one. */
static const uint64_t try_micro = 1000000, per_try_us = 10000000, least_us = 1000;
static const uint64_t jitter_first_us = 250000, jitter_max_us = 30000000;

/* ---- the budget */

static void refill_budget(struct instance *in)
{
    const uint64_t most = RETRIES_BURST * try_micro;
    uint64_t now = place_now(in->place), passed;

    if (in->retry_us == 0) {
        in->retry_micro = most;
        in->retry_us = now ? now : 1;
        return;
    }
    passed = now > in->retry_us ? now - in->retry_us : 0;
    if (passed > RETRIES_BURST * per_try_us) passed = RETRIES_BURST * per_try_us;
    in->retry_micro += passed * try_micro / per_try_us;
    if (in->retry_micro > most) in->retry_micro = most;
    /* What is less than a millionth counts next time. */
    in->retry_us = now - passed % (per_try_us / try_micro);
}

uint64_t retry_take(struct instance *in)
{
    refill_budget(in);
    if (in->retry_micro < try_micro)
        return (try_micro - in->retry_micro) * (per_try_us / try_micro);
    in->retry_micro -= try_micro;
    return 0;
}

void retry_success(struct instance *in)
{
    refill_budget(in);
    in->retry_micro += try_micro / 10;
    if (in->retry_micro > RETRIES_BURST * try_micro) in->retry_micro = RETRIES_BURST * try_micro;
}

uint64_t retry_jitter(struct instance *in, uint32_t n)
{
    uint64_t most;

    if (n == 0) return 0;
    most = jitter_first_us << (n - 1 < DOUBLINGS ? n - 1 : DOUBLINGS);
    return random_below(&in->random, (most < jitter_max_us ? most : jitter_max_us) + 1);
}

static void on_time(struct timer *timer)
{
    task_resume(list_entry(timer, struct task, timer), 0);
}

static void on_cancel(struct task *t)
{
    timer_unset(t->instance->script->lua, &t->timer);
}

int retry_sleep(lua_State *L, uint64_t wait_us, lua_KContext context, lua_KFunction k)
{
    struct task *t = task_check(L);
    struct place *place = t->instance->place;

    task_check_may_wait(L);
    t->timer.on_time = on_time;
    if (!timer_set(&t->timer, place, place_now(place) + (wait_us < least_us ? least_us : wait_us)))
        return luaL_error(L, "no memory for a timer");
    return task_wait(L, on_cancel, context, k);
}

/* ---- tries */

struct tries {
    uint32_t at, count, most, done;
    bool is_paced; /* the jitter before the next one is over */
    enum view_rank rank;
    uint32_t peers[];
};

static struct tries *tries_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

static int tries_next(lua_State *L);

static int tries_again(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return tries_next(L);
}

/* Upvalue: the tries. */
static int tries_next(lua_State *L)
{
    struct tries *t = tries_of(L);
    struct instance *in = task_check(L)->instance;
    uint64_t wait;

    vm_charge(L, CALL_INSTRUCTIONS);
    while (t->at < t->count && !peers_id(in->script->lua, t->peers[t->at])) t->at++;
    if (t->at == t->count || t->done == t->most) {
        lua_pushnil(L);
        return 1;
    }
    if (!t->is_paced) {
        t->is_paced = true;
        wait = retry_jitter(in, t->done);
        if (wait > 0) return retry_sleep(L, wait, 0, tries_again);
    }
    wait = retry_take(in);
    if (wait > 0) return retry_sleep(L, wait, 0, tries_again);
    t->is_paced = false;
    t->done++;
    peers_push(L, in->script->lua, t->peers[t->at++]);
    return 1;
}

static void add_peer(struct tries *t, uint32_t peer, uint32_t me)
{
    if (peer == PEER_NONE || peer == me) return;
    t->peers[t->count++] = peer;
}

/* The best first, of equal ones the first. At most `most` are wanted: a selection, charged. */
static void sort(lua_State *L, struct instance *in, struct tries *t)
{
    uint32_t wanted = t->most < t->count ? t->most : t->count;

    vm_charge(L, (uint64_t)wanted * t->count);
    for (uint32_t i = 0; i < wanted; i++) {
        uint32_t best = i, peer;
        for (uint32_t j = i + 1; j < t->count; j++)
            if (view_is_better(in, t->rank, t->peers[j], t->peers[best])) best = j;
        peer = t->peers[best];
        memmove(&t->peers[i + 1], &t->peers[i], (best - i) * sizeof peer);
        t->peers[i] = peer;
    }
}

static void shuffle(struct instance *in, struct tries *t)
{
    for (uint32_t i = 0; i + 1 < t->count; i++) {
        uint32_t j = i + (uint32_t)random_below(&in->random, t->count - i), peer = t->peers[i];
        t->peers[i] = t->peers[j];
        t->peers[j] = peer;
    }
}

/* The peers of the view or list at index, into a new userdata on top. */
static struct tries *collect(lua_State *L, int index, struct instance *in)
{
    const struct view *v = view_test(L, index);
    size_t count = v ? v->count : lua_istable(L, index) ? lua_rawlen(L, index) : SIZE_MAX;
    struct tries *t;

    if (count == SIZE_MAX) luaL_error(L, "tries: 'from' is a view or a list of peers");
    if (count > LIST_MAX) luaL_error(L, "tries: 'from' has more than %d peers", LIST_MAX);
    vm_charge(L, count);
    t = lua_newuserdatauv(L, sizeof *t + count * sizeof t->peers[0], 0);
    memset(t, 0, sizeof *t);
    for (uint32_t i = 0; i < count; i++) {
        if (v) {
            add_peer(t, v->list[i].peer, in->place->me);
            continue;
        }
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        add_peer(t, peers_check(L, -1), in->place->me);
        lua_pop(L, 1);
    }
    return t;
}

static void check_keys(lua_State *L)
{
    vm_charge_walk(L, 1);
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        if (strcmp(key, "from") != 0 && strcmp(key, "most") != 0 && strcmp(key, "rank") != 0)
            luaL_error(L, "tries: there is no '%s'; it takes from, most and rank", key);
    }
}

int tries_word(lua_State *L)
{
    static const char *const ranks[] = {"random", "rtt", "score", "oldest", NULL};
    struct instance *in = task_check(L)->instance;
    struct tries *t;
    lua_Integer most;
    int rank;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    check_keys(L);
    lua_getfield(L, 1, "most");
    most = lua_tointeger(L, 2);
    if (most < 1 || most > MOST_MAX)
        return luaL_error(L, "tries: 'most' is a number of 1 to %d: how many to try", MOST_MAX);
    lua_getfield(L, 1, "rank");
    rank = sandbox_option(L, 3, "random", ranks);
    lua_getfield(L, 1, "from");
    t = collect(L, 4, in);
    t->most = (uint32_t)most;
    t->rank = (enum view_rank)rank;
    if (t->rank == RANK_RANDOM)
        shuffle(in, t);
    else if (t->rank != RANK_OLDEST)
        sort(L, in, t);
    lua_pushcclosure(L, tries_next, 1);
    return 1;
}
