/* SPDX-License-Identifier: MIT */
/* What happens before there is a connection (docs/wire.md, sections 2, 5.7, 8 and 10.6).
 *
 * In this order, so that the cheap comes first: size, version, token or Retry, the opening of the
 * Initial, the caps, and only then memory and X25519. The caps come after the opening because a
 * refusal has to be sealed for somebody; a flood is stopped before it, by Retry. State is made only
 * from an Initial that opens and holds all of message 1, in a datagram of 1200 bytes or more.
 * Answers without state are few, small, rate limited, and never answer each other. */
#include "base/assert.h"
#include "quic/connection.h"
#include <string.h>

static void dropped(struct endpoint_state *e, enum metric why)
{
    metric_inc(e->base.env->metrics, why);
}

static struct stateless *answer(struct endpoint_state *e, const struct datagram_in *in,
                                uint64_t now_us)
{
    const struct transport_env *env = e->base.env;
    if (e->stateless == NULL) {
        e->stateless = mem_alloc(env->mem, ENDPOINT_STATELESS_MAX * sizeof *e->stateless);
        e->stateless_tokens = ENDPOINT_STATELESS_PER_S * UINT64_C(1000);
        e->stateless_us = now_us;
    }
    /* 1/1000 of an answer per token: whole numbers at any rate. */
    uint64_t gained = (now_us - e->stateless_us) * ENDPOINT_STATELESS_PER_S / 1000,
             most = ENDPOINT_STATELESS_PER_S * UINT64_C(1000);
    e->stateless_us = now_us;
    e->stateless_tokens = e->stateless_tokens + gained > most ? most : e->stateless_tokens + gained;
    if (e->stateless == NULL || e->stateless_count == ENDPOINT_STATELESS_MAX ||
        e->stateless_tokens < 1000) {
        dropped(e, METRIC_STATELESS_SUPPRESSED);
        return NULL;
    }
    struct stateless *s = &e->stateless[e->stateless_count];
    s->local = in->local;
    s->remote = in->remote;
    s->socket = in->socket;
    s->len = 0;
    return s;
}

static void commit(struct endpoint_state *e, struct stateless *s, size_t len, enum metric counter)
{
    if (len == 0) return;
    s->len = (uint16_t)len;
    e->stateless_count++;
    e->stateless_tokens -= 1000;
    dropped(e, counter);
}

bool endpoint_next_stateless(struct endpoint_state *e, struct datagram_out *out)
{
    if (e->stateless_count == 0) return false;
    struct stateless *s = &e->stateless[--e->stateless_count];
    WEIR_ASSERT(s->len <= out->cap);
    out->local = s->local;
    out->remote = s->remote;
    out->socket = s->socket;
    out->ecn = 0;
    out->len = out->segment = s->len;
    memcpy(out->data, s->bytes, s->len);
    return true;
}

static void version_negotiation(struct endpoint_state *e, const struct datagram_in *in, size_t len,
                                const struct packet_header *h, uint64_t now_us)
{
    uint32_t random;
    if (len < PACKET_DATAGRAM_MIN || h->version == 0) {
        dropped(e, METRIC_DROPPED_MALFORMED);
        return;
    }
    struct stateless *s = answer(e, in, now_us);
    if (s == NULL) return;
    struct writer w = writer_of(s->bytes, sizeof s->bytes);
    entropy_fill(e->base.env->entropy, &random, sizeof random);
    commit(e, s,
           packet_write_version_negotiation(&w, h->scid_view, h->scid_view_len, h->dcid_view,
                                            h->dcid_view_len, random),
           METRIC_VERSION_NEGOTIATION_SENT);
}

/* RFC 9000 10.3: smaller than what caused it, so that two of them cannot play ball. */
static void stateless_reset(struct endpoint_state *e, const struct datagram_in *in,
                            const uint8_t *data, size_t len, uint64_t now_us)
{
    struct cid cid;
    uint8_t random;
    if (len <= PACKET_RESET_LEN_MIN + CID_LOCAL_LEN) return;
    struct stateless *s = answer(e, in, now_us);
    if (s == NULL) return;
    entropy_fill(e->base.env->entropy, &random, 1);
    size_t want = 43 + random % 8u;
    if (want > len - 1) want = len - 1;
    (void)cid_set(&cid, data + 1, CID_LOCAL_LEN);
    entropy_fill(e->base.env->entropy, s->bytes, want);
    s->bytes[0] = (uint8_t)((s->bytes[0] & 0x3f) | 0x40);
    endpoint_reset_token(e, &cid, s->bytes + want - TOKEN_RESET_LEN);
    commit(e, s, want, METRIC_STATELESS_RESET_SENT);
}

