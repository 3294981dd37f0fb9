/* SPDX-License-Identifier: MIT */
/* Goal: keys move on together at both ends whatever the network reorders, every rule of RFC 9001
 * section 6 is kept and enforced, and no limit is passed. Method: two ends that seal and open real
 * packets, delivered in the order of the test; small limits; a random network. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "crypto/secret.h"
#include "quic/key_phase.h"
#include "weir.h"

#include <string.h>

enum { PTO_US = 100000, BODY = 20 };
static const struct key_phase_limits small = {
    .update_packets = 4, .packets_max = 8, .open_failures_max = 3, .update_us = 1000000};

struct end {
    struct key_phase keys;
    uint64_t next; /* packet number */
};
struct pair {
    struct end a, b;
};
struct packet {
    uint64_t number;
    uint8_t first; /* the unprotected first byte */
    uint8_t bytes[BODY + PROTECT_TAG_SIZE];
};

static void pair_init(struct pair *p, const struct key_phase_limits *limits)
{
    uint8_t one[32] = {1}, two[32] = {2};
    memset(p, 0, sizeof *p);
    assert_int_equal(key_phase_init(&p->a.keys, AEAD_CHACHA20_POLY1305, one, two, limits), 0);
    assert_int_equal(key_phase_init(&p->b.keys, AEAD_CHACHA20_POLY1305, two, one, limits), 0);
    key_phase_set_confirmed(&p->a.keys);
    key_phase_set_confirmed(&p->b.keys);
}

static struct packet seal(struct end *from)
{
    struct protect_cipher cipher;
    struct packet out = {.number = from->next++, .first = 0x40 | key_phase_bit(&from->keys)};
    memset(out.bytes, (int)(out.number & 0xff), BODY);
    protect_cipher_init(&cipher, &from->keys.write);
    protect_seal(&cipher, out.number, &out.first, 1, out.bytes, BODY);
    protect_cipher_end(&cipher);
    key_phase_on_sealed(&from->keys);
    return out;
}

/* @return WEIR_E_DECRYPT, or what key_phase_on_opened says */
static int deliver(struct end *to, struct packet packet, enum key_phase_which *which,
                   uint64_t now_us)
{
    struct protect_keys scratch;
    struct protect_cipher cipher;
    *which = key_phase_select(&to->keys, packet.first, packet.number);
    protect_cipher_init(&cipher, key_phase_read_keys(&to->keys, *which, &scratch));
    int error =
        protect_open(&cipher, packet.number, &packet.first, 1, packet.bytes, sizeof packet.bytes);
    protect_cipher_end(&cipher);
    if (error != 0) return error;
    for (unsigned i = 0; i < BODY; i++) assert_int_equal(packet.bytes[i], packet.number & 0xff);
    return key_phase_on_opened(&to->keys, *which, packet.number, to->next, now_us, PTO_US);
}

static void delivered(struct end *to, struct packet packet, enum key_phase_which expected,
                      uint64_t now_us)
{
    enum key_phase_which which;
    assert_int_equal(deliver(to, packet, &which, now_us), 0);
    assert_int_equal(which, expected);
}

/* A packet from one end, and a packet with its ACK from the other. */
static void round_trip(struct end *from, struct end *to, uint64_t now_us)
{
    struct packet packet = seal(from);
    enum key_phase_which which;
    assert_int_equal(deliver(to, packet, &which, now_us), 0);
    key_phase_on_ack_sent(&to->keys);
    assert_int_equal(deliver(from, seal(to), &which, now_us), 0);
    assert_int_equal(key_phase_on_acked(&from->keys, which, packet.number, now_us), 0);
}

/* Brings a into phase n of its own will, at now_us. @return the time after */
static uint64_t move(struct end *a, struct end *b, uint64_t now_us)
{
    round_trip(a, b, now_us);
    now_us += 3 * PTO_US;
    assert_true(key_phase_may_update(&a->keys, now_us, PTO_US));
    key_phase_update(&a->keys, a->next);
    return now_us;
}

