/* SPDX-License-Identifier: MIT */
#include "quic/packet.h"

#include "base/assert.h"
#include "crypto/protect.h"
#include "weir.h"

/* The first byte (RFC 9000 17.2, 17.3): form and fixed bit, then type, reserved bits and packet
 * number length of a long header; spin, reserved bits, phase and length of a short one. The low
 * bits after the type are under header protection. */
enum {
    FIRST_LONG = 0x80,
    FIRST_FIXED = 0x40,
    FIRST_TYPE_SHIFT = 4,
    FIRST_LONG_RESERVED = 0x0c,
    FIRST_LONG_MASK = 0x0f,
    FIRST_SPIN = 0x20,
    FIRST_SHORT_RESERVED = 0x18,
    FIRST_SHORT_MASK = 0x1f,
    FIRST_PHASE = 0x04,
    FIRST_PN_SIZE = 0x03
};
enum {
    PN_SIZE_MAX = 4,
    LENGTH_FIELD_SIZE = 2,
    PROTECTED_MIN = PN_SIZE_MAX + PACKET_SAMPLE_LEN, /* what header protection reads */
    RETRY_MAX = 1200 /* longer than any Initial could carry back: bounds the stack, not the peer */
};

static const uint8_t long_type_of[] = {PACKET_INITIAL, PACKET_ZERO_RTT, PACKET_HANDSHAKE,
                                       PACKET_RETRY};

static int parse_short(const uint8_t *data, size_t len, struct packet_header *header)
{
    header->type = PACKET_SHORT;
    header->pn_offset = 1 + CID_LOCAL_LEN;
    if ((data[0] & FIRST_FIXED) == 0) return WEIR_E_PROTOCOL;
    if (len < header->pn_offset + PROTECTED_MIN) return WEIR_E_PROTOCOL;
    header->dcid_view = data + 1;
    header->dcid_view_len = CID_LOCAL_LEN;
    (void)cid_set(&header->dcid, header->dcid_view, CID_LOCAL_LEN);
    header->length = len - header->pn_offset;
    header->packet_len = len;
    return 0;
}

static int parse_version_negotiation(struct reader *r, struct packet_header *header)
{
    size_t left = reader_left(r);
    header->type = PACKET_VERSION_NEGOTIATION;
    if (left == 0 || left % 4 != 0) return WEIR_E_PROTOCOL;
    if (header->dcid_view_len > CID_MAX || header->scid_view_len > CID_MAX) return WEIR_E_PROTOCOL;
    header->versions = reader_bytes(r, left);
    header->versions_count = left / 4;
    return 0;
}

static int parse_retry(struct reader *r, struct packet_header *header)
{
    size_t left = reader_left(r);
    /* RFC 9000 17.2.5.2: a Retry with an empty token is discarded. */
    if (left <= PACKET_TAG_LEN) return WEIR_E_PROTOCOL;
    header->token_len = left - PACKET_TAG_LEN;
    header->token = reader_bytes(r, header->token_len);
    header->retry_tag = reader_bytes(r, PACKET_TAG_LEN);
    return 0;
}

/* Token (Initial only), length and the place of the packet number. */
static int parse_numbered(const uint8_t *data, struct reader *r, struct packet_header *header)
{
    if (header->type == PACKET_INITIAL) {
        uint64_t token_len = reader_varint(r);
        header->token = reader_bytes(r, token_len);
        if (r->failed) return WEIR_E_PROTOCOL;
        header->token_len = (size_t)token_len;
    }
    uint64_t length = reader_varint(r);
    if (r->failed || length > reader_left(r) || length < PROTECTED_MIN) return WEIR_E_PROTOCOL;
    header->pn_offset = (size_t)(r->at - data);
    header->length = (size_t)length;
    header->packet_len = header->pn_offset + header->length;
    return 0;
}

static int parse_long(const uint8_t *data, size_t len, struct packet_header *header)
{
    struct reader r = reader_of(data, len);
    reader_skip(&r, 1);
    header->version = reader_u32(&r);
    header->dcid_view_len = reader_u8(&r);
    header->dcid_view = reader_bytes(&r, header->dcid_view_len);
    header->scid_view_len = reader_u8(&r);
    header->scid_view = reader_bytes(&r, header->scid_view_len);
    if (r.failed) return WEIR_E_PROTOCOL;
    header->packet_len = len;
    bool fits = cid_set(&header->dcid, header->dcid_view, header->dcid_view_len);
    fits = cid_set(&header->scid, header->scid_view, header->scid_view_len) && fits;
    /* RFC 8999: of another version nothing but version and ids is known, the fixed bit included. */
    if (header->version == 0) return parse_version_negotiation(&r, header);
    if (header->version != PACKET_VERSION) return WEIR_E_UNSUPPORTED;
    if (!fits || (data[0] & FIRST_FIXED) == 0) return WEIR_E_PROTOCOL;
    header->type = (enum packet_type)long_type_of[(data[0] >> FIRST_TYPE_SHIFT) & 3];
    if (header->type == PACKET_RETRY) return parse_retry(&r, header);
    return parse_numbered(data, &r, header);
}

