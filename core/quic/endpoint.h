/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_ENDPOINT_H
#define WEIR_QUIC_ENDPOINT_H
#include "base/heap.h"
#include "base/map.h"
#include "crypto/protect.h"
#include "quic/cid.h"
#include "quic/handshake.h"
#include "quic/packet.h"
#include "quic/token.h"
#include "transport/transport.h"

struct connection;
struct local_cid;

enum {
    ENDPOINT_STATELESS_MAX = 8,    /**< answers without state that wait to be sent; more are
                                    *   suppressed, counted */
    ENDPOINT_STATELESS_BYTES = 192,/**< a Retry with our token is the largest */
    ENDPOINT_STATELESS_PER_S = 1000,
};
/** An answer that needs no connection: Version Negotiation, Retry, stateless reset, refusal. */
struct stateless {
    struct endpoint local, remote;
    uint32_t socket;
    uint16_t len;
    uint8_t bytes[ENDPOINT_STATELESS_BYTES];
};
/** Handshakes under way from one host address (wire.md 8.1). */
struct half_open_host {
    struct endpoint host;      /**< port 0 */
    uint32_t count;
};

/** The UDP transport of one node: all its connections, and what happens before there is one. */
struct endpoint_state {
    struct transport base;     /**< first: node knows only this */
    struct map by_cid;         /**< struct local_cid */
    struct map by_first;       /**< listeners' half-open connections by (address, DCID, SCID, e_c),
                                *   wire.md 5.7 */
    struct map by_reset;       /**< connections by the peer's stateless reset token */
    struct map hosts;          /**< struct half_open_host by address */
    struct heap timers;
    struct list sendable, touched, all;
    struct stateless *stateless;   /**< allocated at the first answer */
    uint32_t stateless_count;
    uint64_t stateless_tokens, stateless_us; /**< rate limit: tokens in 1/1000 */
    uint32_t half_open, connections;
    struct token_keys token_keys;
    bool has_token_keys;
    uint8_t reset_key[TOKEN_KEY_LEN];
    struct handshake_own own;  /**< Noise static for this run, and the proof that it is ours */
    /** The read key of one connection, made ready for the run of datagrams that is being taken. */
    struct protect_cipher run_cipher;
    const struct connection *run_owner; /**< NULL: none is ready */
    struct local_cid *run_cid; /**< the id that the last datagram of the run came to, or NULL */
    uint8_t run_updates;       /**< key updates of the owner at that time, modulo 2^8 */
    uint64_t order;            /**< of timers: equal deadlines fire in the order of creation */
};
static inline struct endpoint_state *endpoint_of(struct transport *t)
{
    return (struct endpoint_state *)(void *)t;
}

/* endpoint.c */
bool endpoint_register(struct endpoint_state *e, struct connection *c);
void endpoint_unregister(struct endpoint_state *e, struct connection *c);
/** An id of ours leads to its connection from now on. @return false without memory */
bool endpoint_add_cid(struct endpoint_state *e, struct local_cid *l);
void endpoint_remove_cid(struct endpoint_state *e, const struct local_cid *l);
/** The connection's current read key, made ready: valid until the next call. */
const struct protect_cipher *endpoint_run_cipher(struct endpoint_state *e, struct connection *c);
/** It may have something to send: put it at the end of the row. */
void endpoint_sendable(struct endpoint_state *e, struct connection *c);
void endpoint_reset_token(const struct endpoint_state *e, const struct cid *cid,
                          uint8_t token[TOKEN_RESET_LEN]);

/** The peer's reset token is known, or changed. */
void endpoint_learn_reset(struct endpoint_state *e, struct connection *c);

/* endpoint_accept.c */
/** A datagram that belongs to no connection. */
void endpoint_on_stranger(struct endpoint_state *e, const struct datagram_in *in, uint8_t *data,
                          size_t len, uint64_t now_us);
/** A listener's handshake ended, one way or the other. */
void endpoint_half_open_end(struct endpoint_state *e, struct connection *c);
/** The next answer without state. @return false when none waits */
bool endpoint_next_stateless(struct endpoint_state *e, struct datagram_out *out);
#endif
