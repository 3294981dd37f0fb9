/* SPDX-License-Identifier: MIT */
/* Goal: what links can do beyond weir_link_options (struct rule_extra) does what it says, and
 * nothing when it is not set. Method: a network without nodes; the test sends by hand and looks at
 * what arrives, when, and with which ECN bits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "sim/network.h"
#include <string.h>

enum { NODES = 4, MANY = 20000 };

static struct endpoint address_of(uint32_t number)
{
    return endpoint_ip4(10, 0, 0, (uint8_t)number, 4001);
}

static void open_network(struct network *network, const struct mem *mem)
{
    uint32_t i;

    network_init(network, mem, 1, false);
    for (i = 1; i <= NODES; i++) {
        struct endpoint at = address_of(i);
        struct place *place;

        assert_int_equal(network_attach(network, &at, i, 0, &place), 0);
    }
}

static void set(struct network *network, uint32_t from, uint32_t to,
                const weir_link_options *options, const struct rule_extra *extra)
{
    assert_int_equal(rules_set_extra(&network->rules, from, to, options, extra), 0);
}

static void send_ecn(struct network *network, uint32_t from, uint32_t to, size_t len, uint8_t ecn,
                     uint64_t now_us)
{
    static uint8_t bytes[2048];
    struct endpoint source = address_of(from);
    struct datagram_out out = {
        .remote = address_of(to), .data = bytes, .len = len, .segment = len, .ecn = ecn};

    assert_true(len <= sizeof bytes);
    network_send(network, from, &source, &out, now_us);
}

/* The next arrival's time; *in is filled. UINT64_MAX: none is under way */
static uint64_t next(struct network *network, struct datagram_in *in)
{
    const struct heap_item *first = network_first(network);
    uint64_t when_us;
    uint32_t number;

    if (first == NULL) return UINT64_MAX;
    when_us = first->when;
    assert_true(network_next(network, when_us, in, &number));
    return when_us;
}

static void test_several_senders_share_one_queue(void **state)
{
    /* One byte per microsecond. */
    weir_link_options options = {.size = sizeof options,
                                 .delay_us_plus1 = 1,
                                 .bandwidth_bps = 8000000,
                                 .queue_bytes = 3000,
                                 .one_way = 1};
    struct rule_extra extra = {.bottleneck = 7};
    struct network network;
    struct datagram_in in;

    (void)state;
    open_network(&network, mem_system());
    set(&network, 1, 4, &options, &extra);
    set(&network, 2, 4, &options, &extra);
    set(&network, 3, 4, &options, NULL);
    send_ecn(&network, 1, 4, 1000, 0, 0);
    send_ecn(&network, 2, 4, 1000, 0, 0);
    send_ecn(&network, 1, 4, 1000, 0, 0);
    /* Full for both; the link of node 3 has a queue of its own. */
    send_ecn(&network, 2, 4, 1000, 0, 0);
    send_ecn(&network, 1, 4, 1000, 0, 0);
    send_ecn(&network, 3, 4, 1000, 0, 0);
    assert_int_equal(network.count[VERDICT_LOST_QUEUE], 2);
    assert_int_equal(next(&network, &in), 1000);
    assert_int_equal(next(&network, &in), 1000);
    assert_int_equal(next(&network, &in), 2000);
    assert_int_equal(next(&network, &in), 3000);
    assert_int_equal(next(&network, &in), UINT64_MAX);
    network_free(&network);
}

static void test_a_shared_queue_outlives_a_change_of_its_rules(void **state)
{
    weir_link_options options = {
        .size = sizeof options, .delay_us_plus1 = 1, .bandwidth_bps = 8000000, .one_way = 1};
    struct rule_extra extra = {.bottleneck = 7};
    struct network network;
    struct datagram_in in;

    (void)state;
    open_network(&network, mem_system());
    set(&network, 1, 4, &options, &extra);
    set(&network, 2, 4, &options, &extra);
    send_ecn(&network, 1, 4, 1000, 0, 0);
    set(&network, 1, 4, &options, &extra);
    send_ecn(&network, 2, 4, 1000, 0, 0);
    assert_int_equal(next(&network, &in), 1000);
    assert_int_equal(next(&network, &in), 2000);
    network_free(&network);
}

