/* SPDX-License-Identifier: MIT */
/* Subscribers of a feed: what waits for each, and when it becomes bytes.
 *
 * A stream gets an item only when it takes the whole frame, and only while
 * fewer than AHEAD_BYTES (or two items) wait in its lane to leave: what is in the lane can no
 * longer be merged, and on a path that stalls it would be stale. What has left is the congestion
 * window's to bound, so that a fast path is used whole. A stream that takes no more is looked at
 * again when it has credit, or with the next acknowledgement (stream_await). */
#include "base/assert.h"
#include "base/charged.h"
#include "node/drain.h"
#include "node/feed.h"
#include "node/streams.h"
#include <string.h>

enum {
    AHEAD_BYTES = 16384,
    AHEAD_ITEMS = 2,
    PER_CONNECTION = 4, /* of one feed: a peer needs one, and places are for many */
    LINGER_US = 100000  /* for a reader to read the last items before a drain closes */
};

/* The memory is the connection's: a peer with many subscriptions uses up its own share. */
static void free_waits(struct node *node, struct subscriber *sub)
{
    if (sub->waits == NULL) return;
    struct budget *budget = &sub->stream->conn->streams->budget;
    charged_free(node->env.mem, budget, sub->waits, sub->capacity * sizeof *sub->waits);
    charged_free(node->env.mem, budget, sub->sums, sub->capacity * sizeof *sub->sums);
    sub->waits = NULL;
    sub->sums = NULL;
    sub->capacity = sub->head = sub->tail = sub->due = 0;
}

static void unlink_subscriber(struct node *node, struct subscriber *sub)
{
    list_remove(&sub->link);
    sub->feed->subscribers_count--;
    sub->feed = NULL;
    metric_dec(node->env.metrics, METRIC_FEED_SUBSCRIBERS);
}

/* It is the feed's no longer, and nothing waits for it. */
static void detach(struct node *node, struct subscriber *sub)
{
    struct feed *feed = sub->feed;
    for (uint32_t i = 0; feed != NULL && i < sub->capacity; i++) {
        if (sub->waits[i].is_due) feed_store_release(node, feed, feed->places[i].slot);
    }
    if (feed != NULL) unlink_subscriber(node, sub);
    free_waits(node, sub);
    if (sub->is_finished) node->streams_open--;
    sub->is_finished = false;
}

void feed_subscriber_drop(struct node *node, struct subscriber *sub, uint32_t reason)
{
    detach(node, sub);
    owner_drop_stream(node, sub->stream, reason);
    sub->stream = NULL;
    owner_end(node, &sub->owner);
}

static int64_t *grown_sums(struct node *node, struct subscriber *sub, struct budget *budget,
                           uint32_t capacity)
{
    int64_t *sums = charged_alloc(node->env.mem, budget, capacity * sizeof *sums);
    if (sums != NULL && sub->sums != NULL) memcpy(sums, sub->sums, sub->capacity * sizeof *sums);
    return sums;
}

/* As many places as the feed has. @return false without memory: nothing changed */
static bool reserve(struct node *node, struct subscriber *sub)
{
    uint32_t capacity = sub->feed->capacity, old = sub->capacity;
    struct budget *budget = &sub->stream->conn->streams->budget;
    int64_t *sums = NULL;
    if (old == capacity) return true;
    struct feed_wait *waits = charged_alloc(node->env.mem, budget, capacity * sizeof *waits);
    if (waits == NULL) return false;
    if (sub->feed->kind == WEIR_FEED_SUM) {
        sums = grown_sums(node, sub, budget, capacity);
        if (sums == NULL) {
            charged_free(node->env.mem, budget, waits, capacity * sizeof *waits);
            return false;
        }
    }
    if (old > 0) memcpy(waits, sub->waits, old * sizeof *waits);
    charged_free(node->env.mem, budget, sub->waits, old * sizeof *waits);
    charged_free(node->env.mem, budget, sub->sums, old * sizeof *sums);
    sub->waits = waits;
    sub->sums = sums;
    sub->capacity = capacity;
    return true;
}

static void enqueue(struct subscriber *sub, uint32_t index)
{
    struct feed_wait *w = &sub->waits[index];
    w->is_queued = 1;
    w->next = 0;
    if (sub->tail == 0) {
        sub->head = index + 1;
    } else {
        sub->waits[sub->tail - 1].next = (index + 1) & 0x1fffffff;
    }
    sub->tail = index + 1;
}

