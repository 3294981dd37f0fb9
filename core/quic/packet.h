/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_PACKET_H
#define WEIR_QUIC_PACKET_H
#include "base/bytes.h"
#include "crypto/schedule.h"
#include "quic/cid.h"

/** Packets on the wire: headers, packet numbers, protection (RFC 9000 section 17, RFC 9001
 *  section 5).
 *
 *  A datagram is a row of packets. packet_parse reads the part of a header that is not protected
 *  and says where the packet ends; packet_open takes the protection off in place;
 *  packet_write_*, packet_finish_long and packet_seal do the reverse. Nothing here keeps state. */

struct protect_keys;
struct protect_cipher;

enum packet_type {
    PACKET_INITIAL,
    PACKET_ZERO_RTT,
    PACKET_HANDSHAKE,
    PACKET_RETRY,
    PACKET_VERSION_NEGOTIATION,
    PACKET_SHORT
};
/** "weir" in ASCII: outside of the IETF's 0x0000xxxx and the reserved 0x?a?a?a?a (RFC 9000
 *  section 15). */
#define PACKET_VERSION WEIR_UDP_VERSION
/** As `largest` where no packet number is known yet. */
#define PACKET_NUMBER_NONE UINT64_MAX
enum {
    PACKET_TAG_LEN = 16, /**< of the AEAD, of Retry, of a stateless reset */
    PACKET_SAMPLE_LEN = 16,
    PACKET_DATAGRAM_MIN = 1200, /**< RFC 9000 14.1: the least UDP payload that a path must carry */
    PACKET_LENGTH_FIELD_MAX = 16383, /**< what the reserved two-byte length can say */
    PACKET_RESET_LEN_MIN = 21,       /**< RFC 9000 10.3: anything shorter is no stateless reset */
    PACKET_HEADER_MAX =
        1 + 4 + 1 + CID_MAX + 1 + CID_MAX + 2 + 4 /**< long, without token length and token */
};

/** A header as far as it can be read without keys. Views point into the datagram. */
struct packet_header {
    enum packet_type type;
    uint8_t first_byte;    /**< still protected */
    uint32_t version;      /**< 0 for PACKET_SHORT and PACKET_VERSION_NEGOTIATION */
    struct cid dcid, scid; /**< scid is empty for PACKET_SHORT */
    const uint8_t *dcid_view,
        *scid_view; /**< also when longer than CID_MAX (unknown version): to be echoed */
    uint8_t dcid_view_len, scid_view_len;
    const uint8_t *token; /**< PACKET_INITIAL (may be empty), PACKET_RETRY (never empty) */
    size_t token_len;
    const uint8_t *retry_tag; /**< PACKET_RETRY: PACKET_TAG_LEN bytes */
    const uint8_t *versions;  /**< PACKET_VERSION_NEGOTIATION: versions_count big-endian words */
    size_t versions_count;    /**< at least 1 */
    size_t pn_offset; /**< from the packet's first byte; 0 when the type has no packet number */
    size_t length; /**< packet number + payload + tag; at least 20 when there is a packet number */
    size_t packet_len; /**< bytes of this packet; the next one of the datagram begins there */
};

/** Read the unprotected part of the packet at data; len reaches to the end of the datagram.
 *
 *  Total. Initial, 0-RTT and Handshake may be followed by another packet; all others take the
 *  rest of the datagram. A short header's DCID has CID_LOCAL_LEN bytes, as all of ours.
 *  @return  0
 *  @error   WEIR_E_PROTOCOL     not a packet of ours: drop the rest of the datagram. A stateless
 *                               reset shorter than 29 bytes also ends here: look at its last 16
 *                               bytes before dropping
 *  @error   WEIR_E_UNSUPPORTED  another version: version, dcid_view and scid_view are set and
 *                               packet_len is len, the rest is zero; dcid and scid are empty
 *                               when longer than CID_MAX */
int packet_parse(const uint8_t *data, size_t len, struct packet_header *header);

/** Bytes (1 to 4) that pn needs so that the receiver decodes it (RFC 9000 A.2).
 *  @param largest_acked  the peer's largest acknowledged, or PACKET_NUMBER_NONE. 2^31 beyond it is
 *                        more than 4 bytes say; but only acknowledgements can run ahead so far, and
 *                        one that elicits them and answers nothing may lose them */
unsigned packet_number_size(uint64_t pn, uint64_t largest_acked);
/** The number congruent to truncated that is closest to largest + 1 (RFC 9000 A.3).
 *  @param largest  largest authenticated number of the space, or PACKET_NUMBER_NONE
 *  @param bits     8, 16, 24 or 32 */
uint64_t packet_number_decode(uint64_t largest, uint64_t truncated, unsigned bits);

/** Take off header protection in place: first byte and packet number become readable, and pn is
 *  decoded.
 *
 *  For the caller that must choose the key by phase and number before it opens;
 *  others use packet_open. Nothing is authenticated yet. Only for types with a packet number
 *  (asserted).
 *  @param pn_size  bytes of the packet number, for packet_open_payload */
void packet_unprotect(const struct protect_keys *keys, uint8_t *packet,
                      const struct packet_header *header, uint64_t largest_pn, uint64_t *pn,
                      unsigned *pn_size, uint8_t *first_byte);
