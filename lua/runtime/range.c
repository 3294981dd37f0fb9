/* SPDX-License-Identifier: MIT */
/* Part of something large, asked for by a fetch (core/include/weir.h): a request of its own name
 * whose bytes are offset and length as variable-length integers (RFC 9000, section 16) and then
 * what it is part of, as CBOR. To the script that serves it, it is an answer in pieces of
 * `length` bytes in all: so each request has an entry of its own that says so, and `out` is the
 * one of every request. */
#include "instance.h"
#include "lines.h"
#include "peers.h"
#include "response.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum { PART_LEAST = 1024, PART_MOST = 16 << 20, WHAT_MAX = 1024, RETRY_US = 1000000 };

static const struct entry_key keys[] = {
    {"part", ENTRY_BYTES, true, PART_LEAST, PART_MOST, 0, NULL,
     "so that no peer can ask for more at once"},
    {"within", ENTRY_TIME, true, 1000, 3600000000u, 0, NULL, "so that nobody waits for ever"},
    {"bytes", ENTRY_BYTES, false, 1, WHAT_MAX, WHAT_MAX, NULL, "what a request says beside"},
    {"idle", ENTRY_TIME, false, 1000, 3600000000u, 10000000, NULL, NULL},
    {NULL, 0, false, 0, 0, 0, NULL, NULL}};
/* What `out` asks of an entry. */
static const struct entry_key answer_keys[] = {
    {.name = "answer"}, {.name = "total"}, {.name = NULL}};
static const struct entry_ops answer_ops = {.word = "range", .keys = answer_keys};

struct asked {
    struct served served;
    struct entry entry;
    uint64_t offset, length;
};
struct range_server {
    struct server server; /* served, in */
    struct entry *entry;
};

static void free_asked(struct asked *a)
{
    waiter_remove(a->served.server->in->script->lua, &a->served.waiter);
    list_remove(&a->served.link);
    free(a->served.answer);
    free(a);
}

static weir_node *node_of(const struct asked *a)
{
    return a->served.server->in->place->node;
}

static void on_event(struct waiter *w, const weir_event *event)
{
    struct served *r = list_entry(w, struct served, waiter);

    if (served_on_event(r, event)) free_asked(list_entry(r, struct asked, served));
}

/* ---- the handler */

static void answer(struct asked *a, lua_State *L, int index)
{
    struct served *r = &a->served;
    size_t len;
    const char *data = lua_tolstring(L, index, &len);
    int64_t taken;

    if (len > a->length)
        luaL_error(L, "%s: %I bytes, and %I were asked for", r->server->in->script->protocol,
                   (LUAI_UACINT)len, (LUAI_UACINT)a->length);
    taken = weir_request_respond(node_of(a), r->request, data, (uint32_t)len, 0);
    r->is_answered = true;
    if (taken < 0 || (size_t)taken == len) return;
    r->answer_len = (uint32_t)(len - (size_t)taken);
    r->answer = malloc(r->answer_len);
    if (r->answer)
        memcpy(r->answer, data + taken, r->answer_len);
    else
        r->is_answered = false;
}

static void on_return(struct task *t, lua_State *L, int first)
{
    struct asked *a = t->context;
    struct served *r = &a->served;
    const struct refusal *no = luaL_testudata(L, first, REFUSAL_CLASS);

    if (r->is_over) return;
    if (no) {
        if (weir_request_refuse(node_of(a), r->request, SERVER_REASON_REFUSED, no->retry_us,
                                no->text) < 0)
            luaL_error(L, "refuse: a part of the answer was written already");
        r->is_answered = true;
    } else if (lua_type(L, first) == LUA_TSTRING && r->sent == 0)
        answer(a, L, first);
    else if (!lua_isnoneornil(L, first))
        luaL_error(L, "a range is answered with bytes, or with out:write and nothing else");
    else {
        weir_request_respond(node_of(a), r->request, "", 0, 0);
        r->is_answered = true;
    }
}

static void on_end(struct task *t, enum task_end end, int results)
{
    struct asked *a = t->context;
    struct served *r = &a->served;

    (void)results;
    r->task = NULL;
    if (!r->is_over && !r->is_answered)
        weir_request_cancel(node_of(a), r->request,
                            end == TASK_STOPPED  ? WEIR_REASON_SCRIPT_LIMIT
                            : end == TASK_FAILED ? WEIR_REASON_SCRIPT
                                                 : WEIR_REASON_CANCELLED);
    else if (!r->is_over && r->answer)
        return; /* the asker takes it slowly: WRITABLE or REQUEST_CLOSED follows */
    free_asked(a);
}

struct arrival {
    struct asked *asked;
    const uint8_t *what;
    size_t len;
};

static int push(lua_State *co, void *context)
{
    const struct arrival *arrival = context;
    struct asked *a = arrival->asked;
    struct instance *in = a->served.server->in;
    char error[200];

    luaL_checkstack(co, 8, NULL);
    peers_push(co, in->script->lua, a->served.peer);
    if (!server_decode(co, in, a->served.peer, arrival->what, arrival->len, error, sizeof error)) {
        in->script->lua->info.dropped++;
        weir_request_cancel(node_of(a), a->served.request, WEIR_REASON_FORMAT);
        a->served.is_answered = true;
        return -1;
    }
    lua_pushinteger(co, (lua_Integer)a->offset);
    lua_pushinteger(co, (lua_Integer)a->length);
    out_push(co, &a->served);
    return 5;
}

/* ---- what comes */

