/* SPDX-License-Identifier: MIT */
/* ZeroMQ with CURVE as a peer of the benchmark; arguments and figures are those of peer.h.
 *
 * bulk is PUSH to PULL in messages of 64 KiB; the rest is DEALER to ROUTER. A handshake counts when
 * one byte came back over it: a DEALER takes messages before there is a connection. */
#include "peer.h"
#include <zmq.h>

enum { MESSAGE_BYTES = 65536, KEY_BYTES = 41, NAME_BYTES = 256 };

static char server_public[KEY_BYTES], server_secret[KEY_BYTES];
static char client_public[KEY_BYTES], client_secret[KEY_BYTES];
static char endpoint[64];
static void *context;

static void must(int result, const char *what)
{
    if (result < 0) peer_die("%s: %s", what, zmq_strerror(zmq_errno()));
}

static void prepare(void)
{
    if (!zmq_has("curve")) peer_die("this libzmq has no CURVE");
    must(zmq_curve_keypair(server_public, server_secret), "keys");
    must(zmq_curve_keypair(client_public, client_secret), "keys");
}

static void open_context(void)
{
    context = zmq_ctx_new();
    must(zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 4096), "sockets");
}

static void *server_socket(int kind)
{
    int on = 1, port = 0;
    size_t length = sizeof endpoint;
    void *s = zmq_socket(context, kind);
    must(zmq_setsockopt(s, ZMQ_CURVE_SERVER, &on, sizeof on), "option");
    must(zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, server_secret, KEY_BYTES), "option");
    must(zmq_bind(s, "tcp://127.0.0.1:*"), "bind");
    must(zmq_getsockopt(s, ZMQ_LAST_ENDPOINT, endpoint, &length), "endpoint");
    if (sscanf(endpoint, "tcp://127.0.0.1:%d", &port) != 1) peer_die("endpoint %s", endpoint);
    peer_ready((uint16_t)port);
    return s;
}

static void *client_socket(int kind)
{
    int none = 0;
    void *s = zmq_socket(context, kind);
    if (s == NULL) peer_die("socket");
    must(zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, server_public, KEY_BYTES), "option");
    must(zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, client_public, KEY_BYTES), "option");
    must(zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, client_secret, KEY_BYTES), "option");
    must(zmq_setsockopt(s, ZMQ_LINGER, &none, sizeof none), "option");
    must(zmq_connect(s, endpoint), "connect");
    return s;
}

static void serve(const char *figure, unsigned count)
{
    bool idle = strcmp(figure, "idle") == 0, bulk = strcmp(figure, "bulk") == 0;
    static char bytes[MESSAGE_BYTES], name[NAME_BYTES];
    open_context();
    void *s = server_socket(bulk ? ZMQ_PULL : ZMQ_ROUTER);
    for (unsigned up = 1;; up++) {
        int name_length = bulk ? 0 : zmq_recv(s, name, sizeof name, 0);
        must(name_length, "receive");
        int length = zmq_recv(s, bytes, sizeof bytes, 0);
        must(length, "receive");
        if (bulk) {
            peer_count((size_t)length, (uint64_t)count << 20);
            continue;
        }
        if (idle) peer_weigh(up, count);
        /* A client that left in between is no error. */
        if (zmq_send(s, name, (size_t)name_length, ZMQ_SNDMORE) >= 0)
            must(zmq_send(s, bytes, (size_t)length, 0), "send");
    }
}

static void *dial(void)
{
    void *s = client_socket(ZMQ_DEALER);
    must(zmq_send(s, "", 1, 0), "send");
    return s;
}

static void await(void *s)
{
    char bytes[PEER_REQUEST_BYTES];
    must(zmq_recv(s, bytes, sizeof bytes, 0), "receive");
}

static double handshakes(unsigned n)
{
    void *open[PEER_DIALS_AT_ONCE] = {NULL};
    double start = peer_now();
    for (unsigned i = 0; i < n + PEER_DIALS_AT_ONCE; i++) {
        void **s = &open[i % PEER_DIALS_AT_ONCE];
        if (*s != NULL) {
            await(*s);
            zmq_close(*s);
        }
        *s = i < n ? dial() : NULL;
    }
    return n / (peer_now() - start);
}

static double requests(void *s, unsigned n)
{
    static const char bytes[PEER_REQUEST_BYTES];
    double start = peer_now();
    for (unsigned i = 0; i < n + PEER_REQUESTS_AT_ONCE; i++) {
        if (i >= PEER_REQUESTS_AT_ONCE) await(s);
        if (i < n) must(zmq_send(s, bytes, sizeof bytes, 0), "send");
    }
    return n / (peer_now() - start);
}

static void drive(const char *figure, unsigned n, uint16_t port)
{
    static const char bytes[MESSAGE_BYTES];
    open_context();
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", port);
    if (strcmp(figure, "handshakes") == 0) peer_say("handshakes_per_second", handshakes(n));
    if (strcmp(figure, "requests") == 0) {
        void *s = dial();
        await(s);
        requests(s, n / 10 + PEER_REQUESTS_AT_ONCE);
        peer_say("requests_per_second", requests(s, n));
    }
    if (strcmp(figure, "idle") == 0) {
        for (unsigned i = 0; i < n + PEER_WARM_UP; i++) await(dial());
        peer_wait();
    }
    if (strcmp(figure, "bulk") == 0) {
        void *s = client_socket(ZMQ_PUSH);
        for (uint64_t left = (uint64_t)n << 20; left > 0; left -= MESSAGE_BYTES)
            must(zmq_send(s, bytes, sizeof bytes, 0), "send");
        peer_wait();
    }
}

static void version(void)
{
    int major, minor, patch;
    zmq_version(&major, &minor, &patch);
    printf("version libzmq %d.%d.%d\n", major, minor, patch);
}

int main(int argc, char **argv)
{
    static const struct peer peer = {"zmq", version, prepare, serve, drive};
    return peer_main(&peer, argc, argv);
}
