/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HOST_LOCAL_ITEM_H
#define WEIR_HOST_LOCAL_ITEM_H
#include "host/local.h"

/* One file, child or Unix socket. Private to the local*.c of host. */

enum local_op { LOCAL_IDLE, LOCAL_FILE_OPEN, LOCAL_STAT, LOCAL_READ, LOCAL_WRITE, LOCAL_SYNC,
                LOCAL_FILE_CLOSE };

/** One direction of a pipe or socket. */
struct local_end {
    uv_poll_t poll;            /**< first: the callback finds the end by it */
    int fd;                    /**< -1: closed */
    bool is_watched, is_ready;
};

struct local {
    struct locals *locals;
    uint64_t token;
    struct list link, ready_link;
    uint32_t kind, flags;      /**< enum node_local_kind, WEIR_FILE_* */
    char *what;                /**< path or arguments, len bytes and a zero byte */
    size_t len;
    bool is_begun;             /**< opened, or tried to be */
    bool is_given_up, is_to_kill;
    bool is_told;              /**< node heard the end, or is gone: only memory is left */
    int error;                 /**< WEIR_E_* of the end */
    uint32_t handles;          /**< of libuv that are not closed yet */

    /* A file. */
    uv_fs_t fs;
    enum local_op op;          /**< LOCAL_IDLE: none */
    bool is_done;              /**< op is, with this result */
    bool is_checked;           /**< it is of a kind that is read and written */
    bool is_pollable;          /**< a FIFO, or a device to read: perhaps polled ... */
    bool is_polled;            /**< ... and it is: `in` or `out` has it, as a child's pipe */
    bool is_seekable, is_end, is_synced;
    int64_t result;
    uv_file fd;
    int64_t position;
    uint8_t *bytes;            /**< of the operation; NULL: idle */
    size_t held;               /**< that node has not taken yet */

    /* A child, a Unix socket, a file that is polled. */
    struct local_end in, out;
    uv_process_t process;
    bool is_running;
    uint64_t exit_code;
    uint64_t kill_us;          /**< when SIGKILL is due; 0: not */
};

/* local.c */
/** Let locals_run look at it. */
void local_queue(struct local *l);
/** One input of node. @return node_input's answer */
int64_t local_tell(const struct local *l, struct node *node, uint32_t fact, uint64_t amount,
                   const void *data, size_t len, uint64_t now_us);
/** Everything is closed: the last input. l may be gone afterwards. */
void local_finish(struct local *l, struct node *node, uint64_t now_us);
/** Free it as soon as nothing of it is under way. */
void local_release(struct local *l);
/** What the ABI calls one of libuv's errors. */
int local_error(int64_t uv_error);

/* local_file.c */
void local_file_run(struct local *l, struct node *node, uint64_t now_us);
/** Node is gone. */
void local_file_drop(struct local *l);

/* local_pipe.c */
void local_pipe_run(struct local *l, struct node *node, uint64_t now_us);
void local_pipe_write(struct local *l, struct node *node, uint64_t now_us);
/** Watch a descriptor that becomes the end's. @return 0 or libuv's error (it is closed) */
int local_end_open(struct local *l, struct local_end *end, int fd);
/** From now on the open file goes on as a pipe does, when the system can say that it is ready.
 *  @return 0, also when it stays a file; or libuv's error */
int local_pipe_adopt(struct local *l);
/** Whether it is read and written by local_pipe_*, not by threads. */
static inline bool local_is_pipe(const struct local *l)
{
    return l->kind != NODE_LOCAL_FILE || l->is_polled;
}
void local_end_close(struct local_end *end);

/* local_child.c */
/** @return 0 or libuv's error */
int local_child_spawn(struct local *l);
/** SIGTERM now, SIGKILL when it is still there later. */
void local_child_kill(struct local *l, uint64_t now_us);
/** SIGKILL if that is due. */
void local_child_on_time(struct local *l, uint64_t now_us);
/** SIGKILL. */
void local_child_drop(struct local *l);
/** write() into a child's pipe without SIGPIPE. @return as write, with errno */
ssize_t local_child_write(int fd, const void *data, size_t len);
#endif
