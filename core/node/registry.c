/* SPDX-License-Identifier: MIT */
#include "node/registry.h"
#include "base/assert.h"
#include "node/conns.h"

static const void *peer_key(const void *value, size_t *len)
{
    const struct transport_conn *c = value;
    const struct peer_id *peer = conns_peer(c);
    *len = peer->len;
    return peer->bytes;
}

static struct transport_conn *scan(const struct node *node, const struct peer_id *peer)
{
    struct transport_conn *c;
    uint32_t cursor = 0;
    while ((c = conns_next(node, &cursor)) != NULL) {
        if ((c->node_flags & CONN_PRIMARY) != 0 && peer_id_equal(conns_peer(c), peer)) return c;
    }
    return NULL;
}

struct transport_conn *registry_find(const struct node *node, const struct peer_id *peer)
{
    if (node->by_peer != NULL) return map_get(node->by_peer, peer->bytes, peer->len);
    return scan(node, peer);
}

static struct conn_rare *rare_of(const struct transport_conn *c) { return c->node_data; }

struct transport_conn *registry_next(const struct transport_conn *c)
{
    return rare_of(c) == NULL ? NULL : rare_of(c)->next;
}

uint32_t registry_count(const struct node *node, const struct peer_id *peer)
{
    uint32_t count = 0;
    for (struct transport_conn *c = registry_find(node, peer); c != NULL; c = registry_next(c))
        count++;
    return count;
}

void registry_free(struct node *node)
{
    if (node->by_peer == NULL) return;
    map_free(node->by_peer);
    state_release(node, node->by_peer, sizeof *node->by_peer);
    node->by_peer = NULL;
}

/* Too many to look through: build the map. */
static bool build_map(struct node *node)
{
    struct transport_conn *c;
    uint32_t cursor = 0;
    int error;
    struct map *map = state_alloc(node, sizeof *map, &error);
    if (map == NULL) return false;
    map_init(map, node->env.mem, node->hash_key, peer_key);
    node->by_peer = map;
    while ((c = conns_next(node, &cursor)) != NULL) {
        if ((c->node_flags & CONN_PRIMARY) == 0 || map_add(map, c)) continue;
        registry_free(node);
        return false;
    }
    return true;
}

int registry_add(struct node *node, struct transport_conn *c)
{
    if (node->by_peer == NULL &&
        (node->connections >= REGISTRY_SCAN_MAX || node->handles.count > REGISTRY_SCAN_HANDLES) &&
        !build_map(node))
        return WEIR_E_MEMORY;
    struct transport_conn *head = registry_find(node, conns_peer(c));
    if (head != NULL) {
        struct conn_rare *own = state_rare(node, c), *rare = state_rare(node, head);
        if (own == NULL || rare == NULL) return WEIR_E_MEMORY;
        own->next = rare->next;
        rare->next = c;
    } else {
        if (node->by_peer != NULL && !map_add(node->by_peer, c)) return WEIR_E_MEMORY;
        c->node_flags |= CONN_PRIMARY;
        node->peers_up++;
    }
    c->node_flags |= CONN_REGISTERED;
    node->connections++;
    return 0;
}

/* Take c out of the list that begins at head, which is not c. */
static void unlink_from(struct transport_conn *head, struct transport_conn *c)
{
    struct transport_conn *at = head;
    while (registry_next(at) != c) at = registry_next(at);
    rare_of(at)->next = registry_next(c);
    rare_of(c)->next = NULL;
}

/* Make next the head in place of head. The map has room for it since head leaves it. */
static void replace_head(struct node *node, struct transport_conn *head,
                         struct transport_conn *next)
{
    if (node->by_peer != NULL) {
        const struct peer_id *peer = conns_peer(head);
        WEIR_ASSERT(map_remove(node->by_peer, peer->bytes, peer->len) == head);
        WEIR_ASSERT(map_add(node->by_peer, next));
    }
    head->node_flags = (uint8_t)(head->node_flags & ~CONN_PRIMARY);
    next->node_flags |= CONN_PRIMARY;
}

void registry_prefer(struct node *node, struct transport_conn *c)
{
    struct transport_conn *head = registry_find(node, conns_peer(c));
    WEIR_ASSERT(head != NULL && (c->node_flags & CONN_REGISTERED) != 0);
    if (head == c) return;
    unlink_from(head, c);
    replace_head(node, head, c);
    rare_of(c)->next = head;
}

struct transport_conn *registry_remove(struct node *node, struct transport_conn *c)
{
    struct transport_conn *head = registry_find(node, conns_peer(c));
    c->node_flags = (uint8_t)(c->node_flags & ~CONN_REGISTERED);
    node->connections--;
    WEIR_ASSERT(head != NULL);
    if (head != c) {
        unlink_from(head, c);
        return head;
    }
    struct transport_conn *next = registry_next(c);
    if (next != NULL) {
        replace_head(node, c, next);
        rare_of(c)->next = NULL;
        return next;
    }
    if (node->by_peer != NULL)
        (void)map_remove(node->by_peer, conns_peer(c)->bytes, conns_peer(c)->len);
    c->node_flags = (uint8_t)(c->node_flags & ~CONN_PRIMARY);
    node->peers_up--;
    return NULL;
}
