/* SPDX-License-Identifier: MIT */
/* The functions of weir_lua.h: a runtime, its scripts, the nodes that they run on. */
#include "instance.h"
#include "lines.h"
#include "load.h"
#include "peers.h"
#include "server.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    SCRIPTS_MAX = 64,
    MODULES_MAX = 64,
    EVENTS_AT_ONCE = 64,
    INSTRUCTIONS = 100000,
    TIMERS_MAX = 256,
    TASKS_MAX = 1024,
    LOG_LINES = 1024,
    LOG_LINES_MAX = 1 << 20,
    NAME_BYTES_MAX = 240
};
static const uint64_t world_beside_bytes = 64 << 20, world_instance_bytes = 64 << 10;

/* ---- made and freed */

/* As weir.h has it: shorter is completed, longer must be 0 behind what we know. */
static int32_t read_options(weir_lua_options *out, const weir_lua_options *given)
{
    const unsigned char *bytes = (const unsigned char *)given;

    memset(out, 0, sizeof *out);
    if (!given) return 0;
    if (given->size < 8 || given->size % 8 != 0 || given->size > 4096) return WEIR_E_SIZE;
    for (size_t i = sizeof *out; i < given->size; i++)
        if (bytes[i] != 0) return WEIR_E_UNKNOWN_OPTION;
    memcpy(out, given, given->size < sizeof *out ? given->size : sizeof *out);
    return 0;
}

static bool copy_texts(weir_lua *lua)
{
    const weir_lua_options *o = &lua->options;
    size_t count = 0;

    if (o->files && !(lua->files = strdup(o->files))) return false;
    while (o->modules && o->modules[count] && count < MODULES_MAX) count++;
    lua->modules = calloc(count + 1, sizeof *lua->modules);
    if (!lua->modules) return false;
    for (size_t i = 0; i < count; i++)
        if (!(lua->modules[i] = strdup(o->modules[i]))) return false;
    return true;
}

static void complete(weir_lua_options *o)
{
    o->size = sizeof *o;
    if (o->instructions == 0) o->instructions = INSTRUCTIONS;
    if (o->timers_max == 0) o->timers_max = TIMERS_MAX;
    if (o->tasks_max == 0) o->tasks_max = TASKS_MAX;
    if (o->log_lines == 0) o->log_lines = LOG_LINES;
    if (o->log_lines > LOG_LINES_MAX) o->log_lines = LOG_LINES_MAX;
    /* What is pointed to is the caller's: `files` and `modules` of the runtime are the copies. */
    o->files = NULL;
    o->modules = NULL;
}

WEIR_LUA_API int32_t weir_lua_create(const weir_lua_options *options, weir_lua **out,
                                     weir_error *error)
{
    weir_lua_options whole;
    weir_lua *lua;
    int32_t code;

    if (!out) return error_fill(error, WEIR_E_NULL, "there is no room for the runtime's pointer");
    *out = NULL;
    code = read_options(&whole, options);
    if (code < 0) return error_fill(error, code, "%s", weir_strerror(code));
    lua = calloc(1, sizeof *lua);
    if (!lua) return error_fill(error, WEIR_E_MEMORY, "no memory for a runtime");
    lua->options = whole;
    list_init(&lua->ready);
    list_init(&lua->tired);
    lua->entropy = whole.seed;
    if (whole.seed == 0 && getrandom(&lua->entropy, sizeof lua->entropy, 0) < 0) lua->entropy = 1;
    if (copy_texts(lua)) {
        complete(&lua->options);
        lua->scripts = calloc(SCRIPTS_MAX, sizeof *lua->scripts);
        lua->lines = lines_open(lua->options.log_lines);
        lua->peers = peers_open();
        lua->scratch = malloc(SCRATCH_BYTES);
    }
    if (!lua->scripts || !lua->lines || !lua->peers || !lua->scratch) {
        weir_lua_free(lua);
        return error_fill(error, WEIR_E_MEMORY, "no memory for a runtime");
    }
    *out = lua;
    return 0;
}

WEIR_LUA_API int32_t weir_lua_free(weir_lua *lua)
{
    if (!lua) return WEIR_E_NULL;
    for (uint32_t i = 0; i < lua->place_count; i++)
        if (lua->places[i]) weir_lua_detach(lua, lua->places[i]->node);
    for (uint32_t i = 0; i < lua->script_count; i++) script_free(lua->scripts[i]);
    for (size_t i = 0; lua->modules && lua->modules[i]; i++) free(lua->modules[i]);
    if (lua->peers) peers_close(lua->peers);
    lines_close(lua->lines);
    heap_free(&lua->timers);
    waiters_free(lua);
    free(lua->modules);
    free(lua->files);
    free(lua->scripts);
    free(lua->places);
    free(lua->scratch);
    free(lua);
    return 0;
}

/* ---- scripts */