/** The second half of packet_open. Same results. */
int packet_open_payload(const struct protect_cipher *cipher, uint8_t *packet,
                        const struct packet_header *header, uint64_t pn, unsigned pn_size,
                        uint8_t **payload, size_t *payload_len);

/** Remove protection, decode the number, open in place.
 *
 *  @param packet      the bytes that header was parsed from; ruined when opening fails
 *                     (aead.h): keep what you need of them, such as the last 16 bytes, before the
 *                     call
 *  @param largest_pn  largest authenticated number of the space, or PACKET_NUMBER_NONE
 *  @param first_byte  without protection; the key phase is 0x04, the spin bit 0x20
 *  @return  0
 *  @error   WEIR_E_DECRYPT   not authentic: drop, count; pn is only what it claimed
 *  @error   WEIR_E_PROTOCOL  authentic, but reserved bits are set or there is no frame (RFC 9000
 *                            17.2, 12.4): PROTOCOL_VIOLATION. All outputs are valid */
int packet_open(const struct protect_cipher *cipher, uint8_t *packet,
                const struct packet_header *header, uint64_t largest_pn, uint64_t *pn,
                uint8_t **payload, size_t *payload_len, uint8_t *first_byte);

/** Write a long header up to and including the packet number, with two bytes reserved for the
 *  length.
 *
 *  @param type     PACKET_INITIAL, PACKET_ZERO_RTT or PACKET_HANDSHAKE
 *  @param token    PACKET_INITIAL only; NULL when token_len is 0
 *  @param pn_size  1 to 4, as packet_number_size says
 *  @return  bytes of the header (the packet number begins at that minus pn_size), or 0: does not
 *           fit, nothing written */
size_t packet_write_long(struct writer *w, enum packet_type type, uint32_t version,
                         const struct cid *dcid, const struct cid *scid, const uint8_t *token,
                         size_t token_len, uint64_t pn, unsigned pn_size);
/** Write a short header. @return as packet_write_long */
size_t packet_write_short(struct writer *w, const struct cid *dcid, bool spin, bool key_phase,
                          uint64_t pn, unsigned pn_size);
/** Bytes that packet_write_long will write. */
size_t packet_long_header_size(enum packet_type type, const struct cid *dcid,
                               const struct cid *scid, size_t token_len, unsigned pn_size);
/** Fill in the length field of a long header once the payload is known, before packet_seal.
 *  @param payload_len  plaintext, without tag; pn_size + payload_len + 16 <=
 *                      PACKET_LENGTH_FIELD_MAX (asserted) */
void packet_finish_long(uint8_t *packet, size_t header_len, unsigned pn_size, size_t payload_len);
/** Least payload that leaves a full sample for header protection (RFC 9001 5.4.2): pad up to it. */
size_t packet_payload_min(unsigned pn_size);
/** Seal in place and protect the header.
 *
 *  @param packet       header_len bytes of header, payload_len of plaintext, room for
 *                      PACKET_TAG_LEN more
 *  @param payload_len  at least packet_payload_min(pn_size) (asserted)
 *  @return  bytes of the whole packet */
size_t packet_seal(const struct protect_cipher *cipher, uint8_t *packet, size_t header_len,
                   uint64_t pn, unsigned pn_size, size_t payload_len);
/** The first half of packet_seal: the payload is sealed, the header still readable. Whoever makes a
 *  run of packets seals all and then protects all headers in one pass. Same results. */
size_t packet_seal_payload(const struct protect_cipher *cipher, uint8_t *packet, size_t header_len,
                           uint64_t pn, unsigned pn_size, size_t payload_len);
/** The second half: header_len and pn_size as they were given to packet_seal_payload. */
void packet_protect_header(const struct protect_keys *keys, uint8_t *packet, size_t header_len,
                           unsigned pn_size);

/** Answer to an unknown version (RFC 9000 17.2.1): our only version, and the reserved one made
 *  from random.
 *
 *  @param dcid    the trigger's *source* id, scid its destination id, each up to 255 bytes
 *  @param random  unpredictable bits: the first byte's unused ones and the reserved version
 *  @return  bytes written, or 0: does not fit, nothing written */
size_t packet_write_version_negotiation(struct writer *w, const uint8_t *dcid, uint8_t dcid_len,
                                        const uint8_t *scid, uint8_t scid_len, uint32_t random);
/** Whether a Version Negotiation packet lists version: then it is to be ignored (RFC 9000 6.2). */
bool packet_versions_include(const struct packet_header *header, uint32_t version);

/** Write a Retry packet with its integrity tag (RFC 9000 17.2.5, RFC 9001 5.8 with
 *  ChaCha20-Poly1305 and weir's own fixed key). @param odcid  DCID of the Initial that is
 *  answered
 *  @return  bytes written, or 0: does not fit, nothing written */
size_t packet_write_retry(struct writer *w, const struct cid *dcid, const struct cid *scid,
                          const uint8_t *token, size_t token_len, const struct cid *odcid);
/** Whether the tag of a Retry is right for the Initial that we sent to odcid.
 *  @param packet  the bytes that header was parsed from */
bool packet_check_retry(const uint8_t *packet, const struct packet_header *header,
                        const struct cid *odcid);
#endif
