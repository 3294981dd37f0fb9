/* SPDX-License-Identifier: MIT */
#include "base/varint.h"
#include "base/assert.h"

/* The specification allows 9 bytes of 7 bits: values below 2^63. */
enum { UVARINT_BYTES_MAX = 9 };

static uint64_t uvarint_fail(struct reader *r)
{
    r->failed = true;
    r->at = r->end;
    return 0;
}

uint64_t uvarint_read(struct reader *r)
{
    uint64_t v = 0;
    unsigned i;

    for (i = 0; i < UVARINT_BYTES_MAX; i++) {
        uint8_t byte = reader_u8(r);

        if (r->failed) return 0;
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) != 0) continue;
        /* A last byte of 0 adds nothing: a second spelling of a shorter form would give one
         * address two names. */
        if (byte == 0 && i > 0) return uvarint_fail(r);
        return v;
    }
    return uvarint_fail(r);
}

unsigned uvarint_size(uint64_t v)
{
    unsigned n = 1;

    WEIR_ASSERT(v < UINT64_C(1) << 63);
    while (v >= 0x80) {
        v >>= 7;
        n++;
    }
    return n;
}

void uvarint_write(struct writer *w, uint64_t v)
{
    uint8_t bytes[UVARINT_BYTES_MAX];
    unsigned n = uvarint_size(v), i;

    for (i = 0; i < n; i++) {
        bytes[i] = (uint8_t)((v & 0x7f) | (i + 1 < n ? 0x80 : 0));
        v >>= 7;
    }
    writer_bytes(w, bytes, n);
}