static int64_t load_new(weir_lua *lua, const char *name, const char *text, uint64_t len,
                        uint32_t slot, weir_error *error)
{
    struct script *script = script_new(lua, name, NULL);
    int32_t code;

    if (!script || !load_open_state(script)) {
        script_free(script);
        return error_fill(error, WEIR_E_MEMORY, "no memory for a script");
    }
    script->number = slot + 1;
    code = load_text(script, text, (size_t)len, error);
    if (code < 0) {
        script_free(script);
        return code;
    }
    script_free(lua->scripts[slot]);
    lua->scripts[slot] = script;
    if (slot == lua->script_count) lua->script_count++;
    return script->number;
}

WEIR_LUA_API int64_t weir_lua_load(weir_lua *lua, const char *name, const char *text, uint64_t len,
                                   weir_error *error)
{
    uint32_t slot = 0;

    if (!lua || !name || (!text && len > 0)) return error_fill(error, WEIR_E_NULL, "NULL");
    if (name[0] == 0 || strlen(name) > NAME_BYTES_MAX)
        return error_fill(error, WEIR_E_ARGUMENT, "a script has a name, of at most %d bytes",
                          (int)NAME_BYTES_MAX);
    if (lua->current || lua->loading) return error_fill(error, WEIR_E_STATE, "a script is running");
    while (slot < lua->script_count && strcmp(lua->scripts[slot]->name, name) != 0) slot++;
    if (slot == SCRIPTS_MAX)
        return error_fill(error, WEIR_E_LIMIT, "%d scripts are loaded already", (int)SCRIPTS_MAX);
    if (slot < lua->script_count && lua->scripts[slot]->instances > 0) {
        int32_t code = load_again(lua->scripts[slot], text, (size_t)len, error);
        return code < 0 ? code : (int64_t)slot + 1;
    }
    return load_new(lua, name, text ? text : "", len, slot, error);
}

/* ---- nodes */

/* In a world a state grows with the nodes that it serves. */
static void size_state(struct script *script, bool is_world, uint64_t instances)
{
    const weir_lua_options *o = &script->lua->options;
    uint64_t each = o->instance_bytes ? o->instance_bytes : world_instance_bytes;

    if (is_world && o->memory_bytes == 0)
        vm_set_memory(script->vm,
                      world_beside_bytes + instances * each * (1 + script->module_count));
}

static int32_t check_free(struct place *place, const struct script *script, weir_error *error)
{
    for (struct list *l = place->instances.next; l != &place->instances; l = l->next) {
        const struct script *other = list_entry(l, struct instance, link)->script;
        if (other == script)
            return error_fill(error, WEIR_E_EXISTS, "%s runs on this node already", script->name);
        if (script->is_declared && other->is_declared &&
            strcmp(other->protocol, script->protocol) == 0)
            return error_fill(error, WEIR_E_EXISTS, "%s is served by %s already", script->protocol,
                              other->name);
    }
    return 0;
}

WEIR_LUA_API int32_t weir_lua_attach(weir_lua *lua, weir_node *node, int64_t script,
                                     const char *const *arguments, uint32_t count,
                                     weir_error *error)
{
    struct instance *in;
    struct place *place;
    struct script *s;
    int32_t code;

    if (!lua || !node || (!arguments && count > 0)) return error_fill(error, WEIR_E_NULL, "NULL");
    if (script < 1 || script > (int64_t)lua->script_count)
        return error_fill(error, WEIR_E_NOT_FOUND, "there is no script of that number");
    s = lua->scripts[script - 1];
    code = place_open(lua, node, &place, error);
    if (code < 0) return code;
    code = check_free(place, s, error);
    if (code == 0) {
        size_state(s, place->number > 0, ++s->instances);
        code = instance_open(s, place, NULL, arguments, count, &in, error);
        if (code < 0) s->instances--;
    }
    if (code == 0) {
        instance_start(in);
        tasks_run_ready(lua);
    }
    if (code < 0 && list_is_empty(&place->instances)) place_close(place);
    return code;
}

WEIR_LUA_API int32_t weir_lua_detach(weir_lua *lua, weir_node *node)
{
    struct place *place = NULL;
    struct instance *in;

    if (!lua || !node) return WEIR_E_NULL;
    for (uint32_t i = 0; i < lua->place_count && !place; i++)
        if (lua->places[i] && lua->places[i]->node == node) place = lua->places[i];
    if (!place) return WEIR_E_NOT_FOUND;
    while ((in = list_first(&place->instances, struct instance, link)) != NULL) {
        /* Modules end with those who use them. */
        while (in->user) in = in->user;
        in->script->instances--;
        instance_close(in);
        tasks_run_ready(lua);
    }
    place_close(place);
    return 0;
}

/* ---- time and events */

static uint32_t pass(weir_lua *lua, weir_event *events, uint32_t count, uint64_t now_us)
{
    uint32_t stay;

    timers_begin(lua);
    stay = place_dispatch(lua, events, count);
    timers_run(lua, now_us);
    tasks_run_tired(lua);
    return stay;
}

