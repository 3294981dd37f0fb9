/* SPDX-License-Identifier: MIT */
/* Goal: what arrives in any order, in pieces that overlap, comes out once and in order; credit,
 * final size and the number of gaps are kept; nothing stays allocated. Method: a model with one
 * flag per byte; small cases by hand for each rule of RFC 9000 sections 2 to 4. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/rng.h"
#include "transport/lane.h"
#include "weir.h"
#include <string.h>

enum { STREAM_BYTES = 6000, WINDOW = 1500, GAPS = 16 };
struct bed {
    struct mem_counter mem;
    struct budget budget;
    struct limit_record limit;
    struct receive_lane lane;
    uint64_t grown;
};

static uint8_t source[STREAM_BYTES];

static void bed_open(struct bed *bed, uint64_t window, uint32_t gaps)
{
    for (unsigned i = 0; i < STREAM_BYTES; i++) source[i] = (uint8_t)(1 + i * 7 % 251);
    memset(bed, 0, sizeof *bed);
    mem_counter_init(&bed->mem, mem_system());
    budget_init(&bed->budget, NULL, LIMIT_SCOPE_NODE, 1, 1 << 16, NULL);
    receive_lane_init(&bed->lane, window, gaps);
}

static void bed_close(struct bed *bed)
{
    receive_lane_free(&bed->lane, &bed->mem.mem, &bed->budget);
    assert_int_equal(bed->mem.live_bytes, 0);
    budget_end(&bed->budget);
}

static int put(struct bed *bed, uint64_t offset, uint64_t len, bool fin)
{
    return receive_lane_on_data(&bed->lane, offset, source + offset % STREAM_BYTES, (size_t)len,
                                fin, &bed->mem.mem, &bed->budget, &bed->limit, &bed->grown);
}

static int put_reset(struct bed *bed, uint32_t code, uint64_t final_size)
{
    return receive_lane_on_reset(&bed->lane, code, final_size, &bed->mem.mem, &bed->budget,
                                 &bed->grown);
}

static void take(struct bed *bed, uint64_t n)
{
    uint8_t data[STREAM_BYTES];
    uint64_t at = bed->lane.ring.base;

    ring_read(&bed->lane.ring, at, data, (size_t)n);
    assert_memory_equal(data, source + at, n);
    receive_lane_consume(&bed->lane, n, &bed->mem.mem, &bed->budget);
}

/* The model: which bytes have arrived, and what follows from it. */
struct model {
    bool has[STREAM_BYTES];
    uint64_t highest;
};

static uint64_t model_contiguous(const struct model *m)
{
    uint64_t n = 0;

    while (n < STREAM_BYTES && m->has[n]) n++;
    return n;
}

static unsigned model_gaps(const struct model *m)
{
    unsigned count = 0;

    for (uint64_t i = model_contiguous(m) + 1; i < STREAM_BYTES; i++)
        count += m->has[i] && !m->has[i - 1];
    return count;
}

static void step(struct bed *bed, struct model *m, struct rng *rng)
{
    uint64_t base = bed->lane.ring.base;
    uint64_t offset = (base > 200 ? base - 200 : 0) + rng_below(rng, WINDOW + 400);
    uint64_t len = rng_below(rng, 200), end = offset + len, before = m->highest;
    struct model after = *m;
    bool fails = bed->mem.fail_at != 0;
    int result;

    if (end > STREAM_BYTES) return;
    for (uint64_t i = offset; i < end; i++) after.has[i] = true;
    after.highest = end > before ? end : before;
    result = put(bed, offset, len, false);
    if (end > bed->lane.limit) {
        assert_int_equal(result, RECEIVE_FLOW_ERROR);
    } else if (result == RECEIVE_DROP) {
        /* Only for too many gaps or for want of memory, and then nothing changed. */
        assert_true(model_gaps(&after) > GAPS || (fails && bed->mem.fail_at == 0));
    } else {
        assert_int_equal(result, RECEIVE_OK);
        assert_int_equal(bed->grown, after.highest - before);
        *m = after;
    }
    assert_int_equal(bed->lane.contiguous, model_contiguous(m));
    assert_int_equal(bed->lane.highest, m->highest);
    assert_int_equal(bed->lane.gaps_above.count, model_gaps(m));
    assert_true(bed->lane.gaps_above.count <= GAPS);
}

