/* SPDX-License-Identifier: MIT */
/* Publishers.
 *
 * Publishing notes at each subscriber that a slot has something to tell, and gives the streams that
 * take bytes what waits: its cost is one step for each subscriber.
 *
 * A key that was removed keeps its slot until every subscriber that knew it was told. At most as
 * many as keys_max may wait so: beyond that the subscribers that keep the oldest one waiting are
 * reset as too slow, for a remote must not keep the publisher from publishing. */
#include "node/errors.h"
#include "node/feed.h"

enum { ITEM_DEFAULT_BYTES = 1024, SUBSCRIBERS_DEFAULT = 1024, URGENCY_DEFAULT = 3 };

static struct subscriber *first_of(struct feed *feed)
{
    return list_first(&feed->subscribers, struct subscriber, link);
}

/* The one behind it, looked up before it may be dropped. */
static struct subscriber *after(struct feed *feed, struct subscriber *sub)
{
    struct list *next = sub->link.next;
    return next == &feed->subscribers ? NULL : list_entry(next, struct subscriber, link);
}

static void pump_all(struct node *node, struct feed *feed)
{
    for (struct subscriber *sub = first_of(feed), *next; sub != NULL; sub = next) {
        next = after(feed, sub);
        (void)feed_subscriber_pump(node, sub, false);
    }
}

/* Tell everyone of a slot that changed. */
static void tell(struct node *node, struct feed *feed, struct feed_slot *slot, int64_t amount)
{
    slot->holds++; /* subscribers that are dropped must not take it along */
    for (struct subscriber *sub = first_of(feed), *next; sub != NULL; sub = next) {
        next = after(feed, sub);
        if (!slot->is_removed || feed_subscriber_knows(sub, slot)) {
            (void)feed_subscriber_touch(node, sub, slot, amount);
        } else if (feed_subscriber_is_due(sub, slot)) {
            feed_subscriber_untouch(node, sub, slot); /* never told of it: nothing to take back */
            feed_store_missed(node, feed, 1);
        }
    }
    feed_store_release(node, feed, slot);
    pump_all(node, feed);
}

static int fail_full(struct node *node, const struct feed *feed)
{
    const struct limit_record limit = {.scope = LIMIT_SCOPE_NODE,
                                       .name = LIMIT_FEED_KEYS,
                                       .side = LIMIT_SIDE_LOCAL,
                                       .used = feed->keys,
                                       .max = feed->keys_max};
    return errors_fail(node, WEIR_E_LIMIT, &limit, NULL,
                       "the feed has as many keys as its keys_max says: remove some first");
}

/* Subscribers that were not told of the oldest removal for so long. */
static void drop_slowest(struct node *node, struct feed *feed)
{
    struct feed_slot *slot = list_first(&feed->removed, struct feed_slot, link);
    slot->holds++;
    for (struct subscriber *sub = first_of(feed), *next; sub != NULL; sub = next) {
        next = after(feed, sub);
        if (feed_subscriber_is_due(sub, slot))
            feed_subscriber_drop(node, sub, WEIR_REASON_TOO_SLOW);
    }
    feed_store_release(node, feed, slot);
}

/* The slot of a key, made if need be. *out may be of a removed key. */
static int slot_of(struct node *node, struct feed *feed, const struct node_call *call,
                   struct feed_slot **out, bool *is_new)
{
    *is_new = false;
    *out = feed_store_find(feed, call->key, call->key_len);
    if (*out != NULL && !(*out)->is_removed) return 0;
    if (feed->keys == feed->keys_max) return fail_full(node, feed);
    if (*out != NULL) return 0;
    if (feed->slots == 2 * feed->keys_max) drop_slowest(node, feed);
    *is_new = true;
    return feed_store_add(node, feed, call->key, call->key_len, out);
}

static int set_value(struct node *node, struct feed *feed, const struct node_call *call,
                     struct feed_slot **out)
{
    bool is_new;
    int error = slot_of(node, feed, call, out, &is_new);
    if (error != 0) return error;
    error = feed_store_set(node, feed, *out, call->data, call->len);
    if (error != 0 && is_new) feed_store_drop(node, feed, *out);
    if (error == 0 && (*out)->is_removed) feed_store_revive(feed, *out);
    return error;
}

/* @return the slot that is gone now, or NULL: there was no such key */
static struct feed_slot *remove_key(struct node *node, struct feed *feed,
                                    const struct node_call *call)
{
    struct feed_slot *slot = feed_store_find(feed, call->key, call->key_len);
    if (slot == NULL || slot->is_removed) return NULL;
    feed_store_remove(node, feed, slot);
    return slot;
}

