/* SPDX-License-Identifier: MIT */
/* Goal: unreliable datagrams as an application sees them (weir.h), the same on both transports.
 * Method: two nodes in a world, with and without bulk on the same connection. */
#include "sim/rig.h"
#include <string.h>

enum { FIDELITIES = 2 };

struct ends {
    struct sim sim;
    uint64_t connection[2], stream[2]; /* at node 1, at node 2 */
};

static void open_ends(struct ends *e, uint32_t fidelity, const weir_node_options *options)
{
    weir_event event;
    memset(e, 0, sizeof *e);
    sim_open(&e->sim, 7, fidelity, 2, options);
    assert_true(sim_connect(&e->sim, 1, 2, e->connection, 60 * SIM_SECOND));
    e->stream[0] = rig_stream(&e->sim, 1, e->connection[0], SIM_PROTOCOL, 0);
    assert_true(sim_wait(&e->sim, WEIR_EVENT_STREAM, 2, 0, &event, 60 * SIM_SECOND));
    e->stream[1] = event.object;
    sim_settle(&e->sim, sim_now(&e->sim) + SIM_SECOND);
}

static int32_t give(struct ends *e, int side, const char *text)
{
    return weir_datagram_send(e->sim.nodes[side + 1], e->stream[side], text,
                              (uint32_t)strlen(text));
}

static void expect(struct ends *e, int side, const char *text)
{
    char out[2000];
    assert_int_equal(weir_datagram_read(e->sim.nodes[side + 1], e->stream[side], out, sizeof out),
                     strlen(text));
    assert_memory_equal(out, text, strlen(text));
}

static void test_both_sides_send_and_are_told_once_until_they_read(void **state)
{
    (void)state;
    for (uint32_t fidelity = 0; fidelity < FIDELITIES; fidelity++) {
        for (int side = 0; side < 2; side++) {
            struct ends e;
            struct rig_log log;
            open_ends(&e, fidelity, NULL);
            uint32_t to = 2 - (uint32_t)side;
            assert_int_equal(give(&e, side, "one"), 0);
            rig_gather(&e.sim, &log, SIM_SECOND);
            assert_int_equal(rig_must(&log, WEIR_EVENT_DATAGRAM, to, e.stream[1 - side])->amount,
                             1);
            assert_int_equal(rig_must(&log, WEIR_EVENT_DATAGRAM, to, 0)->parent,
                             e.connection[1 - side]);
            assert_int_equal(give(&e, side, ""), 0);
            assert_int_equal(give(&e, side, "three"), 0);
            rig_gather(&e.sim, &log, SIM_SECOND);
            assert_int_equal(rig_count(&log, WEIR_EVENT_DATAGRAM, 0, 0), 0);
            expect(&e, 1 - side, "one");
            rig_gather(&e.sim, &log, SIM_SECOND);
            assert_int_equal(rig_must(&log, WEIR_EVENT_DATAGRAM, to, e.stream[1 - side])->amount,
                             2);
            expect(&e, 1 - side, "");
            expect(&e, 1 - side, "three");
            rig_gather(&e.sim, &log, SIM_SECOND);
            assert_int_equal(rig_count(&log, WEIR_EVENT_DATAGRAM, 0, 0), 0);
            assert_int_equal(weir_datagram_read(e.sim.nodes[to], e.stream[1 - side], NULL, 0),
                             WEIR_E_NOT_FOUND);
            sim_close(&e.sim);
        }
    }
}

static void test_one_that_follows_the_opening_at_once_arrives(void **state)
{
    (void)state;
    for (uint32_t fidelity = 0; fidelity < FIDELITIES; fidelity++) {
        struct ends e;
        weir_event event;
        open_ends(&e, fidelity, NULL);
        for (uint32_t one_way = 0; one_way < 2; one_way++) {
            e.stream[0] =
                rig_stream(&e.sim, 1, e.connection[0], SIM_PROTOCOL, one_way ? WEIR_ONE_WAY : 0);
            assert_int_equal(give(&e, 0, "hello"), 0);
            assert_true(
                sim_wait(&e.sim, WEIR_EVENT_STREAM, 2, 0, &event, sim_now(&e.sim) + SIM_SECOND));
            e.stream[1] = event.object;
            assert_true(sim_wait(&e.sim, WEIR_EVENT_DATAGRAM, 2, e.stream[1], &event,
                                 sim_now(&e.sim) + SIM_SECOND));
            expect(&e, 1, "hello");
            /* The other way too, on a stream on which only the opener writes. */
            assert_int_equal(give(&e, 1, "back"), 0);
            assert_true(sim_wait(&e.sim, WEIR_EVENT_DATAGRAM, 1, e.stream[0], &event,
                                 sim_now(&e.sim) + SIM_SECOND));
            expect(&e, 0, "back");
        }
        sim_close(&e.sim);
    }
}

