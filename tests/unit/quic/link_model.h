/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_LINK_MODEL_H
#define WEIR_TESTS_LINK_MODEL_H
/* A bottleneck in virtual microseconds: flows, each a real loss engine with its controller and
 * pacer, share one queue of bytes in front of one rate; behind it packets may be lost or delayed.
 * The receiver acknowledges every second packet, at once when the order is broken, and after
 * 25 ms. Include after cmocka.h. */
#include "base/rng.h"
#include "quic/loss.h"
#include <stdlib.h>
#include <string.h>

#define LINK_FLOWS 6u
#define LINK_RANGES 256u
#define LINK_DATAGRAM 1200u
#define LINK_EVENTS 65536u
#define LINK_SECOND 1000000u
#define LINK_NEVER UINT64_MAX

struct link_ack {
    uint64_t first[LINK_RANGES], last[LINK_RANGES]; /* from the highest down */
    uint32_t count;
    uint64_t marks, delay_us;
};
struct link_event {
    uint64_t time_us, order, number;
    uint32_t flow;
    bool ce;
    struct link_ack *ack; /* NULL: a packet arrives */
};
struct link_flow {
    struct rtt rtt;
    struct congestion congestion;
    struct pacer pacer;
    struct loss loss;
    struct link_ack received;
    uint64_t marks_seen, held_us, held; /* the receiver holds an ACK */
    uint64_t unsent, start_us, pace_us;
    uint64_t acked_bytes, done_us; /* data acknowledged; when unsent and flight were empty */
    uint64_t turn_us, turn_bytes, turn_bytes_max; /* what left in one moment */
    uint32_t probes;
    bool skips;
};
struct link {
    uint64_t rate, delay_us, back_us, queue_bytes; /* bytes/s; one way; the queue's room */
    uint32_t loss_ppm, reorder_ppm, mark_bytes;    /* mark_bytes 0: no ECN */
    uint32_t burst_ppm, burst_length;              /* so many in a row are lost */
    uint64_t reorder_us;
    struct mem_counter counter;
    struct budget budget;
    struct rng rng;
    struct link_flow flows[LINK_FLOWS];
    struct link_event events[LINK_EVENTS];
    uint64_t now_us, busy_ns, order, dropped, sent;
    uint64_t queue_area, queue_samples, queue_peak; /* bytes found by arriving packets */
    uint32_t flow_count, event_count, burst_left;
};

static inline void link_open(struct link *l, uint64_t seed)
{
    memset(l, 0, sizeof *l);
    rng_init(&l->rng, seed, "link", 0);
    mem_counter_init(&l->counter, mem_system());
    budget_init(&l->budget, NULL, LIMIT_SCOPE_CONNECTION, 0, UINT64_MAX, l);
    l->now_us = LINK_SECOND;
}

static inline void link_event_push(struct link *l, struct link_event e)
{
    uint32_t i = l->event_count++;

    assert_true(l->event_count < LINK_EVENTS);
    e.order = l->order++;
    for (; i > 0; i = (i - 1) / 2) {
        const struct link_event *up = &l->events[(i - 1) / 2];

        if (up->time_us < e.time_us || (up->time_us == e.time_us && up->order < e.order)) {
            break;
        }
        l->events[i] = *up;
    }
    l->events[i] = e;
}

static inline bool link_event_before(const struct link_event *a, const struct link_event *b)
{
    return a->time_us < b->time_us || (a->time_us == b->time_us && a->order < b->order);
}

static inline struct link_event link_event_pop(struct link *l)
{
    struct link_event top = l->events[0], e = l->events[--l->event_count];
    uint32_t i = 0;

    for (uint32_t child = 1; child < l->event_count; child = 2 * i + 1) {
        child += child + 1 < l->event_count &&
                 link_event_before(&l->events[child + 1], &l->events[child]);
        if (!link_event_before(&l->events[child], &e)) {
            break;
        }
        l->events[i] = l->events[child];
        i = child;
    }
    l->events[i] = e;
    return top;
}