static void test_limits_are_those_of_the_wire(void **state)
{
    const struct key_phase_limits *chacha20 = key_phase_limits_of(AEAD_CHACHA20_POLY1305);
    const struct key_phase_limits *aes = key_phase_limits_of(AEAD_AES_256_GCM);
    (void)state;
    assert_true(aes->update_packets == UINT64_C(1) << 22);
    assert_true(aes->packets_max < UINT64_C(1) << 23);
    assert_true(aes->packets_max >= (UINT64_C(1) << 23) - 128);
    assert_true(chacha20->update_packets == UINT64_C(1) << 32);
    assert_true(chacha20->packets_max > UINT64_C(1) << 61);
    assert_true(aes->open_failures_max == UINT64_C(1) << 36);
    assert_true(chacha20->open_failures_max == UINT64_C(1) << 36);
    assert_int_equal(aes->update_us, UINT64_C(3600000000));
    assert_int_equal(chacha20->update_us, UINT64_C(3600000000));
    assert_true(sizeof(struct key_phase) <= 384);
}

static void test_a_suite_that_is_not_there_is_refused(void **state)
{
    struct key_phase k;
    struct key_phase zero;
    uint8_t secret[32] = {1};
    (void)state;
    memset(&zero, 0, sizeof zero);
    assert_int_equal(key_phase_init(&k, 9, secret, secret, NULL), WEIR_E_ARGUMENT);
    assert_memory_equal(&k, &zero, sizeof k);
}

static void test_keys_are_those_of_rfc_9001(void **state)
{
    struct pair p;
    struct protect_keys keys, scratch;
    uint8_t secret[32] = {2};
    (void)state;
    pair_init(&p, NULL);
    assert_ptr_equal(p.a.keys.limits, key_phase_limits_of(AEAD_CHACHA20_POLY1305));
    assert_int_equal(protect_keys_derive(&keys, AEAD_CHACHA20_POLY1305, secret), 0);
    for (unsigned phase = 0; phase < 3; phase++) {
        assert_memory_equal(&p.a.keys.write, &keys, sizeof keys);
        assert_memory_equal(&p.b.keys.read, &keys, sizeof keys);
        protect_next_secret(secret, secret);
        (void)protect_keys_update(&keys, &keys, secret);
        assert_memory_equal(key_phase_read_keys(&p.b.keys, KEY_PHASE_NEXT, &scratch), &keys,
                            sizeof keys);
        uint64_t now_us = move(&p.a, &p.b, phase * 10 * (uint64_t)PTO_US);
        delivered(&p.b, seal(&p.a), KEY_PHASE_NEXT, now_us);
    }
}

static void test_an_update_is_followed_at_once_and_in_both_directions(void **state)
{
    struct pair p;
    (void)state;
    pair_init(&p, NULL);
    assert_int_equal(key_phase_bit(&p.a.keys), 0);
    uint64_t now_us = move(&p.a, &p.b, 0);
    assert_int_equal(key_phase_bit(&p.a.keys), KEY_PHASE_BIT);
    assert_int_equal(key_phase_bit(&p.b.keys), 0);
    /* What b sent before it knows is opened with the previous keys. */
    delivered(&p.a, seal(&p.b), KEY_PHASE_PREVIOUS, now_us);
    delivered(&p.b, seal(&p.a), KEY_PHASE_NEXT, now_us);
    assert_int_equal(key_phase_bit(&p.b.keys), KEY_PHASE_BIT);
    delivered(&p.a, seal(&p.b), KEY_PHASE_CURRENT, now_us);
    delivered(&p.b, seal(&p.a), KEY_PHASE_CURRENT, now_us);
    assert_int_equal(p.a.keys.updates, 1);
    assert_int_equal(p.b.keys.updates, 1);
}

static void test_both_may_begin_at_once(void **state)
{
    struct pair p;
    (void)state;
    pair_init(&p, NULL);
    round_trip(&p.b, &p.a, 0);
    uint64_t now_us = move(&p.a, &p.b, 0);
    assert_true(key_phase_may_update(&p.b.keys, now_us, PTO_US));
    key_phase_update(&p.b.keys, p.b.next);
    struct packet from_a = seal(&p.a), from_b = seal(&p.b);
    delivered(&p.a, from_b, KEY_PHASE_CURRENT, now_us);
    delivered(&p.b, from_a, KEY_PHASE_CURRENT, now_us);
    assert_int_equal(p.a.keys.updates, 1);
    assert_int_equal(p.b.keys.updates, 1);
}

