/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HOST_HOST_H
#define WEIR_HOST_HOST_H
#include "base/mem.h"
#include "node/driver.h"

struct host;
struct host_calls;

enum { HOST_SPIN_MAX_US = 1000 };

/** How a host is made. Zero is the default of every field. */
struct host_options {
    /** Outlives the host; NULL: the system's. A lookup or an operation on a file that is under way
     * when the host is closed is finished, and its memory freed, by another thread: an allocator of
     * the caller's own must allow that. */
    const struct mem *mem;
    const struct host_calls *calls; /**< host/calls.h; NULL: the system's. Outlives the host */
    bool offload_off;               /**< neither UDP_SEGMENT nor UDP_GRO */
    uint32_t socket_buffer_bytes;   /**< asked of the kernel, each direction; 0: UDP_BUFFER_BYTES */
    /** While there is traffic, how long poll looks at the sockets before it sleeps; 0: not at all.
     * At most HOST_SPIN_MAX_US, more is taken for that. */
    uint32_t spin_us;
};

/** The real world of one node: a loop, sockets, names, time. It opens no socket before node asks
 * for one.
 * @param error may be NULL
 * @return 0 and *out; WEIR_E_MEMORY; WEIR_E_SOCKET (descriptors have run out) */
int host_open(const struct host_options *options, struct host **out, weir_error *error);
/** Give the host the node that it drives. Once, before any function of host_driver is called. */
void host_attach(struct host *host, struct node *node);
/** The driver's table; its context is the struct host.
 *
 *  listen on [::] opens one number for both families, on one port; without IPv6 it is 0.0.0.0, and
 *  got says so. fd is the loop's epoll descriptor; deadlines make it readable too. network_changed
 *  keeps all numbers: where the address that a socket is bound to is gone, another one sends and
 *  hears in its place until it is back. Lookups under way go on; there is no cache of names that
 *  could be stale. close sends what the node still has to send (unless node_is_closed) and gives
 *  everything back but the shell that wake needs, so that a wake from another thread may be under
 *  way; release ends the pointer. */
extern const struct node_driver host_driver;
#endif
