/* SPDX-License-Identifier: MIT */
/* What is read and written as it becomes ready: a child's standard input and output, a Unix socket,
 * a FIFO, a terminal. Each direction is a descriptor of its own (a socket's is doubled): so both
 * are ended alike. */
#include "base/assert.h"
#include "host/local_item.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { WRITES_MAX = 4 /* in one turn; a ring's bytes are two pieces at most */ };

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct local_end *end = (struct local_end *)(void *)poll;
    struct local *l = poll->data;

    (void)events;
    /* libuv stops watching what has an error: the read or write will say which. */
    if (status < 0) end->is_watched = false;
    end->is_ready = true;
    l->locals->has_news = true;
    local_queue(l);
}

static void on_closed(uv_handle_t *handle)
{
    struct local *l = handle->data;

    l->handles--;
    local_release(l);
}

/* On failure fd stays the caller's. */
static int take(struct local *l, struct local_end *end, int fd)
{
    int result = uv_poll_init(l->locals->loop, &end->poll, fd);

    if (result != 0) return result;
    end->poll.data = l;
    end->fd = fd;
    l->handles++;
    return 0;
}

int local_end_open(struct local *l, struct local_end *end, int fd)
{
    int result = take(l, end, fd);

    if (result != 0) (void)close(fd);
    return result;
}

int local_pipe_adopt(struct local *l)
{
    struct locals *locals = l->locals;
    int result;

    if (locals->buffer == NULL) locals->buffer = mem_alloc(locals->mem, LOCAL_PIECE_BYTES);
    if (locals->buffer == NULL) return UV_ENOMEM;
    result = take(l, (l->flags & WEIR_FILE_READ) != 0 ? &l->in : &l->out, l->fd);
    if (result == UV_EPERM) return 0; /* of epoll: it is always ready */
    if (result != 0) return result;
    l->fd = -1;
    l->is_polled = l->is_begun = true;
    return 0;
}

void local_end_close(struct local_end *end)
{
    if (end->fd < 0) return;
    uv_close((uv_handle_t *)&end->poll, on_closed);
    (void)close(end->fd);
    end->fd = -1;
    end->is_watched = end->is_ready = false;
}

static void watch(struct local *l, struct local_end *end, int events)
{
    if (end->is_watched) return;
    end->is_watched = uv_poll_start(&end->poll, events, on_ready) == 0;
    l->locals->is_changed = true;
}

static void unwatch(struct local_end *end)
{
    if (!end->is_watched) return;
    (void)uv_poll_stop(&end->poll);
    end->is_watched = false;
}

static int connect_to(int fd, const char *path, size_t len)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int result;

    if (len >= sizeof name.sun_path) return UV_ENAMETOOLONG;
    memcpy(name.sun_path, path, len);
    do {
        result = connect(fd, (const struct sockaddr *)&name, sizeof name);
    } while (result < 0 && errno == EINTR);
    if (result == 0) return 0;
    /* Its queue is full. */
    return errno == EAGAIN ? UV_ECONNREFUSED : uv_translate_sys_error(errno);
}

static int open_unix(struct local *l)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), second, result;

    if (fd < 0) return uv_translate_sys_error(errno);
    result = connect_to(fd, l->what, l->len);
    second = result == 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (result == 0 && second < 0) result = uv_translate_sys_error(errno);
    if (result != 0) {
        (void)close(fd);
        return result;
    }
    result = local_end_open(l, &l->in, fd);
    if (result != 0) {
        (void)close(second);
        return result;
    }
    return local_end_open(l, &l->out, second);
}

static void begin(struct local *l, struct node *node, uint64_t now_us)
{
    int result;

    l->is_begun = true;
    if (l->is_given_up) return;
    result = l->kind == NODE_LOCAL_CHILD ? local_child_spawn(l) : open_unix(l);
    l->error = local_error(result);
    if (result == 0) (void)local_tell(l, node, NODE_LOCAL_OPENED, 0, NULL, 0, now_us);
}

static void close_out(struct local *l)
{
    if (l->out.fd >= 0 && l->kind == NODE_LOCAL_UNIX) (void)shutdown(l->out.fd, SHUT_WR);
    local_end_close(&l->out);
}

