/* SPDX-License-Identifier: MIT */
#ifndef WEIR_CRYPTO_BLAKE2B_H
#define WEIR_CRYPTO_BLAKE2B_H
#include <stddef.h>
#include <stdint.h>

/** Streaming BLAKE2b (RFC 7693) with a 32-byte result and no key: content hashes. */
enum { BLAKE2B_SIZE = 32 };
struct blake2b_state {
    uint8_t opaque[384];
};
void blake2b_init(struct blake2b_state *state);
void blake2b_update(struct blake2b_state *state, const void *data, size_t len);
/** The state is used up then: init it again. */
void blake2b_final(struct blake2b_state *state, uint8_t out[32]);
/** All at once. */
void blake2b(const void *data, size_t len, uint8_t out[32]);
#endif
