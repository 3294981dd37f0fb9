/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BASE_BYTES_H
#define WEIR_BASE_BYTES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A cursor over received bytes: the one way in which weir parses.
 *
 *  Every read checks the end. The first failure is sticky: `failed` stays true, all later reads
 *  give 0 or NULL, so a decoder may read a whole structure and look once. Lengths are unsigned and
 *  never added before they are checked (ENet's CVE-2006-1194 was a signed length). */
struct reader {
    const uint8_t *at, *end;
    bool failed;
};
struct reader reader_of(const void *data, size_t len);
size_t reader_left(const struct reader *r);
uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);  /**< big-endian, as all of these */
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
/** n bytes big-endian, n 1 to 8. */
uint64_t reader_uint(struct reader *r, unsigned n);
/** RFC 9000 section 16 variable-length integer. */
uint64_t reader_varint(struct reader *r);
/** A view of n bytes inside the input, or NULL (and failed) if fewer are left. n is 64 bits: it may
 *  come from the wire. */
const uint8_t *reader_bytes(struct reader *r, uint64_t n);
void reader_skip(struct reader *r, uint64_t n);
/** A reader over the next n bytes, which the outer one skips. */
struct reader reader_sub(struct reader *r, uint64_t n);

/** A cursor over bytes to send. Sticky `full`, as reader's failed: nothing is written past the
 *  end. */
struct writer {
    uint8_t *start, *at, *end;
    bool full;
};
struct writer writer_of(void *data, size_t cap);
size_t writer_len(const struct writer *w);
size_t writer_room(const struct writer *w);
void writer_u8(struct writer *w, uint8_t v);
void writer_u16(struct writer *w, uint16_t v);
void writer_u32(struct writer *w, uint32_t v);
void writer_u64(struct writer *w, uint64_t v);
void writer_uint(struct writer *w, uint64_t v, unsigned n);
/** Shortest form. v must be <= VARINT_MAX (asserted: it is ours). */
void writer_varint(struct writer *w, uint64_t v);
/** A varint in exactly n bytes (1, 2, 4, 8): for lengths that are filled in later. */
void writer_varint_sized(struct writer *w, uint64_t v, unsigned n);
void writer_bytes(struct writer *w, const void *data, size_t len);
void writer_zero(struct writer *w, size_t len);

#define VARINT_MAX UINT64_C(0x3fffffffffffffff)
/** Bytes that the shortest form takes: 1, 2, 4 or 8. */
unsigned varint_size(uint64_t v);
#endif
