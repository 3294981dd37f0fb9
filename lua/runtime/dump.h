/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_DUMP_H
#define WEIR_LUA_DUMP_H
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A compiled Lua function taken apart: its instructions, constants, and the names and lines that
 * its debug part has. Everything points into the dump. */

enum {
    DUMP_BYTES_MAX = 4 << 20,
    DUMP_DEPTH_MAX = 250 /**< functions inside functions: the compiler nests at most 200 */
};

/** What is left to read. Reading past the end gives 0 and NULL, and sets bad for good. */
struct cursor {
    const uint8_t *at, *end;
    bool bad;
};

struct text {
    const char *at;            /**< NULL: none, or not a string */
    size_t len;
};

struct upvalue {
    struct text name;
    bool local;                /**< a variable of the enclosing function, else its upvalue */
    uint8_t index;             /**< which */
    bool chunk;                /**< for check.c: handed down from the chunk's own */
};

struct proto {
    const uint8_t *code;       /**< code_count instructions of 4 bytes */
    const uint8_t *deltas;     /**< for each its line minus that of the one before */
    struct cursor absolutes;   /**< numbers: pc and line, where a delta is -128 */
    struct cursor locals;      /**< locals_count times: name, first pc, first pc after it */
    size_t code_count, locals_count;
    size_t constants, constants_count; /**< where in struct dump */
    size_t upvalues, upvalues_count;
    size_t first_child, sibling;       /**< functions inside it, by number; 0: none */
    uint64_t line;                     /**< where it begins */
};

struct dump {
    struct proto *protos;      /**< the first is the function itself */
    struct text *constants;    /**< strings; others have no text */
    struct upvalue *upvalues;
    size_t protos_count, constants_count, upvalues_count;
    size_t protos_max, constants_max, upvalues_max;
    struct cursor in;
    uint8_t *data;
    size_t len, cap;
};

/** Take apart the Lua function on top of the stack. Raises nothing.
 *  @return false: without memory, larger than DUMP_BYTES_MAX, stripped, not a Lua function, or not
 *          exactly the format of Lua 5.4 with numbers of 64 bits. dump_free is due in any case. */
bool dump_open(struct dump *dump, lua_State *L);
void dump_free(struct dump *dump);

/** A number as the dump writes it. */
size_t dump_read_size(struct cursor *c);
struct text dump_read_text(struct cursor *c);
#endif