static int publish_state(struct node *node, struct feed *feed, const struct node_call *call)
{
    struct feed_slot *slot = NULL;
    int error = 0;
    if (call->data == NULL) {
        slot = remove_key(node, feed, call);
    } else {
        error = set_value(node, feed, call, &slot);
    }
    if (slot != NULL && error == 0) tell(node, feed, slot, 0);
    return error;
}

static int publish_event(struct node *node, struct feed *feed, const struct node_call *call)
{
    int error = feed_store_push(node, feed, call->data, call->len);
    if (error != 0) return error;
    for (struct subscriber *sub = first_of(feed); sub != NULL; sub = after(feed, sub)) {
        if (sub->cursor >= feed->first) continue;
        sub->cursor = feed->first;
        sub->missed++;
        feed_store_missed(node, feed, 1);
    }
    pump_all(node, feed);
    return 0;
}

static int fail_key(struct node *node)
{
    return errors_fail(node, WEIR_E_ARGUMENT, NULL, NULL, "a key of a feed has 1 to %d bytes",
                       FEED_KEY_MAX);
}

static int check_publish(struct node *node, const struct feed *feed, const struct node_call *call)
{
    if (feed->kind == WEIR_FEED_SUM)
        return errors_fail(node, WEIR_E_ARGUMENT, NULL, NULL,
                           "that is a feed of sums: weir_feed_add adds to it");
    if (feed->kind == WEIR_FEED_STATE && (call->key_len == 0 || call->key_len > FEED_KEY_MAX))
        return fail_key(node);
    if (feed->kind == WEIR_FEED_DROP_OLDEST && call->key_len != 0)
        return errors_fail(node, WEIR_E_ARGUMENT, NULL, NULL, "events of a feed have no key");
    if (call->len > feed->item_max)
        return errors_fail(node, WEIR_E_ARGUMENT, NULL, NULL,
                           "the value has %llu bytes, the feed's item_max_bytes is %u",
                           (unsigned long long)call->len, (unsigned)feed->item_max);
    return 0;
}

static int64_t published(struct node *node, struct feed *feed)
{
    feed->published++;
    metric_inc(node->env.metrics, METRIC_FEED_PUBLISHED);
    return feed->subscribers_count;
}

int64_t feed_out_publish(struct node *node, struct feed *feed, const struct node_call *call)
{
    int error = check_publish(node, feed, call);
    if (error != 0) return error;
    feed->changes++;
    error = feed->kind == WEIR_FEED_STATE ? publish_state(node, feed, call)
                                          : publish_event(node, feed, call);
    return error != 0 ? error : published(node, feed);
}

int64_t feed_out_add(struct node *node, struct feed *feed, const struct node_call *call)
{
    struct feed_slot *slot;
    bool is_new;
    if (feed->kind != WEIR_FEED_SUM)
        return errors_fail(node, WEIR_E_ARGUMENT, NULL, NULL,
                           "that is no feed of sums: weir_feed_publish tells it values");
    if (call->key_len == 0 || call->key_len > FEED_KEY_MAX) return fail_key(node);
    int error = slot_of(node, feed, call, &slot, &is_new);
    if (error != 0) return error;
    feed->changes++;
    tell(node, feed, slot, (int64_t)call->number);
    return published(node, feed);
}

static void release(struct node *node, struct owner *o)
{
    struct feed *feed = (struct feed *)(void *)o;
    struct subscriber *sub;
    while ((sub = first_of(feed)) != NULL) feed_subscriber_orphan(node, sub);
    feed_store_free(node, feed);
    state_release(node, feed, sizeof *feed);
}

static const struct owner_ops ops = {.release = release};

static int check_limit(struct node *node, enum limit name, uint64_t wanted, const char *words)
{
    const struct limit_record limit = {.scope = LIMIT_SCOPE_NODE,
                                       .name = (uint16_t)name,
                                       .side = LIMIT_SIDE_LOCAL,
                                       .used = wanted,
                                       .max = node->env.limits->value[name]};
    if (wanted <= limit.max) return 0;
    return errors_fail(node, WEIR_E_LIMIT, &limit, NULL, "%s", words);
}

static uint64_t feeds_count(const struct node *node)
{
    uint32_t cursor = 0;
    uint64_t count = 0;
    while (handle_next(&node->handles, HANDLE_FEED, &cursor, NULL) != NULL) count++;
    return count;
}

