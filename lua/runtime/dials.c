/* SPDX-License-Identifier: MIT */
/* How a node reaches peers, for all scripts on it.
 *
 * There is one dial to a peer at a time, whoever asks; who comes later waits for the same answer. A
 * peer that could not be reached is left alone for a random part of 1 s, then of 2 s, up to 5 min
 * (full jitter: those who lost the same peer do not come back together); only somebody who asks for
 * it by name is not held up. What is remembered of peers that are not connected is bounded, the
 * oldest goes.
 *
 * None of this holds a connection: links do that. */
#include "peers.h"
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

enum { IDLE_MAX = 256, FIRST_SLOTS = 16, BACKOFF_SHIFT_MAX = 9 };
static const uint64_t backoff_first_us = 1000000, backoff_max_us = 300000000;
/* Of dials that a game makes by itself: it has others to try. */
static const uint64_t dial_timeout_us = 8000000, connect_timeout_us = 15000000;

/* A peer that is connected, dialled, or could not be reached; or an address that is dialled. */
struct reach {
    struct list link; /* in all or idle */
    struct list waits, rooms;
    uint32_t peer; /* PEER_NONE: an address, until it is connected */
    uint32_t failures;
    uint64_t connection; /* to use; 0: none is up */
    uint64_t dialling;   /* handle; 0: not */
    uint64_t not_before_us;
    bool is_idle; /* neither connected nor dialled: only its failures are known */
};
/* Numbers (peers, handles) to reaches, open addressing. Never walked. */
struct slot {
    uint64_t key; /* 0: free */
    struct reach *reach;
};
struct numbers {
    struct slot *slots;
    uint32_t mask, count;
};
struct dial_table {
    struct numbers peers, connections;
    struct list all, idle; /* the oldest first */
    uint32_t idle_count;
    uint64_t random;
};

/* ---- numbers */

static uint32_t home_of(const struct numbers *n, uint64_t key)
{
    return (uint32_t)((key * 0x9e3779b97f4a7c15u) >> 32) & n->mask;
}

static struct slot *slot_find(const struct numbers *n, uint64_t key)
{
    uint32_t at = home_of(n, key);

    while (n->slots[at].key != 0 && n->slots[at].key != key) at = (at + 1) & n->mask;
    return &n->slots[at];
}

static struct reach *numbers_get(const struct numbers *n, uint64_t key)
{
    return n->slots && key ? slot_find(n, key)->reach : NULL;
}

static bool numbers_grow(struct numbers *n)
{
    uint32_t count = n->slots ? 2 * (n->mask + 1) : FIRST_SLOTS;
    struct numbers bigger = {.mask = count - 1, .count = n->count};

    if (n->slots && 2 * n->count <= n->mask) return true;
    bigger.slots = calloc(count, sizeof *bigger.slots);
    if (!bigger.slots) return false;
    for (uint32_t i = 0; n->slots && i <= n->mask; i++)
        if (n->slots[i].key) *slot_find(&bigger, n->slots[i].key) = n->slots[i];
    free(n->slots);
    *n = bigger;
    return true;
}

static bool numbers_set(struct numbers *n, uint64_t key, struct reach *reach)
{
    struct slot *slot;

    if (!numbers_grow(n)) return false;
    slot = slot_find(n, key);
    if (slot->key == 0) n->count++;
    *slot = (struct slot){key, reach};
    return true;
}

static void numbers_remove(struct numbers *n, uint64_t key)
{
    uint32_t at, next;

    if (!n->slots || key == 0) return;
    at = next = (uint32_t)(slot_find(n, key) - n->slots);
    if (n->slots[at].key == 0) return;
    n->slots[at] = (struct slot){0};
    n->count--;
    while (n->slots[next = (next + 1) & n->mask].key != 0) {
        uint32_t home = home_of(n, n->slots[next].key);
        if (((next - home) & n->mask) < ((next - at) & n->mask)) continue;
        n->slots[at] = n->slots[next];
        n->slots[next] = (struct slot){0};
        at = next;
    }
}

/* ---- reaches */

static struct reach *reach_new(struct dial_table *d)
{
    struct reach *r = calloc(1, sizeof *r);

    if (!r) return NULL;
    list_init(&r->waits);
    list_init(&r->rooms);
    list_push(&d->all, &r->link);
    return r;
}

static void reach_free(struct place *place, struct reach *r)
{
    numbers_remove(&place->dials->peers, r->peer);
    numbers_remove(&place->dials->connections, r->dialling);
    peers_release(place->lua, r->peer);
    list_remove(&r->link);
    if (r->is_idle) place->dials->idle_count--;
    free(r);
}

