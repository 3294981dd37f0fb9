/* SPDX-License-Identifier: MIT */
/* A script on a node. In Lua it is one table, self, with the declared fields in it; everything else
 * that self answers comes from the metatable of the script, which all instances share: methods by
 * Lua's own look-up, what entries are (views, feeds ...) by a function of C. So an idle instance
 * costs a table and its hash part. */
#include "stream_state.h"
#include "instance.h"
#include "lines.h"
#include "load.h"
#include "peers.h"
#include "server.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

uint64_t instance_random(void *context)
{
    struct instance *in = context;

    return random_next(&in->random);
}

struct instance *instance_at(struct place *place, const struct script *script)
{
    for (struct list *l = place->instances.next; l != &place->instances; l = l->next) {
        struct instance *in = list_entry(l, struct instance, link);
        if (in->script == script) return in;
    }
    return NULL;
}

struct instance *instance_for(lua_State *L, const struct script *script)
{
    struct task *t = task_check(L);
    struct instance *in = t->instance;

    if (in->script == script) return in;
    in = instance_at(in->place, script);
    if (!in) luaL_error(L, "%s does not run on this node", script->name);
    return in;
}

void instance_push(struct instance *in, lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, in->self);
}

bool instance_method(struct instance *in, lua_State *L, const char *name)
{
    if (in->script->methods == LUA_NOREF) return false;
    lua_rawgeti(L, LUA_REGISTRYINDEX, in->script->methods);
    lua_pushstring(L, name);
    if (lua_rawget(L, -2) == LUA_TFUNCTION) {
        lua_remove(L, -2);
        return true;
    }
    lua_pop(L, 2);
    return false;
}

/* ---- self */

static int make_self(lua_State *L)
{
    struct instance *in = lua_touserdata(L, 1);
    struct script *script = in->script;
    struct vm_owner *owner;
    int fields, count = 0;

    if (!script->is_declared) return 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->fields);
    fields = lua_gettop(L);
    vm_charge_walk(L, fields);
    for (lua_pushnil(L); lua_next(L, fields); lua_pop(L, 1)) count++;
    lua_createtable(L, 0, count);
    lua_pushnil(L);
    while (lua_next(L, fields)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        if (lua_istable(L, -1)) {
            lua_pop(L, 1);
            lua_newtable(L);
        }
        lua_rawset(L, fields + 1);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->meta);
    lua_setmetatable(L, fields + 1);
    owner = vm_owner_enter(script->vm, NULL); /* the registry grows for all */
    in->self = luaL_ref(L, LUA_REGISTRYINDEX);
    vm_owner_enter(script->vm, owner);
    return 0;
}

/* ---- its life */

static bool copy_arguments(struct instance *in, const char *const *arguments, uint32_t count)
{
    in->arguments = calloc((size_t)count + 1, sizeof *in->arguments);
    if (!in->arguments) return false;
    for (uint32_t i = 0; i < count; i++) {
        in->arguments[i] = strdup(arguments[i]);
        if (!in->arguments[i]) return false;
        in->argument_count++;
    }
    return true;
}

static void free_native(struct instance *in)
{
    for (uint32_t i = 0; i < in->argument_count; i++) free(in->arguments[i]);
    free(in->arguments);
    free(in);
}

/* The instance's own sequence, from the place's and the script's name: another script, or one more
 * draw of it, changes nobody else's. */
static uint64_t seed_of(const struct place *place, const struct script *script)
{
    uint64_t digest[WEIR_HASH_BYTES / 8];
    weir_hash hash;

    weir_hash_init(&hash);
    weir_hash_update(&hash, &place->random, sizeof place->random);
    weir_hash_update(&hash, script->name, strlen(script->name));
    weir_hash_final(&hash, digest);
    return digest[0];
}

static void end_entries(struct instance *in, uint32_t count)
{
    while (count-- > 0) {
        struct entry *e = in->script->entries[count];
        if (e->ops->end) e->ops->end(in, e);
    }
}

static int32_t begin_entries(struct instance *in, weir_error *error)
{
    for (uint32_t i = 0; i < in->script->entry_count; i++) {
        struct entry *e = in->script->entries[i];
        int32_t code = e->ops->begin ? e->ops->begin(in, e, error) : 0;
        if (code < 0) {
            end_entries(in, i);
            return code;
        }
    }
    return 0;
}

