/* SPDX-License-Identifier: MIT */
#include "quic/ack.h"

#include "base/assert.h"
#include "quic/frame.h"
#include "weir.h"

/* Two questions share one set of ranges: "did I see this number?" and "what do I tell the peer?"
 *
 * RFC 9000 13.2.3 lets a receiver forget a range once it refuses everything below. Refusing what
 * lies below the last acknowledged ACK would be simple, and would lose every packet that is late
 * by a round trip. So the set is cut only at its bound (the lowest range goes, floor rises), and
 * report_from alone says what need not be told again.
 *
 * Invariant: every number that was recorded is below floor or in ranges; nothing is in both. */

void ack_init(struct ack_state *state, uint64_t max_ack_delay_us)
{
    memset(state, 0, sizeof *state);
    ranges_init(&state->ranges, ACK_RANGES_MAX);
    state->max_ack_delay_us = max_ack_delay_us;
    state->deadline_us = ACK_NEVER;
    state->late_pn = PACKET_NUMBER_NONE;
}

void ack_free(struct ack_state *state, const struct mem *mem)
{
    ranges_free(&state->ranges, mem);
    ack_init(state, state->max_ack_delay_us);
}

bool ack_is_duplicate(const struct ack_state *state, uint64_t pn)
{
    return pn < state->floor || ranges_contains(&state->ranges, pn);
}

static int record(struct ack_state *state, const struct mem *mem, uint64_t pn)
{
    int error = ranges_add(&state->ranges, pn, pn + 1, mem);
    if (error != WEIR_E_LIMIT) return error;
    /* Too late to be reported among so many gaps: the peer will repeat what it held. */
    if (pn < state->ranges.items[0].start) {
        state->floor = pn + 1;
        return 0;
    }
    state->floor = state->ranges.items[0].end;
    ranges_drop_first(&state->ranges);
    return ranges_add(&state->ranges, pn, pn + 1, mem);
}

/* RFC 9000 13.2.1: out of order, or ahead with something missing between. */
static bool is_out_of_order(const struct ack_state *state, uint64_t pn)
{
    if (!state->has_eliciting) return false;
    if (pn < state->largest_eliciting) return true;
    return !ranges_covers(&state->ranges, state->largest_eliciting, pn + 1);
}

static void note_place(struct ack_state *state, bool first, uint64_t pn, uint64_t now_us)
{
    if (first || pn > state->largest) {
        state->largest = pn;
        state->largest_us = now_us;
        return;
    }
    if (pn < state->late_pn) state->late_pn = pn;
    state->late_until = state->largest;
    if (pn < state->report_from) state->report_from = pn;
}

static void note_eliciting(struct ack_state *state, uint64_t pn, uint64_t now_us, bool marked)
{
    bool now = marked || state->max_ack_delay_us == 0 || is_out_of_order(state, pn);
    state->eliciting_waiting++;
    if (state->eliciting_waiting >= 2) now = true;
    uint64_t deadline_us = now ? now_us : now_us + state->max_ack_delay_us;
    if (deadline_us < state->deadline_us) state->deadline_us = deadline_us;
    if (!state->has_eliciting || pn > state->largest_eliciting) state->largest_eliciting = pn;
    state->has_eliciting = true;
}

int ack_on_packet(struct ack_state *state, const struct mem *mem, uint64_t pn, bool eliciting,
                  uint64_t now_us, enum ack_ecn ecn)
{
    WEIR_ASSERT(pn <= VARINT_MAX);
    WEIR_ASSERT(!ack_is_duplicate(state, pn));
    bool first = state->ranges.count == 0;
    int error = record(state, mem, pn);
    if (error != 0) return error;
    note_place(state, first, pn, now_us);
    if (ecn == ACK_ECN_ECT0) state->ect0++;
    if (ecn == ACK_ECN_ECT1) state->ect1++;
    if (ecn == ACK_ECN_CE) state->ce++;
    if (eliciting) note_eliciting(state, pn, now_us, ecn == ACK_ECN_CE);
    return 0;
}

uint64_t ack_deadline(const struct ack_state *state)
{
    return state->deadline_us;
}

bool ack_should_send(const struct ack_state *state, uint64_t now_us)
{
    return state->deadline_us != ACK_NEVER && now_us >= state->deadline_us;
}

bool ack_is_pending(const struct ack_state *state)
{
    return state->eliciting_waiting > 0;
}

/* How many of the lowest ranges the peer knows already; the highest is always told. */
static uint32_t known_count(const struct ack_state *state)
{
    const struct range *from = ranges_at_or_above(&state->ranges, state->report_from);
    if (from == NULL) return state->ranges.count - 1;
    return (uint32_t)(from - state->ranges.items);
}

bool ack_write(const struct ack_state *state, struct writer *w, uint64_t now_us, unsigned exponent,
               uint64_t *largest)
{
    WEIR_ASSERT(exponent <= 20);
    if (state->ranges.count == 0) return false;
    uint64_t ecn[3] = {state->ect0, state->ect1, state->ce};
    bool has_ecn = (ecn[0] | ecn[1] | ecn[2]) != 0;
    uint64_t delay_us = now_us > state->largest_us ? now_us - state->largest_us : 0;
    uint32_t skip = known_count(state);
    bool written = frame_write_ack(w, state->ranges.items + skip, state->ranges.count - skip,
                                   ACK_RANGES_SENT_MAX, delay_us >> exponent, has_ecn ? ecn : NULL);
    if (written) *largest = state->largest;
    return written;
}

void ack_on_ack_sent(struct ack_state *state)
{
    state->deadline_us = ACK_NEVER;
    state->eliciting_waiting = 0;
}

void ack_on_ack_acked(struct ack_state *state, uint64_t largest)
{
    uint64_t from = largest + 1;
    /* An ACK with no larger number than the largest of back then may have left before the late
     * packet came: that one must go on being reported. */
    if (state->late_pn != PACKET_NUMBER_NONE && largest <= state->late_until) {
        if (state->late_pn < from) from = state->late_pn;
    } else {
        state->late_pn = PACKET_NUMBER_NONE;
    }
    if (from > state->report_from) state->report_from = from;
}
