/* SPDX-License-Identifier: MIT */
/* What the machine could do at most, as a table of its own. The other benchmarks measure the rows
 * that they need themselves, round by round with what they compare. */
#include "bench.h"
#include "limit_packet.h"
#include <stdio.h>

enum { PINGS = 5 };

static const struct {
    const char *name;
    bool is_tcp;
    enum limit_wait wait;
} pings[PINGS] = {
    {"UDP ping-pong, blocking in recv: p50", false, LIMIT_BLOCKING},
    {"UDP ping-pong, blocking in epoll: p50", false, LIMIT_EPOLL},
    {"UDP ping-pong, spinning: p50", false, LIMIT_SPINNING},
    {"TCP ping-pong, blocking in recv: p50", true, LIMIT_BLOCKING},
    {"TCP ping-pong, spinning: p50", true, LIMIT_SPINNING},
};

static struct bench_series udp[LIMIT_KINDS], ping[PINGS], arithmetic, tls_bulk, tls_handshakes;

static void round_of_all(double seconds)
{
    for (int i = 0; i < LIMIT_KINDS; i++) {
        if (limit_is_available((enum limit_kind)i))
            bench_add(&udp[i], limit_udp((enum limit_kind)i, seconds) / 1e9);
    }
    for (int i = 0; i < PINGS; i++)
        bench_add(&ping[i], limit_ping(pings[i].is_tcp, pings[i].wait, seconds) * 1e6);
    bench_add(&arithmetic, limit_arithmetic(seconds));
    if (!limit_tls_is_built()) return;
    bench_add(&tls_bulk, limit_tls_bulk(seconds) / 1e9);
    bench_add(&tls_handshakes, limit_tls_handshakes(seconds));
}

static void report(const char *name, const char *unit, bool is_lower_better,
                   const struct bench_series *s)
{
    const struct bench_figure figure = {
        .figure = name, .unit = unit, .is_lower_better = is_lower_better};
    if (s->count > 0) bench_report(&figure, s, NULL);
}

int main(int argc, char **argv)
{
    uint64_t ms = 400;
    const struct bench_option options[] = {
        {.name = "--ms", .help = "N: length of each measurement; 400", .number = &ms},
        {.name = NULL}};
    char text[128];
    snprintf(text, sizeof text, "%s", limit_tls_version());
    bench_begin(argc, argv,
                "What this machine can do without a protocol: UDP with and without GSO and GRO,\n"
                "packets of 1452 bytes sealed, masked and opened (payload counts), ping-pong of\n"
                "128 bytes across two cores, the public-key arithmetic of a handshake (1 key\n"
                "generation, 3 agreements, 1 verification) on one core, TLS 1.3 over TCP.",
                options, text);
    if (!packet_padded_is_right()) bench_die("the padded construction is not RFC 8439's");
    if (bench.quick) ms = 20;
    for (unsigned i = 0; i < bench.rounds; i++) round_of_all((double)ms / 1000);
    for (int i = 0; i < LIMIT_KINDS; i++)
        report(limit_name((enum limit_kind)i), "Gbit/s", false, &udp[i]);
    for (int i = 0; i < PINGS; i++) report(pings[i].name, "us", true, &ping[i]);
    report("handshake arithmetic of one core", "1/s", false, &arithmetic);
    report("TLS 1.3 over TCP, one connection", "Gbit/s", false, &tls_bulk);
    report("TLS 1.3 over TCP, new connections", "1/s", false, &tls_handshakes);
    return 0;
}
