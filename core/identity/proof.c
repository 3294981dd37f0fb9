/* SPDX-License-Identifier: MIT */
#include "identity/proof.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/varint.h"
#include "crypto/ed25519.h"
#include "weir.h"
#include <string.h>

/* Why a reader of our own for protobuf: the message has three fields, and libraries take the last
 * of two equal fields while others take the first. Two readers that see different keys in the same
 * bytes is how identities get confused, so a known field that comes twice, or in another wire type,
 * ends the handshake. Unknown fields are skipped, as the format promises: libp2p adds some.
 * Numbers are read as uvarint, in at most 9 bytes and minimal form; protobuf writes its own so. */

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };
enum {
    FIELD_IDENTITY_KEY = 1,
    FIELD_IDENTITY_SIG = 2,
    FIELD_EXTENSIONS = 4,
    FIELD_LAST = 536870911, /* 2^29-1, the largest number of a protobuf field */
    KEY_HEAD_SIZE = 4,
    KEY_MESSAGE_SIZE = KEY_HEAD_SIZE + ED25519_PUBLIC_SIZE
};
_Static_assert(PROOF_HEAD_SIZE == 2 + KEY_MESSAGE_SIZE + 2 + ED25519_SIGNATURE_SIZE,
               "two fields below 128 bytes, each with a tag and a length of one byte");
#define PROOF_TAG(field) ((uint64_t)(field) << 3 | WIRE_BYTES)
static const uint8_t key_head[KEY_HEAD_SIZE] = {0x08, 0x01, 0x12, ED25519_PUBLIC_SIZE};

/* What is signed: the domain string (without its 0), then the Noise static key. */
#define PROOF_DOMAIN "noise-libp2p-static-key:"
enum { DOMAIN_SIZE = sizeof PROOF_DOMAIN - 1, SIGNED_SIZE = DOMAIN_SIZE + 32 };

static void proof_signed_bytes(uint8_t out[SIGNED_SIZE], const uint8_t noise_static[32])
{
    memcpy(out, PROOF_DOMAIN, DOMAIN_SIZE);
    memcpy(out + DOMAIN_SIZE, noise_static, 32);
}

static void proof_write_bytes(struct writer *w, unsigned field, const void *data, size_t len)
{
    uvarint_write(w, PROOF_TAG(field));
    uvarint_write(w, len);
    if (len > 0) writer_bytes(w, data, len);
}

void proof_head_make(struct proof_head *head, const struct key_pair *pair,
                     const uint8_t noise_static[32])
{
    uint8_t key[KEY_MESSAGE_SIZE], signed_bytes[SIGNED_SIZE], signature[ED25519_SIGNATURE_SIZE];
    memcpy(key, key_head, KEY_HEAD_SIZE);
    memcpy(key + KEY_HEAD_SIZE, peer_id_key(&pair->id), ED25519_PUBLIC_SIZE);
    proof_signed_bytes(signed_bytes, noise_static);
    key_pair_sign(pair, signed_bytes, sizeof signed_bytes, signature);

    struct writer w = writer_of(head->bytes, sizeof head->bytes);
    proof_write_bytes(&w, FIELD_IDENTITY_KEY, key, sizeof key);
    proof_write_bytes(&w, FIELD_IDENTITY_SIG, signature, sizeof signature);
    WEIR_ASSERT(!w.full && writer_len(&w) == sizeof head->bytes);
}

int proof_write(const struct proof_head *head, const void *params, size_t params_len, uint8_t *out,
                size_t cap)
{
    if (params_len > PROOF_PARAMS_MAX) return WEIR_E_ARGUMENT;
    if (params == NULL && params_len > 0) return WEIR_E_ARGUMENT;
    struct writer w = writer_of(out, cap);
    writer_bytes(&w, head->bytes, sizeof head->bytes);
    if (params != NULL) {
        uint64_t inner =
            uvarint_size(PROOF_TAG(PROOF_PARAMS_FIELD)) + uvarint_size(params_len) + params_len;
        uvarint_write(&w, PROOF_TAG(FIELD_EXTENSIONS));
        uvarint_write(&w, inner);
        proof_write_bytes(&w, PROOF_PARAMS_FIELD, params, params_len);
    }
    return w.full ? WEIR_E_SPACE : (int)writer_len(&w);
}

