/* SPDX-License-Identifier: MIT */
/* Frames into a packet: what a connection has to say, in the order of its worth. What may be
 * written was settled when the application wrote it (lane.h): nothing here asks flow control. */
#include "quic/conn_build.h"

void put_ack(struct build *b, struct ack_state *acks, uint64_t now_us)
{
    uint64_t largest;
    if (!ack_write(acks, &b->w, now_us, 3, &largest)) return;
    struct sent_frame f = {.kind = SENT_ACK, .offset = largest};
    (void)loss_packet_frame(&b->c->loss, b->space,
                            &f); /* kept only when something else makes the packet eliciting */
    b->ack = true;
}

void put_crypto(struct build *b, struct send_lane *lane)
{
    uint64_t offset, len;
    bool fin;
    while (build_may_record(b) && send_lane_next(lane, false, VARINT_MAX, &offset, &len, &fin)) {
        int64_t fits = frame_crypto_data_max(writer_room(&b->w), offset, len);
        if (fits <= 0) return;
        uint8_t *at = frame_reserve_crypto(&b->w, offset, (size_t)fits);
        ring_read(&lane->ring, offset, at, (size_t)fits);
        (void)send_lane_on_sent(lane, offset, (uint64_t)fits, false, connection_env(b->c)->mem);
        (void)build_record(b, SENT_CRYPTO, b->space, offset, (uint64_t)fits, false);
    }
}

void put_ping(struct build *b)
{
    if (!frame_write_ping(&b->w)) return;
    struct sent_frame f = {.kind = SENT_PING};
    b->eliciting = b->in_flight = true;
    (void)loss_packet_frame(&b->c->loss, b->space, &f);
}

void put_path(struct build *b, struct path *p)
{
    uint8_t data[PATH_CHALLENGE_LEN];
    if (p->response_wanted && frame_write_path_response(&b->w, p->response)) {
        p->response_wanted = false;
        b->whole = b->eliciting = b->in_flight = true; /* never repeated (RFC 9000 13.3) */
    }
    if (!p->challenge_wanted || !build_may_record(b)) return;
    entropy_fill(connection_env(b->c)->entropy, data, sizeof data);
    if (!frame_write_path_challenge(&b->w, data)) return;
    b->whole = true;
    (void)build_record(b, SENT_PATH_CHALLENGE, 0, 0, 0, false);
    /* Whether the datagram is whole depends on what the address may be sent. */
    conn_path_asked(b->c, p, data, path_allows(p, PACKET_DATAGRAM_MIN) < PACKET_DATAGRAM_MIN);
}

static void put_stream_control(struct build *b, struct stream *s)
{
    if (s->out.reset_pending && build_may_record(b) &&
        frame_write_reset_stream(&b->w, s->id, s->out.reset_code, s->out.sent)) {
        s->out.reset_pending = false;
        (void)build_record(b, SENT_RESET_STREAM, s->id, 0, 0, false);
    }
    if (s->in.stop_pending && build_may_record(b) &&
        frame_write_stop_sending(&b->w, s->id, s->in.stop_code)) {
        s->in.stop_pending = false;
        (void)build_record(b, SENT_STOP_SENDING, s->id, 0, 0, false);
    }
    if (s->in.credit_pending && build_may_record(b) &&
        frame_write_max_stream_data(&b->w, s->id, s->in.limit)) {
        s->in.credit_pending = false;
        (void)build_record(b, SENT_MAX_STREAM_DATA, s->id, s->in.limit, 0, false);
    }
}

/* @return bytes of the stream that were placed; 0: nothing fits or nothing is there */
static uint64_t put_stream_bytes(struct build *b, struct stream *s, bool whole)
{
    uint64_t offset, len;
    bool fin;
    if (!s->has_out || !build_may_record(b)) return 0;
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
    (void)build_record(b, SENT_STREAM, s->id, offset, (uint64_t)fits, fin);
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
        if (rest && (used == 0 || !build_may_record(b))) return; /* the packet is full */
    }
    put_held(b);
}

/* An unreliable datagram is the stream's id and its bytes (docs/wire.md 12.7). @return whether one
 * was placed */
