/* SPDX-License-Identifier: MIT */
/* Goal: headers, packet numbers and protection are RFC 9000's and RFC 9001's, and no bytes can make
 * the parser read beyond them. Method: the RFCs' samples, round trips, a table of broken packets,
 * every truncation and every single flipped byte of good ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/protect.h"
#include "crypto/secret.h"
#include "json.h"
#include "quic/packet.h"
#include "weir.h"

static const struct cid client_id = {8, {0xc1, 2, 3, 4, 5, 6, 7, 8}};
static const struct cid server_id = {8, {0x51, 9, 9, 9, 9, 9, 9, 9}};
static const struct cid long_id = {20, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}};
static const struct cid no_id = {0, {0}};

/* Of suite 01 for an odd seed, else of suite 02 where the processor has it. */
static void keys_make(struct protect_keys *keys, struct protect_cipher *cipher, uint8_t seed)
{
    uint8_t secret[32];
    unsigned suite = seed % 2 == 0 && aead_prefers_aes() ? 2 : 1;
    memset(secret, seed, sizeof secret);
    assert_int_equal(protect_keys_derive(keys, suite, secret), 0);
    protect_cipher_init(cipher, keys);
}

/* Writes one whole protected packet, by the two halves of packet_seal. @return its length */
static size_t packet_make(uint8_t *out, size_t cap, const struct protect_cipher *cipher,
                          enum packet_type type, uint64_t pn, unsigned pn_size,
                          const uint8_t *payload, size_t len)
{
    static const uint8_t token[] = {7, 7, 7};
    struct writer w = writer_of(out, cap);
    size_t header_len;
    if (type == PACKET_SHORT) {
        header_len = packet_write_short(&w, &server_id, true, false, pn, pn_size);
    } else {
        size_t token_len = type == PACKET_INITIAL ? sizeof token : 0;
        header_len = packet_write_long(&w, type, PACKET_VERSION, &server_id, &client_id, token,
                                       token_len, pn, pn_size);
        assert_int_equal(header_len,
                         packet_long_header_size(type, &server_id, &client_id, token_len, pn_size));
        packet_finish_long(out, header_len, pn_size, len);
    }
    assert_true(header_len > 0);
    assert_int_equal(header_len, writer_len(&w));
    writer_bytes(&w, payload, len);
    assert_false(w.full);
    size_t whole = packet_seal_payload(cipher, out, header_len, pn, pn_size, len);
    packet_protect_header(cipher->keys, out, header_len, pn_size);
    return whole;
}

static void test_numbers_are_encoded_as_in_rfc_9000_appendix_a_2(void **state)
{
    (void)state;
    assert_int_equal(packet_number_size(0xac5c02, 0xabe8b3), 2);
    assert_int_equal(packet_number_size(0xace8fe, 0xabe8b3), 3);
    assert_int_equal(packet_number_size(0, PACKET_NUMBER_NONE), 1);
    assert_int_equal(packet_number_size(126, PACKET_NUMBER_NONE), 1);
    assert_int_equal(packet_number_size(127, PACKET_NUMBER_NONE), 2);
    assert_int_equal(packet_number_size(1000 + 127, 1000), 1);
    assert_int_equal(packet_number_size(1000 + 128, 1000), 2);
    assert_int_equal(packet_number_size(1000 + 32767, 1000), 2);
    assert_int_equal(packet_number_size(1000 + 32768, 1000), 3);
    assert_int_equal(packet_number_size(1000 + 0x7fffff, 1000), 3);
    assert_int_equal(packet_number_size(1000 + 0x800000, 1000), 4);
    /* Whoever makes us send acknowledgements and acknowledges nothing takes us there. */
    assert_int_equal(packet_number_size(1000 + (UINT64_C(1) << 31), 1000), 4);
    assert_int_equal(packet_number_size(VARINT_MAX, PACKET_NUMBER_NONE), 4);
}

