/* SPDX-License-Identifier: MIT */
/* Goal: lies about what a path carries cost the liar, never more than a smaller window or no marks.
 * Method: paths that swallow what is too large, a peer that acknowledges probes which never came,
 * and ECN counts of every kind, against the same run without the lie. */
#include "attack.h"
#include "unit/quic/flow.h"

struct narrow {
    size_t most;
    uint64_t passed, swallowed;
};

static bool swallow(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    struct narrow *path = p->context;
    (void)from;
    (void)n;
    (void)bytes;
    path->passed += len <= path->most;
    path->swallowed += len > path->most;
    return len <= path->most;
}

/* CVE-2024-53259 (quic-go): nothing from outside brings it below 1200; and above, only what
 * arrives counts. */
static void test_a_path_that_swallows_large_datagrams_is_probed_and_not_flooded(void **state)
{
    static const size_t sizes[] = {1200, 1219, 1240, 1300, 1400, 1452, 1471, 1472};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct pair *p = pair_new(NULL, NULL);
        struct narrow path = {.most = sizes[i]};
        struct flow f;
        p->filter = swallow;
        p->context = &path;
        pair_connect(p);
        flow_open(p, &f, 0, 3 << 20);
        (void)flow_run(p, &f, 1, 60000000);
        flow_expect_whole(&f);
        /* A search takes some round trips more, if there is anything to send. */
        for (unsigned n = 0; n < 60; n++) {
            flow_open(p, &f, 0, 2000);
            (void)flow_run(p, &f, 1, 1000000);
            pair_run(p, 100000);
        }
        const uint64_t *m = p->side[0].metrics.value;
        assert_true(path.swallowed <= 3 * 8);
        assert_true(m[METRIC_PMTU_PROBES_SENT] <= 3 * 8);
        uint32_t found = reseal_only(p, 0)->datagram_bytes;
        assert_in_range(found, 1200, sizes[i]);
        assert_true(sizes[i] - found < PMTU_STEP_BYTES);
        assert_int_equal(m[METRIC_PMTU_BLACK_HOLES], 0);
        pair_free(p);
    }
}

/* It shrinks in the middle of a transfer. */
static void test_a_path_that_shrinks_costs_a_few_windows(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    struct narrow path = {.most = 1472};
    struct flow f;
    p->filter = swallow;
    p->context = &path;
    pair_connect(p);
    flow_open(p, &f, 0, 16 << 20);
    (void)flow_run(p, &f, 1, 100000);
    assert_false(f.at_end);
    assert_int_equal(reseal_only(p, 0)->datagram_bytes, 1472);
    path.most = 1200;
    (void)flow_run(p, &f, 1, 120000000);
    flow_expect_whole(&f);
    assert_int_equal(reseal_only(p, 0)->datagram_bytes, 1200);
    assert_true(p->side[0].metrics.value[METRIC_PMTU_BLACK_HOLES] >= 1);
    pair_free(p);
}

/* Everything is acknowledged, and what is larger than 1200 never came: the liar gets datagrams that
 * its path does not carry, of the ceiling's size and no larger. */
static void test_a_peer_that_acknowledges_probes_that_never_came_starves_itself(void **state)
{
    static const uint8_t zeros[65536];
    (void)state;
    struct attack a = attack_new();
    a.look = false;
    struct stream *s = attack_feed(&a);
    for (unsigned i = 0; i < 200 && attack_is_up(&a); i++) {
        uint8_t payload[64];
        struct writer w = writer_of(payload, sizeof payload);
        uint64_t last = attack_next_number(&a) - 1;
        const struct sent_packet *sent =
            sent_get(&attack_victim(&a)->loss.spaces[LOSS_APPLICATION].sent, last);
        if (sent != NULL && (sent->flags & SENT_UNSENT) == 0) attack_ack(&w, last, last);
        frame_write_max_data(&w, UINT64_C(1) << 30);
        frame_write_max_stream_data(&w, s->id, UINT64_C(1) << 30);
        attack_give(&a, &w);
        (void)stream_write(s, zeros, sizeof zeros, false, false, a.p->now_us);
        quic_transport.on_turn(a.p->side[1].transport, a.p->now_us);
        (void)attack_pass(&a, 10000);
    }
    assert_true(a.largest <= 1472);
    /* And now nothing any more. Back to what every path carries, and seldom. */
    uint64_t before = a.datagrams;
    (void)attack_pass(&a, 20000000);
    assert_int_equal(attack_victim(&a)->datagram_bytes, 1200);
    assert_true(a.datagrams - before < 400);
    attack_end(&a);
}

