/* SPDX-License-Identifier: MIT */
/* Links: two games that both hold the connection between them, and both know that they do.
 *
 * Each end says what it thinks, "up" or "dropped", with a sequence that counts the links between
 * the two: a new link takes the highest number that either knows, plus one; a drop carries the
 * number of the link that it ends. So a drop that crosses a new link ends only the old one, two
 * ends that begin at once have begun one link, and a word that comes late or twice changes nothing.
 *
 * What was said is answered once with the same number. What is not answered is said again, after 3,
 * 6 and 12 s, because messages may be dropped by a peer that has too many, or go down with a
 * connection that lost against another; then a link is given up. Numbers are remembered as long as
 * the connection lasts, so a peer costs at most one entry here, and the core bounds the peers.
 *
 * `up` and `down` are raised in pairs, and never for what this end gave up itself. docs/decisions,
 * 0026. */
#include "instance.h"
#include "peers.h"
#include "server.h"
#include "view.h"
#include <stdlib.h>

enum { TRIES_MAX = 3 };
static const uint64_t again_us = 3000000, room_us = 200000;
static const uint64_t sequence_max = UINT64_C(1) << 53;

enum link_state { LINK_GONE, LINK_DECIDING, LINK_UP };
struct link {
    struct list link; /* in links->all, in the order of their coming */
    struct instance *in;
    uint32_t peer;
    enum link_state state;
    uint64_t sequence; /* of the newest link that either end knows */
    uint64_t said_us;
    bool is_said;    /* our state, with this sequence, was handed to the core */
    bool is_settled; /* the peer said the same */
    uint32_t tries;
    struct timer again;
};
struct links {
    struct list all;
    uint32_t count;    /* up or under decision */
    uint32_t deciding; /* `crowded` runs for this peer; PEER_NONE: it does not run */
};

static struct link *find(const struct instance *in, uint32_t peer)
{
    const struct links *links = in->links;

    if (!links) return NULL;
    for (struct list *l = links->all.next; l != &links->all; l = l->next) {
        struct link *k = list_entry(l, struct link, link);
        if (k->peer == peer) return k;
    }
    return NULL;
}

static void on_again(struct timer *t);

static struct link *make(struct instance *in, uint32_t peer)
{
    struct link *k = find(in, peer);

    if (k) return k;
    if (!in->links) {
        in->links = calloc(1, sizeof *in->links);
        if (!in->links) return NULL;
        list_init(&in->links->all);
    }
    k = calloc(1, sizeof *k);
    if (!k) return NULL;
    k->in = in;
    k->peer = peer;
    k->is_settled = true;
    k->again.on_time = on_again;
    peers_hold(in->script->lua, peer);
    list_push(&in->links->all, &k->link);
    in->script->lua->info.native_bytes += sizeof *k;
    return k;
}

static void forget(struct link *k)
{
    weir_lua *lua = k->in->script->lua;

    timer_unset(lua, &k->again);
    list_remove(&k->link);
    peers_release(lua, k->peer);
    lua->info.native_bytes -= sizeof *k;
    free(k);
}

/* The connection is held while the link is up or under decision. */
static void set_state(struct link *k, enum link_state state)
{
    weir_node *node = k->in->place->node;
    const weir_peer_id *id = peers_id(k->in->script->lua, k->peer);
    bool was = k->state != LINK_GONE, is = state != LINK_GONE;

    k->state = state;
    k->is_said = false;
    if (was == is || !id) return;
    if (is) {
        weir_peer_hold(node, id);
        k->in->links->count++;
    } else {
        weir_peer_release(node, id);
        k->in->links->count--;
    }
}

static void say(struct link *k)
{
    struct instance *in = k->in;
    uint64_t connection = place_connection(in->place, k->peer);
    int32_t taken;

    if (connection == 0 || k->state == LINK_DECIDING) return;
    taken = server_tell_link(in, connection, k->state == LINK_UP, k->sequence);
    k->said_us = place_now(in->place);
    k->is_said = taken > 0;
    /* After an error the connection ends, and the link with it. */
    if (taken < 0 || (taken > 0 && k->is_settled)) return;
    timer_set(&k->again, in->place, k->said_us + (taken ? again_us << k->tries : room_us));
}

