/* SPDX-License-Identifier: MIT */
/* Goal: a host drives its node: datagrams, answers, deadlines and turns go in, datagrams go out,
 * nothing starves and everything is given back. Method: real loopback sockets, a fake node that
 * keeps what it is given, and a few system calls that refuse when told to. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/assert.h"
#include "host/calls.h"
#include "host/clock.h"
#include "host/host.h"
#include "host/ports.h"
#include "host/sockaddr.h"
#include "fake_node.c"
#include "watchdog.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

/* A host with its node. */
struct side {
    struct host *host;
    struct node node;
    uint32_t socket;           /* of side_listen */
    struct endpoint at;
};

static struct side here, there;
static struct host_calls calls;
static struct {
    int send_errno, times;     /* the next sends fail */
    int bind_ip4_times;        /* the next IPv4 binds find the port in use */
    bool no_ip6;
    int connect_errno;
} refuse;

static ssize_t fake_sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (refuse.times > 0) {
        refuse.times--;
        errno = refuse.send_errno;
        return -1;
    }
    return sendmsg(fd, message, flags);
}

static int fake_bind(int fd, const struct sockaddr *address, socklen_t len)
{
    if (address->sa_family == AF_INET && refuse.bind_ip4_times > 0) {
        refuse.bind_ip4_times--;
        errno = EADDRINUSE;
        return -1;
    }
    return bind(fd, address, len);
}

static int fake_socket(int domain, int type, int protocol)
{
    if (domain == AF_INET6 && refuse.no_ip6) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return socket(domain, type, protocol);
}

static int fake_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    if (refuse.connect_errno != 0) {
        errno = refuse.connect_errno;
        return -1;
    }
    return connect(fd, address, len);
}

static void side_open(struct side *side, const struct host_options *options)
{
    memset(side, 0, sizeof *side);
    assert_int_equal(host_open(options, &side->host, NULL), 0);
    side->node.deadline_us = UINT64_MAX;
    side->node.driver = &host_driver;
    side->node.driver_context = side->host;
    log_init(&side->node.log, mem_system(), 16, LOG_TRACE);
    host_attach(side->host, &side->node);
}

static void side_close(struct side *side)
{
    if (side->host == NULL) return;
    host_driver.close(side->host);
    host_driver.release(side->host);
    side->host = NULL;
    log_free(&side->node.log);
}

static void side_listen(struct side *side, const char *text)
{
    struct endpoint want;
    weir_error error = {.size = sizeof error};

    assert_int_equal(endpoint_parse(&want, text, strlen(text)), 0);
    assert_int_equal(host_driver.listen(side->host, &want, &side->at, &side->socket, &error), 0);
}

static int64_t side_poll(struct side *side, int64_t timeout_us)
{
    weir_event events[8];

    return host_driver.poll(side->host, events, 8, timeout_us);
}

static int set_up(void **state)
{
    struct host_options options = {.calls = &calls};

    (void)state;
    calls = *host_calls_system();
    calls.sendmsg = fake_sendmsg;
    calls.bind = fake_bind;
    calls.socket = fake_socket;
    calls.connect = fake_connect;
    memset(&refuse, 0, sizeof refuse);
    side_open(&here, &options);
    side_open(&there, &options);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    side_close(&here);
    side_close(&there);
    return 0;
}

/* A socket of the test's own, to send from without a host. */
static int plain_socket(int family)
{
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    return fd;
}

static void plain_send(int fd, const struct endpoint *to, uint8_t first)
{
    struct sockaddr_storage name;
    socklen_t len = sockaddr_of(to, &name);

    assert_int_equal(sendto(fd, &first, 1, 0, (struct sockaddr *)&name, len), 1);
}

static bool has_ip6(void)
{
    const struct endpoint loopback = {.family = ENDPOINT_IP6, .bytes = {[15] = 1}};

    return udp_socket_route(host_calls_system(), &loopback) == 0;
}

/* ------------------------------------------------------------------- datagrams */

