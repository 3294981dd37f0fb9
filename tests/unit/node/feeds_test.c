/* SPDX-License-Identifier: MIT */
/* Goal: a feed tells each subscriber what changed, merged to one item for each key, whatever its
 * pace. Method: two nodes on the fake network, whose lanes move only when the test says so; readers
 * that stand still. */
#include "unit/node/feeds_pair.h"

static void test_a_new_subscriber_gets_the_present_values_and_then_what_changes(void **state)
{
    struct pair *p = pair_of(state);
    uint64_t feed = open_feed(p, WEIR_FEED_STATE, 8);
    publish(p, feed, "gold", "1");
    publish(p, feed, "tin", "22");
    publish(p, feed, "gold", "333");
    uint64_t sub = subscribe(p);
    assert_int_equal(poll_node(p, p->reader), 1);
    assert_int_equal(p->events[0].kind, WEIR_EVENT_FEED);
    assert_int_equal(p->events[0].object, sub);
    assert_int_equal(p->events[0].parent, p->conn[0]);
    assert_int_equal(p->events[0].user, 77);
    expect(p, sub, "gold", "333", 0);
    expect(p, sub, "tin", "22", 0);
    expect_none(p, sub);
    publish(p, feed, "tin", "");
    assert_int_equal(turn(p), 1);
    expect(p, sub, "tin", "", 0);
    expect_none(p, sub);
    weir_feed_info at_writer = info_of(p->writer, feed), at_reader = info_of(p->reader, sub);
    assert_int_equal(at_writer.is_local, 1);
    assert_int_equal(at_writer.kind, WEIR_FEED_STATE);
    assert_int_equal(at_writer.subscribers, 1);
    assert_int_equal(at_writer.keys, 2);
    assert_int_equal(at_writer.published, 4);
    assert_int_equal(at_writer.sent, 3);
    assert_int_equal(at_writer.missed, 0);
    assert_true(at_writer.memory_bytes > ITEM_MAX);
    assert_int_equal(at_reader.is_local, 0);
    assert_int_equal(at_reader.kind, WEIR_FEED_STATE);
    assert_int_equal(at_reader.published, 3);
}

static void test_items_are_told_once_until_none_waits(void **state)
{
    struct pair *p = pair_of(state);
    uint64_t feed = open_feed(p, WEIR_FEED_STATE, 8), sub = subscribe(p);
    assert_int_equal(poll_node(p, p->reader), 0);
    publish(p, feed, "a", "1");
    assert_int_equal(turn(p), 1);
    publish(p, feed, "a", "2");
    assert_int_equal(turn(p), 0);
    expect(p, sub, "a", "1", 0);
    publish(p, feed, "a", "3");
    assert_int_equal(turn(p), 0);
    expect(p, sub, "a", "2", 0);
    expect(p, sub, "a", "3", 0);
    assert_int_equal(turn(p), 0);
    expect_none(p, sub);
    publish(p, feed, "a", "4");
    assert_int_equal(turn(p), 1);
    /* Read before it is told: not told. */
    expect(p, sub, "a", "4", 0);
    expect_none(p, sub);
    publish(p, feed, "a", "5");
    (void)poll_node(p, p->writer);
    expect(p, sub, "a", "5", 0);
    expect_none(p, sub);
    assert_int_equal(turn(p), 0);
}

static void test_what_was_not_sent_is_merged_and_counted(void **state)
{
    struct pair *p = pair_of(state);
    char big[ITEM_MAX];
    uint64_t feed = open_feed(p, WEIR_FEED_STATE, 8), sub = subscribe(p);
    memset(big, 'x', sizeof big);
    /* Three long ones fill what may wait in the lane; nothing moves meanwhile. */
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(publish_bytes(p, feed, "big", big, sizeof big), 1);
    }
    for (unsigned i = 0; i < 4; i++) publish(p, feed, "a", i == 3 ? "last" : "old");
    publish(p, feed, "b", "1");
    assert_int_equal(info_of(p->writer, feed).queued_max, 3);
    assert_int_equal(info_of(p->writer, feed).missed, 3);
    assert_int_equal(turn(p), 1);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(read_item(p, sub), sizeof big);
        assert_memory_equal(p->data, big, sizeof big);
    }
    expect(p, sub, "a", "last", 3);
    expect(p, sub, "b", "1", 0);
    expect_none(p, sub);
    assert_int_equal(info_of(p->reader, sub).missed, 3);
    assert_int_equal(p->net.metrics.value[METRIC_FEED_MISSED], 3);
    assert_int_equal(p->net.metrics.value[METRIC_FEED_PUBLISHED], 9);
    assert_int_equal(p->net.metrics.value[METRIC_FEED_SENT], 6);
    assert_int_equal(p->net.metrics.value[METRIC_FEED_RECEIVED], 6);
}

/* Fill the lane, so that what is published next waits in slots. */
static void fill_lane(struct pair *p, uint64_t feed)
{
    static char big[ITEM_MAX];
    for (unsigned i = 0; i < 4; i++)
        assert_true(publish_bytes(p, feed, "big", big, sizeof big) > 0);
    assert_int_equal(info_of(p->writer, feed).queued_max, 1);
}