static void live(uint64_t seed, bool memory_fails)
{
    struct bed bed;
    struct model model = {0};
    struct rng rng;

    bed_open(&bed, WINDOW, GAPS);
    rng_init(&rng, seed, "receive_lane", 0);
    for (int i = 0; bed.lane.ring.base < STREAM_BYTES; i++) {
        uint64_t readable = receive_lane_readable(&bed.lane);

        assert_true(i < 100000);
        if (rng_below(&rng, 3) > 0) {
            bed.mem.fail_at = memory_fails && rng_below(&rng, 3) == 0 ? 1 : 0;
            step(&bed, &model, &rng);
            bed.mem.fail_at = 0;
        } else if (readable > 0) {
            take(&bed, rng_below(&rng, readable + 1));
            bed.lane.limit = bed.lane.ring.base + WINDOW;
        }
        assert_int_equal(receive_lane_readable(&bed.lane),
                         model_contiguous(&model) - bed.lane.ring.base);
    }
    assert_int_equal(put(&bed, STREAM_BYTES, 0, true), RECEIVE_OK);
    assert_true(receive_lane_at_end(&bed.lane));
    bed_close(&bed);
}

static void test_bytes_in_any_order_come_out_once_and_in_order(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) live(seed, false);
}

static void test_a_failed_allocation_drops_the_piece_and_nothing_else(void **state)
{
    (void)state;
    for (uint64_t seed = 50; seed < 70; seed++) live(seed, true);
}

static void test_credit_is_exact_to_the_byte(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, 100, GAPS);
    assert_int_equal(put(&bed, 0, 101, false), RECEIVE_FLOW_ERROR);
    assert_int_equal(put(&bed, 101, 0, true), RECEIVE_FLOW_ERROR);
    assert_int_equal(put_reset(&bed, 1, 101), RECEIVE_FLOW_ERROR);
    assert_int_equal(put(&bed, (UINT64_C(1) << 62) - 1, 60, true), RECEIVE_FLOW_ERROR);
    assert_int_equal(bed.lane.highest, 0);
    assert_int_equal(put(&bed, 0, 100, true), RECEIVE_OK);
    assert_int_equal(bed.grown, 100);
    bed_close(&bed);
}

static void test_the_final_size_never_changes(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, 1000, GAPS);
    assert_int_equal(put(&bed, 50, 50, false), RECEIVE_OK);
    assert_int_equal(put(&bed, 0, 99, true), RECEIVE_SIZE_ERROR); /* below what came */
    assert_int_equal(put_reset(&bed, 1, 99), RECEIVE_SIZE_ERROR);
    assert_int_equal(bed.lane.final_size, UINT64_MAX);
    assert_int_equal(put(&bed, 100, 20, true), RECEIVE_OK);
    assert_int_equal(bed.lane.state, RECEIVE_SIZED);
    assert_int_equal(put(&bed, 100, 21, false), RECEIVE_SIZE_ERROR); /* beyond */
    assert_int_equal(put(&bed, 100, 10, true), RECEIVE_SIZE_ERROR);  /* another end */
    assert_int_equal(put(&bed, 130, 0, true), RECEIVE_SIZE_ERROR);
    assert_int_equal(put_reset(&bed, 1, 119), RECEIVE_SIZE_ERROR);
    assert_int_equal(put_reset(&bed, 1, 121), RECEIVE_SIZE_ERROR);
    assert_int_equal(put(&bed, 100, 20, true), RECEIVE_OK); /* the same again */
    assert_int_equal(bed.grown, 0);
    assert_int_equal(put(&bed, 0, 50, false), RECEIVE_OK);
    take(&bed, 120);
    assert_true(receive_lane_at_end(&bed.lane));
    assert_int_equal(put(&bed, 0, 121, false), RECEIVE_SIZE_ERROR);
    bed_close(&bed);
}

static void test_an_empty_fin_ends_an_empty_lane(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, 0, GAPS);
    assert_int_equal(put(&bed, 0, 0, false), RECEIVE_OK);
    assert_false(receive_lane_at_end(&bed.lane));
    assert_int_equal(put(&bed, 0, 0, true), RECEIVE_OK);
    assert_true(receive_lane_at_end(&bed.lane));
    assert_int_equal(bed.mem.calls, 0);
    bed_close(&bed);
}

/* One byte in every second place: ranges are bounded, and the peer can still make progress. */
static void test_too_many_gaps_are_dropped_until_one_is_filled(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, 1000, 4);
    for (uint64_t i = 0; i < 4; i++) assert_int_equal(put(&bed, 1 + 2 * i, 1, false), RECEIVE_OK);
    assert_int_equal(put(&bed, 9, 1, false), RECEIVE_DROP);
    assert_int_equal(bed.lane.highest, 8);
    assert_int_equal(bed.grown, 0);
    assert_int_equal(put(&bed, 4, 1, false), RECEIVE_OK); /* joins two */
    assert_int_equal(put(&bed, 9, 1, false), RECEIVE_OK);
    assert_int_equal(put(&bed, 0, 1, false), RECEIVE_OK);
    assert_int_equal(receive_lane_readable(&bed.lane), 2);
    assert_int_equal(put(&bed, 2, 8, false), RECEIVE_OK);
    assert_int_equal(bed.lane.gaps_above.count, 0);
    take(&bed, 10);
    bed_close(&bed);
}

