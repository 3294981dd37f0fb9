/* SPDX-License-Identifier: MIT */
/* Files, through libuv's threads. One operation at a time: what follows is decided when it is done.
 *
 *   open, stat, then reads as credit allows or writes as bytes wait, fsync after the last, close
 *
 * A file is opened without waiting for anybody (O_NONBLOCK). A FIFO, or a device that is read,
 * could hold a thread of libuv's for ever (nobody types): it is polled like a pipe (local_pipe.c),
 * if epoll takes it. What it refuses (/dev/null) never waits. */
#include "base/assert.h"
#include "host/local_item.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CREATE_MODE = 0666 /* less the process's mask */ };

static int open_flags(const struct local *l)
{
    int always = O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

    if ((l->flags & WEIR_FILE_READ) != 0) return always | O_RDONLY;
    if ((l->flags & WEIR_FILE_APPEND) != 0) return always | O_WRONLY | O_CREAT | O_APPEND;
    always |= O_WRONLY | O_CREAT;
    if ((l->flags & WEIR_FILE_NEW) != 0) return always | O_EXCL;
    bool keeps = l->position != 0 || (l->flags & WEIR_FILE_KEEP) != 0;
    return keeps ? always : always | O_TRUNC;
}

/* The operation's facts, while the request has them. */
static void take_stat(struct local *l, const uv_stat_t *st)
{
    bool is_read = (l->flags & WEIR_FILE_READ) != 0, is_fifo = S_ISFIFO(st->st_mode);
    bool is_device = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);

    l->is_seekable = S_ISREG(st->st_mode) && (l->flags & WEIR_FILE_APPEND) == 0;
    l->is_pollable = is_fifo || (S_ISCHR(st->st_mode) && is_read);
    if (!S_ISREG(st->st_mode) && !is_device && !is_fifo) l->result = UV_EINVAL;
    if (l->result == 0) l->result = (int64_t)(st->st_size > INT64_MAX ? 0 : st->st_size);
}

static void on_done(uv_fs_t *fs)
{
    struct local *l = fs->data;

    WEIR_ASSERT(l->op != LOCAL_IDLE);
    l->result = fs->result;
    if (l->op == LOCAL_STAT && fs->result == 0) take_stat(l, &fs->statbuf);
    uv_fs_req_cleanup(fs);
    l->is_done = true;
    l->locals->busy--;
    l->locals->has_news = true;
    if (l->locals->is_closed) {
        local_file_drop(l);
        local_release(l);
    } else {
        local_queue(l);
    }
}

static int start_now(struct local *l, enum local_op op, size_t len)
{
    uv_loop_t *loop = l->locals->loop;
    uv_buf_t buf = uv_buf_init((char *)l->bytes, (unsigned)len);
    int64_t position = l->is_seekable ? l->position : -1;

    switch (op) {
    case LOCAL_FILE_OPEN:
        return uv_fs_open(loop, &l->fs, l->what, open_flags(l), CREATE_MODE, on_done);
    case LOCAL_STAT: return uv_fs_fstat(loop, &l->fs, l->fd, on_done);
    case LOCAL_READ: return uv_fs_read(loop, &l->fs, l->fd, &buf, 1, position, on_done);
    case LOCAL_WRITE: return uv_fs_write(loop, &l->fs, l->fd, &buf, 1, position, on_done);
    case LOCAL_SYNC: return uv_fs_fsync(loop, &l->fs, l->fd, on_done);
    case LOCAL_FILE_CLOSE: return uv_fs_close(loop, &l->fs, l->fd, on_done);
    default: WEIR_ASSERT(op != LOCAL_IDLE); return 0;
    }
}

static void start(struct local *l, enum local_op op, size_t len)
{
    int result;

    WEIR_ASSERT(l->op == LOCAL_IDLE);
    l->fs.data = l;
    l->op = op;
    l->is_done = false;
    result = start_now(l, op, len);
    if (result == 0) {
        l->locals->busy++;
        return;
    }
    l->is_done = true;
    l->result = result;
    local_queue(l);
}

static bool has_bytes(struct local *l)
{
    if (l->bytes == NULL) l->bytes = mem_resize(l->locals->mem, NULL, 0, LOCAL_PIECE_BYTES);
    if (l->bytes == NULL) l->error = WEIR_E_MEMORY;
    return l->bytes != NULL;
}

static void rest(struct local *l)
{
    mem_free(l->locals->mem, l->bytes, LOCAL_PIECE_BYTES);
    l->bytes = NULL;
}

