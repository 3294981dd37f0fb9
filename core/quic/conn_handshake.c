/* SPDX-License-Identifier: MIT */
/* The handshake's place in a connection: levels, keys, and who is believed (docs/wire.md 5).
 *
 * Everybody on the path can read our first message and answer it, so a client keeps up to three
 * candidates, one per server SCID, each with its own copy of the Noise state; another e_s under the
 * same SCID begins that one anew. Nothing that a candidate says has any effect outside of it until
 * one message 2 verifies in full: then it is adopted, message 3 is written for it alone, and the
 * others are erased. A server has one candidate, its client, from the start; it believes nothing
 * before message 3. */
#include "base/assert.h"
#include "base/charged.h"
#include "crypto/schedule.h"
#include "quic/connection.h"
#include <string.h>

static const struct handshake_ops *const provider = &noise_handshake;

void conn_handshake_initial_keys(const struct cid *dcid, bool client, struct protect_keys *read,
                                 struct protect_keys *write)
{
    uint8_t of_client[32], of_server[32];
    schedule_initial(schedule_salt, SCHEDULE_SALT_SIZE, dcid->bytes, dcid->len, of_client,
                     of_server);
    (void)protect_keys_derive(client ? write : read, AEAD_CHACHA20_POLY1305, of_client);
    (void)protect_keys_derive(client ? read : write, AEAD_CHACHA20_POLY1305, of_server);
}

static void candidate_init(struct candidate *n, const struct cid *scid, struct handshake *h)
{
    n->scid = *scid;
    n->handshake = h;
    n->largest[0] = n->largest[1] = PACKET_NUMBER_NONE;
    receive_lane_init(&n->in[0], HANDSHAKE_FIRST_LEN, QUIC_CRYPTO_GAPS_MAX);
    receive_lane_init(&n->in[1], HANDSHAKE_PIECE_MAX + 2, QUIC_CRYPTO_GAPS_MAX);
    ack_init(&n->acks, 0);
}

static struct candidate *candidate_new(struct connection *c, const struct cid *scid,
                                       struct handshake *h)
{
    const struct transport_env *env = connection_env(c);
    if (!budget_charge(env->budget, HANDSHAKE_COST_BYTES, NULL)) return NULL;
    struct candidate *n = charged_alloc(env->mem, env->budget, sizeof *n);
    if (n == NULL) {
        budget_refund(env->budget, HANDSHAKE_COST_BYTES);
        return NULL;
    }
    candidate_init(n, scid, h);
    return n;
}

/* What it holds, but not its place. */
static void candidate_clear(struct connection *c, struct candidate *n)
{
    const struct transport_env *env = connection_env(c);
    for (unsigned i = 0; i < 2; i++) receive_lane_free(&n->in[i], env->mem, env->budget);
    ack_free(&n->acks, env->mem);
    provider->close(n->handshake);
    secret_zero(n, sizeof *n);
}

static void candidate_free(struct connection *c, struct candidate *n)
{
    const struct transport_env *env = connection_env(c);
    if (n == NULL) return;
    candidate_clear(c, n);
    charged_free(env->mem, env->budget, n, sizeof *n);
    budget_refund(env->budget, HANDSHAKE_COST_BYTES);
}

static struct conn_handshake *handshake_new(struct connection *c)
{
    const struct transport_env *env = connection_env(c);
    struct conn_handshake *hs = charged_alloc(env->mem, env->budget, sizeof *hs);
    if (hs == NULL) return NULL;
    c->hs = hs;
    hs->has_initial = true;
    for (unsigned i = 0; i < 2; i++) send_lane_init(&hs->out[i], VARINT_MAX);
    return hs;
}

static int provider_open(struct connection *c, struct handshake **out)
{
    const struct transport_env *env = connection_env(c);
    struct handshake_config config = {.mem = env->mem,
                                      .entropy = env->entropy,
                                      .own = &c->owner->own,
                                      .client = connection_is_client(c)};
    return provider->open(&config, out);
}

