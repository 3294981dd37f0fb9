/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_INSTANCE_H
#define WEIR_LUA_INSTANCE_H
#include "entry.h"

/* Between the files of the runtime's center: lives of places, instances, tasks and timers. */

/** What a task runs: a method, or a function of the registry. */
struct task_call {
    const char *method;        /**< NULL: function */
    int function;              /**< registry reference */
    /** Pushes the arguments behind self, inside the task: may raise. @return how many; -1: do not
     *  call after all. NULL: none */
    task_push push;
    void *context;             /**< of push: valid until the call begins, which is at once unless
                                    another task runs; then push is called at once */
    void (*on_return)(struct task *t, lua_State *L, int first);
    void (*on_end)(struct task *t, enum task_end end, int results);
    void *end_context;         /**< becomes t->context */
    uint64_t number;           /**< becomes t->number */
};
/** Start a task. What fails is logged and counted; on_end is told once for each task that began,
 *  and not when none did (*began false).
 *  @return the task if it waits; NULL: it is over, or did not begin */
struct task *task_start(struct instance *in, const struct task_call *call, bool *began);
/** Run on, or end, what was put off because a task ran. After each event and timer. */
void tasks_run_ready(weir_lua *lua);
/** Run on those that let others go first. Once per call of the program: they may be tired again. */
void tasks_run_tired(weir_lua *lua);
/** As lua_pcall of a C function with one light userdata, on the main thread, with blocks charged to
 *  an owner (NULL: the state): for building things outside of tasks. @return LUA_OK ... */
int task_protected(struct script *script, struct vm_owner *owner, lua_CFunction function,
                   void *context);

/** Start a script on a place: fields, entries, timers; not `start`, which instance_start calls.
 *  Modules that it uses come first. @return 0 or WEIR_E_* with *error filled, and nothing begun */
int32_t instance_open(struct script *script, struct place *place, struct instance *user,
                      const char *const *arguments, uint32_t count, struct instance **out,
                      weir_error *error);
void instance_start(struct instance *in);
/** `stop` runs; then everything of it ends. Modules' instances end with it. */
void instance_close(struct instance *in);
/** The next of its random numbers, for vm_set_random. */
uint64_t instance_random(void *context);

/** A new pass: its timers may use so many instructions in all (timer.c). */
void timers_begin(weir_lua *lua);
/** Run the timers that are due up to and at a time, as far as the pass goes. */
void timers_run(weir_lua *lua, uint64_t until_us);
/** Whether a timer is due at this time. */
bool timers_due(const weir_lua *lua, uint64_t at_us);
/** Start what `every` asked for at load time. @return false without memory */
bool timers_start(struct instance *in);
/** End the timers of `every` at load time, or all. */
void timers_end(struct instance *in, bool only_declared);
/** The functions behind self:every and P:every, and the class "timer". */
int timer_every(lua_State *L, struct instance *in);
int timer_declare(lua_State *L, struct script *script);
void words_timer(lua_State *L);

/** The place of a node, made if need be. @return 0 or WEIR_E_* with *error filled */
int32_t place_open(weir_lua *lua, weir_node *node, struct place **out, weir_error *error);
/** When no instance is left on it. */
void place_close(struct place *place);
/** Events in, those that stay in front. */
uint32_t place_dispatch(weir_lua *lua, weir_event *events, uint32_t count);
/** The clock that all places share; 0: there is no place. */
uint64_t places_now(const weir_lua *lua);
#endif