static void dequeue(struct subscriber *sub)
{
    struct feed_wait *w = &sub->waits[sub->head - 1];
    sub->head = w->next;
    if (sub->head == 0) sub->tail = 0;
    w->is_queued = 0;
    w->next = 0;
}

static int64_t add_saturating(int64_t a, int64_t b)
{
    if (b > 0 && a > INT64_MAX - b) return INT64_MAX;
    if (b < 0 && a < INT64_MIN - b) return INT64_MIN;
    return a + b;
}

/* The slot has news for this subscriber. @return false: no memory to note it, it was dropped */
bool feed_subscriber_touch(struct node *node, struct subscriber *sub, struct feed_slot *slot,
                           int64_t amount)
{
    struct feed *feed = sub->feed;
    if (!reserve(node, sub)) {
        feed_subscriber_drop(node, sub, WEIR_REASON_LIMIT);
        return false;
    }
    struct feed_wait *w = &sub->waits[slot->index];
    if (w->is_due) {
        if (w->missed < UINT32_MAX) w->missed++;
        feed_store_missed(node, feed, 1);
    } else {
        w->is_due = 1;
        w->missed = 0;
        sub->due++;
        slot->holds++;
        if (sub->sums != NULL) sub->sums[slot->index] = 0;
    }
    if (!w->is_queued) enqueue(sub, slot->index);
    if (sub->sums != NULL) sub->sums[slot->index] = add_saturating(sub->sums[slot->index], amount);
    return true;
}

void feed_subscriber_untouch(struct node *node, struct subscriber *sub, struct feed_slot *slot)
{
    sub->waits[slot->index].is_due = 0; /* the queue skips it */
    sub->due--;
    feed_store_release(node, sub->feed, slot);
}

static bool has_item(struct subscriber *sub)
{
    if (sub->feed->kind == WEIR_FEED_DROP_OLDEST) return sub->cursor < sub->feed->next;
    while (sub->head != 0 && !sub->waits[sub->head - 1].is_due) dequeue(sub);
    return sub->head != 0;
}

static int64_t part_of_sum(int64_t sum)
{
    return sum > FEED_SUM_MAX ? FEED_SUM_MAX : sum < FEED_SUM_MIN ? FEED_SUM_MIN : sum;
}

/* Make the frame of the subscriber's first item in feed->bytes. To most subscribers it is the same
 * as to the one before. */
static void make_frame(struct feed *feed, const struct subscriber *sub)
{
    struct feed_frame f = {.missed = sub->missed};
    const struct feed_slot *slot = NULL;
    const uint8_t *value = NULL;
    uint64_t place = sub->cursor;
    if (feed->kind != WEIR_FEED_DROP_OLDEST) {
        place = sub->head - 1;
        slot = feed->places[place].slot;
        f.missed = sub->waits[place].missed;
        f.sum = sub->sums == NULL ? 0 : part_of_sum(sub->sums[place]);
    }
    if (feed->frame_len > 0 && feed->frame_place == place && feed->frame_changes == feed->changes &&
        feed->frame.missed == f.missed && feed->frame.sum == f.sum)
        return;
    if (slot != NULL) {
        f.key_len = slot->key_len;
        memcpy(f.key, slot->key, slot->key_len);
        f.is_removed = slot->is_removed;
        f.value_len = slot->value_len;
        value = slot->value;
    } else {
        const struct feed_event *event = feed->places[place & (feed->capacity - 1)].event;
        f.value_len = event->len;
        value = event->bytes;
    }
    feed->frame = f;
    feed->frame_place = place;
    feed->frame_changes = feed->changes;
    feed->frame_len = feed_wire_write(feed->kind, &f, value, feed->bytes, feed->bytes_size);
}

/* Its first item is in the lane. */
static void took_item(struct node *node, struct subscriber *sub)
{
    struct feed *feed = sub->feed;
    feed->sent++;
    metric_inc(node->env.metrics, METRIC_FEED_SENT);
    if (feed->kind == WEIR_FEED_DROP_OLDEST) {
        sub->cursor++;
        sub->missed = 0;
        return;
    }
    uint32_t index = sub->head - 1;
    struct feed_wait *w = &sub->waits[index];
    int64_t rest = sub->sums == NULL ? 0 : sub->sums[index] - feed->frame.sum;
    dequeue(sub);
    w->missed = 0;
    if (rest != 0) {
        sub->sums[index] = rest;
        enqueue(sub, index);
        return;
    }
    w->is_known = !feed->frame.is_removed;
    w->is_due = 0;
    sub->due--;
    feed_store_release(node, feed, feed->places[index].slot);
}

