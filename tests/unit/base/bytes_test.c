/* SPDX-License-Identifier: MIT */
/* Goal: no read leaves the input, no write leaves the buffer, failure is sticky, varints are
 * those of RFC 9000. Method: the examples of RFC 9000 A.1, every boundary of each length, every
 * truncation, and a heap copy of exactly the input so that the sanitizer sees an over-read. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/bytes.h"
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <stdlib.h>

/* Whether the call ends in WEIR_ASSERT: it runs in a child, whose standard error is closed. */
static int dies(void (*call)(void))
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        close(2);
        call();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void test_reads_are_big_endian_and_move_on(void **state)
{
    static const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};
    struct reader r = reader_of(data, sizeof data);

    (void)state;
    assert_int_equal(reader_u8(&r), 0x01);
    assert_int_equal(reader_u16(&r), 0x0203);
    assert_int_equal(reader_u32(&r), 0x04050607);
    assert_int_equal(reader_u64(&r), 0x08090a0b0c0d0e0f);
    assert_int_equal(reader_uint(&r, 3), 0x101112);
    assert_int_equal(reader_left(&r), 0);
    assert_false(r.failed);
}

static void test_read_past_the_end_fails_for_good(void **state)
{
    static const uint8_t data[] = {1, 2, 3};
    struct reader r = reader_of(data, sizeof data);

    (void)state;
    assert_int_equal(reader_u32(&r), 0);
    assert_true(r.failed);
    assert_int_equal(reader_left(&r), 0);
    assert_int_equal(reader_u8(&r), 0);
    assert_null(reader_bytes(&r, 0));
    assert_int_equal(reader_varint(&r), 0);
    assert_true(r.failed);
}

static void test_empty_input_has_a_view_of_nothing(void **state)
{
    struct reader r = reader_of(NULL, 0);

    (void)state;
    assert_int_equal(reader_left(&r), 0);
    assert_non_null(reader_bytes(&r, 0));
    assert_false(r.failed);
    assert_null(reader_bytes(&r, 1));
    assert_true(r.failed);
}

static void test_lengths_from_the_wire_do_not_wrap(void **state)
{
    static const uint64_t lengths[] = {5, UINT32_MAX, (UINT64_C(1) << 32) + 1, VARINT_MAX,
                                       UINT64_MAX};
    static const uint8_t data[] = {1, 2, 3, 4};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct reader r = reader_of(data, sizeof data);

        assert_null(reader_bytes(&r, lengths[i]));
        assert_true(r.failed);
        r = reader_of(data, sizeof data);
        reader_skip(&r, lengths[i]);
        assert_true(r.failed);
    }
}

static void test_sub_reader_cannot_leave_its_part(void **state)
{
    static const uint8_t data[] = {1, 2, 3, 4};
    struct reader r = reader_of(data, sizeof data), sub;

    (void)state;
    sub = reader_sub(&r, 3);
    assert_int_equal(reader_u16(&sub), 0x0102);
    assert_int_equal(reader_u16(&sub), 0);
    assert_true(sub.failed);
    assert_false(r.failed);
    assert_int_equal(reader_u8(&r), 4);
    sub = reader_sub(&r, 0);
    assert_false(sub.failed);
    assert_int_equal(reader_left(&sub), 0);
    sub = reader_sub(&r, 1);
    assert_true(sub.failed);
    assert_true(r.failed);
    assert_int_equal(reader_left(&sub), 0);
    assert_null(reader_bytes(&sub, 0));
}

static const struct {
    uint64_t value;
    size_t len;
    uint8_t bytes[8];
} varints[] = {
    /* RFC 9000 A.1 */
    {UINT64_C(151288809941952652), 8, {0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c}},
    {494878333, 4, {0x9d, 0x7f, 0x3e, 0x7d}},
    {15293, 2, {0x7b, 0xbd}},
    {37, 1, {0x25}},
    /* the first and the last value of each length */
    {0, 1, {0x00}},
    {63, 1, {0x3f}},
    {64, 2, {0x40, 0x40}},
    {16383, 2, {0x7f, 0xff}},
    {16384, 4, {0x80, 0x00, 0x40, 0x00}},
    {1073741823, 4, {0xbf, 0xff, 0xff, 0xff}},
    {1073741824, 8, {0xc0, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00}},
    {VARINT_MAX, 8, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
};

static void test_varints_are_those_of_rfc_9000(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof varints / sizeof varints[0]; i++) {
        uint8_t out[8] = {0};
        struct writer w = writer_of(out, sizeof out);
        struct reader r = reader_of(varints[i].bytes, varints[i].len);

        assert_int_equal(reader_varint(&r), varints[i].value);
        assert_int_equal(reader_left(&r), 0);
        assert_false(r.failed);
        writer_varint(&w, varints[i].value);
        assert_int_equal(writer_len(&w), varints[i].len);
        assert_memory_equal(out, varints[i].bytes, varints[i].len);
        assert_int_equal(varint_size(varints[i].value), varints[i].len);
    }
}

