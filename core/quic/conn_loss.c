/* SPDX-License-Identifier: MIT */
/* What became of packets: acknowledged frames settle, lost ones are queued again (RFC 9000 13.3).
 * Only what still matters is repeated: of a limit the newest value, of a stream nothing once it was
 * reset. */
#include "quic/connection.h"

static struct send_lane *crypto_lane(const struct connection *c, enum loss_space_name space)
{
    return c->hs != NULL && space < LOSS_APPLICATION ? &c->hs->out[space] : NULL;
}

static void acked(struct connection *c, enum loss_space_name space, const struct sent_frame *f)
{
    const struct transport_env *env = connection_env(c);
    struct send_lane *lane;
    struct stream *s;
    switch (f->kind) {
    case SENT_ACK:
        ack_on_ack_acked(space == LOSS_APPLICATION ? &c->ack_app : &c->acks[space], f->offset);
        break;
    case SENT_CRYPTO:
        if ((lane = crypto_lane(c, space)) != NULL)
            send_lane_on_acked(lane, f->offset, f->len, false, env->mem, env->budget);
        break;
    case SENT_STREAM:
        if ((s = streams_get(&c->base, f->id)) != NULL)
            streams_on_acked(s, f->offset, f->len, f->fin != 0, c->now_us);
        break;
    case SENT_RESET_STREAM:
        if ((s = streams_get(&c->base, f->id)) != NULL) streams_on_reset_acked(s);
        break;
    default: break;
    }
}

static void lost_stream_control(struct connection *c, const struct sent_frame *f)
{
    struct stream *s = streams_get(&c->base, f->id);
    if (s == NULL) return;
    if (f->kind == SENT_RESET_STREAM) s->out.reset_pending = s->out.state == SEND_RESET;
    if (f->kind == SENT_STOP_SENDING)
        s->in.stop_pending = s->in.stopped && s->in.state < RECEIVE_RESET;
    if (f->kind == SENT_MAX_STREAM_DATA)
        s->in.credit_pending = s->in.state == RECEIVE_OPEN && !s->in.stopped;
    stream_schedule(s);
}

static void lost(struct connection *c, enum loss_space_name space, const struct sent_frame *f)
{
    struct conn_streams *st = c->base.streams;
    struct send_lane *lane;
    struct stream *s;
    switch (f->kind) {
    case SENT_CRYPTO:
        if ((lane = crypto_lane(c, space)) != NULL)
            send_lane_on_lost(lane, f->offset, f->len, false, connection_env(c)->mem);
        break;
    case SENT_STREAM:
        if ((s = streams_get(&c->base, f->id)) != NULL)
            streams_on_lost(s, f->offset, f->len, f->fin != 0);
        break;
    case SENT_RESET_STREAM:
    case SENT_STOP_SENDING:
    case SENT_MAX_STREAM_DATA: lost_stream_control(c, f); break;
    case SENT_MAX_DATA: st->credit_pending = true; break;
    case SENT_MAX_STREAMS_BIDI: st->accept_pending[0] = true; break;
    case SENT_MAX_STREAMS_UNI: st->accept_pending[1] = true; break;
    case SENT_HANDSHAKE_DONE: c->done_pending = true; break;
    case SENT_RETIRE_CONNECTION_ID: conn_ids_retire(c, f->id); break;
    case SENT_NEW_CONNECTION_ID: conn_ids_untold(c, f->id); break;
    case SENT_ACK_FREQUENCY:
        /* Only the latest wish matters. */
        if (f->id + 1 == c->frequency.sequence) c->frequency_pending = true;
        break;
    default: break;
    }
}

void conn_loss_requeue(struct connection *c, enum loss_space_name space, const struct sent *sent,
                       const struct sent_packet *packet)
{
    for (uint32_t i = 0; i < packet->frame_count; i++)
        lost(c, space, sent_frame_get(sent, packet, i));
}

/* Apart from what is queued again: a probe repeats packets that are not lost. */
static void count_datagrams(struct connection *c, const struct sent *sent,
                            const struct sent_packet *packet)
{
    for (uint32_t i = 0; i < packet->frame_count; i++) {
        if (sent_frame_get(sent, packet, i)->kind == SENT_DATAGRAM)
            metric_inc(connection_env(c)->metrics, METRIC_DATAGRAM_FRAMES_LOST);
    }
}

void conn_loss_on_packet(void *context, enum loss_space_name space, uint64_t number,
                         const struct sent *sent, const struct sent_packet *packet,
                         enum loss_fate fate)
{
    struct connection *c = context;
    if (c->phase > QUIC_UP) return;
    if (space == LOSS_APPLICATION) conn_probe_on_packet(c, number, packet, fate);
    if (fate == LOSS_FATE_LOST) {
        metric_inc(connection_env(c)->metrics, METRIC_PACKETS_LOST);
        count_datagrams(c, sent, packet);
        conn_loss_requeue(c, space, sent, packet);
        return;
    }
    for (uint32_t i = 0; i < packet->frame_count; i++)
        acked(c, space, sent_frame_get(sent, packet, i));
}

int conn_loss_on_ack(struct connection *c, enum loss_space_name space, const struct frame_ack *ack,
                     uint64_t now_us)
{
    struct frame_ack_cursor cursor;
    uint64_t start, end_, events = c->congestion.events,
                          persistent = c->congestion.persistent_events;
    uint64_t delay = space == LOSS_APPLICATION && ack->delay < UINT64_C(1) << 32
                         ? ack->delay << c->peer_ack_exponent
                         : 0;
    uint64_t before = c->loss.spaces[space].largest_acked, spurious = c->loss.spurious_packets;
    int error = 0;
    c->now_us = now_us;
    /* CVE-2025-4821: an acknowledgement of what was never sent inflates the window. */
    if (loss_on_ack_begin(&c->loss, space, ack->largest, delay, now_us) != 0)
        return QUIC_PROTOCOL_VIOLATION;
    frame_ack_begin(&cursor, ack);
    while (error == 0 && frame_ack_next(&cursor, &start, &end_))
        error = loss_on_ack_range(&c->loss, start, end_ - 1);
    if (loss_on_ack_end(&c->loss)) c->unanswered_us = now_us;
    if (error != 0) return QUIC_PROTOCOL_VIOLATION;
    metric_add(connection_env(c)->metrics, METRIC_CONGESTION_EVENTS, c->congestion.events - events);
    metric_add(connection_env(c)->metrics, METRIC_PERSISTENT_CONGESTION,
               c->congestion.persistent_events - persistent);
    metric_add(connection_env(c)->metrics, METRIC_SPURIOUS_LOSSES,
               c->loss.spurious_packets - spurious);
    if (space == LOSS_APPLICATION)
        conn_probe_on_ack(c, ack, before == UINT64_MAX || ack->largest > before, now_us);
    conn_loss_repace(c, now_us);
    if (space == LOSS_APPLICATION)
        conn_handshake_confirm(c, now_us); /* RFC 9001 4.1.2: an ACK of 1-RTT confirms too */
    if (space == LOSS_APPLICATION)
        return key_phase_on_acked(&c->keys, (enum key_phase_which)c->in_phase, ack->largest,
                                  now_us);
    return 0;
}

void conn_loss_repace(struct connection *c, uint64_t now_us)
{
    congestion_pace(&c->congestion, &c->pacer, now_us, c->rtt.smoothed_us);
    if (c->base.streams != NULL) sched_set_rate(&c->base.streams->sched, c->pacer.rate_bytes_per_s);
}
