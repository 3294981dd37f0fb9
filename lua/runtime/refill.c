/* SPDX-License-Identifier: MIT */
/* The worker that fills a view from another one: one per view, a task of its own, so that whoever
 * calls refill goes on. It takes candidates at random, each once, at the pace of the retry budget;
 * one that cannot be reached is forgotten by the other view; it ends when the view is full or
 * nobody is left. The stack of its task: view, other view, function, self. */
#include "instance.h"
#include "sandbox.h"
#include "view.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum { VIEW = 1, FROM, FUNCTION, DONE = 4, START_INSTRUCTIONS = 40 };

struct refill {
    struct task *task;
    struct view *view;
    uint32_t *candidates; /* not tried yet from `at` on */
    uint32_t at, count, tried;
    bool is_paced;
};

static int step(lua_State *L, struct refill *r);

static struct refill *refill_of(lua_State *L)
{
    const struct view *v = view_check(L, VIEW);

    return v->refill;
}

static int after_sleep(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return step(L, refill_of(L));
}

static int after_call(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    lua_settop(L, FUNCTION);
    return step(L, refill_of(L));
}

static int offer_candidate(lua_State *L, struct refill *r, uint32_t peer)
{
    lua_settop(L, FUNCTION);
    lua_pushvalue(L, FUNCTION);
    peers_push(L, r->view->in->script->lua, peer);
    lua_callk(L, 1, 0, 0, after_call);
    return after_call(L, LUA_OK, 0);
}

/* Why somebody cannot be reached, and not why this node cannot reach anybody. */
static bool is_theirs(int32_t error)
{
    return error != WEIR_E_LIMIT && error != WEIR_E_MEMORY && error != WEIR_E_BUDGET &&
           error != WEIR_E_DRAINING && error != WEIR_E_CLOSED;
}

static int after_dial(lua_State *L, int status, lua_KContext context)
{
    struct dial_result result;
    struct view *from;
    struct refill *r;
    uint32_t peer;

    (void)status;
    dial_result(context, &result);
    r = refill_of(L);
    from = view_test(L, FROM);
    peer = r->candidates[r->at - 1];
    if (result.connection == 0) {
        if (from && is_theirs(result.error)) view_remove(from, peer);
        return step(L, r);
    }
    retry_success(r->view->in);
    return offer_candidate(L, r, peer);
}

/* The next one that still makes sense; PEER_NONE: nobody is left, or nothing to do. */
static uint32_t next_candidate(struct refill *r, const struct view *from)
{
    const struct view *v = r->view;

    if (v->count == v->cap || !from) return PEER_NONE;
    for (; r->at < r->count; r->at++) {
        uint32_t peer = r->candidates[r->at];
        if (view_has(from, peer) && !view_has(v, peer)) return peer;
    }
    return PEER_NONE;
}

static int step(lua_State *L, struct refill *r)
{
    struct instance *in = r->view->in;
    uint32_t peer = next_candidate(r, view_test(L, FROM));
    uint64_t wait;

    vm_charge(L, START_INSTRUCTIONS);
    if (peer == PEER_NONE) return 0;
    if (!r->is_paced) {
        r->is_paced = true;
        wait = retry_jitter(in, r->tried);
        if (wait > 0) return retry_sleep(L, wait, 0, after_sleep);
    }
    wait = retry_take(in);
    if (wait > 0) return retry_sleep(L, wait, 0, after_sleep);
    r->is_paced = false;
    r->tried++;
    r->at++;
    return dial_in_task(L, in->place, peer, NULL, false, after_dial);
}

/* The task's function. */
static int work(lua_State *L)
{
    return step(L, refill_of(L));
}

static void free_refill(struct refill *r)
{
    r->view->refill = NULL;
    free(r->candidates);
    free(r);
}

static void on_end(struct task *t, enum task_end end, int results)
{
    (void)end;
    (void)results;
    free_refill(t->context);
}

static bool take_candidates(struct refill *r, const struct view *from)
{
    struct instance *in = r->view->in;

    r->count = from->count;
    r->candidates = malloc((from->count ? from->count : 1) * sizeof *r->candidates);
    if (!r->candidates) return false;
    view_shuffle(in, r->candidates, r->count, r->count);
    for (uint32_t i = 0; i < r->count; i++) r->candidates[i] = from->list[r->candidates[i]].peer;
    return true;
}

int view_refill(lua_State *L)
{
    struct view *v = view_check(L, VIEW), *from = view_check(L, FROM);
    struct refill *r;
    struct task *t;

    luaL_checktype(L, FUNCTION, LUA_TFUNCTION);
    vm_charge(L, START_INSTRUCTIONS + from->count);
    luaL_argcheck(L, v != from, FROM, "another view");
    lua_settop(L, FUNCTION);
    if (v->refill || v->count == v->cap || from->count == 0 || v->in->stopping) return 0;
    r = calloc(1, sizeof *r);
    if (!r) return luaL_error(L, "no memory for a worker");
    r->view = v;
    if (!take_candidates(r, from) || !(t = task_open(v->in))) {
        free(r->candidates);
        free(r);
        return 0;
    }
    v->refill = r;
    r->task = t;
    t->on_end = on_end;
    t->context = r;
    lua_pushcfunction(t->co, work);
    lua_pushvalue(L, VIEW);
    lua_pushvalue(L, FROM);
    lua_pushvalue(L, FUNCTION);
    lua_xmove(L, t->co, 3);
    task_resume(t, 3);
    return 0;
}

void refill_end(struct view *v)
{
    if (v->refill) v->refill->task->on_end = NULL;
    if (v->refill) free_refill(v->refill);
}