static void test_a_run_travels_from_one_node_to_another(void **state)
{
    const struct fake_input *in;
    size_t got = 0;
    uint32_t i = 0;

    (void)state;
    side_listen(&here, "127.0.0.1:0");
    side_listen(&there, "127.0.0.1:0");
    fake_send(&here.node, here.socket, &there.at, 5000, 1200, 7);
    assert_int_equal(side_poll(&here, 0), 0);
    while (got < 5000) {
        assert_true(side_poll(&there, -1) >= 1);
        while ((in = fake_input_of(&there.node, NODE_INPUT_DATAGRAM, i)) != NULL) {
            assert_int_equal(in->first, 7);
            assert_int_equal(in->socket, there.socket);
            assert_true(endpoint_equal(&in->remote, &here.at));
            assert_true(endpoint_equal(&in->local, &there.at));
            assert_true(in->segment == 0 ? in->len <= 1200 : in->segment == 1200);
            got += in->len;
            i++;
        }
    }
    assert_int_equal(got, 5000);
    assert_int_equal(here.node.kinds[NODE_INPUT_TURN], 1);
}

static void test_flush_sends_without_a_turn(void **state)
{
    (void)state;
    side_listen(&here, "127.0.0.1:0");
    side_listen(&there, "127.0.0.1:0");
    fake_send(&here.node, here.socket, &there.at, 10, 10, 1);
    host_driver.flush(here.host);
    assert_int_equal(side_poll(&there, -1), 1);
    assert_int_equal(here.node.kinds[NODE_INPUT_TURN], 0);
}

static void test_a_full_socket_stops_the_asking_and_loses_nothing(void **state)
{
    uint8_t i;

    (void)state;
    side_listen(&here, "127.0.0.1:0");
    side_listen(&there, "127.0.0.1:0");
    for (i = 0; i < 5; i++) fake_send(&here.node, here.socket, &there.at, 100, 100, i);
    refuse.send_errno = EAGAIN;
    refuse.times = 2;
    host_driver.flush(here.host);
    assert_int_equal(here.node.asked, 1);
    host_driver.flush(here.host); /* the same run is tried again, and no other */
    assert_int_equal(here.node.asked, 1);
    assert_int_equal(here.node.metrics.value[METRIC_SEND_BLOCKED], 2);
    assert_int_equal(side_poll(&here, 0), 0);
    while (there.node.kinds[NODE_INPUT_DATAGRAM] < 5) (void)side_poll(&there, -1);
    for (i = 0; i < 5; i++) {
        assert_int_equal(fake_input_of(&there.node, NODE_INPUT_DATAGRAM, i)->first, i);
    }
    assert_int_equal(here.node.metrics.value[METRIC_SEND_ERRORS], 0);
}

static void test_want_of_buffers_is_tried_again_after_a_while(void **state)
{
    uint64_t start_us = clock_now_us();

    (void)state;
    side_listen(&here, "127.0.0.1:0");
    fake_send(&here.node, here.socket, &here.at, 100, 100, 1);
    refuse.send_errno = ENOBUFS;
    refuse.times = 2;
    assert_int_equal(side_poll(&here, -1), 1); /* its own datagram comes back to it */
    assert_true(clock_now_us() - start_us >= 2000);
    assert_int_equal(here.node.metrics.value[METRIC_SEND_BLOCKED], 2);
}

static void test_a_deadline_that_stays_due_while_blocked_does_not_spin(void **state)
{
    (void)state;
    side_listen(&here, "127.0.0.1:0");
    here.node.is_silent = true;
    fake_send(&here.node, here.socket, &here.at, 100, 100, 1);
    refuse.send_errno = ENOBUFS;
    refuse.times = 1000;
    host_driver.flush(here.host);
    here.node.deadline_us = 1;
    (void)side_poll(&here, 20000);
    /* About one call a millisecond, not as many as fit. */
    assert_true(here.node.metrics.value[METRIC_SEND_CALLS] <= 25);
}

static void test_what_waits_for_a_closed_socket_is_dropped(void **state)
{
    (void)state;
    side_listen(&here, "127.0.0.1:0");
    fake_send(&here.node, here.socket, &here.at, 100, 100, 1);
    fake_send(&here.node, here.socket, &here.at, 100, 100, 1);
    refuse.send_errno = EAGAIN;
    refuse.times = 1;
    host_driver.flush(here.host);
    host_driver.unlisten(here.host, here.socket);
    assert_int_equal(side_poll(&here, 0), 0);
    assert_int_equal(here.node.asked, 4); /* the first, the second, twice none */
    assert_int_equal(here.node.metrics.value[METRIC_SEND_ERRORS], 1);
}

