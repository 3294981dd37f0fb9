/* SPDX-License-Identifier: MIT */
#include "base/handle.h"
#include "base/assert.h"
#include "weir.h"
#include <stdbool.h>
#include <string.h>

enum { GENERATION_MAX = (1 << 24) - 1, SLOTS_FIRST = 4, KIND_MAX = 31 };

static uint32_t slot_of(uint64_t handle)
{
    return (uint32_t)(handle & 0xffffff);
}

static uint64_t handle_of(unsigned kind, uint32_t generation, uint32_t slot)
{
    return (uint64_t)kind << 48 | (uint64_t)generation << 24 | slot;
}

unsigned handle_kind(uint64_t handle)
{
    return handle >> 53 != 0 ? 0 : (unsigned)(handle >> 48);
}

void handle_table_init(struct handle_table *table, const struct mem *mem, uint32_t slots_max)
{
    WEIR_ASSERT(slots_max >= 1 && slots_max <= HANDLE_SLOTS_MAX);
    memset(table, 0, sizeof *table);
    table->mem = mem;
    table->slots_max = slots_max;
}

void handle_table_free(struct handle_table *table)
{
    mem_free(table->mem, table->slots, table->capacity * sizeof *table->slots);
    table->slots = NULL;
    table->capacity = table->free_head = table->free_tail = 0;
}

static void free_append(struct handle_table *table, uint32_t slot)
{
    table->slots[slot].kind_or_next = 0;
    if (table->free_tail != 0) {
        table->slots[table->free_tail - 1].kind_or_next = slot + 1;
    } else {
        table->free_head = slot + 1;
    }
    table->free_tail = slot + 1;
}

static bool table_grow(struct handle_table *table)
{
    uint32_t capacity = SLOTS_FIRST, i;
    struct handle_slot *slots;

    /* By a quarter: a world has very many tables of a few slots, and a large one wastes less. */
    if (table->capacity > 0) capacity = table->capacity + table->capacity / 4;
    if (capacity > table->slots_max) capacity = table->slots_max;
    if (capacity == table->capacity) return false;
    slots = mem_resize(table->mem, table->slots, table->capacity * sizeof *slots,
                       capacity * sizeof *slots);
    if (slots == NULL) return false;
    table->slots = slots;
    for (i = table->capacity; i < capacity; i++) {
        slots[i].object = NULL;
        slots[i].generation = 1;
        free_append(table, i);
    }
    table->capacity = capacity;
    return true;
}

uint64_t handle_add(struct handle_table *table, unsigned kind, void *object)
{
    struct handle_slot *slot;
    uint32_t index;

    WEIR_ASSERT(kind >= 1 && kind <= KIND_MAX);
    WEIR_ASSERT(object != NULL);
    if (table->free_head == 0 && !table_grow(table)) return 0;
    index = table->free_head - 1;
    slot = &table->slots[index];
    WEIR_ASSERT(slot->object == NULL);
    table->free_head = slot->kind_or_next;
    if (table->free_head == 0) table->free_tail = 0;
    slot->object = object;
    slot->kind_or_next = kind;
    return handle_of(kind, slot->generation, index);
}

/* The used slot that the handle names in every bit, or NULL. */
static struct handle_slot *slot_find(const struct handle_table *table, uint64_t handle)
{
    uint32_t index = slot_of(handle);
    struct handle_slot *slot;

    if (index >= table->capacity) return NULL;
    slot = &table->slots[index];
    if (slot->object == NULL) return NULL;
    return handle_of(slot->kind_or_next, slot->generation, index) == handle ? slot : NULL;
}

void *handle_get(const struct handle_table *table, uint64_t handle, unsigned kind, int *error)
{
    const struct handle_slot *slot = slot_find(table, handle);
    int status = 0;

    if (slot == NULL) {
        status = WEIR_E_STALE;
    } else if (slot->kind_or_next != kind) {
        status = WEIR_E_KIND;
    }
    if (error != NULL) *error = status;
    return status == 0 ? slot->object : NULL;
}

void handle_remove(struct handle_table *table, uint64_t handle)
{
    struct handle_slot *slot = slot_find(table, handle);

    /* Closing is idempotent: a handle that is stale already is none of our bugs. */
    if (slot == NULL) return;
    slot->object = NULL;
    slot->kind_or_next = 0;
    /* After the last generation the slot stays out of the free list for ever: no handle is given
     * twice. */
    if (slot->generation++ < GENERATION_MAX) free_append(table, slot_of(handle));
}

void *handle_next(const struct handle_table *table, unsigned kind, uint32_t *cursor,
                  uint64_t *handle)
{
    while (*cursor < table->capacity) {
        uint32_t index = (*cursor)++;
        const struct handle_slot *slot = &table->slots[index];

        if (slot->object == NULL || (kind != 0 && slot->kind_or_next != kind)) continue;
        if (handle != NULL) *handle = handle_of(slot->kind_or_next, slot->generation, index);
        return slot->object;
    }
    return NULL;
}
