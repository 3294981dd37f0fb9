/* SPDX-License-Identifier: MIT */
/* The byte of stream offset n lies at n modulo capacity, whatever base is.
 *
 * So nothing moves when bytes are dropped, and out-of-order data is written where it belongs at
 * once. Growing moves what has another place modulo the new capacity: nothing, if the ring has not
 * wrapped yet. The ring knows no gaps: which bytes of the window were written is the caller's
 * knowledge (ranges.h). */
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

/* The block was made larger in place: bytes whose offset has another place modulo the new capacity
 * move there. The new capacity is a multiple of the old one, so each of the two pieces keeps its
 * place inside of some block of the old size, and no move touches what still has to move. */
static void spread(struct ring *ring, size_t old)
{
    size_t start = (size_t)(ring->base & (old - 1)), first = old - start;
    size_t to = (size_t)(ring->base & (ring->capacity - 1));
    size_t rest_to = (size_t)((ring->base + first) & (ring->capacity - 1));
    if (to != start) memcpy(ring->bytes + to, ring->bytes + start, first);
    if (start > 0 && rest_to != 0) memcpy(ring->bytes + rest_to, ring->bytes, start);
}

static int reserve(struct ring *ring, uint64_t end, bool zeroed, const struct mem *mem,
                   struct budget *budget, struct limit_record *limit)
{
    uint32_t old = ring->capacity, capacity = old == 0 ? RING_CAPACITY_MIN : old;
    uint64_t need = end > ring->base ? end - ring->base : 0;

    if (need <= old) return 0;
    if (need > RING_CAPACITY_MAX) return WEIR_E_MEMORY;
    while (capacity < need) capacity *= 2;
    if (!budget_charge(budget, capacity - old, limit)) return WEIR_E_BUDGET;
    uint8_t *bytes = mem_resize(mem, ring->bytes, old, capacity);
    if (bytes == NULL) {
        budget_refund(budget, capacity - old);
        return WEIR_E_MEMORY;
    }
    if (zeroed) memset(bytes + old, 0, capacity - old);
    ring->bytes = bytes;
    ring->capacity = capacity;
    if (old > 0) spread(ring, old);
    return 0;
}

int ring_reserve(struct ring *ring, uint64_t end, const struct mem *mem, struct budget *budget,
                 struct limit_record *limit)
{
    return reserve(ring, end, false, mem, budget, limit);
}

int ring_reserve_zeroed(struct ring *ring, uint64_t end, const struct mem *mem,
                        struct budget *budget, struct limit_record *limit)
{
    return reserve(ring, end, true, mem, budget, limit);
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
