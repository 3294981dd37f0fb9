/* SPDX-License-Identifier: MIT */
#include "node/stream_head.h"
#include "base/assert.h"
#include "base/bytes.h"
#include <string.h>

bool stream_head_is_name(const char *name, size_t len, uint64_t name_max)
{
    if (len == 0 || len > STREAM_HEAD_NAME_MAX || len > name_max) return false;
    for (size_t i = 0; i < len; i++) {
        if (name[i] <= ' ' || name[i] > '~') return false;
    }
    return true;
}

static bool is_ended(const struct stream *s)
{
    if (s->in.was_reset || s->in.state >= RECEIVE_RESET) return true;
    return s->in.state == RECEIVE_SIZED && s->in.contiguous == s->in.final_size;
}

enum stream_head_result stream_head_read(const struct stream *s, uint64_t name_max,
                                         struct stream_head *out)
{
    uint8_t bytes[STREAM_HEAD_MAX];
    uint64_t readable = receive_lane_readable(&s->in);
    size_t len = readable < sizeof bytes ? (size_t)readable : sizeof bytes;
    enum stream_head_result partial = is_ended(s) ? STREAM_HEAD_BAD : STREAM_HEAD_WAIT;
    if (len == 0) return partial;
    ring_read(&s->in.ring, s->in.ring.base, bytes, len);
    struct reader r = reader_of(bytes, len);
    uint64_t name_len = reader_varint(&r);
    if (r.failed) return partial;
    if (name_len == 0 || name_len > name_max || name_len > STREAM_HEAD_NAME_MAX)
        return STREAM_HEAD_BAD;
    const uint8_t *name = reader_bytes(&r, name_len);
    if (name == NULL) return partial;
    out->name_len = (size_t)name_len;
    out->len = len - reader_left(&r);
    memcpy(out->name, name, out->name_len);
    return stream_head_is_name(out->name, out->name_len, name_max) ? STREAM_HEAD_DONE
                                                                   : STREAM_HEAD_BAD;
}

/* Whether the peer's credit takes the head: a head in two parts would need a writer that waits.
 * @return 0; WEIR_E_BUDGET never; WEIR_E_LIMIT not now: told when there is credit again */
static int fits(struct transport_conn *c, bool one_way, size_t len)
{
    struct conn_streams *st = c->streams;
    uint64_t of_stream = one_way ? st->stream_credit_uni : st->stream_credit_bidi_local;
    uint64_t of_connection = st->send_credit > st->send_used ? st->send_credit - st->send_used : 0;
    if (len > of_stream) return WEIR_E_BUDGET;
    if (len <= of_connection) return 0;
    st->open_blocked[one_way ? 1 : 0] = true;
    return WEIR_E_LIMIT;
}

struct stream *stream_head_open(struct transport_conn *c, const char *name, size_t name_len,
                                bool one_way, uint8_t urgency, uint64_t now_us, int *error)
{
    uint8_t bytes[STREAM_HEAD_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);
    writer_varint(&w, name_len);
    writer_bytes(&w, name, name_len);
    WEIR_ASSERT(!w.full);
    *error = c->streams != NULL ? fits(c, one_way, writer_len(&w)) : 0;
    if (*error != 0) return NULL;
    struct stream *s = streams_open_local(c, one_way, urgency, error);
    if (s == NULL) return NULL;
    int64_t taken = stream_write(s, bytes, writer_len(&w), false, false, now_us);
    if (taken == (int64_t)writer_len(&w)) return s;
    /* Our own budget refused. The id is used up, so the peer learns of the stream and of its end.
     */
    *error = taken < 0 ? (int)taken : WEIR_E_BUDGET;
    s->node_flags = STREAM_HIDDEN;
    (void)stream_reset(s, WEIR_REASON_CANCELLED, now_us);
    if (s->has_in) (void)stream_stop(s, WEIR_REASON_CANCELLED, now_us);
    return NULL;
}
