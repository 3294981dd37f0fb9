/* SPDX-License-Identifier: MIT */
/* Goal: before an address has answered, a listener sends it at most three bytes for each that
 * came from it, and this limit never ends in a deadlock (RFC 9000 8.1, RFC 9002 6.2.2.1).
 * Method: 10,000 random sequences of what an attacker can send from an address that is not its
 * own, with time passing between; and the two sides of the deadlock. */
#include "forge.h"

enum { SEQUENCES = 10000, PER_PAIR = 500, ACTIONS_MAX = 14 };

struct account {
    struct endpoint address;
    uint64_t received, sent, worst_permille;
    uint8_t hello[1500], answer[1500];
    size_t hello_len, answer_len;
    uint64_t number;
    struct cid dcid, scid;
    uint8_t payload[64];
    size_t payload_len;
};

static void drain(struct pair *p, struct account *a)
{
    static uint8_t buffer[65536];
    struct datagram_out out = {.data = buffer, .cap = sizeof buffer};
    while (quic_transport.next_datagram(p->side[1].transport, &out, p->now_us)) {
        if (!endpoint_equal(&out.remote, &a->address)) continue; /* of a sequence before */
        a->sent += out.len;
        assert_true(out.segment <= sizeof a->answer);
        memcpy(a->answer, buffer, out.segment);
        a->answer_len = out.segment;
    }
    if (a->sent > 3 * a->received)
        fail_msg("%d bytes sent for %d received", (int)a->sent, (int)a->received);
    if (a->received > 0 && a->sent * 1000 / a->received > a->worst_permille)
        a->worst_permille = a->sent * 1000 / a->received;
}

static void give(struct pair *p, struct account *a, const uint8_t *bytes, size_t len)
{
    a->received += len;
    pair_inject(p, 1, &a->address, bytes, len);
    drain(p, a);
}

static void pass_time(struct pair *p, struct account *a)
{
    uint64_t until = p->now_us + rng_below(&p->rng, 6000000);
    for (;;) {
        uint64_t due = quic_transport.deadline(p->side[1].transport);
        if (due > until) break;
        if (due > p->now_us) p->now_us = due;
        quic_transport.on_deadline(p->side[1].transport, p->now_us);
        drain(p, a);
    }
    p->now_us = until;
}

static size_t fresh_hello(struct account *a, uint64_t number, size_t pad_to, uint8_t *out)
{
    return forge_client_initial(&a->dcid, &a->scid, NULL, 0, number, a->payload, a->payload_len,
                                pad_to, out, 1500);
}

static void act(struct pair *p, struct account *a)
{
    uint8_t out[1500];
    size_t len = 1 + rng_below(&p->rng, 1400);
    switch (rng_below(&p->rng, 9)) {
    case 0: give(p, a, a->hello, a->hello_len); break;
    case 1:
        give(p, a, out, fresh_hello(a, a->number++, 1200 + rng_below(&p->rng, 200), out));
        break;
    case 2: give(p, a, a->hello, rng_below(&p->rng, a->hello_len)); break;
    case 3:
        rng_fill(&p->rng, out, len);
        give(p, a, out, len);
        break;
    case 4: /* a long header of ours to an id that the server chose */
        rng_fill(&p->rng, out, len);
        if (a->answer_len > 40 && len > 40) {
            memcpy(out, a->answer, 6);
            out[0] = rng_below(&p->rng, 2) == 0 ? 0xc0 : 0xe0;
            memcpy(out + 6, a->answer + 15, 8);
        }
        give(p, a, out, len);
        break;
    case 5: /* another version */
        rng_fill(&p->rng, out, len);
        out[0] |= 0xc0;
        if (len > 6) out[5] = 8;
        give(p, a, out, len);
        break;
    case 6: /* a short header */
        rng_fill(&p->rng, out, len);
        out[0] = (uint8_t)(0x40 | (out[0] & 0x3f));
        give(p, a, out, len);
        break;
    case 7: /* damaged */
        memcpy(out, a->hello, a->hello_len);
        out[rng_below(&p->rng, a->hello_len)] ^= 1;
        give(p, a, out, a->hello_len);
        break;
    default: pass_time(p, a); break;
    }
}

static void test_no_sequence_of_datagrams_is_amplified_more_than_threefold(void **state)
{
    struct pair *p = NULL;
    uint64_t worst = 0;
    struct limits limits;
    (void)state;
    for (uint64_t i = 0; i < SEQUENCES; i++) {
        if (i % PER_PAIR == 0) {
            if (p != NULL) pair_free(p);
            limits_derive(&limits, 0, 0);
            limits.value[LIMIT_HALF_OPEN_RETRY] = i / PER_PAIR % 4 == 3 ? 10 : 100000;
            p = pair_new(NULL, &limits);
            rng_init(&p->rng, i, "amplification", 0);
        }
        struct account a = {.address = endpoint_ip4(10, 1, (uint8_t)(i >> 8), (uint8_t)i, 7),
                            .number = 1};
        a.dcid = forge_cid(p);
        a.scid = forge_cid(p);
        a.payload_len = forge_first_message(p, a.payload, sizeof a.payload);
        a.hello_len = fresh_hello(&a, 0, 1200, a.hello);
        for (uint64_t n = 1 + rng_below(&p->rng, ACTIONS_MAX); n > 0; n--) act(p, &a);
        pass_time(p, &a);
        pass_time(p, &a);
        if (a.worst_permille > worst) worst = a.worst_permille;
    }
    pair_free(p);
    assert_in_range(worst, 2500, 3000); /* the limit was reached, so it was tested */
}