WEIR_LUA_API int64_t weir_lua_events(weir_lua *lua, weir_event *events, uint32_t count)
{
    if (!lua || (!events && count > 0)) return WEIR_E_NULL;
    return pass(lua, events, count, places_now(lua));
}

WEIR_LUA_API uint64_t weir_lua_deadline(weir_lua *lua)
{
    const struct heap_item *first = lua ? heap_first(&lua->timers) : NULL;

    if (lua && !list_is_empty(&lua->tired)) return 0;
    return first ? first->when_us : WEIR_NONE;
}

WEIR_LUA_API int64_t weir_lua_poll(weir_lua *lua, weir_node *node, weir_event *events, uint32_t cap,
                                   int64_t timeout_us)
{
    uint64_t deadline, now;
    int64_t count;

    if (!lua || !node) return WEIR_E_NULL;
    deadline = weir_lua_deadline(lua);
    if (deadline != WEIR_NONE) {
        now = weir_node_now(node);
        deadline = deadline > now ? deadline - now : 0;
        if (deadline > INT64_MAX) deadline = INT64_MAX;
        if (timeout_us < 0 || (uint64_t)timeout_us > deadline) timeout_us = (int64_t)deadline;
    }
    count = weir_node_poll(node, events, cap, timeout_us);
    return count < 0 ? count : weir_lua_events(lua, events, (uint32_t)count);
}

WEIR_LUA_API int32_t weir_lua_run(weir_lua *lua, weir_world *world, uint64_t until_us)
{
    weir_event events[EVENTS_AT_ONCE];
    uint64_t deadline;
    int64_t count;
    int32_t more;

    if (!lua || !world) return WEIR_E_NULL;
    do {
        if (lua->info.is_over) return 1;
        deadline = weir_lua_deadline(lua);
        more = weir_world_run(world, deadline < until_us ? deadline : until_us);
        if (more < 0) return more;
        while ((count = weir_world_poll(world, 0, events, EVENTS_AT_ONCE)) > 0)
            pass(lua, events, (uint32_t)count, weir_world_now(world));
        pass(lua, NULL, 0, weir_world_now(world));
    } while (more > 0 || weir_world_now(world) < until_us || timers_due(lua, until_us));
    return lua->info.is_over ? 1 : 0;
}

/* ---- what there is */

static void add_states(const struct script *script, weir_lua_info *out)
{
    struct vm_statistics s;

    vm_get_statistics(script->vm, &s);
    out->memory_bytes += s.bytes;
    out->memory_peak_bytes += s.bytes_peak;
    out->instructions += s.instructions;
    out->resumptions += s.resumptions;
}

static bool is_served(const struct script *script)
{
    static const char *const words[] = {"message", "request", "stream", "range", "feed"};

    for (uint32_t i = 0; i < script->entry_count; i++)
        for (size_t k = 0; k < sizeof words / sizeof words[0]; k++)
            if (strcmp(script->entries[i]->ops->word, words[k]) == 0) return true;
    return false;
}

static uint64_t server_bytes(const struct server *server)
{
    uint64_t bytes = sizeof *server + unread_bytes(server->unread);

    for (struct list *l = server->served.next; l != &server->served; l = l->next) {
        const struct served *r = list_entry(l, struct served, link);
        bytes += sizeof *r + r->answer_len;
    }
    return bytes;
}

static void add_instances(const struct place *place, weir_lua_info *out)
{
    for (struct list *l = place->instances.next; l != &place->instances; l = l->next) {
        const struct instance *in = list_entry(l, struct instance, link);
        out->instances++;
        out->tasks += in->task_count;
        out->timers += in->timer_count;
        out->native_bytes += sizeof *in + in->script->entry_count * sizeof in->states[0];
        if (in->server) out->native_bytes += server_bytes(in->server);
        if (is_served(in->script)) out->idle = 0;
    }
    out->native_bytes += sizeof *place;
}

WEIR_LUA_API int32_t weir_lua_get_info(weir_lua *lua, weir_lua_info *info)
{
    weir_lua_info out;
    uint32_t size;

    if (!lua || !info) return WEIR_E_NULL;
    size = info->size;
    if (size < 8 || size % 8 != 0) return WEIR_E_SIZE;
    out = lua->info;
    out.size = size;
    out.scripts = lua->script_count;
    out.peers = peers_count(lua->peers);
    out.idle = 1;
    for (uint32_t i = 0; i < lua->script_count; i++) add_states(lua->scripts[i], &out);
    for (uint32_t i = 0; i < lua->place_count; i++)
        if (lua->places[i]) add_instances(lua->places[i], &out);
    out.native_bytes += out.tasks * sizeof(struct task) + out.timers * sizeof(struct timer);
    if (out.tasks > 0 || lua->timers.count > 0) out.idle = 0;
    memcpy(info, &out, size < sizeof out ? size : sizeof out);
    return 0;
}
