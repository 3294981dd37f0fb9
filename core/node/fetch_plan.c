/* SPDX-License-Identifier: MIT */
/* Which part is asked of whom. Pure: no stream, no node, no clock.
 *
 * The lowest wanted part goes to the peer that is expected to have it soonest, by a smoothed rate
 * of each peer. A peer has at most its share of what is in flight: an equal one, or a larger one by
 * its rate. So a slow peer holds few parts, and a fast one never runs dry.
 *
 * One that stalls must not cost the others' time. Waiting for the least progress would take
 * seconds, so there is a softer sign before it: a peer of which nothing came for a few round trips
 * is quiet. It is asked for nothing more, and what it holds is asked of others a second time, the
 * lowest part first; the first to verify wins. A quiet peer that speaks again is as good as before;
 * one that lost everything to others rests, longer each time, and is then tried with one part. At
 * the end, when nothing is left to ask for, the part that is expected latest is asked again of whom
 * would be faster, so that the slowest peer does not decide when the fetch is over.
 *
 * Strikes are for what is a peer's fault: no progress counts one, a wrong part two, three are the
 * end. They are forgiven slowly. */
#include "base/assert.h"
#include "node/fetch.h"
#include <string.h>

enum {
    KIB = 1024,
    QUIET_ROUNDS = 3,         /* round trips without a byte */
    QUIET_KIBS = 4,           /* times in which the fastest peer brings 1 KiB */
    QUIET_LEAST_US = 250000,  /* a disk that is slow for a moment is not a stall */
    END_LOOK_US = 50000,      /* near the end, how often it is looked who is late */
    QUIET_FIRST_US = 1000000, /* nobody knows yet how long this peer takes to begin */
    MEASURE_US = 100000,
    MEASURE_IDLE_US = 1000000, /* without a byte, the rate sinks by the second only */
    PAUSE_US = 1000000,
    PAUSE_SHIFT_MAX = 6,
    BUSY_LEAST_US = 100000,
    BUSY_MAX_US = 60000000,
    FORGIVE_PARTS = 8
};

#define SECOND_US UINT64_C(1000000)

uint32_t fetch_plan_part_len(const struct fetch_plan *plan, uint32_t part)
{
    uint64_t left = plan->total_bytes - (uint64_t)part * plan->part_bytes;
    return left < plan->part_bytes ? (uint32_t)left : plan->part_bytes;
}

static bool is_present(const struct fetch_peer *p)
{
    return p->connection != 0;
}

int fetch_plan_find_peer(const struct fetch_plan *plan, uint64_t connection)
{
    for (int i = 0; i < FETCH_PEERS_MAX; i++) {
        if (plan->peers[i].connection == connection) return i;
    }
    return -1;
}

uint32_t fetch_plan_peers(const struct fetch_plan *plan)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < FETCH_PEERS_MAX; i++) count += is_present(&plan->peers[i]) ? 1u : 0u;
    return count;
}

int fetch_plan_add_peer(struct fetch_plan *plan, uint64_t connection, uint64_t rtt_us,
                        uint32_t peers_max, uint64_t now_us)
{
    WEIR_ASSERT(connection != 0 && fetch_plan_find_peer(plan, connection) < 0);
    int place = fetch_plan_find_peer(plan, 0);
    if (place < 0 || fetch_plan_peers(plan) >= peers_max) return -1;
    plan->peers[place] = (struct fetch_peer){.connection = connection,
                                             .rtt_us = rtt_us,
                                             .heard_us = now_us,
                                             .measure_us = now_us,
                                             .progress_us = now_us};
    /* Whoever had the place before is not to be blamed through it. */
    for (uint32_t i = 0; i < plan->parts; i++) {
        if (plan->blame[i] == place + 1) plan->blame[i] = 0;
    }
    return place;
}

void fetch_plan_remove_peer(struct fetch_plan *plan, uint8_t peer)
{
    WEIR_ASSERT(plan->peers[peer].asked == 0 && plan->peers[peer].left_bytes == 0);
    memset(&plan->peers[peer], 0, sizeof plan->peers[peer]);
}

/* What is known of all peers together. */
struct view {
    uint64_t rates, fastest; /* of those that can be asked */
    uint32_t able;           /* how many those are */
};

