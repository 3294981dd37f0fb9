/* SPDX-License-Identifier: MIT */
#ifndef WEIR_CRYPTO_PROTECT_H
#define WEIR_CRYPTO_PROTECT_H
#include "crypto/aead.h"

/** QUIC packet protection, RFC 9001 sections 5 and 6, with the suites of aead.h.
 *
 *  This file knows bytes, not packets: where the header ends and where the sample lies is
 *  core/quic's. */
enum { PROTECT_TAG_SIZE = AEAD_TAG_SIZE, PROTECT_SAMPLE_SIZE = 16, PROTECT_MASK_SIZE = 5 };

/** The keys of one direction at one level. Copyable; end it with secret_zero. */
struct protect_keys {
    uint8_t key[32];
    uint8_t iv[12];
    uint8_t hp[32];            /**< header protection; stays the same over key updates */
    uint8_t suite;             /**< enum aead_suite */
};
/** "quic key", "quic iv" and "quic hp" from a secret.
 *  @return 0, or WEIR_E_ARGUMENT for a suite that is unknown or not available (keys are all zero
 *          then) */
int protect_keys_derive(struct protect_keys *keys, unsigned suite, const uint8_t secret[32]);
/** The keys of the next phase: new key and iv from the next secret, hp and suite kept (RFC 9001
 *  section 6.1). next and current may be the same.
 *  @return 0, or WEIR_E_ARGUMENT as protect_keys_derive (next is all zero then) */
int protect_keys_update(struct protect_keys *next, const struct protect_keys *current,
                        const uint8_t next_secret[32]);
/** "quic ku": the secret of the next phase. out may equal secret. */
void protect_next_secret(const uint8_t secret[32], uint8_t out[32]);

/** Keys made ready for a run of packets.
 *
 *  AES-256-GCM expands its key into 512 bytes, in about 37 ns: once per run of datagrams, on the
 *  stack, so that an idle connection keeps 77 bytes of keys and no more. ChaCha20-Poly1305 has
 *  nothing to expand: there, init and end cost nothing, and a cipher per packet is fine. */
struct protect_cipher {
    const struct protect_keys *keys;
    struct aead_aes aes;       /**< set for AEAD_AES_256_GCM only */
};
/** @param keys  stay yours; must stay as they are until protect_cipher_end. Derived (asserted) */
void protect_cipher_init(struct protect_cipher *cipher, const struct protect_keys *keys);
/** Wipes what was expanded. */
void protect_cipher_end(struct protect_cipher *cipher);

/** The five mask bytes: mask[0] is for the low bits of the first byte, mask[1] on for the packet
 *  number.
 *
 *  AEAD_CHACHA20_POLY1305 is RFC 9001 section 5.4.4: ChaCha20 of zeroes, counter and nonce from
 *  the sample. AEAD_AES_256_GCM takes the first bytes of HChaCha20(hp, sample), since RFC 9001
 *  section 9.4 asks for a pseudorandom function under a key of its own and libsodium has no bare
 *  AES block (docs/wire.md 4.1). */
void protect_mask(const struct protect_keys *keys, const uint8_t sample[16], uint8_t mask[5]);
/** Seal len payload bytes in place; PROTECT_TAG_SIZE bytes behind them are written too. header
 *  is the unprotected header up to and including the packet number. packet_number is the whole
 *  one, at most 2^62-1, used once per key. */
void protect_seal(const struct protect_cipher *cipher, uint64_t packet_number, const void *header,
                  size_t header_len, uint8_t *payload, size_t len);
/** Open in place. A failed open destroys the payload (see aead_open).
 *  @param len_with_tag  bytes at payload, tag included
 *  @return              0 (all but the tag is plain now) or WEIR_E_DECRYPT */
int protect_open(const struct protect_cipher *cipher, uint64_t packet_number, const void *header,
                 size_t header_len, uint8_t *payload, size_t len_with_tag);
#endif
