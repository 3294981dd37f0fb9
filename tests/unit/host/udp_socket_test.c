/* SPDX-License-Identifier: MIT */
/* Goal: a socket sends and receives with everything that control messages give, and does without
 * whatever the kernel refuses. Method: real sockets on loopback; refusals by a table of calls that
 * fail when told to. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "host/udp_socket.h"
#include "watchdog.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static struct {
    int segmented_errno;      /* of sends with UDP_SEGMENT; 0: passed on */
    int every_errno;          /* of all sends */
    int after;                /* sends that pass before every_errno holds */
    int times;                /* how often it holds; 0: always */
    int option, option_errno; /* setsockopt of this name fails */
    int socket_errno, bind_errno, connect_errno;
} refuse;

static bool is_segmented(const struct msghdr *message)
{
    struct msghdr copy = *message;
    struct cmsghdr *c;

    for (c = CMSG_FIRSTHDR(&copy); c != NULL; c = CMSG_NXTHDR(&copy, c)) {
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_SEGMENT) return true;
    }
    return false;
}

static ssize_t fake_sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (refuse.segmented_errno != 0 && is_segmented(message)) {
        errno = refuse.segmented_errno;
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
    batch.bytes = malloc((size_t)UDP_BATCH * UDP_RECEIVE_BYTES);
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

static void test_a_run_leaves_in_one_call_and_arrives_whole(void **state)
{
    struct udp_run run;

    (void)state;
    open_ip4();
    run = run_of(10500, 1000);
    assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
    assert_int_equal(run.sent, 10500);
    assert_int_equal(receive_bytes(10500, 1000), 11);
    assert_memory_equal(received, sending, 10500);
    if (from.segments) assert_int_equal(metrics.value[METRIC_SEND_CALLS], 1);
    if (to.merges && from.segments) {
        assert_int_equal(batch.in[0].len, 10500);
        assert_int_equal(batch.in[0].segment, 1000);
    }
    assert_int_equal(metrics.value[METRIC_SEND_ERRORS], 0);
}

static void test_a_run_of_more_segments_than_a_call_takes_is_split(void **state)
{
    struct udp_run run;

    (void)state;
    open_ip4();
    if (!from.segments) SKIP("this kernel does not segment");
    run = run_of(13000, 100);
    assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
    assert_int_equal(metrics.value[METRIC_SEND_CALLS], 3); /* 64 + 64 + 2 */
    assert_int_equal(receive_bytes(13000, 100), 130);
    assert_memory_equal(received, sending, 13000);
}

static void test_segments_refused_when_opened_are_sent_one_by_one(void **state)
{
    struct udp_run run;

    (void)state;
    refuse.option = UDP_SEGMENT;
    refuse.option_errno = ENOPROTOOPT;
    open_ip4();
    assert_false(from.segments);
    assert_int_equal(metrics.value[METRIC_SEGMENTATION_DISABLED], 2); /* two sockets */
    run = run_of(2500, 1000);
    assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
    assert_int_equal(metrics.value[METRIC_SEND_CALLS], 3);
    assert_int_equal(receive_bytes(2500, 1000), 3);
    assert_memory_equal(received, sending, 2500);
}

static void test_segments_refused_when_sent_are_switched_off_and_sent_again(void **state)
{
    static const int refusals[] = {EIO, EINVAL, ENOPROTOOPT, EMSGSIZE};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct udp_run run;

        memset(&metrics, 0, sizeof metrics);
        open_ip4();
        if (!from.segments) SKIP("this kernel does not segment");
        refuse.segmented_errno = refusals[i];
        run = run_of(2500, 1000);
        assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
        assert_int_equal(receive_bytes(2500, 1000), 3);
        assert_memory_equal(received, sending, 2500);
        assert_false(from.segments);
        assert_int_equal(metrics.value[METRIC_SEGMENTATION_DISABLED], 1);
        assert_int_equal(metrics.value[METRIC_SEND_ERRORS], 0);
        assert_int_equal(metrics.value[METRIC_SEND_CALLS], 4);
        /* From now on it is not tried again. */
        run = run_of(2000, 1000);
        assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
        assert_int_equal(metrics.value[METRIC_SEND_CALLS], 6);
        assert_int_equal(metrics.value[METRIC_SEGMENTATION_DISABLED], 1);
        udp_socket_close(&from);
        udp_socket_close(&to);
    }
}

