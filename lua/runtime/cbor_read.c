/* SPDX-License-Identifier: MIT */
#include "cbor.h"
#include "cbor_forms.h"
#include "vm.h"
#include <cbor/streaming.h>
#include <stdio.h>
#include <string.h>

/* What libcbor found; up to KIND_TAG it is also the major type. */
enum kind {
    KIND_UNSIGNED,
    KIND_NEGATIVE,
    KIND_BYTES,
    KIND_TEXT,
    KIND_ARRAY,
    KIND_MAP,
    KIND_TAG,
    KIND_FLOAT,
    KIND_BOOLEAN,
    KIND_NULL,
    KIND_UNDEFINED,
    KIND_INDEFINITE
};

/* One head with its string, if it has one. */
struct token {
    enum kind kind;
    uint64_t argument; /* value, length, count, tag or truth */
    const uint8_t *bytes;
    double number;
};

struct reader {
    lua_State *L;
    const struct cbor_peers *peers;
    const uint8_t *data;
    size_t len, at;
    size_t token_at; /* where the token began that is looked at, for the sentence */
    unsigned depth, items, peers_count;
    char *error;
    size_t error_cap;
};

static bool read_value(struct reader *r);

static bool fail(struct reader *r, const char *sentence)
{
    snprintf(r->error, r->error_cap, "%s, at byte %zu", sentence, r->token_at);
    return false;
}

static void set(void *context, enum kind kind, uint64_t argument)
{
    struct token *token = context;
    token->kind = kind;
    token->argument = argument;
}

static void set_string(void *context, enum kind kind, const uint8_t *bytes, size_t len)
{
    struct token *token = context;
    set(context, kind, len);
    token->bytes = bytes;
}

static void set_float(void *context, double value)
{
    struct token *token = context;
    set(context, KIND_FLOAT, 0);
    token->number = value;
}

/* libcbor's signatures differ by width; to us an argument is an argument. */
#define ON_ARGUMENT(name, type, kind)                                                              \
    static void on_##name(void *context, type argument)                                            \
    {                                                                                              \
        set(context, kind, argument);                                                              \
    }
#define ON_STRING(name, kind)                                                                      \
    static void on_##name(void *context, cbor_data bytes, size_t len)                              \
    {                                                                                              \
        set_string(context, kind, bytes, len);                                                     \
    }
#define ON_NOTHING(name, kind)                                                                     \
    static void on_##name(void *context)                                                           \
    {                                                                                              \
        set(context, kind, 0);                                                                     \
    }

ON_ARGUMENT(uint8, uint8_t, KIND_UNSIGNED)
ON_ARGUMENT(uint16, uint16_t, KIND_UNSIGNED)
ON_ARGUMENT(uint32, uint32_t, KIND_UNSIGNED)
ON_ARGUMENT(uint64, uint64_t, KIND_UNSIGNED)
ON_ARGUMENT(negint8, uint8_t, KIND_NEGATIVE)
ON_ARGUMENT(negint16, uint16_t, KIND_NEGATIVE)
ON_ARGUMENT(negint32, uint32_t, KIND_NEGATIVE)
ON_ARGUMENT(negint64, uint64_t, KIND_NEGATIVE)
ON_ARGUMENT(array, size_t, KIND_ARRAY)
ON_ARGUMENT(map, size_t, KIND_MAP)
ON_ARGUMENT(tag, uint64_t, KIND_TAG)
ON_ARGUMENT(boolean, bool, KIND_BOOLEAN)
ON_STRING(bytes, KIND_BYTES)
ON_STRING(text, KIND_TEXT)
ON_NOTHING(null, KIND_NULL)
ON_NOTHING(undefined, KIND_UNDEFINED)
ON_NOTHING(indefinite, KIND_INDEFINITE)

static void on_single(void *context, float value)
{
    set_float(context, (double)value);
}

static void on_double(void *context, double value)
{
    set_float(context, value);
}

static const struct cbor_callbacks callbacks = {
    .uint8 = on_uint8,
    .uint16 = on_uint16,
    .uint32 = on_uint32,
    .uint64 = on_uint64,
    .negint64 = on_negint64,
    .negint32 = on_negint32,
    .negint16 = on_negint16,
    .negint8 = on_negint8,
    .byte_string_start = on_indefinite,
    .byte_string = on_bytes,
    .string = on_text,
    .string_start = on_indefinite,
    .indef_array_start = on_indefinite,
    .array_start = on_array,
    .indef_map_start = on_indefinite,
    .map_start = on_map,
    .tag = on_tag,
    .float2 = on_single,
    .float4 = on_single,
    .float8 = on_double,
    .undefined = on_undefined,
    .null = on_null,
    .boolean = on_boolean,
    .indef_break = on_indefinite,
};

