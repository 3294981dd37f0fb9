/* SPDX-License-Identifier: MIT */
/* Goodput of one stream over loopback against what the machine could do at most, and of many
 * streams against one. The sender serves in a process of its own on core 1, the receiver asks,
 * reads and drops on core 0. */
#include "ends.h"
#include "limit.h"
#include <stdio.h>
#include <string.h>

enum { DATAGRAM = LIMIT_PACKET_BYTES, PARALLEL = 50, REPEATS = 4 };

static const char *suite; /* asked for, then the one in use */
static weir_node_options options_both = {.size = sizeof options_both, .datagram_bytes = DATAGRAM};

struct client {
    struct bench_child server;
    weir_node *node;
    uint64_t connection;
};

static void open_client(struct client *c)
{
    static struct ends_service service = {.options = &options_both, .is_sized = true};
    char address[WEIR_ADDRESS_TEXT_MAX];
    c->server = bench_fork(ends_serve, &service);
    bench_pin(0);
    bench_hear(c->server.fd, address, sizeof address);
    c->node = ends_node(&options_both);
    c->connection = ends_connect(c->node, address);
    suite = ends_suite(c->node, c->connection);
}

static void close_client(struct client *c)
{
    (void)weir_node_free(c->node);
    bench_reap(&c->server);
}

static void ask(struct client *c, uint64_t bytes)
{
    int64_t stream =
        ends_check(c->node, "open", weir_stream_open(c->node, c->connection, ENDS_PROTOCOL, NULL));
    ends_check(c->node, "write",
               weir_stream_write(c->node, (uint64_t)stream, &bytes, sizeof bytes, WEIR_FIN));
}

/* Ask for count times bytes and read it all. @return seconds from the call, or from the first byte
 * that arrives */
static double fetch(struct client *c, unsigned count, uint64_t bytes, bool from_first)
{
    static uint8_t chunk[262144];
    uint64_t got = 0;
    weir_event events[ENDS_EVENTS];
    double start = bench_now();
    for (unsigned i = 0; i < count; i++) ask(c, bytes);
    while (got < count * bytes) {
        int64_t n =
            ends_check(c->node, "poll", weir_node_poll(c->node, events, ENDS_EVENTS, 5000000));
        if (n == 0) bench_die("nothing arrives for 5 s");
        for (int64_t i = 0; i < n; i++) {
            int64_t took;
            if (events[i].kind == WEIR_EVENT_CONNECTION_CLOSED) bench_die("the connection ended");
            if (events[i].kind != WEIR_EVENT_READABLE) continue;
            if (got == 0 && from_first) start = bench_now();
            while ((took = weir_stream_read(c->node, events[i].object, chunk, sizeof chunk)) > 0)
                got += (uint64_t)took;
        }
    }
    return bench_now() - start;
}

static double one_stream(uint64_t bytes)
{
    struct client c;
    open_client(&c);
    double took = fetch(&c, 1, bytes, true);
    close_client(&c);
    return (double)bytes * 8 / took / 1e9;
}

/* In turn on one connection, so that both have the same windows and neighbours. */
static void many_streams(uint64_t each, struct bench_series *many, struct bench_series *one)
{
    struct client c;
    double took_many = 0, took_one = 0, bits = (double)each * PARALLEL * 8 * REPEATS / 1e9;
    open_client(&c);
    (void)fetch(&c, 1, each * PARALLEL, false);
    for (int i = 0; i < REPEATS; i++) {
        took_one += fetch(&c, 1, each * PARALLEL, false);
        took_many += fetch(&c, PARALLEL, each, false);
    }
    close_client(&c);
    bench_add(one, bits / took_one);
    bench_add(many, bits / took_many);
}

static void bulk(uint64_t mib, double seconds)
{
    struct bench_series limit = {.count = 0}, goodput = {.count = 0};
    enum limit_kind kind = LIMIT_KINDS;
    char name[64];
    bool is_asked = options_both.cipher_plus1 != 0;
    for (unsigned i = 0; i < bench.rounds; i++) {
        bench_add(&goodput, one_stream(mib << 20));
        kind = limit_of_suite(suite);
        bench_add(&limit, limit_udp(kind, seconds) / 1e9);
    }
    /* A cipher that was asked for is named: the figure without a name is what users get. */
    snprintf(name, sizeof name, "bulk: one stream%s%s", is_asked ? ", " : "",
             is_asked ? suite : "");
    bench_report(&(struct bench_figure){.figure = limit_name(kind), .unit = "Gbit/s"}, &limit,
                 NULL);
    bench_report(
        &(struct bench_figure){
            .figure = name, .unit = "Gbit/s", .against = limit_name(kind), .must = 0.6, .aim = 0.8},
        &goodput, &limit);
}

static void parallel(uint64_t each)
{
    struct bench_series many = {.count = 0}, one = {.count = 0};
    for (unsigned i = 0; i < bench.rounds; i++) many_streams(each, &many, &one);
    bench_report(&(struct bench_figure){.figure = "one request of 50 MiB", .unit = "Gbit/s"}, &one,
                 NULL);
    bench_report(&(struct bench_figure){.figure = "bulk: 50 requests of 1 MiB at once",
                                        .unit = "Gbit/s",
                                        .against = "one request of 50 MiB",
                                        .must = 0.95,
                                        .aim = 1.0},
                 &many, &one);
}

int main(int argc, char **argv)
{
    uint64_t mib = 512;
    bool only_parallel = false, only_one = false;
    const struct bench_option options[] = {
        {.name = "--mib", .help = "N: length of the one stream; 512", .number = &mib},
        {.name = "--one", .help = "only one stream against the limit", .flag = &only_one},
        {.name = "--parallel", .help = "only 50 against 1", .flag = &only_parallel},
        {.name = "--suite",
         .help = "chacha20 or aes: use this cipher, not the one that weir chooses",
         .text = &suite},
        {.name = NULL}};
    bench_begin(argc, argv,
                "Goodput of one stream over loopback (packets of 1452 bytes, a core for each end)\n"
                "against sealing, sending, receiving and opening the same packets without a\n"
                "protocol; and 50 parallel requests of 1 MiB against one of 50 MiB.",
                options, NULL);
    if (suite != NULL) options_both.cipher_plus1 = limit_of_suite(suite) == LIMIT_AES ? 2 : 1;
    if (bench.quick) mib = 2;
    if (!only_parallel) bulk(mib, bench.quick ? 0.02 : 0.5);
    if (!only_one) parallel(bench.quick ? 1 << 16 : 1 << 20);
    return 0;
}
