/* SPDX-License-Identifier: MIT */
/* Goal: any payload is a row of frames or an error, and each frame that was read can be written and
 * read again as the same frame. */
#include "base/assert.h"
#include "fuzz/fuzz.h"
#include "quic/frame.h"

#include <string.h>

static uint8_t out[70000];

static bool write_ack_again(struct writer *w, const struct frame_ack *ack)
{
    struct range ranges[FRAME_ACK_RANGES_MAX];
    struct frame_ack_cursor cursor;
    uint64_t ecn[3] = {ack->ect0, ack->ect1, ack->ce};
    uint64_t start, end;
    uint32_t count = 0, at = FRAME_ACK_RANGES_MAX;
    frame_ack_begin(&cursor, ack);
    for (; frame_ack_next(&cursor, &start, &end); count++) {
        WEIR_ASSERT(start < end && end <= VARINT_MAX + 1);
        ranges[--at] = (struct range){start, end};
    }
    WEIR_ASSERT(count >= 1);
    return frame_write_ack(w, ranges + at, count, count, ack->delay, ack->has_ecn ? ecn : NULL);
}

static bool write_again(struct writer *w, const struct frame *f)
{
    /* long: one switch */
    const struct frame_new_connection_id *id = &f->u.new_connection_id;
    switch (f->type) {
    case FRAME_PADDING: return frame_write_padding(w, (size_t)f->u.padding.len);
    case FRAME_PING: return frame_write_ping(w);
    case FRAME_ACK:
    case FRAME_ACK_ECN: return write_ack_again(w, &f->u.ack);
    case FRAME_RESET_STREAM:
        return frame_write_reset_stream(w, f->u.reset_stream.id, f->u.reset_stream.code,
                                        f->u.reset_stream.final_size);
    case FRAME_STOP_SENDING:
        return frame_write_stop_sending(w, f->u.stop_sending.id, f->u.stop_sending.code);
    case FRAME_CRYPTO:
        return frame_write_crypto(w, f->u.crypto.offset, f->u.crypto.data, f->u.crypto.len);
    case FRAME_NEW_TOKEN: return frame_write_new_token(w, f->u.new_token.data, f->u.new_token.len);
    case FRAME_MAX_DATA: return frame_write_max_data(w, f->u.max_data.max);
    case FRAME_MAX_STREAM_DATA:
        return frame_write_max_stream_data(w, f->u.max_stream_data.id, f->u.max_stream_data.max);
    case FRAME_MAX_STREAMS_BIDI:
    case FRAME_MAX_STREAMS_UNI:
        return frame_write_max_streams(w, f->u.max_streams.uni, f->u.max_streams.max);
    case FRAME_DATA_BLOCKED: return frame_write_data_blocked(w, f->u.data_blocked.max);
    case FRAME_STREAM_DATA_BLOCKED:
        return frame_write_stream_data_blocked(w, f->u.stream_data_blocked.id,
                                               f->u.stream_data_blocked.max);
    case FRAME_STREAMS_BLOCKED_BIDI:
    case FRAME_STREAMS_BLOCKED_UNI:
        return frame_write_streams_blocked(w, f->u.streams_blocked.uni, f->u.streams_blocked.max);
    case FRAME_NEW_CONNECTION_ID:
        return frame_write_new_connection_id(w, id->sequence, id->retire_prior_to, &id->cid,
                                             id->reset_token);
    case FRAME_RETIRE_CONNECTION_ID:
        return frame_write_retire_connection_id(w, f->u.retire_connection_id.sequence);
    case FRAME_PATH_CHALLENGE: return frame_write_path_challenge(w, f->u.path.data);
    case FRAME_PATH_RESPONSE: return frame_write_path_response(w, f->u.path.data);
    case FRAME_CLOSE:
    case FRAME_CLOSE_APPLICATION:
        return frame_write_close(w, f->u.close.application, f->u.close.code, f->u.close.frame_type,
                                 f->u.close.reason, f->u.close.reason_len);
    case FRAME_HANDSHAKE_DONE: return frame_write_handshake_done(w);
    case FRAME_DATAGRAM:
    case FRAME_DATAGRAM_LEN:
        return frame_write_datagram(w, f->u.datagram.data, f->u.datagram.len,
                                    f->type == FRAME_DATAGRAM_LEN);
    case FRAME_IMMEDIATE_ACK: return frame_write_immediate_ack(w);
    case FRAME_ACK_FREQUENCY: return frame_write_ack_frequency(w, &f->u.ack_frequency);
    default:
        WEIR_ASSERT(frame_is_stream(f->type));
        return frame_write_stream(w, f->u.stream.id, f->u.stream.offset, f->u.stream.data,
                                  f->u.stream.len, f->u.stream.fin,
                                  (f->type & FRAME_STREAM_LEN) != 0);
    }
}

/* Written twice: the first form may be shorter than what came (numbers in needless bytes), the
 * second must equal the first. */
static void compare(const struct frame *frame)
{
    static uint8_t second[sizeof out];
    struct writer w = writer_of(out, sizeof out), again = writer_of(second, sizeof second);
    struct frame copy;
    WEIR_ASSERT(write_again(&w, frame));
    struct reader r = reader_of(out, writer_len(&w));
    WEIR_ASSERT(frame_read(&r, &copy) == QUIC_NO_ERROR);
    WEIR_ASSERT(reader_left(&r) == 0);
    /* An explicit offset of 0 is written without the bit. */
    WEIR_ASSERT((copy.type | FRAME_STREAM_OFF) == (frame->type | FRAME_STREAM_OFF));
    WEIR_ASSERT(write_again(&again, &copy));
    WEIR_ASSERT(writer_len(&again) == writer_len(&w));
    WEIR_ASSERT(memcmp(out, second, writer_len(&w)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_of(data, size);
    if (size > 65536) return 0;
    while (reader_left(&r) > 0) {
        struct frame frame;
        const uint8_t *before = r.at;
        int error = frame_read(&r, &frame);
        if (error != QUIC_NO_ERROR) {
            WEIR_ASSERT(error == QUIC_FRAME_ENCODING || error == QUIC_PROTOCOL_VIOLATION);
            break;
        }
        WEIR_ASSERT(r.at > before);
        WEIR_ASSERT(frame_allowed(frame.type, PACKET_SHORT));
        compare(&frame);
    }
    return 0;
}
