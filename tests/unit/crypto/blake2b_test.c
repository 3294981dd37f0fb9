/* SPDX-License-Identifier: MIT */
/* Goal: streaming BLAKE2b-256 equals the hash of the whole, however the bytes are cut.
 * Method: values computed with Python's hashlib.blake2b(digest_size=32); every cut of 768 bytes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "crypto/blake2b.h"
#include "json.h"

static void test_known_hashes(void **state)
{
    (void)state;
    uint8_t out[32], expected[32];
    blake2b(NULL, 0, out);
    hex("0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8", expected, 32);
    assert_memory_equal(out, expected, 32);
    blake2b("abc", 3, out);
    hex("bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319", expected, 32);
    assert_memory_equal(out, expected, 32);
}

static void test_every_cut_gives_the_same_hash(void **state)
{
    (void)state;
    uint8_t data[768], whole[32], out[32], expected[32];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)i;
    blake2b(data, sizeof data, whole);
    hex("b8007121274217790e2923e0ad7027986e5a99d5531ef6ae7d294140fc81615d", expected, 32);
    assert_memory_equal(whole, expected, 32);
    for (size_t cut = 0; cut <= sizeof data; cut++) {
        struct blake2b_state a;
        blake2b_init(&a);
        blake2b_update(&a, data, cut);
        struct blake2b_state b = a; /* a copy goes on by itself */
        blake2b_update(&a, data + cut, sizeof data - cut);
        blake2b_final(&a, out);
        assert_memory_equal(out, whole, 32);
        blake2b_final(&b, out);
        blake2b(data, cut, expected);
        assert_memory_equal(out, expected, 32);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_hashes),
        cmocka_unit_test(test_every_cut_gives_the_same_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