int proof_make(const struct key_pair *pair, const uint8_t noise_static[32], const void *params,
               size_t params_len, uint8_t *out, size_t cap)
{
    struct proof_head head;
    proof_head_make(&head, pair, noise_static);
    return proof_write(&head, params, params_len, out, cap);
}

/* A field of a message. */
struct field {
    uint64_t number;
    unsigned wire;
    struct reader bytes; /* of WIRE_BYTES */
};

/* @return false, with r->failed set, when the bytes are no field */
static bool proof_read_field(struct reader *r, struct field *field)
{
    uint64_t tag = uvarint_read(r);
    memset(field, 0, sizeof *field);
    field->number = tag >> 3;
    field->wire = (unsigned)(tag & 7);
    if (field->number == 0 || field->number > FIELD_LAST) r->failed = true;
    switch (field->wire) {
    case WIRE_VARINT: (void)uvarint_read(r); break;
    case WIRE_FIXED64: reader_skip(r, 8); break;
    case WIRE_FIXED32: reader_skip(r, 4); break;
    case WIRE_BYTES: field->bytes = reader_sub(r, uvarint_read(r)); break;
    default: /* groups, which proto3 has not, and two types that do not exist */
        r->failed = true;
        break;
    }
    return !r->failed;
}

/* The content of a field that may come once: kept in *kept, whose at is NULL until then. */
static bool proof_keep(struct reader *kept, const struct field *field)
{
    if (field->wire != WIRE_BYTES || kept->at != NULL) return false;
    *kept = field->bytes;
    return true;
}

struct proof_fields {
    struct reader key, signature, extensions, params; /* at NULL: absent */
};

static bool proof_read_extensions(struct reader r, struct proof_fields *fields)
{
    struct field field;
    while (reader_left(&r) > 0) {
        if (!proof_read_field(&r, &field)) return false;
        if (field.number != PROOF_PARAMS_FIELD) continue;
        if (!proof_keep(&fields->params, &field)) return false;
    }
    return reader_left(&fields->params) <= PROOF_PARAMS_MAX;
}

static bool proof_read(struct reader r, struct proof_fields *fields)
{
    struct field field;
    while (reader_left(&r) > 0) {
        if (!proof_read_field(&r, &field)) return false;
        bool good = true;
        if (field.number == FIELD_IDENTITY_KEY) good = proof_keep(&fields->key, &field);
        if (field.number == FIELD_IDENTITY_SIG) good = proof_keep(&fields->signature, &field);
        if (field.number == FIELD_EXTENSIONS) good = proof_keep(&fields->extensions, &field);
        if (!good) return false;
    }
    return fields->extensions.at == NULL || proof_read_extensions(fields->extensions, fields);
}

/* Whether the fields hold an Ed25519 key that signed this static key. */
static bool proof_is_signed(const struct proof_fields *fields, const uint8_t noise_static[32])
{
    if (fields->key.at == NULL || reader_left(&fields->key) != KEY_MESSAGE_SIZE) return false;
    if (memcmp(fields->key.at, key_head, KEY_HEAD_SIZE) != 0) return false;
    if (fields->signature.at == NULL) return false;
    if (reader_left(&fields->signature) != ED25519_SIGNATURE_SIZE) return false;
    uint8_t signed_bytes[SIGNED_SIZE];
    proof_signed_bytes(signed_bytes, noise_static);
    return ed25519_verify(fields->signature.at, signed_bytes, sizeof signed_bytes,
                          fields->key.at + KEY_HEAD_SIZE);
}

int proof_check(const uint8_t *bytes, size_t len, const uint8_t noise_static[32],
                struct peer_id *id, const uint8_t **params, size_t *params_len)
{
    struct proof_fields fields;
    memset(&fields, 0, sizeof fields);
    memset(id, 0, sizeof *id);
    *params = NULL;
    *params_len = 0;
    if (len > PROOF_SIZE_MAX) return WEIR_E_HANDSHAKE;
    if (!proof_read(reader_of(bytes, len), &fields)) return WEIR_E_HANDSHAKE;
    if (!proof_is_signed(&fields, noise_static)) return WEIR_E_HANDSHAKE;
    peer_id_from_public_key(id, fields.key.at + KEY_HEAD_SIZE);
    *params = fields.params.at;
    *params_len = reader_left(&fields.params);
    return 0;
}
