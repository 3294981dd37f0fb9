/* SPDX-License-Identifier: MIT */
/* Goal: the nearest name is found as suggest.h says: distance, limit, order, length. Method: a
 * table. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "runtime/suggest.h"
#include <string.h>

static void test_nearest_name_is_found(void **state)
{
    static const struct {
        const char *wanted, *names[4], *best;
        unsigned distance;
    } rows[] = {
        {"aks", {"tell", "ask", "me"}, "ask", 1},              /* neighbours swapped */
        {"prin", {"pairs", "print"}, "print", 1},              /* one is missing */
        {"printt", {"print"}, "print", 1},                     /* one too many */
        {"tostrinh", {"tonumber", "tostring"}, "tostring", 1}, /* another one */
        {"blane", {"blame", "blaze"}, "blame", 1},             /* the first of equals */
        {"blane", {"blaze", "blame"}, "blaze", 1},
        {"ask", {"me", "every"}, "", 0},
        {"ab", {"abc", "a"}, "abc", 1}, /* at least 1 */
        {"ab", {"abcd", "xy"}, "", 0},
        {"abcde", {"abxye", "abc"}, "", 0}, /* 5 / 3 is 1 */
        {"abcdef", {"abxyef"}, "abxyef", 2},
        {"abcdefghijkl", {"abcdefghiXYZ"}, "abcdefghiXYZ", 3},
        {"abcdefghijklmno", {"abcdefghijkWXYZ"}, "", 0},     /* at most 3 */
        {"protcol", {"protect", "protocol"}, "protocol", 1}, /* a nearer one later */
        {"ca", {"abc"}, "", 0},                              /* not edited again: 3 */
        {"", {"a"}, "a", 1},
        {"a", {""}, "", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct suggest s = {.wanted = rows[i].wanted};

        for (size_t j = 0; j < 4 && rows[i].names[j] != NULL; j++) {
            suggest_add(&s, rows[i].names[j]);
        }
        assert_string_equal(s.best, rows[i].best);
        assert_int_equal(s.distance, rows[i].distance);
    }
}

static void test_long_names_stay_inside(void **state)
{
    char name[200], wanted[200];
    struct suggest s = {.wanted = wanted};

    (void)state;
    memset(name, 'x', sizeof name);
    memset(wanted, 'x', sizeof wanted);
    name[64] = wanted[65] = '\0';
    suggest_add(&s, name);
    assert_string_equal(s.best, "");
    name[63] = '\0';
    suggest_add(&s, name);
    assert_string_equal(s.best, name);
    assert_int_equal(s.distance, 2);
    s.best[0] = '\0';
    wanted[65] = 'x', wanted[199] = '\0';
    suggest_add(&s, name);
    assert_string_equal(s.best, "");
}

static void test_text_is_a_question_or_nothing(void **state)
{
    struct suggest s = {.wanted = "aks"};
    char text[64];

    (void)state;
    assert_string_equal(suggest_text(&s, text, sizeof text), "");
    suggest_add(&s, "ask");
    assert_string_equal(suggest_text(&s, text, sizeof text), " (did you mean 'ask'?)");
    assert_string_equal(suggest_text(&s, text, 8), " (did y");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest_name_is_found),
        cmocka_unit_test(test_long_names_stay_inside),
        cmocka_unit_test(test_text_is_a_question_or_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
