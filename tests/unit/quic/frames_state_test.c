/* SPDX-License-Identifier: MIT */
/* Goal: every frame type in every packet type, for each role, in each state of a connection, has
 * the outcome that RFC 9000 12.4 and docs/wire.md say, and never another; under both suites,
 * in both key phases, and while a path is being validated. Method: one table of what is expected,
 * written down apart from the code; each of its entries is a fresh pair that is brought into the
 * state and given one resealed packet. */
#include "crypto/aead.h"
#include "reseal.h"

enum state {
    HANDSHAKING,
    UNCONFIRMED,
    CONFIRMED,
    VALIDATING, /* the sender has just moved: its new path has not answered */
    UPDATED,    /* the sender has updated its keys, and the packet is of the new phase */
    LATE,       /* the same, and the packet is of the old phase */
    CLOSING,
    DRAINING,
    STATES
};
enum outcome {
    LIVES = -1, /* nothing happens to the connection */
    ENDS = -2,  /* the peer closed it */
    /* else: closed with this transport error */
};
static const char *const state_names[] = {"handshaking", "unconfirmed", "confirmed", "validating",
                                          "updated",     "late",        "closing",   "draining"};

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
    case 0xaf: frame_write_ack_frequency(&w, &(struct frame_ack_frequency){0, 3, 25000, 1}); break;
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
    if (packet == PACKET_ZERO_RTT) return LIVES; /* wire.md 3.5: dropped */
    if (packet == PACKET_HANDSHAKE) {
        if (state >= CONFIRMED || (!client && state == UNCONFIRMED))
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
    case 0x1b: /* nobody was challenged; or somebody was, and it is an old answer */
        return state == VALIDATING ? LIVES : QUIC_PROTOCOL_VIOLATION;
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

/* Both have sent 1-RTT packets and had them acknowledged. */
static void talk(struct pair *p)
{
    for (int i = 0; i < 2; i++) {
        int error;
        struct stream *s = streams_open_local(p->side[i].conn, false, 3, &error);
        assert_int_equal(stream_write(s, "x", 1, false, false, p->now_us), 1);
    }
    pair_run(p, 1000000);
}

static struct pair *brought_into_with(enum state state, bool client, struct script *s,
                                      uint8_t suites, bool datagrams_off)
{
    struct pair *p = pair_new(NULL, NULL);
    int i = client ? 0 : 1;
    memset(s, 0, sizeof *s);
    for (int side = 0; side < 2; side++) {
        p->side[side].env.suites = suites;
        p->side[side].env.datagrams_off = datagrams_off;
    }
    p->filter = act;
    p->context = s;
    s->cut_answer = state == HANDSHAKING && client;
    s->hold_message_3 = state == HANDSHAKING && !client;
    s->hold_done = state == UNCONFIRMED;
    (void)pair_dial(p);
    pair_run(p, state >= CONFIRMED ? 2000000 : 2 * p->delay_us + p->delay_us);
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
    } else if (state > CONFIRMED) {
        talk(p);
    }
    return p;
}

static struct pair *brought_into(enum state state, bool client, struct script *s)
{
    return brought_into_with(state, client, s, 0, false);
}

static void check_state(struct pair *p, enum state state, bool client)
{
    const struct connection *c = reseal_only(p, client ? 0 : 1);
    static const uint8_t phases[] = {QUIC_HANDSHAKING, QUIC_UP, QUIC_UP,      QUIC_UP,
                                     QUIC_UP,          QUIC_UP, QUIC_CLOSING, QUIC_DRAINING};
    assert_int_equal(c->phase, phases[state]);
    if (state == UNCONFIRMED) assert_int_equal(c->confirmed, !client);
    if (state >= CONFIRMED) assert_true(c->confirmed);
    if (state == VALIDATING) assert_true(c->path.asks && !c->path.validated);
    if (state == UPDATED || state == LATE)
        assert_true(c->keys.updates == 1 && c->keys.has_previous);
}

static bool has_keys_to_seal(const struct connection *c, enum packet_type packet)
{
    if (packet == PACKET_SHORT) return c->has_write;
    if (packet == PACKET_ZERO_RTT && c->has_write) return true;
    if (c->hs == NULL || c->phase > QUIC_UP) return false;
    return packet == PACKET_HANDSHAKE ? c->hs->adopted != NULL && c->hs->adopted->has_keys
                                      : c->hs->has_initial;
}

