/* SPDX-License-Identifier: MIT */
/* Goal: a script that does its worst through the runtime (timers, messages, logs, memory that is
 * kept between handlers) takes what an instance may take and no more, and the scripts beside it do
 * not notice. Method: a world of two nodes; an honest script answers on the first, where the
 * hostile one runs too. After each attack the second node asks it, and another script is attached.
 * What is counted are timers, tasks, instructions and bytes: no clock but the world's. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include "runtime/instance.h"
#include "unit/lua/scripts.h"

enum {
    TIMERS_MAX = 64,
    TASKS_MAX = 64,
    INSTRUCTIONS = 20000,
    ATTACK_MS = 300,
    ANSWER_MS = 2000,
    /* Two threads of handlers may overlap in it, and what a stop may take beyond the cap. */
    SLACK_PERCENT = 5,
};

static struct scripts s;

static const char honest[] = "local P = protocol 'echo/1' { serve = 8, per_peer = 8,\n"
                             "  echo = request { bytes = 64, answer = 64, within = 5*sec } }\n"
                             "function P:echo(from, body) return body end\n"
                             "function P:start(address)\n"
                             "  if not address then return end\n"
                             "  local peer = assert(connect(address))\n"
                             "  print(ask(peer, P.echo, 'answered'))\n"
                             "end\n";
static const char newcomer[] = "local P = protocol 'new/1' {}\n"
                               "function P:start() after(ms, function() print 'came' end) end\n";

struct attack {
    const char *what, *text;
    bool fails;     /* handlers of it fail */
    uint32_t nodes; /* 2: it runs on both, the second is told the address of the first */
};

/* With what `say` and `get` do. */
#define TALK_AS(say, get)                                                                          \
    "local P = protocol 'bad/1' { serve = 8, per_peer = 8, fields = { kept = {} },\n"              \
    "  say = message { bytes = 64, full = 'drop-new' },\n"                                         \
    "  wait = message { bytes = 64, full = 'block' },\n"                                           \
    "  get = request { bytes = 64, answer = 64, within = sec } }\n"                                \
    "function P:say(from, n) " say " end\nfunction P:wait() end\n"                                 \
    "function P:get() " get " end\n"
#define TALK TALK_AS("", "return 1")
#define SILENT "local P = protocol 'bad/1' { fields = { kept = {}, n = 0 } }\n"
#define START "function P:start(address)\n"

static const struct attack attacks[] = {
    {"a million timers",
     SILENT START "for i = 1, 1000000 do self:every(ms, function() end) end end", true, 1},
    {"a million timers, each refusal caught",
     SILENT START "while true do pcall(self.every, self, ms, function() end) end end", true, 1},
    {"a million times after",
     SILENT START "for i = 1, 1000000 do after(ms, function() end) end end", true, 1},
    {"timers that set timers",
     SILENT "local function more() while pcall(after, ms, more) do end end\n"
            "function P:start() more() end",
     false, 1},
    {"timers that are set and cancelled",
     SILENT START "while true do after(hour, print):cancel() end end", true, 1},
    {"timers of the least interval that never end",
     SILENT START "for i = 1, 20 do self:every(ms, function() while true do end end) end end", true,
     1},
    {"an interval of nothing",
     SILENT START "for _, t in ipairs { 0, -1, 0.001, math.mininteger, math.maxinteger, 0/0, 1/0 } "
                  "do pcall(self.every, self, t, print) pcall(after, t, print) end end",
     false, 1},
    {"handlers that wait for ever",
     TALK START "if not address then return end local peer = connect(address)\n"
                "for i = 1, 60 do self:every(ms, function() while true do\n"
                "  ask(peer, P.get, 1) end end) end end",
     true, 2},
    {"a start without end", SILENT START "while true do pcall(error) end end", true, 1},
    {"messages in a loop",
     TALK START "if not address then return end local peer = connect(address)\n"
                "while true do tell(peer, P.say, 1) end end",
     true, 2},
    {"messages in a loop that wait for room",
     TALK START "if not address then return end local peer = connect(address)\n"
                "while true do tell(peer, P.wait, 1) end end",
     true, 2},
    {"messages that cause messages",
     TALK_AS("tell(from, P.say, n) tell(from, P.say, n)", "") START
     "if not address then return end local peer = connect(address)\n"
     "for i = 1, 8 do tell(peer, P.say, 1) end end",
     false, 2},
    {"talking to oneself",
     TALK_AS("tell(me(), P.say, 1) ask(me(), P.get, 1)", "") START
     "tell(me(), P.say, 1)\n"
     "self:every(ms, function() for i = 1, 100 do pcall(tell, me(), P.say, 1) end\n"
     "  pcall(ask, me(), P.get, 1) end) end",
     false, 1},
    {"handlers that fail each time",
     SILENT START "for i = 1, 20 do self:every(ms, function() error('again') end) end end", true,
     1},
    {"requests that fail each time",
     TALK_AS("", "error({})") START "if not address then return end local peer = connect(address)\n"
                                    "for i = 1, 50 do ask(peer, P.get, 1) end end",
     true, 2},
    {"a flood of the log",
     SILENT START "local s = ('x'):rep(3000)\n"
                  "for i = 1, 10 do self:every(ms, function()\n"
                  "  for i = 1, 100 do log.error(s) log.debug(s) print(s) end end) end end",
     true, 1},
    {"memory that is kept between handlers",
     SILENT "P:every(ms, function(self)\n"
            "  for i = 1, 50 do self.kept[#self.kept + 1] = ('x'):rep(500) .. #self.kept end\n"
            "end)\n",
     true, 1},
    {"memory that is kept outside of any instance",
     "local all = {}\n" SILENT "P:every(ms, function(self)\n"
     "  pcall(function() while true do all[#all + 1] = { all } end end)\nend)\n",
     false, 1},
    {"collisions that are made bit by bit",
     SILENT "P:every(ms, function(self)\n"
            "  for i = 1, 100 do self.n = self.n + 1 self.kept[self.n * 4095] = true end\n"
            "  for k in pairs(self.kept) do end\nend)\n",
     true, 1},
    {"error objects",
     SILENT START
     "local function never() while true do end end\n"
     "local what = { setmetatable({}, { __tostring = never, __index = never, __name = {} }),\n"
     "  { message = ('x'):rep(5000) }, print, 1 / 0, ('\\27[2J\\n'):rep(1000), "
     "coroutine.create(never) }\n"
     "for i = 1, #what do after(ms, function() error(what[i]) end) end\n"
     "after(ms, function() error() end) end",
     true, 1},
    {"coroutines that wait",
     TALK START "for i = 1, 50 do after(ms, function()\n"
                "  local co = coroutine.wrap(function() ask(me(), P.get, 1) end) co() end) end\n"
                "coroutine.yield(1, 2, 3) end",
     true, 1},
};

