/* SPDX-License-Identifier: MIT */
#include "crypto/protect.h"
#include "base/assert.h"
#include "crypto/hkdf.h"
#include "crypto/secret.h"
#include "weir.h"
#include <sodium.h>
#include <string.h>

int protect_keys_derive(struct protect_keys *keys, unsigned suite, const uint8_t secret[32])
{
    memset(keys, 0, sizeof *keys);
    if (suite != AEAD_CHACHA20_POLY1305) return WEIR_E_ARGUMENT;
    hkdf_expand_label(secret, "quic key", NULL, 0, keys->key, sizeof keys->key);
    hkdf_expand_label(secret, "quic iv", NULL, 0, keys->iv, sizeof keys->iv);
    hkdf_expand_label(secret, "quic hp", NULL, 0, keys->hp, sizeof keys->hp);
    keys->suite = (uint8_t)suite;
    return 0;
}

void protect_keys_update(struct protect_keys *next, const struct protect_keys *current,
                         const uint8_t next_secret[32])
{
    WEIR_ASSERT(current->suite == AEAD_CHACHA20_POLY1305);
    if (next != current) *next = *current;
    hkdf_expand_label(next_secret, "quic key", NULL, 0, next->key, sizeof next->key);
    hkdf_expand_label(next_secret, "quic iv", NULL, 0, next->iv, sizeof next->iv);
}

void protect_next_secret(const uint8_t secret[32], uint8_t out[32])
{
    hkdf_expand_label(secret, "quic ku", NULL, 0, out, 32);
}

void protect_mask(const struct protect_keys *keys, const uint8_t sample[16], uint8_t mask[5])
{
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

void protect_seal(const struct protect_keys *keys, uint64_t packet_number, const void *header,
                  size_t header_len, uint8_t *payload, size_t len)
{
    uint8_t nonce[AEAD_NONCE_SIZE];
    protect_nonce(keys, packet_number, nonce);
    int failed =
        aead_seal(keys->suite, keys->key, nonce, header, header_len, payload, len, payload);
    WEIR_ASSERT(failed == 0);
}

int protect_open(const struct protect_keys *keys, uint64_t packet_number, const void *header,
                 size_t header_len, uint8_t *payload, size_t len_with_tag)
{
    uint8_t nonce[AEAD_NONCE_SIZE];
    protect_nonce(keys, packet_number, nonce);
    int error = aead_open(keys->suite, keys->key, nonce, header, header_len, payload, len_with_tag,
                          payload);
    WEIR_ASSERT(error != WEIR_E_ARGUMENT);
    return error;
}
