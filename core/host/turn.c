/* SPDX-License-Identifier: MIT */
#include "host/turn.h"
#include "base/assert.h"
#include "host/clock.h"
#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* The real world of a node.
 *
 * The loop's callbacks only note what is ready. All work is done by turn_poll, outside of the loop,
 * in a fixed order: answers of names, files and pipes (local.h), one batch of datagrams from each
 * socket, the deadline, then everything that the node has to send. So node is never entered from
 * inside node, the loop may be run at any time, and a flood on one socket costs the others at most
 * the time of one batch. Events come first: a poll that has some returns without waiting, but now
 * and then looks at the sockets all the same, so that an application that makes its own events
 * cannot starve its peers.
 *
 * What waits outside is one epoll descriptor (the loop's). A timer descriptor in its set stands for
 * the deadline, with microseconds, and for "there is more to do" (armed in the past); an event
 * descriptor stands for wake. Whoever waits for it with a loop of their own misses nothing:
 * everything that changes the set outside of poll also makes it ready.
 *
 * To sleep and be woken costs more than all else that a small request needs, so a host may be told
 * to spin: to ask the loop over and over, for a bounded time, before it sleeps. It does so only
 * with peers, and once for each time that packets came or went: an idle node sleeps, and datagrams
 * that are no packets of anybody's keep no one awake. A spin is turns of the same loop, so it ends
 * by whatever would have ended the sleep: a wake, a name's answer, a socket that can be written to;
 * the deadline is looked at by the clock. Where spins find nothing, because the peer is far away or
 * needs the very core that is spun on, more and more of them are left out.
 *
 * There is no queue of datagrams. When a socket is full the one run that did not fit stays, and the
 * node is not asked for more until it has left: the back-pressure reaches the congestion
 * controller's pacing and, through it, the writers. */

enum {
    SEND_RUNS_MAX = 64,  /* per pass: 4 MiB; then it is the turn of what arrived */
    EVENT_TURNS_MAX = 4, /* polls in a row that may give events and not look at sockets */
    SPIN_MISSES_MAX = 6, /* then one spin of 64 is tried */
    RETRY_US = 1000,     /* the system has no buffers, or a deadline is due while blocked */
};

static void on_timer(uv_poll_t *poll, int status, int events)
{
    struct host *host = poll->data;

    (void)status;
    (void)events;
    host->timer_ready = true;
}

static void on_wake(uv_poll_t *poll, int status, int events)
{
    struct host *host = poll->data;

    (void)status;
    (void)events;
    host->wake_ready = true;
}

static void run_loop(struct host *host, uv_run_mode mode)
{
    host->ports.is_changed = false;
    host->ports.has_news = false;
    host->resolve.has_news = false;
    host->locals.is_changed = false;
    host->locals.has_news = false;
    (void)uv_run(&host->loop, mode);
}

static int open_watch(struct host *host, uv_poll_t *poll, int fd, uv_poll_cb ready)
{
    poll->data = host;
    if (uv_poll_init(&host->loop, poll, fd) != 0) return -1;
    return uv_poll_start(poll, UV_READABLE, ready);
}

int turn_watch(struct host *host)
{
    int result = open_watch(host, &host->timer, host->timer_fd, on_timer);

    if (result == 0) result = open_watch(host, &host->wake, host->wake_fd, on_wake);
    if (result == 0) run_loop(host, UV_RUN_NOWAIT); /* tells epoll of them */
    return result;
}

static void read_counter(int fd)
{
    uint64_t count;
    ssize_t n;

    do {
        n = read(fd, &count, sizeof count);
    } while (n < 0 && errno == EINTR);
}

/* The timer went off: make it silent. */
static void timer_reset(struct host *host)
{
    read_counter(host->timer_fd);
    host->timer_ready = false;
    host->armed_us = UINT64_MAX;
}

/* Let the timer go off at that time or earlier. Deadlines mostly move away from us, packet by
 * packet: a timer that goes off too early costs one turn of the loop, setting it each time would
 * cost a system call per packet. */
static void arm(struct host *host, uint64_t at_us)
{
    struct itimerspec when = {0};
    int result;

    if (host->armed_us <= at_us) return;
    when.it_value.tv_sec = (time_t)(at_us / 1000000u);
    when.it_value.tv_nsec = (long)(at_us % 1000000u) * 1000 + (at_us == 0);
    result = timerfd_settime(host->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
    WEIR_ASSERT(result == 0);
    host->armed_us = at_us;
}

static bool is_blocked(const struct host *host)
{
    return host->blocked != NULL || host->retry_us != 0;
}

/* When there is work without anything arriving. */
static uint64_t next_work_us(const struct host *host)
{
    uint64_t at = node_deadline(host->node), answers = resolve_deadline(&host->resolve);
    uint64_t locals = locals_deadline(&host->locals);

    if (host->has_more || locals == 0) return 0;
    /* A pacer's deadline stays due for as long as a full socket lets nothing out. */
    if (is_blocked(host) && at != UINT64_MAX) {
        uint64_t soon = clock_after(clock_now_us(), RETRY_US);

        if (at < soon) at = soon;
    }
    if (host->retry_us != 0 && host->retry_us < at) at = host->retry_us;
    if (locals < at) at = locals;
    return answers < at ? answers : at;
}

void turn_settle(struct host *host)
{
    uint64_t at_us;

    if (host->ports.is_changed || host->locals.is_changed) run_loop(host, UV_RUN_NOWAIT);
    at_us = node_has_events(host->node) ? 0 : next_work_us(host);
    /* A deadline that was served before the loop ran has left the descriptor readable. */
    if (host->armed_us < at_us && host->armed_us <= clock_now_us()) timer_reset(host);
    arm(host, at_us);
}

static void run_drop(struct host *host)
{
    host->has_run = false;
    host->blocked = NULL;
    host->retry_us = 0;
}

/* Fetch a run if none waits. @return false when the node has nothing to send */
static bool run_fetch(struct host *host, uint64_t now_us)
{
    if (host->has_run) return true;
    memset(&host->run, 0, sizeof host->run);
    host->run.out.data = host->send_bytes;
    host->run.out.cap = UDP_SEND_BYTES;
    host->has_run = node_next_datagram(host->node, &host->run.out, now_us);
    return host->has_run;
}

/* @return false when the run could not leave now */
static bool run_send(struct host *host, uint64_t now_us)
{
    const struct datagram_out *out = &host->run.out;
    struct port_socket *s = ports_socket(&host->ports, out->socket, out->remote.family);
    enum udp_send result = UDP_SENT;

    if (s != NULL) {
        result = udp_socket_send(&s->udp, &host->run);
    } else {
        metric_inc(node_metrics(host->node), METRIC_SEND_ERRORS);
    }
    if (result == UDP_BLOCKED) {
        host->blocked = s;
        ports_want_write(&host->ports, s, true);
    }
    if (result == UDP_LATER) host->retry_us = clock_after(now_us, RETRY_US);
    if (result == UDP_SENT) run_drop(host);
    return result == UDP_SENT;
}

/* Whether a run that did not fit may be tried again. */
static bool unblock(struct host *host, uint64_t now_us)
{
    if (host->blocked != NULL && host->blocked->is_writable) {
        ports_want_write(&host->ports, host->blocked, false);
        host->blocked = NULL;
    }
    if (host->retry_us != 0 && now_us >= host->retry_us) host->retry_us = 0;
    return !is_blocked(host);
}

void turn_send(struct host *host, uint64_t now_us)
{
    unsigned runs;

    host->has_more = false;
    if (!unblock(host, now_us)) return;
    for (runs = 0; runs < SEND_RUNS_MAX; runs++) {
        if (!run_fetch(host, now_us) || !run_send(host, now_us)) return;
    }
    host->has_more = true;
}

static void give(struct host *host, uint32_t kind, const struct datagram_in *datagram,
                 uint64_t now_us)
{
    struct node_input in = {.kind = kind, .now_us = now_us, .datagram = datagram};

    (void)node_input(host->node, &in);
}

static void take_answers(struct host *host, uint64_t now_us)
{
    struct resolve_answer answer;

    while (resolve_next(&host->resolve, now_us, &answer)) {
        struct node_input in = {.kind = NODE_INPUT_RESOLVED, .now_us = now_us};

        in.resolved.token = answer.token;
        in.resolved.error = answer.error;
        in.resolved.count = answer.count;
        in.resolved.addresses = answer.addresses;
        in.resolved.ip6_first = answer.ip6_first;
        (void)node_input(host->node, &in);
    }
}

static void take_datagrams(struct host *host, struct port_socket *s, uint64_t now_us)
{
    unsigned i, count;

    if (s == NULL || !s->is_readable) return;
    s->is_readable = false;
    count = udp_socket_receive(&s->udp, &host->batch);
    /* The node may close the socket while it looks at the batch; the memory of both stays until the
     * loop runs. */
    for (i = 0; i < count && !s->is_closed; i++) {
        host->batch.in[i].socket = s->number;
        give(host, NODE_INPUT_DATAGRAM, &host->batch.in[i], now_us);
    }
}

/* What the loop noted, and what is due. */
static void take_in(struct host *host)
{
    uint64_t now_us, readable;

    if (host->timer_ready) timer_reset(host);
    if (host->wake_ready) {
        read_counter(host->wake_fd);
        host->wake_ready = false;
        host->is_woken = true;
    }
    now_us = clock_now_us();
    take_answers(host, now_us);
    locals_run(&host->locals, host->node, now_us);
    readable = host->ports.readable;
    host->ports.readable = 0;
    while (readable != 0) {
        const struct port *port = &host->ports.port[__builtin_ctzll(readable)];

        readable &= readable - 1;
        take_datagrams(host, port->ip6, now_us);
        take_datagrams(host, port->ip4, now_us);
        take_datagrams(host, port->stand_in, now_us);
    }
    if (node_deadline(host->node) <= now_us) give(host, NODE_INPUT_DEADLINE, NULL, now_us);
}

/* Whether packets came or went since this was last asked. */
static bool has_traffic(struct host *host)
{
    const struct metrics *metrics = node_metrics(host->node);
    uint64_t packets =
        metrics->value[METRIC_PACKETS_RECEIVED] + metrics->value[METRIC_PACKETS_SENT];
    bool result = packets != host->packets;

    host->packets = packets;
    return result;
}

static bool has_found(const struct host *host)
{
    return host->ports.has_news || host->resolve.has_news || host->locals.has_news ||
           host->timer_ready || host->wake_ready;
}

/* @return true when the loop found something, false when it is time to sleep or to go on */
static bool spin(struct host *host, uint64_t now_us, uint64_t at_us)
{
    uint64_t end_us = clock_after(now_us, host->spin_us);

    if (!has_traffic(host) || node_peers_connected(host->node) == 0) return false;
    if (host->spin_skips > 0) {
        host->spin_skips--;
        return false;
    }
    if (at_us < end_us) end_us = at_us;
    do {
        run_loop(host, UV_RUN_NOWAIT);
        if (has_found(host)) {
            host->spin_misses = 0;
            return true;
        }
    } while (clock_now_us() < end_us);
    if (end_us == at_us) return true;
    if (host->spin_misses < SPIN_MISSES_MAX) host->spin_misses++;
    host->spin_skips = (1u << host->spin_misses) - 1;
    return false;
}

/* One turn of the loop: wait until something is ready or that time has come, then deal with it. */
static void pass(struct host *host, uint64_t until_us)
{
    uint64_t at_us = next_work_us(host), now_us = clock_now_us();

    if (until_us < at_us) at_us = until_us;
    if (at_us <= now_us) {
        run_loop(host, UV_RUN_NOWAIT);
    } else if (host->spin_us == 0 || !spin(host, now_us, at_us)) {
        arm(host, at_us);
        run_loop(host, UV_RUN_ONCE);
    }
    take_in(host);
    turn_send(host, clock_now_us());
}

int64_t turn_poll(struct host *host, weir_event *events, uint32_t cap, int64_t timeout_us)
{
    uint64_t now_us = clock_now_us(), until_us = UINT64_MAX;
    uint32_t count;

    WEIR_ASSERT(host->node != NULL);
    WEIR_ASSERT(!host->is_polling);
    host->is_polling = true;
    if (timeout_us >= 0) until_us = clock_after(now_us, (uint64_t)timeout_us);
    give(host, NODE_INPUT_TURN, NULL, now_us);
    if (node_deadline(host->node) <= now_us) give(host, NODE_INPUT_DEADLINE, NULL, now_us);
    turn_send(host, now_us);
    locals_run(&host->locals, host->node, now_us);
    host->event_turns = node_has_events(host->node) ? host->event_turns + 1 : 0;
    if (host->event_turns == 0 || host->event_turns > EVENT_TURNS_MAX) {
        host->event_turns = 0;
        do {
            pass(host, node_has_events(host->node) ? 0 : until_us);
        } while (!node_has_events(host->node) && !host->is_woken && clock_now_us() < until_us);
    }
    host->is_woken = false;
    count = node_next_events(host->node, events, cap);
    turn_settle(host);
    host->is_polling = false;
    return count;
}

void turn_forget(struct host *host, uint32_t number)
{
    if (host->has_run && host->run.out.socket == number) run_drop(host);
}

void turn_retry(struct host *host)
{
    if (host->blocked != NULL) ports_want_write(&host->ports, host->blocked, false);
    host->blocked = NULL;
    host->retry_us = 0;
}

void turn_poke(struct host *host)
{
    if (host->is_polling) return;
    if (host->ports.is_changed || host->locals.is_changed ||
        resolve_deadline(&host->resolve) == 0 || locals_deadline(&host->locals) == 0)
        arm(host, 0);
}
