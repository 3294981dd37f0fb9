/* SPDX-License-Identifier: MIT */
/* Goal: a script uses another one, whose instance is its own, and what cannot be used is said when
 * it loads. Method: files in a folder of the test, scripts on nodes of a small world. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <unistd.h>
#include "unit/lua/scripts.h"

static struct scripts s;

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

static int64_t load(const char *text)
{
    char path[128];

    snprintf(path, sizeof path, "%s/user.lua", folder);
    return weir_lua_load(s.lua, path, text, strlen(text), &s.error);
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "./weir-use-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char text[128];

    (void)state;
    snprintf(text, sizeof text, "rm -r %s", folder);
    return system(text);
}

static void test_a_module_has_entries_methods_views_and_an_instance_of_its_own(void **state)
{
    int64_t script;

    (void)state;
    scripts_open(&s, 2, 7, NULL);
    write_file("under.lua",
               "local G = game 'under/1' { echo = request { bytes = 64, answer = 64, within = "
               "5*sec }, serve = 4,\n"
               "  known = view { cap = 8 }, fields = { n = 0, ticks = 0 } }\n"
               "function G:echo(from, text) self.n = self.n + 1 return text .. '!' end\n"
               "function G:count() return self.n, self.known:has(me()) end\n"
               "function G:ticked() return self.ticks > 0 end\n"
               "function G:slow(x, peer) return ask(peer, G.echo, x) end\n"
               "function G:start() print('module starts') end\n"
               "function G:stop() print('module stops') end\n"
               "G:every(1*sec, function(self) self.ticks = self.ticks + 1 end)\n");
    script = load("local under = use 'under'\n"
                  "local P = protocol 'over/1' { }\n"
                  "function P:start(address)\n"
                  "  if not address then return end\n"
                  "  local peer = connect(address)\n"
                  "  print(ask(peer, under.echo, 'hi'), under:slow('ho', peer))\n"
                  "  print('count', under:count())\n"
                  "  print('has', under.known:has(peer))\n"
                  "  local ok, why = pcall(function() return under.cuont end)\n"
                  "  print(why)\n"
                  "  after(3*sec, function() print('ticked', under:ticked()) end)\n"
                  "end\n");
    if (script < 0) fprintf(stderr, "%s\n", s.error.detail);
    assert_true(script > 0);
    scripts_attach(&s, 1, script, NULL);
    scripts_attach(&s, 2, script, scripts_address(&s, 1));
    scripts_run(&s, 5000);
    assert_true(scripts_said(&s, "1 module starts\n"));
    assert_true(scripts_said(&s, "2 hi!\tho!\n"));
    assert_true(scripts_said(&s, "2 count\t0\tfalse\n"));
    assert_true(scripts_said(&s, "2 has\tfalse\n"));
    assert_true(scripts_said(&s, "under/1 has no 'cuont' (did you mean 'count'?)"));
    assert_true(scripts_said(&s, "2 ticked\ttrue\n"));
    assert_int_equal(weir_lua_detach(s.lua, s.nodes[1]), 0);
    scripts_gather(&s);
    assert_true(scripts_said(&s, "1 module stops\n"));
    scripts_close(&s);
}

static void test_cycles_missing_files_and_names_with_paths_are_errors(void **state)
{
    (void)state;
    scripts_open(&s, 1, 7, NULL);
    write_file("a.lua", "local b = use 'b'\nlocal P = protocol 'a/1' {}\n");
    write_file("b.lua", "local a = use 'a'\nlocal P = protocol 'b/1' {}\n");
    write_file("nothing.lua", "local x = 1\n");
    assert_int_equal(load("local a = use 'a'\n"), WEIR_E_ARGUMENT);
    assert_non_null(strstr(s.error.detail, "uses itself"));
    assert_int_equal(load("local a = use 'nowhere'\n"), WEIR_E_ARGUMENT);
    assert_non_null(strstr(s.error.detail, "there is no nowhere.lua"));
    assert_int_equal(load("local a = use '../a'\n"), WEIR_E_ARGUMENT);
    assert_int_equal(load("local a = use 'nothing'\n"), WEIR_E_ARGUMENT);
    assert_non_null(strstr(s.error.detail, "declares no protocol"));
    for (int i = 1; i <= 9; i++) {
        char name[16], text[80];
        snprintf(name, sizeof name, "d%d.lua", i);
        snprintf(text, sizeof text, "local x = use 'd%d'\nlocal P = protocol 'd%d/1' {}\n", i + 1,
                 i);
        write_file(name, text);
    }
    write_file("d10.lua", "local P = protocol 'd10/1' {}\n");
    assert_int_equal(load("local a = use 'd1'\n"), WEIR_E_ARGUMENT);
    assert_non_null(strstr(s.error.detail, "more than 8 deep"));
    scripts_close(&s);
}

static void test_what_weir_carries_is_found_last(void **state)
{
    (void)state;
    scripts_open(&s, 1, 7, NULL);
    assert_true(scripts_load(&s, "user.lua",
                             "local g = use 'random_k'\nlocal P = protocol 'u/1' {}\n"
                             "function P:start() print(g) end\n") > 0);
    scripts_attach(&s, 1, 1, NULL);
    scripts_run(&s, 100);
    scripts_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_module_has_entries_methods_views_and_an_instance_of_its_own),
        cmocka_unit_test(test_cycles_missing_files_and_names_with_paths_are_errors),
        cmocka_unit_test(test_what_weir_carries_is_found_last),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
