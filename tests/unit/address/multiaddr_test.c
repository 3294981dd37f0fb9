/* SPDX-License-Identifier: MIT */
/* Goal: text and bytes name the same addresses, and nothing else is accepted. Method: a table of
 * text, bytes and parsed kind in both directions; refused text with the offset and the sentence;
 * refused bytes; every cut and every single-byte change of good input. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "address/multiaddr.h"
#include "weir.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
#define HASHED "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"
/* The same id as a CID (the peer-ids specification gives both). */
#define HASHED_CID "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe"
#define WEIR "f780c001" /* 0x300077 as an unsigned varint */
#define LABEL63 "abcdefghijklmnopqrstuvwxyz0123456789-abcdefghijklmnopqrstuvwxyz"

static size_t from_hex(uint8_t *out, const char *hex)
{
    size_t n = 0;
    for (; hex[2 * n] != 0; n++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * n, "%2x", &byte), 1);
        out[n] = (uint8_t)byte;
    }
    return n;
}

static void test_text_and_bytes_say_the_same(void **state)
{
    /* long: one table */
    static const struct {
        const char *text, *hex; /* hex NULL: only the round trip */
        enum address_kind kind;
    } cases[] = {
        {"/ip4/192.0.2.1/udp/7777/weir",
         "04c0000201"
         "91021e61" WEIR,
         ADDRESS_UDP},
        {"/ip4/127.0.0.1/tcp/4001",
         "047f000001"
         "060fa1",
         ADDRESS_TCP_LIBP2P},
        {"/ip4/1.2.3.4/udp/4001/quic-v1",
         "0401020304"
         "91020fa1"
         "cd03",
         ADDRESS_QUIC_V1},
        {"/ip4/1.2.3.4", "0401020304", ADDRESS_OTHER},
        {"/ip4/1.2.3.4/udp/0",
         "0401020304"
         "91020000",
         ADDRESS_OTHER},
        {"/ip6/2001:db8::1/udp/1/weir",
         "2920010db8000000000000000000000001"
         "91020001" WEIR,
         ADDRESS_UDP},
        {"/ip6zone/3/ip6/fe80::1/udp/1/weir",
         "2a0133"
         "29fe800000000000000000000000000001"
         "91020001" WEIR,
         ADDRESS_UDP},
        {"/dns/example.org/udp/1/weir",
         "350b6578616d706c652e6f7267"
         "91020001" WEIR,
         ADDRESS_UDP},
        {"/dns4/a/tcp/1",
         "360161"
         "060001",
         ADDRESS_TCP_LIBP2P},
        {"/dns6/a/udp/1/quic-v1",
         "370161"
         "91020001"
         "cd03",
         ADDRESS_QUIC_V1},
        {"/memory/258",
         "8906"
         "0000000000000102",
         ADDRESS_MEMORY},
        {"/p2p/" ID, NULL, ADDRESS_OTHER},
        {"/memory/7/p2p/" ID, NULL, ADDRESS_MEMORY},
        {"/ip4/1.2.3.4/udp/5/weir/p2p/" ID, NULL, ADDRESS_UDP},
        {"/dns/" LABEL63 "." LABEL63 "." LABEL63 ".a/udp/5/weir/p2p/" HASHED, NULL, ADDRESS_UDP},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct multiaddr m, again;
        struct address_error error;
        uint8_t bytes[MULTIADDR_BYTES_MAX], expected[MULTIADDR_BYTES_MAX];
        char text[MULTIADDR_TEXT_MAX];
        if (multiaddr_parse(&m, cases[i].text, strlen(cases[i].text), &error) < 0) {
            fail_msg("%s: %s", cases[i].text, error.sentence);
        }
        assert_int_equal(m.kind, cases[i].kind);
        int len = multiaddr_encode(&m, bytes, sizeof bytes);
        assert_true(len > 0);
        if (cases[i].hex != NULL) {
            assert_int_equal(len, from_hex(expected, cases[i].hex));
            assert_memory_equal(bytes, expected, (size_t)len);
        }
        assert_int_equal(multiaddr_decode(&again, bytes, (size_t)len, NULL), WEIR_OK);
        assert_true(multiaddr_equal(&m, &again));
        assert_int_equal(multiaddr_format(&again, text, sizeof text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
        /* One byte less is not enough, and leaves no half of a text. */
        assert_int_equal(multiaddr_format(&m, text, strlen(cases[i].text)), WEIR_E_SPACE);
        assert_string_equal(text, "");
        assert_int_equal(multiaddr_encode(&m, bytes, (size_t)len - 1), WEIR_E_SPACE);
    }
}

static void test_other_spellings_become_canonical(void **state)
{
    static const struct {
        const char *text, *printed;
    } cases[] = {
        {"/ip6/::ffff:1.2.3.4/udp/5/weir", "/ip4/1.2.3.4/udp/5/weir"},
        {"/ip6/2001:DB8:0::1/tcp/5", "/ip6/2001:db8::1/tcp/5"},
        {"/dns/EXAMPLE.Org./udp/5/weir", "/dns/example.org/udp/5/weir"},
        {"/dns/xn--bcher-kva.example/tcp/5", "/dns/xn--bcher-kva.example/tcp/5"},
        {"/dns/1and1.2x/tcp/5", "/dns/1and1.2x/tcp/5"},
        {"/memory/1/ipfs/" HASHED, "/memory/1/p2p/" HASHED},
        {"/memory/1/p2p/" HASHED_CID, "/memory/1/p2p/" HASHED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct multiaddr m;
        char text[MULTIADDR_TEXT_MAX];
        int result = multiaddr_parse(&m, cases[i].text, strlen(cases[i].text), NULL);
        if (result < 0) fail_msg("%s", cases[i].text);
        assert_true(multiaddr_format(&m, text, sizeof text) > 0);
        assert_string_equal(text, cases[i].printed);
    }
}

static void test_refused_text_says_where_and_why(void **state)
{
    static const struct {
        const char *text;
        uint32_t offset;
        int result;
        const char *word; /* of the sentence */
    } cases[] = {
        {"", 0, WEIR_E_ADDRESS, "empty"},
        {"ip4/1.2.3.4", 0, WEIR_E_ADDRESS, "slash"},
        {"/", 0, WEIR_E_ADDRESS, "empty"},
        {"//ip4/1.2.3.4", 1, WEIR_E_ADDRESS, "empty"},
        {"/ip4/1.2.3.4/", 12, WEIR_E_ADDRESS, "empty"},
        {"/ip5/1.2.3.4", 1, WEIR_E_ADDRESS, "does not know"},
        {"/IP4/1.2.3.4", 1, WEIR_E_ADDRESS, "does not know"},
        {"/ip4/1.2.3.4/udp/5/weird", 19, WEIR_E_ADDRESS, "does not know"},
        {"/dnsaddr/example.org", 1, WEIR_E_ADDRESS, "does not know"},
        {"/ip4", 0, WEIR_E_ADDRESS, "missing"},
        {"/ip4/", 5, WEIR_E_ADDRESS, "IPv4"},
        {"/ip4/::1", 5, WEIR_E_ADDRESS, "IPv4"},
        {"/ip6/1.2.3.4", 5, WEIR_E_ADDRESS, "IPv6"},
        {"/ip6/fe80::1%3", 5, WEIR_E_ADDRESS, "IPv6"},
        {"/ip4/1.2.3.4/udp/65536", 17, WEIR_E_ADDRESS, "port"},
        {"/ip4/1.2.3.4/udp", 12, WEIR_E_ADDRESS, "missing"},
        {"/udp/5", 0, WEIR_E_ADDRESS, "after a host"},
        {"/ip4/1.2.3.4/udp/5/udp/6", 18, WEIR_E_ADDRESS, "after a host"},
        {"/ip4/1.2.3.4/udp/5/weir/udp/6", 23, WEIR_E_ADDRESS, "after a host"},
        {"/memory/1/udp/6", 9, WEIR_E_ADDRESS, "after a host"},
        {"/ip4/1.2.3.4/ip4/1.2.3.4", 12, WEIR_E_ADDRESS, "at the start"},
        {"/ip4/1.2.3.4/tcp/5/weir", 18, WEIR_E_ADDRESS, "after a UDP port"},
        {"/ip4/1.2.3.4/weir", 12, WEIR_E_ADDRESS, "after a UDP port"},
        {"/ip4/1.2.3.4/udp/5/weir/quic-v1", 23, WEIR_E_ADDRESS, "after a UDP port"},
        {"/p2p/" ID "/ip4/1.2.3.4", 57, WEIR_E_ADDRESS, "at the start"},
        {"/ip4/1.2.3.4/p2p/" ID "/udp/5", 69, WEIR_E_ADDRESS, "after a host"},
        {"/p2p/" ID "/p2p/" ID, 57, WEIR_E_ADDRESS, "twice"},
        {"/p2p/nobody", 5, WEIR_E_PEER_ID, "peer id"},
        {"/memory/1/ip6zone/3/ip6/fe80::1", 9, WEIR_E_ADDRESS, "at the start"},
        {"/ip6zone/3", 10, WEIR_E_ADDRESS, "ip6 must follow"},
        {"/ip6zone/3/ip4/1.2.3.4", 10, WEIR_E_ADDRESS, "ip6 must follow"},
        {"/ip6zone/eth0/ip6/fe80::1", 9, WEIR_E_ADDRESS, "number"},
        {"/ip6zone/0/ip6/fe80::1", 9, WEIR_E_ADDRESS, "number"},
        {"/ip6zone/3/ip6/2001:db8::1", 10, WEIR_E_ADDRESS, "link-local"},
        {"/ip6zone/3/ip6/::ffff:1.2.3.4", 10, WEIR_E_ADDRESS, "link-local"},
        {"/memory/x", 8, WEIR_E_ADDRESS, "64 bits"},
        {"/dns/", 0, WEIR_E_ADDRESS, "empty name"},
        {"/dns/-a/udp/1", 0, WEIR_E_ADDRESS, "hyphen"},
        {"/dns/a-/udp/1", 0, WEIR_E_ADDRESS, "hyphen"},
        {"/dns/a..b/udp/1", 0, WEIR_E_ADDRESS, "empty label"},
        {"/dns/../udp/1", 0, WEIR_E_ADDRESS, "empty label"},
        {"/dns/a_b/udp/1", 0, WEIR_E_ADDRESS, "letters"},
        {"/dns/a b/udp/1", 0, WEIR_E_ADDRESS, "letters"},
        {"/dns/b\xc3\xbc/udp/1", 0, WEIR_E_ADDRESS, "letters"},
        {"/dns/1.2.3.4/udp/1", 0, WEIR_E_ADDRESS, "neither"},
        {"/dns/127.0.0.0x1/udp/1", 0, WEIR_E_ADDRESS, "neither"},
        {"/dns/2130706433/udp/1", 0, WEIR_E_ADDRESS, "neither"},
        {"/dns/" LABEL63 "x/udp/1", 0, WEIR_E_ADDRESS, "63"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct multiaddr m, zero;
        struct address_error error = {999, "untouched"};
        memset(&m, 0xaa, sizeof m);
        memset(&zero, 0, sizeof zero);
        int result = multiaddr_parse(&m, cases[i].text, strlen(cases[i].text), &error);
        bool good = result == cases[i].result && error.offset == cases[i].offset &&
                    strstr(error.sentence, cases[i].word) != NULL;
        if (!good) fail_msg("%s: %d %u %s", cases[i].text, result, error.offset, error.sentence);
        assert_memory_equal(&m, &zero, sizeof m);
    }
}

static void test_lengths_are_bounded(void **state)
{
    char text[600], name[300];
    struct multiaddr m;
    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text, "/dns/", 5);
    assert_int_equal(multiaddr_parse(&m, text, 513, NULL), WEIR_E_ADDRESS);
    assert_int_equal(multiaddr_decode(&m, text, 513, NULL), WEIR_E_ADDRESS);
    for (size_t i = 0; i < sizeof name; i++) name[i] = i % 2 == 0 ? 'a' : '.';
    struct multiaddr named = {0};
    assert_int_equal(multiaddr_set_name(&named, MULTIADDR_HOST_DNS, name, 253, NULL), WEIR_OK);
    assert_int_equal(named.name_len, 253);
    assert_int_equal(named.name[253], 0);
    /* 254 bytes end in a dot, which does not count; 255 are one too many. */
    assert_int_equal(multiaddr_set_name(&named, MULTIADDR_HOST_DNS, name, 254, NULL), WEIR_OK);
    int result = multiaddr_set_name(&named, MULTIADDR_HOST_DNS, name, 255, NULL);
    assert_int_equal(result, WEIR_E_ADDRESS);
    assert_int_equal(named.name_len, 253);
}

static void test_refused_bytes(void **state)
{
    static const struct {
        const char *hex, *word;
        uint32_t offset;
    } cases[] = {
        {"", "empty", 0},
        {"04", "cut off", 0},
        {"04010203", "cut off", 0},
        {"0401020304"
         "9102",
         "cut off", 5},
        {"8400"
         "01020304",
         "not minimal", 0},
        {"ffffffffffffffffff01", "not minimal", 0},
        {"0401020304"
         "bd03",
         "does not know", 5},
        {"35ffffffffffffffff7f", "cut off", 0},
        {"3500", "empty name", 0},
        {"350461006263", "letters", 0},
        {"3501"
         "2f"
         "91020001",
         "letters", 0},
        {"2a00", "number", 0},
        {"2a0b"
         "3030303030303030303033",
         "number", 0},
        {"2a0133", "ip6 must follow", 3},
        {"a50300", "peer id", 0},
        {"a5030101", "peer id", 0},
        {"91020001", "after a host", 0},
        {WEIR, "after a UDP port", 0},
        {"890600000000000001", "cut off", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[64];
        struct multiaddr m;
        struct address_error error = {999, "untouched"};
        size_t len = from_hex(bytes, cases[i].hex);
        int result = multiaddr_decode(&m, bytes, len, &error);
        bool good = result < 0 && error.offset == cases[i].offset &&
                    strstr(error.sentence, cases[i].word) != NULL;
        if (!good) fail_msg("%s: %d %u %s", cases[i].hex, result, error.offset, error.sentence);
    }
}

/* Whatever decodes encodes again to something that decodes to the same. */
static void check_decoded(const uint8_t *bytes, size_t len)
{
    struct multiaddr m, again;
    uint8_t out[MULTIADDR_BYTES_MAX];
    char text[MULTIADDR_TEXT_MAX];
    if (multiaddr_decode(&m, bytes, len, NULL) < 0) return;
    int out_len = multiaddr_encode(&m, out, sizeof out);
    assert_true(out_len > 0);
    assert_int_equal(multiaddr_decode(&again, out, (size_t)out_len, NULL), WEIR_OK);
    assert_true(multiaddr_equal(&m, &again));
    int text_len = multiaddr_format(&m, text, sizeof text);
    assert_true(text_len > 0);
    assert_int_equal(multiaddr_parse(&again, text, (size_t)text_len, NULL), WEIR_OK);
    assert_true(multiaddr_equal(&m, &again));
}

static void test_cut_and_changed_bytes_are_a_value_or_an_error(void **state)
{
    static const char text[] = "/ip6zone/3/ip6/fe80::1/udp/7777/weir/p2p/" ID;
    struct multiaddr m;
    uint8_t bytes[MULTIADDR_BYTES_MAX];
    (void)state;
    assert_int_equal(multiaddr_parse(&m, text, sizeof text - 1, NULL), WEIR_OK);
    size_t len = (size_t)multiaddr_encode(&m, bytes, sizeof bytes);
    for (size_t cut = 0; cut <= len; cut++) {
        uint8_t *exact = malloc(cut > 0 ? cut : 1);
        assert_non_null(exact);
        memcpy(exact, bytes, cut);
        check_decoded(exact, cut);
        free(exact);
    }
    for (size_t i = 0; i < len; i++) {
        for (unsigned value = 0; value < 256; value++) {
            uint8_t changed[MULTIADDR_BYTES_MAX];
            memcpy(changed, bytes, len);
            changed[i] = (uint8_t)value;
            check_decoded(changed, len);
        }
    }
    for (size_t cut = 0; cut < sizeof text; cut++) {
        char *exact = malloc(cut > 0 ? cut : 1);
        assert_non_null(exact);
        memcpy(exact, text, cut);
        (void)multiaddr_parse(&m, exact, cut, NULL);
        free(exact);
    }
}

static void test_made_from_endpoints(void **state)
{
    struct endpoint four = endpoint_ip4(1, 2, 3, 4, 5), memory = endpoint_memory(9), none = {0};
    struct multiaddr m = multiaddr_of(&four), other = multiaddr_of(&memory);
    struct multiaddr empty = multiaddr_of(&none);
    char text[MULTIADDR_TEXT_MAX];
    uint8_t bytes[8];
    (void)state;
    assert_true(multiaddr_format(&m, text, sizeof text) > 0);
    assert_string_equal(text, "/ip4/1.2.3.4/udp/5/weir");
    assert_true(multiaddr_format(&other, text, sizeof text) > 0);
    assert_string_equal(text, "/memory/9");
    assert_int_equal(multiaddr_format(&empty, text, sizeof text), WEIR_E_ADDRESS);
    assert_int_equal(multiaddr_encode(&empty, bytes, sizeof bytes), WEIR_E_ADDRESS);
    assert_int_equal(multiaddr_format(&m, NULL, 0), WEIR_E_SPACE);
    assert_false(multiaddr_equal(&m, &other));
}

static void test_each_part_tells_addresses_apart(void **state)
{
    static const char *const texts[] = {
        "/ip4/1.2.3.4/udp/5/weir",
        "/ip4/1.2.3.4/udp/6/weir",
        "/ip4/1.2.3.5/udp/5/weir",
        "/ip4/1.2.3.4/udp/5",
        "/ip4/1.2.3.4/tcp/5",
        "/ip4/1.2.3.4/udp/5/quic-v1",
        "/ip4/1.2.3.4",
        "/dns/a/udp/5/weir",
        "/dns4/a/udp/5/weir",
        "/dns/b/udp/5/weir",
        "/dns/aa/udp/5/weir",
        "/ip4/1.2.3.4/udp/5/weir/p2p/" ID,
        "/ip4/1.2.3.4/udp/5/weir/p2p/" HASHED,
    };
    enum { COUNT = sizeof texts / sizeof texts[0] };
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < COUNT; j++) {
            struct multiaddr a, b;
            assert_int_equal(multiaddr_parse(&a, texts[i], strlen(texts[i]), NULL), WEIR_OK);
            assert_int_equal(multiaddr_parse(&b, texts[j], strlen(texts[j]), NULL), WEIR_OK);
            assert_int_equal(multiaddr_equal(&a, &b), i == j);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_and_bytes_say_the_same),
        cmocka_unit_test(test_other_spellings_become_canonical),
        cmocka_unit_test(test_refused_text_says_where_and_why),
        cmocka_unit_test(test_lengths_are_bounded),
        cmocka_unit_test(test_refused_bytes),
        cmocka_unit_test(test_cut_and_changed_bytes_are_a_value_or_an_error),
        cmocka_unit_test(test_made_from_endpoints),
        cmocka_unit_test(test_each_part_tells_addresses_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
