/* SPDX-License-Identifier: MIT */
#include "sim/world.h"
#include "base/assert.h"
#include "sim/files.h"
#include <string.h>

enum {
    WORLD_START_US = 1000000,
    WORLD_LOG_LINES = 4096 /**< of all nodes together, until somebody drains them */
};

static const void *name_key(const void *value, size_t *len)
{
    const struct world_name *name = value;

    *len = name->len;
    return name->text;
}

int world_open(const struct world_config *config, struct world **out)
{
    struct world *w;

    if (config->fidelity > WEIR_FIDELITY_MESSAGE) return WEIR_E_ARGUMENT;
    w = mem_alloc(config->mem, sizeof *w);
    if (w == NULL) return WEIR_E_MEMORY;
    w->mem = config->mem;
    w->config = *config;
    w->buffer = mem_alloc(w->mem, WORLD_BUFFER_BYTES);
    if (w->buffer == NULL) {
        mem_free(w->mem, w, sizeof *w);
        return WEIR_E_MEMORY;
    }
    w->now_us = config->start_us > 0 ? config->start_us : WORLD_START_US;
    network_init(&w->network, w->mem, config->seed, config->fidelity == WEIR_FIDELITY_MESSAGE);
    heap_init(&w->agenda, w->mem);
    map_init(&w->names, w->mem, w->network.hash_key, name_key);
    log_init(&w->log, w->mem, WORLD_LOG_LINES, LOG_WARN);
    *out = w;
    return 0;
}

static void free_names(struct world *w)
{
    uint32_t cursor = 0;
    struct world_name *name;

    while ((name = map_next(&w->names, &cursor)) != NULL) {
        mem_free(w->mem, name->addresses, name->count * sizeof *name->addresses);
        mem_free(w->mem, name, sizeof *name);
    }
    map_free(&w->names);
}

/* Limits are most of what a node in memory would hold alone, and mostly equal. @return NULL without
 * memory, or when there are too many kinds to look through: then the node has its own */
static const struct limits *share_limits(struct world *w, const struct limits *limits)
{
    enum { KINDS_MAX = 16 };
    struct world_limits *known = w->limits;
    uint32_t kinds = 0;

    for (; known != NULL; known = known->next, kinds++) {
        if (memcmp(&known->limits, limits, sizeof *limits) == 0) return &known->limits;
    }
    known = kinds < KINDS_MAX ? mem_alloc(w->mem, sizeof *known) : NULL;
    if (known == NULL) return NULL;
    known->limits = *limits;
    known->next = w->limits;
    w->limits = known;
    return &known->limits;
}

static void free_limits(struct world *w)
{
    while (w->limits != NULL) {
        struct world_limits *next = w->limits->next;

        mem_free(w->mem, w->limits, sizeof *w->limits);
        w->limits = next;
    }
}

void world_free(struct world *w)
{
    uint32_t i;

    w->is_running = true;
    for (i = 0; i < w->count; i++) {
        /* The node first: it may still give its sockets back. */
        node_free(w->nodes[i]->node);
        world_leave(w->nodes[i]);
        files_free(w->nodes[i]);
        mem_free(w->mem, w->nodes[i], sizeof *w->nodes[i]);
    }
    mem_free(w->mem, w->nodes, w->capacity * sizeof *w->nodes);
    mem_free(w->mem, w->touched.numbers, w->capacity * sizeof *w->touched.numbers);
    mem_free(w->mem, w->ready.numbers, w->capacity * sizeof *w->ready.numbers);
    heap_free(&w->agenda);
    free_names(w);
    free_limits(w);
    network_free(&w->network);
    log_free(&w->log);
    mem_free(w->mem, w->buffer, WORLD_BUFFER_BYTES);
    mem_free(w->mem, w, sizeof *w);
}

/* A larger copy of an array whose first `used` elements count; the old one stays. */
static void *copy_larger(struct world *w, const void *old, uint32_t used, uint32_t capacity,
                         size_t size)
{
    void *copy = mem_alloc(w->mem, capacity * size);

    if (copy != NULL && used > 0) memcpy(copy, old, used * size);
    return copy;
}

