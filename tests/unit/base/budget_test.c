/* SPDX-License-Identifier: MIT */
/* Goal: budgets charge a leaf and all its ancestors or nothing, and say who refused. Method: a
 * tree of node, peer, connection and two streams; each scope is made the tight one in turn. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/budget.h"
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Whether the call ends in WEIR_ASSERT: it runs in a child, whose standard error is closed. */
static int dies(void (*call)(void))
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        close(2);
        call();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

enum { SCOPES = 5 };
static const char *const owners[SCOPES] = {"node", "peer", "connection", "protocol", "stream"};

static void chain_init(struct budget chain[SCOPES], uint64_t max)
{
    unsigned i;

    for (i = 0; i < SCOPES; i++) {
        struct budget *parent = i > 0 ? &chain[i - 1] : NULL;

        budget_init(&chain[i], parent, (enum limit_scope)(LIMIT_SCOPE_NODE + (int)i),
                    (uint16_t)(10 + i), max, owners[i]);
    }
}

static void chain_end(struct budget chain[SCOPES])
{
    int i;

    for (i = SCOPES - 1; i >= 0; i--) budget_end(&chain[i]);
}

static void test_charge_reaches_every_ancestor_and_refund_undoes_it(void **state)
{
    struct budget chain[SCOPES];
    unsigned i;

    (void)state;
    chain_init(chain, 100);
    assert_true(budget_charge(&chain[4], 60, NULL));
    assert_true(budget_charge(&chain[2], 40, NULL));
    for (i = 0; i < SCOPES; i++) assert_int_equal(chain[i].used, i <= 2 ? 100 : 60);
    budget_refund(&chain[4], 60);
    for (i = 0; i < SCOPES; i++) {
        assert_int_equal(chain[i].used, i <= 2 ? 40 : 0);
        assert_int_equal(chain[i].peak, i <= 2 ? 100 : 60);
    }
    budget_refund(&chain[2], 40);
    chain_end(chain);
}

static void test_refusal_names_the_scope_and_changes_nothing(void **state)
{
    unsigned tight, i;

    (void)state;
    for (tight = 0; tight < SCOPES; tight++) {
        struct budget chain[SCOPES];
        struct limit_record limit;

        memset(&limit, 0xee, sizeof limit);
        chain_init(chain, 1000);
        chain[tight].max = 50;
        assert_true(budget_charge(&chain[4], 30, &limit));
        assert_false(budget_charge(&chain[4], 21, &limit));
        assert_int_equal(limit.scope, LIMIT_SCOPE_NODE + tight);
        assert_int_equal(limit.name, 10 + tight);
        assert_int_equal(limit.side, LIMIT_SIDE_LOCAL);
        assert_int_equal(limit.used, 30);
        assert_int_equal(limit.max, 50);
        assert_int_equal(limit.since_us, 0);
        assert_ptr_equal(limit.owner, owners[tight]);
        for (i = 0; i < SCOPES; i++) {
            assert_int_equal(chain[i].used, 30);
            assert_int_equal(chain[i].peak, 30);
            assert_int_equal(chain[i].refusals, i == tight ? 1 : 0);
        }
        assert_true(budget_charge(&chain[4], 20, NULL));
        assert_false(budget_charge(&chain[4], 1, NULL));
        assert_int_equal(chain[tight].refusals, 2);
        budget_refund(&chain[4], 50);
        chain_end(chain);
    }
}

static void test_granted_charge_leaves_the_record_alone(void **state)
{
    struct limit_record limit, before;
    struct budget root;

    (void)state;
    memset(&limit, 0x5a, sizeof limit);
    before = limit;
    budget_init(&root, NULL, LIMIT_SCOPE_NODE, 1, 10, NULL);
    assert_true(budget_charge(&root, 10, &limit));
    assert_memory_equal(&limit, &before, sizeof limit);
    budget_refund(&root, 10);
    budget_end(&root);
}

