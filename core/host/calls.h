/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HOST_CALLS_H
#define WEIR_HOST_CALLS_H
#include <netdb.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <uv.h>

/** The system calls that can be refused in ways that matter. Host makes them through this table, so
 * that a test can refuse UDP_SEGMENT, fill a send buffer or answer a name without any code that
 * exists only for tests. Every entry behaves as the call of its name: result, errno, and
 * uv_getaddrinfo's callback on the loop's thread. */
struct host_calls {
    int (*socket)(int domain, int type, int protocol);
    int (*bind)(int fd, const struct sockaddr *address, socklen_t len);
    int (*connect)(int fd, const struct sockaddr *address, socklen_t len);
    int (*setsockopt)(int fd, int level, int name, const void *value, socklen_t len);
    ssize_t (*sendmsg)(int fd, const struct msghdr *message, int flags);
    int (*recvmmsg)(int fd, struct mmsghdr *messages, unsigned count, int flags);
    int (*getaddrinfo)(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb done,
                       const char *name, const char *service, const struct addrinfo *hints);
};
/** The real ones. */
const struct host_calls *host_calls_system(void);
#endif
