/* SPDX-License-Identifier: MIT */
/* Goal: whatever datagrams come, a transport stays whole: no crash, no leak, no timer that
 * stands still, budgets at zero at the end.
 *
 * The first byte chooses the scene: a listener, a dialler that waits, a pair in the middle of
 * its handshake, an established pair with data in flight. The rest is a program: each step has a
 * byte of what to do, a length, and bytes: as a datagram, as a payload sealed with real keys of
 * the other side (Initial, Handshake, 1-RTT), or changed into a genuine datagram that is under
 * way; between them datagrams are delivered or lost and time passes. */
#include "base/assert.h"
#include "base/bytes.h"
#include "fuzz/fuzz.h"
#include "fuzz/wire.h"

enum { STEPS_MAX = 40 };

static void write_something(struct wire *w, int i, const uint8_t *bytes, size_t len)
{
    int error;
    if (w->side[i].conn == NULL || w->side[i].conn->state != CONN_UP) return;
    struct stream *s =
        streams_open_local(w->side[i].conn, (len & 1) != 0, (uint8_t)(len & 7), &error);
    if (s == NULL) return;
    (void)stream_write(s, bytes, len, (len & 2) != 0, (len & 4) != 0, w->now_us);
    if ((len & 24) == 24)
        (void)stream_reset(s, 7, w->now_us);
    else if ((len & 8) != 0 && s->has_in)
        (void)stream_stop(s, 7, w->now_us);
}

static void set_scene(struct wire *w, unsigned scene)
{
    static const uint8_t bytes[3000];
    if (scene == 0) return;
    wire_dial(w);
    if (scene == 1) wire_lose(w);
    if (scene == 2) wire_pump(w, 2);
    if (scene == 3) {
        wire_pump(w, 8);
        for (int i = 0; i < 2; i++) write_something(w, i, bytes, sizeof bytes);
        wire_pump(w, 1);
    }
}

static void reseal(struct wire *w, int to, unsigned type, uint64_t step, const uint8_t *bytes,
                   size_t len)
{
    static const enum packet_type types[] = {PACKET_SHORT, PACKET_SHORT, PACKET_INITIAL,
                                             PACKET_HANDSHAKE};
    uint8_t out[2048];
    struct connection *from = wire_connection(w, 1 - to);
    if (from == NULL) return;
    size_t sealed = wire_seal(from, types[type & 3], 50 + step, bytes, len, out, sizeof out);
    if (sealed > 0) wire_give(w, to, out, sealed);
}

static void change(struct wire *w, const uint8_t *bytes, size_t len)
{
    if (w->queued == 0 || len < 2) return;
    size_t n = bytes[0] % w->queued;
    for (size_t i = 1; i + 1 < len; i += 2) {
        size_t at = (size_t)bytes[i] % w->queue[n].len;
        w->queue[n].bytes[at] = (uint8_t)(w->queue[n].bytes[at] ^ bytes[i + 1]);
    }
    if (len % 2 == 1) w->queue[n].len = 1 + bytes[len - 1] * w->queue[n].len / 256;
}

static void step(struct wire *w, uint8_t op, uint64_t n, const uint8_t *bytes, size_t len)
{
    int to = op >> 7;
    switch (op & 7) {
    case 0: wire_give(w, to, bytes, len); break;
    case 1:
    case 2: reseal(w, to, op >> 3, n, bytes, len); break;
    case 3: change(w, bytes, len); break;
    case 4: wire_pump(w, 1 + (op >> 3 & 3)); break;
    case 5: wire_wait(w, UINT64_C(1000) << (op >> 3 & 15)); break;
    case 6:
        if ((op & 8) != 0)
            wire_lose(w);
        else
            write_something(w, to, bytes, len);
        break;
    default:
        if ((op & 0x78) == 0x78 && w->side[to].conn != NULL)
            quic_transport.conn_close(w->side[to].conn, 3, "text", 4, w->now_us);
        wire_send(w, to);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wire w;
    struct reader r = reader_of(data, size);
    if (size < 1 || size > 8192) return 0;
    wire_open(&w);
    set_scene(&w, reader_u8(&r) & 3);
    for (uint64_t n = 0; n < STEPS_MAX && reader_left(&r) >= 2; n++) {
        uint8_t op = reader_u8(&r), small = reader_u8(&r);
        size_t len = small < 250 ? small : small * 4u + 200u; /* up to 1220 */
        if (len > reader_left(&r)) len = reader_left(&r);
        step(&w, op, n, reader_bytes(&r, len), len);
        WEIR_ASSERT(w.counter.live_bytes < 12u << 20);
    }
    wire_pump(&w, 4);
    wire_wait(&w, 3000000);
    wire_close(&w);
    return 0;
}
