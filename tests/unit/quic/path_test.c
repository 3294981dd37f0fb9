/* SPDX-License-Identifier: MIT */
/* Goal: a connection follows its peer to another address without losing a byte, and nobody leads it
 * to where it was not (RFC 9000 8.2 and 9). Method: moves.h: sides that change their addresses with
 * and without knowing, wires that lose, delay and swallow, and an eye on what is sent where. */
#include "moves.h"

enum { MIB = 1 << 20 };

static void both_ways(struct pair *p, struct flow f[2], uint64_t bytes)
{
    for (int i = 0; i < 2; i++) flow_open(p, &f[i], i, bytes);
}

static void finish(struct pair *p, struct flow *f, size_t count)
{
    (void)flow_run(p, f, count, 120000000);
    for (size_t i = 0; i < count; i++) flow_expect_whole(&f[i]);
    pair_run(p, 3000000);
}

/* Until `side` has noticed a move. */
static void until_moved(struct pair *p, struct flow *f, size_t count, int side)
{
    uint64_t before = moves_metric(p, side, METRIC_CONNECTIONS_MOVED), end = p->now_us + 10000000;
    while (moves_metric(p, side, METRIC_CONNECTIONS_MOVED) == before && p->now_us < end)
        assert_true(flow_run(p, f, count, 1000) > 0); /* else all bytes are there already */
    assert_true(p->now_us < end);
}

static void test_a_nat_that_forgets_in_the_midst_of_bulk_costs_no_byte(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++) {
        for (int host = 0; host < 2; host++) {
            struct moves m;
            struct flow f[2];
            struct pair *p = moves_pair(&m);
            both_ways(p, f, 8 * MIB);
            (void)flow_run(p, f, 2, 150000);
            const struct connection *c = reseal_side(p, 1 - side);
            uint64_t window = c->congestion.window_bytes;
            if (host)
                (void)moves_to(p, side, 77, 4000);
            else
                moves_to_port(p, side, 4777);
            until_moved(p, f, 2, 1 - side);
            assert_true(host ? c->congestion.window_bytes < window &&
                                   c->congestion.window_bytes < 20000
                             : c->congestion.window_bytes >= window);
            assert_int_equal(rtt_is_sampled(&c->rtt), !host);
            assert_false(c->path.validated);
            finish(p, f, 2);
            assert_int_equal(p->side[1 - side].moves, 1);
            assert_int_equal(p->side[side].moves, 0);
            assert_int_equal(reseal_side(p, 1 - side)->moves, 1);
            assert_int_equal(reseal_side(p, side)->moves, 0);
            assert_int_equal(moves_metric(p, 1 - side, METRIC_PATHS_VALIDATED), 1);
            assert_int_equal(moves_metric(p, 1 - side, METRIC_PATHS_FAILED), 0);
            /* No id was changed: the NAT forgot, nobody chose. */
            for (int i = 0; i < 2; i++) assert_int_equal(reseal_side(p, i)->path.remote_id, 0);
            moves_expect_settled(p);
            moves_expect_ids(p);
            pair_free(p);
        }
    }
}

static void test_until_it_answers_an_address_gets_threefold_and_both_paths_are_challenged(
    void **state)
{
    (void)state;
    struct moves m;
    struct flow f;
    struct pair *p = moves_pair(&m);
    struct endpoint old = p->side[0].address;
    m.look = true;
    flow_open(p, &f, 1, 8 * MIB); /* the listener has enough to say */
    (void)flow_run(p, &f, 1, 100000);
    (void)moves_to(p, 0, 77, 4000);
    m.deaf = true;
    m.deaf_address = p->side[0].address;
    until_moved(p, &f, 1, 1);
    m.mute[0] = true; /* its first words are all that comes from there */
    struct moves_place *fresh = moves_place(&m, &p->side[0].address), *left = moves_place(&m, &old);
    uint64_t asked_before = left->challenges, end = p->now_us + 2900000;
    while (p->now_us < end) {
        (void)flow_run(p, &f, 1, 10000);
        assert_true(fresh->to_bytes <= 3 * fresh->from_bytes);
    }
    assert_true(fresh->to_bytes + 64 > 3 * reseal_side(p, 1)->path.bytes_in);
    assert_int_equal(fresh->to_bytes, reseal_side(p, 1)->path.bytes_out);
    assert_true(fresh->challenges >= 1);
    assert_in_range(left->challenges - asked_before, 1, PATH_CHALLENGE_TRIES);
    assert_int_equal(p->side[1].moves, 0);
    /* It goes back to where it was heard. */
    pair_run(p, 200000);
    assert_int_equal(moves_metric(p, 1, METRIC_PATHS_FAILED), 1);
    assert_true(endpoint_equal(&reseal_side(p, 1)->path.remote, &old));
    assert_null(reseal_side(p, 1)->fallback);
    assert_int_equal(p->side[1].moves, 0);
    /* And when the network is there again, it follows once more. */
    m.mute[0] = m.deaf = false;
    finish(p, &f, 1);
    assert_int_equal(p->side[1].moves, 1);
    moves_expect_settled(p);
    pair_free(p);
}

