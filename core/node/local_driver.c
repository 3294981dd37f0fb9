/* SPDX-License-Identifier: MIT */
/* Local streams as the driver sees them: what it may read, what it has to write, and what it says
 * about both. */
#include "base/assert.h"
#include "node/local.h"
#include "node/local_state.h"

enum {
    PIECE_BYTES = 65536, /* that the driver may read at once */
    RING_FIRST = 512     /* a ring's first capacity (base/ring.h); then it doubles */
};

/* The stream of a token that the driver still has, or NULL. */
static struct stream *find(const struct node *node, uint64_t token)
{
    int error;
    if (node->closed || state_extras(node)->local == NULL) return NULL;
    struct stream *s = handle_get(&node->handles, token, HANDLE_STREAM, &error);
    return s != NULL && local_is(s) && !local_record(s)->is_over ? s : NULL;
}

/* What the receive lane's ring grows by for so many bytes more. */
static uint64_t growth_of(const struct stream *s, uint64_t len)
{
    uint64_t need = s->in.highest + len - s->in.ring.base, capacity = RING_FIRST;
    if (need <= s->in.ring.capacity) return 0;
    while (capacity < need) capacity *= 2;
    return capacity - s->in.ring.capacity;
}

static void starve(struct node *node, struct stream *s, uint64_t len)
{
    struct local_stream *r = local_record(s);
    if (!r->is_starved) state_extras(node)->local->starved++;
    r->is_starved = true;
    r->room_bytes = growth_of(s, len);
}

int64_t node_local_credit(struct node *node, uint64_t token)
{
    struct stream *s = find(node, token);
    if (s == NULL) return WEIR_E_STALE;
    if (!s->has_in || s->in.stopped || s->in.state != RECEIVE_OPEN) return WEIR_E_STOPPED;
    uint64_t credit = s->in.limit - s->in.highest, room = budget_room(&s->conn->streams->budget);
    if (credit > PIECE_BYTES) credit = PIECE_BYTES;
    if (credit == 0) return 0;
    while (credit > 0 && growth_of(s, credit) > room) credit /= 2;
    if (credit == 0) starve(node, s, 1);
    return (int64_t)credit;
}

int64_t node_local_peek(const struct node *node, uint64_t token, const uint8_t **data, bool *fin)
{
    struct stream *s = find(node, token);
    *data = NULL;
    *fin = false;
    if (s == NULL) return WEIR_E_STALE;
    if (!s->has_out) return 0;
    const struct send_lane *out = &s->out;
    if (out->state > SEND_FINISHED) return WEIR_E_RESET;
    uint64_t len = out->released - out->ring.base;
    if (len > 0) len = ring_view(&out->ring, out->ring.base, (size_t)len, data);
    *fin = out->state == SEND_FINISHED && out->ring.base + len == out->written;
    return (int64_t)len;
}

static int on_data(struct node *node, struct stream *s, const uint8_t *data, size_t len)
{
    int result = streams_on_data(s, s->in.highest, data, len, false);
    WEIR_ASSERT(result == RECEIVE_OK || result == RECEIVE_DROP);
    if (result == RECEIVE_OK) return 0;
    if (growth_of(s, len) > budget_room(&s->conn->streams->budget)) {
        starve(node, s, len);
        return WEIR_E_BUDGET;
    }
    /* The budget has room but the allocator has none: a gap would be worse than an end. */
    local_record(s)->error = WEIR_E_MEMORY;
    local_give_up(node, s, true);
    return 0;
}

static void acknowledge(struct node *node, struct stream *s, uint64_t len, bool fin)
{
    struct send_lane *out = &s->out;
    uint64_t window = local_window(node), offset = out->ring.base;
    if (out->state > SEND_FINISHED) return; /* was reset while the driver wrote */
    WEIR_ASSERT(len <= out->released - offset);
    (void)send_lane_on_sent(out, offset, len, fin, node->env.mem);
    streams_on_acked(s, offset, len, fin, node->now_us);
    if (out->credit - out->ring.base <= window / 2)
        streams_on_stream_credit(s, out->ring.base + window, node->now_us);
}

static void end_in(struct stream *s, bool clean)
{
    int result = RECEIVE_OK;
    if (!s->has_in || s->in.state != RECEIVE_OPEN) return;
    if (clean || s->in.stopped)
        result = streams_on_data(s, s->in.highest, NULL, 0, true);
    else
        result = streams_on_reset(s, WEIR_REASON_CONNECTION, s->in.highest);
    WEIR_ASSERT(result == RECEIVE_OK);
}

static void end_out(struct node *node, struct stream *s, bool clean)
{
    if (!s->has_out) return;
    if (clean && s->out.state == SEND_FINISHED && s->out.ring.base == s->out.written) {
        acknowledge(node, s, 0, true);
        return;
    }
    if (clean && s->out.state != SEND_RESET)
        streams_on_stop(s, WEIR_REASON_NONE, node->now_us);
    else
        (void)stream_reset(s, WEIR_REASON_CONNECTION, node->now_us);
    streams_on_reset_acked(s);
}

static void on_closed(struct node *node, struct stream *s, int error, uint64_t amount)
{
    const unsigned parts = STREAM_PENDING_RESET | STREAM_PENDING_STOPPED | STREAM_PENDING_WRITABLE;
    struct local_stream *r = local_record(s);
    r->is_over = true;
    if (r->error == 0) r->error = error;
    r->exit_code = (uint32_t)amount;
    local_count(node, r->kind, false);
    end_out(node, s, r->error == 0);
    end_in(s, r->error == 0);
    if (r->error == 0) return;
    metric_inc(node->env.metrics, METRIC_LOCAL_FAILED);
    /* The failure ends both lanes at once: the last event says it all. */
    s->pending = (uint8_t)(s->pending & ~parts);
}

int64_t local_on_input(struct node *node, const struct node_input *in)
{
    struct stream *s = find(node, in->local.token);
    if (s == NULL) return 0;
    switch (in->local.fact) {
    case NODE_LOCAL_DATA: return on_data(node, s, in->local.data, in->local.len);
    case NODE_LOCAL_END: end_in(s, true); break;
    case NODE_LOCAL_WROTE:
        if (in->local.error != 0)
            streams_on_stop(s, WEIR_REASON_NONE, node->now_us);
        else
            acknowledge(node, s, in->local.amount, false);
        break;
    case NODE_LOCAL_CLOSED: on_closed(node, s, in->local.error, in->local.amount); break;
    default:
        WEIR_ASSERT(in->local.fact == NODE_LOCAL_OPENED);
        local_record(s)->size = in->local.amount;
        s->node_flags |= STREAM_TELL_OPENED;
        stream_mark(s, 0);
    }
    return 0;
}