static void test_numbers_are_decoded_to_the_nearest(void **state)
{
    static const struct {
        uint64_t largest, truncated;
        unsigned bits;
        uint64_t full;
    } rows[] = {
        {0xa82f30ea, 0x9b32, 16, 0xa82f9b32}, /* RFC 9000 A.3 */
        {PACKET_NUMBER_NONE, 0, 8, 0},
        {PACKET_NUMBER_NONE, 0xff, 8, 0xff}, /* below zero is no choice */
        {0, 1, 8, 1},
        {254, 0x00, 8, 256},
        {255, 0xff, 8, 255},
        {256, 0xff, 8, 255},
        {0x17f, 0x00, 8, 0x200}, /* exactly half a window ahead: upwards */
        {0x17f, 0x01, 8, 0x101}, /* a little less: downwards */
        {0xffff, 0x0000, 16, 0x10000},
        {0x3fffffffffffffff, 0xff, 8, 0x3fffffffffffffff},
        {0x3fffffffffffffff, 0x00, 8, 0x3fffffffffffff00}, /* 2^62 is no packet number */
        {0x3ffffffffffffffe, 0xffffffff, 32, 0x3fffffffffffffff},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t got = packet_number_decode(rows[i].largest, rows[i].truncated, rows[i].bits);
        if (got != rows[i].full) print_message("row %zu\n", i);
        assert_true(got == rows[i].full);
    }
}

static void test_each_encoded_number_is_decoded_at_any_loss(void **state)
{
    (void)state;
    for (uint64_t largest = 0; largest < 70000; largest += 97) {
        for (uint64_t ahead = 1; ahead < 40000; ahead += 313) {
            uint64_t pn = largest + ahead;
            unsigned size = packet_number_size(pn, largest);
            uint64_t truncated = pn & ((UINT64_C(1) << 8 * size) - 1);
            /* The receiver knows what was acknowledged, at least. */
            assert_true(packet_number_decode(largest, truncated, 8 * size) == pn);
            assert_true(packet_number_decode(pn - 1, truncated, 8 * size) == pn);
        }
    }
}

static void test_numbers_agree_with_the_published_vectors(void **state)
{
    (void)state;
    char *text = json_load(WEIR_VECTORS "/quic/rfc9000_appendix_a.json");
    if (text == NULL) {
        print_message("absent: ../shared/vectors/quic/rfc9000_appendix_a.json\n");
        skip();
    }
    unsigned seen = 0;
    struct json item = {0}, list = json_get(json_parse(text), "packet_number_encode");
    for (; json_next(list, &item); seen++) {
        uint64_t pn = (uint64_t)json_integer(json_get(item, "full_pn"));
        uint64_t acked = (uint64_t)json_integer(json_get(item, "largest_acked"));
        assert_int_equal(packet_number_size(pn, acked), json_integer(json_get(item, "bytes")));
    }
    item = (struct json){0};
    list = json_get(json_parse(text), "packet_number_decode");
    for (; json_next(list, &item); seen++) {
        uint64_t got = packet_number_decode((uint64_t)json_integer(json_get(item, "largest_pn")),
                                            (uint64_t)json_integer(json_get(item, "truncated")),
                                            (unsigned)json_integer(json_get(item, "bits")));
        assert_true(got == (uint64_t)json_integer(json_get(item, "full")));
    }
    assert_true(seen >= 3);
    free(text);
}

/* RFC 9001 A.5; the destination id is empty there, so the header is made by hand. */
static const uint8_t a5_secret[32] = {
    0x9a, 0xc3, 0x12, 0xa7, 0xf8, 0x77, 0x46, 0x8e, 0xbe, 0x69, 0x42, 0x27, 0x48, 0xad, 0x00, 0xa1,
    0x54, 0x43, 0xf1, 0x82, 0x03, 0xa0, 0x7d, 0x60, 0x60, 0xf6, 0x88, 0xf3, 0x0f, 0x21, 0x63, 0x2b};
