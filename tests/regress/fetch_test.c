/* SPDX-License-Identifier: MIT */
/* Goal: no peer of a fetch can spoil it, fill its memory or keep it busy: whatever one of them
 * sends, the others bring the thing, and a fetch that only has such peers ends. Method: a world in
 * which one server or all of them are hostile (sim/parts.h); requests, memory and time are bounded.
 */
#include "sim/parts.h"
#include "node/node.h"
#include <stdio.h>

enum { PART = 16384, COUNT = 64, TOTAL = PART * COUNT };
static const uint32_t fidelities[] = {WEIR_FIDELITY_PACKET, WEIR_FIDELITY_MESSAGE};

static const struct {
    const char *name;
    enum parts_mode mode;
    uint64_t hint_us;
    uint32_t requests_max; /* that it gets while another peer is good */
    bool is_corrupt;       /* counted as wrong */
    int32_t alone;         /* how a fetch of such peers alone ends */
} hostile[] = {
    {"silent", PARTS_SILENT, 0, 8, false, WEIR_E_UNREACHABLE},
    {"endless", PARTS_ENDLESS, 0, 8, true, WEIR_E_UNREACHABLE},
    {"short", PARTS_SHORT, 0, 8, true, WEIR_E_UNREACHABLE},
    {"wrong", PARTS_WRONG, 0, 8, true, WEIR_E_UNREACHABLE},
    {"a byte per second", PARTS_DRIP, 0, 8, false, WEIR_E_TIMEOUT},
    {"busy for nothing", PARTS_BUSY, 1, 32, false, WEIR_E_TIMEOUT},
    {"busy for ever", PARTS_BUSY, UINT64_C(0x3fffffffffffffff), 8, false, WEIR_E_TIMEOUT},
    {"refusing", PARTS_REFUSE, 0, 8, false, WEIR_E_UNREACHABLE},
    {"garbage", PARTS_GARBAGE, 0, 8, false, WEIR_E_UNREACHABLE},
    {"torn", PARTS_TORN, 0, 8, false, WEIR_E_UNREACHABLE},
    {"empty", PARTS_EMPTY, 0, 8, false, WEIR_E_UNREACHABLE},
    {"resetting", PARTS_RESET, 0, 8, false, WEIR_E_UNREACHABLE},
    {"stopping", PARTS_STOP, 0, 8, false, WEIR_E_UNREACHABLE},
};
enum { HOSTILE = sizeof hostile / sizeof hostile[0] };

/* What the node that fetches holds, in bytes. */
static uint64_t memory_of(const struct parts *p)
{
    return node_memory_used((const struct node *)(const void *)p->nodes[1]);
}

static void one_of_three(uint32_t fidelity, unsigned i)
{
    struct parts *p = parts_open(fidelity, 3, TOTAL, PART, NULL);
    weir_fetch_options options = parts_options(p);
    p->server[0].mode = hostile[i].mode;
    p->server[0].hint_us = hostile[i].hint_us;
    uint64_t begun_us = parts_now(p), memory = memory_of(p);
    parts_fetch(p, &options);
    parts_run(p, begun_us + 60 * PARTS_SECOND);
    weir_fetch_info info = parts_info(p);
    print_message("%s: %llu ms, asked %llu, retried %llu, doubled %llu, corrupt %llu\n",
                  hostile[i].name, (unsigned long long)(p->closed_us - begun_us) / 1000,
                  (unsigned long long)p->server[0].requests, (unsigned long long)info.retried,
                  (unsigned long long)info.doubled, (unsigned long long)info.corrupt);
    parts_expect_whole(p);
    /* Without the hostile one it takes less than half a second. */
    assert_true(p->closed_us - begun_us < 3 * PARTS_SECOND);
    assert_true(p->server[0].requests <= hostile[i].requests_max);
    assert_int_equal(info.corrupt > 0, hostile[i].is_corrupt);
    p->closed = 0;
    parts_run(p, parts_now(p) + 2 * PARTS_SECOND);
    assert_true(memory_of(p) <= memory + 3 * (1 << 18)); /* lanes that rest keep a buffer */
    parts_close(p);
}

static void test_one_hostile_peer_of_three_spoils_nothing(void **state)
{
    (void)state;
    for (unsigned f = 0; f < 2; f++) {
        for (unsigned i = 0; i < HOSTILE; i++) one_of_three(fidelities[f], i);
    }
}

static void all_of_two(uint32_t fidelity, unsigned i)
{
    struct parts *p = parts_open(fidelity, 2, TOTAL, PART, NULL);
    weir_fetch_options options = parts_options(p);
    options.deadline_us = 120 * PARTS_SECOND;
    for (unsigned j = 0; j < 2; j++) {
        p->server[j].mode = hostile[i].mode;
        p->server[j].hint_us = hostile[i].hint_us;
    }
    uint64_t begun_us = parts_now(p);
    parts_fetch(p, &options);
    parts_run(p, begun_us + 200 * PARTS_SECOND);
    uint64_t requests = p->server[0].requests + p->server[1].requests;
    print_message("all %s: %s after %llu ms, asked %llu\n", hostile[i].name,
                  weir_error_name(p->error), (unsigned long long)(p->closed_us - begun_us) / 1000,
                  (unsigned long long)requests);
    assert_int_equal(p->closed, 1);
    assert_int_equal(p->error, hostile[i].alone);
    assert_int_equal(p->read, 0);
    assert_true(requests <= 300);
    assert_true(p->closed_us - begun_us <= 121 * PARTS_SECOND);
    parts_close(p);
}

static void test_a_fetch_of_hostile_peers_alone_ends(void **state)
{
    (void)state;
    for (unsigned f = 0; f < 2; f++) {
        for (unsigned i = 0; i < HOSTILE; i++) all_of_two(fidelities[f], i);
    }
}

