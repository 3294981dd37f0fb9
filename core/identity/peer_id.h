/* SPDX-License-Identifier: MIT */
#ifndef WEIR_IDENTITY_PEER_ID_H
#define WEIR_IDENTITY_PEER_ID_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Peer ids: the multihash of a public key, as libp2p's peer-ids specification has it.
 *
 *  An Ed25519 key gives 38 bytes that hold the key itself (identity multihash); ids of other key
 *  types are parsed, kept and printed, but no weir peer has one. Bytes behind len are always 0. */
enum {
    PEER_ID_SIZE_MAX = 47,
    PEER_ID_ED25519_SIZE = 38,
    PEER_ID_KEY_MAX = 42,      /**< the longest public key that is kept whole */
    PEER_ID_INPUT_MAX = 128,   /**< longer text is refused unread: base58 costs its square */
    PEER_ID_TEXT_SIZE = 64,    /**< room for base58 and its terminating 0 */
    PEER_ID_CID_SIZE = 80      /**< room for the CID form and its terminating 0 */
};
struct peer_id {
    uint8_t len;               /**< 0: no id */
    uint8_t bytes[47];
};
/** The id of an Ed25519 public key. */
void peer_id_from_public_key(struct peer_id *id, const uint8_t public_key[32]);
/** Parse a binary id: the identity multihash of a canonical public key message of at most
 *  PEER_ID_KEY_MAX bytes, or a SHA-256 multihash. @return 0 or WEIR_E_PEER_ID (id is empty then) */
int peer_id_from_bytes(struct peer_id *id, const void *bytes, size_t len);
/** Parse text: base58btc ("12D3Koo...", "Qm..."), or CIDv1 with codec libp2p-key in multibase
 *  base32 ("b..."), base36 ("k...") or base58btc ("z..."), lower case. @return 0 or
 *  WEIR_E_PEER_ID (id is empty then) */
int peer_id_parse(struct peer_id *id, const char *text, size_t len);
/** The 32 bytes of the Ed25519 key inside, valid while the id is; NULL when it holds none (it is
 *  empty or hashed) or one of another type. */
const uint8_t *peer_id_key(const struct peer_id *id);
/** base58btc, the form for people. @return length without the 0. An empty id gives "". */
size_t peer_id_format(const struct peer_id *id, char text[PEER_ID_TEXT_SIZE]);
/** CIDv1 in base32, for places that fold case. @return length without the 0. An empty id gives
 *  "". */
size_t peer_id_format_cid(const struct peer_id *id, char text[PEER_ID_CID_SIZE]);
bool peer_id_equal(const struct peer_id *a, const struct peer_id *b);
/** Order by bytes, a prefix before what it begins: "the smaller id wins". @return < 0, 0, > 0 */
int peer_id_compare(const struct peer_id *a, const struct peer_id *b);
#endif