static void check_limits(const struct attack *attack, int64_t script)
{
    weir_lua_info info = scripts_info(&s);
    const struct script *bad = s.lua->scripts[script - 1];
    struct vm_statistics vm;

    if (info.timers > attack->nodes * TIMERS_MAX + 2 || info.tasks > attack->nodes * TASKS_MAX + 8)
        fail_msg("%s: %u timers, %u tasks", attack->what, (unsigned)info.timers,
                 (unsigned)info.tasks);
    if ((info.errors > 0) != attack->fails)
        fail_msg("%s: %u handlers failed\n%s", attack->what, (unsigned)info.errors, s.text);
    vm_get_statistics(bad->vm, &vm);
    assert_true(vm.bytes_peak <= vm.bytes_max / 100 * (100 + SLACK_PERCENT));
    assert_true(vm.instructions <= vm.resumptions * (INSTRUCTIONS + 1));
    for (uint32_t i = 0; i < s.lua->place_count; i++) {
        const struct place *place = s.lua->places[i];
        const struct instance *in;

        if (!place || !(in = instance_at((struct place *)(uintptr_t)place, bad))) continue;
        if (in->owner.bytes_peak > in->owner.bytes_max / 100 * (100 + SLACK_PERCENT))
            fail_msg("%s: %llu bytes", attack->what, (unsigned long long)in->owner.bytes_peak);
    }
}

/* Line by line, since a flood of lines leaves no room to gather them. */
static bool both_are_heard(void)
{
    static weir_lua_line line;
    bool answered = false, came = false;

    for (int i = 0; i < ANSWER_MS && !(answered && came); i++) {
        weir_lua_run(s.lua, s.world, weir_world_now(s.world) + 1000);
        while (weir_lua_next_line(s.lua, &line) == 1) {
            answered |= line.node == 2 && strcmp(line.text, "answered") == 0;
            came |= line.node == 1 && strcmp(line.text, "came") == 0;
        }
    }
    return answered && came;
}

static void suffer(const struct attack *attack)
{
    weir_lua_options options = {.size = sizeof options,
                                .timers_max = TIMERS_MAX,
                                .tasks_max = TASKS_MAX,
                                .instructions = INSTRUCTIONS};
    int64_t good, bad, other;

    scripts_open(&s, 2, 7, &options);
    good = scripts_load(&s, "echo.lua", honest);
    bad = scripts_load(&s, "bad.lua", attack->text);
    other = scripts_load(&s, "new.lua", newcomer);
    if (good < 0 || bad < 0 || other < 0) fail_msg("%s does not load", attack->what);
    scripts_attach(&s, 1, good, NULL);
    if (attack->nodes == 2) scripts_attach(&s, 2, bad, NULL);
    scripts_attach(&s, 1, bad, attack->nodes == 2 ? scripts_address(&s, 2) : NULL);
    scripts_run(&s, ATTACK_MS);
    check_limits(attack, bad);
    /* While it goes on. */
    scripts_attach(&s, 2, good, scripts_address(&s, 1));
    scripts_attach(&s, 1, other, NULL);
    if (!both_are_heard()) fail_msg("%s: the scripts beside it are not heard", attack->what);
    check_limits(attack, bad);
    assert_int_equal(weir_lua_detach(s.lua, s.nodes[1]), 0);
    assert_int_equal(weir_lua_detach(s.lua, s.nodes[2]), 0);
    scripts_run(&s, 10);
    assert_int_equal(scripts_info(&s).tasks, 0);
    assert_int_equal(scripts_info(&s).timers, 0);
    scripts_close(&s);
}

