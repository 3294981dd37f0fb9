/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_BENCH_LIMIT_PACKET_H
#define WEIR_TESTS_BENCH_LIMIT_PACKET_H
#include "limit.h"
#include <stddef.h>

/* Packets of LIMIT_PACKET_BYTES as weir's short header has them: flags, a connection id of 8 bytes,
 * a packet number of 4, the sealed body, a tag. */
enum {
    PACKET_NUMBER_AT = 9,
    PACKET_HEADER = 13,
    PACKET_TAG = 16,
    PACKET_BODY = LIMIT_PACKET_BYTES - PACKET_HEADER - PACKET_TAG
};

struct packet_keys {
    _Alignas(16) unsigned char aes[512]; /**< crypto_aead_aes256gcm_state */
    uint8_t key[32], mask_key[32];
};
void packet_keys_make(struct packet_keys *k);
/** Number, seal in place and mask. The body is what is there. */
void packet_close(enum limit_kind kind, const struct packet_keys *k, uint8_t *packet,
                  uint32_t number);
/** Undo it. @return whether it authenticates */
bool packet_uncover(enum limit_kind kind, const struct packet_keys *k, uint8_t *packet);
/** Compare the padded construction with the library's for every body length.
 *  @return whether all bytes are equal */
bool packet_padded_is_right(void);
#endif
