/* SPDX-License-Identifier: MIT */
/* A loaded file, and what stands for it in Lua.
 *
 * P is a userdata: reading P.name gives the entry of that name, or a function that the file gave
 * it; writing takes functions, and only while the file loads. The functions are kept in one table,
 * which is also where `self` looks first: self's metatable has it as __index, so a method call
 * never passes through C. What is in neither is asked of C at the end of that chain
 * (`answer_missing`): entries that are objects (views, feeds), fields that are nil at the moment,
 * and names that do not exist, which raise. */
#include "declare.h"
#include "instance.h"
#include "load.h"
#include "sandbox.h"
#include "suggest.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

struct script *script_new(weir_lua *lua, const char *name, struct script *user)
{
    struct script *script = calloc(1, sizeof *script);

    if (!script) return NULL;
    script->lua = lua;
    script->user = user;
    script->name = strdup(name);
    script->methods = script->object = script->meta = LUA_NOREF;
    script->fields = script->values = LUA_NOREF;
    if (!script->name) {
        free(script);
        return NULL;
    }
    if (user) script->vm = user->vm;
    return script;
}

void script_unref(struct script *script)
{
    int *refs[] = {&script->methods, &script->object, &script->meta, &script->fields,
                   &script->values};
    lua_State *L;

    if (!script->vm) return;
    L = vm_main(script->vm);
    for (size_t i = 0; i < sizeof refs / sizeof refs[0]; i++) {
        luaL_unref(L, LUA_REGISTRYINDEX, *refs[i]);
        *refs[i] = LUA_NOREF;
    }
    for (uint32_t i = 0; i < script->timer_count; i++)
        luaL_unref(L, LUA_REGISTRYINDEX, script->timers[i].function);
    script->timer_count = 0;
}

void script_free(struct script *script)
{
    if (!script) return;
    script_unref(script);
    for (uint32_t i = 0; i < script->module_count; i++) script_free(script->modules[i]);
    for (uint32_t i = 0; i < script->entry_count; i++) free(script->entries[i]);
    if (!script->user) vm_close(script->vm);
    free(script->modules);
    free(script->entries);
    free(script->timers);
    free(script->spares);
    free(script->name);
    free(script);
}

/* ---- entries */

struct entry *script_entry(const struct script *script, const char *name)
{
    /* By name: declare.c sorted them. */
    uint32_t low = 0, high = script->entry_count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int order = strcmp(script->entries[middle]->name, name);
        if (order == 0) return script->entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

uint64_t entry_get(const struct entry *e, const char *key)
{
    const struct entry_key *keys = e->ops->keys;

    /* Equal literals mostly are one, and on the way of each message this is asked often. */
    for (size_t i = 0; keys[i].name; i++)
        if (keys[i].name == key) return e->values[i];
    for (size_t i = 0; keys[i].name; i++)
        if (strcmp(keys[i].name, key) == 0) return e->values[i];
    abort();
}

const char *entry_wire_name(const struct entry *e, char out[136])
{
    size_t len = strlen(e->script->protocol), more = strlen(e->name);

    memcpy(out, e->script->protocol, len);
    out[len] = '/';
    memcpy(out + len + 1, e->name, more + 1);
    return out;
}

struct entry *script_check_entry(lua_State *L, int index, const char *const *kinds)
{
    struct entry_value *value = luaL_testudata(L, index, ENTRY_CLASS);
    char expected[128] = "";

