/* SPDX-License-Identifier: MIT */
#ifndef WEIR_IDENTITY_PROOF_H
#define WEIR_IDENTITY_PROOF_H
#include "identity/key_pair.h"

/** The proof of identity inside a Noise handshake: libp2p's NoiseHandshakePayload.
 *
 *       1 identity_key   the public key message (36 bytes for Ed25519)
 *       2 identity_sig   signature over "noise-libp2p-static-key:" and the Noise static key
 *       4 extensions     a message; its field 1025 holds the sender's QUIC transport parameters
 *
 *  1025 is the first number above libp2p's own range. The parameters are opaque here and bound
 *  by the handshake's hash, not by the signature.
 *
 *  Known fields may come once only and in their wire type; unknown fields are skipped. */
enum {
    PROOF_PARAMS_MAX = 1024,
    PROOF_PARAMS_FIELD = 1025,
    PROOF_SIZE_MAX = 1984,     /**< docs/wire.md 5.2: 2048 less the sealed static key and the tag */
    PROOF_HEAD_SIZE = 104      /**< identity_key and identity_sig, each with tag and length */
};
/** Bytes that proof_make writes at most for params_len bytes of parameters. */
#define PROOF_SIZE(params_len) (PROOF_HEAD_SIZE + 10 + (params_len))

/** Fields 1 and 2, encoded: they depend on identity and static key alone, so whoever uses a
 *  static key many times (docs/wire.md 6.4) signs it once. */
struct proof_head {
    uint8_t bytes[PROOF_HEAD_SIZE];
};
/** Signs: about as costly as an X25519. Deterministic. */
void proof_head_make(struct proof_head *head, const struct key_pair *pair,
                     const uint8_t noise_static[32]);
/** Write the proof that the head begins. Parameters and errors as proof_make. */
int proof_write(const struct proof_head *head, const void *params, size_t params_len, uint8_t *out,
                size_t cap);

/** Both at once. Deterministic: equal input, equal bytes.
 *  @param params  NULL with 0 leaves the extensions out (TCP); else at most PROOF_PARAMS_MAX
 *                 bytes
 *  @return        bytes written; WEIR_E_SPACE (out is too small) or WEIR_E_ARGUMENT (params too
 *                 long) */
int proof_make(const struct key_pair *pair, const uint8_t noise_static[32], const void *params,
               size_t params_len, uint8_t *out, size_t cap);
/** Check a proof and learn who the peer is. The caller compares the id with the one it dialled
 *  (WEIR_E_IDENTITY).
 *  @param noise_static  the remote static key of this very handshake
 *  @param id            the peer; empty on error
 *  @param params        set to the parameters inside bytes, or to NULL when there are none
 *  @return              0, or WEIR_E_HANDSHAKE whatever is wrong: nothing that an impostor could
 *                       learn from */
int proof_check(const uint8_t *bytes, size_t len, const uint8_t noise_static[32],
                struct peer_id *id, const uint8_t **params, size_t *params_len);
#endif
