/* SPDX-License-Identifier: MIT */
/* How a connection ends (RFC 9000 section 10).
 *
 * Closing keeps the keys and the one packet's content for three PTO and answers at the 1st, 2nd,
 * 4th, 8th ... packet that still comes. Draining is silent for as long. Node is told at once and
 * may let go at once: what remains until the timer is the transport's own. */
#include "base/assert.h"
#include "quic/connection.h"
#include <string.h>

/* A peer that acknowledges late makes the round trip as long as it likes, and what is closed counts
 * against no limit of peers: three PTO of a path that is real fit in here. */
enum { CLOSE_MAX_US = 10000000 };

static void enter(struct connection *c, enum quic_phase phase, uint64_t now_us)
{
    const struct transport_env *env = connection_env(c);
    if (c->phase == QUIC_UP)
        metric_dec(env->metrics, METRIC_CONNECTIONS_OPEN);
    else
        metric_inc(env->metrics, METRIC_HANDSHAKES_FAILED);
    if (!c->confirmed && !connection_is_client(c)) endpoint_half_open_end(c->owner, c);
    uint64_t period_us = 3 * rtt_pto_us(&c->rtt, c->loss.max_ack_delay_us);
    c->close_us = now_us + (period_us < CLOSE_MAX_US ? period_us : CLOSE_MAX_US);
    c->phase = (uint8_t)phase;
    c->pace_us = 0;
    for (int space = 0; space < LOSS_SPACES; space++)
        c->close_numbers[space] = loss_next_number(&c->loss, (enum loss_space_name)space);
    /* Nothing in flight matters any more; sent records are the largest part of what is left. */
    loss_free(&c->loss);
}

static void tell(struct connection *c, enum conn_end_by by, int error, uint32_t reason,
                 const void *text, size_t len, uint64_t now_us)
{
    static const enum metric counters[] = {[CONN_END_LOCAL] = METRIC_CONNECTIONS_CLOSED_LOCAL,
                                           [CONN_END_REMOTE] = METRIC_CONNECTIONS_CLOSED_REMOTE,
                                           [CONN_END_TIMEOUT] = METRIC_CONNECTIONS_TIMED_OUT,
                                           [CONN_END_RESET] = METRIC_CONNECTIONS_CLOSED_REMOTE,
                                           [CONN_END_HANDSHAKE] = METRIC_CONNECTIONS_CLOSED_LOCAL};
    metric_inc(connection_env(c)->metrics, counters[by]);
    if (c->is_known)
        (void)conn_ended(&c->base, by, error, reason, text, len, now_us);
    else
        c->base.state = CONN_OVER; /* node never heard of it */
}

void conn_close_silent(struct connection *c, enum conn_end_by by, int error, uint32_t reason,
                       const char *text, uint64_t now_us)
{
    if (c->phase > QUIC_UP) return;
    enter(c, QUIC_DRAINING, now_us);
    c->close_us = now_us; /* nothing will come that deserves an answer */
    tell(c, by, error, reason, text, text == NULL ? 0 : strlen(text), now_us);
}

enum { CLOSE_TEXT_MAX = 120 };

static void close_with(struct connection *c, bool application, uint64_t code, uint64_t frame_type,
                       const char *text, size_t len, uint64_t now_us)
{
    bool has_keys =
        c->has_write || (c->hs != NULL && (c->hs->has_initial || c->hs->adopted != NULL));
    enter(c, has_keys ? QUIC_CLOSING : QUIC_DRAINING, now_us);
    c->close_application = application;
    c->close_code = code;
    c->close_frame_type = frame_type;
    if (len > CLOSE_TEXT_MAX) len = CLOSE_TEXT_MAX;
    if (len > 0) c->close_text = mem_alloc(connection_env(c)->mem, len);
    if (c->close_text != NULL) { /* without memory the code alone has to do */
        memcpy(c->close_text, text, len);
        c->close_text_len = (uint8_t)len;
    }
    c->close_send = has_keys;
    c->close_next = 1;
}

void conn_close_application(struct connection *c, uint32_t reason, const char *text,
                            size_t text_len, uint64_t now_us)
{
    if (c->phase > QUIC_UP) return;
    if (c->phase == QUIC_HANDSHAKING) {
        /* Nobody is authenticated: there is nobody to tell. */
        conn_close_silent(c, CONN_END_LOCAL, 0, reason, NULL, now_us);
        return;
    }
    close_with(c, true, reason, 0, text, text_len, now_us);
    tell(c, CONN_END_LOCAL, 0, reason, text, text_len, now_us);
}

void conn_close_transport(struct connection *c, uint64_t code, uint64_t frame_type,
                          const char *text, uint64_t now_us)
{
    if (c->phase > QUIC_UP) return;
    bool identity = c->is_stranger && !c->has_write;
    bool auth = code >= 0x100 || c->phase == QUIC_HANDSHAKING;
    int error = identity                ? WEIR_E_IDENTITY
                : auth                  ? WEIR_E_HANDSHAKE
                : code == QUIC_INTERNAL ? WEIR_E_MEMORY
                                        : WEIR_E_PROTOCOL;
    uint32_t reason = identity ? WEIR_REASON_IDENTITY : REASON_TRANSPORT(code);
    log_write(connection_env(c)->log, now_us, LOG_DEBUG,
              "closing a connection with transport error 0x%llx, frame 0x%llx",
              (unsigned long long)code, (unsigned long long)frame_type);
    close_with(c, false, code, frame_type, text, text == NULL ? 0 : strlen(text), now_us);
    tell(c, CONN_END_LOCAL, error, reason, text, text == NULL ? 0 : strlen(text), now_us);
}

