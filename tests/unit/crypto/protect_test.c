/* SPDX-License-Identifier: MIT */
/* Goal: packet protection is RFC 9001's, byte for byte.
 * Method: the whole packet of RFC 9001 appendix A.5 made and opened; key update and misuse around
 * it; the published JSON form of A.5 when present. Suite 02, which no RFC has with this mask, from
 * its parts: keys by the same labels, the AEAD of aead_test, HChaCha20's published sample. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "crypto/protect.h"
#include "crypto/secret.h"
#include "json.h"
#include "weir.h"

static const char a5_secret[] = "9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b";

static void assert_hex(const uint8_t *bytes, size_t len, const char *text)
{
    uint8_t expected[64];
    assert_int_equal(hex(text, expected, sizeof expected), len);
    assert_memory_equal(bytes, expected, len);
}

static void a5_keys(struct protect_keys *keys, struct protect_cipher *cipher)
{
    uint8_t secret[32];
    hex(a5_secret, secret, 32);
    assert_int_equal(protect_keys_derive(keys, AEAD_CHACHA20_POLY1305, secret), 0);
    protect_cipher_init(cipher, keys);
}

static void test_keys_are_those_of_rfc_9001_a5(void **state)
{
    (void)state;
    struct protect_keys keys;
    struct protect_cipher cipher;
    uint8_t secret[32];
    a5_keys(&keys, &cipher);
    assert_hex(keys.key, 32, "c6d98ff3441c3fe1b2182094f69caa2ed4b716b65488960a7a984979fb23e1c8");
    assert_hex(keys.iv, 12, "e0459b3474bdd0e44a41c144");
    assert_hex(keys.hp, 32, "25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4");
    assert_int_equal(keys.suite, AEAD_CHACHA20_POLY1305);
    hex(a5_secret, secret, 32);
    protect_next_secret(secret, secret);
    assert_hex(secret, 32, "1223504755036d556342ee9361d253421a826c9ecdf3c7148684b36b714881f9");
}

/* Seal, mask, protect the header: the 21 bytes of the RFC. Then the way back. */
static void test_the_packet_of_rfc_9001_a5_is_made_and_opened(void **state)
{
    (void)state;
    struct protect_keys keys;
    struct protect_cipher cipher;
    uint8_t packet[21], mask[5];
    enum { HEADER = 4, PN_AT = 1, PN_LEN = 3 };
    a5_keys(&keys, &cipher);
    hex("4200bff401", packet, sizeof packet);
    protect_seal(&cipher, 654360564, packet, HEADER, packet + HEADER, 1);
    assert_hex(packet + HEADER, 17, "655e5cd55c41f69080575d7999c25a5bfb");
    protect_mask(&keys, packet + PN_AT + 4, mask);
    assert_hex(mask, 5, "aefefe7d03");
    packet[0] ^= mask[0] & 0x1f;
    for (unsigned i = 0; i < PN_LEN; i++) packet[PN_AT + i] ^= mask[1 + i];
    assert_hex(packet, 21, "4cfe4189655e5cd55c41f69080575d7999c25a5bfb");

    protect_mask(&keys, packet + PN_AT + 4, mask);
    packet[0] ^= mask[0] & 0x1f;
    for (unsigned i = 0; i < PN_LEN; i++) packet[PN_AT + i] ^= mask[1 + i];
    assert_int_equal(protect_open(&cipher, 654360564, packet, HEADER, packet + HEADER, 17), 0);
    assert_hex(packet, 5, "4200bff401");
}

