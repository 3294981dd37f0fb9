/* SPDX-License-Identifier: MIT */
/* Goal: a fetch brings the whole thing, once and in the right bytes, from several peers; one that
 * stalls costs little time; the application that does not read stops it. Method: a world of a
 * client and up to four servers (parts.h), in both fidelities; time is virtual. */
#include "sim/parts.h"
#include <stdio.h>

#define MIB UINT64_C(1048576)
static const uint32_t fidelities[] = {WEIR_FIDELITY_PACKET, WEIR_FIDELITY_MESSAGE};
#define EACH_FIDELITY(f)                                                                           \
    for (const uint32_t *f = fidelities; f < fidelities + sizeof fidelities / sizeof *fidelities;  \
         f++)

static uint64_t later(const struct parts *p, uint64_t seconds)
{
    return parts_now(p) + seconds * PARTS_SECOND;
}

static void test_every_part_comes_once_and_the_end_comes_last(void **state)
{
    (void)state;
    EACH_FIDELITY(f)
    {
        struct parts *p = parts_open(*f, 3, 5 * MIB + 12345, 1 << 18, NULL);
        weir_fetch_options options = parts_options(p);
        parts_fetch(p, &options);
        parts_run(p, later(p, 60));
        parts_expect_whole(p);
        weir_fetch_info info = parts_info(p); /* readable until the next poll */
        assert_int_equal(info.parts, p->parts);
        assert_int_equal(info.parts_done, p->parts);
        assert_int_equal(info.bytes_done, p->total);
        assert_int_equal(info.in_flight, 0);
        assert_int_equal(info.corrupt, 0);
        for (uint32_t i = 0; i < 3; i++) assert_true(p->server[i].requests >= 3);
        parts_run(p, later(p, 1));
        p->closed = 0;
        parts_run(p, later(p, 1));
        assert_int_equal(weir_fetch_cancel(p->nodes[1], p->fetch), WEIR_E_STALE);
        parts_close(p);
    }
}

static void test_what_is_there_already_is_not_asked_for(void **state)
{
    (void)state;
    EACH_FIDELITY(f)
    {
        struct parts *p = parts_open(*f, 1, 16 * 4096, 4096, NULL);
        weir_fetch_options options = parts_options(p);
        const uint8_t have[2] = {0xfe, 0x7f}, all[2] = {0xff, 0xff};
        options.have = have;
        options.hashes = NULL;
        parts_fetch(p, &options);
        parts_run(p, later(p, 10));
        assert_int_equal(p->closed, 1);
        assert_int_equal(p->error, 0);
        assert_int_equal(p->read, 2);
        assert_int_equal(p->got[0] + p->got[15], 2);
        assert_int_equal(p->server[0].requests, 2);
        p->closed = 0;
        options.have = all;
        parts_fetch(p, &options);
        parts_run(p, later(p, 10));
        assert_int_equal(p->closed, 1);
        assert_int_equal(p->error, 0);
        parts_close(p);
    }
}

static void test_an_application_that_does_not_read_stops_the_fetch(void **state)
{
    (void)state;
    EACH_FIDELITY(f)
    {
        struct parts *p = parts_open(*f, 2, 64 * 16384, 16384, NULL);
        weir_fetch_options options = parts_options(p);
        options.parts_in_flight = 5;
        p->is_resting = true;
        parts_fetch(p, &options);
        parts_run(p, later(p, 30));
        assert_int_equal(p->closed, 0);
        assert_int_equal(p->told, 1); /* once until it is read */
        assert_int_equal(p->server[0].requests + p->server[1].requests, 5);
        assert_int_equal(parts_info(p).in_flight, 0);
        p->is_resting = false;
        parts_read(p);
        parts_run(p, later(p, 30));
        parts_expect_whole(p);
        parts_close(p);
    }
}

