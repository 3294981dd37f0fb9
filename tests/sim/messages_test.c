/* SPDX-License-Identifier: MIT */
/* Goal: every message that was taken arrives whole and once, or is counted as dropped, whatever the
 * link and the reader do. Method: two nodes in a world of packets and in one of messages; bytes
 * depend on message and place. */
#include "sim/talk.h"

static const uint32_t fidelities[] = {WEIR_FIDELITY_PACKET, WEIR_FIDELITY_MESSAGE};

static weir_serve_options serving(uint32_t overflow)
{
    return (weir_serve_options){
        .size = sizeof(weir_serve_options), .kinds = WEIR_KIND_MESSAGE, .overflow = overflow};
}

enum { COUNT = 600, LONGEST = 16384 };

static uint32_t length_of(uint64_t i)
{
    return i % 50 == 49 ? LONGEST : (uint32_t)(i * 37 % 3000);
}

struct flow {
    struct sim sim;
    uint64_t ends[2], sent, read, refused;
    bool seen[COUNT];
};

/* Send as many as are taken. The first 8 bytes say which it is. */
static void send_more(struct flow *f)
{
    static uint8_t bytes[LONGEST];
    for (; f->sent < COUNT; f->sent++) {
        uint32_t len = length_of(f->sent) + 8 > LONGEST ? LONGEST : length_of(f->sent) + 8;
        talk_fill(bytes, f->sent, 0, len);
        memcpy(bytes, &f->sent, 8);
        int32_t result = weir_message_send(f->sim.nodes[1], f->ends[0], TALK, bytes, len, NULL);
        assert_true(result >= 0);
        if (result == 0) f->refused++;
        if (result == 0) return;
    }
}

static void read_one(struct flow *f, const weir_event *e)
{
    static uint8_t bytes[LONGEST];
    uint64_t which;
    int64_t len = weir_message_read(f->sim.nodes[2], e->object, bytes, sizeof bytes);
    assert_int_equal(len, e->amount);
    memcpy(&which, bytes, 8);
    assert_true(which < COUNT && !f->seen[which]);
    talk_check(bytes + 8, which, 8, (uint64_t)len - 8);
    f->seen[which] = true;
    f->read++;
}

static void flow(struct flow *f, uint64_t until_us)
{
    weir_event e;
    send_more(f);
    while (f->read < COUNT && sim_next(&f->sim, &e, until_us)) {
        if (e.kind == WEIR_EVENT_SENDABLE) {
            assert_int_equal(e.object, f->ends[0]);
            send_more(f);
        }
        if (e.kind == WEIR_EVENT_MESSAGE) read_one(f, &e);
    }
}

static void test_all_messages_arrive_whole_and_once(void **state)
{
    static struct flow f;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        weir_serve_options o = serving(WEIR_OVERFLOW_DROP_NEW);
        o.queue_per_peer = 1000;
        memset(&f, 0, sizeof f);
        talk_open(&f.sim, fidelities[i], 21, &o, f.ends);
        flow(&f, sim_now(&f.sim) + 60 * SIM_SECOND);
        assert_int_equal(f.read, COUNT);
        assert_true(f.refused > 0); /* they were more than fit at once */
        assert_int_equal(talk_metric(&f.sim, "weir_messages_total{direction=\"out\"}"), COUNT);
        assert_int_equal(talk_metric(&f.sim, "weir_messages_total{direction=\"in\"}"), COUNT);
        sim_settle(&f.sim, sim_now(&f.sim) + SIM_SECOND);
        assert_int_equal(talk_metric(&f.sim, "weir_streams_open"), 0);
        sim_close(&f.sim);
    }
}

static void test_all_messages_arrive_over_a_link_that_loses_and_reorders(void **state)
{
    static struct flow f;
    weir_link_options link = {
        .size = sizeof link, .loss_ppm = 50000, .reorder_ppm = 50000, .reorder_us = 20000};
    weir_serve_options o = serving(WEIR_OVERFLOW_DROP_NEW);
    (void)state;
    o.queue_per_peer = 1000;
    memset(&f, 0, sizeof f);
    talk_open(&f.sim, WEIR_FIDELITY_PACKET, 22, &o, f.ends);
    sim_link(&f.sim, &link);
    flow(&f, sim_now(&f.sim) + 300 * SIM_SECOND);
    assert_int_equal(f.read, COUNT);
    sim_close(&f.sim);
}

