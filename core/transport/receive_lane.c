/* SPDX-License-Identifier: MIT */
#include "base/assert.h"
#include "transport/lane.h"
#include "weir.h"
#include <string.h>

void receive_lane_init(struct receive_lane *lane, uint64_t window_bytes, uint32_t gaps_max)
{
    memset(lane, 0, sizeof *lane);
    ring_init(&lane->ring, 0);
    ranges_init(&lane->gaps_above, gaps_max);
    lane->limit = lane->window_bytes = window_bytes;
    lane->final_size = UINT64_MAX;
}

uint64_t receive_lane_growth(const struct receive_lane *lane, uint64_t end)
{
    return end > lane->highest ? end - lane->highest : 0;
}

/* RFC 9000 4.5: once known, the final size cannot change, and nothing may be beyond it. */
static int check_end(const struct receive_lane *lane, uint64_t end, bool fin)
{
    if (end > lane->limit) return RECEIVE_FLOW_ERROR;
    if (lane->final_size != UINT64_MAX) {
        if (end > lane->final_size || (fin && end != lane->final_size)) return RECEIVE_SIZE_ERROR;
    } else if (fin && end < lane->highest) {
        return RECEIVE_SIZE_ERROR;
    }
    return RECEIVE_OK;
}

static void absorb(struct receive_lane *lane)
{
    const struct range *first;
    while ((first = ranges_at_or_above(&lane->gaps_above, 0)) != NULL &&
           first->start <= lane->contiguous) {
        if (first->end > lane->contiguous) lane->contiguous = first->end;
        ranges_drop_first(&lane->gaps_above);
    }
}

static int store(struct receive_lane *lane, uint64_t offset, const uint8_t *data, uint64_t end,
                 const struct mem *mem, struct budget *budget, struct limit_record *limit)
{
    if (end <= lane->contiguous) return RECEIVE_OK; /* seen before */
    uint64_t start = offset > lane->contiguous ? offset : lane->contiguous;
    if (ring_reserve_zeroed(&lane->ring, end, mem, budget, limit) != 0) return RECEIVE_DROP;
    if (start > lane->contiguous) {
        if (ranges_add(&lane->gaps_above, start, end, mem) != 0) return RECEIVE_DROP;
    }
    ring_write(&lane->ring, start, data + (start - offset), (size_t)(end - start));
    if (start == lane->contiguous) {
        lane->contiguous = end;
        absorb(lane);
    }
    return RECEIVE_OK;
}

void lane_rest(struct ring *ring, const struct mem *mem, struct budget *budget)
{
    if (lane_send_room(budget, NULL) < LANE_PRESSURE_BYTES) ring_release(ring, mem, budget);
}

uint64_t lane_send_room(struct budget *budget, struct budget **tight)
{
    uint64_t least = UINT64_MAX;
    for (struct budget *b = budget; b != NULL; b = b->parent) {
        uint64_t max = b->max - b->max / LANE_RECEIVE_SHARE;
        uint64_t room = b->used < max ? max - b->used : 0;
        if (room > least) continue;
        least = room;
        if (tight != NULL) *tight = b;
    }
    return least;
}

int receive_lane_on_data(struct receive_lane *lane, uint64_t offset, const uint8_t *data,
                         size_t len, bool fin, const struct mem *mem, struct budget *budget,
                         struct limit_record *limit, uint64_t *grown)
{
    uint64_t end = offset + len;
    *grown = 0;
    int result = check_end(lane, end, fin);
    if (result != RECEIVE_OK) return result;
    if (lane->state < RECEIVE_RESET && !lane->stopped && len > 0) {
        result = store(lane, offset, data, end, mem, budget, limit);
        if (result != RECEIVE_OK) return result;
    }
    *grown = receive_lane_growth(lane, end);
    lane->highest += *grown;
    if (fin) {
        lane->final_size = end;
        if (lane->state == RECEIVE_OPEN) lane->state = RECEIVE_SIZED;
    }
    return RECEIVE_OK;
}

static void drop_bytes(struct receive_lane *lane, const struct mem *mem, struct budget *budget)
{
    ranges_clear(&lane->gaps_above, mem);
    ring_release(&lane->ring, mem, budget);
}

int receive_lane_on_reset(struct receive_lane *lane, uint32_t code, uint64_t final_size,
                          const struct mem *mem, struct budget *budget, uint64_t *grown)
{
    *grown = 0;
    int result = check_end(lane, final_size, true);
    if (result != RECEIVE_OK) return result;
    *grown = receive_lane_growth(lane, final_size);
    lane->highest += *grown;
    lane->final_size = final_size;
    /* RFC 9000 3.2: everything arrived already, then the reset may be ignored. */
    if (lane->state >= RECEIVE_RESET ||
        (lane->state == RECEIVE_SIZED && lane->contiguous == final_size))
        return RECEIVE_OK;
    lane->state = RECEIVE_RESET;
    lane->reset_code = code;
    lane->credit_pending = lane->stop_pending = false;
    drop_bytes(lane, mem, budget);
    return RECEIVE_OK;
}

uint64_t receive_lane_readable(const struct receive_lane *lane)
{
    if (lane->state >= RECEIVE_RESET || lane->stopped) return 0;
    return lane->contiguous - lane->ring.base;
}

bool receive_lane_at_end(const struct receive_lane *lane)
{
    return lane->state == RECEIVE_SIZED && lane->ring.base == lane->final_size;
}

void receive_lane_consume(struct receive_lane *lane, uint64_t n, const struct mem *mem,
                          struct budget *budget)
{
    WEIR_ASSERT(n <= receive_lane_readable(lane));
    ring_drop(&lane->ring, lane->ring.base + n);
    if (lane->ring.base == lane->contiguous && lane->gaps_above.count == 0)
        lane_rest(&lane->ring, mem, budget);
}

uint64_t receive_lane_stop(struct receive_lane *lane, uint32_t code, const struct mem *mem,
                           struct budget *budget)
{
    if (lane->stopped || lane->state >= RECEIVE_RESET) return 0;
    uint64_t unread = lane->highest - lane->ring.base;
    lane->stopped = true;
    lane->stop_code = code;
    /* Once everything arrived there is nothing to stop (RFC 9000 3.5). */
    lane->stop_pending = !(lane->state == RECEIVE_SIZED && lane->contiguous == lane->final_size);
    lane->credit_pending = false;
    drop_bytes(lane, mem, budget);
    return unread;
}

void receive_lane_free(struct receive_lane *lane, const struct mem *mem, struct budget *budget)
{
    drop_bytes(lane, mem, budget);
    ring_free(&lane->ring, mem, budget);
    ranges_free(&lane->gaps_above, mem);
}