static void test_sizes_and_numbers_are_bounded_and_say_so(void **state)
{
    (void)state;
    static uint8_t bytes[70000], out[70000];
    for (uint32_t fidelity = 0; fidelity < FIDELITIES; fidelity++) {
        struct ends e;
        weir_connection_info info = {.size = sizeof info};
        open_ends(&e, fidelity, NULL);
        weir_node *a = e.sim.nodes[1], *b = e.sim.nodes[2];
        rig_connection_info(&e.sim, 1, e.connection[0], &info);
        assert_true(info.datagram_max > 1000);
        memset(bytes, 0xa5, sizeof bytes);
        assert_int_equal(weir_datagram_send(a, e.stream[0], bytes, info.datagram_max + 1),
                         WEIR_E_ARGUMENT);
        assert_int_equal(weir_datagram_send(a, e.stream[0], bytes, info.datagram_max), 0);
        sim_settle(&e.sim, sim_now(&e.sim) + SIM_SECOND);
        assert_int_equal(weir_datagram_read(b, e.stream[1], out, info.datagram_max - 1),
                         WEIR_E_SPACE);
        assert_int_equal(weir_datagram_read(b, e.stream[1], out, sizeof out), info.datagram_max);
        assert_memory_equal(out, bytes, info.datagram_max);
        for (unsigned i = 0; i < 64; i++) assert_int_equal(give(&e, 0, "x"), 0);
        assert_int_equal(give(&e, 0, "x"), WEIR_E_LIMIT);
        weir_error error = {.size = sizeof error};
        assert_int_equal(weir_last_error(a, &error), 0);
        assert_int_equal(error.code, WEIR_E_LIMIT);
        assert_true(strlen(error.detail) > 10);
        sim_settle(&e.sim, sim_now(&e.sim) + SIM_SECOND);
        for (unsigned i = 0; i < 30; i++) assert_int_equal(give(&e, 0, "y"), 0);
        sim_settle(&e.sim, sim_now(&e.sim) + SIM_SECOND);
        unsigned x = 0, y = 0;
        while (weir_datagram_read(b, e.stream[1], out, sizeof out) == 1) {
            x += out[0] == 'x';
            y += out[0] == 'y';
        }
        assert_int_equal(x, 34); /* the oldest went */
        assert_int_equal(y, 30);
        sim_close(&e.sim);
    }
}

static void test_they_end_with_their_stream(void **state)
{
    (void)state;
    for (uint32_t fidelity = 0; fidelity < FIDELITIES; fidelity++) {
        struct ends e;
        struct rig_log log;
        open_ends(&e, fidelity, NULL);
        assert_int_equal(give(&e, 0, "before"), 0);
        sim_settle(&e.sim, sim_now(&e.sim) + SIM_SECOND);
        assert_int_equal(weir_stream_reset(e.sim.nodes[1], e.stream[0], 5), 0);
        assert_int_equal(give(&e, 0, "after"), WEIR_E_NOT_CONNECTED);
        assert_int_equal(weir_stream_stop(e.sim.nodes[1], e.stream[0], 5), 0);
        rig_gather(&e.sim, &log, SIM_SECOND);
        (void)rig_must(&log, WEIR_EVENT_STREAM_CLOSED, 2, e.stream[1]);
        char out[16];
        assert_int_equal(weir_datagram_read(e.sim.nodes[2], e.stream[1], out, sizeof out),
                         WEIR_E_STALE);
        assert_int_equal(give(&e, 1, "x"), WEIR_E_STALE);
        assert_int_equal(weir_datagram_send(e.sim.nodes[1], e.connection[0], "x", 1), WEIR_E_KIND);
        sim_close(&e.sim);
    }
}

static void test_a_node_that_takes_none_is_sent_none(void **state)
{
    (void)state;
    weir_node_options off = {.size = sizeof off, .datagrams_off = 1};
    for (uint32_t fidelity = 0; fidelity < FIDELITIES; fidelity++) {
        struct ends e;
        weir_connection_info info = {.size = sizeof info};
        open_ends(&e, fidelity, &off);
        rig_connection_info(&e.sim, 1, e.connection[0], &info);
        assert_int_equal(info.datagram_max, 0);
        assert_int_equal(give(&e, 0, "x"), WEIR_E_UNSUPPORTED);
        sim_close(&e.sim);
    }
}

static void test_bulk_on_the_same_connection_does_not_hold_them_up(void **state)
{
    (void)state;
    static uint8_t chunk[65536];
    weir_link_options link = {.size = sizeof link, .bandwidth_bps = 20000000};
    for (uint32_t fidelity = 0; fidelity < FIDELITIES; fidelity++) {
        struct ends e;
        weir_event event;
        open_ends(&e, fidelity, NULL);
        sim_link(&e.sim, &link);
        uint64_t bulk = rig_stream(&e.sim, 1, e.connection[0], SIM_PROTOCOL, WEIR_ONE_WAY);
        uint64_t bytes = 0, came = 0, end = sim_now(&e.sim) + 5 * SIM_SECOND,
                 next = sim_now(&e.sim), sent = 0;
        while (sim_now(&e.sim) < end) {
            while (weir_stream_write(e.sim.nodes[1], bulk, chunk, sizeof chunk, 0) > 0) {
            }
            if (sim_now(&e.sim) >= next) {
                sent += give(&e, 0, "tick") == 0;
                next += 10 * RIG_MS;
            }
            if (!sim_next(&e.sim, &event, next)) continue;
            if (event.kind == WEIR_EVENT_READABLE && event.node == 2)
                bytes += rig_drop(&e.sim, 2, event.object);
            if (event.kind == WEIR_EVENT_DATAGRAM) {
                expect(&e, 1, "tick");
                came++;
            }
        }
        assert_true(sent > 400);
        if (came + 60 < sent || bytes < 4000000)
            fail_msg("fidelity %u: %u sent, %u came, %u bytes of bulk", fidelity, (unsigned)sent,
                     (unsigned)came, (unsigned)bytes);
        sim_close(&e.sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_sides_send_and_are_told_once_until_they_read),
        cmocka_unit_test(test_one_that_follows_the_opening_at_once_arrives),
        cmocka_unit_test(test_sizes_and_numbers_are_bounded_and_say_so),
        cmocka_unit_test(test_they_end_with_their_stream),
        cmocka_unit_test(test_a_node_that_takes_none_is_sent_none),
        cmocka_unit_test(test_bulk_on_the_same_connection_does_not_hold_them_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
