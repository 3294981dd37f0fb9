/* SPDX-License-Identifier: MIT */
/* When to do what: one deadline for the whole connection, the earliest of all its timers. */
#include "quic/connection.h"

enum { IDLE_PTO_MAX_US = 60000000 }; /* a peer that acknowledges late cannot make it longer */
enum { REST_US = 1000000 };          /* after a second without traffic idle memory is given back */
enum { PRESSED_US = 10000000 };      /* docs/wire.md 5.12; three PTOs of 3 s fit in */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* RFC 9000 10.1: the smaller of both sides' timeouts, at least three PTO. */
static uint64_t idle_us(const struct connection *c)
{
    uint64_t own = connection_env(c)->limits->value[LIMIT_IDLE_TIMEOUT];
    uint64_t us = c->peer_idle_us != 0 && c->peer_idle_us < own ? c->peer_idle_us : own;
    uint64_t least = 3 * earlier(rtt_pto_us(&c->rtt, c->loss.max_ack_delay_us), IDLE_PTO_MAX_US);
    return us > least ? us : least;
}

/* How long a handshake may stand still. A listener looks again after PRESSED_US: when more than
 * half of the places for half-open connections are taken, that is all it gets (docs/wire.md 5.12).
 */
static uint64_t handshake_us(const struct connection *c, uint64_t now_us)
{
    const uint64_t *v = connection_env(c)->limits->value;
    uint64_t most = v[LIMIT_HANDSHAKE_TIME];
    if (connection_is_client(c) || most <= PRESSED_US) return most;
    if (now_us < c->received_us + PRESSED_US) return PRESSED_US;
    return c->owner->half_open > v[LIMIT_HALF_OPEN] / 2 ? PRESSED_US : most;
}

/* When it is over. Anybody can send Initial packets that count, now and then and for ever, so a
 * listener's place is lent for so many times and no longer. */
static uint64_t handshake_end_us(const struct connection *c, uint64_t now_us)
{
    enum { LOANS = 3 };
    uint64_t end_us = c->received_us + handshake_us(c, now_us);
    uint64_t most = connection_env(c)->limits->value[LIMIT_HANDSHAKE_TIME];
    if (connection_is_client(c)) return end_us;
    return earlier(end_us, most > UINT64_MAX / 8 ? UINT64_MAX : c->opened_us + LOANS * most);
}

static uint64_t keep_alive_at(const struct connection *c)
{
    uint64_t every = connection_env(c)->limits->value[LIMIT_KEEP_ALIVE];
    if (c->ping_pending) return UINT64_MAX; /* one waits to be sent: the window is full */
    if (!c->held || c->phase != QUIC_UP || !c->confirmed || every == UINT64_MAX) return UINT64_MAX;
    uint64_t last = c->received_us > c->eliciting_us ? c->received_us : c->eliciting_us;
    if (every > idle_us(c) / 2) every = idle_us(c) / 2;
    return last + every;
}

static uint64_t rest_at(const struct connection *c)
{
    if (c->rested || c->phase != QUIC_UP || !c->confirmed || c->loss.in_flight_bytes > 0)
        return UINT64_MAX;
    uint64_t last = c->received_us > c->eliciting_us ? c->received_us : c->eliciting_us;
    return last + REST_US;
}

/* A peer that goes on talking and acknowledges nothing for as long as an idle timeout is as good as
 * gone in our direction, and would make us keep a record of each probe (CVE-2026-63075). */
static uint64_t unanswered_at(const struct connection *c)
{
    if (!c->confirmed || c->loss.spaces[LOSS_APPLICATION].eliciting_in_flight == 0)
        return UINT64_MAX;
    return c->unanswered_us + idle_us(c);
}

