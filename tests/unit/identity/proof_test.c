/* SPDX-License-Identifier: MIT */
/* Goal: a proof names the peer whose key signed this very static key, and no other bytes do.
 * Method: a proof made and read back; its bytes as libp2p lays them out; payloads put together by
 * hand with fields missing, doubled, reordered, unknown or of a wrong type; each bit flipped. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "crypto/ed25519.h"
#include "identity/proof.h"
#include "json.h"
#include "weir.h"

static const uint8_t noise_static[32] = {0x42, 1, 2, 3};

static void make_pair(struct key_pair *pair)
{
    uint8_t seed[32] = {7};
    key_pair_from_seed(pair, seed);
}

/* A payload under construction. */
struct built {
    uint8_t bytes[4096];
    size_t len;
};

static void add(struct built *b, const void *bytes, size_t len)
{
    assert_true(len <= sizeof b->bytes - b->len);
    if (len > 0) memcpy(b->bytes + b->len, bytes, len);
    b->len += len;
}

static void add_hex(struct built *b, const char *text)
{
    uint8_t bytes[256];
    add(b, bytes, hex(text, bytes, sizeof bytes));
}

static void add_key(struct built *b, const struct key_pair *pair)
{
    add_hex(b, "0a2408011220");
    add(b, peer_id_key(&pair->id), 32);
}

static void add_signature(struct built *b, const struct key_pair *pair)
{
    uint8_t message[56], signature[64];
    memcpy(message, "noise-libp2p-static-key:", 24);
    memcpy(message + 24, noise_static, 32);
    key_pair_sign(pair, message, sizeof message, signature);
    add_hex(b, "1240");
    add(b, signature, 64);
}

static int check(const struct built *b, struct peer_id *id, const uint8_t **params, size_t *len)
{
    return proof_check(b->bytes, b->len, noise_static, id, params, len);
}

static void test_a_proof_names_its_peer_and_carries_parameters(void **state)
{
    (void)state;
    struct key_pair pair;
    make_pair(&pair);
    static const size_t lengths[] = {0, 1, 100, 127, 128, PROOF_PARAMS_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        uint8_t sent[PROOF_PARAMS_MAX], bytes[PROOF_SIZE_MAX];
        struct peer_id id;
        const uint8_t *params = NULL;
        size_t params_len = 99;
        memset(sent, 0xab, sizeof sent);
        int len = proof_make(&pair, noise_static, sent, lengths[i], bytes, sizeof bytes);
        assert_true(len > 0 && (size_t)len <= PROOF_SIZE(lengths[i]));
        int error = proof_check(bytes, (size_t)len, noise_static, &id, &params, &params_len);
        assert_int_equal(error, 0);
        assert_true(peer_id_equal(&id, &pair.id));
        assert_int_equal(params_len, lengths[i]);
        assert_non_null(params);
        assert_memory_equal(params, sent, params_len);
    }
}

/* 104 bytes without extensions, as every libp2p implementation sends them; 1025 is tag 8a40. */
static void test_the_bytes_are_libp2ps(void **state)
{
    (void)state;
    struct key_pair pair;
    struct built expected = {.len = 0};
    uint8_t bytes[128];
    make_pair(&pair);
    add_key(&expected, &pair);
    add_signature(&expected, &pair);
    int len = proof_make(&pair, noise_static, NULL, 0, bytes, sizeof bytes);
    assert_int_equal(len, 104);
    assert_int_equal(expected.len, 104);
    assert_memory_equal(bytes, expected.bytes, 104);
    add_hex(&expected, "22068a4003010203");
    len = proof_make(&pair, noise_static, "\1\2\3", 3, bytes, sizeof bytes);
    assert_int_equal(len, expected.len);
    assert_memory_equal(bytes, expected.bytes, expected.len);
}

