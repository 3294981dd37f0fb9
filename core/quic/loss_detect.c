/* SPDX-License-Identifier: MIT */
/* Which packets are lost (RFC 9002, section 6.1), and what that means for the window.
 *
 * The invariant that everything rests on is the cursor of a space: all numbers below it are
 * settled, that is acked, lost, skipped or never in flight. Each ACK moves it up to the first
 * packet that is neither acked nor lost yet. Because every packet 3 numbers below the largest
 * acked one is lost (6.1.1; more than 3 where packets overtake each other, loss_reorder.c), the
 * cursor never stays further behind it; and because earlier numbers were sent earlier, the packet
 * at the cursor is also the first that will be lost by time (6.1.2). So one comparison gives the
 * loss timer.
 *
 * Persistent congestion (7.6) rides on the cursor too: it passes losses in the order of
 * sending, so "two lost packets with no ack between them" is a run that starts at the first
 * loss and ends at the first acked number, over as many ACK frames as it takes. An ack in
 * another space inside the run ends it as well; where that cannot be told exactly, we decide
 * against persistent congestion.
 *
 * Lost packets keep their slot for one to two PTO more. An ack for one of them is reported as
 * spurious, and when all packets whose loss made the window shrink have arrived after all, the
 * reduction is taken back. When the next event comes so soon that the last one could not be judged
 * yet, the two are judged together: disorder makes one event after another. */
#include "base/assert.h"
#include "quic/loss.h"

#define LOSS_PERSISTENT_FACTOR 3u
#define LOSS_MERGED_MAX 8u /* events judged together: a real loss among them spoils no more */

/* RFC 9002 7.6.2: an acknowledgement of anything sent during the run proves that the path was
 * alive. */
static bool loss_run_is_persistent(const struct loss *loss, const struct loss_space *s)
{
    uint64_t duration_us = LOSS_PERSISTENT_FACTOR * rtt_pto_us(loss->rtt, loss->max_ack_delay_us);

    if (s->run_last_us - s->run_first_us <= duration_us) {
        return false;
    }
    for (uint32_t i = 0; i < LOSS_SPACES; i++) {
        const struct loss_space *other = &loss->spaces[i];

        if (other != s && other->largest_acked != UINT64_MAX &&
            other->acked_sent_us >= s->run_first_us) {
            return false;
        }
    }
    return true;
}

/* What one pass of the cursor found. */
struct loss_found {
    uint64_t packets; /* lost, without PMTU probes */
    uint64_t newest_us;
    bool any, persistent;
};

/* A controller that models the path weighs each packet. */
static void loss_tell_lost(struct loss *loss, const struct loss_space *s, uint64_t number,
                           const struct sent_packet *packet, uint64_t now_us)
{
    struct congestion_lost lost = {.now_us = now_us,
                                   .number = number,
                                   .bytes = packet->size,
                                   .packet = sent_delivery(&s->sent, number),
                                   .app_limited = (packet->flags & SENT_APP_LIMITED) != 0};

    if (loss->congestion == NULL) {
        return;
    }
    if (loss->congestion->delivery != NULL) {
        delivery_on_lost(loss->congestion->delivery, packet->size);
    }
    congestion_on_lost(loss->congestion, &lost);
}

static void loss_take_lost(struct loss *loss, enum loss_space_name space, uint64_t number,
                           uint64_t now_us, struct loss_found *found)
{
    struct loss_space *s = &loss->spaces[space];
    struct sent_packet *packet = sent_get(&s->sent, number);

    loss_leave_flight(loss, s, number, packet);
    packet->flags |= SENT_LOST;
    loss->lost_packets++;
    loss->lost_bytes += packet->size;
    loss->lost_marked += (packet->flags & SENT_ECT0) != 0;
    found->any = true;
    if ((packet->flags & SENT_PMTU_PROBE) == 0 && number >= s->path_first) {
        loss_tell_lost(loss, s, number, packet, now_us);
        found->packets++;
        found->newest_us = packet->time_us > found->newest_us ? packet->time_us : found->newest_us;
        /* RFC 9002 7.6.2: only with an RTT sample is the duration of the run known to be long. */
        if ((packet->flags & SENT_ACK_ELICITING) != 0 && rtt_is_sampled(loss->rtt) &&
            packet->time_us > loss->rtt->first_sample_us) {
            s->run_first_us = s->run_first_us == LOSS_NEVER ? packet->time_us : s->run_first_us;
            s->run_last_us = packet->time_us;
            found->persistent |= loss_run_is_persistent(loss, s);
        }
    }
    loss_report(loss, space, number, packet, LOSS_FATE_LOST);
}

