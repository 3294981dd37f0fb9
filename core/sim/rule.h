/* SPDX-License-Identifier: MIT */
#ifndef WEIR_SIM_RULE_H
#define WEIR_SIM_RULE_H
#include "base/map.h"
#include "weir.h"

/* How datagrams travel from one node to another: weir_link_options, checked and completed. */

enum { RULE_NODES_MAX = (1 << 24) - 2 }; /**< nodes are 1 to this: 10.0.0.0/8 has no more */

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
};

/** The rules of a world: at most one per direction of a pair, replaced in place. A rule's
 *  address stays valid until rules_free. */
struct rules {
    const struct mem *mem;
    struct map by_pair;
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
/** The newest rule that fits; never NULL. */
const struct rule *rules_find(const struct rules *rules, uint32_t from, uint32_t to);
#endif
