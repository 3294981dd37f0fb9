/* SPDX-License-Identifier: MIT */
#ifndef WEIR_SIM_RULE_H
#define WEIR_SIM_RULE_H
#include "base/map.h"
#include "weir.h"

/* How datagrams travel from one node to another: weir_link_options, checked and completed. */

enum { RULE_NODES_MAX = (1 << 24) - 2 }; /**< nodes are 1 to this: 10.0.0.0/8 has no more */

/** What a link can do beyond weir_link_options. All 0: nothing of it. */
struct rule_extra {
    uint32_t replay_ppm;       /**< chance that a datagram that passed comes once more, later */
    uint32_t bottleneck;       /**< not 0: links whose rules have this number share one queue, as
                                    several hosts behind one line; both directions too, when one
                                    call set them */
    uint64_t replay_us;        /**< the replay is 1 us to this much later than the original */
    uint64_t mark_bytes;       /**< a datagram that finds more than this in the queue and is
                                    ECN-capable is marked CE; 0: none is */
    uint32_t payload_max_bytes; /**< a longer UDP payload is lost without a word; 0: none is */
    uint32_t ecn_bleach;       /**< 1: the ECN bits are cleared on the way */
};

/** What waits before a line of limited bandwidth, as a time. */
struct bottleneck {
    uint32_t number;           /**< of one that links share; 0: a link's own */
    uint64_t busy_until_us;    /**< when all that waits has been sent */
    uint64_t busy_rest;        /**< the part of a microsecond behind that, in bits * 10^6 */
};

struct rule {
    uint32_t pair[2];          /**< from, to; 0: all nodes */
    uint64_t sequence;         /**< the greatest of those that fit is used; 0: not set */
    uint64_t delay_us, jitter_us;
    uint64_t bandwidth_bps;    /**< 0: no limit */
    uint64_t queue_bytes;
    uint64_t reorder_us, drop_pattern;
    uint64_t blackhole_start_us, blackhole_end_us;
    uint64_t rebind_every_us;  /**< 0: never */
    uint32_t loss_ppm, loss_burst_max, burst_ppm, burst_length;
    uint32_t duplicate_ppm, reorder_ppm, corrupt_ppm, corrupt_bytes_max;
    struct rule_extra extra;
    struct bottleneck *shared; /**< the queue of extra.bottleneck; NULL: each link has its own */
};

/** The rules of a world: at most one per direction of a pair, replaced in place. A rule's
 *  address stays valid until rules_free. */
struct rules {
    const struct mem *mem;
    struct map by_pair;
    struct map bottlenecks;    /**< those that rules named, by number */
    uint64_t version;          /**< counts changes: a rule kept elsewhere is then looked up anew */
    struct rule standard;      /**< what holds where no rule was set */
};
/** @param hash_key  16 bytes, outlives the rules */
void rules_init(struct rules *rules, const struct mem *mem, const uint8_t *hash_key);
void rules_free(struct rules *rules);
/** Set how datagrams travel between a and b, in both directions unless options->one_way.
 *  @param options  complete: size is not looked at
 *  @return 0; WEIR_E_MEMORY, then nothing changed; WEIR_E_ARGUMENT a setting is out of range: a
 *          chance over 1,000,000 ppm, a time over 2^40 us, a bandwidth over 10^12, a queue over
 *          2^40, a blackhole that ends before it starts */
int rules_set(struct rules *rules, uint32_t a, uint32_t b, const weir_link_options *options);
/** The same with more faults. extra NULL: none. Rules that share a bottleneck should name the same
 *  bandwidth and queue: each datagram is held against those of its own rule.
 *  @return as rules_set; WEIR_E_ARGUMENT also for extra settings out of these ranges */
int rules_set_extra(struct rules *rules, uint32_t a, uint32_t b, const weir_link_options *options,
                    const struct rule_extra *extra);
/** The newest rule that fits; never NULL. */
const struct rule *rules_find(const struct rules *rules, uint32_t from, uint32_t to);
#endif
