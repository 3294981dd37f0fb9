/* SPDX-License-Identifier: MIT */
/* libuv's TCP as a peer of the benchmark; arguments and figures are those of peer.h. Nothing is
 * encrypted, so there are no handshakes. Requests are an echo on 100 connections, one at a time on
 * each: what a server without streams does. */
#include "peer.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <uv.h>

enum { CHUNK_BYTES = 262144, WRITE_BYTES = 65536, WRITES_AT_ONCE = 8 };

static char chunk[CHUNK_BYTES];
static bool bulk;
static uint64_t total_bytes, unsent_bytes;
static unsigned wanted, asked, answered;
static double start;

static void must(int error, const char *what)
{
    if (error < 0) peer_die("%s: %s", what, uv_strerror(error));
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)handle, (void)suggested;
    *buffer = uv_buf_init(chunk, sizeof chunk);
}

/* Small writes leave at once, as a server would try first; the rest is libuv's queue. */
static void send_now(uv_stream_t *stream, size_t length)
{
    uv_buf_t buffer = uv_buf_init(chunk, (unsigned)length);
    if (uv_try_write(stream, &buffer, 1) != (int)length) peer_die("a request does not fit");
}

static void on_server_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    (void)buffer;
    if (length < 0)
        uv_read_stop(stream);
    else if (bulk)
        peer_count((size_t)length, total_bytes);
    else if (length > 0)
        send_now(stream, (size_t)length);
}

static void on_accept(uv_stream_t *listener, int status)
{
    uv_tcp_t *client = calloc(1, sizeof *client);
    must(status, "accept");
    if (client == NULL) peer_die("no memory");
    must(uv_tcp_init(listener->loop, client), "tcp");
    must(uv_accept(listener, (uv_stream_t *)client), "accept");
    must(uv_tcp_nodelay(client, 1), "option");
    must(uv_read_start((uv_stream_t *)client, on_room, on_server_read), "read");
}

static void serve(const char *figure, unsigned count)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int length = sizeof own;
    uv_tcp_t listener;
    bulk = strcmp(figure, "bulk") == 0;
    total_bytes = (uint64_t)count << 20;
    must(uv_tcp_init(uv_default_loop(), &listener), "tcp");
    must(uv_tcp_bind(&listener, (struct sockaddr *)&own, 0), "bind");
    must(uv_listen((uv_stream_t *)&listener, 512, on_accept), "listen");
    must(uv_tcp_getsockname(&listener, (struct sockaddr *)&own, &length), "name");
    peer_ready(ntohs(own.sin_port));
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

static void ask(uv_stream_t *stream)
{
    if (asked == wanted) return;
    asked++;
    send_now(stream, PEER_REQUEST_BYTES);
}

static void on_client_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    (void)buffer;
    must((int)length, "read");
    if (length == 0) return;
    if (length != PEER_REQUEST_BYTES) peer_die("a reply of %zd bytes", length);
    answered++;
    if (answered == wanted / 11) start = peer_now(); /* A tenth of the count came before. */
    if (answered == wanted)
        uv_stop(stream->loop);
    else
        ask(stream);
}

static void on_written(uv_write_t *write, int status)
{
    uv_buf_t buffer = uv_buf_init(chunk, WRITE_BYTES);
    must(status, "write");
    if (unsent_bytes == 0) return;
    unsent_bytes -= WRITE_BYTES;
    must(uv_write(write, write->handle, &buffer, 1, on_written), "write");
}

static void on_connected(uv_connect_t *connect, int status)
{
    static uv_write_t writes[WRITES_AT_ONCE];
    must(status, "connect");
    must(uv_tcp_nodelay((uv_tcp_t *)connect->handle, 1), "option");
    if (!bulk) {
        must(uv_read_start(connect->handle, on_room, on_client_read), "read");
        ask(connect->handle);
        return;
    }
    for (unsigned i = 0; i < WRITES_AT_ONCE; i++) {
        writes[i].handle = connect->handle;
        on_written(&writes[i], 0);
    }
}

static void drive(const char *figure, unsigned count, uint16_t port)
{
    static uv_tcp_t clients[PEER_REQUESTS_AT_ONCE];
    static uv_connect_t connects[PEER_REQUESTS_AT_ONCE];
    struct sockaddr_in there = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    bulk = strcmp(figure, "bulk") == 0;
    unsent_bytes = (uint64_t)count << 20;
    wanted = count / 10 * 11;
    for (unsigned i = 0; i < (bulk ? 1u : PEER_REQUESTS_AT_ONCE); i++) {
        must(uv_tcp_init(uv_default_loop(), &clients[i]), "tcp");
        must(uv_tcp_connect(&connects[i], &clients[i], (struct sockaddr *)&there, on_connected),
             "connect");
    }
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    if (bulk)
        peer_wait();
    else
        peer_say("requests_per_second", (wanted - wanted / 11) / (peer_now() - start));
}

static void version(void)
{
    printf("version libuv %s\n", uv_version_string());
}

int main(int argc, char **argv)
{
    static const struct peer peer = {"uv", version, NULL, serve, drive};
    return peer_main(&peer, argc, argv);
}
