/* SPDX-License-Identifier: MIT */
#include "fetch.h"
#include <string.h>

static void put_u64(uint8_t *out, uint64_t value)
{
    for (int i = 7; i >= 0; i--, value >>= 8) out[i] = (uint8_t)value;
}

static uint64_t get_u64(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | bytes[i];
    return value;
}

uint32_t fetch_request_encode(uint8_t out[FETCH_REQUEST_MAX], const char *name, uint64_t offset,
                              uint64_t length)
{
    size_t name_len = strlen(name);
    if (name_len == 0 || name_len > FETCH_NAME_MAX) return 0;
    out[0] = FETCH_VERB_RANGE;
    out[1] = 0;
    out[2] = (uint8_t)(name_len >> 8);
    out[3] = (uint8_t)name_len;
    put_u64(out + 4, offset);
    put_u64(out + 12, length);
    memcpy(out + FETCH_REQUEST_HEAD_BYTES, name, name_len);
    return FETCH_REQUEST_HEAD_BYTES + (uint32_t)name_len;
}

enum fetch_code fetch_request_decode(struct fetch_request *out, const uint8_t *bytes, uint32_t len)
{
    if (len < FETCH_REQUEST_HEAD_BYTES || len > FETCH_REQUEST_MAX) return FETCH_BAD_REQUEST;
    if (bytes[0] != FETCH_VERB_RANGE || bytes[1] != 0) return FETCH_BAD_REQUEST;
    uint32_t name_len = (uint32_t)bytes[2] << 8 | bytes[3];
    if (name_len == 0 || name_len != len - FETCH_REQUEST_HEAD_BYTES) return FETCH_BAD_REQUEST;
    if (memchr(bytes + FETCH_REQUEST_HEAD_BYTES, 0, name_len) != NULL) return FETCH_BAD_NAME;
    out->offset = get_u64(bytes + 4);
    out->length = get_u64(bytes + 12);
    if (out->length > FETCH_LENGTH_MAX) return FETCH_BAD_RANGE;
    out->name_len = name_len;
    memcpy(out->name, bytes + FETCH_REQUEST_HEAD_BYTES, name_len);
    out->name[name_len] = 0;
    return 0;
}

void fetch_header_encode(uint8_t out[FETCH_HEADER_BYTES], const struct fetch_file *file)
{
    out[0] = FETCH_HEADER;
    put_u64(out + 1, file->size);
    memcpy(out + 9, file->digest, WEIR_HASH_BYTES);
}

void fetch_header_decode(struct fetch_file *out, const uint8_t bytes[FETCH_HEADER_BYTES])
{
    out->size = get_u64(bytes + 1);
    memcpy(out->digest, bytes + 9, WEIR_HASH_BYTES);
}

bool fetch_file_equal(const struct fetch_file *a, const struct fetch_file *b)
{
    return a->size == b->size && memcmp(a->digest, b->digest, WEIR_HASH_BYTES) == 0;
}

const char *fetch_code_text(uint32_t code)
{
    switch (code) {
    case FETCH_BAD_REQUEST: return "the server does not understand the request";
    case FETCH_BAD_NAME:
        return "the server gives only files inside its folder: no \"..\", no absolute name, no "
               "link";
    case FETCH_NOT_FOUND: return "the server has no such file";
    case FETCH_BAD_RANGE: return "the file has no such range";
    case FETCH_CHANGED: return "the file was changed on the server";
    case FETCH_BUSY: return "the server has too much to do";
    case FETCH_READ_FAILED: return "the server could not read the file";
    case FETCH_STALLED: return "the server waited 30 s for us to take something";
    case WEIR_REASON_PROTOCOL_NOT_SERVED: return "that peer does not serve " FETCH_PROTOCOL;
    case WEIR_REASON_DRAINING: return "the server is being shut down";
    default: return weir_reason_name(code);
    }
}
