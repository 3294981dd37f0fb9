/* SPDX-License-Identifier: MIT */
#include "server.h"
#include "cbor.h"
#include "lines.h"
#include "peers.h"
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CBOR_ARRAY_1 = 0x81,
    CBOR_ARRAY_2 = 0x82,
    CBOR_TEXT = 0x60,
    CBOR_TEXT_8 = 0x78,
    CBOR_SHORT_MAX = 23,
    CBOR_UINT_64 = 0x1b,
    LINK_BYTES = 11,
    MESSAGES_PER_PEER = 64, /* that may wait unread */
    /* With "block" a peer's stream limit and credit come first, and those keep its sender waiting,
     * so that nothing is dropped here: more than any limit streams_max that makes sense. */
    MESSAGES_BLOCKED = 1024,
    PEERS_QUEUED = 16 /* so many peers may fill their queues */
};

/* ---- handlers at once, by peer: open addressing, at most half full */

struct peer_counts {
    uint32_t mask, all;
    struct {
        uint32_t peer, count; /* count 0: free */
    } slots[];
};

static struct peer_counts *counts_open(uint32_t most)
{
    uint32_t size = 8;
    struct peer_counts *c;

    while (size < 2 * most) size *= 2;
    c = calloc(1, sizeof *c + size * sizeof c->slots[0]);
    if (c) c->mask = size - 1;
    return c;
}

static uint32_t home(const struct peer_counts *c, uint32_t peer)
{
    return (peer * 0x9e3779b1u) >> 7 & c->mask;
}

static uint32_t find(const struct peer_counts *c, uint32_t peer)
{
    uint32_t at = home(c, peer);

    while (c->slots[at].count > 0 && c->slots[at].peer != peer) at = (at + 1) & c->mask;
    return at;
}

/* Close the gap at a slot: move back what is further from home than it has to be. */
static void close_gap(struct peer_counts *c, uint32_t gap)
{
    for (uint32_t at = (gap + 1) & c->mask; c->slots[at].count > 0; at = (at + 1) & c->mask) {
        uint32_t from_home = (at - home(c, c->slots[at].peer)) & c->mask;
        if (from_home < ((at - gap) & c->mask)) continue;
        c->slots[gap] = c->slots[at];
        c->slots[at].count = 0;
        gap = at;
    }
}

static bool has_room(const struct server *s, uint32_t peer)
{
    const struct peer_counts *c = s->counts;

    return c->all < s->in->script->serve && c->slots[find(c, peer)].count < s->in->script->per_peer;
}

bool server_enter(struct server *s, uint32_t peer)
{
    struct peer_counts *c = s->counts;
    uint32_t at = find(c, peer);

    if (!has_room(s, peer)) return false;
    c->slots[at].peer = peer;
    c->slots[at].count++;
    s->in->serving = ++c->all;
    return true;
}

static void take_unread(struct server *s);

void server_leave(struct server *s, uint32_t peer)
{
    struct peer_counts *c = s->counts;
    uint32_t at = find(c, peer);

    if (c->slots[at].count == 0) return;
    if (--c->slots[at].count == 0) close_gap(c, at);
    s->in->serving = --c->all;
    take_unread(s);
}

/* ---- the wire */

int64_t server_encode(lua_State *L, struct instance *in, struct entry *e, int index, char *error,
                      size_t error_cap, bool *is_long)
{
    uint8_t *out = in->script->lua->scratch;
    size_t name = strlen(e->name), head = 1, most = entry_get(e, "bytes");
    struct peer_wire wire = {.place = in->place};
    struct cbor_peers peers;
    int64_t len;

    *is_long = false;
    out[0] = lua_isnoneornil(L, index) ? CBOR_ARRAY_1 : CBOR_ARRAY_2;
    if (name <= CBOR_SHORT_MAX)
        out[head++] = (uint8_t)(CBOR_TEXT | name);
    else {
        out[head++] = CBOR_TEXT_8;
        out[head++] = (uint8_t)name;
    }
    memcpy(out + head, e->name, name);
    head += name;
    if (out[0] == CBOR_ARRAY_1) return (int64_t)head;
    peers_wire(&wire, &peers);
    len = cbor_encode(L, index, &peers, out + head, most, error, error_cap);
    if (len < 0) *is_long = strncmp(error, "longer than", 11) == 0;
    return len < 0 ? -1 : (int64_t)head + len;
}

