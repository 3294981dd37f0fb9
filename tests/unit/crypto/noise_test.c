/* SPDX-License-Identifier: MIT */
/* Goal: the Noise tokens, put together as XX, give the published transcripts; no failing call
 * changes the state; the weir handshake's cut of message 2 gives both sides equal keys.
 * Method: a driver that writes out the XX pattern over cacophony's and snow's vectors when they are
 * present; hostile keys and flipped bits between two states. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "crypto/aead.h"
#include "crypto/noise.h"
#include "crypto/schedule.h"
#include "json.h"
#include "weir.h"

/* The XX pattern as calls: message 0, 1 or 2 with its payload. @return bytes written */
static size_t xx_write(struct noise_state *s, unsigned message, const uint8_t *payload, size_t len,
                       uint8_t *out)
{
    uint8_t *at = out;
    if (message < 2) {
        noise_write_e(s, at);
        at += 32;
    }
    if (message == 1) assert_int_equal(noise_mix_ee(s), 0);
    if (message > 0) at += noise_write_s(s, at);
    if (message == 1) assert_int_equal(noise_mix_es(s), 0);
    if (message == 2) assert_int_equal(noise_mix_se(s), 0);
    at += noise_encrypt_and_hash(s, payload, len, at);
    return (size_t)(at - out);
}

/* The other side. @return 0 or the first error */
static int xx_read(struct noise_state *s, unsigned message, const uint8_t *in, size_t len,
                   uint8_t *payload, size_t *payload_len)
{
    int error = 0;
    size_t at = 0;
    if (message < 2) {
        error = noise_read_e(s, in);
        at = 32;
    }
    if (error == 0 && message == 1) error = noise_mix_ee(s);
    if (error == 0 && message > 0) {
        size_t key = noise_sealed_key_size(s);
        error = noise_read_s(s, in + at, key);
        at += key;
    }
    if (error == 0 && message == 1) error = noise_mix_es(s);
    if (error == 0 && message == 2) error = noise_mix_se(s);
    if (error != 0) return error;
    return noise_decrypt_and_hash(s, in + at, len - at, payload, payload_len);
}

static void make_pair(struct x25519_pair *pair, uint8_t number)
{
    uint8_t secret[32];
    memset(secret, number, sizeof secret);
    x25519_pair_from(pair, secret);
}

/* Two states with fixed keys and the weir prologue; ephemeral keys are set. */
static void make_two(struct noise_state *client, struct noise_state *server)
{
    struct x25519_pair pair;
    make_pair(&pair, 1);
    noise_init(client, true, schedule_prologue, SCHEDULE_PROLOGUE_SIZE, &pair);
    make_pair(&pair, 2);
    noise_init(server, false, schedule_prologue, SCHEDULE_PROLOGUE_SIZE, &pair);
    make_pair(&pair, 3);
    noise_set_ephemeral(client, pair.secret);
    make_pair(&pair, 4);
    noise_set_ephemeral_pair(server, &pair);
}

static void test_both_sides_end_with_equal_keys(void **state)
{
    (void)state;
    struct noise_state client, server;
    uint8_t wire[256], payload[64];
    size_t len, payload_len;
    make_two(&client, &server);
    len = xx_write(&client, 0, NULL, 0, wire);
    assert_int_equal(len, 32);
    assert_int_equal(xx_read(&server, 0, wire, len, payload, &payload_len), 0);
    assert_int_equal(payload_len, 0);
    len = xx_write(&server, 1, (const uint8_t *)"params", 6, wire);
    assert_int_equal(len, 32 + 48 + 6 + 16);
    assert_int_equal(xx_read(&client, 1, wire, len, payload, &payload_len), 0);
    assert_int_equal(payload_len, 6);
    assert_memory_equal(payload, "params", 6);
    len = xx_write(&client, 2, NULL, 0, wire);
    assert_int_equal(len, 48 + 16);
    assert_int_equal(xx_read(&server, 2, wire, len, payload, &payload_len), 0);
    assert_int_equal(payload_len, 0);

    uint8_t c1[2][32], c2[2][32];
    noise_split(&client, c1[0], c2[0]);
    noise_split(&server, c1[1], c2[1]);
    assert_memory_equal(c1[0], c1[1], 32);
    assert_memory_equal(c2[0], c2[1], 32);
    assert_memory_not_equal(c1[0], c2[0], 32);
    assert_memory_equal(client.h, server.h, 32);
    assert_memory_equal(client.ck, server.ck, 32);
    assert_memory_equal(client.rs, server.s.public_key, 32);
    assert_memory_equal(server.rs, client.s.public_key, 32);
}

