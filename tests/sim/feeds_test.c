/* SPDX-License-Identifier: MIT */
/* Goal: feeds between whole nodes, through weir.h, in both fidelities: what arrives is whole and in
 * order, a stalled reader or link costs a slot for each key, a fast path loses nothing. Method: a
 * world in which node 1 publishes and the others subscribe; readers read when they are told, or
 * stand still. */
#include "sim/rig.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 100, READERS_MAX = 24, VALUE_MAX = 4096 };
#define NAME "test/feed/1"

static const uint32_t fidelities[] = {WEIR_FIDELITY_PACKET, WEIR_FIDELITY_MESSAGE};

struct reader {
    uint64_t connection, subscription;
    uint64_t items, missed, closed, reason;
    int64_t sum;
    int32_t error;
    uint32_t last[KEYS]; /**< of numbers, by key */
    uint32_t previous;   /**< the last event's number */
    bool is_removed[KEYS], is_still;
};

struct field {
    struct sim sim;
    uint64_t feed;
    struct reader reader[READERS_MAX + 2]; /**< by node, from 2 */
};

static struct field field;

static struct field *open_field(uint32_t fidelity, uint32_t readers, uint32_t kind,
                                uint32_t keys_max)
{
    struct field *f = &field;
    const weir_node_options node = {.size = sizeof node, .observed_off = 1};
    const weir_feed_options options = {
        .size = sizeof options, .kind = kind, .keys_max = keys_max, .item_max_bytes = VALUE_MAX};
    uint64_t ends[2];
    memset(f, 0, sizeof *f);
    sim_open(&f->sim, 5, fidelity, readers + 1, &node);
    int64_t feed = weir_feed_open(f->sim.nodes[1], NAME, &options);
    assert_true(feed > 0);
    f->feed = (uint64_t)feed;
    for (uint32_t i = 2; i < readers + 2; i++) {
        assert_true(sim_connect(&f->sim, i, 1, ends, sim_now(&f->sim) + SIM_SECOND));
        f->reader[i].connection = ends[0];
    }
    return f;
}

static void subscribe(struct field *f, uint32_t node)
{
    int64_t sub =
        weir_feed_subscribe(f->sim.nodes[node], f->reader[node].connection, NAME, 1000 + node);
    assert_true(sub > 0);
    f->reader[node].subscription = (uint64_t)sub;
}

static void take(struct reader *r, const weir_feed_item *item, const char *data, int64_t len)
{
    char text[VALUE_MAX + 1];
    unsigned long key = 0;
    memcpy(text, data, (size_t)len);
    text[len] = 0;
    uint32_t number = (uint32_t)strtoul(text, NULL, 10);
    r->items++;
    r->missed += item->missed;
    r->sum += item->sum;
    if (item->kind == WEIR_FEED_DROP_OLDEST) {
        assert_int_equal(number, r->previous + 1 + item->missed);
        r->previous = number;
        return;
    }
    assert_in_range(item->key_len, 1, 4);
    memcpy(text, item->key, item->key_len);
    text[item->key_len] = 0;
    key = strtoul(text, NULL, 10);
    assert_true(key < KEYS);
    if (item->kind == WEIR_FEED_STATE && item->is_removed == 0) {
        assert_true(number >= r->last[key]);
        r->last[key] = number;
    }
    r->is_removed[key] = item->is_removed != 0;
}

/* Read all that waits. */
static void drain_items(struct field *f, uint32_t node)
{
    struct reader *r = &f->reader[node];
    char data[VALUE_MAX];
    for (;;) {
        weir_feed_item item = {.size = sizeof item};
        int64_t len = weir_feed_read(f->sim.nodes[node], r->subscription, &item, data, sizeof data);
        if (len < 0) break;
        take(r, &item, data, len);
    }
}

static void on_event(struct field *f, const weir_event *e)
{
    if (e->kind != WEIR_EVENT_FEED && e->kind != WEIR_EVENT_FEED_CLOSED) return;
    struct reader *r = &f->reader[e->node];
    assert_int_equal(e->object, r->subscription);
    assert_int_equal(e->parent, r->connection);
    assert_int_equal(e->user, 1000 + e->node);
    if (e->kind == WEIR_EVENT_FEED) {
        if (!r->is_still) drain_items(f, (uint32_t)e->node);
    } else {
        r->closed++;
        r->error = e->error;
        r->reason = e->amount;
    }
}