static void test_a_flood_on_one_socket_leaves_room_for_the_others(void **state)
{
    struct host_options options = {.offload_off = true};
    struct endpoint quiet, flooded;
    uint32_t quiet_socket, flooded_socket, i, from_flood = 0, from_quiet = 0;
    int fd = plain_socket(AF_INET);

    (void)state;
    side_close(&here);
    side_open(&here, &options);
    here.node.is_silent = true;
    side_listen(&here, "127.0.0.1:0");
    flooded = here.at;
    flooded_socket = here.socket;
    side_listen(&here, "127.0.0.1:0");
    quiet = here.at;
    quiet_socket = here.socket;
    for (i = 0; i < 200; i++) plain_send(fd, &flooded, 1);
    plain_send(fd, &quiet, 2);
    assert_int_equal(side_poll(&here, 0), 0);
    for (i = 0; i < here.node.input_count; i++) {
        from_flood += here.node.inputs[i].socket == flooded_socket;
        from_quiet += here.node.inputs[i].socket == quiet_socket;
    }
    assert_int_equal(from_flood, UDP_BATCH);
    assert_int_equal(from_quiet, 1);
    (void)close(fd);
}

static void test_events_come_first_but_do_not_starve_the_sockets(void **state)
{
    int fd = plain_socket(AF_INET), polls;

    (void)state;
    side_listen(&here, "127.0.0.1:0");
    plain_send(fd, &here.at, 1);
    here.node.has_endless_events = true;
    assert_int_equal(side_poll(&here, -1), 8);
    assert_int_equal(here.node.kinds[NODE_INPUT_DATAGRAM], 0);
    for (polls = 0; polls < 4; polls++) assert_int_equal(side_poll(&here, -1), 8);
    assert_int_equal(here.node.kinds[NODE_INPUT_DATAGRAM], 1);
    (void)close(fd);
}

static void test_a_node_may_close_a_socket_while_it_looks_at_a_datagram(void **state)
{
    int fd = plain_socket(AF_INET);

    (void)state;
    side_listen(&here, "127.0.0.1:0");
    plain_send(fd, &here.at, 1);
    plain_send(fd, &here.at, 2);
    here.node.closes_socket = true;
    assert_int_equal(side_poll(&here, -1), 1);
    assert_int_equal(side_poll(&here, 0), 0);
    assert_int_equal(here.node.kinds[NODE_INPUT_DATAGRAM], 1);
    (void)close(fd);
}

/* --------------------------------------------------------------------- sockets */

static void test_listening_everywhere_takes_both_families_on_one_port(void **state)
{
    const struct endpoint any = {.family = ENDPOINT_IP6};
    struct endpoint to6 = {.family = ENDPOINT_IP6, .bytes = {[15] = 1}}, to4;
    int fd4 = plain_socket(AF_INET), fd6;

    (void)state;
    if (!has_ip6()) skip();
    refuse.bind_ip4_times = 2; /* the first ports that IPv6 is given are taken on IPv4 */
    assert_int_equal(host_driver.listen(here.host, &any, &here.at, &here.socket, NULL), 0);
    assert_int_equal(here.at.family, ENDPOINT_IP6);
    assert_int_not_equal(here.at.port, 0);
    fd6 = plain_socket(AF_INET6);
    to6.port = here.at.port;
    to4 = endpoint_ip4(127, 0, 0, 1, here.at.port);
    plain_send(fd4, &to4, 4);
    plain_send(fd6, &to6, 6);
    while (here.node.kinds[NODE_INPUT_DATAGRAM] < 2) (void)side_poll(&here, -1);
    assert_int_equal(fake_input_of(&here.node, NODE_INPUT_DATAGRAM, 0)->socket, here.socket);
    assert_int_equal(fake_input_of(&here.node, NODE_INPUT_DATAGRAM, 1)->socket, here.socket);
    /* And it sends by both. */
    fake_send(&here.node, here.socket, &to4, 1, 1, 4);
    fake_send(&here.node, here.socket, &to6, 1, 1, 6);
    while (here.node.kinds[NODE_INPUT_DATAGRAM] < 4) (void)side_poll(&here, -1);
    (void)close(fd4);
    (void)close(fd6);
}