/* What is new, and not yet known to be known. */
static void declare(struct link *k, enum link_state state)
{
    set_state(k, state);
    k->is_settled = false;
    k->tries = 0;
    timer_unset(k->in->script->lua, &k->again);
    say(k);
}

/* Agree with what the peer said. */
static void agree(struct link *k, enum link_state state)
{
    set_state(k, state);
    k->is_settled = true;
    k->tries = 0;
    timer_unset(k->in->script->lua, &k->again);
    say(k);
}

/* ---- what scripts are told */

struct telling {
    struct instance *in;
    uint32_t peer;
    const char *word;
    struct view *view;
};

static int push_telling(lua_State *co, void *context)
{
    const struct telling *t = context;

    if (t->view) view_push(co, t->view);
    peers_push(co, t->in->script->lua, t->peer);
    if (!t->word) return 2;
    lua_pushstring(co, t->word);
    return 2;
}

static void tell_script(struct instance *in, const char *method, uint32_t peer, const char *word)
{
    struct telling t = {.in = in, .peer = peer, .word = word};

    if (!in->stopping) instance_call(in, method, push_telling, &t);
}

/* ---- deciding */

static void decided(struct instance *in, uint32_t peer)
{
    struct link *k = find(in, peer);

    in->links->deciding = PEER_NONE;
    if (k && k->state == LINK_DECIDING) agree(k, LINK_GONE);
}

static void on_decided(struct task *t, enum task_end end, int results)
{
    (void)end;
    (void)results;
    if (t->instance->links) decided(t->instance, (uint32_t)t->number);
}

/* No room: let the script make some, one newcomer at a time. */
static void decide(struct link *k, struct view *view)
{
    struct instance *in = k->in;
    struct telling t = {.in = in, .peer = k->peer, .view = view};
    struct task_call call = {.method = "crowded",
                             .push = push_telling,
                             .context = &t,
                             .on_end = on_decided,
                             .number = k->peer};
    bool began = false;

    if (in->links->deciding != PEER_NONE || in->stopping) {
        agree(k, LINK_GONE);
        return;
    }
    in->links->deciding = k->peer;
    set_state(k, LINK_DECIDING);
    task_start(in, &call, &began);
    if (!began) decided(in, t.peer);
}

static void newcomer(struct link *k)
{
    struct instance *in = k->in;
    bool has_room = false;
    struct view *view = views_linked(in, &has_room);

    if (!view) {
        agree(k, LINK_GONE);
    } else if (has_room && view_append(view, k->peer, PEER_NONE)) {
        agree(k, LINK_UP);
        tell_script(in, "up", k->peer, "in");
    } else {
        decide(k, view);
    }
}

/* ---- this end */

bool link_up(struct instance *in, uint32_t peer)
{
    struct link *k;
    bool is_in;

    if (place_connection(in->place, peer) == 0 || !(k = make(in, peer))) return false;
    if (k->state == LINK_UP) return true;
    is_in = k->state == LINK_DECIDING;
    if (is_in) {
        agree(k, LINK_UP);
    } else {
        k->sequence++;
        declare(k, LINK_UP);
    }
    tell_script(in, "up", peer, is_in ? "in" : "out");
    return true;
}

void link_drop(struct instance *in, uint32_t peer)
{
    struct link *k = find(in, peer);

    if (!k || k->state == LINK_GONE) return;
    declare(k, LINK_GONE);
}

bool link_is_up(struct instance *in, uint32_t peer)
{
    const struct link *k = find(in, peer);

    return k && k->state == LINK_UP;
}

uint32_t links_count(const struct instance *in)
{
    return in->links ? in->links->count : 0;
}

/* It ended, and not by this end. */
static void ended(struct link *k, const char *why)
{
    struct instance *in = k->in;
    uint32_t peer = k->peer;

    views_forget(in, peer);
    tell_script(in, "down", peer, why);
}

