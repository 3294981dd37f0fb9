/* SPDX-License-Identifier: MIT */
/* Messages: one way, whole, small. tell, and what happens to one that comes. */
#include "cbor.h"
#include "instance.h"
#include "lines.h"
#include "peers.h"
#include "sandbox.h"
#include "send.h"
#include "server.h"
#include <lauxlib.h>
#include <string.h>

static const char *const full_choices[] = {"drop-new", "drop-old", "block", NULL};
static const uint32_t overflows[] = {WEIR_OVERFLOW_DROP_NEW, WEIR_OVERFLOW_DROP_OLD,
                                     WEIR_OVERFLOW_BLOCK};
static const uint64_t tell_within_us = 60000000; /* to be connected, as the core's dial has it */

static const struct entry_key keys[] = {
    {"bytes", ENTRY_BYTES, true, 1, SERVER_BYTES_MAX, 0, NULL, "so that no peer can send more"},
    {"full", ENTRY_CHOICE, true, 0, 0, 0, full_choices,
     "to say what happens when it comes or goes faster than it can"},
    {"urgency", ENTRY_COUNT, false, 0, 7, 3, NULL, "0 goes first"},
    {NULL, 0, false, 0, 0, 0, NULL, NULL}};

const struct entry_ops message_ops = {.word = "message", .keys = keys, .needs_method = true};

/* ---- tell */

static int go(lua_State *L, const struct sending *s, uint64_t connection, const uint8_t *bytes)
{
    weir_message_options options = {.size = sizeof options};
    weir_node *node = s->instance->place->node;
    int32_t sent;

    options.urgency_plus1 = (uint32_t)entry_get(s->entry, "urgency") + 1;
    options.overflow = overflows[entry_get(s->entry, "full")];
    sent = weir_message_send(node, connection, s->instance->script->protocol, bytes,
                             (uint32_t)s->len, &options);
    if (sent > 0) {
        s->instance->script->lua->info.messages_out++;
        lua_pushboolean(L, 1);
        return 1;
    }
    if (sent < 0) {
        task_fail_code(L, node, sent, 0);
        return send_failed(L, s);
    }
    if (options.overflow == WEIR_OVERFLOW_BLOCK) return SEND_NO_ROOM;
    s->instance->script->lua->info.dropped++;
    task_fail(L, "the peer does not take messages fast enough", "full");
    return send_failed(L, s);
}

static int word_tell(lua_State *L)
{
    static const char *const kinds[] = {"message", NULL};
    struct entry *e;

    task_check(L);
    lua_settop(L, 4);
    e = script_check_entry(L, 2, kinds);
    return send_begin(L, instance_for(L, e->script), e, tell_within_us, go, true);
}

/* ---- one that came */

struct arrival {
    struct server *server;
    struct entry *entry;
    uint32_t peer;
    const uint8_t *data;
    size_t len;
};

static int push(lua_State *co, void *context)
{
    const struct arrival *a = context;
    weir_lua *lua = a->server->in->script->lua;
    char error[200];

    peers_push(co, lua, a->peer);
    if (server_decode(co, a->server->in, a->peer, a->data, a->len, error, sizeof error)) return 2;
    lua->info.dropped++;
    runtime_logf(lua, a->server->in->place, a->server->in->script, 4, "dropped a message '%s': %s",
                 a->entry->name, error);
    return -1;
}

/* Only those that waited were counted. */
static void on_end(struct task *t, enum task_end end, int results)
{
    (void)end;
    (void)results;
    if (t->number && t->instance->server) server_leave(t->instance->server, (uint32_t)t->number);
}

void message_arrived(struct server *s, struct entry *e, uint32_t peer, const uint8_t *data,
                     size_t len)
{
    struct arrival a = {.server = s, .entry = e, .peer = peer, .data = data, .len = len};
    struct task_call call = {.method = e->name, .push = push, .context = &a, .on_end = on_end};
    struct task *t = task_start(s->in, &call, NULL);

    if (t && server_enter(s, peer)) t->number = peer;
}

void words_message(lua_State *L)
{
    lua_pushcfunction(L, word_tell);
    sandbox_set(L, "tell");
}
