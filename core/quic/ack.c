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
 * A peer that skips numbers to catch liars leaves gaps that never close. So before the set grows
 * beyond its room, ranges go that lie below all that anybody may still send late: marks[0]. The
 * marks are a clock that ticks in round trips and needs no time: the newest is one above the
 * largest number when it was set, and the next is set when an ACK with a larger number than that
 * was acknowledged. What lies below the oldest came at least three round trips ago.
 *
 * Invariant: every number that was recorded is below floor or in ranges; nothing is in both. */

void ack_init(struct ack_state *state, uint64_t max_ack_delay_us)
{
    memset(state, 0, sizeof *state);
    ranges_init(&state->ranges, ACK_RANGES_MAX);
    state->max_ack_delay_us = max_ack_delay_us;
    state->deadline_us = ACK_NEVER;
    state->late_pn = PACKET_NUMBER_NONE;
    state->threshold = 1;
    state->reordering = 1;
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

/* Room for the gaps of a few round trips at once: the set's own first steps would be three. The
 * spaces of the handshake hold few numbers. */
static int make_room(struct ack_state *state, const struct mem *mem)
{
    if (state->max_ack_delay_us == 0) return 0;
    return ranges_reserve(&state->ranges, ACK_RANGES_FEW, mem);
}

void ack_trim(struct ack_state *state, const struct mem *mem)
{
    ranges_trim(&state->ranges, mem);
}

/* Ranges that lie wholly below what may still be late or untold, and below pn, which is to be
 * recorded and not lost. */
static void forget_old(struct ack_state *state, uint64_t pn)
{
    uint64_t below = state->marks[0];
    uint32_t count = 0;
    if (below > state->report_from) below = state->report_from;
    if (below > pn) below = pn;
    while (count < state->ranges.count && state->ranges.items[count].end <= below) count++;
    if (count == 0) return;
    state->floor = state->ranges.items[count - 1].end;
    ranges_drop_below(&state->ranges, state->floor);
}

static int record(struct ack_state *state, const struct mem *mem, uint64_t pn)
{
    int error = make_room(state, mem);
    if (error != 0) return error;
    if (state->ranges.count >= ACK_RANGES_FEW && state->ranges.count == state->ranges.capacity)
        forget_old(state, pn);
    error = ranges_add(&state->ranges, pn, pn + 1, mem);
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

/* Whether a number is missing that the peer would declare lost if it knew the largest, and that
 * the last ACK did not give away as such (draft-ietf-quic-ack-frequency, "Response to Out-of-Order
 * Packets"). */
static bool is_missing_untold(const struct ack_state *state, uint64_t largest)
{
    uint64_t n = state->reordering;
    if (largest < n) return false;
    uint64_t from = state->told > n ? state->told - n : 0;
    if (from < state->floor) from = state->floor;
    return !ranges_covers(&state->ranges, from, largest - n + 1);
}

/* RFC 9000 13.2.1: out of order, or ahead with something missing between. */
static bool is_out_of_order(const struct ack_state *state, uint64_t pn)
{
    if (!state->has_eliciting || state->reordering == 0) return false;
    if (state->reordering > 1) {
        return pn > state->largest_eliciting && is_missing_untold(state, pn);
    }
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
    bool now = state->immediate || state->max_ack_delay_us == 0 || is_out_of_order(state, pn);
    /* A peer that asked for fewer ACKs is told of the first mark of a row only. */
    if (marked && (state->frequency_next == 0 || !state->last_ce)) now = true;
    state->last_ce = marked;
    state->immediate = false;
    state->eliciting_waiting++;
    if (state->eliciting_waiting > state->threshold) now = true;
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
    state->told = state->largest + 1;
}

/* One tick of the clock of round trips, if it is time. */
static void tick(struct ack_state *state, uint64_t acked)
{
    uint64_t *marks = state->marks;
    if (acked < marks[3]) return;
    memmove(marks, marks + 1, 3 * sizeof *marks);
    marks[3] = state->largest + 1;
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
    tick(state, largest);
}

int ack_set_frequency(struct ack_state *state, const struct frame_ack_frequency *frequency,
                      uint64_t min_ack_delay_us)
{
    if (frequency->max_delay_us < min_ack_delay_us) return QUIC_PROTOCOL_VIOLATION;
    if (frequency->max_delay_us >= ACK_DELAY_END_US) return QUIC_PROTOCOL_VIOLATION;
    if (frequency->sequence < state->frequency_next) return QUIC_NO_ERROR;
    state->frequency_next = frequency->sequence + 1;
    state->threshold = frequency->threshold < ACK_THRESHOLD_MAX ? (uint32_t)frequency->threshold
                                                                : ACK_THRESHOLD_MAX;
    state->max_ack_delay_us = frequency->max_delay_us;
    state->reordering = frequency->reordering;
    return QUIC_NO_ERROR;
}

void ack_on_immediate(struct ack_state *state)
{
    state->immediate = true;
}

enum {
    WISH_PACKETS_MIN = 2,  /* RFC 9000's own */
    WISH_PACKETS_MAX = 32, /* half a batch: the window still opens in steps, not in one leap */
    WISH_SHARE = 8,        /* ACKs per window, so that loss and growth are seen in time */
    WISH_DELAY_SHARE = 4,  /* of the round trip */
    WISH_DELAY_MIN_US = 1000,
    WISH_DELAY_MAX_US = 25000,
    WISH_REORDERING = 3 /* RFC 9002 6.1.1: kPacketThreshold; sooner would tell nothing new */
};

struct frame_ack_frequency ack_frequency_wanted(uint64_t window_bytes, uint32_t datagram_bytes,
                                                uint64_t smoothed_us, uint64_t peer_min_us)
{
    WEIR_ASSERT(datagram_bytes > 0);
    uint64_t packets = window_bytes / datagram_bytes / WISH_SHARE;
    uint64_t delay_us = smoothed_us / WISH_DELAY_SHARE;
    if (packets < WISH_PACKETS_MIN) packets = WISH_PACKETS_MIN;
    if (packets > WISH_PACKETS_MAX) packets = WISH_PACKETS_MAX;
    if (delay_us < WISH_DELAY_MIN_US) delay_us = WISH_DELAY_MIN_US;
    if (delay_us > WISH_DELAY_MAX_US) delay_us = WISH_DELAY_MAX_US;
    if (delay_us < peer_min_us) delay_us = peer_min_us;
    return (struct frame_ack_frequency){
        .threshold = packets - 1, .max_delay_us = delay_us, .reordering = WISH_REORDERING};
}

static bool is_double_or_half(uint64_t a, uint64_t b)
{
    return a >= 2 * b || b >= 2 * a;
}

bool ack_frequency_is_news(const struct frame_ack_frequency *wanted,
                           const struct frame_ack_frequency *asked)
{
    uint64_t threshold = asked != NULL ? asked->threshold : WISH_PACKETS_MIN - 1;
    uint64_t delay_us = asked != NULL ? asked->max_delay_us : WISH_DELAY_MAX_US;
    return is_double_or_half(wanted->threshold + 1, threshold + 1) ||
           is_double_or_half(wanted->max_delay_us, delay_us);
}