static void run(struct field *f, uint64_t span_us)
{
    uint64_t until = sim_now(&f->sim) + span_us;
    weir_event events[64];
    while (weir_world_run(f->sim.world, until) == 1) {
        int64_t count = weir_world_poll(f->sim.world, 0, events, 64);
        assert_true(count >= 0);
        for (int64_t i = 0; i < count; i++) on_event(f, &events[i]);
    }
}

static void publish(struct field *f, uint32_t key, uint32_t number)
{
    char name[8], text[16];
    int name_len = snprintf(name, sizeof name, "%u", key);
    int len = snprintf(text, sizeof text, "%u", number);
    assert_true(weir_feed_publish(f->sim.nodes[1], f->feed, name, (uint32_t)name_len, text,
                                  (uint32_t)len) >= 0);
}

static weir_feed_info info_of(struct field *f)
{
    weir_feed_info info = {.size = sizeof info};
    assert_int_equal(weir_feed_get_info(f->sim.nodes[1], f->feed, &info), 0);
    return info;
}

static void test_state_flows_from_present_values_to_the_end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct field *f = open_field(fidelities[i], 2, WEIR_FEED_STATE, KEYS);
        for (uint32_t k = 0; k < 10; k++) publish(f, k, k + 1);
        subscribe(f, 2);
        run(f, SIM_SECOND);
        assert_int_equal(f->reader[2].items, 10);
        publish(f, 3, 50);
        assert_true(weir_feed_publish(f->sim.nodes[1], f->feed, "4", 1, NULL, 0) == 1);
        run(f, SIM_SECOND);
        subscribe(f, 3);
        run(f, SIM_SECOND);
        for (uint32_t n = 2; n < 4; n++) {
            assert_int_equal(f->reader[n].last[3], 50);
            assert_int_equal(f->reader[n].last[9], 10);
            assert_int_equal(f->reader[n].missed, 0);
        }
        assert_true(f->reader[2].is_removed[4]);
        assert_int_equal(f->reader[2].items, 12);
        assert_int_equal(f->reader[3].items, 9);
        assert_int_equal(weir_feed_close(f->sim.nodes[1], f->feed, 0), 0);
        assert_int_equal(weir_feed_close(f->sim.nodes[1], f->feed, 0), WEIR_E_STALE);
        run(f, SIM_SECOND);
        for (uint32_t n = 2; n < 4; n++) {
            assert_int_equal(f->reader[n].closed, 1);
            assert_int_equal(f->reader[n].error, 0);
        }
        sim_close(&f->sim);
    }
}

/* 200,000 updates of 100 keys to a reader that stands still: behind what its window took, one item
 * for each key. */
static void test_a_reader_that_stands_still_gets_the_last_of_each_key(void **state)
{
    enum { UPDATES = 200000 };
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct field *f = open_field(fidelities[i], 1, WEIR_FEED_STATE, KEYS);
        struct reader *r = &f->reader[2];
        r->is_still = true;
        subscribe(f, 2);
        run(f, SIM_SECOND);
        uint64_t in_lane = 0;
        for (uint32_t n = 0; n < UPDATES; n++) {
            publish(f, n % KEYS, n);
            if (n % 1000 == 0) run(f, 50000);
            if (n == UPDATES / 2) in_lane = info_of(f).sent;
            if (n % 1000 == 0) assert_in_range(info_of(f).queued_max, 0, KEYS);
        }
        weir_feed_info info = info_of(f);
        assert_int_equal(info.queued_max, KEYS);
        assert_int_equal(info.sent, in_lane);
        assert_int_equal(info.published, UPDATES);
        assert_int_equal(info.sent + info.missed + KEYS, UPDATES);
        assert_true(info.memory_bytes < 100000);
        r->is_still = false;
        drain_items(f, 2);
        run(f, 5 * SIM_SECOND);
        assert_int_equal(r->items, in_lane + KEYS);
        for (uint32_t k = 0; k < KEYS; k++) assert_int_equal(r->last[k], UPDATES - KEYS + k);
        sim_close(&f->sim);
    }
}

/* Nothing passes for five seconds. What was in the lane by then is small, and what comes behind it
 * is the last of each key. */
