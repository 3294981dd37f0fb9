/* SPDX-License-Identifier: MIT */
/* Goal: what weir.h says of streams holds between two nodes: protocols, both lanes and their ends,
 * limits, urgency. Method: two connected nodes; each test acts on one side and looks at the events
 * and answers of both. */
#include "sim/rig.h"
#include <string.h>

#define MIB (UINT64_C(1) << 20)

struct pair {
    struct sim sim;
    struct rig_log log;
    uint64_t ends[2];
};

static struct pair *open_pair(const weir_node_options *options)
{
    static struct pair pair;

    rig_pair(&pair.sim, 100, options, pair.ends);
    return &pair;
}

/* A stream that both know: [0] at node 1, [1] at node 2. */
static void open_stream(struct pair *p, uint32_t flags, uint64_t both[2])
{
    both[0] = rig_stream(&p->sim, 1, p->ends[0], SIM_PROTOCOL, flags);
    rig_write(&p->sim, 1, both[0], "hi", 2, 0);
    rig_gather(&p->sim, &p->log, 100 * RIG_MS);
    both[1] = rig_must(&p->log, WEIR_EVENT_STREAM, 2, 0)->object;
    rig_expect(&p->sim, 2, both[1], "hi");
    rig_gather(&p->sim, &p->log, 100 * RIG_MS);
}

static void test_a_protocol_that_is_not_served_is_refused_with_its_reason(void **state)
{
    struct pair *p = open_pair(NULL);
    uint64_t stream = rig_stream(&p->sim, 1, p->ends[0], "no/such/1", 0);
    const weir_event *event;
    weir_stream_info info;

    (void)state;
    rig_write(&p->sim, 1, stream, "anybody?", 8, 0);
    rig_gather(&p->sim, &p->log, 25 * RIG_MS);
    event = rig_must(&p->log, WEIR_EVENT_STREAM_RESET, 1, stream);
    assert_int_equal(event->amount, WEIR_REASON_PROTOCOL_NOT_SERVED);
    assert_int_equal(event->error, WEIR_E_RESET);
    event = rig_must(&p->log, WEIR_EVENT_STREAM_STOPPED, 1, stream);
    assert_int_equal(event->amount, WEIR_REASON_PROTOCOL_NOT_SERVED);
    assert_int_equal(rig_count(&p->log, WEIR_EVENT_STREAM, 2, 0), 0);
    rig_stream_info(&p->sim, 1, stream, &info);
    assert_int_equal(info.read_reason, WEIR_REASON_PROTOCOL_NOT_SERVED);
    assert_int_equal(info.write_reason, WEIR_REASON_PROTOCOL_NOT_SERVED);
    assert_string_equal(info.protocol, "no/such/1");
    assert_int_equal(weir_stream_write(p->sim.nodes[1], stream, "?", 1, 0), WEIR_E_STOPPED);
    rig_gather(&p->sim, &p->log, SIM_SECOND);
    assert_int_equal(rig_must(&p->log, WEIR_EVENT_STREAM_CLOSED, 1, stream)->amount,
                     WEIR_REASON_PROTOCOL_NOT_SERVED);
    sim_close(&p->sim);
}

static void test_a_protocol_may_be_taken_out_of_service_while_its_streams_go_on(void **state)
{
    struct pair *p = open_pair(NULL);
    uint64_t both[2], late;

    (void)state;
    open_stream(p, 0, both);
    assert_int_equal(weir_node_unserve(p->sim.nodes[2], SIM_PROTOCOL), 0);
    assert_int_equal(weir_node_unserve(p->sim.nodes[2], SIM_PROTOCOL), WEIR_E_NOT_FOUND);
    late = rig_stream(&p->sim, 1, p->ends[0], SIM_PROTOCOL, 0);
    rig_write(&p->sim, 1, late, "late", 4, 0);
    rig_write(&p->sim, 1, both[0], "more", 4, 0);
    rig_gather(&p->sim, &p->log, SIM_SECOND);
    assert_int_equal(rig_must(&p->log, WEIR_EVENT_STREAM_RESET, 1, late)->amount,
                     WEIR_REASON_PROTOCOL_NOT_SERVED);
    rig_expect(&p->sim, 2, both[1], "more");
    sim_close(&p->sim);
}

