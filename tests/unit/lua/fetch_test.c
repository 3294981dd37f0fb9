/* SPDX-License-Identifier: MIT */
/* Goal: a fetch brings every byte to a function or a file, or fails with a name, and a request for
 * a range is served or refused, whatever it says. Method: scripts on two nodes of a small world,
 * whose prints are compared; requests sent byte by byte from a node without a script. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include "unit/lua/scripts.h"

static struct scripts s;

/* Node 1 serves; node 2 begins with its address. */
static void run_with(const weir_lua_options *options, const char *text, uint64_t ms)
{
    scripts_run_world(&s, options, text, ms);
}

static void run(const char *text, uint64_t ms)
{
    weir_lua_options options = {
        .size = sizeof options, .instance_bytes = 4 << 20, .instructions = 10000000};

    run_with(&options, text, ms);
}

static void run_with_files(const char *text, uint64_t ms)
{
    weir_lua_options options = {
        .size = sizeof options, .files = "", .instance_bytes = 4 << 20, .instructions = 10000000};

    run_with(&options, text, ms);
}

static void test_parts_of_an_answer_of_bytes_reach_a_function(void **state)
{
    (void)state;
    run("local P = protocol 'f/1' { serve = 64, per_peer = 16, part = range { part = 64*KB, within "
        "= 20*sec } }\n"
        "function P:part(from, what, offset, length)\n"
        "  if what ~= 'thing' then return refuse 'absent' end\n"
        "  return string.rep(string.char(offset // 65536 % 256), length)\n"
        "end\n"
        "function P:start(address)\n"
        "  if not address then return end\n"
        "  local peer, n, sum = connect(address), 0, 0\n"
        "  print(fetch { from = { peer }, range = P.part, what = 'thing', size = 1000000, part = "
        "64*KB,\n"
        "    into = function(offset, bytes)\n"
        "      if bytes:byte() == offset // 65536 and bytes:byte(-1) == offset // 65536 then n = n "
        "+ 1 end\n"
        "      sum = sum + #bytes\n"
        "    end })\n"
        "  print(n, sum)\n"
        "  print(fetch { from = peer, range = P.part, what = 'other', size = 1000, into = "
        "function() end })\n"
        "  print(fetch { from = {}, range = P.part, what = 'other', size = 1000, into = function() "
        "end })\n"
        "end\n",
        60000);
    assert_true(scripts_said(&s, "2 true\n2 16\t1000000\n"));
    assert_true(scripts_said(&s, "2 nil\t"));
    assert_true(scripts_said(&s, "\tunreachable\n"));
    assert_null(strstr(s.text, "!"));
    scripts_close(&s);
}