static void skip_lane(struct pair *p, uint64_t sub)
{
    for (unsigned i = 0; i < 4; i++) assert_int_equal(read_item(p, sub), ITEM_MAX);
}

static void test_removals_reach_whoever_was_told_of_the_key(void **state)
{
    struct pair *p = pair_of(state);
    uint64_t feed = open_feed(p, WEIR_FEED_STATE, 8), sub = subscribe(p);
    publish(p, feed, "known", "1");
    publish(p, feed, "back", "1");
    (void)turn(p);
    expect(p, sub, "known", "1", 0);
    expect(p, sub, "back", "1", 0);
    fill_lane(p, feed);
    publish(p, feed, "unknown", "1");
    publish(p, feed, "unknown", NULL);
    publish(p, feed, "known", NULL);
    publish(p, feed, "back", NULL);
    publish(p, feed, "back", "2");
    publish(p, feed, "never there", NULL);
    assert_int_equal(info_of(p->writer, feed).keys, 2);
    (void)turn(p);
    skip_lane(p, sub);
    expect(p, sub, "known", NULL, 0);
    expect(p, sub, "back", "2", 1);
    expect_none(p, sub);
    /* A key that came and went in the same place. */
    publish(p, feed, "known", "3");
    (void)turn(p);
    expect(p, sub, "known", "3", 0);
    /* New subscribers hear of none of it. */
    uint64_t late = subscribe(p);
    expect(p, late, "known", "3", 0); /* in the place that was free */
    expect(p, late, "back", "2", 0);
    assert_int_equal(read_item(p, late), ITEM_MAX);
    expect_none(p, late);
}

/* Until the reader's credit is used up. */
static void stall(struct pair *p, uint64_t feed, const char *key)
{
    static char big[ITEM_MAX];
    for (unsigned i = 0; i < 20; i++) {
        assert_true(publish_bytes(p, feed, key, big, sizeof big) > 0);
        (void)poll_node(p, p->writer);
    }
    assert_true(info_of(p->writer, feed).queued_max > 0);
}

static void test_who_keeps_the_oldest_of_too_many_removals_waiting_is_reset(void **state)
{
    struct pair *p = pair_of(state);
    uint64_t feed = open_feed(p, WEIR_FEED_STATE, 2), first = subscribe(p);
    publish(p, feed, "a", "1");
    stall(p, feed, "b");
    publish(p, feed, "a", NULL);
    publish(p, feed, "b", NULL);
    uint64_t second = subscribe(p);
    publish(p, feed, "c", "1");
    stall(p, feed, "d");
    publish(p, feed, "c", NULL);
    assert_int_equal(info_of(p->writer, feed).subscribers, 2);
    assert_int_equal(info_of(p->writer, feed).keys, 1);
    publish(p, feed, "e", "1"); /* a fifth place: the first subscriber holds two of the four */
    assert_int_equal(info_of(p->writer, feed).subscribers, 1);
    uint32_t count = turn(p);
    assert_int_equal(count_kind(p->events, count, WEIR_EVENT_FEED_CLOSED), 1);
    for (uint32_t i = 0; i < count; i++) {
        if (p->events[i].kind != WEIR_EVENT_FEED_CLOSED) continue;
        assert_int_equal(p->events[i].object, first);
        assert_int_equal(p->events[i].amount, WEIR_REASON_TOO_SLOW);
    }
    for (unsigned round = 0; round < 3; round++, (void)turn(p)) {
        while (read_item(p, second) >= 0) {
        }
    }
    assert_int_equal(info_of(p->writer, feed).queued_max, 0);
}

static void test_keys_that_come_and_go_while_a_reader_stands_still_cost_no_more_than_keys(
    void **state)
{
    struct pair *p = pair_of(state);
    char key[8];
    uint64_t most = 0, feed = open_feed(p, WEIR_FEED_STATE, 4);
    (void)subscribe(p);
    for (unsigned i = 0; i < 40000; i++) {
        (void)snprintf(key, sizeof key, "%u", i);
        publish(p, feed, key, "some value");
        if (i % 7 == 0) (void)poll_node(p, p->writer);
        if (i >= 3) {
            (void)snprintf(key, sizeof key, "%u", i - 3);
            publish(p, feed, key, NULL);
        }
        weir_feed_info info = info_of(p->writer, feed);
        if (info.memory_bytes > most) most = info.memory_bytes;
        assert_true(info.queued_max <= 8);
        assert_int_equal(info.subscribers, 1);
    }
    assert_true(most < 30000);
}

static void test_sums_are_added_up_until_they_leave(void **state)
{
    struct pair *p = pair_of(state);
    uint64_t feed = open_feed(p, WEIR_FEED_SUM, 8);
    assert_int_equal(add(p, feed, "before", 5), 0);
    uint64_t sub = subscribe(p);
    assert_int_equal(add(p, feed, "a", 5), 1);
    (void)turn(p);
    expect_sum(p, sub, "a", 5, 0);
    expect_none(p, sub);
    for (unsigned i = 0; i < 10000; i++) assert_int_equal(add(p, feed, "a", -2), 1);
    (void)turn(p);
    int64_t sum = 0;
    uint64_t missed = 0, items = 0;
    for (; read_item(p, sub) == 0; items++) {
        sum += p->item.sum;
        missed += p->item.missed;
    }
    assert_true(sum == -20000);
    assert_int_equal(items + missed, 10000);
    assert_true(missed > 0);
}