static void test_each_side_finishes_its_own_lane(void **state)
{
    struct pair *p = open_pair(NULL);
    weir_stream_info info;
    uint64_t both[2];

    (void)state;
    open_stream(p, 0, both);
    rig_write(&p->sim, 1, both[0], "question", 8, WEIR_FIN);
    assert_int_equal(weir_stream_write(p->sim.nodes[1], both[0], "x", 1, 0), WEIR_E_FINISHED);
    assert_int_equal(weir_stream_finish(p->sim.nodes[1], both[0]), 0);
    rig_gather(&p->sim, &p->log, 100 * RIG_MS);
    assert_int_equal(rig_must(&p->log, WEIR_EVENT_READABLE, 2, both[1])->error, WEIR_E_END);
    rig_expect(&p->sim, 2, both[1], "question");
    assert_int_equal(weir_stream_read(p->sim.nodes[2], both[1], &info, 1), WEIR_E_END);
    assert_int_equal(rig_count(&p->log, WEIR_EVENT_STREAM_CLOSED, 0, 0), 0);
    /* The other lane goes on, for as long as it likes. */
    rig_gather(&p->sim, &p->log, 10 * SIM_SECOND);
    rig_write(&p->sim, 2, both[1], "answer", 6, 0);
    rig_gather(&p->sim, &p->log, 100 * RIG_MS);
    rig_expect(&p->sim, 1, both[0], "answer");
    rig_stream_info(&p->sim, 1, both[0], &info);
    assert_int_equal(info.bytes_written, 10);
    assert_int_equal(info.bytes_acknowledged, 10);
    assert_int_equal(info.bytes_read, 6);
    rig_stream_info(&p->sim, 2, both[1], &info);
    assert_int_equal(info.bytes_written, 6);
    assert_int_equal(info.bytes_read, 10);
    assert_int_equal(info.read_state, 3);
    assert_int_equal(weir_stream_finish(p->sim.nodes[2], both[1]), 0);
    rig_gather(&p->sim, &p->log, 100 * RIG_MS);
    assert_int_equal(rig_must(&p->log, WEIR_EVENT_READABLE, 1, both[0])->amount, 0);
    assert_int_equal(rig_must(&p->log, WEIR_EVENT_STREAM_CLOSED, 2, both[1])->amount, 0);
    assert_int_equal(rig_must(&p->log, WEIR_EVENT_STREAM_CLOSED, 1, both[0])->amount, 0);
    assert_int_equal(weir_stream_write(p->sim.nodes[1], both[0], "x", 1, 0), WEIR_E_STALE);
    assert_int_equal(weir_stream_finish(p->sim.nodes[2], both[1]), WEIR_E_STALE);
    sim_close(&p->sim);
}

static void test_a_reset_is_read_with_its_code_and_leaves_the_other_lane(void **state)
{
    struct pair *p = open_pair(NULL);
    const weir_event *event;
    uint64_t both[2];
    char byte;

    (void)state;
    open_stream(p, 0, both);
    assert_int_equal(weir_stream_reset(p->sim.nodes[1], both[0], 0x10000000), WEIR_E_ARGUMENT);
    assert_int_equal(weir_stream_reset(p->sim.nodes[1], both[0], 0xfffffff), 0);
    assert_int_equal(weir_stream_reset(p->sim.nodes[1], both[0], 1), 0);
    rig_gather(&p->sim, &p->log, 100 * RIG_MS);
    event = rig_must(&p->log, WEIR_EVENT_STREAM_RESET, 2, both[1]);
    assert_int_equal(event->amount, 0xfffffff);
    assert_int_equal(event->error, WEIR_E_RESET);
    assert_int_equal(weir_stream_read(p->sim.nodes[2], both[1], &byte, 1), WEIR_E_RESET);
    rig_write(&p->sim, 2, both[1], "still", 5, WEIR_FIN);
    rig_gather(&p->sim, &p->log, 100 * RIG_MS);
    rig_expect(&p->sim, 1, both[0], "still");
    rig_gather(&p->sim, &p->log, 100 * RIG_MS);
    assert_int_equal(rig_must(&p->log, WEIR_EVENT_STREAM_CLOSED, 1, both[0])->amount, 0xfffffff);
    sim_close(&p->sim);
}

