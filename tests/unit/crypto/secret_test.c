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

static bool all_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0) return false;
    }
    return true;
}

static void test_a_pool_hands_each_byte_out_once_and_forgets_it(void **state)
{
    (void)state;
    struct entropy_pool pool = {0}, before;
    struct entropy entropy = {entropy_pool_fill, &pool};
    uint8_t out[ENTROPY_POOL_SIZE];
    size_t at = 0;
    entropy_fill(&entropy, out, 0);
    assert_int_equal(pool.left, 0);
    for (size_t len = 1; at + len <= ENTROPY_POOL_SIZE; at += len, len++) {
        if (at > 0) assert_int_equal(pool.left, ENTROPY_POOL_SIZE - at);
        before = pool;
        entropy_fill(&entropy, out, len);
        if (at > 0) assert_memory_equal(out, before.bytes + at, len);
        assert_true(all_zero(pool.bytes, at + len));
        if (at > 0)
            assert_memory_equal(pool.bytes + at + len, before.bytes + at + len,
                                ENTROPY_POOL_SIZE - at - len);
    }
    assert_true(at > ENTROPY_POOL_SIZE / 2);
}

static void test_a_pool_is_filled_again_in_the_middle_of_a_draw(void **state)
{
    (void)state;
    struct entropy_pool pool = {0}, before;
    struct entropy entropy = {entropy_pool_fill, &pool};
    uint8_t out[32], all[ENTROPY_POOL_SIZE - 12];
    entropy_fill(&entropy, all, sizeof all);
    assert_int_equal(pool.left, 12);
    before = pool;
    entropy_fill(&entropy, out, sizeof out);
    assert_memory_equal(out, before.bytes + sizeof all, 12);
    assert_false(all_zero(out + 12, 20));
    assert_int_equal(pool.left, ENTROPY_POOL_SIZE - 20);
    assert_true(all_zero(pool.bytes, 20));
    assert_false(all_zero(pool.bytes + 20, pool.left));
    entropy_fill(&entropy, all, pool.left);
    assert_true(all_zero(pool.bytes, sizeof pool.bytes));
}

static void test_a_draw_larger_than_the_pool_does_not_repeat_itself(void **state)
{
    (void)state;
    enum { PIECE = 16, PIECES = 3 * ENTROPY_POOL_SIZE / PIECE + 1 };
    struct entropy_pool pool = {0};
    struct entropy entropy = {entropy_pool_fill, &pool};
    uint8_t out[PIECES][PIECE];
    entropy_fill(&entropy, out, sizeof out);
    assert_int_equal(pool.left, ENTROPY_POOL_SIZE - PIECE);
    for (size_t i = 0; i < PIECES; i++) {
        for (size_t k = 0; k < i; k++) assert_memory_not_equal(out[i], out[k], PIECE);
    }
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
        cmocka_unit_test(test_a_pool_hands_each_byte_out_once_and_forgets_it),
        cmocka_unit_test(test_a_pool_is_filled_again_in_the_middle_of_a_draw),
        cmocka_unit_test(test_a_draw_larger_than_the_pool_does_not_repeat_itself),
        cmocka_unit_test(test_base64_has_the_samples_of_rfc_4648),
        cmocka_unit_test(test_base64_refuses_every_second_spelling),
    };
    return secret_init() != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