static void test_little_memory_means_fewer_parts_in_flight(void **state)
{
    (void)state;
    weir_node_options node = {.size = sizeof node, .memory_bytes = 4 * MIB};
    EACH_FIDELITY(f)
    {
        struct parts *p = parts_open(*f, 2, 12 * MIB, 1 << 20, &node);
        weir_fetch_options options = parts_options(p);
        parts_fetch(p, &options);
        parts_run(p, later(p, 300));
        parts_expect_whole(p);
        options.part_bytes = 1 << 24;
        options.total_bytes = 100 * MIB;
        assert_int_equal(weir_fetch_open(p->nodes[1], PARTS_PROTOCOL, &options), WEIR_E_BUDGET);
        parts_close(p);
    }
}

static void test_a_rejected_part_comes_from_somebody_else(void **state)
{
    (void)state;
    EACH_FIDELITY(f)
    {
        struct parts *p = parts_open(*f, 2, 8 * 8192, 8192, NULL);
        weir_fetch_options options = parts_options(p);
        options.hashes = NULL;
        options.parts_in_flight = 1;
        p->is_checked = false;
        p->is_resting = true;
        p->server[0].mode = p->server[1].mode = PARTS_WRONG;
        parts_fetch(p, &options);
        assert_int_equal(weir_fetch_reject(p->nodes[1], p->fetch, 0), WEIR_E_ARGUMENT);
        parts_run(p, later(p, 1));
        assert_int_equal(p->server[0].requests + p->server[1].requests, 1);
        uint32_t wrong = p->server[0].requests == 1 ? 0 : 1;
        p->server[1 - wrong].mode = PARTS_GOOD;
        assert_true(parts_read_one(p));
        assert_int_equal(weir_fetch_reject(p->nodes[1], p->fetch, 1), WEIR_E_ARGUMENT);
        assert_int_equal(weir_fetch_reject(p->nodes[1], p->fetch, p->total), WEIR_E_ARGUMENT);
        assert_int_equal(weir_fetch_reject(p->nodes[1], p->fetch, 0), 0);
        assert_int_equal(weir_fetch_reject(p->nodes[1], p->fetch, 0), WEIR_E_ARGUMENT);
        p->server[wrong].mode = PARTS_GOOD;
        p->is_checked = true;
        p->is_resting = false;
        uint64_t other = p->server[1 - wrong].requests;
        parts_read(p);
        parts_run(p, later(p, 60));
        assert_int_equal(p->closed, 1);
        assert_int_equal(p->error, 0);
        assert_int_equal(p->got[0], 2);
        assert_true(p->server[1 - wrong].requests > other);
        assert_int_equal(parts_info(p).corrupt, 1);
        parts_close(p);
    }
}

/* The last part is rejected before the end was told: then it is not the end. */
static void test_rejecting_the_last_part_goes_on(void **state)
{
    (void)state;
    struct parts *p = parts_open(WEIR_FIDELITY_MESSAGE, 2, 8192, 8192, NULL);
    weir_fetch_options options = parts_options(p);
    p->is_resting = true;
    parts_fetch(p, &options);
    parts_run(p, later(p, 1));
    assert_true(parts_read_one(p));
    assert_int_equal(weir_fetch_reject(p->nodes[1], p->fetch, 0), 0);
    p->is_resting = false;
    parts_run(p, later(p, 10));
    assert_int_equal(p->closed, 1);
    assert_int_equal(p->error, 0);
    assert_int_equal(p->got[0], 2);
    parts_close(p);
}

static void test_a_fetch_without_peers_fails_after_a_grace(void **state)
{
    (void)state;
    EACH_FIDELITY(f)
    {
        struct parts *p = parts_open(*f, 2, 64 * 16384, 16384, NULL);
        weir_fetch_options options = parts_options(p);
        p->server[0].mode = p->server[1].mode = PARTS_REFUSE;
        parts_fetch(p, &options);
        parts_run(p, later(p, 4));
        assert_int_equal(p->closed, 0);
        assert_int_equal(parts_info(p).peers, 0);
        p->server[1].mode = PARTS_GOOD; /* and may be added again */
        assert_int_equal(weir_fetch_add(p->nodes[1], p->fetch, p->server[1].connection), 0);
        assert_int_equal(weir_fetch_add(p->nodes[1], p->fetch, p->server[1].connection),
                         WEIR_E_EXISTS);
        parts_run(p, later(p, 60));
        parts_expect_whole(p);
        p->closed = 0;
        p->server[1].mode = PARTS_REFUSE;
        uint64_t begun = parts_now(p);
        parts_fetch(p, &options);
        parts_run(p, later(p, 60));
        assert_int_equal(p->error, WEIR_E_UNREACHABLE);
        assert_int_equal(p->reason, 7);
        assert_in_range(p->closed_us - begun, 5 * PARTS_SECOND, 6 * PARTS_SECOND);
        parts_close(p);
    }
}

