/* SPDX-License-Identifier: MIT */
/* Goal: many requests side by side are each answered once, long responses do not wait for each
 * other for ever, and what fails says why on both sides. Method: two nodes in a world of packets
 * and in one of messages, over good and bad links. */
#include "sim/talk.h"

static const uint32_t fidelities[] = {WEIR_FIDELITY_PACKET, WEIR_FIDELITY_MESSAGE};

static weir_serve_options serving(void)
{
    return (weir_serve_options){.size = sizeof(weir_serve_options),
                                .kinds = WEIR_KIND_REQUEST,
                                .queue_per_peer = 10000,
                                .queue_max = 10000};
}

struct run {
    struct sim sim;
    uint64_t ends[2], asked, answered, closed;
};

/* Ask until the queue is full or so many are under way. */
static void ask_more(struct run *r, uint64_t count, uint64_t parallel)
{
    uint8_t bytes[128];
    while (r->asked < count && r->asked - r->answered < parallel) {
        weir_request_options o = {.size = sizeof o, .user = r->asked};
        talk_fill(bytes, r->asked, 0, sizeof bytes);
        int64_t handle = talk_ask(&r->sim, r->ends[0], bytes, sizeof bytes, &o);
        assert_true(handle >= 0);
        if (handle == 0) return;
        r->asked++;
    }
}

static void echo_all(struct run *r, uint64_t count, uint64_t parallel, uint64_t until_us)
{
    uint8_t bytes[128];
    weir_event e;
    ask_more(r, count, parallel);
    while ((r->answered < count || r->closed < count) && sim_next(&r->sim, &e, until_us)) {
        if (e.kind == WEIR_EVENT_REQUEST) talk_echo(&r->sim, &e);
        if (e.kind == WEIR_EVENT_REQUEST_CLOSED) {
            assert_int_equal(e.node, 2);
            assert_int_equal(e.error, 0);
            r->closed++;
        }
        if (e.kind == WEIR_EVENT_RESPONSE) {
            assert_int_equal(e.error, 0);
            assert_int_equal(weir_message_read(r->sim.nodes[1], e.object, bytes, sizeof bytes),
                             sizeof bytes);
            talk_check(bytes, e.user, 0, sizeof bytes);
            r->answered++;
            ask_more(r, count, parallel);
        }
        if (e.kind == WEIR_EVENT_SENDABLE) ask_more(r, count, parallel);
    }
}

static void test_a_hundred_requests_side_by_side_are_each_answered_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        static struct run r;
        weir_serve_options o = serving();
        memset(&r, 0, sizeof r);
        talk_open(&r.sim, fidelities[i], 31, &o, r.ends);
        uint64_t begun_us = sim_now(&r.sim);
        echo_all(&r, 2000, 100, begun_us + 60 * SIM_SECOND);
        assert_int_equal(r.answered, 2000);
        assert_int_equal(r.closed, 2000);
        /* Twenty rounds of 20 ms, and little else. */
        assert_true(sim_now(&r.sim) - begun_us < SIM_SECOND);
        sim_settle(&r.sim, sim_now(&r.sim) + SIM_SECOND);
        assert_int_equal(talk_metric(&r.sim, "weir_streams_open"), 0);
        assert_int_equal(talk_metric(&r.sim, "weir_requests_open"), 0);
        sim_close(&r.sim);
    }
}

/* More than the peer's streams and the queue take: the rest waits for SENDABLE. */
static void test_more_requests_than_streams_wait_their_turn(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        static struct run r;
        weir_serve_options o = serving();
        memset(&r, 0, sizeof r);
        talk_open(&r.sim, fidelities[i], 32, &o, r.ends);
        echo_all(&r, 3000, 3000, sim_now(&r.sim) + 60 * SIM_SECOND);
        assert_int_equal(r.answered, 3000);
        assert_int_equal(r.sim.seen[WEIR_EVENT_OPENABLE], 0);
        assert_true(r.sim.seen[WEIR_EVENT_SENDABLE] > 0);
        sim_close(&r.sim);
    }
}

static void test_requests_are_answered_over_a_link_that_loses(void **state)
{
    static struct run r;
    weir_serve_options o = serving();
    weir_link_options link = {.size = sizeof link, .loss_ppm = 100000, .duplicate_ppm = 20000};
    (void)state;
    memset(&r, 0, sizeof r);
    talk_open(&r.sim, WEIR_FIDELITY_PACKET, 33, &o, r.ends);
    sim_link(&r.sim, &link);
    echo_all(&r, 500, 50, sim_now(&r.sim) + 120 * SIM_SECOND);
    assert_int_equal(r.answered, 500);
    assert_int_equal(r.closed, 500);
    sim_close(&r.sim);
}

