/* SPDX-License-Identifier: MIT */
/* Requests: one question, one answer. ask, call and refuse, and what happens to one that comes. */
#include "cbor.h"
#include "instance.h"
#include "lines.h"
#include "peers.h"
#include "response.h"
#include "sandbox.h"
#include "send.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t hour = 3600000000u;
static const uint64_t hint_max_us = 600000000;
static const uint64_t retry_us = 1000000; /* told to who is refused as busy */

static const struct entry_key keys[] = {
    {"bytes", ENTRY_BYTES, true, 1, SERVER_BYTES_MAX, 0, NULL, "so that no peer can send more"},
    {"answer", ENTRY_BYTES, true, 1, SERVER_ANSWER_MAX, 0, NULL,
     "so that no peer can answer more; with total, the longest piece"},
    {"within", ENTRY_TIME, true, 1000, 3600000000u, 0, NULL, "so that nobody waits for ever"},
    {"idle", ENTRY_TIME, false, 1000, 3600000000u, 10000000, NULL, NULL},
    {"total", ENTRY_BYTES, false, 1, 1ull << 40, 0, NULL, "the longest answer in pieces"},
    {"urgency", ENTRY_COUNT, false, 0, 7, 3, NULL, "0 goes first"},
    {NULL, 0, false, 0, 0, 0, NULL, NULL}};

const struct entry_ops request_ops = {.word = "request", .keys = keys, .needs_method = true};

/* ---- ask, call */

static void on_cancel(struct task *t)
{
    weir_request_cancel(t->instance->place->node, t->object, WEIR_REASON_CANCELLED);
}

/* nil, sentence, name, and when to ask again. */
static int refused(lua_State *L, struct task *t)
{
    weir_node *node = t->instance->place->node;
    weir_request_info info = {.size = sizeof info};
    bool has_info = weir_request_get_info(node, t->object, &info) == 0;

    if (t->event.error == WEIR_E_REFUSED && t->event.amount == SERVER_REASON_UNKNOWN)
        task_fail_code(L, NULL, WEIR_E_UNSUPPORTED, 0);
    else
        task_fail_code(L, NULL, t->event.error, (uint32_t)t->event.amount);
    if (!has_info) return 3;
    if (info.text[0]) {
        lua_pushstring(L, info.text);
        lua_replace(L, -3);
    }
    if (info.retry_us == 0) return 3;
    /* A hint is the peer's word: it puts nobody to sleep for longer than this. */
    lua_pushinteger(L, (lua_Integer)(info.retry_us < hint_max_us ? info.retry_us : hint_max_us));
    return 4;
}

static int answered(lua_State *L, int status, lua_KContext context)
{
    struct task *t = task_check(L);
    struct entry *e = script_check_entry(L, 2, NULL);
    struct instance *in = instance_for(L, e->script);
    uint8_t *data = in->script->lua->scratch;
    char error[200];
    int64_t len;

    (void)status;
    if (t->event.error != 0 || t->event.kind != WEIR_EVENT_RESPONSE) return refused(L, t);
    if (context) return response_push(L, t, in, e);
    len = weir_message_read(in->place->node, t->object, data, SCRATCH_BYTES);
    if (len < 0 || (uint64_t)len > entry_get(e, "answer")) {
        weir_request_cancel(in->place->node, t->object, WEIR_REASON_TOO_LARGE);
        return task_fail(L, "the answer is longer than declared", "limit");
    }
    if (server_decode(L, in, peers_check(L, 1), data, (size_t)len, error, sizeof error)) return 1;
    return task_fail(L, error, "format");
}

