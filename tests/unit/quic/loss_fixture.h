/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_LOSS_FIXTURE_H
#define WEIR_TESTS_LOSS_FIXTURE_H
/* What the loss tests share: an engine with a counting allocator, a budget, NewReno, and a log
 * of what it reports. Include after cmocka.h. */
#include "quic/loss.h"
#include <string.h>

#define MS 1000u
#define START 1000000u

struct event {
    enum loss_space_name space;
    enum loss_fate fate;
    uint64_t number, tag;
};
struct fixture {
    struct mem_counter counter;
    struct budget budget;
    struct rtt rtt;
    struct congestion congestion;
    struct loss loss;
    struct event events[64];
    uint32_t event_count;
};

static inline void on_packet(void *context, enum loss_space_name space, uint64_t number,
                             const struct sent *sent, const struct sent_packet *packet,
                             enum loss_fate fate)
{
    struct fixture *f = context;

    assert_true(f->event_count < 64);
    f->events[f->event_count++] =
        (struct event){space, fate, number, sent_frame_get(sent, packet, 0)->offset};
}

static inline void fixture_open(struct fixture *f, bool client)
{
    memset(f, 0, sizeof *f);
    mem_counter_init(&f->counter, mem_system());
    budget_init(&f->budget, NULL, LIMIT_SCOPE_CONNECTION, 0, UINT64_MAX, f);
    rtt_init(&f->rtt);
    congestion_init(&f->congestion, &congestion_newreno, 1200);
    loss_init(&f->loss, &f->counter.mem, &f->budget, client, &f->rtt, &f->congestion, 0, START);
    f->loss.on_packet = on_packet;
    f->loss.context = f;
}

/* A confirmed connection with a round trip of 100 ms sampled at START (packet 0 of Application). */
static inline void fixture_open_confirmed(struct fixture *f)
{
    fixture_open(f, true);
    rtt_on_sample(&f->rtt, START, 100 * MS, 0, true, 25 * MS);
    loss_set_confirmed(&f->loss, START);
}

static inline void fixture_close(struct fixture *f)
{
    loss_free(&f->loss);
    assert_int_equal(f->counter.live_bytes, 0);
    assert_int_equal(f->budget.used, 0);
    budget_end(&f->budget);
}

static inline uint64_t send_packet(struct fixture *f, enum loss_space_name space, uint64_t now_us,
                                   uint32_t flags)
{
    struct sent_frame frame = {.kind = SENT_STREAM, .id = 4};

    frame.offset = loss_next_number(&f->loss, space) + 7000;
    assert_int_equal(loss_packet_begin(&f->loss, space, NULL), 0);
    assert_true(loss_packet_frame(&f->loss, space, &frame));
    return loss_packet_sent(&f->loss, space, now_us, 1200, flags);
}

static inline void send_many(struct fixture *f, uint32_t count, uint64_t now_us, uint64_t step_us)
{
    for (uint32_t i = 0; i < count; i++) {
        (void)send_packet(f, LOSS_APPLICATION, now_us + i * step_us, SENT_ACK_ELICITING);
    }
}

static inline bool ack(struct fixture *f, enum loss_space_name space, uint64_t now_us,
                       uint64_t first, uint64_t last)
{
    f->event_count = 0;
    assert_int_equal(loss_on_ack_begin(&f->loss, space, last, 0, now_us), 0);
    assert_int_equal(loss_on_ack_range(&f->loss, first, last), 0);
    return loss_on_ack_end(&f->loss);
}

static inline void check_event(const struct fixture *f, uint32_t i, enum loss_fate fate,
                               uint64_t number)
{
    assert_true(i < f->event_count);
    assert_int_equal(f->events[i].fate, fate);
    assert_int_equal(f->events[i].number, number);
    assert_int_equal(f->events[i].tag, number + 7000);
}
#endif
