/* SPDX-License-Identifier: MIT */
/* A connection's life: made by a dial or by a first Initial, freed when both node and the closing
 * period let go. */
#include "quic/connection.h"
#include "address/special.h"
#include "base/assert.h"
#include "base/charged.h"
#include <string.h>

enum {
    ROW_US = 1000, /* when to look again at one that waits in the row to send */
    /* What Ethernet carries: 1500 less the headers of IP and UDP. */
    ETHERNET_IP4_BYTES = 1472,
    ETHERNET_IP6_BYTES = 1452
};

/* On loopback nothing is smaller than what fits into Ethernet; elsewhere begin with what every path
 * carries (RFC 9000 14.1) and look for more. */
static void path_mtu_init(struct connection *c)
{
    const struct transport_env *env = connection_env(c);
    const struct endpoint *remote = &c->path.remote;
    uint32_t most = remote->family == ENDPOINT_IP6 ? ETHERNET_IP6_BYTES : ETHERNET_IP4_BYTES;
    uint32_t start = PACKET_DATAGRAM_MIN;
    if (endpoint_class(remote) == ADDRESS_CLASS_LOOPBACK) start = most = ETHERNET_IP6_BYTES;
    if (env->datagram_bytes != 0) start = most = env->datagram_bytes;
    pmtu_init(&c->pmtu, env->datagram_bytes != 0 ? start : PACKET_DATAGRAM_MIN, start, most);
    if (c->peer_datagram_max != 0) pmtu_set_ceiling(&c->pmtu, c->peer_datagram_max);
    c->datagram_bytes = pmtu_bytes(&c->pmtu);
}

void connection_capacity_init(struct connection *c, uint64_t now_us)
{
    static const struct congestion_ops *const controllers[] = {
        &congestion_cubic, &congestion_newreno, &congestion_bbr};
    const struct transport_env *env = connection_env(c);
    uint64_t seed;
    path_mtu_init(c);
    ecn_restart(&c->ecn, !env->ecn_off);
    entropy_fill(env->entropy, &seed, sizeof seed);
    if (congestion_open(&c->congestion, controllers[env->congestion], c->datagram_bytes, env->mem,
                        env->budget, seed, now_us, NULL) != 0) {
        /* No memory for a model of the path: the default needs none. */
        congestion_init(&c->congestion, &congestion_cubic, c->datagram_bytes);
    }
    pacer_init(&c->pacer, now_us, c->congestion.window_bytes, c->rtt.smoothed_us,
               c->datagram_bytes);
}

static struct connection *make(struct endpoint_state *owner, enum conn_role role,
                               const struct endpoint *remote, uint64_t now_us)
{
    const struct transport_env *env = owner->base.env;
    struct connection *c = charged_alloc(env->mem, env->budget, sizeof *c);
    if (c == NULL) return NULL;
    conn_init(&c->base, &owner->base, role);
    c->owner = owner;
    c->timer.order = owner->order++;
    c->opened_us = c->received_us = c->idle_base_us = c->now_us = now_us;
    c->path.remote = *remote;
    c->path.validated = role == CONN_DIALLER;
    c->peer_min_ack_us = PARAMS_ABSENT;
    ecn_init(&c->ecn, !env->ecn_off);
    for (unsigned i = 0; i < 3; i++) c->largest[i] = PACKET_NUMBER_NONE;
    ack_init(&c->acks[0], 0);
    ack_init(&c->acks[1], 0);
    ack_init(&c->ack_app, 25000);
    c->peer_ack_exponent = 3;
    rtt_init(&c->rtt);
    connection_capacity_init(c, now_us);
    loss_init(&c->loss, env->mem, env->budget, role == CONN_DIALLER, &c->rtt, &c->congestion,
              (uint32_t)env->limits->value[LIMIT_SENT_PACKETS], now_us);
    c->loss.on_packet = conn_loss_on_packet;
    c->loss.context = c;
    if (!endpoint_register(owner, c)) {
        loss_free(&c->loss);
        congestion_close(&c->congestion, env->mem, env->budget);
        charged_free(env->mem, env->budget, c, sizeof *c);
        return NULL;
    }
    return c;
}

struct connection *connection_dial(struct endpoint_state *owner, const struct transport_dial *dial,
                                   uint64_t now_us)
{
    struct connection *c = make(owner, CONN_DIALLER, &dial->remote, now_us);
    if (c == NULL) return NULL;
    c->is_known = true; /* node asked for it */
    c->path.socket = dial->socket;
    c->expected = dial->expected;
    if (conn_handshake_open_client(c) != 0) {
        connection_destroy(c);
        return NULL;
    }
    metric_inc(owner->base.env->metrics, METRIC_HANDSHAKES_STARTED_DIAL);
    endpoint_sendable(owner, c);
    return c;
}