/* Neither quiet nor busy nor on probation. */
static bool is_able(const struct fetch_peer *p, uint64_t now_us)
{
    return is_present(p) && !p->is_quiet && !p->on_probation && now_us >= p->busy_until_us;
}

static struct view view_of(const struct fetch_plan *plan, uint64_t now_us)
{
    struct view v = {0};
    for (unsigned i = 0; i < FETCH_PEERS_MAX; i++) {
        const struct fetch_peer *p = &plan->peers[i];
        if (!is_able(p, now_us)) continue;
        v.able++;
        v.rates += p->rate;
        if (p->rate > v.fastest) v.fastest = p->rate;
    }
    return v;
}

/* One that is not known yet is taken for as fast as the fastest: else it would never be known. */
static uint64_t rate_of(const struct fetch_peer *p, const struct view *v)
{
    if (p->rate != 0) return p->rate;
    return v->fastest != 0 ? v->fastest : 1 << 20;
}

static uint64_t expected_us(const struct fetch_peer *p, const struct view *v, uint64_t more_bytes)
{
    return p->rtt_us + (p->left_bytes + more_bytes) * SECOND_US / rate_of(p, v);
}

/* How many parts a peer may have in flight. */
static uint32_t share_of(const struct fetch_plan *plan, const struct fetch_peer *p,
                         const struct view *v)
{
    if (p->on_probation || p->busy_count > 0) return 1;
    uint32_t count = v->able == 0 ? 1 : v->able;
    uint64_t even = (plan->slots_max + count - 1) / count, by_rate = 0;
    if (v->rates != 0) by_rate = (plan->slots_max * p->rate + v->rates - 1) / v->rates;
    /* One is left to each of the others: who is never asked is never found to have become fast. */
    if (plan->slots_max >= count && by_rate > plan->slots_max - (count - 1))
        by_rate = plan->slots_max - (count - 1);
    return (uint32_t)(by_rate > even ? by_rate : even);
}

static bool has_room(const struct fetch_plan *plan, const struct fetch_peer *p,
                     const struct view *v, uint64_t now_us)
{
    if (!is_present(p) || p->is_quiet || p->is_blocked || now_us < p->busy_until_us) return false;
    if (p->on_probation && now_us < p->trial_us && v->able > 0) return false;
    return p->asked < share_of(plan, p, v);
}

static bool holds(const struct fetch_plan *plan, uint8_t peer, uint32_t part)
{
    for (uint32_t i = 0; i < plan->slots_max; i++) {
        const struct fetch_slot *s = &plan->slots[i];
        if (s->state == SLOT_ASKED && s->part == part && s->peer == peer) return true;
    }
    return false;
}

/* The peer that would have this part soonest, or -1. *any: whether one has room at all. */
static int soonest(const struct fetch_plan *plan, const struct view *v, uint32_t part,
                   uint64_t now_us, uint64_t *when_us, bool *any)
{
    uint32_t len = fetch_plan_part_len(plan, part);
    int best = -1;
    *any = false;
    for (uint8_t i = 0; i < FETCH_PEERS_MAX; i++) {
        const struct fetch_peer *p = &plan->peers[i];
        if (!has_room(plan, p, v, now_us)) continue;
        *any = true;
        bool others = v->able > (is_able(p, now_us) ? 1u : 0u);
        if (plan->blame[part] == i + 1 && others) continue;
        if (plan->state[part] == PART_ASKED && holds(plan, i, part)) continue;
        uint64_t at = expected_us(p, v, len);
        if (best >= 0 && at >= *when_us) continue;
        best = i;
        *when_us = at;
    }
    return best;
}

/* The lowest part that only a quiet peer is asked for. */
static bool rescue(const struct fetch_plan *plan, const struct view *v, uint64_t now_us,
                   struct fetch_choice *choice)
{
    uint32_t lowest = UINT32_MAX;
    uint64_t when;
    bool any;
    for (uint32_t i = 0; i < plan->slots_max; i++) {
        const struct fetch_slot *s = &plan->slots[i];
        if (s->state != SLOT_ASKED || s->part >= lowest) continue;
        if (plan->state[s->part] == PART_ASKED && plan->peers[s->peer].is_quiet) lowest = s->part;
    }
    if (lowest == UINT32_MAX) return false;
    int peer = soonest(plan, v, lowest, now_us, &when, &any);
    if (peer < 0) return false;
    *choice = (struct fetch_choice){lowest, (uint8_t)peer, true};
    return true;
}