/* No such keys exist: any will do, since the packet is to be dropped unopened. */
static size_t seal_zero_rtt(const struct connection *from, const uint8_t *payload, size_t len,
                            uint8_t *out, size_t cap)
{
    struct protect_cipher cipher;
    struct writer w = writer_of(out, cap);
    size_t header = packet_write_long(&w, PACKET_ZERO_RTT, PACKET_VERSION, &from->remote_cid,
                                      &from->local_cid, NULL, 0, 1000, 4);
    assert_true(header > 0 && header + len + PACKET_TAG_LEN <= cap);
    memcpy(out + header, payload, len);
    packet_finish_long(out, header, 4, len);
    protect_cipher_init(&cipher, from->has_write ? &from->keys.write : &from->hs->initial_write);
    size_t total = packet_seal(&cipher, out, header, 1000, 4, len);
    protect_cipher_end(&cipher);
    return total;
}

static size_t seal(struct pair *p, int by, enum packet_type packet, const uint8_t *payload,
                   size_t len, uint8_t *out, size_t cap)
{
    struct connection *from = reseal_only(p, by);
    if (packet == PACKET_ZERO_RTT) return seal_zero_rtt(from, payload, len, out, cap);
    uint8_t bit = packet == PACKET_SHORT ? key_phase_bit(&from->keys) : 0;
    return reseal_packet(from, packet, payload, len, bit, p->now_us, out, cap);
}

static void ping_from(struct pair *p, int by, const struct endpoint *place)
{
    static const uint8_t ping = FRAME_PING;
    uint8_t out[100];
    size_t len = seal(p, by, PACKET_SHORT, &ping, 1, out, sizeof out);
    pair_inject(p, 1 - by, place, out, len);
}

/* The last step into the state, which leaves nothing on the wire that would end it; and then the
 * packet. */
static void give_in(struct pair *p, enum state state, int by, enum packet_type packet,
                    const uint8_t *payload, size_t len)
{
    uint8_t out[2048];
    struct endpoint place = p->side[by].address;
    struct connection *from = reseal_only(p, by);
    size_t total = 0;
    if (state == LATE) total = seal(p, by, packet, payload, len, out, sizeof out);
    if (state == UPDATED || state == LATE)
        key_phase_update(&from->keys, loss_next_number(&from->loss, LOSS_APPLICATION));
    if (state == VALIDATING) place.port++;
    if (state >= VALIDATING && state <= LATE) {
        ping_from(p, by, &place);
        pair_send(p, 1 - by); /* the challenge leaves */
    }
    check_state(p, state, by == 1);
    if (state != LATE) total = seal(p, by, packet, payload, len, out, sizeof out);
    pair_inject(p, 1 - by, &place, out, total);
}

