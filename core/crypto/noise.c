/* SPDX-License-Identifier: MIT */
#include "crypto/noise.h"
#include "base/assert.h"
#include "crypto/aead.h"
#include "crypto/hkdf.h"
#include "crypto/secret.h"
#include "weir.h"
#include <string.h>

_Static_assert((int)NOISE_TAG_SIZE == (int)AEAD_TAG_SIZE, "one kind of tag");

/* Section 4.3: HKDF of RFC 5869 with ck for the salt, no info, and two blocks of output. first may
 * be ck. */
static void noise_hkdf(const uint8_t ck[32], const void *input, size_t len, uint8_t first[32],
                       uint8_t second[32])
{
    uint8_t key[32], both[64];
    hkdf_extract(ck, 32, input, len, key);
    int failed = hkdf_expand(key, NULL, 0, both, sizeof both);
    WEIR_ASSERT(failed == 0);
    memcpy(first, both, 32);
    memcpy(second, both + 32, 32);
    secret_zero(key, sizeof key);
    secret_zero(both, sizeof both);
}

void noise_init(struct noise_state *state, bool initiator, const void *prologue,
                size_t prologue_len, const struct x25519_pair *static_pair)
{
    /* Exactly 32 bytes long, so the first hash is the name itself (section 5.2). */
    static const char name[] = "Noise_XX_25519_ChaChaPoly_SHA256";
    _Static_assert(sizeof name - 1 == 32, "a longer name would have to be hashed");
    memset(state, 0, sizeof *state);
    state->initiator = initiator;
    memcpy(state->h, name, 32);
    memcpy(state->ck, name, 32);
    state->s = *static_pair;
    noise_mix_hash(state, prologue, prologue_len);
}

void noise_set_ephemeral(struct noise_state *state, const uint8_t secret[32])
{
    struct x25519_pair pair;
    x25519_pair_from(&pair, secret);
    noise_set_ephemeral_pair(state, &pair);
    secret_zero(&pair, sizeof pair);
}

void noise_set_ephemeral_pair(struct noise_state *state, const struct x25519_pair *pair)
{
    WEIR_ASSERT(!state->has_e);
    state->e = *pair;
    state->has_e = true;
}

void noise_mix_hash(struct noise_state *state, const void *data, size_t len)
{
    sha256_two(state->h, sizeof state->h, data, len, state->h);
}

void noise_mix_key(struct noise_state *state, const uint8_t input[32])
{
    noise_hkdf(state->ck, input, 32, state->ck, state->k);
    state->n = 0;
    state->has_key = true;
}

void noise_write_e(struct noise_state *state, uint8_t out[32])
{
    WEIR_ASSERT(state->has_e);
    memcpy(out, state->e.public_key, 32);
    noise_mix_hash(state, out, 32);
}

int noise_read_e(struct noise_state *state, const uint8_t in[32])
{
    WEIR_ASSERT(!state->has_re);
    /* A reflected message: we would talk to ourselves. */
    if (state->has_e && secret_equal(in, state->e.public_key, 32)) return WEIR_E_HANDSHAKE;
    memcpy(state->re, in, 32);
    state->has_re = true;
    noise_mix_hash(state, in, 32);
    return 0;
}

static int noise_mix_shared(struct noise_state *state, const struct x25519_pair *ours,
                            const uint8_t theirs[32])
{
    uint8_t shared[X25519_SIZE];
    int error = x25519_shared(shared, ours->secret, theirs);
    if (error == 0) noise_mix_key(state, shared);
    secret_zero(shared, sizeof shared);
    return error;
}

static int noise_mix_our_e_their_s(struct noise_state *state)
{
    WEIR_ASSERT(state->has_e);
    WEIR_ASSERT(state->has_rs);
    return noise_mix_shared(state, &state->e, state->rs);
}

static int noise_mix_our_s_their_e(struct noise_state *state)
{
    WEIR_ASSERT(state->has_re);
    return noise_mix_shared(state, &state->s, state->re);
}