static bool reach_name(struct place *place, struct reach *r, uint32_t peer)
{
    if (!numbers_set(&place->dials->peers, peer, r)) return false;
    r->peer = peer;
    peers_hold(place->lua, peer);
    return true;
}

static struct reach *reach_of(struct place *place, uint32_t peer)
{
    struct reach *r = numbers_get(&place->dials->peers, peer);

    if (r || !peers_id(place->lua, peer)) return r;
    r = reach_new(place->dials);
    if (r && !reach_name(place, r, peer)) {
        list_remove(&r->link);
        free(r);
        return NULL;
    }
    return r;
}

/* When nobody needs it any more: what is left of it is that it failed, or nothing. */
static void reach_settle(struct place *place, struct reach *r)
{
    struct dial_table *d = place->dials;

    if (r->is_idle || r->connection || r->dialling || !list_is_empty(&r->waits)) return;
    if (r->failures == 0 || r->peer == PEER_NONE) {
        reach_free(place, r);
        return;
    }
    list_remove(&r->link);
    list_push(&d->idle, &r->link);
    r->is_idle = true;
    if (++d->idle_count > IDLE_MAX) reach_free(place, list_first(&d->idle, struct reach, link));
}

static void reach_use(struct place *place, struct reach *r)
{
    if (!r->is_idle) return;
    r->is_idle = false;
    place->dials->idle_count--;
    list_remove(&r->link);
    list_push(&place->dials->all, &r->link);
}

static void list_move(struct list *from, struct list *to)
{
    struct list *l;

    list_init(to);
    while (!list_is_empty(from)) {
        l = from->next;
        list_remove(l);
        list_push(to, l);
    }
}

/* Whoever is answered may come back at once with another wish, or end those who wait behind it. */
static void answer(struct list *waits, uint64_t connection, int32_t error, const char *text)
{
    struct dial_wait *w;
    struct list taken;

    list_move(waits, &taken);
    while ((w = list_first(&taken, struct dial_wait, link)) != NULL) {
        list_remove(&w->link);
        w->on_answer(w, connection, error, text);
    }
}

/* ---- dialling */

static void back_off(struct place *place, struct reach *r)
{
    struct dial_table *d = place->dials;
    uint64_t most = backoff_first_us
                    << (r->failures < BACKOFF_SHIFT_MAX ? r->failures : BACKOFF_SHIFT_MAX);

    if (most > backoff_max_us) most = backoff_max_us;
    r->failures++;
    r->not_before_us = place_now(place) + 1 + random_below(&d->random, most);
}

static void say_error(struct place *place, int32_t error, char text[200])
{
    weir_error facts = {.size = sizeof facts};

    if (weir_last_error(place->node, &facts) == 0 && facts.code == error && facts.detail[0])
        snprintf(text, 200, "%.199s", facts.detail);
    else
        snprintf(text, 200, "%s", weir_strerror(error));
}

static void dial_failed(struct place *place, struct reach *r, int32_t error)
{
    struct list waits;
    char text[200];

    say_error(place, error, text);
    numbers_remove(&place->dials->connections, r->dialling);
    r->dialling = 0;
    if (r->peer != PEER_NONE && error != WEIR_E_LIMIT && error != WEIR_E_DRAINING)
        back_off(place, r);
    list_move(&r->waits, &waits);
    reach_settle(place, r);
    answer(&waits, 0, error, text);
}

static void waits_move(struct reach *from, struct reach *to)
{
    struct dial_wait *w;

    while ((w = list_first(&from->waits, struct dial_wait, link)) != NULL) {
        list_remove(&w->link);
        list_push(&to->waits, &w->link);
    }
}

static void dial_begun(struct place *place, struct reach *r, int64_t handle)
{
    struct reach *other;

    if (handle < 0) {
        dial_failed(place, r, (int32_t)handle);
        return;
    }
    other = numbers_get(&place->dials->connections, (uint64_t)handle);
    if (other && other != r) {
        /* The address is of a peer that is connected or dialled already. */
        waits_move(r, other);
        reach_settle(place, r);
        if (other->connection) answer(&other->waits, other->connection, 0, "");
        return;
    }
    r->dialling = (uint64_t)handle;
    if (numbers_set(&place->dials->connections, r->dialling, r)) return;
    r->dialling = 0;
    dial_failed(place, r, WEIR_E_MEMORY);
}

