/* SPDX-License-Identifier: MIT */
#include "base/budget.h"
#include "base/assert.h"
#include <stddef.h>
#include <string.h>

void budget_init(struct budget *b, struct budget *parent, enum limit_scope scope, uint16_t name,
                 uint64_t max, const void *owner)
{
    memset(b, 0, sizeof *b);
    b->parent = parent;
    b->max = max;
    b->owner = owner;
    b->scope = (uint16_t)scope;
    b->name = name;
    if (parent != NULL) parent->children++;
}

/* A max that was lowered below what is used leaves no room, not a negative one. */
static uint64_t own_room(const struct budget *b)
{
    return b->used < b->max ? b->max - b->used : 0;
}

static void limit_fill(struct limit_record *limit, const struct budget *b)
{
    memset(limit, 0, sizeof *limit);
    limit->scope = b->scope;
    limit->name = b->name;
    limit->side = LIMIT_SIDE_LOCAL;
    limit->used = b->used;
    limit->max = b->max;
    limit->owner = b->owner;
}

bool budget_charge(struct budget *b, uint64_t amount, struct limit_record *limit)
{
    struct budget *at;

    /* All are asked before any is changed: a refusal has nothing to undo. */
    for (at = b; at != NULL; at = at->parent) {
        if (amount <= own_room(at)) continue;
        at->refusals++;
        if (limit != NULL) limit_fill(limit, at);
        return false;
    }
    for (at = b; at != NULL; at = at->parent) {
        at->used += amount;
        if (at->used > at->peak) at->peak = at->used;
    }
    return true;
}

void budget_refund(struct budget *b, uint64_t amount)
{
    for (; b != NULL; b = b->parent) {
        WEIR_ASSERT(b->used >= amount);
        b->used -= amount;
    }
}

uint64_t budget_room(const struct budget *b)
{
    uint64_t room = UINT64_MAX;

    for (; b != NULL; b = b->parent) {
        if (own_room(b) < room) room = own_room(b);
    }
    return room;
}

void budget_end(struct budget *b)
{
    WEIR_ASSERT(b->used == 0);
    WEIR_ASSERT(b->children == 0);
    if (b->parent == NULL) return;
    WEIR_ASSERT(b->parent->children > 0);
    b->parent->children--;
    b->parent = NULL;
}
