/* SPDX-License-Identifier: MIT */
/* Goal: the book keeps what is better proven, within its bounds, whatever strangers tell. Method:
 * small limits reached one by one, by addresses whose order shows what was kept. */
#include "unit/address/book_helper.h"

static void test_empty_book_allocates_nothing(void **state)
{
    struct shelf s;
    struct peer_id id = peer_number(1), out;
    struct multiaddr m = place_number(1);
    const struct book_peer *cursor = NULL;
    (void)state;
    open_shelf(&s, 0, 0, 0);
    assert_int_equal(book_get(&s.book, &id, NOW, NULL, 0), 0);
    assert_int_equal(book_remove(&s.book, &id, &m), WEIR_E_NOT_FOUND);
    assert_int_equal(book_remove_peer(&s.book, &id), WEIR_E_NOT_FOUND);
    book_on_success(&s.book, &id, &m, NOW, LATER);
    book_on_failure(&s.book, &id, &m, NOW);
    assert_int_equal(book_expire(&s.book, UINT64_MAX, 10), 0);
    assert_true(book_deadline(&s.book) == BOOK_NEVER);
    assert_false(book_next(&s.book, &cursor, &out));
    assert_int_equal(s.counter.calls, 0);
    assert_int_equal(s.book.limits.addresses_max, 16);
    assert_int_equal(s.book.limits.heard_max, 64);
    assert_int_equal(s.book.limits.peers_max, 4096);
    close_shelf(&s);
    open_shelf(&s, BOOK_ADDRESSES_MAX + 1, 0, 0);
    assert_int_equal(s.book.limits.addresses_max, BOOK_ADDRESSES_MAX);
    close_shelf(&s);
}

static void test_what_is_added_is_given_out_with_its_facts(void **state)
{
    struct shelf s;
    struct peer_id id = peer_number(1);
    struct multiaddr m, with_peer;
    struct book_address out;
    static const char text[] = "/dns6/example.org/udp/9/quic-v1";
    (void)state;
    open_shelf(&s, 0, 0, 0);
    assert_int_equal(multiaddr_parse(&m, text, sizeof text - 1, NULL), WEIR_OK);
    with_peer = m;
    with_peer.has_peer = true;
    with_peer.peer = id;
    assert_int_equal(book_add(&s.book, &id, &m, ADDRESS_CLAIMED, SOURCE, NOW, LATER, NULL), 1);
    assert_int_equal(book_add(&s.book, &id, &with_peer, ADDRESS_CLAIMED, 1, NOW, LATER, NULL), 0);
    book_on_failure(&s.book, &id, &with_peer, NOW + 5);
    assert_int_equal(book_get(&s.book, &id, NOW, &out, 1), 1);
    assert_true(multiaddr_equal(&out.address, &with_peer));
    assert_int_equal(out.provenance, ADDRESS_CLAIMED);
    assert_int_equal(out.source, SOURCE);
    assert_int_equal(out.added_us, NOW);
    assert_int_equal(out.expires_us, LATER);
    assert_int_equal(out.failures, 1);
    assert_int_equal(out.failure_us, NOW + 5);
    assert_int_equal(out.success_us, 0);
    assert_int_equal(book_remove(&s.book, &id, &m), WEIR_OK);
    assert_int_equal(book_peer_count(&s.book), 0);
    close_shelf(&s);
}

static void test_wrong_arguments_are_named(void **state)
{
    struct shelf s;
    struct peer_id id = peer_number(1), other = peer_number(2), none = {0};
    struct multiaddr m = place_number(1), nowhere, of_other = m;
    struct limit_record limit;
    (void)state;
    open_shelf(&s, 0, 0, 0);
    memset(&nowhere, 0, sizeof nowhere);
    of_other.has_peer = true;
    of_other.peer = other;
    memset(&limit, 0xaa, sizeof limit);
    struct book *b = &s.book;
    assert_int_equal(book_add(b, &id, &m, 0, 0, NOW, LATER, &limit), WEIR_E_ARGUMENT);
    assert_int_equal(limit.max, 0);
    assert_int_equal(book_add(b, &id, &m, 6, 0, NOW, LATER, NULL), WEIR_E_ARGUMENT);
    assert_int_equal(book_add(b, &id, &m, ADDRESS_HEARD, 0, NOW, NOW, NULL), WEIR_E_ARGUMENT);
    assert_int_equal(book_add(b, &none, &m, ADDRESS_HEARD, 0, NOW, LATER, NULL), WEIR_E_PEER_ID);
    assert_int_equal(book_add(b, &id, &of_other, ADDRESS_HEARD, 0, NOW, LATER, NULL),
                     WEIR_E_PEER_ID);
    assert_int_equal(book_add(b, &id, &nowhere, ADDRESS_HEARD, 0, NOW, LATER, NULL),
                     WEIR_E_ADDRESS);
    assert_int_equal(s.counter.calls, 0);
    close_shelf(&s);
}

