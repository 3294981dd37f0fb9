/* SPDX-License-Identifier: MIT */
/* What leaves, and when.
 *
 * A turn: what concerns other paths than the one in use, one datagram each; a probe of the path's
 * MTU; then a run of packets: acknowledgements and control frames first, then stream bytes in the
 * scheduler's order, full packets first, one partial packet at the end. What may be written was
 * settled when the application wrote it (lane.h), so nothing here asks flow control. Three things
 * can stop a packet: the congestion window, the pacer, and, before an address is proven, three
 * times what came from it. */
#include "base/assert.h"
#include "quic/conn_build.h"
#include <string.h>

/* A probe repeats what is oldest, so that one PTO is enough when a packet was lost (RFC 9002
 * 6.2.4). */
static void requeue_oldest(struct connection *c, enum loss_space_name space)
{
    const struct sent_packet *p = loss_oldest(&c->loss, space, &c->probe_from[space]);
    if (p == NULL) return;
    c->probe_from[space]++; /* the second probe of a PTO repeats the next one */
    conn_loss_requeue(c, space, &c->loss.spaces[space].sent, p);
}

static struct ack_state *acks_of(struct connection *c, enum loss_space_name space)
{
    return space == LOSS_APPLICATION ? &c->ack_app : &c->acks[space];
}

/* Whether packets of the Initial or Handshake level can be written. */
static bool has_long_keys(const struct connection *c, enum loss_space_name space)
{
    const struct conn_handshake *hs = c->hs;
    if (hs == NULL) return false;
    return space == LOSS_INITIAL ? hs->has_initial : hs->adopted != NULL && hs->adopted->has_keys;
}

static bool crypto_waits(const struct connection *c, enum loss_space_name space)
{
    return has_long_keys(c, space) && send_lane_has(&c->hs->out[space], false);
}

static bool long_wants(const struct connection *c, enum loss_space_name space, uint64_t now_us)
{
    if (!has_long_keys(c, space)) return false;
    return crypto_waits(c, space) || c->probes[space] > 0 ||
           ack_should_send(&c->acks[space], now_us);
}

static bool application_control_waits(const struct connection *c)
{
    return c->done_pending || c->path.response_wanted || c->path.challenge_wanted ||
           c->ids_to_tell || c->retire_count > 0 || c->frequency_pending || c->ping_pending ||
           c->probes[2] > 0;
}

static bool held_fills(const struct connection *c)
{
    const struct conn_streams *st = c->base.streams;
    uint64_t waiting = 0;
    for (const struct list *l = st->touched.next; l != &st->touched; l = l->next) {
        const struct stream *s = list_entry(l, const struct stream, touched_link);
        if (s->out.hold) waiting += send_lane_waiting(&s->out, true);
        if (waiting >= c->datagram_bytes) return true;
    }
    return false;
}

static bool application_wants(const struct connection *c, uint64_t now_us, bool *ack_only)
{
    *ack_only = false;
    if (!c->has_write) return false;
    if (application_control_waits(c) || streams_want_send(&c->base) || held_fills(c)) return true;
    *ack_only = true;
    return ack_should_send(&c->ack_app, now_us);
}

bool conn_out_wants(struct connection *c, uint64_t now_us)
{
    bool ack_only;
    if (c->phase > QUIC_UP) return c->close_send;
    if (conn_path_aside(c) != NULL) return true;
    return long_wants(c, LOSS_INITIAL, now_us) || long_wants(c, LOSS_HANDSHAKE, now_us) ||
           application_wants(c, now_us, &ack_only);
}