enum { LONG_BYTES = 120000, LONG_COUNT = 12 };

struct long_answer {
    uint64_t request, put;
};

static void put_more(struct sim *sim, struct long_answer *a, uint64_t which)
{
    static uint8_t bytes[LONG_BYTES];
    talk_fill(bytes, which, 0, LONG_BYTES);
    while (a->put < LONG_BYTES) {
        int64_t n = weir_request_respond(sim->nodes[2], a->request, bytes + a->put,
                                         (uint32_t)(LONG_BYTES - a->put), 0);
        assert_true(n >= 0);
        if (n == 0) return;
        a->put += (uint64_t)n;
    }
}

/* Together they are more than the connection's credit, and none is read before it is whole. */
static void test_long_whole_responses_side_by_side_do_not_stop_each_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        static uint8_t bytes[LONG_BYTES];
        struct sim sim;
        uint64_t ends[2], answered = 0, begun = 0;
        struct long_answer answers[LONG_COUNT] = {{0}};
        weir_serve_options o = serving();
        weir_event e;
        talk_open(&sim, fidelities[i], 34, &o, ends);
        for (uint64_t n = 0; n < LONG_COUNT; n++) {
            weir_request_options ask = {.size = sizeof ask, .user = n};
            assert_true(talk_ask(&sim, ends[0], "x", 1, &ask) > 0);
        }
        while (answered < LONG_COUNT && sim_next(&sim, &e, sim_now(&sim) + 60 * SIM_SECOND)) {
            if (e.kind == WEIR_EVENT_REQUEST) {
                answers[begun].request = e.object;
                put_more(&sim, &answers[begun], begun);
                begun++;
            }
            for (uint64_t n = 0; n < begun && e.kind == WEIR_EVENT_WRITABLE; n++) {
                if (answers[n].request == e.object) put_more(&sim, &answers[n], n);
            }
            if (e.kind != WEIR_EVENT_RESPONSE) continue;
            const void *view;
            assert_int_equal(e.error, 0);
            assert_int_equal(e.amount, LONG_BYTES);
            assert_int_equal(weir_message_read(sim.nodes[1], e.object, bytes, 10), WEIR_E_SPACE);
            assert_true(weir_stream_peek(sim.nodes[1], e.object, &view) > 0);
            talk_check(view, e.user, 0, 1000);
            assert_int_equal(weir_message_read(sim.nodes[1], e.object, bytes, sizeof bytes),
                             LONG_BYTES);
            talk_check(bytes, e.user, 0, LONG_BYTES);
            answered++;
        }
        assert_int_equal(answered, LONG_COUNT);
        sim_close(&sim);
    }
}

static void test_a_chunked_response_streams_with_back_pressure(void **state)
{
    enum { BYTES = 3000000 };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        static uint8_t bytes[65536];
        struct sim sim;
        uint64_t ends[2], put = 0, got = 0, served = 0;
        weir_serve_options o = serving();
        weir_request_options ask = {
            .size = sizeof ask, .flags = WEIR_CHUNKED, .response_max_bytes = BYTES};
        weir_event e;
        bool closed = false;
        talk_open(&sim, fidelities[i], 35, &o, ends);
        assert_true(talk_ask(&sim, ends[0], "x", 1, &ask) > 0);
        while (!closed && sim_next(&sim, &e, sim_now(&sim) + 60 * SIM_SECOND)) {
            if (e.kind == WEIR_EVENT_REQUEST) served = e.object;
            if (e.node == 2 && served != 0) {
                int64_t n = 1;
                while (put < BYTES && n > 0) {
                    uint64_t len = BYTES - put < sizeof bytes ? BYTES - put : sizeof bytes;
                    talk_fill(bytes, 1, put, len);
                    n = weir_request_respond(sim.nodes[2], served, bytes, (uint32_t)len,
                                             put + len < BYTES ? WEIR_MORE : 0);
                    assert_true(n >= 0);
                    put += (uint64_t)n;
                }
            }
            if (e.kind == WEIR_EVENT_READABLE) {
                int64_t n;
                while ((n = weir_stream_read(sim.nodes[1], e.object, bytes, sizeof bytes)) > 0) {
                    talk_check(bytes, 1, got, (uint64_t)n);
                    got += (uint64_t)n;
                }
            }
            closed = e.kind == WEIR_EVENT_REQUEST_CLOSED && e.node == 1;
        }
        assert_true(closed);
        assert_int_equal(got, BYTES);
        sim_close(&sim);
    }
}

