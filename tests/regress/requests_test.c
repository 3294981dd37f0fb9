/* SPDX-License-Identifier: MIT */
/* Goal: a peer with no scruples costs a server of messages and requests, or an asker, what the
 * rules say and no more; both sides read the same named reason; and another peer is served
 * meanwhile. Method: a world of three nodes through weir.h. Node 2 serves; node 1 is hostile and
 * speaks the wire itself, on raw streams under the same name; node 3 is honest. */
#include "sim/talk.h"

enum { HOSTILE = 1, SERVER = 2, HONEST = 3 };

struct scene {
    struct sim sim;
    uint64_t bad[2], good[2]; /* ends of the connections of nodes 1 and 3 with node 2 */
    uint64_t served;          /* requests that node 2 has heard of */
    uint64_t closed;          /* of them, over */
    weir_event last;          /* the last REQUEST_CLOSED of node 2 */
    bool answers;             /* node 2 echoes what it is asked */
};
static struct scene scene;

static weir_serve_options serving(uint32_t kinds)
{
    return (weir_serve_options){.size = sizeof(weir_serve_options),
                                .kinds = kinds,
                                .overflow =
                                    (kinds & WEIR_KIND_MESSAGE) != 0 ? WEIR_OVERFLOW_DROP_NEW : 0,
                                .message_max_bytes = 1000,
                                .request_max_bytes = 1000,
                                .deadline_us = 5 * SIM_SECOND,
                                .progress_us = 2 * SIM_SECOND};
}

static struct sim *open_scene(const weir_serve_options *served)
{
    struct scene *s = &scene;
    weir_node_options options = {.size = sizeof options, .observed_off = 1};
    memset(s, 0, sizeof *s);
    s->answers = true;
    sim_open(&s->sim, 41, WEIR_FIDELITY_PACKET, 3, &options);
    if (served != NULL) talk_serve(&s->sim, SERVER, served);
    assert_true(sim_connect(&s->sim, HOSTILE, SERVER, s->bad, sim_now(&s->sim) + SIM_SECOND));
    assert_true(sim_connect(&s->sim, HONEST, SERVER, s->good, sim_now(&s->sim) + SIM_SECOND));
    sim_settle(&s->sim, sim_now(&s->sim) + SIM_SECOND);
    return &s->sim;
}

static void serve_on(const weir_event *e)
{
    struct scene *s = &scene;
    if (e->node != SERVER) return;
    if (e->kind == WEIR_EVENT_REQUEST) s->served++;
    if (e->kind == WEIR_EVENT_REQUEST && s->answers) talk_echo(&s->sim, e);
    if (e->kind == WEIR_EVENT_REQUEST_CLOSED) s->last = *e;
    if (e->kind == WEIR_EVENT_REQUEST_CLOSED) s->closed++;
}

/* Run on, the server does its work. @return whether an event of this kind came, about object */
static bool await(uint32_t kind, uint64_t node, uint64_t object, weir_event *out, uint64_t span_us)
{
    struct sim *sim = &scene.sim;
    uint64_t until_us = sim_now(sim) + span_us;
    while (sim_next(sim, out, until_us)) {
        serve_on(out);
        if (out->kind == kind && out->node == node && (object == 0 || out->object == object))
            return true;
    }
    return false;
}

static void pass(uint64_t span_us)
{
    weir_event e;
    assert_false(await(WEIR_EVENT_NONE, 0, 0, &e, span_us));
}

/* The honest peer has its answer within a few round trips. */
static void expect_served(void)
{
    weir_event e;
    char got[8];
    bool answered = scene.answers;
    scene.answers = true;
    int64_t asked =
        weir_request_send(scene.sim.nodes[HONEST], scene.good[0], TALK, "hello", 5, NULL);
    assert_true(asked > 0);
    assert_true(await(WEIR_EVENT_RESPONSE, HONEST, (uint64_t)asked, &e, 200 * RIG_MS));
    assert_int_equal(e.error, 0);
    assert_int_equal(weir_message_read(scene.sim.nodes[HONEST], e.object, got, sizeof got), 5);
    scene.answers = answered;
}

