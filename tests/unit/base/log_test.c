/* SPDX-License-Identifier: MIT */
/* Goal: the log keeps the newest lines, counts the others, and no peer can forge a line. Method:
 * small rings, texts around the length limit, all control bytes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/log.h"
#include <string.h>

static void test_lines_come_out_in_order_with_time_and_level(void **state)
{
    struct log_line line;
    struct log log;

    (void)state;
    log_init(&log, mem_system(), 10, LOG_INFO);
    assert_false(log_pop(&log, &line));
    log_write(&log, 1000, LOG_INFO, "peer %s is up", "abc");
    log_write(&log, 2000, LOG_ERROR, "%d%%", 7);
    assert_true(log_pop(&log, &line));
    assert_string_equal(line.text, "peer abc is up");
    assert_int_equal(line.time_us, 1000);
    assert_int_equal(line.sequence, 1);
    assert_int_equal(line.level, LOG_INFO);
    assert_true(log_pop(&log, &line));
    assert_string_equal(line.text, "7%");
    assert_int_equal(line.time_us, 2000);
    assert_int_equal(line.sequence, 2);
    assert_int_equal(line.level, LOG_ERROR);
    assert_false(log_pop(&log, &line));
    log_free(&log);
}

static void test_levels_above_the_chosen_one_are_ignored(void **state)
{
    struct mem_counter counter;
    struct log log;

    (void)state;
    mem_counter_init(&counter, mem_system());
    log_init(&log, &counter.mem, 10, LOG_WARN);
    assert_true(log_wants(&log, LOG_ERROR));
    assert_true(log_wants(&log, LOG_WARN));
    assert_false(log_wants(&log, LOG_INFO));
    assert_false(log_wants(&log, LOG_TRACE));
    log_write(&log, 1, LOG_INFO, "not wanted");
    assert_int_equal(log.sequence, 0);
    assert_int_equal(log.count, 0);
    assert_int_equal(counter.calls, 0);
    log_write(&log, 1, LOG_WARN, "wanted");
    assert_int_equal(counter.calls, 1);
    assert_int_equal(log.count, 1);
    log_free(&log);
    assert_int_equal(counter.live_bytes, 0);
}

static void test_oldest_lines_are_dropped_and_counted(void **state)
{
    struct log_line line;
    struct log log;
    unsigned i;

    (void)state;
    log_init(&log, mem_system(), 3, LOG_TRACE);
    for (i = 1; i <= 10; i++) log_write(&log, i, LOG_DEBUG, "line %u", i);
    assert_int_equal(log.dropped, 7);
    assert_int_equal(log.sequence, 10);
    for (i = 8; i <= 10; i++) {
        static const char *const kept[] = {"line 8", "line 9", "line 10"};

        assert_true(log_pop(&log, &line));
        assert_string_equal(line.text, kept[i - 8]);
        assert_int_equal(line.sequence, i);
    }
    assert_false(log_pop(&log, &line));
    log_write(&log, 11, LOG_DEBUG, "after");
    assert_true(log_pop(&log, &line));
    assert_int_equal(line.sequence, 11);
    log_free(&log);
}

static void write_text(const char *in, struct log_line *line)
{
    struct log log;

    memset(line, 0xee, sizeof *line);
    log_init(&log, mem_system(), 2, LOG_TRACE);
    log_write(&log, 0, LOG_INFO, "%s", in);
    assert_true(log_pop(&log, line));
    log_free(&log);
}

static void test_control_bytes_are_escaped(void **state)
{
    struct log_line line;
    unsigned byte;

    (void)state;
    write_text("a\nerror: forged\r\x1b[2J\x7f\t", &line);
    assert_string_equal(line.text, "a\\x0aerror: forged\\x0d\\x1b[2J\\x7f\\x09");
    for (byte = 1; byte < 256; byte++) {
        char in[2] = {(char)byte, '\0'};

        write_text(in, &line);
        if (byte < 0x20 || byte == 0x7f) {
            assert_int_equal(strlen(line.text), 4);
            assert_memory_equal(line.text, "\\x", 2);
        } else {
            assert_string_equal(line.text, in);
        }
    }
}

static void test_text_that_fits_is_kept_and_longer_text_ends_in_an_ellipsis(void **state)
{
    static const struct {
        size_t len, kept; /**< kept: letters before the ellipsis; equal to len: no ellipsis */
    } cases[] = {{0, 0}, {219, 219}, {222, 222}, {223, 223}, {224, 220}, {225, 220}, {5000, 220}};
    char in[5001], expected[LOG_TEXT_MAX + 1];
    struct log_line line;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memset(in, 'x', cases[i].len);
        in[cases[i].len] = '\0';
        memset(expected, 0, sizeof expected);
        memset(expected, 'x', cases[i].kept);
        if (cases[i].kept < cases[i].len) memcpy(expected + cases[i].kept, "...", 3);
        write_text(in, &line);
        assert_memory_equal(line.text, expected, sizeof expected);
    }
}

