/* SPDX-License-Identifier: MIT */
/* Goal: streams are Philox-4x32-10, repeatable for ever and independent; draws below a bound are
 * uniform. Method: the known answers of Random123, then pinned values of whole streams, then
 * counts with generous bounds (the seeds are fixed, so that a test passes always or never). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/rng.h"
#include <string.h>

static void test_blocks_are_the_known_answers_of_random123(void **state)
{
    static const struct {
        uint32_t counter[4], key[2], block[4];
    } answers[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    unsigned i, word;

    (void)state;
    for (i = 0; i < 3; i++) {
        struct rng rng = {.used = 4};

        memcpy(rng.counter, answers[i].counter, sizeof rng.counter);
        memcpy(rng.key, answers[i].key, sizeof rng.key);
        for (word = 0; word < 4; word++) assert_int_equal(rng_u32(&rng), answers[i].block[word]);
    }
}

static void test_counter_carries_into_all_words(void **state)
{
    struct rng rng = {.counter = {0xffffffff, 0xffffffff, 7, 0}, .used = 4};
    struct rng top = {.counter = {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, .used = 4};

    (void)state;
    (void)rng_u32(&rng);
    assert_int_equal(rng.counter[0], 0);
    assert_int_equal(rng.counter[1], 0);
    assert_int_equal(rng.counter[2], 8);
    assert_int_equal(rng.counter[3], 0);
    (void)rng_u32(&top);
    (void)rng_u32(&top);
    assert_int_equal(top.counter[0] | top.counter[1] | top.counter[2] | top.counter[3], 0);
}

static void test_equal_keys_give_equal_streams_and_others_do_not(void **state)
{
    static const struct {
        uint64_t seed;
        const char *purpose;
        uint64_t index;
    } others[] = {{2, "loss", 3},
                  {1, "loss", 4},
                  {1, "los", 3},
                  {1, "losS", 3},
                  {1, "", 3},
                  {3, "loss", 1},
                  {~UINT64_C(1), "loss", ~UINT64_C(3)}};
    struct rng a, b, c;
    unsigned i, other, equal;

    (void)state;
    rng_init(&a, 1, "loss", 3);
    rng_init(&b, 1, "loss", 3);
    for (i = 0; i < 1000; i++) assert_true(rng_u64(&a) == rng_u64(&b));
    for (other = 0; other < sizeof others / sizeof others[0]; other++) {
        rng_init(&a, 1, "loss", 3);
        rng_init(&c, others[other].seed, others[other].purpose, others[other].index);
        for (i = 0, equal = 0; i < 1000; i++) equal += rng_u32(&a) == rng_u32(&c) ? 1 : 0;
        assert_true(equal <= 1);
    }
}

/* Recorded worlds and published traces depend on these figures: they may never change. */
static void test_streams_never_change(void **state)
{
    struct rng rng;

    (void)state;
    rng_init(&rng, 42, "loss", 7);
    assert_true(rng_u64(&rng) == UINT64_C(0x7aa95203e3ee3080));
    assert_int_equal(rng_u32(&rng), 0x9bb75409);
    assert_int_equal(rng_below(&rng, 1000), 778);
}

static void test_u64_is_two_words_low_first(void **state)
{
    struct rng rng = {.used = 4};

    (void)state;
    assert_true(rng_u64(&rng) == UINT64_C(0xe169c58d6627e8d5));
    assert_true(rng_u64(&rng) == UINT64_C(0x9b00dbd8bc57ac4c));
}

static void test_below_stays_below_and_is_uniform(void **state)
{
    enum { BOUND = 10, DRAWS = 100000 };
    unsigned counts[BOUND] = {0}, i;
    struct rng rng;

    (void)state;
    rng_init(&rng, 6, "rng_test", 0);
    for (i = 0; i < DRAWS; i++) {
        uint64_t n = rng_below(&rng, BOUND);

        assert_true(n < BOUND);
        counts[n]++;
    }
    /* 10000 each, with a standard deviation of 95. */
    for (i = 0; i < BOUND; i++) assert_in_range(counts[i], 9500, 10500);
    for (i = 0; i < 100; i++) assert_true(rng_below(&rng, 1) == 0);
}

static void test_below_is_fair_for_bounds_that_do_not_divide(void **state)
{
    /* 3/4 of 2^64: plain multiplication or a remainder would hit one third of the numbers twice
     * as often. */
    const uint64_t third = UINT64_C(1) << 62;
    unsigned counts[3] = {0}, seldom = 0, i;
    struct rng rng;

    (void)state;
    rng_init(&rng, 7, "rng_test", 1);
    for (i = 0; i < 30000; i++) {
        uint64_t n = rng_below(&rng, 3 * third);

        assert_true(n < 3 * third);
        counts[n / third]++;
        seldom += n % 3 == 2 ? 1 : 0;
    }
    for (i = 0; i < 3; i++) assert_in_range(counts[i], 9500, 10500);
    /* Where multiplication alone is unfair: every third number comes half as often as another. */
    assert_in_range(seldom, 9500, 10500);
    for (i = 0; i < 100; i++) assert_true(rng_below(&rng, UINT64_MAX) < UINT64_MAX);
}

static void test_chance_is_parts_of_a_million(void **state)
{
    unsigned hits = 0, i;
    struct rng rng;

    (void)state;
    rng_init(&rng, 8, "rng_test", 2);
    for (i = 0; i < 100000; i++) {
        assert_false(rng_chance_ppm(&rng, 0));
        assert_true(rng_chance_ppm(&rng, 1000000));
        assert_true(rng_chance_ppm(&rng, UINT32_MAX));
        hits += rng_chance_ppm(&rng, 20000) ? 1 : 0;
    }
    assert_in_range(hits, 1800, 2200);
}

static void test_fill_writes_exactly_its_length(void **state)
{
    uint8_t bytes[16], whole[12] = {0};
    size_t len, i;

    (void)state;
    for (len = 0; len <= 12; len++) {
        struct rng rng = {.used = 4};

        memset(bytes, 0xee, sizeof bytes);
        rng_fill(&rng, bytes + 1, len);
        assert_int_equal(bytes[0], 0xee);
        for (i = len + 1; i < sizeof bytes; i++) assert_int_equal(bytes[i], 0xee);
        if (len == 12) memcpy(whole, bytes + 1, 12);
    }
    assert_memory_equal(whole, "\xd5\xe8\x27\x66\x8d\xc5\x69\xe1\x4c\xac\x57\xbc", 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_the_known_answers_of_random123),
        cmocka_unit_test(test_counter_carries_into_all_words),
        cmocka_unit_test(test_equal_keys_give_equal_streams_and_others_do_not),
        cmocka_unit_test(test_streams_never_change),
        cmocka_unit_test(test_u64_is_two_words_low_first),
        cmocka_unit_test(test_below_stays_below_and_is_uniform),
        cmocka_unit_test(test_below_is_fair_for_bounds_that_do_not_divide),
        cmocka_unit_test(test_chance_is_parts_of_a_million),
        cmocka_unit_test(test_fill_writes_exactly_its_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