static const uint8_t a5_packet[21] = {0x4c, 0xfe, 0x41, 0x89, 0x65, 0x5e, 0x5c,
                                      0xd5, 0x5c, 0x41, 0xf6, 0x90, 0x80, 0x57,
                                      0x5d, 0x79, 0x99, 0xc2, 0x5a, 0x5b, 0xfb};
enum { A5_NUMBER = 654360564 };

static void test_the_chacha_packet_of_rfc_9001_is_sealed(void **state)
{
    struct protect_keys keys;
    struct protect_cipher cipher;
    uint8_t packet[64];
    struct writer w = writer_of(packet, sizeof packet);
    (void)state;
    assert_int_equal(protect_keys_derive(&keys, AEAD_CHACHA20_POLY1305, a5_secret), 0);
    protect_cipher_init(&cipher, &keys);
    size_t header_len = packet_write_short(&w, &no_id, false, false, A5_NUMBER, 3);
    assert_int_equal(header_len, 4);
    assert_memory_equal(packet, "\x42\x00\xbf\xf4", 4);
    packet[4] = 0x01;
    assert_int_equal(packet_seal(&cipher, packet, header_len, A5_NUMBER, 3, 1), sizeof a5_packet);
    assert_memory_equal(packet, a5_packet, sizeof a5_packet);
}

static void test_the_chacha_packet_of_rfc_9001_is_opened(void **state)
{
    struct protect_keys keys;
    struct protect_cipher cipher;
    uint8_t packet[sizeof a5_packet], *payload = NULL, first_byte = 0;
    struct packet_header header = {.type = PACKET_SHORT, .pn_offset = 1, .length = 20};
    uint64_t pn = 0;
    size_t len = 0;
    (void)state;
    memcpy(packet, a5_packet, sizeof packet);
    assert_int_equal(protect_keys_derive(&keys, AEAD_CHACHA20_POLY1305, a5_secret), 0);
    protect_cipher_init(&cipher, &keys);
    assert_int_equal(
        packet_open(&cipher, packet, &header, A5_NUMBER - 1, &pn, &payload, &len, &first_byte), 0);
    assert_int_equal(pn, A5_NUMBER);
    assert_int_equal(len, 1);
    assert_int_equal(payload[0], 0x01);
    assert_int_equal(first_byte, 0x42);
}

static void test_every_type_and_number_size_comes_back(void **state)
{
    static const enum packet_type types[] = {PACKET_INITIAL, PACKET_ZERO_RTT, PACKET_HANDSHAKE,
                                             PACKET_SHORT};
    struct protect_keys keys;
    struct protect_cipher cipher;
    (void)state;
    keys_make(&keys, &cipher, 1);
    for (unsigned t = 0; t < 4; t++) {
        for (unsigned size = 1; size <= 4; size++) {
            uint8_t packet[256], text[100], *payload = NULL, first_byte = 0;
            struct packet_header header;
            uint64_t pn = 0;
            size_t payload_len = 0;
            memset(text, 0x5a, sizeof text);
            size_t len = packet_make(packet, sizeof packet, &cipher, types[t], 77, size, text, 100);
            assert_int_equal(packet_parse(packet, len, &header), 0);
            assert_int_equal(header.type, types[t]);
            assert_int_equal(header.packet_len, len);
            assert_true(cid_equal(&header.dcid, &server_id));
            assert_true(cid_equal(&header.scid, types[t] == PACKET_SHORT ? &no_id : &client_id));
            assert_int_equal(header.token_len, types[t] == PACKET_INITIAL ? 3 : 0);
            assert_int_equal(
                packet_open(&cipher, packet, &header, 76, &pn, &payload, &payload_len, &first_byte),
                0);
            assert_int_equal(pn, 77);
            assert_int_equal(payload_len, sizeof text);
            assert_memory_equal(payload, text, sizeof text);
            assert_int_equal(first_byte & 3, size - 1);
            assert_int_equal((first_byte & 0x20) != 0, types[t] == PACKET_SHORT || t == 2);
        }
    }
}

