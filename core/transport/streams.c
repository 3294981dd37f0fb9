/* SPDX-License-Identifier: MIT */
/* What a transport makes of frames: look-up and creation of streams, data, resets, stops,
 * acknowledgements. Credit is in credit.c.
 *
 * Opening a stream opens all lower ones of its type (RFC 9000 2.1). They are created at once: so a
 * known id that is not in the map is that of a stream that is gone, and no finished ids are kept.
 * The stream limit bounds how many. */
#include "transport/stream.h"
#include "base/assert.h"
#include <string.h>

static const struct transport_env *env_of(const struct transport_conn *c)
{
    return c->transport->env;
}

static const void *stream_key(const void *value, size_t *len)
{
    const struct stream *s = value;
    *len = sizeof s->id;
    return &s->id;
}

static bool id_is_local(const struct transport_conn *c, uint64_t id)
{
    return (id & 1) == (c->role == CONN_LISTENER ? 1u : 0u);
}

int streams_open(struct transport_conn *c, const struct streams_grants *own,
                 const struct streams_grants *peer)
{
    const struct transport_env *env = env_of(c);
    struct conn_streams *st = mem_alloc(env->mem, sizeof *st);
    if (st == NULL) return WEIR_E_MEMORY;
    st->conn = c;
    map_init(&st->by_id, env->mem, env->hash_key, stream_key);
    sched_init(&st->sched);
    list_init(&st->dirty);
    list_init(&st->touched);
    list_init(&st->blocked);
    datagram_queue_init(&st->datagrams_out);
    datagram_queue_init(&st->datagrams_in);
    budget_init(&st->budget, env->budget, LIMIT_SCOPE_CONNECTION, LIMIT_PEER_MEMORY,
                env->limits->value[LIMIT_PEER_MEMORY], c);
    if (!budget_charge(&st->budget, sizeof *st, NULL)) {
        budget_end(&st->budget);
        mem_free(env->mem, st, sizeof *st);
        return WEIR_E_BUDGET;
    }
    st->send_credit = st->send_window = peer->connection_bytes;
    st->stream_credit_bidi_local = peer->bidi_remote_bytes;
    st->stream_credit_bidi_remote = peer->bidi_local_bytes;
    st->stream_credit_uni = peer->uni_bytes;
    st->open_max[0] = peer->bidi_count;
    st->open_max[1] = peer->uni_count;
    st->receive_limit = st->receive_window = own->connection_bytes;
    st->accept_max[0] = own->bidi_count;
    st->accept_max[1] = own->uni_count;
    st->grow_off = env->windows_grow_off;
    c->streams = st;
    return 0;
}

static void destroy(struct stream *s)
{
    struct transport_conn *c = s->conn;
    struct conn_streams *st = c->streams;
    const struct mem *mem = env_of(c)->mem;
    if (st->last_found == s) st->last_found = NULL;
    stream_forget_block(s, s->blocked.since_us);
    if (list_is_linked(&s->ready_link)) sched_remove(&st->sched, &s->ready_link, s->urgency);
    list_remove(&s->dirty_link);
    list_remove(&s->touched_link);
    send_lane_free(&s->out, mem, &st->budget);
    receive_lane_free(&s->in, mem, &st->budget);
    budget_refund(&st->budget, STREAM_COST_BYTES);
    metric_dec(env_of(c)->metrics, METRIC_STREAMS_OPEN);
    st->count--;
    if (s->is_local) st->local_count--;
    mem_free(mem, s, sizeof *s);
}

void streams_free(struct transport_conn *c)
{
    struct conn_streams *st = c->streams;
    uint32_t cursor = 0;
    struct stream *s;
    while ((s = map_next(&st->by_id, &cursor)) != NULL) destroy(s);
    map_free(&st->by_id);
    datagram_queue_free(&st->datagrams_out, env_of(c)->mem, &st->budget);
    datagram_queue_free(&st->datagrams_in, env_of(c)->mem, &st->budget);
    list_remove(&st->starved_link);
    budget_refund(&st->budget, sizeof *st);
    budget_end(&st->budget);
    mem_free(env_of(c)->mem, st, sizeof *st);
    c->streams = NULL;
}

