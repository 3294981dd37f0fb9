/* SPDX-License-Identifier: MIT */
/* Goal: whatever is written reaches the far side byte by byte, whatever is lost or acknowledged in
 * whatever order, also when memory fails in between; and nothing stays allocated or charged.
 * Method: a model that keeps pieces in flight and a far side that is a flat array; small cases by
 * hand for each rule. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/bytes.h"
#include "base/rng.h"
#include "transport/lane.h"
#include "weir.h"
#include <string.h>

enum { STREAM_BYTES = 20000, FLIGHT_MAX = 400, PIECE_MAX = 1200 };
struct piece {
    uint64_t offset, len;
    bool fin;
    uint8_t data[PIECE_MAX]; /* as it left: the lane may change or free its own copy */
};
struct bed {
    struct mem_counter mem;
    struct budget budget;
    struct send_lane lane;
    struct piece flight[FLIGHT_MAX];
    unsigned flying;
    uint8_t arrived[STREAM_BYTES]; /* the byte, or 0 */
    bool fin_arrived;
    uint64_t fin_at;
};

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)(1 + offset * 7 % 251);
}

static void bed_open(struct bed *bed, uint64_t credit)
{
    memset(bed, 0, sizeof *bed);
    mem_counter_init(&bed->mem, mem_system());
    budget_init(&bed->budget, NULL, LIMIT_SCOPE_NODE, 1, 1 << 20, NULL);
    send_lane_init(&bed->lane, credit);
}

static void bed_close(struct bed *bed)
{
    send_lane_free(&bed->lane, &bed->mem.mem, &bed->budget);
    assert_int_equal(bed->mem.live_bytes, 0);
    assert_int_equal(bed->mem.live_blocks, 0);
    budget_end(&bed->budget);
}

static int append(struct bed *bed, uint64_t len)
{
    uint8_t data[STREAM_BYTES];

    for (uint64_t i = 0; i < len; i++) data[i] = byte_at(bed->lane.written + i);
    return send_lane_append(&bed->lane, data, (size_t)len, &bed->mem.mem, &bed->budget, NULL);
}

/* Takes the next piece, as a packet builder does, and puts it into the flight. */
static bool fly(struct bed *bed, bool whole, uint64_t max)
{
    struct send_lane *lane = &bed->lane;
    struct piece *p = &bed->flight[bed->flying];
    bool has = send_lane_has(lane, whole);

    if (!send_lane_next(lane, whole, max, &p->offset, &p->len, &p->fin)) {
        assert_true(!has || max == 0);
        return false;
    }
    assert_true(has);
    assert_true(p->len <= max);
    assert_true(p->offset >= lane->ring.base);
    assert_true(p->offset + p->len <= lane->written);
    ring_read(&lane->ring, p->offset, p->data, (size_t)p->len);
    (void)send_lane_on_sent(lane, p->offset, p->len, p->fin, &bed->mem.mem);
    bed->flying++;
    return true;
}

/* The far side gets it; it is out of the flight only when its acknowledgement or loss is known. */
static void arrive(struct bed *bed, const struct piece *p)
{
    memcpy(bed->arrived + p->offset, p->data, (size_t)p->len);
    if (p->fin) {
        bed->fin_arrived = true;
        bed->fin_at = p->offset + p->len;
    }
}

static struct piece land(struct bed *bed, unsigned i)
{
    struct piece p = bed->flight[i];

    bed->flight[i] = bed->flight[--bed->flying];
    return p;
}

static void ack(struct bed *bed, unsigned i)
{
    struct piece p = land(bed, i);

    arrive(bed, &p);
    send_lane_on_acked(&bed->lane, p.offset, p.len, p.fin, &bed->mem.mem, &bed->budget);
}

static void lose(struct bed *bed, unsigned i)
{
    struct piece p = land(bed, i);

    send_lane_on_lost(&bed->lane, p.offset, p.len, p.fin, &bed->mem.mem);
}

static void check_whole(const struct bed *bed, uint64_t len)
{
    for (uint64_t i = 0; i < len; i++) assert_int_equal(bed->arrived[i], byte_at(i));
    assert_true(bed->fin_arrived);
    assert_int_equal(bed->fin_at, len);
}

