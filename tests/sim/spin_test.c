/* SPDX-License-Identifier: MIT */
/* Goal: no sequence of calls, right or wrong, breaks a node, and each call answers with what weir.h
 * says of it. Method: a seeded stream of random calls on three nodes of a lossy world, with
 * handles that are valid, stale, of another node, of another kind or invented. A model knows which
 * objects each application was told of: every event is about one of them, ends come once and last,
 * a parent's end after its children's, and what ended is readable until the next turn and stale
 * after it. Then everything is closed and the memory must be back. */
#include "sim/spin.h"
#include "node/state.h"
#include <stdio.h>
#include <stdlib.h>

static const weir_peer_id *some_peer(struct spinner *s)
{
    return &s->peers[below(s, 10) == 0 ? below(s, PEERS) : below(s, NODES)];
}

static const char *some_name(struct spinner *s)
{
    static const char *const names[] = {SIM_PROTOCOL, SIM_PROTOCOL,     SIM_PROTOCOL, SIM_PROTOCOL,
                                        "other",      "third",          "weir/x",     "no name",
                                        "",           "weir/observed/1"};

    return names[below(s, 10)];
}

static void call_dial(struct spinner *s, uint32_t i)
{
    weir_dial_options o = {.size = sizeof o};
    weir_node *n = s->sim.nodes[i];
    int64_t handle;

    if (below(s, 4) == 0) o.timeout_us = 1 + below(s, 2000000);
    if (below(s, 40) == 0) o.size = below(s, sizeof o);
    if (below(s, 3) == 0) {
        handle = ALLOW(weir_peer_dial(n, some_peer(s), &o), WEIR_E_PEER_ID, WEIR_E_LIMIT,
                       WEIR_E_REFUSED, WEIR_E_NOT_FOUND, WEIR_E_SIZE, WEIR_E_BUDGET);
    } else {
        handle =
            ALLOW(weir_node_dial(n, s->addresses[below(s, 8)], &o), WEIR_E_ADDRESS, WEIR_E_PEER_ID,
                  WEIR_E_LIMIT, WEIR_E_REFUSED, WEIR_E_NOT_FOUND, WEIR_E_SIZE, WEIR_E_BUDGET);
    }
    (void)thing_note(s, i, handle, CONNECTION, 0);
}

static void call_connection(struct spinner *s, uint32_t i)
{
    weir_connection_info info = {.size = sizeof info};
    char text[200];
    weir_node *n = s->sim.nodes[i];
    uint64_t h = some_handle(s, i, CONNECTION);
    uint32_t cap = below(s, sizeof text);

    switch (below(s, 8)) {
    case 0:
    case 1: call_dial(s, i); break;
    case 2:
        if (below(s, 8) == 0)
            (void)ALLOW(weir_connection_close(n, h, some_reason(s), "spun"), GONE, WEIR_E_ARGUMENT);
        break;
    case 3: (void)ALLOW(weir_connection_set_user(n, h, h), GONE); break;
    case 4:
        (void)ALLOW(weir_connection_report(n, h, text, cap), GONE, WEIR_E_NOT_FOUND, WEIR_E_SPACE);
        break;
    case 5:
        (void)ALLOW(weir_connection_observed(n, h, text, cap), GONE, WEIR_E_NOT_FOUND,
                    WEIR_E_SPACE);
        break;
    default: (void)ALLOW(weir_connection_get_info(n, h, &info), GONE); assert_true(info.state <= 2);
    }
}

static void call_open(struct spinner *s, uint32_t i)
{
    weir_stream_options o = {.size = sizeof o, .urgency_plus1 = below(s, 9)};
    uint64_t h = some_handle(s, i, CONNECTION);

    if (below(s, 3) == 0) o.flags = WEIR_ONE_WAY;
    if (below(s, 50) == 0) o.flags = 8;
    int64_t handle =
        ALLOW(weir_stream_open(s->sim.nodes[i], h, some_name(s), &o), WEIR_E_NOT_CONNECTED,
              WEIR_E_LIMIT, WEIR_E_BUDGET, WEIR_E_NAME, GONE, WEIR_E_ARGUMENT);
    (void)thing_note(s, i, handle, STREAM, h);
}

