/* SPDX-License-Identifier: MIT */
/* Goal: whatever bytes a publisher sends, the decoder of a feed's frames reads them within its
 * bounds, never waits for ever, and agrees with the writer. The first byte chooses the kind, the
 * second how much is believed; the rest is frames, given whole and cut short. */
#include "base/assert.h"
#include "base/bytes.h"
#include "fuzz/fuzz.h"
#include "node/feed.h"
#include <string.h>

enum { ITEM_MOST = 300 };

static void check_head(uint32_t kind, const struct feed_frame *f, uint64_t item_max, size_t len)
{
    bool is_row = kind == WEIR_FEED_DROP_OLDEST;
    WEIR_ASSERT(f->head_len > 0 && f->head_len <= len && f->head_len <= FEED_HEAD_MAX);
    WEIR_ASSERT(f->value_len <= item_max);
    WEIR_ASSERT(f->key_len <= FEED_KEY_MAX && (f->key_len == 0) == is_row);
    WEIR_ASSERT(!f->is_removed || (kind == WEIR_FEED_STATE && f->value_len == 0));
    WEIR_ASSERT(f->sum == 0 || kind == WEIR_FEED_SUM);
    WEIR_ASSERT(f->sum <= FEED_SUM_MAX && f->sum >= FEED_SUM_MIN);
}

/* What a prefix says is never taken back: it waits, or says the same. */
static void check_prefixes(uint32_t kind, const uint8_t *at, uint64_t item_max,
                           const struct feed_frame *whole)
{
    for (size_t len = 0; len < whole->head_len; len++) {
        struct feed_frame part;
        WEIR_ASSERT(feed_wire_read(kind, at, len, item_max, &part) == FEED_WIRE_WAIT);
    }
}

/* Written again it reads the same. */
static void check_round(uint32_t kind, const struct feed_frame *f, const uint8_t *value)
{
    uint8_t out[FEED_HEAD_MAX + ITEM_MOST];
    struct feed_frame again;
    size_t len = feed_wire_write(kind, f, value, out, sizeof out);
    WEIR_ASSERT(len <= feed_wire_frame_max(kind, (uint32_t)f->value_len));
    WEIR_ASSERT(feed_wire_read(kind, out, len, ITEM_MOST, &again) == FEED_WIRE_DONE);
    WEIR_ASSERT(again.head_len + again.value_len == len);
    WEIR_ASSERT(again.missed == f->missed && again.sum == f->sum);
    WEIR_ASSERT(again.is_removed == f->is_removed && again.value_len == f->value_len);
    WEIR_ASSERT(again.key_len == f->key_len && memcmp(again.key, f->key, f->key_len) == 0);
    WEIR_ASSERT(f->value_len == 0 ||
                memcmp(out + again.head_len, value, (size_t)f->value_len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_of(data, size);
    uint32_t kind = WEIR_FEED_STATE + reader_u8(&r) % 3u;
    uint64_t item_max = (uint64_t)(reader_u8(&r) % ITEM_MOST);
    while (!r.failed && reader_left(&r) > 0) {
        struct feed_frame f;
        size_t len = reader_left(&r);
        enum feed_wire_result result = feed_wire_read(kind, r.at, len, item_max, &f);
        WEIR_ASSERT(result != FEED_WIRE_WAIT || len < FEED_HEAD_MAX);
        if (result != FEED_WIRE_DONE) break;
        check_head(kind, &f, item_max, len);
        check_prefixes(kind, r.at, item_max, &f);
        reader_skip(&r, f.head_len);
        const uint8_t *value = reader_bytes(&r, f.value_len);
        if (value != NULL) check_round(kind, &f, value);
    }
    return 0;
}