static void test_siblings_share_what_the_parent_has(void **state)
{
    struct budget parent, a, b;
    struct limit_record limit;

    (void)state;
    budget_init(&parent, NULL, LIMIT_SCOPE_CONNECTION, 1, 100, "parent");
    budget_init(&a, &parent, LIMIT_SCOPE_STREAM, 2, 80, "a");
    budget_init(&b, &parent, LIMIT_SCOPE_STREAM, 2, 80, "b");
    assert_int_equal(parent.children, 2);
    assert_true(budget_charge(&a, 80, NULL));
    assert_int_equal(budget_room(&a), 0);
    assert_int_equal(budget_room(&b), 20);
    assert_false(budget_charge(&b, 21, &limit));
    assert_string_equal((const char *)limit.owner, "parent");
    assert_int_equal(limit.used, 80);
    assert_true(budget_charge(&b, 20, NULL));
    budget_refund(&a, 80);
    assert_int_equal(budget_room(&b), 60);
    budget_refund(&b, 20);
    budget_end(&a);
    assert_int_equal(parent.children, 1);
    budget_end(&b);
    budget_end(&parent);
}

static void test_unlimited_budget_does_not_wrap(void **state)
{
    struct budget root;

    (void)state;
    budget_init(&root, NULL, LIMIT_SCOPE_NODE, 0, UINT64_MAX, NULL);
    assert_true(budget_charge(&root, UINT64_MAX - 1, NULL));
    assert_false(budget_charge(&root, 2, NULL));
    assert_int_equal(root.used, UINT64_MAX - 1);
    assert_true(budget_charge(&root, 1, NULL));
    assert_int_equal(budget_room(&root), 0);
    budget_refund(&root, UINT64_MAX);
    budget_end(&root);
}

static void test_lowered_limit_refuses_until_enough_is_refunded(void **state)
{
    struct budget root;

    (void)state;
    budget_init(&root, NULL, LIMIT_SCOPE_NODE, 0, 100, NULL);
    assert_true(budget_charge(&root, 90, NULL));
    root.max = 50;
    assert_int_equal(budget_room(&root), 0);
    assert_false(budget_charge(&root, 1, NULL));
    assert_true(budget_charge(&root, 0, NULL));
    budget_refund(&root, 41);
    assert_int_equal(budget_room(&root), 1);
    assert_true(budget_charge(&root, 1, NULL));
    budget_refund(&root, 50);
    budget_end(&root);
}

static void test_no_budget_is_no_limit(void **state)
{
    (void)state;
    assert_true(budget_charge(NULL, UINT64_MAX, NULL));
    assert_true(budget_room(NULL) == UINT64_MAX);
    budget_refund(NULL, UINT64_MAX);
}

static void end_while_charged(void)
{
    struct budget root;

    budget_init(&root, NULL, LIMIT_SCOPE_NODE, 0, 100, NULL);
    (void)budget_charge(&root, 1, NULL);
    budget_end(&root);
}

static void end_before_a_child(void)
{
    struct budget root, child;

    budget_init(&root, NULL, LIMIT_SCOPE_NODE, 0, 100, NULL);
    budget_init(&child, &root, LIMIT_SCOPE_PEER, 0, 100, NULL);
    budget_end(&root);
}

static void refund_more_than_charged(void)
{
    struct budget root;

    budget_init(&root, NULL, LIMIT_SCOPE_NODE, 0, 100, NULL);
    (void)budget_charge(&root, 1, NULL);
    budget_refund(&root, 2);
}

static void test_wrong_book_keeping_is_our_bug(void **state)
{
    (void)state;
    assert_true(dies(end_while_charged));
    assert_true(dies(end_before_a_child));
    assert_true(dies(refund_more_than_charged));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_charge_reaches_every_ancestor_and_refund_undoes_it),
        cmocka_unit_test(test_refusal_names_the_scope_and_changes_nothing),
        cmocka_unit_test(test_granted_charge_leaves_the_record_alone),
        cmocka_unit_test(test_siblings_share_what_the_parent_has),
        cmocka_unit_test(test_unlimited_budget_does_not_wrap),
        cmocka_unit_test(test_lowered_limit_refuses_until_enough_is_refunded),
        cmocka_unit_test(test_no_budget_is_no_limit),
        cmocka_unit_test(test_wrong_book_keeping_is_our_bug),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
