/* SPDX-License-Identifier: MIT */
/* A soak over real sockets: what is used for long neither grows nor leaks.
 *
 *     sh tests/long.sh soak [MINUTES [PEERS [CHURN]]]
 *
 * One process holds a server and 1,000 clients (100 in less than 15 minutes), each a node with its
 * own socket and key, on the loopback interface. Ten clients a second end, in one of four ways, and
 * as many new ones connect, ask three times, and stay. Every 10 s a line says what the process
 * holds. After the warm-up, a quarter of the run and at most 5 minutes, the resident memory may
 * grow by less than 1 MiB/h (least squares), the descriptors not at all.
 * Without a sanitizer: those keep what is freed.
 *
 * Each node has 1 MiB of room for datagrams, of which it touches little. glibc would take it from
 * the heap once the first was freed, in pieces that earlier nodes touched elsewhere, and more of
 * them would be resident the longer nodes come and go. That is the heap's doing and no growth of
 * weir's, so such blocks are kept out of the heap here. */
#include "weir.h"
#include <dirent.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000)
#define PROTOCOL "soak/echo/1"

/* In less time the heap has not settled. */
enum { MINUTES_MIN = 5 };
enum { PEERS_MAX = 5000, SAMPLES_MAX = 8700, EVENTS = 64, ASKS = 3, ASK_BYTES = 1000 };

struct client {
    weir_node *node; /* NULL: the slot is free */
    uint64_t connection, stream;
    uint32_t asked, answered_bytes;
};

/* What the process held at one time. */
struct sample {
    double seconds;
    uint64_t rss_bytes, descriptors;
};

struct soak {
    int epoll;
    weir_node *server;
    weir_peer_id server_peer;
    char address[WEIR_ADDRESS_TEXT_MAX];
    struct client clients[PEERS_MAX];
    uint32_t peers, churn, next;
    uint64_t start_us, shown_us; /* of the run, and of its last line */
    uint64_t connected, answers, ended, failed;
    struct sample samples[SAMPLES_MAX];
    uint32_t sample_count;
};

static struct soak soak;

static void die(const char *what, int64_t result)
{
    fprintf(stderr, "soak: %s: %s\n", what, weir_error_name((int32_t)result));
    exit(1);
}

static int64_t check(int64_t result, const char *what)
{
    if (result < 0) die(what, result);
    return result;
}

static uint64_t rss_bytes(void)
{
    unsigned long pages = 0, all;
    FILE *file = fopen("/proc/self/statm", "r");

    if (file == NULL || fscanf(file, "%lu %lu", &all, &pages) != 2) pages = 0;
    if (file != NULL) fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    uint64_t count = 0;

    if (folder == NULL) return 0;
    while (readdir(folder) != NULL) count++;
    closedir(folder);
    return count;
}

static void sample(void)
{
    weir_node_statistics s = {.size = sizeof s};
    struct sample *now;
    uint64_t at_us = weir_node_now(soak.server) - soak.start_us;

    if (soak.sample_count == SAMPLES_MAX) return;
    now = &soak.samples[soak.sample_count++];
    check(weir_node_get_statistics(soak.server, &s), "weir_node_get_statistics");
    now->seconds = (double)at_us / 1e6;
    now->rss_bytes = rss_bytes();
    now->descriptors = descriptors();
    printf("%6.0f s  RSS %7.2f MiB  descriptors %llu  server: connections %llu, charged %.2f MiB  "
           "connected %llu, answers %llu, ended %llu, failed %llu\n",
           now->seconds, (double)now->rss_bytes / (1 << 20), (unsigned long long)now->descriptors,
           (unsigned long long)s.connections_open, (double)s.memory_bytes / (1 << 20),
           (unsigned long long)soak.connected, (unsigned long long)soak.answers,
           (unsigned long long)soak.ended, (unsigned long long)soak.failed);
    fflush(stdout);
}

static void serve(const weir_event *e)
{
    static uint8_t bytes[16384];
    int64_t count;

    if (e->kind != WEIR_EVENT_READABLE) return;
    while ((count = weir_stream_read(soak.server, e->object, bytes, sizeof bytes)) > 0) {
        if (weir_stream_write(soak.server, e->object, bytes, (uint32_t)count, 0) != count)
            die("an answer was not taken", 0);
    }
    if (count == WEIR_E_END) (void)weir_stream_finish(soak.server, e->object);
}

static void ask(struct client *c)
{
    static const uint8_t bytes[ASK_BYTES] = {1, 2, 3};
    int64_t stream = weir_stream_open(c->node, c->connection, PROTOCOL, NULL);

    if (stream < 0) {
        soak.failed++;
        return;
    }
    c->stream = (uint64_t)stream;
    c->answered_bytes = 0;
    c->asked++;
    if (weir_stream_write(c->node, c->stream, bytes, ASK_BYTES, WEIR_FIN) != ASK_BYTES)
        soak.failed++;
}

