/* SPDX-License-Identifier: MIT */
/* Declarations. Each kind of entry has a table of keys (struct entry_ops), and one function reads
 * them all: a key that is missing, unknown or out of its range raises with the line of the file,
 * the nearest key, the range, and why it is wanted. Nothing has a silent default that a peer could
 * use. */
#include "declare.h"
#include "load.h"
#include "peers.h"
#include "sandbox.h"
#include "server.h"
#include "suggest.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES_MAX = 64, FIELDS_MAX = 64, SERVE_FALLBACK = 32, NAME_MAX_BYTES = 90 };
static const uint64_t half_life_fallback_us = 600000000;

static const struct entry_ops *const kinds[] = {&message_ops, &request_ops, &stream_ops,
                                                &range_ops,   &feed_ops,    &view_ops,
                                                &map_ops,     &store_ops};
static const char *const own_keys[] = {"serve", "per_peer", "fields", "half_life", NULL};
static const char *const taken[] = {"start", "stop", "up", "down", "crowded", "every", NULL};

static bool is_one_of(const char *name, const char *const *list)
{
    while (*list && strcmp(*list, name) != 0) list++;
    return *list != NULL;
}

/* ---- one key */

static uint64_t read_choice(lua_State *L, const char *word, const struct entry_key *key)
{
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    struct suggest s = {.wanted = text};
    char hint[96], list[160] = "";

    for (uint64_t i = 0; key->choices[i]; i++) {
        if (strcmp(key->choices[i], text) == 0) return i;
        suggest_add(&s, key->choices[i]);
        if (i > 0) strncat(list, ", ", sizeof list - strlen(list) - 1);
        strncat(list, key->choices[i], sizeof list - strlen(list) - 1);
    }
    return (uint64_t)luaL_error(L, "%s: '%s' is one of %s%s", word, key->name, list,
                                suggest_text(&s, hint, sizeof hint));
}

/* Numbers as people read them here. */
static const char *amount(lua_State *L, enum entry_type type, uint64_t n)
{
    static const struct {
        uint64_t unit;
        const char *name;
    } times[] = {{3600000000u, "hour"}, {60000000, "min"}, {1000000, "sec"}, {1000, "ms"}},
      sizes[] = {{1u << 30, "GB"}, {1u << 20, "MB"}, {1u << 10, "KB"}};

    if (n > 0 && type == ENTRY_TIME)
        for (size_t i = 0; i < 4; i++)
            if (n % times[i].unit == 0)
                return lua_pushfstring(L, "%I*%s", (LUAI_UACINT)(n / times[i].unit), times[i].name);
    if (n > 0 && type == ENTRY_BYTES)
        for (size_t i = 0; i < 3; i++)
            if (n % sizes[i].unit == 0)
                return lua_pushfstring(L, "%I*%s", (LUAI_UACINT)(n / sizes[i].unit), sizes[i].name);
    return lua_pushfstring(L, "%I", (LUAI_UACINT)n);
}

/* The value that is no such number, which lies where the caller found it. */
static const char *what_came(lua_State *L, int index, const struct entry_key *key)
{
    if (lua_type(L, index) != LUA_TNUMBER)
        return lua_pushfstring(L, "a %s", luaL_typename(L, index));
    luaL_tolstring(L, index, NULL);
    if (key->type != ENTRY_TIME) return lua_tostring(L, -1);
    return lua_pushfstring(L, "%s microseconds", lua_tostring(L, -1));
}

static uint64_t read_number(lua_State *L, const char *word, const struct entry_key *key)
{
    int at = lua_gettop(L);
    lua_Number n = lua_tonumber(L, at);
    bool is_fine = lua_type(L, at) == LUA_TNUMBER && n >= (lua_Number)key->least &&
                   n <= (lua_Number)key->most &&
                   (key->type == ENTRY_TIME || n == (lua_Number)(uint64_t)n);

    if (!is_fine)
        return (uint64_t)luaL_error(
            L, "%s: '%s' is a %s of %s to %s and not %s%s%s", word, key->name,
            key->type == ENTRY_BYTES  ? "number of bytes"
            : key->type == ENTRY_TIME ? "time"
                                      : "number",
            amount(L, key->type, key->least), amount(L, key->type, key->most),
            what_came(L, at, key), key->why ? ", " : "", key->why ? key->why : "");
    return (uint64_t)n;
}

/* The key's value, from the table at index. */
static uint64_t read_key(lua_State *L, int index, const char *word, const struct entry_key *key)
{
    uint64_t value = key->fallback;

    lua_getfield(L, index, key->name);
    if (lua_isnil(L, -1)) {
        if (key->required)
            luaL_error(L, "%s: '%s' is missing%s%s", word, key->name,
                       key->why ? ": it is there " : "", key->why ? key->why : "");
    } else if (key->type == ENTRY_CHOICE)
        value = read_choice(L, word, key);
    else if (key->type == ENTRY_BOOL) {
        if (!lua_isboolean(L, -1)) luaL_error(L, "%s: '%s' is true or false", word, key->name);
        value = (uint64_t)lua_toboolean(L, -1);
    } else
        value = read_number(L, word, key);
    lua_pop(L, 1);
    return value;
}

