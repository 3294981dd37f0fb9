/* SPDX-License-Identifier: MIT */
/* Goal: whatever allocation fails, nothing crashes, leaks or hangs: the dial fails, the
 * connection ends with a reason, or what failed is done again. Method: one life of a connection
 * (dial, transfer both ways, reset, close) is lived with its 1st, 2nd, 3rd ... allocation
 * failing, and with all of them failing for a while; mem_counter and the budgets must be at zero
 * afterwards. */
#include "flow.h"
#include "quic/connection.h"

enum { BYTES = 150000 };

struct life {
    uint64_t fail_from, fail_steps; /* steps from here on whose first allocation fails */
    uint64_t steps;
    bool dialled, whole;
};

static bool copies(struct pair *p, int from, uint64_t n, uint8_t *bytes, size_t len)
{
    (void)from;
    (void)bytes;
    (void)len;
    if (n % 7 == 3) p->extra_us = 3000; /* out of order: ranges are remembered */
    return n % 31 != 30;
}

static bool is_over(const struct pair *p)
{
    return p->side[0].ended || p->side[1].ended;
}

static void fail_some(struct pair *p, struct life *l)
{
    uint64_t step = l->steps++;
    if (step >= l->fail_from && step < l->fail_from + l->fail_steps)
        p->counter.fail_at = 1;
    else if (l->fail_steps > 0)
        p->counter.fail_at = 0;
}

static struct stream *open_one(struct pair *p, int side, struct flow *f)
{
    int error;
    struct stream *s = NULL;
    if (p->side[side].conn != NULL && !is_over(p))
        s = streams_open_local(p->side[side].conn, false, 3, &error);
    memset(f, 0, sizeof *f);
    if (s == NULL) return NULL;
    *f = (struct flow){.from = side, .id = s->id, .total = BYTES, .open = true};
    return s;
}

static void transfer(struct pair *p, struct life *l)
{
    struct flow f[2];
    uint64_t until = p->now_us + 20000000;
    bool has[2] = {false, false};
    while (p->now_us < until && !is_over(p)) {
        for (int i = 0; i < 2; i++) {
            fail_some(p, l);
            if (!has[i]) has[i] = open_one(p, i, &f[i]) != NULL;
            if (!has[i]) continue;
            flow_write(p, &f[i]);
            flow_read(p, &f[i]);
        }
        pair_turn(p);
        l->whole = has[0] && has[1] && f[0].at_end && f[1].at_end;
        if (l->whole) return;
        fail_some(p, l);
        (void)pair_step(p, until);
    }
}

/* @return whether the n-th allocation was reached */
static bool live(uint64_t nth, struct life *l)
{
    struct pair *p = pair_new(NULL, NULL);
    struct transport_dial dial = {.remote = p->side[1].address, .expected = p->side[1].key.id};
    struct transport_conn *c = NULL;
    uint64_t until = p->now_us + 40000000;
    p->filter = copies;
    p->counter.fail_at = nth;
    fail_some(p, l);
    int error = quic_transport.dial(p->side[0].transport, &dial, p->now_us, &c);
    l->dialled = error == 0;
    if (!l->dialled) assert_int_equal(error, WEIR_E_MEMORY);
    pair_send(p, 0);
    while (l->dialled && !(p->side[0].up && p->side[1].up) && !is_over(p) && p->now_us < until) {
        fail_some(p, l);
        (void)pair_step(p, until);
    }
    if (p->side[0].up && p->side[1].up && !is_over(p)) transfer(p, l);
    if (p->side[0].up && !p->side[0].ended) {
        int ignored;
        struct stream *s = streams_open_local(p->side[0].conn, true, 3, &ignored);
        if (s != NULL) {
            (void)stream_write(s, "x", 1, true, false, p->now_us);
            (void)stream_reset(s, 5, p->now_us);
        }
        fail_some(p, l);
        pair_run(p, 50000);
    }
    bool was_over = is_over(p);
    p->sweep = true;
    if (p->side[0].conn != NULL && !p->side[0].ended)
        quic_transport.conn_close(p->side[0].conn, 5, "done", 4, p->now_us);
    pair_run(p, 1000);
    bool reached = p->counter.fail_at == 0;
    p->counter.fail_at = 0;
    pair_run(p, 70000000);
    /* One failure ends a dial or a connection, or is made good; it never leaves anybody waiting. */
    if (l->fail_steps == 0 && l->dialled && !l->whole && !was_over)
        fail_msg("allocation %d: stuck", (int)nth);
    pair_free(p);
    return reached;
}

static void test_any_single_allocation_may_fail(void **state)
{
    (void)state;
    uint64_t nth = 0, whole = 0;
    struct life l;
    bool reached;
    do {
        memset(&l, 0, sizeof l);
        reached = live(++nth, &l);
        whole += l.whole;
    } while (reached && nth < 2000);
    assert_in_range(nth, 30, 1999);
    assert_true(l.dialled && l.whole);
    /* Most failures cost a retransmission, not the connection. */
    assert_true(whole * 2 > nth);
}

static void test_all_allocations_may_fail_for_a_while(void **state)
{
    (void)state;
    uint64_t whole = 0, lives = 0;
    for (uint64_t from = 0; from < 120; from += 1 + from / 8) {
        for (uint64_t steps = 3; steps <= 300; steps *= 10) {
            struct life l = {.fail_from = from, .fail_steps = steps};
            (void)live(0, &l);
            whole += l.whole;
            lives++;
        }
    }
    assert_true(whole > lives / 4);
}

static void test_a_transport_that_cannot_be_opened_says_so(void **state)
{
    (void)state;
    struct pair *p = pair_new(NULL, NULL);
    struct transport *t = NULL;
    p->counter.fail_at = 1;
    assert_int_equal(quic_transport.open(&p->side[0].env, &t), WEIR_E_MEMORY);
    assert_null(t);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_single_allocation_may_fail),
        cmocka_unit_test(test_all_allocations_may_fail_for_a_while),
        cmocka_unit_test(test_a_transport_that_cannot_be_opened_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
