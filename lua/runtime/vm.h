/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_VM_H
#define WEIR_LUA_VM_H
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/* A Lua state that cannot take more than it was given: memory, instructions, and no way out.
 *
 * Memory. Every block carries its owner: the instance (a script on one node) that was current when
 * the block was made. An owner that reaches its cap, or a state that reaches its own, gets "not
 * enough memory", and nobody else notices. Live a state has one owner; in a world one state serves
 * the instances of many nodes.
 *
 * Instructions. Each resumption of a task has a budget. It is counted by a hook in every coroutine,
 * and charged by the C functions that can run long (vm_charge), by the bytes that are allocated
 * (VM_BYTES_PER_INSTRUCTION), and by sampling for instructions that take long (vm_sample.c). Once
 * it is used up the resumption is stopped for good: pcall, xpcall, coroutine.resume and wrap, close
 * and error handlers of ours pass the stop on (vm_pass_stop), and whatever runs on the way out is
 * stopped at once. */

enum vm_stop {
    VM_RUNS,
    VM_STOP_INSTRUCTIONS,      /**< the budget of the resumption is used up */
    VM_STOP_MEMORY             /**< the owner or the state reached its cap twice in one resumption:
                                *   the first time the script may catch the error */
};

enum {
    VM_HOOK_INSTRUCTIONS = 100,    /**< how often the hook looks */
    VM_BYTES_PER_INSTRUCTION = 16, /**< an allocation of so many bytes costs one */
    VM_SOURCE_BYTES_MAX = 1 << 20, /**< longest chunk that vm_load takes */
    VM_LOAD_BYTES_MAX = 1 << 15    /**< longest chunk that a script may load itself */
};

/** Who pays for blocks. Zero it, set bytes_max. It must outlive its blocks: vm_owner_end moves what
 *  is left to the state's own owner. */
struct vm_owner {
    uint64_t bytes, bytes_max, bytes_peak;
    uint32_t number;           /**< given by vm_owner_begin */
};

struct vm_options {
    uint64_t memory_bytes;     /**< of the whole state; 0: 16 MiB */
    uint64_t instructions;     /**< of one resumption; 0: 1,000,000. In round numbers 5 ns each */
    uint32_t owners_max;       /**< 0: 1 */
    uint64_t seed;             /**< of math.random, and of nothing else */
};

struct vm_statistics {
    uint64_t bytes, bytes_max, bytes_peak;
    uint64_t instructions;     /**< since the state was made */
    uint64_t resumptions, stops_instructions, stops_memory, errors;
};

struct vm;

/** Make a state with the sandbox's environment (sandbox.h) and nothing else.
 *  @return the state, or NULL without memory */
struct vm *vm_open(const struct vm_options *options);
/** No Lua code runs: there are no finalizers. NULL is allowed. */
void vm_close(struct vm *vm);
/** The state behind any coroutine of it. */
struct vm *vm_of(lua_State *L);
/** Its main thread: for building tables and threads, never for running a script. */
lua_State *vm_main(struct vm *vm);
/** What C code of the runtime hangs on it. */
void *vm_user(const struct vm *vm);
void vm_set_user(struct vm *vm, void *user);
void vm_get_statistics(const struct vm *vm, struct vm_statistics *out);
/** What the whole state may take, from now on: a state of a world grows with its instances. */
void vm_set_memory(struct vm *vm, uint64_t bytes);

/** A new owner. @return false when owners_max exist */
bool vm_owner_begin(struct vm *vm, struct vm_owner *owner);
/** Its blocks now belong to the state. The caller then drops its references and collects. */
void vm_owner_end(struct vm *vm, struct vm_owner *owner);
/** Who pays from now on; NULL: the state. @return who did before */
struct vm_owner *vm_owner_enter(struct vm *vm, struct vm_owner *owner);

/** Compile text (never bytecode) and leave the chunk, whose _ENV is the sandbox's environment, on
 *  the stack of L; or the error's text. Costs nobody instructions: len is at most
 *  VM_SOURCE_BYTES_MAX.
 *  @param name  as luaL_loadbuffer takes it: "@file.lua"
 *  @return LUA_OK, LUA_ERRSYNTAX, LUA_ERRMEM */