static bool next_wanted(const struct fetch_plan *plan, const struct view *v, uint64_t now_us,
                        struct fetch_choice *choice)
{
    uint32_t left = plan->wanted;
    uint64_t when;
    bool any = true;
    for (uint32_t part = plan->first_wanted; left > 0 && any; part++) {
        if (plan->state[part] != PART_WANTED) continue;
        left--;
        int peer = soonest(plan, v, part, now_us, &when, &any);
        if (peer < 0) continue;
        *choice = (struct fetch_choice){part, (uint8_t)peer, false};
        return true;
    }
    return false;
}

/* Nothing is wanted: whether what is expected latest would come sooner from somebody else. Who has
 * been silent for some time is taken to be so for as long again. The estimates are rough, so the
 * gain must be clear. */
static bool near_the_end(const struct fetch_plan *plan, const struct view *v, uint64_t now_us,
                         struct fetch_choice *choice)
{
    const struct fetch_slot *latest = NULL;
    uint64_t latest_us = 0, when;
    bool any;
    for (uint32_t i = 0; i < plan->slots_max; i++) {
        const struct fetch_slot *s = &plan->slots[i];
        if (s->state != SLOT_ASKED || plan->state[s->part] != PART_ASKED) continue;
        const struct fetch_peer *p = &plan->peers[s->peer];
        uint64_t at = expected_us(p, v, 0), silent_us = now_us - p->heard_us;
        if (silent_us > at) at = silent_us;
        if (latest != NULL && at <= latest_us) continue;
        latest = s;
        latest_us = at;
    }
    if (latest == NULL) return false;
    int peer = soonest(plan, v, latest->part, now_us, &when, &any);
    if (peer < 0 || when + when / 2 >= latest_us) return false;
    *choice = (struct fetch_choice){latest->part, (uint8_t)peer, true};
    return true;
}

bool fetch_plan_next(const struct fetch_plan *plan, uint64_t now_us, struct fetch_choice *choice)
{
    if (plan->slots_used >= plan->slots_max) return false;
    struct view v = view_of(plan, now_us);
    if (rescue(plan, &v, now_us, choice)) return true;
    if (plan->wanted > 0) return next_wanted(plan, &v, now_us, choice);
    return near_the_end(plan, &v, now_us, choice);
}

int fetch_plan_spare(const struct fetch_plan *plan, uint64_t now_us)
{
    struct view v = view_of(plan, now_us);
    bool rests = false;
    int spare = -1;
    if (plan->slots_used < plan->slots_max) return -1;
    for (unsigned i = 0; i < FETCH_PEERS_MAX; i++) {
        const struct fetch_peer *p = &plan->peers[i];
        if (p->asked == 0 && is_able(p, now_us) && has_room(plan, p, &v, now_us)) rests = true;
    }
    for (uint32_t i = 0; rests && i < plan->slots_max; i++) {
        const struct fetch_slot *s = &plan->slots[i];
        if (s->state != SLOT_ASKED || !plan->peers[s->peer].is_quiet) continue;
        if (spare < 0 || s->part > plan->slots[spare].part) spare = (int)i;
    }
    return spare;
}

uint32_t fetch_plan_asked(struct fetch_plan *plan, const struct fetch_choice *choice,
                          uint64_t now_us)
{
    struct fetch_peer *p = &plan->peers[choice->peer];
    uint32_t i = 0;
    while (plan->slots[i].state != SLOT_FREE) i++;
    WEIR_ASSERT(i < plan->slots_max && is_present(p));
    struct fetch_slot *s = &plan->slots[i];
    *s = (struct fetch_slot){.part = choice->part,
                             .len = fetch_plan_part_len(plan, choice->part),
                             .state = SLOT_ASKED,
                             .peer = choice->peer};
    plan->slots_used++;
    if (plan->state[s->part] == PART_WANTED) {
        plan->wanted--;
        plan->state[s->part] = PART_ASKED;
    } else {
        WEIR_ASSERT(plan->state[s->part] == PART_ASKED);
        plan->state[s->part] = PART_DOUBLED;
    }
    while (plan->first_wanted < plan->parts && plan->state[plan->first_wanted] != PART_WANTED)
        plan->first_wanted++;
    if (p->asked++ == 0) {
        p->heard_us = p->measure_us = p->progress_us = now_us;
        p->measure_bytes = p->progress_bytes = 0;
    }
    p->left_bytes += s->len;
    return i;
}

