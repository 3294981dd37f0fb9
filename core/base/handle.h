/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BASE_HANDLE_H
#define WEIR_BASE_HANDLE_H
#include "base/mem.h"
#include <stdint.h>

/** Generation-checked handles: kind:5 | generation:24 | slot:24 = 53 bits.
 *
 *  0 is never valid: generations start at 1. A slot whose 2^24-1 generations are used up is
 *  retired. Free slots are reused oldest first, so that a stale handle stays recognisable for as
 *  long as possible. */
enum { HANDLE_SLOTS_MAX = 1 << 24 };
struct handle_slot {
    void *object;              /**< NULL: free */
    uint32_t generation;       /**< of the object, or the next one to give */
    uint32_t kind_or_next;     /**< kind when used; next free slot + 1 when free */
};
struct handle_table {
    const struct mem *mem;
    struct handle_slot *slots;
    uint32_t capacity, slots_max;
    uint32_t free_head, free_tail; /**< slot + 1; 0: none */
};
/** Nothing is allocated until the first add; slots_max 1 to HANDLE_SLOTS_MAX. */
void handle_table_init(struct handle_table *table, const struct mem *mem, uint32_t slots_max);
void handle_table_free(struct handle_table *table);
/** kind 1 to 31. @return the handle, or 0 when the table is full or there is no memory */
uint64_t handle_add(struct handle_table *table, unsigned kind, void *object);
/** @param error  set to 0, WEIR_E_STALE (unknown, freed or forged) or WEIR_E_KIND (another kind of
 *                object)
 *  @return       the object, or NULL */
void *handle_get(const struct handle_table *table, uint64_t handle, unsigned kind, int *error);
void handle_remove(struct handle_table *table, uint64_t handle);
unsigned handle_kind(uint64_t handle);
/** Walk used slots: *cursor starts at 0. @return the next object of that kind (0: any), or NULL */
void *handle_next(const struct handle_table *table, unsigned kind, uint32_t *cursor,
                  uint64_t *handle);
#endif
