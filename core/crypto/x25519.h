/* SPDX-License-Identifier: MIT */
#ifndef WEIR_CRYPTO_X25519_H
#define WEIR_CRYPTO_X25519_H
#include <stdint.h>

/** Diffie-Hellman on Curve25519, RFC 7748. */
enum { X25519_SIZE = 32 };
struct x25519_pair {
    uint8_t secret[32];        /**< as given; clamped at each use */
    uint8_t public_key[32];
};
/** The pair of 32 random bytes. */
void x25519_pair_from(struct x25519_pair *pair, const uint8_t secret[32]);
/** The shared secret. An all-zero result is refused (docs/wire.md 5.4): the public key was of small
 *  order, and both sides would "agree" on a value that everybody knows.
 *  @return 0, or WEIR_E_HANDSHAKE (out is zeroed then) */
int x25519_shared(uint8_t out[32], const uint8_t secret[32], const uint8_t public_key[32]);
#endif
