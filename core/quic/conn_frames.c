/* SPDX-License-Identifier: MIT */
/* What frames mean. One packet's payload at a time; every frame is checked against the packet type
 * (RFC 9000 12.4) and the role before it does anything. All frames are idempotent: a packet that is
 * dropped half-way (CONN_DROP) is not acknowledged and comes again. */
#include "base/assert.h"
#include "quic/connection.h"
#include <string.h>

/* From streams_on_frame's and receive lanes' results to transport errors. */
static int lookup_error(int result)
{
    switch (result) {
    case STREAMS_FOUND: return 0;
    case STREAMS_GONE: return 0;
    case STREAMS_LIMIT_ERROR: return QUIC_STREAM_LIMIT;
    case STREAMS_STATE_ERROR: return QUIC_STREAM_STATE;
    default: return CONN_DROP;
    }
}

static int receive_error(int result)
{
    switch (result) {
    case RECEIVE_OK: return 0;
    case RECEIVE_FLOW_ERROR: return QUIC_FLOW_CONTROL;
    case RECEIVE_SIZE_ERROR: return QUIC_FINAL_SIZE;
    default: return CONN_DROP;
    }
}

static int on_stream(struct connection *c, const struct frame_stream *f, uint64_t now_us)
{
    struct stream *s;
    int found = streams_on_frame(&c->base, f->id, true, now_us, &s);
    if (found != STREAMS_FOUND) return lookup_error(found);
    int error = receive_error(streams_on_data(s, f->offset, f->data, (size_t)f->len, f->fin));
    /* Bytes that nobody will read count as consumed at once. */
    if (error == 0 && s->in.stopped) streams_update_credit(s, c->rtt.smoothed_us, now_us);
    return error;
}

static int on_reset_stream(struct connection *c, const struct frame *f, uint64_t now_us)
{
    struct stream *s;
    int found = streams_on_frame(&c->base, f->u.reset_stream.id, true, now_us, &s);
    if (found != STREAMS_FOUND) return lookup_error(found);
    uint64_t code = f->u.reset_stream.code;
    int error = receive_error(streams_on_reset(s, code > UINT32_MAX ? UINT32_MAX : (uint32_t)code,
                                               f->u.reset_stream.final_size));
    if (error == 0) streams_update_credit(s, c->rtt.smoothed_us, now_us);
    return error;
}

static int on_stop_sending(struct connection *c, const struct frame *f, uint64_t now_us)
{
    struct stream *s;
    int found = streams_on_frame(&c->base, f->u.stop_sending.id, false, now_us, &s);
    if (found != STREAMS_FOUND) return lookup_error(found);
    uint64_t code = f->u.stop_sending.code;
    streams_on_stop(s, code > UINT32_MAX ? UINT32_MAX : (uint32_t)code, now_us);
    return 0;
}

static int on_max_stream_data(struct connection *c, const struct frame *f, uint64_t now_us)
{
    struct stream *s;
    int found = streams_on_frame(&c->base, f->u.max_stream_data.id, false, now_us, &s);
    if (found == STREAMS_FOUND) streams_on_stream_credit(s, f->u.max_stream_data.max, now_us);
    return lookup_error(found);
}

static int on_stream_data_blocked(struct connection *c, const struct frame *f, uint64_t now_us)
{
    struct stream *s;
    return lookup_error(streams_on_frame(&c->base, f->u.stream_data_blocked.id, true, now_us, &s));
}

static int on_handshake_done(struct connection *c, uint64_t now_us)
{
    if (!connection_is_client(c)) return QUIC_PROTOCOL_VIOLATION;
    conn_handshake_confirm(c, now_us);
    return 0;
}

