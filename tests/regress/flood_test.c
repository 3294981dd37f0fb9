/* SPDX-License-Identifier: MIT */
/* Goal: strangers cost a node a fixed amount of memory and a bounded number of key agreements, and
 * what it answers without state can be aimed at nobody. Method: first datagrams by the thousand
 * (forge.h), slow handshakes, and packets that provoke stateless resets. */
#include "attack.h"
#include "unit/quic/forge.h"

static struct endpoint_state *server(struct pair *p)
{
    return endpoint_of(p->side[1].transport);
}

static bool drop_answers(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    (void)p;
    (void)n;
    (void)bytes;
    (void)len;
    return from == 0;
}

static struct endpoint host(unsigned i)
{
    return endpoint_ip4(198, 18, (uint8_t)(i >> 8), (uint8_t)i, (uint16_t)(1024 + (i >> 16)));
}

/* Handshake floods: all of them. The key agreement is what costs; it is done only for the first
 * half_open_retry strangers, all others must come back with a token. */
static void test_first_messages_from_everywhere_cost_64_key_agreements(void **state)
{
    enum { STRANGERS = 10000 };
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    p->filter = drop_answers;
    uint64_t live = p->counter.live_bytes;
    uint8_t out[1500];
    for (unsigned i = 0; i < STRANGERS; i++) {
        struct endpoint from = host(i);
        size_t len = forge_hello(p, out, sizeof out);
        pair_inject(p, 1, &from, out, len);
        pair_send(p, 1);
    }
    const uint64_t *m = p->side[1].metrics.value, *limit = p->side[1].limits.value;
    assert_int_equal(server(p)->half_open, limit[LIMIT_HALF_OPEN_RETRY]);
    assert_int_equal(m[METRIC_HANDSHAKES_STARTED_ACCEPT], limit[LIMIT_HALF_OPEN_RETRY]);
    assert_int_equal(m[METRIC_RETRY_SENT] + m[METRIC_STATELESS_SUPPRESSED],
                     STRANGERS - limit[LIMIT_HALF_OPEN_RETRY]);
    uint64_t held = p->counter.peak_bytes - live;
    if (held >= limit[LIMIT_HALF_OPEN_RETRY] * 20480)
        fail_msg("%llu bytes are held for strangers", (unsigned long long)held);
    assert_true(p->side[1].bytes < STRANGERS * UINT64_C(1200));
    /* All are gone when their time is over, and with them what they held. */
    pair_run(p, 40000000);
    assert_int_equal(server(p)->half_open, 0);
    assert_int_equal(server(p)->connections, 0);
    assert_true(p->counter.live_bytes - live < 32768);
    pair_free(p);
}

/* Who has a token is real, and may hold so many places and no more. */
static void test_one_real_host_holds_its_share_of_places(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    p->filter = drop_answers;
    uint8_t out[1500];
    for (unsigned i = 0; i < 1000; i++) {
        struct endpoint from = endpoint_ip4(192, 0, 2, 1, (uint16_t)(1024 + i));
        size_t len = forge_hello(p, out, sizeof out);
        pair_inject(p, 1, &from, out, len);
        pair_send(p, 1);
    }
    assert_true(server(p)->half_open <= p->side[1].limits.value[LIMIT_HALF_OPEN_PER_HOST]);
    assert_true(server(p)->hosts.count <= 1);
    pair_free(p);
}

/* Slowloris before authentication: a half-open connection that sends something now and then. */
static void test_a_handshake_that_only_keeps_talking_ends_all_the_same(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    p->filter = drop_answers;
    uint8_t out[1500], payload[64];
    struct cid dcid = forge_cid(p), scid = forge_cid(p);
    size_t len = forge_first_message(p, payload, sizeof payload);
    len = forge_client_initial(&dcid, &scid, NULL, 0, 0, payload, len, 1200, out, sizeof out);
    pair_inject(p, 1, &p->side[0].address, out, len);
    pair_send(p, 1);
    assert_int_equal(server(p)->half_open, 1);
    struct cid to = reseal_only(p, 1)->local_cid;
    uint64_t number = 1, began_us = p->now_us;
    while (server(p)->half_open > 0 && p->now_us - began_us < 600000000) {
        struct protect_keys read, write;
        uint8_t ping = FRAME_PING;
        pair_run(p, 5000000);
        conn_handshake_initial_keys(&dcid, true, &read, &write);
        len = forge_long(&write, PACKET_INITIAL, &to, &scid, NULL, 0, number++, &ping, 1, 1200, out,
                         sizeof out);
        pair_inject(p, 1, &p->side[0].address, out, len);
    }
    assert_true(p->now_us - began_us <= 100000000);
    pair_free(p);
}