struct connection *connection_accept(struct endpoint_state *owner,
                                     const struct connection_accept *accept, uint64_t now_us)
{
    struct connection *c = make(owner, CONN_LISTENER, &accept->in->remote, now_us);
    if (c == NULL) return NULL;
    c->path.local = accept->in->local;
    c->path.socket = accept->in->socket;
    if (conn_handshake_open_server(c, accept) != 0) {
        connection_destroy(c);
        return NULL;
    }
    metric_inc(owner->base.env->metrics, METRIC_HANDSHAKES_STARTED_ACCEPT);
    return c;
}

void connection_destroy(struct connection *c)
{
    const struct transport_env *env = connection_env(c);
    endpoint_unregister(c->owner, c);
    conn_handshake_free(c);
    conn_release(&c->base);
    loss_free(&c->loss);
    conn_path_free(c);
    congestion_close(&c->congestion, env->mem, env->budget);
    ack_free(&c->acks[0], env->mem);
    ack_free(&c->acks[1], env->mem);
    ack_free(&c->ack_app, env->mem);
    mem_free(env->mem, c->network, c->network != NULL ? c->network_len + 1u : 0);
    mem_free(env->mem, c->close_text, c->close_text_len);
    secret_zero(c, sizeof *c);
    charged_free(env->mem, env->budget, c, sizeof *c);
}

void connection_refresh(struct connection *c, uint64_t now_us)
{
    connection_settle(c, true, now_us);
}

void connection_settle(struct connection *c, bool sent, uint64_t now_us)
{
    struct endpoint_state *e = c->owner;
    if (c->phase > QUIC_UP && c->close_us <= now_us && (c->freed_by_node || !c->is_known) &&
        !c->close_send) {
        connection_destroy(c);
        return;
    }
    if (sent && conn_out_wants(c, now_us)) endpoint_sendable(e, c);
    uint64_t at = conn_timers_deadline(c);
    if (c->phase > QUIC_UP && c->close_us <= now_us) at = UINT64_MAX; /* waits for node alone */
    /* What is due leaves when the row comes to it, and only that moves the deadline: until then the
     * timers of others get their turn, and a socket that takes nothing makes nobody spin. */
    if (at <= now_us && list_is_linked(&c->send_link)) at = now_us + ROW_US;
    if (at == UINT64_MAX)
        heap_remove(&e->timers, &c->timer);
    else if (!heap_set(&e->timers, &c->timer,
                       at)) /* room was made when the connection was registered */
        WEIR_ASSERT(false);
}

static uint64_t memory(const struct connection *c)
{
    uint64_t bytes = sizeof *c + (c->hs != NULL ? sizeof *c->hs : 0);
    for (unsigned i = 0; i < LOSS_SPACES; i++) {
        const struct sent *sent = &c->loss.spaces[i].sent;
        bytes += (uint64_t)sent->packet_capacity * sizeof *sent->packets +
                 (uint64_t)sent->frame_capacity * sizeof *sent->frames;
    }
    if (c->fallback != NULL) bytes += sizeof *c->fallback;
    if (c->probe != NULL) bytes += sizeof *c->probe;
    bytes += c->ack_app.ranges.capacity * sizeof *c->ack_app.ranges.items;
    if (c->base.streams != NULL)
        bytes += sizeof *c->base.streams + c->base.streams->budget.used +
                 map_bytes(&c->base.streams->by_id);
    return bytes;
}

void connection_info(const struct transport_conn *base, struct conn_info *out)
{
    const struct connection *c = (const struct connection *)(const void *)base;
    memset(out, 0, sizeof *out);
    out->local = c->path.local;
    out->remote = c->path.remote;
    if (rtt_is_sampled(&c->rtt)) {
        out->rtt_us = c->rtt.smoothed_us;
        out->rtt_min_us = c->rtt.min_us;
        out->rtt_variance_us = c->rtt.variance_us;
    }
    out->bytes_sent = c->bytes_out;
    out->bytes_received = c->bytes_in;
    out->packets_sent = c->packets_out;
    out->packets_received = c->packets_in;
    out->packets_lost = c->loss.lost_packets;
    out->window_bytes = c->congestion.window_bytes;
    out->in_flight_bytes = c->loss.in_flight_bytes;
    out->pto_count = c->loss.pto_total;
    out->congestion_events = c->congestion.events;
    out->datagram_bytes = c->datagram_bytes;
    out->spurious_losses = c->loss.spurious_packets;
    out->moves = c->moves;
    out->key_updates = c->key_updates;
    out->suite = c->has_write ? c->keys.write.suite : 0;
    out->ecn = c->ecn.state == ECN_CAPABLE;
    out->memory_bytes = memory(c);
}
