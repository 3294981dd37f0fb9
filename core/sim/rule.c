/* SPDX-License-Identifier: MIT */
/* A rule stands under its pair (from, to), where 0 means all nodes. So a datagram has at most
 * four rules that fit, found by four look-ups however many rules there are, and setting a pair
 * again and again takes no memory. */
#include "sim/rule.h"
#include <string.h>

enum {
    RULE_DELAY_US = 10000,
    RULE_QUEUE_BYTES_MIN = 65536 /**< one full UDP datagram always fits */
};
#define RULE_TIME_MAX (UINT64_C(1) << 40) /* 12 days: sums of a few such times cannot overflow */
#define RULE_QUEUE_BYTES_MAX (UINT64_C(1) << 40)
#define RULE_BANDWIDTH_MAX UINT64_C(1000000000000)

static const void *rule_key(const void *value, size_t *len)
{
    const struct rule *rule = value;

    *len = sizeof rule->pair;
    return rule->pair;
}

static const void *bottleneck_key(const void *value, size_t *len)
{
    const struct bottleneck *bottleneck = value;

    *len = sizeof bottleneck->number;
    return &bottleneck->number;
}

void rules_init(struct rules *rules, const struct mem *mem, const uint8_t *hash_key)
{
    memset(rules, 0, sizeof *rules);
    rules->mem = mem;
    rules->version = 1;
    rules->standard.delay_us = RULE_DELAY_US;
    rules->standard.queue_bytes = RULE_QUEUE_BYTES_MIN;
    map_init(&rules->by_pair, mem, hash_key, rule_key);
    map_init(&rules->bottlenecks, mem, hash_key, bottleneck_key);
}

void rules_free(struct rules *rules)
{
    struct bottleneck *bottleneck;
    uint32_t cursor = 0;
    struct rule *rule;

    while ((bottleneck = map_next(&rules->bottlenecks, &cursor)) != NULL) {
        mem_free(rules->mem, bottleneck, sizeof *bottleneck);
    }
    map_free(&rules->bottlenecks);
    cursor = 0;
    while ((rule = map_next(&rules->by_pair, &cursor)) != NULL) {
        mem_free(rules->mem, rule, sizeof *rule);
    }
    map_free(&rules->by_pair);
}

static bool is_sane(const weir_link_options *o)
{
    const uint32_t chances[] = {o->loss_ppm, o->burst_ppm, o->duplicate_ppm, o->reorder_ppm,
                                o->corrupt_ppm};
    const uint64_t times[] = {o->delay_us_plus1, o->jitter_us, o->reorder_us, o->rebind_every_us};
    size_t i;

    for (i = 0; i < sizeof chances / sizeof chances[0]; i++) {
        if (chances[i] > 1000000) return false;
    }
    for (i = 0; i < sizeof times / sizeof times[0]; i++) {
        if (times[i] > RULE_TIME_MAX) return false;
    }
    return o->bandwidth_bps <= RULE_BANDWIDTH_MAX && o->queue_bytes <= RULE_QUEUE_BYTES_MAX &&
           o->blackhole_start_us <= o->blackhole_end_us;
}

static bool is_sane_extra(const struct rule_extra *x)
{
    return x->replay_ppm <= 1000000 && x->replay_us <= RULE_TIME_MAX && x->ecn_bleach <= 1 &&
           x->mark_bytes <= RULE_QUEUE_BYTES_MAX;
}

/* One bandwidth-delay product of a round trip, taken in ms and bytes per ms: the product stays
 * below 2^64. */
static uint64_t queue_default(uint64_t bandwidth_bps, uint64_t delay_us)
{
    uint64_t bytes = bandwidth_bps / 8000 * (2 * delay_us / 1000);

    if (bytes < RULE_QUEUE_BYTES_MIN) return RULE_QUEUE_BYTES_MIN;
    return bytes < RULE_QUEUE_BYTES_MAX ? bytes : RULE_QUEUE_BYTES_MAX;
}

static struct rule *rule_get(struct rules *rules, uint32_t from, uint32_t to)
{
    uint32_t pair[2] = {from, to};
    struct rule *rule = map_get(&rules->by_pair, pair, sizeof pair);

