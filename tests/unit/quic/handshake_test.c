/* SPDX-License-Identifier: MIT */
/* Goal: a handshake completes whatever the network does to its datagrams, and never with
 * anything but what both sides said. Method: pair.h with filters that drop by chance and by
 * every pattern, hold back, double and damage datagrams; afterwards both sides must have the
 * same keys and each other's identity. */
#include "pair.h"
#include "quic/connection.h"

struct fault {
    uint64_t seen;          /* datagrams of both sides */
    uint32_t pattern, bits; /* dropped: bit n of the n-th datagram */
    unsigned run[2];        /* dropped in a row, per direction */
    unsigned run_max, percent;
    int from; /* damage: the nth datagram of this side ... */
    uint64_t nth;
    size_t at; /* ... at this byte */
    uint8_t change;
    size_t len; /* out: how long that datagram was */
};

static struct connection *side(struct pair *p, int i)
{
    return connection_of(p->side[i].conn);
}

static void assert_same_keys(struct pair *p)
{
    assert_true(pair_agrees(p));
    const struct connection *client = side(p, 0), *server = side(p, 1);
    assert_memory_equal(&client->keys.read, &server->keys.write, sizeof client->keys.read);
    assert_memory_equal(&client->keys.write, &server->keys.read, sizeof client->keys.read);
    assert_true(cid_equal(&client->local_cid, &server->remote_cid));
    assert_true(cid_equal(&server->local_cid, &client->remote_cid));
}

/* Dial and run until both are up. @return microseconds that it took */
static uint64_t shake(struct pair *p, uint64_t limit_us)
{
    uint64_t start = p->now_us, until = start + limit_us;
    (void)pair_dial(p);
    while (!(p->side[0].up && p->side[1].up) && !p->side[0].ended && pair_step(p, until)) {
    }
    if (!(p->side[0].up && p->side[1].up)) return UINT64_MAX;
    assert_same_keys(p);
    return p->now_us - start;
}

static struct pair *seeded(uint64_t seed, struct fault *fault)
{
    struct pair *p = pair_new(NULL, NULL);
    p->entropy_counter = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    rng_init(&p->rng, seed, "handshake", 0);
    p->context = fault;
    return p;
}

static bool drop_by_chance(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    struct fault *f = p->context;
    (void)n;
    (void)bytes;
    (void)len;
    bool drop = rng_below(&p->rng, 100) < f->percent && f->run[from] < f->run_max;
    f->run[from] = drop ? f->run[from] + 1 : 0;
    return !drop;
}

static void test_a_thousand_handshakes_complete_under_thirty_percent_loss(void **state)
{
    uint64_t slowest = 0;
    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        struct fault f = {.percent = 30, .run_max = 3};
        struct pair *p = seeded(i, &f);
        p->filter = drop_by_chance;
        uint64_t us = shake(p, 60000000);
        assert_int_not_equal(us, UINT64_MAX);
        if (us > slowest) slowest = us;
        pair_free(p);
    }
    assert_true(slowest < 30000000);
}

static void test_handshakes_complete_under_half_loss_with_eight_in_a_row(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 300; i++) {
        struct fault f = {.percent = 50, .run_max = 8};
        struct pair *p = seeded(i + 5000, &f);
        p->filter = drop_by_chance;
        assert_int_not_equal(shake(p, 60000000), UINT64_MAX);
        pair_free(p);
    }
}

static bool drop_by_pattern(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    struct fault *f = p->context;
    (void)from;
    (void)n;
    (void)bytes;
    (void)len;
    uint64_t i = f->seen++;
    return i >= f->bits || (f->pattern >> i & 1) == 0;
}

static void test_every_drop_pattern_of_the_first_ten_datagrams_completes(void **state)
{
    (void)state;
    for (uint32_t pattern = 0; pattern < 1u << 10; pattern++) {
        struct fault f = {.pattern = pattern, .bits = 10};
        struct pair *p = seeded(1, &f);
        p->filter = drop_by_pattern;
        if (shake(p, 60000000) == UINT64_MAX) fail_msg("pattern %03x does not complete", pattern);
        pair_run(p, 20000000);
        /* And both forget the handshake: HANDSHAKE_DONE comes through. */
        assert_true(side(p, 0)->confirmed && side(p, 1)->confirmed);
        assert_null(side(p, 0)->hs);
        pair_free(p);
    }
}

static bool hold_back(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    (void)from;
    (void)n;
    (void)bytes;
    (void)len;
    p->extra_us = rng_below(&p->rng, 6 * p->delay_us);
    return true;
}

static bool double_all(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    (void)n;
    for (unsigned i = 0; i < 2; i++)
        pair_post(p, 1 - from, &p->side[from].address, bytes, len,
                  p->now_us + p->delay_us + rng_below(&p->rng, 300000));
    return true;
}

static void test_reordered_handshakes_complete(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 100; i++) {
        struct pair *p = seeded(i, NULL);
        p->filter = hold_back;
        assert_true(shake(p, 10000000) < 2000000);
        pair_free(p);
    }
}

