/* SPDX-License-Identifier: MIT */
#include "host/host.h"
#include "base/assert.h"
#include "host/clock.h"
#include "host/fail.h"
#include "host/turn.h"
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

static int64_t host_poll(void *context, weir_event *events, uint32_t cap, int64_t timeout_us)
{
    return turn_poll(context, events, cap, timeout_us);
}

static void host_flush(void *context)
{
    struct host *host = context;

    turn_send(host, clock_now_us());
    locals_flush(&host->locals, host->node, clock_now_us());
    turn_settle(host);
}

static void log_buffers(struct host *host, uint32_t number)
{
    struct port *port = &host->ports.port[number - 1];
    const struct udp_socket *s = port->ip6 != NULL ? &port->ip6->udp : &port->ip4->udp;
    uint32_t asked = host->ports.options.buffer_bytes;

    /* The kernel doubles what it grants, for its own overhead. */
    if (s->receive_buffer_bytes / 2 >= asked && s->send_buffer_bytes / 2 >= asked) return;
    log_write(node_log(host->node), clock_now_us(), LOG_INFO,
              "the kernel grants socket buffers of %u bytes in and %u out instead of %u; for more,"
              " raise net.core.rmem_max and net.core.wmem_max",
              s->receive_buffer_bytes / 2, s->send_buffer_bytes / 2, asked);
}

static int host_listen(void *context, const struct endpoint *want, struct endpoint *got,
                       uint32_t *number, weir_error *error)
{
    struct host *host = context;
    int code = ports_listen(&host->ports, want, got, number, error);

    if (code == 0) log_buffers(host, *number);
    turn_poke(host);
    return code;
}

static void host_unlisten(void *context, uint32_t number)
{
    struct host *host = context;

    ports_unlisten(&host->ports, number);
    turn_forget(host, number);
    turn_poke(host);
}

static int host_dial_socket(void *context, const struct endpoint *remote, uint32_t *number)
{
    struct host *host = context;
    int code = ports_dial(&host->ports, remote, number);

    turn_poke(host);
    return code;
}

static int host_resolve(void *context, const char *name, uint64_t token)
{
    struct host *host = context;
    int code = resolve_start(&host->resolve, name, token);

    if (code == WEIR_E_LIMIT) {
        log_write(node_log(host->node), clock_now_us(), LOG_WARN,
                  "%d names are looked up at once and that is the limit (lookups): dial fewer at a"
                  " time, or by numbers",
                  RESOLVE_NAMES_MAX);
    }
    turn_poke(host);
    return code;
}

static void host_resolve_cancel(void *context, uint64_t token)
{
    struct host *host = context;

    resolve_cancel(&host->resolve, token);
}

static int host_local_open(void *context, uint32_t kind, uint32_t flags, const char *what,
                           size_t len, uint64_t offset, uint64_t token)
{
    struct host *host = context;
    int code = locals_open(&host->locals, kind, flags, what, len, offset, token);

    turn_poke(host);
    return code;
}

static void host_local_wants(void *context, uint64_t token)
{
    struct host *host = context;

    locals_wants(&host->locals, token);
    turn_poke(host);
}

static void host_local_close(void *context, uint64_t token, bool kill)
{
    struct host *host = context;

    locals_end(&host->locals, token, kill);
    turn_poke(host);
}

static void host_network_changed(void *context)
{
    struct host *host = context;

    turn_retry(host);
    ports_network_changed(&host->ports);
    turn_poke(host);
}

static uint64_t host_now_us(void *context)
{
    (void)context;
    return clock_now_us();
}

static int host_fd(void *context)
{
    struct host *host = context;

    turn_settle(host);
    return uv_backend_fd(&host->loop);
}

static int host_wake(void *context)
{
    struct host *host = context;
    uint64_t one = 1;
    ssize_t n;

    if (__atomic_load_n(&host->is_closed, __ATOMIC_ACQUIRE)) return WEIR_E_CLOSED;
    do {
        n = write(host->wake_fd, &one, sizeof one);
    } while (n < 0 && errno == EINTR);
    /* The one other answer is EAGAIN: the counter is full, so a wake is on its way already. */
    return 0;
}

static void free_buffers(struct host *host)
{
    mem_free(host->mem, host->batch.bytes, (size_t)UDP_BATCH * UDP_RECEIVE_BYTES);
    mem_free(host->mem, host->send_bytes, UDP_SEND_BYTES);
}

static void free_shell(struct host *host)
{
    if (host->wake_fd >= 0) (void)close(host->wake_fd);
    mem_free(host->mem, host, sizeof *host);
}

/* The loop's end and the node's release each hold the shell, with the descriptor that wake writes
 * to. */
static void let_go(struct host *host)
{
    if (__atomic_sub_fetch(&host->references, 1, __ATOMIC_ACQ_REL) == 0) free_shell(host);
}

static void close_watch(uv_poll_t *poll)
{
    /* A watch that could not be opened has no loop. */
    if (poll->loop != NULL) uv_close((uv_handle_t *)poll, NULL);
}

