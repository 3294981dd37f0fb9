/* SPDX-License-Identifier: MIT */
/* What a feed published, once for all subscribers: slots by key, or a row of the last events.
 * Everything is charged to the node. */
#include "base/assert.h"
#include "node/feed.h"
#include <string.h>

enum {
    PLACES_FIRST = 8,
    SLOT_SHARE_BYTES =
        4 * sizeof(struct map_slot) /* of the map: an eighth to three quarters full */
};

static void *store_alloc(struct node *node, struct feed *feed, size_t size, int *error)
{
    void *block = state_alloc(node, size, error);
    if (block != NULL) feed->memory_bytes += size;
    return block;
}

static void store_release(struct node *node, struct feed *feed, void *block, size_t size)
{
    if (block == NULL) return;
    state_release(node, block, size);
    feed->memory_bytes -= size;
}

const void *feed_store_key(const void *value, size_t *len)
{
    const struct feed_slot *slot = value;
    *len = slot->key_len;
    return slot->key;
}

struct feed_slot *feed_store_find(const struct feed *feed, const void *key, size_t len)
{
    return map_get(&feed->by_key, key, len);
}

/* The stack of free places, as large as the row. */
static int grow_free(struct node *node, struct feed *feed, uint32_t capacity)
{
    int error = 0;
    uint32_t *places = store_alloc(node, feed, capacity * sizeof *places, &error);
    if (places == NULL) return error;
    if (feed->free_places != NULL)
        memcpy(places, feed->free_places, feed->free_count * sizeof *places);
    store_release(node, feed, feed->free_places, feed->capacity * sizeof *places);
    feed->free_places = places;
    for (uint32_t i = capacity; i > feed->capacity; i--) places[feed->free_count++] = i - 1;
    return 0;
}

static int grow(struct node *node, struct feed *feed)
{
    uint32_t capacity = feed->capacity == 0 ? PLACES_FIRST : 2 * feed->capacity;
    int error = 0;
    union feed_place *places = store_alloc(node, feed, capacity * sizeof *places, &error);
    if (places == NULL) return error;
    if (feed->kind == WEIR_FEED_DROP_OLDEST) {
        for (uint64_t n = feed->first; n < feed->next; n++)
            places[n & (capacity - 1)] = feed->places[n & (feed->capacity - 1)];
    } else {
        error = grow_free(node, feed, capacity);
        if (feed->places != NULL) memcpy(places, feed->places, feed->capacity * sizeof *places);
    }
    if (error != 0) {
        store_release(node, feed, places, capacity * sizeof *places);
        return error;
    }
    store_release(node, feed, feed->places, feed->capacity * sizeof *places);
    feed->places = places;
    feed->capacity = capacity;
    return 0;
}

static size_t slot_bytes(size_t key_len)
{
    return offsetof(struct feed_slot, key) + key_len;
}

static void release_slot(struct node *node, struct feed *feed, struct feed_slot *slot)
{
    budget_refund(&node->budget, SLOT_SHARE_BYTES);
    feed->memory_bytes -= SLOT_SHARE_BYTES;
    store_release(node, feed, slot->value, slot->value_len);
    store_release(node, feed, slot, slot_bytes(slot->key_len));
}

static struct feed_slot *make_slot(struct node *node, struct feed *feed, const void *key,
                                   size_t len, int *error)
{
    struct feed_slot *slot = store_alloc(node, feed, slot_bytes(len), error);
    if (slot == NULL) return NULL;
    if (!budget_charge(&node->budget, SLOT_SHARE_BYTES, NULL)) {
        store_release(node, feed, slot, slot_bytes(len));
        *error = WEIR_E_BUDGET;
        return NULL;
    }
    feed->memory_bytes += SLOT_SHARE_BYTES;
    slot->key_len = (uint8_t)len;
    memcpy(slot->key, key, len);
    if (map_add(&feed->by_key, slot)) return slot;
    release_slot(node, feed, slot);
    *error = WEIR_E_MEMORY;
    return NULL;
}

