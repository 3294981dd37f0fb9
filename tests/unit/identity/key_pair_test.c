/* SPDX-License-Identifier: MIT */
/* Goal: a key file holds the key whole, readable elsewhere, and every other text is refused with
 * the right sentence.
 * Method: the libp2p specification's key as a golden file; each byte of it changed; a table of
 * broken files. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "crypto/ed25519.h"
#include "identity/key_pair.h"
#include "json.h"
#include "weir.h"

#define SEED "7e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d"
#define KEY                                                                                        \
    "CAESQH4IMGF8Sn3oOSXfsmlFVrEpNsR3oOH+suFI7J2mD+59HtHo+uLEoUS4vo/UtHvz07NLhxw8rPYBDw5C1HT84n4="
#define CHECK "0e636219612f18c5"
static const char golden[] = "weir key 1\n"
                             "# peer 12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq\n"
                             "# Whoever has this file is this peer. Keep it secret.\n"
                             "key " KEY "\n"
                             "check " CHECK "\n";

static void golden_pair(struct key_pair *pair)
{
    uint8_t seed[32];
    hex(SEED, seed, 32);
    key_pair_from_seed(pair, seed);
}

static void test_the_specifications_key_gives_the_golden_file(void **state)
{
    (void)state;
    struct key_pair pair, back;
    char text[KEY_PAIR_TEXT_SIZE];
    const char *why = "unset";
    golden_pair(&pair);
    size_t len = key_pair_encode(&pair, text);
    assert_int_equal(len, sizeof golden - 1);
    assert_memory_equal(text, golden, len);
    assert_int_equal(key_pair_decode(&back, text, len, &why), 0);
    assert_null(why);
    assert_memory_equal(&back, &pair, sizeof pair);
}

static void test_a_pair_signs_and_carries_its_id(void **state)
{
    (void)state;
    struct key_pair pair;
    uint8_t seed[32], secret[64], public_key[32], signature[64], expected[64];
    hex(SEED, seed, 32);
    ed25519_pair_from(secret, public_key, seed);
    ed25519_sign(expected, "x", 1, secret);
    golden_pair(&pair);
    assert_memory_equal(peer_id_key(&pair.id), public_key, 32);
    key_pair_sign(&pair, "x", 1, signature);
    assert_memory_equal(signature, expected, 64);
    assert_true(ed25519_verify(signature, "x", 1, public_key));
}

static void test_the_secret_form_comes_back_only_if_its_halves_belong_together(void **state)
{
    (void)state;
    struct key_pair pair, back;
    static const struct key_pair zero;
    uint8_t secret[KEY_PAIR_SECRET_SIZE];
    golden_pair(&pair);
    key_pair_secret(&pair, secret);
    assert_memory_equal(secret, pair.seed, 32);
    assert_memory_equal(secret + 32, peer_id_key(&pair.id), 32);
    assert_int_equal(key_pair_take(&back, secret), 0);
    assert_memory_equal(&back, &pair, sizeof pair);
    for (unsigned i = 0; i < sizeof secret; i++) {
        secret[i] ^= 1;
        assert_int_equal(key_pair_take(&back, secret), WEIR_E_KEY);
        assert_memory_equal(&back, &zero, sizeof back);
        secret[i] ^= 1;
    }
}

static void fill_with(void *context, void *out, size_t len)
{
    memcpy(out, context, len);
}

static void test_generate_takes_its_seed_from_the_entropy(void **state)
{
    (void)state;
    uint8_t seed[32];
    struct key_pair pair, expected;
    struct entropy entropy = {fill_with, seed};
    hex(SEED, seed, 32);
    key_pair_generate(&pair, &entropy);
    golden_pair(&expected);
    assert_memory_equal(&pair, &expected, sizeof pair);
}

static void test_files_that_people_touched_are_read(void **state)
{
    (void)state;
    static const char *const good[] = {
        "weir key 1\r\n# a comment\r\nkey " KEY "\r\ncheck " CHECK "\r\n",
        "weir key 1\n\ncheck " CHECK "\n\n#\nkey " KEY,
        "weir key 1\nkey " KEY "\ncheck " CHECK,
    };
    struct key_pair pair, expected;
    golden_pair(&expected);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(key_pair_decode(&pair, good[i], strlen(good[i]), NULL), 0);
        assert_memory_equal(&pair, &expected, sizeof pair);
    }
}

static void test_broken_files_are_refused_with_their_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word;
    } rows[] = {
        {"", "first line"},
        {"\n"
         "weir key 1\nkey " KEY "\ncheck " CHECK,
         "first line"},
        {"-----BEGIN PRIVATE KEY-----\n", "first line"},
        {"weir key", "first line"},
        {"weir key 2\nkey " KEY "\ncheck " CHECK, "version"},
        {"weir key 1 \nkey " KEY "\ncheck " CHECK, "version"},
        {"weir key 10\n", "version"},
        {"weir key 1", "ends before"},
        {"weir key 1\nkey " KEY, "ends before"},
        {"weir key 1\ncheck " CHECK, "ends before"},
        {"weir key 1\nkey " KEY "\ncheck " CHECK "\nkey " KEY, "two keys"},
        {"weir key 1\nkey " KEY "\ncheck " CHECK "\ncheck " CHECK, "two keys"},
        {"weir key 1\nkey " KEY "\ncheck " CHECK "\nmore", "neither"},
        {"weir key 1\n key " KEY "\ncheck " CHECK, "neither"},
        {"weir key 1\nkey \ncheck " CHECK, "base64"},
        {"weir key 1\nkey CAES\ncheck " CHECK, "base64"},
        {"weir key 1\nkey " KEY "AAAA\ncheck " CHECK, "base64"},
        {"weir key 1\nkey " KEY " \ncheck " CHECK, "base64"},
        {"weir key 1\nkey " KEY "\ncheck ", "damaged"},
        {"weir key 1\nkey " KEY "\ncheck " CHECK "0", "damaged"},
        {"weir key 1\nkey " KEY "\ncheck 0e636219612f18c4", "damaged"},
        {"weir key 1\nkey " KEY "\ncheck 0E636219612F18C5", "damaged"},
    };
    static const struct key_pair none;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct key_pair pair;
        const char *why = NULL;
        memset(&pair, 0xee, sizeof pair);
        int error = key_pair_decode(&pair, rows[i].text, strlen(rows[i].text), &why);
        assert_int_equal(error, WEIR_E_KEY);
        assert_non_null(why);
        assert_non_null(strstr(why, rows[i].word));
        assert_memory_equal(&pair, &none, sizeof pair);
    }
    struct key_pair pair;
    assert_int_equal(key_pair_decode(&pair, NULL, 0, NULL), WEIR_E_KEY);
}

/* Comments aside, no single changed byte may pass for the key. */
static void test_no_changed_byte_gives_another_key(void **state)
{
    (void)state;
    struct key_pair pair, expected;
    golden_pair(&expected);
    for (size_t i = 0; i < sizeof golden - 1; i++) {
        char text[sizeof golden];
        memcpy(text, golden, sizeof golden);
        text[i] ^= 1;
        int error = key_pair_decode(&pair, text, sizeof golden - 1, NULL);
        if (error == 0) assert_memory_equal(&pair, &expected, sizeof pair);
        size_t key_at = (size_t)(strstr(golden, "key C") - golden);
        if (i < 11 || i >= key_at) assert_true(error == WEIR_E_KEY || text[i] == '\v');
    }
    for (size_t len = 0; len < sizeof golden - 2; len++) {
        assert_int_equal(key_pair_decode(&pair, golden, len, NULL), WEIR_E_KEY);
    }
}

