/* SPDX-License-Identifier: MIT */
/* What a script does wrong is said when it loads, as far as it can be known then.
 *
 * 1. Compile. 2. Look at every global name that the code reads or writes. 3. Run the file itself.
 * 4. Look whether the declaration is whole: every entry that is served needs its function. 5. Now
 * that it is known what P has, look at every P.name in the code, at those that have not run too:
 * which local variables hold P is seen from the functions that the file made. */
#include "load.h"
#include "check.h"
#include "declare.h"
#include "instance.h"
#include "lines.h"
#include "response.h"
#include "sandbox.h"
#include "suggest.h"
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 8, DEPTH_MAX = 4, OWNERS_MAX = 1 << 24, MESSAGES_LEAST = 64 };

struct loading {
    struct script *script;
    const char *text;
    size_t len;
    int chunk; /* registry reference */
    bool is_fine;
    char message[500]; /* what is wrong */
    /* For the look at names. */
    lua_State *L;
    unsigned name_count;
    char names[NAMES_MAX][64]; /* of variables that hold P */
    char hint[256];
};

struct script *load_check(lua_State *L)
{
    weir_lua *lua = runtime_of(L);
    lua_Debug at;

    if (lua->loading) return lua->loading;
    at.name = NULL;
    if (lua_getstack(L, 0, &at)) lua_getinfo(L, "n", &at);
    luaL_error(L, "%s works while the file loads, not in a handler", at.name ? at.name : "this");
    return NULL;
}

/* ---- names */

static const char *check_global(void *context, const char *table, const char *key, bool is_write)
{
    struct loading *l = context;
    struct suggest s = {.wanted = key};
    char near[96];
    lua_State *L = l->L;
    bool exists;

    if (strcmp(table, "_ENV") != 0 || !lua_checkstack(L, 8)) return NULL;
    sandbox_push(L);
    if (!sandbox_thaw(L, -1)) lua_pushvalue(L, -1);
    lua_pushstring(L, key);
    exists = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 1);
    if (exists && !is_write) {
        lua_pop(L, 2);
        return NULL;
    }
    if (!exists) {
        struct suggest one;
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
            if (lua_type(L, -2) != LUA_TSTRING) continue;
            one = (struct suggest){.wanted = key};
            suggest_add(&one, lua_tostring(L, -2));
            if (one.best[0] && (!s.best[0] || one.distance < s.distance ||
                                (one.distance == s.distance && strcmp(one.best, s.best) < 0)))
                s = one;
        }
    }
    lua_pop(L, 2);
    suggest_text(&s, near, sizeof near);
    if (!is_write)
        snprintf(l->hint, sizeof l->hint, "no such name%.95s",
                 sandbox_instead(key) ? sandbox_instead(key) : near);
    else if (exists)
        snprintf(l->hint, sizeof l->hint, "what every script has cannot be changed");
    else
        snprintf(l->hint, sizeof l->hint, "there are no global variables: write 'local %.60s'%.95s",
                 key, near);
    return l->hint;
}

static const char *check_object(void *context, const char *table, const char *key, bool is_write)
{
    struct loading *l = context;
    const struct script *script = l->script;
    struct suggest s = {.wanted = key};
    lua_State *L = l->L;
    char near[96];
    unsigned i = 0;
    bool exists;

    while (i < l->name_count && strcmp(l->names[i], table) != 0) i++;
    if (i == l->name_count || is_write || !lua_checkstack(L, 8)) return NULL;
    if (strcmp(key, "every") == 0 || script_entry(script, key)) return NULL;
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->methods);
    lua_pushstring(L, key);
    exists = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 2);
    if (exists) return NULL;
    script_suggest(L, script, &s);
    snprintf(l->hint, sizeof l->hint, "%s has no such name%s", table,
             suggest_text(&s, near, sizeof near));
    return l->hint;
}

/* Remember the names under which the function on top, or one that it holds, has P. */
static void find_names(lua_State *L, struct loading *l, int object, int depth)
{
    const char *name;
    int function = lua_gettop(L);

    luaL_checkstack(L, 4, NULL);
    if (lua_iscfunction(L, function)) return;
    for (int i = 1; i < 64 && (name = lua_getupvalue(L, function, i)) != NULL; i++) {
        if (lua_rawequal(L, -1, object) && l->name_count < NAMES_MAX && strlen(name) < 64)
            strcpy(l->names[l->name_count++], name);
        else if (lua_type(L, -1) == LUA_TFUNCTION && depth < DEPTH_MAX)
            find_names(L, l, object, depth + 1);
        lua_pop(L, 1);
    }
}

