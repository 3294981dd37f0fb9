/* SPDX-License-Identifier: MIT */
/* The state in which the commands run, and what the files of primitives share. */
#include "command.h"
#include "embedded.h"
#include <cbor.h>
#include <ctype.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- shared */

static void push_name(lua_State *L, int32_t code)
{
    const char *name = weir_error_name(code);
    char lower[40];
    size_t i;

    if (strncmp(name, "WEIR_E_", 7) == 0) name += 7;
    for (i = 0; name[i] && i < sizeof lower - 1; i++) lower[i] = (char)tolower(name[i]);
    lua_pushlstring(L, lower, i);
}

int command_fail(lua_State *L, int32_t code, const weir_error *error)
{
    lua_pushnil(L);
    lua_pushstring(L, error && error->detail[0] ? error->detail : weir_strerror(code));
    push_name(L, code);
    return 3;
}

int command_fail_node(lua_State *L, int32_t code, weir_node *node)
{
    weir_error error = {.size = sizeof error};

    if (weir_last_error(node, &error) < 0 || error.code != code) error.detail[0] = 0;
    return command_fail(L, code, &error);
}

void command_class(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction close)
{
    luaL_newmetatable(L, name);
    luaL_newlib(L, ((luaL_Reg[]){{NULL, NULL}}));
    luaL_setfuncs(L, methods, 0);
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "close");
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "__close");
    lua_pop(L, 1);
}

uint64_t command_number(lua_State *L, int index, const char *name, uint64_t otherwise)
{
    if (!lua_istable(L, index)) return otherwise;
    if (lua_getfield(L, index, name) != LUA_TNIL) otherwise = (uint64_t)luaL_checkinteger(L, -1);
    lua_pop(L, 1);
    return otherwise;
}

bool command_flag(lua_State *L, int index, const char *name)
{
    bool is_set = false;

    if (!lua_istable(L, index)) return false;
    lua_getfield(L, index, name);
    is_set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return is_set;
}

void command_set(lua_State *L, const char *name, uint64_t value)
{
    if (value == WEIR_NONE) return;
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

void command_set_text(lua_State *L, const char *name, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
}

/* ---- modules */

static const struct embedded *find(lua_State *L, const char *name)
{
    const struct embedded *file = embedded_find(name);

    if (!file) luaL_error(L, "no file '%s' in this program", name);
    return file;
}

/* weir.module(name): what lua/cli/NAME.lua returns, run once. */
static int word_module(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const struct embedded *file;

    luaL_getsubtable(L, LUA_REGISTRYINDEX, "weir.modules");
    if (lua_getfield(L, -1, name) != LUA_TNIL) return 1;
    lua_pop(L, 1);
    lua_pushfstring(L, "cli/%s.lua", name);
    file = find(L, lua_tostring(L, -1));
    lua_pushfstring(L, "@%s", lua_tostring(L, -1));
    if (luaL_loadbufferx(L, file->text, file->len, lua_tostring(L, -1), "t") != LUA_OK)
        return lua_error(L);
    lua_call(L, 0, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, name);
    return 1;
}

/* weir.embedded(name): the text of a Lua file that the program carries, or nil. */
static int word_embedded(lua_State *L)
{
    const struct embedded *file = embedded_find(luaL_checkstring(L, 1));

    if (!file) return 0;
    lua_pushlstring(L, file->text, file->len);
    return 1;
}

/* weir.trace(text): with the calls that led here, for bugs of the commands. */
static int word_trace(lua_State *L)
{
    luaL_traceback(L, L, luaL_checkstring(L, 1), 2);
    return 1;
}

static int word_version(lua_State *L)
{
    lua_pushfstring(L, "weir %s, %s, libcbor %d.%d.%d", weir_version(), LUA_RELEASE,
                    CBOR_MAJOR_VERSION, CBOR_MINOR_VERSION, CBOR_PATCH_VERSION);
    return 1;
}

/* ---- the state */

static void open_libraries(lua_State *L)
{
    static const luaL_Reg libraries[] = {
        {LUA_GNAME, luaopen_base},        {LUA_TABLIBNAME, luaopen_table},
        {LUA_IOLIBNAME, luaopen_io},      {LUA_OSLIBNAME, luaopen_os},
        {LUA_STRLIBNAME, luaopen_string}, {LUA_MATHLIBNAME, luaopen_math},
        {LUA_UTF8LIBNAME, luaopen_utf8},  {LUA_COLIBNAME, luaopen_coroutine}};

    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        luaL_requiref(L, libraries[i].name, libraries[i].func, 1);
        lua_pop(L, 1);
    }
}

/* Of io and os what the commands need, so that nothing else can be reached from here by mistake. */
static void take_away(lua_State *L)
{
    static const char *const names[][2] = {
        {"io", "popen"},   {"io", "tmpfile"}, {"io", "input"},     {"io", "output"},
        {"io", "lines"},   {"os", "execute"}, {"os", "exit"},      {"os", "remove"},
        {"os", "rename"},  {"os", "tmpname"}, {"os", "setlocale"}, {"os", "time"},
        {"os", "clock"},   {"os", "date"},    {"os", "difftime"},  {"_G", "dofile"},
        {"_G", "loadfile"}};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        lua_getglobal(L, names[i][0]);
        lua_pushnil(L);
        lua_setfield(L, -2, names[i][1]);
        lua_pop(L, 1);
    }
}

static int traced(lua_State *L)
{
    const char *text = lua_tostring(L, 1);

    if (!text || !strstr(text, "stack traceback:"))
        luaL_traceback(L, L, text ? text : "an error that is no text", 1);
    return 1;
}

/* Takes the number of arguments and a light pointer to them; returns the exit code. */
static int run(lua_State *L)
{
    static const luaL_Reg words[] = {{"module", word_module},
                                     {"embedded", word_embedded},
                                     {"version", word_version},
                                     {"trace", word_trace},
                                     {NULL, NULL}};
    int32_t count = (int32_t)lua_tointeger(L, 1);
    const char *const *arguments = lua_touserdata(L, 2);

    open_libraries(L);
    take_away(L);
    luaL_newlib(L, words);
    command_node_open(L);
    command_script_open(L);
    command_world_open(L);
    command_term_open(L);
    lua_setglobal(L, "weir");
    lua_pushcfunction(L, word_module);
    lua_pushliteral(L, "main");
    lua_call(L, 1, 1);
    lua_newtable(L);
    for (int32_t i = 1; i < count; i++) {
        lua_pushstring(L, arguments[i]);
        lua_rawseti(L, -2, i);
    }
    lua_call(L, 1, 1);
    return 1;
}

WEIR_LUA_API int32_t weir_lua_command(int32_t count, const char *const *arguments)
{
    lua_State *L = luaL_newstate();
    int32_t code = 1;

    if (!L) {
        fputs("weir: no memory\n", stderr);
        return code;
    }
    lua_pushcfunction(L, traced);
    lua_pushcfunction(L, run);
    lua_pushinteger(L, count);
    lua_pushlightuserdata(L, (void *)(uintptr_t)arguments);
    if (lua_pcall(L, 2, 1, 1) == LUA_OK)
        code = (int32_t)lua_tointeger(L, -1);
    else
        fprintf(stderr, "weir: a bug of the command itself: %s\n", lua_tostring(L, -1));
    lua_close(L);
    if (fflush(stdout) != 0 && code == 0) code = 1;
    return code;
}
