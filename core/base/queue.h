/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BASE_QUEUE_H
#define WEIR_BASE_QUEUE_H
#include "base/budget.h"
#include "base/mem.h"
/** The one bounded queue: fixed-size items, a declared overflow policy, a budget, counters.
 *
 *  There is no queue without a policy: full means blocked, newest dropped, oldest
 *  dropped or merged, and each is counted. */
enum queue_policy { QUEUE_BLOCK = 1, QUEUE_DROP_NEW, QUEUE_DROP_OLD, QUEUE_MERGE };
struct queue {
    const struct mem *mem;
    struct budget *budget;     /**< charged for the slots that are allocated; NULL: none */
    uint8_t *items;
    uint32_t item_size, capacity, count, first, count_max;
    enum queue_policy policy;
    /** QUEUE_MERGE: fold `item` into one that is queued and say true, or say false (then it is
     *  appended, or dropped when full). */
    bool (*merge)(void *queued, const void *item);
    uint64_t accepted, dropped, merged, blocked;
};
void queue_init(struct queue *q, const struct mem *mem, struct budget *budget, uint32_t item_size,
                uint32_t count_max, enum queue_policy policy,
                bool (*merge)(void *queued, const void *item));
void queue_free(struct queue *q);
/** @return 1 queued or merged; 0 not taken (blocked or dropped, counted); WEIR_E_BUDGET,
 *          WEIR_E_MEMORY. limit is filled on WEIR_E_BUDGET when not NULL. With QUEUE_DROP_OLD the
 *          result is always 1 unless there is no memory. */
int queue_push(struct queue *q, const void *item, struct limit_record *limit);
/** @return false when empty */
bool queue_pop(struct queue *q, void *item);
/** The i-th oldest, or NULL. Valid until the next push or pop. */
void *queue_at(const struct queue *q, uint32_t i);
#endif
