/* SPDX-License-Identifier: MIT */
#include "swarm.h"
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { READY = 64, COMMAND = -1 };

struct member {
    weir_node *node;
    uint64_t connection; /**< 0: not up */
    uint64_t stream;     /**< of the ping under way; 0: none */
    double next, asked;  /**< when it pings; when it did */
};

struct state {
    const struct swarm *swarm;
    struct member *member;
    unsigned count, dialled, under_way, refused;
    int epoll, fd;
    double end; /**< of the pinging; 0: it does not ping */
    double *taken;
    struct swarm_result result;
};

static void dial_next(struct state *s)
{
    if (s->dialled == s->swarm->count) return;
    struct member *m = &s->member[s->dialled++];
    s->under_way++;
    ends_check(m->node, "dial", weir_node_dial(m->node, s->swarm->address, NULL));
}

static void on_answer(struct state *s, struct member *m)
{
    uint8_t data[SWARM_PING];
    int64_t n;
    while ((n = weir_stream_read(m->node, m->stream, data, sizeof data)) > 0) continue;
    if (n != WEIR_E_END) return;
    m->stream = 0;
    s->taken[s->result.answers++] = bench_now() - m->asked;
}

static void on_refusal(struct state *s, const weir_event *e)
{
    s->under_way--;
    if (s->refused++ == 0)
        bench_say("# a dial failed: %s, %s\n", weir_strerror(e->error),
                  weir_reason_name((uint32_t)e->amount));
}

static void on_event(struct state *s, struct member *m, const weir_event *e)
{
    if (e->kind == WEIR_EVENT_CONNECTED && !s->swarm->is_listening) {
        m->connection = e->object;
        s->result.connected++;
        s->under_way--;
    } else if (e->kind == WEIR_EVENT_CONNECTION_CLOSED && !s->swarm->is_listening) {
        if (m->connection != 0) s->result.lost++;
        if (m->connection == 0) on_refusal(s, e);
        m->connection = 0;
    } else if (e->kind == WEIR_EVENT_READABLE && e->object == m->stream) {
        on_answer(s, m);
    }
}

static void turn(struct state *s, struct member *m)
{
    weir_event events[16];
    int64_t n;
    do {
        n = ends_check(m->node, "poll", weir_node_poll(m->node, events, 16, 0));
        for (int64_t i = 0; i < n; i++) on_event(s, m, &events[i]);
    } while (n > 0);
}

static void ping(struct state *s, struct member *m)
{
    static const uint8_t data[SWARM_PING];
    m->asked = bench_now();
    int64_t stream = weir_stream_open(m->node, m->connection, ENDS_PROTOCOL, NULL);
    if (stream < 0) return;
    m->stream = (uint64_t)stream;
    s->result.pings++;
    (void)weir_stream_write(m->node, m->stream, data, sizeof data, WEIR_FIN);
    turn(s, m);
}

/* Let the pings go that are due. next is the first that is not. @return ms to wait */
static int ping_due(struct state *s, unsigned *next)
{
    double now = bench_now();
    while (*next < s->count && s->member[*next].next <= now) {
        if (s->member[*next].connection != 0) ping(s, &s->member[*next]);
        ++*next;
    }
    if (*next == s->count) return s->end > now ? (int)((s->end - now) * 1e3) + 1 : 0;
    return (int)((s->member[*next].next - now) * 1e3) + 1;
}

/* @return whether a command waits */
static bool wait_for(struct state *s, int ms)
{
    struct epoll_event ready[READY];
    bool is_told = false;
    int n = epoll_wait(s->epoll, ready, READY, ms);
    for (int i = 0; i < n; i++) {
        if (ready[i].data.u64 == (uint64_t)COMMAND) {
            is_told = true;
        } else {
            turn(s, &s->member[ready[i].data.u64]);
        }
    }
    return is_told;
}

/* Each member once, evenly over the span, and then a second for the last answers. */
static void ping_all(struct state *s, double span)
{
    unsigned next = 0;
    double start = bench_now();
    s->taken = calloc(s->count, sizeof *s->taken);
    if (s->taken == NULL) bench_die("no memory");
    s->result.pings = s->result.answers = 0;
    for (unsigned i = 0; i < s->count; i++) s->member[i].next = start + span * i / s->count;
    s->end = start + span + 1;
    while (bench_now() < s->end &&
           (next < s->count || s->result.answers < s->result.pings || bench_now() < start + span))
        (void)wait_for(s, ping_due(s, &next));
    for (unsigned i = 0; i < s->count; i++) s->member[i].stream = 0;
    bench_tell(s->fd, &s->result, sizeof s->result);
    bench_tell(s->fd, s->taken, s->result.answers * sizeof *s->taken);
    free(s->taken);
}

static void watch(struct state *s, int fd, uint64_t what)
{
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = what};
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) != 0) bench_die("epoll");
}

static void make(struct state *s)
{
    char text[WEIR_ADDRESS_TEXT_MAX];
    weir_node_options o = {.size = sizeof o,
                           .idle_timeout_us = s->swarm->idle_timeout_us,
                           .dial_timeout_us = 20000000,
                           .memory_bytes = 4 << 20};
    struct member *m = &s->member[s->count];
    memset(text, 0, sizeof text);
    m->node = s->swarm->is_listening ? ends_listener(&o, "127.0.0.1:0", text) : ends_node(&o);
    if (s->swarm->is_listening) bench_tell(s->fd, text, sizeof text);
    watch(s, weir_node_fd(m->node), s->count++);
}

/* A few dials at a time, below the listener's count of half-open handshakes that asks for Retry. */
static void dial_all(struct state *s)
{
    while (s->dialled < s->count || s->under_way > 0) {
        while (s->under_way < SWARM_DIALS && s->dialled < s->count) {
            dial_next(s);
            turn(s, &s->member[s->dialled - 1]);
        }
        (void)wait_for(s, 100);
    }
    bench_tell(s->fd, &s->result.connected, sizeof s->result.connected);
}

void swarm_run(int fd, void *context)
{
    struct state s = {.swarm = context, .fd = fd, .epoll = epoll_create1(0)};
    (void)bench_raise_files();
    bench_pin(0);
    s.member = calloc(s.swarm->count, sizeof *s.member);
    if (s.member == NULL) bench_die("no memory");
    while (s.count < s.swarm->count) make(&s);
    if (!s.swarm->is_listening) dial_all(&s);
    watch(&s, fd, (uint64_t)COMMAND);
    for (;;) {
        double span;
        if (!wait_for(&s, -1)) continue;
        bench_hear(fd, &span, sizeof span);
        ping_all(&s, span);
    }
}