static void test_varint_may_be_longer_than_needed(void **state)
{
    static const uint8_t data[] = {0x40, 0x25};
    struct reader r = reader_of(data, sizeof data);

    (void)state;
    /* RFC 9000 A.1: 0x4025 decodes to 37, too. */
    assert_int_equal(reader_varint(&r), 37);
    assert_false(r.failed);
}

static void test_every_truncated_varint_fails_without_over_read(void **state)
{
    size_t i, len;

    (void)state;
    for (i = 0; i < sizeof varints / sizeof varints[0]; i++) {
        for (len = 0; len < varints[i].len; len++) {
            uint8_t *copy = malloc(len + 1);
            struct reader r;

            assert_non_null(copy);
            memcpy(copy + 1, varints[i].bytes, len);
            r = reader_of(copy + 1, len);
            assert_int_equal(reader_varint(&r), 0);
            assert_true(r.failed);
            free(copy);
        }
    }
}

static void test_sized_varint_takes_exactly_the_asked_length(void **state)
{
    static const unsigned sizes[] = {1, 2, 4, 8};
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        uint8_t out[8];
        struct writer w = writer_of(out, sizeof out);
        struct reader r;

        writer_varint_sized(&w, 33, sizes[i]);
        assert_int_equal(writer_len(&w), sizes[i]);
        r = reader_of(out, writer_len(&w));
        assert_int_equal(reader_varint(&r), 33);
        assert_int_equal(reader_left(&r), 0);
    }
}

static void test_writes_are_big_endian(void **state)
{
    static const uint8_t expected[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
                                       0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e,
                                       0x0f, 0x22, 0x33, 'a',  'b',  0,    0};
    uint8_t out[sizeof expected];
    struct writer w;

    (void)state;
    memset(out, 0xee, sizeof out);
    w = writer_of(out, sizeof out);
    writer_u8(&w, 0x01);
    writer_u16(&w, 0x0203);
    writer_u32(&w, 0x04050607);
    writer_u64(&w, UINT64_C(0x08090a0b0c0d0e0f));
    writer_uint(&w, 0x112233, 2); /* the low bytes, as packet numbers are cut */
    writer_bytes(&w, "ab", 2);
    writer_zero(&w, 2);
    assert_false(w.full);
    assert_int_equal(writer_room(&w), 0);
    assert_int_equal(writer_len(&w), sizeof expected);
    assert_memory_equal(out, expected, sizeof expected);
}

static void test_full_writer_stays_full_and_touches_nothing(void **state)
{
    uint8_t out[8];
    struct writer w;
    size_t i;

    (void)state;
    memset(out, 0xee, sizeof out);
    w = writer_of(out, 3);
    writer_u16(&w, 0x0102);
    writer_u16(&w, 0x0304);
    assert_true(w.full);
    assert_int_equal(writer_len(&w), 2);
    assert_int_equal(writer_room(&w), 0);
    /* One byte would fit, but what comes after a gap is not what was meant. */
    writer_u8(&w, 5);
    writer_bytes(&w, "x", 1);
    writer_zero(&w, 1);
    writer_varint(&w, 1);
    assert_int_equal(writer_len(&w), 2);
    for (i = 2; i < sizeof out; i++) assert_int_equal(out[i], 0xee);
}

static void test_writer_of_nothing_takes_nothing(void **state)
{
    struct writer w = writer_of(NULL, 0);

    (void)state;
    assert_int_equal(writer_len(&w), 0);
    assert_int_equal(writer_room(&w), 0);
    writer_bytes(&w, NULL, 0);
    writer_zero(&w, 0);
    assert_false(w.full);
    writer_u8(&w, 1);
    assert_true(w.full);
}

static void write_varint_too_large(void)
{
    uint8_t out[16];
    struct writer w = writer_of(out, sizeof out);

    writer_varint(&w, VARINT_MAX + 1);
}

static void write_varint_in_too_few_bytes(void)
{
    uint8_t out[16];
    struct writer w = writer_of(out, sizeof out);

    writer_varint_sized(&w, 64, 1);
}

static void test_varint_that_does_not_fit_is_our_bug(void **state)
{
    (void)state;
    assert_true(dies(write_varint_too_large));
    assert_true(dies(write_varint_in_too_few_bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_are_big_endian_and_move_on),
        cmocka_unit_test(test_read_past_the_end_fails_for_good),
        cmocka_unit_test(test_empty_input_has_a_view_of_nothing),
        cmocka_unit_test(test_lengths_from_the_wire_do_not_wrap),
        cmocka_unit_test(test_sub_reader_cannot_leave_its_part),
        cmocka_unit_test(test_varints_are_those_of_rfc_9000),
        cmocka_unit_test(test_varint_may_be_longer_than_needed),
        cmocka_unit_test(test_every_truncated_varint_fails_without_over_read),
        cmocka_unit_test(test_sized_varint_takes_exactly_the_asked_length),
        cmocka_unit_test(test_writes_are_big_endian),
        cmocka_unit_test(test_full_writer_stays_full_and_touches_nothing),
        cmocka_unit_test(test_writer_of_nothing_takes_nothing),
        cmocka_unit_test(test_varint_that_does_not_fit_is_our_bug),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