static void test_a_link_that_stalls_delays_little_that_is_stale(void **state)
{
    (void)state;
    struct field *f = open_field(WEIR_FIDELITY_PACKET, 1, WEIR_FEED_STATE, KEYS);
    struct reader *r = &f->reader[2];
    uint32_t number = 1;
    subscribe(f, 2);
    run(f, SIM_SECOND);
    uint64_t start = sim_now(&f->sim);
    const weir_link_options hole = {.size = sizeof hole,
                                    .blackhole_start_us = start,
                                    .blackhole_end_us = start + 5 * SIM_SECOND};
    sim_link(&f->sim, &hole);
    uint64_t before = r->items;
    for (; sim_now(&f->sim) < start + 5 * SIM_SECOND; number++) {
        publish(f, number % KEYS, number);
        if (number % 20 == 0) run(f, 10000);
        assert_in_range(info_of(f).queued_max, 0, KEYS);
    }
    uint64_t in_lane = info_of(f).sent - before;
    assert_true(in_lane * 8 < 40000); /* a frame has at least 8 bytes */
    assert_true(number > 5000);
    run(f, 20 * SIM_SECOND);
    assert_in_range(r->items - before, 1, in_lane + KEYS);
    for (uint32_t n = number - KEYS; n < number; n++) assert_int_equal(r->last[n % KEYS], n);
    sim_close(&f->sim);
}

/* 1 MB/s over 40 Mbit/s and 50 ms: the row of the last events never overflows, for what has left is
 * not counted against the feed. */
static void test_a_fast_path_loses_no_event(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct field *f = open_field(fidelities[i], 1, WEIR_FEED_DROP_OLDEST, 256);
        struct reader *r = &f->reader[2];
        const weir_link_options link = {
            .size = sizeof link, .delay_us_plus1 = 25001, .bandwidth_bps = 40000000};
        char value[1000];
        sim_link(&f->sim, &link);
        subscribe(f, 2);
        run(f, SIM_SECOND);
        uint32_t number = 1;
        for (uint32_t ms = 0; ms < 5000; ms++) {
            memset(value, ' ', sizeof value);
            (void)snprintf(value, sizeof value, "%u", number++);
            assert_int_equal(
                weir_feed_publish(f->sim.nodes[1], f->feed, NULL, 0, value, sizeof value), 1);
            run(f, 1000);
        }
        run(f, SIM_SECOND);
        assert_int_equal(r->items, 5000);
        assert_int_equal(r->missed, 0);
        assert_int_equal(info_of(f).missed, 0);
        sim_close(&f->sim);
    }
}

static void test_sums_lose_nothing_over_a_bad_link(void **state)
{
    (void)state;
    struct field *f = open_field(WEIR_FIDELITY_PACKET, 1, WEIR_FEED_SUM, KEYS);
    struct reader *r = &f->reader[2];
    const weir_link_options link = {.size = sizeof link,
                                    .loss_ppm = 100000,
                                    .bandwidth_bps = 100000,
                                    .queue_bytes = 20000,
                                    .duplicate_ppm = 20000,
                                    .reorder_ppm = 50000,
                                    .reorder_us = 30000};
    int64_t total = 0;
    subscribe(f, 2);
    run(f, SIM_SECOND);
    sim_link(&f->sim, &link);
    for (uint32_t n = 0; n < 50000; n++) {
        char key[8];
        int len = snprintf(key, sizeof key, "%u", n % KEYS);
        int64_t amount = (int64_t)(n % 17) - 5;
        total += amount;
        assert_int_equal(weir_feed_add(f->sim.nodes[1], f->feed, key, (uint32_t)len, amount), 1);
        if (n % 100 == 0) run(f, 10000);
    }
    run(f, 60 * SIM_SECOND);
    assert_true(r->sum == total);
    assert_int_equal(r->items + r->missed, 50000);
    assert_true(r->missed > 10000);
    sim_close(&f->sim);
}

