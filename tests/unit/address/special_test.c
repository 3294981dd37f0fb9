/* SPDX-License-Identifier: MIT */
/* Goal: every range of IANA's registries is known from its first to its last address and not one
 * further, and decides as it should about dialling and telling. Method: all rows against their own
 * edges; addresses with the class that they must have; decisions as tables. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "address/special.h"
#include "weir.h"
#include <string.h>

static struct endpoint at(const char *text)
{
    struct endpoint e;
    if (endpoint_parse_host(&e, text, strlen(text)) < 0) fail_msg("%s", text);
    e.port = 7777;
    return e;
}

static struct endpoint from_bytes(uint8_t family, const uint8_t bytes[16])
{
    struct endpoint e = {.family = family, .port = 1};
    memcpy(e.bytes, bytes, family == ENDPOINT_IP4 ? 4 : 16);
    return e;
}

/* Set all bits behind the prefix. */
static struct endpoint last_of(const struct special_row *row)
{
    struct endpoint e = from_bytes(row->family, row->prefix);
    unsigned size = row->family == ENDPOINT_IP4 ? 32 : 128;
    for (unsigned bit = row->bits; bit < size; bit++) {
        e.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    }
    return e;
}

static bool is_inside(const struct special_row *row, const struct endpoint *e)
{
    for (unsigned bit = 0; bit < row->bits; bit++) {
        if ((row->prefix[bit / 8] ^ e->bytes[bit / 8]) & (0x80 >> bit % 8)) return false;
    }
    return row->family == e->family;
}

/* The answer for e is the longest prefix that holds it, found here bit by bit. */
static void check_most_specific(const struct endpoint *e)
{
    size_t count;
    const struct special_row *rows = special_rows(&count), *best = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!is_inside(&rows[i], e)) continue;
        if (best == NULL || rows[i].bits > best->bits) best = &rows[i];
    }
    assert_ptr_equal(special_of(e), best);
}

/* One more or one less, over all bytes of the address. */
static struct endpoint neighbour(struct endpoint e, bool up)
{
    for (int i = e.family == ENDPOINT_IP4 ? 3 : 15; i >= 0; i--) {
        e.bytes[i] = (uint8_t)(e.bytes[i] + (up ? 1 : 255));
        if (e.bytes[i] != (up ? 0 : 255)) break;
    }
    return e;
}

static void test_every_row_holds_at_its_edges_and_not_beyond(void **state)
{
    size_t count;
    const struct special_row *rows = special_rows(&count);
    (void)state;
    assert_true(count > 50);
    for (size_t i = 0; i < count; i++) {
        struct endpoint first = from_bytes(rows[i].family, rows[i].prefix);
        struct endpoint last = last_of(&rows[i]);
        struct endpoint before = neighbour(first, false), after = neighbour(last, true);
        assert_true(is_inside(&rows[i], &last));
        assert_non_null(special_of(&first));
        assert_true(special_of(&first)->bits >= rows[i].bits);
        check_most_specific(&first);
        check_most_specific(&last);
        check_most_specific(&before);
        check_most_specific(&after);
    }
}

static void test_rows_are_well_formed_and_unique(void **state)
{
    size_t count;
    const struct special_row *rows = special_rows(&count);
    (void)state;
    for (size_t i = 0; i < count; i++) {
        const struct special_row *row = &rows[i];
        unsigned size = row->family == ENDPOINT_IP4 ? 32 : 128;
        assert_true(row->family == ENDPOINT_IP4 || row->family == ENDPOINT_IP6);
        assert_true(row->bits >= 1 && row->bits <= size);
        for (unsigned bit = row->bits; bit < 128; bit++) {
            assert_int_equal(row->prefix[bit / 8] & (0x80 >> bit % 8), 0);
        }
        assert_true(strlen(row->name) > 0 && strncmp(row->rfc, "RFC ", 4) == 0);
        bool global = (row->flags & SPECIAL_GLOBAL) != 0;
        bool class_global = row->class == ADDRESS_CLASS_GLOBAL;
        if (row->class != ADDRESS_CLASS_TRANSLATED) assert_int_equal(global, class_global);
        for (size_t j = 0; j < i; j++) {
            bool same = rows[j].family == row->family && rows[j].bits == row->bits &&
                        memcmp(rows[j].prefix, row->prefix, 16) == 0;
            assert_false(same);
        }
    }
}

