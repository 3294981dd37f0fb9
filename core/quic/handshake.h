/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_HANDSHAKE_H
#define WEIR_QUIC_HANDSHAKE_H
#include "base/mem.h"
#include "crypto/secret.h"
#include "crypto/x25519.h"
#include "identity/proof.h"
#include <stdbool.h>

/** The small interface between the transport and whoever agrees on keys.
 *
 *  The transport carries bytes of two levels in CRYPTO frames, in order; the provider takes them,
 *  gives bytes to send, secrets for packet protection, and the peer's proven identity and transport
 *  parameters. Noise XX is the one provider; a TLS 1.3 provider would stand beside it. A provider
 *  does no I/O and keeps no time. */

enum handshake_level { HANDSHAKE_INITIAL = 0, HANDSHAKE_HANDSHAKE = 1, HANDSHAKE_APPLICATION = 2 };

/** What a node brings to all its handshakes: computed once per run (docs/wire.md 6.4), for its
 *  public half and its signature cost a quarter of what a handshake's own arithmetic does. */
struct handshake_own {
    struct x25519_pair static_pair;    /**< the X25519 static of this run */
    struct proof_head proof;           /**< that it is the identity's */
};
/** @param static_secret  32 random bytes. End it with secret_zero. */
void handshake_own_init(struct handshake_own *own, const struct key_pair *key,
                        const uint8_t static_secret[32]);

struct handshake_config {
    const struct mem *mem;
    const struct entropy *entropy;
    const struct handshake_own *own;   /**< outlives the handshake */
    bool client;
};
/** What stands fixed once the peer's message is verified. */
struct handshake_peer {
    struct peer_id id;
    const uint8_t *params;     /**< its transport parameters, encoded; valid while the handshake
                                *   lives */
    size_t params_len;
};
struct handshake_secrets {
    uint8_t client[32], server[32];
};
struct handshake;
/** What on_bytes reached. */
enum handshake_step {
    HANDSHAKE_WAITS = 0,       /**< more bytes are needed */
    HANDSHAKE_KEYS,            /**< secrets() of the Handshake level are there; a server must call
                                *   answer() now */
    HANDSHAKE_PEER             /**< the peer proved who it is: check peer(), then call complete() */
};

struct handshake_ops {
    const char *name;
    /** A client's first bytes are ready at once. @return 0 or WEIR_E_MEMORY */
    int (*open)(const struct handshake_config *config, struct handshake **out);
    /** A copy of a client that has only sent its first message: one per server that answers
     *  (docs/wire.md 5.5). */
    int (*fork)(const struct handshake *h, struct handshake **out);
    void (*close)(struct handshake *h); /**< erases every secret; NULL is allowed */
    /** Bytes of a level, in order, each once. @return enum handshake_step, or a negative WEIR_E_*
     *  (the handshake has failed) */
    int (*on_bytes)(struct handshake *h, enum handshake_level level, const uint8_t *data,
         size_t len);
    /** Server: our encoded parameters; makes message 2. @return 0 or WEIR_E_* */
    int (*answer)(struct handshake *h, const uint8_t *params, size_t len);
    /** The checks of HANDSHAKE_PEER passed. Client: our encoded parameters, makes message 3. suite:
     *  what was agreed. Then secrets() has those of the Application level. @return 0 or WEIR_E_* */
    int (*complete)(struct handshake *h, const uint8_t *params, size_t len, uint8_t suite);
    /** All bytes to send at a level, from its start; they do not change. @return their length */
    size_t (*bytes)(const struct handshake *h, enum handshake_level level, const uint8_t **data);
    /** of the newest level */
    void (*secrets)(const struct handshake *h, struct handshake_secrets *out);
    const struct handshake_peer *(*peer)(const struct handshake *h);
};
extern const struct handshake_ops noise_handshake;
enum {
    HANDSHAKE_FIRST_LEN = 34,
    HANDSHAKE_PIECE_MAX = 2048,
    HANDSHAKE_COST_BYTES = 6144 /**< what one handshake is charged for: its state and both pieces */
};
/** Whether these are all of a first message ("00 20" and the key). */
bool handshake_first_is_whole(const uint8_t *data, size_t len);
#endif
