/* SPDX-License-Identifier: MIT */
#include "quic/frame.h"

#include "base/assert.h"

static int read_ack(struct reader *r, struct frame_ack *ack)
{
    ack->largest = reader_varint(r);
    ack->delay = reader_varint(r);
    ack->range_count = reader_varint(r);
    ack->first_range = reader_varint(r);
    if (r->failed || ack->first_range > ack->largest) return QUIC_FRAME_ENCODING;
    uint64_t smallest = ack->largest - ack->first_range;
    ack->ranges = r->at;
    /* The count is a claim; each round takes at least two bytes, so the packet's end bounds it. */
    for (uint64_t i = 0; i < ack->range_count; i++) {
        uint64_t gap = reader_varint(r);
        uint64_t len = reader_varint(r);
        if (r->failed || smallest < gap + 2) return QUIC_FRAME_ENCODING;
        if (smallest - gap - 2 < len) return QUIC_FRAME_ENCODING;
        smallest = smallest - gap - 2 - len;
    }
    ack->ranges_len = (size_t)(r->at - ack->ranges);
    ack->ect0 = ack->has_ecn ? reader_varint(r) : 0;
    ack->ect1 = ack->has_ecn ? reader_varint(r) : 0;
    ack->ce = ack->has_ecn ? reader_varint(r) : 0;
    return QUIC_NO_ERROR;
}

static int read_crypto(struct reader *r, struct frame_crypto *crypto)
{
    crypto->offset = reader_varint(r);
    crypto->len = reader_varint(r);
    crypto->data = reader_bytes(r, crypto->len);
    return crypto->offset > VARINT_MAX - crypto->len ? QUIC_FRAME_ENCODING : QUIC_NO_ERROR;
}

static int read_stream(struct reader *r, uint64_t type, struct frame_stream *stream)
{
    stream->id = reader_varint(r);
    stream->offset = (type & FRAME_STREAM_OFF) != 0 ? reader_varint(r) : 0;
    stream->len = (type & FRAME_STREAM_LEN) != 0 ? reader_varint(r) : reader_left(r);
    stream->data = reader_bytes(r, stream->len);
    stream->fin = (type & FRAME_STREAM_FIN) != 0;
    return stream->offset > VARINT_MAX - stream->len ? QUIC_FRAME_ENCODING : QUIC_NO_ERROR;
}

static int read_new_connection_id(struct reader *r, struct frame_new_connection_id *out)
{
    out->sequence = reader_varint(r);
    out->retire_prior_to = reader_varint(r);
    uint8_t len = reader_u8(r);
    if (len == 0 || len > CID_MAX) return QUIC_FRAME_ENCODING;
    const uint8_t *id = reader_bytes(r, len);
    const uint8_t *token = reader_bytes(r, sizeof out->reset_token);
    if (r->failed || out->retire_prior_to > out->sequence) return QUIC_FRAME_ENCODING;
    (void)cid_set(&out->cid, id, len);
    memcpy(out->reset_token, token, sizeof out->reset_token);
    return QUIC_NO_ERROR;
}

static int read_path(struct reader *r, uint8_t data[8])
{
    const uint8_t *bytes = reader_bytes(r, 8);
    if (bytes == NULL) return QUIC_FRAME_ENCODING;
    memcpy(data, bytes, 8);
    return QUIC_NO_ERROR;
}

static void read_close(struct reader *r, bool application, struct frame_close *close)
{
    close->application = application;
    close->code = reader_varint(r);
    close->frame_type = application ? 0 : reader_varint(r);
    close->reason_len = reader_varint(r);
    close->reason = reader_bytes(r, close->reason_len);
}

/* One frame per byte would make a padded packet of 1200 bytes cost 1200 rounds of its reader. */
static void read_padding(struct reader *r, struct frame *out)
{
    const uint8_t *start = r->at;
    while (r->at < r->end && *r->at == FRAME_PADDING) r->at++;
    out->u.padding.len = 1 + (uint64_t)(r->at - start);
}

