/* SPDX-License-Identifier: MIT */
/* Goal: docs/wire-vectors.json, the vectors of docs/wire.md, is what the code does, byte for byte.
 * Method: one handshake from fixed keys through the provider, the parameters and packet sealing; a
 * second walk through Noise alone for h and ck, which the provider keeps to itself; everything
 * that came out is written as text and compared with the file, line by line. The transport's
 * own first datagram must have the vector's layout. WEIR_UPDATE_VECTORS=1 writes the file instead
 * of comparing: that is a new version of the protocol. */
#include "base/budget.h"
#include "base/mem.h"
#include "crypto/noise.h"
#include "crypto/protect.h"
#include "crypto/schedule.h"
#include "identity/proof.h"
#include "quic/frame.h"
#include "quic/handshake.h"
#include "quic/packet.h"
#include "quic/params.h"
#include "quic/quic.h"
#include "json.h"
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#define VECTORS_PATH WEIR_SOURCE "/docs/wire-vectors.json"
enum { PIECE_ROOM = 2 + HANDSHAKE_PIECE_MAX, DATAGRAM = PACKET_DATAGRAM_MIN };

/* One side: what it starts from, and what the walk through Noise finds. */
struct side {
    uint8_t seed[32], static_secret[32], ephemeral_secret[32];
    struct handshake_own own;
    struct key_pair key;
    struct x25519_pair s, e;
    struct cid scid;
    uint64_t grease;
    uint8_t params[PARAMS_SIZE_MAX], payload[PROOF_SIZE_MAX];
    size_t params_len, payload_len;
    uint8_t first[HANDSHAKE_FIRST_LEN], piece[PIECE_ROOM];
    size_t piece_len;
    struct handshake_secrets handshake, application;
};
struct vectors {
    struct side client, server;
    struct cid dcid, retry_scid;
    FILE *out;
    char *text;
    size_t text_len;
    bool in_group, has_entry;
};

static void begin(struct vectors *v, const char *group)
{
    fprintf(v->out, "%s\"%s\": {", v->in_group ? "\n  },\n  " : "  ", group);
    v->in_group = true;
    v->has_entry = false;
}

static void put(struct vectors *v, const char *name, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    fprintf(v->out, "%s\n    \"%s\": \"", v->has_entry ? "," : "", name);
    for (size_t i = 0; i < len; i++) fprintf(v->out, "%02x", at[i]);
    fprintf(v->out, "\"");
    v->has_entry = true;
}

static void put_keys(struct vectors *v, const char *side, const uint8_t secret[32])
{
    struct protect_keys keys;
    char name[64];
    assert_int_equal(protect_keys_derive(&keys, AEAD_CHACHA20_POLY1305, secret), 0);
    snprintf(name, sizeof name, "%s_secret", side);
    put(v, name, secret, 32);
    snprintf(name, sizeof name, "%s_key", side);
    put(v, name, keys.key, sizeof keys.key);
    snprintf(name, sizeof name, "%s_iv", side);
    put(v, name, keys.iv, sizeof keys.iv);
    snprintf(name, sizeof name, "%s_hp", side);
    put(v, name, keys.hp, sizeof keys.hp);
}

/* Bytes that count up from `first`: recognisable in a dump, and nobody's real key. */
static void count_up(uint8_t *bytes, size_t len, unsigned first)
{
    for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)(first + i);
}

static void make_side(struct side *s, unsigned first, unsigned scid, uint64_t grease)
{
    count_up(s->seed, 32, first);
    count_up(s->static_secret, 32, first + 0x40);
    count_up(s->ephemeral_secret, 32, first + 0x80);
    key_pair_from_seed(&s->key, s->seed);
    x25519_pair_from(&s->s, s->static_secret);
    x25519_pair_from(&s->e, s->ephemeral_secret);
    s->scid.len = CID_LOCAL_LEN;
    count_up(s->scid.bytes, CID_LOCAL_LEN, scid);
    s->grease = grease;
}

