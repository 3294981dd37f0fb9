/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_UNIT_HOST_SIDE_H
#define WEIR_TESTS_UNIT_HOST_SIDE_H
/* What the tests of a whole host share: two hosts with fake nodes, and a few system calls that
 * refuse when told to. */
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
    bool bind_gone;            /* every bind to an address of its own fails */
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
    if (refuse.bind_gone) {
        struct endpoint at = sockaddr_endpoint(address);

        if (!endpoint_is_unspecified(&at)) {
            errno = EADDRNOTAVAIL;
            return -1;
        }
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#endif