static void test_a_file_comes_from_a_file_and_is_verified(void **state)
{
    (void)state;
    run_with_files(
        "local P = protocol 'f/1' { serve = 64, per_peer = 16, part = range { part = 64*KB, within "
        "= 20*sec } }\n"
        "function P:part(from, what, offset, length, out)\n"
        "  local f = file('whole', 'read', offset)\n"
        "  if not f then return refuse 'absent' end\n"
        "  print('part', offset // 65536, out:copy(f, length) == length)\n"
        "end\n"
        "function P:start(address)\n"
        "  if not address then\n"
        "    local f = file('whole', 'write')\n"
        "    for i = 0, 9 do f:write(string.rep(string.char(65 + i), 50000)) end\n"
        "    f:finish() f:wait()\n"
        "    return\n"
        "  end\n"
        "  local peer, hashes, all = connect(address), {}, {}\n"
        "  for i = 0, 9 do all[#all + 1] = string.rep(string.char(65 + i), 50000) end\n"
        "  all = table.concat(all)\n"
        "  for at = 1, 500000, 65536 do hashes[#hashes + 1] = hash(all:sub(at, at + 65535)) end\n"
        "  local seen = 0\n"
        "  print(fetch { from = peer, range = P.part, size = #all, part = 64*KB, into = 'copy',\n"
        "    hashes = table.concat(hashes), progress = function(done, size) seen = seen + 1 end "
        "})\n"
        "  local f, got = file('copy', 'read'), {}\n"
        "  for chunk in f:chunks() do got[#got + 1] = chunk end\n"
        "  print('same', table.concat(got) == all, f.size, seen > 0)\n"
        "  print('again', fetch { from = peer, range = P.part, size = #all, part = 64*KB, into = "
        "'copy',\n"
        "    have = { 1, 2, 3, 4, 5, 6, 8 }, progress = true })\n"
        "  print(fetch { from = peer, range = P.part, size = 0, into = 'empty' })\n"
        "  print('empty', file('empty', 'read').size)\n"
        "  f = file('longer', 'write')\n"
        "  f:write(string.rep('z', 70000)) f:write(string.rep('z', 50000)) f:finish() f:wait()\n"
        "  print('longer', fetch { from = peer, range = P.part, size = 100000, part = 64*KB,\n"
        "    into = 'longer', have = { 2 } })\n"
        "  f = file('longer', 'read', 65530)\n"
        "  print(f.size, f:read_exactly(10))\n"
        "  print('anew', fetch { from = peer, range = P.part, size = 100000, part = 64*KB,\n"
        "    into = 'longer' })\n"
        "  print(file('longer', 'read').size, file('longer', 'read', 99999):read())\n"
        "  print('nothing', fetch { from = peer, range = P.part, size = 0, into = 'longer' },\n"
        "    file('longer', 'read').size)\n"
        "  f = file('stays', 'write') f:write('old') f:finish() f:wait()\n"
        "  print('nobody', (fetch { from = {}, range = P.part, size = 10, into = 'stays' }),\n"
        "    file('stays', 'read').size)\n"
        "  print('folder', fetch { from = peer, range = P.part, size = 10, into = '../x' })\n"
        "end\n",
        60000);
    assert_true(scripts_said(&s, "2 true\n2 same\ttrue\t500000\t"));
    assert_true(scripts_said(&s, "2 again\ttrue\n"));
    assert_true(scripts_said(&s, "2 empty\t0\n"));
    assert_true(scripts_said(&s, "1 part\t6\ttrue\n"));
    /* What lies beyond, or was said to be here, stays. */
    assert_true(scripts_said(&s, "2 longer\ttrue\n2 120000\tBBBBBBzzzz\n"));
    assert_true(scripts_said(&s, "2 anew\ttrue\n2 100000\tB\n"));
    assert_true(scripts_said(&s, "2 nothing\ttrue\t0\n"));
    /* Until a part came, nothing is lost. */
    assert_true(scripts_said(&s, "2 nobody\tnil\t3\n"));
    assert_true(scripts_said(&s, "2 folder\tnil\ta path does not lead out"));
    assert_null(strstr(s.text, "!"));
    scripts_close(&s);
}

static void test_misuse_of_fetch_raises_and_a_failing_function_ends_it(void **state)
{
    (void)state;
    run("local P = protocol 'f/1' { serve = 64, part = range { part = 64*KB, within = 20*sec } }\n"
        "function P:part(from, what, offset, length) return string.rep('x', length) end\n"
        "local function try(t) local ok, why = pcall(fetch, t) print(ok, why) end\n"
        "function P:start(address)\n"
        "  if not address then return end\n"
        "  local peer = connect(address)\n"
        "  local t = { from = peer, range = P.part, size = 1000, into = function() end, hashes = "
        "'x' }\n"
        "  pcall(function() try(t) end)\n"
        "  local ok, why = pcall(function() return fetch { form = peer } end)\n"
        "  print(why)\n"
        "  ok, why = pcall(function() return fetch(t) end)\n"
        "  print(why)\n"
        "  ok, why = pcall(function() return fetch { from = peer, range = P.part, size = 1000, "
        "into = 'x' } end)\n"
        "  print(ok, why)\n"
        "  print(fetch { from = peer, range = P.part, size = 1000, into = 'x' })\n"
        "  fetch { from = peer, range = P.part, size = 100000, part = 1*KB, into = function() "
        "error 'mine' end }\n"
        "end\n",
        9000);
    assert_true(scripts_said(&s, "there is no 'form' (did you mean 'from'?)"));
    assert_true(scripts_said(&s, "hashes are 32 bytes"));
    assert_true(
        scripts_said(&s, "2 nil\tfiles are not granted: run with --allow fs=DIR\trefused\n"));
    assert_true(scripts_said(&s, "2! "));
    scripts_close(&s);
}

