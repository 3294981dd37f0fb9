/* SPDX-License-Identifier: MIT */
/* Finding a connection, and what its peer said of itself.
 *
 * A world has very many transports of a few connections each, so a table is made only for more than
 * LOOP_SCAN_MAX of them; until then the lists are looked through. What a peer says of itself is
 * mostly what we say too; where it is not, it lies in a table aside, so that a connection has no
 * place for it. */
#include "base/assert.h"
#include "loop/loop_conn.h"
#include <string.h>

enum { LOOP_SCAN_MAX = 8, KEY_BYTES = 12 };
_Static_assert(offsetof(struct loop_conn, number) == offsetof(struct loop_conn, remote) + 8,
               "the table's key is contiguous");

/** An entry of loop.facts. */
struct peer_facts {
    const struct loop_conn *conn; /**< the key */
    struct loop_facts said;
};

static const void *conn_key(const void *value, size_t *len)
{
    const struct loop_conn *c = value;
    *len = KEY_BYTES;
    return &c->remote;
}

static const void *facts_key(const void *value, size_t *len)
{
    const struct peer_facts *facts = value;
    *len = sizeof facts->conn;
    return &facts->conn;
}

static struct loop *loop_of(const struct loop_conn *c)
{
    return (struct loop *)(void *)c->conn.transport;
}

/* @return an empty map, or NULL */
static struct map *map_make(const struct transport_env *env,
                            const void *(*key_of)(const void *value, size_t *len))
{
    struct map *map = mem_alloc(env->mem, sizeof *map);
    if (map != NULL) map_init(map, env->mem, env->hash_key, key_of);
    return map;
}

static void map_destroy(const struct transport_env *env, struct map *map)
{
    if (map == NULL) return;
    WEIR_ASSERT(map->count == 0);
    map_free(map);
    mem_free(env->mem, map, sizeof *map);
}

static struct loop_conn *scan(const struct loop *t, uint64_t remote, uint32_t number)
{
    for (unsigned i = 0; i < LOOP_LISTS; i++) {
        const struct list *list = &t->lists[i];
        for (struct list *link = list->next; link != list; link = link->next) {
            struct loop_conn *c = list_entry(link, struct loop_conn, link);
            if (c->number == number && c->remote == remote && (c->flags & LOOP_LISTED) != 0)
                return c;
        }
    }
    return NULL;
}

struct loop_conn *loop_table_find(const struct loop *t, uint64_t remote, uint32_t number)
{
    uint8_t key[KEY_BYTES];
    if (t->table == NULL) return scan(t, remote, number);
    memcpy(key, &remote, sizeof remote);
    memcpy(key + sizeof remote, &number, sizeof number);
    return map_get(t->table, key, sizeof key);
}

/* Too many to look through. */
static bool build(struct loop *t)
{
    struct map *map = map_make(t->base.env, conn_key);
    bool done = map != NULL;
    for (unsigned i = 0; done && i < LOOP_LISTS; i++) {
        struct list *list = &t->lists[i];
        for (struct list *link = list->next; done && link != list; link = link->next) {
            struct loop_conn *c = list_entry(link, struct loop_conn, link);
            done = (c->flags & LOOP_LISTED) == 0 || map_add(map, c);
        }
    }
    if (done) {
        t->table = map;
    } else if (map != NULL) {
        map_free(map);
        mem_free(t->base.env->mem, map, sizeof *map);
    }
    return done;
}

bool loop_table_add(struct loop *t, struct loop_conn *c)
{
    WEIR_ASSERT((c->flags & LOOP_LISTED) == 0);
    do {
        c->number = ++t->number_last;
    } while (c->number == 0 || loop_table_find(t, c->remote, c->number) != NULL);
    if (t->table == NULL && t->count >= LOOP_SCAN_MAX && !build(t)) return false;
    if (t->table != NULL && !map_add(t->table, c)) return false;
    c->flags |= LOOP_LISTED;
    t->count++;
    return true;
}

void loop_table_remove(struct loop_conn *c)
{
    struct loop *t = loop_of(c);
    WEIR_ASSERT((c->flags & LOOP_LISTED) != 0 && t->count > 0);
    if (t->table != NULL) WEIR_ASSERT(map_remove(t->table, &c->remote, KEY_BYTES) == c);
    c->flags &= (uint16_t)~LOOP_LISTED;
    t->count--;
}

void loop_table_free(struct loop *t)
{
    WEIR_ASSERT(t->count == 0);
    map_destroy(t->base.env, t->table);
    map_destroy(t->base.env, t->facts);
}

bool loop_table_keep_facts(struct loop_conn *c, const struct loop_facts *said)
{
    struct loop *t = loop_of(c);
    const struct transport_env *env = t->base.env;
    struct peer_facts *facts;
    WEIR_ASSERT((c->flags & LOOP_DIFFERS) == 0);
    if (t->facts == NULL && (t->facts = map_make(env, facts_key)) == NULL) return false;
    if (!budget_charge(env->budget, sizeof *facts, NULL)) return false;
    facts = mem_alloc(env->mem, sizeof *facts);
    if (facts != NULL) {
        facts->conn = c;
        facts->said = *said;
        if (map_add(t->facts, facts)) {
            c->flags |= LOOP_DIFFERS;
            return true;
        }
        mem_free(env->mem, facts, sizeof *facts);
    }
    budget_refund(env->budget, sizeof *facts);
    return false;
}

const struct loop_facts *loop_table_facts(const struct loop_conn *c)
{
    if ((c->flags & LOOP_DIFFERS) == 0) return NULL;
    const struct peer_facts *facts = map_get(loop_of(c)->facts, &c, sizeof c);
    WEIR_ASSERT(facts != NULL);
    return &facts->said;
}

void loop_table_drop_facts(struct loop_conn *c)
{
    const struct transport_env *env = loop_of(c)->base.env;
    const struct loop_conn *key = c;
    if ((c->flags & LOOP_DIFFERS) == 0) return;
    struct peer_facts *facts = map_remove(loop_of(c)->facts, &key, sizeof key);
    WEIR_ASSERT(facts != NULL);
    mem_free(env->mem, facts, sizeof *facts);
    budget_refund(env->budget, sizeof *facts);
    c->flags &= (uint16_t)~LOOP_DIFFERS;
}