static void test_addresses_come_out_best_first(void **state)
{
    struct shelf s;
    (void)state;
    open_shelf(&s, 0, 0, 0);
    add(&s, 1, 1, ADDRESS_HEARD, SOURCE, LATER);
    add(&s, 1, 2, ADDRESS_HEARD, SOURCE, LATER);
    add(&s, 1, 3, ADDRESS_CLAIMED, 0, LATER);
    add(&s, 1, 4, ADDRESS_CONFIGURED, 0, BOOK_NEVER);
    add(&s, 1, 5, ADDRESS_OBSERVED, 0, LATER);
    add(&s, 1, 6, ADDRESS_DIALLED_BACK, 0, LATER);
    assert_string_equal(places(&s, 1, NOW), "4 6 5 3 1 2");
    /* One failure counts among equals only; three put it behind everything. */
    fail_times(&s, 1, 1, 1);
    assert_string_equal(places(&s, 1, NOW), "4 6 5 3 2 1");
    fail_times(&s, 1, 4, BOOK_FAILING);
    assert_string_equal(places(&s, 1, NOW), "6 5 3 2 1 4");
    /* Success proves, clears the failures, and the most recent one is first. */
    succeed(&s, 1, 2, NOW + 10);
    assert_string_equal(places(&s, 1, NOW), "2 6 5 3 1 4");
    succeed(&s, 1, 6, NOW + 20);
    assert_string_equal(places(&s, 1, NOW), "6 2 5 3 1 4");
    succeed(&s, 1, 4, NOW + 5);
    assert_string_equal(places(&s, 1, NOW), "4 6 2 5 3 1");
    struct book_address out[2];
    struct peer_id id = peer_number(1);
    assert_int_equal(book_get(&s.book, &id, NOW, out, 2), 2);
    assert_int_equal(out[1].success_us, NOW + 20);
    assert_int_equal(out[1].failures, 0);
    close_shelf(&s);
}

static void test_a_source_has_a_quota_for_what_it_tells(void **state)
{
    struct shelf s;
    struct limit_record limit;
    struct peer_id id = peer_number(9);
    struct multiaddr m = place_number(9);
    (void)state;
    open_shelf(&s, 0, 3, 0);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(add(&s, i, i, ADDRESS_HEARD, SOURCE, LATER), 1);
    assert_int_equal(book_add(&s.book, &id, &m, ADDRESS_HEARD, SOURCE, NOW, LATER, &limit),
                     WEIR_E_LIMIT);
    assert_int_equal(limit.used, 3);
    assert_int_equal(limit.max, 3);
    assert_int_equal(limit.side, LIMIT_SIDE_LOCAL);
    assert_int_equal(s.book.counts.refused_source, 1);
    /* Repeating what it told is free, and another source has its own quota. */
    assert_int_equal(add(&s, 1, 1, ADDRESS_HEARD, SOURCE, LATER), 0);
    assert_int_equal(add(&s, 9, 9, ADDRESS_HEARD, SOURCE + 1, LATER), 1);
    /* Each way for an address to be no hearsay any more gives its place in the quota back. */
    succeed(&s, 0, 0, NOW);
    assert_int_equal(add(&s, 10, 10, ADDRESS_HEARD, SOURCE, LATER), 1);
    assert_int_equal(add(&s, 1, 1, ADDRESS_CLAIMED, 0, LATER), 0);
    assert_int_equal(add(&s, 11, 11, ADDRESS_HEARD, SOURCE, LATER), 1);
    id = peer_number(2);
    assert_int_equal(book_remove_peer(&s.book, &id), WEIR_OK);
    assert_int_equal(add(&s, 12, 12, ADDRESS_HEARD, SOURCE, LATER), 1);
    assert_int_equal(add(&s, 13, 13, ADDRESS_HEARD, SOURCE, LATER), WEIR_E_LIMIT);
    assert_int_equal(s.book.heard, 4);
    /* What a peer claims of itself is not hearsay. */
    assert_int_equal(add(&s, 13, 13, ADDRESS_CLAIMED, SOURCE, LATER), 1);
    close_shelf(&s);
}