static void end_scene(void)
{
    pass(20 * SIM_SECOND);
    assert_int_equal(talk_metric(&scene.sim, "weir_requests_open"), 0);
    assert_int_equal(scene.closed, scene.served);
    assert_int_equal(talk_metric(&scene.sim, "weir_streams_open"), 0);
    sim_close(&scene.sim);
}

static uint64_t raw(uint32_t flags, const void *data, uint32_t len, uint32_t write_flags)
{
    uint64_t s = rig_stream(&scene.sim, HOSTILE, scene.bad[0], TALK, flags);
    rig_write(&scene.sim, HOSTILE, s, data, len, write_flags);
    return s;
}

static void expect_stopped(uint64_t stream, uint32_t reason, uint64_t span_us)
{
    weir_event e;
    assert_true(await(WEIR_EVENT_STREAM_STOPPED, HOSTILE, stream, &e, span_us));
    assert_int_equal(e.amount, reason);
}

static uint64_t metric(const char *name)
{
    return talk_metric(&scene.sim, name);
}

static void test_an_oversize_message_or_request_ends_while_it_arrives(void **state)
{
    static const uint8_t bytes[5000];
    weir_serve_options o = serving(WEIR_KIND_MESSAGE | WEIR_KIND_REQUEST);
    (void)state;
    open_scene(&o);
    /* Neither has an end: a length is never announced, and none is waited for. */
    expect_stopped(raw(WEIR_ONE_WAY, bytes, 1001, 0), WEIR_REASON_TOO_LARGE, SIM_SECOND);
    assert_int_equal(metric("weir_messages_dropped_total{where=\"peer\"}"), 1);
    uint64_t request = raw(0, bytes, sizeof bytes, 0);
    expect_stopped(request, WEIR_REASON_TOO_LARGE, SIM_SECOND);
    weir_stream_info info;
    rig_stream_info(&scene.sim, HOSTILE, request, &info);
    assert_int_equal(info.read_reason, WEIR_REASON_TOO_LARGE);
    assert_int_equal(metric("weir_requests_failed_total{reason=\"too_large\"}"), 1);
    assert_int_equal(scene.served, 0); /* the application never heard of it */
    expect_served();
    end_scene();
}

static void test_an_honest_asker_reads_why_its_request_is_too_large(void **state)
{
    static const uint8_t bytes[2000];
    weir_serve_options o = serving(WEIR_KIND_REQUEST);
    weir_event e;
    (void)state;
    open_scene(&o);
    int64_t asked = talk_ask(&scene.sim, scene.bad[0], bytes, sizeof bytes, NULL);
    assert_true(asked > 0);
    assert_true(await(WEIR_EVENT_RESPONSE, HOSTILE, (uint64_t)asked, &e, SIM_SECOND));
    assert_int_equal(e.error, WEIR_E_LIMIT);
    assert_int_equal(e.amount, WEIR_REASON_TOO_LARGE);
    end_scene();
}

static void test_a_silent_opener_is_given_up_and_its_place_is_free(void **state)
{
    weir_serve_options o = serving(WEIR_KIND_MESSAGE | WEIR_KIND_REQUEST);
    (void)state;
    o.queue_per_peer = 4;
    open_scene(&o);
    uint64_t s[4];
    for (unsigned i = 0; i < 4; i++) s[i] = raw(i % 2 == 0 ? 0 : WEIR_ONE_WAY, "x", 1, 0);
    pass(SIM_SECOND);
    expect_served();
    expect_stopped(s[3], WEIR_REASON_TOO_SLOW, 2 * SIM_SECOND);
    pass(SIM_SECOND);
    assert_int_equal(metric("weir_requests_failed_total{reason=\"too_slow\"}"), 2);
    assert_int_equal(metric("weir_messages_dropped_total{where=\"peer\"}"), 2);
    weir_event e;
    int64_t asked = talk_ask(&scene.sim, scene.bad[0], "again", 5, NULL);
    assert_true(await(WEIR_EVENT_RESPONSE, HOSTILE, (uint64_t)asked, &e, SIM_SECOND));
    assert_int_equal(e.error, 0);
    char got[8];
    (void)weir_message_read(scene.sim.nodes[HOSTILE], e.object, got, sizeof got);
    end_scene();
}

