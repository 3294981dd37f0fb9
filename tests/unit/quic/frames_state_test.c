/* SPDX-License-Identifier: MIT */
/* Goal: every frame type in every packet type, for each role, in each state of a connection, has
 * the outcome that RFC 9000 12.4 and docs/wire.md say, and never another. Method: one
 * table of what is expected, written down apart from the code; each of its entries is a fresh
 * pair that is brought into the state and given one resealed packet. */
#include "reseal.h"

enum state { HANDSHAKING, UNCONFIRMED, CONFIRMED, CLOSING, DRAINING, STATES };
enum outcome {
    LIVES = -1, /* nothing happens to the connection */
    ENDS = -2,  /* the peer closed it */
    /* else: closed with this transport error */
};
static const char *const state_names[] = {"handshaking", "unconfirmed", "confirmed", "closing",
                                          "draining"};

static const uint64_t types[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,  0x09,
                                 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12,  0x13,
                                 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c,  0x1d,
                                 0x1e, 0x30, 0x31, 0x1f, 0x20, 0x2f, 0x32, 0xaf, 0x4052};

/* One well-formed frame of a type, from a sender in that role, with fields that mean no harm. */
static size_t sample(uint64_t type, bool from_client, uint8_t *out)
{
    /* long: one switch */
    struct writer w = writer_of(out, 256);
    uint64_t id = 400 + (from_client ? 0 : 1); /* a stream that the sender opens */
    struct range range = {0, 1};
    uint64_t ecn[3] = {0, 0, 0};
    struct cid cid = {8, {1, 2, 3, 4, 5, 6, 7, 8}};
    uint8_t zeros[16] = {0};
    switch (type) {
    case 0x00: frame_write_padding(&w, 4); break;
    case 0x01: frame_write_ping(&w); break;
    case 0x02: frame_write_ack(&w, &range, 1, 1, 0, NULL); break;
    case 0x03: frame_write_ack(&w, &range, 1, 1, 0, ecn); break;
    case 0x04: frame_write_reset_stream(&w, id, 7, 0); break;
    case 0x05: frame_write_stop_sending(&w, id, 7); break;
    case 0x06: frame_write_crypto(&w, 0, zeros, 0); break;
    case 0x07: frame_write_new_token(&w, zeros, 8); break;
    case 0x10: frame_write_max_data(&w, 1 << 20); break;
    case 0x11: frame_write_max_stream_data(&w, id, 1 << 20); break;
    case 0x12: frame_write_max_streams(&w, false, 1000); break;
    case 0x13: frame_write_max_streams(&w, true, 1000); break;
    case 0x14: frame_write_data_blocked(&w, 5); break;
    case 0x15: frame_write_stream_data_blocked(&w, id, 5); break;
    case 0x16: frame_write_streams_blocked(&w, false, 5); break;
    case 0x17: frame_write_streams_blocked(&w, true, 5); break;
    case 0x18: /* in place of all that came before */
        frame_write_new_connection_id(&w, 50, 50, &cid, zeros);
        break;
    case 0x19: frame_write_retire_connection_id(&w, 0); break;
    case 0x1a: frame_write_path_challenge(&w, zeros); break;
    case 0x1b: frame_write_path_response(&w, zeros); break;
    case 0x1c: frame_write_close(&w, false, 0, 0, NULL, 0); break;
    case 0x1d: frame_write_close(&w, true, 5, 0, NULL, 0); break;
    case 0x1e: frame_write_handshake_done(&w); break;
    case 0x30:
    case 0x31: frame_write_datagram(&w, zeros, 4, type == 0x31); break;
    case 0xaf:
        frame_write_ack_frequency(&w, &(struct frame_ack_frequency){0, 3, 25000, 1});
        break;
    default:
        writer_varint(&w, type);
        if (type >= 0x08 && type <= 0x0f) {
            writer_varint(&w, id);
            if ((type & 4) != 0) writer_varint(&w, 0);
            if ((type & 2) != 0) writer_varint(&w, 1);
            writer_u8(&w, 'x');
        }
        break;
    }
    /* A full sample for header protection is there whatever the frame; a frame without a length
     * ends the packet. */
    return writer_len(&w);
}

static bool is_known(uint64_t type)
{
    return type <= 0x1f || type == 0x30 || type == 0x31 || type == 0xaf;
}