static void call_write(struct spinner *s, uint32_t i, uint64_t h)
{
    static const uint8_t bytes[BYTES_MAX];
    uint32_t len = below(s, 3) == 0 ? below(s, BYTES_MAX) : below(s, 50);
    uint32_t flags = below(s, 4) == 0 ? below(s, 5) : 0;
    int64_t taken =
        ALLOW(weir_stream_write(s->sim.nodes[i], h, bytes, len, flags), GONE, WEIR_E_FINISHED,
              WEIR_E_STOPPED, WEIR_E_ONE_WAY, WEIR_E_NOT_CONNECTED, WEIR_E_ARGUMENT);

    assert_true(taken <= len);
}

static void call_read(struct spinner *s, uint32_t i, uint64_t h)
{
    uint8_t bytes[2000];
    const void *data = bytes;
    weir_node *n = s->sim.nodes[i];
    uint32_t cap = below(s, sizeof bytes);
    int64_t count;

    if (below(s, 2) == 0) {
        count = ALLOW(weir_stream_read(n, h, bytes, cap), GONE, WEIR_E_END, WEIR_E_RESET,
                      WEIR_E_STOPPED, WEIR_E_ONE_WAY);
        assert_true(count <= cap);
        return;
    }
    count = ALLOW(weir_stream_peek(n, h, &data), GONE, WEIR_E_END, WEIR_E_RESET, WEIR_E_STOPPED,
                  WEIR_E_ONE_WAY);
    if (count <= 0) return;
    memcpy(bytes, data, (size_t)count < sizeof bytes ? (size_t)count : sizeof bytes);
    assert_int_equal(weir_stream_consume(n, h, (uint64_t)count), 0);
    (void)ALLOW(weir_stream_consume(n, h, rng_u64(&s->rng)), WEIR_E_ARGUMENT);
}

static void call_datagram(struct spinner *s, uint32_t i, uint64_t h)
{
    static const uint8_t bytes[2000];
    uint8_t room[64];
    weir_node *n = s->sim.nodes[i];
    uint32_t len = below(s, 3) == 0 ? below(s, sizeof bytes) : below(s, 60);

    (void)ALLOW(weir_datagram_send(n, h, bytes, len), GONE, WEIR_E_ARGUMENT, WEIR_E_LIMIT,
                WEIR_E_BUDGET, WEIR_E_NOT_CONNECTED, WEIR_E_UNSUPPORTED);
    (void)ALLOW(weir_datagram_read(n, h, room, below(s, sizeof room)), GONE, WEIR_E_NOT_FOUND,
                WEIR_E_SPACE);
}

static void call_stream(struct spinner *s, uint32_t i)
{
    weir_stream_info info = {.size = sizeof info};
    weir_node *n = s->sim.nodes[i];
    uint64_t h = some_handle(s, i, STREAM);
    uint32_t roll = below(s, 15);

    /* Requests take some of these calls, and answer otherwise: spin_built.c. */
    if (handle_kind(h) == HANDLE_REQUEST) return;
    /* Lanes shall live for a while. */
    if (roll >= 4 && roll <= 6 && below(s, 4) != 0) roll = 12;
    switch (roll) {
    case 0:
    case 1:
    case 2: call_open(s, i); break;
    case 3: (void)ALLOW(weir_stream_flush(n, h), GONE); break;
    case 4: (void)ALLOW(weir_stream_finish(n, h), GONE, WEIR_E_ONE_WAY); break;
    case 5:
        (void)ALLOW(weir_stream_reset(n, h, some_reason(s)), GONE, WEIR_E_ONE_WAY, WEIR_E_ARGUMENT);
        break;
    case 6:
        (void)ALLOW(weir_stream_stop(n, h, some_reason(s)), GONE, WEIR_E_ONE_WAY, WEIR_E_ARGUMENT);
        break;
    case 7: (void)ALLOW(weir_stream_set_urgency(n, h, below(s, 9)), GONE, WEIR_E_ARGUMENT); break;
    case 8: (void)ALLOW(weir_stream_set_user(n, h, h), GONE); break;
    case 9:
        (void)ALLOW(weir_stream_get_info(n, h, &info), GONE);
        assert_true(info.bytes_acknowledged <= info.bytes_written);
        break;
    case 10:
    case 11: call_read(s, i, h); break;
    case 14: call_datagram(s, i, h); break;
    default: call_write(s, i, h);
    }
}

