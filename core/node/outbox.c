/* SPDX-License-Identifier: MIT */
/* What waits for room on a connection: see messages_out.c.
 *
 * The queue is bounded by the limit messages_out and charged to the node's budget. It is drained
 * when the transport says that the peer takes streams or bytes again, and, where memory of our own
 * was short, a moment later. */
#include "base/assert.h"
#include "base/bytes.h"
#include "node/events.h"
#include "node/exchange.h"
#include <string.h>

enum { RETRY_US = 50000 /* how often memory of our own is asked for again */ };

struct outbox {
    struct transport_conn *conn;
    struct list queue;        /**< exchanges, in the order in which they leave */
    struct list starved_link; /**< in exchanges->starved */
    uint32_t count;
    uint32_t of_type[2]; /**< requests, messages */
    bool no_credit;      /**< the first found no credit: nobody overtakes */
    bool wants_room;     /**< SENDABLE is owed */
    bool hushes_room;    /**< the transport notes room for the queue alone: no OPENABLE */
};

enum room { ROOM_ENOUGH, ROOM_NO_STREAM, ROOM_NO_CREDIT, ROOM_NO_BUDGET };

static struct conn_rare *rare_of(const struct transport_conn *c)
{
    return (c->node_flags & CONN_ATTEMPT) != 0 ? NULL : c->node_data;
}

static struct outbox *outbox_of(const struct transport_conn *c)
{
    const struct conn_rare *rare = rare_of(c);
    return rare == NULL ? NULL : rare->outbox;
}

static unsigned type_of(const struct exchange *x)
{
    return x->kind == MESSAGE_OUT ? 1 : 0;
}

/* The peer is to say when there is room. */
static void ask_for_room(struct transport_conn *c, unsigned type)
{
    struct conn_streams *st = c->streams;
    struct outbox *box = outbox_of(c);
    if (box != NULL && !st->open_blocked[0] && !st->open_blocked[1]) box->hushes_room = true;
    st->open_blocked[type] = true;
}

/* Whether a stream of this type with so many bytes can leave now, as far as can be known. */
static enum room room_for(struct transport_conn *c, unsigned type, uint64_t total)
{
    struct conn_streams *st = c->streams;
    if (st == NULL) return ROOM_NO_BUDGET;
    if (st->next_local[type] >= st->open_max[type]) return ROOM_NO_STREAM;
    if (total > streams_connection_room(st, 0)) return ROOM_NO_CREDIT;
    uint64_t need = 2 * total + STREAM_COST_BYTES + 512;
    return need > lane_send_room(&st->budget, NULL) ? ROOM_NO_BUDGET : ROOM_ENOUGH;
}

/* A transport may make the table with the first stream. */
void outbox_prepare(struct transport_conn *c)
{
    if (c->streams == NULL && c->transport->ops->conn_streams != NULL)
        (void)c->transport->ops->conn_streams(c);
}

static struct outbox *outbox_make(struct node *node, struct transport_conn *c, int *error)
{
    *error = WEIR_E_MEMORY;
    struct conn_rare *rare = state_rare(node, c);
    if (rare == NULL || exchanges_make(node) == NULL) return NULL;
    if (rare->outbox != NULL) return rare->outbox;
    struct outbox *box = state_alloc(node, sizeof *box, error);
    if (box == NULL) return NULL;
    box->conn = c;
    list_init(&box->queue);
    rare->outbox = box;
    return box;
}

static bool is_full(const struct node *node, const struct outbox *box)
{
    return box != NULL && box->count >= node->env.limits->value[LIMIT_MESSAGES_OUT];
}

bool outbox_has_room(struct node *node, struct transport_conn *c, bool tell)
{
    struct outbox *box = outbox_of(c);
    if (!is_full(node, box)) return true;
    if (tell) box->wants_room = true;
    return false;
}

/* Whether what is sent now may leave before what waits. */
bool outbox_may_leave(struct transport_conn *c, unsigned type, uint64_t total)
{
    const struct outbox *box = outbox_of(c);
    if (box != NULL && (box->of_type[type] > 0 || (box->count > 0 && box->no_credit))) return false;
    return room_for(c, type, total) == ROOM_ENOUGH;
}

struct tail *outbox_tail_make(struct node *node, size_t len, int *error)
{
    struct tail *tail = state_alloc(node, sizeof *tail + len, error);
    if (tail != NULL) tail->len = (uint32_t)len;
    return tail;
}

void outbox_tail_free(struct node *node, struct exchange *x)
{
    if (x->tail != NULL) state_release(node, x->tail, sizeof *x->tail + x->tail->len);
    x->tail = NULL;
}

