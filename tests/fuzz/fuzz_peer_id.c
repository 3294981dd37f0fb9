/* SPDX-License-Identifier: MIT */
/* Peer ids from hostile bytes and text. Whatever parses must print and parse back to itself, in
 * every form; a key that can be taken out must give the same id again. */
#include "base/assert.h"
#include "identity/multibase.h"
#include "identity/peer_id.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_id(const struct peer_id *id)
{
    char text[PEER_ID_TEXT_SIZE], cid[PEER_ID_CID_SIZE];
    struct peer_id back;
    uint8_t key[32];
    WEIR_ASSERT(id->len > 0 && id->len <= PEER_ID_SIZE_MAX);
    WEIR_ASSERT(peer_id_parse(&back, text, peer_id_format(id, text)) == 0);
    WEIR_ASSERT(memcmp(&back, id, sizeof back) == 0);
    WEIR_ASSERT(peer_id_parse(&back, cid, peer_id_format_cid(id, cid)) == 0);
    WEIR_ASSERT(peer_id_equal(&back, id));
    WEIR_ASSERT(peer_id_from_bytes(&back, id->bytes, id->len) == 0);
    WEIR_ASSERT(peer_id_compare(&back, id) == 0);
    if (peer_id_key(id) == NULL) return;
    memcpy(key, peer_id_key(id), sizeof key);
    peer_id_from_public_key(&back, key);
    WEIR_ASSERT(peer_id_equal(&back, id));
}

/* Text that decodes is the one spelling of its bytes. */
static void check_base(enum multibase base, const uint8_t *data, size_t size)
{
    uint8_t bytes[MULTIBASE_BYTES_MAX];
    char text[MULTIBASE_TEXT_MAX + 1];
    int len = multibase_decode(base, (const char *)data, size, bytes, sizeof bytes);
    if (len < 0) return;
    int text_len = multibase_encode(base, bytes, (size_t)len, text, sizeof text);
    WEIR_ASSERT(text_len == (int)size);
    WEIR_ASSERT(memcmp(text, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peer_id id;
    if (size == 0) return 0;
    if (peer_id_from_bytes(&id, data, size) == 0) check_id(&id);
    if (peer_id_parse(&id, (const char *)data, size) == 0) check_id(&id);
    check_base(MULTIBASE_BASE58, data, size);
    check_base(MULTIBASE_BASE36, data, size);
    check_base(MULTIBASE_BASE32, data, size);
    return 0;
}
