/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_PARAMS_H
#define WEIR_QUIC_PARAMS_H
#include "base/bytes.h"
#include "crypto/aead.h"
#include "quic/cid.h"
#include "quic/error.h"
#include "transport/network.h"

/** Transport parameters (RFC 9000 section 18.2, RFC 9221, min_ack_delay of
 *  draft-ietf-quic-ack-frequency, and weir's two of docs/wire.md 7.2).
 *  They travel inside the encrypted payload of Noise messages 2 (server's) and 3 (client's). */

enum {
    PARAMS_NETWORK_MAX = NETWORK_NAME_MAX,
    PARAMS_SIZE_MAX = 512 /**< more than params_encode ever writes */
};
#define PARAMS_ABSENT UINT64_MAX /**< of a number that has no default */
#define PARAMS_IDLE_MAX_MS                                                                         \
    (UINT64_C(1) << 32) /**< longer claims are read as this, so that microseconds cannot overflow */

struct params_preferred_address {
    uint8_t ipv4[4], ipv6[16];
    uint16_t ipv4_port, ipv6_port;
    struct cid cid; /**< 1 to 20 bytes */
    uint8_t reset_token[16];
};
struct params {
    uint64_t max_idle_timeout_ms;  /**< 0: none */
    uint64_t max_udp_payload_size; /**< at least 1200; default 65527 */
    uint64_t initial_max_data;
    uint64_t
        initial_max_stream_data_bidi_local; /**< "local" as seen by the sender of the parameter */
    uint64_t initial_max_stream_data_bidi_remote;
    uint64_t initial_max_stream_data_uni;
    uint64_t initial_max_streams_bidi, initial_max_streams_uni; /**< at most 2^60 */
    uint64_t ack_delay_exponent;                                /**< at most 20; default 3 */
    uint64_t max_ack_delay_ms;                                  /**< below 2^14; default 25 */
    uint64_t active_connection_id_limit;                        /**< at least 2; default 2 */
    uint64_t max_datagram_frame_size;                           /**< 0: none wanted; counts type and
                                                                     length of the frame too */
    uint64_t min_ack_delay_us; /**< below 2^24, at most max_ack_delay; PARAMS_ABSENT: the sender
                                    takes no ACK_FREQUENCY and no IMMEDIATE_ACK frames */
    bool disable_active_migration;
    bool has_initial_scid, has_original_dcid, has_retry_scid, has_reset_token,
        has_preferred_address;
    struct cid initial_scid;
    struct cid original_dcid, retry_scid; /**< server only, as the next two */
    uint8_t reset_token[16];
    struct params_preferred_address preferred_address;
    uint8_t suites;      /**< server: its offer, bit 0 for suite 01 (always set), bit 1 for 02 */
    uint8_t suite;       /**< client: the one byte that it chose, unchecked; 01 when absent */
    uint8_t network_len; /**< parameter 0x4002; 0: absent or empty, which are the same */
    uint8_t network[PARAMS_NETWORK_MAX];
};
/** The values that hold for a parameter that is absent. */
void params_init(struct params *params);
/** Read what the peer sent; starts from params_init.
 *
 *  Unknown parameters are skipped, and may repeat: to remember them would be state that the peer
 *  controls.
 *  @param from_server  whether the sender is the server
 *  @return  QUIC_NO_ERROR or QUIC_TRANSPORT_PARAMETER (cut off, a value out of range, one twice,
 *           a server's from a client); params is then not to be used */
int params_decode(const uint8_t *data, size_t len, bool from_server, struct params *params);
/** Write ours. Defaults are left out; server-only ones are written only when as_server;
 *  initial_scid if present.
 *
 *  @param grease  random: makes one reserved parameter (31 N + 27) with up to 7 bytes, so that
 *                 peers must skip it
 *  @return  bytes written, or 0: does not fit, nothing written */
size_t params_encode(struct writer *w, const struct params *params, bool as_server,
                     uint64_t grease);
/** wire.md 5.8 and RFC 9000 7.3: do the connection ids in the handshake match those seen on the
 *  wire?
 *
 *  @param scid   SCID of the peer's Initial packets
 *  @param odcid  when the peer is the server: DCID of our first Initial; else NULL
 *  @param retry  when the peer is the server and a Retry was used: its SCID; else NULL
 *  @return  QUIC_NO_ERROR or QUIC_TRANSPORT_PARAMETER */
int params_check_cids(const struct params *params, const struct cid *scid, const struct cid *odcid,
                      const struct cid *retry);
/** wire.md 7.3, the client's choice. @param server  the server's parameters; aes_offered: what our
 *  host measured
 *  @return  AEAD_AES_256_GCM when both offer it, else AEAD_CHACHA20_POLY1305 */
uint8_t params_suite_choose(const struct params *server, bool aes_offered);
/** wire.md 7.3, the server's check of the client's byte against what it offered itself.
 *  @return  QUIC_NO_ERROR or QUIC_TRANSPORT_PARAMETER */
int params_suite_check(const struct params *client, bool aes_offered);
#endif
