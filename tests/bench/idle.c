/* SPDX-License-Identifier: MIT */
/* What a connection costs that does nothing. One node is in a process of its own, and has all the
 * connections; their other ends are as many nodes in a second process. What the heap of the first
 * grows by is shared by the connections: first with the node dialling, then with it accepting.
 * Kernel memory is not in it: all connections of a node share its socket.
 *
 * --peers N: as many peers stay connected to one process, and each pings it every 30 s. */
#include "swarm.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SWARMS_MAX = 40, FILES_PER_NODE = 8, SETTLE_MS = 1500 };

static uint64_t connections = 2000;

static double heap_bytes(void)
{
    struct mallinfo2 m = mallinfo2();
    return (double)m.uordblks + (double)m.hblkhd;
}

static double resident_bytes(void)
{
    char line[128];
    double kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "VmRSS:", 6) == 0) kib = strtod(line + 6, NULL);
    }
    if (f != NULL) fclose(f);
    return kib * 1024;
}

/* The node that is looked at: what it has before and after, per connection. */
struct cost {
    double heap, resident;
};

struct holder {
    weir_node *node;
    uint64_t up;
};

static void hold(struct holder *h, int64_t timeout_us)
{
    weir_event events[ENDS_EVENTS];
    int64_t n =
        ends_check(h->node, "poll", weir_node_poll(h->node, events, ENDS_EVENTS, timeout_us));
    for (int64_t i = 0; i < n; i++) {
        if (events[i].kind == WEIR_EVENT_CONNECTED) h->up++;
        if (events[i].kind == WEIR_EVENT_CONNECTION_CLOSED)
            bench_die("a connection ended: %s", weir_strerror(events[i].error));
    }
}

static void settle(struct holder *h)
{
    double end = bench_now() + (bench.quick ? 0.1 : SETTLE_MS / 1e3);
    while (bench_now() < end) hold(h, 100000);
}

static weir_node_options holder_options(void)
{
    return (weir_node_options){.size = sizeof(weir_node_options),
                               .memory_bytes = UINT64_C(4) << 30,
                               .peers_max = connections + 64,
                               .idle_timeout_us = 120000000};
}

/* Work of bench_fork: hears the swarm's addresses from fd and dials them all. */
static void dialling_holder(int fd, void *context)
{
    weir_node_options o = holder_options();
    struct holder h = {.node = NULL};
    char *address = malloc(connections * WEIR_ADDRESS_TEXT_MAX);
    (void)context;
    bench_pin(1);
    if (address == NULL) bench_die("no memory");
    bench_hear(fd, address, connections * WEIR_ADDRESS_TEXT_MAX);
    h.node = ends_node(&o);
    hold(&h, 0);
    struct cost before = {heap_bytes(), resident_bytes()};
    for (uint64_t next = 0; h.up < connections;) {
        while (next < connections && next - h.up < SWARM_DIALS) {
            const char *to = address + next++ * WEIR_ADDRESS_TEXT_MAX;
            ends_check(h.node, "dial", weir_node_dial(h.node, to, NULL));
        }
        hold(&h, -1);
    }
    settle(&h);
    struct cost cost = {(heap_bytes() - before.heap) / (double)connections,
                        (resident_bytes() - before.resident) / (double)connections};
    bench_tell(fd, &cost, sizeof cost);
}

/* Work of bench_fork: tells its address, and the cost when all connections are there. */
static void accepting_holder(int fd, void *context)
{
    weir_node_options o = holder_options();
    char address[WEIR_ADDRESS_TEXT_MAX] = {0};
    struct holder h = {.node = NULL};
    (void)context;
    bench_pin(1);
    h.node = ends_listener(&o, "127.0.0.1:0", address);
    hold(&h, 0);
    struct cost before = {heap_bytes(), resident_bytes()};
    bench_tell(fd, address, sizeof address);
    while (h.up < connections) hold(&h, -1);
    settle(&h);
    struct cost cost = {(heap_bytes() - before.heap) / (double)connections,
                        (resident_bytes() - before.resident) / (double)connections};
    bench_tell(fd, &cost, sizeof cost);
}

static struct cost dialled(void)
{
    struct cost cost;
    struct swarm swarm = {
        .count = (unsigned)connections, .is_listening = true, .idle_timeout_us = 120000000};
    char address[WEIR_ADDRESS_TEXT_MAX];
    struct bench_child holder = bench_fork(dialling_holder, NULL);
    struct bench_child peers = bench_fork(swarm_run, &swarm);
    for (uint64_t i = 0; i < connections; i++) {
        bench_hear(peers.fd, address, sizeof address);
        bench_tell(holder.fd, address, sizeof address);
    }
    bench_hear(holder.fd, &cost, sizeof cost);
    bench_reap(&holder);
    bench_reap(&peers);
    return cost;
}

static struct cost accepted(void)
{
    struct cost cost;
    struct swarm swarm = {.count = (unsigned)connections, .idle_timeout_us = 120000000};
    uint64_t up;
    struct bench_child holder = bench_fork(accepting_holder, NULL);
    bench_hear(holder.fd, swarm.address, sizeof swarm.address);
    struct bench_child peers = bench_fork(swarm_run, &swarm);
    bench_hear(peers.fd, &up, sizeof up);
    if (up != connections)
        bench_die("%llu of %llu connections are up", (unsigned long long)up,
                  (unsigned long long)connections);
    bench_hear(holder.fd, &cost, sizeof cost);
    bench_reap(&holder);
    bench_reap(&peers);
    return cost;
}

