/* SPDX-License-Identifier: MIT */
/* The fate of a datagram.
 *
 * It first waits at the bottleneck, the sender's uplink or one that links share: a queue in bytes
 * with tail drop, which may mark what finds it long (RFC 3168). Then come the faults of the way: a
 * lost datagram has used the bottleneck like any other. Then delay and jitter. A replay is a copy
 * that somebody kept: it comes when it comes and delays nobody.
 *
 * The draws for the i-th datagram of a link come from streams that are named by (seed, purpose,
 * link, i). So a draw depends on nothing that was drawn before: with other loss the i-th
 * datagram still has the same jitter, a link that is added shifts no other, and a setting that
 * is off costs nothing. Order is first in, first out; only a datagram that is held back on
 * purpose is overtaken. */
#include "sim/link.h"
#include "base/assert.h"
#include "base/hash.h"
#include "base/rng.h"

enum {
    LINK_FLIGHT_BYTES_MAX = 64 << 20, /**< a sender that nothing slows cannot take all memory */
    LINK_TRIES_MAX = 64               /**< a reliable link that loses everything still ends */
};

static void draw(struct rng *rng, const struct link *link, uint64_t seed, const char *purpose,
                 uint64_t index)
{
    uint64_t pair = (uint64_t)link->pair[0] << 32 | link->pair[1];

    rng_init(rng, seed, purpose, hash_mix(pair, index));
}

static bool draw_chance(const struct link *link, uint64_t seed, const char *purpose, uint64_t index,
                        uint32_t ppm)
{
    struct rng rng;

    if (ppm == 0) return false;
    draw(&rng, link, seed, purpose, index);
    return rng_chance_ppm(&rng, ppm);
}

static uint64_t draw_jitter(const struct link *link, uint64_t seed, const char *purpose,
                            uint64_t index)
{
    struct rng rng;

    if (link->rule->jitter_us == 0) return 0;
    draw(&rng, link, seed, purpose, index);
    return rng_below(&rng, link->rule->jitter_us + 1);
}

void link_refresh(struct link *link, const struct rules *rules)
{
    if (link->rules_version == rules->version) return;
    link->rules_version = rules->version;
    link->rule = rules_find(rules, link->pair[0], link->pair[1]);
    if (link->rule->sequence == link->rule_sequence) return;
    link->rule_sequence = link->rule->sequence;
    link->pattern_first = link->count;
    link->burst_left = 0;
}

static const struct bottleneck *queue_of(const struct link *link)
{
    return link->rule->shared != NULL ? link->rule->shared : &link->own;
}

/* Bytes that the bottleneck has not sent yet. The time that they take is at most queue /
 * bandwidth, so the product is about queue * 8 * 10^6, below 2^63. */
static uint64_t backlog_bytes(const struct link *link, uint64_t now_us)
{
    uint64_t busy_until_us = queue_of(link)->busy_until_us;

    if (link->rule->bandwidth_bps == 0 || busy_until_us <= now_us) return 0;
    if (busy_until_us - now_us > UINT64_MAX / link->rule->bandwidth_bps) return UINT64_MAX / 2;
    return (busy_until_us - now_us) * link->rule->bandwidth_bps / 8000000;
}

static bool queue_has_room(const struct link *link, size_t len, uint64_t now_us)
{
    uint64_t backlog = backlog_bytes(link, now_us);

    if (link->flight_bytes + len > LINK_FLIGHT_BYTES_MAX) return false;
    /* A datagram larger than the whole queue passes when nothing is before it. */
    return backlog == 0 || backlog + len <= link->rule->queue_bytes;
}

/* When the last bit has left the bottleneck. The rest keeps parts of a microsecond, so that the
 * rate is exact. */
static uint64_t departure(struct link *link, size_t len, uint64_t now_us)
{
    struct bottleneck *queue = link->rule->shared != NULL ? link->rule->shared : &link->own;
    uint64_t bits;

    if (link->rule->bandwidth_bps == 0) return now_us;
    if (queue->busy_until_us < now_us) {
        queue->busy_until_us = now_us;
        queue->busy_rest = 0;
    }
    bits = (uint64_t)len * 8 * 1000000 + queue->busy_rest;
    queue->busy_until_us += bits / link->rule->bandwidth_bps;
    queue->busy_rest = bits % link->rule->bandwidth_bps;
    return queue->busy_until_us;
}

/* The fault that takes this datagram, or VERDICT_DELIVERED. */
static enum verdict fault(struct link *link, uint64_t seed, uint64_t index, uint64_t now_us)
{
    const struct rule *rule = link->rule;
    uint64_t nth = index - link->pattern_first;

    if (now_us >= rule->blackhole_start_us && now_us < rule->blackhole_end_us)
        return VERDICT_LOST_BLACKHOLE;
    if (nth < 64 && (rule->drop_pattern >> nth & 1) != 0) return VERDICT_LOST_PATTERN;
    if (link->burst_left == 0 && draw_chance(link, seed, "burst", index, rule->burst_ppm)) {
        link->burst_left = rule->burst_length;
    }
    if (link->burst_left > 0) {
        link->burst_left--;
        return VERDICT_LOST_BURST;
    }
    if (rule->loss_burst_max > 0 && link->lost_in_row >= rule->loss_burst_max)
        return VERDICT_DELIVERED;
    return draw_chance(link, seed, "loss", index, rule->loss_ppm) ? VERDICT_LOST_RANDOM
                                                                  : VERDICT_DELIVERED;
}

