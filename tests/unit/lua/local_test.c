/* SPDX-License-Identifier: MIT */
/* Goal: what was granted is reached through streams, and nothing else. Method: a script on a node
 * of a small world with files in memory; and one on a real node, with a folder full of links that
 * lead out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <unistd.h>
#include "unit/lua/scripts.h"

static struct scripts s;

static void run(const char *text, uint64_t ms)
{
    scripts_run_world(&s, NULL, text, ms);
}

static void run_with_files(const char *text, uint64_t ms)
{
    weir_lua_options options = {.size = sizeof options, .files = ""};

    scripts_run_world(&s, &options, text, ms);
}

static void test_files_of_a_world_are_written_read_appended_and_not_made_twice(void **state)
{
    (void)state;
    run_with_files("local P = protocol 'f/1' {}\n"
                   "function P:start(address)\n"
                   "  if address then return end\n"
                   "  local f = file('a', 'write')\n"
                   "  print(f:write('hello'), f:finish(), f:wait())\n"
                   "  f = file('a', 'append') f:write(' world') f:finish() f:wait()\n"
                   "  f = file('a', 'read')\n"
                   "  print(f.size, f:read(100), f:read(100))\n"
                   "  f = file('a', 'read', 6)\n"
                   "  print(f:read_line(), f:wait())\n"
                   "  print(file('a', 'new'))\n"
                   "  f = file('e', 'write') f:finish() f:wait()\n"
                   "  f = file('e', 'read')\n"
                   "  print('empty', f.size, f:wait())\n"
                   "  print(file('b', 'read'))\n"
                   "  f = file('b', 'new') f:write('x') f:finish() print(f:wait())\n"
                   "  print(pcall(f.read, f, 1))\n"
                   "  print(file('../b', 'read'))\n"
                   "  print(file('/b', 'read'))\n"
                   "  print(child { 'true' })\n"
                   "  print(unix('x'))\n"
                   "  print(input())\n"
                   "  print(env('HOME'))\n"
                   "end\n",
                   2000);
    assert_true(scripts_said(&s, "1 true\t"));
    assert_true(scripts_said(&s, "1 11\thello world\tnil\t"));
    assert_true(scripts_said(&s, "1 world\t0\n"));
    assert_true(scripts_said(&s, "1 nil\tthe file exists already\texists\n"));
    assert_true(scripts_said(&s, "1 nil\tthere is no such file\tabsent\n"));
    assert_true(scripts_said(&s, "1 empty\t0\t0\n"));
    assert_true(scripts_said(&s, "\n1 0\n1 false\t"));
    assert_true(scripts_said(&s, "1 nil\ta path does not lead out"));
    assert_true(scripts_said(&s, "1 nil\ta path is relative"));
    assert_true(scripts_said(&s, "1 nil\tchildren are not granted"));
    assert_true(scripts_said(&s, "1 nil\tUnix sockets are not granted"));
    assert_true(scripts_said(&s, "1 nil\tstandard input is not granted"));
    assert_true(scripts_said(&s, "1 nil\tthe environment is not granted"));
    assert_null(strstr(s.text, "!"));
    scripts_close(&s);
}

static void test_files_that_are_not_granted_are_refused(void **state)
{
    (void)state;
    run("local P = protocol 'f/1' {}\n"
        "function P:start(address)\n"
        "  print(file('a', 'read'))\n"
        "end\n",
        1000);
    assert_true(
        scripts_said(&s, "1 nil\tfiles are not granted: run with --allow fs=DIR\trefused\n"));
    assert_null(strstr(s.text, "!"));
    scripts_close(&s);
}

static void live(const char *folder, uint32_t allow, const char *text)
{
    weir_lua_options options = {.size = sizeof options, .files = folder, .allow = allow};
    weir_error error = {.size = sizeof error};
    weir_lua_info info = {.size = sizeof info};
    static weir_lua_line line;
    weir_event events[16];
    weir_node *node;
    weir_lua *lua;
    int64_t script;

    s.len = 0;
    s.text[0] = 0;
    assert_int_equal(weir_node_create(NULL, &node, &error), 0);
    assert_int_equal(weir_lua_create(&options, &lua, &error), 0);
    script = weir_lua_load(lua, "live.lua", text, strlen(text), &error);
    if (script < 0) fprintf(stderr, "%s\n", error.detail);
    assert_true(script > 0);
    assert_int_equal(weir_lua_attach(lua, node, script, NULL, 0, &error), 0);
    for (int i = 0; i < 20000 && !info.is_over; i++) {
        assert_true(weir_lua_poll(lua, node, events, 16, 100000) >= 0);
        assert_int_equal(weir_lua_get_info(lua, &info), 0);
    }
    while (weir_lua_next_line(lua, &line) == 1)
        s.len += (size_t)snprintf(s.text + s.len, sizeof s.text - s.len, "%u%s %s\n",
                                  (unsigned)line.node, line.level ? "!" : "", line.text);
    assert_int_equal(weir_lua_free(lua), 0);
    assert_int_equal(weir_node_close(node), 0);
    assert_int_equal(weir_node_free(node), 0);
}

static void test_a_live_script_stays_inside_its_folder_and_runs_children(void **state)
{
    char folder[] = "weir-local-XXXXXX", path[80];

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/out", folder);
    assert_int_equal(symlink("/etc", path), 0);
    snprintf(path, sizeof path, "%s/passwd", folder);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof path, "%s/dangling", folder);
    assert_int_equal(symlink("../nowhere-at-all", path), 0);
    live(folder, WEIR_LUA_ALLOW_EXEC,
         "local P = protocol 'l/1' {}\n"
         "function P:start()\n"
         "  print(file('out/passwd', 'read'))\n"
         "  print('passwd', file('passwd', 'read'))\n"
         "  print('dangling', file('dangling', 'write'))\n"
         "  print('folder', file('.', 'read'))\n"
         "  print('written', file('.', 'append'))\n"
         "  local c = child { 'sh', '-c', 'read x; echo $x | tr a-z A-Z; exit 3' }\n"
         "  c:write('hello\\n')\n"
         "  print(c:read_line(), c:wait())\n"
         "  local f = file('a', 'new')\n"
         "  f:write('hello') f:finish()\n"
         "  print('wrote', f:wait())\n"
         "  f = file('a', 'read')\n"
         "  print(f.size, f:read(10))\n"
         "  print('twice', file('a', 'new'))\n"
         "  print('none', file('none', 'read'))\n"
         "  f = file('a', 'write', 4)\n"
         "  f:write('!!') f:finish() f:wait()\n"
         "  f = file('a', 'read', 3)\n"
         "  print('from 3', f.size, f:read(10))\n"
         "  f = file('a', 'write')\n"
         "  f:finish() f:wait()\n"
         "  f = file('a', 'read')\n"
         "  print('emptied', f.size, f:read(1))\n"
         "  c = child { 'echo', 'one\\ntwo two' }\n"
         "  c:finish()\n"
         "  f = file('b', 'write')\n"
         "  local n = c:copy(f)\n"
         "  f:finish() f:wait()\n"
         "  local lines = 0\n"
         "  for text in file('b', 'read'):lines() do lines = lines + 1 end\n"
         "  print('lines', lines, n + 2)\n"
         "  quit(0)\n"
         "end\n");
    assert_true(scripts_said(&s, "0 nil\ta path does not lead out"));
    assert_true(scripts_said(&s, "0 passwd\tnil\ta path does not lead out"));
    assert_true(scripts_said(&s, "0 dangling\tnil\tthe file is out of reach"));
    assert_true(scripts_said(&s, "0 folder\tnil\tthat is no file"));
    assert_true(scripts_said(&s, "0 written\tnil\tthat is no file"));
    assert_true(scripts_said(&s, "0 twice\tnil\tthe file exists already\texists\n"));
    assert_true(scripts_said(&s, "0 none\tnil\tthere is no such file\tabsent\n"));
    assert_true(scripts_said(&s, "0 from 3\t6\tl!!\n"));
    assert_true(scripts_said(&s, "0 emptied\t0\tnil\tthe other side finished\tend\n"));
    assert_true(scripts_said(&s, "0 HELLO\t3\n"));
    assert_true(scripts_said(&s, "0 wrote\t0\n0 5\thello\n"));
    assert_true(scripts_said(&s, "0 lines\t2\t14\n"));
    snprintf(path, sizeof path, "rm -r %s", folder);
    assert_int_equal(system(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_of_a_world_are_written_read_appended_and_not_made_twice),
        cmocka_unit_test(test_files_that_are_not_granted_are_refused),
        cmocka_unit_test(test_a_live_script_stays_inside_its_folder_and_runs_children),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