/* One byte a second is progress, so it is the deadline that ends it. */
static void test_a_byte_each_second_ends_at_the_deadline(void **state)
{
    weir_serve_options o = serving(WEIR_KIND_REQUEST);
    weir_event e;
    bool ended = false;
    (void)state;
    open_scene(&o);
    uint64_t begun_us = sim_now(&scene.sim), s = raw(0, "x", 1, 0);
    while (!ended && sim_now(&scene.sim) < begun_us + 20 * SIM_SECOND) {
        ended = await(WEIR_EVENT_STREAM_STOPPED, HOSTILE, s, &e, SIM_SECOND);
        if (!ended) rig_write(&scene.sim, HOSTILE, s, "y", 1, 0);
        if (!ended) expect_served();
    }
    assert_true(ended);
    assert_int_equal(e.amount, WEIR_REASON_DEADLINE);
    assert_in_range(sim_now(&scene.sim) - begun_us, 5 * SIM_SECOND, 6 * SIM_SECOND);
    assert_int_equal(metric("weir_requests_failed_total{reason=\"deadline\"}"), 1);
    end_scene();
}

/* With progress_bytes, drops do not buy time. */
static void test_less_than_the_least_progress_is_too_slow_however_it_is_spread(void **state)
{
    weir_serve_options o = serving(WEIR_KIND_REQUEST);
    weir_event e;
    bool ended = false;
    (void)state;
    o.deadline_us = WEIR_NONE;
    o.progress_bytes = 100;
    open_scene(&o);
    uint64_t begun_us = sim_now(&scene.sim), s = raw(0, "x", 1, 0);
    while (!ended && sim_now(&scene.sim) < begun_us + 20 * SIM_SECOND) {
        ended = await(WEIR_EVENT_STREAM_STOPPED, HOSTILE, s, &e, 100 * RIG_MS);
        if (!ended) rig_write(&scene.sim, HOSTILE, s, "y", 1, 0);
    }
    assert_true(ended);
    assert_int_equal(e.amount, WEIR_REASON_TOO_SLOW);
    assert_in_range(sim_now(&scene.sim) - begun_us, 2 * SIM_SECOND, 5 * SIM_SECOND);
    end_scene();
}

/* A response that is asked for and not taken. */
static void test_who_does_not_take_its_response_is_given_up(void **state)
{
    static uint8_t bytes[400000];
    weir_serve_options o = serving(WEIR_KIND_REQUEST);
    weir_event e;
    (void)state;
    open_scene(&o);
    scene.answers = false;
    uint64_t s = raw(0, "x", 1, WEIR_FIN); /* and it reads nothing */
    assert_true(await(WEIR_EVENT_REQUEST, SERVER, 0, &e, SIM_SECOND));
    uint64_t served = e.object;
    int64_t taken = weir_request_respond(scene.sim.nodes[SERVER], served, bytes, sizeof bytes, 0);
    assert_true(taken > 0 && taken < (int64_t)sizeof bytes);
    expect_served();
    assert_true(await(WEIR_EVENT_REQUEST_CLOSED, SERVER, served, &e, 4 * SIM_SECOND));
    assert_int_equal(e.error, WEIR_E_TIMEOUT);
    assert_int_equal(e.amount, WEIR_REASON_TOO_SLOW);
    assert_int_equal(metric("weir_requests_failed_total{reason=\"too_slow\"}"), 1);
    assert_true(await(WEIR_EVENT_STREAM_RESET, HOSTILE, s, &e, SIM_SECOND));
    assert_int_equal(e.amount, WEIR_REASON_TOO_SLOW);
    end_scene();
}