static void test_a_peer_that_does_not_serve_it_is_left_out(void **state)
{
    (void)state;
    EACH_FIDELITY(f)
    {
        struct parts *p = parts_open(*f, 2, 64 * 16384, 16384, NULL);
        weir_fetch_options options = parts_options(p);
        parts_must(weir_node_unserve(p->nodes[2], PARTS_PROTOCOL), "unserve");
        parts_fetch(p, &options);
        parts_run(p, later(p, 60));
        parts_expect_whole(p);
        assert_int_equal(p->server[0].requests, 0);
        assert_int_equal(p->server[1].requests, p->parts);
        parts_close(p);
    }
}

static void test_a_deadline_and_a_drain_end_it(void **state)
{
    (void)state;
    EACH_FIDELITY(f)
    {
        struct parts *p = parts_open(*f, 1, 64 * 16384, 16384, NULL);
        weir_fetch_options options = parts_options(p);
        p->server[0].mode = PARTS_SILENT;
        options.deadline_us = 3 * PARTS_SECOND;
        uint64_t begun = parts_now(p);
        parts_fetch(p, &options);
        parts_run(p, later(p, 60));
        assert_int_equal(p->error, WEIR_E_TIMEOUT);
        assert_int_equal(p->reason, WEIR_REASON_DEADLINE);
        assert_in_range(p->closed_us - begun, 3 * PARTS_SECOND, 3 * PARTS_SECOND + 1000);
        p->closed = 0;
        parts_fetch(p, &options);
        parts_run(p, later(p, 1));
        parts_must(weir_node_drain(p->nodes[1], 0, 0), "drain");
        parts_run(p, later(p, 10));
        assert_int_equal(p->closed, 1);
        assert_int_equal(p->error, WEIR_E_DRAINING);
        assert_int_equal(weir_fetch_open(p->nodes[1], PARTS_PROTOCOL, &options), WEIR_E_DRAINING);
        parts_close(p);
    }
}

static void test_a_cancelled_fetch_says_no_more(void **state)
{
    (void)state;
    EACH_FIDELITY(f)
    {
        struct parts *p = parts_open(*f, 2, 64 * 65536, 65536, NULL);
        weir_fetch_options options = parts_options(p);
        uint64_t handle;
        p->is_resting = true;
        parts_fetch(p, &options);
        parts_run(p, later(p, 1));
        assert_int_equal(weir_fetch_cancel(p->nodes[1], p->fetch), 0);
        handle = p->fetch;
        assert_int_equal(weir_fetch_cancel(p->nodes[1], handle), WEIR_E_STALE);
        p->told = 0;
        parts_run(p, later(p, 10));
        assert_int_equal(p->told + p->closed, 0);
        weir_connection_info info = {.size = sizeof info};
        parts_must(weir_connection_get_info(p->nodes[1], p->server[0].connection, &info), "info");
        assert_int_equal(info.streams_open, 0);
        parts_close(p);
    }
}

