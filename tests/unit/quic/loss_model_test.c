/* SPDX-License-Identifier: MIT */
/* Goal: under random traffic the engine decides exactly what RFC 9002's pseudocode decides.
 * Method: a plain model keeps every packet in an array and walks all of it for each ACK and
 * each question; after each step both must agree on every packet's fate, on the bytes in flight,
 * on the next deadline and on the patience that reordering has earned. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "quic/loss.h"
#include "weir.h"
#include <string.h>

#define PACKETS 3000u
#define NONE UINT64_MAX

struct model_packet {
    uint64_t time_us;
    uint32_t size, flags;
    bool acked, lost;
    uint32_t reports[4]; /* by enum loss_fate, from the engine */
};
struct model_space {
    struct model_packet packets[PACKETS];
    uint64_t next, largest_acked, eliciting_us;
};
struct model {
    struct model_space spaces[LOSS_SPACES];
    struct rtt rtt;
    uint32_t pto_count;
    bool confirmed;
    /* Patience: numbers, eighths of the smallest round trip; the worst of this period of 16 round
     * trips. */
    uint64_t packets, eighths, seen_packets, seen_eighths, since_us;
};
struct world {
    struct model model;
    struct mem_counter counter;
    struct budget budget;
    struct rtt rtt;
    struct loss loss;
    struct rng rng;
    uint64_t now_us;
    uint64_t acked, lost, spurious, probes;
};

static void on_packet(void *context, enum loss_space_name space, uint64_t number,
                      const struct sent *sent, const struct sent_packet *packet,
                      enum loss_fate fate)
{
    struct world *w = context;

    assert_int_equal(sent_frame_get(sent, packet, 0)->offset, number);
    assert_int_equal(sent_frame_get(sent, packet, packet->frame_count - 1u)->id, space);
    w->model.spaces[space].packets[number].reports[fate]++;
}

/* RFC 9002 A.10, over everything ever sent. @return the loss time */
static uint64_t model_lose(struct world *w, struct model_space *s, bool commit)
{
    uint64_t longer_us = w->model.rtt.smoothed_us > w->model.rtt.latest_us
                             ? w->model.rtt.smoothed_us
                             : w->model.rtt.latest_us;
    uint64_t more_us = w->model.rtt.min_us * w->model.eighths / 8, loss_time_us = NONE;
    uint64_t delay_us = longer_us + (more_us > longer_us / 8 ? more_us : longer_us / 8);

    delay_us = delay_us < 1000 ? 1000 : delay_us;

    for (uint64_t n = 0; n < s->next && s->largest_acked != NONE && n < s->largest_acked; n++) {
        struct model_packet *p = &s->packets[n];

        if (p->acked || p->lost || (p->flags & SENT_IN_FLIGHT) == 0) {
            continue;
        }
        if (commit &&
            (s->largest_acked >= n + w->model.packets || w->now_us >= p->time_us + delay_us)) {
            p->lost = true;
            w->lost++;
        } else if (p->time_us + delay_us < loss_time_us) {
            loss_time_us = p->time_us + delay_us;
        }
    }
    return loss_time_us;
}

static bool model_has_eliciting(const struct model_space *s)
{
    for (uint64_t n = 0; n < s->next; n++) {
        const struct model_packet *p = &s->packets[n];

        if ((p->flags & SENT_ACK_ELICITING) != 0 && !p->acked && !p->lost) {
            return true;
        }
    }
    return false;
}

/* docs/wire.md 9. */
static uint64_t model_pto_max(const struct model *m, uint64_t base_us)
{
    uint64_t max_us = base_us < 3000000 ? base_us : 3000000;

    if (!m->confirmed || m->spaces[LOSS_APPLICATION].largest_acked == NONE) return 3000000;
    if (max_us < 1000000) max_us = 1000000;
    return max_us > 3 * m->rtt.min_us ? max_us : 3 * m->rtt.min_us;
}