static void test_challenges_and_answers_fill_datagrams_where_they_may(void **state)
{
    (void)state;
    struct moves m;
    struct pair *p = moves_pair(&m);
    struct endpoint old = p->side[0].address;
    m.look = true;
    (void)moves_to(p, 0, 77, 4000);
    moves_ping(p, 0); /* a small packet: no whole datagram may go back at first */
    struct moves_place *fresh = moves_place(&m, &p->side[0].address),
                       *listener = moves_place(&m, &p->side[1].address);
    pair_run(p, p->delay_us + 1);
    assert_int_equal(fresh->challenges, 1);
    assert_true(fresh->to_bytes <= 3 * fresh->from_bytes);
    assert_int_equal(fresh->to_small, fresh->to_datagrams);
    pair_run(p, p->delay_us);
    assert_int_equal(listener->responses, 1);
    assert_int_equal(listener->whole_responses, 1);
    pair_run(p, 500000);
    assert_int_equal(p->side[1].moves, 1);
    /* The second challenge fills a datagram. */
    assert_int_equal(fresh->challenges, 2);
    assert_true(fresh->to_small < fresh->to_datagrams);
    assert_int_equal(listener->responses, 2);
    assert_int_equal(moves_place(&m, &old)->challenges, 1);
    moves_expect_settled(p);
    pair_free(p);
}

static void test_lost_challenges_are_asked_again_ever_more_seldom(void **state)
{
    (void)state;
    struct moves m;
    struct pair *p = moves_pair(&m);
    m.look = true;
    m.deaf = true;
    p->counter.fail_at = 0;
    (void)moves_to(p, 0, 77, 4000);
    m.deaf_address = p->side[0].address;
    /* Without memory for a way back: it asks where it is. */
    struct connection *c = reseal_side(p, 1);
    uint64_t max = p->side[1].budget.max;
    p->side[1].budget.max = p->side[1].budget.used;
    moves_ping(p, 0);
    pair_run(p, p->delay_us + 1);
    p->side[1].budget.max = max;
    assert_null(c->fallback);
    assert_true(c->path.asks);
    pair_run(p, 20000000);
    struct moves_place *fresh = moves_place(&m, &p->side[0].address);
    assert_in_range(fresh->challenges, 7, 12);
    for (unsigned i = 2; i + 1 < fresh->challenges && i < 15; i++) {
        uint64_t gap = fresh->asked_us[i] - fresh->asked_us[i - 1],
                 next = fresh->asked_us[i + 1] - fresh->asked_us[i];
        assert_true(next + 100000 >= gap);
        assert_in_range(next, 100000, 3100000);
    }
    assert_true(fresh->to_bytes <= 3 * fresh->from_bytes);
    m.deaf = false;
    pair_run(p, 6000000);
    moves_expect_settled(p);
    assert_int_equal(p->side[1].moves, 1);
    pair_free(p);
}

static struct endpoint attacker(void)
{
    return endpoint_ip4(10, 9, 9, 9, 999);
}

/* Whoever sees the wire sends a copy of each datagram of side 0 from elsewhere, and is faster. */
static bool overtake(struct moves *m, int from, uint8_t *bytes, size_t len)
{
    struct endpoint elsewhere = attacker();
    struct pair *p = m->p;
    if (from == 0) {
        moves_place(m, &elsewhere)->from_bytes += len;
        pair_post(p, 1, &elsewhere, bytes, len, p->now_us + p->delay_us / 2);
    }
    return true;
}

static bool overtake_and_swallow(struct moves *m, int from, uint8_t *bytes, size_t len)
{
    (void)overtake(m, from, bytes, len);
    return from != 0;
}

