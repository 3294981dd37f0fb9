/* SPDX-License-Identifier: MIT */
/* The UDP transport of a node: which connection a datagram is for, whose timer is due, who sends
 * next.
 *
 * Connections that may have something to send stand in one row and get one run of datagrams at a
 * time, so that a bulk transfer to one peer does not hold up another. */
#include "quic/endpoint.h"
#include "base/assert.h"
#include "crypto/hkdf.h"
#include "quic/connection.h"
#include "quic/quic.h"
#include <string.h>

static const void *cid_key(const void *value, size_t *len)
{
    const struct local_cid *l = value;
    *len = sizeof l->bytes;
    return l->bytes;
}

static const void *first_key(const void *value, size_t *len)
{
    const struct connection *c = value;
    *len = c->hs->first_key_len;
    return c->hs->first_key;
}

static const void *reset_key(const void *value, size_t *len)
{
    const struct connection *c = value;
    *len = sizeof c->reset_token;
    return c->reset_token;
}

static const void *host_key(const void *value, size_t *len)
{
    const struct half_open_host *h = value;
    *len = sizeof h->host;
    return &h->host;
}

static int endpoint_open(const struct transport_env *env, struct transport **out)
{
    struct endpoint_state *e = mem_alloc(env->mem, sizeof *e);
    if (e == NULL) return WEIR_E_MEMORY;
    transport_init(&e->base, &quic_transport, env);
    map_init(&e->by_cid, env->mem, env->hash_key, cid_key);
    map_init(&e->by_first, env->mem, env->hash_key, first_key);
    map_init(&e->by_reset, env->mem, env->hash_key, reset_key);
    map_init(&e->hosts, env->mem, env->hash_key, host_key);
    heap_init(&e->timers, env->mem);
    list_init(&e->sendable);
    list_init(&e->touched);
    list_init(&e->all);
    /* From the identity, so that a node that restarts can reset the connections of its last run
     * (RFC 9000 10.3.2). */
    static const char label[] = "weir stateless reset v1";
    uint8_t secret[KEY_PAIR_SECRET_SIZE];
    key_pair_secret(env->key, secret);
    hmac_sha256(secret, sizeof secret, label, sizeof label - 1, e->reset_key);
    secret_zero(secret, sizeof secret);
    uint8_t static_secret[X25519_SIZE];
    entropy_fill(env->entropy, static_secret, sizeof static_secret);
    handshake_own_init(&e->own, env->key, static_secret);
    secret_zero(static_secret, sizeof static_secret);
    *out = &e->base;
    return 0;
}

static void endpoint_close(struct transport *t)
{
    struct endpoint_state *e = endpoint_of(t);
    const struct mem *mem = t->env->mem;
    struct connection *c;
    while ((c = list_first(&e->all, struct connection, all_link)) != NULL) connection_destroy(c);
    map_free(&e->by_cid);
    map_free(&e->by_first);
    map_free(&e->by_reset);
    map_free(&e->hosts);
    heap_free(&e->timers);
    mem_free(mem, e->stateless,
             e->stateless != NULL ? ENDPOINT_STATELESS_MAX * sizeof *e->stateless : 0);
    secret_zero(e, sizeof *e);
    mem_free(mem, e, sizeof *e);
}

static void end_run(struct endpoint_state *e);

bool endpoint_register(struct endpoint_state *e, struct connection *c)
{
    /* The timer's place is taken now, so that later moves cannot fail. */
    if (!heap_set(&e->timers, &c->timer, UINT64_MAX)) return false;
    if (!conn_ids_open(c)) {
        heap_remove(&e->timers, &c->timer);
        return false;
    }
    list_push_back(&e->all, &c->all_link);
    e->connections++;
    return true;
}

void endpoint_unregister(struct endpoint_state *e, struct connection *c)
{
    if (!list_is_linked(&c->all_link)) return;
    endpoint_half_open_end(e, c);
    if (e->run_owner == c) end_run(e);
    conn_ids_close(c);
    if (c->has_reset_token) (void)map_remove(&e->by_reset, c->reset_token, sizeof c->reset_token);
    heap_remove(&e->timers, &c->timer);
    list_remove(&c->send_link);
    list_remove(&c->touched_link);
    list_remove(&c->all_link);
    e->connections--;
}

