/* SPDX-License-Identifier: MIT */
/* From one stream into another: the bytes stay in C, and what the second does not take is not
 * consumed from the first, so the back-pressure of the one is that of the other. A turn ends after
 * COPY_TURN bytes, so that two streams that are both fast do not hold up everybody else. */
#include "stream_state.h"
#include <lauxlib.h>

enum { COPY_TURN = 256 * 1024, BYTES_PER_INSTRUCTION = 1024 };

static weir_node *node_of(const struct stream_state *s)
{
    return s->instance->place->node;
}

/* Move what is there and fits. @return bytes; 0: *blocked says who; negative: *blocked's error */
static int64_t move(struct stream_state *from, struct stream_state *to, enum stream_slot *blocked)
{
    const void *data = from->held;
    bool is_held = from->held_len > 0;
    int64_t len = from->held_len, taken;

    *blocked = STREAM_READS;
    if (!is_held) len = weir_stream_peek(node_of(from), from->handle, &data);
    if (len <= 0) return len;
    if (len > COPY_TURN) len = COPY_TURN;
    *blocked = STREAM_WRITES;
    taken = weir_stream_write(node_of(to), to->handle, data, (uint32_t)len, 0);
    if (taken <= 0) return taken;
    if (is_held)
        stream_held_drop(from, (uint32_t)taken);
    else
        weir_stream_consume(node_of(from), from->handle, (uint64_t)taken);
    return taken;
}

static void on_turn(struct timer *timer)
{
    struct task *t = list_entry(timer, struct task, timer);

    stream_leave(t);
    task_resume(t, 0);
}

static int copy_on(lua_State *L, int status, lua_KContext context);

/* Both places are taken also while only one of them is waited for: nobody else reads or writes in
 * the middle of a copy. */
static int wait_again(lua_State *L, struct stream_state *from, struct stream_state *to,
                      bool is_turn)
{
    struct task *t = task_check(L);

    task_check_may_wait(L);
    stream_enter(L, from, STREAM_READS);
    stream_enter(L, to, STREAM_WRITES);
    from->other = to;
    t->wait = from;
    if (is_turn) {
        t->timer.on_time = on_turn;
        timer_set(&t->timer, from->instance->place, place_now(from->instance->place) + 1);
    }
    return task_wait(L, stream_leave, 0, copy_on);
}

/* Stack: from, to. */
static int copy_on(lua_State *L, int status, lua_KContext context)
{
    struct stream_state *from = stream_state_at(L, 1), *to = stream_state_at(L, 2);
    enum stream_slot blocked;
    int64_t moved = 1, turn = 0;

    (void)status;
    (void)context;
    if (!from || !to) return stream_fail(L, NULL, 0);
    while (turn < COPY_TURN && (moved = move(from, to, &blocked)) > 0) {
        turn += moved;
        from->copied += (uint64_t)moved;
    }
    vm_charge(L, (uint64_t)turn / BYTES_PER_INSTRUCTION);
    if (moved >= 0) return wait_again(L, from, to, moved > 0);
    if (blocked == STREAM_WRITES) return stream_fail(L, to, moved);
    if (moved != WEIR_E_END &&
        (moved != WEIR_E_STALE || !from->is_over || from->error < 0 || from->reason != 0))
        return stream_fail(L, from, moved);
    lua_pushinteger(L, (lua_Integer)from->copied);
    return 1;
}

int stream_method_copy(lua_State *L)
{
    struct stream_state *from = stream_state_at(L, 1), *to = stream_state_at(L, 2);

    luaL_argcheck(L, !from || from != to, 2, "another stream than this one");
    if (!from || !to) return stream_fail(L, NULL, 0);
    if (from->waits[STREAM_READS]) return luaL_error(L, "copy: another handler reads this stream");
    if (to->waits[STREAM_WRITES]) return luaL_error(L, "copy: another handler writes that stream");
    if (to->is_finished) return luaL_error(L, "copy: that stream is finished already");
    from->copied = 0;
    lua_settop(L, 2);
    return copy_on(L, LUA_OK, 0);
}
