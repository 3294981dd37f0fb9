-- SPDX-License-Identifier: MIT
-- weir test: test files of scripts. Output as TAP: "ok 1 name", "not ok 2 name", "# ..." for what
-- else there is to say.
--
-- A test file is Lua without files and processes. Each test runs with several seeds, and the first
-- seed twice: a trace hash that differs means that a script's choices depend on something that a
-- seed does not decide.
local node, screen = weir.module("node"), weir.module("screen")
local worlds = weir.module("world")
local second = 1000000

-- ---- what a test calls w

-- The nearest of the names of a table.
local function hint(name, of)
    local names = {}
    for other in pairs(of) do names[#names + 1] = other end
    table.sort(names)
    return weir.module("text").nearest(tostring(name), names)
end

local W = {}

local function in_folder(folder, path)
    if path:sub(1, 1) == "/" then return path end
    local beside = folder .. path
    return weir.look(beside) and beside or path
end

local function check_node(w, i, word)
    if math.type(i) == "integer" and w.inner.nodes[i] then return end
    error(("%s: there is no node %s"):format(word, tostring(i)), 3)
end

local function collect(w)
    for _, line in ipairs(w.inner.runtime:lines()) do
        local of = line.level == 0 and w.printed or w.logged
        -- A dead node's last words are not heard.
        if not w.inner.dead[line.node] then
            of[line.node] = of[line.node] or {}
            table.insert(of[line.node], line.text)
        end
        if line.level == 1 then
            table.insert(w.record.log, ("node %d: %s"):format(line.node, line.text))
        end
    end
end

local function texts(...)
    local list = table.pack(...)
    for i = 1, list.n do
        if list[i] == nil then error(("argument %d of the script is nil"):format(i), 3) end
        list[i] = tostring(list[i])
    end
    return list
end

function W:address(i)
    check_node(self, i, "address")
    return self.inner:address(i)
end

function W:run(i, script, ...)
    check_node(self, i, "run")
    self.inner:start(i, in_folder(self.record.folder, script), texts(...))
    collect(self)
end

function W:run_all(script, ...)
    local path, more = in_folder(self.record.folder, script), texts(...)
    for i = 1, #self.inner.nodes do
        local list = {}
        if i > 1 then
            list[1] = self.inner:somebody(i - 1)
            table.move(more, 1, #more, #list + 1, list)
        end
        self.inner:start(i, path, list)
        self:run_for(second // 10)
    end
end

function W:run_for(time)
    if math.type(time) ~= "integer" or time < 0 then
        error("run_for takes a time, as 5*sec", 2)
    end
    self.inner:run_until(self.inner:now() + time)
    collect(self)
end

local function copy(list)
    return table.move(list or {}, 1, #(list or {}), 1, {})
end

function W:lines(i)
    check_node(self, i, "lines")
    return copy(self.printed[i])
end

function W:log(i)
    check_node(self, i, "log")
    return copy(self.logged[i])
end

function W:kill(i)
    check_node(self, i, "kill")
    collect(self)
    self.inner:kill(i)
end

local link_options = { latency = true, jitter = true, loss = true, bandwidth = true, dark = true }

function W:link(a, b, o)
    for _, i in ipairs { a, b } do
        check_node(self, i, "link")
        if self.inner.dead[i] then error(("link: node %d is dead"):format(i), 2) end
    end
    for name in pairs(o) do
        if not link_options[name] then
            error(("link: there is no '%s'%s"):format(tostring(name), hint(name, link_options)), 2)
        end
    end
    self.inner:link(a, b, o)
end

-- Which nodes are in a view of one node, in the order of their coming.
function W:view(i, view, script)
    check_node(self, i, "view")
    local list = self.inner:views(view, script and in_folder(self.record.folder, script))[i]
    if not list then error(("node %d has no view '%s'"):format(i, tostring(view)), 2) end
    return list
end

function W:file(i, path, bytes)
    check_node(self, i, "file")
    local ok, why = self.inner.world:file(i, path, bytes)
    if not ok then error(why, 2) end
end

function W:reachable(view, script)
    return self.inner:reachable(view, script and in_folder(self.record.folder, script))
end

function W:now()
    return self.inner:now()
end

-- ---- words

local known = { nodes = true, seed = true, latency = true, loss = true, packets = true }

local function make_world(run, o)
    for name in pairs(o) do
        if not known[name] then
            error(("world: there is no '%s'%s"):format(tostring(name), hint(name, known)), 3)
        end
    end
    if not o.seed then run.is_seeded = true end
    local inner = worlds.open { seed = o.seed or run.seed, latency = o.latency, loss = o.loss,
        packets = o.packets, modules = run.modules, lines = 65536 }
    for _ = 1, o.nodes or 2 do inner:add() end
    local w = setmetatable({ inner = inner, printed = {}, logged = {}, record = run }, {
        __index = function(_, name)
            if W[name] then return W[name] end
            error(("a world has no '%s'%s"):format(tostring(name), hint(name, W)), 2)
        end })
    table.insert(run.worlds, inner)
    return w
end

local function show(value)
    return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

local function words(file)
    local env = { KB = 1024, MB = 1 << 20, GB = 1 << 30, ms = 1000, sec = second, min = 60 * second,
        hour = 3600 * second, math = math, string = string, table = table, utf8 = utf8 }
    for _, name in ipairs { "assert", "error", "ipairs", "next", "pairs", "pcall", "select",
        "tonumber", "tostring", "type" } do
        env[name] = _G[name]
    end
    function env.test(name, body)
        if type(name) ~= "string" or type(body) ~= "function" then
            error('test takes a name and a function: test("it works", function() ... end)', 2)
        end
        table.insert(file.tests, { name = name, body = body })
    end
    function env.world(o)
        if not file.run then error("world works inside a test", 2) end
        return make_world(file.run, o or {})
    end
    function env.contents(path)
        local handle, why = io.open(in_folder(file.folder, path), "rb")
        local bytes = handle and handle:read("a")
        if not bytes then error(why or path .. ": it cannot be read", 2) end
        handle:close()
        return bytes
    end
    function env.check(condition, why)
        if not condition then error(why and "not so: " .. tostring(why) or "it is not so", 2) end
    end
    function env.equal(got, wanted, why)
        if got == wanted then return end
        error(("%sgot %s, wanted %s"):format(why and tostring(why) .. ": " or "", show(got),
            show(wanted)), 2)
    end
    function env.print(...)
        local list = table.pack(...)
        for i = 1, list.n do list[i] = tostring(list[i]) end
        if not (file.run and file.run.is_silent) then
            screen.print("# ", (table.concat(list, "\t"):gsub("\n", "\n# ")))
        end
    end
    return setmetatable(env, { __index = function(_, name)
        error(("there is no '%s'%s"):format(tostring(name), hint(name, env)), 2)
    end })
end

-- ---- running

local function run_once(file, test, seed, is_silent)
    local run = { seed = seed, worlds = {}, log = {}, folder = file.folder, modules = file.modules,
        is_silent = is_silent }
    file.run = run
    local ok, why = pcall(test.body)
    file.run = nil
    local hashes = {}
    for i, w in ipairs(run.worlds) do
        hashes[i] = w.world:hash()
        w:close()
    end
    run.hash = table.concat(hashes, " ")
    run.why = not ok and (type(why) == "table" and why.text or tostring(why)) or nil
    return run
end

-- Gives nil, or the run that failed.
local function run_test(file, test, seeds)
    local first = run_once(file, test, 1)
    if first.why then return first end
    local again = run_once(file, test, 1, true)
    if again.why or again.hash ~= first.hash then
        again.why = "the same seed gave another run: " .. (again.why or again.hash .. ", before "
            .. first.hash)
        return again
    end
    if not first.is_seeded then return nil end
    for seed = 2, seeds do
        local run = run_once(file, test, seed, true)
        if run.why then return run end
    end
end

local function report(number, test, failure)
    if not failure then
        screen.print(screen.paint("ok", "ok"), (" %d %s"):format(number, test.name))
        return
    end
    screen.print(screen.paint("not ok", "error"), (" %d %s"):format(number, test.name))
    for line in failure.why:gmatch("[^\n]+") do screen.print("#   ", line) end
    if failure.is_seeded then screen.print(("#   with seed %d"):format(failure.seed)) end
    for i = 1, math.min(10, #failure.log) do screen.print("#   ", failure.log[i]) end
end

local function open(path, o)
    local handle, why = io.open(path, "rb")
    local text = handle and handle:read("a")
    if not text then node.fail(why or path .. ": it cannot be read") end
    handle:close()
    local file = { tests = {}, folder = path:match("^(.*/)[^/]*$") or "", modules = o.modules }
    local chunk
    chunk, why = load(text, "@" .. path, "t", words(file))
    if not chunk then error({ code = 1, text = why, plain = true }) end
    local ok
    ok, why = pcall(chunk)
    if not ok then
        error({ code = 1, text = type(why) == "table" and why.text or tostring(why), plain = true })
    end
    if #file.tests == 0 then
        node.fail(path .. ' has no test: test("it works", function() ... end)')
    end
    return file
end

return function(o)
    local begun, number, failed = weir.clock(), 0, 0
    local files = {}
    for i, path in ipairs(o) do files[i] = open(path, o) end
    for _, file in ipairs(files) do
        for _, test in ipairs(file.tests) do
            if not o.only or test.name:find(o.only, 1, true) then
                number = number + 1
                screen.progress(("test %d: %s"):format(number, test.name))
                local failure = run_test(file, test, o.seeds or 3)
                if failure then failed = failed + 1 end
                report(number, test, failure)
            end
        end
    end
    screen.print(("1..%d"):format(number))
    if number == 0 then node.fail(("no test has '%s' in its name"):format(o.only)) end
    screen.print(("# %d of %d passed in %s"):format(number - failed, number,
        weir.module("text").time(weir.clock() - begun)))
    return failed > 0 and 1 or 0
end
