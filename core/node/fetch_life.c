/* SPDX-License-Identifier: MIT */
/* The life of a fetch.
 *
 * A fetch owns the streams of all its parts; a stream knows its slot by its user. Whatever happens
 * (bytes, an end, a call, its timer) ends in fetch_look, which drops peers that are gone, takes
 * parts from those that bring nothing, asks for more as far as the plan and the memory allow, and
 * sets the timer anew. Peers are kept as handles: a connection that ended is noticed by its
 * streams, or when the plan is looked at next, so a fetch that rests is not asked at each end of a
 * connection.
 *
 * Parts that wait for the application keep their slots: who does not read stops the fetch. Its
 * connections are held meanwhile, or they would end for being idle. */
#include "base/assert.h"
#include "node/conns.h"
#include "node/drain.h"
#include "node/fetch.h"
#include "node/peers.h"
#include <string.h>

enum { GRACE_US = 5000000, RETRY_US = 100000, STRIKES_LATE = 1, STRIKES_WRONG = 2 };

static struct fetch *fetch_of(struct owner *o)
{
    return list_entry(o, struct fetch, owner);
}

/* The end. */

static void drop_slot(struct node *node, struct fetch_slot *slot, uint32_t reason, bool is_over)
{
    fetch_part_drop_stream(node, slot, reason, is_over);
    fetch_part_drop_bytes(node, slot);
}

static void drop_asked(struct node *node, struct fetch *f)
{
    for (uint32_t i = 0; i < f->plan.slots_max; i++) {
        if (f->plan.slots[i].state != SLOT_ASKED) continue;
        drop_slot(node, &f->plan.slots[i], WEIR_REASON_CANCELLED, false);
        (void)fetch_plan_lost(&f->plan, &f->plan.slots[i], node->now_us);
    }
}

static void leave_peer(struct node *node, struct fetch *f, uint8_t peer)
{
    (void)peers_keep(node, &f->held[peer], false);
    fetch_plan_remove_peer(&f->plan, peer);
}

void fetch_leave_all(struct node *node, struct fetch *f)
{
    drop_asked(node, f);
    for (uint8_t i = 0; i < FETCH_PEERS_MAX; i++) {
        if (f->plan.peers[i].connection != 0) leave_peer(node, f, i);
    }
}

static void finish(struct node *node, struct fetch *f, int error, uint32_t reason)
{
    if (f->is_over) return;
    f->is_over = true;
    f->error = error;
    f->reason = reason;
    /* Of one that is complete a part may be rejected, until the end was told. */
    if (error != 0) fetch_leave_all(node, f);
    (void)owner_set_timer(node, &f->owner, UINT64_MAX);
    owner_ready(node, &f->owner);
}

/* Peers. */

/* @return the connection, or NULL when it is not up any more */
static struct transport_conn *conn_of(const struct node *node, uint64_t handle)
{
    struct dial *dial;
    int error;
    struct transport_conn *c = conns_get(node, handle, &dial, &error);
    return c != NULL && c->state == CONN_UP ? c : NULL;
}

static uint64_t rtt_of(const struct transport_conn *c)
{
    struct conn_info info;
    memset(&info, 0, sizeof info);
    c->transport->ops->conn_info(c, &info);
    return info.rtt_us;
}

static void retried(struct node *node, struct fetch *f)
{
    f->retried++;
    metric_inc(node->env.metrics, METRIC_FETCH_PARTS_RETRIED);
}

static void lose_slot(struct node *node, struct fetch *f, struct fetch_slot *slot, uint32_t reason)
{
    drop_slot(node, slot, reason, false);
    if (fetch_plan_lost(&f->plan, slot, node->now_us)) retried(node, f);
}

static void lose_parts(struct node *node, struct fetch *f, uint8_t peer, uint32_t reason)
{
    for (uint32_t i = 0; i < f->plan.slots_max; i++) {
        struct fetch_slot *slot = &f->plan.slots[i];
        if (slot->state == SLOT_ASKED && slot->peer == peer) lose_slot(node, f, slot, reason);
    }
}

static void remove_peer(struct node *node, struct fetch *f, uint8_t peer, uint32_t reason)
{
    lose_parts(node, f, peer, WEIR_REASON_CANCELLED);
    leave_peer(node, f, peer);
    f->reason = reason;
}

static void strike(struct node *node, struct fetch *f, uint8_t peer, unsigned strikes,
                   uint32_t reason)
{
    if (fetch_plan_strike(&f->plan, peer, strikes, node->now_us))
        remove_peer(node, f, peer, reason);
}

