/* SPDX-License-Identifier: MIT */
/* What a stalled subscriber of a feed costs, and what publishing to it costs: a million updates on
 * a hundred keys, in a simulated world, so that "stalled" is exact. */
#include "ends.h"
#include <stdio.h>
#include <string.h>

enum { KEYS = 100, EVENTS = 64 };

struct scene {
    weir_world *world;
    weir_node *publisher, *subscriber;
    uint64_t feed, subscription;
};

static void run_for(struct scene *s, uint64_t us)
{
    weir_event events[EVENTS];
    uint64_t until = weir_world_now(s->world) + us;
    while (weir_world_run(s->world, until) == 1) {
        while (weir_world_poll(s->world, 0, events, EVENTS) > 0) continue;
    }
}

static void open_scene(struct scene *s)
{
    const weir_world_options options = {.size = sizeof options};
    const weir_feed_options feed = {
        .size = sizeof feed, .kind = WEIR_FEED_STATE, .keys_max = KEYS, .item_max_bytes = 64};
    char address[WEIR_ADDRESS_TEXT_MAX];
    if (weir_world_create(&options, &s->world, NULL) != 0) bench_die("no world");
    (void)weir_world_add_node(s->world, NULL, &s->publisher, NULL);
    (void)weir_world_add_node(s->world, NULL, &s->subscriber, NULL);
    s->feed =
        (uint64_t)ends_check(s->publisher, "feed", weir_feed_open(s->publisher, "values", &feed));
    (void)weir_node_address(s->publisher, 0, address, sizeof address);
    uint64_t connection =
        (uint64_t)ends_check(s->subscriber, "dial", weir_node_dial(s->subscriber, address, NULL));
    run_for(s, 1000000);
    s->subscription = (uint64_t)ends_check(
        s->subscriber, "subscribe", weir_feed_subscribe(s->subscriber, connection, "values", 0));
    run_for(s, 1000000);
}

/* The world goes on a little after each thousand updates; the subscriber reads nothing. */
static double publish_all(struct scene *s, uint64_t updates)
{
    double start = bench_now();
    for (uint64_t i = 0; i < updates; i++) {
        char key[8];
        uint64_t value = i;
        int len = snprintf(key, sizeof key, "k%u", (unsigned)(i % KEYS));
        ends_check(
            s->publisher, "publish",
            weir_feed_publish(s->publisher, s->feed, key, (uint32_t)len, &value, sizeof value));
        if (i % 1000 == 999) run_for(s, 1000);
    }
    return (bench_now() - start) * 1e9 / (double)updates;
}

/* @return keys whose last value came */
static unsigned read_all(struct scene *s, uint64_t updates, uint64_t *items)
{
    uint64_t last[KEYS] = {0}, value;
    unsigned right = 0;
    for (int idle = 0; idle < 20; idle++) {
        weir_feed_item item = {.size = sizeof item};
        run_for(s, 100000);
        while (weir_feed_read(s->subscriber, s->subscription, &item, &value, sizeof value) >= 0) {
            unsigned key = 0;
            (void)sscanf((const char *)item.key, "k%u", &key);
            if (key < KEYS) last[key] = value;
            (*items)++;
            idle = 0;
        }
    }
    for (unsigned i = 0; i < KEYS; i++) right += last[i] == updates - KEYS + i;
    return right;
}

int main(int argc, char **argv)
{
    uint64_t updates = 1000000;
    struct bench_series queued = {.count = 0}, last = {.count = 0}, cost = {.count = 0};
    const struct bench_option options[] = {
        {.name = "--updates", .help = "N: a multiple of 100; 1000000", .number = &updates},
        {.name = NULL}};
    bench_begin(argc, argv,
                "Updates on 100 keys of a state feed to a subscriber that reads nothing: how many\n"
                "items wait, whether the last value of each key is delivered once it reads.",
                options, NULL);
    if (bench.quick) updates = 10000;
    struct scene s;
    weir_feed_info info = {.size = sizeof info};
    uint64_t items = 0;
    open_scene(&s);
    bench_add(&cost, publish_all(&s, updates));
    ends_check(s.publisher, "info", weir_feed_get_info(s.publisher, s.feed, &info));
    bench_add(&queued, info.queued_max);
    bench_add(&last, read_all(&s, updates, &items));
    bench_say("%llu updates, %llu items delivered\n", (unsigned long long)updates,
              (unsigned long long)items);
    bench_report(&(struct bench_figure){.figure = "feeds: a publish, one subscriber", .unit = "ns"},
                 &cost, NULL);
    bench_report(&(struct bench_figure){.figure = "feeds: queued for a stalled subscriber",
                                        .unit = "items",
                                        .must = KEYS,
                                        .aim = KEYS,
                                        .is_lower_better = true},
                 &queued, NULL);
    bench_report(&(struct bench_figure){.figure = "feeds: keys whose last value came",
                                        .unit = "keys",
                                        .must = KEYS,
                                        .aim = KEYS},
                 &last, NULL);
    (void)weir_world_free(s.world);
    return 0;
}
