/* SPDX-License-Identifier: MIT */
#include "base/bytes.h"
#include "base/assert.h"
#include <string.h>

/* What a cursor without input points to: pointer arithmetic on NULL is undefined even for 0. */
static const uint8_t nothing[1];

struct reader reader_of(const void *data, size_t len)
{
    struct reader r;

    WEIR_ASSERT(data != NULL || len == 0);
    r.at = data != NULL ? data : nothing;
    r.end = r.at + len;
    r.failed = false;
    return r;
}

size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

/* A failed reader is also at its end, so that a loop over reader_left ends. */
static void reader_fail(struct reader *r)
{
    r->failed = true;
    r->at = r->end;
}

const uint8_t *reader_bytes(struct reader *r, uint64_t n)
{
    const uint8_t *bytes = r->at;

    if (r->failed || n > reader_left(r)) {
        reader_fail(r);
        return NULL;
    }
    r->at += (size_t)n;
    return bytes;
}

uint64_t reader_uint(struct reader *r, unsigned n)
{
    const uint8_t *bytes;
    uint64_t v = 0;
    unsigned i;

    WEIR_ASSERT(n >= 1 && n <= 8);
    bytes = reader_bytes(r, n);
    if (bytes == NULL) return 0;
    for (i = 0; i < n; i++) v = v << 8 | bytes[i];
    return v;
}

uint8_t reader_u8(struct reader *r)
{
    return (uint8_t)reader_uint(r, 1);
}

uint16_t reader_u16(struct reader *r)
{
    return (uint16_t)reader_uint(r, 2);
}

uint32_t reader_u32(struct reader *r)
{
    return (uint32_t)reader_uint(r, 4);
}

uint64_t reader_u64(struct reader *r)
{
    return reader_uint(r, 8);
}

uint64_t reader_varint(struct reader *r)
{
    unsigned n;

    if (reader_left(r) == 0) {
        reader_fail(r);
        return 0;
    }
    /* RFC 9000 16: the two most significant bits of the first byte are the base-2 logarithm of
     * the length. */
    n = 1u << (*r->at >> 6);
    return reader_uint(r, n) & ~(UINT64_C(3) << (8 * n - 2));
}

void reader_skip(struct reader *r, uint64_t n)
{
    (void)reader_bytes(r, n);
}

struct reader reader_sub(struct reader *r, uint64_t n)
{
    const uint8_t *bytes = reader_bytes(r, n);
    struct reader sub;

    if (bytes != NULL) return reader_of(bytes, (size_t)n);
    sub = reader_of(NULL, 0);
    sub.failed = true;
    return sub;
}

struct writer writer_of(void *data, size_t cap)
{
    struct writer w;

    WEIR_ASSERT(data != NULL || cap == 0);
    w.start = w.at = w.end = data;
    if (cap > 0) w.end += cap;
    w.full = false;
    return w;
}

size_t writer_len(const struct writer *w)
{
    return (size_t)(w->at - w->start);
}

size_t writer_room(const struct writer *w)
{
    return w->full ? 0 : (size_t)(w->end - w->at);
}

/* The place of the next n bytes, n > 0; or NULL, and full from now on. */
static uint8_t *writer_take(struct writer *w, size_t n)
{
    uint8_t *place = w->at;

    if (n > writer_room(w)) {
        w->full = true;
        return NULL;
    }
    w->at += n;
    return place;
}

void writer_uint(struct writer *w, uint64_t v, unsigned n)
{
    uint8_t *place;

    WEIR_ASSERT(n >= 1 && n <= 8);
    place = writer_take(w, n);
    if (place == NULL) return;
    while (n > 0) {
        n--;
        place[n] = (uint8_t)(v & 0xff);
        v >>= 8;
    }
}

void writer_u8(struct writer *w, uint8_t v)
{
    writer_uint(w, v, 1);
}

void writer_u16(struct writer *w, uint16_t v)
{
    writer_uint(w, v, 2);
}

void writer_u32(struct writer *w, uint32_t v)
{
    writer_uint(w, v, 4);
}

void writer_u64(struct writer *w, uint64_t v)
{
    writer_uint(w, v, 8);
}

unsigned varint_size(uint64_t v)
{
    WEIR_ASSERT(v <= VARINT_MAX);
    if (v < UINT64_C(1) << 6) return 1;
    if (v < UINT64_C(1) << 14) return 2;
    if (v < UINT64_C(1) << 30) return 4;
    return 8;
}

void writer_varint_sized(struct writer *w, uint64_t v, unsigned n)
{
    uint64_t prefix;

    WEIR_ASSERT(n == 1 || n == 2 || n == 4 || n == 8);
    WEIR_ASSERT(varint_size(v) <= n);
    prefix = n == 1 ? 0 : n == 2 ? 1 : n == 4 ? 2 : 3;
    writer_uint(w, v | prefix << (8 * n - 2), n);
}

void writer_varint(struct writer *w, uint64_t v)
{
    writer_varint_sized(w, v, varint_size(v));
}

void writer_bytes(struct writer *w, const void *data, size_t len)
{
    uint8_t *place;

    if (len == 0) return;
    place = writer_take(w, len);
    if (place != NULL) memcpy(place, data, len);
}

void writer_zero(struct writer *w, size_t len)
{
    uint8_t *place;

    if (len == 0) return;
    place = writer_take(w, len);
    if (place != NULL) memset(place, 0, len);
}
