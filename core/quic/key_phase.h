/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_KEY_PHASE_H
#define WEIR_QUIC_KEY_PHASE_H
#include "crypto/protect.h"
#include "quic/error.h"
#include <stdbool.h>

/** The keys of 1-RTT packets through their updates (RFC 9001 section 6), and the limits of their
 *  use. See key_phase.c. Holds all 1-RTT keys of a connection; end it with key_phase_free.
 *
 *  A packet comes in:
 *      packet_unprotect(&k->read, ...)                           hp never changes
 *      which = key_phase_select(k, first_byte, number)
 *      packet_open_payload(a cipher of key_phase_read_keys(k, which, &scratch), ...)
 *      failed:  if (key_phase_on_open_failed(k)) close with QUIC_AEAD_LIMIT_REACHED
 *      opened:  error = key_phase_on_opened(k, which, number, next number of ours, now_us, pto_us)
 *               before the duplicate check and the frames; != 0: close with it
 *      an ACK frame in it: key_phase_on_acked(k, which, largest it acknowledges, now_us)
 *      secret_zero(&scratch, sizeof scratch) if which was not KEY_PHASE_CURRENT
 *
 *  Packets go out:
 *      key_phase_should_update(k, now_us, pto_us): key_phase_update(k, next number)
 *      key_phase_is_spent(k): close with QUIC_AEAD_LIMIT_REACHED (a close can still be sealed)
 *      seal with k->write and phase bit key_phase_bit(k); key_phase_on_sealed(k) per packet
 *      the packet held an ACK frame: key_phase_on_ack_sent(k)
 *
 *  read and write change in place: end every protect_cipher made of them before key_phase_update,
 *  and before a key_phase_on_opened with KEY_PHASE_NEXT.
 *
 *  Updates give forward secrecy; they heal nothing once secrets are known. */

/** Limits of a suite (docs/wire.md 4): constants that outlive the connection; tests bring smaller
 *  ones. */
struct key_phase_limits {
    uint64_t update_packets;    /**< sealed with one key: time to update */
    uint64_t packets_max;       /**< sealed with one key: no more but a close */
    uint64_t open_failures_max; /**< over all keys of the connection */
    uint64_t update_us;         /**< age of a key, since the peer first acknowledged it: time to
                                     update */
};
/** Those of a suite: 02 updates at 2^22 and ends at 2^23 less a few for closing, 01 at 2^32 and
 *  never; both after 1 h; 2^36 failures. */
const struct key_phase_limits *key_phase_limits_of(unsigned suite);

enum { KEY_PHASE_BIT = 0x04 }; /**< in the unprotected first byte of a short header */
#define KEY_PHASE_NONE UINT64_MAX

enum key_phase_which { KEY_PHASE_CURRENT = 0, KEY_PHASE_NEXT, KEY_PHASE_PREVIOUS };

/** What changes from phase to phase; hp and suite are those of read. */
struct key_phase_key {
    uint8_t key[32], iv[12];
};
struct key_phase {
    struct protect_keys read, write;     /**< of the current phase: use them directly */
    struct key_phase_key next, previous; /**< read keys; previous is zero when forgotten */
    uint8_t read_secret[32];             /**< of next */
    uint8_t write_secret[32];            /**< of write */
    bool has_previous;
    bool confirmed;
    bool acked;     /**< the peer acknowledged a packet of the current write phase */
    bool answered;  /**< an ACK left after a packet of the current read phase came */
    uint8_t updates; /**< phases so far, modulo 2^8; the lowest bit is the phase */
    const struct key_phase_limits *limits;
    uint64_t read_first;     /**< lowest number received in the current phase; KEY_PHASE_NONE: none
                                  yet */
    uint64_t read_end;       /**< one above the highest received */
    uint64_t read_past;      /**< one above the highest received in earlier phases */
    uint64_t write_first;    /**< first number to be sent in the current phase */
    uint64_t sealed;         /**< packets with the current write key */
    uint64_t acked_us;       /**< when acked became true: an update may follow three PTO later */
    uint64_t forget_us;      /**< when previous goes; KEY_PHASE_NONE: its successor has not come */
    uint64_t open_failures;
};

