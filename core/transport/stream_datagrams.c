/* SPDX-License-Identifier: MIT */
/* Unreliable datagrams of streams.
 *
 * A datagram belongs to a stream, so that its protocol says what it means and its end ends it
 * (docs/wire.md 12.7). Nothing here waits: what finds no room is dropped and counted, outgoing ones
 * with an answer to the caller, incoming ones by making the oldest go. Datagrams and stream bytes
 * take turns by packet, so that neither starves the other. */
#include "base/assert.h"
#include "transport/stream.h"
#include <string.h>

static const struct transport_env *env_of(const struct transport_conn *c)
{
    return c->transport->env;
}

/* Who only receives has no lane that could have been. */
static bool was_reset(const struct stream *s)
{
    return s->has_out && s->out.state >= SEND_RESET;
}

int stream_datagram_send(struct stream *s, const void *data, size_t len, uint64_t now_us,
                         struct limit_record *limit)
{
    struct transport_conn *c = s->conn;
    struct conn_streams *st = c->streams;
    const struct transport_env *env = env_of(c);
    *limit = (struct limit_record){0};
    if (c->state != CONN_UP || was_reset(s)) return WEIR_E_NOT_CONNECTED;
    uint64_t longest = c->transport->ops->datagram_max(c);
    if (longest == 0) return WEIR_E_UNSUPPORTED;
    if (len > longest) return WEIR_E_ARGUMENT;
    uint64_t most = env->limits->value[LIMIT_DATAGRAMS_OUT];
    if (st->datagrams_out.count >= most) {
        *limit = (struct limit_record){.scope = LIMIT_SCOPE_CONNECTION,
                                       .name = LIMIT_DATAGRAMS_OUT,
                                       .side = LIMIT_SIDE_LOCAL,
                                       .used = most,
                                       .max = most};
        metric_inc(env->metrics, METRIC_DATAGRAM_FRAMES_REFUSED);
        return WEIR_E_LIMIT;
    }
    int error = datagram_queue_push(&st->datagrams_out, s->id, data, len, env->mem, &st->budget);
    if (error != 0) {
        metric_inc(env->metrics, METRIC_DATAGRAM_FRAMES_REFUSED);
        return error;
    }
    c->transport->ops->stream_changed(s, STREAM_WROTE, now_us);
    return 0;
}

int64_t stream_datagram_read(struct stream *s, void *out, size_t cap)
{
    struct conn_streams *st = s->conn->streams;
    struct datagram_item *item = datagram_queue_find(&st->datagrams_in, s->id);
    s->pending = (uint8_t)(s->pending & ~STREAM_PENDING_DATAGRAM);
    if (item == NULL) return WEIR_E_NOT_FOUND;
    if (item->len > cap) return WEIR_E_SPACE;
    int64_t len = item->len;
    if (len > 0) memcpy(out, item->bytes, (size_t)len);
    datagram_queue_remove(&st->datagrams_in, item, env_of(s->conn)->mem, &st->budget);
    if (datagram_queue_find(&st->datagrams_in, s->id) != NULL)
        stream_mark(s, STREAM_PENDING_DATAGRAM);
    return len;
}

static void drop_oldest(struct transport_conn *c)
{
    struct conn_streams *st = c->streams;
    datagram_queue_remove(&st->datagrams_in, datagram_queue_first(&st->datagrams_in),
                          env_of(c)->mem, &st->budget);
    metric_inc(env_of(c)->metrics, METRIC_DATAGRAM_FRAMES_DROPPED);
}

void streams_on_datagram(struct transport_conn *c, uint64_t id, const uint8_t *data, size_t len)
{
    struct conn_streams *st = c->streams;
    struct metrics *metrics = env_of(c)->metrics;
    struct stream *s = streams_get(c, id);
    metric_inc(metrics, METRIC_DATAGRAM_FRAMES_RECEIVED);
    /* Of a stream that is over, or whose opening was overtaken: nothing is kept for what may never
     * come. */
    if (s == NULL) {
        metric_inc(metrics, METRIC_DATAGRAM_FRAMES_DROPPED);
        return;
    }
    if (st->datagrams_in.count >= env_of(c)->limits->value[LIMIT_DATAGRAMS_IN]) drop_oldest(c);
    /* Told once until one is read (stream_datagram_read tells again). */
    bool is_news = datagram_queue_find(&st->datagrams_in, id) == NULL;
    if (datagram_queue_push(&st->datagrams_in, id, data, len, env_of(c)->mem, &st->budget) != 0) {
        metric_inc(metrics, METRIC_DATAGRAM_FRAMES_DROPPED);
        return;
    }
    if (is_news) stream_mark(s, STREAM_PENDING_DATAGRAM);
}

/* The peer drops what it gets before the stream's opening. */
static bool is_before_its_stream(const struct transport_conn *c, const struct datagram_item *item)
{
    const struct stream *s = streams_get(c, item->stream);
    return s != NULL && s->is_local && !s->is_opened;
}

bool streams_has_datagram(const struct transport_conn *c)
{
    const struct list *items = &c->streams->datagrams_out.items;
    for (const struct list *l = items->next; l != items; l = l->next) {
        if (!is_before_its_stream(c, list_entry(l, const struct datagram_item, link))) return true;
    }
    return false;
}

struct datagram_item *streams_next_datagram(struct transport_conn *c, size_t max)
{
    struct conn_streams *st = c->streams;
    uint64_t longest = c->transport->ops->datagram_max(c);
    for (struct list *l = st->datagrams_out.items.next; l != &st->datagrams_out.items;) {
        struct datagram_item *item = list_entry(l, struct datagram_item, link);
        l = l->next;
        if (is_before_its_stream(c, item)) continue;
        if (item->len <= max) return item;
        if (item->len <= longest) return NULL;
        /* The path has shrunk since it was queued: it never fits again. */
        metric_inc(env_of(c)->metrics, METRIC_DATAGRAM_FRAMES_DROPPED);
        datagram_queue_remove(&st->datagrams_out, item, env_of(c)->mem, &st->budget);
    }
    return NULL;
}

void streams_datagram_sent(struct transport_conn *c, struct datagram_item *item)
{
    struct conn_streams *st = c->streams;
    datagram_queue_remove(&st->datagrams_out, item, env_of(c)->mem, &st->budget);
    metric_inc(env_of(c)->metrics, METRIC_DATAGRAM_FRAMES_SENT);
}

uint64_t stream_datagrams_waiting(const struct stream *s)
{
    uint64_t count = 0;
    const struct list *items = &s->conn->streams->datagrams_in.items;
    for (const struct list *l = items->next; l != items; l = l->next)
        count += list_entry(l, const struct datagram_item, link)->stream == s->id;
    return count;
}
