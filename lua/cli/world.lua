-- SPDX-License-Identifier: MIT
-- A simulated world with scripts, for `weir sim` and `weir test`. A script that calls quit ends for
-- its node only: the world goes on.
local node = weir.module("node")
local M = {}
M.__index = M

-- splitmix64, so that choices depend on the seed alone.
local function generator(seed)
    local state = seed
    return function(n)
        state = state + 0x9e3779b97f4a7c15
        local z = state
        z = (z ~ (z >> 30)) * 0xbf58476d1ce4e5b9
        z = (z ~ (z >> 27)) * 0x94d049bb133111eb
        return ((z ~ (z >> 31)) >> 1) % n + 1
    end
end

-- Files are granted, because a node of a world has only such as are in its memory: the empty name of
-- a folder says that. o: seed, latency, loss (0 to 1), packets, modules, lines.
function M.open(o)
    local world, why = weir.world { seed = o.seed, packets = o.packets }
    if not world then node.fail(why) end
    local runtime
    runtime, why = weir.runtime { modules = o.modules, lines = o.lines, files = "" }
    if not runtime then node.fail(why) end
    local w = setmetatable({ world = world, runtime = runtime, latency = o.latency, loss = o.loss,
        packets = o.packets, random = generator(o.seed), begun = world:now(), nodes = {},
        addresses = {}, scripts = {}, dead = {}, runs = {} }, M)
    w:link(0, 0, {})
    return w
end

-- Datagrams between two nodes (0: all) from now on; what o does not name is the world's.
function M:link(a, b, o)
    local ok, why = self.world:link(a, b, { latency = o.latency or self.latency,
        jitter = o.jitter, bandwidth = o.bandwidth, dark = o.dark,
        loss_ppm = math.floor((o.loss or self.loss or 0) * 1000000 + 0.5) })
    if not ok then error("a world cannot have these links: " .. why, 0) end
end

function M:add()
    local n, number = self.world:add()
    if not n then error(number, 0) end
    self.nodes[number], self.addresses[number] = n, n:address(1)
    return number
end

-- Loads a script once; raises "file.lua:3: ...".
function M:load(path)
    if self.scripts[path] then return self.scripts[path] end
    local text, name = node.read(path)
    local script, why = self.runtime:load(name, text)
    if not script then error({ code = 1, text = why, plain = true }) end
    self.scripts[path] = script
    return script
end

function M:start(i, path, arguments)
    local ok, why = self.runtime:attach(self.nodes[i], self:load(path), arguments)
    if not ok then error(("node %d: %s"):format(i, why), 0) end
    self.runs[i] = self.runs[i] or path
end

function M:address(i)
    return self.addresses[i]
end

-- The address of one of the first `count` nodes that are alive; nil: there is none.
function M:somebody(count)
    local alive = {}
    for i = 1, count do
        if not self.dead[i] then alive[#alive + 1] = i end
    end
    if #alive > 0 then return self:address(alive[self.random(#alive)]) end
end

-- Advances the clock to a time after the beginning.
function M:run_until(time)
    repeat
        local reached, why = self.runtime:run(self.world, self.begun + time)
        if reached == nil then error(why, 0) end
        if not reached then self.runtime:go_on() end
    until reached
end

function M:now()
    return self.world:now() - self.begun
end

-- From now on nothing passes to or from it, and its scripts are gone. Nobody is told, unless in a
-- world of whole messages: nobody there listens for silence, so its connections end.
function M:kill(i)
    if self.dead[i] then return end
    self.dead[i] = true
    self.runtime:detach(self.nodes[i])
    if not self.packets then self.nodes[i]:leave() end
    self.world:link(i, 0, { dark = math.maxinteger })
end

-- Which nodes have which in a view: a list of numbers for each node alive that has the view.
function M:views(name, path)
    local seen, result = {}, {}
    for i, n in ipairs(self.nodes) do
        local script = not self.dead[i] and self.scripts[path or self.runs[i]]
        result[i] = script and self.runtime:view(n, script, name, seen)
    end
    return result
end

-- How many nodes the largest part has that hangs together by a view.
function M:reachable(name, path)
    local views, near, largest, none = self:views(name, path), {}, 0, true
    for i in ipairs(self.nodes) do near[i] = {} end
    for i in ipairs(self.nodes) do
        for _, other in ipairs(views[i] or {}) do
            if near[other] and not self.dead[other] then
                table.insert(near[i], other)
                table.insert(near[other], i)
            end
        end
        none = none and not views[i]
    end
    if none then error(("no script of this world has a view '%s'"):format(name), 0) end
    local been = {}
    for i in ipairs(self.nodes) do
        local queue = (not been[i] and views[i]) and { i } or {}
        been[i] = true
        local at = 1
        while queue[at] do
            for _, other in ipairs(near[queue[at]]) do
                if not been[other] then queue[#queue + 1], been[other] = other, true end
            end
            at = at + 1
        end
        largest = math.max(largest, #queue)
    end
    return largest
end

function M:close()
    self.runtime:close()
    self.world:close()
end

return M