/* One random life of a lane. */
static void live(uint64_t seed, uint32_t no_memory_ppm)
{
    struct bed *bed = test_malloc(sizeof *bed);
    struct rng rng;
    uint64_t total;

    bed_open(bed, VARINT_MAX);
    rng_init(&rng, seed, "send_lane", 0);
    total = rng_below(&rng, STREAM_BYTES);
    for (int steps = 0; bed->lane.state != SEND_OVER; steps++) {
        struct send_lane *lane = &bed->lane;
        uint64_t what = rng_below(&rng, 10), left = total - lane->written;

        assert_true(steps < 200000);
        bed->mem.fail_at = rng_chance_ppm(&rng, no_memory_ppm) ? 1 : 0;
        if (what < 2 && lane->state == SEND_OPEN) {
            uint64_t len = rng_below(&rng, left < 3000 ? left + 1 : 3000);

            if (append(bed, len) == 0 && lane->written == total) lane->state = SEND_FINISHED;
        } else if (what == 2) {
            send_lane_release(lane);
        } else if (what < 6 && bed->flying < FLIGHT_MAX) {
            (void)fly(bed, rng_below(&rng, 2) == 0, rng_below(&rng, 400));
        } else if (what < 8 && bed->flying > 0) {
            ack(bed, (unsigned)rng_below(&rng, bed->flying));
        } else if (bed->flying > 0) {
            unsigned i = (unsigned)rng_below(&rng, bed->flying);

            if (rng_below(&rng, 3) == 0 && bed->flying < FLIGHT_MAX) {
                /* Spurious: declared lost, acknowledged later. */
                struct piece p = bed->flight[i];

                lose(bed, i);
                bed->flight[bed->flying++] = p;
            } else {
                lose(bed, i);
            }
        }
        assert_true(lane->ring.base <= lane->sent && lane->sent <= lane->written);
    }
    check_whole(bed, total);
    assert_int_equal(bed->budget.used, 0);
    bed_close(bed);
    test_free(bed);
}

static void test_every_byte_arrives_in_any_order_of_acks_and_losses(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) live(seed, 0);
}

static void test_every_byte_arrives_although_memory_fails_now_and_then(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 160; seed++) live(seed, 300000);
}

static void test_room_is_the_least_of_credit_and_limit(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, 1000);
    assert_int_equal(send_lane_room(&bed.lane, 5000), 1000);
    assert_int_equal(send_lane_room(&bed.lane, 600), 600);
    assert_int_equal(append(&bed, 400), 0);
    assert_int_equal(send_lane_room(&bed.lane, 5000), 600);
    assert_int_equal(send_lane_room(&bed.lane, 600), 200);
    assert_int_equal(send_lane_room(&bed.lane, 300), 0);
    bed_close(&bed);
}

static void test_a_refused_append_takes_nothing(void **state)
{
    struct bed bed;
    struct limit_record limit = {0};
    uint8_t data[4096] = {0};

    (void)state;
    bed_open(&bed, VARINT_MAX);
    bed.budget.max = 1024;
    assert_int_equal(append(&bed, 1000), 0);
    assert_int_equal(send_lane_append(&bed.lane, data, 25, &bed.mem.mem, &bed.budget, &limit),
                     WEIR_E_BUDGET);
    assert_int_equal(limit.max, 1024);
    assert_int_equal(bed.lane.written, 1000);
    bed.budget.max = 1 << 20;
    bed.mem.fail_at = 1;
    assert_int_equal(append(&bed, 25), WEIR_E_MEMORY);
    assert_int_equal(bed.lane.written, 1000);
    assert_int_equal(bed.budget.used, 1024);
    assert_int_equal(append(&bed, 24), 0);
    bed_close(&bed);
}

static void test_unreleased_bytes_leave_only_whole(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, VARINT_MAX);
    assert_int_equal(append(&bed, 100), 0);
    assert_false(send_lane_has(&bed.lane, false));
    assert_int_equal(send_lane_waiting(&bed.lane, false), 0);
    assert_false(fly(&bed, false, 1200));
    assert_true(send_lane_has(&bed.lane, true));
    assert_int_equal(send_lane_waiting(&bed.lane, true), 100);
    assert_true(fly(&bed, true, 60));
    assert_int_equal(send_lane_waiting(&bed.lane, true), 40);
    send_lane_release(&bed.lane);
    assert_int_equal(send_lane_waiting(&bed.lane, false), 40);
    assert_true(fly(&bed, false, 1200));
    assert_int_equal(bed.flight[1].offset, 60);
    assert_int_equal(bed.flight[1].len, 40);
    assert_false(bed.flight[1].fin);
    bed_close(&bed);
}

/* has and next must agree, or a packet builder that asks has turns for ever. */
static void test_a_fin_waits_for_the_bytes_before_it(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, VARINT_MAX);
    assert_int_equal(append(&bed, 100), 0);
    bed.lane.state = SEND_FINISHED;
    assert_false(send_lane_has(&bed.lane, false));
    assert_false(fly(&bed, false, 1200));
    send_lane_release(&bed.lane);
    assert_true(fly(&bed, false, 1200));
    assert_true(bed.flight[0].fin);
    assert_false(send_lane_has(&bed.lane, true));
    ack(&bed, 0);
    assert_int_equal(bed.lane.state, SEND_OVER);
    bed_close(&bed);
}