static void read_answer(struct client *c)
{
    uint8_t bytes[ASK_BYTES];
    int64_t count;

    while ((count = weir_stream_read(c->node, c->stream, bytes, sizeof bytes)) > 0) {
        c->answered_bytes += (uint32_t)count;
    }
    if (count != WEIR_E_END) return;
    if (c->answered_bytes == ASK_BYTES) {
        soak.answers++;
    } else {
        soak.failed++;
    }
    c->stream = 0;
    if (c->asked < ASKS) ask(c);
}

static void use(struct client *c, const weir_event *e)
{
    switch (e->kind) {
    case WEIR_EVENT_CONNECTED:
        soak.connected++;
        c->connection = e->object;
        check(weir_peer_hold(c->node, &soak.server_peer), "weir_peer_hold");
        ask(c);
        break;
    case WEIR_EVENT_READABLE:
        if (e->object == c->stream) read_answer(c);
        break;
    case WEIR_EVENT_CONNECTION_CLOSED:
        soak.failed++;
        fprintf(stderr, "soak: a connection ended: %s, %s\n", weir_error_name(e->error),
                weir_reason_name((uint32_t)e->amount));
        break;
    default: break;
    }
}

/* The last poll finds nothing: what was written has left by then. @param c  NULL: the server */
static void turn(weir_node *node, struct client *c)
{
    weir_event events[EVENTS];
    int64_t i, count;

    while ((count = check(weir_node_poll(node, events, EVENTS, 0), "weir_node_poll")) > 0) {
        for (i = 0; i < count; i++) {
            if (c != NULL) {
                use(c, &events[i]);
            } else {
                serve(&events[i]);
            }
        }
    }
}

static void watch(weir_node *node, void *whose)
{
    struct epoll_event want = {.events = EPOLLIN, .data.ptr = whose};

    if (epoll_ctl(soak.epoll, EPOLL_CTL_ADD, weir_node_fd(node), &want) != 0) {
        perror("soak: epoll_ctl");
        exit(1);
    }
}

static void begin(struct client *c)
{
    weir_node_options options = {
        .size = sizeof options, .memory_bytes = 1 << 20, .observed_off = 1};

    memset(c, 0, sizeof *c);
    check(weir_node_create(&options, &c->node, NULL), "weir_node_create");
    watch(c->node, c);
    check(weir_node_dial(c->node, soak.address, NULL), "weir_node_dial");
    turn(c->node, c);
}

/* In one of four ways: told, told with an open stream, drained, or without a word. */
static void end(struct client *c, uint32_t way)
{
    if (c->node == NULL) return;
    if (way == 1) (void)weir_stream_open(c->node, c->connection, PROTOCOL, NULL);
    if (way <= 1) (void)weir_connection_close(c->node, c->connection, 7, "enough");
    if (way == 2) (void)weir_node_drain(c->node, 8, 0);
    if (way <= 2) (void)weir_node_poll(c->node, (weir_event[EVENTS]){{.kind = 0}}, EVENTS, 0);
    check(weir_node_free(c->node), "weir_node_free");
    c->node = NULL;
    soak.ended++;
}

static void open_server(void)
{
    weir_node_options options = {
        .size = sizeof options, .peers_max = 2 * PEERS_MAX, .memory_bytes = UINT64_C(1) << 30};

    check(weir_node_create(&options, &soak.server, NULL), "weir_node_create");
    check(weir_node_serve(soak.server, PROTOCOL, NULL), "weir_node_serve");
    check(weir_node_listen(soak.server, "127.0.0.1:0"), "weir_node_listen");
    check(weir_node_address(soak.server, 0, soak.address, sizeof soak.address), "address");
    check(weir_node_peer(soak.server, &soak.server_peer), "weir_node_peer");
    soak.epoll = epoll_create1(0);
    watch(soak.server, NULL);
    soak.start_us = soak.shown_us = weir_node_now(soak.server);
}

static void work_until(uint64_t until_us)
{
    struct epoll_event ready[256];
    uint64_t now_us;

    while ((now_us = weir_node_now(soak.server)) < until_us) {
        int timeout_ms = (int)((until_us - now_us) / 1000) + 1;
        int i, count = epoll_wait(soak.epoll, ready, 256, timeout_ms);

        for (i = 0; i < count; i++) {
            struct client *c = ready[i].data.ptr;

            if (c == NULL) turn(soak.server, NULL);
            if (c != NULL && c->node != NULL) turn(c->node, c);
        }
    }
}

