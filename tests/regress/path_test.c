/* SPDX-License-Identifier: MIT */
/* Goal: what concerns paths can be neither a queue, nor a lever, nor a gun. Method: a peer with the
 * real keys (attack.h) challenges and moves without end, from its own and from forged addresses;
 * what the victim holds and sends is bounded in bytes and frames. */
#include "attack.h"

static void challenge(struct writer *w, uint64_t n)
{
    uint8_t data[8];
    memcpy(data, &n, sizeof data);
    assert_true(frame_write_path_challenge(w, data));
}

static struct endpoint forged(uint32_t n)
{
    return endpoint_ip4(198, 18, (uint8_t)(n >> 8), (uint8_t)n, (uint16_t)(1024 + (n >> 16)));
}

static bool was_sent(const struct attack *a, uint64_t number)
{
    const struct sent_packet *s =
        sent_get(&attack_victim(a)->loss.spaces[LOSS_APPLICATION].sent, number);
    return s != NULL && (s->flags & SENT_UNSENT) == 0;
}

/* CVE-2023-49295 (quic-go), CVE-2023-6193 (quiche), CVE-2026-34183 (OpenSSL). */
static void test_path_challenges_under_a_collapsed_window_do_not_queue(void **state)
{
    enum { PACKETS = 2000, CHALLENGES = 100 };
    (void)state;
    struct attack a = attack_new();
    (void)attack_feed(&a);
    (void)attack_drain(&a);
    attack_begin(&a);
    for (unsigned i = 0; i < PACKETS; i++) {
        uint8_t payload[1200];
        struct writer w = writer_of(payload, sizeof payload);
        /* One acknowledgement in seven packets: the rest looks lost, and the window falls. */
        uint64_t last = attack_next_number(&a) - 1;
        if (i % 7 == 0 && was_sent(&a, last)) attack_ack(&w, last, last);
        for (unsigned n = 0; n < CHALLENGES; n++) challenge(&w, i * CHALLENGES + n);
        attack_give(&a, &w);
        (void)attack_pass(&a, 1000);
    }
    assert_true(attack_victim(&a)->congestion.window_bytes < 8 * 1200);
    assert_int_equal(attack_metric(&a, METRIC_PATH_CHALLENGES_RECEIVED), PACKETS * CHALLENGES);
    assert_in_range(a.frames[FRAME_PATH_RESPONSE], 1, PACKETS);
    /* Bytes of the stream are held in any case; answers are not among them. */
    attack_expect_peak(&a, 65536);
    assert_true(a.datagrams < 2 * PACKETS);
    attack_expect_alive(&a);
    attack_end(&a);
}

static void test_path_challenges_from_many_forged_addresses_cost_each_threefold_at_most(
    void **state)
{
    enum { PACKETS = 20000 };
    (void)state;
    struct attack a = attack_new();
    struct endpoint home = a.from;
    a.look = false;
    for (unsigned i = 0; i < PACKETS; i++) {
        uint8_t payload[1200];
        struct writer w = writer_of(payload, sizeof payload);
        uint64_t bytes = a.given_bytes;
        a.from = a.watched = forged(i);
        a.watched_bytes = 0;
        challenge(&w, i);
        frame_write_padding(&w, i % 3 == 0 ? 1000 : 4);
        attack_give(&a, &w);
        (void)attack_pass(&a, 100);
        assert_true(a.watched_bytes <= 3 * (a.given_bytes - bytes));
    }
    assert_true(a.datagrams <= PACKETS + PACKETS / 10);
    assert_int_equal(attack_metric(&a, METRIC_CONNECTIONS_MOVED), 0);
    /* The records of what was sent, at most sent_packets of them, and one path more. */
    attack_expect_peak(&a, ATTACK_RECORDS_BYTES);
    a.from = home;
    attack_expect_alive(&a);
    attack_end(&a);
}

/* RFC 9000 21.5.4, request forgery: a peer moves to a victim's address and lets it be flooded. */
static void test_a_move_to_a_strangers_address_sends_there_threefold_at_most(void **state)
{
    static const struct {
        bool probe_first;
        size_t pad;
        unsigned packets;
    } rows[] = {{false, 0, 1},   {false, 1100, 1}, {false, 40, 20}, {true, 0, 1},
                {true, 1100, 1}, {true, 40, 20},   {true, 300, 5},  {false, 300, 5}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct attack a = attack_new();
        uint64_t sent_from_there = 0;
        (void)attack_feed(&a);
        a.from = a.watched = endpoint_ip4(203, 0, 113, 7, 53);
        for (unsigned n = 0; n < rows[i].packets; n++) {
            for (int moves = rows[i].probe_first ? 0 : 1; moves < 2; moves++) {
                uint8_t payload[1300];
                struct writer w = writer_of(payload, sizeof payload);
                uint64_t before = a.given_bytes;
                challenge(&w, n);
                if (moves != 0) frame_write_ping(&w);
                if (rows[i].pad > 0) frame_write_padding(&w, rows[i].pad);
                attack_give(&a, &w);
                sent_from_there += a.given_bytes - before;
                (void)attack_pass(&a, 20000);
                if (a.watched_bytes > 3 * sent_from_there)
                    fail_msg("row %zu: %llu bytes for %llu", i, (unsigned long long)a.watched_bytes,
                             (unsigned long long)sent_from_there);
            }
        }
        assert_true(attack_metric(&a, METRIC_CONNECTIONS_MOVED) > 0);
        (void)attack_pass(&a, 60000000);
        assert_in_range(a.watched_bytes, 1, 3 * sent_from_there);
        attack_end(&a);
    }
}