/* wire.md 5.11: after token ee both sides know the Handshake level's secrets, and go on. */
static void test_handshake_secrets_agree_after_ee(void **state)
{
    (void)state;
    struct noise_state client, server;
    uint8_t e[32], secrets[4][32], sealed[48];
    make_two(&client, &server);
    noise_write_e(&client, e);
    noise_encrypt_and_hash(&client, NULL, 0, NULL);
    assert_int_equal(noise_read_e(&server, e), 0);
    assert_int_equal(noise_decrypt_and_hash(&server, NULL, 0, NULL, NULL), 0);
    noise_write_e(&server, e);
    assert_int_equal(noise_mix_ee(&server), 0);
    schedule_handshake(server.ck, server.h, secrets[0], secrets[1]);
    assert_int_equal(noise_read_e(&client, e), 0);
    assert_int_equal(noise_mix_ee(&client), 0);
    schedule_handshake(client.ck, client.h, secrets[2], secrets[3]);
    assert_memory_equal(secrets[0], secrets[2], 32);
    assert_memory_equal(secrets[1], secrets[3], 32);
    assert_memory_not_equal(secrets[0], secrets[1], 32);
    assert_int_equal(noise_write_s(&server, sealed), 48);
    assert_int_equal(noise_read_s(&client, sealed, 48), 0);
}

/* wire.md 5.5: three candidates from one state; a forged one fails alone. */
static void test_a_copy_is_a_candidate_of_its_own(void **state)
{
    (void)state;
    struct noise_state client, server, forged, honest;
    struct x25519_pair pair;
    uint8_t wire[256], payload[64];
    make_two(&client, &server);
    size_t len = xx_write(&client, 0, NULL, 0, wire);
    assert_int_equal(xx_read(&server, 0, wire, len, payload, NULL), 0);
    len = xx_write(&server, 1, NULL, 0, wire);
    forged = client;
    honest = client;
    make_pair(&pair, 9);
    assert_int_equal(noise_read_e(&forged, pair.public_key), 0);
    assert_int_equal(noise_mix_ee(&forged), 0);
    assert_int_equal(noise_read_s(&forged, wire + 32, 48), WEIR_E_DECRYPT);
    assert_int_equal(xx_read(&honest, 1, wire, len, payload, NULL), 0);
}

static void test_a_failed_open_leaves_the_state_unchanged(void **state)
{
    (void)state;
    struct noise_state client, server, before;
    uint8_t wire[256], bad[256], payload[64];
    make_two(&client, &server);
    size_t len = xx_write(&client, 0, NULL, 0, wire);
    assert_int_equal(xx_read(&server, 0, wire, len, payload, NULL), 0);
    len = xx_write(&server, 1, (const uint8_t *)"params", 6, wire);
    assert_int_equal(noise_read_e(&client, wire), 0);
    assert_int_equal(noise_mix_ee(&client), 0);
    before = client;
    for (size_t bit = 0; bit < 48 * 8; bit++) {
        memcpy(bad, wire + 32, 48);
        bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(noise_read_s(&client, bad, 48), WEIR_E_DECRYPT);
        assert_memory_equal(&client, &before, sizeof client);
    }
    assert_int_equal(noise_read_s(&client, wire + 32, 47), WEIR_E_DECRYPT);
    assert_int_equal(noise_read_s(&client, wire + 32, 32), WEIR_E_DECRYPT);
    assert_int_equal(noise_read_s(&client, wire + 32, 48), 0);
    assert_int_equal(noise_mix_es(&client), 0);
    before = client;
    for (size_t cut = 0; cut < 22; cut++) {
        int error = noise_decrypt_and_hash(&client, wire + 80, cut, payload, NULL);
        assert_int_equal(error, WEIR_E_DECRYPT);
        assert_memory_equal(&client, &before, sizeof client);
    }
    /* In place, as the transport opens it. */
    assert_int_equal(noise_decrypt_and_hash(&client, wire + 80, 22, wire + 80, NULL), 0);
    assert_memory_equal(wire + 80, "params", 6);
    assert_memory_equal(client.h, server.h, 32);
}

