/* SPDX-License-Identifier: MIT */
/* A script that runs goes on with another text. The new text is loaded beside the old one, into the
 * same state; when what it declares is the same, its functions take the place of the old ones. What
 * is under way ends on the functions that it began with; connections, fields and views never
 * notice.
 *
 * The old and the new P, and all entries, stand for the one script afterwards.
 *
 * Modules whose text is the same are kept. One that changed was loaded beside the old one, too
 * (load.c), and everything is compared before anything is taken over: either all of it goes on with
 * the new text, or nothing does. */
#include "declare.h"
#include "instance.h"
#include "load.h"
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SENTENCE_MAX = 240 };

static bool entries_differ(const struct script *a, const struct script *b, char *out)
{
    uint32_t i = 0, j = 0;

    while (i < a->entry_count || j < b->entry_count) {
        const struct entry *x = i < a->entry_count ? a->entries[i] : NULL;
        const struct entry *y = j < b->entry_count ? b->entries[j] : NULL;
        int order = !x ? 1 : !y ? -1 : strcmp(x->name, y->name);

        if (order != 0) {
            snprintf(out, SENTENCE_MAX, "'%s' is %s", order < 0 ? x->name : y->name,
                     order < 0 ? "no longer declared" : "new");
            return true;
        }
        if (x->ops != y->ops) {
            snprintf(out, SENTENCE_MAX, "'%s' was a %s and is a %s", x->name, x->ops->word,
                     y->ops->word);
            return true;
        }
        for (size_t k = 0; x->ops->keys[k].name; k++)
            if (x->values[k] != y->values[k]) {
                snprintf(out, SENTENCE_MAX, "'%s' of '%s' is another", x->ops->keys[k].name,
                         x->name);
                return true;
            }
        i++, j++;
    }
    return false;
}

/* A field of the table at `one` that the table at `other` has not, or that begins otherwise. */
static bool fields_differ(lua_State *L, int one, int other, char *out)
{
    vm_charge_walk(L, one);
    for (lua_pushnil(L); lua_next(L, one); lua_pop(L, 1)) {
        bool same;
        lua_pushvalue(L, -2);
        lua_rawget(L, other);
        same = lua_rawequal(L, -1, -2) || (lua_istable(L, -1) && lua_istable(L, -2));
        lua_pop(L, 1);
        if (same) continue;
        snprintf(out, SENTENCE_MAX, "the field '%s' is another", lua_tostring(L, -2));
        lua_pop(L, 2);
        return true;
    }
    return false;
}

struct comparison {
    struct script *new;
    const struct script *at; /* the one of which text speaks */
    bool differs;
    char text[SENTENCE_MAX];
};

static void compare_one(lua_State *L, struct comparison *c, const struct script *a,
                        const struct script *b)
{
    int top = lua_gettop(L);

    c->at = a;
    c->differs = true;
    if (a->is_declared != b->is_declared || a->is_game != b->is_game ||
        strcmp(a->protocol, b->protocol) != 0) {
        snprintf(c->text, sizeof c->text, "it declared %s and declares %s",
                 a->is_declared ? a->protocol : "nothing",
                 b->is_declared ? b->protocol : "nothing");
        return;
    }
    if (a->serve != b->serve || a->per_peer != b->per_peer || a->half_life_us != b->half_life_us) {
        snprintf(c->text, sizeof c->text, "serve, per_peer or half_life is another");
        return;
    }
    if (entries_differ(a, b, c->text)) return;
    c->differs = false;
    if (!a->is_declared) return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, a->fields);
    lua_rawgeti(L, LUA_REGISTRYINDEX, b->fields);
    c->differs =
        fields_differ(L, top + 1, top + 2, c->text) || fields_differ(L, top + 2, top + 1, c->text);
    lua_settop(L, top);
}

static void compare_all(lua_State *L, struct comparison *c, const struct script *new)
{
    luaL_checkstack(L, 8, NULL);
    compare_one(L, c, new->replaces, new);
    for (uint32_t i = 0; i < new->module_count && !c->differs; i++) {
        if (new->modules[i]->replaces) {
            compare_all(L, c, new->modules[i]);
            continue;
        }
        c->at = new->replaces;
        c->differs = true;
        snprintf(c->text, sizeof c->text, "it uses '%s', which it did not", new->modules[i]->name);
    }
}

static int compare(lua_State *L)
{
    struct comparison *c = lua_touserdata(L, 1);

    compare_all(L, c, c->new);
    return 0;
}

static void exchange(int *a, int *b)
{
    int kept = *a;

    *a = *b;
    *b = kept;
}

/* Instances have the old metatable: the new functions go behind it. */
static void take_over_one(lua_State *L, struct script *old, struct script *new)
{
    memcpy(old->text_hash, new->text_hash, sizeof old->text_hash);
    if (!old->is_declared) return;
    script_move_values(L, new, old);
    lua_rawgeti(L, LUA_REGISTRYINDEX, old->meta);
    lua_rawgeti(L, LUA_REGISTRYINDEX, new->methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    exchange(&old->methods, &new->methods);
    exchange(&old->object, &new->object);
    exchange(&old->values, &new->values);
}

static void take_over_all(lua_State *L, struct script *new)
{
    luaL_checkstack(L, 8, NULL);
    take_over_one(L, new->replaces, new);
    for (uint32_t i = 0; i < new->module_count; i++) take_over_all(L, new->modules[i]);
}

static int take_over(lua_State *L)
{
    take_over_all(L, lua_touserdata(L, 1));
    return 0;
}

/* Every instance's declared timers begin anew, with the new functions. */
static void exchange_timers(struct script *old, struct script *new)
{
    weir_lua *lua = old->lua;
    struct timer_spec *specs = old->timers;
    uint32_t count = old->timer_count;
    struct instance *in;

    for (uint32_t i = 0; i < lua->place_count; i++)
        if (lua->places[i] && (in = instance_at(lua->places[i], old)) != NULL) timers_end(in, true);
    old->timers = new->timers;
    old->timer_count = new->timer_count;
    new->timers = specs;
    new->timer_count = count;
    for (uint32_t i = 0; i < lua->place_count; i++)
        if (lua->places[i] && (in = instance_at(lua->places[i], old)) != NULL && !timers_start(in))
            runtime_log(lua, lua->places[i], old, 1, "no memory for its timers");
}

static void exchange_all_timers(struct script *new)
{
    exchange_timers(new->replaces, new);
    for (uint32_t i = 0; i < new->module_count; i++) exchange_all_timers(new->modules[i]);
}

int32_t load_again(struct script *script, const char *text, size_t len, weir_error *error)
{
    struct script *new = script_new(script->lua, script->name, script);
    struct comparison c = {.new = new};
    int32_t code;

    if (!new) return error_fill(error, WEIR_E_MEMORY, "no memory for a script");
    new->user = script->user ? script->user : script;
    new->replaces = script;
    new->number = script->number;
    code = load_text(new, text, len, error);
    if (code == 0 && task_protected(script, NULL, compare, &c) != LUA_OK)
        code = error_fill(error, WEIR_E_MEMORY, "no memory to compare");
    if (code == 0 && c.differs)
        code = error_fill(error, WEIR_E_STATE, "%s: what it declares has changed: %s", c.at->name,
                          c.text);
    if (code == 0 && task_protected(script, NULL, take_over, new) != LUA_OK)
        code = error_fill(error, WEIR_E_MEMORY, "no memory to take over");
    if (code == 0) exchange_all_timers(new);
    script_free(new);
    return code;
}
