/* SPDX-License-Identifier: MIT */
/* Noise XX as a handshake provider (docs/wire.md, section 5).
 *
 *     client                                           server
 *     Initial    00 20 | e_c                      ->
 *                       <-   Initial    00 20 | e_s
 *                       <-   Handshake  len | enc(s_s) | enc(proof and parameters)
 *     Handshake  len | enc(s_c) | enc(proof ...)  ->
 *
 * Message 2 is one Noise message cut after its first 32 bytes, so that the rest travels in
 * Handshake packets, whose keys come from ck and h between the tokens ee and s. Each message is
 * computed once; what is lost is sent again from the stored bytes. Any failure is final for this
 * object: it never tries the same bytes twice. */
#include "base/assert.h"
#include "crypto/noise.h"
#include "crypto/schedule.h"
#include "quic/handshake.h"
#include "weir.h"
#include <string.h>

struct handshake {
    const struct mem *mem;
    const struct entropy *entropy;
    const struct handshake_own *own;
    struct noise_state noise;
    struct handshake_secrets secrets;
    struct handshake_peer peer;
    uint8_t first[HANDSHAKE_FIRST_LEN]; /* our Initial bytes */
    uint8_t first_in[HANDSHAKE_FIRST_LEN];
    uint8_t *out, *in; /* our and the peer's Handshake piece, HANDSHAKE_PIECE_MAX + 2 each */
    size_t out_len, in_len, first_in_len;
    bool client, failed, has_first, has_peer, done;
};
enum { PIECE_ROOM = HANDSHAKE_PIECE_MAX + 2 };
_Static_assert(sizeof(struct handshake) + 2 * PIECE_ROOM <= HANDSHAKE_COST_BYTES,
               "what is charged covers it");

bool handshake_first_is_whole(const uint8_t *data, size_t len)
{
    return len == HANDSHAKE_FIRST_LEN && data[0] == 0 && data[1] == 32;
}

void handshake_own_init(struct handshake_own *own, const struct key_pair *key,
                        const uint8_t static_secret[32])
{
    x25519_pair_from(&own->static_pair, static_secret);
    proof_head_make(&own->proof, key, own->static_pair.public_key);
}

static void handshake_close(struct handshake *h)
{
    if (h == NULL) return;
    const struct mem *mem = h->mem;
    mem_free(mem, h->out, h->out != NULL ? PIECE_ROOM : 0);
    mem_free(mem, h->in, h->in != NULL ? PIECE_ROOM : 0);
    secret_zero(h, sizeof *h);
    mem_free(mem, h, sizeof *h);
}

static void write_first(struct handshake *h)
{
    h->first[0] = 0;
    h->first[1] = 32;
    noise_write_e(&h->noise, h->first + 2);
}

static int handshake_open(const struct handshake_config *config, struct handshake **out)
{
    struct handshake *h = mem_alloc(config->mem, sizeof *h);
    if (h == NULL) return WEIR_E_MEMORY;
    uint8_t secret[32];
    h->mem = config->mem;
    h->entropy = config->entropy;
    h->own = config->own;
    h->client = config->client;
    noise_init(&h->noise, h->client, schedule_prologue, SCHEDULE_PROLOGUE_SIZE,
               &h->own->static_pair);
    entropy_fill(h->entropy, secret, sizeof secret);
    noise_set_ephemeral(&h->noise, secret);
    secret_zero(secret, sizeof secret);
    if (h->client) {
        write_first(h);
        /* Message 1 ends with an empty payload: nothing on the wire, but its MixHash runs
         * (docs/wire.md 5.1). */
        (void)noise_encrypt_and_hash(&h->noise, NULL, 0, NULL);
        h->has_first = true;
    }
    *out = h;
    return 0;
}

static int handshake_fork(const struct handshake *h, struct handshake **out)
{
    WEIR_ASSERT(h->client && h->out == NULL && h->in == NULL);
    struct handshake *copy = mem_alloc(h->mem, sizeof *copy);
    if (copy == NULL) return WEIR_E_MEMORY;
    *copy = *h;
    *out = copy;
    return 0;
}

static int fail(struct handshake *h, int error)
{
    h->failed = true;
    return error;
}

/* After ee: the Handshake level's secrets (wire.md 5.11). */
static int mix_first(struct handshake *h)
{
    if (noise_mix_ee(&h->noise) != 0) return fail(h, WEIR_E_HANDSHAKE);
    schedule_handshake(h->noise.ck, h->noise.h, h->secrets.client, h->secrets.server);
    h->has_first = true;
    return HANDSHAKE_KEYS;
}

static int on_first(struct handshake *h, const uint8_t *data, size_t len)
{
    if (len > sizeof h->first_in - h->first_in_len) return fail(h, WEIR_E_PROTOCOL);
    memcpy(h->first_in + h->first_in_len, data, len);
    h->first_in_len += len;
    if (h->first_in_len < sizeof h->first_in) return HANDSHAKE_WAITS;
    if (!handshake_first_is_whole(h->first_in, h->first_in_len)) return fail(h, WEIR_E_PROTOCOL);
    if (noise_read_e(&h->noise, h->first_in + 2) != 0) return fail(h, WEIR_E_HANDSHAKE);
    if (h->client) return mix_first(h);
    if (noise_decrypt_and_hash(&h->noise, NULL, 0, NULL, NULL) != 0)
        return fail(h, WEIR_E_HANDSHAKE);
    write_first(h);
    return mix_first(h);
}

