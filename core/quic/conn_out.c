/* SPDX-License-Identifier: MIT */
/* Packets out.
 *
 * A turn: acknowledgements and control frames first, then stream bytes in the scheduler's order,
 * full packets first, one partial packet at the end. What may be written was settled when the
 * application wrote it (lane.h), so nothing here asks flow control. Three things can stop a packet:
 * the congestion window, the pacer, and, before the client's address is proven, three times what it
 * sent. */
#include "base/assert.h"
#include "quic/connection.h"
#include <string.h>

enum { STALL_US = 25000 }; /* an ACK is as late as that anyway */

/* One packet under construction. */
struct build {
    struct connection *c;
    struct writer w; /* the payload, room for the tag left out */
    uint8_t *packet;
    size_t header_len;
    unsigned number_size;
    uint64_t number;
    enum loss_space_name space;
    enum packet_type type;
    bool eliciting, in_flight, ack;
    bool path_response;
};

static bool record(struct build *b, enum sent_kind kind, uint64_t id, uint64_t offset, uint64_t len,
                   bool fin)
{
    struct sent_frame f = {
        .kind = (uint8_t)kind, .fin = fin, .len = (uint32_t)len, .id = id, .offset = offset};
    b->eliciting = b->in_flight = true;
    return loss_packet_frame(&b->c->loss, b->space, &f);
}

/* One more record fits: so a frame that is written can be recorded. Without memory a probe has
 * fewer than usual. */
static bool may_record(const struct build *b)
{
    const struct sent *sent = &b->c->loss.spaces[b->space].sent;
    return sent->open_frames + 2 < sent->open_frames_max;
}

static void put_ack(struct build *b, struct ack_state *acks, uint64_t now_us)
{
    uint64_t largest;
    if (!ack_write(acks, &b->w, now_us, 3, &largest)) return;
    struct sent_frame f = {.kind = SENT_ACK, .offset = largest};
    (void)loss_packet_frame(&b->c->loss, b->space,
                            &f); /* kept only when something else makes the packet eliciting */
    b->ack = true;
}

static void put_crypto(struct build *b, struct send_lane *lane)
{
    uint64_t offset, len;
    bool fin;
    while (may_record(b) && send_lane_next(lane, false, VARINT_MAX, &offset, &len, &fin)) {
        int64_t fits = frame_crypto_data_max(writer_room(&b->w), offset, len);
        if (fits <= 0) return;
        uint8_t *at = frame_reserve_crypto(&b->w, offset, (size_t)fits);
        ring_read(&lane->ring, offset, at, (size_t)fits);
        (void)send_lane_on_sent(lane, offset, (uint64_t)fits, false, connection_env(b->c)->mem);
        (void)record(b, SENT_CRYPTO, b->space, offset, (uint64_t)fits, false);
    }
}

static void put_stream_control(struct build *b, struct stream *s)
{
    if (s->out.reset_pending && may_record(b) &&
        frame_write_reset_stream(&b->w, s->id, s->out.reset_code, s->out.sent)) {
        s->out.reset_pending = false;
        (void)record(b, SENT_RESET_STREAM, s->id, 0, 0, false);
    }
    if (s->in.stop_pending && may_record(b) &&
        frame_write_stop_sending(&b->w, s->id, s->in.stop_code)) {
        s->in.stop_pending = false;
        (void)record(b, SENT_STOP_SENDING, s->id, 0, 0, false);
    }
    if (s->in.credit_pending && may_record(b) &&
        frame_write_max_stream_data(&b->w, s->id, s->in.limit)) {
        s->in.credit_pending = false;
        (void)record(b, SENT_MAX_STREAM_DATA, s->id, s->in.limit, 0, false);
    }
}

/* @return bytes of the stream that were placed; 0: nothing fits or nothing is there */
static uint64_t put_stream_bytes(struct build *b, struct stream *s, bool whole)
{
    uint64_t offset, len;
    bool fin;
    if (!s->has_out || !may_record(b)) return 0;
    if (!send_lane_next(&s->out, whole, VARINT_MAX, &offset, &len, &fin)) return 0;
    int64_t fits = frame_stream_data_max(writer_room(&b->w), s->id, offset, len, true);
    if (fits < 0 || (fits == 0 && len > 0)) return 0;
    if ((uint64_t)fits < len) fin = false;
    uint8_t *at = frame_reserve_stream(&b->w, s->id, offset, (size_t)fits, fin, true);
    if (fits > 0) ring_read(&s->out.ring, offset, at, (size_t)fits);
    uint64_t again =
        send_lane_on_sent(&s->out, offset, (uint64_t)fits, fin, connection_env(b->c)->mem);
    metric_add(connection_env(b->c)->metrics, METRIC_STREAM_BYTES_RETRANSMITTED, again);
    s->is_opened = true;
    (void)record(b, SENT_STREAM, s->id, offset, (uint64_t)fits, fin);
    return (uint64_t)fits + 1;
}

