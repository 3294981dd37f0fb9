/* SPDX-License-Identifier: MIT */
#include "crypto/chapoly.h"
#include "base/assert.h"
#include "crypto/secret.h"
#include <sodium.h>
#include <string.h>

/* libsodium's vector code makes ChaCha20 eight blocks at a time, or four; what is left over it
 * makes block by block, and three such blocks cost more than eight together. On a packet of 1452
 * bytes, the block of the Poly1305 key and the left-over of the payload cost as much as the rest.
 *
 * So here both go through one call. The message is copied behind 64 bytes of zeroes, padded to a
 * multiple of four blocks, and encrypted with the block counter at 0: the first 32 bytes become the
 * one-time key, and what follows block 0 the ciphertext exactly as RFC 8439 section 2.8 has it,
 * since its message begins with block 1. The copies cost a twentieth of what that saves.
 *
 * Poly1305 is faster over one run of bytes than in pieces, so its input is laid out in the same
 * scratch memory: block 0 has 32 bytes that nobody needs, into which the associated data of a short
 * header fits; padding and lengths go behind the ciphertext. A longer header is hashed in pieces.
 *
 * Opening runs the same single call, into a scratch of its own, before the tag is known to be
 * right; nothing of it leaves this file unless the tag is right. */
enum {
    BLOCK = 64,
    TAG = crypto_onetimeauth_poly1305_BYTES,
    KEY = crypto_onetimeauth_poly1305_KEYBYTES,
    AAD_MAX = BLOCK - KEY, /* that fits behind the key */
#if defined(__x86_64__) || defined(__i386__)
    STEP = 4 * BLOCK,
#else
    STEP = BLOCK, /* libsodium has no vector code here: padding would be waste */
#endif
    SCRATCH = (BLOCK + CHAPOLY_LEN_MAX + TAG + STEP - 1) / STEP * STEP
};

static size_t padded(size_t len, size_t to)
{
    return (len + to - 1) / to * to;
}

/* Block 0 and the message, ready for the cipher. @return bytes, in whole steps */
static size_t fill(uint8_t scratch[SCRATCH], const uint8_t *message, size_t len)
{
    size_t whole = padded(BLOCK + len, STEP);
    memset(scratch, 0, BLOCK);
    if (len > 0) memcpy(scratch + BLOCK, message, len);
    memset(scratch + BLOCK + len, 0, whole - BLOCK - len);
    return whole;
}

static void put_lengths(uint8_t at[16], size_t aad_len, size_t len)
{
    for (unsigned i = 0; i < 8; i++) {
        at[i] = (uint8_t)((uint64_t)aad_len >> (8 * i));
        at[8 + i] = (uint8_t)((uint64_t)len >> (8 * i));
    }
}

static void tag_in_pieces(uint8_t tag[TAG], const uint8_t key[KEY], const void *aad, size_t aad_len,
                          const uint8_t *ciphertext, size_t len)
{
    static const uint8_t zeroes[16];
    uint8_t lengths[16];
    crypto_onetimeauth_poly1305_state state;
    put_lengths(lengths, aad_len, len);
    crypto_onetimeauth_poly1305_init(&state, key);
    crypto_onetimeauth_poly1305_update(&state, aad, aad_len);
    crypto_onetimeauth_poly1305_update(&state, zeroes, padded(aad_len, 16) - aad_len);
    crypto_onetimeauth_poly1305_update(&state, ciphertext, len);
    crypto_onetimeauth_poly1305_update(&state, zeroes, padded(len, 16) - len);
    crypto_onetimeauth_poly1305_update(&state, lengths, sizeof lengths);
    crypto_onetimeauth_poly1305_final(&state, tag);
}

/* The tag of the ciphertext at scratch + BLOCK; key may be the first bytes of scratch. */
static void tag_of(uint8_t tag[TAG], const uint8_t *key, const void *aad, size_t aad_len,
                   uint8_t scratch[SCRATCH], size_t len)
{
    uint8_t *ciphertext = scratch + BLOCK;
    if (aad_len > AAD_MAX) {
        tag_in_pieces(tag, key, aad, aad_len, ciphertext, len);
        return;
    }
    size_t aad_room = padded(aad_len, 16), room = padded(len, 16);
    memset(scratch + KEY, 0, AAD_MAX);
    if (aad_len > 0) memcpy(ciphertext - aad_room, aad, aad_len);
    memset(ciphertext + len, 0, room - len);
    put_lengths(ciphertext + room, aad_len, len);
    crypto_onetimeauth_poly1305(tag, ciphertext - aad_room, aad_room + room + 16, key);
}

void chapoly_seal(const uint8_t key[32], const uint8_t nonce[12], const void *aad, size_t aad_len,
                  const uint8_t *plain, size_t len, uint8_t *out)
{
    WEIR_ASSERT(len <= CHAPOLY_LEN_MAX);
    _Alignas(BLOCK) uint8_t scratch[SCRATCH];
    size_t whole = fill(scratch, plain, len);
    crypto_stream_chacha20_ietf_xor_ic(scratch, scratch, whole, nonce, 0, key);
    if (len > 0) memcpy(out, scratch + BLOCK, len);
    tag_of(out + len, scratch, aad, aad_len, scratch, len);
    secret_zero(scratch, BLOCK);
}

bool chapoly_open(const uint8_t key[32], const uint8_t nonce[12], const void *aad, size_t aad_len,
                  const uint8_t *sealed, size_t len, uint8_t *out)
{
    WEIR_ASSERT(len <= CHAPOLY_LEN_MAX);
    _Alignas(BLOCK) uint8_t scratch[SCRATCH], opened[SCRATCH];
    uint8_t tag[TAG];
    size_t whole = fill(scratch, sealed, len);
    crypto_stream_chacha20_ietf_xor_ic(opened, scratch, whole, nonce, 0, key);
    tag_of(tag, opened, aad, aad_len, scratch, len);
    bool authentic = crypto_verify_16(tag, sealed + len) == 0;
    if (!authentic) memset(opened + BLOCK, 0, whole - BLOCK);
    if (len > 0) memcpy(out, opened + BLOCK, len);
    secret_zero(opened, BLOCK);
    return authentic;
}