/* Queue everything that the provider has for a level. */
static int queue(struct connection *c, struct handshake *h, enum handshake_level level)
{
    const struct transport_env *env = connection_env(c);
    struct send_lane *lane = &c->hs->out[level];
    const uint8_t *data;
    size_t len = provider->bytes(h, level, &data);
    if (len <= lane->written) return 0;
    int error = send_lane_append(lane, data + lane->written, len - (size_t)lane->written, env->mem,
                                 env->budget, NULL);
    send_lane_release(lane);
    return error;
}

int conn_handshake_open_client(struct connection *c)
{
    struct conn_handshake *hs = handshake_new(c);
    if (hs == NULL || provider_open(c, &hs->first) != 0) return WEIR_E_MEMORY;
    hs->original_dcid.len = CID_LOCAL_LEN;
    entropy_fill(connection_env(c)->entropy, hs->original_dcid.bytes, CID_LOCAL_LEN);
    c->remote_cid = hs->original_dcid;
    conn_handshake_initial_keys(&c->remote_cid, true, &hs->initial_read, &hs->initial_write);
    return queue(c, hs->first, HANDSHAKE_INITIAL);
}

int conn_handshake_open_server(struct connection *c, const struct connection_accept *accept)
{
    struct conn_handshake *hs = handshake_new(c);
    struct handshake *h;
    if (hs == NULL || provider_open(c, &h) != 0) return WEIR_E_MEMORY;
    hs->adopted = hs->candidates[0] = candidate_new(c, &accept->scid, h);
    if (hs->adopted == NULL) {
        provider->close(h);
        return WEIR_E_MEMORY;
    }
    hs->original_dcid = accept->original_dcid;
    hs->has_retry = accept->retried;
    if (accept->retried) hs->retry_scid = accept->dcid;
    hs->initial_read = accept->read;
    hs->initial_write = accept->write;
    c->remote_cid = accept->scid;
    c->path.validated = accept->retried;
    return 0;
}

void conn_handshake_free(struct connection *c)
{
    const struct transport_env *env = connection_env(c);
    struct conn_handshake *hs = c->hs;
    if (hs == NULL) return;
    for (unsigned i = 0; i < QUIC_CANDIDATES_MAX; i++) candidate_free(c, hs->candidates[i]);
    for (unsigned i = 0; i < hs->early_count; i++) {
        budget_refund(env->budget, hs->early[i].len);
        mem_free(env->mem, hs->early[i].bytes, hs->early[i].len);
    }
    for (unsigned i = 0; i < 2; i++) send_lane_free(&hs->out[i], env->mem, env->budget);
    provider->close(hs->first);
    secret_zero(hs, sizeof *hs);
    charged_free(env->mem, env->budget, hs, sizeof *hs);
    c->hs = NULL;
}

struct candidate *conn_handshake_candidate(struct connection *c, const struct cid *scid)
{
    struct conn_handshake *hs = c->hs;
    struct handshake *h;
    struct candidate **slot = &hs->candidates[0];
    for (unsigned i = 0; i < QUIC_CANDIDATES_MAX; i++) {
        struct candidate *n = hs->candidates[i];
        if (n != NULL && cid_equal(&n->scid, scid)) return n;
        if (*slot != NULL && (n == NULL || n->order < (*slot)->order)) slot = &hs->candidates[i];
    }
    /* The oldest goes: whoever takes all places first and then falls silent must not keep the
     * honest server out, whose whole answer is in one datagram. */
    if (*slot != NULL) conn_handshake_drop(c, *slot);
    if (provider->fork(hs->first, &h) != 0) return NULL;
    *slot = candidate_new(c, scid, h);
    if (*slot == NULL)
        provider->close(h);
    else
        (*slot)->order = hs->candidates_made++;
    return *slot;
}

bool conn_handshake_is_answered(const struct connection *c)
{
    for (unsigned i = 0; c->hs != NULL && i < QUIC_CANDIDATES_MAX; i++) {
        if (c->hs->candidates[i] != NULL) return true;
    }
    return c->hs == NULL;
}

void conn_handshake_drop(struct connection *c, struct candidate *candidate)
{
    struct conn_handshake *hs = c->hs;
    if (hs == NULL || candidate == NULL || candidate == hs->adopted) return;
    for (unsigned i = 0; i < QUIC_CANDIDATES_MAX; i++) {
        if (hs->candidates[i] != candidate) continue;
        hs->candidates[i] = NULL;
        candidate_free(c, candidate);
        metric_inc(connection_env(c)->metrics, METRIC_HANDSHAKE_CANDIDATES_DROPPED);
        return;
    }
}

