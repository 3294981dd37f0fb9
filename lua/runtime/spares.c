/* SPDX-License-Identifier: MIT */
/* The coroutine of a handler that ended is kept for the next one of the same instance, which pays
 * for it: a new one would cost more than many a handler, and then the collector would have to come
 * for it. No script can tell, since none gets hold of the coroutine that it runs in.
 *
 * A script keeps those of one instance only, the last that had a handler end, and as many as are
 * small beside what that instance may use: in a world, where instances are many and small, none. */
#include "runtime.h"
#include <lauxlib.h>
#include <stdlib.h>

enum { SPARES_MAX = 16, SPARE_SHARE_BYTES = 128 * 1024 /* of an instance's memory, for each */ };

struct spares {
    struct instance *of;
    uint32_t count;
    struct {
        lua_State *co;
        int ref;
    } items[SPARES_MAX];
};

static void drop(struct script *script)
{
    struct spares *s = script->spares;

    while (s && s->count > 0) {
        s->count--;
        lua_resetthread(s->items[s->count].co);
        luaL_unref(vm_main(script->vm), LUA_REGISTRYINDEX, s->items[s->count].ref);
    }
}

bool spare_take(struct task *t)
{
    struct spares *s = t->instance->script->spares;

    if (!s || s->of != t->instance || s->count == 0) return false;
    s->count--;
    t->co = s->items[s->count].co;
    t->ref = s->items[s->count].ref;
    return true;
}

bool spare_keep(struct task *t)
{
    struct instance *in = t->instance;
    struct spares *s = in->script->spares;

    if (!s) s = in->script->spares = calloc(1, sizeof *s);
    if (!s) return false;
    if (s->of != in) drop(in->script);
    s->of = in;
    if (s->count == SPARES_MAX || s->count >= in->owner.bytes_max / SPARE_SHARE_BYTES) return false;
    if (t->is_large) return false;
    lua_settop(t->co, 0);
    s->items[s->count].co = t->co;
    s->items[s->count++].ref = t->ref;
    return true;
}

void spares_forget(struct instance *in)
{
    struct spares *s = in->script->spares;

    if (!s || s->of != in) return;
    drop(in->script);
    s->of = NULL;
}
