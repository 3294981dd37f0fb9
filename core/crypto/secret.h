/* SPDX-License-Identifier: MIT */
#ifndef WEIR_CRYPTO_SECRET_H
#define WEIR_CRYPTO_SECRET_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Secrets: where they come from, how they are compared, how they end.
 *
 *  core/crypto is the one floor that includes sodium.h; everything above works with plain byte
 *  arrays. */

/** Prepare libsodium. Idempotent; call it once before any other function of this floor.
 *  @return 0, or WEIR_E_INTERNAL when libsodium cannot start
 *  @thread any, but not two at once for the first call */
int secret_init(void);
/** Overwrite n bytes in a way that the compiler may not drop. */
void secret_zero(void *p, size_t n);
/** Compare in time that depends on n only. n 0 is equal. */
bool secret_equal(const void *a, const void *b, size_t n);

/** The source of secret randomness: ephemeral and static keys,
 *  tokens, connection ids, challenges, reset keys, packet number skips. The host hands in the
 *  system's generator, a simulated world a seeded stream; nothing in between can tell. */
struct entropy {
    void (*fill)(void *context, void *out, size_t len);
    void *context;
};
/** Fill out with len bytes of the given source. It cannot fail. */
void entropy_fill(const struct entropy *entropy, void *out, size_t len);
/** The system's generator, as an entropy.fill. For core/host alone: the engine is handed a
 *  struct entropy. */
void entropy_system_fill(void *context, void *out, size_t len);

/** Bytes that base64 of len bytes takes, with its terminating 0. */
#define SECRET_BASE64_SIZE(len) ((((len) + 2) / 3) * 4 + 1)
/** RFC 4648 base64 with padding, in time that does not depend on the bytes (key files).
 *  @param cap  at least SECRET_BASE64_SIZE(len), asserted; the text ends with a 0 */
void secret_base64_encode(char *text, size_t cap, const void *bytes, size_t len);
/** Strict: no spaces, padding required, unused bits 0.
 *  @return 0 with *len set, or WEIR_E_ARGUMENT when the text is not base64 or is longer than cap */
int secret_base64_decode(void *bytes, size_t cap, size_t *len, const char *text, size_t text_len);
#endif
