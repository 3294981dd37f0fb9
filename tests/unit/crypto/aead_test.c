/* SPDX-License-Identifier: MIT */
/* Goal: every AEAD gives the published values, in place too, and refuses every changed byte.
 * Method: the samples of RFC 8439, of the XChaCha draft and of the GCM specification typed in;
 * Wycheproof when present; each bit of a sealed message flipped; lengths around the one at which
 * the code for packets ends (chapoly_test has all below). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "crypto/aead.h"
#include "crypto/secret.h"
#include "json.h"
#include "weir.h"
#include <sodium.h>

#define SUNSCREEN                                                                                  \
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, " \
    "sunscreen would be it."
enum { SUNSCREEN_LEN = sizeof SUNSCREEN - 1 };

static void sample_key(uint8_t key[32], uint8_t aad[12])
{
    for (unsigned i = 0; i < 32; i++) key[i] = (uint8_t)(0x80 + i);
    hex("50515253c0c1c2c3c4c5c6c7", aad, 12);
}

static void test_chacha20_poly1305_has_the_sample_of_rfc_8439(void **state)
{
    (void)state;
    uint8_t key[32], aad[12], nonce[12], expected[SUNSCREEN_LEN + 16], bytes[SUNSCREEN_LEN + 16];
    sample_key(key, aad);
    hex("070000004041424344454647", nonce, 12);
    hex("d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da"
        "92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585"
        "808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691",
        expected, sizeof expected);
    memcpy(bytes, SUNSCREEN, SUNSCREEN_LEN);
    assert_int_equal(aead_seal(1, key, nonce, aad, 12, bytes, SUNSCREEN_LEN, bytes), 0);
    assert_memory_equal(bytes, expected, sizeof expected);
    assert_int_equal(aead_open(1, key, nonce, aad, 12, bytes, sizeof bytes, bytes), 0);
    assert_memory_equal(bytes, SUNSCREEN, SUNSCREEN_LEN);
}

static void test_xchacha_has_the_sample_of_its_draft(void **state)
{
    (void)state;
    uint8_t key[32], aad[12], nonce[24], expected[SUNSCREEN_LEN + 16], bytes[SUNSCREEN_LEN + 16];
    sample_key(key, aad);
    for (unsigned i = 0; i < 24; i++) nonce[i] = (uint8_t)(0x40 + i);
    hex("bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4e"
        "da7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2"
        "383565d3fff921f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49",
        expected, sizeof expected);
    xaead_seal(key, nonce, aad, 12, SUNSCREEN, SUNSCREEN_LEN, bytes);
    assert_memory_equal(bytes, expected, sizeof expected);
    assert_int_equal(xaead_open(key, nonce, aad, 12, bytes, sizeof bytes, bytes), 0);
    assert_memory_equal(bytes, SUNSCREEN, SUNSCREEN_LEN);
    nonce[23] ^= 1;
    assert_int_equal(xaead_open(key, nonce, aad, 12, expected, sizeof expected, bytes),
                     WEIR_E_DECRYPT);
    assert_int_equal(xaead_open(key, nonce, aad, 12, expected, 15, bytes), WEIR_E_DECRYPT);
}

/* cmocka's skip does not say why. */
static void skip_without_aes(void)
{
    if (aead_is_available(AEAD_AES_256_GCM)) return;
    print_message("skipped: this processor has no AES for libsodium\n");
    skip();
}

/* McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, test cases 13 and 16. */
static void test_aes_256_gcm_has_the_samples_of_its_specification(void **state)
{
    (void)state;
    skip_without_aes();
    uint8_t key[32] = {0}, nonce[12] = {0}, aad[20], plain[60], expected[76], bytes[76];
    assert_int_equal(aead_seal(2, key, nonce, NULL, 0, NULL, 0, bytes), 0);
    hex("530f8afbc74536b9a963b4f1c4cb738b", expected, 16);
    assert_memory_equal(bytes, expected, 16);

    hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", key, 32);
    hex("cafebabefacedbaddecaf888", nonce, 12);
    hex("feedfacedeadbeeffeedfacedeadbeefabaddad2", aad, 20);
    hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449"
        "a6b525b16aedf5aa0de657ba637b39",
        plain, sizeof plain);
    hex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056"
        "828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
        expected, sizeof expected);
    memcpy(bytes, plain, sizeof plain);
    assert_int_equal(aead_seal(2, key, nonce, aad, 20, bytes, sizeof plain, bytes), 0);
    assert_memory_equal(bytes, expected, sizeof expected);
    assert_int_equal(aead_open(2, key, nonce, aad, 20, bytes, sizeof bytes, bytes), 0);
    assert_memory_equal(bytes, plain, sizeof plain);
}

