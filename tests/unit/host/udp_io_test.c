/* SPDX-License-Identifier: MIT */
/* Goal: a socket sends and receives with everything that control messages give, and does without
 * what the kernel refuses on the way. Method: real sockets on loopback; refusals by a table of
 * calls that fail when told to. */
#include "ends.h"

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

static void test_a_probe_that_is_too_big_is_lost_and_costs_nothing_else(void **state)
{
    struct udp_run run;

    (void)state;
    open_ip4();
    if (!from.segments) SKIP("this kernel does not segment");
    refuse.mtu_bytes = 1400;
    run = run_of(1472, 1472);
    assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
    assert_int_equal(metrics.value[METRIC_SEND_ERRORS], 1);
    assert_int_equal(metrics.value[METRIC_SEND_CALLS], 1);
    assert_true(from.segments);
    /* A run whose datagrams have become too big: its short last one passes, and proves nothing. */
    run = run_of(3300, 1500);
    assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
    assert_int_equal(metrics.value[METRIC_SEND_ERRORS], 3);
    assert_true(from.segments);
    assert_int_equal(receive_bytes(300, 300), 1);
    run = run_of(2800, 1400);
    assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
    assert_int_equal(receive_bytes(2800, 1400), 2);
    assert_int_equal(metrics.value[METRIC_SEND_CALLS], 6); /* 1, 4 and 1 */
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

/* The byte of the IP header that has the mark, as a socket that is not ours is told it. */
static int read_mark(int fd, size_t *len)
{
    static uint8_t bytes[UDP_RECEIVE_BYTES];
    _Alignas(struct cmsghdr) uint8_t control[256];
    struct iovec vector = {.iov_base = bytes, .iov_len = sizeof bytes};
    struct msghdr m = {.msg_iov = &vector,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof control};
    struct cmsghdr *c;
    ssize_t n;

    wait_readable(fd);
    n = recvmsg(fd, &m, 0);
    assert_true(n >= 0);
    *len = (size_t)n;
    for (c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) return *CMSG_DATA(c);
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) return *CMSG_DATA(c);
    }
    return -1;
}

/* Runs with a mark and a source at once: every datagram has the mark, and nothing else is in that
 * byte. */
static void check_marked_runs(const struct endpoint *at)
{
    struct udp_socket_options options = options_of(UDP_BUFFER_BYTES);
    struct udp_run run;
    uint8_t ecn;
    size_t got, len;

    options.offload_off = true; /* the reader sees each datagram for itself */
    assert_int_equal(udp_socket_open(&to, at, &options, NULL), 0);
    options.offload_off = false;
    assert_int_equal(udp_socket_open(&from, at, &options, NULL), 0);
    for (ecn = 0; ecn < 4; ecn++) {
        run = run_of(2500, 1000);
        run.out.ecn = ecn;
        run.out.local = *at;
        assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
        for (got = 0; got < 2500; got += len) {
            assert_int_equal(read_mark(to.fd, &len), ecn);
            assert_int_equal(len, got == 2000 ? 500 : 1000);
        }
    }
    if (from.segments) assert_int_equal(metrics.value[METRIC_SEND_CALLS], 4);
    assert_int_equal(metrics.value[METRIC_SEND_ERRORS], 0);
    udp_socket_close(&to);
    assert_int_equal(udp_socket_open(&to, at, &options, NULL), 0);
    run = run_of(2500, 1000);
    run.out.ecn = 1;
    assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
    assert_int_equal(receive_bytes(2500, 1000), 3);
    assert_int_equal(batch.in[0].ecn, 1);
}

static void test_runs_carry_their_mark_on_ip4(void **state)
{
    struct endpoint at = endpoint_ip4(127, 0, 0, 1, 0);

    (void)state;
    check_marked_runs(&at);
}

static void test_runs_carry_their_mark_on_ip6(void **state)
{
    struct udp_socket_options options = options_of(UDP_BUFFER_BYTES);

    (void)state;
    if (udp_socket_open(&from, &loopback6, &options, NULL) != 0) SKIP("no IPv6 loopback");
    udp_socket_close(&from);
    check_marked_runs(&loopback6);
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

static void test_what_lost_its_end_or_its_facts_is_dropped_and_counted(void **state)
{
    struct udp_run run;
    unsigned i;

    (void)state;
    open_ip4();
    for (i = 0; i < 3; i++) {
        run = run_of(50, 50);
        assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
    }
    batch.vectors[0].iov_len = 10;
    batch.headers[1].msg_hdr.msg_controllen = 1;
    wait_readable(to.fd);
    assert_int_equal(udp_socket_receive(&to, &batch), 1);
    assert_int_equal(metrics.value[METRIC_DATAGRAMS_TRUNCATED], 2);
    assert_int_equal(batch.in[0].len, 50);
    /* The headers are as they were: the next come whole. */
    batch.vectors[0].iov_len = UDP_RECEIVE_BYTES;
    for (i = 0; i < 2; i++) {
        run = run_of(60 + i, 60 + i);
        assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
    }
    wait_readable(to.fd);
    assert_int_equal(udp_socket_receive(&to, &batch), 2);
    for (i = 0; i < 2; i++) {
        assert_int_equal(batch.in[i].len, 60 + i);
        assert_true(endpoint_equal(&batch.in[i].local, &to.bound));
    }
    assert_int_equal(metrics.value[METRIC_DATAGRAMS_TRUNCATED], 2);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_run_leaves_in_one_call_and_arrives_whole),
        TEST(test_a_run_of_more_segments_than_a_call_takes_is_split),
        TEST(test_segments_refused_when_opened_are_sent_one_by_one),
        TEST(test_segments_refused_when_sent_are_switched_off_and_sent_again),
        TEST(test_an_address_that_takes_nothing_does_not_cost_segmentation),
        TEST(test_a_probe_that_is_too_big_is_lost_and_costs_nothing_else),
        TEST(test_a_full_buffer_keeps_the_rest_of_the_run),
        TEST(test_a_refused_datagram_is_lost_and_counted),
        TEST(test_a_source_that_is_not_ours_is_refused_by_the_real_kernel),
        TEST(test_runs_carry_their_mark_on_ip4),
        TEST(test_runs_carry_their_mark_on_ip6),
        TEST(test_ecn_marks_are_seen_on_ip4),
        TEST(test_ecn_marks_are_seen_on_ip6),
        TEST(test_the_address_used_is_seen_and_can_be_answered_from),
        TEST(test_an_empty_datagram_is_taken_in),
        TEST(test_what_lost_its_end_or_its_facts_is_dropped_and_counted),
        TEST(test_what_the_kernel_drops_is_counted),
    };

    return cmocka_run_group_tests(tests, watchdog_start, NULL);
}