/* s and the proof, sealed, behind a 2-byte length. */
static int write_piece(struct handshake *h, const uint8_t *params, size_t params_len)
{
    h->out = mem_alloc(h->mem, PIECE_ROOM);
    if (h->out == NULL) return fail(h, WEIR_E_MEMORY);
    size_t sealed = noise_write_s(&h->noise, h->out + 2);
    if (h->client ? noise_mix_se(&h->noise) != 0 : noise_mix_es(&h->noise) != 0)
        return fail(h, WEIR_E_HANDSHAKE);
    uint8_t *proof = h->out + 2 + sealed;
    size_t room = HANDSHAKE_PIECE_MAX - sealed - NOISE_TAG_SIZE;
    int len = proof_write(&h->own->proof, params, params_len, proof, room);
    if (len < 0) return fail(h, len);
    size_t piece = sealed + noise_encrypt_and_hash(&h->noise, proof, (size_t)len, proof);
    h->out[0] = (uint8_t)(piece >> 8);
    h->out[1] = (uint8_t)piece;
    h->out_len = piece + 2;
    return 0;
}

static int handshake_answer(struct handshake *h, const uint8_t *params, size_t len)
{
    WEIR_ASSERT(!h->client && h->has_first && h->out == NULL);
    return write_piece(h, params, len);
}

static int read_piece(struct handshake *h)
{
    uint8_t *piece = h->in + 2;
    size_t len = h->in_len - 2, sealed = noise_sealed_key_size(&h->noise), proof_len;
    if (len < sealed + NOISE_TAG_SIZE) return fail(h, WEIR_E_PROTOCOL);
    if (noise_read_s(&h->noise, piece, sealed) != 0) return fail(h, WEIR_E_HANDSHAKE);
    if (h->client ? noise_mix_es(&h->noise) != 0 : noise_mix_se(&h->noise) != 0)
        return fail(h, WEIR_E_HANDSHAKE);
    uint8_t *proof = piece + sealed;
    if (noise_decrypt_and_hash(&h->noise, proof, len - sealed, proof, &proof_len) != 0)
        return fail(h, WEIR_E_HANDSHAKE);
    if (proof_check(proof, proof_len, h->noise.rs, &h->peer.id, &h->peer.params,
                    &h->peer.params_len) != 0)
        return fail(h, WEIR_E_HANDSHAKE);
    if (h->peer.params == NULL) return fail(h, WEIR_E_HANDSHAKE);
    h->has_peer = true;
    return HANDSHAKE_PEER;
}

static int on_piece(struct handshake *h, const uint8_t *data, size_t len)
{
    if (!h->has_first || h->has_peer || (!h->client && h->out == NULL))
        return fail(h, WEIR_E_PROTOCOL);
    if (h->in == NULL) h->in = mem_alloc(h->mem, PIECE_ROOM);
    if (h->in == NULL) return fail(h, WEIR_E_MEMORY);
    if (len > PIECE_ROOM - h->in_len) return fail(h, WEIR_E_PROTOCOL);
    memcpy(h->in + h->in_len, data, len);
    h->in_len += len;
    if (h->in_len < 2) return HANDSHAKE_WAITS;
    size_t want = ((size_t)h->in[0] << 8 | h->in[1]) + 2;
    if (want > PIECE_ROOM || h->in_len > want)
        return fail(h, WEIR_E_PROTOCOL); /* wire.md 5.2: bytes beyond */
    return h->in_len < want ? HANDSHAKE_WAITS : read_piece(h);
}

static int handshake_on_bytes(struct handshake *h, enum handshake_level level, const uint8_t *data,
                              size_t len)
{
    if (h->failed) return WEIR_E_HANDSHAKE;
    if (len == 0) return HANDSHAKE_WAITS;
    if (level == HANDSHAKE_INITIAL) return on_first(h, data, len);
    return level == HANDSHAKE_HANDSHAKE ? on_piece(h, data, len) : fail(h, WEIR_E_PROTOCOL);
}

static int handshake_complete(struct handshake *h, const uint8_t *params, size_t len, uint8_t suite)
{
    uint8_t c1[32], c2[32];
    WEIR_ASSERT(h->has_peer && !h->done);
    if (h->client) {
        int error = write_piece(h, params, len);
        if (error != 0) return error;
    }
    noise_split(&h->noise, c1, c2);
    schedule_application(c1, c2, suite, h->noise.h, h->secrets.client, h->secrets.server);
    secret_zero(c1, sizeof c1);
    secret_zero(c2, sizeof c2);
    noise_wipe(&h->noise); /* wire.md 5.11: now, not at confirmation */
    h->done = true;
    return 0;
}

static size_t handshake_bytes(const struct handshake *h, enum handshake_level level,
                              const uint8_t **data)
{
    if (level == HANDSHAKE_INITIAL) {
        *data = h->first;
        return h->has_first ? sizeof h->first : 0;
    }
    *data = h->out;
    return h->out_len;
}

static void handshake_secrets_get(const struct handshake *h, struct handshake_secrets *out)
{
    *out = h->secrets;
}

static const struct handshake_peer *handshake_peer_get(const struct handshake *h)
{
    return &h->peer;
}

const struct handshake_ops noise_handshake = {
    .name = "Noise_XX_25519_ChaChaPoly_SHA256",
    .open = handshake_open,
    .fork = handshake_fork,
    .close = handshake_close,
    .on_bytes = handshake_on_bytes,
    .answer = handshake_answer,
    .complete = handshake_complete,
    .bytes = handshake_bytes,
    .secrets = handshake_secrets_get,
    .peer = handshake_peer_get,
};