/* RFC 9000 21.11: a reset for an id that is in use must not be had from the node itself. */
static void test_no_reset_is_made_for_an_id_in_use(void **state)
{
    (void)state;
    struct attack a = attack_new();
    struct connection *victim = attack_victim(&a);
    uint8_t out[1300];
    a.watched = endpoint_ip4(203, 0, 113, 5, 5);
    for (unsigned i = 0; i < 4000; i++) {
        const struct local_cid *l = &victim->local_cids[i % QUIC_LOCAL_CIDS_MAX];
        rng_fill(&a.p->rng, out, sizeof out);
        /* A long one of our version: another would be answered with Version Negotiation. */
        struct writer w = writer_of(out, 5);
        writer_u8(&w, i % 2 == 0 ? 0x40 : 0xe0);
        writer_u32(&w, PACKET_VERSION);
        if (i % 2 == 0) memcpy(out + 1, l->bytes, sizeof l->bytes);
        a.from = a.watched;
        attack_inject(&a, out, 30 + i % 1270);
        (void)attack_drain(&a);
    }
    assert_int_equal(attack_metric(&a, METRIC_STATELESS_RESET_SENT), 0);
    assert_int_equal(a.watched_bytes, 0);
    a.from = a.p->side[0].address;
    attack_expect_alive(&a);
    attack_end(&a);
}

/* RFC 9000 10.3.3: two nodes that know nothing of each other, and a spoofer that introduces them.
 */
static void test_resets_between_two_nodes_shrink_away(void **state)
{
    (void)state;
    for (unsigned len = 22; len <= 1400; len += 53) {
        struct pair *p = pair_new(NULL, NULL);
        uint8_t out[1400];
        rng_fill(&p->rng, out, sizeof out);
        out[0] = 0x40;
        pair_inject(p, 0, &p->side[1].address, out, len);
        pair_run(p, 10000000);
        assert_true(p->side[0].datagrams + p->side[1].datagrams <= 40);
        assert_true(p->side[0].bytes + p->side[1].bytes <= 40 * 50);
        assert_int_equal(p->flight_count, 0);
        pair_free(p);
    }
}

/* Tokens tried by the million: each costs a look-up, and says nothing. */
static void test_guessed_reset_tokens_end_nothing(void **state)
{
    enum { GUESSES = 20000 };
    (void)state;
    struct attack a = attack_new();
    struct connection *victim = attack_victim(&a);
    uint8_t out[60], token[16];
    memcpy(token, victim->reset_token, sizeof token);
    attack_begin(&a);
    for (unsigned i = 0; i < GUESSES; i++) {
        rng_fill(&a.p->rng, out, sizeof out);
        out[0] = 0x40;
        /* All but one bit right. */
        memcpy(out + sizeof out - 16, token, 16);
        out[sizeof out - 16 + i % 16] ^= (uint8_t)(1u << i / 16 % 8);
        attack_inject(&a, out, sizeof out);
        (void)attack_drain(&a);
    }
    assert_true(attack_is_up(&a));
    assert_int_equal(attack_metric(&a, METRIC_STATELESS_RESET_RECEIVED), 0);
    /* It is answered like any stranger's packet: by few, shorter than what came. */
    assert_true(attack_metric(&a, METRIC_STATELESS_RESET_SENT) <= ENDPOINT_STATELESS_PER_S);
    assert_true(a.bytes < a.given_bytes);
    attack_expect_peak(&a, 16384);
    attack_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_messages_from_everywhere_cost_64_key_agreements),
        cmocka_unit_test(test_one_real_host_holds_its_share_of_places),
        cmocka_unit_test(test_a_handshake_that_only_keeps_talking_ends_all_the_same),
        cmocka_unit_test(test_no_reset_is_made_for_an_id_in_use),
        cmocka_unit_test(test_resets_between_two_nodes_shrink_away),
        cmocka_unit_test(test_guessed_reset_tokens_end_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