static void call_access(struct spinner *s, uint32_t i)
{
    weir_node *n = s->sim.nodes[i];
    const weir_peer_id *peer = some_peer(s);

    (void)ALLOW(weir_peer_access(n, peer, below(s, 4)), WEIR_E_ARGUMENT, WEIR_E_PEER_ID,
                WEIR_E_LIMIT);
    if (below(s, 10) != 0) (void)weir_peer_access(n, peer, WEIR_ACCESS_DEFAULT);
    (void)ALLOW(weir_network_access(n, below(s, 2) == 0 ? "" : "red", below(s, 4)), WEIR_E_ARGUMENT,
                WEIR_E_NAME, WEIR_E_LIMIT);
    if (below(s, 10) != 0) (void)weir_network_access(n, "", WEIR_ACCESS_DEFAULT);
}

static void call_peer(struct spinner *s, uint32_t i)
{
    weir_peer_info infos[4] = {{.size = sizeof infos[0]}};
    char text[300];
    weir_node *n = s->sim.nodes[i];
    const weir_peer_id *peer = some_peer(s);
    uint32_t cap = below(s, 5);

    switch (below(s, 9)) {
    case 0: assert_true(weir_peer_list(n, cap == 0 ? NULL : infos, cap) <= PEERS); break;
    case 6:
        (void)ALLOW(weir_peer_hear(n, peer, s->addresses[below(s, 8)], some_peer(s)),
                    WEIR_E_PEER_ID, WEIR_E_ADDRESS, WEIR_E_LIMIT, WEIR_E_BUDGET);
        break;
    case 1: (void)ALLOW(weir_peer_hold(n, peer), WEIR_E_PEER_ID, WEIR_E_LIMIT); break;
    case 2: (void)ALLOW(weir_peer_release(n, peer), WEIR_E_PEER_ID, WEIR_E_STATE); break;
    case 3:
        (void)ALLOW(weir_peer_add_address(n, peer, s->addresses[below(s, 8)]), WEIR_E_PEER_ID,
                    WEIR_E_ADDRESS, WEIR_E_LIMIT, WEIR_E_BUDGET);
        break;
    case 4:
        (void)ALLOW(weir_peer_address(n, peer, cap, text, below(s, sizeof text)), WEIR_E_PEER_ID,
                    WEIR_E_NOT_FOUND, WEIR_E_SPACE);
        break;
    case 5:
        if (below(s, 8) == 0) call_access(s, i);
        break;
    default: (void)ALLOW(weir_peer_get_info(n, peer, infos), WEIR_E_PEER_ID, WEIR_E_NOT_FOUND);
    }
}