static void test_open_refuses_another_number_header_or_length(void **state)
{
    (void)state;
    struct protect_keys keys;
    struct protect_cipher cipher;
    uint8_t sealed[17], bytes[17];
    a5_keys(&keys, &cipher);
    sealed[0] = 0x2a;
    protect_seal(&cipher, 5, "head", 4, sealed, 1);
    struct {
        uint64_t number;
        const char *header;
        size_t len;
        int result;
    } rows[] = {
        {5, "head", 17, 0},
        {6, "head", 17, WEIR_E_DECRYPT},
        {5 | UINT64_C(1) << 32, "head", 17, WEIR_E_DECRYPT},
        {5 | UINT64_C(1) << 61, "head", 17, WEIR_E_DECRYPT},
        {5, "heat", 17, WEIR_E_DECRYPT},
        {5, "head", 16, WEIR_E_DECRYPT},
        {5, "head", 15, WEIR_E_DECRYPT},
        {5, "head", 0, WEIR_E_DECRYPT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        memcpy(bytes, sealed, sizeof sealed);
        int error = protect_open(&cipher, rows[i].number, rows[i].header, 4, bytes, rows[i].len);
        assert_int_equal(error, rows[i].result);
    }
}

static void test_an_update_changes_key_and_iv_but_not_hp(void **state)
{
    (void)state;
    struct protect_keys keys, next, fresh;
    struct protect_cipher cipher;
    uint8_t secret[32];
    a5_keys(&keys, &cipher);
    hex(a5_secret, secret, 32);
    protect_next_secret(secret, secret);
    assert_int_equal(protect_keys_update(&next, &keys, secret), 0);
    assert_int_equal(protect_keys_derive(&fresh, AEAD_CHACHA20_POLY1305, secret), 0);
    assert_memory_equal(next.key, fresh.key, 32);
    assert_memory_equal(next.iv, fresh.iv, 12);
    assert_memory_equal(next.hp, keys.hp, 32);
    assert_memory_not_equal(next.hp, fresh.hp, 32);
    assert_int_equal(next.suite, keys.suite);
    assert_int_equal(protect_keys_update(&keys, &keys, secret), 0);
    assert_memory_equal(&keys, &next, sizeof keys);
}

/* The sample comes from the wire: its counter may be the last one, where libsodium is one step from
 * aborting the process. Value computed with a ChaCha20 block written out in Python. */
static void test_any_sample_has_a_mask(void **state)
{
    (void)state;
    struct protect_keys keys;
    struct protect_cipher cipher;
    uint8_t sample[16], mask[5];
    a5_keys(&keys, &cipher);
    memset(sample, 0xff, sizeof sample);
    protect_mask(&keys, sample, mask);
    assert_hex(mask, 5, "5537fd9cea");
}

static void test_other_suites_give_no_keys(void **state)
{
    (void)state;
    static const unsigned suites[] = {0, 3, 257};
    static const struct protect_keys none;
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) {
        struct protect_keys keys;
        uint8_t secret[32] = {1};
        memset(&keys, 0xee, sizeof keys);
        assert_int_equal(protect_keys_derive(&keys, suites[i], secret), WEIR_E_ARGUMENT);
        assert_memory_equal(&keys, &none, sizeof keys);
    }
}

static bool has_aes(void)
{
    if (aead_is_available(AEAD_AES_256_GCM)) return true;
    print_message("skipped: this processor has no AES for libsodium\n");
    return false;
}

/* draft-irtf-cfrg-xchacha, section 2.2.1: key, input and the first bytes of HChaCha20's output. The
 * mask needs no AES. */
static void test_the_mask_of_aes_is_hchacha20_of_the_sample(void **state)
{
    (void)state;
    struct protect_keys keys = {.suite = AEAD_AES_256_GCM};
    uint8_t sample[16], mask[5];
    for (unsigned i = 0; i < 32; i++) keys.hp[i] = (uint8_t)i;
    hex("000000090000004a0000000031415927", sample, sizeof sample);
    protect_mask(&keys, sample, mask);
    assert_hex(mask, 5, "82413b4227");
}

static void test_aes_keys_have_the_same_labels_and_another_suite(void **state)
{
    (void)state;
    if (!has_aes()) skip();
    struct protect_keys keys, chacha, next;
    struct protect_cipher cipher;
    uint8_t secret[32];
    a5_keys(&chacha, &cipher);
    hex(a5_secret, secret, 32);
    assert_int_equal(protect_keys_derive(&keys, AEAD_AES_256_GCM, secret), 0);
    assert_int_equal(keys.suite, AEAD_AES_256_GCM);
    assert_memory_equal(keys.key, chacha.key, 32);
    assert_memory_equal(keys.iv, chacha.iv, 12);
    assert_memory_equal(keys.hp, chacha.hp, 32);
    assert_int_equal(protect_keys_update(&next, &keys, secret), 0);
    assert_int_equal(next.suite, AEAD_AES_256_GCM);
    assert_memory_equal(next.hp, keys.hp, 32);
}