int packet_parse(const uint8_t *data, size_t len, struct packet_header *header)
{
    memset(header, 0, sizeof *header);
    if (len == 0) return WEIR_E_PROTOCOL;
    header->first_byte = data[0];
    if ((data[0] & FIRST_LONG) == 0) return parse_short(data, len, header);
    return parse_long(data, len, header);
}

unsigned packet_number_size(uint64_t pn, uint64_t largest_acked)
{
    /* NONE + 1 wraps to 0, as RFC 9000 A.2 counts without an acknowledgement: pn + 1. */
    uint64_t unacked = pn - largest_acked;
    WEIR_ASSERT(largest_acked == PACKET_NUMBER_NONE || pn > largest_acked);
    if (unacked < UINT64_C(1) << 7) return 1;
    if (unacked < UINT64_C(1) << 15) return 2;
    if (unacked < UINT64_C(1) << 23) return 3;
    return 4;
}

uint64_t packet_number_decode(uint64_t largest, uint64_t truncated, unsigned bits)
{
    uint64_t expected = largest + 1; /* NONE wraps to 0 */
    uint64_t window = UINT64_C(1) << bits;
    uint64_t half = window / 2;
    uint64_t candidate = (expected & ~(window - 1)) | truncated;
    if (candidate + half <= expected && candidate <= VARINT_MAX - window) return candidate + window;
    if (candidate > expected + half && candidate >= window) return candidate - window;
    if (candidate > VARINT_MAX) return candidate - window;
    return candidate;
}

static bool is_long(const uint8_t *packet)
{
    return (packet[0] & FIRST_LONG) != 0;
}

void packet_unprotect(const struct protect_keys *keys, uint8_t *packet,
                      const struct packet_header *header, uint64_t largest_pn, uint64_t *pn,
                      unsigned *pn_size, uint8_t *first_byte)
{
    WEIR_ASSERT(header->pn_offset > 0);
    WEIR_ASSERT(header->length >= PROTECTED_MIN);
    uint8_t mask[PROTECT_MASK_SIZE];
    uint8_t *number = packet + header->pn_offset;
    protect_mask(keys, number + PN_SIZE_MAX, mask);
    packet[0] ^= mask[0] & (is_long(packet) ? FIRST_LONG_MASK : FIRST_SHORT_MASK);
    unsigned size = 1U + (packet[0] & FIRST_PN_SIZE);
    uint64_t truncated = 0;
    for (unsigned i = 0; i < size; i++) {
        number[i] ^= mask[1 + i];
        truncated = truncated << 8 | number[i];
    }
    *pn = packet_number_decode(largest_pn, truncated, 8 * size);
    *pn_size = size;
    *first_byte = packet[0];
}

int packet_open_payload(const struct protect_cipher *cipher, uint8_t *packet,
                        const struct packet_header *header, uint64_t pn, unsigned pn_size,
                        uint8_t **payload, size_t *payload_len)
{
    size_t header_len = header->pn_offset + pn_size;
    size_t sealed_len = header->length - pn_size;
    int error = protect_open(cipher, pn, packet, header_len, packet + header_len, sealed_len);
    if (error != 0) return WEIR_E_DECRYPT;
    *payload = packet + header_len;
    *payload_len = sealed_len - PACKET_TAG_LEN;
    /* Only now: before the AEAD these bits are anybody's, and an answer would tell them apart. */
    uint8_t reserved = is_long(packet) ? FIRST_LONG_RESERVED : FIRST_SHORT_RESERVED;
    if ((packet[0] & reserved) != 0 || *payload_len == 0) return WEIR_E_PROTOCOL;
    return 0;
}

