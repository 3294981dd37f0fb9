/* SPDX-License-Identifier: MIT */
/* Goal: a connection finds what its path carries, and a path that carries less than it did stops
 * nothing (RFC 8899, RFC 9000 14). Method: wires that swallow datagrams above a size, and change
 * it in mid-transfer. The search itself is in pmtu_test.c. */
#include "moves.h"

enum { MIB = 1 << 20 };

static size_t carries;  /* what the wire lets pass */
static uint64_t probes; /* datagrams above what the connection sends that were seen */

static bool by_size(struct moves *m, int from, uint8_t *bytes, size_t len)
{
    struct pair *p = m->p;
    (void)bytes;
    if (len > reseal_side(p, from)->datagram_bytes) {
        /* A run is one call of the socket: a datagram in it that is too long would lose all. */
        assert_int_equal(p->out->len, len);
        assert_int_equal(p->out->ecn, 0);
        probes++;
    }
    return len <= carries;
}

static struct pair *sized(struct moves *m, size_t bytes)
{
    struct pair *p = moves_pair(m);
    m->more = by_size;
    carries = bytes;
    probes = 0;
    return p;
}

static void test_what_the_path_carries_is_found_within_a_step(void **state)
{
    (void)state;
    static const size_t sizes[] = {1200, 1201, 1219, 1220, 1232, 1252, 1280,
                                   1350, 1400, 1430, 1452, 1471, 1472, 9000};
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct moves m;
        struct flow f[2];
        struct pair *p = sized(&m, sizes[i]);
        for (int s = 0; s < 2; s++) flow_open(p, &f[s], s, 3 * MIB);
        (void)flow_run(p, f, 2, 120000000);
        for (int s = 0; s < 2; s++) flow_expect_whole(&f[s]);
        for (unsigned n = 0; n < 40; n++) { /* the search goes on with whatever is sent */
            for (int s = 0; s < 2; s++) flow_open(p, &f[s], s, 20000);
            (void)flow_run(p, f, 2, 1000000);
            pair_run(p, 50000);
        }
        assert_true(probes > 0);
        for (int s = 0; s < 2; s++) {
            const struct connection *c = reseal_side(p, s);
            size_t most = sizes[i] < 1472 ? sizes[i] : 1472;
            /* Sizes that differ by less than a step are not worth a probe. */
            assert_in_range(c->datagram_bytes, most - 20 < 1200 ? 1200 : most - 20, most);
            /* Probes that were lost are no congestion. */
            assert_int_equal(c->congestion.events, 0);
            assert_int_equal(moves_metric(p, s, METRIC_PMTU_BLACK_HOLES), 0);
            assert_true(moves_metric(p, s, METRIC_PMTU_PROBES_SENT) > 0);
        }
        pair_free(p);
    }
}

static void test_a_path_that_carries_less_in_mid_transfer_goes_on_at_1200(void **state)
{
    (void)state;
    static const size_t sizes[] = {1200, 1250, 1440};
    for (unsigned i = 0; i < 3; i++) {
        for (int both = 0; both < 2; both++) {
            struct moves m;
            struct flow f[2];
            struct pair *p = sized(&m, 1472);
            for (int s = 0; s <= both; s++) flow_open(p, &f[s], s, 30 * MIB);
            while (reseal_side(p, 0)->datagram_bytes < 1452 ||
                   (both && reseal_side(p, 1)->datagram_bytes < 1452))
                assert_true(flow_run(p, f, 1 + (size_t)both, 10000) > 0);
            carries = sizes[i];
            uint64_t start = p->now_us, us = flow_run(p, f, 1 + (size_t)both, 120000000);
            (void)start;
            for (int s = 0; s <= both; s++) {
                flow_expect_whole(&f[s]);
                assert_true(f[s].longest_gap_us < 5000000);
                assert_true(reseal_side(p, s)->datagram_bytes <= sizes[i]);
                assert_true(moves_metric(p, s, METRIC_PMTU_BLACK_HOLES) >= 1);
            }
            assert_true(us < 40000000);
            pair_free(p);
        }
    }
}

static void test_connections_with_little_to_say_send_no_probes(void **state)
{
    (void)state;
    struct moves m;
    struct flow f;
    struct pair *p = sized(&m, 9000);
    for (int i = 0; i < 2; i++) quic_transport.conn_hold(p->side[i].conn, true, p->now_us);
    pair_run(p, 300000000);
    flow_open(p, &f, 0, 20000);
    (void)flow_run(p, &f, 1, 10000000);
    flow_expect_whole(&f);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(moves_metric(p, i, METRIC_PMTU_PROBES_SENT), 0);
        assert_int_equal(reseal_side(p, i)->datagram_bytes, 1200);
    }
    pair_free(p);
}

static void test_a_configured_size_and_the_peers_limit_are_kept(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    struct flow f;
    p->side[0].env.datagram_bytes = 1300;
    pair_connect(p);
    flow_open(p, &f, 0, MIB);
    (void)flow_run(p, &f, 1, 60000000);
    flow_expect_whole(&f);
    assert_int_equal(reseal_side(p, 0)->datagram_bytes, 1300);
    assert_int_equal(p->side[0].largest, 1300);
    assert_int_equal(moves_metric(p, 0, METRIC_PMTU_PROBES_SENT), 0);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_path_carries_is_found_within_a_step),
        cmocka_unit_test(test_a_path_that_carries_less_in_mid_transfer_goes_on_at_1200),
        cmocka_unit_test(test_connections_with_little_to_say_send_no_probes),
        cmocka_unit_test(test_a_configured_size_and_the_peers_limit_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