static inline void link_on_packet(void *context, enum loss_space_name space, uint64_t number,
                                  const struct sent *sent, const struct sent_packet *packet,
                                  enum loss_fate fate)
{
    struct link_flow *f = context;

    (void)space;
    (void)number;
    (void)sent;
    if (fate == LOSS_FATE_ACKED) {
        f->acked_bytes += packet->size;
    } else if (fate == LOSS_FATE_LOST) {
        f->unsent += packet->size;
    }
}

static inline struct link_flow *link_add(struct link *l, const struct congestion_ops *ops,
                                         uint64_t start_us, uint64_t bytes)
{
    struct link_flow *f = &l->flows[l->flow_count++];

    rtt_init(&f->rtt);
    assert_int_equal(congestion_open(&f->congestion, ops, LINK_DATAGRAM, &l->counter.mem,
                                     &l->budget, 7 + l->flow_count, l->now_us, NULL),
                     0);
    loss_init(&f->loss, &l->counter.mem, &l->budget, true, &f->rtt, &f->congestion, 0, l->now_us);
    loss_set_confirmed(&f->loss, l->now_us);
    pacer_init(&f->pacer, l->now_us, f->congestion.window_bytes, f->rtt.smoothed_us,
               LINK_DATAGRAM);
    f->loss.on_packet = link_on_packet;
    f->loss.context = f;
    f->start_us = l->now_us + start_us;
    f->unsent = bytes;
    f->held_us = LINK_NEVER;
    f->pace_us = f->start_us;
    return f;
}

static inline void link_close(struct link *l)
{
    while (l->event_count > 0) {
        free(link_event_pop(l).ack);
    }
    for (uint32_t i = 0; i < l->flow_count; i++) {
        loss_free(&l->flows[i].loss);
        congestion_close(&l->flows[i].congestion, &l->counter.mem, &l->budget);
    }
    assert_int_equal(l->counter.live_bytes, 0);
    assert_int_equal(l->budget.used, 0);
}

/* Through the queue, or not. */
static inline void link_transmit(struct link *l, uint32_t flow, uint64_t number)
{
    uint64_t now_ns = l->now_us * 1000;
    uint64_t ahead_ns = l->busy_ns > now_ns ? l->busy_ns - now_ns : 0;
    uint64_t queued = ahead_ns * l->rate / 1000000000u;
    struct link_event e = {.flow = flow, .number = number};

    l->sent++;
    l->queue_area += queued;
    l->queue_samples++;
    l->queue_peak = queued > l->queue_peak ? queued : l->queue_peak;
    if (queued + LINK_DATAGRAM > l->queue_bytes) {
        l->dropped++;
        return;
    }
    l->busy_ns = now_ns + ahead_ns + LINK_DATAGRAM * UINT64_C(1000000000) / l->rate;
    e.ce = l->mark_bytes > 0 && queued > l->mark_bytes;
    if (l->burst_left == 0 && rng_chance_ppm(&l->rng, l->burst_ppm)) {
        l->burst_left = l->burst_length;
    }
    if (l->burst_left > 0 || rng_chance_ppm(&l->rng, l->loss_ppm)) {
        l->burst_left -= l->burst_left > 0;
        l->dropped++;
        return;
    }
    e.time_us = l->busy_ns / 1000 + l->delay_us;
    if (rng_chance_ppm(&l->rng, l->reorder_ppm)) {
        e.time_us += rng_below(&l->rng, l->reorder_us);
    }
    link_event_push(l, e);
}

