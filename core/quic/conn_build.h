/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_CONN_BUILD_H
#define WEIR_QUIC_CONN_BUILD_H
#include "quic/connection.h"

/* Internal to the files that write packets: one packet under construction, and the run of datagrams
 * that it belongs to. conn_build.c begins and ends packets, conn_put.c writes frames into them,
 * conn_out.c decides what leaves when. */

/** A run of datagrams for one path. Keys are made ready once, header protection is put on in one
 *  pass when all payloads are sealed. */
struct build_run {
    struct protect_cipher cipher; /**< of 1-RTT packets; valid when ready */
    struct {
        uint8_t *packet;
        uint8_t header_len, number_size;
    } unmasked[QUIC_BURST_SEGMENTS_MAX];
    unsigned count;
    uint32_t flags;            /**< enum sent_flag of its 1-RTT packets: SENT_ECT0 */
    bool ready;
};

struct build {
    struct connection *c;
    struct build_run *run;
    struct writer w;           /**< the payload, room for the tag left out */
    uint8_t *packet;
    size_t header_len;
    unsigned number_size;
    uint64_t number;
    enum loss_space_name space;
    enum packet_type type;
    uint32_t flags;            /**< further enum sent_flag */
    bool eliciting, in_flight, ack;
    bool aside;                /**< for another path than the one in use: not in its flight */
    bool whole;                /**< it holds a frame that wants a datagram of 1200 bytes */
};

/* conn_build.c */
/** @param cid  the peer's id to send to
 *  @return false: no room, or no memory for the record (then stalled_us is set) */
bool build_begin(struct build *b, struct connection *c, struct build_run *run,
                 enum loss_space_name space, const struct cid *cid, uint8_t *data, size_t room,
                 uint64_t now_us);
/** Pad to pad_to (the whole packet), seal and account. @return bytes of the packet, 0 when it had
 *  no frame */
size_t build_end(struct build *b, size_t pad_to, uint64_t now_us);
/** Record what a frame was about; the packet becomes ack-eliciting. */
bool build_record(struct build *b, enum sent_kind kind, uint64_t id, uint64_t offset, uint64_t len,
                  bool fin);
/** One more record fits: so a frame that is written can be recorded. Without memory a probe has
 *  fewer than usual. */
bool build_may_record(const struct build *b);
/** Protect the headers of the run's packets and wipe its keys. */
void build_run_end(struct build_run *run, struct connection *c);

/* conn_put.c */
void put_ack(struct build *b, struct ack_state *acks, uint64_t now_us);
void put_crypto(struct build *b, struct send_lane *lane);
void put_ping(struct build *b);
/** A challenge and an answer of the path that the packet is for. */
void put_path(struct build *b, struct path *p);
/** Everything else of a connection: its control frames. */
void put_connection(struct build *b);
/** Streams and unreliable datagrams, which take turns. */
void put_application(struct build *b);
#endif
