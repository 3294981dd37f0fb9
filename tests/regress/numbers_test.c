/* SPDX-License-Identifier: MIT */
/* Goal: packet numbers are right around every power that arithmetic could trip over, with header
 * protection and without (ring 2025: an overflow once in 2^32). Method: all pairs of numbers near
 * 2^8, 2^16, 2^24, 2^31, 2^32, 2^40 and the end at 2^62 - 1 are cut, sealed, opened and decoded
 * again, under both suites; and connections whose numbers stand there go on. */
#include "attack.h"

static const uint64_t edges[] = {0,
                                 UINT64_C(1) << 8,
                                 UINT64_C(1) << 16,
                                 UINT64_C(1) << 24,
                                 UINT64_C(1) << 31,
                                 UINT64_C(1) << 32,
                                 UINT64_C(1) << 33,
                                 UINT64_C(1) << 40,
                                 VARINT_MAX - 300,
                                 VARINT_MAX};
enum { EDGES = sizeof edges / sizeof edges[0] };

/* The i-th number at or near an edge; NONE for those that do not exist. */
static uint64_t near(unsigned edge, int distance)
{
    uint64_t n = edges[edge] + (uint64_t)(int64_t)distance;
    return n > VARINT_MAX ? PACKET_NUMBER_NONE : n;
}

static void test_cut_numbers_are_decoded_at_every_edge(void **state)
{
    unsigned tried = 0;
    (void)state;
    for (unsigned e = 0; e < EDGES; e++) {
        for (int d = -300; d <= 300; d++) {
            uint64_t pn = near(e, d);
            for (uint64_t gap = 1; pn != PACKET_NUMBER_NONE && gap <= pn && gap < 1 << 30;
                 gap = gap * 3 + 1) {
                uint64_t acked = pn - gap;
                unsigned size = packet_number_size(pn, acked);
                uint64_t cut = pn & ((UINT64_C(1) << 8 * size) - 1);
                /* The receiver has seen at least what it acknowledged, and at most what comes a
                 * little before or after. */
                for (uint64_t back = 0; back < 3; back++) {
                    uint64_t largest = back == 0 ? acked : pn - 1 + back - 1;
                    if (largest > VARINT_MAX) continue;
                    assert_int_equal(packet_number_decode(largest, cut, 8 * size), pn);
                    tried++;
                }
            }
        }
    }
    assert_true(tried > 50000);
}

static void test_no_truncated_value_decodes_outside_the_space(void **state)
{
    (void)state;
    for (unsigned e = 0; e < EDGES; e++) {
        for (int d = -2; d <= 2; d++) {
            uint64_t largest = near(e, d);
            for (unsigned bits = 8; bits <= 32; bits += 8) {
                uint64_t most = (UINT64_C(1) << bits) - 1;
                const uint64_t cuts[] = {0, 1, most / 2, most / 2 + 1, most - 1, most};
                for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
                    uint64_t pn = packet_number_decode(largest, cuts[i], bits);
                    assert_true(pn <= VARINT_MAX);
                    assert_int_equal(pn & most, cuts[i]);
                    if (largest == PACKET_NUMBER_NONE) continue;
                    uint64_t away = pn > largest ? pn - largest : largest - pn;
                    assert_true(away <= most + 1);
                }
            }
        }
    }
}

static void test_protected_packets_open_at_every_edge(void **state)
{
    (void)state;
    for (unsigned suite = AEAD_CHACHA20_POLY1305; suite <= AEAD_AES_256_GCM; suite++) {
        struct protect_keys keys;
        uint8_t secret[32] = {(uint8_t)suite};
        if (protect_keys_derive(&keys, suite, secret) != 0) continue; /* the machine has no AES */
        for (unsigned e = 0; e < EDGES; e++) {
            for (int d = -2; d <= 2; d++) {
                uint64_t pn = near(e, d), got;
                if (pn == PACKET_NUMBER_NONE || pn == 0) continue;
                for (unsigned size = 1; size <= 4; size++) {
                    uint8_t out[100] = {0}, *payload, first;
                    size_t len;
                    struct packet_header h;
                    struct writer w = writer_of(out, sizeof out);
                    struct cid cid = {.len = CID_LOCAL_LEN, .bytes = {1, 2, 3, 4, 5, 6, 7, 8}};
                    size_t header = packet_write_short(&w, &cid, false, false, pn, size);
                    struct protect_cipher cipher;
                    protect_cipher_init(&cipher, &keys);
                    size_t total = packet_seal(&cipher, out, header, pn, size, 20);
                    assert_int_equal(packet_parse(out, total, &h), 0);
                    assert_int_equal(
                        packet_open(&cipher, out, &h, pn - 1, &got, &payload, &len, &first), 0);
                    protect_cipher_end(&cipher);
                    assert_int_equal(got, pn);
                    assert_int_equal(len, 20);
                }
            }
        }
    }
}

/* The peer's numbers jump: what is kept of them stays small, and what is sent back is right. */
static void test_a_peer_may_stand_at_any_number(void **state)
{
    (void)state;
    struct attack a = attack_new();
    uint64_t acks = 0;
    for (unsigned e = 4; e < EDGES; e++) {
        for (int d = -20; d <= 20; d++) {
            uint64_t pn = near(e, d);
            if (pn == PACKET_NUMBER_NONE || pn <= a.number) continue;
            /* Four bytes reach 2^31 ahead. */
            while (pn - a.number > UINT64_C(1) << 30) {
                uint64_t jump = pn - a.number > UINT64_C(1) << 40 ? 0 : UINT64_C(1) << 30;
                if (jump == 0) attack_victim(&a)->largest[2] = a.number = pn - 1000;
                a.number += jump == 0 ? 1 : jump;
                uint8_t payload[8];
                struct writer w = writer_of(payload, sizeof payload);
                frame_write_ping(&w);
                attack_give(&a, &w);
            }
            a.number = pn;
            uint8_t payload[8];
            struct writer w = writer_of(payload, sizeof payload);
            uint64_t before = attack_metric(&a, METRIC_DROPPED_UNDECRYPTABLE);
            frame_write_ping(&w);
            attack_give(&a, &w);
            (void)attack_pass(&a, 30000);
            acks++;
            assert_int_equal(attack_metric(&a, METRIC_DROPPED_UNDECRYPTABLE), before);
            assert_int_equal(attack_victim(&a)->largest[2], pn);
        }
    }
    assert_true(acks > 110);
    assert_true(a.frames[FRAME_ACK] + a.frames[FRAME_ACK_ECN] >= acks);
    assert_true(attack_victim(&a)->ack_app.ranges.count <= ACK_RANGES_MAX);
    attack_expect_peak(&a, 32768);
    assert_true(attack_is_up(&a));
    attack_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_numbers_are_decoded_at_every_edge),
        cmocka_unit_test(test_no_truncated_value_decodes_outside_the_space),
        cmocka_unit_test(test_protected_packets_open_at_every_edge),
        cmocka_unit_test(test_a_peer_may_stand_at_any_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
