/* SPDX-License-Identifier: MIT */
/* Goal: the one table of reason codes is weir.h's, complete, without doubles. Method: the text of
 * weir.h is searched for every #define WEIR_REASON_ and each number is looked up. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "transport/reason.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t codes[] = {
#define REASON(code, name, sentence) (code),
#include "transport/reasons.def"
#undef REASON
};
enum { CODES = sizeof codes / sizeof codes[0] };

static int is_in_table(uint32_t code)
{
    for (size_t i = 0; i < CODES; i++) {
        if (codes[i] == code) return 1;
    }
    return 0;
}

/* Calls check for every reason that weir.h defines. @return how many */
static unsigned walk_header(void (*check)(const char *word, uint32_t code))
{
    char line[512], word[64], number[32];
    unsigned count = 0;
    FILE *file = fopen(WEIR_SOURCE "/core/include/weir.h", "r");

    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "#define WEIR_REASON_%63s %31s", word, number) != 2) continue;
        count++;
        check(word, (uint32_t)strtoul(number, NULL, 0));
    }
    assert_int_equal(fclose(file), 0);
    return count;
}

static void check_row(const char *word, uint32_t code)
{
    const char *name = reason_name(code);

    if (code == WEIR_REASON_TRANSPORT) return; /* a base, not a reason */
    assert_true(is_in_table(code));
    assert_int_equal(strlen(name), strlen(word));
    for (size_t i = 0; word[i] != 0; i++)
        assert_int_equal(name[i], tolower((unsigned char)word[i]));
}

static void test_every_reason_of_the_header_is_in_the_table_under_its_name(void **state)
{
    unsigned own = 0;

    (void)state;
    for (size_t i = 0; i < CODES; i++) own += codes[i] < WEIR_REASON_TRANSPORT;
    /* The header has one define more, the transport's base: so neither has what the other lacks. */
    assert_int_equal(walk_header(check_row), own + 1);
}

static void test_no_code_and_no_name_is_there_twice(void **state)
{
    (void)state;
    for (size_t i = 0; i < CODES; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_true(codes[i] != codes[j]);
            assert_string_not_equal(reason_name(codes[i]), reason_name(codes[j]));
            assert_string_not_equal(reason_sentence(codes[i]), reason_sentence(codes[j]));
        }
    }
}

static void test_names_are_words_and_sentences_have_no_full_stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < CODES; i++) {
        const char *name = reason_name(codes[i]), *sentence = reason_sentence(codes[i]);

        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
        assert_true(strlen(sentence) > 8);
        assert_int_not_equal(sentence[strlen(sentence) - 1], '.');
    }
}

static void test_rfc_9000_transport_errors_are_all_there(void **state)
{
    (void)state;
    for (uint32_t error = 0; error <= 0x10; error++)
        assert_true(is_in_table(REASON_TRANSPORT(error)));
    assert_string_equal(reason_name(REASON_TRANSPORT(0x3)), "transport_flow_control");
    assert_string_equal(reason_name(REASON_TRANSPORT(0x6)), "transport_final_size");
}

static void test_other_codes_are_the_applications_or_unknown(void **state)
{
    (void)state;
    assert_string_equal(reason_name(1), "application");
    assert_string_equal(reason_name(0x0fffffff), "application");
    assert_string_equal(reason_name(0x10000000), "unknown");
    assert_string_equal(reason_name(REASON_TRANSPORT(0x11)), "unknown");
    assert_string_equal(reason_name(UINT32_MAX), "unknown");
    assert_non_null(reason_sentence(1));
    assert_non_null(reason_sentence(UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_reason_of_the_header_is_in_the_table_under_its_name),
        cmocka_unit_test(test_no_code_and_no_name_is_there_twice),
        cmocka_unit_test(test_names_are_words_and_sentences_have_no_full_stop),
        cmocka_unit_test(test_rfc_9000_transport_errors_are_all_there),
        cmocka_unit_test(test_other_codes_are_the_applications_or_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
