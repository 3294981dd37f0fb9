/* SPDX-License-Identifier: MIT */
/* Goal: connections change their keys in the midst of everything (RFC 9001 section 6), with either
 * suite, and both sides agree on the suite. Method: pairs with tiny limits (key_phase.h) on wires
 * that lose, reorder and hold back. The rules themselves are in key_phase_test.c. */
#include "crypto/aead.h"
#include "moves.h"

enum { MIB = 1 << 20 };

static struct key_phase_limits tiny(uint64_t packets)
{
    return (struct key_phase_limits){.update_packets = packets,
                                     .packets_max = UINT64_C(1) << 23,
                                     .open_failures_max = UINT64_C(1) << 36,
                                     .update_us = UINT64_C(3600000000)};
}

static void limit(struct pair *p, int i, const struct key_phase_limits *limits)
{
    reseal_side(p, i)->keys.limits = limits;
}

/* Whether this processor has suite 02; prints why not. */
static bool has_aes(void)
{
    assert_int_equal(secret_init(), 0); /* which looks at the processor */
    if (aead_is_available(AEAD_AES_256_GCM)) return true;
    print_message("skipped for suite 02: this processor has no AES of its own\n");
    return false;
}

static struct pair *pair_of(struct moves *m, bool first, bool second)
{
    struct pair *p = pair_new(NULL, NULL);
    memset(m, 0, sizeof *m);
    m->p = p;
    p->side[0].env.suites = first ? 1u << AEAD_AES_256_GCM : 0;
    p->side[1].env.suites = second ? 1u << AEAD_AES_256_GCM : 0;
    pair_connect(p);
    pair_run(p, 2000000);
    assert_true(reseal_side(p, 0)->confirmed && reseal_side(p, 1)->confirmed);
    p->filter = moves_filter;
    p->context = m;
    return p;
}

static void test_the_suite_is_02_when_both_offer_it_and_01_otherwise(void **state)
{
    (void)state;
    if (!has_aes()) return;
    for (unsigned offers = 0; offers < 4; offers++) {
        struct moves m;
        struct flow f;
        struct pair *p = pair_of(&m, (offers & 1) != 0, (offers & 2) != 0);
        unsigned suite = offers == 3 ? AEAD_AES_256_GCM : AEAD_CHACHA20_POLY1305;
        for (int i = 0; i < 2; i++) {
            struct conn_info info;
            connection_info(p->side[i].conn, &info);
            assert_int_equal(info.suite, suite);
            assert_int_equal(reseal_side(p, i)->keys.read.suite, suite);
            assert_ptr_equal(reseal_side(p, i)->keys.limits, key_phase_limits_of(suite));
        }
        flow_open(p, &f, 0, MIB);
        (void)flow_run(p, &f, 1, 10000000);
        flow_expect_whole(&f);
        pair_free(p);
    }
}

static bool withdraw(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    (void)n;
    (void)bytes;
    (void)len;
    if (from == 1) p->side[1].env.suites = 0;
    return true;
}

static void test_a_client_that_picks_what_is_not_offered_fails(void **state)
{
    (void)state;
    if (!has_aes()) return;
    struct pair *p = pair_new(NULL, NULL);
    p->side[0].env.suites = p->side[1].env.suites = 1u << AEAD_AES_256_GCM;
    p->filter = withdraw; /* the offer has left, and is none any more */
    (void)pair_dial(p);
    pair_run(p, 40000000);
    assert_false(p->side[1].up);
    assert_true(p->side[0].ended);
    assert_int_equal(p->side[0].end_error, WEIR_E_HANDSHAKE);
    pair_free(p);
}

static void test_both_update_again_and_again_under_loss_and_disorder(void **state)
{
    (void)state;
    for (int aes = 0; aes < 2; aes++) {
        if (aes && !has_aes()) continue;
        for (int who = 1; who < 4; who++) {
            struct moves m;
            struct flow f[2];
            struct key_phase_limits limits = tiny(40);
            struct pair *p = pair_of(&m, aes, aes);
            m.percent = 10;
            m.reorder_us = 20000;
            for (int i = 0; i < 2; i++) {
                if ((who >> i & 1) != 0) limit(p, i, &limits);
                flow_open(p, &f[i], i, MIB);
            }
            (void)flow_run(p, f, 2, 300000000);
            for (int i = 0; i < 2; i++) flow_expect_whole(&f[i]);
            for (int i = 0; i < 2; i++) {
                const struct connection *c = reseal_side(p, i);
                assert_true(c->key_updates > 5);
                assert_int_equal(moves_metric(p, i, METRIC_DROPPED_UNDECRYPTABLE), 0);
                assert_int_equal(moves_metric(p, i, METRIC_KEY_UPDATES_LOCAL) +
                                     moves_metric(p, i, METRIC_KEY_UPDATES_REMOTE),
                                 c->key_updates);
                if ((who >> i & 1) == 0)
                    assert_int_equal(moves_metric(p, i, METRIC_KEY_UPDATES_LOCAL), 0);
            }
            pair_run(p, 5000000);
            assert_int_equal(reseal_side(p, 0)->keys.updates, reseal_side(p, 1)->keys.updates);
            pair_free(p);
        }
    }
}