static void test_a_fin_alone_is_sent_lost_and_sent_again(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, VARINT_MAX);
    assert_int_equal(append(&bed, 10), 0);
    send_lane_release(&bed.lane);
    assert_true(fly(&bed, false, 1200));
    ack(&bed, 0);
    bed.lane.state = SEND_FINISHED;
    assert_true(fly(&bed, false, 0));
    assert_int_equal(bed.flight[0].offset, 10);
    assert_int_equal(bed.flight[0].len, 0);
    assert_true(bed.flight[0].fin);
    assert_false(send_lane_has(&bed.lane, false));
    lose(&bed, 0);
    assert_true(send_lane_has(&bed.lane, false));
    assert_true(fly(&bed, false, 1200));
    ack(&bed, 0);
    assert_int_equal(bed.lane.state, SEND_OVER);
    assert_false(send_lane_has(&bed.lane, true));
    bed_close(&bed);
}

static void test_lost_bytes_go_before_new_ones_and_count_as_repeated(void **state)
{
    struct bed bed;
    uint64_t offset, len;
    bool fin;

    (void)state;
    bed_open(&bed, VARINT_MAX);
    assert_int_equal(append(&bed, 300), 0);
    send_lane_release(&bed.lane);
    for (int i = 0; i < 2; i++) assert_true(fly(&bed, false, 100));
    lose(&bed, 0);
    assert_int_equal(send_lane_waiting(&bed.lane, false), 200);
    assert_true(send_lane_next(&bed.lane, false, 60, &offset, &len, &fin));
    assert_int_equal(offset, 0);
    assert_int_equal(len, 60);
    assert_int_equal(send_lane_on_sent(&bed.lane, offset, len, fin, &bed.mem.mem), 60);
    assert_true(send_lane_next(&bed.lane, false, 1200, &offset, &len, &fin));
    assert_int_equal(offset, 60);
    assert_int_equal(len, 40);
    assert_int_equal(send_lane_on_sent(&bed.lane, offset, len, fin, &bed.mem.mem), 40);
    assert_true(send_lane_next(&bed.lane, false, 1200, &offset, &len, &fin));
    assert_int_equal(offset, 200);
    assert_int_equal(send_lane_on_sent(&bed.lane, offset, len, fin, &bed.mem.mem), 0);
    bed_close(&bed);
}

static void test_what_was_acknowledged_is_not_sent_again(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, VARINT_MAX);
    assert_int_equal(append(&bed, 300), 0);
    send_lane_release(&bed.lane);
    for (int i = 0; i < 3; i++) assert_true(fly(&bed, false, 100));
    send_lane_on_acked(&bed.lane, 100, 100, false, &bed.mem.mem, &bed.budget);
    send_lane_on_lost(&bed.lane, 0, 300, false, &bed.mem.mem);
    assert_int_equal(send_lane_waiting(&bed.lane, false), 200);
    /* Declared lost, but it arrived: nothing of it is left to send. */
    send_lane_on_acked(&bed.lane, 0, 100, false, &bed.mem.mem, &bed.budget);
    assert_int_equal(bed.lane.ring.base, 200);
    assert_int_equal(send_lane_waiting(&bed.lane, false), 100);
    bed_close(&bed);
}

/* Without memory for its range, a loss is kept all the same: nothing else repeats the bytes. */
static void test_a_loss_is_not_forgotten_without_memory(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, VARINT_MAX);
    assert_int_equal(append(&bed, 400), 0);
    bed.lane.state = SEND_FINISHED;
    send_lane_release(&bed.lane);
    for (int i = 0; i < 4; i++) assert_true(fly(&bed, false, 100));
    bed.mem.fail_at = 1;
    lose(&bed, 1);
    assert_true(send_lane_has(&bed.lane, false));
    assert_int_equal(send_lane_waiting(&bed.lane, false), 100);
    bed.mem.fail_at = 1;
    lose(&bed, 1); /* was 3: the flight closes up */
    while (fly(&bed, false, 70)) {
    }
    while (bed.flying > 0) ack(&bed, 0);
    assert_int_equal(bed.lane.state, SEND_OVER);
    check_whole(&bed, 400);
    bed_close(&bed);
}

/* An acknowledgement inside a lost range splits it; when that fails, the lost range must not stay
 * behind below the first kept byte. */
