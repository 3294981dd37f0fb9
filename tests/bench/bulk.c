/* SPDX-License-Identifier: MIT */
/* Goodput of one stream over loopback, and what the machine could do at most, in one run.
 *
 * bulk [--json] [--rounds N] [--mib N]
 *
 * The sender is a process of its own, pinned to core 1; the receiver reads and drops on core 0.
 * Rounds alternate with measurements of the limit, so that both see the same neighbours. */
#include "bench.h"
#include "limit.h"
#include "weir.h"
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void pin(size_t cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

static void die(const char *what, int64_t code)
{
    fprintf(stderr, "bulk: %s: %s\n", what, weir_strerror((int32_t)code));
    exit(1);
}

static weir_node *make(void)
{
    weir_node_options o = {.size = sizeof o, .datagram_bytes = 1452};
    weir_node *node;
    int32_t error = weir_node_create(&o, &node, NULL);
    if (error != 0) die("create", error);
    return node;
}

static void fill(weir_node *node, uint64_t stream, uint64_t *left)
{
    static uint8_t chunk[65536];
    while (*left > 0) {
        uint32_t want = *left < sizeof chunk ? (uint32_t)*left : (uint32_t)sizeof chunk;
        int64_t n = weir_stream_write(node, stream, chunk, want, want == *left ? WEIR_FIN : 0);
        if (n < 0) die("write", n);
        *left -= (uint64_t)n;
        if (n < want) return;
    }
}

static void send_side(const char *address, uint64_t bytes)
{
    weir_node *node = make();
    uint64_t stream = 0, left = bytes;
    weir_event events[64];
    pin(1);
    int64_t connection = weir_node_dial(node, address, NULL);
    if (connection < 0) die("dial", connection);
    for (;;) {
        int64_t count = weir_node_poll(node, events, 64, -1);
        for (int64_t i = 0; i < count; i++) {
            if (events[i].kind == WEIR_EVENT_CONNECTED) {
                int64_t s = weir_stream_open(node, events[i].object, "bulk", NULL);
                if (s < 0) die("open", s);
                stream = (uint64_t)s;
                fill(node, stream, &left);
            }
            if (events[i].kind == WEIR_EVENT_WRITABLE) fill(node, stream, &left);
            if (events[i].kind == WEIR_EVENT_CONNECTION_CLOSED) {
                weir_node_free(node);
                _exit(0);
            }
        }
    }
}

/* @return bits per second from the first byte to the last */
static double receive_side(weir_node *node, uint64_t bytes)
{
    static uint8_t chunk[262144];
    uint64_t got = 0, connection = 0;
    double start = 0;
    weir_event events[64];
    while (got < bytes) {
        int64_t count = weir_node_poll(node, events, 64, 5000000);
        if (count <= 0) die("poll: nothing for 5 s", count);
        for (int64_t i = 0; i < count; i++) {
            if (events[i].kind == WEIR_EVENT_STREAM) connection = events[i].parent;
            if (events[i].kind != WEIR_EVENT_READABLE) continue;
            if (start == 0) start = bench_now();
            int64_t n;
            while ((n = weir_stream_read(node, events[i].object, chunk, sizeof chunk)) > 0)
                got += (uint64_t)n;
        }
    }
    double took = bench_now() - start;
    weir_connection_close(node, connection, 0, NULL);
    (void)weir_node_poll(node, events, 64, 0);
    return (double)bytes * 8 / took;
}

static double one_round(uint64_t bytes)
{
    char address[WEIR_ADDRESS_TEXT_MAX];
    weir_node *node = make();
    pin(0);
    weir_node_serve(node, "bulk", NULL);
    int32_t error = weir_node_listen(node, "127.0.0.1:0");
    if (error != 0) die("listen", error);
    weir_node_address(node, 0, address, sizeof address);
    pid_t child = fork();
    if (child == 0) send_side(address, bytes);
    double rate = receive_side(node, bytes);
    weir_event events[16];
    for (int i = 0; i < 10; i++) (void)weir_node_poll(node, events, 16, 1000);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    weir_node_free(node);
    return rate;
}

int main(int argc, char **argv)
{
    bool json = false;
    unsigned rounds = 5;
    uint64_t mib = 1024;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
            rounds = (unsigned)atoi(argv[++i]);
        else if (strcmp(argv[i], "--mib") == 0 && i + 1 < argc)
            mib = (uint64_t)atoll(argv[++i]);
    }
    struct bench_series limit = {0}, bulk = {0};
    for (unsigned i = 0; i < rounds; i++) {
        bench_add(&limit, limit_aead_gso(1.0) / 1e9);
        bench_add(&bulk, one_round(mib << 20) / 1e9);
    }
    if (!json) printf("%s, cores %ld\n", weir_version(), sysconf(_SC_NPROCESSORS_ONLN));
    double against = bench_median(&limit);
    bench_report(json, "limit: AEAD + GSO", &limit, "Gbit/s", "", 0, 0, 0, "higher");
    bench_report(json, "bulk: one stream", &bulk, "Gbit/s", "limit", against, 0.3, 0.6, "higher");
    return 0;
}