static bool stream_waits(const struct stream *s)
{
    return s->out.reset_pending || s->in.stop_pending || s->in.credit_pending ||
           (s->has_out && send_lane_has(&s->out, false));
}

/* Held bytes (WEIR_MORE) leave only if they fill the packet. */
static void put_held(struct build *b)
{
    struct conn_streams *st = b->c->base.streams;
    uint64_t waiting = 0;
    for (struct list *l = st->touched.next; l != &st->touched && waiting < writer_room(&b->w);
         l = l->next)
        waiting += send_lane_waiting(&list_entry(l, struct stream, touched_link)->out, true);
    if (waiting < writer_room(&b->w)) return;
    for (struct list *l = st->touched.next; l != &st->touched;) {
        struct stream *s = list_entry(l, struct stream, touched_link);
        l = l->next;
        if (!send_lane_has(&s->out, true)) continue; /* it waits for its writer alone */
        if (put_stream_bytes(b, s, true) == 0) return;
    }
}

static void put_streams(struct build *b)
{
    struct conn_streams *st = b->c->base.streams;
    uint8_t urgency;
    struct list *link;
    while ((link = sched_next(&st->sched, &urgency)) != NULL) {
        struct stream *s = list_entry(link, struct stream, ready_link);
        size_t before = writer_room(&b->w);
        put_stream_control(b, s);
        (void)put_stream_bytes(b, s, false);
        size_t used = before - writer_room(&b->w);
        bool rest = stream_waits(s);
        if (used > 0) sched_sent(&st->sched, link, urgency, (uint32_t)used);
        if (!rest) sched_remove(&st->sched, link, urgency);
        if (rest && (used == 0 || !may_record(b))) return; /* the packet is full */
    }
    put_held(b);
}

static void put_connection(struct build *b)
{
    struct connection *c = b->c;
    struct conn_streams *st = c->base.streams;
    if (c->done_pending && may_record(b) && frame_write_handshake_done(&b->w)) {
        c->done_pending = false;
        (void)record(b, SENT_HANDSHAKE_DONE, 0, 0, 0, false);
    }
    if (c->path_response_pending && frame_write_path_response(&b->w, c->path_response)) {
        c->path_response_pending = false;
        b->path_response = true;
        b->eliciting = b->in_flight = true; /* never repeated (RFC 9000 13.3) */
    }
    for (; c->retire_count > 0; c->retire_count--) {
        uint64_t sequence = c->retire_queue[c->retire_count - 1];
        if (!may_record(b) || !frame_write_retire_connection_id(&b->w, sequence)) return;
        (void)record(b, SENT_RETIRE_CONNECTION_ID, sequence, 0, 0, false);
    }
    if (st->credit_pending && may_record(b) && frame_write_max_data(&b->w, st->receive_limit)) {
        st->credit_pending = false;
        (void)record(b, SENT_MAX_DATA, 0, st->receive_limit, 0, false);
    }
    for (unsigned uni = 0; uni < 2; uni++) {
        if (!st->accept_pending[uni] || !may_record(b) ||
            !frame_write_max_streams(&b->w, uni != 0, st->accept_max[uni]))
            continue;
        st->accept_pending[uni] = false;
        (void)record(b, uni != 0 ? SENT_MAX_STREAMS_UNI : SENT_MAX_STREAMS_BIDI, 0,
                     st->accept_max[uni], 0, false);
    }
}

static void put_ping(struct build *b)
{
    if (!frame_write_ping(&b->w)) return;
    struct sent_frame f = {.kind = SENT_PING};
    b->eliciting = b->in_flight = true;
    (void)loss_packet_frame(&b->c->loss, b->space, &f);
}

/* A probe repeats what is oldest, so that one PTO is enough when a packet was lost (RFC 9002
 * 6.2.4). */
static void requeue_oldest(struct connection *c, enum loss_space_name space)
{
    const struct sent_packet *p = loss_oldest(&c->loss, space, &c->probe_from[space]);
    if (p == NULL) return;
    c->probe_from[space]++; /* the second probe of a PTO repeats the next one */
    conn_loss_requeue(c, space, &c->loss.spaces[space].sent, p);
}

