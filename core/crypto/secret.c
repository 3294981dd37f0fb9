/* SPDX-License-Identifier: MIT */
#include "crypto/secret.h"
#include "base/assert.h"
#include "weir.h"
#include <sodium.h>
#include <string.h>

int secret_init(void)
{
    return sodium_init() < 0 ? WEIR_E_INTERNAL : 0;
}

void secret_zero(void *p, size_t n)
{
    if (n > 0) sodium_memzero(p, n);
}

bool secret_equal(const void *a, const void *b, size_t n)
{
    return n == 0 || sodium_memcmp(a, b, n) == 0;
}

void entropy_fill(const struct entropy *entropy, void *out, size_t len)
{
    WEIR_ASSERT(entropy != NULL);
    WEIR_ASSERT(entropy->fill != NULL);
    if (len > 0) entropy->fill(entropy->context, out, len);
}

void entropy_system_fill(void *context, void *out, size_t len)
{
    (void)context;
    randombytes_buf(out, len);
}

void secret_base64_encode(char *text, size_t cap, const void *bytes, size_t len)
{
    WEIR_ASSERT(cap >= SECRET_BASE64_SIZE(len));
    sodium_bin2base64(text, cap, bytes, len, sodium_base64_VARIANT_ORIGINAL);
}

int secret_base64_decode(void *bytes, size_t cap, size_t *len, const char *text, size_t text_len)
{
    /* Without an end pointer libsodium refuses text that it did not use up. */
    int failed = sodium_base642bin(bytes, cap, text, text_len, NULL, len, NULL,
                                   sodium_base64_VARIANT_ORIGINAL);
    if (failed == 0) return 0;
    secret_zero(bytes, cap);
    *len = 0;
    return WEIR_E_ARGUMENT;
}