static void test_a_stop_is_read_with_its_code_and_ends_the_writing(void **state)
{
    struct pair *p = open_pair(NULL);
    uint64_t both[2];

    (void)state;
    open_stream(p, 0, both);
    assert_int_equal(weir_stream_stop(p->sim.nodes[2], both[1], 77), 0);
    assert_int_equal(weir_stream_stop(p->sim.nodes[2], both[1], 78), 0);
    rig_gather(&p->sim, &p->log, 100 * RIG_MS);
    assert_int_equal(rig_must(&p->log, WEIR_EVENT_STREAM_STOPPED, 1, both[0])->amount, 77);
    assert_int_equal(weir_stream_write(p->sim.nodes[1], both[0], "x", 1, 0), WEIR_E_STOPPED);
    rig_write(&p->sim, 2, both[1], "yet", 3, 0);
    rig_gather(&p->sim, &p->log, 100 * RIG_MS);
    rig_expect(&p->sim, 1, both[0], "yet");
    sim_close(&p->sim);
}

static void test_a_reset_gives_back_the_credit_of_what_was_not_read(void **state)
{
    weir_node_options options = {.size = sizeof options,
                                 .stream_window_bytes = 4096,
                                 .connection_window_bytes = 4096,
                                 .windows_grow_off = 1};
    struct pair *p = open_pair(&options);
    static uint8_t data[4000];
    uint32_t i;

    (void)state;
    /* Each fills most of the connection's window and is never read. */
    for (i = 0; i < 20; i++) {
        uint64_t stream = rig_stream(&p->sim, 1, p->ends[0], SIM_PROTOCOL, 0);

        rig_write(&p->sim, 1, stream, data, sizeof data, 0);
        rig_gather(&p->sim, &p->log, SIM_SECOND);
        assert_int_equal(weir_stream_reset(p->sim.nodes[1], stream, 1), 0);
        assert_int_equal(weir_stream_stop(p->sim.nodes[1], stream, 1), 0);
        rig_gather(&p->sim, &p->log, SIM_SECOND);
    }
    sim_close(&p->sim);
}

/* Bulk transfers on one connection, and a message in the middle of them.
 * @return how long the message took */
static uint64_t message_among_bulk(uint32_t urgency)
{
    enum { BULK = 6 };
    weir_link_options link = {
        .size = sizeof link, .bandwidth_bps = 10000000, .queue_bytes = 64 << 10};
    weir_stream_options message = {.size = sizeof message, .urgency_plus1 = urgency + 1};
    struct pair *p = open_pair(NULL); /* the default windows: bulk fills what it may of them */
    struct sim_transfer bulk[BULK];
    uint64_t start_us = 0, took_us = 0, message_in = 0, until_us;
    static char text[100];
    weir_event event;
    int64_t stream = 0;
    uint32_t i, over = 0;

    sim_link(&p->sim, &link);
    for (i = 0; i < BULK; i++) {
        bulk[i] = (struct sim_transfer){.from = 1, .to = 2, .connection = p->ends[0], .bytes = MIB};
        sim_transfer_start(&p->sim, &bulk[i]);
    }
    until_us = sim_now(&p->sim) + 20 * SIM_SECOND;
    while (over < BULK && sim_next(&p->sim, &event, until_us)) {
        /* The streams of the bulk come in their order; the one after them is the message. */
        if (event.kind == WEIR_EVENT_STREAM && bulk[BULK - 1].stream_in != 0)
            message_in = event.object;
        if (event.kind == WEIR_EVENT_READABLE && event.object == message_in) {
            assert_int_equal(event.amount, sizeof text);
            took_us = sim_now(&p->sim) - start_us;
        }
        for (i = 0, over = 0; i < BULK && event.object != message_in; i++) {
            if (sim_transfer_on_event(&p->sim, &bulk[i], &event)) break;
        }
        for (i = 0; i < BULK; i++) over += sim_transfer_is_over(&bulk[i]);
        if (stream != 0 || bulk[0].read < MIB / 2) continue;
        start_us = sim_now(&p->sim);
        stream = weir_stream_open(p->sim.nodes[1], p->ends[0], SIM_PROTOCOL, &message);
        assert_true(stream > 0);
        rig_write(&p->sim, 1, (uint64_t)stream, text, sizeof text, WEIR_FIN);
    }
    for (i = 0; i < BULK; i++) assert_int_equal(bulk[i].read, MIB);
    sim_close(&p->sim);
    return took_us;
}

