/* SPDX-License-Identifier: MIT */
/* The getters behind the ABI's info calls. */
#include "address/book.h"
#include "base/bytes.h"
#include "node/conns.h"
#include "node/dial.h"
#include "node/exchanges.h"
#include "node/local.h"
#include "node/peers.h"
#include "node/peers_table.h"
#include "node/protocols.h"
#include "node/registry.h"
#include <stdio.h>
#include <string.h>

static void put_peer(weir_peer_id *out, const struct peer_id *peer)
{
    out->len = peer->len;
    memcpy(out->bytes, peer->bytes, sizeof out->bytes);
}

/* Endpoints as multiaddr text, so that it can be dialled. */
static void put_endpoint(char *out, size_t cap, const struct endpoint *endpoint)
{
    struct multiaddr m = multiaddr_of(endpoint);
    out[0] = 0;
    if (endpoint->family != ENDPOINT_NONE && multiaddr_format(&m, out, cap) < 0) out[0] = 0;
}

static void put_end(weir_connection_info *info, const struct transport_conn *c)
{
    info->error = conns_end_error(c);
    if (c->end == NULL) return;
    info->reason = c->end->reason;
    info->closed_by = c->end->by;
    memcpy(info->closed_text, c->end->text, c->end->text_len);
}

static void put_conn(weir_connection_info *info, const struct transport_conn *c)
{
    const struct transport_ops *ops = c->transport->ops;
    struct conn_info now;
    memset(&now, 0, sizeof now);
    ops->conn_info(c, &now);
    info->state = c->state == CONN_CONNECTING ? 0 : c->state == CONN_UP ? 1 : 2;
    info->is_dialled = c->role == CONN_DIALLER;
    info->user = c->user;
    info->rtt_us = now.rtt_us;
    info->rtt_min_us = now.rtt_min_us;
    info->bytes_sent = now.bytes_sent;
    info->bytes_received = now.bytes_received;
    info->packets_sent = now.packets_sent;
    info->packets_received = now.packets_received;
    info->packets_lost = now.packets_lost;
    info->congestion_window_bytes = now.window_bytes;
    info->in_flight_bytes = now.in_flight_bytes;
    info->streams_open = c->streams == NULL ? 0 : c->streams->count;
    info->memory_bytes = now.memory_bytes;
    info->datagram_bytes = now.datagram_bytes;
    info->datagram_max = c->state == CONN_UP ? ops->datagram_max(c) : 0;
    info->cipher = now.suite;
    info->ecn = now.ecn;
    info->moves = now.moves;
    info->key_updates = now.key_updates;
    info->spurious_losses = now.spurious_losses;
    const struct peer_id peer = conns_peer(c);
    put_peer(&info->peer, &peer);
    (void)snprintf(info->transport, sizeof info->transport, "%s", ops->name);
    const char *network = ops->conn_network(c);
    (void)snprintf(info->network, sizeof info->network, "%s", network == NULL ? "" : network);
    put_endpoint(info->remote, sizeof info->remote, &now.remote);
    put_endpoint(info->local, sizeof info->local, &now.local);
    if (c->state >= CONN_CLOSING) put_end(info, c);
}

int node_connection_info(struct node *node, uint64_t connection, weir_connection_info *info)
{
    struct dial *dial;
    int error;
    if (node->closed) return WEIR_E_CLOSED;
    const struct transport_conn *c = conns_get(node, connection, &dial, &error);
    if (error != 0) return error;
    memset(info, 0, sizeof *info);
    info->size = (uint32_t)sizeof *info;
    if (dial != NULL) {
        dial_fill_info(dial, info);
    } else {
        put_conn(info, c);
    }
    return 0;
}

int node_connection_report(struct node *node, uint64_t connection, char *text, uint32_t cap)
{
    struct dial *dial;
    int error;
    if (node->closed) return WEIR_E_CLOSED;
    const struct transport_conn *c = conns_get(node, connection, &dial, &error);
    if (error != 0) return error;
    if (dial != NULL) return dial_report(node, dial, text, cap);
    return dial_report_of_conn(c, text, cap);
}

/* What a lane carried for the application: the opener's begins with the protocol's name. */
static uint64_t without_head(const struct protocol *p, bool is_openers, uint64_t bytes)
{
    uint64_t head = p == NULL || !is_openers ? 0 : varint_size(p->len) + p->len;
    return bytes > head ? bytes - head : 0;
}

