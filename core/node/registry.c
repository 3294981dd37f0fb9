/* SPDX-License-Identifier: MIT */
#include "node/registry.h"
#include "base/assert.h"
#include "node/conns.h"
#include <string.h>

enum { KEY_BYTES = 32 };

/* A peer that is up has a key, and its id holds no more. */
static const uint8_t *key_of(const struct transport_conn *c)
{
    const uint8_t *key = c->transport->ops->conn_peer_key(c);
    WEIR_ASSERT(key != NULL);
    return key;
}

static const void *map_key(const void *value, size_t *len)
{
    *len = KEY_BYTES;
    return key_of(value);
}

static struct map *map_of(const struct node *node)
{
    return state_extras(node)->by_peer;
}

static struct transport_conn *find(const struct node *node, const uint8_t *key)
{
    struct transport_conn *c;
    uint32_t cursor = 0;
    if (map_of(node) != NULL) return map_get(map_of(node), key, KEY_BYTES);
    while ((c = conns_next(node, &cursor)) != NULL) {
        if ((c->node_flags & CONN_PRIMARY) != 0 && memcmp(key_of(c), key, KEY_BYTES) == 0) return c;
    }
    return NULL;
}

struct transport_conn *registry_find(const struct node *node, const struct peer_id *peer)
{
    const uint8_t *key = peer_id_key(peer);
    return key == NULL ? NULL : find(node, key);
}

struct transport_conn *registry_primary(const struct node *node, const struct transport_conn *c)
{
    return find(node, key_of(c));
}

static struct conn_rare *rare_of(const struct transport_conn *c)
{
    return c->node_data;
}

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
    struct map *map = map_of(node);
    if (map == NULL) return;
    map_free(map);
    state_release(node, map, sizeof *map);
    node->extras->by_peer = NULL;
}

/* Too many to look through: build the map. */
static bool build_map(struct node *node)
{
    struct transport_conn *c;
    uint32_t cursor = 0;
    int error;
    struct node_extras *extras = state_extras_make(node);
    if (extras == NULL) return false;
    struct map *map = state_alloc(node, sizeof *map, &error);
    if (map == NULL) return false;
    map_init(map, node->env.mem, node->hash_key, map_key);
    extras->by_peer = map;
    while ((c = conns_next(node, &cursor)) != NULL) {
        if ((c->node_flags & CONN_PRIMARY) == 0 || map_add(map, c)) continue;
        registry_free(node);
        return false;
    }
    return true;
}

static bool is_large(const struct node *node)
{
    return node->connections >= REGISTRY_SCAN_MAX || node->handles.capacity > REGISTRY_SCAN_HANDLES;
}

int registry_add(struct node *node, struct transport_conn *c)
{
    if (map_of(node) == NULL && is_large(node) && !build_map(node)) return WEIR_E_MEMORY;
    struct transport_conn *head = registry_primary(node, c);
    if (head != NULL) {
        struct conn_rare *own = state_rare(node, c), *rare = state_rare(node, head);
        if (own == NULL || rare == NULL) return WEIR_E_MEMORY;
        own->next = rare->next;
        rare->next = c;
    } else {
        if (map_of(node) != NULL && !map_add(map_of(node), c)) return WEIR_E_MEMORY;
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
    struct map *map = map_of(node);
    if (map != NULL) {
        WEIR_ASSERT(map_remove(map, key_of(head), KEY_BYTES) == head);
        WEIR_ASSERT(map_add(map, next));
    }
    head->node_flags = (uint8_t)(head->node_flags & ~CONN_PRIMARY);
    next->node_flags |= CONN_PRIMARY;
}

void registry_prefer(struct node *node, struct transport_conn *c)
{
    struct transport_conn *head = registry_primary(node, c);
    WEIR_ASSERT(head != NULL && (c->node_flags & CONN_REGISTERED) != 0);
    if (head == c) return;
    unlink_from(head, c);
    replace_head(node, head, c);
    rare_of(c)->next = head;
}

struct transport_conn *registry_remove(struct node *node, struct transport_conn *c)
{
    struct transport_conn *head = registry_primary(node, c);
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
    if (map_of(node) != NULL) (void)map_remove(map_of(node), key_of(c), KEY_BYTES);
    c->node_flags = (uint8_t)(c->node_flags & ~CONN_PRIMARY);
    node->peers_up--;
    return NULL;
}
