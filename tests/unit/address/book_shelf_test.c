/* SPDX-License-Identifier: MIT */
/* Goal: the book gives every byte back, refuses cleanly, and its lists, maps and counts agree.
 * Method: the same story with each allocation failing and with every budget from nothing to
 * enough; random stories checked after each step; one story under two hash keys. */
#include "unit/address/book_helper.h"

/* Touches every kind of allocation: peers, sources, entries, both maps and the heap growing. */
static int tell_story(struct shelf *s)
{
    int failures = 0;
    for (uint32_t i = 0; i < 20; i++) {
        int result = add(s, i, i, i % 2 ? ADDRESS_HEARD : ADDRESS_CLAIMED, i, LATER + i);
        if (result < 0) failures++;
        if (result < 0) assert_false(has_peer(s, i));
    }
    /* From never expiring to expiring needs a place in the heap. */
    if (add(s, 50, 1, ADDRESS_CLAIMED, 0, BOOK_NEVER) < 0) failures++;
    if (add(s, 50, 1, ADDRESS_OBSERVED, 0, LATER) < 0) failures++;
    return failures;
}

static void test_each_failing_allocation_refuses_one_address_and_leaks_nothing(void **state)
{
    struct shelf s;
    (void)state;
    open_shelf(&s, 0, 0, 0);
    assert_int_equal(tell_story(&s), 0);
    uint64_t calls = s.counter.calls;
    assert_true(calls > 50);
    close_shelf(&s);
    for (uint64_t n = 1; n <= calls; n++) {
        open_shelf(&s, 0, 0, 0);
        s.counter.fail_at = n;
        int failures = tell_story(&s);
        assert_true(failures <= 1);
        assert_int_equal(s.book.counts.refused_memory, failures);
        assert_int_equal(s.book.addresses, book_peer_count(&s.book));
        close_shelf(&s);
    }
}

static void test_a_budget_is_never_passed_and_is_named(void **state)
{
    struct shelf s;
    struct limit_record limit;
    struct peer_id id = peer_number(99);
    struct multiaddr m = place_number(99);
    (void)state;
    for (uint64_t max = 0; max < 12000; max += 50) {
        open_shelf(&s, 0, 0, 0);
        s.budget.max = max;
        int failures = tell_story(&s);
        assert_true(s.budget.peak <= max);
        if (max == 0) assert_int_equal(failures, 22);
        s.budget.max = s.budget.used;
        int result = book_add(&s.book, &id, &m, ADDRESS_HEARD, 1, NOW, LATER, &limit);
        assert_int_equal(result, WEIR_E_BUDGET);
        assert_int_equal(limit.scope, LIMIT_SCOPE_NODE);
        assert_int_equal(limit.name, 5);
        assert_int_equal(limit.max, s.budget.max);
        close_shelf(&s);
    }
}

static void test_a_full_budget_takes_from_hearsay_for_what_is_proven(void **state)
{
    struct shelf s;
    (void)state;
    open_shelf(&s, 0, 0, 0);
    for (uint32_t i = 0; i < 4; i++) add(&s, i, i, ADDRESS_HEARD, i, LATER);
    s.budget.max = s.budget.used;
    assert_int_equal(add(&s, 10, 10, ADDRESS_HEARD, 0, LATER), WEIR_E_BUDGET);
    assert_int_equal(add(&s, 10, 10, ADDRESS_CONFIGURED, 0, LATER), 1);
    assert_false(has_peer(&s, 0));
    assert_true(has_peer(&s, 10));
    /* A peer never makes room for itself by its own end: peer 1 is the oldest, 2 goes. */
    s.budget.max = s.budget.used;
    assert_int_equal(add(&s, 1, 20, ADDRESS_CLAIMED, 0, LATER), 1);
    assert_string_equal(places(&s, 1, NOW), "20 1");
    assert_false(has_peer(&s, 2));
    assert_true(has_peer(&s, 3));
    struct peer_id id = peer_number(3);
    assert_int_equal(book_remove_peer(&s.book, &id), WEIR_OK);
    s.budget.max = s.budget.used;
    assert_int_equal(add(&s, 1, 21, ADDRESS_CLAIMED, 0, LATER), WEIR_E_BUDGET);
    assert_string_equal(places(&s, 1, NOW), "20 1");
    close_shelf(&s);
}

