/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_SENT_H
#define WEIR_QUIC_SENT_H
#include "base/budget.h"
#include "base/mem.h"
#include "quic/delivery.h"
#include <stdbool.h>
#include <stdint.h>

/** What one packet number space sent and what became of it: see the essay in sent.c. */

enum sent_flag {
    SENT_ACK_ELICITING = 1u << 0,
    SENT_IN_FLIGHT = 1u << 1,  /**< counts against the window: ack-eliciting, or padded */
    SENT_ACKED = 1u << 2,
    SENT_LOST = 1u << 3,       /**< declared lost; with SENT_ACKED: spuriously */
    SENT_UNSENT = 1u << 4,     /**< a number that was skipped on purpose: acknowledging it is a
                                    violation */
    SENT_APP_LIMITED = 1u << 5,/**< its delivery-rate sample is the application's (delivery.h); set
                                    by loss_packet_sent */
    SENT_PMTU_PROBE = 1u << 6, /**< its loss says nothing about congestion */
    SENT_ECT0 = 1u << 7,       /**< it left marked as ECN-capable */
};

/** One packet: 24 bytes. */
struct sent_packet {
    uint64_t time_us;
    uint32_t first;            /**< index of its first frame; once acked: distance to the next
                                    number to look at */
    uint16_t size;             /**< UDP payload bytes it accounts for */
    uint16_t frame_count;
    uint16_t flags;            /**< enum sent_flag */
};

/** What a frame was about: as much as is needed to repair it. Kinds that need no repair (PING,
 *  PADDING, DATAGRAM, PATH_RESPONSE, CLOSE) need not be recorded. */
enum sent_kind {
    SENT_PING = 1,
    SENT_ACK,                  /**< offset: largest packet number acknowledged in it */
    SENT_CRYPTO,               /**< offset, len */
    SENT_STREAM,               /**< id, offset, len, fin */
    SENT_RESET_STREAM,         /**< id */
    SENT_STOP_SENDING,         /**< id */
    SENT_MAX_DATA,             /**< offset: the limit sent */
    SENT_MAX_STREAM_DATA,      /**< id; offset: the limit sent */
    SENT_MAX_STREAMS_BIDI,     /**< offset: the limit sent */
    SENT_MAX_STREAMS_UNI,
    SENT_DATA_BLOCKED,         /**< offset */
    SENT_STREAM_DATA_BLOCKED,  /**< id, offset */
    SENT_STREAMS_BLOCKED_BIDI, /**< offset */
    SENT_STREAMS_BLOCKED_UNI,
    SENT_NEW_TOKEN,
    SENT_NEW_CONNECTION_ID,    /**< id: sequence */
    SENT_RETIRE_CONNECTION_ID, /**< id: sequence */
    SENT_PATH_CHALLENGE,       /**< id: path */
    SENT_HANDSHAKE_DONE,
    SENT_ACK_FREQUENCY,        /**< id: sequence */
    SENT_DATAGRAM,             /**< never repeated; recorded to count losses */
};
struct sent_frame {
    uint8_t kind;              /**< enum sent_kind */
    uint8_t fin;
    uint16_t extra;            /**< the caller's */
    uint32_t len;
    uint64_t id;
    uint64_t offset;
};

#define SENT_PACKETS_MAX 16384u     /**< default bound of the window of numbers, per space */
#define SENT_PACKET_FRAMES_MAX 64u  /**< frames in one packet; the packet is closed when they are
                                         used up */

#define SENT_RESERVE 64u            /**< numbers of packets_max that only probes may use */
#define SENT_SKIPPED_KEPT 4u        /**< numbers skipped on purpose that are remembered for ever */

