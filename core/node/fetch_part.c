/* SPDX-License-Identifier: MIT */
/* A part in flight: one request, as docs/wire.md says. The peer's bytes go straight into a buffer
 * of the part's length and into its hash; whatever does not fit ends the stream. A part is whole
 * when its lane has ended at the right length, so that "and nothing else" is checked too. */
#include "base/assert.h"
#include "base/bytes.h"
#include "base/charged.h"
#include "node/events.h"
#include "node/exchanges.h"
#include "node/fetch.h"
#include "node/stream_head.h"
#include "node/streams.h"
#include <string.h>

enum { RECEIVE_PART = 4 /* of the node's memory, one part in so many is left to what arrives */ };

/* The first buffer may take what there is: else a fetch in a full node would never move. */
static bool may_hold(const struct node *node, const struct fetch *f, uint32_t len)
{
    uint64_t room = budget_room(&node->budget), kept = node->budget.max / RECEIVE_PART;
    if (node->budget.max == UINT64_MAX || f->plan.slots_used <= 1) kept = 0;
    return room >= kept && room - kept >= len;
}

static int take_buffer(struct node *node, struct fetch *f, struct fetch_slot *slot)
{
    if (!may_hold(node, f, slot->len) || !budget_charge(&node->budget, slot->len, NULL))
        return WEIR_E_BUDGET;
    /* Not zeroed: a part is handed over only when every byte of it was written. */
    slot->bytes = mem_resize(node->env.mem, NULL, 0, slot->len);
    if (slot->bytes != NULL) return 0;
    budget_refund(&node->budget, slot->len);
    return WEIR_E_MEMORY;
}

void fetch_part_drop_bytes(struct node *node, struct fetch_slot *slot)
{
    charged_free(node->env.mem, &node->budget, slot->bytes, slot->len);
    slot->bytes = NULL;
}

/* @return 0 or why the stream takes no more; what it did not take follows when it is writable */
static int write_request(struct node *node, struct fetch *f, struct fetch_slot *slot)
{
    uint8_t bytes[FETCH_REQUEST_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);
    writer_varint(&w, (uint64_t)slot->part * f->plan.part_bytes);
    writer_varint(&w, slot->len);
    writer_bytes(&w, f->data, f->data_len);
    WEIR_ASSERT(!w.full && slot->written <= writer_len(&w));
    size_t left = writer_len(&w) - slot->written;
    if (left == 0) return 0;
    int64_t taken =
        stream_write(slot->stream, bytes + slot->written, left, false, true, node->now_us);
    /* Who wants no more of the request may answer it all the same. */
    if (taken == WEIR_E_STOPPED || taken == WEIR_E_FINISHED) return 0;
    if (taken < 0) return (int)taken;
    slot->written = (uint16_t)(slot->written + taken);
    owner_let_go(node, slot->stream);
    return 0;
}

int fetch_part_open(struct node *node, struct fetch *f, struct fetch_slot *slot,
                    struct transport_conn *c)
{
    int error = take_buffer(node, f, slot);
    if (error != 0) return error;
    struct stream *s =
        stream_head_open(c, f->name, f->name_len, false, f->urgency, node->now_us, &error);
    if (s == NULL) {
        fetch_part_drop_bytes(node, slot);
        return error;
    }
    owner_take_stream(&f->owner, s);
    s->user = (uint64_t)(slot - f->plan.slots);
    slot->stream = s;
    if (f->hashes != NULL) blake2b_init(&slot->hash);
    error = write_request(node, f, slot);
    if (error == 0) return 0;
    fetch_part_drop_stream(node, slot, WEIR_REASON_CANCELLED, false);
    fetch_part_drop_bytes(node, slot);
    return error;
}

void fetch_part_drop_stream(struct node *node, struct fetch_slot *slot, uint32_t reason,
                            bool is_over)
{
    struct stream *s = slot->stream;
    slot->stream = NULL;
    if (s == NULL || is_over) return;
    if (s->conn->state == CONN_UP &&
        (s->in.state != RECEIVE_OVER || s->out.state < SEND_FINISHED)) {
        owner_drop_stream(node, s, reason);
        return;
    }
    /* All was said, or there is nobody to say it to: it goes when the peer has acknowledged. */
    s->node_data = NULL;
    s->node_flags = STREAM_HIDDEN;
}

struct answer {
    uint32_t *came, *reason;
    uint64_t *hint_us;
};

static enum fetch_part_result fail(const struct answer *a, uint32_t reason)
{
    *a->reason = reason;
    return reason == WEIR_REASON_OVERLOAD ? FETCH_PART_BUSY : FETCH_PART_REFUSED;
}