static inline void link_send_one(struct link *l, uint32_t index)
{
    struct link_flow *f = &l->flows[index];
    struct sent_frame frame = {.kind = SENT_PING};
    uint64_t bytes = f->loss.in_flight_bytes;

    if (f->skips && loss_skip_due(&f->loss)) {
        assert_int_equal(loss_skip(&f->loss, rng_u64(&l->rng), NULL), 0);
    }
    assert_int_equal(loss_packet_begin(&f->loss, LOSS_APPLICATION, NULL), 0);
    assert_true(loss_packet_frame(&f->loss, LOSS_APPLICATION, &frame));
    link_transmit(l, index,
                  loss_packet_sent(&f->loss, LOSS_APPLICATION, l->now_us, LINK_DATAGRAM,
                                   SENT_ACK_ELICITING | SENT_ECT0));
    pacer_on_sent(&f->pacer, l->now_us, LINK_DATAGRAM);
    if (bytes == 0) {
        congestion_pace(&f->congestion, &f->pacer, l->now_us, f->rtt.smoothed_us);
    }
    f->unsent -= f->unsent < LINK_DATAGRAM ? f->unsent : LINK_DATAGRAM;
    f->turn_bytes = f->turn_us == l->now_us ? f->turn_bytes + LINK_DATAGRAM : LINK_DATAGRAM;
    f->turn_us = l->now_us;
    f->turn_bytes_max = f->turn_bytes > f->turn_bytes_max ? f->turn_bytes : f->turn_bytes_max;
}

static inline void link_send(struct link *l, uint32_t index)
{
    struct link_flow *f = &l->flows[index];

    f->pace_us = LINK_NEVER;
    if (l->now_us < f->start_us) {
        f->pace_us = f->start_us;
        return;
    }
    for (; f->probes > 0; f->probes--) {
        link_send_one(l, index);
    }
    while (f->unsent > 0) {
        uint64_t at_us = pacer_next_time(&f->pacer, l->now_us, LINK_DATAGRAM);

        if (loss_window_room(&f->loss) < LINK_DATAGRAM || at_us > l->now_us) {
            f->pace_us = loss_window_room(&f->loss) < LINK_DATAGRAM
                             ? LINK_NEVER
                             : pacer_next_time(&f->pacer, l->now_us, f->pacer.burst_bytes / 2);
            congestion_set_app_limited(&f->congestion, false);
            return;
        }
        link_send_one(l, index);
    }
    congestion_set_app_limited(&f->congestion, true);
}

/* Add to the receiver's ranges. @return it continued the highest one */
static inline bool link_receive(struct link_ack *a, uint64_t n)
{
    uint32_t i = 0;

    while (i < a->count && a->first[i] > n + 1) {
        i++;
    }
    if (i < a->count && n >= a->first[i] && n <= a->last[i]) {
        return false;
    }
    if (i < a->count && n + 1 == a->first[i]) {
        a->first[i] = n;
        if (i + 1 < a->count && a->last[i + 1] + 1 == n) {
            a->first[i] = a->first[i + 1];
            a->count--;
            memmove(&a->first[i + 1], &a->first[i + 2], (a->count - i - 1) * sizeof a->first[0]);
            memmove(&a->last[i + 1], &a->last[i + 2], (a->count - i - 1) * sizeof a->last[0]);
        }
        return false;
    }
    if (i < a->count && n == a->last[i] + 1) {
        a->last[i] = n;
        return i == 0;
    }
    if (i >= LINK_RANGES) {
        return false;
    }
    a->count = a->count < LINK_RANGES ? a->count + 1 : LINK_RANGES;
    memmove(&a->first[i + 1], &a->first[i], (a->count - i - 1) * sizeof a->first[0]);
    memmove(&a->last[i + 1], &a->last[i], (a->count - i - 1) * sizeof a->last[0]);
    a->first[i] = n;
    a->last[i] = n;
    return n == 0;
}

static inline void link_acknowledge(struct link *l, uint32_t index)
{
    struct link_flow *f = &l->flows[index];
    struct link_event e = {.time_us = l->now_us + l->back_us, .flow = index};

    e.ack = malloc(sizeof *e.ack);
    assert_non_null(e.ack);
    *e.ack = f->received;
    e.ack->delay_us = f->held_us == LINK_NEVER ? 0 : l->now_us - (f->held_us - 25000);
    link_event_push(l, e);
    f->held = 0;
    f->held_us = LINK_NEVER;
}

static inline void link_on_arrival(struct link *l, const struct link_event *e)
{
    struct link_flow *f = &l->flows[e->flow];
    bool in_order = link_receive(&f->received, e->number);

    f->received.marks += e->ce;
    if (f->held_us == LINK_NEVER) {
        f->held_us = l->now_us + 25000;
    }
    if (++f->held >= 2 || !in_order || e->ce) {
        link_acknowledge(l, e->flow);
    }
}

