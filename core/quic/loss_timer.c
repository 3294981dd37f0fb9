/* SPDX-License-Identifier: MIT */
/* When loss recovery acts by itself: the loss timer, the probe timeout, the anti-deadlock
 * probe.
 *
 * The deadline is computed from facts each time it is asked for, and stored nowhere, so nothing
 * can forget to rearm it. In the order of RFC 9002 (6.2 and A.8):
 *   1. a packet that will be lost by time: that moment;
 *   2. a server at its amplification limit: never, as a probe could not leave. When the limit
 *      lifts, a deadline that lies in the past fires at once, as it should;
 *   3. the earliest PTO of the spaces that have ack-eliciting packets in flight, Application
 *      only once confirmed (before that, the peer may lack the keys to acknowledge);
 *   4. a client to whom the server has not proved to have validated its address: a PTO from the
 *      last event even with nothing in flight, because the server may be stuck at its limit
 *      waiting for us.
 *
 * A PTO never means loss. It doubles with each expiry; until confirmation it is capped at 3 s
 * (docs/wire.md, section 9), so that a handshake survives 8 losses in a row within its 30 s;
 * afterwards at about 1 s on ordinary paths. */
#include "base/assert.h"
#include "quic/loss.h"

#define LOSS_PTO_SHIFT_MAX 20u
#define LOSS_PROBES 2u
#define LOSS_PROBE_PACKETS 4u /* with acks that may leave between them */

void loss_set_confirmed(struct loss *loss, uint64_t now_us)
{
    if (!loss->confirmed) {
        loss->confirmed = true;
        loss->event_us = now_us;
    }
}

void loss_set_handshake_keys(struct loss *loss)
{
    loss->handshake_keys = true;
}

void loss_set_blocked(struct loss *loss, bool blocked)
{
    loss->blocked = blocked;
}

void loss_set_max_ack_delay(struct loss *loss, uint64_t max_ack_delay_us)
{
    loss->max_ack_delay_us = max_ack_delay_us;
}

/* One PTO of a space with its backoff. */
/* RFC 9002 lets the backoff double without end, and a network that was away for ten seconds then
 * waits ten more to be noticed. Probes are two packets: one pair per second, or per three round
 * trips if those are longer, does no harm for as long as the idle timeout lasts. A time-out that
 * was never doubled is honoured up to 3 s: beyond that it comes from samples that lost
 * acknowledgements made long, not from the path, whose smallest round trip says so
 * (docs/wire.md 9). */
static uint64_t loss_pto_max_us(const struct loss *loss, uint64_t pto_us)
{
    uint64_t max_us = LOSS_PTO_UNCONFIRMED_MAX_US;

    if (!loss->confirmed || loss->spaces[LOSS_APPLICATION].largest_acked == UINT64_MAX) {
        return max_us;
    }
    max_us = pto_us < max_us ? pto_us : max_us;
    if (max_us < LOSS_PTO_MAX_US) {
        max_us = LOSS_PTO_MAX_US;
    }
    return 3 * loss->rtt->min_us > max_us ? 3 * loss->rtt->min_us : max_us;
}

static uint64_t loss_pto_us(const struct loss *loss, uint32_t space)
{
    uint32_t shift = loss->pto_count < LOSS_PTO_SHIFT_MAX ? loss->pto_count : LOSS_PTO_SHIFT_MAX;
    uint64_t delay_us = space == LOSS_APPLICATION ? loss->max_ack_delay_us : 0;
    uint64_t pto_us = rtt_pto_us(loss->rtt, delay_us);
    uint64_t max_us = loss_pto_max_us(loss, pto_us);

    return pto_us >= max_us >> shift ? max_us : pto_us << shift;
}

static uint64_t loss_time(const struct loss *loss)
{
    uint64_t earliest_us = LOSS_NEVER;

    for (uint32_t i = 0; i < LOSS_SPACES; i++) {
        uint64_t time_us = loss->spaces[i].loss_time_us;

        earliest_us = time_us < earliest_us ? time_us : earliest_us;
    }
    return earliest_us;
}

