/* SPDX-License-Identifier: MIT */
#include "quic/frame.h"

#include "base/assert.h"

/* All or nothing: a frame is written, and taken back when the writer became full on the way. */
static bool settle(struct writer *w, const struct writer *before)
{
    if (!w->full) return true;
    *w = *before;
    return false;
}

static bool write_numbers(struct writer *w, uint64_t type, const uint64_t *numbers, unsigned count)
{
    struct writer before = *w;
    writer_varint(w, type);
    for (unsigned i = 0; i < count; i++) writer_varint(w, numbers[i]);
    return settle(w, &before);
}

static bool write_one(struct writer *w, uint8_t type, uint64_t a)
{
    return write_numbers(w, type, &a, 1);
}

static bool write_two(struct writer *w, uint8_t type, uint64_t a, uint64_t b)
{
    uint64_t numbers[] = {a, b};
    return write_numbers(w, type, numbers, 2);
}

bool frame_write_padding(struct writer *w, size_t len)
{
    if (w->full || len > writer_room(w)) return false;
    writer_zero(w, len);
    return true;
}

bool frame_write_ping(struct writer *w)
{
    return write_numbers(w, FRAME_PING, NULL, 0);
}

static uint64_t gap_between(const struct range *above, const struct range *below)
{
    WEIR_ASSERT(above->start > below->end);
    return above->start - below->end - 1;
}

/* How many ranges below the highest fit into room: those that matter most come first. */
static uint32_t ack_ranges_fitting(const struct range *ranges, uint32_t count, uint32_t more_max,
                                   size_t room)
{
    uint32_t more = 0;
    for (uint32_t i = count - 1; i > 0 && more < more_max; i--, more++) {
        size_t size = varint_size(gap_between(&ranges[i], &ranges[i - 1])) +
                      varint_size(ranges[i - 1].end - ranges[i - 1].start - 1);
        if (size > room) break;
        room -= size;
    }
    return more;
}

bool frame_write_ack(struct writer *w, const struct range *ranges, uint32_t count,
                     uint32_t ranges_max, uint64_t delay, const uint64_t ecn[3])
{
    WEIR_ASSERT(count >= 1 && ranges_max >= 1);
    const struct range *top = &ranges[count - 1];
    uint32_t more_max = (count < ranges_max ? count : ranges_max) - 1;
    WEIR_ASSERT(top->end > top->start);
    size_t fixed = 1U + varint_size(top->end - 1) + varint_size(delay) + varint_size(more_max) +
                   varint_size(top->end - top->start - 1);
    for (unsigned i = 0; ecn != NULL && i < 3; i++) fixed += varint_size(ecn[i]);
    if (w->full || fixed > writer_room(w)) return false;
    uint32_t more = ack_ranges_fitting(ranges, count, more_max, writer_room(w) - fixed);
    writer_u8(w, ecn != NULL ? FRAME_ACK_ECN : FRAME_ACK);
    writer_varint(w, top->end - 1);
    writer_varint(w, delay);
    writer_varint(w, more);
    writer_varint(w, top->end - top->start - 1);
    for (uint32_t i = count - 1; more > 0; i--, more--) {
        writer_varint(w, gap_between(&ranges[i], &ranges[i - 1]));
        writer_varint(w, ranges[i - 1].end - ranges[i - 1].start - 1);
    }
    for (unsigned i = 0; ecn != NULL && i < 3; i++) writer_varint(w, ecn[i]);
    WEIR_ASSERT(!w->full);
    return true;
}

bool frame_write_reset_stream(struct writer *w, uint64_t id, uint64_t code, uint64_t final_size)
{
    uint64_t numbers[] = {id, code, final_size};
    return write_numbers(w, FRAME_RESET_STREAM, numbers, 3);
}

bool frame_write_stop_sending(struct writer *w, uint64_t id, uint64_t code)
{
    return write_two(w, FRAME_STOP_SENDING, id, code);
}

/* The room for data is claimed after the header; the caller fills it in. */
static uint8_t *claim(struct writer *w, const struct writer *before, size_t len)
{
    if (!settle(w, before)) return NULL;
    if (len > writer_room(w)) {
        *w = *before;
        return NULL;
    }
    uint8_t *data = w->at;
    w->at += len;
    return data;
}

