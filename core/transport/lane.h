/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TRANSPORT_LANE_H
#define WEIR_TRANSPORT_LANE_H
#include "base/ranges.h"
#include "base/ring.h"
#include <stdbool.h>

/* A stream is two one-way lanes.
 *
 * A send lane keeps what the application wrote until the far side has it; offsets are absolute.
 * Invariant: ring.base <= acknowledged prefix <= sent <= written <= credit. Because a write takes
 * no more than the credit that both the stream and the connection have, whatever is in a lane may
 * be sent at any time: packets are built without asking flow control again, and a writer that has
 * to wait is known at the moment it waits (why, on whom, since).
 *
 * A receive lane keeps what arrived until the application has consumed it. Invariant: consumed <=
 * contiguous end <= highest <= limit. Limit is what we granted; bytes beyond it are the peer's flow
 * control error. */

enum send_state {
    SEND_OPEN,
    SEND_FINISHED,             /**< the application finished: fin_offset = written */
    SEND_RESET,                /**< reset by us; RESET_STREAM is to be delivered */
    SEND_OVER                  /**< everything, or the reset, was acknowledged */
};

struct send_lane {
    struct ring ring;          /**< base: first byte not acknowledged */
    struct ranges acked;       /**< acknowledged above base */
    struct ranges lost;        /**< to be sent again */
    struct range lost_rest;    /**< the same, when memory was short: one range around all that did
                                    not go into lost */
    uint64_t written, sent;
    uint64_t credit;           /**< the peer's limit for this stream */
    uint64_t released;         /**< bytes below may leave even in a partial packet; above: written
                                    since the last turn, or with MORE */
    uint32_t reset_code;
    uint8_t state;             /**< enum send_state */
    bool hold;                 /**< the last write said MORE and was taken whole */
    bool fin_sent, fin_acked, fin_lost;
    bool reset_pending;        /**< RESET_STREAM is to be sent (again) */
    bool stopped;              /**< the peer sent STOP_SENDING */
    uint32_t stop_code;
};

void send_lane_init(struct send_lane *lane, uint64_t credit);
/** Room that credit and the send limit leave, without the budget. */
uint64_t send_lane_room(const struct send_lane *lane, uint64_t send_max_bytes);
/** Append; len <= room (asserted). @return 0, WEIR_E_BUDGET or WEIR_E_MEMORY (nothing taken) */
int send_lane_append(struct send_lane *lane, const void *data, size_t len, const struct mem *mem,
                     struct budget *budget, struct limit_record *limit);
/** Whether something waits: lost bytes, released new bytes or a FIN. With whole true, unreleased
 *  bytes count too. */
bool send_lane_has(const struct send_lane *lane, bool whole);
/** Bytes that wait to be sent (lost and new); with whole, the unreleased ones too. */
uint64_t send_lane_waiting(const struct send_lane *lane, bool whole);
/** Let everything written so far leave, in a partial packet too. */
void send_lane_release(struct send_lane *lane);
/** The next piece to send: lost bytes first, then new ones, at most max bytes.
 *  @return true with [*offset, *offset + *len) and *fin; len may be 0 only with fin */
bool send_lane_next(const struct send_lane *lane, bool whole, uint64_t max, uint64_t *offset,
                    uint64_t *len, bool *fin);
/** That piece (or a shorter one) went into a packet. @return bytes that were sent before
 *  (retransmission) */
uint64_t send_lane_on_sent(struct send_lane *lane, uint64_t offset, uint64_t len, bool fin,
                           const struct mem *mem);
/** Acknowledged: frees what became contiguous. State may become SEND_OVER. */
void send_lane_on_acked(struct send_lane *lane, uint64_t offset, uint64_t len, bool fin,
                        const struct mem *mem, struct budget *budget);
void send_lane_on_lost(struct send_lane *lane, uint64_t offset, uint64_t len, bool fin,
                       const struct mem *mem);
/** Drop all buffers and become SEND_RESET (from OPEN or FINISHED). @return false when it was over
 *  or reset already */
bool send_lane_reset(struct send_lane *lane, uint32_t code, const struct mem *mem,
                     struct budget *budget);