/* CVE-2023-44487 in our terms: open and cancel, as fast as streams are granted. */
static void test_a_flood_of_opens_and_cancels_is_bounded_and_told_once(void **state)
{
    weir_serve_options o = serving(WEIR_KIND_REQUEST);
    weir_node_statistics before = {.size = sizeof before}, after = {.size = sizeof after};
    uint64_t opened = 0;
    (void)state;
    open_scene(&o);
    scene.answers = false;
    assert_int_equal(weir_node_get_statistics(scene.sim.nodes[SERVER], &before), 0);
    for (unsigned round = 0; round < 100; round++) {
        for (;;) {
            int64_t s = weir_stream_open(scene.sim.nodes[HOSTILE], scene.bad[0], TALK, NULL);
            if (s < 0) break;
            opened++;
            (void)weir_stream_write(scene.sim.nodes[HOSTILE], (uint64_t)s, "x", 1,
                                    round % 2 == 0 ? WEIR_FIN : 0);
            (void)weir_stream_flush(scene.sim.nodes[HOSTILE], (uint64_t)s);
            (void)weir_stream_reset(scene.sim.nodes[HOSTILE], (uint64_t)s, 5);
            (void)weir_stream_stop(scene.sim.nodes[HOSTILE], (uint64_t)s, 5);
        }
        pass(20 * RIG_MS);
        if (round % 20 == 19) expect_served();
    }
    assert_true(opened > 1000);
    pass(SIM_SECOND);
    assert_int_equal(weir_node_get_statistics(scene.sim.nodes[SERVER], &after), 0);
    assert_true(after.memory_bytes < before.memory_bytes + 200000);
    end_scene();
}

static void test_messages_that_are_not_read_are_bounded_and_the_sender_is_stopped(void **state)
{
    weir_serve_options o = serving(WEIR_KIND_MESSAGE | WEIR_KIND_REQUEST);
    (void)state;
    o.queue_per_peer = 8;
    open_scene(&o);
    for (unsigned i = 0; i < 100; i++) (void)raw(WEIR_ONE_WAY, "x", 1, WEIR_FIN);
    pass(SIM_SECOND);
    assert_int_equal(metric("weir_messages_dropped_total{where=\"receive\"}"), 92);
    assert_int_equal(metric("weir_messages_total{direction=\"in\"}"), 8);
    expect_stopped(raw(WEIR_ONE_WAY, "x", 1, 0), WEIR_REASON_OVERLOAD, SIM_SECOND);
    expect_served();
    sim_close(&scene.sim);
}

static void test_requests_beyond_the_queue_are_busy_for_their_peer_alone(void **state)
{
    weir_serve_options o = serving(WEIR_KIND_REQUEST);
    weir_event e;
    (void)state;
    o.queue_per_peer = 3;
    o.retry_us = 700000;
    open_scene(&o);
    scene.answers = false;
    for (unsigned i = 0; i < 10; i++)
        assert_true(talk_ask(&scene.sim, scene.bad[0], "x", 1, NULL) > 0);
    for (unsigned i = 0; i < 7; i++) {
        assert_true(await(WEIR_EVENT_RESPONSE, HOSTILE, 0, &e, SIM_SECOND));
        assert_int_equal(e.error, WEIR_E_REFUSED);
        assert_int_equal(e.amount, WEIR_REASON_OVERLOAD);
        assert_int_equal(talk_info(&scene.sim, HOSTILE, e.object).retry_us, 700000);
    }
    assert_int_equal(metric("weir_requests_busy_total{side=\"served\"}"), 7);
    assert_int_equal(metric("weir_requests_busy_total{side=\"asked\"}"), 7);
    assert_int_equal(scene.served, 3);
    expect_served();
    end_scene();
}

static void test_a_kind_that_is_not_served_is_named(void **state)
{
    static const struct {
        uint32_t kinds, flags;
    } cases[] = {{WEIR_KIND_REQUEST, WEIR_ONE_WAY}, {WEIR_KIND_MESSAGE, 0}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        weir_serve_options o = serving(cases[i].kinds);
        open_scene(&o);
        expect_stopped(raw(cases[i].flags, "x", 1, 0), WEIR_REASON_KIND, SIM_SECOND);
        assert_int_equal(metric("weir_streams_refused_total"), 1);
        if (i == 0) expect_served();
        end_scene();
    }
}

/* From here on node 2 is the hostile server: raw streams under the name that node 1 asks. */

static uint64_t ask_raw_server(uint64_t *asked, const weir_request_options *options)
{
    weir_event e;
    open_scene(NULL);
    assert_int_equal(weir_node_serve(scene.sim.nodes[SERVER], TALK, NULL), 0);
    int64_t handle = talk_ask(&scene.sim, scene.bad[0], "x", 1, options);
    assert_true(handle > 0);
    *asked = (uint64_t)handle;
    assert_true(await(WEIR_EVENT_STREAM, SERVER, 0, &e, SIM_SECOND));
    return e.object;
}

