/* SPDX-License-Identifier: MIT */
/* The reader over any bytes: the first half says what to read, the second half is read. Whatever is
 * asked, it stays inside its input, never moves backwards, and gives zeros once it has failed. */
#include "base/bytes.h"
#include "fuzz/fuzz.h"
#include <stdlib.h>

static void check(bool holds)
{
    if (!holds) abort();
}

static uint64_t read_one(struct reader *r, uint8_t what, uint64_t n)
{
    const uint8_t *bytes;
    struct reader sub;
    switch (what % 8) {
    case 0: return reader_u8(r);
    case 1: return reader_u16(r);
    case 2: return reader_u32(r);
    case 3: return reader_u64(r);
    case 4: return reader_uint(r, (unsigned)(n % 8) + 1);
    case 5: return reader_varint(r);
    case 6: bytes = reader_bytes(r, n); return bytes != NULL && n > 0 ? bytes[n - 1] : 0;
    default:
        sub = reader_sub(r, n);
        check(reader_left(&sub) <= n);
        return reader_varint(&sub) & 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t half = size / 2;
    struct reader r = reader_of(data + half, size - half);
    for (size_t i = 0; i < half; i++) {
        size_t left = reader_left(&r);
        bool failed = r.failed;
        uint64_t value = read_one(&r, data[i], data[i] >> 3 == 31 ? UINT64_MAX - i : data[i] >> 3);
        check(reader_left(&r) <= left);
        check(!failed || (r.failed && value == 0));
    }
    return 0;
}