/* Ask node 1 for a range with these bytes. @return the event that ends it */
static weir_event ask_raw(weir_node *node, uint64_t connection, const void *data, uint32_t len)
{
    weir_request_options options = {.size = sizeof options, .user = 77};
    weir_event events[16], answer = {0};
    int64_t count;

    assert_true(weir_request_send(node, connection, "f/1/part", data, len, &options) > 0);
    for (int i = 0; i < 200 && answer.kind == 0; i++) {
        weir_world_run(s.world, weir_world_now(s.world) + 50000);
        count = weir_world_poll(s.world, 0, events, 16);
        for (int64_t k = 0; k < count; k++)
            if (events[k].kind == WEIR_EVENT_RESPONSE && events[k].user == 77) answer = events[k];
        weir_lua_events(s.lua, events, (uint32_t)count);
    }
    assert_int_equal(answer.kind, WEIR_EVENT_RESPONSE);
    return answer;
}

static void test_requests_for_a_range_that_make_no_sense_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        uint32_t len;
        int32_t error;
    } cases[] = {{"\x00\x05", 2, 0},              /* 5 bytes from 0, of nothing in particular */
                 {"\x00", 1, WEIR_E_REFUSED},     /* no length */
                 {"\xc0\x00", 2, WEIR_E_REFUSED}, /* an offset that is cut short */
                 {"\x00\x00", 2, WEIR_E_REFUSED}, /* nothing */
                 {"\x00\x80\x01\x00\x01", 5, WEIR_E_REFUSED}, /* more than a part */
                 {"\x00\x05\xff", 3, WEIR_E_REFUSED},         /* what it is of is malformed */
                 {"\x00\x05\x41\x41", 4, WEIR_E_REFUSED}};    /* ... is not deterministic */
    weir_event events[16];
    int64_t script, connection;

    (void)state;
    scripts_open(&s, 2, 7, NULL);
    script = scripts_load(&s, "test.lua",
                          "local P = protocol 'f/1' { serve = 4, part = range { part = 64*KB, "
                          "within = 5*sec } }\n"
                          "function P:part(from, what, offset, length) "
                          "return string.rep('x', length) end\n");
    assert_true(script > 0);
    scripts_attach(&s, 1, script, NULL);
    connection = weir_node_dial(s.nodes[2], scripts_address(&s, 1), NULL);
    assert_true(connection > 0);
    for (int i = 0; i < 50; i++) {
        weir_world_run(s.world, weir_world_now(s.world) + 20000);
        weir_lua_events(s.lua, events, (uint32_t)weir_world_poll(s.world, 0, events, 16));
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        weir_event answer = ask_raw(s.nodes[2], (uint64_t)connection, cases[i].bytes, cases[i].len);
        if (cases[i].error == 0)
            assert_int_equal(answer.error, 0);
        else if (answer.error >= 0)
            fail_msg("case %d was answered", (int)i);
    }
    scripts_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_of_an_answer_of_bytes_reach_a_function),
        cmocka_unit_test(test_a_file_comes_from_a_file_and_is_verified),
        cmocka_unit_test(test_misuse_of_fetch_raises_and_a_failing_function_ends_it),
        cmocka_unit_test(test_requests_for_a_range_that_make_no_sense_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