static void measure(struct fetch_peer *p, uint64_t now_us)
{
    uint64_t passed_us = now_us - p->measure_us;
    if (passed_us < (p->measure_bytes == 0 ? MEASURE_IDLE_US : MEASURE_US)) return;
    uint64_t rate = p->measure_bytes * SECOND_US / passed_us;
    p->rate = p->rate == 0 ? rate : (3 * p->rate + rate) / 4;
    if (p->rate == 0) p->rate = 1;
    p->measure_us = now_us;
    p->measure_bytes = 0;
}

bool fetch_plan_arrived(struct fetch_plan *plan, struct fetch_slot *slot, uint32_t count,
                        uint64_t now_us)
{
    struct fetch_peer *p = &plan->peers[slot->peer];
    bool was_quiet = p->is_quiet;
    WEIR_ASSERT(slot->state == SLOT_ASKED && count <= slot->len - slot->got);
    if (count == 0) return false;
    slot->got += count;
    p->left_bytes -= count;
    p->heard_us = now_us;
    p->has_answered = true;
    p->is_quiet = false;
    p->measure_bytes += count;
    measure(p, now_us);
    p->progress_bytes += count;
    if (p->progress_bytes >= plan->progress_limit_bytes) {
        p->progress_bytes = 0;
        p->progress_us = now_us;
    }
    return was_quiet;
}

/* Until when one that failed so many times rests. */
static uint64_t pause_us(unsigned times)
{
    return (uint64_t)PAUSE_US << (times < PAUSE_SHIFT_MAX ? times : PAUSE_SHIFT_MAX);
}

/* The slot is no longer with its peer. */
static void leave(struct fetch_plan *plan, struct fetch_slot *slot, uint64_t now_us)
{
    struct fetch_peer *p = &plan->peers[slot->peer];
    WEIR_ASSERT(slot->state == SLOT_ASKED && p->asked > 0);
    p->left_bytes -= slot->len - slot->got;
    p->is_blocked = false;
    if (--p->asked > 0) return;
    WEIR_ASSERT(p->left_bytes == 0);
    if (!p->is_quiet) return;
    p->is_quiet = false;
    p->on_probation = true;
    p->rate = 0; /* what was measured is not true any more */
    p->trial_us = now_us + pause_us(p->late_count);
    if (p->late_count < PAUSE_SHIFT_MAX) p->late_count++;
}

static void vacate(struct fetch_plan *plan, struct fetch_slot *slot)
{
    slot->state = SLOT_FREE;
    plan->slots_used--;
}

static void want(struct fetch_plan *plan, uint32_t part)
{
    plan->state[part] = PART_WANTED;
    plan->wanted++;
    if (part < plan->first_wanted) plan->first_wanted = part;
}

void fetch_plan_verified(struct fetch_plan *plan, struct fetch_slot *slot, uint64_t now_us)
{
    struct fetch_peer *p = &plan->peers[slot->peer];
    leave(plan, slot, now_us);
    slot->state = SLOT_WAITING;
    plan->state[slot->part] = PART_WAITING;
    plan->blame[slot->part] = (uint8_t)(slot->peer + 1);
    p->on_probation = false;
    p->busy_count = p->late_count = 0;
    if (++p->good % FORGIVE_PARTS == 0 && p->strikes > 0) p->strikes--;
}

/* @return true when nobody is asked for the part any more */
static bool unask(struct fetch_plan *plan, struct fetch_slot *slot, uint64_t now_us)
{
    leave(plan, slot, now_us);
    vacate(plan, slot);
    if (plan->state[slot->part] == PART_DOUBLED) {
        plan->state[slot->part] = PART_ASKED;
        return false;
    }
    want(plan, slot->part);
    return true;
}

bool fetch_plan_lost(struct fetch_plan *plan, struct fetch_slot *slot, uint64_t now_us)
{
    plan->blame[slot->part] = (uint8_t)(slot->peer + 1);
    return unask(plan, slot, now_us);
}

