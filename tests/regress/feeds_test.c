/* SPDX-License-Identifier: MIT */
/* Goal: nothing that a hostile publisher or subscriber sends crashes, leaks, hangs or costs more
 * than the limits say, and others go on being served. Method: whole nodes in a world; the hostile
 * one speaks the wire by hand over plain streams of the feed's name. Node 1 is the victim, node 2
 * the attacker, node 3 honest; bounds are bytes of the victim's budget, and counts. */
#include "base/bytes.h"
#include "base/rng.h"
#include "sim/rig.h"
#include <string.h>

enum { VICTIM = 1, ATTACKER, HONEST, NODES = 3, ITEM_MAX = 16384 };
#define NAME "test/feed/1"

struct scene {
    struct sim sim;
    uint64_t to_victim[NODES + 1];   /**< connections, by node */
    uint64_t from_victim[NODES + 1]; /**< their ends at the victim */
    uint64_t feed;
    weir_event last[WEIR_EVENT_FETCH_CLOSED + 1]; /**< of each kind */
    uint32_t count[WEIR_EVENT_FETCH_CLOSED + 1];
    char data[ITEM_MAX];
    weir_feed_item item;
};
static struct scene scene;

static struct scene *open_scene(void)
{
    struct scene *c = &scene;
    const weir_node_options node = {.size = sizeof node, .observed_off = 1};
    uint64_t ends[2];
    memset(c, 0, sizeof *c);
    sim_open(&c->sim, 11, WEIR_FIDELITY_PACKET, NODES, &node);
    for (uint32_t i = ATTACKER; i <= NODES; i++) {
        assert_true(sim_connect(&c->sim, i, VICTIM, ends, sim_now(&c->sim) + SIM_SECOND));
        c->to_victim[i] = ends[0];
        c->from_victim[i] = ends[1];
    }
    sim_settle(&c->sim, sim_now(&c->sim) + SIM_SECOND);
    return c;
}

static void run(struct scene *c, uint64_t span_us)
{
    uint64_t until = sim_now(&c->sim) + span_us;
    weir_event events[64];
    while (weir_world_run(c->sim.world, until) == 1) {
        int64_t count = weir_world_poll(c->sim.world, 0, events, 64);
        for (int64_t i = 0; i < count; i++) {
            assert_in_range(events[i].kind, 1, WEIR_EVENT_FETCH_CLOSED);
            c->last[events[i].kind] = events[i];
            c->count[events[i].kind]++;
        }
    }
}

static void forget_events(struct scene *c)
{
    memset(c->last, 0, sizeof c->last);
    memset(c->count, 0, sizeof c->count);
}

static uint64_t memory_of(struct scene *c, uint32_t node)
{
    weir_node_statistics s = {.size = sizeof s};
    assert_int_equal(weir_node_get_statistics(c->sim.nodes[node], &s), 0);
    return s.memory_bytes;
}

static uint64_t metric_of(struct scene *c, uint32_t node, const char *wanted)
{
    const char *name;
    uint64_t value;
    for (uint32_t i = 0; weir_node_metric(c->sim.nodes[node], i, &name, &value) == 0; i++)
        if (strcmp(name, wanted) == 0) return value;
    fail_msg("there is no %s", wanted);
    return 0;
}

static uint64_t subscribe(struct scene *c, uint32_t node, uint64_t connection)
{
    int64_t sub = weir_feed_subscribe(c->sim.nodes[node], connection, NAME, 0);
    assert_true(sub > 0);
    return (uint64_t)sub;
}

static int64_t read_item(struct scene *c, uint32_t node, uint64_t sub)
{
    c->item = (weir_feed_item){.size = sizeof c->item};
    return weir_feed_read(c->sim.nodes[node], sub, &c->item, c->data, sizeof c->data);
}

/* Hostile publishers: the victim subscribes, and the attacker holds the other end of the stream. */

struct evil {
    uint64_t subscription, stream;
};

static struct evil subscribe_to_evil(struct scene *c)
{
    struct evil e;
    forget_events(c);
    e.subscription = subscribe(c, VICTIM, c->from_victim[ATTACKER]);
    run(c, 100000);
    assert_int_equal(c->count[WEIR_EVENT_STREAM], 1);
    e.stream = c->last[WEIR_EVENT_STREAM].object;
    return e;
}

