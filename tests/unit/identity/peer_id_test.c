/* SPDX-License-Identifier: MIT */
/* Goal: peer ids are made, parsed and printed as libp2p's specification has them, and nothing else
 * is one.
 * Method: the specification's keys and strings typed in, and its file when present; a table of
 * malformed ids in binary and in text. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "identity/peer_id.h"
#include "json.h"
#include "weir.h"

#define SPEC_KEY "1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"
#define SPEC_ID "0024080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"
static const char spec_base58[] = "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq";
static const char spec_base32[] =
    "bafzaajaiaejcahwr5d5ofrfbis4l5d6uwr57hu5tjodrypfm6yaq6dsc2r2pzyt6";
static const char spec_base36[] = "k51qzi5uqu5dgy8qsq67hbz73jqkw87l3fgf4a91qb0d9b5173tir7n4vxk1oe";
static const char spec_base58_cid[] = "z5AanNVJCxnGuh8TJu4nye3dE3NbxAd8FB9cr46uVagyFPuibMxok2R";

static void test_an_ed25519_key_is_its_own_id(void **state)
{
    (void)state;
    uint8_t key[32], expected[38];
    char text[PEER_ID_TEXT_SIZE], cid[PEER_ID_CID_SIZE];
    struct peer_id id;
    memset(&id, 0xee, sizeof id);
    hex(SPEC_KEY, key, 32);
    hex(SPEC_ID, expected, 38);
    peer_id_from_public_key(&id, key);
    assert_int_equal(id.len, PEER_ID_ED25519_SIZE);
    assert_memory_equal(id.bytes, expected, 38);
    for (size_t i = 38; i < sizeof id.bytes; i++) assert_int_equal(id.bytes[i], 0);
    assert_memory_equal(peer_id_key(&id), key, 32);
    assert_int_equal(peer_id_format(&id, text), strlen(spec_base58));
    assert_string_equal(text, spec_base58);
    assert_int_equal(peer_id_format_cid(&id, cid), strlen(spec_base32));
    assert_string_equal(cid, spec_base32);
}

static void test_every_text_form_names_the_same_peer(void **state)
{
    (void)state;
    const char *const forms[] = {spec_base58, spec_base32, spec_base36, spec_base58_cid};
    uint8_t expected[38];
    hex(SPEC_ID, expected, 38);
    for (size_t i = 0; i < 4; i++) {
        struct peer_id id;
        assert_int_equal(peer_id_parse(&id, forms[i], strlen(forms[i])), 0);
        assert_int_equal(id.len, 38);
        assert_memory_equal(id.bytes, expected, 38);
    }
}

static void test_a_hashed_id_is_kept_but_holds_no_key(void **state)
{
    (void)state;
    static const char text[] = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";
    uint8_t expected[34];
    char out[PEER_ID_TEXT_SIZE];
    struct peer_id id;
    hex("12209dff3b17d74cf4d38a50d8b6383e92d181a10395a5e73a726dcccbd21bf6f0b9", expected, 34);
    assert_int_equal(peer_id_parse(&id, text, strlen(text)), 0);
    assert_int_equal(id.len, 34);
    assert_memory_equal(id.bytes, expected, 34);
    assert_null(peer_id_key(&id));
    peer_id_format(&id, out);
    assert_string_equal(out, text);
}

static void test_a_secp256k1_id_is_kept_but_gives_no_ed25519_key(void **state)
{
    (void)state;
    static const char text[] = "16Uiu2HAmLhLvBoYaoZfaMUKuibM6ac163GwKY74c5kiSLg5KvLpY";
    struct peer_id id;
    assert_int_equal(peer_id_parse(&id, text, strlen(text)), 0);
    assert_int_equal(id.len, 39);
    assert_null(peer_id_key(&id));
}

static void test_malformed_bytes_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "00",
        "0000", /* identity of nothing */
        "0024", /* cut */
        "0023080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e",
        "0024080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce2",
        SPEC_ID "00", /* a byte too many */
        "0025080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e00",
        "8000"
        "24080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e",
        "00a400080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e",
        "00251001"
        "12201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e",
        "0024080412201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e",
        "00240801121f1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e",
        "00230801121f1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce2",
        "11149dff3b17d74cf4d38a50d8b6383e92d181a10395", /* SHA-1 */
        "121f9dff3b17d74cf4d38a50d8b6383e92d181a10395a5e73a726dcccbd21bf6f0",
        "12209dff3b17d74cf4d38a50d8b6383e92d181a10395a5e73a726dcccbd21bf6f0",
        "12219dff3b17d74cf4d38a50d8b6383e92d181a10395a5e73a726dcccbd21bf6f0b900",
    };
    static const struct peer_id none;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t bytes[64];
        struct peer_id id;
        size_t len = hex(bad[i], bytes, sizeof bytes);
        memset(&id, 0xee, sizeof id);
        assert_int_equal(peer_id_from_bytes(&id, bytes, len), WEIR_E_PEER_ID);
        assert_memory_equal(&id, &none, sizeof id);
    }
}

