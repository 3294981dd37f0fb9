/* SPDX-License-Identifier: MIT */
/* Goal: connections are found whether there are few or many, what a peer says of itself is kept
 * where it differs, and neither outlives its connections. Method: two transports, with the
 * allocator failing at every place in turn. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "loop_pair.h"

enum { MANY = 40 };
static struct pair pair;

static int set_up(void **state)
{
    (void)state;
    pair_init(&pair);
    pair_open(&pair);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pair_close(&pair);
    return 0;
}

static const struct loop *loop_of(const struct side *s)
{
    return (const struct loop *)(const void *)s->t;
}

static void test_few_connections_have_no_table_and_many_are_all_found(void **state)
{
    struct transport_conn *c[MANY];
    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        c[i] = pair_dial(&pair, NULL);
        pair_settle(&pair);
        assert_int_equal(pair.a.up, i + 1);
        assert_int_equal(pair.b.up, i + 1);
        assert_int_equal(loop_of(&pair.b)->count, i + 1);
        assert_int_equal(loop_of(&pair.b)->table != NULL, i >= 8);
        assert_int_equal(c[i]->state, CONN_UP);
    }
    for (unsigned i = 0; i < MANY; i++) {
        const struct loop_conn *one = (const void *)c[i];
        assert_ptr_equal(loop_table_find(loop_of(&pair.a), one->remote, one->number), one);
        assert_null(loop_table_find(loop_of(&pair.a), one->remote + 1, one->number));
    }
    assert_null(loop_table_find(loop_of(&pair.a), endpoint_memory_number(&pair.b.at), MANY + 1));
    /* A word on each arrives on that one: the numbers lead to it. */
    for (unsigned i = 0; i < MANY; i++) loop_transport.conn_close(c[i], i, NULL, 0, pair.now_us);
    pair_settle(&pair);
    assert_int_equal(pair.b.ended, MANY);
    assert_int_equal(pair.b.metrics.value[METRIC_DROPPED_UNKNOWN], 0);
    assert_int_equal(loop_of(&pair.a)->count, 0);
    assert_int_equal(loop_of(&pair.b)->count, 0);
}

static void test_an_ended_connection_that_waits_for_node_is_not_found(void **state)
{
    (void)state;
    pair.a.free_ended = false;
    struct transport_conn *c = pair_dial(&pair, NULL);
    pair_settle(&pair);
    const struct loop_conn *one = (const void *)c;
    assert_non_null(loop_table_find(loop_of(&pair.a), one->remote, one->number));
    loop_transport.conn_close(pair.b.conn, 5, NULL, 0, pair.now_us);
    pair_settle(&pair);
    assert_int_equal(pair.a.ended, 1);
    assert_null(loop_table_find(loop_of(&pair.a), one->remote, one->number));
    loop_transport.conn_free(c);
}

static void test_what_peers_say_is_kept_for_each_and_until_its_end(void **state)
{
    enum { DIALS = 12 };
    struct transport_conn *c[DIALS];
    char names[DIALS][8];
    (void)state;
    for (unsigned i = 0; i < DIALS; i++) {
        memcpy(names[i], "net-a", 6);
        names[i][4] = (char)('a' + i);
        pair.b.env.network = i == 0 ? "" : names[i];
        c[i] = pair_dial(&pair, NULL);
        pair_settle(&pair);
    }
    assert_string_equal(loop_transport.conn_network(c[0]), "");
    for (unsigned i = 1; i < DIALS; i++)
        assert_string_equal(loop_transport.conn_network(c[i]), names[i]);
    uint64_t before = pair.a.budget.used, kept = loop_of(&pair.a)->facts->count;
    assert_int_equal(kept, DIALS - 1);
    loop_transport.conn_close(c[3], 0, NULL, 0, pair.now_us);
    pair_settle(&pair);
    assert_int_equal(loop_of(&pair.a)->facts->count, DIALS - 2);
    assert_true(before - pair.a.budget.used > sizeof(struct loop_conn) + sizeof(struct loop_facts));
    assert_string_equal(loop_transport.conn_network(c[4]), names[4]);
}

static void test_an_ended_connection_still_tells_its_network(void **state)
{
    (void)state;
    pair.a.free_ended = false;
    pair.b.env.network = "blue";
    struct transport_conn *c = pair_dial(&pair, NULL);
    pair_settle(&pair);
    loop_transport.conn_close(pair.b.conn, 5, NULL, 0, pair.now_us);
    pair_settle(&pair);
    assert_int_equal(c->state, CONN_OVER);
    assert_string_equal(loop_transport.conn_network(c), "blue");
    assert_memory_equal(loop_transport.conn_peer_key(c), peer_id_key(&pair.b.key.id), 32);
    loop_transport.conn_free(c);
    assert_int_equal(loop_of(&pair.a)->facts->count, 0);
}

static void test_any_allocation_may_fail_while_the_table_is_built(void **state)
{
    unsigned failures = 0;
    bool failed = true;
    (void)state;
    for (uint64_t n = 1; failed; n++) {
        pair_close(&pair);
        pair_init(&pair);
        pair_open(&pair);
        pair.b.env.network = "another";
        pair.b.counter.fail_at = n;
        for (unsigned i = 0; i < 16; i++) {
            pair_dial(&pair, NULL);
            pair_settle(&pair);
        }
        failed = pair.b.counter.fail_at == 0;
        pair.b.counter.fail_at = 0;
        failures += failed ? 1u : 0u;
        assert_true(pair.a.up + pair.a.ended >= 16);
        assert_true(pair.b.up >= 15);
        assert_true(n < 1000);
    }
    assert_true(failures > 2 * 16); /* a record and facts each, and both tables */
}

static void test_nobody_has_an_id_without_a_key(void **state)
{
    static const char hashed[] = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";
    struct transport_dial dial = {.remote = pair.b.at};
    struct transport_conn *c;
    (void)state;
    dial.remote = pair.b.at;
    assert_int_equal(peer_id_parse(&dial.expected, hashed, sizeof hashed - 1), 0);
    assert_int_equal(loop_transport.dial(pair.a.t, &dial, pair.now_us, &c), WEIR_E_IDENTITY);
    assert_null(c);
    assert_int_equal(pair.a.budget.used, 0);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_few_connections_have_no_table_and_many_are_all_found),
        CASE(test_an_ended_connection_that_waits_for_node_is_not_found),
        CASE(test_what_peers_say_is_kept_for_each_and_until_its_end),
        CASE(test_an_ended_connection_still_tells_its_network),
        CASE(test_any_allocation_may_fail_while_the_table_is_built),
        CASE(test_nobody_has_an_id_without_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
