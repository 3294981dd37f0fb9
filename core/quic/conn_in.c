/* SPDX-License-Identifier: MIT */
/* Packets in: which key, which space, which candidate; then the frames; then the acknowledgement.
 *
 * A packet that does not authenticate changes nothing but counters. Errors inside an Initial packet
 * drop that packet (wire.md 10.1), inside a Handshake packet that candidate; only what an
 * authenticated peer says wrong closes. */
#include "base/assert.h"
#include "crypto/secret.h"
#include "quic/connection.h"
#include <string.h>

enum { TAKEN = -1 }; /* else what on_... functions return is the metric that counts the drop */

static void drop(struct connection *c, enum metric why)
{
    metric_inc(connection_env(c)->metrics, why);
}

/* The peer broke the protocol in an authenticated packet, or the packet is to be forgotten. */
static void finish(struct connection *c, struct ack_state *acks, uint64_t number, int result,
                   bool eliciting, uint64_t frame_type, uint8_t ecn, uint64_t now_us)
{
    if (result == CONN_DROP) {
        drop(c, METRIC_DROPPED_NO_MEMORY);
        return;
    }
    if (result > 0) {
        metric_inc(connection_env(c)->metrics, METRIC_PROTOCOL_VIOLATIONS);
        conn_close_transport(c, (uint64_t)result, frame_type, NULL, now_us);
        return;
    }
    if (c->phase <= QUIC_UP && acks != NULL)
        (void)ack_on_packet(acks, connection_env(c)->mem, number, eliciting, now_us,
                            (enum ack_ecn)ecn);
}

static void counted(struct connection *c, uint64_t now_us)
{
    c->packets_in++;
    metric_inc(connection_env(c)->metrics, METRIC_PACKETS_RECEIVED);
    conn_timers_received(c, now_us);
}

void conn_in_initial(struct connection *c, uint64_t number, uint8_t *payload, size_t len,
                     uint8_t ecn, uint64_t now_us)
{
    bool eliciting = false;
    uint64_t frame_type;
    c->now_us = now_us;
    if (c->hs == NULL || !c->hs->has_initial) return;
    if (ack_is_duplicate(&c->acks[0], number)) {
        drop(c, METRIC_PACKETS_DUPLICATE);
        return;
    }
    int result = conn_frames_process(c, PACKET_INITIAL, payload, len, c->hs->adopted, &eliciting,
                                     &frame_type, now_us);
    if (result != 0 || c->hs == NULL)
        return; /* wire.md 10.1: whoever sees our ids can write Initials */
    if (c->largest[0] == PACKET_NUMBER_NONE || number > c->largest[0]) c->largest[0] = number;
    counted(c, now_us);
    finish(c, &c->acks[0], number, 0, eliciting, 0, ecn, now_us);
}

static int open_once(const struct protect_keys *keys, uint8_t *packet,
                     const struct packet_header *h, uint64_t largest, uint64_t *number,
                     uint8_t **payload, size_t *len, uint8_t *first)
{
    struct protect_cipher cipher;
    protect_cipher_init(&cipher, keys);
    int result = packet_open(&cipher, packet, h, largest, number, payload, len, first);
    protect_cipher_end(&cipher);
    return result;
}

static int client_initial(struct connection *c, uint8_t *packet, const struct packet_header *h,
                          uint64_t now_us)
{
    uint64_t number, frame_type;
    uint8_t *payload, first;
    size_t len;
    bool eliciting;
    if (c->hs == NULL || !c->hs->has_initial || c->hs->adopted != NULL)
        return METRIC_DROPPED_NO_KEYS;
    if (h->token_len > 0)
        return METRIC_DROPPED_MALFORMED; /* RFC 9000 17.2.2: a server sends none */
    if (open_once(&c->hs->initial_read, packet, h, PACKET_NUMBER_NONE, &number, &payload, &len,
                  &first) != 0)
        return METRIC_DROPPED_UNDECRYPTABLE;
    struct candidate *from = conn_handshake_candidate(c, &h->scid);
    if (from == NULL) return METRIC_HANDSHAKE_CANDIDATES_DROPPED;
    int result =
        conn_frames_process(c, PACKET_INITIAL, payload, len, from, &eliciting, &frame_type, now_us);
    if (result != 0)
        conn_handshake_drop(c, from);
    else
        c->packets_in++;
    return TAKEN;
}