static void test_updates_at_the_same_moment_are_one_update(void **state)
{
    (void)state;
    struct moves m;
    struct flow f[2];
    struct key_phase_limits once = tiny(1), never = tiny(UINT64_MAX);
    struct pair *p = pair_of(&m, false, false);
    for (int i = 0; i < 2; i++) {
        limit(p, i, &once);
        flow_open(p, &f[i], i, 100000);
        flow_write(p, &f[i]);
    }
    pair_turn(p); /* both send, and have updated before they hear of the other */
    for (int i = 0; i < 2; i++) {
        limit(p, i, &never);
        assert_int_equal(reseal_side(p, i)->key_updates, 1);
        assert_int_equal(moves_metric(p, i, METRIC_KEY_UPDATES_LOCAL), 1);
    }
    (void)flow_run(p, f, 2, 10000000);
    for (int i = 0; i < 2; i++) {
        flow_expect_whole(&f[i]);
        assert_int_equal(reseal_side(p, i)->key_updates, 1);
        assert_int_equal(moves_metric(p, i, METRIC_DROPPED_UNDECRYPTABLE), 0);
    }
    pair_free(p);
}

static uint64_t late_us;

static bool hold_one(struct moves *m, int from, uint8_t *bytes, size_t len)
{
    (void)bytes;
    (void)len;
    if (from == 0 && late_us != 0) {
        m->p->extra_us = late_us;
        late_us = 0;
    }
    return true;
}

static void test_packets_of_the_old_phase_open_while_their_keys_are_kept(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct moves m;
        struct flow f;
        struct key_phase_limits once = tiny(1), never = tiny(UINT64_MAX);
        struct pair *p = pair_of(&m, false, false);
        struct connection *c = reseal_side(p, 0);
        uint64_t pto_us = rtt_pto_us(&c->rtt, c->loss.max_ack_delay_us);
        m.more = hold_one;
        late_us = late ? 20 * pto_us : 2 * pto_us;
        moves_ping(p, 0);
        limit(p, 0, &once);
        flow_open(p, &f, 0, 50000);
        (void)flow_run(p, &f, 1, 1000);
        limit(p, 0, &never);
        (void)flow_run(p, &f, 1, 10000000);
        flow_expect_whole(&f);
        pair_run(p, 30 * pto_us);
        assert_int_equal(c->key_updates, 1);
        assert_int_equal(moves_metric(p, 1, METRIC_DROPPED_UNDECRYPTABLE), late);
        assert_int_equal(reseal_side(p, 1)->phase, QUIC_UP);
        pair_free(p);
    }
}

static void test_nobody_updates_before_the_handshake_is_confirmed(void **state)
{
    (void)state;
    struct key_phase_limits once = tiny(1);
    struct pair *p = pair_new(NULL, NULL);
    struct flow f;
    bool saw = false;
    uint64_t until = p->now_us + 10000000;
    (void)pair_dial(p);
    while (p->now_us < until && pair_step(p, until)) {
        for (int i = 0; i < 2; i++) {
            struct connection *c =
                list_first(&endpoint_of(p->side[i].transport)->all, struct connection, all_link);
            if (c == NULL || !c->has_write) continue;
            c->keys.limits = &once;
            if (!c->confirmed) {
                saw = true;
                assert_int_equal(c->key_updates, 0);
            }
        }
        if (p->side[0].up && p->side[1].up) break;
    }
    assert_true(saw && p->side[0].up && p->side[1].up);
    flow_open(p, &f, 0, 3 * MIB);
    (void)flow_run(p, &f, 1, 20000000);
    flow_expect_whole(&f);
    assert_true(reseal_side(p, 0)->key_updates > 0);
    pair_free(p);
}

static void test_a_key_that_is_used_up_and_cannot_be_updated_ends_the_connection(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++) {
        struct moves m;
        struct flow f;
        struct key_phase_limits spent = tiny(UINT64_MAX);
        spent.packets_max = 300;
        struct pair *p = pair_of(&m, false, false);
        limit(p, side, &spent);
        flow_open(p, &f, side, 3 * MIB);
        (void)flow_run(p, &f, 1, 3000000);
        assert_int_equal(reseal_side(p, side)->close_code, QUIC_AEAD_LIMIT_REACHED);
        /* Not many more than allowed were sealed, and the peer hears why. */
        assert_true(reseal_side(p, side)->keys.sealed <= 300 + QUIC_BURST_SEGMENTS_MAX);
        assert_true(p->side[1 - side].ended);
        assert_int_equal(p->side[1 - side].end_reason, REASON_TRANSPORT(QUIC_AEAD_LIMIT_REACHED));
        pair_free(p);
    }
}

static void test_keys_grow_old_without_packets(void **state)
{
    (void)state;
    struct moves m;
    struct key_phase_limits aged = tiny(UINT64_MAX);
    struct pair *p = pair_of(&m, false, false);
    aged.update_us = 10000000;
    limit(p, 0, &aged);
    for (int i = 0; i < 2; i++) quic_transport.conn_hold(p->side[i].conn, true, p->now_us);
    pair_run(p, 120000000);
    assert_in_range(reseal_side(p, 0)->key_updates, 3, 12);
    assert_int_equal(reseal_side(p, 1)->key_updates, reseal_side(p, 0)->key_updates);
    /* Nothing is kept of the old keys while the connection rests. */
    pair_run(p, 5000000);
    for (int i = 0; i < 2; i++) assert_false(reseal_side(p, i)->keys.has_previous);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_suite_is_02_when_both_offer_it_and_01_otherwise),
        cmocka_unit_test(test_a_client_that_picks_what_is_not_offered_fails),
        cmocka_unit_test(test_both_update_again_and_again_under_loss_and_disorder),
        cmocka_unit_test(test_updates_at_the_same_moment_are_one_update),
        cmocka_unit_test(test_packets_of_the_old_phase_open_while_their_keys_are_kept),
        cmocka_unit_test(test_nobody_updates_before_the_handshake_is_confirmed),
        cmocka_unit_test(test_a_key_that_is_used_up_and_cannot_be_updated_ends_the_connection),
        cmocka_unit_test(test_keys_grow_old_without_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