static void test_the_longest_key_fits_and_a_longer_one_does_not(void **state)
{
    (void)state;
    uint8_t bytes[2 + PEER_ID_KEY_MAX + 1] = {0, PEER_ID_KEY_MAX, 0x08, 3, 0x12, 38};
    struct peer_id id, back;
    char text[PEER_ID_TEXT_SIZE], cid[PEER_ID_CID_SIZE];
    memset(bytes + 6, 0xff, 38);
    assert_int_equal(peer_id_from_bytes(&id, bytes, 44), 0);
    assert_int_equal(peer_id_parse(&back, text, peer_id_format(&id, text)), 0);
    assert_true(peer_id_equal(&id, &back));
    assert_int_equal(peer_id_parse(&back, cid, peer_id_format_cid(&id, cid)), 0);
    assert_true(peer_id_equal(&id, &back));
    bytes[1]++;
    bytes[5]++;
    assert_int_equal(peer_id_from_bytes(&id, bytes, 45), WEIR_E_PEER_ID);
}

static void test_malformed_text_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "1",
        "Q",
        "Qm",
        "12D3KooW",
        "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3p0",
        "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3p",
        "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pqq",
        " 12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq",
        "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq\n",
        "112D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq",
        "1GsNUph9MmeHfqZnz5gLeBfCATATinkn5Bn2p6xeXwnshWUjc5",
        "5dqnQzgEDVNAXv9wJ6hPKhbtCRmFvS",
        "b",
        "k",
        "z",
        "BAFZAAJAIAEJCAHWR5D5OFRFBIS4L5D6UWR57HU5TJODRYPFM6YAQ6DSC2R2PZYT6",
        "bafzaajaiaejcahwr5d5ofrfbis4l5d6uwr57hu5tjodrypfm6yaq6dsc2r2pzyt6a",
        "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxf",       /* unused bits set */
        "bafyaajaiaejcahwr5d5ofrfbis4l5d6uwr57hu5tjodrypfm6yaq6dsc2r2pzyt6", /* dag-pb */
        "z59H3VeZaUCeCcjYN7meBYp27c1BVJdhzLxGf7NQvCDaFXVZ7WsqW1j",           /* dag-pb */
        "bafza",
        "x51qzi5uqu5dgy8qsq67hbz73jqkw87l3fgf4a91qb0d9b5173tir7n4vxk1oe",
    };
    static const struct peer_id none;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct peer_id id;
        memset(&id, 0xee, sizeof id);
        assert_int_equal(peer_id_parse(&id, bad[i], strlen(bad[i])), WEIR_E_PEER_ID);
        assert_memory_equal(&id, &none, sizeof id);
    }
}

static void test_long_text_is_refused_unread(void **state)
{
    (void)state;
    char text[4096];
    struct peer_id id;
    memset(text, '1', sizeof text);
    for (size_t len = 0; len <= PEER_ID_INPUT_MAX + 2; len++) {
        assert_int_equal(peer_id_parse(&id, text, len), WEIR_E_PEER_ID);
    }
    assert_int_equal(peer_id_parse(&id, text, sizeof text), WEIR_E_PEER_ID);
    assert_int_equal(peer_id_parse(&id, text, SIZE_MAX), WEIR_E_PEER_ID);
}

