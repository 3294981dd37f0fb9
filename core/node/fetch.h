/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_FETCH_H
#define WEIR_NODE_FETCH_H
#include "crypto/blake2b.h"
#include "node/owner.h"

/* What a fetch is made of. Private to fetches.c (calls), fetch_life.c (what happens to a fetch),
 * fetch_plan.c (which part is asked of whom) and fetch_part.c (a part in flight). */

enum {
    FETCH_PEERS_MAX = 16,    /**< places for peers in a fetch; limit fetch_peers may say less */
    FETCH_SLOTS_MAX = 256,   /**< parts in flight, whatever the options ask for */
    FETCH_DATA_MAX = 1024,
    FETCH_REQUEST_MAX = 8 + 8 + FETCH_DATA_MAX,
    FETCH_STRIKES_MAX = 3,   /**< a peer with so many is asked no more */
    FETCH_METER_SECONDS = 4
};

enum fetch_part_state {
    PART_WANTED,
    PART_ASKED,                /**< of one peer */
    PART_DOUBLED,              /**< of two */
    PART_WAITING,              /**< verified, not read by the application */
    PART_DONE
};
enum fetch_slot_state { SLOT_FREE, SLOT_ASKED, SLOT_WAITING };

/** A part in flight: its buffer, and until it has come its stream. */
struct fetch_slot {
    uint32_t part, len, got;   /**< which part, its bytes, those that came */
    uint8_t state;             /**< enum fetch_slot_state */
    uint8_t peer;              /**< index */
    uint8_t head_len;          /**< bytes of the response's head that came */
    uint8_t head[1 + 8 + 8];
    uint16_t written;          /**< bytes of the request that the stream took */
    struct stream *stream;     /**< its user is the index of the slot */
    uint8_t *bytes;            /**< len bytes, charged */
    struct blake2b_state hash;
};

/** A peer, as the plan sees it. Times are 0 for never. */
struct fetch_peer {
    uint64_t connection;       /**< handle; 0: a free place */
    uint64_t rate;             /**< bytes per second, smoothed; 0: not known */
    uint64_t rtt_us;
    uint64_t left_bytes;       /**< asked for and not come */
    uint64_t measure_us, measure_bytes;   /**< since when the rate is being measured */
    uint64_t progress_us, progress_bytes; /**< the same for the least progress */
    uint64_t heard_us;         /**< when its last bytes came, or it was asked while it rested */
    uint64_t busy_until_us;    /**< it said so: not before */
    uint64_t trial_us;         /**< on probation: one part, and not before unless nobody else can */
    uint32_t asked;            /**< parts in flight with it */
    uint32_t good;             /**< parts that verified, for a strike to be forgiven */
    uint8_t strikes, busy_count, late_count;
    bool has_answered;         /**< bytes came at least once */
    bool is_quiet;             /**< nothing comes: others may be asked for its parts */
    bool is_blocked;           /**< it takes no more streams or bytes now */
    bool on_probation;
};

struct fetch_plan {
    uint64_t total_bytes;
    uint64_t progress_limit_us, progress_limit_bytes;
    uint32_t part_bytes, parts;
    uint32_t first_wanted;     /**< no part before it is wanted */
    uint32_t wanted, done;     /**< parts in these states */
    uint32_t slots_max, slots_used;
    uint8_t *state;            /**< enum fetch_part_state of each part */
    uint8_t *blame;            /**< index + 1 of the peer that gave each part or failed last with
                                    it: not asked again for it while another can be; 0: nobody */
    struct fetch_slot *slots;
    struct fetch_peer peers[FETCH_PEERS_MAX];
};

struct fetch_choice {
    uint32_t part;
    uint8_t peer;
    bool is_doubled;           /**< another peer has been asked for it too */
};

/* The plan: pure. It keeps counts, states and estimates; the caller opens and closes streams. */

uint32_t fetch_plan_part_len(const struct fetch_plan *plan, uint32_t part);
/** A peer joins. @return its index, or -1: no place, of at most peers_max */
int fetch_plan_add_peer(struct fetch_plan *plan, uint64_t connection, uint64_t rtt_us,
                        uint32_t peers_max, uint64_t now_us);
/** @return its index, or -1 */
int fetch_plan_find_peer(const struct fetch_plan *plan, uint64_t connection);
uint32_t fetch_plan_peers(const struct fetch_plan *plan);
/** It is asked no more; its slots are free already (asserted). */
void fetch_plan_remove_peer(struct fetch_plan *plan, uint8_t peer);

/** Bring estimates up to now: who is quiet, how fast the others are. Before fetch_plan_next. */
void fetch_plan_look(struct fetch_plan *plan, uint64_t now_us);
/** What to ask of whom next. @return false when there is nothing to ask, or no room */
bool fetch_plan_next(const struct fetch_plan *plan, uint64_t now_us, struct fetch_choice *choice);
/** When no slot is free and a peer has nothing to do: the slot that a quiet peer should lose for it
 *  (fetch_plan_lost). @return its index, or -1 */
int fetch_plan_spare(const struct fetch_plan *plan, uint64_t now_us);
/** That was asked: a free slot is filled in, but for stream and bytes. @return its index */
uint32_t fetch_plan_asked(struct fetch_plan *plan, const struct fetch_choice *choice,
                          uint64_t now_us);
