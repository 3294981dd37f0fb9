/* SPDX-License-Identifier: MIT */
/* Goal: whatever two sides do on their streams and whatever the network does to the frames, what is
 * read is what was written, every stream ends, and in the end both sides agree on every byte of
 * connection credit and hold no memory. Method: random calls on two joined fakes; frames fly one by
 * one and arrive in any order, twice, or not at all. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "fake.h"

enum { FLIGHT_MAX = 300, STREAMS_MAX = 12, RANDOM_STEPS = 3000 };
enum kind { DATA, RESET, STOP, STREAM_CREDIT, CONNECTION_CREDIT, COUNT_CREDIT };
struct frame {
    enum kind kind;
    uint64_t id, offset, len;
    bool fin;
    uint8_t data[FAKE_PIECE_MAX];
};
struct world {
    struct fake side[2];
    struct frame flight[2][FLIGHT_MAX];
    unsigned flying[2];
    uint64_t now_us;
    uint64_t read_bytes;
    struct rng rng;
};

static uint8_t byte_of(uint64_t id, uint64_t offset)
{
    return (uint8_t)(id * 31 + offset * 7 + offset / 251);
}

static uint64_t below(struct world *w, uint64_t bound)
{
    return rng_below(&w->rng, bound);
}

static void fly(struct world *w, int from, struct frame frame)
{
    assert_true(w->flying[from] < FLIGHT_MAX);
    w->flight[from][w->flying[from]++] = frame;
}

static void fly_control(struct world *w, int from, struct stream *s)
{
    if (s->out.reset_pending)
        fly(w, from,
            (struct frame){
                .kind = RESET, .id = s->id, .offset = s->out.sent, .len = s->out.reset_code});
    if (s->in.stop_pending)
        fly(w, from, (struct frame){.kind = STOP, .id = s->id, .len = s->in.stop_code});
    if (s->in.credit_pending)
        fly(w, from, (struct frame){.kind = STREAM_CREDIT, .id = s->id, .offset = s->in.limit});
    s->out.reset_pending = s->in.stop_pending = s->in.credit_pending = false;
}

/* One stream's turn: its control frames and one piece. */
static void send_turn(struct world *w, int from)
{
    struct conn_streams *st = w->side[from].c.streams;
    struct frame f = {.kind = CONNECTION_CREDIT, .offset = st->receive_limit};
    uint8_t urgency;
    struct list *link;
    struct stream *s;

    if (st->credit_pending) fly(w, from, f);
    for (unsigned type = 0; type < 2; type++) {
        if (st->accept_pending[type])
            fly(w, from,
                (struct frame){.kind = COUNT_CREDIT, .id = type, .offset = st->accept_max[type]});
    }
    st->credit_pending = st->accept_pending[0] = st->accept_pending[1] = false;
    if ((link = sched_next(&st->sched, &urgency)) == NULL) return;
    s = list_entry(link, struct stream, ready_link);
    fly_control(w, from, s);
    f.kind = DATA;
    f.id = s->id;
    if (s->has_out &&
        send_lane_next(&s->out, false, 1 + below(w, FAKE_PIECE_MAX), &f.offset, &f.len, &f.fin)) {
        ring_read(&s->out.ring, f.offset, f.data, (size_t)f.len);
        (void)send_lane_on_sent(&s->out, f.offset, f.len, f.fin, &w->side[from].mem.mem);
        fly(w, from, f);
        sched_sent(&st->sched, link, urgency, (uint32_t)f.len);
    }
    if (!fake_waits(s)) sched_remove(&st->sched, link, urgency);
}

/* @return false when it was dropped for want of room */
static bool deliver(struct world *w, int to, const struct frame *f)
{
    struct fake *side = &w->side[to];
    bool for_receive = f->kind == DATA || f->kind == RESET;
    struct stream *s;
    int result = RECEIVE_OK;

    if (f->kind == CONNECTION_CREDIT) {
        streams_on_connection_credit(&side->c, f->offset, w->now_us);
        return true;
    }
    if (f->kind == COUNT_CREDIT) {
        streams_on_count_credit(&side->c, f->id != 0, f->offset);
        return true;
    }
    result = streams_on_frame(&side->c, f->id, for_receive, w->now_us, &s);
    assert_true(result == STREAMS_FOUND || result == STREAMS_GONE);
    if (result == STREAMS_GONE) return true;
    if (f->kind == STOP) streams_on_stop(s, (uint32_t)f->len, w->now_us);
    if (f->kind == STREAM_CREDIT) streams_on_stream_credit(s, f->offset, w->now_us);
    result = RECEIVE_OK;
    if (f->kind == RESET) result = streams_on_reset(s, (uint32_t)f->len, f->offset);
    if (f->kind == DATA) result = streams_on_data(s, f->offset, f->data, (size_t)f->len, f->fin);
    assert_true(result == RECEIVE_OK || result == RECEIVE_DROP);
    if (for_receive && (f->kind == RESET || s->in.stopped))
        streams_update_credit(s, FAKE_RTT_US, w->now_us);
    return result == RECEIVE_OK;
}