/** Both directions' keys of phase 0 from the 1-RTT secrets. suite: enum aead_suite
 *  @param limits  NULL: those of the suite
 *  @return        0, or WEIR_E_ARGUMENT for a suite that is not available */
int key_phase_init(struct key_phase *k, unsigned suite, const uint8_t read_secret[32],
                   const uint8_t write_secret[32], const struct key_phase_limits *limits);
/** Erase every secret. */
void key_phase_free(struct key_phase *k);
/** The handshake is confirmed: we may initiate updates. */
void key_phase_set_confirmed(struct key_phase *k);

/** Which keys to try, once: by phase bit and number alone, and each answer costs the same, so that
 *  who flips the bit learns nothing from time (RFC 9001 6.3, 9.5).
 *  @param first_byte  unprotected
 *  @param number      decoded, not yet authenticated */
enum key_phase_which key_phase_select(const struct key_phase *k, uint8_t first_byte,
                                      uint64_t number);
/** @param scratch  room for keys other than the current ones; the caller erases it
 *  @return         k->read or scratch */
const struct protect_keys *key_phase_read_keys(const struct key_phase *k,
                                               enum key_phase_which which,
                                               struct protect_keys *scratch);
/** @return whether too many packets failed to open (RFC 9001 6.6): AEAD_LIMIT_REACHED */
bool key_phase_on_open_failed(struct key_phase *k);
/** A packet opened with those keys. With the next ones, the peer has updated: both directions move
 *  on here, before anything is answered (RFC 9001 6.2).
 *  @param write_next  number that our next 1-RTT packet will have
 *  @param pto_us      the present one: previous keys are kept three of them
 *  @return  QUIC_NO_ERROR; QUIC_KEY_UPDATE: older keys on a higher number than newer ones (6.4), or
 *           a second update before we answered the first (6.2) */
int key_phase_on_opened(struct key_phase *k, enum key_phase_which which, uint64_t number,
                        uint64_t write_next, uint64_t now_us, uint64_t pto_us);
/** An ACK frame came in a packet that those keys opened (call after key_phase_on_opened).
 *  @param largest  number that it acknowledges, checked to have been sent
 *  @return  QUIC_NO_ERROR; QUIC_KEY_UPDATE: the peer saw our new phase and answers in its old one
 *           (6.2) */
int key_phase_on_acked(struct key_phase *k, enum key_phase_which which, uint64_t largest,
                       uint64_t now_us);
/** A 1-RTT packet with an ACK frame left. */
void key_phase_on_ack_sent(struct key_phase *k);
/** A packet was sealed with k->write. */
static inline void key_phase_on_sealed(struct key_phase *k)
{
    k->sealed++;
}
/** The bit for the first byte of what we send now: 0 or KEY_PHASE_BIT. */
static inline uint8_t key_phase_bit(const struct key_phase *k)
{
    return (k->updates & 1) != 0 ? KEY_PHASE_BIT : 0;
}
/** Whether the present write key has reached packets_max: seal nothing more but one close. */
static inline bool key_phase_is_spent(const struct key_phase *k)
{
    return k->sealed >= k->limits->packets_max;
}
/** Whether key_phase_update is allowed: confirmed, a packet of this phase acknowledged, three PTO
 *  since, no previous keys left (RFC 9001 6.1, 6.5). Forgets previous keys whose time has come. */
bool key_phase_may_update(struct key_phase *k, uint64_t now_us, uint64_t pto_us);
/** Whether an update is due (packets, age) and allowed. Needs no timer: ask before sending. */
bool key_phase_should_update(struct key_phase *k, uint64_t now_us, uint64_t pto_us);
/** Move both directions to the next phase; allowed (asserted by the caller's key_phase_may_update).
 *  @param write_next  number that our next 1-RTT packet will have */
void key_phase_update(struct key_phase *k, uint64_t write_next);
/** Forget previous keys whose time has come. Cheap; called by the functions above too. When the
 *  connection goes idle it may be asked for: key_phase_deadline. */
void key_phase_on_time(struct key_phase *k, uint64_t now_us);
/** When previous keys are to be forgotten; KEY_PHASE_NONE: nothing waits. */
uint64_t key_phase_deadline(const struct key_phase *k);
#endif