static bool begin(struct build *b, struct connection *c, enum loss_space_name space, uint8_t *data,
                  size_t room, uint64_t now_us)
{
    static const enum packet_type types[] = {PACKET_INITIAL, PACKET_HANDSHAKE, PACKET_SHORT};
    memset(b, 0, sizeof *b);
    b->c = c;
    b->space = space;
    b->type = types[space];
    b->packet = data;
    if (loss_packet_begin(&c->loss, space, NULL) != 0) {
        c->stalled_us = now_us + STALL_US;
        return false;
    }
    c->stalled_us = 0;
    b->number = loss_next_number(&c->loss, space);
    b->number_size = packet_number_size(b->number, c->loss.spaces[space].largest_acked);
    struct writer w = writer_of(data, room);
    if (b->type == PACKET_SHORT) {
        b->header_len =
            packet_write_short(&w, &c->remote_cid, false, false, b->number, b->number_size);
    } else {
        bool initial = b->type == PACKET_INITIAL && connection_is_client(c);
        b->header_len =
            packet_write_long(&w, b->type, PACKET_VERSION, &c->remote_cid, &c->local_cid,
                              initial && c->hs->token_len > 0 ? c->hs->token : NULL,
                              initial ? c->hs->token_len : 0, b->number, b->number_size);
    }
    if (b->header_len == 0 || writer_room(&w) < PACKET_TAG_LEN + 8) {
        loss_packet_cancel(&c->loss, space);
        return false;
    }
    b->w = writer_of(data + b->header_len, writer_room(&w) - PACKET_TAG_LEN);
    return true;
}

static const struct protect_keys *keys_of(const struct connection *c, enum loss_space_name space)
{
    if (space == LOSS_APPLICATION) return &c->write;
    return space == LOSS_INITIAL ? &c->hs->initial_write : &c->hs->adopted->write;
}

/* Seal and account. @return bytes of the packet, 0 when it had no frame */
static size_t end(struct build *b, size_t pad_to, uint64_t now_us)
{
    struct connection *c = b->c;
    size_t payload = writer_len(&b->w);
    if (payload == 0) {
        loss_packet_cancel(&c->loss, b->space);
        return 0;
    }
    size_t least = packet_payload_min(b->number_size), total = b->header_len + PACKET_TAG_LEN;
    if (pad_to > total && pad_to - total > least) least = pad_to - total;
    /* Nearly full: fill it, so that the packets of a run have one size and leave with one call. */
    if (b->in_flight && writer_room(&b->w) > 0 && writer_room(&b->w) <= 16)
        least = payload + writer_room(&b->w);
    if (payload < least) {
        if (least - payload > writer_room(&b->w)) least = payload + writer_room(&b->w);
        /* Padding makes a packet count as in flight (RFC 9002 2); the few bytes for the sample are
         * not worth it. */
        if (pad_to > total) b->in_flight = true;
        (void)frame_write_padding(&b->w, least - payload);
        payload = least;
    }
    if (b->type != PACKET_SHORT)
        packet_finish_long(b->packet, b->header_len, b->number_size, payload);
    size_t len = packet_seal(keys_of(c, b->space), b->packet, b->header_len, b->number,
                             b->number_size, payload);
    uint32_t flags =
        (b->eliciting ? SENT_ACK_ELICITING : 0u) | (b->in_flight ? SENT_IN_FLIGHT : 0u);
    (void)loss_packet_sent(&c->loss, b->space, now_us, (uint32_t)len, flags);
    c->packets_out++;
    metric_inc(connection_env(c)->metrics, METRIC_PACKETS_SENT);
    if (b->in_flight) pacer_on_sent(&c->pacer, now_us, len);
    if (b->eliciting) {
        if (c->eliciting_since_receive == false) c->idle_base_us = now_us; /* RFC 9000 10.1 */
        c->eliciting_since_receive = true;
        c->eliciting_us = now_us;
        c->rested = false;
    }
    return len;
}

static struct ack_state *acks_of(struct connection *c, enum loss_space_name space)
{
    return space == LOSS_APPLICATION ? &c->ack_app : &c->acks[space];
}

/* Whether packets of the Initial or Handshake level can be written. */
static bool has_long_keys(const struct connection *c, enum loss_space_name space)
{
    const struct conn_handshake *hs = c->hs;
    if (hs == NULL) return false;
    return space == LOSS_INITIAL ? hs->has_initial : hs->adopted != NULL && hs->adopted->has_keys;
}

static bool crypto_waits(const struct connection *c, enum loss_space_name space)
{
    return has_long_keys(c, space) && send_lane_has(&c->hs->out[space], false);
}

