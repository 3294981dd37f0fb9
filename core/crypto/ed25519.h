/* SPDX-License-Identifier: MIT */
#ifndef WEIR_CRYPTO_ED25519_H
#define WEIR_CRYPTO_ED25519_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Signatures, RFC 8032 Ed25519 (pure, no pre-hash). */
enum {
    ED25519_SEED_SIZE = 32,
    ED25519_PUBLIC_SIZE = 32,
    ED25519_SECRET_SIZE = 64,
    ED25519_SIGNATURE_SIZE = 64
};

/** @param secret  filled with the seed and the public key after it: libsodium's and libp2p's form
 *                 alike */
void ed25519_pair_from(uint8_t secret[64], uint8_t public_key[32], const uint8_t seed[32]);
/** secret must come from ed25519_pair_from: a foreign public half would leak the key. */
void ed25519_sign(uint8_t signature[64], const void *message, size_t len, const uint8_t secret[64]);
/** Refuses keys and points of small order, and encodings that are not canonical. */
bool ed25519_verify(const uint8_t signature[64], const void *message, size_t len,
                    const uint8_t public_key[32]);
#endif