static void test_late_packets_of_the_previous_phase_are_opened(void **state)
{
    struct pair p;
    enum key_phase_which which;
    (void)state;
    pair_init(&p, NULL);
    struct packet late[3];
    round_trip(&p.a, &p.b, 0);
    for (unsigned i = 0; i < 3; i++) late[i] = seal(&p.a);
    uint64_t now_us = move(&p.a, &p.b, 0);
    struct packet early = seal(&p.a), first = seal(&p.a);
    delivered(&p.b, first, KEY_PHASE_NEXT, now_us);
    delivered(&p.b, late[2], KEY_PHASE_PREVIOUS, now_us);
    delivered(&p.b, early, KEY_PHASE_CURRENT, now_us); /* the update's first packet came second */
    delivered(&p.b, late[0], KEY_PHASE_PREVIOUS, now_us + 3 * PTO_US - 1);
    assert_int_equal(key_phase_deadline(&p.b.keys), now_us + 3 * PTO_US);
    /* Three PTO after the first of the new phase they are gone; what then comes fails. */
    key_phase_on_time(&p.b.keys, now_us + 3 * PTO_US);
    assert_true(key_phase_deadline(&p.b.keys) == KEY_PHASE_NONE);
    assert_int_equal(deliver(&p.b, late[1], &which, now_us + 3 * PTO_US), WEIR_E_DECRYPT);
    assert_int_equal(which, KEY_PHASE_NEXT); /* the same work as for any other flipped bit */
    struct key_phase_key zero;
    memset(&zero, 0, sizeof zero);
    assert_memory_equal(&p.b.keys.previous, &zero, sizeof zero);
    assert_int_equal(p.b.keys.updates, 1);
}

static void test_previous_keys_stay_until_the_new_phase_is_answered(void **state)
{
    struct pair p;
    (void)state;
    pair_init(&p, NULL);
    uint64_t now_us = move(&p.a, &p.b, 0);
    key_phase_on_time(&p.a.keys, now_us + 100 * PTO_US);
    assert_true(key_phase_deadline(&p.a.keys) == KEY_PHASE_NONE);
    delivered(&p.a, seal(&p.b), KEY_PHASE_PREVIOUS, now_us + 100 * PTO_US);
    assert_false(key_phase_may_update(&p.a.keys, now_us + 200 * PTO_US, PTO_US));
}

static void test_a_flipped_bit_or_number_changes_nothing(void **state)
{
    struct pair p;
    enum key_phase_which which;
    (void)state;
    pair_init(&p, NULL);
    for (unsigned phase = 0; phase < 2; phase++) {
        struct key_phase before = p.b.keys;
        struct packet packet = seal(&p.a);
        packet.first ^= KEY_PHASE_BIT;
        assert_int_equal(deliver(&p.b, packet, &which, 0), WEIR_E_DECRYPT);
        assert_int_equal(which, KEY_PHASE_NEXT);
        packet.first ^= KEY_PHASE_BIT;
        packet.number += 1000;
        assert_int_equal(deliver(&p.b, packet, &which, 0), WEIR_E_DECRYPT);
        assert_memory_equal(&before, &p.b.keys, sizeof before);
        uint64_t now_us = move(&p.a, &p.b, 0);
        delivered(&p.b, seal(&p.a), KEY_PHASE_NEXT, now_us);
        key_phase_on_ack_sent(&p.b.keys);
        key_phase_on_time(&p.b.keys, now_us + 3 * PTO_US);
    }
}

