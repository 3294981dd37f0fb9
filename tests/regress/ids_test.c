/* SPDX-License-Identifier: MIT */
/* Goal: connection ids of either side are a few slots, not a queue. Method: a peer with the real
 * keys gives, retires and gives back ids as fast as it can, and acknowledges what suits it; what
 * the victim holds is bounded, and every way that queues a retirement ends in a close. */
#include "attack.h"

static void new_id(struct writer *w, uint64_t sequence, uint64_t prior)
{
    uint8_t token[16] = {7};
    struct cid cid = {.len = 8};
    memcpy(cid.bytes, &sequence, sizeof sequence);
    cid.bytes[7] = 0x5a;
    assert_true(frame_write_new_connection_id(w, sequence, prior, &cid, token));
}

enum { HOLD, LET_GO, ACKNOWLEDGE };

/* @return frames taken until the victim closed, or all */
static uint64_t give_ids(struct attack *a, int way, bool late, uint64_t most)
{
    uint64_t i = 0;
    for (; i < most && attack_is_up(a); i++) {
        uint8_t payload[200];
        struct writer w = writer_of(payload, sizeof payload);
        if (way == ACKNOWLEDGE && attack_next_number(a) > 0) {
            uint64_t last = attack_next_number(a) - 1;
            const struct sent_packet *sent =
                sent_get(&attack_victim(a)->loss.spaces[LOSS_APPLICATION].sent, last);
            if (sent != NULL && (sent->flags & SENT_UNSENT) == 0) attack_ack(&w, last, last);
        }
        /* One that retires all before it; or one that comes late, below what is retired. */
        if (late && i > 0)
            new_id(&w, 4 + i, 0);
        else
            new_id(&w, (late ? 1000000 : 4) + i, (late ? 1000000 : 4) + i);
        attack_give(a, &w);
        if (way != HOLD) (void)attack_pass(a, 1000);
        assert_true(attack_victim(a)->retire_count <= 2 * QUIC_REMOTE_CIDS_MAX);
    }
    return i;
}

/* CVE-2024-22189 (quic-go), CVE-2024-1410 (quiche), quicly, picoquic; the late ones are
 * RUSTSEC-2026-0339 (quinn): the way of already retired ids skipped the bound. */
static void test_new_connection_ids_that_retire_all_others_are_bounded(void **state)
{
    enum { MOST = 20000 };
    (void)state;
    for (int way = HOLD; way <= ACKNOWLEDGE; way++) {
        for (int late = 0; late < 2; late++) {
            struct attack a = attack_new();
            a.look = false;
            uint64_t taken = give_ids(&a, way, late != 0, MOST);
            if (way != ACKNOWLEDGE) {
                attack_expect_closed(&a, QUIC_CONNECTION_ID_LIMIT);
                /* Held: the queue. Let go: what the window lets leave, unacknowledged. */
                assert_true(taken <= (way == HOLD ? 16 : 2000));
            } else {
                assert_int_equal(taken, MOST);
                attack_expect_alive(&a);
            }
            if (attack_peak(&a) >= 65536)
                fail_msg("way %d, late %d: %llu bytes", way, late,
                         (unsigned long long)attack_peak(&a));
            attack_end(&a);
        }
    }
}

/* Many in one packet: 40 frames of 28 bytes. */
static void test_a_packet_full_of_new_connection_ids_closes_at_the_bound(void **state)
{
    (void)state;
    struct attack a = attack_new();
    uint8_t payload[1200];
    struct writer w = writer_of(payload, sizeof payload);
    for (uint64_t i = 0; i < 40; i++) new_id(&w, 4 + i, 4 + i);
    attack_give(&a, &w);
    attack_expect_closed(&a, QUIC_CONNECTION_ID_LIMIT);
    attack_expect_peak(&a, 32768);
    attack_end(&a);
}

static uint64_t issued(const struct attack *a)
{
    return attack_metric(a, METRIC_CONNECTION_IDS_ISSUED);
}

