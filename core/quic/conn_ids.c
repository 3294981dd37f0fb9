/* SPDX-License-Identifier: MIT */
/* Connection ids of both sides (RFC 9000 5.1).
 *
 * Ours: once the handshake is confirmed the peer gets as many as it keeps, at most four, so that
 * it has fresh ones for other paths; one that it gives back is replaced. Each stands in the
 * endpoint's map, so what is issued is bounded by connections.
 *
 * The peer's: kept inside the limit that we announced. One is in use, the others wait for other
 * paths. Retirements that wait to be sent are bounded, on every way that queues one: a peer that
 * makes us queue more is closed (CVE-2024-22189, RUSTSEC-2026-0339). */
#include "base/assert.h"
#include "crypto/secret.h"
#include "quic/connection.h"
#include <string.h>

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

static bool is_assigned(const struct connection *c, uint64_t sequence)
{
    return c->path.remote_id == sequence ||
           (c->fallback != NULL && c->fallback->path.remote_id == sequence) ||
           (c->probe != NULL && c->probe->remote_id == sequence);
}

uint64_t conn_ids_fresh(const struct connection *c)
{
    uint64_t best = c->path.remote_id;
    bool found = false;
    for (unsigned i = 0; i < QUIC_REMOTE_CIDS_MAX; i++) {
        const struct remote_cid *r = &c->remote_cids[i];
        if (!r->used || is_assigned(c, r->sequence)) continue;
        if (!found || r->sequence < best) best = r->sequence;
        found = true;
    }
    return best;
}

void conn_ids_use(struct connection *c, uint64_t sequence)
{
    const struct remote_cid *r = find(c, sequence);
    if (r == NULL) return;
    c->remote_cid = r->cid;
    endpoint_learn_reset(c->owner, c);
}

const struct cid *conn_ids_of_path(struct connection *c, const struct path *p)
{
    const struct remote_cid *r = find(c, p->remote_id);
    return r != NULL ? &r->cid : &c->remote_cid;
}