static void test_make_needs_room_and_short_parameters(void **state)
{
    (void)state;
    struct key_pair pair;
    uint8_t bytes[PROOF_SIZE_MAX + 200], params[PROOF_PARAMS_MAX + 1] = {0};
    make_pair(&pair);
    int full = proof_make(&pair, noise_static, params, 50, bytes, sizeof bytes);
    for (size_t cap = 0; cap < (size_t)full; cap++) {
        memset(bytes, 0xee, sizeof bytes);
        assert_int_equal(proof_make(&pair, noise_static, params, 50, bytes, cap), WEIR_E_SPACE);
        assert_int_equal(bytes[cap], 0xee);
    }
    assert_int_equal(proof_make(&pair, noise_static, params, 50, bytes, (size_t)full), full);
    int error = proof_make(&pair, noise_static, params, sizeof params, bytes, sizeof bytes);
    assert_int_equal(error, WEIR_E_ARGUMENT);
    error = proof_make(&pair, noise_static, NULL, 1, bytes, sizeof bytes);
    assert_int_equal(error, WEIR_E_ARGUMENT);
}

static void test_a_proof_is_good_for_one_static_key_only(void **state)
{
    (void)state;
    struct key_pair pair;
    uint8_t bytes[128], other[32];
    struct peer_id id;
    const uint8_t *params;
    size_t params_len;
    make_pair(&pair);
    int len = proof_make(&pair, noise_static, NULL, 0, bytes, sizeof bytes);
    memcpy(other, noise_static, 32);
    other[31] ^= 1;
    int error = proof_check(bytes, (size_t)len, other, &id, &params, &params_len);
    assert_int_equal(error, WEIR_E_HANDSHAKE);
    assert_int_equal(id.len, 0);
    error = proof_check(bytes, (size_t)len, noise_static, &id, &params, &params_len);
    assert_int_equal(error, 0);
    assert_null(params);
    assert_int_equal(params_len, 0);
}

static void test_no_flipped_bit_or_cut_gives_another_peer(void **state)
{
    (void)state;
    struct key_pair pair;
    uint8_t bytes[256];
    struct peer_id id;
    const uint8_t *params;
    size_t params_len;
    make_pair(&pair);
    size_t len = (size_t)proof_make(&pair, noise_static, "parameters", 10, bytes, sizeof bytes);
    for (size_t bit = 0; bit < 104 * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int error = proof_check(bytes, len, noise_static, &id, &params, &params_len);
        assert_int_equal(error, WEIR_E_HANDSHAKE);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t cut = 0; cut < len; cut++) {
        int error = proof_check(bytes, cut, noise_static, &id, &params, &params_len);
        assert_int_equal(error, cut == 104 ? 0 : WEIR_E_HANDSHAKE);
    }
}

/* K and S stand for the key and the signature, the rest is hex; each row is one payload. */
struct row {
    const char *text;
    int result;
    size_t params_len;
};
static const struct row rows[] = {
    {"KS", 0, 0},
    {"SK", 0, 0},
    {"2200 KS", 0, 0},
    {"22058a40020102 KS", 0, 2},
    {"", WEIR_E_HANDSHAKE, 0},
    {"K", WEIR_E_HANDSHAKE, 0},
    {"S", WEIR_E_HANDSHAKE, 0},
    {"KKS", WEIR_E_HANDSHAKE, 0},
    {"KSS", WEIR_E_HANDSHAKE, 0},
    {"KS 2200 2200", WEIR_E_HANDSHAKE, 0},
    {"KS 220a 8a40020102 8a40020102", WEIR_E_HANDSHAKE, 0}, /* parameters twice */
    {"KS 2203 884001", WEIR_E_HANDSHAKE, 0},                /* parameters as a number */
    {"KS 2001", WEIR_E_HANDSHAKE, 0},                       /* extensions as a number */
    {"KS 0801", WEIR_E_HANDSHAKE, 0},                       /* key as a number */
    {"0801 KS", WEIR_E_HANDSHAKE, 0},
    {"2001 KS", WEIR_E_HANDSHAKE, 0},
    {"KS 1d00000000", 0, 0},                                   /* field 3 in any wire type */
    {"KS 1a03aabbcc", 0, 0},                                   /* early data, ignored */
    {"KS 2801 31 0102030405060708 3d01020304 42021122", 0, 0}, /* unknown, all four types */
    {"KS 2b2c", WEIR_E_HANDSHAKE, 0},                          /* a group */
    {"KS 2e", WEIR_E_HANDSHAKE, 0},                            /* wire type 6 */
    {"KS 0200", WEIR_E_HANDSHAKE, 0},                          /* field 0 */
    {"KS 8280808010 00", WEIR_E_HANDSHAKE, 0},                 /* a field number above 2^29-1 */
    {"KS 2880", WEIR_E_HANDSHAKE, 0},                          /* a number that is cut */
    {"KS 4205 11", WEIR_E_HANDSHAKE, 0},                       /* a length beyond the end */
    {"KS 42ffffffffffffffff7f 11", WEIR_E_HANDSHAKE, 0},       /* a length of 2^63-1 */
    {"KS 22041202aabb", 0, 0},                                 /* stream_muxers, skipped */
    {"KS 220f0a02aabb 0a02aabb 8a40020102 1200", 0, 2},        /* between other extensions */
    {"KS 2204 8a400301", WEIR_E_HANDSHAKE, 0},                 /* parameters beyond the end */
};