int feed_store_add(struct node *node, struct feed *feed, const void *key, size_t len,
                   struct feed_slot **out)
{
    int error = 0;
    WEIR_ASSERT(len > 0 && len <= FEED_KEY_MAX);
    WEIR_ASSERT(feed->slots < 2 * feed->keys_max);
    if (feed->free_count == 0) error = grow(node, feed);
    if (error != 0) return error;
    struct feed_slot *slot = make_slot(node, feed, key, len, &error);
    if (slot == NULL) return error;
    slot->index = feed->free_places[--feed->free_count];
    WEIR_ASSERT(feed->places[slot->index].slot == NULL);
    feed->places[slot->index].slot = slot;
    feed->slots++;
    feed->keys++;
    *out = slot;
    return 0;
}

int feed_store_set(struct node *node, struct feed *feed, struct feed_slot *slot, const void *data,
                   size_t len)
{
    int error = 0;
    if (len != slot->value_len) {
        uint8_t *value = len == 0 ? NULL : store_alloc(node, feed, len, &error);
        if (error != 0) return error;
        store_release(node, feed, slot->value, slot->value_len);
        slot->value = value;
        slot->value_len = (uint32_t)len;
    }
    if (len > 0) memcpy(slot->value, data, len);
    return 0;
}

void feed_store_remove(struct node *node, struct feed *feed, struct feed_slot *slot)
{
    WEIR_ASSERT(!slot->is_removed);
    (void)feed_store_set(node, feed, slot, NULL, 0);
    slot->is_removed = true;
    list_push_back(&feed->removed, &slot->link);
    feed->keys--;
}

void feed_store_revive(struct feed *feed, struct feed_slot *slot)
{
    WEIR_ASSERT(slot->is_removed);
    slot->is_removed = false;
    list_remove(&slot->link);
    feed->keys++;
}

void feed_store_drop(struct node *node, struct feed *feed, struct feed_slot *slot)
{
    WEIR_ASSERT(slot->holds == 0);
    const struct feed_slot *removed = map_remove(&feed->by_key, slot->key, slot->key_len);
    WEIR_ASSERT(removed == slot);
    if (slot->is_removed) {
        list_remove(&slot->link);
    } else {
        feed->keys--;
    }
    feed->places[slot->index].slot = NULL;
    feed->free_places[feed->free_count++] = slot->index;
    feed->slots--;
    release_slot(node, feed, slot);
}

void feed_store_release(struct node *node, struct feed *feed, struct feed_slot *slot)
{
    WEIR_ASSERT(slot->holds > 0);
    slot->holds--;
    if (slot->holds == 0 && slot->is_removed) feed_store_drop(node, feed, slot);
}

void feed_store_missed(struct node *node, struct feed *feed, uint64_t count)
{
    feed->missed += count;
    metric_add(node->env.metrics, METRIC_FEED_MISSED, count);
}

static size_t event_bytes(size_t len)
{
    return offsetof(struct feed_event, bytes) + len;
}

static void drop_oldest(struct node *node, struct feed *feed)
{
    union feed_place *place = &feed->places[feed->first & (feed->capacity - 1)];
    store_release(node, feed, place->event, event_bytes(place->event->len));
    place->event = NULL;
    feed->first++;
}

int feed_store_push(struct node *node, struct feed *feed, const void *data, size_t len)
{
    int error = 0;
    uint64_t count = feed->next - feed->first;
    if (count == feed->capacity && count < feed->keys_max) error = grow(node, feed);
    if (error != 0) return error;
    struct feed_event *event = store_alloc(node, feed, event_bytes(len), &error);
    if (event == NULL) return error;
    event->len = (uint32_t)len;
    if (len > 0) memcpy(event->bytes, data, len);
    if (count == feed->keys_max) drop_oldest(node, feed);
    feed->places[feed->next & (feed->capacity - 1)].event = event;
    feed->next++;
    return 0;
}

void feed_store_free(struct node *node, struct feed *feed)
{
    if (feed->kind == WEIR_FEED_DROP_OLDEST) {
        while (feed->first < feed->next) drop_oldest(node, feed);
    } else {
        for (uint32_t i = 0; i < feed->capacity; i++) {
            if (feed->places[i].slot != NULL) release_slot(node, feed, feed->places[i].slot);
        }
    }
    map_free(&feed->by_key);
    store_release(node, feed, feed->places, feed->capacity * sizeof *feed->places);
    store_release(node, feed, feed->free_places, feed->capacity * sizeof *feed->free_places);
    store_release(node, feed, feed->bytes, feed->bytes_size);
}
