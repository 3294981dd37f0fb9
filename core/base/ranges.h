/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BASE_RANGES_H
#define WEIR_BASE_RANGES_H
#include "base/budget.h"
#include "base/mem.h"
#include <stdbool.h>
/** A bounded set of half-open ranges of 64-bit numbers, sorted, never touching: packet numbers
 *  received, bytes acknowledged, bytes lost, bytes that arrived out of order.
 *
 *  count_max bounds what a remote can make us keep (a byte in every second place: quinn's
 *  CVE-2026-25800). Look-ups are binary searches; an insert moves at most count_max ranges. */
struct range {
    uint64_t start, end;       /**< end is one past the last */
};
struct ranges {
    struct range *items;       /**< ascending */
    uint32_t count, capacity, count_max;
    struct budget *budget;     /**< charged for the items; NULL: nobody */
};
void ranges_init(struct ranges *set, uint32_t count_max);
/** Charge the items to a budget from now on; the set must be empty (asserted). */
void ranges_set_budget(struct ranges *set, struct budget *budget);
void ranges_free(struct ranges *set, const struct mem *mem);
/** Add [start, end), start < end. @return 0, WEIR_E_BUDGET (unchanged), WEIR_E_LIMIT (would exceed
 *  count_max; unchanged) or WEIR_E_MEMORY (unchanged) */
int ranges_add(struct ranges *set, uint64_t start, uint64_t end, const struct mem *mem);
/** Have room for so many ranges, at most count_max. @return 0, WEIR_E_BUDGET or WEIR_E_MEMORY
 *  (unchanged) */
int ranges_reserve(struct ranges *set, uint32_t capacity, const struct mem *mem);
/** Give back the room that is not used. Never fails. */
void ranges_trim(struct ranges *set, const struct mem *mem);
/** Take [start, end) out. May split one range. @return as ranges_add */
int ranges_remove(struct ranges *set, uint64_t start, uint64_t end, const struct mem *mem);
/** Drop everything below n (a range that straddles is cut). Never fails. */
void ranges_drop_below(struct ranges *set, uint64_t n);
/** Drop the lowest range. */
void ranges_drop_first(struct ranges *set);
bool ranges_contains(const struct ranges *set, uint64_t n);
/** Whether [start, end) is wholly inside. */
bool ranges_covers(const struct ranges *set, uint64_t start, uint64_t end);
/** The range that holds n, or the next one above it; NULL if none. */
const struct range *ranges_at_or_above(const struct ranges *set, uint64_t n);
/** Sum of lengths. */
uint64_t ranges_total(const struct ranges *set);
/** Forget all, keep nothing allocated. */
void ranges_clear(struct ranges *set, const struct mem *mem);
#endif
