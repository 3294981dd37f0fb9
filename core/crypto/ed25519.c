/* SPDX-License-Identifier: MIT */
#include "crypto/ed25519.h"
#include <sodium.h>

_Static_assert(crypto_sign_ed25519_SEEDBYTES == ED25519_SEED_SIZE, "seed");
_Static_assert(crypto_sign_ed25519_PUBLICKEYBYTES == ED25519_PUBLIC_SIZE, "public key");
_Static_assert(crypto_sign_ed25519_SECRETKEYBYTES == ED25519_SECRET_SIZE, "secret key");
_Static_assert(crypto_sign_ed25519_BYTES == ED25519_SIGNATURE_SIZE, "signature");

void ed25519_pair_from(uint8_t secret[64], uint8_t public_key[32], const uint8_t seed[32])
{
    crypto_sign_ed25519_seed_keypair(public_key, secret, seed);
}

void ed25519_sign(uint8_t signature[64], const void *message, size_t len, const uint8_t secret[64])
{
    crypto_sign_ed25519_detached(signature, NULL, message, len, secret);
}

bool ed25519_verify(const uint8_t signature[64], const void *message, size_t len,
                    const uint8_t public_key[32])
{
    return crypto_sign_ed25519_verify_detached(signature, message, len, public_key) == 0;
}
