/* SPDX-License-Identifier: MIT */
/* Goal: X25519 gives the published values and refuses keys that force a zero secret.
 * Method: RFC 7748 sections 5.2 and 6.1 typed in; the known points of small order; Wycheproof. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "crypto/x25519.h"
#include "json.h"
#include "weir.h"

static const uint8_t zeroes[32];

static void test_two_sides_agree_as_in_rfc_7748(void **state)
{
    (void)state;
    uint8_t secret[32], expected[32], out[32];
    struct x25519_pair alice, bob;
    hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", secret, 32);
    x25519_pair_from(&alice, secret);
    hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a", expected, 32);
    assert_memory_equal(alice.public_key, expected, 32);
    hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb", bob.secret, 32);
    x25519_pair_from(&bob, bob.secret);
    hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f", expected, 32);
    assert_memory_equal(bob.public_key, expected, 32);
    hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742", expected, 32);
    assert_int_equal(x25519_shared(out, alice.secret, bob.public_key), 0);
    assert_memory_equal(out, expected, 32);
    assert_int_equal(x25519_shared(out, bob.secret, alice.public_key), 0);
    assert_memory_equal(out, expected, 32);
}

static void test_a_thousand_rounds_as_in_rfc_7748(void **state)
{
    (void)state;
    uint8_t k[32] = {9}, u[32] = {9}, out[32], expected[32];
    for (unsigned i = 1; i <= 1000; i++) {
        assert_int_equal(x25519_shared(out, k, u), 0);
        memcpy(u, k, 32);
        memcpy(k, out, 32);
        if (i > 1) continue;
        hex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079", expected, 32);
        assert_memory_equal(k, expected, 32);
    }
    hex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51", expected, 32);
    assert_memory_equal(k, expected, 32);
}

static void test_points_of_small_order_are_refused(void **state)
{
    (void)state;
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    };
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        uint8_t secret[32] = {7, 1}, point[32], out[32] = {1};
        hex(points[i], point, 32);
        assert_int_equal(x25519_shared(out, secret, point), WEIR_E_HANDSHAKE);
        assert_memory_equal(out, zeroes, 32);
    }
}

static void test_x25519_passes_wycheproof(void **state)
{
    (void)state;
    char *text = json_load(WEIR_VECTORS "/wycheproof/x25519_test.json");
    if (text == NULL) {
        print_message("absent: wycheproof/x25519_test.json\n");
        skip();
    }
    struct json group = {0}, groups = json_get(json_parse(text), "testGroups");
    unsigned count = 0, refused = 0;
    while (json_next(groups, &group)) {
        struct json test = {0}, tests = json_get(group, "tests");
        for (; json_next(tests, &test); count++) {
            uint8_t secret[32], point[32], expected[32], out[32];
            assert_int_equal(json_hex(json_get(test, "private"), secret, 32), 32);
            assert_int_equal(json_hex(json_get(test, "public"), point, 32), 32);
            assert_int_equal(json_hex(json_get(test, "shared"), expected, 32), 32);
            int error = x25519_shared(out, secret, point);
            bool zero = memcmp(expected, zeroes, 32) == 0;
            assert_int_equal(error, zero ? WEIR_E_HANDSHAKE : 0);
            assert_memory_equal(out, expected, 32);
            refused += zero;
        }
    }
    assert_int_equal(count, json_integer(json_get(json_parse(text), "numberOfTests")));
    assert_true(refused > 0);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_sides_agree_as_in_rfc_7748),
        cmocka_unit_test(test_a_thousand_rounds_as_in_rfc_7748),
        cmocka_unit_test(test_points_of_small_order_are_refused),
        cmocka_unit_test(test_x25519_passes_wycheproof),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