static void test_a_refused_budget_drops_the_piece_and_says_which_limit(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, 4000, GAPS);
    bed.budget.max = 1024;
    assert_int_equal(put(&bed, 0, 1000, false), RECEIVE_OK);
    assert_int_equal(put(&bed, 1000, 100, true), RECEIVE_DROP);
    assert_int_equal(bed.limit.max, 1024);
    assert_int_equal(bed.lane.highest, 1000);
    assert_int_equal(bed.lane.state, RECEIVE_OPEN);
    take(&bed, 100);
    assert_int_equal(put(&bed, 1000, 100, true), RECEIVE_OK);
    bed_close(&bed);
}

static void test_a_reset_drops_what_waits_and_counts_its_final_size(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, 1000, GAPS);
    assert_int_equal(put(&bed, 0, 100, false), RECEIVE_OK);
    assert_int_equal(put(&bed, 200, 100, false), RECEIVE_OK);
    assert_int_equal(put_reset(&bed, 9, 700), RECEIVE_OK);
    assert_int_equal(bed.grown, 400);
    assert_int_equal(bed.lane.state, RECEIVE_RESET);
    assert_int_equal(bed.lane.reset_code, 9);
    assert_int_equal(receive_lane_readable(&bed.lane), 0);
    assert_int_equal(bed.budget.used, 0);
    assert_int_equal(put(&bed, 100, 600, true), RECEIVE_OK); /* late data is dropped */
    assert_int_equal(bed.grown, 0);
    assert_int_equal(bed.mem.live_bytes, 0);
    assert_int_equal(put_reset(&bed, 10, 700), RECEIVE_OK);
    assert_int_equal(bed.lane.reset_code, 9);
    assert_int_equal(put(&bed, 700, 1, false), RECEIVE_SIZE_ERROR);
    bed_close(&bed);
}

static void test_a_reset_after_everything_arrived_is_ignored(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, 1000, GAPS);
    assert_int_equal(put(&bed, 0, 100, true), RECEIVE_OK);
    assert_int_equal(put_reset(&bed, 9, 100), RECEIVE_OK);
    assert_int_equal(bed.lane.state, RECEIVE_SIZED);
    assert_int_equal(receive_lane_readable(&bed.lane), 100);
    take(&bed, 100);
    assert_true(receive_lane_at_end(&bed.lane));
    bed_close(&bed);
}

static void test_stop_gives_back_what_was_not_read(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, 1000, GAPS);
    assert_int_equal(put(&bed, 0, 100, false), RECEIVE_OK);
    assert_int_equal(put(&bed, 300, 100, false), RECEIVE_OK);
    take(&bed, 30);
    assert_int_equal(receive_lane_stop(&bed.lane, 5, &bed.mem.mem, &bed.budget), 370);
    assert_true(bed.lane.stop_pending);
    assert_int_equal(bed.lane.stop_code, 5);
    assert_int_equal(bed.budget.used, 0);
    assert_int_equal(receive_lane_readable(&bed.lane), 0);
    assert_int_equal(receive_lane_stop(&bed.lane, 6, &bed.mem.mem, &bed.budget), 0);
    assert_int_equal(put(&bed, 100, 400, true), RECEIVE_OK);
    assert_int_equal(bed.grown, 100);
    assert_int_equal(bed.mem.live_bytes, 0);
    bed_close(&bed);
}

static void test_there_is_nothing_to_stop_when_everything_arrived(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, 1000, GAPS);
    assert_int_equal(put(&bed, 0, 100, true), RECEIVE_OK);
    assert_int_equal(receive_lane_stop(&bed.lane, 5, &bed.mem.mem, &bed.budget), 100);
    assert_false(bed.lane.stop_pending);
    bed_close(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_in_any_order_come_out_once_and_in_order),
        cmocka_unit_test(test_a_failed_allocation_drops_the_piece_and_nothing_else),
        cmocka_unit_test(test_credit_is_exact_to_the_byte),
        cmocka_unit_test(test_the_final_size_never_changes),
        cmocka_unit_test(test_an_empty_fin_ends_an_empty_lane),
        cmocka_unit_test(test_too_many_gaps_are_dropped_until_one_is_filled),
        cmocka_unit_test(test_a_refused_budget_drops_the_piece_and_says_which_limit),
        cmocka_unit_test(test_a_reset_drops_what_waits_and_counts_its_final_size),
        cmocka_unit_test(test_a_reset_after_everything_arrived_is_ignored),
        cmocka_unit_test(test_stop_gives_back_what_was_not_read),
        cmocka_unit_test(test_there_is_nothing_to_stop_when_everything_arrived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