static void test_an_address_that_takes_nothing_does_not_cost_segmentation(void **state)
{
    struct udp_run run;

    (void)state;
    open_ip4();
    if (!from.segments) SKIP("this kernel does not segment");
    refuse.segmented_errno = EINVAL;
    refuse.every_errno = EINVAL;
    run = run_of(2500, 1000);
    assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
    assert_true(from.segments);
    assert_int_equal(metrics.value[METRIC_SEND_ERRORS], 3);
    assert_int_equal(metrics.value[METRIC_SEGMENTATION_DISABLED], 0);
}

static void test_a_full_buffer_keeps_the_rest_of_the_run(void **state)
{
    struct udp_run run;

    (void)state;
    open_ip4();
    from.segments = false;
    refuse.every_errno = EAGAIN;
    refuse.after = 1;
    refuse.times = 1;
    run = run_of(3000, 1000);
    assert_int_equal(udp_socket_send(&from, &run), UDP_BLOCKED);
    assert_int_equal(run.sent, 1000);
    assert_int_equal(metrics.value[METRIC_SEND_BLOCKED], 1);
    refuse.every_errno = ENOBUFS;
    refuse.after = 0;
    refuse.times = 1;
    assert_int_equal(udp_socket_send(&from, &run), UDP_LATER);
    assert_int_equal(run.sent, 1000);
    assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
    assert_int_equal(receive_bytes(3000, 1000), 3);
    assert_memory_equal(received, sending, 3000);
}

static void test_a_refused_datagram_is_lost_and_counted(void **state)
{
    static const int refusals[] = {ECONNREFUSED, ENETUNREACH, EPERM, EMSGSIZE};
    size_t i;

    (void)state;
    open_ip4();
    for (i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct udp_run run = run_of(100, 100);

        refuse.every_errno = refusals[i];
        assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
        assert_int_equal(metrics.value[METRIC_SEND_ERRORS], i + 1);
    }
}

static void test_a_source_that_is_not_ours_is_refused_by_the_real_kernel(void **state)
{
    struct udp_run run;

    (void)state;
    open_ip4();
    /* The source must be an address of this machine; 192.0.2.200 is for documentation. */
    run = run_of(2000, 1000);
    run.out.local = endpoint_ip4(192, 0, 2, 200, 0);
    assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
    assert_int_equal(metrics.value[METRIC_SEND_ERRORS], 2);
    assert_int_equal(metrics.value[METRIC_SEGMENTATION_DISABLED], 0);
}

static void check_ecn(const struct endpoint *at)
{
    uint8_t ecn;

    open_ends(at);
    for (ecn = 0; ecn < 4; ecn++) {
        struct udp_run run = run_of(50u + ecn, 50u + ecn);

        run.out.ecn = ecn;
        assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
        wait_readable(to.fd);
        assert_int_equal(udp_socket_receive(&to, &batch), 1);
        assert_int_equal(batch.in[0].len, 50 + ecn);
        assert_int_equal(batch.in[0].ecn, ecn);
        assert_true(endpoint_equal(&batch.in[0].remote, &from.bound));
        assert_true(endpoint_equal(&batch.in[0].local, &to.bound));
    }
}

static void test_ecn_marks_are_seen_on_ip4(void **state)
{
    struct endpoint at = endpoint_ip4(127, 0, 0, 1, 0);

    (void)state;
    check_ecn(&at);
}

static void test_ecn_marks_are_seen_on_ip6(void **state)
{
    struct udp_socket_options options = options_of(UDP_BUFFER_BYTES);

    (void)state;
    if (udp_socket_open(&from, &loopback6, &options, NULL) != 0) SKIP("no IPv6 loopback");
    udp_socket_close(&from);
    check_ecn(&loopback6);
}

static void test_the_address_used_is_seen_and_can_be_answered_from(void **state)
{
    struct endpoint any = endpoint_ip4(0, 0, 0, 0, 0);
    struct udp_run run;

    (void)state;
    open_ends(&any);
    run = run_of(20, 20);
    run.out.remote = endpoint_ip4(127, 0, 0, 2, to.bound.port);
    run.out.local = endpoint_ip4(127, 0, 0, 3, 0);
    assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
    wait_readable(to.fd);
    assert_int_equal(udp_socket_receive(&to, &batch), 1);
    assert_true(endpoint_equal(&batch.in[0].local, &run.out.remote));
    run.out.local.port = from.bound.port;
    assert_true(endpoint_equal(&batch.in[0].remote, &run.out.local));
    assert_int_equal(batch.in[0].segment, 0);
}