static size_t build_long(struct connection *c, enum loss_space_name space, uint8_t *data,
                         size_t room, size_t pad_to, uint64_t now_us)
{
    struct build b;
    if (c->probes[space] > 0 && !send_lane_has(&c->hs->out[space], false)) requeue_oldest(c, space);
    /* wire.md 5.6: until a candidate is adopted, each Initial carries all of message 1. */
    if (space == LOSS_INITIAL && connection_is_client(c))
        send_lane_on_lost(&c->hs->out[0], 0, c->hs->out[0].sent, false, connection_env(c)->mem);
    if (!build_begin(&b, c, NULL, space, &c->remote_cid, data, room, now_us)) return 0;
    put_ack(&b, acks_of(c, space), now_us);
    put_crypto(&b, &c->hs->out[space]);
    if (!b.eliciting && c->probes[space] > 0) put_ping(&b);
    bool ack = b.ack, eliciting = b.eliciting;
    /* A server pads what is eliciting, a client everything at Initial level (RFC 9000 14.1). */
    size_t len = build_end(&b, eliciting || connection_is_client(c) ? pad_to : 0, now_us);
    if (len == 0) return 0;
    if (ack) ack_on_ack_sent(acks_of(c, space));
    if (eliciting && c->probes[space] > 0) c->probes[space]--;
    return len;
}

/* before: bytes of other packets in the same datagram. */
static size_t build_application(struct connection *c, struct build_run *run, uint8_t *data,
                                size_t room, size_t before, bool ack_only, uint64_t now_us)
{
    struct build b;
    bool probe = c->probes[2] > 0;
    if (probe && !streams_want_send(&c->base)) requeue_oldest(c, LOSS_APPLICATION);
    if (!build_begin(&b, c, run, LOSS_APPLICATION, &c->remote_cid, data, room, now_us)) return 0;
    /* Where little may be sent, an ACK of many ranges would leave no room for the challenge that
     * ends the shortage. */
    if (!ack_only && room < PACKET_DATAGRAM_MIN) put_path(&b, &c->path);
    if (ack_is_pending(&c->ack_app) || ack_should_send(&c->ack_app, now_us))
        put_ack(&b, &c->ack_app, now_us);
    if (!ack_only) {
        put_connection(&b);
        put_application(&b);
        /* RFC 9000 9.3.3: on the path in use something that is no probe goes with a challenge and
         * with its answer, or the peer would not follow us, or not come back from where a forger
         * led it. */
        if (c->ping_pending || b.whole || (probe && !b.eliciting)) put_ping(&b);
    }
    bool ack = b.ack, eliciting = b.eliciting;
    /* RFC 9000 8.2.1: a challenge and its answer show that the path takes whole datagrams. Where
     * the address may not be sent one, padding would only use up what it may be sent. */
    bool pad = b.whole && before < PACKET_DATAGRAM_MIN && before + room >= PACKET_DATAGRAM_MIN;
    size_t len = build_end(&b, pad ? PACKET_DATAGRAM_MIN - before : 0, now_us);
    if (len == 0) return 0;
    if (ack) ack_on_ack_sent(&c->ack_app);
    if (eliciting) c->ping_pending = false;
    if (eliciting && probe) c->probes[2]--;
    return len;
}

void conn_out_check_blocked(struct connection *c)
{
    bool blocked = path_allows(&c->path, PACKET_DATAGRAM_MIN) < PACKET_DATAGRAM_MIN;
    if (blocked && !c->blocked_amplification)
        metric_inc(connection_env(c)->metrics, METRIC_AMPLIFICATION_BLOCKED);
    c->blocked_amplification = blocked;
    loss_set_blocked(&c->loss, blocked);
}

/* Whether the window and the pacer let a packet with data go; sets when to try again. */
static bool paced(struct connection *c, uint64_t now_us)
{
    if (loss_window_room(&c->loss) < c->datagram_bytes) return false;
    uint64_t at = pacer_next_time(&c->pacer, now_us, c->datagram_bytes);
    if (at <= now_us) return true;
    uint64_t batch = pacer_next_time(&c->pacer, now_us, c->pacer.burst_bytes / 2);
    c->pace_us = batch > at ? batch : at; /* wake for half a bucket, not for each packet */
    return false;
}

