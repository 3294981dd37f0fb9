/* SPDX-License-Identifier: MIT */
/* Goal: feeds and subscriptions end once and leave nothing, what has no place is refused with a
 * reason, and any allocation may fail. Method: two nodes on the fake network; each end from either
 * side; a subscriber that speaks; each allocation failing once. */
#include "unit/node/feeds_pair.h"

static void test_a_closed_feed_ends_its_subscriptions_after_the_last_item(void **state)
{
    struct pair *p = pair_of(state);
    uint64_t feed = open_feed(p, WEIR_FEED_STATE, 8), sub = subscribe(p);
    publish(p, feed, "a", "1");
    close_feed(p, p->writer, feed, 0);
    assert_int_equal(call_simple(&p->net, p->writer, NODE_CALL_FEED_CLOSE, feed, 0, 0),
                     WEIR_E_STALE);
    assert_int_equal(turn(p), 1);
    assert_int_equal(p->events[0].kind, WEIR_EVENT_FEED);
    expect(p, sub, "a", "1", 0);
    assert_int_equal(turn(p), 1);
    assert_int_equal(p->events[0].kind, WEIR_EVENT_FEED_CLOSED);
    assert_int_equal(p->events[0].error, 0);
    assert_int_equal(read_item(p, sub), WEIR_E_END);
    assert_int_equal(turn(p), 0);
    assert_int_equal(read_item(p, sub), WEIR_E_STALE);
    /* The name is free again. */
    (void)open_feed(p, WEIR_FEED_SUM, 8);
}

static void test_a_reason_ends_subscriptions_at_once(void **state)
{
    struct pair *p = pair_of(state);
    uint64_t feed = open_feed(p, WEIR_FEED_STATE, 8), sub = subscribe(p);
    publish(p, feed, "a", "1");
    (void)turn(p);
    close_feed(p, p->writer, feed, 4711);
    net_settle(&p->net);
    assert_int_equal(read_item(p, sub), WEIR_E_RESET);
    assert_int_equal(turn(p), 1);
    assert_int_equal(p->events[0].kind, WEIR_EVENT_FEED_CLOSED);
    assert_int_equal(p->events[0].error, WEIR_E_RESET);
    assert_int_equal(p->events[0].amount, 4711);
    assert_int_equal(p->events[0].user, 77);
    assert_int_equal(turn(p), 0);
}

static void test_a_subscription_that_is_closed_leaves_nothing_at_the_publisher(void **state)
{
    struct pair *p = pair_of(state);
    uint64_t feed = open_feed(p, WEIR_FEED_STATE, 8), sub = subscribe(p);
    publish(p, feed, "a", "1");
    uint64_t with_one = info_of(p->writer, feed).memory_bytes;
    close_feed(p, p->reader, sub, 5);
    assert_int_equal(read_item(p, sub), WEIR_E_STALE);
    assert_int_equal(turn(p), 0);
    assert_int_equal(info_of(p->writer, feed).subscribers, 0);
    assert_true(info_of(p->writer, feed).memory_bytes < with_one);
    assert_int_equal(publish_bytes(p, feed, "a", "2", 1), 0);
    assert_int_equal(p->net.metrics.value[METRIC_FEED_SUBSCRIBERS], 0);
    assert_int_equal(p->net.metrics.value[METRIC_STREAMS_OPEN], 0);
}

static void test_a_connection_that_ends_ends_its_subscriptions(void **state)
{
    struct pair *p = pair_of(state);
    uint64_t feed = open_feed(p, WEIR_FEED_STATE, 8), sub = subscribe(p);
    publish(p, feed, "a", "1");
    (void)turn(p);
    assert_int_equal(call_simple(&p->net, p->writer, NODE_CALL_CONNECTION_CLOSE, p->conn[1], 9, 0),
                     0);
    net_run(&p->net, 10000);
    uint32_t count = poll_node(p, p->reader);
    assert_int_equal(p->events[0].kind, WEIR_EVENT_FEED_CLOSED);
    assert_int_equal(p->events[0].object, sub);
    assert_int_equal(p->events[0].error, WEIR_E_NOT_CONNECTED);
    assert_int_equal(p->events[0].amount, 9);
    assert_int_equal(count_kind(p->events, count, WEIR_EVENT_CONNECTION_CLOSED), 1);
    assert_int_equal(read_item(p, sub), WEIR_E_RESET);
    assert_int_equal(info_of(p->writer, feed).subscribers, 0);
}

