/* SPDX-License-Identifier: MIT */
/* Goal: new text takes over a running script without a connection, a field or a handler being lost;
 * text that does not load, or that declares something else, changes nothing; of modules the changed
 * ones alone are loaded anew. Method: one script on two nodes of a world, loaded again and again;
 * its modules are files in a folder of the test. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <unistd.h>
#include "unit/lua/scripts.h"

static struct scripts s;

#define DECLARED                                                                                   \
    "local P = protocol 'live/1' { serve = 8, fields = { n = 0, list = {} },\n"                    \
    "  get = request { bytes = 9, answer = 99, within = 20*sec },\n"                               \
    "  say = message { bytes = 9, full = 'block' } }\n"
#define FIRST                                                                                      \
    DECLARED "function P:get(from) self.n = self.n + 1 connect('/memory/77') return 'old' end\n"   \
             "function P:say() print('old', self.n) end\n"                                         \
             "P:every(sec, function() print('old timer') end, { steady = 'test' })\n"              \
             "function P:start(address)\n"                                                         \
             "  if not address then return end\n"                                                  \
             "  local peer = connect(address)\n"                                                   \
             "  after(100*ms, function() print('got', ask(peer, P.get)) end)\n"                    \
             "  self:every(sec, function() tell(peer, P.say) end)\n"                               \
             "end\n"
#define SECOND                                                                                     \
    DECLARED "function P:get(from) return 'new' end\n"                                             \
             "function P:say() print('new', self.n, self:more()) end\n"                            \
             "function P:more() return P.get ~= nil end\n"                                         \
             "P:every(sec, function() print('new timer') end, { steady = 'test' })\n"

static void begin(void)
{
    int64_t script = scripts_load(&s, "live.lua", FIRST);

    assert_true(script > 0);
    scripts_attach(&s, 1, script, NULL);
    scripts_attach(&s, 2, script, scripts_address(&s, 1));
    scripts_run(&s, 3500);
    assert_true(scripts_said(&s, "1 old\t1\n"));
    assert_true(scripts_said(&s, "1 old timer\n"));
    s.len = 0;
    s.text[0] = 0;
}

static void test_new_functions_take_over_with_the_old_fields_and_connections(void **state)
{
    (void)state;
    begin();
    assert_int_equal(scripts_load(&s, "live.lua", SECOND), 1);
    scripts_run(&s, 3500);
    assert_true(scripts_said(&s, "1 new\t1\ttrue\n"));
    assert_true(scripts_said(&s, "1 new timer\n"));
    assert_null(strstr(s.text, "old timer"));
    assert_null(strstr(s.text, "1 old"));
    assert_int_equal(scripts_info(&s).errors, 0);
}

static void test_a_handler_under_way_ends_as_it_began(void **state)
{
    (void)state;
    begin();
    assert_int_equal(scripts_load(&s, "live.lua", SECOND), 1);
    scripts_run(&s, 70000);
    assert_true(strstr(s.text, "2 got\told\n") || strstr(s.text, "\ttimeout\n"));
}

static void test_text_that_does_not_load_changes_nothing(void **state)
{
    (void)state;
    begin();
    assert_int_equal(weir_lua_load(s.lua, "live.lua", "local x =", 9, &s.error), WEIR_E_ARGUMENT);
    assert_int_equal(weir_lua_load(s.lua, "live.lua", DECLARED, strlen(DECLARED), &s.error),
                     WEIR_E_ARGUMENT);
    assert_non_null(strstr(s.error.detail, "there is no function P:get"));
    scripts_run(&s, 2500);
    assert_true(scripts_said(&s, "1 old\t1\n"));
    assert_true(scripts_said(&s, "1 old timer\n"));
}

static const struct {
    const char *text, *said;
} changed[] = {
    {"", "it declared live/1 and declares nothing"},
    {"protocol 'dead/1' {}", "it declared live/1 and declares dead/1"},
    {"protocol 'live/1' { serve = 8, fields = { n = 0, list = {} } }",
     "'get' is no longer declared"},
    {"local P = protocol 'live/1' { serve = 8, fields = { n = 0, list = {} },\n"
     "  get = request { bytes = 9, answer = 98, within = 20*sec },\n"
     "  say = message { bytes = 9, full = 'block' } }\n"
     "function P:get() end function P:say() end",
     "'answer' of 'get' is another"},
    {"local P = protocol 'live/1' { serve = 8, fields = { n = 0, list = {} },\n"
     "  get = message { bytes = 9, full = 'block' },\n"
     "  say = message { bytes = 9, full = 'block' } }\n"
     "function P:get() end function P:say() end",
     "'get' was a request and is a message"},
    {"local P = protocol 'live/1' { serve = 5, fields = { n = 0, list = {} },\n"
     "  get = request { bytes = 9, answer = 99, within = 20*sec },\n"
     "  say = message { bytes = 9, full = 'block' } }\n"
     "function P:get() end function P:say() end",
     "serve, per_peer or half_life is another"},
    {"local P = protocol 'live/1' { serve = 8, fields = { n = 0, list = {}, m = 1 },\n"
     "  get = request { bytes = 9, answer = 99, within = 20*sec },\n"
     "  say = message { bytes = 9, full = 'block' } }\n"
     "function P:get() end function P:say() end",
     "the field 'm' is another"},
};

static void test_a_changed_declaration_is_not_taken_over(void **state)
{
    (void)state;
    begin();
    for (size_t i = 0; i < sizeof changed / sizeof changed[0]; i++) {
        assert_int_equal(
            weir_lua_load(s.lua, "live.lua", changed[i].text, strlen(changed[i].text), &s.error),
            WEIR_E_STATE);
        if (!strstr(s.error.detail, changed[i].said))
            fprintf(stderr, "%zu: '%s'\n", i, s.error.detail);
        assert_non_null(strstr(s.error.detail, changed[i].said));
    }
    scripts_run(&s, 2500);
    assert_true(scripts_said(&s, "1 old\t1\n"));
    assert_true(scripts_said(&s, "1 old timer\n"));
}

static void test_it_can_be_loaded_anew_a_hundred_times(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 100; i++)
        assert_int_equal(scripts_load(&s, "live.lua", i % 2 ? FIRST : SECOND), 1);
    scripts_run(&s, 2500);
    assert_true(scripts_said(&s, "1 old\t1\n"));
    assert_int_equal(scripts_info(&s).scripts, 1);
}

static void test_a_script_that_runs_nowhere_may_change_what_it_declares(void **state)
{
    (void)state;
    assert_int_equal(scripts_load(&s, "live.lua", FIRST), 1);
    assert_int_equal(scripts_load(&s, "live.lua", "protocol 'dead/1' {}"), 1);
}

/* ---- modules */