    if (value && value->script) {
        if (!kinds) return value->script->entries[value->index];
        for (size_t i = 0; kinds[i]; i++)
            if (strcmp(kinds[i], value->ops->word) == 0)
                return value->script->entries[value->index];
    }
    for (size_t i = 0; kinds && kinds[i]; i++) {
        if (i > 0) strncat(expected, " or ", sizeof expected - strlen(expected) - 1);
        strncat(expected, kinds[i], sizeof expected - strlen(expected) - 1);
    }
    if (!kinds) strcpy(expected, "entry");
    luaL_argerror(L, index,
                  lua_pushfstring(L, "P.name of a %s expected, got %s", expected,
                                  value ? value->ops->word : luaL_typename(L, index)));
    return NULL;
}

/* ---- P */

/* The keys of the table on top. Their order depends on the run, so of equally near names the first
 * by alphabet wins. */
static void suggest_keys(lua_State *L, struct suggest *s)
{
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        struct suggest one = {.wanted = s->wanted};

        if (lua_type(L, -2) != LUA_TSTRING) continue;
        suggest_add(&one, lua_tostring(L, -2));
        if (one.best[0] && (!s->best[0] || one.distance < s->distance ||
                            (one.distance == s->distance && strcmp(one.best, s->best) < 0)))
            *s = one;
    }
}

void script_suggest(lua_State *L, const struct script *script, struct suggest *s)
{
    for (uint32_t i = 0; i < script->entry_count; i++) suggest_add(s, script->entries[i]->name);
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->methods);
    suggest_keys(L, s);
    lua_pop(L, 1);
    suggest_add(s, "every");
}

static int raise_missing(lua_State *L, const struct script *script, const char *what,
                         const char *key, bool has_fields)
{
    struct suggest s = {.wanted = key};
    char hint[96];

    luaL_checkstack(L, 6, NULL);
    if (has_fields) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, script->fields);
        suggest_keys(L, &s);
        lua_pop(L, 1);
    }
    script_suggest(L, script, &s);
    return luaL_error(L, "%s has no '%s'%s", what, key, suggest_text(&s, hint, sizeof hint));
}

static struct script *object_script(lua_State *L)
{
    struct object_value *object = luaL_checkudata(L, 1, OBJECT_CLASS);

    return object->script;
}

static int declare_every(lua_State *L)
{
    struct script *script = object_script(L);

    if (load_check(L) != script) return luaL_error(L, "every belongs to this file's own object");
    return timer_declare(L, script);
}

static int object_index(lua_State *L)
{
    struct script *script = object_script(L);
    const char *key = luaL_checkstring(L, 2);

    lua_rawgeti(L, LUA_REGISTRYINDEX, script->values);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL) return 1;
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->methods);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL) return 1;
    if (strcmp(key, "every") == 0) {
        lua_pushcfunction(L, declare_every);
        return 1;
    }
    return raise_missing(L, script, script->protocol, key, false);
}

static int object_newindex(lua_State *L)
{
    struct script *script = object_script(L);
    const char *key = luaL_checkstring(L, 2);
    const struct entry *e = script_entry(script, key);

    if (!script->lua->loading || script->lua->loading != script)
        return luaL_error(L, "%s.%s cannot be changed any more: the file is loaded",
                          script->protocol, key);
    if (lua_type(L, 3) != LUA_TFUNCTION)
        return luaL_error(L,
                          "%s takes functions; what an instance keeps is declared: fields = { %s "
                          "= ... }",
                          script->protocol, key);
    if (strcmp(key, "every") == 0)
        return luaL_error(L, "every is taken: call the function otherwise");
    if (e && e->ops->field)
        return luaL_error(L, "%s is a %s: it has no function", key, e->ops->word);
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->methods);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL)
        return luaL_error(L, "%s has a function '%s' already", script->protocol, key);
    lua_pop(L, 1);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_rawset(L, -3);
    return 0;
}

static int object_tostring(lua_State *L)
{
    lua_pushstring(L, object_script(L)->protocol);
    return 1;
}

static int entry_tostring(lua_State *L)
{
    struct entry_value *value = luaL_checkudata(L, 1, ENTRY_CLASS);

    if (!value->script)
        lua_pushstring(L, value->ops->word);
    else
        lua_pushfstring(L, "%s %s/%s", value->ops->word, value->script->protocol,
                        value->script->entries[value->index]->name);
    return 1;
}

