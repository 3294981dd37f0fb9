/* SPDX-License-Identifier: MIT */
/* Frames of feeds (docs/wire.md, the section on feeds). Every length is checked before it is
 * believed, so a decoder never waits for more than FEED_HEAD_MAX and item_max bytes. */
#include "base/assert.h"
#include "base/bytes.h"
#include "node/feed.h"
#include <string.h>

enum { KEY_LEN_SIZE = 2 /* of up to FEED_KEY_MAX, in our frames */, VARINT_SIZE_MAX = 8 };

bool feed_wire_is_kind(uint64_t kind)
{
    return kind >= WEIR_FEED_STATE && kind <= WEIR_FEED_DROP_OLDEST;
}

size_t feed_wire_frame_max(uint32_t kind, uint32_t item_max)
{
    size_t head = VARINT_SIZE_MAX + VARINT_SIZE_MAX;
    if (kind != WEIR_FEED_DROP_OLDEST) head += KEY_LEN_SIZE + FEED_KEY_MAX;
    return kind == WEIR_FEED_SUM ? head : head + item_max;
}

/* @return false: that is no key */
static bool read_key(struct reader *r, struct feed_frame *out)
{
    uint64_t len = reader_varint(r);
    if (r->failed) return true;
    if (len == 0 || len > FEED_KEY_MAX) return false;
    const uint8_t *key = reader_bytes(r, len);
    if (key == NULL) return true;
    out->key_len = (uint32_t)len;
    memcpy(out->key, key, (size_t)len);
    return true;
}

static void read_value_head(struct reader *r, uint32_t kind, struct feed_frame *out)
{
    uint64_t v = reader_varint(r);
    if (kind == WEIR_FEED_SUM) {
        out->sum = (v & 1) != 0 ? -(int64_t)(v >> 1) - 1 : (int64_t)(v >> 1);
    } else if (kind == WEIR_FEED_STATE) {
        out->is_removed = v == 0;
        out->value_len = v == 0 ? 0 : v - 1;
    } else {
        out->value_len = v;
    }
}

enum feed_wire_result feed_wire_read(uint32_t kind, const uint8_t *bytes, size_t len,
                                     uint64_t item_max, struct feed_frame *out)
{
    WEIR_ASSERT(feed_wire_is_kind(kind));
    struct reader r = reader_of(bytes, len);
    memset(out, 0, sizeof *out);
    out->missed = reader_varint(&r);
    if (kind != WEIR_FEED_DROP_OLDEST && !read_key(&r, out)) return FEED_WIRE_BAD;
    read_value_head(&r, kind, out);
    if (r.failed) return FEED_WIRE_WAIT;
    out->head_len = (uint32_t)(len - reader_left(&r));
    return out->value_len > item_max ? FEED_WIRE_BAD : FEED_WIRE_DONE;
}

size_t feed_wire_write(uint32_t kind, const struct feed_frame *frame, const void *value, void *out,
                       size_t cap)
{
    struct writer w = writer_of(out, cap);
    writer_varint(&w, frame->missed);
    if (kind != WEIR_FEED_DROP_OLDEST) {
        writer_varint(&w, frame->key_len);
        writer_bytes(&w, frame->key, frame->key_len);
    }
    if (kind == WEIR_FEED_SUM) {
        WEIR_ASSERT(frame->sum <= FEED_SUM_MAX && frame->sum >= FEED_SUM_MIN);
        uint64_t twice = (uint64_t)frame->sum << 1;
        writer_varint(&w, frame->sum < 0 ? ~twice : twice);
    } else {
        uint64_t shift = kind == WEIR_FEED_STATE ? 1 : 0;
        writer_varint(&w, frame->is_removed ? 0 : frame->value_len + shift);
        if (frame->value_len > 0) writer_bytes(&w, value, (size_t)frame->value_len);
    }
    WEIR_ASSERT(!w.full);
    return writer_len(&w);
}