bool endpoint_add_cid(struct endpoint_state *e, struct local_cid *l)
{
    return map_add(&e->by_cid, l);
}

void endpoint_remove_cid(struct endpoint_state *e, const struct local_cid *l)
{
    if (e->run_cid == l) e->run_cid = NULL;
    (void)map_remove(&e->by_cid, l->bytes, sizeof l->bytes);
}

void endpoint_sendable(struct endpoint_state *e, struct connection *c)
{
    if (!list_is_linked(&c->send_link)) list_push_back(&e->sendable, &c->send_link);
}

void endpoint_reset_token(const struct endpoint_state *e, const struct cid *cid,
                          uint8_t token[TOKEN_RESET_LEN])
{
    token_reset(e->reset_key, cid, token);
}

void endpoint_learn_reset(struct endpoint_state *e, struct connection *c)
{
    const uint8_t *token = conn_ids_reset_token(c);
    if (c->has_reset_token) (void)map_remove(&e->by_reset, c->reset_token, sizeof c->reset_token);
    c->has_reset_token = false;
    if (token == NULL) return;
    memcpy(c->reset_token, token, sizeof c->reset_token);
    /* A token that another connection has too is a peer's lie; the first keeps it. */
    c->has_reset_token = map_add(&e->by_reset, c);
}

/* A datagram whose id is unknown may be a stateless reset (RFC 9000 10.3.1). */
static bool try_reset(struct endpoint_state *e, const struct datagram_in *in, const uint8_t *data,
                      size_t len, uint64_t now_us)
{
    if (len < PACKET_RESET_LEN_MIN || (data[0] & 0x80) != 0) return false;
    const uint8_t *last16 = data + len - TOKEN_RESET_LEN;
    struct connection *c = map_get(&e->by_reset, last16, TOKEN_RESET_LEN);
    if (c == NULL || !endpoint_equal(&c->path.remote, &in->remote) || !conn_ids_is_reset(c, last16))
        return false;
    metric_inc(e->base.env->metrics, METRIC_STATELESS_RESET_RECEIVED);
    conn_close_silent(c, CONN_END_RESET, WEIR_E_PEER_CLOSED, WEIR_REASON_STATELESS_RESET, NULL,
                      now_us);
    connection_refresh(c, now_us);
    return true;
}

/* The destination id of the first packet, if it has the length of ours. */
static struct local_cid *look_up(struct endpoint_state *e, const uint8_t *data, size_t len)
{
    const uint8_t *id = data + 1;
    if (len < 1 + CID_LOCAL_LEN) return NULL;
    if ((data[0] & 0x80) != 0) {
        if (len < 6 + CID_LOCAL_LEN || data[5] != CID_LOCAL_LEN) return NULL;
        id = data + 6;
    }
    /* The datagrams of a run mostly come to one id. */
    if (e->run_cid == NULL || memcmp(e->run_cid->bytes, id, CID_LOCAL_LEN) != 0)
        e->run_cid = map_get(&e->by_cid, id, CID_LOCAL_LEN);
    return e->run_cid;
}

static void one(struct endpoint_state *e, const struct datagram_in *in, uint8_t *data, size_t len,
                uint64_t now_us)
{
    struct metrics *m = e->base.env->metrics;
    metric_inc(m, METRIC_DATAGRAMS_RECEIVED); /* empty ones too: CVE-2026-11352 */
    metric_add(m, METRIC_BYTES_RECEIVED, len);
    const struct local_cid *to = look_up(e, data, len);
    if (to == NULL) {
        if (!try_reset(e, in, data, len, now_us)) endpoint_on_stranger(e, in, data, len, now_us);
        return;
    }
    struct connection *c = to->owner;
    c->in_id = to->sequence;
    /* Before confirmation the address is fixed (wire.md 5.7). */
    if (!c->confirmed && !endpoint_equal(&c->path.remote, &in->remote)) {
        metric_inc(m, METRIC_DROPPED_UNKNOWN);
        return;
    }
    conn_in_datagram(c, in, data, len, now_us);
    connection_refresh(c, now_us);
}