static int on_initial(struct connection *c, const struct datagram_in *in, size_t datagram_len,
                      uint8_t *packet, const struct packet_header *h, uint64_t now_us)
{
    uint64_t number;
    uint8_t *payload, first;
    size_t len;
    if (connection_is_client(c)) return client_initial(c, packet, h, now_us);
    if (datagram_len < PACKET_DATAGRAM_MIN) return METRIC_DROPPED_SHORT_INITIAL;
    if (c->hs == NULL || !c->hs->has_initial) return METRIC_DROPPED_NO_KEYS;
    if (open_once(&c->hs->initial_read, packet, h, c->largest[0], &number, &payload, &len,
                  &first) != 0)
        return METRIC_DROPPED_UNDECRYPTABLE;
    conn_in_initial(c, number, payload, len, in->ecn, now_us);
    return TAKEN;
}

static struct candidate *handshake_sender(struct connection *c, const struct packet_header *h)
{
    if (c->hs == NULL) return NULL;
    if (c->hs->adopted != NULL)
        return cid_equal(&c->hs->adopted->scid, &h->scid) ? c->hs->adopted : NULL;
    for (unsigned i = 0; i < QUIC_CANDIDATES_MAX; i++) {
        struct candidate *from = c->hs->candidates[i];
        if (from != NULL && cid_equal(&from->scid, &h->scid)) return from;
    }
    return NULL;
}

static int on_handshake(struct connection *c, const struct datagram_in *in, uint8_t *packet,
                        const struct packet_header *h, uint64_t now_us)
{
    uint64_t number, frame_type = 0;
    uint8_t *payload, first;
    size_t len;
    bool eliciting = false, is_adopted;
    struct candidate *from = handshake_sender(c, h);
    if (from == NULL || !from->has_keys) return METRIC_DROPPED_NO_KEYS;
    int opened =
        open_once(&from->read, packet, h, from->largest[1], &number, &payload, &len, &first);
    if (opened == WEIR_E_DECRYPT) return METRIC_DROPPED_UNDECRYPTABLE;
    struct ack_state *acks = from == c->hs->adopted ? &c->acks[1] : &from->acks;
    if (ack_is_duplicate(acks, number)) return METRIC_PACKETS_DUPLICATE;
    if (!connection_is_client(c)) {
        /* It proves that the client got our Initial: its address is real (RFC 9000 8.1). */
        c->path.validated = true;
        conn_handshake_discard_initial(c, now_us);
    }
    int result = opened != 0 ? QUIC_PROTOCOL_VIOLATION
                             : conn_frames_process(c, PACKET_HANDSHAKE, payload, len, from,
                                                   &eliciting, &frame_type, now_us);
    if (c->hs == NULL) { /* it completed the handshake */
        if (c->phase <= QUIC_UP) counted(c, now_us);
        return TAKEN;
    }
    is_adopted = from == c->hs->adopted;
    if (result != 0 && !is_adopted) {
        conn_handshake_drop(c, from); /* wire.md 5.5 */
        return TAKEN;
    }
    acks = is_adopted ? &c->acks[1] : &from->acks;
    if (result == 0 && (from->largest[1] == PACKET_NUMBER_NONE || number > from->largest[1]))
        from->largest[1] = number;
    if (is_adopted)
        counted(c, now_us); /* another may be anybody: its packets do not keep the dial alive */
    finish(c, acks, number, result, eliciting, frame_type, in->ecn, now_us);
    return TAKEN;
}

static uint64_t early_max(const struct connection *c)
{
    uint64_t max = connection_env(c)->limits->value[LIMIT_EARLY_PACKETS];
    return max < QUIC_EARLY_MAX ? max : QUIC_EARLY_MAX;
}

