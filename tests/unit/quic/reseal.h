/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_UNIT_QUIC_RESEAL_H
#define WEIR_TESTS_UNIT_QUIC_RESEAL_H
/* What an authenticated but hostile peer can send: any frames, sealed with the real keys of one
 * side of a pair under its own next packet number; and what the other side answers, opened
 * again. */
#include "pair.h"
#include "quic/connection.h"

static inline struct connection *reseal_side(struct pair *p, int i)
{
    return connection_of(p->side[i].conn);
}

/* The only connection of a side, known to node or not. */
static inline struct connection *reseal_only(struct pair *p, int i)
{
    struct connection *c =
        list_first(&endpoint_of(p->side[i].transport)->all, struct connection, all_link);
    assert_non_null(c);
    return c;
}

/* Seal payload as a packet of from's; spoil: bits set in the first byte before it is sealed.
 * @return bytes */
static inline size_t reseal_packet(struct connection *from, enum packet_type type,
                                   const uint8_t *payload, size_t len, uint8_t spoil,
                                   uint64_t now_us, uint8_t *out, size_t cap)
{
    enum loss_space_name space = type == PACKET_SHORT     ? LOSS_APPLICATION
                                 : type == PACKET_INITIAL ? LOSS_INITIAL
                                                          : LOSS_HANDSHAKE;
    const struct protect_keys *keys = type == PACKET_SHORT     ? &from->keys.write
                                      : type == PACKET_INITIAL ? &from->hs->initial_write
                                                               : &from->hs->adopted->write;
    struct writer w = writer_of(out, cap);
    /* Recorded as sent: an acknowledgement of it is no violation. */
    assert_int_equal(loss_packet_begin(&from->loss, space, NULL), 0);
    uint64_t number = loss_next_number(&from->loss, space);
    size_t header = type == PACKET_SHORT
                        ? packet_write_short(&w, &from->remote_cid, false, false, number, 4)
                        : packet_write_long(&w, type, PACKET_VERSION, &from->remote_cid,
                                            &from->local_cid, NULL, 0, number, 4);
    assert_true(header > 0 && header + len + PACKET_TAG_LEN <= cap);
    if (len > 0)
        memcpy(out + header, payload, len);
    if (type == PACKET_INITIAL && header + len + PACKET_TAG_LEN < 1200) {
        memset(out + header + len, 0, 1200 - header - len - PACKET_TAG_LEN);
        len = 1200 - header - PACKET_TAG_LEN;
    }
    if (type != PACKET_SHORT)
        packet_finish_long(out, header, 4, len);
    out[0] |= spoil;
    struct protect_cipher cipher;
    protect_cipher_init(&cipher, keys);
    size_t total = packet_seal(&cipher, out, header, number, 4, len);
    protect_cipher_end(&cipher);
    (void)loss_packet_sent(&from->loss, space, now_us, (uint32_t)total,
                           SENT_ACK_ELICITING | SENT_IN_FLIGHT);
    return total;
}

/* The other side of `from` receives these frames now. */
static inline void reseal_give(struct pair *p, int from, enum packet_type type,
                               const uint8_t *payload, size_t len)
{
    uint8_t out[2048];
    size_t total =
        reseal_packet(reseal_only(p, from), type, payload, len, 0, p->now_us, out, sizeof out);
    pair_inject(p, 1 - from, &p->side[from].address, out, total);
}

/* Calls seen for each frame of each 1-RTT packet in a datagram that goes to side `to`. The
 * datagram is not changed. */
static inline void reseal_open(struct pair *p, int to, const uint8_t *bytes, size_t len,
                               void (*seen)(void *context, const struct frame *f), void *context)
{
    static uint8_t copy[65536];
    struct connection *c = reseal_only(p, to);
    memcpy(copy, bytes, len);
    for (size_t at = 0; at < len;) {
        struct packet_header h;
        uint64_t number;
        uint8_t *payload, first;
        size_t payload_len;
        struct frame f;
        struct protect_cipher cipher;
        if (packet_parse(copy + at, len - at, &h) != 0 || !c->has_read)
            return;
        protect_cipher_init(&cipher, &c->keys.read);
        if (h.type == PACKET_SHORT &&
            packet_open(&cipher, copy + at, &h, c->largest[2], &number, &payload, &payload_len,
                        &first) == 0) {
            struct reader r = reader_of(payload, payload_len);
            while (reader_left(&r) > 0 && frame_read(&r, &f) == 0)
                seen(context, &f);
        }
        at += h.packet_len;
    }
}
#endif