static bool fill(uint8_t *place, const uint8_t *data, size_t len)
{
    if (place == NULL) return false;
    if (len > 0) memcpy(place, data, len);
    return true;
}

uint8_t *frame_reserve_crypto(struct writer *w, uint64_t offset, size_t len)
{
    struct writer before = *w;
    WEIR_ASSERT(len <= VARINT_MAX && offset <= VARINT_MAX - len);
    writer_u8(w, FRAME_CRYPTO);
    writer_varint(w, offset);
    writer_varint(w, len);
    return claim(w, &before, len);
}

bool frame_write_crypto(struct writer *w, uint64_t offset, const uint8_t *data, size_t len)
{
    return fill(frame_reserve_crypto(w, offset, len), data, len);
}

bool frame_write_new_token(struct writer *w, const uint8_t *token, size_t len)
{
    struct writer before = *w;
    WEIR_ASSERT(len > 0);
    writer_u8(w, FRAME_NEW_TOKEN);
    writer_varint(w, len);
    writer_bytes(w, token, len);
    return settle(w, &before);
}

uint8_t *frame_reserve_stream(struct writer *w, uint64_t id, uint64_t offset, size_t len, bool fin,
                              bool with_len)
{
    struct writer before = *w;
    WEIR_ASSERT(len <= VARINT_MAX && offset <= VARINT_MAX - len);
    unsigned type = FRAME_STREAM;
    if (fin) type |= FRAME_STREAM_FIN;
    if (with_len) type |= FRAME_STREAM_LEN;
    if (offset > 0) type |= FRAME_STREAM_OFF;
    writer_u8(w, (uint8_t)type);
    writer_varint(w, id);
    if (offset > 0) writer_varint(w, offset);
    if (with_len) writer_varint(w, len);
    return claim(w, &before, len);
}

bool frame_write_stream(struct writer *w, uint64_t id, uint64_t offset, const uint8_t *data,
                        size_t len, bool fin, bool with_len)
{
    return fill(frame_reserve_stream(w, id, offset, len, fin, with_len), data, len);
}

bool frame_write_max_data(struct writer *w, uint64_t max)
{
    return write_one(w, FRAME_MAX_DATA, max);
}

bool frame_write_max_stream_data(struct writer *w, uint64_t id, uint64_t max)
{
    return write_two(w, FRAME_MAX_STREAM_DATA, id, max);
}

bool frame_write_max_streams(struct writer *w, bool uni, uint64_t max)
{
    WEIR_ASSERT(max <= FRAME_STREAMS_MAX);
    return write_one(w, uni ? FRAME_MAX_STREAMS_UNI : FRAME_MAX_STREAMS_BIDI, max);
}

bool frame_write_data_blocked(struct writer *w, uint64_t max)
{
    return write_one(w, FRAME_DATA_BLOCKED, max);
}

bool frame_write_stream_data_blocked(struct writer *w, uint64_t id, uint64_t max)
{
    return write_two(w, FRAME_STREAM_DATA_BLOCKED, id, max);
}

bool frame_write_streams_blocked(struct writer *w, bool uni, uint64_t max)
{
    WEIR_ASSERT(max <= FRAME_STREAMS_MAX);
    return write_one(w, uni ? FRAME_STREAMS_BLOCKED_UNI : FRAME_STREAMS_BLOCKED_BIDI, max);
}

bool frame_write_new_connection_id(struct writer *w, uint64_t sequence, uint64_t retire_prior_to,
                                   const struct cid *cid, const uint8_t reset_token[16])
{
    struct writer before = *w;
    WEIR_ASSERT(cid->len >= 1 && cid->len <= CID_MAX);
    WEIR_ASSERT(retire_prior_to <= sequence);
    writer_u8(w, FRAME_NEW_CONNECTION_ID);
    writer_varint(w, sequence);
    writer_varint(w, retire_prior_to);
    writer_u8(w, cid->len);
    writer_bytes(w, cid->bytes, cid->len);
    writer_bytes(w, reset_token, 16);
    return settle(w, &before);
}

bool frame_write_retire_connection_id(struct writer *w, uint64_t sequence)
{
    return write_one(w, FRAME_RETIRE_CONNECTION_ID, sequence);
}