static struct scene *open_evil(void)
{
    struct scene *c = open_scene();
    assert_int_equal(weir_node_serve(c->sim.nodes[ATTACKER], NAME, NULL), 0);
    return c;
}

static void say(struct scene *c, const struct evil *e, const void *bytes, size_t len,
                uint32_t flags)
{
    int64_t taken =
        weir_stream_write(c->sim.nodes[ATTACKER], e->stream, bytes, (uint32_t)len, flags);
    assert_int_equal(taken, len);
    run(c, 100000);
}

static void test_frames_that_make_no_sense_end_the_subscription_with_a_reason(void **state)
{
    (void)state;
    const struct {
        const char *what;
        const void *bytes;
        size_t len;
        uint32_t flags;
    } cases[] = {
        {"kind 0", "\0", 1, 0},
        {"kind 4", "\4", 1, 0},
        {"a kind beyond all", "\xff\xff\xff\xff\xff\xff\xff\xff", 8, 0},
        {"half a kind", "\x40", 1, WEIR_FIN},
        {"a key of no bytes", "\1\0\0", 3, 0},
        {"a key of 65 bytes", "\1\0\x40\x41", 4, 0},
        {"a key beyond memory", "\2\0\xff\xff\xff\xff\xff\xff\xff\xff", 10, 0},
        {"a value of 16385 bytes", "\1\0\1k\x80\0\x40\2", 8, 0},
        {"an event of 16385 bytes", "\3\0\x80\0\x40\1", 6, 0},
        {"an event beyond memory", "\3\0\xff\xff\xff\xff\xff\xff\xff\xff", 10, 0},
        {"end inside missed", "\1\x40", 2, WEIR_FIN},
        {"end inside a key", "\1\0\3ke", 5, WEIR_FIN},
        {"end inside a sum", "\2\0\1k\x80", 5, WEIR_FIN},
        {"end inside a value", "\3\0\3ab", 5, WEIR_FIN},
    };
    struct scene *c = open_evil();
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct evil e = subscribe_to_evil(c);
        say(c, &e, cases[i].bytes, cases[i].len, cases[i].flags);
        if (c->count[WEIR_EVENT_FEED_CLOSED] != 1) fail_msg("%s is believed", cases[i].what);
        const weir_event *closed = &c->last[WEIR_EVENT_FEED_CLOSED];
        assert_int_equal(closed->object, e.subscription);
        assert_int_equal(closed->error, WEIR_E_PROTOCOL);
        assert_int_equal(closed->amount, WEIR_REASON_FORMAT);
        assert_int_equal(c->count[WEIR_EVENT_FEED], 0);
        assert_int_equal(c->count[WEIR_EVENT_CONNECTION_CLOSED], 0);
        if (cases[i].flags == 0) {
            assert_int_equal(c->last[WEIR_EVENT_STREAM_STOPPED].amount, WEIR_REASON_FORMAT);
            (void)weir_stream_reset(c->sim.nodes[ATTACKER], e.stream, 0);
        }
        run(c, 100000);
    }
    sim_close(&c->sim);
}

static void test_items_before_the_broken_one_are_read(void **state)
{
    (void)state;
    struct scene *c = open_evil();
    struct evil e = subscribe_to_evil(c);
    say(c, &e, "\1\0\1a\2x\0\1b\0\0\0", 12, 0);
    assert_int_equal(c->count[WEIR_EVENT_FEED], 1);
    assert_int_equal(read_item(c, VICTIM, e.subscription), 1);
    assert_int_equal(c->data[0], 'x');
    assert_int_equal(read_item(c, VICTIM, e.subscription), 0);
    assert_int_equal(c->item.is_removed, 1);
    assert_int_equal(read_item(c, VICTIM, e.subscription), WEIR_E_PROTOCOL);
    run(c, 100000);
    assert_int_equal(c->count[WEIR_EVENT_FEED_CLOSED], 1);
    assert_int_equal(read_item(c, VICTIM, e.subscription), WEIR_E_STALE);
    sim_close(&c->sim);
}

