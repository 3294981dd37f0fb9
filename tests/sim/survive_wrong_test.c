/* SPDX-License-Identifier: MIT */
/* Goal: whoever changes bytes of a handshake on the way never makes two peers accept something
 * wrong, and gains no more than the loss of that datagram. Method: a handshake whose datagrams are
 * known, because its seed is; then again for each byte of each of them: that datagram is lost, and
 * in its place come copies in which that byte has another value, one copy for each wrong value. The
 * peers must connect by what they send again, know each other, and exchange a message; nothing else
 * may come of the copies.
 *
 * The keys of Initial packets come from an id that is sent in the clear, so whoever stands on the
 * way can change those within: the second case opens message 1, and the first part of message 2,
 * changes a byte of the key in it, and seals it again. */
#include "quic/connection.h"
#include "quic/frame.h"
#include "sim/survive.h"
#include <string.h>

enum { DATAGRAMS_MAX = 32, BYTES_MAX = 1500, SEED = 1100 };

/* A datagram of the handshake. */
struct sample {
    uint32_t from;
    uint32_t index; /* on its link */
    size_t len;
};

/* The datagrams with a long header, hence of the handshake, that a clean run sends. */
struct recording {
    struct sample samples[DATAGRAMS_MAX];
    uint32_t count, index[3];
};

static void record(void *context, const struct network_record *r)
{
    struct recording *recording = context;
    uint32_t index;

    assert_in_range(r->from, 1, 2);
    index = recording->index[r->from]++;
    if ((r->data[0] & 0x80) == 0) return;
    assert_true(recording->count < DATAGRAMS_MAX && r->len <= BYTES_MAX);
    recording->samples[recording->count++] = (struct sample){r->from, index, r->len};
}

/* The datagram that was lost. */
struct victim {
    uint32_t from;
    size_t len;
    struct endpoint source, destination;
    uint8_t bytes[BYTES_MAX];
};

static void catch_lost(void *context, const struct network_record *r)
{
    struct victim *victim = context;

    if (r->verdict != VERDICT_LOST_PATTERN || victim->len > 0) return;
    assert_true(r->len <= BYTES_MAX);
    victim->from = r->from;
    victim->len = r->len;
    victim->source = r->source;
    victim->destination = r->destination;
    memcpy(victim->bytes, r->data, r->len);
}

static void record_handshake(struct recording *recording)
{
    struct survive_pair pair;

    memset(recording, 0, sizeof *recording);
    survive_open(&pair, SEED, NULL);
    rig_world(&pair.sim)->network.tap = record;
    rig_world(&pair.sim)->network.tap_context = recording;
    assert_true(survive_connect(&pair, SIM_SECOND));
    sim_settle(&pair.sim, sim_now(&pair.sim) + SIM_SECOND);
    survive_close(&pair);
}

static void expect_peer(struct survive_pair *pair, uint32_t node)
{
    weir_connection_info info;
    weir_peer_id want;

    rig_connection_info(&pair->sim, node, pair->ends[node - 1], &info);
    assert_int_equal(weir_node_peer(pair->sim.nodes[3 - node], &want), 0);
    assert_int_equal(info.peer.len, want.len);
    assert_memory_equal(info.peer.bytes, want.bytes, want.len);
}

/* Copies of the victim in which one byte is wrong, instead of it. */
static uint32_t send_wrong(struct survive_pair *pair, const struct victim *victim, size_t at,
                           uint32_t values)
{
    uint8_t copy[BYTES_MAX];
    uint32_t i;

    memcpy(copy, victim->bytes, victim->len);
    for (i = 1; i <= values; i++) {
        /* With few values: the lowest bit, the highest, all, and one that the place decides. */
        const uint8_t few[] = {0x01, 0x80, 0xff, (uint8_t)(2 + at % 0x7d)};
        uint8_t change = values == 255 ? (uint8_t)i : few[i % 4];

        copy[at] = victim->bytes[at] ^ change;
        world_inject(rig_world(&pair->sim), &victim->source, &victim->destination, copy,
                     victim->len);
    }
    return values;
}

