/* SPDX-License-Identifier: MIT */
/* Calls on feeds and subscriptions; which of the two a handle is, its kind says. */
#include "node/feeds.h"
#include "node/feed.h"

void feeds_on_opened(struct node *node, struct stream *s, struct protocol *p, size_t head_len)
{
    feed_subscriber_on_opened(node, (struct feed *)(void *)p->feed, s, head_len);
}

void feeds_on_drain(struct node *node)
{
    uint32_t cursor = 0;
    struct feed *feed;
    while ((feed = handle_next(&node->handles, HANDLE_FEED, &cursor, NULL)) != NULL)
        feed_out_finish(node, feed);
}

static int64_t on_feed(struct node *node, struct feed *feed, const struct node_call *call)
{
    switch (call->kind) {
    case NODE_CALL_FEED_PUBLISH: return feed_out_publish(node, feed, call);
    case NODE_CALL_FEED_ADD: return feed_out_add(node, feed, call);
    default: feed_out_close(node, feed, call->flags); return 0;
    }
}

static int64_t on_subscription(struct node *node, struct subscription *sub,
                               const struct node_call *call)
{
    if (call->kind == NODE_CALL_FEED_READ) return feed_in_read(node, sub, call);
    feed_in_close(node, sub, call->flags);
    return 0;
}

int64_t feeds_on_call(struct node *node, const struct node_call *call)
{
    int error;
    if (call->kind == NODE_CALL_FEED_OPEN) return feed_out_open(node, call);
    if (call->kind == NODE_CALL_FEED_SUBSCRIBE) return feed_in_subscribe(node, call);
    bool reads = call->kind == NODE_CALL_FEED_READ, closes = call->kind == NODE_CALL_FEED_CLOSE;
    if (reads || (closes && handle_kind(call->object) == HANDLE_SUBSCRIPTION)) {
        struct subscription *sub =
            handle_get(&node->handles, call->object, HANDLE_SUBSCRIPTION, &error);
        return sub == NULL ? error : on_subscription(node, sub, call);
    }
    struct feed *feed = handle_get(&node->handles, call->object, HANDLE_FEED, &error);
    return feed == NULL ? error : on_feed(node, feed, call);
}

int node_feed_info(struct node *node, uint64_t feed, weir_feed_info *info)
{
    int error;
    if (node->closed) return WEIR_E_CLOSED;
    bool is_in = handle_kind(feed) == HANDLE_SUBSCRIPTION;
    void *object =
        handle_get(&node->handles, feed, is_in ? HANDLE_SUBSCRIPTION : HANDLE_FEED, &error);
    if (object == NULL) return error;
    if (is_in) {
        feed_in_info(object, info);
    } else {
        feed_out_info(object, info);
    }
    return 0;
}
