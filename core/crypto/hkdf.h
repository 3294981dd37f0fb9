/* SPDX-License-Identifier: MIT */
#ifndef WEIR_CRYPTO_HKDF_H
#define WEIR_CRYPTO_HKDF_H
#include <stddef.h>
#include <stdint.h>

/** SHA-256, HMAC (RFC 2104) and HKDF (RFC 5869) over it, and the label form of TLS 1.3 (RFC
 *  8446, section 7.1). */
enum {
    SHA256_SIZE = 32,
    HMAC_STATE_SIZE = 208,
    HKDF_EXPAND_MAX = 255 * SHA256_SIZE,
    HKDF_CONTEXT_MAX = 64,
    HKDF_LABEL_MAX = 32
};

void sha256(const void *data, size_t len, uint8_t out[32]);
/** The hash of a followed by b. out may overlap a or b. */
void sha256_two(const void *a, size_t a_len, const void *b, size_t b_len, uint8_t out[32]);

/** A key that is used more than once: its two blocks are hashed already, which halves the cost of
 *  a short message. Copyable; end it with secret_zero. */
struct hmac_key {
    _Alignas(8) uint8_t state[HMAC_STATE_SIZE];
};
/** @param key  of any length; NULL with 0 */
void hmac_key_init(struct hmac_key *hmac, const void *key, size_t key_len);

/** A key of any length. out may overlap key or data. */
void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[32]);
/** HKDF-Extract. An empty salt stands for 32 zero bytes, as RFC 5869 says. */
void hkdf_extract(const void *salt, size_t salt_len, const void *input, size_t input_len,
                  uint8_t out[32]);
/** HKDF-Expand. out must not overlap prk or info.
 *  @return 0, or WEIR_E_ARGUMENT when len exceeds HKDF_EXPAND_MAX (nothing is written then) */
int hkdf_expand(const uint8_t prk[32], const void *info, size_t info_len, void *out, size_t len);
/** HKDF-Expand-Label: the info is len (2 bytes), "tls13 " and label, context, each with a length
 *  byte.
 *  @param label    at most HKDF_LABEL_MAX bytes, without "tls13 "; asserted, for labels are ours
 *  @param context  at most HKDF_CONTEXT_MAX bytes (asserted); NULL with 0
 *  @param len      at most HKDF_EXPAND_MAX (asserted); out may overlap secret when len is at most
 *                  32 */
void hkdf_expand_label(const uint8_t secret[32], const char *label, const void *context,
                       size_t context_len, void *out, size_t len);
/** The same from a prepared secret, for several labels of one secret. out must not overlap it. */
void hkdf_expand_label_with(const struct hmac_key *secret, const char *label, const void *context,
                            size_t context_len, void *out, size_t len);
#endif
