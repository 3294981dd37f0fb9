/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TEST_NODE_FEEDS_PAIR_H
#define WEIR_TEST_NODE_FEEDS_PAIR_H
/* A node that publishes and one that reads, on the fake network, and short forms of their calls. */
#include "unit/node/fake.h"
#include <stdlib.h>

enum { EVENTS = 32, ITEM_MAX = 16384 };

struct pair {
    struct fake_net net;
    struct node *reader, *writer;
    uint64_t conn[2]; /* at the reader, at the writer */
    weir_event events[EVENTS];
    weir_feed_item item;
    char data[ITEM_MAX];
};

static inline struct pair *pair_of(void **state)
{
    return *state;
}

static inline int setup(void **state)
{
    static struct pair p;
    memset(&p, 0, sizeof p);
    net_init(&p.net);
    p.reader = net_add(&p.net, NULL);
    p.writer = net_add(&p.net, NULL);
    net_pair(&p.net, p.conn);
    *state = &p;
    return 0;
}

static inline int teardown(void **state)
{
    net_free(&pair_of(state)->net);
    return 0;
}

static inline int64_t open_with(struct pair *p, const char *name, const weir_feed_options *options)
{
    return call_text(&p->net, p->writer, NODE_CALL_FEED_OPEN, 0, name, options);
}

static inline uint64_t open_feed(struct pair *p, uint32_t kind, uint32_t keys_max)
{
    const weir_feed_options options = {
        .size = sizeof options, .kind = kind, .keys_max = keys_max, .item_max_bytes = ITEM_MAX};
    int64_t feed = open_with(p, "prices", &options);
    assert_true(feed > 0);
    return (uint64_t)feed;
}

static inline int64_t publish_bytes(struct pair *p, uint64_t feed, const char *key,
                                    const void *data, size_t len)
{
    struct node_call call = {.kind = NODE_CALL_FEED_PUBLISH,
                             .object = feed,
                             .key = key,
                             .key_len = key == NULL ? 0 : strlen(key),
                             .data = data,
                             .len = len};
    return net_input(&p->net, p->writer, NODE_INPUT_CALL, &call);
}

/* text NULL: remove */
static inline void publish(struct pair *p, uint64_t feed, const char *key, const char *text)
{
    assert_true(publish_bytes(p, feed, key, text, text == NULL ? 0 : strlen(text)) >= 0);
}

static inline int64_t add(struct pair *p, uint64_t feed, const char *key, int64_t amount)
{
    struct node_call call = {.kind = NODE_CALL_FEED_ADD,
                             .object = feed,
                             .key = key,
                             .key_len = strlen(key),
                             .number = (uint64_t)amount};
    return net_input(&p->net, p->writer, NODE_INPUT_CALL, &call);
}

static inline int64_t subscribe_to(struct pair *p, const char *name)
{
    struct node_call call = {.kind = NODE_CALL_FEED_SUBSCRIBE,
                             .object = p->conn[0],
                             .data = name,
                             .len = strlen(name),
                             .number = 77};
    return net_input(&p->net, p->reader, NODE_INPUT_CALL, &call);
}

static inline uint32_t poll_node(struct pair *p, struct node *node)
{
    return net_poll(&p->net, node, p->events, EVENTS);
}

/* Both applications come back, and everything that may move does. */
static inline uint32_t turn(struct pair *p)
{
    (void)poll_node(p, p->writer);
    net_settle(&p->net);
    return poll_node(p, p->reader);
}

static inline uint64_t subscribe(struct pair *p)
{
    int64_t sub = subscribe_to(p, "prices");
    assert_true(sub > 0);
    (void)net_input(&p->net, p->reader, NODE_INPUT_TURN, NULL);
    net_settle(&p->net);
    return (uint64_t)sub;
}

static inline int64_t read_cap(struct pair *p, uint64_t sub, size_t cap)
{
    struct node_call call = {.kind = NODE_CALL_FEED_READ,
                             .object = sub,
                             .out = p->data,
                             .cap = cap,
                             .options = &p->item};
    memset(&p->item, 0, sizeof p->item);
    p->item.size = sizeof p->item;
    return net_input(&p->net, p->reader, NODE_INPUT_CALL, &call);
}

static inline int64_t read_item(struct pair *p, uint64_t sub)
{
    return read_cap(p, sub, sizeof p->data);
}

static inline void expect(struct pair *p, uint64_t sub, const char *key, const char *text,
                          uint64_t missed)
{
    assert_int_equal(read_item(p, sub), text == NULL ? 0 : strlen(text));
    assert_int_equal(p->item.is_removed, text == NULL);
    assert_int_equal(p->item.key_len, strlen(key));
    assert_memory_equal(p->item.key, key, strlen(key));
    if (text != NULL) assert_memory_equal(p->data, text, strlen(text));
    assert_int_equal(p->item.missed, missed);
}

static inline void expect_sum(struct pair *p, uint64_t sub, const char *key, int64_t sum,
                              uint64_t missed)
{
    assert_int_equal(read_item(p, sub), 0);
    assert_int_equal(p->item.kind, WEIR_FEED_SUM);
    assert_memory_equal(p->item.key, key, strlen(key));
    assert_true(p->item.sum == sum);
    assert_int_equal(p->item.missed, missed);
}

static inline void expect_none(struct pair *p, uint64_t sub)
{
    assert_int_equal(read_item(p, sub), WEIR_E_NOT_FOUND);
}

static inline weir_feed_info info_of(struct node *node, uint64_t feed)
{
    weir_feed_info info = {.size = sizeof info};
    assert_int_equal(node_feed_info(node, feed, &info), 0);
    return info;
}

static inline void close_feed(struct pair *p, struct node *node, uint64_t feed, uint32_t reason)
{
    assert_int_equal(call_simple(&p->net, node, NODE_CALL_FEED_CLOSE, feed, reason, 0), 0);
}
#endif
