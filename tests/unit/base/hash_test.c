/* SPDX-License-Identifier: MIT */
/* Goal: hash_sip13 is SipHash with 1 and 3 rounds; hash_mix depends on order and never changes.
 * Method: a second SipHash in this file, with the rounds as parameters, is checked against the
 * vector of the paper (2 and 4 rounds) and then, with 1 and 3, compared for all lengths to 256;
 * known answers pin both down. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/hash.h"
#include <string.h>

static uint64_t rotate(uint64_t v, unsigned n)
{
    return v << n | v >> (64 - n);
}

/* Written from the paper's figure, one byte at a time, independent of hash.c. */
static uint64_t sip_reference(const uint8_t key[16], const uint8_t *data, size_t len, unsigned c,
                              unsigned d)
{
    uint64_t k[2] = {0, 0}, word = 0, a, b, e, f;
    size_t total = (len / 8 + 1) * 8, i;
    unsigned n;

    for (i = 0; i < 16; i++) k[i / 8] |= (uint64_t)key[i] << (i % 8 * 8);
    a = k[0] ^ UINT64_C(0x736f6d6570736575);
    b = k[1] ^ UINT64_C(0x646f72616e646f6d);
    e = k[0] ^ UINT64_C(0x6c7967656e657261);
    f = k[1] ^ UINT64_C(0x7465646279746573);
    for (i = 0; i <= total; i++) {
        if (i > 0 && i % 8 == 0) {
            f ^= word;
            for (n = 0; n < c; n++) {
                a += b, e += f, b = rotate(b, 13) ^ a, f = rotate(f, 16) ^ e, a = rotate(a, 32);
                e += b, a += f, b = rotate(b, 17) ^ e, f = rotate(f, 21) ^ a, e = rotate(e, 32);
            }
            a ^= word;
            word = 0;
        }
        if (i < len) word |= (uint64_t)data[i] << (i % 8 * 8);
        if (i == total - 1) word |= (uint64_t)(len % 256) << 56;
    }
    e ^= 0xff;
    for (n = 0; n < d; n++) {
        a += b, e += f, b = rotate(b, 13) ^ a, f = rotate(f, 16) ^ e, a = rotate(a, 32);
        e += b, a += f, b = rotate(b, 17) ^ e, f = rotate(f, 21) ^ a, e = rotate(e, 32);
    }
    return a ^ b ^ e ^ f;
}

static void fill(uint8_t *bytes, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) bytes[i] = (uint8_t)(i & 0xff);
}

static void test_reference_gives_the_vector_of_the_paper(void **state)
{
    uint8_t key[16], data[15];

    (void)state;
    fill(key, sizeof key);
    fill(data, sizeof data);
    assert_true(sip_reference(key, data, sizeof data, 2, 4) == UINT64_C(0xa129ca6149be45e5));
}

static void test_sip13_equals_the_reference_at_every_length(void **state)
{
    uint8_t key[16], data[300];
    size_t len;

    (void)state;
    fill(key, sizeof key);
    fill(data, sizeof data);
    for (len = 0; len <= sizeof data; len++) {
        assert_true(hash_sip13(key, data, len) == sip_reference(key, data, len, 1, 3));
    }
}

static void test_sip13_gives_known_answers(void **state)
{
    /* Key 00..0f, input 00, 01, ...; made with a third implementation, which also gives CPython
     * 3.11's string hash. */
    static const struct {
        size_t len;
        uint64_t hash;
    } answers[] = {
        {0, UINT64_C(0xabac0158050fc4dc)},  {1, UINT64_C(0xc9f49bf37d57ca93)},
        {7, UINT64_C(0xd3927d989bb11140)},  {8, UINT64_C(0x369095118d299a8e)},
        {15, UINT64_C(0xd320d86d2a519956)}, {16, UINT64_C(0xcc4fdd1a7d908b66)},
        {63, UINT64_C(0x9d199062b7bbb3a8)}, {64, UINT64_C(0xf17997ec4b4a6065)},
    };
    uint8_t key[16], data[64];
    size_t i;

    (void)state;
    fill(key, sizeof key);
    fill(data, sizeof data);
    for (i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        assert_true(hash_sip13(key, data, answers[i].len) == answers[i].hash);
    }
    memset(key, 0, sizeof key);
    assert_true(hash_sip13(key, "connection", 10) == UINT64_C(0x412d2991813e589a));
}

static void test_sip13_depends_on_every_key_bit_and_alignment_does_not_matter(void **state)
{
    uint8_t key[16] = {0}, data[40];
    uint64_t first;
    unsigned i;

    (void)state;
    fill(data, sizeof data);
    first = hash_sip13(key, data + 1, 32);
    memmove(data, data + 1, 32);
    assert_true(hash_sip13(key, data, 32) == first);
    for (i = 0; i < 128; i++) {
        key[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_true(hash_sip13(key, data, 32) != first);
        key[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    assert_true(hash_sip13(key, NULL, 0) == hash_sip13(key, data, 0));
}

static void test_mix_depends_on_order_and_on_every_value(void **state)
{
    (void)state;
    assert_true(hash_mix(0, 0) != 0);
    assert_true(hash_mix(hash_mix(0, 1), 2) != hash_mix(hash_mix(0, 2), 1));
    assert_true(hash_mix(0, 0) != hash_mix(hash_mix(0, 0), 0));
    assert_true(hash_mix(5, 1) != hash_mix(1, 5));
    assert_true(hash_mix(0, 1) != hash_mix(0, UINT64_C(1) << 63));
}

static void test_mix_bytes_depends_on_boundaries_and_zeros(void **state)
{
    static const uint8_t zeros[9] = {0};
    uint64_t ab_c = hash_mix_bytes(hash_mix_bytes(0, "ab", 2), "c", 1);
    uint64_t a_bc = hash_mix_bytes(hash_mix_bytes(0, "a", 1), "bc", 2);

    (void)state;
    assert_true(ab_c != a_bc);
    assert_true(ab_c != hash_mix_bytes(0, "abc", 3));
    assert_true(hash_mix_bytes(0, zeros, 8) != hash_mix_bytes(0, zeros, 9));
    assert_true(hash_mix_bytes(0, zeros, 7) != hash_mix_bytes(0, zeros, 8));
    assert_true(hash_mix_bytes(0, NULL, 0) != 0);
    assert_true(hash_mix_bytes(0, "12345678x", 9) != hash_mix_bytes(0, "12345678y", 9));
    assert_true(hash_mix_bytes(0, "12345678", 8) != hash_mix_bytes(0, "x2345678", 8));
}

/* Trace hashes are stored next to recorded worlds: a change of these figures invalidates every
 * one of them. */
static void test_mix_never_changes(void **state)
{
    (void)state;
    assert_true(hash_mix(0, 0) == UINT64_C(0xe220a8397b1dcdaf));
    assert_true(hash_mix(1, 2) == UINT64_C(0x885d9e34f64ff357));
    assert_true(hash_mix_bytes(0, "two peers talk", 14) == UINT64_C(0x1fd9fa8bbc5dfbb4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_gives_the_vector_of_the_paper),
        cmocka_unit_test(test_sip13_equals_the_reference_at_every_length),
        cmocka_unit_test(test_sip13_gives_known_answers),
        cmocka_unit_test(test_sip13_depends_on_every_key_bit_and_alignment_does_not_matter),
        cmocka_unit_test(test_mix_depends_on_order_and_on_every_value),
        cmocka_unit_test(test_mix_bytes_depends_on_boundaries_and_zeros),
        cmocka_unit_test(test_mix_never_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