static void close_watches(struct host *host)
{
    close_watch(&host->timer);
    close_watch(&host->wake);
    (void)uv_run(&host->loop, UV_RUN_NOWAIT);
}

/* Run the loop until nothing is left in it, and free everything. */
static void finish(void *context)
{
    struct host *host = context;
    int result;

    while (uv_run(&host->loop, UV_RUN_DEFAULT) != 0) continue;
    WEIR_ASSERT(host->resolve.lookups == 0);
    locals_free(&host->locals);
    result = uv_loop_close(&host->loop);
    WEIR_ASSERT(result == 0);
    free_buffers(host);
    let_go(host);
}

static int fail_descriptors(struct host *host, weir_error *error)
{
    if (host->timer_fd >= 0) (void)close(host->timer_fd);
    free_buffers(host);
    free_shell(host);
    return fail_with(error, WEIR_E_SOCKET,
                     "no descriptors are left for a node: raise the limit of"
                     " open files (ulimit -n)");
}

static struct host *host_make(const struct mem *mem)
{
    struct host *host = mem_alloc(mem, sizeof *host);

    if (host == NULL) return NULL;
    host->mem = mem;
    host->references = 2;
    host->timer_fd = -1;
    host->wake_fd = -1;
    host->armed_us = UINT64_MAX;
    /* Not zeroed: pages that are never used shall never be touched. */
    host->batch.bytes = mem_resize(mem, NULL, 0, (size_t)UDP_BATCH * UDP_RECEIVE_BYTES);
    host->send_bytes = mem_resize(mem, NULL, 0, UDP_SEND_BYTES);
    if (host->batch.bytes == NULL || host->send_bytes == NULL) {
        free_buffers(host);
        free_shell(host);
        return NULL;
    }
    udp_batch_init(&host->batch, host->batch.bytes);
    return host;
}

int host_open(const struct host_options *options, struct host **out, weir_error *error)
{
    const struct mem *mem = options->mem != NULL ? options->mem : mem_system();
    const struct host_calls *calls = options->calls != NULL ? options->calls : host_calls_system();
    struct host *host = host_make(mem);

    *out = NULL;
    if (host == NULL) return fail_with(error, WEIR_E_MEMORY, "no memory for a node's buffers");
    host->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    host->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (host->timer_fd < 0 || host->wake_fd < 0 || uv_loop_init(&host->loop) != 0) {
        return fail_descriptors(host, error);
    }
    if (turn_watch(host) != 0) {
        close_watches(host);
        (void)uv_loop_close(&host->loop);
        return fail_descriptors(host, error);
    }
    host->spin_us = options->spin_us < HOST_SPIN_MAX_US ? options->spin_us : HOST_SPIN_MAX_US;
    host->ports.mem = mem;
    host->ports.loop = &host->loop;
    host->ports.options.calls = calls;
    host->ports.options.offload_off = options->offload_off;
    host->ports.options.buffer_bytes =
        options->socket_buffer_bytes != 0 ? options->socket_buffer_bytes : UDP_BUFFER_BYTES;
    resolve_init(&host->resolve, &host->loop, mem, calls);
    locals_init(&host->locals, &host->loop, mem);
    *out = host;
    return 0;
}

void host_attach(struct host *host, struct node *node)
{
    WEIR_ASSERT(host->node == NULL);
    WEIR_ASSERT(node != NULL);
    host->node = node;
    host->ports.options.metrics = node_metrics(node);
}

static void host_close(void *context)
{
    struct host *host = context;
    uv_thread_t thread;
    bool is_busy;

    __atomic_store_n(&host->is_closed, true, __ATOMIC_RELEASE);
    /* The closes of the connections. A full socket loses them, and the peers' idle timers do the
     * rest. */
    if (host->node != NULL && !node_is_closed(host->node)) turn_send(host, clock_now_us());
    host->node = NULL;
    ports_close(&host->ports);
    resolve_close(&host->resolve);
    locals_close(&host->locals);
    close_watches(host);
    (void)close(host->timer_fd);
    /* getaddrinfo cannot be interrupted, and with a dead name server it takes many seconds; nor can
     * a disk, or a child that is killed while it waits for one. Closing does not wait: a thread of
     * its own stays with the loop until the system has given up. */
    is_busy = host->resolve.lookups > 0 || host->locals.busy > 0;
    if (is_busy && uv_thread_create(&thread, finish, host) == 0) {
        (void)pthread_detach(thread);
        return;
    }
    finish(host);
}

static void host_release(void *context)
{
    let_go(context);
}

const struct node_driver host_driver = {
    .listen = host_listen,
    .unlisten = host_unlisten,
    .dial_socket = host_dial_socket,
    .resolve = host_resolve,
    .resolve_cancel = host_resolve_cancel,
    .local_open = host_local_open,
    .local_wants = host_local_wants,
    .local_close = host_local_close,
    .network_changed = host_network_changed,
    .now_us = host_now_us,
    .poll = host_poll,
    .flush = host_flush,
    .fd = host_fd,
    .wake = host_wake,
    .close = host_close,
    .release = host_release,
    .name = "host",
};
