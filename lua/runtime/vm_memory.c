/* SPDX-License-Identifier: MIT */
/* Memory of a state: who pays, and who is refused.
 *
 * In front of every block stands the number of the account that pays for it. A block stays with the
 * account that was current when it was made, also when somebody else makes it grow, so the table of
 * all strings stays with the state. An account counts a block as its bytes plus what the header and
 * malloc add.
 *
 * Lua answers a refusal with a full collection and asks for the same again: only the second refusal
 * counts. The first time in a resumption the script gets "not enough memory" and may live on; the
 * second time it is stopped. A collection costs as much as the state is large, so beyond the first
 * of a resumption it is charged: a script that thrashes at its cap runs out of instructions.
 *
 * A state that was stopped may take a little more (a 32nd of its cap): unwinding needs a few small
 * blocks, and each refusal would be another full collection. */
#include "vm_internal.h"
#include <stdlib.h>
#include <string.h>

enum {
    OVERHEAD_BYTES = 16, /* the header, and what malloc adds */
    COLLECTION_BYTES_PER_INSTRUCTION = 32,
    VALUE_BYTES = 16,        /* one stack slot */
    STACK_SLOTS_FREE = 1285, /* beyond, every instruction is looked at */
    STACK_SLOTS_MAX = 16384,
};

struct block {
    uint32_t slot, unused; /* eight bytes: what Lua's objects are aligned to */
};

bool vm_memory_init(struct vm *vm, const struct vm_options *options)
{
    vm->bytes_max = options->memory_bytes ? options->memory_bytes : 16 << 20;
    vm->own.bytes_max = vm->bytes_max;
    vm->owners_max = options->owners_max ? options->owners_max : 1;
    vm->current = &vm->own;
    vm->slots_room = 4;
    vm->slots = calloc(vm->slots_room, sizeof *vm->slots);
    if (!vm->slots) return false;
    vm->slots[0].owner = &vm->own;
    vm->slots_count = 1;
    return true;
}

void vm_memory_free(struct vm *vm)
{
    free(vm->slots);
}

/* Whether a new block looks like a stack: Lua doubles the slots and adds five, while tables have
 * powers of two, or three times that. */
static bool is_stack(size_t tag, size_t nsize)
{
    size_t slots = nsize / VALUE_BYTES;

    return !tag && nsize % VALUE_BYTES == 0 && slots > STACK_SLOTS_FREE && (slots - 5) % 4 == 0;
}

/* Stacks must stay small, because one instruction can move all that is on one. From C functions
 * come blocks that only look like one. */
static bool is_large_stack(const struct vm *vm, size_t nsize)
{
    lua_Debug at;

    return nsize / VALUE_BYTES > STACK_SLOTS_MAX && lua_getstack(vm->running, 0, &at) &&
           lua_getinfo(vm->running, "S", &at) && at.what[0] != 'C';
}

static bool fits(const struct vm *vm, const struct vm_slot *slot, uint64_t more)
{
    uint64_t max = vm->bytes_max, cap = slot->owner ? slot->owner->bytes_max : max;

    if (vm->active && vm->stop != VM_RUNS) {
        max += max / 32;
        cap += cap / 32;
    }
    return vm->statistics.bytes + more <= max && slot->bytes + more <= cap;
}

static void refuse(struct vm *vm, const void *block, size_t osize, size_t nsize)
{
    if (vm->refused.nsize == nsize && vm->refused.osize == osize && vm->refused.block == block) {
        vm->refused.nsize = 0;
        if (vm->active && ++vm->refusals == 2) vm_stop_soon(vm, VM_STOP_MEMORY);
        return;
    }
    vm->refused.block = block;
    vm->refused.osize = osize;
    vm->refused.nsize = nsize;
    if (vm->active && vm->collections++ > 0)
        vm_spend(vm, vm->statistics.bytes / COLLECTION_BYTES_PER_INSTRUCTION);
}

static void charge(struct vm *vm, uint64_t bytes)
{
    if (!vm->active) return;
    vm_spend(vm, (bytes + VM_BYTES_PER_INSTRUCTION - 1) / VM_BYTES_PER_INSTRUCTION);
    if (vm->used > vm->budget) vm_stop_soon(vm, VM_STOP_INSTRUCTIONS);
}

static void count(struct vm *vm, uint32_t number, uint64_t more, uint64_t less)
{
    struct vm_slot *slot = &vm->slots[number];
    struct vm_owner *owner = slot->owner;

    slot->bytes = slot->bytes + more - less;
    vm->statistics.bytes = vm->statistics.bytes + more - less;
    if (vm->statistics.bytes > vm->statistics.bytes_peak)
        vm->statistics.bytes_peak = vm->statistics.bytes;
    if (owner) {
        owner->bytes = slot->bytes;
        if (owner->bytes > owner->bytes_peak) owner->bytes_peak = owner->bytes;
    } else if (slot->bytes == 0 && less) {
        slot->next_free = vm->slots_free;
        vm->slots_free = number;
    }
}

