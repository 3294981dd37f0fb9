/* SPDX-License-Identifier: MIT */
/* Packet protection at its fastest, for the limit. libsodium's ChaCha20 is fast only in multiples
 * of 512 bytes, and its AEAD asks for block 0 in a call of its own. So block 0 (whose first half is
 * the key of Poly1305, RFC 8439 section 2.6) and the message go through one call that is padded to
 * such a multiple. The second half of block 0 is of no use to anyone and lies just before the
 * message: the header is put there, padded to 16 bytes, and the lengths go behind the message, so
 * that Poly1305 reads one piece. */
#include "limit_packet.h"
#include <sodium.h>
#include <string.h>

enum { BLOCK = 64, STEP = 512, HEADER_PADDED = 16 };

struct work {
    uint8_t bytes[BLOCK + 8 * STEP];
};

_Static_assert((int)PACKET_HEADER <= (int)HEADER_PADDED,
               "the header fits behind the key of Poly1305");
_Static_assert(sizeof(crypto_aead_aes256gcm_state) <= 512, "room for the key schedule");

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* The tag over header and sealed body, which stand in w at BLOCK. */
static void padded_tag(struct work *w, const uint8_t *header, size_t len, uint8_t tag[16])
{
    uint8_t key[32], *at = w->bytes + BLOCK - HEADER_PADDED;
    size_t whole = round_up(len, 16);
    uint64_t lengths[2] = {PACKET_HEADER, len};
    memcpy(key, w->bytes, sizeof key);
    memset(at, 0, HEADER_PADDED);
    memcpy(at, header, PACKET_HEADER);
    memset(w->bytes + BLOCK + len, 0, whole - len);
    memcpy(w->bytes + BLOCK + whole, lengths, sizeof lengths);
    crypto_onetimeauth_poly1305(tag, at, HEADER_PADDED + whole + 16, key);
}

static void padded_seal(const uint8_t *key, const uint8_t nonce[12], const uint8_t *header,
                        uint8_t *body, size_t len)
{
    struct work w;
    size_t all = round_up(BLOCK + len, STEP);
    memset(w.bytes, 0, BLOCK);
    memcpy(w.bytes + BLOCK, body, len);
    memset(w.bytes + BLOCK + len, 0, all - BLOCK - len);
    crypto_stream_chacha20_ietf_xor_ic(w.bytes, w.bytes, all, nonce, 0, key);
    padded_tag(&w, header, len, body + len);
    memcpy(body, w.bytes + BLOCK, len);
}

/* Keystream first: what does not authenticate is decrypted for nothing, which is rare. */
static bool padded_open(const uint8_t *key, const uint8_t nonce[12], const uint8_t *header,
                        uint8_t *body, size_t len)
{
    struct work plain, sealed;
    size_t all = round_up(BLOCK + len, STEP);
    uint8_t tag[16];
    memset(plain.bytes, 0, BLOCK);
    memcpy(plain.bytes + BLOCK, body, len);
    memset(plain.bytes + BLOCK + len, 0, all - BLOCK - len);
    memcpy(sealed.bytes + BLOCK, body, len);
    crypto_stream_chacha20_ietf_xor_ic(plain.bytes, plain.bytes, all, nonce, 0, key);
    memcpy(sealed.bytes, plain.bytes, 32);
    padded_tag(&sealed, header, len, tag);
    if (crypto_verify_16(tag, body + len) != 0) return false;
    memcpy(body, plain.bytes + BLOCK, len);
    return true;
}

void packet_keys_make(struct packet_keys *k)
{
    memset(k->key, 1, sizeof k->key);
    memset(k->mask_key, 2, sizeof k->mask_key);
    if (crypto_aead_aes256gcm_is_available() != 0)
        crypto_aead_aes256gcm_beforenm((crypto_aead_aes256gcm_state *)k->aes, k->key);
}