static void test_an_urgent_message_passes_bulk_transfers(void **state)
{
    uint64_t urgent_us = message_among_bulk(0), plain_us = message_among_bulk(3),
             last_us = message_among_bulk(7);

    (void)state;
    print_message("  urgent %llu ms, as the others %llu ms, last %llu ms\n",
                  (unsigned long long)urgent_us / 1000, (unsigned long long)plain_us / 1000,
                  (unsigned long long)last_us / 1000);
    /* It waits for what is on the way, at most a full queue of 64 KiB or 52 ms, and passes what is
     * not. */
    assert_in_range(urgent_us, RIG_DELAY_US, RIG_DELAY_US + 60 * RIG_MS);
    assert_true(plain_us > urgent_us + 5 * RIG_MS);
    /* Urgencies have a floor: it does not wait for the end of 6 MiB, 5 s. */
    assert_in_range(last_us, plain_us, 3 * SIM_SECOND);
}

static void test_an_open_beyond_the_limit_waits_for_openable(void **state)
{
    weir_node_options options = {.size = sizeof options, .streams_max = 3};
    struct pair *p = open_pair(&options);
    weir_stream_options one_way = {.size = sizeof one_way, .flags = WEIR_ONE_WAY};
    weir_error error = {.size = sizeof error};
    uint64_t streams[3];
    uint32_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        streams[i] = rig_stream(&p->sim, 1, p->ends[0], SIM_PROTOCOL, 0);
        rig_write(&p->sim, 1, streams[i], "x", 1, WEIR_FIN);
    }
    assert_int_equal(weir_stream_open(p->sim.nodes[1], p->ends[0], SIM_PROTOCOL, NULL),
                     WEIR_E_LIMIT);
    assert_int_equal(weir_last_error(p->sim.nodes[1], &error), 0);
    assert_int_equal(error.code, WEIR_E_LIMIT);
    assert_string_equal(error.limit_name, "streams_bidi");
    assert_int_equal(error.limit_side, 2);
    assert_int_equal(error.limit_max, 3);
    /* One-way streams have a limit of their own. */
    for (i = 0; i < 3; i++) {
        assert_true(weir_stream_open(p->sim.nodes[1], p->ends[0], SIM_PROTOCOL, &one_way) > 0);
    }
    assert_int_equal(weir_stream_open(p->sim.nodes[1], p->ends[0], SIM_PROTOCOL, &one_way),
                     WEIR_E_LIMIT);
    rig_gather(&p->sim, &p->log, SIM_SECOND);
    assert_int_equal(rig_count(&p->log, WEIR_EVENT_OPENABLE, 1, 0), 0);
    /* The peer deals with one of them. */
    for (i = 0; i < p->log.count; i++) {
        const weir_event *e = &p->log.event[i];

        if (e->kind != WEIR_EVENT_READABLE) continue;
        rig_expect(&p->sim, 2, e->object, "x");
        assert_int_equal(weir_stream_finish(p->sim.nodes[2], e->object), 0);
        break;
    }
    rig_gather(&p->sim, &p->log, SIM_SECOND);
    assert_int_equal(rig_count(&p->log, WEIR_EVENT_OPENABLE, 1, p->ends[0]), 1);
    (void)rig_stream(&p->sim, 1, p->ends[0], SIM_PROTOCOL, 0);
    sim_close(&p->sim);
}

static void test_a_one_way_stream_has_one_lane(void **state)
{
    struct pair *p = open_pair(NULL);
    weir_stream_info info;
    uint64_t both[2];
    char byte;

    (void)state;
    open_stream(p, WEIR_ONE_WAY, both);
    assert_int_equal(weir_stream_read(p->sim.nodes[1], both[0], &byte, 1), WEIR_E_ONE_WAY);
    assert_int_equal(weir_stream_write(p->sim.nodes[2], both[1], "x", 1, 0), WEIR_E_ONE_WAY);
    assert_int_equal(weir_stream_finish(p->sim.nodes[2], both[1]), WEIR_E_ONE_WAY);
    assert_int_equal(weir_stream_reset(p->sim.nodes[2], both[1], 1), WEIR_E_ONE_WAY);
    assert_int_equal(weir_stream_stop(p->sim.nodes[1], both[0], 1), WEIR_E_ONE_WAY);
    rig_stream_info(&p->sim, 2, both[1], &info);
    assert_int_equal(info.is_one_way, 1);
    assert_int_equal(info.is_local, 0);
    rig_write(&p->sim, 1, both[0], "end", 3, WEIR_FIN);
    rig_gather(&p->sim, &p->log, 100 * RIG_MS);
    rig_expect(&p->sim, 2, both[1], "end");
    rig_gather(&p->sim, &p->log, 100 * RIG_MS);
    (void)rig_must(&p->log, WEIR_EVENT_STREAM_CLOSED, 2, both[1]);
    sim_close(&p->sim);
}