static void test_cut_never_splits_an_escape(void **state)
{
    char in[LOG_TEXT_MAX + 1];
    struct log_line line;
    size_t before;

    (void)state;
    for (before = 0; before <= LOG_TEXT_MAX; before++) {
        size_t len, i;

        memset(in, '\n', LOG_TEXT_MAX);
        in[LOG_TEXT_MAX] = '\0';
        memset(in, 'x', before);
        write_text(in, &line);
        len = strlen(line.text);
        for (i = 0; i < before && i < LOG_TEXT_MAX - 3; i++) assert_int_equal(line.text[i], 'x');
        if (before == LOG_TEXT_MAX) continue;
        assert_string_equal(line.text + len - 3, "...");
        assert_int_equal((len - 3 - i) % 4, 0);
        assert_true(len > LOG_TEXT_MAX - 4);
    }
}

static void test_cut_never_splits_a_character(void **state)
{
    char in[400];
    struct log_line line;
    size_t shift, i;

    (void)state;
    /* The euro sign has three bytes: with each shift the cut meets another one of them. */
    for (shift = 0; shift < 3; shift++) {
        memset(in, 'x', shift);
        for (i = shift; i + 3 < sizeof in; i += 3) memcpy(in + i, "\xe2\x82\xac", 3);
        in[i] = '\0';
        write_text(in, &line);
        i = strlen(line.text);
        assert_string_equal(line.text + i - 3, "...");
        assert_memory_equal(line.text + i - 6, "\xe2\x82\xac", 3);
        assert_int_equal((i - 3 - shift) % 3, 0);
    }
    /* What is no character at all does not make the line vanish. */
    memset(in, '\x80', sizeof in - 1);
    in[sizeof in - 1] = '\0';
    write_text(in, &line);
    assert_int_equal(strlen(line.text), LOG_TEXT_MAX - 3);
}

static void test_without_memory_lines_are_counted_as_dropped(void **state)
{
    struct mem_counter counter;
    struct log_line line;
    struct log log;

    (void)state;
    mem_counter_init(&counter, mem_system());
    log_init(&log, &counter.mem, 4, LOG_TRACE);
    counter.fail_at = 1;
    log_write(&log, 1, LOG_INFO, "lost");
    assert_int_equal(log.dropped, 1);
    assert_int_equal(log.sequence, 1);
    assert_false(log_pop(&log, &line));
    log_write(&log, 2, LOG_INFO, "kept");
    assert_true(log_pop(&log, &line));
    assert_int_equal(line.sequence, 2);
    assert_string_equal(line.text, "kept");
    log_free(&log);
    assert_int_equal(counter.live_bytes, 0);
    log_init(&log, &counter.mem, 0, LOG_TRACE);
    log_write(&log, 1, LOG_INFO, "no place at all");
    assert_int_equal(log.dropped, 1);
    assert_false(log_pop(&log, &line));
    log_free(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_come_out_in_order_with_time_and_level),
        cmocka_unit_test(test_levels_above_the_chosen_one_are_ignored),
        cmocka_unit_test(test_oldest_lines_are_dropped_and_counted),
        cmocka_unit_test(test_control_bytes_are_escaped),
        cmocka_unit_test(test_text_that_fits_is_kept_and_longer_text_ends_in_an_ellipsis),
        cmocka_unit_test(test_cut_never_splits_an_escape),
        cmocka_unit_test(test_cut_never_splits_a_character),
        cmocka_unit_test(test_without_memory_lines_are_counted_as_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
