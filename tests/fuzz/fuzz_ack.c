/* SPDX-License-Identifier: MIT */
/* Goal: whatever numbers arrive in whatever order, none is taken twice, every ACK that is
 *  written can be read and claims nothing that did not arrive, and memory stays bounded. The
 *  input is a program over numbers 0 to 1023, which a table models; the peer may
 *  ask for any frequency. */
#include "base/assert.h"
#include "fuzz/fuzz.h"
#include "quic/ack.h"
#include "quic/frame.h"

#include <string.h>

enum { NUMBERS = 1024 };
static bool seen[NUMBERS];

static void receive(struct ack_state *ack, const struct mem *mem, uint8_t op, uint64_t pn,
                    uint64_t now_us)
{
    bool duplicate = ack_is_duplicate(ack, pn);
    WEIR_ASSERT(duplicate || !seen[pn]);
    if (duplicate) return;
    seen[pn] = true;
    WEIR_ASSERT(ack_on_packet(ack, mem, pn, (op & 0x40) != 0, now_us, op >> 2 & 3) == 0);
    WEIR_ASSERT(ack_is_duplicate(ack, pn));
    WEIR_ASSERT((op & 0x40) == 0 || ack_is_pending(ack));
}

static void report(const struct ack_state *ack, uint64_t now_us, size_t cap)
{
    uint8_t out[512];
    struct writer w = writer_of(out, cap < sizeof out ? cap : sizeof out);
    struct frame frame;
    struct frame_ack_cursor cursor;
    uint64_t largest, start, end;
    if (!ack_write(ack, &w, now_us, 3, &largest)) return;
    struct reader r = reader_of(out, writer_len(&w));
    WEIR_ASSERT(frame_read(&r, &frame) == QUIC_NO_ERROR && reader_left(&r) == 0);
    WEIR_ASSERT(frame.u.ack.largest == largest);
    WEIR_ASSERT(frame.u.ack.range_count < ACK_RANGES_SENT_MAX);
    frame_ack_begin(&cursor, &frame.u.ack);
    while (frame_ack_next(&cursor, &start, &end)) {
        for (uint64_t pn = start; pn < end; pn++) WEIR_ASSERT(pn < NUMBERS && seen[pn]);
    }
}

/* What the peer may ask for, good or bad. */
static void ask(struct ack_state *ack, uint8_t op, uint8_t value, uint64_t sequence)
{
    struct ack_state before = *ack;
    struct frame_ack_frequency frequency = {
        .sequence = sequence % 64,
        .threshold = (op & 1) != 0 ? UINT64_C(1) << value % 62 : value,
        .max_delay_us = (op & 2) != 0 ? UINT64_C(1) << value % 62 : value * UINT64_C(1000),
        .reordering = (op & 4) != 0 ? UINT64_C(1) << value % 62 : value % 4,
    };
    int error = ack_set_frequency(ack, &frequency, 1000);
    WEIR_ASSERT(error == QUIC_NO_ERROR || error == QUIC_PROTOCOL_VIOLATION);
    bool bad = frequency.max_delay_us < 1000 || frequency.max_delay_us >= ACK_DELAY_END_US;
    WEIR_ASSERT(bad == (error != QUIC_NO_ERROR));
    WEIR_ASSERT(!bad || memcmp(ack, &before, sizeof before) == 0);
    WEIR_ASSERT(ack->threshold <= ACK_THRESHOLD_MAX && ack->max_ack_delay_us < ACK_DELAY_END_US);
}

/* Nobody starves: enough that waits, or time, brings an ACK. */
static void check_due(const struct ack_state *ack, uint64_t now_us)
{
    WEIR_ASSERT(ack_is_pending(ack) == (ack_deadline(ack) != ACK_NEVER));
    if (!ack_is_pending(ack)) return;
    WEIR_ASSERT(ack_deadline(ack) < now_us + ACK_DELAY_END_US);
    WEIR_ASSERT(ack->eliciting_waiting <= ACK_THRESHOLD_MAX || ack_should_send(ack, now_us));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mem_counter counter;
    struct ack_state ack;
    uint64_t now_us = 0;
    memset(seen, 0, sizeof seen);
    mem_counter_init(&counter, mem_system());
    ack_init(&ack, size % 2 == 0 ? 0 : 25000);
    for (size_t i = 0; i + 1 < size; i += 2) {
        uint64_t pn = (uint64_t)(data[i] & 3) << 8 | data[i + 1];
        now_us += 1000;
        if ((data[i] & 0x80) == 0) receive(&ack, &counter.mem, data[i], pn, now_us);
        if ((data[i] & 0xc0) == 0x80) report(&ack, now_us, data[i + 1]);
        if ((data[i] & 0xe0) == 0xc0) ack_on_ack_acked(&ack, pn);
        if ((data[i] & 0xf0) == 0xe0) ack_on_ack_sent(&ack);
        if ((data[i] & 0xf8) == 0xf0) ask(&ack, data[i], data[i + 1], i);
        if ((data[i] & 0xf8) == 0xf8) ack_on_immediate(&ack);
        check_due(&ack, now_us);
        WEIR_ASSERT(ack.ranges.count <= ACK_RANGES_MAX);
    }
    report(&ack, now_us, 512);
    ack_free(&ack, &counter.mem);
    WEIR_ASSERT(counter.live_bytes == 0);
    return 0;
}
