/* SPDX-License-Identifier: MIT */
#include "base/ranges.h"
#include "base/assert.h"
#include "weir.h"
#include <string.h>

enum { RANGES_CAPACITY_FIRST = 4 };

void ranges_init(struct ranges *set, uint32_t count_max)
{
    memset(set, 0, sizeof *set);
    set->count_max = count_max;
}

void ranges_set_budget(struct ranges *set, struct budget *budget)
{
    WEIR_ASSERT(set->capacity == 0);
    set->budget = budget;
}

void ranges_clear(struct ranges *set, const struct mem *mem)
{
    budget_refund(set->budget, set->capacity * sizeof *set->items);
    mem_free(mem, set->items, set->capacity * sizeof *set->items);
    set->items = NULL;
    set->count = set->capacity = 0;
}

void ranges_free(struct ranges *set, const struct mem *mem)
{
    ranges_clear(set, mem);
}

int ranges_reserve(struct ranges *set, uint32_t capacity, const struct mem *mem)
{
    if (capacity > set->count_max) capacity = set->count_max;
    if (capacity <= set->capacity) return 0;
    uint64_t growth = (capacity - set->capacity) * sizeof *set->items;
    if (!budget_charge(set->budget, growth, NULL)) return WEIR_E_BUDGET;
    struct range *items =
        mem_resize(mem, set->items, set->capacity * sizeof *items, capacity * sizeof *items);
    if (items == NULL) {
        budget_refund(set->budget, growth);
        return WEIR_E_MEMORY;
    }
    set->items = items;
    set->capacity = capacity;
    return 0;
}

void ranges_trim(struct ranges *set, const struct mem *mem)
{
    if (set->capacity == set->count) return;
    if (set->count == 0) {
        ranges_clear(set, mem);
        return;
    }
    struct range *items =
        mem_resize(mem, set->items, set->capacity * sizeof *items, set->count * sizeof *items);
    if (items == NULL) return; /* then it stays as it is */
    budget_refund(set->budget, (set->capacity - set->count) * sizeof *items);
    set->items = items;
    set->capacity = set->count;
}

/* The first range whose end is n or more; count if none. */
static uint32_t first_ending_from(const struct ranges *set, uint64_t n)
{
    uint32_t low = 0, high = set->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (set->items[middle].end < n) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The first range whose end is more than n: the one that holds n or the next one above; count if
 * none. */
static uint32_t first_ending_after(const struct ranges *set, uint64_t n)
{
    uint32_t i = first_ending_from(set, n);

    return i < set->count && set->items[i].end == n ? i + 1 : i;
}

/* The first range from index i on whose start is more than n; binary, as a remote chooses how
 * many there are. */
static uint32_t first_starting_after(const struct ranges *set, uint32_t i, uint64_t n)
{
    uint32_t high = set->count;

    while (i < high) {
        uint32_t middle = i + (high - i) / 2;

        if (set->items[middle].start <= n) {
            i = middle + 1;
        } else {
            high = middle;
        }
    }
    return i;
}

static void delete_between(struct ranges *set, uint32_t from, uint32_t to)
{
    if (from == to) return;
    memmove(set->items + from, set->items + to, (set->count - to) * sizeof *set->items);
    set->count -= to - from;
}

static int insert_at(struct ranges *set, uint32_t i, struct range range, const struct mem *mem)
{
    if (set->count >= set->count_max) return WEIR_E_LIMIT;
    if (set->count == set->capacity) {
        uint32_t growth = set->capacity == 0 ? RANGES_CAPACITY_FIRST : set->capacity;
        int error = ranges_reserve(set, set->capacity + growth, mem);

        if (error != 0) return error;
    }
    memmove(set->items + i + 1, set->items + i, (set->count - i) * sizeof *set->items);
    set->items[i] = range;
    set->count++;
    return 0;
}

int ranges_add(struct ranges *set, uint64_t start, uint64_t end, const struct mem *mem)
{
    uint32_t from, to;

    WEIR_ASSERT(start < end);
    /* Those that overlap or touch become one with the new range. */
    from = first_ending_from(set, start);
    to = first_starting_after(set, from, end);
    if (from == to) return insert_at(set, from, (struct range){start, end}, mem);
    if (set->items[from].start < start) start = set->items[from].start;
    if (set->items[to - 1].end > end) end = set->items[to - 1].end;
    set->items[from] = (struct range){start, end};
    delete_between(set, from + 1, to);
    return 0;
}

int ranges_remove(struct ranges *set, uint64_t start, uint64_t end, const struct mem *mem)
{
    uint32_t from, to;

    WEIR_ASSERT(start < end);
    from = first_ending_after(set, start);
    to = first_starting_after(set, from, end - 1);
    if (from == to) return 0;
    if (to - from == 1 && set->items[from].start < start && set->items[from].end > end) {
        uint64_t old_end = set->items[from].end;
        int status = insert_at(set, from + 1, (struct range){end, old_end}, mem);

        if (status == 0) set->items[from].end = start;
        return status;
    }
    if (set->items[from].start < start) set->items[from++].end = start;
    if (from < to && set->items[to - 1].end > end) set->items[--to].start = end;
    delete_between(set, from, to);
    return 0;
}

void ranges_drop_below(struct ranges *set, uint64_t n)
{
    delete_between(set, 0, first_ending_after(set, n));
    if (set->count > 0 && set->items[0].start < n) set->items[0].start = n;
}

void ranges_drop_first(struct ranges *set)
{
    if (set->count > 0) delete_between(set, 0, 1);
}

const struct range *ranges_at_or_above(const struct ranges *set, uint64_t n)
{
    uint32_t i = first_ending_after(set, n);

    return i < set->count ? &set->items[i] : NULL;
}

bool ranges_contains(const struct ranges *set, uint64_t n)
{
    const struct range *range = ranges_at_or_above(set, n);

    return range != NULL && range->start <= n;
}

bool ranges_covers(const struct ranges *set, uint64_t start, uint64_t end)
{
    const struct range *range;

    if (start >= end) return true;
    range = ranges_at_or_above(set, start);
    return range != NULL && range->start <= start && range->end >= end;
}

uint64_t ranges_total(const struct ranges *set)
{
    uint64_t total = 0;
    uint32_t i;

    for (i = 0; i < set->count; i++) total += set->items[i].end - set->items[i].start;
    return total;
}
