/* SPDX-License-Identifier: MIT */
#ifndef WEIR_SIM_LINK_H
#define WEIR_SIM_LINK_H
#include "sim/rule.h"
#include <stdbool.h>

/* One direction between two nodes: what happens to each datagram that is sent on it. */

/** What became of a datagram. The numbers are part of the trace hash. */
enum verdict {
    VERDICT_DELIVERED = 1,
    VERDICT_LOST_PATTERN = 2,  /**< by the drop pattern */
    VERDICT_LOST_BLACKHOLE = 3,
    VERDICT_LOST_BURST = 4,
    VERDICT_LOST_RANDOM = 5,
    VERDICT_LOST_QUEUE = 6,    /**< tail drop at the bottleneck, or too much in flight */
    VERDICT_NO_ROUTE = 7,      /**< nobody has the address, or not any more */
    VERDICT_NO_MEMORY = 8,     /**< the simulator's own */
    VERDICT_LOST_SIZE = 9,     /**< longer than the link carries */
    VERDICT_COUNT
};
struct binding;

struct link {
    uint32_t pair[2];          /**< from, to */
    const struct rule *rule;
    uint64_t rules_version;    /**< of the rules when rule was looked up */
    uint64_t rule_sequence;    /**< of the rule when it was adopted */
    uint64_t count;            /**< datagrams sent so far: names the draws of the next one */
    uint64_t pattern_first;    /**< count when the rule was adopted: bit 0 of its drop pattern */
    struct bottleneck own;     /**< used unless the rule names one that links share */
    uint64_t arrival_last_us;  /**< nothing that is not held back arrives before this */
    uint64_t flight_bytes;     /**< in flight now */
    uint32_t lost_in_row;      /**< by faults, up to the last datagram */
    uint32_t burst_left;       /**< datagrams that the burst under way still takes */
    struct binding *bindings;  /**< how the receiver sees the sender's addresses */
};

/** What happens to one datagram. */
struct link_fate {
    enum verdict verdict;      /**< VERDICT_DELIVERED: it is on its way */
    uint64_t index;            /**< the datagram's number on its link, for link_corrupt */
    uint64_t arrival_us;
    bool is_duplicated;
    uint64_t copy_arrival_us;  /**< when duplicated */
    bool is_replayed;
    uint64_t replay_arrival_us; /**< when replayed */
    bool is_marked;            /**< the queue was longer than the rule's threshold for marks */
};
/** Adopt the rule that holds now. Cheap when no rule has changed. */
void link_refresh(struct link *link, const struct rules *rules);
/** Decide the fate of a datagram of len bytes that is sent now, and count it. The rule must be
 *  fresh. */
void link_pass(struct link *link, uint64_t seed, size_t len, uint64_t now_us,
               struct link_fate *fate);
/** The same on a link that delivers everything in order: losses become delay, the queue has no
 *  end. */
void link_pass_reliably(struct link *link, uint64_t seed, size_t len, uint64_t now_us,
                        struct link_fate *fate);
/** The ECN bits of a datagram behind the link. */
uint8_t link_ecn(const struct link *link, const struct link_fate *fate, uint8_t ecn);
/** Change bytes of a datagram, if that is drawn for it. Each changed byte differs from the
 *  original.
 *  @param copy  0 the datagram, 1 its duplicate
 *  @param data  a copy of original, len bytes
 *  @return      whether it was changed */
bool link_corrupt(const struct link *link, uint64_t seed, uint64_t index, unsigned copy,
                  const uint8_t *original, uint8_t *data, size_t len);
#endif
