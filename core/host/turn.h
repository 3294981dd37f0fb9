/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HOST_TURN_H
#define WEIR_HOST_TURN_H
#include "host/local.h"
#include "host/ports.h"
#include "host/resolve.h"
#include "node/node.h"

/** A host, and what it does in a turn: wait, take in, send. Opening and closing are host.c's. */
struct host {
    const struct mem *mem;
    struct node *node;
    uv_loop_t loop;
    uv_poll_t timer, wake;
    int timer_fd, wake_fd;
    int references;            /* of the shell: the loop's and the node's; atomic */
    bool is_closed;            /* atomic: wake is called from any thread */
    bool timer_ready, wake_ready; /* seen by the loop, not read yet */
    bool is_woken;             /* wake was called: poll returns */
    bool is_polling;
    bool has_more;             /* the node may have more to send than one pass lets out */
    bool has_run;              /* run holds datagrams that have not left */
    uint32_t spin_us;          /* after traffic, look so long before sleeping; 0: not */
    uint32_t spin_misses;      /* spins in a row that found nothing */
    uint32_t spin_skips;       /* that are left out for that */
    uint64_t packets;          /* the node's count when it was last looked at for traffic */
    uint32_t event_turns;
    uint64_t armed_us;         /* when the timer goes off; UINT64_MAX: it does not */
    uint64_t retry_us;         /* blocked until then; 0: not */
    struct port_socket *blocked; /* waits to be writable, with run */
    struct udp_run run;
    struct ports ports;
    struct resolve resolve;
    struct locals locals;
    struct udp_batch batch;
    uint8_t *send_bytes;       /* UDP_SEND_BYTES, run's */
};

/** struct node_driver's poll. */
int64_t turn_poll(struct host *host, weir_event *events, uint32_t cap, int64_t timeout_us);
/** Send what the node has to send, as far as the sockets take it. */
void turn_send(struct host *host, uint64_t now_us);
/** A socket was closed: what waits to leave through it never will. */
void turn_forget(struct host *host, uint32_t number);
/** What was blocked may be tried again, through whichever socket. */
void turn_retry(struct host *host);
/** Before anyone waits on the loop's descriptor: epoll knows every watch, and the timer the next
 * deadline. */
void turn_settle(struct host *host);
/** Watches changed outside of poll, or a name is answered already: let the descriptor be ready, so
 * that poll is called and the loop runs. */
void turn_poke(struct host *host);
/** Watch timer and wake, whose descriptors are open. @return 0, or not 0 when the system refuses */
int turn_watch(struct host *host);
#endif