/* There is one kind in a feed: what means to be of another is read as the first. */
static void test_items_of_another_kind_are_read_as_the_first_or_refused(void **state)
{
    (void)state;
    struct scene *c = open_evil();
    struct evil e = subscribe_to_evil(c);
    say(c, &e, "\2\0\1a\4", 5, 0);  /* a sum of 2 */
    say(c, &e, "\0\1a\4xyz", 7, 0); /* a value: sum 2, then rubbish */
    assert_int_equal(read_item(c, VICTIM, e.subscription), 0);
    assert_int_equal(c->item.kind, WEIR_FEED_SUM);
    assert_int_equal(c->item.sum, 2);
    assert_int_equal(read_item(c, VICTIM, e.subscription), 0);
    assert_int_equal(c->item.kind, WEIR_FEED_SUM);
    int64_t next = read_item(c, VICTIM, e.subscription);
    assert_true(next == WEIR_E_PROTOCOL || next == WEIR_E_NOT_FOUND);
    sim_close(&c->sim);
}

static void test_a_frame_in_single_bytes_is_told_when_it_is_whole(void **state)
{
    (void)state;
    static const char frame[] = "\1\0\3key\4val";
    struct scene *c = open_evil();
    struct evil e = subscribe_to_evil(c);
    for (size_t i = 0; i + 1 < sizeof frame; i++) {
        assert_int_equal(c->count[WEIR_EVENT_FEED], 0);
        assert_int_equal(read_item(c, VICTIM, e.subscription), WEIR_E_NOT_FOUND);
        say(c, &e, frame + i, 1, 0);
    }
    assert_int_equal(c->count[WEIR_EVENT_FEED], 1);
    assert_int_equal(read_item(c, VICTIM, e.subscription), 3);
    sim_close(&c->sim);
}

/* A reader that does not read grants nothing. */
static void test_a_publisher_that_floods_fills_one_window(void **state)
{
    (void)state;
    static char flood[65536];
    struct scene *c = open_evil();
    uint64_t before = memory_of(c, VICTIM), most = 0;
    struct evil e = subscribe_to_evil(c);
    say(c, &e, "\3", 1, 0);
    for (unsigned i = 0; i < 200; i++) { /* of zeros: events of no bytes */
        (void)weir_stream_write(c->sim.nodes[ATTACKER], e.stream, flood, sizeof flood, 0);
        run(c, 20000);
        uint64_t now = memory_of(c, VICTIM);
        if (now > most) most = now;
    }
    assert_int_equal(c->count[WEIR_EVENT_FEED], 1);
    assert_true(most - before < 300000);
    for (unsigned i = 0; i < 20000; i++) assert_int_equal(read_item(c, VICTIM, e.subscription), 0);
    assert_int_equal(weir_feed_close(c->sim.nodes[VICTIM], e.subscription, 3), 0);
    run(c, SIM_SECOND);
    assert_int_equal(c->last[WEIR_EVENT_STREAM_STOPPED].amount, 3);
    assert_true(memory_of(c, VICTIM) < before + 20000);
    sim_close(&c->sim);
}

static void test_an_item_that_never_becomes_whole_is_given_up_with_its_subscription(void **state)
{
    (void)state;
    struct scene *c = open_evil();
    uint64_t before = memory_of(c, VICTIM);
    for (unsigned i = 0; i < 20; i++) {
        struct evil e = subscribe_to_evil(c);
        say(c, &e, "\3\0\x80\0\x40\0half", 10, 0); /* 16384 bytes, the most that is believed */
        assert_int_equal(c->count[WEIR_EVENT_FEED] + c->count[WEIR_EVENT_FEED_CLOSED], 0);
        assert_int_equal(read_item(c, VICTIM, e.subscription), WEIR_E_NOT_FOUND);
        assert_int_equal(weir_feed_close(c->sim.nodes[VICTIM], e.subscription, 0), 0);
        run(c, 100000);
        assert_int_equal(c->count[WEIR_EVENT_STREAM_CLOSED], 1);
    }
    assert_true(memory_of(c, VICTIM) < before + 20000);
    sim_close(&c->sim);
}

