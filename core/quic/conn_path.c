/* SPDX-License-Identifier: MIT */
/* From one path to another (RFC 9000 sections 8.2 and 9; docs/wire.md 11.3 to 11.6).
 *
 * A connection has one path in use. Either side may change its address, by choice or because a NAT
 * forgot it: whoever receives the newest packet from another place than before, with more in it
 * than probing frames, answers there from then on. Until the peer has shown that it receives there,
 * three times what came from there is all that is sent (RFC 9000 8.1), so a forged source costs its
 * owner nothing.
 *
 * The path that was left stays as `fallback`, with all that was learned of it, until the new one
 * has answered; if that fails, the connection goes back. A third place, from which only probing
 * frames came, is `probe`: it gets an answer and nothing else. So a peer, or whoever forges its
 * address, makes us keep two paths more at most, and each packet costs at most one small move.
 *
 * A path in use that does not answer is asked on and on, ever more seldom, until the idle timeout
 * ends the connection: the network that comes back after some seconds finds it there. */
#include "base/charged.h"
#include "quic/connection.h"
#include <string.h>

enum {
    ASK_MAX_US = 3000000,    /* between two challenges of a path in use */
    GIVE_UP_MIN_US = 2997000 /* RFC 9000 8.2.4: three PTO of a path of which nothing is known */
};

static void challenge(struct connection *c, struct path *p)
{
    if (!p->asks) {
        metric_inc(connection_env(c)->metrics, METRIC_PATHS_CHALLENGED);
        p->tries = p->kept = 0;
        p->asked_us = c->now_us;
    }
    p->asks = p->challenge_wanted = true;
    p->ask_us = c->now_us;
}

static struct path *path_of(struct connection *c, const struct datagram_in *in)
{
    if (path_is(&c->path, in)) return &c->path;
    if (c->fallback != NULL && path_is(&c->fallback->path, in)) return &c->fallback->path;
    if (c->probe != NULL && path_is(c->probe, in)) return c->probe;
    return NULL;
}

void conn_path_arrived(struct connection *c, const struct datagram_in *in, size_t len)
{
    struct path *p = path_of(c, in);
    c->in = in;
    c->in_bytes = len;
    c->has_challenge = false;
    if (p != NULL && !p->validated) p->bytes_in += len;
}

void conn_path_on_challenge(struct connection *c, const uint8_t data[PATH_CHALLENGE_LEN])
{
    /* Only the latest is answered: a queue of answers was CVE-2023-49295. */
    metric_inc(connection_env(c)->metrics, METRIC_PATH_CHALLENGES_RECEIVED);
    memcpy(c->challenge, data, sizeof c->challenge);
    c->has_challenge = true;
}

static void drop_fallback(struct connection *c)
{
    const struct transport_env *env = connection_env(c);
    struct path_memory *m = c->fallback;
    if (m == NULL) return;
    c->fallback = NULL;
    congestion_close(&m->congestion, env->mem, env->budget);
    charged_free(env->mem, env->budget, m, sizeof *m);
}

static void drop_probe(struct connection *c)
{
    const struct transport_env *env = connection_env(c);
    charged_free(env->mem, env->budget, c->probe, sizeof *c->probe);
    c->probe = NULL;
}

void conn_path_free(struct connection *c)
{
    drop_fallback(c);
    drop_probe(c);
}

/* What was learned of the old path says nothing of this one (RFC 9000 9.4). */
static void forget_capacity(struct connection *c)
{
    rtt_reset(&c->rtt);
    connection_capacity_init(c, c->now_us);
    loss_on_path_change(&c->loss, &c->rtt, &c->congestion, c->now_us);
}

/* Keep the path in use to come back to, if it is worth it: one that was never proven is not. */
static void remember(struct connection *c)
{
    const struct transport_env *env = connection_env(c);
    if (!c->path.validated || c->fallback != NULL) return;
    c->fallback = charged_alloc(env->mem, env->budget, sizeof *c->fallback);
    if (c->fallback == NULL) return; /* then there is no way back */
    c->fallback->path = c->path;
}