void fetch_plan_not_asked(struct fetch_plan *plan, struct fetch_slot *slot)
{
    (void)unask(plan, slot, 0);
}

void fetch_plan_beaten(struct fetch_plan *plan, struct fetch_slot *slot, uint64_t now_us)
{
    leave(plan, slot, now_us);
    vacate(plan, slot);
}

void fetch_plan_read(struct fetch_plan *plan, struct fetch_slot *slot)
{
    WEIR_ASSERT(slot->state == SLOT_WAITING);
    plan->state[slot->part] = PART_DONE;
    plan->done++;
    vacate(plan, slot);
}

int fetch_plan_rejected(struct fetch_plan *plan, uint32_t part)
{
    WEIR_ASSERT(plan->state[part] == PART_DONE);
    plan->done--;
    want(plan, part);
    return plan->blame[part] - 1;
}

bool fetch_plan_is_late(const struct fetch_plan *plan, uint8_t peer, uint64_t now_us)
{
    const struct fetch_peer *p = &plan->peers[peer];
    return p->asked > 0 && now_us - p->progress_us >= plan->progress_limit_us;
}

bool fetch_plan_strike(struct fetch_plan *plan, uint8_t peer, unsigned strikes, uint64_t now_us)
{
    struct fetch_peer *p = &plan->peers[peer];
    p->strikes = (uint8_t)(p->strikes + strikes);
    p->good = 0;
    p->on_probation = true;
    p->trial_us = now_us + pause_us(p->strikes);
    return p->strikes >= FETCH_STRIKES_MAX;
}

void fetch_plan_busy(struct fetch_plan *plan, uint8_t peer, uint64_t hint_us, uint64_t now_us)
{
    struct fetch_peer *p = &plan->peers[peer];
    /* A hint of next to nothing, given for ever, would keep us asking. */
    uint64_t least = (uint64_t)BUSY_LEAST_US << p->busy_count;
    uint64_t wait = hint_us == 0 ? PAUSE_US : hint_us;
    if (wait < least) wait = least;
    if (wait > BUSY_MAX_US) wait = BUSY_MAX_US;
    if (now_us + wait > p->busy_until_us) p->busy_until_us = now_us + wait;
    if (least < BUSY_MAX_US) p->busy_count++;
}

/* How long nothing may come before others are asked. */
static uint64_t quiet_after_us(const struct fetch_peer *p, const struct view *v)
{
    uint64_t least = p->has_answered ? QUIET_LEAST_US : QUIET_FIRST_US;
    uint64_t rounds = QUIET_ROUNDS * p->rtt_us;
    uint64_t pieces = v->fastest == 0 ? 0 : QUIET_KIBS * KIB * SECOND_US / v->fastest;
    if (rounds > least) least = rounds;
    return pieces > least ? pieces : least;
}

void fetch_plan_look(struct fetch_plan *plan, uint64_t now_us)
{
    struct view v = view_of(plan, now_us);
    for (unsigned i = 0; i < FETCH_PEERS_MAX; i++) {
        struct fetch_peer *p = &plan->peers[i];
        if (p->asked == 0) continue;
        measure(p, now_us);
        if (now_us - p->heard_us >= quiet_after_us(p, &v)) p->is_quiet = true;
    }
}

static void sooner(uint64_t *when, uint64_t other, uint64_t now_us)
{
    if (other > now_us && other < *when) *when = other;
}

uint64_t fetch_plan_deadline(const struct fetch_plan *plan, uint64_t now_us)
{
    struct view v = view_of(plan, now_us);
    uint64_t when = UINT64_MAX;
    bool is_end = plan->wanted == 0 && v.able > 1;
    for (unsigned i = 0; i < FETCH_PEERS_MAX; i++) {
        const struct fetch_peer *p = &plan->peers[i];
        if (!is_present(p)) continue;
        if (p->asked > 0) {
            if (is_end) sooner(&when, now_us + END_LOOK_US, now_us);
            sooner(&when, p->progress_us + plan->progress_limit_us, now_us);
            if (!p->is_quiet) sooner(&when, p->heard_us + quiet_after_us(p, &v), now_us);
        }
        sooner(&when, p->busy_until_us, now_us);
        if (p->on_probation) sooner(&when, p->trial_us, now_us);
    }
    return when;
}