static void test_a_sum_that_no_item_can_carry_comes_in_parts(void **state)
{
    struct pair *p = pair_of(state);
    uint64_t feed = open_feed(p, WEIR_FEED_SUM, 8), sub = subscribe(p);
    const int64_t amounts[] = {INT64_MAX, INT64_MIN, (INT64_C(1) << 61) - 1, -(INT64_C(1) << 61)};
    for (unsigned i = 0; i < 4; i++) {
        uint64_t total = 0, items = 0;
        assert_int_equal(add(p, feed, "a", amounts[i]), 1);
        (void)turn(p);
        for (; read_item(p, sub) == 0; items++) total += (uint64_t)p->item.sum;
        assert_true(total == (uint64_t)amounts[i]);
        assert_true(i < 2 ? items > 1 : items == 1);
    }
}

static void test_who_is_slow_misses_the_oldest_events(void **state)
{
    struct pair *p = pair_of(state);
    char text[8], big[ITEM_MAX] = {0};
    uint64_t feed = open_feed(p, WEIR_FEED_DROP_OLDEST, 4);
    publish(p, feed, NULL, "before");
    uint64_t sub = subscribe(p);
    expect_none(p, sub);
    for (unsigned i = 0; i < 3; i++) (void)publish_bytes(p, feed, NULL, big, sizeof big);
    for (unsigned i = 0; i < 10; i++) {
        (void)snprintf(text, sizeof text, "%u", i);
        publish(p, feed, NULL, text);
    }
    assert_int_equal(info_of(p->writer, feed).queued_max, 4);
    assert_int_equal(info_of(p->writer, feed).keys, 4);
    (void)turn(p);
    for (unsigned i = 0; i < 3; i++) assert_int_equal(read_item(p, sub), sizeof big);
    expect(p, sub, "", "6", 6);
    expect(p, sub, "", "7", 0);
    expect(p, sub, "", "8", 0);
    expect(p, sub, "", "9", 0);
    expect_none(p, sub);
    publish(p, feed, NULL, "");
    (void)turn(p);
    expect(p, sub, "", "", 0);
    assert_int_equal(info_of(p->writer, feed).missed, 6);
}

/* 1,000,000 updates of 100 keys: what waits is one slot each, and what arrives last is the last. */
static void test_a_stalled_subscriber_costs_a_slot_for_each_key(void **state)
{
    enum { KEYS = 100, UPDATES = 1000000 };
    struct pair *p = pair_of(state);
    char key[8], text[16];
    unsigned last[KEYS] = {0};
    uint64_t feed = open_feed(p, WEIR_FEED_STATE, KEYS), sub = subscribe(p), in_lane = 0;
    for (unsigned i = 0; i < UPDATES; i++) {
        (void)snprintf(key, sizeof key, "%u", i % KEYS);
        (void)snprintf(text, sizeof text, "%u", i);
        publish(p, feed, key, text);
        if (i % 1000 == 0) (void)poll_node(p, p->writer);
        if (i == UPDATES / 2) in_lane = info_of(p->writer, feed).sent;
    }
    weir_feed_info info = info_of(p->writer, feed);
    assert_int_equal(info.queued_max, KEYS);
    assert_int_equal(info.sent, in_lane);
    assert_int_equal(info.sent + info.missed + KEYS, UPDATES);
    assert_true(info.memory_bytes < 100000);
    uint64_t items = 0;
    for (unsigned rounds = 0; rounds < 10; rounds++) {
        for (; read_item(p, sub) >= 0; items++)
            last[strtoul((char *)p->item.key, NULL, 10)] = (unsigned)strtoul(p->data, NULL, 10);
        (void)turn(p);
    }
    assert_int_equal(items, in_lane + KEYS);
    for (unsigned i = 0; i < KEYS; i++) assert_int_equal(last[i], UPDATES - KEYS + i);
}

int main(void)
{
#define PAIR_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        PAIR_TEST(test_a_new_subscriber_gets_the_present_values_and_then_what_changes),
        PAIR_TEST(test_items_are_told_once_until_none_waits),
        PAIR_TEST(test_what_was_not_sent_is_merged_and_counted),
        PAIR_TEST(test_removals_reach_whoever_was_told_of_the_key),
        PAIR_TEST(test_who_keeps_the_oldest_of_too_many_removals_waiting_is_reset),
        PAIR_TEST(test_keys_that_come_and_go_while_a_reader_stands_still_cost_no_more_than_keys),
        PAIR_TEST(test_sums_are_added_up_until_they_leave),
        PAIR_TEST(test_a_sum_that_no_item_can_carry_comes_in_parts),
        PAIR_TEST(test_who_is_slow_misses_the_oldest_events),
        PAIR_TEST(test_a_stalled_subscriber_costs_a_slot_for_each_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
