/* SPDX-License-Identifier: MIT */
#include "loop/loop_message.h"
#include "base/assert.h"
#include <string.h>

bool loop_message_read_header(struct reader *r, struct message_header *out)
{
    uint8_t version = reader_u8(r);
    out->to = reader_u32(r);
    out->from = reader_u32(r);
    return !r->failed && version == MESSAGE_VERSION;
}

static bool read_network(struct reader *r, char out[MESSAGE_NETWORK_MAX + 1])
{
    uint8_t len = reader_u8(r);
    const uint8_t *bytes = reader_bytes(r, len);
    memset(out, 0, MESSAGE_NETWORK_MAX + 1);
    if (bytes == NULL || !network_name_is_valid(bytes, len)) return false;
    memcpy(out, bytes, len);
    return true;
}

static bool read_hello(struct reader *r, struct message_hello *out)
{
    struct streams_grants *g = &out->grants;
    uint8_t len = reader_u8(r);
    const uint8_t *bytes = reader_bytes(r, len);
    if (bytes == NULL || peer_id_from_bytes(&out->peer, bytes, len) != 0) return false;
    if (peer_id_key(&out->peer) == NULL) return false;
    if (!read_network(r, out->network)) return false;
    g->connection_bytes = reader_varint(r);
    g->bidi_local_bytes = reader_varint(r);
    g->bidi_remote_bytes = reader_varint(r);
    g->uni_bytes = reader_varint(r);
    g->bidi_count = reader_varint(r);
    g->uni_count = reader_varint(r);
    return !r->failed && g->bidi_count <= MESSAGE_COUNT_MAX && g->uni_count <= MESSAGE_COUNT_MAX;
}

static bool read_end(struct reader *r, struct message *out)
{
    out->code = reader_u32(r);
    out->len = reader_u8(r);
    out->bytes = reader_bytes(r, out->len);
    return !r->failed && out->len <= MESSAGE_TEXT_MAX;
}

static bool read_data(struct reader *r, struct message *out)
{
    out->stream = reader_varint(r);
    out->offset = reader_varint(r);
    uint64_t len = reader_varint(r);
    out->bytes = reader_bytes(r, len);
    if (r->failed || len > VARINT_MAX - out->offset) return false;
    out->len = (size_t)len;
    return true;
}

static bool read_datagram(struct reader *r, struct message *out)
{
    out->stream = reader_varint(r);
    uint64_t len = reader_varint(r);
    if (r->failed || len > MESSAGE_DATAGRAM_MAX || len > reader_left(r)) return false;
    out->len = (size_t)len;
    out->bytes = reader_bytes(r, out->len);
    return !r->failed;
}

bool loop_message_read(struct reader *r, struct message *out)
{
    memset(out, 0, sizeof *out);
    out->type = reader_u8(r);
    switch (out->type) {
    case MESSAGE_OPEN:
    case MESSAGE_ACCEPT: return read_hello(r, &out->hello);
    case MESSAGE_REFUSE:
    case MESSAGE_CLOSE: return read_end(r, out);
    case MESSAGE_READY: return !r->failed;
    case MESSAGE_DATA:
    case MESSAGE_DATA_END: return read_data(r, out);
    case MESSAGE_DATAGRAM: return read_datagram(r, out);
    case MESSAGE_STREAM_CREDIT: out->stream = reader_varint(r); /* fall through */
    case MESSAGE_CONNECTION_CREDIT: out->limit = reader_varint(r); return !r->failed;
    case MESSAGE_COUNT_BIDI:
    case MESSAGE_COUNT_UNI:
        out->limit = reader_varint(r);
        return !r->failed && out->limit <= MESSAGE_COUNT_MAX;
    case MESSAGE_RESET:
    case MESSAGE_STOP:
        out->stream = reader_varint(r);
        out->code = reader_u32(r);
        if (out->type == MESSAGE_RESET) out->limit = reader_varint(r);
        return !r->failed;
    default: return false;
    }
}

void loop_message_write_header(struct writer *w, uint32_t to, uint32_t from)
{
    writer_u8(w, MESSAGE_VERSION);
    writer_u32(w, to);
    writer_u32(w, from);
    WEIR_ASSERT(!w->full);
}

void loop_message_write_hello(struct writer *w, enum message_type type,
                              const struct message_hello *hello)
{
    const struct streams_grants *g = &hello->grants;
    size_t network_len = strlen(hello->network);
    WEIR_ASSERT(network_len <= MESSAGE_NETWORK_MAX);
    writer_u8(w, (uint8_t)type);
    writer_u8(w, hello->peer.len);
    writer_bytes(w, hello->peer.bytes, hello->peer.len);
    writer_u8(w, (uint8_t)network_len);
    writer_bytes(w, hello->network, network_len);
    writer_varint(w, g->connection_bytes);
    writer_varint(w, g->bidi_local_bytes);
    writer_varint(w, g->bidi_remote_bytes);
    writer_varint(w, g->uni_bytes);
    writer_varint(w, g->bidi_count);
    writer_varint(w, g->uni_count);
    WEIR_ASSERT(!w->full);
}

void loop_message_write_end(struct writer *w, enum message_type type, uint32_t code,
                            const char *text, size_t len)
{
    WEIR_ASSERT(len <= MESSAGE_TEXT_MAX);
    writer_u8(w, (uint8_t)type);
    writer_u32(w, code);
    writer_u8(w, (uint8_t)len);
    writer_bytes(w, text, len);
    WEIR_ASSERT(!w->full);
}

void loop_message_write_limit(struct writer *w, enum message_type type, uint64_t stream,
                              uint64_t limit)
{
    writer_u8(w, (uint8_t)type);
    if (type == MESSAGE_STREAM_CREDIT) writer_varint(w, stream);
    if (type != MESSAGE_READY) writer_varint(w, limit);
    WEIR_ASSERT(!w->full);
}

void loop_message_write_reset(struct writer *w, uint64_t stream, uint32_t code, uint64_t final_size)
{
    writer_u8(w, MESSAGE_RESET);
    writer_varint(w, stream);
    writer_u32(w, code);
    writer_varint(w, final_size);
    WEIR_ASSERT(!w->full);
}

void loop_message_write_stop(struct writer *w, uint64_t stream, uint32_t code)
{
    writer_u8(w, MESSAGE_STOP);
    writer_varint(w, stream);
    writer_u32(w, code);
    WEIR_ASSERT(!w->full);
}

void loop_message_write_datagram(struct writer *w, uint64_t stream, const uint8_t *bytes,
                                 size_t len)
{
    WEIR_ASSERT(len <= MESSAGE_DATAGRAM_MAX);
    writer_u8(w, MESSAGE_DATAGRAM);
    writer_varint(w, stream);
    writer_varint(w, len);
    if (len > 0) writer_bytes(w, bytes, len);
    WEIR_ASSERT(!w->full);
}

void loop_message_write_data(struct writer *w, uint64_t stream, uint64_t offset, uint64_t len,
                             bool end)
{
    writer_u8(w, end ? MESSAGE_DATA_END : MESSAGE_DATA);
    writer_varint(w, stream);
    writer_varint(w, offset);
    writer_varint(w, len);
    WEIR_ASSERT(!w->full);
}
