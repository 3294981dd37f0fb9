/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_UNIT_HOST_ENDS_H
#define WEIR_TESTS_UNIT_HOST_ENDS_H
/* What the tests of a socket share: two ends on loopback, and a table of calls that refuse when
 * told to. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "host/udp_socket.h"
#include "watchdog.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct {
    int segmented_errno;      /* of sends with UDP_SEGMENT; 0: passed on */
    int every_errno;          /* of all sends */
    int after;                /* sends that pass before every_errno holds */
    int times;                /* how often it holds; 0: always */
    int option, option_errno; /* setsockopt of this name fails */
    int socket_errno, bind_errno, connect_errno;
    size_t mtu_bytes; /* longer datagrams are refused, segmented or not; 0: none */
} refuse;

/* What the message says to UDP_SEGMENT; 0: nothing. */
static size_t segment_of(const struct msghdr *message)
{
    struct msghdr copy = *message;
    struct cmsghdr *c;

    for (c = CMSG_FIRSTHDR(&copy); c != NULL; c = CMSG_NXTHDR(&copy, c)) {
        uint16_t size;

        if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_SEGMENT) continue;
        memcpy(&size, CMSG_DATA(c), sizeof size);
        return size;
    }
    return 0;
}

static ssize_t fake_sendmsg(int fd, const struct msghdr *message, int flags)
{
    size_t segment = segment_of(message);
    size_t longest = segment != 0 ? segment : message->msg_iov[0].iov_len;

    if (refuse.segmented_errno != 0 && segment != 0) {
        errno = refuse.segmented_errno;
        return -1;
    }
    if (refuse.mtu_bytes != 0 && longest > refuse.mtu_bytes) {
        errno = EMSGSIZE;
        return -1;
    }
    if (refuse.every_errno != 0 && refuse.after-- <= 0) {
        errno = refuse.every_errno;
        if (refuse.times > 0 && --refuse.times == 0) refuse.every_errno = 0;
        return -1;
    }
    return sendmsg(fd, message, flags);
}

static int fake_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    if (refuse.option != 0 && name == refuse.option) {
        errno = refuse.option_errno;
        return -1;
    }
    return setsockopt(fd, level, name, value, len);
}

static int fake_socket(int domain, int type, int protocol)
{
    errno = refuse.socket_errno;
    return refuse.socket_errno != 0 ? -1 : socket(domain, type, protocol);
}

static int fake_bind(int fd, const struct sockaddr *address, socklen_t len)
{
    errno = refuse.bind_errno;
    return refuse.bind_errno != 0 ? -1 : bind(fd, address, len);
}

static int fake_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    errno = refuse.connect_errno;
    return refuse.connect_errno != 0 ? -1 : connect(fd, address, len);
}

static struct host_calls calls;
static struct metrics metrics;
static struct udp_batch batch;
static struct udp_socket from, to;
static uint8_t sending[UDP_SEND_BYTES];
static uint8_t received[4 * UDP_SEND_BYTES];

static const struct endpoint loopback6 = {.family = ENDPOINT_IP6, .bytes = {[15] = 1}};

static struct udp_socket_options options_of(uint32_t buffer_bytes)
{
    struct udp_socket_options options = {
        .calls = &calls, .metrics = &metrics, .buffer_bytes = buffer_bytes};

    return options;
}

static int set_up(void **state)
{
    size_t i;

    (void)state;
    calls = *host_calls_system();
    calls.sendmsg = fake_sendmsg;
    calls.setsockopt = fake_setsockopt;
    calls.socket = fake_socket;
    calls.bind = fake_bind;
    calls.connect = fake_connect;
    memset(&refuse, 0, sizeof refuse);
    memset(&metrics, 0, sizeof metrics);
    udp_batch_init(&batch, malloc((size_t)UDP_BATCH * UDP_RECEIVE_BYTES));
    from.fd = to.fd = -1;
    for (i = 0; i < sizeof sending; i++) sending[i] = (uint8_t)(i * 7 + i / 251);
    return batch.bytes == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    free(batch.bytes);
    udp_socket_close(&from);
    udp_socket_close(&to);
    return 0;
}

static void open_ends(const struct endpoint *at)
{
    struct udp_socket_options options = options_of(UDP_BUFFER_BYTES);

    assert_int_equal(udp_socket_open(&from, at, &options, NULL), 0);
    assert_int_equal(udp_socket_open(&to, at, &options, NULL), 0);
}

static void open_ip4(void)
{
    struct endpoint at = endpoint_ip4(127, 0, 0, 1, 0);

    open_ends(&at);
}

static struct udp_run run_of(size_t len, size_t segment)
{
    struct udp_run run = {.out = {.remote = to.bound,
                                  .data = sending,
                                  .len = len,
                                  .segment = segment,
                                  .cap = sizeof sending}};

    return run;
}

/* Receive until len bytes came. @return datagrams, runs counted by their parts */
static size_t receive_bytes(size_t len, size_t segment)
{
    size_t got = 0, datagrams = 0;

    while (got < len) {
        unsigned i, count;

        wait_readable(to.fd);
        count = udp_socket_receive(&to, &batch);
        for (i = 0; i < count; i++) {
            const struct datagram_in *in = &batch.in[i];
            size_t part = in->segment != 0 ? in->segment : in->len;

            assert_true(part <= segment);
            assert_true(got + in->len <= sizeof received);
            memcpy(received + got, in->data, in->len);
            got += in->len;
            datagrams += (in->len + part - 1) / part;
        }
    }
    assert_int_equal(got, len);
    return datagrams;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#endif