void conn_handshake_discard_initial(struct connection *c, uint64_t now_us)
{
    if (c->hs == NULL || !c->hs->has_initial) return;
    c->hs->has_initial = false;
    secret_zero(&c->hs->initial_read, sizeof c->hs->initial_read);
    secret_zero(&c->hs->initial_write, sizeof c->hs->initial_write);
    loss_discard_space(&c->loss, LOSS_INITIAL, now_us);
    ack_free(&c->acks[0], connection_env(c)->mem);
    ack_init(&c->acks[0], 0);
}

static bool offers_aes(const struct connection *c)
{
    return (connection_env(c)->suites & 1u << AEAD_AES_256_GCM) != 0;
}

static void own_params(const struct connection *c, struct params *p)
{
    const uint64_t *v = connection_env(c)->limits->value;
    struct streams_grants own;
    params_init(p);
    streams_own_grants(connection_env(c)->limits, &own);
    p->max_idle_timeout_ms = v[LIMIT_IDLE_TIMEOUT] / 1000;
    p->initial_max_data = own.connection_bytes;
    p->initial_max_stream_data_bidi_local = own.bidi_local_bytes;
    p->initial_max_stream_data_bidi_remote = own.bidi_remote_bytes;
    p->initial_max_stream_data_uni = own.uni_bytes;
    p->initial_max_streams_bidi = own.bidi_count;
    p->initial_max_streams_uni = own.uni_count;
    p->active_connection_id_limit = v[LIMIT_CONNECTION_IDS];
    p->min_ack_delay_us = CONN_MIN_ACK_DELAY_US;
    /* Whatever fits into a datagram: RFC 9221 section 3 recommends to say so. */
    p->max_datagram_frame_size = connection_env(c)->datagrams_off ? 0 : 65535;
    p->has_initial_scid = true;
    p->initial_scid = c->local_cid;
    p->suites = offers_aes(c) ? 3 : 1;
    p->suite = c->hs->suite;
    p->network_len = (uint8_t)strlen(connection_env(c)->network);
    memcpy(p->network, connection_env(c)->network, p->network_len);
    if (connection_is_client(c)) return;
    p->has_original_dcid = true;
    p->original_dcid = c->hs->original_dcid;
    p->has_retry_scid = c->hs->has_retry;
    p->retry_scid = c->hs->retry_scid;
    p->has_reset_token = true;
    endpoint_reset_token(c->owner, &c->local_cid, p->reset_token);
}

static size_t encode_params(struct connection *c, uint8_t out[PARAMS_SIZE_MAX])
{
    struct params p;
    uint64_t grease;
    struct writer w = writer_of(out, PARAMS_SIZE_MAX);
    own_params(c, &p);
    entropy_fill(connection_env(c)->entropy, &grease, sizeof grease);
    return params_encode(&w, &p, !connection_is_client(c), grease);
}

/* Keys of the Handshake level, always of the mandatory suite. */
static void derive(const struct connection *c, struct handshake *h, struct protect_keys *read,
                   struct protect_keys *write)
{
    struct handshake_secrets secrets;
    bool client = connection_is_client(c);
    provider->secrets(h, &secrets);
    (void)protect_keys_derive(write, AEAD_CHACHA20_POLY1305,
                              client ? secrets.client : secrets.server);
    (void)protect_keys_derive(read, AEAD_CHACHA20_POLY1305,
                              client ? secrets.server : secrets.client);
    secret_zero(&secrets, sizeof secrets);
}

/* The Handshake level's keys are there. */
static int on_keys(struct connection *c, struct candidate *from)
{
    uint8_t params[PARAMS_SIZE_MAX];
    derive(c, from->handshake, &from->read, &from->write);
    from->has_keys = true;
    if (connection_is_client(c)) return 0;
    int error = queue(c, from->handshake, HANDSHAKE_INITIAL);
    if (error == 0) error = provider->answer(from->handshake, params, encode_params(c, params));
    if (error == 0) error = queue(c, from->handshake, HANDSHAKE_HANDSHAKE);
    return error == 0 ? 0 : QUIC_INTERNAL;
}

