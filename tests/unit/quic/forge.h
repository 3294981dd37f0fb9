/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_UNIT_QUIC_FORGE_H
#define WEIR_TESTS_UNIT_QUIC_FORGE_H
/* What somebody on the path can make: Initial packets of either side (their keys come from an id
 * that is sent in the clear), and whole answers of a server with another identity. */
#include "pair.h"
#include "quic/connection.h"

/* What a first datagram shows to everybody. */
struct forge_first {
    struct cid dcid, scid;
    uint8_t message[HANDSHAKE_FIRST_LEN];
    bool has_message;
    size_t token_len;
};

static inline void forge_read_first(const uint8_t *bytes, size_t len, struct forge_first *out)
{
    static uint8_t copy[65536];
    struct packet_header h;
    struct protect_keys read, write;
    uint64_t number;
    uint8_t *payload, first;
    size_t payload_len;
    memset(out, 0, sizeof *out);
    memcpy(copy, bytes, len);
    assert_int_equal(packet_parse(copy, len, &h), 0);
    assert_int_equal(h.type, PACKET_INITIAL);
    out->dcid = h.dcid;
    out->scid = h.scid;
    out->token_len = h.token_len;
    conn_handshake_initial_keys(&h.dcid, false, &read, &write);
    struct protect_cipher cipher;
    protect_cipher_init(&cipher, &read);
    assert_int_equal(
        packet_open(&cipher, copy, &h, PACKET_NUMBER_NONE, &number, &payload, &payload_len, &first),
        0);
    struct reader r = reader_of(payload, payload_len);
    struct frame f;
    while (reader_left(&r) > 0 && frame_read(&r, &f) == 0) {
        if (f.type != FRAME_CRYPTO || f.u.crypto.offset != 0 ||
            f.u.crypto.len != sizeof out->message)
            continue;
        memcpy(out->message, f.u.crypto.data, sizeof out->message);
        out->has_message = true;
    }
}

/* Seal a payload as a long packet. pad_to: bytes of the whole packet at least, by PADDING frames.
 * @return bytes */
static inline size_t forge_long(const struct protect_keys *keys, enum packet_type type,
                                const struct cid *dcid, const struct cid *scid,
                                const uint8_t *token, size_t token_len, uint64_t number,
                                const uint8_t *payload, size_t len, size_t pad_to, uint8_t *out,
                                size_t cap)
{
    struct writer w = writer_of(out, cap);
    size_t header =
        packet_write_long(&w, type, PACKET_VERSION, dcid, scid, token, token_len, number, 4);
    assert_true(header > 0 && header + len + PACKET_TAG_LEN <= cap && pad_to <= cap);
    if (len > 0)
        memcpy(out + header, payload, len);
    if (pad_to > header + len + PACKET_TAG_LEN) {
        memset(out + header + len, 0, pad_to - header - len - PACKET_TAG_LEN);
        len = pad_to - header - PACKET_TAG_LEN;
    }
    packet_finish_long(out, header, 4, len);
    struct protect_cipher cipher;
    protect_cipher_init(&cipher, keys);
    return packet_seal(&cipher, out, header, number, 4, len);
}

/* An Initial of the server, as anybody who saw the first datagram can make it. */
static inline size_t forge_server_initial(const struct forge_first *f, const struct cid *scid,
                                          uint64_t number, const uint8_t *payload, size_t len,
                                          uint8_t *out, size_t cap)
{
    struct protect_keys read, write;
    conn_handshake_initial_keys(&f->dcid, false, &read, &write);
    return forge_long(&write, PACKET_INITIAL, &f->scid, scid, NULL, 0, number, payload, len, 1200,
                      out, cap);
}

/* An Initial of a client. */
static inline size_t forge_client_initial(const struct cid *dcid, const struct cid *scid,
                                          const uint8_t *token, size_t token_len, uint64_t number,
                                          const uint8_t *payload, size_t len, size_t pad_to,
                                          uint8_t *out, size_t cap)
{
    struct protect_keys read, write;
    conn_handshake_initial_keys(dcid, true, &read, &write);
    return forge_long(&write, PACKET_INITIAL, dcid, scid, token, token_len, number, payload, len,
                      pad_to, out, cap);
}