static void keep_early(struct connection *c, const struct datagram_in *in, const uint8_t *packet,
                       size_t len)
{
    struct conn_handshake *hs = c->hs;
    if (connection_is_client(c) || hs == NULL || hs->early_count >= early_max(c) ||
        len > UINT16_MAX) {
        drop(c, METRIC_DROPPED_NO_KEYS);
        return;
    }
    uint8_t *copy = NULL;
    if (budget_charge(connection_env(c)->budget, len, NULL)) {
        copy = mem_alloc(connection_env(c)->mem, len);
        if (copy == NULL) budget_refund(connection_env(c)->budget, len);
    }
    if (copy == NULL) {
        drop(c, METRIC_DROPPED_NO_MEMORY);
        return;
    }
    memcpy(copy, packet, len);
    hs->early[hs->early_count].bytes = copy;
    hs->early[hs->early_count].len = (uint16_t)len;
    hs->early[hs->early_count++].ecn = in->ecn;
}

static void undecryptable(struct connection *c, const uint8_t *last16, uint64_t now_us)
{
    drop(c, METRIC_DROPPED_UNDECRYPTABLE);
    if (last16 != NULL && conn_ids_is_reset(c, last16)) {
        metric_inc(connection_env(c)->metrics, METRIC_STATELESS_RESET_RECEIVED);
        conn_close_silent(c, CONN_END_RESET, WEIR_E_PEER_CLOSED, WEIR_REASON_STATELESS_RESET, NULL,
                          now_us);
        return;
    }
    /* wire.md 4.4: forgeries against one connection are limited over all keys. */
    if (key_phase_on_open_failed(&c->keys))
        conn_close_transport(c, QUIC_AEAD_LIMIT_REACHED, 0, NULL, now_us);
}

/* Take the protection off with the keys of the phase that the packet claims. A failed open ruins
 * it, so there is one try. */
static int open_short(struct connection *c, uint8_t *packet, const struct packet_header *h,
                      uint64_t *number, enum key_phase_which *which, uint8_t **payload, size_t *len)
{
    unsigned number_size;
    uint8_t first;
    struct protect_keys scratch;
    packet_unprotect(&c->keys.read, packet, h, c->largest[2], number, &number_size, &first);
    *which = key_phase_select(&c->keys, first, *number);
    if (*which == KEY_PHASE_CURRENT)
        return packet_open_payload(endpoint_run_cipher(c->owner, c), packet, h, *number,
                                   number_size, payload, len);
    struct protect_cipher cipher;
    protect_cipher_init(&cipher, key_phase_read_keys(&c->keys, *which, &scratch));
    int result = packet_open_payload(&cipher, packet, h, *number, number_size, payload, len);
    protect_cipher_end(&cipher);
    secret_zero(&scratch, sizeof scratch);
    return result;
}

/* The packet is authentic: what it says about key phases. @return 0 or a transport error code */
static int take_phase(struct connection *c, enum key_phase_which which, uint64_t number,
                      uint64_t now_us)
{
    uint64_t pto_us = rtt_pto_us(&c->rtt, c->loss.max_ack_delay_us);
    int error = key_phase_on_opened(&c->keys, which, number,
                                    loss_next_number(&c->loss, LOSS_APPLICATION), now_us, pto_us);
    if (error == 0 && which == KEY_PHASE_NEXT) {
        c->key_updates++;
        metric_inc(connection_env(c)->metrics, METRIC_KEY_UPDATES_REMOTE);
    }
    return error;
}

static int on_short(struct connection *c, uint8_t ecn, uint8_t *packet,
                    const struct packet_header *h, const uint8_t *last16, uint64_t now_us)
{
    uint64_t number, frame_type = 0;
    uint8_t *payload;
    size_t len;
    bool eliciting = false;
    enum key_phase_which which;
    int opened = open_short(c, packet, h, &number, &which, &payload, &len);
    if (opened == WEIR_E_DECRYPT) {
        undecryptable(c, last16, now_us);
        return TAKEN;
    }
    int result = take_phase(c, which, number, now_us);
    if (result == 0 && ack_is_duplicate(&c->ack_app, number)) return METRIC_PACKETS_DUPLICATE;
    c->in_phase = (uint8_t)which;
    c->probing_only = true;
    if (result == 0)
        result = opened != 0 ? QUIC_PROTOCOL_VIOLATION
                             : conn_frames_process(c, PACKET_SHORT, payload, len, NULL, &eliciting,
                                                   &frame_type, now_us);
    bool is_newest = c->largest[2] == PACKET_NUMBER_NONE || number > c->largest[2];
    if (result == 0 && is_newest) c->largest[2] = number;
    counted(c, now_us);
    finish(c, &c->ack_app, number, result, eliciting, frame_type, ecn, now_us);
    if (result == 0) conn_path_after_packet(c, is_newest, c->probing_only);
    return TAKEN;
}

