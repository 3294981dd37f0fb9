/* SPDX-License-Identifier: MIT */
/* Goal: the calls that need no node do what their texts say: versions, error words, keys, peer
 * ids, addresses, hashes; and a node of the real world can be waited for and asked about itself.
 * Method: each call with good and bad input; published values for BLAKE2b and peer ids. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "weir.h"
#include <string.h>

static void test_versions_agree(void **state)
{
    char numbers[32];
    (void)state;
    (void)snprintf(numbers, sizeof numbers, "%d.%d.%d (libuv ", WEIR_VERSION_MAJOR,
                   WEIR_VERSION_MINOR, WEIR_VERSION_PATCH);
    assert_memory_equal(weir_version(), numbers, strlen(numbers));
    assert_non_null(strstr(weir_version(), ", libsodium "));
    assert_int_equal(weir_version_number(),
                     WEIR_VERSION_MAJOR * 1000000 + WEIR_VERSION_MINOR * 1000 + WEIR_VERSION_PATCH);
}

/* Every WEIR_E_* of the header has its name and a sentence of its own. */
static void test_every_error_of_the_header_has_words(void **state)
{
    static char header[1 << 17];
    unsigned found = 0;
    (void)state;
    FILE *file = fopen(WEIR_SOURCE "/core/include/weir.h", "r");
    assert_non_null(file);
    size_t len = fread(header, 1, sizeof header - 1, file);
    (void)fclose(file);
    header[len] = '\0';
    for (char *at = header; (at = strstr(at, "\n#define WEIR_E_")) != NULL; at += 8) {
        char name[64] = "";
        int code = 0;
        assert_int_equal(sscanf(at, "\n#define %63s (%d)", name, &code), 2);
        assert_string_equal(weir_error_name(code), name);
        assert_string_not_equal(weir_strerror(code), "unknown error");
        found++;
    }
    assert_int_equal(found, 41);
    assert_string_equal(weir_error_name(0), "WEIR_OK");
    assert_string_equal(weir_error_name(1), "WEIR_E_?");
    assert_string_equal(weir_error_name(-899), "WEIR_E_?");
    assert_string_equal(weir_strerror(INT32_MIN), "unknown error");
}

static void test_reasons_have_names(void **state)
{
    (void)state;
    assert_string_equal(weir_reason_name(WEIR_REASON_NONE), "none");
    assert_string_equal(weir_reason_name(7), "application");
    assert_string_equal(weir_reason_name(WEIR_REASON_PROTOCOL_NOT_SERVED), "protocol_not_served");
    assert_string_equal(weir_reason_name(WEIR_REASON_TRANSPORT | 3), "transport_flow_control");
    assert_non_null(weir_reason_name(UINT32_MAX));
}

static void test_keys_are_saved_once_and_loaded(void **state)
{
    char folder[] = "/tmp/weir-api-XXXXXX", path[64];
    uint8_t key[WEIR_KEY_BYTES], again[WEIR_KEY_BYTES];
    weir_error error = {.size = sizeof error};
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/key", folder);
    assert_int_equal(weir_key_load(path, key, &error), WEIR_E_NOT_FOUND);
    assert_non_null(strstr(error.detail, path));
    assert_int_equal(weir_key_generate(key, &error), 0);
    assert_int_equal(error.code, 0);
    assert_int_equal(weir_key_save(path, key, NULL), 0);
    assert_int_equal(weir_key_save(path, key, &error), WEIR_E_EXISTS);
    assert_int_equal(error.code, WEIR_E_EXISTS);
    assert_int_equal(weir_key_load(path, again, NULL), 0);
    assert_memory_equal(key, again, sizeof key);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(weir_key_load(path, again, &error), WEIR_E_KEY_FILE);
    assert_true(error.detail[0] != '\0');
    assert_int_equal(unlink(path), 0);
    key[63] ^= 1;
    assert_int_equal(weir_key_save(path, key, &error), WEIR_E_KEY);
    assert_int_equal(weir_key_load(path, again, NULL), WEIR_E_NOT_FOUND);
    assert_int_equal(rmdir(folder), 0);
}

static void test_two_keys_are_never_equal_and_a_broken_one_has_no_peer(void **state)
{
    uint8_t a[WEIR_KEY_BYTES], b[WEIR_KEY_BYTES];
    weir_peer_id peer;
    (void)state;
    assert_int_equal(weir_key_generate(a, NULL), 0);
    assert_int_equal(weir_key_generate(b, NULL), 0);
    assert_memory_not_equal(a, b, sizeof a);
    assert_int_equal(weir_key_peer(a, &peer), 0);
    assert_int_equal(peer.len, 38);
    a[0] ^= 1;
    assert_int_equal(weir_key_peer(a, &peer), WEIR_E_KEY);
}