static void test_refresh_keeps_the_better_proof_and_the_later_expiry(void **state)
{
    struct shelf s;
    struct book_address out;
    struct peer_id id = peer_number(1);
    static const struct {
        enum address_provenance provenance;
        uint64_t expires_us;
        uint8_t expected_provenance;
        uint64_t expected_expires_us;
    } steps[] = {
        {ADDRESS_CLAIMED, 5000, ADDRESS_CLAIMED, 5000},
        {ADDRESS_CLAIMED, 4000, ADDRESS_CLAIMED, 5000}, /* equal cannot shorten */
        {ADDRESS_CLAIMED, 6000, ADDRESS_CLAIMED, 6000},
        {ADDRESS_HEARD, 9000, ADDRESS_CLAIMED, 6000},     /* less proven changes nothing */
        {ADDRESS_OBSERVED, 3000, ADDRESS_OBSERVED, 3000}, /* better proven brings its own */
        {ADDRESS_CONFIGURED, BOOK_NEVER, ADDRESS_CONFIGURED, BOOK_NEVER},
        {ADDRESS_CONFIGURED, 9000, ADDRESS_CONFIGURED, BOOK_NEVER},
        {ADDRESS_OBSERVED, 9000, ADDRESS_CONFIGURED, BOOK_NEVER},
    };
    (void)state;
    open_shelf(&s, 0, 0, 0);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        assert_int_equal(add(&s, 1, 1, steps[i].provenance, SOURCE, steps[i].expires_us), i == 0);
        assert_int_equal(book_get(&s.book, &id, NOW, &out, 1), 1);
        assert_int_equal(out.provenance, steps[i].expected_provenance);
        assert_true(out.expires_us == steps[i].expected_expires_us);
        assert_true(book_deadline(&s.book) == steps[i].expected_expires_us);
    }
    assert_int_equal(s.book.configured, 1);
    close_shelf(&s);
}

static void test_a_full_peer_gives_up_what_is_no_better_proven(void **state)
{
    struct shelf s;
    (void)state;
    open_shelf(&s, 3, 0, 0);
    add(&s, 1, 1, ADDRESS_CLAIMED, 0, LATER);
    add(&s, 1, 2, ADDRESS_CONFIGURED, 0, LATER);
    add(&s, 1, 3, ADDRESS_CLAIMED, 0, LATER);
    assert_int_equal(add(&s, 1, 4, ADDRESS_HEARD, SOURCE, LATER), WEIR_E_LIMIT);
    assert_string_equal(places(&s, 1, NOW), "2 1 3");
    /* Claims displace the oldest claim; one that fails goes before an older one. */
    assert_int_equal(add(&s, 1, 5, ADDRESS_CLAIMED, 0, LATER), 1);
    assert_string_equal(places(&s, 1, NOW), "2 3 5");
    fail_times(&s, 1, 5, 1);
    assert_int_equal(add(&s, 1, 6, ADDRESS_CLAIMED, 0, LATER), 1);
    assert_string_equal(places(&s, 1, NOW), "2 3 6");
    /* What is configured goes for nothing, not even for more of it. */
    assert_int_equal(add(&s, 1, 7, ADDRESS_CONFIGURED, 0, LATER), 1);
    assert_int_equal(add(&s, 1, 8, ADDRESS_CONFIGURED, 0, LATER), 1);
    assert_string_equal(places(&s, 1, NOW), "2 7 8");
    assert_int_equal(add(&s, 1, 9, ADDRESS_CONFIGURED, 0, LATER), WEIR_E_LIMIT);
    assert_int_equal(s.book.counts.displaced, 4);
    assert_int_equal(s.book.counts.refused_peer, 2);
    assert_int_equal(s.book.addresses, 3);
    close_shelf(&s);
}

