/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BASE_RING_H
#define WEIR_BASE_RING_H
#include "base/budget.h"
#include "base/mem.h"
#include <stdbool.h>
/** A byte ring addressed by absolute stream offsets: the storage of every lane.
 *
 *  Holds bytes of [base, base + capacity). A send lane appends and drops what was acknowledged; a
 *  receive lane writes anywhere in the window and drops what was consumed. Capacity is a power of
 *  two from 512, doubles on demand up to what the caller asks for, is charged to the budget, and
 *  goes to 0 when ring_release is called: an idle stream holds no buffer. */
struct ring {
    uint8_t *bytes;
    uint32_t capacity;         /**< 0 or a power of two; at most 1 GiB */
    uint64_t base;             /**< offset of the first byte that is kept */
};
void ring_init(struct ring *ring, uint64_t base);
void ring_free(struct ring *ring, const struct mem *mem, struct budget *budget);
/** Make room for [base, end). Charges budget for the growth first; on refusal fills *limit and
 *  changes nothing.
 *  @return 0, WEIR_E_BUDGET or WEIR_E_MEMORY */
int ring_reserve(struct ring *ring, uint64_t end, const struct mem *mem, struct budget *budget,
                 struct limit_record *limit);
/** The same, and what it adds is zeroed: for rings that are written out of order, where a hole that
 *  is read by mistake must not show another peer's bytes. Others save touching memory that they may
 *  never use. */
int ring_reserve_zeroed(struct ring *ring, uint64_t end, const struct mem *mem,
                        struct budget *budget, struct limit_record *limit);
/** Copy len bytes to offset; [offset, offset+len) must be inside [base, base+capacity)
 *  (asserted). */
void ring_write(struct ring *ring, uint64_t offset, const void *data, size_t len);
void ring_read(const struct ring *ring, uint64_t offset, void *out, size_t len);
/** The contiguous bytes at offset: at most len of them. @return how many *data has (0 when len is
 *  0) */
size_t ring_view(const struct ring *ring, uint64_t offset, size_t len, const uint8_t **data);
/** Forget bytes below offset (>= base). */
void ring_drop(struct ring *ring, uint64_t offset);
/** Give the buffer back and its charge; base stays. Only when the caller knows that no byte is
 *  needed. */
void ring_release(struct ring *ring, const struct mem *mem, struct budget *budget);
#endif