static void test_an_empty_datagram_is_taken_in(void **state)
{
    struct sockaddr_in name = {.sin_family = AF_INET};
    const uint8_t loopback[4] = {127, 0, 0, 1};

    (void)state;
    open_ip4();
    name.sin_port = htons(to.bound.port);
    memcpy(&name.sin_addr, loopback, 4);
    assert_int_equal(sendto(from.fd, "", 0, 0, (struct sockaddr *)&name, sizeof name), 0);
    wait_readable(to.fd);
    assert_int_equal(udp_socket_receive(&to, &batch), 1);
    assert_int_equal(batch.in[0].len, 0);
    assert_int_equal(udp_socket_receive(&to, &batch), 0);
    assert_int_equal(metrics.value[METRIC_RECEIVE_CALLS], 2);
}

static void test_what_the_kernel_drops_is_counted(void **state)
{
    struct udp_socket_options small = options_of(4096), options = options_of(UDP_BUFFER_BYTES);
    struct endpoint at = endpoint_ip4(127, 0, 0, 1, 0);
    struct udp_run run;
    unsigned i, arrived = 0, count;

    (void)state;
    small.offload_off = true;
    assert_int_equal(udp_socket_open(&from, &at, &options, NULL), 0);
    assert_int_equal(udp_socket_open(&to, &at, &small, NULL), 0);
    assert_false(to.segments);
    assert_false(to.merges);
    for (i = 0; i < 100; i++) {
        run = run_of(1000, 1000);
        assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
    }
    while ((count = udp_socket_receive(&to, &batch)) > 0) arrived += count;
    assert_true(arrived < 100);
    /* The count comes with the next datagram that found room. */
    run = run_of(1000, 1000);
    assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
    wait_readable(to.fd);
    assert_int_equal(udp_socket_receive(&to, &batch), 1);
    assert_int_equal(metrics.value[METRIC_KERNEL_DROPS], 100 - arrived);
}

