/* SPDX-License-Identifier: MIT */
#include "crypto/protect.h"
#include "base/assert.h"
#include "crypto/hkdf.h"
#include "crypto/secret.h"
#include "weir.h"
#include <sodium.h>
#include <string.h>

static void derive_packet_keys(struct protect_keys *keys, const struct hmac_key *secret)
{
    hkdf_expand_label_with(secret, "quic key", NULL, 0, keys->key, sizeof keys->key);
    hkdf_expand_label_with(secret, "quic iv", NULL, 0, keys->iv, sizeof keys->iv);
}

int protect_keys_derive(struct protect_keys *keys, unsigned suite, const uint8_t secret[32])
{
    memset(keys, 0, sizeof *keys);
    if (!aead_is_available(suite)) return WEIR_E_ARGUMENT;
    struct hmac_key prepared;
    hmac_key_init(&prepared, secret, SHA256_SIZE);
    derive_packet_keys(keys, &prepared);
    hkdf_expand_label_with(&prepared, "quic hp", NULL, 0, keys->hp, sizeof keys->hp);
    secret_zero(&prepared, sizeof prepared);
    keys->suite = (uint8_t)suite;
    return 0;
}

int protect_keys_update(struct protect_keys *next, const struct protect_keys *current,
                        const uint8_t next_secret[32])
{
    if (!aead_is_available(current->suite)) {
        secret_zero(next, sizeof *next);
        return WEIR_E_ARGUMENT;
    }
    if (next != current) *next = *current;
    struct hmac_key prepared;
    hmac_key_init(&prepared, next_secret, SHA256_SIZE);
    derive_packet_keys(next, &prepared);
    secret_zero(&prepared, sizeof prepared);
    return 0;
}

void protect_next_secret(const uint8_t secret[32], uint8_t out[32])
{
    hkdf_expand_label(secret, "quic ku", NULL, 0, out, 32);
}

void protect_cipher_init(struct protect_cipher *cipher, const struct protect_keys *keys)
{
    WEIR_ASSERT(aead_is_available(keys->suite));
    cipher->keys = keys;
    if (keys->suite == AEAD_AES_256_GCM) aead_aes_init(&cipher->aes, keys->key);
}

void protect_cipher_end(struct protect_cipher *cipher)
{
    if (cipher->keys->suite == AEAD_AES_256_GCM) aead_aes_end(&cipher->aes);
    cipher->keys = NULL;
}

static void mask_hchacha20(const struct protect_keys *keys, const uint8_t sample[16],
                           uint8_t mask[5])
{
    uint8_t out[crypto_core_hchacha20_OUTPUTBYTES];
    crypto_core_hchacha20(out, sample, keys->hp, NULL);
    memcpy(mask, out, PROTECT_MASK_SIZE);
}

void protect_mask(const struct protect_keys *keys, const uint8_t sample[16], uint8_t mask[5])
{
    if (keys->suite == AEAD_AES_256_GCM) {
        mask_hchacha20(keys, sample, mask);
        return;
    }
    WEIR_ASSERT(keys->suite == AEAD_CHACHA20_POLY1305);
    static const uint8_t zeroes[PROTECT_MASK_SIZE] = {0};
    uint32_t counter = (uint32_t)sample[0] | (uint32_t)sample[1] << 8 | (uint32_t)sample[2] << 16 |
                       (uint32_t)sample[3] << 24;
    crypto_stream_chacha20_ietf_xor_ic(mask, zeroes, sizeof zeroes, sample + 4, counter, keys->hp);
}

/* RFC 9001 5.3: the packet number, big-endian and right-aligned, over the iv. */
static void protect_nonce(const struct protect_keys *keys, uint64_t packet_number,
                          uint8_t nonce[AEAD_NONCE_SIZE])
{
    WEIR_ASSERT(packet_number >> 62 == 0);
    memcpy(nonce, keys->iv, AEAD_NONCE_SIZE);
    for (unsigned i = 0; i < 8; i++) {
        nonce[AEAD_NONCE_SIZE - 1 - i] ^= (uint8_t)(packet_number >> (8 * i));
    }
}

void protect_seal(const struct protect_cipher *cipher, uint64_t packet_number, const void *header,
                  size_t header_len, uint8_t *payload, size_t len)
{
    const struct protect_keys *keys = cipher->keys;
    uint8_t nonce[AEAD_NONCE_SIZE];
    protect_nonce(keys, packet_number, nonce);
    if (keys->suite == AEAD_AES_256_GCM) {
        aead_aes_seal(&cipher->aes, nonce, header, header_len, payload, len, payload);
        return;
    }
    int failed =
        aead_seal(keys->suite, keys->key, nonce, header, header_len, payload, len, payload);
    WEIR_ASSERT(failed == 0);
}

int protect_open(const struct protect_cipher *cipher, uint64_t packet_number, const void *header,
                 size_t header_len, uint8_t *payload, size_t len_with_tag)
{
    const struct protect_keys *keys = cipher->keys;
    uint8_t nonce[AEAD_NONCE_SIZE];
    protect_nonce(keys, packet_number, nonce);
    if (keys->suite == AEAD_AES_256_GCM) {
        return aead_aes_open(&cipher->aes, nonce, header, header_len, payload, len_with_tag,
                             payload);
    }
    int error = aead_open(keys->suite, keys->key, nonce, header, header_len, payload, len_with_tag,
                          payload);
    WEIR_ASSERT(error != WEIR_E_ARGUMENT);
    return error;
}
