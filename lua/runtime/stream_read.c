/* SPDX-License-Identifier: MIT */
/* Reading. What is read becomes a Lua string straight from the core's buffer, and only then the
 * peer gets credit, so nothing is lost when the memory for it is not there. Lines and exact
 * counts are collected in C until they are whole: a peer that sends them byte by byte costs no
 * strings. */
#include "stream_state.h"
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 4096, BYTES_PER_INSTRUCTION = 64, READ_INSTRUCTIONS = 10, HELD_FIRST = 256 };

static weir_node *node_of(const struct stream_state *s)
{
    return s->instance->place->node;
}

/* ---- what is held */

void stream_held_drop(struct stream_state *s, uint32_t bytes)
{
    s->held_len -= bytes;
    memmove(s->held, s->held + bytes, s->held_len);
    if (s->held_len > 0) return;
    free(s->held);
    s->held = NULL;
    s->held_cap = 0;
}

static bool grow(struct stream_state *s, uint32_t len)
{
    uint32_t cap = s->held_cap ? s->held_cap : HELD_FIRST;
    uint8_t *held;

    if (len <= s->held_cap) return true;
    while (cap < len) cap *= 2;
    held = realloc(s->held, cap);
    if (!held) return false;
    s->held = held;
    s->held_cap = cap;
    return true;
}

int64_t stream_hold(struct stream_state *s, uint32_t most)
{
    const void *data;
    int64_t len = weir_stream_peek(node_of(s), s->handle, &data);

    if (len <= 0) return len;
    if ((uint64_t)len > most) len = most;
    if (!grow(s, s->held_len + (uint32_t)len)) return WEIR_E_MEMORY;
    memcpy(s->held + s->held_len, data, (size_t)len);
    s->held_len += (uint32_t)len;
    weir_stream_consume(node_of(s), s->handle, (uint64_t)len);
    return len;
}

static int give_held(lua_State *L, struct stream_state *s, uint32_t len, uint32_t drop)
{
    vm_charge(L, len / BYTES_PER_INSTRUCTION);
    lua_pushlstring(L, (const char *)s->held, len);
    stream_held_drop(s, drop);
    return task_give(L, 1);
}

/* Whether a read that gave `result` has an end to tell; else it waits. */
static bool is_end(const struct stream_state *s, int64_t *result)
{
    if (*result == 0) return false;
    if (*result == WEIR_E_STALE && s->is_over && s->error == 0 && s->reason == 0 && !s->was_reset)
        *result = WEIR_E_END;
    return true;
}

/* ---- read, chunks */

/* Stack: the stream, how many bytes. */
static int read_on(lua_State *L, int status, lua_KContext context)
{
    struct stream_state *s = stream_state_at(L, 1);
    uint32_t most = (uint32_t)lua_tointeger(L, 2);
    const void *data;
    int64_t len;

    (void)status;
    (void)context;
    if (!s) return stream_fail(L, s, 0);
    most = stream_fit(L, most);
    if (s->held_len > 0) {
        uint32_t give = s->held_len < most ? s->held_len : most;
        return give_held(L, s, give, give);
    }
    len = weir_stream_peek(node_of(s), s->handle, &data);
    if (len > 0) {
        if (len > most) len = most;
        vm_charge(L, (uint64_t)len / BYTES_PER_INSTRUCTION);
        lua_pushlstring(L, data, (size_t)len);
        weir_stream_consume(node_of(s), s->handle, (uint64_t)len);
        return task_give(L, 1);
    }
    if (is_end(s, &len)) return stream_fail(L, s, len);
    return stream_wait(L, s, STREAM_READS, 0, read_on);
}

static lua_Integer check_most(lua_State *L, int index, lua_Integer fallback)
{
    lua_Integer most = luaL_optinteger(L, index, fallback);

    luaL_argcheck(L, most >= 1, index, "a number of bytes, 1 or more");
    return most < STREAM_READ_MAX ? most : STREAM_READ_MAX;
}

int stream_method_read(lua_State *L)
{
    struct stream_state *s = stream_state_at(L, 1);
    lua_Integer most = check_most(L, 2, STREAM_READ_MAX);

    vm_charge(L, READ_INSTRUCTIONS);
    if (s && s->waits[STREAM_READS]) return luaL_error(L, "another handler reads this stream");
    lua_settop(L, 1);
    lua_pushinteger(L, most);
    return read_on(L, LUA_OK, 0);
}

/* ---- read_exactly */

static int exactly_on(lua_State *L, int status, lua_KContext context)
{
    struct stream_state *s = stream_state_at(L, 1);
    uint32_t wanted = (uint32_t)lua_tointeger(L, 2);
    char text[100];
    int64_t len = 1;

    (void)status;
    (void)context;
    if (!s) return stream_fail(L, s, 0);
    while (s->held_len < wanted && (len = stream_hold(s, wanted - s->held_len)) > 0) continue;
    if (s->held_len >= wanted) return give_held(L, s, wanted, wanted);
    if (!is_end(s, &len)) return stream_wait(L, s, STREAM_READS, 0, exactly_on);
    if (len != WEIR_E_END || s->held_len == 0) return stream_fail(L, s, len);
    snprintf(text, sizeof text, "the other side finished after %u of %u bytes",
             (unsigned)s->held_len, (unsigned)wanted);
    return task_fail(L, text, "end");
}