static bool long_wants(const struct connection *c, enum loss_space_name space, uint64_t now_us)
{
    if (!has_long_keys(c, space)) return false;
    return crypto_waits(c, space) || c->probes[space] > 0 ||
           ack_should_send(&c->acks[space], now_us);
}

static bool application_control_waits(const struct connection *c)
{
    return c->done_pending || c->path_response_pending || c->retire_count > 0 || c->ping_pending ||
           c->probes[2] > 0;
}

static bool held_fills(const struct connection *c)
{
    const struct conn_streams *st = c->base.streams;
    uint64_t waiting = 0;
    for (const struct list *l = st->touched.next; l != &st->touched; l = l->next) {
        const struct stream *s = list_entry(l, const struct stream, touched_link);
        if (s->out.hold) waiting += send_lane_waiting(&s->out, true);
        if (waiting >= c->datagram_bytes) return true;
    }
    return false;
}

static bool application_wants(const struct connection *c, uint64_t now_us, bool *ack_only)
{
    *ack_only = false;
    if (!c->has_write) return false;
    if (application_control_waits(c) || streams_want_send(&c->base) || held_fills(c)) return true;
    *ack_only = true;
    return ack_should_send(&c->ack_app, now_us);
}

bool conn_out_wants(const struct connection *c, uint64_t now_us)
{
    bool ack_only;
    if (c->phase > QUIC_UP) return c->close_send;
    return long_wants(c, LOSS_INITIAL, now_us) || long_wants(c, LOSS_HANDSHAKE, now_us) ||
           application_wants(c, now_us, &ack_only);
}

static size_t build_long(struct connection *c, enum loss_space_name space, uint8_t *data,
                         size_t room, size_t pad_to, uint64_t now_us)
{
    struct build b;
    if (c->probes[space] > 0 && !send_lane_has(&c->hs->out[space], false)) requeue_oldest(c, space);
    /* wire.md 5.6: until a candidate is adopted, each Initial carries all of message 1. */
    if (space == LOSS_INITIAL && connection_is_client(c))
        send_lane_on_lost(&c->hs->out[0], 0, c->hs->out[0].sent, false, connection_env(c)->mem);
    if (!begin(&b, c, space, data, room, now_us)) return 0;
    put_ack(&b, acks_of(c, space), now_us);
    put_crypto(&b, &c->hs->out[space]);
    if (!b.eliciting && c->probes[space] > 0) put_ping(&b);
    bool ack = b.ack, eliciting = b.eliciting;
    /* A server pads what is eliciting, a client everything at Initial level (RFC 9000 14.1). */
    size_t len = end(&b, eliciting || connection_is_client(c) ? pad_to : 0, now_us);
    if (len == 0) return 0;
    if (ack) ack_on_ack_sent(acks_of(c, space));
    if (eliciting && c->probes[space] > 0) c->probes[space]--;
    return len;
}

/* before: bytes of other packets in the same datagram. */
static size_t build_application(struct connection *c, uint8_t *data, size_t room, size_t before,
                                bool ack_only, uint64_t now_us)
{
    struct build b;
    bool probe = c->probes[2] > 0;
    if (probe && !streams_want_send(&c->base)) requeue_oldest(c, LOSS_APPLICATION);
    if (!begin(&b, c, LOSS_APPLICATION, data, room, now_us)) return 0;
    if (ack_is_pending(&c->ack_app) || ack_should_send(&c->ack_app, now_us))
        put_ack(&b, &c->ack_app, now_us);
    if (!ack_only) {
        put_connection(&b);
        put_streams(&b);
        if (c->ping_pending || (probe && !b.eliciting)) put_ping(&b);
    }
    bool ack = b.ack, eliciting = b.eliciting;
    /* RFC 9000 8.2.2: the answer shows that the path takes whole datagrams, as far as the address
     * may be sent one. */
    size_t len =
        end(&b, b.path_response && before < PACKET_DATAGRAM_MIN ? PACKET_DATAGRAM_MIN - before : 0,
            now_us);
    if (len == 0) return 0;
    if (ack) ack_on_ack_sent(&c->ack_app);
    if (eliciting) c->ping_pending = false;
    if (eliciting && probe) c->probes[2]--;
    return len;
}

/* Bytes that address validation allows (RFC 9000 8.1). */
static size_t allowed(const struct connection *c, size_t want)
{
    if (c->validated || connection_is_client(c)) return want;
    uint64_t max = 3 * c->bytes_in;
    uint64_t room = max > c->bytes_out ? max - c->bytes_out : 0;
    return room < want ? (size_t)room : want;
}