static inline void link_on_ack(struct link *l, const struct link_event *e)
{
    struct link_flow *f = &l->flows[e->flow];
    const struct link_ack *a = e->ack;

    assert_int_equal(
        loss_on_ack_begin(&f->loss, LOSS_APPLICATION, a->last[0], a->delay_us, l->now_us), 0);
    for (uint32_t i = 0; i < a->count; i++) {
        assert_int_equal(loss_on_ack_range(&f->loss, a->first[i], a->last[i]), 0);
    }
    if (loss_on_ack_end(&f->loss) && a->marks > f->marks_seen) {
        f->marks_seen = a->marks;
        (void)loss_on_ecn_ce(&f->loss, LOSS_APPLICATION, l->now_us);
    }
    congestion_pace(&f->congestion, &f->pacer, l->now_us, f->rtt.smoothed_us);
    if (f->unsent == 0 && f->loss.in_flight_bytes == 0) {
        f->done_us = l->now_us;
    }
    free(e->ack);
    link_send(l, e->flow);
}

static inline uint64_t link_flow_time(const struct link_flow *f)
{
    uint64_t time_us = f->pace_us < f->held_us ? f->pace_us : f->held_us;
    uint64_t loss_us = loss_deadline(&f->loss);

    return loss_us < time_us ? loss_us : time_us;
}

static inline void link_flow_on_time(struct link *l, uint32_t index)
{
    struct link_flow *f = &l->flows[index];

    if (f->held_us <= l->now_us) {
        link_acknowledge(l, index);
    }
    if (loss_deadline(&f->loss) <= l->now_us) {
        struct loss_action action = loss_on_deadline(&f->loss, l->now_us);

        f->probes = action.kind == LOSS_PROBE ? action.probes : 0;
        congestion_pace(&f->congestion, &f->pacer, l->now_us, f->rtt.smoothed_us);
        link_send(l, index);
    } else if (f->pace_us <= l->now_us) {
        link_send(l, index);
    }
}

/* Run for so long; or, with until_done, until the first flow has nothing left. @return whether
 * it has */
static inline bool link_run(struct link *l, uint64_t time_us, bool until_done)
{
    uint64_t end_us = l->now_us + time_us;

    for (;;) {
        uint64_t next_us = l->event_count > 0 ? l->events[0].time_us : LINK_NEVER;
        uint32_t flow = LINK_FLOWS;

        for (uint32_t i = 0; i < l->flow_count; i++) {
            uint64_t at_us = link_flow_time(&l->flows[i]);

            if (at_us < next_us) {
                next_us = at_us;
                flow = i;
            }
        }
        if (until_done && l->flows[0].unsent == 0 && l->flows[0].loss.in_flight_bytes == 0) {
            return true;
        }
        if (next_us > end_us) {
            l->now_us = end_us;
            return false;
        }
        l->now_us = next_us > l->now_us ? next_us : l->now_us;
        if (flow < LINK_FLOWS) {
            link_flow_on_time(l, flow);
        } else {
            struct link_event e = link_event_pop(l);

            (e.ack == NULL ? link_on_arrival : link_on_ack)(l, &e);
        }
    }
}

/* Application bytes come. */
static inline void link_write(struct link *l, uint32_t index, uint64_t bytes)
{
    l->flows[index].unsent += bytes;
    link_send(l, index);
}

/* Jain's index of what each flow got since `from`, in ppm. */
static inline uint64_t link_fairness_ppm(const struct link *l, const uint64_t from[LINK_FLOWS])
{
    uint64_t sum = 0, squares = 0;

    for (uint32_t i = 0; i < l->flow_count; i++) {
        uint64_t kib = (l->flows[i].acked_bytes - from[i]) / 1024;

        sum += kib;
        squares += kib * kib;
    }
    return squares == 0 ? 0 : sum * sum * 1000000 / (l->flow_count * squares);
}
#endif
