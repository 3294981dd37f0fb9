/* SPDX-License-Identifier: MIT */
#include "node/protocols.h"
#include "base/assert.h"
#include "node/errors.h"
#include "node/exchanges.h"
#include "node/stream_head.h"
#include <string.h>

enum { URGENCY_DEFAULT = 3, SCAN_MAX = 8 };

/** Most nodes have one or two: until SCAN_MAX they are looked through. */
struct protocols {
    struct map *by_name; /**< NULL while there are few */
    uint32_t capacity, served;
    struct protocol *numbers[]; /**< [number - 1]; NULL: free */
};

static size_t table_bytes(uint32_t capacity)
{
    return sizeof(struct protocols) + capacity * sizeof(struct protocol *);
}

static size_t bytes_of(size_t name_len)
{
    return offsetof(struct protocol, name) + name_len;
}

static const void *name_key(const void *value, size_t *len)
{
    const struct protocol *p = value;
    *len = p->len;
    return p->name;
}

static struct protocol *find(const struct node *node, const char *name, size_t len)
{
    const struct protocols *t = node->protocols;
    if (t == NULL) return NULL;
    if (t->by_name != NULL) return map_get(t->by_name, name, len);
    for (uint32_t i = 0; i < t->capacity; i++) {
        struct protocol *p = t->numbers[i];
        if (p != NULL && p->len == len && memcmp(p->name, name, len) == 0) return p;
    }
    return NULL;
}

struct protocol *protocols_served(const struct node *node, const char *name, size_t len)
{
    struct protocol *p = find(node, name, len);
    return p != NULL && p->served ? p : NULL;
}

/* Room for a larger number. */
static int table_grow(struct node *node)
{
    struct protocols *old = node->protocols;
    uint32_t capacity = old == NULL ? 1 : old->capacity * 2;
    int error = 0;
    struct protocols *t = state_alloc(node, table_bytes(capacity), &error);
    if (t == NULL) return error;
    if (old != NULL) {
        memcpy(t, old, table_bytes(old->capacity));
        state_release(node, old, table_bytes(old->capacity));
    }
    t->capacity = capacity;
    node->protocols = t;
    return 0;
}

static void map_close(struct node *node, struct map *map)
{
    if (map == NULL) return;
    map_free(map);
    state_release(node, map, sizeof *map);
}

/* Too many to look through: build the map of those that are in. */
static int map_open(struct node *node)
{
    struct protocols *t = node->protocols;
    int error = 0;
    struct map *map = state_alloc(node, sizeof *map, &error);
    if (map == NULL) return error;
    map_init(map, node->env.mem, node->hash_key, name_key);
    for (uint32_t i = 0; i < t->capacity; i++) {
        if (t->numbers[i] == NULL || map_add(map, t->numbers[i])) continue;
        map_close(node, map);
        return WEIR_E_MEMORY;
    }
    t->by_name = map;
    return 0;
}

/* Give it a number and put it where it is found. */
static int table_add(struct node *node, struct protocol *p)
{
    struct protocols *t = node->protocols;
    uint32_t i = 0;
    int error = 0;
    while (t != NULL && i < t->capacity && t->numbers[i] != NULL) i++;
    if (t == NULL || i == t->capacity) error = table_grow(node);
    t = node->protocols;
    if (error == 0 && i >= SCAN_MAX && t->by_name == NULL) error = map_open(node);
    if (error == 0 && t->by_name != NULL && !map_add(t->by_name, p)) error = WEIR_E_MEMORY;
    if (error != 0) return error;
    t->numbers[i] = p;
    p->number = i + 1;
    return 0;
}

static void release(struct node *node, struct protocol *p)
{
    struct exchange_rules *rules = protocol_rules(p);
    if (rules != NULL) state_release(node, rules, sizeof *rules);
    state_release(node, p, bytes_of(p->len));
}

struct protocol *protocols_intern(struct node *node, const char *name, size_t len, int *error)
{
    struct protocol *p = find(node, name, len);
    if (p != NULL) return p;
    WEIR_ASSERT(len <= STREAM_HEAD_NAME_MAX);
    p = state_alloc(node, bytes_of(len), error);
    if (p == NULL) return NULL;
    p->len = (uint8_t)len;
    p->urgency = URGENCY_DEFAULT;
    memcpy(p->name, name, len);
    *error = table_add(node, p);
    if (*error == 0) return p;
    state_release(node, p, bytes_of(p->len));
    return NULL;
}

uint32_t protocols_hold(struct protocol *p)
{
    p->refs++;
    return p->number;
}

void protocols_sweep(struct node *node, struct protocol *p)
{
    if (p->served || p->refs > 0) return;
    struct protocols *t = node->protocols;
    if (t->by_name != NULL) WEIR_ASSERT(map_remove(t->by_name, p->name, p->len) == p);
    t->numbers[p->number - 1] = NULL;
    release(node, p);
}

void protocols_release(struct node *node, uint32_t number)
{
    if (number == 0) return;
    struct protocol *p = node->protocols->numbers[number - 1];
    WEIR_ASSERT(p->refs > 0);
    p->refs--;
    protocols_sweep(node, p);
}

const struct protocol *protocols_at(const struct node *node, uint32_t number)
{
    return number == 0 ? NULL : node->protocols->numbers[number - 1];
}

void protocols_free(struct node *node)
{
    struct protocols *t = node->protocols;
    if (t == NULL) return;
    for (uint32_t i = 0; i < t->capacity; i++) {
        if (t->numbers[i] != NULL) release(node, t->numbers[i]);
    }
    map_close(node, t->by_name);
    state_release(node, t, table_bytes(t->capacity));
    node->protocols = NULL;
}