static ssize_t write_once(const struct local *l, const void *data, size_t len)
{
    ssize_t n;

    do {
        n = l->kind == NODE_LOCAL_UNIX ? send(l->out.fd, data, len, MSG_NOSIGNAL)
                                       : local_child_write(l->out.fd, data, len);
    } while (n < 0 && errno == EINTR);
    return n;
}

/* The other side reads no more: node hears it, and nothing is lost that could still arrive. A FIFO
 * has no other direction: it ends. */
static void broken(struct local *l, struct node *node, int uv_error, uint64_t now_us)
{
    struct node_input in = {.kind = NODE_INPUT_LOCAL, .now_us = now_us};

    local_end_close(&l->out);
    if (l->kind == NODE_LOCAL_FILE) {
        l->error = local_error(uv_error);
        return;
    }
    in.local.fact = NODE_LOCAL_WROTE;
    in.local.token = l->token;
    in.local.error = WEIR_E_STOPPED;
    (void)node_input(node, &in);
}

void local_pipe_write(struct local *l, struct node *node, uint64_t now_us)
{
    unsigned i;

    for (i = 0; i < WRITES_MAX && l->out.fd >= 0; i++) {
        const uint8_t *data;
        bool fin;
        int64_t len = node_local_peek(node, l->token, &data, &fin);
        ssize_t n;

        if (len <= 0) {
            unwatch(&l->out);
            if (len < 0 || fin) close_out(l);
            return;
        }
        if (l->out.is_watched && !l->out.is_ready) return;
        n = write_once(l, data, (size_t)len);
        l->out.is_ready = n > 0;
        if (n > 0) {
            (void)local_tell(l, node, NODE_LOCAL_WROTE, (uint64_t)n, NULL, 0, now_us);
        } else if (n < 0 && errno != EAGAIN) {
            broken(l, node, uv_translate_sys_error(errno), now_us);
        } else {
            watch(l, &l->out, UV_WRITABLE);
            return;
        }
    }
    if (l->out.fd >= 0) local_queue(l);
}

static void read_once(struct local *l, struct node *node, size_t credit, uint64_t now_us)
{
    ssize_t n;

    l->in.is_ready = false;
    do {
        n = read(l->in.fd, l->locals->buffer, credit);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        (void)local_tell(l, node, NODE_LOCAL_DATA, 0, l->locals->buffer, (size_t)n, now_us);
    } else if (n == 0) {
        local_end_close(&l->in);
        (void)local_tell(l, node, NODE_LOCAL_END, 0, NULL, 0, now_us);
    } else if (errno != EAGAIN) {
        l->error = local_error(uv_translate_sys_error(errno));
        local_end_close(&l->in);
    }
}

static void run_read(struct local *l, struct node *node, uint64_t now_us)
{
    int64_t credit;

    if (l->in.fd >= 0 && l->in.is_ready && (credit = node_local_credit(node, l->token)) > 0) {
        bool is_more = credit > LOCAL_PIECE_BYTES;

        read_once(l, node, is_more ? LOCAL_PIECE_BYTES : (size_t)credit, now_us);
    }
    if (l->in.fd < 0) return;
    credit = node_local_credit(node, l->token);
    if (credit < 0)
        local_end_close(&l->in);
    else if (credit == 0)
        unwatch(&l->in);
    else
        watch(l, &l->in, UV_READABLE);
}

void local_pipe_run(struct local *l, struct node *node, uint64_t now_us)
{
    if (!l->is_begun) begin(l, node, now_us);
    if (l->is_given_up) {
        local_end_close(&l->in);
        local_end_close(&l->out);
        if (l->is_to_kill) local_child_kill(l, now_us);
    }
    local_pipe_write(l, node, now_us);
    run_read(l, node, now_us);
    if (l->is_running) return;
    if (l->error == 0 && l->in.fd >= 0) return;
    if (l->error == 0 && l->kind != NODE_LOCAL_CHILD && l->out.fd >= 0) return;
    local_end_close(&l->in);
    local_end_close(&l->out);
    local_finish(l, node, now_us);
}