struct lie {
    const char *name;
    bool has_counts;
    int64_t ect0, ect1, ce; /* per marked packet, in thousandths */
};

/* @return the largest window in 60 rounds */
static uint64_t window_with(const struct lie *lie, bool *marks)
{
    static const uint8_t zeros[65536];
    struct attack a = attack_new();
    a.look = false;
    struct stream *s = attack_feed(&a);
    uint64_t most = 0, before = attack_victim(&a)->ecn.ect0; /* told honestly */
    for (unsigned i = 0; i < 60 && attack_is_up(&a); i++) {
        uint8_t payload[100];
        struct writer w = writer_of(payload, sizeof payload);
        struct connection *v = attack_victim(&a);
        uint64_t first = v->loss.spaces[LOSS_APPLICATION].sent.base;
        uint64_t next = attack_next_number(&a);
        if (next > first + 1) {
            struct range range = {first, next};
            int64_t sent = (int64_t)(v->ecn.sent - before);
            uint64_t ecn[3] = {before + (uint64_t)(sent * lie->ect0 / 1000),
                               (uint64_t)(sent * lie->ect1 / 1000),
                               (uint64_t)(sent * lie->ce / 1000)};
            for (uint64_t n = next - 1; n > first; n--) { /* none that was skipped */
                const struct sent_packet *p = sent_get(&v->loss.spaces[LOSS_APPLICATION].sent, n);
                if (p != NULL && (p->flags & SENT_UNSENT) != 0) {
                    range.start = n + 1;
                    break;
                }
            }
            if (range.start < range.end)
                assert_true(frame_write_ack(&w, &range, 1, 1, 0, lie->has_counts ? ecn : NULL));
        }
        frame_write_max_data(&w, UINT64_C(1) << 30);
        frame_write_max_stream_data(&w, s->id, UINT64_C(1) << 30);
        attack_give(&a, &w);
        (void)stream_write(s, zeros, sizeof zeros, false, false, a.p->now_us);
        quic_transport.on_turn(a.p->side[1].transport, a.p->now_us);
        (void)attack_pass(&a, 20000);
        if (v->congestion.window_bytes > most) most = v->congestion.window_bytes;
    }
    assert_true(attack_is_up(&a));
    *marks = ecn_mark(&attack_victim(&a)->ecn, a.p->now_us) == ACK_ECN_ECT0;
    uint64_t window = attack_victim(&a)->congestion.window_bytes;
    assert_true(window >= 2 * 1200);
    attack_end(&a);
    return most;
}

/* RFC 9000 21.8 and 13.4.2. */
static void test_ecn_lies_switch_marks_off_or_shrink_the_window(void **state)
{
    static const struct lie truth = {"the truth", true, 1000, 0, 0};
    static const struct lie lies[] = {{"no counts", false, 0, 0, 0},
                                      {"counts of nothing", true, 0, 0, 0},
                                      {"half of them", true, 500, 0, 0},
                                      {"twice as many", true, 2000, 0, 0},
                                      {"ECT(1)", true, 1000, 1000, 0},
                                      {"all CE", true, 0, 0, 1000},
                                      {"half CE", true, 500, 0, 500},
                                      {"more CE than packets", true, 1000, 0, 100000},
                                      {"everything at once", true, 9000, 9000, 9000}};
    (void)state;
    bool marks;
    uint64_t honest = window_with(&truth, &marks);
    assert_true(marks);
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        uint64_t window = window_with(&lies[i], &marks);
        bool believable = lies[i].ect0 + lies[i].ce == 1000 && lies[i].ect1 == 0;
        /* What is believed shrinks the window until probe timeouts stop the marks for a while. */
        if (marks && !believable) fail_msg("%s: is believed", lies[i].name);
        if (window > honest + honest / 10 || (lies[i].ce > 0 && believable && window >= honest))
            fail_msg("%s: a window of %llu, honest %llu", lies[i].name, (unsigned long long)window,
                     (unsigned long long)honest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_path_that_swallows_large_datagrams_is_probed_and_not_flooded),
        cmocka_unit_test(test_a_path_that_shrinks_costs_a_few_windows),
        cmocka_unit_test(test_a_peer_that_acknowledges_probes_that_never_came_starves_itself),
        cmocka_unit_test(test_ecn_lies_switch_marks_off_or_shrink_the_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
