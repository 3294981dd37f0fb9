/* SPDX-License-Identifier: MIT */
/* Goal: one spelling in, one spelling out, and no text that another parser could read as another
 * address. Method: tables of accepted text with what is printed for it (RFC 5952's own cases),
 * tables of refused text, every cut of good text, and random bytes of addresses both ways. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "address/endpoint.h"
#include "base/rng.h"
#include "weir.h"
#include <stdlib.h>
#include <string.h>

static void test_accepted_text_is_printed_in_its_one_form(void **state)
{
    static const struct {
        const char *text, *printed;
    } cases[] = {
        {"0.0.0.0:0", "0.0.0.0:0"},
        {"1.2.3.4:5", "1.2.3.4:5"},
        {"255.255.255.255:65535", "255.255.255.255:65535"},
        {"[::]:0", "[::]:0"},
        {"[::1]:7777", "[::1]:7777"},
        {"[2001:0db8::0001]:1", "[2001:db8::1]:1"},        /* RFC 5952 4.1: no leading zeros */
        {"[2001:db8:0:0:0:0:2:1]:1", "[2001:db8::2:1]:1"}, /* 4.2.1: as short as possible */
        {"[2001:db8::1:1:1:1:1]:1", "[2001:db8:0:1:1:1:1:1]:1"}, /* 4.2.2: not for one group */
        {"[2001:0:0:1:0:0:0:1]:1", "[2001:0:0:1::1]:1"},         /* 4.2.3: the longest run */
        {"[2001:db8:0:0:1:0:0:1]:1", "[2001:db8::1:0:0:1]:1"},   /* 4.2.3: the first of equals */
        {"[2001:DB8::AbCd]:1", "[2001:db8::abcd]:1"},            /* 4.3: lower case */
        {"[0:0:1::]:1", "[0:0:1::]:1"},
        {"[1::]:1", "[1::]:1"},
        {"[1:2:3:4:5:6:7::]:1", "[1:2:3:4:5:6:7:0]:1"},
        {"[::2:3:4:5:6:7:8]:1", "[0:2:3:4:5:6:7:8]:1"},
        {"[1:2:3:4:5:6:7:8]:1", "[1:2:3:4:5:6:7:8]:1"},
        {"[1:2:3:4:5:6:1.2.3.4]:1", "[1:2:3:4:5:6:102:304]:1"},
        {"[64:ff9b::c000:221]:1", "[64:ff9b::192.0.2.33]:1"}, /* section 5 */
        {"[::ffff:1.2.3.4]:5", "1.2.3.4:5"},                  /* mapped becomes IPv4 */
        {"[::ffff:102:304]:5", "1.2.3.4:5"},
        {"[::1.2.3.4]:5", "[::102:304]:5"},
        {"[fe80::1%3]:5", "[fe80::1%3]:5"},
        {"[ff02::1%4294967295]:5", "[ff02::1%4294967295]:5"},
        {"/memory/0", "/memory/0"},
        {"/memory/18446744073709551615", "/memory/18446744073709551615"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct endpoint e, again;
        char text[ENDPOINT_TEXT_MAX];
        assert_int_equal(endpoint_parse(&e, cases[i].text, strlen(cases[i].text)), WEIR_OK);
        int len = endpoint_format(&e, text, sizeof text);
        assert_string_equal(text, cases[i].printed);
        assert_int_equal(len, strlen(text));
        assert_int_equal(endpoint_parse(&again, text, strlen(text)), WEIR_OK);
        assert_true(endpoint_equal(&e, &again));
        assert_memory_equal(&e, &again, sizeof e);
    }
}

