/* SPDX-License-Identifier: MIT */
#include "crypto/hkdf.h"
#include "base/assert.h"
#include "crypto/secret.h"
#include "weir.h"
#include <sodium.h>
#include <string.h>

_Static_assert(crypto_hash_sha256_BYTES == SHA256_SIZE, "SHA-256 gives 32 bytes");
_Static_assert(crypto_auth_hmacsha256_BYTES == SHA256_SIZE, "so does HMAC over it");
_Static_assert(sizeof(crypto_auth_hmacsha256_state) == HMAC_STATE_SIZE, "two hashes under way");

void sha256(const void *data, size_t len, uint8_t out[32])
{
    sha256_two(data, len, NULL, 0, out);
}

void sha256_two(const void *a, size_t a_len, const void *b, size_t b_len, uint8_t out[32])
{
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    if (a_len > 0) crypto_hash_sha256_update(&state, a, a_len);
    if (b_len > 0) crypto_hash_sha256_update(&state, b, b_len);
    crypto_hash_sha256_final(&state, out);
    secret_zero(&state, sizeof state);
}

static void hmac_init(crypto_auth_hmacsha256_state *state, const void *key, size_t key_len)
{
    /* libsodium declares that its key is never NULL, though an empty one is a key. */
    crypto_auth_hmacsha256_init(state, key != NULL ? key : (const void *)"", key_len);
}

void hmac_key_init(struct hmac_key *hmac, const void *key, size_t key_len)
{
    crypto_auth_hmacsha256_state state;
    hmac_init(&state, key, key_len);
    memcpy(hmac->state, &state, sizeof state);
    secret_zero(&state, sizeof state);
}

void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[32])
{
    crypto_auth_hmacsha256_state state;
    hmac_init(&state, key, key_len);
    if (len > 0) crypto_auth_hmacsha256_update(&state, data, len);
    crypto_auth_hmacsha256_final(&state, out);
    secret_zero(&state, sizeof state);
}

void hkdf_extract(const void *salt, size_t salt_len, const void *input, size_t input_len,
                  uint8_t out[32])
{
    /* HMAC fills its key up with zeroes: an empty salt and 32 zero bytes are one and the same. */
    hmac_sha256(salt, salt_len, input, input_len, out);
}

static void expand(const struct hmac_key *prk, const void *info, size_t info_len, void *out,
                   size_t len)
{
    crypto_auth_hmacsha256_state state;
    uint8_t block[SHA256_SIZE];
    uint8_t *at = out;
    uint8_t counter = 0;
    while (len > 0) {
        memcpy(&state, prk->state, sizeof state);
        if (counter > 0) crypto_auth_hmacsha256_update(&state, block, sizeof block);
        if (info_len > 0) crypto_auth_hmacsha256_update(&state, info, info_len);
        counter++;
        crypto_auth_hmacsha256_update(&state, &counter, 1);
        crypto_auth_hmacsha256_final(&state, block);
        size_t take = len < sizeof block ? len : sizeof block;
        memcpy(at, block, take);
        at += take;
        len -= take;
    }
    secret_zero(block, sizeof block);
    secret_zero(&state, sizeof state);
}

int hkdf_expand(const uint8_t prk[32], const void *info, size_t info_len, void *out, size_t len)
{
    if (len > HKDF_EXPAND_MAX) return WEIR_E_ARGUMENT;
    struct hmac_key hmac;
    hmac_key_init(&hmac, prk, SHA256_SIZE);
    expand(&hmac, info, info_len, out, len);
    secret_zero(&hmac, sizeof hmac);
    return 0;
}

void hkdf_expand_label(const uint8_t secret[32], const char *label, const void *context,
                       size_t context_len, void *out, size_t len)
{
    struct hmac_key hmac;
    hmac_key_init(&hmac, secret, SHA256_SIZE);
    hkdf_expand_label_with(&hmac, label, context, context_len, out, len);
    secret_zero(&hmac, sizeof hmac);
}

void hkdf_expand_label_with(const struct hmac_key *secret, const char *label, const void *context,
                            size_t context_len, void *out, size_t len)
{
    static const char prefix[] = "tls13 ";
    enum { PREFIX_LEN = sizeof prefix - 1 };
    size_t label_len = strlen(label);
    WEIR_ASSERT(label_len <= HKDF_LABEL_MAX);
    WEIR_ASSERT(context_len <= HKDF_CONTEXT_MAX);
    WEIR_ASSERT(len <= HKDF_EXPAND_MAX);

    uint8_t info[2 + 1 + PREFIX_LEN + HKDF_LABEL_MAX + 1 + HKDF_CONTEXT_MAX];
    uint8_t *at = info;
    *at++ = (uint8_t)(len >> 8);
    *at++ = (uint8_t)len;
    *at++ = (uint8_t)(PREFIX_LEN + label_len);
    memcpy(at, prefix, PREFIX_LEN);
    at += PREFIX_LEN;
    memcpy(at, label, label_len);
    at += label_len;
    *at++ = (uint8_t)context_len;
    if (context_len > 0) memcpy(at, context, context_len);
    at += context_len;
    expand(secret, info, (size_t)(at - info), out, len);
    secret_zero(info, sizeof info);
}