static int read_body(struct reader *r, struct frame *out)
{
    /* long: one switch */
    switch (out->type) {
    case FRAME_PADDING: read_padding(r, out); return QUIC_NO_ERROR;
    case FRAME_PING:
    case FRAME_IMMEDIATE_ACK:
    case FRAME_HANDSHAKE_DONE: return QUIC_NO_ERROR;
    case FRAME_ACK:
    case FRAME_ACK_ECN:
        out->u.ack.has_ecn = out->type == FRAME_ACK_ECN;
        return read_ack(r, &out->u.ack);
    case FRAME_RESET_STREAM:
        out->u.reset_stream.id = reader_varint(r);
        out->u.reset_stream.code = reader_varint(r);
        out->u.reset_stream.final_size = reader_varint(r);
        return QUIC_NO_ERROR;
    case FRAME_STOP_SENDING:
        out->u.stop_sending.id = reader_varint(r);
        out->u.stop_sending.code = reader_varint(r);
        return QUIC_NO_ERROR;
    case FRAME_CRYPTO: return read_crypto(r, &out->u.crypto);
    case FRAME_NEW_TOKEN:
        out->u.new_token.len = reader_varint(r);
        out->u.new_token.data = reader_bytes(r, out->u.new_token.len);
        return out->u.new_token.len == 0 ? QUIC_FRAME_ENCODING : QUIC_NO_ERROR;
    case FRAME_MAX_DATA: out->u.max_data.max = reader_varint(r); return QUIC_NO_ERROR;
    case FRAME_MAX_STREAM_DATA:
        out->u.max_stream_data.id = reader_varint(r);
        out->u.max_stream_data.max = reader_varint(r);
        return QUIC_NO_ERROR;
    case FRAME_MAX_STREAMS_BIDI:
    case FRAME_MAX_STREAMS_UNI:
        out->u.max_streams.uni = out->type == FRAME_MAX_STREAMS_UNI;
        out->u.max_streams.max = reader_varint(r);
        return out->u.max_streams.max > FRAME_STREAMS_MAX ? QUIC_FRAME_ENCODING : QUIC_NO_ERROR;
    case FRAME_DATA_BLOCKED: out->u.data_blocked.max = reader_varint(r); return QUIC_NO_ERROR;
    case FRAME_STREAM_DATA_BLOCKED:
        out->u.stream_data_blocked.id = reader_varint(r);
        out->u.stream_data_blocked.max = reader_varint(r);
        return QUIC_NO_ERROR;
    case FRAME_STREAMS_BLOCKED_BIDI:
    case FRAME_STREAMS_BLOCKED_UNI:
        out->u.streams_blocked.uni = out->type == FRAME_STREAMS_BLOCKED_UNI;
        out->u.streams_blocked.max = reader_varint(r);
        return out->u.streams_blocked.max > FRAME_STREAMS_MAX ? QUIC_FRAME_ENCODING : QUIC_NO_ERROR;
    case FRAME_NEW_CONNECTION_ID: return read_new_connection_id(r, &out->u.new_connection_id);
    case FRAME_RETIRE_CONNECTION_ID:
        out->u.retire_connection_id.sequence = reader_varint(r);
        return QUIC_NO_ERROR;
    case FRAME_PATH_CHALLENGE:
    case FRAME_PATH_RESPONSE: return read_path(r, out->u.path.data);
    case FRAME_CLOSE:
    case FRAME_CLOSE_APPLICATION:
        read_close(r, out->type == FRAME_CLOSE_APPLICATION, &out->u.close);
        return QUIC_NO_ERROR;
    case FRAME_DATAGRAM:
    case FRAME_DATAGRAM_LEN:
        out->u.datagram.len = out->type == FRAME_DATAGRAM_LEN ? reader_varint(r) : reader_left(r);
        out->u.datagram.data = reader_bytes(r, out->u.datagram.len);
        return QUIC_NO_ERROR;
    case FRAME_ACK_FREQUENCY:
        out->u.ack_frequency.sequence = reader_varint(r);
        out->u.ack_frequency.threshold = reader_varint(r);
        out->u.ack_frequency.max_delay_us = reader_varint(r);
        out->u.ack_frequency.reordering = reader_varint(r);
        return QUIC_NO_ERROR;
    default:
        if (frame_is_stream(out->type)) return read_stream(r, out->type, &out->u.stream);
        return QUIC_FRAME_ENCODING;
    }
}

int frame_read(struct reader *r, struct frame *out)
{
    const uint8_t *start = r->at;
    out->type = reader_varint(r);
    if (r->failed) return QUIC_FRAME_ENCODING;
    if ((size_t)(r->at - start) != varint_size(out->type)) return QUIC_PROTOCOL_VIOLATION;
    int error = read_body(r, out);
    if (error != QUIC_NO_ERROR) return error;
    return r->failed ? QUIC_FRAME_ENCODING : QUIC_NO_ERROR;
}

/* RFC 9000 table 3, by type: one bit per kind of packet. The two of ack-frequency are not for
 * 0-RTT, where the peer's parameters are old ones. */
