/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_STREAM_OBJECT_H
#define WEIR_LUA_STREAM_OBJECT_H
#include "runtime.h"

/* A stream in Lua: a full userdata of the class STREAM_CLASS. Local streams (files, children) are
 * the same. There are no finalizers: what has to outlive the userdata (waiters, tasks that wait) is
 * stream.c's, behind `state`. */
#define STREAM_CLASS "stream"

struct stream_object {
    uint64_t place;            /**< the number of its place, which place_find may know no more */
    uint64_t handle;           /**< of weir.h; 0: it is over */
    uint64_t tag;              /**< the user tag that its events carry. out:copy puts another one
                                    there while it copies (weir_stream_set_user), and this one
                                    afterwards */
    void *state;
};
/** The stream at an index, with a place that still exists; raises "a stream expected, got ...".
 *  stream.c has it. */
struct stream_object *stream_check(lua_State *L, int index);
#endif
