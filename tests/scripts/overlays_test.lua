-- SPDX-License-Identifier: MIT
-- The games that keep a network together, in worlds of 24 nodes: views fill up, all nodes hang together, and the
-- half that is left does so again after the other half died.
local NODES, HALF = 24, 12

-- How many of the living are in each view: the smallest, the largest, the mean.
local function sizes(w, view, alive)
    local least, most, sum, nodes = math.huge, 0, 0, 0
    for i = 1, NODES do
        if alive(i) then
            local count = 0
            for _, other in ipairs(w:view(i, view)) do
                if alive(other) then count = count + 1 end
            end
            least, most = math.min(least, count), math.max(most, count)
            sum, nodes = sum + count, nodes + 1
        end
    end
    return least, most, sum / nodes
end

local function everybody() return true end
local function odd(i) return i % 2 == 1 end

-- Whoever has a link has one from there.
local function check_symmetric(w, view, alive)
    for i = 1, NODES do
        for _, other in ipairs(alive(i) and w:view(i, view) or {}) do
            local back = false
            for _, third in ipairs(alive(other) and w:view(other, view) or {}) do back = back or third == i end
            check(back, ("node %d has %d, but not the other way round"):format(i, other))
        end
    end
end

-- full, left: what the mean is at least before and after; a few nodes may have less.
local games = {
    { name = "random_k", view = "links", full = 6, left = 5, most = 8, linked = true, periods = 12 },
    { name = "hyparview", view = "active", full = 4.2, left = 3.8, most = 5, linked = true, periods = 12 },
    { name = "cyclon", view = "known", full = 12, left = 7, most = 20, periods = 40 },
}

local function check_views(w, game, alive, wanted)
    local least, most, mean = sizes(w, game.view, alive)
    local text = ("%d to %d peers, %.1f in the mean"):format(least, most, mean)
    check(least >= 1 and most <= game.most and mean >= wanted, text)
    if game.linked then check_symmetric(w, game.view, alive) end
end

for _, o in ipairs { { name = "messages" }, { name = "packets", packets = true, loss = 0.02 } } do
    for _, game in ipairs(games) do
        test(("%s stays one network, %s"):format(game.name, o.name), function()
            local w = world { nodes = NODES, packets = o.packets, loss = o.loss, latency = 20*ms }
            w:run_all(game.name .. ".lua")
            w:run_for(game.periods * 10*sec)
            check_views(w, game, everybody, game.full)
            equal(w:reachable(game.view), NODES, "nodes of the largest part")
            for i = 2, NODES, 2 do w:kill(i) end
            w:run_for(game.periods * 10*sec)
            check_views(w, game, odd, game.left)
            equal(w:reachable(game.view), HALF, "nodes of the largest part that is left")
        end)
    end
end