/* @return whether the entry could be made: a sender that is done has no Initial keys any more */
static bool one(bool client, enum state state, enum packet_type packet, uint64_t type,
                uint8_t suites)
{
    struct script s;
    struct pair *p = brought_into_with(state, client, &s, suites, false);
    int to = client ? 0 : 1;
    struct connection *c = reseal_only(p, to), *from = reseal_only(p, 1 - to);
    if (state == CLOSING) from->phase = QUIC_UP; /* it has not heard of it */
    if (!has_keys_to_seal(from, packet) || (state >= CLOSING && from->phase > QUIC_UP)) {
        pair_free(p);
        return false;
    }
    if (c->phase == QUIC_UP)
        assert_int_equal(c->keys.read.suite,
                         suites != 0 ? AEAD_AES_256_GCM : AEAD_CHACHA20_POLY1305);
    uint8_t payload[256];
    size_t len = sample(type, !client, payload);
    uint8_t phase = c->phase;
    give_in(p, state, 1 - to, packet, payload, len);
    int want = expected(client, state, packet, type);
    int got = c->phase == phase ? LIVES : c->phase == QUIC_DRAINING ? ENDS : (int)c->close_code;
    if (got != want)
        fail_msg("%s, %s, suites %d, packet type %d, frame %02llx: outcome %d instead of %d",
                 client ? "dialler" : "listener", state_names[state], (int)suites, (int)packet,
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

static unsigned every(uint8_t suites)
{
    static const enum packet_type packets[] = {PACKET_INITIAL, PACKET_ZERO_RTT, PACKET_HANDSHAKE,
                                               PACKET_SHORT};
    unsigned made = 0;
    for (int client = 0; client < 2; client++) {
        for (int st = 0; st < STATES; st++) {
            for (size_t k = 0; k < sizeof packets / sizeof packets[0]; k++) {
                for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
                    made += one(client != 0, (enum state)st, packets[k], types[t], suites);
            }
        }
    }
    return made;
}

enum { BOTH = 1 << AEAD_CHACHA20_POLY1305 | 1 << AEAD_AES_256_GCM };

/* Of eight states with four packet types and two roles: all with 1-RTT keys, and those of the
 * others whose sender still has keys. */
static void test_every_frame_in_every_packet_role_and_state_has_its_outcome(void **state)
{
    (void)state;
    assert_in_range(every(0), 30 * sizeof types / sizeof types[0], 2000);
}

static void test_the_same_under_aes(void **state)
{
    (void)state;
    if (!aead_is_available(AEAD_AES_256_GCM)) {
        print_message("this machine has no AES-GCM: skipped\n");
        skip();
    }
    assert_in_range(every(BOTH), 30 * sizeof types / sizeof types[0], 2000);
}

/* RFC 9221 section 3. */
static void test_datagrams_that_were_not_announced_are_violations(void **state)
{
    (void)state;
    for (int st = UNCONFIRMED; st < CLOSING; st++) {
        for (unsigned n = 0; n < 4; n++) {
            struct script s;
            bool client = n % 2 == 0;
            struct pair *p = brought_into_with((enum state)st, client, &s, 0, true);
            uint8_t payload[256];
            size_t len = sample(n < 2 ? 0x30 : 0x31, !client, payload);
            give_in(p, (enum state)st, client ? 1 : 0, PACKET_SHORT, payload, len);
            const struct connection *c = reseal_only(p, client ? 0 : 1);
            assert_int_equal(c->phase, QUIC_CLOSING);
            assert_int_equal(c->close_code, QUIC_PROTOCOL_VIOLATION);
            pair_free(p);
        }
    }
}

/* RFC 9000 19.16. */
static void test_ids_that_are_given_back(void **state)
{
    enum { CURRENT, OTHER, TWICE, FIRST_FROM_OTHER, NEXT, FAR, UNTOLD, ROWS };
    static const int outcomes[ROWS] = {
        [CURRENT] = QUIC_PROTOCOL_VIOLATION,
        [OTHER] = LIVES,
        [TWICE] = LIVES,
        [FIRST_FROM_OTHER] = LIVES,
        [NEXT] = QUIC_PROTOCOL_VIOLATION,
        [FAR] = QUIC_PROTOCOL_VIOLATION,
        [UNTOLD] = QUIC_PROTOCOL_VIOLATION,
    };
    (void)state;
    for (int st = CONFIRMED; st < CLOSING; st++) {
        for (int i = 0; i < 2 * ROWS; i++) {
            struct script s;
            bool client = i % 2 == 0;
            int row = i / 2;
            struct pair *p = brought_into_with((enum state)st, client, &s, 0, false);
            struct connection *c = reseal_only(p, client ? 0 : 1);
            struct connection *from = reseal_only(p, client ? 1 : 0);
            uint64_t sequence = row == OTHER || row == TWICE || row == UNTOLD ? 2 : 0;
            if (row == FAR) sequence = VARINT_MAX;
            if (row == NEXT) sequence = c->local_next;
            uint8_t payload[64];
            struct writer w = writer_of(payload, sizeof payload);
            if (row == FIRST_FROM_OTHER)
                (void)cid_set(&from->remote_cid, c->local_cids[1].bytes, CID_LOCAL_LEN);
            assert_true(frame_write_retire_connection_id(&w, sequence));
            if (row == TWICE) frame_write_retire_connection_id(&w, sequence);
            /* What takes its place has not been told yet. */
            if (row == UNTOLD) frame_write_retire_connection_id(&w, c->local_next);
            give_in(p, (enum state)st, client ? 1 : 0, PACKET_SHORT, payload, writer_len(&w));
            int got = c->phase == QUIC_UP ? LIVES : (int)c->close_code;
            if (got != outcomes[row])
                fail_msg("%s, %s, row %d: outcome %d", client ? "dialler" : "listener",
                         state_names[st], row, got);
            pair_free(p);
        }
    }
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
        cmocka_unit_test(test_the_same_under_aes),
        cmocka_unit_test(test_datagrams_that_were_not_announced_are_violations),
        cmocka_unit_test(test_ids_that_are_given_back),
        cmocka_unit_test(test_reserved_bits_are_violations),
        cmocka_unit_test(test_frames_after_message_3_in_the_completing_packet_do_no_harm),
        cmocka_unit_test(test_message_3_in_pieces_and_out_of_order_is_put_together),
        cmocka_unit_test(test_handshake_bytes_beyond_the_buffer_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