static void test_a_failed_split_leaves_nothing_below_base(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, VARINT_MAX);
    assert_int_equal(append(&bed, 1000), 0);
    send_lane_release(&bed.lane);
    assert_true(fly(&bed, false, 1000));
    for (uint64_t i = 0; i < 4; i++) /* the set's first allocation holds four */
        send_lane_on_lost(&bed.lane, 100 * i + 10, 50, false, &bed.mem.mem);
    send_lane_on_acked(&bed.lane, 900, 1, false, &bed.mem.mem, &bed.budget);
    bed.mem.fail_at = 1;
    send_lane_on_acked(&bed.lane, 20, 10, false, &bed.mem.mem, &bed.budget);
    bed.mem.fail_at = 0;
    send_lane_on_acked(&bed.lane, 0, 20, false, &bed.mem.mem, &bed.budget);
    assert_int_equal(bed.lane.ring.base, 30);
    assert_int_equal(bed.lane.lost.items[0].start, 30);
    assert_true(fly(&bed, false, 1200));
    bed_close(&bed);
}

static void test_reset_drops_all_and_answers_once(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, VARINT_MAX);
    assert_int_equal(append(&bed, 3000), 0);
    send_lane_release(&bed.lane);
    for (int i = 0; i < 3; i++) assert_true(fly(&bed, false, 500));
    send_lane_on_lost(&bed.lane, 500, 500, false, &bed.mem.mem);
    send_lane_on_acked(&bed.lane, 1000, 500, false, &bed.mem.mem, &bed.budget);
    assert_true(send_lane_reset(&bed.lane, 77, &bed.mem.mem, &bed.budget));
    assert_int_equal(bed.lane.state, SEND_RESET);
    assert_int_equal(bed.lane.reset_code, 77);
    assert_true(bed.lane.reset_pending);
    assert_int_equal(bed.lane.sent, 1500); /* the final size */
    assert_int_equal(bed.budget.used, 0);
    assert_int_equal(bed.mem.live_bytes, 0);
    assert_false(send_lane_has(&bed.lane, true));
    assert_false(send_lane_reset(&bed.lane, 78, &bed.mem.mem, &bed.budget));
    assert_int_equal(bed.lane.reset_code, 77);
    /* What is still in flight says nothing any more. */
    send_lane_on_lost(&bed.lane, 0, 500, false, &bed.mem.mem);
    send_lane_on_acked(&bed.lane, 0, 500, false, &bed.mem.mem, &bed.budget);
    assert_int_equal(send_lane_waiting(&bed.lane, true), 0);
    bed_close(&bed);
}

static void test_a_finished_lane_gives_its_buffer_back_a_steady_one_keeps_it(void **state)
{
    struct bed bed;
    uint64_t calls;

    (void)state;
    bed_open(&bed, VARINT_MAX);
    bed.budget.max = 64 << 20; /* no pressure */
    for (int i = 0; i < 5; i++) {
        calls = bed.mem.calls;
        assert_int_equal(append(&bed, 500), 0);
        send_lane_release(&bed.lane);
        assert_true(fly(&bed, false, 1200));
        ack(&bed, 0);
        assert_true(i == 0 || bed.mem.calls == calls); /* no allocation in steady state */
        assert_int_equal(bed.budget.used, 512);
    }
    bed.lane.state = SEND_FINISHED;
    assert_true(fly(&bed, false, 1200));
    ack(&bed, 0);
    assert_int_equal(bed.budget.used, 0);
    bed_close(&bed);
}

static void test_an_empty_lane_gives_its_buffer_back_when_memory_is_short(void **state)
{
    struct bed bed;

    (void)state;
    bed_open(&bed, VARINT_MAX);
    assert_int_equal(append(&bed, 500), 0);
    send_lane_release(&bed.lane);
    assert_true(fly(&bed, false, 1200));
    ack(&bed, 0);
    assert_int_equal(bed.budget.used, 0);
    bed_close(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_arrives_in_any_order_of_acks_and_losses),
        cmocka_unit_test(test_every_byte_arrives_although_memory_fails_now_and_then),
        cmocka_unit_test(test_room_is_the_least_of_credit_and_limit),
        cmocka_unit_test(test_a_refused_append_takes_nothing),
        cmocka_unit_test(test_unreleased_bytes_leave_only_whole),
        cmocka_unit_test(test_a_fin_waits_for_the_bytes_before_it),
        cmocka_unit_test(test_a_fin_alone_is_sent_lost_and_sent_again),
        cmocka_unit_test(test_lost_bytes_go_before_new_ones_and_count_as_repeated),
        cmocka_unit_test(test_what_was_acknowledged_is_not_sent_again),
        cmocka_unit_test(test_a_loss_is_not_forgotten_without_memory),
        cmocka_unit_test(test_a_failed_split_leaves_nothing_below_base),
        cmocka_unit_test(test_reset_drops_all_and_answers_once),
        cmocka_unit_test(test_a_finished_lane_gives_its_buffer_back_a_steady_one_keeps_it),
        cmocka_unit_test(test_an_empty_lane_gives_its_buffer_back_when_memory_is_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
