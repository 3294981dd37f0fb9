-- SPDX-License-Identifier: MIT
-- weir sim: a script on many nodes of one simulated world, and what came of it.
local node, screen, text = weir.module("node"), weir.module("screen"), weir.module("text")
local worlds = weir.module("world")
local second = 1000000

local function arguments(o, w, i)
    local list = o.args_first and table.move(o.rest, 1, #o.rest, 1, {}) or {}
    if i == 1 then return list end
    list[#list + 1] = w:somebody(i - 1)
    if not o.args_first then table.move(o.rest, 1, #o.rest, #list + 1, list) end
    return list
end

local function take_lines(w, result)
    for _, line in ipairs(w.runtime:lines()) do
        if line.level == 0 then result.printed = result.printed + 1 end
        if line.level == 1 then result.failures = result.failures + 1 end
        local keep = line.level <= 1 and #result.lines < result.most
        if keep then
            line.time = line.time - w.begun
            result.lines[#result.lines + 1] = line
        end
    end
end

local function advance(w, o, to, result)
    local slice = math.max(second // 10, o.time // 200)
    while w:now() < to do
        w:run_until(math.min(to, w:now() + slice))
        take_lines(w, result)
        screen.progress(("%s of %s, %d of %d nodes"):format(text.time(w:now()), text.time(o.time),
            #w.nodes, o.nodes))
    end
end

local function run(w, o, result)
    local begun = weir.clock()
    for i = 1, o.nodes do
        advance(w, o, math.min(o.time, (i - 1) * second // o.join), result)
        if w:now() >= o.time and i > 1 then break end
        w:add()
        w:start(i, o[1], arguments(o, w, i))
        take_lines(w, result)
    end
    advance(w, o, o.time, result)
    result.wall = weir.clock() - begun
end

local function summary(w, o, result)
    local info, total = w.runtime:info(), w.nodes[1]:statistics()
    local count = #w.nodes
    local function each(n) return ("%.1f"):format(n / count) end
    screen.columns({
        { "nodes", ("%d, seed %d, %s"):format(count, o.seed, o.packets and "every packet"
            or "whole messages") },
        { "time", ("%s of virtual time in %s"):format(text.time(w:now()), text.time(result.wall)) },
        { "sent per node", ("%s messages, %s requests, %s datagrams"):format(each(info.messages),
            each(info.requests), each(total.datagrams_sent)) },
        { "handlers run", text.count(info.resumptions) },
        { "memory per node", text.bytes((info.memory + info.native) // count) .. " of scripts" },
        { "lines printed", text.count(result.printed) },
        { "handlers failed", text.count(info.errors) },
        { "trace hash", w.world:hash() },
    })
end

local function show_lines(result, o)
    for _, line in ipairs(result.lines) do
        screen.print(("%8.3f s  node %-4d %s"):format(line.time / second, line.node,
            line.level == 1 and screen.paint("error: " .. line.text, "error") or line.text))
    end
    local more = result.printed + result.failures - #result.lines
    if more > 0 and o.lines > 0 then
        screen.print(("... and %s more lines (--lines N shows N)"):format(text.count(more)))
    end
    if #result.lines > 0 then screen.print() end
end

local function show_json(w, o, result)
    local info, lines = w.runtime:info(), {}
    for i, line in ipairs(result.lines) do
        lines[i] = { time_us = line.time, node = line.node, text = line.text,
            error = line.level == 1 }
    end
    screen.print(text.json { nodes = #w.nodes, seed = o.seed, time_us = w:now(),
        wall_us = result.wall, messages = info.messages, requests = info.requests,
        handlers = info.resumptions, printed = result.printed, errors = info.errors,
        hash = w.world:hash(), lines = lines, memory = info.memory + info.native })
end

return function(o)
    o.nodes, o.seed, o.time = o.nodes or 10, o.seed or 1, o.time or 60 * second
    o.latency = o.latency or 20000
    -- All are there after a third of the time.
    o.join = o.join or math.max(10, 3 * second * o.nodes // o.time + 1)
    o.lines = o.lines or 20
    local w = worlds.open { seed = o.seed, latency = o.latency, loss = o.loss, packets = o.packets,
        modules = o.modules, lines = 65536 }
    w:load(o[1])
    local result = { lines = {}, most = o.lines, printed = 0, failures = 0 }
    local ok, why = pcall(run, w, o, result)
    if not ok then node.fail(type(why) == "table" and why.text or why) end
    screen.clear()
    local failed = w.runtime:info().errors
    if o.json then
        show_json(w, o, result)
    else
        show_lines(result, o)
        summary(w, o, result)
    end
    w:close()
    return failed > 0 and 1 or 0
end
