/* SPDX-License-Identifier: MIT */
#include "echo_uv.h"
#include "bench.h"
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { CONNECTIONS_MAX = 256, BYTES_MAX = 4096 };

/* One connection of either side. Its buffer holds one message: nothing is read before the answer
 * to the last one was written. */
struct peer {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    char data[BYTES_MAX];
    unsigned got;
};

static struct peer *peers;
static unsigned peers_count, message_bytes;
static uint64_t echoes;
static int told;

const char *echo_uv_version(void)
{
    return uv_version_string();
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct peer *p = handle->data;
    (void)suggested;
    *buf = uv_buf_init(p->data + p->got, message_bytes - p->got);
}

static void on_written(uv_write_t *request, int status)
{
    (void)request;
    if (status != 0) bench_die("libuv write: %s", uv_strerror(status));
}

static void put(struct peer *p)
{
    uv_buf_t buf = uv_buf_init(p->data, message_bytes);
    p->got = 0;
    if (uv_try_write((uv_stream_t *)&p->tcp, &buf, 1) == (int)message_bytes) return;
    if (uv_write(&p->write, (uv_stream_t *)&p->tcp, &buf, 1, on_written) != 0)
        bench_die("uv_write");
}

/* Both sides answer a whole message with a message. */
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct peer *p = stream->data;
    (void)buf;
    if (n < 0) {
        (void)uv_read_stop(stream); /* The other side is done. */
        return;
    }
    p->got += (unsigned)n;
    if (p->got < message_bytes) return;
    echoes++;
    put(p);
}

static struct peer *add(uv_loop_t *loop)
{
    if (peers_count == CONNECTIONS_MAX) bench_die("too many connections");
    struct peer *p = &peers[peers_count++];
    (void)uv_tcp_init(loop, &p->tcp);
    p->tcp.data = p;
    return p;
}

static void begin(struct peer *p)
{
    (void)uv_tcp_nodelay(&p->tcp, 1);
    (void)uv_read_start((uv_stream_t *)&p->tcp, on_alloc, on_read);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct peer *p = add(listener->loop);
    if (status != 0 || uv_accept(listener, (uv_stream_t *)&p->tcp) != 0) bench_die("uv_accept");
    begin(p);
}

static void serve(int fd, void *context)
{
    uv_loop_t loop;
    uv_tcp_t listener;
    struct sockaddr_in a;
    int len = sizeof a;
    (void)context;
    bench_pin(1);
    (void)uv_loop_init(&loop);
    (void)uv_tcp_init(&loop, &listener);
    (void)uv_ip4_addr("127.0.0.1", 0, &a);
    if (uv_tcp_bind(&listener, (struct sockaddr *)&a, 0) != 0 ||
        uv_listen((uv_stream_t *)&listener, 512, on_connection) != 0 ||
        uv_tcp_getsockname(&listener, (struct sockaddr *)&a, &len) != 0)
        bench_die("uv_listen");
    bench_tell(fd, &a, sizeof a);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
}

static void on_connect(uv_connect_t *request, int status)
{
    struct peer *p = request->handle->data;
    if (status != 0) bench_die("uv_tcp_connect: %s", uv_strerror(status));
    begin(p);
    put(p);
}

static void on_time(uv_timer_t *timer)
{
    double *at = timer->data;
    at[told] = bench_now();
    at[2 + told] = (double)echoes;
    if (++told == 2) uv_stop(timer->loop);
}

double echo_uv(unsigned connections, unsigned bytes, double seconds)
{
    uv_loop_t loop;
    uv_timer_t timer;
    struct sockaddr_in a;
    double at[4] = {0};
    peers = calloc(CONNECTIONS_MAX, sizeof *peers);
    if (peers == NULL || bytes > BYTES_MAX) bench_die("no memory");
    message_bytes = bytes;
    peers_count = 0;
    told = 0;
    struct bench_child server = bench_fork(serve, NULL);
    bench_pin(0);
    bench_hear(server.fd, &a, sizeof a);
    (void)uv_loop_init(&loop);
    for (unsigned i = 0; i < connections; i++) {
        struct peer *p = add(&loop);
        if (uv_tcp_connect(&p->connect, &p->tcp, (struct sockaddr *)&a, on_connect) != 0)
            bench_die("uv_tcp_connect");
    }
    /* The first quarter is to get going. */
    (void)uv_timer_init(&loop, &timer);
    timer.data = at;
    (void)uv_timer_start(&timer, on_time, (uint64_t)(seconds * 250), (uint64_t)(seconds * 1000));
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    for (unsigned i = 0; i < peers_count; i++) uv_close((uv_handle_t *)&peers[i].tcp, NULL);
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&loop);
    bench_reap(&server);
    free(peers);
    return (at[3] - at[2]) / (at[1] - at[0]);
}
