/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_PMTU_H
#define WEIR_QUIC_PMTU_H
#include <stdbool.h>
#include <stdint.h>

/** How large datagrams may be on one path: DPLPMTUD (RFC 8899, RFC 9000 section 14.3). See pmtu.c.
 *
 *  All sizes are UDP payload bytes. It keeps no timer: ask pmtu_probe_bytes when something is sent
 *  anyway. What ICMP says never gets here, and nothing goes below the floor (CVE-2024-53259).
 *
 *      new path, path changed   pmtu_init, pmtu_set_ceiling; pmtu_enable once it is worth it
 *      building datagrams       pmtu_bytes; now and then pmtu_probe_bytes, pmtu_on_probe_sent
 *      a probe's fate           pmtu_on_probe_acked or pmtu_on_probe_lost, and none of the below
 *      any other packet's fate  pmtu_on_packet_acked or pmtu_on_packet_lost, with its datagram's
 *                               size; leave out packets that were sent on another path
 *
 *  A probe is a datagram of its own with one packet of PING and PADDING, never part of a batch. It
 *  counts as in flight, and its loss is no sign of congestion (RFC 9000 14.4). */
enum {
    PMTU_TRIES_MAX = 3,   /**< probes lost in a row before a size counts as too large (RFC 8899
                               5.1.2) */
    PMTU_STEP_BYTES = 20, /**< the search ends when less than this can be gained */
    PMTU_BURSTS_MAX = 3,  /**< bursts of losses of large packets only; one more is a black hole */
    PMTU_PTO_SUSPECT = 2  /**< probe timeouts in a row that make large datagrams suspect */
};
#define PMTU_NEVER UINT64_MAX
#define PMTU_RAISE_US UINT64_C(600000000) /**< RFC 8899 5.1.1: then a path may carry more */
#define PMTU_COOL_US UINT64_C(60000000)   /**< rest after a black hole */

enum pmtu_state {
    PMTU_OFF = 0, /**< no search yet */
    PMTU_SEARCH,  /**< sizes from low to high are open */
    PMTU_DONE,    /**< rests until wait_us */
};
struct pmtu {
    uint64_t wait_us;       /**< DONE: when to search again; PMTU_NEVER: at the ceiling */
    uint64_t burst_us;      /**< when the latest burst of losses was found */
    uint64_t fell_us;       /**< when it fell to the floor last; PMTU_NEVER: never */
    uint16_t floor_bytes, ceiling_bytes;
    uint16_t bytes;         /**< datagrams may have this many now */
    uint16_t high_bytes;    /**< SEARCH: nothing larger is worth a probe */
    uint16_t first_bytes;   /**< SEARCH: the size to try before all others, within the bounds */
    uint16_t probe_bytes;   /**< on its way; 0: none */
    uint16_t suspect_bytes; /**< smallest lost in the bursts; an ACK of as much clears them */
    uint8_t state;          /**< enum pmtu_state */
    uint8_t tries;          /**< lost probes of the size that is tried */
    uint8_t bursts;
    bool burst_counted;     /**< the latest burst is one of them */
    bool burst_mixed;       /**< small packets were lost in it as well: congestion */
    bool burst_over;        /**< something arrived since: the next loss begins another one */
    bool await_ack;         /**< silence: no probe before anything was acknowledged */
};

/** @param floor_bytes    what every path carries: 1200
 *  @param start_bytes    what datagrams may have before any probe: the floor, or what the host
 *                        knows of the path (loopback, configuration)
 *  @param ceiling_bytes  never more than this: what the interface carries, 1472 (IPv4) or 1452
 *                        (IPv6) for Ethernet; floor <= start <= ceiling <= 65527 (asserted) */
void pmtu_init(struct pmtu *p, uint32_t floor_bytes, uint32_t start_bytes, uint32_t ceiling_bytes);
/** The peer's max_udp_payload_size: lowers the ceiling, and datagrams with it; never raises, never
 *  goes below the floor. */
void pmtu_set_ceiling(struct pmtu *p, uint64_t ceiling_bytes);
/** From now on the connection is worth probes: confirmed and some tens of KiB sent, so that a
 *  thousand idle ones send none. Calling it again changes nothing. */
void pmtu_enable(struct pmtu *p);
static inline bool pmtu_is_enabled(const struct pmtu *p)
{
    return p->state != PMTU_OFF;
}
/** What datagrams may have now. */
static inline uint32_t pmtu_bytes(const struct pmtu *p)
{
    return p->bytes;
}
/** The size of the probe to send now, larger than pmtu_bytes; 0: none is due, or one is on its
 *  way. */
uint32_t pmtu_probe_bytes(struct pmtu *p, uint64_t now_us);
/** It left. @param bytes  what pmtu_probe_bytes said (asserted) */
void pmtu_on_probe_sent(struct pmtu *p, uint32_t bytes);
/** @param bytes   size of the probe; one that was given up still proves its size, but not while it
 *                 rests after a black hole
 *  @return        whether pmtu_bytes grew: tell congestion control and pacer */
bool pmtu_on_probe_acked(struct pmtu *p, uint32_t bytes, uint64_t now_us);
/** Do not report it to congestion control. Of a probe that is not awaited nothing is learned. */
void pmtu_on_probe_lost(struct pmtu *p, uint32_t bytes, uint64_t now_us);

/* Black holes: a path that carried large datagrams and stopped, without a word. */
/** A packet that was no probe arrived. @param bytes  its datagram's size */
void pmtu_on_packet_acked(struct pmtu *p, uint32_t bytes);
/** A packet that was no probe is lost. Losses with one now_us are one burst, and so are those
 *  between which nothing was acknowledged: a timer finds them one by one.
 *  @return  whether pmtu_bytes fell back to the floor: rebuild what waits, tell congestion control
 *           and pacer; DATAGRAM frames that no longer fit are lost */
bool pmtu_on_packet_lost(struct pmtu *p, uint32_t bytes, uint64_t now_us);
/** A probe timeout fired for the pto_count-th time without an ACK between (RFC 9002 6.2.1). From
 *  PMTU_PTO_SUSPECT on datagrams have the floor's size; once anything is acknowledged the old size
 *  is probed first, so that an outage costs one probe.
 *  @return  as pmtu_on_packet_lost */
bool pmtu_on_pto(struct pmtu *p, uint32_t pto_count, uint64_t now_us);
#endif