static int go(lua_State *L, const struct sending *s, uint64_t connection, const uint8_t *bytes)
{
    weir_request_options options = {.size = sizeof options};
    struct instance *in = s->instance;
    weir_node *node = in->place->node;
    bool in_pieces = entry_get(s->entry, "total") > 0;
    struct task *t = task_check(L);
    uint64_t now = place_now(in->place);
    int64_t handle;

    if (s->until_us <= now) return task_fail(L, "there was no connection in time", "timeout");
    task_check_may_wait(L);
    options.urgency_plus1 = (uint32_t)entry_get(s->entry, "urgency") + 1;
    options.flags = in_pieces ? WEIR_CHUNKED : 0;
    options.progress_us = entry_get(s->entry, "idle");
    options.deadline_us = s->until_us - now;
    options.response_max_bytes = entry_get(s->entry, in_pieces ? "total" : "answer");
    options.user = task_tag(t);
    if (options.user == 0) return task_fail(L, "no memory to wait", "limit");
    handle = weir_request_send(node, connection, in->script->protocol, bytes, (uint32_t)s->len,
                               &options);
    if (handle == 0) return SEND_NO_ROOM;
    if (handle < 0) return task_fail_code(L, node, (int32_t)handle, 0);
    in->script->lua->info.requests_out++;
    t->object = (uint64_t)handle;
    return task_wait_event(L, on_cancel, in_pieces, answered);
}

static int begin(lua_State *L, bool in_pieces)
{
    static const char *const kinds[] = {"request", NULL};
    struct entry *e;
    uint64_t within;

    task_check(L);
    lua_settop(L, 4);
    e = script_check_entry(L, 2, kinds);
    if ((entry_get(e, "total") > 0) != in_pieces)
        return luaL_error(
            L, in_pieces ? "%s is answered whole: use ask" : "%s is answered in pieces: use call",
            e->name);
    within = entry_get(e, "within");
    if (!lua_isnil(L, 4)) {
        lua_Number given = luaL_checknumber(L, 4);
        luaL_argcheck(L, given >= 1 && given <= (lua_Number)hour, 4, "a time, as in 5*sec");
        within = (uint64_t)given;
    }
    task_check_may_wait(L);
    return send_begin(L, instance_for(L, e->script), e, within, go, false);
}

static int word_ask(lua_State *L)
{
    return begin(L, false);
}

static int word_call(lua_State *L)
{
    return begin(L, true);
}

/* ---- one that came */

static void free_served(struct served *r)
{
    struct server *s = r->server;
    uint32_t peer = r->peer;

    waiter_remove(s->in->script->lua, &r->waiter);
    list_remove(&r->link);
    free(r->answer);
    free(r);
    server_leave(s, peer);
}

/* Its events come here from now on, with the tag of its own. One that is answered at once has none:
 * what is told of it finds the server, which has no use for it. */
static bool watch(struct served *r)
{
    struct instance *in = r->server->in;

    if (waiter_add(in->script->lua, &r->waiter) == 0) return false;
    return weir_stream_set_user(in->place->node, r->request, r->waiter.tag) == 0;
}

static void on_event(struct waiter *w, const weir_event *event)
{
    struct served *r = list_entry(w, struct served, waiter);

    if (served_on_event(r, event)) free_served(r);
}

/* Inside the task: encode the answer, so that what is wrong with it is the script's failure. */
static void answer(struct served *r, lua_State *L, int index)
{
    weir_lua *lua = r->server->in->script->lua;
    struct instance *in = r->server->in;
    struct peer_wire wire = {.place = in->place};
    struct cbor_peers peers;
    int64_t len = 0, taken;
    char error[200];

    peers_wire(&wire, &peers);
    if (!lua_isnoneornil(L, index))
        len = cbor_encode(L, index, &peers, lua->scratch, entry_get(r->entry, "answer"), error,
                          sizeof error);
    if (len < 0) luaL_error(L, "%s: the answer of %s: %s", in->script->name, r->entry->name, error);
    taken = weir_request_respond(in->place->node, r->request, lua->scratch, (uint32_t)len, 0);
    r->is_answered = true;
    if (taken < 0 || taken == len) return;
    r->answer_len = (uint32_t)(len - taken);
    r->answer = malloc(r->answer_len);
    if (r->answer)
        memcpy(r->answer, lua->scratch + taken, r->answer_len);
    else
        r->is_answered = false;
}

