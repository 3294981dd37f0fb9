/* SPDX-License-Identifier: MIT */
/* Goal: the rules that keep many nodes with one script from harming each other hold without the
 * script's help: jitter, bounded links, quotas of hearsay, paced retries, sizes that must be given,
 * no word for everybody, credit that fades and protection that is rationed, and no way to tell a
 * simulated node from a real one. Method: for each rule a script that does its best to break it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include "runtime/sandbox.h"
#include "unit/lua/scripts.h"
#include "unit/lua/worlds.h"

static const uint64_t second_us = 1000000;

/* ---- time */

enum { MANY = 100, FIRINGS_MAX = 4096, TENTH_US = 100000 };

struct firing {
    uint32_t node;
    uint64_t at_us;
};

static int by_time(const void *a, const void *b)
{
    const struct firing *x = a, *y = b;

    return (x->at_us > y->at_us) - (x->at_us < y->at_us);
}

/* Each line is one; its time is the node's. */
static uint32_t read_firings(weir_lua *lua, struct firing *out)
{
    static weir_lua_line line;
    uint32_t count = 0;

    while (count < FIRINGS_MAX && weir_lua_next_line(lua, &line) == 1) {
        assert_true(line.node > 0);
        out[count].node = (uint32_t)line.node;
        out[count++].at_us = line.time_us;
    }
    return count;
}

static void test_a_hundred_nodes_that_start_together_never_fire_together(void **state)
{
    static struct scripts s;
    static struct firing all[FIRINGS_MAX];
    uint64_t first[MANY + 1] = {0}, last[MANY + 1] = {0}, started;
    uint32_t count, tenths[10] = {0};
    weir_lua_options options = {.size = sizeof options, .log_lines = FIRINGS_MAX};
    int64_t script;

    (void)state;
    scripts_open(&s, MANY, 3, &options);
    script = scripts_load(&s, "rules.lua",
                          "local P = protocol 'r/1' {}\n"
                          "P:every(10*sec, function() print 'fires' end)\n");
    started = weir_world_now(s.world);
    for (uint32_t i = 1; i <= MANY; i++) scripts_attach(&s, i, script, NULL);
    assert_int_equal(weir_lua_run(s.lua, s.world, started + 200 * second_us), 0);
    count = read_firings(s.lua, all);
    assert_in_range(count, MANY * 17, MANY * 23);
    qsort(all, count, sizeof all[0], by_time);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t *before = &last[all[i].node];
        if (first[all[i].node] == 0) {
            first[all[i].node] = all[i].at_us;
            assert_in_range(all[i].at_us - started, 0, 10 * second_us);
            tenths[(all[i].at_us - started) / second_us]++;
        } else {
            assert_in_range(all[i].at_us - *before, 5 * second_us - 10, 15 * second_us + 10);
        }
        *before = all[i].at_us;
    }
    /* A hundred even draws: ten in each second, give or take three standard deviations. */
    for (int i = 0; i < 10; i++) assert_in_range(tenths[i], 1, 20);
    /* One of the hundred each tenth of a second; more than ten in one is a burst. */
    for (uint32_t i = 0; i + 10 < count; i++)
        assert_true(all[i + 10].at_us - all[i].at_us > TENTH_US);
    scripts_close(&s);
}

/* What `now` is on two nodes, when they begin and a second later. */
static void read_clocks(uint64_t seed, uint64_t clocks[4])
{
    static struct scripts s;
    const char *at;
    int64_t script;

    scripts_open(&s, 2, seed, NULL);
    script = scripts_load(&s, "rules.lua",
                          "local P = protocol 'r/1' {}\n"
                          "function P:start() print(now()) end\n"
                          "P:every(sec, function() print(now()) end, { steady = 'a test' })\n");
    for (uint32_t i = 1; i <= 2; i++) scripts_attach(&s, i, script, NULL);
    scripts_run(&s, 1500);
    at = s.text;
    for (int i = 0; i < 4; i++, at = strchr(at, '\n') + 1) {
        assert_int_equal(at[0], i % 2 ? '2' : '1');
        clocks[i] = strtoull(at + 2, NULL, 10);
    }
    scripts_close(&s);
}