static void test_a_zero_secret_is_refused_in_each_token(void **state)
{
    (void)state;
    static const uint8_t zero_point[32];
    struct noise_state client, server, before;
    make_two(&client, &server);
    /* The initiator's ee, then a responder's es and se against hostile keys. */
    assert_int_equal(noise_read_e(&client, zero_point), 0);
    before = client;
    assert_int_equal(noise_mix_ee(&client), WEIR_E_HANDSHAKE);
    assert_int_equal(noise_mix_se(&client), WEIR_E_HANDSHAKE);
    assert_memory_equal(&client, &before, sizeof client);
    assert_int_equal(noise_read_s(&server, zero_point, 32), 0);
    before = server;
    assert_int_equal(noise_mix_se(&server), WEIR_E_HANDSHAKE);
    assert_memory_equal(&server, &before, sizeof server);
    assert_int_equal(noise_read_e(&server, zero_point), 0);
    assert_int_equal(noise_mix_es(&server), WEIR_E_HANDSHAKE);
    make_two(&client, &server);
    assert_int_equal(noise_read_s(&client, zero_point, 32), 0);
    assert_int_equal(noise_mix_es(&client), WEIR_E_HANDSHAKE);
}

static void test_our_own_ephemeral_key_is_refused(void **state)
{
    (void)state;
    struct noise_state client, server, before;
    uint8_t e[32];
    make_two(&client, &server);
    noise_write_e(&client, e);
    before = client;
    assert_int_equal(noise_read_e(&client, e), WEIR_E_HANDSHAKE);
    assert_memory_equal(&client, &before, sizeof client);
}

static void test_another_prologue_ends_at_the_first_seal(void **state)
{
    (void)state;
    struct noise_state client, server;
    struct x25519_pair pair;
    uint8_t wire[256], payload[64];
    make_two(&client, &server);
    make_pair(&pair, 1);
    noise_init(&client, true, "other", 5, &pair);
    make_pair(&pair, 3);
    noise_set_ephemeral_pair(&client, &pair);
    size_t len = xx_write(&client, 0, NULL, 0, wire);
    assert_int_equal(xx_read(&server, 0, wire, len, payload, NULL), 0);
    len = xx_write(&server, 1, NULL, 0, wire);
    assert_int_equal(xx_read(&client, 1, wire, len, payload, NULL), WEIR_E_DECRYPT);
}

static void test_wipe_leaves_nothing(void **state)
{
    (void)state;
    static const struct noise_state nothing;
    struct noise_state client, server;
    make_two(&client, &server);
    noise_wipe(&client);
    assert_memory_equal(&client, &nothing, sizeof client);
}

/* Transport messages behind the handshake: nonces count, the associated data is empty. */
static size_t transport_seal(const uint8_t key[32], uint64_t n, const uint8_t *plain, size_t len,
                             uint8_t *out)
{
    uint8_t nonce[12] = {0};
    for (unsigned i = 0; i < 8; i++) nonce[4 + i] = (uint8_t)(n >> (8 * i));
    assert_int_equal(aead_seal(AEAD_CHACHA20_POLY1305, key, nonce, NULL, 0, plain, len, out), 0);
    return len + 16;
}