/* wire.md 8.1: full before anybody is authenticated. The client takes it for a hint. */
static void refuse(struct endpoint_state *e, const struct connection_accept *accept,
                   uint64_t now_us)
{
    struct stateless *s = answer(e, accept->in, now_us);
    if (s == NULL) return;
    struct writer w = writer_of(s->bytes, sizeof s->bytes);
    size_t header = packet_write_long(&w, PACKET_INITIAL, PACKET_VERSION, &accept->scid,
                                      &accept->dcid, NULL, 0, 0, 1);
    struct writer payload = writer_of(s->bytes + header, sizeof s->bytes - header - PACKET_TAG_LEN);
    if (header == 0 || !frame_write_close(&payload, false, QUIC_CONNECTION_REFUSED, 0, NULL, 0))
        return;
    size_t least = packet_payload_min(1), len = writer_len(&payload);
    if (len < least) (void)frame_write_padding(&payload, least - len);
    len = writer_len(&payload);
    packet_finish_long(s->bytes, header, 1, len);
    struct protect_cipher cipher;
    protect_cipher_init(&cipher, &accept->write);
    len = packet_seal(&cipher, s->bytes, header, 0, 1, len);
    protect_cipher_end(&cipher);
    commit(e, s, len, METRIC_CONNECTIONS_REFUSED);
}

static void fresh_token_key(struct endpoint_state *e, uint64_t now_us)
{
    uint8_t key[TOKEN_KEY_LEN];
    if (e->has_token_keys && !token_keys_is_due(&e->token_keys, now_us)) return;
    entropy_fill(e->base.env->entropy, key, sizeof key);
    if (e->has_token_keys)
        token_keys_rotate(&e->token_keys, key, now_us);
    else
        token_keys_init(&e->token_keys, key, now_us);
    e->has_token_keys = true;
    secret_zero(key, sizeof key);
}

/* A token is sealed to a digest of the address, whose own key is longer. */
static void token_endpoint(const struct endpoint *remote, uint8_t out[TOKEN_ENDPOINT_LEN])
{
    uint8_t key[ENDPOINT_KEY_BYTES];
    endpoint_key(remote, key);
    for (size_t i = 0; i < TOKEN_ENDPOINT_LEN; i++) out[i] = key[i];
    for (size_t i = TOKEN_ENDPOINT_LEN; i < ENDPOINT_KEY_BYTES; i++)
        out[i - TOKEN_ENDPOINT_LEN] ^= key[i];
}

static void retry(struct endpoint_state *e, const struct datagram_in *in,
                  const struct packet_header *h, uint64_t now_us)
{
    struct stateless *s = answer(e, in, now_us);
    if (s == NULL) return;
    uint8_t nonce[TOKEN_NONCE_LEN], where[TOKEN_ENDPOINT_LEN], token[TOKEN_SIZE_MAX];
    struct cid scid = {.len = CID_LOCAL_LEN};
    fresh_token_key(e, now_us);
    entropy_fill(e->base.env->entropy, nonce, sizeof nonce);
    entropy_fill(e->base.env->entropy, scid.bytes, CID_LOCAL_LEN);
    token_endpoint(&in->remote, where);
    size_t len = token_write_retry(&e->token_keys, nonce, where, now_us, &h->dcid, &scid, token);
    struct writer w = writer_of(s->bytes, sizeof s->bytes);
    commit(e, s, packet_write_retry(&w, &h->scid, &scid, token, len, &h->dcid), METRIC_RETRY_SENT);
}