/* Other key types and mismatched halves, under a check that is right for them. */
static void test_wrong_keys_under_a_right_check_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word;
    } rows[] = {
        {"weir key 1\nkey CAISQH4IMGF8Sn3oOSXfsmlFVrEpNsR3oOH+suFI7J2mD+59HtHo+uLEoUS4vo"
         "/UtHvz07NLhxw8rPYBDw5C1HT84n4="
         "\ncheck 492758f01b813660\n",
         "Ed25519"},
        {"weir key 1\nkey CAESQH4IMGF8Sn3oOSXfsmlFVrEpNsR3oOH+suFI7J2mD+59HtHo+uLEoUS4vo"
         "/UtHvz07NLhxw8rPYBDw5C1HT84n8="
         "\ncheck 620a0b76c6aa8c9b\n",
         "halves"},
    };
    static const struct key_pair none;
    for (size_t i = 0; i < 2; i++) {
        struct key_pair pair;
        const char *why = NULL;
        int error = key_pair_decode(&pair, rows[i].text, strlen(rows[i].text), &why);
        assert_int_equal(error, WEIR_E_KEY);
        assert_non_null(strstr(why, rows[i].word));
        assert_memory_equal(&pair, &none, sizeof pair);
    }
}

static void test_a_long_file_is_refused(void **state)
{
    (void)state;
    char text[KEY_PAIR_TEXT_SIZE + 1];
    struct key_pair pair;
    const char *why = NULL;
    memset(text, '\n', sizeof text);
    memcpy(text, golden, sizeof golden - 1);
    assert_int_equal(key_pair_decode(&pair, text, KEY_PAIR_TEXT_SIZE, &why), 0);
    assert_int_equal(key_pair_decode(&pair, text, sizeof text, &why), WEIR_E_KEY);
    assert_non_null(strstr(why, "too long"));
}

static void test_wipe_leaves_nothing(void **state)
{
    (void)state;
    static const struct key_pair none;
    struct key_pair pair;
    golden_pair(&pair);
    key_pair_wipe(&pair);
    assert_memory_equal(&pair, &none, sizeof pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_specifications_key_gives_the_golden_file),
        cmocka_unit_test(test_a_pair_signs_and_carries_its_id),
        cmocka_unit_test(test_the_secret_form_comes_back_only_if_its_halves_belong_together),
        cmocka_unit_test(test_generate_takes_its_seed_from_the_entropy),
        cmocka_unit_test(test_files_that_people_touched_are_read),
        cmocka_unit_test(test_broken_files_are_refused_with_their_reason),
        cmocka_unit_test(test_no_changed_byte_gives_another_key),
        cmocka_unit_test(test_wrong_keys_under_a_right_check_are_refused),
        cmocka_unit_test(test_a_long_file_is_refused),
        cmocka_unit_test(test_wipe_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