static void test_ambiguous_and_malformed_text_is_refused(void **state)
{
    /* long: one table */
    static const char *const bad[] = {
        "",
        ":",
        ":5",
        "1.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:65536",
        "1.2.3.4:-1",
        "1.2.3.4:+1",
        "1.2.3.4:05",
        "1.2.3.4: 5",
        "1.2.3:5",
        "1.2.3.4.5:5",
        "256.1.1.1:5",
        "1.2.3.04:5",
        "01.2.3.4:5",
        "0x1.2.3.4:5",
        "1..3.4:5",
        ".1.2.3.4:5",
        "1.2.3.4.:5",
        " 1.2.3.4:5",
        "1.2.3.4 :5",
        "16909060:5",
        "[1.2.3.4]:5",
        "::1:5",
        "[::1]",
        "[::1]5",
        "[::1:5",
        "::1]:5",
        "[]:5",
        "[:]:5",
        "[:::]:5",
        "[1:]:5",
        "[:1]:5",
        "[1::2::3]:5",
        "[1:2:3:4:5:6:7]:5",
        "[1:2:3:4:5:6:7:8:9]:5",
        "[1:2:3:4:5:6:7:8::]:5",
        "[::1:2:3:4:5:6:7:8]:5",
        "[12345::]:5",
        "[1:2:3:4::5:6:7:8]:5",
        "[g::]:5",
        "[::1.2.3]:5",
        "[::1.2.3.4.5]:5",
        "[::1.2.3.4:5]:5",
        "[1:2:3:4:5:6:7:1.2.3.4]:5",
        "[::01.2.3.4]:5",
        "[1.2.3.4::]:5",
        "[fe80::1%]:5",
        "[fe80::1%0]:5",
        "[fe80::1%eth0]:5",
        "[fe80::1%4294967296]:5",
        "[2001:db8::1%3]:5",
        "[fe80::1%3%4]:5",
        "1.2.3.4%3:5",
        "[::ffff:1.2.3.4%3]:5",
        "/memory/",
        "/memory/01",
        "/memory/18446744073709551616",
        "/memory/-1",
        "memory/1",
        "example.org:5",
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000::]:5",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct endpoint e, zero = {0};
        memset(&e, 0xaa, sizeof e);
        if (endpoint_parse(&e, bad[i], strlen(bad[i])) != WEIR_E_ADDRESS) fail_msg("%s", bad[i]);
        assert_memory_equal(&e, &zero, sizeof e);
    }
}

/* Each cut lies in its own allocation, so that the sanitizer sees a read behind it. */
static void test_no_cut_of_good_text_is_over_read(void **state)
{
    static const char *const good[] = {"255.255.255.255:65535", "[fe80::1:2.3.4.5%77]:65535",
                                       "/memory/123", "[1:2:3:4:5:6:7:8]:9"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        for (size_t len = 0; len <= strlen(good[i]); len++) {
            struct endpoint e;
            char *exact = malloc(len > 0 ? len : 1);
            assert_non_null(exact);
            memcpy(exact, good[i], len);
            int result = endpoint_parse(&e, exact, len);
            if (len == strlen(good[i])) assert_int_equal(result, WEIR_OK);
            uint16_t port;
            (void)endpoint_parse_host(&e, exact, len);
            (void)endpoint_parse_port(&port, exact, len);
            free(exact);
        }
    }
}

static void test_random_addresses_survive_text(void **state)
{
    struct rng rng;
    (void)state;
    rng_init(&rng, 1, "endpoint", 0);
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[16];
        rng_fill(&rng, bytes, sizeof bytes);
        /* Many zero groups, so that every shape of compression occurs. */
        for (int g = 0; g < 8; g++) {
            if (rng_below(&rng, 3) > 0) bytes[2 * g] = bytes[2 * g + 1] = 0;
        }
        if (i % 5 == 0) memcpy(bytes, "\xfe\x80", 2);
        struct endpoint e = endpoint_ip6(bytes, (uint16_t)rng_u32(&rng), rng_u32(&rng)), again;
        char text[ENDPOINT_TEXT_MAX];
        assert_true(endpoint_format(&e, text, sizeof text) > 0);
        assert_int_equal(endpoint_parse(&again, text, strlen(text)), WEIR_OK);
        assert_true(endpoint_equal(&e, &again));
    }
}

static void test_scope_is_kept_for_link_local_addresses_only(void **state)
{
    static const uint8_t local[16] = {0xfe, 0xbf, [15] = 1}, site[16] = {0xfe, 0xc0, [15] = 1};
    static const uint8_t group[16] = {0xff, 0x12, [15] = 1}, wide[16] = {0xff, 0x0e, [15] = 1};
    static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 9};
    (void)state;
    assert_int_equal(endpoint_ip6(local, 1, 9).scope_id, 9);
    assert_int_equal(endpoint_ip6(group, 1, 9).scope_id, 9);
    assert_int_equal(endpoint_ip6(site, 1, 9).scope_id, 0);
    assert_int_equal(endpoint_ip6(wide, 1, 9).scope_id, 0);
    struct endpoint e = endpoint_ip6(mapped, 5, 9), four = endpoint_ip4(10, 0, 0, 9, 5);
    assert_memory_equal(&e, &four, sizeof e);
}