static void test_coalesced_packets_are_parsed_one_after_the_other(void **state)
{
    struct protect_keys keys;
    struct protect_cipher cipher;
    uint8_t datagram[512], text[64] = {1};
    struct packet_header header;
    (void)state;
    keys_make(&keys, &cipher, 2);
    size_t first = packet_make(datagram, 200, &cipher, PACKET_INITIAL, 0, 1, text, 40);
    size_t second = packet_make(datagram + first, 200, &cipher, PACKET_HANDSHAKE, 0, 1, text, 50);
    size_t len = first + second;
    len += packet_make(datagram + len, 100, &cipher, PACKET_SHORT, 0, 1, text, 3);
    assert_int_equal(packet_parse(datagram, len, &header), 0);
    assert_int_equal(header.type, PACKET_INITIAL);
    assert_int_equal(header.packet_len, first);
    assert_int_equal(packet_parse(datagram + first, len - first, &header), 0);
    assert_int_equal(header.type, PACKET_HANDSHAKE);
    assert_int_equal(header.packet_len, second);
    assert_int_equal(packet_parse(datagram + first + second, len - first - second, &header), 0);
    assert_int_equal(header.type, PACKET_SHORT);
    assert_int_equal(header.packet_len, len - first - second);
}

static void test_the_least_payload_leaves_a_full_sample(void **state)
{
    struct protect_keys keys;
    struct protect_cipher cipher;
    (void)state;
    keys_make(&keys, &cipher, 3);
    for (unsigned size = 1; size <= 4; size++) {
        uint8_t packet[64], text[4] = {1, 0, 0, 0}, *payload = NULL, first_byte = 0;
        struct packet_header header;
        uint64_t pn = 0;
        size_t payload_len = 0, least = packet_payload_min(size);
        assert_int_equal(least, size == 4 ? 1 : 4 - size);
        size_t len =
            packet_make(packet, sizeof packet, &cipher, PACKET_SHORT, 5, size, text, least);
        assert_true(len >= 29);
        assert_int_equal(packet_parse(packet, len, &header), 0);
        assert_int_equal(
            packet_open(&cipher, packet, &header, 4, &pn, &payload, &payload_len, &first_byte), 0);
        assert_int_equal(payload_len, least);
    }
}

static void test_any_flipped_byte_is_refused(void **state)
{
    struct protect_keys keys;
    struct protect_cipher cipher;
    uint8_t good[200], text[60] = {1}, bad[200], *payload, first_byte;
    struct packet_header header;
    uint64_t pn;
    size_t payload_len;
    (void)state;
    keys_make(&keys, &cipher, 4);
    size_t len = packet_make(good, sizeof good, &cipher, PACKET_HANDSHAKE, 9, 2, text, sizeof text);
    for (size_t i = 0; i < len; i++) {
        memcpy(bad, good, len);
        bad[i] ^= 0x01;
        if (packet_parse(bad, len, &header) != 0) continue;
        if (header.pn_offset == 0) continue;
        assert_int_equal(
            packet_open(&cipher, bad, &header, 8, &pn, &payload, &payload_len, &first_byte),
            WEIR_E_DECRYPT);
    }
}