/* The lane ended before its time: by the peer, or with the connection. */
static enum fetch_part_result on_no_more(const struct fetch_slot *slot, int64_t result,
                                         const struct answer *a)
{
    if (result == 0) return FETCH_PART_ON;
    if (result == WEIR_E_END) {
        *a->reason = WEIR_REASON_FORMAT;
        return slot->head_len == 0 || slot->head[0] != RESPONSE_OK ? FETCH_PART_REFUSED
                                                                   : FETCH_PART_WRONG;
    }
    uint32_t reason = streams_end_reason(slot->stream);
    return fail(a, reason == WEIR_REASON_NONE ? WEIR_REASON_CONNECTION : reason);
}

/* RESPONSE_REFUSED, a reason and a hint; the text behind them is for people. */
static enum fetch_part_result read_refusal(struct node *node, struct fetch_slot *slot,
                                           const struct answer *a)
{
    size_t room = sizeof slot->head - slot->head_len;
    int64_t count = stream_read(slot->stream, slot->head + slot->head_len, room, node->now_us);
    if (count > 0) slot->head_len = (uint8_t)(slot->head_len + count);
    struct reader r = reader_of(slot->head + 1, slot->head_len - 1u);
    uint64_t reason = reader_varint(&r), hint_us = reader_varint(&r);
    if (r.failed) return on_no_more(slot, stream_read(slot->stream, NULL, 0, node->now_us), a);
    *a->hint_us = hint_us;
    *a->reason = reason > UINT32_MAX ? WEIR_REASON_REFUSED : (uint32_t)reason;
    return hint_us > 0 || reason == WEIR_REASON_OVERLOAD ? FETCH_PART_BUSY : FETCH_PART_REFUSED;
}

static bool is_right(const struct fetch *f, struct fetch_slot *slot)
{
    uint8_t hash[BLAKE2B_SIZE];
    if (f->hashes == NULL) return true;
    blake2b_final(&slot->hash, hash);
    return memcmp(hash, f->hashes + (size_t)slot->part * BLAKE2B_SIZE, BLAKE2B_SIZE) == 0;
}

/* All bytes of the part are here: it must end now. */
static enum fetch_part_result at_length(struct fetch *f, struct fetch_slot *slot,
                                        const struct answer *a)
{
    const struct stream *s = slot->stream;
    *a->reason = WEIR_REASON_FORMAT;
    if (receive_lane_readable(&s->in) > 0) {
        *a->reason = WEIR_REASON_TOO_LARGE;
        return FETCH_PART_WRONG;
    }
    if (s->in.was_reset) return fail(a, streams_end_reason(s));
    if (!events_is_end_known(s)) return FETCH_PART_ON;
    return is_right(f, slot) ? FETCH_PART_WHOLE : FETCH_PART_WRONG;
}

static enum fetch_part_result read_bytes(struct node *node, struct fetch *f,
                                         struct fetch_slot *slot, const struct answer *a)
{
    uint32_t got = slot->got;
    int64_t count = 0;
    /* The second read, which finds nothing, tells whether the lane has ended. */
    while (got < slot->len && (count = stream_read(slot->stream, slot->bytes + got, slot->len - got,
                                                   node->now_us)) > 0) {
        if (f->hashes != NULL) blake2b_update(&slot->hash, slot->bytes + got, (size_t)count);
        got += (uint32_t)count;
    }
    *a->came = got - slot->got;
    return got == slot->len ? at_length(f, slot, a) : on_no_more(slot, count, a);
}

enum fetch_part_result fetch_part_on_stream(struct node *node, struct fetch *f,
                                            struct fetch_slot *slot, unsigned facts, uint32_t *came,
                                            uint32_t *reason, uint64_t *hint_us)
{
    const struct answer a = {came, reason, hint_us};
    struct stream *s = slot->stream;
    *came = 0;
    *reason = WEIR_REASON_NONE;
    *hint_us = 0;
    if ((facts & STREAM_PENDING_WRITABLE) != 0 && s->conn->state == CONN_UP &&
        write_request(node, f, slot) != 0) {
        *reason = WEIR_REASON_LIMIT;
        return FETCH_PART_BROKEN;
    }
    if (slot->head_len == 0) {
        int64_t count = stream_read(s, slot->head, 1, node->now_us);
        if (count <= 0) return on_no_more(slot, count, &a);
        slot->head_len = 1;
    }
    if (slot->head[0] == RESPONSE_REFUSED) return read_refusal(node, slot, &a);
    if (slot->head[0] == RESPONSE_OK) return read_bytes(node, f, slot, &a);
    *reason = WEIR_REASON_FORMAT;
    return FETCH_PART_REFUSED;
}