/* From libp2p's peer-ids specification: a hashed id of an RSA key, in both text forms. */
static void test_peer_ids_are_read_in_both_forms_and_written_in_one(void **state)
{
    static const char base58[] = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";
    weir_peer_id peer, again;
    char text[WEIR_PEER_TEXT_MAX];
    (void)state;
    assert_int_equal(weir_peer_parse(base58, &peer), 0);
    assert_int_equal(weir_peer_format(&peer, text, sizeof text), (int)strlen(base58));
    assert_string_equal(text, base58);
    assert_int_equal(
        weir_peer_parse("bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe", &again), 0);
    assert_memory_equal(&peer, &again, sizeof peer);
    assert_int_equal(weir_peer_format(&peer, text, (uint32_t)strlen(base58)), WEIR_E_SPACE);
    assert_string_equal(text, "");
    assert_int_equal(weir_peer_format(&peer, text, (uint32_t)strlen(base58) + 1),
                     (int)strlen(base58));
    assert_int_equal(weir_peer_parse("Qm0", &peer), WEIR_E_PEER_ID);
    assert_int_equal(peer.len, 0);
    assert_int_equal(weir_peer_parse("", &peer), WEIR_E_PEER_ID);
}

static void test_addresses_of_all_forms_become_multiaddrs(void **state)
{
    static const struct {
        const char *in, *out; /* out NULL: an error */
    } table[] = {
        {"192.0.2.1:4001", "/ip4/192.0.2.1/udp/4001/weir"},
        {"[::1]:4001", "/ip6/::1/udp/4001/weir"},
        {"example.org:1", "/dns/example.org/udp/1/weir"},
        {"/ip4/192.0.2.1/udp/4001/weir", "/ip4/192.0.2.1/udp/4001/weir"},
        {"/memory/7", "/memory/7"},
        {"weir:QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N@[::1]:5",
         "/ip6/::1/udp/5/weir/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"},
        {"", NULL},
        {"nonsense", NULL},
        {"192.0.2.1", NULL},
        {"::1:4001", NULL},
        {"192.0.2.1:65536", NULL},
        {"/ip4/192.0.2.1/what/1", NULL},
    };
    char text[WEIR_ADDRESS_TEXT_MAX];
    weir_error error = {.size = sizeof error};
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        int32_t len = weir_address_normalize(table[i].in, text, sizeof text, &error);
        if (table[i].out != NULL) {
            assert_string_equal(text, table[i].out);
            assert_int_equal(len, (int)strlen(text));
            continue;
        }
        assert_int_equal(len, WEIR_E_ADDRESS);
        assert_string_equal(text, "");
        assert_true(strlen(error.detail) > 20); /* it says why */
    }
    assert_int_equal(weir_address_normalize("weir:Qm@[::1]:5", text, sizeof text, NULL),
                     WEIR_E_PEER_ID);
    assert_int_equal(weir_address_normalize("[::1]:4001", text, 5, NULL), WEIR_E_SPACE);
    assert_int_equal(weir_address_normalize("[::1]:4001", text, 0, NULL), WEIR_E_SPACE);
}

/* BLAKE2b-256 of "abc" and of nothing, as other implementations give them. */
static void test_hashes_run_in_pieces_and_may_be_moved(void **state)
{
    static const uint8_t abc[32] = {0xbd, 0xdd, 0x81, 0x3c, 0x63, 0x42, 0x39, 0x72,
                                    0x31, 0x71, 0xef, 0x3f, 0xee, 0x98, 0x57, 0x9b,
                                    0x94, 0x96, 0x4e, 0x3b, 0xb1, 0xcb, 0x3e, 0x42,
                                    0x72, 0x62, 0xc8, 0xc0, 0x68, 0xd5, 0x23, 0x19};
    weir_hash hash, moved[2];
    uint8_t digest[WEIR_HASH_BYTES];
    (void)state;
    assert_int_equal(weir_hash_init(&hash), 0);
    assert_int_equal(weir_hash_update(&hash, "a", 1), 0);
    memcpy((uint8_t *)moved + 8, &hash, sizeof hash); /* another alignment */
    weir_hash *there = (weir_hash *)(void *)((uint8_t *)moved + 8);
    assert_int_equal(weir_hash_update(there, "bc", 2), 0);
    assert_int_equal(weir_hash_final(there, digest), 0);
    assert_memory_equal(digest, abc, sizeof abc);
    assert_int_equal(weir_hash_final(there, digest), WEIR_E_STATE); /* used up */
    assert_int_equal(weir_hash_update(there, "d", 1), WEIR_E_STATE);
    memset(&hash, 0, sizeof hash);
    assert_int_equal(weir_hash_update(&hash, "d", 1), WEIR_E_STATE); /* never begun */
}