/* The head written again must be the head that was read: that is what "shortest" means, and it also
 * catches a length that did not fit libcbor's size_t. */
static bool is_shortest(const struct token *token, const uint8_t *read, size_t read_len)
{
    uint8_t head[CBOR_HEAD_MAX];
    size_t len, body = 0;
    if (token->kind > KIND_FLOAT) return true;
    if (token->kind == KIND_FLOAT) {
        len = cbor_forms_float(token->number, head, sizeof head);
    } else {
        len = cbor_forms_head((enum cbor_major)token->kind, token->argument, head, sizeof head);
        if (token->bytes != NULL) body = (size_t)token->argument;
    }
    return read_len == len + body && memcmp(read, head, len) == 0;
}

static bool check_string(struct reader *r, const struct token *token)
{
    vm_charge(r->L, token->argument / CBOR_COST_BYTES);
    bool is_text = cbor_forms_is_text(token->bytes, (size_t)token->argument);
    if (token->kind == KIND_TEXT) return is_text || fail(r, "text that is not UTF-8");
    return !is_text || fail(r, "bytes that are UTF-8 (they are sent as text)");
}

/* Take one head. */
static bool next(struct reader *r, struct token *token)
{
    size_t left = r->len - r->at;
    r->token_at = r->at;
    if (left == 0) return fail(r, "cut short");
    const uint8_t *data = r->data + r->at;
    *token = (struct token){.kind = KIND_NULL};
    struct cbor_decoder_result result = cbor_stream_decode(data, left, &callbacks, token);
    if (result.status == CBOR_DECODER_NEDATA) return fail(r, "cut short");
    if (result.status != CBOR_DECODER_FINISHED)
        return fail(r, (data[0] & 0xe0) == 0xe0 ? "a simple value other than false, true and null"
                                                : "a reserved length");
    if (token->kind == KIND_INDEFINITE) return fail(r, "an indefinite length");
    if (token->kind == KIND_UNDEFINED) return fail(r, "undefined cannot be sent");
    if (!is_shortest(token, data, result.read)) return fail(r, "not the shortest form");
    r->at += result.read;
    return true;
}

static bool push_integer(struct reader *r, const struct token *token)
{
    if (token->argument > INT64_MAX) return fail(r, "an integer of more than 64 bits");
    lua_Integer value = (lua_Integer)token->argument;
    lua_pushinteger(r->L, token->kind == KIND_UNSIGNED ? value : -1 - value);
    return true;
}

static bool push_string(struct reader *r, const struct token *token)
{
    if (!check_string(r, token)) return false;
    lua_pushlstring(r->L, (const char *)token->bytes, (size_t)token->argument);
    return true;
}

/* A count is a claim: so many values of one byte or more must still be there, and must be allowed,
 * before anything is made for them. */
static bool open_table(struct reader *r, uint64_t values)
{
    if (r->depth == CBOR_DEPTH_MAX) return fail(r, "tables inside tables are too deep");
    if (values > r->len - r->at) return fail(r, "cut short");
    if (values > CBOR_ITEMS_MAX - r->items) return fail(r, "too many values");
    r->depth++;
    r->items += (unsigned)values;
    return true;
}

static bool read_array(struct reader *r, uint64_t count)
{
    if (!open_table(r, count)) return false;
    lua_createtable(r->L, (int)count, 0);
    for (lua_Integer i = 1; i <= (lua_Integer)count; i++) {
        if (!read_value(r)) return false;
        lua_rawseti(r->L, -2, i);
    }
    r->depth--;
    return true;
}

static bool read_key(struct reader *r, struct token *token)
{
    if (!next(r, token)) return false;
    vm_charge(r->L, CBOR_COST_VALUE);
    switch (token->kind) {
    case KIND_UNSIGNED:
    case KIND_NEGATIVE: return push_integer(r, token);
    case KIND_BYTES:
    case KIND_TEXT: return push_string(r, token);
    case KIND_BOOLEAN: lua_pushboolean(r->L, token->argument != 0); return true;
    default: return fail(r, "a key that is not a string, an integer or a boolean");
    }
}

/* RFC 8949, section 4.2.1: keys ascend in the bytewise order of their encodings. */
static bool check_order(struct reader *r, const uint8_t *last, size_t last_len)
{
    const uint8_t *key = r->data + r->token_at;
    size_t len = r->at - r->token_at;
    int order = memcmp(last, key, last_len < len ? last_len : len);
    /* No encoding is the beginning of another one: equal so far is equal. */
    return order < 0 || fail(r, order == 0 ? "a key twice" : "keys that are not in order");
}

