/* SPDX-License-Identifier: MIT */
/* Goal: multiformats varints are minimal, at most 9 bytes, and nothing else is accepted. Method:
 * the examples of the unsigned-varint README, the first and last value of each length, and a
 * table of forms that must fail. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/varint.h"

static const struct {
    uint64_t value;
    size_t len;
    uint8_t bytes[9];
} forms[] = {
    /* from the README */
    {1, 1, {0x01}},
    {127, 1, {0x7f}},
    {128, 2, {0x80, 0x01}},
    {255, 2, {0xff, 0x01}},
    {300, 2, {0xac, 0x02}},
    {16384, 3, {0x80, 0x80, 0x01}},
    /* boundaries */
    {0, 1, {0x00}},
    {16383, 2, {0xff, 0x7f}},
    {2097151, 3, {0xff, 0xff, 0x7f}},
    {UINT64_C(1) << 56, 9, {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}},
    {(UINT64_C(1) << 56) - 1, 8, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}},
    {INT64_MAX, 9, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}},
};

static void test_examples_are_read_and_written(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        uint8_t out[9] = {0};
        struct writer w = writer_of(out, sizeof out);
        struct reader r = reader_of(forms[i].bytes, forms[i].len);

        assert_int_equal(uvarint_read(&r), forms[i].value);
        assert_false(r.failed);
        assert_int_equal(reader_left(&r), 0);
        uvarint_write(&w, forms[i].value);
        assert_int_equal(writer_len(&w), forms[i].len);
        assert_memory_equal(out, forms[i].bytes, forms[i].len);
        assert_int_equal(uvarint_size(forms[i].value), forms[i].len);
    }
}

static void test_read_stops_behind_the_number(void **state)
{
    static const uint8_t data[] = {0xac, 0x02, 0x07};
    struct reader r = reader_of(data, sizeof data);

    (void)state;
    assert_int_equal(uvarint_read(&r), 300);
    assert_int_equal(reader_left(&r), 1);
    assert_int_equal(uvarint_read(&r), 7);
}

static void test_other_forms_fail(void **state)
{
    static const struct {
        size_t len;
        uint8_t bytes[11];
    } bad[] = {
        {0, {0}},
        {1, {0x80}},                                                        /* cut */
        {2, {0x80, 0x00}},                                                  /* 0 in two bytes */
        {2, {0x81, 0x00}},                                                  /* 1 in two bytes */
        {3, {0xff, 0x80, 0x00}},                                            /* not minimal */
        {9, {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}},        /* not minimal */
        {8, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},              /* cut */
        {10, {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}}, /* 2^63 */
        {10, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}}, /* 2^64 - 1 */
        {11, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct reader r = reader_of(bad[i].bytes, bad[i].len);

        assert_int_equal(uvarint_read(&r), 0);
        assert_true(r.failed);
        assert_int_equal(reader_left(&r), 0);
    }
}

static void test_failed_reader_gives_zero(void **state)
{
    static const uint8_t data[] = {0x05};
    struct reader r = reader_of(data, sizeof data);

    (void)state;
    r.failed = true;
    assert_int_equal(uvarint_read(&r), 0);
    assert_true(r.failed);
}

static void test_write_without_room_writes_nothing(void **state)
{
    uint8_t out[2] = {0xee, 0xee};
    struct writer w = writer_of(out, 1);

    (void)state;
    uvarint_write(&w, 300);
    assert_true(w.full);
    assert_int_equal(writer_len(&w), 0);
    assert_int_equal(out[0], 0xee);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_are_read_and_written),
        cmocka_unit_test(test_read_stops_behind_the_number),
        cmocka_unit_test(test_other_forms_fail),
        cmocka_unit_test(test_failed_reader_gives_zero),
        cmocka_unit_test(test_write_without_room_writes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