/* The peer's transport parameters hold from here on. */
static int take_params(struct connection *c, const struct params *p)
{
    const struct transport_env *env = connection_env(c);
    struct streams_grants own, peer = {.connection_bytes = p->initial_max_data,
                                       .bidi_local_bytes = p->initial_max_stream_data_bidi_local,
                                       .bidi_remote_bytes = p->initial_max_stream_data_bidi_remote,
                                       .uni_bytes = p->initial_max_stream_data_uni,
                                       .bidi_count = p->initial_max_streams_bidi,
                                       .uni_count = p->initial_max_streams_uni};
    streams_own_grants(env->limits, &own);
    if (p->network_len > 0) {
        c->network = mem_alloc(env->mem, p->network_len + 1u);
        if (c->network == NULL) return QUIC_INTERNAL;
        memcpy(c->network, p->network, p->network_len);
        c->network_len = p->network_len;
    }
    if (streams_open(&c->base, &own, &peer) != 0) return QUIC_INTERNAL;
    streams_pace_cancels(&c->base, c->now_us);
    c->peer_ack_exponent = (uint8_t)p->ack_delay_exponent;
    c->peer_idle_us = p->max_idle_timeout_ms * 1000;
    loss_set_max_ack_delay(&c->loss, p->max_ack_delay_ms * 1000);
    c->peer_datagram_max = p->max_udp_payload_size;
    pmtu_set_ceiling(&c->pmtu, c->peer_datagram_max);
    conn_path_resized(c);
    c->peer_id_limit = p->active_connection_id_limit;
    c->peer_min_ack_us = p->min_ack_delay_us;
    c->datagram_frame_max = p->max_datagram_frame_size;
    c->remote_cids[0].cid = c->remote_cid;
    c->remote_cids[0].used = true;
    c->remote_next = c->remote_seen = 1;
    if (p->has_reset_token) {
        c->remote_cids[0].has_token = true;
        memcpy(c->remote_cids[0].token, p->reset_token, sizeof c->remote_cids[0].token);
        endpoint_learn_reset(c->owner, c);
    }
    return 0;
}

/* wire.md 5.8 and the identity. @return 0, or the code to fail with */
static int check_peer(struct connection *c, const struct candidate *from, struct params *p)
{
    const struct handshake_peer *peer = provider->peer(from->handshake);
    struct conn_handshake *hs = c->hs;
    bool client = connection_is_client(c);
    if (params_decode(peer->params, peer->params_len, client, p) != 0)
        return QUIC_TRANSPORT_PARAMETER;
    int error = params_check_cids(p, &from->scid, client ? &hs->original_dcid : NULL,
                                  client && hs->has_retry ? &hs->retry_scid : NULL);
    if (error != 0) return error;
    if (!client && params_suite_check(p, offers_aes(c)) != 0) return QUIC_TRANSPORT_PARAMETER;
    hs->suite = client ? params_suite_choose(p, offers_aes(c)) : p->suite;
    return 0;
}

static bool is_stranger(const struct connection *c, const struct peer_id *id)
{
    if (peer_id_equal(id, &connection_env(c)->key->id)) return true;
    return c->expected.len != 0 && !peer_id_equal(id, &c->expected);
}

static void application_keys(struct connection *c, struct handshake *h)
{
    struct handshake_secrets secrets;
    bool client = connection_is_client(c);
    provider->secrets(h, &secrets);
    /* The suite is one that we offered: it is available. */
    int error = key_phase_init(&c->keys, c->hs->suite, client ? secrets.server : secrets.client,
                               client ? secrets.client : secrets.server, NULL);
    WEIR_ASSERT(error == 0);
    secret_zero(&secrets, sizeof secrets);
    c->has_read = c->has_write = true;
    c->phase = QUIC_UP;
    c->base.state = CONN_UP;
    c->is_known = true;
    metric_inc(connection_env(c)->metrics, METRIC_CONNECTIONS_OPENED);
    metric_inc(connection_env(c)->metrics, METRIC_CONNECTIONS_OPEN);
    conn_mark(&c->base, CONN_PENDING_UP);
}