bool server_decode(lua_State *L, struct instance *in, uint32_t from, const uint8_t *data,
                   size_t len, char *error, size_t error_cap)
{
    struct peer_wire wire = {.place = in->place, .from = from};
    struct cbor_peers peers;

    if (len == 0) {
        lua_pushnil(L);
        return true;
    }
    peers_wire(&wire, &peers);
    return cbor_decode(L, data, len, &peers, error, error_cap);
}

/* Read what stands before the value. @return its length; 0: it is malformed */
static size_t read_head(const uint8_t *data, size_t len, char name[40])
{
    size_t head = 2, size;

    if (len < 2 || (data[0] != CBOR_ARRAY_1 && data[0] != CBOR_ARRAY_2)) return 0;
    size = data[1] - CBOR_TEXT;
    if (data[1] == CBOR_TEXT_8 && len > 2) {
        size = data[2];
        head = 3;
        if (size <= CBOR_SHORT_MAX) return 0;
    } else if (data[1] < CBOR_TEXT || size > CBOR_SHORT_MAX)
        return 0;
    if (size == 0 || size > 39 || len < head + size) return 0;
    if ((data[0] == CBOR_ARRAY_1) != (len == head + size)) return 0;
    memcpy(name, data + head, size);
    name[size] = 0;
    return memchr(name, 0, size) ? 0 : head + size;
}

int32_t server_tell_link(struct instance *in, uint64_t connection, bool is_up, uint64_t sequence)
{
    uint8_t data[LINK_BYTES] = {CBOR_ARRAY_2, is_up, CBOR_UINT_64};
    weir_message_options options = {.size = sizeof options, .urgency_plus1 = 2};

    for (int i = 0; i < 8; i++) data[3 + i] = (uint8_t)(sequence >> (56 - 8 * i));
    return weir_message_send(in->place->node, connection, in->script->protocol, data, sizeof data,
                             &options);
}

static bool read_link(const uint8_t *data, size_t len, uint64_t *sequence)
{
    if (len != LINK_BYTES || data[0] != CBOR_ARRAY_2 || data[1] > 1 || data[2] != CBOR_UINT_64)
        return false;
    *sequence = 0;
    for (int i = 0; i < 8; i++) *sequence = *sequence << 8 | data[3 + i];
    return true;
}

/* ---- what comes in */

static void drop(struct server *s, const char *why)
{
    weir_lua *lua = s->in->script->lua;

    lua->info.dropped++;
    runtime_logf(lua, s->in->place, s->in->script, 4, "dropped a message: %s", why);
}

static void take_message(struct server *s, uint64_t handle, uint32_t peer)
{
    weir_lua *lua = s->in->script->lua;
    uint8_t *data = lua->scratch;
    int64_t len = weir_message_read(s->in->place->node, handle, data, SCRATCH_BYTES);
    struct entry *e;
    uint64_t sequence;
    char name[40];
    size_t head;

    if (len < 0) {
        if (len != WEIR_E_STALE)
            weir_request_cancel(s->in->place->node, handle, WEIR_REASON_TOO_LARGE);
        return;
    }
    lua->info.messages_in++;
    if (s->has_links && read_link(data, (size_t)len, &sequence)) {
        link_on_told(s->in, peer, data[1] == 1, sequence);
        return;
    }
    head = read_head(data, (size_t)len, name);
    e = head > 0 ? script_entry(s->in->script, name) : NULL;
    if (!e || e->ops != &message_ops)
        drop(s, head > 0 ? "no message has that name" : "it is malformed");
    else if ((uint64_t)len - head > entry_get(e, "bytes"))
        drop(s, "it is longer than declared");
    else
        message_arrived(s, e, peer, data + head, (size_t)len - head);
}

