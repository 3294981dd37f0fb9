/* SPDX-License-Identifier: MIT */
/* Goal: whatever datagrams reach an in-memory transport, it stays whole: no crash, no leak, budgets
 * at zero at the end. A world's faults can damage its messages.
 *
 * The first byte chooses the scene: a listener, a dialler that waits, an established pair. The rest
 * is steps of a byte of what to do, a length and bytes: messages under the header of the connection
 * that is there, a raw datagram, or delivery of what is on the way. */
#include "base/assert.h"
#include "base/bytes.h"
#include "fuzz/fuzz.h"
#include "fuzz/wire.h"
#include "loop/loop.h"
#include "loop/loop_conn.h"
#include "loop/loop_message.h"

enum { STEPS_MAX = 64 };

/* Messages as if they came from the other side of this connection. */
static void forge(struct wire *w, int to, const uint8_t *bytes, size_t len)
{
    uint8_t out[2048];
    struct writer writer = writer_of(out, sizeof out);
    const struct loop_conn *c = (const struct loop_conn *)(const void *)w->side[to].conn;
    if (len > sizeof out - MESSAGE_HEADER_BYTES) return;
    loop_message_write_header(&writer, c != NULL ? c->number : 0, c != NULL ? c->remote_number : 1);
    writer_bytes(&writer, bytes, len);
    wire_give(w, to, out, writer_len(&writer));
}

static void speak(struct wire *w, int i, const uint8_t *bytes, size_t len)
{
    int error;
    if (w->side[i].conn == NULL || w->side[i].conn->state != CONN_UP) return;
    struct stream *s = streams_open_local(w->side[i].conn, (len & 1) != 0, 3, &error);
    if (s != NULL) (void)stream_write(s, bytes, len, false, (len & 2) != 0, w->now_us);
}

static void step(struct wire *w, uint8_t what, const uint8_t *bytes, size_t len)
{
    int side = what & 1;
    switch (what >> 1 & 3) {
    case 0: forge(w, side, bytes, len); break;
    case 1: wire_give(w, side, bytes, len); break;
    case 2: speak(w, side, bytes, len); break;
    default: wire_pump(w, 3); break;
    }
    wire_send(w, 0);
    wire_send(w, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wire w;
    struct reader r = reader_of(data, size);
    unsigned scene = reader_u8(&r) % 3;
    wire_open_with(&w, &loop_transport);
    if (scene > 0) wire_dial(&w);
    if (scene > 1) wire_pump(&w, 6);
    for (int i = 0; i < STEPS_MAX && reader_left(&r) > 2; i++) {
        uint8_t what = reader_u8(&r);
        size_t len = reader_u8(&r);
        if (len > reader_left(&r)) len = reader_left(&r);
        step(&w, what, reader_bytes(&r, len), len);
    }
    wire_pump(&w, 6);
    wire_lose(&w);
    wire_close(&w);
    return 0;
}
