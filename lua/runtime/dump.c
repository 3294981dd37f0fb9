/* SPDX-License-Identifier: MIT */
/* Reads what lua_dump writes: a header that says how numbers are laid out, then the function, and
 * inside each function those that it contains. What a function calls its variables stands after its
 * instructions and its inner functions, so they are skimmed here and walked afterwards (check.c).
 * The reader is total: whatever the bytes are, it ends and stays inside. */
#include "runtime/dump.h"
#include <stdlib.h>
#include <string.h>

/* Tags of constants in a dump. */
enum {
    TAG_NIL = 0,
    TAG_FALSE = 1,
    TAG_TRUE = 17,
    TAG_INTEGER = 3,
    TAG_FLOAT = 19,
    TAG_SHORT = 4,
    TAG_LONG = 20
};

static uint8_t read_byte(struct cursor *c)
{
    if (c->at == c->end) c->bad = true;
    return c->bad ? 0 : *c->at++;
}

static const uint8_t *read_bytes(struct cursor *c, size_t len)
{
    const uint8_t *at = c->at;

    if (len > (size_t)(c->end - c->at)) c->bad = true;
    if (c->bad) return NULL;
    c->at += len;
    return at;
}

/* Seven bits a byte, the high ones first; the last byte is marked. */
size_t dump_read_size(struct cursor *c)
{
    size_t value = 0;
    uint8_t byte;

    do {
        byte = read_byte(c);
        if (value > SIZE_MAX >> 8) c->bad = true;
        value = value << 7 | (byte & 0x7f);
    } while (!c->bad && (byte & 0x80) == 0);
    return value;
}

struct text dump_read_text(struct cursor *c)
{
    struct text text = {NULL, dump_read_size(c)};

    if (text.len > 0) text.at = (const char *)read_bytes(c, --text.len);
    return text;
}

/* Room for one more element. @return the array, moved or not; NULL without memory */
static void *grow(void *array, size_t count, size_t *max, size_t size)
{
    void *larger;

    if (count < *max) return array;
    larger = realloc(array, (*max * 2 + 16) * size);
    if (larger != NULL) *max = *max * 2 + 16;
    return larger;
}

static void skim_constants(struct dump *dump, struct proto *p)
{
    struct cursor *in = &dump->in;

    p->constants = dump->constants_count;
    p->constants_count = dump_read_size(in);
    for (size_t i = 0; i < p->constants_count && !in->bad; i++) {
        struct text text = {NULL, 0}, *larger;

        switch (read_byte(in)) {
        case TAG_NIL:
        case TAG_FALSE:
        case TAG_TRUE: break;
        case TAG_INTEGER: read_bytes(in, sizeof(lua_Integer)); break;
        case TAG_FLOAT: read_bytes(in, sizeof(lua_Number)); break;
        case TAG_SHORT:
        case TAG_LONG: text = dump_read_text(in); break;
        default: in->bad = true;
        }
        larger = grow(dump->constants, dump->constants_count, &dump->constants_max, sizeof text);
        if (larger == NULL) {
            in->bad = true;
            return;
        }
        dump->constants = larger;
        dump->constants[dump->constants_count++] = text;
    }
}

static void skim_upvalues(struct dump *dump, struct proto *p)
{
    struct cursor *in = &dump->in;

    p->upvalues = dump->upvalues_count;
    p->upvalues_count = dump_read_size(in);
    for (size_t i = 0; i < p->upvalues_count && !in->bad; i++) {
        struct upvalue *larger, upvalue = {{NULL, 0}, false, 0, false};

        upvalue.local = read_byte(in) != 0;
        upvalue.index = read_byte(in);
        read_byte(in);
        larger = grow(dump->upvalues, dump->upvalues_count, &dump->upvalues_max, sizeof upvalue);
        if (larger == NULL) {
            in->bad = true;
            return;
        }
        dump->upvalues = larger;
        dump->upvalues[dump->upvalues_count++] = upvalue;
    }
}