void conn_in_early(struct connection *c, uint64_t now_us)
{
    struct conn_handshake *hs = c->hs;
    for (unsigned i = 0; hs != NULL && i < hs->early_count && c->phase == QUIC_UP; i++) {
        struct packet_header h;
        uint8_t *bytes = hs->early[i].bytes;
        if (packet_parse(bytes, hs->early[i].len, &h) == 0 && h.type == PACKET_SHORT)
            (void)on_short(c, hs->early[i].ecn, bytes, &h, NULL, now_us);
        if (c->hs != hs) return;
    }
}

static void on_version_negotiation(struct connection *c, const struct packet_header *h,
                                   uint64_t now_us)
{
    if (!connection_is_client(c) || conn_handshake_is_answered(c) || c->hs->has_retry) return;
    /* RFC 9000 6.2: not when it lists ours; 17.2.1: only when it echoes the id that we sent to. */
    if (packet_versions_include(h, PACKET_VERSION) || !cid_equal(&h->scid, &c->remote_cid)) return;
    /* wire.md 2.3: it ends the attempt and is never a fallback. */
    conn_close_silent(c, CONN_END_HANDSHAKE, WEIR_E_UNSUPPORTED, WEIR_REASON_HANDSHAKE,
                      "the other side speaks other versions of the wire protocol", now_us);
}

static void on_packet(struct connection *c, const struct datagram_in *in, size_t datagram_len,
                      uint8_t *packet, const struct packet_header *h, const uint8_t *last16,
                      uint64_t now_us)
{
    int why = TAKEN;
    switch (h->type) {
    case PACKET_INITIAL: why = on_initial(c, in, datagram_len, packet, h, now_us); break;
    case PACKET_HANDSHAKE: why = on_handshake(c, in, packet, h, now_us); break;
    case PACKET_RETRY: conn_handshake_retry(c, packet, h, now_us); break;
    case PACKET_VERSION_NEGOTIATION: on_version_negotiation(c, h, now_us); break;
    case PACKET_ZERO_RTT: why = METRIC_DROPPED_NO_KEYS; break; /* wire.md 3.5 */
    case PACKET_SHORT:
        if (c->has_read)
            why = on_short(c, in->ecn, packet, h, last16, now_us);
        else
            keep_early(c, in, packet, h->packet_len);
        break;
    }
    if (why != TAKEN) drop(c, (enum metric)why);
}

void conn_in_datagram(struct connection *c, const struct datagram_in *in, uint8_t *data, size_t len,
                      uint64_t now_us)
{
    uint8_t last16[TOKEN_RESET_LEN];
    struct cid first = {0};
    /* A reset counts from the peer's address alone: the token's bytes may have been seen elsewhere.
     * */
    bool has_last = len >= PACKET_RESET_LEN_MIN && endpoint_equal(&c->path.remote, &in->remote);
    c->now_us = now_us;
    c->bytes_in += len;
    conn_path_arrived(c, in, len);
    if (has_last) memcpy(last16, data + len - sizeof last16, sizeof last16);
    for (size_t at = 0; at < len && c->phase <= QUIC_UP;) {
        struct packet_header h;
        int error = packet_parse(data + at, len - at, &h);
        if (error != 0) {
            drop(c, METRIC_DROPPED_MALFORMED);
            break;
        }
        if (at == 0) first = h.dcid;
        /* RFC 9000 12.2: packets with another id than the first are not for this connection. */
        if (at == 0 || cid_equal(&first, &h.dcid))
            on_packet(c, in, len, data + at, &h, has_last ? last16 : NULL, now_us);
        WEIR_ASSERT(h.packet_len > 0);
        at += h.packet_len;
    }
    c->in = NULL;
    conn_out_check_blocked(c);
    if (c->phase > QUIC_UP) conn_close_received(c);
}