static void end_run(struct endpoint_state *e)
{
    if (e->run_owner == NULL) return;
    protect_cipher_end(&e->run_cipher);
    e->run_owner = NULL;
}

const struct protect_cipher *endpoint_run_cipher(struct endpoint_state *e, struct connection *c)
{
    if (e->run_owner == c && e->run_updates == c->keys.updates) return &e->run_cipher;
    end_run(e);
    protect_cipher_init(&e->run_cipher, &c->keys.read);
    e->run_owner = c;
    e->run_updates = c->keys.updates;
    return &e->run_cipher;
}

static void endpoint_on_datagram(struct transport *t, const struct datagram_in *in, uint64_t now_us)
{
    struct endpoint_state *e = endpoint_of(t);
    size_t segment = in->segment != 0 ? in->segment : in->len, at = 0;
    do {
        size_t len = in->len - at < segment ? in->len - at : segment;
        one(e, in, in->data + at, len, now_us);
        at += len;
    } while (at < in->len);
    end_run(e);
    e->run_cid = NULL;
}

static void endpoint_on_deadline(struct transport *t, uint64_t now_us)
{
    struct endpoint_state *e = endpoint_of(t);
    struct heap_item *item;
    /* Each pass moves its timer into the future or removes it (connection_settle); the count is a
     * backstop against a timer that does not. */
    for (uint32_t i = 0; i < 4 * e->connections + 16; i++) {
        item = heap_first(&e->timers);
        if (item == NULL || item->when > now_us) return;
        struct connection *c = list_entry(item, struct connection, timer);
        conn_timers_on_deadline(c, now_us);
        connection_refresh(c, now_us);
    }
}

static void touch(struct connection *c)
{
    if (!list_is_linked(&c->touched_link)) list_push_back(&c->owner->touched, &c->touched_link);
}

static void endpoint_on_turn(struct transport *t, uint64_t now_us)
{
    struct endpoint_state *e = endpoint_of(t);
    while (!list_is_empty(&e->touched)) {
        struct connection *c = list_first(&e->touched, struct connection, touched_link);
        list_remove(&c->touched_link);
        if (c->phase != QUIC_UP) continue;
        streams_on_turn(&c->base);
        streams_on_time(&c->base, now_us);
        connection_refresh(c, now_us);
    }
}

static int endpoint_dial(struct transport *t, const struct transport_dial *dial, uint64_t now_us,
                         struct transport_conn **out)
{
    struct connection *c = connection_dial(endpoint_of(t), dial, now_us);
    if (c == NULL) return WEIR_E_MEMORY;
    connection_refresh(c, now_us);
    *out = &c->base;
    return 0;
}

static void endpoint_conn_close(struct transport_conn *base, uint32_t reason, const char *text,
                                size_t text_len, uint64_t now_us)
{
    struct connection *c = connection_of(base);
    conn_close_application(c, reason, text, text_len, now_us);
    connection_refresh(c, now_us);
}

static void endpoint_conn_free(struct transport_conn *base)
{
    struct connection *c = connection_of(base);
    c->freed_by_node = true;
    conn_release(base); /* node's part: streams and the end record */
    connection_refresh(c, c->now_us);
}

static void endpoint_conn_hold(struct transport_conn *base, bool held, uint64_t now_us)
{
    struct connection *c = connection_of(base);
    c->held = held;
    connection_refresh(c, now_us);
}

static void endpoint_conn_flush(struct transport_conn *base, uint64_t now_us)
{
    struct connection *c = connection_of(base);
    if (c->phase == QUIC_UP) connection_refresh(c, now_us);
}