static void test_payloads_put_together_by_hand(void **state)
{
    (void)state;
    struct key_pair pair;
    make_pair(&pair);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct built b = {.len = 0};
        struct peer_id id;
        const uint8_t *params;
        size_t params_len;
        for (const char *at = rows[i].text; *at != '\0'; at++) {
            char digits[3] = {at[0], at[1], 0};
            if (*at == ' ') continue;
            if (*at == 'K') add_key(&b, &pair);
            if (*at == 'S') add_signature(&b, &pair);
            if (*at == 'K' || *at == 'S') continue;
            add_hex(&b, digits);
            at++;
        }
        int error = check(&b, &id, &params, &params_len);
        if (error != rows[i].result) print_message("payload: %s\n", rows[i].text);
        assert_int_equal(error, rows[i].result);
        assert_int_equal(params_len, rows[i].params_len);
        assert_int_equal(id.len, error == 0 ? PEER_ID_ED25519_SIZE : 0);
    }
}

static void test_sizes_are_bounded(void **state)
{
    (void)state;
    struct key_pair pair;
    struct built b = {.len = 0};
    struct peer_id id;
    const uint8_t *params;
    size_t params_len;
    static const uint8_t zeroes[2048];
    make_pair(&pair);
    add_key(&b, &pair);
    add_signature(&b, &pair);
    struct built start = b;
    /* One byte of parameters too many: 1025 is 8108 as a length, the message around it 1029. */
    add_hex(&b, "2285088a408108");
    add(&b, zeroes, 1025);
    assert_int_equal(check(&b, &id, &params, &params_len), WEIR_E_HANDSHAKE);
    /* An unknown field that fills the payload up to the limit, and one byte more. */
    b = start;
    add_hex(&b, "42d50e");
    add(&b, zeroes, 1877);
    assert_int_equal(b.len, PROOF_SIZE_MAX);
    assert_int_equal(check(&b, &id, &params, &params_len), 0);
    b = start;
    add_hex(&b, "42d60e");
    add(&b, zeroes, 1878);
    assert_int_equal(check(&b, &id, &params, &params_len), WEIR_E_HANDSHAKE);
}

static void test_other_keys_and_lengths_are_refused(void **state)
{
    (void)state;
    struct key_pair pair;
    make_pair(&pair);
    static const char *const heads[] = {"0a2408001220", "0a2408021220", "0a241201220801",
                                        "0a240801121f", "0a2308011220", "0a2508011220"};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct built b = {.len = 0};
        struct peer_id id;
        const uint8_t *params;
        size_t params_len;
        add_signature(&b, &pair);
        add_hex(&b, heads[i]);
        add(&b, peer_id_key(&pair.id), 32);
        assert_int_equal(check(&b, &id, &params, &params_len), WEIR_E_HANDSHAKE);
        assert_null(params);
        /* The same with a byte more, which "0a25" takes into the key. */
        add_hex(&b, "00");
        assert_int_equal(check(&b, &id, &params, &params_len), WEIR_E_HANDSHAKE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_proof_names_its_peer_and_carries_parameters),
        cmocka_unit_test(test_the_bytes_are_libp2ps),
        cmocka_unit_test(test_make_needs_room_and_short_parameters),
        cmocka_unit_test(test_a_proof_is_good_for_one_static_key_only),
        cmocka_unit_test(test_no_flipped_bit_or_cut_gives_another_peer),
        cmocka_unit_test(test_payloads_put_together_by_hand),
        cmocka_unit_test(test_sizes_are_bounded),
        cmocka_unit_test(test_other_keys_and_lengths_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