static void test_listening_everywhere_does_without_a_family_that_is_missing(void **state)
{
    const struct endpoint any = {.family = ENDPOINT_IP6};

    (void)state;
    refuse.no_ip6 = true;
    assert_int_equal(host_driver.listen(here.host, &any, &here.at, &here.socket, NULL), 0);
    assert_int_equal(here.at.family, ENDPOINT_IP4);
    assert_true(endpoint_is_unspecified(&here.at));
}

static void test_a_port_in_use_is_told_in_a_sentence(void **state)
{
    struct endpoint got, everywhere = {.family = ENDPOINT_IP6};
    weir_error error = {.size = sizeof error};
    uint32_t socket;

    (void)state;
    side_listen(&here, "0.0.0.0:0");
    assert_int_equal(host_driver.listen(there.host, &here.at, &got, &socket, &error),
                     WEIR_E_ADDRESS_IN_USE);
    assert_int_equal(error.code, WEIR_E_ADDRESS_IN_USE);
    assert_non_null(strstr(error.detail, "is in use by another program"));
    /* One family's is enough, and the other's socket is given back. */
    everywhere.port = here.at.port;
    assert_int_equal(host_driver.listen(there.host, &everywhere, &got, &socket, &error),
                     WEIR_E_ADDRESS_IN_USE);
    host_driver.unlisten(here.host, here.socket);
    assert_int_equal(host_driver.listen(there.host, &everywhere, &got, &socket, &error), 0);
}

static void test_dialling_uses_the_listening_socket_that_can_reach(void **state)
{
    struct endpoint loopback = endpoint_ip4(127, 0, 0, 9, 99);
    struct endpoint everywhere = {.family = ENDPOINT_IP4};
    struct endpoint memory = endpoint_memory(1), outside = endpoint_ip4(192, 0, 2, 77, 99);
    uint32_t socket, again;

    (void)state;
    assert_int_equal(host_driver.dial_socket(here.host, &memory, &socket), WEIR_E_UNREACHABLE);
    refuse.connect_errno = ENETUNREACH;
    assert_int_equal(host_driver.dial_socket(here.host, &loopback, &socket), WEIR_E_UNREACHABLE);
    refuse.connect_errno = EAGAIN; /* says nothing about routes */
    side_listen(&here, "127.0.0.1:0");
    assert_int_equal(host_driver.dial_socket(here.host, &loopback, &socket), 0);
    assert_int_equal(socket, here.socket);
    assert_int_equal(host_driver.dial_socket(here.host, &outside, &socket), 0);
    assert_int_not_equal(socket, here.socket);
    assert_int_equal(host_driver.dial_socket(here.host, &outside, &again), 0);
    assert_int_equal(again, socket);
    /* A listener everywhere is preferred from now on. */
    assert_int_equal(host_driver.listen(here.host, &everywhere, &here.at, &again, NULL), 0);
    assert_int_equal(host_driver.dial_socket(here.host, &outside, &socket), 0);
    assert_int_equal(socket, again);
}

static void test_ports_are_limited(void **state)
{
    struct endpoint want = endpoint_ip4(127, 0, 0, 1, 0), got;
    weir_error error = {.size = sizeof error};
    uint32_t socket, i;

    (void)state;
    for (i = 0; i < PORTS_MAX; i++) {
        assert_int_equal(host_driver.listen(here.host, &want, &got, &socket, &error), 0);
    }
    assert_int_equal(host_driver.listen(here.host, &want, &got, &socket, &error), WEIR_E_SOCKET);
    assert_non_null(strstr(error.detail, "64 ports"));
    host_driver.unlisten(here.host, 5);
    assert_int_equal(host_driver.listen(here.host, &want, &got, &socket, &error), 0);
    assert_int_equal(socket, 5);
    host_driver.unlisten(here.host, 0);
    host_driver.unlisten(here.host, PORTS_MAX + 1);
}

/* ---------------------------------------------------------------------- waiting */

static void test_an_idle_poll_is_one_turn(void **state)
{
    (void)state;
    assert_int_equal(side_poll(&here, 0), 0);
    assert_int_equal(side_poll(&here, 1000), 0);
    assert_int_equal(here.node.kinds[NODE_INPUT_TURN], 2);
    assert_int_equal(here.node.kinds[NODE_INPUT_DEADLINE], 0);
}

