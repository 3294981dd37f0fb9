/* SPDX-License-Identifier: MIT */
/* Small requests, each on a stream of its own: open, 128 bytes, FIN; the answer is 128 bytes and
 * FIN. One at a time it is a round trip, and the reference is the bare one; many at a time it is
 * throughput, and the reference is what libuv's TCP does with as many connections. */
#include "echo_uv.h"
#include "ends.h"
#include "limit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUEST = 128, SAMPLES_MAX = 1 << 19, SPIN_US = 50 };

struct client {
    struct bench_child server;
    weir_node *node;
    uint64_t connection;
    uint64_t answers;
    unsigned owed; /**< requests that wait until the server allows more streams */
};

static void open_client(struct client *c, bool spin)
{
    static weir_node_options o;
    static struct ends_service service = {.options = &o};
    char address[WEIR_ADDRESS_TEXT_MAX];
    o = (weir_node_options){.size = sizeof o, .spin_us = spin ? SPIN_US : 0};
    c->server = bench_fork(ends_serve, &service);
    bench_pin(0);
    bench_hear(c->server.fd, address, sizeof address);
    c->node = ends_node(&o);
    c->connection = ends_connect(c->node, address);
    c->answers = 0;
    c->owed = 0;
}

static void close_client(struct client *c)
{
    (void)weir_node_free(c->node);
    bench_reap(&c->server);
}

static void ask(struct client *c)
{
    static const uint8_t data[REQUEST];
    int64_t stream = weir_stream_open(c->node, c->connection, ENDS_PROTOCOL, NULL);
    if (stream == WEIR_E_LIMIT) {
        c->owed++;
        return;
    }
    ends_check(c->node, "open", stream);
    ends_check(c->node, "write",
               weir_stream_write(c->node, (uint64_t)stream, data, REQUEST, WEIR_FIN));
}

static void ask_owed(struct client *c)
{
    unsigned owed = c->owed;
    c->owed = 0;
    while (owed-- > 0) ask(c);
}

/* Poll once and read. @return answers that were completed */
static unsigned take(struct client *c)
{
    weir_event events[ENDS_EVENTS];
    uint8_t data[REQUEST];
    unsigned answers = 0;
    int64_t n = ends_check(c->node, "poll", weir_node_poll(c->node, events, ENDS_EVENTS, 5000000));
    if (n == 0) bench_die("no answer for 5 s");
    for (int64_t i = 0; i < n; i++) {
        int64_t took;
        if (events[i].kind == WEIR_EVENT_CONNECTION_CLOSED) bench_die("the connection ended");
        if (events[i].kind == WEIR_EVENT_OPENABLE) ask_owed(c);
        if (events[i].kind != WEIR_EVENT_READABLE) continue;
        while ((took = weir_stream_read(c->node, events[i].object, data, REQUEST)) > 0) continue;
        if (took == WEIR_E_END) answers++;
    }
    c->answers += answers;
    return answers;
}

static double one_at_a_time(bool spin, double seconds)
{
    struct client c;
    double *samples = malloc(SAMPLES_MAX * sizeof *samples);
    size_t count = 0;
    if (samples == NULL) bench_die("no memory");
    open_client(&c, spin);
    double start = bench_now(), now = start;
    while (now < start + seconds && count < SAMPLES_MAX) {
        double before = now;
        ask(&c);
        while (take(&c) == 0) continue;
        now = bench_now();
        samples[count++] = now - before;
    }
    close_client(&c);
    double median = bench_percentile(samples, count, 0.5);
    free(samples);
    return median * 1e6;
}

static double many_at_a_time(unsigned many, double seconds)
{
    struct client c;
    open_client(&c, false);
    for (unsigned i = 0; i < many; i++) ask(&c);
    double start = bench_now(), from = start + seconds / 4, now = start;
    uint64_t before = 0;
    bool is_warm = false;
    while (now < from + seconds) {
        for (unsigned n = take(&c); n > 0; n--) ask(&c);
        now = bench_now();
        if (is_warm || now < from) continue;
        is_warm = true;
        from = now;
        before = c.answers;
    }
    double rate = (double)(c.answers - before) / (now - from);
    close_client(&c);
    return rate;
}

static void report(const char *figure, const char *against, double must, double aim,
                   const struct bench_series *s, const struct bench_series *reference)
{
    struct bench_figure f = {.figure = against, .unit = "us", .is_lower_better = true};
    bench_report(&f, reference, NULL);
    f.figure = figure;
    f.against = against;
    f.must = must;
    f.aim = aim;
    bench_report(&f, s, reference);
}

static void latency(bool spin, double seconds)
{
    struct bench_series ping = {.count = 0}, request = {.count = 0};
    for (unsigned i = 0; i < bench.rounds; i++) {
        enum limit_wait wait = spin ? LIMIT_SPINNING : LIMIT_BLOCKING;
        bench_add(&ping, limit_ping(false, wait, seconds) * 1e6);
        bench_add(&request, one_at_a_time(spin, seconds));
    }
    if (spin) {
        report("requests: one at a time, spinning, p50", "UDP ping-pong, spinning: p50", 4, 2,
               &request, &ping);
    } else {
        report("requests: one at a time, p50", "UDP ping-pong, blocking: p50", 1.4, 1.15, &request,
               &ping);
    }
}

static void throughput(unsigned many, double seconds)
{
    struct bench_series tcp = {.count = 0}, requests = {.count = 0};
    for (unsigned i = 0; i < bench.rounds; i++) {
        bench_add(&tcp, echo_uv(many, REQUEST, seconds));
        bench_add(&requests, many_at_a_time(many, seconds));
    }
    bench_report(
        &(struct bench_figure){.figure = "libuv TCP echo on 100 connections", .unit = "1/s"}, &tcp,
        NULL);
    bench_report(&(struct bench_figure){.figure = "requests: 100 at a time",
                                        .unit = "1/s",
                                        .against = "libuv TCP echo on 100 connections",
                                        .must = 1,
                                        .aim = 2},
                 &requests, &tcp);
}

int main(int argc, char **argv)
{
    bool only_one = false, only_many = false, only_spin = false;
    uint64_t ms = 700;
    const struct bench_option options[] = {
        {.name = "--one", .help = "only one at a time", .flag = &only_one},
        {.name = "--many", .help = "only 100 at a time", .flag = &only_many},
        {.name = "--spin", .help = "only one at a time, spinning", .flag = &only_spin},
        {.name = "--ms", .help = "N: length of each measurement; 700", .number = &ms},
        {.name = NULL}};
    char text[64];
    snprintf(text, sizeof text, "TCP echo with libuv %s", echo_uv_version());
    bench_begin(argc, argv,
                "Requests of 128 bytes, each on a new stream, across two cores: one at a time\n"
                "against UDP ping-pong (blocking; and both spinning), 100 at a time against a\n"
                "TCP echo with libuv on 100 connections.",
                options, text);
    bool all = !only_one && !only_many && !only_spin;
    if (bench.quick) ms = 40;
    if (all || only_one) latency(false, (double)ms / 1000);
    if (all || only_many) throughput(100, (double)ms / 1000);
    if (all || only_spin) latency(true, (double)ms / 1000);
    return 0;
}
