/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_RUNTIME_H
#define WEIR_LUA_RUNTIME_H
#include "heap.h"
#include "list.h"
#include "vm.h"
#include "weir_lua.h"
#include <stdbool.h>

/* The runtime's own picture of scripts and nodes. Private to lua/runtime.
 *
 *   weir_lua    scripts, places, peers, timers
 *   script      a loaded file: one Lua state, and the one protocol or game that it declares
 *   entry       a thing that the declaration names: a message, a request, a view ... (entry.h)
 *   place       a node on which scripts run
 *   instance    a script on a place: `self`
 *   task        a coroutine of an instance: one handler under way
 *   waiter      whoever waits for events of an object of weir.h, found by its user tag
 *
 * Everything that a script can hold is bounded: entries by the declaration, timers and tasks by the
 * options, peers by the runtime's table, Lua memory by the instance's cap. */

struct entry;
struct instance;
struct peer_table;
struct place;
struct script;
struct task;

/* ---- waiters: waiter.c */

/** Who gets the events of an object: put its tag into the object's user field. */
struct waiter {
    void (*on_event)(struct waiter *w, const weir_event *event);
    uint64_t tag;              /**< 0: not waiting */
};
/** @return the tag; 0 without memory */
uint64_t waiter_add(weir_lua *lua, struct waiter *w);
/** Idempotent. Events that come later for the tag are dropped. */
void waiter_remove(weir_lua *lua, struct waiter *w);
/** NULL: nobody's, or not a tag. *is_tag: it was one of ours, so the event is not the program's. */
struct waiter *waiter_find(weir_lua *lua, uint64_t tag, bool *is_tag);
/** Free the table, when the runtime ends. */
void waiters_free(weir_lua *lua);

/* ---- timers: timer.c */

struct timer {
    struct heap_item item;
    void (*on_time)(struct timer *t);
    struct place *place;
};
/** Set or move it, on the place's clock. @return false without memory */
bool timer_set(struct timer *t, struct place *place, uint64_t when_us);
void timer_unset(weir_lua *lua, struct timer *t);

/* ---- the runtime: runtime.c */

struct weir_lua {
    weir_lua_options options;  /**< completed */
    char *files;               /**< granted folder, or NULL */
    char **modules;
    struct script **scripts;
    uint32_t script_count;
    struct place **places;     /**< [0]: of the real world's node; [n]: of node n of a world */
    uint32_t place_count;
    struct waiter_table *waiters;
    struct heap timers;        /**< by time, then place, then sequence */
    uint64_t timer_sequence;
    uint64_t timers_stop;      /**< when so many instructions were used, timers wait for the next
                                *   pass (timers_begin) */
    struct peer_table *peers;
    struct line_ring *lines;
    struct task *current;      /**< the task that runs; NULL: none */
    struct script *loading;    /**< whose main chunk runs; NULL: none */
    struct list ready;         /**< tasks that were resumed or cancelled while another one ran */
    struct list tired;         /**< tasks that let others go first: task_give */
    uint8_t *scratch;          /**< SCRATCH_BYTES: one encoded value at a time */
    weir_lua_info info;        /**< the counters that are not derived */
    uint64_t now_us;           /**< of the event or timer that is dealt with */
    uint64_t entropy;          /**< of the real world's scripts: the seed, or the system's */
};

/** A node on which scripts run. */
struct place {
    weir_lua *lua;
    weir_node *node;
    uint64_t number;           /**< in a world: of the node; else 0 */
    struct list instances;
    uint32_t me;               /**< the node's own peer (peers.h) */
    struct dial_table *dials;  /**< peers.h: connections and dials by peer */
    uint64_t random;           /**< from which the randomness of its instances comes */
    uint64_t clock_us;         /**< what `now` of its scripts is ahead of the node's clock */
    bool draining;
};
enum { SCRATCH_BYTES = 160 * 1024 };