static bool is_for_handshake(uint64_t type)
{
    return type <= 0x03 || type == 0x06 || type == 0x1c;
}

/* The table: what a connection of that role in that state does. */
static int expected(bool client, enum state state, enum packet_type packet, uint64_t type)
{
    if (state >= CLOSING)
        return LIVES; /* it is over already; that it stays as it was is checked apart */
    if (packet == PACKET_INITIAL)
        return LIVES; /* wire.md 10.1: no error, and a close is a hint; later its keys are gone */
    if (packet == PACKET_HANDSHAKE) {
        if (state == CONFIRMED || (!client && state == UNCONFIRMED))
            return LIVES;                                 /* a listener is done at once */
        if (client && state == HANDSHAKING) return LIVES; /* wire.md 5.5: its candidate ends */
        if (!is_known(type)) return QUIC_FRAME_ENCODING;
        if (!is_for_handshake(type)) return QUIC_PROTOCOL_VIOLATION;
        return type == 0x1c ? ENDS : LIVES;
    }
    if (state == HANDSHAKING) return LIVES; /* no keys yet */
    if (!is_known(type)) return QUIC_FRAME_ENCODING;
    switch (type) {
    case 0x06: return QUIC_PROTOCOL_VIOLATION; /* Noise has no word after the handshake */
    case 0x07:
    case 0x1e: return client ? LIVES : QUIC_PROTOCOL_VIOLATION; /* only servers send them */
    case 0x19: return QUIC_PROTOCOL_VIOLATION;                  /* the id that the packet came to */
    case 0x1b: return QUIC_PROTOCOL_VIOLATION;                  /* nobody was challenged */
    case 0x1c:
    case 0x1d: return ENDS;
    default: return LIVES;
    }
}

struct script {
    bool hold_message_3, hold_done, cut_answer;
};

static bool act(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    struct script *s = p->context;
    struct packet_header h;
    (void)n;
    if (from == 0 && s->hold_message_3 && n > 0) return false;
    if (from == 1 && s->hold_done && (bytes[0] & 0x80) == 0) return false;
    if (from == 1 && s->cut_answer && packet_parse(bytes, len, &h) == 0 &&
        h.type == PACKET_INITIAL) {
        pair_post(p, 0, &p->side[1].address, bytes, h.packet_len, p->now_us + p->delay_us);
        return false;
    }
    return true;
}

static struct pair *brought_into(enum state state, bool client, struct script *s)
{
    struct pair *p = pair_new(NULL, NULL);
    int i = client ? 0 : 1;
    memset(s, 0, sizeof *s);
    p->filter = act;
    p->context = s;
    s->cut_answer = state == HANDSHAKING && client;
    s->hold_message_3 = state == HANDSHAKING && !client;
    s->hold_done = state == UNCONFIRMED;
    (void)pair_dial(p);
    pair_run(p, state == CONFIRMED || state >= CLOSING ? 2000000 : 2 * p->delay_us + p->delay_us);
    if (state == UNCONFIRMED) { /* so that there is a 1-RTT packet to acknowledge */
        int error;
        struct stream *stream = streams_open_local(p->side[0].conn, false, 3, &error);
        assert_int_equal(stream_write(stream, "x", 1, false, false, p->now_us), 1);
        pair_run(p, p->delay_us + 1);
    }
    if (state >= CLOSING) {
        int closer = state == CLOSING ? i : 1 - i;
        quic_transport.conn_close(p->side[closer].conn, 5, NULL, 0, p->now_us);
        if (state == DRAINING) pair_run(p, p->delay_us + 1);
    }
    return p;
}

static void check_state(struct pair *p, enum state state, bool client)
{
    const struct connection *c = reseal_only(p, client ? 0 : 1);
    static const uint8_t phases[] = {QUIC_HANDSHAKING, QUIC_UP, QUIC_UP, QUIC_CLOSING,
                                     QUIC_DRAINING};
    assert_int_equal(c->phase, phases[state]);
    if (state == UNCONFIRMED) assert_int_equal(c->confirmed, !client);
    if (state == CONFIRMED) assert_true(c->confirmed);
}