static void report(const char *figure, bool is_judged, const struct bench_series *s)
{
    bench_report(&(struct bench_figure){.figure = figure,
                                        .unit = "bytes",
                                        .must = is_judged ? 12288 : 0,
                                        .aim = is_judged ? 6144 : 0,
                                        .is_lower_better = true},
                 s, NULL);
}

static void memory(void)
{
    struct bench_series series[4] = {{.count = 0}};
    for (unsigned i = 0; i < bench.rounds; i++) {
        struct cost d = dialled(), a = accepted();
        bench_add(&series[0], d.heap);
        bench_add(&series[1], a.heap);
        bench_add(&series[2], d.resident);
        bench_add(&series[3], a.resident);
    }
    report("idle: heap of a connection, dialler", true, &series[0]);
    report("idle: heap of a connection, listener", true, &series[1]);
    report("idle: resident memory, dialler", false, &series[2]);
    report("idle: resident memory, listener", false, &series[3]);
}

/* ---- many peers */

/* Work of bench_fork: an echo that holds everyone. */
static void hub(int fd, void *context)
{
    static weir_node_options o;
    struct ends_service service = {.options = &o};
    (void)context;
    (void)bench_raise_files();
    o = holder_options();
    ends_serve(fd, &service);
}

struct crowd {
    struct bench_child hub, swarm[SWARMS_MAX];
    struct swarm settings[SWARMS_MAX];
    unsigned swarms;
};

static void gather(struct crowd *c, uint64_t peers, const char *address)
{
    uint64_t each = bench_raise_files() / FILES_PER_NODE, up, total = 0;
    double start = bench_now();
    while (total < peers) {
        if (c->swarms == SWARMS_MAX) bench_die("too few descriptors for %d processes", SWARMS_MAX);
        struct swarm *s = &c->settings[c->swarms];
        *s = (struct swarm){.count = (unsigned)(peers - total < each ? peers - total : each),
                            .idle_timeout_us = 120000000};
        memcpy(s->address, address, sizeof s->address);
        c->swarm[c->swarms] = bench_fork(swarm_run, s);
        bench_hear(c->swarm[c->swarms].fd, &up, sizeof up);
        total += s->count;
        bench_say("# process %u: %llu of %u connected, %.1f s\n", c->swarms + 1,
                  (unsigned long long)up, s->count, bench_now() - start);
        c->swarms++;
    }
}

/* Everyone pings once in span seconds. @return the 99th percentile in ms */
static double pings(struct crowd *c, uint64_t peers, double span)
{
    double *taken = malloc(peers * sizeof *taken);
    struct swarm_result r;
    size_t count = 0;
    uint64_t unanswered = 0, lost = 0;
    if (taken == NULL) bench_die("no memory");
    for (unsigned i = 0; i < c->swarms; i++) bench_tell(c->swarm[i].fd, &span, sizeof span);
    for (unsigned i = 0; i < c->swarms; i++) {
        bench_hear(c->swarm[i].fd, &r, sizeof r);
        bench_hear(c->swarm[i].fd, taken + count, r.answers * sizeof *taken);
        count += r.answers;
        unanswered += c->settings[i].count - r.answers;
        lost += r.lost;
    }
    /* What was not answered within the second that it has, counts as that. */
    double p50 = bench_percentile(taken, count, 0.5);
    for (uint64_t i = 0; i < unanswered; i++) taken[count++] = 1;
    double p99 = bench_percentile(taken, count, 0.99);
    bench_say("# %llu pings: p50 %.3f ms, p99 %.3f ms, %llu unanswered, %llu connections lost\n",
              (unsigned long long)count, p50 * 1e3, p99 * 1e3, (unsigned long long)unanswered,
              (unsigned long long)lost);
    free(taken);
    return p99 * 1e3;
}

static void many_peers(uint64_t peers, double span)
{
    static struct crowd c;
    struct bench_series p99 = {.count = 0};
    char address[WEIR_ADDRESS_TEXT_MAX], figure[64];
    connections = peers;
    c.hub = bench_fork(hub, NULL);
    bench_hear(c.hub.fd, address, sizeof address);
    gather(&c, peers, address);
    for (unsigned i = 0; i < bench.rounds; i++) bench_add(&p99, pings(&c, peers, span));
    for (unsigned i = 0; i < c.swarms; i++) bench_reap(&c.swarm[i]);
    bench_reap(&c.hub);
    snprintf(figure, sizeof figure, "idle: echo among %llu peers, p99", (unsigned long long)peers);
    bench_report(
        &(struct bench_figure){
            .figure = figure, .unit = "ms", .must = 50, .aim = 10, .is_lower_better = true},
        &p99, NULL);
}

int main(int argc, char **argv)
{
    uint64_t peers = 0, span = 30;
    const struct bench_option options[] = {
        {.name = "--connections", .help = "N: idle connections; 2000", .number = &connections},
        {.name = "--peers",
         .help = "N: instead, N peers that ping one process: 20000 takes some minutes",
         .number = &peers},
        {.name = "--every",
         .help = "N: seconds in which each peer pings once; 30",
         .number = &span},
        {.name = NULL}};
    bench_begin(argc, argv,
                "Memory of idle connections: the heap of one node with 2,000 of them, dialled and\n"
                "accepted; or with --peers the time of an echo while so many peers are connected\n"
                "to one process and each pings it every 30 s.",
                options, NULL);
    if (bench.quick) connections = 50;
    if (bench.quick) span = 1;
    if (connections < 1 || connections > bench_raise_files() / FILES_PER_NODE)
        bench_die("--connections is 1 to %llu here",
                  (unsigned long long)(bench_raise_files() / FILES_PER_NODE));
    if (peers == 0) memory();
    if (peers > 0) many_peers(peers, (double)span);
    if (bench.quick && peers == 0) many_peers(50, 1);
    return 0;
}