/* Whether the stream takes so much now; if not, it tells when to ask again. */
static bool takes(struct node *node, struct subscriber *sub, size_t len, bool all)
{
    struct stream *s = sub->stream;
    uint64_t ahead = s->out.written - s->out.sent, most = AHEAD_ITEMS * sub->feed->bytes_size;
    if (most < AHEAD_BYTES) most = AHEAD_BYTES;
    if ((all || ahead < most) && stream_writable(s) >= len) return true;
    if (all) return false;
    sub->is_waiting = true;
    stream_await(s, len, node->now_us);
    return false;
}

/* @return false: no memory, and the subscriber was dropped, for what it has is no longer whole */
static bool put(struct node *node, struct subscriber *sub, const void *data, size_t len)
{
    if (stream_write(sub->stream, data, len, false, false, node->now_us) == (int64_t)len)
        return true;
    feed_subscriber_drop(node, sub, WEIR_REASON_OVERLOAD);
    return false;
}

/* Give the stream what waits.
 *  @param all  the stream ends then: as much as fits, however much is in the lane
 *  @return     whether something was written */
bool feed_subscriber_pump(struct node *node, struct subscriber *sub, bool all)
{
    struct feed *feed = sub->feed;
    const uint8_t kind = (uint8_t)feed->kind;
    bool wrote = false;
    if (sub->is_waiting && !all) return false;
    if (!sub->is_greeted) {
        if (!takes(node, sub, 1, all) || !put(node, sub, &kind, 1)) return false;
        sub->is_greeted = wrote = true;
    }
    while (has_item(sub)) {
        make_frame(feed, sub);
        if (!takes(node, sub, feed->frame_len, all)) break;
        if (!put(node, sub, feed->bytes, feed->frame_len)) return false;
        took_item(node, sub);
        wrote = true;
    }
    return wrote;
}

bool feed_subscriber_knows(const struct subscriber *sub, const struct feed_slot *slot)
{
    return slot->index < sub->capacity && sub->waits[slot->index].is_known;
}

bool feed_subscriber_is_due(const struct subscriber *sub, const struct feed_slot *slot)
{
    return slot->index < sub->capacity && sub->waits[slot->index].is_due;
}

uint64_t feed_subscriber_queued(const struct subscriber *sub)
{
    const struct feed *feed = sub->feed;
    if (feed->kind != WEIR_FEED_DROP_OLDEST) return sub->due;
    return feed->next - (sub->cursor > feed->first ? sub->cursor : feed->first);
}

uint64_t feed_subscriber_memory(const struct subscriber *sub)
{
    size_t each = sizeof *sub->waits + (sub->sums == NULL ? 0 : sizeof *sub->sums);
    return sizeof *sub + sub->capacity * each;
}

void feed_subscriber_finish(struct node *node, struct subscriber *sub)
{
    struct stream *s = sub->stream;
    (void)feed_subscriber_pump(node, sub, true);
    if (sub->stream == NULL) return;
    feed_store_missed(node, sub->feed, feed_subscriber_queued(sub));
    detach(node, sub);
    if (stream_write(s, NULL, 0, false, true, node->now_us) < 0) {
        feed_subscriber_drop(node, sub, WEIR_REASON_CANCELLED);
        return;
    }
    sub->is_finished = true;
    node->streams_open++;
    owner_let_go(node, s);
}

/* A drain closes the connection next, and what a reader has not read by then is lost to it. */
static bool lingers(struct node *node, struct subscriber *sub)
{
    return drain_is_on(node) && sub->stream->conn->state == CONN_UP &&
           owner_set_timer(node, &sub->owner, node->now_us + LINGER_US);
}

static void on_time(struct node *node, struct owner *o)
{
    detach(node, (struct subscriber *)(void *)o);
    owner_end(node, o);
}

/* The stream says something. A subscriber has nothing to say: it reads, or stops. */
static void on_stream(struct node *node, struct owner *o, struct stream *s, unsigned facts)
{
    struct subscriber *sub = (struct subscriber *)(void *)o;
    if ((facts & STREAM_PENDING_OVER) != 0) {
        if (!sub->is_finished || !lingers(node, sub)) {
            detach(node, sub);
            owner_end(node, o);
        }
        sub->stream = NULL;
    } else if ((facts & (STREAM_PENDING_STOPPED | STREAM_PENDING_RESET)) != 0) {
        feed_subscriber_drop(node, sub, WEIR_REASON_NONE);
    } else if (receive_lane_readable(&s->in) > 0) {
        metric_inc(node->env.metrics, METRIC_FEED_REFUSED);
        feed_subscriber_drop(node, sub, WEIR_REASON_FORMAT);
    } else if ((facts & STREAM_PENDING_WRITABLE) != 0 && sub->feed != NULL) {
        sub->is_waiting = false;
        if (feed_subscriber_pump(node, sub, false)) owner_let_go(node, s);
    }
}