/* @return 1 the token is good, 0 there is none, -1 it is bad */
static int check_token(struct endpoint_state *e, const struct datagram_in *in,
                       const struct packet_header *h, struct cid *odcid, uint64_t now_us)
{
    uint8_t where[TOKEN_ENDPOINT_LEN];
    struct cid scid;
    if (h->token_len == 0) return 0;
    if (!e->has_token_keys) return -1;
    token_endpoint(&in->remote, where);
    int error =
        token_check_retry(&e->token_keys, where, now_us, h->token, h->token_len, odcid, &scid);
    return error == 0 && cid_equal(&scid, &h->dcid) ? 1 : -1;
}

static struct endpoint host_of(const struct endpoint *remote)
{
    struct endpoint host = *remote;
    host.port = 0;
    return host;
}

static struct half_open_host *host_get(struct endpoint_state *e, const struct endpoint *remote,
                                       bool make)
{
    struct endpoint key = host_of(remote);
    struct half_open_host *h = map_get(&e->hosts, &key, sizeof key);
    if (h != NULL || !make) return h;
    h = mem_alloc(e->base.env->mem, sizeof *h);
    if (h == NULL) return NULL;
    h->host = key;
    if (map_add(&e->hosts, h)) return h;
    mem_free(e->base.env->mem, h, sizeof *h);
    return NULL;
}

void endpoint_half_open_end(struct endpoint_state *e, struct connection *c)
{
    if (c->hs == NULL || c->hs->first_key_len == 0) return;
    (void)map_remove(&e->by_first, c->hs->first_key, c->hs->first_key_len);
    c->hs->first_key_len = 0;
    e->half_open--;
    struct half_open_host *h = host_get(e, &c->path.remote, false);
    WEIR_ASSERT(h != NULL && h->count > 0);
    if (--h->count > 0) return;
    (void)map_remove(&e->hosts, &h->host, sizeof h->host);
    mem_free(e->base.env->mem, h, sizeof *h);
}

static uint8_t make_first_key(const struct datagram_in *in, const struct packet_header *h,
                              const uint8_t *e_c, uint8_t out[FIRST_KEY_MAX])
{
    struct writer w = writer_of(out, FIRST_KEY_MAX);
    uint8_t where[ENDPOINT_KEY_BYTES];
    endpoint_key(&in->remote, where);
    writer_bytes(&w, where, sizeof where);
    writer_u8(&w, h->dcid.len);
    writer_bytes(&w, h->dcid.bytes, h->dcid.len);
    writer_u8(&w, h->scid.len);
    writer_bytes(&w, h->scid.bytes, h->scid.len);
    writer_bytes(&w, e_c, 32);
    WEIR_ASSERT(!w.full);
    return (uint8_t)writer_len(&w);
}

/* wire.md 5.7: all of message 1 in this packet, and nothing that is wrong. @return its key, or
 * NULL */
static const uint8_t *find_first(const uint8_t *payload, size_t len)
{
    struct reader r = reader_of(payload, len);
    const uint8_t *key = NULL;
    while (reader_left(&r) > 0) {
        struct frame f;
        if (frame_read(&r, &f) != 0 || !frame_allowed(f.type, PACKET_INITIAL)) return NULL;
        if (key == NULL && f.type == FRAME_CRYPTO && f.u.crypto.offset == 0 &&
            handshake_first_is_whole(f.u.crypto.data, (size_t)f.u.crypto.len))
            key = f.u.crypto.data + 2;
    }
    return key;
}

static struct connection *open_half(struct endpoint_state *e,
                                    const struct connection_accept *accept, const uint8_t *key,
                                    uint8_t key_len, uint64_t now_us)
{
    struct half_open_host *host = host_get(e, &accept->in->remote, true);
    if (host == NULL) return NULL;
    struct connection *c = connection_accept(e, accept, now_us);
    if (c != NULL) {
        memcpy(c->hs->first_key, key, key_len);
        c->hs->first_key_len = key_len;
        if (map_add(&e->by_first, c)) {
            host->count++;
            e->half_open++;
            return c;
        }
        c->hs->first_key_len = 0;
        connection_destroy(c);
    }
    if (host->count == 0) {
        (void)map_remove(&e->hosts, &host->host, sizeof host->host);
        mem_free(e->base.env->mem, host, sizeof *host);
    }
    return NULL;
}