static void test_peek_shows_and_consume_drops(void **state)
{
    struct pair *p = open_pair(NULL);
    const void *view;
    uint64_t both[2];

    (void)state;
    open_stream(p, 0, both);
    assert_int_equal(weir_stream_peek(p->sim.nodes[2], both[1], &view), 0);
    rig_write(&p->sim, 1, both[0], "abcdef", 6, WEIR_FIN);
    rig_gather(&p->sim, &p->log, 100 * RIG_MS);
    assert_int_equal(weir_stream_peek(p->sim.nodes[2], both[1], &view), 6);
    assert_memory_equal(view, "abcdef", 6);
    assert_int_equal(weir_stream_consume(p->sim.nodes[2], both[1], 7), WEIR_E_ARGUMENT);
    assert_int_equal(weir_stream_consume(p->sim.nodes[2], both[1], 2), 0);
    /* What is left is told again. */
    rig_gather(&p->sim, &p->log, 100 * RIG_MS);
    assert_int_equal(rig_must(&p->log, WEIR_EVENT_READABLE, 2, both[1])->amount, 4);
    rig_expect(&p->sim, 2, both[1], "cdef");
    assert_int_equal(weir_stream_peek(p->sim.nodes[2], both[1], &view), WEIR_E_END);
    sim_close(&p->sim);
}

static void test_user_tags_come_with_the_events(void **state)
{
    weir_stream_options options = {.size = sizeof options, .user = 11};
    weir_serve_options serve = {.size = sizeof serve, .user = 22};
    struct pair *p = open_pair(NULL);
    int64_t stream;
    const weir_event *event;

    (void)state;
    assert_int_equal(weir_node_serve(p->sim.nodes[2], "tagged", &serve), 0);
    assert_int_equal(weir_node_serve(p->sim.nodes[2], "tagged", &serve), WEIR_E_EXISTS);
    stream = weir_stream_open(p->sim.nodes[1], p->ends[0], "tagged", &options);
    assert_true(stream > 0);
    rig_write(&p->sim, 1, (uint64_t)stream, "x", 1, 0);
    rig_gather(&p->sim, &p->log, 100 * RIG_MS);
    event = rig_must(&p->log, WEIR_EVENT_STREAM, 2, 0);
    assert_int_equal(event->user, 22);
    assert_int_equal(event->parent, p->ends[1]);
    assert_int_equal(weir_stream_set_user(p->sim.nodes[2], event->object, 33), 0);
    assert_int_equal(weir_stream_reset(p->sim.nodes[1], (uint64_t)stream, 5), 0);
    assert_int_equal(weir_stream_stop(p->sim.nodes[1], (uint64_t)stream, 5), 0);
    rig_gather(&p->sim, &p->log, SIM_SECOND);
    assert_int_equal(rig_must(&p->log, WEIR_EVENT_STREAM_RESET, 2, 0)->user, 33);
    assert_int_equal(rig_must(&p->log, WEIR_EVENT_STREAM_CLOSED, 1, 0)->user, 11);
    sim_close(&p->sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_protocol_that_is_not_served_is_refused_with_its_reason),
        cmocka_unit_test(test_a_protocol_may_be_taken_out_of_service_while_its_streams_go_on),
        cmocka_unit_test(test_each_side_finishes_its_own_lane),
        cmocka_unit_test(test_a_reset_is_read_with_its_code_and_leaves_the_other_lane),
        cmocka_unit_test(test_a_stop_is_read_with_its_code_and_ends_the_writing),
        cmocka_unit_test(test_a_reset_gives_back_the_credit_of_what_was_not_read),
        cmocka_unit_test(test_an_urgent_message_passes_bulk_transfers),
        cmocka_unit_test(test_an_open_beyond_the_limit_waits_for_openable),
        cmocka_unit_test(test_a_one_way_stream_has_one_lane),
        cmocka_unit_test(test_peek_shows_and_consume_drops),
        cmocka_unit_test(test_user_tags_come_with_the_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
