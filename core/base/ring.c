/* SPDX-License-Identifier: MIT */
/* The byte of stream offset n lies at n modulo capacity, whatever base is.
 *
 * So nothing moves when bytes are dropped, and out-of-order data is written where it belongs at
 * once. Growing copies every kept byte to its place modulo the new capacity. The ring knows no
 * gaps: which bytes of the window were written is the caller's knowledge (ranges.h). */
#include "base/ring.h"
#include "base/assert.h"
#include "weir.h"
#include <string.h>

enum { RING_CAPACITY_MIN = 512, RING_CAPACITY_MAX = 1 << 30 };

void ring_init(struct ring *ring, uint64_t base)
{
    ring->bytes = NULL;
    ring->capacity = 0;
    ring->base = base;
}

void ring_release(struct ring *ring, const struct mem *mem, struct budget *budget)
{
    if (ring->capacity == 0) return;
    mem_free(mem, ring->bytes, ring->capacity);
    budget_refund(budget, ring->capacity);
    ring->bytes = NULL;
    ring->capacity = 0;
}

void ring_free(struct ring *ring, const struct mem *mem, struct budget *budget)
{
    ring_release(ring, mem, budget);
}

/* How many of len bytes at offset lie in one piece. */
static size_t piece_len(const struct ring *ring, uint64_t offset, size_t len)
{
    size_t until_wrap = ring->capacity - (size_t)(offset & (ring->capacity - 1));

    return len < until_wrap ? len : until_wrap;
}

static void check_inside(const struct ring *ring, uint64_t offset, size_t len)
{
    WEIR_ASSERT(offset >= ring->base);
    WEIR_ASSERT(len <= ring->capacity);
    WEIR_ASSERT(offset - ring->base <= ring->capacity - len);
}

int ring_reserve(struct ring *ring, uint64_t end, const struct mem *mem, struct budget *budget,
                 struct limit_record *limit)
{
    struct ring larger = *ring;
    uint64_t need = end > ring->base ? end - ring->base : 0;
    size_t first;

    if (need <= ring->capacity) return 0;
    if (need > RING_CAPACITY_MAX) return WEIR_E_MEMORY;
    if (larger.capacity == 0) larger.capacity = RING_CAPACITY_MIN;
    while (larger.capacity < need) larger.capacity *= 2;
    if (!budget_charge(budget, larger.capacity - ring->capacity, limit)) return WEIR_E_BUDGET;
    /* Zeroed: a hole that is read by mistake must not show another peer's bytes. */
    larger.bytes = mem_alloc(mem, larger.capacity);
    if (larger.bytes == NULL) {
        budget_refund(budget, larger.capacity - ring->capacity);
        return WEIR_E_MEMORY;
    }
    if (ring->capacity > 0) {
        first = piece_len(ring, ring->base, ring->capacity);
        ring_write(&larger, ring->base, ring->bytes + (ring->base & (ring->capacity - 1)), first);
        ring_write(&larger, ring->base + first, ring->bytes, ring->capacity - first);
        mem_free(mem, ring->bytes, ring->capacity);
    }
    *ring = larger;
    return 0;
}

void ring_write(struct ring *ring, uint64_t offset, const void *data, size_t len)
{
    size_t first;

    if (len == 0) return;
    check_inside(ring, offset, len);
    first = piece_len(ring, offset, len);
    memcpy(ring->bytes + (offset & (ring->capacity - 1)), data, first);
    if (len > first) memcpy(ring->bytes, (const uint8_t *)data + first, len - first);
}

void ring_read(const struct ring *ring, uint64_t offset, void *out, size_t len)
{
    const uint8_t *piece;
    size_t first = ring_view(ring, offset, len, &piece);

    if (len == 0) return;
    memcpy(out, piece, first);
    if (len > first) memcpy((uint8_t *)out + first, ring->bytes, len - first);
}

size_t ring_view(const struct ring *ring, uint64_t offset, size_t len, const uint8_t **data)
{
    *data = NULL;
    if (len == 0) return 0;
    check_inside(ring, offset, len);
    *data = ring->bytes + (offset & (ring->capacity - 1));
    return piece_len(ring, offset, len);
}

void ring_drop(struct ring *ring, uint64_t offset)
{
    WEIR_ASSERT(offset >= ring->base);
    ring->base = offset;
}