/* Head and body as they will stand on the stream. */
static int keep_whole(struct node *node, struct exchange *x, const struct node_call *call)
{
    int error;
    struct tail *tail =
        outbox_tail_make(node, varint_size(call->key_len) + call->key_len + call->len, &error);
    if (tail == NULL) return error;
    struct writer w = writer_of(tail->bytes, tail->len);
    writer_varint(&w, call->key_len);
    writer_bytes(&w, call->key, call->key_len);
    writer_bytes(&w, call->data, call->len);
    WEIR_ASSERT(!w.full && writer_room(&w) == 0);
    outbox_tail_free(node, x);
    x->tail = tail;
    return 0;
}

static void tell_sendable(struct node *node, struct outbox *box)
{
    struct conn_rare *rare = rare_of(box->conn);
    if (!box->wants_room || box->conn->state != CONN_UP || is_full(node, box)) return;
    box->wants_room = false;
    rare->tell_sendable = true;
    events_queue_started(node, box->conn);
}

static void leave_queue(struct node *node, struct exchange *x)
{
    struct outbox *box = x->outbox;
    if (box == NULL) return;
    x->outbox = NULL;
    list_remove(&x->link);
    box->count--;
    box->of_type[type_of(x)]--;
    tell_sendable(node, box);
}

void outbox_forget(struct node *node, struct exchange *x)
{
    leave_queue(node, x);
    outbox_tail_free(node, x);
}

static void queue(struct outbox *box, struct exchange *x)
{
    struct list *before = box->queue.prev;
    while (before != &box->queue && list_entry(before, struct exchange, link)->urgency > x->urgency)
        before = before->prev;
    list_push_front(before, &x->link);
    x->outbox = box;
    box->count++;
    box->of_type[type_of(x)]++;
}

static void starve(struct node *node, struct outbox *box)
{
    struct exchanges *all = exchanges_of(node);
    if (!list_is_linked(&box->starved_link)) list_push_back(&all->starved, &box->starved_link);
    if (!heap_contains(&all->rest.timer))
        (void)owner_set_timer(node, &all->rest, node->now_us + RETRY_US);
}

/* The first of the queue leaves. @return false: not yet */
static bool start(struct node *node, struct exchange *x)
{
    struct outbox *box = x->outbox;
    struct transport_conn *c = box->conn;
    int error;
    struct stream *s = streams_open_local(c, x->kind == MESSAGE_OUT, x->urgency, &error);
    if (s == NULL) {
        starve(node, box);
        return false;
    }
    leave_queue(node, x);
    exchange_take(x, s);
    messages_out_push(node, x);
    return true;
}

/* Send what there is room for, in order. */
static void drain_queue(struct node *node, struct outbox *box)
{
    bool blocked[2] = {false, false};
    outbox_prepare(box->conn);
    box->no_credit = false;
    for (struct list *link = box->queue.next; link != &box->queue;) {
        struct exchange *x = list_entry(link, struct exchange, link);
        unsigned type = type_of(x);
        link = link->next;
        if (blocked[type]) continue;
        enum room room = room_for(box->conn, type, x->tail->len);
        /* Large against the peer's window: what is missing of it may come only piece by piece. */
        if (room == ROOM_NO_CREDIT && x->tail->len > box->conn->streams->send_window / 4)
            room = ROOM_ENOUGH;
        if (room == ROOM_NO_STREAM || room == ROOM_NO_CREDIT) ask_for_room(box->conn, type);
        if (room == ROOM_NO_BUDGET) starve(node, box);
        if (room == ROOM_NO_STREAM) {
            blocked[type] = true;
            if (blocked[1 - type] || box->of_type[1 - type] == 0) return;
        } else if (room != ROOM_ENOUGH || !start(node, x)) {
            box->no_credit = true;
            return;
        }
    }
}

void outbox_retry(struct node *node)
{
    struct list *starved = &exchanges_of(node)->starved;
    struct outbox *last = NULL, *box;
    if (!list_is_empty(starved)) last = list_entry(starved->prev, struct outbox, starved_link);
    while (last != NULL && (box = list_first(starved, struct outbox, starved_link)) != NULL) {
        list_remove(&box->starved_link);
        if (box->conn->state == CONN_UP) drain_queue(node, box);
        if (box == last) break;
    }
}

void exchanges_on_room(struct node *node, struct transport_conn *c)
{
    struct outbox *box = outbox_of(c);
    if (box != NULL && box->count > 0 && c->state == CONN_UP) drain_queue(node, box);
}