static void test_options_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct parts *p = parts_open(WEIR_FIDELITY_MESSAGE, 1, 65536, 4096, NULL);
    const weir_fetch_options good = parts_options(p);
    weir_fetch_options o = good;
    weir_node *node = p->nodes[1];
    o.total_bytes = 0;
    assert_int_equal(weir_fetch_open(node, PARTS_PROTOCOL, &o), WEIR_E_ARGUMENT);
    o = good, o.part_bytes = 1023;
    assert_int_equal(weir_fetch_open(node, PARTS_PROTOCOL, &o), WEIR_E_ARGUMENT);
    o = good, o.part_bytes = (1 << 24) + 1;
    assert_int_equal(weir_fetch_open(node, PARTS_PROTOCOL, &o), WEIR_E_ARGUMENT);
    o = good, o.data_len = 1025;
    assert_int_equal(weir_fetch_open(node, PARTS_PROTOCOL, &o), WEIR_E_ARGUMENT);
    o = good, o.total_bytes = UINT64_MAX;
    assert_int_equal(weir_fetch_open(node, PARTS_PROTOCOL, &o), WEIR_E_ARGUMENT);
    o = good, o.total_bytes = UINT64_C(1) << 40;
    assert_int_equal(weir_fetch_open(node, PARTS_PROTOCOL, &o), WEIR_E_LIMIT);
    assert_int_equal(weir_fetch_open(node, "with space", &good), WEIR_E_NAME);
    int64_t fetch[64];
    uint32_t count = 0;
    while (count < 64 && (fetch[count] = weir_fetch_open(node, PARTS_PROTOCOL, &good)) > 0) count++;
    assert_int_equal(count, 16);
    assert_int_equal(fetch[16], WEIR_E_LIMIT);
    assert_int_equal(weir_fetch_cancel(node, (uint64_t)fetch[3]), 0);
    assert_true(weir_fetch_open(node, PARTS_PROTOCOL, &good) > 0);
    uint64_t at;
    uint8_t byte;
    assert_int_equal(weir_fetch_read(node, (uint64_t)fetch[0], &at, &byte, 1), WEIR_E_NOT_FOUND);
    assert_int_equal(weir_fetch_add(node, (uint64_t)fetch[0], 0), WEIR_E_STALE);
    assert_int_equal(weir_fetch_add(node, (uint64_t)fetch[0], (uint64_t)fetch[1]), WEIR_E_KIND);
    parts_close(p);
}

/* The same over what weir_node_serve makes of requests. */
static void on_request(struct parts *p, const weir_event *e, uint64_t *answering, uint64_t *left)
{
    static uint8_t bytes[65536];
    weir_node *node = p->nodes[2];
    uint8_t head[64];
    if (e->kind == WEIR_EVENT_REQUEST) {
        int64_t n = weir_message_read(node, e->object, head, sizeof head);
        parts_must(n, "weir_message_read");
        struct reader r = reader_of(head, (size_t)n);
        uint64_t offset = reader_varint(&r), len = reader_varint(&r);
        assert_true(!r.failed && len <= sizeof bytes && offset + len <= p->total);
        parts_content(p, offset, bytes, (size_t)len);
        n = weir_request_respond(node, e->object, bytes, (uint32_t)len, 0);
        assert_int_equal(n, len); /* eight parts fit into the first windows */
        ++*answering;
    } else if (e->kind == WEIR_EVENT_REQUEST_CLOSED) {
        assert_int_equal(e->error, 0);
        ++*left;
    }
}

static void test_parts_are_requests_to_the_peers(void **state)
{
    (void)state;
    EACH_FIDELITY(f)
    {
        struct parts *p = parts_open(*f, 1, 64 * 16384, 16384, NULL);
        weir_serve_options serve = {.size = sizeof serve, .kinds = WEIR_KIND_REQUEST};
        weir_fetch_options options = parts_options(p);
        weir_event events[64];
        uint64_t answered = 0, closed = 0, until_us = later(p, 60);
        parts_must(weir_node_unserve(p->nodes[2], PARTS_PROTOCOL), "unserve");
        parts_must(weir_node_serve(p->nodes[2], PARTS_PROTOCOL, &serve), "serve");
        parts_fetch(p, &options);
        while (parts_now(p) < until_us && (p->closed == 0 || closed < answered)) {
            parts_must(weir_world_run(p->world, until_us), "run");
            int64_t n = weir_world_poll(p->world, 0, events, 64);
            for (int64_t i = 0; i < n; i++) {
                if (events[i].node == 2)
                    on_request(p, &events[i], &answered, &closed);
                else
                    parts_on_client_event(p, &events[i]);
            }
        }
        parts_expect_whole(p);
        assert_int_equal(answered, p->parts);
        assert_int_equal(closed, p->parts);
        parts_close(p);
    }
}