static size_t one_handshake_datagram(struct connection *c, struct build_run *run, uint8_t *data,
                                     size_t cap, uint64_t now_us)
{
    bool initial = long_wants(c, LOSS_INITIAL, now_us),
         more = long_wants(c, LOSS_HANDSHAKE, now_us), ack_only;
    size_t room = path_allows(&c->path, cap < c->datagram_bytes ? cap : c->datagram_bytes), at = 0;
    bool eliciting_initial =
        initial && (connection_is_client(c) || crypto_waits(c, LOSS_INITIAL) || c->probes[0] > 0);
    size_t pad = eliciting_initial ? PACKET_DATAGRAM_MIN : 0;
    if (room < pad || room < 64) return 0;
    if (initial) at = build_long(c, LOSS_INITIAL, data, room, more ? 0 : pad, now_us);
    if (more)
        at += build_long(c, LOSS_HANDSHAKE, data + at, room - at, at > 0 && pad > at ? pad - at : 0,
                         now_us);
    if (!initial && c->has_write && room - at > 200 && application_wants(c, now_us, &ack_only) &&
        loss_window_room(&c->loss) >= c->datagram_bytes)
        at += build_application(c, run, data + at, room - at, at, ack_only, now_us);
    return at;
}

/* A challenge waits for no window: the path in use may be gone, and the window full of what went
 * there. It is one packet per time-out. */
static bool may_leave(struct connection *c, uint64_t now_us)
{
    return c->probes[2] > 0 || c->path.challenge_wanted || paced(c, now_us);
}

static size_t one_application_datagram(struct connection *c, struct build_run *run, uint8_t *data,
                                       size_t cap, uint64_t now_us)
{
    bool ack_only;
    size_t room = path_allows(&c->path, cap < c->datagram_bytes ? cap : c->datagram_bytes);
    if (room < c->datagram_bytes && room < PATH_ROOM_MIN) return 0;
    if (!application_wants(c, now_us, &ack_only)) {
        congestion_set_app_limited(&c->congestion, true);
        return 0;
    }
    if (!ack_only && !may_leave(c, now_us)) {
        congestion_set_app_limited(&c->congestion, false);
        if (!ack_should_send(&c->ack_app, now_us)) return 0;
        ack_only = true;
    }
    return build_application(c, run, data, room, 0, ack_only, now_us);
}

static size_t one_datagram(struct connection *c, struct build_run *run, uint8_t *data, size_t cap,
                           uint64_t now_us)
{
    if (c->phase > QUIC_UP) return c->close_send ? conn_close_write(c, data, cap, now_us) : 0;
    if (c->hs != NULL &&
        (long_wants(c, LOSS_INITIAL, now_us) || long_wants(c, LOSS_HANDSHAKE, now_us)))
        return one_handshake_datagram(c, run, data, cap, now_us);
    return c->has_write ? one_application_datagram(c, run, data, cap, now_us) : 0;
}

/* What 1-RTT packets need before they can be numbered and sealed: keys that are not used up, and
 * now and then a number left out (RFC 9000 21.4). */
static void prepare(struct connection *c, uint64_t now_us)
{
    if (c->phase != QUIC_UP) return;
    if (c->resized) conn_path_resized(c);
    if (key_phase_should_update(&c->keys, now_us, rtt_pto_us(&c->rtt, c->loss.max_ack_delay_us))) {
        key_phase_update(&c->keys, loss_next_number(&c->loss, LOSS_APPLICATION));
        c->key_updates++;
        metric_inc(connection_env(c)->metrics, METRIC_KEY_UPDATES_LOCAL);
    }
    if (key_phase_is_spent(&c->keys)) {
        conn_close_transport(c, QUIC_AEAD_LIMIT_REACHED, 0, NULL, now_us);
        return;
    }
    if (c->confirmed && loss_skip_due(&c->loss)) {
        uint64_t random, next = loss_next_number(&c->loss, LOSS_APPLICATION);
        entropy_fill(connection_env(c)->entropy, &random, sizeof random);
        (void)loss_skip(&c->loss, random, NULL); /* without memory for the record, another time */
        metric_add(connection_env(c)->metrics, METRIC_NUMBERS_SKIPPED,
                   loss_next_number(&c->loss, LOSS_APPLICATION) - next);
    }
}

static void address(struct datagram_out *out, const struct path *p)
{
    out->local = p->local;
    out->remote = p->remote;
    out->socket = p->socket;
    out->ecn = 0;
}

/* A challenge or an answer, alone, to another place than the one in use. Its loss says nothing of
 * the path in use. */