static void test_now_begins_anywhere_and_goes_as_the_nodes_clock(void **state)
{
    const uint64_t most_us = 1001 * 3600 * second_us;
    uint64_t first[4], again[4], other[4];

    (void)state;
    read_clocks(3, first);
    read_clocks(3, again);
    read_clocks(4, other);
    assert_memory_equal(first, again, sizeof first);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(first[i + 2] - first[i], second_us);
        assert_in_range(first[i], 3600 * second_us, most_us);
        assert_in_range(other[i], 3600 * second_us, most_us);
        assert_true(first[i] != other[i]);
    }
    assert_true(first[0] != first[1]);
}

static void test_steady_is_granted_only_for_a_reason(void **state)
{
    static const char *const wrong[] = {"{ steady = true }", "{ steady = '' }", "{ steady = 1 }"};
    static struct scripts s;
    char text[256];

    (void)state;
    scripts_open(&s, 1, 3, NULL);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(text, sizeof text,
                 "local P = protocol 'r/1' {}\nP:every(sec, function() end, %s)\n", wrong[i]);
        assert_int_equal(weir_lua_load(s.lua, "rules.lua", text, strlen(text), &s.error),
                         WEIR_E_ARGUMENT);
        assert_non_null(strstr(s.error.detail, "rules.lua:2:"));
        assert_non_null(strstr(s.error.detail, "steady needs its reason"));
    }
    scripts_close(&s);
}

/* ---- links and hearsay */

static void test_a_linked_view_never_holds_more_than_its_cap_and_both_ends_agree(void **state)
{
    static struct worlds w;
    uint32_t nodes[WORLDS_PEERS_MAX], count;
    const char *address;

    (void)state;
    worlds_open(&w, 12, 3,
                "local G = game 'r/1' { links = view { cap = 4, linked = true } }\n"
                "function G:start(address)\n"
                "  self:every(100*ms, function(self)\n"
                "    if #self.links > 4 then error 'more than its cap' end\n"
                "  end)\n"
                "  if not address then return end\n"
                "  local peer = connect(address)\n"
                "  self:every(2*sec, function(self) self.links:add(peer, 'random') end)\n"
                "end\n"
                "function G:crowded(view, peer) view:add(peer, 'oldest') end\n");
    worlds_attach(&w, 1, NULL, 0);
    for (uint32_t i = 2; i <= 12; i++) {
        address = worlds_address(&w, 1);
        worlds_attach(&w, i, &address, 1);
    }
    worlds_run(&w, 60 * second_us);
    assert_int_equal(w.failures, 0);
    /* Those who were given up come back without end; when they rest, all agree. */
    for (uint32_t i = 2; i <= 12; i++) timers_end(worlds_instance(&w, i), false);
    worlds_run(&w, 30 * second_us);
    count = worlds_view(&w, 1, "links", nodes);
    assert_in_range(count, 1, 4);
    for (uint32_t i = 2; i <= 12; i++)
        assert_int_equal(worlds_has(&w, 1, "links", i), worlds_has(&w, i, "links", 1));
    worlds_close(&w);
}

enum { MADE_UP = 32 };

static int push_made_up(lua_State *L, void *context)
{
    struct worlds *w = context;

    lua_createtable(L, MADE_UP, 0);
    for (uint32_t i = 1; i <= MADE_UP; i++) {
        weir_peer_id id = {.len = 38, .bytes = {0x00, 0x24, 0x08, 0x01, 0x12, 0x20, (uint8_t)i}};
        peers_push(L, w->lua, peers_intern(w->lua, &id));
        lua_rawseti(L, -2, (lua_Integer)i);
    }
    return 1;
}

/* The functions test and later of a script on one node, with a list of made-up peers; asserts in
 * Lua do the work. */
static void run_made_up(const char *text, uint64_t between_us)
{
    static struct worlds w;

    worlds_open(&w, 1, 5, text);
    worlds_attach(&w, 1, NULL, 0);
    instance_call(worlds_instance(&w, 1), "test", push_made_up, &w);
    worlds_run(&w, between_us);
    instance_call(worlds_instance(&w, 1), "later", push_made_up, &w);
    worlds_lines(&w);
    assert_int_equal(w.failures, 0);
    assert_int_equal(w.lua->info.errors, 0);
    worlds_close(&w);
}