static void make_params(const struct vectors *v, struct side *s, bool server)
{
    struct params p;
    struct writer w = writer_of(s->params, sizeof s->params);
    params_init(&p);
    p.max_idle_timeout_ms = 30000;
    p.initial_max_data = 262144;
    p.initial_max_stream_data_bidi_local = 131072;
    p.initial_max_stream_data_bidi_remote = 131072;
    p.initial_max_stream_data_uni = 131072;
    p.initial_max_streams_bidi = p.initial_max_streams_uni = 256;
    p.disable_active_migration = true;
    p.has_initial_scid = true;
    p.initial_scid = s->scid;
    p.network_len = 7;
    memcpy(p.network, "vectors", 7);
    p.has_original_dcid = p.has_reset_token = server;
    p.original_dcid = v->dcid;
    count_up(p.reset_token, sizeof p.reset_token, 0x90);
    s->params_len = params_encode(&w, &p, server, s->grease);
    assert_true(s->params_len > 0);
    int len = proof_make(&s->key, s->s.public_key, s->params, s->params_len, s->payload,
                         sizeof s->payload);
    assert_true(len > 0);
    s->payload_len = (size_t)len;
}

static void put_inputs(struct vectors *v, const char *group, const struct side *s)
{
    begin(v, group);
    put(v, "identity_seed", s->seed, 32);
    put(v, "identity_public", peer_id_key(&s->key.id), 32);
    put(v, "peer_id", s->key.id.bytes, s->key.id.len);
    put(v, "static_secret", s->static_secret, 32);
    put(v, "static_public", s->s.public_key, 32);
    put(v, "ephemeral_secret", s->ephemeral_secret, 32);
    put(v, "ephemeral_public", s->e.public_key, 32);
    put(v, "source_connection_id", s->scid.bytes, s->scid.len);
    put(v, "transport_parameters", s->params, s->params_len);
    put(v, "noise_payload", s->payload, s->payload_len);
}

static void fill_ephemeral(void *context, void *out, size_t len)
{
    const struct side *s = context;
    assert_int_equal(len, 32);
    memcpy(out, s->ephemeral_secret, 32);
}

static struct handshake *provider_open(struct side *s, struct entropy *entropy, bool client)
{
    struct handshake *h = NULL;
    handshake_own_init(&s->own, &s->key, s->static_secret);
    entropy->fill = fill_ephemeral;
    entropy->context = s;
    struct handshake_config config = {.mem = mem_system(),
                                      .entropy = entropy,
                                      .own = &s->own,
                                      .client = client};
    assert_int_equal(noise_handshake.open(&config, &h), 0);
    return h;
}

static void take(const struct handshake *h, struct side *s)
{
    const uint8_t *bytes;
    assert_int_equal(noise_handshake.bytes(h, HANDSHAKE_INITIAL, &bytes), sizeof s->first);
    memcpy(s->first, bytes, sizeof s->first);
    s->piece_len = noise_handshake.bytes(h, HANDSHAKE_HANDSHAKE, &bytes);
    assert_in_range(s->piece_len, 0, sizeof s->piece);
    if (s->piece_len > 0) memcpy(s->piece, bytes, s->piece_len);
}

static void give(struct handshake *to, enum handshake_level level, const uint8_t *bytes, size_t len,
                 int want)
{
    assert_int_equal(noise_handshake.on_bytes(to, level, bytes, len), want);
}