static void test_random_bytes_are_read_or_refused(void **state)
{
    (void)state;
    struct scene *c = open_evil();
    struct rng rng;
    uint64_t broken = 0, items = 0;
    rng_init(&rng, 3, "feeds", 0);
    for (unsigned i = 0; i < 300; i++) {
        uint8_t bytes[200];
        size_t len = rng_below(&rng, sizeof bytes) + 1;
        struct evil e = subscribe_to_evil(c);
        rng_fill(&rng, bytes, len);
        /* Small numbers go far. */
        for (size_t k = 0; k < len; k++) bytes[k] &= rng_below(&rng, 4) == 0 ? 0xff : 0x07;
        bytes[0] = (uint8_t)(1 + rng_below(&rng, 3));
        say(c, &e, bytes, len, rng_below(&rng, 2) == 0 ? WEIR_FIN : 0);
        int64_t result;
        while ((result = read_item(c, VICTIM, e.subscription)) >= 0) {
            items++;
            assert_true(result <= ITEM_MAX && c->item.key_len <= 64);
            assert_true((c->item.kind == WEIR_FEED_DROP_OLDEST) == (c->item.key_len == 0));
        }
        broken += result == WEIR_E_PROTOCOL || result == WEIR_E_STALE;
        (void)weir_feed_close(c->sim.nodes[VICTIM], e.subscription, 0);
        (void)weir_stream_reset(c->sim.nodes[ATTACKER], e.stream, 0);
        run(c, 100000);
    }
    assert_true(broken > 100 && items > 100);
    assert_int_equal(c->count[WEIR_EVENT_CONNECTION_CLOSED], 0);
    sim_close(&c->sim);
}

/* Hostile subscribers: the victim publishes. */

static struct scene *open_publisher(uint32_t kind, uint32_t keys_max, uint32_t item_max)
{
    struct scene *c = open_scene();
    const weir_feed_options options = {
        .size = sizeof options, .kind = kind, .keys_max = keys_max, .item_max_bytes = item_max};
    int64_t feed = weir_feed_open(c->sim.nodes[VICTIM], NAME, &options);
    assert_true(feed > 0);
    c->feed = (uint64_t)feed;
    return c;
}

static void publish(struct scene *c, uint32_t key, const void *value, uint32_t len)
{
    assert_true(weir_feed_publish(c->sim.nodes[VICTIM], c->feed, &key, sizeof key, value, len) >=
                0);
}

static weir_feed_info info_of(struct scene *c)
{
    weir_feed_info info = {.size = sizeof info};
    assert_int_equal(weir_feed_get_info(c->sim.nodes[VICTIM], c->feed, &info), 0);
    return info;
}

/* Places are for many peers: one connection has four of them, and a fifth when it gave one back. */
static void test_a_connection_cannot_take_all_places_of_a_feed(void **state)
{
    enum { EACH = 4, ASKED = 200 };
    (void)state;
    struct scene *c = open_scene();
    const weir_feed_options options = {.size = sizeof options,
                                       .kind = WEIR_FEED_STATE,
                                       .keys_max = 8,
                                       .item_max_bytes = 100,
                                       .subscribers_max = EACH + 1};
    c->feed = (uint64_t)weir_feed_open(c->sim.nodes[VICTIM], NAME, &options);
    uint64_t first = subscribe(c, ATTACKER, c->to_victim[ATTACKER]);
    for (unsigned i = 1; i < ASKED; i++) {
        (void)subscribe(c, ATTACKER, c->to_victim[ATTACKER]);
        if (i % 16 == 0) run(c, 100000);
    }
    run(c, SIM_SECOND);
    assert_int_equal(info_of(c).subscribers, EACH);
    assert_int_equal(c->count[WEIR_EVENT_FEED_CLOSED], ASKED - EACH);
    assert_int_equal(c->last[WEIR_EVENT_FEED_CLOSED].amount, WEIR_REASON_LIMIT);
    assert_int_equal(metric_of(c, VICTIM, "weir_feed_refused_total"), ASKED - EACH);
    uint64_t sub = subscribe(c, HONEST, c->to_victim[HONEST]);
    publish(c, 1, "x", 1);
    run(c, SIM_SECOND);
    assert_int_equal(read_item(c, HONEST, sub), 1);
    forget_events(c);
    assert_int_equal(weir_feed_close(c->sim.nodes[ATTACKER], first, 0), 0);
    run(c, SIM_SECOND);
    (void)subscribe(c, ATTACKER, c->to_victim[ATTACKER]);
    run(c, SIM_SECOND);
    assert_int_equal(info_of(c).subscribers, EACH + 1);
    (void)subscribe(c, ATTACKER, c->to_victim[ATTACKER]);
    run(c, SIM_SECOND);
    assert_int_equal(c->last[WEIR_EVENT_FEED_CLOSED].amount, WEIR_REASON_LIMIT);
    sim_close(&c->sim);
}