static void flip_every_bit(unsigned suite)
{
    uint8_t key[32] = {1}, nonce[12] = {2}, sealed[20 + 16], copy[20 + 16], out[20];
    static const uint8_t zeroes[20];
    uint8_t aad[5] = {3};
    assert_int_equal(aead_seal(suite, key, nonce, aad, 5, "twenty bytes of text", 20, sealed), 0);
    for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
        memcpy(copy, sealed, sizeof sealed);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        memset(out, 0xa5, sizeof out);
        int error = aead_open(suite, key, nonce, aad, 5, copy, sizeof copy, out);
        assert_int_equal(error, WEIR_E_DECRYPT);
        assert_memory_equal(out, zeroes, sizeof out);
        assert_int_equal(aead_open(suite, key, nonce, aad, 5, copy, sizeof copy, copy),
                         WEIR_E_DECRYPT);
        assert_memory_equal(copy, zeroes, sizeof zeroes);
    }
    for (size_t len = 0; len < sizeof sealed; len++) {
        assert_int_equal(aead_open(suite, key, nonce, aad, 5, sealed, len, out), WEIR_E_DECRYPT);
    }
    aad[4] ^= 1;
    int error = aead_open(suite, key, nonce, aad, 5, sealed, sizeof sealed, out);
    assert_int_equal(error, WEIR_E_DECRYPT);
    aad[4] ^= 1;
    assert_int_equal(aead_open(suite, key, nonce, aad, 5, sealed, sizeof sealed, out), 0);
    assert_memory_equal(out, "twenty bytes of text", 20);
}

static void test_every_flipped_bit_is_refused(void **state)
{
    (void)state;
    flip_every_bit(AEAD_CHACHA20_POLY1305);
}

static void test_every_flipped_bit_is_refused_by_aes_too(void **state)
{
    (void)state;
    skip_without_aes();
    flip_every_bit(AEAD_AES_256_GCM);
}

/* 4096 is the last length of the code for packets; beyond it is the library's own. */
static void test_lengths_around_the_bound_are_the_librarys(void **state)
{
    (void)state;
    enum { LONGEST = 65000 };
    static uint8_t plain[LONGEST], expected[LONGEST + 16], bytes[LONGEST + 16];
    static const size_t lens[] = {4032, 4090, 4095, 4096, 4097, 4100, 4352, 4608, 5000, LONGEST};
    uint8_t key[32] = {7}, nonce[12] = {8}, aad[40] = {9};
    for (size_t i = 0; i < LONGEST; i++) plain[i] = (uint8_t)(i * 11 + i / 256);
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        size_t len = lens[i], aad_len = i % 2 == 0 ? 13 : sizeof aad;
        crypto_aead_chacha20poly1305_ietf_encrypt(expected, NULL, plain, len, aad, aad_len, NULL,
                                                  nonce, key);
        memcpy(bytes, plain, len);
        assert_int_equal(aead_seal(1, key, nonce, aad, aad_len, bytes, len, bytes), 0);
        assert_memory_equal(bytes, expected, len + 16);
        assert_int_equal(aead_open(1, key, nonce, aad, aad_len, bytes, len + 16, bytes), 0);
        assert_memory_equal(bytes, plain, len);
        expected[len / 2] ^= 1;
        int error = aead_open(1, key, nonce, aad, aad_len, expected, len + 16, expected);
        assert_int_equal(error, WEIR_E_DECRYPT);
        for (size_t at = 0; at < len; at++) assert_int_equal(expected[at], 0);
    }
}

/* The prepared key gives what the one call gives, at any length and address. */
static void test_aes_with_a_key_made_ready_is_the_same(void **state)
{
    (void)state;
    skip_without_aes();
    static uint8_t plain[1500], whole[1500 + 16], bytes[16 + 1500 + 16];
    static const struct aead_aes wiped;
    uint8_t key[32] = {7}, nonce[12] = {8}, aad[53] = {9};
    struct aead_aes aes;
    aead_aes_init(&aes, key);
    for (size_t i = 0; i < sizeof plain; i++) plain[i] = (uint8_t)(i * 11);
    for (size_t len = 0; len <= sizeof plain; len += 1 + len / 9) {
        uint8_t *at = bytes + len % 16;
        nonce[11] = (uint8_t)len;
        assert_int_equal(aead_seal(2, key, nonce, aad, len % 53, plain, len, whole), 0);
        memcpy(at, plain, len);
        aead_aes_seal(&aes, nonce, aad, len % 53, at, len, at);
        assert_memory_equal(at, whole, len + 16);
        assert_int_equal(aead_aes_open(&aes, nonce, aad, len % 53, at, len + 16, at), 0);
        assert_memory_equal(at, plain, len);
        assert_int_equal(aead_aes_open(&aes, nonce, aad, len % 53, at, 15, at), WEIR_E_DECRYPT);
    }
    aead_aes_end(&aes);
    assert_memory_equal(&aes, &wiped, sizeof aes);
}