int packet_open(const struct protect_cipher *cipher, uint8_t *packet,
                const struct packet_header *header, uint64_t largest_pn, uint64_t *pn,
                uint8_t **payload, size_t *payload_len, uint8_t *first_byte)
{
    unsigned pn_size = 0;
    packet_unprotect(cipher->keys, packet, header, largest_pn, pn, &pn_size, first_byte);
    return packet_open_payload(cipher, packet, header, *pn, pn_size, payload, payload_len);
}

static uint64_t pn_truncated(uint64_t pn, unsigned pn_size)
{
    return pn & ((UINT64_C(1) << (8 * pn_size)) - 1);
}

static void write_long_start(struct writer *w, uint8_t first_byte, uint32_t version,
                             const struct cid *dcid, const struct cid *scid)
{
    writer_u8(w, first_byte);
    writer_u32(w, version);
    writer_u8(w, dcid->len);
    writer_bytes(w, dcid->bytes, dcid->len);
    writer_u8(w, scid->len);
    writer_bytes(w, scid->bytes, scid->len);
}

size_t packet_long_header_size(enum packet_type type, const struct cid *dcid,
                               const struct cid *scid, size_t token_len, unsigned pn_size)
{
    size_t size = 1 + 4 + 1 + (size_t)dcid->len + 1 + scid->len + LENGTH_FIELD_SIZE + pn_size;
    if (type == PACKET_INITIAL) size += varint_size(token_len) + token_len;
    return size;
}

size_t packet_write_long(struct writer *w, enum packet_type type, uint32_t version,
                         const struct cid *dcid, const struct cid *scid, const uint8_t *token,
                         size_t token_len, uint64_t pn, unsigned pn_size)
{
    WEIR_ASSERT(type == PACKET_INITIAL || type == PACKET_ZERO_RTT || type == PACKET_HANDSHAKE);
    WEIR_ASSERT(pn_size >= 1 && pn_size <= PN_SIZE_MAX);
    WEIR_ASSERT(pn <= VARINT_MAX);
    size_t size = packet_long_header_size(type, dcid, scid, token_len, pn_size);
    if (size > writer_room(w)) return 0;
    unsigned bits = type == PACKET_INITIAL ? 0 : type == PACKET_ZERO_RTT ? 1 : 2;
    unsigned first = FIRST_LONG | FIRST_FIXED | bits << FIRST_TYPE_SHIFT | (pn_size - 1);
    write_long_start(w, (uint8_t)first, version, dcid, scid);
    if (type == PACKET_INITIAL) {
        writer_varint(w, token_len);
        if (token_len > 0) writer_bytes(w, token, token_len);
    }
    writer_varint_sized(w, 0, LENGTH_FIELD_SIZE);
    writer_uint(w, pn_truncated(pn, pn_size), pn_size);
    return size;
}

size_t packet_write_short(struct writer *w, const struct cid *dcid, bool spin, bool key_phase,
                          uint64_t pn, unsigned pn_size)
{
    WEIR_ASSERT(pn_size >= 1 && pn_size <= PN_SIZE_MAX);
    WEIR_ASSERT(pn <= VARINT_MAX);
    size_t size = 1 + (size_t)dcid->len + pn_size;
    if (size > writer_room(w)) return 0;
    unsigned first = FIRST_FIXED | (pn_size - 1);
    if (spin) first |= FIRST_SPIN;
    if (key_phase) first |= FIRST_PHASE;
    writer_u8(w, (uint8_t)first);
    writer_bytes(w, dcid->bytes, dcid->len);
    writer_uint(w, pn_truncated(pn, pn_size), pn_size);
    return size;
}

void packet_finish_long(uint8_t *packet, size_t header_len, unsigned pn_size, size_t payload_len)
{
    size_t length = pn_size + payload_len + PACKET_TAG_LEN;
    WEIR_ASSERT(length <= PACKET_LENGTH_FIELD_MAX);
    WEIR_ASSERT(header_len > LENGTH_FIELD_SIZE + pn_size);
    uint8_t *field = packet + header_len - pn_size - LENGTH_FIELD_SIZE;
    struct writer w = writer_of(field, LENGTH_FIELD_SIZE);
    writer_varint_sized(&w, length, LENGTH_FIELD_SIZE);
}

size_t packet_payload_min(unsigned pn_size)
{
    return pn_size < PN_SIZE_MAX ? PN_SIZE_MAX - pn_size : 1;
}

size_t packet_seal_payload(const struct protect_cipher *cipher, uint8_t *packet, size_t header_len,
                           uint64_t pn, unsigned pn_size, size_t payload_len)
{
    WEIR_ASSERT(payload_len >= packet_payload_min(pn_size));
    WEIR_ASSERT(header_len > pn_size);
    protect_seal(cipher, pn, packet, header_len, packet + header_len, payload_len);
    return header_len + payload_len + PACKET_TAG_LEN;
}

