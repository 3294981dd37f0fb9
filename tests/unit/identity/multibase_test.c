/* SPDX-License-Identifier: MIT */
/* Goal: bytes and their text forms map one to one, within bounds.
 * Method: RFC 4648's and Bitcoin's samples; every length there and back; every kind of bad text. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "identity/multibase.h"
#include "json.h"
#include "weir.h"

struct sample {
    enum multibase base;
    const char *hex, *text;
};
static const struct sample samples[] = {
    {MULTIBASE_BASE32, "", ""},
    {MULTIBASE_BASE32, "66", "my"},
    {MULTIBASE_BASE32, "666f", "mzxq"},
    {MULTIBASE_BASE32, "666f6f", "mzxw6"},
    {MULTIBASE_BASE32, "666f6f62", "mzxw6yq"},
    {MULTIBASE_BASE32, "666f6f6261", "mzxw6ytb"},
    {MULTIBASE_BASE32, "666f6f626172", "mzxw6ytboi"},
    {MULTIBASE_BASE58, "", ""},
    {MULTIBASE_BASE58, "00", "1"},
    {MULTIBASE_BASE58, "61", "2g"},
    {MULTIBASE_BASE58, "00000061", "1112g"},
    {MULTIBASE_BASE58, "572e4794", "3EFU7m"},
    {MULTIBASE_BASE58, "516b6fcd0f", "ABnLTmg"},
    {MULTIBASE_BASE58, "73696d706c792061206c6f6e6720737472696e67", "2cFupjhnEsSn59qHXstmK2ffpLv2"},
    {MULTIBASE_BASE36, "0000", "00"},
    {MULTIBASE_BASE36, "23", "z"},
    {MULTIBASE_BASE36, "24", "10"},
    {MULTIBASE_BASE36, "ffffffff", "1z141z3"},
};

static void test_samples_encode_and_decode(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const struct sample *s = &samples[i];
        uint8_t bytes[64], back[64];
        char text[64];
        size_t len = hex(s->hex, bytes, sizeof bytes);
        int count = multibase_encode(s->base, bytes, len, text, sizeof text);
        assert_int_equal(count, strlen(s->text));
        assert_string_equal(text, s->text);
        count = multibase_decode(s->base, s->text, strlen(s->text), back, len);
        assert_int_equal(count, len);
        assert_memory_equal(back, bytes, len);
        if (len > 0) {
            count = multibase_decode(s->base, s->text, strlen(s->text), back, len - 1);
            assert_int_equal(count, WEIR_E_ARGUMENT);
        }
        count = multibase_encode(s->base, bytes, len, text, strlen(s->text));
        assert_int_equal(count, WEIR_E_SPACE);
        if (strlen(s->text) > 0) assert_string_equal(text, "");
    }
}

static void test_text_outside_the_base_is_refused(void **state)
{
    (void)state;
    static const struct {
        enum multibase base;
        const char *text;
    } rows[] = {
        {MULTIBASE_BASE58, "0"},
        {MULTIBASE_BASE58, "O"},
        {MULTIBASE_BASE58, "I"},
        {MULTIBASE_BASE58, "l"},
        {MULTIBASE_BASE58, "2 g"},
        {MULTIBASE_BASE58, "2g\n"},
        {MULTIBASE_BASE58, "\xc3\xa9"},
        {MULTIBASE_BASE36, "A"},
        {MULTIBASE_BASE36, "-1"},
        {MULTIBASE_BASE32, "MY"},
        {MULTIBASE_BASE32, "my======"},
        {MULTIBASE_BASE32, "m1"},
        /* Unused bits that are set, and a digit too many. */
        {MULTIBASE_BASE32, "mz"},
        {MULTIBASE_BASE32, "mzxr"},
        {MULTIBASE_BASE32, "m"},
        {MULTIBASE_BASE32, "mzx"},
        {MULTIBASE_BASE32, "mzxw6y"},
        {MULTIBASE_BASE32, "aaa"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t out[64];
        int count = multibase_decode(rows[i].base, rows[i].text, strlen(rows[i].text), out, 64);
        assert_int_equal(count, WEIR_E_ARGUMENT);
    }
    uint8_t out[64];
    assert_int_equal(multibase_decode(MULTIBASE_BASE58, "2\0g", 3, out, 64), WEIR_E_ARGUMENT);
    assert_int_equal(multibase_decode((enum multibase)9, "a", 1, out, 64), WEIR_E_ARGUMENT);
}

