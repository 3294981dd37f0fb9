/* SPDX-License-Identifier: MIT */
/* Goal: lua/api.lua, from which the documents are made, is what scripts are given: no word and no
 * method is missing on either side. Method: the table is read in a plain state; the words are those
 * of the environment of a loaded script, the methods those of the classes in its registry. */
#include "script_state.h"
#include <lauxlib.h>
#include <lualib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* After its neighbours. */
#include <cmocka.h>

/* Keys of a declaration and of its object: no words of the environment. */
static const char *const no_words[] = {"fields", "every", NULL};

static bool is_in(const char *const *list, const char *name)
{
    for (; *list != NULL; list++) {
        if (strcmp(*list, name) == 0) return true;
    }
    return false;
}

/* A plain state with the table on its stack, and a set of names below it, which is empty. */
static lua_State *open_table(void)
{
    lua_State *L = luaL_newstate();
    assert_non_null(L);
    luaL_openlibs(L);
    lua_newtable(L);
    assert_int_equal(luaL_dofile(L, WEIR_SOURCE "/lua/api.lua"), LUA_OK);
    return L;
}

static const char *text_of(lua_State *L, int index, const char *key)
{
    lua_getfield(L, index, key);
    const char *text = lua_tostring(L, -1);
    lua_pop(L, 1); /* the table keeps it */
    return text;
}

static void note(lua_State *L, const char *name)
{
    lua_pushboolean(L, 1);
    lua_setfield(L, 1, name);
}

static bool is_noted(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    bool is = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return is;
}

/* The words that the table has, Lua's own included. */
static void note_words(lua_State *L)
{
    for (lua_Integer i = 1; lua_geti(L, 2, i) == LUA_TTABLE; i++) {
        int item = lua_gettop(L);
        const char *name = text_of(L, item, "name");
        if (name != NULL && !is_in(no_words, name)) note(L, name);
        if (lua_getfield(L, item, "lua") == LUA_TTABLE) {
            for (lua_Integer k = 1; lua_geti(L, -1, k) == LUA_TSTRING; k++) {
                note(L, lua_tostring(L, -1));
                lua_pop(L, 1);
            }
        }
        lua_settop(L, 2);
    }
    lua_settop(L, 2);
    note(L, "_G");
}

static void test_every_word_of_the_table_is_in_the_environment_and_no_other(void **state)
{
    struct script_state s;
    lua_State *L = open_table();
    unsigned words = 0, wrong = 0;
    (void)state;
    script_state_open(&s);
    note_words(L);
    script_state_words(&s);
    for (lua_pushnil(s.L); lua_next(s.L, -2) != 0; lua_pop(s.L, 1)) {
        const char *name = lua_tostring(s.L, -2);
        words++;
        if (is_noted(L, name)) {
            lua_pushnil(L);
            lua_setfield(L, 1, name);
            continue;
        }
        print_error("'%s' is a word, and not in lua/api.lua\n", name);
        wrong++;
    }
    for (lua_pushnil(L); lua_next(L, 1) != 0; lua_pop(L, 1)) {
        print_error("'%s' is in lua/api.lua, and no word\n", lua_tostring(L, -2));
        wrong++;
    }
    assert_true(words > 60);
    assert_int_equal(wrong, 0);
    lua_close(L);
    script_state_close(&s);
}

/* What a class has and the table does not, and the other way. */
static unsigned compare_class(struct script_state *s, lua_State *L, int item)
{
    const char *class = text_of(L, item, "object");
    unsigned wrong = 0;
    lua_getfield(L, item, "methods");
    script_state_methods(s, class);
    for (lua_Integer k = 1; lua_geti(L, item + 1, k) == LUA_TTABLE; k++) {
        const char *name = text_of(L, -1, "name");
        lua_getfield(L, -1, "value");
        bool is_value = lua_toboolean(L, -1);
        lua_pop(L, 2);
        note(L, name);
        if (is_value) continue;
        bool is_there = lua_getfield(s->L, -1, name) == LUA_TFUNCTION;
        lua_pop(s->L, 1);
        if (is_there) continue;
        print_error("%s:%s is in lua/api.lua, and no method\n", class, name);
        wrong++;
    }
    for (lua_pushnil(s->L); lua_next(s->L, -2) != 0; lua_pop(s->L, 1)) {
        const char *name = lua_tostring(s->L, -2);
        if (is_noted(L, name)) continue;
        print_error("%s:%s is a method, and not in lua/api.lua\n", class, name);
        wrong++;
    }
    lua_pop(s->L, 1);
    lua_settop(L, item);
    lua_newtable(L);
    lua_replace(L, 1);
    return wrong;
}

static void test_every_method_of_the_table_is_the_object_s_and_no_other(void **state)
{
    struct script_state s;
    lua_State *L = open_table();
    unsigned classes = 0, wrong = 0;
    (void)state;
    script_state_open(&s);
    for (lua_Integer i = 1; lua_geti(L, 2, i) == LUA_TTABLE; i++) {
        if (text_of(L, 3, "object") != NULL) {
            wrong += compare_class(&s, L, 3);
            classes++;
        }
        lua_settop(L, 2);
    }
    assert_true(classes >= 9);
    assert_int_equal(wrong, 0);
    lua_close(L);
    script_state_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_word_of_the_table_is_in_the_environment_and_no_other),
        cmocka_unit_test(test_every_method_of_the_table_is_the_object_s_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