static void endpoint_stream_changed(struct stream *s, unsigned what, uint64_t now_us)
{
    struct connection *c = connection_of(s->conn);
    if (c->phase != QUIC_UP) return;
    if ((what & STREAM_CONSUMED) != 0 && now_us != 0)
        streams_update_credit(s, c->rtt.smoothed_us, now_us);
    /* Without a time it is a stream that goes and makes room for others: some are node's alone, and
     * no turn of the application follows. */
    if (now_us == 0 && (what & STREAM_CONSUMED) != 0) endpoint_sendable(c->owner, c);
    touch(c);
}

static void endpoint_network_changed(struct transport *t, uint64_t now_us)
{
    struct endpoint_state *e = endpoint_of(t);
    for (struct list *l = e->all.next, *next; l != &e->all; l = next) {
        struct connection *c = list_entry(l, struct connection, all_link);
        next = l->next; /* a connection that is over may be freed here */
        c->now_us = now_us;
        conn_path_network_changed(c);
        connection_refresh(c, now_us);
    }
}

/* What a DATAGRAM frame may hold in an otherwise empty packet (RFC 9221 section 3: the peer's
 * limit counts type and length too), behind the stream's id (docs/wire.md 12.7). */
static uint32_t endpoint_datagram_max(const struct transport_conn *base)
{
    enum { FRAME = 1 + 2, STREAM_ID = 8, PACKET = 1 + CID_MAX + 4 + PACKET_TAG_LEN };
    const struct connection *c = (const struct connection *)(const void *)base;
    uint64_t max = c->datagram_bytes - PACKET - FRAME - STREAM_ID;
    if (c->datagram_frame_max <= FRAME + STREAM_ID) return 0;
    if (c->datagram_frame_max - FRAME - STREAM_ID < max)
        max = c->datagram_frame_max - FRAME - STREAM_ID;
    return (uint32_t)max;
}

static uint64_t endpoint_deadline(const struct transport *t)
{
    const struct endpoint_state *e = (const struct endpoint_state *)(const void *)t;
    const struct heap_item *first = heap_first(&e->timers);
    return first == NULL ? UINT64_MAX : first->when;
}

static const uint8_t *endpoint_conn_peer_key(const struct transport_conn *base)
{
    return peer_id_key(&((const struct connection *)(const void *)base)->peer);
}

static const char *endpoint_conn_network(const struct transport_conn *base)
{
    const struct connection *c = (const struct connection *)(const void *)base;
    return c->network == NULL ? "" : c->network;
}

static bool endpoint_next_datagram(struct transport *t, struct datagram_out *out, uint64_t now_us)
{
    struct endpoint_state *e = endpoint_of(t);
    struct metrics *m = t->env->metrics;
    bool found = endpoint_next_stateless(e, out);
    while (!found && !list_is_empty(&e->sendable)) {
        struct connection *c = list_first(&e->sendable, struct connection, send_link);
        list_remove(&c->send_link);
        found = conn_out_datagrams(c, out, now_us);
        /* One that could not send now waits for a datagram, a timer or the application; one that
         * did goes to the end of the row if there may be more. Either may be freed here. */
        connection_settle(c, found, now_us);
    }
    if (!found) return false;
    metric_add(m, METRIC_DATAGRAMS_SENT, (out->len + out->segment - 1) / out->segment);
    metric_add(m, METRIC_BYTES_SENT, out->len);
    return true;
}

const struct transport_ops quic_transport = {
    .name = "udp",
    .family_mask = 1,
    .open = endpoint_open,
    .close = endpoint_close,
    .on_datagram = endpoint_on_datagram,
    .on_deadline = endpoint_on_deadline,
    .on_turn = endpoint_on_turn,
    .dial = endpoint_dial,
    .conn_close = endpoint_conn_close,
    .conn_free = endpoint_conn_free,
    .conn_hold = endpoint_conn_hold,
    .conn_flush = endpoint_conn_flush,
    .network_changed = endpoint_network_changed,
    .stream_changed = endpoint_stream_changed,
    .deadline = endpoint_deadline,
    .conn_info = connection_info,
    .conn_peer_key = endpoint_conn_peer_key,
    .datagram_max = endpoint_datagram_max,
    .conn_network = endpoint_conn_network,
    .next_datagram = endpoint_next_datagram,
};
