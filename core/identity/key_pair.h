/* SPDX-License-Identifier: MIT */
#ifndef WEIR_IDENTITY_KEY_PAIR_H
#define WEIR_IDENTITY_KEY_PAIR_H
#include "crypto/secret.h"
#include "identity/peer_id.h"

/** Who a node is: an Ed25519 key pair and its peer id, and the bytes of a key file.
 *
 *  Reading and writing files, and refusing one that others can read (WEIR_E_KEY_FILE), is
 *  core/host's. */
enum { KEY_PAIR_TEXT_SIZE = 512 }; /**< room for any encoded key; longer input is no key file */
struct key_pair {
    uint8_t secret[64];        /**< seed, then public key */
    uint8_t public_key[32];
    struct peer_id id;
};
void key_pair_from_seed(struct key_pair *pair, const uint8_t seed[32]);
void key_pair_generate(struct key_pair *pair, const struct entropy *entropy);
/** Write the text of a key file; it holds the secret. @return bytes, without a terminating 0
 *  (none is written) */
size_t key_pair_encode(const struct key_pair *pair, char text[KEY_PAIR_TEXT_SIZE]);
/** Read the text of a key file. Comment lines, blank lines and line ends in CRLF are allowed.
 *  @param why  set to 0 or to a fixed sentence on what is wrong; may be NULL
 *  @return     0, or WEIR_E_KEY (pair is all zero then) */
int key_pair_decode(struct key_pair *pair, const void *bytes, size_t len, const char **why);
void key_pair_wipe(struct key_pair *pair);
#endif
