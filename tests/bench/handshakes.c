/* SPDX-License-Identifier: MIT */
/* New connections per second, one core each end. A peer has one connection to another, so many
 * dials at once need many peers: the dialling process has 32 nodes, each with one dial under way,
 * and closes each connection when it is up. That is below the 64 half-open handshakes from which on
 * the listener asks for a Retry token. */
#include "ends.h"
#include "limit.h"
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum { NODES_MAX = 64 };

struct dialler {
    weir_node *node[NODES_MAX];
    unsigned count;
    int epoll;
    char address[WEIR_ADDRESS_TEXT_MAX];
    uint64_t completed, failed;
    bool is_over;
};

static void dial(struct dialler *d, unsigned i)
{
    ends_check(d->node[i], "dial", weir_node_dial(d->node[i], d->address, NULL));
}

/* Poll until it has nothing to tell: what it has to send leaves with that. */
static void turn(struct dialler *d, unsigned i)
{
    weir_event events[8];
    int64_t n;
    while ((n = ends_check(d->node[i], "poll", weir_node_poll(d->node[i], events, 8, 0))) > 0) {
        for (int64_t j = 0; j < n; j++) {
            if (events[j].kind == WEIR_EVENT_CONNECTED) {
                d->completed++;
                (void)weir_connection_close(d->node[i], events[j].object, 0, NULL);
            } else if (events[j].kind == WEIR_EVENT_CONNECTION_CLOSED) {
                if (events[j].error != 0) d->failed++;
                if (!d->is_over) dial(d, i);
            }
        }
    }
}

static void run(struct dialler *d, double seconds)
{
    double end = bench_now() + seconds;
    while (bench_now() < end) {
        struct epoll_event ready[NODES_MAX];
        int n = epoll_wait(d->epoll, ready, NODES_MAX, 100);
        for (int i = 0; i < n; i++) turn(d, ready[i].data.u32);
    }
}

static void add(struct dialler *d)
{
    unsigned i = d->count++;
    d->node[i] = ends_node(NULL);
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};
    if (epoll_ctl(d->epoll, EPOLL_CTL_ADD, weir_node_fd(d->node[i]), &e) != 0) bench_die("epoll");
    dial(d, i);
    turn(d, i);
}

static double processor_seconds(int whose)
{
    struct rusage u;
    if (getrusage(whose, &u) != 0) return 0;
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* @param used  where the processor time per handshake goes, in us: of the dialler, the listener */
static double one_round(unsigned nodes, double seconds, struct bench_series used[2])
{
    double own = processor_seconds(RUSAGE_SELF), other = processor_seconds(RUSAGE_CHILDREN);
    struct dialler d = {.epoll = epoll_create1(0)};
    struct ends_service service = {.options = NULL};
    struct bench_child server = bench_fork(ends_serve, &service);
    bench_pin(0);
    bench_hear(server.fd, d.address, sizeof d.address);
    while (d.count < nodes) add(&d);
    run(&d, seconds / 4);
    uint64_t before = d.completed;
    double start = bench_now();
    run(&d, seconds);
    double rate = (double)(d.completed - before) / (bench_now() - start);
    own = processor_seconds(RUSAGE_SELF) - own;
    d.is_over = true;
    for (unsigned i = 0; i < d.count; i++) (void)weir_node_free(d.node[i]);
    close(d.epoll);
    bench_reap(&server);
    other = processor_seconds(RUSAGE_CHILDREN) - other;
    bench_add(&used[0], own * 1e6 / (double)d.completed);
    bench_add(&used[1], other * 1e6 / (double)d.completed);
    if (d.failed > 0) bench_say("# %llu dials failed\n", (unsigned long long)d.failed);
    return rate;
}

/* Unlike the rates, this hardly changes when others use the cores too. */
static void report_used(const struct bench_series used[2], const struct bench_series *least)
{
    static const char *const names[2] = {"handshakes: processor time of the dialler",
                                         "handshakes: processor time of the listener"};
    struct bench_figure f = {
        .figure = "handshake arithmetic, processor time", .unit = "us", .is_lower_better = true};
    bench_report(&f, least, NULL);
    f.against = f.figure;
    for (int i = 0; i < 2; i++) {
        f.figure = names[i];
        bench_report(&f, &used[i], least);
    }
}

int main(int argc, char **argv)
{
    struct bench_series limit = {.count = 0}, least = {.count = 0}, rate = {.count = 0};
    struct bench_series used[2] = {{.count = 0}};
    uint64_t nodes = 32, ms = 1500;
    const struct bench_option options[] = {
        {.name = "--dials", .help = "N: dials under way, at most 64; 32", .number = &nodes},
        {.name = "--ms", .help = "N: length of a round; 1500", .number = &ms},
        {.name = NULL}};
    bench_begin(argc, argv,
                "Completed handshakes per second, one core each end, against the public-key\n"
                "arithmetic of a handshake on one core (1 X25519 key generation, 3 agreements,\n"
                "1 ed25519 verification; both sides do the same).",
                options, NULL);
    if (bench.quick) ms = 50;
    if (nodes < 1 || nodes > NODES_MAX) bench_die("--dials is 1 to %d", NODES_MAX);
    for (unsigned i = 0; i < bench.rounds; i++) {
        double seconds = (double)ms / 4000, before = processor_seconds(RUSAGE_SELF);
        bench_add(&limit, limit_arithmetic(seconds));
        bench_add(&least,
                  (processor_seconds(RUSAGE_SELF) - before) * 1e6 / (limit.value[i] * seconds));
        bench_add(&rate, one_round((unsigned)nodes, (double)ms / 1000, used));
    }
    bench_report(
        &(struct bench_figure){.figure = "handshake arithmetic of one core", .unit = "1/s"}, &limit,
        NULL);
    bench_report(&(struct bench_figure){.figure = "handshakes: completed",
                                        .unit = "1/s",
                                        .against = "handshake arithmetic of one core",
                                        .must = 0.43,
                                        .aim = 0.7},
                 &rate, &limit);
    report_used(used, &least);
    return 0;
}