static void moved(struct local *l, int64_t bytes)
{
    if (l->position < INT64_MAX - bytes) l->position += bytes;
}

/* Who has no disk behind it need not be asked to write to it. */
static bool is_sync_done(int64_t result)
{
    return result == 0 || result == UV_EINVAL || result == UV_ENOTSUP || result == UV_EROFS;
}

/* An operation ended. */
static void take_result(struct local *l, struct node *node, uint64_t now_us)
{
    enum local_op op = l->op;
    int64_t result = l->result;
    bool is_sync = op == LOCAL_SYNC && is_sync_done(result);

    l->op = LOCAL_IDLE;
    if (result < 0 && !is_sync && l->error == 0) l->error = local_error(result);
    if (op == LOCAL_FILE_CLOSE) {
        l->fd = -1; /* whatever the system says of it */
        l->is_end = true;
    }
    if (result < 0 && !is_sync) return;
    switch (op) {
    case LOCAL_FILE_OPEN: l->fd = (uv_file)result; break;
    case LOCAL_STAT:
        l->is_checked = true;
        if (l->is_pollable && !l->is_given_up && l->error == 0)
            l->error = local_error(local_pipe_adopt(l));
        if (l->error != 0) return;
        (void)local_tell(l, node, NODE_LOCAL_OPENED, (uint64_t)result, NULL, 0, now_us);
        break;
    case LOCAL_READ:
        l->held = (size_t)result;
        l->is_end = result == 0;
        break;
    case LOCAL_WRITE:
        moved(l, result);
        (void)local_tell(l, node, NODE_LOCAL_WROTE, (uint64_t)result, NULL, 0, now_us);
        break;
    case LOCAL_SYNC: l->is_synced = true; break;
    default: break;
    }
}

/* @return whether there is nothing more to read into */
static bool run_read(struct local *l, struct node *node, uint64_t now_us)
{
    int64_t credit;

    if (l->held > 0) {
        if (local_tell(l, node, NODE_LOCAL_DATA, 0, l->bytes, l->held, now_us) != 0) return false;
        moved(l, (int64_t)l->held);
        l->held = 0;
    }
    credit = node_local_credit(node, l->token);
    if (credit < 0) return true;
    if (credit == 0) {
        rest(l);
        return false;
    }
    if (!has_bytes(l)) return true;
    start(l, LOCAL_READ, credit > LOCAL_PIECE_BYTES ? LOCAL_PIECE_BYTES : (size_t)credit);
    return false;
}

static bool run_write(struct local *l, struct node *node)
{
    const uint8_t *data;
    bool fin;
    int64_t len = node_local_peek(node, l->token, &data, &fin);

    if (len < 0) return true;
    if (len == 0) {
        rest(l);
        if (fin) start(l, LOCAL_SYNC, 0);
        return false;
    }
    if (!has_bytes(l)) return true;
    if (len > LOCAL_PIECE_BYTES) len = LOCAL_PIECE_BYTES;
    memcpy(l->bytes, data, (size_t)len);
    start(l, LOCAL_WRITE, (size_t)len);
    return false;
}

void local_file_run(struct local *l, struct node *node, uint64_t now_us)
{
    bool is_over;

    if (l->op != LOCAL_IDLE) {
        if (!l->is_done) return;
        take_result(l, node, now_us);
    }
    if (l->is_polled) {
        local_pipe_run(l, node, now_us);
        return;
    }
    is_over = l->error != 0 || l->is_given_up || l->is_end || l->is_synced;
    if (l->fd < 0) {
        if (is_over)
            local_finish(l, node, now_us);
        else
            start(l, LOCAL_FILE_OPEN, 0);
        return;
    }
    if (!is_over && !l->is_checked) {
        start(l, LOCAL_STAT, 0);
        return;
    }
    if (!is_over) {
        bool is_read = (l->flags & WEIR_FILE_READ) != 0;

        is_over = is_read ? run_read(l, node, now_us) : run_write(l, node);
    }
    if (is_over) start(l, LOCAL_FILE_CLOSE, 0);
}

void local_file_drop(struct local *l)
{
    if (l->op != LOCAL_IDLE) {
        if (!l->is_done) return; /* a thread is at it */
        if (l->op == LOCAL_FILE_OPEN && l->result >= 0) l->fd = (uv_file)l->result;
        if (l->op == LOCAL_FILE_CLOSE) l->fd = -1;
        l->op = LOCAL_IDLE;
    }
    if (l->fd >= 0) (void)close(l->fd);
    l->fd = -1;
}
