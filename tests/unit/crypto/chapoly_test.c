/* SPDX-License-Identifier: MIT */
/* Goal: the padded construction is libsodium's ChaCha20-Poly1305, byte for byte, at every length
 * that it takes, and refuses whatever the library refuses.
 * Method: every length from 0 to the last, with headers around the sizes at which the code takes
 * another way, at odd addresses, in place and not, against the library; then one bit changed at a
 * time. Bytes around the output are guarded. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "crypto/chapoly.h"
#include "crypto/secret.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { TAG = 16, GUARD = 32, AAD_LONGEST = 200 };
static const size_t aad_lens[] = {0, 1, 13, 16, 17, 31, 32, 33, 53, AAD_LONGEST};
enum { AADS = sizeof aad_lens / sizeof aad_lens[0] };

static uint8_t key[32], nonce[12], aad[AAD_LONGEST], message[CHAPOLY_LEN_MAX];

static int prepare(void **state)
{
    (void)state;
    if (secret_init() != 0) return -1;
    for (size_t i = 0; i < sizeof key; i++) key[i] = (uint8_t)(i * 7 + 1);
    for (size_t i = 0; i < sizeof nonce; i++) nonce[i] = (uint8_t)(i * 5 + 3);
    for (size_t i = 0; i < sizeof aad; i++) aad[i] = (uint8_t)(i * 3 + 9);
    for (size_t i = 0; i < sizeof message; i++) message[i] = (uint8_t)(i * 13 + i / 256);
    return 0;
}

static void library_seals(const void *with, size_t aad_len, size_t len, uint8_t *out)
{
    crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, message, len, with, aad_len, NULL, nonce,
                                              key);
}

static void assert_all(const uint8_t *bytes, size_t len, uint8_t value)
{
    for (size_t i = 0; i < len; i++) assert_int_equal(bytes[i], value);
}

/* One length, one header, one address: sealed and opened by us, in place or not. */
static void check_one(size_t len, size_t aad_len, size_t shift, bool in_place)
{
    static uint8_t expected[CHAPOLY_LEN_MAX + TAG];
    static uint8_t from[GUARD + CHAPOLY_LEN_MAX + TAG + GUARD];
    static uint8_t to[GUARD + CHAPOLY_LEN_MAX + TAG + GUARD];
    uint8_t *plain = from + shift, *out = (in_place ? from : to) + shift;
    const void *with = aad_len > 0 ? aad : NULL;
    library_seals(with, aad_len, len, expected);
    memset(out, 0xa5, len + TAG + GUARD);
    memcpy(plain, message, len);
    chapoly_seal(key, nonce, with, aad_len, plain, len, out);
    assert_memory_equal(out, expected, len + TAG);
    assert_all(out + len + TAG, GUARD / 2, 0xa5);
    if (!in_place) assert_memory_equal(plain, message, len);

    memcpy(plain, expected, len + TAG);
    memset(to + shift, 0xa5, len + GUARD);
    assert_true(chapoly_open(key, nonce, with, aad_len, plain, len, out));
    assert_memory_equal(out, message, len);
    if (in_place) {
        assert_memory_equal(out + len, expected + len, TAG);
    } else {
        assert_all(out + len, GUARD / 2, 0xa5);
        assert_memory_equal(plain, expected, len + TAG);
    }
}

static void test_every_length_is_the_librarys(void **state)
{
    (void)state;
    for (size_t len = 0; len <= CHAPOLY_LEN_MAX; len++) {
        nonce[4] = (uint8_t)len;
        nonce[5] = (uint8_t)(len >> 8);
        for (size_t i = 0; i < AADS; i++) {
            check_one(len, aad_lens[i], (len + 5 * i) % 16, (len / 16 + i) % 2 == 0);
        }
    }
}

static void test_every_header_length_and_address_is_the_librarys(void **state)
{
    (void)state;
    static const size_t lens[] = {0, 1, 15, 16, 17, 191, 192, 193, 448, 449, 1431, 1452};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        for (size_t aad_len = 0; aad_len <= 70; aad_len++) {
            check_one(lens[i], aad_len, aad_len % 16, aad_len % 3 == 0);
            check_one(lens[i], aad_len, (aad_len + 7) % 16, aad_len % 3 != 0);
        }
    }
}

/* Refused, and nothing but zeroes where the plaintext would have been. */
static void assert_refused(const uint8_t *sealed, size_t len, size_t aad_len, bool in_place)
{
    static uint8_t bytes[CHAPOLY_LEN_MAX + TAG], other[CHAPOLY_LEN_MAX + TAG];
    uint8_t *out = in_place ? bytes : other;
    memset(other, 0xa5, sizeof other);
    memcpy(bytes, sealed, len + TAG);
    assert_false(chapoly_open(key, nonce, aad, aad_len, bytes, len, out));
    assert_all(out, len, 0);
    if (in_place)
        assert_memory_equal(out + len, sealed + len, TAG);
    else
        assert_all(out + len, TAG, 0xa5);
}

static void flip_and_refuse(uint8_t *byte, unsigned bit, const uint8_t *sealed, size_t len,
                            size_t aad_len)
{
    *byte ^= (uint8_t)(1u << bit % 8);
    assert_refused(sealed, len, aad_len, bit % 2 == 0);
    *byte ^= (uint8_t)(1u << bit % 8);
}

static void test_one_changed_bit_is_refused_and_the_output_zeroed(void **state)
{
    (void)state;
    static uint8_t sealed[CHAPOLY_LEN_MAX + TAG];
    static const size_t lens[] = {0, 1, 16, 63, 192, 193, 449, 1431, 4095, CHAPOLY_LEN_MAX};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        size_t len = lens[i], aad_len = aad_lens[1 + i % (AADS - 1)];
        library_seals(aad, aad_len, len, sealed);
        for (unsigned bit = 0; bit < 8 * TAG; bit++) {
            flip_and_refuse(&sealed[len + bit / 8], bit, sealed, len, aad_len);
        }
        for (size_t at = 0; at < len; at += 1 + len / 50) {
            flip_and_refuse(&sealed[at], (unsigned)at, sealed, len, aad_len);
        }
        for (unsigned at = 0; at < aad_len; at++) {
            flip_and_refuse(&aad[at], at, sealed, len, aad_len);
        }
        flip_and_refuse(&key[31], 7, sealed, len, aad_len);
        flip_and_refuse(&nonce[0], 0, sealed, len, aad_len);
        assert_refused(sealed, len, aad_len - 1, true);
        if (len > 0) assert_refused(sealed, len - 1, aad_len, true);
        /* And unchanged it is right: the above refused for the change alone. */
        assert_true(chapoly_open(key, nonce, aad, aad_len, sealed, len, sealed));
        assert_memory_equal(sealed, message, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_length_is_the_librarys),
        cmocka_unit_test(test_every_header_length_and_address_is_the_librarys),
        cmocka_unit_test(test_one_changed_bit_is_refused_and_the_output_zeroed),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
