/* SPDX-License-Identifier: MIT */
#include "identity/peer_id.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/varint.h"
#include "identity/multibase.h"
#include "weir.h"
#include <string.h>

/* Multihash: code, length, digest (multiformats/multihash). libp2p's rule: a public key message of
 * at most 42 bytes is its own "hash" (code 0), a longer one is hashed with SHA-256 (code 0x12). */
enum {
    HASH_IDENTITY = 0x00,
    HASH_SHA256 = 0x12,
    SHA256_DIGEST_SIZE = 32,
    CID_VERSION = 1,
    CID_CODEC_LIBP2P_KEY = 0x72,
    CID_PREFIX_SIZE = 2,
    KEY_TYPE_ED25519 = 1,
    KEY_TYPE_LAST = 3 /* RSA 0, Ed25519 1, Secp256k1 2, ECDSA 3 */
};
/* The head of every Ed25519 id: identity, 36 bytes; key type 1; data, 32 bytes. */
static const uint8_t ed25519_prefix[6] = {HASH_IDENTITY, 36, 0x08, KEY_TYPE_ED25519, 0x12, 32};

_Static_assert(sizeof ed25519_prefix + 32 == PEER_ID_ED25519_SIZE, "prefix and key");
_Static_assert(2 + PEER_ID_KEY_MAX <= PEER_ID_SIZE_MAX, "the longest identity multihash");
_Static_assert((int)PEER_ID_INPUT_MAX <= (int)MULTIBASE_TEXT_MAX, "any text taken can be decoded");

static void peer_id_set(struct peer_id *id, const void *bytes, size_t len)
{
    WEIR_ASSERT(len <= PEER_ID_SIZE_MAX);
    memset(id, 0, sizeof *id);
    memcpy(id->bytes, bytes, len);
    id->len = (uint8_t)len;
}

void peer_id_from_public_key(struct peer_id *id, const uint8_t public_key[32])
{
    uint8_t bytes[PEER_ID_ED25519_SIZE];
    memcpy(bytes, ed25519_prefix, sizeof ed25519_prefix);
    memcpy(bytes + sizeof ed25519_prefix, public_key, 32);
    peer_id_set(id, bytes, sizeof bytes);
}

/* Whether the rest of r is a PublicKey message in its one canonical form. */
static bool peer_id_is_key(struct reader r)
{
    if (reader_u8(&r) != 0x08) return false;
    uint64_t type = uvarint_read(&r);
    if (r.failed || type > KEY_TYPE_LAST) return false;
    if (reader_u8(&r) != 0x12) return false;
    uint64_t len = uvarint_read(&r);
    if (r.failed || len != reader_left(&r)) return false;
    return type != KEY_TYPE_ED25519 || len == 32;
}

int peer_id_from_bytes(struct peer_id *id, const void *bytes, size_t len)
{
    memset(id, 0, sizeof *id);
    if (len > PEER_ID_SIZE_MAX) return WEIR_E_PEER_ID;
    struct reader r = reader_of(bytes, len);
    uint64_t code = uvarint_read(&r);
    uint64_t digest_len = uvarint_read(&r);
    if (r.failed || digest_len != reader_left(&r)) return WEIR_E_PEER_ID;
    bool known = false;
    if (code == HASH_IDENTITY) known = digest_len <= PEER_ID_KEY_MAX && peer_id_is_key(r);
    if (code == HASH_SHA256) known = digest_len == SHA256_DIGEST_SIZE;
    if (!known) return WEIR_E_PEER_ID;
    peer_id_set(id, bytes, len);
    return 0;
}

static int peer_id_parse_cid(struct peer_id *id, enum multibase base, const char *text, size_t len)
{
    uint8_t bytes[CID_PREFIX_SIZE + PEER_ID_SIZE_MAX];
    int count = multibase_decode(base, text, len, bytes, sizeof bytes);
    if (count < CID_PREFIX_SIZE) return WEIR_E_PEER_ID;
    if (bytes[0] != CID_VERSION || bytes[1] != CID_CODEC_LIBP2P_KEY) return WEIR_E_PEER_ID;
    return peer_id_from_bytes(id, bytes + CID_PREFIX_SIZE, (size_t)count - CID_PREFIX_SIZE);
}

int peer_id_parse(struct peer_id *id, const char *text, size_t len)
{
    memset(id, 0, sizeof *id);
    if (len < 2 || len > PEER_ID_INPUT_MAX) return WEIR_E_PEER_ID;
    if (text[0] == '1' || (text[0] == 'Q' && text[1] == 'm')) {
        uint8_t bytes[PEER_ID_SIZE_MAX];
        int count = multibase_decode(MULTIBASE_BASE58, text, len, bytes, sizeof bytes);
        if (count < 0) return WEIR_E_PEER_ID;
        return peer_id_from_bytes(id, bytes, (size_t)count);
    }
    switch (text[0]) {
    case 'b': return peer_id_parse_cid(id, MULTIBASE_BASE32, text + 1, len - 1);
    case 'k': return peer_id_parse_cid(id, MULTIBASE_BASE36, text + 1, len - 1);
    case 'z': return peer_id_parse_cid(id, MULTIBASE_BASE58, text + 1, len - 1);
    default: return WEIR_E_PEER_ID;
    }
}

const uint8_t *peer_id_key(const struct peer_id *id)
{
    if (id->len != PEER_ID_ED25519_SIZE) return NULL;
    if (memcmp(id->bytes, ed25519_prefix, sizeof ed25519_prefix) != 0) return NULL;
    return id->bytes + sizeof ed25519_prefix;
}

size_t peer_id_format(const struct peer_id *id, char text[PEER_ID_TEXT_SIZE])
{
    /* No id that we hold comes near the limit: SHA-256 takes 46 digits, the longest key 60. */
    int count = multibase_encode(MULTIBASE_BASE58, id->bytes, id->len, text, PEER_ID_TEXT_SIZE);
    WEIR_ASSERT(count >= 0);
    return (size_t)count;
}

size_t peer_id_format_cid(const struct peer_id *id, char text[PEER_ID_CID_SIZE])
{
    text[0] = '\0';
    if (id->len == 0) return 0;
    uint8_t bytes[CID_PREFIX_SIZE + PEER_ID_SIZE_MAX] = {CID_VERSION, CID_CODEC_LIBP2P_KEY};
    memcpy(bytes + CID_PREFIX_SIZE, id->bytes, id->len);
    text[0] = 'b';
    int count = multibase_encode(MULTIBASE_BASE32, bytes, CID_PREFIX_SIZE + (size_t)id->len,
                                 text + 1, PEER_ID_CID_SIZE - 1);
    WEIR_ASSERT(count >= 0);
    return (size_t)count + 1;
}

bool peer_id_equal(const struct peer_id *a, const struct peer_id *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

int peer_id_compare(const struct peer_id *a, const struct peer_id *b)
{
    size_t shorter = a->len < b->len ? a->len : b->len;
    int order = memcmp(a->bytes, b->bytes, shorter);
    return order != 0 ? order : (int)a->len - (int)b->len;
}