/* How long after an event the next one is judged with it: until what was not lost after all must
 * have come. */
static uint64_t loss_verdict_us(const struct loss *loss)
{
    if (loss->episode_spurious > 0) {
        return 2 * rtt_patience_us(loss->rtt, loss->reorder.eighths);
    }
    return rtt_patience_us(loss->rtt, LOSS_REORDER_EIGHTHS_MAX);
}

static void loss_tell_losses(struct loss *loss, struct loss_space *s,
                             const struct loss_found *found, uint64_t now_us)
{
    struct congestion *c = loss->congestion;
    uint64_t before_us;
    bool bounded;

    if (c == NULL || found->packets == 0) {
        return;
    }
    before_us = c->recovery_us;
    bounded = c->recovered;
    c->undo_hold =
        loss->episode_merged < LOSS_MERGED_MAX && now_us - before_us < loss_verdict_us(loss);
    if (congestion_on_event(c, found->newest_us, now_us)) {
        if (c->undo_hold) {
            loss->episode_merged++;
        } else {
            loss->episode_after_us = before_us;
            loss->episode_bounded = bounded;
            loss->episode_lost = 0;
            loss->episode_spurious = 0;
            loss->episode_merged = 0;
        }
    }
    c->undo_hold = false;
    loss->episode_lost += found->packets;
    if (found->persistent) {
        loss->persistent_total++;
        s->run_first_us = LOSS_NEVER;
        loss->episode_lost = 0;
        rtt_restart_min(loss->rtt);
        congestion_on_persistent(c);
    }
}

/* Lost packets are kept until a moment at least one PTO after their loss; longer where packets are
 * known to come later than that. */
static void loss_drop_settled(struct loss *loss, struct loss_space *s, uint64_t now_us)
{
    uint64_t forget_below = 0, keep_us;

    if (now_us >= s->forget_us) {
        forget_below = s->forget_below;
        s->forget_below = s->cursor;
        keep_us = rtt_pto_us(loss->rtt, loss->max_ack_delay_us);
        if (keep_us < rtt_patience_us(loss->rtt, loss->reorder.eighths)) {
            keep_us = rtt_patience_us(loss->rtt, loss->reorder.eighths);
        }
        s->forget_us = now_us + keep_us;
    }
    sent_drop_settled(&s->sent, forget_below);
}

/* How many packets sent later are known to have a chance of having arrived: numbers that were
 * skipped on purpose overtake nobody. */
static uint64_t loss_overtaken(const struct loss *loss, const struct loss_space *s, uint64_t number)
{
    uint64_t distance = s->largest_acked - number;

    if (distance < loss->reorder.packets) {
        return distance;
    }
    return distance - sent_skipped_between(&s->sent, number, s->largest_acked);
}

bool loss_detect(struct loss *loss, enum loss_space_name space, uint64_t now_us)
{
    struct loss_space *s = &loss->spaces[space];
    uint64_t delay_us = rtt_patience_us(loss->rtt, loss->reorder.eighths);
    struct loss_found found = {.packets = 0};

    s->loss_time_us = LOSS_NEVER;
    s->cursor = s->cursor < s->sent.base ? s->sent.base : s->cursor;
    while (s->largest_acked != UINT64_MAX && s->cursor < s->largest_acked) {
        uint64_t n = sent_next_unacked(&s->sent, s->cursor);
        const struct sent_packet *packet = sent_get(&s->sent, n);

        if (n != s->cursor) {
            s->run_first_us = LOSS_NEVER;
            s->cursor = n;
            continue;
        }
        if ((packet->flags & SENT_IN_FLIGHT) != 0 && (packet->flags & SENT_LOST) == 0) {
            if (loss_overtaken(loss, s, n) < loss->reorder.packets &&
                now_us < packet->time_us + delay_us) {
                s->loss_time_us = packet->time_us + delay_us;
                break;
            }
            loss_take_lost(loss, space, n, now_us, &found);
        }
        s->cursor++;
    }
    loss_tell_losses(loss, s, &found, now_us);
    loss_drop_settled(loss, s, now_us);
    return found.any;
}