static void run_provider(struct side *c, struct side *s)
{
    struct entropy of_client, of_server;
    struct handshake *client = provider_open(c, &of_client, true), *server;
    server = provider_open(s, &of_server, false);
    take(client, c);
    give(server, HANDSHAKE_INITIAL, c->first, sizeof c->first, HANDSHAKE_KEYS);
    noise_handshake.secrets(server, &s->handshake);
    assert_int_equal(noise_handshake.answer(server, s->params, s->params_len), 0);
    take(server, s);
    give(client, HANDSHAKE_INITIAL, s->first, sizeof s->first, HANDSHAKE_KEYS);
    noise_handshake.secrets(client, &c->handshake);
    give(client, HANDSHAKE_HANDSHAKE, s->piece, s->piece_len, HANDSHAKE_PEER);
    assert_true(peer_id_equal(&noise_handshake.peer(client)->id, &s->key.id));
    assert_int_equal(noise_handshake.complete(client, c->params, c->params_len, 1), 0);
    take(client, c);
    noise_handshake.secrets(client, &c->application);
    give(server, HANDSHAKE_HANDSHAKE, c->piece, c->piece_len, HANDSHAKE_PEER);
    assert_true(peer_id_equal(&noise_handshake.peer(server)->id, &c->key.id));
    assert_int_equal(noise_handshake.complete(server, NULL, 0, 1), 0);
    noise_handshake.secrets(server, &s->application);
    assert_memory_equal(&c->handshake, &s->handshake, sizeof c->handshake);
    assert_memory_equal(&c->application, &s->application, sizeof c->application);
    noise_handshake.close(client);
    noise_handshake.close(server);
}

static void put_state(struct vectors *v, const char *step, const struct noise_state *n)
{
    char name[64];
    snprintf(name, sizeof name, "ck_%s", step);
    put(v, name, n->ck, 32);
    snprintf(name, sizeof name, "h_%s", step);
    put(v, name, n->h, 32);
}

/* Message 2 behind its first 32 bytes, as the client reads it. */
static void walk_second(struct noise_state *n, const struct side *s)
{
    uint8_t plain[HANDSHAKE_PIECE_MAX];
    size_t len, at = 2 + NOISE_SEALED_KEY_SIZE;
    assert_int_equal(noise_read_s(n, s->piece + 2, NOISE_SEALED_KEY_SIZE), 0);
    assert_memory_equal(n->rs, s->s.public_key, 32);
    assert_int_equal(noise_mix_es(n), 0);
    assert_int_equal(noise_decrypt_and_hash(n, s->piece + at, s->piece_len - at, plain, &len), 0);
    assert_int_equal(len, s->payload_len);
    assert_memory_equal(plain, s->payload, len);
}

/* Message 3, which must be what the provider wrote. */
static void walk_third(struct noise_state *n, const struct side *c)
{
    uint8_t piece[PIECE_ROOM];
    size_t len = 2 + noise_write_s(n, piece + 2);
    assert_int_equal(noise_mix_se(n), 0);
    len += noise_encrypt_and_hash(n, c->payload, c->payload_len, piece + len);
    piece[0] = (uint8_t)((len - 2) >> 8);
    piece[1] = (uint8_t)(len - 2);
    assert_int_equal(len, c->piece_len);
    assert_memory_equal(piece, c->piece, len);
}

static void put_noise(struct vectors *v)
{
    const struct side *c = &v->client, *s = &v->server;
    struct noise_state n;
    uint8_t first[32], c1[32], c2[32], exporter[32];
    begin(v, "noise");
    put(v, "prologue", schedule_prologue, SCHEDULE_PROLOGUE_SIZE);
    noise_init(&n, true, schedule_prologue, SCHEDULE_PROLOGUE_SIZE, &c->s);
    put_state(v, "start", &n);
    noise_set_ephemeral(&n, c->ephemeral_secret);
    noise_write_e(&n, first);
    assert_memory_equal(first, c->first + 2, 32);
    (void)noise_encrypt_and_hash(&n, NULL, 0, NULL);
    put(v, "message_1", c->first, sizeof c->first);
    put_state(v, "message_1", &n);
    assert_int_equal(noise_read_e(&n, s->first + 2), 0);
    assert_int_equal(noise_mix_ee(&n), 0);
    put(v, "message_2_initial_piece", s->first, sizeof s->first);
    put_state(v, "ee", &n);
    walk_second(&n, s);
    put(v, "message_2_handshake_piece", s->piece, s->piece_len);
    put_state(v, "message_2", &n);
    walk_third(&n, c);
    put(v, "message_3", c->piece, c->piece_len);
    put_state(v, "message_3", &n);
    noise_split(&n, c1, c2);
    put(v, "split_c1", c1, 32);
    put(v, "split_c2", c2, 32);
    schedule_exporter(n.ck, n.h, exporter);
    put(v, "exporter", exporter, 32);
}

