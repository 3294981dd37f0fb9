/* SPDX-License-Identifier: MIT */
/* Goal: what a connection learns from acknowledgements beside loss: congestion marks (RFC 9000
 * 13.4), how often to be acknowledged, and who acknowledges what it did not get (21.4). Method:
 * pairs on a wire that wipes, sets and swallows marks; counts of datagrams and allocations. */
#include "moves.h"

enum { MIB = 1 << 20, ECT0 = 2, CE = 3 };

struct marks {
    unsigned bleach, swallow; /* 1: all marked datagrams */
    unsigned ce_every;        /* 0: none */
    uint64_t marked, seen;
};
static struct marks marks;

static bool mark(struct moves *m, int from, uint8_t *bytes, size_t len)
{
    struct pair *p = m->p;
    (void)bytes;
    (void)len;
    if (from != 0) return true;
    marks.seen++;
    if (p->ecn == 0) return true;
    assert_int_equal(p->ecn, ECT0);
    marks.marked++;
    if (marks.swallow) return false;
    if (marks.bleach) p->ecn = 0;
    if (marks.ce_every != 0 && marks.marked % marks.ce_every == 0) p->ecn = CE;
    return true;
}

static struct pair *marked(struct moves *m, struct marks wire)
{
    struct pair *p = moves_pair(m);
    m->more = mark;
    marks = wire;
    return p;
}

static void carry(struct pair *p, struct flow *f, uint64_t bytes)
{
    flow_open(p, f, 0, bytes);
    (void)flow_run(p, f, 1, 120000000);
    flow_expect_whole(f);
}

static void test_a_path_that_carries_marks_is_marked_throughout(void **state)
{
    (void)state;
    struct moves m;
    struct flow f;
    struct conn_info info;
    struct pair *p = marked(&m, (struct marks){0});
    carry(p, &f, 2 * MIB);
    assert_int_equal(reseal_side(p, 0)->ecn.state, ECN_CAPABLE);
    connection_info(p->side[0].conn, &info);
    assert_true(info.ecn);
    assert_true(marks.marked * 10 > marks.seen * 9);
    assert_int_equal(moves_metric(p, 0, METRIC_ECN_FAILED), 0);
    assert_int_equal(reseal_side(p, 0)->congestion.events, 0);
    pair_free(p);
}

static void test_a_path_that_wipes_or_swallows_marks_is_left_unmarked(void **state)
{
    (void)state;
    for (unsigned swallow = 0; swallow < 2; swallow++) {
        struct moves m;
        struct flow f;
        struct pair *p = pair_new(NULL, NULL);
        memset(&m, 0, sizeof m);
        m.p = p;
        m.more = mark;
        marks = (struct marks){.bleach = !swallow, .swallow = swallow};
        pair_connect(p);
        p->filter = moves_filter;
        p->context = &m;
        carry(p, &f, 2 * MIB);
        assert_int_equal(reseal_side(p, 0)->ecn.state, ECN_FAILED);
        assert_int_equal(moves_metric(p, 0, METRIC_ECN_FAILED), 1);
        assert_true(marks.marked < 200);
        pair_free(p);
    }
}

static void test_marks_of_congestion_shrink_the_window_once_per_round_without_a_loss(void **state)
{
    (void)state;
    struct moves m;
    struct flow f;
    struct pair *p = marked(&m, (struct marks){.ce_every = 20});
    flow_open(p, &f, 0, 200 * MIB);
    uint64_t start = p->now_us;
    (void)flow_run(p, &f, 1, 3000000);
    const struct connection *c = reseal_side(p, 0);
    uint64_t rounds = (p->now_us - start) / (2 * p->delay_us);
    assert_in_range(c->congestion.events, 5, rounds + 1);
    assert_int_equal(c->congestion.events, moves_metric(p, 0, METRIC_ECN_CONGESTION));
    assert_int_equal(c->loss.lost_packets, 0);
    assert_true(c->congestion.window_bytes < 200000);
    pair_free(p);
}

