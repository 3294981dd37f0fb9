/* SPDX-License-Identifier: MIT */
#include "crypto/blake2b.h"
#include "base/assert.h"
#include "crypto/secret.h"
#include <sodium.h>
#include <string.h>

_Static_assert(sizeof(crypto_generichash_blake2b_state) == sizeof(struct blake2b_state),
               "libsodium's state is ours");

/* libsodium wants its state on a multiple of 64 bytes. A caller's struct may lie anywhere, and not
 * every compiler keeps such a promise for a local one under a sanitizer, so each call works in a
 * place that is aligned by hand. The copies cost little beside the hashing. */
enum { ALIGNMENT = 64 };
struct place {
    uint8_t room[sizeof(struct blake2b_state) + ALIGNMENT - 1];
};

static crypto_generichash_blake2b_state *enter(struct place *place,
                                               const struct blake2b_state *state)
{
    uintptr_t at = ((uintptr_t)place->room + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1);
    void *aligned = place->room + (at - (uintptr_t)place->room);
    if (state != NULL) memcpy(aligned, state, sizeof *state);
    return aligned;
}

void blake2b_init(struct blake2b_state *state)
{
    struct place place;
    crypto_generichash_blake2b_state *inner = enter(&place, NULL);
    int failed = crypto_generichash_blake2b_init(inner, NULL, 0, BLAKE2B_SIZE);
    WEIR_ASSERT(failed == 0);
    memcpy(state, inner, sizeof *state);
}

void blake2b_update(struct blake2b_state *state, const void *data, size_t len)
{
    struct place place;
    crypto_generichash_blake2b_state *inner;
    if (len == 0) return;
    inner = enter(&place, state);
    int failed = crypto_generichash_blake2b_update(inner, data, len);
    WEIR_ASSERT(failed == 0);
    memcpy(state, inner, sizeof *state);
}

void blake2b_final(struct blake2b_state *state, uint8_t out[32])
{
    struct place place;
    int failed = crypto_generichash_blake2b_final(enter(&place, state), out, BLAKE2B_SIZE);
    WEIR_ASSERT(failed == 0);
    secret_zero(&place, sizeof place);
    secret_zero(state, sizeof *state);
}

void blake2b(const void *data, size_t len, uint8_t out[32])
{
    struct blake2b_state state;
    blake2b_init(&state);
    blake2b_update(&state, data, len);
    blake2b_final(&state, out);
}