static void test_a_long_queue_marks_those_that_can_be_marked(void **state)
{
    weir_link_options options = {
        .size = sizeof options, .delay_us_plus1 = 1, .bandwidth_bps = 8000000};
    struct rule_extra extra = {.mark_bytes = 1999};
    static const uint8_t sent[] = {2, 2, 2, 1, 0, 3}, seen[] = {2, 2, 3, 3, 0, 3};
    struct network network;
    struct datagram_in in;
    size_t i;

    (void)state;
    open_network(&network, mem_system());
    set(&network, 1, 2, &options, &extra);
    for (i = 0; i < sizeof sent; i++) send_ecn(&network, 1, 2, 1000, sent[i], 0);
    for (i = 0; i < sizeof sent; i++) {
        assert_int_equal(next(&network, &in), (i + 1) * 1000);
        assert_int_equal(in.ecn, seen[i]);
    }
    network_free(&network);
}

static void test_a_way_that_bleaches_leaves_no_mark(void **state)
{
    weir_link_options options = {
        .size = sizeof options, .delay_us_plus1 = 1, .bandwidth_bps = 8000000, .one_way = 1};
    struct rule_extra extra = {.mark_bytes = 1, .ecn_bleach = 1};
    struct network network;
    struct datagram_in in;
    uint8_t ecn;

    (void)state;
    open_network(&network, mem_system());
    set(&network, 1, 2, &options, &extra);
    for (ecn = 0; ecn < 4; ecn++) send_ecn(&network, 1, 2, 1000, ecn, 0);
    while (next(&network, &in) != UINT64_MAX) assert_int_equal(in.ecn, 0);
    send_ecn(&network, 2, 1, 1000, 2, 0);
    (void)next(&network, &in);
    assert_int_equal(in.ecn, 2);
    network_free(&network);
}

static void test_what_is_longer_than_the_link_carries_is_lost_and_takes_no_time(void **state)
{
    weir_link_options options = {
        .size = sizeof options, .delay_us_plus1 = 1, .bandwidth_bps = 8000000};
    struct rule_extra extra = {.payload_max_bytes = 1300};
    struct network network;
    struct datagram_in in;

    (void)state;
    open_network(&network, mem_system());
    set(&network, 1, 2, &options, &extra);
    send_ecn(&network, 1, 2, 1301, 0, 0);
    send_ecn(&network, 1, 2, 1300, 0, 0);
    assert_int_equal(network.count[VERDICT_LOST_SIZE], 1);
    assert_int_equal(next(&network, &in), 1300);
    assert_int_equal(in.len, 1300);
    network_free(&network);
}

static void test_replays_come_once_more_within_their_time(void **state)
{
    weir_link_options options = {.size = sizeof options, .delay_us_plus1 = 1001};
    struct rule_extra extra = {.replay_ppm = 200000, .replay_us = 60000000};
    static uint32_t arrivals[MANY];
    uint64_t last_us = 0, longest_us = 0;
    struct endpoint source = address_of(1);
    struct network network;
    struct datagram_in in;
    uint32_t i;

    (void)state;
    memset(arrivals, 0, sizeof arrivals);
    open_network(&network, mem_system());
    set(&network, 1, 2, &options, &extra);
    for (i = 0; i < MANY; i++) {
        uint8_t bytes[sizeof i];
        struct datagram_out out = {
            .remote = address_of(2), .data = bytes, .len = sizeof bytes, .segment = sizeof bytes};

        memcpy(bytes, &i, sizeof i);
        network_send(&network, 1, &source, &out, i);
    }
    while ((last_us = next(&network, &in)) != UINT64_MAX) {
        memcpy(&i, in.data, sizeof i);
        assert_in_range(i, 0, MANY - 1);
        if (arrivals[i]++ == 0) {
            assert_int_equal(last_us, (uint64_t)i + 1000);
            continue;
        }
        assert_in_range(last_us, (uint64_t)i + 1001, (uint64_t)i + 1000 + 60000000);
        if (last_us - i > longest_us) longest_us = last_us - i;
    }
    for (i = 0; i < MANY; i++) assert_in_range(arrivals[i], 1, 2);
    /* A fifth, within five deviations; they spread over the whole minute. */
    assert_in_range(network.replayed, MANY / 5 - 283, MANY / 5 + 283);
    assert_in_range(longest_us, 59000000, 60001000);
    network_free(&network);
}

