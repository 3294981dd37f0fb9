/* SPDX-License-Identifier: MIT */
/* Goal: key updates are neither a lever nor a way to shut a connection down from outside. Method: a
 * peer with the real secrets updates as fast as it can, and somebody without them flips phase bits;
 * what is derived, held and answered is counted. */
#include "attack.h"
#include "crypto/secret.h"

/* The attacker's write keys of the phase after this one. */
static void next_phase(struct attack *a, struct protect_keys *keys, uint8_t secret[32])
{
    protect_next_secret(secret, secret);
    struct protect_keys next;
    assert_int_equal(protect_keys_update(&next, keys, secret), 0);
    *keys = next;
    a->keys = keys;
    a->first_bits ^= KEY_PHASE_BIT;
}

static void ping(struct attack *a)
{
    uint8_t payload[4];
    struct writer w = writer_of(payload, sizeof payload);
    frame_write_ping(&w);
    attack_give(a, &w);
}

static void begin(struct attack *a, struct protect_keys *keys, uint8_t secret[32])
{
    const struct connection *c = reseal_only(a->p, a->by);
    *keys = c->keys.write;
    memcpy(secret, c->keys.write_secret, 32);
    a->look = false; /* the victim follows: the pair's own keys are behind */
}

/* RFC 9001 6.2 and 9.5. */
static void test_updates_come_at_most_with_every_answer(void **state)
{
    enum { UPDATES = 900 }; /* 27 s: who acknowledges nothing for 30 is over */
    (void)state;
    struct attack a = attack_new();
    struct protect_keys keys;
    uint8_t secret[32];
    begin(&a, &keys, secret);
    for (unsigned i = 0; i < UPDATES; i++) {
        next_phase(&a, &keys, secret);
        ping(&a);
        (void)attack_pass(&a, 30000); /* its ACK leaves */
    }
    assert_in_range(a.datagrams, UPDATES, UPDATES + UPDATES / 10);
    assert_true(attack_is_up(&a));
    assert_int_equal(attack_metric(&a, METRIC_KEY_UPDATES_REMOTE), UPDATES);
    assert_int_equal(attack_metric(&a, METRIC_KEY_UPDATES_LOCAL), 0);
    attack_expect_peak(&a, 262144); /* records: nothing was acknowledged */
    /* A second one without having waited. */
    next_phase(&a, &keys, secret);
    ping(&a);
    next_phase(&a, &keys, secret);
    ping(&a);
    attack_expect_closed(&a, QUIC_KEY_UPDATE);
    attack_end(&a);
}

static void test_flipped_phase_bits_open_nothing_and_change_nothing(void **state)
{
    enum { PACKETS = 20000 };
    (void)state;
    struct attack a = attack_new();
    a.look = false;
    uint64_t number = a.number, before = attack_metric(&a, METRIC_DROPPED_UNDECRYPTABLE);
    uint8_t updates = attack_victim(&a)->keys.updates;
    for (unsigned i = 0; i < PACKETS; i++) {
        /* The bit says next phase, the key is this one's: what a flip on the way amounts to. */
        a.first_bits = KEY_PHASE_BIT;
        ping(&a);
        (void)attack_drain(&a);
    }
    assert_int_equal(attack_metric(&a, METRIC_DROPPED_UNDECRYPTABLE) - before, PACKETS);
    assert_int_equal(attack_victim(&a)->keys.updates, updates);
    assert_int_equal(attack_victim(&a)->keys.open_failures, PACKETS);
    assert_int_equal(a.datagrams, 0);
    assert_int_equal(attack_calls(&a), 0);
    a.first_bits = 0;
    a.number = number;
    attack_expect_alive(&a);
    attack_end(&a);
}

/* Packets of the phase before, again and again, and late ones: opened while its keys are kept,
 * dropped afterwards, and never a step back. */
static void test_packets_of_an_old_phase_never_bring_it_back(void **state)
{
    (void)state;
    struct attack a = attack_new();
    struct protect_keys keys, old;
    uint8_t secret[32], late[100], replayed[100], copy[100], payload = FRAME_PING;
    begin(&a, &keys, secret);
    old = keys;
    a.keys = &old;
    size_t late_len = attack_seal(&a, &payload, 1, late, sizeof late);
    size_t replayed_len = attack_seal(&a, &payload, 1, replayed, sizeof replayed);
    memcpy(copy, replayed, replayed_len);
    attack_inject(&a, copy, replayed_len);
    next_phase(&a, &keys, secret);
    ping(&a);
    (void)attack_pass(&a, 30000);
    attack_begin(&a);
    for (unsigned i = 0; i < 1000; i++) {
        memcpy(copy, replayed, replayed_len);
        attack_inject(&a, copy, replayed_len);
        (void)attack_drain(&a);
    }
    assert_int_equal(a.datagrams, 0);
    assert_int_equal(attack_calls(&a), 0);
    memcpy(copy, late, late_len);
    attack_inject(&a, copy, late_len);
    assert_true(attack_is_up(&a));
    assert_true(ack_is_duplicate(&attack_victim(&a)->ack_app, a.number - 3));
    (void)attack_pass(&a, 5000000);
    assert_false(attack_victim(&a)->keys.has_previous);
    memcpy(copy, replayed, replayed_len);
    attack_inject(&a, copy, replayed_len);
    assert_int_equal(attack_victim(&a)->keys.updates, 1);
    assert_true(attack_is_up(&a));
    secret_zero(&old, sizeof old);
    attack_end(&a);
}

/* RFC 9001 6.4: old keys on a number above new ones. */
static void test_old_keys_after_new_ones_are_not_opened(void **state)
{
    (void)state;
    struct attack a = attack_new();
    struct protect_keys keys, old;
    uint8_t secret[32];
    begin(&a, &keys, secret);
    old = keys;
    next_phase(&a, &keys, secret);
    ping(&a);
    (void)attack_pass(&a, 30000);
    uint64_t before = attack_metric(&a, METRIC_PACKETS_RECEIVED);
    a.keys = &old;
    a.first_bits = 0;
    for (unsigned i = 0; i < 100; i++) ping(&a);
    assert_int_equal(attack_metric(&a, METRIC_PACKETS_RECEIVED), before);
    assert_true(attack_is_up(&a));
    attack_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_updates_come_at_most_with_every_answer),
        cmocka_unit_test(test_flipped_phase_bits_open_nothing_and_change_nothing),
        cmocka_unit_test(test_packets_of_an_old_phase_never_bring_it_back),
        cmocka_unit_test(test_old_keys_after_new_ones_are_not_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
