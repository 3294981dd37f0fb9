/* SPDX-License-Identifier: MIT */
/* Goal: datagrams go from address to address in the order of time, whatever happens to the
 * addresses meanwhile, and one seed gives one trace. Method: a network without nodes; the test
 * attaches addresses, sends, and takes arrivals out by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "sim/network.h"
#include <string.h>

static struct endpoint address_of(uint32_t number)
{
    return endpoint_ip4(10, 0, 0, (uint8_t)number, 4001);
}

static struct place *attach(struct network *network, uint32_t number)
{
    struct endpoint at = address_of(number);
    struct place *place = NULL;

    assert_int_equal(network_attach(network, &at, number, 7, &place), 0);
    return place;
}

static void send_bytes(struct network *network, uint32_t from, const struct endpoint *to,
                       const void *data, size_t len, uint64_t now_us)
{
    struct endpoint source = address_of(from);
    uint8_t bytes[2048];
    struct datagram_out out = {.remote = *to, .data = bytes, .len = len, .segment = len};

    assert_true(len <= sizeof bytes);
    memcpy(bytes, data, len);
    network_send(network, from, &source, &out, now_us);
}

static void send_text(struct network *network, uint32_t from, uint32_t to, const char *text,
                      uint64_t now_us)
{
    struct endpoint destination = address_of(to);

    send_bytes(network, from, &destination, text, strlen(text), now_us);
}

/* The next arrival must be this text for that node at that time. */
static struct datagram_in expect(struct network *network, uint32_t to, const char *text,
                                 uint64_t when_us)
{
    const struct heap_item *first = network_first(network);
    struct datagram_in in;
    uint32_t number = 0;

    assert_non_null(first);
    assert_int_equal(first->when, when_us);
    assert_true(network_next(network, when_us, &in, &number));
    assert_int_equal(number, to);
    assert_int_equal(in.len, strlen(text));
    assert_memory_equal(in.data, text, in.len);
    return in;
}

static void set_link(struct network *network, uint32_t a, uint32_t b,
                     const weir_link_options *options)
{
    assert_int_equal(rules_set(&network->rules, a, b, options), 0);
}

static void test_a_datagram_arrives_whole_with_its_addresses(void **state)
{
    struct network network;
    struct datagram_in in;
    struct endpoint one = address_of(1), two = address_of(2);

    (void)state;
    network_init(&network, mem_system(), 1, false);
    attach(&network, 1);
    attach(&network, 2);
    send_text(&network, 1, 2, "hello", 500);
    assert_false(network_next(&network, 10499, &in, &(uint32_t){0}));
    in = expect(&network, 2, "hello", 10500);
    assert_true(endpoint_equal(&in.remote, &one));
    assert_true(endpoint_equal(&in.local, &two));
    assert_int_equal(in.socket, 7);
    assert_int_equal(in.segment, 0);
    assert_null(network_first(&network));
    assert_int_equal(network.count[VERDICT_DELIVERED], 1);
    network_free(&network);
}

static void test_a_run_is_split_and_keeps_its_mark(void **state)
{
    struct network network;
    struct endpoint one = address_of(1);
    uint8_t bytes[] = "aaaabbbbcc";
    struct datagram_out out = {
        .remote = address_of(2), .data = bytes, .len = 10, .segment = 4, .ecn = 2};

    (void)state;
    network_init(&network, mem_system(), 1, false);
    attach(&network, 2);
    network_send(&network, 1, &one, &out, 0);
    expect(&network, 2, "aaaa", 10000);
    expect(&network, 2, "bbbb", 10000);
    assert_int_equal(expect(&network, 2, "cc", 10000).ecn, 2);
    assert_null(network_first(&network));
    network_free(&network);
}

static void test_at_one_instant_the_lower_node_comes_first(void **state)
{
    struct network network;

    (void)state;
    network_init(&network, mem_system(), 1, false);
    attach(&network, 1);
    attach(&network, 2);
    attach(&network, 3);
    send_text(&network, 1, 3, "a", 0);
    send_text(&network, 1, 2, "b", 0);
    send_text(&network, 1, 3, "c", 0);
    send_text(&network, 3, 1, "d", 0);
    send_text(&network, 3, 2, "e", 0);
    expect(&network, 1, "d", 10000);
    expect(&network, 2, "b", 10000);
    expect(&network, 2, "e", 10000);
    expect(&network, 3, "a", 10000);
    expect(&network, 3, "c", 10000);
    assert_true(network_order(&network, 2) < network_order_last(2));
    assert_true(network_order_last(2) < network_order(&network, 3));
    network_free(&network);
}