static void find_object(lua_State *L, struct loading *l)
{
    struct script *script = l->script;
    int object;

    lua_rawgeti(L, LUA_REGISTRYINDEX, script->object);
    object = lua_gettop(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->methods);
    for (lua_pushnil(L); lua_next(L, object + 1); lua_pop(L, 1))
        if (l->name_count < NAMES_MAX / 2) find_names(L, l, object, 0);
    for (uint32_t i = 0; i < script->timer_count && l->name_count < NAMES_MAX; i++) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, script->timers[i].function);
        find_names(L, l, object, 0);
        lua_pop(L, 1);
    }
    lua_settop(L, object - 1);
}

/* ---- the file */

/* Compile and look at global names; the chunk is left on the stack. @return false: message */
static bool compile(lua_State *L, struct loading *l)
{
    char name[264];
    int status;

    snprintf(name, sizeof name, "@%s", l->script->name);
    l->L = L;
    status = vm_load(l->script->vm, L, l->text, l->len, name);
    if (status != LUA_OK) {
        snprintf(l->message, sizeof l->message, "%s", lua_tostring(L, -1));
        return false;
    }
    return check_function(L, check_global, l, l->message, sizeof l->message);
}

static void check_whole(lua_State *L, struct script *script)
{
    uint64_t messages = MESSAGES_LEAST;

    if (script->object == LUA_NOREF)
        luaL_error(L, "%s: what it declares was refused", script->name);
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->methods);
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->values);
    for (uint32_t i = 0; i < script->entry_count; i++) {
        const struct entry *e = script->entries[i];
        const struct entry_value *value;
        if (strcmp(e->ops->word, "view") == 0 && 2 * entry_get(e, "cap") > messages)
            messages = 2 * entry_get(e, "cap");
        if (!e->ops->needs_method) continue;
        lua_pushstring(L, e->name);
        lua_rawget(L, -3);
        if (!lua_isnil(L, -1)) {
            lua_pop(L, 1);
            continue;
        }
        lua_getfield(L, -2, e->name);
        value = lua_touserdata(L, -1);
        lua_pushfstring(L, "%s:%d: '%s' is declared as a %s, and there is no function P:%s",
                        script->name, value->line, e->name, e->ops->word, e->name);
        lua_error(L);
    }
    lua_pop(L, 2);
    script->event_messages = messages > UINT32_MAX ? UINT32_MAX : (uint32_t)messages;
}

/* Run the chunk on top of the stack, and look whether all is there. Pops it. */
static void run(lua_State *L, struct loading *l)
{
    struct script *script = l->script;
    int chunk = lua_gettop(L);

    l->L = L;
    script->event_messages = MESSAGES_LEAST;
    script->lua->loading = script;
    lua_pushvalue(L, chunk);
    lua_call(L, 0, 0);
    if (!script->is_declared) {
        lua_settop(L, chunk - 1);
        return;
    }
    check_whole(L, script);
    if (script->lua->options.messages_per_event)
        script->event_messages = script->lua->options.messages_per_event;
    find_object(L, l);
    lua_settop(L, chunk);
    if (!check_function(L, check_object, l, l->message, sizeof l->message)) {
        lua_pushstring(L, l->message);
        lua_error(L);
    }
    lua_settop(L, chunk - 1);
}

static int compile_body(lua_State *L)
{
    struct loading *l = lua_touserdata(L, 1);

    if (!compile(L, l)) return 0;
    l->chunk = luaL_ref(L, LUA_REGISTRYINDEX);
    l->is_fine = true;
    return 0;
}

static int run_body(lua_State *L)
{
    struct loading *l = lua_touserdata(L, 1);

    lua_rawgeti(L, LUA_REGISTRYINDEX, l->chunk);
    run(L, l);
    return 0;
}

/* The first line, which is what fits into facts. */
static int32_t wrong(weir_error *error, const char *text)
{
    return error_fill(error, WEIR_E_ARGUMENT, "%.*s", (int)strcspn(text, "\n"), text);
}

int32_t load_text(struct script *script, const char *text, size_t len, weir_error *error)
{
    struct loading l = {.script = script, .text = text, .len = len, .chunk = LUA_NOREF};
    struct vm *vm = script->vm;
    lua_State *L = vm_main(vm);
    int status;

    if (len > VM_SOURCE_BYTES_MAX)
        return error_fill(error, WEIR_E_ARGUMENT, "%s: longer than 1 MiB", script->name);
    if (task_protected(script, NULL, compile_body, &l) != LUA_OK)
        return error_fill(error, WEIR_E_MEMORY, "%s: no memory to compile it", script->name);
    if (!l.is_fine) return wrong(error, l.message);
    if (!lua_checkstack(L, 8)) return error_fill(error, WEIR_E_MEMORY, "no memory");
    lua_pushcfunction(L, run_body);
    lua_pushlightuserdata(L, &l);
    status = vm_call(vm, 1, 0);
    script->lua->loading = NULL;
    luaL_unref(L, LUA_REGISTRYINDEX, l.chunk);
    if (status == LUA_OK) return 0;
    return wrong(error, vm_error(vm));
}

