/* SPDX-License-Identifier: MIT */
#ifndef WEIR_CRYPTO_CHAPOLY_H
#define WEIR_CRYPTO_CHAPOLY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** ChaCha20-Poly1305 of RFC 8439 section 2.8 for messages of a packet's size, with the bytes of
 *  libsodium's crypto_aead_chacha20poly1305_ietf and about two thirds of its time. For aead.c;
 *  all others use aead.h. */
enum { CHAPOLY_LEN_MAX = 4096 };

/** Encrypt and append the tag. As aead_seal.
 *  @param len  at most CHAPOLY_LEN_MAX (asserted) */
void chapoly_seal(const uint8_t key[32], const uint8_t nonce[12], const void *aad, size_t aad_len,
                  const uint8_t *plain, size_t len, uint8_t *out);
/** Check and decrypt. As aead_open: a failed open zeroes the len bytes at out.
 *  @param len  bytes without the 16 of the tag that stand behind them; at most CHAPOLY_LEN_MAX
 *              (asserted)
 *  @return     whether it authenticates */
bool chapoly_open(const uint8_t key[32], const uint8_t nonce[12], const void *aad, size_t aad_len,
                  const uint8_t *sealed, size_t len, uint8_t *out);
#endif