/* Each packet from another place than the one before: of two, or of a thousand. */
static void test_moves_with_every_packet_keep_two_paths_and_flat_memory(void **state)
{
    enum { PACKETS = 20000 };
    static const uint32_t places[] = {2, 3, 1000};
    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct attack a = attack_new();
        const struct endpoint home = a.from;
        for (uint32_t n = 0; n < PACKETS; n++) {
            uint8_t payload[64];
            struct writer w = writer_of(payload, sizeof payload);
            uint32_t place = n % places[i];
            a.from = place == 0 ? home : forged(place);
            attack_ack(&w, 0, 0); /* so that it elicits nothing but what concerns paths */
            frame_write_padding(&w, 1);
            attack_give(&a, &w);
            (void)attack_pass(&a, 200);
        }
        assert_true(attack_metric(&a, METRIC_CONNECTIONS_MOVED) > PACKETS / 2);
        /* Nothing grows with the number of moves but the records of challenges, which end at
         * sent_packets. */
        attack_expect_peak(&a, ATTACK_RECORDS_BYTES);
        assert_true(a.datagrams <= 2 * PACKETS);
        a.from = home;
        attack_expect_alive(&a);
        attack_end(&a);
    }
}

/* The same from an address of its own that answers: a validated path may be left and taken again
 * for ever. */
static void test_a_peer_that_answers_everywhere_moves_for_ever_in_flat_memory(void **state)
{
    enum { ROUNDS = 400 };
    (void)state;
    struct attack a = attack_new();
    struct pair *p = a.p;
    uint64_t at_100 = 0;
    p->side[0].conn = &reseal_only(p, 0)->base;
    for (unsigned n = 0; n < ROUNDS; n++) {
        p->side[0].address = endpoint_ip4(10, 0, 1, (uint8_t)(n % 200), 4000);
        quic_transport.network_changed(p->side[0].transport, p->now_us);
        pair_run(p, 200000);
        if (n == 100) at_100 = p->counter.live_bytes;
    }
    assert_true(attack_victim(&a)->moves >= ROUNDS - 1);
    assert_null(attack_victim(&a)->fallback);
    assert_true(p->counter.live_bytes <= at_100 + 2048);
    assert_int_equal(reseal_only(p, 0)->phase, QUIC_UP);
    attack_end(&a);
}

/* RFC 9000 9.3.3 and 9.5: what an off-path attacker can do is send old packets again. */
static void test_old_packets_replayed_after_a_migration_move_nothing_back(void **state)
{
    enum { KEPT = 50, REPLAYS = 2000 };
    (void)state;
    struct attack a = attack_new();
    static uint8_t kept[KEPT][200];
    size_t len[KEPT];
    const struct endpoint old = a.from;
    for (unsigned i = 0; i < KEPT; i++) {
        uint8_t payload[64];
        struct writer w = writer_of(payload, sizeof payload);
        challenge(&w, i);
        frame_write_ping(&w);
        len[i] = attack_seal(&a, payload, writer_len(&w), kept[i], sizeof kept[i]);
        /* The last ten are held back: they arrive for the first time when they are old. */
        if (i < KEPT - 10) attack_inject(&a, kept[i], len[i]);
    }
    const struct endpoint moved = endpoint_ip4(10, 0, 0, 77, 4000);
    uint8_t ping = FRAME_PING, out[100];
    a.from = moved;
    size_t n = attack_seal(&a, &ping, 1, out, sizeof out);
    attack_inject(&a, out, n);
    (void)attack_pass(&a, 1000);
    assert_int_equal(attack_metric(&a, METRIC_CONNECTIONS_MOVED), 1);
    attack_begin(&a);
    a.watched = endpoint_ip4(203, 0, 113, 9, 9);
    for (unsigned i = 0; i < REPLAYS; i++) {
        a.from = i % 2 == 0 ? old : a.watched;
        uint8_t copy[200];
        memcpy(copy, kept[i % KEPT], len[i % KEPT]);
        attack_inject(&a, copy, len[i % KEPT]);
        (void)attack_drain(&a);
    }
    const struct connection *victim = attack_victim(&a);
    assert_int_equal(attack_metric(&a, METRIC_CONNECTIONS_MOVED), 1);
    assert_true(endpoint_equal(&victim->path.remote, &moved));
    attack_expect_peak(&a, 16384);
    assert_true(a.datagrams <= 30);
    attack_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path_challenges_under_a_collapsed_window_do_not_queue),
        cmocka_unit_test(
            test_path_challenges_from_many_forged_addresses_cost_each_threefold_at_most),
        cmocka_unit_test(test_a_move_to_a_strangers_address_sends_there_threefold_at_most),
        cmocka_unit_test(test_moves_with_every_packet_keep_two_paths_and_flat_memory),
        cmocka_unit_test(test_a_peer_that_answers_everywhere_moves_for_ever_in_flat_memory),
        cmocka_unit_test(test_old_packets_replayed_after_a_migration_move_nothing_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
