/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BASE_CHARGED_H
#define WEIR_BASE_CHARGED_H
#include "base/budget.h"
#include "base/mem.h"

/** Zeroed memory that is charged to a budget. @return NULL when the budget or the allocator refuses
 */
static inline void *charged_alloc(const struct mem *mem, struct budget *budget, size_t size)
{
    if (!budget_charge(budget, size, NULL)) return NULL;
    void *block = mem_alloc(mem, size);
    if (block == NULL) budget_refund(budget, size);
    return block;
}

/** NULL is allowed. */
static inline void charged_free(const struct mem *mem, struct budget *budget, void *block,
                                size_t size)
{
    if (block == NULL) return;
    mem_free(mem, block, size);
    budget_refund(budget, size);
}
#endif