static void test_values_are_kept_once_for_many_subscribers(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct field *f = open_field(fidelities[i], READERS_MAX, WEIR_FEED_STATE, 8);
        char value[VALUE_MAX] = {'1'};
        for (uint32_t k = 0; k < 8; k++) {
            char key = (char)('0' + k);
            assert_int_equal(
                weir_feed_publish(f->sim.nodes[1], f->feed, &key, 1, value, sizeof value), 0);
        }
        uint64_t alone = info_of(f).memory_bytes;
        for (uint32_t n = 2; n < READERS_MAX + 2; n++) subscribe(f, n);
        run(f, 5 * SIM_SECOND);
        assert_int_equal(info_of(f).subscribers, READERS_MAX);
        assert_true(info_of(f).memory_bytes - alone < READERS_MAX * UINT64_C(512));
        for (uint32_t n = 2; n < READERS_MAX + 2; n++) assert_int_equal(f->reader[n].items, 8);
        assert_int_equal(weir_feed_publish(f->sim.nodes[1], f->feed, "0", 1, "7", 1), READERS_MAX);
        run(f, SIM_SECOND);
        for (uint32_t n = 2; n < READERS_MAX + 2; n++) assert_int_equal(f->reader[n].items, 9);
        sim_close(&f->sim);
    }
}

static void test_a_drain_ends_subscriptions_without_complaint(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct field *f = open_field(fidelities[i], 1, WEIR_FEED_STATE, 8);
        subscribe(f, 2);
        run(f, SIM_SECOND);
        publish(f, 1, 9);
        assert_int_equal(weir_node_drain(f->sim.nodes[1], 5, 10 * SIM_SECOND), 0);
        uint64_t start = sim_now(&f->sim);
        run(f, 5 * SIM_SECOND);
        assert_int_equal(f->reader[2].last[1], 9);
        assert_int_equal(f->reader[2].closed, 1);
        assert_int_equal(f->reader[2].error, 0);
        weir_connection_info info = {.size = sizeof info};
        assert_int_equal(weir_connection_get_info(f->sim.nodes[2], f->reader[2].connection, &info),
                         WEIR_E_STALE); /* closed long before the deadline */
        assert_true(sim_now(&f->sim) < start + 10 * SIM_SECOND);
        sim_close(&f->sim);
    }
}

static void test_the_interface_checks_its_arguments(void **state)
{
    (void)state;
    struct field *f = open_field(WEIR_FIDELITY_MESSAGE, 1, WEIR_FEED_STATE, 8);
    weir_node *node = f->sim.nodes[1];
    weir_feed_options options = {.size = sizeof options, .kind = 9, .keys_max = 1};
    weir_feed_item item = {.size = 1};
    weir_feed_info info = {.size = 1};
    char data[8];
    assert_int_equal(weir_feed_open(NULL, "x", &options), WEIR_E_NULL);
    assert_int_equal(weir_feed_open(node, NULL, &options), WEIR_E_NULL);
    assert_int_equal(weir_feed_open(node, "x", &options), WEIR_E_ARGUMENT);
    assert_int_equal(weir_feed_open(node, "x", NULL), WEIR_E_ARGUMENT);
    assert_int_equal(weir_feed_publish(node, f->feed, NULL, 3, "x", 1), WEIR_E_NULL);
    assert_int_equal(weir_feed_publish(node, f->feed, "k", 1, NULL, 1), WEIR_E_NULL);
    assert_int_equal(weir_feed_publish(node, 0, "k", 1, "x", 1), WEIR_E_STALE);
    assert_int_equal(weir_feed_subscribe(node, f->feed, NAME, 0), WEIR_E_KIND);
    assert_int_equal(weir_feed_close(node, f->feed, 0x10000000), WEIR_E_ARGUMENT);
    assert_int_equal(weir_feed_read(node, f->feed, &item, data, 8), WEIR_E_SIZE);
    item.size = sizeof item;
    assert_int_equal(weir_feed_read(node, f->feed, &item, NULL, 8), WEIR_E_NULL);
    assert_int_equal(weir_feed_read(node, f->feed, &item, data, 8), WEIR_E_KIND);
    assert_int_equal(weir_feed_get_info(node, f->feed, &info), WEIR_E_SIZE);
    assert_int_equal(weir_feed_get_info(node, f->feed, NULL), WEIR_E_NULL);
    sim_close(&f->sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_flows_from_present_values_to_the_end),
        cmocka_unit_test(test_a_reader_that_stands_still_gets_the_last_of_each_key),
        cmocka_unit_test(test_a_link_that_stalls_delays_little_that_is_stale),
        cmocka_unit_test(test_a_fast_path_loses_no_event),
        cmocka_unit_test(test_sums_lose_nothing_over_a_bad_link),
        cmocka_unit_test(test_values_are_kept_once_for_many_subscribers),
        cmocka_unit_test(test_a_drain_ends_subscriptions_without_complaint),
        cmocka_unit_test(test_the_interface_checks_its_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
