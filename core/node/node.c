/* SPDX-License-Identifier: MIT */
/* The node itself: its birth and end, its one way in, its ways out. What inputs mean is in the
 * other files. */
#include "node/state.h"
#include "base/assert.h"
#include "node/calls.h"
#include "node/conns.h"
#include "node/dial.h"
#include "node/drain.h"
#include "node/events.h"
#include "node/exchanges.h"
#include "node/listen.h"
#include "node/local.h"
#include "node/owner.h"
#include "node/peers.h"
#include "node/protocols.h"
#include "node/registry.h"
#include <string.h>

static const char no_network[] = "";

static size_t bytes_of(const struct node *node)
{
    return sizeof *node + node->transport_count * sizeof node->transports[0];
}

/* What a world shares, or a node of its own. @return false without memory */
static bool shared_open(struct node *node, const struct node_config *config)
{
    struct transport_env *env = &node->env;
    const struct mem *mem = config->mem;
    size_t len = strlen(config->network);
    struct limits *limits = NULL;
    env->limits = config->shared_limits;
    if (env->limits == NULL) {
        limits = mem_alloc(mem, sizeof *limits);
        if (limits == NULL) return false;
        *limits = config->limits;
        env->limits = limits;
        node->own_limits = true;
    }
    env->metrics = config->metrics;
    if (env->metrics == NULL) {
        env->metrics = mem_alloc(mem, sizeof *env->metrics);
        if (env->metrics == NULL) return false;
        node->own_metrics = true;
    }
    env->log = config->log;
    if (env->log == NULL) {
        env->log = mem_alloc(mem, sizeof *env->log);
        if (env->log == NULL) return false;
        node->own_log = true;
        log_init(env->log, mem, (uint32_t)env->limits->value[LIMIT_LOG_LINES],
                 (enum log_level)config->log_level);
    }
    if (len == 0) return true;
    char *network = mem_alloc(mem, len + 1);
    if (network == NULL) return false;
    memcpy(network, config->network, len + 1);
    env->network = network;
    return true;
}

static void shared_close(struct node *node)
{
    struct transport_env *env = &node->env;
    if (env->network != no_network)
        mem_free(env->mem, (void *)(uintptr_t)env->network, strlen(env->network) + 1);
    env->network = no_network;
    if (node->own_log) {
        log_free(env->log);
        mem_free(env->mem, env->log, sizeof *env->log);
    }
    if (node->own_metrics) mem_free(env->mem, env->metrics, sizeof *env->metrics);
    if (node->own_limits) mem_free(env->mem, (void *)(uintptr_t)env->limits, sizeof *env->limits);
    node->own_log = node->own_metrics = node->own_limits = false;
}

static void lists_init(struct node *node)
{
    list_init(&node->started);
    list_init(&node->streams);
    list_init(&node->ended);
    list_init(&node->gone_streams);
    list_init(&node->gone_conns);
}

static int fill(struct node *node, const struct node_config *config)
{
    struct transport_env *env = &node->env;
    env->mem = config->mem;
    env->network = no_network;
    env->budget = &node->budget;
    env->entropy = &node->entropy;
    env->key = &node->key;
    env->hash_key = node->hash_key;
    env->datagram_bytes = config->datagram_bytes;
    env->congestion = config->congestion;
    env->suites = config->suites;
    env->ecn_off = config->ecn_off;
    env->datagrams_off = config->datagrams_off;
    env->windows_grow_off = config->windows_grow_off;
    node->entropy = config->entropy;
    node->key = *config->key;
    node->driver = config->driver;
    node->driver_context = config->driver_context;
    node->refuse_unknown = config->refuse_unknown;
    node->observed_off = config->observed_off;
    lists_init(node);
    handle_table_init(&node->handles, config->mem, HANDLE_SLOTS_MAX);
    entropy_fill(&node->entropy, node->hash_key, sizeof node->hash_key);
    bool shared = shared_open(node, config);
    budget_init(&node->budget, NULL, LIMIT_SCOPE_NODE, LIMIT_NODE_MEMORY,
                shared ? env->limits->value[LIMIT_NODE_MEMORY] : UINT64_MAX, node);
    if (!shared) return WEIR_E_MEMORY;
    for (uint32_t i = 0; i < config->transport_count; i++) {
        int error = config->transports[i]->open(env, &node->transports[i]);
        if (error != 0) {
            node->transports[i] = NULL;
            return error;
        }
    }
    return 0;
}

int node_open(const struct node_config *config, struct node **out)
{
    WEIR_ASSERT(config->transport_count <= UINT8_MAX);
    *out = NULL;
    size_t size = sizeof(struct node) + config->transport_count * sizeof(struct transport *);
    struct node *node = mem_alloc(config->mem, size);
    if (node == NULL) return WEIR_E_MEMORY;
    node->transport_count = (uint8_t)config->transport_count;
    int error = fill(node, config);
    if (error != 0) {
        node_free(node);
        return error;
    }
    *out = node;
    return 0;
}

/* Names and rare parts hang on connections, so these go first. */
static void conns_release(struct node *node)
{
    struct transport_conn *c;
    uint32_t cursor = 0;
    registry_free(node);
    while ((c = conns_next(node, &cursor)) != NULL) {
        exchanges_free_conn(node, c);
        state_rare_release(node, c);
    }
}