static int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;

    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void test_open_sets_what_is_promised(void **state)
{
    struct udp_socket_options options = options_of(100000);
    struct endpoint at = endpoint_ip4(127, 0, 0, 1, 0);

    (void)state;
    assert_int_equal(udp_socket_open(&to, &at, &options, NULL), 0);
    assert_int_equal(to.bound.family, ENDPOINT_IP4);
    assert_int_not_equal(to.bound.port, 0);
    assert_int_equal(option_of(to.fd, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_PROBE);
    assert_int_equal(to.receive_buffer_bytes, 200000);
    assert_int_equal(to.send_buffer_bytes, 200000);
    assert_true((fcntl(to.fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_true((fcntl(to.fd, F_GETFL) & O_NONBLOCK) != 0);
    if (udp_socket_open(&from, &loopback6, &options, NULL) != 0) SKIP("no IPv6 loopback");
    assert_int_equal(option_of(from.fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    assert_int_equal(option_of(from.fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER), IPV6_PMTUDISC_PROBE);
}

static void test_a_port_in_use_is_named(void **state)
{
    struct udp_socket_options options = options_of(UDP_BUFFER_BYTES);
    struct endpoint at = endpoint_ip4(127, 0, 0, 1, 0);
    weir_error error = {.size = sizeof error};
    char expected[128];
    int before;

    (void)state;
    assert_int_equal(udp_socket_open(&to, &at, &options, NULL), 0);
    before = descriptors_open();
    assert_int_equal(udp_socket_open(&from, &to.bound, &options, &error), WEIR_E_ADDRESS_IN_USE);
    assert_int_equal(error.code, WEIR_E_ADDRESS_IN_USE);
    (void)snprintf(expected, sizeof expected,
                   "port %u is in use by another program: choose another port or stop it",
                   to.bound.port);
    assert_string_equal(error.detail, expected);
    assert_int_equal(from.fd, -1);
    assert_int_equal(descriptors_open(), before);
}

static void test_each_refusal_to_open_has_its_error(void **state)
{
    static const struct {
        int socket_errno, bind_errno, code;
        const char *says;
    } cases[] = {
        {EAFNOSUPPORT, 0, WEIR_E_UNREACHABLE, "no IPv4"},
        {EMFILE, 0, WEIR_E_SOCKET, "ulimit -n"},
        {0, EACCES, WEIR_E_PERMISSION, "1024"},
        {0, EADDRNOTAVAIL, WEIR_E_ADDRESS, "is not an address of this machine"},
        {ENOMEM, 0, WEIR_E_SOCKET, "not enough memory"},
    };
    struct udp_socket_options options = options_of(UDP_BUFFER_BYTES);
    struct endpoint at = endpoint_ip4(127, 0, 0, 1, 80);
    int before = descriptors_open();
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        weir_error error = {.size = sizeof error};

        refuse.socket_errno = cases[i].socket_errno;
        refuse.bind_errno = cases[i].bind_errno;
        assert_int_equal(udp_socket_open(&from, &at, &options, &error), cases[i].code);
        assert_non_null(strstr(error.detail, cases[i].says));
    }
    at.family = ENDPOINT_MEMORY;
    assert_int_equal(udp_socket_open(&from, &at, &options, NULL), WEIR_E_UNREACHABLE);
    assert_int_equal(descriptors_open(), before);
}

static void test_every_optional_setting_may_be_refused(void **state)
{
    static const int names[] = {SO_RCVBUF,  SO_SNDBUF,       SO_RXQ_OVFL,       IP_PKTINFO,
                                IP_RECVTOS, IP_MTU_DISCOVER, 104 /* UDP_GRO */, UDP_SEGMENT};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct udp_run run;

        refuse.option = names[i];
        refuse.option_errno = ENOPROTOOPT;
        open_ip4();
        run = run_of(2000, 1000);
        assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
        assert_int_equal(receive_bytes(2000, 1000), 2);
        if (names[i] == IP_PKTINFO) assert_int_equal(batch.in[0].local.family, ENDPOINT_NONE);
        udp_socket_close(&from);
        udp_socket_close(&to);
    }
}

static void test_a_route_is_looked_up_without_sending(void **state)
{
    static const int unreachable[] = {ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL};
    struct endpoint remote = endpoint_ip4(127, 0, 0, 1, 9);
    int before = descriptors_open();
    size_t i;

    (void)state;
    assert_int_equal(udp_socket_route(&calls, &remote), 0);
    for (i = 0; i < sizeof unreachable / sizeof unreachable[0]; i++) {
        refuse.connect_errno = unreachable[i];
        assert_int_equal(udp_socket_route(&calls, &remote), WEIR_E_UNREACHABLE);
    }
    refuse.connect_errno = EAGAIN;
    assert_int_equal(udp_socket_route(&calls, &remote), 0);
    refuse.socket_errno = EAFNOSUPPORT;
    assert_int_equal(udp_socket_route(&calls, &remote), WEIR_E_UNREACHABLE);
    assert_int_equal(descriptors_open(), before);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_run_leaves_in_one_call_and_arrives_whole),
        TEST(test_a_run_of_more_segments_than_a_call_takes_is_split),
        TEST(test_segments_refused_when_opened_are_sent_one_by_one),
        TEST(test_segments_refused_when_sent_are_switched_off_and_sent_again),
        TEST(test_an_address_that_takes_nothing_does_not_cost_segmentation),
        TEST(test_a_full_buffer_keeps_the_rest_of_the_run),
        TEST(test_a_refused_datagram_is_lost_and_counted),
        TEST(test_a_source_that_is_not_ours_is_refused_by_the_real_kernel),
        TEST(test_ecn_marks_are_seen_on_ip4),
        TEST(test_ecn_marks_are_seen_on_ip6),
        TEST(test_the_address_used_is_seen_and_can_be_answered_from),
        TEST(test_an_empty_datagram_is_taken_in),
        TEST(test_what_the_kernel_drops_is_counted),
        TEST(test_open_sets_what_is_promised),
        TEST(test_a_port_in_use_is_named),
        TEST(test_each_refusal_to_open_has_its_error),
        TEST(test_every_optional_setting_may_be_refused),
        TEST(test_a_route_is_looked_up_without_sending),
    };

    return cmocka_run_group_tests(tests, watchdog_start, NULL);
}
