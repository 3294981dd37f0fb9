/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_HOST_WATCHDOG_H
#define WEIR_TESTS_HOST_WATCHDOG_H
/* What the tests of host share: a watchdog, because they wait for real sockets, and the count of
 * open descriptors. */
#include <dirent.h>
#include <poll.h>
#include <unistd.h>

/** No test is skipped without its reason in the output. */
#define SKIP(reason) (print_message("skipped: %s\n", reason), skip())

enum { WATCHDOG_SECONDS = 120 };

static inline int watchdog_start(void **state)
{
    (void)state;
    (void)alarm(WATCHDOG_SECONDS);
    return 0;
}

/** Wait until a descriptor can be read. */
static inline void wait_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    while (poll(&p, 1, -1) != 1) continue;
}

/** Descriptors of this process, the one that counts them excluded. */
static inline int descriptors_open(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = -3; /* "." and ".." and the folder itself */

    if (folder == NULL) return -1;
    while (readdir(folder) != NULL) count++;
    (void)closedir(folder);
    return count;
}
#endif