/* The capacity of the path in use moves into its memory, or is lost with it. */
static void leave_capacity(struct connection *c)
{
    const struct transport_env *env = connection_env(c);
    struct path_memory *m = c->fallback;
    if (m == NULL || m->has_capacity) {
        congestion_close(&c->congestion, env->mem, env->budget);
        return;
    }
    m->rtt = c->rtt;
    m->congestion = c->congestion; /* moved: it has one owner */
    m->pacer = c->pacer;
    m->pmtu = c->pmtu;
    m->has_capacity = true;
    /* The fate of a probe on its way will not be heard of: it was sent on another path then. */
    if (m->pmtu.probe_bytes != 0) pmtu_on_probe_lost(&m->pmtu, m->pmtu.probe_bytes, c->now_us);
}

/* The path in use was exchanged: the id of the old one goes back to the peer, unless a path that is
 * kept has it too. */
static void took_path(struct connection *c, uint64_t old_id)
{
    conn_ids_use(c, c->path.remote_id);
    conn_ids_leave(c, old_id);
    conn_path_resized(c);
    conn_loss_repace(c, c->now_us);
    conn_out_check_blocked(c);
}

static void return_to_fallback(struct connection *c)
{
    struct path_memory *m = c->fallback;
    uint64_t left_id = c->path.remote_id;
    const struct transport_env *env = connection_env(c);
    c->path = m->path;
    c->path.asks = c->path.challenge_wanted = c->path.asked_small = false;
    c->path.moved = c->path.own_change;
    if (m->has_capacity) {
        congestion_close(&c->congestion, env->mem, env->budget);
        c->rtt = m->rtt;
        c->congestion = m->congestion;
        congestion_return(&c->congestion, c->now_us);
        c->pacer = m->pacer;
        c->pmtu = m->pmtu;
        ecn_restart(&c->ecn, !connection_env(c)->ecn_off);
        loss_on_path_change(&c->loss, &c->rtt, &c->congestion, c->now_us);
    }
    c->fallback = NULL;
    charged_free(env->mem, env->budget, m, sizeof *m);
    if (c->path.own_change) challenge(c, &c->path); /* nobody knows there where we are now */
    took_path(c, left_id);
}

/* The newest packet came from elsewhere: answer there. */
static void move(struct connection *c)
{
    const struct datagram_in *in = c->in;
    struct path *known = path_of(c, in);
    bool same_host = endpoint_same_host(&c->path.remote, &in->remote);
    bool new_id = c->in_id > c->path.local_id;
    uint64_t left_id = c->path.remote_id;
    struct path next = {.local = in->local,
                        .remote = in->remote,
                        .socket = in->socket,
                        .remote_id = c->path.remote_id,
                        .local_id = c->in_id,
                        .bytes_in = c->in_bytes,
                        .validated =
                            c->path.validated && endpoint_equal(&c->path.remote, &in->remote),
                        .moved = true};
    metric_inc(connection_env(c)->metrics, METRIC_CONNECTIONS_MOVED);
    if (c->fallback != NULL && known == &c->fallback->path) {
        return_to_fallback(c);
        return;
    }
    if (known != NULL && known == c->probe) {
        next.bytes_in = c->probe->bytes_in;
        next.bytes_out = c->probe->bytes_out; /* what the probe was sent counts as well */
        next.remote_id = c->probe->remote_id;
        drop_probe(c);
    } else if (new_id) {
        /* RFC 9000 9.5: a peer that took another id does not want to be followed by the old. */
        next.remote_id = conn_ids_fresh(c);
    }
    remember(c);
    if (!same_host) {
        leave_capacity(c);
        c->path = next;
        forget_capacity(c);
    } else {
        c->path = next;
    }
    challenge(c, &c->path);
    /* The place that was left was proven once, and may be somebody else's by now. */
    if (c->fallback != NULL &&
        (!c->fallback->path.asks || c->fallback->path.tries < PATH_CHALLENGE_TRIES))
        challenge(c, &c->fallback->path);
    took_path(c, left_id);
}

