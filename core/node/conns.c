/* SPDX-License-Identifier: MIT */
/* The life of a connection as node sees it: up, refused or merged, ended.
 *
 * Double dials. When two connections of the same peer are up, the one that the smaller peer id
 * initiated stays; of two that we both initiated, the older. Only the initiator of the loser closes
 * it (WEIR_REASON_DUPLICATE), at once or when its streams are over, because the other side cannot
 * know what is on its way; and because a peer that restarted, and so knows of one connection only,
 * must not lose it to one that is dead. Until then the acceptor of a loser says nothing of it to
 * the application, unless a stream comes on it or the survivor ends.
 *
 * A dial whose own connection loses answers with CONNECTED for the survivor and, for its own
 * handle, CONNECTION_CLOSED with error 0 and WEIR_REASON_DUPLICATE. */
#include "node/conns.h"
#include "base/assert.h"
#include "node/dial.h"
#include "node/drain.h"
#include "node/events.h"
#include "node/exchanges.h"
#include "node/fetches.h"
#include "node/observed.h"
#include "node/peers.h"
#include "node/registry.h"
#include "node/streams.h"
#include <string.h>

enum { TEXT_MAX = 120 };

struct transport_conn *conns_get(const struct node *node, uint64_t handle, struct dial **dial,
                                 int *error)
{
    void *object = handle_get(&node->handles, handle, HANDLE_CONNECTION, error);
    *dial = NULL;
    if (object == NULL) return NULL;
    *dial = dial_of(object);
    return *dial == NULL ? object : NULL;
}

struct transport_conn *conns_next(const struct node *node, uint32_t *cursor)
{
    void *object;
    while ((object = handle_next(&node->handles, HANDLE_CONNECTION, cursor, NULL)) != NULL) {
        if (dial_of(object) == NULL) return object;
    }
    return NULL;
}

struct peer_id conns_peer(const struct transport_conn *c)
{
    const uint8_t *key = c->transport->ops->conn_peer_key(c);
    struct peer_id peer = {0};
    if (key != NULL) peer_id_from_public_key(&peer, key);
    return peer;
}

int conns_end_error(const struct transport_conn *c)
{
    if (c->end == NULL) return WEIR_E_MEMORY;
    return c->end->reason == WEIR_REASON_DUPLICATE ? 0 : c->end->error;
}

/* node_index of a connection that is up holds the low bits of the time; the present gives the rest.
 */
enum { UP_SHIFT = 10 };

uint64_t conns_up_since(const struct node *node, const struct transport_conn *c)
{
    uint64_t now = node->now_us >> UP_SHIFT;
    return (now - (uint32_t)((uint32_t)now - c->node_index)) << UP_SHIFT;
}

void conns_close(struct node *node, struct transport_conn *c, uint32_t reason, const char *text,
                 size_t len)
{
    if (c->state >= CONN_CLOSING) return;
    c->transport->ops->conn_close(c, reason, text, len > TEXT_MAX ? TEXT_MAX : len, node->now_us);
}

/* Why a connection that came up may not stay. */
static uint32_t refusal_of(struct node *node, const struct transport_conn *c, const char **text)
{
    const struct peer_id peer = conns_peer(c);
    const uint64_t *limits = node->env.limits->value;
    *text = NULL;
    if (peer_id_equal(&peer, &node->key.id)) {
        *text = "that is the node itself";
        return WEIR_REASON_REFUSED;
    }
    if (drain_is_on(node)) return WEIR_REASON_DRAINING;
    if (!peers_may_connect(node, &peer, c->role == CONN_DIALLER)) return WEIR_REASON_REFUSED;
    if (!peers_network_may_connect(node, c->transport->ops->conn_network(c)))
        return WEIR_REASON_NETWORK;
    uint32_t count = registry_count(node, &peer);
    if (count >= limits[LIMIT_CONNECTIONS_PER_PEER]) return WEIR_REASON_LIMIT;
    if (count == 0 && node->peers_up >= limits[LIMIT_PEERS]) return WEIR_REASON_FULL;
    return WEIR_REASON_NONE;
}

static void refuse(struct node *node, struct transport_conn *c, uint32_t reason, const char *text)
{
    metric_inc(node->env.metrics, METRIC_CONNECTIONS_REFUSED);
    if (reason == WEIR_REASON_FULL || reason == WEIR_REASON_LIMIT)
        metric_inc(node->env.metrics, METRIC_LIMIT_REACHED);
    conns_close(node, c, reason, text, text == NULL ? 0 : strlen(text));
}

void conns_check_loser(struct node *node, struct transport_conn *c)
{
    struct stream *s;
    uint32_t cursor = 0;
    if ((c->node_flags & CONN_LOSER) == 0 || c->role != CONN_DIALLER || c->state != CONN_UP) return;
    if (exchanges_wait(c)) return;
    while (c->streams != NULL && (s = map_next(&c->streams->by_id, &cursor)) != NULL) {
        if ((s->node_flags & (STREAM_HIDDEN | STREAM_GONE)) == 0) return;
    }
    conns_close(node, c, WEIR_REASON_DUPLICATE, NULL, 0);
}

/* c came up while head, of the same peer, is up. @return whether the application shall hear of c */
static bool merge(struct node *node, struct transport_conn *head, struct transport_conn *c)
{
    const struct peer_id peer = conns_peer(c);
    uint8_t staying = peer_id_compare(&node->key.id, &peer) < 0 ? CONN_DIALLER : CONN_LISTENER;
    struct transport_conn *loser = c;
    if (head->state != CONN_UP) {
        registry_prefer(node, c);
        return true;
    }
    if (head->role == c->role) {
        if (c->role == CONN_LISTENER) {
            /* The peer decides; as it dialled again, the older one may be dead. */
            registry_prefer(node, c);
            return true;
        }
    } else if (c->role == staying) {
        loser = head;
        registry_prefer(node, c);
    }
    loser->node_flags |= CONN_LOSER;
    metric_inc(node->env.metrics, METRIC_CONNECTIONS_MERGED);
    peers_apply_hold(node, loser);
    conns_check_loser(node, loser);
    return loser != c;
}