static void test_what_one_peer_tells_fills_no_view(void **state)
{
    (void)state;
    run_made_up("local G = game 'r/1' { known = view { cap = 16 }, few = view { cap = 16, "
                "per_source = 2 } }\n"
                "function G:test(p)\n"
                "  self.known:add(p[1])\n"
                "  for round = 1, 5 do\n"
                "    for i = 3, 32 do self.known:offer(p[i], p[2]) self.few:offer(p[i], p[2]) end\n"
                "  end\n"
                "  assert(#self.known == 1 + 16 / 4 and #self.few == 2)\n"
                "  for via = 2, 5 do for i = 6, 32 do self.known:offer(p[i], p[via]) end end\n"
                "  assert(#self.known <= 16 and self.known:has(p[1]))\n"
                "end\n"
                "function G:later() end\n",
                second_us);
}

/* ---- retries */

static uint64_t metric(weir_node *node, const char *name)
{
    const char *found;
    uint64_t value;

    for (uint32_t i = 0; weir_node_metric(node, i, &found, &value) == 0; i++)
        if (strcmp(found, name) == 0) return value;
    fail_msg("there is no metric %s", name);
    return 0;
}

static const char dials[] = "weir_dials_total";

static void test_dead_peers_are_tried_no_more_than_the_budget_says(void **state)
{
    enum { DEAD = 20, MINUTES = 10 };
    static struct worlds w;
    uint64_t before, after;
    const char *address;

    (void)state;
    worlds_open(&w, DEAD + 1, 3,
                "local G = game 'r/1' { serve = 8, ping = request { bytes = 9, answer = 9, within "
                "= 2*sec },\n"
                "  known = view { cap = 64 }, links = view { cap = 8, linked = true } }\n"
                "function G:ping() return 1 end\n"
                "function G:start(address) if address then ask(connect(address), G.ping) end end\n"
                "function G:meet(peer) self.known:add(peer) end\n"
                /* Everybody who is awake asks everybody, again and again. */
                "function G:storm()\n"
                "  for i = 1, 20 do\n"
                "    self:every(1*sec, function(self)\n"
                "      for p in tries { from = self.known, most = 20 } do ask(p, G.ping) end\n"
                "      self.links:refill(self.known, function(p) return self.links:add(p) end)\n"
                "    end)\n"
                "  end\n"
                "end\n");
    for (uint32_t i = 1; i <= DEAD + 1; i++) {
        address = i == 1 ? NULL : worlds_address(&w, 1);
        worlds_attach(&w, i, &address, address ? 1 : 0);
    }
    worlds_run(&w, 2 * second_us);
    for (uint32_t i = 2; i <= DEAD + 1; i++) worlds_call(&w, 1, "meet", i, "");
    for (uint32_t i = 2; i <= DEAD + 1; i++) worlds_kill(&w, i);
    worlds_run(&w, 60 * second_us);
    before = metric(w.nodes[1], dials);
    worlds_call(&w, 1, "storm", 0, "");
    worlds_run(&w, MINUTES * 60 * second_us);
    after = metric(w.nodes[1], dials);
    /* Ten at once, then one in ten seconds, whatever many loops want. */
    assert_in_range(after - before, 5, 10 + 6 * MINUTES);
    assert_int_equal(w.failures, 0);
    worlds_close(&w);
}

/* ---- sizes */

static const struct entry_ops *const kinds[] = {&message_ops, &request_ops, &stream_ops,
                                                &range_ops,   &feed_ops,    &view_ops,
                                                &map_ops,     &store_ops};

/* The declaration of a kind with what it requires, but for one key. @return false: nothing lacks */
static void write_entry(const struct entry_ops *ops, const struct entry_key *without, char *out)
{
    out += sprintf(out, "local G = game 'r/1' { serve = 4,\n  x = %s { ", ops->word);
    for (const struct entry_key *k = ops->keys; k->name; k++) {
        if (!k->required || k == without) continue;
        if (k->type == ENTRY_CHOICE)
            out += sprintf(out, "%s = '%s', ", k->name, k->choices[k->least]);
        else
            out += sprintf(out, "%s = %llu, ", k->name, (unsigned long long)k->least);
    }
    sprintf(out, "} }\n%s", ops->needs_method ? "function G:x() end\n" : "");
}