static void acknowledge(struct world *w, int from, const struct frame *f)
{
    struct stream *s = streams_get(&w->side[from].c, f->id);

    if (f->kind == DATA && s != NULL) streams_on_acked(s, f->offset, f->len, f->fin, w->now_us);
    if (f->kind == RESET && s != NULL) streams_on_reset_acked(s);
}

/* RFC 9000 13.3: what still matters is sent again. */
static void lose(struct world *w, int from, const struct frame *f)
{
    struct conn_streams *st = w->side[from].c.streams;
    struct stream *s = f->kind >= CONNECTION_CREDIT ? NULL : streams_get(&w->side[from].c, f->id);

    if (f->kind == CONNECTION_CREDIT) st->credit_pending = true;
    if (f->kind == COUNT_CREDIT) st->accept_pending[f->id] = true;
    if (s == NULL) return;
    if (f->kind == DATA) streams_on_lost(s, f->offset, f->len, f->fin);
    if (f->kind == RESET) s->out.reset_pending = s->out.state == SEND_RESET;
    if (f->kind == STOP) s->in.stop_pending = s->in.stopped && s->in.state < RECEIVE_RESET;
    if (f->kind == STREAM_CREDIT)
        s->in.credit_pending = s->in.state == RECEIVE_OPEN && !s->in.stopped;
    stream_schedule(s);
}

static void land(struct world *w, int from)
{
    unsigned i;
    struct frame f;
    uint64_t fate = below(w, 10);

    if (w->flying[from] == 0) return;
    i = (unsigned)below(w, w->flying[from]);
    f = w->flight[from][i];
    if (fate == 0) { /* duplicated: it flies on */
        (void)deliver(w, 1 - from, &f);
        return;
    }
    w->flight[from][i] = w->flight[from][--w->flying[from]];
    if (fate < 3 || !deliver(w, 1 - from, &f))
        lose(w, from, &f);
    else if (fate == 3)
        lose(w, from, &f); /* the acknowledgement was lost */
    else
        acknowledge(w, from, &f);
}

static void write_some(struct world *w, struct stream *s)
{
    uint8_t data[9000];
    uint64_t len = below(w, sizeof data);
    int64_t taken;

    if (!s->has_out || s->out.state != SEND_OPEN) return;
    for (uint64_t i = 0; i < len; i++)
        data[i] = byte_of(s->id ^ (uint64_t)s->is_local, s->out.written + i);
    taken = stream_write(s, data, (size_t)len, below(w, 3) == 0, below(w, 10) == 0, w->now_us);
    assert_true(taken >= 0 && (uint64_t)taken <= len);
}

static void read_some(struct world *w, struct stream *s, uint64_t max)
{
    uint8_t data[20000];
    uint64_t at = s->in.ring.base;
    int64_t n = stream_read(s, data, (size_t)(max < sizeof data ? max : sizeof data), w->now_us);

    for (int64_t i = 0; i < n; i++)
        assert_int_equal(data[i], byte_of(s->id ^ (uint64_t)!s->is_local, at + (uint64_t)i));
    w->read_bytes += n > 0 ? (uint64_t)n : 0;
}

/* Node's part: streams that are over and were told go. */
static void reap(struct fake *side)
{
    struct stream *s;

    while ((s = streams_next_dirty(&side->c)) != NULL) {
        bool over = (fake_facts(s) & STREAM_PENDING_OVER) != 0;

        if (over) streams_remove(s);
    }
}

static struct stream *any_stream(struct world *w, int of)
{
    struct conn_streams *st = w->side[of].c.streams;
    uint64_t skip = st->count == 0 ? 0 : below(w, st->count);
    uint32_t cursor = 0;
    struct stream *s = map_next(&st->by_id, &cursor);

    while (s != NULL && skip-- > 0) s = map_next(&st->by_id, &cursor);
    return s;
}