void conn_close_on_frame(struct connection *c, enum packet_type type, const struct frame_close *f,
                         uint64_t now_us)
{
    uint64_t code = f->code > 0xfffffff && !f->application ? 0xfffffff : f->code;
    uint32_t reason =
        f->application ? (code > UINT32_MAX ? UINT32_MAX : (uint32_t)code) : REASON_TRANSPORT(code);
    int error = WEIR_E_PEER_CLOSED;
    if (reason == WEIR_REASON_REFUSED || reason == WEIR_REASON_NETWORK ||
        reason == WEIR_REASON_FULL || reason == REASON_TRANSPORT(QUIC_CONNECTION_REFUSED))
        error = WEIR_E_REFUSED;
    if (type == PACKET_HANDSHAKE) error = WEIR_E_HANDSHAKE;
    enter(c, QUIC_DRAINING, now_us);
    tell(c, CONN_END_REMOTE, error, reason, f->reason,
         (size_t)(f->reason_len > 120 ? 120 : f->reason_len), now_us);
}

void conn_close_received(struct connection *c)
{
    if (c->phase != QUIC_CLOSING) return;
    if (++c->close_received < c->close_next) return;
    c->close_next *= 2;
    if (c->close_next == 0) c->close_next = UINT32_MAX;
    c->close_send = true;
}

/* One closing packet. In Initial and Handshake packets an application's reason is not shown (RFC
 * 9000 10.2.3). */
static const size_t CLOSE_ROOM = 1 + 8 + 8 + 2; /* the frame around the text, which goes first */

static size_t write_one(struct connection *c, enum loss_space_name space, uint8_t *data, size_t cap,
                        size_t pad_to, uint64_t now_us)
{
    struct writer w = writer_of(data, cap);
    uint64_t number = c->close_numbers[space]++;
    const struct protect_keys *keys = space == LOSS_APPLICATION ? &c->keys.write
                                      : space == LOSS_INITIAL   ? &c->hs->initial_write
                                                                : &c->hs->adopted->write;
    size_t header =
        space == LOSS_APPLICATION
            ? packet_write_short(&w, &c->remote_cid, false, key_phase_bit(&c->keys) != 0, number, 4)
            : packet_write_long(&w, space == LOSS_INITIAL ? PACKET_INITIAL : PACKET_HANDSHAKE,
                                PACKET_VERSION, &c->remote_cid, &c->local_cid, NULL, 0, number, 4);
    if (header == 0 || writer_room(&w) < PACKET_TAG_LEN + 32) return 0;
    struct writer payload = writer_of(data + header, writer_room(&w) - PACKET_TAG_LEN);
    bool open = space == LOSS_APPLICATION;
    uint64_t largest;
    /* What was delivered shall not look lost to its writer, now that nothing else will say so. */
    if (open && writer_room(&payload) >= 400 && ack_is_pending(&c->ack_app))
        (void)ack_write(&c->ack_app, &payload, now_us, 3, &largest);
    uint64_t code = !open && c->close_application ? QUIC_APPLICATION_ERROR : c->close_code;
    bool with_text = open && writer_room(&payload) >= CLOSE_ROOM + (size_t)c->close_text_len;
    if (!frame_write_close(&payload, open && c->close_application, code,
                           open ? c->close_frame_type : 0, (const uint8_t *)c->close_text,
                           with_text ? c->close_text_len : 0))
        return 0;
    size_t least = pad_to > header + PACKET_TAG_LEN ? pad_to - header - PACKET_TAG_LEN : 0;
    if (writer_len(&payload) < least && least - writer_len(&payload) <= writer_room(&payload))
        (void)frame_write_padding(&payload, least - writer_len(&payload));
    if (space != LOSS_APPLICATION) packet_finish_long(data, header, 4, writer_len(&payload));
    metric_inc(connection_env(c)->metrics, METRIC_PACKETS_SENT);
    struct protect_cipher cipher;
    protect_cipher_init(&cipher, keys);
    size_t len = packet_seal(&cipher, data, header, number, 4, writer_len(&payload));
    protect_cipher_end(&cipher);
    return len;
}

size_t conn_close_write(struct connection *c, uint8_t *data, size_t cap, uint64_t now_us)
{
    size_t at = 0;
    c->close_send = false;
    if (cap > c->datagram_bytes) cap = c->datagram_bytes;
    cap = path_allows(&c->path, cap);
    if (c->hs != NULL && c->hs->has_initial && !c->has_write)
        at = write_one(c, LOSS_INITIAL, data, cap,
                       connection_is_client(c) ? PACKET_DATAGRAM_MIN : 0, now_us);
    if (c->hs != NULL && c->hs->adopted != NULL && c->hs->adopted->has_keys)
        at += write_one(c, LOSS_HANDSHAKE, data + at, cap - at, 0, now_us);
    if (c->has_write) at += write_one(c, LOSS_APPLICATION, data + at, cap - at, 0, now_us);
    return at;
}