static void skim_debug(struct dump *dump, struct proto *p)
{
    struct cursor *in = &dump->in;
    size_t count = dump_read_size(in);

    /* A stripped function has no lines. */
    if (count != p->code_count) in->bad = true;
    p->deltas = read_bytes(in, count);
    count = dump_read_size(in);
    p->absolutes = *in;
    for (; count > 0 && !in->bad; count--) {
        dump_read_size(in);
        dump_read_size(in);
    }
    p->locals_count = dump_read_size(in);
    p->locals = *in;
    for (size_t i = 0; i < p->locals_count && !in->bad; i++) {
        dump_read_text(in);
        dump_read_size(in);
        dump_read_size(in);
    }
    count = dump_read_size(in);
    if (count != p->upvalues_count) in->bad = true;
    for (size_t i = 0; i < count && !in->bad; i++) {
        dump->upvalues[p->upvalues + i].name = dump_read_text(in);
    }
}

/* @return the number of the function, or 0: the main one, or it is not understood */
static size_t skim(struct dump *dump, unsigned depth)
{
    struct cursor *in = &dump->in;
    struct proto p = {0}, *larger;
    size_t number = dump->protos_count, children, last = 0;

    larger = grow(dump->protos, number, &dump->protos_max, sizeof p);
    if (larger == NULL || depth > DUMP_DEPTH_MAX) in->bad = true;
    if (larger != NULL) dump->protos = larger;
    if (in->bad) return 0;
    dump->protos_count++;
    dump_read_text(in); /* its source, when that is another one than its parent's */
    p.line = dump_read_size(in);
    dump_read_size(in);
    read_bytes(in, 3); /* parameters, whether there are more, registers */
    p.code_count = dump_read_size(in);
    if (p.code_count > DUMP_BYTES_MAX) in->bad = true;
    p.code = read_bytes(in, p.code_count * sizeof(uint32_t));
    skim_constants(dump, &p);
    skim_upvalues(dump, &p);
    children = dump_read_size(in);
    for (; children > 0 && !in->bad; children--) {
        size_t child = skim(dump, depth + 1);

        if (last == 0) {
            p.first_child = child;
        } else {
            dump->protos[last].sibling = child;
        }
        last = child;
    }
    skim_debug(dump, &p);
    dump->protos[number] = p;
    return number;
}

static int take(lua_State *L, const void *data, size_t len, void *context)
{
    struct dump *dump = context;
    size_t cap = dump->cap;
    uint8_t *larger;

    (void)L;
    if (len > DUMP_BYTES_MAX - dump->len) return 1;
    while (cap - dump->len < len) cap = cap * 2 + 1024;
    if (cap != dump->cap) {
        larger = realloc(dump->data, cap);
        if (larger == NULL) return 1;
        dump->data = larger;
        dump->cap = cap;
    }
    if (len > 0) memcpy(dump->data + dump->len, data, len);
    dump->len += len;
    return 0;
}

static bool is_known_format(struct cursor *in)
{
    static const uint8_t start[] = {0x1b,
                                    'L',
                                    'u',
                                    'a',
                                    0x54,
                                    0,
                                    0x19,
                                    0x93,
                                    '\r',
                                    '\n',
                                    0x1a,
                                    '\n',
                                    sizeof(uint32_t),
                                    sizeof(lua_Integer),
                                    sizeof(lua_Number)};
    static const lua_Integer integer = 0x5678;
    static const lua_Number number = 370.5;
    const uint8_t *header = read_bytes(in, sizeof start + sizeof integer + sizeof number);

    read_byte(in); /* how many upvalues the main function has */
    return !in->bad && memcmp(header, start, sizeof start) == 0 &&
           memcmp(header + sizeof start, &integer, sizeof integer) == 0 &&
           memcmp(header + sizeof start + sizeof integer, &number, sizeof number) == 0;
}

bool dump_open(struct dump *dump, lua_State *L)
{
    memset(dump, 0, sizeof *dump);
    if (lua_dump(L, take, dump, 0) != 0 || dump->len == 0) return false;
    dump->in.at = dump->data;
    dump->in.end = dump->data + dump->len;
    if (!is_known_format(&dump->in)) return false;
    skim(dump, 0);
    return !dump->in.bad && dump->in.at == dump->in.end;
}

void dump_free(struct dump *dump)
{
    free(dump->protos);
    free(dump->constants);
    free(dump->upvalues);
    free(dump->data);
}