/* A reader that is told and does not read: what is kept is the queue, and the rest is counted. */
static void test_a_reader_that_does_not_read_costs_its_queue(void **state)
{
    static const uint32_t overflows[] = {WEIR_OVERFLOW_DROP_NEW, WEIR_OVERFLOW_DROP_OLD};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct sim sim;
        uint64_t ends[2], told[300], first = UINT64_MAX;
        uint32_t count = 0, left = 0;
        weir_event e;
        weir_serve_options o = serving(overflows[i / 2]);
        o.queue_per_peer = 10;
        talk_open(&sim, fidelities[i % 2], 23, &o, ends);
        for (uint64_t n = 0; n < 200; n++) {
            assert_int_equal(weir_message_send(sim.nodes[1], ends[0], TALK, &n, 8, NULL), 1);
            for (uint64_t until = sim_now(&sim) + 50000; sim_next(&sim, &e, until);) {
                assert_int_equal(e.kind, WEIR_EVENT_MESSAGE);
                told[count++] = e.object;
            }
        }
        for (uint32_t n = 0; n < count; n++) {
            uint64_t which;
            int64_t len = weir_message_read(sim.nodes[2], told[n], &which, 8);
            if (len == WEIR_E_STALE) continue;
            assert_int_equal(len, 8);
            if (first == UINT64_MAX) first = which;
            left++;
        }
        assert_int_equal(left, 10);
        assert_int_equal(first, overflows[i / 2] == WEIR_OVERFLOW_DROP_NEW ? 0 : 190);
        assert_int_equal(talk_metric(&sim, "weir_messages_dropped_total{where=\"receive\"}"), 190);
        /* Who sent them could know, if it was told to stop. */
        assert_int_equal(talk_metric(&sim, "weir_messages_dropped_total{where=\"peer\"}"), 0);
        sim_settle(&sim, sim_now(&sim) + SIM_SECOND);
        assert_int_equal(talk_metric(&sim, "weir_streams_open"), 0);
        sim_close(&sim);
    }
}

static void test_a_drain_delivers_what_was_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        static struct flow f;
        weir_serve_options o = serving(WEIR_OVERFLOW_DROP_NEW);
        weir_event e;
        bool drained = false;
        o.queue_per_peer = 1000;
        memset(&f, 0, sizeof f);
        talk_open(&f.sim, fidelities[i], 24, &o, f.ends);
        send_more(&f);
        uint64_t taken = f.sent;
        assert_true(taken > 64);
        assert_int_equal(weir_node_drain(f.sim.nodes[1], 7, 60 * SIM_SECOND), 0);
        assert_int_equal(weir_message_send(f.sim.nodes[1], f.ends[0], TALK, "x", 1, NULL),
                         WEIR_E_DRAINING);
        while (sim_next(&f.sim, &e, sim_now(&f.sim) + 60 * SIM_SECOND)) {
            if (e.kind == WEIR_EVENT_MESSAGE) read_one(&f, &e);
            if (e.kind == WEIR_EVENT_DRAINED) drained = true;
        }
        assert_true(drained);
        if (f.read != taken) fail_msg("case %zu: %u came", i, (unsigned)f.read);
        sim_close(&f.sim);
    }
}

static void test_a_link_that_dies_loses_counted_messages_and_nothing_else(void **state)
{
    struct sim sim;
    uint64_t ends[2], sent = 0;
    weir_event e;
    weir_serve_options o = serving(WEIR_OVERFLOW_DROP_NEW);
    weir_link_options dead = {.size = sizeof dead, .loss_ppm = 1000000};
    (void)state;
    talk_open(&sim, WEIR_FIDELITY_PACKET, 25, &o, ends);
    sim_link(&sim, &dead);
    while (sent < 1000 && weir_message_send(sim.nodes[1], ends[0], TALK, "x", 1, NULL) == 1) sent++;
    assert_true(sent > 64 && sent < 1000);
    assert_true(sim_wait(&sim, WEIR_EVENT_CONNECTION_CLOSED, 1, ends[0], &e,
                         sim_now(&sim) + 120 * SIM_SECOND));
    assert_int_equal(talk_metric(&sim, "weir_messages_dropped_total{where=\"send\"}"), sent);
    assert_int_equal(weir_message_send(sim.nodes[1], ends[0], TALK, "x", 1, NULL),
                     WEIR_E_NOT_CONNECTED);
    sim_close(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_messages_arrive_whole_and_once),
        cmocka_unit_test(test_all_messages_arrive_over_a_link_that_loses_and_reorders),
        cmocka_unit_test(test_a_reader_that_does_not_read_costs_its_queue),
        cmocka_unit_test(test_a_drain_delivers_what_was_taken),
        cmocka_unit_test(test_a_link_that_dies_loses_counted_messages_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
