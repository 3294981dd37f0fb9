/* SPDX-License-Identifier: MIT */
#ifndef WEIR_CRYPTO_NOISE_H
#define WEIR_CRYPTO_NOISE_H
#include "crypto/x25519.h"
#include <stdbool.h>
#include <stddef.h>

/** Noise_XX_25519_ChaChaPoly_SHA256 (Noise Protocol Framework, revision 34), one token at a
 *  time.
 *
 *  The UDP handshake cuts message 2 over two encryption levels, so no read_message or
 *  write_message can serve it: the caller writes the pattern out as calls,
 *       -> e        <- e, ee, s, es        -> s, se
 *  each message ended by its payload (encrypt_and_hash, also of nothing). The state is plain
 *  bytes: a copy by assignment is a second candidate (wire.md 5.5). Every failing call leaves the
 *  state as it was (snow's CVE-2024-58265 was a nonce that moved on a failed open, so that
 *  anybody could break the session). */
enum {
    NOISE_TAG_SIZE = 16,
    NOISE_SEALED_KEY_SIZE = 48,     /**< a static key once a cipher key exists */
    NOISE_MESSAGE_MAX = 65535
};
struct noise_state {
    uint8_t ck[32];            /**< chaining key, for schedule.h; not for applications */
    uint8_t h[32];             /**< the transcript's hash */
    uint8_t k[32];
    uint64_t n;
    struct x25519_pair s;      /**< our static key */
    struct x25519_pair e;      /**< our ephemeral key */
    uint8_t rs[32], re[32];    /**< the remote's public keys, once read */
    bool initiator, has_key, has_e, has_rs, has_re;
};
/** @param prologue      both sides must have the same; NULL with 0
 *  @param static_pair   copied */
void noise_init(struct noise_state *state, bool initiator, const void *prologue,
                size_t prologue_len, const struct x25519_pair *static_pair);
/** Set our ephemeral key, from 32 fresh random bytes, before noise_write_e. Used for one
 *  handshake only (wire.md 5.3). */
void noise_set_ephemeral(struct noise_state *state, const uint8_t secret[32]);
/** As noise_set_ephemeral with a pair that was computed before. */
void noise_set_ephemeral_pair(struct noise_state *state, const struct x25519_pair *pair);

/** Token e, written: 32 bytes, clear. */
void noise_write_e(struct noise_state *state, uint8_t out[32]);
/** Token e, read. @return 0, or WEIR_E_HANDSHAKE when it is our own ephemeral key come back
 *  (docs/wire.md 5.4) */
int noise_read_e(struct noise_state *state, const uint8_t in[32]);
/** The Diffie-Hellman tokens: es is the initiator's ephemeral with the responder's static key,
 *  se the other way round. The keys concerned must have been set or read (asserted).
 *  @return 0, or WEIR_E_HANDSHAKE for an all-zero result (the state is unchanged) */
int noise_mix_ee(struct noise_state *state);
int noise_mix_es(struct noise_state *state);
int noise_mix_se(struct noise_state *state);
/** Token s, written. @param out room for NOISE_SEALED_KEY_SIZE. @return bytes: 48, or 32 before
 *  any key */
size_t noise_write_s(struct noise_state *state, uint8_t *out);
/** Bytes that token s takes now: 48 or 32. */
size_t noise_sealed_key_size(const struct noise_state *state);
/** Token s, read. @param len must be noise_sealed_key_size, else it fails
 *  @return 0, WEIR_E_DECRYPT (the state is unchanged) */
int noise_read_s(struct noise_state *state, const uint8_t *in, size_t len);

/** A payload. @param out len + NOISE_TAG_SIZE bytes (len before any key); may equal plain.
 *  @param len  at most NOISE_MESSAGE_MAX - NOISE_TAG_SIZE (asserted). @return bytes written */
size_t noise_encrypt_and_hash(struct noise_state *state, const void *plain, size_t len,
                              uint8_t *out);
/** @param out      room for len bytes; may equal sealed; destroyed when it fails
 *  @param out_len  set on success; may be NULL
 *  @return         0, WEIR_E_DECRYPT (the state is unchanged) */
int noise_decrypt_and_hash(struct noise_state *state, const void *sealed, size_t len, uint8_t *out,
                           size_t *out_len);
void noise_mix_hash(struct noise_state *state, const void *data, size_t len);
void noise_mix_key(struct noise_state *state, const uint8_t input[32]);
/** The two transport keys: c1 is initiator to responder. When: docs/wire.md 5.11. */
void noise_split(const struct noise_state *state, uint8_t c1[32], uint8_t c2[32]);
/** Erase everything, keys and hash alike. */
void noise_wipe(struct noise_state *state);
#endif