static uint64_t arrive_in_order(struct link *link, uint64_t arrival_us)
{
    if (arrival_us > link->arrival_last_us) link->arrival_last_us = arrival_us;
    return link->arrival_last_us;
}

void link_pass(struct link *link, uint64_t seed, size_t len, uint64_t now_us,
               struct link_fate *fate)
{
    const struct rule *rule = link->rule;
    struct rng rng;
    uint64_t way_us;

    WEIR_ASSERT(rule != NULL);
    *fate = (struct link_fate){.index = link->count++};
    if (rule->extra.payload_max_bytes > 0 && len > rule->extra.payload_max_bytes) {
        fate->verdict = VERDICT_LOST_SIZE;
        return;
    }
    if (!queue_has_room(link, len, now_us)) {
        fate->verdict = VERDICT_LOST_QUEUE;
        return;
    }
    fate->is_marked =
        rule->extra.mark_bytes > 0 && backlog_bytes(link, now_us) > rule->extra.mark_bytes;
    way_us = departure(link, len, now_us) + rule->delay_us;
    fate->verdict = fault(link, seed, fate->index, now_us);
    if (fate->verdict != VERDICT_DELIVERED) {
        if (link->lost_in_row < UINT32_MAX) link->lost_in_row++;
        return;
    }
    link->lost_in_row = 0;
    fate->arrival_us = way_us + draw_jitter(link, seed, "jitter", fate->index);
    if (draw_chance(link, seed, "reorder", fate->index, rule->reorder_ppm)) {
        /* Held back: those behind it pass, as if it were not there. */
        if (fate->arrival_us < link->arrival_last_us) fate->arrival_us = link->arrival_last_us;
        fate->arrival_us += rule->reorder_us;
    } else {
        fate->arrival_us = arrive_in_order(link, fate->arrival_us);
    }
    fate->is_duplicated = draw_chance(link, seed, "duplicate", fate->index, rule->duplicate_ppm);
    if (fate->is_duplicated) {
        way_us += draw_jitter(link, seed, "duplicate jitter", fate->index);
        fate->copy_arrival_us = arrive_in_order(link, way_us);
    }
    fate->is_replayed = draw_chance(link, seed, "replay", fate->index, rule->extra.replay_ppm);
    if (fate->is_replayed) {
        draw(&rng, link, seed, "replay time", fate->index);
        fate->replay_arrival_us =
            fate->arrival_us + 1 +
            (rule->extra.replay_us > 1 ? rng_below(&rng, rule->extra.replay_us) : 0);
    }
}

uint8_t link_ecn(const struct link *link, const struct link_fate *fate, uint8_t ecn)
{
    enum { NOT_CAPABLE = 0, CONGESTION_EXPERIENCED = 3 }; /* RFC 3168, section 5 */

    if (link->rule->extra.ecn_bleach || ecn == NOT_CAPABLE) return NOT_CAPABLE;
    return fate->is_marked ? CONGESTION_EXPERIENCED : ecn;
}

/* How often a datagram is lost before it gets through: the first try as in link_pass, the
 * others by loss_ppm. */
static uint64_t tries_lost(struct link *link, uint64_t seed, uint64_t index, uint64_t now_us)
{
    enum verdict verdict = fault(link, seed, index, now_us);
    uint32_t max = link->rule->loss_burst_max;
    struct rng rng;
    uint64_t tries;

    if (verdict == VERDICT_DELIVERED || verdict == VERDICT_LOST_BLACKHOLE) return 0;
    if (link->rule->loss_ppm == 0) return 1;
    if (max == 0 || max > LINK_TRIES_MAX) max = LINK_TRIES_MAX;
    draw(&rng, link, seed, "loss again", index);
    for (tries = 1; tries < max && rng_chance_ppm(&rng, link->rule->loss_ppm); tries++) continue;
    return tries;
}

void link_pass_reliably(struct link *link, uint64_t seed, size_t len, uint64_t now_us,
                        struct link_fate *fate)
{
    const struct rule *rule = link->rule;
    uint64_t way_us;

    WEIR_ASSERT(rule != NULL);
    *fate = (struct link_fate){.verdict = VERDICT_DELIVERED, .index = link->count++};
    way_us = departure(link, len, now_us);
    /* The end of a blackhole lets go what waited; a loss is noticed and mended after a round
     * trip. */
    if (now_us >= rule->blackhole_start_us && way_us < rule->blackhole_end_us)
        way_us = rule->blackhole_end_us;
    way_us += rule->delay_us + tries_lost(link, seed, fate->index, now_us) * 2 * rule->delay_us;
    fate->arrival_us =
        arrive_in_order(link, way_us + draw_jitter(link, seed, "jitter", fate->index));
}

bool link_corrupt(const struct link *link, uint64_t seed, uint64_t index, unsigned copy,
                  const uint8_t *original, uint8_t *data, size_t len)
{
    struct rng rng;
    uint64_t max = link->rule->corrupt_bytes_max, count;

    if (len == 0 || link->rule->corrupt_ppm == 0) return false;
    draw(&rng, link, seed, copy == 0 ? "corrupt" : "corrupt duplicate", index);
    if (!rng_chance_ppm(&rng, link->rule->corrupt_ppm)) return false;
    for (count = 1 + rng_below(&rng, max < len ? max : len); count > 0; count--) {
        size_t at = (size_t)rng_below(&rng, len);

        /* From the original: a place that is drawn twice must not become right again. */
        data[at] = (uint8_t)(original[at] ^ (1 + rng_below(&rng, 255)));
    }
    return true;
}