static void test_no_kind_of_entry_loads_without_its_bounds(void **state)
{
    static struct scripts s;
    char text[512], said[256];

    (void)state;
    scripts_open(&s, 1, 3, NULL);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        uint32_t required = 0;
        write_entry(kinds[i], NULL, text);
        assert_int_equal(scripts_load(&s, "rules.lua", text), 1);
        for (const struct entry_key *k = kinds[i]->keys; k->name; k++) {
            if (!k->required) continue;
            required++;
            assert_non_null(k->why);
            write_entry(kinds[i], k, text);
            snprintf(said, sizeof said, "rules.lua:2: %s: '%s' is missing: it is there %s",
                     kinds[i]->word, k->name, k->why);
            assert_int_equal(weir_lua_load(s.lua, "rules.lua", text, strlen(text), &s.error),
                             WEIR_E_ARGUMENT);
            if (!strstr(s.error.detail, said)) print_error("%s\n%s\n", s.error.detail, said);
            assert_non_null(strstr(s.error.detail, said));
        }
        /* Whatever a stranger can make grow has a bound that somebody thought of. */
        assert_true(required > 0);
    }
    scripts_close(&s);
}

/* ---- nobody speaks to all */

static void test_no_word_gives_more_peers_than_a_view_holds(void **state)
{
    static struct scripts s;
    weir_lua_options options = {.size = sizeof options, .instructions = 10000000};
    int64_t script;

    (void)state;
    scripts_open(&s, 20, 3, &options);
    script = scripts_load(
        &s, "rules.lua",
        "local G = game 'r/1' { v = view { cap = 3 }, hi = message { bytes = 9, full = 'block' } "
        "}\n"
        "function G:hi(from) self.v:add(from, 'random') end\n"
        "local function peers_in(value, seen, depth)\n"
        "  if depth > 3 then return end\n"
        "  if value == me() then return end\n"
        "  local ok, id = pcall(function() return value:id() end)\n"
        "  if ok and type(id) == 'string' then seen[id] = true return end\n"
        "  if type(value) == 'table' then\n"
        "    for k, v in pairs(value) do peers_in(k, seen, depth + 1) peers_in(v, seen, depth + 1) "
        "end\n"
        "  end\n"
        "end\n"
        "local function look(results, seen)\n"
        "  for i = 2, #results do\n"
        "    peers_in(results[i], seen, 1)\n"
        "    if type(results[i]) == 'function' then\n"
        "      for n = 1, 50 do\n"
        "        local ok, a, b = pcall(results[i])\n"
        "        if not ok or a == nil then break end\n"
        "        peers_in(a, seen, 1) peers_in(b, seen, 1)\n"
        "      end\n"
        "    end\n"
        "  end\n"
        "end\n"
        "function G:start(address)\n"
        "  if address then tell(connect(address), G.hi) return end\n"
        "  after(5*sec, function(self)\n"
        "    local names, seen, n, calls = {}, {}, 0, 0\n"
        "    for name, value in pairs(_G) do names[#names + 1] = name end\n"
        "    table.sort(names)\n"
        "    for _, name in ipairs(names) do\n"
        "      local f = _G[name]\n"
        "      if type(f) == 'function' and name ~= 'quit' and name ~= 'print' then\n"
        "        calls = calls + 1\n"
        "        look({ pcall(f) }, seen) look({ pcall(f, self) }, seen) look({ pcall(f, 1) }, "
        "seen)\n"
        "        look({ pcall(f, '') }, seen) look({ pcall(f, me()) }, seen)\n"
        "        look({ pcall(f, self.v) }, seen)\n"
        "      end\n"
        "    end\n"
        "    for id in pairs(seen) do n = n + 1 end\n"
        "    print('found', n <= 3, calls > 40)\n"
        /* What the search is worth: it does find those that a view gives. */
        "    look({ true, self.v:sample(20) }, seen)\n"
        "    look({ true, self.v:each() }, seen)\n"
        "    n = 0 for id in pairs(seen) do n = n + 1 end\n"
        "    print('then', n)\n"
        "  end)\n"
        "end\n");
    assert_true(script > 0);
    scripts_attach(&s, 1, script, NULL);
    for (uint32_t i = 2; i <= 20; i++) scripts_attach(&s, i, script, scripts_address(&s, 1));
    scripts_run(&s, 30000);
    assert_true(scripts_said(&s, "1 found\ttrue\ttrue\n1 then\t3\n"));
    assert_null(strstr(s.text, "!"));
    scripts_close(&s);
}

/* ---- reputation */

