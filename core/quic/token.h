/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_TOKEN_H
#define WEIR_QUIC_TOKEN_H
#include "quic/cid.h"

/** Address validation without state: Retry tokens (wire.md 8.4) and stateless reset tokens (RFC
 *  9000 10.3.2). */

enum {
    TOKEN_KEY_LEN = 32,
    TOKEN_NONCE_LEN = 24,
    TOKEN_ENDPOINT_LEN = 20, /**< an endpoint's key of core/address: address, port, scope */
    TOKEN_RESET_LEN = 16,
    TOKEN_SIZE_MAX = 1 + TOKEN_NONCE_LEN + 8 + 2 * (1 + CID_MAX) + 16
};
enum token_kind { TOKEN_RETRY = 1 };
#define TOKEN_RETRY_LIFETIME_US UINT64_C(15000000)
/** Not below the lifetime, so that a live token is always under one of the two keys. */
#define TOKEN_ROTATE_US UINT64_C(60000000)

struct token_keys {
    uint8_t current[TOKEN_KEY_LEN], previous[TOKEN_KEY_LEN];
    bool has_previous;
    uint64_t rotated_us;
};
/** @param key  fresh secret bytes from the system's generator */
void token_keys_init(struct token_keys *keys, const uint8_t key[TOKEN_KEY_LEN], uint64_t now_us);
/** Whether TOKEN_ROTATE_US have passed. */
bool token_keys_is_due(const struct token_keys *keys, uint64_t now_us);
/** The current key becomes the previous one, which is forgotten. */
void token_keys_rotate(struct token_keys *keys, const uint8_t key[TOKEN_KEY_LEN], uint64_t now_us);
void token_keys_erase(struct token_keys *keys);

/** Make a Retry token.
 *
 *  @param nonce     fresh random bytes
 *  @param endpoint  the client's address and port; authenticated, not sent
 *  @param odcid     DCID of the Initial that is answered; scid: the SCID that the Retry will carry
 *  @param out       TOKEN_SIZE_MAX bytes
 *  @return  bytes of the token */
size_t token_write_retry(const struct token_keys *keys, const uint8_t nonce[TOKEN_NONCE_LEN],
                         const uint8_t endpoint[TOKEN_ENDPOINT_LEN], uint64_t now_us,
                         const struct cid *odcid, const struct cid *scid, uint8_t *out);
/** Check the token of an Initial.
 *
 *  @param odcid, scid  filled on success; the caller still compares scid with the Initial's DCID
 *  @return  0
 *  @error   WEIR_E_DECRYPT  not a token of ours, or for another address
 *  @error   WEIR_E_TIMEOUT  ours, but older than TOKEN_RETRY_LIFETIME_US (or from the future) */
int token_check_retry(const struct token_keys *keys, const uint8_t endpoint[TOKEN_ENDPOINT_LEN],
                      uint64_t now_us, const uint8_t *token, size_t len, struct cid *odcid,
                      struct cid *scid);

/** HMAC-SHA256(key, cid), first 16 bytes. @param key  static and secret; the same after a
 *  restart */
void token_reset(const uint8_t key[TOKEN_KEY_LEN], const struct cid *cid,
                 uint8_t token[TOKEN_RESET_LEN]);
/** Constant time: a timing difference would let an attacker find a token byte by byte. */
bool token_reset_equal(const uint8_t a[TOKEN_RESET_LEN], const uint8_t b[TOKEN_RESET_LEN]);
#endif