/* Busy by the queue of the server: everything comes in the end. */
static void test_a_busy_server_is_asked_again(void **state)
{
    (void)state;
    EACH_FIDELITY(f)
    {
        struct parts *p = parts_open(*f, 1, 16 * 32768, 32768, NULL);
        weir_fetch_options options = parts_options(p);
        p->server[0].mode = PARTS_BUSY;
        p->server[0].hint_us = 300000;
        parts_fetch(p, &options);
        parts_run(p, later(p, 2));
        p->server[0].mode = PARTS_GOOD;
        assert_in_range(p->server[0].requests, 8, 16);
        parts_run(p, later(p, 60));
        parts_expect_whole(p);
        parts_close(p);
    }
}

/* The client's line carries 100 Mbit/s, shared by all; so does each server's. */
static void set_lines(struct parts *p)
{
    const struct rule_extra shared = {.bottleneck = 1};
    weir_link_options link = {.size = sizeof link,
                              .delay_us_plus1 = 20001,
                              .bandwidth_bps = 100000000,
                              .queue_bytes = 1 << 18,
                              .one_way = 1};
    for (uint32_t i = 0; i < p->servers; i++) {
        struct world *world = (struct world *)(void *)p->world;
        parts_must(world_link_extra(world, i + 2, 1, &link, &shared), "link");
        parts_must(world_link_extra(world, 1, i + 2, &link, NULL), "link");
    }
}

static uint64_t time_of(enum parts_mode mode, uint64_t stall_after, weir_fetch_info *info)
{
    struct parts *p = parts_open(WEIR_FIDELITY_PACKET, 3, 50 * MIB, 1 << 20, NULL);
    weir_fetch_options options = parts_options(p);
    set_lines(p);
    p->server[0].mode = mode;
    p->server[0].stall_after = stall_after;
    uint64_t begun = parts_now(p);
    parts_fetch(p, &options);
    parts_run(p, later(p, 120));
    parts_expect_whole(p);
    *info = parts_info(p);
    uint64_t took = p->closed_us - begun;
    print_message("50 MiB: %llu us, %llu doubled, %llu retried; asked %llu %llu %llu\n",
                  (unsigned long long)took, (unsigned long long)info->doubled,
                  (unsigned long long)info->retried, (unsigned long long)p->server[0].requests,
                  (unsigned long long)p->server[1].requests,
                  (unsigned long long)p->server[2].requests);
    parts_close(p);
    return took;
}

static void test_a_peer_that_stalls_costs_at_most_15_percent(void **state)
{
    (void)state;
    weir_fetch_info info;
    uint64_t smooth = time_of(PARTS_GOOD, 0, &info);
    /* The line alone needs 4.2 s. */
    assert_true(smooth < 5 * PARTS_SECOND);
    uint64_t stalled = time_of(PARTS_STALL, 50 * MIB / 9, &info);
    print_message("with a stall: %llu permille\n", (unsigned long long)(stalled * 1000 / smooth));
    assert_true(stalled * 100 <= smooth * 115);
    uint64_t silent = time_of(PARTS_SILENT, 0, &info);
    print_message("with one silent from the start: %llu permille\n",
                  (unsigned long long)(silent * 1000 / smooth));
    assert_true(silent * 100 <= smooth * 115);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_part_comes_once_and_the_end_comes_last),
        cmocka_unit_test(test_what_is_there_already_is_not_asked_for),
        cmocka_unit_test(test_an_application_that_does_not_read_stops_the_fetch),
        cmocka_unit_test(test_little_memory_means_fewer_parts_in_flight),
        cmocka_unit_test(test_a_rejected_part_comes_from_somebody_else),
        cmocka_unit_test(test_rejecting_the_last_part_goes_on),
        cmocka_unit_test(test_a_fetch_without_peers_fails_after_a_grace),
        cmocka_unit_test(test_a_peer_that_does_not_serve_it_is_left_out),
        cmocka_unit_test(test_a_deadline_and_a_drain_end_it),
        cmocka_unit_test(test_a_cancelled_fetch_says_no_more),
        cmocka_unit_test(test_options_that_cannot_be_are_refused),
        cmocka_unit_test(test_parts_are_requests_to_the_peers),
        cmocka_unit_test(test_a_busy_server_is_asked_again),
        cmocka_unit_test(test_a_peer_that_stalls_costs_at_most_15_percent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
