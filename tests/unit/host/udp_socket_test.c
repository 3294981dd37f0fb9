/* SPDX-License-Identifier: MIT */
/* Goal: a socket is opened with what is promised, each refusal has its error, and what the kernel
 * does not have is done without. Method: as udp_io_test.c. */
#include "ends.h"
#include <fcntl.h>

static void test_segmentation_is_tried_again_on_another_network(void **state)
{
    struct udp_run run;

    (void)state;
    open_ip4();
    if (!from.segments) SKIP("this kernel does not segment");
    refuse.segmented_errno = EIO;
    run = run_of(2000, 1000);
    assert_int_equal(udp_socket_send(&from, &run), UDP_SENT);
    assert_false(from.segments);
    assert_true(udp_socket_network_changed(&from));
    assert_true(from.segments);
    refuse.bind_errno = EADDRNOTAVAIL;
    assert_false(udp_socket_network_changed(&from));
    refuse.bind_errno = EMFILE; /* says nothing about the address */
    assert_true(udp_socket_network_changed(&from));
    udp_socket_close(&from);
    udp_socket_close(&to);
    refuse.bind_errno = 0;
    refuse.option = UDP_SEGMENT;
    refuse.option_errno = ENOPROTOOPT;
    open_ip4();
    assert_true(udp_socket_network_changed(&from));
    assert_false(from.segments);
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
    static const int names[] = {SO_RCVBUF,  SO_SNDBUF,       SO_RXQ_OVFL, IP_PKTINFO,
                                IP_RECVTOS, IP_MTU_DISCOVER, UDP_GRO,     UDP_SEGMENT};
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_segmentation_is_tried_again_on_another_network),
        TEST(test_open_sets_what_is_promised),
        TEST(test_a_port_in_use_is_named),
        TEST(test_each_refusal_to_open_has_its_error),
        TEST(test_every_optional_setting_may_be_refused),
        TEST(test_a_route_is_looked_up_without_sending),
    };

    return cmocka_run_group_tests(tests, watchdog_start, NULL);
}
