/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_FEED_H
#define WEIR_NODE_FEED_H
#include "node/owner.h"
#include "node/protocols.h"

/* Feeds, private to feeds.c and feed_*.c. What peers see is docs/wire.md's section on feeds.
 *
 * A publisher keeps each value once, whatever the number of subscribers: by key in a slot (STATE,
 * SUM), or by its place in the row of the last ones (DROP_OLDEST). A subscriber has no values, only
 * what waits for it: numbers of slots in the order in which they first changed, with a count of
 * what was merged, or a place in the row. A value becomes bytes when the stream takes it whole. */

enum {
    FEED_KEY_MAX = 64,
    FEED_HEAD_MAX = 8 + 8 + FEED_KEY_MAX + 8, /**< of a frame, before its value, as decoded */
    FEED_KEYS_MOST = 1 << 24                  /**< whatever the limit feed_keys says */
};
/** What one item can carry of a sum: the rest follows in the next. */
#define FEED_SUM_MAX ((INT64_C(1) << 61) - 1)
#define FEED_SUM_MIN (-(INT64_C(1) << 61))

/* Frames: feed_wire.c. */

/** An item of a feed, without its value. */
struct feed_frame {
    uint64_t missed, value_len;
    int64_t sum;
    uint32_t key_len;
    uint32_t head_len;         /**< bytes before the value */
    bool is_removed;
    uint8_t key[FEED_KEY_MAX];
};
enum feed_wire_result {
    FEED_WIRE_WAIT,            /**< the head is not complete */
    FEED_WIRE_DONE,            /**< the head is; the value may not be */
    FEED_WIRE_BAD
};
bool feed_wire_is_kind(uint64_t kind);
/** Longest frame with values of up to item_max bytes. */
size_t feed_wire_frame_max(uint32_t kind, uint32_t item_max);
/** Read the head of a frame; of the bytes the first FEED_HEAD_MAX are enough. Total: never WAIT
 *  with so many.
 *  @param kind      WEIR_FEED_*
 *  @param item_max  longest value to be believed */
enum feed_wire_result feed_wire_read(uint32_t kind, const uint8_t *bytes, size_t len,
                                     uint64_t item_max, struct feed_frame *out);
/** Write a frame of ours. cap is at least feed_wire_frame_max. @return its length */
size_t feed_wire_write(uint32_t kind, const struct feed_frame *frame, const void *value, void *out,
                       size_t cap);

/* What is published: feed_store.c. */

struct feed_slot {
    struct list link;          /**< in feed->removed, oldest first */
    uint32_t index;
    uint32_t holds;            /**< subscribers for which it waits, and calls under way */
    uint32_t value_len;
    bool is_removed;           /**< the key is gone; kept until every subscriber was told */
    uint8_t key_len;
    uint8_t *value;            /**< NULL when value_len is 0 */
    uint8_t key[];
};
struct feed_event {
    uint32_t len;
    uint8_t bytes[];
};
union feed_place {
    struct feed_slot *slot;    /**< [index]; NULL: free */
    struct feed_event *event;  /**< [number & (capacity - 1)] */
};
struct feed {
    struct owner owner;
    struct protocol *protocol;
    struct list subscribers;
    uint32_t kind, keys_max, item_max;
    uint32_t subscribers_max, subscribers_count;
    uint8_t urgency;
    struct map by_key;         /**< STATE, SUM: removed ones too */
    struct list removed;
    union feed_place *places;
    uint32_t capacity;         /**< of places: 0 or a power of two */
    uint32_t slots, keys;      /**< slots in use; those that are not removed */
    uint32_t *free_places;     /**< stack of capacity indices */
    uint32_t free_count;
    uint64_t first, next;      /**< DROP_OLDEST: numbers of the events that are kept */
    uint64_t changes;          /**< counts whatever could change a frame */
    uint64_t published, sent, missed;
    uint64_t memory_bytes;     /**< without subscribers */
    struct feed_frame frame;   /**< the last one made, with what it was made of: */
    uint64_t frame_place, frame_changes;
    size_t frame_len;          /**< 0: none */
    uint8_t *bytes;            /**< the frame: bytes_size, the longest that can be */
    size_t bytes_size;
};

/** key_of of feed->by_key. */
const void *feed_store_key(const void *value, size_t *len);
/** NULL: there is no such key. A removed one is found too. */
struct feed_slot *feed_store_find(const struct feed *feed, const void *key, size_t len);
/** A slot for a new key, without a value. Needs a free place: slots < 2 keys_max.
 *  @return 0, WEIR_E_BUDGET or WEIR_E_MEMORY */
int feed_store_add(struct node *node, struct feed *feed, const void *key, size_t len,
                   struct feed_slot **out);
/** Put a value in the place of the one before. @return 0, WEIR_E_BUDGET or WEIR_E_MEMORY (the old
 *  one stays) */
int feed_store_set(struct node *node, struct feed *feed, struct feed_slot *slot, const void *data,
                   size_t len);