static void put_secrets(struct vectors *v)
{
    uint8_t client[32], server[32];
    begin(v, "initial_keys");
    put(v, "salt", schedule_salt, SCHEDULE_SALT_SIZE);
    schedule_initial(schedule_salt, SCHEDULE_SALT_SIZE, v->dcid.bytes, v->dcid.len, client, server);
    put_keys(v, "client", client);
    put_keys(v, "server", server);
    begin(v, "handshake_keys");
    put_keys(v, "client", v->client.handshake.client);
    put_keys(v, "server", v->client.handshake.server);
    begin(v, "application_keys");
    put_keys(v, "client", v->client.application.client);
    put_keys(v, "server", v->client.application.server);
    protect_next_secret(v->client.application.client, client);
    protect_next_secret(v->client.application.server, server);
    put(v, "client_next_secret", client, 32);
    put(v, "server_next_secret", server, 32);
}

/* A long header packet with one CRYPTO frame, padded so that the packet has pad_to bytes. */
static size_t long_packet(uint8_t *packet, enum packet_type type, const struct cid *to,
                          const struct side *from, const uint8_t secret[32], const uint8_t *data,
                          size_t len, size_t pad_to)
{
    struct protect_keys keys;
    struct writer w = writer_of(packet, DATAGRAM - PACKET_TAG_LEN);
    assert_int_equal(protect_keys_derive(&keys, AEAD_CHACHA20_POLY1305, secret), 0);
    size_t header = packet_write_long(&w, type, PACKET_VERSION, to, &from->scid, NULL, 0, 0, 1);
    assert_true(header > 0 && frame_write_crypto(&w, 0, data, len));
    if (pad_to > writer_len(&w) + PACKET_TAG_LEN) {
        size_t pad = pad_to - PACKET_TAG_LEN - writer_len(&w);
        assert_true(frame_write_padding(&w, pad));
    }
    size_t payload = writer_len(&w) - header;
    packet_finish_long(packet, header, 1, payload);
    struct protect_cipher cipher;
    protect_cipher_init(&cipher, &keys);
    return packet_seal(&cipher, packet, header, 0, 1, payload);
}

static size_t initial_datagram(const struct vectors *v, uint8_t datagram[DATAGRAM])
{
    uint8_t client[32], server[32];
    schedule_initial(schedule_salt, SCHEDULE_SALT_SIZE, v->dcid.bytes, v->dcid.len, client, server);
    return long_packet(datagram, PACKET_INITIAL, &v->dcid, &v->client, client, v->client.first,
                       sizeof v->client.first, DATAGRAM);
}

/* "hello" on a new stream of the protocol "echo/1", finished; packet number 0. */
static void put_one_rtt(struct vectors *v)
{
    static const uint8_t data[] = "\x06"
                                  "echo/1"
                                  "hello";
    uint8_t packet[128];
    struct protect_keys keys;
    struct writer w = writer_of(packet, sizeof packet - PACKET_TAG_LEN);
    const uint8_t *secret = v->client.application.client;
    assert_int_equal(protect_keys_derive(&keys, AEAD_CHACHA20_POLY1305, secret), 0);
    size_t header = packet_write_short(&w, &v->server.scid, false, false, 0, 1);
    assert_true(frame_write_stream(&w, 0, 0, data, sizeof data - 1, true, true));
    size_t payload = writer_len(&w) - header;
    put(v, "client_one_rtt_payload", packet + header, payload);
    struct protect_cipher cipher;
    protect_cipher_init(&cipher, &keys);
    put(v, "client_one_rtt_packet", packet, packet_seal(&cipher, packet, header, 0, 1, payload));
}

static void put_retry(struct vectors *v)
{
    uint8_t token[24], packet[128];
    struct writer w = writer_of(packet, sizeof packet);
    count_up(token, sizeof token, 0x70);
    size_t len =
        packet_write_retry(&w, &v->client.scid, &v->retry_scid, token, sizeof token, &v->dcid);
    put(v, "retry_source_connection_id", v->retry_scid.bytes, v->retry_scid.len);
    put(v, "retry_token", token, sizeof token);
    put(v, "retry_packet", packet, len);
}