static void test_a_forger_who_replays_one_packet_from_elsewhere_is_undone_by_the_next(void **state)
{
    (void)state;
    struct moves m;
    struct pair *p = moves_pair(&m);
    struct endpoint elsewhere = attacker();
    uint64_t window = reseal_side(p, 1)->congestion.window_bytes;
    m.more = overtake;
    moves_ping(p, 0);
    m.more = NULL;
    pair_run(p, p->delay_us);
    assert_true(endpoint_equal(&reseal_side(p, 1)->path.remote, &elsewhere));
    /* The peer, quiet as it is, answers the challenge on the old path with more than an answer. */
    pair_run(p, 3 * p->delay_us);
    assert_true(endpoint_equal(&reseal_side(p, 1)->path.remote, &p->side[0].address));
    assert_true(rtt_is_sampled(&reseal_side(p, 1)->rtt));
    assert_int_equal(reseal_side(p, 1)->congestion.window_bytes, window);
    assert_int_equal(moves_metric(p, 1, METRIC_CONNECTIONS_MOVED), 2);
    pair_run(p, 5000000);
    moves_expect_settled(p);
    assert_int_equal(p->side[0].moves + p->side[1].moves, 0);
    struct moves_place *there = moves_place(&m, &elsewhere);
    assert_true(there->to_bytes <= 3 * there->from_bytes);
    pair_free(p);
}

static void test_a_forger_who_replays_all_packets_from_elsewhere_stops_nothing(void **state)
{
    (void)state;
    struct moves m;
    struct flow f[2];
    struct pair *p = moves_pair(&m);
    struct endpoint elsewhere = attacker();
    both_ways(p, f, 200000);
    m.more = overtake;
    (void)flow_run(p, f, 2, 2000000);
    m.more = NULL;
    finish(p, f, 2);
    moves_expect_settled(p);
    assert_int_equal(p->side[0].moves + p->side[1].moves, 0);
    struct moves_place *there = moves_place(&m, &elsewhere);
    assert_true(there->to_bytes <= 3 * there->from_bytes);
    pair_free(p);
}

static void test_a_new_address_that_does_not_answer_is_given_up_with_all_its_memory(void **state)
{
    (void)state;
    struct moves m;
    struct flow f;
    struct pair *p = moves_pair(&m);
    flow_open(p, &f, 1, 40 * MIB);
    (void)flow_run(p, &f, 1, 300000);
    const struct connection *c = reseal_side(p, 1);
    uint64_t smoothed = c->rtt.smoothed_us;
    uint32_t bytes = c->datagram_bytes;
    assert_true(bytes > 1400); /* found on the way */
    m.more = overtake_and_swallow;
    until_moved(p, &f, 1, 1);
    m.more = NULL;
    m.mute[0] = true;
    assert_int_equal(c->datagram_bytes, 1200);
    /* Nothing of the old path fills this window, but for the challenge there. */
    assert_true(c->loss.in_flight_bytes <= c->path.bytes_out + 1200);
    pair_run(p, 3100000);
    assert_int_equal(moves_metric(p, 1, METRIC_PATHS_FAILED), 1);
    assert_true(endpoint_equal(&c->path.remote, &p->side[0].address));
    assert_int_equal(c->datagram_bytes, bytes);
    assert_in_range(c->rtt.smoothed_us, smoothed / 2, 2 * smoothed);
    assert_int_equal(p->side[1].moves, 0);
    m.mute[0] = false;
    finish(p, &f, 1);
    moves_expect_settled(p);
    assert_int_equal(p->side[1].moves, 0);
    pair_free(p);
}

static void test_late_packets_from_the_old_address_do_not_move_it_back(void **state)
{
    (void)state;
    struct moves m;
    struct flow f[2];
    struct pair *p = moves_pair(&m);
    both_ways(p, f, 2 * MIB);
    m.reorder_us = 60000;
    (void)flow_run(p, f, 2, 400000);
    uint64_t moved = moves_metric(p, 1, METRIC_CONNECTIONS_MOVED);
    assert_int_equal(moved, 0);
    (void)moves_to(p, 0, 77, 4000);
    finish(p, f, 2);
    assert_int_equal(moves_metric(p, 1, METRIC_CONNECTIONS_MOVED), 1);
    assert_int_equal(p->side[1].moves, 1);
    moves_expect_settled(p);
    pair_free(p);
}

/* A packet of side 0 from some address, sealed with the real keys. */
static void give_from(struct pair *p, const struct endpoint *from, const struct writer *w)
{
    uint8_t out[2048];
    size_t len = reseal_packet(reseal_side(p, 0), PACKET_SHORT, w->start, writer_len(w), 0,
                               p->now_us, out, sizeof out);
    moves_place(p->context, from)->from_bytes += len;
    pair_inject(p, 1, from, out, len);
    pair_send(p, 1);
}