/* Message 2 verified in full: this candidate it is. */
static void adopt(struct connection *c, struct candidate *from, uint64_t now_us)
{
    struct conn_handshake *hs = c->hs;
    for (unsigned i = 0; i < QUIC_CANDIDATES_MAX; i++) {
        if (hs->candidates[i] == from || hs->candidates[i] == NULL) continue;
        candidate_free(c, hs->candidates[i]);
        hs->candidates[i] = NULL;
    }
    hs->adopted = from;
    c->remote_cid = from->scid;
    c->acks[1] = from->acks; /* moved: the lane of ranges has one owner */
    ack_init(&from->acks, 0);
    if (from->sample_us != 0) rtt_on_sample(&c->rtt, now_us, from->sample_us, 0, false, 0);
    provider->close(hs->first);
    hs->first = NULL;
    conn_handshake_discard_initial(c, now_us);
    loss_set_handshake_keys(&c->loss);
}

static int client_peer(struct connection *c, struct candidate *from, uint64_t now_us)
{
    struct params p;
    uint8_t params[PARAMS_SIZE_MAX];
    const struct handshake_peer *peer = provider->peer(from->handshake);
    int error = check_peer(c, from, &p);
    if (error != 0) return error;
    if (is_stranger(c, &peer->id)) {
        /* A verified answer from somebody else: the address is wrong. Remember who; another
         * candidate may still be right. */
        c->peer = peer->id;
        c->is_stranger = true;
        if (c->hs->refused_us == 0) c->hs->refused_us = now_us + rtt_pto_us(&c->rtt, 0);
        return QUIC_AUTHENTICATION;
    }
    adopt(c, from, now_us);
    c->is_stranger = false;
    c->peer = peer->id;
    error = take_params(c, &p);
    if (error != 0) return error;
    if (provider->complete(from->handshake, params, encode_params(c, params), c->hs->suite) != 0 ||
        queue(c, from->handshake, HANDSHAKE_HANDSHAKE) != 0)
        return QUIC_INTERNAL;
    application_keys(c, from->handshake);
    conn_loss_repace(c, now_us);
    return 0;
}

static int server_peer(struct connection *c, struct candidate *from, uint64_t now_us)
{
    struct params p;
    const struct handshake_peer *peer = provider->peer(from->handshake);
    if (check_peer(c, from, &p) != 0 || is_stranger(c, &peer->id))
        return QUIC_AUTHENTICATION; /* wire.md 10.2: generic */
    c->peer = peer->id;
    int error = take_params(c, &p);
    if (error != 0) return error;
    if (provider->complete(from->handshake, NULL, 0, c->hs->suite) != 0) return QUIC_INTERNAL;
    application_keys(c, from->handshake);
    metric_inc(connection_env(c)->metrics, METRIC_HANDSHAKES_DONE);
    c->done_pending = true;
    conn_in_early(c, now_us);
    conn_handshake_confirm(c, now_us);
    return 0;
}

void conn_handshake_confirm(struct connection *c, uint64_t now_us)
{
    if (c->confirmed || c->phase != QUIC_UP) return;
    c->confirmed = true;
    if (connection_is_client(c))
        metric_inc(connection_env(c)->metrics, METRIC_HANDSHAKES_DONE);
    else
        endpoint_half_open_end(c->owner, c);
    conn_handshake_discard_initial(c, now_us);
    loss_discard_space(&c->loss, LOSS_HANDSHAKE, now_us);
    loss_set_confirmed(&c->loss, now_us);
    ack_free(&c->acks[1], connection_env(c)->mem);
    ack_init(&c->acks[1], 0);
    conn_handshake_free(c);
    key_phase_set_confirmed(&c->keys);
    conn_ids_supply(c);
}

static int step(struct connection *c, struct candidate *from, enum handshake_level level,
                const uint8_t *data, size_t len, uint64_t now_us)
{
    int result = provider->on_bytes(from->handshake, level, data, len);
    switch (result) {
    case HANDSHAKE_WAITS: return 0;
    case HANDSHAKE_KEYS: return on_keys(c, from);
    case HANDSHAKE_PEER:
        return connection_is_client(c) ? client_peer(c, from, now_us)
                                       : server_peer(c, from, now_us);
    default: return result == WEIR_E_MEMORY ? QUIC_INTERNAL : QUIC_AUTHENTICATION;
    }
}

