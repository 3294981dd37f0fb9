/* SPDX-License-Identifier: MIT */
#include "crypto/aead.h"
#include "base/assert.h"
#include "crypto/chapoly.h"
#include "crypto/secret.h"
#include "weir.h"
#include <sodium.h>

_Static_assert(crypto_aead_chacha20poly1305_ietf_KEYBYTES == AEAD_KEY_SIZE, "key");
_Static_assert(crypto_aead_chacha20poly1305_ietf_NPUBBYTES == AEAD_NONCE_SIZE, "nonce");
_Static_assert(crypto_aead_chacha20poly1305_ietf_ABYTES == AEAD_TAG_SIZE, "tag");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == XAEAD_NONCE_SIZE, "long nonce");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == AEAD_TAG_SIZE, "tag");
_Static_assert(sizeof(crypto_aead_aes256gcm_state) == AEAD_AES_STATE_SIZE, "expanded key");
_Static_assert(crypto_aead_aes256gcm_KEYBYTES == AEAD_KEY_SIZE, "key");
_Static_assert(crypto_aead_aes256gcm_NPUBBYTES == AEAD_NONCE_SIZE, "nonce");
_Static_assert(crypto_aead_aes256gcm_ABYTES == AEAD_TAG_SIZE, "tag");

bool aead_is_available(unsigned suite)
{
    if (suite == AEAD_CHACHA20_POLY1305) return true;
    return suite == AEAD_AES_256_GCM && crypto_aead_aes256gcm_is_available() == 1;
}

bool aead_prefers_aes(void)
{
    /* libsodium has it on x86 with AES-NI and PCLMUL, and by now on ARM with its crypto
     * extensions: in either case instructions against ChaCha20 on plain vectors. */
    return aead_is_available(AEAD_AES_256_GCM);
}

void aead_aes_init(struct aead_aes *aes, const uint8_t key[32])
{
    WEIR_ASSERT(aead_is_available(AEAD_AES_256_GCM));
    crypto_aead_aes256gcm_beforenm((crypto_aead_aes256gcm_state *)aes->state, key);
}

void aead_aes_end(struct aead_aes *aes)
{
    secret_zero(aes, sizeof *aes);
}

void aead_aes_seal(const struct aead_aes *aes, const uint8_t nonce[12], const void *aad,
                   size_t aad_len, const void *plain, size_t len, uint8_t *out)
{
    crypto_aead_aes256gcm_encrypt_afternm(out, NULL, plain, len, aad, aad_len, NULL, nonce,
                                          (const crypto_aead_aes256gcm_state *)aes->state);
}

int aead_aes_open(const struct aead_aes *aes, const uint8_t nonce[12], const void *aad,
                  size_t aad_len, const void *sealed, size_t sealed_len, uint8_t *out)
{
    if (sealed_len < AEAD_TAG_SIZE) return WEIR_E_DECRYPT;
    int failed = crypto_aead_aes256gcm_decrypt_afternm(
        out, NULL, NULL, sealed, sealed_len, aad, aad_len, nonce,
        (const crypto_aead_aes256gcm_state *)aes->state);
    return failed != 0 ? WEIR_E_DECRYPT : 0;
}

int aead_seal(unsigned suite, const uint8_t key[32], const uint8_t nonce[12], const void *aad,
              size_t aad_len, const void *plain, size_t len, uint8_t *out)
{
    if (!aead_is_available(suite)) return WEIR_E_ARGUMENT;
    if (suite == AEAD_AES_256_GCM) {
        struct aead_aes aes;
        aead_aes_init(&aes, key);
        aead_aes_seal(&aes, nonce, aad, aad_len, plain, len, out);
        aead_aes_end(&aes);
        return 0;
    }
    if (len <= CHAPOLY_LEN_MAX) {
        chapoly_seal(key, nonce, aad, aad_len, plain, len, out);
        return 0;
    }
    crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain, len, aad, aad_len, NULL, nonce,
                                              key);
    return 0;
}

int aead_open(unsigned suite, const uint8_t key[32], const uint8_t nonce[12], const void *aad,
              size_t aad_len, const void *sealed, size_t sealed_len, uint8_t *out)
{
    if (!aead_is_available(suite)) return WEIR_E_ARGUMENT;
    if (suite == AEAD_AES_256_GCM) {
        struct aead_aes aes;
        aead_aes_init(&aes, key);
        int error = aead_aes_open(&aes, nonce, aad, aad_len, sealed, sealed_len, out);
        aead_aes_end(&aes);
        return error;
    }
    if (sealed_len < AEAD_TAG_SIZE) return WEIR_E_DECRYPT;
    size_t len = sealed_len - AEAD_TAG_SIZE;
    if (len <= CHAPOLY_LEN_MAX) {
        bool authentic = chapoly_open(key, nonce, aad, aad_len, sealed, len, out);
        return authentic ? 0 : WEIR_E_DECRYPT;
    }
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