static void test_credit_fades_and_protection_is_rationed_by_name(void **state)
{
    (void)state;
    run_made_up(
        "local G = game 'r/1' { half_life = 10*sec, v = view { cap = 8 } }\n"
        "function G:test(p)\n"
        "  p[1]:credit(1000) p[2]:blame('corrupt') p[3]:blame('busy') p[4]:blame('timeout')\n"
        "  assert(p[1]:score() == 1000 and p[2]:score() == -100)\n"
        "  assert(p[3]:score() == 0 and p[4]:score() == -1)\n"
        /* Everybody cannot be protected: a quarter of the view for each name. */
        "  local yes = 0\n"
        "  for i = 1, 8 do self.v:add(p[i]) if p[i]:protect('all') then yes = yes + 1 end end\n"
        "  assert(yes == 2, yes)\n"
        "  assert(p[8]:protect('friend'))\n"
        "  for i = 9, 32 do self.v:add(p[i], i % 2 == 0 and 'random' or 'worst') end\n"
        "  assert(self.v:has(p[1]) and self.v:has(p[2]) and self.v:has(p[8]))\n"
        "  p[1]:release('all')\n"
        "  assert(p[9]:protect('all') and not p[10]:protect('all'))\n"
        "  local names = 0\n"
        "  for i = 1, 32 do if p[10]:protect('name ' .. i) then names = names + 1 end end\n"
        "  assert(names < 16, names)\n"
        "end\n"
        "function G:later(p)\n"
        "  assert(p[1]:score() == 250 and p[2]:score() == -25, p[1]:score())\n"
        "end\n",
        20 * second_us);
}

/* ---- the same world */

enum { FACTS_BYTES = 1 << 18, KEYS_HERE = 512, DEPTH = 12 };
struct facts {
    char text[FACTS_BYTES];
    size_t len;
    uint32_t count;
};

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void walk(lua_State *L, int seen, struct facts *f, const char *path, int depth);

static void walk_below(lua_State *L, int seen, struct facts *f, const char *path, const char *name,
                       int depth)
{
    char longer[512];

    snprintf(longer, sizeof longer, "%s.%s", path, name);
    walk(L, seen, f, longer, depth + 1);
    lua_pop(L, 1);
}

static void walk_table(lua_State *L, int seen, struct facts *f, const char *path, int depth)
{
    const char *keys[KEYS_HERE];
    size_t count = 0;
    int at = lua_gettop(L);

    for (lua_pushnil(L); lua_next(L, at); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) continue;
        assert_true(count < KEYS_HERE);
        keys[count++] = lua_tostring(L, -2);
    }
    qsort(keys, count, sizeof keys[0], by_text);
    for (size_t i = 0; i < count; i++) {
        lua_pushstring(L, keys[i]);
        lua_rawget(L, at);
        walk_below(L, seen, f, path, keys[i], depth);
    }
}

/* The value on top, and everything that can be reached from it: names and types, and of numbers
 * and booleans their value. In the order of the names. */
static void walk(lua_State *L, int seen, struct facts *f, const char *path, int depth)
{
    int type = lua_type(L, -1), at = lua_gettop(L);
    char name[32];

    assert_true(lua_checkstack(L, 20));
    f->len += (size_t)snprintf(f->text + f->len, sizeof f->text - f->len, "%s %s%s", path,
                               lua_typename(L, type), lua_iscfunction(L, -1) ? " of C" : "");
    if (type == LUA_TNUMBER)
        f->len += (size_t)snprintf(f->text + f->len, sizeof f->text - f->len, " %.14g",
                                   lua_tonumber(L, -1));
    if (type == LUA_TBOOLEAN && lua_toboolean(L, -1))
        f->len += (size_t)snprintf(f->text + f->len, sizeof f->text - f->len, " true");
    f->len += (size_t)snprintf(f->text + f->len, sizeof f->text - f->len, "\n");
    assert_true(f->len < sizeof f->text - 1);
    f->count++;
    if (type != LUA_TTABLE && type != LUA_TUSERDATA && type != LUA_TFUNCTION) return;
    lua_pushvalue(L, at);
    if (lua_rawget(L, seen) != LUA_TNIL || depth > DEPTH) {
        lua_pop(L, 1);
        return;
    }
    lua_pop(L, 1);
    lua_pushvalue(L, at);
    lua_pushboolean(L, 1);
    lua_rawset(L, seen);
    if (type == LUA_TTABLE) walk_table(L, seen, f, path, depth);
    for (int i = 1; type == LUA_TFUNCTION && lua_getupvalue(L, at, i); i++) {
        snprintf(name, sizeof name, "(%d)", i);
        walk_below(L, seen, f, path, name, depth);
    }
    if (lua_getmetatable(L, at)) walk_below(L, seen, f, path, "<meta>", depth);
}