static void test_every_length_goes_there_and_back(void **state)
{
    (void)state;
    static const enum multibase bases[] = {MULTIBASE_BASE58, MULTIBASE_BASE36, MULTIBASE_BASE32};
    static const uint8_t fills[] = {0x00, 0x01, 0x7f, 0xff};
    for (size_t b = 0; b < 3; b++) {
        for (size_t f = 0; f < sizeof fills; f++) {
            for (size_t len = 0; len <= MULTIBASE_BYTES_MAX; len++) {
                uint8_t bytes[MULTIBASE_BYTES_MAX], back[MULTIBASE_BYTES_MAX];
                char text[MULTIBASE_TEXT_MAX + 1];
                memset(bytes, fills[f], sizeof bytes);
                if (len > 0) bytes[len - 1] = (uint8_t)len;
                int count = multibase_encode(bases[b], bytes, len, text, sizeof text);
                assert_true(count >= 0);
                assert_int_equal(strlen(text), count);
                count = multibase_decode(bases[b], text, (size_t)count, back, sizeof back);
                assert_int_equal(count, len);
                assert_memory_equal(back, bytes, len);
            }
        }
    }
}

static void test_length_is_bounded_before_any_work(void **state)
{
    (void)state;
    uint8_t bytes[MULTIBASE_BYTES_MAX + 1] = {0}, out[MULTIBASE_TEXT_MAX + 1];
    char text[2 * MULTIBASE_TEXT_MAX];
    memset(text, '1', sizeof text);
    assert_int_equal(multibase_decode(MULTIBASE_BASE58, text, MULTIBASE_TEXT_MAX, out, sizeof out),
                     MULTIBASE_TEXT_MAX);
    assert_int_equal(
        multibase_decode(MULTIBASE_BASE58, text, MULTIBASE_TEXT_MAX + 1, out, sizeof out),
        WEIR_E_ARGUMENT);
    assert_int_equal(multibase_encode(MULTIBASE_BASE58, bytes, sizeof bytes, text, sizeof text),
                     WEIR_E_SPACE);
    assert_int_equal(multibase_encode(MULTIBASE_BASE58, bytes, 1, text, 0), WEIR_E_SPACE);
}

static void test_bitcoins_base58_cases_pass(void **state)
{
    (void)state;
    char *file = json_load(WEIR_VECTORS "/libp2p/base58_encode_decode.json");
    if (file == NULL) {
        print_message("absent: libp2p/base58_encode_decode.json\n");
        skip();
    }
    struct json row = {0}, rows = json_parse(file);
    unsigned count = 0;
    for (; json_next(rows, &row); count++) {
        uint8_t bytes[96], back[96];
        char expected[160], text[160];
        size_t len = json_hex(json_at(row, 0), bytes, sizeof bytes);
        size_t text_len = json_string(json_at(row, 1), expected, sizeof expected);
        assert_true(len != SIZE_MAX && text_len != SIZE_MAX);
        int n = multibase_encode(MULTIBASE_BASE58, bytes, len, text, sizeof text);
        assert_int_equal(n, text_len);
        assert_string_equal(text, expected);
        n = multibase_decode(MULTIBASE_BASE58, expected, text_len, back, sizeof back);
        assert_int_equal(n, len);
        assert_memory_equal(back, bytes, len);
    }
    assert_true(count > 10);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples_encode_and_decode),
        cmocka_unit_test(test_text_outside_the_base_is_refused),
        cmocka_unit_test(test_every_length_goes_there_and_back),
        cmocka_unit_test(test_length_is_bounded_before_any_work),
        cmocka_unit_test(test_bitcoins_base58_cases_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