/* RFC 9000, section 16. @return bytes; 0: they end too early */
static size_t read_integer(const uint8_t *data, size_t len, uint64_t *out)
{
    size_t size = len > 0 ? (size_t)1 << (data[0] >> 6) : 1;

    if (len < size) return 0;
    *out = data[0] & 0x3f;
    for (size_t i = 1; i < size; i++) *out = *out << 8 | data[i];
    return size;
}

static void refuse_busy(struct instance *in, uint64_t request)
{
    weir_request_refuse(in->place->node, request, WEIR_REASON_OVERLOAD, RETRY_US, NULL);
}

static void start(struct range_server *s, uint32_t peer, uint64_t request, struct arrival *arrival,
                  uint64_t offset, uint64_t length)
{
    struct instance *in = s->server.in;
    struct asked *a = calloc(1, sizeof *a);
    struct task_call call = {.method = s->entry->name,
                             .push = push,
                             .context = arrival,
                             .on_return = on_return,
                             .on_end = on_end,
                             .end_context = a};
    struct task *t;
    bool began;

    if (!a || peer == PEER_NONE || waiter_add(in->script->lua, &a->served.waiter) == 0) {
        free(a);
        refuse_busy(in, request);
        return;
    }
    a->entry = *s->entry;
    a->entry.ops = &answer_ops;
    a->entry.values[0] = a->entry.values[1] = a->length = length;
    a->offset = offset;
    a->served.waiter.on_event = on_event;
    a->served.server = &s->server;
    a->served.entry = &a->entry;
    a->served.request = request;
    a->served.peer = peer;
    list_push(&s->server.served, &a->served.link);
    weir_stream_set_user(in->place->node, request, a->served.waiter.tag);
    arrival->asked = a;
    t = task_start(in, &call, &began);
    if (t)
        a->served.task = t;
    else if (!began) {
        refuse_busy(in, request);
        free_asked(a);
    }
}

static void on_request(struct waiter *w, const weir_event *event)
{
    struct range_server *s =
        list_entry(list_entry(w, struct server, waiter), struct range_server, server);
    struct instance *in = s->server.in;
    weir_lua *lua = in->script->lua;
    weir_node *node = in->place->node;
    struct arrival arrival = {.what = lua->scratch};
    uint64_t offset = 0, length = 0;
    int64_t len;
    size_t head, more;

    if (event->kind != WEIR_EVENT_REQUEST || in->stopping) return;
    lua->info.requests_in++;
    len = weir_message_read(node, event->object, lua->scratch, SCRATCH_BYTES);
    head = len > 0 ? read_integer(lua->scratch, (size_t)len, &offset) : 0;
    more = head > 0 ? read_integer(lua->scratch + head, (size_t)len - head, &length) : 0;
    if (more == 0 || length == 0) {
        lua->info.dropped++;
        weir_request_cancel(node, event->object, WEIR_REASON_FORMAT);
        return;
    }
    arrival.what += head + more;
    arrival.len = (size_t)len - head - more;
    if (arrival.len > entry_get(s->entry, "bytes")) {
        lua->info.dropped++;
        weir_request_cancel(node, event->object, WEIR_REASON_TOO_LARGE);
    } else if (length > entry_get(s->entry, "part")) {
        lua->info.dropped++;
        weir_request_cancel(node, event->object, WEIR_REASON_TOO_LARGE);
    } else
        start(s, place_peer_of(in->place, event->parent), event->object, &arrival, offset, length);
}

/* ---- serving */

static int begin(struct instance *in, struct entry *e, weir_error *error)
{
    weir_serve_options options = {.size = sizeof options, .kinds = WEIR_KIND_REQUEST};
    struct range_server *s = calloc(1, sizeof *s);
    char name[136];
    int32_t code;

    if (!s || waiter_add(in->script->lua, &s->server.waiter) == 0) {
        free(s);
        return error_fill(error, WEIR_E_MEMORY, "no memory to serve %s", entry_wire_name(e, name));
    }
    s->server.waiter.on_event = on_request;
    s->server.in = in;
    s->entry = e;
    list_init(&s->server.served);
    options.user = s->server.waiter.tag;
    options.request_max_bytes = (uint32_t)entry_get(e, "bytes") + 16;
    options.response_max_bytes = entry_get(e, "part");
    options.queue_per_peer = in->script->per_peer;
    options.queue_max = in->script->serve;
    options.deadline_us = entry_get(e, "within");
    options.progress_us = entry_get(e, "idle");
    code = weir_node_serve(in->place->node, entry_wire_name(e, name), &options);
    if (code == 0) {
        in->states[e->index] = s;
        return 0;
    }
    error_fill(error, code, "%s cannot be served: %s", name, weir_strerror(code));
    weir_last_error(in->place->node, error);
    waiter_remove(in->script->lua, &s->server.waiter);
    free(s);
    return code;
}

static void end(struct instance *in, struct entry *e)
{
    struct range_server *s = in->states[e->index];
    char name[136];
    struct served *r;

    weir_node_unserve(in->place->node, entry_wire_name(e, name));
    while ((r = list_first(&s->server.served, struct served, link)) != NULL) {
        weir_request_cancel(in->place->node, r->request, WEIR_REASON_CANCELLED);
        free_asked(list_entry(r, struct asked, served));
    }
    waiter_remove(in->script->lua, &s->server.waiter);
    free(s);
    in->states[e->index] = NULL;
}

const struct entry_ops range_ops = {
    .word = "range", .keys = keys, .needs_method = true, .begin = begin, .end = end};