static void expect_failure(uint64_t asked, int error, uint32_t reason, uint64_t span_us)
{
    weir_event e;
    assert_true(await(WEIR_EVENT_RESPONSE, HOSTILE, asked, &e, span_us));
    assert_int_equal(e.error, error);
    assert_int_equal(e.amount, reason);
    assert_int_equal(talk_info(&scene.sim, HOSTILE, asked).state, 4);
    pass(SIM_SECOND);
    weir_request_info info = {.size = sizeof info};
    assert_int_equal(weir_request_get_info(scene.sim.nodes[HOSTILE], asked, &info), WEIR_E_STALE);
    assert_int_equal(metric("weir_requests_open"), 0);
}

static void test_garbage_for_a_response_head_is_a_broken_protocol(void **state)
{
    static const struct {
        const char *bytes;
        uint32_t len, flags;
    } cases[] = {
        {"", 0, WEIR_FIN}, /* no status */
        {"\x02", 1, 0},    /* no such status */
        {"\xff\xff\xff\xff", 4, WEIR_FIN},
        {"\x01", 1, WEIR_FIN},                                      /* refused, cut */
        {"\x01\x40", 2, WEIR_FIN},                                  /* a varint, cut */
        {"\x01\xa0\x00\x00\x00\x05", 6, WEIR_FIN},                  /* a code that never travels */
        {"\x01\xc0\x00\x00\x01\x00\x00\x00\x00\x05", 10, WEIR_FIN}, /* a reason of 64 bits */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t asked, s = ask_raw_server(&asked, NULL);
        rig_write(&scene.sim, SERVER, s, cases[i].bytes, cases[i].len, cases[i].flags);
        expect_failure(asked, WEIR_E_PROTOCOL, WEIR_REASON_FORMAT, SIM_SECOND);
        assert_int_equal(metric("weir_requests_failed_total{reason=\"broken\"}"), 1);
        sim_close(&scene.sim);
    }
}

static void test_a_refusal_that_does_not_end_is_cut(void **state)
{
    uint8_t bytes[300];
    uint64_t asked, s = ask_raw_server(&asked, NULL);
    (void)state;
    memset(bytes, 'a', sizeof bytes);
    memcpy(bytes, "\x01\x05\x00", 3);
    rig_write(&scene.sim, SERVER, s, bytes, sizeof bytes, 0);
    expect_failure(asked, WEIR_E_PROTOCOL, WEIR_REASON_FORMAT, SIM_SECOND);
    sim_close(&scene.sim);
}

static void test_an_oversize_response_is_cut_and_the_server_reads_why(void **state)
{
    static uint8_t bytes[2000];
    weir_request_options o = {.size = sizeof o, .response_max_bytes = 1000};
    uint64_t asked, s = ask_raw_server(&asked, &o);
    weir_event e;
    (void)state;
    rig_write(&scene.sim, SERVER, s, bytes, sizeof bytes, 0);
    assert_true(await(WEIR_EVENT_RESPONSE, HOSTILE, asked, &e, SIM_SECOND));
    assert_int_equal(e.error, WEIR_E_LIMIT);
    assert_true(await(WEIR_EVENT_STREAM_STOPPED, SERVER, s, &e, SIM_SECOND));
    assert_int_equal(e.amount, WEIR_REASON_TOO_LARGE);
    assert_int_equal(metric("weir_requests_failed_total{reason=\"too_large\"}"), 1);
    sim_close(&scene.sim);
}

static void test_a_response_without_an_end_costs_its_deadline_or_its_progress(void **state)
{
    static const struct {
        uint64_t progress_us, deadline_us;
        uint32_t reason;
    } cases[] = {{SIM_SECOND, WEIR_NONE, WEIR_REASON_TOO_SLOW},
                 {WEIR_NONE, 2 * SIM_SECOND, WEIR_REASON_DEADLINE}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        weir_request_options o = {.size = sizeof o,
                                  .progress_us = cases[i].progress_us,
                                  .deadline_us = cases[i].deadline_us};
        uint64_t asked, s = ask_raw_server(&asked, &o);
        rig_write(&scene.sim, SERVER, s, "\0begun", 6, 0);
        expect_failure(asked, WEIR_E_TIMEOUT, cases[i].reason, 3 * SIM_SECOND);
        sim_close(&scene.sim);
    }
}