static void test_one_stranger_cannot_flush_what_others_told(void **state)
{
    struct shelf s;
    (void)state;
    open_shelf(&s, 4, 64, 0);
    add(&s, 1, 1, ADDRESS_HEARD, 1, LATER);
    add(&s, 1, 2, ADDRESS_HEARD, 2, LATER);
    add(&s, 1, 3, ADDRESS_HEARD, 2, LATER);
    add(&s, 1, 4, ADDRESS_HEARD, 2, LATER);
    /* Source 3 has none and source 2 three: it gets one place, the oldest of source 2. */
    assert_int_equal(add(&s, 1, 5, ADDRESS_HEARD, 3, LATER), 1);
    assert_string_equal(places(&s, 1, NOW), "1 3 4 5");
    /* Now it may only displace its own. */
    assert_int_equal(add(&s, 1, 6, ADDRESS_HEARD, 3, LATER), 1);
    assert_string_equal(places(&s, 1, NOW), "1 3 4 6");
    for (uint32_t i = 10; i < 40; i++) add(&s, 1, i, ADDRESS_HEARD, 3, LATER);
    assert_string_equal(places(&s, 1, NOW), "1 3 4 39");
    /* One who has nothing here gets nothing from one who has one, but may replace what fails. */
    assert_int_equal(add(&s, 1, 50, ADDRESS_HEARD, 4, LATER), 1);
    assert_string_equal(places(&s, 1, NOW), "1 4 39 50");
    assert_int_equal(add(&s, 1, 51, ADDRESS_HEARD, 5, LATER), WEIR_E_LIMIT);
    fail_times(&s, 1, 1, 1);
    assert_int_equal(add(&s, 1, 51, ADDRESS_HEARD, 5, LATER), 1);
    assert_string_equal(places(&s, 1, NOW), "4 39 50 51");
    close_shelf(&s);
}

static void test_a_full_book_gives_up_its_least_proven_oldest_peer(void **state)
{
    struct shelf s;
    (void)state;
    open_shelf(&s, 0, 0, 3);
    add(&s, 1, 1, ADDRESS_CLAIMED, 0, LATER);
    add(&s, 2, 2, ADDRESS_HEARD, SOURCE, LATER);
    add(&s, 3, 3, ADDRESS_HEARD, SOURCE, LATER);
    assert_int_equal(add(&s, 4, 4, ADDRESS_HEARD, SOURCE, LATER), 1);
    assert_false(has_peer(&s, 2));
    assert_true(has_peer(&s, 1) && has_peer(&s, 3) && has_peer(&s, 4));
    /* A proof takes peer 3 out of the firing line. */
    succeed(&s, 3, 3, NOW);
    assert_int_equal(add(&s, 5, 5, ADDRESS_OBSERVED, 0, LATER), 1);
    assert_false(has_peer(&s, 4));
    assert_int_equal(add(&s, 6, 6, ADDRESS_HEARD, SOURCE, LATER), WEIR_E_LIMIT);
    assert_int_equal(s.book.counts.refused_peers, 1);
    /* Configured peers are not counted and not given up. */
    assert_int_equal(add(&s, 7, 7, ADDRESS_CONFIGURED, 0, BOOK_NEVER), 1);
    assert_int_equal(book_peer_count(&s.book), 4);
    assert_int_equal(add(&s, 8, 8, ADDRESS_DIALLED_BACK, 0, LATER), 1);
    assert_false(has_peer(&s, 1));
    assert_int_equal(add(&s, 9, 9, ADDRESS_DIALLED_BACK, 0, LATER), 1);
    assert_false(has_peer(&s, 5));
    assert_int_equal(add(&s, 10, 10, ADDRESS_DIALLED_BACK, 0, LATER), 1);
    assert_false(has_peer(&s, 3));
    assert_true(has_peer(&s, 7));
    assert_int_equal(s.book.counts.evicted_peers, 5);
    close_shelf(&s);
}