/* Each makes us issue another. What was never told cannot be given back (RFC 9000 19.16), so a
 * packet costs at most the ids that the peer knows. */
static void test_retired_ids_are_replaced_only_after_they_were_told(void **state)
{
    enum { ROUNDS = 5000 };
    (void)state;
    struct attack a = attack_new();
    uint64_t before = issued(&a), ids = endpoint_of(a.p->side[1].transport)->by_cid.count;
    a.look = false;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint8_t payload[1200];
        struct writer w = writer_of(payload, sizeof payload);
        uint64_t last = attack_next_number(&a) - 1, was = issued(&a);
        const struct sent_packet *sent =
            sent_get(&attack_victim(&a)->loss.spaces[LOSS_APPLICATION].sent, last);
        if (sent != NULL && (sent->flags & SENT_UNSENT) == 0) attack_ack(&w, last, last);
        for (unsigned n = 0; n < QUIC_LOCAL_CIDS_MAX; n++) {
            const struct local_cid *l = &attack_victim(&a)->local_cids[n];
            if (memcmp(l->bytes, a.to.bytes, sizeof l->bytes) == 0 || l->to_tell) continue;
            for (int again = 0; again < 50; again++)
                assert_true(frame_write_retire_connection_id(&w, l->sequence));
        }
        frame_write_ping(&w);
        attack_give(&a, &w);
        assert_true(issued(&a) - was <= QUIC_LOCAL_CIDS_MAX - 1);
        (void)attack_pass(&a, 1000);
    }
    assert_true(issued(&a) - before > ROUNDS);
    assert_int_equal(endpoint_of(a.p->side[1].transport)->by_cid.count, ids);
    attack_expect_peak(&a, 65536);
    attack_expect_alive(&a);
    attack_end(&a);
}

static void test_a_packet_that_retires_ids_before_they_were_told_is_a_violation(void **state)
{
    (void)state;
    struct attack a = attack_new();
    uint64_t before = issued(&a);
    uint8_t payload[1200];
    struct writer w = writer_of(payload, sizeof payload);
    for (uint64_t sequence = 1; sequence < 300; sequence++)
        assert_true(frame_write_retire_connection_id(&w, sequence));
    attack_give(&a, &w);
    attack_expect_closed(&a, QUIC_PROTOCOL_VIOLATION);
    assert_true(issued(&a) - before <= QUIC_LOCAL_CIDS_MAX);
    attack_end(&a);
}

/* Nothing is acknowledged: what tells the new ids is lost again and again, and is never more than
 * the slots. */
static void test_retirements_by_a_peer_that_acknowledges_nothing_are_bounded(void **state)
{
    (void)state;
    struct attack a = attack_new();
    uint64_t before = issued(&a);
    for (unsigned i = 0; i < 20000 && attack_is_up(&a); i++) {
        uint8_t payload[64];
        struct writer w = writer_of(payload, sizeof payload);
        const struct local_cid *l = &attack_victim(&a)->local_cids[1 + i % 3];
        if (memcmp(l->bytes, a.to.bytes, sizeof l->bytes) != 0 && !l->to_tell)
            frame_write_retire_connection_id(&w, l->sequence);
        else
            frame_write_ping(&w);
        attack_give(&a, &w);
        (void)attack_pass(&a, 500);
    }
    assert_true(attack_is_up(&a));
    /* Without acknowledgements the window is full before long, and nothing is told any more. */
    assert_true(issued(&a) - before < 2000);
    attack_expect_peak(&a, ATTACK_RECORDS_BYTES);
    attack_expect_alive(&a);
    attack_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_connection_ids_that_retire_all_others_are_bounded),
        cmocka_unit_test(test_a_packet_full_of_new_connection_ids_closes_at_the_bound),
        cmocka_unit_test(test_retired_ids_are_replaced_only_after_they_were_told),
        cmocka_unit_test(test_a_packet_that_retires_ids_before_they_were_told_is_a_violation),
        cmocka_unit_test(test_retirements_by_a_peer_that_acknowledges_nothing_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