/* A place from which only probing frames came. */
static struct path *probed(struct connection *c)
{
    const struct transport_env *env = connection_env(c);
    const struct datagram_in *in = c->in;
    conn_path_forget_probe(c);
    struct path *p = charged_alloc(env->mem, env->budget, sizeof *p);
    if (p == NULL) return NULL; /* the peer asks again */
    *p = (struct path){.local = in->local,
                       .remote = in->remote,
                       .socket = in->socket,
                       .remote_id = conn_ids_fresh(c),
                       .bytes_in = c->in_bytes};
    c->probe = p;
    return p;
}

void conn_path_forget_probe(struct connection *c)
{
    if (c->probe == NULL) return;
    uint64_t id = c->probe->remote_id;
    drop_probe(c);
    conn_ids_leave(c, id);
}

void conn_path_after_packet(struct connection *c, bool is_newest, bool probing_only)
{
    if (c->in == NULL || c->phase != QUIC_UP) return;
    struct path *p = path_of(c, c->in);
    if (c->confirmed && p != &c->path && is_newest && !probing_only) {
        move(c);
        p = path_of(c, c->in);
    }
    if (p == &c->path && c->in_id > p->local_id) p->local_id = c->in_id;
    /* Whoever forges the peer's address shall not choose from which of ours we send; nor shall what
     * was still on its way to an address that we left. */
    bool left = c->fallback != NULL && endpoint_equal(&c->fallback->path.local, &c->in->local);
    if (p != NULL && p->local.family == ENDPOINT_NONE && !(p->own_change && left))
        p->local = c->in->local;
    if (!c->has_challenge) return;
    c->has_challenge = false;
    if (p == NULL && c->confirmed) p = probed(c);
    if (p == NULL) return;
    memcpy(p->response, c->challenge, sizeof p->response);
    p->response_wanted = true;
}

static void settled(struct connection *c, struct path *p)
{
    bool again = p->asked_small;
    p->asks = p->challenge_wanted = p->asked_small = p->own_change = false;
    if (!p->validated) metric_inc(connection_env(c)->metrics, METRIC_PATHS_VALIDATED);
    p->validated = true;
    if (p != &c->path) return;
    if (again) challenge(c, p); /* RFC 9000 8.2.1: whole datagrams were not shown to fit yet */
    if (c->fallback != NULL) {
        uint64_t old = c->fallback->path.remote_id;
        drop_fallback(c);
        if (old != p->remote_id) conn_ids_leave(c, old);
    }
    if (!p->moved) return;
    p->moved = false;
    c->moves++;
    conn_mark(&c->base, CONN_PENDING_MOVED);
}

static bool answers(const struct path *p, const uint8_t data[PATH_CHALLENGE_LEN])
{
    for (unsigned i = 0; p->asks && i < p->kept; i++) {
        if (memcmp(p->challenges[i], data, PATH_CHALLENGE_LEN) == 0) return true;
    }
    return false;
}

int conn_path_on_response(struct connection *c, const uint8_t data[PATH_CHALLENGE_LEN])
{
    /* RFC 9000 8.2.3: on whatever path it comes, it speaks of the one that was asked. */
    if (answers(&c->path, data))
        settled(c, &c->path);
    else if (c->fallback != NULL && answers(&c->fallback->path, data))
        settled(c, &c->fallback->path);
    else if (!c->has_asked)
        return QUIC_PROTOCOL_VIOLATION; /* RFC 9000 19.18: we never sent a challenge */
    return 0;
}