static void test_reserved_bits_are_told_only_of_authentic_packets(void **state)
{
    static const struct {
        enum packet_type type;
        uint8_t bits;
    } rows[] = {{PACKET_HANDSHAKE, 0x04}, {PACKET_HANDSHAKE, 0x08}, {PACKET_INITIAL, 0x0c},
                {PACKET_SHORT, 0x08},     {PACKET_SHORT, 0x10},     {PACKET_SHORT, 0x18}};
    struct protect_keys keys, other_keys;
    struct protect_cipher cipher, other;
    (void)state;
    keys_make(&keys, &cipher, 5);
    keys_make(&other_keys, &other, 6);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int authentic = 0; authentic < 2; authentic++) {
            uint8_t packet[200], *payload = NULL, first_byte = 0;
            struct packet_header header;
            struct writer w = writer_of(packet, sizeof packet);
            uint64_t pn = 0;
            size_t payload_len = 0, header_len;
            if (rows[i].type == PACKET_SHORT) {
                header_len = packet_write_short(&w, &server_id, false, false, 3, 2);
            } else {
                header_len = packet_write_long(&w, rows[i].type, PACKET_VERSION, &server_id,
                                               &client_id, NULL, 0, 3, 2);
                packet_finish_long(packet, header_len, 2, 30);
            }
            writer_zero(&w, 30);
            packet[0] |= rows[i].bits;
            size_t len = packet_seal(authentic ? &cipher : &other, packet, header_len, 3, 2, 30);
            assert_int_equal(packet_parse(packet, len, &header), 0);
            int got =
                packet_open(&cipher, packet, &header, 2, &pn, &payload, &payload_len, &first_byte);
            assert_int_equal(got, authentic ? WEIR_E_PROTOCOL : WEIR_E_DECRYPT);
            if (authentic) assert_int_equal(pn, 3);
            if (authentic) assert_int_equal(payload_len, 30);
        }
    }
}

static void test_a_packet_without_frames_is_a_violation(void **state)
{
    struct protect_keys keys;
    struct protect_cipher cipher;
    uint8_t packet[64] = {0x43}, *payload = NULL, first_byte = 0, mask[5];
    struct packet_header header;
    uint64_t pn = 0;
    size_t payload_len = 1;
    (void)state;
    keys_make(&keys, &cipher, 7);
    /* packet_seal refuses to make one: four bytes of number, no payload. */
    protect_seal(&cipher, 0, packet, 13, packet + 13, 0);
    protect_mask(&keys, packet + 13, mask);
    packet[0] ^= mask[0] & 0x1f;
    for (unsigned i = 0; i < 4; i++) packet[9 + i] ^= mask[1 + i];
    assert_int_equal(packet_parse(packet, 29, &header), 0);
    assert_int_equal(packet_open(&cipher, packet, &header, PACKET_NUMBER_NONE, &pn, &payload,
                                 &payload_len, &first_byte),
                     WEIR_E_PROTOCOL);
    assert_int_equal(payload_len, 0);
}