/* Everything arrived, and its end: who waits for the whole is told, though no byte is new. */
static bool is_whole(const struct receive_lane *in)
{
    return in->state == RECEIVE_SIZED && in->contiguous == in->final_size;
}

void streams_end(struct transport_conn *c)
{
    struct conn_streams *st = c->streams;
    const struct mem *mem = env_of(c)->mem;
    uint32_t cursor = 0;
    struct stream *s;
    list_remove(&st->starved_link);
    datagram_queue_free(&st->datagrams_out, mem, &st->budget);
    while ((s = map_next(&st->by_id, &cursor)) != NULL) {
        stream_forget_block(s, s->blocked.since_us);
        if (list_is_linked(&s->ready_link)) sched_remove(&st->sched, &s->ready_link, s->urgency);
        list_remove(&s->touched_link);
        if (s->out.state != SEND_OVER && s->has_out) {
            (void)send_lane_reset(&s->out, WEIR_REASON_CONNECTION, mem, &st->budget);
            s->out.state = SEND_OVER;
        }
        if (s->has_in && s->in.state != RECEIVE_OVER && !is_whole(&s->in)) {
            receive_lane_free(&s->in, mem, &st->budget);
            s->in.state = RECEIVE_OVER;
            s->in.was_reset = true;
            s->in.reset_code = WEIR_REASON_CONNECTION;
        }
        s->pending = (uint8_t)(s->pending & STREAM_PENDING_OPENED);
        stream_mark(s, STREAM_PENDING_OVER);
    }
}

/* @return the stream, charged and in the map, or NULL with *error */
static struct stream *create(struct transport_conn *c, uint64_t id, bool local, int *error)
{
    struct conn_streams *st = c->streams;
    const struct transport_env *env = env_of(c);
    bool one_way = (id & 2) != 0;
    *error = WEIR_E_BUDGET;
    if (!budget_charge(&st->budget, STREAM_COST_BYTES, NULL)) return NULL;
    struct stream *s = mem_alloc(env->mem, sizeof *s);
    *error = WEIR_E_MEMORY;
    if (s != NULL) {
        s->id = id;
        s->conn = c;
        s->is_local = local;
        s->has_out = local || !one_way;
        s->has_in = !local || !one_way;
        s->urgency = 3;
        uint64_t credit = one_way ? st->stream_credit_uni
                          : local ? st->stream_credit_bidi_local
                                  : st->stream_credit_bidi_remote;
        send_lane_init(&s->out, credit);
        ranges_set_budget(&s->out.acked, &st->budget);
        ranges_set_budget(&s->out.lost, &st->budget);
        receive_lane_init(&s->in, env->limits->value[LIMIT_STREAM_WINDOW_FIRST],
                          (uint32_t)env->limits->value[LIMIT_STREAM_GAPS]);
        ranges_set_budget(&s->in.gaps_above, &st->budget);
        if (map_add(&st->by_id, s)) {
            st->count++;
            if (local) st->local_count++;
            metric_inc(env->metrics, METRIC_STREAMS_OPEN);
            metric_inc(env->metrics,
                       local ? METRIC_STREAMS_OPENED_LOCAL : METRIC_STREAMS_OPENED_REMOTE);
            *error = 0;
            return s;
        }
        mem_free(env->mem, s, sizeof *s);
    }
    budget_refund(&st->budget, STREAM_COST_BYTES);
    return NULL;
}