static void test_an_empty_id_prints_as_nothing(void **state)
{
    (void)state;
    struct peer_id id = {0};
    char text[PEER_ID_TEXT_SIZE] = "x", cid[PEER_ID_CID_SIZE] = "x";
    assert_int_equal(peer_id_format(&id, text), 0);
    assert_string_equal(text, "");
    assert_int_equal(peer_id_format_cid(&id, cid), 0);
    assert_string_equal(cid, "");
}

static void test_compare_orders_by_bytes_then_length(void **state)
{
    (void)state;
    static const struct peer_id rows[] = {
        {0, {0}}, {1, {0}},    {2, {0, 0}}, {2, {0, 1}},
        {1, {1}}, {1, {0x7f}}, {1, {0x80}}, {2, {0xff, 0}},
    };
    int count = sizeof rows / sizeof rows[0];
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < count; j++) {
            int order = peer_id_compare(&rows[i], &rows[j]);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
            assert_int_equal(peer_id_equal(&rows[i], &rows[j]), i == j);
        }
    }
}

static void check_key(struct json key)
{
    uint8_t expected[PEER_ID_SIZE_MAX];
    char base58[64], cid[80], text[80];
    struct peer_id id, other;
    size_t len = json_hex(json_get(key, "derived_peer_id_multihash_hex"), expected, 47);
    assert_true(len != SIZE_MAX);
    size_t n = json_string(json_get(key, "derived_peer_id_base58"), base58, sizeof base58);
    assert_int_equal(peer_id_parse(&id, base58, n), 0);
    assert_int_equal(id.len, len);
    assert_memory_equal(id.bytes, expected, len);
    n = json_string(json_get(key, "derived_peer_id_cidv1_base32"), cid, sizeof cid);
    assert_int_equal(peer_id_parse(&other, cid, n), 0);
    assert_true(peer_id_equal(&id, &other));
    peer_id_format(&id, text);
    assert_string_equal(text, base58);
    peer_id_format_cid(&id, text);
    assert_string_equal(text, cid);
}

static void test_the_specifications_file_agrees(void **state)
{
    (void)state;
    char *file = json_load(WEIR_VECTORS "/libp2p/peer_id_vectors.json");
    if (file == NULL) {
        print_message("absent: libp2p/peer_id_vectors.json\n");
        skip();
    }
    struct json keys = json_get(json_parse(file), "keys");
    static const char *const types[] = {"ecdsa", "ed25519", "secp256k1", "rsa"};
    for (size_t i = 0; i < 4; i++) check_key(json_get(keys, types[i]));
    uint8_t message[64];
    struct json message_hex = json_get(json_get(keys, "ed25519"), "public");
    assert_int_equal(json_hex(message_hex, message, sizeof message), 36);
    struct peer_id id;
    peer_id_from_public_key(&id, message + 4);
    assert_memory_equal(id.bytes + 2, message, 36);

    struct json example = {0}, examples = json_get(json_parse(file), "string_examples");
    unsigned count = 0;
    for (; json_next(examples, &example); count++) {
        char text[80];
        uint8_t expected[47];
        size_t n = json_string(json_get(example, "text"), text, sizeof text);
        size_t len = json_hex(json_get(example, "multihash_hex"), expected, sizeof expected);
        assert_int_equal(peer_id_parse(&id, text, n), 0);
        assert_int_equal(id.len, len);
        assert_memory_equal(id.bytes, expected, len);
    }
    assert_int_equal(count, 3);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_ed25519_key_is_its_own_id),
        cmocka_unit_test(test_every_text_form_names_the_same_peer),
        cmocka_unit_test(test_a_hashed_id_is_kept_but_holds_no_key),
        cmocka_unit_test(test_a_secp256k1_id_is_kept_but_gives_no_ed25519_key),
        cmocka_unit_test(test_malformed_bytes_are_refused),
        cmocka_unit_test(test_the_longest_key_fits_and_a_longer_one_does_not),
        cmocka_unit_test(test_malformed_text_is_refused),
        cmocka_unit_test(test_long_text_is_refused_unread),
        cmocka_unit_test(test_an_empty_id_prints_as_nothing),
        cmocka_unit_test(test_compare_orders_by_bytes_then_length),
        cmocka_unit_test(test_the_specifications_file_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