/* A quarter of the run, at most 5 minutes. */
static uint64_t warm_us(uint64_t minutes)
{
    return minutes * 60 * SECOND / 4 < 300 * SECOND ? minutes * 60 * SECOND / 4 : 300 * SECOND;
}

/* Least squares of the samples from first on. @return bytes per hour */
static double slope(uint32_t first)
{
    double n = 0, x = 0, y = 0, xx = 0, xy = 0, below;
    uint32_t i;

    for (i = first; i < soak.sample_count; i++) {
        double at = soak.samples[i].seconds, bytes = (double)soak.samples[i].rss_bytes;

        n += 1;
        x += at;
        y += bytes;
        xx += at * at;
        xy += at * bytes;
    }
    below = n * xx - x * x;
    return below > 0 ? (n * xy - x * y) / below * 3600 : 0;
}

/* @return whether it may count as flat */
static bool judge(uint64_t minutes)
{
    double warm = (double)warm_us(minutes) / 1e6, span = (double)minutes * 60 - warm, per_hour;
    double grown, least = (double)(256 << 10), allowed = (double)(1 << 20) * span / 3600;
    const struct sample *last = &soak.samples[soak.sample_count - 1];
    uint32_t first = 0;

    while (first + 2 < soak.sample_count && soak.samples[first].seconds < warm) first++;
    per_hour = slope(first);
    grown = per_hour * (last->seconds - soak.samples[first].seconds) / 3600;
    printf("survive soak: %llu connections, %llu answers, %u peers, %u/s replaced, %u min; worst: "
           "RSS %+.2f MiB/h (%+.0f KiB over %.0f s), descriptors %llu to %llu, %llu failed\n",
           (unsigned long long)soak.connected, (unsigned long long)soak.answers, soak.peers,
           soak.churn, (uint32_t)minutes, per_hour / (1 << 20), grown / 1024,
           last->seconds - soak.samples[first].seconds,
           (unsigned long long)soak.samples[first].descriptors,
           (unsigned long long)last->descriptors, (unsigned long long)soak.failed);
    /* In minutes a page more or less is a steep slope: what counts there is the growth. */
    return grown < (allowed > least ? allowed : least) && soak.failed == 0 &&
           last->descriptors <= soak.samples[first].descriptors;
}

static bool take_arguments(int argc, char **argv, uint64_t *minutes)
{
    *minutes = argc > 1 ? strtoull(argv[1], NULL, 10) : 60;
    /* In a few minutes a thousand are not replaced often enough to say anything. */
    soak.peers = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : *minutes < 15 ? 100 : 1000;
    soak.churn = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 10;
    return *minutes >= MINUTES_MIN && *minutes <= 1440 && soak.peers >= 1 &&
           soak.peers <= PEERS_MAX && soak.churn >= 1 && soak.churn <= 100;
}

static void raise_descriptors(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

/* The oldest goes and another comes, so many times a second. @return when it ended */
static uint64_t replace_until(uint64_t now_us, uint64_t end_us, uint32_t churn)
{
    uint32_t i;

    for (i = 0; now_us < end_us; i++) {
        struct client *c = &soak.clients[soak.next];

        soak.next = (soak.next + 1) % soak.peers;
        end(c, i % 4);
        begin(c);
        now_us += SECOND / churn;
        work_until(now_us);
        if (now_us < soak.shown_us + 10 * SECOND) continue;
        soak.shown_us += 10 * SECOND;
        sample();
    }
    return now_us;
}

int main(int argc, char **argv)
{
    uint64_t minutes, now_us;
    bool is_flat;
    uint32_t i;

    if (!take_arguments(argc, argv, &minutes)) {
        fprintf(stderr, "usage: soak [MINUTES %d-1440 [PEERS 1-%d [CHURN 1-100]]]\n", MINUTES_MIN,
                PEERS_MAX);
        return 2;
    }
    raise_descriptors();
#ifdef M_MMAP_THRESHOLD
    (void)mallopt(M_MMAP_THRESHOLD, 256 << 10);
#endif
    open_server();
    now_us = soak.start_us;
    /* All come within 10 s. */
    for (i = 0; i < soak.peers; i++) {
        begin(&soak.clients[i]);
        now_us += 10 * SECOND / soak.peers;
        work_until(now_us);
    }
    /* What a heap keeps for reuse settles with the number of allocations, not with time: so the
     * warm-up replaces clients 20 times as fast. */
    now_us = replace_until(now_us, soak.start_us + warm_us(minutes), 20 * soak.churn);
    (void)replace_until(now_us, soak.start_us + minutes * 60 * SECOND, soak.churn);
    is_flat = judge(minutes);
    for (i = 0; i < soak.peers; i++) end(&soak.clients[i], 0);
    check(weir_node_free(soak.server), "weir_node_free");
    close(soak.epoll);
    return is_flat ? 0 : 1;
}