static void vector_state(struct noise_state *s, struct json vector, bool initiator)
{
    uint8_t prologue[128], secret[32];
    struct x25519_pair pair;
    size_t len = json_hex(json_get(vector, initiator ? "init_prologue" : "resp_prologue"), prologue,
                          sizeof prologue);
    assert_true(len != SIZE_MAX);
    struct json key = json_get(vector, initiator ? "init_static" : "resp_static");
    assert_int_equal(json_hex(key, secret, 32), 32);
    x25519_pair_from(&pair, secret);
    noise_init(s, initiator, prologue, len, &pair);
    key = json_get(vector, initiator ? "init_ephemeral" : "resp_ephemeral");
    assert_int_equal(json_hex(key, secret, 32), 32);
    noise_set_ephemeral(s, secret);
}

static void check_vector(struct json vector)
{
    struct noise_state sides[2];
    uint8_t keys[2][32], payload[512], expected[512], wire[512], back[512];
    uint64_t counters[2] = {0, 0};
    vector_state(&sides[0], vector, true);
    vector_state(&sides[1], vector, false);
    struct json message = {0}, messages = json_get(vector, "messages");
    unsigned i = 0;
    for (; json_next(messages, &message); i++) {
        size_t from = i % 2, back_len = 0, wire_len;
        size_t len = json_hex(json_get(message, "payload"), payload, sizeof payload);
        size_t expected_len = json_hex(json_get(message, "ciphertext"), expected, sizeof expected);
        assert_true(len <= 256 && expected_len != SIZE_MAX);
        if (i < 3) {
            wire_len = xx_write(&sides[from], i, payload, len, wire);
            assert_int_equal(xx_read(&sides[1 - from], i, wire, wire_len, back, &back_len), 0);
            assert_int_equal(back_len, len);
            assert_memory_equal(back, payload, len);
            if (i == 2) noise_split(&sides[1], keys[0], keys[1]);
        } else {
            wire_len = transport_seal(keys[from], counters[from]++, payload, len, wire);
        }
        assert_int_equal(wire_len, expected_len);
        assert_memory_equal(wire, expected, wire_len);
    }
    assert_true(i >= 3);
    assert_memory_equal(sides[0].h, sides[1].h, 32);
    if (!json_has(vector, "handshake_hash")) return;
    assert_int_equal(json_hex(json_get(vector, "handshake_hash"), expected, 32), 32);
    assert_memory_equal(sides[0].h, expected, 32);
}

static void test_the_published_xx_vectors_pass(void **state)
{
    (void)state;
    char *text = json_load(WEIR_VECTORS "/noise/noise_25519_ChaChaPoly_SHA256.json");
    if (text == NULL) {
        print_message("absent: noise/noise_25519_ChaChaPoly_SHA256.json\n");
        skip();
    }
    struct json vector = {0}, vectors = json_get(json_parse(text), "vectors");
    unsigned count = 0;
    while (json_next(vectors, &vector)) {
        struct json name = json_get(vector, "protocol_name");
        if (!json_is(name, "Noise_XX_25519_ChaChaPoly_SHA256")) continue;
        check_vector(vector);
        count++;
    }
    assert_int_equal(count, 2);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_sides_end_with_equal_keys),
        cmocka_unit_test(test_handshake_secrets_agree_after_ee),
        cmocka_unit_test(test_a_copy_is_a_candidate_of_its_own),
        cmocka_unit_test(test_a_failed_open_leaves_the_state_unchanged),
        cmocka_unit_test(test_a_zero_secret_is_refused_in_each_token),
        cmocka_unit_test(test_our_own_ephemeral_key_is_refused),
        cmocka_unit_test(test_another_prologue_ends_at_the_first_seal),
        cmocka_unit_test(test_wipe_leaves_nothing),
        cmocka_unit_test(test_the_published_xx_vectors_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