struct stream *streams_open_local(struct transport_conn *c, bool one_way, uint8_t urgency,
                                  int *error)
{
    /* A transport may put the table off until there is a stream: most links of a large world have
     * none. */
    if (c->streams == NULL && c->state == CONN_UP && c->transport->ops->conn_streams != NULL &&
        c->transport->ops->conn_streams(c) != 0) {
        *error = WEIR_E_MEMORY;
        return NULL;
    }
    struct conn_streams *st = c->streams;
    unsigned type = one_way ? 1 : 0;
    if (st == NULL || c->state != CONN_UP) {
        *error = WEIR_E_NOT_CONNECTED;
        return NULL;
    }
    if (st->next_local[type] >= st->open_max[type]) {
        *error = WEIR_E_LIMIT;
        st->open_blocked[type] = true;
        metric_inc(env_of(c)->metrics, METRIC_STALLS_STREAMS_LIMIT);
        return NULL;
    }
    if ((st->local_count + UINT64_C(1)) * STREAM_COST_BYTES >
        st->budget.max / STREAM_SHARES * STREAM_SHARES_LOCAL) {
        *error = WEIR_E_BUDGET;
        metric_inc(env_of(c)->metrics, METRIC_LIMIT_REACHED);
        return NULL;
    }
    uint64_t id = st->next_local[type] << 2 | type << 1 | (c->role == CONN_LISTENER ? 1u : 0u);
    struct stream *s = create(c, id, true, error);
    if (s == NULL) return NULL;
    st->next_local[type]++;
    s->urgency = urgency;
    c->transport->ops->stream_changed(s, STREAM_OPENED, 0);
    return s;
}

struct stream *streams_get(const struct transport_conn *c, uint64_t id)
{
    struct conn_streams *st = c->streams;
    if (st == NULL) return NULL;
    /* Frame after frame is about the same stream: the keyed hash is for the others. */
    if (st->last_found == NULL || st->last_found->id != id)
        st->last_found = map_get(&st->by_id, &id, sizeof id);
    return st->last_found;
}

static int open_remote(struct transport_conn *c, uint64_t id)
{
    struct conn_streams *st = c->streams;
    unsigned type = (unsigned)(id >> 1 & 1);
    uint64_t ordinal = id >> 2;
    if (ordinal >= st->accept_max[type]) return STREAMS_LIMIT_ERROR;
    while (st->next_remote[type] <= ordinal) {
        int error;
        struct stream *s = create(c, st->next_remote[type] << 2 | (id & 3), false, &error);
        if (s == NULL) {
            metric_inc(env_of(c)->metrics, METRIC_LIMIT_REACHED);
            return STREAMS_NO_MEMORY;
        }
        st->next_remote[type]++;
        s->is_opened = true;
        stream_mark(s, STREAM_PENDING_OPENED);
    }
    return STREAMS_FOUND;
}

int streams_on_frame(struct transport_conn *c, uint64_t id, bool for_receive, uint64_t now_us,
                     struct stream **out)
{
    (void)now_us;
    *out = NULL;
    bool local = id_is_local(c, id), one_way = (id & 2) != 0;
    /* RFC 9000 19.4, 19.5, 19.8, 19.10: frames on the wrong direction. */
    if (one_way && for_receive == local) return STREAMS_STATE_ERROR;
    struct stream *s = streams_get(c, id);
    if (s == NULL) {
        unsigned type = one_way ? 1 : 0;
        uint64_t known = local ? c->streams->next_local[type] : c->streams->next_remote[type];
        if (id >> 2 < known) return STREAMS_GONE;
        if (local) return STREAMS_STATE_ERROR;
        int result = open_remote(c, id);
        if (result != STREAMS_FOUND) return result;
        s = streams_get(c, id);
        if (s == NULL) return STREAMS_NO_MEMORY;
    }
    *out = s;
    return STREAMS_FOUND;
}

static void tell_readable(struct stream *s)
{
    if (s->told_readable && !receive_lane_at_end(&s->in)) return;
    stream_mark(s, STREAM_PENDING_READABLE);
}

int streams_on_data(struct stream *s, uint64_t offset, const uint8_t *data, size_t len, bool fin)
{
    struct conn_streams *st = s->conn->streams;
    struct limit_record limit = {0};
    uint64_t grown, before = s->in.contiguous;
    bool was_whole = is_whole(&s->in);
    if (receive_lane_growth(&s->in, offset + len) > st->receive_limit - st->receive_used)
        return RECEIVE_FLOW_ERROR;
    int result = receive_lane_on_data(&s->in, offset, data, len, fin, env_of(s->conn)->mem,
                                      &st->budget, &limit, &grown);
    if (result == RECEIVE_DROP) {
        metric_inc(env_of(s->conn)->metrics,
                   limit.scope != 0 ? METRIC_LIMIT_REACHED : METRIC_GAPS_REFUSED);
        if (limit.scope != 0)
            streams_trim(s->conn); /* lanes that rest make room for when it comes again */
    }
    if (result != RECEIVE_OK) return result;
    st->receive_used += grown;
    if (s->in.stopped || s->in.state >= RECEIVE_RESET) {
        st->receive_consumed += grown; /* nobody will read them */
        if (s->in.stopped && s->in.state == RECEIVE_SIZED) s->in.state = RECEIVE_OVER;
        stream_check_over(s);
        return RECEIVE_OK;
    }
    if (s->in.contiguous > before || (!was_whole && is_whole(&s->in))) tell_readable(s);
    if (receive_lane_at_end(&s->in)) {
        stream_receive_over(s);
        stream_check_over(s);
    }
    return RECEIVE_OK;
}