static bool has_keys_to_seal(const struct connection *c, enum packet_type packet)
{
    if (packet == PACKET_SHORT) return c->has_write;
    if (c->hs == NULL || c->phase > QUIC_UP) return false;
    return packet == PACKET_INITIAL ? c->hs->has_initial
                                    : c->hs->adopted != NULL && c->hs->adopted->has_keys;
}

/* @return whether the entry could be made: a sender that is done has no Initial keys any more */
static bool one(bool client, enum state state, enum packet_type packet, uint64_t type)
{
    struct script s;
    struct pair *p = brought_into(state, client, &s);
    int to = client ? 0 : 1;
    struct connection *c = reseal_only(p, to), *from = reseal_only(p, 1 - to);
    check_state(p, state, client);
    if (state == CLOSING) from->phase = QUIC_UP; /* it has not heard of it */
    if (!has_keys_to_seal(from, packet) || (state >= CLOSING && from->phase > QUIC_UP)) {
        pair_free(p);
        return false;
    }
    uint8_t payload[256];
    size_t len = sample(type, !client, payload);
    uint8_t phase = c->phase;
    reseal_give(p, 1 - to, packet, payload, len);
    int want = expected(client, state, packet, type);
    int got = c->phase == phase ? LIVES : c->phase == QUIC_DRAINING ? ENDS : (int)c->close_code;
    if (got != want)
        fail_msg("%s, %s, packet type %d, frame %02llx: outcome %d instead of %d",
                 client ? "dialler" : "listener", state_names[state], (int)packet,
                 (unsigned long long)type, got, want);
    /* Whatever was tried before both sides knew each other, they still come together. */
    if (state == HANDSHAKING && want == LIVES) {
        memset(&s, 0, sizeof s);
        pair_run(p, 10000000);
        assert_true(pair_agrees(p));
    }
    pair_free(p);
    return true;
}

static void test_every_frame_in_every_packet_role_and_state_has_its_outcome(void **state)
{
    unsigned made = 0;
    (void)state;
    for (int client = 0; client < 2; client++) {
        for (int st = 0; st < STATES; st++) {
            static const enum packet_type packets[] = {PACKET_INITIAL, PACKET_HANDSHAKE,
                                                       PACKET_SHORT};
            for (size_t k = 0; k < 3; k++) {
                for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
                    made += one(client != 0, (enum state)st, packets[k], types[t]);
            }
        }
    }
    assert_in_range(made, 15 * sizeof types / sizeof types[0] / 2, 1000);
}