    if (rule != NULL) return rule;
    rule = mem_alloc(rules->mem, sizeof *rule);
    if (rule == NULL) return NULL;
    rule->pair[0] = from;
    rule->pair[1] = to;
    if (map_add(&rules->by_pair, rule)) return rule;
    mem_free(rules->mem, rule, sizeof *rule);
    return NULL;
}

/* @return 0 and *shared, NULL for number 0; WEIR_E_MEMORY */
static int bottleneck_get(struct rules *rules, uint32_t number, struct bottleneck **shared)
{
    struct bottleneck *added;

    *shared = NULL;
    if (number == 0) return 0;
    *shared = map_get(&rules->bottlenecks, &number, sizeof number);
    if (*shared != NULL) return 0;
    added = mem_alloc(rules->mem, sizeof *added);
    if (added == NULL) return WEIR_E_MEMORY;
    added->number = number;
    if (!map_add(&rules->bottlenecks, added)) {
        mem_free(rules->mem, added, sizeof *added);
        return WEIR_E_MEMORY;
    }
    *shared = added;
    return 0;
}

static void rule_write(struct rule *rule, uint64_t sequence, const weir_link_options *o,
                       const struct rule_extra *extra, struct bottleneck *shared)
{
    rule->sequence = sequence;
    rule->extra = *extra;
    rule->shared = shared;
    rule->delay_us = o->delay_us_plus1 > 0 ? o->delay_us_plus1 - 1 : RULE_DELAY_US;
    rule->jitter_us = o->jitter_us;
    rule->bandwidth_bps = o->bandwidth_bps;
    rule->queue_bytes =
        o->queue_bytes > 0 ? o->queue_bytes : queue_default(o->bandwidth_bps, rule->delay_us);
    rule->reorder_us = o->reorder_us;
    rule->drop_pattern = o->drop_pattern;
    rule->blackhole_start_us = o->blackhole_start_us;
    rule->blackhole_end_us = o->blackhole_end_us;
    rule->rebind_every_us = o->rebind_every_us;
    rule->loss_ppm = o->loss_ppm;
    rule->loss_burst_max = o->loss_burst_max;
    rule->burst_ppm = o->burst_ppm;
    rule->burst_length = o->burst_length > 0 ? o->burst_length : 1;
    rule->duplicate_ppm = o->duplicate_ppm;
    rule->reorder_ppm = o->reorder_ppm;
    rule->corrupt_ppm = o->corrupt_ppm;
    rule->corrupt_bytes_max = o->corrupt_bytes_max > 0 ? o->corrupt_bytes_max : 1;
}

int rules_set_extra(struct rules *rules, uint32_t a, uint32_t b, const weir_link_options *options,
                    const struct rule_extra *extra)
{
    static const struct rule_extra none;
    struct bottleneck *shared;
    struct rule *there, *back = NULL;

    if (extra == NULL) extra = &none;
    if (!is_sane(options) || !is_sane_extra(extra)) return WEIR_E_ARGUMENT;
    if (bottleneck_get(rules, extra->bottleneck, &shared) != 0) return WEIR_E_MEMORY;
    /* A rule that was made but not written has sequence 0 and fits nowhere. */
    there = rule_get(rules, a, b);
    if (there == NULL) return WEIR_E_MEMORY;
    if (!options->one_way && a != b) {
        back = rule_get(rules, b, a);
        if (back == NULL) return WEIR_E_MEMORY;
    }
    rules->version++;
    rule_write(there, rules->version, options, extra, shared);
    if (back != NULL) rule_write(back, rules->version, options, extra, shared);
    return 0;
}

int rules_set(struct rules *rules, uint32_t a, uint32_t b, const weir_link_options *options)
{
    return rules_set_extra(rules, a, b, options, NULL);
}

const struct rule *rules_find(const struct rules *rules, uint32_t from, uint32_t to)
{
    const uint32_t pairs[4][2] = {{from, to}, {from, 0}, {0, to}, {0, 0}};
    const struct rule *best = &rules->standard;
    size_t i;

    for (i = 0; i < 4; i++) {
        const struct rule *rule = map_get(&rules->by_pair, pairs[i], sizeof pairs[i]);

        if (rule != NULL && rule->sequence > best->sequence) best = rule;
    }
    return best;
}