int streams_on_reset(struct stream *s, uint32_t code, uint64_t final_size)
{
    struct conn_streams *st = s->conn->streams;
    uint64_t grown, unread = s->in.stopped ? 0 : s->in.highest - s->in.ring.base;
    bool was_over = s->in.state >= RECEIVE_RESET;
    if (receive_lane_growth(&s->in, final_size) > st->receive_limit - st->receive_used)
        return RECEIVE_FLOW_ERROR;
    int result =
        receive_lane_on_reset(&s->in, code, final_size, env_of(s->conn)->mem, &st->budget, &grown);
    if (result != RECEIVE_OK) return result;
    st->receive_used += grown;
    if (was_over || s->in.state != RECEIVE_RESET) {
        st->receive_consumed += was_over ? grown : 0;
        return RECEIVE_OK;
    }
    st->receive_consumed += unread + grown;
    s->in.state = RECEIVE_OVER;
    s->in.was_reset = true;
    metric_inc(env_of(s->conn)->metrics, METRIC_STREAMS_RESET_REMOTE);
    s->pending = (uint8_t)(s->pending & ~STREAM_PENDING_READABLE);
    stream_mark(s, STREAM_PENDING_RESET);
    stream_check_over(s);
    return RECEIVE_OK;
}

void streams_on_stop(struct stream *s, uint32_t code, uint64_t now_us)
{
    if (s->out.stopped || s->out.state == SEND_OVER) return;
    s->out.stopped = true;
    s->out.stop_code = code;
    /* RFC 9000 3.5: answer with RESET_STREAM and the same code, unless everything is delivered. */
    (void)stream_reset(s, code, now_us);
    stream_mark(s, STREAM_PENDING_STOPPED);
}

void streams_on_acked(struct stream *s, uint64_t offset, uint64_t len, bool fin, uint64_t now_us)
{
    send_lane_on_acked(&s->out, offset, len, fin, env_of(s->conn)->mem, &s->conn->streams->budget);
    if (s->out.state == SEND_OVER) {
        stream_check_over(s);
    } else {
        stream_schedule(s); /* what could not be remembered as arrived is sent again */
        stream_check_writable(s, now_us);
        if (s->tell_acked) stream_mark(s, STREAM_PENDING_WRITABLE);
        s->tell_acked = false;
    }
}

void streams_on_lost(struct stream *s, uint64_t offset, uint64_t len, bool fin)
{
    send_lane_on_lost(&s->out, offset, len, fin, env_of(s->conn)->mem);
    stream_schedule(s);
}

void streams_on_reset_acked(struct stream *s)
{
    if (s->out.state != SEND_RESET) return;
    s->out.state = SEND_OVER;
    s->out.reset_pending = false;
    stream_check_over(s);
}

struct stream *streams_next_dirty(struct transport_conn *c)
{
    if (c->streams == NULL) return NULL;
    struct stream *s = list_first(&c->streams->dirty, struct stream, dirty_link);
    if (s != NULL) list_remove(&s->dirty_link);
    return s;
}

void streams_forget(struct stream *s)
{
    struct transport_conn *c = s->conn;
    struct conn_streams *st = c->streams;
    (void)datagram_queue_purge(&st->datagrams_out, s->id, env_of(c)->mem, &st->budget);
    (void)datagram_queue_purge(&st->datagrams_in, s->id, env_of(c)->mem, &st->budget);
    const struct stream *removed = map_remove(&st->by_id, &s->id, sizeof s->id);
    WEIR_ASSERT(removed == s);
    destroy(s);
}