uint64_t conn_timers_deadline(const struct connection *c)
{
    if (c->phase > QUIC_UP) return c->close_us;
    if (c->stalled_us != 0)
        return c->stalled_us; /* what is due cannot leave before there is memory */
    uint64_t at = loss_deadline(&c->loss);
    if (c->phase == QUIC_HANDSHAKING) {
        at = earlier(at, handshake_end_us(c, c->now_us));
        if (c->hs != NULL && c->hs->refused_us != 0) at = earlier(at, c->hs->refused_us);
    } else {
        at = earlier(at, earlier(c->idle_base_us + idle_us(c), unanswered_at(c)));
    }
    if (c->hs != NULL)
        at = earlier(at, earlier(ack_deadline(&c->acks[0]), ack_deadline(&c->acks[1])));
    /* What is due and may not leave is looked at again with the next datagram in. */
    if (path_allows(&c->path, PATH_ROOM_ACK) >= PATH_ROOM_ACK)
        at = earlier(at, ack_deadline(&c->ack_app));
    if (c->pace_us != 0) at = earlier(at, c->pace_us);
    if (c->phase == QUIC_UP)
        at = earlier(at, earlier(conn_path_deadline(c), streams_deadline(&c->base)));
    if (c->has_write) at = earlier(at, key_phase_deadline(&c->keys));
    return earlier(at, earlier(keep_alive_at(c), rest_at(c)));
}

void conn_timers_received(struct connection *c, uint64_t now_us)
{
    c->received_us = c->idle_base_us = now_us;
    c->eliciting_since_receive = false;
    c->rested = false;
}

static void rest(struct connection *c)
{
    c->rested = true;
    streams_trim(&c->base);
    loss_trim(&c->loss);
    ack_trim(&c->ack_app, connection_env(c)->mem);
}

static bool is_over(struct connection *c, uint64_t now_us)
{
    if (c->phase == QUIC_HANDSHAKING) {
        bool refused =
            c->hs->refused_us != 0 && c->hs->refused_us <= now_us && c->hs->adopted == NULL;
        if (refused && !c->is_stranger) {
            conn_close_silent(c, CONN_END_REMOTE, WEIR_E_REFUSED,
                              REASON_TRANSPORT(c->hs->refused_code & 0xfffffff),
                              "refused (unauthenticated)", now_us);
            return true;
        }
        if (!refused && handshake_end_us(c, now_us) > now_us) return false;
        if (c->is_stranger)
            conn_close_silent(c, CONN_END_HANDSHAKE, WEIR_E_IDENTITY, WEIR_REASON_IDENTITY, NULL,
                              now_us);
        else
            conn_close_silent(c, CONN_END_TIMEOUT, WEIR_E_TIMEOUT, WEIR_REASON_UNREACHABLE, NULL,
                              now_us);
        return true;
    }
    if (c->idle_base_us + idle_us(c) > now_us && unanswered_at(c) > now_us) return false;
    conn_close_silent(c, CONN_END_TIMEOUT, WEIR_E_TIMEOUT, WEIR_REASON_IDLE, NULL, now_us);
    return true;
}

static void ask_probes(struct connection *c, enum loss_space_name space, uint32_t probes)
{
    c->probes[space] = (uint8_t)probes;
    c->probe_from[space] = 0;
}

void conn_timers_on_deadline(struct connection *c, uint64_t now_us)
{
    c->now_us = now_us;
    if (c->stalled_us <= now_us) c->stalled_us = 0;
    if (c->phase > QUIC_UP || is_over(c, now_us)) return;
    if (loss_deadline(&c->loss) <= now_us) {
        struct loss_action action = loss_on_deadline(&c->loss, now_us);
        if (action.kind == LOSS_PROBE) {
            ask_probes(c, action.space, action.probes);
            /* RFC 9002 6.2.4: a listener's first answer is one datagram; half of it alone helps
             * nobody. */
            if (action.space == LOSS_INITIAL && !connection_is_client(c))
                ask_probes(c, LOSS_HANDSHAKE, action.probes);
            /* A server that is done has no Handshake keys any more: if its HANDSHAKE_DONE went to
             * an address that we lost, only a 1-RTT packet tells it where we are. */
            if (action.space == LOSS_HANDSHAKE && connection_is_client(c) && c->has_write)
                c->ping_pending = true;
            metric_inc(connection_env(c)->metrics, METRIC_PTO_FIRED);
            if (c->phase == QUIC_UP) conn_probe_on_pto(c, now_us);
        }
        conn_loss_repace(c, now_us);
    }
    if (c->pace_us != 0 && c->pace_us <= now_us) c->pace_us = 0;
    if (conn_path_deadline(c) <= now_us) conn_path_on_deadline(c);
    if (c->phase == QUIC_UP) streams_on_time(&c->base, now_us);
    if (c->has_write) key_phase_on_time(&c->keys, now_us);
    if (keep_alive_at(c) <= now_us) c->ping_pending = true;
    if (rest_at(c) <= now_us) rest(c);
}
