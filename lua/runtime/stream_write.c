/* SPDX-License-Identifier: MIT */
/* Writing, and the ends of a stream. */
#include "stream_state.h"
#include <lauxlib.h>
#include <string.h>

enum { BYTES_PER_INSTRUCTION = 64, WRITE_INSTRUCTIONS = 10, WRITE_MAX = 1 << 30 };

static weir_node *node_of(const struct stream_state *s)
{
    return s->instance->place->node;
}

/* Stack: the stream, the bytes. context: how many went. */
static int write_on(lua_State *L, int status, lua_KContext context)
{
    struct stream_state *s = stream_state_at(L, 1);
    size_t len, went = (size_t)context;
    const char *data = lua_tolstring(L, 2, &len);
    int64_t taken;

    (void)status;
    if (!s) return stream_fail(L, s, 0);
    taken = weir_stream_write(node_of(s), s->handle, data + went, (uint32_t)(len - went), 0);
    if (taken < 0) return stream_fail(L, s, taken);
    went += (size_t)taken;
    if (went < len) return stream_wait(L, s, STREAM_WRITES, (lua_KContext)went, write_on);
    lua_pushboolean(L, 1);
    return task_give(L, 1);
}

int stream_method_write(lua_State *L)
{
    struct stream_state *s = stream_state_at(L, 1);
    size_t len;

    luaL_checklstring(L, 2, &len);
    luaL_argcheck(L, len <= WRITE_MAX, 2, "too long");
    vm_charge(L, WRITE_INSTRUCTIONS + len / BYTES_PER_INSTRUCTION);
    if (s && s->waits[STREAM_WRITES]) return luaL_error(L, "another handler writes this stream");
    if (s && s->is_finished) return luaL_error(L, "write: the stream is finished already");
    lua_settop(L, 2);
    return write_on(L, LUA_OK, 0);
}

int stream_method_flush(lua_State *L)
{
    struct stream_state *s = stream_state_at(L, 1);

    if (s && !s->is_over) weir_stream_flush(node_of(s), s->handle);
    return 0;
}

int stream_method_finish(lua_State *L)
{
    struct stream_state *s = stream_state_at(L, 1);

    if (!s || s->is_over) return 0;
    if (s->waits[STREAM_WRITES]) return luaL_error(L, "finish: another handler writes this stream");
    /* A file that is read has no lane to finish: it is closed. */
    if (!s->has_out)
        weir_stream_stop(node_of(s), s->handle, 0);
    else
        weir_stream_finish(node_of(s), s->handle);
    s->is_finished = true;
    return 0;
}

int stream_method_reset(lua_State *L)
{
    struct stream_state *s = stream_state_at(L, 1);
    uint32_t reason = WEIR_REASON_CANCELLED;

    /* A number goes over the wire; a text is for who reads the script. */
    if (lua_isinteger(L, 2)) {
        lua_Integer given = lua_tointeger(L, 2);
        luaL_argcheck(L, given >= 0 && given < 0x10000000, 2, "a reason is below 0x10000000");
        reason = (uint32_t)given;
    } else if (!lua_isnoneornil(L, 2))
        luaL_checktype(L, 2, LUA_TSTRING);
    if (!s || s->is_over) return 0;
    s->was_reset = true;
    stream_give_up(node_of(s), s->handle, reason);
    return 0;
}

int stream_method_urgency(lua_State *L)
{
    struct stream_state *s = stream_state_at(L, 1);
    lua_Integer urgency = luaL_checkinteger(L, 2);

    luaL_argcheck(L, urgency >= 0 && urgency <= 7, 2, "0 (first) to 7");
    if (s && !s->is_over) weir_stream_set_urgency(node_of(s), s->handle, (uint32_t)urgency);
    return 0;
}

static int is_false(lua_State *L)
{
    lua_pushboolean(L, 0);
    lua_replace(L, -4);
    return 3;
}

int stream_method_send(lua_State *L)
{
    struct stream_state *s = stream_state_at(L, 1);
    size_t len;
    const char *data = luaL_checklstring(L, 2, &len);
    int32_t code;

    vm_charge(L, WRITE_INSTRUCTIONS + len / BYTES_PER_INSTRUCTION);
    if (!s) {
        stream_fail(L, s, 0);
        return is_false(L);
    }
    if (!s->entry || entry_get(s->entry, "datagram") == 0)
        return luaL_error(L, "this stream declares no datagrams: stream { datagram = 1*KB, ... }");
    if (len > entry_get(s->entry, "datagram"))
        return luaL_error(L, "send: %I bytes, and %s declares at most %I", (LUAI_UACINT)len,
                          s->entry->name, (LUAI_UACINT)entry_get(s->entry, "datagram"));
    code = weir_datagram_send(node_of(s), s->handle, data, (uint32_t)len);
    if (code < 0) {
        stream_fail(L, s, code);
        return is_false(L);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int wait_on(lua_State *L, int status, lua_KContext context)
{
    struct stream_state *s = stream_state_at(L, 1);
    weir_stream_info info = {.size = sizeof info};

    (void)status;
    (void)context;
    if (!s) return stream_fail(L, s, 0);
    if (!s->is_over && weir_stream_get_info(node_of(s), s->handle, &info) != 0) s->is_over = true;
    if (!s->is_over && !s->is_late) return stream_wait(L, s, STREAM_ENDS, 0, wait_on);
    if (s->is_late || s->error < 0 || s->reason != 0) return stream_fail(L, s, WEIR_E_STALE);
    lua_pushinteger(L, (lua_Integer)s->amount);
    return 1;
}

int stream_method_wait(lua_State *L)
{
    struct stream_state *s = stream_state_at(L, 1);

    if (s && s->waits[STREAM_ENDS]) return luaL_error(L, "another handler waits for its end");
    lua_settop(L, 1);
    return wait_on(L, LUA_OK, 0);
}
