/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_FRAME_H
#define WEIR_QUIC_FRAME_H
#include "base/bytes.h"
#include "base/ranges.h"
#include "quic/cid.h"
#include "quic/error.h"
#include "quic/packet.h"

/** Frames (RFC 9000 section 19, RFC 9221, draft-ietf-quic-ack-frequency): reading without copies,
 *  writing all or nothing.
 *
 *  frame_read checks everything that a single frame can say wrong by itself; what depends on the
 *  connection (role, limits, streams, unsent numbers) is the caller's. Data members are views
 *  into the packet's payload. */

enum frame_type {
    FRAME_PADDING = 0x00,
    FRAME_PING = 0x01,
    FRAME_ACK = 0x02,
    FRAME_ACK_ECN = 0x03,
    FRAME_RESET_STREAM = 0x04,
    FRAME_STOP_SENDING = 0x05,
    FRAME_CRYPTO = 0x06,
    FRAME_NEW_TOKEN = 0x07,
    FRAME_STREAM = 0x08, /**< to 0x0f: the three bits below */
    FRAME_MAX_DATA = 0x10,
    FRAME_MAX_STREAM_DATA = 0x11,
    FRAME_MAX_STREAMS_BIDI = 0x12,
    FRAME_MAX_STREAMS_UNI = 0x13,
    FRAME_DATA_BLOCKED = 0x14,
    FRAME_STREAM_DATA_BLOCKED = 0x15,
    FRAME_STREAMS_BLOCKED_BIDI = 0x16,
    FRAME_STREAMS_BLOCKED_UNI = 0x17,
    FRAME_NEW_CONNECTION_ID = 0x18,
    FRAME_RETIRE_CONNECTION_ID = 0x19,
    FRAME_PATH_CHALLENGE = 0x1a,
    FRAME_PATH_RESPONSE = 0x1b,
    FRAME_CLOSE = 0x1c, /**< CONNECTION_CLOSE of the transport */
    FRAME_CLOSE_APPLICATION = 0x1d,
    FRAME_HANDSHAKE_DONE = 0x1e,
    FRAME_IMMEDIATE_ACK = 0x1f,
    FRAME_DATAGRAM = 0x30,
    FRAME_DATAGRAM_LEN = 0x31,
    FRAME_ACK_FREQUENCY = 0xaf
};
enum { FRAME_STREAM_FIN = 0x01, FRAME_STREAM_LEN = 0x02, FRAME_STREAM_OFF = 0x04 };
enum {
    FRAME_ACK_RANGES_MAX =
        256 /**< ranges of one ACK that we look at; more are legal, checked, and ignored */
};
#define FRAME_STREAMS_MAX (UINT64_C(1) << 60) /**< RFC 9000 4.6 */

