/* SPDX-License-Identifier: MIT */
/* One packet: its header, its protection, its record.
 *
 * The payloads of a run are sealed one by one as they are built, the headers are masked in one pass
 * at the end: the mask needs another key and another function, and going back and forth costs more
 * than either. */
#include "quic/conn_build.h"
#include "base/assert.h"
#include <string.h>

enum { STALL_US = 25000 }; /* an ACK is as late as that anyway */

bool build_record(struct build *b, enum sent_kind kind, uint64_t id, uint64_t offset, uint64_t len,
                  bool fin)
{
    struct sent_frame f = {
        .kind = (uint8_t)kind, .fin = fin, .len = (uint32_t)len, .id = id, .offset = offset};
    b->eliciting = b->in_flight = true;
    return loss_packet_frame(&b->c->loss, b->space, &f);
}

bool build_may_record(const struct build *b)
{
    const struct sent *sent = &b->c->loss.spaces[b->space].sent;
    return sent->open_frames + 2 < sent->open_frames_max;
}

bool build_begin(struct build *b, struct connection *c, struct build_run *run,
                 enum loss_space_name space, const struct cid *cid, uint8_t *data, size_t room,
                 uint64_t now_us)
{
    static const enum packet_type types[] = {PACKET_INITIAL, PACKET_HANDSHAKE, PACKET_SHORT};
    memset(b, 0, sizeof *b);
    b->c = c;
    b->run = run;
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
        b->flags = run->flags;
        b->header_len = packet_write_short(&w, cid, false, key_phase_bit(&c->keys) != 0, b->number,
                                           b->number_size);
    } else {
        bool initial = b->type == PACKET_INITIAL && connection_is_client(c);
        b->header_len =
            packet_write_long(&w, b->type, PACKET_VERSION, cid, &c->local_cid,
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

static size_t seal_long(const struct build *b, size_t payload)
{
    const struct conn_handshake *hs = b->c->hs;
    struct protect_cipher cipher;
    protect_cipher_init(&cipher,
                        b->space == LOSS_INITIAL ? &hs->initial_write : &hs->adopted->write);
    packet_finish_long(b->packet, b->header_len, b->number_size, payload);
    size_t len = packet_seal(&cipher, b->packet, b->header_len, b->number, b->number_size, payload);
    protect_cipher_end(&cipher);
    return len;
}

static size_t seal_short(const struct build *b, size_t payload)
{
    struct build_run *run = b->run;
    if (!run->ready) protect_cipher_init(&run->cipher, &b->c->keys.write);
    run->ready = true;
    key_phase_on_sealed(&b->c->keys);
    if (b->ack) key_phase_on_ack_sent(&b->c->keys);
    WEIR_ASSERT(run->count < QUIC_BURST_SEGMENTS_MAX);
    run->unmasked[run->count].packet = b->packet;
    run->unmasked[run->count].header_len = (uint8_t)b->header_len;
    run->unmasked[run->count++].number_size = (uint8_t)b->number_size;
    return packet_seal_payload(&run->cipher, b->packet, b->header_len, b->number, b->number_size,
                               payload);
}

void build_run_end(struct build_run *run, struct connection *c)
{
    for (unsigned i = 0; i < run->count; i++)
        packet_protect_header(&c->keys.write, run->unmasked[i].packet, run->unmasked[i].header_len,
                              run->unmasked[i].number_size);
    if (run->ready) protect_cipher_end(&run->cipher);
    run->ready = false;
    run->count = 0;
}

static void account(const struct build *b, size_t len, uint64_t now_us)
{
    struct connection *c = b->c;
    uint32_t flags =
        (b->eliciting ? SENT_ACK_ELICITING : 0u) | (b->in_flight ? SENT_IN_FLIGHT : 0u);
    if (b->space == LOSS_APPLICATION && c->loss.spaces[b->space].eliciting_in_flight == 0)
        c->unanswered_us = now_us;
    if (b->aside) flags = 0; /* no sample, no loss, no time-out of the path in use */
    (void)loss_packet_sent(&c->loss, b->space, now_us, (uint32_t)len, flags | b->flags);
    c->packets_out++;
    metric_inc(connection_env(c)->metrics, METRIC_PACKETS_SENT);
    if (b->in_flight && !b->aside) pacer_on_sent(&c->pacer, now_us, len);
    if (!b->eliciting) return;
    if (!c->eliciting_since_receive) c->idle_base_us = now_us; /* RFC 9000 10.1 */
    c->eliciting_since_receive = true;
    c->eliciting_us = now_us;
    c->rested = false;
}

size_t build_end(struct build *b, size_t pad_to, uint64_t now_us)
{
    size_t payload = writer_len(&b->w);
    if (payload == 0) {
        loss_packet_cancel(&b->c->loss, b->space);
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
    size_t len = b->type == PACKET_SHORT ? seal_short(b, payload) : seal_long(b, payload);
    account(b, len, now_us);
    return len;
}