struct broken {
    const char *what;
    uint8_t bytes[64];
    size_t len;
    int error;
};
#define V 0x77, 0x65, 0x69, 0x72
static const struct broken broken_rows[] = {
    {"nothing", {0}, 0, WEIR_E_PROTOCOL},
    {"short without fixed bit", {0x00}, 40, WEIR_E_PROTOCOL},
    {"short, one byte below the least", {0x40}, 28, WEIR_E_PROTOCOL},
    {"short, the least", {0x40}, 29, 0},
    {"long, only a first byte", {0xc0}, 1, WEIR_E_PROTOCOL},
    {"long, cut in the version", {0xc0, V}, 4, WEIR_E_PROTOCOL},
    {"long, cut before the ids", {0xc0, V}, 5, WEIR_E_PROTOCOL},
    {"long, dcid beyond the end", {0xc0, V, 8, 1, 2}, 8, WEIR_E_PROTOCOL},
    {"long, scid beyond the end", {0xc0, V, 1, 1, 9, 2}, 10, WEIR_E_PROTOCOL},
    {"long, dcid of 21 bytes", {0xe0, V, 21}, 60, WEIR_E_PROTOCOL},
    {"long, scid of 21 bytes", {0xe0, V, 0, 21}, 60, WEIR_E_PROTOCOL},
    {"long without fixed bit", {0xa0, V, 0, 0, 20}, 28, WEIR_E_PROTOCOL},
    {"handshake, the least", {0xe0, V, 0, 0, 20}, 28, 0},
    {"handshake, length below a sample", {0xe0, V, 0, 0, 19}, 28, WEIR_E_PROTOCOL},
    {"handshake, length beyond the end", {0xe0, V, 0, 0, 21}, 28, WEIR_E_PROTOCOL},
    {"handshake, length 2^62-1",
     {0xe0, V, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
     60,
     WEIR_E_PROTOCOL},
    {"initial, token beyond the end", {0xc0, V, 0, 0, 60, 20}, 60, WEIR_E_PROTOCOL},
    {"initial, token length 2^62-1",
     {0xc0, V, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
     60,
     WEIR_E_PROTOCOL},
    {"initial, the least", {0xc0, V, 0, 0, 0, 20}, 29, 0},
    {"retry, empty token", {0xf0, V, 0, 0}, 23, WEIR_E_PROTOCOL},
    {"retry, one byte of token", {0xf0, V, 0, 0}, 24, 0},
    {"negotiation without versions", {0xc0, 0, 0, 0, 0, 0, 0}, 7, WEIR_E_PROTOCOL},
    {"negotiation, half a version", {0xc0, 0, 0, 0, 0, 0, 0}, 9, WEIR_E_PROTOCOL},
    {"negotiation, one version", {0x80, 0, 0, 0, 0, 0, 0}, 11, 0},
    {"negotiation, dcid of 21 bytes", {0xc0, 0, 0, 0, 0, 21}, 31, WEIR_E_PROTOCOL},
    {"other version", {0xc0, 0, 0, 0, 1, 0, 0}, 7, WEIR_E_UNSUPPORTED},
    {"other version without fixed bit", {0x80, 1, 2, 3, 4, 0, 0}, 7, WEIR_E_UNSUPPORTED},
    {"other version, cut ids", {0xc0, 1, 2, 3, 4, 9, 0}, 7, WEIR_E_PROTOCOL},
};

static void test_broken_headers_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken_rows / sizeof broken_rows[0]; i++) {
        const struct broken *row = &broken_rows[i];
        struct packet_header header;
        uint8_t *copy = malloc(row->len + 1); /* exact length: ASan sees an over-read */
        copy = realloc(copy, row->len > 0 ? row->len : 1);
        memcpy(copy, row->bytes, row->len);
        int got = packet_parse(copy, row->len, &header);
        if (got != row->error) print_message("%s: %d\n", row->what, got);
        assert_int_equal(got, row->error);
        free(copy);
    }
}

static void test_every_truncation_is_parsed_or_refused(void **state)
{
    struct protect_keys keys;
    struct protect_cipher cipher;
    uint8_t good[200], text[60] = {1};
    (void)state;
    keys_make(&keys, &cipher, 8);
    size_t len = packet_make(good, sizeof good, &cipher, PACKET_INITIAL, 9, 2, text, sizeof text);
    for (size_t cut = 1; cut < len; cut++) {
        struct packet_header header;
        uint8_t *copy = malloc(cut);
        memcpy(copy, good, cut);
        assert_int_equal(packet_parse(copy, cut, &header), WEIR_E_PROTOCOL);
        free(copy);
    }
}