static void test_a_drain_finishes_feeds_and_waits_for_their_last_bytes(void **state)
{
    struct pair *p = pair_of(state);
    uint64_t feed = open_feed(p, WEIR_FEED_STATE, 8), sub = subscribe(p);
    publish(p, feed, "a", "1");
    assert_int_equal(call_simple(&p->net, p->writer, NODE_CALL_DRAIN, 0, 3, 1000000), 0);
    assert_int_equal(publish_bytes(p, feed, "a", "2", 1), 0);
    net_run(&p->net, 50000);
    expect(p, sub, "a", "1", 0);
    assert_int_equal(read_item(p, sub), WEIR_E_END);
    assert_int_equal(info_of(p->writer, feed).subscribers, 0);
    assert_int_equal(poll_node(p, p->writer), 0);
    net_run(&p->net, 100000);
    uint32_t count = poll_node(p, p->writer);
    assert_int_equal(count_kind(p->events, count, WEIR_EVENT_DRAINED), 1);
    assert_int_equal(subscribe_to(p, "prices"), WEIR_E_NOT_CONNECTED);
}

static void test_calls_that_make_no_sense_are_refused(void **state)
{
    struct pair *p = pair_of(state);
    char long_key[66];
    memset(long_key, 'k', sizeof long_key);
    long_key[65] = 0;
    const struct {
        uint32_t kind, keys_max, item_max, urgency;
        const char *name;
        int error;
    } cases[] = {
        {0, 1, 0, 0, "f", WEIR_E_ARGUMENT},          {4, 1, 0, 0, "f", WEIR_E_ARGUMENT},
        {1, 0, 0, 0, "f", WEIR_E_ARGUMENT},          {1, 4097, 0, 0, "f", WEIR_E_LIMIT},
        {1, UINT32_MAX, 0, 0, "f", WEIR_E_ARGUMENT}, {1, 1, 16385, 0, "f", WEIR_E_LIMIT},
        {1, 1, 0, 9, "f", WEIR_E_ARGUMENT},          {1, 1, 0, 0, "a b", WEIR_E_NAME},
        {1, 1, 0, 0, "weir/feed", WEIR_E_NAME},      {1, 1, 0, 0, "prices", WEIR_E_EXISTS},
    };
    uint64_t state_feed = open_feed(p, WEIR_FEED_STATE, 2);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const weir_feed_options options = {.size = sizeof options,
                                           .kind = cases[i].kind,
                                           .keys_max = cases[i].keys_max,
                                           .item_max_bytes = cases[i].item_max,
                                           .urgency_plus1 = cases[i].urgency};
        assert_int_equal(open_with(p, cases[i].name, &options), cases[i].error);
    }
    const weir_feed_options sums = {.size = sizeof sums, .kind = WEIR_FEED_SUM, .keys_max = 1};
    uint64_t sum_feed = (uint64_t)open_with(p, "sums", &sums);
    const weir_feed_options row = {
        .size = sizeof row, .kind = WEIR_FEED_DROP_OLDEST, .keys_max = 1};
    uint64_t row_feed = (uint64_t)open_with(p, "row", &row);
    assert_int_equal(publish_bytes(p, state_feed, NULL, "x", 1), WEIR_E_ARGUMENT);
    assert_int_equal(publish_bytes(p, state_feed, long_key, "x", 1), WEIR_E_ARGUMENT);
    assert_int_equal(publish_bytes(p, state_feed, "a", p->data, ITEM_MAX + 1), WEIR_E_ARGUMENT);
    assert_int_equal(publish_bytes(p, sum_feed, "a", "x", 1), WEIR_E_ARGUMENT);
    assert_int_equal(publish_bytes(p, row_feed, "a", "x", 1), WEIR_E_ARGUMENT);
    assert_int_equal(publish_bytes(p, row_feed, NULL, p->data, 1025), WEIR_E_ARGUMENT);
    assert_int_equal(add(p, state_feed, "a", 1), WEIR_E_ARGUMENT);
    assert_int_equal(add(p, sum_feed, "", 1), WEIR_E_ARGUMENT);
    assert_int_equal(add(p, sum_feed, "a", 1), 0);
    assert_int_equal(add(p, sum_feed, "b", 1), WEIR_E_LIMIT);
    publish(p, state_feed, "a", "1");
    publish(p, state_feed, "b", "1");
    assert_int_equal(publish_bytes(p, state_feed, "c", "x", 1), WEIR_E_LIMIT);
    publish(p, state_feed, "a", NULL);
    publish(p, state_feed, "c", "1");
    assert_int_equal(subscribe_to(p, "a b"), WEIR_E_NAME);
    uint64_t sub = subscribe(p);
    assert_int_equal(publish_bytes(p, sub, "c", "x", 1), WEIR_E_STALE); /* the other node's */
    assert_int_equal(read_item(p, state_feed), WEIR_E_STALE);
    assert_int_equal(read_item(p, p->conn[0]), WEIR_E_KIND);
    assert_int_equal(call_text(&p->net, p->writer, NODE_CALL_UNSERVE, 0, "prices", NULL),
                     WEIR_E_STATE);
    assert_int_equal(read_cap(p, sub, 0), WEIR_E_SPACE);
    expect(p, sub, "c", "1", 0);
}

