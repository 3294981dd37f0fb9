/* SPDX-License-Identifier: MIT */
/* Goal: secrets are compared, erased, drawn and written down as promised.
 * Method: edges of each function; the system's generator is only asked not to repeat itself. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "crypto/secret.h"
#include "weir.h"
#include <string.h>

static void test_init_may_be_called_twice(void **state)
{
    (void)state;
    assert_int_equal(secret_init(), 0);
    assert_int_equal(secret_init(), 0);
}

static void test_equal_sees_every_single_bit(void **state)
{
    (void)state;
    uint8_t a[33], b[33];
    memset(a, 0x5a, sizeof a);
    memcpy(b, a, sizeof b);
    assert_true(secret_equal(a, b, sizeof a));
    for (size_t bit = 0; bit < 8 * sizeof b; bit++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(secret_equal(a, b, sizeof a));
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(secret_equal(a, NULL, 0));
}

static void test_zero_erases_exactly_what_it_is_given(void **state)
{
    (void)state;
    uint8_t bytes[6] = {1, 2, 3, 4, 5, 6};
    secret_zero(bytes + 1, 4);
    assert_memory_equal(bytes, ((uint8_t[]){1, 0, 0, 0, 0, 6}), 6);
    secret_zero(NULL, 0);
}

static void fill_counting(void *context, void *out, size_t len)
{
    uint8_t *next = context, *at = out;
    for (size_t i = 0; i < len; i++) at[i] = (*next)++;
}

static void test_entropy_comes_from_the_source_that_was_handed_in(void **state)
{
    (void)state;
    uint8_t next = 7, out[4] = {0};
    struct entropy entropy = {fill_counting, &next};
    entropy_fill(&entropy, out, 3);
    assert_memory_equal(out, ((uint8_t[]){7, 8, 9, 0}), 4);
    entropy_fill(&entropy, out, 0);
    assert_int_equal(next, 10);
}

static void test_the_system_does_not_repeat_itself(void **state)
{
    (void)state;
    uint8_t a[32] = {0}, b[32] = {0};
    struct entropy entropy = {entropy_system_fill, NULL};
    entropy_fill(&entropy, a, sizeof a);
    entropy_fill(&entropy, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

static void test_base64_has_the_samples_of_rfc_4648(void **state)
{
    (void)state;
    static const char *const texts[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                        "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    for (size_t n = 0; n <= 6; n++) {
        char text[16];
        uint8_t back[6];
        size_t len = 99;
        secret_base64_encode(text, sizeof text, "foobar", n);
        assert_string_equal(text, texts[n]);
        assert_int_equal(strlen(text) + 1, SECRET_BASE64_SIZE(n));
        assert_int_equal(secret_base64_decode(back, sizeof back, &len, text, strlen(text)), 0);
        assert_int_equal(len, n);
        if (n > 0) assert_memory_equal(back, "foobar", n);
    }
}

static void test_base64_refuses_every_second_spelling(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Zg", "Zg=", "Zh==", "Zg== ", " Zg==", "Z", "Zm9v=", "Zm-_", "Zm9vYmFyYg=="};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t out[6];
        size_t len = 99;
        int error = secret_base64_decode(out, sizeof out, &len, bad[i], strlen(bad[i]));
        assert_int_equal(error, WEIR_E_ARGUMENT);
        assert_int_equal(len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init_may_be_called_twice),
        cmocka_unit_test(test_equal_sees_every_single_bit),
        cmocka_unit_test(test_zero_erases_exactly_what_it_is_given),
        cmocka_unit_test(test_entropy_comes_from_the_source_that_was_handed_in),
        cmocka_unit_test(test_the_system_does_not_repeat_itself),
        cmocka_unit_test(test_base64_has_the_samples_of_rfc_4648),
        cmocka_unit_test(test_base64_refuses_every_second_spelling),
    };
    return secret_init() != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