/* What subscriptions cost is the peer's share of memory, and what one peer does not read keeps
 * nothing from another. */
static void test_subscribers_that_never_read_cost_their_own_share(void **state)
{
    enum { KEYS = 4096, STREAMS = 250, VALUE = 100 };
    (void)state;
    struct scene *c = open_publisher(WEIR_FEED_STATE, KEYS, VALUE);
    char value[VALUE] = {0};
    uint32_t got = 0;
    for (uint32_t k = 0; k < KEYS; k++) publish(c, k, value, VALUE);
    uint64_t before = memory_of(c, VICTIM);
    for (unsigned i = 0; i < STREAMS; i++) {
        (void)subscribe(c, ATTACKER, c->to_victim[ATTACKER]);
        if (i % 50 == 0) run(c, 20000);
    }
    uint64_t sub = subscribe(c, HONEST, c->to_victim[HONEST]);
    for (unsigned round = 0; round < 200; round++) {
        for (uint32_t k = 0; k < KEYS; k += 16) publish(c, k, value, 1 + round % VALUE);
        run(c, 20000);
        while (read_item(c, HONEST, sub) >= 0) got++;
        assert_true(info_of(c).queued_max <= KEYS);
    }
    assert_true(got > KEYS);
    run(c, SIM_SECOND);
    while (read_item(c, HONEST, sub) >= 0) got++;
    assert_true(got > 200 * KEYS / 16);
    assert_true(memory_of(c, VICTIM) - before < (UINT64_C(16) << 20)); /* peer_memory */
    assert_int_equal(c->count[WEIR_EVENT_CONNECTION_CLOSED], 0);
    assert_int_equal(weir_connection_close(c->sim.nodes[ATTACKER], c->to_victim[ATTACKER], 0, NULL),
                     0);
    run(c, SIM_SECOND);
    assert_int_equal(info_of(c).subscribers, 1);
    assert_true(memory_of(c, VICTIM) < before + (UINT64_C(1) << 19));
    sim_close(&c->sim);
}

static void test_floods_of_subscriptions_and_cancels_leave_nothing(void **state)
{
    (void)state;
    struct scene *c = open_publisher(WEIR_FEED_STATE, 64, 1000);
    char value[1000] = {0};
    for (uint32_t k = 0; k < 64; k++) publish(c, k, value, sizeof value);
    run(c, SIM_SECOND);
    uint64_t before = memory_of(c, VICTIM), opened = 0, most = 0;
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned i = 0; i < 100; i++) {
            int64_t sub =
                weir_feed_subscribe(c->sim.nodes[ATTACKER], c->to_victim[ATTACKER], NAME, 0);
            if (sub < 0) break;
            opened++;
            if (i % 2 == 0) run(c, 1000);
            assert_int_equal(weir_feed_close(c->sim.nodes[ATTACKER], (uint64_t)sub, 1), 0);
        }
        publish(c, round % 64, value, round);
        run(c, 50000);
        if (memory_of(c, VICTIM) > most) most = memory_of(c, VICTIM);
    }
    assert_true(opened > 3000);
    run(c, SIM_SECOND);
    assert_int_equal(info_of(c).subscribers, 0);
    assert_true(most - before < (UINT64_C(4) << 20));
    assert_true(memory_of(c, VICTIM) < before + 50000);
    assert_int_equal(c->count[WEIR_EVENT_CONNECTION_CLOSED], 0);
    sim_close(&c->sim);
}

static void test_a_subscriber_that_sends_bytes_is_reset(void **state)
{
    (void)state;
    static const char body[30000];
    struct scene *c = open_publisher(WEIR_FEED_STATE, 64, 1000);
    for (unsigned i = 0; i < 50; i++) {
        forget_events(c);
        uint64_t s = rig_stream(&c->sim, ATTACKER, c->to_victim[ATTACKER], NAME, 0);
        if (i % 2 == 0) run(c, 100000);
        assert_true(weir_stream_write(c->sim.nodes[ATTACKER], s, body, sizeof body, 0) > 0);
        run(c, 200000);
        assert_int_equal(c->last[WEIR_EVENT_STREAM_RESET].amount, WEIR_REASON_FORMAT);
        assert_int_equal(c->last[WEIR_EVENT_STREAM_STOPPED].amount, WEIR_REASON_FORMAT);
        assert_int_equal(info_of(c).subscribers, 0);
    }
    /* A one-way stream has no way back. */
    uint64_t s = rig_stream(&c->sim, ATTACKER, c->to_victim[ATTACKER], NAME, WEIR_ONE_WAY);
    run(c, 200000);
    assert_int_equal(c->last[WEIR_EVENT_STREAM_STOPPED].object, s);
    assert_int_equal(c->last[WEIR_EVENT_STREAM_STOPPED].amount, WEIR_REASON_KIND);
    sim_close(&c->sim);
}