void place_dial(struct place *place, uint32_t peer, bool is_explicit, struct dial_wait *w)
{
    weir_dial_options options = {.size = sizeof options};
    struct reach *r = reach_of(place, peer);

    if (!r || peer == place->me) {
        w->on_answer(w, 0, r ? WEIR_E_PEER_ID : WEIR_E_NOT_FOUND,
                     r ? "that is this node itself" : "that peer was forgotten");
        if (r) reach_settle(place, r);
        return;
    }
    if (r->connection) {
        w->on_answer(w, r->connection, 0, "");
        return;
    }
    if (!r->dialling && !is_explicit && r->not_before_us > place_now(place)) {
        w->on_answer(w, 0, WEIR_E_UNREACHABLE,
                     "it could not be reached a moment ago, and is not dialled again yet");
        return;
    }
    reach_use(place, r);
    list_push(&r->waits, &w->link);
    if (r->dialling) return;
    peers_hear(place, peer);
    if (!is_explicit) options.timeout_us = dial_timeout_us;
    dial_begun(place, r, weir_peer_dial(place->node, peers_id(place->lua, peer), &options));
}

void place_dial_address(struct place *place, const char *address, struct dial_wait *w)
{
    struct reach *r = reach_new(place->dials);

    if (!r) {
        w->on_answer(w, 0, WEIR_E_MEMORY, weir_strerror(WEIR_E_MEMORY));
        return;
    }
    list_push(&r->waits, &w->link);
    const weir_dial_options options = {.size = sizeof options, .timeout_us = connect_timeout_us};
    dial_begun(place, r, weir_node_dial(place->node, address, &options));
}

void place_wait_room(struct place *place, uint64_t connection, struct dial_wait *w)
{
    struct reach *r = numbers_get(&place->dials->connections, connection);

    if (!r || r->connection == 0)
        w->on_answer(w, 0, WEIR_E_NOT_CONNECTED, weir_strerror(WEIR_E_NOT_CONNECTED));
    else
        list_push(&r->rooms, &w->link);
}

void dial_wait_cancel(struct dial_wait *w)
{
    list_remove(&w->link);
}

uint64_t place_connection(struct place *place, uint32_t peer)
{
    const struct reach *r = numbers_get(&place->dials->peers, peer);

    return r ? r->connection : 0;
}

uint32_t place_peer_of(struct place *place, uint64_t connection)
{
    const struct reach *r = numbers_get(&place->dials->connections, connection);
    weir_connection_info info = {.size = sizeof info};

    if (r && r->peer != PEER_NONE) return r->peer;
    if (weir_connection_get_info(place->node, connection, &info) != 0) return PEER_NONE;
    return peers_intern(place->lua, &info.peer);
}

/* ---- events */

static uint64_t current_connection(struct place *place, uint32_t peer)
{
    weir_peer_info info = {.size = sizeof info};
    const weir_peer_id *id = peers_id(place->lua, peer);

    if (!id || weir_peer_get_info(place->node, id, &info) != 0) return 0;
    return info.connections > 0 ? info.connection : 0;
}

/* The dial of an address led to this peer: whoever waits now waits for the peer. */
static void address_found(struct place *place, struct reach *dialled, struct reach *r)
{
    if (!dialled || dialled == r) return;
    waits_move(dialled, r);
    if (dialled->peer == PEER_NONE) reach_free(place, dialled);
}

/* Who dialled us has told no address: where it comes from is where it may be reached later, and
 * what others are told of it. Of its own word, so its quota in the book bounds it. */
static void learn_remote(struct place *place, uint32_t peer, uint64_t connection)
{
    weir_connection_info info = {.size = sizeof info};

    if (weir_connection_get_info(place->node, connection, &info) != 0 || info.is_dialled) return;
    peers_heard(place->lua, peer, info.remote, strlen(info.remote), peer);
    peers_hear(place, peer);
}

static void on_connected(struct place *place, uint64_t connection)
{
    struct dial_table *d = place->dials;
    struct reach *dialled = numbers_get(&d->connections, connection), *r;
    uint32_t peer = place_peer_of(place, connection);
    uint64_t before;

    r = reach_of(place, peer);
    if (!r) return;
    reach_use(place, r);
    address_found(place, dialled, r);
    if (r->dialling == connection) r->dialling = 0;
    if (!numbers_set(&d->connections, connection, r)) {
        dial_failed(place, r, WEIR_E_MEMORY);
        return;
    }
    before = r->connection;
    r->connection = current_connection(place, peer);
    if (r->connection == 0) r->connection = connection;
    r->failures = 0;
    r->not_before_us = 0;
    learn_remote(place, peer, connection);
    if (before != 0 && before != r->connection) link_on_peer_moved(place, peer);
    answer(&r->waits, r->connection, 0, "");
}