/* Raise for the first (by alphabet) key of the table at index that is not in the list. */
static void refuse_unknown(lua_State *L, int index, const char *word, const char *const *known)
{
    const char *worst = NULL;
    struct suggest s = {0};
    char hint[96];

    vm_charge_walk(L, index);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        const char *name;
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "%s: every value has a name here: { bytes = 256 }", word);
        name = lua_tostring(L, -2);
        if (!is_one_of(name, known) && (!worst || strcmp(name, worst) < 0)) worst = name;
    }
    if (!worst) return;
    s.wanted = worst;
    for (; *known; known++) suggest_add(&s, *known);
    luaL_error(L, "%s: there is no '%s'%s", word, worst, suggest_text(&s, hint, sizeof hint));
}

/* ---- message { ... }, request { ... } ... */

static int current_line(lua_State *L)
{
    lua_Debug at;

    if (!lua_getstack(L, 1, &at) || !lua_getinfo(L, "l", &at)) return 0;
    return at.currentline;
}

static int make_entry(lua_State *L)
{
    const struct entry_ops *ops = lua_touserdata(L, lua_upvalueindex(1));
    const char *names[ENTRY_KEYS_MAX + 1] = {NULL};
    struct entry_value *value;

    load_check(L);
    if (lua_type(L, 1) != LUA_TTABLE || lua_gettop(L) != 1)
        return luaL_error(L, "%s takes a table: %s { ... }", ops->word, ops->word);
    for (size_t i = 0; ops->keys[i].name; i++) names[i] = ops->keys[i].name;
    refuse_unknown(L, 1, ops->word, names);
    value = lua_newuserdatauv(L, sizeof *value, 0);
    memset(value, 0, sizeof *value);
    value->ops = ops;
    value->line = current_line(L);
    luaL_setmetatable(L, ENTRY_CLASS);
    for (size_t i = 0; ops->keys[i].name; i++)
        value->values[i] = read_key(L, 1, ops->word, &ops->keys[i]);
    return 1;
}

/* ---- protocol, game */

static bool is_identifier(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");

    return len > 0 && name[len] == 0 && !(name[0] >= '0' && name[0] <= '9') &&
           len < sizeof((struct entry *)0)->name;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct entry *const *)a)->name, (*(struct entry *const *)b)->name);
}

static void add_entry(lua_State *L, struct script *script, const char *name)
{
    struct entry_value *value = luaL_testudata(L, -1, ENTRY_CLASS);
    struct entry *e;

    if (!value) {
        struct suggest s = {.wanted = name};
        char hint[96];
        for (size_t i = 0; own_keys[i]; i++) suggest_add(&s, own_keys[i]);
        luaL_error(L,
                   "%s: '%s' is a %s: message {...}, request {...}, view {...} or the like stands "
                   "there%s",
                   script->protocol, name, luaL_typename(L, -1),
                   suggest_text(&s, hint, sizeof hint));
        return;
    }
    if (value->script) luaL_error(L, "%s: '%s' has another name already", script->protocol, name);
    if (is_one_of(name, taken) || !is_identifier(name))
        luaL_error(L, "%s: '%s' cannot be the name of a %s", script->protocol, name,
                   value->ops->word);
    if (script->entry_count == ENTRIES_MAX)
        luaL_error(L, "%s: more than %d entries", script->protocol, (int)ENTRIES_MAX);
    e = calloc(1, sizeof *e);
    if (!e) luaL_error(L, "no memory");
    script->entries[script->entry_count++] = e;
    e->ops = value->ops;
    e->script = script;
    strcpy(e->name, name);
    memcpy(e->values, value->values, sizeof e->values);
    value->script = script;
}

/* A table without any key, which may have many empty places. */
static bool is_empty_table(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TTABLE || lua_getmetatable(L, index)) return false;
    vm_charge_walk(L, index);
    lua_pushnil(L);
    return !lua_next(L, index);
}

/* Every entry's value, by name, and its index, once they are in order. */
static void index_entries(lua_State *L, struct script *script, int table)
{
    qsort(script->entries, script->entry_count, sizeof script->entries[0], by_name);
    lua_createtable(L, 0, (int)script->entry_count);
    for (uint32_t i = 0; i < script->entry_count; i++) {
        struct entry_value *value;
        script->entries[i]->index = i;
        lua_getfield(L, table, script->entries[i]->name);
        value = lua_touserdata(L, -1);
        value->index = i;
        lua_setfield(L, -2, script->entries[i]->name);
    }
    script->values = luaL_ref(L, LUA_REGISTRYINDEX);
}

