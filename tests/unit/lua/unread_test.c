/* SPDX-License-Identifier: MIT */
/* Goal: a peer that floods keeps no other waiting, and costs no more than its queue. Method: the
 * queue of handles alone, with a rule who may enter. */
#include "runtime/unread.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* After its neighbours. */
#include <cmocka.h>

enum { PER_PEER = 4, MANY = 20000 };

static bool not_one(const void *context, uint32_t peer)
{
    (void)context;
    return peer != 1;
}

static bool anybody(const void *context, uint32_t peer)
{
    uint32_t *looked = (uint32_t *)(uintptr_t)context;
    (void)peer;
    ++*looked;
    return true;
}

static void test_a_peer_that_has_its_share_keeps_no_other_waiting(void **state)
{
    struct unread *u = unread_open(PER_PEER);
    uint64_t gone, handle;
    uint32_t peer;
    (void)state;
    for (uint64_t i = 1; i <= 3; i++) assert_true(unread_add(u, 1, i, &gone));
    assert_true(unread_add(u, 2, 100, &gone));
    assert_true(unread_take(u, not_one, NULL, &peer, &handle));
    assert_int_equal(peer, 2);
    assert_int_equal(handle, 100);
    assert_false(unread_take(u, not_one, NULL, &peer, &handle));
    unread_close(u);
}

static void test_a_flood_displaces_its_own_oldest(void **state)
{
    struct unread *u = unread_open(PER_PEER);
    uint64_t gone, handle;
    uint32_t peer, looked = 0;
    (void)state;
    assert_true(unread_add(u, 2, 100, &gone));
    for (uint64_t i = 1; i <= MANY; i++) {
        assert_true(unread_add(u, 1, i, &gone));
        assert_int_equal(gone, i <= PER_PEER ? 0 : i - PER_PEER);
    }
    assert_true(unread_take(u, anybody, &looked, &peer, &handle));
    assert_int_equal(handle, 100);
    for (uint64_t i = MANY - PER_PEER + 1; i <= MANY; i++) {
        assert_true(unread_take(u, anybody, &looked, &peer, &handle));
        assert_int_equal(handle, i);
    }
    assert_false(unread_take(u, anybody, &looked, &peer, &handle));
    assert_int_equal(looked, PER_PEER + 1);
    unread_close(u);
}

static void test_peers_take_turns_and_their_number_is_bounded(void **state)
{
    struct unread *u = unread_open(PER_PEER);
    uint64_t gone, handle;
    uint32_t peer, looked = 0, taken = 0;
    (void)state;
    for (uint32_t p = 1; p <= 3; p++) {
        assert_true(unread_add(u, p, p, &gone));
        assert_true(unread_add(u, p, 10 + p, &gone));
    }
    for (uint64_t i = 0; i < 6; i++) {
        assert_true(unread_take(u, anybody, &looked, &peer, &handle));
        assert_int_equal(handle, i < 3 ? i + 1 : i + 8);
    }
    for (uint32_t p = 1; p <= MANY; p++) taken += unread_add(u, p, p, &gone) ? 1 : 0;
    assert_int_equal(taken, 16384);
    unread_close(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_peer_that_has_its_share_keeps_no_other_waiting),
        cmocka_unit_test(test_a_flood_displaces_its_own_oldest),
        cmocka_unit_test(test_peers_take_turns_and_their_number_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