void conn_ids_leave(struct connection *c, uint64_t sequence)
{
    struct remote_cid *r = find(c, sequence);
    if (r == NULL || is_assigned(c, sequence)) return;
    r->used = false;
    /* With a full queue the peer learns it from the next one that retires: it has to make room
     * itself. */
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

/* Paths whose id was retired take another, their own if there is one. */
static void replace_retired(struct connection *c)
{
    if (find(c, c->path.remote_id) == NULL) {
        /* Nothing is asked of the old one: it may be the lowest of those that are left. */
        c->path.remote_id = UINT64_MAX;
        c->path.remote_id = conn_ids_fresh(c);
        if (find(c, c->path.remote_id) == NULL) { /* none is free: share */
            for (unsigned i = 0; i < QUIC_REMOTE_CIDS_MAX; i++)
                if (c->remote_cids[i].used) c->path.remote_id = c->remote_cids[i].sequence;
        }
        conn_ids_use(c, c->path.remote_id);
    }
    if (c->fallback != NULL && find(c, c->fallback->path.remote_id) == NULL)
        c->fallback->path.remote_id = c->path.remote_id;
    if (c->probe != NULL && find(c, c->probe->remote_id) == NULL)
        c->probe->remote_id = c->path.remote_id;
}

/* Whether that sequence came before. One that was given back comes again when the packet that told
 * it was thought lost: taking it for new would use a dead id, or break an honest peer's limit. Far
 * below the newest, nothing is outstanding: at most LIMIT_CONNECTION_IDS are. */
static bool is_old(struct connection *c, uint64_t sequence)
{
    enum { KEPT = 64 };
    if (sequence >= c->remote_next) {
        uint64_t step = sequence + 1 - c->remote_next;
        c->remote_seen = step >= KEPT ? 1 : c->remote_seen << step | 1;
        c->remote_next = sequence + 1;
        return false;
    }
    uint64_t behind = c->remote_next - 1 - sequence;
    if (behind >= KEPT) return true;
    bool was = (c->remote_seen >> behind & 1) != 0;
    c->remote_seen |= UINT64_C(1) << behind;
    return was;
}

int conn_ids_on_new(struct connection *c, const struct frame_new_connection_id *f)
{
    uint64_t limit = connection_env(c)->limits->value[LIMIT_CONNECTION_IDS];
    unsigned active = 0;
    struct remote_cid *free_slot = NULL, *known = find(c, f->sequence);
    if (c->remote_cid.len == 0) return QUIC_PROTOCOL_VIOLATION;
    if (known != NULL) {
        bool same = cid_equal(&known->cid, &f->cid) &&
                    (!known->has_token || token_reset_equal(known->token, f->reset_token));
        return same ? 0 : QUIC_PROTOCOL_VIOLATION;
    }
    if (f->sequence < c->retire_below)
        return queue_retire(c, f->sequence) ? 0 : QUIC_CONNECTION_ID_LIMIT;
    if (is_old(c, f->sequence)) return 0;
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
    if (active >= limit || free_slot == NULL) return QUIC_CONNECTION_ID_LIMIT;
    free_slot->used = free_slot->has_token = true;
    free_slot->cid = f->cid;
    free_slot->sequence = f->sequence;
    memcpy(free_slot->token, f->reset_token, sizeof free_slot->token);
    replace_retired(c);
    return 0;
}

const uint8_t *conn_ids_reset_token(const struct connection *c)
{
    for (unsigned i = 0; i < QUIC_REMOTE_CIDS_MAX; i++) {
        const struct remote_cid *r = &c->remote_cids[i];
        if (r->used && r->has_token && r->sequence == c->path.remote_id) return r->token;
    }
    return NULL;
}

bool conn_ids_is_reset(const struct connection *c, const uint8_t *last16)
{
    const uint8_t *token = conn_ids_reset_token(c);
    return token != NULL && token_reset_equal(token, last16);
}

static struct local_cid *issue(struct connection *c)
{
    for (unsigned i = 0; i < QUIC_LOCAL_CIDS_MAX; i++) {
        struct local_cid *l = &c->local_cids[i];
        if (l->used) continue;
        l->owner = c;
        l->sequence = c->local_next;
        entropy_fill(connection_env(c)->entropy, l->bytes, sizeof l->bytes);
        if (!endpoint_add_cid(c->owner, l)) return NULL;
        l->used = true;
        l->to_tell = l->told = false;
        c->local_next++;
        return l;
    }
    return NULL;
}

bool conn_ids_open(struct connection *c)
{
    struct local_cid *first = issue(c);
    if (first == NULL) return false;
    first->told = true; /* by the handshake */
    (void)cid_set(&c->local_cid, first->bytes, sizeof first->bytes);
    return true;
}

void conn_ids_close(struct connection *c)
{
    for (unsigned i = 0; i < QUIC_LOCAL_CIDS_MAX; i++) {
        if (c->local_cids[i].used) endpoint_remove_cid(c->owner, &c->local_cids[i]);
        c->local_cids[i].used = false;
    }
}

void conn_ids_supply(struct connection *c)
{
    uint64_t most = connection_env(c)->limits->value[LIMIT_CONNECTION_IDS];
    unsigned active = 0;
    if (c->peer_id_limit < most) most = c->peer_id_limit;
    if (most > QUIC_LOCAL_CIDS_MAX) most = QUIC_LOCAL_CIDS_MAX;
    for (unsigned i = 0; i < QUIC_LOCAL_CIDS_MAX; i++) active += c->local_cids[i].used;
    for (; active < most; active++) {
        struct local_cid *l = issue(c);
        if (l == NULL) return; /* without memory the peer has fewer */
        l->to_tell = true;
        c->ids_to_tell = true;
        metric_inc(connection_env(c)->metrics, METRIC_CONNECTION_IDS_ISSUED);
    }
}

struct local_cid *conn_ids_next_told(struct connection *c)
{
    for (unsigned i = 0; i < QUIC_LOCAL_CIDS_MAX; i++) {
        if (c->local_cids[i].used && c->local_cids[i].to_tell) return &c->local_cids[i];
    }
    c->ids_to_tell = false;
    return NULL;
}

void conn_ids_untold(struct connection *c, uint64_t sequence)
{
    for (unsigned i = 0; i < QUIC_LOCAL_CIDS_MAX; i++) {
        if (!c->local_cids[i].used || c->local_cids[i].sequence != sequence) continue;
        c->local_cids[i].to_tell = c->ids_to_tell = true;
    }
}

int conn_ids_on_retire(struct connection *c, uint64_t sequence)
{
    /* RFC 9000 19.16: not one that we never issued, nor the one that this packet came to. */
    if (sequence >= c->local_next || sequence == c->in_id) return QUIC_PROTOCOL_VIOLATION;
    for (unsigned i = 0; i < QUIC_LOCAL_CIDS_MAX; i++) {
        struct local_cid *l = &c->local_cids[i];
        if (!l->used || l->sequence != sequence) continue;
        /* One packet could else guess and retire hundreds, each of which issues another. */
        if (!l->told) return QUIC_PROTOCOL_VIOLATION;
        endpoint_remove_cid(c->owner, l);
        l->used = l->to_tell = false;
        metric_inc(connection_env(c)->metrics, METRIC_CONNECTION_IDS_RETIRED);
        conn_ids_supply(c);
        return 0;
    }
    return 0; /* again: the first was heard */
}