static int open_words(lua_State *L)
{
    static void (*const words[])(lua_State *) = {
        words_script,  words_declare,  words_base,   words_timer, words_message,
        words_request, words_response, words_stream, words_peer,  words_view,
        words_feed,    words_fetch,    words_local,  words_use};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        lua_settop(L, 0);
        luaL_checkstack(L, 20, NULL);
        words[i](L);
    }
    return 0;
}

bool load_open_state(struct script *script)
{
    const weir_lua_options *o = &script->lua->options;
    struct vm_options options = {.memory_bytes = o->memory_bytes,
                                 .instructions = o->instructions,
                                 .owners_max = OWNERS_MAX,
                                 .seed = o->seed};

    script->vm = vm_open(&options);
    if (!script->vm) return false;
    vm_set_user(script->vm, script);
    vm_set_print(script->vm, lines_on_print, script);
    return task_protected(script, NULL, open_words, script) == LUA_OK;
}

/* ---- modules */

static int module_body(lua_State *L)
{
    struct loading *l = lua_touserdata(L, 1);

    if (!compile(L, l)) {
        lua_pushstring(L, l->message);
        return lua_error(L);
    }
    run(L, l);
    lua_rawgeti(L, LUA_REGISTRYINDEX, l->script->object);
    return 1;
}

static struct script *add_module(lua_State *L, struct script *user, const char *name)
{
    struct script **modules, *module;

    for (const struct script *s = user; s; s = s->user)
        if (strcmp(s->name, name) == 0) luaL_error(L, "%s uses itself", name);
    modules = realloc(user->modules, (user->module_count + 1) * sizeof *modules);
    if (modules) user->modules = modules;
    module = modules ? script_new(user->lua, name, user) : NULL;
    if (!module) {
        luaL_error(L, "no memory for a module");
        return NULL;
    }
    module->number = user->number;
    user->modules[user->module_count++] = module;
    return module;
}

static struct script *find_module(const struct script *user, const char *name)
{
    for (uint32_t i = 0; user && i < user->module_count; i++)
        if (strcmp(user->modules[i]->name, name) == 0) return user->modules[i];
    return NULL;
}

static void hash_text(const char *text, size_t len, uint8_t out[WEIR_HASH_BYTES])
{
    weir_hash hash;

    weir_hash_init(&hash);
    weir_hash_update(&hash, text, len);
    weir_hash_final(&hash, out);
}

/* Load a module beside the one that runs (NULL: none does). Pushes its P. */
static struct script *load_beside(lua_State *L, struct script *user, struct script *runs,
                                  struct loading *l, const char *name)
{
    int status;

    l->script = add_module(L, user, name);
    l->script->replaces = runs;
    hash_text(l->text, l->len, l->script->text_hash);
    lua_pushcfunction(L, module_body);
    lua_pushlightuserdata(L, l);
    status = lua_pcall(L, 1, 1, 0);
    user->lua->loading = user;
    vm_pass_stop(L);
    if (status != LUA_OK) lua_error(L);
    return l->script;
}

static bool is_same(const struct script *module, const char *text, size_t len)
{
    uint8_t hash[WEIR_HASH_BYTES];

    hash_text(text, len, hash);
    return memcmp(hash, module->text_hash, sizeof hash) == 0;
}

/* In a call of its own, so that the text is freed whatever happens. Stack: the module, its text in
 * a struct loading. */
static int load_changed(lua_State *L)
{
    struct script *module = lua_touserdata(L, 1);
    struct loading *l = lua_touserdata(L, 2);

    load_beside(L, load_check(L), module, l, module->name);
    return 0;
}

/* A module is kept: those that it uses may have changed all the same. */
static void look_below(lua_State *L, const struct script *module)
{
    luaL_checkstack(L, 4, NULL);
    for (uint32_t i = 0; i < module->module_count; i++) {
        struct script *below = module->modules[i];
        struct loading l = {0};
        char *text = load_module_text(below->name, &l.len);
        int status;

        bool is_kept = !text || is_same(below, text, l.len);

        if (is_kept) {
            free(text);
            look_below(L, below);
            continue;
        }
        l.text = text;
        lua_pushcfunction(L, load_changed);
        lua_pushlightuserdata(L, below);
        lua_pushlightuserdata(L, &l);
        status = lua_pcall(L, 2, 0, 0);
        free(text);
        vm_pass_stop(L);
        if (status != LUA_OK) lua_error(L);
    }
}

struct script *load_module(lua_State *L, const char *name, const char *text, size_t len)
{
    struct script *user = load_check(L), *module = find_module(user, name), *runs;
    struct loading l = {.text = text, .len = len};

    if (module) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, module->object);
        return module;
    }
    runs = find_module(user->replaces, name);
    if (!runs || !is_same(runs, text, len)) return load_beside(L, user, runs, &l, name);
    look_below(L, runs);
    lua_rawgeti(L, LUA_REGISTRYINDEX, runs->object);
    return runs;
}