/* Somebody may have answered under the server's id with a key of its own: what was built on that
 * cannot become right. A whole e_s takes the place of what came before, unless it is the same; the
 * server's answer brings the rest in the same datagram (wire.md 5.5). @return false: no memory */
static bool take_first(struct connection *c, struct candidate *from, const struct frame_crypto *f)
{
    const struct cid scid = from->scid;
    uint32_t order = from->order;
    struct handshake *h;
    if (f->offset != 0 || f->len != sizeof from->first) return true;
    if (from->has_first && memcmp(from->first, f->data, sizeof from->first) == 0) return true;
    if (from->in[0].highest > 0) {
        if (provider->fork(c->hs->first, &h) != 0) return false;
        candidate_clear(c, from);
        candidate_init(from, &scid, h);
        from->order = order;
        metric_inc(connection_env(c)->metrics, METRIC_HANDSHAKE_CANDIDATES_DROPPED);
    }
    memcpy(from->first, f->data, sizeof from->first);
    from->has_first = true;
    return true;
}

int conn_handshake_crypto(struct connection *c, struct candidate *from, enum handshake_level level,
                          const struct frame_crypto *f, uint64_t now_us)
{
    const struct transport_env *env = connection_env(c);
    struct receive_lane *lane;
    struct limit_record limit;
    uint64_t grown;
    if (from == NULL) return CONN_DROP;
    if (level == HANDSHAKE_INITIAL && connection_is_client(c) && from != c->hs->adopted &&
        !take_first(c, from, f))
        return CONN_DROP;
    lane = &from->in[level];
    int result = receive_lane_on_data(lane, f->offset, f->data, (size_t)f->len, false, env->mem,
                                      env->budget, &limit, &grown);
    if (result == RECEIVE_DROP) return CONN_DROP;
    if (result != RECEIVE_OK) return QUIC_CRYPTO_BUFFER_EXCEEDED;
    for (;;) {
        const uint8_t *data;
        size_t len =
            ring_view(&lane->ring, lane->ring.base, (size_t)receive_lane_readable(lane), &data);
        if (len == 0) return 0;
        int error = step(c, from, level, data, len, now_us);
        if (error != 0 || c->hs == NULL) return error;
        receive_lane_consume(lane, len, env->mem, env->budget);
    }
}

void conn_handshake_retry(struct connection *c, const uint8_t *packet,
                          const struct packet_header *header, uint64_t now_us)
{
    struct conn_handshake *hs = c->hs;
    /* RFC 9000 17.2.5.2: one Retry, and none once the server has answered otherwise. Here that
     * means an answer that was verified: anybody on the path can answer, and must not keep the
     * server's Retry out (wire.md 5.5). */
    if (!connection_is_client(c) || hs == NULL || hs->has_retry || hs->adopted != NULL) return;
    if (header->token_len == 0 || header->token_len > sizeof hs->token ||
        cid_equal(&header->scid, &c->remote_cid))
        return;
    if (!packet_check_retry(packet, header, &hs->original_dcid)) {
        metric_inc(connection_env(c)->metrics, METRIC_DROPPED_UNDECRYPTABLE);
        return;
    }
    for (unsigned i = 0; i < QUIC_CANDIDATES_MAX; i++) conn_handshake_drop(c, hs->candidates[i]);
    hs->has_retry = true;
    hs->retry_scid = header->scid;
    memcpy(hs->token, header->token, header->token_len);
    hs->token_len = (uint16_t)header->token_len;
    c->remote_cid = header->scid;
    conn_handshake_initial_keys(&c->remote_cid, true, &hs->initial_read, &hs->initial_write);
    loss_on_retry(&c->loss, now_us);
    /* The same message 1 again, from the stored bytes. */
    send_lane_on_lost(&hs->out[0], 0, hs->out[0].sent, false, connection_env(c)->mem);
    conn_timers_received(c, now_us);
}