static void test_probing_frames_alone_are_answered_and_move_nothing(void **state)
{
    (void)state;
    struct moves m;
    struct pair *p = moves_pair(&m);
    struct endpoint elsewhere = attacker();
    uint8_t bytes[1500];
    m.look = true;
    for (unsigned i = 0; i < 20; i++) {
        struct writer w = writer_of(bytes, sizeof bytes);
        assert_true(frame_write_path_challenge(&w, (const uint8_t *)"probing!"));
        assert_true(frame_write_padding(&w, i % 2 == 0 ? 20 : 1100));
        give_from(p, &elsewhere, &w);
        struct moves_place *there = moves_place(&m, &elsewhere);
        assert_int_equal(there->responses, i + 1);
        assert_true(there->to_bytes <= 3 * there->from_bytes);
        assert_int_equal(there->challenges, 0);
        assert_int_equal(there->pings, 0);
    }
    assert_int_equal(moves_metric(p, 1, METRIC_CONNECTIONS_MOVED), 0);
    assert_true(endpoint_equal(&reseal_side(p, 1)->path.remote, &p->side[0].address));
    assert_true(moves_place(&m, &elsewhere)->whole_responses > 5);
    /* Then the peer goes there: what the probe was sent counts against the limit. */
    struct writer w = writer_of(bytes, sizeof bytes);
    assert_true(frame_write_ping(&w));
    struct flow f;
    flow_open(p, &f, 1, MIB);
    flow_write(p, &f);
    quic_transport.on_turn(p->side[1].transport, p->now_us);
    give_from(p, &elsewhere, &w);
    assert_true(endpoint_equal(&reseal_side(p, 1)->path.remote, &elsewhere));
    pair_send(p, 1);
    assert_true(moves_place(&m, &elsewhere)->to_bytes <=
                3 * moves_place(&m, &elsewhere)->from_bytes);
    assert_null(reseal_side(p, 1)->probe);
    pair_free(p);
}

static void test_a_second_move_before_the_first_has_answered_is_one_move(void **state)
{
    (void)state;
    for (int told = 0; told < 2; told++) {
        struct moves m;
        struct flow f[2];
        struct pair *p = moves_pair(&m);
        both_ways(p, f, 2 * MIB);
        (void)flow_run(p, f, 2, 300000);
        for (uint8_t n = 0; n < 5; n++) {
            if (told)
                moves_told(p, 0, (uint8_t)(60 + n));
            else
                (void)moves_to(p, 0, (uint8_t)(60 + n), 4000);
            (void)flow_run(p, f, 2, p->delay_us + 2000);
        }
        finish(p, f, 2);
        assert_int_equal(p->side[1].moves, 1);
        assert_int_equal(p->side[0].moves, told);
        moves_expect_settled(p);
        /* Every id on the way was given back and replaced. */
        moves_expect_ids(p);
        for (int i = 0; i < 2 && told; i++) {
            const struct connection *c = reseal_side(p, i);
            assert_true(c->path.remote_id > 0);
            for (unsigned k = 0; k < QUIC_REMOTE_CIDS_MAX; k++)
                assert_true(c->remote_cids[k].sequence >= c->path.remote_id);
        }
        pair_free(p);
    }
}

static bool alternate(struct moves *m, int from, uint8_t *bytes, size_t len)
{
    struct pair *p = m->p;
    (void)bytes;
    (void)len;
    if (from == 0 && p->side[0].datagrams % 2 == 0) p->from = endpoint_ip4(10, 0, 1, 88, 4000);
    return true;
}

static void test_a_peer_that_moves_with_every_packet_is_served(void **state)
{
    (void)state;
    struct moves m;
    struct flow f[2];
    struct pair *p = moves_pair(&m);
    p->routed = false; /* both addresses are its own */
    m.more = alternate;
    both_ways(p, f, 200000);
    (void)flow_run(p, f, 2, 60000000);
    for (int i = 0; i < 2; i++) flow_expect_whole(&f[i]);
    assert_true(moves_metric(p, 1, METRIC_CONNECTIONS_MOVED) > 50);
    m.more = NULL;
    p->routed = true;
    moves_ping(p, 0);
    pair_run(p, 6000000);
    moves_expect_settled(p);
    moves_expect_ids(p);
    pair_free(p);
}

