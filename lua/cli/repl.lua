-- SPDX-License-Identifier: MIT
-- weir repl: each line is a handler of a small script on a live node, which can ask, tell, connect
-- and whatever else handlers can. Lines come whole: no terminal is put into another mode.
local node, screen = weir.module("node"), weir.module("screen")

-- The script. Lines are compiled there; here they are only looked at, for whether they are whole.
local script = [[
local P = protocol "repl/1" { serve = 1 }
local names = { %s }
local instead = {
    use = ": weir repl --use NAME makes a script a word", exit = ": quit() ends",
    help = ": docs/lua.md has every word, weir repl --help the rest",
    os = ": now() is the clock, env(name) the environment",
}
setmetatable(names, { __index = function(_, name)
    name = tostring(name)
    error(("there is no '%%s' here%%s"):format(name, instead[name] or ""), 2)
end })
names.it = false

local function text(value, depth)
    if type(value) == "string" then return depth > 0 and ("%%q"):format(value) or value end
    if type(value) ~= "table" or depth > 2 then return tostring(value) end
    local parts = {}
    for k, v in pairs(value) do
        if #parts == 64 then parts[65] = "..." break end
        local name = math.type(k) == "integer" and "" or tostring(k) .. " = "
        parts[#parts + 1] = name .. text(v, depth + 1)
    end
    return "{ " .. table.concat(parts, ", ") .. " }"
end

local function show(ok, ...)
    if not ok then return log.error((tostring((...)):gsub("^line:1: ", ""))) end
    local list = table.pack(...)
    if list.n == 0 then return end
    names.it = list[1]
    for i = 1, list.n do list[i] = text(list[i], 0) end
    print(table.concat(list, "\t"))
end

function P:line(chunk)
    local f, why = load("return " .. chunk, "=line", "t", names)
    if not f then f, why = load(chunk, "=line", "t", names) end
    if not f then return log.error((why:gsub("^line:1: ", ""))) end
    names.self = self
    show(pcall(f))
end

return P
]]

-- Words that work in handlers, from the table of the API, and modules by their names.
local function words(o)
    local list = {}
    local api = load(weir.embedded("api.lua"), "=api", "t", {})()
    for _, entry in ipairs(api) do
        if entry.name and entry.where ~= "top" then
            list[#list + 1] = ("%s = %s"):format(entry.name, entry.name)
        end
        for _, name in ipairs(entry.lua or {}) do
            list[#list + 1] = ("%s = %s"):format(name, name)
        end
    end
    for _, path in ipairs(o.use) do
        local folder, module = path:gsub("%.lua$", ""):match("^(.-)/?([%w_-]+)$")
        if not module or module:match("^%d") then
            node.fail(("--use %s: that is no name"):format(path), 2)
        end
        if folder ~= "" then table.insert(o.modules, folder) end
        list[#list + 1] = ("%s = use %q"):format((module:gsub("-", "_")), module)
    end
    return table.concat(list, ", ")
end

-- Whether more has to come before this is a statement.
local function is_open(text)
    local f, why = load("return " .. text, "=line", "t", {})
    if f then return false end
    if why:find("near <eof>", 1, true) then return true end
    f, why = load(text, "=line", "t", {})
    return not f and why:find("near <eof>", 1, true) ~= nil
end

-- The next whole line of the input; nil when there is none yet, false at its end.
local function reader()
    local pending, ended = "", false
    local R = {}
    function R.line()
        local line, rest = pending:match("^([^\n]*)\n(.*)$")
        if line then
            pending = rest
            return line
        end
        if not ended then return nil end
        line, pending = pending, ""
        if line == "" then return false end
        return line
    end
    function R.fill()
        local bytes = weir.read()
        if bytes == "" then ended = true end
        pending = pending .. (bytes or "")
    end
    function R.ended() return ended end
    return R
end

local is_terminal = weir.is_terminal(0) and weir.is_terminal(1)

local function prompt(mark)
    if not is_terminal then return end
    screen.flush()
    io.stdout:write(screen.paint(mark, "info"))
    screen.flush()
end

local function wait(n, runtime, input)
    local timeout = runtime:wait(n) or -1
    if input and input.ended() then input = nil end
    if input then
        if weir.wait(n, timeout) then input.fill() end
        return runtime:poll(n, 0)
    end
    return runtime:poll(n, timeout)
end

-- Runs a chunk and waits for its end, or for Ctrl-C, after which it goes on by itself.
local function evaluate(n, runtime, number, chunk, level)
    local signals = weir.signals()
    runtime:call(n, number, "line", chunk)
    local before = runtime:pending()
    while true do
        node.show(n, runtime, level)
        if runtime:info().is_over or before == 0 or runtime:pending() < before then return end
        if weir.signals() > signals then return screen.say("info", "it goes on by itself") end
        wait(n, runtime, nil)
    end
end

local function converse(n, runtime, number, level)
    local input, chunk, signals = reader(), nil, weir.signals()
    prompt("> ")
    while not runtime:info().is_over do
        local line = input.line()
        if line then
            chunk = chunk and chunk .. "\n" .. line or line
            if not is_open(chunk) or (line == "" and is_terminal) then
                if chunk:find("%S") then evaluate(n, runtime, number, chunk, level) end
                chunk, signals = nil, weir.signals()
                if runtime:info().is_over then break end
            end
            prompt(chunk and ">> " or "> ")
        elseif line == false then
            if chunk then evaluate(n, runtime, number, chunk, level) end
            return
        else
            wait(n, runtime, input)
            node.show(n, runtime, level)
            if weir.signals() > signals then return end
        end
    end
end

return function(o)
    local text = script:format(words(o))
    local n, runtime = node.open(o)
    local number, why = runtime:load("repl", text)
    if not number then node.fail(why) end
    weir.signals(n)
    node.listen(n, o.listen)
    local ok
    ok, why = runtime:attach(n, number, {})
    if not ok then node.fail(why) end
    converse(n, runtime, number, 3)
    local info = runtime:info()
    node.show(n, runtime, 3)
    if is_terminal and not info.is_over then screen.print() end
    n:drain(0)
    runtime:poll(n, 0)
    weir.signals(false)
    runtime:close()
    n:close()
    return info.is_over and info.exit_code or 0
end