static void test_a_response_of_a_byte_each_second_ends_at_the_deadline(void **state)
{
    weir_request_options o = {.size = sizeof o, .deadline_us = 10 * SIM_SECOND};
    uint64_t asked, s = ask_raw_server(&asked, &o), begun_us = sim_now(&scene.sim);
    weir_event e;
    bool ended = false;
    (void)state;
    rig_write(&scene.sim, SERVER, s, "\0", 1, 0);
    while (!ended && sim_now(&scene.sim) < begun_us + 30 * SIM_SECOND) {
        ended = await(WEIR_EVENT_RESPONSE, HOSTILE, asked, &e, SIM_SECOND);
        if (!ended) rig_write(&scene.sim, SERVER, s, "y", 1, 0);
    }
    assert_true(ended);
    assert_int_equal(e.amount, WEIR_REASON_DEADLINE);
    sim_close(&scene.sim);
}

/* A server may answer before it has read everything; and it may stop us without answering. */
static void test_a_stop_without_an_answer_is_no_answer(void **state)
{
    weir_request_options o = {.size = sizeof o, .flags = WEIR_MORE, .deadline_us = 3 * SIM_SECOND};
    uint64_t asked, s;
    (void)state;
    open_scene(NULL);
    assert_int_equal(weir_node_serve(scene.sim.nodes[SERVER], TALK, NULL), 0);
    int64_t handle = talk_ask(&scene.sim, scene.bad[0], "x", 1, &o);
    asked = (uint64_t)handle;
    assert_int_equal(weir_stream_flush(scene.sim.nodes[HOSTILE], asked), 0);
    weir_event e;
    assert_true(await(WEIR_EVENT_STREAM, SERVER, 0, &e, SIM_SECOND));
    s = e.object;
    assert_int_equal(weir_stream_stop(scene.sim.nodes[SERVER], s, 5), 0);
    pass(SIM_SECOND);
    assert_int_equal(weir_stream_write(scene.sim.nodes[HOSTILE], asked, "y", 1, 0), WEIR_E_STOPPED);
    expect_failure(asked, WEIR_E_TIMEOUT, WEIR_REASON_DEADLINE, 3 * SIM_SECOND);
    sim_close(&scene.sim);
}

/* A peer that reads nothing holds all credit of its connection. An empty answer is not a byte of
 * the application, so nobody but the engine can know that it has not left. */
static void test_an_empty_answer_that_finds_no_credit_leaves_later(void **state)
{
    static const uint8_t bytes[65536];
    enum { ASKED = 32 };
    weir_serve_options o = serving(WEIR_KIND_REQUEST);
    uint64_t s[ASKED];
    weir_node *server;
    weir_event e;
    int64_t taken = 1;
    unsigned n = 0;
    (void)state;
    o.deadline_us = o.progress_us = 60 * SIM_SECOND;
    open_scene(&o);
    scene.answers = false;
    server = scene.sim.nodes[SERVER];
    while (taken > 0) {
        assert_true(n < ASKED);
        s[n++] = raw(0, "x", 1, WEIR_FIN);
        assert_true(await(WEIR_EVENT_REQUEST, SERVER, 0, &e, SIM_SECOND));
        taken = weir_request_respond(server, e.object, bytes, sizeof bytes, WEIR_MORE);
    }
    assert_int_equal(taken, 0);
    int64_t asked = talk_ask(&scene.sim, scene.bad[0], "x", 1, NULL);
    assert_true(asked > 0);
    assert_true(await(WEIR_EVENT_REQUEST, SERVER, 0, &e, SIM_SECOND));
    assert_int_equal(weir_request_respond(server, e.object, NULL, 0, 0), 0);
    assert_int_equal(weir_request_respond(server, e.object, NULL, 0, 0), WEIR_E_FINISHED);
    assert_int_equal(weir_request_refuse(server, e.object, 1, 0, NULL), WEIR_E_STATE);
    pass(SIM_SECOND);
    for (unsigned i = 0; i < n; i++) (void)rig_drop(&scene.sim, HOSTILE, s[i]);
    assert_true(await(WEIR_EVENT_RESPONSE, HOSTILE, (uint64_t)asked, &e, SIM_SECOND));
    assert_int_equal(e.error, 0);
    assert_int_equal(e.amount, 0);
    (void)weir_message_read(scene.sim.nodes[HOSTILE], e.object, NULL, 0);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(weir_stream_stop(scene.sim.nodes[HOSTILE], s[i], 1), 0);
    end_scene();
}