static void on_return(struct task *t, lua_State *L, int first)
{
    struct served *r = t->context;
    const struct refusal *no = luaL_testudata(L, first, REFUSAL_CLASS);
    weir_node *node = r->server->in->place->node;

    if (r->is_over) return;
    if (no) {
        if (weir_request_refuse(node, r->request, SERVER_REASON_REFUSED, no->retry_us, no->text) <
            0)
            luaL_error(L, "refuse: a part of the answer of %s was written already", r->entry->name);
        r->is_answered = true;
    } else if (entry_get(r->entry, "total") > 0) {
        weir_request_respond(node, r->request, r->server->in->script->lua->scratch, 0, 0);
        r->is_answered = true;
    } else
        answer(r, L, first);
}

static void on_end(struct task *t, enum task_end end, int results)
{
    struct served *r = t->context;
    uint32_t reason = end == TASK_STOPPED  ? WEIR_REASON_SCRIPT_LIMIT
                      : end == TASK_FAILED ? WEIR_REASON_SCRIPT
                                           : WEIR_REASON_CANCELLED;

    (void)results;
    r->task = NULL;
    /* The asker takes it slowly: WRITABLE or REQUEST_CLOSED follows. */
    if (!r->is_over && r->answer && watch(r)) return;
    if (!r->is_over && (!r->is_answered || r->answer))
        weir_request_cancel(r->server->in->place->node, r->request, reason);
    free_served(r);
}

struct arrival {
    struct served *served;
    const uint8_t *data;
    size_t len;
};

static int push(lua_State *co, void *context)
{
    const struct arrival *a = context;
    struct served *r = a->served;
    struct instance *in = r->server->in;
    char error[200];

    peers_push(co, in->script->lua, r->peer);
    if (!server_decode(co, in, r->peer, a->data, a->len, error, sizeof error)) {
        in->script->lua->info.dropped++;
        weir_request_cancel(in->place->node, r->request, WEIR_REASON_FORMAT);
        r->is_answered = true;
        return -1;
    }
    if (entry_get(r->entry, "total") == 0) return 2;
    out_push(co, r);
    return 3;
}

void request_arrived(struct server *s, struct entry *e, uint32_t peer, uint64_t request,
                     const uint8_t *data, size_t len)
{
    weir_node *node = s->in->place->node;
    struct served *r;
    struct arrival a = {.data = data, .len = len};
    struct task_call call = {
        .method = e->name, .push = push, .context = &a, .on_return = on_return, .on_end = on_end};
    struct task *t;
    bool began = false;

    bool has_room = server_enter(s, peer);

    r = has_room ? calloc(1, sizeof *r) : NULL;
    if (!r) {
        if (has_room) server_leave(s, peer);
        weir_request_refuse(node, request, WEIR_REASON_OVERLOAD, retry_us, NULL);
        return;
    }
    r->waiter.on_event = on_event;
    r->server = s;
    r->entry = e;
    r->request = request;
    r->peer = peer;
    list_push(&s->served, &r->link);
    a.served = call.end_context = r;
    /* `out` is found by the tag. */
    t = entry_get(e, "total") > 0 && !watch(r) ? NULL : task_start(s->in, &call, &began);
    if (t) {
        r->task = t;
        if (r->waiter.tag == 0 && !watch(r)) task_cancel(t);
    } else if (!began) {
        weir_request_refuse(node, request, WEIR_REASON_OVERLOAD, retry_us, NULL);
        free_served(r);
    }
}

void request_end_all(struct server *s)
{
    struct served *r;

    while ((r = list_first(&s->served, struct served, link)) != NULL) {
        weir_request_cancel(s->in->place->node, r->request, WEIR_REASON_CANCELLED);
        free_served(r);
    }
}

void words_request(lua_State *L)
{
    lua_pushcfunction(L, word_ask);
    sandbox_set(L, "ask");
    lua_pushcfunction(L, word_call);
    sandbox_set(L, "call");
}
