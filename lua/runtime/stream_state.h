/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_STREAM_STATE_H
#define WEIR_LUA_STREAM_STATE_H
#include "entry.h"
#include "stream_object.h"

/* What stands behind a stream in Lua, between the files stream*.c and local.c.
 *
 * The userdata is small and may vanish whenever the collector likes; the state is C's, found by its
 * tag. A stream that a peer opened belongs to its handler and ends with it. Any other lives as long
 * as Lua has it: a table of weak values shows which are gone, and those are finished as if the
 * script had done so. That is looked at when many are open, and a while after one was opened. */

enum { STREAM_READ_MAX = 65536 }; /**< longest string that one read makes */
/** What a task can wait for. */
enum stream_slot { STREAM_READS, STREAM_WRITES, STREAM_RECEIVES, STREAM_ENDS, STREAM_OPENS,
                   STREAM_SLOTS };

struct stream_state {
    struct waiter waiter;
    struct list link;          /**< in streams->all */
    struct streams *streams;
    struct instance *instance;
    struct stream_server *server; /**< a peer opened it: whom it is counted with; NULL: we did */
    struct entry *entry;       /**< NULL: a local one */
    struct task *waits[STREAM_SLOTS]; /**< who waits for what; NULL: nobody */
    struct stream_state *other;/**< stream:copy: into which */
    uint64_t handle;
    struct timer timer;        /**< idle and within; of local ones: whether Lua still has it */
    uint64_t begun_us, moved_us, look_us;
    uint64_t seen;             /**< bytes that moved until moved_us */
    uint64_t copied;           /**< by stream:copy */
    uint64_t size;             /**< of a file that is read; WEIR_NONE: not known */
    uint8_t *held;             /**< read but not given to Lua yet: a line that is not whole */
    uint32_t held_len, held_cap;
    uint32_t peer;
    uint32_t reason;           /**< of the end */
    int32_t error;
    uint64_t amount;           /**< a child's exit code */
    bool has_in, has_out;
    bool is_child;
    bool is_open;              /**< a local one: WEIR_EVENT_STREAM came */
    bool is_over;              /**< STREAM_CLOSED came: the handle is stale */
    bool is_finished;          /**< by the script */
    bool is_late;              /**< idle or within ended it */
    bool was_reset;            /**< by the script */
};

/** All streams of a Lua state. */
struct streams {
    struct list all;
    struct list guards;
    uint32_t count, look_at;   /**< so many are there; when so many are, look who is gone */
    uint64_t collected_us;
};
struct streams *streams_of(lua_State *L);

/** Push a userdata with a new state, whose tag is to be given to a handle. Raises without
 *  memory. */
struct stream_state *stream_new(lua_State *L, struct instance *in);
/** The handle exists: events come, timers run. */
void stream_began(struct stream_state *s, uint64_t handle);
/** It will not be: free what stream_new made. */
void stream_free(struct stream_state *s);
/** The state behind a userdata, or NULL when it ended with its handler. */
struct stream_state *stream_state_at(lua_State *L, int index);
/** Both lanes are given up, with a reason that weir_stream_reset takes. */
void stream_give_up(weir_node *node, uint64_t handle, uint32_t reason);
/** This lane is finished, and what is unread is not wanted. */
void stream_end_well(struct stream_state *s);
/** Everything of an instance ends: instance_close calls it after its tasks were cancelled. */
void streams_end(struct instance *in);

/** Wait in a slot of a state; then k. Raises when another task waits there. */
int stream_wait(lua_State *L, struct stream_state *s, enum stream_slot slot, lua_KContext context,
                lua_KFunction k);
/** Take that place, without waiting yet. */
void stream_enter(lua_State *L, struct stream_state *s, enum stream_slot slot);
/** A loop in C over something that is always there would never wait, and use up its budget for
 *  good: it asks whether a good part of it is used, and then waits for the next turn. Methods that
 *  loops of a script are made of end with task_give instead. */
bool turn_is_over(lua_State *L);
/** As many of `most` bytes as a string of the instance may have now: a read gives fewer rather than
 *  fail. */
uint32_t stream_fit(lua_State *L, uint32_t most);
/** The task waits in no slot any more. */
void stream_leave(struct task *t);
/** What a read or write that failed means: nil, sentence, name. A lane that was stopped, reset or
 *  finished for ever; misuse raises. */
int stream_fail(lua_State *L, struct stream_state *s, int64_t error);

/** More of what a read wants: stream_read.c */
int64_t stream_hold(struct stream_state *s, uint32_t most);
void stream_held_drop(struct stream_state *s, uint32_t bytes);

/* Words and methods, by file. */
int follow_word(lua_State *L);
void follow_class(lua_State *L);
int stream_word_open(lua_State *L);
int stream_method_read(lua_State *L);
int stream_method_read_exactly(lua_State *L);
int stream_method_read_line(lua_State *L);
int stream_method_lines(lua_State *L);
int stream_method_chunks(lua_State *L);
int stream_method_receive(lua_State *L);
int stream_method_write(lua_State *L);
int stream_method_flush(lua_State *L);
int stream_method_finish(lua_State *L);
int stream_method_reset(lua_State *L);
int stream_method_urgency(lua_State *L);
int stream_method_send(lua_State *L);
int stream_method_wait(lua_State *L);
int stream_method_copy(lua_State *L);

/** Where a script's path leads: inside the granted folder, through no symbolic link that leaves it.
 *  @param out  room for LOCAL_PATH_MAX
 *  @return NULL; or why not, with *name ("refused", "absent") */
enum { LOCAL_PATH_MAX = 4096 };
const char *local_path(const weir_lua *lua, const char *path, char *out, const char **name);

/* Things of C that must end with a task, however that ends: subscriptions, fetches. */
struct guard {
    struct list link;
    struct task *task;
    void (*on_end)(struct task *t, enum task_end end, int results); /**< that the task had before */
    void (*release)(struct guard *g); /**< must call guard_remove */
};
void guard_add(lua_State *L, struct task *t, struct guard *g, void (*release)(struct guard *g));
void guard_remove(struct guard *g);
#endif