static void test_what_nobody_receives_is_dropped_and_counted(void **state)
{
    struct network network;
    struct place *two;
    struct datagram_in in;
    uint32_t number;

    (void)state;
    network_init(&network, mem_system(), 1, false);
    send_text(&network, 1, 2, "nobody", 0);
    assert_int_equal(network.count[VERDICT_NO_ROUTE], 1);
    two = attach(&network, 2);
    send_text(&network, 1, 2, "gone on arrival", 0);
    network_detach(&network, two);
    assert_false(network_next(&network, 10000, &in, &number));
    assert_int_equal(network.count[VERDICT_NO_ROUTE], 2);
    assert_int_equal(network.count[VERDICT_DELIVERED], 0);
    assert_null(network_first(&network));
    network_free(&network);
}

static void test_an_address_that_changed_hands_receives_nothing_old(void **state)
{
    struct endpoint at = address_of(2);
    struct network network;
    struct place *place;
    struct datagram_in in;
    uint32_t number;

    (void)state;
    network_init(&network, mem_system(), 1, false);
    place = attach(&network, 2);
    assert_int_equal(network_attach(&network, &at, 3, 0, &place), WEIR_E_ADDRESS_IN_USE);
    send_text(&network, 1, 2, "for two", 0);
    network_detach(&network, place);
    assert_true(network_is_free(&network, &at));
    assert_int_equal(network_attach(&network, &at, 3, 0, &place), 0);
    assert_false(network_next(&network, 10000, &in, &number));
    assert_int_equal(network.count[VERDICT_NO_ROUTE], 1);
    network_free(&network);
}

static void test_corruption_never_touches_the_sender_and_copies_differ_alone(void **state)
{
    weir_link_options options = {.size = sizeof options,
                                 .corrupt_ppm = 1000000,
                                 .duplicate_ppm = 1000000,
                                 .corrupt_bytes_max = 4};
    uint8_t bytes[] = "0123456789";
    struct endpoint one = address_of(1);
    struct datagram_out out = {.remote = address_of(2), .data = bytes, .len = 10, .segment = 10};
    struct network network;
    struct datagram_in in;
    uint8_t first[10];
    uint32_t number;

    (void)state;
    network_init(&network, mem_system(), 1, false);
    attach(&network, 2);
    set_link(&network, 1, 0, &options);
    network_send(&network, 1, &one, &out, 0);
    assert_memory_equal(bytes, "0123456789", 10);
    assert_true(network_next(&network, 10000, &in, &number));
    memcpy(first, in.data, 10);
    assert_memory_not_equal(first, bytes, 10);
    assert_true(network_next(&network, 10000, &in, &number));
    assert_memory_not_equal(in.data, bytes, 10);
    assert_memory_not_equal(in.data, first, 10);
    assert_int_equal(network.duplicated, 1);
    assert_int_equal(network.corrupted, 2);
    network_free(&network);
}

static void test_a_sender_that_rebinds_is_seen_elsewhere_and_replies_find_it(void **state)
{
    weir_link_options options = {.size = sizeof options, .rebind_every_us = 1000, .one_way = 1};
    struct endpoint one = address_of(1), seen, older;
    struct network network;
    struct datagram_in in;
    uint32_t i;

    (void)state;
    network_init(&network, mem_system(), 5, false);
    attach(&network, 1);
    attach(&network, 2);
    set_link(&network, 1, 2, &options);
    send_text(&network, 1, 2, "first", 0);
    in = expect(&network, 2, "first", 10000);
    assert_true(endpoint_equal(&in.remote, &one));
    send_text(&network, 1, 2, "same", 999);
    in = expect(&network, 2, "same", 10999);
    assert_true(endpoint_equal(&in.remote, &one));
    older = one;
    for (i = 1; i <= 5; i++) {
        /* Until it sends, it keeps the binding that it has. */
        send_bytes(&network, 2, &older, "early", 5, 100000 * i - 20000);
        expect(&network, 1, "early", 100000 * i - 10000);
        send_text(&network, 1, 2, "moved", 100000 * i);
        in = expect(&network, 2, "moved", 100000 * i + 10000);
        seen = in.remote;
        assert_false(endpoint_equal(&seen, &older));
        assert_false(endpoint_same_host(&seen, &older));
        assert_int_not_equal(seen.port, older.port);
        assert_false(network_is_free(&network, &seen));
        send_bytes(&network, 2, &seen, "reply", 5, 100000 * i + 10000);
        in = expect(&network, 1, "reply", 100000 * i + 20000);
        assert_true(endpoint_equal(&in.local, &one));
        send_bytes(&network, 2, &older, "late", 4, 100000 * i + 10000);
        assert_int_equal(network.count[VERDICT_NO_ROUTE], i);
        older = seen;
    }
    network_free(&network);
}