int vm_load(struct vm *vm, lua_State *L, const char *text, size_t len, const char *name);

/** Resume a coroutine that the runtime made with lua_newthread(vm_main()), with a fresh budget; not
 *  from inside another resumption. After an error the coroutine is dead and closed (its pending
 *  `close` handlers ran, under what was left of the budget), and vm_error has the text.
 *  @return LUA_OK, LUA_YIELD, LUA_ERRRUN, LUA_ERRMEM ... */
int vm_resume(struct vm *vm, lua_State *co, int arguments, int *results);
/** Call a function on the stack of vm_main() as one resumption of its own that cannot yield: for
 *  loading a script and the like. As lua_pcall without a handler: on failure nothing is left on the
 *  stack and vm_error has the text. */
int vm_call(struct vm *vm, int arguments, int results);
/** Whether a C function may yield to the scheduler here: on the task's own thread only, where
 *  nothing that cannot yield stands in between. A coroutine that the script made may not: the
 *  function then raises "wait in the handler itself, not inside a coroutine of your own". */
bool vm_may_wait(lua_State *L);
/** Whether a script made this coroutine. */
bool vm_is_inner(lua_State *L);
/** What stopped the last resumption. */
enum vm_stop vm_stopped(const struct vm *vm);
/** The text of the last error with its traceback: made without running any Lua code (an error
 *  object with __tostring is named by its type), control bytes replaced, at most 2000 bytes. Valid
 *  until the next resumption. */
const char *vm_error(const struct vm *vm);
/** Instructions used by the resumption under way. */
uint64_t vm_used(const struct vm *vm);

/* For C functions that scripts call. */
/** This costs so many instructions. Raises when the budget is used up. */
void vm_charge(lua_State *L, uint64_t instructions);
/** The same for calling the value at index. */
void vm_charge_call(lua_State *L, int index);
/** For what finding a metamethod of the value at index costs beyond an instruction. */
void vm_charge_event(lua_State *L, int index, const char *event);
/** For what finding a key costs beyond an instruction: keys that a script chose may collide, and
 *  there may be a chain of metatables.
 *  @param key    its index, a positive one
 *  @param event  "__index", "__newindex"; NULL: a raw access */
void vm_charge_key(lua_State *L, int table, int key, const char *event);
void vm_charge_index(lua_State *L, int table, lua_Integer key, const char *event);
/** For going through the table at index with lua_next, empty places included: before doing it. */
void vm_charge_walk(lua_State *L, int table);
/** For the length of the value at index. */
void vm_charge_length(lua_State *L, int index);
/** Push the name under which a metatable makes tables callable: "__call" is only what scripts call
 *  it (vm_names.c). */
void vm_push_call(lua_State *L);
/** Whether it is that name, over which a walk passes. */
bool vm_is_call(lua_State *L, int index);
/** Raise the stop again if there is one: whatever catches errors calls it afterwards. */
void vm_pass_stop(lua_State *L);
/** As lua_resume from L, for a coroutine that a script made. The stop passes through; after another
 *  error co is closed and the error is on top of its stack. */
int vm_resume_inner(lua_State *L, lua_State *co, int arguments, int *results);
/** Run the pending `close` handlers of a coroutine that does not run. The stop passes through.
 *  @return as lua_resetthread */
int vm_reset_inner(lua_State *L, lua_State *co);
/** Give a line to where print goes. */
void vm_print_line(lua_State *L, const char *text, size_t len);
/** Where print goes: one line without its end, at most 2000 bytes. Unset: nowhere. */
typedef void (*vm_print)(void *context, const char *text, size_t len);
void vm_set_print(struct vm *vm, vm_print print, void *context);
/** Random numbers: the state's own sequence, or the current instance's if the runtime set one. */
typedef uint64_t (*vm_random)(void *context);
void vm_set_random(struct vm *vm, vm_random random, void *context);
uint64_t vm_random_next(struct vm *vm);
#endif