/* Whether the budget has room for what comes with the block: keys that move into it. What is above
 * the budget stops the script; while it is on its way out no table grows large. */
static bool affords(struct vm *vm, size_t tag, size_t nsize)
{
    uint64_t cost = vm->active && tag == 0 ? vm_table_grow(vm, nsize) : 0;

    if (cost == 0) return true;
    vm_spend(vm, cost);
    if (vm->used > vm->budget) vm_stop_soon(vm, VM_STOP_INSTRUCTIONS);
    return vm->stop == VM_RUNS;
}

static void *acquire(struct vm *vm, size_t tag, size_t nsize)
{
    uint32_t number = vm->current->number;
    bool stack = vm->active && is_stack(tag, nsize);
    struct block *head = NULL;

    if (affords(vm, tag, nsize) && fits(vm, &vm->slots[number], nsize + OVERHEAD_BYTES) &&
        !(stack && is_large_stack(vm, nsize)))
        head = malloc(sizeof *head + nsize);
    if (!head) {
        refuse(vm, NULL, tag, nsize);
        return NULL;
    }
    head->slot = number;
    head->unused = 0;
    vm->refused.nsize = 0;
    count(vm, number, nsize + OVERHEAD_BYTES, 0);
    charge(vm, nsize + OVERHEAD_BYTES);
    if (stack && !vm->deep) {
        vm->deep = true;
        vm_hook_set(vm, vm->running);
    }
    return head + 1;
}

/* The larger of the sizes is charged, also when they are equal: a table is given the same array
 * again whenever its hash part is rebuilt, which walks all of it. */
static void *resize(struct vm *vm, struct block *head, size_t osize, size_t nsize)
{
    uint32_t number = head->slot;
    struct block *moved = NULL;

    if (nsize <= osize || fits(vm, &vm->slots[number], nsize - osize))
        moved = realloc(head, sizeof *head + nsize);
    if (!moved) {
        /* Shrinking never fails, as Lua asks: the block stays as large as it is. */
        if (nsize > osize) {
            refuse(vm, head, osize, nsize);
            return NULL;
        }
        moved = head;
    }
    vm->refused.nsize = 0;
    count(vm, number, nsize, osize);
    charge(vm, nsize > osize ? nsize : osize);
    return moved + 1;
}

void *vm_allocate(void *context, void *block, size_t osize, size_t nsize)
{
    struct vm *vm = context;
    struct block *head = block ? (struct block *)block - 1 : NULL;

    if (nsize > SIZE_MAX / 2) return NULL;
    if (nsize == 0) {
        if (head) {
            count(vm, head->slot, 0, osize + OVERHEAD_BYTES);
            free(head);
        }
        return NULL;
    }
    return head ? resize(vm, head, osize, nsize) : acquire(vm, osize, nsize);
}

static bool slot_take(struct vm *vm, uint32_t *number)
{
    if (vm->slots_free == 0 && vm->slots_count > 2 * (uint64_t)vm->owners_max)
        lua_gc(vm->main, LUA_GCCOLLECT, 0);
    if (vm->slots_free != 0) {
        *number = vm->slots_free;
        vm->slots_free = vm->slots[*number].next_free;
        return true;
    }
    if (vm->slots_count == vm->slots_room) {
        uint32_t room = vm->slots_room * 2;
        struct vm_slot *slots = realloc(vm->slots, room * sizeof *slots);

        if (!slots) return false;
        vm->slots = slots;
        vm->slots_room = room;
    }
    *number = vm->slots_count++;
    return true;
}

bool vm_owner_begin(struct vm *vm, struct vm_owner *owner)
{
    uint32_t number;

    if (vm->owners == vm->owners_max || !slot_take(vm, &number)) return false;
    vm->slots[number] = (struct vm_slot){.owner = owner};
    owner->number = number;
    owner->bytes = 0;
    owner->bytes_peak = 0;
    if (owner->bytes_max == 0) owner->bytes_max = vm->bytes_max;
    vm->owners++;
    return true;
}

void vm_owner_end(struct vm *vm, struct vm_owner *owner)
{
    struct vm_slot *slot = &vm->slots[owner->number];

    if (owner->number == 0 || slot->owner != owner) return;
    if (vm->current == owner) vm->current = &vm->own;
    slot->owner = NULL;
    if (slot->bytes == 0) {
        slot->next_free = vm->slots_free;
        vm->slots_free = owner->number;
    }
    owner->number = 0;
    vm->owners--;
}

struct vm_owner *vm_owner_enter(struct vm *vm, struct vm_owner *owner)
{
    struct vm_owner *before = vm->current;

    vm->current = owner ? owner : &vm->own;
    return before == &vm->own ? NULL : before;
}
