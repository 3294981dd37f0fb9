/* SPDX-License-Identifier: MIT */
/* Loss recovery (RFC 9002): what was acknowledged, what is lost, and what the window may know
 * about it.
 *
 * The connection records each packet here as it leaves and hands in each ACK frame range by range.
 * What was newly acknowledged is reported as the ranges come; when the frame ends, the round trip
 * is sampled, losses are found (loss_detect.c), and the congestion controller is told of losses
 * first and acks second. Timers are in loss_timer.c.
 *
 * Cost: the cursor passes each number once in its life, a range walks over what is newly
 * acknowledged only (sent.c), so an ACK frame costs O(newly acked + newly lost + ranges), never
 * O(in flight). A peer cannot make us look at the whole window again and again by repeating
 * ranges.
 *
 * A path change draws a line through the numbers of each space (path_first). What was sent below
 * it is on another path: its fate is reported as ever, but window and round trip of this path
 * hear nothing of it.
 *
 * What it refuses: it never retransmits, it tells; what a lost frame needs is its owner's
 * knowledge. Whether ECN counts can be believed is decided elsewhere (ecn.c), from the number of
 * marked packets that each ACK frame newly acknowledged. */
#include "quic/loss.h"
#include "base/assert.h"
#include "weir.h"
#include <string.h>

#define LOSS_ACK_DELAY_DEFAULT_US 25000u
#define LOSS_SKIP_SPAN_MIN 256u /* packets over which the next skip is drawn */

void loss_init(struct loss *loss, const struct mem *mem, struct budget *budget, bool client,
               struct rtt *rtt, struct congestion *congestion, uint32_t packets_max,
               uint64_t now_us)
{
    memset(loss, 0, sizeof *loss);
    loss->client = client;
    loss->rtt = rtt;
    loss->congestion = congestion;
    loss->max_ack_delay_us = LOSS_ACK_DELAY_DEFAULT_US;
    loss->event_us = now_us;
    for (uint32_t i = 0; i < LOSS_SPACES; i++) {
        struct loss_space *s = &loss->spaces[i];

        sent_init(&s->sent, mem, budget, packets_max);
        s->largest_acked = UINT64_MAX;
        s->loss_time_us = LOSS_NEVER;
        s->run_first_us = LOSS_NEVER;
    }
    loss_reorder_init(loss, now_us);
    if (congestion != NULL && congestion->ops->models_path) {
        sent_keep_delivery(&loss->spaces[LOSS_APPLICATION].sent);
    }
}

void loss_free(struct loss *loss)
{
    for (uint32_t i = 0; i < LOSS_SPACES; i++) {
        sent_free(&loss->spaces[i].sent);
    }
}

/* What was sent in a space leaves the flight without a verdict. */
static void loss_forget_space(struct loss *loss, enum loss_space_name space, uint64_t now_us)
{
    struct loss_space *s = &loss->spaces[space];

    WEIR_ASSERT(loss->in_flight_bytes >= s->in_flight_bytes);
    WEIR_ASSERT(!loss->ack.open);
    loss->in_flight_bytes -= s->in_flight_bytes;
    s->in_flight_bytes = 0;
    s->eliciting_in_flight = 0;
    s->loss_time_us = LOSS_NEVER;
    s->run_first_us = LOSS_NEVER;
    s->cursor = s->sent.next;
    loss->pto_count = 0;
    loss->event_us = now_us;
}

void loss_discard_space(struct loss *loss, enum loss_space_name space, uint64_t now_us)
{
    if (loss->spaces[space].discarded) {
        return;
    }
    loss_forget_space(loss, space, now_us);
    sent_free(&loss->spaces[space].sent);
    loss->spaces[space].discarded = true;
    loss->handshake_keys |= space == LOSS_INITIAL;
}

void loss_on_retry(struct loss *loss, uint64_t now_us)
{
    loss_forget_space(loss, LOSS_INITIAL, now_us);
    sent_clear(&loss->spaces[LOSS_INITIAL].sent);
}

