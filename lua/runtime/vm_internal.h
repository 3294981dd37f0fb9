/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_VM_INTERNAL_H
#define WEIR_LUA_VM_INTERNAL_H
#include "vm.h"
#include <stddef.h>

/* What vm.c, vm_memory.c and vm_sample.c share. Nobody else includes this. */

enum { VM_ERROR_BYTES = 2001, VM_TRACE_LEVELS = 12 };

/* An account. Blocks name it by its number, so that an owner can end before its blocks do. */
struct vm_slot {
    struct vm_owner *owner;    /* NULL: it ended, the state pays */
    uint64_t bytes;
    uint32_t next_free;        /* 0: the last; the state's own account is never free */
};

struct vm {
    lua_State *main;
    lua_State *task;           /* what vm_resume resumed */
    lua_State *running;        /* the coroutine that runs now, as far as we know */
    uint64_t budget, used, total;
    struct vm_statistics statistics;
    enum vm_stop stop;
    bool active;               /* inside vm_resume or vm_call */
    bool can_sample, can_see;
    bool deep;                 /* some stack is large: look at every instruction */
    bool traced;               /* error has the trace of the stop already */
    uint8_t closes;            /* coroutine.close inside coroutine.close ... */
    uint64_t phase;            /* of the random intervals of the hook */

    struct vm_owner own;       /* the state itself */
    struct vm_owner *current;
    struct vm_slot *slots;
    uint32_t slots_count, slots_room, slots_free, owners, owners_max;
    uint64_t bytes_max;
    struct {
        const void *block;
        size_t osize, nsize;
    } refused;                 /* asked again after a collection, it is refused for good */
    uint32_t refusals, collections;

    const void *newindex;      /* Lua's string "__newindex" */
    char *mode_bytes, *call_bytes; /* of Lua's strings that are hidden from scripts */
    const char *call_name;     /* the second, once it is hidden */

    uint64_t random_state;
    vm_random random;
    void *random_context;
    vm_print print;
    void *print_context;
    void *user;
    char error[VM_ERROR_BYTES];
    char trace[VM_ERROR_BYTES];
};

/** lua_Alloc. */
void *vm_allocate(void *context, void *block, size_t osize, size_t nsize);
bool vm_memory_init(struct vm *vm, const struct vm_options *options);
void vm_memory_free(struct vm *vm);

/** From where nothing can be raised: flags the stop, and the running coroutine raises it with its
 *  next instruction. */
void vm_stop_soon(struct vm *vm, enum vm_stop why);
/** This was used: never more than the budget and one. */
void vm_spend(struct vm *vm, uint64_t instructions);
/** Start counting in L, with a random interval. */
void vm_hook_set(struct vm *vm, lua_State *L);

/** Find out whether instructions can be sampled. */
bool vm_sample_test(struct vm *vm);
/** What the instruction about to run costs, in instructions: 0 for nearly all. */
uint64_t vm_sample(lua_State *L, lua_Debug *at);
/** What Lua's way from a table to a key costs, in instructions: collisions, and the chain of
 *  `event` (__index, __newindex). Pops the table on top and the key below it, of which nil means
 *  any string. */
uint64_t vm_sample_path(lua_State *L, const char *event);

/** Find out whether tables can be looked into. */
bool vm_table_test(struct vm *vm);
/** What finding the key at an index takes, beyond an instruction; for a nil: any string, on
 *  average. 0 for what is no table. */
uint64_t vm_table_find(lua_State *L, int table, int key);
/** What all keys take: lua_next over the table. */
uint64_t vm_table_walk(lua_State *L, int table);
/** What its length takes. */
uint64_t vm_table_length(lua_State *L, int table);
/** A small table without a metatable, which is found at once to cost nothing. */
bool vm_table_is_plain(lua_State *L, int index);
/** For the allocator: what it costs if these bytes become the hash part of the table that runs. */
uint64_t vm_table_grow(struct vm *vm, size_t bytes);

/** Remember Lua's names of metamethods that are hidden later. */
void vm_names_open(struct vm *vm, lua_State *L);
/** Hide them. Every call but the first does nothing. */
void vm_names_hide(struct vm *vm);
#endif