static const struct {
    const char *text;
    enum address_class class;
    const char *name; /* of the row; NULL: an ordinary address */
} known[] = {
    {"0.0.0.0", ADDRESS_CLASS_UNSPECIFIED, "This host on this network"},
    {"0.0.0.1", ADDRESS_CLASS_RESERVED, "This network"},
    {"1.0.0.0", ADDRESS_CLASS_GLOBAL, NULL},
    {"8.8.8.8", ADDRESS_CLASS_GLOBAL, NULL},
    {"9.255.255.255", ADDRESS_CLASS_GLOBAL, NULL},
    {"10.0.0.0", ADDRESS_CLASS_PRIVATE, "Private-Use"},
    {"10.255.255.255", ADDRESS_CLASS_PRIVATE, "Private-Use"},
    {"11.0.0.0", ADDRESS_CLASS_GLOBAL, NULL},
    {"100.63.255.255", ADDRESS_CLASS_GLOBAL, NULL},
    {"100.64.0.1", ADDRESS_CLASS_SHARED, "Shared Address Space"},
    {"100.127.255.255", ADDRESS_CLASS_SHARED, "Shared Address Space"},
    {"100.128.0.0", ADDRESS_CLASS_GLOBAL, NULL},
    {"127.0.0.1", ADDRESS_CLASS_LOOPBACK, "Loopback"},
    {"127.255.255.255", ADDRESS_CLASS_LOOPBACK, "Loopback"},
    {"169.254.169.254", ADDRESS_CLASS_LINK_LOCAL, "Link Local"},
    {"172.15.255.255", ADDRESS_CLASS_GLOBAL, NULL},
    {"172.16.0.0", ADDRESS_CLASS_PRIVATE, "Private-Use"},
    {"172.31.255.255", ADDRESS_CLASS_PRIVATE, "Private-Use"},
    {"172.32.0.0", ADDRESS_CLASS_GLOBAL, NULL},
    {"192.0.0.1", ADDRESS_CLASS_RESERVED, "IPv4 Service Continuity Prefix"},
    {"192.0.0.8", ADDRESS_CLASS_RESERVED, "IPv4 dummy address"},
    {"192.0.0.9", ADDRESS_CLASS_GLOBAL, "Port Control Protocol Anycast"},
    {"192.0.0.11", ADDRESS_CLASS_RESERVED, "IETF Protocol Assignments"},
    {"192.0.0.171", ADDRESS_CLASS_RESERVED, "NAT64/DNS64 Discovery"},
    {"192.0.1.0", ADDRESS_CLASS_GLOBAL, NULL},
    {"192.0.2.1", ADDRESS_CLASS_DOCUMENTATION, "Documentation (TEST-NET-1)"},
    {"192.88.99.1", ADDRESS_CLASS_RESERVED, "Deprecated (6to4 Relay Anycast)"},
    {"192.168.255.255", ADDRESS_CLASS_PRIVATE, "Private-Use"},
    {"192.169.0.0", ADDRESS_CLASS_GLOBAL, NULL},
    {"198.18.0.1", ADDRESS_CLASS_PRIVATE, "Benchmarking"},
    {"198.19.255.255", ADDRESS_CLASS_PRIVATE, "Benchmarking"},
    {"198.51.100.7", ADDRESS_CLASS_DOCUMENTATION, "Documentation (TEST-NET-2)"},
    {"203.0.113.7", ADDRESS_CLASS_DOCUMENTATION, "Documentation (TEST-NET-3)"},
    {"223.255.255.255", ADDRESS_CLASS_GLOBAL, NULL},
    {"224.0.0.1", ADDRESS_CLASS_MULTICAST, "Multicast"},
    {"239.255.255.255", ADDRESS_CLASS_MULTICAST, "Multicast"},
    {"240.0.0.0", ADDRESS_CLASS_RESERVED, "Reserved"},
    {"255.255.255.255", ADDRESS_CLASS_RESERVED, "Limited Broadcast"},
    {"::", ADDRESS_CLASS_UNSPECIFIED, "Unspecified Address"},
    {"::1", ADDRESS_CLASS_LOOPBACK, "Loopback Address"},
    {"::2", ADDRESS_CLASS_RESERVED, "Reserved by IETF"},
    {"::1.2.3.4", ADDRESS_CLASS_RESERVED, "Reserved by IETF"},
    {"::ffff:127.0.0.1", ADDRESS_CLASS_LOOPBACK, "Loopback"},
    {"64:ff9b::8.8.8.8", ADDRESS_CLASS_TRANSLATED, "IPv4-IPv6 Translat."},
    {"64:ff9b::10.0.0.1", ADDRESS_CLASS_PRIVATE, "IPv4-IPv6 Translat."},
    {"64:ff9b::127.0.0.1", ADDRESS_CLASS_LOOPBACK, "IPv4-IPv6 Translat."},
    {"64:ff9b:1::10.0.0.1", ADDRESS_CLASS_TRANSLATED, "IPv4-IPv6 Translat."},
    {"64:ff9b:2::1", ADDRESS_CLASS_RESERVED, "Reserved by IETF"},
    {"100::1", ADDRESS_CLASS_RESERVED, "Discard-Only Address Block"},
    {"100:0:0:1::1", ADDRESS_CLASS_RESERVED, "Dummy IPv6 Prefix"},
    {"200:1::1", ADDRESS_CLASS_PRIVATE, "Reserved by IETF, formerly NSAP"},
    {"3ff:ffff::1", ADDRESS_CLASS_PRIVATE, "Reserved by IETF, formerly NSAP"},
    {"400::1", ADDRESS_CLASS_RESERVED, "Reserved by IETF"},
    {"2000::1", ADDRESS_CLASS_GLOBAL, NULL},
    {"2001::1", ADDRESS_CLASS_TRANSLATED, "TEREDO"},
    {"2001:1::1", ADDRESS_CLASS_GLOBAL, "Port Control Protocol Anycast"},
    {"2001:1::2", ADDRESS_CLASS_GLOBAL, "Traversal Using Relays around NAT Anycast"},
    {"2001:1::3", ADDRESS_CLASS_GLOBAL, "DNS-SD Service Registration Protocol Anycast"},
    {"2001:1::4", ADDRESS_CLASS_RESERVED, "IETF Protocol Assignments"},
    {"2001:2::1", ADDRESS_CLASS_PRIVATE, "Benchmarking"},
    {"2001:4:112::1", ADDRESS_CLASS_GLOBAL, "AS112-v6"},
    {"2001:1f::1", ADDRESS_CLASS_RESERVED, "Deprecated (previously ORCHID)"},
    {"2001:2f::1", ADDRESS_CLASS_GLOBAL, "ORCHIDv2"},
    {"2001:1ff::1", ADDRESS_CLASS_RESERVED, "IETF Protocol Assignments"},
    {"2001:200::1", ADDRESS_CLASS_GLOBAL, NULL},
    {"2001:4860:4860::8888", ADDRESS_CLASS_GLOBAL, NULL},
    {"2001:db8::1", ADDRESS_CLASS_DOCUMENTATION, "Documentation"},
    {"2001:db9::1", ADDRESS_CLASS_GLOBAL, NULL},
    {"2002:808:808::1", ADDRESS_CLASS_TRANSLATED, "6to4"},
    {"2002:a00:1::1", ADDRESS_CLASS_PRIVATE, "6to4"},
    {"2002:e000:1::1", ADDRESS_CLASS_MULTICAST, "6to4"},
    {"2620:4f:8000::1", ADDRESS_CLASS_GLOBAL, "Direct Delegation AS112 Service"},
    {"3fff:fff::1", ADDRESS_CLASS_DOCUMENTATION, "Documentation"},
    {"3fff:1000::1", ADDRESS_CLASS_GLOBAL, NULL},
    {"4000::1", ADDRESS_CLASS_RESERVED, "Reserved by IETF"},
    {"5f00::1", ADDRESS_CLASS_RESERVED, "Segment Routing (SRv6) SIDs"},
    {"e000::1", ADDRESS_CLASS_RESERVED, "Reserved by IETF"},
    {"fbff::1", ADDRESS_CLASS_RESERVED, "Reserved by IETF"},
    {"fc00::1", ADDRESS_CLASS_PRIVATE, "Unique-Local"},
    {"fdff::1", ADDRESS_CLASS_PRIVATE, "Unique-Local"},
    {"fe00::1", ADDRESS_CLASS_RESERVED, "Reserved by IETF"},
    {"fe80::1%2", ADDRESS_CLASS_LINK_LOCAL, "Link-Local Unicast"},
    {"febf::1", ADDRESS_CLASS_LINK_LOCAL, "Link-Local Unicast"},
    {"fec0::1", ADDRESS_CLASS_PRIVATE, "Deprecated (Site-Local Unicast)"},
    {"ff02::1", ADDRESS_CLASS_MULTICAST, "Multicast"},
};

