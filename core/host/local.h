/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HOST_LOCAL_H
#define WEIR_HOST_LOCAL_H
#include "base/list.h"
#include "base/map.h"
#include "node/node.h"
#include <uv.h>

/* Files, child processes and Unix sockets of a host (node/driver.h: local_open).
 *
 * As everywhere in host the loop's callbacks only note what happened; locals_run does the work, and
 * gives node its inputs, from a turn. Files go through libuv's threads, one operation of each at a
 * time. Pipes and sockets are watched, and read or written when they are ready: so that SIGPIPE can
 * be kept away without changing the program's signals, and no byte is read that node has no room
 * for. A pipe is watched for reading only while there is credit. A path that leads to a FIFO, or to
 * a terminal that is read, is such a pipe. */

enum {
    LOCAL_PIECE_BYTES = 65536,   /**< read or written at a time */
    LOCAL_KILL_WAIT_US = 2000000 /**< from SIGTERM to SIGKILL */
};

struct locals {
    const struct mem *mem;
    uv_loop_t *loop;
    struct map by_token;
    struct list all;           /**< by link */
    struct list ready;         /**< to be looked at, by ready_link */
    uint8_t *buffer;           /**< LOCAL_PIECE_BYTES, of pipes; NULL until one is open */
    uint32_t busy;             /**< operations that threads are at, and children that run */
    uint32_t dying;            /**< children that wait for SIGKILL */
    bool is_changed;           /**< epoll does not know the newest watches: the loop must run */
    bool has_news;             /**< the loop found something; who waits for that clears it */
    bool is_closed;
};

/** @param loop, mem  outlive it */
void locals_init(struct locals *locals, uv_loop_t *loop, const struct mem *mem);
/** As struct node_driver's functions of these names. */
int locals_open(struct locals *locals, uint32_t kind, uint32_t flags, const char *what, size_t len,
                uint64_t offset, uint64_t token);
void locals_wants(struct locals *locals, uint64_t token);
void locals_end(struct locals *locals, uint64_t token, bool kill);
/** Look at all that is ready. Not from inside node. */
void locals_run(struct locals *locals, struct node *node, uint64_t now_us);
/** Write what may leave, and read nothing. */
void locals_flush(struct locals *locals, struct node *node, uint64_t now_us);
/** When locals_run has something to do without the loop finding anything; UINT64_MAX: never. */
uint64_t locals_deadline(const struct locals *locals);
/** The node is gone: kill children, close everything. Run the loop until busy is 0 and its handles
 *  are closed; then locals_free. */
void locals_close(struct locals *locals);
void locals_free(struct locals *locals);
#endif