static int check_open(struct node *node, const weir_feed_options *options)
{
    if (options == NULL || !feed_wire_is_kind(options->kind))
        return errors_fail(node, WEIR_E_ARGUMENT, NULL, NULL, "kind is one of WEIR_FEED_*");
    if (options->keys_max == 0 || options->keys_max > FEED_KEYS_MOST)
        return errors_fail(node, WEIR_E_ARGUMENT, NULL, NULL,
                           "keys_max must be given: how many keys, or kept events");
    if (options->urgency_plus1 > SCHED_URGENCIES || options->user != 0) return WEIR_E_ARGUMENT;
    int error = check_limit(node, LIMIT_FEED_KEYS, options->keys_max,
                            "keys_max is more than the limit feed_keys");
    if (error == 0)
        error = check_limit(node, LIMIT_FEED_ITEM, options->item_max_bytes,
                            "item_max_bytes is more than the limit feed_item");
    if (error == 0)
        error = check_limit(node, LIMIT_FEEDS, feeds_count(node) + 1,
                            "the node publishes as many feeds as its limit allows");
    return error;
}

static void fill(const struct node *node, struct feed *feed, const weir_feed_options *options)
{
    uint64_t item_limit = node->env.limits->value[LIMIT_FEED_ITEM];
    uint64_t item_max = item_limit < ITEM_DEFAULT_BYTES ? item_limit : ITEM_DEFAULT_BYTES;
    feed->kind = options->kind;
    feed->keys_max = options->keys_max;
    feed->item_max = options->item_max_bytes != 0 ? options->item_max_bytes : (uint32_t)item_max;
    feed->subscribers_max =
        options->subscribers_max != 0 ? options->subscribers_max : SUBSCRIBERS_DEFAULT;
    feed->urgency =
        options->urgency_plus1 == 0 ? URGENCY_DEFAULT : (uint8_t)(options->urgency_plus1 - 1);
    feed->bytes_size = feed_wire_frame_max(feed->kind, feed->item_max);
}

/* @return the feed, an owner with a handle, not yet served; or NULL with *error */
static struct feed *make(struct node *node, const weir_feed_options *options, int *error)
{
    struct feed *feed = state_alloc(node, sizeof *feed, error);
    if (feed == NULL) return NULL;
    fill(node, feed, options);
    list_init(&feed->subscribers);
    list_init(&feed->removed);
    map_init(&feed->by_key, node->env.mem, node->hash_key, feed_store_key);
    feed->bytes = state_alloc(node, feed->bytes_size, error);
    if (feed->bytes != NULL) {
        feed->memory_bytes = feed->bytes_size;
        *error = owner_begin(node, &feed->owner, &ops, HANDLE_FEED);
        if (*error == 0) return feed;
    }
    feed_store_free(node, feed);
    state_release(node, feed, sizeof *feed);
    return NULL;
}

static void end(struct node *node, struct feed *feed)
{
    owner_forget_handle(node, &feed->owner);
    owner_end(node, &feed->owner);
}

int64_t feed_out_open(struct node *node, const struct node_call *call)
{
    int error = check_open(node, call->options);
    if (error != 0) return error;
    struct feed *feed = make(node, call->options, &error);
    if (feed == NULL) return error;
    feed->protocol = protocols_serve_feed(node, call->data, call->len, &feed->owner, &error);
    if (feed->protocol != NULL) return (int64_t)feed->owner.handle;
    end(node, feed);
    return error;
}

void feed_out_finish(struct node *node, struct feed *feed)
{
    struct subscriber *sub;
    while ((sub = first_of(feed)) != NULL) feed_subscriber_finish(node, sub);
}

void feed_out_close(struct node *node, struct feed *feed, uint32_t reason)
{
    struct subscriber *sub;
    if (reason == WEIR_REASON_NONE) feed_out_finish(node, feed);
    while ((sub = first_of(feed)) != NULL) feed_subscriber_drop(node, sub, reason);
    protocols_unserve_feed(node, feed->protocol);
    end(node, feed);
}

void feed_out_info(struct feed *feed, weir_feed_info *info)
{
    info->kind = feed->kind;
    info->is_local = 1;
    info->subscribers = feed->subscribers_count;
    info->keys =
        feed->kind == WEIR_FEED_DROP_OLDEST ? (uint32_t)(feed->next - feed->first) : feed->keys;
    info->published = feed->published;
    info->sent = feed->sent;
    info->missed = feed->missed;
    info->memory_bytes = sizeof *feed + feed->memory_bytes;
    for (struct subscriber *sub = first_of(feed); sub != NULL; sub = after(feed, sub)) {
        uint64_t queued = feed_subscriber_queued(sub);
        if (queued > info->queued_max) info->queued_max = (uint32_t)queued;
        info->memory_bytes += feed_subscriber_memory(sub);
    }
}