/* The earliest probe timeout, and where its probe goes. */
static uint64_t loss_probe_time(const struct loss *loss, enum loss_space_name *space)
{
    uint64_t earliest_us = LOSS_NEVER;

    if (loss->blocked) {
        return LOSS_NEVER;
    }
    for (uint32_t i = 0; i < LOSS_SPACES; i++) {
        const struct loss_space *s = &loss->spaces[i];
        uint64_t time_us = s->eliciting_us + loss_pto_us(loss, i);

        if (s->eliciting_in_flight == 0 || (i == LOSS_APPLICATION && !loss->confirmed)) {
            continue;
        }
        if (time_us < earliest_us) {
            earliest_us = time_us;
            *space = (enum loss_space_name)i;
        }
    }
    if (earliest_us == LOSS_NEVER && !loss_is_peer_validated(loss)) {
        *space = loss->handshake_keys ? LOSS_HANDSHAKE : LOSS_INITIAL;
        return loss->event_us + loss_pto_us(loss, *space);
    }
    return earliest_us;
}

uint64_t loss_deadline(const struct loss *loss)
{
    enum loss_space_name space = LOSS_INITIAL;
    uint64_t time_us = loss_time(loss);

    return time_us != LOSS_NEVER ? time_us : loss_probe_time(loss, &space);
}

static struct loss_action loss_on_loss_time(struct loss *loss, uint64_t now_us)
{
    struct loss_action action = {.kind = LOSS_NOTHING};

    for (uint32_t i = 0; i < LOSS_SPACES; i++) {
        enum loss_space_name space = (enum loss_space_name)i;

        if (loss->spaces[i].loss_time_us <= now_us && loss_detect(loss, space, now_us)) {
            action.kind = LOSS_FOUND;
            action.space = space;
        }
    }
    loss->event_us = now_us;
    return action;
}

struct loss_action loss_on_deadline(struct loss *loss, uint64_t now_us)
{
    struct loss_action action = {.kind = LOSS_NOTHING};
    struct loss_space *s;
    uint64_t time_us = loss_time(loss);

    if (time_us != LOSS_NEVER) {
        return time_us <= now_us ? loss_on_loss_time(loss, now_us) : action;
    }
    time_us = loss_probe_time(loss, &action.space);
    if (time_us == LOSS_NEVER || now_us < time_us) {
        return action;
    }
    s = &loss->spaces[action.space];
    loss->pto_count++;
    loss->pto_total++;
    loss->event_us = now_us;
    action.kind = LOSS_PROBE;
    action.probes = s->eliciting_in_flight > 0 ? LOSS_PROBES : 1;
    /* The next one counts from here even when the probe cannot leave: no deadline fires twice
     * in one moment. */
    s->eliciting_us = now_us;
    sent_allow_probes(&s->sent, LOSS_PROBE_PACKETS);
    WEIR_ASSERT(!s->discarded);
    return action;
}

const struct sent_packet *loss_oldest(struct loss *loss, enum loss_space_name space,
                                      uint64_t *number)
{
    struct loss_space *s = &loss->spaces[space];
    uint64_t n = *number > s->cursor ? *number : s->cursor;
    const struct sent_packet *packet;

    for (n = sent_next_unacked(&s->sent, n); (packet = sent_get(&s->sent, n)) != NULL;
         n = sent_next_unacked(&s->sent, n + 1)) {
        if ((packet->flags & SENT_ACK_ELICITING) != 0 && (packet->flags & SENT_LOST) == 0 &&
            packet->frame_count > 0) {
            *number = n;
            return packet;
        }
    }
    return NULL;
}

void loss_trim(struct loss *loss)
{
    for (uint32_t i = 0; i < LOSS_SPACES; i++) {
        sent_drop_settled(&loss->spaces[i].sent, loss->spaces[i].cursor);
        sent_trim(&loss->spaces[i].sent);
    }
}