static void test_ids_of_an_unknown_version_can_be_echoed(void **state)
{
    uint8_t packet[700] = {0xc0, 0xde, 0xad, 0xbe, 0xef, 255}, answer[700];
    struct packet_header header;
    (void)state;
    memset(packet + 6, 0xd1, 255);
    packet[6 + 255] = 200;
    memset(packet + 7 + 255, 0x5c, 200);
    assert_int_equal(packet_parse(packet, sizeof packet, &header), WEIR_E_UNSUPPORTED);
    assert_int_equal(header.version, 0xdeadbeef);
    assert_int_equal(header.dcid_view_len, 255);
    assert_int_equal(header.scid_view_len, 200);
    assert_int_equal(header.dcid.len, 0);

    struct writer w = writer_of(answer, sizeof answer);
    size_t len =
        packet_write_version_negotiation(&w, header.scid_view, header.scid_view_len,
                                         header.dcid_view, header.dcid_view_len, 0x12345678);
    assert_int_equal(len, 1 + 4 + 1 + 200 + 1 + 255 + 8);
    assert_int_equal(len, writer_len(&w));
    assert_true(answer[0] >= 0xc0);
    assert_memory_equal(answer + 1, "\0\0\0\0\xc8\x5c", 6);
    assert_int_equal(answer[6 + 200], 255);
    assert_int_equal(answer[6 + 200 + 1], 0xd1);

    w = writer_of(answer, len - 1);
    assert_int_equal(packet_write_version_negotiation(&w, packet, 200, packet, 255, 0), 0);
    assert_int_equal(writer_len(&w), 0);
    assert_false(w.full);
}

static void test_version_negotiation_comes_back(void **state)
{
    uint8_t packet[64];
    struct packet_header header;
    struct writer w = writer_of(packet, sizeof packet);
    (void)state;
    size_t len =
        packet_write_version_negotiation(&w, client_id.bytes, 8, server_id.bytes, 8, 0xffffffff);
    assert_int_equal(packet_parse(packet, len, &header), 0);
    assert_int_equal(header.type, PACKET_VERSION_NEGOTIATION);
    assert_true(cid_equal(&header.dcid, &client_id));
    assert_true(cid_equal(&header.scid, &server_id));
    assert_int_equal(header.versions_count, 2);
    assert_int_equal(header.packet_len, len);
    assert_true(packet_versions_include(&header, PACKET_VERSION));
    assert_true(packet_versions_include(&header, 0xfafafafa));
    assert_false(packet_versions_include(&header, 1));
}

static void test_a_retry_is_good_only_for_its_initial(void **state)
{
    uint8_t packet[128], token[40];
    struct packet_header header;
    struct writer w = writer_of(packet, sizeof packet);
    struct cid odcid = {10, {1, 1, 2, 3, 5, 8, 13, 21, 34, 55}};
    (void)state;
    memset(token, 0x70, sizeof token);
    size_t len = packet_write_retry(&w, &client_id, &long_id, token, sizeof token, &odcid);
    assert_int_equal(len, 1 + 4 + 1 + 8 + 1 + 20 + 40 + 16);
    assert_int_equal(packet_parse(packet, len, &header), 0);
    assert_int_equal(header.type, PACKET_RETRY);
    assert_int_equal(header.token_len, sizeof token);
    assert_memory_equal(header.token, token, sizeof token);
    assert_true(cid_equal(&header.scid, &long_id));
    assert_true(packet_check_retry(packet, &header, &odcid));
    odcid.bytes[9] ^= 1;
    assert_false(packet_check_retry(packet, &header, &odcid));
    odcid.bytes[9] ^= 1;
    for (size_t i = 0; i < len; i++) {
        packet[i] ^= 0x01;
        if (packet_parse(packet, len, &header) == 0 && header.type == PACKET_RETRY) {
            assert_false(packet_check_retry(packet, &header, &odcid));
        }
        packet[i] ^= 0x01;
    }
    w = writer_of(packet, len - 1);
    assert_int_equal(packet_write_retry(&w, &client_id, &long_id, token, 40, &odcid), 0);
    assert_int_equal(writer_len(&w), 0);
}

static void test_a_retry_too_long_to_answer_is_refused(void **state)
{
    static uint8_t packet[3000];
    struct packet_header header;
    (void)state;
    memcpy(packet, "\xf0\x77\x65\x69\x72\0\0", 7);
    assert_int_equal(packet_parse(packet, sizeof packet, &header), 0);
    assert_false(packet_check_retry(packet, &header, &client_id));
}