static void test_feeds_are_counted_against_their_limit(void **state)
{
    struct pair *p = pair_of(state);
    const weir_feed_options options = {
        .size = sizeof options, .kind = WEIR_FEED_STATE, .keys_max = 1};
    char name[16];
    int64_t first = open_with(p, "0", &options);
    for (unsigned i = 1; i < 64; i++) {
        (void)snprintf(name, sizeof name, "%u", i);
        assert_true(open_with(p, name, &options) > 0);
    }
    assert_int_equal(open_with(p, "64", &options), WEIR_E_LIMIT);
    close_feed(p, p->writer, (uint64_t)first, 0);
    assert_true(open_with(p, "64", &options) > 0);
}

static void test_subscriptions_that_have_no_place_are_refused_with_a_reason(void **state)
{
    struct pair *p = pair_of(state);
    const weir_feed_options options = {
        .size = sizeof options, .kind = WEIR_FEED_STATE, .keys_max = 1, .subscribers_max = 1};
    assert_true(open_with(p, "prices", &options) > 0);
    uint64_t sub = subscribe(p);
    int64_t second = subscribe_to(p, "prices"), nowhere = subscribe_to(p, "nowhere");
    assert_int_equal(turn(p), 2);
    for (unsigned i = 0; i < 2; i++) {
        bool is_second = p->events[i].object == (uint64_t)second;
        assert_true(is_second || p->events[i].object == (uint64_t)nowhere);
        assert_int_equal(p->events[i].kind, WEIR_EVENT_FEED_CLOSED);
        assert_int_equal(p->events[i].amount,
                         is_second ? WEIR_REASON_FULL : WEIR_REASON_PROTOCOL_NOT_SERVED);
    }
    assert_int_equal(p->net.metrics.value[METRIC_FEED_REFUSED], 1);
    close_feed(p, p->reader, sub, 0);
    (void)turn(p);
    (void)subscribe(p);
    assert_int_equal(p->net.metrics.value[METRIC_FEED_SUBSCRIBERS], 1);
}

/* A publisher that waits for nothing has no turns: what remotes make and end must go without. */
static void test_subscriptions_that_come_and_go_leave_nothing_without_a_turn(void **state)
{
    struct pair *p = pair_of(state);
    uint64_t feed = open_feed(p, WEIR_FEED_STATE, 8), before = 0;
    publish(p, feed, "a", "1");
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t sub = subscribe(p);
        close_feed(p, p->reader, sub, 0);
        net_settle(&p->net);
        (void)poll_node(p, p->reader);
        if (i == 1000) before = node_memory_used(p->writer);
    }
    assert_int_equal(node_memory_used(p->writer), before);
    assert_int_equal(info_of(p->writer, feed).subscribers, 0);
}

/* A stream of the feed's name that the reader's node knows nothing of. */
static struct stream *raw_stream(struct pair *p, bool one_way, const void *bytes, size_t len,
                                 bool fin)
{
    int error;
    struct transport_conn *c =
        &list_first(&p->net.transports[0]->conns, struct fake_conn, link)->base;
    struct stream *s = streams_open_local(c, one_way, 3, &error);
    assert_non_null(s);
    s->node_flags = 2; /* hidden */
    assert_int_equal(stream_write(s, bytes, len, false, fin, p->net.now_us), len);
    stream_release(s, p->net.now_us);
    net_settle(&p->net);
    return s;
}