static bool write_path(struct writer *w, uint8_t type, const uint8_t data[8])
{
    struct writer before = *w;
    writer_u8(w, type);
    writer_bytes(w, data, 8);
    return settle(w, &before);
}

bool frame_write_path_challenge(struct writer *w, const uint8_t data[8])
{
    return write_path(w, FRAME_PATH_CHALLENGE, data);
}

bool frame_write_path_response(struct writer *w, const uint8_t data[8])
{
    return write_path(w, FRAME_PATH_RESPONSE, data);
}

bool frame_write_close(struct writer *w, bool application, uint64_t code, uint64_t frame_type,
                       const uint8_t *reason, size_t reason_len)
{
    struct writer before = *w;
    writer_u8(w, application ? FRAME_CLOSE_APPLICATION : FRAME_CLOSE);
    writer_varint(w, code);
    if (!application) writer_varint(w, frame_type);
    writer_varint(w, reason_len);
    if (reason_len > 0) writer_bytes(w, reason, reason_len);
    return settle(w, &before);
}

bool frame_write_handshake_done(struct writer *w)
{
    return write_numbers(w, FRAME_HANDSHAKE_DONE, NULL, 0);
}

bool frame_write_immediate_ack(struct writer *w)
{
    return write_numbers(w, FRAME_IMMEDIATE_ACK, NULL, 0);
}

bool frame_write_ack_frequency(struct writer *w, const struct frame_ack_frequency *frequency)
{
    uint64_t numbers[] = {frequency->sequence, frequency->threshold, frequency->max_delay_us,
                          frequency->reordering};
    return write_numbers(w, FRAME_ACK_FREQUENCY, numbers, 4);
}

uint8_t *frame_reserve_datagram(struct writer *w, size_t len, bool with_len)
{
    struct writer before = *w;
    writer_u8(w, with_len ? FRAME_DATAGRAM_LEN : FRAME_DATAGRAM);
    if (with_len) writer_varint(w, len);
    return claim(w, &before, len);
}

bool frame_write_datagram(struct writer *w, const uint8_t *data, size_t len, bool with_len)
{
    return fill(frame_reserve_datagram(w, len, with_len), data, len);
}

size_t frame_crypto_header_size(uint64_t offset, uint64_t len)
{
    return (size_t)1 + varint_size(offset) + varint_size(len);
}

size_t frame_stream_header_size(uint64_t id, uint64_t offset, uint64_t len, bool with_len)
{
    size_t size = (size_t)1 + varint_size(id);
    if (offset > 0) size += varint_size(offset);
    if (with_len) size += varint_size(len);
    return size;
}

size_t frame_datagram_header_size(uint64_t len, bool with_len)
{
    return with_len ? (size_t)1 + varint_size(len) : 1;
}

/* The largest length that fits into room together with its own varint. The field grows at 64,
 * 16384 and 2^30, where one byte of data more can cost several of header: so each size is tried. */
static int64_t fit_with_len(size_t room, uint64_t want)
{
    static const uint64_t most[] = {63, 16383, (UINT64_C(1) << 30) - 1, VARINT_MAX};
    int64_t best = -1;
    for (unsigned i = 0; i < 4; i++) {
        size_t field = (size_t)1 << i;
        if (room < field) break;
        uint64_t len = room - field;
        if (len > most[i]) len = most[i];
        if (len > want) len = want;
        if ((int64_t)len > best) best = (int64_t)len;
    }
    return best;
}

static int64_t data_max(size_t room, size_t header_size, uint64_t offset, uint64_t want,
                        bool with_len)
{
    WEIR_ASSERT(offset <= VARINT_MAX);
    if (room < header_size) return -1;
    room -= header_size;
    if (want > VARINT_MAX - offset) want = VARINT_MAX - offset;
    if (with_len) return fit_with_len(room, want);
    return (int64_t)(want < room ? want : room);
}

int64_t frame_crypto_data_max(size_t room, uint64_t offset, uint64_t want)
{
    return data_max(room, (size_t)1 + varint_size(offset), offset, want, true);
}

int64_t frame_stream_data_max(size_t room, uint64_t id, uint64_t offset, uint64_t want,
                              bool with_len)
{
    size_t header_size = frame_stream_header_size(id, offset, 0, false);
    return data_max(room, header_size, offset, want, with_len);
}
