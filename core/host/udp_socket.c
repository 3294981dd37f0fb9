/* SPDX-License-Identifier: MIT */
#include "host/udp_socket.h"
#include "base/assert.h"
#include "host/fail.h"
#include "host/sockaddr.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

static int set_int(const struct udp_socket *s, int level, int name, int value)
{
    return s->calls->setsockopt(s->fd, level, name, &value, sizeof value);
}

static uint32_t granted(int fd, int name)
{
    int value = 0;
    socklen_t len = sizeof value;

    if (getsockopt(fd, SOL_SOCKET, name, &value, &len) != 0 || value < 0) return 0;
    return (uint32_t)value;
}

/* Each of these makes the socket better and none is needed, so a refusal is not a failure. */
static void set_options(struct udp_socket *s, const struct udp_socket_options *options)
{
    bool is_ip6 = s->bound.family == ENDPOINT_IP6;
    int level = is_ip6 ? IPPROTO_IPV6 : IPPROTO_IP;

    (void)set_int(s, SOL_SOCKET, SO_RCVBUF, (int)options->buffer_bytes);
    (void)set_int(s, SOL_SOCKET, SO_SNDBUF, (int)options->buffer_bytes);
    s->receive_buffer_bytes = granted(s->fd, SO_RCVBUF);
    s->send_buffer_bytes = granted(s->fd, SO_SNDBUF);
    (void)set_int(s, SOL_SOCKET, SO_RXQ_OVFL, 1);
    (void)set_int(s, level, is_ip6 ? IPV6_RECVPKTINFO : IP_PKTINFO, 1);
    (void)set_int(s, level, is_ip6 ? IPV6_RECVTCLASS : IP_RECVTOS, 1);
    /* DF without the kernel's own idea of the path MTU: finding it is the transport's work (RFC
     * 8899). */
    (void)set_int(s, level, is_ip6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER,
                  is_ip6 ? IPV6_PMTUDISC_PROBE : IP_PMTUDISC_PROBE);
    if (is_ip6) (void)set_int(s, level, IPV6_DONTFRAG, 1);
    if (options->offload_off) return;
    s->merges = set_int(s, SOL_UDP, UDP_GRO, 1) == 0;
    /* 0 segments nothing by itself; the kernel that does not know the option says so now. */
    s->offers_segments = set_int(s, SOL_UDP, UDP_SEGMENT, 0) == 0;
    s->segments = s->offers_segments;
    if (!s->segments) metric_inc(s->metrics, METRIC_SEGMENTATION_DISABLED);
}

static int fail_open(weir_error *error, int number, const struct endpoint *want)
{
    char text[ENDPOINT_TEXT_MAX], words[96];

    (void)endpoint_format(want, text, sizeof text);
    switch (number) {
    case EADDRINUSE:
        return fail_with(error, WEIR_E_ADDRESS_IN_USE,
                         "port %u is in use by another program: choose another port or stop it",
                         want->port);
    case EACCES:
    case EPERM:
        return fail_with(error, WEIR_E_PERMISSION,
                         "the system does not permit listening on %s: choose a port from 1024 up,"
                         " or run with CAP_NET_BIND_SERVICE",
                         text);
    case EADDRNOTAVAIL:
        return fail_with(error, WEIR_E_ADDRESS,
                         "%s is not an address of this machine: listen on one of its own, or on"
                         " :%u for all",
                         text, want->port);
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
        return fail_with(error, WEIR_E_UNREACHABLE, "this machine has no %s: use the other family",
                         want->family == ENDPOINT_IP6 ? "IPv6" : "IPv4");
    case EMFILE:
    case ENFILE:
        return fail_with(error, WEIR_E_SOCKET,
                         "no socket for %s, because too many files are open:"
                         " raise the limit (ulimit -n)",
                         text);
    default:
        return fail_with(error, WEIR_E_SOCKET,
                         "the system refused a UDP socket for %s (%s): look"
                         " at the network set-up",
                         text, fail_words(number, words, sizeof words));
    }
}

static int open_bound(struct udp_socket *s, const struct endpoint *want)
{
    struct sockaddr_storage address;
    socklen_t len = sockaddr_of(want, &address);

    if (len == 0) return EAFNOSUPPORT;
    s->fd = s->calls->socket(address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0) return errno;
    if (want->family == ENDPOINT_IP6 && set_int(s, IPPROTO_IPV6, IPV6_V6ONLY, 1) != 0) return errno;
    if (s->calls->bind(s->fd, (const struct sockaddr *)&address, len) != 0) return errno;
    len = sizeof address;
    if (getsockname(s->fd, (struct sockaddr *)&address, &len) != 0) return errno;
    s->bound = sockaddr_endpoint((const struct sockaddr *)&address);
    return 0;
}

int udp_socket_open(struct udp_socket *s, const struct endpoint *want,
                    const struct udp_socket_options *options, weir_error *error)
{
    int number;

    WEIR_ASSERT(options->calls != NULL);
    WEIR_ASSERT(options->metrics != NULL);
    memset(s, 0, sizeof *s);
    s->calls = options->calls;
    s->metrics = options->metrics;
    s->fd = -1;
    number = open_bound(s, want);
    if (number != 0) {
        udp_socket_close(s);
        return fail_open(error, number, want);
    }
    set_options(s, options);
    return 0;
}

void udp_socket_close(struct udp_socket *s)
{
    if (s->fd >= 0) (void)close(s->fd);
    s->fd = -1;
}

bool udp_socket_network_changed(struct udp_socket *s)
{
    struct endpoint at = s->bound;
    struct sockaddr_storage address;
    socklen_t len;
    int fd, result, number;

    s->segments = s->offers_segments;
    if (endpoint_is_unspecified(&at)) return true;
    at.port = 0;
    len = sockaddr_of(&at, &address);
    fd = s->calls->socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno != EAFNOSUPPORT;
    /* An address can be bound to while it is the machine's, and not any longer. */
    result = s->calls->bind(fd, (const struct sockaddr *)&address, len);
    number = errno;
    (void)close(fd);
    return result == 0 || (number != EADDRNOTAVAIL && number != ENODEV);
}

int udp_socket_route(const struct host_calls *calls, const struct endpoint *remote)
{
    struct sockaddr_storage address;
    socklen_t len = sockaddr_of(remote, &address);
    int fd, result, number;

    if (len == 0) return WEIR_E_UNREACHABLE;
    fd = calls->socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno == EAFNOSUPPORT ? WEIR_E_UNREACHABLE : 0;
    /* To connect a datagram socket is to look the route up and nothing else. */
    result = calls->connect(fd, (const struct sockaddr *)&address, len);
    number = errno;
    (void)close(fd);
    if (result == 0) return 0;
    /* Other errors, such as a table that is full, are not about the route: let the attempt find
     * out. */
    return number == ENETUNREACH || number == EHOSTUNREACH || number == EADDRNOTAVAIL ||
                   number == EACCES || number == EINVAL
               ? WEIR_E_UNREACHABLE
               : 0;
}