static void test_a_close_while_the_new_address_is_unproven_keeps_the_limit(void **state)
{
    (void)state;
    struct moves m;
    struct pair *p = moves_pair(&m);
    (void)moves_to(p, 0, 99, 4000);
    m.deaf = true;
    m.deaf_address = p->side[0].address;
    moves_ping(p, 0);
    pair_run(p, p->delay_us + 1);
    assert_false(reseal_side(p, 1)->path.validated);
    char text[120];
    memset(text, 'x', sizeof text);
    quic_transport.conn_close(p->side[1].conn, 7, text, sizeof text, p->now_us);
    pair_send(p, 1);
    struct moves_place *there = moves_place(&m, &p->side[0].address);
    for (unsigned i = 0; i < 40; i++) {
        moves_ping(p, 0);
        pair_run(p, 20000);
        assert_true(there->to_bytes <= 3 * there->from_bytes);
        if (i == 20) m.deaf = false;
    }
    assert_true(p->side[0].ended);
    assert_int_equal(p->side[0].end_reason, 7);
    pair_free(p);
}

static void test_a_probe_without_memory_is_not_answered_and_harms_nothing(void **state)
{
    (void)state;
    struct moves m;
    struct pair *p = moves_pair(&m);
    struct endpoint elsewhere = attacker();
    uint8_t bytes[64];
    uint64_t max = p->side[1].budget.max;
    p->side[1].budget.max = p->side[1].budget.used;
    struct writer w = writer_of(bytes, sizeof bytes);
    assert_true(frame_write_path_challenge(&w, (const uint8_t *)"probing!"));
    assert_true(frame_write_padding(&w, 20));
    give_from(p, &elsewhere, &w);
    assert_null(reseal_side(p, 1)->probe);
    assert_int_equal(moves_place(&m, &elsewhere)->to_bytes, 0);
    p->side[1].budget.max = max;
    pair_run(p, 2000000);
    give_from(p, &elsewhere, &w);
    assert_null(reseal_side(p, 1)->probe); /* it has its answer, and is forgotten */
    assert_true(moves_place(&m, &elsewhere)->to_bytes > 0);
    pair_free(p);
}

/* The listener that has the dialler's last words has no Handshake keys any more, and its
 * HANDSHAKE_DONE goes where the dialler was: what the dialler sends of its handshake is dropped
 * there, and moves nothing (RFC 9000 9). A PING beside it, under 1-RTT keys, does. */
static void test_a_dialler_that_moves_before_it_is_confirmed_is_found_again(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    p->routed = true;
    (void)pair_dial(p);
    uint64_t end_us = p->now_us + 1000000;
    pair_turn(p);
    while (!p->side[0].up && pair_step(p, end_us)) {
    }
    assert_true(p->side[0].up && !p->side[1].up);
    assert_false(reseal_side(p, 0)->confirmed);
    moves_to_port(p, 0, 4777);
    pair_run(p, 3000000);
    assert_true(p->side[1].up);
    assert_true(reseal_side(p, 0)->confirmed && reseal_side(p, 1)->confirmed);
    assert_int_equal(p->side[1].moves, 1);
    assert_true(endpoint_equal(&reseal_side(p, 1)->path.remote, &p->side[0].address));
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_nat_that_forgets_in_the_midst_of_bulk_costs_no_byte),
        cmocka_unit_test(
            test_until_it_answers_an_address_gets_threefold_and_both_paths_are_challenged),
        cmocka_unit_test(test_challenges_and_answers_fill_datagrams_where_they_may),
        cmocka_unit_test(test_lost_challenges_are_asked_again_ever_more_seldom),
        cmocka_unit_test(test_a_forger_who_replays_one_packet_from_elsewhere_is_undone_by_the_next),
        cmocka_unit_test(test_a_forger_who_replays_all_packets_from_elsewhere_stops_nothing),
        cmocka_unit_test(test_a_new_address_that_does_not_answer_is_given_up_with_all_its_memory),
        cmocka_unit_test(test_late_packets_from_the_old_address_do_not_move_it_back),
        cmocka_unit_test(test_probing_frames_alone_are_answered_and_move_nothing),
        cmocka_unit_test(test_a_second_move_before_the_first_has_answered_is_one_move),
        cmocka_unit_test(test_a_peer_that_moves_with_every_packet_is_served),
        cmocka_unit_test(test_a_close_while_the_new_address_is_unproven_keeps_the_limit),
        cmocka_unit_test(test_a_probe_without_memory_is_not_answered_and_harms_nothing),
        cmocka_unit_test(test_a_dialler_that_moves_before_it_is_confirmed_is_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
