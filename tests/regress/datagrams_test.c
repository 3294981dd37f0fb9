/* SPDX-License-Identifier: MIT */
/* Goal: unreliable datagrams are a short queue on either side, and empty UDP datagrams are counted
 * like any other. Method: a peer with the real keys (attack.h) floods a reader that does not read,
 * an application floods a peer that does not acknowledge, and a stranger sends nothing at all. */
#include "attack.h"

static uint64_t limit(const struct attack *a, enum limit name)
{
    return a->p->side[1 - a->by].limits.value[name];
}

static void datagram(struct writer *w, uint64_t stream, uint32_t n, size_t len)
{
    uint8_t bytes[1200] = {0};
    struct writer inner = writer_of(bytes, sizeof bytes);
    writer_varint(&inner, stream);
    writer_u32(&inner, n);
    assert_true(frame_write_datagram(w, bytes, writer_len(&inner) + len, true));
}

/* curl CVE-2026-11352 and all queues that grow with what comes in: the oldest goes. */
static void test_datagrams_that_nobody_reads_are_64_and_the_newest(void **state)
{
    enum { DATAGRAMS = 20000 };
    (void)state;
    struct attack a = attack_new();
    a.look = false;
    struct stream *s = attack_feed(&a);
    (void)attack_drain(&a);
    attack_begin(&a);
    for (uint32_t i = 0; i < DATAGRAMS; i++) {
        uint8_t payload[1200];
        struct writer w = writer_of(payload, sizeof payload);
        datagram(&w, s->id, i, 1000);
        attack_give(&a, &w);
        (void)attack_pass(&a, 10);
    }
    uint64_t kept = limit(&a, LIMIT_DATAGRAMS_IN);
    assert_int_equal(stream_datagrams_waiting(s), kept);
    assert_int_equal(attack_metric(&a, METRIC_DATAGRAM_FRAMES_RECEIVED), DATAGRAMS);
    assert_int_equal(attack_metric(&a, METRIC_DATAGRAM_FRAMES_DROPPED), DATAGRAMS - kept);
    attack_expect_peak(&a, kept * 1200 + ATTACK_RECORDS_BYTES);
    uint8_t bytes[1200];
    assert_int_equal(stream_datagram_read(s, bytes, sizeof bytes), 1004);
    uint32_t oldest =
        (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    assert_int_equal(oldest, DATAGRAMS - kept);
    attack_end(&a);
}

static void test_many_tiny_datagrams_and_those_for_no_stream_hold_little(void **state)
{
    (void)state;
    struct attack a = attack_new();
    a.look = false;
    struct stream *s = attack_feed(&a);
    (void)attack_drain(&a);
    attack_begin(&a);
    for (uint32_t i = 0; i < 2000; i++) {
        uint8_t payload[1200];
        struct writer w = writer_of(payload, sizeof payload);
        while (writer_room(&w) > 30) datagram(&w, i % 2 == 0 ? s->id : 4000 + 4 * i, i, 0);
        attack_give(&a, &w);
        (void)attack_pass(&a, 100);
    }
    assert_true(attack_is_up(&a));
    assert_int_equal(stream_datagrams_waiting(s), limit(&a, LIMIT_DATAGRAMS_IN));
    assert_int_equal(attack_victim(&a)->base.streams->datagrams_in.count,
                     limit(&a, LIMIT_DATAGRAMS_IN));
    assert_int_equal(attack_victim(&a)->base.streams->count, 1);
    attack_expect_peak(&a, ATTACK_RECORDS_BYTES);
    attack_end(&a);
}

static void test_datagrams_that_cannot_leave_are_refused_at_64(void **state)
{
    static const uint8_t zeros[1000];
    (void)state;
    struct attack a = attack_new();
    struct stream *s = attack_feed(&a);
    unsigned taken = 0;
    /* Nothing is ever acknowledged: the window fills, and then the queue. */
    for (unsigned i = 0; i < 5000; i++) {
        struct limit_record record = {0};
        int error = stream_datagram_send(s, zeros, sizeof zeros, a.p->now_us, &record);
        taken += error == 0;
        if (error != 0) assert_int_equal(error, WEIR_E_LIMIT);
        quic_transport.on_turn(a.p->side[1].transport, a.p->now_us);
        if (i % 10 == 0) (void)attack_drain(&a);
    }
    assert_int_equal(attack_victim(&a)->base.streams->datagrams_out.count,
                     limit(&a, LIMIT_DATAGRAMS_OUT));
    assert_in_range(taken, limit(&a, LIMIT_DATAGRAMS_OUT), 200);
    assert_int_equal(attack_metric(&a, METRIC_DATAGRAM_FRAMES_REFUSED), 5000 - taken);
    attack_expect_peak(&a, 64 * 1200 + 4 * 65536);
    attack_end(&a);
}

/* curl CVE-2026-11352: a receive budget that did not count them. */
static void test_empty_udp_datagrams_are_counted_and_cost_nothing(void **state)
{
    enum { EMPTY = 50000 };
    (void)state;
    struct attack a = attack_new();
    uint64_t before = attack_metric(&a, METRIC_DATAGRAMS_RECEIVED);
    uint64_t bytes = attack_metric(&a, METRIC_BYTES_RECEIVED);
    for (unsigned i = 0; i < EMPTY; i++) attack_inject(&a, NULL, 0);
    (void)attack_drain(&a);
    assert_int_equal(attack_metric(&a, METRIC_DATAGRAMS_RECEIVED) - before, EMPTY);
    assert_int_equal(attack_metric(&a, METRIC_BYTES_RECEIVED), bytes);
    assert_int_equal(attack_calls(&a), 0);
    assert_int_equal(a.datagrams, 0);
    attack_expect_alive(&a);
    attack_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_datagrams_that_nobody_reads_are_64_and_the_newest),
        cmocka_unit_test(test_many_tiny_datagrams_and_those_for_no_stream_hold_little),
        cmocka_unit_test(test_datagrams_that_cannot_leave_are_refused_at_64),
        cmocka_unit_test(test_empty_udp_datagrams_are_counted_and_cost_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