static void mask(enum limit_kind kind, const struct packet_keys *k, uint8_t *packet)
{
    static const uint8_t zeroes[5];
    const uint8_t *sample = packet + PACKET_NUMBER_AT + 4;
    uint8_t out[32];
    if (kind == LIMIT_AES) {
        crypto_core_hchacha20(out, sample, k->mask_key, NULL);
    } else {
        uint32_t counter;
        memcpy(&counter, sample, sizeof counter);
        crypto_stream_chacha20_ietf_xor_ic(out, zeroes, 5, sample + 4, counter, k->mask_key);
    }
    packet[0] ^= out[0] & 0x1f;
    for (int i = 0; i < 4; i++) packet[PACKET_NUMBER_AT + i] ^= out[i + 1];
}

void packet_close(enum limit_kind kind, const struct packet_keys *k, uint8_t *packet,
                  uint32_t number)
{
    uint8_t nonce[12] = {0}, *body = packet + PACKET_HEADER;
    packet[0] = 0x43;
    memset(packet + 1, 7, 8);
    memcpy(packet + PACKET_NUMBER_AT, &number, sizeof number);
    memcpy(nonce, &number, sizeof number);
    if (kind == LIMIT_AES) {
        crypto_aead_aes256gcm_encrypt_afternm(body, NULL, body, PACKET_BODY, packet, PACKET_HEADER,
                                              NULL, nonce,
                                              (const crypto_aead_aes256gcm_state *)k->aes);
    } else if (kind == LIMIT_CHACHA_PADDED) {
        padded_seal(k->key, nonce, packet, body, PACKET_BODY);
    } else {
        crypto_aead_chacha20poly1305_ietf_encrypt(body, NULL, body, PACKET_BODY, packet,
                                                  PACKET_HEADER, NULL, nonce, k->key);
    }
    mask(kind, k, packet);
}

bool packet_uncover(enum limit_kind kind, const struct packet_keys *k, uint8_t *packet)
{
    uint8_t nonce[12] = {0}, *body = packet + PACKET_HEADER;
    mask(kind, k, packet);
    memcpy(nonce, packet + PACKET_NUMBER_AT, 4);
    if (kind == LIMIT_AES)
        return crypto_aead_aes256gcm_decrypt_afternm(
                   body, NULL, NULL, body, PACKET_BODY + PACKET_TAG, packet, PACKET_HEADER, nonce,
                   (const crypto_aead_aes256gcm_state *)k->aes) == 0;
    if (kind == LIMIT_CHACHA_PADDED) return padded_open(k->key, nonce, packet, body, PACKET_BODY);
    return crypto_aead_chacha20poly1305_ietf_decrypt(body, NULL, NULL, body,
                                                     PACKET_BODY + PACKET_TAG, packet,
                                                     PACKET_HEADER, nonce, k->key) == 0;
}

bool packet_padded_is_right(void)
{
    static uint8_t a[PACKET_BODY + PACKET_TAG], b[PACKET_BODY + PACKET_TAG];
    uint8_t key[32], nonce[12], header[PACKET_HEADER];
    randombytes_buf(key, sizeof key);
    randombytes_buf(nonce, sizeof nonce);
    randombytes_buf(header, sizeof header);
    for (size_t len = 0; len <= PACKET_BODY; len++) {
        for (size_t i = 0; i < len; i++) a[i] = b[i] = (uint8_t)(i * 7 + len);
        crypto_aead_chacha20poly1305_ietf_encrypt(a, NULL, a, len, header, sizeof header, NULL,
                                                  nonce, key);
        padded_seal(key, nonce, header, b, len);
        if (memcmp(a, b, len + PACKET_TAG) != 0) return false;
        if (!padded_open(key, nonce, header, b, len)) return false;
        for (size_t i = 0; i < len; i++) {
            if (b[i] != (uint8_t)(i * 7 + len)) return false;
        }
    }
    return true;
}