static void call_node(struct spinner *s, uint32_t i)
{
    weir_node_statistics totals = {.size = sizeof totals};
    weir_error error = {.size = sizeof error};
    weir_log_line lines[3];
    weir_event event;
    char text[300];
    weir_node *n = s->sim.nodes[i];
    uint32_t cap = below(s, sizeof text);

    switch (below(s, 13)) {
    case 0:
        (void)ALLOW(weir_node_address(n, below(s, 2), text, cap), WEIR_E_NOT_FOUND, WEIR_E_SPACE);
        break;
    case 1:
        (void)ALLOW(weir_node_invitation(n, 0, text, cap), WEIR_E_NOT_FOUND, WEIR_E_SPACE);
        break;
    case 2:
        (void)ALLOW(weir_node_serve(n, some_name(s), NULL), WEIR_E_NAME, WEIR_E_EXISTS,
                    WEIR_E_STATE, WEIR_E_BUDGET);
        break;
    case 3:
        if (below(s, 4) == 0) (void)ALLOW(weir_node_unserve(n, some_name(s)), WEIR_E_NOT_FOUND);
        break;
    case 4: assert_int_equal(weir_node_poll(n, &event, 1, 0), WEIR_E_STATE); break;
    case 5: assert_int_equal(weir_node_fd(n), WEIR_E_STATE); break;
    case 6: assert_int_equal(weir_node_free(n), WEIR_E_STATE); break;
    case 7: assert_true(weir_node_log(n, lines, below(s, 4)) <= 3); break;
    case 8: (void)ALLOW(weir_node_log_level(n, below(s, 7)), WEIR_E_ARGUMENT); break;
    case 9: (void)ALLOW(weir_node_listen(n, "10.0.0.9:0"), WEIR_E_ADDRESS); break;
    case 10:
        assert_int_equal(weir_last_error(n, &error), 0);
        assert_true(error.code <= 0 && strlen(error.detail) < sizeof error.detail);
        break;
    case 11: assert_int_equal(weir_node_network_changed(n), 0); break;
    default:
        assert_int_equal(weir_node_get_statistics(n, &totals), 0);
        assert_true(totals.memory_bytes <= totals.memory_max_bytes);
        assert_int_equal(weir_node_now(n), sim_now(&s->sim));
    }
}

static void open_nodes(struct spinner *s, uint64_t seed, uint32_t fidelity)
{
    weir_node_options options = {.size = sizeof options,
                                 .memory_bytes = 1 << 20,
                                 .streams_max = 4,
                                 .stream_window_bytes = 4096};
    weir_link_options link = {.size = sizeof link,
                              .loss_ppm = 50000,
                              .duplicate_ppm = 20000,
                              .reorder_ppm = 20000,
                              .reorder_us = 30000,
                              .corrupt_ppm = 10000};
    uint8_t key[WEIR_KEY_BYTES];
    uint32_t i;

    memset(s, 0, sizeof *s);
    rng_init(&s->rng, seed, "spin", 0);
    rig_open(&s->sim, mem_system(), seed, fidelity);
    for (i = 1; i <= NODES; i++) {
        mem_counter_init(&s->heaps[i], mem_system());
        (void)rig_add(&s->sim, &options, &s->heaps[i].mem);
        assert_int_equal(weir_node_peer(s->sim.nodes[i], &s->peers[i - 1]), 0);
        assert_true(weir_node_address(s->sim.nodes[i], 0, s->addresses[i], 512) > 0);
    }
    for (i = NODES; i < PEERS - 1; i++) {
        assert_int_equal(weir_key_generate(key, NULL), 0);
        assert_int_equal(weir_key_peer(key, &s->peers[i]), 0);
    }
    s->peers[PEERS - 1].len = 60;
    (void)snprintf(s->addresses[0], 512, "n2:4001,n2:4002");
    (void)snprintf(s->addresses[4], 512, "10.0.0.1:4001");
    (void)snprintf(s->addresses[5], 512, "10.0.0.77:4001,10.0.0.3:4001");
    (void)snprintf(s->addresses[6], 512, "nobody:4001");
    (void)snprintf(s->addresses[7], 512, "10.0.0.1");
    sim_link(&s->sim, &link);
    built_open(s);
}

static void calls(struct spinner *s, uint32_t count)
{
    static const uint64_t spans_us[] = {0, 100, 1000, 5000, 20000, 50000, 200000, 2000000};
    uint32_t k;

    for (k = 0; k < count; k++) {
        uint32_t node = 1 + below(s, NODES), roll = below(s, 24);

        if (s->is_short && below(s, 50) == 0) s->heaps[node].fail_at = 1 + below(s, 10);
        if (roll < 8) {
            call_stream(s, node);
        } else if (roll < 12) {
            call_connection(s, node);
        } else if (roll < 14) {
            call_peer(s, node);
        } else if (roll < 16) {
            call_node(s, node);
        } else {
            built_call(s, node);
        }
        if (below(s, 4) == 0) spin_turn(s, spans_us[below(s, below(s, 20) == 0 ? 8 : 7)]);
    }
}