struct frame_crypto {
    uint64_t offset, len; /**< offset + len <= VARINT_MAX */
    const uint8_t *data;
};
struct frame_stream {
    uint64_t id, offset, len; /**< offset + len <= VARINT_MAX */
    const uint8_t *data;
    bool fin;
};
struct frame_ack {
    uint64_t largest;
    uint64_t delay;        /**< not yet shifted by the peer's ack_delay_exponent */
    uint64_t range_count;  /**< ranges after the first */
    uint64_t first_range;  /**< packets before largest in the first range */
    const uint8_t *ranges; /**< encoded pairs of gap and length; checked */
    size_t ranges_len;
    bool has_ecn;
    uint64_t ect0, ect1, ce;
};
struct frame_close {
    uint64_t code, frame_type; /**< frame_type: 0 when application */
    const uint8_t *reason;
    uint64_t reason_len;
    bool application;
};
struct frame_new_connection_id {
    uint64_t sequence, retire_prior_to;
    struct cid cid; /**< 1 to 20 bytes */
    uint8_t reset_token[16];
};
/** How the sender wants to be acknowledged. Any values: ack_set_frequency judges them. */
struct frame_ack_frequency {
    uint64_t sequence;     /**< from 0, rising; older frames than the latest are ignored */
    uint64_t threshold;    /**< ack-eliciting packets that may wait; one more calls for an ACK: 1 is
                                RFC 9000's every second packet */
    uint64_t max_delay_us; /**< the new max_ack_delay */
    uint64_t reordering;   /**< 0: order does not matter; 1: an ACK at once for each packet out of
                                order; n: once a missing one is n below the largest */
};
struct frame {
    uint64_t type; /**< as on the wire; STREAM: 0x08 to 0x0f */
    union {
        struct {
            uint64_t len;
        } padding; /**< a run of them is read as one frame */
        struct frame_ack ack;
        struct {
            uint64_t id, code, final_size;
        } reset_stream;
        struct {
            uint64_t id, code;
        } stop_sending;
        struct frame_crypto crypto;
        struct {
            const uint8_t *data;
            uint64_t len;
        } new_token; /**< never empty */
        struct frame_stream stream;
        struct {
            uint64_t max;
        } max_data;
        struct {
            uint64_t id, max;
        } max_stream_data;
        struct {
            uint64_t max;
            bool uni;
        } max_streams; /**< at most FRAME_STREAMS_MAX */
        struct {
            uint64_t max;
        } data_blocked;
        struct {
            uint64_t id, max;
        } stream_data_blocked;
        struct {
            uint64_t max;
            bool uni;
        } streams_blocked; /**< at most FRAME_STREAMS_MAX */
        struct frame_new_connection_id new_connection_id;
        struct {
            uint64_t sequence;
        } retire_connection_id;
        struct {
            uint8_t data[8];
        } path; /**< PATH_CHALLENGE, PATH_RESPONSE */
        struct frame_close close;
        struct {
            const uint8_t *data;
            uint64_t len;
        } datagram;
        struct frame_ack_frequency ack_frequency;
    } u;
};

/** Read one frame. Call while reader_left(r) > 0; an empty payload is the caller's
 *  PROTOCOL_VIOLATION.
 *  @return  QUIC_NO_ERROR; QUIC_FRAME_ENCODING (unknown type, cut off, value out of range);
 *           QUIC_PROTOCOL_VIOLATION (type not in its shortest form). out->type is set as far as
 *           it was read */
int frame_read(struct reader *r, struct frame *out);

/** Table 3 of RFC 9000, 0x30 and 0x31 as STREAM, ACK_FREQUENCY and IMMEDIATE_ACK in 1-RTT only.
 *  CRYPTO is allowed in PACKET_SHORT here; that weir's handshake sends none there is the
 *  connection's rule, and so is whether we announced min_ack_delay. false for unknown types. */
bool frame_allowed(uint64_t type, enum packet_type packet);
/** All but ACK, PADDING and CONNECTION_CLOSE. */
bool frame_is_ack_eliciting(uint64_t type);
/** What may come from a new address without moving the path (RFC 9000 9.1). */
bool frame_is_probing(uint64_t type);
/** NEW_TOKEN and HANDSHAKE_DONE: a server that receives one closes with PROTOCOL_VIOLATION. */
bool frame_is_server_only(uint64_t type);
static inline bool frame_is_stream(uint64_t type)
{
    return type >= 0x08 && type <= 0x0f;
}

/** Walk the ranges of an ACK that frame_read accepted, highest first, at most
 *  FRAME_ACK_RANGES_MAX of them. */
struct frame_ack_cursor {
    struct reader ranges;
    uint64_t smallest, first_range, largest;
    uint32_t given, count;
};
void frame_ack_begin(struct frame_ack_cursor *cursor, const struct frame_ack *ack);
/** @param start, end  the range is [start, end), as struct range. @return false at the end */
bool frame_ack_next(struct frame_ack_cursor *cursor, uint64_t *start, uint64_t *end);

