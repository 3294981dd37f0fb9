/* SPDX-License-Identifier: MIT */
/* Goal: signatures are those of RFC 8032 and nothing else verifies.
 * Method: the RFC's tests 1 and 2; each bit of a signature flipped; Wycheproof when present. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "crypto/ed25519.h"
#include "json.h"

struct sample {
    const char *seed, *public_key, *message, *signature;
};
static const struct sample samples[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b"
     "46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11"
     "d8c387b2eaeb4302aeeb00d291612bb0c00"},
};

static void test_signing_has_the_samples_of_rfc_8032(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        uint8_t seed[32], secret[64], public_key[32], expected[64], message[8], signature[64];
        hex(samples[i].seed, seed, 32);
        ed25519_pair_from(secret, public_key, seed);
        hex(samples[i].public_key, expected, 32);
        assert_memory_equal(public_key, expected, 32);
        assert_memory_equal(secret, seed, 32);
        assert_memory_equal(secret + 32, public_key, 32);
        size_t len = hex(samples[i].message, message, sizeof message);
        ed25519_sign(signature, message, len, secret);
        hex(samples[i].signature, expected, 64);
        assert_memory_equal(signature, expected, 64);
        assert_true(ed25519_verify(signature, message, len, public_key));
    }
}

static void test_every_flipped_bit_is_refused(void **state)
{
    (void)state;
    uint8_t seed[32] = {1}, secret[64], public_key[32], signature[64];
    ed25519_pair_from(secret, public_key, seed);
    ed25519_sign(signature, "message", 7, secret);
    assert_true(ed25519_verify(signature, "message", 7, public_key));
    assert_false(ed25519_verify(signature, "massage", 7, public_key));
    assert_false(ed25519_verify(signature, "message", 6, public_key));
    for (size_t bit = 0; bit < 512; bit++) {
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(ed25519_verify(signature, "message", 7, public_key));
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bit = 0; bit < 256; bit++) {
        public_key[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(ed25519_verify(signature, "message", 7, public_key));
        public_key[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* With the neutral point as key and as R, s = 0 satisfies the bare equation for any message. */
static void test_a_key_of_small_order_is_refused(void **state)
{
    (void)state;
    uint8_t public_key[32] = {1}, signature[64] = {1};
    assert_false(ed25519_verify(signature, "message", 7, public_key));
}

static void test_ed25519_passes_wycheproof(void **state)
{
    (void)state;
    char *text = json_load(WEIR_VECTORS "/wycheproof/ed25519_test.json");
    if (text == NULL) {
        print_message("absent: wycheproof/ed25519_test.json\n");
        skip();
    }
    struct json group = {0}, groups = json_get(json_parse(text), "testGroups");
    unsigned count = 0;
    while (json_next(groups, &group)) {
        struct json test = {0}, tests = json_get(group, "tests");
        uint8_t public_key[32];
        struct json pk = json_get(json_get(group, "publicKey"), "pk");
        assert_int_equal(json_hex(pk, public_key, 32), 32);
        for (; json_next(tests, &test); count++) {
            uint8_t message[2048], signature[128];
            bool valid = json_is(json_get(test, "result"), "valid");
            size_t len = json_hex(json_get(test, "msg"), message, sizeof message);
            size_t signature_len = json_hex(json_get(test, "sig"), signature, sizeof signature);
            assert_true(len != SIZE_MAX && signature_len != SIZE_MAX);
            bool passes = false;
            if (signature_len == 64) passes = ed25519_verify(signature, message, len, public_key);
            assert_int_equal(passes, valid);
        }
    }
    assert_int_equal(count, json_integer(json_get(json_parse(text), "numberOfTests")));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signing_has_the_samples_of_rfc_8032),
        cmocka_unit_test(test_every_flipped_bit_is_refused),
        cmocka_unit_test(test_a_key_of_small_order_is_refused),
        cmocka_unit_test(test_ed25519_passes_wycheproof),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