static int check_name(struct node *node, const char *name, size_t len)
{
    uint64_t max = node->env.limits->value[LIMIT_PROTOCOL_NAME];
    if (!stream_head_is_name(name, len, max))
        return errors_fail(
            node, WEIR_E_NAME, NULL, NULL,
            "a protocol's name has 1 to %llu printable ASCII characters and no space",
            (unsigned long long)max);
    if (len >= 5 && memcmp(name, "weir/", 5) == 0)
        return errors_fail(node, WEIR_E_NAME, NULL, NULL,
                           "names that begin with weir/ are weir's own: choose another");
    return 0;
}

/* A name that is not served yet becomes served. */
static struct protocol *serve(struct node *node, const char *name, size_t len, int *error)
{
    uint64_t max = node->env.limits->value[LIMIT_PROTOCOLS];
    *error = check_name(node, name, len);
    if (*error != 0) return NULL;
    if (protocols_served(node, name, len) != NULL) {
        *error =
            errors_fail(node, WEIR_E_EXISTS, NULL, NULL, "%.*s is served already", (int)len, name);
        return NULL;
    }
    if (node->protocols != NULL && node->protocols->served >= max) {
        const struct limit_record limit = {.scope = LIMIT_SCOPE_NODE,
                                           .name = LIMIT_PROTOCOLS,
                                           .side = LIMIT_SIDE_LOCAL,
                                           .used = node->protocols->served,
                                           .max = max};
        *error = errors_fail(node, WEIR_E_LIMIT, &limit, NULL,
                             "the node serves as many protocols as its limit allows");
        return NULL;
    }
    struct protocol *p = protocols_intern(node, name, len, error);
    if (p == NULL) return NULL;
    p->served = true;
    node->protocols->served++;
    return p;
}

static void unserve(struct node *node, struct protocol *p)
{
    p->served = false;
    node->protocols->served--;
    protocols_sweep(node, p);
}

/* Messages and requests that came while the name was served in another way still count by its
 * rules. */
static int fail_in_use(struct node *node, const struct protocol *p)
{
    return errors_fail(node, WEIR_E_STATE, NULL, NULL,
                       "%.*s was served for messages or requests, and some are not over: read or "
                       "cancel them first",
                       (int)p->len, p->name);
}

struct protocol *protocols_serve_feed(struct node *node, const char *name, size_t len,
                                      struct owner *feed, int *error)
{
    struct protocol *p = serve(node, name, len, error);
    if (p == NULL) return NULL;
    if (protocol_rules(p) != NULL) {
        unserve(node, p);
        *error = fail_in_use(node, p);
        return NULL;
    }
    p->kinds = PROTOCOL_FEED;
    p->feed = feed;
    return p;
}

void protocols_unserve_feed(struct node *node, struct protocol *p)
{
    p->kinds = 0;
    p->user = 0;
    if (p->served) unserve(node, p);
}

/* What is served while the last streams of the name before are open has rules of its own. */
static int set_rules(struct node *node, struct protocol *p, const struct exchange_rules *rules)
{
    int error = 0;
    struct exchange_rules *own = protocol_rules(p);
    bool is_new = own == NULL;
    if (is_new) own = state_alloc(node, sizeof *own, &error);
    if (own == NULL) return error;
    if (is_new) list_init(&own->messages);
    uint32_t waiting = own->waiting;
    struct list messages = own->messages;
    *own = *rules;
    own->waiting = waiting;
    own->messages = messages;
    p->rules = own;
    return 0;
}

int64_t protocols_on_serve(struct node *node, const struct node_call *call)
{
    static const weir_serve_options defaults = {.size = sizeof defaults};
    const weir_serve_options *options = call->options == NULL ? &defaults : call->options;
    uint32_t kinds = options->kinds == 0 ? WEIR_KIND_STREAM : options->kinds;
    uint32_t urgency = options->urgency_plus1 == 0 ? URGENCY_DEFAULT : options->urgency_plus1 - 1;
    struct exchange_rules rules;
    int error = 0;
    if (urgency >= SCHED_URGENCIES) return WEIR_E_ARGUMENT;
    if (kinds != WEIR_KIND_STREAM && (kinds & ~(WEIR_KIND_MESSAGE | WEIR_KIND_REQUEST)) != 0)
        return errors_fail(node, WEIR_E_ARGUMENT, NULL, NULL,
                           "kinds is one kind, or WEIR_KIND_MESSAGE | WEIR_KIND_REQUEST");
    if (kinds != WEIR_KIND_STREAM) error = exchanges_rules(node, options, &rules);
    if (error != 0) return error;
    struct protocol *p = serve(node, call->data, call->len, &error);
    if (p == NULL) return error;
    if (kinds != WEIR_KIND_STREAM) {
        error = set_rules(node, p, &rules);
    } else if (protocol_rules(p) != NULL) {
        error = fail_in_use(node, p);
    } else {
        p->user = options->user;
    }
    if (error != 0) {
        unserve(node, p);
        return error;
    }
    p->kinds = kinds & 7u;
    p->urgency = urgency & 7u;
    return 0;
}

int64_t protocols_on_unserve(struct node *node, const struct node_call *call)
{
    struct protocol *p = protocols_served(node, call->data, call->len);
    if (p == NULL)
        return errors_fail(node, WEIR_E_NOT_FOUND, NULL, NULL, "that protocol is not served");
    if (p->kinds == PROTOCOL_FEED)
        return errors_fail(node, WEIR_E_STATE, NULL, NULL,
                           "that is a feed: weir_feed_close ends it");
    unserve(node, p);
    return 0;
}