static void put_packets(struct vectors *v)
{
    uint8_t packet[DATAGRAM];
    begin(v, "packets");
    put(v, "client_initial_datagram", packet, initial_datagram(v, packet));
    size_t len = long_packet(packet, PACKET_HANDSHAKE, &v->client.scid, &v->server,
                             v->server.handshake.server, v->server.piece, v->server.piece_len, 0);
    put(v, "server_handshake_packet", packet, len);
    len = long_packet(packet, PACKET_HANDSHAKE, &v->server.scid, &v->client,
                      v->client.handshake.client, v->client.piece, v->client.piece_len, 0);
    put(v, "client_handshake_packet", packet, len);
    put_one_rtt(v);
    put_retry(v);
}

static int make(void **state)
{
    static struct vectors v;
    if (secret_init() != 0) return -1;
    make_side(&v.client, 0x00, 0xd0, UINT64_C(0x0001020304050607));
    make_side(&v.server, 0x20, 0xe0, UINT64_C(0x08090a0b0c0d0e0b));
    v.dcid.len = v.retry_scid.len = CID_LOCAL_LEN;
    count_up(v.dcid.bytes, CID_LOCAL_LEN, 0xc0);
    count_up(v.retry_scid.bytes, CID_LOCAL_LEN, 0xf0);
    make_params(&v, &v.client, false);
    make_params(&v, &v.server, true);
    run_provider(&v.client, &v.server);
    *state = &v;
    return 0;
}

static void write_all(struct vectors *v)
{
    v->out = open_memstream(&v->text, &v->text_len);
    assert_non_null(v->out);
    v->in_group = false;
    fprintf(v->out, "{\n");
    put_inputs(v, "client", &v->client);
    put_inputs(v, "server", &v->server);
    begin(v, "connection");
    put(v, "original_destination_connection_id", v->dcid.bytes, v->dcid.len);
    put_noise(v);
    put_secrets(v);
    put_packets(v);
    fprintf(v->out, "\n  }\n}\n");
    fclose(v->out);
}

static void update(const struct vectors *v)
{
    FILE *file = fopen(VECTORS_PATH, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(v->text, 1, v->text_len, file), v->text_len);
    assert_int_equal(fclose(file), 0);
}

static void test_the_file_holds_what_the_code_does(void **state)
{
    struct vectors *v = *state;
    write_all(v);
    if (getenv("WEIR_UPDATE_VECTORS") != NULL) update(v);
    char *text = json_load(VECTORS_PATH);
    assert_non_null(text);
    const char *want = text, *have = v->text;
    while (*want != '\0' || *have != '\0') {
        size_t want_len = strcspn(want, "\n"), have_len = strcspn(have, "\n");
        if (want_len != have_len || memcmp(want, have, want_len) != 0) {
            fail_msg("docs/wire-vectors.json has\n%.*s\nand the code gives\n%.*s", (int)want_len,
                     want, (int)have_len, have);
        }
        want += want_len + (want[want_len] != '\0');
        have += have_len + (have[have_len] != '\0');
    }
    free(text);
    free(v->text);
}