void conn_path_asked(struct connection *c, struct path *p, const uint8_t data[PATH_CHALLENGE_LEN],
                     bool is_small)
{
    uint64_t pto_us = rtt_pto_us(&c->rtt, c->loss.max_ack_delay_us);
    unsigned shift = p->tries < 6 ? p->tries : 6;
    uint64_t wait_us = pto_us << shift;
    if (p->kept < PATH_CHALLENGES_KEPT) p->kept++;
    memmove(p->challenges[1], p->challenges[0], (p->kept - 1u) * sizeof p->challenges[0]);
    memcpy(p->challenges[0], data, sizeof p->challenges[0]);
    p->challenge_wanted = false;
    p->asked_small = is_small;
    if (p->tries < UINT8_MAX) p->tries++;
    p->ask_us = c->now_us + (wait_us < ASK_MAX_US ? wait_us : ASK_MAX_US);
    c->has_asked = true;
}

static uint64_t give_up_us(const struct connection *c)
{
    /* Whether our old address is still there nobody knows; the peer's has not changed. */
    if (c->fallback == NULL || !c->path.asks || c->path.own_change) return UINT64_MAX;
    uint64_t us = 3 * rtt_pto_us(&c->rtt, c->loss.max_ack_delay_us);
    return c->path.asked_us + (us > GIVE_UP_MIN_US ? us : GIVE_UP_MIN_US);
}

/* When to ask there again. */
static uint64_t ask_at(const struct path *p)
{
    return p->asks && !p->challenge_wanted ? p->ask_us : UINT64_MAX;
}

/* The same of the path that was left, which is asked a few times, no more. */
static uint64_t ask_fallback_at(const struct connection *c)
{
    if (c->fallback == NULL || c->fallback->path.tries >= PATH_CHALLENGE_TRIES) return UINT64_MAX;
    return ask_at(&c->fallback->path);
}

uint64_t conn_path_deadline(const struct connection *c)
{
    uint64_t at = ask_at(&c->path);
    if (ask_fallback_at(c) < at) at = ask_fallback_at(c);
    return give_up_us(c) < at ? give_up_us(c) : at;
}

void conn_path_on_deadline(struct connection *c)
{
    if (!c->path.asks) return;
    if (give_up_us(c) <= c->now_us) {
        metric_inc(connection_env(c)->metrics, METRIC_PATHS_FAILED);
        return_to_fallback(c);
        return;
    }
    if (c->path.ask_us <= c->now_us) c->path.challenge_wanted = true;
    if (ask_fallback_at(c) <= c->now_us) c->fallback->path.challenge_wanted = true;
}

struct path *conn_path_aside(struct connection *c)
{
    struct path *p = c->fallback != NULL ? &c->fallback->path : NULL;
    if (p != NULL && (p->challenge_wanted || p->response_wanted) &&
        path_allows(p, PATH_ROOM_MIN) >= PATH_ROOM_MIN)
        return p;
    if (c->probe != NULL && c->probe->response_wanted &&
        path_allows(c->probe, PATH_ROOM_MIN) >= PATH_ROOM_MIN)
        return c->probe;
    return NULL;
}

void conn_path_network_changed(struct connection *c)
{
    uint64_t left_id = c->path.remote_id;
    if (c->phase != QUIC_UP || !c->confirmed) return;
    remember(c);
    leave_capacity(c);
    c->path.local = (struct endpoint){0}; /* the system chooses anew */
    c->path.remote_id = conn_ids_fresh(c);
    c->path.moved = true;
    c->path.own_change = c->path.validated;
    if (!c->path.validated && c->fallback != NULL) {
        /* Perhaps the peer is not there: then we go back, but not to the address that we had. */
        c->fallback->path.local = (struct endpoint){0};
        c->fallback->path.own_change = true;
    }
    forget_capacity(c);
    c->path.asks = false;
    challenge(c, &c->path);
    took_path(c, left_id);
}

void conn_path_unheard(struct connection *c)
{
    /* Our own address may be gone, and nobody told us: let the system choose again. */
    if (connection_is_client(c) || c->path.own_change) c->path.local = (struct endpoint){0};
}