static void test_each_field_tells_endpoints_and_their_keys_apart(void **state)
{
    static const uint8_t local[16] = {0xfe, 0x80, [15] = 1};
    const struct endpoint all[] = {
        endpoint_ip4(1, 2, 3, 4, 5),
        endpoint_ip4(1, 2, 3, 4, 6),
        endpoint_ip4(1, 2, 3, 5, 5),
        endpoint_ip6(local, 5, 0),
        endpoint_ip6(local, 5, 1),
        endpoint_ip6(local, 5, 65536),
        endpoint_ip6(local, 6, 1),
        endpoint_memory(0),
        endpoint_memory(1),
        endpoint_memory(UINT64_C(0x0102030400000000)),
        {0},
    };
    enum { COUNT = sizeof all / sizeof all[0] };
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < COUNT; j++) {
            uint8_t a[ENDPOINT_KEY_BYTES], b[ENDPOINT_KEY_BYTES];
            endpoint_key(&all[i], a);
            endpoint_key(&all[j], b);
            assert_int_equal(endpoint_equal(&all[i], &all[j]), i == j);
            assert_int_equal(memcmp(a, b, sizeof a) == 0, i == j);
        }
    }
    assert_true(endpoint_same_host(&all[0], &all[1]));
    assert_false(endpoint_same_host(&all[0], &all[2]));
    assert_false(endpoint_same_host(&all[3], &all[4]));
}

static void test_small_numbers_and_wildcards(void **state)
{
    struct endpoint memory = endpoint_memory(UINT64_MAX - 1), any4 = endpoint_ip4(0, 0, 0, 0, 9);
    static const uint8_t zero[16];
    struct endpoint any6 = endpoint_ip6(zero, 9, 0), one = endpoint_ip4(0, 0, 0, 1, 9);
    struct endpoint none = {0}, memory_zero = endpoint_memory(0);
    (void)state;
    assert_true(endpoint_memory_number(&memory) == UINT64_MAX - 1);
    assert_int_equal(memory.port, 0);
    assert_int_equal(endpoint_memory_number(&any4), 0);
    assert_true(endpoint_is_unspecified(&any4) && endpoint_is_unspecified(&any6));
    assert_false(endpoint_is_unspecified(&one) || endpoint_is_unspecified(&none));
    assert_false(endpoint_is_unspecified(&memory_zero));
    assert_int_equal(sizeof(struct endpoint), 24);
}

static void test_output_fits_exactly_or_not_at_all(void **state)
{
    struct endpoint e = endpoint_ip4(10, 20, 30, 40, 500), none = {0};
    char text[ENDPOINT_TEXT_MAX];
    (void)state;
    for (size_t cap = 0; cap <= 15; cap++) {
        memset(text, 'x', sizeof text);
        assert_int_equal(endpoint_format(&e, text, cap), WEIR_E_SPACE);
        if (cap > 0) assert_int_equal(text[0], 0);
        assert_int_equal(text[cap > 0 ? cap : 0], 'x');
    }
    assert_int_equal(endpoint_format(&e, text, 16), 15);
    assert_string_equal(text, "10.20.30.40:500");
    assert_int_equal(endpoint_format_host(&e, text, 12), 11);
    assert_string_equal(text, "10.20.30.40");
    assert_int_equal(endpoint_format(&none, text, sizeof text), 4);
    assert_string_equal(text, "none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted_text_is_printed_in_its_one_form),
        cmocka_unit_test(test_ambiguous_and_malformed_text_is_refused),
        cmocka_unit_test(test_no_cut_of_good_text_is_over_read),
        cmocka_unit_test(test_random_addresses_survive_text),
        cmocka_unit_test(test_scope_is_kept_for_link_local_addresses_only),
        cmocka_unit_test(test_each_field_tells_endpoints_and_their_keys_apart),
        cmocka_unit_test(test_small_numbers_and_wildcards),
        cmocka_unit_test(test_output_fits_exactly_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
