/* SPDX-License-Identifier: MIT */
/* Goal: people's ways of writing addresses mean what they look like, and mistakes are named at
 * their place. Method: a table of text with the multiaddr that it stands for, a table of mistakes
 * with offset and sentence, and what is printed read back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "address/address.h"
#include "weir.h"
#include <stdlib.h>
#include <string.h>

#define ID "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
#define HASHED "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"

static int parse(struct multiaddr *m, const char *text, uint16_t port, unsigned flags,
                 struct address_error *error)
{
    return address_parse(m, text, strlen(text), port, flags, error);
}

static void test_friendly_text_stands_for_a_multiaddr(void **state)
{
    static const struct {
        const char *text;
        uint16_t default_port;
        unsigned flags;
        const char *multiaddr;
    } cases[] = {
        {"192.0.2.1:7777", 0, 0, "/ip4/192.0.2.1/udp/7777/weir"},
        {"192.0.2.1", 9, 0, "/ip4/192.0.2.1/udp/9/weir"},
        {"192.0.2.1:7", 9, 0, "/ip4/192.0.2.1/udp/7/weir"},
        {"[2001:db8::1]:7", 0, 0, "/ip6/2001:db8::1/udp/7/weir"},
        {"[2001:db8::1]", 9, 0, "/ip6/2001:db8::1/udp/9/weir"},
        {"[fe80::1%3]:7", 0, 0, "/ip6zone/3/ip6/fe80::1/udp/7/weir"},
        {"[::ffff:1.2.3.4]:7", 0, 0, "/ip4/1.2.3.4/udp/7/weir"},
        {"Example.org:7", 0, 0, "/dns/example.org/udp/7/weir"},
        {"localhost", 9, 0, "/dns/localhost/udp/9/weir"},
        {"weir:7777", 0, 0, "/dns/weir/udp/7777/weir"},
        {"weir", 9, 0, "/dns/weir/udp/9/weir"},
        {"/memory/7", 0, 0, "/memory/7"},
        {"/ip4/1.2.3.4/tcp/5/p2p/" ID, 0, 0, "/ip4/1.2.3.4/tcp/5/p2p/" ID},
        {"weir:" ID, 0, 0, "/p2p/" ID},
        {"weir:" ID "@example.org:7", 0, 0, "/dns/example.org/udp/7/weir/p2p/" ID},
        {"weir:" ID "@[::1]", 9, 0, "/ip6/::1/udp/9/weir/p2p/" ID},
        {"weir:" ID "@/memory/7", 0, 0, "/memory/7/p2p/" ID},
        {"weir:" HASHED "@1.2.3.4:5", 0, 0, "/ip4/1.2.3.4/udp/5/weir/p2p/" HASHED},
        {":7777", 0, ADDRESS_LISTEN, "/ip6/::/udp/7777/weir"},
        {"7777", 0, ADDRESS_LISTEN, "/ip6/::/udp/7777/weir"},
        {"0", 9, ADDRESS_LISTEN, "/ip6/::/udp/0/weir"},
        {"127.0.0.1:0", 9, ADDRESS_LISTEN, "/ip4/127.0.0.1/udp/0/weir"},
        {"/ip4/0.0.0.0/udp/0/weir", 9, ADDRESS_LISTEN, "/ip4/0.0.0.0/udp/0/weir"},
        {"localhost:5", 0, ADDRESS_LISTEN, "/dns/localhost/udp/5/weir"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct multiaddr m;
        struct address_error error;
        char text[MULTIADDR_TEXT_MAX];
        int result = parse(&m, cases[i].text, cases[i].default_port, cases[i].flags, &error);
        if (result < 0) fail_msg("%s: %s", cases[i].text, error.sentence);
        assert_true(multiaddr_format(&m, text, sizeof text) > 0);
        assert_string_equal(text, cases[i].multiaddr);
    }
}

static void test_mistakes_are_named_at_their_place(void **state)
{
    static const struct {
        const char *text;
        unsigned flags;
        int result;
        uint32_t offset;
        const char *word;
    } cases[] = {
        {"", 0, WEIR_E_ADDRESS, 0, "empty"},
        {"example.org", 0, WEIR_E_ADDRESS, 11, "missing"},
        {"[::1]", 0, WEIR_E_ADDRESS, 5, "missing"},
        {"example.org:", 0, WEIR_E_ADDRESS, 12, "0 to 65535"},
        {"example.org:65536", 0, WEIR_E_ADDRESS, 12, "0 to 65535"},
        {"example.org:http", 0, WEIR_E_ADDRESS, 12, "0 to 65535"},
        {"example.org:0", 0, WEIR_E_ADDRESS, 12, "port 0"},
        {"/ip4/1.2.3.4/udp/0/weir", 0, WEIR_E_ADDRESS, 0, "port 0"},
        {":7777", 0, WEIR_E_ADDRESS, 0, "where to listen"},
        {"7777", 0, WEIR_E_ADDRESS, 0, "where to listen"},
        {":", ADDRESS_LISTEN, WEIR_E_ADDRESS, 1, "0 to 65535"},
        {"77777", ADDRESS_LISTEN, WEIR_E_ADDRESS, 0, "0 to 65535"},
        {"::1", 0, WEIR_E_ADDRESS, 0, "brackets"},
        {"2001:db8::1:7777", 0, WEIR_E_ADDRESS, 0, "brackets"},
        {"a:b:c", 0, WEIR_E_ADDRESS, 0, "more than one colon"},
        {"http://example.org:5", 0, WEIR_E_ADDRESS, 0, "more than one colon"},
        {"[::1", 0, WEIR_E_ADDRESS, 0, "not closed"},
        {"[1.2.3.4]:5", 0, WEIR_E_ADDRESS, 1, "IPv6"},
        {"[localhost]:5", 0, WEIR_E_ADDRESS, 1, "IPv6"},
        {"[]:5", 0, WEIR_E_ADDRESS, 1, "IPv6"},
        {"[::1]5", 0, WEIR_E_ADDRESS, 5, "colon and a port"},
        {"1.2.3.4.5:6", 0, WEIR_E_ADDRESS, 8, "neither"},
        {"256.1.1.1:6", 0, WEIR_E_ADDRESS, 8, "neither"},
        {"exa mple.org:6", 0, WEIR_E_ADDRESS, 0, "letters"},
        {"www.-a.org:6", 0, WEIR_E_ADDRESS, 4, "hyphen"},
        {"weir:", 0, WEIR_E_PEER_ID, 5, "peer id"},
        {"weir:nobody@example.org:6", 0, WEIR_E_PEER_ID, 5, "peer id"},
        {"weir:" ID "x", 0, WEIR_E_PEER_ID, 5, "peer id"},
        {"weir:" ID "@", 0, WEIR_E_ADDRESS, 58, "empty"},
        {"weir:" ID "@:7", 0, WEIR_E_ADDRESS, 58, "where to listen"},
        {"weir:" ID "@a.b:x", 0, WEIR_E_ADDRESS, 62, "0 to 65535"},
        {"weir:" ID "@/ip4/1.2.3", 0, WEIR_E_ADDRESS, 63, "IPv4"},
        {"weir:" ID "@/memory/1/p2p/" ID, 0, WEIR_E_ADDRESS, 58, "twice"},
        {"weir:" ID "@weir:" ID, 0, WEIR_E_ADDRESS, 63, "0 to 65535"},
        {"weir:" ID "@a.b:7", ADDRESS_LISTEN, WEIR_E_ADDRESS, 0, "whom to dial"},
        {"weir:123456", 0, WEIR_E_PEER_ID, 5, "peer id"},
        {"/p2p/nobody", 0, WEIR_E_PEER_ID, 5, "peer id"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct multiaddr m, zero;
        struct address_error error = {999, "untouched"};
        memset(&m, 0xaa, sizeof m);
        memset(&zero, 0, sizeof zero);
        int result = parse(&m, cases[i].text, 0, cases[i].flags, &error);
        bool good = result == cases[i].result && error.offset == cases[i].offset &&
                    strstr(error.sentence, cases[i].word) != NULL;
        if (!good) fail_msg("%s: %d %u %s", cases[i].text, result, error.offset, error.sentence);
        assert_memory_equal(&m, &zero, sizeof m);
    }
}

static void test_printed_text_reads_back_equal(void **state)
{
    static const struct {
        const char *multiaddr, *printed;
    } cases[] = {
        {"/ip4/1.2.3.4/udp/5/weir", "1.2.3.4:5"},
        {"/ip6/2001:db8::1/udp/5/weir", "[2001:db8::1]:5"},
        {"/ip6zone/3/ip6/fe80::1/udp/5/weir", "[fe80::1%3]:5"},
        {"/dns/example.org/udp/5/weir", "example.org:5"},
        {"/dns/weir/udp/5/weir", "weir:5"},
        {"/dns4/example.org/udp/5/weir", "/dns4/example.org/udp/5/weir"},
        {"/memory/7", "/memory/7"},
        {"/ip4/1.2.3.4/tcp/5", "/ip4/1.2.3.4/tcp/5"},
        {"/ip4/1.2.3.4", "/ip4/1.2.3.4"},
        {"/p2p/" ID, "weir:" ID},
        {"/dns/a/udp/65535/weir/p2p/" ID, "weir:" ID "@a:65535"},
        {"/ip6/::1/udp/5/weir/p2p/" ID, "weir:" ID "@[::1]:5"},
        {"/memory/7/p2p/" ID, "weir:" ID "@/memory/7"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct multiaddr m, again;
        char text[ADDRESS_TEXT_MAX];
        assert_int_equal(parse(&m, cases[i].multiaddr, 0, 0, NULL), WEIR_OK);
        assert_int_equal(address_format(&m, text, sizeof text), strlen(cases[i].printed));
        assert_string_equal(text, cases[i].printed);
        assert_int_equal(parse(&again, text, 0, 0, NULL), WEIR_OK);
        assert_true(multiaddr_equal(&m, &again));
        for (size_t cap = 1; cap <= strlen(cases[i].printed); cap++) {
            char *exact = malloc(cap);
            assert_non_null(exact);
            assert_int_equal(address_format(&m, exact, cap), WEIR_E_SPACE);
            assert_string_equal(exact, "");
            free(exact);
        }
        assert_int_equal(address_format(&m, NULL, 0), WEIR_E_SPACE);
    }
}

static void test_invitation_names_the_peer_that_is_asked_for(void **state)
{
    struct multiaddr m;
    struct peer_id peer, none = {0};
    char text[ADDRESS_TEXT_MAX];
    (void)state;
    assert_int_equal(peer_id_parse(&peer, ID, strlen(ID)), WEIR_OK);
    assert_int_equal(parse(&m, "weir:" HASHED "@a.b:7", 0, 0, NULL), WEIR_OK);
    assert_int_equal(address_format_invitation(&peer, &m, text, sizeof text), 63);
    assert_string_equal(text, "weir:" ID "@a.b:7");
    assert_int_equal(address_format_invitation(&none, &m, text, sizeof text), WEIR_E_PEER_ID);
    memset(&m, 0, sizeof m);
    assert_int_equal(address_format(&m, text, sizeof text), WEIR_E_ADDRESS);
}

static void test_no_cut_of_good_text_is_over_read(void **state)
{
    static const char *const good[] = {"weir:" ID "@[fe80::1%3]:7777", "example.org:7777",
                                       ("/dns/a/udp/7/weir/p2p/" ID), "weir:77777"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        for (size_t len = 0; len <= strlen(good[i]); len++) {
            struct multiaddr m;
            char *exact = malloc(len > 0 ? len : 1);
            assert_non_null(exact);
            memcpy(exact, good[i], len);
            (void)address_parse(&m, exact, len, 1, 0, NULL);
            (void)address_parse(&m, exact, len, 0, ADDRESS_LISTEN, NULL);
            free(exact);
        }
    }
    char text[600];
    struct multiaddr m;
    struct address_error error;
    memset(text, 'a', sizeof text);
    assert_int_equal(address_parse(&m, text, 513, 1, 0, &error), WEIR_E_ADDRESS);
    assert_int_equal(error.offset, 512);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_friendly_text_stands_for_a_multiaddr),
        cmocka_unit_test(test_mistakes_are_named_at_their_place),
        cmocka_unit_test(test_printed_text_reads_back_equal),
        cmocka_unit_test(test_invitation_names_the_peer_that_is_asked_for),
        cmocka_unit_test(test_no_cut_of_good_text_is_over_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
