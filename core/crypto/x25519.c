/* SPDX-License-Identifier: MIT */
#include "crypto/x25519.h"
#include "base/assert.h"
#include "crypto/secret.h"
#include "weir.h"
#include <sodium.h>
#include <string.h>

_Static_assert(crypto_scalarmult_curve25519_BYTES == X25519_SIZE, "a point is 32 bytes");

void x25519_pair_from(struct x25519_pair *pair, const uint8_t secret[32])
{
    if (pair->secret != secret) memcpy(pair->secret, secret, sizeof pair->secret);
    int failed = crypto_scalarmult_curve25519_base(pair->public_key, pair->secret);
    WEIR_ASSERT(failed == 0);
}

int x25519_shared(uint8_t out[32], const uint8_t secret[32], const uint8_t public_key[32])
{
    static const uint8_t zeroes[X25519_SIZE] = {0};
    int failed = crypto_scalarmult_curve25519(out, secret, public_key);
    /* libsodium refuses points of small order itself; the second look does not rely on it. */
    if (failed == 0 && !secret_equal(out, zeroes, sizeof zeroes)) return 0;
    secret_zero(out, X25519_SIZE);
    return WEIR_E_HANDSHAKE;
}