static void test_doubled_handshakes_come_up_once(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 100; i++) {
        struct pair *p = seeded(i, NULL);
        p->filter = double_all;
        assert_int_equal(shake(p, 10000000), 2 * p->delay_us + p->delay_us);
        p->filter = NULL;
        pair_run(p, 60000000);
        assert_int_equal(p->side[0].ups, 1);
        assert_int_equal(p->side[1].ups, 1);
        /* A late copy of message 1 may have opened a half-open connection; it is forgotten in
         * the end. */
        assert_int_equal(endpoint_of(p->side[1].transport)->half_open, 0);
        pair_free(p);
    }
}

static bool damage_one(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    struct fault *f = p->context;
    if (from == f->from && n == f->nth) {
        f->len = len;
        if (f->at < len) bytes[f->at] = (uint8_t)(bytes[f->at] ^ f->change);
    }
    return true;
}

/* @return length of the damaged datagram */
static size_t damaged(int from, uint64_t nth, size_t at, uint8_t change)
{
    struct fault f = {.from = from, .nth = nth, .at = at, .change = change};
    struct pair *p = seeded(7, &f);
    p->filter = damage_one;
    if (shake(p, 30000000) == UINT64_MAX)
        fail_msg("datagram %d of side %d, byte %zu changed by %02x: no handshake", (int)nth, from,
                 at, change);
    assert_int_equal(p->side[0].ups, 1);
    assert_int_equal(p->side[1].ups, 1);
    pair_free(p);
    return f.len;
}

static void test_every_changed_byte_is_refused_and_an_honest_retry_completes(void **state)
{
    static const struct {
        int from;
        uint64_t nth;
    } datagrams[] = {{0, 0}, {1, 0}, {0, 1}, {1, 1}};
    static const uint8_t changes[] = {0x01, 0x80, 0xff, 0x40, 0x10, 0x02, 0x20, 0x08, 0x04};
    (void)state;
    for (size_t d = 0; d < sizeof datagrams / sizeof datagrams[0]; d++) {
        size_t len = 1;
        for (size_t at = 0; at < len; at++) {
            /* Each kind of change in the header, one of them elsewhere. */
            size_t kinds = at < 48 ? sizeof changes : 1;
            for (size_t k = 0; k < kinds; k++)
                len = damaged(datagrams[d].from, datagrams[d].nth, at,
                              changes[(at + k) % sizeof changes]);
        }
        assert_true(len > 20);
    }
}

static bool damage_many(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    struct fault *f = p->context;
    (void)n;
    bool hit = rng_below(&p->rng, 2) == 0 && f->run[from] < f->run_max;
    f->run[from] = hit ? f->run[from] + 1 : 0;
    for (uint64_t i = hit ? 1 + rng_below(&p->rng, 8) : 0; i > 0; i--)
        bytes[rng_below(&p->rng, len)] ^= (uint8_t)(1 + rng_below(&p->rng, 255));
    return true;
}

static void test_handshakes_complete_while_half_of_the_datagrams_are_damaged(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 200; i++) {
        struct fault f = {.run_max = 6};
        struct pair *p = seeded(i + 100, &f);
        p->filter = damage_many;
        assert_int_not_equal(shake(p, 60000000), UINT64_MAX);
        pair_free(p);
    }
}

static void test_a_dial_into_the_void_ends_with_a_timeout(void **state)
{
    (void)state;
    struct fault f = {.percent = 100, .run_max = UINT32_MAX};
    struct pair *p = seeded(1, &f);
    p->filter = drop_by_chance;
    (void)pair_dial(p);
    pair_run(p, 31000000);
    assert_true(p->side[0].ended);
    assert_int_equal(p->side[0].end_error, WEIR_E_TIMEOUT);
    assert_int_equal(p->side[0].end_by, CONN_END_TIMEOUT);
    /* PTO 1 s, then 2, then 3 each: about ten attempts of 1200 bytes. */
    assert_in_range(p->side[0].datagrams, 8, 24);
    pair_free(p);
}

static void test_the_network_name_of_each_side_is_told_to_the_other(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    p->side[0].env.network = "alpha";
    p->side[1].env.network = "a name of another network";
    assert_int_not_equal(shake(p, 1000000), UINT64_MAX);
    assert_string_equal(quic_transport.conn_network(p->side[0].conn), "a name of another network");
    assert_string_equal(quic_transport.conn_network(p->side[1].conn), "alpha");
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_thousand_handshakes_complete_under_thirty_percent_loss),
        cmocka_unit_test(test_handshakes_complete_under_half_loss_with_eight_in_a_row),
        cmocka_unit_test(test_every_drop_pattern_of_the_first_ten_datagrams_completes),
        cmocka_unit_test(test_reordered_handshakes_complete),
        cmocka_unit_test(test_doubled_handshakes_come_up_once),
        cmocka_unit_test(test_every_changed_byte_is_refused_and_an_honest_retry_completes),
        cmocka_unit_test(test_handshakes_complete_while_half_of_the_datagrams_are_damaged),
        cmocka_unit_test(test_a_dial_into_the_void_ends_with_a_timeout),
        cmocka_unit_test(test_the_network_name_of_each_side_is_told_to_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