static inline struct cid forge_cid(struct pair *p)
{
    struct cid cid = {.len = CID_LOCAL_LEN};
    pair_fill(p, cid.bytes, CID_LOCAL_LEN);
    return cid;
}

/* A CRYPTO frame with a first message around an invented ephemeral key. @return bytes */
static inline size_t forge_first_message(struct pair *p, uint8_t *out, size_t cap)
{
    struct writer w = writer_of(out, cap);
    uint8_t message[HANDSHAKE_FIRST_LEN] = {0, 32};
    pair_fill(p, message + 2, 32);
    assert_true(frame_write_crypto(&w, 0, message, sizeof message));
    return writer_len(&w);
}

/* A fresh client's first datagram, of 1200 bytes. */
static inline size_t forge_hello(struct pair *p, uint8_t *out, size_t cap)
{
    uint8_t payload[64];
    size_t len = forge_first_message(p, payload, sizeof payload);
    struct cid dcid = forge_cid(p), scid = forge_cid(p);
    return forge_client_initial(&dcid, &scid, NULL, 0, 0, payload, len, 1200, out, cap);
}

/* The whole answer of a server with the given identity to a first datagram: Initial and
 * Handshake in one datagram. params: what it claims; odcid and scid are filled in. @return bytes */
static inline size_t forge_answer(struct pair *p, const struct forge_first *f,
                                  const struct key_pair *key, const struct cid *scid,
                                  bool lie_about_dcid, uint8_t *out, size_t cap)
{
    struct handshake_own own;
    struct handshake_config config = {
        .mem = mem_system(), .entropy = &p->side[1].entropy, .own = &own};
    uint8_t static_secret[32], params_bytes[PARAMS_SIZE_MAX], payload[4096];
    struct handshake *h;
    struct handshake_secrets secrets;
    struct protect_keys read, write;
    struct params params;
    const uint8_t *data;
    pair_fill(p, static_secret, sizeof static_secret);
    handshake_own_init(&own, key, static_secret);
    assert_int_equal(noise_handshake.open(&config, &h), 0);
    assert_int_equal(noise_handshake.on_bytes(h, HANDSHAKE_INITIAL, f->message, sizeof f->message),
                     HANDSHAKE_KEYS);
    noise_handshake.secrets(h, &secrets);
    params_init(&params);
    params.has_initial_scid = params.has_original_dcid = true;
    params.initial_scid = *scid;
    params.original_dcid = lie_about_dcid ? *scid : f->dcid;
    params.initial_max_data = params.initial_max_stream_data_bidi_remote = 1000;
    params.initial_max_streams_bidi = 1;
    params.suites = 1;
    struct writer w = writer_of(params_bytes, sizeof params_bytes);
    size_t params_len = params_encode(&w, &params, true, 7);
    assert_int_equal(noise_handshake.answer(h, params_bytes, params_len), 0);
    struct writer frame = writer_of(payload, sizeof payload);
    size_t len = noise_handshake.bytes(h, HANDSHAKE_INITIAL, &data);
    assert_true(frame_write_crypto(&frame, 0, data, len));
    size_t at = forge_server_initial(f, scid, 0, payload, writer_len(&frame), out, cap);
    frame = writer_of(payload, sizeof payload);
    len = noise_handshake.bytes(h, HANDSHAKE_HANDSHAKE, &data);
    assert_true(frame_write_crypto(&frame, 0, data, len));
    assert_int_equal(protect_keys_derive(&write, AEAD_CHACHA20_POLY1305, secrets.server), 0);
    assert_int_equal(protect_keys_derive(&read, AEAD_CHACHA20_POLY1305, secrets.client), 0);
    at += forge_long(&write, PACKET_HANDSHAKE, &f->scid, scid, NULL, 0, 0, payload,
                     writer_len(&frame), 0, out + at, cap - at);
    noise_handshake.close(h);
    return at;
}
#endif