static void test_a_peer_that_loses_its_proof_falls_back(void **state)
{
    struct shelf s;
    struct peer_id id = peer_number(1);
    struct multiaddr m = place_number(2);
    (void)state;
    open_shelf(&s, 0, 0, 2);
    add(&s, 1, 1, ADDRESS_HEARD, SOURCE, LATER);
    add(&s, 1, 2, ADDRESS_CONFIGURED, 0, LATER);
    add(&s, 2, 1, ADDRESS_HEARD, SOURCE, LATER);
    add(&s, 3, 1, ADDRESS_HEARD, SOURCE, LATER);
    assert_int_equal(book_peer_count(&s.book), 3);
    assert_int_equal(book_remove(&s.book, &id, &m), WEIR_OK);
    assert_int_equal(s.book.configured, 0);
    /* It is the newest among the heard ones now; two must go to be within two again. */
    assert_int_equal(add(&s, 4, 1, ADDRESS_HEARD, SOURCE, LATER), 1);
    assert_false(has_peer(&s, 2) || has_peer(&s, 3));
    assert_true(has_peer(&s, 1) && has_peer(&s, 4));
    close_shelf(&s);
}

static void test_expired_addresses_are_hidden_and_forgotten_in_order(void **state)
{
    struct shelf s;
    (void)state;
    open_shelf(&s, 0, 0, 0);
    add(&s, 1, 1, ADDRESS_HEARD, SOURCE, 3000);
    add(&s, 1, 2, ADDRESS_CLAIMED, 0, 2000);
    add(&s, 2, 3, ADDRESS_CLAIMED, 0, 2000);
    add(&s, 3, 4, ADDRESS_CONFIGURED, 0, BOOK_NEVER);
    assert_int_equal(book_deadline(&s.book), 2000);
    assert_string_equal(places(&s, 1, 1999), "2 1");
    assert_string_equal(places(&s, 1, 2000), "1");
    assert_int_equal(book_expire(&s.book, 1999, 10), 0);
    assert_int_equal(book_expire(&s.book, 2000, 1), 1);
    assert_true(has_peer(&s, 2));
    assert_int_equal(book_expire(&s.book, 2000, 10), 1);
    assert_false(has_peer(&s, 2));
    assert_int_equal(book_deadline(&s.book), 3000);
    /* A success prolongs a life and never shortens it. */
    struct peer_id id = peer_number(1);
    struct multiaddr m = place_number(1);
    book_on_success(&s.book, &id, &m, NOW, 4000);
    book_on_success(&s.book, &id, &m, NOW, 100);
    assert_int_equal(book_deadline(&s.book), 4000);
    assert_int_equal(book_expire(&s.book, UINT64_MAX, 10), 1);
    assert_int_equal(book_peer_count(&s.book), 1);
    assert_string_equal(places(&s, 3, UINT64_MAX - 1), "4");
    assert_int_equal(s.book.counts.expired, 3);
    book_on_success(&s.book, &id, &m, NOW, BOOK_NEVER);
    close_shelf(&s);
}

static void test_peers_are_walked_in_the_order_in_which_they_came(void **state)
{
    struct shelf s;
    struct peer_id id, expected;
    const struct book_peer *cursor = NULL;
    (void)state;
    open_shelf(&s, 0, 0, 0);
    for (uint32_t i = 0; i < 50; i++) add(&s, i * 7919 % 50, i, ADDRESS_CLAIMED, 0, LATER);
    expected = peer_number(0);
    assert_int_equal(book_remove_peer(&s.book, &expected), WEIR_OK);
    for (uint32_t i = 1; i < 50; i++) {
        assert_true(book_next(&s.book, &cursor, &id));
        expected = peer_number(i * 7919 % 50);
        assert_true(peer_id_equal(&id, &expected));
    }
    assert_false(book_next(&s.book, &cursor, &id));
    close_shelf(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_book_allocates_nothing),
        cmocka_unit_test(test_what_is_added_is_given_out_with_its_facts),
        cmocka_unit_test(test_wrong_arguments_are_named),
        cmocka_unit_test(test_addresses_come_out_best_first),
        cmocka_unit_test(test_a_source_has_a_quota_for_what_it_tells),
        cmocka_unit_test(test_refresh_keeps_the_better_proof_and_the_later_expiry),
        cmocka_unit_test(test_a_full_peer_gives_up_what_is_no_better_proven),
        cmocka_unit_test(test_one_stranger_cannot_flush_what_others_told),
        cmocka_unit_test(test_a_full_book_gives_up_its_least_proven_oldest_peer),
        cmocka_unit_test(test_a_peer_that_loses_its_proof_falls_back),
        cmocka_unit_test(test_expired_addresses_are_hidden_and_forgotten_in_order),
        cmocka_unit_test(test_peers_are_walked_in_the_order_in_which_they_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