static bool put_datagrams(struct build *b)
{
    struct connection *c = b->c;
    struct datagram_item *item;
    bool any = false;
    enum { HEAD_MAX = 1 + 2 + 8 }; /* as datagram_max of the transport counts it */
    while (writer_room(&b->w) > HEAD_MAX && build_may_record(b) &&
           (item = streams_next_datagram(&c->base, writer_room(&b->w) - HEAD_MAX)) != NULL) {
        size_t len = varint_size(item->stream) + item->len;
        uint8_t *at = frame_reserve_datagram(&b->w, len, true);
        if (at == NULL) break;
        struct writer w = writer_of(at, len);
        writer_varint(&w, item->stream);
        if (item->len > 0) writer_bytes(&w, item->bytes, item->len);
        streams_datagram_sent(&c->base, item);
        (void)build_record(b, SENT_DATAGRAM, 0, 0, 0, false);
        any = true;
    }
    return any;
}

void put_application(struct build *b)
{
    struct conn_streams *st = b->c->base.streams;
    bool both = st->datagrams_out.count > 0 && st->sched.waiting != 0;
    bool datagrams_first = !both || !st->datagrams_last, placed = false;
    if (datagrams_first && st->datagrams_out.count > 0) placed = put_datagrams(b);
    put_streams(b);
    if (!placed && st->datagrams_out.count > 0) placed = put_datagrams(b);
    /* One that needs a packet without acknowledgements has its turn in the next. */
    if (both) st->datagrams_last = datagrams_first && placed;
}

static void put_ids(struct build *b)
{
    struct connection *c = b->c;
    struct local_cid *l;
    uint8_t token[TOKEN_RESET_LEN];
    while (c->ids_to_tell && (l = conn_ids_next_told(c)) != NULL) {
        struct cid cid;
        (void)cid_set(&cid, l->bytes, sizeof l->bytes);
        endpoint_reset_token(c->owner, &cid, token);
        if (!build_may_record(b) ||
            !frame_write_new_connection_id(&b->w, l->sequence, 0, &cid, token))
            return;
        l->to_tell = false;
        l->told = true;
        (void)build_record(b, SENT_NEW_CONNECTION_ID, l->sequence, 0, 0, false);
    }
    for (; c->retire_count > 0; c->retire_count--) {
        uint64_t sequence = c->retire_queue[c->retire_count - 1];
        if (!build_may_record(b) || !frame_write_retire_connection_id(&b->w, sequence)) return;
        (void)build_record(b, SENT_RETIRE_CONNECTION_ID, sequence, 0, 0, false);
    }
}

static void put_frequency(struct build *b)
{
    struct connection *c = b->c;
    if (!c->frequency_pending || !build_may_record(b) ||
        !frame_write_ack_frequency(&b->w, &c->frequency))
        return;
    c->frequency_pending = false;
    (void)build_record(b, SENT_ACK_FREQUENCY, c->frequency.sequence++, 0, 0, false);
}

void put_connection(struct build *b)
{
    struct connection *c = b->c;
    struct conn_streams *st = c->base.streams;
    if (c->done_pending && build_may_record(b) && frame_write_handshake_done(&b->w)) {
        c->done_pending = false;
        (void)build_record(b, SENT_HANDSHAKE_DONE, 0, 0, 0, false);
    }
    put_path(b, &c->path);
    put_ids(b);
    put_frequency(b);
    if (st->credit_pending && build_may_record(b) &&
        frame_write_max_data(&b->w, st->receive_limit)) {
        st->credit_pending = false;
        (void)build_record(b, SENT_MAX_DATA, 0, st->receive_limit, 0, false);
    }
    for (unsigned uni = 0; uni < 2; uni++) {
        if (!st->accept_pending[uni] || !build_may_record(b) ||
            !frame_write_max_streams(&b->w, uni != 0, st->accept_max[uni]))
            continue;
        st->accept_pending[uni] = false;
        (void)build_record(b, uni != 0 ? SENT_MAX_STREAMS_UNI : SENT_MAX_STREAMS_BIDI, 0,
                           st->accept_max[uni], 0, false);
    }
}
