/* SPDX-License-Identifier: MIT */
/* Goal: a node that lost its state can end its old connections, nobody else can, and the answers
 * do no harm (RFC 9000 10.3). Method: pair.h; one side restarts with the same key; resets are
 * forged, resized, sent back and forth. */
#include "forge.h"

static uint64_t metric(struct pair *p, int i, enum metric m)
{
    return p->side[i].metrics.value[m];
}

static struct pair *connected(void)
{
    struct pair *p = pair_new(NULL, NULL);
    pair_connect(p);
    pair_run(p, 2000000);
    assert_true(connection_of(p->side[0].conn)->confirmed);
    return p;
}

static void say(struct pair *p, int i)
{
    int error;
    struct stream *s = streams_open_local(p->side[i].conn, false, 3, &error);
    assert_non_null(s);
    assert_int_equal(
        stream_write(s, "are you there, after all this time?", 35, false, true, p->now_us), 35);
    pair_turn(p);
}

static void test_a_restarted_listener_ends_its_old_connections(void **state)
{
    (void)state;
    struct pair *p = connected();
    pair_restart(p, 1);
    say(p, 0);
    uint64_t start = p->now_us;
    pair_run(p, 2 * p->delay_us + 1);
    assert_true(p->side[0].ended);
    assert_true(p->now_us - start < 30000);
    assert_int_equal(p->side[0].end_by, CONN_END_RESET);
    assert_int_equal(p->side[0].end_reason, WEIR_REASON_STATELESS_RESET);
    assert_int_equal(p->side[0].end_error, WEIR_E_PEER_CLOSED);
    assert_int_equal(metric(p, 0, METRIC_STATELESS_RESET_RECEIVED), 1);
    assert_int_equal(metric(p, 1, METRIC_STATELESS_RESET_SENT), 1);
    uint64_t sent = p->side[0].datagrams;
    pair_run(p, 60000000);
    assert_int_equal(p->side[0].datagrams, sent); /* and not a word more */
    pair_free(p);
}

static void test_a_listener_with_another_key_cannot(void **state)
{
    (void)state;
    struct pair *p = connected();
    quic_transport.close(p->side[1].transport);
    p->side[1].conn = NULL;
    uint8_t seed[32] = {9};
    key_pair_from_seed(&p->side[1].key, seed);
    pair_open_transport(p, 1);
    say(p, 0);
    pair_run(p, 20000000);
    assert_true(metric(p, 1, METRIC_STATELESS_RESET_SENT) >= 1);
    assert_false(p->side[0].ended);
    pair_run(p, 20000000);
    assert_int_equal(p->side[0].end_reason, WEIR_REASON_IDLE);
    pair_free(p);
}

/* A reset as the server would make it for the client's connection. */
static size_t make_reset(struct pair *p, size_t len, uint8_t *out)
{
    const struct connection *client = connection_of(p->side[0].conn);
    rng_fill(&p->rng, out, len);
    out[0] = (uint8_t)(0x40 | (out[0] & 0x3f));
    memcpy(out + len - TOKEN_RESET_LEN, client->reset_token, TOKEN_RESET_LEN);
    return len;
}

static void test_only_the_exact_token_from_the_peers_address_resets(void **state)
{
    (void)state;
    struct pair *p = connected();
    uint8_t out[100];
    struct endpoint other = p->side[1].address;
    other.port++;
    for (size_t byte = 0; byte < TOKEN_RESET_LEN; byte++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            size_t len = make_reset(p, 45, out);
            out[len - 1 - byte] ^= (uint8_t)(1u << bit);
            pair_inject(p, 0, &p->side[1].address, out, len);
        }
    }
    size_t len = make_reset(p, 45, out);
    pair_inject(p, 0, &other, out, len);
    pair_inject(p, 0, &p->side[1].address, out, 20); /* too short */
    pair_inject(p, 0, &p->side[1].address, out + len - 20, 20);
    out[0] |= 0x80; /* looks like a long header */
    pair_inject(p, 0, &p->side[1].address, out, len);
    assert_false(p->side[0].ended);
    say(p, 0);
    pair_run(p, 1000000);
    assert_false(p->side[0].ended);
    pair_inject(p, 0, &p->side[1].address, out, make_reset(p, 21, out));
    assert_true(p->side[0].ended);
    assert_int_equal(p->side[0].end_by, CONN_END_RESET);
    pair_free(p);
}

