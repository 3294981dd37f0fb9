/* SPDX-License-Identifier: MIT */
#include "crypto/aead.h"
#include "weir.h"
#include <sodium.h>

_Static_assert(crypto_aead_chacha20poly1305_ietf_KEYBYTES == AEAD_KEY_SIZE, "key");
_Static_assert(crypto_aead_chacha20poly1305_ietf_NPUBBYTES == AEAD_NONCE_SIZE, "nonce");
_Static_assert(crypto_aead_chacha20poly1305_ietf_ABYTES == AEAD_TAG_SIZE, "tag");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == XAEAD_NONCE_SIZE, "long nonce");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == AEAD_TAG_SIZE, "tag");

int aead_seal(unsigned suite, const uint8_t key[32], const uint8_t nonce[12], const void *aad,
              size_t aad_len, const void *plain, size_t len, uint8_t *out)
{
    if (suite != AEAD_CHACHA20_POLY1305) return WEIR_E_ARGUMENT;
    crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain, len, aad, aad_len, NULL, nonce,
                                              key);
    return 0;
}

int aead_open(unsigned suite, const uint8_t key[32], const uint8_t nonce[12], const void *aad,
              size_t aad_len, const void *sealed, size_t sealed_len, uint8_t *out)
{
    if (suite != AEAD_CHACHA20_POLY1305) return WEIR_E_ARGUMENT;
    if (sealed_len < AEAD_TAG_SIZE) return WEIR_E_DECRYPT;
    int failed = crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, sealed_len, aad,
                                                           aad_len, nonce, key);
    return failed != 0 ? WEIR_E_DECRYPT : 0;
}

void xaead_seal(const uint8_t key[32], const uint8_t nonce[24], const void *aad, size_t aad_len,
                const void *plain, size_t len, uint8_t *out)
{
    crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, plain, len, aad, aad_len, NULL, nonce,
                                               key);
}

int xaead_open(const uint8_t key[32], const uint8_t nonce[24], const void *aad, size_t aad_len,
               const void *sealed, size_t sealed_len, uint8_t *out)
{
    if (sealed_len < AEAD_TAG_SIZE) return WEIR_E_DECRYPT;
    int failed = crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, sealed_len,
                                                            aad, aad_len, nonce, key);
    return failed != 0 ? WEIR_E_DECRYPT : 0;
}
