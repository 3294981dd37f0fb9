/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_ECN_H
#define WEIR_QUIC_ECN_H
#include "quic/ack.h"
#include <stdbool.h>
#include <stdint.h>

/** Whether to mark what we send with ECT(0), and whether to believe what is said of it (RFC 9000
 *  sections 13.4.2 and A.4). See ecn.c. Marks that arrive are counted in ack.h, marking or not.
 *
 *  Counts belong to a packet number space, so mark datagrams of 1-RTT packets only and hand in ACKs
 *  of the Application space only. One struct for the connection: ecn_restart when the path changes.
 *
 *      sending a datagram   mark = ecn_mark; ecn_on_sent; store in the packet's record that it was
 *                           marked, and on which path
 *      a packet's loss      ecn_on_lost if it was marked and sent on this path
 *      an ACK frame         ecn_on_ack, after its packets were counted */
enum { ECN_TEST_PACKETS = 10, ECN_TEST_PTOS = 3, ECN_PTO_SUSPECT = 3 };

enum ecn_state {
    ECN_TESTING = 0, /**< marks the first packets of a path */
    ECN_UNKNOWN,     /**< has marked enough, waits for word of them */
    ECN_CAPABLE,     /**< marks everything */
    ECN_FAILED       /**< marks nothing more on this path */
};
enum ecn_result {
    ECN_OK = 0,
    ECN_HAS_FAILED,   /**< just now, said once per path; the ACK's marks are no congestion event */
    ECN_CE_INCREASED  /**< a congestion event, of the time at which the largest newly acknowledged
                           packet was sent (RFC 9002 7.3.2) */
};
struct ecn {
    uint64_t sent;               /**< packets marked in this number space, all paths */
    uint64_t ect0, ce;           /**< of the last ACK that counted */
    uint64_t test_end_us;        /**< valid when test_sent > 0 */
    uint32_t test_sent, test_lost;
    uint8_t state;               /**< enum ecn_state */
    bool seen;                   /**< marks of this path arrived and were counted rightly */
    bool retest;                 /**< after an outage: test again once something is acknowledged */
};

/** @param on  false: the host cannot mark; never marks (as if failed) */
void ecn_init(struct ecn *e, bool on);
/** The connection moved to another path: test that one. Counts go on, as the peer's do.
 *  @param on  as ecn_init */
void ecn_restart(struct ecn *e, bool on);
/** The mark of the next 1-RTT datagram. @return ACK_ECN_ECT0 or ACK_ECN_NONE */
enum ack_ecn ecn_mark(struct ecn *e, uint64_t now_us);
/** A marked datagram left. @param packets  1-RTT packets in it: 1; pto_us: the present one, which
 *  bounds the test of a path (the first call of a test decides) */
void ecn_on_sent(struct ecn *e, uint32_t packets, uint64_t now_us, uint64_t pto_us);
/** A marked packet of this path is lost. @return ECN_HAS_FAILED when no marked packet of the test
 *  came through, else ECN_OK */
enum ecn_result ecn_on_lost(struct ecn *e);
/** A probe timeout fired for the pto_count-th time in a row: perhaps the path swallows marks now.
 *  From ECN_PTO_SUSPECT on nothing is marked until something is acknowledged; then it is tested
 *  again. */
void ecn_on_pto(struct ecn *e, uint32_t pto_count);
/** An ACK frame of the Application space. A lie can only switch marking off, or shrink the window
 *  as an honest report would.
 *  @param largest_raised  it raised the largest acknowledged number; others may be reordered, and
 *                         their counts are not looked at
 *  @param newly_marked    packets that it acknowledges newly, were marked, and were sent on this
 *                         path
 *  @param has_counts      type 03; else the three counts are 0 */
enum ecn_result ecn_on_ack(struct ecn *e, bool largest_raised, uint64_t newly_marked,
                           bool has_counts, uint64_t ect0, uint64_t ect1, uint64_t ce);
#endif