static bool has_room(struct endpoint_state *e, const struct datagram_in *in)
{
    const uint64_t *v = e->base.env->limits->value;
    const struct half_open_host *host = host_get(e, &in->remote, false);
    if (e->half_open < v[LIMIT_HALF_OPEN] &&
        (host == NULL || host->count < v[LIMIT_HALF_OPEN_PER_HOST]))
        return true;
    dropped(e, METRIC_DROPPED_HALF_OPEN);
    dropped(e, METRIC_LIMIT_REACHED);
    return false;
}

static void on_opened(struct endpoint_state *e, struct connection_accept *accept,
                      const struct packet_header *h, uint64_t number, uint8_t *payload, size_t len,
                      size_t datagram_len, uint64_t now_us)
{
    uint8_t key[FIRST_KEY_MAX];
    const uint8_t *e_c = find_first(payload, len);
    if (e_c == NULL) {
        dropped(e, METRIC_DROPPED_SHORT_INITIAL);
        return;
    }
    uint8_t key_len = make_first_key(accept->in, h, e_c, key);
    struct connection *c = map_get(&e->by_first, key, key_len);
    bool fresh = c == NULL;
    if (fresh) {
        if (!has_room(e, accept->in)) {
            refuse(e, accept, now_us);
            return;
        }
        c = open_half(e, accept, key, key_len, now_us);
    }
    if (c == NULL) {
        dropped(e, METRIC_DROPPED_NO_MEMORY);
        return;
    }
    c->bytes_in += datagram_len;
    c->path.bytes_in += datagram_len;
    conn_in_initial(c, number, payload, len, accept->in->ecn, now_us);
    conn_out_check_blocked(c); /* even a repeated one paid for an answer */
    if (fresh && c->hs->out[HANDSHAKE_HANDSHAKE].written == 0) {
        /* There is no answer: a key that gives no secret, or no memory. Then there is nothing to
         * keep either. */
        dropped(e, METRIC_HANDSHAKES_FAILED);
        connection_destroy(c);
        return;
    }
    connection_refresh(c, now_us);
}

static void on_initial(struct endpoint_state *e, const struct datagram_in *in, uint8_t *data,
                       size_t len, const struct packet_header *h, uint64_t now_us)
{
    struct connection_accept accept = {
        .in = in, .dcid = h->dcid, .scid = h->scid, .original_dcid = h->dcid};
    uint64_t number;
    uint8_t *payload, first;
    size_t payload_len;
    if (len < PACKET_DATAGRAM_MIN || h->dcid.len < CID_LOCAL_LEN || h->scid.len == 0) {
        dropped(e, METRIC_DROPPED_SHORT_INITIAL);
        return;
    }
    int token = check_token(e, in, h, &accept.original_dcid, now_us);
    if (token < 0) {
        dropped(e, METRIC_DROPPED_UNDECRYPTABLE);
        return;
    }
    accept.retried = token > 0;
    if (token == 0 && e->half_open >= e->base.env->limits->value[LIMIT_HALF_OPEN_RETRY]) {
        retry(e, in, h, now_us);
        return;
    }
    conn_handshake_initial_keys(&h->dcid, false, &accept.read, &accept.write);
    struct protect_cipher cipher;
    protect_cipher_init(&cipher, &accept.read);
    int opened =
        packet_open(&cipher, data, h, PACKET_NUMBER_NONE, &number, &payload, &payload_len, &first);
    protect_cipher_end(&cipher);
    if (opened != 0) {
        dropped(e, METRIC_DROPPED_UNDECRYPTABLE);
        return;
    }
    on_opened(e, &accept, h, number, payload, payload_len, len, now_us);
    secret_zero(&accept, sizeof accept);
}

void endpoint_on_stranger(struct endpoint_state *e, const struct datagram_in *in, uint8_t *data,
                          size_t len, uint64_t now_us)
{
    struct packet_header h;
    int error = packet_parse(data, len, &h);
    if (error == WEIR_E_UNSUPPORTED) {
        version_negotiation(e, in, len, &h, now_us);
    } else if (error != 0) {
        dropped(e, METRIC_DROPPED_MALFORMED);
    } else if (h.type == PACKET_INITIAL) {
        on_initial(e, in, data, len, &h, now_us);
    } else {
        dropped(e, METRIC_DROPPED_UNKNOWN);
        if (h.type == PACKET_SHORT) stateless_reset(e, in, data, len, now_us);
    }
}