static void test_a_node_of_the_real_world_can_be_waited_for(void **state)
{
    weir_node *node;
    weir_event event;
    char text[WEIR_ADDRESS_TEXT_MAX];
    (void)state;
    assert_int_equal(weir_node_create(NULL, &node, NULL), 0);
    assert_int_equal(weir_node_listen(node, "127.0.0.1:0"), 0);
    assert_true(weir_node_address(node, 0, text, sizeof text) > 0);
    assert_memory_equal(text, "/ip4/127.0.0.1/udp/", 19);
    int fd = weir_node_fd(node);
    assert_true(fd >= 0);
    assert_int_equal(weir_node_poll(node, &event, 1, 0), 0);
    assert_true(weir_node_now(node) > 0);
    assert_int_equal(weir_node_wake(node), 0);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int ready_count = poll(&ready, 1, 0);
    assert_int_equal(ready_count, 1);
    assert_int_equal(weir_node_poll(node, &event, 1, -1), 0); /* returns because of the wake */
    assert_int_equal(weir_node_close(node), 0);
    assert_int_equal(weir_node_close(node), 0);
    assert_int_equal(weir_node_free(node), 0);
}

static void test_a_node_tells_its_last_error_its_totals_and_its_tables(void **state)
{
    weir_node *node;
    weir_error error = {.size = sizeof error};
    weir_node_statistics totals = {.size = sizeof totals};
    const char *name;
    uint64_t value;
    uint32_t i;
    (void)state;
    weir_node_options options = {
        .size = sizeof options, .memory_bytes = 1 << 20, .log_level_plus1 = 1};
    assert_int_equal(weir_node_create(&options, &node, NULL), 0);
    assert_int_equal(weir_last_error(node, &error), 0);
    assert_int_equal(error.code, 0);
    assert_int_equal(weir_node_listen(node, "not an address"), WEIR_E_ADDRESS);
    assert_int_equal(weir_last_error(node, &error), 0);
    assert_int_equal(error.code, WEIR_E_ADDRESS);
    assert_true(error.detail[0] != '\0');
    assert_int_equal(weir_stream_flush(node, 5), WEIR_E_STALE);
    assert_int_equal(weir_last_error(node, &error), 0);
    assert_int_equal(error.code, WEIR_E_STALE);
    assert_string_equal(error.detail, weir_strerror(WEIR_E_STALE));
    assert_int_equal(weir_node_serve(node, "something/1", NULL), 0); /* its name is charged */
    assert_int_equal(weir_node_get_statistics(node, &totals), 0);
    assert_int_equal(totals.memory_max_bytes, 1 << 20);
    assert_int_equal(totals.datagrams_sent, 0);
    for (i = 0; weir_node_metric(node, i, &name, &value) == 0; i++) {
        assert_memory_equal(name, "weir_", 5);
        if (strcmp(name, "weir_memory_charged_bytes") != 0) continue;
        assert_int_equal(value, totals.memory_bytes);
        assert_true(value > 0);
    }
    assert_true(i > 40);
    for (i = 0; weir_node_limit(node, i, &name, &value) == 0; i++) assert_true(name[0] != '\0');
    assert_true(i > 20);
    assert_int_equal(weir_node_free(node), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions_agree),
        cmocka_unit_test(test_every_error_of_the_header_has_words),
        cmocka_unit_test(test_reasons_have_names),
        cmocka_unit_test(test_keys_are_saved_once_and_loaded),
        cmocka_unit_test(test_two_keys_are_never_equal_and_a_broken_one_has_no_peer),
        cmocka_unit_test(test_peer_ids_are_read_in_both_forms_and_written_in_one),
        cmocka_unit_test(test_addresses_of_all_forms_become_multiaddrs),
        cmocka_unit_test(test_hashes_run_in_pieces_and_may_be_moved),
        cmocka_unit_test(test_a_node_of_the_real_world_can_be_waited_for),
        cmocka_unit_test(test_a_node_tells_its_last_error_its_totals_and_its_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