static uint64_t model_deadline(struct world *w, const uint64_t loss_time_us[LOSS_SPACES])
{
    uint64_t earliest_us = NONE;
    for (uint32_t i = 0; i < LOSS_SPACES; i++) {
        earliest_us = loss_time_us[i] < earliest_us ? loss_time_us[i] : earliest_us;
    }
    if (earliest_us != NONE) {
        return earliest_us;
    }
    for (uint32_t i = 0; i < LOSS_SPACES; i++) {
        struct model_space *s = &w->model.spaces[i];
        uint64_t pto_us = rtt_pto_us(&w->model.rtt, i == LOSS_APPLICATION ? 25000 : 0);
        uint64_t max_us = model_pto_max(&w->model, pto_us);

        for (uint32_t b = 0; b < w->model.pto_count && pto_us < max_us; b++) {
            pto_us *= 2;
        }
        pto_us = pto_us < max_us ? pto_us : max_us;
        if (model_has_eliciting(s) && (i != LOSS_APPLICATION || w->model.confirmed) &&
            s->eliciting_us + pto_us < earliest_us) {
            earliest_us = s->eliciting_us + pto_us;
        }
    }
    return earliest_us;
}

/* The loss times as the last detection left them: a later sample of another space does not move
 * them. */
static void check(struct world *w)
{
    uint64_t in_flight = 0, loss_time_us[LOSS_SPACES];

    for (uint32_t i = 0; i < LOSS_SPACES; i++) {
        struct model_space *s = &w->model.spaces[i];

        for (uint64_t n = 0; n < s->next; n++) {
            const struct model_packet *p = &s->packets[n];
            bool framed = (p->flags & SENT_IN_FLIGHT) != 0;

            in_flight += framed && !p->acked && !p->lost ? p->size : 0;
            assert_int_equal(p->reports[LOSS_FATE_LOST], p->lost ? 1 : 0);
            assert_true(p->reports[LOSS_FATE_ACKED] + p->reports[LOSS_FATE_SPURIOUS] <= 1);
            assert_int_equal(p->reports[LOSS_FATE_ACKED], framed && p->acked && !p->lost ? 1 : 0);
            assert_true(p->reports[LOSS_FATE_SPURIOUS] == 0 || (p->acked && p->lost));
        }
        loss_time_us[i] = w->loss.spaces[i].loss_time_us;
        assert_int_equal(loss_time_us[i] == NONE, model_lose(w, s, false) == NONE);
    }
    assert_int_equal(w->loss.in_flight_bytes, in_flight);
    assert_int_equal(loss_deadline(&w->loss), model_deadline(w, loss_time_us));
    assert_int_equal(w->loss.lost_packets, w->lost);
    assert_int_equal(w->rtt.smoothed_us, w->model.rtt.smoothed_us);
    assert_int_equal(w->rtt.variance_us, w->model.rtt.variance_us);
    assert_int_equal(w->rtt.min_us, w->model.rtt.min_us);
    assert_int_equal(w->loss.reorder.packets, w->model.packets);
    assert_int_equal(w->loss.reorder.eighths, w->model.eighths);
}

static void step_send(struct world *w, enum loss_space_name space)
{
    static const uint32_t kinds[] = {SENT_ACK_ELICITING, SENT_ACK_ELICITING, SENT_ACK_ELICITING,
                                     SENT_IN_FLIGHT, 0};
    struct model_space *s = &w->model.spaces[space];
    uint32_t flags = kinds[rng_below(&w->rng, 5)];
    uint32_t size = 40 + (uint32_t)rng_below(&w->rng, 1400);
    uint32_t frames = 1 + (uint32_t)rng_below(&w->rng, 5);

    if (s->next >= PACKETS) {
        return;
    }
    assert_int_equal(loss_packet_begin(&w->loss, space, NULL), 0);
    for (uint32_t i = 0; i < frames; i++) {
        struct sent_frame frame = {.kind = SENT_PING, .id = space, .offset = s->next};

        assert_true(loss_packet_frame(&w->loss, space, &frame));
    }
    assert_int_equal(loss_packet_sent(&w->loss, space, w->now_us, size, flags), s->next);
    flags |= flags != 0 ? SENT_IN_FLIGHT : 0;
    s->packets[s->next++] =
        (struct model_packet){.time_us = w->now_us, .size = size, .flags = flags};
    if ((flags & SENT_ACK_ELICITING) != 0) {
        s->eliciting_us = w->now_us;
    }
}