static bool send_aside(struct connection *c, struct path *p, struct datagram_out *out,
                       uint64_t now_us)
{
    struct build b;
    struct build_run run = {.flags = 0};
    size_t room = path_allows(p, PACKET_DATAGRAM_MIN);
    if (!build_begin(&b, c, &run, LOSS_APPLICATION, conn_ids_of_path(c, p), out->data, room,
                     now_us))
        return false;
    b.aside = true;
    put_path(&b, p);
    out->len = out->segment =
        build_end(&b, room == PACKET_DATAGRAM_MIN ? PACKET_DATAGRAM_MIN : 0, now_us);
    build_run_end(&run, c);
    p->bytes_out += out->len;
    c->bytes_out += out->len;
    address(out, p);
    if (p == c->probe && !p->response_wanted) conn_path_forget_probe(c);
    return out->len > 0;
}

/* A probe of the path's MTU, alone (RFC 8899): never part of a run, since the socket may refuse it.
 */
static bool send_probe(struct connection *c, struct datagram_out *out, uint64_t now_us)
{
    struct build b;
    struct build_run run = {.flags = SENT_PMTU_PROBE};
    uint32_t bytes = conn_probe_bytes(c, now_us);
    if (bytes == 0 || bytes > out->cap || !paced(c, now_us) ||
        !build_begin(&b, c, &run, LOSS_APPLICATION, &c->remote_cid, out->data, bytes, now_us))
        return false;
    put_ping(&b);
    out->len = out->segment = build_end(&b, bytes, now_us);
    build_run_end(&run, c);
    pmtu_on_probe_sent(&c->pmtu, bytes);
    metric_inc(connection_env(c)->metrics, METRIC_PMTU_PROBES_SENT);
    c->bytes_out += out->len;
    address(out, &c->path);
    return true;
}

static void send_run(struct connection *c, struct datagram_out *out, uint64_t now_us)
{
    struct build_run run;
    bool mark = c->phase == QUIC_UP && c->hs == NULL && ecn_mark(&c->ecn, now_us) == ACK_ECN_ECT0;
    run.count = 0;
    run.ready = false;
    run.flags = mark ? SENT_ECT0 : 0;
    bool was_idle = c->phase == QUIC_UP && c->loss.in_flight_bytes == 0;
    out->len = out->segment = 0;
    for (unsigned i = 0; i < QUIC_BURST_SEGMENTS_MAX; i++) {
        size_t room = out->cap - out->len;
        if (i > 0 && room < out->segment) break;
        size_t len =
            one_datagram(c, &run, out->data + out->len, i == 0 ? room : out->segment, now_us);
        if (len == 0) break;
        out->len += len;
        c->bytes_out += len;
        if (!c->path.validated) c->path.bytes_out += len;
        if (i == 0) out->segment = len;
        /* A run has datagrams of one size, the last may be shorter; during the handshake each
         * leaves alone. */
        if (len < out->segment || len < c->datagram_bytes || c->hs != NULL || c->phase > QUIC_UP)
            break;
    }
    /* A window that models the path takes an idle period for one (BBR). */
    if (was_idle && out->len > 0) conn_loss_repace(c, now_us);
    address(out, &c->path);
    if (mark && run.count > 0) {
        out->ecn = ACK_ECN_ECT0;
        ecn_on_sent(&c->ecn, run.count, now_us, rtt_pto_us(&c->rtt, c->loss.max_ack_delay_us));
        metric_add(connection_env(c)->metrics, METRIC_ECN_MARKED, run.count);
    }
    build_run_end(&run, c);
}

bool conn_out_datagrams(struct connection *c, struct datagram_out *out, uint64_t now_us)
{
    struct path *aside;
    bool ack_only;
    c->now_us = now_us;
    prepare(c, now_us);
    if (c->phase == QUIC_UP && c->confirmed) {
        if ((aside = conn_path_aside(c)) != NULL && send_aside(c, aside, out, now_us)) return true;
        if (send_probe(c, out, now_us)) return true;
    }
    send_run(c, out, now_us);
    /* Nothing is left although window and pacer would have let it go: such a window has not proven
     * itself. */
    if (c->phase == QUIC_UP && !application_wants(c, now_us, &ack_only))
        congestion_set_app_limited(&c->congestion, true);
    conn_out_check_blocked(c);
    return out->len > 0;
}