static void test_a_server_that_falls_silent_costs_the_deadline(void **state)
{
    struct sim sim;
    uint64_t ends[2];
    weir_serve_options o = serving();
    weir_request_options ask = {.size = sizeof ask, .deadline_us = 3 * SIM_SECOND};
    weir_link_options dead = {.size = sizeof dead, .loss_ppm = 1000000};
    weir_event e;
    (void)state;
    talk_open(&sim, WEIR_FIDELITY_PACKET, 36, &o, ends);
    sim_link(&sim, &dead);
    uint64_t begun_us = sim_now(&sim);
    int64_t asked = talk_ask(&sim, ends[0], "x", 1, &ask);
    assert_true(asked > 0);
    assert_true(
        sim_wait(&sim, WEIR_EVENT_RESPONSE, 1, (uint64_t)asked, &e, begun_us + 10 * SIM_SECOND));
    assert_int_equal(e.error, WEIR_E_TIMEOUT);
    assert_int_equal(e.amount, WEIR_REASON_DEADLINE);
    assert_int_equal(sim_now(&sim) - begun_us, 3 * SIM_SECOND);
    /* And what is under way when the connection is given up ends before it. */
    ask.deadline_us = WEIR_NONE;
    asked = talk_ask(&sim, ends[0], "x", 1, &ask);
    assert_true(
        sim_wait(&sim, WEIR_EVENT_RESPONSE, 1, (uint64_t)asked, &e, begun_us + 120 * SIM_SECOND));
    assert_int_equal(e.error, WEIR_E_NOT_CONNECTED);
    assert_true(sim_next(&sim, &e, sim_now(&sim) + SIM_SECOND));
    assert_int_equal(e.kind, WEIR_EVENT_CONNECTION_CLOSED);
    sim_close(&sim);
}

static void test_a_drain_of_either_side_loses_no_answer(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        struct sim sim;
        uint64_t ends[2], served[20], count = 0, answered = 0, closed = 0;
        weir_serve_options o = serving();
        char got[8];
        weir_event e;
        bool drained = false;
        talk_open(&sim, fidelities[i % 2], 37, &o, ends);
        for (unsigned n = 0; n < 20; n++) assert_true(talk_ask(&sim, ends[0], "x", 1, NULL) > 0);
        while (count < 20 && sim_next(&sim, &e, sim_now(&sim) + SIM_SECOND)) {
            if (e.kind == WEIR_EVENT_REQUEST) served[count++] = e.object;
        }
        assert_int_equal(count, 20);
        assert_int_equal(weir_node_drain(sim.nodes[1 + i / 2], 7, 60 * SIM_SECOND), 0);
        for (unsigned n = 0; n < 20; n++)
            assert_int_equal(weir_request_respond(sim.nodes[2], served[n], "yes", 3, 0), 3);
        while (sim_next(&sim, &e, sim_now(&sim) + 60 * SIM_SECOND)) {
            if (e.kind == WEIR_EVENT_REQUEST_CLOSED) closed += e.error == 0;
            if (e.kind == WEIR_EVENT_DRAINED) drained = true;
            if (e.kind != WEIR_EVENT_RESPONSE) continue;
            if (e.error != 0) fail_msg("case %u: error %d", i, e.error);
            assert_int_equal(weir_message_read(sim.nodes[1], e.object, got, sizeof got), 3);
            answered++;
        }
        assert_true(drained);
        if (answered != 20) fail_msg("case %u: %u answers", i, (unsigned)answered);
        if (i / 2 == 1) assert_int_equal(closed, 20);
        sim_close(&sim);
    }
}

static uint64_t hash_of_a_run(uint32_t fidelity)
{
    static struct run r;
    weir_serve_options o = serving();
    weir_link_options link = {.size = sizeof link, .loss_ppm = 50000};
    memset(&r, 0, sizeof r);
    talk_open(&r.sim, fidelity, 38, &o, r.ends);
    if (fidelity == WEIR_FIDELITY_PACKET) sim_link(&r.sim, &link);
    echo_all(&r, 300, 300, sim_now(&r.sim) + 60 * SIM_SECOND);
    assert_int_equal(r.answered, 300);
    uint64_t hash = weir_world_hash(r.sim.world);
    sim_close(&r.sim);
    return hash;
}

static void test_the_same_seed_gives_the_same_run(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_true(hash_of_a_run(fidelities[i]) == hash_of_a_run(fidelities[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hundred_requests_side_by_side_are_each_answered_once),
        cmocka_unit_test(test_more_requests_than_streams_wait_their_turn),
        cmocka_unit_test(test_requests_are_answered_over_a_link_that_loses),
        cmocka_unit_test(test_long_whole_responses_side_by_side_do_not_stop_each_other),
        cmocka_unit_test(test_a_chunked_response_streams_with_back_pressure),
        cmocka_unit_test(test_a_server_that_falls_silent_costs_the_deadline),
        cmocka_unit_test(test_a_drain_of_either_side_loses_no_answer),
        cmocka_unit_test(test_the_same_seed_gives_the_same_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