/* All places are taken: it stays in the core's queue. */
static bool remember(struct server *s, uint64_t handle, uint32_t peer)
{
    uint64_t displaced;
    bool is_in;

    if (!s->unread) s->unread = unread_open(s->unread_per_peer);
    if (!s->unread) return false;
    is_in = unread_add(s->unread, peer, handle, &displaced);
    if (displaced == 0) return is_in;
    if (weir_request_cancel(s->in->place->node, displaced, WEIR_REASON_OVERLOAD) == 0)
        drop(s, "its peer sends faster than it is read");
    return is_in;
}

static bool may_enter(const void *context, uint32_t peer)
{
    return has_room(context, peer);
}

static void take_unread(struct server *s)
{
    uint64_t handle;
    uint32_t peer;

    while (s->unread && !s->in->stopping && s->counts->all < s->in->script->serve &&
           unread_take(s->unread, may_enter, s, &peer, &handle))
        take_message(s, handle, peer);
}

static void on_message(struct server *s, const weir_event *event)
{
    uint32_t peer = place_peer_of(s->in->place, event->parent);

    if (peer == PEER_NONE) {
        weir_request_cancel(s->in->place->node, event->object, WEIR_REASON_CANCELLED);
        drop(s, "its peer is not known");
    } else if (has_room(s, peer))
        take_message(s, event->object, peer);
    else if (!remember(s, event->object, peer)) {
        weir_request_cancel(s->in->place->node, event->object, WEIR_REASON_CANCELLED);
        drop(s, "too many wait");
    }
}

static void on_request(struct server *s, const weir_event *event)
{
    weir_lua *lua = s->in->script->lua;
    weir_node *node = s->in->place->node;
    uint32_t peer = place_peer_of(s->in->place, event->parent);
    uint8_t *data = lua->scratch;
    int64_t len = weir_message_read(node, event->object, data, SCRATCH_BYTES);
    struct entry *e;
    char name[40];
    size_t head;

    lua->info.requests_in++;
    if (len < 0 || peer == PEER_NONE) {
        weir_request_cancel(node, event->object, WEIR_REASON_TOO_LARGE);
        return;
    }
    head = read_head(data, (size_t)len, name);
    if (head == 0) {
        lua->info.dropped++;
        weir_request_cancel(node, event->object, WEIR_REASON_FORMAT);
        return;
    }
    e = script_entry(s->in->script, name);
    if (!e || e->ops != &request_ops) {
        lua->info.dropped++;
        weir_request_refuse(node, event->object, SERVER_REASON_UNKNOWN, 0,
                            "no request has that name here");
        return;
    }
    if ((uint64_t)len - head > entry_get(e, "bytes")) {
        lua->info.dropped++;
        weir_request_cancel(node, event->object, WEIR_REASON_TOO_LARGE);
        return;
    }
    request_arrived(s, e, peer, event->object, data + head, (size_t)len - head);
}

static void on_event(struct waiter *w, const weir_event *event)
{
    struct server *s = list_entry(w, struct server, waiter);

    if (s->in->stopping) return;
    if (event->kind == WEIR_EVENT_MESSAGE) on_message(s, event);
    if (event->kind == WEIR_EVENT_REQUEST) on_request(s, event);
}

/* ---- serving the name */

static void widen(uint64_t *most, uint64_t value)
{
    if (value > *most) *most = value;
}

/* Whether links may be told of. */
static bool has_links(const struct script *script)
{
    bool has = script->is_game;

    for (uint32_t i = 0; i < script->entry_count; i++)
        if (script->entries[i]->ops == &view_ops) has = true;
    return has;
}

