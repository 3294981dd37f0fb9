/* SPDX-License-Identifier: MIT */
/* A node for tests of host, included by them: it keeps what comes in, and gives out what it was
 * told to. It stands in for core/node, whose functions it defines as far as host calls them. */
#include "node/node.h"
#include <string.h>

enum { FAKE_INPUTS = 256, FAKE_DATAGRAMS = 64, FAKE_ADDRESSES = 32 };

struct fake_input {
    uint32_t kind, socket;
    uint64_t now_us;
    struct endpoint local, remote;
    size_t len, segment;
    uint8_t first; /* the datagram's first byte */
    uint64_t token;
    int error;
    uint32_t count;
    bool ip6_first;
    struct endpoint addresses[FAKE_ADDRESSES];
};
struct node {
    struct fake_input inputs[FAKE_INPUTS];
    uint32_t input_count;                    /* kept; further ones are only counted in kinds */
    uint32_t kinds[8];                       /* inputs by kind */
    struct datagram_out out[FAKE_DATAGRAMS]; /* to give, data filled with first */
    uint8_t out_first[FAKE_DATAGRAMS];
    uint32_t out_next, out_count, asked;
    uint64_t deadline_us;
    uint32_t events; /* that wait */
    uint32_t peers;  /* connected, it says; each datagram counts as a packet */
    bool has_endless_events;
    bool is_silent;     /* datagrams and answers make no event */
    bool closes_socket; /* at the first datagram */
    bool is_closed;
    void *driver_context;
    const struct node_driver *driver;
    struct metrics metrics;
    struct log log;
};

static void fake_keep(struct node *node, const struct node_input *in)
{
    struct fake_input *kept = &node->inputs[node->input_count];

    if (node->input_count == FAKE_INPUTS) return;
    node->input_count++;
    memset(kept, 0, sizeof *kept);
    kept->kind = in->kind;
    kept->now_us = in->now_us;
    if (in->kind == NODE_INPUT_DATAGRAM) {
        kept->socket = in->datagram->socket;
        kept->local = in->datagram->local;
        kept->remote = in->datagram->remote;
        kept->len = in->datagram->len;
        kept->segment = in->datagram->segment;
        kept->first = in->datagram->len > 0 ? in->datagram->data[0] : 0;
    }
    if (in->kind == NODE_INPUT_RESOLVED) {
        kept->token = in->resolved.token;
        kept->error = in->resolved.error;
        kept->count = in->resolved.count;
        kept->ip6_first = in->resolved.ip6_first;
        memcpy(kept->addresses, in->resolved.addresses,
               in->resolved.count * sizeof kept->addresses[0]);
    }
}

int64_t node_input(struct node *node, const struct node_input *in)
{
    fake_keep(node, in);
    if (in->kind == NODE_INPUT_DATAGRAM) metric_inc(&node->metrics, METRIC_PACKETS_RECEIVED);
    node->kinds[in->kind]++;
    if (in->kind == NODE_INPUT_DEADLINE) {
        node->deadline_us = UINT64_MAX;
        node->events++;
    }
    if (in->kind == NODE_INPUT_DATAGRAM || in->kind == NODE_INPUT_RESOLVED) {
        if (!node->is_silent) node->events++;
    }
    if (in->kind == NODE_INPUT_DATAGRAM && node->closes_socket) {
        node->driver->unlisten(node->driver_context, in->datagram->socket);
    }
    return 0;
}

bool node_next_datagram(struct node *node, struct datagram_out *out, uint64_t now_us)
{
    struct datagram_out *next = &node->out[node->out_next];

    (void)now_us;
    node->asked++;
    if (node->out_next == node->out_count) return false;
    WEIR_ASSERT(next->len <= out->cap);
    out->local = next->local;
    out->remote = next->remote;
    out->socket = next->socket;
    out->ecn = next->ecn;
    out->len = next->len;
    out->segment = next->segment;
    memset(out->data, node->out_first[node->out_next], out->len);
    node->out_next++;
    metric_inc(&node->metrics, METRIC_PACKETS_SENT);
    return true;
}

uint32_t node_peers_connected(const struct node *node)
{
    return node->peers;
}

uint64_t node_deadline(const struct node *node)
{
    return node->deadline_us;
}

bool node_has_events(const struct node *node)
{
    return node->events > 0 || node->has_endless_events;
}

uint32_t node_next_events(struct node *node, weir_event *events, uint32_t cap)
{
    uint32_t count = node->has_endless_events ? cap : node->events;

    if (count > cap) count = cap;
    memset(events, 0, count * sizeof *events);
    if (!node->has_endless_events) node->events -= count;
    return count;
}

bool node_is_closed(const struct node *node)
{
    return node->is_closed;
}

/* It has no local streams. */
int64_t node_local_peek(const struct node *node, uint64_t token, const uint8_t **data, bool *fin)
{
    (void)node;
    (void)token;
    *data = NULL;
    *fin = false;
    return WEIR_E_STALE;
}

int64_t node_local_credit(struct node *node, uint64_t token)
{
    (void)node;
    (void)token;
    return WEIR_E_STALE;
}

struct metrics *node_metrics(struct node *node)
{
    return &node->metrics;
}

struct log *node_log(struct node *node)
{
    return &node->log;
}

/** Let the node send len bytes, cut into segments, that begin with that byte. */
static void fake_send(struct node *node, uint32_t socket, const struct endpoint *remote, size_t len,
                      size_t segment, uint8_t first)
{
    struct datagram_out *out = &node->out[node->out_count];

    WEIR_ASSERT(node->out_count < FAKE_DATAGRAMS);
    memset(out, 0, sizeof *out);
    out->socket = socket;
    out->remote = *remote;
    out->len = len;
    out->segment = segment;
    node->out_first[node->out_count++] = first;
}

/** The i-th input of a kind, or NULL. */
static const struct fake_input *fake_input_of(const struct node *node, uint32_t kind, uint32_t i)
{
    uint32_t at;

    for (at = 0; at < node->input_count; at++) {
        if (node->inputs[at].kind == kind && i-- == 0) return &node->inputs[at];
    }
    return NULL;
}
