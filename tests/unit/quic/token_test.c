/* SPDX-License-Identifier: MIT */
/* Goal: a Retry token proves one address for 15 seconds and nothing else; reset tokens depend on
 *  key and id alone. Method: fixed keys and virtual time, every byte flipped, every length. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/hkdf.h"
#include "crypto/secret.h"
#include "quic/token.h"
#include "weir.h"

#include <stdlib.h>

static const struct cid odcid = {20, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}};
static const struct cid scid = {8, {0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58}};
static const uint8_t key_one[32] = {1}, key_two[32] = {2}, key_three[32] = {3};
static const uint8_t endpoint[20] = {10, 0, 0, 1, 0x11, 0x22},
                     elsewhere[20] = {10, 0, 0, 1, 0x11, 0x23};
static const uint8_t nonce[24] = {0x99};
enum { MADE_US = 1000000 };

static void test_a_token_comes_back_at_its_address(void **state)
{
    struct token_keys keys;
    struct cid got_odcid, got_scid;
    uint8_t token[TOKEN_SIZE_MAX];
    (void)state;
    token_keys_init(&keys, key_one, 0);
    size_t len = token_write_retry(&keys, nonce, endpoint, MADE_US, &odcid, &scid, token);
    assert_int_equal(len, 1 + 24 + 8 + 21 + 9 + 16);
    assert_int_equal(token_check_retry(&keys, endpoint, MADE_US, token, len, &got_odcid, &got_scid),
                     0);
    assert_true(cid_equal(&got_odcid, &odcid));
    assert_true(cid_equal(&got_scid, &scid));
    assert_int_equal(
        token_check_retry(&keys, elsewhere, MADE_US, token, len, &got_odcid, &got_scid),
        WEIR_E_DECRYPT);
}

static void test_a_token_lives_fifteen_seconds(void **state)
{
    struct token_keys keys;
    struct cid a, b;
    uint8_t token[TOKEN_SIZE_MAX];
    (void)state;
    token_keys_init(&keys, key_one, 0);
    size_t len = token_write_retry(&keys, nonce, endpoint, MADE_US, &odcid, &scid, token);
    assert_int_equal(token_check_retry(&keys, endpoint, MADE_US + 15000000, token, len, &a, &b), 0);
    assert_int_equal(token_check_retry(&keys, endpoint, MADE_US + 15000001, token, len, &a, &b),
                     WEIR_E_TIMEOUT);
    assert_int_equal(token_check_retry(&keys, endpoint, MADE_US - 1, token, len, &a, &b),
                     WEIR_E_TIMEOUT);
}

static void test_a_token_outlives_one_rotation_and_not_two(void **state)
{
    struct token_keys keys;
    struct cid a, b;
    uint8_t token[TOKEN_SIZE_MAX];
    (void)state;
    token_keys_init(&keys, key_one, 0);
    assert_false(token_keys_is_due(&keys, TOKEN_ROTATE_US - 1));
    assert_true(token_keys_is_due(&keys, TOKEN_ROTATE_US));
    size_t len = token_write_retry(&keys, nonce, endpoint, MADE_US, &odcid, &scid, token);
    token_keys_rotate(&keys, key_two, TOKEN_ROTATE_US);
    assert_false(token_keys_is_due(&keys, TOKEN_ROTATE_US + 1));
    assert_int_equal(token_check_retry(&keys, endpoint, MADE_US, token, len, &a, &b), 0);
    token_keys_rotate(&keys, key_three, 2 * TOKEN_ROTATE_US);
    assert_int_equal(token_check_retry(&keys, endpoint, MADE_US, token, len, &a, &b),
                     WEIR_E_DECRYPT);
    token_keys_erase(&keys);
    assert_memory_equal(keys.current, (uint8_t[32]){0}, 32);
    assert_memory_equal(keys.previous, (uint8_t[32]){0}, 32);
}

static void test_an_absent_previous_key_opens_nothing(void **state)
{
    static const uint8_t zero[32];
    struct token_keys keys;
    struct cid a, b;
    uint8_t token[TOKEN_SIZE_MAX];
    (void)state;
    token_keys_init(&keys, zero, 0);
    size_t len = token_write_retry(&keys, nonce, endpoint, MADE_US, &odcid, &scid, token);
    token_keys_init(&keys, key_one, 0); /* previous is all zero too, but is no key */
    assert_int_equal(token_check_retry(&keys, endpoint, MADE_US, token, len, &a, &b),
                     WEIR_E_DECRYPT);
}

static void test_any_change_of_a_token_is_refused(void **state)
{
    struct token_keys keys;
    struct cid a, b;
    uint8_t token[TOKEN_SIZE_MAX];
    (void)state;
    token_keys_init(&keys, key_one, 0);
    size_t len = token_write_retry(&keys, nonce, endpoint, MADE_US, &odcid, &scid, token);
    for (size_t i = 0; i < len; i++) {
        token[i] ^= 0x80;
        assert_int_equal(token_check_retry(&keys, endpoint, MADE_US, token, len, &a, &b),
                         WEIR_E_DECRYPT);
        token[i] ^= 0x80;
    }
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *copy = malloc(cut > 0 ? cut : 1);
        memcpy(copy, token, cut);
        assert_int_equal(token_check_retry(&keys, endpoint, MADE_US, copy, cut, &a, &b),
                         WEIR_E_DECRYPT);
        free(copy);
    }
    uint8_t longer[2000] = {TOKEN_RETRY};
    assert_int_equal(token_check_retry(&keys, endpoint, MADE_US, longer, sizeof longer, &a, &b),
                     WEIR_E_DECRYPT);
}

static void test_a_reset_token_is_the_mac_of_the_id(void **state)
{
    uint8_t mac[32], one[16], two[16];
    struct cid other = scid;
    (void)state;
    hmac_sha256(key_one, 32, scid.bytes, 8, mac);
    token_reset(key_one, &scid, one);
    assert_memory_equal(one, mac, 16);
    token_reset(key_one, &scid, two);
    assert_true(token_reset_equal(one, two));
    other.bytes[7] ^= 1;
    token_reset(key_one, &other, two);
    assert_false(token_reset_equal(one, two));
    token_reset(key_two, &scid, two);
    assert_false(token_reset_equal(one, two));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_token_comes_back_at_its_address),
        cmocka_unit_test(test_a_token_lives_fifteen_seconds),
        cmocka_unit_test(test_a_token_outlives_one_rotation_and_not_two),
        cmocka_unit_test(test_an_absent_previous_key_opens_nothing),
        cmocka_unit_test(test_any_change_of_a_token_is_refused),
        cmocka_unit_test(test_a_reset_token_is_the_mac_of_the_id),
    };
    if (secret_init() != 0) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
