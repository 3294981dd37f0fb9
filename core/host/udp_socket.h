/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HOST_UDP_SOCKET_H
#define WEIR_HOST_UDP_SOCKET_H
#include "host/calls.h"
#include "observe/metrics.h"
#include "transport/datagram.h"
#include "weir.h"
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>

/* Linux has these longer than some C libraries' headers. */
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* Our own UDP sockets. libuv's take no control messages, and everything that makes UDP fast or
 * correct on Linux is in control messages: segmentation offload, the source address, ECN marks, the
 * kernel's count of what it dropped.
 *
 * A socket is of one family (an IPv6 one never carries IPv4) and does not block. What the kernel
 * does not offer is done without: no offload means single datagrams, no packet info means that the
 * local address is unknown. */

enum {
    UDP_BATCH = 16,              /**< datagrams, or runs of them, taken in by one call */
    UDP_RECEIVE_BYTES = 65536,   /**< one buffer: the largest run that UDP_GRO makes */
    UDP_SEND_BYTES = 65440,      /**< one run: below 65,507, what UDP over IPv4 carries */
    UDP_SEGMENTS_MAX = 64,       /**< of one run; newer kernels allow 128 */
    UDP_BUFFER_BYTES = 4 << 20,  /**< asked of the kernel; a second of 32 Mbit/s */
    UDP_CONTROL_BYTES = 256,
};

struct udp_socket_options {
    const struct host_calls *calls; /**< outlives the socket */
    struct metrics *metrics;        /**< outlives the socket */
    uint32_t buffer_bytes;          /**< of the kernel, each direction */
    bool offload_off;               /**< neither UDP_SEGMENT nor UDP_GRO */
};
struct udp_socket {
    const struct host_calls *calls;
    struct metrics *metrics;
    int fd;                    /**< -1: closed */
    struct endpoint bound;     /**< the address that it has */
    bool segments;             /**< UDP_SEGMENT works, as far as is known */
    bool offers_segments;      /**< the kernel knows UDP_SEGMENT and may be asked to use it */
    bool merges;               /**< UDP_GRO is on */
    uint32_t dropped;          /**< the kernel's count of datagrams without room, as last seen */
    /** Granted; the kernel doubles what it is asked for. */
    uint32_t receive_buffer_bytes, send_buffer_bytes;
};
/** @param want IPv4 or IPv6; port 0: any
 * @param error may be NULL; filled when it fails
 * @return 0; WEIR_E_ADDRESS_IN_USE, WEIR_E_PERMISSION, WEIR_E_UNREACHABLE the machine lacks that
 *          family, WEIR_E_ADDRESS not an address of this machine, WEIR_E_SOCKET */
int udp_socket_open(struct udp_socket *s, const struct endpoint *want,
                    const struct udp_socket_options *options, weir_error *error);
/** Idempotent. */
void udp_socket_close(struct udp_socket *s);
/** The machine's network changed: datagrams may leave by another device, so UDP_SEGMENT is tried
 *  again. @return false when the address that the socket is bound to is no longer the machine's:
 *  nothing comes or goes through it until it is back */
bool udp_socket_network_changed(struct udp_socket *s);
/** Ask the routing table, without sending.
 * @return 0, or WEIR_E_UNREACHABLE when nothing leads there */
int udp_socket_route(const struct host_calls *calls, const struct endpoint *remote);

/** Room to take datagrams in: a fixed cost of a host, UDP_BATCH * UDP_RECEIVE_BYTES = 1 MiB of
 * address space (pages that no datagram needed are never touched), charged to no budget because no
 * peer can make it grow. */
struct udp_batch {
    struct mmsghdr headers[UDP_BATCH];
    struct iovec vectors[UDP_BATCH];
    struct sockaddr_storage names[UDP_BATCH];
    _Alignas(struct cmsghdr) uint8_t control[UDP_BATCH][UDP_CONTROL_BYTES];
    struct datagram_in in[UDP_BATCH]; /**< filled by udp_socket_receive, but for socket */
    uint8_t *bytes;            /**< UDP_BATCH * UDP_RECEIVE_BYTES, the caller's */
};
/** @param bytes  UDP_BATCH * UDP_RECEIVE_BYTES, outlive the batch */
void udp_batch_init(struct udp_batch *batch, uint8_t *bytes);
/** Take in at most one batch. @return how many of batch->in were filled; 0: nothing waits */
unsigned udp_socket_receive(struct udp_socket *s, struct udp_batch *batch);

/** A run of datagrams on its way out. */
struct udp_run {
    struct datagram_out out;   /**< as node gave it */
    size_t sent;               /**< bytes of it that are done with */
    bool is_single;            /**< a segmented send was refused: the rest goes one by one */
};
enum udp_send {
    UDP_SENT,                  /**< all of it; what the system refused is lost and counted */
    UDP_BLOCKED,               /**< the socket's buffer is full: send again when it is writable */
    UDP_LATER                  /**< the system is short of buffers: send again in a moment */
};
enum udp_send udp_socket_send(struct udp_socket *s, struct udp_run *run);
#endif