void loss_on_path_change(struct loss *loss, struct rtt *rtt, struct congestion *congestion,
                         uint64_t now_us)
{
    WEIR_ASSERT(!loss->ack.open);
    for (uint32_t i = 0; i < LOSS_SPACES; i++) {
        struct loss_space *s = &loss->spaces[i];

        WEIR_ASSERT(loss->in_flight_bytes >= s->in_flight_bytes);
        loss->in_flight_bytes -= s->in_flight_bytes;
        s->in_flight_bytes = 0;
        s->path_first = s->sent.next;
        s->run_first_us = LOSS_NEVER;
        /* What is still unacknowledged is probed for after one PTO of the new path. */
        s->eliciting_us = s->eliciting_in_flight > 0 ? now_us : s->eliciting_us;
    }
    WEIR_ASSERT(loss->in_flight_bytes == 0);
    loss->rtt = rtt;
    loss->congestion = congestion;
    loss->pto_count = 0;
    loss->event_us = now_us;
    loss->episode_lost = 0;
    loss->episode_spurious = 0;
    loss->ack.current = false;
    loss_reorder_init(loss, now_us);
    if (congestion != NULL && congestion->ops->models_path) {
        sent_keep_delivery(&loss->spaces[LOSS_APPLICATION].sent);
    }
}

struct delivery *loss_delivery(const struct loss *loss)
{
    return loss->congestion == NULL ? NULL : loss->congestion->delivery;
}

uint64_t loss_next_number(const struct loss *loss, enum loss_space_name space)
{
    return loss->spaces[space].sent.next;
}

int loss_packet_begin(struct loss *loss, enum loss_space_name space, struct limit_record *limit)
{
    WEIR_ASSERT(!loss->spaces[space].discarded);
    return sent_begin(&loss->spaces[space].sent, limit);
}

bool loss_packet_frame(struct loss *loss, enum loss_space_name space,
                       const struct sent_frame *frame)
{
    return sent_add_frame(&loss->spaces[space].sent, frame);
}

uint64_t loss_packet_sent(struct loss *loss, enum loss_space_name space, uint64_t now_us,
                          uint32_t size, uint32_t flags)
{
    struct loss_space *s = &loss->spaces[space];
    struct delivery *d = loss_delivery(loss);
    uint64_t number;

    if ((flags & (SENT_IN_FLIGHT | SENT_ACK_ELICITING)) == 0) {
        return sent_commit(&s->sent, now_us, size, flags);
    }
    if (loss->congestion != NULL) {
        congestion_on_sent(loss->congestion, now_us, size, loss->in_flight_bytes);
    }
    if (d != NULL && d->app_limited_bytes != 0) {
        flags |= SENT_APP_LIMITED;
    }
    number = sent_commit(&s->sent, now_us, size, flags);
    if (d != NULL) {
        delivery_on_sent(d, sent_delivery(&s->sent, number), now_us, size, loss->in_flight_bytes);
    }
    loss->in_flight_bytes += size;
    s->in_flight_bytes += size;
    loss->event_us = now_us;
    if ((flags & SENT_ACK_ELICITING) != 0) {
        s->eliciting_in_flight++;
        s->eliciting_us = now_us;
    }
    return number;
}

void loss_packet_cancel(struct loss *loss, enum loss_space_name space)
{
    sent_cancel(&loss->spaces[space].sent);
}

int loss_skip_number(struct loss *loss, struct limit_record *limit)
{
    return sent_skip(&loss->spaces[LOSS_APPLICATION].sent, limit);
}

bool loss_skip_due(const struct loss *loss)
{
    return loss->spaces[LOSS_APPLICATION].sent.next >= loss->skip_at;
}

int loss_skip(struct loss *loss, uint64_t random, struct limit_record *limit)
{
    uint64_t packets = LOSS_SKIP_SPAN_MIN, span;
    bool first = loss->skip_at == 0;

    if (!loss_skip_due(loss)) {
        return 0;
    }
    if (loss->congestion != NULL) {
        packets = loss->congestion->window_bytes / loss->congestion->datagram_bytes;
    }
    span = packets > LOSS_SKIP_SPAN_MIN ? packets : LOSS_SKIP_SPAN_MIN;
    loss->skip_at = loss->spaces[LOSS_APPLICATION].sent.next + 1 + packets + (random >> 16) % span;
    return first ? 0 : loss_skip_number(loss, limit);
}

uint64_t loss_window_room(const struct loss *loss)
{
    uint64_t window_bytes = loss->congestion == NULL ? UINT64_MAX : loss->congestion->window_bytes;

    return window_bytes > loss->in_flight_bytes ? window_bytes - loss->in_flight_bytes : 0;
}