static void take(struct survive_pair *pair, const weir_event *event, uint64_t dialled)
{
    if (event->kind == WEIR_EVENT_CONNECTION_CLOSED) {
        fail_msg("a connection of node %u ended: %s, %s", (unsigned)event->node,
                 weir_error_name(event->error), weir_reason_name((uint32_t)event->amount));
    }
    if (event->kind != WEIR_EVENT_CONNECTED) return;
    assert_int_equal(pair->ends[event->node - 1], 0);
    if (event->node == 1) assert_int_equal(event->object, dialled);
    pair->ends[event->node - 1] = event->object;
}

/* Sends copies with a wrong byte. @return how many */
typedef uint32_t send_function(struct survive_pair *pair, const struct victim *victim, size_t at,
                               uint32_t values);

/* @return how long the handshake took */
static uint64_t corrupt_one(const struct sample *sample, size_t at, uint32_t values,
                            send_function *send, uint64_t *sent)
{
    weir_link_options lossy = {
        .size = sizeof lossy, .one_way = 1, .drop_pattern = UINT64_C(1) << sample->index};
    struct victim victim = {.len = 0};
    struct survive_pair pair;
    uint64_t start_us, dialled;
    bool is_sent = false;
    weir_event event;

    survive_open(&pair, SEED, NULL);
    survive_link(&pair, sample->from, 3 - sample->from, &lossy, NULL);
    rig_world(&pair.sim)->network.tap = catch_lost;
    rig_world(&pair.sim)->network.tap_context = &victim;
    start_us = sim_now(&pair.sim);
    dialled = sim_dial(&pair.sim, 1, 2);
    while (pair.ends[0] == 0 || pair.ends[1] == 0 || !is_sent) {
        while (sim_next(&pair.sim, &event, sim_now(&pair.sim) + RIG_MS)) {
            take(&pair, &event, dialled);
        }
        if (victim.len > 0 && !is_sent) {
            assert_int_equal(victim.len, sample->len);
            *sent += send(&pair, &victim, at, values);
            is_sent = true;
        }
        if (sim_now(&pair.sim) > start_us + 60 * SIM_SECOND) {
            fail_msg("byte %zu of datagram %u of node %u: no connection", at, sample->index,
                     sample->from);
        }
    }
    pair.took_us = sim_now(&pair.sim) - start_us;
    expect_peer(&pair, 1);
    expect_peer(&pair, 2);
    if (!survive_exchange(&pair, 60 * SIM_SECOND))
        fail_msg("byte %zu of datagram %u of node %u: no message", at, sample->index, sample->from);
    assert_int_equal(pair.sim.seen[WEIR_EVENT_CONNECTED], 2);
    survive_close(&pair);
    return pair.took_us;
}

static void wrong_bytes(void)
{
    uint32_t values = survive_pick(4, 255), i, handshakes = 0;
    uint64_t longest_us = 0, sent = 0;
    struct recording recording;
    size_t at;

    record_handshake(&recording);
    /* Message 1, message 2, message 3. */
    assert_in_range(recording.count, 3, DATAGRAMS_MAX);
    for (i = 0; i < recording.count; i++) {
        for (at = 0; at < recording.samples[i].len; at++, handshakes++) {
            uint64_t took_us = corrupt_one(&recording.samples[i], at, values, send_wrong, &sent);

            if (took_us > longest_us) longest_us = took_us;
        }
    }
    survive_tried("each byte of %u datagrams of the handshake with %u wrong values: %u handshakes, "
                  "%llu wrong datagrams",
                  recording.count, values, handshakes, (unsigned long long)sent);
    survive_worst("none accepted, the honest repetition connects within %.1f s",
                  (double)longest_us / 1e6);
}

/* The id that the client chose for the server in its first datagram: Initial keys come from it. */
static struct cid first_id;

static void note_first_id(void *context, const struct network_record *r)
{
    struct packet_header header;

    (void)context;
    if (r->from != 1 || first_id.len > 0) return;
    assert_int_equal(packet_parse(r->data, r->len, &header), 0);
    first_id = header.dcid;
}

/* An Initial packet that was opened. */
struct opened {
    uint8_t packet[BYTES_MAX]; /* plain */
    size_t header_len, payload_len, packet_len;
    unsigned number_size;
    uint64_t number;
    size_t message; /* where the CRYPTO frame's bytes begin in packet */
};