static void release(struct node *node, struct owner *o)
{
    struct subscriber *sub = (struct subscriber *)(void *)o;
    if (sub->stream != NULL) detach(node, sub);
    state_release(node, sub, sizeof *sub);
}

static const struct owner_ops ops = {
    .on_stream = on_stream, .on_time = on_time, .release = release};

/* Whether this connection has as many subscriptions to the feed as one may. What is looked at is
 * the peer's own: it bounds its streams. */
static bool has_its_share(const struct feed *feed, const struct stream *s)
{
    const struct stream *other;
    uint32_t cursor = 0, count = 0;
    while (count < PER_CONNECTION &&
           (other = map_next(&s->conn->streams->by_id, &cursor)) != NULL) {
        if ((other->node_flags & STREAM_OWNED) == 0 || other->node_data == NULL) continue;
        if (((const struct owner *)other->node_data)->ops != &ops) continue;
        count += ((const struct subscriber *)other->node_data)->feed == feed;
    }
    return count == PER_CONNECTION;
}

/* Why a subscription is refused; NONE: it is not. */
static uint32_t refusal_of(const struct node *node, const struct feed *feed, const struct stream *s)
{
    const struct conn_streams *st = s->conn->streams;
    if (!s->has_out) return WEIR_REASON_KIND;
    if (has_its_share(feed, s)) return WEIR_REASON_LIMIT;
    if (feed->subscribers_count >= feed->subscribers_max) return WEIR_REASON_FULL;
    /* A reader gives credit anew when half of its window is used, and of the connection's an eighth
     * is for short things: a longer frame might never be taken whole. */
    if (feed->bytes_size > st->stream_credit_bidi_remote / 2 ||
        feed->bytes_size > st->send_window / 8 * 3 ||
        feed->bytes_size > node->env.limits->value[LIMIT_STREAM_SEND])
        return WEIR_REASON_LIMIT;
    return WEIR_REASON_NONE;
}

/* @return NULL without memory */
static struct subscriber *make(struct node *node, struct feed *feed, struct stream *s)
{
    int error;
    struct subscriber *sub = state_alloc(node, sizeof *sub, &error);
    if (sub == NULL) return NULL;
    if (owner_begin(node, &sub->owner, &ops, 0) != 0) {
        state_release(node, sub, sizeof *sub);
        return NULL;
    }
    sub->feed = feed;
    sub->stream = s;
    sub->cursor = feed->next;
    list_push_back(&feed->subscribers, &sub->link);
    feed->subscribers_count++;
    metric_inc(node->env.metrics, METRIC_FEED_SUBSCRIBERS);
    owner_take_stream(&sub->owner, s);
    return sub;
}

/* A new subscriber of values gets those that there are. @return false: no memory, it was dropped */
static bool show_present(struct node *node, struct feed *feed, struct subscriber *sub)
{
    for (uint32_t i = 0; feed->kind == WEIR_FEED_STATE && i < feed->capacity; i++) {
        struct feed_slot *slot = feed->places[i].slot;
        if (slot == NULL || slot->is_removed) continue;
        if (!feed_subscriber_touch(node, sub, slot, 0)) return false;
    }
    return true;
}

void feed_subscriber_on_opened(struct node *node, struct feed *feed, struct stream *s,
                               size_t head_len)
{
    uint32_t reason = refusal_of(node, feed, s);
    struct subscriber *sub = reason == WEIR_REASON_NONE ? make(node, feed, s) : NULL;
    if (sub == NULL) {
        metric_inc(node->env.metrics, METRIC_FEED_REFUSED);
        metric_inc(node->env.metrics, METRIC_STREAMS_REFUSED);
        streams_refuse(node, s, reason == WEIR_REASON_NONE ? WEIR_REASON_LIMIT : reason);
        return;
    }
    (void)stream_consume(s, head_len, node->now_us);
    (void)stream_set_urgency(s, feed->urgency, node->now_us);
    if (show_present(node, feed, sub) && feed_subscriber_pump(node, sub, false))
        owner_let_go(node, s);
}

void feed_subscriber_orphan(struct node *node, struct subscriber *sub)
{
    unlink_subscriber(node, sub);
}