static void look_at_peers(struct node *node, struct fetch *f)
{
    for (uint8_t i = 0; i < FETCH_PEERS_MAX; i++) {
        struct fetch_peer *p = &f->plan.peers[i];
        if (p->connection == 0) continue;
        const struct transport_conn *c = conn_of(node, p->connection);
        if (c == NULL) {
            remove_peer(node, f, i, WEIR_REASON_CONNECTION);
        } else if (fetch_plan_is_late(&f->plan, i, node->now_us)) {
            lose_parts(node, f, i, WEIR_REASON_TOO_SLOW);
            strike(node, f, i, STRIKES_LATE, WEIR_REASON_TOO_SLOW);
        } else if (p->asked > 0) {
            p->rtt_us = rtt_of(c);
        }
    }
}

/* Asking. */

/* @return false when nothing more can be asked now */
static bool ask(struct node *node, struct fetch *f, const struct fetch_choice *choice)
{
    struct fetch_peer *p = &f->plan.peers[choice->peer];
    struct transport_conn *c = conn_of(node, p->connection);
    if (c == NULL) { /* what was sent a moment ago may have ended it */
        remove_peer(node, f, choice->peer, WEIR_REASON_CONNECTION);
        return true;
    }
    uint32_t i = fetch_plan_asked(&f->plan, choice, node->now_us);
    int error = fetch_part_open(node, f, &f->plan.slots[i], c);
    if (error == 0) {
        if (!choice->is_doubled) return true;
        f->doubled++;
        metric_inc(node->env.metrics, METRIC_FETCH_PARTS_DOUBLED);
        return true;
    }
    fetch_plan_not_asked(&f->plan, &f->plan.slots[i]);
    if (error == WEIR_E_NOT_CONNECTED) {
        remove_peer(node, f, choice->peer, WEIR_REASON_CONNECTION);
        return true;
    }
    f->retry_us = node->now_us + RETRY_US;
    if (error != WEIR_E_LIMIT) return false;
    p->is_blocked = true; /* until fetches_on_room, or another part of it ends */
    return true;
}

static void ask_all(struct node *node, struct fetch *f)
{
    struct fetch_choice choice;
    fetch_plan_look(&f->plan, node->now_us);
    int spare = fetch_plan_spare(&f->plan, node->now_us);
    if (spare >= 0) lose_slot(node, f, &f->plan.slots[spare], WEIR_REASON_CANCELLED);
    f->retry_us = 0;
    while (fetch_plan_next(&f->plan, node->now_us, &choice) && ask(node, f, &choice)) continue;
}

static bool is_complete(const struct fetch *f)
{
    return f->plan.done == f->plan.parts;
}

/* Parts that nobody can be asked for. */
static bool is_stranded(const struct fetch *f)
{
    return f->plan.wanted > 0 && fetch_plan_peers(&f->plan) == 0;
}

/* One that never had a peer waits for the first. */
static void note_grace(struct node *node, struct fetch *f)
{
    if (!is_stranded(f) || !f->had_peer) {
        f->grace_us = 0;
    } else if (f->grace_us == 0) {
        f->grace_us = node->now_us + GRACE_US;
    }
}

static void set_timer(struct node *node, struct fetch *f)
{
    uint64_t when = fetch_plan_deadline(&f->plan, node->now_us);
    if (f->deadline_us < when) when = f->deadline_us;
    if (f->grace_us != 0 && f->grace_us < when) when = f->grace_us;
    if (f->retry_us != 0 && f->retry_us < when) when = f->retry_us;
    if (!owner_set_timer(node, &f->owner, when))
        finish(node, f, WEIR_E_MEMORY, WEIR_REASON_LIMIT); /* it would sleep for ever */
}

void fetch_look(struct node *node, struct fetch *f)
{
    if (f->is_over) return;
    look_at_peers(node, f);
    note_grace(node, f);
    if (is_complete(f)) {
        finish(node, f, 0, WEIR_REASON_NONE);
    } else if (drain_is_on(node)) {
        finish(node, f, WEIR_E_DRAINING, WEIR_REASON_DRAINING);
    } else if (node->now_us >= f->deadline_us) {
        finish(node, f, WEIR_E_TIMEOUT, WEIR_REASON_DEADLINE);
    } else if (f->grace_us != 0 && node->now_us >= f->grace_us) {
        finish(node, f, WEIR_E_UNREACHABLE, f->reason);
    } else {
        ask_all(node, f);
        note_grace(node, f);
        set_timer(node, f);
    }
}

/* What comes. */

static void count_bytes(struct node *node, struct fetch *f, uint32_t count)
{
    uint64_t second = node->now_us / 1000000;
    struct fetch_meter *m = &f->meter;
    if (second >= m->second + FETCH_METER_SECONDS) memset(m->bytes, 0, sizeof m->bytes);
    while (m->second < second && second - m->second < FETCH_METER_SECONDS)
        m->bytes[++m->second % FETCH_METER_SECONDS] = 0;
    m->second = second;
    m->bytes[second % FETCH_METER_SECONDS] += count;
}

