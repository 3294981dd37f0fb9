/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HOST_PORTS_H
#define WEIR_HOST_PORTS_H
#include "base/mem.h"
#include "host/udp_socket.h"

/* The sockets of a host, by the numbers that node knows them by.
 *
 * A number stands for a port: one socket, or two when the port is open for every address of both
 * families ("[::]:N", which is also what ":N" means). The two are sockets of their own, because an
 * IPv6 socket that carries IPv4 too needs mapped addresses in every control message, and some
 * systems switch it off. A datagram leaves through the socket of its remote's family. */

enum {
    PORTS_MAX = 64,            /**< a node that listens on more is refused with WEIR_E_LIMIT */
    PORTS_PAIR_TRIES = 16,     /**< port 0: times that IPv6 may get a port that IPv4 cannot */
};

struct ports;
/** A socket, watched. Freed by the loop some time after it was closed. */
struct port_socket {
    struct udp_socket udp;
    uv_poll_t poll;
    struct ports *ports;
    uint32_t number;           /**< of its port; 0 until it has one */
    bool is_readable, is_writable; /**< seen by the loop; the reader clears them */
    bool is_gone;              /**< its address is not the machine's at present: not dialled from */
    bool is_closed;
};
struct port {
    struct port_socket *ip6, *ip4; /**< at least one, unless the number is free */
    struct port_socket *stand_in;  /**< sends while the only one's address is gone; else NULL */
    bool is_listening;
};
struct ports {
    const struct mem *mem;
    uv_loop_t *loop;
    struct udp_socket_options options;
    struct port port[PORTS_MAX]; /**< port[n - 1] has the number n */
    uint64_t readable;         /**< bit n - 1: a socket of port n is readable; the reader clears it
                                    */
    bool has_news;             /**< the loop found a socket ready; who waits for that clears it */
    bool is_changed;           /**< epoll does not know the newest watches: the loop must run */
};
/** As struct node_driver's functions of these names. error may be NULL. */
int ports_listen(struct ports *ports, const struct endpoint *want, struct endpoint *got,
                 uint32_t *number, weir_error *error);
void ports_unlisten(struct ports *ports, uint32_t number);
int ports_dial(struct ports *ports, const struct endpoint *remote, uint32_t *number);
/** The machine's network changed. A listening socket keeps its address, even one that is gone,
 *  because it may come back and nothing else was asked for. Until then a socket that the system
 *  finds an address for sends in its place, and hears the answers, so that the connections of that
 *  number go on; and nobody new is dialled from there. Nobody may hold a struct port_socket over
 *  this call. */
void ports_network_changed(struct ports *ports);
/** The socket through which a port sends to remotes of a family, or NULL. */
struct port_socket *ports_socket(struct ports *ports, uint32_t number, uint8_t family);
/** Watch for room to write, or no longer. */
void ports_want_write(struct ports *ports, struct port_socket *s, bool wanted);
/** Close all; the loop must run for their memory to be freed. */
void ports_close(struct ports *ports);
#endif
