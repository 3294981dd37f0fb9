/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_H
#define WEIR_LUA_H
/*
 * weir_lua: scripts on the nodes of weir.h, for any language.
 *
 * A runtime holds scripts; a script that is attached to a node is an instance. The same script runs
 * on a node of the real world and on the nodes of a simulated one, and cannot tell. The rules of
 * weir.h hold: nothing calls you, errors carry facts, options grow at the end.
 *
 *     weir_lua *lua;
 *     weir_lua_create(NULL, &lua, NULL);
 *     int64_t script = weir_lua_load(lua, "echo.lua", text, length, &error);
 *     weir_lua_attach(lua, node, script, NULL, 0, &error);
 *     for (;;) {
 *         weir_event events[64];
 *         int64_t count = weir_lua_poll(lua, node, events, 64, -1);
 *         ... events that are not the scripts' ...
 *     }
 *
 * A runtime belongs to one thread, that of its nodes. In the real world every script file has a
 * state of its own, in a world one state serves a script on all nodes; each instance has its own
 * memory cap in both. What scripts may do beyond talking to peers is granted in the options.
 */
#include "weir.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(WEIR_LUA_BUILD) && defined(__GNUC__)
#define WEIR_LUA_API __attribute__((visibility("default")))
#else
#define WEIR_LUA_API
#endif

typedef struct weir_lua weir_lua;

#define WEIR_LUA_ALLOW_EXEC 1u /**< start child processes */
#define WEIR_LUA_ALLOW_ENV 2u  /**< read environment variables */
#define WEIR_LUA_ALLOW_UNIX 4u /**< connect to Unix sockets */
#define WEIR_LUA_ALLOW_INPUT 8u /**< read this process's standard input */

/** How a runtime is made. */
typedef struct weir_lua_options {
    uint32_t size;             /**< sizeof(weir_lua_options) as you compiled it */
    uint32_t allow;            /**< WEIR_LUA_ALLOW_* */
    uint64_t memory_bytes;     /**< of each script's state; 0: 16 MiB, in a world 64 KiB for each
                                    instance and 64 MiB beside */
    uint64_t instance_bytes;   /**< of each instance; 0: the state's in the real world, 64 KiB in a
                                    world */
    uint64_t instructions;     /**< of each resumption; 0: 100,000 */
    uint64_t seed;             /**< of the scripts' randomness in the real world; 0: from the
                                    system. In a world it comes from the world */
    const char *files;         /**< the folder whose files scripts may open; NULL: none. Copied */
    uint32_t timers_max;       /**< of an instance; 0: 256 */
    uint32_t tasks_max;        /**< of an instance: handlers under way or waiting; 0: 1024 */
    uint32_t messages_per_event; /**< that one event may cause; 0: twice the largest view's cap, at
                                    least 64 */
    uint32_t log_lines;        /**< kept until they are taken; 0: 1024 */
    const char *const *modules;/**< folders in which `use` looks after its own; NULL-terminated.
                                    Copied */
} weir_lua_options;

/** Make a runtime without scripts.
 *  @return 0 and *lua; WEIR_E_NULL, WEIR_E_SIZE, WEIR_E_UNKNOWN_OPTION, WEIR_E_MEMORY
 *  @owner  yours: weir_lua_free, before its nodes are freed
 *  @since  0.1 */
WEIR_LUA_API int32_t weir_lua_create(const weir_lua_options *options, weir_lua **lua,
                                 weir_error *error);

/** End a runtime: instances stop without a word to their scripts, what they served is no longer.
 *  @return 0, WEIR_E_NULL
 *  @since  0.1 */
WEIR_LUA_API int32_t weir_lua_free(weir_lua *lua);

/** Load a script, or load it anew: one with the same name that runs already goes on with the new
 *  text, its connections, fields and views untouched (a changed declaration cannot be taken over:
 *  WEIR_E_STATE). A script that does not load changes nothing.
 *  @param name  for messages, and to look for what it uses: a path or any name
 *  @param text  len bytes of Lua, at most 1 MiB, never bytecode
 *  @param error facts: detail is "file.lua:12: what is wrong (did you mean ...?)"
 *  @return the script's number (1 or more); WEIR_E_ARGUMENT it does not load; WEIR_E_STATE,
 *          WEIR_E_LIMIT (64 scripts), WEIR_E_MEMORY, WEIR_E_NULL
 *  @since  0.1 */
WEIR_LUA_API int64_t weir_lua_load(weir_lua *lua, const char *name, const char *text, uint64_t len,
                               weir_error *error);