/* Close whatever there is, then wait until the last trace of it is gone. */
static void quieten(struct spinner *s)
{
    uint64_t until_us = sim_now(&s->sim) + 200 * SIM_SECOND;
    uint32_t node, i;

    for (node = 1; node <= NODES; node++) {
        weir_node *n = s->sim.nodes[node];

        s->heaps[node].fail_at = 0;
        for (i = 0; i < PEERS; i++) {
            while (weir_peer_release(n, &s->peers[i]) == 0) continue;
            (void)weir_peer_access(n, &s->peers[i], WEIR_ACCESS_DEFAULT);
        }
        (void)weir_network_access(n, "", WEIR_ACCESS_DEFAULT);
        (void)weir_network_access(n, "red", WEIR_ACCESS_DEFAULT);
    }
    while (sim_now(&s->sim) < until_us) {
        for (node = 1; node <= NODES; node++) {
            built_quieten(s, node);
            for (i = 0; i < s->count[node]; i++) {
                const struct thing *t = &s->things[node][i];

                if (t->kind == CONNECTION && !t->is_over)
                    (void)weir_connection_close(s->sim.nodes[node], t->handle, 1, NULL);
            }
        }
        spin_turn(s, SIM_SECOND);
    }
}

static uint64_t check_quiet(struct spinner *s)
{
    weir_node_statistics totals = {.size = sizeof totals};
    uint64_t live = 0;
    uint32_t node;

    for (node = 1; node <= NODES; node++) {
        assert_int_equal(weir_node_get_statistics(s->sim.nodes[node], &totals), 0);
        assert_int_equal(totals.connections_open, 0);
        assert_int_equal(totals.streams_open, 0);
        assert_int_equal(totals.peers_connected, 0);
        assert_int_equal(weir_peer_list(s->sim.nodes[node], NULL, 0), 0);
        assert_int_equal(s->count[node], 0);
        live += s->heaps[node].live_bytes;
    }
    return live;
}

static void spin(uint64_t seed, uint32_t fidelity)
{
    static struct spinner s;
    uint64_t first, second;
    uint32_t node, i;

    open_nodes(&s, seed, fidelity);
    s.is_short = seed % 2 == 0;
    calls(&s, CALLS / 2);
    quieten(&s);
    first = check_quiet(&s);
    calls(&s, CALLS / 2);
    quieten(&s);
    second = check_quiet(&s);
    print_message("  seed %llu: %llu refusals, %llu bytes at rest, then %llu; events by kind:",
                  (unsigned long long)seed, (unsigned long long)s.refused,
                  (unsigned long long)first, (unsigned long long)second);
    for (i = 1; i <= WEIR_EVENT_FETCH_CLOSED; i++)
        print_message(" %llu", (unsigned long long)s.seen[i]);
    print_message("\n");
    /* The books and the tables of handles may have grown, nothing else. */
    assert_true(second <= first + 16384);
    assert_true(s.events > 500);
    /* A tombstone is small, and answers. */
    for (node = 1; node <= NODES; node++) {
        assert_int_equal(weir_node_close(s.sim.nodes[node]), 0);
        assert_true(s.heaps[node].live_bytes < 1024);
        assert_int_equal(weir_node_dial(s.sim.nodes[node], s.addresses[1], NULL), WEIR_E_CLOSED);
    }
    sim_close(&s.sim);
    for (node = 1; node <= NODES; node++) assert_int_equal(s.heaps[node].live_bytes, 0);
}

static uint64_t seed_first = 1, seed_last = 4;

static void test_random_calls_break_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = seed_first; seed <= seed_last; seed++) {
        spin(seed, WEIR_FIDELITY_PACKET);
        spin(seed, WEIR_FIDELITY_MESSAGE);
    }
}

/* For a longer hunt: sim_spin_test FIRST LAST. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_calls_break_nothing)};

    if (argc == 3) {
        seed_first = strtoull(argv[1], NULL, 10);
        seed_last = strtoull(argv[2], NULL, 10);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