static void on_again(struct timer *t)
{
    struct link *k = list_entry(t, struct link, again);

    if (k->is_said && ++k->tries > TRIES_MAX) {
        bool was_up = k->state == LINK_UP;
        k->is_settled = true;
        if (!was_up) return;
        /* Whatever it is that does not answer, it plays no game with us. */
        set_state(k, LINK_GONE);
        ended(k, "closed");
        return;
    }
    say(k);
}

/* ---- the other end */

/* It said something that we knew: it may have missed our last word. Not more often than it would
 * ask again, so that two ends never answer each other for ever. */
static void repeat(struct link *k)
{
    if (k->is_said && place_now(k->in->place) - k->said_us < again_us / 2) return;
    say(k);
}

static void on_same(struct link *k, bool is_up)
{
    if (k->state == LINK_DECIDING) {
        if (!is_up) agree(k, LINK_GONE);
        return;
    }
    if (is_up == (k->state == LINK_UP)) {
        bool was_settled = k->is_settled;
        k->is_settled = true;
        timer_unset(k->in->script->lua, &k->again);
        if (!k->is_said || was_settled) repeat(k);
    } else if (is_up) {
        repeat(k);
    } else {
        agree(k, LINK_GONE);
        ended(k, "dropped");
    }
}

static void on_newer(struct link *k, bool is_up)
{
    if (k->state == LINK_UP && !is_up) {
        agree(k, LINK_GONE);
        ended(k, "dropped");
    } else if (k->state == LINK_UP || !is_up) {
        agree(k, is_up ? LINK_UP : LINK_GONE);
    } else if (k->state == LINK_GONE) {
        newcomer(k);
    }
}

void link_on_told(struct instance *in, uint32_t peer, bool is_up, uint64_t sequence)
{
    struct link *k;

    if (peer == in->place->me || sequence == 0 || sequence > sequence_max || in->stopping) return;
    if (place_connection(in->place, peer) == 0 || !(k = make(in, peer))) return;
    if (sequence < k->sequence) {
        repeat(k);
    } else if (sequence == k->sequence) {
        on_same(k, is_up);
    } else {
        k->sequence = sequence;
        on_newer(k, is_up);
    }
}

/* A peer that goes away is as dead as one that fell silent; one that stays and closed, or was
 * closed, did so for a reason. */
static const char *why_of(uint32_t reason)
{
    switch (reason) {
    case WEIR_REASON_IDLE:
    case WEIR_REASON_GOING_AWAY:
    case WEIR_REASON_DRAINING:
    case WEIR_REASON_STATELESS_RESET:
    case WEIR_REASON_UNREACHABLE:
    case WEIR_REASON_HANDSHAKE: return "dead";
    default: return reason >= WEIR_REASON_TRANSPORT ? "dead" : "closed";
    }
}

void link_on_peer_down(struct place *place, uint32_t peer, uint32_t reason)
{
    struct list *next;

    for (struct list *l = place->instances.next; l != &place->instances; l = next) {
        struct instance *in = list_entry(l, struct instance, link);
        struct link *k = find(in, peer);
        bool was_up = k && k->state == LINK_UP;
        next = l->next;
        if (!k) continue;
        set_state(k, LINK_GONE);
        if (was_up) views_forget(in, peer);
        forget(k);
        if (was_up) tell_script(in, "down", peer, why_of(reason));
    }
}

void link_on_peer_moved(struct place *place, uint32_t peer)
{
    for (struct list *l = place->instances.next; l != &place->instances; l = l->next) {
        struct instance *in = list_entry(l, struct instance, link);
        struct link *k = find(in, peer);
        /* What went with the other connection may never arrive. */
        if (k && k->sequence > 0) say(k);
    }
}

void links_end(struct instance *in)
{
    struct link *k;

    if (!in->links) return;
    while ((k = list_first(&in->links->all, struct link, link)) != NULL) {
        if (k->state != LINK_GONE) {
            set_state(k, LINK_GONE);
            k->is_settled = true;
            say(k);
        }
        forget(k);
    }
    free(in->links);
    in->links = NULL;
}
