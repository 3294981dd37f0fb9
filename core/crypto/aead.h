/* SPDX-License-Identifier: MIT */
#ifndef WEIR_CRYPTO_AEAD_H
#define WEIR_CRYPTO_AEAD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Authenticated encryption. The suite numbers are the wire's (docs/wire.md 4.1). */
enum aead_suite {
    AEAD_CHACHA20_POLY1305 = 1, /**< RFC 8439; mandatory; Initial and Handshake packets too */
    AEAD_AES_256_GCM = 2        /**< NIST SP 800-38D; only on a processor that has it built in */
};
enum {
    AEAD_KEY_SIZE = 32,
    AEAD_NONCE_SIZE = 12,
    AEAD_TAG_SIZE = 16,
    XAEAD_NONCE_SIZE = 24,
    AEAD_AES_STATE_SIZE = 512
};

/** Whether this build on this processor can do the suite: the first always, AES-256-GCM where the
 *  processor has AES and carry-less multiplication. After secret_init it never changes. */
bool aead_is_available(unsigned suite);
/** Whether a node should offer AES-256-GCM: it is available and faster here.
 *
 *  Said by architecture, not by a clock: where libsodium has AES-256-GCM at all it is the
 *  processor's own AES, in two thirds of the time of ChaCha20 by vector instructions. The same
 *  answer in every process on one machine. A simulated world does not ask: its suites are part of
 *  the scenario. */
bool aead_prefers_aes(void);

/** Encrypt len bytes and append the tag: len + AEAD_TAG_SIZE bytes are written. A nonce is used
 *  once per key.
 *  @param out  may equal plain (in place); no other overlap
 *  @return     0, or WEIR_E_ARGUMENT for a suite that is unknown or not available (nothing is
 *              written) */
int aead_seal(unsigned suite, const uint8_t key[32], const uint8_t nonce[12], const void *aad,
              size_t aad_len, const void *plain, size_t len, uint8_t *out);
/** Check and decrypt sealed_len bytes, tag included: sealed_len - AEAD_TAG_SIZE bytes are
 *  written.
 *
 *  **A failed open destroys out** (it is zeroed), and so the packet itself when in place. Whoever
 *  needs the bytes afterwards, as for a stateless reset's last 16, saves them first; nobody opens
 *  on trial in place.
 *  @param out  may equal sealed (in place); no other overlap
 *  @return     0; WEIR_E_DECRYPT when it does not authenticate or is shorter than a tag;
 *              WEIR_E_ARGUMENT as above */
int aead_open(unsigned suite, const uint8_t key[32], const uint8_t nonce[12], const void *aad,
              size_t aad_len, const void *sealed, size_t sealed_len, uint8_t *out);

/** A key of AES-256-GCM made ready: round keys and powers of the hash key. Worth keeping for a run
 *  of packets only (protect.h). */
struct aead_aes {
    _Alignas(16) uint8_t state[AEAD_AES_STATE_SIZE];
};
/** Where AEAD_AES_256_GCM is available (asserted). */
void aead_aes_init(struct aead_aes *aes, const uint8_t key[32]);
/** Wipes it. */
void aead_aes_end(struct aead_aes *aes);
/** As aead_seal. */
void aead_aes_seal(const struct aead_aes *aes, const uint8_t nonce[12], const void *aad,
                   size_t aad_len, const void *plain, size_t len, uint8_t *out);
/** As aead_open. @return 0 or WEIR_E_DECRYPT */
int aead_aes_open(const struct aead_aes *aes, const uint8_t nonce[12], const void *aad,
                  size_t aad_len, const void *sealed, size_t sealed_len, uint8_t *out);

/** XChaCha20-Poly1305, whose nonce is long enough to be random: tokens (wire.md 8.4). Same contract
 *  as above. */
void xaead_seal(const uint8_t key[32], const uint8_t nonce[24], const void *aad, size_t aad_len,
                const void *plain, size_t len, uint8_t *out);
/** @return 0 or WEIR_E_DECRYPT; a failed open destroys out */
int xaead_open(const uint8_t key[32], const uint8_t nonce[24], const void *aad, size_t aad_len,
               const void *sealed, size_t sealed_len, uint8_t *out);
#endif
