/* SPDX-License-Identifier: MIT */
/* Goal: the key schedule gives the secrets of docs/wire.md (5.1, 5.11) and of RFC 9001 A.1.
 * Method: constants computed again from their strings; secrets for counting inputs compared with
 * values computed by a second implementation (Python's hmac and hashlib). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "crypto/aead.h"
#include "crypto/hkdf.h"
#include "crypto/schedule.h"
#include "json.h"

static void assert_secret(const uint8_t bytes[32], const char *text)
{
    uint8_t expected[32];
    assert_int_equal(hex(text, expected, 32), 32);
    assert_memory_equal(bytes, expected, 32);
}

static void counting(uint8_t out[32], unsigned from)
{
    for (unsigned i = 0; i < 32; i++) out[i] = (uint8_t)(from + i);
}

static void test_constants_come_from_their_strings(void **state)
{
    (void)state;
    uint8_t hash[32], key[32], tag[16], expected[16];
    sha256("weir/udp initial salt v1", 24, hash);
    assert_memory_equal(schedule_salt, hash, SCHEDULE_SALT_SIZE);
    assert_memory_equal(schedule_prologue, "weir/udp\0weir", SCHEDULE_PROLOGUE_SIZE);
    assert_int_equal(WEIR_UDP_VERSION, 'w' << 24 | 'e' << 16 | 'i' << 8 | 'r');

    sha256("weir/udp retry key v1", 21, key);
    sha256("weir/udp retry nonce v1", 23, hash);
    aead_seal(AEAD_CHACHA20_POLY1305, key, hash, "pseudo packet", 13, NULL, 0, expected);
    schedule_retry_tag("pseudo packet", 13, tag);
    assert_memory_equal(tag, expected, 16);
    schedule_retry_tag("pseudo racket", 13, tag);
    assert_memory_not_equal(tag, expected, 16);
}

static void test_initial_secrets_are_those_of_rfc_9001_a1(void **state)
{
    (void)state;
    uint8_t salt[20], dcid[8], client[32], server[32];
    hex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a", salt, 20);
    hex("8394c8f03e515708", dcid, 8);
    schedule_initial(salt, 20, dcid, 8, client, server);
    assert_secret(client, "c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea");
    assert_secret(server, "3c199828fd139efd216c155ad844cc81fb82fa8d7446fa7d78be803acdda951b");
    schedule_initial(schedule_salt, SCHEDULE_SALT_SIZE, dcid, 8, client, server);
    assert_secret(client, "a4f6491ea910173f8302ec0ddcf7137dc643e9ff319ab0b0bbe3bae9fcb98322");
    assert_secret(server, "7141acc9d47506c5f694f67371a4fc8c6fe2305532df5e5e298598afd6151ea7");
}

static void test_handshake_secrets(void **state)
{
    (void)state;
    uint8_t ck[32], h[32], client[32], server[32];
    counting(ck, 0);
    counting(h, 32);
    schedule_handshake(ck, h, client, server);
    assert_secret(client, "81d38e557bc718671c809c24e087881eb3b84b5e0fd61e11c112c7cb5b0a3172");
    assert_secret(server, "87b37a621caef29c6044fdf242f2c301a6656d736ca5b639aa1f03af26602e9d");
}

static void test_application_secrets_and_exporter(void **state)
{
    (void)state;
    uint8_t ck[32], h[32], c1[32], c2[32], client[32], server[32], exporter[32];
    counting(ck, 0);
    counting(h, 32);
    counting(c1, 64);
    counting(c2, 96);
    schedule_application(c1, c2, AEAD_CHACHA20_POLY1305, h, client, server);
    assert_secret(client, "7cf4c865a3276a383f7b2afc4c3bde3d1a915ff2dd1ed212711363dd9fc591f1");
    assert_secret(server, "9fa516ef8eb9302a2aad7938f06ff114690d48bc5e37459201a66bcc4bc72e32");
    schedule_exporter(ck, h, exporter);
    assert_secret(exporter, "a743925f98d3f39f7fd9d379d9ceadf0ac8c0b0190bf50e2101c7b7dde793a05");
}

/* Every input that binds must change every output. */
static void test_application_secrets_depend_on_suite_and_hash(void **state)
{
    (void)state;
    uint8_t h[32], c1[32], c2[32], client[32], server[32], other_client[32], other_server[32];
    counting(h, 32);
    counting(c1, 64);
    counting(c2, 96);
    schedule_application(c1, c2, 1, h, client, server);
    schedule_application(c1, c2, 2, h, other_client, other_server);
    assert_memory_not_equal(client, other_client, 32);
    assert_memory_not_equal(server, other_server, 32);
    h[31] ^= 1;
    schedule_application(c1, c2, 1, h, other_client, other_server);
    assert_memory_not_equal(client, other_client, 32);
    assert_memory_not_equal(server, other_server, 32);
}

static void test_the_published_file_agrees(void **state)
{
    (void)state;
    char *text = json_load(WEIR_VECTORS "/quic/rfc9001_appendix_a.json");
    if (text == NULL) {
        print_message("absent: quic/rfc9001_appendix_a.json\n");
        skip();
    }
    struct json root = json_parse(text);
    uint8_t salt[20], dcid[20], client[32], server[32], expected[32];
    size_t salt_len = json_hex(json_get(root, "initial_salt"), salt, sizeof salt);
    size_t dcid_len = json_hex(json_get(root, "dcid"), dcid, sizeof dcid);
    assert_true(salt_len == 20 && dcid_len == 8);
    schedule_initial(salt, salt_len, dcid, dcid_len, client, server);
    assert_int_equal(json_hex(json_get(json_get(root, "client"), "secret"), expected, 32), 32);
    assert_memory_equal(client, expected, 32);
    assert_int_equal(json_hex(json_get(json_get(root, "server"), "secret"), expected, 32), 32);
    assert_memory_equal(server, expected, 32);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constants_come_from_their_strings),
        cmocka_unit_test(test_initial_secrets_are_those_of_rfc_9001_a1),
        cmocka_unit_test(test_handshake_secrets),
        cmocka_unit_test(test_application_secrets_and_exporter),
        cmocka_unit_test(test_application_secrets_depend_on_suite_and_hash),
        cmocka_unit_test(test_the_published_file_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
