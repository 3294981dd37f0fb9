/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_RESPONSE_H
#define WEIR_LUA_RESPONSE_H
#include "server.h"

/* Answers in pieces, on both sides, and refusals: the classes "response", "out" and "refusal". */
#define REFUSAL_CLASS "refusal"

enum { REFUSAL_TEXT_MAX = 120 };

/** What `refuse` gives, and a handler returns. */
struct refusal {
    uint64_t retry_us;         /**< 0: no hint */
    char text[REFUSAL_TEXT_MAX + 1];
};

/** A request of the task began to be answered (t->object): push what it reads. The answer ends with
 *  the task. @return as a C function of Lua: it may be a failure */
int response_push(lua_State *L, struct task *t, struct instance *in, struct entry *e);
/** Answers in pieces that a task read end with it. */
void responses_end(struct task *t);
/** Push what a handler writes its answer to. */
void out_push(lua_State *L, struct served *r);
/** Hand over what is left of a whole answer. @return false: it was taken, or cannot be */
bool served_hand_over(struct served *r);
/** What happens to a request that is served. @return true: it is over and nobody is at work on it:
 *  free it. It may be gone on return. */
bool served_on_event(struct served *r, const weir_event *event);
void words_response(lua_State *L);
#endif