static int on_ack(struct connection *c, enum packet_type type, const struct frame_ack *f,
                  struct candidate *from, uint64_t now_us)
{
    static const enum loss_space_name spaces[] = {[PACKET_INITIAL] = LOSS_INITIAL,
                                                  [PACKET_HANDSHAKE] = LOSS_HANDSHAKE,
                                                  [PACKET_SHORT] = LOSS_APPLICATION};
    enum loss_space_name space = spaces[type];
    if (type != PACKET_SHORT && connection_is_client(c) && c->hs != NULL &&
        from != c->hs->adopted) {
        /* wire.md 5.5: acknowledgements count for their candidate only: a sample, and nothing is
         * taken as delivered. */
        const struct sent_packet *p = sent_get(&c->loss.spaces[space].sent, f->largest);
        if (p == NULL || type != PACKET_INITIAL) return CONN_DROP;
        if (from->sample_us == 0) from->sample_us = now_us - p->time_us;
        return 0;
    }
    return conn_loss_on_ack(c, space, f, now_us);
}

static int on_close(struct connection *c, enum packet_type type, const struct frame_close *f,
                    struct candidate *from, uint64_t now_us)
{
    if (type == PACKET_INITIAL) {
        /* wire.md 10.1: a hint. A server ignores it; a client believes it when nobody better
         * answers within one PTO. */
        if (connection_is_client(c) && c->hs != NULL && c->hs->refused_us == 0) {
            c->hs->refused_us = now_us + rtt_pto_us(&c->rtt, 0);
            c->hs->refused_code = f->code;
        }
        return connection_is_client(c) ? 0 : CONN_DROP;
    }
    if (type == PACKET_HANDSHAKE && connection_is_client(c) && from != c->hs->adopted)
        return CONN_DROP;
    conn_close_on_frame(c, type, f, now_us);
    return 0;
}

/* docs/wire.md 12.7: the stream's id, then the bytes. */
static int on_datagram(struct connection *c, const uint8_t *data, size_t bytes)
{
    struct reader r = reader_of(data, bytes);
    if (connection_env(c)->datagrams_off)
        return QUIC_PROTOCOL_VIOLATION; /* RFC 9221 3: we announced no size for them */
    uint64_t id = reader_varint(&r);
    if (r.failed) return QUIC_FRAME_ENCODING;
    size_t len = reader_left(&r);
    streams_on_datagram(&c->base, id, reader_bytes(&r, len), len);
    return 0;
}

/* Frames that concern streams and the application, only in 1-RTT packets. */
static int application(struct connection *c, const struct frame *f, uint64_t now_us)
{
    /* long: one switch */
    switch (f->type) {
    case FRAME_RESET_STREAM: return on_reset_stream(c, f, now_us);
    case FRAME_STOP_SENDING: return on_stop_sending(c, f, now_us);
    case FRAME_MAX_DATA:
        if (f->u.max_data.max > c->max_data) c->max_data = f->u.max_data.max;
        return 0;
    case FRAME_MAX_STREAM_DATA: return on_max_stream_data(c, f, now_us);
    case FRAME_MAX_STREAMS_BIDI:
    case FRAME_MAX_STREAMS_UNI:
        streams_on_count_credit(&c->base, f->u.max_streams.uni, f->u.max_streams.max);
        return 0;
    case FRAME_DATA_BLOCKED:
    case FRAME_STREAMS_BLOCKED_BIDI:
    case FRAME_STREAMS_BLOCKED_UNI: return 0; /* we never wait for these */
    case FRAME_STREAM_DATA_BLOCKED: return on_stream_data_blocked(c, f, now_us);
    case FRAME_NEW_CONNECTION_ID: return conn_ids_on_new(c, &f->u.new_connection_id);
    case FRAME_RETIRE_CONNECTION_ID:
        return conn_ids_on_retire(c, f->u.retire_connection_id.sequence);
    case FRAME_NEW_TOKEN: return connection_is_client(c) ? 0 : QUIC_PROTOCOL_VIOLATION;
    case FRAME_HANDSHAKE_DONE: return on_handshake_done(c, now_us);
    case FRAME_PATH_CHALLENGE: conn_path_on_challenge(c, f->u.path.data); return 0;
    case FRAME_PATH_RESPONSE: return conn_path_on_response(c, f->u.path.data);
    case FRAME_DATAGRAM:
    case FRAME_DATAGRAM_LEN: return on_datagram(c, f->u.datagram.data, (size_t)f->u.datagram.len);
    case FRAME_IMMEDIATE_ACK: ack_on_immediate(&c->ack_app); return 0;
    case FRAME_ACK_FREQUENCY:
        return ack_set_frequency(&c->ack_app, &f->u.ack_frequency, CONN_MIN_ACK_DELAY_US);
    default: break;
    }
    return frame_is_stream(f->type) ? on_stream(c, &f->u.stream, now_us) : QUIC_FRAME_ENCODING;
}