int noise_mix_ee(struct noise_state *state)
{
    WEIR_ASSERT(state->has_e);
    WEIR_ASSERT(state->has_re);
    return noise_mix_shared(state, &state->e, state->re);
}

int noise_mix_es(struct noise_state *state)
{
    return state->initiator ? noise_mix_our_e_their_s(state) : noise_mix_our_s_their_e(state);
}

int noise_mix_se(struct noise_state *state)
{
    return state->initiator ? noise_mix_our_s_their_e(state) : noise_mix_our_e_their_s(state);
}

size_t noise_sealed_key_size(const struct noise_state *state)
{
    return state->has_key ? NOISE_SEALED_KEY_SIZE : X25519_SIZE;
}

size_t noise_write_s(struct noise_state *state, uint8_t *out)
{
    return noise_encrypt_and_hash(state, state->s.public_key, X25519_SIZE, out);
}

int noise_read_s(struct noise_state *state, const uint8_t *in, size_t len)
{
    WEIR_ASSERT(!state->has_rs);
    if (len != noise_sealed_key_size(state)) return WEIR_E_DECRYPT;
    uint8_t key[NOISE_SEALED_KEY_SIZE];
    int error = noise_decrypt_and_hash(state, in, len, key, NULL);
    if (error != 0) return error;
    memcpy(state->rs, key, X25519_SIZE);
    state->has_rs = true;
    return 0;
}

/* Section 12.3: 32 zero bits, then the counter in little-endian order. */
static void noise_nonce(uint64_t n, uint8_t nonce[AEAD_NONCE_SIZE])
{
    memset(nonce, 0, 4);
    for (unsigned i = 0; i < 8; i++) nonce[4 + i] = (uint8_t)(n >> (8 * i));
}

size_t noise_encrypt_and_hash(struct noise_state *state, const void *plain, size_t len,
                              uint8_t *out)
{
    WEIR_ASSERT(len <= NOISE_MESSAGE_MAX - NOISE_TAG_SIZE);
    if (!state->has_key) {
        if (len > 0) memmove(out, plain, len);
        noise_mix_hash(state, out, len);
        return len;
    }
    WEIR_ASSERT(state->n < UINT64_MAX);
    uint8_t nonce[AEAD_NONCE_SIZE];
    noise_nonce(state->n, nonce);
    int failed = aead_seal(AEAD_CHACHA20_POLY1305, state->k, nonce, state->h, sizeof state->h,
                           plain, len, out);
    WEIR_ASSERT(failed == 0);
    state->n++;
    noise_mix_hash(state, out, len + NOISE_TAG_SIZE);
    return len + NOISE_TAG_SIZE;
}

int noise_decrypt_and_hash(struct noise_state *state, const void *sealed, size_t len, uint8_t *out,
                           size_t *out_len)
{
    if (len > NOISE_MESSAGE_MAX) return WEIR_E_DECRYPT;
    /* In place, the sealed bytes are gone afterwards: hash them first, commit last. */
    uint8_t h[SHA256_SIZE];
    sha256_two(state->h, sizeof state->h, sealed, len, h);
    size_t plain_len = len;
    if (state->has_key) {
        WEIR_ASSERT(state->n < UINT64_MAX);
        uint8_t nonce[AEAD_NONCE_SIZE];
        noise_nonce(state->n, nonce);
        int error = aead_open(AEAD_CHACHA20_POLY1305, state->k, nonce, state->h, sizeof state->h,
                              sealed, len, out);
        if (error != 0) return error;
        state->n++;
        plain_len = len - NOISE_TAG_SIZE;
    } else if (len > 0) {
        memmove(out, sealed, len);
    }
    memcpy(state->h, h, sizeof h);
    if (out_len != NULL) *out_len = plain_len;
    return 0;
}

void noise_split(const struct noise_state *state, uint8_t c1[32], uint8_t c2[32])
{
    WEIR_ASSERT(state->has_key);
    noise_hkdf(state->ck, NULL, 0, c1, c2);
}

void noise_wipe(struct noise_state *state)
{
    secret_zero(state, sizeof *state);
}