static void test_availability_is_one_answer(void **state)
{
    (void)state;
    assert_true(aead_is_available(AEAD_CHACHA20_POLY1305));
    assert_false(aead_is_available(0));
    assert_false(aead_is_available(3));
    assert_false(aead_is_available(258));
    uint8_t key[32] = {1}, nonce[12] = {2}, tag[16];
    int error = aead_seal(AEAD_AES_256_GCM, key, nonce, NULL, 0, NULL, 0, tag);
    assert_int_equal(error, aead_is_available(AEAD_AES_256_GCM) ? 0 : WEIR_E_ARGUMENT);
    assert_true(!aead_prefers_aes() || aead_is_available(AEAD_AES_256_GCM));
}

static void test_nothing_can_be_sealed(void **state)
{
    (void)state;
    uint8_t key[32] = {1}, nonce[12] = {2}, tag[16];
    assert_int_equal(aead_seal(1, key, nonce, NULL, 0, NULL, 0, tag), 0);
    assert_int_equal(aead_open(1, key, nonce, NULL, 0, tag, 16, tag), 0);
}

static void test_other_suites_are_refused(void **state)
{
    (void)state;
    static const unsigned suites[] = {0, 3, 257, UINT32_MAX};
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) {
        uint8_t key[32] = {1}, nonce[12] = {2}, bytes[20] = "abcd";
        int error = aead_seal(suites[i], key, nonce, NULL, 0, bytes, 4, bytes);
        assert_int_equal(error, WEIR_E_ARGUMENT);
        assert_memory_equal(bytes, "abcd", 4);
        error = aead_open(suites[i], key, nonce, NULL, 0, bytes, sizeof bytes, bytes);
        assert_int_equal(error, WEIR_E_ARGUMENT);
    }
}

static void check_wycheproof(struct json test)
{
    static uint8_t aad[8192], plain[8192], sealed[8192], out[8192];
    uint8_t key[32], nonce[12];
    bool valid = json_is(json_get(test, "result"), "valid");
    /* Other nonce lengths are invalid in the file, and in ours cannot be said. */
    if (json_hex(json_get(test, "iv"), nonce, sizeof nonce) != 12) {
        assert_false(valid);
        return;
    }
    assert_int_equal(json_hex(json_get(test, "key"), key, sizeof key), 32);
    size_t aad_len = json_hex(json_get(test, "aad"), aad, sizeof aad);
    size_t len = json_hex(json_get(test, "msg"), plain, sizeof plain);
    size_t sealed_len = json_hex(json_get(test, "ct"), sealed, sizeof sealed - 16);
    assert_true(aad_len != SIZE_MAX && len != SIZE_MAX && sealed_len != SIZE_MAX);
    assert_int_equal(json_hex(json_get(test, "tag"), sealed + sealed_len, 16), 16);
    sealed_len += 16;
    int error = aead_open(1, key, nonce, aad, aad_len, sealed, sealed_len, out);
    assert_int_equal(error, valid ? 0 : WEIR_E_DECRYPT);
    if (!valid) return;
    assert_int_equal(sealed_len, len + 16);
    assert_memory_equal(out, plain, len);
    assert_int_equal(aead_seal(1, key, nonce, aad, aad_len, plain, len, out), 0);
    assert_memory_equal(out, sealed, sealed_len);
}

static void test_chacha20_poly1305_passes_wycheproof(void **state)
{
    (void)state;
    char *text = json_load(WEIR_VECTORS "/wycheproof/chacha20_poly1305_test.json");
    if (text == NULL) {
        print_message("absent: wycheproof/chacha20_poly1305_test.json\n");
        skip();
    }
    struct json group = {0}, groups = json_get(json_parse(text), "testGroups");
    unsigned count = 0;
    while (json_next(groups, &group)) {
        struct json test = {0}, tests = json_get(group, "tests");
        for (; json_next(tests, &test); count++) check_wycheproof(test);
    }
    assert_int_equal(count, json_integer(json_get(json_parse(text), "numberOfTests")));
    free(text);
}

static int prepare(void **state)
{
    (void)state;
    return secret_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chacha20_poly1305_has_the_sample_of_rfc_8439),
        cmocka_unit_test(test_xchacha_has_the_sample_of_its_draft),
        cmocka_unit_test(test_aes_256_gcm_has_the_samples_of_its_specification),
        cmocka_unit_test(test_every_flipped_bit_is_refused),
        cmocka_unit_test(test_every_flipped_bit_is_refused_by_aes_too),
        cmocka_unit_test(test_lengths_around_the_bound_are_the_librarys),
        cmocka_unit_test(test_aes_with_a_key_made_ready_is_the_same),
        cmocka_unit_test(test_availability_is_one_answer),
        cmocka_unit_test(test_nothing_can_be_sealed),
        cmocka_unit_test(test_other_suites_are_refused),
        cmocka_unit_test(test_chacha20_poly1305_passes_wycheproof),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
