/* SPDX-License-Identifier: MIT */
/* Three read keys stand side by side: of the current phase, of the next, and for a while of the
 * previous one. The phase bit tells only odd from even, so the number decides what an unexpected
 * bit means: below the first number of the current phase it is a late packet of the previous one,
 * else the peer has moved on (RFC 9001 6.3, 6.5). The next keys are there before anybody needs
 * them, and where no previous keys are kept the next ones are tried in their place: a flipped bit
 * costs the same work whatever it flips, and fails.
 *
 * Invariant: numbers of a newer phase lie above those of an older one, read_past <= read_first.
 * A peer that breaks this used old keys after new ones (6.4), or new keys on a number below one
 * that it had already sent; both end the connection. What an older key sealed above read_first
 * is not opened at all, since nobody opens on trial: the next keys are tried, and fail.
 *
 * We follow a peer's update at once and in both directions, so the first ACK of the packet that
 * announced it is already sealed with the new keys; a peer that moves twice without having waited
 * for that ACK breaks 6.2. Our own update waits until the peer has acknowledged the present phase,
 * three PTO have passed (so that it has forgotten its previous keys) and ours are forgotten. */
#include "quic/key_phase.h"

#include "base/assert.h"
#include "crypto/secret.h"

#include <string.h>

enum { CLOSE_PACKETS = 128 }; /* a run that was begun, and closing, go beyond packets_max */
#define HOUR_US UINT64_C(3600000000)

/* RFC 9001 6.6 and B: ChaCha20-Poly1305 has no limit below the packet numbers' own. */
static const struct key_phase_limits chacha20_limits = {
    .update_packets = UINT64_C(1) << 32,
    .packets_max = (UINT64_C(1) << 62) - CLOSE_PACKETS,
    .open_failures_max = UINT64_C(1) << 36,
    .update_us = HOUR_US,
};
/* AES-GCM's failures may be 2^52; one number for both keeps it simple (wire.md 4.4). */
static const struct key_phase_limits aes_limits = {
    .update_packets = UINT64_C(1) << 22,
    .packets_max = (UINT64_C(1) << 23) - CLOSE_PACKETS,
    .open_failures_max = UINT64_C(1) << 36,
    .update_us = HOUR_US,
};

const struct key_phase_limits *key_phase_limits_of(unsigned suite)
{
    return suite == AEAD_AES_256_GCM ? &aes_limits : &chacha20_limits;
}

/* The suite was there when the first keys were derived, and does not go. */
static void renew(struct protect_keys *next, const struct protect_keys *keys,
                  const uint8_t secret[32])
{
    int error = protect_keys_update(next, keys, secret);
    WEIR_ASSERT(error == 0);
}

/* The keys after the current read keys, and the secret that those after them come from. */
static void make_next(struct key_phase *k)
{
    struct protect_keys keys;
    protect_next_secret(k->read_secret, k->read_secret);
    renew(&keys, &k->read, k->read_secret);
    memcpy(k->next.key, keys.key, sizeof k->next.key);
    memcpy(k->next.iv, keys.iv, sizeof k->next.iv);
    secret_zero(&keys, sizeof keys);
}

int key_phase_init(struct key_phase *k, unsigned suite, const uint8_t read_secret[32],
                   const uint8_t write_secret[32], const struct key_phase_limits *limits)
{
    memset(k, 0, sizeof *k);
    int error = protect_keys_derive(&k->read, suite, read_secret);
    if (error == 0) error = protect_keys_derive(&k->write, suite, write_secret);
    if (error != 0) {
        key_phase_free(k);
        return error;
    }
    memcpy(k->read_secret, read_secret, sizeof k->read_secret);
    memcpy(k->write_secret, write_secret, sizeof k->write_secret);
    make_next(k);
    k->limits = limits != NULL ? limits : key_phase_limits_of(suite);
    k->read_first = k->forget_us = KEY_PHASE_NONE;
    k->answered = true; /* RFC 9001 6.1 asks for an ACK before each update but the first */
    return 0;
}

void key_phase_free(struct key_phase *k)
{
    secret_zero(k, sizeof *k);
}

void key_phase_set_confirmed(struct key_phase *k)
{
    k->confirmed = true;
}

enum key_phase_which key_phase_select(const struct key_phase *k, uint8_t first_byte,
                                      uint64_t number)
{
    if ((first_byte & KEY_PHASE_BIT) == key_phase_bit(k)) return KEY_PHASE_CURRENT;
    return k->has_previous && number < k->read_first ? KEY_PHASE_PREVIOUS : KEY_PHASE_NEXT;
}