/* What the cipher makes is aead.h's AES-256-GCM under RFC 9001's nonce, and it comes back. */
static void test_a_run_of_packets_is_sealed_and_opened_with_one_aes_cipher(void **state)
{
    (void)state;
    if (!has_aes()) skip();
    struct protect_keys keys;
    struct protect_cipher seal, open;
    static const struct aead_aes wiped;
    uint8_t secret[32] = {4}, packet[1300], expected[1300], nonce[12];
    assert_int_equal(protect_keys_derive(&keys, AEAD_AES_256_GCM, secret), 0);
    protect_cipher_init(&seal, &keys);
    protect_cipher_init(&open, &keys);
    for (uint64_t number = 0; number < 40; number++) {
        size_t len = (size_t)number * 31;
        for (size_t i = 0; i < len; i++) packet[i] = (uint8_t)(i + number);
        memcpy(expected, packet, len);
        memcpy(nonce, keys.iv, sizeof nonce);
        nonce[11] ^= (uint8_t)number;
        protect_seal(&seal, number, "header", 6, packet, len);
        int error = aead_seal(2, keys.key, nonce, "header", 6, expected, len, expected);
        assert_int_equal(error, 0);
        assert_memory_equal(packet, expected, len + PROTECT_TAG_SIZE);
        assert_int_equal(protect_open(&open, number, "header", 6, packet, len + 16), 0);
        for (size_t i = 0; i < len; i++) assert_int_equal(packet[i], (uint8_t)(i + number));
        /* Opened once it is plain, and no packet any more. */
        error = protect_open(&open, number, "header", 6, packet, len + 16);
        if (len > 0) assert_int_equal(error, WEIR_E_DECRYPT);
        assert_int_equal(protect_open(&open, number, "header", 6, packet, 15), WEIR_E_DECRYPT);
    }
    protect_cipher_end(&seal);
    protect_cipher_end(&open);
    assert_memory_equal(&seal.aes, &wiped, sizeof wiped);
}

static void test_an_update_from_keys_of_no_suite_is_refused(void **state)
{
    (void)state;
    static const struct protect_keys none;
    struct protect_keys next;
    uint8_t secret[32] = {1};
    memset(&next, 0xee, sizeof next);
    assert_int_equal(protect_keys_update(&next, &none, secret), WEIR_E_ARGUMENT);
    assert_memory_equal(&next, &none, sizeof next);
}

static void assert_json(const uint8_t *bytes, size_t len, struct json value)
{
    uint8_t expected[64];
    assert_int_equal(json_hex(value, expected, sizeof expected), len);
    assert_memory_equal(bytes, expected, len);
}

static void test_the_published_file_agrees(void **state)
{
    (void)state;
    char *text = json_load(WEIR_VECTORS "/quic/rfc9001_appendix_a.json");
    if (text == NULL) {
        print_message("absent: quic/rfc9001_appendix_a.json\n");
        skip();
    }
    struct json a5 = json_get(json_parse(text), "chacha20_short");
    struct protect_keys keys;
    struct protect_cipher cipher;
    uint8_t secret[32], packet[64], mask[5];
    assert_int_equal(json_hex(json_get(a5, "secret"), secret, 32), 32);
    assert_int_equal(protect_keys_derive(&keys, AEAD_CHACHA20_POLY1305, secret), 0);
    protect_cipher_init(&cipher, &keys);
    assert_json(keys.key, 32, json_get(a5, "key"));
    assert_json(keys.iv, 12, json_get(a5, "iv"));
    assert_json(keys.hp, 32, json_get(a5, "hp"));
    size_t header = json_hex(json_get(a5, "unprotected_header"), packet, sizeof packet);
    size_t len = json_hex(json_get(a5, "plaintext"), packet + header, 32);
    uint64_t number = (uint64_t)json_integer(json_get(a5, "packet_number"));
    protect_seal(&cipher, number, packet, header, packet + header, len);
    assert_json(packet + header, len + 16, json_get(a5, "ciphertext"));
    protect_mask(&keys, packet + 5, mask);
    assert_json(mask, 5, json_get(a5, "mask"));
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
        cmocka_unit_test(test_keys_are_those_of_rfc_9001_a5),
        cmocka_unit_test(test_the_packet_of_rfc_9001_a5_is_made_and_opened),
        cmocka_unit_test(test_open_refuses_another_number_header_or_length),
        cmocka_unit_test(test_an_update_changes_key_and_iv_but_not_hp),
        cmocka_unit_test(test_any_sample_has_a_mask),
        cmocka_unit_test(test_other_suites_give_no_keys),
        cmocka_unit_test(test_an_update_from_keys_of_no_suite_is_refused),
        cmocka_unit_test(test_the_mask_of_aes_is_hchacha20_of_the_sample),
        cmocka_unit_test(test_aes_keys_have_the_same_labels_and_another_suite),
        cmocka_unit_test(test_a_run_of_packets_is_sealed_and_opened_with_one_aes_cipher),
        cmocka_unit_test(test_the_published_file_agrees),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