static void test_scripts_beside_an_attack_go_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) suffer(&attacks[i]);
}

static void test_a_file_that_never_ends_does_not_load(void **state)
{
    static const char *const texts[] = {
        "while true do end", "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
        "local P = protocol 'bad/1' {}\nfor i = 1, 1000000 do P:every(sec, print) end",
        "error(setmetatable({}, { __tostring = function() while true do end end }))"};
    int64_t good;

    (void)state;
    scripts_open(&s, 2, 7, NULL);
    good = scripts_load(&s, "echo.lua", honest);
    scripts_attach(&s, 1, good, NULL);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(weir_lua_load(s.lua, "bad.lua", texts[i], strlen(texts[i]), &s.error),
                         WEIR_E_ARGUMENT);
    scripts_attach(&s, 2, good, scripts_address(&s, 1));
    scripts_run(&s, ANSWER_MS);
    assert_true(scripts_said(&s, "2 answered"));
    scripts_close(&s);
}

/* Each call looks through 1024 empty places: that is 256 instructions. */
static void test_options_with_many_empty_places_cost_what_they_take(void **state)
{
    static const char *const calls[] = {"pcall(tries, t)", "pcall(fetch, t)",
                                        "pcall(self.v.pick, self.v, t)",
                                        "pcall(self.every, self, sec, print, t)"};
    weir_lua_options options = {
        .size = sizeof options, .instructions = 5 * INSTRUCTIONS, .instance_bytes = 1 << 20};
    char text[1024];

    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        const char *said;

        scripts_open(&s, 1, 7, &options);
        snprintf(text, sizeof text,
                 "local t = {}\nfor i = 1, 1000 do t[-i] = true end\n"
                 "for k in pairs(t) do t[k] = nil end\n"
                 "local P = protocol 'bad/1' { v = view { cap = 4 }, fields = { n = 0 } }\n"
                 "function P:start() while true do self.n = self.n + 1 %s end end\n"
                 "P:every(sec, function(self) print('calls', self.n) end)\n",
                 calls[i]);
        scripts_attach(&s, 1, scripts_load(&s, "bad.lua", text), NULL);
        scripts_run(&s, 1500);
        said = strstr(s.text, "calls\t");
        assert_non_null(said);
        assert_int_equal(scripts_info(&s).stopped, 1);
        if (strtoul(said + 6, NULL, 10) > 5 * INSTRUCTIONS / 256)
            fail_msg("%s: %.20s", calls[i], said);
        scripts_close(&s);
    }
}

/* As a live node's, time goes on by a millisecond in each pass, whatever is due. */
static void test_timers_without_end_leave_each_pass_its_events(void **state)
{
    enum { TIMERS = 256, AT_ONCE = 10, PASSES = 2000, EVENTS = 64 };
    static const char endless[] =
        "local P = protocol 'bad/1' {}\n"
        "function P:start()\n"
        "  for i = 1, 256 do self:every(ms, function() while true do end end) end\n"
        "end\n";
    static weir_lua_line line;
    weir_lua_options options = {
        .size = sizeof options, .timers_max = TIMERS, .instructions = INSTRUCTIONS};
    weir_event events[EVENTS];
    uint32_t passes = 0, full = 0;
    bool is_answered = false;
    int64_t good;

    (void)state;
    scripts_open(&s, 2, 7, &options);
    good = scripts_load(&s, "echo.lua", honest);
    scripts_attach(&s, 1, good, NULL);
    scripts_attach(&s, 1, scripts_load(&s, "bad.lua", endless), NULL);
    weir_world_run(s.world, weir_world_now(s.world) + 100000); /* all are due */
    scripts_attach(&s, 2, good, scripts_address(&s, 1));
    while (!is_answered && passes++ < PASSES) {
        uint64_t before = scripts_info(&s).resumptions, ran;
        int64_t count;

        weir_world_run(s.world, weir_world_now(s.world) + 1000);
        count = weir_world_poll(s.world, 0, events, EVENTS);
        weir_lua_events(s.lua, events, (uint32_t)count);
        ran = scripts_info(&s).resumptions - before;
        /* A resumption may end a little before its budget does. */
        assert_in_range(ran, 0, AT_ONCE + 1 + (uint64_t)count);
        full += ran >= AT_ONCE;
        while (weir_lua_next_line(s.lua, &line) == 1)
            is_answered |= line.node == 2 && strcmp(line.text, "answered") == 0;
    }
    assert_true(is_answered);
    assert_true(full > 10);
    scripts_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_without_end_leave_each_pass_its_events),
        cmocka_unit_test(test_options_with_many_empty_places_cost_what_they_take),
        cmocka_unit_test(test_scripts_beside_an_attack_go_on),
        cmocka_unit_test(test_a_file_that_never_ends_does_not_load),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