static void test_a_replay_is_as_it_was_sent(void **state)
{
    weir_link_options options = {
        .size = sizeof options, .corrupt_ppm = 1000000, .corrupt_bytes_max = 4};
    struct rule_extra extra = {.replay_ppm = 1000000};
    static const uint8_t zero[100];
    struct network network;
    struct datagram_in in;

    (void)state;
    open_network(&network, mem_system());
    set(&network, 1, 2, &options, &extra);
    send_ecn(&network, 1, 2, sizeof zero, 0, 0);
    assert_int_equal(next(&network, &in), 10000);
    assert_memory_not_equal(in.data, zero, sizeof zero);
    assert_int_equal(next(&network, &in), 10001);
    assert_memory_equal(in.data, zero, sizeof zero);
    network_free(&network);
}

static void test_settings_out_of_range_are_refused(void **state)
{
    weir_link_options options = {.size = sizeof options};
    struct rule_extra bad[4];
    struct rules rules;
    uint8_t hash_key[16] = {1};
    size_t i;

    (void)state;
    memset(bad, 0, sizeof bad);
    bad[0].replay_ppm = 1000001;
    bad[1].replay_us = UINT64_MAX;
    bad[2].mark_bytes = UINT64_MAX;
    bad[3].ecn_bleach = 2;
    rules_init(&rules, mem_system(), hash_key);
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(rules_set_extra(&rules, 1, 2, &options, &bad[i]), WEIR_E_ARGUMENT);
    }
    assert_int_equal(rules_find(&rules, 1, 2)->sequence, 0);
    rules_free(&rules);
}

static void test_when_memory_fails_nothing_changed(void **state)
{
    weir_link_options options = {.size = sizeof options, .delay_us_plus1 = 5};
    struct rule_extra extra = {.bottleneck = 7};
    uint8_t hash_key[16] = {1};
    struct mem_counter counter;
    uint64_t at, failed = 0;

    (void)state;
    for (at = 1; at <= 8; at++) {
        struct rules rules;
        int error;

        mem_counter_init(&counter, mem_system());
        rules_init(&rules, &counter.mem, hash_key);
        counter.fail_at = at;
        error = rules_set_extra(&rules, 1, 2, &options, &extra);
        assert_true(error == 0 || error == WEIR_E_MEMORY);
        assert_int_equal(rules_find(&rules, 1, 2)->delay_us, error == 0 ? 4 : 10000);
        failed += error != 0;
        assert_int_equal(rules_set_extra(&rules, 1, 2, &options, &extra), 0);
        assert_ptr_equal(rules_find(&rules, 1, 2)->shared, rules_find(&rules, 2, 1)->shared);
        rules_free(&rules);
        assert_int_equal(counter.live_bytes, 0);
    }
    /* The queue and its table, two rules and theirs. */
    assert_in_range(failed, 4, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several_senders_share_one_queue),
        cmocka_unit_test(test_a_shared_queue_outlives_a_change_of_its_rules),
        cmocka_unit_test(test_a_long_queue_marks_those_that_can_be_marked),
        cmocka_unit_test(test_a_way_that_bleaches_leaves_no_mark),
        cmocka_unit_test(test_what_is_longer_than_the_link_carries_is_lost_and_takes_no_time),
        cmocka_unit_test(test_replays_come_once_more_within_their_time),
        cmocka_unit_test(test_a_replay_is_as_it_was_sent),
        cmocka_unit_test(test_settings_out_of_range_are_refused),
        cmocka_unit_test(test_when_memory_fails_nothing_changed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
