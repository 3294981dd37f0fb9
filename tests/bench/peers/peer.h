/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_BENCH_PEERS_PEER_H
#define WEIR_TESTS_BENCH_PEERS_PEER_H
/* What the competitors share. Each is one program, in whichever language, with these arguments:
 *
 *   peer_NAME bulk MIB             bits_per_second: one stream, from the first byte to the last
 *   peer_NAME handshakes COUNT     handshakes_per_second: 16 at a time, closed when they are up
 *   peer_NAME requests COUNT       requests_per_second: 128 bytes there and back, 100 at a time,
 *                                  a new stream (or message) each, after a tenth of them to warm up
 *   peer_NAME idle COUNT           bytes_per_connection: resident memory that the server gains
 *                                  between its connection 50 and its connection 50 + COUNT
 *   peer_NAME version              version TEXT
 *
 * It prints lines of a name and a value. A server on core 0 receives, a client on core 1 sends;
 * each is one process. Where there are certificates, only the server has one (ECDSA on P-256, made
 * for the run), and the client verifies it: less work than weir's mutual authentication. The suite
 * is AES-256-GCM, which OpenSSL, GnuTLS and rustls prefer; Go takes AES-128-GCM and has no option,
 * libp2p's noise and CURVE have no choice. */
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PEER_REQUEST_BYTES = 128, PEER_REQUESTS_AT_ONCE = 100, PEER_DIALS_AT_ONCE = 16 };
enum { PEER_WARM_UP = 50 };

struct peer {
    const char *name;
    void (*version)(void);
    void (*prepare)(void); /* before the fork: keys and tables that both ends have; or NULL */
    /* The server never returns; it calls peer_ready once, and is killed when the client is done. */
    void (*serve)(const char *figure, unsigned count);
    void (*drive)(const char *figure, unsigned count, uint16_t port);
};

static int peer_ready_pipe[2], peer_done_pipe[2];
static const char *peer_name = "peer";

static inline double peer_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

__attribute__((noreturn, format(printf, 1, 2))) static inline void peer_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "peer_%s: ", peer_name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    _exit(1);
}

static inline void peer_say(const char *name, double value)
{
    printf("%s %.1f\n", name, value);
    fflush(stdout);
}

/* The server listens on port. */
static inline void peer_ready(uint16_t port)
{
    if (write(peer_ready_pipe[1], &port, sizeof port) != (ssize_t)sizeof port) peer_die("no pipe");
}

/* The server has what it was to measure; peer_wait, in the client, returns. */
static inline void peer_done(void)
{
    if (write(peer_done_pipe[1], "", 1) != 1) peer_die("no pipe");
}

static inline void peer_wait(void)
{
    char byte;
    if (read(peer_done_pipe[0], &byte, 1) != 1) peer_die("the server ended");
}

static inline double peer_rss_bytes(void)
{
    unsigned long pages = 0;
    malloc_trim(0);
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*s %lu", &pages) != 1) peer_die("no /proc");
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* To be called by a server under "idle" when its connection number up is there. */
static inline void peer_weigh(unsigned up, unsigned count)
{
    static double before;
    if (up == PEER_WARM_UP) before = peer_rss_bytes();
    if (up != PEER_WARM_UP + count) return;
    peer_say("bytes_per_connection", (peer_rss_bytes() - before) / count);
    peer_done();
}

/* To be called by a server under "bulk" with what came; total is what is to come. */
static inline void peer_count(size_t came, uint64_t total)
{
    static uint64_t sum;
    static double start;
    if (came == 0) return;
    if (sum == 0) start = peer_now();
    sum += came;
    if (sum < total) return;
    if (sum > total) peer_die("more bytes than were sent");
    peer_say("bits_per_second", (double)sum * 8 / (peer_now() - start));
    peer_done();
}

static inline void peer_pin(size_t core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) peer_die("there is no core %zu", core);
}

static inline int peer_run(const struct peer *p, const char *figure, unsigned count)
{
    uint16_t port;
    if (p->prepare != NULL) p->prepare();
    if (pipe(peer_ready_pipe) != 0 || pipe(peer_done_pipe) != 0) peer_die("no pipe");
    pid_t server = fork();
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        peer_pin(0);
        p->serve(figure, count);
        _exit(1);
    }
    close(peer_ready_pipe[1]);
    close(peer_done_pipe[1]);
    peer_pin(1);
    if (read(peer_ready_pipe[0], &port, sizeof port) != (ssize_t)sizeof port)
        peer_die("the server ended");
    p->drive(figure, count, port);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    return 0;
}

static inline int peer_main(const struct peer *p, int argc, char **argv)
{
    peer_name = p->name;
    signal(SIGPIPE, SIG_IGN);
    if (argc == 2 && strcmp(argv[1], "version") == 0) {
        p->version();
        return 0;
    }
    unsigned long count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    if (count == 0 || count > 1000000) {
        fprintf(stderr, "peer_%s bulk|handshakes|requests|idle COUNT, or version\n", p->name);
        return 2;
    }
    return peer_run(p, argv[1], (unsigned)count);
}
#endif
