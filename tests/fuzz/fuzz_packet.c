/* SPDX-License-Identifier: MIT */
/* Goal: any datagram is parsed, opened under a key that anybody knows, or refused; never more. A
 * payload that the fuzzer invents is also sealed and must come back. */
#include "base/assert.h"
#include "crypto/protect.h"
#include "fuzz/fuzz.h"
#include "quic/packet.h"
#include "weir.h"

#include <string.h>

static void keys_make(struct protect_keys *keys)
{
    static const uint8_t secret[32] = {1};
    WEIR_ASSERT(protect_keys_derive(keys, AEAD_CHACHA20_POLY1305, secret) == 0);
}

static void check_views(const uint8_t *data, size_t len, const struct packet_header *h)
{
    WEIR_ASSERT(h->packet_len >= 1 && h->packet_len <= len);
    WEIR_ASSERT(h->dcid.len <= CID_MAX && h->scid.len <= CID_MAX);
    if (h->token_len > 0) {
        WEIR_ASSERT(h->token >= data && h->token + h->token_len <= data + len);
    }
    if (h->pn_offset > 0) {
        WEIR_ASSERT(h->length >= 20);
        WEIR_ASSERT(h->pn_offset + h->length == h->packet_len);
    }
}

static void open_datagram(const struct protect_cipher *cipher, uint8_t *data, size_t size)
{
    struct packet_header header;
    struct cid odcid = {8, {1, 2, 3, 4, 5, 6, 7, 8}};
    while (size > 0) {
        int error = packet_parse(data, size, &header);
        if (error == WEIR_E_UNSUPPORTED) {
            uint8_t answer[600];
            struct writer w = writer_of(answer, sizeof answer);
            WEIR_ASSERT(packet_write_version_negotiation(&w, header.scid_view, header.scid_view_len,
                                                         header.dcid_view, header.dcid_view_len,
                                                         1) > 0);
        }
        if (error != 0) return;
        check_views(data, size, &header);
        if (header.type == PACKET_RETRY) (void)packet_check_retry(data, &header, &odcid);
        if (header.type == PACKET_VERSION_NEGOTIATION) (void)packet_versions_include(&header, 1);
        if (header.pn_offset > 0) {
            uint64_t pn;
            uint8_t *payload, first_byte;
            size_t payload_len;
            error =
                packet_open(cipher, data, &header, 1000, &pn, &payload, &payload_len, &first_byte);
            WEIR_ASSERT(pn <= VARINT_MAX);
            if (error == 0) WEIR_ASSERT(payload + payload_len + 16 == data + header.packet_len);
        }
        data += header.packet_len;
        size -= header.packet_len;
    }
}

static void seal_and_open(const struct protect_cipher *cipher, const uint8_t *data, size_t size)
{
    static uint8_t packet[4096];
    struct cid dcid = {CID_LOCAL_LEN, {0}}, scid = {0, {0}};
    struct packet_header header;
    struct writer w = writer_of(packet, sizeof packet);
    unsigned choice = data[0];
    unsigned pn_size = 1 + (choice & 3);
    uint64_t pn = 1000 + (data[1] & 0x7f), got = 0;
    size_t header_len, len = size - 2;
    if (len < packet_payload_min(pn_size) || len > 2000) return;
    memcpy(dcid.bytes, data, 2);
    if ((choice & 4) != 0) {
        header_len = packet_write_short(&w, &dcid, choice & 8, choice & 16, pn, pn_size);
    } else {
        enum packet_type type = (choice & 8) != 0 ? PACKET_INITIAL : PACKET_HANDSHAKE;
        header_len = packet_write_long(&w, type, PACKET_VERSION, &dcid, &scid, data,
                                       type == PACKET_INITIAL ? 2 : 0, pn, pn_size);
        packet_finish_long(packet, header_len, pn_size, len);
    }
    writer_bytes(&w, data + 2, len);
    size_t whole = packet_seal(cipher, packet, header_len, pn, pn_size, len);
    WEIR_ASSERT(packet_parse(packet, whole, &header) == 0);
    WEIR_ASSERT(header.packet_len == whole && cid_equal(&header.dcid, &dcid));
    uint8_t *payload = NULL, first_byte = 0;
    size_t payload_len = 0;
    WEIR_ASSERT(
        packet_open(cipher, packet, &header, 999, &got, &payload, &payload_len, &first_byte) == 0);
    WEIR_ASSERT(got == pn && payload_len == len);
    WEIR_ASSERT(memcmp(payload, data + 2, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t copy[4096];
    struct protect_keys keys;
    struct protect_cipher cipher;
    if (size > sizeof copy) return 0;
    keys_make(&keys);
    protect_cipher_init(&cipher, &keys);
    if (size > 2) seal_and_open(&cipher, data, size);
    if (size > 0) memcpy(copy, data, size);
    open_datagram(&cipher, copy, size);
    return 0;
}