static void test_addresses_have_their_class_and_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct endpoint e = at(known[i].text);
        const struct special_row *row = special_of(&e);
        if (endpoint_class(&e) != known[i].class) {
            fail_msg("%s is %s", known[i].text, address_class_name(endpoint_class(&e)));
        }
        if (known[i].name == NULL) assert_null(row);
        if (known[i].name != NULL) assert_string_equal(row->name, known[i].name);
    }
    struct endpoint none = {0}, memory = endpoint_memory(0);
    assert_int_equal(endpoint_class(&none), ADDRESS_CLASS_UNSPECIFIED);
    assert_int_equal(endpoint_class(&memory), ADDRESS_CLASS_GLOBAL);
    assert_null(special_of(&memory));
}

static void test_some_addresses_are_dialled_for_nobody(void **state)
{
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"0.0.0.0", "unspecified"},
        {"::", "unspecified"},
        {"192.0.2.1", "documentation"},
        {"2001:db8::1", "documentation"},
        {"224.0.0.1", "multicast"},
        {"ff02::1", "multicast"},
        {"64:ff9b::224.0.0.1", "multicast"},
        {"255.255.255.255", "reserved"},
        {"240.0.0.1", "reserved"},
        {"0.1.2.3", "reserved"},
        {"100::1", "reserved"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct endpoint e = at(cases[i].text), local = at("127.0.0.1");
        const char *why = NULL;
        assert_false(special_may_dial(&e, ADDRESS_CONFIGURED, &local, &why));
        assert_non_null(strstr(why, cases[i].word));
        assert_false(special_may_gossip(&e, &local));
    }
    struct endpoint e = at("8.8.8.8");
    const char *why = NULL;
    e.port = 0;
    assert_false(special_may_dial(&e, ADDRESS_CONFIGURED, NULL, &why));
    assert_non_null(strstr(why, "port 0"));
    assert_false(special_may_gossip(&e, NULL));
}