/* Each row: numbers that arrive in phase 0, then with the keys of phase 1, then one more. */
static void test_old_keys_never_come_after_new_ones(void **state)
{
    static const struct {
        const char *what;
        uint64_t old, first, then;
        enum key_phase_which which;
        int error;
    } rows[] = {
        {"current, above", 9, 20, 21, KEY_PHASE_CURRENT, 0},
        {"current, between", 9, 20, 10, KEY_PHASE_CURRENT, 0},
        {"current, at an old one", 9, 20, 9, KEY_PHASE_CURRENT, QUIC_KEY_UPDATE},
        {"current, below an old one", 9, 20, 3, KEY_PHASE_CURRENT, QUIC_KEY_UPDATE},
        {"previous, below the old", 9, 20, 3, KEY_PHASE_PREVIOUS, 0},
        {"previous, between", 9, 20, 19, KEY_PHASE_PREVIOUS, 0},
        {"previous, at a new one", 9, 20, 20, KEY_PHASE_PREVIOUS, QUIC_KEY_UPDATE},
        {"previous, above a new one", 9, 20, 30, KEY_PHASE_PREVIOUS, QUIC_KEY_UPDATE},
        {"next, above", 9, 20, 21, KEY_PHASE_NEXT, 0},
        {"next, at a current one", 9, 20, 20, KEY_PHASE_NEXT, QUIC_KEY_UPDATE},
        {"next, below a current one", 9, 20, 10, KEY_PHASE_NEXT, QUIC_KEY_UPDATE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pair p;
        pair_init(&p, NULL);
        struct key_phase *k = &p.b.keys;
        assert_int_equal(key_phase_on_opened(k, KEY_PHASE_CURRENT, rows[i].old, 0, 0, PTO_US), 0);
        assert_int_equal(key_phase_on_opened(k, KEY_PHASE_NEXT, rows[i].first, 0, 0, PTO_US), 0);
        key_phase_on_ack_sent(k);
        int error = key_phase_on_opened(k, rows[i].which, rows[i].then, 0, 0, PTO_US);
        if (error != rows[i].error) print_message("%s\n", rows[i].what);
        assert_int_equal(error, rows[i].error);
    }
    /* The lowest of the current phase is what counts. */
    struct pair p;
    pair_init(&p, NULL);
    struct key_phase *k = &p.b.keys;
    assert_int_equal(key_phase_on_opened(k, KEY_PHASE_NEXT, 20, 0, 0, PTO_US), 0);
    assert_int_equal(key_phase_select(k, 0x40, 19), KEY_PHASE_PREVIOUS);
    assert_int_equal(key_phase_select(k, 0x40, 20), KEY_PHASE_NEXT);
    assert_int_equal(key_phase_select(k, 0x40 | KEY_PHASE_BIT, 19), KEY_PHASE_CURRENT);
    assert_int_equal(key_phase_on_opened(k, KEY_PHASE_CURRENT, 10, 0, 0, PTO_US), 0);
    assert_int_equal(key_phase_select(k, 0x40, 10), KEY_PHASE_NEXT);
    assert_int_equal(key_phase_on_opened(k, KEY_PHASE_PREVIOUS, 15, 0, 0, PTO_US), QUIC_KEY_UPDATE);
    /* The new phase begins below what the old one had reached. */
    pair_init(&p, NULL);
    assert_int_equal(key_phase_on_opened(&p.b.keys, KEY_PHASE_CURRENT, 9, 0, 0, PTO_US), 0);
    assert_int_equal(key_phase_on_opened(&p.b.keys, KEY_PHASE_NEXT, 9, 0, 0, PTO_US),
                     QUIC_KEY_UPDATE);
    /* A late old one lies above an early new one. */
    pair_init(&p, NULL);
    assert_int_equal(key_phase_on_opened(&p.b.keys, KEY_PHASE_NEXT, 20, 0, 0, PTO_US), 0);
    assert_int_equal(key_phase_on_opened(&p.b.keys, KEY_PHASE_PREVIOUS, 15, 0, 0, PTO_US), 0);
    assert_int_equal(key_phase_on_opened(&p.b.keys, KEY_PHASE_CURRENT, 14, 0, 0, PTO_US),
                     QUIC_KEY_UPDATE);
}

static void test_a_second_update_before_our_answer_is_an_error(void **state)
{
    struct pair p;
    enum key_phase_which which;
    (void)state;
    for (int answered = 0; answered < 2; answered++) {
        pair_init(&p, NULL);
        uint64_t now_us = move(&p.a, &p.b, 0);
        delivered(&p.b, seal(&p.a), KEY_PHASE_NEXT, now_us);
        key_phase_on_time(&p.b.keys, now_us + 3 * PTO_US);
        if (answered) key_phase_on_ack_sent(&p.b.keys);
        /* a cheats: nobody acknowledged its phase. */
        p.a.keys.acked = true;
        p.a.keys.has_previous = false;
        key_phase_update(&p.a.keys, p.a.next);
        assert_int_equal(deliver(&p.b, seal(&p.a), &which, now_us + 3 * PTO_US),
                         answered ? 0 : QUIC_KEY_UPDATE);
        assert_int_equal(which, KEY_PHASE_NEXT);
        assert_int_equal(p.b.keys.updates, answered ? 2 : 1);
    }
}

static void test_an_ack_before_the_peer_followed_is_no_answer(void **state)
{
    struct pair p;
    enum key_phase_which which;
    (void)state;
    pair_init(&p, NULL);
    uint64_t now_us = move(&p.a, &p.b, 0);
    key_phase_on_ack_sent(&p.a.keys);
    delivered(&p.b, seal(&p.a), KEY_PHASE_NEXT, now_us);
    delivered(&p.a, seal(&p.b), KEY_PHASE_CURRENT, now_us);
    p.b.keys.acked = true; /* b cheats */
    p.b.keys.has_previous = false;
    key_phase_update(&p.b.keys, p.b.next);
    assert_int_equal(deliver(&p.a, seal(&p.b), &which, now_us), QUIC_KEY_UPDATE);
}

static void test_an_ack_of_the_new_phase_under_old_keys_is_an_error(void **state)
{
    struct pair p;
    (void)state;
    pair_init(&p, NULL);
    uint64_t now_us = move(&p.a, &p.b, 0);
    struct packet packet = seal(&p.a);
    /* Of what went before the update, old keys may speak. */
    assert_int_equal(key_phase_on_acked(&p.a.keys, KEY_PHASE_PREVIOUS, packet.number - 1, now_us),
                     0);
    assert_false(p.a.keys.acked);
    assert_int_equal(key_phase_on_acked(&p.a.keys, KEY_PHASE_PREVIOUS, packet.number, now_us),
                     QUIC_KEY_UPDATE);
    assert_int_equal(key_phase_on_acked(&p.a.keys, KEY_PHASE_CURRENT, packet.number - 1, now_us),
                     0);
    assert_false(p.a.keys.acked);
    assert_int_equal(key_phase_on_acked(&p.a.keys, KEY_PHASE_CURRENT, packet.number, now_us), 0);
    assert_true(p.a.keys.acked);
}

static void test_an_update_waits_for_all_that_it_must(void **state)
{
    struct pair p;
    (void)state;
    pair_init(&p, &small);
    struct key_phase *k = &p.a.keys;
    k->confirmed = false;
    assert_false(key_phase_may_update(k, 9 * PTO_US, PTO_US)); /* nothing acknowledged */
    round_trip(&p.a, &p.b, 1000);
    assert_false(key_phase_may_update(k, 9 * PTO_US, PTO_US)); /* not confirmed */
    key_phase_set_confirmed(k);
    assert_false(key_phase_may_update(k, 1000 + 3 * PTO_US - 1, PTO_US));
    assert_true(key_phase_may_update(k, 1000 + 3 * PTO_US, PTO_US));
    assert_false(key_phase_may_update(k, 1000 + 3 * PTO_US, 2 * PTO_US));
    /* A later ACK does not move the time. */
    round_trip(&p.a, &p.b, 1000 + 2 * PTO_US);
    assert_true(key_phase_may_update(k, 1000 + 3 * PTO_US, PTO_US));
    key_phase_update(k, p.a.next);
    assert_false(key_phase_may_update(k, 100 * PTO_US, PTO_US));
    round_trip(&p.a, &p.b, 100 * PTO_US);
    assert_false(key_phase_may_update(k, 103 * PTO_US - 1, PTO_US));
    assert_true(key_phase_may_update(k, 103 * PTO_US, PTO_US));
    assert_false(k->has_previous);
    /* Previous keys that were to stay longer, when the round trip was longer. */
    k->has_previous = true;
    k->forget_us = 104 * PTO_US;
    assert_false(key_phase_may_update(k, 104 * PTO_US - 1, PTO_US));
    assert_true(key_phase_may_update(k, 104 * PTO_US, PTO_US));
    /* The peer who followed may begin the next, on the same terms. */
    assert_false(key_phase_may_update(&p.b.keys, 200 * PTO_US, PTO_US));
    round_trip(&p.b, &p.a, 200 * PTO_US);
    assert_true(key_phase_may_update(&p.b.keys, 203 * PTO_US, PTO_US));
}

static void test_an_update_is_due_by_packets_or_age(void **state)
{
    struct pair p;
    (void)state;
    pair_init(&p, &small);
    round_trip(&p.a, &p.b, 0);
    uint64_t now_us = 3 * PTO_US;
    assert_false(key_phase_should_update(&p.a.keys, now_us, PTO_US));
    (void)seal(&p.a);
    (void)seal(&p.a);
    assert_int_equal(p.a.keys.sealed, 3);
    assert_false(key_phase_should_update(&p.a.keys, now_us, PTO_US));
    (void)seal(&p.a);
    assert_true(key_phase_should_update(&p.a.keys, now_us, PTO_US));
    assert_false(key_phase_should_update(&p.a.keys, now_us - 1, PTO_US)); /* due, not allowed */
    key_phase_update(&p.a.keys, p.a.next);
    assert_int_equal(p.a.keys.sealed, 0);
    /* By age, counted from the ACK. */
    round_trip(&p.a, &p.b, now_us);
    assert_false(key_phase_should_update(&p.a.keys, now_us + small.update_us - 1, PTO_US));
    assert_true(key_phase_should_update(&p.a.keys, now_us + small.update_us, PTO_US));
}

static void test_a_key_is_spent_at_its_limit_and_fresh_after_an_update(void **state)
{
    struct pair p;
    (void)state;
    pair_init(&p, &small);
    round_trip(&p.a, &p.b, 0);
    for (unsigned i = 1; i < 8; i++) {
        assert_false(key_phase_is_spent(&p.a.keys));
        (void)seal(&p.a);
    }
    assert_true(key_phase_is_spent(&p.a.keys));
    assert_true(key_phase_may_update(&p.a.keys, 3 * PTO_US, PTO_US));
    key_phase_update(&p.a.keys, p.a.next);
    assert_false(key_phase_is_spent(&p.a.keys));
}

static void test_failures_are_counted_over_all_keys(void **state)
{
    struct pair p;
    (void)state;
    pair_init(&p, &small);
    assert_false(key_phase_on_open_failed(&p.a.keys));
    assert_false(key_phase_on_open_failed(&p.a.keys));
    (void)move(&p.a, &p.b, 0);
    assert_true(key_phase_on_open_failed(&p.a.keys));
    assert_true(key_phase_on_open_failed(&p.a.keys));
}

static void test_header_keys_never_change_and_free_erases(void **state)
{
    struct pair p;
    struct key_phase zero;
    uint8_t read[32], write[32];
    (void)state;
    memset(&zero, 0, sizeof zero);
    pair_init(&p, NULL);
    memcpy(read, p.a.keys.read.hp, sizeof read);
    memcpy(write, p.a.keys.write.hp, sizeof write);
    uint8_t key[32];
    memcpy(key, p.a.keys.read.key, sizeof key);
    (void)move(&p.a, &p.b, 0);
    assert_memory_equal(p.a.keys.read.hp, read, sizeof read);
    assert_memory_equal(p.a.keys.write.hp, write, sizeof write);
    assert_memory_not_equal(p.a.keys.read.key, key, sizeof key);
    key_phase_free(&p.a.keys);
    assert_memory_equal(&p.a.keys, &zero, sizeof zero);
}

/* Two ends that update as soon as they may, over a network that loses, repeats and delays by up to
 * 16 packets: honest peers never see an error, and stay within a phase of each other. */
static void test_honest_ends_agree_over_any_network(void **state)
{
    enum { FLIGHT = 16 };
    struct rng rng;
    struct pair p;
    struct {
        struct packet packet;
        uint64_t acks;
        bool has_acks, used;
    } flight[2][FLIGHT];
    uint64_t largest[2] = {0}, now_us = 0, updates = 0;
    bool any[2] = {false};
    (void)state;
    memset(flight, 0, sizeof flight);
    rng_init(&rng, 9, "key phases", 0);
    pair_init(&p, &small);
    struct end *ends[2] = {&p.a, &p.b};
    for (unsigned i = 0; i < 20000; i++) {
        unsigned from = (unsigned)rng_below(&rng, 2), slot = (unsigned)rng_below(&rng, FLIGHT);
        struct end *end = ends[from], *peer = ends[1 - from];
        now_us += rng_below(&rng, PTO_US / 4);
        if (flight[from][slot].used) {
            enum key_phase_which which;
            uint64_t number = flight[from][slot].packet.number;
            int error = deliver(peer, flight[from][slot].packet, &which, now_us);
            assert_true(error == 0 || error == WEIR_E_DECRYPT);
            if (error == 0 && flight[from][slot].has_acks) {
                assert_int_equal(
                    key_phase_on_acked(&peer->keys, which, flight[from][slot].acks, now_us), 0);
            }
            if (error == 0 && (!any[1 - from] || number > largest[1 - from])) {
                any[1 - from] = true;
                largest[1 - from] = number;
            }
            if (rng_below(&rng, 5) != 0) flight[from][slot].used = false; /* else it is repeated */
            continue;
        }
        if (key_phase_should_update(&end->keys, now_us, PTO_US)) {
            key_phase_update(&end->keys, end->next);
            updates++;
        }
        if (key_phase_is_spent(&end->keys)) end->keys.sealed = 0; /* not what is tested here */
        flight[from][slot].packet = seal(end);
        flight[from][slot].has_acks = any[from];
        flight[from][slot].acks = largest[from];
        if (any[from]) key_phase_on_ack_sent(&end->keys);
        flight[from][slot].used = rng_below(&rng, 10) != 0;
        int ahead = (int8_t)(uint8_t)(p.a.keys.updates - p.b.keys.updates);
        assert_in_range(ahead + 1, 0, 2);
    }
    assert_true(p.a.next > 4000);
    assert_true(updates > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits_are_those_of_the_wire),
        cmocka_unit_test(test_a_suite_that_is_not_there_is_refused),
        cmocka_unit_test(test_keys_are_those_of_rfc_9001),
        cmocka_unit_test(test_an_update_is_followed_at_once_and_in_both_directions),
        cmocka_unit_test(test_both_may_begin_at_once),
        cmocka_unit_test(test_late_packets_of_the_previous_phase_are_opened),
        cmocka_unit_test(test_previous_keys_stay_until_the_new_phase_is_answered),
        cmocka_unit_test(test_a_flipped_bit_or_number_changes_nothing),
        cmocka_unit_test(test_old_keys_never_come_after_new_ones),
        cmocka_unit_test(test_a_second_update_before_our_answer_is_an_error),
        cmocka_unit_test(test_an_ack_before_the_peer_followed_is_no_answer),
        cmocka_unit_test(test_an_ack_of_the_new_phase_under_old_keys_is_an_error),
        cmocka_unit_test(test_an_update_waits_for_all_that_it_must),
        cmocka_unit_test(test_an_update_is_due_by_packets_or_age),
        cmocka_unit_test(test_a_key_is_spent_at_its_limit_and_fresh_after_an_update),
        cmocka_unit_test(test_failures_are_counted_over_all_keys),
        cmocka_unit_test(test_header_keys_never_change_and_free_erases),
        cmocka_unit_test(test_honest_ends_agree_over_any_network),
    };
    return secret_init() == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