int stream_method_read_exactly(lua_State *L)
{
    struct stream_state *s = stream_state_at(L, 1);
    lua_Integer wanted = luaL_checkinteger(L, 2);

    vm_charge(L, READ_INSTRUCTIONS);
    luaL_argcheck(L, wanted >= 1 && wanted <= STREAM_READ_MAX, 2,
                  "1 to 64 KB; for more, chunks in a loop");
    if (s && s->waits[STREAM_READS]) return luaL_error(L, "another handler reads this stream");
    lua_settop(L, 2);
    return exactly_on(L, LUA_OK, 0);
}

/* ---- read_line, lines */

/* context: how many of the held bytes have no end of a line. */
static int line_on(lua_State *L, int status, lua_KContext context)
{
    struct stream_state *s = stream_state_at(L, 1);
    uint32_t most = (uint32_t)lua_tointeger(L, 2), from = (uint32_t)context;
    const uint8_t *at;
    char text[80];
    int64_t len;

    (void)status;
    if (!s) return stream_fail(L, s, 0);
    for (;;) {
        at = from < s->held_len ? memchr(s->held + from, '\n', s->held_len - from) : NULL;
        if (at) {
            uint32_t end = (uint32_t)(at - s->held), text_len = end;
            if (text_len > 0 && s->held[text_len - 1] == '\r') text_len--;
            if (text_len <= most) return give_held(L, s, text_len, end + 1);
        }
        /* Two more for "\r\n". */
        if (at || s->held_len >= most + 2) {
            snprintf(text, sizeof text, "the line is longer than %u bytes", (unsigned)most);
            return task_fail(L, text, "limit");
        }
        from = s->held_len;
        len = stream_hold(s, most + 2 - s->held_len);
        if (len > 0) continue;
        if (!is_end(s, &len)) return stream_wait(L, s, STREAM_READS, (lua_KContext)from, line_on);
        if (len != WEIR_E_END || s->held_len == 0) return stream_fail(L, s, len);
        if (s->held_len <= most) return give_held(L, s, s->held_len, s->held_len);
        most = 0;
    }
}

int stream_method_read_line(lua_State *L)
{
    struct stream_state *s = stream_state_at(L, 1);
    lua_Integer most = check_most(L, 2, LINE_BYTES);

    vm_charge(L, READ_INSTRUCTIONS);
    if (s && s->waits[STREAM_READS]) return luaL_error(L, "another handler reads this stream");
    lua_settop(L, 1);
    lua_pushinteger(L, most);
    return line_on(L, LUA_OK, 0);
}

static int step(lua_State *L, lua_CFunction read)
{
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, lua_upvalueindex(2));
    return read(L);
}

static int step_line(lua_State *L)
{
    return step(L, stream_method_read_line);
}

static int step_chunk(lua_State *L)
{
    return step(L, stream_method_read);
}

static int iterator(lua_State *L, lua_Integer fallback, lua_CFunction function)
{
    lua_Integer most = check_most(L, 2, fallback);

    stream_state_at(L, 1);
    lua_pushvalue(L, 1);
    lua_pushinteger(L, most);
    lua_pushcclosure(L, function, 2);
    return 1;
}

int stream_method_lines(lua_State *L)
{
    return iterator(L, LINE_BYTES, step_line);
}

int stream_method_chunks(lua_State *L)
{
    return iterator(L, STREAM_READ_MAX, step_chunk);
}

/* ---- receive */

static int receive_on(lua_State *L, int status, lua_KContext context)
{
    struct stream_state *s = stream_state_at(L, 1);
    uint8_t *data = runtime_of(L)->scratch;
    int64_t len;

    (void)status;
    (void)context;
    if (!s) return stream_fail(L, s, 0);
    /* At most 64 wait, so this ends. */
    while ((len = weir_datagram_read(node_of(s), s->handle, data, SCRATCH_BYTES)) >= 0) {
        if ((uint64_t)len <= entry_get(s->entry, "datagram")) {
            lua_pushlstring(L, (const char *)data, (size_t)len);
            return task_give(L, 1);
        }
        s->instance->script->lua->info.dropped++;
    }
    if (len != WEIR_E_NOT_FOUND) return stream_fail(L, s, len);
    return stream_wait(L, s, STREAM_RECEIVES, 0, receive_on);
}

int stream_method_receive(lua_State *L)
{
    struct stream_state *s = stream_state_at(L, 1);

    vm_charge(L, READ_INSTRUCTIONS);
    if (s && (!s->entry || entry_get(s->entry, "datagram") == 0))
        return luaL_error(L, "this stream declares no datagrams: stream { datagram = 1*KB, ... }");
    if (s && s->waits[STREAM_RECEIVES]) return luaL_error(L, "another handler receives here");
    lua_settop(L, 1);
    return receive_on(L, LUA_OK, 0);
}