/* The bounds that fit all entries. @return the kinds */
static uint32_t serve_options(const struct script *script, weir_serve_options *o)
{
    uint64_t message = 0, request = 0, answer = 0;
    uint32_t per_peer = MESSAGES_PER_PEER;
    bool is_drop_old = true;

    o->deadline_us = o->progress_us = 0;
    for (uint32_t i = 0; i < script->entry_count; i++) {
        const struct entry *e = script->entries[i];
        if (e->ops == &message_ops) {
            o->kinds |= WEIR_KIND_MESSAGE;
            widen(&message, entry_get(e, "bytes") + SERVER_HEAD_BYTES);
            if (entry_get(e, "full") != MESSAGE_FULL_DROP_OLD) is_drop_old = false;
            if (entry_get(e, "full") == MESSAGE_FULL_BLOCK) per_peer = MESSAGES_BLOCKED;
        } else if (e->ops == &request_ops) {
            o->kinds |= WEIR_KIND_REQUEST;
            widen(&request, entry_get(e, "bytes") + SERVER_HEAD_BYTES);
            widen(&answer, entry_get(e, "total") ? entry_get(e, "total") : entry_get(e, "answer"));
            widen(&o->deadline_us, entry_get(e, "within"));
            widen(&o->progress_us, entry_get(e, "idle"));
        }
    }
    if (has_links(script)) {
        if (!(o->kinds & WEIR_KIND_MESSAGE)) is_drop_old = false;
        o->kinds |= WEIR_KIND_MESSAGE;
        widen(&message, LINK_BYTES);
    }
    o->message_max_bytes = (uint32_t)message;
    o->request_max_bytes = (uint32_t)request;
    o->response_max_bytes = answer;
    o->queue_per_peer = script->per_peer;
    o->queue_max = script->serve;
    if (o->kinds & WEIR_KIND_MESSAGE) {
        o->overflow = is_drop_old ? WEIR_OVERFLOW_DROP_OLD : WEIR_OVERFLOW_DROP_NEW;
        if (o->queue_per_peer < per_peer) o->queue_per_peer = per_peer;
        if (o->queue_max < per_peer * PEERS_QUEUED) o->queue_max = per_peer * PEERS_QUEUED;
    }
    return o->kinds;
}

int32_t server_begin(struct instance *in, weir_error *error)
{
    weir_serve_options options = {.size = sizeof options};
    struct server *s;
    int32_t code;

    if (serve_options(in->script, &options) == 0) return 0;
    s = calloc(1, sizeof *s);
    if (s) s->counts = counts_open(in->script->serve);
    if (!s || !s->counts || waiter_add(in->script->lua, &s->waiter) == 0) {
        if (s) free(s->counts);
        free(s);
        return error_fill(error, WEIR_E_MEMORY, "no memory to serve %s", in->script->protocol);
    }
    s->waiter.on_event = on_event;
    s->in = in;
    s->has_links = has_links(in->script);
    s->unread_per_peer = options.queue_per_peer;
    list_init(&s->served);
    options.user = s->waiter.tag;
    in->server = s;
    code = weir_node_serve(in->place->node, in->script->protocol, &options);
    if (code == 0) return 0;
    error_fill(error, code, "%s cannot be served: %s", in->script->protocol, weir_strerror(code));
    weir_last_error(in->place->node, error);
    s->is_idle = true;
    server_end(in);
    return code;
}

static bool any(const void *context, uint32_t peer)
{
    (void)context;
    (void)peer;
    return true;
}

static void give_unread_back(struct server *s)
{
    uint64_t handle;
    uint32_t peer;

    while (s->unread && unread_take(s->unread, any, NULL, &peer, &handle))
        weir_request_cancel(s->in->place->node, handle, WEIR_REASON_CANCELLED);
}

void server_end(struct instance *in)
{
    struct server *s = in->server;

    if (!s) return;
    if (!s->is_idle) weir_node_unserve(in->place->node, in->script->protocol);
    give_unread_back(s);
    request_end_all(s);
    waiter_remove(in->script->lua, &s->waiter);
    unread_close(s->unread);
    free(s->counts);
    free(s);
    in->server = NULL;
}