static void gather(struct instance *in, struct facts *f)
{
    lua_State *L = vm_main(in->script->vm);
    int seen;

    f->len = f->count = 0;
    assert_true(lua_checkstack(L, 20));
    lua_newtable(L);
    seen = lua_gettop(L);
    sandbox_push(L);
    walk(L, seen, f, "_G", 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, in->script->object);
    walk(L, seen, f, "P", 0);
    instance_push(in, L);
    walk(L, seen, f, "self", 0);
    /* What is handed to scripts only later: peers, streams, views ... by their classes. */
    lua_pushvalue(L, LUA_REGISTRYINDEX);
    walk(L, seen, f, "classes", 0);
    peers_push(L, in->script->lua, in->place->me);
    walk(L, seen, f, "me", 0);
    lua_settop(L, seen - 1);
}

static const char everything[] =
    "local P = game 'r/1' { serve = 4, m = message { bytes = 9, full = 'block' },\n"
    "  q = request { bytes = 9, answer = 9, within = sec }, r = range { part = 1*KB, within = sec "
    "},\n"
    "  s = stream { idle = sec }, f = feed { kind = 'sum', keys = 1, bytes = 9 },\n"
    "  v = view { cap = 1, linked = true }, t = map { cap = 1 }, o = store { bytes = 64 },\n"
    "  fields = { n = 1 } }\n"
    "function P:m() end function P:q() end function P:r() end function P:s() end\n"
    "function P:start() self.n = #args end\n"
    "P:every(sec, function() end)\n";

static void test_a_simulated_node_looks_like_a_real_one(void **state)
{
    static struct facts live, simulated;
    static struct worlds w;
    weir_node *node;
    weir_lua *lua;
    int64_t script;
    size_t at = 0;

    (void)state;
    worlds_open(&w, 2, 3, everything);
    worlds_attach(&w, 1, NULL, 0);
    worlds_attach(&w, 2, NULL, 0);
    gather(worlds_instance(&w, 2), &simulated);
    assert_int_equal(weir_node_create(NULL, &node, NULL), 0);
    assert_int_equal(weir_lua_create(NULL, &lua, NULL), 0);
    script = weir_lua_load(lua, "game.lua", everything, strlen(everything), NULL);
    assert_true(script > 0);
    assert_int_equal(weir_lua_attach(lua, node, script, NULL, 0, NULL), 0);
    gather(instance_at(place_find(lua, 0), lua->scripts[script - 1]), &live);
    while (live.text[at] && live.text[at] == simulated.text[at]) at++;
    if (strcmp(live.text, simulated.text) != 0) {
        while (at > 0 && live.text[at - 1] != '\n') at--;
        print_error("live: %.200s\nsimulated: %.200s\n", live.text + at, simulated.text + at);
    }
    assert_string_equal(live.text, simulated.text);
    assert_true(live.count > 300);
    assert_null(strstr(live.text, "simulat"));
    assert_null(strstr(live.text, "world"));
    weir_lua_free(lua);
    weir_node_close(node);
    weir_node_free(node);
    worlds_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hundred_nodes_that_start_together_never_fire_together),
        cmocka_unit_test(test_now_begins_anywhere_and_goes_as_the_nodes_clock),
        cmocka_unit_test(test_steady_is_granted_only_for_a_reason),
        cmocka_unit_test(test_a_linked_view_never_holds_more_than_its_cap_and_both_ends_agree),
        cmocka_unit_test(test_what_one_peer_tells_fills_no_view),
        cmocka_unit_test(test_dead_peers_are_tried_no_more_than_the_budget_says),
        cmocka_unit_test(test_no_kind_of_entry_loads_without_its_bounds),
        cmocka_unit_test(test_no_word_gives_more_peers_than_a_view_holds),
        cmocka_unit_test(test_credit_fades_and_protection_is_rationed_by_name),
        cmocka_unit_test(test_a_simulated_node_looks_like_a_real_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