enum { IN_INITIAL = 1, IN_ZERO = 2, IN_HANDSHAKE = 4, IN_ONE = 8 };
enum { IN_ALL = 15, IN_DATA = IN_ZERO | IN_ONE, IN_LEVELS = IN_INITIAL | IN_HANDSHAKE | IN_ONE };
static const uint8_t allowed_in[] = {
    [FRAME_PADDING] = IN_ALL,
    [FRAME_PING] = IN_ALL,
    [FRAME_ACK] = IN_LEVELS,
    [FRAME_ACK_ECN] = IN_LEVELS,
    [FRAME_RESET_STREAM] = IN_DATA,
    [FRAME_STOP_SENDING] = IN_DATA,
    [FRAME_CRYPTO] = IN_LEVELS,
    [FRAME_NEW_TOKEN] = IN_ONE,
    [0x08] = IN_DATA,
    [0x09] = IN_DATA,
    [0x0a] = IN_DATA,
    [0x0b] = IN_DATA,
    [0x0c] = IN_DATA,
    [0x0d] = IN_DATA,
    [0x0e] = IN_DATA,
    [0x0f] = IN_DATA,
    [FRAME_MAX_DATA] = IN_DATA,
    [FRAME_MAX_STREAM_DATA] = IN_DATA,
    [FRAME_MAX_STREAMS_BIDI] = IN_DATA,
    [FRAME_MAX_STREAMS_UNI] = IN_DATA,
    [FRAME_DATA_BLOCKED] = IN_DATA,
    [FRAME_STREAM_DATA_BLOCKED] = IN_DATA,
    [FRAME_STREAMS_BLOCKED_BIDI] = IN_DATA,
    [FRAME_STREAMS_BLOCKED_UNI] = IN_DATA,
    [FRAME_NEW_CONNECTION_ID] = IN_DATA,
    [FRAME_RETIRE_CONNECTION_ID] = IN_ONE,
    [FRAME_PATH_CHALLENGE] = IN_DATA,
    [FRAME_PATH_RESPONSE] = IN_ONE,
    [FRAME_CLOSE] = IN_ALL,
    [FRAME_CLOSE_APPLICATION] = IN_DATA,
    [FRAME_HANDSHAKE_DONE] = IN_ONE,
    [FRAME_IMMEDIATE_ACK] = IN_ONE,
    [FRAME_DATAGRAM] = IN_DATA,
    [FRAME_DATAGRAM_LEN] = IN_DATA,
    [FRAME_ACK_FREQUENCY] = IN_ONE,
};

bool frame_allowed(uint64_t type, enum packet_type packet)
{
    if (type >= sizeof allowed_in) return false;
    switch (packet) {
    case PACKET_INITIAL: return (allowed_in[type] & IN_INITIAL) != 0;
    case PACKET_ZERO_RTT: return (allowed_in[type] & IN_ZERO) != 0;
    case PACKET_HANDSHAKE: return (allowed_in[type] & IN_HANDSHAKE) != 0;
    case PACKET_SHORT: return (allowed_in[type] & IN_ONE) != 0;
    case PACKET_RETRY:
    case PACKET_VERSION_NEGOTIATION: break;
    }
    return false;
}

bool frame_is_ack_eliciting(uint64_t type)
{
    return type != FRAME_PADDING && type != FRAME_ACK && type != FRAME_ACK_ECN &&
           type != FRAME_CLOSE && type != FRAME_CLOSE_APPLICATION;
}

bool frame_is_probing(uint64_t type)
{
    return type == FRAME_PADDING || type == FRAME_NEW_CONNECTION_ID ||
           type == FRAME_PATH_CHALLENGE || type == FRAME_PATH_RESPONSE;
}

bool frame_is_server_only(uint64_t type)
{
    return type == FRAME_NEW_TOKEN || type == FRAME_HANDSHAKE_DONE;
}

void frame_ack_begin(struct frame_ack_cursor *cursor, const struct frame_ack *ack)
{
    uint64_t count = ack->range_count + 1;
    cursor->ranges = reader_of(ack->ranges, ack->ranges_len);
    cursor->largest = ack->largest;
    cursor->first_range = ack->first_range;
    cursor->smallest = ack->largest;
    cursor->given = 0;
    cursor->count = count < FRAME_ACK_RANGES_MAX ? (uint32_t)count : FRAME_ACK_RANGES_MAX;
}

bool frame_ack_next(struct frame_ack_cursor *cursor, uint64_t *start, uint64_t *end)
{
    if (cursor->given == cursor->count) return false;
    uint64_t largest = cursor->largest;
    uint64_t len = cursor->first_range;
    if (cursor->given > 0) {
        uint64_t gap = reader_varint(&cursor->ranges);
        len = reader_varint(&cursor->ranges);
        /* frame_read has seen these bytes: they cannot go below zero any more. */
        WEIR_ASSERT(!cursor->ranges.failed && cursor->smallest >= gap + 2);
        largest = cursor->smallest - gap - 2;
    }
    WEIR_ASSERT(largest >= len);
    cursor->smallest = largest - len;
    cursor->given++;
    *start = cursor->smallest;
    *end = largest + 1;
    return true;
}