static uint64_t at_most(uint64_t value, uint64_t max)
{
    return value < max ? value : max;
}

/* A packet arrives behind one that was sent later: what patience would it have taken? */
static void model_late(struct world *w, const struct model_space *s, uint64_t n)
{
    struct model *m = &w->model;
    uint64_t packets = at_most(2 * (s->largest_acked - n) + 1, 4096), eighths = 1;
    uint64_t longer_us =
        m->rtt.smoothed_us > m->rtt.latest_us ? m->rtt.smoothed_us : m->rtt.latest_us;
    uint64_t age_us = w->now_us - s->packets[n].time_us;
    uint64_t least_us = rtt_is_sampled(&m->rtt) ? m->rtt.min_us : longer_us;

    packets = packets < 3 ? 3 : packets;
    while (eighths < 41 && age_us * 8 >= longer_us * 8 + least_us * eighths) {
        eighths++;
    }
    m->seen_packets = packets > m->seen_packets ? packets : m->seen_packets;
    m->seen_eighths = eighths > m->seen_eighths ? eighths : m->seen_eighths;
    if (s->packets[n].lost) {
        m->packets = packets > m->packets ? packets : m->packets;
        m->eighths = eighths > m->eighths ? eighths : m->eighths;
    }
}

static void model_forgive(struct world *w)
{
    struct model *m = &w->model;
    uint64_t packets = 3 + (m->packets - 3) / 2, eighths = 1 + (m->eighths - 1) / 2;

    if (w->now_us - m->since_us < 16 * m->rtt.smoothed_us) {
        return;
    }
    m->packets = at_most(m->packets, packets > m->seen_packets ? packets : m->seen_packets);
    m->eighths = at_most(m->eighths, eighths > m->seen_eighths ? eighths : m->seen_eighths);
    m->seen_packets = 0;
    m->seen_eighths = 0;
    m->since_us = w->now_us;
}

static void model_take(struct world *w, struct model_space *s, uint64_t first, uint64_t last,
                       bool *any, bool *eliciting)
{
    for (uint64_t n = first; n <= last; n++) {
        struct model_packet *p = &s->packets[n];
        /* What the engine has forgotten cannot be newly acked: ack-only and lost packets below
         * its base. */
        bool forgotten = n < w->loss.spaces[s - w->model.spaces].sent.base;

        if (p->acked || forgotten) {
            continue;
        }
        if (s->largest_acked != NONE && n < s->largest_acked) {
            model_late(w, s, n);
        }
        p->acked = true;
        *any = true;
        *eliciting |= (p->flags & SENT_ACK_ELICITING) != 0;
        w->spurious += p->lost;
        w->acked++;
    }
}

static void step_ack(struct world *w, enum loss_space_name space)
{
    struct model_space *s = &w->model.spaces[space];
    uint64_t last, largest;
    bool any = false, eliciting = false, largest_new;

    if (s->next == 0) {
        return;
    }
    largest = s->next - 1 - rng_below(&w->rng, s->next < 12 ? s->next : 12);
    largest_new = largest >= w->loss.spaces[space].sent.base && !s->packets[largest].acked;
    assert_int_equal(loss_on_ack_begin(&w->loss, space, largest, 1000, w->now_us), 0);
    last = largest;
    for (uint64_t ranges = 1 + rng_below(&w->rng, 6); ranges > 0; ranges--) {
        uint64_t length = rng_below(&w->rng, 8) == 0 ? last : rng_below(&w->rng, 9);
        uint64_t first = length > last ? 0 : last - length;

        model_take(w, s, first, last, &any, &eliciting);
        assert_int_equal(loss_on_ack_range(&w->loss, first, last), 0);
        if (first < 5) {
            break;
        }
        last = first - 2 - rng_below(&w->rng, 3);
    }
    s->largest_acked =
        s->largest_acked == NONE || largest > s->largest_acked ? largest : s->largest_acked;
    if (any) {
        if (largest_new && eliciting) {
            rtt_on_sample(&w->model.rtt, w->now_us, w->now_us - s->packets[largest].time_us,
                          space == LOSS_INITIAL ? 0 : 1000, w->model.confirmed, 25000);
        }
        model_forgive(w);
        (void)model_lose(w, s, true);
        w->model.pto_count = 0;
    }
    assert_int_equal(loss_on_ack_end(&w->loss), any);
}