static void test_a_reply_on_its_way_to_an_old_binding_is_lost(void **state)
{
    weir_link_options options = {.size = sizeof options, .rebind_every_us = 1000, .one_way = 1};
    struct network network;
    struct datagram_in in;
    uint32_t number;

    (void)state;
    network_init(&network, mem_system(), 5, false);
    attach(&network, 1);
    attach(&network, 2);
    attach(&network, 3);
    set_link(&network, 1, 2, &options);
    send_text(&network, 1, 2, "first", 0);
    expect(&network, 2, "first", 10000);
    send_text(&network, 2, 1, "reply", 10000);
    send_text(&network, 1, 2, "moved", 15000);
    assert_false(network_next(&network, 20000, &in, &number));
    assert_int_equal(network.count[VERDICT_NO_ROUTE], 1);
    /* For others nothing moved. */
    send_text(&network, 3, 1, "other", 20000);
    expect(&network, 2, "moved", 25000);
    expect(&network, 1, "other", 30000);
    network_free(&network);
}

static void test_two_peers_that_both_rebind_do_not_lose_each_other(void **state)
{
    weir_link_options options = {
        .size = sizeof options, .delay_us_plus1 = 101, .rebind_every_us = 5000};
    struct endpoint known[3] = {{0}, address_of(1), address_of(2)};
    struct network network;
    uint32_t i, from = 1, moves = 0;
    uint64_t now_us = 0;

    (void)state;
    network_init(&network, mem_system(), 5, false);
    attach(&network, 1);
    attach(&network, 2);
    set_link(&network, 1, 2, &options);
    /* A ball goes to and fro, always to the address that it last came from. */
    for (i = 0; i < 2000; i++) {
        uint32_t to = 3 - from;
        struct datagram_in in;

        send_bytes(&network, from, &known[to], "ball", 4, now_us);
        now_us += 100;
        in = expect(&network, to, "ball", now_us);
        if (!endpoint_equal(&known[from], &in.remote)) moves++;
        known[from] = in.remote;
        from = to;
    }
    assert_in_range(moves, 70, 80);
    network_free(&network);
}

/* 400 datagrams between four nodes under every fault. @return the trace hash */
static uint64_t run_storm(const struct mem *mem, uint64_t seed, uint32_t loss_ppm)
{
    weir_link_options options = {.size = sizeof options,
                                 .jitter_us = 3000,
                                 .loss_ppm = loss_ppm,
                                 .bandwidth_bps = 1000000,
                                 .queue_bytes = 3000,
                                 .burst_ppm = 20000,
                                 .burst_length = 3,
                                 .duplicate_ppm = 100000,
                                 .reorder_ppm = 100000,
                                 .reorder_us = 5000,
                                 .corrupt_ppm = 100000,
                                 .rebind_every_us = 20000};
    struct network network;
    struct datagram_in in;
    uint64_t hash, now_us;
    uint32_t i, number;

    network_init(&network, mem, seed, false);
    (void)rules_set(&network.rules, 0, 0, &options);
    for (i = 1; i <= 4; i++) {
        struct endpoint at = address_of(i);
        struct place *place;

        (void)network_attach(&network, &at, i, 0, &place);
    }
    for (i = 0; i < 400; i++) {
        char text[100];

        memset(text, (int)i, sizeof text);
        now_us = (uint64_t)i * 500;
        while (network_first(&network) != NULL && network_first(&network)->when <= now_us) {
            (void)network_next(&network, now_us, &in, &number);
        }
        {
            struct endpoint to = address_of(i / 4 % 4 + 1);

            send_bytes(&network, i % 4 + 1, &to, text, sizeof text, now_us);
        }
    }
    while (network_first(&network) != NULL) {
        (void)network_next(&network, network_first(&network)->when, &in, &number);
    }
    hash = network.hash;
    network_free(&network);
    return hash;
}

static void test_one_seed_is_one_trace(void **state)
{
    uint64_t hash = run_storm(mem_system(), 1, 50000);

    (void)state;
    assert_int_equal(run_storm(mem_system(), 1, 50000), hash);
    assert_int_not_equal(run_storm(mem_system(), 2, 50000), hash);
    assert_int_not_equal(run_storm(mem_system(), 1, 100000), hash);
    /* Written down: another compiler or machine must give the same. */
    assert_int_equal(hash, UINT64_C(0x46b6e5dfc66cf570));
}

