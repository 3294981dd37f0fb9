/* SPDX-License-Identifier: MIT */
/* use "name": a game over a game. A module is a script of its own with an instance of its own on
 * every node where its user runs: its timers, views and what it serves are there, and end with the
 * user's. It shares the user's Lua state, and is granted nothing that the user is not.
 *
 * What the user gets looks like the module's object: entries to talk to, methods to call, which
 * run on the module's instance in the handler that calls them, and what its `self` has for a
 * view or a feed. */
#include "declare.h"
#include "embedded.h"
#include "instance.h"
#include "load.h"
#include "sandbox.h"
#include "suggest.h"
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 8, NAME_BYTES_MAX = 64, PATH_BYTES_MAX = 1024, COST = 10 };

/* ---- where it is */

static bool is_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

    return len > 0 && len <= NAME_BYTES_MAX && name[len] == 0;
}

/* The one place here that reads a file itself: while a script loads, before anything runs.
 * @return NULL: there is none, or it is too long; else yours */
static char *read_text(const char *path, size_t *len)
{
    FILE *in = fopen(path, "rb");
    char *text = in ? malloc(VM_SOURCE_BYTES_MAX + 1) : NULL;

    *len = 0;
    if (text) *len = fread(text, 1, VM_SOURCE_BYTES_MAX + 1, in);
    if (text && (ferror(in) || *len > VM_SOURCE_BYTES_MAX)) {
        free(text);
        text = NULL;
    }
    if (in) fclose(in);
    return text;
}

char *load_module_text(const char *name, size_t *len)
{
    return embedded_find(name) ? NULL : read_text(name, len);
}

struct found {
    char path[PATH_BYTES_MAX]; /* what the module is called */
    char *text;                /* to be freed; NULL: not found, or carried */
    const struct embedded *carried;
    size_t len;
};

static bool find_at(struct found *f, const char *folder, size_t folder_len, const char *name)
{
    int len = snprintf(f->path, sizeof f->path, "%.*s%s.lua", (int)folder_len, folder, name);

    if (len < 0 || (size_t)len >= sizeof f->path) return false;
    f->text = read_text(f->path, &f->len);
    return f->text != NULL;
}

/* Beside the file that says `use`, in the module folders, among those that weir carries. */
static bool find(struct found *f, const struct script *user, const char *name)
{
    static const char *const folders[] = {"games/", "protocols/", "weir/"};
    const char *slash = strrchr(user->name, '/');
    char folder[PATH_BYTES_MAX];

    f->text = NULL;
    f->carried = NULL;
    /* What weir carries has no folder on the disk. */
    if (!embedded_find(user->name) &&
        find_at(f, user->name, slash ? (size_t)(slash - user->name) + 1 : 0, name))
        return true;
    for (char **at = user->lua->modules; at && *at; at++) {
        int len = snprintf(folder, sizeof folder, "%s/", *at);
        if (len > 0 && (size_t)len < sizeof folder && find_at(f, folder, (size_t)len, name))
            return true;
    }
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        snprintf(f->path, sizeof f->path, "%s%s.lua", folders[i], name);
        f->carried = embedded_find(f->path);
        if (f->carried) return true;
    }
    return false;
}

/* ---- what it is in Lua */

#define MODULE_CLASS "module"

/* A userdata whose user value is P of the module. */
static struct script *module_script(lua_State *L, int index)
{
    const struct object_value *object;

    luaL_checkudata(L, index, MODULE_CLASS);
    lua_getiuservalue(L, index, 1);
    object = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return object->script;
}

static int called(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return lua_gettop(L);
}

/* A method of the module. Upvalues: the module, the function. */
static int call_method(lua_State *L)
{
    struct script *script = module_script(L, lua_upvalueindex(1));

    luaL_argcheck(L, lua_gettop(L) > 0 && lua_rawequal(L, 1, lua_upvalueindex(1)), 1,
                  "a method is called with ':'");
    vm_charge(L, COST);
    luaL_checkstack(L, 2, NULL);
    instance_push(instance_for(L, script), L);
    lua_replace(L, 1);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, 1);
    lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, called);
    return called(L, LUA_OK, 0);
}

static int module_index(lua_State *L)
{
    struct script *script = module_script(L, 1);
    const char *key = luaL_checkstring(L, 2);
    struct entry *e = script_entry(script, key);
    struct suggest s = {.wanted = key};
    char hint[96];

    /* In a handler, what the module's self has; elsewhere the entry. */
    if (e && e->ops->field && script->lua->current &&
        instance_at(script->lua->current->instance->place, script)) {
        e->ops->field(L, instance_for(L, script), e);
        return 1;
    }
    if (e) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, script->values);
        lua_pushvalue(L, 2);
        lua_rawget(L, -2);
        return 1;
    }
    lua_pushvalue(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->methods);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) == LUA_TFUNCTION) {
        lua_remove(L, -2);
        lua_pushcclosure(L, call_method, 2);
        return 1;
    }
    script_suggest(L, script, &s);
    return luaL_error(L, "%s has no '%s'%s", script->protocol, key,
                      suggest_text(&s, hint, sizeof hint));
}

static int module_newindex(lua_State *L)
{
    return luaL_error(L, "%s belongs to another script: it cannot be changed",
                      module_script(L, 1)->protocol);
}

static int module_tostring(lua_State *L)
{
    lua_pushstring(L, module_script(L, 1)->protocol);
    return 1;
}

/* ---- use */

static void check_depth(lua_State *L, const struct script *user, const char *name)
{
    int depth = 1;

    /* One that is loaded anew has the state of the one that it replaces, and its place. */
    for (const struct script *s = user; s; s = s->user == s->replaces ? NULL : s->user) depth++;
    if (depth > DEPTH_MAX)
        luaL_error(L, "use \"%s\": modules use each other more than %d deep", name, (int)DEPTH_MAX);
}

static int load_found(lua_State *L)
{
    const struct found *f = lua_touserdata(L, 1);

    load_module(L, f->path, f->carried ? f->carried->text : f->text,
                f->carried ? f->carried->len : f->len);
    return 1;
}

static int word_use(lua_State *L)
{
    struct script *user = load_check(L);
    const char *name = luaL_checkstring(L, 1);
    struct found f;
    int status;

    luaL_argcheck(L, is_name(name), 1, "the name of a script, without \".lua\"");
    check_depth(L, user, name);
    if (!find(&f, user, name)) return luaL_error(L, "use \"%s\": there is no %s.lua", name, name);
    lua_settop(L, 1);
    lua_pushcfunction(L, load_found);
    lua_pushlightuserdata(L, &f);
    status = lua_pcall(L, 1, 1, 0);
    free(f.text);
    vm_pass_stop(L);
    if (status != LUA_OK) return lua_error(L);
    if (!luaL_testudata(L, 2, OBJECT_CLASS))
        return luaL_error(L, "use \"%s\": it declares no protocol and no game", name);
    lua_newuserdatauv(L, 0, 1);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 1);
    luaL_setmetatable(L, MODULE_CLASS);
    return 1;
}

void words_use(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__index", module_index},
                                    {"__newindex", module_newindex},
                                    {"__tostring", module_tostring},
                                    {NULL, NULL}};

    sandbox_class(L, MODULE_CLASS, NULL, meta);
    lua_pushcfunction(L, word_use);
    sandbox_set(L, "use");
}
