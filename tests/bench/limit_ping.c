/* SPDX-License-Identifier: MIT */
#include "bench.h"
#include "limit.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PING = 128, SAMPLES_MAX = 1 << 19 };

struct ping {
    int fd, epoll;
    bool is_tcp;
    enum limit_wait wait;
};

static void pair_up(bool is_tcp, int ends[2])
{
    struct sockaddr_in a[2];
    int on = 1, type = is_tcp ? SOCK_STREAM : SOCK_DGRAM, listener = -1;
    for (int i = 0; i < 2; i++) {
        socklen_t len = sizeof a[i];
        a[i] =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        ends[i] = socket(AF_INET, type, 0);
        if (bind(ends[i], (struct sockaddr *)&a[i], len) != 0) bench_die("bind");
        (void)getsockname(ends[i], (struct sockaddr *)&a[i], &len);
    }
    if (is_tcp) {
        listener = ends[1];
        if (listen(listener, 1) != 0) bench_die("listen");
    }
    if (connect(ends[0], (struct sockaddr *)&a[1], sizeof a[1]) != 0) bench_die("connect");
    if (is_tcp) {
        ends[1] = accept(listener, NULL, NULL);
        close(listener);
        for (int i = 0; i < 2; i++)
            (void)setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    } else if (connect(ends[1], (struct sockaddr *)&a[0], sizeof a[0]) != 0) {
        bench_die("connect");
    }
}

static void prepare(struct ping *p)
{
    struct epoll_event e = {.events = EPOLLIN};
    p->epoll = epoll_create1(0);
    if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->fd, &e) != 0) bench_die("epoll");
}

static void receive(struct ping *p, uint8_t *data)
{
    size_t got = 0;
    while (got < PING) {
        struct epoll_event e;
        if (p->wait == LIMIT_EPOLL && epoll_wait(p->epoll, &e, 1, -1) < 0 && errno != EINTR)
            bench_die("epoll_wait");
        ssize_t n =
            recv(p->fd, data + got, PING - got, p->wait == LIMIT_BLOCKING ? 0 : MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (n <= 0) _exit(0);
        got += (size_t)n;
    }
}

static void echo(int fd, void *context)
{
    struct ping *p = context;
    uint8_t data[PING];
    (void)fd;
    prepare(p);
    bench_pin(1);
    for (;;) {
        receive(p, data);
        (void)send(p->fd, data, PING, 0);
    }
}

double limit_ping(bool is_tcp, enum limit_wait wait, double seconds)
{
    int ends[2];
    uint8_t data[PING] = {0};
    size_t count = 0;
    double *samples = malloc(SAMPLES_MAX * sizeof *samples);
    if (samples == NULL) bench_die("no memory");
    pair_up(is_tcp, ends);
    struct ping there = {.fd = ends[1], .is_tcp = is_tcp, .wait = wait};
    struct ping here = {.fd = ends[0], .is_tcp = is_tcp, .wait = wait};
    struct bench_child child = bench_fork(echo, &there);
    prepare(&here);
    bench_pin(0);
    double start = bench_now(), now = start;
    while (now < start + seconds && count < SAMPLES_MAX) {
        double before = now;
        (void)send(here.fd, data, PING, 0);
        receive(&here, data);
        now = bench_now();
        samples[count++] = now - before;
    }
    bench_reap(&child);
    close(ends[0]);
    close(ends[1]);
    close(here.epoll);
    double median = bench_percentile(samples, count, 0.5);
    free(samples);
    return median;
}