static void test_all_memory_comes_back_and_any_allocation_may_fail(void **state)
{
    struct mem_counter counter;
    uint64_t calls, at;

    (void)state;
    mem_counter_init(&counter, mem_system());
    (void)run_storm(&counter.mem, 1, 50000);
    assert_int_equal(counter.live_bytes, 0);
    calls = counter.calls;
    for (at = 1; at <= calls; at++) {
        mem_counter_init(&counter, mem_system());
        counter.fail_at = at;
        (void)run_storm(&counter.mem, 1, 50000);
        assert_int_equal(counter.live_bytes, 0);
    }
}

static void test_memory_is_taken_for_links_in_use_only(void **state)
{
    struct mem_counter counter;
    struct network network;
    struct place *place;
    uint64_t live;
    uint32_t i;

    (void)state;
    mem_counter_init(&counter, mem_system());
    network_init(&network, &counter.mem, 1, false);
    for (i = 1; i <= 10000; i++) {
        struct endpoint at = endpoint_memory(i);

        assert_int_equal(network_attach(&network, &at, i, 0, &place), 0);
    }
    assert_true(counter.live_bytes < 10000 * 100);
    live = counter.live_bytes;
    for (i = 1; i < 10000; i++) {
        struct endpoint at = endpoint_memory(i + 1);

        send_bytes(&network, i, &at, "x", 1, 0);
    }
    while (network_first(&network) != NULL) {
        struct datagram_in in;
        uint32_t number;

        assert_true(network_next(&network, 10000, &in, &number));
    }
    /* One link each: its state, its slot, a slot in the heap. */
    assert_true(counter.live_bytes - live < 10000 * 256);
    network_free(&network);
    assert_int_equal(counter.live_bytes, 0);
}

static void test_what_arrived_makes_room_on_its_link(void **state)
{
    struct network network;
    uint8_t bytes[2000] = {0};
    struct endpoint two = address_of(2);
    struct datagram_in in;
    uint32_t i, number;

    (void)state;
    network_init(&network, mem_system(), 1, false);
    attach(&network, 2);
    /* 80 MB in all, more than may be in flight at once. */
    for (i = 0; i < 40000; i++) {
        send_bytes(&network, 1, &two, bytes, sizeof bytes, (uint64_t)i * 20000);
        assert_true(network_next(&network, (uint64_t)i * 20000 + 10000, &in, &number));
    }
    assert_int_equal(network.count[VERDICT_DELIVERED], 40000);
    network_free(&network);
}

static uint32_t tapped, tapped_lost;

static void tap(void *context, const struct network_record *record)
{
    assert_ptr_equal(context, &tapped);
    assert_int_equal(record->from, 1);
    assert_int_equal(record->to, 2);
    assert_int_equal(record->len, 2);
    tapped++;
    if (record->verdict == VERDICT_LOST_PATTERN) tapped_lost++;
}

static void test_a_tap_sees_every_datagram_once(void **state)
{
    weir_link_options options = {.size = sizeof options, .drop_pattern = 2};
    struct network network;

    (void)state;
    network_init(&network, mem_system(), 1, false);
    attach(&network, 2);
    set_link(&network, 1, 2, &options);
    network.tap = tap;
    network.tap_context = &tapped;
    send_text(&network, 1, 2, "ab", 0);
    assert_int_equal(tapped, 0);
    send_text(&network, 1, 2, "cd", 0);
    assert_int_equal(tapped_lost, 1);
    expect(&network, 2, "ab", 10000);
    assert_int_equal(tapped, 2);
    network_free(&network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_datagram_arrives_whole_with_its_addresses),
        cmocka_unit_test(test_a_run_is_split_and_keeps_its_mark),
        cmocka_unit_test(test_at_one_instant_the_lower_node_comes_first),
        cmocka_unit_test(test_what_nobody_receives_is_dropped_and_counted),
        cmocka_unit_test(test_an_address_that_changed_hands_receives_nothing_old),
        cmocka_unit_test(test_corruption_never_touches_the_sender_and_copies_differ_alone),
        cmocka_unit_test(test_a_sender_that_rebinds_is_seen_elsewhere_and_replies_find_it),
        cmocka_unit_test(test_a_reply_on_its_way_to_an_old_binding_is_lost),
        cmocka_unit_test(test_two_peers_that_both_rebind_do_not_lose_each_other),
        cmocka_unit_test(test_one_seed_is_one_trace),
        cmocka_unit_test(test_all_memory_comes_back_and_any_allocation_may_fail),
        cmocka_unit_test(test_memory_is_taken_for_links_in_use_only),
        cmocka_unit_test(test_what_arrived_makes_room_on_its_link),
        cmocka_unit_test(test_a_tap_sees_every_datagram_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