void conn_out_check_blocked(struct connection *c)
{
    bool blocked = allowed(c, PACKET_DATAGRAM_MIN) < PACKET_DATAGRAM_MIN;
    if (blocked && !c->blocked_amplification)
        metric_inc(connection_env(c)->metrics, METRIC_AMPLIFICATION_BLOCKED);
    c->blocked_amplification = blocked;
    loss_set_blocked(&c->loss, blocked);
}

/* Whether the window and the pacer let a packet with data go; sets when to try again. */
static bool paced(struct connection *c, uint64_t now_us)
{
    if (loss_window_room(&c->loss) < c->datagram_bytes) return false;
    uint64_t at = pacer_next_time(&c->pacer, now_us, c->datagram_bytes);
    if (at <= now_us) return true;
    uint64_t batch = pacer_next_time(&c->pacer, now_us, c->pacer.burst_bytes / 2);
    c->pace_us = batch > at ? batch : at; /* wake for half a bucket, not for each packet */
    return false;
}

static size_t one_handshake_datagram(struct connection *c, uint8_t *data, size_t cap,
                                     uint64_t now_us)
{
    bool initial = long_wants(c, LOSS_INITIAL, now_us),
         more = long_wants(c, LOSS_HANDSHAKE, now_us), ack_only;
    size_t room = allowed(c, cap < c->datagram_bytes ? cap : c->datagram_bytes), at = 0;
    bool eliciting_initial =
        initial && (connection_is_client(c) || crypto_waits(c, LOSS_INITIAL) || c->probes[0] > 0);
    size_t pad = eliciting_initial ? PACKET_DATAGRAM_MIN : 0;
    if (room < pad || room < 64) return 0;
    if (initial) at = build_long(c, LOSS_INITIAL, data, room, more ? 0 : pad, now_us);
    if (more)
        at += build_long(c, LOSS_HANDSHAKE, data + at, room - at, at > 0 && pad > at ? pad - at : 0,
                         now_us);
    if (!initial && c->has_write && room - at > 200 && application_wants(c, now_us, &ack_only) &&
        loss_window_room(&c->loss) >= c->datagram_bytes)
        at += build_application(c, data + at, room - at, at, ack_only, now_us);
    return at;
}

static size_t one_application_datagram(struct connection *c, uint8_t *data, size_t cap,
                                       uint64_t now_us)
{
    bool ack_only;
    size_t room = allowed(c, cap < c->datagram_bytes ? cap : c->datagram_bytes);
    if (room < c->datagram_bytes && room < 64) return 0;
    if (!application_wants(c, now_us, &ack_only)) {
        congestion_set_app_limited(&c->congestion, true);
        return 0;
    }
    if (!ack_only && c->probes[2] == 0 && !paced(c, now_us)) {
        congestion_set_app_limited(&c->congestion, false);
        if (!ack_should_send(&c->ack_app, now_us)) return 0;
        ack_only = true;
    }
    return build_application(c, data, room, 0, ack_only, now_us);
}

static size_t one_datagram(struct connection *c, uint8_t *data, size_t cap, uint64_t now_us)
{
    if (c->phase > QUIC_UP) return c->close_send ? conn_close_write(c, data, cap, now_us) : 0;
    if (c->hs != NULL &&
        (long_wants(c, LOSS_INITIAL, now_us) || long_wants(c, LOSS_HANDSHAKE, now_us)))
        return one_handshake_datagram(c, data, cap, now_us);
    return c->has_write ? one_application_datagram(c, data, cap, now_us) : 0;
}

size_t conn_out_datagrams(struct connection *c, uint8_t *data, size_t cap, size_t *segment,
                          uint64_t now_us)
{
    size_t at = 0;
    *segment = 0;
    c->now_us = now_us;
    for (unsigned i = 0; i < QUIC_BURST_SEGMENTS_MAX; i++) {
        size_t room = cap - at;
        if (i > 0 && room < *segment) break;
        size_t len = one_datagram(c, data + at, i == 0 ? room : *segment, now_us);
        if (len == 0) break;
        at += len;
        c->bytes_out += len;
        if (i == 0) *segment = len;
        /* A run has datagrams of one size, the last may be shorter; during the handshake each
         * leaves alone. */
        if (len < *segment || len < c->datagram_bytes || c->hs != NULL || c->phase > QUIC_UP) break;
    }
    bool ack_only;
    /* Nothing is left although window and pacer would have let it go: such a window has not proven
     * itself. */
    if (c->phase == QUIC_UP && !application_wants(c, now_us, &ack_only))
        congestion_set_app_limited(&c->congestion, true);
    conn_out_check_blocked(c);
    return at;
}