struct sent {
    const struct mem *mem;
    struct budget *budget;     /**< NULL: none */
    struct sent_packet *packets;
    struct sent_frame *frames;
    struct delivery_packet *delivery; /**< as many as packets; NULL: not kept */
    uint64_t base, next;       /**< numbers [base, next) have a slot; next is the next packet's
                                    number */
    uint64_t skipped[SENT_SKIPPED_KEPT]; /**< last numbers skipped, kept when their slot is gone;
                                              UINT64_MAX: none */
    uint32_t packet_capacity, frame_capacity; /**< 0 or powers of two */
    uint32_t frame_base, frame_next;          /**< running indices, wrapping at 2^32 */
    uint32_t packets_max, open_frames, open_frames_max, skips;
    uint32_t probes;           /**< packets that may use the reserve: a PTO adds, an ack ends it */
    uint16_t limit_name;       /**< for the limit record; the owner may set it */
    bool open;                 /**< between sent_begin and sent_commit or sent_cancel */
    bool keep_delivery;
};
/** No memory is taken until the first sent_begin.
 *  @param packets_max   0: SENT_PACKETS_MAX; rounded down to a power of two, at least 256 */
void sent_init(struct sent *sent, const struct mem *mem, struct budget *budget,
               uint32_t packets_max);
void sent_free(struct sent *sent);
/** Keep struct delivery_packet beside each packet, from the next growth of the ring on (at once
 *  when nothing is allocated yet). */
void sent_keep_delivery(struct sent *sent);
/** The delivery state of a number that has a slot; NULL when none is kept. */
struct delivery_packet *sent_delivery(const struct sent *sent, uint64_t number);

/** Reserve room for one packet and SENT_PACKET_FRAMES_MAX frames; everything until sent_commit
 *  then cannot fail.
 *
 *  Lost packets that are only kept to recognise spurious losses make room first. A reserve is
 *  always left for probes, which use it (sent_allow_probes) with fewer frames when nothing more
 *  can be had.
 *  @return 0; WEIR_E_LIMIT packets_max numbers are unsettled: stop sending until an ACK or a
 *          loss; WEIR_E_BUDGET, WEIR_E_MEMORY. *limit (may be NULL) is filled on LIMIT and BUDGET.
 *          Nothing changes on error. */
int sent_begin(struct sent *sent, struct limit_record *limit);
/** @return false when the packet has all the frames it may have: close it */
bool sent_add_frame(struct sent *sent, const struct sent_frame *frame);
/** The packet numbered `next` leaves now. Frames of a packet that is not in flight (ack-only)
 *  are not kept.
 *  @param flags   SENT_ACK_ELICITING, SENT_IN_FLIGHT, SENT_PMTU_PROBE, SENT_ECT0
 *  @return        its number */
uint64_t sent_commit(struct sent *sent, uint64_t now_us, uint32_t size, uint32_t flags);
/** A PTO expired: so many packets may use the reserve. Without it a full window in a blackhole
 *  could never be probed. 0 takes it back. */
void sent_allow_probes(struct sent *sent, uint32_t packets);
/** Nothing is sent after all; the number is not used. */
void sent_cancel(struct sent *sent);
/** Use up the next number without sending it. @return 0 or as sent_begin */
int sent_skip(struct sent *sent, struct limit_record *limit);

/** The slot of a number; NULL when it is below base or not used yet. */
struct sent_packet *sent_get(const struct sent *sent, uint64_t number);
/** The i-th frame of a packet, i < frame_count. Not after the packet was marked acked. */
const struct sent_frame *sent_frame_get(const struct sent *sent, const struct sent_packet *packet,
                                        uint32_t i);
/** The first number >= number (and >= base) that is not acked; next when there is none.
 *  Amortised O(1): shortens the way for later look-ups. */
uint64_t sent_next_unacked(struct sent *sent, uint64_t number);
/** Mark acked; `last` is the end of the range being acknowledged, all of which will be marked.  */
void sent_mark_acked(struct sent *sent, uint64_t number, uint64_t last);
/** Whether [first, last] holds one of the last SENT_SKIPPED_KEPT numbers skipped. Older ones
 *  say it by their slot, as long as they have one. */
bool sent_covers_unsent(const struct sent *sent, uint64_t first, uint64_t last);
/** How many of the numbers skipped last lie in [first, last]. */
uint32_t sent_skipped_between(const struct sent *sent, uint64_t first, uint64_t last);
/** Drop the settled prefix: acked, skipped, ack-only, and lost ones below forget_below. */
void sent_drop_settled(struct sent *sent, uint64_t forget_below);
/** Forget all packets; numbers continue. Memory stays. */
void sent_clear(struct sent *sent);
/** Give the memory back when no packet is kept; call it when idle, not per packet. */
void sent_trim(struct sent *sent);
#endif