static void step_deadline(struct world *w)
{
    uint64_t deadline_us = loss_deadline(&w->loss);
    struct loss_action action;

    if (deadline_us == LOSS_NEVER) {
        return;
    }
    w->now_us = deadline_us > w->now_us ? deadline_us : w->now_us;
    for (uint32_t i = 0; i < LOSS_SPACES; i++) {
        if (w->loss.spaces[i].loss_time_us <= w->now_us) {
            (void)model_lose(w, &w->model.spaces[i], true);
        }
    }
    action = loss_on_deadline(&w->loss, w->now_us);
    /* Only a sample of another space that made the patience longer may have moved the deadline. */
    assert_true(action.kind != LOSS_NOTHING || loss_deadline(&w->loss) > w->now_us);
    if (action.kind == LOSS_PROBE) {
        w->model.pto_count++;
        w->model.spaces[action.space].eliciting_us = w->now_us;
        w->probes++;
    }
}

static void run(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    rng_init(&w->rng, seed, "loss_model", 0);
    mem_counter_init(&w->counter, mem_system());
    budget_init(&w->budget, NULL, LIMIT_SCOPE_CONNECTION, 0, UINT64_MAX, w);
    rtt_init(&w->rtt);
    rtt_init(&w->model.rtt);
    w->now_us = 5000000;
    w->model.packets = 3;
    w->model.eighths = 1;
    w->model.since_us = w->now_us;
    /* A server: the anti-deadlock timer has its own tests. */
    loss_init(&w->loss, &w->counter.mem, &w->budget, false, &w->rtt, NULL, 0, w->now_us);
    w->loss.on_packet = on_packet;
    w->loss.context = w;
    for (uint32_t i = 0; i < LOSS_SPACES; i++) {
        w->model.spaces[i].largest_acked = NONE;
    }
    for (uint32_t step = 0; step < 1500; step++) {
        enum loss_space_name space = (enum loss_space_name)rng_below(&w->rng, LOSS_SPACES);
        uint64_t what = rng_below(&w->rng, 10);

        if (step == 300) {
            w->model.confirmed = true;
            loss_set_confirmed(&w->loss, w->now_us);
        }
        w->now_us += rng_below(&w->rng, 3) == 0 ? rng_below(&w->rng, 40000) : rng_below(&w->rng, 9);
        if (what < 6) {
            step_send(w, space);
        } else if (what < 9) {
            step_ack(w, space);
        } else {
            step_deadline(w);
        }
        check(w);
    }
    loss_free(&w->loss);
    assert_int_equal(w->counter.live_bytes, 0);
    assert_int_equal(w->budget.used, 0);
}

static void test_engine_and_model_agree_on_random_traffic(void **state)
{
    static struct world w;
    uint64_t acked = 0, lost = 0, spurious = 0, probes = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        run(&w, seed);
        acked += w.acked;
        lost += w.lost;
        spurious += w.spurious;
        probes += w.probes;
    }
    /* The traffic reached what it is meant to reach. */
    assert_true(acked > 5000);
    assert_true(lost > 500);
    assert_true(spurious > 100);
    assert_true(probes > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_engine_and_model_agree_on_random_traffic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