/** But it could not be: as if it had not been. */
void fetch_plan_not_asked(struct fetch_plan *plan, struct fetch_slot *slot);
/** Bytes came for a slot. @return true when that changes who may be asked */
bool fetch_plan_arrived(struct fetch_plan *plan, struct fetch_slot *slot, uint32_t count,
                        uint64_t now_us);
/** The part verified: it waits for the application. */
void fetch_plan_verified(struct fetch_plan *plan, struct fetch_slot *slot, uint64_t now_us);
/** It will not come on this slot. @return true when nobody is asked for the part any more */
bool fetch_plan_lost(struct fetch_plan *plan, struct fetch_slot *slot, uint64_t now_us);
/** Another peer was faster. */
void fetch_plan_beaten(struct fetch_plan *plan, struct fetch_slot *slot, uint64_t now_us);
/** The application took the part. */
void fetch_plan_read(struct fetch_plan *plan, struct fetch_slot *slot);
/** A part that was read is wanted again. @return the peer that gave it, or -1 */
int fetch_plan_rejected(struct fetch_plan *plan, uint32_t part);

/** Whether the peer brought less than the least progress. */
bool fetch_plan_is_late(const struct fetch_plan *plan, uint8_t peer, uint64_t now_us);
/** A peer was late (1) or wrong (2). @return true when it has enough strikes to be removed */
bool fetch_plan_strike(struct fetch_plan *plan, uint8_t peer, unsigned strikes, uint64_t now_us);
/** A peer said that it is busy. hint_us 0: it did not say for how long */
void fetch_plan_busy(struct fetch_plan *plan, uint8_t peer, uint64_t hint_us, uint64_t now_us);
/** When the plan is to be looked at again, if nothing comes; UINT64_MAX: never. After now. */
uint64_t fetch_plan_deadline(const struct fetch_plan *plan, uint64_t now_us);

/** Bytes over the last seconds. */
struct fetch_meter {
    uint64_t second;
    uint64_t bytes[FETCH_METER_SECONDS];
};

struct fetch {
    struct owner owner;        /**< first; its handle is the fetch's */
    struct fetch *next;        /**< in node->fetches */
    struct fetch_plan plan;
    struct fetch_meter meter;
    struct peer_id held[FETCH_PEERS_MAX]; /**< who is behind the connections of the plan's peers */
    size_t size;               /**< of this block */
    uint64_t user, begun_us, deadline_us;
    uint64_t grace_us;         /**< no peer is left: it fails then; 0: there are some, or never
                                    were */
    uint64_t retry_us;         /**< memory or room was short: look again then; 0: it was not */
    uint64_t bytes_done, retried, doubled, corrupt;
    const uint8_t *hashes;     /**< NULL: parts are not verified */
    const uint8_t *data;
    const char *name;
    uint32_t waiting;          /**< slots that wait for the application */
    uint32_t reason;           /**< why the last peer was lost; at the end, why it ended */
    int error;
    uint16_t data_len;
    uint8_t name_len, urgency;
    bool had_peer;
    bool told_part;            /**< and the application has not read empty since */
    bool is_over, told_over;   /**< FETCH_CLOSED is to be told; it was */
};

/* Its life: fetch_life.c. */

extern const struct owner_ops fetch_ops;
/** Look at everything anew: peers, times, what to ask. It may be over then. Idempotent. */
void fetch_look(struct node *node, struct fetch *f);
/** A part was wrong. @param peer whose it was; -1: not known */
void fetch_blame(struct node *node, struct fetch *f, int peer, uint32_t reason);
/** Nothing more is asked for, and nobody is held. */
void fetch_leave_all(struct node *node, struct fetch *f);

/* A part in flight: fetch_part.c. */

enum fetch_part_result {
    FETCH_PART_ON,             /**< more is to come */
    FETCH_PART_WHOLE,          /**< all of it came, and it is right */
    FETCH_PART_WRONG,          /**< other bytes, fewer or more than were asked for */
    FETCH_PART_BUSY,           /**< the peer says: later */
    FETCH_PART_REFUSED,        /**< the peer says no, resets, or speaks something else */
    FETCH_PART_BROKEN          /**< we could not go on: memory */
};
/** Open the stream of a slot that the plan has filled in, and its buffer.
 *  @return 0; WEIR_E_LIMIT the peer takes no more streams or bytes now; WEIR_E_BUDGET,
 *          WEIR_E_MEMORY, WEIR_E_NOT_CONNECTED. On an error the slot has neither */
int fetch_part_open(struct node *node, struct fetch *f, struct fetch_slot *slot,
                    struct transport_conn *c);
/** Its stream has facts: take in what came.
 *  @param came    set to the bytes of the part that came
 *  @param reason  set for all but ON and WHOLE
 *  @param hint_us set for BUSY */
enum fetch_part_result fetch_part_on_stream(struct node *node, struct fetch *f,
                                            struct fetch_slot *slot, unsigned facts,
                                            uint32_t *came, uint32_t *reason, uint64_t *hint_us);
/** Let the stream go, if there is one.
 *  @param is_over  on_stream said so: it goes by itself */
void fetch_part_drop_stream(struct node *node, struct fetch_slot *slot, uint32_t reason,
                            bool is_over);
void fetch_part_drop_bytes(struct node *node, struct fetch_slot *slot);
#endif
