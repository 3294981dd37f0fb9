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
    uint8_t seed[32];          /**< secret */
    struct peer_id id;         /**< holds the public key */
};
enum { KEY_PAIR_SECRET_SIZE = 64 };
void key_pair_from_seed(struct key_pair *pair, const uint8_t seed[32]);
void key_pair_generate(struct key_pair *pair, const struct entropy *entropy);
/** The form that weir.h, libsodium and libp2p share: seed, then public key. */
void key_pair_secret(const struct key_pair *pair, uint8_t secret[KEY_PAIR_SECRET_SIZE]);
/** Back from that form. @return 0, or WEIR_E_KEY when its halves do not belong together (pair is
 *  all zero then) */
int key_pair_take(struct key_pair *pair, const uint8_t secret[KEY_PAIR_SECRET_SIZE]);
/** An Ed25519 signature of the message. */
void key_pair_sign(const struct key_pair *pair, const void *message, size_t len,
                   uint8_t signature[64]);
/** Write the text of a key file; it holds the secret. @return bytes, without a terminating 0
 *  (none is written) */
size_t key_pair_encode(const struct key_pair *pair, char text[KEY_PAIR_TEXT_SIZE]);
/** Read the text of a key file. Comment lines, blank lines and line ends in CRLF are allowed.
 *  @param why  set to 0 or to a fixed sentence on what is wrong; may be NULL
 *  @return     0, or WEIR_E_KEY (pair is all zero then) */
int key_pair_decode(struct key_pair *pair, const void *bytes, size_t len, const char **why);
void key_pair_wipe(struct key_pair *pair);
#endif