static void test_near_addresses_are_shared_among_the_near_only(void **state)
{
    static const struct {
        const char *address, *other; /* other NULL: where it is told is unknown */
        bool shared;
    } cases[] = {
        {"8.8.8.8", NULL, true},
        {"8.8.8.8", "9.9.9.9", true},
        {"2600::1", "127.0.0.1", true},
        {"10.0.0.1", NULL, false},
        {"10.0.0.1", "9.9.9.9", false},
        {"10.0.0.1", "100.64.0.1", false},
        {"10.0.0.1", "192.168.0.1", true},
        {"10.0.0.1", "fe80::1%2", true},
        {"10.0.0.1", "127.0.0.1", true},
        {"fd00::1", "10.0.0.1", true},
        {"100.64.0.1", "9.9.9.9", false},
        {"100.64.0.1", "100.64.0.2", true},
        {"127.0.0.1", NULL, false},
        {"127.0.0.1", "10.0.0.1", false},
        {"127.0.0.1", "::1", true},
        {"169.254.0.1", "169.254.0.2", false},
        {"169.254.169.254", "127.0.0.1", false},
        {"fe80::1%2", "127.0.0.1", false},
        {"64:ff9b::8.8.8.8", "127.0.0.1", false},
        {"64:ff9b::10.0.0.1", "9.9.9.9", false},
        {"10.0.0.1", "64:ff9b::8.8.8.8", false},
        {"10.0.0.1", "224.0.0.1", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool placed = cases[i].other != NULL;
        struct endpoint e = at(cases[i].address), other = at(placed ? cases[i].other : "::");
        const struct endpoint *to = placed ? &other : NULL;
        const char *why = NULL;
        bool good = special_may_gossip(&e, to) == cases[i].shared &&
                    special_may_dial(&e, ADDRESS_HEARD, to, &why) == cases[i].shared &&
                    special_may_dial(&e, ADDRESS_CLAIMED, to, NULL) == cases[i].shared;
        if (!good) fail_msg("%s told at %s", cases[i].address, placed ? cases[i].other : "?");
        assert_int_equal(why == NULL, cases[i].shared);
        /* What we saw ourselves, or were configured with, is ours to dial. */
        assert_true(special_may_dial(&e, ADDRESS_OBSERVED, to, NULL));
        assert_true(special_may_dial(&e, ADDRESS_CONFIGURED, NULL, NULL));
    }
}

static void test_in_memory_endpoints_are_global_and_have_no_port(void **state)
{
    struct endpoint e = endpoint_memory(5);
    (void)state;
    assert_true(special_may_gossip(&e, NULL));
    assert_true(special_may_dial(&e, ADDRESS_HEARD, NULL, NULL));
}

static void test_every_class_and_provenance_has_its_own_name(void **state)
{
    (void)state;
    for (int a = 0; a <= ADDRESS_CLASS_UNSPECIFIED + 1; a++) {
        for (int b = 0; b < a; b++) {
            assert_string_not_equal(address_class_name((enum address_class)a),
                                    address_class_name((enum address_class)b));
        }
    }
    for (int a = 1; a <= ADDRESS_CONFIGURED + 1; a++) {
        for (int b = 1; b < a; b++) {
            assert_string_not_equal(address_provenance_name((enum address_provenance)a),
                                    address_provenance_name((enum address_provenance)b));
        }
    }
    assert_string_equal(address_class_name((enum address_class)99), "unknown");
    assert_string_equal(address_provenance_name((enum address_provenance)0), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_holds_at_its_edges_and_not_beyond),
        cmocka_unit_test(test_rows_are_well_formed_and_unique),
        cmocka_unit_test(test_addresses_have_their_class_and_name),
        cmocka_unit_test(test_some_addresses_are_dialled_for_nobody),
        cmocka_unit_test(test_near_addresses_are_shared_among_the_near_only),
        cmocka_unit_test(test_in_memory_endpoints_are_global_and_have_no_port),
        cmocka_unit_test(test_every_class_and_provenance_has_its_own_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