void send_lane_free(struct send_lane *lane, const struct mem *mem, struct budget *budget);

/** An empty lane keeps its buffer, so that a steady flow allocates nothing; it gives it back when
 *  memory is short, and when its connection rests (streams_trim). */
enum { LANE_PRESSURE_BYTES = 1 << 20 };
void lane_rest(struct ring *ring, const struct mem *mem, struct budget *budget);
/** What send lanes may still charge. Inside weir reading never waits for writing: of every budget
 *  a part is left to what arrives, so that two sides full of bytes to send can still take each
 *  other's.
 *  @param tight  set to the budget that has the least room, when not NULL */
enum { LANE_RECEIVE_SHARE = 4 /**< one part in so many */ };
uint64_t lane_send_room(struct budget *budget, struct budget **tight);

enum receive_state {
    RECEIVE_OPEN,
    RECEIVE_SIZED,             /**< the final size is known */
    RECEIVE_RESET,             /**< from here on no byte is taken */
    RECEIVE_OVER               /**< read to the end, reset, or stopped with the final size known */
};

struct receive_lane {
    struct ring ring;          /**< base: consumed */
    struct ranges gaps_above;  /**< what arrived above the contiguous end */
    uint64_t contiguous;       /**< end of the bytes that can be read */
    uint64_t highest;          /**< highest offset seen: what flow control counts */
    uint64_t limit;            /**< credit granted */
    uint64_t window_bytes;     /**< limit - consumed right after a grant */
    uint64_t final_size;       /**< UINT64_MAX: not known */
    uint64_t grant_time_us;    /**< of the last grant: windows grow when used up within two round
                                    trips */
    uint32_t reset_code;
    uint32_t stop_code;
    uint8_t state;             /**< enum receive_state */
    bool stop_pending;         /**< STOP_SENDING is to be sent (again) */
    bool was_reset;            /**< the peer reset it, or its connection ended first */
    bool stopped;              /**< the application asked the peer to stop: bytes are dropped on
                                    arrival */
    bool credit_pending;       /**< a new limit is to be told to the peer (again) */
};

enum receive_result {
    RECEIVE_OK = 0,
    RECEIVE_FLOW_ERROR = 1,    /**< beyond the credit */
    RECEIVE_SIZE_ERROR = 2,    /**< contradicts the final size */
    RECEIVE_DROP = 3           /**< too many gaps, no budget or memory: do not acknowledge
                                    the packet */
};

void receive_lane_init(struct receive_lane *lane, uint64_t window_bytes, uint32_t gaps_max);
/** @param grown  set to how much `highest` grew: to be counted against the connection's credit,
 *                which the caller has checked with receive_lane_growth before
 *  @return       enum receive_result; nothing changes unless RECEIVE_OK */
int receive_lane_on_data(struct receive_lane *lane, uint64_t offset, const uint8_t *data,
                         size_t len, bool fin, const struct mem *mem, struct budget *budget,
                         struct limit_record *limit, uint64_t *grown);
/** How much `highest` would grow. Total: offset + len are below 2^62. */
uint64_t receive_lane_growth(const struct receive_lane *lane, uint64_t end);
/** RESET_STREAM. @param grown as above. @return enum receive_result */
int receive_lane_on_reset(struct receive_lane *lane, uint32_t code, uint64_t final_size,
                          const struct mem *mem, struct budget *budget, uint64_t *grown);
uint64_t receive_lane_readable(const struct receive_lane *lane);
/** Everything was consumed and the final size is reached. */
bool receive_lane_at_end(const struct receive_lane *lane);
/** n <= readable (asserted). */
void receive_lane_consume(struct receive_lane *lane, uint64_t n, const struct mem *mem,
                          struct budget *budget);
/** Forget what waits and drop what comes (the application sent STOP_SENDING). @return bytes dropped
 *  that counted as received */
uint64_t receive_lane_stop(struct receive_lane *lane, uint32_t code, const struct mem *mem,
                           struct budget *budget);
void receive_lane_free(struct receive_lane *lane, const struct mem *mem, struct budget *budget);
#endif