/* An application whose handlers all wait for an answer of the peer reads no more of its messages
 * meanwhile: those must not keep the answer from coming. */
static void test_messages_that_are_not_read_do_not_keep_answers_away(void **state)
{
    static const uint8_t bytes[20000];
    enum { MESSAGES = 250, MESSAGE_BYTES = 1150 }; /* one packet each */
    weir_serve_options o = serving(WEIR_KIND_MESSAGE | WEIR_KIND_REQUEST);
    weir_event e;
    (void)state;
    o.message_max_bytes = MESSAGE_BYTES;
    o.queue_per_peer = MESSAGES;
    open_scene(&o);
    scene.answers = false;
    talk_serve(&scene.sim, HOSTILE, &o);
    for (unsigned i = 0; i < MESSAGES; i++) {
        assert_int_equal(weir_message_send(scene.sim.nodes[HOSTILE], scene.bad[0], TALK, bytes,
                                           MESSAGE_BYTES, NULL),
                         1);
        pass(10 * RIG_MS);
    }
    /* The lanes' buffers and what was moved out of them are both their connection's. */
    weir_connection_info info;
    rig_connection_info(&scene.sim, SERVER, scene.bad[1], &info);
    assert_true(info.memory_bytes > MESSAGES * (2048 + MESSAGE_BYTES));
    int64_t asked = weir_request_send(scene.sim.nodes[SERVER], scene.bad[1], TALK, "x", 1, NULL);
    assert_true(asked > 0);
    assert_true(await(WEIR_EVENT_REQUEST, HOSTILE, 0, &e, SIM_SECOND));
    for (uint32_t sent = 0; sent < sizeof bytes;) {
        int64_t taken = weir_request_respond(scene.sim.nodes[HOSTILE], e.object, bytes + sent,
                                             (uint32_t)sizeof bytes - sent, 0);
        assert_true(taken >= 0);
        sent += (uint32_t)taken;
        if (sent < sizeof bytes)
            assert_true(await(WEIR_EVENT_WRITABLE, HOSTILE, e.object, &e, SIM_SECOND));
    }
    assert_true(await(WEIR_EVENT_RESPONSE, SERVER, (uint64_t)asked, &e, SIM_SECOND));
    assert_int_equal(e.error, 0);
    assert_int_equal(e.amount, sizeof bytes);
    sim_close(&scene.sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_oversize_message_or_request_ends_while_it_arrives),
        cmocka_unit_test(test_an_honest_asker_reads_why_its_request_is_too_large),
        cmocka_unit_test(test_a_silent_opener_is_given_up_and_its_place_is_free),
        cmocka_unit_test(test_a_byte_each_second_ends_at_the_deadline),
        cmocka_unit_test(test_less_than_the_least_progress_is_too_slow_however_it_is_spread),
        cmocka_unit_test(test_who_does_not_take_its_response_is_given_up),
        cmocka_unit_test(test_a_flood_of_opens_and_cancels_is_bounded_and_told_once),
        cmocka_unit_test(test_messages_that_are_not_read_are_bounded_and_the_sender_is_stopped),
        cmocka_unit_test(test_requests_beyond_the_queue_are_busy_for_their_peer_alone),
        cmocka_unit_test(test_a_kind_that_is_not_served_is_named),
        cmocka_unit_test(test_garbage_for_a_response_head_is_a_broken_protocol),
        cmocka_unit_test(test_a_refusal_that_does_not_end_is_cut),
        cmocka_unit_test(test_an_oversize_response_is_cut_and_the_server_reads_why),
        cmocka_unit_test(test_a_response_without_an_end_costs_its_deadline_or_its_progress),
        cmocka_unit_test(test_a_response_of_a_byte_each_second_ends_at_the_deadline),
        cmocka_unit_test(test_a_stop_without_an_answer_is_no_answer),
        cmocka_unit_test(test_an_empty_answer_that_finds_no_credit_leaves_later),
        cmocka_unit_test(test_messages_that_are_not_read_do_not_keep_answers_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
