/* SPDX-License-Identifier: MIT */
/* Lua values from hostile CBOR, in a state with a megabyte and few instructions. Whatever decodes
 * must encode to the very bytes that it came from, and fit nothing shorter; whatever does not must
 * leave a sentence and an untouched stack. */
#include "runtime/cbor.h"
#include "runtime/vm.h"
#include "unit/lua/cbor_peers.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
};

/* assert that is never compiled out. */
static void must(bool holds, const char *what)
{
    if (holds) return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static int check(lua_State *L)
{
    const struct input *in = lua_touserdata(L, 1);
    char error[160] = "";
    if (!cbor_decode(L, in->data, in->size, &cbor_peers, error, sizeof error)) {
        must(lua_gettop(L) == 1, "a refusal leaves something on the stack");
        must(error[0] != 0 && strlen(error) + 1 < sizeof error, "a refusal without its sentence");
        return 0;
    }
    must(lua_gettop(L) == 2, "decoding pushes one value");
    /* The state's own memory, so that a raised error leaks nothing. */
    uint8_t *out = lua_newuserdatauv(L, in->size, 0);
    int64_t written = cbor_encode(L, 2, &cbor_peers, out, in->size, error, sizeof error);
    must(written == (int64_t)in->size, error[0] != 0 ? error : "another length than before");
    must(memcmp(out, in->data, in->size) == 0, "other bytes than before");
    written = cbor_encode(L, 2, &cbor_peers, out, in->size - 1, error, sizeof error);
    must(written == -1, "encoded into less room than it needs");
    must(lua_gettop(L) == 3, "encoding leaves something on the stack");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct vm *vm; /* Kept: making one takes longer than most inputs. */
    const struct vm_options options = {.memory_bytes = 1 << 20, .instructions = 200000};
    struct input in = {data, size};
    if (vm == NULL) vm = vm_open(&options);
    must(vm != NULL, "no state");
    lua_State *L = vm_main(vm);
    lua_pushcfunction(L, check);
    lua_pushlightuserdata(L, &in);
    /* It may run out of memory or instructions; what it must not do, it has checked itself. */
    if (vm_call(vm, 1, 0) != LUA_OK) lua_gc(L, LUA_GCCOLLECT);
    return 0;
}