void node_close(struct node *node)
{
    if (node->closed) return;
    node->closed = true;
    if (node->dialer != NULL) dial_free_all(node);
    owners_free(node);
    local_free(node);
    conns_release(node);
    for (unsigned i = 0; i < node->transport_count; i++) {
        if (node->transports[i] != NULL) node->transports[i]->ops->close(node->transports[i]);
        node->transports[i] = NULL;
    }
    lists_init(node);
    listen_free(node);
    protocols_free(node);
    peers_free(node);
    drain_free(node);
    handle_table_free(&node->handles);
    budget_end(&node->budget);
    errors_free(node);
    mem_free(node->env.mem, node->extras, sizeof *node->extras);
    node->extras = NULL;
    key_pair_wipe(&node->key);
    shared_close(node);
}

void node_free(struct node *node)
{
    node_close(node);
    mem_free(node->env.mem, node, bytes_of(node));
}

void node_close_connections(struct node *node, uint32_t reason, uint64_t now_us)
{
    struct transport_conn *c;
    uint32_t cursor = 0;
    if (node->closed) return;
    if (now_us > node->now_us) node->now_us = now_us;
    dial_cancel_all(node, 0, reason);
    while ((c = conns_next(node, &cursor)) != NULL) conns_close(node, c, reason, NULL, 0);
    local_end_all(node, reason);
}

static void on_datagram(struct node *node, const struct datagram_in *in)
{
    struct transport *t = state_transport(node, in->remote.family);
    if (t != NULL) t->ops->on_datagram(t, in, node->now_us);
}

static void on_deadline(struct node *node)
{
    for (unsigned i = 0; i < node->transport_count; i++) {
        struct transport *t = node->transports[i];
        if (t->ops->deadline(t) <= node->now_us) t->ops->on_deadline(t, node->now_us);
    }
    dial_on_deadline(node);
    owners_on_deadline(node);
}

static void on_turn(struct node *node)
{
    metric_inc(node->env.metrics, METRIC_POLLS);
    events_on_turn(node);
    owners_on_turn(node);
    local_on_turn(node);
    for (unsigned i = 0; i < node->transport_count; i++) {
        node->transports[i]->ops->on_turn(node->transports[i], node->now_us);
    }
}

/* Look at everything that the transports put before us. What node does about it may make new facts,
 * but each is finite: a stream is refused once, an attempt ends once. */
static void settle(struct node *node)
{
    struct transport_conn *c;
    for (unsigned i = 0; i < node->transport_count; i++) {
        struct transport *t = node->transports[i];
        transport_recheck(t, node->now_us);
        while ((c = transport_next_ready(t)) != NULL) conns_settle(node, c);
    }
    local_settle(node);
    events_prune(node);
}

int64_t node_input(struct node *node, const struct node_input *in)
{
    int64_t result = 0;
    if (node->closed) return in->kind == NODE_INPUT_CALL ? WEIR_E_CLOSED : 0;
    WEIR_ASSERT(in->now_us >= node->now_us);
    node->now_us = in->now_us;
    switch (in->kind) {
    case NODE_INPUT_DATAGRAM: on_datagram(node, in->datagram); break;
    case NODE_INPUT_DEADLINE: on_deadline(node); break;
    case NODE_INPUT_TURN: on_turn(node); break;
    case NODE_INPUT_RESOLVED: dial_on_resolved(node, in); break;
    case NODE_INPUT_LOCAL: result = local_on_input(node, in); break;
    case NODE_INPUT_CALL: result = calls_do(node, in->call); break;
    default: WEIR_ASSERT(in->kind == NODE_INPUT_CALL);
    }
    node->error_kept = result < 0;
    settle(node);
    if (drain_is_on(node)) {
        drain_settle(node);
        settle(node);
    }
    owners_on_settled(node);
    node->error_kept = false;
    return result;
}

bool node_next_datagram(struct node *node, struct datagram_out *out, uint64_t now_us)
{
    if (node->closed) return false;
    for (unsigned i = 0; i < node->transport_count; i++) {
        struct transport *t = node->transports[node->transport_next];
        node->transport_next = (uint8_t)((node->transport_next + 1u) % node->transport_count);
        if (t->ops->next_datagram(t, out, now_us)) return true;
    }
    return false;
}

uint64_t node_deadline(const struct node *node)
{
    if (node->closed) return UINT64_MAX;
    uint64_t when = dial_deadline(node), drain = drain_deadline(node);
    if (drain < when) when = drain;
    uint64_t owners = owners_deadline(node);
    if (owners < when) when = owners;
    for (unsigned i = 0; i < node->transport_count; i++) {
        const struct transport *t = node->transports[i];
        uint64_t at = t->ops->deadline(t);
        /* Facts that were held back while events waited: look at them now. */
        if (!list_is_empty(&t->ready)) at = node->now_us;
        if (at < when) when = at;
    }
    return when;
}

bool node_is_closed(const struct node *node)
{
    return node->closed;
}
void *node_driver_context(const struct node *node)
{
    return node->driver_context;
}
const struct node_driver *node_driver_of(const struct node *node)
{
    return node->driver;
}
struct metrics *node_metrics(struct node *node)
{
    return node->env.metrics;
}
struct log *node_log(struct node *node)
{
    return node->env.log;
}
uint64_t node_number(const struct node *node)
{
    return node->number;
}
void node_set_number(struct node *node, uint32_t number)
{
    node->number = number;
}
uint64_t node_memory_used(const struct node *node)
{
    return node->budget.used;
}
const struct limits *node_limits(const struct node *node)
{
    return node->env.limits;
}
const struct peer_id *node_peer(const struct node *node)
{
    return &node->key.id;
}
uint32_t node_peers_connected(const struct node *node)
{
    return node->peers_up;
}