static void test_marks_survive_a_move_and_the_way_back(void **state)
{
    (void)state;
    for (int told = 0; told < 2; told++) {
        struct moves m;
        struct flow f;
        struct pair *p = marked(&m, (struct marks){0});
        carry(p, &f, MIB);
        for (uint8_t host = 60; host < 63; host++) {
            if (told)
                moves_told(p, 0, host);
            else
                (void)moves_to(p, 0, host, 4000);
            carry(p, &f, MIB);
        }
        /* The listener moves too: then the sender has another path. */
        (void)moves_to(p, 1, 70, 4000);
        flow_open(p, &f, 1, 100);
        (void)flow_run(p, &f, 1, 1000000);
        carry(p, &f, 2 * MIB);
        assert_int_equal(reseal_side(p, 0)->ecn.state, ECN_CAPABLE);
        assert_int_equal(moves_metric(p, 0, METRIC_ECN_FAILED), 0);
        /* One that leads nowhere, and back. */
        m.mute[1] = true;
        moves_told(p, 0, 80);
        pair_run(p, 3500000);
        m.mute[1] = false;
        pair_run(p, 3000000);
        carry(p, &f, 2 * MIB);
        assert_int_equal(moves_metric(p, 0, METRIC_ECN_FAILED), 0);
        assert_int_equal(reseal_side(p, 0)->ecn.state, ECN_CAPABLE);
        pair_free(p);
    }
}

static void test_a_peer_that_lies_about_marks_only_ends_the_marking(void **state)
{
    (void)state;
    static const struct {
        uint64_t ect0, ect1, ce;
    } lies[] = {{0, 0, 0}, {1 << 20, 0, 0}, {0, 50, 0}, {0, 0, 1 << 20}};
    for (unsigned i = 0; i < 4; i++) {
        struct moves m;
        struct flow f;
        uint8_t bytes[64];
        struct pair *p = marked(&m, (struct marks){0});
        carry(p, &f, MIB);
        pair_run(p, 1000000);
        m.mute[1] = true; /* from now on the peer speaks through us */
        flow_open(p, &f, 0, 1000);
        (void)flow_run(p, &f, 1, 1000);
        struct connection *c = reseal_side(p, 0);
        uint64_t largest = loss_next_number(&c->loss, LOSS_APPLICATION) - 1,
                 window = c->congestion.window_bytes;
        struct writer w = writer_of(bytes, sizeof bytes);
        writer_u8(&w, 0x03);
        writer_varint(&w, largest);
        writer_varint(&w, 0);
        writer_varint(&w, 0);
        writer_varint(&w, 0);
        writer_varint(&w, lies[i].ect0);
        writer_varint(&w, lies[i].ect1);
        writer_varint(&w, lies[i].ce);
        reseal_give(p, 1, PACKET_SHORT, bytes, writer_len(&w));
        assert_int_equal(c->phase, QUIC_UP);
        assert_int_equal(c->ecn.state, ECN_FAILED);
        assert_int_equal(c->congestion.window_bytes, window);
        pair_free(p);
    }
}

/* Datagrams of the receiver for 1000 of the sender, in the last part of a transfer. */
static uint64_t answers_per_1000(bool seldom)
{
    struct pair *p = pair_new(NULL, NULL);
    struct flow f;
    pair_connect(p);
    if (!seldom) reseal_side(p, 0)->peer_min_ack_us = PARAMS_ABSENT;
    flow_open(p, &f, 0, 30 * MIB);
    while (f.read < 15 * MIB) (void)flow_run(p, &f, 1, 10000);
    uint64_t sent = p->side[0].datagrams, answers = p->side[1].datagrams;
    (void)flow_run(p, &f, 1, 60000000);
    flow_expect_whole(&f);
    answers = (p->side[1].datagrams - answers) * 1000 / (p->side[0].datagrams - sent);
    pair_free(p);
    return answers;
}

static void test_bulk_is_acknowledged_more_seldom_when_the_peer_asks(void **state)
{
    (void)state;
    uint64_t often = answers_per_1000(false), seldom = answers_per_1000(true);
    print_message("acknowledging datagrams for 1000 packets: %llu, asked for fewer: %llu\n",
                  (unsigned long long)often, (unsigned long long)seldom);
    assert_true(seldom * 4 < often);
    assert_true(seldom > 5); /* several per round trip all the same */
}