static void test_poll_waits_for_the_deadline_and_not_longer_than_told(void **state)
{
    uint64_t start_us = clock_now_us();

    (void)state;
    assert_int_equal(side_poll(&here, 1500), 0);
    assert_true(clock_now_us() - start_us >= 1500);
    start_us = clock_now_us();
    here.node.deadline_us = start_us + 3000;
    assert_int_equal(side_poll(&here, 1000), 0);
    assert_int_equal(here.node.kinds[NODE_INPUT_DEADLINE], 0);
    assert_int_equal(side_poll(&here, -1), 1);
    assert_int_equal(here.node.kinds[NODE_INPUT_DEADLINE], 1);
    assert_true(fake_input_of(&here.node, NODE_INPUT_DEADLINE, 0)->now_us >= start_us + 3000);
}

static void test_the_descriptor_is_readable_at_the_deadline(void **state)
{
    int fd = host_driver.fd(here.host);
    struct pollfd now = {.fd = fd, .events = POLLIN};

    (void)state;
    assert_int_equal(poll(&now, 1, 0), 0);
    here.node.deadline_us = clock_now_us() + 2000;
    assert_int_equal(side_poll(&here, 0), 0);
    wait_readable(fd);
    assert_true(clock_now_us() >= here.node.deadline_us);
    assert_int_equal(side_poll(&here, 0), 1);
    assert_int_equal(here.node.kinds[NODE_INPUT_DEADLINE], 1);
    assert_int_equal(poll(&now, 1, 0), 0);
}

static void test_a_deadline_that_moved_away_is_not_served_early(void **state)
{
    uint64_t first_us = clock_now_us() + 1000;

    (void)state;
    here.node.deadline_us = first_us;
    assert_int_equal(side_poll(&here, 0), 0);
    here.node.deadline_us = first_us + 4000;
    assert_int_equal(side_poll(&here, -1), 1);
    assert_true(clock_now_us() >= first_us + 4000);
    assert_int_equal(here.node.kinds[NODE_INPUT_DEADLINE], 1);
}

static void test_the_descriptor_is_readable_when_a_datagram_comes(void **state)
{
    int fd = host_driver.fd(here.host), plain = plain_socket(AF_INET);
    struct pollfd now = {.fd = fd, .events = POLLIN};

    (void)state;
    /* The socket is opened after the descriptor was asked for and no poll is between. */
    side_listen(&here, "127.0.0.1:0");
    assert_int_equal(poll(&now, 1, 0), 1);
    assert_int_equal(side_poll(&here, 0), 0);
    assert_int_equal(poll(&now, 1, 0), 0);
    plain_send(plain, &here.at, 1);
    wait_readable(fd);
    assert_int_equal(side_poll(&here, 0), 1);
    assert_int_equal(poll(&now, 1, 0), 0);
    (void)close(plain);
}

static void test_the_descriptor_stays_readable_while_events_are_left(void **state)
{
    struct pollfd now = {.fd = host_driver.fd(here.host), .events = POLLIN};

    (void)state;
    here.node.events = 9;
    assert_int_equal(side_poll(&here, 0), 8);
    assert_int_equal(poll(&now, 1, 0), 1);
    assert_int_equal(side_poll(&here, 0), 1);
    assert_int_equal(side_poll(&here, 0), 0);
    assert_int_equal(poll(&now, 1, 0), 0);
}

static void *wake_it(void *context)
{
    (void)host_driver.wake(context);
    return NULL;
}

