/* SPDX-License-Identifier: MIT */
/* Goal: SHA-256, HMAC and HKDF give the published values.
 * Method: samples of FIPS 180-2, RFC 4231, RFC 5869 and RFC 9001 typed in; Wycheproof's files when
 * they are present. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "crypto/hkdf.h"
#include "json.h"
#include "weir.h"

static void assert_hex(const uint8_t *bytes, size_t len, const char *text)
{
    uint8_t expected[256];
    assert_int_equal(hex(text, expected, sizeof expected), len);
    assert_memory_equal(bytes, expected, len);
}

static void test_sha256_has_the_samples_of_fips_180(void **state)
{
    (void)state;
    uint8_t out[32];
    sha256(NULL, 0, out);
    assert_hex(out, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256("abc", 3, out);
    assert_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_two("a", 1, "bc", 2, out);
    assert_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_sha256_two_may_write_over_its_input(void **state)
{
    (void)state;
    uint8_t expected[32], h[32] = {1, 2, 3};
    sha256_two(h, 32, "x", 1, expected);
    sha256_two(h, 32, "x", 1, h);
    assert_memory_equal(h, expected, 32);
}

static void test_hmac_has_the_sample_of_rfc_4231(void **state)
{
    (void)state;
    uint8_t out[32];
    hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, out);
    assert_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void test_hkdf_has_the_samples_of_rfc_5869(void **state)
{
    (void)state;
    uint8_t input[22], salt[13], info[10], prk[32], out[42];
    memset(input, 0x0b, sizeof input);
    hex("000102030405060708090a0b0c", salt, sizeof salt);
    hex("f0f1f2f3f4f5f6f7f8f9", info, sizeof info);
    hkdf_extract(salt, sizeof salt, input, sizeof input, prk);
    assert_hex(prk, 32, "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
    assert_int_equal(hkdf_expand(prk, info, sizeof info, out, sizeof out), 0);
    assert_hex(out, 42,
               "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
               "34007208d5b887185865");
    hkdf_extract(NULL, 0, input, sizeof input, prk);
    assert_int_equal(hkdf_expand(prk, NULL, 0, out, sizeof out), 0);
    assert_hex(out, 42,
               "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
               "9d201395faa4b61a96c8");
}

static void test_expand_gives_at_most_255_blocks(void **state)
{
    (void)state;
    static uint8_t out[HKDF_EXPAND_MAX + 1];
    uint8_t prk[32] = {1};
    assert_int_equal(hkdf_expand(prk, NULL, 0, out, HKDF_EXPAND_MAX), 0);
    out[0] = 0xee;
    assert_int_equal(hkdf_expand(prk, NULL, 0, out, sizeof out), WEIR_E_ARGUMENT);
    assert_int_equal(out[0], 0xee);
    assert_int_equal(hkdf_expand(prk, NULL, 0, out, 0), 0);
    assert_int_equal(out[0], 0xee);
}

static void test_expand_label_has_the_values_of_rfc_9001(void **state)
{
    (void)state;
    uint8_t secret[32], out[32];
    hex("c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea", secret, 32);
    hkdf_expand_label(secret, "quic key", NULL, 0, out, 16);
    assert_hex(out, 16, "1f369613dd76d5467730efcbe3b1a22d");
    hkdf_expand_label(secret, "quic iv", NULL, 0, out, 12);
    assert_hex(out, 12, "fa044b2f42a3fd3b46fb255c");
    hkdf_expand_label(secret, "quic hp", NULL, 0, out, 16);
    assert_hex(out, 16, "9f50449e04a0e810283a1e9933adedd2");
}

static void test_a_prepared_key_serves_many_labels_and_is_not_used_up(void **state)
{
    (void)state;
    static const char *const labels[] = {"quic key", "quic iv", "quic hp", "quic key"};
    uint8_t secret[32] = {1, 2, 3}, expected[70], out[70];
    struct hmac_key key, copy, before;
    hmac_key_init(&key, secret, sizeof secret);
    copy = before = key;
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        hkdf_expand_label(secret, labels[i], "context", i, expected, sizeof expected);
        hkdf_expand_label_with(&key, labels[i], "context", i, out, sizeof out);
        assert_memory_equal(out, expected, sizeof out);
        hkdf_expand_label_with(&copy, labels[i], "context", i, out, sizeof out);
        assert_memory_equal(out, expected, sizeof out);
    }
    assert_memory_equal(&key, &before, sizeof key);
}

/* Computed with Python's hmac module. */
static void test_expand_label_takes_64_bytes_of_context(void **state)
{
    (void)state;
    uint8_t secret[32], context[HKDF_CONTEXT_MAX] = {0}, out[70], again[32];
    for (unsigned i = 0; i < 32; i++) secret[i] = (uint8_t)i;
    hkdf_expand_label(secret, "x", context, sizeof context, out, sizeof out);
    assert_hex(out, sizeof out,
               "d12732b46f69dfa36076826e65fe053c15a4aafa79e662e221f2f1334f7961a32610c1"
               "467b41dba4da0fa70e67900aebe8ecde027d20cfde77bb3440ba2e0a588444b0acbd89");
    hkdf_expand_label(secret, "x", context, sizeof context, again, sizeof again);
    hkdf_expand_label(secret, "x", context, sizeof context, secret, sizeof secret);
    assert_memory_equal(secret, again, 32);
}