struct mute {
    uint64_t client_until,
        server_until; /* datagrams of that side from the first on that arrive / are lost */
};

static bool mute(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    const struct mute *m = p->context;
    (void)bytes;
    (void)len;
    return from == 0 ? n == 0 || n >= m->client_until : n >= m->server_until;
}

static struct connection *only(struct pair *p)
{
    return list_first(&endpoint_of(p->side[1].transport)->all, struct connection, all_link);
}

static void test_a_blocked_listener_waits_without_a_timer_and_the_diallers_probe_unblocks_it(
    void **state)
{
    (void)state;
    struct mute m = {.client_until = UINT64_MAX, .server_until = UINT64_MAX};
    struct pair *p = pair_new(NULL, NULL);
    p->filter = mute;
    p->context = &m;
    (void)pair_dial(p);
    pair_run(p, 15000000);
    assert_int_equal(p->side[1].bytes, 3600);
    assert_int_equal(p->side[1].metrics.value[METRIC_AMPLIFICATION_BLOCKED], 1);
    const struct connection *c = only(p);
    assert_true(c->blocked_amplification);
    assert_int_equal(loss_deadline(&c->loss), LOSS_NEVER);
    /* All that is left is the end of the half-open connection. */
    assert_int_equal(quic_transport.deadline(p->side[1].transport),
                     c->received_us + p->side[1].limits.value[LIMIT_HANDSHAKE_TIME]);
    m.client_until = m.server_until = 0;
    pair_run(p, 4000000);
    assert_true(pair_agrees(p));
    pair_free(p);
}

static void test_bytes_that_do_not_open_still_give_room(void **state)
{
    (void)state;
    struct mute m = {.client_until = UINT64_MAX, .server_until = UINT64_MAX};
    uint8_t junk[1200];
    struct pair *p = pair_new(NULL, NULL);
    p->filter = mute;
    p->context = &m;
    (void)pair_dial(p);
    pair_run(p, 15000000);
    const struct connection *c = only(p);
    assert_int_equal(p->side[1].bytes, 3600);
    /* Junk to the listener's id from the same address: it may send 3600 bytes more, and its PTO
     * is long past. */
    memset(junk, 0x55, sizeof junk);
    junk[0] = 0x55;
    memcpy(junk + 1, c->local_cid.bytes, CID_LOCAL_LEN);
    pair_inject(p, 1, &p->side[0].address, junk, sizeof junk);
    pair_run(p, 1);
    assert_int_equal(p->side[1].bytes, 3600 + 2 * 1200); /* a PTO's two probes */
    /* From another address it gives nothing. */
    uint64_t before = c->bytes_in;
    struct endpoint other = p->side[0].address;
    other.port++;
    pair_inject(p, 1, &other, junk, sizeof junk);
    assert_int_equal(c->bytes_in, before);
    pair_free(p);
}

static void test_a_lost_first_answer_costs_one_probe(void **state)
{
    (void)state;
    struct mute m = {.client_until = 0, .server_until = 1};
    struct pair *p = pair_new(NULL, NULL);
    p->filter = mute;
    p->context = &m;
    uint64_t start = p->now_us;
    (void)pair_dial(p);
    while (!p->side[0].up && pair_step(p, start + 5000000)) {
    }
    assert_true(p->side[0].up);
    assert_in_range(p->now_us - start, 900000,
                    1100000); /* a PTO without a sample is about a second */
    pair_free(p);
}

static void test_when_only_the_listener_is_heard_its_probe_carries_its_whole_answer(void **state)
{
    (void)state;
    /* The first answer is lost, and so is all that the dialler says afterwards: the listener's
     * own probe must do. */
    struct mute m = {.client_until = UINT64_MAX, .server_until = 1};
    struct pair *p = pair_new(NULL, NULL);
    p->filter = mute;
    p->context = &m;
    uint64_t start = p->now_us;
    (void)pair_dial(p);
    while (!p->side[0].up && pair_step(p, start + 20000000)) {
    }
    assert_true(p->side[0].up);
    assert_in_range(p->now_us - start, 900000, 1100000);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_sequence_of_datagrams_is_amplified_more_than_threefold),
        cmocka_unit_test(
            test_a_blocked_listener_waits_without_a_timer_and_the_diallers_probe_unblocks_it),
        cmocka_unit_test(test_bytes_that_do_not_open_still_give_room),
        cmocka_unit_test(test_a_lost_first_answer_costs_one_probe),
        cmocka_unit_test(test_when_only_the_listener_is_heard_its_probe_carries_its_whole_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
