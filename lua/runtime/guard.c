/* SPDX-License-Identifier: MIT */
/* What a C function of Lua began for a task has to end with it, also when an error or the budget
 * ends the task elsewhere. So the task's on_end is called through here while it has guards. */
#include "stream_state.h"

static struct guard *find(const struct streams *all, const struct task *t)
{
    for (struct list *l = all->guards.next; l != &all->guards; l = l->next) {
        struct guard *g = list_entry(l, struct guard, link);
        if (g->task == t) return g;
    }
    return NULL;
}

static void on_end(struct task *t, enum task_end end, int results)
{
    struct streams *all = streams_of(vm_main(t->instance->script->vm));
    struct guard *g;

    while ((g = find(all, t)) != NULL) g->release(g);
    if (t->on_end && t->on_end != on_end) t->on_end(t, end, results);
}

void guard_add(lua_State *L, struct task *t, struct guard *g, void (*release)(struct guard *g))
{
    struct streams *all = streams_of(L);
    const struct guard *other = find(all, t);

    g->task = t;
    g->release = release;
    g->on_end = other ? other->on_end : t->on_end;
    t->on_end = on_end;
    list_push(&all->guards, &g->link);
}

void guard_remove(struct guard *g)
{
    struct streams *all = streams_of(vm_main(g->task->instance->script->vm));

    list_remove(&g->link);
    if (!find(all, g->task)) g->task->on_end = g->on_end;
}