int loss_on_ack_begin(struct loss *loss, enum loss_space_name space, uint64_t largest,
                      uint64_t ack_delay_us, uint64_t now_us)
{
    WEIR_ASSERT(!loss->ack.open);
    WEIR_ASSERT(!loss->spaces[space].discarded);
    if (largest >= loss->spaces[space].sent.next) {
        return WEIR_E_PROTOCOL;
    }
    memset(&loss->ack, 0, sizeof loss->ack);
    loss->ack.open = true;
    loss->ack.space = space;
    loss->ack.largest = largest;
    loss->ack.ack_delay_us = ack_delay_us;
    loss->ack.now_us = now_us;
    if (loss_delivery(loss) != NULL) {
        delivery_begin(loss_delivery(loss));
    }
    return 0;
}

void loss_leave_flight(struct loss *loss, struct loss_space *s, uint64_t number,
                       const struct sent_packet *packet)
{
    if (number >= s->path_first) {
        WEIR_ASSERT(s->in_flight_bytes >= packet->size);
        WEIR_ASSERT(loss->in_flight_bytes >= packet->size);
        s->in_flight_bytes -= packet->size;
        loss->in_flight_bytes -= packet->size;
    }
    if ((packet->flags & SENT_ACK_ELICITING) != 0) {
        WEIR_ASSERT(s->eliciting_in_flight > 0);
        s->eliciting_in_flight--;
    }
}

/* A packet that was given up arrived after all. */
static void loss_count_spurious(struct loss *loss, bool current, const struct sent_packet *packet)
{
    loss->spurious_packets++;
    if (!current) {
        return;
    }
    loss->ack.spurious++;
    if ((packet->flags & SENT_PMTU_PROBE) == 0 &&
        (!loss->episode_bounded || packet->time_us > loss->episode_after_us)) {
        loss->episode_spurious++;
    }
}

void loss_report(struct loss *loss, enum loss_space_name space, uint64_t number,
                 const struct sent_packet *packet, enum loss_fate fate)
{
    if (loss->on_packet != NULL && packet->frame_count > 0) {
        loss->on_packet(loss->context, space, number, &loss->spaces[space].sent, packet, fate);
    }
}

/* What a newly acknowledged packet of this path says about the path. */
static void loss_credit(struct loss *loss, const struct loss_space *s, uint64_t number,
                        const struct sent_packet *packet)
{
    bool was_lost = (packet->flags & SENT_LOST) != 0;
    struct delivery *d = loss_delivery(loss);

    loss->ack.current = true;
    if (packet->time_us > loss->ack.sent_us) {
        loss->ack.sent_us = packet->time_us;
    }
    if (number == loss->ack.largest) {
        loss->ack.largest_new = true;
        loss->ack.largest_sent_us = packet->time_us;
    }
    if (s->largest_acked != UINT64_MAX && number < s->largest_acked) {
        loss_reorder_on_late(loss, s, number, packet);
    }
    if ((packet->flags & SENT_IN_FLIGHT) == 0) {
        return;
    }
    if (!was_lost) {
        loss->ack.bytes_all += packet->size;
        if (loss->congestion == NULL ||
            !congestion_is_in_recovery(loss->congestion, packet->time_us)) {
            loss->ack.bytes += packet->size;
        }
    }
    if (d != NULL) {
        delivery_on_acked(d, was_lost ? NULL : sent_delivery(&s->sent, number), number,
                          packet->time_us, packet->size, (packet->flags & SENT_APP_LIMITED) != 0,
                          loss->ack.now_us);
    }
}

static void loss_take_acked(struct loss *loss, struct loss_space *s, uint64_t number, uint64_t last)
{
    const struct sent_packet *packet = sent_get(&s->sent, number);
    bool was_lost = (packet->flags & SENT_LOST) != 0;
    bool current = number >= s->path_first;

    loss->acked_packets++;
    loss->ack.any = true;
    loss->ack.eliciting |= (packet->flags & SENT_ACK_ELICITING) != 0;
    if (current) {
        loss->ack.marked += (packet->flags & SENT_ECT0) != 0;
        loss_credit(loss, s, number, packet);
    }
    if (was_lost) {
        loss_count_spurious(loss, current, packet);
    } else if ((packet->flags & SENT_IN_FLIGHT) != 0) {
        loss_leave_flight(loss, s, number, packet);
    }
    /* The cursor has passed it already, so it cannot see that the run of losses is broken here. */
    if (number < s->cursor && s->run_first_us != LOSS_NEVER && packet->time_us >= s->run_first_us &&
        packet->time_us <= s->run_last_us) {
        s->run_first_us = LOSS_NEVER;
    }
    loss_report(loss, loss->ack.space, number, packet,
                was_lost ? LOSS_FATE_SPURIOUS : LOSS_FATE_ACKED);
    sent_mark_acked(&s->sent, number, last);
}

