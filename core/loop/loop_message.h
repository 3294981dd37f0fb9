/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LOOP_LOOP_MESSAGE_H
#define WEIR_LOOP_LOOP_MESSAGE_H
#include "base/bytes.h"
#include "identity/peer_id.h"
#include "transport/network.h"
#include "transport/stream.h"

/* What travels between two in-memory transports.
 *
 * A datagram is a header and one or more messages, all of one connection:
 *
 *     version 1 byte | to 4 bytes | from 4 bytes | messages
 *
 * to and from are the numbers that the receiver and the sender gave the connection; to is 0 while
 * it is not known (OPEN), from is 0 when the sender has no connection (an answer to what belongs
 * to none). A message is one byte of type and its fields; integers are RFC 9000 varints unless
 * said otherwise, texts are a length byte and as many bytes. */

enum {
    MESSAGE_VERSION = 1,
    MESSAGE_HEADER_BYTES = 9,
    MESSAGE_NETWORK_MAX = NETWORK_NAME_MAX,
    MESSAGE_TEXT_MAX = 120,
    MESSAGE_HELLO_BYTES = 164, /**< OPEN and ACCEPT take at most this */
    MESSAGE_END_BYTES = 126,   /**< REFUSE and CLOSE */
    MESSAGE_LIMIT_BYTES = 17,  /**< the longest message without a text or data */
    MESSAGE_DATA_BYTES = 21,   /**< DATA without its bytes */
    MESSAGE_DATAGRAM_MAX = 1200 /**< bytes of an unreliable datagram */
};
#define MESSAGE_COUNT_MAX (UINT64_C(1) << 60) /* RFC 9000 4.6: no more streams can have an id */

enum message_type {
    MESSAGE_OPEN = 1, /**< hello: who dials, of which network, what it grants */
    MESSAGE_ACCEPT,   /**< hello: the answer; the connection is up */
    MESSAGE_REFUSE,   /**< code (4 bytes), text: the answer instead of ACCEPT */
    MESSAGE_READY,    /**< the dialler has the ACCEPT: lets the other side see the round trip */
    MESSAGE_DATA,     /**< stream, offset, length, bytes */
    MESSAGE_DATA_END, /**< the same, and the lane ends behind them */
    MESSAGE_STREAM_CREDIT,     /**< stream, limit */
    MESSAGE_CONNECTION_CREDIT, /**< limit */
    MESSAGE_COUNT_BIDI,        /**< limit: streams that the receiver may open in all */
    MESSAGE_COUNT_UNI,
    MESSAGE_RESET, /**< stream, code (4 bytes), final size */
    MESSAGE_STOP,  /**< stream, code (4 bytes) */
    MESSAGE_CLOSE, /**< code (4 bytes), text: last; nothing answers it */
    MESSAGE_DATAGRAM, /**< stream, length, bytes: an unreliable datagram */
    MESSAGE_TYPES
};

struct message_header {
    uint32_t to, from;
};
/** What each side says of itself. */
struct message_hello {
    struct peer_id peer; /**< holds a key */
    char network[MESSAGE_NETWORK_MAX + 1];
    struct streams_grants grants;
};
struct message {
    uint8_t type; /**< enum message_type */
    uint32_t code;
    uint64_t stream, offset, limit;
    const uint8_t *bytes; /**< inside the datagram: data, or the text of an end */
    size_t len;
    struct message_hello hello;
};

/** @return false when it is no datagram of ours */
bool loop_message_read_header(struct reader *r, struct message_header *out);
/** Read the next message. Total: every value is checked against its range, and offset + len is
 *  below 2^62. @return false when it is malformed */
bool loop_message_read(struct reader *r, struct message *out);

/* Writers assume that there is room: see the sizes above (asserted). */
void loop_message_write_header(struct writer *w, uint32_t to, uint32_t from);
void loop_message_write_hello(struct writer *w, enum message_type type,
                              const struct message_hello *hello);
void loop_message_write_end(struct writer *w, enum message_type type, uint32_t code,
                            const char *text, size_t len);
/** READY, and the credits; what a type has no use for is not looked at. */
void loop_message_write_limit(struct writer *w, enum message_type type, uint64_t stream,
                              uint64_t limit);
void loop_message_write_reset(struct writer *w, uint64_t stream, uint32_t code,
                              uint64_t final_size);
void loop_message_write_stop(struct writer *w, uint64_t stream, uint32_t code);
/** A whole DATAGRAM: at most MESSAGE_DATA_BYTES + len. */
void loop_message_write_datagram(struct writer *w, uint64_t stream, const uint8_t *bytes,
                                 size_t len);
/** The head of DATA; the caller writes len bytes behind it. */
void loop_message_write_data(struct writer *w, uint64_t stream, uint64_t offset, uint64_t len,
                             bool end);
#endif