static void read_fields(lua_State *L, struct script *script, int table)
{
    int given, count = 0;

    lua_newtable(L);
    lua_getfield(L, table, "fields");
    given = lua_gettop(L);
    if (!lua_isnil(L, given) && !lua_istable(L, given))
        luaL_error(L, "%s: fields is a table: { name = first value }", script->protocol);
    if (lua_istable(L, given)) {
        vm_charge_walk(L, given);
        lua_pushnil(L);
    }
    while (lua_istable(L, given) && lua_next(L, given)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        int type = lua_type(L, -1);
        if (!is_identifier(name) || is_one_of(name, taken) || script_entry(script, name))
            luaL_error(L, "%s: '%s' cannot be the name of a field", script->protocol, name);
        if (type != LUA_TNUMBER && type != LUA_TSTRING && type != LUA_TBOOLEAN &&
            !is_empty_table(L, lua_gettop(L)))
            luaL_error(L, "%s: the field '%s' begins as a number, a string, a boolean or {}",
                       script->protocol, name);
        if (++count > FIELDS_MAX)
            luaL_error(L, "%s: more than %d fields", script->protocol, (int)FIELDS_MAX);
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, given - 1);
    }
    lua_settop(L, given - 1);
    script->fields = luaL_ref(L, LUA_REGISTRYINDEX);
}

static bool has_kind(const struct script *script, const char *word)
{
    for (uint32_t i = 0; i < script->entry_count; i++)
        if (strcmp(script->entries[i]->ops->word, word) == 0) return true;
    return false;
}

static void read_numbers(lua_State *L, struct script *script, int table)
{
    struct entry_key serve = {"serve",
                              ENTRY_COUNT,
                              false,
                              1,
                              SERVER_SERVE_MAX,
                              SERVE_FALLBACK,
                              NULL,
                              "so that no crowd of peers takes more: handlers at once"};
    struct entry_key per_peer = {"per_peer",       ENTRY_COUNT, false, 1,
                                 SERVER_SERVE_MAX, 0,           NULL,  NULL};
    static const struct entry_key half_life = {
        "half_life", ENTRY_TIME, false, 1000000, 366ull * 86400 * 1000000, 0, NULL, NULL};

    serve.required =
        has_kind(script, "request") || has_kind(script, "range") || has_kind(script, "stream");
    script->serve = (uint32_t)read_key(L, table, script->protocol, &serve);
    per_peer.fallback = script->serve < 4 ? 1 : script->serve / 4;
    per_peer.most = script->serve;
    script->per_peer = (uint32_t)read_key(L, table, script->protocol, &per_peer);
    script->half_life_us = read_key(L, table, script->protocol, &half_life);
    if (script->half_life_us == 0) script->half_life_us = half_life_fallback_us;
}

static int declare(lua_State *L, bool is_game, const char *name, int table)
{
    struct script *script = load_check(L);
    size_t len = strlen(name);

    if (script->is_declared)
        return luaL_error(L, "a file declares one protocol or game: %s is declared already",
                          script->protocol);
    if (len == 0 || len > NAME_MAX_BYTES || strncmp(name, "weir/", 5) == 0 || name[len - 1] == '/')
        return luaL_error(L, "'%s': a name is 1 to %d characters, as \"echo/1\"", name,
                          (int)NAME_MAX_BYTES);
    for (const char *c = name; *c; c++)
        if (*c <= ' ' || *c > '~')
            return luaL_error(L, "'%s': a name is printable ASCII without spaces", name);
    script->is_declared = true;
    script->is_game = is_game;
    strcpy(script->protocol, name);
    script->entries = calloc(ENTRIES_MAX, sizeof *script->entries);
    if (!script->entries) return luaL_error(L, "no memory");
    vm_charge_walk(L, table);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            return luaL_error(L, "%s: every entry has a name: { ping = message {...} }", name);
        if (!is_one_of(lua_tostring(L, -2), own_keys)) add_entry(L, script, lua_tostring(L, -2));
    }
    index_entries(L, script, table);
    read_fields(L, script, table);
    read_numbers(L, script, table);
    script_make_object(L, script);
    return 1;
}

static int declare_later(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    return declare(L, lua_toboolean(L, lua_upvalueindex(2)), lua_tostring(L, lua_upvalueindex(1)),
                   1);
}

/* Upvalue: whether it is `game`. */
static int word_declare(lua_State *L)
{
    load_check(L);
    luaL_checktype(L, 1, LUA_TSTRING);
    if (!lua_isnoneornil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
        return declare(L, lua_toboolean(L, lua_upvalueindex(1)), lua_tostring(L, 1), 2);
    }
    lua_pushvalue(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, declare_later, 2);
    return 1;
}

/* ---- words */

void words_declare(lua_State *L)
{
    static const struct {
        const char *name;
        lua_Integer value;
    } units[] = {{"KB", 1 << 10},  {"MB", 1 << 20},   {"GB", 1 << 30},       {"ms", 1000},
                 {"sec", 1000000}, {"min", 60000000}, {"hour", 3600000000ll}};

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        lua_pushinteger(L, units[i].value);
        sandbox_set(L, units[i].name);
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        lua_pushlightuserdata(L, (void *)(uintptr_t)kinds[i]);
        lua_pushcclosure(L, make_entry, 1);
        sandbox_set(L, kinds[i]->word);
    }
    for (int is_game = 0; is_game < 2; is_game++) {
        lua_pushboolean(L, is_game);
        lua_pushcclosure(L, word_declare, 1);
        sandbox_set(L, is_game ? "game" : "protocol");
    }
}
