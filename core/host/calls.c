/* SPDX-License-Identifier: MIT */
#include "host/calls.h"

/* glibc declares the address parameters as transparent unions and musl recvmmsg with unsigned
 * flags, so these three cannot stand in the table themselves. */
static int call_bind(int fd, const struct sockaddr *address, socklen_t len)
{
    return bind(fd, address, len);
}

static int call_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    return connect(fd, address, len);
}

static int call_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    return recvmmsg(fd, messages, count, flags, NULL);
}

const struct host_calls *host_calls_system(void)
{
    static const struct host_calls calls = {
        .socket = socket,
        .bind = call_bind,
        .connect = call_connect,
        .setsockopt = setsockopt,
        .sendmsg = sendmsg,
        .recvmmsg = call_recvmmsg,
        .getaddrinfo = uv_getaddrinfo,
    };

    return &calls;
}
