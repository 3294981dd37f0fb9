/* SPDX-License-Identifier: MIT */
/* A connection's life: made by a dial or by a first Initial, freed when both node and the closing
 * period let go. */
#include "quic/connection.h"
#include "address/special.h"
#include "base/assert.h"
#include "base/charged.h"
#include <string.h>

enum { ROW_US = 1000 }; /* when to look again at one that waits in the row to send */

/* On loopback nothing is smaller than what fits into Ethernet; elsewhere 1200 until path MTU
 * discovery exists. */
static uint32_t datagram_bytes(const struct transport_env *env, const struct endpoint *remote)
{
    if (env->datagram_bytes != 0) return env->datagram_bytes;
    return endpoint_class(remote) == ADDRESS_CLASS_LOOPBACK ? 1452 : PACKET_DATAGRAM_MIN;
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
    c->remote = *remote;
    c->datagram_bytes = datagram_bytes(env, remote);
    for (unsigned i = 0; i < 3; i++) c->largest[i] = PACKET_NUMBER_NONE;
    ack_init(&c->acks[0], 0);
    ack_init(&c->acks[1], 0);
    ack_init(&c->ack_app, 25000);
    c->peer_ack_exponent = 3;
    rtt_init(&c->rtt);
    congestion_init(&c->congestion, env->congestion == 1 ? &congestion_newreno : &congestion_cubic,
                    c->datagram_bytes);
    pacer_init(&c->pacer, now_us, c->congestion.window_bytes, c->rtt.smoothed_us,
               c->datagram_bytes);
    loss_init(&c->loss, env->mem, env->budget, role == CONN_DIALLER, &c->rtt, &c->congestion,
              (uint32_t)env->limits->value[LIMIT_SENT_PACKETS], now_us);
    c->loss.on_packet = conn_loss_on_packet;
    c->loss.context = c;
    c->local_cid.len = CID_LOCAL_LEN;
    entropy_fill(env->entropy, c->local_cid.bytes, CID_LOCAL_LEN);
    if (!endpoint_register(owner, c)) {
        loss_free(&c->loss);
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
    c->socket = dial->socket;
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
    c->local = accept->in->local;
    c->socket = accept->in->socket;
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
    ack_free(&c->acks[0], env->mem);
    ack_free(&c->acks[1], env->mem);
    ack_free(&c->ack_app, env->mem);
    mem_free(env->mem, c->network, c->network != NULL ? c->network_len + 1u : 0);
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
    out->local = c->local;
    out->remote = c->remote;
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
    out->memory_bytes = memory(c);
}
