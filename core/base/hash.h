/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BASE_HASH_H
#define WEIR_BASE_HASH_H
#include <stddef.h>
#include <stdint.h>
/** SipHash-1-3 (Aumasson, Bernstein 2012): keyed, so that a remote cannot choose colliding keys.
 *  Not a MAC. */
uint64_t hash_sip13(const uint8_t key[16], const void *data, size_t len);
/** A running 64-bit hash of a trace: order matters; integers only, equal on every machine. Start
 *  with 0. */
uint64_t hash_mix(uint64_t state, uint64_t value);
uint64_t hash_mix_bytes(uint64_t state, const void *data, size_t len);
#endif