static void test_hmac_passes_wycheproof(void **state)
{
    (void)state;
    char *text = json_load(WEIR_VECTORS "/wycheproof/hmac_sha256_test.json");
    if (text == NULL) {
        print_message("absent: wycheproof/hmac_sha256_test.json\n");
        skip();
    }
    struct json group = {0}, groups = json_get(json_parse(text), "testGroups");
    unsigned count = 0;
    while (json_next(groups, &group)) {
        struct json test = {0}, tests = json_get(group, "tests");
        while (json_next(tests, &test)) {
            uint8_t key[2048], message[2048], tag[32], out[32];
            size_t key_len = json_hex(json_get(test, "key"), key, sizeof key);
            size_t len = json_hex(json_get(test, "msg"), message, sizeof message);
            size_t tag_len = json_hex(json_get(test, "tag"), tag, sizeof tag);
            assert_true(key_len != SIZE_MAX && len != SIZE_MAX && tag_len <= 32);
            hmac_sha256(key, key_len, message, len, out);
            bool equal = memcmp(out, tag, tag_len) == 0;
            assert_int_equal(equal, json_is(json_get(test, "result"), "valid"));
            count++;
        }
    }
    assert_int_equal(count, json_integer(json_get(json_parse(text), "numberOfTests")));
    free(text);
}

static void test_hkdf_passes_wycheproof(void **state)
{
    (void)state;
    char *text = json_load(WEIR_VECTORS "/wycheproof/hkdf_sha256_test.json");
    if (text == NULL) {
        print_message("absent: wycheproof/hkdf_sha256_test.json\n");
        skip();
    }
    static uint8_t okm[HKDF_EXPAND_MAX], out[HKDF_EXPAND_MAX];
    struct json group = {0}, groups = json_get(json_parse(text), "testGroups");
    unsigned count = 0;
    while (json_next(groups, &group)) {
        struct json test = {0}, tests = json_get(group, "tests");
        while (json_next(tests, &test)) {
            uint8_t input[2048], salt[2048], info[2048], prk[32];
            size_t input_len = json_hex(json_get(test, "ikm"), input, sizeof input);
            size_t salt_len = json_hex(json_get(test, "salt"), salt, sizeof salt);
            size_t info_len = json_hex(json_get(test, "info"), info, sizeof info);
            size_t okm_len = json_hex(json_get(test, "okm"), okm, sizeof okm);
            size_t size = (size_t)json_integer(json_get(test, "size"));
            bool valid = json_is(json_get(test, "result"), "valid");
            assert_true(input_len != SIZE_MAX && salt_len != SIZE_MAX && info_len != SIZE_MAX);
            hkdf_extract(salt, salt_len, input, input_len, prk);
            int error = hkdf_expand(prk, info, info_len, out, size);
            assert_int_equal(error, valid ? 0 : WEIR_E_ARGUMENT);
            if (valid) {
                assert_int_equal(okm_len, size);
                assert_memory_equal(out, okm, size);
            }
            count++;
        }
    }
    assert_int_equal(count, json_integer(json_get(json_parse(text), "numberOfTests")));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256_has_the_samples_of_fips_180),
        cmocka_unit_test(test_sha256_two_may_write_over_its_input),
        cmocka_unit_test(test_hmac_has_the_sample_of_rfc_4231),
        cmocka_unit_test(test_hkdf_has_the_samples_of_rfc_5869),
        cmocka_unit_test(test_expand_gives_at_most_255_blocks),
        cmocka_unit_test(test_expand_label_has_the_values_of_rfc_9001),
        cmocka_unit_test(test_a_prepared_key_serves_many_labels_and_is_not_used_up),
        cmocka_unit_test(test_expand_label_takes_64_bytes_of_context),
        cmocka_unit_test(test_hmac_passes_wycheproof),
        cmocka_unit_test(test_hkdf_passes_wycheproof),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