static void test_a_subscriber_says_nothing_but_the_name(void **state)
{
    struct pair *p = pair_of(state);
    uint64_t feed = open_feed(p, WEIR_FEED_STATE, 8);
    const uint64_t *refused = &p->net.metrics.value[METRIC_FEED_REFUSED];
    (void)raw_stream(p, false, "\6pricesx", 8, false);
    assert_int_equal(info_of(p->writer, feed).subscribers, 0);
    assert_int_equal(*refused, 1);
    (void)raw_stream(p, true, "\6prices", 7, true);
    assert_int_equal(*refused, 2);
    struct stream *s = raw_stream(p, false, "\6prices", 7, false);
    assert_int_equal(info_of(p->writer, feed).subscribers, 1);
    publish(p, feed, "a", "1");
    assert_int_equal(stream_write(s, "more", 4, false, false, p->net.now_us), 4);
    stream_release(s, p->net.now_us);
    net_settle(&p->net);
    assert_int_equal(info_of(p->writer, feed).subscribers, 0);
    assert_int_equal(*refused, 3);
    assert_int_equal(p->net.metrics.value[METRIC_STREAMS_OPEN], 0);
}

/* Whatever allocation fails: nothing leaks, and what the subscriber reads is whole. */
static bool scenario(struct pair *p, uint64_t fail_at)
{
    const weir_feed_options options = {
        .size = sizeof options, .kind = 1 + (uint32_t)(fail_at % 3), .keys_max = 40};
    bool is_row = options.kind == WEIR_FEED_DROP_OLDEST, failed;
    char key[8];
    p->net.counter.fail_at = fail_at;
    int64_t feed = open_with(p, "prices", &options);
    for (unsigned i = 0; feed > 0 && i < 60; i++) {
        (void)snprintf(key, sizeof key, "%u", i % 30);
        if (options.kind == WEIR_FEED_SUM) {
            (void)add(p, (uint64_t)feed, key, 1);
        } else {
            (void)publish_bytes(p, (uint64_t)feed, is_row ? NULL : key, i % 7 == 6 ? NULL : key,
                                i % 7 == 6 ? 0 : strlen(key));
        }
        if (i == 20) (void)subscribe_to(p, "prices");
        if (i % 10 == 0) (void)turn(p);
    }
    for (unsigned i = 0; i < 3; i++) {
        uint32_t count = turn(p);
        for (uint32_t e = 0; e < count; e++) {
            if (p->events[e].kind != WEIR_EVENT_FEED) continue;
            while (read_item(p, p->events[e].object) >= 0) {
                if (!is_row) assert_true(p->item.key_len > 0);
            }
        }
    }
    failed = p->net.counter.fail_at == 0;
    p->net.counter.fail_at = 0;
    return failed;
}

static void test_each_allocation_may_fail(void **state)
{
    (void)state;
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        void *own;
        failed = false;
        for (uint64_t kind = 0; kind < 3; kind++) {
            assert_int_equal(setup(&own), 0);
            failed = scenario(own, 3 * n + kind) || failed;
            assert_int_equal(teardown(&own), 0);
        }
        assert_true(n < 2000);
    }
}

int main(void)
{
#define PAIR_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        PAIR_TEST(test_a_closed_feed_ends_its_subscriptions_after_the_last_item),
        PAIR_TEST(test_a_reason_ends_subscriptions_at_once),
        PAIR_TEST(test_a_subscription_that_is_closed_leaves_nothing_at_the_publisher),
        PAIR_TEST(test_a_connection_that_ends_ends_its_subscriptions),
        PAIR_TEST(test_a_drain_finishes_feeds_and_waits_for_their_last_bytes),
        PAIR_TEST(test_calls_that_make_no_sense_are_refused),
        PAIR_TEST(test_feeds_are_counted_against_their_limit),
        PAIR_TEST(test_subscriptions_that_have_no_place_are_refused_with_a_reason),
        PAIR_TEST(test_subscriptions_that_come_and_go_leave_nothing_without_a_turn),
        PAIR_TEST(test_a_subscriber_says_nothing_but_the_name),
        cmocka_unit_test(test_each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
