/* SPDX-License-Identifier: MIT */
#include "crypto/schedule.h"
#include "base/assert.h"
#include "crypto/aead.h"
#include "crypto/hkdf.h"
#include "crypto/secret.h"
#include <string.h>

/* Why a schedule of our own. RFC 9001's secrets come out of TLS, and a Noise handshake has two keys
 * at its end and none on the way. The UDP handshake needs three levels:
 *
 *   Initial      from the destination connection id. Anybody can compute it; it keeps middleboxes
 *                from reading meanings into bytes, and nothing else.
 *   Handshake    from ck and h right after token ee. Secret from those who only listen, not yet
 *                authenticated: it protects what XX has encrypted already, acknowledgements and
 *                closes. HMAC's input (h and a label, 42 bytes) can be no input of Noise's own HKDF
 *                (32 bytes or none), so neither output says anything about the other.
 *   1-RTT        from Split's outputs with the suite and h mixed in: Split alone ignores h, and so
 *                the payloads and the suite that they agreed upon.
 *
 * Whatever differs between two sides differs in h, and then in every key of the last two levels. */

/* Typed in; tests/unit/crypto/schedule_test.c computes them again from their strings. */
const uint8_t schedule_salt[SCHEDULE_SALT_SIZE] = {
    0x9e, 0xe4, 0xb4, 0xdd, 0x15, 0xe5, 0x9b, 0x4c, 0xa8, 0x23,
    0xe8, 0x2b, 0xf7, 0xf6, 0x47, 0xd5, 0x7d, 0xa5, 0xef, 0xd3,
};
static const uint8_t schedule_retry_key[AEAD_KEY_SIZE] = {
    0x50, 0xf8, 0x17, 0x1c, 0x2f, 0x1c, 0xbe, 0x6c, 0xfb, 0x97, 0xc2, 0x73, 0x36, 0xac, 0x05, 0x4c,
    0x98, 0x1e, 0x84, 0xd2, 0x52, 0x1d, 0xaa, 0x9d, 0xe7, 0x8e, 0x1a, 0xa6, 0x5a, 0x41, 0xa3, 0xbb,
};
static const uint8_t schedule_retry_nonce[AEAD_NONCE_SIZE] = {
    0x4f, 0xf2, 0xf1, 0x55, 0x6b, 0x2f, 0x79, 0x60, 0xbf, 0x13, 0x93, 0x6e,
};
const uint8_t schedule_prologue[SCHEDULE_PROLOGUE_SIZE] = {
    'w', 'e', 'i', 'r', '/', 'u', 'd', 'p', 0, 0x77, 0x65, 0x69, 0x72,
};

static void schedule_both(const uint8_t secret[32], const char *client_label,
                          const char *server_label, uint8_t client[32], uint8_t server[32])
{
    struct hmac_key key;
    hmac_key_init(&key, secret, SHA256_SIZE);
    hkdf_expand_label_with(&key, client_label, NULL, 0, client, 32);
    hkdf_expand_label_with(&key, server_label, NULL, 0, server, 32);
    secret_zero(&key, sizeof key);
}

void schedule_initial(const void *salt, size_t salt_len, const void *dcid, size_t dcid_len,
                      uint8_t client[32], uint8_t server[32])
{
    uint8_t secret[SHA256_SIZE];
    hkdf_extract(salt, salt_len, dcid, dcid_len, secret);
    schedule_both(secret, "client in", "server in", client, server);
    secret_zero(secret, sizeof secret);
}

/* HMAC-SHA256(ck, h and label). */
static void schedule_export(const uint8_t ck[32], const uint8_t h[32], const char *label,
                            uint8_t out[32])
{
    uint8_t input[32 + 16];
    size_t label_len = strlen(label);
    WEIR_ASSERT(label_len <= sizeof input - 32);
    memcpy(input, h, 32);
    memcpy(input + 32, label, label_len);
    hmac_sha256(ck, 32, input, 32 + label_len, out);
}

void schedule_handshake(const uint8_t ck[32], const uint8_t h[32], uint8_t client[32],
                        uint8_t server[32])
{
    uint8_t secret[SHA256_SIZE];
    schedule_export(ck, h, "weir hs v1", secret);
    schedule_both(secret, "client hs", "server hs", client, server);
    secret_zero(secret, sizeof secret);
}

void schedule_application(const uint8_t c1[32], const uint8_t c2[32], uint8_t suite,
                          const uint8_t h[32], uint8_t client[32], uint8_t server[32])
{
    uint8_t context[1 + 32];
    context[0] = suite;
    memcpy(context + 1, h, 32);
    hkdf_expand_label(c1, "weir ap", context, sizeof context, client, 32);
    hkdf_expand_label(c2, "weir ap", context, sizeof context, server, 32);
}

void schedule_exporter(const uint8_t ck[32], const uint8_t h[32], uint8_t out[32])
{
    schedule_export(ck, h, "weir exp v1", out);
}

void schedule_retry_tag(const void *pseudo_packet, size_t len, uint8_t tag[16])
{
    int failed = aead_seal(AEAD_CHACHA20_POLY1305, schedule_retry_key, schedule_retry_nonce,
                           pseudo_packet, len, NULL, 0, tag);
    WEIR_ASSERT(failed == 0);
}