/** Start a script on a node: it serves what it declares, and its `start` runs.
 *  @param arguments  texts for `start` and `args`; copied
 *  @return 0; WEIR_E_EXISTS it runs there already, or another serves the same name;
 *          WEIR_E_NOT_FOUND no such script; what weir_node_serve said; WEIR_E_MEMORY, WEIR_E_NULL
 *  @since  0.1 */
WEIR_LUA_API int32_t weir_lua_attach(weir_lua *lua, weir_node *node, int64_t script,
                                 const char *const *arguments, uint32_t count, weir_error *error);

/** Stop the scripts of a node: their `stop` runs, what they served is refused from now on, links
 *  are given up. The node is not touched otherwise.
 *  @return 0; WEIR_E_NOT_FOUND nothing is attached to it
 *  @since  0.1 */
WEIR_LUA_API int32_t weir_lua_detach(weir_lua *lua, weir_node *node);

/** Hand events of any nodes to the scripts that they belong to. For programs that poll themselves.
 *  @param events  count of them, in order; those that are not the scripts' stay, moved to the front
 *  @return how many stay
 *  @since  0.1 */
WEIR_LUA_API int64_t weir_lua_events(weir_lua *lua, weir_event *events, uint32_t count);

/** When the scripts' next timer is due, on the nodes' clock. After it call weir_lua_events, with no
 *  events if there are none.
 *  @return microseconds; WEIR_NONE
 *  @since  0.1 */
WEIR_LUA_API uint64_t weir_lua_deadline(weir_lua *lua);

/** weir_node_poll, with the scripts' events and timers dealt with.
 *  @return events that are not the scripts', 0 to cap; as weir_node_poll
 *  @since  0.1 */
WEIR_LUA_API int64_t weir_lua_poll(weir_lua *lua, weir_node *node, weir_event *events, uint32_t cap,
                               int64_t timeout_us);

/** Run a world with its scripts up to a time. Events that are not the scripts' are dropped.
 *  @return 0 until_us was reached; 1 a script asked to end (weir_lua_info.is_over)
 *  @since  0.1 */
WEIR_LUA_API int32_t weir_lua_run(weir_lua *lua, weir_world *world, uint64_t until_us);

/** A line that a script printed or logged, or what was said of it. */
typedef struct weir_lua_line {
    uint64_t time_us;          /**< on the node's clock */
    uint64_t node;             /**< in a world: whose; else 0 */
    uint32_t script;           /**< its number */
    uint32_t level;            /**< 0 printed; 1 error, 2 warning, 3 info, 4 debug */
    uint32_t reserved;         /**< 0 */
    uint32_t length;           /**< of text */
    char text[2048];           /**< control bytes replaced, but for tabs */
} weir_lua_line;

/** Take the oldest line.
 *  @return 1; 0 none waits
 *  @since  0.1 */
WEIR_LUA_API int32_t weir_lua_next_line(weir_lua *lua, weir_lua_line *line);

/** What the scripts did and hold. */
typedef struct weir_lua_info {
    uint32_t size;             /**< sizeof(weir_lua_info) as you compiled it */
    uint32_t scripts;
    uint64_t instances, tasks, timers, peers;
    uint64_t memory_bytes, memory_peak_bytes; /**< of Lua, all states */
    uint64_t native_bytes;     /**< of views, peers, timers: the runtime's own */
    uint64_t instructions, resumptions;
    uint64_t errors;           /**< handlers that failed */
    uint64_t stopped;          /**< of them: out of instructions or memory */
    uint64_t messages_out, messages_in, requests_out, requests_in, streams_in;
    uint64_t dropped;          /**< what a full queue, a wrong form, a limit or a missing place
                                    turned away: messages, requests, streams */
    uint64_t lines_dropped;    /**< log lines that nobody took in time */
    uint32_t is_over;          /**< 1: a script called quit */
    int32_t exit_code;         /**< what it gave */
    uint64_t idle;             /**< 1: nothing is served, waits or is timed: a program is done */
} weir_lua_info;

/** Set info->size first.
 *  @return 0, WEIR_E_NULL, WEIR_E_SIZE
 *  @since  0.1 */
WEIR_LUA_API int32_t weir_lua_get_info(weir_lua *lua, weir_lua_info *info);

/** The `weir` command: runs it as if this process were it.
 *  @return the exit code
 *  @since  0.1 */
WEIR_LUA_API int32_t weir_lua_command(int32_t count, const char *const *arguments);

#ifdef __cplusplus
}
#endif
#endif