int node_stream_info(struct node *node, uint64_t stream, weir_stream_info *info)
{
    int error;
    if (node->closed) return WEIR_E_CLOSED;
    const struct stream *s = handle_get(&node->handles, stream, HANDLE_STREAM, &error);
    if (s == NULL) return error;
    const struct protocol *p = protocols_at(node, s->node_protocol);
    *info = (weir_stream_info){
        .size = (uint32_t)sizeof *info,
        .is_local = s->is_local,
        .is_one_way = !s->has_in || !s->has_out,
        .urgency = s->urgency,
        .write_state = s->has_out ? s->out.state : 3u,
        .read_state = !s->has_in        ? 3u
                      : s->in.was_reset ? 2u
                                        : s->in.state,
        .write_reason = s->out.stopped ? s->out.stop_code : s->out.reset_code,
        .read_reason = s->in.was_reset ? s->in.reset_code : s->in.stop_code,
        .user = s->user,
        .connection = s->conn->handle,
        .id = s->id,
        .bytes_written = without_head(p, s->is_local, s->out.written),
        .bytes_acknowledged = without_head(p, s->is_local, s->out.ring.base),
        .bytes_readable = s->has_in ? receive_lane_readable(&s->in) : 0,
        .bytes_read = without_head(p, !s->is_local, s->in.ring.base),
        .bytes_writable = stream_writable(s),
        .blocked_by = s->blocked.why,
        .blocked_on = s->blocked.on,
        .blocked_since_us = s->blocked.since_us,
    };
    if (p != NULL) memcpy(info->protocol, p->name, p->len);
    return 0;
}

static void put_record(weir_peer_info *info, const struct peer_record *record)
{
    if (record == NULL) return;
    info->holds = record->holds;
    info->access = record->access;
}

static void put_primary(const struct node *node, weir_peer_info *info,
                        const struct transport_conn *c)
{
    struct conn_info now;
    memset(&now, 0, sizeof now);
    c->transport->ops->conn_info(c, &now);
    info->is_dialled = c->role == CONN_DIALLER;
    info->connection = c->handle;
    info->rtt_us = now.rtt_us;
    info->up_since_us = conns_up_since(node, c);
    for (; c != NULL; c = registry_next(c)) info->connections += c->state == CONN_UP ? 1u : 0u;
}

static void put_all(struct node *node, const struct peer_id *peer, weir_peer_info *info)
{
    struct book_address known[BOOK_ADDRESSES_MAX / 4];
    const struct transport_conn *c = registry_find(node, peer);
    memset(info, 0, sizeof *info);
    info->size = (uint32_t)sizeof *info;
    put_peer(&info->peer, peer);
    put_record(info, peers_record(node, peer));
    /* One that ended stays registered until the application has heard of its beginning. */
    if (c != NULL && c->state == CONN_UP) put_primary(node, info, c);
    if (peers_book(node) != NULL)
        info->addresses =
            book_get(peers_book(node), peer, node->now_us, known, sizeof known / sizeof known[0]);
}

/* What only node keeps is not the application's matter. */
static bool is_told(const struct peer_record *record)
{
    return record != NULL && (record->holds > 0 || record->access != WEIR_ACCESS_DEFAULT);
}

int node_peer_info(struct node *node, const struct peer_id *peer, weir_peer_info *info)
{
    if (node->closed) return WEIR_E_CLOSED;
    put_all(node, peer, info);
    if (info->connections > 0 || info->addresses > 0) return 0;
    return is_told(peers_record(node, peer)) ? 0 : WEIR_E_NOT_FOUND;
}

/* First the connected peers, then those that only have a record. */
bool node_peer_next(struct node *node, struct node_peer_cursor *cursor, weir_peer_info *info)
{
    const struct transport_conn *c;
    const struct peer_record *record;
    if (node->closed) return false;
    while (!cursor->records && (c = conns_next(node, &cursor->place)) != NULL) {
        if ((c->node_flags & CONN_PRIMARY) == 0 || c->state != CONN_UP) continue;
        const struct peer_id peer = conns_peer(c);
        put_all(node, &peer, info);
        return true;
    }
    if (!cursor->records) *cursor = (struct node_peer_cursor){.records = true};
    while (peers_table(node) != NULL &&
           (record = map_next(&peers_table(node)->records, &cursor->place)) != NULL) {
        c = registry_find(node, &record->id);
        if ((c != NULL && c->state == CONN_UP) || !is_told(record)) continue;
        put_all(node, &record->id, info);
        return true;
    }
    return false;
}

int node_peer_address(struct node *node, const struct peer_id *peer, uint32_t i, char *text,
                      uint32_t cap)
{
    struct book_address known[BOOK_ADDRESSES_MAX / 4];
    uint32_t count = 0;
    if (node->closed) return WEIR_E_CLOSED;
    if (peers_book(node) != NULL)
        count =
            book_get(peers_book(node), peer, node->now_us, known, sizeof known / sizeof known[0]);
    return i < count ? multiaddr_format(&known[i].address, text, cap) : WEIR_E_NOT_FOUND;
}

uint64_t node_limit_used(const struct node *node, unsigned limit)
{
    switch (limit) {
    case LIMIT_NODE_MEMORY: return node->budget.used;
    case LIMIT_PEERS: return node->peers_up;
    case LIMIT_LOCAL_STREAMS: return local_open_count(node);
    case LIMIT_REQUESTS_OUT: return exchanges_asked(node);
    default: return UINT64_MAX;
    }
}