/* A reader whose window no item fits would wait for ever: it is told instead. */
static void test_a_reader_with_too_small_a_window_is_refused(void **state)
{
    (void)state;
    struct scene *c = open_publisher(WEIR_FEED_STATE, 4, ITEM_MAX);
    const weir_node_options small = {.size = sizeof small,
                                     .stream_window_bytes = 20000,
                                     .windows_grow_off = 1,
                                     .observed_off = 1};
    weir_node *node = rig_add(&c->sim, &small, NULL);
    uint64_t ends[2];
    uint32_t number = c->sim.count;
    assert_non_null(node);
    assert_true(sim_connect(&c->sim, number, VICTIM, ends, sim_now(&c->sim) + SIM_SECOND));
    uint64_t sub = subscribe(c, number, ends[0]);
    run(c, SIM_SECOND);
    assert_int_equal(c->last[WEIR_EVENT_FEED_CLOSED].object, sub);
    assert_int_equal(c->last[WEIR_EVENT_FEED_CLOSED].amount, WEIR_REASON_LIMIT);
    sim_close(&c->sim);
}

/* What was not read went with the connection: that is no clean end. */
static void test_items_that_went_with_their_connection_are_no_clean_end(void **state)
{
    (void)state;
    struct scene *c = open_publisher(WEIR_FEED_STATE, 4, 100);
    uint64_t sub = subscribe(c, HONEST, c->to_victim[HONEST]);
    run(c, 100000);
    assert_int_equal(weir_feed_publish(c->sim.nodes[VICTIM], c->feed, "a", 1, "1", 1), 1);
    assert_int_equal(weir_feed_publish(c->sim.nodes[VICTIM], c->feed, "b", 1, "2", 1), 1);
    assert_int_equal(weir_feed_close(c->sim.nodes[VICTIM], c->feed, 0), 0);
    run(c, 100000); /* all is there, and its end */
    assert_int_equal(read_item(c, HONEST, sub), 1);
    assert_int_equal(weir_connection_close(c->sim.nodes[VICTIM], c->from_victim[HONEST], 9, NULL),
                     0);
    run(c, 100000);
    assert_int_equal(c->count[WEIR_EVENT_FEED_CLOSED], 1);
    assert_int_equal(c->last[WEIR_EVENT_FEED_CLOSED].object, sub);
    assert_int_equal(c->last[WEIR_EVENT_FEED_CLOSED].error, WEIR_E_NOT_CONNECTED);
    assert_int_equal(c->last[WEIR_EVENT_FEED_CLOSED].amount, 9);
    sim_close(&c->sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_that_make_no_sense_end_the_subscription_with_a_reason),
        cmocka_unit_test(test_items_before_the_broken_one_are_read),
        cmocka_unit_test(test_items_of_another_kind_are_read_as_the_first_or_refused),
        cmocka_unit_test(test_a_frame_in_single_bytes_is_told_when_it_is_whole),
        cmocka_unit_test(test_a_publisher_that_floods_fills_one_window),
        cmocka_unit_test(test_an_item_that_never_becomes_whole_is_given_up_with_its_subscription),
        cmocka_unit_test(test_random_bytes_are_read_or_refused),
        cmocka_unit_test(test_a_connection_cannot_take_all_places_of_a_feed),
        cmocka_unit_test(test_subscribers_that_never_read_cost_their_own_share),
        cmocka_unit_test(test_floods_of_subscriptions_and_cancels_leave_nothing),
        cmocka_unit_test(test_a_subscriber_that_sends_bytes_is_reset),
        cmocka_unit_test(test_a_reader_with_too_small_a_window_is_refused),
        cmocka_unit_test(test_items_that_went_with_their_connection_are_no_clean_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