static void test_a_reset_that_begins_with_our_own_id_is_seen_too(void **state)
{
    (void)state;
    struct pair *p = connected();
    uint8_t out[100];
    size_t len = make_reset(p, 60, out);
    memcpy(out + 1, connection_of(p->side[0].conn)->local_cid.bytes, CID_LOCAL_LEN);
    uint8_t again[100];
    memcpy(again, out, len);
    struct endpoint elsewhere = endpoint_ip4(203, 0, 113, 9, 4000);
    pair_inject(p, 0, &elsewhere, again, len);
    assert_false(p->side[0].ended); /* the right token from the wrong place */
    pair_inject(p, 0, &p->side[1].address, out, len);
    assert_true(p->side[0].ended);
    assert_int_equal(p->side[0].end_by, CONN_END_RESET);
    pair_free(p);
}

static void test_a_reset_is_smaller_than_what_caused_it(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    for (size_t len = 1; len <= 1400; len++) {
        uint8_t out[1500];
        rng_fill(&p->rng, out, len);
        out[0] = (uint8_t)(0x40 | (out[0] & 0x3f));
        p->now_us += 10000;
        uint64_t count = p->side[1].datagrams, bytes = p->side[1].bytes;
        pair_inject(p, 1, &p->side[0].address, out, len);
        pair_send(p, 1);
        count = p->side[1].datagrams - count;
        bytes = p->side[1].bytes - bytes;
        assert_int_equal(count, len > 29 ? 1 : 0);
        if (count == 0) continue;
        assert_true(bytes < len && bytes >= 21 && bytes <= 50);
        pair_lose(p);
    }
    /* A long header is never answered so. */
    uint8_t out[100];
    memset(out, 0xee, sizeof out);
    memcpy(out + 1, "weir", 4);
    out[5] = 8;
    uint64_t before = p->side[1].datagrams;
    pair_inject(p, 1, &p->side[0].address, out, sizeof out);
    pair_send(p, 1);
    assert_int_equal(p->side[1].datagrams, before);
    pair_free(p);
}

static void test_two_nodes_without_state_do_not_play_ball(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    uint8_t out[1400];
    rng_fill(&p->rng, out, sizeof out);
    out[0] = 0x40;
    pair_inject(p, 0, &p->side[1].address, out, sizeof out);
    pair_run(p, 10000000);
    assert_in_range(p->side[0].datagrams + p->side[1].datagrams, 1, 40);
    assert_int_equal(p->flight_count, 0);
    pair_free(p);
}

static void test_resets_are_limited_in_rate(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    uint8_t out[100];
    rng_fill(&p->rng, out, sizeof out);
    out[0] = 0x40;
    for (int i = 0; i < 3000; i++) {
        pair_inject(p, 1, &p->side[0].address, out, sizeof out);
        pair_send(p, 1);
        pair_lose(p);
    }
    assert_int_equal(p->side[1].datagrams, ENDPOINT_STATELESS_PER_S);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_restarted_listener_ends_its_old_connections),
        cmocka_unit_test(test_a_listener_with_another_key_cannot),
        cmocka_unit_test(test_only_the_exact_token_from_the_peers_address_resets),
        cmocka_unit_test(test_a_reset_that_begins_with_our_own_id_is_seen_too),
        cmocka_unit_test(test_a_reset_is_smaller_than_what_caused_it),
        cmocka_unit_test(test_two_nodes_without_state_do_not_play_ball),
        cmocka_unit_test(test_resets_are_limited_in_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