void packet_protect_header(const struct protect_keys *keys, uint8_t *packet, size_t header_len,
                           unsigned pn_size)
{
    uint8_t mask[PROTECT_MASK_SIZE];
    uint8_t *number = packet + header_len - pn_size;
    protect_mask(keys, number + PN_SIZE_MAX, mask);
    packet[0] ^= mask[0] & (is_long(packet) ? FIRST_LONG_MASK : FIRST_SHORT_MASK);
    for (unsigned i = 0; i < pn_size; i++) number[i] ^= mask[1 + i];
}

size_t packet_seal(const struct protect_cipher *cipher, uint8_t *packet, size_t header_len,
                   uint64_t pn, unsigned pn_size, size_t payload_len)
{
    size_t len = packet_seal_payload(cipher, packet, header_len, pn, pn_size, payload_len);
    packet_protect_header(cipher->keys, packet, header_len, pn_size);
    return len;
}

size_t packet_write_version_negotiation(struct writer *w, const uint8_t *dcid, uint8_t dcid_len,
                                        const uint8_t *scid, uint8_t scid_len, uint32_t random)
{
    size_t size = 1 + 4 + 1 + (size_t)dcid_len + 1 + scid_len + 2 * 4;
    if (size > writer_room(w)) return 0;
    writer_u8(w, (uint8_t)(FIRST_LONG | FIRST_FIXED | (random & 0x3f)));
    writer_u32(w, 0);
    writer_u8(w, dcid_len);
    writer_bytes(w, dcid, dcid_len);
    writer_u8(w, scid_len);
    writer_bytes(w, scid, scid_len);
    writer_u32(w, PACKET_VERSION);
    /* RFC 9000 6.3: a reserved version keeps peers from choking on versions yet to come. */
    writer_u32(w, (random & UINT32_C(0xf0f0f0f0)) | UINT32_C(0x0a0a0a0a));
    return size;
}

bool packet_versions_include(const struct packet_header *header, uint32_t version)
{
    struct reader r = reader_of(header->versions, header->versions_count * 4);
    while (reader_left(&r) > 0) {
        if (reader_u32(&r) == version) return true;
    }
    return false;
}

/* RFC 9001 5.8: the tag covers the original destination id, which is not in the packet, so that
 * only one who saw the Initial can make a Retry for it. @return false when too long to check */
static bool retry_tag(const uint8_t *packet, size_t len, const struct cid *odcid,
                      uint8_t tag[PACKET_TAG_LEN])
{
    uint8_t pseudo[1 + CID_MAX + RETRY_MAX];
    if (len > RETRY_MAX) return false;
    pseudo[0] = odcid->len;
    memcpy(pseudo + 1, odcid->bytes, odcid->len);
    memcpy(pseudo + 1 + odcid->len, packet, len);
    schedule_retry_tag(pseudo, 1 + (size_t)odcid->len + len, tag);
    return true;
}

size_t packet_write_retry(struct writer *w, const struct cid *dcid, const struct cid *scid,
                          const uint8_t *token, size_t token_len, const struct cid *odcid)
{
    size_t size = 1 + 4 + 1 + (size_t)dcid->len + 1 + scid->len + token_len;
    uint8_t tag[PACKET_TAG_LEN];
    WEIR_ASSERT(token_len > 0);
    if (token_len > RETRY_MAX || size > RETRY_MAX) return 0;
    if (size + PACKET_TAG_LEN > writer_room(w)) return 0;
    uint8_t *packet = w->at;
    write_long_start(w, FIRST_LONG | FIRST_FIXED | 3 << FIRST_TYPE_SHIFT, PACKET_VERSION, dcid,
                     scid);
    writer_bytes(w, token, token_len);
    (void)retry_tag(packet, size, odcid, tag);
    writer_bytes(w, tag, sizeof tag);
    return size + PACKET_TAG_LEN;
}

bool packet_check_retry(const uint8_t *packet, const struct packet_header *header,
                        const struct cid *odcid)
{
    uint8_t tag[PACKET_TAG_LEN];
    if (header->type != PACKET_RETRY) return false;
    if (!retry_tag(packet, header->packet_len - PACKET_TAG_LEN, odcid, tag)) return false;
    /* The key is public: constant time would protect nothing. */
    return memcmp(tag, header->retry_tag, sizeof tag) == 0;
}