static bool is_hushed(const struct transport_conn *c)
{
    return (c->node_flags & CONN_TOLD) == 0;
}

static void welcome(struct node *node, struct transport_conn *c, struct transport_conn *head)
{
    bool was_dial = !is_hushed(c);
    bool tell = head == NULL || merge(node, head, c);
    if (tell) {
        if (head == NULL) c->node_flags |= CONN_TELL_PEER_UP;
        events_tell_connected(node, c);
        if (c->role == CONN_DIALLER) observed_ask(node, c);
    } else if (was_dial) {
        events_tell_connected(node, registry_primary(node, c));
    }
    peers_apply_hold(node, c);
}

static void on_up(struct node *node, struct transport_conn *c)
{
    const char *text;
    if (c->state != CONN_UP) return;
    if ((c->node_flags & CONN_ATTEMPT) != 0 && c->node_data == NULL) return;
    uint32_t reason = refusal_of(node, c, &text);
    if (reason != WEIR_REASON_NONE) {
        refuse(node, c, reason, text);
        return;
    }
    struct transport_conn *head = registry_primary(node, c);
    if ((c->node_flags & CONN_ATTEMPT) != 0) {
        dial_on_up(node, c);
    } else {
        c->handle = handle_add(&node->handles, HANDLE_CONNECTION, c);
    }
    c->node_index = (uint32_t)(node->now_us >> UP_SHIFT);
    if (c->handle == 0 || registry_add(node, c) != 0) {
        refuse(node, c, WEIR_REASON_LIMIT, NULL);
        return;
    }
    welcome(node, c, head);
}

/* The end of a connection of which the application knows nothing. */
static void forget(struct node *node, struct transport_conn *c)
{
    if (c->handle != 0) handle_remove(&node->handles, c->handle);
    exchanges_free_conn(node, c);
    state_rare_release(node, c);
    list_remove(&c->ready_link);
    c->transport->ops->conn_free(c);
}

static void on_end(struct node *node, struct transport_conn *c)
{
    if ((c->node_flags & CONN_ATTEMPT) != 0) {
        dial_on_attempt_end(node, c);
        forget(node, c);
        return;
    }
    exchanges_on_end(node, c);
    fetches_on_end(node, c);
    if ((c->node_flags & CONN_REGISTERED) != 0) {
        struct transport_conn *next = registry_remove(node, c);
        if (next == NULL) {
            c->node_flags |= CONN_TELL_PEER_DOWN;
        } else if (next->state == CONN_UP && (c->node_flags & CONN_LOSER) == 0) {
            /* The survivor is gone: what had lost is the one to use again. */
            next->node_flags = (uint8_t)(next->node_flags & ~CONN_LOSER);
            peers_apply_hold(node, next);
            if (is_hushed(next)) events_tell_connected(node, next);
        }
    }
    if ((c->node_flags & (CONN_TOLD | CONN_TELL_PEER_DOWN)) == 0) {
        forget(node, c);
    } else {
        events_queue_end(node, c);
    }
}

static bool take(struct transport_conn *c, unsigned bit)
{
    bool was = (c->pending & bit) != 0;
    c->pending = (uint8_t)(c->pending & ~bit);
    return was;
}

void conns_settle(struct node *node, struct transport_conn *c)
{
    if (take(c, CONN_PENDING_UP)) {
        on_up(node, c);
        /* In the queue of started ones: the rest is looked at once the application was told. */
        if ((c->node_flags & CONN_TELL_CONNECTED) != 0) return;
    }
    if (take(c, CONN_PENDING_STREAMS)) streams_settle(node, c);
    if ((c->node_flags & CONN_TELL_CONNECTED) != 0) return;
    if (take(c, CONN_PENDING_ENDED)) {
        on_end(node, c);
        return;
    }
    if ((c->pending & (CONN_PENDING_MOVED | CONN_PENDING_OPEN_ROOM)) == 0) return;
    if (take(c, CONN_PENDING_OPEN_ROOM)) {
        if (!exchanges_hush_room(c)) c->pending |= CONN_TELL_OPENABLE;
        exchanges_on_room(node, c);
        fetches_on_room(node, c);
    }
    if (is_hushed(c)) {
        c->pending = (uint8_t)(c->pending & ~(CONN_PENDING_MOVED | CONN_TELL_OPENABLE));
    } else if ((c->pending & (CONN_PENDING_MOVED | CONN_TELL_OPENABLE)) != 0) {
        events_queue_started(node, c);
    }
}

void conns_drop(struct node *node, struct transport_conn *c)
{
    forget(node, c);
}

int64_t conns_on_close(struct node *node, const struct node_call *call)
{
    struct dial *dial;
    int error;
    struct transport_conn *c = conns_get(node, call->object, &dial, &error);
    if (error != 0) return error;
    if (dial != NULL) {
        dial_cancel(node, dial, call->flags);
    } else {
        conns_close(node, c, call->flags, call->data, call->data == NULL ? 0 : call->len);
    }
    return 0;
}

int64_t conns_on_set_user(struct node *node, const struct node_call *call)
{
    struct dial *dial;
    int error;
    struct transport_conn *c = conns_get(node, call->object, &dial, &error);
    if (error != 0) return error;
    if (dial != NULL) {
        dial_set_user(dial, call->number);
    } else {
        c->user = call->number;
    }
    return 0;
}
