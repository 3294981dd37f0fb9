/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_UNIT_QUIC_FLOW_H
#define WEIR_TESTS_UNIT_QUIC_FLOW_H
/* Bytes that flow over a pair: a writer that keeps its lane full, a reader that checks each byte,
 * and an end. */
#include "pair.h"

struct flow {
    int from;
    uint64_t id, total, written, read;
    uint64_t last_read_us, longest_gap_us;
    bool open, paused, at_end; /* paused: the reader does not read */
};

static inline uint8_t flow_byte(const struct flow *f, uint64_t at)
{
    return (uint8_t)((at * 31 >> 3) + at + f->id + (uint64_t)f->from);
}

static inline void flow_open(struct pair *p, struct flow *f, int from, uint64_t total)
{
    int error;
    memset(f, 0, sizeof *f);
    struct stream *s = streams_open_local(p->side[from].conn, false, 3, &error);
    assert_non_null(s);
    f->from = from;
    f->id = s->id;
    f->total = total;
    f->open = true;
    f->last_read_us = p->now_us;
}

static inline void flow_write(struct pair *p, struct flow *f)
{
    static uint8_t chunk[65536];
    if (p->side[f->from].conn == NULL)
        return;
    struct stream *s = streams_get(p->side[f->from].conn, f->id);
    while (f->open && s != NULL) {
        uint64_t left = f->total - f->written;
        size_t want = left < sizeof chunk ? (size_t)left : sizeof chunk;
        uint64_t room = stream_writable(s);
        if (room == 0 && want > 0 && s->blocked.why != BLOCKED_NOT)
            return;
        for (size_t i = 0; i < want; i++)
            chunk[i] = flow_byte(f, f->written + i);
        int64_t n = stream_write(s, chunk, want, false, want == left, p->now_us);
        if (n < 0)
            return;
        f->written += (uint64_t)n;
        if ((size_t)n < want)
            return;
        if (want == left)
            f->open = false;
    }
}

static inline void flow_read(struct pair *p, struct flow *f)
{
    static uint8_t chunk[65536];
    if (f->paused || f->at_end || p->side[1 - f->from].conn == NULL)
        return;
    struct stream *s = streams_get(p->side[1 - f->from].conn, f->id);
    int64_t n = 0;
    while (s != NULL && (n = stream_read(s, chunk, sizeof chunk, p->now_us)) > 0) {
        for (int64_t i = 0; i < n; i++) {
            if (chunk[i] != flow_byte(f, f->read + (uint64_t)i))
                fail_msg("byte %llu is wrong", (unsigned long long)f->read + (unsigned long long)i);
        }
        f->read += (uint64_t)n;
        if (p->now_us - f->last_read_us > f->longest_gap_us)
            f->longest_gap_us = p->now_us - f->last_read_us;
        f->last_read_us = p->now_us;
    }
    if (s != NULL && n == WEIR_E_END)
        f->at_end = true;
}

/* Run flows until all have arrived, or for limit_us. @return microseconds */
static inline uint64_t flow_run(struct pair *p, struct flow *flows, size_t count, uint64_t limit_us)
{
    uint64_t start = p->now_us, until = start + limit_us;
    for (;;) {
        bool all = true;
        for (size_t i = 0; i < count; i++) {
            flow_write(p, &flows[i]);
            flow_read(p, &flows[i]);
            all = all && flows[i].at_end;
        }
        pair_turn(p);
        if (all || p->now_us >= until)
            return p->now_us - start;
        (void)pair_step(p, until);
    }
}

static inline void flow_expect_whole(const struct flow *f)
{
    assert_true(f->at_end);
    assert_int_equal(f->read, f->total);
}
#endif
