/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TEST_LUA_COMPARE_H
#define WEIR_TEST_LUA_COMPARE_H
/* The same Lua chunk in a plain state of the real libraries and in the sandbox: what it returns, a
 * text of one line for each case, must be equal. Included after cmocka.h. */
#include "runtime/vm.h"
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What every chunk starts with. case(f, ...) calls and writes down; random(n) is 1 to n. Where an
 * argument error happened is written down, not what the function is called there. */
#define COMPARE_PRELUDE                                                                            \
    "local out, seed = {}, 20231\n"                                                                \
    "local function random(n)\n"                                                                   \
    "    seed = (seed * 1103515245 + 12345) % 2147483648\n"                                        \
    "    return seed // 65536 % n + 1\n"                                                           \
    "end\n"                                                                                        \
    "local function show(v)\n"                                                                     \
    "    local t = type(v)\n"                                                                      \
    "    if t == 'nil' or t == 'boolean' then return tostring(v) end\n"                            \
    "    if t == 'number' then return math.type(v) .. ' ' .. v end\n"                              \
    "    if t ~= 'string' then return t end\n"                                                     \
    "    local hex = {'\"'}\n"                                                                     \
    "    for i = 1, #v do\n"                                                                       \
    "        local b = v:byte(i)\n"                                                                \
    "        hex[i + 1] = b > 31 and b < 127 and v:sub(i, i) or '{' .. b .. '}'\n"                 \
    "    end\n"                                                                                    \
    "    return table.concat(hex) .. '\"'\n"                                                       \
    "end\n"                                                                                        \
    "local function case(f, ...)\n"                                                                \
    "    local line, r = {}, table.pack(pcall(f, ...))\n"                                          \
    "    for i = 1, select('#', ...) do line[i] = show((select(i, ...))) end\n"                    \
    "    line[#line + 1] = '->'\n"                                                                 \
    "    for i = 1, r.n do line[#line + 1] = show(r[i]) end\n"                                     \
    "    local text = table.concat(line, ' ')\n"                                                   \
    "    local a, b = text:find(\"argument #\", 1, true)\n"                                        \
    "    if a and not r[1] then text = text:sub(1, b + 1) end\n"                                   \
    "    out[#out + 1] = text\n"                                                                   \
    "end\n"
#define COMPARE_END "return table.concat(out, '\\n')\n"

static inline struct vm *compare_open(uint64_t instructions)
{
    struct vm_options options = {.memory_bytes = 64u << 20, .instructions = instructions};
    struct vm *vm = vm_open(&options);

    assert_non_null(vm);
    return vm;
}

/* Run a chunk; its result is on the stack of the main thread. @return what vm_call returns */
static inline int compare_call(struct vm *vm, const char *text)
{
    lua_State *L = vm_main(vm);

    lua_settop(L, 0);
    if (vm_load(vm, L, text, strlen(text), "=test") != LUA_OK) fail_msg("%s", lua_tostring(L, -1));
    return vm_call(vm, 0, 1);
}

/* The chunk runs, and says true. */
static inline void compare_true(struct vm *vm, const char *text)
{
    if (compare_call(vm, text) != LUA_OK) fail_msg("%s: %s", text, vm_error(vm));
    if (!lua_toboolean(vm_main(vm), -1)) fail_msg("not true: %s", text);
}

/* The chunk fails, and the error says this. */
static inline void compare_error(struct vm *vm, const char *text, const char *part)
{
    if (compare_call(vm, text) == LUA_OK) fail_msg("no error: %s", text);
    if (strstr(vm_error(vm), part) == NULL) fail_msg("%s: %s", text, vm_error(vm));
}

/* Both give the same lines, and at least so many. */
static inline void compare_chunk(const char *text, unsigned lines_min)
{
    lua_State *plain = luaL_newstate();
    struct vm *vm = compare_open(2000000000);
    const char *a, *b;
    unsigned lines = 1;

    luaL_openlibs(plain);
    if (luaL_loadbuffer(plain, text, strlen(text), "=test") != LUA_OK ||
        lua_pcall(plain, 0, 1, 0) != LUA_OK) {
        fail_msg("%s", lua_tostring(plain, -1));
    }
    if (compare_call(vm, text) != LUA_OK) fail_msg("%s", vm_error(vm));
    a = lua_tostring(plain, -1);
    b = lua_tostring(vm_main(vm), -1);
    assert_non_null(a);
    assert_non_null(b);
    while (*a != '\0' || *b != '\0') {
        size_t a_len = strcspn(a, "\n"), b_len = strcspn(b, "\n");

        if (a_len != b_len || memcmp(a, b, a_len) != 0) {
            fail_msg("line %u:\n  Lua:     %.*s\n  sandbox: %.*s", lines, (int)a_len, a,
                     (int)b_len, b);
        }
        a += a_len + (a[a_len] == '\n');
        b += b_len + (b[b_len] == '\n');
        lines++;
    }
    assert_true(lines > lines_min);
    vm_close(vm);
    lua_close(plain);
}

/* What a chunk costs more than another. */
static inline uint64_t compare_cost(struct vm *vm, const char *text)
{
    struct vm_statistics before, after;

    vm_get_statistics(vm, &before);
    if (compare_call(vm, text) != LUA_OK) fail_msg("%s: %s", text, vm_error(vm));
    vm_get_statistics(vm, &after);
    return after.instructions - before.instructions;
}

/* The chunk is stopped for its instructions, although it catches errors. */
static inline void compare_stopped(struct vm *vm, const char *text)
{
    struct vm_statistics before, after;

    vm_get_statistics(vm, &before);
    if (compare_call(vm, text) == LUA_OK) fail_msg("not stopped: %s", text);
    vm_get_statistics(vm, &after);
    if (vm_stopped(vm) != VM_STOP_INSTRUCTIONS) fail_msg("%s: %s", text, vm_error(vm));
    assert_true(after.stops_instructions == before.stops_instructions + 1);
}
#endif