/** The key is gone; its slot waits for feed_store_drop. */
void feed_store_remove(struct node *node, struct feed *feed, struct feed_slot *slot);
/** The key is there again. */
void feed_store_revive(struct feed *feed, struct feed_slot *slot);
/** One hold less; a removed slot goes with its last. */
void feed_store_release(struct node *node, struct feed *feed, struct feed_slot *slot);
/** So many values were merged or dropped. */
void feed_store_missed(struct node *node, struct feed *feed, uint64_t count);
/** Free a slot that nothing holds. */
void feed_store_drop(struct node *node, struct feed *feed, struct feed_slot *slot);
/** Append an event; the oldest goes when keys_max are kept. @return 0, WEIR_E_BUDGET, WEIR_E_MEMORY
 */
int feed_store_push(struct node *node, struct feed *feed, const void *data, size_t len);
void feed_store_free(struct node *node, struct feed *feed);

/* Subscribers: feed_subscriber.c. */

/** What waits for a subscriber at a slot. */
struct feed_wait {
    uint32_t missed;
    uint32_t next : 29;        /**< of the queue: index + 1; 0: the last */
    uint32_t is_queued : 1;
    uint32_t is_due : 1;       /**< there is something to tell */
    uint32_t is_known : 1;     /**< it was told a value of this key */
};
struct subscriber {
    struct owner owner;
    struct list link;          /**< in feed->subscribers */
    struct feed *feed;         /**< NULL: it is over, or finished */
    struct stream *stream;
    struct feed_wait *waits;   /**< [capacity], by slot; charged to the connection, as are sums */
    int64_t *sums;             /**< SUM: [capacity] */
    uint32_t capacity;
    uint32_t head, tail;       /**< of the queue: index + 1 */
    uint32_t due;              /**< how many slots have something to tell */
    uint64_t cursor, missed;   /**< DROP_OLDEST: the next event; dropped before it */
    bool is_greeted;           /**< the kind was written */
    bool is_waiting;           /**< for STREAM_PENDING_WRITABLE */
    bool is_finished;          /**< its last bytes are under way; counts in node->streams_open */
};

/** A peer opened a stream of the feed's name. Takes the stream or refuses it. */
void feed_subscriber_on_opened(struct node *node, struct feed *feed, struct stream *s,
                               size_t head_len);
/** The slot has news for it; of a sum, amount more. @return false: no memory to note it, it was
 *  dropped */
bool feed_subscriber_touch(struct node *node, struct subscriber *sub, struct feed_slot *slot,
                           int64_t amount);
/** What waits for it at the slot is not worth telling any more. */
void feed_subscriber_untouch(struct node *node, struct subscriber *sub, struct feed_slot *slot);
/** Give the stream what waits; drops the subscriber when memory is missing.
 *  @param all  the stream ends then: as much as fits, however much is in the lane
 *  @return     whether something was written (and the subscriber is there) */
bool feed_subscriber_pump(struct node *node, struct subscriber *sub, bool all);
/** Reset its stream. */
void feed_subscriber_drop(struct node *node, struct subscriber *sub, uint32_t reason);
/** Give it what fits, and finish its stream. Either way it is the feed's no longer. */
void feed_subscriber_finish(struct node *node, struct subscriber *sub);
/** Its feed goes, and the node with it. */
void feed_subscriber_orphan(struct node *node, struct subscriber *sub);
bool feed_subscriber_knows(const struct subscriber *sub, const struct feed_slot *slot);
bool feed_subscriber_is_due(const struct subscriber *sub, const struct feed_slot *slot);
/** Items that wait for it outside the stream. */
uint64_t feed_subscriber_queued(const struct subscriber *sub);
uint64_t feed_subscriber_memory(const struct subscriber *sub);

/* Publishers: feed_out.c. */

int64_t feed_out_open(struct node *node, const struct node_call *call);
int64_t feed_out_publish(struct node *node, struct feed *feed, const struct node_call *call);
int64_t feed_out_add(struct node *node, struct feed *feed, const struct node_call *call);
void feed_out_close(struct node *node, struct feed *feed, uint32_t reason);
/** Finish the streams of all subscribers; the feed stays. */
void feed_out_finish(struct node *node, struct feed *feed);
void feed_out_info(struct feed *feed, weir_feed_info *info);

/* Subscriptions: feed_in.c. */

struct subscription {
    struct owner owner;
    struct stream *stream;     /**< NULL: it is over, or let go */
    uint64_t connection, user; /**< a handle; a tag */
    struct peer_id peer;       /**< whose connection is kept up */
    uint32_t kind;             /**< 0: not known yet */
    uint32_t reason;           /**< of the end */
    int error;
    bool tell_items, is_told;  /**< FEED is to be told; was told since it was read empty */
    bool is_closed;
    uint64_t items, missed;
};

int64_t feed_in_subscribe(struct node *node, const struct node_call *call);
int64_t feed_in_read(struct node *node, struct subscription *sub, const struct node_call *call);
void feed_in_close(struct node *node, struct subscription *sub, uint32_t reason);
void feed_in_info(const struct subscription *sub, weir_feed_info *info);
#endif
