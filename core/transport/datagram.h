/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TRANSPORT_DATAGRAM_H
#define WEIR_TRANSPORT_DATAGRAM_H
#include "address/endpoint.h"
#include <stddef.h>
#include <stdint.h>

/** One datagram, or a run of equal ones (UDP_GRO), handed to the engine. The bytes may be changed
 *  in place. */
struct datagram_in {
    struct endpoint local;     /**< where it arrived; family NONE when the driver does not know */
    struct endpoint remote;
    uint32_t socket;           /**< the driver's number of the socket */
    uint8_t ecn;               /**< the two ECN bits of the IP header */
    uint8_t *data;
    size_t len;
    size_t segment;            /**< length of each datagram in data but perhaps the last; 0: data is
                                    one datagram */
};

/** Datagrams handed out: the engine writes into data, up to cap. All go to one address with one ECN
 *  mark. */
struct datagram_out {
    struct endpoint local;     /**< source to use; family NONE: the system chooses */
    struct endpoint remote;
    uint32_t socket;
    uint8_t ecn;
    uint8_t *data;
    size_t cap;                /**< in: at least 1500; with more, a run of equal datagrams may
                                    come */
    size_t len;                /**< out: all bytes */
    size_t segment;            /**< out: length of each datagram but the last (UDP_SEGMENT); equal
                                    to len for one */
};
#endif
