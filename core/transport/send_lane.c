/* SPDX-License-Identifier: MIT */
#include "base/assert.h"
#include "transport/lane.h"
#include "weir.h"
#include <string.h>

/* Ranges of acknowledged and lost bytes are bounded by the number of packets in flight, which we
 * choose; the cap here is only a backstop far above it. A loss must never be forgotten, or the
 * stream stands still for ever: when memory for a range is missing, lost_rest grows around it, and
 * some bytes that arrived are sent once more. */
enum { SEND_RANGES_MAX = 65536 };

void send_lane_init(struct send_lane *lane, uint64_t credit)
{
    memset(lane, 0, sizeof *lane);
    ring_init(&lane->ring, 0);
    ranges_init(&lane->acked, SEND_RANGES_MAX);
    ranges_init(&lane->lost, SEND_RANGES_MAX);
    lane->credit = credit;
}

uint64_t send_lane_room(const struct send_lane *lane, uint64_t send_max_bytes)
{
    uint64_t held = lane->written - lane->ring.base;
    uint64_t by_credit = lane->credit > lane->written ? lane->credit - lane->written : 0;
    uint64_t by_limit = send_max_bytes > held ? send_max_bytes - held : 0;
    return by_credit < by_limit ? by_credit : by_limit;
}

int send_lane_append(struct send_lane *lane, const void *data, size_t len, const struct mem *mem,
                     struct budget *budget, struct limit_record *limit)
{
    WEIR_ASSERT(lane->state == SEND_OPEN);
    WEIR_ASSERT(len <= lane->credit - lane->written);
    int error = ring_reserve(&lane->ring, lane->written + len, mem, budget, limit);
    if (error != 0) return error;
    ring_write(&lane->ring, lane->written, data, len);
    lane->written += len;
    return 0;
}

static bool fin_waits(const struct send_lane *lane)
{
    return lane->state == SEND_FINISHED && !lane->fin_acked && (!lane->fin_sent || lane->fin_lost);
}

static uint64_t new_end(const struct send_lane *lane, bool whole)
{
    uint64_t end = whole ? lane->written : lane->released;
    return end < lane->sent ? lane->sent : end;
}

static bool rest_waits(const struct send_lane *lane)
{
    return lane->lost_rest.start < lane->lost_rest.end;
}

bool send_lane_has(const struct send_lane *lane, bool whole)
{
    if (lane->state > SEND_FINISHED) return false;
    uint64_t end = new_end(lane, whole);
    if (lane->lost.count > 0 || rest_waits(lane) || end > lane->sent) return true;
    return fin_waits(lane) &&
           end == lane->written; /* a FIN leaves with the last bytes, not before them */
}

uint64_t send_lane_waiting(const struct send_lane *lane, bool whole)
{
    if (lane->state > SEND_FINISHED) return 0;
    uint64_t rest = rest_waits(lane) ? lane->lost_rest.end - lane->lost_rest.start : 0;
    return ranges_total(&lane->lost) + rest + new_end(lane, whole) - lane->sent;
}

void send_lane_release(struct send_lane *lane)
{
    lane->released = lane->written;
    lane->hold = false;
}

bool send_lane_next(const struct send_lane *lane, bool whole, uint64_t max, uint64_t *offset,
                    uint64_t *len, bool *fin)
{
    if (lane->state > SEND_FINISHED) return false;
    uint64_t start, end;
    if (lane->lost.count > 0) {
        start = lane->lost.items[0].start;
        end = lane->lost.items[0].end;
    } else if (rest_waits(lane)) {
        start = lane->lost_rest.start;
        end = lane->lost_rest.end;
    } else {
        start = lane->sent;
        end = new_end(lane, whole);
    }
    if (end - start > max) end = start + max;
    *offset = start;
    *len = end - start;
    *fin = lane->state == SEND_FINISHED && !lane->fin_acked && end == lane->written;
    if (*len > 0) return true;
    return *fin && fin_waits(lane);
}

uint64_t send_lane_on_sent(struct send_lane *lane, uint64_t offset, uint64_t len, bool fin,
                           const struct mem *mem)
{
    uint64_t end = offset + len, again = 0;
    if (offset < lane->sent) {
        again = (end < lane->sent ? end : lane->sent) - offset;
        /* Removing from the front cannot split a range, so it cannot fail. */
        if (again > 0) (void)ranges_remove(&lane->lost, offset, offset + again, mem);
        if (rest_waits(lane) && offset == lane->lost_rest.start) lane->lost_rest.start += again;
    }
    if (end > lane->sent) lane->sent = end;
    if (lane->released < lane->sent) lane->released = lane->sent;
    if (fin) {
        lane->fin_sent = true;
        lane->fin_lost = false;
    }
    return again;
}