static void call(struct world *w, int of)
{
    struct fake *side = &w->side[of];
    struct stream *s = any_stream(w, of);
    uint64_t what = below(w, 100);
    int error;

    if (what < 5 || s == NULL) {
        (void)streams_open_local(&side->c, below(w, 2) == 0, (uint8_t)below(w, 8), &error);
    } else if (what < 45) {
        write_some(w, s);
    } else if (what < 90) {
        read_some(w, s, below(w, 5000));
    } else if (what < 92) {
        (void)stream_reset(s, 1, w->now_us);
    } else if (what < 94) {
        (void)stream_stop(s, 2, w->now_us);
    } else if (what < 96) {
        (void)stream_set_urgency(s, (uint8_t)below(w, 8), w->now_us);
    } else if (what < 98) {
        stream_release(s, w->now_us);
    } else {
        streams_trim(&side->c);
    }
}

static void step(struct world *w, bool calls)
{
    int of = (int)below(w, 2);

    w->now_us += below(w, 2000);
    if (calls && below(w, 3) == 0) call(w, of);
    if (below(w, 4) == 0) streams_on_turn(&w->side[of].c);
    if (w->flying[of] + 10 < FLIGHT_MAX) send_turn(w, of);
    land(w, 1 - of);
    reap(&w->side[of]);
    transport_recheck(&w->side[of].t, w->now_us);
    assert_true(w->side[of].budget.used <= w->side[of].budget.max);
}

static bool is_quiet(const struct world *w)
{
    for (int of = 0; of < 2; of++) {
        if (w->side[of].c.streams->count > 0 || w->flying[of] > 0) return false;
        if (streams_want_send(&w->side[of].c)) return false;
    }
    return true;
}

/* Every application finishes what it writes and reads what it gets. */
static void finish(struct world *w)
{
    for (int steps = 0; !is_quiet(w); steps++) {
        assert_true(steps < 200000);
        for (int of = 0; of < 2; of++) {
            struct stream *s = any_stream(w, of);

            if (s == NULL) continue;
            if (s->has_out && s->out.state == SEND_OPEN)
                (void)stream_write(s, NULL, 0, false, true, w->now_us);
            if (s->has_in) read_some(w, s, UINT64_MAX);
        }
        step(w, false);
    }
}

static void live(uint64_t seed, uint64_t memory, uint64_t stream_window, uint64_t window)
{
    struct world *w = test_calloc(1, sizeof *w);

    rng_init(&w->rng, seed, "streams", memory);
    w->now_us = 1;
    for (int of = 0; of < 2; of++) {
        fake_init(&w->side[of], of == 0 ? CONN_DIALLER : CONN_LISTENER, memory);
        fake_window(&w->side[of], stream_window, window);
        w->side[of].limits.value[LIMIT_STREAMS_BIDI] = STREAMS_MAX / 2;
        w->side[of].limits.value[LIMIT_STREAMS_UNI] = STREAMS_MAX / 2;
        w->side[of].limits.value[LIMIT_STREAM_GAPS] = 16;
    }
    for (int of = 0; of < 2; of++)
        assert_int_equal(fake_up(&w->side[of], &w->side[1 - of].limits), 0);
    for (int i = 0; i < RANDOM_STEPS; i++) step(w, true);
    finish(w);
    assert_true(w->read_bytes > 0);
    for (int of = 0; of < 2; of++) {
        const struct conn_streams *mine = w->side[of].c.streams;
        const struct conn_streams *peers = w->side[1 - of].c.streams;

        assert_int_equal(mine->receive_consumed, mine->receive_used);
        assert_int_equal(mine->send_used, peers->receive_used);
        assert_true(list_is_empty(&mine->blocked));
        assert_int_equal(mine->budget.used, sizeof *mine);
        assert_int_equal(mine->next_local[0], peers->next_remote[0]);
        assert_true(mine->receive_limit - mine->receive_used > mine->receive_window / 2);
    }
    fake_close(&w->side[0]);
    fake_close(&w->side[1]);
    test_free(w);
}

static void test_both_sides_agree_in_the_end_with_plenty_of_memory(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) live(seed, 0, 131072, 262144);
}

static void test_both_sides_agree_in_the_end_with_windows_of_four_kib(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) live(seed, 0, 4096, 4096);
}

static void test_both_sides_agree_in_the_end_with_little_memory(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) live(seed, 49152, 8192, 16384);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_sides_agree_in_the_end_with_plenty_of_memory),
        cmocka_unit_test(test_both_sides_agree_in_the_end_with_windows_of_four_kib),
        cmocka_unit_test(test_both_sides_agree_in_the_end_with_little_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