static char folder[64];

static void write_file(const char *name, const char *text)
{
    char path[128];
    FILE *out;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    out = fopen(path, "wb");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

#define LOW(word)                                                                                  \
    "local G = protocol 'low/1' { fields = { n = 0 } }\nlocal kept = { 0 }\n"                      \
    "function G:count() self.n = self.n + 1 kept[1] = kept[1] + 1 return '" word                   \
    "', self.n, kept[1] end\n"
#define MIDDLE(word)                                                                               \
    "local low = use 'low'\nlocal G = protocol 'middle/1' { fields = { n = 0 } }\n"                \
    "local kept = { 0 }\nfunction G:count() self.n = self.n + 1 kept[1] = kept[1] + 1\n"           \
    "  return '" word "', self.n, kept[1], low:count() end\n"                                      \
    "G:every(sec, function() print('" word " timer') end, { steady = 'test' })\n"
#define USER(word)                                                                                 \
    "local middle = use 'middle'\nlocal P = protocol 'user/1' {}\n"                                \
    "P:every(sec, function() print('" word "', middle:count()) end, { steady = 'test' })\n"

static int64_t load_user(const char *text)
{
    char path[128];

    snprintf(path, sizeof path, "%s/user.lua", folder);
    return weir_lua_load(s.lua, path, text, strlen(text), &s.error);
}

static void begin_modules(void)
{
    strcpy(folder, "./weir-reload-XXXXXX");
    assert_non_null(mkdtemp(folder));
    write_file("low.lua", LOW("low"));
    write_file("middle.lua", MIDDLE("middle"));
    assert_int_equal(load_user(USER("user")), 1);
    scripts_attach(&s, 1, 1, NULL);
    scripts_run(&s, 2500);
    assert_true(scripts_said(&s, "1 user\tmiddle\t1\t1\tlow\t1\t1\n"));
    assert_true(scripts_said(&s, "1 middle timer\n"));
    s.len = 0;
    s.text[0] = 0;
}

static void end_modules(void)
{
    char text[128];

    snprintf(text, sizeof text, "rm -r %s", folder);
    assert_int_equal(system(text), 0);
}

static void test_modules_that_did_not_change_are_kept_with_all_that_they_hold(void **state)
{
    (void)state;
    begin_modules();
    assert_int_equal(load_user(USER("anew")), 1);
    scripts_run(&s, 1000);
    assert_true(scripts_said(&s, "1 anew\tmiddle\t3\t3\tlow\t3\t3\n"));
    assert_null(strstr(s.text, "1 user"));
    end_modules();
}

static void test_a_changed_module_is_loaded_anew_and_its_fields_stay(void **state)
{
    (void)state;
    begin_modules();
    write_file("middle.lua", MIDDLE("centre"));
    assert_int_equal(load_user(USER("anew")), 1);
    scripts_run(&s, 1000);
    assert_true(scripts_said(&s, "1 anew\tcentre\t3\t1\tlow\t3\t3\n"));
    assert_true(scripts_said(&s, "1 centre timer\n"));
    assert_null(strstr(s.text, "middle"));
    /* The user may be the same: what is below it counts. */
    write_file("low.lua", LOW("deep"));
    assert_int_equal(load_user(USER("anew")), 1);
    scripts_run(&s, 1000);
    assert_true(scripts_said(&s, "1 anew\tcentre\t4\t2\tdeep\t4\t1\n"));
    for (int i = 0; i < 20; i++) {
        write_file("low.lua", i % 2 ? LOW("even") : LOW("odd"));
        write_file("middle.lua", i % 3 ? MIDDLE("two") : MIDDLE("three"));
        assert_int_equal(load_user(USER("anew")), 1);
    }
    scripts_run(&s, 1000);
    assert_true(scripts_said(&s, "1 anew\ttwo\t5\t1\teven\t5\t1\n"));
    assert_int_equal(scripts_info(&s).errors, 0);
    end_modules();
}

static void test_a_module_that_cannot_be_taken_over_changes_nothing_anywhere(void **state)
{
    static const struct {
        const char *low, *middle, *user, *said;
        int32_t code;
    } cases[] = {
        {"local G = protocol 'low/2' {}\n", MIDDLE("new"), USER("new"),
         "low.lua: what it declares has changed", WEIR_E_STATE},
        {"local G = protocol 'low/1' { fields = { m = 0 } }\nfunction G:count() end\n",
         MIDDLE("middle"), USER("new"), "the field 'n' is another", WEIR_E_STATE},
        {"local x =", MIDDLE("new"), USER("new"), "low.lua:1:", WEIR_E_ARGUMENT},
        {LOW("new"), "local G = game 'middle/1' { fields = { n = 0 } }\n", USER("new"),
         "middle.lua: what it declares has changed", WEIR_E_STATE},
        {LOW("new"), MIDDLE("new"), "local low = use 'low'\n" USER("new"),
         "user.lua: what it declares has changed: it uses", WEIR_E_STATE},
        {LOW("new"), MIDDLE("new"), USER("new") "oops = 1\n", "there are no global variables",
         WEIR_E_ARGUMENT},
    };

    (void)state;
    begin_modules();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file("low.lua", cases[i].low);
        write_file("middle.lua", cases[i].middle);
        assert_int_equal(load_user(cases[i].user), cases[i].code);
        if (!strstr(s.error.detail, cases[i].said))
            fprintf(stderr, "%zu: '%s'\n", i, s.error.detail);
        assert_non_null(strstr(s.error.detail, cases[i].said));
    }
    scripts_run(&s, 1000);
    assert_true(scripts_said(&s, "1 user\tmiddle\t3\t3\tlow\t3\t3\n"));
    assert_null(strstr(s.text, "new"));
    end_modules();
}

static int open_two(void **state)
{
    (void)state;
    scripts_open(&s, 2, 1, NULL);
    return 0;
}

static int close_two(void **state)
{
    (void)state;
    scripts_close(&s);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_two, close_two)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_new_functions_take_over_with_the_old_fields_and_connections),
        TEST(test_a_handler_under_way_ends_as_it_began),
        TEST(test_text_that_does_not_load_changes_nothing),
        TEST(test_a_changed_declaration_is_not_taken_over),
        TEST(test_it_can_be_loaded_anew_a_hundred_times),
        TEST(test_a_script_that_runs_nowhere_may_change_what_it_declares),
        TEST(test_modules_that_did_not_change_are_kept_with_all_that_they_hold),
        TEST(test_a_changed_module_is_loaded_anew_and_its_fields_stay),
        TEST(test_a_module_that_cannot_be_taken_over_changes_nothing_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
