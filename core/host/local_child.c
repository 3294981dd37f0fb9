/* SPDX-License-Identifier: MIT */
/* Child processes: how they begin, and how they die. libuv waits for them, so none stays a zombie
 * while a loop runs; the loop of a closed node runs until all have ended. */
#include "base/assert.h"
#include "host/clock.h"
#include "host/local_item.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void on_process_closed(uv_handle_t *handle)
{
    struct local *l = handle->data;

    l->handles--;
    local_release(l);
}

static void not_dying(struct local *l)
{
    if (l->kill_us == 0) return;
    l->kill_us = 0;
    l->locals->dying--;
}

static void on_child_exit(uv_process_t *process, int64_t status, int signal_number)
{
    struct local *l = process->data;

    WEIR_ASSERT(l->is_running);
    l->is_running = false;
    l->exit_code = signal_number != 0 ? 256 + (uint64_t)signal_number : (uint64_t)status & 0xff;
    l->locals->busy--;
    l->locals->has_news = true;
    not_dying(l);
    uv_close((uv_handle_t *)process, on_process_closed);
    local_queue(l);
}

/* The arguments as exec wants them. @return NULL without memory */
static char **arguments_of(const struct local *l, size_t *bytes)
{
    size_t count = 0, at, i = 0;
    char **arguments;

    for (at = 0; at < l->len; at++) count += l->what[at] == '\0';
    *bytes = (count + 1) * sizeof *arguments;
    arguments = mem_alloc(l->locals->mem, *bytes);
    if (arguments == NULL) return NULL;
    for (at = 0; i < count; at += strlen(l->what + at) + 1) arguments[i++] = l->what + at;
    return arguments;
}

static void close_both(const int fds[2])
{
    if (fds[0] >= 0) (void)close(fds[0]);
    if (fds[1] >= 0) (void)close(fds[1]);
}

static int start(struct local *l, char **arguments, int input, int output)
{
    uv_stdio_container_t stdio[3] = {{.flags = UV_INHERIT_FD, .data.fd = input},
                                     {.flags = UV_INHERIT_FD, .data.fd = output},
                                     {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO}};
    uv_process_options_t options = {.exit_cb = on_child_exit,
                                    .file = arguments[0],
                                    .args = arguments,
                                    .stdio_count = 3,
                                    .stdio = stdio};
    int result;

    if (fcntl(STDERR_FILENO, F_GETFD) < 0) stdio[2].flags = UV_IGNORE;
    result = uv_spawn(l->locals->loop, &l->process, &options);
    l->process.data = l;
    l->handles++;
    l->locals->is_changed = true;
    if (result != 0) {
        uv_close((uv_handle_t *)&l->process, on_process_closed);
        return result;
    }
    l->is_running = true;
    l->locals->busy++;
    return 0;
}

static int spawn(struct local *l, int input[2], int output[2])
{
    size_t bytes;
    char **arguments = arguments_of(l, &bytes);
    int result;

    if (arguments == NULL) return UV_ENOMEM;
    result = local_end_open(l, &l->out, input[1]);
    input[1] = -1;
    if (result == 0) {
        result = local_end_open(l, &l->in, output[0]);
        output[0] = -1;
    }
    if (result == 0) result = start(l, arguments, input[0], output[1]);
    mem_free(l->locals->mem, arguments, bytes);
    return result;
}

int local_child_spawn(struct local *l)
{
    int input[2] = {-1, -1}, output[2] = {-1, -1}, result = 0;

    if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0)
        result = uv_translate_sys_error(errno);
    if (result == 0) result = spawn(l, input, output);
    close_both(input);
    close_both(output);
    return result;
}

void local_child_kill(struct local *l, uint64_t now_us)
{
    if (!l->is_running || l->kill_us != 0) return;
    l->is_to_kill = false;
    (void)uv_process_kill(&l->process, SIGTERM);
    l->kill_us = clock_after(now_us, LOCAL_KILL_WAIT_US);
    l->locals->dying++;
}

void local_child_on_time(struct local *l, uint64_t now_us)
{
    if (l->kill_us == 0 || now_us < l->kill_us) return;
    not_dying(l);
    (void)uv_process_kill(&l->process, SIGKILL);
}

void local_child_drop(struct local *l)
{
    if (!l->is_running) return;
    not_dying(l);
    /* The program may end right after it closed its node: nobody would be there to insist. */
    (void)uv_process_kill(&l->process, SIGKILL);
}

/* A library must neither let SIGPIPE end the program nor change what the program does with it: the
 * signal is for this thread alone, so it is held back for the one call and taken off again. */
ssize_t local_child_write(int fd, const void *data, size_t len)
{
    static const struct timespec none = {0};
    sigset_t pipe_only, old, waiting;
    ssize_t n;
    int error;

    (void)sigemptyset(&pipe_only);
    (void)sigaddset(&pipe_only, SIGPIPE);
    (void)sigpending(&waiting);
    (void)pthread_sigmask(SIG_BLOCK, &pipe_only, &old);
    n = write(fd, data, len);
    error = errno;
    if (n < 0 && error == EPIPE && sigismember(&waiting, SIGPIPE) == 0) {
        while (sigtimedwait(&pipe_only, NULL, &none) < 0 && errno == EINTR) continue;
    }
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = error;
    return n;
}