/* A dial lost against one of the other side: CONNECTED came, or comes, for that one. */
static bool is_duplicate(struct place *place, struct reach *r, const weir_event *event)
{
    struct reach *other;

    if (event->error != 0 || event->amount != WEIR_REASON_DUPLICATE) return false;
    if (r->peer == PEER_NONE) {
        weir_connection_info info = {.size = sizeof info};
        if (weir_connection_get_info(place->node, event->object, &info) != 0) return false;
        other = numbers_get(&place->dials->peers, peers_intern(place->lua, &info.peer));
        if (!other || other->connection == 0) return false;
        numbers_remove(&place->dials->connections, r->dialling);
        r->dialling = 0;
        address_found(place, r, other);
        answer(&other->waits, other->connection, 0, "");
        return true;
    }
    numbers_remove(&place->dials->connections, r->dialling);
    r->dialling = 0;
    if (r->connection == 0) r->connection = current_connection(place, r->peer);
    if (r->connection == 0) return false;
    numbers_set(&place->dials->connections, r->connection, r);
    answer(&r->waits, r->connection, 0, "");
    return true;
}

static void on_closed(struct place *place, const weir_event *event)
{
    struct dial_table *d = place->dials;
    struct reach *r = numbers_get(&d->connections, event->object);
    uint64_t connection = event->object;
    struct list rooms;
    uint32_t peer;

    if (!r) return;
    if (r->dialling == connection) {
        if (is_duplicate(place, r, event)) return;
        dial_failed(place, r, event->error ? event->error : WEIR_E_NOT_CONNECTED);
        return;
    }
    numbers_remove(&d->connections, connection);
    if (r->connection != connection) return;
    peer = r->peer;
    r->connection = current_connection(place, peer);
    if (r->connection == connection) r->connection = 0;
    if (r->connection && !numbers_set(&d->connections, r->connection, r)) r->connection = 0;
    list_move(&r->rooms, &rooms);
    peers_hold(place->lua, peer);
    if (r->connection)
        link_on_peer_moved(place, peer);
    else {
        reach_settle(place, r);
        link_on_peer_down(place, peer, (uint32_t)event->amount);
    }
    answer(&rooms, 0, WEIR_E_NOT_CONNECTED, weir_strerror(WEIR_E_NOT_CONNECTED));
    peers_release(place->lua, peer);
}

void place_on_event(struct place *place, const weir_event *event)
{
    struct reach *r;

    switch (event->kind) {
    case WEIR_EVENT_CONNECTED: on_connected(place, event->object); break;
    case WEIR_EVENT_CONNECTION_CLOSED: on_closed(place, event); break;
    case WEIR_EVENT_SENDABLE:
    case WEIR_EVENT_OPENABLE:
        r = numbers_get(&place->dials->connections, event->object);
        if (r) answer(&r->rooms, event->object, 0, "");
        break;
    default: break;
    }
}

/* ---- a place's */

int place_peers_open(struct place *place)
{
    struct dial_table *d = calloc(1, sizeof *d);
    weir_peer_id id = {0};

    if (!d || weir_node_peer(place->node, &id) != 0) {
        free(d);
        return WEIR_E_MEMORY;
    }
    list_init(&d->all);
    list_init(&d->idle);
    d->random = place->random ^ 0x6469616c73u;
    place->dials = d;
    place->me = peers_intern(place->lua, &id);
    peers_hold(place->lua, place->me);
    place->lua->info.native_bytes += sizeof *d;
    if (place->me != PEER_NONE) return 0;
    place_peers_close(place);
    return WEIR_E_MEMORY;
}

static void free_all(struct place *place, struct list *reaches)
{
    struct reach *r;

    while ((r = list_first(reaches, struct reach, link)) != NULL) {
        struct list rooms;
        list_move(&r->rooms, &rooms);
        answer(&r->waits, 0, WEIR_E_CLOSED, weir_strerror(WEIR_E_CLOSED));
        answer(&rooms, 0, WEIR_E_CLOSED, weir_strerror(WEIR_E_CLOSED));
        reach_free(place, r);
    }
}

void place_peers_close(struct place *place)
{
    struct dial_table *d = place->dials;

    if (!d) return;
    free_all(place, &d->all);
    free_all(place, &d->idle);
    peers_release(place->lua, place->me);
    place->lua->info.native_bytes -= sizeof *d;
    free(d->peers.slots);
    free(d->connections.slots);
    free(d);
    place->dials = NULL;
}
