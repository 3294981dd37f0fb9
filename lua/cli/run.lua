-- SPDX-License-Identifier: MIT
-- weir run: a script on a node of the real world, until it is done, quits, or is told to end.
local node, screen = weir.module("node"), weir.module("screen")
local second = 1000000
local drain_time = 5 * second

-- Whether the file is another one than at the last look.
local function watch(path)
    local size, changed = weir.look(path)
    return function()
        local new_size, new_changed = weir.look(path)
        if not new_size or (new_size == size and new_changed == changed) then return false end
        size, changed = new_size, new_changed
        return true
    end
end

local function reload(runtime, name)
    local file = io.open(name, "rb")
    local text = file and file:read("a")
    if file then file:close() end
    if not text then return end
    local ok, why = runtime:load(name, text)
    if ok then
        screen.say("info", "reloaded " .. name)
    else
        screen.say("error", why .. " (the script goes on as it was)")
    end
end

local function dial(n, addresses)
    local dialled = {}
    for _, address in ipairs(addresses) do
        local connection, why, name = n:dial(address)
        if not connection then
            node.fail(("--dial %s: %s"):format(address, why), name == "address" and 2 or 1)
        end
        dialled[connection] = address
    end
    return dialled
end

local function look_at(n, events, dialled)
    local drained = false
    for _, event in ipairs(events) do
        local address = event.kind == "connection_closed" and dialled[event.object]
        if address and event.error then
            screen.say("warning", ("%s: %s"):format(address, event.error))
            for line in n:report(event.object):gmatch("[^\n]+") do screen.say("info", line) end
        end
        if event.kind == "connected" or address then dialled[event.object] = nil end
        drained = drained or event.kind == "drained"
    end
    return drained
end

-- Polls until the drain is complete. Gives whether no signal came since there were so many.
local function finish(n, runtime, least, time, signals)
    local deadline = n:now() + time
    n:drain(time)
    repeat
        local events = runtime:poll(n, math.max(0, math.min(second, deadline - n:now())))
        local done = not events or look_at(n, events, {})
        node.show(n, runtime, least)
        if weir.signals() > signals then return false end
    until done or n:now() >= deadline
    return true
end

-- Gives the exit code.
local function serve(n, runtime, o, dialled, least, check)
    local checked = n:now()
    local is_alone = #o.listen == 0 and #o.dial == 0
    while true do
        node.show(n, runtime, least)
        local info = runtime:info()
        if info.is_over then break end
        if info.idle and is_alone then return info.errors > 0 and 1 or 0 end
        local count, last = weir.signals()
        if count > 0 then
            screen.say("info", "draining: open work may take 5 s more")
            if not finish(n, runtime, least, drain_time, count) then return 128 + last end
            runtime:detach(n)
            node.show(n, runtime, least)
            return 0
        end
        local events, why = runtime:poll(n, second)
        if not events then node.fail(why) end
        look_at(n, events, dialled)
        if check and n:now() - checked >= second then
            checked = n:now()
            check()
        end
    end
    -- What the script said before it quit still arrives.
    runtime:detach(n)
    node.show(n, runtime, least)
    finish(n, runtime, least, second, (weir.signals()))
    return runtime:info().exit_code
end

return function(o)
    local least = o.quiet and 1 or o.verbose and 4 or 3
    local n, runtime = node.open(o)
    local script, name, is_ours = node.load(runtime, o[1])
    weir.signals(n)
    node.listen(n, o.listen, o.quiet)
    local dialled = dial(n, o.dial)
    local changed = not is_ours and watch(name)
    local ok, why = runtime:attach(n, script, o.rest)
    if not ok then node.fail(why) end
    local code = serve(n, runtime, o, dialled, least, changed and function()
        if changed() then reload(runtime, name) end
    end)
    weir.signals(false)
    runtime:close()
    n:close()
    return code
end