/* Without hashes the length is all that can be checked, and it is. */
static void test_lengths_are_checked_without_hashes(void **state)
{
    (void)state;
    const enum parts_mode modes[] = {PARTS_ENDLESS, PARTS_SHORT};
    for (unsigned i = 0; i < 4; i++) {
        struct parts *p = parts_open(fidelities[i % 2], 2, TOTAL, PART, NULL);
        weir_fetch_options options = parts_options(p);
        options.hashes = NULL;
        p->server[1].mode = modes[i / 2];
        parts_fetch(p, &options);
        parts_run(p, parts_now(p) + 60 * PARTS_SECOND);
        parts_expect_whole(p);
        assert_true(parts_info(p).corrupt > 0);
        parts_close(p);
    }
}

static void test_connections_that_die_lose_their_parts_to_the_others(void **state)
{
    (void)state;
    for (unsigned f = 0; f < 2; f++) {
        struct parts *p = parts_open(fidelities[f], 3, TOTAL, PART, NULL);
        weir_fetch_options options = parts_options(p);
        p->server[0].mode = p->server[1].mode = PARTS_SILENT;
        parts_fetch(p, &options);
        parts_run(p, parts_now(p) + 30000);
        assert_true(p->read < COUNT);
        /* One is closed by this side, the other by the peer. */
        parts_must(weir_connection_close(p->nodes[1], p->server[0].connection, 0, NULL), "close");
        parts_must(weir_node_close(p->nodes[3]), "close");
        parts_run(p, parts_now(p) + 60 * PARTS_SECOND);
        parts_expect_whole(p);
        assert_int_equal(weir_fetch_add(p->nodes[1], p->fetch, p->server[0].connection),
                         WEIR_E_STALE);
        parts_close(p);
    }
}

static void test_the_last_connection_that_dies_ends_the_fetch(void **state)
{
    (void)state;
    for (unsigned f = 0; f < 2; f++) {
        struct parts *p = parts_open(fidelities[f], 1, TOTAL, PART, NULL);
        weir_fetch_options options = parts_options(p);
        p->server[0].mode = PARTS_SILENT;
        parts_fetch(p, &options);
        parts_run(p, parts_now(p) + PARTS_SECOND);
        parts_must(weir_connection_close(p->nodes[1], p->server[0].connection, 0, NULL), "close");
        uint64_t closed_us = parts_now(p);
        parts_run(p, parts_now(p) + 60 * PARTS_SECOND);
        assert_int_equal(p->error, WEIR_E_UNREACHABLE);
        assert_in_range(p->closed_us - closed_us, 5 * PARTS_SECOND, 5 * PARTS_SECOND + 1000);
        parts_close(p);
    }
}

/* What was read may be found to be wrong long after who gave it is gone: who is gone is not let go
 * a second time, for somebody else may hold that peer. */
static void test_rejecting_parts_of_a_peer_that_is_gone_lets_nobody_go(void **state)
{
    (void)state;
    struct parts *p = parts_open(WEIR_FIDELITY_PACKET, 2, TOTAL, PART, NULL);
    weir_fetch_options options = parts_options(p);
    weir_connection_info info = {.size = sizeof info};
    uint32_t rejected = 0;
    parts_must(weir_connection_get_info(p->nodes[1], p->server[0].connection, &info), "info");
    parts_must(weir_peer_hold(p->nodes[1], &info.peer), "hold");
    p->server[0].mode = PARTS_STALL;
    p->server[0].stall_after = TOTAL / 2;
    p->server[1].mode = PARTS_SILENT;
    parts_fetch(p, &options);
    parts_run(p, parts_now(p) + 300000);
    assert_in_range(p->read, 4, COUNT - 1);
    parts_must(weir_connection_close(p->nodes[1], p->server[0].connection, 0, NULL), "close");
    parts_run(p, parts_now(p) + 10000);
    for (uint64_t i = 0; i < COUNT && rejected < 4; i++) {
        if (p->got[i] == 0) continue;
        parts_must(weir_fetch_reject(p->nodes[1], p->fetch, i * PART), "reject");
        rejected++;
    }
    assert_int_equal(rejected, 4);
    assert_int_equal(weir_peer_release(p->nodes[1], &info.peer), 0);
    assert_int_equal(weir_peer_release(p->nodes[1], &info.peer), WEIR_E_STATE);
    parts_close(p);
}

/* A node that is closed in the middle of everything, and one whose fetches are never read. */
static void test_a_node_may_be_closed_at_any_moment(void **state)
{
    (void)state;
    for (unsigned f = 0; f < 2; f++) {
        for (uint64_t wait_us = 1000; wait_us < 400000; wait_us *= 2) {
            struct parts *p = parts_open(fidelities[f], 3, TOTAL, PART, NULL);
            weir_fetch_options options = parts_options(p);
            p->server[0].mode = PARTS_SILENT;
            p->is_resting = wait_us % 3 == 0;
            parts_fetch(p, &options);
            parts_run(p, parts_now(p) + wait_us);
            parts_must(weir_node_close(p->nodes[1]), "close");
            parts_close(p);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_hostile_peer_of_three_spoils_nothing),
        cmocka_unit_test(test_a_fetch_of_hostile_peers_alone_ends),
        cmocka_unit_test(test_lengths_are_checked_without_hashes),
        cmocka_unit_test(test_connections_that_die_lose_their_parts_to_the_others),
        cmocka_unit_test(test_the_last_connection_that_dies_ends_the_fetch),
        cmocka_unit_test(test_rejecting_parts_of_a_peer_that_is_gone_lets_nobody_go),
        cmocka_unit_test(test_a_node_may_be_closed_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
