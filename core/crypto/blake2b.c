/* SPDX-License-Identifier: MIT */
#include "crypto/blake2b.h"
#include "base/assert.h"
#include "crypto/secret.h"
#include <sodium.h>

_Static_assert(sizeof(crypto_generichash_blake2b_state) <= sizeof(struct blake2b_state),
               "libsodium's state fits into ours");
_Static_assert(_Alignof(crypto_generichash_blake2b_state) <= _Alignof(struct blake2b_state),
               "and is no more aligned");

static crypto_generichash_blake2b_state *blake2b_inner(struct blake2b_state *state)
{
    return (crypto_generichash_blake2b_state *)(void *)state->opaque;
}

void blake2b_init(struct blake2b_state *state)
{
    int failed = crypto_generichash_blake2b_init(blake2b_inner(state), NULL, 0, BLAKE2B_SIZE);
    WEIR_ASSERT(failed == 0);
}

void blake2b_update(struct blake2b_state *state, const void *data, size_t len)
{
    if (len == 0) return;
    int failed = crypto_generichash_blake2b_update(blake2b_inner(state), data, len);
    WEIR_ASSERT(failed == 0);
}

void blake2b_final(struct blake2b_state *state, uint8_t out[32])
{
    int failed = crypto_generichash_blake2b_final(blake2b_inner(state), out, BLAKE2B_SIZE);
    WEIR_ASSERT(failed == 0);
    secret_zero(state, sizeof *state);
}

void blake2b(const void *data, size_t len, uint8_t out[32])
{
    struct blake2b_state state;
    blake2b_init(&state);
    blake2b_update(&state, data, len);
    blake2b_final(&state, out);
}