/* P.NAME is what was declared; what a view, map, store or feed holds is in self.NAME. */
static int entry_index(lua_State *L)
{
    const struct entry_value *value = luaL_checkudata(L, 1, ENTRY_CLASS);
    const char *name = value->script ? value->script->entries[value->index]->name : "NAME";
    const char *key = sandbox_text(L, 2, NULL);

    if (value->script && value->script->entries[value->index]->ops->field)
        return luaL_error(L, "P.%s has no '%s': self.%s is the %s of this node", name, key, name,
                          value->ops->word);
    return luaL_error(L, "P.%s is a declaration, it has no '%s'", name, key);
}

/* ---- self */

static const struct object_value *upvalue_object(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

static bool is_field(lua_State *L, const struct script *script, int key)
{
    bool is;

    lua_rawgeti(L, LUA_REGISTRYINDEX, script->fields);
    lua_pushvalue(L, key);
    is = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 2);
    return is;
}

static int self_every(lua_State *L)
{
    return timer_every(L, instance_for(L, upvalue_object(L)->script));
}

/* __index at the end of the chain: of the table of methods. */
static int answer_missing(lua_State *L)
{
    struct script *script = upvalue_object(L)->script;
    const char *key = luaL_checkstring(L, 2);
    struct entry *e = script_entry(script, key);

    if (e && e->ops->field) {
        e->ops->field(L, instance_for(L, script), e);
        return 1;
    }
    if (is_field(L, script, 2)) return 0;
    if (strcmp(key, "every") == 0) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_pushcclosure(L, self_every, 1);
        return 1;
    }
    return raise_missing(L, script, "self", key, true);
}

static int self_newindex(lua_State *L)
{
    struct script *script = upvalue_object(L)->script;
    struct suggest s = {.wanted = luaL_checkstring(L, 2)};
    char hint[96];

    if (is_field(L, script, 2)) {
        lua_rawset(L, 1);
        return 0;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->fields);
    suggest_keys(L, &s);
    return luaL_error(L, "self has no field '%s': declare it in fields = { ... }%s", s.wanted,
                      suggest_text(&s, hint, sizeof hint));
}

void script_make_object(lua_State *L, struct script *script)
{
    struct object_value *object = lua_newuserdatauv(L, sizeof *object, 0);
    int at = lua_gettop(L);

    object->script = script;
    luaL_setmetatable(L, OBJECT_CLASS);
    lua_newtable(L); /* methods */
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, at);
    lua_pushcclosure(L, answer_missing, 1);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_createtable(L, 0, 4); /* the metatable of self */
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "__index");
    lua_pushvalue(L, at);
    lua_pushcclosure(L, self_newindex, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pushliteral(L, "self");
    lua_setfield(L, -2, "__name");
    script->meta = luaL_ref(L, LUA_REGISTRYINDEX);
    script->methods = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, at);
    script->object = luaL_ref(L, LUA_REGISTRYINDEX);
}

void script_move_values(lua_State *L, struct script *from, struct script *to)
{
    struct object_value *object;

    lua_rawgeti(L, LUA_REGISTRYINDEX, from->object);
    object = lua_touserdata(L, -1);
    object->script = to;
    lua_rawgeti(L, LUA_REGISTRYINDEX, from->values);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        struct entry_value *value = lua_touserdata(L, -1);
        value->script = to;
    }
    lua_pop(L, 2);
}

void words_script(lua_State *L)
{
    static const luaL_Reg object_meta[] = {{"__index", object_index},
                                           {"__newindex", object_newindex},
                                           {"__tostring", object_tostring},
                                           {NULL, NULL}};
    static const luaL_Reg entry_meta[] = {
        {"__tostring", entry_tostring}, {"__index", entry_index}, {NULL, NULL}};

    sandbox_class(L, OBJECT_CLASS, NULL, object_meta);
    sandbox_class(L, ENTRY_CLASS, NULL, entry_meta);
}