static void check_invariants(struct shelf *s)
{
    const struct book_peer *cursor = NULL;
    struct peer_id id;
    uint32_t addresses = 0, configured = 0, peers = 0;
    uint64_t heard = 0;
    while (book_next(&s->book, &cursor, &id)) {
        struct book_address out[BOOK_ADDRESSES_MAX];
        uint32_t count = book_get(&s->book, &id, 0, out, BOOK_ADDRESSES_MAX);
        uint8_t best = 0;
        assert_in_range(count, 1, s->book.limits.addresses_max);
        for (uint32_t i = 0; i < count; i++) {
            if (out[i].provenance > best) best = out[i].provenance;
            if (out[i].provenance == ADDRESS_HEARD) heard++;
        }
        addresses += count;
        peers++;
        if (best == ADDRESS_CONFIGURED) configured++;
    }
    assert_int_equal(addresses, s->book.addresses);
    assert_int_equal(peers, book_peer_count(&s->book));
    assert_int_equal(configured, s->book.configured);
    assert_int_equal(heard, s->book.heard);
    assert_int_equal(s->counter.live_bytes, s->budget.used);
}

static void step(struct shelf *s, struct rng *rng, uint64_t now_us)
{
    struct peer_id id = peer_number((uint32_t)rng_below(rng, 30));
    struct multiaddr m = place_number((uint32_t)rng_below(rng, 8));
    enum address_provenance provenance = (enum address_provenance)(1 + rng_below(rng, 5));
    if (provenance > ADDRESS_CLAIMED && rng_below(rng, 4) > 0) provenance = ADDRESS_HEARD;
    uint64_t expires_us = now_us + 1 + rng_below(rng, 400);
    switch (rng_below(rng, 10)) {
    case 0: book_remove(&s->book, &id, &m); break;
    case 1: book_on_success(&s->book, &id, &m, now_us, expires_us); break;
    case 2: book_on_failure(&s->book, &id, &m, now_us); break;
    case 3: book_expire(&s->book, now_us, 3); break;
    case 4:
        if (rng_below(rng, 4) == 0) book_remove_peer(&s->book, &id);
        break;
    default: book_add(&s->book, &id, &m, provenance, rng_below(rng, 6), now_us, expires_us, NULL);
    }
}

static void test_random_stories_keep_the_invariants(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct shelf s;
        struct rng rng;
        open_shelf(&s, 4, 10, 12);
        rng_init(&rng, seed, "book", 0);
        for (uint64_t i = 0; i < 1500; i++) {
            s.budget.max = seed % 2 == 1 && i % 100 < 30 ? 4000 : UINT64_MAX;
            if (rng_below(&rng, 20) == 0) s.counter.fail_at = 1 + rng_below(&rng, 4);
            step(&s, &rng, i);
            check_invariants(&s);
        }
        close_shelf(&s);
    }
}

/* The order must not come from the hash key, or traces would differ. */
static void test_the_hash_key_decides_nothing(void **state)
{
    static const uint8_t other_key[16] = {9};
    char text[2][8][64];
    (void)state;
    for (int run = 0; run < 2; run++) {
        struct shelf s;
        struct rng rng;
        struct book_limits limits = {4, 10, 12};
        open_shelf(&s, 0, 0, 0);
        book_init(&s.book, &s.counter.mem, &s.budget, run == 0 ? hash_key : other_key, &limits);
        rng_init(&rng, 5, "book", 0);
        for (uint64_t i = 0; i < 500; i++) step(&s, &rng, i);
        for (uint32_t p = 0; p < 8; p++) {
            strncpy(text[run][p], places(&s, p, 0), 63);
            text[run][p][63] = 0;
        }
        close_shelf(&s);
    }
    for (int p = 0; p < 8; p++) assert_string_equal(text[0][p], text[1][p]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_failing_allocation_refuses_one_address_and_leaks_nothing),
        cmocka_unit_test(test_a_budget_is_never_passed_and_is_named),
        cmocka_unit_test(test_a_full_budget_takes_from_hearsay_for_what_is_proven),
        cmocka_unit_test(test_random_stories_keep_the_invariants),
        cmocka_unit_test(test_the_hash_key_decides_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
