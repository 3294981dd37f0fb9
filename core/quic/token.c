/* SPDX-License-Identifier: MIT */
#include "quic/token.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "crypto/aead.h"
#include "crypto/hkdf.h"
#include "crypto/secret.h"
#include "weir.h"

/* A Retry token: kind 1 | nonce 24 | sealed {time 8, odcid, scid, each with its length} | tag 16.
 * Kind and the client's endpoint are associated data: the address need not travel to be checked,
 * and a token that was made for one purpose opens for no other. */
enum { TAG_LEN = 16, PLAIN_MAX = 8 + 2 * (1 + CID_MAX), OVERHEAD = 1 + TOKEN_NONCE_LEN + TAG_LEN };

void token_keys_init(struct token_keys *keys, const uint8_t key[TOKEN_KEY_LEN], uint64_t now_us)
{
    memset(keys, 0, sizeof *keys);
    memcpy(keys->current, key, TOKEN_KEY_LEN);
    keys->rotated_us = now_us;
}

bool token_keys_is_due(const struct token_keys *keys, uint64_t now_us)
{
    return now_us >= keys->rotated_us && now_us - keys->rotated_us >= TOKEN_ROTATE_US;
}

void token_keys_rotate(struct token_keys *keys, const uint8_t key[TOKEN_KEY_LEN], uint64_t now_us)
{
    memcpy(keys->previous, keys->current, TOKEN_KEY_LEN);
    memcpy(keys->current, key, TOKEN_KEY_LEN);
    keys->has_previous = true;
    keys->rotated_us = now_us;
}

void token_keys_erase(struct token_keys *keys)
{
    secret_zero(keys, sizeof *keys);
}

static void associated_data(uint8_t aad[1 + TOKEN_ENDPOINT_LEN], enum token_kind kind,
                            const uint8_t endpoint[TOKEN_ENDPOINT_LEN])
{
    aad[0] = (uint8_t)kind;
    memcpy(aad + 1, endpoint, TOKEN_ENDPOINT_LEN);
}

static void write_cid(struct writer *w, const struct cid *cid)
{
    writer_u8(w, cid->len);
    writer_bytes(w, cid->bytes, cid->len);
}

size_t token_write_retry(const struct token_keys *keys, const uint8_t nonce[TOKEN_NONCE_LEN],
                         const uint8_t endpoint[TOKEN_ENDPOINT_LEN], uint64_t now_us,
                         const struct cid *odcid, const struct cid *scid, uint8_t *out)
{
    uint8_t aad[1 + TOKEN_ENDPOINT_LEN];
    uint8_t *sealed = out + 1 + TOKEN_NONCE_LEN;
    struct writer w = writer_of(sealed, PLAIN_MAX);
    writer_u64(&w, now_us);
    write_cid(&w, odcid);
    write_cid(&w, scid);
    WEIR_ASSERT(!w.full);
    out[0] = TOKEN_RETRY;
    memcpy(out + 1, nonce, TOKEN_NONCE_LEN);
    associated_data(aad, TOKEN_RETRY, endpoint);
    xaead_seal(keys->current, nonce, aad, sizeof aad, sealed, writer_len(&w), sealed);
    return OVERHEAD + writer_len(&w);
}

static bool open_token(const struct token_keys *keys, const uint8_t aad[1 + TOKEN_ENDPOINT_LEN],
                       const uint8_t *token, size_t len, uint8_t plain[PLAIN_MAX])
{
    const uint8_t *nonce = token + 1;
    const uint8_t *sealed = nonce + TOKEN_NONCE_LEN;
    size_t sealed_len = len - 1 - TOKEN_NONCE_LEN;
    size_t aad_len = 1 + TOKEN_ENDPOINT_LEN;
    if (xaead_open(keys->current, nonce, aad, aad_len, sealed, sealed_len, plain) == 0) return true;
    if (!keys->has_previous) return false;
    return xaead_open(keys->previous, nonce, aad, aad_len, sealed, sealed_len, plain) == 0;
}

static bool read_cid(struct reader *r, struct cid *cid)
{
    uint8_t len = reader_u8(r);
    const uint8_t *bytes = reader_bytes(r, len);
    return !r->failed && cid_set(cid, bytes, len);
}

int token_check_retry(const struct token_keys *keys, const uint8_t endpoint[TOKEN_ENDPOINT_LEN],
                      uint64_t now_us, const uint8_t *token, size_t len, struct cid *odcid,
                      struct cid *scid)
{
    uint8_t aad[1 + TOKEN_ENDPOINT_LEN];
    uint8_t plain[PLAIN_MAX];
    if (len < OVERHEAD || len > TOKEN_SIZE_MAX || token[0] != TOKEN_RETRY) return WEIR_E_DECRYPT;
    associated_data(aad, TOKEN_RETRY, endpoint);
    if (!open_token(keys, aad, token, len, plain)) return WEIR_E_DECRYPT;
    struct reader r = reader_of(plain, len - OVERHEAD);
    uint64_t made_us = reader_u64(&r);
    bool good = read_cid(&r, odcid);
    good = read_cid(&r, scid) && good;
    /* Sealed by us, so this holds; still a decoder, and it fails closed. */
    if (!good || reader_left(&r) > 0) return WEIR_E_DECRYPT;
    if (made_us > now_us || now_us - made_us > TOKEN_RETRY_LIFETIME_US) return WEIR_E_TIMEOUT;
    return 0;
}

void token_reset(const uint8_t key[TOKEN_KEY_LEN], const struct cid *cid,
                 uint8_t token[TOKEN_RESET_LEN])
{
    uint8_t mac[SHA256_SIZE];
    hmac_sha256(key, TOKEN_KEY_LEN, cid->bytes, cid->len, mac);
    memcpy(token, mac, TOKEN_RESET_LEN);
    secret_zero(mac, sizeof mac);
}

bool token_reset_equal(const uint8_t a[TOKEN_RESET_LEN], const uint8_t b[TOKEN_RESET_LEN])
{
    return secret_equal(a, b, TOKEN_RESET_LEN);
}
