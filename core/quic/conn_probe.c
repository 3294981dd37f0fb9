/* SPDX-License-Identifier: MIT */
/* What the path in use carries: datagrams of which size (pmtu.h), marks for congestion (ecn.h), and
 * how seldom the peer may acknowledge (ack.h). All three learn from the fate of packets; what was
 * sent on another path teaches nothing. */
#include "quic/connection.h"

enum { WORTH_PROBES_BYTES = 32768 }; /* sent: fewer are not worth a search of the path MTU */

void conn_path_resized(struct connection *c)
{
    c->resized = false;
    if (c->datagram_bytes == pmtu_bytes(&c->pmtu)) return;
    c->datagram_bytes = pmtu_bytes(&c->pmtu);
    congestion_on_datagram_size(&c->congestion, c->datagram_bytes);
}

uint32_t conn_probe_bytes(struct connection *c, uint64_t now_us)
{
    if (!c->path.validated || c->path.asks || c->bytes_out < WORTH_PROBES_BYTES) return 0;
    if (connection_env(c)->datagram_bytes != 0) return 0; /* configured: not to be found */
    pmtu_enable(&c->pmtu);
    return pmtu_probe_bytes(&c->pmtu, now_us);
}

static void on_probe(struct connection *c, const struct sent_packet *packet, enum loss_fate fate)
{

    if (fate == LOSS_FATE_LOST) {
        metric_inc(connection_env(c)->metrics, METRIC_PMTU_PROBES_LOST);
        pmtu_on_probe_lost(&c->pmtu, packet->size, c->now_us);
    } else if (pmtu_on_probe_acked(&c->pmtu, packet->size, c->now_us)) {
        c->resized = true;
    }
}

static void black_hole(struct connection *c)
{
    metric_inc(connection_env(c)->metrics, METRIC_PMTU_BLACK_HOLES);
    c->resized = true;
}

static void ecn_failed(struct connection *c)
{
    metric_inc(connection_env(c)->metrics, METRIC_ECN_FAILED);
}

void conn_probe_on_packet(struct connection *c, uint64_t number, const struct sent_packet *packet,
                          enum loss_fate fate)
{
    bool marked = (packet->flags & SENT_ECT0) != 0;
    if (number < c->loss.spaces[LOSS_APPLICATION].path_first) return;
    if ((packet->flags & SENT_PMTU_PROBE) != 0) {
        on_probe(c, packet, fate);
        return;
    }
    if (fate != LOSS_FATE_LOST) {
        pmtu_on_packet_acked(&c->pmtu, packet->size);
        return;
    }
    if (pmtu_on_packet_lost(&c->pmtu, packet->size, c->now_us)) black_hole(c);
    if (marked && ecn_on_lost(&c->ecn) == ECN_HAS_FAILED) ecn_failed(c);
}

void conn_probe_on_pto(struct connection *c, uint64_t now_us)
{
    enum { UNHEARD_PTOS = 3 };
    if (pmtu_on_pto(&c->pmtu, c->loss.pto_count, now_us)) black_hole(c);
    ecn_on_pto(&c->ecn, c->loss.pto_count);
    if (c->loss.pto_count >= UNHEARD_PTOS) conn_path_unheard(c);
    if (c->resized) conn_path_resized(c);
}

static void take_marks(struct connection *c, const struct frame_ack *ack, bool raised,
                       uint64_t now_us)
{
    switch (ecn_on_ack(&c->ecn, raised, c->loss.ack.marked, ack->has_ecn, ack->ect0, ack->ect1,
                       ack->ce)) {
    case ECN_HAS_FAILED: ecn_failed(c); break;
    case ECN_CE_INCREASED:
        if (loss_on_ecn_ce(&c->loss, LOSS_APPLICATION, now_us))
            metric_inc(connection_env(c)->metrics, METRIC_ECN_CONGESTION);
        break;
    case ECN_OK: break;
    }
}

/* On a fast path one ACK for every second packet is most of what the peer does. */
static void ask_frequency(struct connection *c)
{
    if (c->peer_min_ack_us == PARAMS_ABSENT || !c->confirmed || c->frequency_pending ||
        c->bytes_out < WORTH_PROBES_BYTES)
        return;
    struct frame_ack_frequency wanted = ack_frequency_wanted(
        c->congestion.window_bytes, c->datagram_bytes, c->rtt.smoothed_us, c->peer_min_ack_us);
    wanted.sequence = c->frequency.sequence;
    if (!ack_frequency_is_news(&wanted, c->frequency_asked ? &c->frequency : NULL)) return;
    c->frequency = wanted;
    c->frequency_asked = c->frequency_pending = true;
    /* Until the peer has it, the larger of both holds; a probe that is late by so little is no
     * harm. */
    if (wanted.max_delay_us > c->loss.max_ack_delay_us)
        loss_set_max_ack_delay(&c->loss, wanted.max_delay_us);
}

void conn_probe_on_ack(struct connection *c, const struct frame_ack *ack, bool raised,
                       uint64_t now_us)
{
    take_marks(c, ack, raised, now_us);
    if (c->resized) conn_path_resized(c);
    ask_frequency(c);
}
