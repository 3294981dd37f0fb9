/* SPDX-License-Identifier: MIT */
/* The peer's connection ids (RFC 9000 5.1). We issue one id and use one of the peer's; others that
 * it offers are kept inside the limit that we announced, for the day when paths change. Retirements
 * that wait to be sent are bounded: a peer that makes us queue more is closed (CVE-2024-22189). */
#include "crypto/secret.h"
#include "quic/connection.h"
#include <string.h>

enum { ACTIVE_LIMIT = 2 }; /* active_connection_id_limit's default, which we announce */

static struct remote_cid *find(struct connection *c, uint64_t sequence)
{
    for (unsigned i = 0; i < QUIC_REMOTE_CIDS_MAX; i++) {
        if (c->remote_cids[i].used && c->remote_cids[i].sequence == sequence)
            return &c->remote_cids[i];
    }
    return NULL;
}

static bool queue_retire(struct connection *c, uint64_t sequence)
{
    for (unsigned i = 0; i < c->retire_count; i++) {
        if (c->retire_queue[i] == sequence) return true;
    }
    if (c->retire_count == sizeof c->retire_queue / sizeof c->retire_queue[0]) return false;
    c->retire_queue[c->retire_count++] = sequence;
    return true;
}

void conn_ids_retire(struct connection *c, uint64_t sequence)
{
    /* Lost before: it was counted against the bound when it was queued first. */
    (void)queue_retire(c, sequence);
}

static bool retire_prior(struct connection *c, uint64_t below)
{
    if (below <= c->retire_below) return true;
    c->retire_below = below;
    for (unsigned i = 0; i < QUIC_REMOTE_CIDS_MAX; i++) {
        struct remote_cid *r = &c->remote_cids[i];
        if (!r->used || r->sequence >= below) continue;
        r->used = false;
        if (!queue_retire(c, r->sequence)) return false;
    }
    return true;
}

/* The id in use was retired: take the lowest that is left. */
static void switch_if_retired(struct connection *c)
{
    const struct remote_cid *best = NULL;
    for (unsigned i = 0; i < QUIC_REMOTE_CIDS_MAX; i++) {
        const struct remote_cid *r = &c->remote_cids[i];
        if (!r->used) continue;
        if (cid_equal(&r->cid, &c->remote_cid)) return;
        if (best == NULL || r->sequence < best->sequence) best = r;
    }
    if (best != NULL) c->remote_cid = best->cid;
}

int conn_ids_on_new(struct connection *c, const struct frame_new_connection_id *f)
{
    unsigned active = 0;
    struct remote_cid *free_slot = NULL, *known = find(c, f->sequence);
    if (c->remote_cid.len == 0) return QUIC_PROTOCOL_VIOLATION;
    if (known != NULL) return cid_equal(&known->cid, &f->cid) ? 0 : QUIC_PROTOCOL_VIOLATION;
    if (f->sequence < c->retire_below)
        return queue_retire(c, f->sequence) ? 0 : QUIC_CONNECTION_ID_LIMIT;
    /* Retire before adding (RFC 9000 5.1.1), or an exact exchange would exceed the limit. */
    if (!retire_prior(c, f->retire_prior_to)) return QUIC_CONNECTION_ID_LIMIT;
    for (unsigned i = 0; i < QUIC_REMOTE_CIDS_MAX; i++) {
        if (c->remote_cids[i].used) {
            active++;
            if (cid_equal(&c->remote_cids[i].cid, &f->cid)) return QUIC_PROTOCOL_VIOLATION;
        } else if (free_slot == NULL) {
            free_slot = &c->remote_cids[i];
        }
    }
    if (active >= ACTIVE_LIMIT || free_slot == NULL) return QUIC_CONNECTION_ID_LIMIT;
    free_slot->used = free_slot->has_token = true;
    free_slot->cid = f->cid;
    free_slot->sequence = f->sequence;
    memcpy(free_slot->token, f->reset_token, sizeof free_slot->token);
    switch_if_retired(c);
    endpoint_learn_reset(c->owner, c);
    return 0;
}

int conn_ids_on_retire(struct connection *c, uint64_t sequence)
{
    /* We issue sequence 0 alone, and it is the one that this packet came to (RFC 9000 19.16). */
    (void)c;
    (void)sequence;
    return QUIC_PROTOCOL_VIOLATION;
}

const uint8_t *conn_ids_reset_token(const struct connection *c)
{
    for (unsigned i = 0; i < QUIC_REMOTE_CIDS_MAX; i++) {
        const struct remote_cid *r = &c->remote_cids[i];
        if (r->used && r->has_token && cid_equal(&r->cid, &c->remote_cid)) return r->token;
    }
    return NULL;
}

bool conn_ids_is_reset(const struct connection *c, const uint8_t *last16)
{
    const uint8_t *token = conn_ids_reset_token(c);
    return token != NULL && token_reset_equal(token, last16);
}