static void test_a_request_takes_one_round_trip_after_bulk_as_before(void **state)
{
    (void)state;
    struct moves m;
    struct flow f, answer;
    struct pair *p = moves_pair(&m);
    for (int after = 0; after < 2; after++) {
        for (unsigned i = 0; i < 5; i++) {
            uint64_t start = p->now_us;
            flow_open(p, &f, 0, 300);
            (void)flow_run(p, &f, 1, 1000000);
            flow_open(p, &answer, 1, 300);
            (void)flow_run(p, &answer, 1, 1000000);
            flow_expect_whole(&answer);
            assert_in_range(p->now_us - start, 2 * p->delay_us, 2 * p->delay_us + 2000);
        }
        if (after == 0) {
            carry(p, &f, 8 * MIB);
            pair_run(p, 1000000);
        }
    }
    pair_free(p);
}

static void test_a_long_transfer_leaves_numbers_out_and_allocates_nothing(void **state)
{
    (void)state;
    struct moves m;
    struct flow f;
    struct pair *p = moves_pair(&m);
    flow_open(p, &f, 0, 60 * MIB);
    while (f.read < 30 * MIB) (void)flow_run(p, &f, 1, 10000);
    uint64_t calls = p->counter.calls, skipped = moves_metric(p, 0, METRIC_NUMBERS_SKIPPED);
    (void)flow_run(p, &f, 1, 60000000);
    flow_expect_whole(&f);
    assert_int_equal(p->counter.calls, calls);
    assert_true(moves_metric(p, 0, METRIC_NUMBERS_SKIPPED) > skipped);
    assert_int_equal(reseal_side(p, 0)->loss.lost_packets, 0);
    pair_free(p);
}

static void test_who_acknowledges_a_number_that_was_left_out_is_closed(void **state)
{
    (void)state;
    struct moves m;
    struct flow f;
    uint8_t bytes[32];
    struct pair *p = moves_pair(&m);
    struct connection *c = reseal_side(p, 0);
    uint64_t before = moves_metric(p, 0, METRIC_NUMBERS_SKIPPED), end = p->now_us + 60000000;
    flow_open(p, &f, 0, 400 * MIB);
    while (moves_metric(p, 0, METRIC_NUMBERS_SKIPPED) == before && p->now_us < end)
        (void)flow_run(p, &f, 1, 1000);
    const struct sent *sent = &c->loss.spaces[LOSS_APPLICATION].sent;
    assert_true(sent->skips > 0);
    uint64_t skipped = sent->skipped[(sent->skips - 1) % SENT_SKIPPED_KEPT];
    assert_true(skipped < sent->next);
    struct writer w = writer_of(bytes, sizeof bytes);
    writer_u8(&w, 0x02);
    writer_varint(&w, skipped);
    writer_varint(&w, 0);
    writer_varint(&w, 0);
    writer_varint(&w, 0);
    reseal_give(p, 1, PACKET_SHORT, bytes, writer_len(&w));
    assert_int_equal(c->close_code, QUIC_PROTOCOL_VIOLATION);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_path_that_carries_marks_is_marked_throughout),
        cmocka_unit_test(test_a_path_that_wipes_or_swallows_marks_is_left_unmarked),
        cmocka_unit_test(test_marks_of_congestion_shrink_the_window_once_per_round_without_a_loss),
        cmocka_unit_test(test_marks_survive_a_move_and_the_way_back),
        cmocka_unit_test(test_a_peer_that_lies_about_marks_only_ends_the_marking),
        cmocka_unit_test(test_bulk_is_acknowledged_more_seldom_when_the_peer_asks),
        cmocka_unit_test(test_a_request_takes_one_round_trip_after_bulk_as_before),
        cmocka_unit_test(test_a_long_transfer_leaves_numbers_out_and_allocates_nothing),
        cmocka_unit_test(test_who_acknowledges_a_number_that_was_left_out_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