static void add_lost(struct send_lane *lane, uint64_t start, uint64_t end, const struct mem *mem)
{
    struct range *rest = &lane->lost_rest;
    if (ranges_add(&lane->lost, start, end, mem) == 0) return;
    if (!rest_waits(lane)) {
        *rest = (struct range){start, end};
        return;
    }
    if (start < rest->start) rest->start = start;
    if (end > rest->end) rest->end = end;
}

/* Everything below base has arrived. */
static void advance(struct send_lane *lane, uint64_t base)
{
    ring_drop(&lane->ring, base);
    ranges_drop_below(&lane->lost, base);
    if (lane->lost_rest.start < base) lane->lost_rest.start = base;
}

static void finish_if_done(struct send_lane *lane, const struct mem *mem, struct budget *budget)
{
    if (lane->ring.base != lane->sent) return;
    if (lane->ring.base == lane->written) lane_rest(&lane->ring, mem, budget);
    if (lane->state != SEND_FINISHED || !lane->fin_acked || lane->ring.base != lane->written)
        return;
    lane->state = SEND_OVER;
    ring_release(&lane->ring, mem, budget);
}

void send_lane_on_acked(struct send_lane *lane, uint64_t offset, uint64_t len, bool fin,
                        const struct mem *mem, struct budget *budget)
{
    if (lane->state > SEND_FINISHED) return;
    uint64_t end = offset + len;
    WEIR_ASSERT(end <= lane->sent);
    if (fin) lane->fin_acked = true;
    if (len > 0 && end > lane->ring.base) {
        uint64_t start = offset > lane->ring.base ? offset : lane->ring.base;
        /* Declared lost before, but it arrived: do not send it again. */
        (void)ranges_remove(&lane->lost, start, end, mem);
        if (start == lane->ring.base) {
            const struct range *next;
            uint64_t base = end;
            while ((next = ranges_at_or_above(&lane->acked, 0)) != NULL && next->start <= base) {
                if (next->end > base) base = next->end;
                ranges_drop_first(&lane->acked);
            }
            advance(lane, base);
        } else if (ranges_add(&lane->acked, start, end, mem) != 0) {
            /* No memory to remember it: treat it as lost, so that it is sent and acknowledged
             * again. */
            add_lost(lane, start, end, mem);
        }
    }
    finish_if_done(lane, mem, budget);
}

void send_lane_on_lost(struct send_lane *lane, uint64_t offset, uint64_t len, bool fin,
                       const struct mem *mem)
{
    if (lane->state > SEND_FINISHED) return;
    uint64_t at = offset > lane->ring.base ? offset : lane->ring.base, end = offset + len;
    WEIR_ASSERT(end <= lane->sent);
    if (fin && !lane->fin_acked) lane->fin_lost = true;
    while (at < end) {
        const struct range *acked = ranges_at_or_above(&lane->acked, at);
        uint64_t stop = end;
        if (acked != NULL && acked->start <= at) {
            at = acked->end;
            continue;
        }
        if (acked != NULL && acked->start < stop) stop = acked->start;
        add_lost(lane, at, stop, mem);
        at = stop;
    }
}

static void drop_all(struct send_lane *lane, const struct mem *mem, struct budget *budget)
{
    ranges_clear(&lane->acked, mem);
    ranges_clear(&lane->lost, mem);
    lane->lost_rest = (struct range){0, 0};
    ring_release(&lane->ring, mem, budget);
    lane->hold = false;
}

bool send_lane_reset(struct send_lane *lane, uint32_t code, const struct mem *mem,
                     struct budget *budget)
{
    if (lane->state > SEND_FINISHED) return false;
    drop_all(lane, mem, budget);
    lane->state = SEND_RESET;
    lane->reset_code = code;
    lane->reset_pending = true;
    return true;
}

void send_lane_free(struct send_lane *lane, const struct mem *mem, struct budget *budget)
{
    drop_all(lane, mem, budget);
    ring_free(&lane->ring, mem, budget);
    ranges_free(&lane->acked, mem);
    ranges_free(&lane->lost, mem);
}