bool exchanges_hush_room(struct transport_conn *c)
{
    struct outbox *box = outbox_of(c);
    if (box == NULL || !box->hushes_room) return false;
    box->hushes_room = false;
    return true;
}

void exchanges_on_open_failed(struct transport_conn *c)
{
    struct outbox *box = outbox_of(c);
    if (box != NULL) box->hushes_room = false;
}

bool exchanges_wait(const struct transport_conn *c)
{
    const struct outbox *box = outbox_of(c);
    return box != NULL && box->count > 0;
}

void exchanges_on_end(struct node *node, struct transport_conn *c)
{
    struct outbox *box = outbox_of(c);
    struct exchange *x;
    while (box != NULL && (x = list_first(&box->queue, struct exchange, link)) != NULL)
        exchange_fail(node, x, WEIR_E_NOT_CONNECTED, WEIR_REASON_CONNECTION);
    if (box != NULL) list_remove(&box->starved_link);
}

void exchanges_free_conn(struct node *node, struct transport_conn *c)
{
    struct conn_rare *rare = rare_of(c);
    if (rare == NULL) return;
    exchanges_free_waiting(node, c);
    if (rare->outbox == NULL) return;
    WEIR_ASSERT(list_is_empty(&rare->outbox->queue));
    list_remove(&rare->outbox->starved_link);
    state_release(node, rare->outbox, sizeof *rare->outbox);
    rare->outbox = NULL;
}

static bool is_same_protocol(const struct exchange *x, const struct node_call *call)
{
    size_t size = varint_size(call->key_len);
    return x->kind == MESSAGE_OUT && x->tail->len >= size + call->key_len &&
           1u + (x->tail->bytes[0] >> 6) == size &&
           x->tail->bytes[size - 1] == (uint8_t)call->key_len &&
           memcmp(x->tail->bytes + size, call->key, call->key_len) == 0;
}

static struct exchange *find_same(struct outbox *box, const struct node_call *call, bool by_key,
                                  uint64_t key)
{
    struct exchange *found = NULL;
    for (struct list *link = box->queue.next; link != &box->queue; link = link->next) {
        struct exchange *x = list_entry(link, struct exchange, link);
        if (!is_same_protocol(x, call)) continue;
        if (by_key && x->key_set && x->key == key) return x;
        /* Timers are numbered in the order of making. */
        if (!by_key && (found == NULL || x->owner.timer.order < found->owner.timer.order))
            found = x;
    }
    return found;
}

/* The queue is full. @return whether there is room after all */
static bool overflow(struct node *node, struct outbox *box, const struct node_call *call,
                     uint32_t policy)
{
    struct exchange *oldest = NULL;
    if (policy == 0 || policy == WEIR_OVERFLOW_BLOCK) {
        box->wants_room = true;
        return false;
    }
    metric_inc(node->env.metrics, METRIC_MESSAGES_DROPPED_SEND);
    if (policy == WEIR_OVERFLOW_DROP_OLD) oldest = find_same(box, call, false, 0);
    if (oldest == NULL) return false;
    exchange_forget(node, oldest);
    return true;
}

int64_t outbox_wait_message(struct node *node, struct transport_conn *c,
                            const struct node_call *call, uint8_t urgency)
{
    const weir_message_options *options = call->options;
    bool merges = options->overflow == WEIR_OVERFLOW_MERGE;
    int error;
    struct outbox *box = outbox_make(node, c, &error);
    if (box == NULL) return error;
    struct exchange *x = merges ? find_same(box, call, true, options->key) : NULL;
    if (x != NULL) {
        error = keep_whole(node, x, call);
        if (error != 0) return error;
        metric_inc(node->env.metrics, METRIC_MESSAGES_DROPPED_SEND);
        return 1;
    }
    if (is_full(node, box) && !overflow(node, box, call, options->overflow)) return 0;
    x = exchange_begin(node, MESSAGE_OUT, c, NULL, &error);
    if (x == NULL) return error;
    error = keep_whole(node, x, call);
    if (error != 0) {
        exchange_forget(node, x);
        return error;
    }
    x->key_set = merges;
    x->key = options->key;
    x->urgency = urgency;
    queue(box, x);
    drain_queue(node, box);
    return 1;
}

int outbox_wait_request(struct node *node, struct exchange *x, const struct node_call *call)
{
    int error;
    struct outbox *box = outbox_make(node, x->conn, &error);
    if (box == NULL) return error;
    error = keep_whole(node, x, call);
    if (error != 0) return error;
    queue(box, x);
    drain_queue(node, box);
    return 0;
}