int loss_on_ack_range(struct loss *loss, uint64_t first, uint64_t last)
{
    struct loss_space *s = &loss->spaces[loss->ack.space];

    WEIR_ASSERT(loss->ack.open);
    if (first > last || last > loss->ack.largest || sent_covers_unsent(&s->sent, first, last)) {
        return WEIR_E_PROTOCOL;
    }
    for (uint64_t n = sent_next_unacked(&s->sent, first); n <= last;
         n = sent_next_unacked(&s->sent, n + 1)) {
        const struct sent_packet *packet = sent_get(&s->sent, n);

        if (packet == NULL) {
            break;
        }
        if ((packet->flags & SENT_UNSENT) != 0) {
            return WEIR_E_PROTOCOL;
        }
        loss_take_acked(loss, s, n, last);
    }
    return 0;
}

bool loss_is_peer_validated(const struct loss *loss)
{
    return !loss->client || loss->confirmed || loss->handshake_acked;
}

static void loss_tell_congestion(struct loss *loss, bool sampled)
{
    struct congestion_ack ack = {.now_us = loss->ack.now_us,
                                 .sent_us = loss->ack.sent_us,
                                 .bytes = loss->ack.bytes,
                                 .bytes_all = loss->ack.bytes_all,
                                 .in_flight_bytes = loss->in_flight_bytes,
                                 .rtt = loss->rtt,
                                 .rtt_sampled = sampled};

    if (loss->congestion == NULL || !loss->ack.current) {
        return;
    }
    if (loss->congestion->delivery != NULL) {
        delivery_end(loss->congestion->delivery, loss->rtt->min_us);
    }
    congestion_on_acked(loss->congestion, &ack);
    if (loss->ack.spurious > 0 && loss->episode_lost > 0 &&
        loss->episode_spurious >= loss->episode_lost) {
        loss->episode_lost = 0;
        loss->episode_spurious = 0;
        congestion_on_spurious(loss->congestion);
    }
}

bool loss_on_ack_end(struct loss *loss)
{
    struct loss_space *s = &loss->spaces[loss->ack.space];
    bool sampled = loss->ack.largest_new && loss->ack.eliciting;
    uint64_t delay_us = loss->ack.space == LOSS_INITIAL ? 0 : loss->ack.ack_delay_us;
    uint64_t now_us = loss->ack.now_us;

    WEIR_ASSERT(loss->ack.open);
    loss->ack.open = false;
    if (s->largest_acked == UINT64_MAX || loss->ack.largest > s->largest_acked) {
        s->largest_acked = loss->ack.largest;
    }
    if (!loss->ack.any) {
        return false;
    }
    if (loss->ack.sent_us > s->acked_sent_us) {
        s->acked_sent_us = loss->ack.sent_us;
    }
    if (sampled) {
        WEIR_ASSERT(now_us >= loss->ack.largest_sent_us);
        rtt_on_sample(loss->rtt, now_us, now_us - loss->ack.largest_sent_us, delay_us,
                      loss->confirmed, loss->max_ack_delay_us);
    }
    loss->handshake_acked |= loss->ack.space == LOSS_HANDSHAKE;
    /* RFC 9002 A.7: losses first, so that an ack in the same frame does not grow a window about
     * to shrink. */
    loss_reorder_decay(loss, now_us);
    (void)loss_detect(loss, loss->ack.space, now_us);
    loss_tell_congestion(loss, sampled);
    if (loss_is_peer_validated(loss)) {
        loss->pto_count = 0;
    }
    sent_allow_probes(&s->sent, 0);
    loss->event_us = now_us;
    return true;
}

bool loss_on_ecn_ce(struct loss *loss, enum loss_space_name space, uint64_t now_us)
{
    WEIR_ASSERT(!loss->ack.open);
    WEIR_ASSERT(space == loss->ack.space);
    if (loss->congestion == NULL || !loss->ack.current) {
        return false;
    }
    return congestion_on_mark(loss->congestion, loss->ack.sent_us, now_us);
}