static void test_headers_that_do_not_fit_write_nothing(void **state)
{
    uint8_t out[64];
    (void)state;
    size_t need = packet_long_header_size(PACKET_INITIAL, &server_id, &client_id, 3, 2);
    assert_int_equal(need, 1 + 4 + 1 + 8 + 1 + 8 + 1 + 3 + 2 + 2);
    for (size_t cap = 0; cap <= need; cap++) {
        struct writer w = writer_of(out, cap);
        size_t got = packet_write_long(&w, PACKET_INITIAL, PACKET_VERSION, &server_id, &client_id,
                                       (const uint8_t *)"abc", 3, 1, 2);
        assert_int_equal(got, cap < need ? 0 : need);
        assert_int_equal(writer_len(&w), got);
        assert_false(w.full);
    }
    struct writer w = writer_of(out, 10);
    assert_int_equal(packet_write_short(&w, &server_id, false, true, 1, 2), 0);
    w = writer_of(out, 11);
    assert_int_equal(packet_write_short(&w, &server_id, false, true, 1, 2), 11);
    assert_int_equal(out[0], 0x45);
}

static void test_the_length_field_always_takes_two_bytes(void **state)
{
    uint8_t out[64];
    struct writer w = writer_of(out, sizeof out);
    (void)state;
    size_t len =
        packet_write_long(&w, PACKET_HANDSHAKE, PACKET_VERSION, &no_id, &no_id, NULL, 0, 0, 1);
    packet_finish_long(out, len, 1, 3);
    assert_memory_equal(out + len - 3, "\x40\x14\x00", 3);
    packet_finish_long(out, len, 1, PACKET_LENGTH_FIELD_MAX - 17);
    assert_memory_equal(out + len - 3, "\x7f\xff\x00", 3);
}

static void test_ids_longer_than_twenty_bytes_are_not_kept(void **state)
{
    struct cid cid;
    uint8_t bytes[21] = {1, 2, 3};
    (void)state;
    assert_true(cid_set(&cid, bytes, 20));
    assert_int_equal(cid.len, 20);
    assert_false(cid_set(&cid, bytes, 21));
    assert_true(cid_equal(&cid, &no_id));
    assert_true(cid_set(&cid, NULL, 0));
    assert_false(cid_equal(&client_id, &server_id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_encoded_as_in_rfc_9000_appendix_a_2),
        cmocka_unit_test(test_numbers_are_decoded_to_the_nearest),
        cmocka_unit_test(test_each_encoded_number_is_decoded_at_any_loss),
        cmocka_unit_test(test_numbers_agree_with_the_published_vectors),
        cmocka_unit_test(test_the_chacha_packet_of_rfc_9001_is_sealed),
        cmocka_unit_test(test_the_chacha_packet_of_rfc_9001_is_opened),
        cmocka_unit_test(test_every_type_and_number_size_comes_back),
        cmocka_unit_test(test_coalesced_packets_are_parsed_one_after_the_other),
        cmocka_unit_test(test_the_least_payload_leaves_a_full_sample),
        cmocka_unit_test(test_any_flipped_byte_is_refused),
        cmocka_unit_test(test_reserved_bits_are_told_only_of_authentic_packets),
        cmocka_unit_test(test_a_packet_without_frames_is_a_violation),
        cmocka_unit_test(test_broken_headers_are_named),
        cmocka_unit_test(test_every_truncation_is_parsed_or_refused),
        cmocka_unit_test(test_ids_of_an_unknown_version_can_be_echoed),
        cmocka_unit_test(test_version_negotiation_comes_back),
        cmocka_unit_test(test_a_retry_is_good_only_for_its_initial),
        cmocka_unit_test(test_a_retry_too_long_to_answer_is_refused),
        cmocka_unit_test(test_headers_that_do_not_fit_write_nothing),
        cmocka_unit_test(test_the_length_field_always_takes_two_bytes),
        cmocka_unit_test(test_ids_longer_than_twenty_bytes_are_not_kept),
    };
    if (secret_init() != 0) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