static void test_wake_from_another_thread_ends_a_poll(void **state)
{
    struct pollfd now = {.fd = host_driver.fd(here.host), .events = POLLIN};
    pthread_t thread;
    int i;

    (void)state;
    for (i = 0; i < 50; i++) {
        assert_int_equal(pthread_create(&thread, NULL, wake_it, here.host), 0);
        assert_int_equal(side_poll(&here, -1), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    /* A wake before the poll is not lost, and many are one. */
    assert_int_equal(host_driver.wake(here.host), 0);
    assert_int_equal(host_driver.wake(here.host), 0);
    assert_int_equal(poll(&now, 1, 0), 1);
    assert_int_equal(side_poll(&here, -1), 0);
    assert_int_equal(poll(&now, 1, 0), 0);
}

/* ------------------------------------------------------------------------ names */

static void test_a_name_is_answered_by_an_input(void **state)
{
    const struct fake_input *in;

    (void)state;
    assert_int_equal(host_driver.resolve(here.host, "localhost", 77), 0);
    assert_int_equal(side_poll(&here, -1), 1);
    in = fake_input_of(&here.node, NODE_INPUT_RESOLVED, 0);
    assert_non_null(in);
    assert_int_equal(in->token, 77);
    assert_int_equal(in->error, 0);
    assert_true(in->count >= 1);
    assert_int_equal(in->addresses[0].port, 0);
}

static void test_the_descriptor_is_readable_when_a_name_is_answered(void **state)
{
    int fd = host_driver.fd(here.host);

    (void)state;
    assert_int_equal(host_driver.resolve(here.host, "localhost", 78), 0);
    while (here.node.kinds[NODE_INPUT_RESOLVED] == 0) {
        wait_readable(fd);
        (void)side_poll(&here, 0);
    }
}

static void test_a_cancelled_name_is_not_answered(void **state)
{
    (void)state;
    assert_int_equal(host_driver.resolve(here.host, "localhost", 1), 0);
    assert_int_equal(host_driver.resolve(here.host, "localhost", 2), 0);
    host_driver.resolve_cancel(here.host, 1);
    host_driver.resolve_cancel(here.host, 99);
    assert_int_equal(side_poll(&here, -1), 1);
    assert_int_equal(fake_input_of(&here.node, NODE_INPUT_RESOLVED, 0)->token, 2);
}

/* Lookups that hang, as with a dead name server, until the test lets them end. */
static uv_sem_t hanging;
static uv_work_t hanging_work[2];
static struct {
    uv_getaddrinfo_t *request;
    uv_getaddrinfo_cb done;
} hanging_lookups[2];
static int hanging_count;

static void hang(uv_work_t *work)
{
    (void)work;
    uv_sem_wait(&hanging);
}

static void hang_over(uv_work_t *work, int status)
{
    size_t i = (size_t)(work - hanging_work);

    (void)status;
    hanging_lookups[i].done(hanging_lookups[i].request, UV_EAI_AGAIN, NULL);
}

static int hanging_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb done,
                               const char *name, const char *service, const struct addrinfo *hints)
{
    (void)name;
    (void)service;
    (void)hints;
    hanging_lookups[hanging_count].request = request;
    hanging_lookups[hanging_count].done = done;
    return uv_queue_work(loop, &hanging_work[hanging_count++], hang, hang_over);
}

static void test_a_lookup_that_hangs_blocks_neither_poll_nor_close(void **state)
{
    int before;

    (void)state;
    side_close(&here);
    before = descriptors_open();
    calls.getaddrinfo = hanging_getaddrinfo;
    hanging_count = 0;
    assert_int_equal(uv_sem_init(&hanging, 0), 0);
    side_open(&here, &(struct host_options){.calls = &calls});
    assert_int_equal(host_driver.resolve(here.host, "dead.example", 1), 0);
    assert_int_equal(side_poll(&here, 0), 0);
    side_close(&here); /* returns: the lookups still hang */
    assert_true(descriptors_open() > before);
    uv_sem_post(&hanging);
    uv_sem_post(&hanging);
    while (descriptors_open() > before) (void)sched_yield();
    uv_sem_destroy(&hanging);
}

/* --------------------------------------------------------------- opening, closing */

static void test_close_sends_what_the_node_has_left(void **state)
{
    (void)state;
    side_listen(&here, "127.0.0.1:0");
    side_listen(&there, "127.0.0.1:0");
    fake_send(&here.node, here.socket, &there.at, 30, 30, 3);
    side_close(&here);
    assert_int_equal(side_poll(&there, -1), 1);
    assert_int_equal(fake_input_of(&there.node, NODE_INPUT_DATAGRAM, 0)->first, 3);
}

static void test_a_closed_node_is_not_asked_for_datagrams(void **state)
{
    (void)state;
    side_listen(&here, "127.0.0.1:0");
    here.node.is_closed = true;
    side_close(&here);
    assert_int_equal(here.node.asked, 0);
}

static void test_descriptors_and_memory_are_given_back(void **state)
{
    struct mem_counter counter;
    struct host_options options = {0};
    int before, round;

    (void)state;
    side_close(&here);
    before = descriptors_open();
    mem_counter_init(&counter, mem_system());
    options.mem = &counter.mem;
    for (round = 0; round < 3; round++) {
        side_open(&here, &options);
        side_listen(&here, "127.0.0.1:0");
        side_listen(&here, "[::]:0");
        host_driver.unlisten(here.host, here.socket);
        side_listen(&here, "127.0.0.1:0");
        assert_int_equal(host_driver.resolve(here.host, "localhost", 5), 0);
        assert_int_equal(side_poll(&here, -1), 1);
        side_close(&here);
        assert_int_equal(descriptors_open(), before);
        assert_int_equal(counter.live_bytes, 0);
    }
}

static void test_each_allocation_may_fail(void **state)
{
    struct mem_counter counter;
    struct host_options options = {0};
    struct endpoint want = {.family = ENDPOINT_IP6}, got;
    weir_error error = {.size = sizeof error};
    uint32_t socket;
    uint64_t n;
    int before;

    (void)state;
    side_close(&here);
    before = descriptors_open();
    mem_counter_init(&counter, mem_system());
    options.mem = &counter.mem;
    for (n = 1; n <= 3; n++) {
        counter.fail_at = n;
        assert_int_equal(host_open(&options, &here.host, &error), WEIR_E_MEMORY);
        assert_null(here.host);
        assert_int_equal(counter.live_bytes, 0);
        assert_int_equal(descriptors_open(), before);
    }
    side_open(&here, &options);
    for (n = 1; n <= 2; n++) {
        counter.fail_at = n;
        assert_int_equal(host_driver.listen(here.host, &want, &got, &socket, &error),
                         WEIR_E_MEMORY);
    }
    counter.fail_at = 1;
    assert_int_equal(host_driver.resolve(here.host, "localhost", 1), WEIR_E_MEMORY);
    assert_int_equal(side_poll(&here, 0), 0);
    side_close(&here);
    assert_int_equal(counter.live_bytes, 0);
    assert_int_equal(descriptors_open(), before);
}

static void test_a_small_kernel_buffer_is_logged(void **state)
{
    struct host_options options = {.socket_buffer_bytes = 1u << 30};
    struct log_line line;

    (void)state;
    side_close(&here);
    side_open(&here, &options);
    side_listen(&here, "127.0.0.1:0");
    assert_true(log_pop(&here.node.log, &line));
    assert_non_null(strstr(line.text, "net.core.rmem_max"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_run_travels_from_one_node_to_another),
        TEST(test_flush_sends_without_a_turn),
        TEST(test_a_full_socket_stops_the_asking_and_loses_nothing),
        TEST(test_want_of_buffers_is_tried_again_after_a_while),
        TEST(test_a_deadline_that_stays_due_while_blocked_does_not_spin),
        TEST(test_what_waits_for_a_closed_socket_is_dropped),
        TEST(test_a_flood_on_one_socket_leaves_room_for_the_others),
        TEST(test_events_come_first_but_do_not_starve_the_sockets),
        TEST(test_a_node_may_close_a_socket_while_it_looks_at_a_datagram),
        TEST(test_listening_everywhere_takes_both_families_on_one_port),
        TEST(test_listening_everywhere_does_without_a_family_that_is_missing),
        TEST(test_a_port_in_use_is_told_in_a_sentence),
        TEST(test_dialling_uses_the_listening_socket_that_can_reach),
        TEST(test_ports_are_limited),
        TEST(test_an_idle_poll_is_one_turn),
        TEST(test_poll_waits_for_the_deadline_and_not_longer_than_told),
        TEST(test_the_descriptor_is_readable_at_the_deadline),
        TEST(test_a_deadline_that_moved_away_is_not_served_early),
        TEST(test_the_descriptor_is_readable_when_a_datagram_comes),
        TEST(test_the_descriptor_stays_readable_while_events_are_left),
        TEST(test_wake_from_another_thread_ends_a_poll),
        TEST(test_a_name_is_answered_by_an_input),
        TEST(test_the_descriptor_is_readable_when_a_name_is_answered),
        TEST(test_a_cancelled_name_is_not_answered),
        TEST(test_a_lookup_that_hangs_blocks_neither_poll_nor_close),
        TEST(test_close_sends_what_the_node_has_left),
        TEST(test_a_closed_node_is_not_asked_for_datagrams),
        TEST(test_descriptors_and_memory_are_given_back),
        TEST(test_each_allocation_may_fail),
        TEST(test_a_small_kernel_buffer_is_logged),
    };

    return cmocka_run_group_tests(tests, watchdog_start, NULL);
}