static void forget(struct instance *in)
{
    struct script *script = in->script;

    if (list_is_linked(&in->link)) list_remove(&in->link);
    spares_forget(in);
    luaL_unref(vm_main(script->vm), LUA_REGISTRYINDEX, in->self);
    vm_owner_end(script->vm, &in->owner);
    free_native(in);
}

static int32_t begin_all(struct instance *in, weir_error *error)
{
    int32_t code = server_begin(in, error);

    if (code < 0) return code;
    code = begin_entries(in, error);
    if (code < 0) {
        server_end(in);
        return code;
    }
    if (timers_start(in)) return 0;
    timers_end(in, false);
    end_entries(in, in->script->entry_count);
    server_end(in);
    return error_fill(error, WEIR_E_MEMORY, "%s: no memory for its timers", in->script->name);
}

static int32_t open_one(struct script *script, struct place *place, struct instance *user,
                        struct instance **out, weir_error *error)
{
    const weir_lua_options *options = &script->lua->options;
    struct instance *in = calloc(1, sizeof *in + script->entry_count * sizeof in->states[0]);
    int32_t code;

    if (!in) return error_fill(error, WEIR_E_MEMORY, "no memory for an instance");
    in->script = script;
    in->place = place;
    in->user = user;
    in->self = LUA_NOREF;
    in->random = seed_of(place, script);
    in->owner.bytes_max = options->instance_bytes;
    if (in->owner.bytes_max == 0 && place->number > 0) in->owner.bytes_max = 64 * 1024;
    list_init(&in->tasks);
    list_init(&in->timers);
    if (!vm_owner_begin(script->vm, &in->owner)) {
        free_native(in);
        return error_fill(error, WEIR_E_LIMIT, "%s runs on too many nodes", script->name);
    }
    list_push(&place->instances, &in->link);
    if (task_protected(script, &in->owner, make_self, in) != LUA_OK) {
        forget(in);
        return error_fill(error, WEIR_E_MEMORY, "%s: its fields need more memory than it may use",
                          script->name);
    }
    code = begin_all(in, error);
    if (code < 0) {
        forget(in);
        return code;
    }
    *out = in;
    return 0;
}

static void close_modules(struct place *place, struct script *script)
{
    for (uint32_t i = 0; i < script->module_count; i++) {
        struct instance *in = instance_at(place, script->modules[i]);
        if (in) instance_close(in);
    }
}

int32_t instance_open(struct script *script, struct place *place, struct instance *user,
                      const char *const *arguments, uint32_t count, struct instance **out,
                      weir_error *error)
{
    struct instance *in = NULL;
    int32_t code = open_one(script, place, user, &in, error);

    if (code < 0) return code;
    if (!copy_arguments(in, arguments, count)) {
        instance_close(in);
        return error_fill(error, WEIR_E_MEMORY, "no memory for the arguments");
    }
    for (uint32_t i = 0; i < script->module_count; i++) {
        struct instance *module;
        code = instance_open(script->modules[i], place, in, NULL, 0, &module, error);
        if (code == 0) continue;
        instance_close(in);
        return code;
    }
    *out = in;
    return 0;
}

static int push_arguments(lua_State *co, void *context)
{
    struct instance *in = context;

    luaL_checkstack(co, (int)in->argument_count, "too many arguments");
    for (uint32_t i = 0; i < in->argument_count; i++) lua_pushstring(co, in->arguments[i]);
    return (int)in->argument_count;
}

void instance_start(struct instance *in)
{
    for (uint32_t i = 0; i < in->script->module_count; i++) {
        struct instance *module = instance_at(in->place, in->script->modules[i]);
        if (module) instance_start(module);
    }
    instance_call(in, "start", push_arguments, in);
}

struct task *instance_call(struct instance *in, const char *method, task_push push, void *context)
{
    struct task_call call = {.method = method, .push = push, .context = context};

    return task_start(in, &call, NULL);
}

void instance_close(struct instance *in)
{
    struct task *t;

    if (in->stopping) return;
    instance_call(in, "stop", NULL, NULL);
    in->stopping = true;
    while ((t = list_first(&in->tasks, struct task, link)) != NULL) task_cancel(t);
    timers_end(in, false);
    close_modules(in->place, in->script);
    server_end(in);
    end_entries(in, in->script->entry_count);
    streams_end(in);
    links_end(in);
    peer_scores_end(in);
    forget(in);
}