static void open_initial(const struct victim *victim, struct opened *o)
{
    struct protect_keys read, write;
    struct protect_cipher cipher;
    struct packet_header header;
    struct reader reader;
    struct frame frame;
    uint8_t *payload, first;

    memcpy(o->packet, victim->bytes, victim->len);
    assert_int_equal(packet_parse(o->packet, victim->len, &header), 0);
    assert_int_equal(header.type, PACKET_INITIAL);
    conn_handshake_initial_keys(&first_id, victim->from == 2, &read, &write);
    protect_cipher_init(&cipher, &read);
    assert_int_equal(packet_open(&cipher, o->packet, &header, PACKET_NUMBER_NONE, &o->number,
                                 &payload, &o->payload_len, &first),
                     0);
    o->header_len = (size_t)(payload - o->packet);
    o->number_size = (unsigned)(o->header_len - header.pn_offset);
    o->packet_len = header.packet_len;
    reader = reader_of(payload, o->payload_len);
    do {
        assert_int_equal(frame_read(&reader, &frame), 0);
    } while (frame.type != FRAME_CRYPTO);
    assert_int_equal(frame.u.crypto.offset, 0);
    assert_true(frame.u.crypto.len >= HANDSHAKE_FIRST_LEN);
    o->message = (size_t)(frame.u.crypto.data - o->packet);
}

/* The same packet with a byte of its message changed, sealed as its sender would, and what follows
 * it in the datagram. Each forgery takes room at the server as a handshake of its own, so few of
 * them replace one datagram. */
static uint32_t send_forged(struct survive_pair *pair, const struct victim *victim, size_t at,
                            uint32_t value)
{
    struct protect_keys read, write;
    struct protect_cipher cipher;
    struct opened opened;
    uint8_t copy[BYTES_MAX];

    open_initial(victim, &opened);
    opened.packet[opened.message + at] ^= (uint8_t)value;
    conn_handshake_initial_keys(&first_id, victim->from == 1, &read, &write);
    protect_cipher_init(&cipher, &write);
    assert_int_equal(packet_seal(&cipher, opened.packet, opened.header_len, opened.number,
                                 opened.number_size, opened.payload_len),
                     opened.packet_len);
    memcpy(copy, opened.packet, opened.packet_len);
    memcpy(copy + opened.packet_len, victim->bytes + opened.packet_len,
           victim->len - opened.packet_len);
    world_inject(rig_world(&pair->sim), &victim->source, &victim->destination, copy, victim->len);
    return 1;
}

static void forged_bytes(void)
{
    uint32_t values = survive_pick(2, 255), value, from, i = 0, handshakes = 0;
    uint64_t longest_us = 0, sent = 0;
    struct recording recording;
    struct survive_pair pair;
    size_t at;

    first_id.len = 0;
    record_handshake(&recording);
    survive_open(&pair, SEED, NULL);
    rig_world(&pair.sim)->network.tap = note_first_id;
    assert_true(survive_connect(&pair, SIM_SECOND));
    survive_close(&pair);
    for (from = 1; from <= 2; from++) {
        for (i = 0; recording.samples[i].from != from; i++) assert_true(i + 1 < recording.count);
        for (at = 0; at < HANDSHAKE_FIRST_LEN; at++) {
            for (value = 1; value <= values; value++, handshakes++) {
                uint32_t change = values == 255 ? value : value == 1 ? 0x01 : 0x80;
                uint64_t took_us =
                    corrupt_one(&recording.samples[i], at, change, send_forged, &sent);

                if (took_us > longest_us) longest_us = took_us;
            }
        }
    }
    survive_tried("each byte of both ephemeral keys and their lengths forged to %u other values "
                  "inside its Initial packet: %u handshakes",
                  values, handshakes);
    survive_worst("none accepted, the honest repetition connects within %.1f s",
                  (double)longest_us / 1e6);
}

int main(int argc, char **argv)
{
    static const struct survive_case cases[] = {
        {"wrong_bytes", wrong_bytes},
        {"forged_bytes", forged_bytes},
    };

    return survive_main(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