/* Writers: false (or NULL) when the frame does not fit, and then nothing was written and w->full
 *  stays as it was. Values must be at most VARINT_MAX (asserted: they are ours). */
bool frame_write_padding(struct writer *w, size_t len);
bool frame_write_ping(struct writer *w);
/** Ranges ascending as in struct ranges, count >= 1: writes from the highest down as many as
 *  fit, at most ranges_max. @param delay  shifted already; ecn NULL or {ect0, ect1, ce}
 *  @return false when not even the highest range fits */
bool frame_write_ack(struct writer *w, const struct range *ranges, uint32_t count,
                     uint32_t ranges_max, uint64_t delay, const uint64_t ecn[3]);
bool frame_write_reset_stream(struct writer *w, uint64_t id, uint64_t code, uint64_t final_size);
bool frame_write_stop_sending(struct writer *w, uint64_t id, uint64_t code);
bool frame_write_crypto(struct writer *w, uint64_t offset, const uint8_t *data, size_t len);
bool frame_write_new_token(struct writer *w, const uint8_t *token, size_t len);
/** @param with_len  false: the frame must be the last of its packet */
bool frame_write_stream(struct writer *w, uint64_t id, uint64_t offset, const uint8_t *data,
                        size_t len, bool fin, bool with_len);
bool frame_write_max_data(struct writer *w, uint64_t max);
bool frame_write_max_stream_data(struct writer *w, uint64_t id, uint64_t max);
bool frame_write_max_streams(struct writer *w, bool uni, uint64_t max);
bool frame_write_data_blocked(struct writer *w, uint64_t max);
bool frame_write_stream_data_blocked(struct writer *w, uint64_t id, uint64_t max);
bool frame_write_streams_blocked(struct writer *w, bool uni, uint64_t max);
bool frame_write_new_connection_id(struct writer *w, uint64_t sequence, uint64_t retire_prior_to,
                                   const struct cid *cid, const uint8_t reset_token[16]);
bool frame_write_retire_connection_id(struct writer *w, uint64_t sequence);
bool frame_write_path_challenge(struct writer *w, const uint8_t data[8]);
bool frame_write_path_response(struct writer *w, const uint8_t data[8]);
/** frame_type counts only when application is false. */
bool frame_write_close(struct writer *w, bool application, uint64_t code, uint64_t frame_type,
                       const uint8_t *reason, size_t reason_len);
bool frame_write_handshake_done(struct writer *w);
bool frame_write_immediate_ack(struct writer *w);
bool frame_write_ack_frequency(struct writer *w, const struct frame_ack_frequency *frequency);
bool frame_write_datagram(struct writer *w, const uint8_t *data, size_t len, bool with_len);

/** As frame_write_crypto, _stream, _datagram, but the caller fills in the data (from a ring,
 *  without a copy between).
 *  @return where exactly len bytes of data belong (w has moved past them), or NULL: does not
 *          fit, nothing written */
uint8_t *frame_reserve_crypto(struct writer *w, uint64_t offset, size_t len);
uint8_t *frame_reserve_stream(struct writer *w, uint64_t id, uint64_t offset, size_t len, bool fin,
                              bool with_len);
uint8_t *frame_reserve_datagram(struct writer *w, size_t len, bool with_len);

/** Bytes before the data. */
size_t frame_crypto_header_size(uint64_t offset, uint64_t len);
size_t frame_stream_header_size(uint64_t id, uint64_t offset, uint64_t len, bool with_len);
size_t frame_datagram_header_size(uint64_t len, bool with_len);
/** How many of want bytes fit into room, header included.
 *  @return  0 to want, or -1 when not even the header of an empty frame fits (an empty STREAM
 *           with FIN is legal) */
int64_t frame_crypto_data_max(size_t room, uint64_t offset, uint64_t want);
int64_t frame_stream_data_max(size_t room, uint64_t id, uint64_t offset, uint64_t want,
                              bool with_len);
#endif