static void on_whole(struct node *node, struct fetch *f, struct fetch_slot *slot)
{
    fetch_plan_verified(&f->plan, slot, node->now_us);
    f->waiting++;
    metric_inc(node->env.metrics, METRIC_FETCH_PARTS_DONE);
    for (uint32_t i = 0; i < f->plan.slots_max; i++) {
        struct fetch_slot *other = &f->plan.slots[i];
        if (other->state != SLOT_ASKED || other->part != slot->part) continue;
        drop_slot(node, other, WEIR_REASON_CANCELLED, false);
        fetch_plan_beaten(&f->plan, other, node->now_us);
    }
    if (!f->told_part) owner_ready(node, &f->owner);
}

void fetch_blame(struct node *node, struct fetch *f, int peer, uint32_t reason)
{
    f->corrupt++;
    metric_inc(node->env.metrics, METRIC_FETCH_PARTS_CORRUPT);
    /* Who gave a part that was read may have left since. */
    if (peer >= 0 && f->plan.peers[peer].connection != 0)
        strike(node, f, (uint8_t)peer, STRIKES_WRONG, reason);
}

/* A part did not come, and its slot is gone. */
static void on_failed(struct node *node, struct fetch *f, uint8_t peer,
                      enum fetch_part_result result, uint32_t reason, uint64_t hint_us)
{
    switch (result) {
    case FETCH_PART_WRONG: fetch_blame(node, f, peer, reason); break;
    case FETCH_PART_BUSY: fetch_plan_busy(&f->plan, peer, hint_us, node->now_us); break;
    case FETCH_PART_BROKEN: break;
    default: remove_peer(node, f, peer, reason);
    }
}

static void on_stream(struct node *node, struct owner *o, struct stream *s, unsigned facts)
{
    struct fetch *f = fetch_of(o);
    bool is_over = (facts & STREAM_PENDING_OVER) != 0;
    uint32_t came, reason;
    uint64_t hint_us;
    WEIR_ASSERT(s->user < f->plan.slots_max && f->plan.slots[s->user].stream == s);
    struct fetch_slot *slot = &f->plan.slots[s->user];
    enum fetch_part_result result =
        fetch_part_on_stream(node, f, slot, facts, &came, &reason, &hint_us);
    bool is_news = fetch_plan_arrived(&f->plan, slot, came, node->now_us);
    count_bytes(node, f, came);
    if (result == FETCH_PART_ON && !is_over) {
        if (is_news) fetch_look(node, f);
        return;
    }
    WEIR_ASSERT(result != FETCH_PART_ON);
    if (result == FETCH_PART_WHOLE) {
        fetch_part_drop_stream(node, slot, WEIR_REASON_NONE, is_over);
        on_whole(node, f, slot);
    } else {
        uint8_t peer = slot->peer;
        drop_slot(node, slot, result == FETCH_PART_WRONG ? reason : WEIR_REASON_CANCELLED, is_over);
        if (fetch_plan_lost(&f->plan, slot, node->now_us)) retried(node, f);
        on_failed(node, f, peer, result, reason, hint_us);
    }
    fetch_look(node, f);
}

static void on_time(struct node *node, struct owner *o)
{
    struct fetch *f = fetch_of(o);
    for (unsigned i = 0; i < FETCH_PEERS_MAX; i++) f->plan.peers[i].is_blocked = false;
    fetch_look(node, f);
}

static bool next_event(struct node *node, struct owner *o, weir_event *event)
{
    struct fetch *f = fetch_of(o);
    event->user = f->user;
    if (f->waiting > 0 && !f->told_part) {
        f->told_part = true;
        event->kind = WEIR_EVENT_FETCH_PART;
        event->amount = f->waiting;
        return true;
    }
    if (!f->is_over || f->told_over) return false;
    f->told_over = true;
    event->kind = WEIR_EVENT_FETCH_CLOSED;
    event->error = f->error;
    event->amount = f->reason;
    fetch_leave_all(node, f);
    owner_end(node, o);
    return true;
}

static void release(struct node *node, struct owner *o)
{
    struct fetch *f = fetch_of(o), **at = &node->extras->fetches;
    while (*at != f) at = &(*at)->next;
    *at = f->next;
    for (uint32_t i = 0; i < f->plan.slots_max; i++) fetch_part_drop_bytes(node, &f->plan.slots[i]);
    state_release(node, f, f->size);
}

const struct owner_ops fetch_ops = {
    .on_stream = on_stream, .on_time = on_time, .next_event = next_event, .release = release};