static int one(struct connection *c, enum packet_type type, const struct frame *f,
               struct candidate *from, uint64_t now_us)
{
    switch (f->type) {
    case FRAME_PADDING:
    case FRAME_PING: return 0;
    case FRAME_ACK:
    case FRAME_ACK_ECN: return on_ack(c, type, &f->u.ack, from, now_us);
    case FRAME_CRYPTO:
        if (type == PACKET_SHORT)
            return QUIC_PROTOCOL_VIOLATION; /* Noise has nothing to say after the handshake */
        return conn_handshake_crypto(
            c, from, type == PACKET_INITIAL ? HANDSHAKE_INITIAL : HANDSHAKE_HANDSHAKE, &f->u.crypto,
            now_us);
    case FRAME_CLOSE:
    case FRAME_CLOSE_APPLICATION: return on_close(c, type, &f->u.close, from, now_us);
    default: return application(c, f, now_us);
    }
}

/* Each costs a search for buffers that rest. */
enum { REFUSED_MAX = 4 };

static int process_all(struct connection *c, enum packet_type type, const uint8_t *payload,
                       size_t len, struct candidate *from, bool *eliciting, uint64_t *frame_type,
                       uint64_t now_us)
{
    struct reader r = reader_of(payload, len);
    unsigned refused = 0;
    *eliciting = false;
    *frame_type = 0;
    if (len == 0) return QUIC_PROTOCOL_VIOLATION; /* RFC 9000 12.4 */
    while (reader_left(&r) > 0) {
        struct frame f;
        int error = frame_read(&r, &f);
        *frame_type = f.type;
        if (error != 0) return error;
        if (!frame_allowed(f.type, type)) return QUIC_PROTOCOL_VIOLATION;
        if (frame_is_ack_eliciting(f.type)) *eliciting = true;
        if (!frame_is_probing(f.type)) c->probing_only = false;
        error = one(c, type, &f, from, now_us);
        /* No room for a stream's bytes: the packet comes again, but what else it holds may be what
         * makes room, such as the missing piece of another stream. */
        if (error == CONN_DROP && frame_is_stream(f.type) && ++refused <= REFUSED_MAX) continue;
        if (error != 0) return error;
        if (c->phase > QUIC_UP) return 0; /* it closed: the rest does not matter */
        if (type != PACKET_SHORT && c->hs == NULL)
            return 0; /* it completed the handshake, and with it this space */
    }
    return refused > 0 ? CONN_DROP : 0;
}

int conn_frames_process(struct connection *c, enum packet_type type, const uint8_t *payload,
                        size_t len, struct candidate *from, bool *eliciting, uint64_t *frame_type,
                        uint64_t now_us)
{
    int result = process_all(c, type, payload, len, from, eliciting, frame_type, now_us);
    /* Once per packet: each rise looks at every writer that waits, and a packet holds 200 of them.
     */
    if (c->max_data > 0 && c->phase == QUIC_UP)
        streams_on_connection_credit(&c->base, c->max_data, now_us);
    c->max_data = 0;
    return result;
}