/** The place of a node, or NULL. */
struct place *place_find(const weir_lua *lua, uint64_t number);
uint64_t place_now(const struct place *place);
/** The next of a sequence of random numbers, and one that is below n (n > 0), evenly. */
uint64_t random_next(uint64_t *sequence);
uint64_t random_below(uint64_t *sequence, uint64_t n);
/** The runtime behind a state. */
weir_lua *runtime_of(lua_State *L);
/** Fill the facts of a failure; error may be NULL. @return code */
int32_t error_fill(weir_error *error, int32_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** Add a line of the log. level as in weir_lua_line; text is cut and cleaned. */
void runtime_log(weir_lua *lua, struct place *place, const struct script *script, uint32_t level,
                 const char *text);
void runtime_logf(weir_lua *lua, struct place *place, const struct script *script, uint32_t level,
                  const char *format, ...) __attribute__((format(printf, 5, 6)));

/* ---- scripts: script.c, declare.c */

struct script {
    weir_lua *lua;
    uint32_t number;
    char *name;                /**< as given */
    struct vm *vm;             /**< owned, but for a module used by another script: then shared */
    struct script *user;       /**< a module: the script whose state it shares; else NULL */
    bool is_game;
    char protocol[100];        /**< its name on the wire, "echo/1"; "": it declares nothing */
    uint32_t serve, per_peer;  /**< handlers at once: in all, and for one peer */
    struct entry **entries;
    uint32_t entry_count;
    int methods;               /**< registry reference: table of the functions of the declaration */
    int object;                /**< registry reference: what `protocol` or `game` gave */
    int meta;                  /**< registry reference: the metatable of `self` */
    int fields;                /**< registry reference: table of declared fields and their first
                                *   values */
    int values;                /**< registry reference: what P.name is, by entry name */
    uint64_t half_life_us;     /**< of scores */
    uint32_t event_messages;   /**< that one event may cause */
    struct timer_spec *timers; /**< what `every` at load time asked for: each instance has them */
    uint32_t timer_count;
    struct script **modules;   /**< what it uses */
    uint32_t module_count;
    uint8_t text_hash[WEIR_HASH_BYTES]; /**< of a module: whether its file has changed */
    uint64_t instances;        /**< that runs now, without those of modules */
    struct script *replaces;   /**< while it is loaded anew: the one that runs */
    struct spares *spares;     /**< spares.c; NULL: none yet */
    uint64_t errors;
    uint64_t log_window;       /**< the second in which failures were logged last ... */
    uint32_t log_count;        /**< ... how many of them, and how many were not */
    uint32_t log_held;
    bool is_loading;
    bool is_declared;          /**< protocol or game was called */
};
/** One `every` of the file itself. */
struct timer_spec {
    int function;              /**< registry reference */
    bool is_steady;
    uint64_t interval_us;
};
/** The entry of that name, or NULL. */
struct entry *script_entry(const struct script *script, const char *name);
/** The entry that a value stands for (P.name). Raises if it is none. @param kinds  words allowed,
 *  NULL-terminated: "message", "request" ...; NULL: any */
struct entry *script_check_entry(lua_State *L, int index, const char *const *kinds);

/* ---- instances: instance.c */

struct instance {
    struct script *script;
    struct place *place;
    struct list link;          /**< in place->instances */
    struct list tasks;
    struct list timers;        /**< of scripts: every, after */
    struct vm_owner owner;
    int self;                  /**< registry reference */
    uint32_t task_count, timer_count, serving;
    uint32_t budget_messages;  /**< that the event under way may still send */
    uint64_t random;           /**< its sequence */
    bool stopping;
    char **arguments;          /**< of `start` and `args` */
    uint32_t argument_count;
    struct server *server;     /**< its messages and requests: server.h; NULL: none are served */
    struct links *links;       /**< link.c; NULL: none yet */
    struct scores *scores;     /**< scores.c; NULL: none yet */
    uint64_t retry_micro;      /**< retries it may begin now, in millionths: peers.h ... */
    uint64_t retry_us;         /**< ... as of when; 0: never asked */
    struct instance *user;     /**< of a module: the instance that uses it; else NULL */
    void *states[];            /**< one per entry: the entry's own (entry_ops.begin) */
};
/** The instance of a script on the place of the task that runs: of the script whose code runs, of a
 *  module that it uses. Raises "... works in handlers ..." when no task runs. */
struct instance *instance_for(lua_State *L, const struct script *script);
/** That of a script on a place, or NULL. */
struct instance *instance_at(struct place *place, const struct script *script);
/** Push self on a stack of the script's state. */
void instance_push(struct instance *in, lua_State *L);
/** Whether the script defines this method; then it is pushed. */
bool instance_method(struct instance *in, lua_State *L, const char *name);
/** Start a task that calls a method with self and what `push` pushes (NULL: nothing). Failures are
 *  logged. A method that is not defined is no failure. @return the task if it waits, else NULL */
typedef int (*task_push)(lua_State *co, void *context);
struct task *instance_call(struct instance *in, const char *method, task_push push, void *context);

/* ---- tasks: task.c */

enum task_end { TASK_DONE, TASK_FAILED, TASK_STOPPED, TASK_CANCELLED };

struct task {
    struct instance *instance;
    struct list link;          /**< in instance->tasks */
    lua_State *co;
    int ref;                   /**< registry reference that keeps co */
    struct waiter waiter;      /**< for what it waits, if it is one object */
    struct timer timer;        /**< for how long */
    uint64_t object;           /**< what it waits for: a handle of weir.h, or 0 */
    weir_event event;          /**< what waiter.on_event was told, when task_wait_event was used */
    struct list ready;         /**< in lua->ready */
    int ready_arguments;
    bool is_cancelled;         /**< to be ended as soon as no other task runs */
    struct list responses;     /**< answers in pieces that it reads: they end with it */
    /** Called inside the task, before on_end, with what its function returned on the stack of L
     *  from index `first` on: may raise, and must not wait. NULL: results are dropped. */
    void (*on_return)(struct task *t, lua_State *L, int first);
    /** What cleans up when the task is cancelled while it waits; NULL: nothing. */
    void (*on_cancel)(struct task *t);
    /** Called once at the end; results are on co if it is done. NULL: nobody asks. */
    void (*on_end)(struct task *t, enum task_end end, int results);
    void *context;             /**< of on_end */
    uint64_t number;           /**< of on_end */
    void *wait;                /**< of whoever made it wait */
    bool waiting;
    bool is_large;             /**< a run took so much memory that its stack may be large */
};
/** A new task whose function and arguments the caller pushes on t->co and runs with task_resume.
 *  @return NULL: tasks_max, or no memory (logged, counted) */
struct task *task_open(struct instance *in);
/** Run it on: `arguments` values were pushed on t->co. Frees it when it ends. Never call it for the
 *  task that runs. @return true: it waits again */
bool task_resume(struct task *t, int arguments);
/** End it without running it on: its waits are cleaned up, its `close` handlers run. */
void task_cancel(struct task *t);
/** The task that runs. Raises when there is none (at load time: "only inside a handler"). */
struct task *task_check(lua_State *L);
/** For C functions that wait: the last thing that they do. `return task_wait(L, cancel)`: what
 *  task_resume is given becomes the function's results; with k, k is called with them on the stack.
 *  Raises when the function was called inside a coroutine of the script's own. */
int task_wait(lua_State *L, void (*on_cancel)(struct task *t), lua_KContext context,
              lua_KFunction k);
/** Wait for the next event of t->object, to which the tag of task_tag(t) was given: then k is
 *  called, with t->event filled. After a task_cancel nothing is called but on_cancel. */
int task_wait_event(lua_State *L, void (*on_cancel)(struct task *t), lua_KContext context,
                    lua_KFunction k);
/** The last thing that a C function does which moved bytes: give the values on top of the stack.
 *  When the resumption has used up half of its instructions and may wait, others go first, and the
 *  task goes on with a fresh budget, so that a loop over what has arrived does not run out of it.
 *  Not for failures: a loop over them must end. */
int task_give(lua_State *L, int results);
/** Let others go first; then k, with a fresh budget. As task_wait; nothing else may resume the task
 *  meanwhile. */
int task_turn(lua_State *L, void (*on_cancel)(struct task *t), lua_KContext context,
              lua_KFunction k);
/** The task's own tag, for one object at a time. @return 0 without memory */
uint64_t task_tag(struct task *t);
/** Raise when the C function that runs may not wait here. To be called before anything is begun. */
void task_check_may_wait(lua_State *L);
/** Leave nil, sentence, name on the stack of L. @return 3 */
int task_fail(lua_State *L, const char *sentence, const char *name);
/** The same from an error number of weir.h and, if not 0, a reason code; facts of weir_last_error
 *  are used when `node` is not NULL. Names: docs/lua.md ("busy", "refused", "timeout", ...). */
int task_fail_code(lua_State *L, weir_node *node, int32_t error, uint32_t reason);
/** One message or request more, caused by the event under way: false when it has had its share. */
bool task_may_send(struct task *t);

/* ---- spare coroutines: spares.c */

/** Take the coroutine of a task that ended for this one. @return false: there is none */
bool spare_take(struct task *t);
/** Keep that of a task that is done; its results are dropped. @return false: there is no room for
 *  it, or it is large */
bool spare_keep(struct task *t);
/** Give up what is kept for an instance, before it ends. */
void spares_forget(struct instance *in);

/* Words of the API, by module: each registers its own (sandbox_set) in a fresh state. */
void words_declare(lua_State *L);  /**< declare.c: protocol, game, message, request ... units */
void words_message(lua_State *L);  /**< message.c: tell */
void words_request(lua_State *L);  /**< request.c: ask, call, refuse */
void words_stream(lua_State *L);   /**< stream.c: open */
void words_peer(lua_State *L);     /**< peer.c: me, connect, drop */
void words_view(lua_State *L);     /**< view.c: tries */
void words_feed(lua_State *L);     /**< feed.c: follow */
void words_fetch(lua_State *L);    /**< fetch.c: fetch */
void words_local(lua_State *L);    /**< local.c: file, child, unix, input, env */
void words_base(lua_State *L);     /**< words.c: log, now, quit, args, hash, encode ... */
void words_use(lua_State *L);      /**< use.c: use */
#endif