/* Open a client's first datagram as a server would; its bytes are changed in place. */
static void open_first(uint8_t datagram[DATAGRAM], struct packet_header *h,
                       uint8_t message[HANDSHAKE_FIRST_LEN])
{
    uint8_t client[32], server[32], first, *payload;
    struct protect_keys keys;
    struct frame f;
    uint64_t number;
    size_t len;
    assert_int_equal(packet_parse(datagram, DATAGRAM, h), 0);
    assert_int_equal(h->type, PACKET_INITIAL);
    assert_int_equal(h->packet_len, DATAGRAM);
    schedule_initial(schedule_salt, SCHEDULE_SALT_SIZE, h->dcid.bytes, h->dcid.len, client, server);
    assert_int_equal(protect_keys_derive(&keys, AEAD_CHACHA20_POLY1305, client), 0);
    struct protect_cipher cipher;
    protect_cipher_init(&cipher, &keys);
    assert_int_equal(
        packet_open(&cipher, datagram, h, PACKET_NUMBER_NONE, &number, &payload, &len, &first), 0);
    assert_int_equal(number, 0);
    struct reader r = reader_of(payload, len);
    assert_int_equal(frame_read(&r, &f), 0);
    assert_int_equal(f.type, FRAME_CRYPTO);
    assert_int_equal(f.u.crypto.offset, 0);
    assert_int_equal(f.u.crypto.len, HANDSHAKE_FIRST_LEN);
    memcpy(message, f.u.crypto.data, HANDSHAKE_FIRST_LEN);
}

static void test_a_server_finds_message_1_in_the_first_datagram(void **state)
{
    const struct vectors *v = *state;
    uint8_t datagram[DATAGRAM], message[HANDSHAKE_FIRST_LEN];
    struct packet_header h;
    assert_int_equal(initial_datagram(v, datagram), DATAGRAM);
    open_first(datagram, &h, message);
    assert_true(cid_equal(&h.dcid, &v->dcid) && cid_equal(&h.scid, &v->client.scid));
    assert_memory_equal(message, v->client.first, HANDSHAKE_FIRST_LEN);
}

static void fill_counting(void *context, void *out, size_t len)
{
    uint8_t *next = context;
    count_up(out, len, *next);
    *next = (uint8_t)(*next + len);
}

static struct transport *open_transport(struct transport_env *env)
{
    struct transport *transport = NULL;
    assert_int_equal(quic_transport.open(env, &transport), 0);
    return transport;
}

/* Whatever ids and key the transport draws, its first datagram has the layout of the vector. */
static void test_the_transport_builds_its_first_datagram_the_same_way(void **state)
{
    struct vectors own = *(struct vectors *)*state;
    static const uint8_t hash_key[16] = {0};
    uint8_t next = 7, data[2048], want[DATAGRAM], copy[DATAGRAM];
    struct entropy entropy = {fill_counting, &next};
    struct limits limits;
    struct metrics metrics = {0};
    struct log log;
    struct budget budget;
    struct transport_conn *conn;
    struct packet_header h;
    limits_derive(&limits, 0, 0);
    log_init(&log, mem_system(), 8, LOG_ERROR);
    budget_init(&budget, NULL, LIMIT_SCOPE_NODE, LIMIT_NODE_MEMORY, 1 << 20, NULL);
    struct transport_env env = {.mem = mem_system(),
                                .budget = &budget,
                                .metrics = &metrics,
                                .log = &log,
                                .limits = &limits,
                                .entropy = &entropy,
                                .key = &own.client.key,
                                .hash_key = hash_key,
                                .network = ""};
    struct transport_dial dial = {.remote = endpoint_ip4(192, 0, 2, 1, 4001)};
    struct datagram_out out = {.data = data, .cap = sizeof data};
    struct transport *transport = open_transport(&env);
    assert_int_equal(quic_transport.dial(transport, &dial, 1000000, &conn), 0);
    assert_true(quic_transport.next_datagram(transport, &out, 1000000));
    assert_int_equal(out.len, DATAGRAM);
    memcpy(copy, data, DATAGRAM);
    open_first(copy, &h, own.client.first);
    own.dcid = h.dcid;
    own.client.scid = h.scid;
    assert_int_equal(initial_datagram(&own, want), DATAGRAM);
    assert_memory_equal(data, want, DATAGRAM);
    assert_false(quic_transport.next_datagram(transport, &out, 1000000));
    quic_transport.close(transport);
    log_free(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_file_holds_what_the_code_does),
        cmocka_unit_test(test_a_server_finds_message_1_in_the_first_datagram),
        cmocka_unit_test(test_the_transport_builds_its_first_datagram_the_same_way),
    };
    return cmocka_run_group_tests(tests, make, NULL);
}
