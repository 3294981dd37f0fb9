/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_ERROR_H
#define WEIR_QUIC_ERROR_H
/** Error codes of the wire, sent in CONNECTION_CLOSE type 1c (RFC 9000 section 20.1). Decoders
 *  of core/quic return 0 or one of these, always positive, so that they never mix with the
 *  negative WEIR_E_ numbers. */
enum quic_error {
    QUIC_NO_ERROR = 0x0,
    QUIC_INTERNAL = 0x1,
    QUIC_CONNECTION_REFUSED = 0x2,
    QUIC_FLOW_CONTROL = 0x3,
    QUIC_STREAM_LIMIT = 0x4,
    QUIC_STREAM_STATE = 0x5,
    QUIC_FINAL_SIZE = 0x6,
    QUIC_FRAME_ENCODING = 0x7,
    QUIC_TRANSPORT_PARAMETER = 0x8,
    QUIC_CONNECTION_ID_LIMIT = 0x9,
    QUIC_PROTOCOL_VIOLATION = 0xa,
    QUIC_INVALID_TOKEN = 0xb,
    QUIC_APPLICATION_ERROR = 0xc,
    QUIC_CRYPTO_BUFFER_EXCEEDED = 0xd,
    QUIC_KEY_UPDATE = 0xe,
    QUIC_AEAD_LIMIT_REACHED = 0xf,
    QUIC_NO_VIABLE_PATH = 0x10,
    QUIC_AUTHENTICATION = 0x100 /**< one code for every failure of the handshake (wire.md 10.2) */
};
#endif