static bool read_map(struct reader *r, uint64_t count)
{
    size_t map_at = r->token_at, last_at = 0, last_len = 0;
    bool is_list = true;
    struct token key;
    if (count == 0) return fail(r, "an empty map (an empty table is an empty array)");
    if (count > UINT32_MAX) return fail(r, "cut short");
    if (!open_table(r, 2 * count)) return false;
    lua_createtable(r->L, 0, (int)count);
    for (uint64_t i = 1; i <= count; i++) {
        if (!read_key(r, &key)) return false;
        if (i > 1 && !check_order(r, r->data + last_at, last_len)) return false;
        is_list = is_list && key.kind == KIND_UNSIGNED && key.argument == i;
        last_at = r->token_at;
        last_len = r->at - last_at;
        if (!read_value(r)) return false;
        lua_rawset(r->L, -3);
    }
    r->token_at = map_at;
    if (is_list) return fail(r, "a map with the keys 1 to n (it is sent as an array)");
    r->depth--;
    return true;
}

/* The texts behind the id. */
static bool read_addresses(struct reader *r, const char **addresses, size_t *lengths,
                           unsigned count)
{
    struct token token;
    for (unsigned i = 0; i < count; i++) {
        if (!next(r, &token)) return false;
        size_t len = (size_t)token.argument;
        if (token.kind != KIND_TEXT || !cbor_forms_is_address(token.bytes, len))
            return fail(r, "a peer's address that is not 1 to 127 bytes of text");
        addresses[i] = (const char *)token.bytes;
        lengths[i] = len;
    }
    return true;
}

static bool read_peer(struct reader *r, uint64_t tag)
{
    const char *addresses[CBOR_ADDRESSES_MAX];
    size_t lengths[CBOR_ADDRESSES_MAX], tag_at = r->token_at;
    struct token list, id;
    if (tag != CBOR_TAG_PEER) return fail(r, "an unknown tag");
    if (r->peers == NULL || r->peers->give == NULL) return fail(r, "a peer cannot be sent here");
    if (r->peers_count++ == CBOR_LIST_MAX) return fail(r, "too many peers");
    if (!next(r, &list)) return false;
    if (list.kind != KIND_ARRAY || list.argument == 0 || list.argument > 1 + CBOR_ADDRESSES_MAX)
        return fail(r, "a peer that is not an id and at most 3 addresses");
    unsigned count = (unsigned)list.argument - 1;
    if (!next(r, &id)) return false;
    if (id.kind != KIND_BYTES || id.argument == 0 || id.argument > CBOR_PEER_ID_MAX)
        return fail(r, "a peer without an id");
    if (!read_addresses(r, addresses, lengths, count)) return false;
    r->token_at = tag_at;
    return r->peers->give(r->peers->context, r->L, id.bytes, (size_t)id.argument, addresses,
                          lengths, count) ||
           fail(r, "a peer that cannot be one");
}

/* Push the next value. Its place among CBOR_ITEMS_MAX was taken when its table began. */
static bool read_value(struct reader *r)
{
    struct token token;
    if (!next(r, &token)) return false;
    if (!lua_checkstack(r->L, 8)) return fail(r, "not enough memory");
    vm_charge(r->L, CBOR_COST_VALUE);
    switch (token.kind) {
    case KIND_UNSIGNED:
    case KIND_NEGATIVE: return push_integer(r, &token);
    case KIND_BYTES:
    case KIND_TEXT: return push_string(r, &token);
    case KIND_ARRAY: return read_array(r, token.argument);
    case KIND_MAP: return read_map(r, token.argument);
    case KIND_TAG: return read_peer(r, token.argument);
    case KIND_FLOAT: lua_pushnumber(r->L, token.number); return true;
    case KIND_BOOLEAN: lua_pushboolean(r->L, token.argument != 0); return true;
    default: break;
    }
    if (r->depth > 0) return fail(r, "a null inside a table");
    lua_pushnil(r->L);
    return true;
}

bool cbor_decode(lua_State *L, const uint8_t *data, size_t len, const struct cbor_peers *peers,
                 char *error, size_t error_cap)
{
    int top = lua_gettop(L);
    struct reader r = {.L = L,
                       .peers = peers,
                       .data = data,
                       .len = len,
                       .items = 1,
                       .error = error,
                       .error_cap = error_cap};
    bool read = read_value(&r);
    if (read && r.at < r.len) {
        r.token_at = r.at;
        read = fail(&r, "bytes after the value");
    }
    if (!read) lua_settop(L, top);
    return read;
}