/* Room for one more node in the table and in both sets, or nothing changes. */
static bool make_room(struct world *w)
{
    uint32_t capacity = w->capacity > 0 ? w->capacity * 2 : 16;
    struct world_node **nodes;
    uint32_t *touched, *ready;

    if (w->count < w->capacity) return true;
    nodes = copy_larger(w, w->nodes, w->count, capacity, sizeof *nodes);
    touched = copy_larger(w, w->touched.numbers, w->touched.count, capacity, sizeof *touched);
    ready = copy_larger(w, w->ready.numbers, w->ready.count, capacity, sizeof *ready);
    if (nodes == NULL || touched == NULL || ready == NULL) {
        mem_free(w->mem, nodes, capacity * sizeof *nodes);
        mem_free(w->mem, touched, capacity * sizeof *touched);
        mem_free(w->mem, ready, capacity * sizeof *ready);
        return false;
    }
    mem_free(w->mem, w->nodes, w->capacity * sizeof *nodes);
    mem_free(w->mem, w->touched.numbers, w->capacity * sizeof *touched);
    mem_free(w->mem, w->ready.numbers, w->capacity * sizeof *ready);
    w->nodes = nodes;
    w->touched.numbers = touched;
    w->ready.numbers = ready;
    w->capacity = capacity;
    return true;
}

static void fill_entropy(void *context, void *out, size_t len)
{
    rng_fill(context, out, len);
}

static int open_node(struct world_node *n, const struct node_config *config)
{
    struct world *w = n->world;
    struct node_config c = *config;
    struct key_pair key;
    struct rng rng;
    int error;

    if (c.mem == NULL) c.mem = w->mem;
    if (c.network == NULL) c.network = "";
    if (c.key == NULL) {
        struct entropy entropy = {fill_entropy, &rng};

        rng_init(&rng, w->config.seed, "node key", n->number);
        key_pair_generate(&key, &entropy);
        c.key = &key;
    }
    rng_init(&n->entropy, w->config.seed, "node entropy", n->number);
    c.entropy = (struct entropy){fill_entropy, &n->entropy};
    c.transports = w->config.transports;
    c.transport_count = w->config.transport_count;
    if (c.shared_limits == NULL) c.shared_limits = share_limits(w, &c.limits);
    c.driver = &world_driver;
    c.driver_context = n;
    c.metrics = &w->metrics;
    c.log = &w->log;
    error = node_open(&c, &n->node);
    if (c.key == &key) key_pair_wipe(&key);
    if (error == 0) node_set_number(n->node, n->number);
    return error;
}

static int listen_first(struct world_node *n)
{
    bool is_packet = n->world->config.fidelity == WEIR_FIDELITY_PACKET;
    struct endpoint at =
        world_address(n->number, is_packet ? ENDPOINT_IP4 : ENDPOINT_MEMORY, WORLD_PORT);
    struct node_call call = {.kind = NODE_CALL_LISTEN};
    struct node_input in = {.kind = NODE_INPUT_CALL, .now_us = n->world->now_us, .call = &call};
    char text[ENDPOINT_TEXT_MAX];
    int len = endpoint_format(&at, text, sizeof text);
    int64_t result;

    WEIR_ASSERT(len > 0);
    call.data = text;
    call.len = (size_t)len;
    result = node_input(n->node, &in);
    return result < 0 ? (int)result : 0;
}

int world_add_node(struct world *w, const struct node_config *config, struct node **out)
{
    struct world_node *n;
    int error = WEIR_E_MEMORY;

    if (w->count == RULE_NODES_MAX) return WEIR_E_LIMIT;
    if (!make_room(w)) return WEIR_E_MEMORY;
    n = mem_alloc(w->mem, sizeof *n);
    if (n == NULL) return WEIR_E_MEMORY;
    n->world = w;
    n->number = w->count + 1;
    n->port_next = 49152;
    n->fired_us = UINT64_MAX;
    n->deadline.heap.order = network_order_last(n->number);
    list_init(&n->answers);
    if (heap_set(&w->agenda, &n->deadline.heap, UINT64_MAX)) {
        w->is_running = true; /* Not touched until it is in the table. */
        error = open_node(n, config);
        if (error == 0) error = listen_first(n);
        w->is_running = false;
    }
    if (error != 0) {
        if (n->node != NULL) node_free(n->node);
        world_leave(n);
        mem_free(w->mem, n, sizeof *n);
        return error;
    }
    w->nodes[w->count++] = n;
    world_touch(n);
    *out = n->node;
    return 0;
}

int world_link_extra(struct world *w, uint64_t a, uint64_t b, const weir_link_options *options,
                     const struct rule_extra *extra)
{
    if (a > w->count || b > w->count) return WEIR_E_ARGUMENT;
    return rules_set_extra(&w->network.rules, (uint32_t)a, (uint32_t)b, options, extra);
}

int world_link(struct world *w, uint64_t a, uint64_t b, const weir_link_options *options)
{
    return world_link_extra(w, a, b, options, NULL);
}

int world_file(struct world *w, uint64_t node, const char *path, const void *data, uint64_t len)
{
    if (node == 0 || node > w->count) return WEIR_E_ARGUMENT;
    return files_put(w->nodes[node - 1], path, strlen(path), data, len);
}
