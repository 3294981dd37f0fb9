/* SPDX-License-Identifier: MIT */
/* Goal: the table of metrics is one that Prometheus can read and that bindings can search: unique
 * names, known forms, bounded labels. Method: every row is taken apart. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "observe/metrics.h"
#include <stdbool.h>
#include <string.h>

#define WORD "abcdefghijklmnopqrstuvwxyz_"

/* name: weir_words or weir_words{word="word"}. @return the length without the label; 0: wrong */
static size_t name_len(const char *name)
{
    size_t len = strspn(name, WORD), label, value;

    if (strncmp(name, "weir_", 5) != 0 || len < 8) return 0;
    if (name[len] == 0) return len;
    label = strspn(name + len + 1, WORD);
    if (name[len] != '{' || label == 0 || strncmp(name + len + 1 + label, "=\"", 2) != 0) return 0;
    value = strspn(name + len + label + 3, WORD);
    return value > 0 && strcmp(name + len + label + 3 + value, "\"}") == 0 ? len : 0;
}

static bool ends_with(const char *name, size_t len, const char *end)
{
    return len > strlen(end) && strncmp(name + len - strlen(end), end, strlen(end)) == 0;
}

static void test_the_check_of_names_finds_wrong_ones(void **state)
{
    (void)state;
    assert_int_equal(name_len("weir_polls_total"), 16);
    assert_int_equal(name_len("weir_polls_total{a=\"b\"}"), 16);
    assert_int_equal(name_len("polls_total"), 0);
    assert_int_equal(name_len("weir_Polls_total"), 0);
    assert_int_equal(name_len("weir_polls_total{a=b}"), 0);
    assert_int_equal(name_len("weir_polls_total{a=\"b\""), 0);
}

static void test_every_row_is_whole(void **state)
{
    (void)state;
    for (unsigned i = 0; i < METRIC_COUNT; i++) {
        const struct metric_info *row = metric_info(i);
        size_t len = name_len(row->name);

        if (len == 0) fail_msg("not a name: %s", row->name);
        /* Prometheus: a counter says so in its name, a gauge does not. */
        if (ends_with(row->name, len, "_total") != (row->kind == METRIC_COUNTER))
            fail_msg("the name does not say the kind: %s", row->name);
        assert_true(row->kind == METRIC_COUNTER || row->kind == METRIC_GAUGE);
        assert_int_equal(strspn(row->unit, WORD), strlen(row->unit));
        assert_true(strlen(row->unit) > 2 && strlen(row->help) > 8);
        assert_int_not_equal(row->help[strlen(row->help) - 1], '.');
    }
}

static void test_no_name_is_there_twice_and_labels_of_one_name_agree(void **state)
{
    (void)state;
    for (unsigned i = 0; i < METRIC_COUNT; i++) {
        const struct metric_info *a = metric_info(i);
        size_t len = name_len(a->name);

        for (unsigned j = 0; j < i; j++) {
            const struct metric_info *b = metric_info(j);

            assert_string_not_equal(a->name, b->name);
            if (name_len(b->name) != len || strncmp(a->name, b->name, len) != 0) continue;
            assert_int_equal(a->kind, b->kind);
            assert_int_equal(a->name[len], '{');
            assert_int_equal(b->name[len], '{');
        }
    }
}

static void test_rows_are_in_the_order_of_the_enum(void **state)
{
    (void)state;
    assert_string_equal(metric_info(METRIC_DATAGRAMS_RECEIVED)->name,
                        "weir_datagrams_received_total");
    assert_string_equal(metric_info(METRIC_STREAMS_OPEN)->name, "weir_streams_open");
    assert_string_equal(metric_info(METRIC_LOG_DROPPED)->name, "weir_log_lines_dropped_total");
    assert_int_equal(metric_info(METRIC_MEMORY_USED)->kind, METRIC_GAUGE);
}

static void test_counting(void **state)
{
    struct metrics m = {{0}};

    (void)state;
    metric_inc(&m, METRIC_POLLS);
    metric_add(&m, METRIC_POLLS, 41);
    metric_inc(&m, METRIC_STREAMS_OPEN);
    metric_inc(&m, METRIC_STREAMS_OPEN);
    metric_dec(&m, METRIC_STREAMS_OPEN);
    for (unsigned i = 0; i < METRIC_COUNT; i++)
        assert_int_equal(m.value[i], i == METRIC_POLLS ? 42 : i == METRIC_STREAMS_OPEN ? 1 : 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_check_of_names_finds_wrong_ones),
        cmocka_unit_test(test_every_row_is_whole),
        cmocka_unit_test(test_no_name_is_there_twice_and_labels_of_one_name_agree),
        cmocka_unit_test(test_rows_are_in_the_order_of_the_enum),
        cmocka_unit_test(test_counting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