static void test_reserved_bits_are_violations(void **state)
{
    static const struct {
        enum packet_type packet;
        uint8_t spoil;
        size_t len;
    } rows[] = {{PACKET_SHORT, 0x08, 1},
                {PACKET_SHORT, 0x10, 1},
                {PACKET_HANDSHAKE, 0x04, 1},
                {PACKET_HANDSHAKE, 0x08, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct script s;
        struct pair *p = brought_into(UNCONFIRMED, true, &s);
        struct connection *c = reseal_only(p, 0);
        uint8_t out[256];
        static const uint8_t ping = 0x01;
        if (rows[i].packet == PACKET_HANDSHAKE) {
            /* The listener forgot its keys when it was done: the dialler's view of them is the
             * same. */
            struct connection *from = reseal_only(p, 1);
            struct writer w = writer_of(out, sizeof out);
            size_t header = packet_write_long(&w, PACKET_HANDSHAKE, PACKET_VERSION,
                                              &from->remote_cid, &from->local_cid, NULL, 0, 77, 4);
            out[header] = ping;
            packet_finish_long(out, header, 4, rows[i].len);
            out[0] |= rows[i].spoil;
            struct protect_cipher cipher;
            protect_cipher_init(&cipher, &c->hs->adopted->read);
            size_t len = packet_seal(&cipher, out, header, 77, 4, rows[i].len);
            pair_inject(p, 0, &p->side[1].address, out, len);
        } else {
            size_t len = reseal_packet(reseal_only(p, 1), PACKET_SHORT, &ping, rows[i].len,
                                       rows[i].spoil, p->now_us, out, sizeof out);
            pair_inject(p, 0, &p->side[1].address, out, len);
        }
        if (c->phase != QUIC_CLOSING || c->close_code != QUIC_PROTOCOL_VIOLATION)
            fail_msg("row %zu", i);
        pair_free(p);
    }
}

static void test_frames_after_message_3_in_the_completing_packet_do_no_harm(void **state)
{
    enum { ACK, CRYPTO, CRYPTO_BEYOND, CLOSE, PING, VARIANTS };
    (void)state;
    for (int variant = 0; variant < VARIANTS; variant++) {
        struct script s;
        struct pair *p = brought_into(HANDSHAKING, false, &s);
        struct connection *client = reseal_only(p, 0);
        struct range range = {0, 1};
        const uint8_t *data;
        uint8_t payload[2000];
        size_t len =
            noise_handshake.bytes(client->hs->adopted->handshake, HANDSHAKE_HANDSHAKE, &data);
        struct writer w = writer_of(payload, sizeof payload);
        assert_true(frame_write_crypto(&w, 0, data, len));
        if (variant == ACK) frame_write_ack(&w, &range, 1, 1, 0, NULL);
        if (variant == CRYPTO) frame_write_crypto(&w, 0, data, len);
        if (variant == CRYPTO_BEYOND) frame_write_crypto(&w, len, data, 8);
        if (variant == CLOSE) frame_write_close(&w, false, 0, 0, NULL, 0);
        if (variant == PING) frame_write_ping(&w);
        reseal_give(p, 0, PACKET_HANDSHAKE, payload, writer_len(&w));
        assert_true(p->side[1].up);
        assert_int_equal(reseal_only(p, 1)->phase, QUIC_UP);
        pair_free(p);
    }
}

static void test_message_3_in_pieces_and_out_of_order_is_put_together(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 300; piece = piece * 3 + 1) {
        struct script s;
        struct pair *p = brought_into(HANDSHAKING, false, &s);
        struct connection *client = reseal_only(p, 0);
        const uint8_t *data;
        uint8_t payload[2000];
        size_t len =
            noise_handshake.bytes(client->hs->adopted->handshake, HANDSHAKE_HANDSHAKE, &data);
        /* Odd pieces backwards, then even ones; with more gaps than a lane keeps some are
         * refused and must come again. */
        for (int round = 0; round < 40 && !p->side[1].up; round++) {
            for (size_t at = (len - 1) / piece * piece;; at -= piece) {
                struct writer w = writer_of(payload, sizeof payload);
                size_t n = len - at < piece ? len - at : piece;
                assert_true(frame_write_crypto(&w, at, data + at, n));
                frame_write_ping(&w);
                if ((at / piece % 2 == 1 || round > 0) && !p->side[1].up)
                    reseal_give(p, 0, PACKET_HANDSHAKE, payload, writer_len(&w));
                if (at < piece) break;
            }
        }
        assert_true(p->side[1].up);
        pair_free(p);
    }
}

static void test_handshake_bytes_beyond_the_buffer_close(void **state)
{
    static const struct {
        uint64_t offset;
        size_t len;
        int code;
    } rows[] = {{2049, 1, LIVES},
                {2050, 1, QUIC_CRYPTO_BUFFER_EXCEEDED},
                {2049, 2, QUIC_CRYPTO_BUFFER_EXCEEDED},
                {VARINT_MAX - 1, 1, QUIC_CRYPTO_BUFFER_EXCEEDED},
                {1 << 20, 1000, QUIC_CRYPTO_BUFFER_EXCEEDED}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct script s;
        struct pair *p = brought_into(HANDSHAKING, false, &s);
        uint8_t payload[2000], zeros[1000] = {0};
        struct writer w = writer_of(payload, sizeof payload);
        assert_true(frame_write_crypto(&w, rows[i].offset, zeros, rows[i].len));
        reseal_give(p, 0, PACKET_HANDSHAKE, payload, writer_len(&w));
        const struct connection *c = reseal_only(p, 1);
        int got = c->phase == QUIC_HANDSHAKING ? LIVES : (int)c->close_code;
        if (got != rows[i].code) fail_msg("row %zu: %d", i, got);
        pair_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_frame_in_every_packet_role_and_state_has_its_outcome),
        cmocka_unit_test(test_reserved_bits_are_violations),
        cmocka_unit_test(test_frames_after_message_3_in_the_completing_packet_do_no_harm),
        cmocka_unit_test(test_message_3_in_pieces_and_out_of_order_is_put_together),
        cmocka_unit_test(test_handshake_bytes_beyond_the_buffer_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