const struct protect_keys *key_phase_read_keys(const struct key_phase *k,
                                               enum key_phase_which which,
                                               struct protect_keys *scratch)
{
    if (which == KEY_PHASE_CURRENT) return &k->read;
    const struct key_phase_key *key = which == KEY_PHASE_NEXT ? &k->next : &k->previous;
    *scratch = k->read;
    memcpy(scratch->key, key->key, sizeof scratch->key);
    memcpy(scratch->iv, key->iv, sizeof scratch->iv);
    return scratch;
}

bool key_phase_on_open_failed(struct key_phase *k)
{
    k->open_failures++;
    return k->open_failures >= k->limits->open_failures_max;
}

static void forget_previous(struct key_phase *k)
{
    secret_zero(&k->previous, sizeof k->previous);
    k->has_previous = false;
    k->forget_us = KEY_PHASE_NONE;
}

/* Both directions to the next phase; nothing of it has been received or sent. */
static void advance(struct key_phase *k, uint64_t write_next)
{
    memcpy(k->previous.key, k->read.key, sizeof k->previous.key);
    memcpy(k->previous.iv, k->read.iv, sizeof k->previous.iv);
    k->has_previous = true;
    k->forget_us = KEY_PHASE_NONE;
    memcpy(k->read.key, k->next.key, sizeof k->read.key);
    memcpy(k->read.iv, k->next.iv, sizeof k->read.iv);
    make_next(k);
    protect_next_secret(k->write_secret, k->write_secret);
    renew(&k->write, &k->write, k->write_secret);
    k->updates++;
    k->acked = k->answered = false;
    k->sealed = 0;
    k->write_first = write_next;
    if (k->read_end > k->read_past) k->read_past = k->read_end;
    k->read_first = KEY_PHASE_NONE;
}

/* A packet of the current phase. */
static int note_current(struct key_phase *k, uint64_t number, uint64_t now_us, uint64_t pto_us)
{
    if (number < k->read_past) return QUIC_KEY_UPDATE;
    if (k->read_first == KEY_PHASE_NONE && k->has_previous) k->forget_us = now_us + 3 * pto_us;
    if (number < k->read_first) k->read_first = number;
    if (number >= k->read_end) k->read_end = number + 1;
    return QUIC_NO_ERROR;
}

static int note_previous(struct key_phase *k, uint64_t number)
{
    if (number >= k->read_first) return QUIC_KEY_UPDATE;
    if (number >= k->read_past) k->read_past = number + 1;
    return QUIC_NO_ERROR;
}

int key_phase_on_opened(struct key_phase *k, enum key_phase_which which, uint64_t number,
                        uint64_t write_next, uint64_t now_us, uint64_t pto_us)
{
    key_phase_on_time(k, now_us);
    if (which == KEY_PHASE_CURRENT) return note_current(k, number, now_us, pto_us);
    if (which == KEY_PHASE_PREVIOUS) return note_previous(k, number);
    if (!k->answered || number < k->read_end) return QUIC_KEY_UPDATE;
    advance(k, write_next);
    return note_current(k, number, now_us, pto_us);
}

int key_phase_on_acked(struct key_phase *k, enum key_phase_which which, uint64_t largest,
                       uint64_t now_us)
{
    if (largest < k->write_first) return QUIC_NO_ERROR;
    if (which == KEY_PHASE_PREVIOUS) return QUIC_KEY_UPDATE;
    if (!k->acked) k->acked_us = now_us;
    k->acked = true;
    return QUIC_NO_ERROR;
}

void key_phase_on_ack_sent(struct key_phase *k)
{
    if (k->read_first != KEY_PHASE_NONE) k->answered = true;
}

bool key_phase_may_update(struct key_phase *k, uint64_t now_us, uint64_t pto_us)
{
    key_phase_on_time(k, now_us);
    if (!k->confirmed || !k->acked || k->has_previous) return false;
    return now_us >= k->acked_us && now_us - k->acked_us >= 3 * pto_us;
}

bool key_phase_should_update(struct key_phase *k, uint64_t now_us, uint64_t pto_us)
{
    bool old = k->acked && now_us >= k->acked_us && now_us - k->acked_us >= k->limits->update_us;
    if (!old && k->sealed < k->limits->update_packets) return false;
    return key_phase_may_update(k, now_us, pto_us);
}

void key_phase_update(struct key_phase *k, uint64_t write_next)
{
    WEIR_ASSERT(k->confirmed && k->acked);
    WEIR_ASSERT(!k->has_previous);
    advance(k, write_next);
}

void key_phase_on_time(struct key_phase *k, uint64_t now_us)
{
    if (k->has_previous && k->forget_us != KEY_PHASE_NONE && now_us >= k->forget_us)
        forget_previous(k);
}

uint64_t key_phase_deadline(const struct key_phase *k)
{
    return k->has_previous ? k->forget_us : KEY_PHASE_NONE;
}
