/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_PATH_H
#define WEIR_QUIC_PATH_H
#include "quic/congestion.h"
#include "quic/pacer.h"
#include "quic/pmtu.h"
#include "quic/rtt.h"
#include "transport/datagram.h"

/** One way to the peer: the two addresses and whether the peer answers there (RFC 9000 sections 8.2
 *  and 9). See conn_path.c for how a connection goes from one to another. */

enum {
    PATH_CHALLENGE_LEN = 8,
    PATH_CHALLENGES_KEPT = 3,  /**< the latest challenges: an answer to any of them counts */
    PATH_ROOM_MIN = 64,        /**< less is not worth a packet: a challenge fits */
    PATH_ROOM_ACK = 100,       /**< and here any ACK's first range */
    PATH_CHALLENGE_TRIES = 5   /**< of a path that is only tried; a path in use goes on asking */
};

struct path {
    struct endpoint local, remote; /**< local: family NONE when the system chooses */
    uint32_t socket;
    uint64_t remote_id;        /**< sequence of the peer's connection id that is used here */
    uint64_t local_id;         /**< highest sequence of ours that the peer has used here */
    bool own_change;           /**< our address changed, not the peer's: there is no way back */
    bool moved;                /**< the application is to be told once it is validated */
    bool validated;            /**< the peer was seen to receive at `remote`: no limit of 3x */
    bool asks;                 /**< an answer to one of our challenges is awaited */
    bool asked_small;          /**< the challenge could not be padded to 1200 bytes: once more */
    bool challenge_wanted;     /**< a PATH_CHALLENGE is to be sent here */
    bool response_wanted;      /**< a PATH_RESPONSE is: only the latest (CVE-2023-49295) */
    uint8_t tries, kept;       /**< challenges sent; of them remembered */
    uint8_t response[PATH_CHALLENGE_LEN];
    uint8_t challenges[PATH_CHALLENGES_KEPT][PATH_CHALLENGE_LEN]; /**< newest first */
    uint64_t ask_us;           /**< when to ask again; valid while asks */
    uint64_t asked_us;         /**< when the first challenge left */
    uint64_t bytes_in, bytes_out; /**< counted while not validated */
};

/** What was learned about the capacity of a path that was left, to be taken up again if the
 *  connection comes back to it. */
struct path_memory {
    struct path path;
    struct rtt rtt;
    struct congestion congestion;
    struct pacer pacer;
    struct pmtu pmtu;
    bool has_capacity;         /**< all but path: else the path in use still has it, since only a
                                    port changed */
};

static inline bool path_is(const struct path *p, const struct datagram_in *in)
{
    /* Where it arrived counts only when both are known: drivers may not tell. */
    bool local = p->local.family == ENDPOINT_NONE || in->local.family == ENDPOINT_NONE ||
                 endpoint_equal(&p->local, &in->local);
    return local && endpoint_equal(&p->remote, &in->remote);
}
/** Bytes that may be sent there now, at most want (RFC 9000 section 8). */
static inline size_t path_allows(const struct path *p, size_t want)
{
    if (p->validated) return want;
    uint64_t most = 3 * p->bytes_in, room = most > p->bytes_out ? most - p->bytes_out : 0;
    return room < want ? (size_t)room : want;
}
#endif
